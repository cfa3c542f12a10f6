"""The figures of a report as parts of a page: drawn in its colours where they can be, else as pictures on white.

A figure whose SVG takes the page's colour for its text is put into the page, without anything in it that could run or
load: a run's folder may come from anybody.
"""

import base64
import re
from html import escape, unescape
from pathlib import Path
from xml.etree import ElementTree

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_DRAWS = frozenset(
    {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "line", "circle", "polyline", "polygon",
     "pattern", "linearGradient", "stop", "title", "desc"}
)  # fmt: skip
ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _LINK)


def with_figures(html: str, folder: Path) -> str:
    """The page with its images in it; without those that the folder lacks."""

    def drawn(match: re.Match[str]) -> str:
        path = folder / match[1]
        label = unescape(match[2])
        return _inline(path.with_suffix(".svg"), label) or _picture(path, label)

    return re.sub(r'<img src="([\w.-]+\.png)" alt="([^"]*)">', drawn, html)


def _inline(path: Path, label: str) -> str | None:
    """The SVG as an element; None where it is not there, is damaged, or would not take the page's colours."""
    if not path.is_file() or "currentColor" not in (text := path.read_text(encoding="utf-8", errors="replace")):
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    prefix = re.sub(r"\W", "", path.stem)
    _keep_drawing(root, prefix)
    root.attrib |= {"role": "img", "aria-label": label, "class": "figure"}
    drawn = ElementTree.tostring(root, encoding="unicode")
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{drawn}</div>'


def _keep_drawing(element: ElementTree.Element, prefix: str) -> None:
    """Leave what draws, and give ids a prefix of the figure's own: several stand in one page."""
    for child in list(element):
        if not isinstance(child.tag, str) or child.tag.removeprefix(f"{{{_SVG}}}") not in _DRAWS:
            element.remove(child)
        else:
            _keep_drawing(child, prefix)
    for name, value in list(element.attrib.items()):
        if name == "id":
            element.attrib[name] = f"{prefix}-{value}"
        elif name in ("href", f"{{{_LINK}}}href"):
            if value.startswith("#"):
                element.attrib[name] = f"#{prefix}-{value[1:]}"
            else:
                del element.attrib[name]
        elif name.lower().startswith("on"):
            del element.attrib[name]
        elif "url(" in value.lower():
            own = re.sub(r"url\(#([\w.-]+)\)", rf"url(#{prefix}-\1)", value)
            element.attrib[name] = own if own.lower().count("url(") == own.count(f"url(#{prefix}-") else ""


def _picture(path: Path, label: str) -> str:
    if not path.is_file() or not path.stat().st_size:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(label)}">'
