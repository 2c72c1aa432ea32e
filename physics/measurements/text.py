"""Text that instruments write: encodings, separators, numbers, and the units that stand in a header.

Shared by :func:`halidrift.physics.measurements.read` and :func:`halidrift.physics.conduction.read_csv`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError, InputError

__all__ = [
    "chosen",
    "fields_of",
    "header_at",
    "is_number",
    "lines_of",
    "number_of",
    "printed_unit",
    "separator_of",
    "text_of",
    "unit_scale",
    "word_of",
]

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3}
_CELSIUS = ("°C", "℃", "degC", "C")
# how else a base unit is written; megavolts and megaamperes are slips for milli, megaohms are not
_SPELLINGS = {
    "V": ("V", "volt", "volts", "Volt", "Volts"),
    "A": ("A", "amp", "amps", "Amp", "Amps", "ampere", "Ampere"),
    "s": ("s", "sec", "secs", "second", "seconds", "S"),
    "Ohm": ("Ohm", "ohm", "Ohms", "ohms", "Ω", "Ω", "OHM"),
    "S": ("S", "siemens", "Siemens"),
    "K": ("K",),
}
_LONGER = {"s": {"min": 60.0, "h": 3600.0, "hr": 3600.0}}
# a unit ends the header: in brackets, or after / or _
_ENDS = (re.compile(r".*[(\[]\s*([^)\]]+?)\s*[)\]]\s*"), re.compile(r".*[/_]\s*([^\s/_]+)\s*"))
_WORD = re.compile(r"\s*(?P<word>[^\s(\[/_]+)")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d*([eE][+-]?\d+)?")
# words and, right behind, the brackets that hold their unit
_SPACED = re.compile(r"[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?|[(\[][^)\]]*[)\]]")


def text_of(file: Path) -> tuple[str, list[str]]:
    """What a file says, and what had to be guessed for it.

    Parameters
    ----------
    file : Path

    Returns
    -------
    text : str
    told : list of str
        Empty for UTF-8.

    Raises
    ------
    DataError
        If the file cannot be opened or is no text.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError("not a readable text file", file=file, key="(file)", got=str(error)) from error
    # instruments write Windows text: its micro and degree signs are no UTF-8
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    names = ("utf-16",) if wide else ("utf-8-sig", "cp1252")
    if b"\0" in raw and not wide:
        raise DataError("not a readable text file", file=file, key="(file)", got="binary data", allowed="CSV text")
    for name in names:
        try:
            return raw.decode(name), [] if name == "utf-8-sig" else [f"text in {name}"]
        except UnicodeDecodeError:
            continue
    raise DataError("not a readable text file", file=file, key="(file)", allowed=f"text in {' or '.join(names)}")


def lines_of(text: str) -> list[tuple[int, str]]:
    """Lines that are not blank with their numbers, counted as an editor counts them.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of (int, str)
        From 1.
    """
    return [(n, line) for n, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]


def separator_of(line: str) -> str:
    """The separator of a line: comma, semicolon or tab, whichever is most frequent.

    Parameters
    ----------
    line : str
    """
    return max(",;\t", key=line.count)


def fields_of(line: str, separator: str, file: Path | str, number: int) -> list[str]:
    """The fields of a line, stripped; the separator is a blank where there is no other.

    Parameters
    ----------
    line : str
    separator : str
    file : Path or str
        For the message.
    number : int
        Of the line, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        If the line breaks the rules of CSV.
    """
    if separator == " ":
        return _SPACED.findall(line)
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    except (csv.Error, StopIteration) as error:
        raise DataError("is not a line of CSV", file=file, key=f"line {number}", got=str(error)) from error


def is_number(text: str, separator: str) -> bool:
    """Whether a field is a number, with a decimal comma where the comma does not separate.

    Parameters
    ----------
    text : str
    separator : str
        Of the file.
    """
    try:
        float(text if separator == "," else text.replace(",", ".", 1))
    except ValueError:
        return False
    return "_" not in text


def number_of(text: str, separator: str) -> float:
    """The number that a field holds, ``nan`` if it holds none.

    Parameters
    ----------
    text : str
    separator : str
        Of the file.

    Returns
    -------
    float
    """
    if separator != "," and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def header_at(lines: Sequence[tuple[int, str]]) -> int:
    """Place of the header: the first line of words above a line of as many fields, some of them numbers.

    Parameters
    ----------
    lines : sequence of (int, str)
        As :func:`lines_of` gives them.
    """

    def fields(line: str, separator: str) -> tuple[int, int]:
        parts = [part.strip() for part in line.split(separator)]
        return len(parts), sum(is_number(part, separator) for part in parts)

    for n in range(len(lines) - 1):
        # that of the header: numbers may hold as many decimal commas as there are semicolons
        separator = separator_of(lines[n][1])
        (size, numbers), (below, filled) = (fields(line, separator) for _, line in lines[n : n + 2])
        if size >= 2 and numbers == 0 and below == size and filled >= 2:
            return n
    return 0


def unit_scale(text: str | None, base: str) -> tuple[float, float] | None:
    """Factor and offset that turn a column into SI; None if the text is no unit of the quantity.

    Parameters
    ----------
    text : str or None
        As printed, such as ``"nA"``.
    base : str
        SI unit of the quantity, such as ``"A"``.

    Returns
    -------
    tuple of two float, or None

    Examples
    --------
    >>> unit_scale("nA", "A"), unit_scale("°C", "K"), unit_scale("nA", "V")
    ((1e-09, 0.0), (1.0, 273.15), None)
    """
    if text is None:
        return None
    if base == "K" and text in _CELSIUS:
        return 1.0, 273.15
    if text in _LONGER.get(base, {}):
        return _LONGER[base][text], 0.0
    prefixes = {**_PREFIXES, "M": 1e6, "G": 1e9, "T": 1e12} if base == "Ohm" else _PREFIXES
    for spelling in _SPELLINGS.get(base, (base,)):
        if text.endswith(spelling) and text[: -len(spelling)] in prefixes:
            return prefixes[text[: -len(spelling)]], 0.0
    return None


def printed_unit(label: str) -> str | None:
    """The unit that a header names, if it names one.

    Parameters
    ----------
    label : str
        Header of a column.
    """
    for end in _ENDS:
        if match := end.fullmatch(label):
            return match[1]
    return None


def word_of(label: str) -> str:
    """The first word of a header, in small letters.

    Parameters
    ----------
    label : str
        Header of a column.
    """
    return match["word"].lower() if (match := _WORD.match(label)) else ""


def chosen(
    header: Sequence[str], named: Mapping[str, str], known: Collection[str], file: Path | str, line: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Columns that the user chose, and the units that stand behind a colon: ``{"current": "Channel 2:nA"}``.

    Parameters
    ----------
    header : sequence of str
    named : mapping of str to str
        Quantity to header.
    known : collection of str
        Quantities that there are.
    file : Path or str
        For the message.
    line : int
        Of the header, for the message.

    Returns
    -------
    labels : dict of str to str
        Quantity to header, without units.
    units : dict of str to str
        Of those that have one.

    Raises
    ------
    InputError
        If a quantity is unknown.
    DataError
        If the header is not there; offers the nearest.
    """
    labels, units = dict(named), {}
    for name, label in named.items():
        if name not in known:
            raise InputError("unknown quantity in columns", got=name, allowed=", ".join(known))
        front, colon, unit = label.rpartition(":")
        if label not in header and colon and front.strip() in header:
            labels[name], units[name] = front.strip(), unit.strip()
        elif label not in header:
            near = get_close_matches(front.strip() or label, header, n=1)
            raise DataError(
                f"column {label!r} is not there",
                file=file,
                key=f"line {line}",
                got=", ".join(header),
                action=f"did you mean {near[0]!r}?" if near else None,
            )
    return labels, units
