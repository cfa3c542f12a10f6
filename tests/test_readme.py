"""What the README claims: its table is the committed run's, its example is a method, its files exist."""

import re
from pathlib import Path

import pytest

from harness.core.models.handle import PolicyHandle
from harness.core.streams import Streams
from harness.evidence.report import table_markdown
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from tests.conftest import TOY_SAMPLER, toy_prompts

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def example(words: str) -> str:
    """The one block of Python that has these words."""
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.S) if words in code)
    return code


@pytest.fixture(scope="module")
def opening() -> tuple[str, str]:
    """Run id and table of the results at the top."""
    return re.search(r"<!-- results: (\S+) -->\n(.*?)\n<!-- end of results -->", README, re.S).groups()


def test_the_table_is_what_the_stored_run_gives(opening):
    run_id, table = opening
    run = load_run(ROOT / "results" / "runs" / run_id)
    assert table == table_markdown(comparison(run))
    assert not run.about["dirty"] and run.about["status"] == "done"


def test_every_linked_file_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_example_method_is_one(toy, ledger):
    scope: dict = {}
    exec(example("class Longest"), scope)
    method = scope["Longest"](scope["Config"](n=6), PolicyHandle(toy, TOY_SAMPLER, ledger), None, Streams(0))
    for answer in method.generate(toy_prompts(5)):
        assert len(answer.pick("first").tokens) == max(len(c.completion.tokens) for c in answer.finalists)
        assert answer.work["first"].policy_tokens > 0


def test_the_example_of_python_aligns_a_model(place):
    prompts = ", ".join(repr(f"{i} topic {i % 2}") for i in range(20))
    code = example("harness.align")
    code = re.sub(r"prompts = \[.*?\]", f"prompts = [{prompts}]", code).replace("smollm2-135m-instruct", "toy")
    code = (
        code.replace("The film was", "topic 1")
        .replace('"!"', '"a"')
        .replace("\naligned.generate", "\ntexts = aligned.generate")
    )
    scope: dict = {}
    exec(code.replace("\nharness.load", "\nagain = harness.load"), scope)
    assert scope["again"] == scope["texts"] and isinstance(scope["texts"][0], str)
