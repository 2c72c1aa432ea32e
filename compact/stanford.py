r"""`Stanford`: the Stanford-PKU model of a filament whose gap moves in the enhanced field, with Joule heating.

.. math::

    \dot g = -v_0\,e^{-E_a / k_B T}\,\sinh\frac{q\,\gamma\,a\,V_d}{d\,k_B T}, \qquad
    I = I_0\,e^{-g/g_0}\,\sinh\frac{V_d}{V_0}

    T = T_0 + |V_d I|\,R_\mathrm{th}, \qquad \gamma = \gamma_0 - \beta\,(g / 1\,\mathrm{nm})^3

The gap stays between its bounds, and rests where the enhanced field :math:`\gamma |V_d| / d` is below a threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..physics.errors import InputError
from . import _rate
from .dynamics import SPREADS, RateModel
from .parameters import Quantity

__all__ = ["Stanford"]

_FILE = "default of the authors' Verilog-A file 1.0.0"


@dataclass(frozen=True)
class Stanford(RateModel):
    """Metal-oxide style filament: the state is the gap that it leaves, in m.

    Notes
    -----
    A positive voltage closes the gap. The temperature is that of the steady state, so pulses must be longer than the
    thermal time of the filament. The enhancement never becomes negative: at gaps beyond (gamma_0/beta)^(1/3) nm the
    gap rests. The threshold of the field is a smooth step from `field_threshold_V_m` to a thousandth above it, where
    the published file has a sharp one. No retention loss at zero voltage, where the sinh vanishes. Made for oxides;
    for a halide cell its numbers are those of a fit.

    References
    ----------
    .. [1] X. Guan, S. Yu and H.-S. P. Wong, IEEE Electron Device Lett. 33, 1405 (2012): the model.
    .. [2] Z. Jiang et al., SISPAD 2014, 41: Verilog-A, with the temperature and the bounds of the gap.
    .. [3] P.-Y. Chen and S. Yu, IEEE Trans. Electron Devices 62, 4022 (2015): parameters of devices.

    Examples
    --------
    The defaults are those of the authors' Verilog-A file, version 1.0.0 (read in a copy):

    >>> cell = Stanford.of()
    >>> wide, narrow = (float(cell.device_current(g, 0.1)) for g in (1.7e-9, 0.2e-9))
    >>> f"{narrow / wide:.0f}"
    '403'
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "current_A": Quantity("A", 1e-15, 1e3, "I_0: scale of the current", 1e-3, _FILE),
        "gap_decay_m": Quantity("m", 1e-12, 1e-7, "g_0: gap over which the current falls to 1/e", 0.25e-9, _FILE),
        "nonlinearity_V": Quantity("V", 1e-3, 100.0, "V_0 of the current", 0.25, _FILE),
        "velocity_m_s": Quantity("m/s", 0.0, 1e5, "v_0: velocity of the gap without barrier", 10.0, _FILE),
        "barrier_eV": Quantity("eV", 0.0, 5.0, "E_a of ion motion", 0.6, _FILE),
        "hop_length_m": Quantity("m", 1e-11, 1e-8, "a: distance of neighbouring sites", 0.25e-9, _FILE),
        "thickness_m": Quantity("m", 1e-10, 1e-5, "d: thickness of the film", 12e-9, _FILE),
        "enhancement": Quantity("1", 0.0, 1e5, "gamma_0: enhancement of the field without gap", 16.0, _FILE),
        "enhancement_decay": Quantity("1", 0.0, 1e6, "beta: what a gap of 1 nm takes from the enhancement", 0.8, _FILE),
        "field_threshold_V_m": Quantity(
            "V/m", 0.0, 1e12, "F_min: enhanced field below which the gap rests", 1.4e9, _FILE
        ),
        "gap_low_m": Quantity("m", 0.0, 1e-6, "smallest gap", 0.2e-9, _FILE),
        "gap_high_m": Quantity("m", 1e-12, 1e-6, "largest gap", 1.7e-9, _FILE),
        "initial_gap_m": Quantity("m", 0.0, 1e-6, "gap of the fresh device; the largest, if not given", math.nan),
        "thermal_resistance_K_W": Quantity("K/W", 0.0, 1e12, "R_th of the filament", 2.1e3, _FILE),
        "ambient_temperature_K": Quantity("K", 50.0, 1000.0, "T_0", 298.0, _FILE),
        **SPREADS,
    }
    # the rest only scales these: gaps count in units of g_0, fields in those of d, rates in that of the barrier
    FITTED: ClassVar[tuple[str, ...]] = (
        *("current_A", "nonlinearity_V", "velocity_m_s", "enhancement", "field_threshold_V_m"),
        *("gap_low_m", "gap_high_m"),
    )
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("ChenYu2015", "Guan2012", "Jiang2014")
    KIND: ClassVar[int] = _rate.STANFORD
    STATE_UNIT: ClassVar[str] = "m"
    STATE_MEANING: ClassVar[str] = "gap between filament and electrode"

    def _check(self) -> None:
        low, high = self.value("gap_low_m"), self.value("gap_high_m")
        if not low < high:
            raise InputError("gap_low_m must be below gap_high_m", got=f"{low:g} and {high:g} m")
        start = self.value("initial_gap_m")
        if not math.isnan(start) and not low <= start <= high:
            raise InputError("initial_gap_m is out of bounds", got=f"{start:g} m", allowed=f"{low:g} to {high:g} m")

    def temperature_K(self, state: ArrayLike, device_voltage_V: ArrayLike) -> NDArray[np.float64]:
        """Temperature of the filament at a gap and a device voltage.

        Parameters
        ----------
        state : float or array, shape (...,), m
        device_voltage_V : float or array, shape (...,), V

        Returns
        -------
        array, shape (...,), K
        """
        power = np.abs(self.device_current(state, device_voltage_V) * np.asarray(device_voltage_V, dtype=float))
        return np.asarray(self.value("ambient_temperature_K") + power * self.value("thermal_resistance_K_W"))

    @property
    def idle_band_V(self) -> tuple[float, float]:
        """Voltages at which even the smallest gap rests, V."""
        enhancement = self.value("enhancement")
        edge = self.value("field_threshold_V_m") * self.value("thickness_m")
        edge = edge / enhancement if enhancement > 0.0 else math.inf
        return (-edge, edge)

    def _law(self) -> NDArray[np.float64]:
        names = (
            *("velocity_m_s", "barrier_eV", "hop_length_m", "thickness_m", "enhancement", "enhancement_decay"),
            *("field_threshold_V_m", "ambient_temperature_K", "thermal_resistance_K_W", "current_A", "gap_decay_m"),
            "nonlinearity_V",
        )
        return np.array([1.0, *(self.value(name) for name in names)])

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([self.value("gap_low_m")]), np.array([self.value("gap_high_m")])

    def _rest(self) -> NDArray[np.float64]:
        start = self.value("initial_gap_m")
        return np.array([self.value("gap_high_m") if math.isnan(start) else start])

    def _extra(self, states: NDArray[np.float64], held: NDArray[np.float64]) -> dict[str, tuple[Any, Any, str, str]]:
        temperature = self.temperature_K(states[:, 0], held)
        return {"temperature": ("time", temperature, "K", "temperature of the filament")}
