"""`Device`: an ordered stack of layers with geometry and parameters, each number marked with where it comes from.

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
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .citations import bibliography, data_directories
from .database import Database
from .errors import DataError, InputError, OutputError
from .randomness import Rng, generator

__all__ = ["PARAMETERS", "Device", "Layer", "Parameter"]

_T = TypeVar("_T")

CARDS = Path(__file__).resolve().parents[1] / "data" / "devices"  # those that ship

# unit -> (dimension, factor to the canonical unit of that dimension)
_UNITS: dict[str, tuple[str, float]] = {
    "1": ("1", 1.0),
    "m": ("m", 1.0),
    "um": ("m", 1e-6),
    "nm": ("m", 1e-9),
    "angstrom": ("m", 1e-10),
    "m2": ("m2", 1.0),
    "um2": ("m2", 1e-12),
    "eV": ("eV", 1.0),
    "meV": ("eV", 1e-3),
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "A": ("A", 1.0),
    "S": ("S", 1.0),
    "mS": ("S", 1e-3),
    "uS": ("S", 1e-6),
    "nS": ("S", 1e-9),
    "ohm": ("ohm", 1.0),
    "kohm": ("ohm", 1e3),
    "S/m": ("S_m", 1.0),
    "Hz": ("Hz", 1.0),
    "THz": ("Hz", 1e12),
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "K": ("K", 1.0),
    "K/W": ("K_W", 1.0),
    "1/K": ("1_K", 1.0),
    "W/(m K)": ("W_mK", 1.0),
    "J/(m3 K)": ("J_m3K", 1.0),
    "W/(m2 K)": ("W_m2K", 1.0),
    "1/m3": ("1_m3", 1.0),
    "1/cm3": ("1_m3", 1e6),
    "m2/s": ("m2_s", 1.0),
}

# name -> (lowest, highest, meaning); the suffix after the last underscore group is the canonical unit
PARAMETERS: dict[str, tuple[float, float, str]] = {
    # ions and electrochemistry, shared by kmc and fem
    "hop_barrier_eV": (0.01, 5.0, "migration barrier of the mobile ion"),
    "attempt_frequency_Hz": (1e9, 1e14, "attempt frequency of every activated step"),
    "lattice_constant_m": (2e-10, 2e-9, "distance of neighbouring interstitial sites, the hop length"),
    "charge_transfer_barrier_eV": (
        0.0,
        3.0,
        "barrier of electrode oxidation at zero overpotential, above the ion",
    ),
    "dissolution_barrier_eV": (
        0.05,
        3.0,
        "from an Ag atom at a kink of the filament to an ion in the matrix",
    ),
    "reduction_barrier_eV": (0.05, 3.0, "from an ion in the matrix to an Ag atom at a kink of the filament"),
    "bond_energy_eV": (0.0, 1.0, "energy of one Ag-Ag bond on the lattice"),
    "matrix_penalty_eV": (-0.5, 1.0, "energy of an Ag atom in the matrix above one in the electrode"),
    "anode_share": (
        0.0,
        1.0,
        "share of the device voltage that falls across the active electrode's interface",
    ),
    "cathode_share": (0.0, 1.0, "share of the device voltage that falls across the reducing interface"),
    "reverse_anode_share": (0.0, 1.0, "share across the active electrode's interface while it is negative"),
    "reverse_cathode_share": (0.0, 1.0, "share across the filament's interface while the active electrode is negative"),
    # geometry of the simulated column
    "column_width_m": (2e-9, 1e-7, "edge of the simulated column of film"),
    "channel_radius_m": (0.0, 1e-7, "radius of the easy path between nanocrystals"),
    "channel_energy_eV": (0.0, 1.0, "extra energy of an ion outside the easy path"),
    "nucleus_radius_m": (0.0, 1e-7, "radius of the spot of the counter electrode on which Ag nucleates"),
    "mean_field_anode_share": (0.0, 1.0, "anode_share as the continuum needs it"),
    "mean_field_cathode_share": (0.0, 1.0, "cathode_share as the continuum needs it"),
    "mean_field_channel_radius_m": (0.0, 1e-7, "radius of the easy path as the continuum needs it"),
    "mean_field_channel_energy_eV": (0.0, 1.0, "extra energy of an ion outside it"),
    # halide vacancies
    "vacancy_hop_barrier_eV": (0.01, 5.0, "hop of a halide vacancy"),
    "vacancy_pair_energy_eV": (-0.5, 1.0, "energy of two vacancies on neighbouring sites; negative binds"),
    "halide_transfer_barrier_eV": (0.0, 3.0, "intrinsic barrier of a halide between film and active electrode"),
    "vacancy_formation_energy_eV": (-1.0, 5.0, "vacancy of a halide-poor film, its halide in the lead halide"),
    # electrical and thermal
    "tunnel_barrier_eV": (0.05, 10.0, "height of the barrier in the gap"),
    "tunnel_gap_m": (0.0, 2e-9, "width of the gap that one missing atom leaves"),
    "contact_conductance_S": (1e-9, 1.0, "conductance of an atomic contact of the filament"),
    "metal_link_S": (1e-6, 1.0, "conductance between fully coordinated Ag sites"),
    "leakage_S": (1e-15, 1e-3, "conductance of the device without a filament"),
    "series_resistance_ohm": (0.0, 1e7, "resistance in series with the film: transport layers, ITO, leads"),
    "thermal_resistance_K_W": (0.0, 1e9, "temperature rise of the filament for each watt"),
    # ion film (interfacial synapses)
    "ion_density_1_m3": (1e18, 1e28, "mean density of mobile halide vacancies"),
    "site_density_1_m3": (1e24, 1e29, "largest density of mobile halide vacancies"),
    "relative_permittivity": (1.0, 1e3, "static relative permittivity of the film"),
    "mobility_prefactor": (1e-12, 1.0, "ratio of the real to the bare Arrhenius prefactor of diffusion"),
    "injection_barrier_eV": (0.0, 3.0, "electronic injection barrier at the contact"),
    "electronic_conductivity_S_m": (1e-15, 1e6, "conductivity of the film with its ions at rest"),
    "ideality_factor": (0.5, 100.0, "kT/q multiples of ion-induced potential that change the current e-fold"),
    "conduction_barrier_eV": (
        0.0,
        2.0,
        "Arrhenius energy of the electronic conductivity, which the card gives at 300 K",
    ),
    # ions that stop and go on (ion film)
    "trap_slowest_rate_Hz": (1e-8, 1e8, "slowest release rate of the ions held at spacers and grain boundaries"),
    "trap_fastest_rate_Hz": (1e-8, 1e8, "fastest release rate"),
    "trap_capture_ratio": (0.0, 1e6, "held over mobile ions at rest"),
    "trap_exponent": (-10.0, 10.0, "power of the release rate that the capture rate goes with"),
    "trap_density_1_m3": (1e18, 1e29, "places that hold ions; without it there is always room"),
    "transport_permittivity": (1.0, 1e3, "static relative permittivity of the transport layer"),
    "transport_hole_density_1_m3": (1e20, 1e29, "holes of the transport layer; given, it takes part in the field"),
    # filament continuum
    "metal_conductivity_S_m": (1.0, 1e8, "conductivity of the filament metal"),
    "metal_density_1_m3": (1e24, 1e30, "density of Ag at which the filament is metallic"),
    "temperature_coefficient_1_K": (0.0, 0.1, "relative rise of the metal's resistivity with temperature"),
    "thermal_conductivity_W_mK": (1e-3, 1e4, "of the film"),
    "heat_capacity_J_m3K": (1e4, 1e8, "of the film"),
    "contact_heat_transfer_W_m2K": (0.0, 1e12, "from the film into its contacts"),
}

_ROLES = ("active_electrode", "film", "transport_layer", "counter_electrode")
_KINDS = {"published": ("source", "locator"), "calibrated": ("fitted_to",), "assumed": ("reason", "range")}
_SPREAD_KEYS = {"value", "unit", "kind", "source", "locator", "fitted_to", "reason", "range", "note"}
_QUANTITY_KEYS = {*_SPREAD_KEYS, "barrier", "spread"}
_THICKNESS = (1e-10, 1e-3)  # m
_AREA = (1e-18, 1e-2)  # m^2
_CUT = 4.0  # standard deviations beyond which no device is drawn: 6 of 100,000


@dataclass(frozen=True)
class Parameter:
    """One number of a device with its kind: published, calibrated or assumed; never a mixture.

    Attributes
    ----------
    name : str
        Ends in the canonical unit.
    value : float
        In the canonical unit.
    unit : str
        Canonical unit as text.
    kind : {"published", "calibrated", "assumed"}
    source, locator : str
        Bib key and place, for a published number.
    fitted_to : str
        The device-level observable that a calibrated number was fitted to.
    reason : str
        Why an assumed number was chosen.
    range : tuple of float or None
        Plausible range in the canonical unit, for an assumed number.
    barrier : str
        Id of the database row that the number is.
    note : str
    spread : Parameter or None
        One standard deviation from device to device, in the same unit, with a kind of its own.
    """

    name: str
    value: float
    unit: str
    kind: str
    source: str = ""
    locator: str = ""
    fitted_to: str = ""
    reason: str = ""
    range: tuple[float, float] | None = None
    barrier: str = ""
    note: str = ""
    spread: Parameter | None = None

    @property
    def origin(self) -> str:
        """One line that says where the number comes from."""
        if self.kind == "published":
            return f"{self.source}, {self.locator}"
        return f"fitted to {self.fitted_to}" if self.kind == "calibrated" else self.reason

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g} {self.unit} ({self.kind}: {self.origin})"


@dataclass(frozen=True)
class Layer:
    """One layer of the stack, bottom to top.

    Attributes
    ----------
    name, material : str
    role : {"active_electrode", "film", "transport_layer", "counter_electrode"}
    thickness : Parameter
        In m.
    """

    name: str
    material: str
    role: str
    thickness: Parameter

    @property
    def thickness_m(self) -> float:
        """Thickness, m."""
        return self.thickness.value


def _canonical(name: str) -> str:
    """Canonical unit in the name of a parameter: the longest known dimension that ends it."""
    dimensions = sorted({d for d, _ in _UNITS.values()} - {"1"}, key=len, reverse=True)
    return next((d for d in dimensions if name.endswith("_" + d)), "1")


def _text(dimension: str) -> str:
    return next(u for u, (d, f) in _UNITS.items() if d == dimension and f == 1.0)


class _Reader:
    """Turns one card into a Device and names file and key in every complaint."""

    def __init__(self, file: Path, database: Database):
        self.file, self.database = file, database
        self.faults: list[DataError] | None = None  # a list: collect instead of raise

    def kept(self, read: Callable[[], _T]) -> _T | None:
        """What `read` returns; if faults are collected, its fault goes there and nothing is returned."""
        try:
            return read()
        except DataError as fault:
            if self.faults is None:
                raise
            self.faults.append(fault)
            return None

    def fail(self, what: str, key: str, **details: Any) -> DataError:
        return DataError(what, file=self.file, key=key, **details)

    def known(self, table: Any, allowed: set[str], key: str) -> None:
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
        path = f"{key}.{name}" if key else name
        if name not in table:
            raise self.fail("missing key", path, allowed="a text", action=f'Add {name} = "..."')
        if not isinstance(table[name], str) or not table[name].strip():
            raise self.fail("must be a text", path, got=table[name])
        return table[name]

    def number(self, value: Any, key: str) -> float:
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            raise self.fail("must be a finite number", key, got=repr(value)[:80])
        return number

    def quantity(self, table: Any, name: str, key: str, low: float, high: float) -> Parameter:
        mean = self.mean(table, name, key, low, high)
        if "spread" not in table:
            return mean
        return replace(mean, spread=self.spread(table["spread"], mean, table.get("unit", "eV"), f"{key}.spread", high))

    def spread(self, table: Any, mean: Parameter, unit: str, key: str, high: float) -> Parameter:
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
        dimension = _canonical(name)
        if not isinstance(table, Mapping):
            raise self.fail(
                "must be a table with value, unit and kind",
                key,
                got=table,
                allowed=f'{{ value = ..., unit = "{_text(dimension)}", kind = published | calibrated | assumed }}',
            )
        self.known(table, _QUANTITY_KEYS, key)
        if "barrier" in table:
            return self.from_barrier(table, name, key, low, high)
        for required in ("value", "unit", "kind"):
            if required not in table:
                units = ", ".join(u for u, (d, _) in _UNITS.items() if d == dimension)
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
        return Parameter(name, value, _text(dimension), kind, range=span, **words)

    def factor(self, unit: Any, dimension: str, key: str) -> float:
        if not isinstance(unit, str) or unit not in _UNITS or _UNITS[unit][0] != dimension:
            allowed = ", ".join(u for u, (d, _) in _UNITS.items() if d == dimension)
            raise self.fail("wrong or unknown unit", key, got=unit, allowed=allowed)
        return _UNITS[unit][1]

    def bounded(self, value: float, key: str, dimension: str, low: float, high: float) -> None:
        if not low <= value <= high:
            unit = _text(dimension)
            raise self.fail(
                "out of physical bounds",
                f"{key}.value",
                got=f"{value:g} {unit}",
                allowed=f"{low:g} to {high:g} {unit}",
            )

    def from_barrier(self, table: Mapping[str, Any], name: str, key: str, low: float, high: float) -> Parameter:
        self.known(table, {"barrier", "note", "spread"}, key)
        if _canonical(name) != "eV":
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
        self.bounded(row.value_eV, key, _canonical(name), low, high)
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
        entries = card.get("parameters", {})
        if not isinstance(entries, Mapping):
            self.known(entries, set(PARAMETERS), "parameters")
        read = {name: self.kept(partial(self.parameter, name, entry)) for name, entry in entries.items()}
        return {name: p for name, p in read.items() if p is not None}

    def parameter(self, name: str, entry: Any) -> Parameter:
        self.known({name: entry}, set(PARAMETERS), "parameters")
        return self.quantity(entry, name, f"parameters.{name}", *PARAMETERS[name][:2])

    def layer(self, i: int, entry: Any) -> Layer:
        key = f"layers[{i}]"
        self.known(entry, {"name", "material", "role", "thickness_m"}, key)
        role = self.text(entry, "role", key)
        if role not in _ROLES:
            raise self.fail("unknown role", f"{key}.role", got=role, allowed=", ".join(_ROLES))
        thickness = self.quantity(entry.get("thickness_m"), "thickness_m", f"{key}.thickness_m", *_THICKNESS)
        return Layer(self.text(entry, "name", key), self.text(entry, "material", key), role, thickness)

    def roles(self, stack: list[Layer]) -> None:
        for role in ("active_electrode", "film", "counter_electrode"):
            if sum(layer.role == role for layer in stack) != 1:
                raise self.fail(
                    f"the stack must have exactly one {role}", "layers", got=[layer.role for layer in stack]
                )

    def area(self, geometry: Any) -> Parameter:
        self.known(geometry, {"area_m2"}, "geometry")
        return self.quantity(geometry.get("area_m2"), "area_m2", "geometry.area_m2", *_AREA)

    def device(self, card: Mapping[str, Any]) -> Device | None:
        """The device; nothing if faults are collected and there is one."""
        top = {"schema", "name", "description", "sources", "layers", "geometry", "parameters"}
        self.kept(lambda: self.known(card, top, ""))
        made = self.kept(lambda: self.whole(card))
        return None if self.faults else made

    def whole(self, card: Mapping[str, Any]) -> Device | None:
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
        ids = [p.barrier for p in parameters.values() if p.barrier]
        return {source for i in ids for source in self.database.get(i).sources}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no TOMLDecodeError
        raise DataError("not valid TOML", file=file, key="(file)", got=str(error)) from error
    except OSError as error:
        raise OutputError(f"{file} could not be read", got=str(error)) from error


@dataclass(frozen=True)
class Device:
    """An ordered stack of layers and electrodes, geometry, and parameters with their kinds.

    Attributes
    ----------
    name, description : str
    layers : tuple of Layer
        Bottom to top.
    area : Parameter
        Electrode area, m^2.
    parameters : mapping of str to Parameter
    sources : tuple of str
        Bib keys.

    Examples
    --------
    >>> device = Device.load("john2022-ogb")
    >>> device.film.thickness_m
    2e-08
    >>> device["hop_barrier_eV"].kind
    'published'
    """

    name: str
    description: str
    layers: tuple[Layer, ...]
    area: Parameter
    parameters: Mapping[str, Parameter] = field(repr=False)
    sources: tuple[str, ...] = field(default=(), repr=False)
    file: str = field(default="", repr=False, compare=False)

    @classmethod
    def load(cls, name: str | os.PathLike[str], *, database: Database | None = None) -> Device:
        """Read a card by name, shipped or in ``HALIDRIFT_DATA/devices``, or by path.

        Parameters
        ----------
        name : str or path
            ``"john2022-ogb"``, or a path that ends in ``.toml``.
        database : Database, optional
            Where the card's barriers are looked up; the packaged one by default.

        Raises
        ------
        DataError
            If the card breaks the schema; names file, key, found and allowed.
        InputError
            If there is no such card.
        """
        shelves = [root / "devices" for root in data_directories()]
        # the user's folder comes last and goes first: an own card may stand in for a shipped one
        places = [shelf / f"{name}.toml" for shelf in reversed(shelves)]
        file = Path(name) if str(name).endswith(".toml") else next((p for p in places if p.is_file()), places[-1])
        if not file.is_file():
            known = cls.names()
            close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4)
            raise InputError(
                "No such device card",
                got=str(name),
                allowed=", ".join(known) + ", or a path to a .toml card",
                action=f"Did you mean {', '.join(close)}?" if close else None,
            )
        card = _toml(file)
        made = _Reader(file, Database.load() if database is None else database).device(card)
        assert made is not None  # faults are raised
        return made

    @classmethod
    def check(
        cls, file: str | os.PathLike[str], *, database: Database | None = None
    ) -> tuple[Device | None, dict[str, Parameter], tuple[DataError, ...]]:
        """Read a card as `load` does, but collect what breaks the schema instead of stopping at it.

        Parameters
        ----------
        file : path
        database : Database, optional
            Where the card's barriers are looked up; the packaged one by default.

        Returns
        -------
        device : Device or None
            None if there is a fault.
        parameters : dict of str to Parameter
            Those without fault.
        faults : tuple of DataError
            Each names file and key, what was found and what is allowed.

        Raises
        ------
        DataError
            If the file is no TOML.
        OutputError
            If it cannot be read.

        Examples
        --------
        >>> device, parameters, faults = Device.check(CARDS / "john2022-ogb.toml")
        >>> device.name, len(faults)
        ('john2022-ogb', 0)
        """
        path = Path(file)
        card = _toml(path)
        reader = _Reader(path, Database.load() if database is None else database)
        reader.faults = []
        device = reader.device(card)
        if device is not None:
            return device, dict(device.parameters), ()
        faults, reader.faults = tuple(reader.faults), []
        return None, reader.parameters(card), faults

    @staticmethod
    def names() -> list[str]:
        """Names of the shipped cards and of those in ``HALIDRIFT_DATA/devices``."""
        return sorted({path.stem for root in data_directories() for path in (root / "devices").glob("*.toml")})

    def layer(self, role: str) -> Layer:
        """The first layer, bottom to top, with this role."""
        for layer in self.layers:
            if layer.role == role:
                return layer
        raise InputError(f"{self.name} has no layer with this role", got=role, allowed=", ".join(_ROLES))

    @property
    def film(self) -> Layer:
        """The switching film."""
        return self.layer("film")

    @property
    def active_electrode(self) -> Layer:
        """The electrode whose metal may dissolve."""
        return self.layer("active_electrode")

    @property
    def area_m2(self) -> float:
        """Electrode area, m^2."""
        return self.area.value

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self.parameters[name]
        except KeyError:
            close = difflib.get_close_matches(name, self.parameters, n=3)
            raise InputError(
                f"Device {self.name} has no such parameter",
                got=name,
                allowed=", ".join(close or sorted(self.parameters)),
                action="Add it to the card under [parameters] if the model needs it",
            ) from None

    def value(self, name: str) -> float:
        """Value of one parameter in its canonical unit."""
        return self[name].value

    def require(self, names: Iterable[str], model: str, example: str) -> None:
        """Complain if the card lacks what a model needs; most often it is the card of another model.

        Parameters
        ----------
        names : iterable of str
            Parameters that the model needs.
        model, example : str
            The model, and a shipped card of it.

        Raises
        ------
        InputError
            With everything that is missing.
        """
        needed = list(names)
        missing = [name for name in needed if name not in self.parameters]
        if missing:
            other = len(missing) > len(needed) // 2
            raise InputError(
                "This card is for another model" if other else f"The card lacks a parameter of {model}",
                got=f"{self.name} without the parameters {', '.join(missing)}",
                allowed=f"a card such as {example}",
                action=f"`halidrift device show {example}` lists what such a card holds",
            )

    def with_parameters(self, **values: float) -> Device:
        """A copy with other values; they count as assumed, with the old value in the reason. A spread stays as it is.

        Examples
        --------
        >>> device = Device.load("john2022-ogb")
        >>> harder = device.with_parameters(dissolution_barrier_eV=device.value("dissolution_barrier_eV") + 0.05)
        >>> harder["dissolution_barrier_eV"].kind
        'assumed'
        """
        changed = dict(self.parameters)
        for name, value in values.items():
            changed[name] = _changed(self[name], value, *PARAMETERS[name][:2])
        return replace(self, parameters=changed)

    def with_thickness(self, thickness_m: float) -> Device:
        """A copy whose film is of another thickness; it counts as assumed.

        Parameters
        ----------
        thickness_m : float, m, 1e-10 to 1e-3

        Examples
        --------
        >>> Device.load("john2022-ogb").with_thickness(30e-9).film.thickness_m
        3e-08
        """
        return self._with({"film_thickness_m": _changed(self.film.thickness, thickness_m, *_THICKNESS)})

    def with_area(self, area_m2: float) -> Device:
        """A copy with electrodes of another area; it counts as assumed.

        Parameters
        ----------
        area_m2 : float, m^2, 1e-18 to 1e-2
        """
        return replace(self, area=_changed(self.area, area_m2, *_AREA))

    def with_electrode(self, material: str) -> Device:
        """A copy whose active electrode is of another metal.

        The metal decides the energy of its cation, through its standard potential; nothing else changes.
        """
        layers = tuple(
            replace(layer, name=f"{material} electrode", material=material)
            if layer.role == "active_electrode"
            else layer
            for layer in self.layers
        )
        return replace(self, name=f"{self.name}-{material.lower()}", layers=layers)

    # -- from device to device ---------------------------------------------------------------------------------

    @property
    def numbers(self) -> dict[str, Parameter]:
        """Every number of the card by its name; thicknesses are ``film_thickness_m`` and so on, by the role.

        Layers that share a role are counted from the bottom: ``transport_layer_1_thickness_m``.
        """
        roles = [layer.role for layer in self.layers]
        many = {role for role in roles if roles.count(role) > 1}
        places = [f"{r}_{roles[: i + 1].count(r)}" if r in many else r for i, r in enumerate(roles)]
        stack = {f"{place}_thickness_m": layer.thickness for place, layer in zip(places, self.layers, strict=True)}
        return {**self.parameters, "area_m2": self.area, **stack}

    @property
    def spreads(self) -> dict[str, Parameter]:
        """Standard deviation of each number that differs from device to device, by the name of the number."""
        return {name: p.spread for name, p in sorted(self.numbers.items()) if p.spread is not None}

    def limits(self, name: str) -> tuple[float, float]:
        """Between which values a number is drawn: 4 standard deviations from its mean, within its physical bounds."""
        mean = self.numbers[name]
        low, high = _bounds(name)
        width = 0.0 if mean.spread is None else _CUT * mean.spread.value
        return max(low, mean.value - width), min(high, mean.value + width)

    def extremes(self) -> tuple[Device, Device]:
        """The devices with every drawn number at its lower and at its upper limit."""
        low, high = (
            self._with({n: _drawn(self.numbers[n], self.limits(n)[end], self.limits(n)) for n in self.spreads})
            for end in (0, 1)
        )
        return low, high

    def with_spread(self, *, reason: str = "set by the caller", **deviations: float) -> Device:
        """A copy in which numbers differ from device to device; the spreads count as assumed.

        Parameters
        ----------
        reason : str
            Why these spreads.
        **deviations : float, in the unit that ends the name, >= 0
            One standard deviation of a parameter, of ``area_m2`` or of a thickness (``film_thickness_m``); 0 takes a
            spread away.

        Raises
        ------
        InputError
            If there is no such number, or a spread is negative or beyond the bounds of the number.

        Examples
        --------
        >>> device = Device.load("john2022-ogb").with_spread(dissolution_barrier_eV=0.01, film_thickness_m=1e-9)
        >>> print(device.spreads["film_thickness_m"])
        spread of thickness_m = 1e-09 m (assumed: set by the caller)
        """
        changed = {}
        for name, value in deviations.items():
            mean = self._number(name)
            highest = _bounds(name)[1]
            if not (np.isfinite(value) and 0.0 <= value <= highest):
                raise InputError(
                    f"The spread of {name} must be a standard deviation",
                    got=f"{value} {mean.unit}",
                    allowed=f"0 to {highest:g} {mean.unit}",
                )
            words: dict[str, Any] = {"kind": "assumed", "reason": reason, "range": (0.0, float(value))}
            spread = Parameter(f"spread of {mean.name}", float(value), mean.unit, **words) if value > 0 else None
            changed[name] = replace(mean, spread=spread)
        return self._with(changed)

    def sampled(self, rng: Rng = None) -> Device:
        r"""One device of the many that the spreads of the card describe.

        Each number with a spread is drawn from a normal distribution,

        .. math:: x = \mu + \sigma\, \Phi^{-1}[\Phi(a) + u\,(\Phi(b) - \Phi(a))],

        truncated at 4 standard deviations and at its physical bounds (:meth:`limits`): a, b in units of sigma.

        Parameters
        ----------
        rng : int, numpy.random.Generator or None
            One uniform number u is taken for each spread, in the order of the names.

        Returns
        -------
        Device
            Without spreads. A drawn number counts as assumed; its note says from what it was drawn.

        Raises
        ------
        InputError
            If no number of the device has a spread.

        Notes
        -----
        Numbers are independent of each other. The `range` of an assumed number says where its mean may lie, not where
        devices lie: it does not truncate. Bounds that cut one side of the distribution move its mean.

        Examples
        --------
        >>> device = Device.load("john2022-ogb").with_spread(dissolution_barrier_eV=0.01)
        >>> one = device.sampled(rng=1)
        >>> f"{one.value('dissolution_barrier_eV'):.4f}", one["dissolution_barrier_eV"].kind
        ('0.9503', 'assumed')
        """
        from scipy.special import ndtr, ndtri

        if not self.spreads:
            raise InputError(
                f"Device {self.name} has no spread to draw from",
                action="Give a number of its card a spread, or use with_spread(dissolution_barrier_eV=0.01)",
            )
        rng, drawn = generator(rng), {}
        for name, spread in self.spreads.items():
            mean, (low, high) = self.numbers[name], self.limits(name)
            a, b = ((end - mean.value) / spread.value for end in (low, high))
            x = mean.value + spread.value * float(ndtri(ndtr(a) + rng.random() * (ndtr(b) - ndtr(a))))
            drawn[name] = _drawn(mean, min(max(x, low), high), (low, high))
        return self._with(drawn)

    def _number(self, name: str) -> Parameter:
        numbers = self.numbers
        if name not in numbers:
            close = difflib.get_close_matches(name, numbers, n=3)
            raise InputError(
                f"Device {self.name} has no such number", got=name, allowed=", ".join(close or sorted(numbers))
            )
        return numbers[name]

    def _with(self, changed: Mapping[str, Parameter]) -> Device:
        """A copy with some of its numbers replaced, each under the name that `numbers` gives it."""
        numbers = {**self.numbers, **changed}
        names = list(numbers)[-len(self.layers) :]  # thicknesses stand last, bottom to top
        return replace(
            self,
            layers=tuple(replace(layer, thickness=numbers[n]) for layer, n in zip(self.layers, names, strict=True)),
            area=numbers["area_m2"],
            parameters={name: numbers[name] for name in self.parameters},
        )

    def to_dict(self) -> dict[str, Any]:
        """Numbers that decide a simulation, as plain data: what a result is cached and replayed by.

        Spreads are not among them: they decide which devices are drawn, not what one of them does.
        """
        return {
            "name": self.name,
            "area_m2": self.area_m2,
            "layers": [[layer.material, layer.role, layer.thickness_m] for layer in self.layers],
            "parameters": {name: p.value for name, p in sorted(self.parameters.items())},
        }


def _bounds(name: str) -> tuple[float, float]:
    """Physical bounds of a number, by the name that `Device.numbers` gives it."""
    if name in PARAMETERS:
        return PARAMETERS[name][:2]
    return _AREA if name == "area_m2" else _THICKNESS


def _changed(old: Parameter, value: float, low: float, high: float) -> Parameter:
    if not (np.isfinite(value) and low <= value <= high):
        raise InputError(f"{old.name} is out of physical bounds", got=f"{value} {old.unit}", allowed=f"{low} to {high}")
    if value == old.value:
        return old  # still the number of the card
    return Parameter(
        old.name,
        float(value),
        old.unit,
        "assumed",
        reason=f"set by the caller; the card has {old.value:g} {old.unit}",
        range=(min(value, old.value), max(value, old.value)),
        spread=old.spread,
    )


def _drawn(mean: Parameter, value: float, limits: tuple[float, float]) -> Parameter:
    assert mean.spread is not None
    spread, unit = mean.spread, "" if mean.unit == "1" else f" {mean.unit}"
    return Parameter(
        mean.name,
        value,
        mean.unit,
        "assumed",
        reason="one device of many, drawn at random",
        range=limits,
        note=f"drawn from a normal distribution with mean {mean.value:g}{unit} ({mean.kind}: {mean.origin}) and "
        f"standard deviation {spread.value:g}{unit} ({spread.kind}: {spread.origin}), truncated to "
        f"{limits[0]:g} to {limits[1]:g}{unit}",
    )
