"""How noisy a current-voltage curve is, found without a law: each point against the curve through its neighbours.

A reading I of a true current M scatters by sqrt((s M)^2 + f^2): a share s of itself and a floor f of the
instrument. In y = asinh(I / (f / s)) the scatter is s everywhere: y is ln I + const far above the floor and
I s / f near it, where readings may be negative. This is the variance-stabilising transform of that noise
(Durbin2002), and it does not depend on the law that is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..errors import InputError
from .measurement import Points

__all__ = ["Noise", "estimate", "readmit"]

Array = NDArray[np.float64]

# a point that is so many standard deviations off its neighbours is a spike
SPIKE = 6.0
# a point so many off is judged by the noise of the others: it widens the noise that it is judged by
SUSPECT = 3.5
# and by this much on the axis, 10 % of the current: the polynomial through its neighbours is no better than some per
# cent where a curve bends from point to point
SPIKE_SIZE = 0.1
# no curve is known better than this from its neighbours, and few instruments read better
FINEST = 1e-3
# points of the run that judge one
NEIGHBOURS = 6
# scale of the Student t of 4 degrees that fits Gaussian noise best, in its standard deviations: the root t of
# E[5 z^2 / (4 t^2 + z^2)] = 1 for a standard normal z
STUDENT_SCALE = 0.8310
# fits of the noise before points are judged: the axis follows the noise, and the noise the axis
MOST_FITS = 10
# fewer than this and the scatter is not known well enough to judge a fit by it
ENOUGH = 12


@dataclass(frozen=True)
class Noise:
    """Noise of a measurement.

    Parameters
    ----------
    relative : float or None, 1
        Standard deviation as share of the current; None if unknown.
    floor_A : float, A, >= 0
        Standard deviation at zero current.
    bend_A : float, A, > 0
        floor / relative, where the two are equal: the bend of :meth:`straight`.
    given : bool
        Whether the user stated the relative noise.
    """

    relative: float | None
    floor_A: float
    bend_A: float
    given: bool = False

    def straight(self, current_A: Array) -> Array:
        """Return currents on the axis on which the noise is the same everywhere.

        Parameters
        ----------
        current_A : array, A

        Returns
        -------
        array, of the shape of `current_A`, 1
        """
        return np.arcsinh(current_A / self.bend_A)


@lru_cache(maxsize=4096)  # sweeps at several temperatures, and each round of the estimate, share their voltages
def _at_centre(x: tuple[float, ...], degree: int) -> Array | None:
    """Value at 0 of a polynomial fitted at x, as weights of the values that it is fitted to; None if too few differ."""
    if len(set(x)) <= degree:
        return None
    return np.linalg.pinv(np.vander(np.array(x), degree + 1, increasing=True))[0]


def _neighbours(points: Points, keep: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Index of each judged point, of its six neighbours along the run, and their weights.

    A point is judged by a polynomial in ln V, in which power laws are straight, fitted to the six nearest others:
    cubic between them, quadratic at the ends of a run, where the current is lowest and the floor shows.
    """
    centres, others, weights = [], [], []
    for run in np.unique(points.run):
        index = np.flatnonzero((points.run == run) & keep)
        if index.size <= NEIGHBOURS:
            continue
        half = NEIGHBOURS // 2
        for n in range(index.size):
            first = min(max(n - half, 0), index.size - NEIGHBOURS - 1)
            near = index[[m for m in range(first, first + NEIGHBOURS + 1) if m != n]]
            x = np.log(points.V[near] / points.V[index[n]])
            weight = _at_centre(tuple(x.tolist()), 3 if first == n - half else 2)
            if weight is None:
                continue
            centres.append(index[n])
            others.append(near)
            weights.append(weight)
    if not centres:
        return np.empty(0, dtype=np.int64), np.empty((0, 1), dtype=np.int64), np.empty((0, 1))
    return np.array(centres), np.array(others), np.array(weights)


def estimate(
    points: Points, *, relative_noise: float | None = None, floor_A: float | None = None
) -> tuple[Noise, NDArray[np.bool_]]:
    """Noise of the points, and which of them are no spikes.

    Parameters
    ----------
    points : Points
    relative_noise : float, 1, > 0, optional
        Stated by the user; estimated if not given.
    floor_A : float, A, >= 0, optional
        Noise of the instrument at zero current; estimated if not given.

    Returns
    -------
    Noise
    array of bool, shape (points,)
        False for a point more than six standard deviations, and 10 %, off the curve through its neighbours.

    Raises
    ------
    InputError
        If currents are not positive and neither the data nor the user tell the floor.
    """
    keep = np.ones(points.V.size, dtype=bool)
    size = np.abs(points.I)
    if not size.any():
        raise InputError("The current is zero everywhere on the branch", action="Choose another branch")
    smallest = float(size[size > 0].min())
    # below this a floor would change no reading by a thousandth of itself
    nothing = 1e-3 * smallest * (1.0 if relative_noise is None else min(1.0, relative_noise))
    s = 0.05 if relative_noise is None else relative_noise
    # from below: with too high a floor the axis is straight in I where the curve is straight in ln I, and the bend
    # of the curve itself would pass for noise
    f = floor_A if floor_A is not None else s * smallest
    known = False
    settled = relative_noise is not None and floor_A is not None
    fits = 0
    for _ in range(MOST_FITS + points.V.size // 20):
        centres, others, weights = _neighbours(points, keep)
        known = centres.size >= ENOUGH
        if not known:
            break
        bend = max(f / s, 1e-3 * smallest)
        y = np.arcsinh(points.I / bend)
        level, off = _off(points, y, bend, centres, others, weights)
        if not settled:
            s, f = _fitted(off, level, bend, s, f, relative_noise, floor_A, nothing)
            s = max(s, FINEST) if relative_noise is None else s
            fits += 1
            # a floor that still rises from its start would make spikes of the readings next to it
            if abs(max(f / s, 1e-3 * smallest) / bend - 1) >= 0.05 and fits < MOST_FITS:
                continue
        score = _score(level, off, s, f, bend)
        worst = int(np.argmax(score))
        if score[worst] <= SUSPECT:
            break
        keep[centres[worst]] = False
        fits = min(fits, MOST_FITS - 2)
    if floor_A is None and not known:
        f = 0.0
    if (points.I[keep] <= 0).any() and f <= nothing:
        raise InputError(
            "Currents on the branch are zero or negative and the noise floor of the instrument is not known",
            got=f"{int((points.I <= 0).sum())} of {points.I.size} points",
            action="Check the sign of the current"
            if (points.I <= 0).all()
            else "Give floor_A (on the command line --floor), or a window at higher voltage",
        )
    noise = Noise(
        relative=relative_noise if relative_noise is not None else (s if known else None),
        floor_A=f if f > nothing else 0.0,
        bend_A=max(f / s, 1e-3 * smallest),
        given=relative_noise is not None,
    )
    return noise, readmit(points, keep, noise)


def readmit(points: Points, keep: NDArray[np.bool_], noise: Noise) -> NDArray[np.bool_]:
    """Which points are no spikes, once the noise is better known than when they were judged.

    Parameters
    ----------
    points : Points
    keep : array of bool, shape (points,)
        False for a spike so far.
    noise : Noise

    Returns
    -------
    array of bool, shape (points,)
        `keep`, and those spikes that lie on the curve through the points kept, by this noise.
    """
    keep = keep.copy()
    if noise.relative is None:
        return keep
    y = noise.straight(points.I)
    for n in np.flatnonzero(~keep):
        with_it = keep.copy()
        with_it[n] = True
        centres, others, weights = _neighbours(points, with_it)
        own = centres == n
        level, off = _off(points, y, noise.bend_A, centres[own], others[own], weights[own])
        if own.any() and _score(level, off, noise.relative, noise.floor_A, noise.bend_A)[0] <= SPIKE:
            keep = with_it
    return keep


def _off(
    points: Points, y: Array, bend: float, centres: NDArray[np.int64], others: NDArray[np.int64], weights: Array
) -> tuple[Array, Array]:
    """Current by the neighbours, and how far each point is off it on the axis, as if the neighbours were exact."""
    level = bend * np.sinh((weights * y[others]).sum(axis=1))
    return level, (y[centres] - np.arcsinh(level / bend)) / np.sqrt(1.0 + (weights**2).sum(axis=1))


def _score(level: Array, off: Array, s: float, f: float, bend: float) -> Array:
    """Distance in standard deviations; 0 where it is small in itself."""
    spread = np.sqrt(((s * level) ** 2 + f**2) / (level**2 + bend**2))
    return np.where(np.abs(off) > SPIKE_SIZE, np.abs(off) / spread, 0.0)


def _fitted(
    off: Array,
    level: Array,
    bend: float,
    s: float,
    f: float,
    relative: float | None,
    floor: float | None,
    nothing: float,
) -> tuple[float, float]:
    """Relative noise and floor by maximum likelihood, with tails heavy enough that spikes do not set them."""

    def minus_log_likelihood(p: Array) -> float:
        share = relative if relative is not None else np.exp(p[0])
        base = floor if floor is not None else np.exp(p[1])
        variance = ((share * level) ** 2 + base**2) / (level**2 + bend**2)
        return float(np.sum(0.5 * np.log(variance) + 2.5 * np.log1p(off**2 / (4.0 * variance))))

    def cost(p: Array) -> float:
        return minus_log_likelihood(p) + 0.5 * float(np.sum(np.maximum(np.log(nothing) - p[1], 0.0) ** 2))

    start = np.log([s, max(f, nothing)])
    best = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4, "maxiter": 400})
    share, base = np.exp(best.x)
    return (
        relative if relative is not None else float(share / STUDENT_SCALE),
        floor if floor is not None else float(base / STUDENT_SCALE),
    )
