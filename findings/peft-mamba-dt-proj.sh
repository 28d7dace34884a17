#!/usr/bin/env bash
# PEFT 0.21.0 with transformers 5.17.0 (torch 2.13.0): LoRA on dt_proj of a Mamba is taken without a word, but transformers' forward pass reads
# dt_proj.weight past the module, so that the adapter does nothing: logits are the same bits with it on and off, a loss has no gradient at
# all if dt_proj is the only target (backward raises), and merging the adapter, which should change nothing, changes the logits.
#
# Surprising, because the same PEFT refuses out_proj and conv1d of a Mamba by name, for this very reason, and because an adapter that was
# loaded says something else before it is merged than after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.17.0 peft==0.21.0 2>/dev/null
cat >run.py <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import MambaConfig, MambaForCausalLM

config = MambaConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, state_size=4, initializer_range=0.5)
ids = torch.arange(8)[None]


def adapted(target):
    torch.manual_seed(0)
    lora = LoraConfig(r=2, target_modules=[target], init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(MambaForCausalLM(config), lora)


def look(target):
    try:
        model = adapted(target)
    except ValueError:
        return "refused"
    loss = model(ids, labels=ids).loss
    with torch.no_grad():
        on = model(ids).logits
        with model.disable_adapter():
            off = model(ids).logits
        merged = model.merge_and_unload()(ids).logits
    return dict(
        learns=loss.requires_grad,
        does_something=not torch.equal(on, off),
        merging_changes_it=not torch.allclose(on, merged, rtol=1e-3, atol=1e-3),
    )


seen = {target: look(target) for target in ["in_proj", "x_proj", "dt_proj", "out_proj", "conv1d"]}
for target, what in seen.items():
    print(f"{target}: {what}")
works = dict(learns=True, does_something=True, merging_changes_it=False)
bypassed = dict(learns=False, does_something=False, merging_changes_it=True)
assert seen == dict(in_proj=works, x_proj=works, dt_proj=bypassed, out_proj="refused", conv1d="refused"), "this has changed"
PY
venv/bin/python run.py 2>/dev/null
