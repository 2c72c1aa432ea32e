"""Coordinates of a fit: each parameter on the scale where a unit step means the same, and where a search looks.

A positive parameter enters by its logarithm, so that a rate of 1e-3 and one of 1e9 Hz are equally far from their
neighbours; a share between two finite bounds, and an energy, enter linearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..physics.errors import InputError
from .ensembles import Ensemble
from .parameters import Quantity

__all__ = ["Axis", "Window", "axis_of", "box_of", "window_of"]

_ENERGY_UNIT = 0.3  # eV that count as one unit: an energy known no better than this is unknown
_BEYOND = math.log(1e4)  # how far outside of the search box a local fit may go
_NARROW = 30.0  # ratio of two bounds up to which a parameter is a share rather than a scale


@dataclass(frozen=True)
class Axis:
    """One parameter in the fit.

    Attributes
    ----------
    name : str
    kind : {"ln", "-ln", "linear"}
        Coordinate: ln of the value, ln of minus the value, or value over `unit`.
    unit : float
        Of a linear coordinate.
    low, high : float
        Bounds, in coordinates.
    """

    name: str
    kind: str
    unit: float
    low: float
    high: float

    def value(self, u: float) -> float:
        """Parameter at coordinate u.

        Parameters
        ----------
        u : float
            Not moved inside the bounds.

        Returns
        -------
        float
            In the unit of the parameter.
        """
        if self.kind == "linear":
            return u * self.unit
        size = math.exp(min(max(u, -300.0), 300.0))
        return size if self.kind == "ln" else -size

    def coordinate(self, value: float) -> float:
        """Coordinate of a parameter value, moved inside the bounds.

        Parameters
        ----------
        value : float
            In the unit of the parameter.

        Returns
        -------
        float
            Between :attr:`low` and :attr:`high`.
        """
        if self.kind == "linear":
            u = value / self.unit
        else:
            size = value if self.kind == "ln" else -value
            u = math.log(size) if size > 0 else -math.inf
        return min(max(u, self.low), self.high)

    def slope(self, u: float) -> float:
        """Derivative of the parameter with respect to its coordinate.

        Parameters
        ----------
        u : float
            Coordinate.

        Returns
        -------
        float, >= 0
            In the unit of the parameter; for "-ln" the magnitude of the derivative.
        """
        return self.unit if self.kind == "linear" else abs(self.value(u))


@dataclass(frozen=True)
class Window:
    """Orders of magnitude that the traces show; a search looks inside them.

    Attributes
    ----------
    volt : tuple of float, V
        Smallest and largest voltage that can matter, likewise below.
    second, siemens, ampere : tuple of float, s, S and A
    """

    volt: tuple[float, float]
    second: tuple[float, float]
    siemens: tuple[float, float]
    ampere: tuple[float, float]


def window_of(ensembles: Sequence[Ensemble]) -> Window:
    """Orders of magnitude of these traces, a decade or so wider than what is seen.

    Parameters
    ----------
    ensembles : sequence of Ensemble
        All traces of a fit.

    Raises
    ------
    InputError
        If the traces have no voltage, or no current flows in them.
    """
    V = max(float(np.abs(e.voltage_V).max()) for e in ensembles)
    if V == 0.0:
        raise InputError("The traces have no voltage, so nothing drives the device", got="0 V throughout")
    steps = np.concatenate([np.diff(e.time_s) for e in ensembles])
    longest = max(float(np.ptp(e.time_s)) for e in ensembles)
    seen = np.concatenate([e.ln_conductance.ravel() for e in ensembles])
    low, high = (math.exp(float(np.quantile(seen, q))) for q in (0.02, 0.98))
    currents = np.abs(np.concatenate([m["current"].values.ravel() for e in ensembles for m in e.members]))
    currents = currents[currents > 0]
    if not currents.size:
        raise InputError("No current flows in the traces", action="Give traces in which a current flows")
    least, most = (float(np.quantile(currents, q)) for q in (0.02, 1.0))
    return Window(
        (0.02 * V, 3.0 * V),
        (max(float(np.median(steps)), 1e-12), 10.0 * longest),
        (0.1 * low, 10.0 * high),
        (0.1 * least, 10.0 * most),
    )


def box_of(quantity: Quantity, window: Window) -> tuple[float, float]:
    """Range in which the value of a parameter is looked for, by its unit; inside its own bounds.

    Parameters
    ----------
    quantity : Quantity
        What the model expects of the parameter: unit, bounds and default.
    window : Window
        Voltages, times, conductances and currents that the traces show.

    Returns
    -------
    low, high : float
        In the unit of the parameter.
    """
    V, s, S, A = window.volt, window.second, window.siemens, window.ampere
    by_unit = {
        "V": V,
        "s": s,
        "Hz": (1.0 / s[1], 10.0 / s[0]),
        "1/s": (1.0 / s[1], 10.0 / s[0]),
        "S": S,
        "A": A,
        "ohm": (1.0 / S[1], 1.0 / S[0]),
        "1/V": (1.0 / V[1], 1.0 / V[0]),
        "1/(V s)": (1.0 / (V[1] * s[1]), 10.0 / (V[0] * s[0])),
        "V/s": (V[0] / s[1], V[1] / s[0]),
    }
    negative = quantity.high <= 0.0
    bounds = (-quantity.high, -quantity.low) if negative else (quantity.low, quantity.high)
    if quantity.unit in by_unit:
        low, high = by_unit[quantity.unit]
        low, high = max(low, bounds[0]), min(high, bounds[1])
        if low >= high:
            low, high = bounds
    else:
        default = quantity.default
        if default is not None and math.isfinite(default) and default != 0.0:
            # a velocity without its barrier says little about its size
            wide = 1e4 if quantity.unit == "m/s" else 10.0
            low, high = max(bounds[0], abs(default) / wide), min(bounds[1], abs(default) * wide)
        else:
            low, high = max(bounds[0], 1e-2), min(bounds[1], 1e2)
            if low >= high:
                low, high = bounds
    return (-high, -low) if negative else (low, high)


def axis_of(name: str, quantity: Quantity, box: tuple[float, float]) -> Axis:
    """Coordinate of a parameter: logarithmic unless it is a share, signed or an energy.

    Parameters
    ----------
    name : str
        Of the parameter.
    quantity : Quantity
        Its unit and bounds choose the kind of the coordinate.
    box : tuple of float
        From :func:`box_of`; a logarithmic coordinate ends four decades beyond it, or at the bounds of the parameter.
    """
    low, high = quantity.low, quantity.high
    share = low >= 0.0 and high <= 1.0 and quantity.unit == "1" and (low == 0.0 or high / low < _NARROW)
    if quantity.unit == "eV" or share or low < 0.0 < high:
        unit = _ENERGY_UNIT if quantity.unit == "eV" else 1.0
        if low < 0.0 < high:
            unit = 1.0 if quantity.unit == "1" else max(abs(box[0]), abs(box[1]), 1e-300)
        return Axis(name, "linear", unit, low / unit, high / unit)
    negative = high <= 0.0
    hard = (-high, -low) if negative else (low, high)
    near = (-box[1], -box[0]) if negative else box
    floor = math.log(max(near[0], 1e-300)) - _BEYOND
    ceiling = math.log(max(near[1], 1e-300)) + _BEYOND
    return Axis(
        name,
        "-ln" if negative else "ln",
        1.0,
        max(floor, math.log(hard[0])) if hard[0] > 0.0 else floor,
        min(ceiling, math.log(hard[1])),
    )


def axes_of(quantities: Mapping[str, Quantity], free: Sequence[str], window: Window) -> tuple[Axis, ...]:
    """Axes of the free parameters."""
    return tuple(axis_of(name, quantities[name], box_of(quantities[name], window)) for name in free)
