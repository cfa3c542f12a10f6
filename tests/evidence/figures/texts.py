"""What is wrong with the words of a figure: too small, cut off by the page, or on each other."""

from itertools import combinations

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from harness.evidence.figures.style import SMALL, STYLE

_TOUCH = 1.0  # pixels that boxes may share, which hold room for letters that hang down


def faults(fig: Figure) -> list[str]:
    with rc_context(STYLE):
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
    boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in shown(fig)]
    page, found = fig.bbox, []
    for text, box in boxes:
        said = repr(text.get_text())
        if text.get_fontsize() < SMALL:
            found.append(f"{said} has {text.get_fontsize()} points")
        if min(box.x0, box.y0) < -0.5 or box.x1 > page.x1 + 0.5 or box.y1 > page.y1 + 0.5:
            found.append(f"{said} is cut off")
    for (a, one), (b, other) in combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        if across > _TOUCH and up > _TOUCH:
            found.append(f"{a.get_text()!r} lies on {b.get_text()!r}")
    return found


def shown(fig: Figure) -> list[Text]:
    """Texts that are drawn: not those of ticks outside the axes, or of axes that are switched off."""
    hidden: set[int] = set()
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            drawn = {id(label) for tick in axis._update_ticks() for label in (tick.label1, tick.label2)}
            drawn |= {id(axis.label), id(axis.offsetText)}
            hidden |= {id(text) for text in axis.findobj(Text) if not ax.axison or id(text) not in drawn}
    texts = [text for text in fig.findobj(Text) if id(text) not in hidden]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]
