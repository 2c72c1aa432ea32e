"""Figures of the reproduction of John et al. 2022: traces and network results in, figures out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ._style import COLOURS, below, beside, described, number, panels, span, spread, styled, wrapped

__all__ = [
    "confusions",
    "conventions",
    "icc",
    "nonvolatile_iv",
    "patterns",
    "relaxation",
    "set_times",
    "snapshots",
    "training",
    "volatile_iv",
]


def _runs(trace: xr.Dataset) -> list[xr.Dataset]:
    if "replica" not in trace.dims:
        return [trace]
    return [trace.isel(replica=i) for i in range(trace.sizes["replica"])]


def _missing(ax: Axes, text: str) -> None:
    """Say in a panel why it is empty."""
    ax.text(
        0.5, 0.5, textwrap.fill(text, 42), ha="center", va="center", transform=ax.transAxes, color="#444444", fontsize=8
    )
    ax.set_xticks([])
    ax.set_yticks([])


def _current(ax: Axes, runs: Sequence[xr.Dataset], colour: str, label: str, **style: Any) -> None:
    for i, run in enumerate(runs):
        current = np.abs(run["current"].values)
        # zero has no place on a logarithmic axis: the first and last instant of a sweep
        current = np.where(current > 0, current, np.nan)
        ax.plot(run["voltage"].values, current, color=colour, label=label if i == 0 else None, **style)


def _switching(runs: Sequence[xr.Dataset]) -> str:
    """How many runs switch while the voltage rises, where, and the current that they reach, in words."""
    found, largest = [], []
    for run in runs:
        volts, G = np.abs(run["voltage"].values), run["conductance"].values
        rise = slice(0, int(volts.argmax()) + 1)
        # a current that follows the voltage is no switch: the conductance rises tenfold from one instant to the next
        jumps = np.flatnonzero(np.diff(np.log10(np.maximum(G[rise], 1e-30))) > 1.0)
        largest.append(float(np.abs(run["current"].values).max()))
        if jumps.size:
            found.append(float(volts[jumps[0] + 1]))
    where = f" at {span(found, 'V')}" if found else ""
    return f"{len(found)} of {len(runs)} switch on{where}, largest current {span(largest, 'A')}"


@styled
def volatile_iv(sweep: xr.Dataset, reverse: xr.Dataset, gold: xr.Dataset | None, compliance_A: float = 1e-6) -> Figure:
    """Current against voltage in the volatile mode: every replica, reverse bias, and the Au control.

    Parameters
    ----------
    sweep : Dataset
        0 to 2 to 0 V with Ag, replicas along ``replica``.
    reverse : Dataset
        0 to -2 to 0 V with Ag; the first replica is drawn.
    gold : Dataset or None
        0 to 2 to 0 V with Au; the first replica is drawn.
    compliance_A : float, A, > 0
        Of all of them.
    """
    figure, axes = panels(6.4, 4.0)
    ax = axes[0, 0]
    _current(ax, _runs(sweep), COLOURS["sky"], "Ag, 0 to 2 to 0 V, each KMC replica", linewidth=0.8, alpha=0.9)
    _current(ax, _runs(sweep)[:1], COLOURS["blue"], "Ag, first replica", linewidth=1.6)
    _current(ax, _runs(reverse)[:1], COLOURS["vermillion"], "Ag, 0 to -2 to 0 V", linewidth=1.6)
    if gold is not None:
        _current(ax, _runs(gold)[:1], COLOURS["orange"], "Au, 0 to 2 to 0 V", linewidth=1.6, linestyle="--")
    ax.axhline(
        compliance_A,
        color=COLOURS["grey"],
        linewidth=0.8,
        linestyle=":",
        label=f"compliance {number(compliance_A, 'A')}",
    )
    ax.set_yscale("log")
    ax.set_xlabel("source voltage (V)")
    ax.set_ylabel("|current| (A)")
    below(figure, ax)
    ax.set_title("Volatile mode, 1 V/s, 300 K")
    return described(
        figure,
        f"Current on a logarithmic axis against source voltage, {number(compliance_A, 'A')} compliance.",
        f"Ag, 0 to 2 to 0 V: {_switching(_runs(sweep))}.",
        f"Ag, 0 to -2 to 0 V: {_switching(_runs(reverse)[:1])}.",
        "" if gold is None else f"Au, 0 to 2 to 0 V: {_switching(_runs(gold)[:1])}.",
    )


@styled
def nonvolatile_iv(kmc: xr.Dataset | None, fem: xr.Dataset | None, failures: Mapping[str, str] | None = None) -> Figure:
    """Bipolar loop at 1 mA of KMC and continuum, and how hot the filament becomes.

    Parameters
    ----------
    kmc : Dataset or None
        0 / 5 / 0 / -7 / 0 V at 1 mA, with ``temperature`` (K), replicas along ``replica``; None if it failed.
    fem : Dataset or None
        The same of the continuum, with ``temperature_max`` (K).
    failures : mapping of str to str, optional
        Why runs failed, by name; printed into the figure.
    """
    figure, axes = panels(7.8, 4.2, 1, 2, width_ratios=[1.35, 1.0])
    left, right = axes[0]
    told = dict(failures or {})
    if kmc is not None:
        _current(left, _runs(kmc), COLOURS["sky"], "KMC, each replica", linewidth=0.8)
        _current(left, _runs(kmc)[:1], COLOURS["blue"], "KMC, first replica", linewidth=1.4)
        right.plot(
            kmc["time"].values,
            np.atleast_2d(kmc["temperature"].values).mean(axis=0),
            color=COLOURS["blue"],
            label="KMC, filament, mean",
        )
    if fem is not None:
        _current(left, [fem], COLOURS["vermillion"], "continuum", linewidth=1.4, linestyle="--")
        right.plot(
            fem["time"].values,
            fem["temperature_max"].values,
            color=COLOURS["vermillion"],
            linestyle="--",
            label="continuum, hottest point",
        )
    left.axhline(1e-3, color=COLOURS["grey"], linewidth=0.8, linestyle=":", label="compliance 1 mA (SET)")
    left.set_yscale("log")
    left.set_xlabel("source voltage (V)")
    left.set_ylabel("|current| (A)")
    left.set_title("0 / +5 / 0 / -7 / 0 V at 1 V/s")
    right.set_xlabel("time (s)")
    right.set_ylabel("temperature (K)")
    right.set_title("Joule heating")
    below(figure, left, right)
    for text in told.values():
        right.text(0.02, 0.02, textwrap.fill(text, 40), transform=right.transAxes, fontsize=7, color="#444444")
    words = ["Left, current on a logarithmic axis against source voltage, 0 to 5 to 0 to -7 to 0 V at 1 mA compliance."]
    for name, trace, hottest in (("KMC", kmc, "temperature"), ("Continuum", fem, "temperature_max")):
        if trace is not None:
            words.append(
                f"{name}: {_switching(_runs(trace))}, "
                f"filament up to {number(float(trace[hottest].max()), 'K')} (right, temperature against time)."
            )
    return described(figure, *words, *(f"Failed: {text}" for text in told.values()))


@styled
def snapshots(thin: xr.Dataset, thick: xr.Dataset | None, fem: xr.Dataset | None) -> Figure:
    """Ag in the film, seen from the side: after 1 uA, after 1 mA, and the continuum's.

    Parameters
    ----------
    thin : Dataset
        KMC after 20 ms at 1 V and 1 uA, with ``occupation`` of the sites.
    thick : Dataset or None
        KMC after 5 ms at 5 V and 1 mA; None if it failed.
    fem : Dataset or None
        Continuum after 0 / 5 / 0 V at 1 mA, with ``metal_fraction`` over (z, r).
    """
    figure, axes = panels(8.4, 4.3, 1, 3)
    sides = [("KMC, 1 V, 20 ms, 1 µA", thin), ("KMC, 5 V, 5 ms, 1 mA", thick)]
    words = ["Ag in the film seen from the side, between the polyTPD / ITO below and the active electrode above."]
    for ax, (title, trace) in zip(axes[0, :2], sides, strict=True):
        if trace is None:
            _missing(ax, "the run failed; see the list of failures")
            ax.set_title(title)
            continue
        run = _runs(trace)[0]
        metal = (run["occupation"].values == 2).sum(axis=1).astype(float)
        x, z = 1e9 * run["x"].values, 1e9 * run["z"].values
        words.append(f"{title}: {int(metal.sum())} atoms, {_breadth(metal.sum(axis=0))} of the layers.")
        image = ax.pcolormesh(x, z, np.where(metal > 0, metal, np.nan).T, cmap="cividis", vmin=0, shading="nearest")
        figure.colorbar(image, ax=ax, label="Ag atoms along y", shrink=0.85, location="bottom")
        ax.set_title(f"{title}\n{int((run['occupation'].values == 2).sum())} atoms")
        _film(ax, x, z)
    ax = axes[0, 2]
    if fem is None:
        _missing(ax, "the run failed; see the list of failures")
        ax.set_title("Continuum")
        return described(figure, *words, "The continuum failed.")
    r, z = 1e9 * fem["r"].values, 1e9 * fem["z"].values
    both = np.hstack([fem["metal_fraction"].values[:, ::-1], fem["metal_fraction"].values])
    both = np.where(both > 1e-3, both, np.nan)  # grey where there is none, as in the other panels
    image = ax.pcolormesh(np.concatenate([-r[::-1], r]), z, both, cmap="cividis", vmin=0, vmax=1, shading="nearest")
    figure.colorbar(image, ax=ax, label="fraction of sites with Ag", shrink=0.85, location="bottom")
    ax.set_title("Continuum, 0 / +5 / 0 V,\n1 V/s, 1 mA")
    _film(ax, r, z)
    widest = 2 * float(np.where(np.nanmax(both, axis=0, initial=0.0) > 0.5, np.concatenate([-r[::-1], r]), 0.0).max())
    words.append(
        f"Continuum, 1 mA: a column of Ag up to {number(1e-9 * widest, 'm')} wide where half of the sites hold Ag."
    )
    return described(figure, *words)


def _breadth(atoms: NDArray[np.float64]) -> str:
    """In how many layers of the film there is metal, as a share."""
    return f"in {100 * float(np.mean(atoms > 0)):.0f} %"


def _film(ax: Axes, x: NDArray[np.float64], z: NDArray[np.float64]) -> None:
    """Axes of a picture of the film, electrodes named."""
    ax.set_aspect("equal")
    ax.set_facecolor("#EDEDED")
    width, height = float(np.abs(x).max()), float(z.max())
    ax.set_xlim(-width - 0.6, width + 0.6)
    ax.set_ylim(-1.8, height + 2.1)
    ax.axhspan(-1.8, 0.0, color="#B8B8B8")
    ax.axhspan(height + 0.3, height + 2.1, color="#B8B8B8")
    ax.text(0, -0.9, "polyTPD / ITO", ha="center", va="center", fontsize=7)
    ax.text(0, height + 1.2, "active electrode", ha="center", va="center", fontsize=7)
    ax.set_xlabel("x (nm)")
    ax.set_ylabel("z (nm)")


@styled
def relaxation(pulses: xr.Dataset, fit: xr.Dataset, *, until_s: float = 60e-3) -> Figure:
    """Conductance after a pulse: every relaxation, their median and mean, and the fitted model.

    Parameters
    ----------
    pulses : Dataset
        KMC under pulses with rests, replicas along ``replica``.
    fit : Dataset
        The fitted model, typical device, under the same pulses.
    until_s : float, s, > 0
        How long after the end of a pulse its relaxation is drawn.
    """
    figure, axes = panels(7.8, 4.0, 1, 2)
    left, right = axes[0]
    time, voltage = pulses["time"].values, pulses["voltage"].values
    ends = time[np.flatnonzero((voltage[:-1] > 0.5 * voltage.max()) & (voltage[1:] <= 0.5 * voltage.max())) + 1]
    grid = np.linspace(0.0, until_s, 241)
    rows = []
    for run in _runs(pulses):
        for end in ends:
            if end + until_s <= time[-1] + 1e-9:
                rows.append(np.interp(end + grid, time, np.log10(run["conductance"].values)))
    table = np.array(rows)
    for i, row in enumerate(table[:40]):
        left.plot(
            1e3 * grid,
            10**row,
            color=COLOURS["sky"],
            linewidth=0.5,
            alpha=0.6,
            label="one relaxation" if i == 0 else None,
        )
    left.plot(1e3 * grid, 10 ** np.median(table, axis=0), color=COLOURS["blue"], linewidth=2, label="median of KMC")
    left.plot(
        1e3 * grid,
        10 ** table.mean(axis=0),
        color=COLOURS["green"],
        linewidth=1.6,
        linestyle="-.",
        label="mean of ln G, KMC",
    )
    model = np.interp(ends[0] + grid, fit["time"].values, np.log10(fit["conductance"].values))
    left.plot(
        1e3 * grid, 10**model, color=COLOURS["vermillion"], linewidth=1.8, linestyle="--", label="fitted model, typical"
    )
    left.set_yscale("log")
    left.set_xlabel("time after the pulse (ms)")
    left.set_ylabel("conductance (S)")
    left.set_title(f"{len(table)} relaxations after 1 V, 20 ms")
    for i, run in enumerate(_runs(pulses)[:3]):
        right.plot(
            1e3 * time,
            run["conductance"].values,
            color=[COLOURS[c] for c in ("sky", "blue", "green")][i],
            linewidth=0.9,
            label=f"KMC replica {i + 1}",
        )
    right.plot(
        1e3 * fit["time"].values,
        fit["conductance"].values,
        color=COLOURS["vermillion"],
        linestyle="--",
        label="fitted model, typical",
    )
    for end in ends:
        right.axvspan(1e3 * end - 20, 1e3 * end, color="#E4E4E4", zorder=0)
    right.set_yscale("log")
    right.set_xlabel("time (ms)")
    right.set_ylabel("conductance (S)")
    right.set_title("Pulses (grey: 1 V)")
    below(figure, left, right, columns=4)
    middle = np.median(table, axis=0)
    later = [int(np.abs(grid - t).argmin()) for t in (0.0, 10e-3, until_s)]
    says = [f"{number(grid[i], 's')}: {number(10 ** middle[i], 'S')} and {number(10 ** model[i], 'S')}" for i in later]
    return described(
        figure,
        f"Left, conductance on a logarithmic axis after the pulse, {len(table)} relaxations.",
        f"Median of KMC and fitted model at {'; at '.join(says)}.",
        f"Right, three KMC replicas and the fitted model over {len(ends)} pulses: the conductance rises in each pulse "
        "and falls after it.",
    )


@styled
def set_times(seen: Mapping[float, Sequence[float]], model: Mapping[float, float]) -> Figure:
    """Time to SET against the amplitude of the pulse: KMC and the fitted growth law.

    Parameters
    ----------
    seen : mapping of float to sequence of float
        Times to SET in KMC (s) by amplitude of the pulse (V).
    model : mapping of float to float
        That of the fitted model (s) by amplitude (V).
    """
    figure, axes = panels(4.6, 3.3)
    ax = axes[0, 0]
    for i, (volts, times) in enumerate(sorted(seen.items())):
        ax.plot(
            [volts] * len(times),
            1e3 * np.array(times),
            "o",
            color=COLOURS["sky"],
            markersize=4,
            label="KMC, each SET" if i == 0 else None,
        )
        if times:
            ax.plot(
                volts,
                1e3 * float(np.median(times)),
                "s",
                color=COLOURS["blue"],
                markersize=6,
                label="KMC, median" if i == 0 else None,
            )
    if model:
        line = sorted(model)
        ax.plot(line, [1e3 * model[v] for v in line], color=COLOURS["vermillion"], linestyle="--", label="fitted model")
    ax.set_yscale("log")
    ax.set_xlabel("pulse amplitude (V)")
    ax.set_ylabel("time to SET (ms)")
    ax.set_title("Growth at 1 µA compliance")
    ax.legend()
    medians = [f"{number(v, 'V')} {number(float(np.median(t)), 's')}" for v, t in sorted(seen.items()) if t]
    lines = [f"{number(v, 'V')} {number(t, 's')}" for v, t in sorted(model.items()) if v in seen]
    return described(
        figure,
        "Time to SET on a logarithmic axis against the amplitude of the pulse; it falls as the amplitude rises."
        if _falls([float(np.median(t)) for _, t in sorted(seen.items()) if t])
        else "Time to SET on a logarithmic axis against the amplitude of the pulse.",
        f"Median of KMC: {', '.join(medians) or f'no SET at {len(seen)} amplitudes'}.",
        f"Fitted model: {', '.join(lines) or 'none'}.",
    )


def _falls(values: Sequence[float]) -> bool:
    return len(values) > 1 and bool(np.all(np.diff(values) < 0))


@styled
def icc(
    kmc: tuple[NDArray[np.float64], NDArray[np.float64]],
    fem: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    slope_1_V: float,
    intercept_S: float,
    spread_S: float,
    spread_slope_1_V: float,
    slope_error_1_V: float | None = None,
) -> Figure:
    """Conductance against compliance current: both solvers, and the fitted law with its spread.

    Parameters
    ----------
    kmc, fem : (array, array), shape (n,), A and S
        Compliance currents and conductances at 0.1 V.
    slope_1_V : float, 1/V
        Of the fitted law: mean conductance over compliance current.
    intercept_S : float, S
    spread_S : float, S, >= 0
        Standard deviation at no compliance.
    spread_slope_1_V : float, 1/V, >= 0
        Its increase with the compliance current.
    slope_error_1_V : float, 1/V, optional
        Standard error of the slope.
    """
    figure, axes = panels(7.8, 3.8, 1, 2)
    currents = np.concatenate([kmc[0], fem[0]])
    line = np.geomspace(currents.min(), currents.max(), 200) if currents.size else np.array([1e-5, 1e-3])
    mean = slope_1_V * line + intercept_S
    sigma = spread_S + spread_slope_1_V * line
    error = "" if slope_error_1_V is None else f" ± {slope_error_1_V:.1g}"
    for ax in axes[0]:
        ax.fill_between(
            1e6 * line,
            1e3 * np.maximum(mean - sigma, 1e-7),
            1e3 * (mean + sigma),
            color="#F3CDB9",
            label="± one standard deviation",
        )
        ax.plot(
            1e6 * line,
            1e3 * mean,
            color=COLOURS["vermillion"],
            label=f"fit: {slope_1_V:.3g}{error} V$^{{-1}}$ · Icc {1e3 * intercept_S:+.2g} mS",
        )
        ax.plot(
            1e6 * kmc[0], 1e3 * kmc[1], "o", color=COLOURS["blue"], markersize=4.5, markerfacecolor="none", label="KMC"
        )
        ax.plot(1e6 * fem[0], 1e3 * fem[1], "D", color=COLOURS["green"], markersize=5, label="continuum")
        ax.set_xlabel("compliance current (µA)")
        ax.set_ylabel("conductance at 0.1 V (mS)")
    below(figure, axes[0, 0], columns=4)
    axes[0, 0].set_title("Linear axes")
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_yscale("log")
    every = np.concatenate([kmc[1], fem[1]])
    if every.size:
        axes[0, 1].set_ylim(1e3 * every.min() / 4, 1e3 * every.max() * 2)
    axes[0, 1].set_title("Logarithmic axes")
    seen = [
        f"{name} from {number(float(G[limit.argmin()]), 'S')} at {number(float(limit.min()), 'A')} "
        f"to {number(float(G[limit.argmax()]), 'S')} at {number(float(limit.max()), 'A')}"
        for name, (limit, G) in (("KMC", kmc), ("continuum", fem))
        if limit.size
    ]
    return described(
        figure,
        "Conductance at 0.1 V against the compliance current, on linear and on logarithmic axes.",
        f"{'; '.join(seen) or 'No point'}.",
        f"Fitted law: {slope_1_V:.3g}{error} per volt times the current, {1e3 * intercept_S:+.2g} mS; "
        f"one standard deviation at the largest current is {number(float(sigma[-1]), 'S')}.",
    )


@styled
def patterns(responses: Mapping[str, xr.Dataset], nodes_s: NDArray[np.float64]) -> Figure:
    """Conductance of the typical device under one train of each class, with the nodes where it is read.

    Parameters
    ----------
    responses : mapping of str to Dataset
        Trace of the typical device, by name of the class.
    nodes_s : array, shape (nodes,), s
        Instants of the virtual nodes.
    """
    figure, axes = panels(7.6, 6.0, len(responses), 1, sharex=True, sharey=True)
    for ax, (name, trace) in zip(axes[:, 0], responses.items(), strict=True):
        time, conductance = trace["time"].values, trace["conductance"].values
        high = trace["voltage"].values > 0.5 * max(float(trace["voltage"].max()), 1e-12)
        ax.fill_between(
            1e3 * time,
            0,
            1,
            where=high,
            transform=ax.get_xaxis_transform(),
            color="#E4E4E4",
            linewidth=0,
            label="spike (1 V)",
        )
        ax.plot(1e3 * time, 1e6 * conductance, color=COLOURS["blue"], linewidth=1.1, label="conductance")
        at = np.minimum(nodes_s, time[-1])
        ax.plot(
            1e3 * at,
            1e6 * np.interp(at, time, conductance),
            "o",
            color=COLOURS["vermillion"],
            markersize=3.2,
            label="virtual node",
        )
        ax.set_title(name)
        ax.set_ylabel("G (µS)")
    axes[-1, 0].set_xlabel("time (ms)")
    axes[-1, 0].set_xlim(0, 1e3 * float(time[-1]) + 8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    words = []
    for name, trace in responses.items():
        high = trace["voltage"].values > 0.5 * max(float(trace["voltage"].max()), 1e-12)
        spikes = int(np.count_nonzero(np.diff(high.astype(int)) > 0)) + int(high[0])
        words.append(f"{name} {spikes} spikes, up to {number(float(trace['conductance'].max()), 'S')}")
    return described(
        figure,
        "Conductance against time under one train of each class, one panel each; it rises with each spike and falls in "
        f"the gaps. {'; '.join(words)}. {len(nodes_s)} virtual nodes are marked on each curve.",
    )


@styled
def confusions(
    matrices: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]],
    classes: Sequence[str],
) -> Figure:
    """Confusion matrices in percent with their intervals: row is the true class, column the predicted one.

    Parameters
    ----------
    matrices : mapping of str to (array, array, array), shape (classes, classes), 1
        Share of the true class, and both ends of its interval, by title of the panel.
    classes : sequence of str
    """
    figure, axes = panels(8.2, 3.9, 1, len(matrices))
    ticks = np.arange(len(classes))
    for ax, (name, (matrix, low, high)) in zip(axes[0], matrices.items(), strict=True):
        image = ax.imshow(100 * matrix, cmap="cividis", vmin=0, vmax=100)
        for i in ticks:
            for j in ticks:
                share = 100 * matrix[i, j]
                ax.text(
                    j,
                    i,
                    f"{share:.1f}\n{100 * low[i, j]:.1f}–{100 * high[i, j]:.1f}",
                    ha="center",
                    va="center",
                    color="black" if share > 55 else "white",
                    fontsize=7.5,
                )
        ax.set_xticks(ticks, classes, rotation=30, ha="right")
        ax.set_yticks(ticks, classes)
        ax.set_xlabel("predicted")
        ax.set_ylabel("true")
        ax.set_title(name)
        for side in ax.spines.values():
            side.set_visible(False)
    figure.colorbar(image, ax=axes[0].tolist(), label="share of the true class (%)", shrink=0.9, location=beside())
    words = []
    for name, (matrix, _, _) in matrices.items():
        right = ", ".join(f"{c} {100 * matrix[i, i]:.1f} %" for i, c in enumerate(classes))
        wrong = np.array(matrix) * (1 - np.eye(len(classes)))
        true, told = divmod(int(wrong.argmax()), len(classes))
        worst = f"most often wrong: {classes[true]} taken for {classes[told]}, {100 * wrong[true, told]:.1f} %"
        words.append(f"{name}: recognised {right}; {worst}.")
    return described(figure, "Confusion matrices.", *words)


@styled
def conventions(
    lines: Mapping[str, Mapping[str, Any]], targets: Mapping[str, tuple[float, str]], *, chance: float = 25.0
) -> Figure:
    """Test accuracy under each reading of the Methods, one panel for each readout, beside the paper's.

    Parameters
    ----------
    lines : mapping of str to mapping
        One for each convention: ``rule`` ("delta", "icc" or "trees"), ``accuracy`` and ``error`` (%), ``words``; one
        with ``failed`` is left out.
    targets : mapping of str to (float, str)
        What the paper reports by rule, in % and as printed.
    chance : float, %
        Accuracy of guessing.
    """
    titles = {"delta": "floating point, delta rule", "icc": "Icc-programmed pairs", "trees": "boosted trees: ceiling"}
    shown = {
        rule: [line for line in lines.values() if line["rule"] == rule and "failed" not in line] for rule in titles
    }
    sizes = [max(len(rows), 1) for rows in shown.values()]
    figure, axes = panels(7.8, 1.4 + spread(0.26) * sum(sizes), len(titles), 1, sharex=True, height_ratios=sizes)
    colours = {"delta": "blue", "icc": "vermillion", "trees": "green"}
    for ax, (rule, rows) in zip(axes[:, 0], shown.items(), strict=True):
        places = np.arange(len(rows))
        ax.errorbar(
            [line["accuracy"] for line in rows],
            places,
            xerr=[line["error"] for line in rows],
            fmt="o",
            color=COLOURS[colours[rule]],
            markersize=4.5,
            capsize=2.5,
        )
        ax.set_yticks(places, wrapped([line["words"] for line in rows]), fontsize=7.5)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.grid(axis="y", color="#EDEDED")
        ax.axvline(chance, color="#9A9A9A", linewidth=0.9)
        if rule in targets:
            value, text = targets[rule]
            ax.axvline(value, color=COLOURS["black"], linestyle=":", linewidth=1.1)
            ax.annotate(
                f"paper {text}",
                (value, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(-3, 3),
                textcoords="offset points",
                ha="right",
                fontsize=7.5,
            )
        ax.set_title(titles[rule], loc="left")
    axes[-1, 0].set_xlim(chance - 8, 103)
    axes[-1, 0].set_xlabel("test accuracy (%)")
    words = []
    for rule, rows in shown.items():
        if rows:
            low, high = (choose(rows, key=lambda line: float(line["accuracy"])) for choose in (min, max))
            paper = f"; the paper has {targets[rule][1]}" if rule in targets else ""
            words.append(
                f"{titles[rule]}: {len(rows)} conventions, from {low['accuracy']:.1f} % ({low['words']}) "
                f"to {high['accuracy']:.1f} % ({high['words']}){paper}."
            )
    return described(
        figure,
        f"Test accuracy by convention, chance is {chance:g} %; every value is in the table of this section.",
        *words,
    )


@styled
def training(
    histories: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], targets: Mapping[str, tuple[float, str]]
) -> Figure:
    """Accuracy after each epoch, mean over trainings with their range, beside what the paper reports.

    Parameters
    ----------
    histories : mapping of str to sequence of mapping
        By title of the panel, one for each training: ``train_accuracy`` and ``test_accuracy`` after each epoch, 0 to 1.
    targets : mapping of str to (float, str)
        What the paper reports by title, in % and as printed.
    """
    figure, axes = panels(7.8, 4.0, 1, len(histories), sharey=True)
    for ax, (name, runs) in zip(axes[0], histories.items(), strict=True):
        for key, colour, mark, label in (
            ("train_accuracy", "blue", "o-", "training"),
            ("test_accuracy", "vermillion", "s--", "test"),
        ):
            table = 100.0 * np.array([run[key] for run in runs])
            epochs = 1 + np.arange(table.shape[1])
            ax.fill_between(epochs, table.min(axis=0), table.max(axis=0), color=COLOURS[colour], alpha=0.2, linewidth=0)
            ax.plot(epochs, table.mean(axis=0), mark, color=COLOURS[colour], markersize=4, label=label)
        if name in targets:
            value, text = targets[name]
            ax.axhline(value, color=COLOURS["black"], linestyle=":", linewidth=1.1, label="paper, test")
            ax.annotate(text, (1, value), xytext=(0, 3), textcoords="offset points", fontsize=8)
        ax.set_xlabel("epoch")
        ax.set_xticks(epochs)
        ax.set_title(name)
    axes[0, 0].set_ylabel("accuracy (%)")
    below(figure, *axes[0], columns=4)
    words = []
    for name, runs in histories.items():
        last = [100 * float(np.mean([run[key][-1] for run in runs])) for key in ("train_accuracy", "test_accuracy")]
        first = 100 * float(np.mean([run["test_accuracy"][0] for run in runs]))
        paper = f"; the paper has {targets[name][1]} on the test set" if name in targets else ""
        words.append(
            f"{name}: {first:.1f} % on the test set after the first epoch, {last[1]:.1f} % after the last of "
            f"{len(runs[0]['test_accuracy'])}, then {last[0]:.1f} % in training{paper}."
        )
    return described(figure, "Accuracy against epoch.", *words)
