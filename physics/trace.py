"""The trace: the one Dataset that every simulation returns and every later step reads.

Variables over dimension ``time`` (and optionally ``device``, ``cycle``):

============== ==== ================================================================================
time           s    instants of :attr:`Waveform.times_s`
voltage        V    what the source would apply (the waveform)
device_voltage V    what the device sees once the compliance limit has acted
current        A    current through the device, signed
conductance    S    of the electrons, defined at zero voltage too; current / device_voltage where no ionic or
                    displacement current flows
============== ==== ================================================================================

A model may add variables (temperature, atom counts, fields); each carries ``units``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from .errors import DataError, InputError
from .files import write_whole
from .waveform import Waveform

__all__ = ["check", "load", "make", "read", "waveform_of", "write"]

_REQUIRED = {
    "voltage": ("V", "source voltage"),
    "device_voltage": ("V", "device voltage"),
    "current": ("A", "current"),
    "conductance": ("S", "conductance"),
}


def make(
    waveform: Waveform,
    *,
    model: str,
    device_voltage_V: ArrayLike,
    current_A: ArrayLike,
    conductance_S: ArrayLike,
    parameters: Mapping[str, Any],
    sources: Sequence[str] = (),
    seed: str | None = None,
    extra: Mapping[str, tuple[Any, ArrayLike, str, str]] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Build a trace at the report times of a waveform.

    Parameters
    ----------
    waveform : Waveform
        The stimulus; gives ``time`` and ``voltage``.
    model : str
        Name of the simulation that made the trace.
    device_voltage_V, current_A, conductance_S : array, shape (time,), V, A and S
    parameters : mapping
        What is needed to run it again; must be JSON-serialisable.
    sources : sequence of str
        Bib keys.
    seed : str, optional
        State of the random generator before the run.
    extra : mapping of name to (dims, values, unit, long name), optional
        Further variables.
    attrs : mapping, optional
        Further attributes.

    Returns
    -------
    xarray.Dataset
        Passes :func:`check`.
    """
    from .. import __version__

    time = waveform.times_s
    columns: dict[str, tuple[Any, Any, str, str]] = {
        "voltage": ("time", waveform.voltage_at(time), *_REQUIRED["voltage"]),
        "device_voltage": ("time", device_voltage_V, *_REQUIRED["device_voltage"]),
        "current": ("time", current_A, *_REQUIRED["current"]),
        "conductance": ("time", conductance_S, *_REQUIRED["conductance"]),
        **(extra or {}),
    }
    data = {
        name: (dims, np.asarray(values), {"units": unit, "long_name": label})
        for name, (dims, values, unit, label) in columns.items()
    }
    trace = xr.Dataset(data, coords={"time": ("time", time, {"units": "s", "long_name": "time"})})
    trace.attrs.update(
        model=model,
        version=__version__,
        parameters=json.dumps(dict(parameters), sort_keys=True),
        sources=json.dumps(sorted(set(sources))),
        seed="" if seed is None else seed,
        waveform=json.dumps(waveform.to_dict()),
        **dict(attrs or {}),
    )
    return check(trace)


def check(trace: xr.Dataset, *, name: str = "trace") -> xr.Dataset:
    """Return the trace if it follows the schema.

    Parameters
    ----------
    trace : xarray.Dataset
        With ``voltage``, ``device_voltage`` (V), ``current`` (A), ``conductance`` (S) over ``time`` (s).
    name : str
        What messages call it.

    Returns
    -------
    xarray.Dataset
        The trace itself.

    Raises
    ------
    InputError
        If a variable, its dimension or its unit is missing, or a required value is not finite.
    """
    if "time" not in trace.coords:
        raise InputError(f"{name} has no coordinate 'time'", got=list(trace.coords), allowed="time in seconds")
    for variable, (unit, _) in _REQUIRED.items():
        if variable not in trace:
            raise InputError(
                f"{name} lacks variable {variable!r}",
                got=list(trace.data_vars),
                allowed=f"{', '.join(_REQUIRED)}",
            )
        if "time" not in trace[variable].dims:
            raise InputError(f"{name}.{variable} lacks dimension 'time'", got=trace[variable].dims)
        if trace[variable].attrs.get("units") != unit:
            raise InputError(
                f"{name}.{variable} has the wrong unit", got=trace[variable].attrs.get("units"), allowed=unit
            )
        _finite(trace[variable], f"{name}.{variable}")
    _finite(trace["time"], f"{name}.time")
    for other, values in trace.data_vars.items():
        if "units" not in values.attrs:
            raise InputError(f"{name}.{other} has no units attribute", action='Set attrs["units"], "1" if none')
    return trace


def _finite(values: xr.DataArray, name: str) -> None:
    if values.dtype.kind not in "fiu":
        raise InputError(f"{name} does not hold numbers", got=str(values.dtype), allowed="real numbers")
    if not np.isfinite(values.values).all():
        raise InputError(f"{name} holds values that are not finite", action="Drop those instants first")


def waveform_of(trace: xr.Dataset) -> Waveform:
    """The stimulus that made the trace; for a measured trace, the piecewise line through its voltages.

    Parameters
    ----------
    trace : xarray.Dataset

    Raises
    ------
    InputError
        If the trace has several devices or cycles and no recorded waveform, or the record is damaged.
    """
    if "waveform" in trace.attrs:
        try:
            record = json.loads(trace.attrs["waveform"])
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError("attrs['waveform'] of the trace is not JSON", got=str(error)) from error
        return Waveform.from_dict(record)
    voltage = trace["voltage"]
    if voltage.ndim != 1:
        raise InputError("A measured trace must be one-dimensional to act as a waveform", got=voltage.dims)
    limit = trace.attrs.get("compliance_A", np.inf)
    return Waveform(trace["time"].values, voltage.values, np.array(limit))


def write(trace: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a trace as NetCDF (version 3, 64-bit offsets); the file appears whole or not at all.

    Parameters
    ----------
    trace : xarray.Dataset
    path : str or path

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    return write_whole(path, lambda temporary: trace.to_netcdf(temporary, engine="scipy"))


def read(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a trace written by :func:`write`, whole, into memory.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If the file is missing or is not a trace.
    """
    return check(load(path), name=str(path))


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a NetCDF file whole, whether it is a trace or not.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    if not os.path.exists(path):
        raise DataError("not a readable trace: there is no such file", file=path, key="(file)", action="Check its name")
    try:
        return xr.load_dataset(path, engine="scipy")
    # scipy's reader believes a header: a damaged one led it to IndexError, KeyError, TypeError, ValueError, MemoryError
    # and its own (benchmarks/fuzz.py). Nothing is swallowed: each becomes a DataError that says which it was
    except Exception as error:
        raise DataError(
            "not a readable trace",
            file=path,
            key="(file)",
            got=f"{type(error).__name__}: {error}",
            allowed="a NetCDF file of halidrift",
            action="A file that was cut short or damaged must be written again, by the command that made it",
        ) from error
