"""Maximum likelihood with standard errors from the curvature of the log-likelihood, and the laws that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from ..physics.errors import ConvergenceError, InputError

__all__ = ["Estimate", "lognormal_times", "normal_linear"]


@dataclass(frozen=True)
class Estimate:
    """Estimates with standard errors.

    Attributes
    ----------
    values : array, shape (n,)
    standard_errors : array, shape (n,)
        ``nan`` where there is none.
    warning : str
        Why, if so.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    warning: str = ""


def _curvature(function: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hessian by central differences."""
    steps = 1e-4 * np.maximum(np.abs(at), 1e-2)
    n = at.size
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                point = at.copy()
                point[i] += a * steps[i]
                point[j] += b * steps[j]
                total += a * b * function(point)
            hessian[i, j] = hessian[j, i] = total / (4.0 * steps[i] * steps[j])
    return hessian


def _maximise(
    negative: Callable[[NDArray[np.float64]], float], start: NDArray[np.float64], bounds: list[tuple[float, float]]
) -> Estimate:
    result = optimize.minimize(negative, start, method="L-BFGS-B", bounds=bounds)
    polished = optimize.minimize(negative, result.x, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-7})
    if not np.isfinite(polished.fun):
        raise ConvergenceError("The likelihood could not be maximised", got=polished.message)
    best = np.asarray(polished.x)
    low, high = np.array(bounds).T
    margin = 1e-3 * np.maximum(np.abs(best), 1e-2)
    free = (best > low + margin) & (best < high - margin)
    errors = np.full(best.size, np.nan)
    warning = "" if free.all() else "an estimate lies on its bound"

    def partial(values: NDArray[np.float64]) -> float:
        full = best.copy()
        full[free] = values
        return negative(full)

    hessian = _curvature(partial, best[free])
    if free.any() and np.isfinite(hessian).all() and (np.linalg.eigvalsh(hessian) > 0).all():
        errors[free] = np.sqrt(np.diag(np.linalg.inv(hessian)))
    else:
        warning = "the covariance is not positive definite"
    return Estimate(best, errors, warning)


def lognormal_times(times_s: ArrayLike, censored: ArrayLike) -> Estimate:
    """Median and spread of lognormal times, some of which are only known to be longer than observed.

    Parameters
    ----------
    times_s : array, shape (n,), s, > 0
        Times, or for censored entries the time until which nothing happened.
    censored : array of bool, shape (n,)

    Returns
    -------
    Estimate
        ``values`` is (ln(median / s), standard deviation of the logarithm).

    Raises
    ------
    InputError
        If fewer than two events happened: there is no spread to estimate.

    Notes
    -----
    Unbiased by censoring as long as the logarithms are normal; with more than half censored the median is an
    extrapolation of that law.
    """
    t, late = np.asarray(times_s, dtype=float), np.asarray(censored, dtype=bool)
    if (~late).sum() < 2:
        raise InputError("A distribution of times needs at least two events", got=f"{int((~late).sum())} of {t.size}")
    if not (t > 0).all():
        raise InputError("Times must be positive", got=f"{t.min():g} s")
    y = np.log(t)
    centre, width = float(y.mean()), max(float(y[~late].std()), 1e-3)
    if not late.any():  # closed form; the unbiased spread
        n, sigma = y.size, float(y.std(ddof=1))
        return Estimate(np.array([centre, sigma]), np.array([sigma / np.sqrt(n), sigma / np.sqrt(2.0 * (n - 1))]))

    def negative(p: NDArray[np.float64]) -> float:
        mean, sigma = centre + width * p[0], width * np.exp(p[1])
        z = (y - mean) / sigma
        return float(-(stats.norm.logpdf(z[~late]) - np.log(sigma)).sum() - stats.norm.logsf(z[late]).sum())

    found = _maximise(negative, np.zeros(2), [(-20.0, 50.0), (-8.0, 5.0)])
    sigma = width * float(np.exp(found.values[1]))
    return Estimate(
        np.array([centre + width * found.values[0], sigma]),
        np.array([width * found.standard_errors[0], sigma * found.standard_errors[1]]),
        found.warning,
    )


def normal_linear(x: ArrayLike, y: ArrayLike, noise: ArrayLike = 0.0) -> Estimate:
    """Normal law whose mean and standard deviation are both linear in x, with a standard deviation >= 0.

    Parameters
    ----------
    x, y : array, shape (n,)
        At least four points, x >= 0.
    noise : float or array, shape (n,), unit of y
        Standard deviation of the measurement of y, known and in addition to the law.

    Returns
    -------
    Estimate
        ``values`` is (slope, intercept, sigma_0, sigma_1): y ~ N(slope x + intercept, sigma_0 + sigma_1 x), and noise.

    Notes
    -----
    Restricted likelihood: the two numbers of the line take their degrees of freedom out of the spread, which plain
    maximum likelihood underestimates.

    References
    ----------
    .. [1] H. D. Patterson, R. Thompson, Biometrika 58, 545 (1971).
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.size < 4 or np.unique(x).size < 2:
        raise InputError("A linear law with a spread needs four points at two abscissae", got=f"{x.size} points")
    u, scale = x / x.max(), max(float(np.abs(y).max()), 1e-300)
    v, known = y / scale, np.broadcast_to(np.asarray(noise, dtype=float), y.shape) / scale
    slope, intercept = np.polyfit(u, v, 1)
    rough = max(float(np.std(v - slope * u - intercept)), 1e-9)

    def negative(p: NDArray[np.float64]) -> float:
        sigma = np.hypot(p[2] + p[3] * u, known)
        if (sigma <= 0).any():
            return 1e300
        w = sigma**-2.0
        determinant = w.sum() * (w * u**2).sum() - (w * u).sum() ** 2
        fit = (np.log(sigma) + 0.5 * ((v - p[0] * u - p[1]) / sigma) ** 2).sum()
        return float(fit + 0.5 * np.log(max(determinant, 1e-300)))

    bounds = [(-np.inf, np.inf), (-np.inf, np.inf), (1e-12, np.inf), (0.0, np.inf)]
    start = np.array([slope, intercept, 0.5 * rough, 0.5 * rough])
    result = optimize.minimize(
        negative, start, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000}
    )
    found = _maximise(negative, np.asarray(result.x), bounds)
    units = np.array([scale / x.max(), scale, scale, scale / x.max()])
    return Estimate(found.values * units, found.standard_errors * units, found.warning)
