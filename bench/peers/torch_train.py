"""Times a training step of Hugging Face's Mamba on PyTorch's CPU path: forward, backward, AdamW.

    python torch_train.py <folder> <rows> <length> <steps> <threads, with commas> [checkpoint|compile]

prints {"seconds": of a step, the best of them and of the numbers of threads, "cpu": seconds of processor time, the least of a step, "peak":
bytes of resident memory at their height}. With "checkpoint" blocks are recomputed on the way back; with "compile" the
model is compiled, with the associative scan that it has then. A process of its own, since its peak is
the process's.
"""
import json
import resource
import sys
import time

import torch
from transformers import MambaForCausalLM

folder, rows, length, steps, threads = sys.argv[1], *[int(n) for n in sys.argv[2:5]], sys.argv[5]
model = MambaForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
if "checkpoint" in sys.argv[6:]:
    model.gradient_checkpointing_enable()
if "compile" in sys.argv[6:]:
    for layer in model.backbone.layers:
        layer.mixer.use_associative_scan = True
    model = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
ids = torch.randint(0, model.config.vocab_size, (rows, length))


def step():
    start, cpu = time.perf_counter(), time.process_time()
    loss = model(ids, labels=ids, use_cache=False).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start, time.process_time() - cpu


times = []
for n in [int(text) for text in threads.split(",")]:
    torch.set_num_threads(n)
    times += [step() for _ in range(steps)]
seconds, cpu = (min(values) for values in zip(*times))
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
