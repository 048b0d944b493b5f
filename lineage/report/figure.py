"""How the report's pictures are drawn: inline SVG in the page's own colours and font."""

import contextlib
import io
import re
from collections.abc import Iterator

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins that the SVG is written with; each becomes a CSS variable, so that the page's dark colours apply.
_COLOURS = {"#010101": "var(--text)", "#020202": "var(--muted)", "#030303": "var(--train)", "#040404": "var(--good)"}
TEXT, MUTED, TRAIN, VALIDATION = _COLOURS
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """While entered, figures are made and saved in the report's style."""
    with matplotlib.rc_context(_STYLE):
        yield


def new(title: str) -> tuple[Figure, Axes]:
    """A small figure with a heading; the page shows through."""
    figure = Figure(figsize=(4.4, 2.7), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    return figure, axes


def svg(figure: Figure) -> str:
    """The figure as an element for a page: no prolog, no metadata, no fixed size, no font of its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'<svg width="[^"]*" height="[^"]*"', '<svg class="figure" role="img"', text, count=1)
    text = re.sub(r' id="(?!m|p)[a-zA-Z0-9_.]+"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", text)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    return text
