"""How fast a device switches and what that costs: 10 to 90 % of the change of conductance, the energy in between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import optimize

from ...physics.errors import InputError
from .pieces import Array, columns, crossing, stretches, work

__all__ = ["Switching", "switchings"]


class Switching(NamedTuple):
    """One switching under one stimulus.

    Attributes
    ----------
    start_s : float, s
        Instant at which the voltage left zero.
    delay_s : float, s
        From there to 10 %.
    time_s : float, s
        From 10 to 90 %.
    resolution_s : float, s
        Longest distance of reported instants at either: a `time_s` below it is interpolated, not seen.
    energy_J : float, J
        Taken up by the device from 10 to 90 %.
    stimulus_energy_J : float, J
        Taken up from the start to the end of the stimulus: the energy of one event.
    before_S, after_S : float, S
        First and final conductance.
    settled : bool
        Whether the conductance changed by less than 2 % of the way from the last tenth but one to the last tenth of the
        stimulus; if not, it was still on its way, and longer stimuli give longer times.
    """

    start_s: float
    delay_s: float
    time_s: float
    resolution_s: float
    energy_J: float
    stimulus_energy_J: float
    before_S: float
    after_S: float
    settled: bool


def switchings(
    trace: xr.Dataset, *, factor: float = 2.0, rest_V: float = 0.0, reference: str = "change"
) -> list[Switching]:
    """Every switching of a run, SET and RESET: one for each stimulus that changes the conductance enough.

    Parameters
    ----------
    trace : Dataset
        One run. A stimulus is a stretch of voltage of one sign beyond `rest_V`.
    factor : float, 1, > 1
        Change of conductance, up or down, that counts as switching.
    rest_V : float, V, >= 0
        Largest magnitude that counts as no stimulus; above zero for a device that is read all the time.
    reference : {"change", "final"}
        Whether 10 and 90 % are of the change from the first to the final conductance, or of the final conductance as
        in the review [1]_. The same if the first is negligible; only "change" has a meaning for a RESET, and for a
        device whose first conductance exceeds 10 % of its final one.

    Returns
    -------
    list of Switching
        Empty if nothing switched. The final conductance is the median of the last tenth of the time up to where the
        voltage falls below nine tenths of its largest. 10 and 90 % are read off the monotone curve nearest to the
        conductance (isotonic regression), which is the conductance itself where that is monotone.

    Raises
    ------
    InputError
        If an argument is out of range, or `reference` is "final" and the conductance falls.

    Notes
    -----
    Meant for pulses. In a sweep the voltage goes on rising after the SET, and so does the conductance under a current
    limit: then 90 % is late. Read noise of 5 % with 200 reports a time constant leaves the time of an exponential
    without bias, with an error of 6 %.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.1.4 (Y-MET-SW, Y-MET-EN).
    """
    if not (np.isfinite(factor) and factor > 1):
        raise InputError("factor is out of range", got=factor, allowed="> 1")
    if not (np.isfinite(rest_V) and rest_V >= 0):
        raise InputError("rest_V is out of range", got=f"{rest_V} V", allowed=">= 0 V")
    if reference not in ("change", "final"):
        raise InputError("Unknown reference", got=reference, allowed="change, final")
    time, voltage, _, conductance = columns(trace)
    found = []
    both = stretches(voltage > rest_V) + stretches(voltage < -rest_V)
    for first, last in sorted(both):
        begin = max(first - 1, 0)
        section = slice(begin, last + 1)
        event = _switching(trace, time[section], conductance[section], factor, reference)
        if event is not None:
            found.append(event)
    return found


def _switching(trace: xr.Dataset, time: Array, conductance: Array, factor: float, reference: str) -> Switching | None:
    """The switching in one stimulus, which begins at the first instant."""
    volts = np.abs(np.interp(time, trace.variables["time"].values, trace.variables["voltage"].values))
    end = int(np.flatnonzero(volts >= 0.9 * volts.max())[-1])
    t, G = time[: end + 1], conductance[: end + 1]
    before, after = float(G[0]), _median(t, G, 0.9)
    if abs(np.log(after / before)) < np.log(factor):
        return None
    if reference == "final" and after < before:
        raise InputError(
            "10 and 90 % of a final conductance mean nothing where it falls",
            got=f"{before:.3g} to {after:.3g} S at {time[0]:g} s",
            allowed='reference="change"',
        )
    zero = before if reference == "change" else 0.0
    share = (G - zero) / (after - zero)
    # the monotone curve nearest to it: itself without noise; with noise, the first outlier would be too early
    weights = np.gradient(t)
    rising = np.asarray(optimize.isotonic_regression(share, weights=weights / weights.max()).x)
    low, high = (int(np.argmax(rising >= level)) for level in (0.1, 0.9))
    t10, t90 = crossing(t, rising, low, 0.1), crossing(t, rising, high, 0.9)
    steps = [t[i] - t[i - 1] for i in (low, high) if i > 0]
    return Switching(
        start_s=float(time[0]),
        delay_s=t10 - float(time[0]),
        time_s=t90 - t10,
        resolution_s=float(max(steps, default=0.0)),
        energy_J=work(trace, t10, t90),
        stimulus_energy_J=work(trace, float(time[0]), float(time[-1])),
        before_S=before,
        after_S=after,
        settled=abs(_median(t, share, 0.9) - _median(t, share, 0.8)) < 0.02,
    )


def _median(time: Array, values: Array, start: float) -> float:
    """Median over a tenth of the time, from a share `start` of it on."""
    at = time[0] + (start + np.linspace(0.0, 0.1, 41)) * (time[-1] - time[0])
    return float(np.median(np.interp(at, time, values)))
