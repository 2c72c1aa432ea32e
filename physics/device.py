"""`Device`: an ordered stack of layers with geometry and parameters, each number marked with where it comes from.

:mod:`halidrift.physics.cards` says how a card is written, :mod:`halidrift.physics.parameters` what it may hold.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .citations import data_directories
from .database import Database
from .errors import DataError, InputError
from .parameters import AREA, PARAMETERS, THICKNESS, Parameter, bounds
from .randomness import Rng, generator

__all__ = ["CARDS", "ROLES", "Device", "Layer"]

CARDS = Path(__file__).resolve().parents[1] / "data" / "devices"  # those that ship

ROLES = ("active_electrode", "film", "transport_layer", "counter_electrode")
_CUT = 4.0  # standard deviations beyond which no device is drawn: 6 of 100,000


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
    file : str
        Path of the card; empty for one that was made in a program.

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
        from .cards import Reader, toml  # makes devices

        card = toml(file)
        made = Reader(file, Database.load() if database is None else database).device(card)
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
        from .cards import Reader, toml  # makes devices

        path = Path(file)
        card = toml(path)
        reader = Reader(path, Database.load() if database is None else database)
        reader.faults = []
        device = reader.device(card)
        if device is not None:
            return device, dict(device.parameters), ()
        faults, reader.faults = tuple(reader.faults), []
        return None, reader.parameters(card), faults

    @staticmethod
    def names() -> list[str]:
        """Names of the shipped cards and of those in ``HALIDRIFT_DATA/devices``.

        Returns
        -------
        list of str
        """
        return sorted({path.stem for root in data_directories() for path in (root / "devices").glob("*.toml")})

    def layer(self, role: str) -> Layer:
        """The first layer, bottom to top, with this role.

        Parameters
        ----------
        role : str
            One of :data:`ROLES`.
        """
        for layer in self.layers:
            if layer.role == role:
                return layer
        raise InputError(f"{self.name} has no layer with this role", got=role, allowed=", ".join(ROLES))

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
        """Value of one parameter in its canonical unit.

        Parameters
        ----------
        name : str
            Of a parameter.

        Returns
        -------
        float
            In the unit that ends the name.
        """
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

        Parameters
        ----------
        **values : float
            New values by the name of the parameter, in the unit that ends it.

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
        return self._with({"film_thickness_m": _changed(self.film.thickness, thickness_m, *THICKNESS)})

    def with_area(self, area_m2: float) -> Device:
        """A copy with electrodes of another area; it counts as assumed.

        Parameters
        ----------
        area_m2 : float, m^2, 1e-18 to 1e-2
        """
        return replace(self, area=_changed(self.area, area_m2, *AREA))

    def with_electrode(self, material: str) -> Device:
        """A copy whose active electrode is of another metal.

        The metal decides the energy of its cation, through its standard potential; nothing else changes.

        Parameters
        ----------
        material : str
            Symbol of the metal, such as ``"Cu"``.
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
        """Between which values a number is drawn: 4 standard deviations from its mean, within its physical bounds.

        Parameters
        ----------
        name : str
            As in `numbers`.

        Returns
        -------
        tuple of two float
            In the unit that ends the name.
        """
        mean = self.numbers[name]
        low, high = bounds(name)
        width = 0.0 if mean.spread is None else _CUT * mean.spread.value
        return max(low, mean.value - width), min(high, mean.value + width)

    def extremes(self) -> tuple[Device, Device]:
        """The devices with every drawn number at its lower and at its upper limit.

        Returns
        -------
        tuple of two Device
        """
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
            highest = bounds(name)[1]
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

        Returns
        -------
        dict
            ``name``, ``area_m2``, ``layers`` (material, role, thickness in m), ``parameters``.
        """
        return {
            "name": self.name,
            "area_m2": self.area_m2,
            "layers": [[layer.material, layer.role, layer.thickness_m] for layer in self.layers],
            "parameters": {name: p.value for name, p in sorted(self.parameters.items())},
        }


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
