"""How well a model describes traces, those it was fitted to or others: one definition of the error for all models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import HalidriftError, InputError
from .ensembles import gather
from .model import CompactModel
from .observables import SWITCHING, LnConductance, left_over, predicted
from .observables import span_of as _span

__all__ = ["Holdout", "HoldoutRow", "Residuals", "holdout", "normalised_error", "residuals"]

Array = NDArray[np.float64]

_LN_G = LnConductance()


def _error(observed: Array, model: Array, seen: Array, bound: NDArray[np.bool_] | None = None) -> float:
    """The definition of :func:`normalised_error`, on ln G; `seen` holds what the span is taken from."""
    span = _span(seen)
    if bound is not None:
        observed = np.where(bound, np.maximum(observed, model), observed)
    if span >= math.log(SWITCHING):
        return float(np.sqrt(np.mean((model - observed) ** 2)) / span)
    g, wanted = np.exp(model), np.exp(observed)
    reach = float(np.ptp(np.exp(seen)))
    if reach == 0.0:
        raise InputError(
            "The conductance of the trace never changes, so its error has no scale",
            action="Give span_of= the traces of this device that do change",
        )
    return float(np.sqrt(np.mean((g - wanted) ** 2)) / reach)


def normalised_error(
    model: CompactModel, trace: xr.Dataset, *, span_of: Sequence[xr.Dataset] | xr.Dataset | None = None
) -> float:
    r"""Normalised error of a model against a trace.

    .. math::

        \sqrt{\langle(\ln G_\mathrm{model} - \ln G)^2\rangle}\;/\;\ln(G_\mathrm{on}/G_\mathrm{off})
        \quad\text{(switching)}, \qquad
        \sqrt{\langle(G_\mathrm{model} - G)^2\rangle}\;/\;(G_\mathrm{max} - G_\mathrm{min}) \quad\text{(analog)}

    Parameters
    ----------
    model : CompactModel
        Simulated without noise under the stimulus of the trace, at its temperature, from its fresh state.
    trace : Dataset
        One stimulus. With several runs, the typical one counts: the median of ln G over the runs at each instant (from
        three runs on, else the mean). A noise-free model can be asked for no more than that.
    span_of : Dataset or sequence of Dataset, optional
        Traces that the denominator is taken from; default this one. Give all traces of the device where some of them
        hardly switch: a device has one on/off ratio.

    Returns
    -------
    float, 1
        0 is perfect; 0.1 in a switching trace with an on/off ratio of 1000 is a factor of 2 in G on the average.

    Raises
    ------
    InputError
        If the trace holds several stimuli, or the conductance never changes.
    ValidityError, ConvergenceError
        If the model refuses the stimulus.

    Notes
    -----
    G_on and G_off are the 98 % and the 2 % quantile of all instants. Switching: G_on / G_off of 3 or more. Where the
    trace says that a conductance is a lower bound (``lower_bound``), a model above it makes no error.

    Examples
    --------
    >>> from halidrift import Waveform
    >>> from halidrift.compact import VTEAM
    >>> cell = VTEAM.of(conductance_off_S=1e-6, conductance_on_S=1e-4, set_voltage_V=0.6, reset_voltage_V=-0.8,
    ...                 set_rate_Hz=20.0, reset_rate_Hz=10.0)
    >>> trace = cell.simulate(Waveform.triangle([1.2], rate_V_s=1.0))
    >>> normalised_error(cell, trace)
    0.0
    >>> f"{normalised_error(cell.with_values(conductance_on_S=2e-4), trace):.3f}"
    '0.115'
    """
    found = gather(trace)
    if len(found) != 1:
        raise InputError("normalised_error takes one stimulus", got=len(found), action="Use holdout for several traces")
    seen = found if span_of is None else gather(span_of)
    everything = np.concatenate([e.ln_conductance.ravel() for e in seen])
    return _error(found[0].typical(), predicted(model, found[0], _LN_G), everything, found[0].typical_bound)


@dataclass(frozen=True)
class HoldoutRow:
    """One stimulus.

    Attributes
    ----------
    name : str
    error : float, 1
        Normalised error against the typical run; nan where the model refuses the stimulus.
    spread : float, 1
        Root mean square of single runs around the typical one, in the same unit: what no noise-free model can
        describe. nan for a single run.
    floor : float, 1
        Standard error of the typical run itself, sqrt(pi/2) spread / sqrt(runs): an error below it means nothing.
    runs : int
    note : str
        Why the model refused.
    """

    name: str
    error: float
    spread: float
    floor: float
    runs: int
    note: str = ""


@dataclass(frozen=True, repr=False)
class Holdout(Sequence[HoldoutRow]):
    """Errors of a model on traces that it was not fitted to; prints as a table.

    Attributes
    ----------
    model : str
    rows : tuple of HoldoutRow
    """

    model: str
    rows: tuple[HoldoutRow, ...]

    def __getitem__(self, i):
        return self.rows[i]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[HoldoutRow]:
        return iter(self.rows)

    @property
    def worst(self) -> float:
        """Largest error, nan if the model refused a stimulus."""
        return float(np.max([row.error for row in self.rows]))

    @property
    def typical(self) -> float:
        """Median error of the stimuli that the model accepts."""
        return float(np.nanmedian([row.error for row in self.rows]))

    def __str__(self) -> str:
        head = ("trace", "error", "spread of runs", "floor", "runs", "note")
        rows = [head] + [
            (r.name, f"{r.error:.3f}", f"{r.spread:.3f}", f"{r.floor:.3f}", str(r.runs), r.note) for r in self.rows
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    __repr__ = __str__


def holdout(
    model: CompactModel, traces: Sequence[xr.Dataset] | xr.Dataset, *, names: Sequence[str] | None = None
) -> Holdout:
    """Predict traces that the model was not fitted to.

    Parameters
    ----------
    model : CompactModel
    traces : Dataset or sequence of Dataset
        Other amplitudes, widths or intervals than those of the fit; runs of equal stimulus count as one.
    names : sequence of str, optional
        One for each stimulus, for the table.

    Returns
    -------
    Holdout
        One row for each stimulus. All errors share the on/off ratio of all the traces given.

    Raises
    ------
    InputError
        If there are no traces, or another number of names than of stimuli.

    Notes
    -----
    A stimulus that the model refuses (a compliance outside of its range, say) is a row with its reason, not an error:
    that a model cannot be asked is a result.

    Examples
    --------
    >>> from halidrift import Waveform
    >>> from halidrift.compact import VTEAM
    >>> cell = VTEAM.of(conductance_off_S=1e-6, conductance_on_S=1e-4, set_voltage_V=0.6, reset_voltage_V=-0.8,
    ...                 set_rate_Hz=20.0, reset_rate_Hz=10.0)
    >>> fast = cell.simulate(Waveform.triangle([1.2], rate_V_s=3.0))
    >>> print(holdout(cell, fast, names=["3 V/s"]))
    trace  error  spread of runs  floor  runs  note
    3 V/s  0.000  nan             nan    1
    """
    ensembles = gather(traces)
    if names is not None and len(names) != len(ensembles):
        raise InputError("names must hold one for each stimulus", got=len(names), allowed=str(len(ensembles)))
    everything = np.concatenate([e.ln_conductance.ravel() for e in ensembles])
    rows = []
    for i, e in enumerate(ensembles):
        name = e.name if names is None else names[i]
        observed = e.typical()
        spread = floor = math.nan
        if e.size > 1:
            squares = [_error(observed, row, everything) ** 2 for row in e.ln_conductance]
            # one degree of freedom went into the centre
            spread = math.sqrt(sum(squares) / (e.size - 1))
            floor = math.sqrt(math.pi / 2.0 if e.size >= 3 else 1.0) * spread / math.sqrt(e.size)
        try:
            error, note = _error(observed, predicted(model, e, _LN_G), everything, e.typical_bound), ""
        except HalidriftError as refusal:
            error, note = math.nan, str(refusal).splitlines()[0]
        rows.append(HoldoutRow(name, error, spread, floor, e.size, note))
    return Holdout(type(model).__name__, tuple(rows))


@dataclass(frozen=True, eq=False)
class Residuals:
    """What a picture of a fit needs, for one stimulus.

    Attributes
    ----------
    name : str
    time_s, voltage_V : array, shape (time,), s and V
    observed_S : array, shape (runs, time), S
    typical_S, model_S : array, shape (time,), S
    left : array, shape (time,), 1
        ln(G / G_model) of the typical run over ln(G_on / G_off): the residual whose root mean square is `error` for
        switching traces.
    error : float, 1
        Normalised error.
    """

    name: str
    time_s: Array
    voltage_V: Array
    observed_S: Array
    typical_S: Array
    model_S: Array
    left: Array
    error: float


def residuals(model: CompactModel, traces: Sequence[xr.Dataset] | xr.Dataset) -> list[Residuals]:
    """Data, fit and residuals of each stimulus, as :func:`halidrift.pipeline.figures.fit.fit_figure` draws them.

    Parameters
    ----------
    model : CompactModel
    traces : Dataset or sequence of Dataset

    Returns
    -------
    list of Residuals
        One for each ensemble of equal stimulus and temperature.

    Raises
    ------
    ValidityError, ConvergenceError
        If the model refuses a stimulus.
    """
    ensembles = gather(traces)
    everything = np.concatenate([e.ln_conductance.ravel() for e in ensembles])
    span = max(_span(everything), 1e-12)
    found = []
    for e in ensembles:
        observed, model_ln = e.typical(), predicted(model, e, _LN_G)
        found.append(
            Residuals(
                e.name,
                e.time_s,
                e.voltage_V,
                np.exp(e.ln_conductance),
                np.exp(observed),
                np.exp(model_ln),
                left_over(observed, model_ln, e.typical_bound) / span,
                _error(observed, model_ln, everything, e.typical_bound),
            )
        )
    return found
