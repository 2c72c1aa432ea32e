"""One run of a trace: how to get at it, its cycles, its columns, crossings and the work done on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...physics import trace as traces
from ...physics.errors import InputError

__all__ = ["columns", "crossing", "cycles", "each", "limited", "runs", "several", "stretches", "work"]

Array = NDArray[np.float64]
_COLUMNS = ("voltage", "current", "conductance")
_UNITS = {"voltage": "V", "device_voltage": "V", "current": "A", "conductance": "S"}


def runs(trace: xr.Dataset) -> Iterator[tuple[dict[str, int], xr.Dataset]]:
    """Each one-dimensional run in a trace with its indices; a one-dimensional trace yields itself.

    Parameters
    ----------
    trace : Dataset
        Every dimension of its conductance besides ``time`` counts runs.
    """
    extra = [d for d in trace["conductance"].dims if d != "time"]
    shape = tuple(trace.sizes[d] for d in extra)
    for index in np.ndindex(shape):
        where = {str(d): int(i) for d, i in zip(extra, index, strict=True)}
        yield where, trace.isel(where)


def each(given: xr.Dataset | Sequence[xr.Dataset]) -> Iterator[tuple[str, xr.Dataset]]:
    """Every run of one trace or several, with the name of the device that it is of.

    Parameters
    ----------
    given : Dataset or sequence of Dataset

    Raises
    ------
    InputError
        If there is no trace, or one does not follow the schema.

    Notes
    -----
    Runs along ``cycle`` are of one device. Runs along any other dimension, and traces given one by one, count as
    devices of their own: a replica of a simulation is another filament.
    """
    for i, trace in enumerate(several(given)):
        for where, run in runs(trace):
            device = [f"{name} {index}" for name, index in where.items() if name != "cycle"]
            yield ", ".join([f"trace {i}", *device]), run


def several(given: xr.Dataset | Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """One trace or several as a list, each checked.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Traces of the schema of :mod:`halidrift.physics.trace`.

    Returns
    -------
    list of Dataset

    Raises
    ------
    InputError
        If there is no trace, or one does not follow the schema.
    """
    found = [given] if isinstance(given, xr.Dataset) else list(given)
    if not found:
        raise InputError("A figure of merit needs a trace", got="none", action="Simulate or read at least one")
    for i, trace in enumerate(found):
        if not isinstance(trace, xr.Dataset):
            raise InputError(
                f"traces[{i}] is not a trace", got=type(trace).__name__, allowed="xarray.Dataset as physics.trace makes"
            )
        traces.check(trace, name=f"traces[{i}]")
    return found


def cycles(trace: xr.Dataset, *, following: int = 0) -> list[xr.Dataset]:
    """Cut a run of many sweeps or pulses into one piece a cycle.

    Parameters
    ----------
    trace : Dataset
        One run.
    following : int, >= 0
        How many of the next cycles each piece holds besides its own, as far as there are any.

    Returns
    -------
    list of Dataset
        A cycle begins at the last instant before the voltage rises above zero and ends where the next begins.
        Positive excursions below half of the highest, as reads are, begin none. A run without positive voltage has
        no cycle. What lies before the first cycle is left out.
    """
    _, voltage, _, _ = columns(trace)
    if not (voltage > 0).any():
        return []
    high = 0.5 * voltage.max()
    starts = [max(a - 1, 0) for a, b in stretches(voltage > 0) if voltage[a : b + 1].max() >= high]
    last = voltage.size - 1
    ends = [*starts[1 + following :], *[last] * (1 + following)][: len(starts)]
    pieces = []
    for a, b in zip(starts, ends, strict=True):
        piece = trace.isel(time=slice(a, b + 1))
        # the recorded waveform is that of the whole run
        piece.attrs = {name: value for name, value in trace.attrs.items() if name != "waveform"}
        pieces.append(piece)
    return pieces


def columns(trace: xr.Dataset) -> tuple[NDArray[np.float64], ...]:
    """Time, source voltage, current and conductance of one run; the conductance never below 1e-300 S.

    Parameters
    ----------
    trace : Dataset
        One-dimensional.

    Raises
    ------
    InputError
        If the trace does not follow the schema, has further dimensions, or a negative conductance: noise at voltages
        too small to read, which would count as a state.
    """
    found = trace.variables
    known = all(name in found and found[name].attrs.get("units") == unit for name, unit in _UNITS.items())
    time, voltage, current, conductance = (
        (found[name].values.astype(float) for name in ("time", *_COLUMNS)) if known else (np.array([np.nan]),) * 4
    )
    # the whole check takes longer than most figures of merit: for its words only
    if not all(np.isfinite(values).all() for values in (voltage, current, conductance)):
        traces.check(trace)
    if trace["conductance"].ndim != 1:
        raise InputError(
            "A figure of merit is of one run",
            got=f"dimensions {trace['conductance'].dims}",
            allowed="(time,)",
            action="Loop over characterise.runs(trace)",
        )
    if (conductance < 0).any():
        i = int(np.argmin(conductance))
        raise InputError(
            "The conductance is negative",
            got=f"{conductance[i]:.3g} S at {time[i]:g} s, {voltage[i]:g} V",
            allowed=">= 0 S",
            action="Drop the instants at voltages too small to read",
        )
    return time, voltage, current, np.maximum(conductance, 1e-300)


def limited(trace: xr.Dataset) -> NDArray[np.bool_]:
    """Instants at which the source held the current back, so that it is a lower bound.

    Parameters
    ----------
    trace : Dataset
        One run. A simulation has the voltage of the device below that of the source there; a measurement, which rarely
        knows it, says so in ``lower_bound``.

    Returns
    -------
    array of bool, shape (time,)
    """
    source, device = (np.abs(trace.variables[name].values) for name in ("voltage", "device_voltage"))
    held = device < 0.99 * source
    return held | (trace.variables["lower_bound"].values > 0) if "lower_bound" in trace.variables else held


def crossing(x: NDArray[np.float64], y: NDArray[np.float64], i: int, level: float) -> float:
    """x at which the line from point i - 1 to point i meets y = level.

    Parameters
    ----------
    x, y : array, shape (n,)
        Abscissa and ordinate, in any units.
    i : int, >= 0
        First point at or beyond `level`.
    level : float
        In the unit of `y`.

    Returns
    -------
    float
        In the unit of `x`, between the two points; that of point i where i is 0 or the line is flat.
    """
    if i == 0 or y[i] == y[i - 1]:
        return float(x[i])
    share = (level - y[i - 1]) / (y[i] - y[i - 1])
    return float(x[i - 1] + min(max(share, 0.0), 1.0) * (x[i] - x[i - 1]))


def stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of true values.

    Parameters
    ----------
    mask : array of bool, shape (n,)

    Returns
    -------
    list of (int, int)
        In order, both indices included.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def work(trace: xr.Dataset, start_s: float, stop_s: float, *, rule: str | None = None) -> float:
    r"""Energy that the device takes up, :math:`\int V_\mathrm{device} I\,dt`, J.

    Parameters
    ----------
    trace : Dataset
        One run.
    start_s, stop_s : float, s
        Within the trace.
    rule : {"linear", "segment"}, optional
        Current between two instants: a straight line (exact, as the voltage is one too, where the current is), or
        that of the later instant (exact for the displacement current of a ramp, which jumps at a corner). The latter
        where the trace has a ``displacement_current``, if not given.

    Raises
    ------
    InputError
        If the interval lies outside the trace or is reversed.
    """
    time, _, current, _ = columns(trace)
    voltage = trace.variables["device_voltage"].values.astype(float)
    if not time[0] <= start_s <= stop_s <= time[-1]:
        raise InputError(
            "The interval lies outside the trace",
            got=f"{start_s:g} to {stop_s:g} s",
            allowed=f"{time[0]:g} to {time[-1]:g} s",
        )
    if rule is None:
        rule = "segment" if "displacement_current" in trace else "linear"
    if rule == "segment":
        power = current[1:] * 0.5 * (voltage[1:] + voltage[:-1])
        return float(np.sum(power * np.clip(np.minimum(time[1:], stop_s) - np.maximum(time[:-1], start_s), 0.0, None)))
    if rule != "linear":
        raise InputError("Unknown rule", got=rule, allowed="linear, segment")
    inside = time[(time > start_s) & (time < stop_s)]
    t = np.concatenate([[start_s], inside, [stop_s]])
    V, I = np.interp(t, time, voltage), np.interp(t, time, current)  # noqa: E741 - the symbol of the field
    # the integral of a product of two straight lines
    mean = (2.0 * (V[:-1] * I[:-1] + V[1:] * I[1:]) + V[:-1] * I[1:] + V[1:] * I[:-1]) / 6.0
    return float(np.sum(mean * np.diff(t)))
