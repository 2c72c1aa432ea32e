"""Figures of merit as pictures: probability plots, endurance, retention, weight update, forgetting, scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray
from scipy import stats

from ...compact.characterise import (
    AreaScaling,
    DecayLaw,
    Distribution,
    Endurance,
    Facilitation,
    Lifetime,
    Plasticity,
    Report,
    States,
)
from ...compact.plasticity import Update
from ...physics.constants import BOLTZMANN_EV_K as K_B
from ...physics.errors import InputError
from ...physics.retention import Retention
from ._style import COLOURS, panels, styled

__all__ = ["endurance", "overview", "pictured", "probability", "retention", "update"]

Array = NDArray[np.float64]
_HUES = ("blue", "vermillion", "green", "purple", "orange", "sky")
_MARKS = "osD^vP"
_PERCENT = (0.1, 1.0, 5.0, 20.0, 50.0, 80.0, 95.0, 99.0, 99.9)
_MOST = 6  # distributions on one panel, devices on one endurance plot


# -- panels -------------------------------------------------------------------------------------------------------


def _positions(found: Distribution) -> tuple[Array, Array]:
    """Events in order, and the share below each: half way up its step of Kaplan and Meier's estimate."""
    data = stats.CensoredData.right_censored(found.values, found.above)
    steps = stats.ecdf(data).cdf
    before = np.concatenate([[0.0], steps.probabilities[:-1]])
    there = steps.probabilities > before
    return steps.quantiles[there], 0.5 * (before + steps.probabilities)[there]


def _wide(found: Distribution) -> bool:
    """Whether the values want a logarithmic axis."""
    return found.values.min() > 0 and found.values.max() > 5 * found.values.min()


def _probability(ax: Axes, found: Sequence[Distribution]) -> None:
    """Cumulative distributions of one unit; a normal law is straight, a log-normal one if the axis is logarithmic."""
    drawn = np.concatenate([one.values[~one.above] for one in found])
    # together on one panel, narrow ones far apart want it too
    logarithmic = any(_wide(one) for one in found) or bool(drawn.min() > 0 and drawn.max() > 20 * drawn.min())
    for one, hue, mark in zip(found, _HUES, _MARKS, strict=False):
        if one.above.all():
            continue
        x, share = _positions(one)
        late = f", {one.censored} never" if one.censored else ""
        label = f"{one.name} (n = {one.number}{late})"
        ax.plot(x, stats.norm.ppf(share), mark, color=COLOURS[hue], markersize=4, label=label)
        # values that are only known to lie above
        for value in np.unique(one.values[one.above]):
            ax.plot([value], [2.6], marker=">", color=COLOURS[hue], markersize=5, markerfacecolor="none")
        low, high = x.min(), x.max()
        if one.weibull is None or one.normal is None or high <= low:
            continue
        fine = np.geomspace(low * 0.97, high * 1.03, 100) if logarithmic else np.linspace(low, high, 100)
        smooth = one.lognormal if logarithmic else None
        mean = (
            stats.norm(one.normal.mean, one.normal.standard_deviation)
            if smooth is None
            else stats.lognorm(smooth.sigma, scale=smooth.median)
        )
        weibull = stats.weibull_min(one.weibull.shape, scale=one.weibull.scale)
        for law, line in ((mean, "-"), (weibull, "--")):
            y = stats.norm.ppf(np.clip(law.cdf(fine), 1e-4, 1 - 1e-4))
            ax.plot(fine, y, line, color=COLOURS[hue], linewidth=1.0)
    if logarithmic:
        _logarithmic(ax)
    z = stats.norm.ppf(np.array(_PERCENT) / 100.0)
    ax.yaxis.set_major_locator(FixedLocator(list(z)))
    ax.yaxis.set_major_formatter(FixedFormatter([f"{p:g}" for p in _PERCENT]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(-2.8, 2.8)
    ax.set_ylabel("share of all (%)")
    unit = found[0].unit
    names = {one.name.split(" at ")[0].split(" (")[0].split(",")[0] for one in found}
    what = names.pop() if len(names) == 1 else _KIND.get(unit, "value")
    ax.set_xlabel(what if unit == "1" else f"{what} ({unit})")
    ax.set_title(f"{what[0].upper()}{what[1:]}")
    law = "log-normal" if logarithmic else "normal"
    # beside the title: no curve crosses it there
    ax.set_title(f"line {law}, dashed Weibull", loc="right", fontsize=6.5)
    ax.legend(fontsize=6.5, loc="best")


def _logarithmic(ax: Axes) -> None:
    """A logarithmic abscissa with at most about six labels, which have room beside each other."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    if decades < 1.7:
        ax.xaxis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0] if decades > 0.7 else [1.0, 2.0, 3.0, 5.0, 7.0]))
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.xaxis.set_major_locator(LogLocator(numticks=6))
    ax.xaxis.set_minor_formatter(NullFormatter())


_KIND = {"V": "voltage", "s": "time", "J": "energy", "S": "conductance", "cycles": "endurance"}


def _endurance(ax: Axes, found: Sequence[Endurance]) -> None:
    for i, one in enumerate(found[:_MOST]):
        first = i == 0
        ax.plot(one.cycle, one.lrs_S, "o", color=COLOURS["vermillion"], markersize=3, label="LRS" if first else None)
        ax.plot(
            one.cycle,
            one.hrs_S,
            "s",
            color=COLOURS["blue"],
            markersize=3,
            markerfacecolor="none",
            label="HRS" if first else None,
        )
        if not one.censored:
            ax.axvline(max(one.cycles, 0.7), color=COLOURS["black"], linestyle=":", label="last good cycle")
    ax.set_yscale("log")
    if max(one.cycle.max() for one in found) > 50:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("cycle")
    ax.set_ylabel("conductance (S)")
    shown = f", {_MOST} of {len(found)} devices" if len(found) > _MOST else ""
    ax.set_title(f"Endurance, window {found[0].factor:g}{shown}")
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once.keys())


def _retention(ax: Axes, line: Retention, lifetimes: Iterable[Lifetime], use_K: float) -> None:
    given = list(lifetimes)
    for censored, mark, fill, label in (
        (False, "o", COLOURS["blue"], "failed"),
        (True, "^", "none", "still held: a lower bound"),
    ):
        chosen = [one for one in given if one.censored == censored]
        if chosen:
            ax.plot(
                [1.0 / (K_B * one.temperature_K) for one in chosen],
                [one.time_s for one in chosen],
                mark,
                color=COLOURS["blue"],
                markerfacecolor=fill,
                markersize=5,
                label=label,
            )
    hottest, coldest = line.temperatures_K[1], min(use_K, line.temperatures_K[0])
    beta = np.linspace(1.0 / (K_B * hottest), 1.0 / (K_B * coldest), 60)
    median, low, high = np.array([line.at(1.0 / (K_B * float(b))) for b in beta]).T
    ax.plot(beta, median, color=COLOURS["vermillion"], label=f"E$_a$ = {line.activation_energy_eV:.3g} eV")
    ax.fill_between(beta, low, high, color=COLOURS["vermillion"], alpha=0.2, linewidth=0, label="95 % of the median")
    ax.set_yscale("log")
    ax.set_xlabel("1/kT (1/eV)")
    ax.set_ylabel("lifetime (s)")
    top = ax.secondary_xaxis(
        "top", functions=(lambda b: 1.0 / (K_B * np.maximum(b, 1.0)), lambda T: 1.0 / (K_B * np.maximum(T, 1.0)))
    )
    kelvins = sorted({one.temperature_K for one in given} | {use_K})
    top.xaxis.set_major_locator(FixedLocator(kelvins))
    top.xaxis.set_major_formatter(FixedFormatter([f"{T:.0f} K" for T in kelvins]))
    top.xaxis.set_minor_locator(NullLocator())
    at = line.at(use_K)
    ax.set_title(f"Retention, {use_K:g} K: {at[0]:.2g} s\n({at[1]:.2g} to {at[2]:.2g} s)", pad=18)
    ax.legend(fontsize=7)


def _update(ax: Axes, found: Sequence[tuple[Array, Array, Update]]) -> None:
    for i, (up, down, merit) in enumerate(found[:_MOST]):
        n = up.size
        for weights, nu, hue, mark, start, name in (
            (up, merit.nonlinearity_up, "blue", "o", 1, "LTP"),
            (down, merit.nonlinearity_down, "vermillion", "s", n + 1, "LTD"),
        ):
            number = np.arange(start, start + weights.size)
            label = f"{name}, nu = {nu:.2g}" if len(found) == 1 else name if i == 0 else None
            ax.plot(number, weights, mark, color=COLOURS[hue], markersize=3.5, markerfacecolor="none", label=label)
            x = np.linspace(0.0, 1.0, 100)
            share = x if abs(nu) < 1e-9 else np.expm1(-nu * x) / np.expm1(-nu)
            ax.plot(
                start + x * (weights.size - 1),
                weights[0] + share * (weights[-1] - weights[0]),
                color=COLOURS[hue],
                linewidth=1.0,
            )
    ax.set_xlabel("spike number")
    ax.set_ylabel("conductance (S)")
    ax.set_title("Potentiation, depression, exponential fits")
    ax.legend()


def _decay(ax: Axes, found: Sequence[tuple[Array, Array, DecayLaw]]) -> None:
    time, weight, law = found[-1] if len(found) == 1 else max(found, key=lambda one: float(one[0].max()))
    ax.loglog(time, weight, "o", color=COLOURS["black"], markersize=3, markerfacecolor="none", label="weight")
    b, m = law.fit.b, law.fit.m
    ax.loglog(time, b * time**-m, color=COLOURS["blue"], label=f"t$^{{-m}}$, m = {m:.3g}")
    # the least squares of ln y leave this intercept
    ln_c = float(np.mean(np.log(weight) + time / law.tau_s))
    exponential = np.exp(ln_c - time / law.tau_s)
    shown = exponential > 0.3 * weight.min()
    ax.loglog(
        time[shown],
        exponential[shown],
        "--",
        color=COLOURS["vermillion"],
        label=f"e$^{{-t/\\tau}}$, $\\tau$ = {law.tau_s:.3g} s",
    )
    ax.set_xlabel("time after the last spike (s)")
    ax.set_ylabel("weight, change over its peak")
    ax.set_title(f"Forgetting: {law.verdict}, ΔAIC {law.delta_aic:.2g}")
    ax.legend()


def _facilitation(ax: Axes, found: Sequence[Plasticity], fit: Facilitation | None) -> None:
    pairs = [one for one in found if one.name == "PPF"]
    t, y = np.array([one.at[0] for one in pairs]), np.array([one.indices[1] for one in pairs])
    ax.plot(1e3 * t, y, "o", color=COLOURS["blue"], markersize=4)
    if t.max() > 10 * t.min():
        ax.set_xscale("log")
    if fit is not None:
        fine = np.geomspace(t.min(), t.max(), 120)
        curve = 1.0 + sum(C * np.exp(-fine / tau) for C, tau in zip(fit.amplitudes, fit.times_s, strict=True))
        label = ", ".join(f"{1e3 * tau:.3g} ms" for tau in fit.times_s)
        ax.plot(1e3 * fine, curve, color=COLOURS["vermillion"], label=f"$\\tau$ = {label}")
        ax.legend()
    ax.set_xlabel("interval (ms)")
    ax.set_ylabel("A$_2$ / A$_1$")
    ax.set_title("Paired-pulse index")


_AXES = {"amplitude": "|spike voltage| (V)", "duration": "spike duration (s)", "number": "spike number"}


def _indices(ax: Axes, found: Sequence[Plasticity]) -> None:
    kind = found[0]
    for one in found[:_MOST]:
        x = np.abs(one.at) if one.at.size == one.indices.size else np.arange(1, one.indices.size + 1)
        ax.plot(x, one.indices, "o-", color=COLOURS["blue"], markersize=3.5, linewidth=0.8)
    ax.set_xlabel(_AXES.get(kind.against, "spike number"))
    ax.set_ylabel("A$_n$ / A$_1$")
    ax.set_title(f"{kind.name} index")


def _area(ax: Axes, areas: Array, conductances: Array, found: AreaScaling) -> None:
    ax.loglog(1e12 * areas, conductances, "o", color=COLOURS["blue"], markersize=4)
    fine = np.geomspace(areas.min(), areas.max(), 20)
    centre = np.exp(np.mean(np.log(conductances)) - found.slope * np.mean(np.log(areas)))
    label = f"slope {found.slope:.2f} [{found.low:.2f}, {found.high:.2f}]"
    ax.loglog(1e12 * fine, centre * fine**found.slope, color=COLOURS["vermillion"], label=label)
    ax.set_xlabel("area (µm$^2$)")
    ax.set_ylabel("LRS conductance (S)")
    ax.set_title(f"Area scaling: {found.verdict}")
    # half a decade of room, so that scatter does not fill the panel
    ax.set_ylim(conductances.min() / 3.0, conductances.max() * 3.0)
    ax.legend()


def _states(ax: Axes, found: States, names: Sequence[str]) -> None:
    order = np.argsort(found.means)
    kept = set(found.kept)
    for rank, i in enumerate(order):
        chosen = int(i) in kept
        ax.errorbar(
            [rank + 1],
            [np.exp(found.means[i])],
            yerr=[
                [np.exp(found.means[i]) - np.exp(found.means[i] - found.sigmas[i])],
                [np.exp(found.means[i] + found.sigmas[i]) - np.exp(found.means[i])],
            ],
            marker="o" if chosen else "x",
            color=COLOURS["blue" if chosen else "grey"],
            markersize=4,
            linestyle="none",
        )
    ax.set_yscale("log")
    if len(names) == order.size <= 8:
        ax.xaxis.set_major_locator(FixedLocator(list(range(1, order.size + 1))))
        ax.xaxis.set_major_formatter(FixedFormatter([names[i].replace(", ", "\n") for i in order]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="x", labelsize=7.5)
        ax.set_xlim(0.5, order.size + 0.5)
        ax.set_xlabel("programmed by")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("programmed level")
    ax.set_ylabel("conductance (S), one sigma")
    ax.set_title(f"{found.distinct} of {found.programmed} levels distinct (circles)")


# -- figures ------------------------------------------------------------------------------------------------------


@styled
def probability(found: Sequence[Distribution]) -> Figure:
    """Cumulative probability of each distribution, one panel a unit, with the fitted laws.

    Parameters
    ----------
    found : sequence of Distribution
        Censored observations are arrows at the top, at the value above which they lie.
    """
    drawn = _by_unit(found)
    if not drawn:
        raise InputError("No distribution to draw", got=f"{len(found)} distributions without an event")
    return _grid([partial(_probability, found=group) for group in drawn])


@styled
def endurance(found: Sequence[Endurance]) -> Figure:
    """Conductance of both states in each cycle.

    Parameters
    ----------
    found : sequence of Endurance
        Of up to six devices.
    """
    return _grid([lambda ax: _endurance(ax, found)])


@styled
def retention(line: Retention, lifetimes: Sequence[Lifetime], *, use_K: float = 300.0) -> Figure:
    """Arrhenius plot of lifetimes with the extrapolation to the temperature of use and its 95 % band.

    Parameters
    ----------
    line : Retention
    lifetimes : sequence of Lifetime
    use_K : float, K, > 0
    """
    return _grid([lambda ax: _retention(ax, line, lifetimes, use_K)])


@styled
def update(found: Sequence[tuple[Array, Array, Update]]) -> Figure:
    """Weights under potentiation and depression with the exponential law through them.

    Parameters
    ----------
    found : sequence of (array, array, Update)
        As ``Report.updates``.
    """
    return _grid([lambda ax: _update(ax, found)])


@styled
def overview(report: Report, *, use_K: float = 300.0) -> Figure:
    """Every picture that a report allows.

    Parameters
    ----------
    report : Report
        Of :func:`halidrift.compact.characterise.report`.
    use_K : float, K, > 0
        Temperature to which the retention is extrapolated.

    Raises
    ------
    InputError
        If there is nothing to draw: no quantity has two values or more.
    """
    draw = _pictures(report, use_K)
    if not draw:
        raise InputError(
            "Nothing to draw", got=f"{len(report.merits)} numbers, one observation each", action="Give more traces"
        )
    return _grid(draw)


def pictured(report: Report) -> bool:
    """Whether :func:`overview` has anything to draw.

    Parameters
    ----------
    report : Report
    """
    return bool(_pictures(report, 300.0))


def _pictures(report: Report, use_K: float) -> list[Callable[[Axes], None]]:
    draw: list[Callable[[Axes], None]] = []
    for group in _by_unit([one for one in report.distributions.values() if _telling(one)]):
        draw.append(partial(_probability, found=group))
    if report.endurances:
        draw.append(lambda ax: _endurance(ax, report.endurances))
    if report.retention is not None:
        line = report.retention
        draw.append(lambda ax: _retention(ax, line, report.lifetimes, use_K))
    if sum(one.name == "PPF" for one in report.plasticity) > 1:
        draw.append(lambda ax: _facilitation(ax, report.plasticity, report.facilitation))
    for name in ("SVDP", "SDDP", "SNDP"):
        trains = [one for one in report.plasticity if one.name == name]
        if trains:
            draw.append(partial(_indices, found=trains))
    if report.updates:
        draw.append(lambda ax: _update(ax, report.updates))
    if report.states is not None:
        states = report.states
        draw.append(lambda ax: _states(ax, states, report.state_names))
    if report.decays:
        draw.append(lambda ax: _decay(ax, report.decays))
    if report.area is not None:
        area = report.area
        draw.append(lambda ax: _area(ax, report.areas_m2, report.area_conductance_S, area))
    return draw


def _telling(found: Distribution) -> bool:
    """Whether a distribution is one, and has no picture of its own as endurance, retention and plasticity have."""
    events = found.values[~found.above]
    several = bool(events.size >= 3 and np.ptp(events) > 1e-9 * np.abs(events).max())
    pictured = found.name.startswith(("endurance", "retention"))
    return several and not pictured and (found.unit != "1" or found.name.startswith(("on/off", "rectification")))


def _by_unit(found: Iterable[Distribution]) -> list[list[Distribution]]:
    """Distributions that share an axis: of one unit, and of one kind of ratio."""
    groups: dict[str, list[Distribution]] = {}
    for one in found:
        if one.above.all():
            continue
        kind = one.name.split(" (")[0].split(",")[0]
        groups.setdefault(kind if one.unit == "1" else one.unit, []).append(one)
    return [group[k : k + _MOST] for group in groups.values() for k in range(0, len(group), _MOST)]


def _grid(draw: Sequence[Callable[[Any], None]]) -> Figure:
    columns = min(3, len(draw))
    rows = -(-len(draw) // columns)
    figure, axes = panels(3.6 * columns + 0.2, 3.0 * rows + 0.1, rows, columns)
    for ax, paint in zip(axes.ravel(), draw, strict=False):
        paint(ax)
    for ax in axes.ravel()[len(draw) :]:
        ax.set_visible(False)
    return figure
