"""Times PyTorch's two CPU forms of the selective scan: the loop over time of the reference, and a parallel scan.

    python torch_scan.py B L D N     prints {"loop": [forward ms, with backward ms], "parallel": [...]}, the best of several runs
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

B, L, D, N = map(int, sys.argv[1:5])
assert L & (L - 1) == 0, "the parallel form takes a length that is a power of two"
torch.manual_seed(0)


def inputs():
    shapes = [(B, L, D), (B, L, D), (D, N), (B, L, N), (B, L, N), (D,), (B, L, D), (D,)]
    u, delta, A, b, c, skip, z, bias = [torch.randn(s) for s in shapes]
    A = -torch.arange(1, N + 1, dtype=torch.float32).repeat(D, 1)
    return [t.requires_grad_() for t in (u, delta - 3, A, b, c, skip, z, bias)]


def discretise(u, delta, A, b, bias):
    delta = F.softplus(delta + bias)
    return torch.exp(delta.unsqueeze(-1) * A), (delta * u).unsqueeze(-1) * b.unsqueeze(2)


def loop(u, delta, A, b, c, skip, z, bias):
    # unbind and not an index for each step: the gradient of an index is as large as what it was taken from.
    decay, driven = discretise(u, delta, A, b, bias)
    h, ys = u.new_zeros(B, D, N), []
    for a_t, x_t, c_t in zip(decay.unbind(1), driven.unbind(1), c.unbind(1)):
        h = a_t * h + x_t
        ys.append((h @ c_t.unsqueeze(-1)).squeeze(-1))
    return (torch.stack(ys, 1) + skip * u) * F.silu(z)


def scan_in_place(a, x):
    """x_t += a_t x_{t-1} for all t in order, in 2 log2(L) sweeps and O(L) work (Blelloch 1990); a is used up."""
    step = 1
    while step < L:
        odd, even = slice(2 * step - 1, None, 2 * step), slice(step - 1, None, 2 * step)
        x[:, odd] += a[:, odd] * x[:, even]
        a[:, odd] *= a[:, even]
        step *= 2
    step //= 4
    while step > 0:
        late, early = slice(3 * step - 1, None, 2 * step), slice(2 * step - 1, L - step, 2 * step)
        x[:, late] += a[:, late] * x[:, early]
        a[:, late] *= a[:, early]
        step //= 2


class ParallelScan(torch.autograd.Function):
    @staticmethod
    def forward(context, a, x):
        h = x.clone()
        scan_in_place(a.clone(), h)
        context.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(context, grad):
        a, h = context.saved_tensors
        g = grad.flip(1)
        scan_in_place(torch.cat([torch.zeros_like(a[:, :1]), a[:, 1:].flip(1)], 1), g)
        g = g.flip(1)
        da = torch.zeros_like(a)
        da[:, 1:] = g[:, 1:] * h[:, :-1]
        return da, g


def parallel(u, delta, A, b, c, skip, z, bias):
    a, x = discretise(u, delta, A, b, bias)
    h = ParallelScan.apply(a, x)
    return ((h @ c.unsqueeze(-1)).squeeze(-1) + skip * u) * F.silu(z)


def best(call):
    call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times)


def measure(form, args):
    def forward():
        with torch.no_grad():
            return form(*args)

    return [best(forward), best(lambda: torch.autograd.grad(form(*args).sum(), args))]


args = inputs()
for one, other in zip(*[torch.autograd.grad(form(*args).square().sum(), args) for form in (loop, parallel)]):
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * other.abs().max().item())
print(json.dumps({"loop": measure(loop, args), "parallel": measure(parallel, args)}))
