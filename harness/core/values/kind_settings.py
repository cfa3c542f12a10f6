"""Settings of values that are models of their own: of text alone, and of a small causal model beside the policy."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Kind = Literal["hidden", "text", "lm"]
Ngrams = Literal["words", "characters"]
Training = Literal["frozen", "lora", "full"]
_EMBEDDED = "smollm2-135m-instruct"  # `loading.EMBEDDED`, without what that imports


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TextSettings:
    """A ridge on hashed n-grams of prompt and answer; the kind that ranks held-out prefixes best is taken."""

    ngrams: Annotated[
        tuple[Ngrams, ...], Field(min_length=1, description="n-grams tried: of words, or characters (harness)")
    ] = ("words", "characters")
    columns: Annotated[int, Field(ge=64, le=2**22, description="n-grams share so many columns (harness)")] = 2**15
    embedding: Annotated[
        Literal["none", "minilm"],
        Field(description="beside them, the frozen embedding of all-MiniLM-L6; imdb's gold is such a model (harness)"),
    ] = "none"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LmSettings:
    """A causal model with its own tokenizer, whose pooled states a head reads."""

    model: Annotated[str, Field(min_length=1, description="folder, hub id or embedded name (harness)")] = _EMBEDDED
    blocks: Annotated[int, Field(ge=1, description="its first blocks, which are kept; the fewer the cheaper")] = 9
    train: Annotated[
        Training, Field(description="what is trained: the head alone, LoRA on all linear layers, or all weights")
    ] = "frozen"
    learning_rate: Annotated[float, Field(gt=0, description="of these weights, AdamW (harness)")] = 1e-4
    epochs: Annotated[int, Field(ge=1, description="most passes of training over the texts (harness)")] = 2
    batch: Annotated[int, Field(ge=1, description="texts a step (harness)")] = 16
    rank: Annotated[int, Field(ge=1, description="LoRA's r; alpha is twice that (harness)")] = 16
