"""What the rows of a report share: runs by kind, thresholds, and how a result becomes a row."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...physics import trace as traces
from ...physics.errors import InputError
from ..ensembles import _temperature
from .distributions import Distribution
from .merits import Merit
from .pieces import columns, each, stretches
from .scaling import sweep_rate
from .spiking import Plasticity, plasticity_of

__all__ = ["NAN", "REVIEW", "Options", "Progress", "Runs", "need", "pooled", "row", "sort", "stimulus"]

NAN = float("nan")
REVIEW = "Yantara 2026, Sec. "
_FEWEST = 5  # observations from which on the law behind them is worth a word


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`report`.

    Attributes
    ----------
    read_V, write_V : float, V, > 0
        Voltages at which sweeps are read for the on/off ratio.
    rest_V : float, V, >= 0, or None
        Largest voltage that counts as no stimulus; None takes half of the largest of each run.
    ratio : float, 1, > 1
        Rise of conductance that counts as SET.
    reset_fraction : float, 1, in (0, 1)
        Fall of conductance that counts as RESET.
    factor : float, 1, > 1
        LRS over HRS conductance below which a cycle has failed.
    consecutive : int, >= 1
        Cycles in a row that must fail for the device to have failed.
    retention_fraction : float, 1, in (0, 1)
        Share of its conductance that a state must keep.
    criterion : float, 1, > 0
        Distance of two states, in the sum of their standard deviations, from which on they count as distinct.
    use_K : float, K, > 0
        Temperature to which retention is extrapolated.
    rectification_V : float, V, > 0
        Magnitude of the voltage at which forward and backward currents are compared.
    """

    read_V: float
    write_V: float
    rest_V: float | None
    ratio: float
    reset_fraction: float
    factor: float
    consecutive: int
    retention_fraction: float
    criterion: float
    use_K: float
    rectification_V: float


class Runs(NamedTuple):
    """Runs by what was done to them; one may be of several kinds.

    Attributes
    ----------
    every : list of (str, Dataset)
        All one-dimensional runs, each with the name of its device.
    sweeps : list of Dataset
        Runs whose voltage rises gradually, so that they have a sweep rate.
    pulses : list of Dataset
        Runs that are no sweep but whose voltage changes.
    spikes : list of (Dataset, Plasticity)
        Runs with reads from which the plasticity of a synapse follows.
    reads : list of Dataset
        Runs whose waveform marks instants of reading.
    """

    every: list[tuple[str, xr.Dataset]]
    sweeps: list[xr.Dataset]
    pulses: list[xr.Dataset]
    spikes: list[tuple[xr.Dataset, Plasticity]]
    reads: list[xr.Dataset]


class Progress:
    """What the metrics share.

    Parameters
    ----------
    runs : Runs
        Sorted by :func:`sort`.
    options : Options
    """

    def __init__(self, runs: Runs, options: Options):
        self.runs, self.options = runs, options
        self.kept: dict[str, Any] = {"distributions": {}}

    def keep(self, found: Distribution, definition: str, source: str, note: str = "") -> Merit:
        """A distribution as a row.

        Parameters
        ----------
        found : Distribution
            Kept under its name, so that later rows can use it; its median becomes the value of the row.
        definition : str
            With the thresholds used.
        source : str
            Where the definition is from.
        note : str
            What the reader must know; the CV of devices and cycles and the Weibull law, where known, are added to it.
        """
        self.kept["distributions"][found.name] = found
        words = [note] if note else []
        if math.isfinite(found.cv_devices):
            words.append(
                f"CV {100 * found.cv_devices:.1f} % between devices, {100 * found.cv_cycles:.1f} % between cycles"
            )
        if found.weibull is not None and found.number - found.censored >= _FEWEST:
            best = f", {found.best} law fits best" if found.best else ""
            unit = "" if found.unit == "1" else f" {found.unit}"
            words.append(f"Weibull shape {found.weibull.shape:.3g}, scale {found.weibull.scale:.3g}{unit}{best}")
        return Merit(
            found.name,
            found.median,
            found.unit,
            found.low,
            found.high,
            found.cv,
            found.number,
            found.censored,
            definition,
            source,
            "; ".join(words),
        )


def sort(given: list[xr.Dataset]) -> Runs:
    """Sort traces by what they are: sweeps, pulses, spikes.

    Parameters
    ----------
    given : list of Dataset
        Traces with any dimensions besides time.
    """
    kept = ["voltage", "device_voltage", "current", "conductance"]
    # the rest, such as the atoms of a filament, is only carried along
    every = [
        (device, run[kept + [name for name in ("displacement_current", "lower_bound") if name in run]])
        for device, run in each(given)
    ]
    sweeps, pulses, spikes, reads = [], [], [], []
    for _, run in every:
        try:
            sweep_rate(run)
            sweeps.append(run)
        except InputError:
            voltage = run["voltage"].values
            if np.ptp(voltage) > 0:
                pulses.append(run)
        if "waveform" in run.attrs and traces.waveform_of(run).reads_s.size:
            reads.append(run)
            with contextlib.suppress(InputError):
                spikes.append((run, plasticity_of(run)))
    return Runs(every, sweeps, pulses, spikes, reads)


def need(runs: Sequence[Any], what: str) -> None:
    """Raise if there is nothing to compute from.

    Parameters
    ----------
    runs : sequence
        Whatever the figure of merit is computed from.
    what : str
        What is missing if there is none, as the object of "needs".
    """
    if not runs:
        raise InputError(f"needs {what}")


def row(name: str, value: float | str, unit: str, definition: str, source: str, **more: Any) -> Merit:
    """Return one row of the report; what is not given is unknown.

    Parameters
    ----------
    name : str
        Of the figure of merit.
    value : float or str
        In `unit`; a word for a verdict.
    unit : str
    definition : str
        With the thresholds used.
    source : str
        Where the definition is from.
    **more : float, int or str
        ``low``, ``high``, ``cv``, ``number``, ``censored`` and ``note`` of :class:`Merit`; nan, one observation, none
        censored and no note by default.
    """
    blank: dict[str, Any] = {"low": NAN, "high": NAN, "cv": NAN, "number": 1, "censored": 0, "note": ""}
    return Merit(name, value, unit, definition=definition, source=source, **(blank | more))


def pooled(runs: Sequence[xr.Dataset]) -> str:
    """A word if different stimuli lie behind one distribution.

    Parameters
    ----------
    runs : sequence of Dataset
        One-dimensional runs whose waveform is known.
    """
    kinds = {stimulus(run) for run in runs}
    return f"{len(kinds)} different stimuli pooled" if len(kinds) > 1 else ""


def stimulus(run: xr.Dataset) -> tuple[float, ...]:
    """What programs a device: turning voltages, compliances, the time at half voltage or more, temperature.

    Parameters
    ----------
    run : Dataset
        One-dimensional, with its waveform.

    Returns
    -------
    tuple of float
        Highest and lowest voltage (V), each compliance current (A), duration of the first stretch above half of the
        largest magnitude (s) and temperature (K), to three digits, so that equal stimuli are equal tuples.
    """
    time, voltage, _, _ = columns(run)
    width = [float(time[b] - time[a]) for a, b in stretches(np.abs(voltage) > 0.5 * np.abs(voltage).max())]
    limits = np.unique(traces.waveform_of(run).compliance_A)
    numbers = (voltage.max(), voltage.min(), *limits, width[0] if width else 0.0, _temperature(run))
    return tuple(float(f"{number:.3g}") for number in numbers)
