"""Prompts of a data set and reward models, on the Hugging Face hub or in files and folders.

python -m harness plan tasks/setups/tldr-pythia.yaml          # what it takes, before anything is downloaded
python -m harness run --config tasks/setups/tldr-pythia.yaml

Fit and development prompts are of one data set, test prompts of its test split or of another data set; what a test
prompt asks, no other slice asks. Proxy and gold are two reward models (one number a text, a sequence classifier of
transformers), each told the answer in the form that it was trained on.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import ByContent
from harness.core.contents import contents, file_sha256
from harness.core.data.rows import rows_of, short
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.given_prompts import plain
from harness.core.quiet import silence_libraries
from harness.core.task import GOLD, Kind, Profiles, Slice, Task, TextCutter
from harness.core.types import Completion, Message, Prompt, Scorer

Reads = Literal["text", "pair", "chat"]
_FILES = (".jsonl", ".json", ".csv", ".parquet")
_DEVELOPMENT = 10  # one in so many fit prompts, by hash


def contents_of(source: str) -> str:
    """What names a file, or the files of a folder; a name on the hub is a name."""
    path = Path(source)
    if path.is_file():
        return file_sha256(path)[:20]
    if path.is_dir():
        return digest(contents(path, cache_folder()))[:20]
    return source


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class HubConfig:
    data: Annotated[
        str, Field(description="fit prompts: a data set of the hub, or a file (harness)"), ByContent(contents_of)
    ] = ""
    split: Annotated[str, Field(description="its split that is fitted on (harness)")] = "train"
    test: Annotated[
        str, Field(description="test prompts, likewise; empty: of `data` (harness)"), ByContent(contents_of)
    ] = ""
    test_split: Annotated[str, Field(description="their split (harness)")] = "test"
    column: Annotated[str, Field(description="what is asked, in `data` (harness)")] = "prompt"
    test_column: Annotated[str, Field(description="likewise in `test`; empty: as in `data` (harness)")] = ""
    chat: Annotated[bool, Field(description="a text is said by the user, not continued (harness)")] = False
    most: Annotated[int, Field(ge=1, description="prompts of a slice, the first by hash (harness)")] = 8192
    proxy: Annotated[
        str, Field(description="reward model, NAME or NAME@REVISION, or a folder (harness)"), ByContent(contents_of)
    ] = ""
    proxy_reads: Annotated[Reads, Field(description="prompt and answer as one text, two, or a chat (harness)")] = "text"
    gold: Annotated[str, Field(description="another reward model, which judges (harness)"), ByContent(contents_of)] = ""
    gold_reads: Annotated[Reads, Field(description="likewise (harness)")] = "text"


class Hub(Task):
    Config = HubConfig
    config: HubConfig
    source = "a data set and reward models of the Hugging Face hub, or files"
    kind: ClassVar[Kind] = "instructions"
    toy_as_well = True
    profiles: ClassVar[Profiles] = {
        "quick": {
            "sampler": {"max_new_tokens": 64},
            "fit": {"prompts": 32, "samples": 8},
            "evaluate": {"prompts": 32},
            "budget": {"rows": 9, "chunk": 8},
        },
        "standard": {
            "sampler": {"max_new_tokens": 256},
            "fit": {"prompts": 512, "samples": 16},
            "evaluate": {"prompts": 300},
            "budget": {"rows": 16, "chunk": 16},
        },
    }

    def __init__(self, config: HubConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        for name in ("data", "proxy", "gold"):
            if not getattr(config, name):
                raise UserError(f"the task hub needs hub.{name}; see the files in tasks/setups/, or `harness list hub`")
        self._proxy = RewardModel(config.proxy, config.proxy_reads)
        self._gold = RewardModel(config.gold, config.gold_reads)

    @property
    def versions(self) -> dict[str, int]:
        return {"prompts": 1, "proxy": 1, "gold": 1}

    @cached_property
    def _prompts(self) -> dict[Slice, list[Prompt]]:
        config = self.config
        test = _of(_texts(config.test or config.data, config.test_split, config.test_column or config.column), config)
        asked = {digest(plain(prompt)) for prompt in test}
        fit = _of(_texts(config.data, config.split, config.column), config)
        fit = [prompt for prompt in fit if digest(plain(prompt)) not in asked]
        kept = [prompt for prompt in fit if int(prompt.id, 16) % _DEVELOPMENT == 0]
        rest = [prompt for prompt in fit if int(prompt.id, 16) % _DEVELOPMENT]
        return {"fit": rest[: config.most], "development": kept[: config.most], "test": test[: config.most]}

    def prompts(self, part: Slice) -> list[Prompt]:
        return list(self._prompts.get(part, ()))

    def reward(self) -> Scorer:
        return self._proxy

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: self._gold(completions)}

    def describe(self) -> dict[str, Any]:
        return {
            "slices": {part: len(prompts) for part, prompts in self._prompts.items()},
            "is_chat": self.config.chat,
            "reward_versions": {"proxy": 1, "gold": 1},
        }


class RewardModel:
    """(n,) the one logit of a sequence classifier, each text by itself; loaded when it is first asked."""

    def __init__(self, name: str, reads: Reads) -> None:
        self._name, self._reads = name, reads

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        import torch

        tokenizer, model = self._model
        scores = []
        with torch.inference_mode():
            for completion in completions:
                batch = self._batch(tokenizer, completion).to(model.device)
                scores.append(float(model(**batch).logits[0, 0]))
        return np.array(scores, dtype=np.float32)

    def _batch(self, tokenizer: Any, completion: Completion) -> Any:
        prompt, answer = completion.prompt, completion.text
        messages = [{"role": m.role, "content": m.content} for m in prompt.messages or ()]
        asked = messages[-1]["content"] if messages else prompt.text or ""
        if self._reads == "chat":
            chat = [*(messages or [{"role": "user", "content": asked}]), {"role": "assistant", "content": answer}]
            text = tokenizer.apply_chat_template(chat, tokenize=False)
            return tokenizer(text, add_special_tokens=False, truncation=True, return_tensors="pt")
        texts = (asked, answer) if self._reads == "pair" else (asked + answer,)
        return tokenizer(*texts, truncation=True, return_tensors="pt")

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        """Raises UserError for what is no reward model, or cannot be reached."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        silence_libraries()
        name, _, revision = (self._name, "", "") if Path(self._name).is_dir() else self._name.partition("@")
        options = {"revision": revision} if revision else {}
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, **options)
            model = AutoModelForSequenceClassification.from_pretrained(name, device_map="auto", **options).eval()
        except (OSError, ValueError, ImportError) as error:
            raise UserError(
                f"reward model {self._name!r} could not be loaded ({str(error).splitlines()[0]}); check the connection "
                "to the hub, or give a folder"
            ) from error
        if model.config.num_labels != 1:
            raise UserError(
                f"{self._name!r} gives {model.config.num_labels} numbers for a text, and a reward model gives one"
            )
        return tokenizer, model


def _of(texts: Iterable[str], config: HubConfig) -> list[Prompt]:
    """Distinct prompts by id, which is a hash of what they ask."""
    found: dict[str, Prompt] = {}
    for text in texts:
        prompt = Prompt(digest([text, config.chat])[:12], None if config.chat else text,
                        (Message("user", text),) if config.chat else None)  # fmt: skip
        found.setdefault(prompt.id, prompt)
    return sorted(found.values(), key=lambda prompt: prompt.id)


def _texts(source: str, split: str, column: str) -> list[str]:
    """A column of a data set. Raises UserError where it is not there, or holds something else."""
    if source.endswith(_FILES) and "://" not in source:
        rows: Iterable[Any] = (row.columns for row in rows_of(Path(source)))
    else:
        rows = _downloaded(source, split)
    found = []
    for n, row in enumerate(rows, 1):
        if column not in row:
            raise UserError(f"{source}, row {n} has no column {column!r}; its columns: {', '.join(list(row)[:12])}")
        text = row[column]
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{source}, row {n}: {column} is {short(text)}; a prompt is a text")
        found.append(text)
    return found


def _downloaded(source: str, split: str) -> Iterable[Any]:
    from datasets import load_dataset  # slow to import, and only the hub needs it

    silence_libraries()
    try:
        if source.endswith(_FILES):  # hf://datasets/ORGANISATION/NAME/FILE.json
            kind = "parquet" if source.endswith(".parquet") else "csv" if source.endswith(".csv") else "json"
            return load_dataset(kind, data_files=source, split="train")  # type: ignore[no-any-return]
        return load_dataset(source, split=split)  # type: ignore[no-any-return]
    except Exception as error:  # the library raises its own, requests' and the hub client's errors alike
        raise UserError(
            f"data set {source!r} could not be loaded ({str(error).splitlines()[0][:120]}); check the connection to "
            "the hub, or give a file"
        ) from error
