"""`fit_measured`: a compact model from a user's own measurements, whose conductance is a bound where the source limited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import trace as traces
from ..physics.errors import InputError
from ..physics.measurements import Measurements
from .fitting import fit
from .model import CompactModel
from .nonvolatile import NonVolatile

__all__ = ["fit_measured"]

Model = TypeVar("Model", bound=CompactModel)

_ROUNDS = 6
_SETTLED = 0.02  # change of ln G at the bounds, root mean square, at which the next round would change nothing


def fit_measured(
    model: type[Model],
    measured: Measurements | Sequence[xr.Dataset],
    *,
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    resamples: int = 40,
) -> Model:
    """Fit a compact model to measurements.

    Parameters
    ----------
    model : type
        Any that :func:`halidrift.compact.fit` takes.
    measured : Measurements or sequence of Dataset
        What :func:`halidrift.physics.measurements.read` returns, or its traces.
    fixed, start, resamples
        As for :func:`halidrift.compact.fit`.

    Returns
    -------
    model
        Its warnings say how many points were bounds.

    Raises
    ------
    InputError
        If there are no traces, or :func:`halidrift.compact.fit` finds nothing to fit.
    ConvergenceError
        If the optimiser fails.

    Notes
    -----
    Where the source limits the current and the voltage of the device was not measured, I/V is a lower bound of the
    conductance. Such a point counts for nothing as long as the model lies above it: the model is fitted, each bound
    below the model's typical run is replaced by that run, and the model is fitted again, until the bounds move by less
    than 2 % or after six rounds. Each round lowers the sum of squares in which a bound counts from below only, so
    the model found is a minimum of that sum; the bounds hold no information about the ON conductance beyond it, and
    its standard error, from the last round, is too small if most ON points are bounds (a warning says so).
    `NonVolatile` needs none of this: it reads the conductance at 0.1 V on the way back.

    Examples
    --------
    >>> from halidrift.physics import measurements
    >>> cell = fit_measured(Volatile, measurements.read("data/"))  # doctest: +SKIP
    """
    given = list(measured.traces if isinstance(measured, Measurements) else measured)
    if not given:
        raise InputError(
            "No sweep, pulse or retention measurement to fit",
            got="endurance tables only" if isinstance(measured, Measurements) and measured.endurance else "none",
            action="Read files with columns of voltage and current",
        )
    options = {"fixed": fixed, "start": dict(start or {})}
    bounds = [trace["lower_bound"].values > 0 if "lower_bound" in trace else None for trace in given]
    count = sum(int(b.sum()) for b in bounds if b is not None)
    if not count or issubclass(model, NonVolatile):
        return fit(model, given, resamples=resamples, **options)  # type: ignore[arg-type]
    low = [np.log(trace["conductance"].values) for trace in given]
    now = list(given)
    before = [b.copy() for b in low]
    moved = math.inf
    for _ in range(_ROUNDS):
        found = fit(model, now, resamples=0, **options)  # type: ignore[arg-type]
        options["start"] = {**_values(found), **dict(start or {})}
        after = [_lifted(found, *each) for each in zip(given, low, bounds, strict=True)]
        change = np.concatenate(
            [(a - b)[mask] for a, b, mask in zip(after, before, bounds, strict=True) if mask is not None]
        )
        moved = float(np.sqrt(np.mean(change**2)))
        now = [_with(trace, ln_g) for trace, ln_g in zip(given, after, strict=True)]
        before = after
        if moved < _SETTLED:
            break
    found = fit(model, now, resamples=resamples, **options)  # type: ignore[arg-type]
    total = sum(trace["conductance"].size for trace in given)
    text = (
        f"{count} of {total} points are lower bounds of the conductance (the source limited the current); they count "
        "only where the model lies below"
    )
    if moved >= _SETTLED:
        text += f"; after {_ROUNDS} rounds they still moved by {100 * moved:.0f} %"
    on = np.concatenate([ln_g.ravel() for ln_g in before])
    upper = on > 0.5 * (np.quantile(on, 0.02) + np.quantile(on, 0.98))
    flags = np.concatenate(
        [np.zeros(g.size, bool) if b is None else b.ravel() for g, b in zip(before, bounds, strict=True)]
    )
    if upper.any() and flags[upper].mean() > 0.5:
        text += "; they are most of the ON points, so the standard error of the ON conductance is too small"
    return replace(found, warnings=(*found.warnings, text))


def _values(found: CompactModel) -> dict[str, float]:
    """Fitted numbers, to start the next round from."""
    return {
        name: entry.value
        for name, entry in found.parameters.items()
        if entry.kind == "fitted" and math.isfinite(entry.value) and entry.value > 0
    }


def _lifted(
    found: CompactModel, trace: xr.Dataset, low: NDArray[np.float64], bound: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """ln G in which each bound is the model's typical run, where that lies above."""
    if bound is None or not bound.any():
        return low
    waveform = traces.waveform_of(trace if trace["conductance"].ndim == 1 else trace.isel(_first(trace)))
    run = found.simulate(waveform)
    typical = np.log(run["conductance"].values)[np.searchsorted(run["time"].values, trace["time"].values)]
    return np.where(bound, np.maximum(low, typical), low)


def _first(trace: xr.Dataset) -> dict[str, int]:
    return {str(d): 0 for d in trace["conductance"].dims if d != "time"}


def _with(trace: xr.Dataset, ln_g: NDArray[np.float64]) -> xr.Dataset:
    values = trace["conductance"].copy(data=np.exp(ln_g))
    return trace.assign(conductance=values.assign_attrs(trace["conductance"].attrs))
