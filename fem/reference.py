"""The transport equations in FiPy terms: what the compiled solver is proven equal to.

Slow (FiPy spends nearly all of a 1D step in Python), general in the same way as
:class:`halidrift.fem.equations.Equations`, and written independently of it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import ConvergenceError
from .equations import Equations, State
from .solvers import direct

__all__ = ["bernoulli", "bernoulli_slope", "fipy_stage"]

Array = NDArray[np.float64]

_SERIES = 1e-2  # |x| below which the power series is exact to rounding and the closed form is not
_LARGEST_EXPONENT = 500.0
_DAMPING = 5.0  # largest change of the scaled potential in one sweep, kT/q
_CONVERGED = 1e-11


def bernoulli(x: Array) -> Array:
    """The Bernoulli function x / (exp(x) - 1).

    Parameters
    ----------
    x : array

    Returns
    -------
    array, of the shape of `x`

    Examples
    --------
    >>> bernoulli(np.array([0.0, 1.0])).round(6).tolist()
    [1.0, 0.581977]
    """
    safe = np.where(np.abs(x) < _SERIES, 1.0, np.minimum(x, _LARGEST_EXPONENT))
    series = 1.0 - x / 2 + x**2 / 12 - x**4 / 720
    return np.where(np.abs(x) < _SERIES, series, safe / np.expm1(safe))


def bernoulli_slope(x: Array) -> Array:
    """Derivative of :func:`bernoulli`.

    Parameters
    ----------
    x : array

    Returns
    -------
    array, of the shape of `x`
    """
    safe = np.where(np.abs(x) < _SERIES, 1.0, np.minimum(x, _LARGEST_EXPONENT))
    series = -0.5 + x / 6 - x**3 / 180 + x**5 / 5040
    value = safe / np.expm1(safe)
    return np.where(np.abs(x) < _SERIES, series, value / safe * (1.0 - value - safe))


def fipy_stage(
    equations: Equations, guess: State, old: State, tau_s: float, *, wall: float, sweeps: int = 200
) -> State:
    """The stage of :meth:`Equations.solve` in FiPy terms.

    Parameters
    ----------
    equations : Equations
        Mesh, species, layers, contacts.
    guess, old : State
        Start of the iteration, and what the stage starts from.
    tau_s : float, s, > 0
        Length of the stage.
    wall : float, kT/q
        Potential of the left wall.
    sweeps : int, >= 1
        Updates allowed.

    Returns
    -------
    State

    Raises
    ------
    ConvergenceError
        If the sweeps do not converge, or FiPy's solver warns.

    Notes
    -----
    Newton in the potential through the analytic derivative of the exponential flux; the steric part, what traps
    take, recombination and carriers in quasi-equilibrium are lagged or linearised in one variable, so a stage takes
    more sweeps than the full Newton. FiPy sets the exponential weight to 1/2 below a Peclet number of 1e-3, which
    moves such a flux by less than 1e-7 of its diffusive part. It has no exponential scheme for a face without
    diffusion, so there the coefficient is a number that no result can see.
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

    q, mesh, h = equations.problem, equations.mesh, equations.volume
    inner = np.array(mesh.interiorFaces.value)
    ends = np.flatnonzero(np.array(mesh.exteriorFaces.value))  # left, right
    order = np.concatenate([ends[:1], np.flatnonzero(inner), ends[1:]])

    def cells(value: Array, name: str = "") -> CellVariable:
        return CellVariable(mesh=mesh, value=value, name=name)

    def faces(value: Array) -> Array:
        """Values in the order of the cells to FiPy's order of faces."""
        out = np.zeros(order.size)
        out[order] = value
        return out

    permittivity = cells(equations.permittivity).harmonicFaceValue
    phi = cells(guess.phi + (wall - guess.wall) * q.weight, "phi")
    phi.constrain(wall, mesh.facesLeft)
    phi.constrain(0.0, mesh.facesRight)
    background, stiff = cells(np.zeros(h.size)), cells(np.zeros(h.size))
    species = []
    trapped = [np.zeros(h.size) for _ in q.charge]
    for s, carrier in enumerate(equations.carriers):
        p = CellVariable(mesh=mesh, name=f"p{s}", value=old.p[s], hasOld=True)
        p.updateOld()
        p.setValue(guess.p[s])
        # no face without diffusion: 1e-20 of the largest changes nothing
        diffusivity = equations.over_cells(carrier.diffusivity_m2_s)
        # both equations in 1/m2: rows of unlike size would let FiPy's solver stop at the larger
        unit = 1.0 / diffusivity.max()
        spread = FaceVariable(mesh=mesh, value=faces(equations.face(np.maximum(diffusivity * unit, 1e-20))))
        fixed = [b.hindrance_s_m == 0.0 for b in (carrier.left, carrier.right)]
        for side, at in ((0, mesh.facesLeft), (1, mesh.facesRight)):
            if fixed[side]:
                p.constrain(q.reservoir[s, side], at)
        drift, slope = FaceVariable(mesh=mesh, rank=1, value=0.0), FaceVariable(mesh=mesh, value=0.0)
        gradient = FaceVariable(mesh=mesh, rank=1, value=0.0)
        # by contacts, traps, recombination; and what the potential of a cell at a wall changes there
        lost, gained, pull = (cells(np.zeros(h.size)) for _ in range(3))
        species.append((p, spread, unit, fixed, drift, slope, gradient, lost, gained, pull))

    def system() -> Any:
        """The coupled equations; made anew in each sweep if FiPy would keep the weights of faces with a fixed value."""
        poisson = DiffusionTerm(coeff=permittivity, var=phi) + background - ImplicitSourceTerm(coeff=stiff, var=phi)
        poisson = poisson + cells(q.screening * q.fixed)
        for s, (p, *_) in enumerate(species):
            poisson = poisson + ImplicitSourceTerm(coeff=q.screening * q.charge[s], var=p)
        coupled = poisson == 0.0
        for p, spread, unit, _, drift, slope, gradient, lost, gained, pull in species:
            coupled = coupled & (
                TransientTerm(coeff=unit, var=p)
                == DiffusionTerm(coeff=spread, var=p)
                + ExponentialConvectionTerm(coeff=drift, var=p)
                + DiffusionTerm(coeff=slope, var=phi)
                - gradient.divergence
                - ImplicitSourceTerm(coeff=lost, var=p)
                - ImplicitSourceTerm(coeff=pull, var=phi)
                + gained
            )
        return coupled

    held = any(b.hindrance_s_m == 0.0 for c in equations.carriers for b in (c.left, c.right))
    coupled, solver, size = system(), direct(), np.inf
    for _ in range(sweeps):
        potential = np.array(phi.value)
        densities = np.array([np.array(item[0].value) for item in species])
        outside = np.concatenate([[wall], potential, [0.0]])
        charge = np.zeros(h.size)
        for s, (_, spread, unit, fixed, drift, slope, gradient, lost, gained, pull) in enumerate(species):
            z, p, diffusivity = q.charge[s], densities[s], np.array(spread.value)[order]
            energy = q.offset[s] - np.log1p(-q.filling[s] * p)
            drop = np.diff(z * outside + np.concatenate([q.step[s, :1], energy, q.step[s, 1:]]))
            ends_p = np.concatenate([q.reservoir[s, :1], p, q.reservoir[s, 1:]])
            newton = -z * diffusivity * (ends_p[:-1] * bernoulli_slope(drop) + ends_p[1:] * bernoulli_slope(-drop))
            carried = diffusivity * drop / equations.distance
            loss, gain = np.zeros(h.size), q.source[s].copy()
            swing = np.zeros(h.size)
            for side, i, face in ((0, 0, 0), (1, -1, -1)):
                outward = np.array([1.0, -1.0]) * (-drop[face] if side == 0 else drop[face])
                newton[face] = 0.0
                if q.mobility[s, face] == 0.0 or np.isinf(q.hindrance[s, side]):
                    carried[face] = 0.0
                    continue
                (ahead, back), (d, d_back) = bernoulli(outward), bernoulli_slope(outward)
                hindrance, reservoir = q.hindrance[s, side], q.reservoir[s, side]
                resistance = 1.0 / q.mobility[s, face] + hindrance * back
                flux = (p[i] * ahead - reservoir * back) / resistance
                swing[i] = -z * (p[i] * d + (reservoir + flux * hindrance) * d_back) / resistance / h[i]
                if not fixed[side]:
                    carried[face] = 0.0
                    loss[i] += ahead / resistance / h[i]
                    gain[i] += reservoir * back / resistance / h[i]
            gain += swing * potential
            pull.setValue(swing * unit)
            taken = np.zeros(h.size)
            for m in (m for m, host in enumerate(q.host) if host == s):
                c, crowd, before = q.capture[m], q.crowding[m], old.t[m]
                room = tau_s / (1.0 + tau_s * (q.release[m] + c * crowd * p))
                by_p = room * c * (1.0 - crowd * before)
                loss += by_p / tau_s
                gain += room * q.release[m] * before / tau_s
                taken += before + room * (c * p * (1.0 - crowd * before) - q.release[m] * before)
            trapped[s] = taken
            charge += z * taken
            if s in q.pair and q.recombination.any():
                partner = q.pair[1] if s == q.pair[0] else q.pair[0]
                loss += q.recombination * densities[partner]
                gain += q.recombination * q.balance
            drift.setValue(faces(carried)[None])
            slope.setValue(faces(newton))
            gradient.setValue(faces(newton * np.diff(outside) / equations.distance)[None])
            lost.setValue(loss * unit)
            gained.setValue(gain * unit)
        steep = np.zeros(h.size)
        for z, level, contact in zip(q.level_charge, q.level, q.level_wall, strict=True):
            density = z * level * np.exp(-z * (potential - (wall if contact == 0 else 0.0)))
            charge += density
            steep += z * density
        background.setValue(q.screening * (charge + steep * potential))
        stiff.setValue(q.screening * steep)
        with warnings.catch_warnings():
            warnings.simplefilter("error", SolverConvergenceWarning)
            try:
                (system() if held else coupled).sweep(dt=tau_s, solver=solver)
            except SolverConvergenceWarning as warning:
                raise ConvergenceError("FiPy's solver did not converge", got=str(warning)) from warning
        change = float(np.abs(phi.value - potential).max())
        found = np.array([np.array(item[0].value) for item in species])
        size = max(change, float((np.abs(found - densities) / (q.scale[:, None] + np.abs(densities))).max()))
        if change > _DAMPING:
            phi.setValue(potential + (phi.value - potential) * _DAMPING / change)
            for item, before, after in zip(species, densities, found, strict=True):
                item[0].setValue(before + (after - before) * _DAMPING / change)
        elif size < _CONVERGED:
            t = np.array(old.t)
            for m, s in enumerate(q.host):
                c, crowd = q.capture[m], q.crowding[m]
                room = tau_s / (1.0 + tau_s * (q.release[m] + c * crowd * found[s]))
                t[m] += room * (c * found[s] * (1.0 - crowd * old.t[m]) - q.release[m] * old.t[m])
            return State(found, t, np.array(phi.value), wall)
    raise ConvergenceError(
        f"The FiPy form did not converge in {sweeps} sweeps",
        got=f"a last update of {size:.3g}",
        allowed=f"< {_CONVERGED:g}",
    )
