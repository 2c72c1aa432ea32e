"""Published numbers side by side: how far the sources of one quantity are apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...physics.barriers import Barrier
from ._style import COLOURS, panels, styled

__all__ = ["spread"]

# colour and marker tell the same, for readers of either
_WAYS = {
    "experiment": (COLOURS["vermillion"], "o"),
    "calculation": (COLOURS["blue"], "s"),
    "method not stated where it was read": (COLOURS["grey"], "D"),
    "compiled from several papers": (COLOURS["orange"], "v"),
    "computed with halidrift neb, not published": (COLOURS["green"], "^"),
}


def _way(row: Barrier) -> str:
    method = row.method.lower()
    if row.computed:
        return "computed with halidrift neb, not published"
    if row.compiled:
        return "compiled from several papers"
    if method.startswith("not stated"):
        return "method not stated where it was read"
    experimental = ("experiment", "measure", "arrhenius", "fit", "impedance", "spectroscop", "dlts", "conductivity")
    return "experiment" if any(word in method for word in experimental) else "calculation"


@styled
def spread(barriers: Sequence[Barrier], title: str) -> Figure:
    """Strip plot: one line a published number, ranges as bars, one-sided bounds as arrows, conditions at the side.

    Parameters
    ----------
    barriers : sequence of Barrier, not empty
        Of one quantity.
    title : str
        What is compared.
    """
    rows = sorted(barriers, key=_middle, reverse=True)
    # who is who, where the selection holds several hosts or defects
    mixed = len({(row.material, row.species) for row in rows}) > 1
    labels = [_label(row, f"{row.material} {row.species}, " if mixed else "") for row in rows]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure, axes = panels(8.2, 1.5 + 0.17 * lines + 0.14 * len(rows))
    ax = axes[0, 0]
    ends = [side for row in rows for side in (row.low_eV, row.high_eV) if side is not None]
    margin = 0.08 * (max(ends) - min(ends)) or 0.1
    low, high = min(ends) - margin, max(ends) + margin
    # a line for each line of its label, so that labels never touch
    place, places = 0.0, []
    for label in labels:
        height = 1.0 + 0.75 * label.count("\n")
        places.append(place + height / 2)
        place += height + 0.35
    for row, y in zip(rows, places, strict=True):
        colour, marker = _WAYS[_way(row)]
        if row.low_eV is None or row.high_eV is None:
            known = row.low_eV if row.high_eV is None else row.high_eV
            assert known is not None  # a row has at least one side
            ax.plot(known, y, marker="|", markersize=10, color=colour)
            ax.annotate(
                "",
                xy=(known + (0.9 if row.high_eV is None else -0.9) * margin, y),
                xytext=(known, y),
                arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5},
            )
        elif row.is_range:
            ax.plot(
                [row.low_eV, row.high_eV],
                [y, y],
                color=colour,
                linewidth=4.0,
                alpha=0.55,
                solid_capstyle="butt",
            )
            ax.plot([row.low_eV, row.high_eV], [y, y], linestyle="none", marker=marker, markersize=4.5, color=colour)
        else:
            ax.plot(row.low_eV, y, marker=marker, markersize=6, color=colour, linestyle="none")
    ax.set_xlim(low, high)
    ax.set_ylim(-0.4, place + 0.05)
    ax.set_yticks(places, labels, fontsize=7.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{rows[0].quantity.replace('_', ' ')} (eV)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    used = {_way(row) for row in rows}
    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=way)
        for way, (colour, marker) in _WAYS.items()
        if way in used
    ]
    if any(row.is_range for row in rows):
        marks.append(Line2D([], [], color="#555555", linewidth=4.0, alpha=0.55, label="range as published"))
    if any(row.is_bound for row in rows):
        marks.append(Line2D([], [], color="#555555", marker="$\\rightarrow$", linestyle="none", label="bound"))
    figure.legend(handles=marks, loc="outside lower center", ncols=min(len(marks), 3))
    return figure


def _middle(row: Barrier) -> float:
    ends = [side for side in (row.low_eV, row.high_eV) if side is not None]
    return sum(ends) / len(ends)


def _label(row: Barrier, host: str) -> str:
    via = f" via {row.via}" if row.via else ""
    charge = "" if row.charge is None else f", charge {row.charge:+d}" if row.charge else ", charge 0"
    head = f"{host}{row.source}{via}: {row.value} {row.unit}{charge}"
    also = f"repeats {row.repeats}" if row.repeats else ""
    return "\n".join([head, *textwrap.wrap(", ".join(part for part in (row.conditions, also) if part), 58)])
