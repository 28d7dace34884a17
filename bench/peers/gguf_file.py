"""Writes a float32 model in Hugging Face's layout as the GGUF file that llama.cpp reads (architecture "mamba").

    python gguf_file.py <folder> <file.gguf>

Its tokenizer is made up, as llama.cpp asks for one; the benchmark hands it token ids.
"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

folder, target = Path(sys.argv[1]), sys.argv[2]
config = json.loads((folder / "config.json").read_text())
weights = {}
for file in sorted(folder.glob("*.safetensors")):
    weights.update(load_file(file))

writer = gguf.GGUFWriter(target, "mamba")
writer.add_vocab_size(config["vocab_size"])
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list([f"<{i}>" for i in range(config["vocab_size"])])
writer.add_token_types([gguf.TokenType.NORMAL] * config["vocab_size"])
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
writer.add_ssm_dt_b_c_rms(False)
writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
writer.add_file_type(gguf.LlamaFileType.ALL_F32)

names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MAMBA, config["num_hidden_layers"])
for name, values in weights.items():
    if name.endswith(".A_log"):
        values = -np.exp(values)
    if name.endswith(".conv1d.weight"):
        values = values.squeeze(1)
    writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(values, np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
