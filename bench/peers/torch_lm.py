"""Times Hugging Face's Mamba on PyTorch's CPU path, and says which tokens it chooses.

    python torch_lm.py <folder> <prompt: ids with commas> <new tokens> <threads, with commas>

prints {"prefill": tokens/s, "decode": tokens/s, "tokens": [...]}: prefill the best of several runs, decode by the median token, each
with the better number of threads.
"""
import json
import statistics
import sys
import time

import torch
from transformers import MambaForCausalLM

folder, ids, count, threads = sys.argv[1], *[[int(n) for n in text.split(",")] for text in sys.argv[2:5]]
model = MambaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
prompt, count = torch.tensor([ids]), count[0]


def seconds(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def prefill():
    return model(prompt, use_cache=True, logits_to_keep=1)


def decode():
    """The median time of a token, and the greedy continuation."""
    out, tokens, times = prefill(), [], []
    for _ in range(count):
        tokens.append(out.logits[0, -1].argmax().item())
        took, out = seconds(
            lambda: model(torch.tensor([[tokens[-1]]]), cache_params=out.cache_params, use_cache=True)
        )
        times.append(took)
    return statistics.median(times), tokens


best_prefill = best_token = float("inf")
with torch.inference_mode():
    for n in threads:
        torch.set_num_threads(n)
        best_prefill = min([best_prefill] + [seconds(prefill)[0] for _ in range(4)])
        took, tokens = decode()
        best_token = min(best_token, took)
print(json.dumps({"prefill": len(ids) / best_prefill, "decode": 1 / best_token, "tokens": tokens}))
