"""The barrier database: rows of :mod:`halidrift.physics.barriers`, selected, compared and drawn from."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .barriers import _FLAGS, Barrier, draw, read
from .citations import bibliography, data_directories
from .errors import AmbiguityError, DataError, InputError
from .tables import table

if TYPE_CHECKING:
    import pandas
    import xarray as xr

__all__ = ["Barrier", "Database"]


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
        database, faults = cls.check(*extra_dirs)
        if faults:
            raise faults[0]
        return database

    @classmethod
    def check(cls, *extra_dirs: str | os.PathLike[str]) -> tuple[Database, tuple[DataError, ...]]:
        """Read as `load` does, but collect what breaks the schema instead of stopping at it.

        Parameters
        ----------
        *extra_dirs : path
            As for `load`.

        Returns
        -------
        database : Database
            The rows without fault.
        faults : tuple of DataError
            Each names file, table and key, what was found and what is allowed; at most one a row.

        Raises
        ------
        InputError
            If a directory does not exist or one given here holds no barrier file.
        """
        directories = data_directories(*extra_dirs)
        for directory in extra_dirs:
            if not any(Path(directory, "barriers").glob("*.toml")):
                raise InputError(
                    "data directory holds no barrier file",
                    got=os.fspath(directory),
                    allowed="a directory with barriers/*.toml",
                    action="move the files into a folder named barriers, or drop the directory",
                )
        try:
            known = frozenset(bibliography(*extra_dirs))
        except DataError as error:
            return cls(()), (error,)  # without references no row can be judged
        rows: dict[str, Barrier] = {}
        faults: list[DataError] = []
        for folder in dict.fromkeys(directories):
            for file in sorted((folder / "barriers").glob("*.toml")):
                for index, row in enumerate(read(file, known)):
                    if isinstance(row, DataError):
                        faults.append(row)
                    elif row.id in rows:
                        faults.append(_taken(row, index, rows[row.id]))
                    else:
                        rows[row.id] = row
        wrong = {row.id: _no_first(row) for row in rows.values() if not _names_a_first(row, rows)}
        good = tuple(row for row in rows.values() if row.id not in wrong)
        return cls(good), (*faults, *wrong.values())

    def select(self, **criteria: object) -> Database:
        """Keep the rows whose fields equal all given values.

        Parameters
        ----------
        **criteria
            Any of `id`, `material`, `species`, `quantity`, `method`, `source`, `via`, `n`, `charge`, `phase`,
            `direction`, `light`, `sample`, `spacer`, `condition`, `note`, `unit`, `locator`, `is_range`,
            `is_bound`, `approximate`, `compiled`, `computed`, `repeats`, `independent`, and `conditions`, the line that
            joins all conditions. ``via=None`` keeps rows read in the source itself. In text, ``*`` stands for anything:
            ``material="(PEA)2*"``, ``conditions="*Sn vacancy*"``.

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
            _check_field(name)
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
        self.check_comparable("a range")
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
        Every row weighs the same, so a paper that is quoted twice counts twice: select before you draw, for
        instance with ``independent=True``, which leaves out ranges that a review gathered and second readings.
        Rows of different methods may not share a scale (device resistance against halide exchange).
        """
        self.check_comparable("an ensemble")
        return draw(self.barriers, n, rng)

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

    def counts(self, name: str) -> dict[str, int]:
        """Count the rows by the value of a field, most frequent first.

        Parameters
        ----------
        name : str
            A field of `Barrier`, for instance ``"species"``.

        Returns
        -------
        dict of str to int

        Raises
        ------
        InputError
            If a field does not exist.
        """
        _check_field(name)
        return dict(Counter(str(getattr(row, name)) for row in self.barriers).most_common())

    def export(self, format: str) -> str:
        """Write the rows as a table for other programs; see `halidrift.physics.tables.table`.

        Parameters
        ----------
        format : {'csv', 'json', 'latex'}

        Raises
        ------
        InputError
            If the format is unknown.
        """
        return table(self.barriers, format)

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as plain dictionaries with every field, for JSON or a table on the screen.

        Returns
        -------
        list of dict
        """
        return [asdict(row) for row in self.barriers]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return the rows as a pandas table, indexed by id; NaN on the open side of a bound."""
        import pandas as pd

        table = pd.DataFrame.from_records(self.to_records(), columns=[f.name for f in fields(Barrier)])
        table[["low_eV", "high_eV"]] = table[["low_eV", "high_eV"]].astype(float)
        return table.set_index("id")

    def to_xarray(self) -> xr.Dataset:
        """Return the rows as a Dataset over `id`: energies with units, everything else as text ('' where not given).

        Returns
        -------
        xarray.Dataset
        """
        import xarray as xr

        table = xr.Dataset(coords={"id": np.array([row.id for row in self.barriers], dtype=str)})
        for side, name in (("low_eV", "lower end; NaN if open"), ("high_eV", "upper end; NaN if open")):
            numbers = [getattr(row, side) for row in self.barriers]
            values = np.array([math.nan if number is None else number for number in numbers], dtype=float)
            table[side] = ("id", values, {"units": "eV", "long_name": name})
        # a charge that is not known has no number, so NetCDF takes it as NaN
        charges = [math.nan if row.charge is None else float(row.charge) for row in self.barriers]
        table["charge"] = ("id", np.array(charges), {"units": "1", "long_name": "charge number of the defect"})
        for name in _FLAGS:
            flags = np.array([getattr(row, name) for row in self.barriers], dtype=np.int8)
            table[name] = ("id", flags, {"units": "1", "flag_values": [0, 1], "flag_meanings": "no yes"})
        for name in (f.name for f in fields(Barrier)):
            if name not in ("id", "low_eV", "high_eV", "charge", *_FLAGS, "file"):
                entries = [getattr(row, name) for row in self.barriers]
                texts = ["; ".join(entry) if isinstance(entry, tuple) else entry or "" for entry in entries]
                table[name] = ("id", np.array(texts, dtype=str))
        return table

    def __iter__(self) -> Iterator[Barrier]:
        return iter(self.barriers)

    def __len__(self) -> int:
        return len(self.barriers)

    def __repr__(self) -> str:
        return f"<Database: {len(self)} barriers, {len(self.materials)} materials, {len(self.species)} species>"

    def check_comparable(self, what: str) -> None:
        """Raise unless the rows are there and of one quantity; `what` would be made of them.

        Parameters
        ----------
        what : str
            Begins the message of the error.
        """
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


def _check_field(name: str) -> None:
    if name not in _SELECTABLE:
        near = get_close_matches(name, _SELECTABLE, n=1)
        raise InputError(
            "barriers have no such field",
            got=name,
            allowed=", ".join(_SELECTABLE),
            action=f"did you mean {near[0]}?" if near else None,
        )


def _names_a_first(row: Barrier, rows: dict[str, Barrier]) -> bool:
    if row.repeats is None:
        return True
    first = rows.get(row.repeats)
    return first is not None and first.repeats is None and first.quantity == row.quantity


def _no_first(row: Barrier) -> DataError:
    return DataError(
        "repeats names no first reading",
        file=row.file,
        key=f"{row.id}.repeats",
        got=row.repeats,
        allowed="the id of another row of the same quantity that repeats none itself",
    )


def _taken(row: Barrier, index: int, first: Barrier) -> DataError:
    return DataError(
        "id is already taken",
        file=row.file,
        key=f"barrier[{index}].id",
        got=f"{row.id}, also in {first.file}",
        allowed="an id that no other row of any file has",
        action="rename the newer row",
    )


_SELECTABLE = (
    *("id", "material", "species", "quantity", "method", "source", "via", "n", "charge", "phase", "direction"),
    *("light", "sample", "spacer", "condition", "conditions", "note", "unit", "locator", "is_range", "is_bound"),
    *("approximate", "compiled", "computed", "repeats", "independent"),
)


def _matches(row: Barrier, criteria: tuple[tuple[str, Any], ...]) -> bool:
    return all(_equal(getattr(row, name), value) for name, value in criteria)


def _equal(found: Any, asked: Any) -> bool:
    # a formula may hold [ ] and ?, so * is the only sign that stands for others
    if isinstance(asked, str) and "*" in asked:
        pattern = ".*".join(re.escape(part) for part in asked.split("*"))
        return isinstance(found, str) and re.fullmatch(pattern, found, re.DOTALL) is not None
    return bool(found == asked)
