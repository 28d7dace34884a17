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


def same(name, ours, theirs):
    error = ((ours - theirs).norm() / theirs.norm()).item()
    if not error < 1e-3:
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
    inputs = [u, delta, A, B, C, D, z, bias]
    sizes = (ctypes.c_int64 * 4)(*shape)
    floats = (ctypes.c_int64 * 3)()
    library.scanSizes(sizes, multiprocessors, floats)
    empty = lambda count: torch.empty(count, device="cuda")
    saved, workspace, back_workspace = (empty(count) for count in floats)
    y, final, dfinal = torch.empty_like(u), empty(batch * channels * states), torch.zeros(batch * channels * states, device="cuda")
    gradients = [torch.empty_like(x) for x in (u, delta, A, B, C, D, z, bias)]
    given, out = pointers(inputs), pointers([y, final, None])
    kept, back = pointers([y, final, saved]), pointers([saved, dy, dfinal, *gradients])

    def our_forward(outputs=out):
        check(library.scanForward(sizes, multiprocessors, given, outputs, ctypes.c_void_p(workspace.data_ptr()), stream()))

    def our_both():
        our_forward(kept)
        check(library.scanBackward(sizes, multiprocessors, given, back, ctypes.c_void_p(back_workspace.data_ptr()), stream()))

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

    forward, both = theirs_of(torch.float32)
    our_both()
    same("y", y, forward()[2].transpose(1, 2))
    theirs = both()
    for name, mine, other in [("du", gradients[0], theirs[0]), ("ddelta", gradients[1], theirs[1])]:
        same(name, mine, other.transpose(1, 2))
    same("dA", gradients[2], theirs[2])
    del theirs
    ours = microseconds(our_forward), microseconds(our_both)
    official_times = microseconds(forward), microseconds(both)
    half_forward, half_both = theirs_of(torch.bfloat16)
    halves = microseconds(half_forward), microseconds(half_both)
    elements = batch * length * channels
    kept_bytes, exps = 4 * elements * states / CHUNK, elements * states / rates[1]
    floor = lambda byte_count: max(byte_count / rates[0], exps)
    # u, delta, z, y; with the states; then these, dy and the gradients of u, delta, z.
    floors = floor(16 * elements), floor(16 * elements + kept_bytes) + floor(28 * elements + kept_bytes)
    cells = [f"{','.join(map(str, shape)):>16}"]
    for mine, other, half, floor in zip(ours, official_times, halves, floors):
        cells.append(f"{mine:9.1f} {other:9.1f} {other / mine:6.2f} {half:9.1f} {half / mine:6.2f} {1e6 * floor / mine:6.2f}")
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
    print("microseconds: ours, official float32, official ÷ ours, official bfloat16, its ÷ ours, floor ÷ ours")
    print(f"{'B,L,D,N':>16} | {'forward':^50} | {'forward + backward':^50}")
    official = official_scan(checkout)
    for shape in SCANS:
        scan_row(library, official, rates, shape)
        torch.cuda.empty_cache()
    print(f"{'state update':>16} | {'ours':>9} {'Triton':>9} {'ratio':>6}")
    update = official_update(checkout)
    for shape in UPDATES:
        update_row(library, update, shape)


main()
