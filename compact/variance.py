"""Variance between devices and between cycles: one-way analysis of variance, and the rates of single runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..physics.errors import HalidriftError, InputError
from .ensembles import Ensemble
from .model import CompactModel
from .observables import Residual, bound_of, left_over, of_trace, predicted

__all__ = ["Components", "components", "rate_factors", "rate_spread"]

Array = NDArray[np.float64]

_DECADES = 3.0  # ln of the largest rate factor that is looked for
_GRID = 41


@dataclass(frozen=True)
class Components:
    """Standard deviations of a quantity between devices and between cycles of one device.

    Attributes
    ----------
    device, cycle : float
        Same unit as the quantity.
    device_error, cycle_error : float
        Standard errors, normal law; nan where there is no degree of freedom.
    devices, runs : int
    separable : bool
        Whether any device was measured twice; if not, all variance is reported as that of devices.
    """

    device: float
    cycle: float
    device_error: float
    cycle_error: float
    devices: int
    runs: int
    separable: bool


def components(values: ArrayLike, devices: ArrayLike) -> Components:
    """Variance between devices and within them.

    Parameters
    ----------
    values : array, shape (runs,)
    devices : array, shape (runs,)
        Label of the device of each run.

    Raises
    ------
    InputError
        If there are fewer than two runs.

    Notes
    -----
    Moments (one-way analysis of variance, unbalanced): a device variance that comes out negative is zero. With a single
    device all variance is that of its cycles.

    Examples
    --------
    >>> found = components([1.0, 1.2, 3.0, 3.2], [0, 0, 1, 1])
    >>> round(found.device, 2), round(found.cycle, 2)
    (1.41, 0.14)
    """
    y, labels = np.asarray(values, dtype=float), np.asarray(devices)
    if y.size < 2 or y.shape != labels.shape:
        raise InputError("A variance needs two runs and one device label for each", got=f"{y.size} and {labels.size}")
    kinds, counts = np.unique(labels, return_counts=True)
    if kinds.size == 1:
        sigma = float(y.std(ddof=1))
        return Components(0.0, sigma, math.nan, sigma / math.sqrt(2.0 * (y.size - 1)), 1, y.size, True)
    if counts.max() == 1:
        sigma = float(y.std(ddof=1))
        return Components(sigma, 0.0, sigma / math.sqrt(2.0 * (y.size - 1)), math.nan, kinds.size, y.size, False)
    means = np.array([y[labels == k].mean() for k in kinds])
    freedom = y.size - kinds.size
    within = float(sum(((y[labels == k] - m) ** 2).sum() for k, m in zip(kinds, means, strict=True)) / freedom)
    between = float((counts * (means - y.mean()) ** 2).sum() / (kinds.size - 1))
    effective = (y.size - (counts**2).sum() / y.size) / (kinds.size - 1)
    outer = max(between - within, 0.0) / effective
    # variance of a mean square is 2 MS^2 / freedom
    outer_error = math.sqrt(2.0 * between**2 / (kinds.size - 1) + 2.0 * within**2 / freedom) / effective
    return Components(
        math.sqrt(outer),
        math.sqrt(within),
        outer_error / (2.0 * math.sqrt(outer)) if outer > 0.0 else math.sqrt(outer_error),
        math.sqrt(within / (2.0 * freedom)),
        int(kinds.size),
        int(y.size),
        True,
    )


def rate_factors(model: CompactModel, ensemble: Ensemble, residual: Residual) -> Array:
    """ln of the factor by which all rates of a model are multiplied to describe each single run best, shape (runs,).

    Parameters
    ----------
    model : CompactModel
        With a parameter in Hz, 1/s or s: those are scaled together, times inversely.
    ensemble : Ensemble
    residual : Residual
        In which the runs are compared with the model.

    Returns
    -------
    array, shape (runs,), 1
        Above 0 where a run is faster than the model.

    Raises
    ------
    InputError
        If the model has neither a rate nor a time.

    Notes
    -----
    The model is simulated at 41 factors between e^-3 and e^3, which serve all runs; the least squares of each run is
    interpolated by a parabola. nan for a run whose best factor lies at an end.
    """
    rates = [name for name, q in model.QUANTITIES.items() if q.unit in ("Hz", "1/s")]
    times = [name for name, q in model.QUANTITIES.items() if q.unit == "s"]
    if not rates and not times:
        raise InputError(f"{type(model).__name__} has no rate", allowed="a parameter in Hz or s")
    grid = np.linspace(-_DECADES, _DECADES, _GRID)
    curves, kept = [], []
    for x in grid:
        scaled = {n: model.value(n) * math.exp(x) for n in rates} | {n: model.value(n) * math.exp(-x) for n in times}
        scaled = {n: v for n, v in scaled.items() if math.isfinite(v)}
        try:
            curves.append(predicted(model.with_values(reason="rate of a single run", **scaled), ensemble, residual))
        except HalidriftError:
            continue
        kept.append(x)
    if len(kept) < 5:
        return np.full(ensemble.size, math.nan)
    grid, table = np.array(kept), np.array(curves)
    found = []
    for member, bound in zip(ensemble.members, bound_of(residual, ensemble.bounds), strict=True):
        observed = of_trace(residual, member)
        cost = np.array([np.square(left_over(observed, row, bound)).sum() for row in table])
        i = int(np.argmin(cost))
        if i in (0, grid.size - 1):
            found.append(math.nan)
            continue
        a, b, c = cost[i - 1 : i + 2]
        bend = a - 2.0 * b + c
        found.append(float(grid[i] + (0.5 * (a - c) / bend if bend > 0.0 else 0.0) * (grid[1] - grid[0])))
    return np.array(found)


def rate_spread(
    model: CompactModel, ensembles: Sequence[Ensemble], residual: Residual, least: int = 5
) -> Components | None:
    """Spread of ln rate between devices and cycles over all stimuli with at least `least` runs; None without any.

    Each stimulus has its own mean, so a misfit of the typical run is not counted as spread. Runs of one device number
    in different stimuli are runs of the same device.

    Parameters
    ----------
    model : CompactModel
    ensembles : sequence of Ensemble
    residual : Residual
        In which the runs are compared with the model.
    least : int, >= 1
        Fewest runs of a stimulus with a rate of their own.

    Returns
    -------
    Components or None
        Standard deviations of ln rate, 1.
    """
    values: list[Array] = []
    labels: list[NDArray[np.int64]] = []
    for e in ensembles:
        if e.size < least:
            continue
        factors = rate_factors(model, e, residual)
        seen = np.isfinite(factors)
        if seen.sum() < least:
            continue
        values.append(factors[seen] - factors[seen].mean())
        labels.append(e.devices[seen])
    if not values:
        return None
    found = components(np.concatenate(values), np.concatenate(labels))
    lost = sum(v.size for v in values)
    correction = math.sqrt(lost / max(lost - len(values) + 1, 1))  # a mean of each stimulus was taken out
    return replace(found, device=found.device * correction, cycle=found.cycle * correction)
