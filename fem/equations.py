r"""Poisson-Nernst-Planck equations of one mobile ion between blocking walls, on a FiPy mesh.

Scaled unknowns: density :math:`p = P/N_0`, potential :math:`\varphi = \phi/V_t`, :math:`V_t = k_BT/q`; lengths
and times stay in m and s:

.. math::

   \frac{1}{D}\frac{\partial p}{\partial t} = \nabla\cdot\left(\nabla p + p\,\nabla\Phi\right), \qquad
   \Phi = \varphi - \ln\left(1 - p\,\frac{N_0}{N_\mathrm{max}}\right), \qquad
   \nabla^2\varphi = -\frac{p - 1}{\lambda^2}

The logarithm is the steric term of a lattice gas (Bikerman): ions pile up to one per site. The flux between two
cells is exponential (Scharfetter-Gummel) in :math:`\Phi`, so a flat electrochemical potential carries none.

The scheme exists twice: :meth:`IonEquations.fipy_solve` writes it in FiPy terms, :meth:`IonEquations.solve`
assembles the same finite volumes as one banded Newton system, some hundred times faster because FiPy spends
nearly all of a 1D step in Python. A test holds the two equal.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solve_banded
from scipy.optimize import brentq

from ..physics.errors import ConvergenceError, InputError
from .solvers import direct

__all__ = ["IonEquations", "IonState", "bernoulli", "bernoulli_slope", "graded_mesh"]

Array = NDArray[np.float64]

_SERIES = 1e-2  # |x| below which the power series is exact to rounding and the closed form is not
_LARGEST_EXPONENT = 500.0
_DAMPING = 5.0  # largest change of the scaled potential in one Newton update, kT/q
_CONVERGED = 1e-9  # Newton converges quadratically: an update this small leaves an error near rounding
_BAND = 3  # a cell's two unknowns reach the two of each neighbour


def bernoulli(x: Array) -> Array:
    """The Bernoulli function x / (exp(x) - 1).

    Examples
    --------
    >>> bernoulli(np.array([0.0, 1.0])).round(6).tolist()
    [1.0, 0.581977]
    """
    safe = np.where(np.abs(x) < _SERIES, 1.0, np.clip(x, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    series = 1.0 - x / 2 + x**2 / 12 - x**4 / 720
    return np.where(np.abs(x) < _SERIES, series, safe / np.expm1(safe))


def bernoulli_slope(x: Array) -> Array:
    """Derivative of :func:`bernoulli`."""
    safe = np.where(np.abs(x) < _SERIES, 1.0, np.clip(x, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    series = -0.5 + x / 6 - x**3 / 180 + x**5 / 5040
    value = safe / np.expm1(safe)
    return np.where(np.abs(x) < _SERIES, series, value / safe * (1.0 - value - safe))


def graded_mesh(thickness_m: float, cells: int, wall_m: float) -> Any:
    """A FiPy `Grid1D` whose cells grow geometrically from both walls to the middle.

    Parameters
    ----------
    thickness_m : float, m, > 0
        Length of the mesh.
    cells : int, even, >= 10
        Number of cells.
    wall_m : float, m, > 0
        Width of the two outermost cells; a mesh that is finer than this throughout is uniform.

    Returns
    -------
    fipy mesh

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if isinstance(cells, bool) or int(cells) != cells or cells < 10 or cells % 2:
        raise InputError("cells must be an even whole number", got=cells, allowed=">= 10")
    for name, value in (("thickness_m", thickness_m), ("wall_m", wall_m)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive", got=f"{value} m", allowed="> 0 m")
    # FiPy reads sys.argv when it is imported; our command line defines none of its flags.
    from fipy import Grid1D

    half = int(cells) // 2
    steps = np.arange(half)
    if half * wall_m >= 0.5 * thickness_m:
        widths = np.full(half, 0.5 * thickness_m / half)
    else:

        def excess(ratio: float) -> float:
            return wall_m * float(np.sum(ratio**steps)) - 0.5 * thickness_m

        steepest = min(2.0, 10.0 ** (300.0 / half))  # the bound of many cells keeps the powers finite
        if excess(steepest) < 0.0:
            raise InputError(
                "The mesh would grow by more than a factor of two from cell to cell",
                got=f"{cells} cells, {wall_m:g} m at the walls of {thickness_m:g} m",
                action="Use more cells or a larger wall_m",
            )
        ratio = brentq(excess, 1.0, steepest, xtol=1e-15)
        widths = wall_m * ratio**steps
        widths *= 0.5 * thickness_m / widths.sum()
    return Grid1D(dx=np.concatenate([widths, widths[::-1]]))


class IonState(NamedTuple):
    """Density over N0 and potential over kT/q in every cell, and the scaled potential of the left wall."""

    p: Array
    phi: Array
    wall: float


class IonEquations:
    """Finite volumes of the scaled equations on one mesh.

    Parameters
    ----------
    mesh : fipy mesh
        One-dimensional.
    debye_length_m : float, m, > 0
        Screening length of the ions at their mean density.
    diffusivity_m2_s : float, m^2/s, > 0
        Of the dilute ion.
    filling : float, in [0, 1)
        Mean density over site density, N0 / Nmax; 0 switches the steric term off.

    Notes
    -----
    The left wall is at the potential that the caller states, the right wall at zero. No ion passes a wall.
    """

    def __init__(self, mesh: Any, *, debye_length_m: float, diffusivity_m2_s: float, filling: float = 0.0):
        self.mesh = mesh
        self.debye, self.D, self.filling = float(debye_length_m), float(diffusivity_m2_s), float(filling)
        self.volume: Array = np.array(mesh.cellVolumes, dtype=float)
        self.centre: Array = np.array(mesh.cellCenters.value[0], dtype=float)
        self.cells = self.volume.size
        left, right = np.array(mesh.faceCellIDs)[:, np.array(mesh.interiorFaces.value)]
        if not (np.array_equal(left, np.arange(self.cells - 1)) and np.array_equal(right, left + 1)):
            raise InputError("IonEquations needs a one-dimensional mesh whose cells are in order", got=repr(mesh))
        distances: Array = np.array(mesh.scaledCellDistances, dtype=float)
        self.distance: Array = distances[np.array(mesh.interiorFaces.value)]
        self.walls: Array = distances[np.array(mesh.exteriorFaces.value)]
        self.length = float(self.volume.sum())
        # external charge of displaced ions over C kT/q, for each unit of density (Ramo-Shockley; the wall at rest)
        self.dipole: Array = self.volume * (self.centre - 0.5 * self.length) / self.debye**2
        self.step: Array = -self.dipole * self.debye / self.length

    # -- pieces ----------------------------------------------------------------------------------------------

    def rest(self, wall: float = 0.0) -> IonState:
        """Ions evenly spread, the potential linear."""
        return IonState(np.ones(self.cells), wall * (1.0 - self.centre / self.length), wall)

    def contact_step(self, p: Array) -> float:
        """Potential that the ions' field at the walls drops over one Debye length, in kT/q.

        The film is neutral, so that field is the same at both walls; positive when the ions sit at the left.
        A small voltage that the ions screen gives half of it, with the opposite sign.
        """
        return float(self.step @ (p - 1.0))

    def steric(self, p: Array) -> Array:
        """Excess electrochemical potential of the lattice gas over kT."""
        return -np.log1p(-self.filling * p) if self.filling else np.zeros_like(p)

    def fluxes(self, p: Array, phi: Array) -> Array:
        """Flux over D through the inner faces, positive to the right, 1/m."""
        drop = np.diff(phi + self.steric(p))
        return (p[:-1] * bernoulli(drop) - p[1:] * bernoulli(-drop)) / self.distance

    def rate(self, p: Array, phi: Array) -> Array:
        """dp/dt, 1/s."""
        flux = np.concatenate([[0.0], self.fluxes(p, phi), [0.0]])
        return -self.D * np.diff(flux) / self.volume

    def _assemble(self, state: IonState, old: Array, tau: float) -> tuple[Array, Array]:
        """Residual, shape (2 cells,), and Jacobian in banded storage; rows and columns p0, phi0, p1, phi1, ..."""
        p, phi, wall = state
        d, h, n = self.distance, self.volume, self.cells
        drop = np.diff(phi + self.steric(p))
        forward, backward = bernoulli(drop), bernoulli(-drop)
        flux = (p[:-1] * forward - p[1:] * backward) / d
        slope = (p[:-1] * bernoulli_slope(drop) + p[1:] * bernoulli_slope(-drop)) / d
        stiffness = self.filling / (1.0 - self.filling * p)  # d(steric)/dp
        by_left, by_right = forward / d - slope * stiffness[:-1], -backward / d + slope * stiffness[1:]

        residual, storage = np.empty(2 * n), h / (self.D * tau)
        change = storage * (p - old)
        change[:-1] += flux
        change[1:] -= flux
        residual[0::2] = change
        displacement = np.diff(phi) / d
        poisson = h * (p - 1.0) / self.debye**2
        poisson[:-1] += displacement
        poisson[1:] -= displacement
        poisson[0] += (wall - phi[0]) / self.walls[0]
        poisson[-1] += (0.0 - phi[-1]) / self.walls[1]
        residual[1::2] = poisson

        band = np.zeros((2 * _BAND + 1, 2 * n))  # band[_BAND + row - column, column]
        diagonal = storage.copy()
        diagonal[:-1] += by_left
        diagonal[1:] -= by_right
        band[_BAND, 0::2] = diagonal
        band[_BAND - 2, 2::2] = by_right
        band[_BAND + 2, 0 : 2 * n - 2 : 2] = -by_left
        own = np.zeros(n)
        own[:-1] -= slope
        own[1:] -= slope
        band[_BAND - 1, 1::2] = own
        band[_BAND - 3, 3::2] = slope
        band[_BAND + 1, 1 : 2 * n - 2 : 2] = slope
        band[_BAND + 1, 0::2] = h / self.debye**2
        laplace = np.zeros(n)
        laplace[:-1] -= 1.0 / d
        laplace[1:] -= 1.0 / d
        laplace[0] -= 1.0 / self.walls[0]
        laplace[-1] -= 1.0 / self.walls[1]
        band[_BAND, 1::2] = laplace
        band[_BAND - 2, 3::2] = 1.0 / d
        band[_BAND + 2, 1 : 2 * n - 2 : 2] = 1.0 / d
        return residual, band

    # -- solutions -------------------------------------------------------------------------------------------

    def solve(
        self,
        guess: IonState,
        old: Array,
        tau_s: float,
        *,
        wall: float | None = None,
        load: tuple[float, float, float, float, float] | None = None,
        sweeps: int = 20,
    ) -> tuple[IonState, Array]:
        r"""One implicit stage, (p - old)/tau = dp/dt(p), by damped Newton iteration.

        Parameters
        ----------
        guess : IonState
            Start of the iteration.
        old : array, shape (cells,), 1
            Density that the stage starts from.
        tau_s : float, s, > 0
            Length of the stage.
        wall : float, kT/q
            Potential of the left wall; or else
        load : tuple (C, G0, ideality, wall_old, target)
            Find the wall potential at which the current
            :math:`C\,[w - w_\mathrm{old} + \mathbf{d}\cdot(p - p_\mathrm{old})]/\tau + G_0 e^{s/\eta}\,w` is
            `target`, with d the ions' :attr:`dipole` weights and s the :meth:`contact_step`: displacement, ions and
            electrons of a current-limited source.
        sweeps : int, >= 1
            Newton updates allowed.

        Returns
        -------
        IonState, array
            The solution, and the Jacobian of the last sweep in banded storage.

        Raises
        ------
        ConvergenceError
            With the last relative update.
        """
        n = self.cells
        start = guess.wall if wall is None else wall
        p, phi, w = guess.p, guess.phi + (start - guess.wall) * (1.0 - self.centre / self.length), start
        ceiling = 1.0 / self.filling if self.filling else np.inf
        size = np.inf
        for _ in range(sweeps):
            residual, band = self._assemble(IonState(p, phi, w), old, tau_s)
            columns = np.zeros((2 * n, 2 if load else 1))
            columns[:, 0] = -residual
            if load:
                columns[1, 1] = -1.0 / self.walls[0]
            try:
                # never overwrite: the caller filters its error estimate with this matrix
                update = solve_banded((_BAND, _BAND), band, columns, check_finite=False)
            except LinAlgError as error:
                raise ConvergenceError("The linear system of the ion film is singular", got=str(error)) from error
            step, dw = update[:, 0], 0.0
            if load:
                C, G0, ideality, w_old, target = load
                G = G0 * np.exp(self.contact_step(p) / ideality)
                excess = C * (w - w_old + self.dipole @ (p - old)) / tau_s + G * w - target
                by_p = self.step * (G * w / ideality) + self.dipole * (C / tau_s)
                dw = -(excess + by_p @ update[0::2, 0]) / (C / tau_s + G + by_p @ update[0::2, 1])
                step = step + dw * update[:, 1]
            dp, dphi = step[0::2], step[1::2]
            if not np.isfinite(step).all():
                raise ConvergenceError("Newton iteration of the ion film met a number that is not finite", got=size)
            size = max(float(np.abs(dphi).max()), float((np.abs(dp) / (1.0 + np.abs(p))).max()), abs(dw))
            damping = min(1.0, _DAMPING / max(float(np.abs(dphi).max()), abs(dw), 1e-300))
            if ceiling < np.inf and (p + damping * dp >= ceiling).any():
                rising = dp > 0
                damping = min(damping, float((0.9 * (ceiling - p[rising]) / dp[rising]).min()))
            p, phi, w = p + damping * dp, phi + damping * dphi, w + damping * dw
            if damping == 1.0 and size < _CONVERGED:
                return IonState(p, phi, w), band
        raise ConvergenceError(
            f"Newton iteration of the ion film did not converge in {sweeps} sweeps",
            got=f"a last update of {size:.3g}",
            allowed=f"< {_CONVERGED:g}",
        )

    def filtered(self, band: Array, values: Array, tau_s: float) -> Array:
        """(1 - tau dF/dp)^-1 applied to a density: damps what the stiff part of the equations would damp."""
        column = np.zeros(2 * self.cells)
        column[0::2] = self.volume / (self.D * tau_s) * values
        return solve_banded((_BAND, _BAND), band, column, check_finite=False)[0::2]

    def fipy_solve(self, guess: IonState, old: Array, tau_s: float, *, wall: float, sweeps: int = 60) -> IonState:
        """The stage of :meth:`solve` at a given wall potential, in FiPy terms: the reference form.

        Notes
        -----
        Newton in the potential through the analytic derivative of the exponential flux; the steric part is lagged.
        FiPy sets the exponential weight to 1/2 below a Peclet number of 1e-3, which moves such a flux by less
        than 1e-7 of its diffusive part.

        Raises
        ------
        ConvergenceError
            If the sweeps do not converge, or FiPy's solver warns.
        """
        from fipy import (
            CellVariable,
            DiffusionTerm,
            ExponentialConvectionTerm,
            FaceVariable,
            ImplicitSourceTerm,
            TransientTerm,
        )
        from fipy.solvers.solver import SolverConvergenceWarning

        mesh = self.mesh
        p = CellVariable(mesh=mesh, name="p", value=old, hasOld=True)
        phi = CellVariable(
            mesh=mesh, name="phi", value=guess.phi + (wall - guess.wall) * (1 - self.centre / self.length)
        )
        p.updateOld()
        p.setValue(guess.p)
        phi.constrain(wall, mesh.facesLeft)
        phi.constrain(0.0, mesh.facesRight)
        inner = np.array(mesh.interiorFaces.value)
        drift = FaceVariable(mesh=mesh, rank=1, value=0.0)
        slope = FaceVariable(mesh=mesh, value=0.0)
        gradient = FaceVariable(mesh=mesh, rank=1, value=0.0)
        ions = TransientTerm(coeff=1.0 / self.D, var=p) == (
            DiffusionTerm(coeff=1.0, var=p)
            + ExponentialConvectionTerm(coeff=drift, var=p)
            + DiffusionTerm(coeff=slope, var=phi)
            - gradient.divergence
        )
        poisson = (
            DiffusionTerm(coeff=1.0, var=phi)
            + ImplicitSourceTerm(coeff=1.0 / self.debye**2, var=p)
            - CellVariable(mesh=mesh, value=1.0 / self.debye**2)
            == 0.0
        )
        system, solver, size = ions & poisson, direct(), np.inf
        for _ in range(sweeps):
            density, potential = np.array(p.value), np.array(phi.value)
            drop = np.diff(potential + self.steric(density))
            newton = -(density[:-1] * bernoulli_slope(drop) + density[1:] * bernoulli_slope(-drop))
            faces = np.zeros((3, inner.size))
            faces[:, inner] = drop / self.distance, newton, newton * np.diff(potential) / self.distance
            drift.setValue(faces[None, 0])
            slope.setValue(faces[1])
            gradient.setValue(faces[None, 2])
            with warnings.catch_warnings():
                warnings.simplefilter("error", SolverConvergenceWarning)
                try:
                    system.sweep(dt=tau_s, solver=solver)
                except SolverConvergenceWarning as warning:
                    raise ConvergenceError("FiPy's solver did not converge", got=str(warning)) from warning
            change = np.abs(phi.value - potential).max()
            size = max(float(change), float((np.abs(p.value - density) / (1 + np.abs(density))).max()))
            if change > _DAMPING:
                phi.setValue(potential + (phi.value - potential) * _DAMPING / change)
                p.setValue(density + (p.value - density) * _DAMPING / change)
            elif size < 1e-11:
                return IonState(np.array(p.value), np.array(phi.value), wall)
        raise ConvergenceError(
            f"The FiPy form of the ion film did not converge in {sweeps} sweeps",
            got=f"a last update of {size:.3g}",
            allowed="< 1e-11",
        )
