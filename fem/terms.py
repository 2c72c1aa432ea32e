"""The coupled film in FiPy's own terms: the reference that the assembled form is proven equal to.

Slow (tens of milliseconds for each sweep of the three equations), and written to be read as the equations.
"""

from __future__ import annotations

import numpy as np

from ..physics.errors import ConvergenceError, InputError
from .circuit import Circuit
from .coupled import Equations, Fields
from .meshes import Cells, Grid
from .solvers import direct

__all__ = ["solve", "sweep"]


def solve(
    equations: Equations, guess: Fields, base: Fields, tau: float, circuit: Circuit, *, tolerance: float, sweeps: int
) -> Fields:
    """An implicit stage by lagged sweeps of three FiPy equations; as :func:`halidrift.fem.turns.solve`.

    Parameters
    ----------
    equations : Equations
        With contacts that let no ion through.
    guess, base : Fields
    tau : float, s
    circuit : Circuit
    tolerance : float
        Largest relative change in the last sweep.
    sweeps : int, >= 1

    Raises
    ------
    InputError
        If a contact holds the density of the ions.
    ConvergenceError
        If the last sweep changed more than the tolerance.
    """
    now, change = guess, np.inf
    for _ in range(sweeps):
        old, now = now, sweep(equations, now, base, tau, circuit)
        change = equations.distance(now, old, equations.floor(base.density))
        if change <= tolerance:
            return now
    raise ConvergenceError("FiPy's sweeps do not converge", got=f"{change:g} in {sweeps}", allowed=f"{tolerance:g}")


def sweep(equations: Equations, now: Fields, base: Fields, tau: float, circuit: Circuit) -> Fields:
    """Ions, current and heat once each, in this order, with coefficients of the fields `now`.

    The terms are built anew each time: FiPy's convection term keeps the exponential weights of the first coefficients
    that it sees, so that a term used again solves with old ones and says nothing.

    Parameters
    ----------
    equations : Equations
    now : Fields
        Whose coefficients the three equations take.
    base : Fields
        What the stage starts from: its density and rise count.
    tau : float, s, > 0
        Length of the stage.
    circuit : Circuit

    Raises
    ------
    InputError
        If a contact holds the density of the ions.
    """
    from fipy import (
        CellVariable,
        DiffusionTerm,
        ExponentialConvectionTerm,
        FaceVariable,
        ImplicitSourceTerm,
        TransientTerm,
    )

    if any(held is not None for _, held, _ in equations.ends()):
        raise InputError("The reference form has no contacts that exchange ions")
    g, law = equations.grid, equations.law_ions
    mesh, inside = g.mesh, np.asarray(g.mesh.interiorFaces.value)
    cells = np.asarray(mesh.faceCellIDs.filled(-1))[:, inside]
    # from the cell with the lower to that with the higher number, as our faces count
    normal = np.asarray(mesh.faceNormals)[:, inside] * np.where(cells[0] < cells[1], 1.0, -1.0)
    bottom, top = (np.isin(np.arange(inside.size), _faces(g, end)) for end in (0, 1))

    P, rise = CellVariable(mesh=mesh, hasOld=True), CellVariable(mesh=mesh, hasOld=True)
    sigma, k = CellVariable(mesh=mesh, value=1.0), CellVariable(mesh=mesh, value=1.0)
    D, velocity = FaceVariable(mesh=mesh, value=1.0), FaceVariable(mesh=mesh, rank=1)
    crowding, transfer = FaceVariable(mesh=mesh, rank=1), CellVariable(mesh=mesh)
    volt = CellVariable(mesh=mesh)  # the potential for one volt
    volt.constrain(0.0, bottom)
    volt.constrain(1.0, top)
    ends = ((bottom, equations.law_heat.bottom_W_m2K), (top, equations.law_heat.top_W_m2K))
    for faces, given in ends:
        if np.isinf(given):
            rise.constrain(0.0, faces)
    P.setValue(base.density)
    P.updateOld()
    rise.setValue(base.rise)
    rise.updateOld()
    P.setValue(now.density)
    rise.setValue(now.rise)
    joule = CellVariable(mesh=mesh)
    current_equation = DiffusionTerm(coeff=sigma.harmonicFaceValue) == 0.0
    heat_equation = TransientTerm(coeff=equations.law_heat.capacity_J_m3K) == (
        DiffusionTerm(coeff=k.harmonicFaceValue) - ImplicitSourceTerm(coeff=transfer) + joule
    )
    solver = direct()
    # ions
    psi_l, psi_r, rise_l, rise_r = (f[c] for f in (now.potential, now.rise) for c in (g.left, g.right))
    forward, backward = equations.hops(psi_l - psi_r, rise_l, rise_r, g.distance_m)
    drift = forward - backward  # D u / d
    u = np.where(drift == 0.0, 1.0, np.log(np.maximum(forward, 1e-300) / np.maximum(backward, 1e-300)))
    # outer faces carry nothing, but FiPy divides by their D too
    outer = np.zeros((len(normal), inside.size))
    spread, drive, crowd = np.ones(inside.size), outer.copy(), outer.copy()
    spread[inside] = np.where(drift == 0.0, forward * g.distance_m, drift * g.distance_m / u)
    drive[:, inside] = drift * normal
    crowd[:, inside] = drift * P.value[g.left] * P.value[g.right] / law.site_density_1_m3 * normal
    D.setValue(spread)
    velocity.setValue(drive)
    crowding.setValue(crowd)
    ion_equation = TransientTerm() == (
        DiffusionTerm(coeff=D) - ExponentialConvectionTerm(coeff=velocity) + crowding.divergence
    )
    # on the axis of a cylinder a face has no area: its weight is 0 / 0 and counts for nothing
    with np.errstate(invalid="ignore"):
        ion_equation.solve(var=P, dt=tau, solver=solver)
    # current
    sigma.setValue(equations.conductivity(P.value, now.rise))
    current_equation.solve(var=volt, solver=solver)
    faces = sigma.harmonicFaceValue * volt.faceGrad
    areas = np.array(mesh._faceAreas) * g.volume_m3[0] / float(np.asarray(mesh.cellVolumes)[0])
    flow = np.asarray((faces.value * np.asarray(mesh.faceNormals)).sum(axis=0)) * areas
    conductance = -float(np.sum(flow[bottom]))
    V = circuit.film_V(conductance)
    joule.setValue(V**2 * (faces * volt.arithmeticFaceValue).divergence.value)
    # heat
    k.setValue(equations.heat_conductivity(P.value, now.rise, sigma.value))
    walls = g.sides(k.value, equations.law_heat.side_W_m2K)
    for (_, given), (ids, _, _) in zip(ends, equations.ends(), strict=True):
        if np.isfinite(given):
            walls[ids] += equations.wall(k.value[ids], given)
    transfer.setValue(walls / g.volume_m3)
    heat_equation.solve(var=rise, dt=tau, solver=solver)
    return Fields(P.value.copy(), V * volt.value, rise.value.copy(), V, conductance, joule.value * g.volume_m3)


def _faces(g: Grid, end: int) -> Cells:
    """FiPy's numbers of the faces of a contact: 0 at the bottom, 1 at the top."""
    z = np.array(g.mesh.faceCenters.value)[-1]
    outside = ~np.asarray(g.mesh.interiorFaces.value)
    return np.flatnonzero(outside & (np.abs(z - end * g.height_m) < 1e-9 * g.height_m))
