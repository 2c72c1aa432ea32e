"""Conduction laws on the axes on which each of them is a straight line."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ...physics.conduction import Conduction, LawFit
from ._style import COLOURS, panels, styled

__all__ = ["linearised"]

Array = NDArray[np.float64]

# more curves than this on one panel hide each other; the fit uses all
MOST_TEMPERATURES = 8


@styled
def linearised(result: Conduction) -> Figure:
    """One panel a law in the order of the ranking: readings of each temperature and the fit of that law.

    Parameters
    ----------
    result : Conduction
        Of :func:`halidrift.physics.conduction.fit`.

    Notes
    -----
    Readings at or below zero have no logarithm and are not drawn; they do count in the fit. Of more than eight
    temperatures eight are drawn.
    """
    columns = min(3, len(result.ranking))
    rows = -(-len(result.ranking) // columns)
    figure, axes = panels(3.4 * columns + 0.4, 2.75 * rows + 0.9, rows, columns)
    every = np.array(result.temperatures_K)
    if every.size > MOST_TEMPERATURES:
        shown = every[np.unique(np.linspace(0, every.size - 1, MOST_TEMPERATURES).round().astype(int))]
    else:
        shown = every
    # dark to light without the palest end, which white paper swallows
    colours = mpl.colormaps["cividis"](np.linspace(0.0, 0.85, shown.size))
    marks = "osD^vPX*"
    points = result.points
    near = every[np.argmin(np.abs(points.T[:, None] - every[None, :]), axis=1)]
    for panel, fit in zip(axes.ravel(), result.ranking, strict=False):
        for T, colour, mark in zip(shown, colours, marks, strict=False):
            at = near == T
            V, I = points.V[at], points.I[at]  # noqa: E741 - the symbol of the field
            order = np.argsort(V, kind="stable")
            V, I = V[order], I[order]  # noqa: E741
            along = fit.law.axes
            panel.plot(
                along.x(V, np.full_like(V, T)),
                along.y(V, I, np.full_like(V, T)),
                linestyle="none",
                marker=mark,
                markersize=3.0,
                markeredgewidth=0.0,
                color=colour,
                alpha=0.75,
            )
            fine = np.geomspace(V[0], V[-1], 120)
            current = fit.predict(fine, np.full_like(fine, T))
            ln = along.y(fine, current, np.full_like(fine, T))
            panel.plot(along.x(fine, np.full_like(fine, T)), ln, color=COLOURS["vermillion"], linewidth=1.0)
        _readings_rule(panel, fit, points.V, points.I, near)
        # a fixed number of ticks, so that the layout does not depend on who asks for it
        panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        panel.set_xlabel(fit.law.axes.x_label)
        panel.set_ylabel(fit.law.axes.y_label)
        place = result.ranking.index(fit) + 1
        doubt = "" if fit.physical else "\nunphysical parameters"
        panel.set_title(f"{place}. " + textwrap.fill(fit.title, 36) + f"\nΔAICc {fit.delta:.1f}{doubt}", fontsize=8.5)
    for panel in axes.ravel()[len(result.ranking) :]:
        panel.set_visible(False)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=5, label=f"{T:.0f} K")
        for T, colour, mark in zip(shown, colours, marks, strict=False)
    ]
    handles.append(Line2D([], [], color=COLOURS["vermillion"], label="fit"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3 * columns))
    figure.suptitle(str(result.branch), x=0.01, ha="left", fontsize=10)
    return figure


def _readings_rule(panel: Axes, fit: LawFit, V: Array, current: Array, T: Array) -> None:
    """Limits by the readings: a poor law may leave the panel, and shall."""
    y = fit.law.axes.y(V, current, T)
    y = y[np.isfinite(y)]
    if y.size:
        margin = 0.08 * (y.max() - y.min()) or 1.0
        panel.set_ylim(y.min() - margin, y.max() + margin)
