"""Small tokenizers of the kinds that models come with, trained here on a few words: nothing is downloaded."""

import json
from collections.abc import Sequence

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

_TEXT = (
    "the film was good bad and i liked it not a great story with actors who play well or badly then we saw "
    "one two three four five six seven eight nine ten"
)
WORDS = _TEXT.split()


def word_level() -> PreTrainedTokenizerFast:
    """A token a letter, 97 of them; pad and end of text are the same token."""
    letters = "abcdefghijklmnopqrstuvwxyz .,!?"
    vocabulary = {"<eos>": 0} | {c: i + 1 for i, c in enumerate(letters)}
    vocabulary |= {f"<{i}>": i for i in range(len(vocabulary), 97)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<96>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")


def byte_level(
    bos: str | None = None, add_bos: bool = False, add_eos: bool = False, words: Sequence[str] = WORDS
) -> PreTrainedTokenizerFast:
    """Like GPT-2's and Llama 3's: pieces of bytes, a blank belongs to the word behind it."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = [token for token in ("<pad>", bos, "<eos>") if token]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([" ".join(words)] * 5, trainer)
    if add_bos or add_eos:
        single = (f"{bos} " if add_bos else "") + "$A" + (" <eos>" if add_eos else "")
        named = [(token, inner.token_to_id(token)) for token in (bos, "<eos>") if token]
        inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=named)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", bos_token=bos, pad_token="<pad>")


def sentencepiece_like(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    """Like Llama 2's and Mistral's: words begin with a blank, the decoder strips the first, rare bytes are tokens."""
    inner = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    inner.train_from_iterator(["▁" + word for word in words] * 5, trainer)
    about = json.loads(inner.to_str())
    vocabulary = about["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    inner = Tokenizer.from_str(json.dumps(about))
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", inner.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", bos_token="<s>", unk_token="<unk>")


def word_pieces(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    """Like BERT's: a blank stands between words, `##` joins pieces."""
    pieces = {piece for word in words for piece in (word, *word[:1], *(f"##{letter}" for letter in word))}
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[SEP]", *sorted(pieces)])}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]")
