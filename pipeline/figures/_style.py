"""House style of every figure: fonts, colours, the frame, and the way from a figure to a file.

Figure objects are made without pyplot, so nothing global changes and no display is needed. Colours are those of
Okabe and Ito, and cividis for maps: both can be told apart with any colour vision.
"""

from __future__ import annotations

import functools
import io
import math
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...physics.errors import InputError
from ...physics.files import write_whole

KINDS = ("png", "svg", "pdf")

P = ParamSpec("P")

NARROW_IN = 4.2
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)

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
    # text stays text, to be searched and edited: SVG names its font, PDF embeds it as TrueType (never as type 3)
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def narrow() -> Iterator[None]:
    """Draw for a telephone: panels one below the other, on :data:`NARROW_IN`, so that text stays legible there."""
    before = _narrow.set(True)
    try:
        yield
    finally:
        _narrow.reset(before)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the house style, whatever the caller's rcParams are."""

    @functools.wraps(draw)
    def styled(*arguments: P.args, **options: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            figure = draw(*arguments, **options)
            if _narrow.get():
                for ax in figure.axes:
                    for place in ("left", "center"):
                        if title := ax.get_title(place):
                            ax.set_title("\n".join(wrapped(title.split("\n"), 34)), loc=place)
            return figure

    return styled


def panels(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return an empty figure of a size in inches, and its axes as an array (rows, columns)."""
    place = {"rows": rows, "columns": columns}
    if _narrow.get():
        width = min(width, NARROW_IN)
        if columns > 1:
            height *= 0.9 * columns
            place = {"rows": rows * columns, "columns": 1}
            options.pop("width_ratios", None)
            if "height_ratios" in options:
                options["height_ratios"] = np.repeat(options["height_ratios"], columns)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(place["rows"], place["columns"], squeeze=False, **options)
    return figure, axes.reshape(rows, columns)


def wrapped(labels: Sequence[str], characters: int = 24) -> list[str]:
    """Labels as they are; on a narrow figure in lines of so many characters."""
    return [textwrap.fill(label, characters) for label in labels] if _narrow.get() else list(labels)


def beside() -> str:
    """Where a scale of colours stands that panels share: beside them, or below where they stand in one column."""
    return "bottom" if _narrow.get() else "right"


def spread(height: float) -> float:
    """Height of one labelled row, more where :func:`wrapped` breaks the label."""
    return 1.8 * height if _narrow.get() else height


def below(figure: Figure, *axes: Axes, columns: int = 3) -> None:
    """One legend under the panels, where it hides no data; each label once."""
    seen: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    if _narrow.get():
        columns = min(columns, 3 if max(map(len, seen), default=0) < 12 else 2 if max(map(len, seen)) < 24 else 1)
    figure.legend(list(seen.values()), list(seen), loc="outside lower center", ncols=columns)


def described(figure: Figure, *sentences: str) -> Figure:
    """The figure, with what it shows in words and numbers for whoever does not see it; see :func:`description`."""
    figure.set_label(" ".join(sentence for sentence in sentences if sentence))
    return figure


def description(figure: Figure) -> str:
    """What :func:`described` said of a figure: alternative text of a page, and inside each SVG and PDF."""
    return str(figure.get_label())


_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: ""}
_PREFIXED = ("A", "J", "S", "m", "s")


def number(value: float, unit: str = "") -> str:
    """A number of a description, to three digits: it is read aloud, so 1.5 µA and 62,500 rather than powers of ten."""
    if unit in _PREFIXED and 1e-15 <= abs(value) < 1.0:
        power = 3 * math.floor(math.log10(abs(float(f"{value:.3g}"))) / 3 + 1e-9)
        return f"{value / 10.0**power:.3g} {_PREFIXES[power]}{unit}"
    rounded = float(f"{value:.3g}")
    text = f"{rounded:,.0f}" if 1e3 <= abs(rounded) < 1e9 else f"{rounded:g}"
    return f"{text} {unit}".rstrip()


def span(values: Any, unit: str = "") -> str:
    """From the least to the largest finite value, as a description says it."""
    found = np.asarray(values, dtype=float).ravel()
    found = found[np.isfinite(found)]
    if not found.size:
        return "nothing"
    low, high = number(float(found.min()), unit), number(float(found.max()), unit)
    return high if low == high else f"{low} to {high}"


def _stamp(figure: Figure, kind: str) -> dict[str, Any]:
    """What a file says of itself: no date or version, so that equal results give equal files."""
    words = description(figure) or None
    stamps: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None, "Description": words},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None, "Subject": words},
    }
    return stamps[kind]


def drawn(figure: Figure, kind: str) -> bytes:
    """The figure as a file of one of :data:`KINDS`."""
    buffer = io.BytesIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "halidrift"}):
        figure.savefig(buffer, format=kind, metadata=_stamp(figure, kind))
    return buffer.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    return drawn(figure, "png")


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
    picture = drawn(figure, kind)
    return write_whole(path, lambda name: Path(name).write_bytes(picture))
