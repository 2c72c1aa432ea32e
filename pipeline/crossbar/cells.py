"""Current laws of the cells of a crossbar: monotone I(V), one law for all, numbers that may differ cell by cell."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...compact import Volatile, laws
from ...physics.constants import BOLTZMANN_EV_K
from ...physics.errors import ConvergenceError, InputError, ValidityError

__all__ = ["Cells", "Diode", "InSeries", "Law", "Measured", "Multiple", "Ohmic", "Rectifying", "Sinh", "of_model"]

Array = NDArray[np.float64]

# beyond this exponent a law goes on as its tangent: only a Newton step that overshoots ever gets there
_LARGEST_EXPONENT = 200.0


class Cells(ABC):
    """Cells of one array; a word line is at V above its bit line, a positive current flows into the bit line."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Word lines, bit lines."""

    @abstractmethod
    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current of every cell, A, and its derivative by the voltage, S, not negative; both of shape (words, bits).

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V
            Of each word line against its bit line, at the cell.

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """

    def current_A(self, voltage_V: ArrayLike) -> Array:
        """Current of every cell at its voltage, shape (words, bits), A.

        Parameters
        ----------
        voltage_V : float or array, broadcast to (words, bits), V
        """
        return self.evaluate(np.broadcast_to(np.asarray(voltage_V, dtype=float), self.shape))[0]

    def check(self, voltage_V: Array) -> None:  # noqa: B027 - most laws hold everywhere
        """Raise ValidityError where a law does not hold at the voltages of a solution.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V
            Of the cells of a solved network.
        """


def _table(name: str, values: ArrayLike, unit: str, *, low: float = 0.0, strict: bool = False) -> Array:
    table = np.array(values, dtype=float)
    if table.ndim != 2 or not table.size:
        raise InputError(f"{name} must be a matrix (words, bits)", got=f"shape {table.shape}")
    if not np.isfinite(table).all() or (table < low).any() or (strict and (table <= low).any()):
        raise InputError(
            f"{name} is out of range",
            got=f"{table.min():g} to {table.max():g} {unit}",
            allowed=f"finite, {'>' if strict else '>='} {low:g} {unit}",
        )
    table.flags.writeable = False
    return table


def _positive(name: str, value: float, unit: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be positive", got=f"{value} {unit}")
    return float(value)


@dataclass(frozen=True, eq=False)
class Ohmic(Cells):
    """Resistors, I = G V.

    Parameters
    ----------
    conductance_S : array, shape (words, bits), S, >= 0
        0 is an open cell.
    """

    conductance_S: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "conductance_S", _table("conductance_S", self.conductance_S, "S"))

    @property
    def shape(self) -> tuple[int, int]:
        return self.conductance_S.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current G V and slope G.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        G = self.conductance_S
        return G * voltage_V, G


@dataclass(frozen=True, eq=False)
class Sinh(Cells):
    r"""Tunnelling or hopping cells, :math:`I = G V_n \sinh(V / V_n)`.

    Parameters
    ----------
    conductance_S : array, shape (words, bits), S, > 0
        At low bias.
    nonlinearity_V : float, V, > 0
        :math:`V_n`; see :meth:`at` for the figure of merit I(V) / I(V/2).

    Examples
    --------
    >>> cells = Sinh.at([[1e-6]], 1.0, ratio=10.0)
    >>> I = cells.current_A(1.0)[0, 0], cells.current_A(0.5)[0, 0]
    >>> f"{I[0]:.3g} A, {I[0] / I[1]:.4g}"
    '1e-06 A, 10'
    """

    conductance_S: Array
    nonlinearity_V: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "conductance_S", _table("conductance_S", self.conductance_S, "S", strict=True))
        _positive("nonlinearity_V", self.nonlinearity_V, "V")

    @classmethod
    def at(cls, conductance_S: ArrayLike, voltage_V: float, ratio: float) -> Sinh:
        """Cells with I/V = `conductance_S` at `voltage_V`, and I(V) / I(V/2) = `ratio` > 2 there.

        Parameters
        ----------
        conductance_S : array, shape (words, bits), S, > 0
            At `voltage_V`, not at low bias.
        voltage_V : float, V, > 0
        ratio : float, 1, > 2
            That of a resistor is 2.
        """
        if not (math.isfinite(ratio) and ratio > 2.0):
            raise InputError("The nonlinearity I(V)/I(V/2) must exceed that of a resistor", got=ratio, allowed="> 2")
        width = _positive("voltage_V", voltage_V, "V") / (2.0 * math.acosh(0.5 * ratio))
        u = voltage_V / width
        return cls(np.asarray(conductance_S, dtype=float) * u / math.sinh(u), width)

    @property
    def shape(self) -> tuple[int, int]:
        return self.conductance_S.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current G V_n sinh(V / V_n) and slope G cosh(V / V_n), the tangent beyond 200 V_n.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        u = voltage_V / self.nonlinearity_V
        held = np.clip(u, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
        G = self.conductance_S
        cosh = np.cosh(held)
        return G * self.nonlinearity_V * (np.sinh(held) + (u - held) * cosh), G * cosh


@dataclass(frozen=True, eq=False)
class Rectifying(Cells):
    """Self-rectifying cells: ohmic forward, `ratio` times less current in reverse; a kink at zero.

    Parameters
    ----------
    conductance_S : array, shape (words, bits), S, >= 0
        Forward, from word to bit.
    ratio : float, 1, > 0
        Forward over reverse current; the review quotes 514 at 0.54 V [1]_.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 5.1.1 (Y-ARR-1747).
    """

    conductance_S: Array
    ratio: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "conductance_S", _table("conductance_S", self.conductance_S, "S"))
        _positive("ratio", self.ratio, "")

    @property
    def shape(self) -> tuple[int, int]:
        return self.conductance_S.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current G V forward, G V / ratio in reverse; at zero the slope is the forward one.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        G = self.conductance_S
        slope = np.where(voltage_V >= 0.0, G, G / self.ratio)
        return slope * voltage_V, slope


@dataclass(frozen=True, eq=False)
class Diode(Cells):
    r"""Resistors with a diode in series (1D1R) and a leak across both.

    .. math:: V = I_d / G + n V_T \ln(1 + I_d / I_s), \quad I = I_d + G_l V

    Parameters
    ----------
    conductance_S : array, shape (words, bits), S, > 0
        Of the resistor.
    saturation_A : float, A, > 0
    ideality : float, 1, > 0
    temperature_K : float, K, > 0
    leak_S : float, S, >= 0

    Notes
    -----
    Solved in closed form by the Wright omega function.
    """

    conductance_S: Array
    saturation_A: float
    ideality: float = 1.0
    temperature_K: float = 300.0
    leak_S: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "conductance_S", _table("conductance_S", self.conductance_S, "S", strict=True))
        for name, unit in (("saturation_A", "A"), ("ideality", ""), ("temperature_K", "K")):
            _positive(name, getattr(self, name), unit)
        if not 0.0 <= self.leak_S < math.inf:
            raise InputError("leak_S must not be negative", got=f"{self.leak_S} S")

    @property
    def shape(self) -> tuple[int, int]:
        return self.conductance_S.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current of diode and resistor in series in closed form (Wright omega function), the leak beside it.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        from scipy.special import wrightomega

        G = self.conductance_S
        thermal, saturation = self.ideality * BOLTZMANN_EV_K * self.temperature_K, self.saturation_A
        share = saturation / (G * thermal)
        omega = wrightomega(np.log(share) + share + voltage_V / thermal)
        # I_d + I_s = omega G V_T; the difference of the two loses digits near zero bias only where I_s rules anyway
        current = G * thermal * (omega - share)
        return current + self.leak_S * voltage_V, G * omega / (1.0 + omega) + self.leak_S


@dataclass(frozen=True, eq=False)
class InSeries(Cells):
    """Two elements in series in every cell, for instance a selector and a memristor (1S1R).

    Parameters
    ----------
    first, second : Cells
        Same shape, no current at zero volts.

    Notes
    -----
    The voltage between them is found cell by cell with a bracketed Newton method to rounding.
    """

    first: Cells
    second: Cells

    def __post_init__(self) -> None:
        if self.first.shape != self.second.shape:
            raise InputError("Elements in series need the same shape", got=f"{self.first.shape}, {self.second.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        return self.first.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current that both elements carry, from the voltage between them at which they agree.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V
            Across both.

        Returns
        -------
        current, slope : array, shape (words, bits), A and S

        Raises
        ------
        ConvergenceError
            If that voltage is not found in 200 steps.
        """
        low, high = np.minimum(voltage_V, 0.0), np.maximum(voltage_V, 0.0)
        share = 0.5 * voltage_V  # voltage of the first element
        for _ in range(200):
            one, slope_1 = self.first.evaluate(share)
            two, slope_2 = self.second.evaluate(voltage_V - share)
            excess = one - two
            low, high = np.where(excess <= 0.0, share, low), np.where(excess >= 0.0, share, high)
            slope = slope_1 + slope_2
            with np.errstate(divide="ignore", invalid="ignore"):
                new = share - excess / slope
            found = np.abs(excess) <= 4e-15 * (np.abs(one) + np.abs(two))
            # a bracket that Newton leaves is halved
            new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
            moved = np.where(found, 0.0, np.abs(new - share))
            share = np.where(found, share, new)
            if (moved <= 4e-16 * np.abs(voltage_V)).all():
                break
        else:
            raise ConvergenceError("The voltage between two elements in series was not found", got=float(moved.max()))
        one, slope_1 = self.first.evaluate(share)
        two, slope_2 = self.second.evaluate(voltage_V - share)
        total = slope_1 + slope_2
        # the current of the less steep element has the smaller error
        current = np.where(slope_1 <= slope_2, one, two)
        return current, np.divide(slope_1 * slope_2, total, out=np.zeros_like(total), where=total > 0.0)


@dataclass(frozen=True, eq=False)
class Measured(Cells):
    """A measured or simulated current-voltage curve, the same shape for all cells.

    Parameters
    ----------
    curve_V, curve_A : array, shape (points,), V and A
        Voltages ascending, currents not falling.
    factor : array, shape (words, bits), 1, >= 0
        Current of each cell as multiple of the curve.

    Notes
    -----
    Monotone cubic interpolation. A solution with a voltage outside of the curve raises ValidityError.
    """

    curve_V: Array
    curve_A: Array
    factor: Array
    _curve: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from scipy.interpolate import PchipInterpolator

        V, current = np.array(self.curve_V, dtype=float), np.array(self.curve_A, dtype=float)
        if V.ndim != 1 or V.size < 2 or V.shape != current.shape or not np.isfinite([V, current]).all():
            raise InputError("A curve needs two or more finite points", got=f"shapes {V.shape}, {current.shape}")
        if (np.diff(V) <= 0).any() or (np.diff(current) < 0).any():
            raise InputError(
                "The curve is not monotone",
                got=f"{(np.diff(V) <= 0).sum()} steps of V, {(np.diff(current) < 0).sum()} of I that fall",
                allowed="ascending voltages, currents that do not fall",
                action="Take one branch of a loop; smooth the noise",
            )
        object.__setattr__(self, "factor", _table("factor", self.factor, "1"))
        curve = PchipInterpolator(V, current)
        object.__setattr__(self, "_curve", (curve, curve.derivative(), V[0], V[-1]))

    @property
    def shape(self) -> tuple[int, int]:
        return self.factor.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current of the interpolated curve times `factor`; outside of the curve the tangent at its end.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        curve, derivative, low, high = self._curve
        held = np.clip(voltage_V, low, high)
        slope = np.maximum(derivative(held), 0.0)
        return self.factor * (curve(held) + slope * (voltage_V - held)), self.factor * slope

    def check(self, voltage_V: Array) -> None:
        """Refuse a solution with a cell outside of the measured curve.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Raises
        ------
        ValidityError
            If a voltage lies more than 1 nV outside.
        """
        *_, low, high = self._curve
        if voltage_V.min() < low - 1e-9 or voltage_V.max() > high + 1e-9:
            raise ValidityError(
                "Cells lie outside of the measured curve",
                got=f"{voltage_V.min():g} to {voltage_V.max():g} V",
                allowed=f"{low:g} to {high:g} V",
                action="Lower the voltages, or measure further",
            )


@dataclass(frozen=True, eq=False)
class Law(Cells):
    """Any monotone current law as a function.

    Parameters
    ----------
    function : callable (array, shape (words, bits), V) -> array, A
    words, bits : int
    slope : callable (array, V) -> array, S, optional
        Derivative; central differences of the function if not given, which cost two more evaluations.
    """

    function: Callable[[Array], Any]
    words: int
    bits: int
    slope: Callable[[Array], Any] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.words, self.bits

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current and slope of the function.

        Without a `slope` by central differences, with steps of 6e-6 of the voltage, 6e-8 V at least.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S

        Raises
        ------
        InputError
            If the function returns another shape.
        """
        current = np.asarray(self.function(voltage_V), dtype=float)
        if current.shape != self.shape:
            raise InputError("The law does not return a current for each cell", got=f"shape {current.shape}")
        if self.slope is not None:
            return current, np.asarray(self.slope(voltage_V), dtype=float)
        h = 6e-6 * np.maximum(np.abs(voltage_V), 1e-2)
        return current, (np.asarray(self.function(voltage_V + h)) - np.asarray(self.function(voltage_V - h))) / (
            2.0 * h
        )


@dataclass(frozen=True, eq=False)
class Multiple(Cells):
    """Each cell stands for many equal ones in parallel.

    Parameters
    ----------
    cells : Cells
    count : array, shape (words, bits), 1, >= 0
    """

    cells: Cells
    count: Array

    def __post_init__(self) -> None:
        count = _table("count", self.count, "1")
        if count.shape != self.cells.shape:
            raise InputError("count needs a number for each cell", got=f"shape {count.shape}")
        object.__setattr__(self, "count", count)

    @property
    def shape(self) -> tuple[int, int]:
        return self.cells.shape

    def evaluate(self, voltage_V: Array) -> tuple[Array, Array]:
        """Current and slope of one cell times `count`.

        Parameters
        ----------
        voltage_V : array, shape (words, bits), V

        Returns
        -------
        current, slope : array, shape (words, bits), A and S
        """
        current, slope = self.cells.evaluate(voltage_V)
        return self.count * current, self.count * slope


def of_model(model: Any, state: ArrayLike) -> Cells:
    """Cells that are a compact model, each frozen in a state of its own.

    Parameters
    ----------
    model : compact model
        One with ``device_current(state, V)`` (vectorised, A), or :class:`~halidrift.compact.Volatile`.
    state : array, shape (words, bits) or (words, bits, states)
        State of each cell in the model's own measure.

    Notes
    -----
    The state stays what it is while the network is solved: a read that does not disturb.

    Examples
    --------
    >>> from halidrift.compact import Volatile
    >>> cell = Volatile.of(conductance_off_S=1e-9, conductance_on_S=1e-6, off_nonlinearity_V=0.2, growth_rate_Hz=1.0,
    ...                    growth_voltage_V=0.1, relaxation_time_s=1e-2)
    >>> of_model(cell, [[0.0, 1.0]]).current_A(0.1)[0]
    array([1.04219061e-10, 1.00000000e-07])
    """
    x = np.array(state, dtype=float)
    if x.ndim not in (2, 3) or not x.size or not np.isfinite(x).all():
        raise InputError(
            "state must be finite numbers for each cell",
            got=f"shape {x.shape}",
            allowed="(words, bits), or (words, bits, states) for a model of several",
        )
    words, bits = x.shape[:2]
    if isinstance(model, Volatile):
        return _volatile(model, x)
    current = getattr(model, "device_current", None)
    if current is None:
        raise InputError(
            "This model does not say what current flows in a given state",
            got=type(model).__name__,
            allowed="a model with device_current(state, V), or compact.Volatile",
            action="For ohmic cells give their conductances to Ohmic",
        )
    return Law(lambda V: current(x, V), words, bits)


def _volatile(model: Volatile, x: Array) -> Law:
    """Cells of a `Volatile` in states x, with the derivative that a Newton step wants."""
    from ._laws import log_sinhc

    if x.ndim != 2 or (x < 0).any() or (x > 1).any():
        raise InputError("state is out of range", got=f"{x.min():g} to {x.max():g}", allowed="0 to 1, (words, bits)")
    ln_off, ln_on = (math.log(model.value(f"conductance_{name}_S")) for name in ("off", "on"))
    width = model.value("off_nonlinearity_V")

    def conductance(V: Array) -> Array:
        excess = np.zeros(x.shape)
        if math.isfinite(width):
            log_sinhc(np.ascontiguousarray(V / width), excess)
        return np.exp(laws.log_conductance(x, excess, ln_off, ln_on))

    def slope(V: Array) -> Array:
        u = V / width
        small = np.abs(u) < 1e-4
        langevin = np.where(small, u * u / 3.0, u / np.tanh(np.where(small, 1.0, u)) - 1.0)
        return conductance(V) * (1.0 + (1.0 - x) * langevin)

    return Law(lambda V: V * conductance(V), x.shape[0], x.shape[1], slope)
