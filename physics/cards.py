"""Reads a device card; each complaint names file and key.

A card is a TOML file (``data/devices/*.toml``). Every quantity in it is a table::

    hop_barrier_eV   = { barrier = "meloni2016-mapbi3-ag_i", note = "MAPbI3 stands in for CsPbBr3" }
    thickness_m      = { value = 20, unit = "nm", kind = "published", source = "John2022", locator = "Fig. 2" }
    bond_energy_eV   = { value = 0.2, unit = "eV", kind = "calibrated", fitted_to = "relaxation time, J-DIFF-08" }
    leak_S           = { value = 1, unit = "nS", kind = "assumed", reason = "...", range = [0.1, 10] }

The name of a parameter ends in its canonical unit; `unit` is the unit of the card and is converted. A quantity may
differ from device to device: its `spread` is one standard deviation, a number with a kind of its own, in the unit of
the quantity unless it names another::

    hop_barrier_eV = { barrier = "...", spread = { value = 0.01, kind = "assumed", reason = "...", range = [0, 0.02] } }
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .citations import bibliography, data_directories
from .database import Database
from .device import ROLES, Device, Layer
from .errors import DataError, InputError, OutputError
from .parameters import AREA, PARAMETERS, THICKNESS, UNITS, Parameter, canonical_unit, unit_text

__all__ = ["Reader", "toml"]

_T = TypeVar("_T")

_KINDS = {"published": ("source", "locator"), "calibrated": ("fitted_to",), "assumed": ("reason", "range")}
_SPREAD_KEYS = {"value", "unit", "kind", "source", "locator", "fitted_to", "reason", "range", "note"}
_QUANTITY_KEYS = {*_SPREAD_KEYS, "barrier", "spread"}


class Reader:
    """Turns one card into a Device and names file and key in every complaint.

    Parameters
    ----------
    file : Path
        Named in every complaint.
    database : Database
        Rows that a parameter may point to.
    """

    def __init__(self, file: Path, database: Database):
        self.file, self.database = file, database
        self.faults: list[DataError] | None = None  # a list: collect instead of raise

    def kept(self, read: Callable[[], _T]) -> _T | None:
        """What `read` returns; if faults are collected, its fault goes there and nothing is returned.

        Parameters
        ----------
        read : callable
            Reads one part of the card.
        """
        try:
            return read()
        except DataError as fault:
            if self.faults is None:
                raise
            self.faults.append(fault)
            return None

    def fail(self, what: str, key: str, **details: Any) -> DataError:
        """The error that names this file, for the caller to raise.

        Parameters
        ----------
        what : str
        key : str
            Table and key inside the file, dotted.
        **details
            ``got``, ``allowed``, ``action`` of :class:`~halidrift.physics.errors.DataError`.
        """
        return DataError(what, file=self.file, key=key, **details)

    def known(self, table: Any, allowed: set[str], key: str) -> None:
        """Refuse what is no table, and a key that the table does not have.

        Parameters
        ----------
        table : mapping
        allowed : set of str
        key : str
            Of the table, dotted.
        """
        if not isinstance(table, Mapping):
            raise self.fail("must be a table", key, got=repr(table), allowed=", ".join(sorted(allowed)[:6]) + ", ...")
        for name in table:
            if name not in allowed:
                close = difflib.get_close_matches(name, allowed, n=1)
                raise self.fail(
                    "unknown key",
                    f"{key}.{name}" if key else name,
                    got=name,
                    allowed=", ".join(sorted(allowed)) if len(allowed) < 15 else "a key of this table",
                    action=f"Did you mean {close[0]!r}?" if close else "Remove it, or see data/devices for examples",
                )

    def text(self, table: Mapping[str, Any], name: str, key: str) -> str:
        """A text that must be there and not empty.

        Parameters
        ----------
        table : mapping
        name : str
        key : str
            Of the table, dotted.

        Returns
        -------
        str
        """
        path = f"{key}.{name}" if key else name
        if name not in table:
            raise self.fail("missing key", path, allowed="a text", action=f'Add {name} = "..."')
        if not isinstance(table[name], str) or not table[name].strip():
            raise self.fail("must be a text", path, got=table[name])
        return table[name]

    def number(self, value: Any, key: str) -> float:
        """A finite number.

        Parameters
        ----------
        value : object
        key : str
            Where it stands, dotted.

        Returns
        -------
        float
        """
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            raise self.fail("must be a finite number", key, got=repr(value)[:80])
        return number

    def quantity(self, table: Any, name: str, key: str, low: float, high: float) -> Parameter:
        """A number with its unit, kind and source, and its spread if it has one.

        Parameters
        ----------
        table : mapping
        name : str
            Of the parameter; its ending tells the unit.
        key : str
            Of the table, dotted.
        low, high : float
            Physical bounds, in the canonical unit.
        """
        mean = self.mean(table, name, key, low, high)
        if "spread" not in table:
            return mean
        return replace(mean, spread=self.spread(table["spread"], mean, table.get("unit", "eV"), f"{key}.spread", high))

    def spread(self, table: Any, mean: Parameter, unit: str, key: str, high: float) -> Parameter:
        """The spread of a number from device to device: positive, with a kind and a source of its own.

        Parameters
        ----------
        table : mapping
        mean : Parameter
            Whose spread it is.
        unit : str
            That of the mean, if the table does not tell another.
        key : str
            Of the table, dotted.
        high : float
            Upper bound, in the canonical unit.
        """
        if not isinstance(table, Mapping):
            raise self.fail(
                "a spread is a number of its own and must say where it comes from",
                key,
                got=repr(table),
                allowed='{ value = ..., kind = "published" | "calibrated" | "assumed", ... }',
            )
        self.known(table, _SPREAD_KEYS, key)
        found = self.mean({"unit": unit, **table}, f"spread of {mean.name}", key, 0.0, high)
        if found.value == 0.0:
            raise self.fail("a spread must be positive", f"{key}.value", got=0, action="Leave the spread out")
        return found

    def mean(self, table: Any, name: str, key: str, low: float, high: float) -> Parameter:
        """A number with its unit, kind and source, without its spread.

        Parameters
        ----------
        table : mapping
        name : str
            Of the parameter; its ending tells the unit.
        key : str
            Of the table, dotted.
        low, high : float
            Physical bounds, in the canonical unit.
        """
        dimension = canonical_unit(name)
        if not isinstance(table, Mapping):
            raise self.fail(
                "must be a table with value, unit and kind",
                key,
                got=table,
                allowed=f'{{ value = ..., unit = "{unit_text(dimension)}", kind = published | calibrated | assumed }}',
            )
        self.known(table, _QUANTITY_KEYS, key)
        if "barrier" in table:
            return self.from_barrier(table, name, key, low, high)
        for required in ("value", "unit", "kind"):
            if required not in table:
                units = ", ".join(u for u, (d, _) in UNITS.items() if d == dimension)
                allowed = {"unit": units, "kind": ", ".join(_KINDS), "value": "a number"}[required]
                raise self.fail(
                    f"missing {required}",
                    f"{key}.{required}",
                    allowed=allowed,
                    action=f"Add {required} to this entry",
                )
        kind = table["kind"]
        if not isinstance(kind, str) or kind not in _KINDS:
            raise self.fail("unknown kind", f"{key}.kind", got=kind, allowed=", ".join(_KINDS))
        given = self.number(table["value"], f"{key}.value")
        for required in _KINDS[kind]:
            if required not in table or table[required] in ("", []):
                raise self.fail(
                    f"a number marked {kind} needs {required}", f"{key}.{required}", action=f"Add {required}"
                )
        factor = self.factor(table["unit"], dimension, f"{key}.unit")
        value = given * factor
        self.bounded(value, key, dimension, low, high)
        span = None
        if "range" in table:
            if not isinstance(table["range"], list) or len(table["range"]) != 2:
                raise self.fail("must be [low, high]", f"{key}.range", got=table["range"])
            first, last = (self.number(v, f"{key}.range") * factor for v in table["range"])
            if not first <= value <= last:
                raise self.fail("range must hold the value", f"{key}.range", got=table["range"])
            span = (first, last)
        words: dict[str, Any] = {k: str(table.get(k, "")) for k in ("source", "locator", "fitted_to", "reason", "note")}
        return Parameter(name, value, unit_text(dimension), kind, range=span, **words)

    def factor(self, unit: Any, dimension: str, key: str) -> float:
        """Factor from a unit on a card to the canonical unit.

        Parameters
        ----------
        unit : str
        dimension : str
            Canonical unit, as it ends the name of a parameter.
        key : str
            Where it stands, dotted.

        Returns
        -------
        float
        """
        if not isinstance(unit, str) or unit not in UNITS or UNITS[unit][0] != dimension:
            allowed = ", ".join(u for u, (d, _) in UNITS.items() if d == dimension)
            raise self.fail("wrong or unknown unit", key, got=unit, allowed=allowed)
        return UNITS[unit][1]

    def bounded(self, value: float, key: str, dimension: str, low: float, high: float) -> None:
        """Refuse a number beyond its physical bounds.

        Parameters
        ----------
        value : float
            In the canonical unit.
        key : str
            Of its table, dotted.
        dimension : str
            Canonical unit, as it ends the name of a parameter.
        low, high : float
            In the canonical unit.
        """
        if not low <= value <= high:
            unit = unit_text(dimension)
            raise self.fail(
                "out of physical bounds",
                f"{key}.value",
                got=f"{value:g} {unit}",
                allowed=f"{low:g} to {high:g} {unit}",
            )

    def from_barrier(self, table: Mapping[str, Any], name: str, key: str, low: float, high: float) -> Parameter:
        """An energy that is a row of the database: a migration barrier with one value.

        Parameters
        ----------
        table : mapping
            With the key ``barrier``.
        name : str
            Of the parameter.
        key : str
            Of the table, dotted.
        low, high : float
            Physical bounds, eV.
        """
        self.known(table, {"barrier", "note", "spread"}, key)
        if canonical_unit(name) != "eV":
            raise self.fail("a barrier is an energy, this parameter is not", f"{key}.barrier", got=name)
        try:
            row = self.database.get(table["barrier"])
        except InputError as error:
            raise self.fail(
                "no such barrier in the database",
                f"{key}.barrier",
                got=table["barrier"],
                action=str(error),
            ) from error
        if row.quantity != "migration_barrier":
            raise self.fail(
                "this row is no migration barrier",
                f"{key}.barrier",
                got=str(row),
                action="Point to a row with quantity migration_barrier",
            )
        if row.is_bound or row.is_range:
            raise self.fail(
                "this barrier is a range, a card needs one value",
                f"{key}.barrier",
                got=str(row),
                action="Point to a single value, or state value, range and reason as assumed",
            )
        self.bounded(row.value_eV, key, canonical_unit(name), low, high)
        return Parameter(
            name,
            row.value_eV,
            "eV",
            "published",
            source=row.source,
            locator=row.locator + (f" of {row.via}" if row.via else ""),
            barrier=row.id,
            note=str(table.get("note", "")),
        )

    def parameters(self, card: Mapping[str, Any]) -> dict[str, Parameter]:
        """All parameters of a card; those with a fault are left out where faults are collected.

        Parameters
        ----------
        card : mapping

        Returns
        -------
        dict of str to Parameter
        """
        entries = card.get("parameters", {})
        if not isinstance(entries, Mapping):
            self.known(entries, set(PARAMETERS), "parameters")
        read = {name: self.kept(partial(self.parameter, name, entry)) for name, entry in entries.items()}
        return {name: p for name, p in read.items() if p is not None}

    def parameter(self, name: str, entry: Any) -> Parameter:
        """One parameter of a card.

        Parameters
        ----------
        name : str
        entry : mapping
        """
        self.known({name: entry}, set(PARAMETERS), "parameters")
        return self.quantity(entry, name, f"parameters.{name}", *PARAMETERS[name][:2])

    def layer(self, i: int, entry: Any) -> Layer:
        """One layer of the stack.

        Parameters
        ----------
        i : int
            Its number, bottom to top, from 0.
        entry : mapping
        """
        key = f"layers[{i}]"
        self.known(entry, {"name", "material", "role", "thickness_m"}, key)
        role = self.text(entry, "role", key)
        if role not in ROLES:
            raise self.fail("unknown role", f"{key}.role", got=role, allowed=", ".join(ROLES))
        thickness = self.quantity(entry.get("thickness_m"), "thickness_m", f"{key}.thickness_m", *THICKNESS)
        return Layer(self.text(entry, "name", key), self.text(entry, "material", key), role, thickness)

    def roles(self, stack: list[Layer]) -> None:
        """Refuse a stack that has not exactly one film and one electrode of each kind.

        Parameters
        ----------
        stack : list of Layer
        """
        for role in ("active_electrode", "film", "counter_electrode"):
            if sum(layer.role == role for layer in stack) != 1:
                raise self.fail(
                    f"the stack must have exactly one {role}", "layers", got=[layer.role for layer in stack]
                )

    def area(self, geometry: Any) -> Parameter:
        """The electrode area.

        Parameters
        ----------
        geometry : mapping
        """
        self.known(geometry, {"area_m2"}, "geometry")
        return self.quantity(geometry.get("area_m2"), "area_m2", "geometry.area_m2", *AREA)

    def device(self, card: Mapping[str, Any]) -> Device | None:
        """The device; nothing if faults are collected and there is one.

        Parameters
        ----------
        card : mapping
            Tables of the file.
        """
        top = {"schema", "name", "description", "sources", "layers", "geometry", "parameters"}
        self.kept(lambda: self.known(card, top, ""))
        made = self.kept(lambda: self.whole(card))
        return None if self.faults else made

    def whole(self, card: Mapping[str, Any]) -> Device | None:
        """The device; None if a part of it has a fault that was collected.

        Parameters
        ----------
        card : mapping
            Tables of the file.
        """
        if card.get("schema") != 1:
            raise self.fail("unknown schema", "schema", got=card.get("schema"), allowed="1")
        layers = card.get("layers")
        if not isinstance(layers, list) or not layers:
            raise self.fail("a device needs layers", "layers", allowed="[[layers]], bottom to top")
        read = [self.kept(partial(self.layer, i, entry)) for i, entry in enumerate(layers)]
        stack = [layer for layer in read if layer is not None]
        if len(stack) == len(layers):
            self.kept(partial(self.roles, stack))
        area = self.kept(lambda: self.area(card.get("geometry", {})))
        parameters = self.parameters(card)
        name, description = (self.kept(partial(self.text, card, key, "")) for key in ("name", "description"))
        if self.faults or area is None or name is None or description is None:
            return None
        own = card.get("sources", [])
        if not isinstance(own, list):
            raise self.fail("must be a list of bib keys", "sources", got=repr(own))
        numbers = [area, *(layer.thickness for layer in stack), *parameters.values()]
        numbers += [p.spread for p in numbers if p.spread is not None]
        known = bibliography(*data_directories()[1:])
        for where, cited in [("sources", own), *((f"{p.name}.source", [p.source]) for p in numbers if p.source)]:
            for bib in cited:
                if not isinstance(bib, str) or bib not in known:
                    close = difflib.get_close_matches(str(bib), known, n=3)
                    raise self.fail(
                        "unknown reference",
                        where,
                        got=str(bib),
                        allowed="a key of references.bib",
                        action=f"Did you mean {', '.join(close)}?" if close else "Add it to references.bib",
                    )
        return Device(
            name=name,
            description=description,
            layers=tuple(stack),
            area=area,
            parameters=parameters,
            sources=tuple(sorted({*own, *(p.source for p in numbers if p.source), *self.rows(parameters)})),
            file=str(self.file),
        )

    def rows(self, parameters: Mapping[str, Parameter]) -> set[str]:
        """Bib keys of the rows of the database that parameters point to.

        Parameters
        ----------
        parameters : mapping of str to Parameter
        """
        ids = [p.barrier for p in parameters.values() if p.barrier]
        return {source for i in ids for source in self.database.get(i).sources}


def toml(file: Path) -> dict[str, Any]:
    """The tables of a file.

    Parameters
    ----------
    file : Path

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If it is no TOML.
    OutputError
        If it cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no TOMLDecodeError
        raise DataError("not valid TOML", file=file, key="(file)", got=str(error)) from error
    except OSError as error:
        raise OutputError(f"{file} could not be read", got=str(error)) from error
