r"""Poisson-Nernst-Planck equations of charged species between two contacts, on a one-dimensional FiPy mesh.

Scaled unknowns: densities :math:`p_s = P_s/N`, potential :math:`\varphi = \phi/V_t`, :math:`V_t = k_BT/q`; lengths
and times stay in m and s:

.. math::

   \frac{\partial p_s}{\partial t} &= \nabla\cdot D_s\left(\nabla p_s + p_s\,\nabla\Phi_s\right)
       - \sum_k \frac{\partial t_k}{\partial t} + g_s, \qquad
   \Phi_s = z_s\varphi + e_s - \ln\left(1 - f_s\,p_s\right) \\
   \frac{\partial t_k}{\partial t} &= c_k\,p_s\left(1 - \frac{t_k}{T_k}\right) - r_k\,t_k \\
   \nabla\cdot\epsilon\nabla\varphi &= -\kappa\left[\sum_s z_s\left(p_s + \sum_k t_k\right) + \rho_0\right],
       \qquad \kappa = \frac{q N}{\epsilon_\mathrm{ref} V_t}

The logarithm is the steric term of a lattice gas (Bikerman): ions pile up to one per site, :math:`f_s` is N over the
density of sites of their own sublattice. The t_k are ions that do not move: captured and released at their own rates.
The flux between two cells is exponential (Scharfetter-Gummel) in :math:`\Phi`, so a flat electrochemical potential
carries none. Face values of D and of the permittivity are harmonic means. Through a contact

.. math:: J_s = k_s\,(p_s^\mathrm{wall} - p_s^\mathrm{eq}),

with k = 0 (blocking), finite (exchange of ions, Schottky emission) or infinite (ohmic, fixed density); half a cell of
the film lies between the cell and its wall.

The scheme exists twice: :func:`halidrift.fem.reference.fipy_stage` writes it in FiPy terms, :meth:`Equations.solve`
is a compiled full Newton on the same finite volumes, some thousand times faster. Tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ..physics.errors import ConvergenceError, InputError
from . import _march, _transport

__all__ = ["BLOCKING", "Boundary", "Carrier", "Equations", "Level", "State", "graded_widths", "line_mesh"]

Array = NDArray[np.float64]

CONVERGED = 1e-9  # Newton converges quadratically: an update this small leaves an error near rounding


def graded_widths(thickness_m: float, cells: int, wall_m: float) -> Array:
    """Widths of cells that grow geometrically from both ends to the middle, m.

    Parameters
    ----------
    thickness_m : float, m, > 0
        Their sum.
    cells : int, even, >= 10
        Number of cells.
    wall_m : float, m, > 0
        Width of the two outermost cells; a mesh that is finer than this throughout is uniform.

    Returns
    -------
    array, shape (cells,), m

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if isinstance(cells, bool) or not cells >= 10 or cells % 2:
        raise InputError("cells must be an even whole number", got=cells, allowed=">= 10")
    for name, value in (("thickness_m", thickness_m), ("wall_m", wall_m)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive", got=f"{value} m", allowed="> 0 m")
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
    return np.concatenate([widths, widths[::-1]])


def line_mesh(widths_m: Array) -> Any:
    """FiPy's mesh of a line of cells of these widths.

    Parameters
    ----------
    widths_m : array, shape (cells,), m, > 0
    """
    # FiPy reads sys.argv when it is imported; our command line defines none of its flags.
    from fipy import Grid1D

    return Grid1D(dx=widths_m)


class Boundary(NamedTuple):
    """A contact to one species: one over its exchange rate (s/m), scaled density in equilibrium, energy (kT).

    Attributes
    ----------
    hindrance_s_m : float, s/m, >= 0
        One over the exchange rate: 0 holds the density, inf blocks.
    reservoir : float, >= 0
        Density in equilibrium with the contact, over the reference density.
    energy : float or None, kT
        Energy of the species at the contact; None is that of the cell at the wall.
    """

    hindrance_s_m: float = np.inf
    reservoir: float = 0.0
    energy: float | None = None  # None: that of the cell at the wall


BLOCKING = Boundary()


@dataclass(frozen=True, eq=False)
class Carrier:
    """A mobile species in scaled units, with what it leaves behind immobile.

    Parameters
    ----------
    charge : float
        Charge number.
    diffusivity_m2_s : float or array, shape (cells,), m^2/s, >= 0
        Zero where the species has no access.
    filling : float or array, shape (cells,), >= 0
        Reference density over site density; 0 switches the steric term off.
    energy : float or array, shape (cells,), kT
        Standard energy.
    left, right : Boundary
        At the two contacts.
    source : float or array, shape (cells,), 1/s
        Generation of scaled density.
    release_Hz : array, shape (traps,), Hz, > 0
        Release rate of each immobile population.
    capture_Hz : array, shape (traps,) or (traps, cells), Hz, >= 0
        Capture rate of a mobile ion while the traps are empty.
    crowding : float or array, broadcast to (traps, cells)
        Reference density over density of traps; 0 is no limit.
    scale : float, > 0
        Scaled density that errors are measured against, beside the density itself.
    """

    charge: float
    diffusivity_m2_s: ArrayLike
    filling: ArrayLike = 0.0
    energy: ArrayLike = 0.0
    left: Boundary = BLOCKING
    right: Boundary = BLOCKING
    source: ArrayLike = 0.0
    release_Hz: ArrayLike = ()
    capture_Hz: ArrayLike = ()
    crowding: ArrayLike = 0.0
    scale: float = 1.0


class Level(NamedTuple):
    """Carriers in quasi-equilibrium with one contact: charge number, density where the potential is that contact's.

    Attributes
    ----------
    charge : float
        Charge number.
    density : array, shape (cells,), >= 0
        Over the reference density, where the potential is that of the contact.
    contact : int, 0 or 1
        The left one or the right one.
    """

    charge: float
    density: ArrayLike
    contact: int  # 0 left, 1 right


class State(NamedTuple):
    """Scaled densities (species, cells), immobile ones (traps, cells), potential (cells,) and that of the left wall.

    Attributes
    ----------
    p : array, shape (species, cells)
        Mobile densities over the reference density.
    t : array, shape (traps, cells)
        Immobile densities over the reference density.
    phi : array, shape (cells,), kT/q
        Potential against the right wall.
    wall : float, kT/q
        Potential of the left wall.
    """

    p: Array
    t: Array
    phi: Array
    wall: float


class Equations:
    """Finite volumes of the scaled equations on one mesh.

    Parameters
    ----------
    mesh : fipy mesh
        One-dimensional.
    carriers : sequence of Carrier
        At least one.
    screening_1_m2 : float, 1/m^2, > 0
        kappa of the module docstring; for one species of unit charge and density, one over its Debye length squared.
    fixed : float or array, shape (cells,)
        Charge that never moves, over that of the reference density.
    permittivity : float or array, shape (cells,), > 0
        Over the reference permittivity.
    levels : sequence of Level
        Carriers in quasi-equilibrium.
    pair : tuple of two int
        Species that recombine with each other at `recombination` times (p_a p_b - `balance`), 1/s.
    recombination : float or array, shape (cells,), 1/s, >= 0
    balance : float or array, shape (cells,), >= 0
        Product of the scaled densities of the pair that does not recombine.

    Notes
    -----
    The left wall is at the potential that the caller states, the right wall at zero.
    """

    def __init__(
        self,
        mesh: Any,
        carriers: Sequence[Carrier],
        *,
        screening_1_m2: float,
        fixed: ArrayLike = 0.0,
        permittivity: ArrayLike = 1.0,
        levels: Sequence[Level] = (),
        pair: tuple[int, int] = (0, 0),
        recombination: ArrayLike = 0.0,
        balance: ArrayLike = 0.0,
    ):
        self.mesh, self.carriers = mesh, tuple(carriers)
        self.volume: Array = np.array(mesh.cellVolumes, dtype=float)
        self.centre: Array = np.array(mesh.cellCenters.value[0], dtype=float)
        n = self.cells = self.volume.size
        inner = np.array(mesh.interiorFaces.value)
        left, right = np.array(mesh.faceCellIDs)[:, inner]
        if not (np.array_equal(left, np.arange(n - 1)) and np.array_equal(right, left + 1)):
            raise InputError("Equations need a one-dimensional mesh whose cells are in order", got=repr(mesh))
        # faces in the order of the cells, the two walls at the ends
        distances: Array = np.array(mesh.scaledCellDistances, dtype=float)
        walls = np.array(mesh.exteriorFaces.value)
        self.distance: Array = np.concatenate([distances[walls][:1], distances[inner], distances[walls][1:]])
        self.length = float(self.volume.sum())
        self.permittivity = self.over_cells(permittivity)
        displacement = self.face(self.permittivity) / self.distance
        series = np.cumsum(1.0 / displacement)
        traps = [np.atleast_1d(np.asarray(c.release_Hz, dtype=float)) for c in self.carriers]
        wide = [(r.size, n) for r in traps]
        q = self.problem = _transport.Problem(
            charge=tuple(float(c.charge) for c in self.carriers),
            scale=np.array([float(c.scale) for c in self.carriers]),
            volume=self.volume,
            displacement=displacement,
            weight=1.0 - series[:-1] / series[-1],
            screening=float(screening_1_m2),
            fixed=self.over_cells(fixed),
            mobility=np.array([self.face(self.over_cells(c.diffusivity_m2_s)) / self.distance for c in self.carriers]),
            offset=np.array([self.over_cells(c.energy) for c in self.carriers]),
            filling=np.array([self.over_cells(c.filling) for c in self.carriers]),
            hindrance=np.array([[float(b.hindrance_s_m) for b in (c.left, c.right)] for c in self.carriers]),
            reservoir=np.array([[float(b.reservoir) for b in (c.left, c.right)] for c in self.carriers]),
            step=np.array([[self.at_contact(c, b, i) for b, i in ((c.left, 0), (c.right, -1))] for c in self.carriers]),
            source=np.array([self.over_cells(c.source) for c in self.carriers]),
            pair=np.array(pair, dtype=np.int64),
            recombination=self.over_cells(recombination),
            balance=self.over_cells(balance),
            host=np.repeat(np.arange(len(traps)), [r.size for r in traps]),
            release=np.concatenate(traps),
            capture=np.concatenate([_wide(c.capture_Hz, w) for c, w in zip(self.carriers, wide, strict=True)]),
            crowding=np.concatenate([_wide(c.crowding, w) for c, w in zip(self.carriers, wide, strict=True)]),
            level_charge=np.array([float(v.charge) for v in levels]),
            level=np.array([self.over_cells(v.density) for v in levels]).reshape(len(levels), n),
            level_wall=np.array([int(v.contact) for v in levels], dtype=np.int64),
        )
        self.capacitance = float(1.0 / series[-1])  # geometric, over the reference permittivity and the area, 1/m
        # external charge of displaced ions over C kT/q, for each unit of density (Ramo-Shockley; the wall at rest)
        self.dipole: Array = q.screening * self.volume * (0.5 - q.weight) / self.capacitance

    # -- pieces ----------------------------------------------------------------------------------------------

    def over_cells(self, value: ArrayLike) -> Array:
        """A value for each cell.

        Parameters
        ----------
        value : float or array, shape (cells,)

        Returns
        -------
        array, shape (cells,)
        """
        return np.array(np.broadcast_to(np.asarray(value, dtype=float), (self.cells,)), order="C")

    def face(self, value: Array) -> Array:
        """Harmonic means of cell values, faces in the order of the cells; at the walls those of the cells there.

        Parameters
        ----------
        value : array, shape (cells,), >= 0

        Returns
        -------
        array, shape (cells + 1,)
        """
        half = 0.5 * self.volume
        with np.errstate(divide="ignore"):
            inner = (half[:-1] + half[1:]) / (half[:-1] / value[:-1] + half[1:] / value[1:])
        return np.concatenate([value[:1], inner, value[-1:]])

    def at_contact(self, carrier: Carrier, boundary: Boundary, cell: int) -> float:
        """Energy of a species at a contact over kT, steric part of the reservoir included.

        Parameters
        ----------
        carrier : Carrier
        boundary : Boundary
        cell : int
            Cell at that contact, whose energy and filling hold there.

        Returns
        -------
        float, kT
        """
        energy = self.over_cells(carrier.energy)[cell] if boundary.energy is None else boundary.energy
        full = self.over_cells(carrier.filling)[cell] * boundary.reservoir
        if not full < 1.0:
            raise InputError("A contact holds more ions than there are sites", got=f"{full:g} of them")
        return float(energy - np.log1p(-full))

    def charge(self, state: State) -> Array:
        """Charge of the species, mobile or not, and of the fixed background; carriers in quasi-equilibrium apart.

        Parameters
        ----------
        state : State

        Returns
        -------
        array, shape (cells,)
            Over the elementary charge and the reference density.
        """
        z = np.array(self.problem.charge)
        return z @ state.p + z[self.problem.host] @ state.t + self.problem.fixed

    def rest(self, p: ArrayLike = 1.0, wall: float = 0.0) -> State:
        """Species as given, broadcast to (species, cells), traps in balance with them; potential of an empty film.

        Parameters
        ----------
        p : float or array, broadcast to (species, cells), >= 0
            Densities over the reference density.
        wall : float, kT/q
            Potential of the left wall.
        """
        q = self.problem
        density = np.array(np.broadcast_to(np.asarray(p, dtype=float), (len(q.charge), self.cells)), order="C")
        mobile = q.capture * density[q.host]
        trapped = mobile / (q.release[:, None] + mobile * q.crowding)
        return State(density, trapped, wall * q.weight, wall)

    def contact_density(self, state: State) -> Array:
        """Scaled densities at the two contacts, shape (species, 2), from those half a cell away.

        Where a contact blocks, no flux passes the last half cell, so its electrochemical potential is flat; a contact
        that exchanges shows its own balance.

        Parameters
        ----------
        state : State

        Returns
        -------
        array, shape (species, 2)
            Over the reference density; left contact first.
        """
        q, out = self.problem, np.empty((len(self.carriers), 2))
        work = self.work()
        p, phi = (np.ascontiguousarray(a, dtype=float) for a in (state.p, state.phi))
        _transport.contacts(q, work, p, phi, float(state.wall))
        for side, cell, potential in ((0, 0, state.wall), (1, -1, 0.0)):
            for s, z in enumerate(q.charge):
                if q.mobility[s, cell] > 0.0 and np.isfinite(q.hindrance[s, side]):
                    out[s, side] = q.reservoir[s, side] + work.contact[side, s, 0] * q.hindrance[s, side]
                else:
                    full = q.filling[s, cell]
                    free = p[s, cell] / (1.0 - full * p[s, cell]) * np.exp(z * (phi[cell] - potential))
                    out[s, side] = free / (1.0 + full * free)
        return out

    def rate(self, state: State) -> Array:
        """dp/dt, shape (species, cells), 1/s.

        Parameters
        ----------
        state : State
        """
        # a stage of 1 s in which nothing has happened yet leaves the divergence of the fluxes as its residual
        work, charge = self.work(), np.zeros(self.cells)
        p, phi = (np.ascontiguousarray(a, dtype=float) for a in (state.p, state.phi))
        _transport.factor(self.problem, work, p, phi, float(state.wall), p, charge, 1.0)
        out = work.column[:, :-1].T / self.volume
        for host, held in zip(self.problem.host, self.held(state), strict=True):
            out[host] -= held
        return out

    def held(self, state: State) -> Array:
        """Rate at which the immobile populations grow, shape (traps, cells), 1/s.

        Parameters
        ----------
        state : State
        """
        q = self.problem
        return q.capture * state.p[q.host] * (1.0 - q.crowding * state.t) - q.release[:, None] * state.t

    # -- solutions -------------------------------------------------------------------------------------------

    def work(self) -> _transport.Work:
        """Scratch arrays of the compiled solver."""
        n, species = self.cells, len(self.carriers)
        block = species + 1
        cells, across = (n, block), (species, n)
        return _transport.Work(
            diagonal=np.zeros((n, block, block)),
            upper=np.zeros((n, block, block)),
            lower=np.zeros((n, block, 2)),
            column=np.zeros(cells),
            second=np.zeros(cells),
            row=np.zeros(cells),
            excess=np.zeros(across),
            stiffness=np.zeros(across),
            base=np.zeros(across),
            gain=np.zeros(across),
            contact=np.zeros((2, species, 3)),
        )

    def frames(self, state: State, load: _transport.Load | None = None, source: float | None = None) -> _march.Frames:
        """Room for a step of the compiled integrator; `now` is `state` with its rates and currents.

        `source` (kT/q) is the voltage that the source asks for; if the wall is not there, the current limit acts.

        Parameters
        ----------
        state : State
        load : Load, optional
            Electrons beside the species; none by default.
        source : float, kT/q, optional
        """
        q, load = self.problem, load or self.no_load()
        circuit = np.zeros(_march.CIRCUIT + 2 * len(self.carriers))
        circuit[_march.WALL] = state.wall
        values = (state.p, state.t, state.phi, self.rate(state), self.held(state), circuit)
        now, first, second = (_march.Frame(*(np.array(a, dtype=float, order="C") for a in values)) for _ in range(3))
        fed = _transport.supplied(q, now.phi, float(state.wall))
        _march.close(q, self.work(), load, now, float(state.wall), fed, 1.0)
        if source is not None:
            now.circuit[_march.LIMITED] = np.sign(source - state.wall)
        return _march.Frames(now, first, second, now.p.copy(), now.t.copy(), np.zeros(self.cells))

    def no_load(self) -> _transport.Load:
        """A film that conducts through its species alone."""
        return _transport.Load(0.0, 1.0, np.zeros(self.cells))

    def solve(
        self,
        guess: State,
        old: State,
        tau_s: float,
        *,
        wall: float,
        sweeps: int = 20,
        work: _transport.Work | None = None,
    ) -> State:
        """One implicit stage, (p - old)/tau = dp/dt(p), by damped Newton iteration.

        Parameters
        ----------
        guess : State
            Start of the iteration.
        old : State
            Densities that the stage starts from.
        tau_s : float, s, > 0
            Length of the stage.
        wall : float, kT/q
            Potential of the left wall.
        sweeps : int, >= 1
            Newton updates allowed.
        work : Work, optional
            Scratch arrays of :meth:`work` to use again.

        Returns
        -------
        State

        Raises
        ------
        ConvergenceError
            With the last relative update.
        """
        p, t, phi = (np.array(a, dtype=float, order="C") for a in guess[:3])
        status, w, size = _transport.stage(
            self.problem,
            work or self.work(),
            p,
            t,
            phi,
            float(guess.wall),
            np.ascontiguousarray(old.p, dtype=float),
            np.ascontiguousarray(old.t, dtype=float),
            0.0,
            0.0,
            np.zeros(self.cells),
            float(tau_s),
            self.no_load(),
            float(wall),
            False,
            int(sweeps),
            CONVERGED,
        )
        if status != _transport.SOLVED:
            raise ConvergenceError(
                f"Newton iteration of a stage of {tau_s:g} s {failure(status)}",
                got=f"a last update of {size:.3g}",
                allowed=f"< {CONVERGED:g} within {sweeps} sweeps",
            )
        return State(p, t, phi, w)


def _wide(value: ArrayLike, shape: tuple[int, int]) -> Array:
    array = np.asarray(value, dtype=float)
    if array.ndim == 1:
        array = array[:, None]
    if not shape[0]:
        return np.zeros(shape)
    return np.array(np.broadcast_to(array, shape), order="C")


def failure(status: int) -> str:
    """What a status of the compiled solver means."""
    return {
        _transport.TOO_MANY_SWEEPS: "did not converge",
        _transport.NOT_FINITE: "met a number that is not finite",
        _transport.SINGULAR: "met a singular matrix",
    }[int(status)]
