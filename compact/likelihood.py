"""Maximum likelihood with standard errors from the curvature of the log-likelihood, and the laws that need it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from ..physics.errors import ConvergenceError, InputError

__all__ = [
    "Estimate",
    "censored_normal",
    "lack_of_fit",
    "lognormal_times",
    "normal_density",
    "repeat_spread",
    "weibull",
    "weibull_times",
    "width_likelihood",
]

_EQUAL = 1e-9  # of ln t: times that are one
_WIDTH = math.pi / math.sqrt(6.0)  # standard deviation of ln t of the Weibull law with shape 1


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


def _times(times_s: ArrayLike, censored: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    t, late = np.asarray(times_s, dtype=float), np.asarray(censored, dtype=bool)
    if (~late).sum() < 2:
        raise InputError("A distribution of times needs at least two events", got=f"{int((~late).sum())} of {t.size}")
    if not (t > 0).all():
        raise InputError("Times must be positive", got=f"{t.min():g} s")
    return t, late


def normal_density(y: NDArray[np.float64], late: NDArray[np.bool_], mean: float, width: float) -> float:
    """Log-likelihood of normal numbers, some of which are only known to lie above their value.

    Parameters
    ----------
    y : array, shape (n,)
    late : array of bool, shape (n,)
        Which are only known to lie above.
    mean, width : float, unit of y
        Mean and standard deviation, the latter > 0.

    Returns
    -------
    float, 1
        Natural logarithm.
    """
    z = (y - mean) / width
    return float((stats.norm.logpdf(z[~late]) - math.log(width)).sum() + stats.norm.logsf(z[late]).sum())


def censored_normal(y: NDArray[np.float64], late: NDArray[np.bool_]) -> Estimate:
    """Mean and standard deviation of normal numbers, some of which are only known to lie above their value.

    Parameters
    ----------
    y : array, shape (n,)
    late : array of bool, shape (n,)
        Which are only known to lie above; two events or more must be left.

    Returns
    -------
    Estimate
        ``values`` is (mean, standard deviation), the unbiased one if nothing is censored.
    """
    if not late.any():  # closed form
        n, sigma = y.size, float(y.std(ddof=1))
        return Estimate(np.array([y.mean(), sigma]), np.array([sigma / np.sqrt(n), sigma / np.sqrt(2.0 * (n - 1))]))
    centre, width = float(y.mean()), float(y[~late].std()) or 1e-3

    def negative(p: NDArray[np.float64]) -> float:
        return -normal_density(y, late, centre + width * p[0], width * math.exp(p[1]))

    found = _maximise(negative, np.zeros(2), [(-50.0, 50.0), (-8.0, 8.0)])
    sigma = width * math.exp(found.values[1])
    return Estimate(
        np.array([centre + width * found.values[0], sigma]),
        np.array([width * found.standard_errors[0], sigma * found.standard_errors[1]]),
        found.warning,
    )


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
    t, late = _times(times_s, censored)
    return censored_normal(np.log(t), late)


def weibull(ln_t: NDArray[np.float64], late: NDArray[np.bool_]) -> tuple[float, float, NDArray[np.float64]]:
    """ln(scale) and shape of the Weibull law, and the covariance of (ln scale, 1 / shape).

    One equation for the shape, then the scale; the covariance from the observed information.

    Parameters
    ----------
    ln_t : array, shape (n,), 1
        ln(t / s) of each event, or of the time until which nothing happened.
    late : array of bool, shape (n,)
        Which are censored; one at least is not.

    Returns
    -------
    ln_scale : float, 1
        ln(scale / s).
    shape : float, 1, > 0
    covariance : array, shape (2, 2), 1

    Raises
    ------
    ConvergenceError
        If all times are equal, or the best law is narrower or wider than any device.
    """
    centre = float(ln_t.max())
    y, events = ln_t - centre, ~late
    target = float(y[events].mean())

    def excess(shape: float) -> float:
        weights = np.exp(shape * y)
        return float(weights @ y / weights.sum()) - 1.0 / shape - target

    # rises from minus infinity to -target > 0; a law this narrow or wide describes no device
    width = float(y.std())
    low, high = (1e-3 / width, 1e3 / width) if width > 0 else (1.0, 1.0)
    if width == 0 or excess(high) <= 0 or excess(low) >= 0:
        raise ConvergenceError("No Weibull law fits", got=f"{np.exp(ln_t.min()):g} to {np.exp(centre):g}")
    shape = float(optimize.brentq(excess, low, high, xtol=1e-13 / width, rtol=1e-13))
    r = float(events.sum())
    location = float(np.log(np.exp(shape * y).sum() / r)) / shape
    z = shape * (y - location)
    w = np.exp(z)
    # in (ln scale, 1 / shape), at the maximum
    information = shape**2 * np.array([[r, float(w @ z)], [float(w @ z), r + float(w @ z**2)]])
    covariance: NDArray[np.float64] = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return location + centre, shape, covariance


def width_likelihood(ln_t: NDArray[np.float64], late: NDArray[np.bool_], width: float, law: str) -> float:
    """Largest log-likelihood of times whose logarithms have this standard deviation, over their location.

    Parameters
    ----------
    ln_t : array, shape (n,), 1
        ln(t / s), or of the time until which nothing happened.
    late : array of bool, shape (n,)
        Of which only that is known; at least one event must have happened.
    width : float, 1, > 0
        Standard deviation of ln t.
    law : {"weibull", "lognormal"}

    Returns
    -------
    float, 1
        Natural logarithm; the density is that of ln t.
    """
    events = ~late
    if law == "weibull":
        shape = _WIDTH / width
        y = ln_t - ln_t.max()
        w = np.exp(shape * y)
        z = shape * y - math.log(float(w.sum()) / float(events.sum()))
        return float((math.log(shape) + z[events]).sum() - np.exp(z).sum())

    def negative(mean: float) -> float:
        return -normal_density(ln_t, late, mean, width)

    if events.all():
        return -negative(float(ln_t.mean()))
    low, high = float(ln_t.min()) - width, float(ln_t.max()) + 10.0 * width
    return -float(optimize.minimize_scalar(negative, bounds=(low, high), method="bounded").fun)


def weibull_times(times_s: ArrayLike, censored: ArrayLike) -> Estimate:
    """Mean and standard deviation of ln t of Weibull times, some of which are only known to be longer than observed.

    Parameters
    ----------
    times_s : array, shape (n,), s, > 0
        Times, or for censored entries the time until which nothing happened.
    censored : array of bool, shape (n,)

    Returns
    -------
    Estimate
        ``values`` is (mean of ln(t / s), standard deviation of ln t).

    Raises
    ------
    InputError
        As for :func:`lognormal_times`.

    Notes
    -----
    The standard deviation is that of the likelihood, corrected for the number of events.
    """
    t, late = _times(times_s, censored)
    y = np.log(t)
    if np.ptp(y) < _EQUAL:
        return Estimate(np.array([y.mean(), 0.0]), np.zeros(2))
    ln_scale, shape, covariance = weibull(y, late)
    # the likelihood leaves the square of the width 0.9 / events short (simulated for 4 to 50; 0.83 to 0.99)
    whole = (1.0 - 0.9 / float((~late).sum())) ** -0.5
    jacobian = np.array([[1.0, -np.euler_gamma], [0.0, _WIDTH]])
    errors = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    width = _WIDTH / shape
    # the mean from the width as it was fitted: both belong together
    return Estimate(np.array([ln_scale - np.euler_gamma / shape, whole * width]), errors * np.array([1.0, whole]))


def repeat_spread(x: ArrayLike, y: ArrayLike, noise: ArrayLike = 0.0) -> Estimate:
    """Standard deviation of repeats, linear in x and >= 0, whatever curve their means lie on.

    Parameters
    ----------
    x, y : array, shape (n,)
        x >= 0; at least two points more than values of x.
    noise : float or array, shape (n,), unit of y
        Standard deviation of the measurement of y, known and in addition to the law.

    Returns
    -------
    Estimate
        ``values`` is (sigma_0, sigma_1): y ~ N(mean at this x, sigma_0 + sigma_1 x), and noise.

    Notes
    -----
    Restricted likelihood with a mean of its own for each x: what a straight line through them misses is a fault of the
    line, not scatter.

    References
    ----------
    .. [1] H. D. Patterson, R. Thompson, Biometrika 58, 545 (1971).
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    values, group = np.unique(x, return_inverse=True)
    if x.size < values.size + 2:
        raise InputError(
            "A spread needs repeats", got=f"{x.size} points at {values.size} abscissae", allowed="two points more"
        )
    u, scale = x / x.max(), max(float(np.abs(y).max()), 1e-300)
    v, known = y / scale, np.broadcast_to(np.asarray(noise, dtype=float), y.shape) / scale
    means = np.bincount(group, v) / np.bincount(group)
    rough = max(float(np.sqrt(np.sum((v - means[group]) ** 2) / (x.size - values.size))), 1e-9)

    def negative(p: NDArray[np.float64]) -> float:
        sigma = np.hypot(p[0] + p[1] * u, known)
        if (sigma <= 0).any():
            return 1e300
        w = sigma**-2.0
        total = np.bincount(group, w)
        mean = np.bincount(group, w * v) / total
        fit = (np.log(sigma) + 0.5 * ((v - mean[group]) / sigma) ** 2).sum()
        return float(fit + 0.5 * np.log(total).sum())

    bounds = [(1e-12, np.inf), (0.0, np.inf)]
    result = optimize.minimize(
        negative,
        np.array([0.5 * rough, 0.5 * rough]),
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000},
    )
    found = _maximise(negative, np.asarray(result.x), bounds)
    units = np.array([scale, scale / x.max()])
    return Estimate(found.values * units, found.standard_errors * units, found.warning)


def lack_of_fit(x: ArrayLike, y: ArrayLike, line: ArrayLike, sigma: ArrayLike) -> tuple[float, float]:
    """Probability that the means of repeats lie this far from a line of two numbers by chance, and how far at most.

    Parameters
    ----------
    x, y, line, sigma : array, shape (n,)
        Points, the line at them, and the standard deviation of a point.

    Returns
    -------
    tuple of float
        p of the F test (nan with fewer than three values of x), and the largest distance of a mean over the line.
    """
    x, y, line, sigma = (np.asarray(a, dtype=float) for a in (x, y, line, sigma))
    values, group = np.unique(x, return_inverse=True)
    number = np.bincount(group)
    mean = np.bincount(group, y) / number
    at = np.bincount(group, line) / number
    free, repeats = values.size - 2, x.size - values.size
    if free < 1 or repeats < 1:
        return math.nan, float(np.max(np.abs(mean / at - 1.0)))
    width = np.bincount(group, sigma) / number
    between = float(np.sum(number * ((mean - at) / width) ** 2)) / free
    within = float(np.sum(((y - mean[group]) / sigma) ** 2)) / repeats
    p = float(stats.f.sf(between / within, free, repeats)) if within > 0.0 else 0.0
    return p, float(np.max(np.abs(mean / at - 1.0)))
