"""`CompactModel`: what every compact model has besides its physics."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics import randomness
from ..physics.errors import InputError, ValidityError
from ..physics.waveform import Waveform
from .parameters import FittedParameter, ParameterTable, Quantity, real

__all__ = ["CompactModel", "generator", "seed_text"]

Rng = randomness.Rng


def generator(rng: Rng) -> np.random.Generator | None:
    """The generator that `rng` names; None stays None, the noise-free typical device.

    Parameters
    ----------
    rng : int, Generator or None
        Seed, or a generator, which is used as it is.
    """
    return None if rng is None else randomness.generator(rng)


def seed_text(rng: Rng) -> str:
    """What a trace records of `rng`.

    Parameters
    ----------
    rng : int, Generator or None
        None counts as no noise.
    """
    return "none: typical device, no noise" if rng is None else randomness.describe(randomness.generator(rng))


@dataclass(frozen=True)
class CompactModel(ABC):
    """A frozen parameter set with `simulate`, `respond` and `export`.

    Parameters
    ----------
    parameters : ParameterTable
        Every number of the model.
    sources : tuple of str
        Bib keys of the method and of the traces behind the numbers.
    goodness : mapping of str to float
        Normalised error of the fit for each trace; empty for a model written by hand.
    warnings : tuple of str
        What the fit could not do.
    """

    parameters: ParameterTable
    sources: tuple[str, ...] = ()
    goodness: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    QUANTITIES: ClassVar[Mapping[str, Quantity]] = {}
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        known = set(self.QUANTITIES)
        if set(self.parameters) != known:
            odd = sorted(set(self.parameters) ^ known)
            raise InputError(f"{type(self).__name__} has other parameters", got=odd, allowed=", ".join(self.QUANTITIES))
        for name, quantity in self.QUANTITIES.items():
            entry = self.parameters[name]
            if entry.unit != quantity.unit:
                raise InputError(
                    f"{type(self).__name__}.{name} has another unit than the model",
                    got=entry.unit,
                    allowed=quantity.unit,
                    action="Convert the value",
                )
            optional = quantity.default is not None and math.isnan(quantity.default)
            if optional and not entry.estimated:
                continue
            if not quantity.low <= entry.value <= quantity.high:
                raise InputError(
                    f"{type(self).__name__}.{name} is out of bounds",
                    got=f"{entry.value} {quantity.unit}",
                    allowed=f"{quantity.low:g} to {quantity.high:g} {quantity.unit}",
                )
        object.__setattr__(self, "sources", tuple(sorted({*self.sources, *self.METHOD_SOURCES})))
        self._check()

    def _check(self) -> None:  # noqa: B027 - most models have none
        """Relations between parameters; raises InputError."""

    @classmethod
    def of(cls, *, reason: str = "given by hand", **values: float) -> Self:
        """A model written by hand: each value given counts as assumed, each other takes its default.

        Parameters
        ----------
        reason : str
            Where the numbers come from.
        **values : float
            By parameter name, in the unit that the name ends with.

        Raises
        ------
        InputError
            If a parameter is unknown, missing or out of bounds.
        """
        for name in values:
            if name not in cls.QUANTITIES:
                raise InputError(f"{cls.__name__} has no such parameter", got=name, allowed=", ".join(cls.QUANTITIES))
        entries = []
        for name, quantity in cls.QUANTITIES.items():
            if name in values:
                entries.append(FittedParameter(name, float(values[name]), quantity.unit, None, "assumed", reason))
            elif quantity.default is None:
                raise InputError(f"{cls.__name__} needs {name}", allowed=f"{quantity.meaning}, {quantity.unit}")
            else:
                entries.append(FittedParameter(name, quantity.default, quantity.unit, None, "fixed", quantity.origin))
        return cls(ParameterTable(tuple(entries)))

    def value(self, name: str) -> float:
        """Value of one parameter.

        Parameters
        ----------
        name : str
            A key of ``QUANTITIES``.

        Returns
        -------
        float
            In the unit of the parameter; nan if it was not estimated.

        Raises
        ------
        InputError
            If the model has no such parameter.
        """
        if name not in self.QUANTITIES:
            raise InputError(
                f"{type(self).__name__} has no such parameter", got=name, allowed=", ".join(self.QUANTITIES)
            )
        return self.parameters[name].value

    def with_values(self, *, reason: str = "set by the caller", **values: float) -> Self:
        """A copy with other values, which count as assumed.

        Parameters
        ----------
        reason : str
            Where the values come from; becomes their origin.
        **values : float
            By parameter name, in the unit of the model.

        Raises
        ------
        InputError
            If the model has no such parameter, or a value is out of bounds.
        """
        table = self.parameters
        for name, value in values.items():
            self.value(name)
            table = table.scaled(name, float(value), reason)
        return replace(self, parameters=table, goodness={})

    @abstractmethod
    def simulate(self, waveform: Waveform, *, rng: Rng = None) -> xr.Dataset:
        """The trace of one device under the waveform.

        Parameters
        ----------
        waveform : Waveform
            Source voltage and compliance current.
        rng : int, Generator or None
            None simulates the typical device: medians, no noise.
        """

    def respond(self, waveforms: Sequence[Waveform], times_s: ArrayLike, *, rng: Rng = None) -> NDArray[np.float64]:
        """Conductance of one device under each of many waveforms, from the fresh state, at common instants.

        Parameters
        ----------
        waveforms : sequence of Waveform
        times_s : array, shape (samples,), s
            Instants, from the start of each waveform's clock.
        rng : int, Generator or None

        Returns
        -------
        array, shape (waveforms, samples), S
        """
        times, random = self._instants(waveforms, times_s), generator(rng)
        out = np.empty((len(waveforms), times.size))
        for i, waveform in enumerate(waveforms):
            trace = self.simulate(waveform.with_samples(times), rng=random)
            out[i] = trace["conductance"].values[np.searchsorted(trace["time"].values, times)]
        return out

    @staticmethod
    def _counted(devices: int, cycles: int, random: np.random.Generator | None) -> None:
        """Complain unless so many devices and cycles can be simulated."""
        for name, number in (("devices", devices), ("cycles", cycles)):
            if isinstance(number, bool) or int(number) != number or number < 1:
                raise InputError(f"{name} must be a whole number", got=number, allowed=">= 1")
        if devices * cycles > 1 and random is None:
            raise InputError(
                "Several devices or cycles without rng would be identical", action="Give rng a seed, or ask for one"
            )

    @staticmethod
    def _precise(tolerance: float) -> None:
        if not 0.0 < tolerance < 1.0:
            raise InputError("tolerance is out of range", got=tolerance, allowed="above 0, below 1")

    @staticmethod
    def _labelled(devices: ArrayLike, count: int) -> NDArray[np.intp]:
        """Number of the device of each waveform, from 0 on."""
        labels = np.asarray(devices)
        if labels.shape != (count,):
            raise InputError("devices must hold one number for each waveform", got=f"shape {labels.shape}")
        return np.unique(labels, return_inverse=True)[1]

    @staticmethod
    def _joined(waveforms: Sequence[Waveform]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Corners, voltages and limits of waveforms one after the other, and where each begins."""
        return (
            np.concatenate([w.time_s for w in waveforms]),
            np.concatenate([w.voltage_V for w in waveforms]),
            # one more limit than segments, so that corners and limits share their offsets
            np.concatenate([np.append(w.compliance_A, np.inf) for w in waveforms]),
            np.concatenate([[0], np.cumsum([w.time_s.size for w in waveforms])]),
        )

    @staticmethod
    def _instants(waveforms: Sequence[Waveform], times_s: ArrayLike) -> NDArray[np.float64]:
        times = np.asarray(times_s, dtype=float)
        if times.ndim != 1 or not times.size or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise InputError("times_s must be a one-dimensional, ascending array", got=f"shape {times.shape}")
        for i, waveform in enumerate(waveforms):
            if times[0] < waveform.time_s[0] or times[-1] > waveform.time_s[-1]:
                raise ValidityError(
                    f"waveform {i} does not cover the instants asked",
                    got=f"{times[0]:g} to {times[-1]:g} s",
                    allowed=f"{waveform.time_s[0]:g} to {waveform.time_s[-1]:g} s",
                )
        return times

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as a circuit element; see :func:`halidrift.compact.export.export`.

        Parameters
        ----------
        path : path
            Ends in ``.sp``, ``.cir`` or ``.va``.
        """
        from .export import export

        return export(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable, that :meth:`from_dict` reads back.

        Returns
        -------
        dict
            ``model`` (name of the class), ``parameters`` (:meth:`ParameterTable.to_list`), ``sources``, ``goodness``
            (None for nan) and ``warnings``.
        """
        return {
            "model": type(self).__name__,
            "parameters": self.parameters.to_list(),
            "sources": list(self.sources),
            "goodness": {name: error if math.isfinite(error) else None for name, error in self.goodness.items()},
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The model that :meth:`to_dict` described.

        Parameters
        ----------
        record : mapping
            Of the same class.

        Raises
        ------
        InputError
            If the record is of another model, or is not whole.
        """
        if record.get("model") != cls.__name__:
            raise InputError("The record is of another model", got=record.get("model"), allowed=cls.__name__)
        for name, kind in (("parameters", list), ("sources", list), ("goodness", Mapping), ("warnings", list)):
            if not isinstance(record.get(name), kind):
                raise InputError(
                    f"The record of a {cls.__name__} lacks {name}, or it is of another type",
                    got=type(record[name]).__name__ if name in record else "nothing",
                    allowed="a list" if kind is list else "a table",
                )
        for name in ("sources", "warnings"):
            if not all(isinstance(text, str) for text in record[name]):
                raise InputError(f"{name} of the record are not texts", got=repr(record[name])[:80])
        goodness = {run: math.nan if error is None else real(error, run) for run, error in record["goodness"].items()}
        table = ParameterTable.from_list(record["parameters"])
        return cls(table, tuple(record["sources"]), goodness, tuple(record["warnings"]))

    def _values(self) -> dict[str, Any]:
        """Parameter values as a trace records them."""
        return {row["name"]: row["value"] for row in self.parameters.to_list()}
