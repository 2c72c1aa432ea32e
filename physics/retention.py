r"""Retention measured at raised temperatures, extrapolated to the temperature of use, with its confidence.

Lifetimes are log-normal about an Arrhenius line,

.. math:: \ln t_i = \ln t_0 + E_a / k_B T_i + s\,\varepsilon_i, \qquad \varepsilon_i \sim N(0, 1)

so the median lifetime at :math:`T` is :math:`t_0 e^{E_a / k_B T}`. States that had not yet failed when the test
ended count as what they are: lifetimes of which only a lower bound is known.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .constants import BOLTZMANN_EV_K as K_B
from .errors import ConvergenceError, InputError

__all__ = ["Line", "Retention", "RetentionWarning", "censored_line", "extrapolate"]

Array = NDArray[np.float64]

# Attempt frequencies of ions are those of lattice vibrations, 1e12 to 1e13 Hz; two decades of room for an entropy
# of migration. Outside, the line is probably no single activated event.
_ATTEMPT_HZ = (1e10, 1e15)


class RetentionWarning(UserWarning):
    """The extrapolation rests on something that the data do not show."""


@dataclass(frozen=True, eq=False)
class Retention:
    """An Arrhenius line through measured lifetimes.

    Made by `extrapolate`.

    Parameters
    ----------
    activation_energy_eV : float, eV
    activation_energy_stderr_eV : float, eV
        Standard error.
    log_prefactor : float
        ln(t0 / s).
    scatter : float
        Standard deviation s of ln t about the line.
    observations, failures : int
        Lifetimes given, and those that ended in the test.
    temperatures_K : tuple of float, K
        Lowest and highest of the test.
    covariance : array, shape (2, 2)
        Of the two coefficients of the line (value at the centre of the test, E_a in eV).
    centre_per_eV : float, 1/eV
        1/k_B T at which the first of them is taken; there the two are least correlated.
    """

    activation_energy_eV: float
    activation_energy_stderr_eV: float
    log_prefactor: float
    scatter: float
    observations: int
    failures: int
    temperatures_K: tuple[float, float]
    covariance: Array
    centre_per_eV: float

    def at(self, temperature_K: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """Median lifetime at a temperature, with its confidence interval.

        Parameters
        ----------
        temperature_K : float, K, > 0
        confidence : float, in (0, 1)

        Returns
        -------
        median, low, high : float, s

        Raises
        ------
        InputError
            If a number is out of range.

        Notes
        -----
        With every lifetime observed the interval is exact (Student's t). With unfinished ones it is that of the
        likelihood, widened by the same loss of two degrees of freedom: right for many failures, and exact again
        where none is unfinished.
        """
        centre, spread, quantile = self._line(temperature_K, confidence)
        return _times(centre, quantile * spread)

    def device_at(self, temperature_K: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """Median and prediction interval of the lifetime of one further device, s.

        Parameters
        ----------
        temperature_K, confidence : float, K, and in (0, 1)
            As for `at`.

        Returns
        -------
        median, low, high : float, s
            Wider than the interval of `at` by the scatter between devices.
        """
        centre, spread, quantile = self._line(temperature_K, confidence)
        return _times(centre, quantile * float(np.hypot(spread, self.scatter)))

    def _line(self, temperature_K: float, confidence: float) -> tuple[float, float, float]:
        if not np.isfinite(temperature_K) or temperature_K <= 0:
            raise InputError("temperature_K is out of range", got=f"{temperature_K} K", allowed="> 0 K")
        if not 0 < confidence < 1:
            raise InputError("confidence is out of range", got=confidence, allowed="between 0 and 1, for instance 0.95")
        beta = 1.0 / (K_B * temperature_K)
        lever = np.array([1.0, beta - self.centre_per_eV])
        spread = float(np.sqrt(lever @ self.covariance @ lever))
        level = 0.5 + 0.5 * confidence
        quantile = float(stats.t.ppf(level, self.failures - 2))
        return self.log_prefactor + self.activation_energy_eV * beta, spread, quantile


def _times(centre: float, half: float) -> tuple[float, float, float]:
    # a retention of more than e^700 s is as good as for ever
    low, middle, high = np.exp(np.clip([centre - half, centre, centre + half], -700.0, 700.0))
    return float(middle), float(low), float(high)


def extrapolate(times_s: ArrayLike, temperatures_K: ArrayLike, *, failed: ArrayLike | None = None) -> Retention:
    """Fit the Arrhenius line of temperature-accelerated retention.

    Parameters
    ----------
    times_s : array, shape (n,), s, > 0
        Lifetime of each state, by a failure criterion of the reader's choice (conductance below a level, for
        instance); for a state that held until the test ended, the length of the test.
    temperatures_K : array, shape (n,), K, > 0
        Temperature of each test.
    failed : array of bool, shape (n,), optional
        False where the state still held. All failed, if not given.

    Returns
    -------
    Retention

    Raises
    ------
    InputError
        If the arrays do not go together, a number is out of range, fewer than three states failed, or the
        failures are all at one temperature: then no activation energy follows from them.
    ConvergenceError
        If the likelihood has no maximum.

    Warns
    -----
    RetentionWarning
        If the activation energy is not above zero by two standard errors, or the prefactor belongs to no
        vibration of a lattice: then the line is a description and no extrapolation should rest on it.

    Notes
    -----
    Valid while one mechanism with one barrier limits the lifetime over all temperatures, in and beyond the
    test: no phase transition between, no change of the conducting path. Nothing in the data can tell that.

    References
    ----------
    .. [1] W. Q. Meeker and L. A. Escobar, Statistical Methods for Reliability Data, Wiley, 1998, ch. 19
       (accelerated life tests, log-normal Arrhenius model with censored lifetimes).
    .. [2] R. J. Olsen, Econometrica 46, 1211 (1978): in 1/s and slope/s the censored likelihood is concave.

    Examples
    --------
    >>> import numpy as np
    >>> T = np.array([360.0, 370.0, 380.0, 390.0])
    >>> t = 1e-12 * np.exp(1.05 / (8.617333262e-5 * T)) * np.array([1.1, 0.9, 1.0, 1.0])
    >>> line = extrapolate(t, T)
    >>> median, low, high = line.at(300.0)
    >>> f"{line.activation_energy_eV:.2f} eV, {median:.1e} s ({low:.0e} to {high:.0e})"
    '1.07 eV, 5.2e+05 s (9e+04 to 3e+06)'
    """
    t, T = np.asarray(times_s, dtype=float), np.asarray(temperatures_K, dtype=float)
    ended = np.ones(t.shape, dtype=bool) if failed is None else np.asarray(failed)
    if t.ndim != 1 or t.shape != T.shape or ended.shape != t.shape:
        raise InputError(
            "lifetimes, temperatures and failures do not go together",
            got=f"shapes {t.shape}, {T.shape}, {ended.shape}",
            allowed="three arrays of the same length",
        )
    if ended.dtype != bool:
        raise InputError("failed is not an array of truth values", got=ended.dtype, allowed="True and False")
    for name, unit, values in (("times_s", "s", t), ("temperatures_K", "K", T)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(
                f"{name} is out of range",
                got=f"{values[bad][0]} {unit} at index {np.flatnonzero(bad)[0]}",
                allowed="> 0",
            )
    if ended.sum() < 3 or np.unique(T[ended]).size < 2:
        raise InputError(
            "too few failures for a line with an error",
            got=f"{ended.sum()} failures at {np.unique(T[ended]).size} temperatures",
            allowed="three failures or more, at two temperatures or more",
            action="test longer or hotter",
        )
    beta = 1.0 / (K_B * T)
    centre = float(beta[ended].mean())
    design = np.column_stack([np.ones_like(beta), beta - centre])
    line, scatter, covariance = _least_squares(design, np.log(t), ended)
    found = Retention(
        activation_energy_eV=float(line[1]),
        activation_energy_stderr_eV=float(np.sqrt(covariance[1, 1])),
        log_prefactor=float(line[0] - line[1] * centre),
        scatter=scatter,
        observations=t.size,
        failures=int(ended.sum()),
        temperatures_K=(float(T.min()), float(T.max())),
        covariance=covariance,
        centre_per_eV=centre,
    )
    _warn(found)
    return found


class Line(NamedTuple):
    """A straight line through points of which some are lower bounds.

    Attributes
    ----------
    intercept, slope : float
    slope_error : float
        Standard error.
    scatter : float
        Standard deviation about the line.
    observed : int
        Points that are no bounds.
    """

    intercept: float
    slope: float
    slope_error: float
    scatter: float
    observed: int


def censored_line(x: ArrayLike, y: ArrayLike, *, observed: ArrayLike | None = None) -> Line:
    """Straight line with normal scatter through points of which some are only known to lie above their y.

    Parameters
    ----------
    x, y : array, shape (n,)
    observed : array of bool, shape (n,), optional
        False where y is a lower bound. All observed, if not given: then it is ordinary least squares.

    Raises
    ------
    InputError
        If the arrays do not go together, or fewer than three points are observed, or all at one x.
    ConvergenceError
        If the likelihood has no maximum.

    Examples
    --------
    >>> line = censored_line([0.0, 1.0, 2.0, 3.0], [1.0, 3.1, 4.9, 7.0])
    >>> round(line.slope, 2), line.observed
    (1.98, 4)
    """
    at, value = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    seen = np.ones(at.shape, dtype=bool) if observed is None else np.asarray(observed)
    if at.ndim != 1 or at.shape != value.shape or seen.shape != at.shape or seen.dtype != bool:
        raise InputError("x, y and observed do not go together", got=f"shapes {at.shape}, {value.shape}, {seen.shape}")
    if not (np.isfinite(at).all() and np.isfinite(value).all()):
        raise InputError("x and y must be finite", got="nan or inf")
    if seen.sum() < 3 or np.unique(at[seen]).size < 2:
        raise InputError(
            "too few points for a line with an error",
            got=f"{seen.sum()} observed at {np.unique(at[seen]).size} abscissae",
            allowed="three or more, at two or more",
        )
    centre = float(at[seen].mean())
    line, scatter, covariance = _least_squares(np.column_stack([np.ones_like(at), at - centre]), value, seen)
    slope = float(line[1])
    return Line(float(line[0]) - slope * centre, slope, float(np.sqrt(covariance[1, 1])), scatter, int(seen.sum()))


def _least_squares(design: Array, y: Array, ended: NDArray[np.bool_]) -> tuple[Array, float, Array]:
    """Line, scatter and covariance: ordinary least squares, or the likelihood where some had not failed."""
    inverse = np.linalg.inv(design[ended].T @ design[ended])
    line = inverse @ design[ended].T @ y[ended]
    residual = y[ended] - design[ended] @ line
    scatter = float(np.sqrt(residual @ residual / (ended.sum() - 2)))
    if ended.all():
        return line, scatter, np.asarray(scatter**2 * inverse, dtype=float)
    return _censored(design, y, ended, line, max(scatter, 1e-3))


def _censored(
    design: Array, y: Array, ended: NDArray[np.bool_], line: Array, scatter: float
) -> tuple[Array, float, Array]:
    """Newton's method in (line / s, 1 / s), where the log-likelihood is concave."""
    point = np.append(line, 1.0) / scatter
    # z = y / s - x line / s, as one product
    rows = np.column_stack([-design, y])
    for _ in range(200):
        z = rows @ point
        value = _log_likelihood(z, ended, point[-1])
        ratio = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))  # hazard of the normal distribution
        slope = np.where(ended, -z, -ratio)
        curvature = np.where(ended, -1.0, -ratio * (ratio - z))
        gradient = rows.T @ slope
        gradient[-1] += ended.sum() / point[-1]
        hessian = rows.T @ (rows * curvature[:, None])
        hessian[-1, -1] -= ended.sum() / point[-1] ** 2
        step = -np.linalg.solve(hessian, gradient)
        size = float(gradient @ step)
        if size < 1e-16 * max(1.0, abs(value)):
            break
        share = 1.0
        while point[-1] + share * step[-1] <= 0 or (
            _log_likelihood(rows @ (point + share * step), ended, point[-1] + share * step[-1]) < value - 1e-12
        ):
            share *= 0.5
            if share < 1e-12:
                break
        point = point + share * step
    else:
        raise ConvergenceError(
            "The likelihood of the censored lifetimes has no maximum",
            got=f"Newton decrement {size:g} after 200 steps",
            action="test longer or hotter: more states have to fail",
        )
    s = 1.0 / point[-1]
    # from (line / s, 1 / s) to line: d line = s d(line / s) - line s d(1 / s)
    jacobian = np.column_stack([s * np.eye(2), -s * s * point[:2]])
    # the likelihood divides by all failures; two went into the line
    failures = int(ended.sum())
    covariance = jacobian @ np.linalg.inv(-hessian) @ jacobian.T * (failures / (failures - 2))
    return s * point[:2], float(s * np.sqrt(failures / (failures - 2))), np.asarray(covariance, dtype=float)


def _log_likelihood(z: Array, ended: NDArray[np.bool_], sharpness: float) -> float:
    seen = stats.norm.logpdf(z[ended]).sum() + ended.sum() * np.log(sharpness)
    return float(seen + stats.norm.logsf(z[~ended]).sum())


def _warn(found: Retention) -> None:
    E, error = found.activation_energy_eV, found.activation_energy_stderr_eV
    if E - 2.0 * error < 0:
        warnings.warn(
            f"activation energy {E:.3g} +- {error:.2g} eV is not above zero by two standard errors: heat did not "
            "shorten the lifetime measurably, so no extrapolation follows",
            RetentionWarning,
            stacklevel=3,
        )
        return
    # widest the data allow: the prefactor moves with E_a about the centre
    slack = 2.0 * error * found.centre_per_eV
    low, high = (np.exp(np.clip(-found.log_prefactor + sign * slack, -700, 700)) for sign in (-1.0, 1.0))
    if high < _ATTEMPT_HZ[0] or low > _ATTEMPT_HZ[1]:
        warnings.warn(
            f"attempt frequency 1/t0 = {np.exp(np.clip(-found.log_prefactor, -700, 700)):.2g} Hz (two standard errors: "
            f"{low:.1g} to {high:.1g} Hz) is outside {_ATTEMPT_HZ[0]:g} to {_ATTEMPT_HZ[1]:g} Hz: probably not one "
            "activated event (diffusion over many hops has a smaller one), or a criterion that is reached in steps",
            RetentionWarning,
            stacklevel=3,
        )
