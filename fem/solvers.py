"""Linear solvers as this suite trusts them: direct, or proven by their residual.

Krylov defaults of FiPy were seen to return wrong Poisson solutions without failing, and the default tolerance of its
LU solver (relative to the right-hand side) can skip a solve altogether: what goes through FiPy is direct and tight.
What the suite assembles itself is factorised once and the factor kept (:class:`Held`): the matrices of
successive steps resemble each other, and an old factor with two or three corrections costs a third of a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgbtrf, dgbtrs, dpbtrf, dpbtrs, sgbtrf, sgbtrs, spbtrs

from ..physics.errors import ConvergenceError

__all__ = ["Held", "HeldLU", "direct"]

Array = NDArray[np.float64]

_CLOSE = 1e-12  # last correction over the largest value
_NEAR = 1e-9  # the same for an old factor: that correction is applied, so what is left is less
_TOLERATED = 1e-6  # the same where rounding ends the refinement
_CORRECTIONS = 6  # beyond that a new factor is cheaper


def direct() -> Any:
    """A direct LU solver with a tolerance that cannot be met without solving.

    Returns
    -------
    fipy.LinearLUSolver
    """
    # FiPy reads sys.argv when it is imported; our command line defines none of its flags.
    from fipy import LinearLUSolver

    return LinearLUSolver(tolerance=1e-14, iterations=3)


class Held:
    """A Cholesky factor of a banded matrix that outlives it: preconditioner of the matrices that follow.

    The preconditioner is kept in single precision, in which it is read twice as fast.

    Attributes
    ----------
    factors, corrections : int
        Factorisations and corrections so far.
    """

    def __init__(self) -> None:
        self.single: NDArray[np.float32] | None = None
        self.scale = 1.0
        self.factors = self.corrections = 0

    def solve(
        self,
        matrix: Callable[[], Array],
        apply: Callable[[Array], Array],
        residual: Callable[[Array], Array],
        start: Array,
        near: float = _NEAR,
    ) -> Array:
        """Solve A x = b by conjugate gradients from `start`, with a new factor where the old one is too far off.

        Parameters
        ----------
        matrix : callable
            Returns the lower band of A, shape (half-width + 1, n), Fortran order; called only if it must be factorised.
        apply, residual : callable
            A x, and b - A x in a form that loses no digits.
        start : array, shape (n,)
        near : float
            Share of the largest value below which the correction by an old factor is the last.

        Returns
        -------
        array, shape (n,)
            Better than `near` with an old factor; with a new one to 1e-12, or as far as rounding lets it come.

        Raises
        ------
        ConvergenceError
            If A is not positive definite, or a new factor does not solve.
        """
        if self.single is not None:
            x = self._iterate(apply, residual, start, near)
            if x is not None:
                return x
        factor, fault = dpbtrf(matrix(), lower=1, overwrite_ab=1)
        if fault:
            raise ConvergenceError("The steady field has no solution", got=f"pivot {fault} is not positive")
        self.factors, self.scale = self.factors + 1, float(np.max(factor[0]))
        self.single = (factor / self.scale).astype(np.float32, order="F")
        return self._refine(factor, residual, start)

    def _refine(self, factor: Array, residual: Callable[[Array], Array], x: Array) -> Array:
        last = np.inf
        for _ in range(_CORRECTIONS):
            z, _ = dpbtrs(factor, residual(x), lower=1)
            self.corrections += 1
            size = float(np.max(np.abs(z)))
            x = x + z
            if size <= _CLOSE * np.max(np.abs(x)) or size > 0.5 * last:
                break
            last = size
        if not size <= _TOLERATED * np.max(np.abs(x)):  # also catches nan
            raise ConvergenceError(
                "The steady field is not finite, or its matrix too badly conditioned",
                got=f"a last correction of {size:g} to a field of {np.max(np.abs(x)):g}",
                allowed=f"a share of {_TOLERATED:g}",
            )
        return x

    def _iterate(
        self, apply: Callable[[Array], Array], residual: Callable[[Array], Array], x: Array, near: float
    ) -> Array | None:
        r, p, rz = residual(x), np.zeros_like(x), 0.0
        for _ in range(_CORRECTIONS):
            largest = float(np.max(np.abs(r))) or 1.0
            short, _ = spbtrs(self.single, (r / largest).astype(np.float32), lower=1)
            z = short.astype(float) * (largest / self.scale**2)
            self.corrections += 1
            size = float(np.max(np.abs(z)))
            if not np.isfinite(size):
                return None
            if size <= near * np.max(np.abs(x)):
                return np.asarray(x + z)
            new = float(r @ z)
            p = z + (new / rz if rz else 0.0) * p
            rz = new
            curvature = float(p @ apply(p))
            if not curvature > 0.0:
                return None
            x = x + rz / curvature * p
            r = residual(x)
        return None


class HeldLU:
    """An LU factor of a banded matrix that outlives it, for Newton updates with a Jacobian that may be old.

    It is kept in single precision, in which it is read twice as fast, until a matrix asks for more.

    Parameters
    ----------
    half_width : int, >= 1
        Diagonals on either side of the main one.

    Attributes
    ----------
    exact : bool
        Whether in double precision.
    factors, corrections : int
        Factorisations and corrections so far.
    """

    def __init__(self, half_width: int) -> None:
        self.half_width, self.exact, self.scale = half_width, False, 1.0
        self.factor: tuple[Any, Any] | None = None
        self.factors = self.corrections = 0

    def factorise(self, band: Array, *, exact: bool = False) -> None:
        """Factorise a matrix in LAPACK's general band form, shape (3 half-width + 1, n).

        Parameters
        ----------
        band : array, shape (3 half-width + 1, n)
        exact : bool
            In double precision.

        Raises
        ------
        ConvergenceError
            If it is singular.
        """
        self.exact, self.scale = exact, float(np.max(np.abs(band)))
        if exact:
            lu, pivots, fault = dgbtrf(band, self.half_width, self.half_width, overwrite_ab=1)
        else:
            single = (band / self.scale).astype(np.float32, order="F")
            lu, pivots, fault = sgbtrf(single, self.half_width, self.half_width, overwrite_ab=1)
        if fault:
            raise ConvergenceError("The transport matrix is singular", got=f"pivot {fault} is zero")
        self.factor, self.factors = (lu, pivots), self.factors + 1

    def correction(self, residual: Array) -> Array:
        """Residual divided by the matrix of the last factor.

        Parameters
        ----------
        residual : array, shape (n,)

        Returns
        -------
        array, shape (n,)
        """
        if self.factor is None:
            raise ConvergenceError("The transport matrix has not been factorised")
        self.corrections += 1
        lu, pivots = self.factor
        if self.exact:
            return np.asarray(dgbtrs(lu, self.half_width, self.half_width, residual, pivots)[0])
        size = float(np.max(np.abs(residual))) or 1.0
        z = sgbtrs(lu, self.half_width, self.half_width, (residual / size).astype(np.float32), pivots)[0]
        return np.asarray(z.astype(float) * (size / self.scale))
