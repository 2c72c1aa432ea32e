"""`RateModel`: a compact model given by the rate of its state and by its current, dy/dt = f(y, V) and I = i(y, V)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics import trace as traces
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.waveform import Waveform
from . import _rate
from .model import CompactModel, Rng, generator, seed_text
from .parameters import Quantity

__all__ = ["SPREADS", "RateModel"]

Array = NDArray[np.float64]

_TOLERANCE = 1e-7  # error of the state in one step, over its range
_MOST_STATES = 50_000_000  # numbers that one call may return

SPREADS: dict[str, Quantity] = {
    "rate_spread_cycle": Quantity("1", 0.0, 5.0, "std of the logarithm of the rate from cycle to cycle", 0.0),
    "rate_spread_device": Quantity("1", 0.0, 5.0, "std of the logarithm of the rate from device to device", 0.0),
    "read_noise": Quantity("1", 0.0, 5.0, "relative standard deviation of a read", 0.0),
    "read_noise_floor_S": Quantity("S", 0.0, 1.0, "standard deviation of a read of a small conductance", 0.0),
}
"""Stochastic parameters that every model of this kind ends with; 0 where not estimated."""


@dataclass(frozen=True)
class RateModel(CompactModel):
    """What the models of one right-hand side and one current law share: integration, spread, reads.

    Notes
    -----
    The device voltage is the source voltage or, where the model would carry more than the compliance, the voltage at
    which it carries just that. A state that reaches a bound stays there until its rate turns.

    Spread: the rate is lognormal around that of the typical device, once for each device and once for each cycle; a
    cycle begins at the start and wherever the source voltage leaves :attr:`idle_band_V` or passes from one side of it
    to the other. Read noise multiplies the conductance by a lognormal factor of relative width
    sqrt(read_noise^2 + (read_noise_floor / G)^2), independent at each instant.
    """

    KIND: ClassVar[int]
    STATE_UNIT: ClassVar[str] = "1"
    STATE_MEANING: ClassVar[str] = "state"

    # -- what a model gives ----------------------------------------------------------------------------------

    @abstractmethod
    def _law(self) -> Array:
        """Numbers of the compiled functions, the first a factor of the rate."""

    @abstractmethod
    def _bounds(self) -> tuple[Array, Array]:
        """Smallest and largest value of each state."""

    @abstractmethod
    def _rest(self) -> Array:
        """State of the fresh device."""

    def _scale(self) -> Array:
        """What a tolerance of 1 means for each state."""
        low, high = self._bounds()
        return np.asarray(high - low)

    def _kinks(self) -> Array:
        """Voltages at which the right-hand side is not smooth."""
        return np.array([0.0])

    @property
    def idle_band_V(self) -> tuple[float, float]:
        """Voltages between which no cycle begins, V."""
        return (0.0, 0.0)

    def _extra(self, states: Array, held: Array) -> dict[str, tuple[Any, Any, str, str]]:
        """Further variables of a trace, from states (time, states) and device voltages (time,)."""
        return {}

    def _record(self) -> dict[str, Any]:
        """What a trace records as parameters."""
        return self._values()

    # -- equations -------------------------------------------------------------------------------------------

    def right_hand_side(self, state: ArrayLike, device_voltage_V: ArrayLike) -> Array:
        """Rate of the state of the typical device.

        Parameters
        ----------
        state : float or array, shape (...,), or (..., states) for a model of several states
            In :attr:`STATE_UNIT`, inside its bounds.
        device_voltage_V : float or array, shape (...,), V
            Voltage across the device itself, after the compliance limit.

        Returns
        -------
        array, shape of the state after broadcasting, :attr:`STATE_UNIT` per second
            The unbounded rate: at a bound it may point outwards, and the simulations stop there.

        Raises
        ------
        InputError
            If a state is out of bounds or a number not finite.
        """
        states, voltages, shape = self._rows(state, device_voltage_V)
        out = np.empty_like(states)
        _rate.rates(self.KIND, states, voltages, self._law(), out)
        return out.reshape(*shape, out.shape[1]) if self._several else out.reshape(shape)

    def device_current(self, state: ArrayLike, device_voltage_V: ArrayLike) -> Array:
        """Current of the device at a frozen state.

        Parameters
        ----------
        state : float or array, shape (...,), or (..., states) for a model of several states
            In :attr:`STATE_UNIT`, inside its bounds.
        device_voltage_V : float or array, shape (...,), V
            Across the device itself.

        Returns
        -------
        array, shape (...,), A
        """
        states, voltages, shape = self._rows(state, device_voltage_V)
        out = np.empty(voltages.size)
        _rate.currents(self.KIND, states, voltages, self._law(), out)
        return out.reshape(shape)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Smallest and largest value of each state, shape (states,)."""
        return self._bounds()

    @property
    def rest_state(self) -> Array:
        """State of the fresh device, shape (states,)."""
        return self._rest()

    @property
    def _several(self) -> bool:
        return self._rest().size > 1

    def _rows(self, state: ArrayLike, device_voltage_V: ArrayLike) -> tuple[Array, Array, tuple[int, ...]]:
        voltages, states = np.asarray(device_voltage_V, dtype=float), np.asarray(state, dtype=float)
        low = self._bounds()[0]
        if not self._several:
            states = states[..., None]
        if not states.ndim or states.shape[-1] != low.size:
            raise InputError(
                f"{type(self).__name__} has {low.size} states, the last axis of `state`", got=f"shape {states.shape}"
            )
        if not (np.isfinite(states).all() and np.isfinite(voltages).all()):
            raise InputError("States and voltages must be finite", got="nan or inf")
        self._inside(states)
        shape = np.broadcast_shapes(states.shape[:-1], voltages.shape)
        rows = np.ascontiguousarray(np.broadcast_to(states, (*shape, low.size)).reshape(-1, low.size))
        return rows, np.ascontiguousarray(np.broadcast_to(voltages, shape).reshape(-1)), shape

    def _inside(self, states: Array) -> None:
        low, high = self._bounds()
        slack = 1e-12 * (high - low)
        if not ((states >= low - slack) & (states <= high + slack)).all():
            bad = int(np.argmax(((states < low - slack) | (states > high + slack)).reshape(-1, low.size).any(axis=0)))
            raise InputError(
                f"state of {type(self).__name__} is out of bounds",
                got=f"{states.min():g} to {states.max():g} {self.STATE_UNIT}",
                allowed=f"{low[bad]:g} to {high[bad]:g} {self.STATE_UNIT}",
            )

    # -- simulation ------------------------------------------------------------------------------------------

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: Rng = None,
        devices: int = 1,
        cycles: int = 1,
        state: ArrayLike | None = None,
        tolerance: float = _TOLERANCE,
    ) -> xr.Dataset:
        """Simulate devices under a waveform.

        Parameters
        ----------
        waveform : Waveform
        rng : int, Generator or None
            None simulates the typical device: medians, no noise.
        devices : int, >= 1
            Devices, each with its own draw of the device-to-device spread.
        cycles : int, >= 1
            Repetitions of the whole waveform on each device, each from `state`.
        state : float or array, shape (states,), optional
            State at the start, in :attr:`STATE_UNIT`; that of the fresh device if not given.
        tolerance : float, 1, > 0
            Largest estimated error of a state in one step, over its range (of ln G, in a synapse).

        Returns
        -------
        xarray.Dataset
            A trace with variable ``state``; dimensions (device, cycle, time), the first two only where larger than 1.

        Raises
        ------
        InputError
            If several devices or cycles are asked without rng: they would be identical.
        ConvergenceError
            If the step control fails.
        """
        seed, random = seed_text(rng), generator(rng)
        self._counted(devices, cycles, random)
        start = self._start(state)
        self._precise(tolerance)
        times = waveform.times_s
        shape = (int(devices), int(cycles), times.size)
        if int(np.prod(shape)) * start.size > _MOST_STATES:
            raise InputError(
                "The trace would not fit into memory",
                got=f"{shape[0]} devices x {shape[1]} cycles x {shape[2]} instants",
                allowed=f"up to {_MOST_STATES} states",
            )
        y, held = np.empty((*shape, start.size)), np.empty(shape)
        low, high = self._bounds()
        law, kinks, band = self._law(), self._kinks(), np.array(self.idle_band_V)
        draws = self._cycles(waveform)
        for d in range(shape[0]):
            factor = self._device_factors(1, random)[0]
            for c in range(shape[1]):
                numbers = np.empty(0) if random is None else random.standard_normal(draws)
                _rate.run(
                    self.KIND,
                    waveform.time_s,
                    waveform.voltage_V,
                    waveform.compliance_A,
                    times,
                    start,
                    law,
                    low,
                    high,
                    self._scale(),
                    kinks,
                    band,
                    factor,
                    self.value("rate_spread_cycle"),
                    numbers,
                    float(tolerance),
                    y[d, c],
                    held[d, c],
                )
        clean = self._conductance(y, held)
        read = self._noisy(clean, random)
        current, limit = self._currents(y, held), waveform.compliance_at(times)
        if read is not clean:
            # the source meets its limit at the conductance that flows, not at the typical one
            bound = limit / read
            held = np.clip(waveform.voltage_at(times), -bound, bound)
            current = read * held
        current = np.clip(current, -limit, limit)  # rounding
        return self._trace(waveform, y, held, current, read, seed)

    def respond(
        self,
        waveforms: Sequence[Waveform],
        times_s: ArrayLike,
        *,
        rng: Rng = None,
        devices: ArrayLike | None = None,
        tolerance: float = 1e-6,
    ) -> Array:
        """Conductance under each of many waveforms, from the fresh state, at common instants.

        Parameters
        ----------
        waveforms : sequence of Waveform
        times_s : array, shape (samples,), s, ascending
        rng : int, Generator or None
            None simulates the typical device: medians, no noise.
        devices : array of int, shape (waveforms,), optional
            Which device each waveform is applied to; equal numbers share a draw of the device-to-device spread.
            Without it all are applied to the device without that spread.
        tolerance : float, 1, > 0
            Largest estimated error of a state in one step, over its range (of ln G, in a synapse).

        Returns
        -------
        array, shape (waveforms, samples), S
        """
        times, random = self._instants(waveforms, times_s), generator(rng)
        self._precise(tolerance)
        if not waveforms:
            return np.empty((0, times.size))
        factors = np.ones(len(waveforms))
        if devices is not None:
            index = self._labelled(devices, len(waveforms))
            factors = self._device_factors(int(index.max()) + 1, random)[index]
        counts = np.array([0 if random is None else self._cycles(w) for w in waveforms])
        numbers = np.empty(0) if random is None else random.standard_normal(int(counts.sum()))
        rest = self._rest()
        low, high = self._bounds()
        y = np.empty((len(waveforms), times.size, rest.size))
        held = np.empty((len(waveforms), times.size))
        _rate.run_patterns(
            self.KIND,
            *self._joined(waveforms),
            times,
            rest,
            self._law(),
            low,
            high,
            self._scale(),
            self._kinks(),
            np.array(self.idle_band_V),
            factors,
            self.value("rate_spread_cycle"),
            numbers,
            np.concatenate([[0], np.cumsum(counts)]),
            float(tolerance),
            y,
            held,
        )
        return self._noisy(self._conductance(y, held), random)

    # -- pieces ----------------------------------------------------------------------------------------------

    def _start(self, state: ArrayLike | None) -> Array:
        rest = self._rest()
        if state is None:
            return rest
        start = np.atleast_1d(np.asarray(state, dtype=float))
        if start.shape != rest.shape or not np.isfinite(start).all():
            raise InputError(
                f"state of {type(self).__name__} must hold {rest.size} finite numbers", got=f"shape {start.shape}"
            )
        self._inside(start)
        return np.clip(start, *self._bounds())

    def _cycles(self, waveform: Waveform) -> int:
        """Cycles in a waveform: its start, and each time that the voltage leaves the idle band or changes its side."""
        low, high = self.idle_band_V
        sides = np.where(waveform.voltage_V > high, 1, np.where(waveform.voltage_V < low, -1, 0))
        return 1 + int(((sides != 0) & (sides != np.concatenate([[0], sides[:-1]]))).sum())

    def _device_factors(self, count: int, random: np.random.Generator | None) -> Array:
        """Factor of the rate of each device, shape (count,)."""
        if random is None:
            return np.ones(count)
        return np.asarray(np.exp(self.value("rate_spread_device") * random.standard_normal(count)))

    def _flat(self, y: Array, held: Array) -> tuple[Array, Array]:
        if not np.isfinite(y).all():
            raise ConvergenceError(
                f"The step control of {type(self).__name__} gave up",
                got=f"{int(np.isnan(y).any(axis=(-1, -2)).sum())} runs without a solution",
                action="Raise the tolerance, or lower the voltage",
            )
        return np.ascontiguousarray(y.reshape(-1, y.shape[-1])), np.ascontiguousarray(held.reshape(-1))

    def _conductance(self, y: Array, held: Array) -> Array:
        states, voltages = self._flat(y, held)
        out = np.empty(voltages.size)
        _rate.conductances(self.KIND, states, voltages, self._law(), out)
        if not np.isfinite(out).all():
            raise ValidityError(
                f"The current of {type(self).__name__} overflows",
                got=f"up to {np.abs(voltages).max():g} V",
                action="Lower the voltage, or give the waveform a compliance",
            )
        return out.reshape(held.shape)

    def _currents(self, y: Array, held: Array) -> Array:
        states, voltages = self._flat(y, held)
        out = np.empty(voltages.size)
        _rate.currents(self.KIND, states, voltages, self._law(), out)
        return out.reshape(held.shape)

    def _noisy(self, conductance: Array, random: np.random.Generator | None) -> Array:
        relative, floor = self.value("read_noise"), self.value("read_noise_floor_S")
        if random is None or (relative == 0.0 and floor == 0.0):
            return conductance
        width = np.hypot(relative, floor / np.maximum(conductance, np.finfo(float).tiny))
        return np.asarray(conductance * np.exp(np.minimum(width, 5.0) * random.standard_normal(conductance.shape)))

    def _trace(
        self, waveform: Waveform, y: Array, held: Array, current: Array, conductance: Array, seed: str
    ) -> xr.Dataset:
        columns = y if self._several else y[..., 0]
        names = ("time", "component") if self._several else "time"
        first = traces.make(
            waveform,
            model=f"compact.{type(self).__name__}",
            device_voltage_V=held[0, 0],
            current_A=current[0, 0],
            conductance_S=conductance[0, 0],
            parameters=self._record(),
            sources=self.sources,
            seed=seed,
            extra={
                "state": (names, columns[0, 0], self.STATE_UNIT, self.STATE_MEANING),
                **(self._extra(y[0, 0], held[0, 0]) if y.shape[:2] == (1, 1) else {}),
            },
        )
        if y.shape[:2] == (1, 1):
            return first
        for name, values in (
            ("device_voltage", held),
            ("current", current),
            ("conductance", conductance),
            ("state", columns),
        ):
            dims = ("device", "cycle", *first[name].dims)
            full = xr.DataArray(values, dims=dims, attrs=first[name].attrs)
            first[name] = full.squeeze([d for d in ("device", "cycle") if full.sizes[d] == 1], drop=True)
        return traces.check(first)
