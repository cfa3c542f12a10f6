"""Published models and data sets of the set-ups in tasks/setups/: what a plan has to know of them beforehand.

MODELS["meta-llama/Meta-Llama-3-8B-Instruct"].settings       # of transformers' configuration, from which sizes follow
DATA["HuggingFaceH4/ultrafeedback_binarized"].rows           # {"train_prefs": 61135, ...}

A model that is here, or whose configuration the hub gives, is never looked up here. `source` says where the figures are
from; parameters are not copied but counted, and agree with the published ones to the last (Pythia, Llama 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class KnownModel:
    kind: str  # transformers' model_type
    settings: Mapping[str, Any]
    source: str
    stored_bytes: int = 2  # of a parameter in the files that are downloaded


@dataclass(frozen=True)
class KnownData:
    rows: Mapping[str, int]  # of each split
    columns: tuple[str, ...]
    megabytes: int  # to download
    tokens: int  # of a prompt
    source: str
    notes: str = field(default="")  # what is assumed


_PYTHIA = {"max_position_embeddings": 2048}
_LLAMA_8B = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256,
}  # fmt: skip

MODELS: Mapping[str, KnownModel] = {
    "vwxyzjn/EleutherAI_pythia-6.9b-deduped__sft__tldr": KnownModel(
        "gpt_neox",
        {
            **_PYTHIA, "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 32,
            "num_attention_heads": 32, "vocab_size": 50432,
        },
        "config.json of its base, EleutherAI/pythia-6.9b-deduped",
    ),
    "cleanrl/EleutherAI_pythia-1b-deduped__reward__tldr": KnownModel(
        "gpt_neox",
        {
            **_PYTHIA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
            "num_attention_heads": 8, "vocab_size": 50304,
        },
        "its config.json",
        stored_bytes=4,
    ),
    "OpenAssistant/reward-model-deberta-v3-large-v2": KnownModel(
        "deberta-v2",
        {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "vocab_size": 128100, "max_position_embeddings": 512, "type_vocab_size": 0, "relative_attention": True,
            "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
        },
        "config.json of its base, microsoft/deberta-v3-large",
        stored_bytes=4,
    ),
    "meta-llama/Meta-Llama-3-8B-Instruct": KnownModel(
        "llama", {**_LLAMA_8B, "max_position_embeddings": 8192}, "its config.json"
    ),
    "SiliangZ/RM_Mistral_sft_init_ultrafeedbck_lr_5e6": KnownModel(
        "mistral",
        {**_LLAMA_8B, "vocab_size": 32000, "max_position_embeddings": 32768},
        "config.json of Mistral 7B, which its name says it is",
    ),
    "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": KnownModel(
        "llama",
        {**_LLAMA_8B, "max_position_embeddings": 131072},
        "config.json of its base, meta-llama/Llama-3.1-8B-Instruct",
    ),
}  # fmt: skip

DATA: Mapping[str, KnownData] = {
    "cleanrl/summarize_from_feedback_tldr_3_filtered_oai_preprocessing_1704563162": KnownData(
        {"train": 116_722, "validation": 6_447, "test": 6_553},
        ("id", "subreddit", "title", "post", "summary", "query", "reference_response"),
        552,
        512,
        "its card",
        "prompts of 512 tokens, to which they were cut",
    ),
    "HuggingFaceH4/ultrafeedback_binarized": KnownData(
        {"train_prefs": 61_135, "test_prefs": 2_000, "train_sft": 61_135, "train_gen": 61_135, "test_sft": 1_000,
         "test_gen": 1_000},
        ("prompt", "prompt_id", "chosen", "rejected", "messages", "score_chosen", "score_rejected"),
        650,
        256,
        "its card",
        "prompts of 256 tokens",
    ),
    "hf://datasets/tatsu-lab/alpaca_eval/alpaca_eval.json": KnownData(
        {"train": 805},
        ("instruction", "output", "generator", "dataset"),
        1,
        128,
        "AlpacaEval (github.com/tatsu-lab/alpaca_eval)",
        "prompts of 128 tokens",
    ),
}  # fmt: skip
