"""Composed prompts of IFEval, the official ones from a file, and scores that are lm-eval's own."""

import json
import os
import random
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.punkt import punkt_folder
from harness.core.task import GOLD
from harness.core.types import Completion, Prompt
from harness.evidence.store import load_run
from harness.tasks.ifeval import checkers
from harness.tasks.ifeval.asks import ASKS
from harness.tasks.ifeval.compose import COUNTS, composed, go_together, prompt_of
from harness.tasks.ifeval.guard import distinct_2, has_words
from harness.tasks.ifeval.official import official
from harness.tasks.ifeval.task import IFEval, IFEvalConfig
from harness.tasks.ifeval.topics import TOPICS

PARTS = ("fit", "development", "test")
CACHE = cache_folder()  # before a test has one of its own, without assets
OFFICIAL = Path(
    os.environ.get("IFEVAL_FILE", Path(__file__).parents[3] / "shared" / "data" / "ifeval_input_data.jsonl")
)


def task(**settings) -> IFEval:
    return IFEval(IFEvalConfig(**settings), None, cache_folder())


def test_slices_share_no_topic_and_no_prompt():
    assert {part: len(composed(part)) for part in PARTS} == COUNTS
    for a, b in combinations(PARTS, 2):
        assert not set(TOPICS[a]) & set(TOPICS[b])
        assert not {p.id for p in composed(a)} & {p.id for p in composed(b)}
        assert not {p.messages for p in composed(a)} & {p.messages for p in composed(b)}


def test_every_class_of_instructions_is_in_every_slice():
    for part in PARTS:
        assert {name for p in composed(part) for name in p.row["instruction_id_list"]} == set(ASKS)


def test_no_prompt_asks_for_what_it_forbids():
    for prompt in composed("fit"):
        assert go_together(prompt.row["instruction_id_list"])
    assert not go_together(["detectable_format:json_format", "punctuation:no_comma"])
    assert not go_together(["punctuation:no_comma", "combination:repeat_prompt"])  # either way round
    assert go_together(["punctuation:no_comma", "detectable_format:title"])


def test_a_request_to_repeat_quotes_what_stands_before_it():
    repeating = [p for p in composed("fit") if "combination:repeat_prompt" in p.row["instruction_id_list"]]
    assert repeating
    for prompt in repeating:
        said = prompt.row["kwargs"][-1]["prompt_to_repeat"]
        assert prompt.messages[0].content.startswith(f"{said}\n") and "\n" not in prompt.messages[0].content[:1]


def test_prompts_are_those_that_runs_were_made_with():
    """Stored runs rest on them: whoever changes topics or words raises VERSIONS["prompts"] in task.py, and this."""
    found = {part: digest([[p.id, p.messages[0].content, p.row] for p in composed(part)])[:12] for part in PARTS}
    assert found == {"fit": "17e3400d5983", "development": "f3e2c5da0fd4", "test": "726128ed7842"}


def write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


ROW = {"key": 1, "prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


def test_official_prompts_are_read_from_a_file_and_replace_the_test_slice_alone(tmp_path):
    nulls = {**ROW, "prompt": "Count.", "kwargs": [{"num_words": None}]}  # as the hub's table has them
    file = write(tmp_path / "official.jsonl", ROW, nulls, ROW)
    found = task(official=file).prompts("test")
    assert sorted(p.messages[0].content for p in found) == ["Count.", "Say it."]
    assert [p.id for p in found] == sorted(p.id for p in found)
    assert all(p.row["kwargs"] == [{}] for p in found)
    assert task(official=file).prompts("fit") == task().prompts("fit")
    assert task(official=file).describe()["test_prompts"] == "IFEval's own"
    assert task().describe()["test_prompts"].startswith("composed")


def test_a_moved_file_is_the_same_task_and_another_one_is_not(tmp_path):
    a, b = write(tmp_path / "a.jsonl", ROW), write(tmp_path / "b.jsonl", ROW)
    assert task(official=a).key_settings == task(official=b).key_settings
    other = write(tmp_path / "c.jsonl", {**ROW, "prompt": "Say that."})
    assert task(official=a).key_settings != task(official=other).key_settings != task().key_settings


@pytest.mark.parametrize(
    "row, says",
    [
        ({"prompt": "a"}, r"line 1 has no instruction_id_list, kwargs"),
        ({**ROW, "prompt": " "}, r"prompt is ' '; write a text"),
        ({**ROW, "instruction_id_list": ["no:such"]}, r"instruction_id_list is \['no:such'\]; IFEval knows"),
        ({**ROW, "instruction_id_list": []}, r"instruction_id_list is \[\]"),
        ({**ROW, "instruction_id_list": [{}]}, r"instruction_id_list is \[{}\]"),
        ({**ROW, "kwargs": []}, r"kwargs is \[\]; write an object for each of 1"),
        ({**ROW, "kwargs": [None]}, r"kwargs is \[None\]"),
    ],
)
def test_a_file_that_is_no_ifeval_is_named_with_its_line(tmp_path, row, says):
    with pytest.raises(UserError, match=says):
        official(write(tmp_path / "official.jsonl", row))


def test_the_guard_counts_pairs_of_words():
    assert distinct_2("a b a b a") == 2 / 4 and distinct_2("a b c") == 1 and distinct_2("one") == 1
    assert has_words("a.") and not has_words(" .*\n") and not has_words("")


def made_up(prompt: Prompt, rng: random.Random) -> str:
    """A response that follows some instructions by chance."""
    pieces = (
        "Here is a plain sentence.", "AND ONE IN CAPITALS!", "* a point", "* another point", "***", "******",
        "<<a title>>", "[name]", "*high*", "P.S. bye", "P.P.S bye", "Section 1", "SECTION 2", "My answer is yes.",
        "no, never, ever,", "das ist ein deutscher Satz ohne Sinn.", '{"a": 1}', "river stone people very", "",
        "Is there anything else I can help with?", "Dr. No paid $3.50 in Jan. 1990. He left.",
    )  # fmt: skip
    text = rng.choice(["\n", "\n\n", " "]).join(rng.sample(pieces, rng.randint(0, 9)))
    match rng.randrange(6):
        case 0:
            return text.lower()
        case 1:
            return text.upper()
        case 2:
            return f'"{text}"'
        case 3:
            return f"{prompt.messages[0].content}\n{text}"
    return text


def answered(prompts: list[Prompt]) -> list[Completion]:
    rng = random.Random(0)
    return [Completion(prompt, (1,), made_up(prompt, rng), "eos") for prompt in prompts for _ in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("of", ["composed", "official"])
def test_accuracies_equal_those_of_lm_eval_to_the_digit(of):
    """Its functions, called one by one; a letter that is none is drawn, so each answer starts from the same seed."""
    if of == "official" and not OFFICIAL.is_file():
        pytest.skip("the official prompts are not here; name their file in IFEVAL_FILE")
    ours = task(official=str(OFFICIAL)) if of == "official" else task()
    completions = answered(ours.prompts("test"))
    metrics, share = ours.score(completions), ours.reward()(completions)
    from lm_eval.tasks.ifeval import utils

    strict, loose = [], []
    for c in completions:
        asked = utils.InputExample(
            0, c.prompt.row["instruction_id_list"], c.prompt.messages[0].content, c.prompt.row["kwargs"]
        )
        random.seed(0)
        strict.append(utils.test_instruction_following_strict(asked, c.text))
        loose.append(utils.test_instruction_following_loose(asked, c.text))
    for name, found in (("strict", strict), ("loose", loose)):
        lists = [one.follow_instruction_list for one in found]
        assert metrics[f"prompt_{name}"].tolist() == [float(one.follow_all_instructions) for one in found]
        ratio = metrics[f"instructions_{name}"].astype(float).sum() / metrics["instructions"].astype(float).sum()
        assert ratio == utils.agg_inst_level_acc(lists)
        assert 0.1 < ratio < 0.9  # made-up responses follow some
    expected = [np.float32(sum(one.follow_instruction_list) / len(one.follow_instruction_list)) for one in loose]
    assert share.tolist() == expected


@pytest.mark.slow
def test_checking_depends_on_the_answer_alone_and_leaves_python_s_generator_as_it_was():
    """Prompts with a letter that is none, and texts of no clear language, scored twice and in another order."""
    odd = prompt_of(
        "x", ["keywords:letter_frequency"], [{"letter": "!", "let_frequency": 2, "let_relation": "at least"}]
    )
    language = prompt_of("y", ["language:response_language"], [{"language": "de"}])
    completions = [Completion(p, (1,), t, "eos") for p in (odd, language) for t in ("die man was no so", "aa ee ii")]
    ours = task()
    random.seed(3)
    before = random.getstate()
    first = ours.reward()(completions)
    assert random.getstate() == before
    random.seed(4)
    assert ours.reward()(completions[::-1]).tolist() == first[::-1].tolist()


@pytest.mark.slow
def test_the_gold_asks_the_base_of_those_alone_that_follow_all_and_are_texts():
    prompt = prompt_of("Say something.", ["punctuation:no_comma"], [{}])
    texts = [
        "a good answer",
        "no, this has a comma",
        "again again again again again",
        "...",
        "another good answer",
        "odd",
    ]
    completions = [Completion(prompt, (i,), text, "eos") for i, text in enumerate(texts)]
    nll = {"a good answer": 1.0, "another good answer": 9.0, "odd": float("nan")}
    asked = []

    def base_nll(of):
        asked.extend(c.text for c in of)
        return np.array([nll[c.text] for c in of])

    gold = task(nll_low=0.1, nll_high=5.0, distinct_2=0.5).score_beside_base(completions, base_nll)[GOLD]
    assert asked == list(nll)
    assert gold[:5].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0] and np.isnan(gold[5])


@pytest.mark.slow
def test_an_answer_that_breaks_a_checker_has_no_score_and_is_said_once(capsys):
    deep = prompt_of("As JSON.", ["detectable_format:json_format"], [{}])
    completions = [
        Completion(deep, (1,), text, "length") for text in ("[" * 100_000, '{"a": 1}', "{" + '"a":{' * 50_000)
    ]
    ours = task()
    assert np.isnan(ours.reward()(completions)).tolist() == [True, False, True]
    scores = ours.score(completions)
    assert scores["proxy_error"].tolist() == [1, 0, 1] and np.isnan(scores[GOLD]).tolist() == [True, False, True]
    said = capsys.readouterr().err
    assert said.count("a checker could not read the answer") == 1


def test_checkers_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(checkers, "offer_punkt", lambda cache: None)
    monkeypatch.setitem(sys.modules, "langdetect", None)
    completion = Completion(prompt_of("x", ["punctuation:no_comma"], [{}]), (1,), "a", "eos")
    with pytest.raises(UserError, match=r"pip install 'iro-harness\[ifeval\]'"):
        task().reward()([completion])


@pytest.fixture
def model(tiny, tmp_path) -> str:
    """The tiny random transformer as a folder."""
    folder = tmp_path / "tiny"
    tiny.untouched_model()[0].save_pretrained(folder)
    tiny.untouched_model()[1].save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
def test_a_run_says_what_it_is_and_generate_asks_for_what_the_checkers_read(
    place, model, unrendered, capsys, monkeypatch
):
    """Random weights follow `no commas` by chance; the guard is set wide, since their text is none.

    The tiny model reads 256 characters, so prompts to fit on are short ones.
    """
    (place / "cache").mkdir()
    (place / "cache" / "nltk").symlink_to(punkt_folder(CACHE).parent)
    short = tuple(prompt_of(f"Fit {i}.", ["punctuation:no_comma"], [{}]) for i in range(40))
    monkeypatch.setattr("harness.tasks.ifeval.task.composed", lambda part: short if part == "fit" else ())
    rows = [{**ROW, "prompt": f"Say {i}.", "instruction_id_list": [name], "kwargs": [{}]}
            for i, name in enumerate(["punctuation:no_comma", "startend:quotation"] * 4)]  # fmt: skip
    file = write(place / "official.jsonl", *rows)
    words = f"run --task ifeval --model {model} --limit 8 --workers 1 --set ifeval.official={file} --set fit.prompts=40"
    wide = "--set ifeval.nll_high=99 --set ifeval.nll_low=0 --set ifeval.distinct_2=0 --set sampler.max_new_tokens=12"
    small = "--set iro.iterations=1 --set iro.width=2 --set iro.successors=2 --set iro.chunk=4"
    assert cli.main([*words.split(), *wide.split(), *small.split()]) == 0
    shown = capsys.readouterr().out
    assert "verifiable: proxy and gold share checkers" in " ".join(shown.split())
    (folder,) = (place / "results" / "runs").iterdir()
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "## The benchmark's own accuracies" in report and "| reward (oracle) |" in report
    assert "| value |" in report and "value (oracle)" not in report
    assert cli.main(["generate", "latest", "--method", "iro", "--prompt", "Say it."]) == 0
    capsys.readouterr()
    assert cli.main(["generate", "latest", "--method", "iro", "--pick", "reward", "--prompt", "Say it."]) == 2
    assert "it reads instruction_id_list, kwargs of the row" in capsys.readouterr().err
    asked = write(place / "new.jsonl", {key: value for key, value in ROW.items() if key != "key"})
    assert cli.main(["generate", "latest", "--method", "iro", "--pick", "reward", "--prompts", asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reward_calls"] > 0
    assert cli.main(["leaderboard", "--rescore", "5"]) == 0
    assert "not scored, prompts and graders of files that lie elsewhere" in capsys.readouterr().out
    base = load_run(folder).completions.filter(pl.col("method") == "base")
    theirs = write(place / "theirs.jsonl", *base.select("prompt_id", "response").iter_rows(named=True))
    bring = ["import", theirs, "--run", "latest", "--method", "theirs"]
    assert cli.main(bring) == 2
    assert f"{folder.name} is of files; give --set ifeval.official=FILE, as for the run" in capsys.readouterr().err
    assert cli.main([*bring, "--set", f"ifeval.official={theirs}"]) == 2
    assert f"--set ifeval.official {theirs!r} is gone, or holds something else than what" in capsys.readouterr().err
    assert cli.main([*bring, "--set", f"ifeval.official={file}"]) == 0
    (made,) = (place / "results" / "imports").iterdir()
    scores = load_run(made).scores.filter(pl.col("metric") == GOLD).sort("prompt_id")
    own, other = (scores.filter(pl.col("method") == name)["value"].to_list() for name in ("base", "theirs"))
    assert own == pytest.approx(other, abs=1e-6) and len(other) == 8
