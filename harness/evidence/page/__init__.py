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
from harness.evidence.schema import ANSWER, BASE_NLL, GOLD, PROXY, ROW, Row
from harness.evidence.store import Run


def write_page(run: Run) -> Path:
    """Write report.html from report.md, the figures and the tables in the run's folder; its path."""
    top, *rest = re.split(r"(?m)^(?=## )", (run.folder / "report.md").read_text(encoding="utf-8"))
    more = _with_figures(to_html("".join(rest)), run.folder)
    parts = [
        _with_figures(to_html(top), run.folder),
        (HERE / "browser.html").read_text(encoding="utf-8"),
        f"<details><summary>The rest of the report</summary>\n{more}\n</details>",
    ]
    body = "\n".join(["<main>", *parts, "</main>"])
    data = json.dumps(page_data(run), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    data = data.replace("<", "\\u003c")  # so that no answer can end the script it stands in
    script = f'<script type="application/json" id="data">{data}</script>\n'
    script += f"<script>\n{(HERE / 'page.js').read_text(encoding='utf-8')}</script>"
    path = run.folder / "report.html"
    with whole(path) as part:
        part.write_text(
            document(run.id, body, script, (HERE / "page.css").read_text(encoding="utf-8")), encoding="utf-8"
        )
    return path


def page_data(run: Run) -> dict[str, Any]:
    """What the browser shows. Rows that gave one prompt the same answer share it: `picks[row][prompt]` is its place.

    prompts: [id, text]. answers[prompt]: [text, gold, proxy (sd), base NLL, tokens, stop]. trees: one for a method,
    iteration and prompt, with rounds of [parent, text, S, kept].
    """
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    table = run.completions.join(wide, on=ANSWER, how="inner", maintain_order="left")
    prompts = table.unique("prompt_id").sort("prompt_id").select("prompt_id", "prompt").rows()
    place = {prompt_id: i for i, (prompt_id, _) in enumerate(prompts)}
    rows: dict[Row, list[int | None]] = {}
    answers: list[dict[tuple[Any, ...], int]] = [{} for _ in prompts]
    for found in table.iter_rows(named=True):
        i = place[found["prompt_id"]]
        gold, proxy = (_number(run.record.standardised(metric, float(found[metric]))) for metric in (GOLD, PROXY))
        answer = (found["response"], gold, proxy, _number(found[BASE_NLL]), found["n_tokens"], found["stop"])
        row = rows.setdefault(Row(*(found[name] for name in ROW)), [None] * len(prompts))
        row[i] = answers[i].setdefault(answer, len(answers[i]))
    return {
        "prompts": prompts,
        "rows": [{"method": key.method, "iteration": key.iteration, "pick": key.final_pick} for key in rows],
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


def _number(value: float) -> float | None:
    """Three decimals; what could not be scored is null."""
    return None if math.isnan(value) else round(value, 3)


def _with_figures(html: str, folder: Path) -> str:
    """Images as data in the page itself."""

    def inlined(match: re.Match[str]) -> str:
        return f'src="data:image/png;base64,{base64.b64encode((folder / match[1]).read_bytes()).decode()}"'

    return re.sub(r'src="([\w.-]+\.png)"', inlined, html)
