"""`fit_measured`: a compact model from a user's measurements, which bound the conductance where the source limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from ..physics import trace as traces
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.measurements import Measurements
from .fitting import checked, fit
from .model import CompactModel
from .nonvolatile import NonVolatile

__all__ = ["fit_measured"]

Model = TypeVar("Model", bound=CompactModel)

_REST = 0.2  # share of the largest voltage up to which a positive read disturbs no state


def fit_measured(
    model: type[Model],
    measured: Measurements | Sequence[xr.Dataset],
    *,
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    resamples: int = 40,
    progress: Callable[[str, int, int], None] | None = None,
) -> Model:
    """Fit a compact model to measurements.

    Parameters
    ----------
    model : type
        Any that :func:`halidrift.compact.fit` takes.
    measured : Measurements or sequence of Dataset
        What :func:`halidrift.physics.measurements.read` returns, or its traces.
    fixed : mapping of str to float, optional
        Parameters that are not fitted, by name.
    start : mapping of str to float, optional
        Starting values, by name.
    resamples : int, >= 0
        Bootstrap resamples, as for :func:`halidrift.compact.fit`.
    progress : callable (stage, done, parts), optional
        As for :func:`halidrift.compact.fit`.

    Returns
    -------
    model
        Its warnings say how many points were bounds.

    Raises
    ------
    InputError
        If there are no traces, or :func:`halidrift.compact.fit` finds nothing to fit; or if the fit fails where the
        report holds the limit of the current in doubt, which the message then says first.
    ConvergenceError
        If the optimiser fails.

    Notes
    -----
    Where the source limits the current and the voltage of the device was not measured, I/V is a lower bound of the
    conductance: it counts only if the model lies below (:class:`~halidrift.compact.ensembles.Ensemble`). Bounds that
    hold tell nothing about the ON conductance, and nothing is claimed from them: they enter no standard error.
    In pulses and retention a positive voltage of up to a fifth of the largest counts as rest where the fit looks for
    events, because measurements read what a simulation just reports; the model itself sees that voltage.
    A limit of the current that the report holds in doubt is a warning of the model, too.
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
    checked(model, fixed, start)
    doubt = measured.report.limit_doubt if isinstance(measured, Measurements) else ""
    try:
        found = _fitted(model, given, fixed, start, resamples, progress)
    except (InputError, ConvergenceError, ValidityError) as error:
        if not doubt:
            raise
        raise InputError(
            f"The limit of the current is in doubt, which may be the cause: {doubt}. The fit then failed: "
            f"{str(error).rstrip('.')}",
            action="Give the limit at which the source was set (compliance_A, on the command line --compliance), or "
            "none, so that it is looked for in the data",
        ) from error
    if doubt:
        found = replace(found, warnings=(*found.warnings, f"the limit of the current is in doubt: {doubt}"))
    return found


def _fitted(
    model: type[Model],
    given: list[xr.Dataset],
    fixed: Mapping[str, float] | None,
    start: Mapping[str, float] | None,
    resamples: int,
    progress: Callable[[str, int, int], None] | None,
) -> Model:
    """The fit, and what the bounds of the conductance mean for it."""
    options: dict[str, Any] = {"fixed": fixed, "start": dict(start or {}), "progress": progress}
    bounds = [trace["lower_bound"].values > 0 if "lower_bound" in trace else None for trace in given]
    highest = max(float(np.abs(traces.waveform_of(_one(trace)).voltage_V).max()) for trace in given)
    given = [_resting(trace, _REST * highest) for trace in given]
    count = sum(int(b.sum()) for b in bounds if b is not None)
    if not count:
        return fit(model, given, resamples=resamples, **options)
    if issubclass(model, NonVolatile):
        return fit(model, [_carried(trace) for trace in given], resamples=resamples, **options)
    found = fit(model, given, resamples=resamples, **options)
    total = sum(trace["conductance"].size for trace in given)
    text = (
        f"{count} of {total} points are lower bounds of the conductance (the source limited the current); they count "
        "only where the model lies below"
    )
    ln_g = np.concatenate([np.log(trace["conductance"].values).ravel() for trace in given])
    upper = ln_g > 0.5 * (np.quantile(ln_g, 0.02) + np.quantile(ln_g, 0.98))
    flags = np.concatenate(
        [np.zeros(t["conductance"].size, bool) if b is None else b.ravel() for t, b in zip(given, bounds, strict=True)]
    )
    table = found.parameters
    if "read_noise" in table and flags[upper].any() and table["read_noise"].kind == "fitted":
        doubt = "limited points are on the ON plateaus, so the noise is rather that of the limit: too small"
        table = table.replaced(read_noise=replace(table["read_noise"], warning=doubt))
        text += "; the read noise is too small for the same reason"
    return replace(found, parameters=table, warnings=(*found.warnings, text))


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
