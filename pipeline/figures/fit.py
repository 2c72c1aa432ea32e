"""Picture of a fit: data and model on a logarithmic scale, residuals below, and the errors as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...compact.goodness import Residuals
from ...physics.errors import InputError
from ._style import COLOURS, below, panels, styled

__all__ = ["fit_figure"]

_MOST = 6
_RUNS = 40  # single runs drawn; more hide the typical one


@styled
def fit_figure(found: Sequence[Residuals], *, held_out: Sequence[Residuals] = (), title: str = "") -> Figure:
    """Data, fit and residuals of each stimulus, and a table of normalised errors.

    Parameters
    ----------
    found : sequence of Residuals
        From :func:`halidrift.compact.residuals`, for the traces that were fitted.
    held_out : sequence of Residuals
        The same for traces that were not; marked so.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is nothing to draw, or more than six stimuli.
    """
    everything = [(r, False) for r in found] + [(r, True) for r in held_out]
    if not 1 <= len(everything) <= _MOST:
        raise InputError("A figure shows one to six stimuli", got=len(everything), action="Choose some of them")
    columns = len(everything)
    figure, axes = panels(
        max(2.6 * columns, 4.2), 5.6, 3, columns, gridspec_kw={"height_ratios": [3.0, 1.4, 0.9]}, sharex=False
    )
    largest = max(float(np.abs(r.left).max()) for r, _ in everything)
    low = min(float(np.quantile(r.observed_S, 0.002)) for r, _ in everything)
    high = max(float(r.observed_S.max()) for r, _ in everything)
    reach = max(low, 1e-18) / 1.6, high * 1.6
    analog = reach[1] / reach[0] < 30.0
    prefix, factor = _prefix(high) if analog else ("", 1.0)
    if analog:
        margin = 0.06 * (high - low)
        reach = factor * (low - margin), factor * (high + margin)
    for j, (r, new) in enumerate(everything):
        top, bottom, table = axes[0][j], axes[1][j], axes[2][j]
        unit, scale = _unit(r.time_s)
        t = scale * (r.time_s - r.time_s[0])
        if len(r.observed_S) > 1:
            for k, run in enumerate(r.observed_S[:_RUNS]):
                label = "single runs" if k == 0 else None
                top.plot(t, factor * run, color=COLOURS["grey"], linewidth=0.4, alpha=0.5, label=label)
        label = "typical run" if len(r.observed_S) > 1 else "data"
        top.plot(t, factor * r.typical_S, color=COLOURS["black"], linewidth=1.6, label=label)
        top.plot(t, factor * r.model_S, color=COLOURS["orange"], linestyle="--", linewidth=1.6, label="model")
        if not analog:
            top.set_yscale("log")
        top.set_ylim(*reach)
        top.set_title(f"{r.name}{' (held out)' if new else ''}")
        bottom.axhline(0.0, color=COLOURS["grey"], linewidth=0.8)
        bottom.plot(t, r.left, color=COLOURS["blue"], linewidth=0.9, label="residual")
        bottom.set_ylim(-1.1 * max(largest, 0.05), 1.1 * max(largest, 0.05))
        bottom.set_xlabel(f"time ({unit})")
        if j == 0:
            top.set_ylabel(f"conductance ({prefix}S)")
            bottom.set_ylabel(r"$\ln(G/G_\mathrm{model})$" "\n" r"over $\ln(G_\mathrm{on}/G_\mathrm{off})$")
        else:
            top.tick_params(labelleft=False)
            bottom.tick_params(labelleft=False)
        table.axis("off")
        rows = [["error", f"{r.error:.1%}"], ["runs", str(len(r.observed_S))], ["instants", str(r.time_s.size)]]
        cells = table.table(cellText=rows, loc="center", cellLoc="left", edges="horizontal")
        cells.auto_set_font_size(False)
        cells.set_fontsize(8.0)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    below(figure, axes[0][0], axes[1][0], columns=4)
    return figure


def _prefix(largest: float) -> tuple[str, float]:
    """SI prefix of a conductance and what siemens are multiplied with."""
    for prefix, factor in (("", 1.0), ("m", 1e3), ("µ", 1e6), ("n", 1e9), ("p", 1e12)):
        if largest * factor >= 0.1:
            return prefix, factor
    return "f", 1e15


def _unit(time_s: NDArray[np.float64]) -> tuple[str, float]:
    """Unit of the time axis and what seconds are multiplied with."""
    length = float(np.ptp(time_s))
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
        if length * scale >= 1.0:
            return unit, scale
    return "ns", 1e9
