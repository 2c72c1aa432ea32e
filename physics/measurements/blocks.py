"""From the columns of files to blocks: one device, one cycle or many, with an instant for every point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, InputError
from .columns import Columns
from .report import Note
from .segmenting import kind_of
from .text import is_number, unit_scale

__all__ = ["Block", "Timing", "blocks_of", "files_of"]

Array = NDArray[np.float64]

SUFFIXES = (".csv", ".tsv", ".txt", ".dat")
_SAME_V = 1e-3  # two readings at one instant whose voltages differ by less are two readings of one point
_EDGE_S = 1e-6
_ASSUMED_RATE_V_S = 1.0
_NUMBER = r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"


@dataclass(frozen=True)
class Timing:
    """Where the instants come from if a file holds none; see :func:`halidrift.physics.measurements.read`.

    Attributes
    ----------
    rate_V_s : float or None, V/s, > 0
        Rate of a sweep: the time between two points is their voltage step over it.
    delay_s : float or None, s, > 0
        Time between two points.
    """

    rate_V_s: float | None = None
    delay_s: float | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """Points of one device in the order in which they were taken.

    Attributes
    ----------
    file, device, cycle : str
        Where it comes from; empty where the file does not tell a device or a cycle.
    lines : array of int, shape (n,)
    time_s, voltage_V, current_A : array, shape (n,), s, V, A
        Finite, time strictly rising from zero.
    device_V : array, shape (n,), V, or None
        Voltage at the device where it was measured beside that of the source.
    flags : array of bool, shape (n,) or None
        Where the instrument says that it limited the current.
    compliance_A : array, shape (n,), A, or None
    temperature_K : float, K
        ``nan`` if the file does not say.
    reads : array of bool, shape (n,) or None
        Points that are readings; None if all are.
    """

    file: str
    device: str
    cycle: str
    lines: NDArray[np.int64]
    time_s: Array
    voltage_V: Array
    current_A: Array
    device_V: Array | None = None
    flags: NDArray[np.bool_] | None = None
    compliance_A: Array | None = None
    temperature_K: float = np.nan
    reads: NDArray[np.bool_] | None = None

    def at(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice, **changes: object) -> Block:
        """The block with those points only.

        Parameters
        ----------
        which : slice, array of int, or array of bool, shape (n,)
        **changes
            Other fields, given anew.
        """
        cut = {
            name: None if (column := getattr(self, name)) is None else column[which]
            for name in ("lines", "time_s", "voltage_V", "current_A", "device_V", "flags", "compliance_A", "reads")
        }
        return replace(self, **{**cut, **changes})  # type: ignore[arg-type]


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in the folders, sorted.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.

    Returns
    -------
    list of Path

    Raises
    ------
    DataError
        If one is not there or a folder holds no file to read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
            if not inside:
                raise DataError(
                    "holds no file to read",
                    file=path,
                    key="(folder)",
                    got=f"{sum(1 for _ in path.iterdir())} entries",
                    allowed=", ".join(f"*{s}" for s in SUFFIXES),
                )
            found += inside
        else:
            found.append(path)
    if not found:
        raise InputError("No file to read", action="Name a file or a folder")
    return found


# -- columns to blocks -------------------------------------------------------------------------------------------


def blocks_of(columns: Columns, timing: Timing, notes: list[Note]) -> list[Block]:
    """Blocks of one table.

    Parameters
    ----------
    columns : Columns
    timing : Timing
        What tells the time where the file has no column of it.
    notes : list of Note
        What was done to the data is added to it.

    Returns
    -------
    list of Block

    Raises
    ------
    DataError
        If nothing is left, or a measurement that only time orders has none.
    """
    values, file = columns.values, columns.file
    if "width" in values and "read_voltage" in values and "resistance" in values:
        return _pulse_and_read(columns, timing, notes)
    voltage = values.get("voltage", values.get("device_voltage", values.get("read_voltage")))
    assert voltage is not None  # columns_of has asked for one
    if "current" in values:
        current = values["current"]
    elif "conductance" in values:
        current = values["conductance"] * voltage
    else:
        resistance = values["resistance"]
        with np.errstate(divide="ignore", invalid="ignore"):
            current = np.where(resistance != 0, voltage / resistance, np.nan)
    time = values.get("time")
    good = np.isfinite(voltage) & np.isfinite(current)
    if time is not None:
        good &= np.isfinite(time)
    if good.sum() < 2:
        raise DataError(
            "no two points with numbers",
            file=file,
            key=f"lines {columns.lines[0]} to {columns.lines[-1]}",
            got=f"{int(good.sum())} of {good.size} points",
        )
    device_V = values.get("device_voltage") if "voltage" in values else None
    if device_V is not None:
        device_V = np.where(np.isfinite(device_V), device_V, np.nan)
    kelvin = values.get("temperature")
    known = np.array([]) if kelvin is None else kelvin[np.isfinite(kelvin)]
    if known.size and known.min() <= 0:
        worst = int(np.nanargmin(kelvin))  # type: ignore[arg-type]
        raise DataError(
            "temperature is not above absolute zero",
            file=file,
            key=f"line {columns.lines[worst]}",
            got=f"{known.min():g} K",
            action="Check the unit in the header",
        )
    limit = values.get("compliance")
    if limit is not None:
        limit = np.where(np.isfinite(limit) & (limit > 0), limit, np.inf)
    flags = values["status"] > 0 if "status" in values else None
    device, cycle = _labels(columns, notes)
    blocks = []
    for name, number in dict.fromkeys(zip(device, cycle, strict=True)):
        own = np.flatnonzero(good & (np.array(device) == name) & (np.array(cycle) == number))
        if own.size < 2:
            notes.append(Note("aside", f"{own.size} points only", file, (), name, number))
            continue
        for k, part in enumerate(_rising(own, time)):
            if part.size < 2:
                text = "a single point between two steps back of the time"
                notes.append(Note("dropped", text, file, tuple(int(n) for n in columns.lines[part]), name, number))
                continue
            own_limit = limit[part] if limit is not None else None
            preamble = _compliance_of(columns.preamble)
            if own_limit is None and preamble is not None:
                own_limit = np.full(part.size, preamble)
            raw = Block(
                file,
                name,
                number if k == 0 or not number else f"{number}.{k + 1}",
                columns.lines[part],
                np.zeros(part.size),
                voltage[part],
                current[part],
                device_V[part] if device_V is not None else None,
                flags[part] if flags is not None else None,
                own_limit,
                float(np.median(known)) if known.size else np.nan,
            )
            timed = _timed(raw, None if time is None else time[part], timing, notes)
            if timed.time_s.size < 2:
                notes.append(Note("aside", "a single instant only", file, (), name, raw.cycle))
                continue
            blocks.append(timed)
        if k:
            text = f"time starts anew {k} times: {k + 1} measurements"
            notes.append(Note("separated", text, file, (), name, number))
    return blocks


def _labels(columns: Columns, notes: list[Note]) -> tuple[list[str], list[str]]:
    """Device and cycle of each row: from columns, the preamble, the name of the file."""
    size, file = columns.lines.size, columns.file
    stem = Path(file).stem
    device = columns.labels.get("device")
    if device is None:
        target = ".".join(t for t in columns.preamble.get("testrecord.testtarget", []) if t) or ".".join(
            t for key in ("device", "device id", "sample", "dut") for t in columns.preamble.get(key, []) if t
        )
        match = re.search(r"(?:device|dev|cell|dut|sample)[ _-]?([A-Za-z0-9]+)", stem, re.IGNORECASE)
        name = target or (match[1] if match else stem)
        if not target and not match:
            notes.append(Note("assumed", f"one device, called {stem!r}: no column and no line names it", file))
        device = [name] * size
    cycle = columns.labels.get("cycle")
    if cycle is None:
        match = re.search(r"(?:cycle|cyc|loop|run)[ _-]?(\d+)", stem, re.IGNORECASE)
        cycle = [match[1] if match else ""] * size
    cycle = [f"{float(c):g}" if is_number(c, ",") and np.isfinite(float(c)) else c for c in cycle]
    return list(device), cycle


def _compliance_of(preamble: dict[str, list[str]]) -> float | None:
    """The limit that the lines above a table name; its unit behind the number, in the next field, or in the name."""
    for key, values in preamble.items():
        if key == "measurement.primary.compliance" or re.fullmatch(
            r"(current ?)?(compliance|limit|icc|i_?cc|compliance[ _]?current|compliance_a)( ?[(\[].*[)\]])?", key
        ):
            if key == "limit":  # of what?
                continue
            match = re.match(rf"{_NUMBER}\s*([a-zA-Zµμ]*)\s*$", " ".join(values[:1]))
            if not match:
                continue
            inner = re.search(r"[(\[]\s*(.*?)\s*[)\]]", key)
            behind = values[1] if len(values) > 1 and key != "measurement.primary.compliance" else ""
            unit = match[2] or behind or (inner[1] if inner else "A")
            # names are in small letters; megaamperes are no limit
            scale = unit_scale(unit if unit in (match[2], behind) else re.sub(r"a$", "A", unit), "A")
            if scale is not None and float(match[1]) != 0:  # of a negative sweep the limit is written negative
                return abs(float(match[1])) * scale[0]
    return None


def _rising(own: NDArray[np.intp], time: Array | None) -> list[NDArray[np.intp]]:
    """Parts of a block in which the time does not step back: a new measurement begins there."""
    if time is None:
        return [own]
    back = np.flatnonzero(np.diff(time[own]) < 0) + 1
    return np.split(own, back)


def _timed(block: Block, time: Array | None, timing: Timing, notes: list[Note]) -> Block:
    """The block with strictly rising instants from zero."""
    V = block.voltage_V
    if time is None:
        steps = np.abs(np.diff(V))
        kind = kind_of(np.arange(V.size, dtype=float), V)
        where = (block.file, (), block.device, block.cycle)
        if timing.delay_s is not None:
            dt = np.full(steps.size, timing.delay_s)
            text = f"no column of time: {timing.delay_s:g} s from point to point, as given"
            notes.append(Note("read", text, *where))
        elif kind != "sweep":
            raise DataError(
                f"no column is the time, which a measurement of {kind} needs",
                file=block.file,
                key=f"line {block.lines[0]}",
                action="Give the time from point to point: delay_s, on the command line --delay",
            )
        else:
            rate = timing.rate_V_s or _ASSUMED_RATE_V_S
            typical = float(np.median(steps[steps > 0])) if (steps > 0).any() else rate
            dt = np.where(steps > 1e-3 * typical, steps, typical) / rate
            if timing.rate_V_s is None:
                text = (
                    f"no column of time: a sweep rate of {rate:g} V/s; every rate and time of a fit scales with it "
                    "(give rate_V_s or delay_s)"
                )
                notes.append(Note("assumed", text, *where))
            else:
                notes.append(Note("read", f"no column of time: {rate:g} V/s, as given", *where))
        return replace(block, time_s=np.concatenate([[0.0], np.cumsum(dt)]))
    t = time - time[0]
    same = np.flatnonzero(np.diff(t) <= 0) + 1
    if not same.size:
        return replace(block, time_s=t)
    # readings of one instant: mean of those at one voltage, a step of the voltage gets a rise time
    keep = np.ones(t.size, dtype=bool)
    current, voltage = block.current_A.copy(), V.copy()
    group, merged, stepped = 0, [], []
    count = 1
    t = t.copy()
    for n in range(1, t.size):
        if time[n] > time[n - 1]:
            group, count = n, 1
            continue
        if abs(V[n] - V[group]) <= _SAME_V:
            count += 1
            current[group] += (block.current_A[n] - current[group]) / count
            voltage[group] += (V[n] - voltage[group]) / count
            keep[n] = False
            merged.append(int(block.lines[n]))
        else:
            later = time[time > time[n]]
            room = float(later[0] - time[n]) if later.size else _EDGE_S * 10
            edge = min(_EDGE_S, room / 100)
            t[n] = t[group] + edge
            if t[n] <= t[group]:
                keep[n] = False
                merged.append(int(block.lines[n]))
            else:
                stepped.append(int(block.lines[n]))
                group, count = n, 1
    if merged:
        text = f"at an instant that is there already ({len(merged)}): mean of the current"
        notes.append(Note("merged", text, block.file, tuple(merged), block.device, block.cycle))
    if stepped:
        text = f"{len(stepped)} steps of the voltage without duration: rise time of {_EDGE_S:g} s or less"
        notes.append(Note("assumed", text, block.file, tuple(stepped), block.device, block.cycle))
    cut = replace(block, current_A=current, voltage_V=voltage, time_s=t).at(keep)
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(cut.time_s)) > 0])
    return cut.at(rising)


def _pulse_and_read(columns: Columns, timing: Timing, notes: list[Note]) -> list[Block]:
    """Tables of ArC ONE and its kin: a row is a pulse of some amplitude and width, then a reading of the resistance."""
    values, file = columns.values, columns.file
    amplitude = values.get("voltage", np.zeros(columns.lines.size))
    width, level, resistance = values["width"], values["read_voltage"], values["resistance"]
    pause = timing.delay_s if timing.delay_s is not None else 1e-3
    text = f"{pause:g} s from pulse to read, of the read, and to the next pulse"
    text += ", as given" if timing.delay_s is not None else ": the file does not say (give delay_s)"
    notes.append(Note("read" if timing.delay_s is not None else "assumed", text, file))
    good = np.isfinite(resistance) & (resistance > 0) & np.isfinite(level) & (level != 0)
    if (bad := ~good & np.isfinite(resistance)).any():
        text = f"{int(bad.sum())} readings without a positive resistance or a read voltage"
        notes.append(Note("dropped", text, file, tuple(int(n) for n in columns.lines[bad])))
    device, cycle = _labels(columns, notes)
    blocks = []
    for name, number in dict.fromkeys(zip(device, cycle, strict=True)):
        own = np.flatnonzero(good & (np.array(device) == name) & (np.array(cycle) == number))
        if own.size < 2:
            notes.append(Note("aside", f"{own.size} readings only", file, (), name, number))
            continue
        t, V, I, lines, reads = [0.0], [0.0], [0.0], [int(columns.lines[own[0]])], [False]  # noqa: E741

        def put(dt: float, volts: float, amps: float, line: int, read: bool, at=(t, V, I, lines, reads)) -> None:
            for column, value in zip(at, (at[0][-1] + dt, volts, amps, line, read), strict=True):
                column.append(value)

        edge = min(_EDGE_S, pause / 10)
        for n in own:
            line, wide = int(columns.lines[n]), float(width[n])
            if np.isfinite(amplitude[n]) and amplitude[n] != 0 and np.isfinite(wide) and wide > 0:
                rise = min(edge, wide / 10)
                put(rise, float(amplitude[n]), 0.0, line, False)
                put(wide, float(amplitude[n]), 0.0, line, False)
                put(rise, 0.0, 0.0, line, False)
            put(pause, 0.0, 0.0, line, False)
            put(edge, float(level[n]), float(level[n] / resistance[n]), line, False)
            put(pause, float(level[n]), float(level[n] / resistance[n]), line, True)
            put(edge, 0.0, 0.0, line, False)
            put(pause, 0.0, 0.0, line, False)
        if (still := np.diff(t) <= 0).any():
            raise DataError(
                "a pulse is too short to be told from the time at which it comes",
                file=file,
                key=f"line {lines[int(np.argmax(still)) + 1]}",
                got=f"{np.nanmin(width[own]):g} s",
                action="Correct the column of pulse widths and its unit",
            )
        blocks.append(
            Block(file, name, number, np.array(lines), np.array(t), np.array(V), np.array(I), reads=np.array(reads))
        )
    return blocks
