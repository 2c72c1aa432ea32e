"""A trained readout on a physical array: what line resistance makes of differential pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...physics.errors import ConvergenceError, InputError
from .cells import Cells, Ohmic
from .network import Crossbar

__all__ = ["Wiring", "compensated_S"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wiring:
    """The lines between the cells of a readout.

    Parameters
    ----------
    word_segment_ohm, bit_segment_ohm, driver_ohm, sense_ohm : float, ohm, >= 0
        See :class:`Crossbar`.
    refresh : int, >= 1
        While a readout trains, the network is solved anew after so many patterns; in between each cell keeps its
        share of what the array gives (cells move little in one update).

    Notes
    -----
    One word line an input, the bias unit last; two neighbouring bit lines a class, G+ then G-. The sense amplifiers are
    virtual grounds (with `sense_ohm`), the output is the difference of both currents.

    Examples
    --------
    >>> pairs = np.full((2, 1, 2), 1e-3)  # G+ and G- of one class with two inputs
    >>> pairs[1] = 5e-4
    >>> Wiring().currents_A(pairs, [[0.1, 0.2]])
    array([[0.00015]])
    """

    word_segment_ohm: float = 0.0
    bit_segment_ohm: float = 0.0
    driver_ohm: float = 0.0
    sense_ohm: float = 0.0
    refresh: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.refresh, bool) or self.refresh % 1 != 0 or self.refresh < 1:
            raise InputError("refresh must be a whole number of patterns", got=self.refresh, allowed=">= 1")
        self.array(np.ones((2, 1, 1)))  # raises for resistances out of range

    def array(self, pairs_S: ArrayLike, law: Callable[[Array], Cells] = Ohmic) -> Crossbar:
        """The array that holds the pairs, shape (2, classes, inputs), S.

        Parameters
        ----------
        pairs_S : array, shape (2, classes, inputs), S, >= 0
            G+, then G- of each class and input.
        law : callable (conductances) -> Cells
        """
        pairs = np.asarray(pairs_S, dtype=float)
        if pairs.ndim != 3 or pairs.shape[0] != 2 or not pairs.size:
            raise InputError("pairs_S must be G+ and G-", got=f"shape {pairs.shape}", allowed="(2, classes, inputs)")
        _, classes, inputs = pairs.shape
        G = pairs.transpose(2, 1, 0).reshape(inputs, 2 * classes)
        return Crossbar(
            law(np.ascontiguousarray(G)), self.word_segment_ohm, self.bit_segment_ohm, self.driver_ohm, self.sense_ohm
        )

    def transfer_S(self, pairs_S: ArrayLike) -> Array:
        """What the pairs multiply by on these lines, shape (2, classes, inputs), S; themselves on ideal lines.

        Parameters
        ----------
        pairs_S : array, shape (2, classes, inputs), S, >= 0
            G+, then G- of each class and input; taken as ohmic.
        """
        array = self.array(pairs_S)
        words, bits = array.shape
        return array.transfer_S().reshape(words, bits // 2, 2).transpose(2, 1, 0)

    def currents_A(self, pairs_S: ArrayLike, inputs_V: ArrayLike, law: Callable[[Array], Cells] = Ohmic) -> Array:
        """Differences of the currents of each pair of bit lines.

        Parameters
        ----------
        pairs_S : array, shape (2, classes, inputs), S
        inputs_V : array, shape (vectors, inputs), V
        law : callable (conductances) -> Cells
            For cells that are not ohmic every vector is a solution of its own.

        Returns
        -------
        array, shape (vectors, classes), A
        """
        currents = self.array(pairs_S, law).multiply(inputs_V)
        return currents[..., 0::2] - currents[..., 1::2]


def compensated_S(
    target_S: ArrayLike,
    *,
    word_segment_ohm: float = 0.0,
    bit_segment_ohm: float = 0.0,
    driver_ohm: float = 0.0,
    sense_ohm: float = 0.0,
    bounds_S: tuple[float, float] = (0.0, np.inf),
    tolerance: float = 1e-6,
    most: int = 200,
) -> Array:
    """Conductances that make an array with resistive lines multiply by `target_S`.

    Parameters
    ----------
    target_S : array, shape (words, bits), S, > 0
        Wanted transfer matrix.
    word_segment_ohm, bit_segment_ohm, driver_ohm, sense_ohm : float, ohm, >= 0
    bounds_S : two floats, S
        What the cells can be programmed to.
    tolerance : float, 1
        Largest relative error of the transfer matrix.
    most : int
        Iterations.

    Returns
    -------
    array, shape (words, bits), S

    Raises
    ------
    ConvergenceError
        If no conductances inside the bounds do it; carries the relative error that was left. Scale the target down.

    Notes
    -----
    Fixed point: each conductance times the wanted over the present transfer. The compensation that the review names
    for the voltage drop along the lines (Y-ARR-IR); it costs dynamic range.
    """
    target = np.array(target_S, dtype=float)
    if target.ndim != 2 or not np.isfinite(target).all() or (target <= 0).any():
        raise InputError("target_S must be a matrix of positive conductances", got=f"shape {target.shape}")
    G, left = np.clip(target, *bounds_S), np.inf
    for _ in range(most):
        seen = Crossbar(Ohmic(G), word_segment_ohm, bit_segment_ohm, driver_ohm, sense_ohm).transfer_S()
        left = float(np.abs(seen / target - 1.0).max())
        if left <= tolerance:
            return G
        G = np.clip(G * target / seen, *bounds_S)
    raise ConvergenceError(
        "The lines cannot be compensated",
        got=f"relative error {left:.3g}",
        allowed=f"{tolerance:g}",
        action="Scale the target down, widen bounds_S, or use lines of less resistance",
    )
