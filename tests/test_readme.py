"""What pages for readers claim: numbers are those of stored runs, commands are understood, examples run."""

import re
import shlex
from pathlib import Path

import pytest

from harness.cli.program import parser
from harness.core.models.handle import PolicyHandle
from harness.core.streams import Streams
from harness.evidence.store import find_run, load_run
from tests import quotes
from tests.conftest import TOY_SAMPLER, toy_prompts

ROOT = Path(__file__).parents[1]
DOCS = sorted(set((ROOT / "harness" / "docs").glob("*.md")) - {ROOT / "harness" / "docs" / "CHANGELOG.md"})
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [*quotes.PAGES, *DOCS]}
RESULTS = {name: page for name, page in PAGES.items() if name.endswith("README.md")}


def example(words: str) -> str:
    """The one block of Python on any page that has these words."""
    blocks = {code for page in PAGES.values() for code in re.findall(r"```python\n(.*?)```", page, re.S)}
    (code,) = (code for code in blocks if words in code)
    return code


@pytest.mark.parametrize("name", RESULTS)
def test_every_quoted_number_is_what_its_stored_run_gives(name):
    assert quotes.numbers_written_anew(PAGES[name]) == PAGES[name], "then: python -m tests.quotes"
    for run in quotes.quoted_runs(PAGES[name]):
        about = load_run(find_run(ROOT / "results", run)).about
        assert not about["dirty"] and about["status"] == "done"


def test_base_samples_of_a_cpu_and_of_a_gpu_are_the_same_texts_as_often_as_is_said():
    """Of equal texts the proxy is the same to its last digits, on any machine."""
    said = re.search(
        r"of the ([\d,]+) base samples[^.]*?([\d,]+) are the same texts", RESULTS["results/README.md"], re.S
    )
    assert said is not None
    runs = ROOT / "results" / "tuning" / "imdb-standard-3719e78ec4" / "runs"
    there = load_run(ROOT / "results" / "runs" / "imdb-050d22a3a2")
    here = next(run for run in map(load_run, sorted(runs.iterdir())) if len(run.pool) == 3_200)
    assert (there.about["device"], here.about["device"]) == ("cuda:0", "cpu")
    both = there.pool.join(here.pool, on=["prompt_id", "row"], suffix="_here")
    same = (both["proxy_reward"] - both["proxy_reward_here"]).abs() < 1e-4
    assert [f"{len(same):,}", f"{same.sum():,}"] == list(said.groups())


@pytest.mark.slow
def test_the_screen_in_the_readme_is_what_its_command_ends_on():
    """Its id names versions of libraries too."""
    (shown,) = re.findall(r"<!--screen (.+?)-->\n```\n(.*?)```", README, re.S)
    assert re.sub(r"toy-\w{10}", "toy-id", quotes.screen(shown[0])) == re.sub(r"toy-\w{10}", "toy-id", shown[1])


def test_the_readme_is_short_and_its_numbers_are_written_from_runs():
    assert len(README.encode()) < 9_500 and README.count("\n") < 150
    bare = quotes.without_what_is_quoted(README)
    bare = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|\d{4}\.\d{5}", "", bare, flags=re.S)
    assert not re.findall(r"(?<!Python )(?<!Apache-)\b\d+\.\d+", bare)
    written = quotes.quoted(README)
    assert sum(len(re.findall(r"[-+]?\d+\.?\d*", text)) for text in written) <= 30


def commands() -> list[tuple[str, str]]:
    """Every command that a page names, in a line of code or of a block."""
    found = []
    for name, page in PAGES.items():
        for code in [*re.findall(r"`([^`\n]+)`", page), *re.sub(r"\\\n\s*", "", page).splitlines()]:
            words = re.match(r"\s*(?:\.venv/bin/)?(?:python -m )?harness ((?:[a-z]).*)$", code)
            if words and "->" not in code:
                found.append((name, words[1].split("  #")[0].split(" # ")[0].strip()))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("page", "words"), commands())
def test_every_command_that_a_page_names_is_understood(page, words):
    parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("name", PAGES)
def test_every_linked_file_exists(name):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[name]):
        assert target.startswith("http") or (ROOT / name).parent.joinpath(target).exists(), target


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
