"""How many states can be told apart, given how much each varies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...physics.errors import InputError
from .pieces import Array

__all__ = ["States", "distinguishable"]


class States(NamedTuple):
    r"""Programmed levels that can be told apart.

    Attributes
    ----------
    distinct : int
        Largest number of given levels of which no two come closer than the criterion.
    low, high : int
        The same with standard deviations at the upper and the lower end of their 90 % interval: few repeats leave the
        count open.
    bits : float, 1
        log2 of the count.
    kept : tuple of int
        Which levels, as indices of what was given, from the smallest mean.
    misread : float, 1
        Largest probability that one kept state is read as a neighbour, if both are normal and the threshold lies at
        equal distance in standard deviations; nan for one state.
    means, sigmas : array, shape (levels,), S for "linear", 1 (of ln G/S) for "log"
    programmed : int
        Levels given, what a count of pulses would claim.
    """

    distinct: int
    low: int
    high: int
    bits: float
    kept: tuple[int, ...]
    misread: float
    means: Array
    sigmas: Array
    programmed: int


def distinguishable(levels_S: Sequence[ArrayLike], *, criterion: float = 3.0, scale: str = "log") -> States:
    r"""Count the programmed levels that remain distinct with their variability.

    Parameters
    ----------
    levels_S : sequence of array, shape (levels,) of (repeats >= 2,), S
        Conductances read after programming each level again and again, over cycles or devices.
    criterion : float, 1, > 0
        c in :math:`|\mu_i - \mu_j| \ge c\,(\sigma_i + \sigma_j)`. With 3, a state is read as its neighbour in less
        than 0.14 % of all cases.
    scale : {"log", "linear"}
        Whether ln G or G is compared.

    Returns
    -------
    States

    Raises
    ------
    InputError
        If a level has fewer than two repeats, a value is not finite (or not positive on the logarithmic scale), or an
        argument is out of range.

    Notes
    -----
    Every level stands for the interval :math:`\mu \pm c\,\sigma`; taking intervals in the order of their upper ends,
    each that begins above the last one taken, gives the largest number that do not overlap. Reads soon after
    programming say nothing about retention of each state, which the review asks for too.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.1.1: stable and distinguishable levels rather
       than pulse counts.

    Examples
    --------
    >>> import numpy as np
    >>> noise = 1e-7 * np.array([-1.0, 0.0, 1.0])
    >>> found = distinguishable([1e-6 * n + noise for n in range(1, 6)], scale="linear")
    >>> found.distinct, found.programmed
    (5, 5)
    >>> distinguishable([1e-6 * n + noise for n in range(1, 6)], scale="linear", criterion=6).distinct
    3
    """
    if scale not in ("log", "linear"):
        raise InputError("Unknown scale", got=scale, allowed="log, linear")
    if not (np.isfinite(criterion) and criterion > 0):
        raise InputError("criterion is out of range", got=criterion, allowed="> 0")
    levels = [np.asarray(level, dtype=float).ravel() for level in levels_S]
    if not levels:
        raise InputError("States need levels", got="none")
    for i, level in enumerate(levels):
        if level.size < 2 or not np.isfinite(level).all() or (scale == "log" and (level <= 0).any()):
            raise InputError(
                f"levels_S[{i}] is not a repeated level",
                got=f"{level.size} values" if level.size < 2 else f"{level.min():g} to {level.max():g} S",
                allowed="two finite values or more" + (", > 0 S" if scale == "log" else ""),
                action="Program each level several times: without repeats there is no variability",
            )
    values = [np.log(level) if scale == "log" else level for level in levels]
    means, sigmas = np.array([v.mean() for v in values]), np.array([v.std(ddof=1) for v in values])
    freedom = np.array([v.size - 1 for v in values])
    wide, narrow = (sigmas * np.sqrt(freedom / stats.chi2.ppf(p, freedom)) for p in (0.05, 0.95))
    kept = _apart(means, criterion * sigmas)
    gaps = [
        (means[b] - means[a]) / (sigmas[a] + sigmas[b]) if sigmas[a] + sigmas[b] > 0 else np.inf
        for a, b in itertools.pairwise(kept)
    ]
    return States(
        distinct=len(kept),
        low=len(_apart(means, criterion * wide)),
        high=len(_apart(means, criterion * narrow)),
        bits=float(np.log2(len(kept))),
        kept=tuple(kept),
        misread=float(stats.norm.sf(min(gaps))) if gaps else float("nan"),
        means=means,
        sigmas=sigmas,
        programmed=len(levels),
    )


def _apart(centres: Array, halves: Array) -> list[int]:
    """Largest set of intervals that do not overlap, from the lowest."""
    kept: list[int] = []
    end = -np.inf
    # spacing that just meets the criterion counts, whatever its last digit
    slack = 1e-9 * float(np.ptp(centres) + halves.max())
    for i in np.argsort(centres + halves, kind="stable"):
        low, high = centres[i] - halves[i], centres[i] + halves[i]
        if not kept or (low >= end - slack and centres[i] > centres[kept[-1]]):
            kept.append(int(i))
            end = high
    return kept
