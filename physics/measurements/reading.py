"""`read`: a user's files as clean traces, with a report of what was done to them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import DataError, InputError
from .blocks import Block, Timing, blocks_of, files_of
from .cleaning import judged, runs_of, traces_of
from .columns import Columns, columns_of
from .report import CleaningReport, Note
from .tables import tables_of

__all__ = ["Measurements", "read"]


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured, cleaned.

    Attributes
    ----------
    traces : tuple of xarray.Dataset
        Traces of the schema of :mod:`halidrift.physics.trace`, one for each stimulus, over ``device`` and ``cycle``
        where it was repeated. Variable ``lower_bound`` is 1 where the source limited the current and the voltage of
        the device was not measured: there `conductance` is a lower bound and `device_voltage` an upper one.
    endurance : tuple of xarray.Dataset
        Tables of one point a cycle: variables ``on`` and ``off`` (S, or A where currents were written) over ``cycle``.
    report : CleaningReport
        What was read, in which units; what was dropped, flagged, set aside, and why; what was assumed.
    """

    traces: tuple[xr.Dataset, ...]
    endurance: tuple[xr.Dataset, ...]
    report: CleaningReport

    def __len__(self) -> int:
        return len(self.traces)


def read(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    rate_V_s: float | None = None,
    delay_s: float | None = None,
    compliance_A: float | None = None,
    temperature_K: float | None = None,
    floor_V: float | None = None,
    flip_current: bool = False,
    flip_voltage: bool = False,
) -> Measurements:
    """Read measurements as instruments write them, and clean them.

    Parameters
    ----------
    paths : path or sequence of path
        Files, or folders of them (``.csv``, ``.tsv``, ``.txt``, ``.dat``); docs/measurements.md shows what they may
        look like.
    columns : mapping, optional
        Header of each quantity that is not found by itself, with the unit behind a colon where the header names
        none: ``{"current": "Channel 2:nA"}``; ``{"time": "none"}`` leaves that column out. Quantities:
        time, voltage (of the source), device_voltage, current,
        resistance, conductance, compliance, status, temperature, device, cycle, ...
    units : mapping, optional
        Unit of a quantity whose header names none: ``{"current": "uA"}``. Without it bare numbers are taken as SI,
        which the report says.
    rate_V_s : float, V/s, > 0, optional
        Sweep rate of files without time. Without it and `delay_s` 1 V/s is assumed, which the report says.
    delay_s : float, s, > 0, optional
        Time from point to point of files without time; of pulse-and-read tables the time of each step.
    compliance_A : float, A, > 0, optional
        Limit of the source. Without it: a column, a line of the preamble, a status word, or a plateau of the current.
    temperature_K : float, K, > 0, optional
        Of files that do not say; 300 K if not given.
    floor_V : float, V, > 0, optional
        Smallest size of the voltage at which I/V counts as a conductance; 1 % of the largest and at least 1 mV if
        not given.
    flip_current, flip_voltage : bool
        Turn the sign of the current alone; exchange source and ground, which turns both.

    Returns
    -------
    Measurements
        Never without traces or endurance tables.

    Raises
    ------
    DataError
        If a file cannot be understood, naming file, line and column; or if nothing is left, saying why.
    InputError
        If an argument is out of bounds.

    Examples
    --------
    >>> found = read("sweeps/", compliance_A=1e-6, rate_V_s=0.5)  # doctest: +SKIP
    >>> print(found.report)  # doctest: +SKIP
    """
    for name, value in (
        ("rate_V_s", rate_V_s),
        ("delay_s", delay_s),
        ("compliance_A", compliance_A),
        ("temperature_K", temperature_K),
        ("floor_V", floor_V),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive and finite", got=value)
    if rate_V_s is not None and delay_s is not None:
        raise InputError("rate_V_s and delay_s both tell the time", action="Give one of them")
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    notes: list[Note] = []
    runs, tables = [], []
    timing = Timing(rate_V_s, delay_s)
    for file in files_of([Path(p) for p in named]):
        found, told, ignored = tables_of(file)
        notes += [Note("assumed", text, str(file)) for text in told]
        if ignored:
            notes.append(Note("read", "lines of text, not used", str(file), tuple(n for n, _ in ignored)))
        own: list[Block] = []
        for table in found:
            for part in columns_of(table, columns, units):
                notes += [note for note in part.notes if note not in notes]
                if any(key.startswith("hrs") for key in part.values):
                    tables.append(_endurance(part, notes))
                    continue
                own += blocks_of(part, timing, notes)
        own = _numbered(own)
        if flip_current or flip_voltage:
            own = [_flipped(block, flip_current, flip_voltage) for block in own]
        runs += runs_of(own, notes, compliance_A=compliance_A, floor_V=floor_V)
    if flip_current or flip_voltage:
        what = "voltage and current" if flip_voltage and not flip_current else "voltage" if flip_voltage else "current"
        notes.append(Note("read", f"sign of {what} turned, as asked"))
    kelvin = 300.0 if temperature_K is None else temperature_K
    if temperature_K is None and any(math.isnan(run.block.temperature_K) for run in runs):
        notes.append(Note("assumed", "300 K: no column of temperature (give temperature_K)"))
    made = traces_of(judged(runs, notes), notes, kelvin)
    report = CleaningReport(tuple(notes))
    if not made and not tables:
        reasons = "; ".join(str(note) for note in report.aside)
        raise DataError(
            "nothing is left to work with",
            file=", ".join(str(p) for p in named),
            key="(all)",
            got=reasons or "no points",
        )
    return Measurements(tuple(made), tuple(tables), report)


def _numbered(blocks: list[Block]) -> list[Block]:
    """Blocks of a file that repeat a device and cycle get cycles of their own."""
    seen: dict[tuple[str, str], int] = {}
    answer = []
    several = {key for key in ((b.device, b.cycle) for b in blocks) if _count(blocks, key) > 1}
    for block in blocks:
        key = (block.device, block.cycle)
        if key in several:
            seen[key] = seen.get(key, 0) + 1
            block = replace(block, cycle=f"{block.cycle}.{seen[key]}" if block.cycle else str(seen[key]))
        answer.append(block)
    return answer


def _count(blocks: list[Block], key: tuple[str, str]) -> int:
    return sum((b.device, b.cycle) == key for b in blocks)


def _flipped(block: Block, current: bool, voltage: bool) -> Block:
    turn = -1.0 if voltage else 1.0
    return replace(
        block,
        voltage_V=turn * block.voltage_V,
        device_V=None if block.device_V is None else turn * block.device_V,
        current_A=(turn if not current else -turn) * block.current_A,
    )


def _endurance(part: Columns, notes: list[Note]) -> xr.Dataset:
    """A table of one point a cycle."""
    off_key = next(key for key in part.values if key.startswith("hrs"))
    on_key = next(key for key in part.values if key.startswith("lrs"))
    off, on = part.values[off_key], part.values[on_key]
    base = off_key.partition("_")[2]
    if on_key.partition("_")[2] != base:
        raise DataError(
            "the columns of the two states have different units",
            file=part.file,
            key="header",
            got=f"{base} and {on_key.partition('_')[2]}",
        )
    good = np.isfinite(off) & np.isfinite(on) & (off > 0) & (on > 0)
    if (~good).any():
        text = f"{int((~good).sum())} cycles without two positive numbers"
        notes.append(Note("dropped", text, part.file, tuple(int(n) for n in part.lines[~good])))
    if not good.any():
        raise DataError("no cycle with two positive numbers", file=part.file, key=f"line {part.lines[0]}")
    unit = base
    if base == "Ohm":
        off, on = (
            np.where(good, 1.0 / np.where(good, off, 1.0), np.nan),
            np.where(good, 1.0 / np.where(good, on, 1.0), np.nan),
        )
        unit = "S"
    if float(np.median(on[good])) < float(np.median(off[good])):
        text = "the column of the low-resistance state conducts less than that of the high-resistance state"
        notes.append(Note("warning", text, part.file))
    labels = part.labels.get("cycle")
    try:
        numbers = np.arange(1.0, off.size + 1) if labels is None else np.array([float(x) for x in labels])
    except ValueError:
        numbers = np.arange(1.0, off.size + 1)
    notes.append(Note("read", f"endurance, {int(good.sum())} cycles", part.file))
    return xr.Dataset(
        {
            "on": ("cycle", on[good], {"units": unit, "long_name": "low-resistance state"}),
            "off": ("cycle", off[good], {"units": unit, "long_name": "high-resistance state"}),
        },
        coords={"cycle": ("cycle", numbers[good], {"units": "1", "long_name": "cycle"})},
        attrs={"kind": "endurance", "file": part.file},
    )
