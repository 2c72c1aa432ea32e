"""How a device depends on its area and on the rate of the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ...physics.errors import InputError
from ...physics.retention import censored_line
from .many import set_voltages
from .pieces import columns, each
from .sweeps import first_branches

__all__ = [
    "AreaScaling",
    "RateDependence",
    "area_scaling",
    "rate_dependence",
    "rate_dependence_of",
    "rates_apart",
    "sweep_rate",
]


class AreaScaling(NamedTuple):
    """Slope of ln G against ln area.

    Attributes
    ----------
    slope : float, 1
        0 for one filament, 1 for a current that flows everywhere.
    low, high : float, 1
        Confidence interval.
    verdict : str
        "filamentary" if the interval reaches 0 within the tolerance and not 1, "interfacial" if it reaches 1 and not
        0, "undecided" if both, "neither" if none.
    points, areas : int
        Devices, and different areas.
    r2 : float, 1
    """

    slope: float
    low: float
    high: float
    verdict: str
    points: int
    areas: int
    r2: float


class RateDependence(NamedTuple):
    """Set voltage against the logarithm of the sweep rate.

    Attributes
    ----------
    slope_V : float, V per decade
    low_V, high_V : float, V per decade
        95 % interval.
    verdict : str
        "rises", "falls" or "undecided", by whether the interval holds zero.
    scatter_V : float, V
        Standard deviation about the line.
    points, censored, rates : int
        Sweeps, those that never set, and different rates.
    """

    slope_V: float
    low_V: float
    high_V: float
    verdict: str
    scatter_V: float
    points: int
    censored: int
    rates: int


def area_scaling(
    area_m2: ArrayLike, conductance_S: ArrayLike, *, confidence: float = 0.95, tolerance: float = 0.2
) -> AreaScaling:
    """Tell a filamentary from an interfacial device by how the conductance grows with the area.

    Parameters
    ----------
    area_m2 : array, shape (n >= 3,), m^2, > 0
        Of each device, two different ones or more. Two decades or more tell most.
    conductance_S : array, shape (n,), S, > 0
        Of the low-resistance state: the high-resistance one scales with the area in both cases.
    confidence : float, 1, in (0, 1)
    tolerance : float, 1, in [0, 0.5)
        How far from 0 and 1 an exponent may lie and still count: series resistance and leakage bend either law.

    Raises
    ------
    InputError
        If the arrays do not go together, a number is out of range, or all areas are equal.

    Notes
    -----
    A line on logarithmic axes with equal scatter of ln G at every area, one point a device. Two areas give a slope and
    no test of the line. Many filaments of one areal density scale as an interface does.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Secs. 3.2.1, 3.2.2 and 3.3.1 (Y-AREA-FIL, Y-AREA-INT).

    Examples
    --------
    >>> import numpy as np
    >>> area = np.array([1e-10, 1e-10, 1e-9, 1e-9, 1e-8, 1e-8])
    >>> noise = np.array([1.1, 0.9, 0.95, 1.05, 1.0, 1.02])
    >>> area_scaling(area, 1e-4 * noise).verdict, area_scaling(area, 1e3 * area * noise).verdict
    ('filamentary', 'interfacial')
    """
    A, G = np.asarray(area_m2, dtype=float).ravel(), np.asarray(conductance_S, dtype=float).ravel()
    if A.size != G.size or A.size < 3:
        raise InputError(
            "Area scaling needs three devices or more", got=f"{A.size} areas and {G.size} conductances", allowed=">= 3"
        )
    for name, unit, values in (("area_m2", "m^2", A), ("conductance_S", "S", G)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(f"{name} is out of range", got=f"{values[bad][0]} {unit}", allowed=f"> 0 {unit}")
    if not 0 < confidence < 1:
        raise InputError("confidence is out of range", got=confidence, allowed="between 0 and 1, for instance 0.95")
    if not 0 <= tolerance < 0.5:
        raise InputError("tolerance is out of range", got=tolerance, allowed="0 to below 0.5")
    areas = np.unique(A).size
    if areas < 2:
        raise InputError("All devices have the same area", got=f"{A[0]:g} m^2", action="Measure two areas or more")
    line = stats.linregress(np.log(A), np.log(G))
    x, residual = np.log(A), np.log(G) - line.intercept - line.slope * np.log(A)
    error = np.sqrt(residual @ residual / (A.size - 2) / np.sum((x - x.mean()) ** 2))
    # an exact line has no width beyond that of its digits
    half = max(float(stats.t.ppf(0.5 + 0.5 * confidence, A.size - 2) * error), 1e-9)
    low, high = float(line.slope) - half, float(line.slope) + half
    zero, one = (low <= end + tolerance and high >= end - tolerance for end in (0.0, 1.0))
    verdict = {
        (True, True): "undecided",
        (True, False): "filamentary",
        (False, True): "interfacial",
        (False, False): "neither",
    }
    return AreaScaling(float(line.slope), low, high, verdict[zero, one], A.size, areas, float(line.rvalue**2))


def sweep_rate(trace: xr.Dataset) -> float:
    """Rate of the first rise of the voltage above zero, V/s: its way over its time, pauses left out.

    Parameters
    ----------
    trace : Dataset
        One run.

    Raises
    ------
    InputError
        If the voltage never rises above zero, or jumps there, as a pulse does.

    Notes
    -----
    Time stamps may be rounded: steps of 2.5 ms written as 2 and 3 ms give rates of single steps that are wrong by a
    fifth, and their median with them. A pause is a wait five times as slow as the median step and twice as long.
    """
    time, voltage, _, _ = columns(trace)
    up, _ = first_branches(voltage)
    steps = np.diff(voltage[up])
    if steps.size < 3 or steps.max() > 0.5 * np.ptp(voltage[up]):
        raise InputError(
            "The voltage does not sweep", got=f"{steps.size} steps up to the top", allowed="3 or more, none half of it"
        )
    moved = np.concatenate([[True], steps != 0.0])  # a staircase waits on each of its steps
    dV, dt = np.diff(voltage[up][moved]), np.diff(time[up][moved])
    pace = np.abs(dV) / dt
    paused = (pace < 0.2 * np.median(pace)) & (dt > 2.0 * np.median(dt))
    return float(dV[~paused].sum() / dt[~paused].sum())


def rates_apart(rates_V_s: ArrayLike, within: float = 0.05) -> NDArray[np.intp]:
    """Number of the rate that each belongs to, 0 for the smallest: rounded time stamps make no rates of their own.

    Parameters
    ----------
    rates_V_s : array, shape (n,), V/s, > 0
    within : float, 1, > 0
        By how much more than the smallest of them rates may be that count as one.

    Returns
    -------
    array of int, shape (n,)
    """
    rates = np.asarray(rates_V_s, dtype=float).ravel()
    number = np.empty(rates.size, dtype=np.intp)
    first, count = -np.inf, -1
    for i in np.argsort(rates, kind="stable"):
        if rates[i] > first * (1.0 + within) or count < 0:
            first, count = rates[i], count + 1
        number[i] = count
    return number


def rate_dependence_of(
    rate_V_s: ArrayLike, set_voltage_V: ArrayLike, censored: ArrayLike | None = None
) -> RateDependence:
    r"""Slope of the set voltage against the logarithm of the sweep rate.

    Parameters
    ----------
    rate_V_s : array, shape (n >= 3,), V/s, > 0
    set_voltage_V : array, shape (n,), V
        For a sweep that never set, its highest voltage.
    censored : array of bool, shape (n,), optional
        Which never set; none, if not given.

    Notes
    -----
    A rate that grows exponentially with the voltage, as :math:`e^{gV}`, sets at :math:`V \approx g^{-1} \ln(r / r_0)`:
    the slope is ln 10 / g a decade. Censored sweeps count as lower bounds, with normal scatter.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.3.1 (Y-SCAN): the set voltage rises with the rate.

    Examples
    --------
    >>> import numpy as np
    >>> found = rate_dependence_of([0.1, 1.0, 10.0, 100.0], [0.5, 0.61, 0.69, 0.8])
    >>> round(found.slope_V, 3), found.verdict
    (0.098, 'rises')
    """
    r, V = np.asarray(rate_V_s, dtype=float).ravel(), np.asarray(set_voltage_V, dtype=float).ravel()
    above = np.zeros(r.size, dtype=bool) if censored is None else np.asarray(censored, dtype=bool).ravel()
    if r.size != V.size or r.size != above.size:
        raise InputError("rates and voltages do not go together", got=f"{r.size}, {V.size} and {above.size} values")
    if not (np.isfinite(r).all() and (r > 0).all() and np.isfinite(V).all()):
        raise InputError("Rates must be positive and voltages finite", got=f"{r.min():g} V/s, {V.min():g} V")
    line = censored_line(np.log10(r), V, observed=~above)
    half = float(stats.t.ppf(0.975, line.observed - 2) * line.slope_error)
    low, high = line.slope - half, line.slope + half
    return RateDependence(
        slope_V=line.slope,
        low_V=low,
        high_V=high,
        verdict="rises" if low > 0 else "falls" if high < 0 else "undecided",
        scatter_V=line.scatter,
        points=r.size,
        censored=int(above.sum()),
        rates=int(rates_apart(r).max()) + 1,
    )


def rate_dependence(given: xr.Dataset | Sequence[xr.Dataset], *, ratio: float = 10.0) -> RateDependence:
    """:func:`rate_dependence_of` on sweeps of several rates; set voltages as :func:`set_voltages` takes them.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Sweeps of two rates or more; runs that are no sweep are left out.
    ratio : float, 1, > 1
        Rise of conductance that counts as SET.

    Raises
    ------
    InputError
        If there are not two different rates.
    """
    rates: list[float] = []
    volts: list[float] = []
    censored: list[bool] = []
    for _, run in each(given):
        try:
            rate, found = sweep_rate(run), set_voltages(run, ratio=ratio)
        except InputError:
            continue
        rates += [rate] * found.number
        volts += [float(v) for v in found.values]
        censored += [bool(c) for c in found.above]
    if not rates or rates_apart(rates).max() < 1:
        raise InputError(
            "A dependence on the sweep rate needs sweeps of two rates or more",
            got=", ".join(f"{r:g} V/s" for r in sorted(set(rates))) or "no sweep",
        )
    return rate_dependence_of(rates, volts, censored)
