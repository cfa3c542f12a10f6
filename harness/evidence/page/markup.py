"""The little markdown that our reports use (headings, paragraphs, tables, images, links, code, bold) as HTML."""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def to_html(text: str) -> str:
    """Blocks are separated by empty lines; tables can be scrolled sideways, also by keyboard."""
    return "\n".join(_block(block) for block in re.split(r"\n\n+", text.strip()))


def document(title: str, body: str, script: str = "", style: str = "") -> str:
    """A page that needs no other file, apart from images that the body names."""
    page = (HERE / "page.html").read_text(encoding="utf-8")
    style = (HERE / "document.css").read_text(encoding="utf-8") + style
    parts = {"title": escape(title), "style": style, "body": body, "script": script}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def scripts(names: Sequence[str], data: Any = None) -> str:
    """Scripts for `document`, in this order, and the plain data that they read; no text in it can end its element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
    code = "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)
    return f'<script type="application/json" id="data">{text}</script>\n<script>\n{code}</script>'


def _block(block: str) -> str:
    if heading := re.fullmatch(r"(#+) (.*)", block):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    if image := re.fullmatch(r"!\[([^\]]*)\]\(([\w./-]+)\)", block):
        return f'<img src="{escape(image[2])}" alt="{escape(image[1])}">'
    if block.startswith("|") and block.count("\n") >= 1:
        header, _, *rows = [_cells(line) for line in block.splitlines()]
        head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in header)
        body = "\n".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        return f'<div class="scroll" tabindex="0" role="region" aria-label="table">\n{table}\n</div>'
    return f"<p>{_inline(' '.join(block.splitlines()))}</p>"


def _cells(line: str) -> list[str]:
    """'| a | b \\| c |' -> ['a', 'b | c']."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _inline(text: str) -> str:
    """Links lead to files beside the page or to the web: what a model wrote may look like any other."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]+)\]\((https?://[^)\s\"]+|[\w./-]+)\)", r'<a href="\2">\1</a>', text)
