r"""`NonVolatile`: SET and RESET at threshold voltages, conductance programmed by the compliance current.

.. math:: G \sim \mathcal N(a\,I_{cc} + b,\; \sigma_0 + \sigma_1 I_{cc}), \qquad G(t) = G\,(t/t_0)^{-\nu}, \qquad
   V_\mathrm{reset} = V_r + s \ln(G/G_r)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics import formulas
from ..physics import trace as traces
from ..physics.errors import InputError, ValidityError
from ..physics.waveform import Waveform
from . import laws
from .model import CompactModel, Rng, generator, seed_text
from .parameters import Quantity

__all__ = ["NonVolatile"]

_ROUNDING = 1e-9  # relative slack at the edges of the fitted range


@dataclass(frozen=True)
class NonVolatile(CompactModel):
    """Bipolar non-volatile switch programmed by the compliance current.

    Made by :func:`halidrift.compact.fit` from sweeps at several compliances, or by hand with :meth:`of`.

    Notes
    -----
    Rate-independent: a SET or RESET happens when the voltage passes its threshold, whatever the ramp. Valid for
    stimuli slower than the switching itself (far below a millisecond at these voltages in John's device).
    A filament only grows under positive and only shrinks under negative voltage: a SET under a smaller compliance
    than that of the present state changes nothing. RESET lowers ln G linearly between the threshold and
    `reset_width_V` beyond it. The threshold is that of the conductance which the negative excursion found: with
    `reset_voltage_slope_V` below zero a thicker filament, of more atoms, holds out to a larger voltage. A fresh device
    conducts `conductance_fresh_S`, or as much as after a RESET if that was not given; a RESET leaves part of the
    filament, so it usually conducts less. Drift counts from the last change of the state and begins after
    `drift_reference_s`. Programming is valid between the smallest and largest fitted compliance only.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Methods: linear relation of conductance to compliance,
       mean and standard deviation linear in the compliance.
    .. [2] D. Ielmini, IEEE Trans. Electron Devices 58, 4309 (2011): why the compliance sets the filament.

    Examples
    --------
    >>> cell = NonVolatile.of(conductance_slope_1_V=3.0, conductance_intercept_S=1e-5, conductance_off_S=1e-7,
    ...                       compliance_low_A=1e-5, compliance_high_A=1e-3, set_voltage_V=0.9, reset_voltage_V=-1.5)
    >>> f"{float(cell.compliance_for(1e-3)):.3g} A, {float(cell.program(1e-3)):.3g} S"
    '0.00033 A, 0.001 S'
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "conductance_slope_1_V": Quantity("1/V", 1e-6, 1e6, "mean conductance gained for each ampere of compliance"),
        "conductance_intercept_S": Quantity("S", -1.0, 1.0, "mean conductance extrapolated to no compliance"),
        "conductance_spread_S": Quantity("S", 0.0, 1.0, "sigma_0: spread at no compliance", 0.0),
        "conductance_spread_slope_1_V": Quantity("1/V", 0.0, 1e6, "sigma_1: spread for each ampere", 0.0),
        "compliance_low_A": Quantity("A", 0.0, 10.0, "smallest fitted compliance"),
        "compliance_high_A": Quantity("A", 0.0, 10.0, "largest fitted compliance"),
        "conductance_off_S": Quantity("S", 1e-15, 1.0, "conductance after RESET (median)"),
        "off_spread": Quantity("1", 0.0, 5.0, "std of ln G after RESET", 0.0),
        "conductance_fresh_S": Quantity("S", 1e-15, 1.0, "conductance before the first SET (median)", math.nan),
        "set_voltage_V": Quantity("V", 1e-3, 100.0, "SET threshold (median)"),
        "set_voltage_spread_V": Quantity("V", 0.0, 10.0, "std of the SET threshold", 0.0),
        "reset_voltage_V": Quantity("V", -100.0, -laws.LEAST_RESET_V, "RESET threshold (median)", math.nan),
        "reset_voltage_slope_V": Quantity("V", -10.0, 10.0, "its change for each e-fold of the conductance", 0.0),
        "reset_reference_S": Quantity("S", 1e-15, 10.0, "conductance at which it is reset_voltage_V", 1e-4),
        "reset_voltage_spread_V": Quantity("V", 0.0, 10.0, "std of the RESET threshold", 0.0),
        "reset_width_V": Quantity("V", 0.0, 100.0, "voltage from the threshold to complete RESET", 0.0),
        "drift_exponent": Quantity("1", -1.0, 1.0, "nu of the retention drift", 0.0),
        "drift_reference_s": Quantity("s", 1e-9, 1e9, "time after programming at which drift begins", 1.0),
        "read_noise": Quantity("1", 0.0, 5.0, "relative standard deviation of a read", 0.0),
    }
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("Ielmini2011", "John2022")

    def _check(self) -> None:
        if not 0 < self.value("compliance_low_A") <= self.value("compliance_high_A"):
            raise InputError(
                "The fitted compliances must be positive and ordered",
                got=f"{self.value('compliance_low_A'):g} to {self.value('compliance_high_A'):g} A",
            )
        low, _ = self.conductance_bounds_S
        if low <= 0:
            raise InputError(
                "The linear law gives no positive conductance at the smallest compliance",
                got=f"{low:g} S at {self.value('compliance_low_A'):g} A",
                action="Restrict the fit to compliances where the relation is linear",
            )

    # -- programming -----------------------------------------------------------------------------------------

    @property
    def conductance_bounds_S(self) -> tuple[float, float]:
        """Mean conductance at the smallest and the largest fitted compliance, S."""
        low, high = (
            laws.programmed_conductance(
                self.value(name), self.value("conductance_slope_1_V"), self.value("conductance_intercept_S")
            )
            for name in ("compliance_low_A", "compliance_high_A")
        )
        return low, high

    def compliance_for(self, conductance_S: ArrayLike, *, clip: bool = False) -> NDArray[np.float64]:
        """Compliance current whose mean conductance is the one asked.

        Parameters
        ----------
        conductance_S : float or array, shape (...,), S
        clip : bool
            Move conductances outside of the fitted range to its edge.

        Returns
        -------
        array, shape (...,), A

        Raises
        ------
        ValidityError
            Outside of the fitted range, unless `clip`.
        """
        wanted = np.asarray(conductance_S, dtype=float)
        if not np.isfinite(wanted).all():
            raise InputError("Conductances must be finite", got="nan or inf")
        low, high = self.conductance_bounds_S
        outside = (wanted < low * (1 - _ROUNDING)) | (wanted > high * (1 + _ROUNDING))
        if outside.any() and not clip:
            raise ValidityError(
                "Conductance outside of the range that was fitted",
                got=f"{np.atleast_1d(wanted)[np.atleast_1d(outside)][0]:g} S",
                allowed=f"{low:g} to {high:g} S",
                action="Pass clip=True to take the nearest",
            )
        slope, intercept = self.value("conductance_slope_1_V"), self.value("conductance_intercept_S")
        return (np.clip(wanted, low, high) - intercept) / slope

    def write_spread_S(self, conductance_S: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation of a single-shot write with this target, S.

        Parameters
        ----------
        conductance_S : float or array, shape (...,), S
            Wanted conductances, inside :attr:`conductance_bounds_S`.

        Raises
        ------
        ValidityError
            Outside of the fitted range.
        """
        return np.asarray(
            laws.programming_spread(
                self.compliance_for(conductance_S),
                self.value("conductance_spread_S"),
                self.value("conductance_spread_slope_1_V"),
            )
        )

    def program(self, conductance_S: ArrayLike, rng: Rng = None, *, clip: bool = False) -> NDArray[np.float64]:
        """Write conductances in a single shot each: SET under the compliance that belongs to them.

        Parameters
        ----------
        conductance_S : float or array, shape (...,), S
            Wanted conductances.
        rng : int, Generator or None
            None writes the mean.
        clip : bool
            Move conductances outside of the fitted range to its edge.

        Returns
        -------
        array, shape (...,), S
            Conductances written; no smaller than that of the OFF state, where the normal law would pass below it.

        Raises
        ------
        ValidityError
            Outside of the fitted range, unless `clip`.
        """
        return self._written(self.compliance_for(conductance_S, clip=clip), generator(rng))

    def _written(self, compliance_A: NDArray[np.float64], random: np.random.Generator | None) -> NDArray[np.float64]:
        mean = laws.programmed_conductance(
            compliance_A, self.value("conductance_slope_1_V"), self.value("conductance_intercept_S")
        )
        if random is None:
            return np.asarray(mean)
        sigma = laws.programming_spread(
            compliance_A, self.value("conductance_spread_S"), self.value("conductance_spread_slope_1_V")
        )
        drawn = mean + sigma * random.standard_normal(np.shape(mean))
        return np.maximum(drawn, self.value("conductance_off_S"))

    # -- simulation ------------------------------------------------------------------------------------------

    def simulate(
        self, waveform: Waveform, *, rng: Rng = None, conductance_S: float | None = None, clip: bool = False
    ) -> xr.Dataset:
        """Simulate one device under a waveform.

        Parameters
        ----------
        waveform : Waveform
        rng : int, Generator or None
            None simulates the typical device: medians, no noise.
        conductance_S : float, S, > 0, optional
            Conductance at the start; default that of a fresh device, `conductance_fresh_S` or else OFF.
        clip : bool
            SET under a compliance outside of the fitted range as under the nearest one inside.

        Returns
        -------
        xarray.Dataset
            A trace with variable ``state``, the conductance as programmed, before drift and read noise.

        Raises
        ------
        ValidityError
            If a SET happens under a compliance outside of the fitted range, unless `clip`; if the voltage becomes
            negative beyond the SET voltage and no RESET was ever fitted.
        """
        seed, random = seed_text(rng), generator(rng)
        times = waveform.times_s
        voltage, limit = waveform.voltage_at(times), waveform.compliance_at(times)
        off = self._drawn_off(random)
        fresh = self.value("conductance_fresh_S")
        g = float(conductance_S) if conductance_S is not None else off if math.isnan(fresh) else fresh
        if not (math.isfinite(g) and g > 0):
            raise InputError("conductance_S must be positive", got=f"{g} S")
        state, read = np.empty(times.size), np.empty(times.size)
        changed, t_0, nu = float(times[0]), self.value("drift_reference_s"), self.value("drift_exponent")
        V_set, V_reset = self._thresholds(random)
        slope, reference = self.value("reset_voltage_slope_V"), self.value("reset_reference_S")
        width = self.value("reset_width_V")
        target_limit, target, before, sign = math.nan, 0.0, g, 0
        formed = g > 2.0 * off  # whether a filament stands; a scatter of OFF from cycle to cycle is none
        for i, (t, v, I_cc) in enumerate(zip(times, voltage, limit, strict=True)):
            if (v > 0 and sign <= 0) or (v < 0 and sign >= 0):  # a new excursion: a new cycle
                V_set, V_reset = self._thresholds(random)
                target_limit, before, off = math.nan, g, self._drawn_off(random)
                sign = 1 if v > 0 else -1
            if v > 0:
                mean = self._mean(I_cc, clip, check=v >= V_set)
                closed = formed and g > 2.0 * off and v * mean >= I_cc  # a filament grows on without a new nucleation
                if v >= V_set or (closed and g < mean):
                    if I_cc != target_limit:
                        target_limit = I_cc
                        target = float(self._written(np.asarray(self._within(I_cc, clip)), random))
                    if target > g:
                        g, changed, formed = target, float(t), True
            elif v < 0 and not math.isnan(V_reset):
                threshold = laws.reset_threshold(before, V_reset, slope, reference)
                left = laws.reset_conductance(v, before, off, threshold, width)
                if left < g:
                    g, changed, formed = left, float(t), formed and threshold - v < width
            elif v <= -V_set and math.isnan(V_reset) and g > 2.0 * off:
                raise ValidityError(
                    "No RESET was fitted, so a negative voltage of this size cannot be simulated",
                    got=f"{v:g} V",
                    allowed=f"above {-V_set:g} V",
                    action="Fit sweeps with a negative branch, or set reset_voltage_V",
                )
            state[i] = g
            read[i] = max(laws.drifted(g, float(t) - changed, t_0, nu), off) if g > off else g
        noise = self.value("read_noise")
        if random is not None and noise > 0:
            read = read * np.exp(noise * random.standard_normal(read.size))
        held = np.array([formulas.compliance_voltage(V, g, c) for V, g, c in zip(voltage, read, limit, strict=True)])
        return traces.make(
            waveform,
            model="compact.NonVolatile",
            device_voltage_V=held,
            current_A=held * read,
            conductance_S=read,
            parameters=self._values(),
            sources=self.sources,
            seed=seed,
            extra={"state": ("time", state, "S", "conductance as programmed")},
        )

    def _thresholds(self, random: np.random.Generator | None) -> tuple[float, float]:
        V_set, V_reset = self.value("set_voltage_V"), self.value("reset_voltage_V")
        if random is None:
            return V_set, V_reset
        z = random.standard_normal(2)
        return (
            max(V_set + self.value("set_voltage_spread_V") * z[0], 1e-3),
            V_reset
            if math.isnan(V_reset)
            else min(V_reset + self.value("reset_voltage_spread_V") * z[1], -laws.LEAST_RESET_V),
        )

    def _drawn_off(self, random: np.random.Generator | None) -> float:
        off = self.value("conductance_off_S")
        return off if random is None else off * math.exp(self.value("off_spread") * random.standard_normal())

    def _within(self, I_cc: float, clip: bool) -> float:
        low, high = self.value("compliance_low_A"), self.value("compliance_high_A")
        if not clip and not low * (1 - _ROUNDING) <= I_cc <= high * (1 + _ROUNDING):
            raise ValidityError(
                "SET under a compliance outside of the fitted range",
                got=f"{I_cc:g} A",
                allowed=f"{low:g} to {high:g} A",
                action="Give the waveform a compliance inside, or pass clip=True",
            )
        return min(max(I_cc, low), high)

    def _mean(self, I_cc: float, clip: bool, *, check: bool) -> float:
        I_cc = self._within(I_cc, clip or not check)
        return laws.programmed_conductance(
            I_cc, self.value("conductance_slope_1_V"), self.value("conductance_intercept_S")
        )
