"""The page at /: one prompt answered by the base and by an aligned model, side by side, with the search tree.

It looks like the page of a run and uses its scripts; what models write is shown as text. It asks this server alone.
"""

import base64
import hashlib
import re
from html import escape
from pathlib import Path

from harness.core.models.toy import ToyPolicy
from harness.evidence.page.markup import HERE as SHARED
from harness.evidence.page.markup import document
from harness.serve.http.models import Models

HERE = Path(__file__).parent
_SCRIPTS = (SHARED / "elements.js", SHARED / "tree.js", HERE / "serve.js")


def serving_page(models: Models, needs_token: bool) -> str:
    """The whole page. A token is asked for where the server has one, and kept in the page alone."""
    body = (HERE / "serve.html").read_text(encoding="utf-8")
    options = "\n".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in models.names)
    base = next(name for name in models.names if name.startswith("base/"))
    places = {
        "base": escape(models.base), "options": options, "main": escape(models.main.name), "own": escape(base),
        "example": "topic 0" if isinstance(models.main.aligned.policy, ToyPolicy) else "The film was",
        "chat": "checked" if models.is_chat else "", "token": "" if needs_token else "hidden",
    }  # fmt: skip
    body = re.sub(r"\{\{(\w+)\}\}", lambda match: places[match[1]], body)
    code = "\n".join(path.read_text(encoding="utf-8") for path in _SCRIPTS)
    style = "\n".join(path.read_text(encoding="utf-8") for path in (SHARED / "page.css", HERE / "serve.css"))
    return document(f"{models.base}, served", body, f"<script>\n{code}</script>", style)


def policy_of_page(page: str) -> str:
    """What the browser may load for it: its own script and style, and this server's answers."""
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
