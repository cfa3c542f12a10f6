"""What an opened task of lm-eval asks, and what it makes of a response.

opened = open_task(Asked("gsm8k", dataset_files=("train=train.jsonl", "test=test.jsonl")))
opened.prompts["test"][0].text                       # the context that lm-eval would send, few-shot examples and all
opened.values(prompt.row, "... #### 18")             # {"exact_match,strict-match": 1.0, ...}
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.task import SHARES, Slice, slice_of
from harness.core.types import Message, Prompt
from harness.tasks.lm_eval_task.plain import plain

GENERATES = "generate_until"  # the kind of task, and of request, in which a text is written


@dataclass(frozen=True)
class Asked:
    """Which task, and how: what lm-eval's command is told by --tasks, --num_fewshot and --apply_chat_template."""

    name: str
    include_path: str = ""
    dataset_files: tuple[str, ...] = ()
    num_fewshot: int | None = None  # None: the task's own
    chat: bool = False


@dataclass
class Opened:
    asked: Asked
    task: Any  # lm_eval.api.task.Task
    code: str  # names what defines the task: its file, the Python beside it, lm-eval's version
    _documents: dict[str, Any] = field(default_factory=dict)  # hash of a prompt's row -> lm-eval's document

    @property
    def name(self) -> str:
        return f"lm_eval:{self.asked.name}"

    @property
    def num_fewshot(self) -> int:
        return int(self.task.config.num_fewshot or 0)

    @property
    def has_training(self) -> bool:
        """Whether documents beside those that are answered can be fitted on."""
        return bool(self.task.has_training_docs())

    @property
    def stop(self) -> tuple[str, ...]:
        until = self._generation["until"]
        return tuple(dict.fromkeys(one for one in until if one))  # lm-eval looks for no empty one either

    @property
    def new_tokens(self) -> int:
        return int(self._generation["max_gen_toks"])

    @property
    def _generation(self) -> Mapping[str, Any]:
        from lm_eval.models.utils import normalize_gen_kwargs

        made: Mapping[str, Any] = normalize_gen_kwargs(dict(self.task.config.generation_kwargs or {}))
        return made

    @cached_property
    def metrics(self) -> list[str]:
        """As lm-eval's tables name them, `exact_match,strict-match`, the task's first one first."""
        return [f"{metric},{one.name}" for one in self.task._filters for metric in self.task.aggregation()]

    def is_better_higher(self, metric: str) -> bool:
        return bool(self.task.higher_is_better().get(metric.partition(",")[0], True))

    @cached_property
    def reads(self) -> frozenset[str]:
        """Columns of a document that its metrics read: those of the target, where nothing else can look at it."""
        columns = frozenset(name for of in self.prompts.values() for prompt in of for name in prompt.row)
        from jinja2 import meta
        from lm_eval.utils import env

        target = self.task.config.doc_to_target
        if callable(self.task.config.process_results) or not isinstance(target, str):
            return columns
        return (
            frozenset({target}) if target in columns else frozenset(meta.find_undeclared_variables(env.parse(target)))
        )

    @cached_property
    def evaluated(self) -> list[tuple[str, Prompt]]:
        """What each document that lm-eval evaluates asks, and its prompt, in lm-eval's order.

        These come first: few-shot examples are drawn one document after another, by a generator that goes on.
        """
        with _templates_compiled_once():
            return [self._prompt(doc) for doc in self.task.eval_docs]

    @cached_property
    def prompts(self) -> dict[Slice, list[Prompt]]:
        """By slice, sorted by id; of documents that repeat one is taken.

        Test prompts are the documents that lm-eval evaluates. Others are its training documents, cut by the hash of
        what they ask, and those that ask what a test document asks are left out; a task without training documents has
        a share of its test documents for them.
        """
        evaluated, asked = self.evaluated, {question for question, _ in self.evaluated}
        with _templates_compiled_once():
            others = (doc for doc in self._training if self._question(doc) not in asked)
            training = [self._prompt(doc, leave_out=doc) for doc in others]
        cut: dict[Slice, dict[str, Prompt]] = {part: {} for part in SHARES}
        for prompts, is_training in ((training, True), (evaluated, False)):
            for question, prompt in prompts:
                by_hash = slice_of(Prompt(prompt.id, text=question))
                if self.has_training:
                    by_hash = ("development" if by_hash == "development" else "fit") if is_training else "test"
                cut[by_hash].setdefault(prompt.id, prompt)
        return {part: sorted(of.values(), key=lambda p: p.id) for part, of in cut.items()}

    @cached_property
    def repeated(self) -> int:
        """Documents that another one repeats, or that ask what a test document asks: none of them is a prompt."""
        return len(self.evaluated) + len(self._training) - sum(map(len, self.prompts.values()))

    @cached_property
    def _training(self) -> list[Any]:
        return list(self.task.training_docs()) if self.has_training else []

    def values(self, row: Mapping[str, Any], response: str) -> dict[str, float]:
        """What each metric makes of one response, as lm-eval aggregates it over this document alone.

        Raises whatever the task's filters and metrics raise.
        """
        aggregation = self.task.aggregation()
        return {
            name: float(aggregation[name.partition(",")[0]]([value]))
            for name, value in self._raw(row, response).items()
        }

    def aggregated(self, rows: Sequence[Mapping[str, Any]], responses: Sequence[str]) -> dict[str, float]:
        """lm-eval's own numbers for so many documents and their responses."""
        found: dict[str, list[Any]] = {}
        for row, response in zip(rows, responses, strict=True):
            for name, value in self._raw(row, response).items():
                found.setdefault(name, []).append(value)
        aggregation = self.task.aggregation()
        return {name: float(aggregation[name.partition(",")[0]](values)) for name, values in found.items()}

    def _raw(self, row: Mapping[str, Any], response: str) -> dict[str, Any]:
        """Metric and filter -> what the task makes of the response, a number or what its aggregation reads."""
        from lm_eval.api.instance import Instance

        document = self._document(row)
        instance = Instance(GENERATES, document, ("", {}), 0, (self.asked.name, 0, 1), resps=[response])
        found = {}
        for one in self.task._filters:
            one.apply([instance])
            for metric, value in self.task.process_results(document, [instance.filtered_resps[one.name]]).items():
                found[f"{metric},{one.name}"] = value
        return {name: found[name] for name in self.metrics if name in found}

    def _document(self, row: Mapping[str, Any]) -> Any:
        """lm-eval's document behind a row, to which graders may have added the reference; else the row itself."""
        bare = {name: value for name, value in row.items() if name != "reference"}
        for columns in (row, bare):
            if (key := _key(columns)) in self._documents:
                return self._documents[key]
        return dict(row)

    def _question(self, document: Any) -> str:
        return str(self.task.doc_to_text(document))

    @contextmanager
    def _examples_that_there_are(self) -> Iterator[None]:
        """Raises UserError where lm-eval is to draw more examples than the split of examples has."""
        try:
            yield
        except (ValueError, AssertionError) as error:
            if not self.num_fewshot or self.num_fewshot < (there := len(self.task.sampler.fewshot_docs())):
                raise  # what is wrong is something else
            raise UserError(
                f"{self.name}: {self.num_fewshot} examples are asked for in a prompt, and there are {there}, of which "
                "none may be the document itself; ask for fewer: --set lm_eval.num_fewshot=N (tax: --num-fewshot N)"
            ) from error

    def _prompt(self, document: Any, leave_out: Any = None) -> tuple[str, Prompt]:
        """What a document asks, and the prompt with its few-shot examples, in the words of lm-eval."""
        question, row = self._question(document), plain(document)
        with _never_an_example(self.task, leave_out), self._examples_that_there_are():
            context = self.task.fewshot_context(
                document,
                num_fewshot=self.num_fewshot,
                system_instruction=None,
                apply_chat_template=self.asked.chat,
                fewshot_as_multiturn=self.asked.chat,
                chat_template=_messages if self.asked.chat else None,
                gen_prefix=self.task.doc_to_prefix(document),
            )
        target = self.task.doc_to_target(document)
        reference = target if isinstance(target, str) else None
        self._documents[_key(row)] = document
        name = digest([self.asked.name, self.asked.chat, row, question])[:12]
        if isinstance(context, _Said):
            return question, Prompt(name, messages=context.messages, reference=reference, row=row)
        return question, Prompt(name, text=context, reference=reference, row=row)


class _Said(str):
    """What lm-eval takes for the text that a chat template made, and is the messages themselves."""

    messages: tuple[Message, ...]


def _messages(history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> _Said:
    """In place of a chat template, which the policy has."""
    said = _Said("")
    said.messages = tuple(Message(one["role"], one["content"]) for one in history)
    return said


@contextmanager
def _never_an_example(task: Any, document: Any) -> Iterator[None]:
    """While a document to fit on is put into words, it is not among its own few-shot examples, answer and all."""
    sampler = vars(task).get("sampler")
    if document is None or sampler is None:
        yield
        return
    plain_sample = sampler.sample

    def sample(n: int, eval_doc: Any = None, **rest: Any) -> Any:
        return plain_sample(n=n, eval_doc=document, **rest)

    sampler.sample = sample
    try:
        yield
    finally:
        del sampler.sample


@contextmanager
def _templates_compiled_once() -> Iterator[None]:
    """lm-eval compiles a template for every document that it puts into words, which takes most of the time."""
    from lm_eval.utils import env

    env.from_string = lru_cache(maxsize=256)(env.from_string)
    try:
        yield
    finally:
        del env.from_string


def _key(row: Mapping[str, Any]) -> str:
    return digest(dict(row))
