"""A stack of replicas: what they share once, what is their own along a dimension ``replica``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import InputError

__all__ = ["Frame", "Own", "record_of"]

_COMMON = ("model", "version", "parameters", "sources", "waveform")  # attributes that every replica has alike
_STIMULUS = "voltage"  # the one variable that is the same for all


class Own(NamedTuple):
    """A variable of which each replica has its own values.

    Attributes
    ----------
    dims : tuple of str
        Without that of the replicas.
    dtype : numpy dtype
    shape : tuple of int
        Of one replica.
    attrs : dict
        Unit and meaning.
    """

    dims: tuple[str, ...]
    dtype: np.dtype
    shape: tuple[int, ...]
    attrs: dict[str, Any]


def record_of(trace: xr.Dataset) -> dict[str, Any]:
    """Attributes that are a replica's own; its seed is not kept, it follows from that of the ensemble.

    Parameters
    ----------
    trace : xarray.Dataset
        Of one replica.

    Returns
    -------
    dict
        Attributes; those that are JSON are read.
    """
    own = {name: value for name, value in trace.attrs.items() if name not in (*_COMMON, "seed")}
    return {name: _loaded(value) for name, value in own.items()}


def _loaded(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@dataclass(frozen=True)
class Frame:
    """The form of an ensemble, taken from one replica.

    Attributes
    ----------
    order : tuple of str
        Names of the variables.
    shared : mapping of str to Variable
        Coordinates and the stimulus.
    own : mapping of str to Own
    attrs : mapping
        Attributes that all replicas have alike.
    """

    order: tuple[str, ...]
    shared: Mapping[str, xr.Variable]
    own: Mapping[str, Own]
    attrs: Mapping[str, Any]

    @classmethod
    def of(cls, trace: xr.Dataset) -> Frame:
        """The form that a replica has.

        Parameters
        ----------
        trace : xarray.Dataset
            Of one replica.
        """
        shared = {str(n): v for n, v in trace.variables.items() if n in trace.coords or n == _STIMULUS}
        own = {
            str(name): Own(tuple(map(str, v.dims)), v.dtype, v.shape, dict(v.attrs))
            for name, v in trace.variables.items()
            if name not in shared
        }
        attrs = {name: trace.attrs[name] for name in _COMMON if name in trace.attrs}
        return cls(tuple(map(str, trace.data_vars)), shared, own, attrs)

    def check(self, trace: xr.Dataset, number: int) -> None:
        """Refuse a replica of another form.

        Parameters
        ----------
        trace : xarray.Dataset
        number : int
            Of the replica, for the message.

        Raises
        ------
        InputError
            If a shared value, the shape or type of a variable, or a common attribute differs.
        """
        other = Frame.of(trace)
        names = {*self.own, *self.shared, *other.own, *other.shared}
        wrong = [n for n in names if self.own.get(n) != other.own.get(n) or not self._shares(other, n)]
        wrong += [n for n in self.attrs if self.attrs[n] != other.attrs.get(n)]
        if wrong:
            raise InputError(
                f"Replica {number} is of another form than those before it",
                got=", ".join(sorted(wrong)),
                allowed="the same variables, shapes, coordinates and parameters in every replica",
            )

    def _shares(self, other: Frame, name: str) -> bool:
        mine, its = self.shared.get(name), other.shared.get(name)
        return mine is its if mine is None or its is None else mine.identical(its)

    def stack(
        self,
        columns: Mapping[str, NDArray[Any]],
        records: Sequence[Mapping[str, Any]],
        numbers: Sequence[int],
        seed: str,
    ) -> xr.Dataset:
        """The Dataset of an ensemble.

        Parameters
        ----------
        columns : mapping of str to array, shape (replica, ...)
            Values of every variable in `own`.
        records : sequence of mapping
            Attributes of each replica, as :func:`record_of` takes them: they become lists, in JSON.
        numbers : sequence of int
            Number of each replica.
        seed : str
            State of the random generator of the ensemble.

        Returns
        -------
        xarray.Dataset
            Over ``replica`` and the dimensions of one.
        """
        data: dict[str, Any] = {}
        for name in self.order:
            own = self.own.get(name)
            data[name] = self.shared[name] if own is None else (("replica", *own.dims), columns[name], own.attrs)
        coords = {name: v for name, v in self.shared.items() if name != _STIMULUS}
        coords["replica"] = xr.Variable("replica", np.array(numbers), {"units": "1", "long_name": "replica"})
        names = dict.fromkeys(name for record in records for name in record)
        lists = {name: json.dumps([record.get(name) for record in records]) for name in names}
        return xr.Dataset(data, coords, {**self.attrs, "seed": seed, **lists})
