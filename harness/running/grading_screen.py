"""What `harness grade` prints: ten graded base samples, what has no score and why, spread, and what a run would cost.

show_graded(graded(config, workspace))
"""

from math import isnan

from harness.core.graders.grade import Grade
from harness.core.types import Prompt
from harness.evidence.markdown import digits_for
from harness.evidence.terminal import Column, Terminal, grid
from harness.running.grading import EACH, GradedSamples, Preflight

SHOWN = 10
_PROMPT, _ANSWER = 24, 30  # characters, in a terminal of 80 columns


def show_graded(found: Preflight, terminal: Terminal | None = None) -> None:
    """One sample of each prompt, then what holds of all."""
    screen = terminal or Terminal()
    for line in found.introduction:
        screen.say(line)
    proxy, more = found.graders["proxy"], max(0, screen.width - 80) // 2
    rows = list(range(0, len(found.completions), EACH))[:SHOWN]
    screen.show(
        grid(
            [
                Column("prompt", [_tail(found.completions[i].prompt, _PROMPT + more) for i in rows], is_text=True),
                Column("answer", [_head(found.completions[i].text, _ANSWER + more) for i in rows], is_text=True),
                Column("score", [_score(proxy.grades[i], digits_for(proxy.within)) for i in rows]),
            ],
            screen.width,
        )
    )
    show_findings(found, screen)


def show_findings(found: Preflight, screen: Terminal) -> None:
    """Without the samples: a few lines a grader, and what speaks against a run."""
    for role, of in found.graders.items():
        for line in _lines(role, of):
            screen.say(line)
    for problem in found.problems:
        screen.say_after("stop", problem, "bold red")


def _lines(role: str, of: GradedSamples) -> list[str]:
    count = len(of.grades)
    lines = [f"{role} {of.name}: {count} answers to {len(set(of.prompts))} prompts, {_time(of.seconds)} a call"]
    for error, n in of.errors.items():
        detail = next(g.detail for g in of.grades if g.error == error)
        lines.append(f"  no score: {n} of {count} ({n / count:.0%}) {error}, such as: {detail[:160]}")
    if not of.is_deaf:
        lines.append(
            f"  spread: sd {_known(of.within)} within a prompt, {_known(of.between)} between prompts beyond chance; "
            f"{of.telling} of {len(set(of.prompts))} prompts have answers that differ in score"
        )
    same = (
        "the same scores" if not of.changed else f"{of.changed} of {count} have another score: it is not deterministic"
    )
    lines.append(f"  graded again: {same}")
    return lines


def _score(grade: Grade, digits: str) -> str:
    return f"{grade.score:{digits}}" if grade.error is None else grade.error


def _tail(prompt: Prompt, width: int) -> str:
    text = prompt.text if prompt.text is not None else (prompt.messages or ())[-1].content
    line = " ".join(text.split())
    return line if len(line) <= width else f"...{line[3 - width :]}"


def _head(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _known(spread: float) -> str:
    return "unknown" if isnan(spread) else f"{spread:.3g}"


def _time(seconds: float) -> str:
    if seconds >= 0.0995:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{1000 * seconds:.2g} ms"
