"""What was done to the device: sweeps with their cycles and branches, pulses, retention; and where the source limited.

All work on bare columns in the order of the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

__all__ = ["KINDS", "Segment", "clipped", "kind_of", "limited_side", "segments"]

Array = NDArray[np.float64]

KINDS = ("sweep", "pulses", "retention")

_JUMP = 0.3  # share of the span that a step of a pulse covers at least
_JUMPS = 0.7  # share of the travel of the voltage that jumps make up in a train of pulses
_LEVELS = 0.7  # share of the points that three of fifty bins hold in a train of pulses
_TURN = 0.02  # share of the span by which a voltage must come back to count as turned
_FLAT = 0.01  # relative scatter of a current that the source limits
_AT_LIMIT = 0.98  # share of the limit from which on a current counts as limited
_OPEN = 0.05  # share of the voltage at which a plateau begins by which it must outlast it on the way back
_BEYOND = 1.05  # share of the limit from which on a current tells that there was none


@dataclass(frozen=True)
class Segment:
    """A stretch of a measurement that is one stimulus.

    Attributes
    ----------
    kind : {'sweep', 'pulses', 'retention'}
    start, stop : int
        First point, and the one behind the last. The point at which one cycle of a sweep ends and the next begins
        belongs to both.
    values : mapping of str to float
        Of a sweep: ``highest_V``, ``lowest_V``, ``rate_V_s`` (median); of pulses: ``write_V``, ``base_V``,
        ``read_V`` (nan without), ``width_s``, ``period_s`` (medians), ``count``; of retention: ``read_V``,
        ``duration_s``.
    branches : tuple of (int, int, int)
        Of a sweep: first and last point and direction (1 rises, -1 falls) of each.
    complete : bool
        False for a sweep that does not return to where it began although others do.
    """

    kind: str
    start: int
    stop: int
    values: Mapping[str, float] = field(default_factory=dict)
    branches: tuple[tuple[int, int, int], ...] = ()
    complete: bool = True


def _columns(time_s: ArrayLike, voltage_V: ArrayLike) -> tuple[Array, Array]:
    time, voltage = np.asarray(time_s, dtype=float), np.asarray(voltage_V, dtype=float)
    if time.shape != voltage.shape or time.ndim != 1 or time.size < 2:
        raise InputError("Times and voltages must be columns of one length", got=f"{time.shape} and {voltage.shape}")
    if not (np.isfinite(time).all() and np.isfinite(voltage).all()):
        raise InputError("Times and voltages must be finite", action="Drop points without a number first")
    return time, voltage


def kind_of(time_s: ArrayLike, voltage_V: ArrayLike) -> str:
    """What a stretch of a measurement is: ``"sweep"``, ``"pulses"`` or ``"retention"``.

    Parameters
    ----------
    time_s, voltage_V : array, shape (n,), s and V, n >= 2

    Raises
    ------
    InputError
        If lengths differ or a value is not finite.

    Notes
    -----
    Retention: the voltage stays within 2 % of its size. Pulses: seven tenths of the way of the voltage are jumps over
    three tenths of its span, or seven tenths of at least twenty points sit at three levels. A sweep is what is left, so
    one of three steps a branch or fewer counts as pulses.

    Examples
    --------
    >>> sweep = [0.0, 0.5, 1.0, 1.5, 2.0, 1.5, 1.0, 0.5, 0.0]
    >>> kind_of(np.arange(9.0), sweep), kind_of(np.arange(6.0), [0, 1, 1, 0, 0, 1])
    ('sweep', 'pulses')
    """
    _, voltage = _columns(time_s, voltage_V)
    span, top = float(np.ptp(voltage)), float(np.abs(voltage).max())
    if span <= max(0.02 * top, 1e-3):
        return "retention"
    steps = np.abs(np.diff(voltage))
    jumps = steps > _JUMP * span
    resting = float(np.mean(steps <= 1e-3 * span))
    if jumps.sum() >= 2 and steps[jumps].sum() >= _JUMPS * steps.sum() and (resting >= 0.2 or jumps.sum() > 2):
        levels = np.unique(np.round(voltage / span, 2)).size
        if levels <= max(8, voltage.size // 4):
            return "pulses"
    if voltage.size >= 20:
        counts, _ = np.histogram(voltage, bins=50)
        if np.sort(counts)[-3:].sum() >= _LEVELS * voltage.size and counts.max() < voltage.size - 2:
            return "pulses"
    return "sweep"


def segments(time_s: ArrayLike, voltage_V: ArrayLike) -> tuple[Segment, ...]:
    """Split a measurement: the cycles of a sweep one by one, pulses and retention as a whole.

    Parameters
    ----------
    time_s, voltage_V : array, shape (n,), s and V, n >= 2

    Returns
    -------
    tuple of Segment, not empty

    Raises
    ------
    InputError
        If lengths differ or a value is not finite.

    Notes
    -----
    A cycle of a sweep ends where the voltage is back at its first value on the way in which it first set out:
    0, 2, 0, -2, 0 V is one cycle, 0, 2, 0, 2, 0 V are two.

    Examples
    --------
    >>> V = np.concatenate([np.linspace(a, b, 21) for a, b in ((0, 2), (2, -2), (-2, 0))] * 2)
    >>> [(s.kind, s.stop - s.start, len(s.branches)) for s in segments(np.arange(V.size), V)]
    [('sweep', 63, 3), ('sweep', 63, 3)]
    """
    time, voltage = _columns(time_s, voltage_V)
    kind = kind_of(time, voltage)
    whole = slice(0, voltage.size)
    if kind == "retention":
        values = {"read_V": float(np.median(voltage)), "duration_s": float(time[-1] - time[0])}
        return (Segment(kind, 0, voltage.size, values),)
    if kind == "pulses":
        return (Segment(kind, 0, voltage.size, _pulses(time[whole], voltage[whole])),)
    return _sweeps(time, voltage)


def _turns(voltage: Array, least: float) -> list[int]:
    """Points at which the voltage turns by more than `least`, with the first and the last."""
    turns, extreme, way = [0], 0, 0
    for n in range(1, voltage.size):
        if way == 0:
            if abs(voltage[n] - voltage[0]) > least:
                way, extreme = (1 if voltage[n] > voltage[0] else -1), n
        elif way * (voltage[n] - voltage[extreme]) >= 0:
            extreme = n
        elif way * (voltage[extreme] - voltage[n]) > least:
            turns.append(extreme)
            way, extreme = -way, n
    turns.append(voltage.size - 1)
    return turns


def _sweeps(time: Array, voltage: Array) -> tuple[Segment, ...]:
    span = float(np.ptp(voltage))
    turns = _turns(voltage, _TURN * span)
    legs = [(a, b) for a, b in pairwise(turns) if b > a]
    first, way = float(voltage[0]), 0
    bounds = [0]
    for a, b in legs:
        leg_way = 1 if voltage[b] > voltage[a] else -1
        way = way or leg_way
        if a == 0 or leg_way != way or way * (voltage[a] - first) > 0.5 * _TURN * span:
            continue
        back = np.flatnonzero(way * (voltage[a : b + 1] - first) >= -1e-3 * span)
        if not back.size:
            continue
        at = a + int(back[0])
        # where the start is measured twice the second point begins the next cycle
        if at + 1 <= b and abs(voltage[at + 1] - voltage[at]) <= 1e-3 * span:
            at += 1
        if at > bounds[-1]:
            bounds.append(at)
    if voltage.size - 1 - bounds[-1] < 2 and len(bounds) > 1:
        bounds.pop()
    bounds.append(voltage.size)
    found = []
    for start, stop in pairwise(bounds):
        # the shared point, unless the start was measured twice
        end = stop
        if stop < voltage.size and abs(voltage[stop] - voltage[stop - 1]) > 1e-3 * span:
            end = stop + 1
        V, t = voltage[start:end], time[start:end]
        inner = _turns(V, _TURN * max(float(np.ptp(V)), 1e-12))
        branches = tuple(
            (start + a, start + b, 1 if V[b] > V[a] else -1) for a, b in pairwise(inner) if b > a and V[b] != V[a]
        )
        dt = np.diff(t)
        rates = np.abs(np.diff(V))[dt > 0] / dt[dt > 0]
        rates = rates[rates > 0]
        values = {
            "highest_V": float(V.max()),
            "lowest_V": float(V.min()),
            "rate_V_s": float(np.median(rates)) if rates.size else np.nan,
        }
        returned = abs(float(V[-1]) - first) <= 0.05 * span
        found.append((start, end, values, branches, returned))
    someone = any(returned for *_, returned in found)
    return tuple(
        Segment("sweep", start, end, values, branches, returned or not someone)
        for start, end, values, branches, returned in found
    )


def _pulses(time: Array, voltage: Array) -> dict[str, float]:
    """Levels, width and period of a train."""
    span = float(np.ptp(voltage))
    levels, counts = np.unique(np.round(voltage / (0.02 * span)), return_counts=True)
    groups: list[list[int]] = []
    for n in range(levels.size):
        if groups and levels[n] - levels[groups[-1][-1]] <= 1:
            groups[-1].append(n)
        else:
            groups.append([n])
    heights, weights = [], []
    for group in groups:
        own = np.isin(np.round(voltage / (0.02 * span)), levels[group])
        heights.append(float(np.median(voltage[own])))
        weights.append(int(counts[group].sum()))
    sizes = np.abs(heights)
    write = heights[int(np.argmax(sizes))]
    others = [(w, h) for w, h in zip(weights, heights, strict=True) if abs(h - write) > 0.2 * span]
    # the level between the pulses is the one nearest to zero that is really held
    held = [h for w, h in others if w >= 0.05 * voltage.size] or [h for _, h in others] or [0.0]
    base = min(held, key=abs)
    reads = [(w, h) for w, h in others if abs(h - base) > 0.02 * span and abs(h) < 0.8 * abs(write)]
    on = np.abs(voltage - base) > 0.5 * abs(write - base)
    on &= np.sign(voltage - base) == np.sign(write - base)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    starts, stops = edges[::2], edges[1::2]
    last = time.size - 1

    def middle(n: int) -> float:
        """Instant of the edge in front of point n."""
        return float(time[min(n, last)]) if n in (0, last + 1) else 0.5 * float(time[n - 1] + time[n])

    begun = np.array([middle(int(n)) for n in starts])
    ended = np.array([middle(int(n)) for n in stops])
    return {
        "write_V": write,
        "base_V": base,
        "read_V": max(reads)[1] if reads else np.nan,
        "width_s": float(np.median(ended - begun)) if begun.size else np.nan,
        "period_s": float(np.median(np.diff(begun))) if begun.size > 1 else np.nan,
        "count": float(begun.size),
    }


def clipped(
    voltage_V: ArrayLike, current_A: ArrayLike, compliance_A: float | None = None
) -> tuple[NDArray[np.bool_], float]:
    """Points at which the source limited the current, and the limit.

    Parameters
    ----------
    voltage_V, current_A : array, shape (n,), V and A
    compliance_A : float, A, > 0, optional
        The limit, if it is known; otherwise it is found from a plateau of the current at its largest size.

    Returns
    -------
    mask : array of bool, shape (n,)
    limit : float, A
        ``inf`` if there is none.

    Notes
    -----
    Without a known limit: at least four points in a row whose current stays within 1 % of the largest while the
    voltage changes by a fifth or more. No device does so by itself, except one whose differential conductance
    vanishes there. If the largest currents show no plateau, each polarity is looked at by itself: a SET is often
    limited and the RESET after it not. Such a plateau counts if it is left at a smaller voltage than it was entered, as
    behind a SET; a device that saturates at one polarity goes back as it came. Then the mask holds points of that
    polarity only, as it does for a known limit that the currents of one polarity pass (:func:`limited_side`).

    Examples
    --------
    >>> V = np.linspace(0.0, 2.0, 21)
    >>> mask, limit = clipped(V, np.minimum(1e-6 * V**3, 1e-6))
    >>> int(mask.sum()), limit
    (11, 1e-06)
    """
    V, size = np.asarray(voltage_V, dtype=float), np.abs(np.asarray(current_A, dtype=float))
    none = np.zeros(V.size, dtype=bool)
    if not size.size or not np.isfinite(size).any():
        return none, np.inf
    if compliance_A is not None:
        return _at_limit(V, size, float(compliance_A)), float(compliance_A)
    level = _plateau(V, size)
    if level is None:
        sides = [found for sign in (1, -1) if (found := _after_set(V[sign * V > 0], size[sign * V > 0])) is not None]
        if len(sides) != 1:  # two limits cannot be told by one number
            return none, np.inf
        level = sides[0]
    if level <= 0.0:  # a file of currents too small for a number: no limit
        return none, np.inf
    return _at_limit(V, size, level), level


def limited_side(voltage_V: ArrayLike, current_A: ArrayLike, compliance_A: float) -> int:
    """Polarity at which a limit of the current acts: 1 or -1 where currents of the other pass it, 0 for both.

    Parameters
    ----------
    voltage_V, current_A : array, shape (n,), V and A
    compliance_A : float, A, > 0

    Examples
    --------
    >>> V = np.array([0.0, 1.0, 2.0, 3.0, 0.0, -1.0, -2.0, -3.0])
    >>> limited_side(V, np.minimum(V, 1.0), 1.0), limited_side(V, np.clip(V, -1.0, 1.0), 1.0)
    (1, 0)
    """
    V, size = np.asarray(voltage_V, dtype=float), np.abs(np.asarray(current_A, dtype=float))
    if not 0.0 < compliance_A < np.inf:
        return 0
    beyond = {sign: int((size[sign * V > 0] > _BEYOND * compliance_A).sum()) for sign in (1, -1)}
    held = {
        sign: int((np.abs(size[sign * V > 0] - compliance_A) <= 2 * _FLAT * compliance_A).sum()) for sign in (1, -1)
    }
    for sign in (1, -1):
        # an overshoot or two hide no limit, on either side
        passed = beyond[-sign] >= 2 and beyond[-sign] > max(held[-sign], 2 * beyond[sign])
        if held[sign] >= 3 and passed:
            return sign
    return 0


def _at_limit(V: Array, size: Array, limit: float) -> NDArray[np.bool_]:
    side = limited_side(V, size, limit)
    mask: NDArray[np.bool_] = size >= _AT_LIMIT * limit
    return mask & (np.sign(V) == side) if side else mask


def _after_set(V: Array, size: Array) -> float | None:
    """The plateau of one polarity, if the device was ON when it left it."""
    level = _plateau(V, size)
    if level is None:
        return None
    there = np.flatnonzero(size >= _AT_LIMIT * level)
    return level if abs(V[there[-1]]) < (1.0 - _OPEN) * abs(V[there[0]]) else None


def _plateau(V: Array, size: Array) -> float | None:
    """Current of a plateau at the largest currents; None if there is none."""
    if not np.isfinite(size).any():
        return None
    # the level is the median of the highest currents, so that one overshoot does not hide a plateau
    finite = np.sort(size[np.isfinite(size)])
    for top in (finite[-1], float(np.median(finite[-max(4, finite.size // 50) :]))):
        near = np.abs(size - top) <= 2 * _FLAT * top
        if top <= 0 or near.sum() < 4:
            continue
        level = float(np.median(size[near]))
        near = np.abs(size - level) <= _FLAT * level
        edges = np.flatnonzero(np.diff(np.concatenate([[0], near.astype(int), [0]])))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            volts = np.abs(V[a:b])
            if b - a >= 4 and volts.min() > 0 and volts.max() >= 1.2 * volts.min():
                return level
    return None
