"""Published migration barriers and formation energies, one number a row, each with its source.

One file a source paper in ``data/barriers``, readable without Python; what the keys mean:

======================  =============================================================================
key of ``[[barrier]]``  meaning
======================  =============================================================================
``id``                  stable name, unique over all files, lower case
``material``            host as printed, or inferred and then the note says from what; ``"not stated in via"`` if
                        the text does not tell
``species``             Kröger-Vink without charge: ``V_Br`` vacancy, ``I_i`` interstitial; an ion that
                        is not resolved into a defect stands alone (``I``, ``Cs``; ``X`` any halide;
                        ``ion`` not named)
``quantity``            ``migration_barrier``; ``formation_energy`` of a defect; ``activation_energy``, the
                        Arrhenius slope of an ionic process that the source does not resolve into a hop
``value``               the number; or ``low`` and ``high`` for a range; or ``lower`` or ``upper`` for a
                        bound (``lower = 1.20`` is "> 1.20")
``unit``                as printed: ``eV`` or ``kJ/mol``
``approximate``         optional, ``true`` where "about", "around" or "~" is printed
``computed``            optional, ``true`` for a number that `halidrift neb` made with the calculator of
                        `source`: published nowhere else
``repeats``             optional, id of a row of which this one is probably a second reading: same calculation or
                        measurement, quoted by another paper
``compiled``            optional, ``true`` for a range that a review gathered from several papers (`refs`), some
                        of which may have rows of their own: no evidence beside them
``method``              as far as the text supports it, else ``"not stated"`` or ``"not stated in via"``
``locator``             table, figure or section
``charge``              optional, charge number of the defect
``phase``               optional, crystal phase: ``cubic``, ``tetragonal``, ``orthorhombic``, ...
``direction``           optional, of the hop: ``in-plane``, ``out-of-plane``, ``along c``, ...
``light``               optional, ``dark`` or ``light``
``sample``              optional, ``single crystal``, ``polycrystalline film``, ``grain boundary``, ...
``spacer``              optional, organic cation between the layers: ``PEA``, ``BA``, ...
``condition``           optional, what else decides: concentration, doping, neighbouring defects, temperature
``n``                   optional, lead-halide layers between organic layers: ``"1"``, ``"2"``, ... ``"inf"``
``via``                 optional, where the number was read if not in the source itself
``refs``                optional, further bib keys
``note``                optional, the curator's doubts
======================  =============================================================================

Above them, ``schema = 1``, ``source`` (bib key) and an optional ``title``.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from scipy import constants as _si

from .errors import DataError, InputError
from .randomness import generator

__all__ = ["QUANTITIES", "Barrier", "draw", "read"]

SCHEMA = 1

QUANTITIES = ("migration_barrier", "activation_energy", "formation_energy")
"""What a number can be."""

# kJ/mol per particle, in eV
_EV_PER_UNIT = {"eV": 1.0, "kJ/mol": 1e3 / (_si.Avogadro * _si.elementary_charge)}

# Outside these a number is a slip of unit or decimal point, not a property of a halide perovskite.
_BOUNDS_EV = {"migration_barrier": (0.0, 5.0), "activation_energy": (0.0, 5.0), "formation_energy": (-5.0, 10.0)}
_BOUNDS_TEXT = {
    "migration_barrier": "0 < E < 5 eV",
    "activation_energy": "0 < E < 5 eV",
    "formation_energy": "-5 to 10 eV",
}

_REQUIRED_TEXT = ("id", "material", "species", "quantity", "unit", "method", "locator")
_OPTIONAL_TEXT = ("phase", "direction", "light", "sample", "spacer", "condition", "n", "via", "repeats", "note")
_LIGHT = ("dark", "light")
_NUMBERS = ("value", "low", "high", "lower", "upper")
_FLAGS = ("approximate", "compiled", "computed")
_ROW_KEYS = (*_REQUIRED_TEXT, *_NUMBERS, *_FLAGS, "charge", *_OPTIONAL_TEXT, "refs")
_FILE_KEYS = ("schema", "source", "title", "barrier")


@dataclass(frozen=True)
class Barrier:
    """One published number.

    Parameters
    ----------
    id : str
        Stable name, unique in the database.
    material : str
        Host compound.
    species : str
        Migrating or forming defect, e.g. ``"V_Br"``, ``"Ag_i"``.
    quantity : {'migration_barrier', 'activation_energy', 'formation_energy'}
        What the number is.
    low_eV, high_eV : float or None, eV
        Ends of the range; equal for a single value; None on the open side of a bound.
    value : str
        The number as printed, e.g. ``"0.35"``, ``"0.08-0.58"``, ``"> 1.20"``, ``"~ 0.5"``.
    unit : str
        Unit as printed.
    source : str
        Bib key of the paper that the number comes from.
    method, locator, phase, direction, light, sample, spacer, condition, n, via, note : str or None
        See the table at the top of the module.
    charge : int or None
        Charge number of the defect.
    refs : tuple of str
        Further bib keys.
    repeats : str or None
        Id of the row of which this is probably a second reading.
    approximate, compiled, computed : bool
        See the table at the top of the module.
    file : str
        Path of the data file.
    """

    id: str
    material: str
    species: str
    quantity: str
    low_eV: float | None
    high_eV: float | None
    value: str
    unit: str
    source: str
    method: str
    locator: str
    charge: int | None = None
    phase: str | None = None
    direction: str | None = None
    light: str | None = None
    sample: str | None = None
    spacer: str | None = None
    condition: str | None = None
    n: str | None = None
    via: str | None = None
    refs: tuple[str, ...] = ()
    note: str | None = None
    approximate: bool = False
    compiled: bool = False
    computed: bool = False
    repeats: str | None = None
    file: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether only one side is known ("> 1.20 eV")."""
        return self.low_eV is None or self.high_eV is None

    @property
    def is_range(self) -> bool:
        """Whether the number was published as a range."""
        return not self.is_bound and self.low_eV != self.high_eV

    @property
    def independent(self) -> bool:
        """Whether the row is published evidence of its own: not compiled, not computed here, no second reading."""
        return not (self.compiled or self.computed) and self.repeats is None

    @property
    def value_eV(self) -> float:
        """The single value, eV.

        Raises
        ------
        InputError
            If the row is a range or a bound: which number to take is the reader's choice, not ours.
        """
        if self.low_eV is None or self.high_eV is None or self.low_eV != self.high_eV:
            raise InputError(
                f"barrier {self.id} has no single value",
                got=f"{self.value} {self.unit}",
                action="take .low_eV or .high_eV, or carry the spread on with .ensemble(n, rng)",
            )
        return self.low_eV

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys: the source, where it was read, and further references; each once."""
        return tuple(dict.fromkeys(key for key in (self.source, self.via, *self.refs) if key))

    @property
    def conditions(self) -> str:
        """All that the number holds for, in one line: layers, spacer, phase, direction, light, sample, the rest."""
        layers = f"n = {self.n}" if self.n else None
        light = {"light": "under light", "dark": "in the dark", None: None}[self.light]
        parts = (layers, self.spacer, self.phase, self.direction, light, self.sample, self.condition)
        return ", ".join(part for part in parts if part)

    @property
    def sides(self) -> tuple[str, str]:
        """Both ends in eV with the digits as printed; "" on the open side of a bound; three decimals for kJ/mol."""
        if self.unit != "eV":
            low, high = ("" if side is None else f"{side:.3f}" for side in (self.low_eV, self.high_eV))
            return low, high
        number = self.value.removeprefix("~ ")
        if self.is_bound:
            number = number[2:]
            return ("", number) if self.low_eV is None else (number, "")
        if not self.is_range:
            return number, number
        split = re.fullmatch(r"(-?[0-9.eE+]+(?:[eE]-[0-9]+)?)-(-?.+)", number)
        return (split[1], split[2]) if split else (str(self.low_eV), str(self.high_eV))

    @property
    def printed(self) -> str:
        """The number as printed, with its unit."""
        return f"{self.value} {self.unit}"

    def ensemble(self, n: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
        """Draw values for uncertainty propagation.

        Parameters
        ----------
        n : int, >= 1
            Number of draws.
        rng : int, numpy.random.Generator or None
            Seed or generator.

        Returns
        -------
        array, shape (n,), eV
            Uniform over a range; constant for a single value.

        Raises
        ------
        InputError
            If the row is a one-sided bound.

        Notes
        -----
        Uniform because a published range tells its ends and nothing about its shape.
        """
        return draw((self,), n, rng)

    def __str__(self) -> str:
        """Return the row as one line."""
        charge = "" if self.charge is None else f" ({self.charge:+d})" if self.charge else " (0)"
        via = f" via {self.via}" if self.via else ""
        condition = f"; {self.conditions}" if self.conditions else ""
        return (
            f"{self.material} {self.species}{charge} {self.quantity.replace('_', ' ')} {self.value} {self.unit}"
            f" [{self.source}{via}, {self.locator}; {self.method}{condition}]"
        )


def draw(barriers: Sequence[Barrier], n: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
    """Draw energies: a row uniformly, then a value uniformly in its range; see `Database.ensemble`.

    Parameters
    ----------
    barriers : sequence of Barrier, not empty
    n : int, >= 1
        Number of draws.
    rng : int, numpy.random.Generator or None
        Seed or generator.

    Returns
    -------
    array, shape (n,), eV

    Raises
    ------
    InputError
        If a row is a one-sided bound or `n` is not a positive whole number.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError("number of draws is not a positive whole number", got=n, allowed="an integer >= 1")
    open_rows = [f"{row.id} ({row.value} {row.unit})" for row in barriers if row.is_bound]
    if open_rows:
        raise InputError(
            "a one-sided bound cannot be sampled",
            got=", ".join(open_rows),
            action="leave it out with .select(is_bound=False)",
        )
    random = generator(rng)
    low = np.array([row.low_eV for row in barriers], dtype=float)
    high = np.array([row.high_eV for row in barriers], dtype=float)
    pick = random.integers(len(barriers), size=n)
    # clipped: low + (high - low) can exceed high by one rounding
    return np.clip(low[pick] + (high - low)[pick] * random.random(n), low[pick], high[pick])


def read(file: Path, known: frozenset[str]) -> Iterator[Barrier | DataError]:
    """Read one barrier file, checking everything that the schema promises.

    Parameters
    ----------
    file : pathlib.Path
    known : frozenset of str
        Bib keys that sources may be named by.

    Yields
    ------
    Barrier or DataError
        A row, or what is wrong with it; a fault of the whole file ends it.
    """
    try:
        # Decimal keeps the digits as printed: 0.160 eV is a statement about precision that 0.16 is not
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        yield DataError("not a TOML file", file=file, key="(whole file)", got=str(error), action="correct the syntax")
        return
    except OSError as error:
        yield DataError(
            "cannot be read", file=file, key="(whole file)", got=str(error), action="correct its permissions"
        )
        return
    try:
        source, entries = _read_head(table, known, file)
    except DataError as error:
        yield error
        return
    for index, entry in enumerate(entries):
        try:
            yield _read_row(entry, source, known, file, f"barrier[{index}]")
        except DataError as error:
            yield error


def _read_head(table: dict[str, Any], known: frozenset[str], file: Path) -> tuple[str, list[dict[str, Any]]]:
    _check_keys(table, _FILE_KEYS, file, "")
    if table.get("schema") != SCHEMA:
        raise DataError(
            "unknown schema" if "schema" in table else "key is missing",
            file=file,
            key="schema",
            got=table.get("schema"),
            allowed=str(SCHEMA),
            action=f"write schema = {SCHEMA} at the top",
        )
    source = _text(table, "source", file, "source")
    _check_reference(source, known, file, "source")
    if "title" in table:
        _text(table, "title", file, "title")
    entries = table.get("barrier")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(
            "no barriers",
            file=file,
            key="barrier",
            got=type(entries).__name__,
            allowed="one [[barrier]] table or more",
            action="add a row or remove the file",
        )
    return source, entries


def _read_row(entry: dict[str, Any], source: str, known: frozenset[str], file: Path, where: str) -> Barrier:
    _check_keys(entry, _ROW_KEYS, file, f"{where}.")
    text = {key: _text(entry, key, file, f"{where}.{key}") for key in _REQUIRED_TEXT}
    text |= {key: _text(entry, key, file, f"{where}.{key}") for key in _OPTIONAL_TEXT if key in entry}

    def fault(what: str, key: str, allowed: str, action: str | None = None) -> DataError:
        return DataError(what, file=file, key=f"{where}.{key}", got=entry.get(key), allowed=allowed, action=action)

    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", text["id"]):
        raise fault("id is not plain", "id", "lower-case letters, digits, and _ . - after the first")
    if not re.fullmatch(r"[A-Za-z]+(_[A-Za-z]+)?", text["species"]):
        raise fault(
            "species is not a defect",
            "species",
            "V_Br, Ag_i, I: an element, V for a vacancy or a molecule, after _ the site",
            "give the charge as charge = 1, not in the name",
        )
    if text["quantity"] not in _BOUNDS_EV:
        raise fault("unknown quantity", "quantity", " or ".join(_BOUNDS_EV))
    if text["unit"] not in _EV_PER_UNIT:
        raise fault("unknown unit", "unit", " or ".join(_EV_PER_UNIT), "write the number in a unit of the schema")
    if text.get("light", "dark") not in _LIGHT:
        raise fault("light is not a condition of light", "light", " or ".join(_LIGHT), "put the rest into condition")
    if "n" in text and not re.fullmatch(r"[1-9][0-9]*|inf", text["n"]):
        raise fault("n is not a number of layers", "n", '"1", "2", ... or "inf" (3D)')
    charge = entry.get("charge")
    if charge is not None and (isinstance(charge, bool) or not isinstance(charge, int) or abs(charge) > 9):
        raise fault("charge is not a charge number", "charge", "a whole number such as 1, 0 or -2")
    flags = {key: entry.get(key, False) for key in _FLAGS}
    for key, flag in flags.items():
        if not isinstance(flag, bool):
            raise fault(f"{key} is neither true nor false", key, "true, false")
    refs = entry.get("refs", [])
    if not isinstance(refs, list) or not all(isinstance(key, str) for key in refs):
        raise fault("refs is not a list of bib keys", "refs", 'a list such as ["Azpiroz2015"]')
    if "via" in text:
        _check_reference(text["via"], known, file, f"{where}.via")
    for index, key in enumerate(refs):
        _check_reference(key, known, file, f"{where}.refs[{index}]")

    low, high, printed = _numbers(entry, text["quantity"], text["unit"], file, where)
    return Barrier(
        low_eV=low,
        high_eV=high,
        value=f"~ {printed}" if flags["approximate"] else printed,
        source=source,
        charge=charge,
        refs=tuple(refs),
        file=str(file),
        approximate=flags["approximate"],
        compiled=flags["compiled"],
        computed=flags["computed"],
        **text,
    )


def _numbers(
    entry: dict[str, Any], quantity: str, unit: str, file: Path, where: str
) -> tuple[float | None, float | None, str]:
    """Return low and high in eV, and the number as printed."""
    given = tuple(key for key in _NUMBERS if key in entry)
    if given not in {("value",), ("low", "high"), ("lower",), ("upper",)}:
        raise DataError(
            "number is missing" if not given else "numbers do not go together",
            file=file,
            key=f"{where}.{given[0] if given else 'value'}",
            got=", ".join(given) or "none",
            allowed="value; or low and high; or lower; or upper",
            action="keep one of these forms",
        )
    least, most = _BOUNDS_EV[quantity]
    energy: dict[str, float] = {}
    for key in given:
        number = entry[key]
        if isinstance(number, bool) or not isinstance(number, (int, Decimal)) or not _is_finite(number):
            raise DataError(
                "not a finite number",
                file=file,
                key=f"{where}.{key}",
                got=str(number)[:40],
                allowed="a finite number, unquoted",
            )
        energy[key] = float(number) * _EV_PER_UNIT[unit]
        inside = least <= energy[key] <= most if quantity == "formation_energy" else least < energy[key] < most
        if not inside:
            raise DataError(
                f"{quantity} is out of physical bounds",
                file=file,
                key=f"{where}.{key}",
                got=f"{number} {unit}",
                allowed=_BOUNDS_TEXT[quantity],
                action="check the unit and the decimal point against the source",
            )
    if given == ("value",):
        return energy["value"], energy["value"], f"{entry['value']}"
    if given == ("lower",):
        return energy["lower"], None, f"> {entry['lower']}"
    if given == ("upper",):
        return None, energy["upper"], f"< {entry['upper']}"
    if energy["low"] >= energy["high"]:
        raise DataError(
            "range is empty or reversed",
            file=file,
            key=f"{where}.low",
            got=f"low = {entry['low']}, high = {entry['high']}",
            allowed="low < high",
            action="swap them, or write value if the two are equal",
        )
    return energy["low"], energy["high"], f"{entry['low']}-{entry['high']}"


def _is_finite(number: int | Decimal) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:  # an integer of hundreds of digits
        return False


def _text(table: dict[str, Any], key: str, file: Path, where: str) -> str:
    value = table.get(key)
    if key not in table:
        raise DataError("key is missing", file=file, key=where, allowed="text, not empty", action=f"add {key}")
    if not isinstance(value, str) or not value.strip():
        raise DataError("not a text", file=file, key=where, got=value, allowed="text in quotes, not empty")
    return value


def _check_keys(table: dict[str, Any], allowed: tuple[str, ...], file: Path, prefix: str) -> None:
    for key in table:
        if key not in allowed:
            near = get_close_matches(key, allowed, n=1)
            raise DataError(
                "unknown key",
                file=file,
                key=f"{prefix}{key}",
                got=key,
                allowed=", ".join(allowed),
                action=f"did you mean {near[0]}?" if near else "remove it or move it into the note",
            )


def _check_reference(key: str, known: frozenset[str], file: Path, where: str) -> None:
    if key not in known:
        near = get_close_matches(key, known, n=3)
        raise DataError(
            "bib key is not in any references.bib",
            file=file,
            key=where,
            got=key,
            allowed=f"close matches: {', '.join(near)}" if near else "a key of references.bib",
            action="correct the key, or add the reference to references.bib beside the barriers folder",
        )
