"""A sweep: set and reset voltage, on/off ratio, LRS conductance, rectification."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...physics.errors import InputError
from .pieces import columns, crossing, limited

__all__ = [
    "OnOff",
    "Rectification",
    "hrs_conductance",
    "lrs_conductance",
    "on_off",
    "rectification",
    "reset_voltage",
    "set_voltage",
]

_RETRACED = float(np.log(2.0))  # less than this between both ways of a sweep is no hysteresis


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


class Rectification(NamedTuple):
    """Current forwards over current backwards at opposite voltages.

    Attributes
    ----------
    lrs, hrs : float, 1
        I(+V) / I(-V) in each state; below 1 where the current is larger at negative voltage. nan where the sweep does
        not pass both voltages in that state.
    read_V : float, V
    lrs_doubt, hrs_doubt : str
        "limited" where the source held one of the currents back, which leaves no ratio (nan); "changed" where the
        device was in another state at the second voltage, by the hysteresis at either: it relaxed, or switched, in
        between. Empty where neither is the case.
    """

    lrs: float
    hrs: float
    read_V: float
    lrs_doubt: str = ""
    hrs_doubt: str = ""


def set_voltage(trace: xr.Dataset, *, ratio: float = 10.0) -> float:
    """Voltage at which the conductance first exceeds `ratio` times its OFF value, at positive voltage, V.

    Parameters
    ----------
    trace : Dataset
        One run that starts in the OFF state.
    ratio : float, 1, > 1
        Rise that counts as a SET. The OFF value is that of the first instant at which the conductance is not zero.

    Raises
    ------
    InputError
        If the conductance never rises so far.

    Notes
    -----
    Interpolated on ln G, so a coarse sweep is resolved below its step. G is I/V, so the curvature of the OFF branch
    counts too: where it reaches `ratio` before the SET, raise `ratio`. A rise that the way back retraces within a
    factor of 2 is such a curvature alone, and no SET.
    """
    _, voltage, _, conductance = columns(trace)
    ln_g = np.log(conductance)
    # a conductance of zero, as 0 A at 0 V gives, is no state
    first = int(np.argmax(conductance > 1e-300))
    level = ln_g[first] + np.log(ratio)
    above = np.flatnonzero((ln_g > level) & (voltage > 0))
    if not above.size:
        raise InputError(
            "No SET in the trace: looked for a conductance that rises at positive voltage above a multiple of its "
            "first value",
            got=f"a rise by {np.exp((ln_g - ln_g[first]).max()):.3g}",
            allowed=f"by {ratio:g} or more",
            action="Raise the voltage or the time of the stimulus, or lower ratio",
        )
    opening = _opening(voltage, ln_g, int(above[0]))
    if opening < _RETRACED:
        raise InputError(
            "No SET in the trace: the conductance rises with the voltage and falls with it on the same curve",
            got=f"{np.exp(opening):.3g} times as much on the way back",
            allowed=f"{np.exp(_RETRACED):g} times or more at some voltage",
        )
    return crossing(voltage, ln_g, int(above[0]), level)


def _opening(voltage: NDArray[np.float64], ln_g: NDArray[np.float64], first: int) -> float:
    """Largest ln of the conductance after the rise of the voltage over that during it; inf where there is no return.

    Of the positive excursion of the instant `first`.
    """
    away = np.flatnonzero(voltage <= 0)
    start = int(away[away < first].max(initial=0))
    stop = int(away[away > first].min(initial=voltage.size))
    V, y = voltage[start:stop], ln_g[start:stop]
    top = int(np.argmax(V))
    up, back = np.arange(top + 1), np.arange(top + 1, V.size)
    back = back[(V[back] >= V[up].min()) & (V[back] > 0)]
    if not back.size or V[back].min() > 0.9 * V[top]:
        return float("inf")
    order = np.argsort(V[up], kind="stable")
    return float((y[back] - np.interp(V[back], V[up][order], y[up][order])).max())


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
    return crossing(voltage, ln_g, int(below[0]), level)


def first_branches(voltage: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the rising and the falling branch of the first positive excursion."""
    positive = np.flatnonzero(voltage > 0)
    if not positive.size:
        raise InputError("The trace has no positive voltage", got=f"{voltage.max():g} V at most")
    start = max(int(positive[0]) - 1, 0)
    ends = np.flatnonzero(voltage[positive[0] :] <= 0)
    stop = int(positive[0] + ends[0]) if ends.size else voltage.size - 1
    top = start + int(np.argmax(voltage[start : stop + 1]))
    return np.arange(start, top + 1), np.arange(top, stop + 1)


def at(voltage: NDArray[np.float64], values: NDArray[np.float64], branch: NDArray[np.intp], level: float) -> float:
    """Value on a branch at one voltage."""
    v, y = voltage[branch], values[branch]
    order = np.argsort(v, kind="stable")
    if not v.min() <= level <= v.max():
        raise InputError(
            "The sweep does not pass the read voltage", got=f"{level:g} V", allowed=f"{v.min():g} to {v.max():g} V"
        )
    return float(np.interp(level, v[order], y[order]))


def limited_at(trace: xr.Dataset, branch: NDArray[np.intp], level: float) -> bool:
    """Whether the source held the current back where a branch passes a voltage, V."""
    voltage = trace.variables["voltage"].values
    return at(voltage, limited(trace).astype(float), branch, level) > 0.0


def holding_voltage(trace: xr.Dataset) -> float:
    """Voltage on the way back down to which a sweep stays ON, V: nan where both ways are one curve.

    Parameters
    ----------
    trace : Dataset
        One run: first rises from zero, then returns.

    Notes
    -----
    ON is more than half of the largest distance, in ln G, between both ways.
    """
    _, voltage, _, conductance = columns(trace)
    up, down = first_branches(voltage)
    rise, fall = voltage[up], voltage[down]
    shared = (fall >= max(rise.min(), 0.0)) & (fall > 0)
    order = np.argsort(rise, kind="stable")
    ln_g = np.log(conductance)
    apart = ln_g[down][shared] - np.interp(fall[shared], rise[order], ln_g[up][order])
    if not apart.size or apart.max() < _RETRACED:
        return float("nan")
    peak = int(np.argmax(apart))
    gone = np.flatnonzero(apart[peak:] < 0.5 * apart.max())
    return float(fall[shared][peak + gone[0] - 1] if gone.size else fall[shared].min())


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
    up, down = first_branches(voltage)
    before, after = at(voltage, current, up, read_V), at(voltage, current, down, read_V)
    if before <= 0:
        raise InputError("The current before the SET must be positive", got=f"{before:g} A at {read_V:g} V")
    reached = voltage[up].max() >= write_V
    return OnOff(at(voltage, current, up, write_V) / before if reached else float("nan"), after / before)


def lrs_conductance(trace: xr.Dataset, *, read_V: float = 0.1) -> float:
    """Conductance after the SET, read on the falling branch of the first positive excursion, S.

    Parameters
    ----------
    trace : Dataset
        One run: first rises from zero, then returns.
    read_V : float, V, > 0
        Where the branch is read; the sweep must pass it.
    """
    _, voltage, _, conductance = columns(trace)
    _, down = first_branches(voltage)
    return at(voltage, conductance, down, read_V)


def hrs_conductance(trace: xr.Dataset, *, read_V: float = 0.1) -> float:
    """Conductance before the SET, read on the rising branch of the first positive excursion, S.

    Parameters
    ----------
    trace : Dataset
        One run: first rises from zero, then returns.
    read_V : float, V, > 0
        Where the branch is read; the sweep must pass it.
    """
    _, voltage, _, conductance = columns(trace)
    up, _ = first_branches(voltage)
    return at(voltage, conductance, up, read_V)


def rectification(trace: xr.Dataset, *, read_V: float = 0.5) -> Rectification:
    """Rectification ratio of a bipolar loop in both states, from currents.

    Parameters
    ----------
    trace : Dataset
        One run that sets at positive and then resets at negative voltage. The LRS is read on the falling branch of the
        first positive excursion and the first branch of the negative one after it; the HRS on the last branch of that
        one and the rising branch of the next positive excursion, for which the trace must go on: what the device was
        before its first SET is another state.
    read_V : float, V, > 0
        Below both switching voltages, or switching counts as rectification.

    Raises
    ------
    InputError
        If there is no positive or no negative voltage after it, or neither state is passed at both voltages.

    Notes
    -----
    A state counts as changed by the hysteresis. LRS: the device conducts less than half as much at -V, and there both
    ways differ (in ln G) by less than half of what they do at +V. HRS: at +V it conducts as in the LRS though at -V
    it did not, or more on the way back from the negative voltage. A cell that blocks both states at -V looks the same.

    The review prints the ratio once as reverse minimum over forward maximum, which would be below 1 for the values
    above 1 that it gives; this is forward over reverse (Y-SR-108).

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 5.2.
    """
    found = both_directions(trace, read_V=read_V)
    if np.isnan(found.lrs) and np.isnan(found.hrs):
        if "limited" in (found.lrs_doubt, found.hrs_doubt):
            raise InputError(
                f"The source holds back the current at {read_V:g} or {-read_V:g} V: no ratio of the device",
                action="Compare them at a lower voltage, or raise the compliance",
            )
        volts = trace["voltage"].values
        raise InputError(
            "Neither state has a current at both voltages",
            got=f"{volts.min():g} to {volts.max():g} V",
            allowed=f"a loop beyond {read_V:g} V of either sign",
        )
    return found


def both_directions(trace: xr.Dataset, *, read_V: float) -> Rectification:
    """:func:`rectification` that may have no ratio in either state.

    Parameters
    ----------
    trace : Dataset
        One run.
    read_V : float, V, > 0
    """
    if not (np.isfinite(read_V) and read_V > 0):
        raise InputError("read_V is out of range", got=f"{read_V} V", allowed="> 0 V")
    _, voltage, current, conductance = columns(trace)
    up, down = first_branches(voltage)
    start = int(down[-1])
    if not (voltage[start:] < 0).any():
        raise InputError("No negative voltage after the positive one", got=f"{voltage.min():g} V at least")
    out, back = (start + branch for branch in first_branches(-voltage[start:]))
    end = int(back[-1])
    again = end + first_branches(voltage[end:])[0] if (voltage[end:] > 0).any() else None

    def ratio(forward: NDArray[np.intp] | None, reverse: NDArray[np.intp], changed: bool) -> tuple[float, str]:
        if forward is None:
            return float("nan"), ""
        try:
            plus, minus = at(voltage, current, forward, read_V), -at(voltage, current, reverse, -read_V)
        except InputError:  # this branch ends before the read voltage
            return float("nan"), ""
        if limited_at(trace, forward, read_V) or limited_at(trace, reverse, -read_V):
            return float("nan"), "limited"
        value = plus / minus if plus > 0 and minus > 0 else float("nan")
        return value, "changed" if changed and np.isfinite(value) else ""

    def state(branch: NDArray[np.intp] | None, level: float) -> float:
        """ln G; nan, which no comparison holds for, where the branch does not pass the voltage."""
        if branch is None or not voltage[branch].min() <= level <= voltage[branch].max():
            return float("nan")
        return float(np.log(at(voltage, conductance, branch, level)))

    before, on, off = state(up, read_V), state(down, read_V), state(again, read_V)
    reverse_on, reverse_off = state(out, -read_V), state(back, -read_V)
    relaxed = on - reverse_on > _RETRACED and reverse_on - reverse_off < 0.5 * (on - before)
    switched = reverse_off - reverse_on > _RETRACED or (on - off < _RETRACED and reverse_on - reverse_off > _RETRACED)
    (lrs, lrs_doubt), (hrs, hrs_doubt) = ratio(down, out, relaxed), ratio(again, back, switched)
    return Rectification(lrs, hrs, float(read_V), lrs_doubt, hrs_doubt)
