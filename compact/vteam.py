r"""`VTEAM`: the voltage threshold adaptive memristor of Kvatinsky et al., a threshold and a power law of the voltage.

.. math::

    \dot x = \begin{cases}
      k_\mathrm{set}\,(V_d/V_\mathrm{set} - 1)^{\alpha_\mathrm{set}}\,f_\mathrm{set}(x) & V_d > V_\mathrm{set} > 0\\
      -k_\mathrm{reset}\,(V_d/V_\mathrm{reset} - 1)^{\alpha_\mathrm{reset}}\,f_\mathrm{reset}(x)
        & V_d < V_\mathrm{reset} < 0\\
      0 & \text{between}
    \end{cases}

    f_\mathrm{set} = \exp(-e^{(x - x_\mathrm{set})/w}), \qquad f_\mathrm{reset} = \exp(-e^{(x_\mathrm{reset} - x)/w})
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import InputError
from . import _rate
from .dynamics import SPREADS, RateModel
from .parameters import Quantity

__all__ = ["VTEAM"]


@dataclass(frozen=True)
class VTEAM(RateModel):
    r"""Bipolar switch with voltage thresholds, made for circuits.

    Notes
    -----
    State x in [0, 1]: 0 is OFF, 1 is ON. In the symbols of the paper x = 1 - (w - w_on)/(w_off - w_on), so
    `set_rate_Hz` is abs(k_on)/(w_off - w_on), `reset_rate_Hz` is k_off/(w_off - w_on), and the voltage has the
    opposite sign: there a positive voltage switches OFF, here, as in every model of this package, ON. Of the two
    current laws of the paper `exponential_resistance` 1 is the exponential one, R = R_on^x R_off^(1 - x), and 0 the
    linear one, R = x R_on + (1 - x) R_off. `window_width` 0 is the ideal rectangular window, else that of the TEAM
    model, centred at `window_set` and `window_reset`.

    No retention loss: between the thresholds the state rests for ever.

    References
    ----------
    .. [1] S. Kvatinsky et al., IEEE Trans. Circuits Syst. II 62, 786 (2015): the model.
    .. [2] S. Kvatinsky et al., IEEE Trans. Circuits Syst. I 60, 211 (2013): TEAM and its window.

    Examples
    --------
    The numbers that public implementations carry as defaults (k_off = 5e-4 m/s, k_on = -10 m/s, 3 nm, 50 and 1000 ohm;
    read in a program, not in the paper):

    >>> cell = VTEAM.of(conductance_off_S=1e-3, conductance_on_S=2e-2, set_voltage_V=0.2, reset_voltage_V=-0.02,
    ...                 set_rate_Hz=10 / 3e-9, reset_rate_Hz=5e-4 / 3e-9, set_exponent=3.0, reset_exponent=1.0)
    >>> float(cell.right_hand_side(0.5, 0.1)), float(cell.device_current(1.0, 0.1))
    (0.0, 0.002)
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "conductance_off_S": Quantity("S", 1e-15, 1.0, "conductance in the OFF state, 1 / R_off"),
        "conductance_on_S": Quantity("S", 1e-15, 10.0, "conductance in the ON state, 1 / R_on"),
        "set_voltage_V": Quantity("V", 1e-3, 100.0, "SET threshold"),
        "reset_voltage_V": Quantity("V", -100.0, -1e-3, "RESET threshold"),
        "set_rate_Hz": Quantity("Hz", 0.0, 1e15, "rate of the state at twice the SET threshold"),
        "reset_rate_Hz": Quantity("Hz", 0.0, 1e15, "rate of the state at twice the RESET threshold"),
        "set_exponent": Quantity("1", 0.05, 20.0, "alpha of SET", 3.0),
        "reset_exponent": Quantity("1", 0.05, 20.0, "alpha of RESET", 3.0),
        "window_set": Quantity("1", -1.0, 2.0, "centre of the SET window", 1.0),
        "window_reset": Quantity("1", -1.0, 2.0, "centre of the RESET window", 0.0),
        "window_width": Quantity("1", 0.0, 10.0, "width of both windows; 0 is rectangular", 0.0),
        "exponential_resistance": Quantity("1", 0.0, 1.0, "1: ln R linear in the state; 0: R linear", 1.0),
        "initial_state": Quantity("1", 0.0, 1.0, "state of the fresh device", 0.0),
        **SPREADS,
    }
    FITTED: ClassVar[tuple[str, ...]] = (
        *("conductance_off_S", "conductance_on_S", "set_voltage_V", "reset_voltage_V"),
        *("set_rate_Hz", "reset_rate_Hz", "set_exponent", "reset_exponent"),
    )
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("Kvatinsky2013", "Kvatinsky2015")
    KIND: ClassVar[int] = _rate.VTEAM
    STATE_MEANING: ClassVar[str] = "progress of the filament"

    def _check(self) -> None:
        if self.value("conductance_on_S") <= self.value("conductance_off_S"):
            raise InputError(
                "The ON conductance must exceed the OFF conductance",
                got=f"{self.value('conductance_on_S'):g} and {self.value('conductance_off_S'):g} S",
            )
        if self.value("exponential_resistance") not in (0.0, 1.0):
            raise InputError(
                "exponential_resistance chooses one of two laws",
                got=self.value("exponential_resistance"),
                allowed="0 or 1",
            )
        if 0.0 < self.value("window_width") < 1e-3:
            raise InputError(
                "window_width is too small to be resolved", got=self.value("window_width"), allowed="0, or >= 0.001"
            )

    @property
    def idle_band_V(self) -> tuple[float, float]:
        """The thresholds, V."""
        return (self.value("reset_voltage_V"), self.value("set_voltage_V"))

    def _law(self) -> NDArray[np.float64]:
        names = (
            *("set_voltage_V", "reset_voltage_V", "set_rate_Hz", "reset_rate_Hz", "set_exponent", "reset_exponent"),
            *("window_set", "window_reset", "window_width", "conductance_off_S", "conductance_on_S"),
            "exponential_resistance",
        )
        return np.array([1.0, *(self.value(name) for name in names)])

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([0.0]), np.array([1.0])

    def _rest(self) -> NDArray[np.float64]:
        return np.array([self.value("initial_state")])

    def _kinks(self) -> NDArray[np.float64]:
        return np.array([self.value("reset_voltage_V"), 0.0, self.value("set_voltage_V")])
