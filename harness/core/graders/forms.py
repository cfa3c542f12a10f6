"""How a user's function is called, told from the names of its parameters, and only where two forms fit from its own.

form_of(Parameters("f", ("prompts", "completions", "answer"), ...))     # TRL
form_of(Parameters("compute_score", ("data_source", "solution_str", "ground_truth"), ...))     # verl
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.core.errors import UserError

FormName = Literal[
    "single", "batched", "openai", "trl", "rubric", "rubric_group", "verifiers", "verl", "fireworks", "eval_protocol",
    "bedrock", "promptfoo", "openrlhf", "tinker",
]  # fmt: skip
RUBRIC = frozenset({"completion", "prompt", "answer", "info", "state", "task", "parser"})
RUBRIC_GROUP = frozenset({"completions", "prompts", "answers", "infos", "states", "tasks", "parser"})
TRL_EXTRAS = frozenset({"completion_ids", "trainer_state", "log_extra", "log_metric"})

WHOLE_ROW: frozenset[FormName] = frozenset({"openai", "eval_protocol"})  # no parameter is a column


@dataclass(frozen=True)
class Parameters:
    """Of a function: its name, its parameters with and without a default, and the name of its **parameter."""

    function: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    rest: str | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.required + self.optional)

    def __str__(self) -> str:
        optional = [f"{name}=..." for name in self.optional]
        return f"({', '.join([*self.required, *optional, *([f'**{self.rest}'] if self.rest else [])])})"


@dataclass(frozen=True)
class Form:
    """One vendor's way to write a grader. `usual` is the name that the vendor asks for, "" where any will do."""

    name: FormName
    shape: str
    origin: str
    fits: Callable[[Parameters], bool]
    batched: bool = False
    usual: str = ""
    package: str = ""  # without which nothing in this form can be imported


FORMS: tuple[Form, ...] = (
    Form("single", "(prompt, response, **row)", "this harness", lambda p: {"prompt", "response"} <= p.names),
    Form(
        "batched",
        "(prompts, responses, **columns)",
        "this harness",
        lambda p: {"prompts", "responses"} <= p.names,
        batched=True,
    ),
    Form("openai", "(sample, item)", "OpenAI", lambda p: _exactly(p, {"sample", "item"}), usual="grade"),
    Form(
        "trl",
        "(prompts, completions, **columns) or (completions, **kwargs)",
        "TRL",
        lambda p: "completions" in p.names and not _group(p),
        batched=True,
    ),
    Form("rubric", "any of (completion, prompt, answer, info, state, task, parser)", "verifiers", lambda p: _rubric(p)),
    Form(
        "rubric_group",
        "any of (completions, prompts, answers, infos, states, tasks, parser)",
        "verifiers",
        lambda p: _group(p),
        batched=True,
    ),
    Form("verifiers", "(self, trace)", "verifiers v1", lambda p: _exactly(p, {"self", "trace"}), package="verifiers"),
    Form(
        "verl",
        "(data_source, solution_str, ground_truth, extra_info=None)",
        "verl",
        lambda p: "solution_str" in p.names and bool(p.names & {"ground_truth", "data_source"}),
        usual="compute_score",
    ),
    Form(
        "fireworks", "(messages, ground_truth=None, **kwargs)", "Fireworks", lambda p: p.required[:1] == ("messages",)
    ),
    Form(
        "eval_protocol",
        "(row)",
        "eval-protocol",
        lambda p: _exactly(p, {"row"}),
        package="eval_protocol",
    ),
    Form(
        "bedrock",
        "(event, context)",
        "Bedrock",
        lambda p: _exactly(p, {"event", "context"}),
        usual="lambda_handler",
    ),
    Form(
        "promptfoo", "(output, context)", "promptfoo", lambda p: _exactly(p, {"output", "context"}), usual="get_assert"
    ),
    Form(
        "openrlhf",
        "(queries, prompts, labels)",
        "OpenRLHF",
        lambda p: {"queries", "prompts", "labels"} <= p.names,
        batched=True,
        usual="reward_func",
    ),
    Form(
        "tinker",
        "a class with check_answer(self, sample_str)",
        "Tinker",
        lambda p: _exactly(p, {"self", "sample_str"}),
    ),
)
_ELSEWHERE: tuple[tuple[frozenset[str], str], ...] = (  # parameters of what grades no single answer, and what to do
    (
        frozenset({"trajectory", "trajectories", "group", "message_lists"}),
        "ART grades whole trajectories inside rollouts of its own, which are not run here; write what it makes of the "
        "last answer as (prompt, response, **row), and RULER's question to a model as a score_model of OpenAI's JSON",
    ),
    (
        frozenset({"env", "environment", "rollout"}),
        "it grades a rollout of an environment, which is not run here; write what it makes of the last answer as "
        "(prompt, response, **row)",
    ),
)
FORM: dict[str, Form] = {form.name: form for form in FORMS}


def fitting(parameters: Parameters) -> list[Form]:
    """The forms that a function may be of; where its name is the one that a vendor asks for, that vendor's alone."""
    fit = [form for form in FORMS if form.fits(parameters)]
    named = [form for form in fit if form.usual == parameters.function]
    return named if len(named) == 1 else fit


def form_of(parameters: Parameters) -> Form:
    """The one form that a function is of. Raises UserError, which lists all forms, for none and for several."""
    fit = fitting(parameters)
    if len(fit) == 1:
        return fit[0]
    why = (
        f"fits several forms ({'; '.join(f'{form.origin} {form.shape}' for form in fit)}); rename its parameters"
        if fit
        else "fits no form; the names of its parameters tell how to call it"
    )
    for names, what in _ELSEWHERE:
        if not fit and names & parameters.names:
            raise UserError(f"the grader {parameters.function}{parameters}: {what}")
    listed = "".join(f"\n  {form.origin}: {form.shape}" for form in FORMS)
    raise UserError(f"the grader {parameters.function}{parameters} {why}. Forms:{listed}")


def _exactly(parameters: Parameters, names: set[str]) -> bool:
    """Takes these, and nothing besides that it could not do without."""
    return names <= parameters.names and set(parameters.required) <= names


def _rubric(parameters: Parameters) -> bool:
    """Sees the answer, and needs nothing but what a rubric gives."""
    return bool(parameters.names & {"completion", "state"}) and set(parameters.required) <= RUBRIC


def _group(parameters: Parameters) -> bool:
    """A rubric over all answers: only plurals, and one of them that TRL would take for a column of the data."""
    told = parameters.names & (RUBRIC_GROUP - {"completions", "prompts", "parser"})
    sees = parameters.names & {"completions", "states"}
    return bool(told and sees) and set(parameters.required) <= RUBRIC_GROUP
