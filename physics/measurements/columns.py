"""Which column of a table is which quantity, in which unit; and its numbers in SI."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, InputError
from .report import Note
from .tables import MISSING, Table
from .text import chosen, number_of, printed_unit, unit_scale

__all__ = ["QUANTITIES", "Columns", "columns_of"]

Array = NDArray[np.float64]

QUANTITIES = {
    "time": "s",
    "voltage": "V",
    "device_voltage": "V",
    "current": "A",
    "resistance": "Ohm",
    "conductance": "S",
    "compliance": "A",
    "temperature": "K",
    "width": "s",
    "read_voltage": "V",
    "hrs": "Ohm",
    "lrs": "Ohm",
    "status": "",
    "device": "",
    "cycle": "",
    "wordline": "",
    "bitline": "",
}
"""What a column can be, and its SI unit; without a unit, a flag or a name."""

_COLDEST_K = 77.0  # a bare temperature below is in degrees Celsius
# above these a bare number is in another unit than SI: no probe station goes there
_LARGEST = {"V": 250.0, "A": 20.0, "s": 1e8, "K": 2000.0, "Ohm": 1e20, "S": 1e4}
_OVERFLOW = 1e30  # 9.9E37 (infinite), 9.91E37 (no number), 1.99999E101: how SCPI and EasyEXPERT write it

_TERMINAL = "(?:anode|cathode|top|bottom|te|be|drain|source|gate|mem|memristor|dut|cell|d|g|s|a|b|ch\\d*|smu\\d*)"
_NUMBERED = "(no|id|number|index|name)?"
# headers without unit, blanks and signs, in small letters; the alternatives stand between blanks
_PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile("|".join(alternatives.split()))
    for name, alternatives in {
        "hrs": "[rig]?(hrs|off)(resistance|current|conductance|state)? (hrs|off)[rig] highresistance(state)?",
        "lrs": "[rig]?(lrs|on)(resistance|current|conductance|state)? (lrs|on)[rig] lowresistance(state)?",
        "wordline": "wordline wl",
        "bitline": "bitline bl",
        "device": f"(device|dev|cell|dut|sample|site|subsite|die|pixel|junction){_NUMBERED}",
        "cycle": f"cycles?{_NUMBERED} cyc repeat iteration (loop|run|scan|sweep){_NUMBERED}",
        "status": "stat(us)?(word)? (in)?compl?(iance)?(flag|status)? limit(ed)? flag [a-z]?istatus",
        "compliance": "icc ilim(it)? icompl?(iance)? compl?(iance)?(current)? current(compliance|limit) limit[ia]?",
        "read_voltage": "readvoltage vread",
        "width": "(pulse)?width tpulse pw",
        "device_voltage": "vmeas(ured)? measuredv(oltage)? voltagemeas(ured)? vsense sensedvoltage devicevoltage "
        "vdevice vdut vmem(ristor)? voltageread(ing)?",
        "voltage": "v u volts? voltage bias(voltage)? voltagebias appliedv(oltage)? vapp(lied)? vset setv(oltage)? "
        "vforced? forcedvoltage v?prog(rammed)?(voltage)? (source|src)v(oltage)? v(oltage)?(source|src) vcmd vin "
        rf"commandvoltage amplitude (voltage|v)\d+ v{_TERMINAL}\d* {_TERMINAL}(v|voltage)\d*",
        "current": "i curr current amps? imeas(ured)? measuredi measuredcurrent currentmeas(ured)? iread "
        rf"currentread(ing)? (current|i)\d+ i{_TERMINAL}\d* {_TERMINAL}(i|current)\d*",
        "resistance": "r res resistance rmeas(ured)? rread",
        "conductance": "g cond conductance gmeas(ured)?",
        "temperature": "(chuck|stage)?(temp|temperature) chuck stage t",
        "time": r"t time times timestamp elapsed(time)? rel(ative)?time time\d+ timeoutput tim testtime seconds",
    }.items()
}
_ABSOLUTE = re.compile(r"\|.*\||abs.*|.*abs|log.*|(lg|ln)\b.*", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_RUN = re.compile(r"(.*?)\s*\((\d+)\)")  # Clarius numbers the runs of a test: DrainI(1), DrainI(2)
# the letters by which system mode and EasyEXPERT tell the state of a reading
_LETTERS = {"n": 0.0, "c": 1.0, "t": 0.0}
_FLAGS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "ok": 0.0, "compliance": 1.0, "limit": 1.0, "normal": 0.0}
# day and month in either order, then the time of the day, on a clock of 12 hours if so said
_DATE = re.compile(
    r"(\d{1,2})([./])(\d{1,2})\2(\d{4})[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: *([AaPp])\.?[Mm]\.?)?"
)
_ISO = "2024-11-30T14:02:11.040"
_DATES = f"a date such as {_ISO}, 30.11.2024 14:02:11.040 or 11/30/2024 02:02:11 PM, "
_OR_RATE = '; or leave the time out: --column "time=none" with --rate or --delay'
_2400_COMPLIANCE, _2600_COMPLIANCE = 1 << 3, 1 << 6  # Series 2400 and 2600B manuals


@dataclass
class Columns:
    """Columns of one table, or of one numbered run in it.

    Attributes
    ----------
    file : str
    lines : array of int, shape (rows,)
    values : mapping of str to array, shape (rows,)
        By quantity, SI; ``nan`` where there is no number.
    labels : mapping of str to list of str
        ``device`` and ``cycle``.
    notes : list of Note
    preamble : mapping
    """

    file: str
    lines: NDArray[np.int64]
    values: dict[str, Array]
    labels: dict[str, list[str]]
    notes: list[Note] = field(default_factory=list)
    preamble: dict[str, list[str]] = field(default_factory=dict)


def _plain(label: str) -> str:
    """A header without unit, blanks and signs, in small letters."""
    text = re.sub(r"[(\[].*?[)\]]", "", label)
    if (end := re.fullmatch(r"(.*?[^/_])[/_]([^/_]+)", text.strip())) and any(
        unit_scale(end[2], base) for base in ("V", "A", "s", "Ohm", "S", "K")
    ):
        text = end[1]
    return re.sub(r"[\s_\-./:#]", "", text).lower()


def _conductive(unit: str | None) -> bool:
    """Whether a unit is siemens, which capitals make of seconds: the name must tell which."""
    return unit is not None and unit_scale(unit, "S") is not None


def _unit_of(label: str, below: str) -> str | None:
    return printed_unit(label) or (below.strip("()[] ") or None)


def columns_of(
    table: Table, columns: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None
) -> list[Columns]:
    """The quantities of a table; several where its header numbers runs.

    Parameters
    ----------
    table : Table
    columns : mapping of str to str, optional
        Quantity to the header of its column, where the header alone does not tell; ``"none"`` where no column is it.
    units : mapping of str to str, optional
        Quantity to its unit, where the header does not tell.

    Returns
    -------
    list of Columns

    Raises
    ------
    DataError
        If a quantity is missing, ambiguous or without a unit, or a field is no number; names line and column.
    """
    runs: dict[str, list[int]] = {}
    for place, label in enumerate(table.header):
        if match := _RUN.fullmatch(label):
            runs.setdefault(match[2], []).append(place)
    if not runs or any(label in (columns or {}).values() for label in table.header if _RUN.fullmatch(label)):
        return [_columns(table, list(range(len(table.header))), dict(columns or {}), dict(units or {}), "")]
    common = [n for n, label in enumerate(table.header) if not _RUN.fullmatch(label)]
    return [
        _columns(table, sorted(common + places), dict(columns or {}), dict(units or {}), run)
        for run, places in runs.items()
    ]


def _columns(table: Table, places: list[int], named: dict[str, str], units: dict[str, str], run: str) -> Columns:
    header = [table.header[n] for n in places]
    bare = [match[1] if run and (match := _RUN.fullmatch(label)) else label for label in header]
    below = [table.units[n] if n < len(table.units) else "" for n in places]
    for name in units:
        if name not in QUANTITIES or not QUANTITIES[name]:
            raise InputError(
                "unknown quantity in units", got=name, allowed=", ".join(q for q, unit in QUANTITIES.items() if unit)
            )
    without = {name for name, label in named.items() if label.lower() == "none" and label not in header}
    if unknown := sorted(without - set(QUANTITIES)):
        raise InputError("unknown quantity in columns", got=unknown[0], allowed=", ".join(QUANTITIES))
    named = {name: label for name, label in named.items() if name not in without}
    labels, given = chosen(header, named, QUANTITIES, table.file, table.header_line)
    given = {**units, **given}
    if not table.rows:
        raise DataError(
            "header without numbers below", file=table.file, key=f"line {table.header_line}", got=", ".join(header)
        )
    lines = np.array([number for number, _ in table.rows])
    found = Columns(table.file, lines, {}, {}, preamble=table.preamble)
    roles = _roles(table, header, bare, below, labels, without, places)
    found.notes += [Note("read", f"no column is the {name}, as asked", table.file) for name in sorted(without)]
    used = []
    for name, place in roles.items():
        cells = [row[places[place]] for _, row in table.rows]
        where = f"column {header[place]!r}"
        used.append(place)
        if name in ("device", "cycle", "wordline", "bitline"):
            found.labels[name] = cells
            found.notes.append(Note("read", f"{name} from {header[place]!r}", table.file))
        elif name == "status":
            _status(found, header[place], cells, table.separator)
        else:
            _numbers(found, table, name, header[place], bare[place], below[place], cells, where, given)
    if table.instrument and "current" in roles:
        _bias_limit(found, header[roles["current"]])
    if "wordline" in found.labels and "bitline" in found.labels:
        rows = zip(found.labels.pop("wordline"), found.labels.pop("bitline"), strict=True)
        found.labels.setdefault("device", [f"W{w}B{b}" for w, b in rows])
    if run:
        found.labels.setdefault("cycle", [run] * lines.size)
    if left := [label for n, label in enumerate(header) if n not in used]:
        found.notes.append(Note("read", f"columns not used: {', '.join(map(repr, left))}", table.file))
    return found


# -- roles -------------------------------------------------------------------------------------------------------


def _roles(
    table: Table,
    header: Sequence[str],
    bare: Sequence[str],
    below: Sequence[str],
    labels: Mapping[str, str],
    without: Collection[str],
    places: Sequence[int],
) -> dict[str, int]:
    """Place of each quantity that the header tells, except for those that it shall not."""
    roles = {name: header.index(label) for name, label in labels.items()}
    taken = set(roles.values())
    candidates: dict[str, list[int]] = {}
    for place, label in enumerate(bare):
        if place in taken:
            continue
        name = _role(label, _unit_of(label, below[place]))
        if name is not None and name not in roles:
            candidates.setdefault(name, []).append(place)
    # a quantity without its name is taken from the only column that bears its unit
    named = {p for group in candidates.values() for p in group} | taken
    for name, base in (("time", "s"), ("voltage", "V"), ("current", "A")):
        if name not in roles and name not in candidates:
            bearing = [
                n
                for n, label in enumerate(bare)
                if n not in named
                and unit_scale(_unit_of(label, below[n]), base) is not None
                and not (base == "s" and _conductive(_unit_of(label, below[n])))
                and not _ABSOLUTE.fullmatch(label)
            ]
            if bearing:
                candidates[name] = bearing
    if "status" in candidates and "compliance" in candidates:
        candidates["compliance"] = [n for n in candidates["compliance"] if n not in candidates["status"]]
    _source(table, header, candidates)
    candidates = {name: group for name, group in candidates.items() if name not in without}
    for name in ("voltage", *(n for n in QUANTITIES if n != "voltage")):
        group = candidates.get(name, [])
        if name in roles or not group:
            continue
        if len(group) > 1:
            group = _narrowed(table, name, bare, group, roles, places)
        if len(group) > 1:
            raise DataError(
                f"several columns could be the {name}",
                file=table.file,
                key=f"line {table.header_line}",
                got=", ".join(repr(header[n]) for n in group),
                action=f'Choose one: columns={{"{name}": "{header[group[0]]}"}}, on the command line '
                f'--column "{name}={header[group[0]]}"',
            )
        roles[name] = group[0]
    _require(table, header, roles)
    return roles


def _role(label: str, unit: str | None) -> str | None:
    if _ABSOLUTE.fullmatch(label.strip()):
        return None
    plain = _plain(label)
    fallback = None
    for name, pattern in _PATTERNS.items():
        if not pattern.fullmatch(plain):
            continue
        base = QUANTITIES[name]
        fits = unit is not None and base and unit_scale(unit, base) is not None
        if name in ("hrs", "lrs"):
            fits = unit is not None and any(unit_scale(unit, b) is not None for b in ("Ohm", "S", "A"))
        if fits:
            return name
        foreign = unit is not None and any(unit_scale(unit, b) is not None for b in ("V", "A", "s", "Ohm", "S", "K"))
        if plain == "t" and name == "temperature" and not fits:
            continue  # a bare t is the time
        if name == "compliance" and not plain.startswith("i") and not fits:
            continue  # a bare compliance is a flag
        if fallback is None and not (foreign and name in ("status", "temperature", "time", "cycle", "device")):
            fallback = name
    return fallback


def _source(table: Table, header: Sequence[str], candidates: dict[str, list[int]]) -> None:
    """What the preamble of EasyEXPERT says about its columns: the terminal that is swept."""
    functions = [f.upper() for f in table.preamble.get("channel.func", [])]
    if "VAR1" not in functions:
        return
    n = functions.index("VAR1")
    for name, key in (("voltage", "channel.vname"), ("current", "channel.iname")):
        names = table.preamble.get(key, [])
        if n < len(names) and names[n] in header:
            candidates[name] = [list(header).index(names[n])]
            for other, group in candidates.items():
                if other != name and candidates[name][0] in group:
                    group.remove(candidates[name][0])


def _narrowed(
    table: Table, name: str, bare: Sequence[str], group: list[int], roles: Mapping[str, int], places: Sequence[int]
) -> list[int]:
    """Of several columns the one that the data or the voltage point to."""
    if name in ("voltage", "device_voltage"):
        varying, nonzero = [], []
        for n in group:
            values = np.array([number_of(row[places[n]], table.separator) for _, row in table.rows])
            values = values[np.isfinite(values)]
            if values.size and np.ptp(values) > 1e-3:
                varying.append(n)
            elif values.size and np.abs(values).max() > 1e-3:
                nonzero.append(n)
        return varying or nonzero or group
    if name == "current" and "voltage" in roles:
        stem = re.sub(r"v(oltage)?", "", _plain(bare[roles["voltage"]]), count=1)
        same = [n for n in group if re.sub(r"i|current", "", _plain(bare[n]), count=1) == stem]
        # "anode" holds no i, but names such as "memristor" do
        return same or group
    return group


def _bias_limit(found: Columns, label: str) -> None:
    """The limit of the terminal that is measured, if the preamble of EasyEXPERT has none for a sweep."""
    key = "measurement.primary.compliance"
    names, modes = found.preamble.get("channel.iname", []), found.preamble.get("channel.mode", [])
    limits = found.preamble.get("measurement.bias.compliance", [])
    if key in found.preamble or label not in names:
        return
    n = names.index(label)
    if n < min(len(modes), len(limits)) and modes[n].upper() == "V":
        found.preamble = {**found.preamble, key: [limits[n]]}


def _require(table: Table, header: Sequence[str], roles: Mapping[str, int]) -> None:
    if "hrs" in roles and "lrs" in roles:
        return
    electrical = [name for name in ("current", "resistance", "conductance") if name in roles]
    volts = [name for name in ("voltage", "device_voltage", "read_voltage") if name in roles]
    for missing, present, example in (("voltage", volts, "voltage_V"), ("current", electrical, "current_A")):
        if not present:
            raise DataError(
                f"no column is the {missing}",
                file=table.file,
                key=f"line {table.header_line}",
                got=", ".join(header),
                allowed=f"for instance {example}",
                action=f'Choose one: columns={{"{missing}": HEADER}}, on the command line --column "{missing}=HEADER"',
            )


# -- numbers -----------------------------------------------------------------------------------------------------


def _numbers(
    found: Columns,
    table: Table,
    name: str,
    label: str,
    bare: str,
    below: str,
    cells: list[str],
    where: str,
    given: Mapping[str, str],
) -> None:
    base = QUANTITIES[name]
    unit = _unit_of(bare, below)
    bases: tuple[str, ...] = (base,)
    if name in ("hrs", "lrs"):
        plain = _plain(bare)
        bases = ("Ohm", "S", "A") if not plain.startswith(("i", "g")) else ("A",) if plain[0] == "i" else ("S",)
    key = f"line {table.header_line}, {where}"
    form = ""
    if name == "time" and (instants := _instants(cells, where, table)) is not None:
        cells, form = instants
        given = {"time": "s"}
        unit = None
    scale, base = _scale(name, unit, bases, given.get(name), key, table)
    _no_thousands(table, cells, where)
    numbers = np.empty(len(cells))
    missing, overflow = [], []
    for n, (cell, (line, _)) in enumerate(zip(cells, table.rows, strict=True)):
        value = number_of(cell, table.separator)
        if not np.isfinite(value):
            if cell.lower() not in MISSING:
                raise DataError(
                    "not a number",
                    file=table.file,
                    key=f"line {line}, {where}",
                    got=cell[:40],
                    allowed=f"a number, {_DATES if name == 'time' else ''}or nothing, NaN or an overflow such as "
                    f"9.91E+37 where there is none ({name})",
                    action=f"Correct or drop the line{_OR_RATE if name == 'time' else ''}",
                )
            missing.append(line)
            value = np.nan
        elif abs(value) > _OVERFLOW:
            overflow.append(line)
            value = np.nan
        numbers[n] = value
    if scale is None:  # SI, as instruments write it, but never where the numbers speak against it
        largest = float(np.nanmax(np.abs(numbers))) if np.isfinite(numbers).any() else 0.0
        if largest > _LARGEST[base]:
            raise DataError(
                f"the header names no unit of {name}, and {base} it cannot be",
                file=table.file,
                key=key,
                got=f"up to {largest:g}",
                allowed=f"{base} up to {_LARGEST[base]:g}, or another unit that is named",
                action=f'Give the unit: --unit "{name}=m{base}"',
            )
        if name == "temperature" and np.isfinite(numbers).any() and float(np.nanmin(numbers)) < _COLDEST_K:
            raise DataError(
                "the header names no unit of temperature, and the numbers look like degrees Celsius",
                file=table.file,
                key=key,
                got=f"down to {float(np.nanmin(numbers)):g}",
                allowed=f"K from {_COLDEST_K:g} on, or a unit that is named",
                action='Give the unit: --unit "temperature=°C", or temperature=K',
            )
        text = f"{name} from {label!r}, which names no unit: taken as {base}"
        kind = "assumed"
        if table.instrument:
            text, kind = f"{name} from {label!r} in {base}, as {table.instrument} writes", "read"
        found.notes.append(Note(kind, text, found.file))
        scale = (1.0, 0.0)
    else:
        shown = given.get(name) or unit
        found.notes.append(Note("read", f"{name} from {label!r} in {'°C' if scale[1] else shown}{form}", found.file))
    values = numbers * scale[0] + scale[1]
    if name in ("hrs", "lrs"):
        found.values[f"{name}_{base}"] = values
    else:
        found.values[name] = values
    required = name in ("time", "voltage", "current", "resistance", "conductance", "hrs", "lrs", "read_voltage")
    if not required or (name == "resistance" and "current" in found.values):
        return
    for lines, what in ((missing, "not a number"), (overflow, "overflow of the instrument")):
        if lines:
            text = f"{len(lines)} point{'s' if len(lines) > 1 else ''} whose {name} is {what}"
            found.notes.append(Note("dropped", text, found.file, tuple(lines)))


def _no_thousands(table: Table, cells: Sequence[str], where: str) -> None:
    """Refuse 1.200 in a file of decimal commas, where it may be twelve hundred."""
    if table.separator == ",":
        return
    for n, cell in enumerate(cells):
        if _GROUPED.fullmatch(cell) and any("," in other for _, row in table.rows for other in row):
            raise DataError(
                "a point in a file of decimal commas: it may separate thousands",
                file=table.file,
                key=f"line {table.rows[n][0]}, {where}",
                got=cell,
                allowed="one sign for decimals and none for thousands",
                action="Write the file without separators of thousands",
            )


def _instants(cells: list[str], where: str, table: Table) -> tuple[list[str], str] | None:
    """Seconds in place of dates and times of the day, and how the dates were read; None if the first cell is neither.

    Dates that begin with the day or the month are read in the one order that is possible for the whole column, or in
    which time runs on; where both are and give other times between the points, neither is taken.
    """
    first = next((c for c in cells if c.lower() not in MISSING), "")
    if _instant(first) is not None:
        return [cell if (seconds := _instant(cell)) is None else repr(seconds) for cell in cells], ""
    if not _DATE.fullmatch(first):
        return None
    rows = [n for n, cell in enumerate(cells) if _DATE.fullmatch(cell)]
    read = {order: [_dated(cells[n], order) for n in rows] for order in ("day, month", "month, day")}
    possible = {order: np.array(times) for order, times in read.items() if None not in times}
    if not possible:
        return None
    if len(possible) == 2:
        one, other = possible.values()
        if np.array_equal(one - one[0], other - other[0]):
            possible = {"one day": one}
        elif running := {order: times for order, times in possible.items() if (np.diff(times) >= 0).all()}:
            possible = running
    if len(possible) > 1:
        raise DataError(
            "the dates may begin with the day or with the month, and the times between the points differ",
            file=table.file,
            key=f"line {table.rows[rows[0]][0]}, {where}",
            got=first,
            allowed=f"ISO 8601, as {_ISO}",
            action=f"Write the year first{_OR_RATE}",
        )
    (order,) = possible
    instants = dict(zip(rows, possible[order], strict=True))
    return [repr(float(instants[n])) if n in instants else cell for n, cell in enumerate(cells)], f", of dates: {order}"


def _dated(text: str, order: str) -> float | None:
    """Seconds of a date that begins with the day or the month; None if there is no such date."""
    match = _DATE.fullmatch(text)
    assert match is not None  # asked by the caller
    first, _, second, year, hour, minute, second_s, fraction, half = match.groups()
    day, month = (int(first), int(second)) if order.startswith("day") else (int(second), int(first))
    hours = int(hour)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half in "Pp" else 0)
    try:
        moment = datetime(int(year), month, day, hours, int(minute), int(second_s or 0))
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1)).total_seconds() + (float(f"0.{fraction}") if fraction else 0.0)


def _instant(text: str) -> float | None:
    """Seconds of a date with time, or of a time of the day, as ISO 8601 writes them."""
    if ":" not in text:
        return None
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        pass
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        return None
    return 3600.0 * clock.hour + 60.0 * clock.minute + clock.second + 1e-6 * clock.microsecond


def _scale(
    name: str, printed: str | None, bases: Sequence[str], stated: str | None, key: str, table: Table
) -> tuple[tuple[float, float] | None, str]:
    """Factor and offset to SI with the base unit; None if no unit is known."""

    def known(text: str | None) -> tuple[tuple[float, float], str] | None:
        for base in bases:
            if (scale := unit_scale(text, base)) is not None:
                return scale, base
        return None

    own, said = known(printed), known(stated)
    allowed = f"{' or '.join(bases)} with a prefix{', °C' if name == 'temperature' else ''}"
    if stated is not None:
        if said is None:
            raise DataError(f"unknown unit of {name}", file=table.file, key=key, got=stated, allowed=allowed)
        if own is not None and own != said:
            raise DataError(
                f"the header names another unit of {name} than is given",
                file=table.file,
                key=key,
                got=stated,
                allowed=str(printed),
            )
        return said
    if own is not None:
        return own
    # V_set and I_D end with a word, not with a unit: only brackets name a unit that we must know
    bracketed = re.search(r"[(\[]\s*[^)\]]+\s*[)\]]\s*$", key.rpartition("column ")[2].strip("'\""))
    if printed is not None and bracketed:
        raise DataError(
            f"unknown unit of {name}",
            file=table.file,
            key=key,
            got=printed,
            allowed=allowed,
            action=f'Give the unit: --unit "{name}={bases[0]}"',
        )
    return None, bases[0]


def _status(found: Columns, label: str, cells: Sequence[str], separator: str) -> None:
    """Points at which the source limited the current, by the flag or status word of the instrument."""
    words = [cell.lower() for cell in cells]
    if all(word in _FLAGS or word in _LETTERS or not word for word in words):
        flags = np.array([_FLAGS.get(word, _LETTERS.get(word, 0.0)) for word in words])
        how = "as a flag"
    else:
        numbers = np.array([number_of(cell, separator) for cell in cells])
        whole = np.isfinite(numbers) & (numbers >= 0) & (numbers < 2**53)
        bits = np.where(whole, numbers, 0.0).astype(np.int64)
        if not whole.any() or (bits != np.where(whole, numbers, 0.0)).any():
            text = f"{label!r} is no flag and no status word, so it is not used: {cells[0][:20]!r}"
            found.notes.append(Note("warning", text, found.file))
            return
        if bits.max() <= 1:
            flags, how = bits.astype(float), "as a flag"
        elif bits.max() > 255:
            flags, how = (bits & _2400_COMPLIANCE > 0).astype(float), "bit 3 of the status word of a Keithley 2400"
        else:
            flags, how = (bits & _2600_COMPLIANCE > 0).astype(float), "bit 6 of the status of a Keithley 2600"
    found.values["status"] = flags
    found.notes.append(Note("read", f"compliance from {label!r}, {how}", found.file))
