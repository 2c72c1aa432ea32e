"""Current-voltage measurements at one or several temperatures: tables, CSV files and the branch to analyse.

A measurement is a Dataset of points in the order in which they were taken:

=========== ==== =====================================================================
voltage     V    applied voltage
current     A    measured current
temperature K    of the film
sweep       1    optional: 1 where the voltage moves away from zero, -1 where it returns
=========== ==== =====================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..constants import BOLTZMANN_EV_K
from ..errors import DataError, InputError
from ..measurements.text import (
    chosen,
    fields_of,
    header_at,
    lines_of,
    number_of,
    printed_unit,
    separator_of,
    text_of,
    unit_scale,
    word_of,
)

__all__ = ["Branch", "Points", "join", "measurement", "read_csv", "select"]

Array = NDArray[np.float64]

# readings closer than this belong to one set temperature: the scatter of a cryostat, not a step of a series
SAME_TEMPERATURE_K = 1.5

_UNITS = {"voltage": "V", "current": "A", "temperature": "K"}
_LABELS = {"voltage": "voltage", "current": "current", "temperature": "temperature"}


@dataclass(frozen=True)
class Branch:
    """The part of a loop that one law shall describe.

    Parameters
    ----------
    polarity : {'positive', 'negative'}
        Sign of the voltage.
    sweep : {'up', 'down', 'all'}
        ``"up"``: while the size of the voltage rises, the device as the sweep found it; ``"down"``: while it
        returns, the device as the sweep left it; ``"all"``: both.
    window_V : (float, float) or None, V
        Smallest and largest size of the voltage. None is from 3 kT/q at the highest temperature to the end: the
        laws of emission count no carriers that go back, which are 5 % of the current at 3 kT/q.

    Raises
    ------
    InputError
        For an unknown name or an empty window.

    Examples
    --------
    >>> Branch(polarity="negative", window_V=(0.2, 1.0)).sweep
    'up'
    """

    polarity: str = "positive"
    sweep: str = "up"
    window_V: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.polarity not in ("positive", "negative"):
            raise InputError("Unknown polarity", got=self.polarity, allowed="positive, negative")
        if self.sweep not in ("up", "down", "all"):
            raise InputError("Unknown sweep", got=self.sweep, allowed="up, down, all")
        if self.window_V is not None:
            ends = tuple(float(v) for v in self.window_V)
            if len(ends) != 2 or not all(math.isfinite(v) for v in ends) or not 0 <= ends[0] < ends[1]:
                raise InputError(
                    "window_V is not a window", got=self.window_V, allowed="0 <= low < high, sizes of the voltage in V"
                )
            object.__setattr__(self, "window_V", ends)

    def __str__(self) -> str:
        """Return the branch in words."""
        way = {"up": "sweep up", "down": "sweep down", "all": "both sweeps"}[self.sweep]
        window = "" if self.window_V is None else f", {self.window_V[0]:g} to {self.window_V[1]:g} V"
        return f"{self.polarity} voltage, {way}{window}"


class Points(NamedTuple):
    """Points of a branch, voltages and currents counted positive along it.

    Attributes
    ----------
    V, I, T : array, shape (points,), V, A, K
    run : array of int, shape (points,)
        Number of the unbroken run that a point belongs to.
    """

    V: Array
    I: Array  # noqa: E741 - the symbol of the field
    T: Array
    run: NDArray[np.int64]

    def keep(self, which: NDArray[np.bool_]) -> Points:
        """Return those points where `which` holds.

        Parameters
        ----------
        which : array of bool, shape (n,)
        """
        return Points(self.V[which], self.I[which], self.T[which], self.run[which])


def measurement(
    voltage_V: ArrayLike, current_A: ArrayLike, temperature_K: ArrayLike, *, sweep: ArrayLike | None = None
) -> xr.Dataset:
    """Table of a measurement from arrays.

    Parameters
    ----------
    voltage_V, current_A, temperature_K : float or array, V, A, K
        Broadcast against each other and read in C order, so that ``(temperatures, voltages)`` is a series of
        sweeps.
    sweep : array of int, optional
        1 where the voltage moves away from zero, -1 where it returns; found from the order if not given.

    Returns
    -------
    xarray.Dataset
        Dimension ``point``.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, a temperature is not positive.

    Examples
    --------
    >>> V = np.linspace(0.1, 1.0, 10)
    >>> measurement(V, 1e-9 * V, 300.0).sizes["point"]
    10
    """
    try:
        arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (voltage_V, current_A, temperature_K)))
        ways = None if sweep is None else np.broadcast_to(np.asarray(sweep, dtype=int), arrays[0].shape).ravel()
    except (ValueError, TypeError) as error:
        raise InputError("The columns of the measurement do not fit together", got=str(error)) from error
    data = {
        name: ("point", np.ravel(array).copy(), {"units": unit, "long_name": _LABELS[name]})
        for (name, unit), array in zip(_UNITS.items(), arrays, strict=True)
    }
    table = xr.Dataset(data)
    if ways is not None:
        if not np.isin(ways, (-1, 1)).all():
            raise InputError("sweep must be 1 (away from zero) or -1 (back)", got=sorted(set(ways.tolist())))
        table["sweep"] = ("point", ways, {"units": "1", "long_name": "sweep direction"})
    return _checked(table)


def _checked(table: xr.Dataset) -> xr.Dataset:
    """A table with dimension ``point``, whatever dimensions the user's Dataset had."""
    for name, unit in _UNITS.items():
        if name not in table.variables:
            raise InputError(
                f"The measurement lacks variable {name!r}",
                got=[str(v) for v in table.variables],
                allowed=", ".join(_UNITS),
                action="Build it with conduction.measurement(voltage_V, current_A, temperature_K)",
            )
        if table[name].attrs.get("units") != unit:
            raise InputError(
                f"{name} of the measurement has the wrong unit", got=table[name].attrs.get("units"), allowed=unit
            )
    names = [*_UNITS, *(["sweep"] if "sweep" in table.variables else [])]
    arrays = dict(zip(names, xr.broadcast(*(table[name] for name in names)), strict=True))
    dims = arrays["current"].dims
    if len(dims) > 1 and "temperature" in dims:  # a sweep at each temperature, not a temperature at each voltage
        dims = ("temperature", *(d for d in dims if d != "temperature"))
    flat = xr.Dataset(
        {
            name: ("point", array.transpose(*dims).values.ravel().astype(float), dict(table[name].attrs))
            for name, array in arrays.items()
        }
    )
    for name in _UNITS:
        bad = ~np.isfinite(flat[name].values) | ((flat[name].values <= 0) if name == "temperature" else False)
        if bad.any():
            raise InputError(
                f"{name} of the measurement is not {'positive' if name == 'temperature' else 'finite'}",
                got=f"{flat[name].values[bad][0]} at point {int(np.flatnonzero(bad)[0])}",
                action="Drop that point",
            )
    return flat


def join(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Several measurements as one, for instance of one temperature each.

    Parameters
    ----------
    tables : sequence of xarray.Dataset, not empty
        See :func:`measurement`.

    Returns
    -------
    xarray.Dataset
        Of all points, in the order of the tables.

    Raises
    ------
    InputError
        If there is none, or some have a variable ``sweep`` and some have none.
    """
    flat = [_checked(table) for table in tables]
    if not flat:
        raise InputError("No measurement to join")
    marked = ["sweep" in table for table in flat]
    if any(marked) and not all(marked):
        raise InputError(
            "Some measurements tell the sweep and some do not",
            got=f"{sum(marked)} of {len(marked)} with a column sweep",
            action="Add it to all or to none",
        )
    columns = [np.concatenate([table[name].values for table in flat]) for name in _UNITS]
    ways = np.concatenate([table["sweep"].values for table in flat]) if all(marked) else None
    return measurement(*columns, sweep=ways)


# -- files -------------------------------------------------------------------------------------------------------

_WORDS = {
    "voltage": ("voltage", "v", "u", "bias", "vd", "vtop"),
    "current": ("current", "i", "id", "itop"),
    "temperature": ("temperature", "temp", "t"),
    "sweep": ("sweep", "branch", "direction"),
}


def read_csv(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    temperature_K: float | None = None,
) -> xr.Dataset:
    """Read a measurement from a CSV file.

    Parameters
    ----------
    path : path
        Text (UTF-8, or else Windows-1252) with one header line, whatever stands before it; fields separated by
        comma, semicolon or tab; lines that start with # are comments. Units stand in the header: ``voltage_V``,
        ``Voltage (V)``, ``I [mA]``, ``Current/nA``, ``T (K)``, ``Temperature (°C)``. A quantity without a column
        of its name is taken from the only column that bears its unit: ``V1 [V]``. A column ``sweep`` of ``up``
        (away from zero) and ``down`` is optional.
    columns : mapping, optional
        Header of each quantity, if it is not found by itself: ``{"current": "Channel 2 [nA]"}``. A header given
        here that names no unit needs it after a colon: ``{"current": "Channel 2:nA"}``.
    temperature_K : float, K, optional
        Of the whole file, if it has no column for it.

    Returns
    -------
    xarray.Dataset
        See :func:`measurement`. Attribute ``read_as`` says in words which column was read in which unit.

    Raises
    ------
    DataError
        If the file cannot be read; names the file, the line and the column.
    """
    file = Path(path)
    text, told = text_of(file)
    lines = [(n, line) for n, line in lines_of(text) if not line.startswith("#")]
    start = header_at(lines)
    if start:
        told.append(f"header in line {lines[start][0]}, what stands before it skipped")
    lines = lines[start:]
    if len(lines) < 2:
        raise DataError("holds no table", file=file, key="(file)", allowed="a header line and lines of numbers")
    separator = separator_of(lines[0][1])
    header = fields_of(lines[0][1], separator, file, lines[0][0])
    places, scales, units = _columns(header, dict(columns or {}), file, lines[0][0], temperature_K)
    values: dict[str, list[float]] = {name: [] for name in places}
    for number, line in lines[1:]:
        fields = fields_of(line, separator, file, number)
        if len(fields) != len(header):
            raise DataError(
                "line has another number of fields than the header",
                file=file,
                key=f"line {number}",
                got=len(fields),
                allowed=str(len(header)),
            )
        for name, place in places.items():
            values[name].append(
                _number(fields[place], name, separator, file, f"line {number}, column {header[place]!r}")
            )
    arrays = {
        name: np.array(column) * scales[name][0] + scales[name][1] if name in scales else np.array(column)
        for name, column in values.items()
    }
    if "temperature" in arrays and (arrays["temperature"] <= 0).any():
        worst = int(np.argmin(arrays["temperature"]))
        raise DataError(
            "temperature is not above absolute zero",
            file=file,
            key=f"line {lines[1 + worst][0]}, column {header[places['temperature']]!r}",
            got=f"{arrays['temperature'][worst]:g} K",
            action="Check the unit in the header",
        )
    table = measurement(
        arrays["voltage"],
        arrays["current"],
        arrays.get("temperature", np.array(math.nan if temperature_K is None else temperature_K)),
        sweep=arrays.get("sweep"),
    )
    table.attrs["file"] = str(file)
    said = [f"{name} from {header[places[name]]!r} in {units[name]}" for name in _UNITS if name in places]
    if "temperature" not in places:
        said.append(f"temperature {temperature_K:g} K as given")
    table.attrs["read_as"] = "; ".join([", ".join(said), *told])
    return table


def _columns(
    header: Sequence[str], named: dict[str, str], file: Path, line: int, temperature_K: float | None
) -> tuple[dict[str, int], dict[str, tuple[float, float]], dict[str, str]]:
    """Place of each quantity in the header, the factor and offset to SI, and the unit in words."""
    named, given = chosen(header, named, _WORDS, file, line)
    places: dict[str, int] = {}
    scales: dict[str, tuple[float, float]] = {}
    units: dict[str, str] = {}
    for name in _WORDS:
        place = _place(name, header, named, file, line, temperature_K)
        if place is None:
            continue
        places[name] = place
        if name == "sweep":
            continue
        key = f"line {line}, column {header[place]!r}"
        printed = printed_unit(header[place])
        scale = unit_scale(printed, _UNITS[name])
        if name in given:
            stated = unit_scale(given[name], _UNITS[name])
            if stated is not None and scale is not None and stated != scale:
                raise DataError(
                    f"the header names another unit of {name} than is given",
                    file=file,
                    key=key,
                    got=given[name],
                    allowed=printed,
                )
            printed, scale = given[name], stated
        if scale is None:
            raise DataError(
                f"the header names no unit of {name}" if printed is None else f"unknown unit of {name}",
                file=file,
                key=key,
                got=printed,
                allowed=f"{_UNITS[name]} with a prefix{', °C' if name == 'temperature' else ''}",
                action=f"Write it as {name}_{_UNITS[name]} or {name} ({_UNITS[name]}), or give the unit: "
                f'--column "{name}={header[place]}:{_UNITS[name]}"',
            )
        assert printed is not None
        scales[name], units[name] = scale, "°C" if scale[1] else printed
    return places, scales, units


def _place(
    name: str, header: Sequence[str], named: Mapping[str, str], file: Path, line: int, temperature_K: float | None
) -> int | None:
    """Column of a quantity: the one named, the one with its name, the only one with its unit."""
    if name in named:
        return header.index(named[name])
    words = [word_of(label) for label in header]
    found = [n for n, word in enumerate(words) if word in _WORDS[name]]
    if not found and name != "sweep" and not (name == "temperature" and temperature_K is not None):
        taken = {header.index(label) for label in named.values()}
        # C alone is the coulomb too
        found = [
            n
            for n, label in enumerate(header)
            if n not in taken
            and unit_scale(printed_unit(label), _UNITS[name]) is not None
            and (printed_unit(label) != "C" or words[n].startswith("t") or "temp" in label.lower())
        ]
    choose = f"Choose one with columns={{{name!r}: ...}}, on the command line --column {name}=HEADER"
    if len(found) > 1:
        raise DataError(
            f"several columns could be the {name}",
            file=file,
            key=f"line {line}",
            got=", ".join(repr(header[n]) for n in found),
            action=choose,
        )
    if found:
        return found[0]
    if name == "sweep" or (name == "temperature" and temperature_K is not None):
        return None
    raise DataError(
        f"no column is the {name}",
        file=file,
        key=f"line {line}",
        got=", ".join(header),
        allowed=f"for instance {name}_{_UNITS[name]}",
        action="Give temperature_K, on the command line --temperature, if all is at one temperature"
        if name == "temperature"
        else choose,
    )


def _number(text: str, name: str, separator: str, file: Path, where: str) -> float:
    if name == "sweep":
        ways = {"up": 1.0, "1": 1.0, "+1": 1.0, "down": -1.0, "-1": -1.0}
        if text.lower() not in ways:
            raise DataError("unknown sweep", file=file, key=where, got=text, allowed="up (away from zero), down")
        return ways[text.lower()]
    number = number_of(text, separator)
    if not math.isfinite(number):
        raise DataError("not a finite number", file=file, key=where, got=text, action="Correct or drop the line")
    return number


# -- branches ----------------------------------------------------------------------------------------------------


def select(data: xr.Dataset, branch: Branch) -> Points:
    """Points of a branch, in the order of the measurement.

    Parameters
    ----------
    data : xarray.Dataset
        Variables ``voltage``, ``current``, ``temperature`` with units, over any dimensions.
    branch : Branch

    Raises
    ------
    InputError
        If the data are not a measurement or nothing lies on the branch; says what there is instead.
    """
    table = _checked(data)
    V, I, T = (table[name].values for name in _UNITS)  # noqa: E741
    size = np.abs(V)
    new = np.ones(V.size, dtype=bool)
    if V.size > 1:
        new[1:] = (np.abs(np.diff(T)) > SAME_TEMPERATURE_K) | (V[1:] * V[:-1] < 0)
    way = table["sweep"].values if "sweep" in table else _ways(size, new)
    if V.size > 1:
        new[1:] |= np.diff(way) != 0
    run = np.cumsum(new)
    low, high = branch.window_V or (3.0 * BOLTZMANN_EV_K * float(T.max()), math.inf)
    sign = 1.0 if branch.polarity == "positive" else -1.0
    side = sign * V > 0
    swept = np.ones(V.size, dtype=bool) if branch.sweep == "all" else way == (1 if branch.sweep == "up" else -1)
    inside = (size >= low * (1 - 1e-9)) & (size <= high * (1 + 1e-9)) & (size > 0)
    chosen = side & swept & inside
    if not chosen.any():
        there = [
            f"{int(np.sum(s & w & (size > 0)))} at {p} voltage on the sweep {d}"
            for p, s in (("positive", V > 0), ("negative", V < 0))
            for d, w in (("up", way == 1), ("down", way == -1))
        ]
        raise InputError(
            f"The measurement has no point at {branch}",
            got=f"{', '.join(there)}; sizes {size.min():g} to {size.max():g} V",
            action="Choose another polarity, sweep or window",
        )
    return Points(size[chosen], sign * I[chosen], T[chosen], run[chosen])


def _ways(size: Array, new: NDArray[np.bool_]) -> Array:
    """1 where the size of the voltage rises from point to point within a sweep, -1 where it falls."""
    way = np.ones(size.size)
    starts = np.flatnonzero(new)
    for start, stop in zip(starts, [*starts[1:], size.size], strict=True):
        steps = np.sign(np.diff(size[start:stop]))
        moving = np.flatnonzero(steps)
        if not moving.size:
            continue
        # where the voltage rests, the sweep goes on as before; the turning point belongs to the way there
        held = np.searchsorted(moving, np.arange(steps.size), side="right") - 1
        way[start + 1 : stop] = steps[moving[np.maximum(held, 0)]]
        way[start] = way[start + 1]
    return way
