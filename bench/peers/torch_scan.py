"""Times PyTorch's two CPU forms of the selective scan: the loop over time of the reference, and a parallel scan.

    python torch_scan.py B L D N     prints {"loop": [forward ms, with backward ms], "parallel": [...]}
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

B, L, D, N = map(int, sys.argv[1:5])
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
    decay, driven = discretise(u, delta, A, b, bias)
    h, ys = u.new_zeros(B, D, N), []
    for t in range(L):
        h = decay[:, t] * h + driven[:, t]
        ys.append((h * c[:, t].unsqueeze(1)).sum(-1))
    return (torch.stack(ys, 1) + skip * u) * F.silu(z)


def parallel(u, delta, A, b, c, skip, z, bias):
    """Hillis-Steele over time in log2(L) sweeps, the usual way to avoid the loop in plain PyTorch."""
    a, x = discretise(u, delta, A, b, bias)
    step = 1
    while step < L:
        x = torch.cat([x[:, :step], x[:, step:] + a[:, step:] * x[:, :-step]], 1)
        a = torch.cat([a[:, :step], a[:, step:] * a[:, :-step]], 1)
        step *= 2
    return ((x * c.unsqueeze(2)).sum(-1) + skip * u) * F.silu(z)


def median(call):
    call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[2]


def measure(form):
    args = inputs()

    def forward():
        with torch.no_grad():
            return form(*args)

    return [median(forward), median(lambda: torch.autograd.grad(form(*args).sum(), args))]


print(json.dumps({"loop": measure(loop), "parallel": measure(parallel)}))
