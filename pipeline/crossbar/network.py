r"""`Crossbar`: the voltages and currents of an array with resistive lines, from Kirchhoff's laws at every node.

Cell (i, j) joins node (i, j) of word line i to node (i, j) of bit line j. A word line is driven at j = 0, a bit line
sensed at its last row; between driver (or sense amplifier) and the nearest node lies one line segment.

.. math::

    I_{ij}(w_{ij} - b_{ij}) + \frac{w_{ij} - w_{i,j-1}}{r_w} + \frac{w_{ij} - w_{i,j+1}}{r_w} = 0, \qquad
    -I_{ij}(w_{ij} - b_{ij}) + \frac{b_{ij} - b_{i-1,j}}{r_b} + \frac{b_{ij} - b_{i+1,j}}{r_b} = 0
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...physics.errors import ConvergenceError, InputError, ValidityError
from . import _lines
from .cells import Cells, Ohmic

__all__ = ["SCHEMES", "Crossbar", "Reading", "State", "bias"]

Array = NDArray[np.float64]

SCHEMES = ("floating", "half", "third", "grounded")
"""What unselected lines are held at: nothing; V/2; V/3 (words) and 2V/3 (bits); 0 V. See :func:`bias`."""

_NEWTON = 400
_ITERATIONS = 20_000
_STRETCH = 256.0  # longest step, in steps of Newton
_LAST_DIGITS = 1e-14
_FLOOR = 1e-13  # of the steepest cell: slopes below count as this in a Newton step, not in the solution


def bias(scheme: str, shape: tuple[int, int], cell: tuple[int, int], voltage_V: float) -> tuple[Array, Array]:
    """Voltages of the word drivers and the sense amplifiers that select one cell.

    Parameters
    ----------
    scheme : {"floating", "half", "third", "grounded"}
        Unselected lines: "floating": open; "half": words and bits at V/2; "third": words at V/3, bits at 2V/3, so that
        no unselected cell sees more than V/3; "grounded": all at 0.
    shape : tuple of int
        Word lines, bit lines.
    cell : tuple of int
        Row and column of the selected cell; its word is at V, its bit at 0.
    voltage_V : float, V

    Returns
    -------
    word_V, bit_V : array, shape (words,) and (bits,), V
        nan where a line floats.

    Examples
    --------
    >>> bias("half", (2, 3), (0, 2), 1.0)
    (array([1. , 0.5]), array([0.5, 0.5, 0. ]))
    """
    levels = {"floating": (math.nan, math.nan), "half": (0.5, 0.5), "third": (1 / 3, 2 / 3), "grounded": (0.0, 0.0)}
    if scheme not in levels:
        raise InputError("Unknown bias scheme", got=scheme, allowed=", ".join(SCHEMES))
    if not math.isfinite(voltage_V):
        raise InputError("voltage_V must be finite", got=voltage_V)
    row, column = _cell(cell, shape)
    word, bit = (level * voltage_V for level in levels[scheme])
    word_V, bit_V = np.full(shape[0], word), np.full(shape[1], bit)
    word_V[row], bit_V[column] = voltage_V, 0.0
    return word_V, bit_V


def _cell(cell: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    try:
        row, column = (int(part) for part in cell)
        inside = 0 <= row < shape[0] and 0 <= column < shape[1] and (row, column) == tuple(cell)
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise InputError("cell is not in the array", got=str(cell), allowed=f"row and column below {shape}")
    return row, column


class State(NamedTuple):
    """A solved network as bare arrays, for loops over many.

    Attributes
    ----------
    word_V, bit_V : array, shape (words, bits), V
        Voltage of both lines at each cell.
    cell_A : array, shape (words, bits), A
        From the word into the bit line.
    word_A : array, shape (words,), A
        From each driver into its line.
    bit_A : array, shape (bits,), A
        From each line into its sense amplifier.
    error_A : float, A
        Bound of the error of all terminal currents together.
    newton, iterations : int
        Newton steps, and steps of conjugate gradients in all of them.
    """

    word_V: Array  # node voltages
    bit_V: Array
    cell_A: Array
    word_A: Array  # from each driver into its line
    bit_A: Array  # from each line into its sense amplifier
    error_A: float
    newton: int
    iterations: int


@dataclass(frozen=True)
class Reading:
    """One selected cell, read or written.

    Parameters
    ----------
    current_A : float, A
        Into the sense amplifier of the selected bit line.
    cell_current_A : float, A
        Through the selected cell.
    sneak_current_A : float, A
        Into the same sense amplifier through all other cells: the difference of the two.
    cell_voltage_V : float, V
        Across the selected cell; less than applied by the drop along the lines.
    sense_voltage_V : float, V
        Across the resistance of that sense amplifier (`sense_ohm`, the pull-up resistor of the review's eq. 2).
    power_W : float, W
        From all drivers and sense amplifiers together.
    fields : xarray.Dataset
        Everything, as :meth:`Crossbar.solve` returns it.
    """

    current_A: float
    cell_current_A: float
    sneak_current_A: float
    cell_voltage_V: float
    sense_voltage_V: float
    power_W: float
    fields: xr.Dataset

    def energy_J(self, width_s: float) -> float:
        """Energy that a pulse of this width takes, J; the charging of the lines not counted.

        Parameters
        ----------
        width_s : float, s, > 0
            During which the currents flow as solved.
        """
        if not (math.isfinite(width_s) and width_s > 0):
            raise InputError("width_s must be positive", got=f"{width_s} s")
        return self.power_W * width_s


@dataclass(frozen=True, eq=False)
class Crossbar:
    """An array of cells between word and bit lines.

    Parameters
    ----------
    cells : Cells or array, shape (words, bits)
        The law of the cells; an array is taken as ohmic conductances, S.
    word_segment_ohm, bit_segment_ohm : float, ohm, >= 0
        Resistance of a line from one cell to the next, and from the driver (sense amplifier) to the first (last) cell.
    driver_ohm, sense_ohm : float or array, shape (words,) and (bits,), ohm, >= 0
        Of the voltage sources at the lines.

    Notes
    -----
    Static: no capacitance, no inductance, cells do not change state while they are read. Lines are driven at one end.

    Newton's method on all nodes, started from open lines at the mean of the sources. A step eliminates every word line
    exactly and solves for the bit lines by conjugate gradients, preconditioned with every bit line alone. As no current
    falls with its voltage, an imbalance of the currents at the nodes changes all terminal currents together by no more
    than the sum of its absolute values: this bound, ``error_A``, decides when the solution is good enough, and is
    reported.

    References
    ----------
    .. [1] D. Joksas and A. Mehonic, badcrossbar, SoftwareX 12, 100617 (2020): the same network, linear.
    .. [2] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 5.1.1.

    Examples
    --------
    >>> array = Crossbar([[1e-3, 1e-3], [1e-3, 1e-3]])
    >>> reading = array.read((0, 0), 0.3)
    >>> f"{1e3 * reading.current_A:.1f} mA, of which sneak {1e3 * reading.sneak_current_A:.1f} mA"
    '0.4 mA, of which sneak 0.1 mA'
    """

    cells: Cells
    word_segment_ohm: float = 0.0
    bit_segment_ohm: float = 0.0
    driver_ohm: ArrayLike = 0.0
    sense_ohm: ArrayLike = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.cells, Cells):
            object.__setattr__(self, "cells", Ohmic(self.cells))
        for name in ("word_segment_ohm", "bit_segment_ohm"):
            value = float(getattr(self, name))
            if not 0.0 <= value < math.inf:
                raise InputError(f"{name} must not be negative", got=f"{value} ohm", allowed=">= 0, finite")
        for name, lines in (("driver_ohm", self.shape[0]), ("sense_ohm", self.shape[1])):
            ohm = np.asarray(getattr(self, name), dtype=float)
            if ohm.shape not in ((), (lines,)) or not np.isfinite(ohm).all() or (ohm < 0).any():
                raise InputError(
                    f"{name} must be a resistance, or one for each line",
                    got=f"shape {ohm.shape}, smallest {ohm.min(initial=math.inf):g} ohm",
                    allowed=f"a number or shape ({lines},), >= 0, finite",
                )
            object.__setattr__(self, name, np.broadcast_to(ohm, (lines,)))

    @property
    def shape(self) -> tuple[int, int]:
        """Word lines, bit lines."""
        return self.cells.shape

    def solve(self, word_V: ArrayLike, bit_V: ArrayLike = 0.0, *, tolerance: float = 1e-10) -> xr.Dataset:
        """Voltages and currents of the whole array.

        Parameters
        ----------
        word_V, bit_V : float or array, shape (words,) and (bits,), V
            Of the sources at the lines; nan for a line that floats.
        tolerance : float, 1, > 0
            Largest ``error_A`` as share of the sum of all terminal currents; where these are so small that rounding of
            the cell currents exceeds it, rounding decides.

        Returns
        -------
        xarray.Dataset
            ``word_voltage``, ``bit_voltage`` (nodes), ``cell_voltage``, ``cell_current`` over (word, bit);
            ``word_current`` from each driver, ``bit_current`` into each sense amplifier; attributes ``error_A`` (bound
            of the error of all terminal currents together), ``power_W`` (from the sources), ``cell_power_W``,
            ``line_power_W`` (lines, drivers and sense amplifiers), ``newton_steps``, ``iterations``.

        Raises
        ------
        InputError
            If no line is driven, or a floating line touches open cells only.
        ValidityError
            If the current of a cell falls with its voltage, or the law does not hold there.
        ConvergenceError
            If the tolerance is not met; carries the bound that was.
        """
        word, bit = self._terminals(word_V, bit_V)
        return self._dataset(self._solve(word, bit, tolerance), word, bit)

    def state(self, word_V: ArrayLike, bit_V: ArrayLike = 0.0, *, tolerance: float = 1e-10) -> State:
        """:meth:`solve` without its Dataset, which takes longer than the solution of a small array.

        Parameters
        ----------
        word_V, bit_V : float or array, shape (words,) and (bits,), V
            Of the sources at the lines; nan for a line that floats.
        tolerance : float, 1, > 0
            Largest ``error_A`` as share of the sum of all terminal currents.
        """
        return self._solve(*self._terminals(word_V, bit_V), tolerance)

    def read(
        self, cell: tuple[int, int], voltage_V: float, scheme: str = "floating", *, tolerance: float = 1e-10
    ) -> Reading:
        """Select one cell and sense the current of its bit line; see :func:`bias` for the schemes.

        Parameters
        ----------
        cell : tuple of int
            Row and column.
        voltage_V : float, V
        scheme : {"floating", "half", "third", "grounded"}
        tolerance : float, 1, > 0
            See :meth:`solve`.

        Returns
        -------
        Reading
        """
        row, column = _cell(cell, self.shape)
        fields = self.solve(*bias(scheme, self.shape, cell, voltage_V), tolerance=tolerance)
        current, own = float(fields["bit_current"][column]), float(fields["cell_current"][row, column])
        return Reading(
            current,
            own,
            current - own,
            float(fields["cell_voltage"][row, column]),
            current * float(np.asarray(self.sense_ohm)[column]),
            float(fields.attrs["power_W"]),
            fields,
        )

    def multiply(self, inputs_V: ArrayLike, *, tolerance: float = 1e-10) -> Array:
        """Vector-matrix products: voltages on all words, currents out of all bits, sense amplifiers at 0 V.

        Parameters
        ----------
        inputs_V : array, shape (vectors, words) or (words,), V
        tolerance : float, 1, > 0
            See :meth:`solve`.

        Returns
        -------
        array, shape (vectors, bits) or (bits,), A
            Without line resistance :math:`I_j = \\sum_i G_{ij} V_i`.
        """
        inputs = np.asarray(inputs_V, dtype=float)
        if inputs.ndim not in (1, 2) or inputs.shape[-1] != self.shape[0] or not np.isfinite(inputs).all():
            raise InputError(
                "inputs_V must give every word a voltage",
                got=f"shape {inputs.shape}",
                allowed=f"(..., {self.shape[0]}), finite",
            )
        rows = np.atleast_2d(inputs)
        if isinstance(self.cells, Ohmic) and len(rows) > min(self.shape):
            out = rows @ self.transfer_S(tolerance=tolerance)
        else:
            ground = np.zeros(self.shape[1])
            out = np.array([self._solve(row, ground, tolerance).bit_A for row in rows]).reshape(-1, self.shape[1])
        return out if inputs.ndim == 2 else out[0]

    def transfer_S(self, *, tolerance: float = 1e-10) -> Array:
        """Conductance from each word driver to each grounded sense amplifier, shape (words, bits), S.

        What the array multiplies by; its conductances themselves where lines have no resistance. Ohmic cells only.
        Reciprocal: one solution for each line of the shorter side.

        Parameters
        ----------
        tolerance : float, 1, > 0
            As for :meth:`solve`.
        """
        if not isinstance(self.cells, Ohmic):
            raise InputError("Only ohmic cells have a transfer matrix", got=type(self.cells).__name__)
        words, bits = self.shape
        out = np.empty(self.shape)
        if words <= bits:
            for i, unit in enumerate(np.eye(words)):
                out[i] = self._solve(unit, np.zeros(bits), tolerance).bit_A
        else:
            for j, unit in enumerate(np.eye(bits)):
                out[:, j] = -self._solve(np.zeros(words), unit, tolerance).word_A
        return out

    # -- pieces ------------------------------------------------------------------------------------------------

    def _terminals(self, word_V: ArrayLike, bit_V: ArrayLike) -> tuple[Array, Array]:
        out = []
        for name, values, lines in (("word_V", word_V, self.shape[0]), ("bit_V", bit_V, self.shape[1])):
            given = np.asarray(values, dtype=float)
            if given.shape not in ((), (lines,)) or np.isinf(given).any():
                raise InputError(
                    f"{name} must be a voltage, or one for each line",
                    got=f"shape {given.shape}",
                    allowed=f"a number or shape ({lines},), nan for a line that floats",
                )
            out.append(np.array(np.broadcast_to(given, (lines,))))
        if np.isnan(out[0]).all() and np.isnan(out[1]).all():
            raise InputError("Every line floats", action="Give at least one line a voltage")
        return out[0], out[1]

    def _conductances(self, word: Array, bit: Array) -> tuple[float, float, Array, Array]:
        """Of a segment of either line, and from the source to the first node of each line."""
        with np.errstate(divide="ignore"):
            segments = [float(np.divide(1.0, r)) for r in (self.word_segment_ohm, self.bit_segment_ohm)]
            ends = [
                np.where(np.isnan(V), 0.0, 1.0 / (np.asarray(R) + r))
                for V, R, r in (
                    (word, self.driver_ohm, self.word_segment_ohm),
                    (bit, self.sense_ohm, self.bit_segment_ohm),
                )
            ]
        return segments[0], segments[1], ends[0], ends[1]

    def _solve(self, word: Array, bit: Array, tolerance: float) -> State:
        if not 0.0 < tolerance < 1.0:
            raise InputError("tolerance is out of range", got=tolerance, allowed="between 0 and 1")
        gw, gb, gtw, gtb = self._conductances(word, bit)
        rigid_w, rigid_b = math.isinf(gw), math.isinf(gb)
        open_w, open_b = np.isnan(word), np.isnan(bit)
        middle = float(np.nanmean(np.concatenate([word, bit])))
        # a node is kept as the voltage of the source, what the nearest node differs from it, and the drop from there
        source_w, source_b = np.where(open_w, middle, word), np.where(open_b, middle, bit)
        ew, eb = np.zeros(self.shape[0]), np.zeros(self.shape[1])
        w, b = np.zeros(self.shape), np.zeros(self.shape)
        Fw, Fb, dw, db, uw, pw, ub, pb = (np.empty(self.shape) for _ in range(8))

        def across(w: Array, b: Array) -> Array:
            return np.asarray((source_w + ew)[:, None] - (source_b + eb) + (w - b))

        def balance(w: Array, b: Array) -> tuple[Array, Array, float]:
            V = across(w, b)
            current, slope = self.cells.evaluate(V)
            if not (np.isfinite(current).all() and np.isfinite(slope).all()):
                raise ValidityError("The law of the cells gives no finite current", got=type(self.cells).__name__)
            # a derivative by differences may be negative by rounding
            if slope.min() < 0.0 and (slope * np.maximum(np.abs(V), 1e-2) < -1e-6 * np.abs(current)).any():
                raise ValidityError(
                    "The current of a cell falls with its voltage, so the array may have several solutions",
                    got=f"dI/dV = {slope.min():g} S",
                    allowed=">= 0",
                    action="Fix the state of the cells, or use a monotone branch",
                )
            slope = np.maximum(slope, 0.0) if slope.min() < 0.0 else slope
            size = _lines.imbalance(w, b, ew, eb, current, gw, gb, gtw, gtb, rigid_w, rigid_b, Fw, Fb)
            return current, slope, float(size)

        linear = isinstance(self.cells, Ohmic)
        current, slope, size = balance(w, b)
        iterations, factored, stuck = 0, False, False
        reach = float(np.nanmax(np.abs(np.concatenate([word, bit]))))
        for step in range(_NEWTON):
            word_A, bit_A = self._ends(ew + w[:, 0], eb + b[-1], current, gtw, gtb)
            scale = np.abs(word_A).sum() + np.abs(bit_A).sum()
            # the last digit of every cell current, below which a balance means nothing
            rounding = _LAST_DIGITS * reach * float(slope.sum())
            if size <= tolerance * scale or (stuck and size <= rounding):
                self.cells.check(across(w, b))
                nodes = (source_w + ew)[:, None] + w, source_b + eb + b
                return State(*nodes, current, word_A, bit_A, size, step, iterations)
            if not (linear and factored):
                D = slope if linear else np.maximum(slope, _FLOOR * slope.max())
                self._factor(D, gw, gb, gtw, gtb, (uw, pw, ub, pb))
                factored = True
            # no more digits than the next evaluation of the law can use
            goal = max(1e-9 * size if linear else 1e-3 * size, 0.2 * tolerance * scale)
            _, done = _lines.newton_step(D, Fw, Fb, gtb, rigid_w, rigid_b, uw, pw, ub, pb, goal, _ITERATIONS, dw, db)
            iterations += abs(done)
            start, before = float((Fw * dw).sum() + (Fb * db).sum()), size
            t, low, high = 1.0, 0.0, 1.0
            for _ in range(60):
                current, slope, size = balance(w + t * dw, b + t * db)
                along = float((Fw * dw).sum() + (Fb * db).sum())
                # the content of the network is convex: past its minimum along the step the derivative is positive
                if along <= 0.5 * abs(start) or size < 0.9 * before:
                    break
                high = t
                guess = low + (high - low) * abs(start) / (abs(start) + along)
                t = min(max(guess, low + 0.1 * (high - low)), low + 0.5 * (high - low))
            while t >= 1.0 and along < -0.3 * abs(start) and t < _STRETCH and not linear:
                # exponential laws: Newton's step from above takes off one factor of e, so go on while it is downhill
                longer = balance(w + 2.0 * t * dw, b + 2.0 * t * db)
                ahead = float((Fw * dw).sum() + (Fb * db).sum())
                if not ahead <= 0.0:
                    current, slope, size = balance(w + t * dw, b + t * db)
                    break
                t, along, (current, slope, size) = 2.0 * t, ahead, longer
            w, b = w + t * dw, b + t * db
            ew, w = ew + w[:, 0], w - w[:, :1]
            eb, b = eb + b[-1], b - b[-1]
            stuck = size > 0.5 * before
            if linear and step > 8 and stuck and size > rounding:
                break
        raise ConvergenceError(
            "The currents of the crossbar do not balance",
            got=f"{size:.3g} A summed over all nodes after {step + 1} steps",
            allowed=f"{tolerance * scale:.3g} A",
            action="Raise the tolerance; lower the voltage; check the law of the cells for jumps",
        )

    @staticmethod
    def _factor(D: Array, gw: float, gb: float, gtw: Array, gtb: Array, work: tuple[Array, ...]) -> None:
        rigid_w, rigid_b = math.isinf(gw), math.isinf(gb)
        uw, pw, ub, pb = work
        for name, line in (
            ("word", _lines.factor_rows(D, gw, gtw, rigid_w, uw, pw)),
            ("bit", _lines.factor_columns(D, gb, gtb, rigid_b, ub, pb)),
        ):
            if line >= 0:
                raise InputError(
                    f"{name} line {line} floats and touches open cells only, so it has no voltage",
                    action="Drive it, or give one of its cells a conductance",
                )

    @staticmethod
    def _ends(drop_w: Array, drop_b: Array, current: Array, gtw: Array, gtb: Array) -> tuple[Array, Array]:
        """Currents from the drivers and into the sense amplifiers."""
        held_w, held_b = np.isinf(gtw), np.isinf(gtb)
        word_A = np.where(held_w, current.sum(axis=1), -np.where(held_w, 0.0, gtw) * drop_w)
        bit_A = np.where(held_b, current.sum(axis=0), np.where(held_b, 0.0, gtb) * drop_b)
        return word_A, bit_A

    def _dataset(self, state: State, word: Array, bit: Array) -> xr.Dataset:
        both = ("word", "bit")
        across = state.word_V - state.bit_V
        sources = float(np.nansum(word * state.word_A) - np.nansum(bit * state.bit_A))
        fields = xr.Dataset(
            {
                "word_voltage": (both, state.word_V, {"units": "V", "long_name": "node voltage of the word line"}),
                "bit_voltage": (both, state.bit_V, {"units": "V", "long_name": "node voltage of the bit line"}),
                "cell_voltage": (both, across, {"units": "V", "long_name": "voltage across the cell"}),
                "cell_current": (both, state.cell_A, {"units": "A", "long_name": "current of the cell"}),
                "word_current": ("word", state.word_A, {"units": "A", "long_name": "current from the driver"}),
                "bit_current": ("bit", state.bit_A, {"units": "A", "long_name": "current into the sense amplifier"}),
                "word_source": ("word", word, {"units": "V", "long_name": "voltage of the driver"}),
                "bit_source": ("bit", bit, {"units": "V", "long_name": "voltage of the sense amplifier"}),
            }
        )
        fields.attrs = {
            "error_A": state.error_A,
            "power_W": sources,
            "cell_power_W": float((across * state.cell_A).sum()),
            "line_power_W": self._line_power(state, word, bit),
            "newton_steps": state.newton,
            "iterations": state.iterations,
            "word_segment_ohm": self.word_segment_ohm,
            "bit_segment_ohm": self.bit_segment_ohm,
        }
        return fields

    def _line_power(self, state: State, word: Array, bit: Array) -> float:
        """Heat of lines, drivers and sense amplifiers, W."""
        total = 0.0
        if self.word_segment_ohm > 0:
            total += float((np.diff(state.word_V, axis=1) ** 2).sum()) / self.word_segment_ohm
        if self.bit_segment_ohm > 0:
            total += float((np.diff(state.bit_V, axis=0) ** 2).sum()) / self.bit_segment_ohm
        ends = (np.asarray(self.driver_ohm) + self.word_segment_ohm, np.asarray(self.sense_ohm) + self.bit_segment_ohm)
        return total + float((ends[0] * state.word_A**2).sum() + (ends[1] * state.bit_A**2).sum())
