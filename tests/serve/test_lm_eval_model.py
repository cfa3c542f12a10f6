"""An aligned folder as a model of lm-eval, on the toy: its own answers, by lm-eval's own evaluator and command."""

from types import SimpleNamespace

import pytest
from lm_eval.api.instance import Instance
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

import harness
from harness import cli
from harness.core.errors import UserError
from harness.core.models.sampling import Sampler
from harness.core.types import Message
from harness.evidence.store import load_run
from harness.serve.lm_eval_model import HarnessLM, Said, _ends, _jobs
from harness.tasks.lm_eval_task.opened import Asked
from harness.tasks.lm_eval_task.opening import open_task
from tests.tasks.lm_eval_made_here import write_toyqa

TOY = ["--model", "toy", "--set", "sampler.top_k=0", "--set", "iro.iterations=1", "--workers", "1"]


def request(context: str, repeats: int = 1, **kwargs) -> Instance:
    return Instance("generate_until", {}, (context, kwargs), 0, ("made", 0, repeats))


ALIGNED = SimpleNamespace(sampler=Sampler(), folder="aligned", about=SimpleNamespace(asked={"seed": 3}))


def test_requests_that_end_alike_are_answered_together_and_equal_ones_by_other_seeds():
    requests = [
        request("a", until=["\n"], max_gen_toks=4),
        request("b", until=["\n"], max_gen_toks=4),
        request("a", until=["\n"], max_gen_toks=4),
        request("a", until="x"),
        request("a", until=["\n"], max_gen_toks=4),
    ]
    jobs = {
        (tuple(places), how["stop"], how["max_new_tokens"], seed)
        for places, _, how, seed in _jobs(requests, ALIGNED, None)
    }
    assert jobs == {((0, 1), ("\n",), 4, None), ((2,), ("\n",), 4, 4), ((4,), ("\n",), 4, 5), ((3,), ("x",), 256, None)}


def test_another_sampling_rule_than_the_folders_is_refused():
    """Its values were fitted on what the folder's rule writes."""
    assert _ends({"until": [], "do_sample": False, "temperature": 0.0}, ALIGNED) == {"stop": (), "max_new_tokens": 256}
    assert _ends({"until": ["", "a"], "do_sample": True, "temperature": 1.0}, ALIGNED)["stop"] == ("a",)
    with pytest.raises(UserError, match=r"asks for samples at temperature 0\.7; aligned writes at 1"):
        _ends({"do_sample": True, "temperature": 0.7}, ALIGNED)


def test_messages_pass_through_lm_eval_as_a_text_that_remembers_them():
    said = Said.of([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}])
    assert said == "system: Be short.\nuser: Why?"
    ((places, prompts, _, _),) = _jobs([request(said)], ALIGNED, None)
    assert prompts[0].messages == (Message("system", "Be short."), Message("user", "Why?")) and places == [0]


def test_what_it_cannot_do_is_refused_with_the_reason():
    lm = HarnessLM.over(ALIGNED)
    with pytest.raises(UserError, match="likelihoods of given texts"):
        lm.loglikelihood([])
    with pytest.raises(UserError, match="likelihoods of given texts"):
        lm.loglikelihood_rolling([])
    with pytest.raises(UserError, match="begins the answer itself"):
        lm.apply_chat_template([], add_generation_prompt=False)
    with pytest.raises(UserError, match=r"pretrained=x; it takes path=DIR"):
        HarnessLM(path="there", pretrained="x")
    with pytest.raises(UserError, match="no path"):
        HarnessLM()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of IRO on the small task, and the words of its command that name its files."""
    place = tmp_path_factory.mktemp("lm_eval")
    words = write_toyqa(place / "task")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        asked = ["run", "--task", "lm_eval:toyqa", *words, *TOY, "--limit", "40", "--out", str(place / "results")]
        assert cli.main([*asked, "--set", "evaluate.trace=0"]) == 0
        yield place, words


def opened(place, words):
    return open_task(Asked("toyqa", words[1], tuple(words[3::2])))


@pytest.mark.slow
def test_lm_eval_scores_the_greedy_base_as_the_run_did(run, monkeypatch):
    """The two ways meet: our run on the task, and lm-eval's evaluator over our model."""
    place, words = run
    monkeypatch.setenv("HARNESS_CACHE", str(place / "cache"))
    one, aligned = opened(place, words), harness.load("latest", "base", out=place / "results")
    found = evaluate(
        lm=HarnessLM.over(aligned.unaligned("base_greedy")),
        task_dict={"tasks": {"toyqa": one.task}, "groups": {}},
        bootstrap_iters=0,
    )
    stored = load_run(next((place / "results" / "runs").glob("lm_eval-*")))
    rows = stored.completions.filter(stored.completions["method"] == "base_greedy").to_dicts()
    by_prompt = {row["prompt"]: row for row in rows}
    samples = [s for s in found["samples"]["toyqa"] if s["filter"] == "first"]
    assert len(samples) == 40 == len(by_prompt)
    for sample in samples:
        assert sample["resps"] == [[by_prompt[sample["arguments"][0][0]]["response"]]]
    scores = stored.scores.filter(
        stored.scores["method"] == "base_greedy", stored.scores["metric"] == "exact_match,first"
    )
    assert found["results"]["toyqa"]["exact_match,first"] == scores["value"].mean()


@pytest.mark.slow
def test_answers_end_at_the_tasks_stop_strings_and_are_the_same_each_time(run, monkeypatch):
    place, _ = run
    monkeypatch.setenv("HARNESS_CACHE", str(place / "cache"))
    lm = HarnessLM(path=str(next((place / "results" / "runs").glob("lm_eval-*"))), method="iro")
    requests = [request(f"about topic {i % 2} topic {i % 2}", until=["b"], max_gen_toks=4) for i in range(12)]
    first = lm.generate_until(requests, disable_tqdm=True)
    assert first == lm.generate_until(requests, disable_tqdm=True) and len(first) == 12
    assert not any("b" in text for text in first) and len(set(first)) > 1
    assert lm.get_model_info()["harness_method"] == "iro"


@pytest.mark.slow
def test_lm_evals_own_command_knows_the_model(run, monkeypatch, capsys):
    place, _ = run
    monkeypatch.setenv("HARNESS_CACHE", str(place / "cache"))
    plain = TaskManager.__init__
    monkeypatch.setattr(
        TaskManager, "__init__", lambda self, **given: plain(self, **{**given, "include_defaults": False})
    )
    text = (place / "task" / "toyqa.yaml").read_text(encoding="utf-8")
    files = f"  data_files:\n    train: {place}/task/train.jsonl\n    test: {place}/task/test.jsonl\n"
    (place / "own").mkdir(exist_ok=True)
    (place / "own" / "toyqa.yaml").write_text(
        text.replace("nobody/nowhere", "json") + f"dataset_kwargs:\n{files}", encoding="utf-8"
    )
    folder = next((place / "results" / "runs").glob("lm_eval-*"))
    told = ["--model", "harness", "--model_args", f"path={folder},method=iro", "--tasks", "toyqa"]
    assert cli.main(["lm-eval", "run", *told, "--include_path", str(place / "own"), "--limit", "8"]) == 0
    said = capsys.readouterr().out
    assert "|toyqa|" in said and "exact_match" in said
    assert cli.main(["lm-eval", "run", *told[:3], "folder=x", *told[4:], "--include_path", str(place / "own")]) == 2
    assert "error: --model_args of the model harness: folder=x" in capsys.readouterr().err
