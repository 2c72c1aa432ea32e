r"""Distributions over cycles and devices: median, coefficient of variation, and the laws that describe them.

Observations may be censored: known only to lie above a value, as the set voltage of a sweep that ended before the SET.

.. math::

    \text{normal: } \mu, \sigma \qquad \text{log-normal: } \ln x \sim N(\ln m, s^2) \qquad
    \text{Weibull: } F(x) = 1 - e^{-(x / \lambda)^k}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ...physics.errors import InputError
from ..likelihood import censored_normal, weibull
from .pieces import Array

__all__ = ["Distribution", "Lognormal", "Normal", "Weibull", "distribution"]

_FEWEST = 3  # events below which a law with two parameters describes nothing


class Normal(NamedTuple):
    """Normal law.

    Attributes
    ----------
    mean, standard_deviation : float, unit of the values
    mean_error, standard_deviation_error : float, unit of the values
        Standard errors.
    aic : float, 1
        Of the largest likelihood; smaller is better, and only differences count.
    """

    mean: float
    standard_deviation: float
    mean_error: float
    standard_deviation_error: float
    aic: float


class Lognormal(NamedTuple):
    """Normal law of the logarithm.

    Attributes
    ----------
    median : float, unit of the values
    sigma : float, 1
        Standard deviation of ln x.
    median_error, sigma_error : float, unit of the values and 1
        Standard errors.
    aic : float, 1
    """

    median: float
    sigma: float
    median_error: float
    sigma_error: float
    aic: float


class Weibull(NamedTuple):
    """Weibull law.

    Attributes
    ----------
    scale : float, unit of the values
        63 % lie below.
    shape : float, 1
        Slope of the Weibull plot; large is narrow. The estimate is high by about 1.4 / n of itself.
    scale_error, shape_error : float
        Standard errors.
    aic : float, 1
    """

    scale: float
    shape: float
    scale_error: float
    shape_error: float
    aic: float


class Distribution(NamedTuple):
    """One quantity over cycles and devices.

    Attributes
    ----------
    name, unit : str
    median : float
        Kaplan-Meier's where some are censored; nan if more than half are.
    low, high : float
        95 % interval of the median, from order statistics; nan below six observations, inf where it is censored.
    cv : float, 1
        Coefficient of variation, standard deviation over mean; of the fitted normal law where some are censored.
    cv_devices, cv_cycles : float, 1
        The same of devices about each other and of cycles about their device (variance components); nan unless two
        devices or more have two cycles or more.
    number, censored : int
        All observations, and those of them that are only known to lie above their value.
    normal, lognormal, weibull : Normal, Lognormal and Weibull, or None
        None below three events, without any spread, and, for the last two, unless all values are positive.
    values : array, shape (number,)
    above : array of bool, shape (number,)
        Which are censored.
    """

    name: str
    unit: str
    median: float
    low: float
    high: float
    cv: float
    cv_devices: float
    cv_cycles: float
    number: int
    censored: int
    normal: Normal | None
    lognormal: Lognormal | None
    weibull: Weibull | None
    values: Array
    above: NDArray[np.bool_]

    @property
    def best(self) -> str:
        """Name of the law with the smallest AIC; empty if there is none, or no two are apart by 2 or more."""
        laws = {"normal": self.normal, "lognormal": self.lognormal, "weibull": self.weibull}
        ranked = sorted((law.aic, name) for name, law in laws.items() if law is not None)
        return ranked[0][1] if len(ranked) > 1 and ranked[1][0] - ranked[0][0] >= 2.0 else ""


def distribution(
    values: ArrayLike,
    censored: ArrayLike | None = None,
    *,
    name: str = "value",
    unit: str = "1",
    devices: Sequence[object] | None = None,
) -> Distribution:
    """Describe observations, some of which may only be known to lie above their value.

    Parameters
    ----------
    values : array, shape (n >= 1,)
        Observations, or for censored ones the value up to which nothing happened.
    censored : array of bool, shape (n,), optional
        None is, if not given.
    name, unit : str
    devices : sequence, shape (n,), optional
        Device of each observation, for the variation between devices and between cycles.

    Raises
    ------
    InputError
        If there is no observation, one is not finite, or the arrays do not go together.

    Notes
    -----
    Laws are fitted by maximum likelihood, as if all observations were independent; cycles of one device need not be.
    Censoring must not depend on what is measured beyond the value itself.

    References
    ----------
    .. [1] W. Q. Meeker and L. A. Escobar, Statistical Methods for Reliability Data, Wiley, 1998, chs. 3, 4 and 8.
    .. [2] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Secs. 3.1.1, 3.1.2: variability over devices and cycles.

    Examples
    --------
    >>> import numpy as np
    >>> found = distribution([0.9, 1.0, 1.1, 1.2, 1.3], name="set voltage", unit="V")
    >>> round(found.median, 6), round(found.cv, 4), round(found.normal.mean, 6), found.weibull.shape > 1
    (1.1, 0.1437, 1.1, True)
    """
    x = np.asarray(values, dtype=float).ravel()
    above = np.zeros(x.size, dtype=bool) if censored is None else np.asarray(censored).ravel()
    if not x.size:
        raise InputError(f"{name} has no distribution", got="no observation")
    if above.dtype != bool or above.size != x.size or (devices is not None and len(devices) != x.size):
        raise InputError(
            "values, censored and devices do not go together",
            got=f"{x.size} values, {above.size} of {above.dtype}",
            allowed="one truth value and one device for each value",
        )
    if not np.isfinite(x).all():
        i = int(np.argmin(np.isfinite(x)))
        raise InputError(f"{name} must be finite", got=f"{x[i]} at index {i}", action="Drop it, or mark it censored")
    events = x[~above]
    spread = events.size >= _FEWEST and np.ptp(events) > 1e-9 * np.abs(events).max()  # beyond the last digits
    normal = _normal(x, above) if spread else None
    positive = normal is not None and x.min() > 0
    if not above.any():
        cv = float(x.std(ddof=1) / abs(x.mean())) if x.size > 1 and x.mean() != 0 else float("nan")
    else:
        cv = float("nan") if normal is None else normal.standard_deviation / abs(normal.mean)
    between, within = _components(x, devices) if devices is not None and not above.any() else (np.nan, np.nan)
    low, high = _interval(x, above)
    return Distribution(
        name=name,
        unit=unit,
        median=_median(x, above),
        low=low,
        high=high,
        cv=cv,
        cv_devices=float(between),
        cv_cycles=float(within),
        number=x.size,
        censored=int(above.sum()),
        normal=normal,
        lognormal=_lognormal(x, above) if positive else None,
        weibull=_weibull(x, above) if positive else None,
        values=x,
        above=above,
    )


def _median(x: Array, above: NDArray[np.bool_]) -> float:
    if not above.any():
        return float(np.median(x))
    if above.all():
        return float("nan")
    survival = stats.ecdf(stats.CensoredData.right_censored(x, above)).sf
    reached = np.flatnonzero(survival.probabilities <= 0.5)
    return float(survival.quantiles[reached[0]]) if reached.size else float("nan")


def _interval(x: Array, above: NDArray[np.bool_]) -> tuple[float, float]:
    """Order statistics that hold the median with 95 % or more."""
    n = x.size
    k = int(stats.binom.ppf(0.025, n, 0.5))  # k - 1 below have 2.5 % or less together
    if n < 6 or k < 1:
        return float("nan"), float("nan")
    order = np.argsort(np.where(above, np.inf, x), kind="stable")
    if above.any() and x[above].min() < x[~above].max(initial=-np.inf):
        # a censored one may lie anywhere above its value: the lowest and the highest rank it may have
        ends = np.sort(x)[k - 1], np.sort(np.where(above, np.inf, x))[n - k]
        return float(ends[0]), float(ends[1])
    ranked = np.where(above, np.inf, x)[order]
    return float(ranked[k - 1]), float(ranked[n - k])


def _components(x: Array, devices: Sequence[object]) -> tuple[float, float]:
    """Coefficients of variation between devices and between cycles of one device."""
    groups: dict[object, list[float]] = {}
    for device, value in zip(devices, x, strict=True):
        groups.setdefault(device, []).append(float(value))
    sizes = np.array([len(g) for g in groups.values()])
    if (sizes >= 2).sum() < 2 or x.mean() == 0:
        return float("nan"), float("nan")
    means = np.array([np.mean(g) for g in groups.values()])
    within = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in groups.values()) / (x.size - sizes.size)
    between = float(np.sum(sizes * (means - x.mean()) ** 2)) / (sizes.size - 1)
    typical = (x.size - float(np.sum(sizes**2)) / x.size) / (sizes.size - 1)
    return float(np.sqrt(max(between - within, 0.0) / typical) / abs(x.mean())), float(np.sqrt(within) / abs(x.mean()))


def _aic(law: stats.rv_continuous, x: Array, above: NDArray[np.bool_]) -> float:
    return float(4.0 - 2.0 * (law.logpdf(x[~above]).sum() + law.logsf(x[above]).sum()))


def _normal(x: Array, above: NDArray[np.bool_]) -> Normal:
    found = censored_normal(x, above)
    (mean, deviation), errors = found.values.tolist(), found.standard_errors.tolist()
    # the likelihood is largest at its own deviation, not at the unbiased one
    law = stats.norm(mean, deviation if above.any() else x.std())
    return Normal(mean, deviation, errors[0], errors[1], _aic(law, x, above))


def _lognormal(x: Array, above: NDArray[np.bool_]) -> Lognormal:
    law = _normal(np.log(x), above)
    # the density of x is that of ln x over x, of events only
    aic = law.aic + 2.0 * float(np.log(x[~above]).sum())
    median = float(np.exp(law.mean))
    return Lognormal(median, law.standard_deviation, median * law.mean_error, law.standard_deviation_error, aic)


def _weibull(x: Array, above: NDArray[np.bool_]) -> Weibull:
    """Maximum likelihood, errors from the observed information."""
    ln_scale, shape, covariance = weibull(np.log(x), above)
    location_error, width_error = np.sqrt(np.diag(covariance))
    scale = float(np.exp(ln_scale))
    aic = _aic(stats.weibull_min(shape, scale=scale), x, above)
    return Weibull(scale, shape, scale * float(location_error), shape**2 * float(width_error), aic)
