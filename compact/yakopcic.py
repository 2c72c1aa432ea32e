r"""`Yakopcic`: the generalised memristor of Yakopcic et al., hyperbolic-sine current and exponential thresholds.

.. math::

    I = a_{1,2}\,x\,\sinh(b V_d), \qquad \dot x = \eta\,g(V_d)\,f(x)

    g = \begin{cases} A_p\,(e^{V_d} - e^{V_p}) & V_d > V_p\\ -A_n\,(e^{-V_d} - e^{V_n}) & V_d < -V_n\\
        0 & \text{between} \end{cases}

    f = \begin{cases} e^{-\alpha_p (x - x_p)}\,\left(\frac{x_p - x}{1 - x_p} + 1\right) & \eta V_d \ge 0,\ x \ge x_p\\
        e^{\alpha_n (x + x_n - 1)}\,\frac{x}{1 - x_n} & \eta V_d < 0,\ x \le 1 - x_n\\ 1 & \text{else} \end{cases}

a_1 at positive and a_2 at negative voltage; voltages in the exponentials are in volts.
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

__all__ = ["Yakopcic"]

_FILE = "example in the authors' SPICE file of 8/9/2011"


@dataclass(frozen=True)
class Yakopcic(RateModel):
    """Generalised memristor with thresholds and a current that vanishes with the state.

    Notes
    -----
    State x in [0, 1]; its bounds are approached, not hit: f falls to 0 there. At x = 0 no current flows at all. The
    current law has no OFF conductance of its own, so the smallest state that a fit meets stands for it. No retention
    loss: between the thresholds the state rests for ever.

    References
    ----------
    .. [1] C. Yakopcic et al., IEEE Electron Device Lett. 32, 1436 (2011): the model.
    .. [2] C. Yakopcic et al., IEEE Trans. Comput.-Aided Des. 32, 1201 (2013): SPICE, and devices it was fitted to.

    Examples
    --------
    The numbers in the SPICE file that the authors published (8/9/2011, read in a copy):

    >>> cell = Yakopcic.of(current_positive_A=0.17, current_negative_A=0.17, nonlinearity_1_V=0.05, set_voltage_V=0.16,
    ...                    reset_voltage_V=-0.15, set_rate_Hz=4e3, reset_rate_Hz=4e3, set_fade_start=0.3,
    ...                    reset_fade_start=0.5, set_fade=1.0, reset_fade=5.0, initial_state=0.11)
    >>> f"{float(cell.device_current(0.5, 0.1)):.6g}"
    '0.000425002'
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "current_positive_A": Quantity("A", 1e-20, 1e3, "a_1: scale of the current at positive voltage"),
        "current_negative_A": Quantity("A", 1e-20, 1e3, "a_2: scale of the current at negative voltage"),
        "nonlinearity_1_V": Quantity("1/V", 1e-4, 1e3, "b of the sinh"),
        "set_voltage_V": Quantity("V", 0.0, 100.0, "V_p: positive threshold"),
        "reset_voltage_V": Quantity("V", -100.0, 0.0, "-V_n: negative threshold"),
        "set_rate_Hz": Quantity("Hz", 0.0, 1e15, "A_p: scale of the rate beyond the positive threshold"),
        "reset_rate_Hz": Quantity("Hz", 0.0, 1e15, "A_n: scale of the rate beyond the negative threshold"),
        "set_fade_start": Quantity("1", 0.0, 0.999, "x_p: state from which a rise slows down", 0.3, _FILE),
        "reset_fade_start": Quantity(
            "1", 0.0, 0.999, "x_n: 1 - x_n is the state from which a fall slows down", 0.5, _FILE
        ),
        "set_fade": Quantity("1", 0.0, 1e3, "alpha_p: how steeply a rise slows down", 1.0, _FILE),
        "reset_fade": Quantity("1", 0.0, 1e3, "alpha_n: how steeply a fall slows down", 5.0, _FILE),
        "direction": Quantity("1", -1.0, 1.0, "eta: 1 if a positive voltage raises the state, -1 if it lowers it", 1.0),
        "initial_state": Quantity("1", 0.0, 1.0, "state of the fresh device", 0.01),
        **SPREADS,
    }
    FITTED: ClassVar[tuple[str, ...]] = (
        *("current_positive_A", "current_negative_A", "nonlinearity_1_V", "set_voltage_V", "reset_voltage_V"),
        *("set_rate_Hz", "reset_rate_Hz", "initial_state"),
    )
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("Yakopcic2011", "Yakopcic2013")
    KIND: ClassVar[int] = _rate.YAKOPCIC
    STATE_MEANING: ClassVar[str] = "state x of the memristor"

    def _check(self) -> None:
        if self.value("direction") not in (-1.0, 1.0):
            raise InputError("direction is a sign", got=self.value("direction"), allowed="1 or -1")

    @property
    def idle_band_V(self) -> tuple[float, float]:
        """The thresholds, V."""
        return (self.value("reset_voltage_V"), self.value("set_voltage_V"))

    def _law(self) -> NDArray[np.float64]:
        return np.array(
            [
                1.0,
                self.value("direction"),
                self.value("set_rate_Hz"),
                self.value("reset_rate_Hz"),
                self.value("set_voltage_V"),
                -self.value("reset_voltage_V"),
                self.value("set_fade_start"),
                self.value("reset_fade_start"),
                self.value("set_fade"),
                self.value("reset_fade"),
                self.value("current_positive_A"),
                self.value("current_negative_A"),
                self.value("nonlinearity_1_V"),
            ]
        )

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([0.0]), np.array([1.0])

    def _rest(self) -> NDArray[np.float64]:
        return np.array([self.value("initial_state")])

    def _kinks(self) -> NDArray[np.float64]:
        return np.array([self.value("reset_voltage_V"), 0.0, self.value("set_voltage_V")])
