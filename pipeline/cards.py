"""Device cards for a user's own devices: a card to fill in, and what a card still lacks for each model."""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ..physics.device import Device
from ..physics.effects import EFFECTS, UNREAD
from ..physics.errors import HalidriftError, InputError, OutputError
from ..physics.files import write_whole
from ..physics.parameters import AREA, PARAMETERS, THICKNESS, UNITS, Parameter, canonical_unit, unit_text

__all__ = ["MODELS", "Checked", "check", "needs", "table", "write"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"

MODELS: Mapping[str, tuple[str, str]] = {
    "FilamentKMC": ("kmc.simulation", "john2022-ogb"),
    "VacancyKMC": ("kmc.vacancies", "mapbi3-ag"),
    "FilamentFEM": ("fem.filament", "john2022-ogb"),
    "IonFilm": ("fem.film", "kim2019-n3"),
}
"""Model: its module, and a shipped card of it."""

_GROUPS = {
    "hop_barrier_eV": "ions and electrochemistry",
    "column_width_m": "the simulated column of film",
    "vacancy_hop_barrier_eV": "halide vacancies",
    "tunnel_barrier_eV": "electrical and thermal",
    "ion_density_1_m3": "ion film",
    "trap_slowest_rate_Hz": "ions that stop and go on, in an ion film",
    "metal_conductivity_S_m": "continuum of the filament",
}
# each optional in a film of ions, where it means something
_OPTIONAL = frozenset(
    {"conduction_barrier_eV", *(n for n in PARAMETERS if n.startswith(("trap_", "transport_")))} - UNREAD
)
_BLANK = (
    ("ITO", "ITO", "counter_electrode"),
    ("perovskite film", "MAPbI3", "film"),
    ("Ag", "Ag", "active_electrode"),
)


def needs() -> dict[str, tuple[str, ...]]:
    """Parameters that each model must find on a card.

    Returns
    -------
    dict of str to tuple of str
        By name of the model.
    """
    root = __package__.rpartition(".")[0]
    return {
        model: tuple(importlib.import_module(f"{root}.{module}")._PARAMETERS) for model, (module, _) in MODELS.items()
    }


def write(name: str, folder: str | os.PathLike[str] = ".", *, like: str = "blank") -> Path:
    """Write a commented card to fill in.

    Parameters
    ----------
    name : str
        Of the device; the file is ``NAME.toml`` in `folder`.
    folder : path
    like : str
        Card whose numbers stand in it until they are replaced, by name or path; ``"blank"`` for none.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the name makes no file, the file is there already, or `like` is no card.

    Notes
    -----
    Numbers of another device are no measurement of this one: each becomes assumed, over all that its physical bounds
    allow. Rows of the barrier database stay what they are.
    """
    if not name or name != Path(name).name or name.startswith((".", "-")) or name.endswith(".toml"):
        raise InputError("This names no device card", got=name, allowed="a name such as my-device, without .toml")
    file = Path(folder) / f"{name}.toml"
    if file.exists():
        raise InputError(f"{file} is there already", action="Take another name, or move the file away")
    card = None if like == "blank" else Device.load(like)
    layers: list[dict[str, str]] = []
    if card is None:
        for title, material, role in _BLANK:
            thickness = _open("thickness_m", "nm")
            layers.append({"name": _quoted(title), "material": _quoted(material), "role": role, "thickness": thickness})
        area = _open("area_m2", "um2")
    else:
        for layer in card.layers:
            line = _copied("thickness_m", layer.thickness, card.name, THICKNESS)
            words = {"name": _quoted(layer.name), "material": _quoted(layer.material), "role": layer.role}
            layers.append({**words, "thickness": line})
        area = _copied("area_m2", card.area, card.name, AREA)
    text = (
        _environment()
        .get_template("device.toml.j2")
        .render(
            title=f"{name}: one line about the device" if card is None else f"{name}, begun from {card.name}",
            file=file.name,
            name=_quoted(name),
            description=_quoted("one line about the device" if card is None else f"begun from {card.name}"),
            like=None if card is None else card.name,
            layers=layers,
            area=area,
            groups=_grouped(card),
        )
    )
    return write_whole(file, lambda temporary: Path(temporary).write_text(text.rstrip() + "\n", encoding="utf-8"))


def table() -> str:
    """The parameters of a card as a table in Markdown: docs/cards.md holds it."""
    wanted = needs()
    rows = ["| parameter | meaning | bounds | needed by | a change of it |", "|---|---|---|---|---|"]
    for name, (_, _, meaning) in PARAMETERS.items():
        rows.append(f"| `{name}` | {meaning} | {_bounds(name)} | {_needed(name, wanted)} | {EFFECTS[name]} |")
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Checked:
    """What is right and what is missing on a card.

    Attributes
    ----------
    file : str
    device : Device or None
        None if the card breaks the schema.
    parameters : mapping of str to Parameter
        Those that could be read.
    faults : tuple of str
        What breaks the schema: file, key, what was found and what is allowed.
    missing : mapping of str to tuple of str
        Model to what it does not find; empty if nothing is missing.
    refusals : mapping of str to str
        Model to why it cannot use the card although nothing is missing.
    """

    file: str
    device: Device | None
    parameters: Mapping[str, Parameter]
    faults: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]
    refusals: Mapping[str, str]

    @property
    def ready(self) -> tuple[str, ...]:
        """Models that can use the card."""
        if self.device is None:
            return ()
        return tuple(m for m, names in self.missing.items() if not names and m not in self.refusals)

    @property
    def nearest(self) -> str:
        """The model that the card is for: the one with the fewest parameters missing, for their number."""
        wanted = needs()
        return min(self.missing, key=lambda model: len(self.missing[model]) / len(wanted[model]))

    @property
    def kinds(self) -> dict[str, list[str]]:
        """Names of the numbers of each kind."""
        numbers = dict(self.parameters) if self.device is None else self.device.numbers
        found: dict[str, list[str]] = {"published": [], "calibrated": [], "assumed": []}
        for name, p in numbers.items():
            found[p.kind].append(name)
        return found

    @property
    def borrowed(self) -> list[str]:
        """Numbers that still are those of the card from which this one was begun."""
        numbers = dict(self.parameters) if self.device is None else self.device.numbers
        return [name for name, p in numbers.items() if p.reason.startswith(_BORROWED)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data.

        Returns
        -------
        dict
            JSON-serialisable; without the device itself.
        """
        return {
            "file": self.file,
            "kind": "device card",
            "faults": list(self.faults),
            "ready": list(self.ready),
            "missing": {model: list(names) for model, names in self.missing.items()},
            "refusals": dict(self.refusals),
            "kinds": self.kinds,
            "borrowed": self.borrowed,
        }


def check(file: str | os.PathLike[str]) -> Checked:
    """Say what a card lacks for each model.

    Parameters
    ----------
    file : path
        A device card, TOML.

    Raises
    ------
    DataError
        If the file is no TOML.
    OutputError
        If it cannot be read.
    """
    device, parameters, faults = Device.check(file)
    missing = {model: tuple(n for n in names if n not in parameters) for model, names in needs().items()}
    refusals = {}
    if device is not None:
        for model, names in missing.items():
            if not names:
                try:
                    _try(model, device)
                except (HalidriftError, ValueError, ArithmeticError) as error:
                    refusals[model] = str(error)
    told = tuple(str(fault).removeprefix(f"{file}: ") for fault in faults)
    return Checked(str(file), device, parameters, told, missing, refusals)


def _try(model: str, device: Device) -> None:
    """Build the model as far as the card decides it."""
    root = __package__.rpartition(".")[0]
    package = importlib.import_module(f"{root}.{MODELS[model][0].partition('.')[0]}")
    made = getattr(package, model)(device)
    if model == "FilamentKMC":
        made.kernel_parameters  # noqa: B018 - complains if energies or shares exclude each other
        made.column  # noqa: B018


_BORROWED = "not yet known for this device; "


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # TOML, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _grouped(card: Device | None) -> list[tuple[str, list[dict[str, str]]]]:
    wanted = needs()
    groups: list[tuple[str, list[dict[str, str]]]] = []
    for name, (low, high, meaning) in PARAMETERS.items():
        if name in _GROUPS:
            groups.append((_GROUPS[name], []))
        if name in UNREAD:
            continue
        given = card is not None and name in card.parameters
        groups[-1][1].append(
            {
                "name": name,
                "meaning": meaning,
                "bounds": _bounds(name),
                "needed": _needed(name, wanted),
                "effect": EFFECTS[name],
                "line": _copied(name, card.parameters[name], card.name, (low, high))
                if given and card is not None
                else "# " + _open(name, unit_text(canonical_unit(name))),
            }
        )
    return groups


def _needed(name: str, wanted: Mapping[str, tuple[str, ...]]) -> str:
    models = [model for model, names in wanted.items() if name in names]
    if name in _OPTIONAL:
        models.append("IonFilm if given")
    return ", ".join(models) or "no model yet"


def _bounds(name: str) -> str:
    low, high, _ = PARAMETERS[name]
    unit = unit_text(canonical_unit(name))
    return f"{low:g} to {high:g}" + ("" if unit == "1" else f" {unit}")


def _open(name: str, unit: str) -> str:
    """A line to fill in; a number that is not there is a fault that `check` tells."""
    return f'{name} = {{ value = "?", unit = "{unit}", kind = "assumed", reason = "", range = [] }}'


def _copied(name: str, p: Parameter, card: str, bounds: tuple[float, float]) -> str:
    if p.barrier:
        return f"{name} = {{ barrier = {_quoted(p.barrier)} }}"
    unit, factor = _shown(p.value, canonical_unit(name))
    low, high = (_digits(v / factor) for v in bounds)
    reason = _quoted(f"{_BORROWED}{card} has this value ({p.kind}: {p.origin})")
    return (
        f'{name} = {{ value = {_digits(p.value / factor)}, unit = "{unit}", kind = "assumed", '
        f"reason = {reason}, range = [{low}, {high}] }}"
    )


def _shown(value: float, dimension: str) -> tuple[str, float]:
    """Unit in which a value is read most easily."""
    units = [(unit, factor) for unit, (d, factor) in UNITS.items() if d == dimension and unit != "meV"]
    for unit, factor in units:
        if 1.0 <= abs(value / factor) < 1000.0:
            return unit, factor
    return min(units, key=lambda u: abs(math.log10(abs(value / u[1])))) if value else units[0]


def _digits(value: float) -> str:
    """A number as TOML reads it, without the last bits of a change of units."""
    if not math.isfinite(value):
        raise OutputError("A number of the card is not finite", got=value)
    return f"{value:.12g}"


def _quoted(text: str) -> str:
    # a basic string of TOML escapes as JSON does
    return json.dumps(text, ensure_ascii=False)
