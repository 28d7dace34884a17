"""The CUDA kernels beside the official ones of Mamba, in one process, both by replayed graphs. run-gpu.sh calls it.

    official.py CHECKOUT LIBRARY GB_PER_SECOND EXPS_PER_SECOND

CHECKOUT is a clone of the official repository, of which nothing is kept here; LIBRARY is made of ../src/cuda and gpu/door.cu. Each side
has the layout it was written for: [B,D,L] theirs, [B,L,D] ours. Needs PyTorch with CUDA, Triton and nvcc.
"""

import ctypes
import os
import shutil
import statistics
import sys
import tempfile
import types

import torch

SCANS = [
    (8, 4096, 2048, 16),
    (8, 2048, 1536, 16),
    (1, 4096, 1536, 16),
    (1, 1024, 256, 16),
    (64, 512, 768, 16),
    (1, 65536, 1536, 16),
    (2, 4096, 2048, 64),
]
UPDATES = [(512, 5120, 16), (1, 1536, 16)]
CHUNK = 8  # positions between our saved states


def official_scan(checkout):
    """Their extension, of the sources for float32 and bfloat16: what the others would define is looked up only when called."""
    from torch.utils.cpp_extension import load

    folder = tempfile.mkdtemp()
    source = os.path.join(checkout, "csrc", "selective_scan")
    for name in os.listdir(source):
        with open(os.path.join(source, name)) as file:
            text = file.read()
        with open(os.path.join(folder, name), "w") as file:
            file.write(text.replace("c10::optional", "std::optional"))  # gone from newer PyTorch
    names = ["selective_scan.cpp", "selective_scan_fwd_fp32.cu", "selective_scan_bwd_fp32_real.cu"]
    names += ["selective_scan_fwd_bf16.cu", "selective_scan_bwd_bf16_real.cu"]
    undeclared = ["-U__CUDA_NO_HALF_OPERATORS__", "-U__CUDA_NO_HALF_CONVERSIONS__", "-U__CUDA_NO_BFLOAT16_OPERATORS__"]
    undeclared += ["-U__CUDA_NO_BFLOAT16_CONVERSIONS__", "-U__CUDA_NO_BFLOAT162_OPERATORS__"]
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY)
    try:
        return load(
            "official_scan",
            [os.path.join(folder, name) for name in names],
            extra_cflags=["-O3"],
            extra_cuda_cflags=["-O3", "--use_fast_math", "--expt-relaxed-constexpr", "--expt-extended-lambda", *undeclared],
        )
    finally:
        sys.setdlopenflags(flags)
        shutil.rmtree(folder)


def official_update(checkout):
    package = types.ModuleType("mamba_ssm")  # its own __init__ wants everything installed
    package.__path__ = [os.path.join(checkout, "mamba_ssm")]
    sys.modules["mamba_ssm"] = package
    try:
        import einops  # noqa: F401
    except ImportError:  # only their reference calls it
        stand_in = types.ModuleType("einops")
        stand_in.rearrange = stand_in.repeat = None
        sys.modules["einops"] = stand_in
    from mamba_ssm.ops.triton.selective_state_update import selective_state_update

    return selective_state_update


def microseconds(call):
    """The median of replays of a graph of several calls, by the device's clock."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
        torch.cuda.synchronize()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record(stream)
        call()
        end.record(stream)
        torch.cuda.synchronize()
        repeats = max(1, min(50, int(5 / max(start.elapsed_time(end), 1e-3))))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(repeats):
                call()
        times = []
        for _ in range(15):
            start.record(stream)
            graph.replay()
            end.record(stream)
            torch.cuda.synchronize()
            times.append(1e3 * start.elapsed_time(end) / repeats)
    return statistics.median(times)


def pointers(tensors):
    values = [None if tensor is None else ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    return (ctypes.c_void_p * len(values))(*values)


def check(error):
    if error:
        raise RuntimeError(error.decode())


def stream():
    return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)


def same(name, ours, theirs, limit=1e-3):
    error = ((ours.float() - theirs.float()).norm() / theirs.float().norm()).item()
    if not error < limit:
        raise RuntimeError(f"{name} differs by {error:.1e}")


def scan_row(library, official, rates, shape):
    batch, length, channels, states = shape
    torch.manual_seed(1)
    multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
    normal = lambda *size: torch.randn(*size, device="cuda")
    u, z, dy = (normal(batch, length, channels) for _ in range(3))
    delta = torch.rand(batch, length, channels, device="cuda") * 4 - 5
    A = -torch.rand(channels, states, device="cuda") * 4 - 0.5
    B, C = normal(batch, length, states), normal(batch, length, states)
    D, bias = normal(channels), 0.1 * normal(channels)
    sizes = (ctypes.c_int64 * 4)(*shape)
    floats = (ctypes.c_int64 * 3)()
    library.scanSizes(sizes, multiprocessors, floats)
    empty = lambda count: torch.empty(count, device="cuda")
    saved, workspace, back_workspace = (empty(count) for count in floats)
    final, dfinal = empty(batch * channels * states), torch.zeros(batch * channels * states, device="cuda")

    def ours_of(dtype):
        """forward, forward + backward, y and the gradients of u, delta, A"""
        streams = [x.to(dtype) for x in (u, delta, B, C, z, dy)]
        ut, deltat, Bt, Ct, zt, dyt = streams
        inputs = [ut, deltat, A, Bt, Ct, D, zt, bias]
        y, gradients = torch.empty_like(ut), [torch.empty_like(x) for x in inputs]
        half = int(dtype == torch.bfloat16)
        given, out = pointers(inputs), pointers([y, final, None])
        kept, back = pointers([y, final, saved]), pointers([saved, dyt, dfinal, *gradients])
        first, second = (ctypes.c_void_p(x.data_ptr()) for x in (workspace, back_workspace))

        def forward(outputs=out):
            check(library.scanForward(half, sizes, multiprocessors, given, outputs, first, stream()))

        def both():
            forward(kept)
            check(library.scanBackward(half, sizes, multiprocessors, given, back, second, stream()))

        return forward, both, y, gradients, streams

    turned = lambda x: x.transpose(1, 2).contiguous()

    def theirs_of(dtype):
        ut, deltat, zt, dyt = (turned(x).to(dtype) for x in (u, delta, z, dy))
        Bt, Ct = (turned(x).unsqueeze(1).contiguous().to(dtype) for x in (B, C))
        args = (ut, deltat, A, Bt, Ct, D, zt, bias)

        def forward():
            return official.fwd(*args, True)

        def both():
            result, x, _ = official.fwd(*args, True)
            return official.bwd(*args, dyt, x, result, torch.empty_like(zt), True, False)

        return forward, both

    times = []
    # Two bfloat16 results of one number may be a unit in the last place apart, 2^-8.
    for dtype, limit in [(torch.float32, 1e-3), (torch.bfloat16, 1e-2)]:
        forward, both = theirs_of(dtype)
        our_forward, our_both, y, gradients, _streams = ours_of(dtype)
        our_both()
        same("y", y, forward()[2].transpose(1, 2), limit)
        theirs = both()
        for name, mine, other in [("du", gradients[0], theirs[0]), ("ddelta", gradients[1], theirs[1])]:
            same(name, mine, other.transpose(1, 2), limit)
        same("dA", gradients[2], theirs[2], limit)
        del theirs
        times.append([(microseconds(mine), microseconds(other)) for mine, other in [(our_forward, forward), (our_both, both)]])
        del forward, both, our_forward, our_both, y, gradients, _streams
    elements = batch * length * channels
    kept_bytes, exps = 4 * elements * states / CHUNK, elements * states / rates[1]
    floor = lambda byte_count: max(byte_count / rates[0], exps)
    cells = [f"{','.join(map(str, shape)):>16}"]
    for pass_ in (0, 1):
        for size, (mine, other) in zip((4, 2), (row[pass_] for row in times)):
            # u, delta, z, y; with the states; then these, dy and the gradients of u, delta, z.
            streamed = size * elements
            least = floor(4 * streamed + kept_bytes) + floor(7 * streamed + kept_bytes) if pass_ else floor(4 * streamed)
            cells.append(f"{mine:8.1f} {other:8.1f} {other / mine:5.2f} {1e6 * least / mine:5.2f}")
    print(" | ".join(cells), flush=True)


def update_row(library, official, shape):
    batch, channels, states = shape
    torch.manual_seed(1)
    normal = lambda *size: torch.randn(*size, device="cuda")
    state, u, z = normal(batch, channels, states), normal(batch, channels), normal(batch, channels)
    delta, A = normal(batch, channels) - 2, -torch.rand(channels, states, device="cuda") * 4 - 0.5
    B, C, D, bias = normal(batch, states), normal(batch, states), normal(channels), 0.1 * normal(channels)
    y, after = torch.empty_like(u), torch.empty_like(state)
    sizes = (ctypes.c_int64 * 3)(*shape)
    tensors = pointers([state, u, delta, A, B, C, D, z, bias, y, after])
    own = lambda: check(library.stateUpdate(sizes, tensors, stream()))
    theirs_state = state.clone()
    theirs = lambda: official(theirs_state, u, delta, A, B, C, D=D, z=z, dt_bias=bias, dt_softplus=True)
    own()
    same("y of a step", y, theirs())
    same("state", after, theirs_state)
    mine, other = microseconds(own), microseconds(theirs)
    print(f"{','.join(map(str, shape)):>16} | {mine:9.2f} {other:9.2f} {other / mine:6.2f}", flush=True)


def main():
    checkout, path, gigabytes, exps = sys.argv[1:]
    library = ctypes.CDLL(path)
    for name in ("scanForward", "scanBackward", "stateUpdate"):
        getattr(library, name).restype = ctypes.c_char_p
    rates = float(gigabytes) * 1e9, float(exps)
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    print("microseconds: ours, official, official ÷ ours, floor ÷ ours")
    heads = ("forward float32", "bfloat16", "forward + backward float32", "bfloat16")
    print(" | ".join([f"{'B,L,D,N':>16}"] + [f"{head:^29}" for head in heads]))
    official = official_scan(checkout)
    for shape in SCANS:
        scan_row(library, official, rates, shape)
        torch.cuda.empty_cache()
    print(f"{'state update':>16} | {'ours':>9} {'Triton':>9} {'ratio':>6}")
    update = official_update(checkout)
    for shape in UPDATES:
        update_row(library, update, shape)


main()
