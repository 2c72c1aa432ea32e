"""Ensembles: traces of one stimulus brought together, as the fits need them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import trace as traces
from ..physics.errors import InputError
from ..physics.waveform import Waveform
from .characterise import runs

__all__ = ["Ensemble", "gather", "sources_of"]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Runs of one stimulus at one temperature.

    Attributes
    ----------
    name : str
        Which traces, for reports.
    waveform : Waveform
    time_s : array, shape (time,), s
    voltage_V : array, shape (time,), V
        Of the source.
    ln_conductance : array, shape (runs, time), 1
        ln(G / S).
    devices : array of int, shape (runs,)
        Device of each run; all zero where the traces name none.
    temperature_K : float, K
    members : tuple of Dataset
        The one-dimensional runs.
    """

    name: str
    waveform: Waveform
    time_s: NDArray[np.float64]
    voltage_V: NDArray[np.float64]
    ln_conductance: NDArray[np.float64]
    devices: NDArray[np.int64]
    temperature_K: float
    members: tuple[xr.Dataset, ...]

    @property
    def size(self) -> int:
        """Number of runs."""
        return self.ln_conductance.shape[0]

    @cached_property
    def bounds(self) -> NDArray[np.bool_]:
        """Where a conductance is a lower bound, ``lower_bound`` of the traces, shape (runs, time)."""
        nowhere = np.zeros(self.time_s.size, dtype=bool)
        return np.array([run["lower_bound"].values > 0 if "lower_bound" in run else nowhere for run in self.members])

    @cached_property
    def typical_bound(self) -> NDArray[np.bool_]:
        """Where the typical run is a lower bound: one of the runs that it is made of is, or one below it."""
        rows = self.ln_conductance
        if rows.shape[0] < 3:
            return np.asarray(self.bounds.any(axis=0))
        # bounds above the middle leave the median where it is, however far above
        middle = np.sort(rows, axis=0)[rows.shape[0] // 2]
        return np.asarray((self.bounds & (rows <= middle)).any(axis=0))

    def typical(self, chosen: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """ln G of the typical run: the median at each instant, from three runs on, else their mean.

        The median, since a filament breaks abruptly and at random: the mean of such runs decays smoothly although
        none of them does, whereas the median is the run with the median break.

        Parameters
        ----------
        chosen : array of int, shape (n,), optional
            Indices of the runs, with repetition in a bootstrap; all runs if not given.

        Returns
        -------
        array, shape (time,), 1
            ln(G / S).
        """
        rows = self.ln_conductance if chosen is None else self.ln_conductance[chosen]
        return np.median(rows, axis=0) if rows.shape[0] >= 3 else rows.mean(axis=0)


def _temperature(trace: xr.Dataset) -> float:
    """Temperature of a trace, K: attribute or simulation parameter; 300 K if it says nothing."""
    if "temperature_K" in trace.attrs:
        return float(trace.attrs["temperature_K"])
    try:
        return float(json.loads(trace.attrs.get("parameters", "{}")).get("temperature_K", 300.0))
    except (ValueError, TypeError, AttributeError):
        return 300.0


def sources_of(given: Iterable[xr.Dataset]) -> tuple[str, ...]:
    """Bib keys of traces.

    Parameters
    ----------
    given : iterable of Dataset
        The keys are read from their attribute ``sources``.

    Returns
    -------
    tuple of str
        Sorted, each once.
    """
    return tuple(sorted({key for trace in given for key in json.loads(trace.attrs.get("sources", "[]"))}))


def gather(given: Sequence[xr.Dataset] | xr.Dataset) -> list[Ensemble]:
    """Sort traces, with any dimensions besides time, into ensembles of equal stimulus and temperature.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Runs count as one ensemble if waveform, temperature (within 1 mK) and instants are equal; the dimension
        ``device`` names devices.

    Returns
    -------
    list of Ensemble
        In the order in which their first trace was given.

    Raises
    ------
    InputError
        If there is no trace, one is not a trace, or one is too short.
    """
    if isinstance(given, xr.Dataset):
        given = [given]
    if not given:
        raise InputError("A fit needs traces", got="none", action="Simulate or read at least one trace")
    groups: dict[tuple[Waveform, float, bytes], list[tuple[str, xr.Dataset, int]]] = {}
    for i, trace in enumerate(given):
        if not isinstance(trace, xr.Dataset):
            raise InputError(
                f"traces[{i}] is not a trace", got=type(trace).__name__, allowed="xarray.Dataset as physics.trace makes"
            )
        traces.check(trace, name=f"traces[{i}]")
        if trace.sizes["time"] < 10:
            raise InputError(f"traces[{i}] is too short to fit", got=f"{trace.sizes['time']} instants", allowed=">= 10")
        for where, run in runs(trace):
            waveform = traces.waveform_of(run)
            key = (waveform, round(_temperature(trace), 3), run["time"].values.tobytes())
            groups.setdefault(key, []).append((str(i), run, where.get("device", 0)))
    ensembles = []
    for key, members in groups.items():
        numbers = sorted({number for number, _, _ in members}, key=int)
        label = numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        first = members[0][1]
        ensembles.append(
            Ensemble(
                f"trace {label}",
                key[0],
                first["time"].values.astype(float),
                first["voltage"].values.astype(float),
                np.array([np.log(np.maximum(run["conductance"].values, 1e-18)) for _, run, _ in members]),
                np.array([device for _, _, device in members]),
                key[1],
                tuple(run for _, run, _ in members),
            )
        )
    return ensembles
