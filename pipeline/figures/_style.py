"""House style of every figure: fonts, colours, the frame, and the way from a figure to a file.

Figure objects are made without pyplot, so nothing global changes and no display is needed. Colours are those of
Okabe and Ito, and cividis for maps: both can be told apart with any colour vision.
"""

from __future__ import annotations

import base64
import functools
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...physics.errors import InputError
from ...physics.files import write_whole

KINDS = ("png", "svg", "pdf")

P = ParamSpec("P")

COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#8C8C8C",
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.3,
    "figure.dpi": 130.0,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the house style, whatever the caller's rcParams are."""

    @functools.wraps(draw)
    def styled(*arguments: P.args, **options: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*arguments, **options)

    return styled


def panels(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return an empty figure of a size in inches, and its axes as an array (rows, columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def below(figure: Figure, *axes: Axes, columns: int = 3) -> None:
    """One legend under the panels, where it hides no data; each label once."""
    seen: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    figure.legend(list(seen.values()), list(seen), loc="outside lower center", ncols=columns)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        # no date or version inside, so that equal results give equal files
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, file: str | os.PathLike[str]) -> Path:
    """Write the figure as PNG, SVG or PDF, by the suffix of the file; whole or not at all.

    Raises
    ------
    InputError
        If the suffix is none of these.
    OutputError
        If the file cannot be written.
    """
    path = Path(file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise InputError("unknown kind of picture", got=path.name, allowed=", ".join(f".{name}" for name in KINDS))
    # no date or version inside, so that equal results give equal files
    stamp: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    made = io.BytesIO()  # drawn first, written then: on a full disk matplotlib ended a PDF with an error of zlib
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "halidrift"}):
        figure.savefig(made, format=kind, metadata=stamp[kind])
    return write_whole(path, lambda name: Path(name).write_bytes(made.getvalue()))


def uri(figure: Figure) -> str:
    """The figure as a data URI, to be shown by a page that stands alone."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode("ascii")
