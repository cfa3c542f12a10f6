"""Opening one task of lm-eval: its file, its documents from the hub or files, and what keeps it from being one here.

opened = open_task(Asked("gsm8k", dataset_files=("train=train.jsonl", "test=test.jsonl")))

lm-eval has no public way to load one task, with another data set, without its index; two of its inner modules do.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.core.contents import file_sha256
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.punkt import offer_punkt
from harness.tasks.lm_eval_task.documents import dataset_of, split_files
from harness.tasks.lm_eval_task.find import file_of
from harness.tasks.lm_eval_task.opened import GENERATES, Asked, Opened

_FEWSHOT_SEED = 1234  # lm-eval's own: of its --seed, the fourth
_SPLITS = ("test_split", "validation_split", "training_split", "fewshot_split")
_FROM_THE_HUB = (
    ". Its documents come from the hub; where that is out of reach, files can stand in: --dataset-file split=FILE"
)


def open_task(asked: Asked) -> Opened:
    """Raises UserError for whatever keeps the task from being one here; it is opened once for several who ask."""
    file = file_of(asked.name, Path(asked.include_path).expanduser() if asked.include_path else None)
    files = split_files(asked.dataset_files)
    states = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in (file, *files.values()) if path.is_file())
    return _opened(asked, file, states)


@lru_cache(maxsize=4)
def _opened(asked: Asked, file: Path, states: tuple[tuple[int, int], ...]) -> Opened:
    config = _config(file)
    _require_generation(asked.name, config)
    files = split_files(asked.dataset_files)
    overrides = _splits(asked, config, set(files)) if files else {}
    _prepare(file)
    data = dataset_of(files) if files else None
    task = _built(asked, file, overrides if data is None else {**overrides, "custom_dataset": lambda **_: data})
    own = task.config.num_fewshot
    if asked.num_fewshot is not None and own == 0 and asked.num_fewshot:
        raise UserError(f"lm_eval.num_fewshot={asked.num_fewshot}: the task {asked.name} is one without examples")
    task.set_config("num_fewshot", (own or 0) if asked.num_fewshot is None else asked.num_fewshot)
    task.set_fewshot_seed(_FEWSHOT_SEED)
    opened = Opened(asked, task, _code(file, config))
    _require_one_request(opened)
    return opened


def _config(file: Path) -> dict[str, Any]:
    """The task's YAML with what it includes; names of functions stay names."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        config: dict[str, Any] = load_yaml(file, resolve_func=False)
    except Exception as error:  # of YAML, of files that it includes
        raise UserError(f"{file} cannot be read: {_short(error)}") from error
    return config


def _require_generation(name: str, config: Mapping[str, Any]) -> None:
    """Raises UserError, with the reason, for tasks in which no answer is written, or none that could be graded here."""
    kind = config.get("output_type") or GENERATES
    if kind != GENERATES and "class" not in config:
        raise UserError(
            f"lm_eval:{name} is a task of the kind {kind}: it compares likelihoods of texts that are given, and "
            f"nothing is written that a method could steer. Choose one of the kind {GENERATES}"
        )
    if any(config.get(one) for one in ("doc_to_image", "doc_to_audio")):
        raise UserError(f"lm_eval:{name} asks about images or sounds; models here read text alone. Choose another task")
    if config.get("unsafe_code"):
        raise UserError(
            f"lm_eval:{name} runs programs that the model wrote, which is not done here. Choose another task, or grade "
            "its answers by a grader of your own, in a sandbox"
        )
    if (repeats := config.get("repeats") or 1) != 1:
        raise UserError(
            f"lm_eval:{name} scores {repeats} answers to a document together; methods here give one. Choose a task "
            "with repeats: 1"
        )


def _splits(asked: Asked, config: Mapping[str, Any], there: set[str]) -> dict[str, Any]:
    """What to change in a task whose splits are files: splits that it can do without and that are not there.

    Raises UserError where one is missing that it needs.
    """
    fewshot = dict(config.get("fewshot_config") or {})
    named = {key: config.get(key) for key in _SPLITS}
    wanted = {key: split for key, split in named.items() if split}
    known = {*wanted.values(), *([fewshot["split"]] if fewshot.get("split") else [])}
    roles = ", ".join(f"{split} ({key.removesuffix('_split')})" for key, split in wanted.items())
    if strange := sorted(there - known):
        raise UserError(
            f"--dataset-file {strange[0]}=...: the task {asked.name} has no such split; its splits: {roles}"
        )
    tested = named["test_split"] or named["validation_split"]
    if tested not in there:
        raise UserError(f"the task {asked.name} is evaluated on the split {tested}; give --dataset-file {tested}=FILE")
    shots = config.get("num_fewshot") if asked.num_fewshot is None else asked.num_fewshot
    examples = fewshot.get("split") or named["fewshot_split"] or (None if fewshot.get("samples") else "")
    if examples == "":
        examples = named["training_split"] or named["validation_split"] or tested
    if shots and examples and examples not in there:
        raise UserError(
            f"the task {asked.name} takes {shots} examples from the split {examples}; give --dataset-file "
            f"{examples}=FILE, or none: --set lm_eval.num_fewshot=0"
        )
    changed: dict[str, Any] = {key: None for key, split in wanted.items() if split not in there}
    if fewshot.get("split") and fewshot["split"] not in there:
        changed["fewshot_config"] = {**fewshot, "split": None}
    return changed


def _prepare(file: Path) -> None:
    """What checkers of some tasks want, without their downloads and with one outcome for one text."""
    sources = b"".join(path.read_bytes() for path in _python_beside(file))
    if b"punkt" in sources:
        offer_punkt(cache_folder())
    if b"langdetect" in sources:
        try:
            from langdetect import DetectorFactory
        except ImportError as error:
            raise UserError(
                "the task's checkers need the package langdetect; pip install 'iro-harness[ifeval]'"
            ) from error
        DetectorFactory.seed = 0  # else it draws, and a short text is of another language each time


def _built(asked: Asked, file: Path, overrides: Mapping[str, Any]) -> Any:
    from lm_eval.tasks._factory import TaskFactory
    from lm_eval.tasks._index import TaskIndex

    try:
        entry = TaskIndex.entry_from_path(file)
        assert entry is not None, f"{file} was found by the name that it gives"
        return TaskFactory().build(entry, overrides=dict(overrides), registry={})
    except ModuleNotFoundError as error:
        needs = "'iro-harness[ifeval]'" if error.name == "immutabledict" else error.name
        raise UserError(f"lm_eval:{asked.name} needs the package {error.name}; pip install {needs}") from error
    except Exception as error:  # of the hub, of the task's own Python
        where = "" if asked.dataset_files else _FROM_THE_HUB
        raise UserError(f"lm_eval:{asked.name} cannot be opened: {_short(error)}{where}") from error


def _require_one_request(opened: Opened) -> None:
    """Raises UserError for tasks in Python that ask several things about a document, or something else than a text."""
    task = opened.task
    try:
        first = next(iter(task.eval_docs))
        made = task.construct_requests(doc=first, ctx="", metadata=(opened.asked.name, 0, 1))
    except Exception as error:  # of the task's own Python
        raise UserError(f"{opened.name}: its first document asks nothing: {_short(error)}") from error
    requests = made if isinstance(made, list) else [made]
    if [request.request_type for request in requests] != [GENERATES]:
        kinds = ", ".join(dict.fromkeys(str(request.request_type) for request in requests))
        raise UserError(
            f"{opened.name} asks {len(requests)} things about a document ({kinds}); one text is written here"
        )
    if not isinstance(task.doc_to_text(first), str):
        raise UserError(f"{opened.name} asks for a choice between contexts; one text is written here")
    if opened.asked.chat and task.doc_to_prefix(first):
        raise UserError(
            f"{opened.name} begins the answer itself ({task.doc_to_prefix(first)!r}), which no chat template here goes "
            "on from; leave lm_eval.chat out"
        )
    if not opened.metrics:
        raise UserError(f"{opened.name} has no metric; give its file a metric_list")


def _code(file: Path, config: Mapping[str, Any]) -> str:
    """Hash of what defines a task, wherever it lies: lm-eval's version, its YAML, the Python beside it."""
    folder = str(file.parent)
    named = {str(key): str(value).replace(folder, "") for key, value in sorted(config.items())}
    python = {path.relative_to(file.parent).as_posix(): file_sha256(path) for path in _python_beside(file)}
    return digest([version("lm_eval"), named, python])[:20]


def _python_beside(file: Path) -> list[Path]:
    return sorted(file.parent.rglob("*.py"))


def _short(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:200]}"
