"""`fit_measured`: a compact model from a user's measurements, which bound the conductance where the source limited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

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
_REST = 0.2  # share of the largest voltage up to which a positive read disturbs no state
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
    conductance: it counts only if the model lies below. `compact.fit` knows equalities, so the bounds enter by an
    active set. Instants at which every run is limited are left out, but for the first two of each stretch, which show
    the SET; at those and where only some runs are limited, a bound below the model's typical run is replaced by that
    run. The model is fitted again until the replaced values move by less than 2 %, at most six times; left-out bounds
    that turn out to lie above the model come back. The bounds tell nothing about the ON conductance beyond
    themselves; a warning says so if they are most of the ON points.
    In pulses and retention a positive voltage of up to a fifth of the largest counts as rest where the fit looks for
    events, because measurements read what a simulation just reports; the model itself sees that voltage.
    `NonVolatile` reads figures off each loop, so there a bound is no smaller than the last conductance before it at the
    same polarity: a RESET shows where the current leaves the limit, at the earliest.

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
    options: dict[str, Any] = {"fixed": fixed, "start": dict(start or {})}
    bounds = [trace["lower_bound"].values > 0 if "lower_bound" in trace else None for trace in given]
    highest = max(float(np.abs(traces.waveform_of(_one(trace)).voltage_V).max()) for trace in given)
    given = [_resting(trace, _REST * highest) for trace in given]
    count = sum(int(b.sum()) for b in bounds if b is not None)
    if not count:
        return fit(model, given, resamples=resamples, **options)
    if issubclass(model, NonVolatile):
        return fit(model, [_carried(trace) for trace in given], resamples=resamples, **options)
    pieces = [_Piece(trace, b) for trace, b in zip(given, bounds, strict=True)]
    for _ in range(_ROUNDS):
        found = fit(model, [piece.fitted() for piece in pieces], resamples=0, **options)
        options["start"] = {**_values(found), **dict(start or {})}
        moved = [piece.update(found) for piece in pieces]
        rest = max(moved)
        if rest < _SETTLED:
            break
    found = fit(model, [piece.fitted() for piece in pieces], resamples=resamples, **options)
    total = sum(trace["conductance"].size for trace in given)
    text = (
        f"{count} of {total} points are lower bounds of the conductance (the source limited the current); they count "
        "only where the model lies below"
    )
    if rest >= _SETTLED:
        text += f"; after {_ROUNDS} rounds they still moved by {100 * rest:.0f} %"
    before = [piece.ln_g for piece in pieces]
    on = np.concatenate([ln_g.ravel() for ln_g in before])
    upper = on > 0.5 * (np.quantile(on, 0.02) + np.quantile(on, 0.98))
    flags = np.concatenate(
        [np.zeros(g.size, bool) if b is None else b.ravel() for g, b in zip(before, bounds, strict=True)]
    )
    if upper.any() and flags[upper].mean() > 0.5:
        text += "; they are most of the ON points, so the standard error of the ON conductance is too small"
    table = found.parameters
    if "read_noise" in table and flags[upper].any() and table["read_noise"].kind == "fitted":
        doubt = "limited points are on the ON plateaus, so the noise is rather that of the limit: too small"
        table = table.replaced(read_noise=replace(table["read_noise"], warning=doubt))
        text += "; the read noise is too small for the same reason"
    return replace(found, parameters=table, warnings=(*found.warnings, text))


def _values(found: CompactModel) -> dict[str, float]:
    """Numbers of the dynamics, to start the next round from; spreads and noise follow from them."""
    return {
        name: entry.value
        for name, entry in found.parameters.items()
        if entry.kind == "fitted" and found.QUANTITIES[name].default is None and math.isfinite(entry.value)
    }


def _one(trace: xr.Dataset) -> xr.Dataset:
    """One run of a trace."""
    return trace.isel({str(d): 0 for d in trace["conductance"].dims if d != "time"})


def _resting(trace: xr.Dataset, least_V: float) -> xr.Dataset:
    """The trace whose reads count as rest; its waveform stays."""
    voltage = trace["voltage"].values
    if trace.attrs.get("kind") not in ("pulses", "retention") or "waveform" not in trace.attrs:
        return trace
    still = np.where((voltage > 0) & (voltage <= least_V), 0.0, voltage)
    return trace.assign(voltage=trace["voltage"].copy(data=still).assign_attrs(trace["voltage"].attrs))


def _carried(trace: xr.Dataset) -> xr.Dataset:
    """The trace whose bounds are no smaller than the last conductance before them at the same polarity."""
    if "lower_bound" not in trace:
        return trace
    values = trace["conductance"].values.copy()
    rows, bounds = values.reshape(-1, values.shape[-1]), trace["lower_bound"].values.reshape(-1, values.shape[-1]) > 0
    side = np.sign(trace["voltage"].values)
    for row, bound in zip(rows, bounds, strict=True):
        for n in np.flatnonzero(bound):
            if n and side[n] == side[n - 1]:
                row[n] = max(row[n], row[n - 1])
    kept = trace["conductance"].copy(data=rows.reshape(values.shape)).assign_attrs(trace["conductance"].attrs)
    return trace.assign(conductance=kept)


class _Piece:
    """One trace, with its bounds as the present model sees them."""

    def __init__(self, trace: xr.Dataset, bound: NDArray[np.bool_] | None):
        self.trace = trace
        self.low = np.log(trace["conductance"].values)
        self.ln_g = self.low.copy()
        self.bound = np.zeros(self.low.shape, dtype=bool) if bound is None else bound
        everywhere: NDArray[np.bool_] = np.logical_and.reduce(self.bound.reshape(-1, self.bound.shape[-1]), axis=0)
        # the first two of each stretch stay: they show the SET
        begun = everywhere & ~np.insert(everywhere[:-1], 0, False)
        second = everywhere & np.insert(begun[:-1], 0, False)
        self.kept = ~everywhere | begun | second

    def fitted(self) -> xr.Dataset:
        """The trace as `compact.fit` shall see it."""
        values = self.trace["conductance"].copy(data=np.exp(self.ln_g)).assign_attrs(self.trace["conductance"].attrs)
        return self.trace.assign(conductance=values).isel(time=np.flatnonzero(self.kept))

    def update(self, found: CompactModel) -> float:
        """Replace the bounds below the model by the model; returns how far those moved that were fitted."""
        if not self.bound.any():
            return 0.0
        run = found.simulate(traces.waveform_of(_one(self.trace)))
        typical = np.log(run["conductance"].values)[np.searchsorted(run["time"].values, self.trace["time"].values)]
        after = np.where(self.bound, np.maximum(self.low, typical), self.low)
        above = np.median(self.low.reshape(-1, typical.size), axis=0) > typical + _SETTLED
        back = above & ~self.kept
        self.kept |= back
        change = (after - self.ln_g)[self.bound & self.kept]
        self.ln_g = after
        moved = float(np.sqrt(np.mean(change**2))) if change.size else 0.0
        return max(moved, _SETTLED) if back.any() else moved
