"""Win rates of a judgement, raw and at equal lengths, one line a row."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from harness.evidence.figures.legends import entry, legend_below, legend_inches
from harness.evidence.figures.lines import Line, Mark, draw_lines, inches_below, inches_of
from harness.evidence.figures.style import FAINT, INCHES, PICKS, SMALL, STYLE, Width, label, wrapped
from harness.evidence.names import display_name
from harness.evidence.row import Judged, in_percent

_LOOKS = {
    "win rate": {"color": "#0072B2", "marker": "o"},
    "length-controlled (not AlpacaEval's board)": {"color": "#E69F00", "marker": "s", "fillstyle": "none"},
}


@rc_context(STYLE)
def judged(table: Sequence[Judged], width: Width) -> Figure:
    """Both rates with their intervals; a rate that could not be computed is not drawn."""
    lines = []
    for row in table:
        rates = (row.win_rate, row.length_controlled)
        marks = [Mark(look, [in_percent(rate)]) for look, rate in zip(_LOOKS.values(), rates, strict=True)]
        ours = row.key.final_pick in PICKS
        lines.append(Line(label(row.key) if ours else display_name(row.key.method), marks))
    handles = [entry(name, **look) for name, look in _LOOKS.items()]
    opponents = ", ".join(sorted({display_name(row.opponent) for row in table}))
    said = wrapped(f"won over {opponents}, %", INCHES[width] / 2, SMALL)
    height = inches_of(lines) + inches_below(said) + legend_inches(handles, width)
    fig = Figure(figsize=(INCHES[width], height), layout="constrained")
    ax = fig.subplots()
    draw_lines([ax], lines)
    ax.axvline(50, **FAINT)
    ax.set_xlim(0, 100)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.set_xlabel(said, fontsize=SMALL)
    legend_below(fig, handles)
    return fig
