"""A task of lm-eval here: the same prompts, and the same scores of the same answers, to the digit."""

import json
import os
from pathlib import Path

import datasets
import pytest
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from harness import cli
from harness.core.as_before import hashed
from harness.core.errors import UserError
from harness.core.graders.grade import Item
from harness.core.types import Completion
from harness.running.config import resolve
from harness.running.request import Request
from harness.running.settings_source import settings_from
from harness.tasks.lm_eval_task import find
from harness.tasks.lm_eval_task.find import file_of
from harness.tasks.lm_eval_task.metric import MetricGrader, metric_named
from harness.tasks.lm_eval_task.opened import Asked, Opened
from harness.tasks.lm_eval_task.opening import open_task
from harness.tasks.lm_eval_task.task import LmEval
from tests.planted_server import Planted, served
from tests.tasks.lm_eval_made_here import toy_rows, write_rows, write_toyqa

REAL = os.environ.get(
    "HARNESS_TEST_DATA"
)  # a folder with IFEval's prompts and GSM8K's files, as their authors have them
needs_real = pytest.mark.skipif(REAL is None, reason="HARNESS_TEST_DATA names no folder with the real files")


class Canned(LM):
    """Answers by the prompt, and notes what it was asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []

    def generate_until(self, requests, disable_tqdm=False):
        self.asked += [request.args[0] for request in requests]
        return [self.answer(i, request.doc) for i, request in enumerate(requests)]

    def loglikelihood(self, requests):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


def lm_evals_own(file: Path, name: str, splits: dict[str, list[dict]], answer, monkeypatch):
    """What lm-eval makes of these answers by itself: its prompts, its scores by document, its table."""
    made = datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in splits.items()})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: made)
    task = TaskManager(include_path=str(file.parent), include_defaults=False).load([name])["tasks"][name]
    if task.config.num_fewshot is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(seed=1234)  # as lm-eval's command does
    lm = Canned(answer)
    found = evaluate(lm=lm, task_dict={"tasks": {name: task}, "groups": {}}, bootstrap_iters=0)
    return lm.asked, found["samples"][name], found["results"][name]


def check_equal(opened: Opened, file: Path, splits: dict[str, list[dict]], answer, monkeypatch) -> dict[str, float]:
    """Our prompts and scores against lm-eval's; lm-eval's table."""
    asked, samples, table = lm_evals_own(file, opened.asked.name, splits, answer, monkeypatch)
    prompts = [prompt for _, prompt in opened.evaluated]
    assert [prompt.text for prompt in prompts] == asked
    rows, texts = [prompt.row for prompt in prompts], [answer(i, prompt.row) for i, prompt in enumerate(prompts)]
    ours = [opened.values(row, text) for row, text in zip(rows, texts, strict=True)]
    for sample in samples:
        for metric in sample["metrics"]:
            theirs, mine = sample[metric], ours[sample["doc_id"]][f"{metric},{sample['filter']}"]
            assert mine == (sum(theirs) / len(theirs) if isinstance(theirs, list) else float(theirs))
    numbers = {name: table[name] for name in opened.metrics}
    assert opened.aggregated(rows, texts) == numbers
    return numbers


ANSWERS = [
    "It is 7 in all.\n#### 7", "#### 1,234", "so $12.", "nothing", "", "#### -3\nQuestion:", "9 or 10", "#### 10.", "7",
]  # fmt: skip


def gsm8k_rows(n: int, start: int) -> list[dict]:
    targets = ["7", "1,234", "12", "3", "9", "-3", "10", "10", "7"]
    return [
        {"question": f"What is number {start + i}?", "answer": f"Let me see.\n#### {targets[i % len(targets)]}"}
        for i in range(n)
    ]


def test_prompts_and_scores_are_lm_evals_own_to_the_digit(tmp_path, monkeypatch):
    """gsm8k as lm-eval has it, on documents made here: five examples of the training split, two filters."""
    splits = {"train": gsm8k_rows(12, 100), "test": gsm8k_rows(9, 0)}
    files = [f"{split}={write_rows(tmp_path / f'{split}.jsonl', rows)}" for split, rows in splits.items()]
    opened = open_task(Asked("gsm8k", dataset_files=tuple(files)))
    table = check_equal(opened, file_of("gsm8k"), splits, lambda i, _: ANSWERS[i], monkeypatch)
    assert 0 < table["exact_match,strict-match"] < table["exact_match,flexible-extract"] < 1
    assert opened.stop == ("Question:", "</s>", "<|im_end|>") and opened.new_tokens == 256


@needs_real
@pytest.mark.slow
def test_on_the_real_gsm8k_scores_are_lm_evals_own_to_the_digit(monkeypatch):
    splits = {
        split: [json.loads(line) for line in Path(REAL, name).read_text(encoding="utf-8").splitlines()]
        for split, name in (("train", "gsm8k_train_1500.jsonl"), ("test", "gsm8k_test.jsonl"))
    }
    files = (f"train={REAL}/gsm8k_train_1500.jsonl", f"test={REAL}/gsm8k_test.jsonl")

    def answer(i, doc):
        right = doc["answer"]
        return [right, right.replace("####", "is"), right[:-1], ANSWERS[i % len(ANSWERS)], right.split("\n")[0]][i % 5]

    opened = open_task(Asked("gsm8k", dataset_files=files))
    table = check_equal(opened, file_of("gsm8k"), splits, answer, monkeypatch)
    assert 0.2 < table["exact_match,strict-match"] < table["exact_match,flexible-extract"] < 1


@needs_real
@pytest.mark.slow
def test_on_the_real_ifeval_scores_are_lm_evals_own_to_the_digit(monkeypatch):
    """Answers that follow some instructions and not others: JSON, capitals, bullets, the prompt again, few words."""
    rows = [json.loads(line) for line in Path(REAL, "ifeval_input_data.jsonl").read_text("utf-8").splitlines()]
    names = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in names} for row in rows]

    def answer(i, doc):
        prompt = doc["prompt"]
        return [
            f"{prompt}\n\nHere it is. P.S. See above.",
            '{"answer": "It is [name] and [place]."}',
            "* One thing\n* Another thing\n* A third thing\n\n***\n\n<<A Title>>",
            prompt.upper(),
            "it is all in lower case, without a comma or two.\n\nmy answer is yes.",
            '"Quoted whole, my dear Dr. Who. Is it? It is! Indeed, e.g. this one."',
        ][i % 6]

    opened = open_task(Asked("ifeval", dataset_files=(f"train={REAL}/ifeval_input_data.jsonl",)))
    table = check_equal(opened, file_of("ifeval"), {"train": rows}, answer, monkeypatch)
    assert 0.05 < table["prompt_level_strict_acc,none"] < table["inst_level_loose_acc,none"] < 0.9


@pytest.fixture
def made(tmp_path):
    """Opens the small task with changes in its file."""

    def opened(n: int = 40, files: tuple[str, ...] | None = None, chat: bool = False, **changed) -> Opened:
        words = write_toyqa(tmp_path, n, **changed)
        named = [one for one in words[3::2] if changed.get("training_split", "train") or not one.startswith("train")]
        given = tuple(named) if files is None else files
        return open_task(Asked("toyqa", str(tmp_path), given, None, chat))

    return opened


def test_training_documents_are_for_fitting_and_test_documents_are_answered(made):
    opened = made()
    parts = {part: {p.row["question"].split()[0] for p in prompts} for part, prompts in opened.prompts.items()}
    assert parts == {"fit": {"train"}, "development": {"train"}, "test": {"test"}}
    assert sum(map(len, opened.prompts.values())) == 80 and len(opened.prompts["test"]) == 40
    ids = [p.id for prompts in opened.prompts.values() for p in prompts]
    assert len(set(ids)) == len(ids)


def test_without_training_documents_those_of_the_test_are_shared_out(made):
    opened = made(training_split=None)
    assert not opened.has_training and sum(map(len, opened.prompts.values())) == 40
    assert {p.row["question"].split()[0] for prompts in opened.prompts.values() for p in prompts} == {"test"}
    assert all(opened.prompts[part] for part in ("fit", "development", "test"))


def test_documents_that_ask_the_same_are_in_one_slice_alone(tmp_path):
    words = write_toyqa(tmp_path)
    write_rows(tmp_path / "train.jsonl", [*toy_rows("train", 20), *toy_rows("test", 5), *toy_rows("train", 3)])
    opened = open_task(Asked("toyqa", str(tmp_path), tuple(words[3::2])))
    assert opened.repeated == 8
    assert not {p.row["question"] for p in opened.prompts["fit"]} & {p.row["question"] for p in opened.prompts["test"]}


def test_a_document_to_fit_on_is_no_example_in_its_own_prompt(made):
    """lm-eval leaves the document out of the examples only where these come from the test split."""
    opened = made(n=6, num_fewshot=4, fewshot_split="train")
    for prompt in [*opened.prompts["fit"], *opened.prompts["development"]]:
        assert prompt.text.count(prompt.row["question"]) == 1
        assert prompt.text.count("question") == 5
    assert all(p.text.count("train question") == 4 for p in opened.prompts["test"])


def test_chat_prompts_are_the_messages_that_a_template_would_get(made):
    opened = made(n=6, num_fewshot=2, fewshot_split="train", description="Answer by a letter.", chat=True)
    said = opened.prompts["test"][0].messages
    assert [one.role for one in said] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert said[0].content == "Answer by a letter." and said[-1].content.startswith("test question")


def test_what_the_target_is_made_of_is_what_a_metric_reads(made):
    assert made().reads == {"answer"}
    assert made(doc_to_target="answer").reads == {"answer"}


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"output_type": "multiple_choice"}, "multiple_choice: it compares likelihoods"),
        ({"output_type": "loglikelihood"}, "loglikelihood: it compares likelihoods"),
        ({"output_type": "loglikelihood_rolling"}, "loglikelihood_rolling"),
        ({"repeats": 8}, "scores 8 answers to a document together"),
        ({"unsafe_code": True}, "runs programs that the model wrote"),
        ({"doc_to_image": "picture"}, "asks about images"),
        ({"doc_to_text": "{{nothing}}"}, "'nothing' is undefined"),
        ({"metric_list": [{"metric": "no_such_metric"}]}, "cannot be opened"),
        ({"test_split": "validation"}, "has no such split; its splits: validation (test), train (training)"),
    ],
)
def test_tasks_that_are_none_here_are_refused_with_the_reason(made, changed, says):
    with pytest.raises(UserError) as error:
        made(**changed)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "files, says",
    [
        (("test",), "write split=FILE"),
        (("=x.jsonl",), "write split=FILE"),
        (("train=a", "train=b"), "the split train has a already"),
        (("train={}/train.jsonl",), "evaluated on the split test"),
        (("test={}/missing.jsonl",), "there is no such file"),
        (("test={}/mixed.jsonl",), "is no table"),
    ],
)
def test_files_that_cannot_stand_in_say_why(made, tmp_path, files, says):
    write_rows(tmp_path / "mixed.jsonl", [{"question": "a", "topic": 1}, {"question": "b", "topic": ["x"]}])
    with pytest.raises(UserError) as error:
        made(files=tuple(one.format(tmp_path) for one in files))
    assert says in str(error.value)


def test_examples_from_a_split_that_is_not_there_are_asked_for(made, tmp_path):
    with pytest.raises(UserError, match="takes 3 examples from the split train"):
        made(num_fewshot=3, fewshot_split="train", files=(f"test={tmp_path}/test.jsonl",))
    assert not made(files=(f"test={tmp_path}/test.jsonl",)).has_training


@pytest.mark.parametrize("split", ["train", "test"])
def test_more_examples_than_there_are_is_one_error(made, split):
    """Of a test split, the document itself is left out."""
    with pytest.raises(UserError, match="50 examples are asked for in a prompt, and there are 6") as error:
        _ = made(n=6, num_fewshot=50, fewshot_split=split).prompts
    assert "--num-fewshot N" in str(error.value)


def test_what_is_wrong_with_a_template_is_not_said_to_be_its_examples(made, monkeypatch):
    """Of a task without examples, whose few-shot context fails for another reason."""
    opened = made(n=6)
    document = dict(opened.prompts["test"][0].row)

    def broken(*_, **__):
        raise ValueError("of the template")

    monkeypatch.setattr(opened.task, "fewshot_context", broken)
    with pytest.raises(ValueError, match="of the template"):
        opened._prompt(document)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Files of tasks, groups and tags in place of lm-eval's 14,000."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "_group.yaml").write_text("group: many\ntask:\n  - one\n  - task: two\n")
    (tmp_path / "some" / "a.yaml").write_text('task: "one"\ntag:\n  - easy\n')
    (tmp_path / "some" / "b.yaml").write_text("tag: easy\ntask: two  # the second\n")
    (tmp_path / "some" / "broken.yaml").write_text("task: [")
    monkeypatch.setattr(find, "shipped_folder", lambda: tmp_path)
    return tmp_path


def test_a_task_is_found_by_what_its_file_says(shipped, tmp_path):
    assert file_of("one") == shipped / "some" / "a.yaml" and file_of("two") == shipped / "some" / "b.yaml"
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text("task: one\n")
    assert file_of("one", own) == own / "mine.yaml"


@pytest.mark.parametrize(
    "name, says",
    [
        ("many", "lm_eval:many is a group of tasks; name one of them: one, two"),
        ("easy", "lm_eval:easy is a tag of tasks; name one of them: one, two"),
        ("tow", "lm-eval has no task 'tow' among 2. Did you mean two"),
        ("", "names no task"),
    ],
)
def test_what_is_no_task_is_said_to_be(shipped, name, says):
    with pytest.raises(UserError) as error:
        file_of(name)
    assert says in str(error.value)


def test_without_lm_eval_there_is_one_clear_error(monkeypatch, capsys):
    plain = find.importlib.util.find_spec
    monkeypatch.setattr(find.importlib.util, "find_spec", lambda name: None if name == "lm_eval" else plain(name))
    with pytest.raises(UserError, match="needs the package lm-eval"):
        file_of("gsm8k")
    assert cli.main(["lm-eval", "ls", "tasks"]) == 2
    assert capsys.readouterr().err == (
        "error: this needs the package lm-eval, which is not installed; pip install lm-eval\n"
    )


def test_an_answer_that_the_metric_fails_on_has_no_score_and_says_why(tmp_path):
    """The task's Python is anybody's: what it raises for one answer costs no other answer its score."""
    words = write_toyqa(tmp_path, filter_list=None)
    (tmp_path / "checks.py").write_text(
        "def results(doc, results):\n    return {'exact_match': 1 / len(results[0])}\n", encoding="utf-8"
    )
    text = (tmp_path / "toyqa.yaml").read_text(encoding="utf-8")
    (tmp_path / "toyqa.yaml").write_text(text + "process_results: !function checks.results\n", encoding="utf-8")
    opened = open_task(Asked("toyqa", str(tmp_path), tuple(words[3::2])))
    grades = MetricGrader(opened, "exact_match,none").grade([Item("?", text, {"answer": "a"}) for text in ("", "ab")])
    assert [grade.error for grade in grades] == ["python_grader_runtime_error", None] and grades[1].score == 0.5
    assert "ZeroDivisionError" in grades[0].detail
    assert opened.reads == {"question", "topic", "answer"}, "a function may look at all of the document"


def test_lower_is_better_is_turned_round(made):
    opened = made(metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": False}])
    prompt = opened.prompts["test"][0]
    grader = MetricGrader(opened, "exact_match,first")
    (grade,) = grader.grade([Item.of(Completion(prompt, (1,), prompt.row["answer"], "eos"))])
    assert grade.score == -1.0 and "lower is better" in grader.name


def test_a_metric_is_named_with_its_filter_or_without(made):
    opened = made()
    assert metric_named("", opened) == metric_named("exact_match", opened) == "exact_match,first"
    assert metric_named("exact_match,last", opened) == "exact_match,last"
    with pytest.raises(UserError, match="Did you mean 'exact_match,last'"):
        metric_named("exact_match,lasst", opened)


def task_of(tmp_path, **settings) -> LmEval:
    words = write_toyqa(tmp_path)
    config = LmEval.Config(name="toyqa", include_path=str(tmp_path), dataset_files=tuple(words[3::2]), **settings)
    return LmEval(config, None, tmp_path)


def test_gold_is_a_metric_and_all_metrics_are_stored_as_lm_eval_names_them(tmp_path):
    task = task_of(tmp_path, reward="metric:exact_match,last")
    prompt = task.prompts("test")[0]
    right, wrong = prompt.row["answer"], "ab".replace(prompt.row["answer"], "")
    completions = [Completion(prompt, (1,), text, "eos") for text in (right + wrong, wrong + right, "")]
    scores = {name: values.tolist() for name, values in task.score(completions).items()}
    assert scores["gold_reward"] == scores["exact_match,first"] == [1.0, 0.0, 0.0]
    assert task.reward()(completions).tolist() == scores["exact_match,last"] == [0.0, 1.0, 0.0]
    assert scores["proxy_error"] == scores["gold_error"] == [0.0, 0.0, 0.0]
    assert task.describe()["reward_reads"] == ["answer"] and "gold" not in task.describe()


def test_a_grader_that_asks_a_chat_model_may_be_the_reward(tmp_path):
    said = [{"role": "user", "content": "Is {{ sample.output_text }} what {{ item.answer }} asks?"}]
    grader = tmp_path / "judge.json"
    grader.write_text(json.dumps({"type": "score_model", "name": "j", "model": "m", "input": said, "range": [0, 9]}))
    with pytest.raises(UserError, match=r"no chat server is set .*lm_eval\.endpoint"):
        task_of(tmp_path, reward=str(grader))
    with served(lambda question, before: Planted('{"result": 7}')) as server:
        task = task_of(tmp_path, reward=str(grader), endpoint=server.url)
        completion = Completion(task.prompts("test")[0], (1,), "abc", "eos")
        assert task.reward()([completion]).tolist() == [7.0] and "Is abc what" in server.questions[0]
    assert task.describe()["files"]["endpoint"] == server.url  # so that a loaded model asks there too
    plain = task_of(tmp_path)
    assert hashed(plain.config).keys().isdisjoint({"endpoint", "key_variable", "seconds", "memory_gib"})


def test_one_metric_for_both_is_said_and_any_grader_may_be_the_reward(tmp_path):
    both = task_of(tmp_path)
    assert "same metric as the proxy" in both.describe()["gold"]
    assert any("the same, so nothing held out judges" in line for line in both.introduction(len, None, 4))
    (tmp_path / "short.py").write_text("def short(prompt, response, answer):\n    return len(answer) - len(response)\n")
    own = task_of(tmp_path, reward=f"{tmp_path}/short.py:short")
    completion = Completion(own.prompts("test")[0], (1,), "abc", "eos")
    assert own.reward()([completion]).tolist() == [-2.0] and own.reads == ["answer"]


def test_documents_and_the_tasks_file_are_part_of_the_identity_and_where_they_lie_is_not(tmp_path):
    here, there = task_of(tmp_path / "here"), task_of(tmp_path / "there")
    assert here.key_settings == there.key_settings
    write_rows(tmp_path / "there" / "test.jsonl", toy_rows("test", 41))
    files = there.config.dataset_files
    more = LmEval(
        LmEval.Config(name="toyqa", include_path=str(tmp_path / "there"), dataset_files=files), None, tmp_path
    )
    assert more.key_settings["documents"] != here.key_settings["documents"]
    text = (tmp_path / "there" / "toyqa.yaml").read_text(encoding="utf-8")
    (tmp_path / "there" / "toyqa.yaml").write_text(text.replace("^([abc])", "^([ab])"), encoding="utf-8")
    other = LmEval(more.config, None, tmp_path)
    assert other.key_settings["task"] != here.key_settings["task"]


def test_stop_strings_and_length_are_the_tasks(tmp_path):
    config = task_of(tmp_path).config
    assert LmEval.generation(config, {}) == {"stop": ("cc",), "max_new_tokens": 4}
    assert LmEval.generation(config, {"max_new_tokens": 3})["max_new_tokens"] == 3
    assert LmEval.generation(config, {"max_new_tokens": 256})["max_new_tokens"] == 4


def test_what_a_user_sets_is_over_what_the_task_decides(tmp_path):
    config = task_of(tmp_path).config
    files = [("lm_eval.name", "toyqa"), ("lm_eval.include_path", config.include_path)]
    request = Request(
        task="lm_eval", model="toy", given=[*files, ("lm_eval.dataset_files", list(config.dataset_files))]
    )
    assert resolve(request).settings["sampler"].stop == ("cc",)
    chosen = resolve(request.with_given(("sampler.stop", []), ("sampler.max_new_tokens", 2))).settings["sampler"]
    assert chosen.stop == () and chosen.max_new_tokens == 2
    assert settings_from(resolve(request)) == "defaults", "which task is worked on is no choice of settings"
    assert settings_from(resolve(request.with_given(("sampler.stop", [])))) == "chosen by hand"
