"""Endurance: how many cycles until the window between the high- and the low-resistance state (HRS, LRS) closes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...physics import trace as traces
from ...physics.errors import InputError
from .distributions import Distribution, distribution
from .pieces import Array, columns, cycles, each
from .sweeps import hrs_conductance, lrs_conductance

__all__ = ["Endurance", "endurance", "endurance_of", "endurances"]


class Endurance(NamedTuple):
    """Endurance of one device.

    Attributes
    ----------
    cycles : float, 1
        Number of the last good cycle before the first failure; 0 if the first failed.
    censored : bool
        Whether the device still worked when the test ended, so that `cycles` is a lower bound.
    resolution : float, 1
        Cycles between the last good reading and the first bad one, or between readings at the end; 1 for one reading
        a cycle, as it should be (Lanza et al., below).
    cause : str
        What closed the window: "LRS fell", "HRS rose" or "both"; empty if it is open.
    window_first, window_median, window_smallest : float, 1
        Conductance of the LRS over that of the HRS: in the first reading, and the median and smallest of the good
        ones (nan if there is none).
    cv_hrs, cv_lrs : float, 1
        Coefficient of variation of each conductance over the good cycles.
    factor : float, 1
        Window below which a cycle counts as failed.
    cycle, hrs_S, lrs_S : array, shape (n,), 1 and S
    """

    cycles: float
    censored: bool
    resolution: float
    cause: str
    window_first: float
    window_median: float
    window_smallest: float
    cv_hrs: float
    cv_lrs: float
    factor: float
    cycle: Array
    hrs_S: Array
    lrs_S: Array


def endurance_of(
    hrs_S: ArrayLike,
    lrs_S: ArrayLike,
    *,
    cycle: ArrayLike | None = None,
    factor: float = 10.0,
    consecutive: int = 1,
) -> Endurance:
    """Endurance from a table with the two conductances of each cycle.

    Parameters
    ----------
    hrs_S, lrs_S : array, shape (n >= 2,), S, > 0
        Conductance of the high- and the low-resistance state.
    cycle : array, shape (n,), 1, increasing, optional
        Number of each cycle; 1 to n, if not given.
    factor : float, 1, > 1
        Smallest LRS conductance over HRS conductance that still works.
    consecutive : int, >= 1
        Readings in a row that must fail; above 1, a single missed SET is forgiven.

    Raises
    ------
    InputError
        If the arrays do not go together, a number is out of range, or the two states look exchanged.

    Notes
    -----
    The window needs its two conductances at the same voltage. Only readings count: with one in every thousand cycles,
    the device may have failed in between, which `resolution` states.

    References
    ----------
    .. [1] M. Lanza et al., ACS Nano 15, 17214 (2021): one reading a cycle; after Yantara et al. 2026, Sec. 3.1.2.

    Examples
    --------
    >>> found = endurance_of([1e-9, 1e-9, 5e-7, 1e-9], [1e-6, 1e-6, 1e-6, 1e-6])
    >>> found.cycles, found.censored, found.cause
    (2.0, False, 'HRS rose')
    """
    off, on = np.asarray(hrs_S, dtype=float).ravel(), np.asarray(lrs_S, dtype=float).ravel()
    number = np.arange(1.0, off.size + 1) if cycle is None else np.asarray(cycle, dtype=float).ravel()
    if off.size < 2 or off.size != on.size or off.size != number.size:
        raise InputError(
            "Endurance needs both conductances of two cycles or more",
            got=f"{off.size} HRS, {on.size} LRS, {number.size} numbers",
        )
    for name, values in (("hrs_S", off), ("lrs_S", on)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(
                f"{name} is out of range", got=f"{values[bad][0]} S at index {np.flatnonzero(bad)[0]}", allowed="> 0 S"
            )
    if not np.isfinite(number).all() or (np.diff(number) <= 0).any() or number[0] < 0:
        raise InputError("Cycle numbers must be finite, not negative and increase", got=f"{number[:5]} ...")
    if not (np.isfinite(factor) and factor > 1):
        raise InputError("factor is out of range", got=factor, allowed="> 1")
    if isinstance(consecutive, bool) or int(consecutive) != consecutive or not 1 <= consecutive <= off.size:
        raise InputError("consecutive is out of range", got=consecutive, allowed=f"1 to {off.size}")
    window = on / off
    if float(np.median(window)) < 1.0 / factor:
        raise InputError(
            "The low-resistance state conducts less than the high-resistance state",
            got=f"{np.median(window):.3g} times as much (median)",
            allowed=f"more, and {factor:g} times as much in a good cycle",
            action="Exchange hrs_S and lrs_S; both are conductances, not resistances",
        )
    failed = window < factor
    rows = np.convolve(failed, np.ones(int(consecutive)), mode="valid") >= consecutive
    first = int(np.argmax(rows)) if rows.any() else None
    good = ~failed if first is None else ~failed & (np.arange(off.size) < first)
    if first is None:
        # the last reading that worked; readings that fail at the end, too few to count, prove nothing
        last = int(np.flatnonzero(good)[-1]) if good.any() else 0
        reached, resolution = float(number[last]), float(number[last] - number[max(last - 1, 0)]) or 1.0
    else:
        before = np.flatnonzero(good)
        reached = float(number[before[-1]]) if before.size else 0.0
        resolution = float(number[first]) - reached
    return Endurance(
        cycles=reached,
        censored=first is None,
        resolution=resolution,
        cause="" if first is None else _cause(off, on, good, first),
        window_first=float(window[0]),
        window_median=float(np.median(window[good])) if good.any() else float("nan"),
        window_smallest=float(window[good].min()) if good.any() else float("nan"),
        cv_hrs=_cv(off[good]),
        cv_lrs=_cv(on[good]),
        factor=float(factor),
        cycle=number,
        hrs_S=off,
        lrs_S=on,
    )


def _cv(values: Array) -> float:
    return float(values.std(ddof=1) / values.mean()) if values.size > 1 else float("nan")


def _cause(off: Array, on: Array, good: NDArray[np.bool_], failed: int) -> str:
    """Which conductance took the larger part of the loss; both, if neither took two thirds."""
    if not good.any():
        return ""
    rise = float(np.log(off[failed] / np.median(off[good])))
    fall = float(np.log(np.median(on[good]) / on[failed]))
    share = rise / (rise + fall) if rise + fall > 0 else 0.5
    return "HRS rose" if share > 2 / 3 else "LRS fell" if share < 1 / 3 else "both"


def endurance(trace: xr.Dataset, *, read_V: float = 0.1, factor: float = 10.0, consecutive: int = 1) -> Endurance:
    """Endurance of one run: two reads a cycle, or a sweep a cycle.

    Parameters
    ----------
    trace : Dataset
        One run. If its waveform marks reads, they must come in pairs, one for each state: read, write, read (volatile)
        or write, read, erase, read. Otherwise each cycle of a sweep is read on its rising and its falling branch.
    read_V : float, V, > 0
        Where a sweep is read.
    factor : float, 1, > 1
        Smallest LRS over HRS conductance that still works.
    consecutive : int, >= 1
        Readings in a row that must fail.

    Raises
    ------
    InputError
        If the run has neither, or fewer than two cycles.
    """
    time, voltage, _, conductance = columns(trace)
    reads = traces.waveform_of(trace).reads_s if "waveform" in trace.attrs else np.array([])
    if reads.size:
        _check_pairs(time, voltage, reads)
        pairs = np.interp(reads, time, conductance).reshape(-1, 2)
        # which of the two is the LRS does not change from cycle to cycle
        pairs = pairs if np.median(pairs[:, 1] / pairs[:, 0]) >= 1 else pairs[:, ::-1]
        off, on = pairs.T
    else:
        loops = cycles(trace)
        off = np.array([hrs_conductance(loop, read_V=read_V) for loop in loops])
        on = np.array([lrs_conductance(loop, read_V=read_V) for loop in loops])
    return endurance_of(off, on, factor=factor, consecutive=consecutive)


def _check_pairs(time: Array, voltage: Array, reads: Array) -> None:
    """Complain unless programming between reads alternates: a write and nothing, or a write and an erase."""
    edges = np.concatenate([[time[0]], reads])
    signs = []
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        between = voltage[(time >= a) & (time <= b)]
        extreme = float(between[np.argmax(np.abs(between))]) if between.size else 0.0
        read = abs(float(np.interp(reads[i], time, voltage)))
        signs.append(int(np.sign(extreme)) if abs(extreme) > 1.5 * read else 0)
    repeated = any(a == b for a, b in itertools.pairwise(signs))
    if reads.size % 2 or repeated or not any(signs):
        raise InputError(
            "The reads are not those of an endurance test",
            got=f"{reads.size} reads; signs of what lies before each: {signs[:6]}",
            allowed="read, write, read in each cycle, or write, read, erase, read",
        )


def endurances(given: xr.Dataset | Sequence[xr.Dataset], **options: float) -> Distribution:
    """Endurance over devices, cycles; options as for :func:`endurance`. Devices that still work are censored.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Runs that are no endurance test are left out.
    **options : float
        ``read_V`` (V), ``factor`` (1) and ``consecutive`` of :func:`endurance`.

    Raises
    ------
    InputError
        If no run is an endurance test; the reason is that of the last.
    """
    found, why = [], "no run"
    for _, run in each(given):
        try:
            found.append(endurance(run, **options))  # type: ignore[arg-type]
        except InputError as error:
            why = str(error)
    if not found:
        raise InputError("No endurance in the traces", got=why)
    return distribution([one.cycles for one in found], [one.censored for one in found], name="endurance", unit="cycles")
