"""Protocols: waveforms written as text or as a table, with units.

A protocol names the makers of :class:`~halidrift.physics.waveform.Waveform` and their arguments, each with its unit::

    triangle peaks=2V,-2V rate=1V/s compliance=1uA
    pulses amplitude=1V width=20ms period=40ms count=10 compliance=1uA read=-0.5V read_width=5ms
    hold voltage=0.1V duration=1e5s first=1ms compliance=1uA
    pair interval=60ms amplitude=-1V width=20ms read=-0.01V

The last is one of the synapse protocols of :mod:`~halidrift.physics.synapse` (single, pair, frequency, amplitudes,
durations, numbers, retention, update), all of whose arguments have defaults.

``+`` plays one after another, ``50x`` repeats what follows, brackets group::

    50x (pulses amplitude=1V width=20ms period=40ms compliance=1uA + hold voltage=0V duration=200ms)

A table is a CSV file with the columns ``time_s`` and ``voltage_V``, and ``compliance_A`` if there is a limit (without
that column there is none); headers may be those of an instrument, as ``Time (ms);Voltage (V);Current limit (uA)``,
fields parted by comma, semicolon or tab. Its path stands for a protocol by itself, or for a part of one as
``csv file=pulse.csv samples=400``: a trace reports the instants of the table, and so many more between them.
"""

from __future__ import annotations

import csv
import difflib
import inspect
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import synapse
from .errors import DataError, InputError
from .waveform import Waveform

__all__ = ["Protocol", "arguments", "is_table", "quantity", "series", "variation"]

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
# unit -> spelling -> factor; Decimal, so that 20ms is the number that 20e-3 is
_SPELLINGS = {
    unit: {prefix + unit: Decimal(1).scaleb(power) for prefix, power in _PREFIXES.items()}
    for unit in ("V", "A", "s", "V/s", "Hz")
}
_SPELLINGS["s"] |= {"min": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_SPELLINGS["K"] = {"K": Decimal(1)}
_SPELLINGS["m"] = {prefix + "m": Decimal(1).scaleb(power) for prefix, power in _PREFIXES.items()}
_SPELLINGS["m2"] = {prefix + "m2": Decimal(1).scaleb(2 * power) for prefix, power in _PREFIXES.items()}
_SPELLINGS["m2"]["cm2"] = Decimal(1).scaleb(-4)
_SPELLINGS["ohm"] = {
    prefix + ohm: Decimal(1).scaleb(power) for ohm in ("ohm", "Ohm", "Ω") for prefix, power in _PREFIXES.items()
}
_SUCH_AS = {
    "V": "1V or 20mV",
    "A": "1uA or 1mA",
    "s": "20ms or 1e5s",
    "V/s": "1V/s or 50mV/s",
    "Hz": "10Hz or 1kHz",
    "K": "300K",
    "m": "20nm",
    "m2": "1e4um2 or 1mm2",
    "ohm": "50ohm or 1kohm",
}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")


def quantity(text: str, unit: str, *, name: str = "quantity", bare: bool = False) -> float:
    """A number with its unit.

    Parameters
    ----------
    text : str
        ``"20ms"``, ``"-0.5V"``, ``"1e-6A"``; ``"inf"`` for no limit of a current.
    unit : {"V", "A", "s", "V/s", "Hz", "K", "m", "m2", "ohm", ""}
        What it must be, with any SI prefix from f to G (s: also min, h, d); ``""`` for a plain number.
    name : str
        What an error calls it.
    bare : bool
        Whether a number without a unit counts as one in `unit`.

    Returns
    -------
    float
        In `unit`.

    Raises
    ------
    InputError
        If it is no number, or its unit is missing or another one.

    Examples
    --------
    >>> quantity("20ms", "s"), quantity("-0.5 V", "V"), quantity("1uA", "A") == 1e-6
    (0.02, -0.5, True)
    """
    allowed = f"a number with a unit, such as {_SUCH_AS[unit]}" if unit else "a plain number, such as 10"
    if unit == "A" and text.strip().removeprefix("+") in ("inf", "none"):
        return float("inf")
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise InputError(f"{name} is not a number", got=text, allowed=allowed)
    number, spelling = found.groups()
    if not unit or (bare and not spelling):
        if spelling:
            raise InputError(f"{name} has no unit", got=text, allowed=allowed)
        return _scaled(number, Decimal(1), name)
    if not spelling:
        raise InputError(f"{name} needs a unit", got=text, allowed=allowed)
    if spelling not in _SPELLINGS[unit]:
        near = {s.lower(): s for s in reversed(_SPELLINGS[unit])}.get(spelling.lower())
        raise InputError(
            f"{name} has the wrong unit",
            got=text,
            allowed=allowed,
            action=f"Did you mean {number}{near}?" if near else None,
        )
    return _scaled(number, _SPELLINGS[unit][spelling], name)


def _scaled(number: str, factor: Decimal, name: str) -> float:
    """A number as written times the factor of its unit; one too large for a float is no "inf"."""
    try:
        value = float(Decimal(number) * factor)
    except ArithmeticError:  # of decimal: an exponent of ten digits
        value = np.nan
    if not np.isfinite(value) and number != "inf":
        raise InputError(f"{name} is beyond every number", got=number[:40])
    return value


# -- the makers and what they take -------------------------------------------------------------------------------


class _Key(NamedTuple):
    argument: str
    unit: str
    many: bool = False


_COMPLIANCE = {"compliance": _Key("compliance_A", "A")}
_SPIKE = {"amplitude": _Key("amplitude_V", "V"), "width": _Key("width_s", "s")}
_GAP = {"gap": _Key("gap_s", "s")}
_READ = {"read": _Key("read_V", "V"), "rest": _Key("rest_s", "s"), "read_delay": _Key("read_delay_s", "s")}
# a test holds this against the signatures of the makers
_KINDS: dict[str, dict[str, _Key]] = {
    "triangle": {
        "peaks": _Key("peaks_V", "V", True),
        "rate": _Key("rate_V_s", "V/s"),
        "compliance": _Key("compliance_A", "A", True),
        "samples_per_V": _Key("samples_per_V", ""),
    },
    "pulses": {
        "amplitude": _Key("amplitude_V", "V"),
        "width": _Key("width_s", "s"),
        "period": _Key("period_s", "s"),
        "count": _Key("count", ""),
        "read": _Key("read_V", "V"),
        "read_width": _Key("read_width_s", "s"),
        **_COMPLIANCE,
        "samples_per_period": _Key("samples_per_period", ""),
    },
    "spikes": {
        "times": _Key("times_s", "s", True),
        "amplitude": _Key("amplitude_V", "V"),
        "width": _Key("width_s", "s"),
        "duration": _Key("duration_s", "s"),
        **_COMPLIANCE,
        "reads": _Key("reads_s", "s", True),
        "samples": _Key("samples_s", "s", True),
    },
    "hold": {
        "voltage": _Key("voltage_V", "V"),
        "duration": _Key("duration_s", "s"),
        **_COMPLIANCE,
        "samples": _Key("samples", ""),
        "first": _Key("first_s", "s"),
    },
    "single": {**_SPIKE, **_READ},
    "pair": {"interval": _Key("interval_s", "s"), **_SPIKE, **_READ},
    "frequency": {"frequency": _Key("frequency_Hz", "Hz"), "count": _Key("count", ""), **_SPIKE, **_READ},
    "amplitudes": {"amplitudes": _Key("amplitudes_V", "V", True), "width": _SPIKE["width"], **_GAP, **_READ},
    "durations": {"widths": _Key("widths_s", "s", True), "amplitude": _SPIKE["amplitude"], **_GAP, **_READ},
    "numbers": {"count": _Key("count", ""), **_SPIKE, **_GAP, **_READ},
    "retention": {
        "count": _Key("count", ""),
        **_SPIKE,
        **_GAP,
        "read": _READ["read"],
        "lead": _Key("lead_s", "s"),
        "watch": _Key("watch_s", "s"),
        "read_delay": _READ["read_delay"],
        "samples": _Key("samples", ""),
    },
    "update": {"count": _Key("count", ""), "depression": _Key("depression_V", "V"), **_SPIKE, **_GAP, **_READ},
    "csv": {"file": _Key("file", "path"), **_COMPLIANCE, "samples": _Key("samples", "")},
}


def arguments() -> dict[str, str]:
    """What each argument of the makers is called in a protocol.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> arguments()["width_s"]
    'width'
    """
    return {key.argument: name for keys in _KINDS.values() for name, key in keys.items() if key.argument != name}


def _maker(kind: str) -> Any:
    """The function that makes this part of a protocol."""
    if kind == "csv":
        return _read
    return getattr(Waveform, kind) if hasattr(Waveform, kind) else getattr(synapse, kind)


def _close(name: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else None


def _value(text: str, key: _Key, name: str) -> Any:
    if key.unit == "path":
        return text
    if not key.many and "," in text:
        raise InputError(f"{name} takes one value", got=text, action="Give each part its own, or make a series")
    numbers = [quantity(item, key.unit, name=name) for item in (text.split(",") if key.many else [text])]
    return numbers if len(numbers) > 1 or (key.many and key.argument != "compliance_A") else numbers[0]


def _made(kind: str, given: Mapping[str, str]) -> Waveform:
    """One part of a protocol."""
    keys = _KINDS[kind]
    values = {keys[name].argument: _value(text, keys[name], f"{kind} {name}") for name, text in given.items()}
    make = _maker(kind)
    needed = [p.name for p in inspect.signature(make).parameters.values() if p.default is p.empty]
    for name, key in keys.items():
        if key.argument in needed and key.argument not in values:
            such = _SUCH_AS[key.unit].split()[0] if key.unit in _SUCH_AS else "..."
            got = ", ".join(given) or "nothing"
            raise InputError(f"{kind} needs {name}", got=got, action=f"Add it, as in {name}={such}")
    return make(**values)


def _read(file: str | os.PathLike[str], compliance_A: float | None = None, samples: float | None = None) -> Waveform:
    """A waveform from a CSV file; the compliance of a row holds until the next one."""
    if samples is not None and not (samples >= 1 and float(samples).is_integer()):
        raise InputError("csv samples must be a whole number", got=samples, allowed=">= 1")
    separator = ","
    columns: dict[str, list[float]] = {}
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as stream:
            lines = ((i, line) for i, line in enumerate(stream, start=1) if line.strip() and not line.startswith("#"))
            factors: list[tuple[str, Decimal]] = []
            for i, line in lines:
                if not factors:
                    separator = max(",;\t", key=line.count)
                row = next(csv.reader([line], delimiter=separator))
                if not factors:
                    factors = [_column(cell.strip(), file) for cell in row]
                    columns = {noun: [] for noun, _ in factors}
                    for noun in ("time", "voltage"):
                        if [n for n, _ in factors].count(noun) != 1:
                            raise DataError(
                                f"needs one column of {noun}",
                                file=file,
                                key=f"line {i}",
                                got=", ".join(row),
                                allowed="time_s, voltage_V and, if there is a limit, compliance_A",
                            )
                    continue
                if len(row) != len(factors):
                    got, allowed = f"{len(row)} values", f"{len(factors)}, one for each column"
                    raise DataError("a row of another length", file=file, key=f"line {i}", got=got, allowed=allowed)
                for text, (noun, factor) in zip(row, factors, strict=True):
                    # where the comma does not separate it may be the decimal sign
                    cell = text if separator == "," else text.replace(",", ".", 1)
                    found = _NUMBER.fullmatch(cell)
                    if (found is None or found[2]) and cell.strip() != "inf":
                        raise DataError("not a number", file=file, key=f"line {i}, {noun}", got=text)
                    try:
                        columns[noun].append(_scaled(cell.strip(), factor, noun))
                    except InputError as error:
                        raise DataError(error.what, file=file, key=f"line {i}, {noun}", got=error.got) from error
    except OSError as error:
        raise DataError("cannot be read", file=file, key="(file)", got=error.strerror or str(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError("is not a CSV file", file=file, key="(file)", got=str(error)) from error
    if not columns:
        raise DataError("is empty", file=file, key="(file)", allowed="a line time_s,voltage_V and rows of numbers")
    limit: Any = np.inf if compliance_A is None else compliance_A
    if compliance_A is None and "compliance" in columns:
        limit = np.array(columns["compliance"][:-1])
    try:
        wave = Waveform(np.array(columns["time"]), np.array(columns["voltage"]), limit)
        if samples is None:
            return wave
        return wave.with_samples(np.linspace(wave.time_s[0], wave.time_s[-1], int(samples) + 2)[1:-1])
    except InputError as error:
        raise DataError(
            error.what, file=file, key="(columns)", got=error.got, allowed=error.allowed, action=error.action
        ) from error


_HEADER = re.compile(r"(?P<noun>.*?)\s*(?:\((?P<round>[^()]*)\)|\[(?P<square>[^\[\]]*)\]|[_/]\s*(?P<bare>[^\s_/]+))?")
_NOUNS = {"t": "time", "v": "voltage", "current limit": "compliance", "limit": "compliance", "icc": "compliance"}


def _column(header: str, file: object) -> tuple[str, Decimal]:
    """Noun and factor of a column such as voltage_mV or Voltage (mV)."""
    found = _HEADER.fullmatch(header)
    assert found is not None  # every part may be empty
    noun = re.sub(r"[\s_]+", " ", found["noun"]).strip().lower()
    spelling = (found["round"] or found["square"] or found["bare"] or "").strip()
    noun = _NOUNS.get(noun, noun)
    if f"{noun} {spelling}" in _NOUNS:  # Current_limit has no unit
        noun, spelling = _NOUNS[f"{noun} {spelling}"], ""
    units = {"time": "s", "voltage": "V", "compliance": "A"}
    if noun not in units:
        known = [f"{n}_{u}" for n, u in units.items()]
        raise DataError(
            "unknown column",
            file=file,
            key=header,
            got=header,
            allowed=f"{', '.join(known)}, or as Time (ms), Voltage (V), Current limit (uA)",
            action=_close(header, known),
        )
    if spelling not in _SPELLINGS[units[noun]]:
        unit = units[noun]
        allowed = f"{noun}_{unit} or {noun.capitalize()} ({unit}), or with an SI prefix"
        raise DataError("a column needs its unit", file=file, key=header, got=header, allowed=allowed)
    return noun, _SPELLINGS[units[noun]][spelling]


def is_table(file: str | os.PathLike[str]) -> bool:
    """Whether a CSV file holds a waveform and no measurement: times and voltages, and at most a limit.

    Parameters
    ----------
    file : path

    Returns
    -------
    bool
    """
    with Path(file).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        head = next((line for line in stream if line.strip() and not line.startswith("#")), "").strip()
    try:
        nouns = [_column(cell.strip().strip('"'), file)[0] for cell in re.split(r"[,;\t]", head)]
    except DataError:
        return False
    return {"time", "voltage"} <= set(nouns)


# -- the language ------------------------------------------------------------------------------------------------

_ITEM = r"[+-]?[^\s,+()=]*(?:(?<=[eE])\+\d[^\s,+()=]*)?"
_TOKEN = re.compile(
    rf"""\s*(?:(?P<key>[A-Za-z_]\w*)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?![A-Za-z_]\w*\s*=)(?P<value>{_ITEM}(?:\s*,\s*{_ITEM})*))
    |(?P<times>\d+)\s*[x*×](?=[\s(])
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>[+()]))""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str  # key, times, name or mark
    text: str
    value: str = ""

    def __str__(self) -> str:
        if self.kind != "key":
            return f"{self.text}x" if self.kind == "times" else self.text
        plain = re.fullmatch(rf"{_ITEM}(?:,{_ITEM})*", self.value)
        return f"{self.text}={self.value}" if plain else f'{self.text}="{self.value}"'


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise InputError("The protocol cannot be read from here on", got=text[at:].strip(), allowed=_GRAMMAR)
        kind = found.lastgroup if found.lastgroup not in ("quoted", "value") else "key"
        assert kind is not None
        value = found["quoted"] if found["quoted"] is not None else re.sub(r"\s", "", found["value"] or "")
        yield _Token(kind, found[kind], value)
        at = found.end()


_GRAMMAR = "parts such as 'hold voltage=0.1V duration=1s', joined by +, repeated by 5x, grouped by ( )"


@dataclass(frozen=True)
class Protocol:
    """A waveform as its user writes it.

    Parameters
    ----------
    tokens : tuple
        Words of the text; :meth:`parse` makes them.

    Examples
    --------
    >>> loop = Protocol.parse("triangle peaks=2V,-2V rate=1V/s compliance=1uA")
    >>> loop.waveform() == Waveform.triangle([2.0, -2.0], 1.0, 1e-6)
    True
    >>> [str(p) for p in loop.vary("rate", ["1V/s", "10V/s"])]
    ['triangle peaks=2V,-2V rate=1V/s compliance=1uA', 'triangle peaks=2V,-2V rate=10V/s compliance=1uA']
    """

    tokens: tuple[_Token, ...]

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> Protocol:
        """Read the text of a protocol, or take the path of a CSV file.

        Parameters
        ----------
        text : str or path

        Raises
        ------
        InputError
            If the text is not a protocol; it says where and what is allowed.
        """
        if isinstance(text, os.PathLike) or (text.strip().endswith(".csv") and not text.strip().startswith("csv ")):
            file = os.fspath(text).strip()
            return cls((_Token("name", "csv"), _Token("key", "file", file)))
        protocol = cls(tuple(_tokens(text)))
        protocol._build(lambda kind, given: None)  # the grammar only; numbers are read with the waveform
        return protocol

    def __str__(self) -> str:
        return " ".join(map(str, self.tokens)).replace("( ", "(").replace(" )", ")")

    def waveform(self) -> Waveform:
        """The waveform that the protocol describes.

        Raises
        ------
        InputError
            If an argument is missing, has the wrong unit, or makes no waveform.
        DataError
            If a CSV file is missing or is no table of times and voltages.
        """
        return self._build(_made)

    def _build(self, make: Any) -> Any:
        tokens = list(self.tokens)

        def taken(kind: str, text: str = "") -> _Token | None:
            fits = tokens and tokens[0].kind == kind and (not text or tokens[0].text == text)
            return tokens.pop(0) if fits else None

        def wrong(what: str, action: str | None = None) -> InputError:
            got = str(tokens[0]) if tokens else "the end of the text"
            return InputError(what, got=got, allowed=_GRAMMAR, action=action)

        def chain() -> Any:
            made = term()
            while taken("mark", "+"):
                following = term()
                made = None if made is None else made + following
            return made

        def term() -> Any:
            times = taken("times")
            if taken("mark", "("):
                made = chain()
                if not taken("mark", ")"):
                    raise wrong("A bracket is not closed")
            else:
                made = part()
            if times is not None and not int(times.text):
                raise InputError("A part must be repeated at least once", got=str(times), allowed=">= 1x")
            return made if made is None or times is None else made.repeat(int(times.text))

        def part() -> Any:
            name = taken("name")
            if name is None:
                raise wrong("A part of the protocol must begin with its name")
            known = list(_KINDS)
            if name.text not in known:
                action = _close(name.text, known)
                raise InputError("Unknown part", got=name.text, allowed=", ".join(known), action=action)
            given: dict[str, str] = {}
            while token := taken("key"):
                keys = list(_KINDS[name.text])
                if token.text not in keys:
                    what, action = f"{name.text} takes no {token.text}", _close(token.text, keys)
                    raise InputError(what, got=str(token), allowed=", ".join(keys), action=action)
                if token.text in given:
                    raise InputError(f"{name.text} has {token.text} twice", got=str(token))
                if not token.value:
                    raise InputError(f"{name.text} {token.text} has no value", got=str(token))
                given[token.text] = token.value
            if tokens and tokens[0].kind == "name":
                raise wrong("Parts are joined by +, arguments are name=value", "Write a unit right after its number")
            return make(name.text, given)

        made = chain()
        if tokens:
            raise wrong("The protocol goes on where it should end")
        return made

    def vary(self, name: str, values: Sequence[str]) -> list[Protocol]:
        """The same protocol with each of several values of one argument.

        Parameters
        ----------
        name : str
            An argument such as ``compliance``. It changes in every part that gives it or, if none does, in every part
            that takes it; ``2.width`` means the second part alone, counted as written.
        values : sequence of str
            With units.

        Returns
        -------
        list of Protocol
            In the order of `values`.

        Raises
        ------
        InputError
            If no part takes the argument.
        """
        number, dot, key = name.rpartition(".")
        parts: list[list[_Token]] = []
        for token in self.tokens:
            if token.kind == "name":
                parts.append([token])
            elif token.kind == "key":
                parts[-1].append(token)
        if dot and not (number.isdigit() and 1 <= int(number) <= len(parts)):
            raise InputError("No such part of the protocol", got=name, allowed=f"1.{key} to {len(parts)}.{key}")
        chosen = [i for i in range(len(parts)) if not dot or i == int(number) - 1]
        giving = [i for i in chosen if any(t.text == key for t in parts[i][1:])]
        giving = giving or [i for i in chosen if key in _KINDS[parts[i][0].text]]
        if not giving:
            known = list(dict.fromkeys(k for i in chosen for k in _KINDS[parts[i][0].text]))
            raise InputError(
                "No part of the protocol takes this argument",
                got=key,
                allowed=", ".join(known),
                action=_close(key, known),
            )
        return [Protocol(tuple(self._with(set(giving), key, value))) for value in values]

    def _with(self, giving: set[int], key: str, value: str) -> Iterator[_Token]:
        """The tokens with another value in some parts: in its place, or at the end of a part that did not give it."""
        at, token, due = -1, _Token("key", key, re.sub(r"\s", "", value)), False
        for old in self.tokens:
            if due and old.kind != "key":
                yield token
                due = False
            if old.kind == "name":
                at += 1
                due = at in giving
            if due and old.kind == "key" and old.text == key:
                yield token
                due = False
            else:
                yield old
        if due:
            yield token


def series(text: str | os.PathLike[str], *variations: str) -> dict[str, Waveform]:
    """The waveforms of a series: every combination of the values of some arguments.

    Parameters
    ----------
    text : str or path
        A protocol or CSV file.
    *variations : str
        ``"compliance=1uA,10uA,100uA"``; values that hold commas are parted by semicolons
        (``"peaks=1V,-1V;2V,-2V"``), ``"2.width=..."`` means the second part alone.

    Returns
    -------
    dict of str to Waveform
        By what was varied, as ``"compliance=1uA"``; in the order given, the last variation fastest.

    Raises
    ------
    InputError
        If a variation is not ``name=value,value``, or no part takes it, or a waveform cannot be made.

    Examples
    --------
    >>> runs = series("pulses amplitude=1V width=20ms period=40ms", "amplitude=0.9V,1V", "count=1,10")
    >>> list(runs)
    ['amplitude=0.9V count=1', 'amplitude=0.9V count=10', 'amplitude=1V count=1', 'amplitude=1V count=10']
    """
    axes = [variation(v) for v in variations]
    made: dict[str, Waveform] = {}
    whole = Protocol.parse(text)
    for values in itertools.product(*(values for _, values in axes)):
        protocol = whole
        for (name, _), value in zip(axes, values, strict=True):
            (protocol,) = protocol.vary(name, [value])
        label = " ".join(f"{name}={value}" for (name, _), value in zip(axes, values, strict=True))
        made[label] = protocol.waveform()
    return made


def variation(text: str) -> tuple[str, list[str]]:
    """Name and values of ``"compliance=1uA,10uA"``; semicolons part values that hold commas.

    Parameters
    ----------
    text : str

    Returns
    -------
    name : str
    values : list of str

    Raises
    ------
    InputError
        If it is not of this form, or names a value twice.

    Examples
    --------
    >>> variation("compliance=1uA,10uA")
    ('compliance', ['1uA', '10uA'])
    """
    name, equals, rest = text.partition("=")
    values = [v.strip() for v in rest.split(";" if ";" in rest else ",")]
    if not equals or not name.strip() or not all(values):
        raise InputError("A variation is not name=value,value", got=text, allowed="compliance=1uA,10uA")
    if len(set(values)) < len(values):
        raise InputError("A variation has a value twice", got=text, allowed="each value once")
    return name.strip(), values
