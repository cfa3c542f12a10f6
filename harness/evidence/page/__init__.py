"""A stored run as one page to look at: its report, its figures, every answer, and the search trees; no torch.

python -m harness report imdb-3f2a --html       # writes report.html into the run's folder; it needs no other file
"""

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.files import whole
from harness.evidence.page.markup import HERE, document, to_html
from harness.evidence.store import Run
from harness.evidence.table import GOLD, PROXY

_ROW = ("method", "iteration", "final_pick")


def write_page(run: Run) -> Path:
    """Write report.html from report.md, the figures and the tables in the run's folder; its path."""
    top, *rest = re.split(r"(?m)^(?=## )", (run.folder / "report.md").read_text())
    more = _with_figures(to_html("".join(rest)), run.folder)
    parts = [
        _with_figures(to_html(top), run.folder),
        (HERE / "browser.html").read_text(),
        f"<details><summary>The rest of the report</summary>\n{more}\n</details>",
    ]
    body = "\n".join(["<main>", *parts, "</main>"])
    data = json.dumps(page_data(run), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    data = data.replace("<", "\\u003c")  # so that no answer can end the script it stands in
    script = f'<script type="application/json" id="data">{data}</script>\n'
    script += f"<script>\n{(HERE / 'page.js').read_text()}</script>"
    path = run.folder / "report.html"
    with whole(path) as part:
        part.write_text(document(run.id, body, script, (HERE / "page.css").read_text()), encoding="utf-8")
    return path


def page_data(run: Run) -> dict[str, Any]:
    """What the browser shows. Rows that gave one prompt the same answer share it: `picks[row][prompt]` is its place.

    prompts: [id, text]. answers[prompt]: [text, gold, proxy (sd), base NLL, tokens, stop]. trees: one for a method,
    iteration and prompt, with rounds of [parent, text, S, kept].
    """
    wide = run.scores.pivot("metric", index=[*_ROW, "prompt_id"], values="value")
    table = run.completions.join(wide, on=[*_ROW, "prompt_id"], how="inner", maintain_order="left")
    prompts = table.unique("prompt_id").sort("prompt_id").select("prompt_id", "prompt").rows()
    place = {prompt_id: i for i, (prompt_id, _) in enumerate(prompts)}
    rows: dict[tuple[Any, ...], list[int | None]] = {}
    answers: list[dict[tuple[Any, ...], int]] = [{} for _ in prompts]
    for found in table.iter_rows(named=True):
        i = place[found["prompt_id"]]
        gold, proxy = (_in_sd(run, metric, found[metric]) for metric in (GOLD, PROXY))
        answer = (found["response"], gold, proxy, _number(found["base_nll"]), found["n_tokens"], found["stop"])
        row = rows.setdefault(tuple(found[name] for name in _ROW), [None] * len(prompts))
        row[i] = answers[i].setdefault(answer, len(answers[i]))
    return {
        "prompts": prompts,
        "rows": [dict(zip(("method", "iteration", "pick"), key, strict=True)) for key in rows],
        "picks": list(rows.values()),
        "answers": [list(of_prompt) for of_prompt in answers],
        "trees": [] if run.trace is None else _trees(run.trace, place),
    }


def _trees(trace: pl.DataFrame, place: dict[str, int]) -> list[dict[str, Any]]:
    trees = []
    columns = ("parent", "text", "score", "kept")
    keys = ("method", "iteration", "prompt_id")
    for key, part in trace.sort("round", "row").partition_by(*keys, as_dict=True, maintain_order=True).items():
        method, iteration, prompt_id = key
        rounds = [
            [[parent, text, _number(score), kept] for parent, text, score, kept in a_round.select(columns).rows()]
            for a_round in part.partition_by("round", maintain_order=True)
        ]
        trees.append({"method": method, "iteration": iteration, "prompt": place[prompt_id], "rounds": rounds})
    return trees


def _in_sd(run: Run, metric: str, value: float) -> float | None:
    unit = run.about["units"][metric]
    return _number((value - unit["mean"]) / unit["sd"])


def _number(value: float) -> float | None:
    """Three decimals; what could not be scored is null."""
    return None if math.isnan(value) else round(value, 3)


def _with_figures(html: str, folder: Path) -> str:
    """Images as data in the page itself."""

    def inlined(match: re.Match[str]) -> str:
        return f'src="data:image/png;base64,{base64.b64encode((folder / match[1]).read_bytes()).decode()}"'

    return re.sub(r'src="([\w.-]+\.png)"', inlined, html)
