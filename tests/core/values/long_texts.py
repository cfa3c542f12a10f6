"""A tiny policy whose tokens are whole words, so that a text of 400 words has 400 tokens."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.core.models.transformers_policy import TransformersPolicy

_WORDS = ["film", "was", "good", "bad", "and", "not", "a", "story"]


def word_policy() -> TransformersPolicy:
    """It has no end of text: nothing stops it but its limit."""
    vocabulary = {word: i for i, word in enumerate(_WORDS)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="film"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.WordPiece()  # words with blanks between them
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=600, eos_token_id=None,
    )  # fmt: skip
    return TransformersPolicy(LlamaForCausalLM(config), tokenizer, "words", "words")
