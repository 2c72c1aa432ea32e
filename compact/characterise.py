"""Figures of merit of a trace: set and reset voltage, on/off ratio, relaxation time, LRS conductance.

Each works on a one-dimensional trace; :func:`runs` splits a trace with devices, cycles or replicas. Thresholds are
arguments, because every laboratory has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import trace as traces
from ..physics.errors import InputError

__all__ = [
    "OnOff",
    "Relaxation",
    "SetTime",
    "columns",
    "lrs_conductance",
    "on_off",
    "relaxation_time",
    "relaxations",
    "reset_voltage",
    "runs",
    "set_times",
    "set_voltage",
]


class OnOff(NamedTuple):
    """On/off ratio in both definitions of John et al.

    Attributes
    ----------
    power : float, 1
        Current at the write voltage over current at the read voltage before (volatile mode; nan where the trace
        does not reach the write voltage).
    read : float, 1
        Current at the read voltage after the SET over the same before (non-volatile mode).
    """

    power: float
    read: float


class Relaxation(NamedTuple):
    """One relaxation: how long after the voltage was removed, and whether the trace ended before it happened.

    Attributes
    ----------
    time_s : float, s
    censored : bool
    start_s : float, s
        Instant at which the voltage was removed.
    """

    time_s: float
    censored: bool
    start_s: float


class SetTime(NamedTuple):
    """One SET: time from the rise of the voltage to half way (in ln G) from OFF to ON.

    Attributes
    ----------
    time_s : float, s
    censored : bool
    start_s : float, s
        Instant at which the voltage rose above zero.
    """

    time_s: float
    censored: bool
    start_s: float


def runs(trace: xr.Dataset) -> Iterator[tuple[dict[str, int], xr.Dataset]]:
    """Each one-dimensional run in a trace with its indices; a one-dimensional trace yields itself."""
    extra = [d for d in trace["conductance"].dims if d != "time"]
    shape = tuple(trace.sizes[d] for d in extra)
    for index in np.ndindex(shape):
        where = {str(d): int(i) for d, i in zip(extra, index, strict=True)}
        yield where, trace.isel(where)


def columns(trace: xr.Dataset) -> tuple[NDArray[np.float64], ...]:
    """Time, source voltage, current and conductance of one run; the conductance never below 1e-300 S."""
    traces.check(trace)
    if trace["conductance"].ndim != 1:
        raise InputError(
            "A figure of merit is of one run",
            got=f"dimensions {trace['conductance'].dims}",
            allowed="(time,)",
            action="Loop over characterise.runs(trace)",
        )
    time = trace["time"].values.astype(float)
    return (
        time,
        trace["voltage"].values.astype(float),
        trace["current"].values.astype(float),
        np.maximum(trace["conductance"].values.astype(float), 1e-300),
    )


def _crossing(x: NDArray[np.float64], y: NDArray[np.float64], i: int, level: float) -> float:
    """x at which the line from point i - 1 to point i meets y = level."""
    if i == 0 or y[i] == y[i - 1]:
        return float(x[i])
    share = (level - y[i - 1]) / (y[i] - y[i - 1])
    return float(x[i - 1] + min(max(share, 0.0), 1.0) * (x[i] - x[i - 1]))


def set_voltage(trace: xr.Dataset, *, ratio: float = 10.0) -> float:
    """Voltage at which the conductance first exceeds `ratio` times its OFF value, at positive voltage, V.

    Parameters
    ----------
    trace : Dataset
        One run that starts in the OFF state.
    ratio : float, 1, > 1
        Rise that counts as a SET. The OFF value is that of the first instant.

    Raises
    ------
    InputError
        If the conductance never rises so far.

    Notes
    -----
    Interpolated on ln G, so a coarse sweep is resolved below its step.
    """
    _, voltage, _, conductance = columns(trace)
    ln_g = np.log(conductance)
    level = ln_g[0] + np.log(ratio)
    above = np.flatnonzero((ln_g > level) & (voltage > 0))
    if not above.size:
        raise InputError(
            "No SET in the trace: looked for a conductance that rises at positive voltage above a multiple of its "
            "first value",
            got=f"a rise by {np.exp((ln_g - ln_g[0]).max()):.3g}",
            allowed=f"by {ratio:g} or more",
            action="Raise the voltage or the time of the stimulus, or lower ratio",
        )
    return _crossing(voltage, ln_g, int(above[0]), level)


def reset_voltage(trace: xr.Dataset, *, fraction: float = 0.5) -> float:
    """Voltage at which the conductance has fallen to `fraction` of its ON value, at negative voltage, V.

    Parameters
    ----------
    trace : Dataset
        One run that is ON when its voltage first becomes negative.
    fraction : float, 1, in (0, 1)
        Fall that counts as a RESET, against the conductance where the voltage becomes negative.

    Raises
    ------
    InputError
        If the voltage never becomes negative or the conductance never falls so far there.
    """
    _, voltage, _, conductance = columns(trace)
    negative = np.flatnonzero(voltage < 0)
    if not negative.size:
        raise InputError("No RESET in the trace: its voltage never becomes negative", got=f"{voltage.min():g} V")
    ln_g = np.log(conductance)
    level = ln_g[negative[0]] + np.log(fraction)
    below = negative[ln_g[negative] <= level]
    if not below.size:
        raise InputError(
            "No RESET in the trace: looked for a conductance that falls at negative voltage",
            got=f"a fall to {np.exp((ln_g[negative] - ln_g[negative[0]]).min()):.3g} of its value",
            allowed=f"to {fraction:g} or less",
            action="Sweep to a more negative voltage, or raise fraction",
        )
    return _crossing(voltage, ln_g, int(below[0]), level)


def _first_branches(voltage: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the rising and the falling branch of the first positive excursion."""
    positive = np.flatnonzero(voltage > 0)
    if not positive.size:
        raise InputError("The trace has no positive voltage", got=f"{voltage.max():g} V at most")
    start = max(int(positive[0]) - 1, 0)
    ends = np.flatnonzero(voltage[positive[0] :] <= 0)
    stop = int(positive[0] + ends[0]) if ends.size else voltage.size - 1
    top = start + int(np.argmax(voltage[start : stop + 1]))
    return np.arange(start, top + 1), np.arange(top, stop + 1)


def _at(voltage: NDArray[np.float64], values: NDArray[np.float64], branch: NDArray[np.intp], level: float) -> float:
    """Value on a branch at one voltage."""
    v, y = voltage[branch], values[branch]
    order = np.argsort(v, kind="stable")
    if not v.min() <= level <= v.max():
        raise InputError(
            "The sweep does not pass the read voltage", got=f"{level:g} V", allowed=f"{v.min():g} to {v.max():g} V"
        )
    return float(np.interp(level, v[order], y[order]))


def on_off(trace: xr.Dataset, *, write_V: float = 2.0, read_V: float = 0.1) -> OnOff:
    """On/off ratio of a sweep in both definitions of John et al.

    Parameters
    ----------
    trace : Dataset
        One run: first rises from zero, then returns.
    write_V, read_V : float, V, > 0

    Returns
    -------
    OnOff

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Methods, Note.
    """
    _, voltage, current, _ = columns(trace)
    up, down = _first_branches(voltage)
    before, after = _at(voltage, current, up, read_V), _at(voltage, current, down, read_V)
    if before <= 0:
        raise InputError("The current before the SET must be positive", got=f"{before:g} A at {read_V:g} V")
    reached = voltage[up].max() >= write_V
    return OnOff(_at(voltage, current, up, write_V) / before if reached else float("nan"), after / before)


def lrs_conductance(trace: xr.Dataset, *, read_V: float = 0.1) -> float:
    """Conductance after the SET, read on the falling branch of the first positive excursion, S."""
    _, voltage, _, conductance = columns(trace)
    _, down = _first_branches(voltage)
    return _at(voltage, conductance, down, read_V)


def _levels(ln_g: NDArray[np.float64], off_S: float | None, on_S: float | None) -> tuple[float, float]:
    low = float(np.quantile(ln_g, 0.02)) if off_S is None else float(np.log(off_S))
    high = float(np.quantile(ln_g, 0.98)) if on_S is None else float(np.log(on_S))
    return low, high


def relaxations(
    trace: xr.Dataset,
    *,
    level: float = float(np.exp(-1.0)),
    dwell_s: float = 0.0,
    rest_V: float = 0.0,
    off_S: float | None = None,
    on_S: float | None = None,
) -> list[Relaxation]:
    """Every relaxation in a run: after each positive excursion that leaves the device ON.

    Parameters
    ----------
    trace : Dataset
        One run.
    level : float, 1, in (0, 1)
        The state, as share of ln(G_on / G_off) above ln G_off, at which the device counts as relaxed; 1/e makes
        the time the time constant of an exponential relaxation.
    dwell_s : float, s, >= 0
        How long the state must stay below: a filament that opens for less is not relaxed.
    rest_V : float, V
        Largest voltage that counts as rest; above zero where the state is read with a small positive voltage.
    off_S, on_S : float, S, optional
        OFF and ON conductance; default the 2 % and the 98 % quantile of the run.

    Returns
    -------
    list of Relaxation
        Censored where the voltage returns, or the trace ends, before the level is reached. An excursion that
        leaves the state below half way between `level` and 1 does not count as ON and is left out.
    """
    time, voltage, _, conductance = columns(trace)
    ln_g = np.log(conductance)
    low, high = _levels(ln_g, off_S, on_S)
    return relaxations_of(time, voltage, ln_g, low, high, level=level, dwell_s=dwell_s, rest_V=rest_V)


def relaxations_of(
    time: NDArray[np.float64],
    voltage: NDArray[np.float64],
    ln_g: NDArray[np.float64],
    low: float,
    high: float,
    *,
    level: float = float(np.exp(-1.0)),
    dwell_s: float = 0.0,
    rest_V: float = 0.0,
) -> list[Relaxation]:
    """:func:`relaxations` on bare arrays; `low` and `high` are ln of the OFF and the ON conductance."""
    if not high > low:
        return []
    state = (ln_g - low) / (high - low)
    found = []
    for first, last in _stretches(voltage <= rest_V):
        if state[first] < 0.5 * (1.0 + level):
            continue
        section = slice(first, last + 1)
        event = None
        for i in np.flatnonzero(state[section] <= level):
            later = (time[section] >= time[first + i]) & (time[section] <= time[first + i] + dwell_s)
            if (state[section][later] <= level).all():
                event = int(first + i)
                break
        if event is None:
            if last > first:
                found.append(Relaxation(float(time[last] - time[first]), True, float(time[first])))
        else:
            at = _crossing(time, state, event, level)
            found.append(Relaxation(max(at - float(time[first]), 1e-15), False, float(time[first])))
    return found


def relaxation_time(trace: xr.Dataset, **options: float) -> Relaxation:
    """The first relaxation of a run; options as for :func:`relaxations`.

    Raises
    ------
    InputError
        If no positive excursion leaves the device ON.
    """
    found = relaxations(trace, **options)
    if not found:
        raise InputError(
            "No relaxation in the trace: looked for zero or negative voltage after the device was ON",
            got=f"conductance {float(trace['conductance'].min()):.3g} to {float(trace['conductance'].max()):.3g} S",
            action="Let the stimulus end with a rest",
        )
    return found[0]


def set_times(trace: xr.Dataset, *, off_S: float | None = None, on_S: float | None = None) -> list[SetTime]:
    """Every SET in a run: after each rise from zero or below that finds the device below half way.

    Parameters
    ----------
    trace : Dataset
        One run.
    off_S, on_S : float, S, optional
        OFF and ON conductance; default the 2 % and the 98 % quantile of the run.
    """
    time, voltage, _, conductance = columns(trace)
    ln_g = np.log(conductance)
    return set_times_of(time, voltage, ln_g, *_levels(ln_g, off_S, on_S))


def set_times_of(
    time: NDArray[np.float64], voltage: NDArray[np.float64], ln_g: NDArray[np.float64], low: float, high: float
) -> list[SetTime]:
    """:func:`set_times` on bare arrays; `low` and `high` are ln of the OFF and the ON conductance."""
    if not high > low:
        return []
    state = (ln_g - low) / (high - low)
    found = []
    for first, last in _stretches(voltage > 0):
        begin = max(first - 1, 0)
        if state[begin] >= 0.5:
            continue
        above = np.flatnonzero(state[first : last + 1] >= 0.5)
        if above.size:
            at = _crossing(time, state, int(first + above[0]), 0.5)
            found.append(SetTime(max(at - float(time[begin]), 1e-15), False, float(time[begin])))
        elif last > begin:
            found.append(SetTime(float(time[last] - time[begin]), True, float(time[begin])))
    return found


def _stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
