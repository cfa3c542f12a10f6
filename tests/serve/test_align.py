"""The five lines that align a model with a Python function, on the toy; and on the real model where there is time."""

import json
import shutil
import sys
from pathlib import Path

import pytest

import harness
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.json_file import read_json, write_json
from harness.core.registry import import_file

PROMPTS = [f"question {i} about topic {i % 2}" for i in range(24)]
QUICK = {"iterations": 1, "workers": 1}


def my_reward(prompt, response):
    return response.count("a") - response.count("b")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder with an aligned toy, and the cache it was made with."""
    place = tmp_path_factory.mktemp("align")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        harness.align("toy", PROMPTS, reward=my_reward, out=place / "aligned", **QUICK)
    return place


@pytest.fixture
def aligned(kept, place) -> Path:
    shutil.copytree(kept, place, dirs_exist_ok=True)
    return place / "aligned"


def test_the_five_lines(place):
    prompts = [f"topic {i % 2}" for i in range(24)]
    aligned = harness.align("toy", prompts, reward=my_reward, method="iro", out="aligned/")
    texts = aligned.generate(["topic 0", "topic 1"])
    assert all(isinstance(text, str) for text in texts)
    assert harness.load("aligned/").generate(["topic 0", "topic 1"]) == texts
    assert sorted(path.name for path in Path("aligned").iterdir()) == ["about.json", "base", "iro", "manifest.json"]
    assert not list(Path().glob(".aligned*"))
    (answer,) = aligned.answers(["topic 1"], pick="reward")
    assert [my_reward("", f.text) for f in answer.finalists] == [f.proxy for f in answer.finalists]
    assert my_reward("", answer.text) == max(f.proxy for f in answer.finalists) and answer.reward_calls > 0


def test_the_aligned_model_has_more_of_the_reward_than_the_base(aligned):
    """400 prompts of the toy; their difference is five standard errors, so that a false alarm has odds below 1e-6."""
    prompts = [f"new {i} topic {i % 2}" for i in range(400)]
    guided, plain = (harness.load(aligned, method).generate(prompts) for method in ("iro", "base"))
    gain = [my_reward("", one) - my_reward("", other) for one, other in zip(guided, plain, strict=True)]
    assert sum(gain) / len(gain) > 0.5


def test_again_it_takes_everything_from_the_cache(aligned, capsys):
    before = {path: path.stat().st_mtime_ns for path in aligned.rglob("*")}
    again = harness.align("toy", PROMPTS, reward=my_reward, out=aligned, **QUICK)
    assert "is done" in capsys.readouterr().err and again.method == "iro"
    assert {path: path.stat().st_mtime_ns for path in aligned.rglob("*")} == before


def test_rows_and_batched_rewards_with_settings_of_their_own(place):
    def batched(prompts, responses, letter):
        assert all(prompt.endswith(("0", "1")) for prompt in prompts)
        return [response.count(one) for response, one in zip(responses, letter, strict=True)]

    rows = [{"prompt": text, "letter": "ab"[i % 2]} for i, text in enumerate(PROMPTS)]
    aligned = harness.align("toy", rows, batched, "best_of_n", out="aligned", n=3, evaluate={"prompts": 4}, workers=1)
    about = json.loads((place / "aligned" / "about.json").read_text(encoding="utf-8"))
    assert about["asked"]["settings"]["best_of_n"]["n"] == 3 and about["facts"]["slices"] == {"fit": 20, "test": 4}
    (answer,) = aligned.answers([{"prompt": "topic 0", "letter": "c"}])
    assert answer.pick == "reward" and len(answer.finalists) == 3
    assert answer.text.count("c") == max(f.text.count("c") for f in answer.finalists)


@pytest.mark.parametrize("method, count, fewest", [("iro", 15, 16), ("controlled_decoding", 5, 6), ("base", 0, 6)])
def test_too_few_prompts_are_refused_with_how_many_it_takes(place, method, count, fewest):
    with pytest.raises(UserError, match=f"{count} prompts are too few for {method}: .* give at least {fewest}"):
        harness.align("toy", PROMPTS[:count], my_reward, method, out="aligned")
    assert not Path("aligned").exists()


def test_the_fewest_prompts_work(place):
    prompts = [f"{word} topic {i % 2}" for i, word in enumerate("abcdef")]
    assert harness.align("toy", prompts, my_reward, "controlled_decoding", out="aligned", workers=1).generate(
        ["topic 0"]
    )


def test_a_folder_with_other_things_is_left_alone(aligned):
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="'mine' holds other things"):
        harness.align("toy", PROMPTS, my_reward, out="mine", **QUICK)
    with pytest.raises(UserError, match="was aligned with other prompts, another reward or other settings"):
        harness.align("toy", PROMPTS[1:], my_reward, out=aligned, **QUICK)
    before = (aligned / "about.json").read_bytes()
    replaced = harness.align("toy", PROMPTS[1:], my_reward, "base", out=aligned, replace_out=True, workers=1)
    assert replaced.method == "base" and (aligned / "about.json").read_bytes() != before


def test_failures_are_counted_and_all_failing_stops(place, capfd):
    def fails_on_b(prompt, response):
        return response.count("a") / (0 if response.startswith("b") else 1)

    harness.align("toy", PROMPTS, fails_on_b, out="aligned", iterations=1, workers=2)
    said = capfd.readouterr().err  # worker processes write there, too
    assert said.count("ZeroDivisionError") == 1 and "the reward gave no number for " in said
    with pytest.raises(UserError, match="no finite score for any"):
        harness.align("toy", PROMPTS, lambda prompt, response: None, out="none", **QUICK)
    with pytest.raises(UserError, match="asks for answer, which the row of prompt 'question 0"):
        harness.align("toy", PROMPTS, lambda prompt, response, answer: 0.0, out="none", **QUICK)
    assert not Path("none").exists()


def test_another_reward_of_the_same_name_is_another_model(place):
    """An edited grader gave the old answers."""
    means = []
    for letter in "ab":
        Path(f"{letter}.py").write_text(f"def grade(prompt, response): return response.count({letter!r})", "utf-8")
        grade = import_file(Path(f"{letter}.py").resolve()).grade
        made = harness.align("toy", PROMPTS, grade, out=letter, **QUICK)
        means.append(sum(text.count("a") for text in made.generate(PROMPTS)))
    assert means[0] > means[1]


def test_without_source_nothing_comes_from_the_cache(place, capsys):
    scope: dict = {}
    exec("def typed(prompt, response): return response.count('a')", scope)
    for _ in range(2):
        made = harness.align("toy", PROMPTS, scope["typed"], "base", out="aligned", replace_out=True, workers=1)
        said = capsys.readouterr().err
        assert said.count("nothing made with it is taken from the cache") == 1 and "is done" not in said
    assert made.generate(["topic 0"])


def test_a_reward_that_can_be_imported_is_found_again_unless_it_changed(place):
    path = Path("graders.py").resolve()
    path.write_text("def grade(prompt, response): return response.count('a')", encoding="utf-8")
    made = harness.align("toy", PROMPTS, import_file(path).grade, "best_of_n", out="aligned", workers=1)
    assert harness.load("aligned").generate(PROMPTS) == made.generate(PROMPTS)
    path.write_text("def grade(prompt, response): return response.count('b')", encoding="utf-8")
    for name in [name for name in sys.modules if name.startswith("graders_")]:
        del sys.modules[name]  # as in another process
    with pytest.raises(UserError, match="is not the one that was fitted on; give that one as reward="):
        harness.load("aligned").generate(PROMPTS)
    path.unlink()
    with pytest.raises(UserError, match="is gone; give it as reward="):
        harness.load("aligned").generate(PROMPTS)


def test_a_reward_that_cannot_be_imported_has_to_be_given(aligned):
    write_json(aligned / "about.json", read_json(aligned / "about.json", "") | {"reward": None})
    (aligned / "manifest.json").unlink()
    opened = harness.load(aligned)
    assert opened.generate(["topic 0"])
    with pytest.raises(UserError, match=r"iro asks the reward at test time .* give it as reward="):
        opened.generate(["topic 0"], pick="reward")
    with pytest.raises(UserError, match="give it as reward="):
        opened.answers(["topic 0"], proxy=True)
    assert harness.load(aligned, reward=my_reward).generate(["topic 0"], pick="reward")


def test_a_run_of_the_command_and_its_tables_come_from_python(place, unrendered):
    run = harness.run(
        method=["iro"], task="toy", limit=4, workers=1, only=True, iro={"iterations": 1}, fit={"prompts": 10}
    )
    assert run.folder.parent == Path("results/runs") and (run.folder / "report.md").is_file()
    assert run.about["config"]["settings"]["iro"]["iterations"] == 1 and len(run.completions) == 12
    assert harness.load_run(run.id).completions.equals(run.completions)
    assert harness.load(run.id).generate(["topic 0"])
    Path("c.yaml").write_text("task: toy\nmethod: base\nonly: true\nlimit: 4\n", encoding="utf-8")
    assert harness.run(config="c.yaml", workers=1, seed=2).about["config"]["seed"] == 2
    for options, says in (
        ({"task": "imbd"}, "unknown task 'imbd'"),
        ({"task": "toy", "limit": "4"}, "limit in the options is '4': give a whole number"),
        ({"task": "toy", "widht": 3}, "unknown setting 'widht'"),
    ):
        with pytest.raises(UserError, match=says):
            harness.run(**options)


def test_the_run_behind_it_is_stored_in_the_cache(aligned):
    runs = list((cache_folder() / "aligned" / "runs").iterdir())
    assert len(runs) == 1 and runs[0].name.startswith("own-")


@pytest.mark.slow
def test_the_five_lines_on_the_real_model(tmp_path, monkeypatch):
    """15 seconds of fitting; the reward counts the letter e, which a value function learns from few texts."""
    monkeypatch.chdir(tmp_path)
    words = ["film", "book", "day", "house", "river", "road", "song", "meal", "game", "plan", "tree", "storm"]
    prompts = [f"The {word} was {how}" for word in words for how in ("long and", "short but")]
    settings = {"iterations": 1, "sampler": {"max_new_tokens": 12}, "fit": {"samples": 4}}
    aligned = harness.align("smollm2-135m-instruct", prompts, lambda prompt, response: response.count("e"),
                            method="iro", out="aligned/", **settings)  # fmt: skip
    texts = aligned.generate(["The film was"])
    assert texts[0] and harness.load("aligned/").generate(["The film was"]) == texts
