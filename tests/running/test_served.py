"""A whole run over an API: the same wherever the server stands, stopped by faults and budgets, and without a secret."""

import json
from math import isnan
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import harness
from harness.cli.program import main
from harness.core.api.use import Use
from harness.core.errors import UserError
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.serve.http.models import open_models
from harness.serve.lm_eval_model import HarnessLM
from tests.served_model import Manner, served_model

KEY = "sk-planted-0123456789abcdef"
TASK = f"{Path(__file__).parents[1] / 'letters_task.py'}:Letters"
SMALL = {
    "sampler.max_new_tokens": 6, "fit.prompts": 3, "fit.samples": 2, "iro.iterations": 0, "iro.chunk": 2,
    "iro.width": 2, "iro.successors": 2,
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("place", "unrendered")


def harness_run(server, *words, method="iro", **settings):
    """The exit code of a small run."""
    named = [f"{name}={value}" for name, value in (SMALL | settings).items()]
    sets = [word for setting in named for word in ("--set", setting)]
    model = server if isinstance(server, str) else server.model
    return main(["run", "--task", TASK, "--model", model, "--method", method, "--limit", "3", *sets, *words])


def the_run():
    [folder] = [path.parent for path in Path("results", "runs").glob("*/run.json")]
    return load_run(folder)


def answers(run):
    return run.completions.drop("run_id").rows()


def test_a_search_runs_over_an_api_and_is_the_same_run_at_another_port(capsys):
    with served_model(Manner(cached=True)) as server:
        assert harness_run(server) == 0
        asked = len(server.requests)
    said = capsys.readouterr()
    assert "base (greedy)" in said.out and "policy tokens a prompt" in said.out
    run = the_run()
    assert run.record.config.model == "openai:#letters" and server.url not in json.dumps(run.about["identity"])
    assert set(run.completions["n_tokens"]) <= set(range(1, 7)) and asked > 20
    [bill] = run.about["served"]
    assert bill["requests"] and bill["cached_tokens"] and bill["answers_from_cache"] >= 3
    with served_model(Manner(cached=True)) as elsewhere:
        assert harness_run(elsewhere) == 0
        assert not [body for _, body in elsewhere.requests if body.get("seed", 0) > 100]
    assert "is done" in capsys.readouterr().err


def test_answers_of_another_system_have_no_length_where_no_model_here_counts_tokens(capsys, monkeypatch):
    """It was shown as 0.0 tokens."""
    with served_model() as server:
        assert harness_run(server) == 0
        base = the_run().completions.filter(pl.col("method") == "base").select("prompt_id", "response")
        monkeypatch.setenv("OPENAI_BASE_URL", server.model.removeprefix("openai:").partition("#")[0])
        file = Path("theirs.jsonl")
        file.write_text("".join(json.dumps(row) + "\n" for row in base.iter_rows(named=True)), encoding="utf-8")
        words = ["import", str(file), "--run", the_run().id, "--method", "theirs", "--full"]
        assert main(words) == 0
    [folder] = Path("results", "imports").iterdir()
    rows = {row.key.method: row for row in comparison(load_run(folder))}
    assert rows["base"].tokens > 0 and isnan(rows["theirs"].tokens)
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    named = [cell.strip() for cell in next(line for line in table if "| gold" in line).split("|")]
    theirs = [cell.strip() for cell in next(line for line in table if line.startswith("| theirs")).split("|")]
    assert theirs[named.index("tokens")] == "n/a"


@pytest.mark.parametrize("cached", [False, True])
def test_prices_make_the_cost_money(capsys, cached):
    """What a server had read before was free to whoever named no price of it."""
    with served_model(Manner(cached=cached)) as server:
        settings = {"prices.input": 1, "prices.output": 2}
        assert harness_run(server, "--dry-run", **settings) == 0
        told = capsys.readouterr().out
        assert "tokens sent and" in told and "($" in told and not list(Path("results").rglob("run.json"))
        assert harness_run(server, **settings) == 0
    run = the_run()
    ledger = run.ledger.filter(method="best_of_n", phase="generate", role="policy")
    dollars = (ledger["prefill_tokens"].sum() + 2 * ledger["tokens"].sum()) / 1e6 / 3
    out = capsys.readouterr().out
    assert "cost: dollars a thousand prompts" in " ".join(out.split()) and f"${1000 * dollars:.2g}" in out
    assert "dollars a 1,000 prompts (with fitting)" in (run.folder / "report.md").read_text()


def test_a_run_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(capsys, monkeypatch, tmp_path):
    with served_model() as server:
        assert harness_run(server) == 0
    whole, total = answers(the_run()), len(server.requests)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "another"))
    capsys.readouterr()
    with served_model(Manner(fails=lambda count, body: 400 if count > total - 6 else None)) as server:
        assert harness_run(server, "--out", "stopped") == 2
    said = capsys.readouterr().err
    assert "status 400" in said and "All answers so far are kept" in said and "Traceback" not in said
    with served_model(port=server.port) as server:
        assert harness_run(server, "--out", "stopped") == 0
    assert not {seed for path, body in server.requests if 0 < (seed := body.get("seed", 0)) < 100}  # not probed again
    [folder] = [path.parent for path in Path("stopped", "runs").glob("*/run.json")]
    assert answers(load_run(folder)) == whole and len(load_run(folder).about["served"]) == 2


def test_a_budget_stops_a_run_and_the_next_command_goes_on(capsys):
    with served_model() as server:
        codes = []
        for _ in range(40):
            codes.append(harness_run(server, "--budget-tokens", "150"))
            if codes[-1] == 0:
                break
            assert "the budget is spent" in capsys.readouterr().err
    assert len(codes) > 2 and codes[-1] == 0 and set(codes[:-1]) == {2}
    bills = the_run().about["served"]
    assert all(bill["input_tokens"] + bill["output_tokens"] <= 150 for bill in bills)


def test_no_secret_is_in_anything_that_a_run_leaves_or_says(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with served_model(Manner(key=KEY)) as server:
        assert harness_run(server, "--key-variable", "PLANTED_KEY") == 0
        monkeypatch.setenv("PLANTED_KEY", f"{KEY}-wrong")
        assert harness_run(server, "--key-variable", "PLANTED_KEY", "--seed", "1") == 2
        assert "the key in the environment variable PLANTED_KEY was refused" in (said := capsys.readouterr()).err
        assert harness_run(server, "--set", f"model_args.request={{api_key: {KEY}}}") == 2
        assert harness_run(f"openai:{server.url}/{KEY}#letters") == 2
        more = capsys.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 30 and not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in said.out + said.err + more.out + more.err


def test_what_asks_the_server_again_takes_the_name_of_its_key(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with served_model(Manner(key=KEY)) as server:
        assert harness_run(server, "--key-variable", "PLANTED_KEY") == 0
        run, keyed = the_run(), ["--key-variable", "PLANTED_KEY"]
        theirs = tmp_path / "theirs.jsonl"
        answers = run.completions.filter(method="base").select("prompt", "response").iter_rows(named=True)
        theirs.write_text("".join(json.dumps(one) + "\n" for one in answers))
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        commands = [
            ["generate", "latest", "--prompt", "abc", "--method", "best_of_n", "--pick", "reward"],
            ["import", str(theirs), "--run", "latest", "--method", "theirs"],
        ]
        for words in commands:
            assert main(words) == 2
            assert "no key was sent; name its environment variable with --key-variable" in capsys.readouterr().err
            assert main([*words, *keyed]) == 0
        assert open_models(run.folder / "fitted", server.model, "auto", Use("PLANTED_KEY")).served
        assert HarnessLM(str(run.folder), "base", model=server.model, key_variable="PLANTED_KEY")
        with pytest.raises(UserError, match="no key was sent"):
            HarnessLM(str(run.folder), "base", model=server.model)
        assert harness.load("latest", "base", key_variable="PLANTED_KEY").generate(["abc"])
    assert all("--key-variable" in help_of(name, capsys) for name in ("generate", "serve", "tax", "import", "list"))


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "words, method, says",
    [
        ([], "iro,cards", "cards needs take back and token level of the policy; 'letters' gives text"),
        (
            ["--set", "iro.iterations=1", "--set", "iro.value.kind=hidden"],
            "iro",
            "iro needs states of the policy; 'letters' gives text",
        ),
        (["--workers", "2"], "iro", "give --parallel N requests at a time"),
        (["--device", "cpu"], "iro", "a server decides where its model computes"),
        (["--set", "model_args.revision=v2"], "iro", "a server loads its model by itself"),
        (["--set", "model_args.request={seed: 1}"], "iro", "which the run itself decides"),
        (["--budget-usd", "1"], "iro", "needs the prices of the model"),
        (["--budget-tokens", "-1"], "iro", "--budget-tokens -1.0: give more than 0"),
        (["--budget-tokens", "5"], "iro", "too small for a single request"),
        (["--key-variable", "NO_SUCH_KEY"], "iro", "the environment variable NO_SUCH_KEY holds no key"),
    ],
)
def test_what_a_server_cannot_do_is_refused_before_any_work(capsys, words, method, says):
    with served_model() as server:
        assert harness_run(server, *words, method=method) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_prices_of_a_model_that_computes_here_are_refused(capsys):
    assert main(["run", "--task", "toy", "--set", "prices.input=1"]) == 2
    assert "only tokens of a server" in capsys.readouterr().err


def test_list_shows_what_a_server_can_do_and_which_methods_remain(capsys):
    with served_model(Manner(texts=False, goes_on=())) as server:
        assert main(["list", "--model", server.model]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "written in one piece" in said and "best_of_n yes" in said and "needs token level" in said


def nll_of(run):
    """Method -> its mean base NLL in nats a token."""
    found = run.scores.filter(metric="base_nll").group_by("method").agg("value").rows()
    return {method: float(np.mean(values)) for method, values in found}


def test_base_nll_is_known_of_plain_samples_where_the_server_tells_log_probabilities(capsys):
    with served_model(Manner(logprobs="raw")) as server:
        assert harness_run(server) == 0
    told = nll_of(run := the_run())
    assert all(0 < told[name] < 4 for name in ("base", "base_greedy", "best_of_n")) and np.isnan(told["iro"])
    assert told["base_greedy"] < told["base"]
    assert run.ledger.filter(phase="score", role="policy").is_empty()  # nothing was read again for it
    assert "base NLL is n/a" not in capsys.readouterr().err
    report = (run.folder / "report.md").read_text()
    assert f"| {told['base']:.2f} |" in report and "It is n/a where nobody told all log-probabilities" in report


def test_why_base_nll_is_not_known_is_said_before_any_work(capsys):
    with served_model() as server:
        assert harness_run(server) == 0
    assert "base NLL is n/a; log-probabilities: not told" in capsys.readouterr().err
    assert np.isnan(nll_of(the_run())["base"])


def test_a_model_that_takes_no_temperature_runs_without_a_greedy_base(capsys):
    """Reasoning models refuse the field, and want the limit by another name."""
    manner = Manner(refuses=("temperature", "top_p"), top_k=False, limit="max_completion_tokens")
    with served_model(manner) as server:
        assert harness_run(server, "--dry-run") == 0
        capsys.readouterr()
        assert harness_run(server) == 0
        said = capsys.readouterr()
        sent = [body for _, body in server.requests if body.get("seed", 0) > 100]
        assert harness_run(server) == 0 and "is done" in capsys.readouterr().err
        assert harness_run(server, **{"sampler.temperature": 0.5}) == 2
        words = ["--task", TASK, "--model", server.model, "--limit", "3", "--method", "base_greedy", "--only"]
        assert main(["run", *words]) == 2
    assert said.err.count("letters takes no temperature and no top_p: its server draws as it does by itself") == 1
    assert said.err.count("letters takes max_completion_tokens in place of max_tokens") == 1
    assert sent and all({"temperature", "top_p", "top_k"}.isdisjoint(body) for body in sent)
    assert set((run := the_run()).completions["method"]) == {"base", "best_of_n", "iro"}
    assert "base (greedy) was left out" in " ".join(said.out.split()) and "base_greedy" in run.about["left_out"]
    refused = " ".join(capsys.readouterr().err.split())
    assert "sampler.temperature=0.5 cannot be had, leave it at 1" in refused and "choose other methods" in refused


def test_a_model_that_refuses_a_temperature_of_0_alone_is_drawn_at_others(capsys):
    with served_model(Manner(refuses_zero=True)) as server:
        assert harness_run(server, **{"sampler.temperature": 0.5}) == 0
        sent = [body for _, body in server.requests if body.get("seed", 0) > 100]
    assert sent and {body["temperature"] for body in sent} == {0.5}
    assert "takes no temperature of 0" in the_run().about["left_out"]["base_greedy"]
