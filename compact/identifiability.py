"""Which parameters the data determine: errors that count correlated residuals, and names for those they do not.

Everything is in the coordinates of the fit (:mod:`halidrift.compact.coordinates`), where an error of 1 is a factor of
e, or the whole range that a parameter may take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

__all__ = ["Diagnosis", "covariance", "diagnose", "open_sides", "secants"]

Array = NDArray[np.float64]

UNKNOWN = 1.0  # error, in coordinates, from which on a number says nothing: the order of magnitude is open
CORRELATED = 0.95
_SHARE = 0.1  # part of a null direction that makes a parameter a member of it
_MARGIN = 1e-2  # distance from a bound, in coordinates or standard errors, that counts as reached
_SINGULAR = 1e-12
_SHORTEST, _LONGEST = 1e-3, 0.5  # steps of a secant: above what integrators leave; where the data say little
_FAR = 2.0  # coordinates: a factor of seven
_INSIDE = 4.0  # deviance of a 95 % interval, one parameter
_ABSURD = 1e3  # change of a residual that marks a refusal


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is known about each parameter of a fit.

    Attributes
    ----------
    names : tuple of str
    errors : array, shape (n,)
        Standard errors in coordinates; ``inf`` where the data say nothing.
    correlations : array, shape (n, n)
    doubts : mapping of str to str
        Sentence for each parameter in doubt.
    unidentified : tuple of str
        Those whose value means nothing.
    """

    names: tuple[str, ...]
    errors: Array
    correlations: Array
    doubts: dict[str, str]
    unidentified: tuple[str, ...]


def secants(
    residual: Callable[[Array], Array], at: Array, jacobian: Array, sigma: float, low: Array, high: Array
) -> Array:
    """The Jacobian over steps of one standard error along its own principal directions.

    A threshold that passes a sample, or a state that reaches its bound, bends the residuals; what counts for an error
    is their change over that error, not the tangent.

    Parameters
    ----------
    residual : callable of array, shape (n,), to array, shape (points,)
    at, low, high : array, shape (n,)
        Estimate and bounds, in coordinates.
    jacobian : array, shape (points, n)
        Tangents.
    sigma : float
        Standard deviation of an independent residual.

    Returns
    -------
    array, shape (points, n)
    """
    if not at.size:
        return jacobian
    _, s, right = np.linalg.svd(jacobian, full_matrices=False)
    columns = []
    for k, direction in enumerate(right):
        h = min(max(sigma / max(s[k], 1e-300), _SHORTEST), _LONGEST)
        up, down = np.clip(at + h * direction, low, high), np.clip(at - h * direction, low, high)
        length = float((up - down) @ direction)
        change = residual(up) - residual(down) if length > 1e-9 else np.zeros(jacobian.shape[0])
        if length <= 1e-9 or np.abs(change).max() >= _ABSURD:  # on a bound, or where the model refuses
            columns.append(jacobian @ direction)
        else:
            columns.append(change / length)
    return np.array(columns).T @ right


def open_sides(
    residual: Callable[[Array], Array], at: Array, jacobian: Array, sigma: float, low: Array, high: Array
) -> dict[int, str]:
    """Parameters that the data bound from one side only, by index, with the side that is open.

    Parameters
    ----------
    residual : callable of array, shape (n,), to array, shape (points,)
        Observed less model at coordinates of the fit.
    at : array, shape (n,)
        The estimate, in coordinates.
    jacobian : array, shape (points, n)
        Derivative of the residuals there.
    sigma : float, > 0
        Standard deviation of an independent residual, in the unit of the residuals.
    low, high : array, shape (n,)
        Bounds, in coordinates.

    Returns
    -------
    dict of int to {"below", "above"}

    Notes
    -----
    Where a parameter begins to act at the optimum itself (a bound that the state just reaches, a threshold that just
    passes a sample) its derivative is that of the side on which it acts. Each parameter alone is moved by three times
    the error that it has if all others are known: the deviance should rise by nine; a side on which it rises by less
    than one is open. So is one on which a factor of seven raises it by less than four, or less than 4 + 2 ln N if the
    curvature promised nine times as much: a threshold may take any of N samples, and the best of N that say nothing
    gains 2 ln N.
    """
    start = residual(at)
    least = float(start @ start)
    found = {}
    for i in range(at.size):
        size = float(np.linalg.norm(jacobian[:, i]))
        if size == 0.0:
            continue
        step = min(max(3.0 * sigma / size, _SHORTEST), 2.0 * _LONGEST)
        rises = []
        for sign in (-1.0, 1.0):
            there = at.copy()
            there[i] = min(max(at[i] + sign * step, low[i]), high[i])
            moved = residual(there)
            rises.append((float(moved @ moved) - least) / sigma**2)
        expected = (step * size / sigma) ** 2
        for rise, other, side in ((rises[0], rises[1], "below"), (rises[1], rises[0], "above")):
            if expected > 4.0 and rise < expected / 9.0 < other:
                found[i] = side
        for sign, side in ((-1.0, "below"), (1.0, "above")):
            there = at.copy()
            there[i] = min(max(at[i] + sign * _FAR, low[i]), high[i])
            moved = residual(there)
            rise, away = (float(moved @ moved) - least) / sigma**2, abs(there[i] - at[i])
            # noise can pin a threshold to the luckiest of all samples, which is no better than none at all
            plateau = rise < (away * size / sigma) ** 2 / 9.0
            if away > step and rise < _INSIDE + (2.0 * math.log(start.size) if plateau else 0.0):
                found[i] = side
    return found


def covariance(jacobian: Array, left: Sequence[Array]) -> tuple[Array, float]:
    r"""Covariance of least-squares estimates whose residuals may be correlated along each trace.

    Parameters
    ----------
    jacobian : array, shape (points, n)
        Derivative of the residuals, traces one after the other.
    left : sequence of array, shape (time,)
        Residuals at the optimum, by trace.

    Returns
    -------
    covariance : array, shape (n, n)
    correlation_time : float, 1, >= 1
        See :func:`halidrift.compact.observables.correlation_time`.

    Notes
    -----
    The largest, parameter by parameter, of three estimates. White noise:
    :math:`\hat\sigma^2 (J^\top J)^{-1}`. Correlated residuals: the sandwich
    :math:`(J^\top J)^{-1} S (J^\top J)^{-1}` [1]_ with S the sum over lags of :math:`J_i r_i r_{i+k} J_{i+k}`, weighted
    with Bartlett's window over twice the correlation time of the residuals. The sandwich also holds where the noise
    differs between traces, but is biased low, more so for short traces. Third, therefore, the sandwich with
    :math:`S = \hat\sigma^2 J^\top C J`, C that of a first-order autoregression of the same correlation time; what the
    fit itself takes out of the slow residuals is put back (Kendall's correction of the coefficient, and degrees of
    freedom that count independent points). Directions that the data do not see at all get a variance of 1e24 times the
    smallest: infinite in effect.

    References
    ----------
    .. [1] W. K. Newey and K. D. West, Econometrica 55, 703 (1987).
    .. [2] M. G. Kendall, Biometrika 41, 403 (1954).
    """
    from .observables import correlation_time

    n, p = jacobian.shape
    _, s, right = np.linalg.svd(jacobian, full_matrices=False)
    if s.size == 0 or s[0] == 0.0:
        return np.diag(np.full(p, np.inf)), 1.0
    s = np.maximum(s, _SINGULAR * s[0])
    bread = (right.T / s**2) @ right
    residual = np.concatenate(left)
    freedom = max(n - p, 1)
    white = float(residual @ residual) / freedom * bread
    time = correlation_time(left)
    if time < 1.2:  # what white noise gives by chance
        return white, time
    width = int(min(2.0 * time, max(r.size for r in left) / 2.0)) + 1
    meat, start = np.zeros((p, p)), 0
    for r in left:
        score = jacobian[start : start + r.size] * r[:, None]
        start += r.size
        meat += score.T @ score
        for lag in range(1, min(width, r.size)):
            cross = score[lag:].T @ score[:-lag]
            meat += (1.0 - lag / width) * (cross + cross.T)
    robust = n / freedom * bread @ meat @ bread
    smooth, start = np.zeros((p, p)), 0
    rho = (time - 1.0) / (time + 1.0)
    rho = min((rho + p / n) / max(1.0 - (p + 2) / n, 1e-9), 1.0 - 1.0 / n)
    independent = n * (1.0 - rho) / (1.0 + rho)
    modelled_variance = float(residual @ residual) / n * independent / max(independent - p, 1.0)
    for r in left:
        rows = jacobian[start : start + r.size]
        start += r.size
        ahead = signal.lfilter([1.0], [1.0, -rho], rows, axis=0)
        back = signal.lfilter([1.0], [1.0, -rho], rows[::-1], axis=0)[::-1]
        smooth += rows.T @ (ahead + back - rows)
    modelled = modelled_variance * bread @ smooth @ bread
    # widen the white covariance, which keeps its correlations, to whatever error is the largest
    wide = np.maximum(np.diag(robust), np.diag(modelled))
    scale = np.sqrt(np.maximum(wide, 0.0) / np.maximum(np.diag(white), 1e-300))
    scale = np.maximum(scale, 1.0)
    return white * np.outer(scale, scale), time


def diagnose(
    names: Sequence[str],
    jacobian: Array,
    covariance: Array,
    sigma: float,
    at: Array,
    low: Array,
    high: Array,
    sides: Mapping[int, str] | None = None,
) -> Diagnosis:
    """Name what the data do not determine.

    Parameters
    ----------
    names : sequence of str
    jacobian : array, shape (points, n)
        Per unit of the coordinates.
    covariance : array, shape (n, n)
    sigma : float
        Standard deviation of an independent residual.
    at, low, high : array, shape (n,)
        Estimate and bounds, in coordinates.
    sides : mapping of int to str, optional
        What :func:`open_sides` found.

    Notes
    -----
    In this order: a parameter on its bound; one that the data bound from one side only; one that alone, all others
    known, would still be uncertain by a factor of e (the traces do not depend on it); one whose error is that large
    because others can make up for it. The last are reported with the null direction of the Jacobian that they share, as
    the product of powers that is free.
    Correlations above 0.95 are reported for identified parameters too.
    """
    n = len(names)
    width = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.clip(covariance / np.outer(width, width), -1.0, 1.0)
    correlations = np.where(np.isfinite(correlations), correlations, 0.0)
    np.fill_diagonal(correlations, 1.0)
    columns = np.linalg.norm(jacobian, axis=0)
    alone = np.where(columns > 0, sigma / np.maximum(columns, 1e-300), np.inf)
    _, s, right = np.linalg.svd(jacobian, full_matrices=False)
    doubts: dict[str, list[str]] = {name: [] for name in names}
    lost: dict[str, None] = {}
    errors = width.copy()
    for i, name in enumerate(names):
        room = min(at[i] - low[i], high[i] - at[i])
        if math.isfinite(room) and room < _MARGIN:
            side = "lower" if at[i] - low[i] < high[i] - at[i] else "upper"
            doubts[name].append(f"not identified: on its {side} bound")
            lost[name] = None
            errors[i] = np.inf
        elif sides and i in sides:
            doubts[name].append(f"not identified: the traces do not bound its size from {sides[i]}")
            lost[name] = None
            errors[i] = np.inf
        elif alone[i] > UNKNOWN:
            doubts[name].append("not identified: the traces do not depend on it")
            lost[name] = None
            errors[i] = np.inf
        elif not math.isfinite(width[i]) or width[i] > UNKNOWN:
            doubts[name].append("not identified: " + _direction(i, names, s, right, sigma))
            lost[name] = None
    for i, name in enumerate(names):
        for j, other in enumerate(names):
            if i != j and name not in lost and other not in lost and abs(correlations[i, j]) > CORRELATED:
                doubts[name].append(f"correlation {correlations[i, j]:.2f} with {other}")
    assert len(doubts) == n
    return Diagnosis(tuple(names), errors, correlations, {k: "; ".join(v) for k, v in doubts.items() if v}, tuple(lost))


def _direction(i: int, names: Sequence[str], s: Array, right: Array, sigma: float) -> str:
    """The free combination that parameter i takes part in most."""
    loose = np.abs(right[:, i]) * sigma / np.maximum(s, 1e-300)
    vector = right[int(np.argmax(loose))]
    vector = vector / vector[int(np.argmax(np.abs(vector)))]
    members = [(abs(c), name, c) for name, c in zip(names, vector, strict=True) if c * c > _SHARE * (vector @ vector)]
    if names[i] not in {name for _, name, _ in members}:
        members.append((abs(vector[i]), names[i], vector[i]))
    if len(members) < 2:
        return "its error exceeds the value"
    members.sort(reverse=True)
    text = ", ".join(f"{name} by {c:+.2g}" for _, name, c in members[:4])
    return f"only together with {', '.join(name for _, name, _ in members if name != names[i])} (free to move: {text})"
