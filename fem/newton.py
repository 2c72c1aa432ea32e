"""Newton's method on ions, current, heat and circuit together, for stages where taking turns does not converge.

The Jacobian comes from the fluxes themselves by the complex step, f'(x) = Im f(x + ih) / h, which loses no digits:
there is no second form of an equation that could differ from the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from ..physics.errors import ConvergenceError
from .circuit import Circuit
from .coupled import Equations, Fields
from .meshes import Array, Cells

__all__ = ["solve", "system"]

_STEP = 1e-30
_UPDATES = 30
_CLOSEST = 1e-11  # last relative update that rounding lets one reach


def solve(
    equations: Equations, guess: Fields, base: Fields, tau: float, circuit: Circuit, *, tolerance: float
) -> Fields:
    """The stage of :func:`halidrift.fem.turns.solve`.

    Parameters
    ----------
    equations : Equations
    guess : Fields
        Where to start.
    base : Fields
        What the stage starts from: its density and rise count.
    tau : float, s, > 0
        Length of the stage.
    circuit : Circuit
    tolerance : float, > 0
        Error that the caller allows; Newton's method stops at a thousandth of it, between 1e-8 and its rounding.

    Raises
    ------
    ConvergenceError
        If it does not converge; says in which cell the last residual was largest.
    """
    g, n = equations.grid, equations.grid.size
    now, floor = guess, equations.floor(base.density)
    close = min(max(1e-3 * tolerance, _CLOSEST), 1e-8)
    scale = np.empty(3 * n + 1)
    for _ in range(_UPDATES):
        equations.newtons += 1
        scale[0:-1:3], scale[1:-1:3], scale[2:-1:3], scale[-1] = (
            np.abs(now.density) + floor,
            1.0,
            equations.ambient_K,
            1.0,
        )
        residual, matrix = system(equations, now, base, tau, circuit)
        matrix = (matrix.tocsc()).multiply(scale[None, :]).tocsc()
        rows = np.maximum(abs(matrix).max(axis=1).toarray().ravel(), 1e-300)
        matrix = matrix.multiply(1.0 / rows[:, None]).tocsc()
        try:
            step = splu(matrix).solve(-residual / rows)
        except RuntimeError as error:
            raise ConvergenceError("The coupled system is singular", got=str(error)) from error
        # a density falls to a tenth at most, a temperature changes by a third of the ambient, in one update
        P_step, rise_step = step[0:-1:3] * scale[0:-1:3], step[2:-1:3]
        falling = np.max(-P_step / np.maximum(now.density, 1e-3 * floor), initial=0.0)
        damp = min(1.0, 0.9 / max(falling, 1e-300), 0.33 / max(float(np.max(np.abs(rise_step))), 1e-300))
        size = float(np.max(np.abs(step)))
        if not np.isfinite(size):
            break
        now = now._replace(
            density=now.density + damp * P_step,
            potential=now.potential + damp * step[1:-1:3],
            rise=now.rise + damp * rise_step * equations.ambient_K,
            film_V=float(now.film_V + damp * step[-1]),
        )
        if size <= close:
            # one exact sweep: current and heat balance to rounding
            closed = equations.current(now.density, now.rise, circuit, now)
            return closed._replace(rise=equations.temperature(closed, base.rise, tau))
    worst = int(np.argmax(np.abs(step[:-1])))
    place = ", ".join(
        f"{axis} = {1e9 * c[worst // 3]:.3g} nm" for axis, c in zip(g.axes, g.centre_m[::-1], strict=True)
    )
    raise ConvergenceError(
        f"Newton's method does not converge in the {('ion density', 'potential', 'temperature')[worst % 3]} at {place}",
        got=f"a last relative change of {size:g}",
        allowed=f"{close:g} in {_UPDATES} updates",
    )


def system(equations: Equations, now: Fields, base: Fields, tau: float, circuit: Circuit) -> tuple[Array, Any]:
    """Residual and Jacobian of the coupled stage; unknown 3 i + 0, 1, 2 of cell i, film voltage last.

    Parameters
    ----------
    equations : Equations
    now : Fields
        Where to linearise.
    base : Fields
        What the stage starts from.
    tau : float, s, > 0
        Length of the stage.
    circuit : Circuit

    Returns
    -------
    tuple of array, shape (3 cells + 1,), and sparse matrix
        Residual and its derivatives.
    """
    g, n = equations.grid, equations.grid.size
    P, psi, rise = now[:3]
    rows: list[Any] = []
    columns: list[Any] = []
    values: list[Any] = []

    def put(row: Cells, column: Any, value: Array) -> None:
        rows.append(row)
        columns.append(np.broadcast_to(column, row.shape))
        values.append(np.broadcast_to(value, row.shape))

    sides = [f[cells].astype(complex) for cells in (g.left, g.right) for f in (P, psi, rise)]
    for k in range(6):
        unknown = 3 * (g.left if k < 3 else g.right) + k % 3
        moved = [s + 1j * _STEP if i == k else s for i, s in enumerate(sides)]
        J, current, warmth, joule = (f.imag / _STEP for f in equations.face(*moved))
        for equation, into_left, into_right in (
            (0, J, -J),
            (1, current, -current),
            (2, warmth - joule, -warmth - joule),
        ):
            put(3 * g.left + equation, unknown, into_left)
            put(3 * g.right + equation, unknown, into_right)
    cells = np.arange(n)
    put(3 * cells, 3 * cells, g.volume_m3 / tau)
    put(3 * cells + 2, 3 * cells + 2, equations.capacity / tau)
    film_A, film_slopes = 0.0, []
    for (end, held, transfer), V in zip(equations.ends(), (0.0, now.film_V), strict=True):
        own = [f[end].astype(complex) for f in (P, psi, rise)] + [np.full(end.size, V, complex)]
        if end is g.top:
            film_A = -float(np.sum(equations.contact((own[0], own[1], own[2]), own[3], held, transfer)[1].real))
        for k in range(4 if end is g.top else 3):
            moved = [f + 1j * _STEP if i == k else f for i, f in enumerate(own)]
            leaving, current, warmth, joule = (
                f.imag / _STEP for f in equations.contact((moved[0], moved[1], moved[2]), moved[3], held, transfer)
            )
            unknown = 3 * end + k if k < 3 else np.full(end.size, 3 * n)
            for equation, out in ((0, leaving), (1, current), (2, warmth - joule)):
                put(3 * end + equation, unknown, out)
            if end is g.top:
                film_slopes.append((unknown, -current))
    for k in (0, 2):
        moved = [P[g.side].astype(complex), rise[g.side].astype(complex)]
        moved[k // 2] = moved[k // 2] + 1j * _STEP
        put(3 * g.side + 2, 3 * g.side + k, equations.side(*moved).imag / _STEP)
    # the circuit: no more than the limit flows, or nothing of the source voltage is left over
    sign = 1.0 if circuit.source_V >= 0 else -1.0
    total = sign * (film_A + circuit.beside_S * now.film_V)
    spare_V = sign * (circuit.source_V - now.film_V) - circuit.series_ohm * total
    conductance = max(total / (sign * now.film_V), 1e-30) if now.film_V * sign > 0 else 1.0
    spare_A = (circuit.limit_A - total) / conductance
    by_A, by_V = (-circuit.series_ohm, -1.0) if spare_V <= spare_A else (-1.0 / conductance, 0.0)
    last = np.array([3 * n])
    put(last, last, np.array([sign * (by_A * circuit.beside_S + by_V)]))
    for unknown, slope in film_slopes:
        put(np.full(unknown.size, 3 * n), unknown, sign * by_A * slope)
    residual = np.empty(3 * n + 1)
    residual[0:-1:3], residual[1:-1:3], residual[2:-1:3] = equations.residuals(now, base, tau)
    residual[-1] = min(spare_V, spare_A)
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(3 * n + 1,) * 2
    )
    return residual, matrix
