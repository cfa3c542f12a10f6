"""Tiny random models of many architectures, made here: nothing is downloaded.

model = make("gpt_neo")          # four blocks, 97 tokens, weights large enough for differences to show
ARCHITECTURES                    # name -> settings that differ from BASE
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

BASE: Mapping[str, Any] = {
    "vocab_size": 97, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 0,
    "eos_token_id": 0,
}  # fmt: skip
_GPT = {"n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 256}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_MLA = {
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_group": 1, "topk_group": 1,
    "head_dim": 8, "num_key_value_heads": 4,
}  # fmt: skip
_WINDOW = {"sliding_window": 8}  # shorter than the texts of the tests
_LONG_WINDOW = {"sliding_window": 128}  # longer
_MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}
_MAMBA2 = {**_MAMBA, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_chunk_size": 8}
_DELTA = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip
_MIXED = ["linear_attention", "full_attention"] * 2

# settings beyond BASE; None leaves one of BASE out. A name may have a variant behind a colon.
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "apertus": {},
    "arcee": {},
    "bamba": {**_MAMBA2, "attn_layer_indices": [1, 3]},
    "bart": {"d_model": 64, "decoder_layers": 4, "encoder_layers": 2, "decoder_attention_heads": 4},
    "bert": {},
    "bert:decoder": {"is_decoder": True},
    "biogpt": {},
    "bitnet": {},
    "bloom": {"n_head": 4, "n_layer": 4},
    "codegen": {**_GPT, "rotary_dim": 8},
    "cohere": {},
    "cohere2": _WINDOW,
    "ctrl": {**_GPT, "dff": 96},
    "dbrx": {
        "d_model": 64, "n_heads": 4, "n_layers": 4, "max_seq_len": 256, "head_dim": None,
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 64},
    },
    "deepseek_v2": _MLA,
    "deepseek_v3": _MLA,
    "diffllama": {},
    "doge": {},
    "dots1": {**_EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1,
        "first_k_dense_replace": 1},
    "ernie4_5": {},
    "exaone4": {**_WINDOW, "sliding_window_pattern": 4},
    "falcon": {"head_dim": None, "num_kv_heads": 4},
    "falcon:alibi": {"head_dim": None, "num_kv_heads": 4, "alibi": True},
    "falcon_h1": {**_MAMBA2, "mamba_d_ssm": 128},
    "flex_olmo": _EXPERTS,
    "gemma": {},
    "gemma2": _WINDOW,
    "gemma3_text": _WINDOW,
    "gemma3": {"text_config": {**BASE, **_WINDOW}, "vision_config": {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 16,
        "patch_size": 8,
    }, "mm_tokens_per_image": 4, "image_token_index": 96, "boi_token_index": 95, "eoi_token_index": 94},
    "gemma3n_text": {**_WINDOW, "num_kv_shared_layers": 0, "laurel_rank": 8, "hidden_size_per_layer_input": 16,
        "vocab_size_per_layer_input": 97, "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": [0.0] * 4},
    "gemma4_text": _WINDOW,
    "glm": {"partial_rotary_factor": 0.5},
    "glm4": {"partial_rotary_factor": 0.5},
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "gpt_neo": {"num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 8},
    "gpt_neox": {},
    "gpt_oss": {**_WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gptj": {**_GPT, "rotary_dim": 8},
    "granite": {},
    "granitemoe": {"num_local_experts": 4},
    "granitemoehybrid": {**_MAMBA2, "layer_types": ["mamba", "attention"] * 2, "num_local_experts": 0,
        "shared_intermediate_size": 96},
    "helium": {},
    "hunyuan_v1_dense": {},
    "jamba": {**_MAMBA, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False,
        "mamba_dt_rank": 4},
    "jetmoe": {"kv_channels": 16, "num_local_experts": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2, "block_auto_adjust_ff_dim": False},
    "llama": {},
    "llama4_text": {"attention_chunk_size": 8, "num_local_experts": 2, "intermediate_size_mlp": 96},
    "mamba": {"state_size": 8, "time_step_rank": 4},
    "mamba2": {"num_heads": 8, "head_dim": 16, "n_groups": 1, "state_size": 8, "chunk_size": 8, "expand": 2},
    "minimax": {**_EXPERTS, "num_local_experts": 4, "layer_types": _MIXED, "block_size": 8},
    "ministral": _WINDOW,
    "mistral": _WINDOW,
    "mistral:long": _LONG_WINDOW,
    "mixtral": {"num_local_experts": 4, "sliding_window": None},
    "modernbert-decoder": {"cls_token_id": 0, "sep_token_id": 0},
    "mpt": {"d_model": 64, "n_heads": 4, "n_layers": 4},
    "nemotron": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": _WINDOW,
    "olmoe": _EXPERTS,
    "openai-gpt": _GPT,
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64},
    "persimmon": {},
    "phi": {},
    "phi3": {},
    "phi3:long": _LONG_WINDOW,
    "phimoe": {"num_local_experts": 4},
    "qwen2": {},
    "qwen2_moe": {**_EXPERTS, "shared_expert_intermediate_size": 32},
    "qwen3": {},
    "qwen3_moe": _EXPERTS,
    "qwen3_next": {**_EXPERTS, **_DELTA, "layer_types": _MIXED, "shared_expert_intermediate_size": 32},
    "qwen3_5_text": {**_DELTA, "layer_types": _MIXED},
    "recurrent_gemma": {"lru_width": 64, "attention_window_size": 8, "block_types": ["recurrent", "attention"],
        "num_hidden_layers": 4},
    "rwkv": {"attention_hidden_size": 64, "context_length": 256},
    "seed_oss": {},
    "smollm3": {},
    "stablelm": {},
    "starcoder2": _WINDOW,
    "starcoder2:long": _LONG_WINDOW,
    "vaultgemma": _WINDOW,
    "xglm": {"d_model": 64, "num_layers": 4, "attention_heads": 4, "ffn_dim": 96},
    "xlm": {"emb_dim": 64, "n_layers": 4, "n_heads": 4},
    "zamba": {**_MAMBA, "mamba_dt_rank": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "n_mamba_heads": 2,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "use_mamba_kernels": False},
    "zamba2": {**_MAMBA, "n_mamba_heads": 8, "mamba_headdim": 16, "mamba_ngroups": 1, "chunk_size": 8,
        "num_mem_blocks": 1, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "use_mamba_kernels": False},
}  # fmt: skip


def make(name: str) -> PreTrainedModel:
    """The model of a name of ARCHITECTURES, in float32 on the CPU, always the same."""
    settings = {**BASE, **ARCHITECTURES[name]}
    kind = name.partition(":")[0]
    config = CONFIG_MAPPING[kind](**{key: value for key, value in settings.items() if value is not None})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return model
