"""Events: each SET and each relaxation of a run, and how long it took."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...physics.errors import InputError
from .pieces import columns, crossing, stretches

__all__ = ["Relaxation", "SetTime", "relaxation_time", "relaxations", "relaxations_of", "set_times", "set_times_of"]


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


def levels(ln_g: NDArray[np.float64], off_S: float | None, on_S: float | None) -> tuple[float, float]:
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
    low, high = levels(ln_g, off_S, on_S)
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
    """:func:`relaxations` on bare arrays; `low` and `high` are ln of the OFF and the ON conductance.

    Parameters
    ----------
    time : array, shape (n,), s
    voltage : array, shape (n,), V
        Of the source.
    ln_g : array, shape (n,), 1
        ln(G / S).
    low, high : float, 1
        ln(G / S) of the OFF and of the ON state; nothing is found unless `high` is the larger.
    level : float, 1, in (0, 1)
        Share of the way from `low` to `high` at which the device counts as relaxed.
    dwell_s : float, s, >= 0
        How long the state must stay at or below `level`.
    rest_V : float, V
        Largest voltage that counts as rest.

    Returns
    -------
    list of Relaxation
    """
    if not high > low:
        return []
    state = (ln_g - low) / (high - low)
    found = []
    for first, last in stretches(voltage <= rest_V):
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
            at = crossing(time, state, event, level)
            found.append(Relaxation(max(at - float(time[first]), 1e-15), False, float(time[first])))
    return found


def relaxation_time(trace: xr.Dataset, **options: float) -> Relaxation:
    """The first relaxation of a run; options as for :func:`relaxations`.

    Parameters
    ----------
    trace : Dataset
        One run.
    **options : float
        ``level``, ``dwell_s``, ``rest_V``, ``off_S`` and ``on_S``.

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

    Returns
    -------
    list of SetTime
        Censored where the voltage falls to zero, or the trace ends, before ln G is half way from OFF to ON.
    """
    time, voltage, _, conductance = columns(trace)
    ln_g = np.log(conductance)
    return set_times_of(time, voltage, ln_g, *levels(ln_g, off_S, on_S))


def set_times_of(
    time: NDArray[np.float64], voltage: NDArray[np.float64], ln_g: NDArray[np.float64], low: float, high: float
) -> list[SetTime]:
    """:func:`set_times` on bare arrays; `low` and `high` are ln of the OFF and the ON conductance.

    Parameters
    ----------
    time : array, shape (n,), s
    voltage : array, shape (n,), V
        Of the source; a stretch above zero can SET.
    ln_g : array, shape (n,), 1
        ln(G / S).
    low, high : float, 1
        ln(G / S) of the OFF and of the ON state.

    Returns
    -------
    list of SetTime
    """
    if not high > low:
        return []
    state = (ln_g - low) / (high - low)
    found = []
    for first, last in stretches(voltage > 0):
        begin = max(first - 1, 0)
        if state[begin] >= 0.5:
            continue
        above = np.flatnonzero(state[first : last + 1] >= 0.5)
        if above.size:
            at = crossing(time, state, int(first + above[0]), 0.5)
            found.append(SetTime(max(at - float(time[begin]), 1e-15), False, float(time[begin])))
        elif last > begin:
            found.append(SetTime(float(time[last] - time[begin]), True, float(time[begin])))
    return found
