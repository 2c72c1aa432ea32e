"""The tables in a file: preamble, header, lines of numbers, once or in repeated blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from .text import fields_of, is_number, lines_of, separator_of, text_of, unit_scale

__all__ = ["MISSING", "Table", "tables_of"]

_NOTHING = (
    "nan -nan na n/a #n/a none null inf -inf +inf infinity -infinity --- -- - #num! #value! #div/0! #ref! "
    "ovrflw overflow ovld overload ol error"
)
MISSING = frozenset(["", *_NOTHING.split()])
"""What stands in a field for which there is no number, in small letters."""

_EASYEXPERT = ("dataname", "datavalue")


@dataclass
class Table:
    """One block of a file.

    Attributes
    ----------
    file : str
    header : list of str
    header_line : int
    rows : list of (int, list of str)
        Line number and fields, as many as the header has.
    separator : str
    instrument : str
        "EasyEXPERT", or empty.
    preamble : mapping of str to list of str
        Lines of text above, by their first fields in small letters: ``measurement.primary.compliance``.
    units : list of str
        The line of units below the header, empty where there is none.
    """

    file: str
    header: list[str]
    header_line: int
    separator: str
    instrument: str = ""
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    preamble: dict[str, list[str]] = field(default_factory=dict)
    units: list[str] = field(default_factory=list)


def tables_of(file: Path) -> tuple[list[Table], list[str], list[tuple[int, str]]]:
    """All tables of a file.

    Parameters
    ----------
    file : Path

    Returns
    -------
    tables : list of Table
    told : list of str
        What had to be guessed for the text.
    ignored : list of (int, str)
        Lines of text between and behind the tables.

    Raises
    ------
    DataError
        If there is no table, or a line of numbers does not fit its header; names the line.
    """
    text, told = text_of(file)
    lines = lines_of(text)
    if any(_first(line) == "dataname" for _, line in lines):
        return _easyexpert(file, lines, told)
    tables: list[Table] = []
    ignored: list[tuple[int, str]] = []
    above: list[tuple[int, str]] = []  # text since the last table
    open_table: Table | None = None
    n = 0
    while n < len(lines):
        number, line = lines[n]
        if open_table is None:
            found = _header(lines, n, file)
            if found is not None:
                separator, header, units = found
                open_table = Table(str(file), header, number, separator, units=units)
                open_table.preamble = _preamble(above)
                tables.append(open_table)
                above = []
                n += 2 if units else 1
                continue
            if tables and (row := _row(lines[n], tables[-1])) is not None:  # it goes on behind a line of text
                open_table = tables[-1]
                ignored += above
                above = []
                open_table.rows.append((number, row))
            else:
                above.append((number, line))
            n += 1
            continue
        if line.lstrip().startswith("#"):
            ignored.append((number, line))
        elif (row := _row(lines[n], open_table)) is not None:
            open_table.rows.append((number, row))
        else:
            open_table = None
            continue
        n += 1
    if tables:
        _refuse_stray(file, above, tables[-1])
        ignored += above
    else:
        _refuse(file, lines)
    return tables, told, ignored


def _first(line: str) -> str:
    return re.split(r"[,;\t]", line, maxsplit=1)[0].strip().strip('"').lower()


def _preamble(above: Sequence[tuple[int, str]]) -> dict[str, list[str]]:
    """Text above a table, ``name, value`` or ``name: value``."""
    found: dict[str, list[str]] = {}
    for _, line in above:
        parts = [part.strip() for part in re.split(r"[,;\t]|:\s|=", line.lstrip("# \t").rstrip(",;\t "))]
        if len(parts) >= 2 and parts[0]:
            found[parts[0].lower()] = parts[1:]
    return found


def _split(line: str, separator: str, file: Path | str, number: int) -> list[str]:
    fields = fields_of(line, separator, file, number)
    while len(fields) > 1 and not fields[-1]:  # a separator at the end of the line
        fields.pop()
    return fields


def _numeric(fields: Sequence[str], separator: str) -> tuple[int, int]:
    """How many fields are numbers, and how many say that there is none."""
    numbers = sum(is_number(f, separator) and f.lower() not in MISSING for f in fields)
    return numbers, sum(f.lower() in MISSING for f in fields)


def _header(lines: Sequence[tuple[int, str]], n: int, file: Path) -> tuple[str, list[str], list[str]] | None:
    """Separator, header and line of units, if line `n` is a header: words above as many fields with numbers."""
    number, line = lines[n]
    commented = line.lstrip().startswith("#")
    line = line.lstrip().lstrip("#").strip(" ") if commented else line
    separator = separator_of(line)
    if separator not in line:
        separator = " "
    header = _split(line, separator, file, number)
    if len(header) < 2 or _numeric(header, separator)[0] or not all(header):
        return None
    for skip in (1, 2):
        if n + skip >= len(lines):
            return None
        below_number, below = lines[n + skip]
        if below.lstrip().startswith("#"):
            return None
        fields = _split(below, separator, file, below_number)
        if len(fields) > len(header):
            return None
        fields += [""] * (len(header) - len(fields))  # empty fields at the end of the line
        numbers, missing = _numeric(fields, separator)
        if numbers >= 2 or (numbers == 1 and numbers + missing == len(header)):
            units = [] if skip == 1 else _split(lines[n + 1][1], separator, file, lines[n + 1][0])
            return separator, header, units
        units = fields
        if skip == 1 and (numbers or missing == len(header) or not _are_units(units)):
            return None
    return None


def _are_units(fields: Sequence[str]) -> bool:
    """Whether a line holds units: short words, most of them units that are known; ``V (V), I (A)`` is a header."""
    known = [f.strip("()[] ") for f in fields if f.strip("()[] -")]
    units = sum(any(unit_scale(f, base) for base in ("V", "A", "s", "Ohm", "S", "K")) for f in known)
    return all(len(f) <= 6 for f in fields) and 2 * units > len(known)


def _row(numbered: tuple[int, str], table: Table) -> list[str] | None:
    """The fields of a line of the table; None if the line is text and ends the table."""
    number, line = numbered
    size = len(table.header)
    fields = fields_of(line, table.separator, table.file, number)
    numbers, missing = _numeric(fields, table.separator)
    if len(fields) > size and not any(fields[size:]):
        fields = fields[:size]
    if len(fields) == size and (numbers >= 1 or missing == size):
        return fields
    if not numbers or not (is_number(fields[0], table.separator) or fields[0].lower() in MISSING):
        return None
    raise DataError(
        "line has another number of fields than the header",
        file=table.file,
        key=f"line {number}",
        got=len(fields),
        allowed=str(size),
        action="Mend or remove the line (a number cut off where the measurement was aborted?)",
    )


def _refuse_stray(file: Path, above: Sequence[tuple[int, str]], table: Table) -> None:
    """Nothing that looks like data may be passed over."""
    for number, line in above:
        separator = separator_of(line)
        fields = _split(line, separator if separator in line else " ", file, number)
        if len(fields) >= 2 and _numeric(fields, separator)[0] == len(fields):
            raise DataError(
                "numbers that belong to no table",
                file=file,
                key=f"line {number}",
                got=line.strip()[:80],
                allowed=f"{len(table.header)} fields as in the header of line {table.header_line}",
            )


def _refuse(file: Path, lines: Sequence[tuple[int, str]]) -> None:
    """Say why there is no table."""
    for number, line in lines:
        separator = separator_of(line)
        separator = separator if separator in line else " "
        if _numeric(_split(line, separator, file, number), separator)[0] >= 2:
            raise DataError(
                "numbers without a header of as many fields in the line above",
                file=file,
                key=f"line {number}",
                got=line.strip()[:80],
                allowed="a header line that names the columns, such as time_s,voltage_V,current_A",
            )
    raise DataError(
        "holds no table",
        file=file,
        key="(file)" if not lines else f"line {lines[0][0]}",
        got="an empty file" if not lines else lines[0][1].strip()[:80],
        allowed="a header line and lines of numbers",
    )


def _easyexpert(
    file: Path, lines: Sequence[tuple[int, str]], told: list[str]
) -> tuple[list[Table], list[str], list[tuple[int, str]]]:
    """CSV of Keysight EasyEXPERT (B1500A): every line names what it holds."""
    tables: list[Table] = []
    ignored: list[tuple[int, str]] = []
    preamble: dict[str, list[str]] = {}
    for number, line in lines:
        fields = _split(line, ",", file, number)
        name = fields[0].lower()
        if name == "setuptitle":
            preamble = {"setuptitle": fields[1:]}
        elif name == "dataname":
            if len(fields) < 3:
                raise DataError("DataName names fewer than two columns", file=file, key=f"line {number}", got=line)
            tables.append(Table(str(file), fields[1:], number, ",", "EasyEXPERT", preamble=dict(preamble)))
        elif name == "datavalue":
            if not tables:
                raise DataError("DataValue without a DataName above", file=file, key=f"line {number}", got=line[:80])
            values = [f.strip() for f in fields_of(line, ",", file, number)[1:]]
            while len(values) > len(tables[-1].header) and not values[-1]:
                values.pop()
            if len(values) != len(tables[-1].header):
                raise DataError(
                    "line has another number of fields than the header",
                    file=file,
                    key=f"line {number}",
                    got=len(values),
                    allowed=str(len(tables[-1].header)),
                    action="Mend or remove the line (a number cut off where the measurement was aborted?)",
                )
            tables[-1].rows.append((number, values))
        elif len(fields) >= 2:
            preamble[fields[1].lower() if name in ("testparameter", "metadata", "analysissetup") else name] = (
                fields[2:] if name in ("testparameter", "metadata", "analysissetup") else fields[1:]
            )
        else:
            ignored.append((number, line))
    return tables, told, ignored
