r"""`Volatile`: threshold growth of a filament, spontaneous relaxation, tunnelling OFF to ohmic ON.

.. math::

    \dot x = g(V_d)\,\frac{(1-x)(1+r x)}{n(r)} - \frac{e^{-V_d/V_r}}{\tau}\,\frac{x\,[1+s(1-x)]}{n(s)}, \qquad
    g = k_0\,(e^{V_d/V_0} - 1)

    (V_d > 0; \text{at}\ V_d \le 0\ \text{g is 0 and}\ \tau\ \text{does not depend on the voltage})

    \ln G = (1-x)\,[\ln G_\mathrm{off} + \ln \tfrac{\sinh(V_d/V_n)}{V_d/V_n}] + x \ln G_\mathrm{on}

The norm n makes either process reach 1/e of its way after one time constant, so r and s change shapes only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics import trace as traces
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.waveform import Waveform
from . import _volatile, laws
from .model import CompactModel, Rng, generator, seed_text
from .parameters import Quantity, real

__all__ = ["Volatile"]

_TOLERANCE = 1e-7  # error of the state in one step
_COMPLIANCE_MARGIN = 2.0  # the ON branch of a volatile filament holds up to about this multiple of the fitted current


@dataclass(frozen=True)
class Volatile(CompactModel):
    """Volatile threshold switch with a fading memory.

    Made by :func:`halidrift.compact.fit` from traces, or by hand with :meth:`of`.

    Parameters
    ----------
    temperature_K : float, K, 50 to 1000
        Temperature of the simulation; `reference_temperature_K` if not given.

    Notes
    -----
    State x in [0, 1]: 0 is the open gap, 1 the closed filament. It grows under positive device voltage only and
    relaxes at every voltage, more slowly under a positive one if `relaxation_voltage_V` is finite (reverse charge
    transfer; equal to `growth_voltage_V` for a symmetric barrier, inf for none). The device voltage obeys the
    compliance limit, min(V, Icc / G), so growth limits
    itself. `relaxation_acceleration` 0 is an exponential relaxation of ln G; a large one holds the filament and
    then drops it (the thinner, the faster: Gibbs-Thomson). The relaxation time is the time from x = 1 to
    x = 1/e, at `reference_temperature_K`; it follows Arrhenius' law with `relaxation_barrier_eV`, if estimated.

    Spread: k_0 and tau are lognormal around the typical device (the median), once for each device and once for each
    cycle; a cycle begins when a voltage that can grow begins, one at which the growth rate is above a tenth of the
    relaxation rate. The draw of tau for a cycle holds below that voltage: when a filament left to itself breaks is
    random, the size at which growth and relaxation balance is not. With `relaxation_weibull` 1 tau is Weibull from
    cycle to cycle, of equal median and standard deviation of ln tau; the shape is pi / (sqrt(6)
    `relaxation_spread_cycle`), so a spread of 1.28 is the exponential law of a filament that one random event breaks.
    With `on_spread` ln G of a filament is off by x times a normal number: contacts differ by an atom. A cycle that
    finds x below 0.5 has a new filament. The scatter is that of a read; it does not act back on the growth. Read noise
    multiplies the conductance by a lognormal factor of relative width sqrt(read_noise^2 + (read_noise_floor / G)^2),
    independent at each instant. All are zero unless estimated.

    Valid up to twice the largest compliance that the model was fitted to: a larger one makes thicker filaments,
    which last longer.

    References
    ----------
    .. [1] S. Menzel et al., Nanoscale 7, 12673 (2015): growth by charge transfer, exponential in the voltage.
    .. [2] J. G. Simmons, J. Appl. Phys. 34, 1793 (1963): conductance exponential in the gap.
    .. [3] W. Weibull, J. Appl. Mech. 18, 293 (1951): the law of the weakest link.
    .. [4] R. A. John et al., Nat. Commun. 13, 2074 (2022): the device.

    Examples
    --------
    >>> cell = Volatile.of(conductance_off_S=1e-9, conductance_on_S=4e-6, growth_rate_Hz=0.05, growth_voltage_V=0.1,
    ...                    relaxation_time_s=6e-3)
    >>> pulse = Waveform.pulses(amplitude_V=1.0, width_s=20e-3, period_s=40e-3, compliance_A=1e-6)
    >>> trace = cell.simulate(pulse)
    >>> bool(trace.current.max() <= 1e-6)
    True
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "conductance_off_S": Quantity("S", 1e-15, 1.0, "low-bias conductance with the gap open"),
        "conductance_on_S": Quantity("S", 1e-15, 10.0, "conductance with the filament closed"),
        "off_nonlinearity_V": Quantity("V", 1e-3, math.inf, "V_n of the OFF branch; inf is ohmic", math.inf),
        "growth_rate_Hz": Quantity("Hz", 0.0, 1e15, "k_0 of the growth law"),
        "growth_voltage_V": Quantity("V", 1e-3, 100.0, "V_0 of the growth law"),
        "growth_acceleration": Quantity("1", 0.0, 1e6, "r of the growth law", 0.0),
        "relaxation_time_s": Quantity("s", 1e-12, 1e12, "from closed to 1/e at zero voltage"),
        "relaxation_acceleration": Quantity("1", 0.0, 1e6, "s of the relaxation law", 0.0),
        "relaxation_voltage_V": Quantity("V", 1e-3, math.inf, "V_r: positive voltage holds relaxation back", math.inf),
        "relaxation_barrier_eV": Quantity("eV", 0.0, 5.0, "Arrhenius barrier of the relaxation time", math.nan),
        "reference_temperature_K": Quantity("K", 50.0, 1000.0, "temperature of the relaxation time", 300.0),
        "growth_spread_cycle": Quantity("1", 0.0, 5.0, "std of ln k_0 from cycle to cycle", 0.0),
        "growth_spread_device": Quantity("1", 0.0, 5.0, "std of ln k_0 from device to device", 0.0),
        "relaxation_spread_cycle": Quantity("1", 0.0, 5.0, "std of ln tau from cycle to cycle", 0.0),
        "relaxation_weibull": Quantity("1", 0.0, 1.0, "law of tau from cycle to cycle: 1 Weibull, 0 log-normal", 0.0),
        "relaxation_spread_device": Quantity("1", 0.0, 5.0, "std of ln tau from device to device", 0.0),
        "on_spread": Quantity("1", 0.0, 5.0, "std of ln G of a filament, as read, from one to the next", 0.0),
        "read_noise": Quantity("1", 0.0, 5.0, "relative standard deviation of a read", 0.0),
        "read_noise_floor_S": Quantity("S", 0.0, 1.0, "standard deviation of a read of a small conductance", 0.0),
        "largest_compliance_A": Quantity("A", 0.0, math.inf, "largest compliance of the fitted traces", math.inf),
    }
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("John2022", "Menzel2015", "Simmons1963")

    temperature_K: float = math.nan
    """Temperature of the simulation, K; the reference temperature if not given."""

    def _check(self) -> None:
        if self.value("conductance_on_S") <= self.value("conductance_off_S"):
            raise InputError(
                "The ON conductance must exceed the OFF conductance",
                got=f"{self.value('conductance_on_S'):g} and {self.value('conductance_off_S'):g} S",
            )
        if self.value("relaxation_weibull") not in (0.0, 1.0):
            raise InputError(
                "relaxation_weibull is a choice",
                got=self.value("relaxation_weibull"),
                allowed="1 (Weibull), 0 (log-normal)",
            )
        if math.isnan(self.temperature_K):
            object.__setattr__(self, "temperature_K", self.value("reference_temperature_K"))
        if not 50.0 <= self.temperature_K <= 1000.0:
            raise InputError("temperature_K is out of bounds", got=f"{self.temperature_K} K", allowed="50 to 1000 K")
        self.relaxation_time_s  # noqa: B018 - raises ValidityError where the barrier is missing

    @property
    def relaxation_time_s(self) -> float:
        """Relaxation time at the temperature of the simulation, s.

        Raises
        ------
        ValidityError
            At another than the reference temperature, if the barrier was not estimated.
        """
        tau, reference = self.value("relaxation_time_s"), self.value("reference_temperature_K")
        if self.temperature_K == reference:
            return tau
        barrier = self.value("relaxation_barrier_eV")
        if math.isnan(barrier):
            raise ValidityError(
                "The barrier of the relaxation time was not estimated, so no other temperature can be simulated",
                got=f"{self.temperature_K:g} K",
                allowed=f"{reference:g} K",
                action="Fit traces of two temperatures, or set relaxation_barrier_eV",
            )
        return laws.arrhenius_time(tau, barrier, self.temperature_K, reference)

    def at(self, temperature_K: float) -> Volatile:
        """The same device at another temperature, K.

        Parameters
        ----------
        temperature_K : float, K, 50 to 1000
            Another than `reference_temperature_K` needs `relaxation_barrier_eV`; only the relaxation time depends on
            it.

        Raises
        ------
        InputError
            If the temperature is out of bounds.
        """
        if not math.isfinite(temperature_K):  # nan would mean the reference temperature
            raise InputError("temperature_K is out of bounds", got=f"{temperature_K} K", allowed="50 to 1000 K")
        return Volatile(self.parameters, self.sources, self.goodness, self.warnings, float(temperature_K))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable, that :meth:`from_dict` reads back.

        Returns
        -------
        dict
            As of :meth:`CompactModel.to_dict`, and ``temperature_K``.
        """
        return {**super().to_dict(), "temperature_K": self.temperature_K}

    @classmethod
    def from_dict(cls, record: Any) -> Volatile:
        """The model that :meth:`to_dict` described.

        Parameters
        ----------
        record : mapping
            With ``temperature_K``, K.
        """
        return super().from_dict(record).at(real(record.get("temperature_K"), "temperature_K"))

    # -- equations -------------------------------------------------------------------------------------------

    def right_hand_side(self, state: ArrayLike, device_voltage_V: ArrayLike) -> NDArray[np.float64]:
        """Rate of the state of the typical device.

        Parameters
        ----------
        state : float or array, shape (...,), 1, in [0, 1]
        device_voltage_V : float or array, shape (...,), V
            Voltage across the device itself, after the compliance limit.

        Returns
        -------
        array, shape (...,), Hz

        Raises
        ------
        InputError
            If a state is out of bounds or a number not finite.
        """
        x, V = self._frozen(state, device_voltage_V)
        out = np.empty(x.size)
        _volatile.slopes(x.ravel(), V.ravel(), self._law(), out)
        return out.reshape(x.shape)

    def device_current(self, state: ArrayLike, device_voltage_V: ArrayLike) -> NDArray[np.float64]:
        """Current of the device at a frozen state.

        Parameters
        ----------
        state : float or array, shape (...,), 1, in [0, 1]
        device_voltage_V : float or array, shape (...,), V
            Across the device itself.

        Returns
        -------
        array, shape (...,), A
        """
        x, V = self._frozen(state, device_voltage_V)
        return np.asarray(V * np.exp(log_conductance(x, V, self._law())))

    @staticmethod
    def _frozen(state: ArrayLike, device_voltage_V: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, V = np.broadcast_arrays(np.asarray(state, dtype=float), np.asarray(device_voltage_V, dtype=float))
        if not (np.isfinite(x).all() and np.isfinite(V).all()):
            raise InputError("States and voltages must be finite", got="nan or inf")
        if not ((x >= 0.0) & (x <= 1.0)).all():
            raise InputError("state is out of range", got=f"{x.min():g} to {x.max():g}", allowed="0 to 1")
        return x, V

    # -- simulation ------------------------------------------------------------------------------------------

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: Rng = None,
        devices: int = 1,
        cycles: int = 1,
        state: float = 0.0,
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
        state : float, 1, in [0, 1]
            State at the start.
        tolerance : float, 1, > 0
            Largest estimated error of the state in one step.

        Returns
        -------
        xarray.Dataset
            A trace with variable ``state``; dimensions (device, cycle, time), the first two only where larger than 1.

        Raises
        ------
        InputError
            If several devices or cycles are asked without rng: they would be identical.
        ValidityError
            If the compliance lets a current flow that the model was not fitted to.
        ConvergenceError
            If the step control fails.
        """
        seed, random = seed_text(rng), generator(rng)
        self._counted(devices, cycles, random)
        if not 0.0 <= state <= 1.0:
            raise InputError("state is out of range", got=state, allowed="0 to 1")
        self._precise(tolerance)
        self._covered(waveform)
        times = waveform.times_s
        shape = (int(devices), int(cycles), times.size)
        x, held, scatter = np.empty(shape), np.empty(shape), np.zeros(shape)
        filament = np.empty(times.size, np.int64)
        law, spreads, draws = self._law(), self._cycle_spreads(), _cycles(waveform)
        for d in range(shape[0]):
            factors = self._device_factors(1, random)[0]
            for c in range(shape[1]):
                numbers = self._numbers(draws, random)
                _volatile.run(
                    waveform.time_s,
                    waveform.voltage_V,
                    waveform.compliance_A,
                    times,
                    float(state),
                    law,
                    factors,
                    spreads,
                    numbers,
                    float(tolerance),
                    x[d, c],
                    held[d, c],
                    filament,
                )
                scatter[d, c] = self._scatter(draws, random)[filament]
        source, limit = waveform.voltage_at(times), waveform.compliance_at(times)
        conductance, held = self._read(x, held, scatter, source, limit, random)
        return self._trace(waveform, x, held, conductance, seed)

    def respond(
        self,
        waveforms: Sequence[Waveform],
        times_s: ArrayLike,
        *,
        rng: Rng = None,
        devices: ArrayLike | None = None,
        tolerance: float = 1e-6,
    ) -> NDArray[np.float64]:
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
            Largest estimated error of the state in one step.

        Returns
        -------
        array, shape (waveforms, samples), S
        """
        times, random = self._instants(waveforms, times_s), generator(rng)
        self._precise(tolerance)
        if not waveforms:
            return np.empty((0, times.size))
        for compliance, peak in {(float(w.compliance_A.max()), float(w.voltage_V.max())) for w in waveforms}:
            self._bounded(compliance, peak)
        counts = np.array([0 if random is None else _cycles(w) for w in waveforms])
        factors = np.ones((len(waveforms), 2))
        if devices is not None:
            index = self._labelled(devices, len(waveforms))
            factors = self._device_factors(int(index.max()) + 1, random)[index]
        numbers = self._numbers(int(counts.sum()), random)
        shape = (len(waveforms), times.size)
        x, held, filament = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
        _volatile.run_patterns(
            *self._joined(waveforms),
            times,
            self._law(),
            factors,
            self._cycle_spreads(),
            numbers,
            np.concatenate([[0], np.cumsum(counts)]),
            float(tolerance),
            x,
            held,
            filament,
        )
        scatter = self._scatter(int(counts.sum()), random)[filament]
        return self._noisy(self._conductance(x, held, scatter), random)

    # -- pieces ----------------------------------------------------------------------------------------------

    def _law(self) -> _volatile.Law:
        r, s = self.value("growth_acceleration"), self.value("relaxation_acceleration")
        return _volatile.Law(
            math.log(self.value("conductance_off_S")),
            math.log(self.value("conductance_on_S")),
            1.0 / self.value("off_nonlinearity_V"),
            self.value("growth_rate_Hz") / laws.time_norm(r),
            self.value("growth_voltage_V"),
            r,
            1.0 / (laws.time_norm(s) * self.relaxation_time_s),
            s,
            self.value("relaxation_voltage_V"),
        )

    def _cycle_spreads(self) -> NDArray[np.float64]:
        return np.array([self.value("growth_spread_cycle"), self.value("relaxation_spread_cycle")])

    def _numbers(self, cycles: int, random: np.random.Generator | None) -> NDArray[np.float64]:
        """Deviates of ln k_0 and ln tau of each cycle, shape (cycles, 2); none for the typical device."""
        if random is None:
            return np.empty((0, 2))
        return deviates(random.standard_normal((cycles, 2)), self.value("relaxation_weibull") == 1.0)

    def _scatter(self, cycles: int, random: np.random.Generator | None) -> NDArray[np.float64]:
        """By how much ln G of the filament of each cycle is off."""
        spread = self.value("on_spread")
        if random is None or spread == 0.0:
            return np.zeros(max(cycles, 1))
        return spread * random.standard_normal(cycles)

    def _device_factors(self, count: int, random: np.random.Generator | None) -> NDArray[np.float64]:
        """Factors of k_0 and tau for each device, shape (count, 2)."""
        if random is None:
            return np.ones((count, 2))
        spreads = np.array([self.value("growth_spread_device"), self.value("relaxation_spread_device")])
        return np.exp(spreads * random.standard_normal((count, 2)))

    def _bounded(self, compliance_A: float, peak_V: float) -> None:
        largest = _COMPLIANCE_MARGIN * self.value("largest_compliance_A")
        if compliance_A <= largest * (1.0 + 1e-9):
            return
        # conductance_on_S was itself seen under the compliance: where a filament grows, it is no bound of the current
        grows = laws.growth_rate(peak_V, self.value("growth_rate_Hz"), self.value("growth_voltage_V"))
        growing = grows * self.value("relaxation_time_s") > 1.0
        if growing or max(peak_V, 0.0) * self.value("conductance_on_S") > largest:
            raise ValidityError(
                "The waveform drives more current than the volatile model was fitted to; it would grow a thicker "
                "filament than the model knows",
                got=f"a compliance of {compliance_A:g} A at {peak_V:g} V",
                allowed=f"up to {largest:g} A",
                action="Give the waveform a compliance, fit traces at this one, or use NonVolatile",
            )

    def _covered(self, waveform: Waveform) -> None:
        peaks = np.maximum(waveform.voltage_V[:-1], waveform.voltage_V[1:])
        for compliance, peak in zip(waveform.compliance_A, peaks, strict=True):
            self._bounded(float(compliance), float(peak))

    def _conductance(
        self, x: NDArray[np.float64], held: NDArray[np.float64], scatter: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if not np.isfinite(x).all():
            raise ConvergenceError(
                "The step control of the volatile model gave up",
                got=f"{int(np.isnan(x).any(axis=-1).sum())} runs without a solution",
                action="Raise the tolerance, or lower the voltage",
            )
        return np.exp(log_conductance(x, held, self._law()) + x * scatter)

    def _noisy(self, conductance: NDArray[np.float64], random: np.random.Generator | None) -> NDArray[np.float64]:
        relative, floor = self.value("read_noise"), self.value("read_noise_floor_S")
        if random is None or (relative == 0.0 and floor == 0.0):
            return conductance
        width = np.hypot(relative, floor / conductance)
        return conductance * np.exp(width * random.standard_normal(conductance.shape))

    def _read(
        self,
        x: NDArray[np.float64],
        held: NDArray[np.float64],
        scatter: NDArray[np.float64],
        voltage: NDArray[np.float64],
        limit: NDArray[np.float64],
        random: np.random.Generator | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Conductance with scatter and read noise, and the device voltage that keeps the compliance with it."""
        clean = self._conductance(x, held, scatter)
        noisy = self._noisy(clean, random)
        if noisy is clean and not scatter.any():
            return clean, held
        # the source meets its limit at the conductance that flows, not at the typical one
        bound = limit / noisy
        return noisy, np.clip(voltage, -bound, bound)

    def _trace(
        self,
        waveform: Waveform,
        x: NDArray[np.float64],
        held: NDArray[np.float64],
        conductance: NDArray[np.float64],
        seed: str,
    ) -> xr.Dataset:
        limit = waveform.compliance_at(waveform.times_s)
        current = np.clip(held * conductance, -limit, limit)  # rounding
        first = traces.make(
            waveform,
            model="compact.Volatile",
            device_voltage_V=held[0, 0],
            current_A=current[0, 0],
            conductance_S=conductance[0, 0],
            parameters={**self._values(), "temperature_K": self.temperature_K},
            sources=self.sources,
            seed=seed,
            extra={"state": ("time", x[0, 0], "1", "progress of the filament")},
        )
        if x.shape[:2] == (1, 1):
            return first
        for name, values in (
            ("device_voltage", held),
            ("current", current),
            ("conductance", conductance),
            ("state", x),
        ):
            full = xr.DataArray(values, dims=("device", "cycle", "time"), attrs=first[name].attrs)
            first[name] = full.squeeze([d for d in ("device", "cycle") if full.sizes[d] == 1], drop=True)
        return traces.check(first)


def deviates(normal: NDArray[np.float64], weibull: bool) -> NDArray[np.float64]:
    """Deviates of ln k_0 and ln tau, last axis, from standard normal numbers."""
    if not weibull:
        return normal
    return np.stack([normal[..., 0], laws.weibull_deviates(normal[..., 1])], axis=-1)


def log_conductance(x: NDArray[np.float64], held: NDArray[np.float64], law: _volatile.Law) -> NDArray[np.float64]:
    """ln(G / S) at states x and device voltages `held`."""
    excess = 0.0 if law.inverse_V == 0.0 else np.vectorize(laws.log_sinhc)(held * law.inverse_V)
    return laws.log_conductance(x, excess, law.ln_off, law.ln_on)


def _cycles(waveform: Waveform) -> int:
    """Upper bound of the cycles in a waveform: its start, and each rise from zero or below."""
    voltage = waveform.voltage_V
    return 1 + int(((voltage[:-1] <= 0.0) & (voltage[1:] > 0.0)).sum())
