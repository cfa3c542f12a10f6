"""Files of figures: PNG, SVG and PDF, the same bytes for the same figure, and an SVG as part of a page.

save(fig, folder / "gold_by_method")               # gold_by_method.png, .svg and .pdf
inline_svg(folder / "gold_by_method.svg")          # "<svg ...>": text and axes take the page's colour
"""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from harness.core.files import whole
from harness.core.printable import without_controls
from harness.evidence.figures.style import INK, STYLE

_FAMILY = STYLE["font.family"]  # in an SVG others of its width stand for it where a reader lacks it
FORMATS = ("png", "svg", "pdf")
_NAMELESS: dict[str, dict[str, Any]] = {  # no dates, no versions
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(
    fig: Figure, path: Path, formats: Sequence[str] = FORMATS, notes: Mapping[str, str] | None = None
) -> list[Path]:
    """Write `path` with the ending of each format; a PNG keeps `notes`. The files."""
    written = []
    for kind in formats:
        content = BytesIO()
        with rc_context(STYLE):
            metadata = {**_NAMELESS[kind], **((notes or {}) if kind == "png" else {})}
            fig.savefig(content, format=kind, metadata=metadata, transparent=kind != "png")
        file = path.with_name(f"{path.name}.{kind}")
        with whole(file) as part:
            part.write_bytes(_of_any_page(content.getvalue()) if kind == "svg" else content.getvalue())
        written.append(file)
    return written


def data_of(path: Path) -> str | None:
    """What a PNG of ours says that it was drawn from."""
    with Image.open(path) as image:
        found = image.info.get("Data")
    return found if isinstance(found, str) else None


def inline_svg(path: Path) -> str:
    """An SVG as it stands inside a page, without the lines that only a file of its own has."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def _of_any_page(svg: bytes) -> bytes:
    """Ink becomes the page's colour; rules for all elements and ids go, which would touch the page and its figures.

    Controls, which a name may hold, stand as their codes: no XML has them, and such a file shows nothing.
    """
    text = (
        without_controls(svg.decode())
        .replace(INK, "currentColor")
        .replace(f"'{_FAMILY}'", f"'{_FAMILY}', Verdana, sans-serif")
    )
    text = re.sub(r" <metadata>.*?</metadata>\n", "", text, flags=re.S)
    text = re.sub(r" <defs>\n  <style[^>]*>\*\{.*?\}</style>\n </defs>\n", "", text)
    text = text.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
    used = set(re.findall(r"#([\w.-]+)", text))
    return re.sub(r' id="([\w.-]+)"', lambda match: match[0] if match[1] in used else "", text).encode()
