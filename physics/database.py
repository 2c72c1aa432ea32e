"""The barrier database: published migration barriers and formation energies, each with its source.

One file a source paper in ``data/barriers``, readable without Python; what the keys mean:

======================  =============================================================================
key of ``[[barrier]]``  meaning
======================  =============================================================================
``id``                  stable name, unique over all files, lower case
``material``            host as printed; ``"not stated in via"`` if the text does not tell
``species``             Kröger-Vink without charge: ``V_Br`` vacancy, ``I_i`` interstitial; an ion that
                        is not resolved into a defect stands alone (``I``, ``Cs``; ``X`` any halide;
                        ``ion`` not named)
``quantity``            ``migration_barrier`` or ``formation_energy``
``value``               the number; or ``low`` and ``high`` for a range; or ``lower`` or ``upper`` for a
                        bound (``lower = 1.20`` is "> 1.20")
``unit``                as printed: ``eV`` or ``kJ/mol``
``method``              as far as the text supports it, else ``"not stated in via"``
``locator``             table, figure or section
``charge``              optional, charge number of the defect
``condition``           optional, phase, direction, light, concentration
``n``                   optional, lead-halide layers between organic layers: ``"1"``, ``"2"``, ... ``"inf"``
``via``                 optional, where the number was read if not in the source itself
``refs``                optional, further bib keys
``note``                optional, the curator's doubts
======================  =============================================================================

Above them, ``schema = 1``, ``source`` (bib key) and an optional ``title``.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from scipy import constants as _si

from .citations import bibliography, data_directories
from .errors import AmbiguityError, DataError, InputError
from .randomness import generator

__all__ = ["Barrier", "Database"]

SCHEMA = 1

# kJ/mol per particle, in eV
_EV_PER_UNIT = {"eV": 1.0, "kJ/mol": 1e3 / (_si.Avogadro * _si.elementary_charge)}

# Outside these a number is a slip of unit or decimal point, not a property of a halide perovskite.
_BOUNDS_EV = {"migration_barrier": (0.0, 5.0), "formation_energy": (-5.0, 10.0)}
_BOUNDS_TEXT = {"migration_barrier": "0 < E < 5 eV", "formation_energy": "-5 to 10 eV"}

_REQUIRED_TEXT = ("id", "material", "species", "quantity", "unit", "method", "locator")
_OPTIONAL_TEXT = ("condition", "n", "via", "note")
_NUMBERS = ("value", "low", "high", "lower", "upper")
_ROW_KEYS = (*_REQUIRED_TEXT, *_NUMBERS, "charge", *_OPTIONAL_TEXT, "refs")
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
    quantity : {'migration_barrier', 'formation_energy'}
        What the number is.
    low_eV, high_eV : float or None, eV
        Ends of the range; equal for a single value; None on the open side of a bound.
    value : str
        The number as printed, e.g. ``"0.35"``, ``"0.08-0.58"``, ``"> 1.20"``.
    unit : str
        Unit as printed.
    source : str
        Bib key of the paper that the number comes from.
    method, condition, n, via, locator, note : str or None
        See the table at the top of the module.
    charge : int or None
        Charge number of the defect.
    refs : tuple of str
        Further bib keys.
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
    condition: str | None = None
    n: str | None = None
    via: str | None = None
    refs: tuple[str, ...] = ()
    note: str | None = None
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
                action="take .low_eV or .high_eV, or carry the spread on with .sample(n, rng) or Database.ensemble",
            )
        return self.low_eV

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys: the source, where it was read, and further references; each once."""
        return tuple(dict.fromkeys(key for key in (self.source, self.via, *self.refs) if key))

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
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
        return Database((self,)).ensemble(n, rng)

    def __str__(self) -> str:
        """Return the row as one line."""
        charge = "" if self.charge is None else f" ({self.charge:+d})" if self.charge else " (0)"
        via = f" via {self.via}" if self.via else ""
        condition = f"; {self.condition}" if self.condition else ""
        return (
            f"{self.material} {self.species}{charge} {self.quantity.replace('_', ' ')} {self.value} {self.unit}"
            f" [{self.source}{via}, {self.locator}; {self.method}{condition}]"
        )


@dataclass(frozen=True, repr=False)
class Database:
    """A set of barriers that can be narrowed down.

    Parameters
    ----------
    barriers : tuple of Barrier
        The rows.

    Examples
    --------
    >>> db = Database.load()
    >>> db.select(material="CsPbBr3", species="V_Br", quantity="migration_barrier").one().value_eV
    0.35
    >>> db.select(material="MAPbI3", species="V_Pb").range()
    (0.8, 2.31)
    """

    barriers: tuple[Barrier, ...]
    # what was asked and of whom, so that an empty or ambiguous selection can say what there is instead
    _asked: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    _pool: tuple[Barrier, ...] | None = field(default=None, compare=False)

    @classmethod
    def load(cls, *extra_dirs: str | os.PathLike[str]) -> Database:
        """Read the packaged barriers and those of the user.

        Parameters
        ----------
        *extra_dirs : path
            Further data directories, laid out as the packaged one: ``barriers/*.toml`` and, for sources that
            are not in the packaged bibliography, ``references.bib``. The directory named by the environment
            variable ``HALIDRIFT_DATA`` is read as well, if set.

        Returns
        -------
        Database

        Raises
        ------
        InputError
            If a directory does not exist or one given here holds no barrier file.
        DataError
            If a file breaks the schema; names the file, the key, what was found and what is allowed.
        """
        known = frozenset(bibliography(*extra_dirs))
        for directory in extra_dirs:
            if not any(Path(directory, "barriers").glob("*.toml")):
                raise InputError(
                    "data directory holds no barrier file",
                    got=os.fspath(directory),
                    allowed="a directory with barriers/*.toml",
                    action="move the files into a folder named barriers, or drop the directory",
                )
        rows: dict[str, Barrier] = {}
        for directory in dict.fromkeys(data_directories(*extra_dirs)):
            for file in sorted((directory / "barriers").glob("*.toml")):
                for index, row in enumerate(_read_file(file, known)):
                    if row.id in rows:
                        raise DataError(
                            "id is already taken",
                            file=file,
                            key=f"barrier[{index}].id",
                            got=f"{row.id}, also in {rows[row.id].file}",
                            allowed="an id that no other row of any file has",
                            action="rename the newer row",
                        )
                    rows[row.id] = row
        return cls(tuple(rows.values()))

    def select(self, **criteria: object) -> Database:
        """Keep the rows whose fields equal all given values.

        Parameters
        ----------
        **criteria
            Any of `id`, `material`, `species`, `quantity`, `method`, `source`, `via`, `n`, `charge`,
            `condition`, `unit`, `locator`, `is_range`, `is_bound`. ``via=None`` keeps rows read in the source
            itself.

        Returns
        -------
        Database
            May be empty.

        Raises
        ------
        InputError
            If a field does not exist.
        """
        for name in criteria:
            if name not in _SELECTABLE:
                near = get_close_matches(name, _SELECTABLE, n=1)
                raise InputError(
                    "barriers have no such field to select on",
                    got=name,
                    allowed=", ".join(_SELECTABLE),
                    action=f"did you mean {near[0]}?" if near else None,
                )
        # n is text in the files because of "inf"; a reader will write n=3
        asked = tuple((name, str(v) if name == "n" and v is not None else v) for name, v in criteria.items())
        kept = tuple(row for row in self.barriers if _matches(row, asked))
        return Database(kept, (*self._asked, *asked), self.barriers if self._pool is None else self._pool)

    def one(self) -> Barrier:
        """Return the only row.

        Raises
        ------
        AmbiguityError
            If there are several rows (lists them) or none (says what there is instead).
        """
        if len(self.barriers) == 1:
            return self.barriers[0]
        asked = ", ".join(f"{name}={value!r}" for name, value in self._asked) or "no criteria"
        if not self.barriers:
            raise AmbiguityError(f"no barrier has {asked}", allowed=self._alternatives(), action="correct the criteria")
        candidates = "".join(
            f"\n  {row.id}: {row.value} {row.unit}, {' via '.join(filter(None, (row.source, row.via)))}"
            f"; {row.quantity}; {row.method}"
            for row in self.barriers
        )
        raise AmbiguityError(
            f"{len(self.barriers)} barriers have {asked}:{candidates}\nOne is needed",
            action="narrow it (for instance by source, via, method or id), or carry the spread on with .ensemble",
        )

    def get(self, id: str) -> Barrier:
        """Return the row with an id.

        Parameters
        ----------
        id : str
            The row's id.

        Raises
        ------
        InputError
            If there is none; names the closest ids.
        """
        for row in self.barriers:
            if row.id == id:
                return row
        near = get_close_matches(str(id), [row.id for row in self.barriers], n=3, cutoff=0.4)
        raise InputError(
            "no barrier has this id",
            got=id,
            allowed=f"close matches: {', '.join(near)}" if near else None,
            action="list the ids with [row.id for row in database]",
        )

    def range(self) -> tuple[float, float]:
        """Return the lowest and the highest published energy of the selection.

        Returns
        -------
        tuple of float, eV
            ``-inf`` or ``inf`` where a bound leaves a side open.

        Raises
        ------
        AmbiguityError
            If the selection is empty.
        InputError
            If it mixes migration barriers with formation energies.
        """
        self._check_comparable("a range")
        return (
            min(-math.inf if row.low_eV is None else row.low_eV for row in self.barriers),
            max(math.inf if row.high_eV is None else row.high_eV for row in self.barriers),
        )

    def ensemble(self, n: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
        """Draw energies from the selection: a row uniformly, then a value uniformly in its range.

        Parameters
        ----------
        n : int, >= 1
            Number of draws.
        rng : int, numpy.random.Generator or None
            Seed or generator; the same seed gives the same draws.

        Returns
        -------
        array, shape (n,), eV

        Raises
        ------
        AmbiguityError
            If the selection is empty.
        InputError
            If it mixes quantities or holds a one-sided bound.

        Notes
        -----
        Every row weighs the same, so a paper that is quoted twice counts twice: select before you draw.
        Rows of different methods may not share a scale (device resistance against halide exchange).
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError("number of draws is not a positive whole number", got=n, allowed="an integer >= 1")
        self._check_comparable("an ensemble")
        open_rows = [f"{row.id} ({row.value} {row.unit})" for row in self.barriers if row.is_bound]
        if open_rows:
            raise InputError(
                "a one-sided bound cannot be sampled",
                got=", ".join(open_rows),
                action="leave it out with .select(is_bound=False)",
            )
        random = generator(rng)
        low = np.array([row.low_eV for row in self.barriers], dtype=float)
        high = np.array([row.high_eV for row in self.barriers], dtype=float)
        pick = random.integers(len(self.barriers), size=n)
        # clipped: low + (high - low) can exceed high by one rounding
        return np.clip(low[pick] + (high - low)[pick] * random.random(n), low[pick], high[pick])

    @property
    def materials(self) -> tuple[str, ...]:
        """Materials in the selection, sorted."""
        return tuple(sorted({row.material for row in self.barriers}))

    @property
    def species(self) -> tuple[str, ...]:
        """Species in the selection, sorted."""
        return tuple(sorted({row.species for row in self.barriers}))

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of all rows, sorted, each once."""
        return tuple(sorted({key for row in self.barriers for key in row.sources}))

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as plain dictionaries, for pandas, JSON or a table on the screen."""
        return [asdict(row) for row in self.barriers]

    def __iter__(self) -> Iterator[Barrier]:
        return iter(self.barriers)

    def __len__(self) -> int:
        return len(self.barriers)

    def __repr__(self) -> str:
        return f"<Database: {len(self)} barriers, {len(self.materials)} materials, {len(self.species)} species>"

    def _check_comparable(self, what: str) -> None:
        if not self.barriers:
            self.one()  # raises, and says what there is instead
        quantities = sorted({row.quantity for row in self.barriers})
        if len(quantities) > 1:
            raise InputError(
                f"{what} over different quantities has no meaning",
                got=", ".join(quantities),
                allowed="one quantity",
                action='select one first, for instance quantity="migration_barrier"',
            )

    def _alternatives(self) -> str:
        """Say, for each criterion that blocks the selection, which values would not."""
        pool = self.barriers if self._pool is None else self._pool
        said = []
        for name, value in self._asked:
            others = tuple(pair for pair in self._asked if pair[0] != name)
            options = sorted({str(getattr(row, name)) for row in pool if _matches(row, others)})
            if options:
                near = get_close_matches(str(value), options, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near and near[0] != str(value) else ""
                said.append(f"{name} one of {', '.join(options)}{hint}, the rest as given")
        if not said:  # more than one criterion is off: answer each by itself
            for name, value in self._asked:
                options = sorted({str(getattr(row, name)) for row in pool})
                if str(value) not in options:
                    near = get_close_matches(str(value), options, n=1)
                    hint = f" (did you mean {near[0]!r}?)" if near else ""
                    said.append(f"{name} one of {', '.join(options)}{hint}")
        if not said:
            materials = sorted({row.material for row in pool})
            species = sorted({row.species for row in pool})
            said.append(f"materials {', '.join(materials)}; species {', '.join(species)}")
        return "; or ".join(said)


_SELECTABLE = (
    *("id", "material", "species", "quantity", "method", "source", "via", "n", "charge"),
    *("condition", "unit", "locator", "is_range", "is_bound"),
)


def _matches(row: Barrier, criteria: tuple[tuple[str, Any], ...]) -> bool:
    return all(getattr(row, name) == value for name, value in criteria)


def _read_file(file: Path, known: frozenset[str]) -> list[Barrier]:
    """Read one barrier file, checking everything that the schema promises."""
    try:
        # Decimal keeps the digits as printed: 0.160 eV is a statement about precision that 0.16 is not
        table = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            "not a TOML file", file=file, key="(whole file)", got=str(error), action="correct the syntax"
        ) from error
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
    return [_read_row(entry, source, known, file, f"barrier[{index}]") for index, entry in enumerate(entries)]


def _read_row(entry: dict[str, Any], source: str, known: frozenset[str], file: Path, where: str) -> Barrier:
    _check_keys(entry, _ROW_KEYS, file, f"{where}.")
    text = {key: _text(entry, key, file, f"{where}.{key}") for key in _REQUIRED_TEXT}
    text |= {key: _text(entry, key, file, f"{where}.{key}") for key in _OPTIONAL_TEXT if key in entry}

    def fault(what: str, key: str, allowed: str, action: str | None = None) -> DataError:
        return DataError(what, file=file, key=f"{where}.{key}", got=entry.get(key), allowed=allowed, action=action)

    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", text["id"]):
        raise fault("id is not plain", "id", "lower-case letters, digits, and _ . - after the first")
    if text["quantity"] not in _BOUNDS_EV:
        raise fault("unknown quantity", "quantity", " or ".join(_BOUNDS_EV))
    if text["unit"] not in _EV_PER_UNIT:
        raise fault("unknown unit", "unit", " or ".join(_EV_PER_UNIT), "write the number in a unit of the schema")
    if "n" in text and not re.fullmatch(r"[1-9][0-9]*|inf", text["n"]):
        raise fault("n is not a number of layers", "n", '"1", "2", ... or "inf" (3D)')
    charge = entry.get("charge")
    if charge is not None and (isinstance(charge, bool) or not isinstance(charge, int) or abs(charge) > 9):
        raise fault("charge is not a charge number", "charge", "a whole number such as 1, 0 or -2")
    refs = entry.get("refs", [])
    if not isinstance(refs, list) or not all(isinstance(key, str) for key in refs):
        raise fault("refs is not a list of bib keys", "refs", 'a list such as ["Azpiroz2015"]')
    if "via" in text:
        _check_reference(text["via"], known, file, f"{where}.via")
    for index, key in enumerate(refs):
        _check_reference(key, known, file, f"{where}.refs[{index}]")

    low, high, printed = _numbers(entry, text["quantity"], text["unit"], file, where)
    return Barrier(
        low_eV=low, high_eV=high, value=printed, source=source, charge=charge, refs=tuple(refs), file=str(file), **text
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
        if isinstance(number, bool) or not isinstance(number, (int, Decimal)) or not math.isfinite(number):
            raise DataError(
                "not a finite number", file=file, key=f"{where}.{key}", got=number, allowed="a finite number, unquoted"
            )
        energy[key] = float(number) * _EV_PER_UNIT[unit]
        inside = least < energy[key] < most if quantity == "migration_barrier" else least <= energy[key] <= most
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
