"""Retention of a programmed state: how long it holds, and the Arrhenius line through lifetimes at high temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from ...physics.errors import InputError
from ...physics.retention import Retention, extrapolate
from ..ensembles import _temperature
from .pieces import columns, crossing, each

__all__ = ["Lifetime", "lifetimes", "retention", "retention_time"]


class Lifetime(NamedTuple):
    """How long one state held.

    Attributes
    ----------
    time_s : float, s
    censored : bool
        Whether it still held when the trace ended or was written again.
    start_s : float, s
        Instant from which on it was watched.
    conductance_S : float, S
        Then.
    temperature_K : float, K
        Of the trace; 300 K where it names none.
    """

    time_s: float
    censored: bool
    start_s: float
    conductance_S: float
    temperature_K: float


def retention_time(trace: xr.Dataset, *, fraction: float = 0.5, state: str = "lrs") -> Lifetime:
    """How long the last programmed state of a run holds.

    Parameters
    ----------
    trace : Dataset
        One run that ends with a watch at constant read voltage, at none, or with read pulses of less than half of the
        voltage of the last write.
    fraction : float, 1, in (0, 1)
        Share of its conductance that a low-resistance state must keep; a high-resistance state fails when it conducts
        1 / `fraction` times as much.
    state : {"lrs", "hrs"}

    Returns
    -------
    Lifetime

    Raises
    ------
    InputError
        If an argument is out of range or the run does not end with a watch.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.1.3.
    """
    if not 0 < fraction < 1:
        raise InputError("fraction is out of range", got=fraction, allowed="between 0 and 1, for instance 0.5")
    if state not in ("lrs", "hrs"):
        raise InputError("Unknown state", got=state, allowed="lrs, hrs")
    time, voltage, _, conductance = columns(trace)
    size = np.abs(voltage)
    if np.ptp(voltage) <= 1e-9 + 1e-6 * size.max():
        begin = 0
    else:
        begin = int(np.flatnonzero(size > 0.5 * size.max())[-1]) + 1
    if begin >= time.size - 1:
        raise InputError(
            "The run does not end with a watch",
            got=f"{voltage[-1]:g} V at the end, {size.max():g} V at most",
            action="Add a hold at the read voltage after the write",
        )
    ln_g = np.log(conductance[begin:] / conductance[begin])
    level = np.log(fraction) if state == "lrs" else -np.log(fraction)
    gone = np.flatnonzero(ln_g <= level if state == "lrs" else ln_g >= level)
    start = float(time[begin])
    if gone.size:
        duration, censored = crossing(time[begin:], ln_g, int(gone[0]), level) - start, False
    else:
        duration, censored = float(time[-1]) - start, True
    return Lifetime(max(duration, 1e-15), censored, start, float(conductance[begin]), _temperature(trace))


def lifetimes(given: xr.Dataset | Sequence[xr.Dataset], *, fraction: float = 0.5, state: str = "lrs") -> list[Lifetime]:
    """:func:`retention_time` of every run that ends with a watch.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Runs that do not end with a watch are left out.
    fraction : float, 1, in (0, 1)
        Share of its conductance that the state must keep.
    state : {"lrs", "hrs"}
        Which state is watched.

    Returns
    -------
    list of Lifetime

    Raises
    ------
    InputError
        If no run ends with a watch; the reason is that of the last.
    """
    found, why = [], "no run"
    for _, run in each(given):
        try:
            found.append(retention_time(run, fraction=fraction, state=state))
        except InputError as error:
            why = str(error)
    if not found:
        raise InputError("No retention in the traces", got=why)
    return found


def retention(given: xr.Dataset | Sequence[xr.Dataset], *, fraction: float = 0.5, state: str = "lrs") -> Retention:
    """Arrhenius line through lifetimes at several temperatures, for extrapolation with its confidence interval.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Runs that end with a watch, at two temperatures or more.
    fraction : float, 1, in (0, 1)
        As for :func:`retention_time`.
    state : {"lrs", "hrs"}
        As for :func:`retention_time`.

    Returns
    -------
    Retention
        ``.at(300.0)`` is the median lifetime at 300 K with its 95 % interval. See
        :func:`halidrift.physics.retention.extrapolate` for errors, warnings and validity.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Secs. 3.1.3 and 3.3.1 (Y-RET-ARR).
    """
    found = lifetimes(given, fraction=fraction, state=state)
    return extrapolate(
        [one.time_s for one in found],
        [one.temperature_K for one in found],
        failed=np.array([not one.censored for one in found]),
    )
