"""Writes a float32 model in Hugging Face's layout as the GGUF file that llama.cpp reads (architecture "mamba", which FalconMamba's is too).

    python gguf_file.py <folder> <file.gguf> [q8_0]

With q8_0 the matrices whose rows 32 divides are of that type, as llama.cpp's converter has it for `--outtype q8_0`.
Its tokenizer is made up, as llama.cpp asks for one: a token is written as its number in angle brackets. llama.cpp is handed ids, wllama takes text.
"""
import json
import sys
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
from safetensors.numpy import load_file

folder, target = Path(sys.argv[1]), sys.argv[2]
q8_0 = "q8_0" in sys.argv[3:]
config = json.loads((folder / "config.json").read_text())
weights = {}
for file in sorted(folder.glob("*.safetensors")):
    weights.update(load_file(file))

writer = gguf.GGUFWriter(target, "mamba")
writer.add_vocab_size(config["vocab_size"])
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list([f"<{i}>" for i in range(config["vocab_size"])])
writer.add_token_types([gguf.TokenType.USER_DEFINED] * config["vocab_size"])
writer.add_token_merges(["< 0"])
writer.add_eos_token_id(config["vocab_size"] - 1)
writer.add_context_length(2**20)
writer.add_embedding_length(config["hidden_size"])
writer.add_feed_forward_length(0)
writer.add_head_count(0)
writer.add_block_count(config["num_hidden_layers"])
writer.add_ssm_conv_kernel(config["conv_kernel"])
writer.add_ssm_inner_size(config["intermediate_size"])
writer.add_ssm_state_size(config["state_size"])
writer.add_ssm_time_step_rank(config["time_step_rank"])
writer.add_ssm_dt_b_c_rms(config["model_type"] == "falcon_mamba")
writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if q8_0 else gguf.LlamaFileType.ALL_F32)

names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MAMBA, config["num_hidden_layers"])
for name, values in weights.items():
    if name.endswith(".A_log"):
        values = -np.exp(values)
    if name.endswith(".conv1d.weight"):
        values = values.squeeze(1)
    name, values = names.get_name(name, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(values, np.float32)
    if q8_0 and values.ndim == 2 and values.shape[1] % 32 == 0 and not name.endswith(("ssm_a", "ssm_conv1d.weight")):
        type = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, type), raw_dtype=type)
    else:
        writer.add_tensor(name, values)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
