"""An implicit stage of ions, current and heat by turns, with Newton's method where turns do not converge."""

from __future__ import annotations

import numpy as np

from ..physics.errors import ConvergenceError
from . import newton
from .circuit import Circuit
from .coupled import HEAT_CLOSE, ION_CLOSE, Equations, Fields

__all__ = ["solve"]


def solve(
    equations: Equations, guess: Fields, base: Fields, tau: float, circuit: Circuit, *, tolerance: float, sweeps: int
) -> Fields:
    """An implicit stage: ``u = base + tau du/dt``.

    Parameters
    ----------
    equations : Equations
    guess : Fields
        Where to start.
    base : Fields
        Of it, density and rise count.
    tau : float, s, > 0
    circuit : Circuit
    tolerance : float
        Largest error of a relative density, potential or temperature.
    sweeps : int
        Alternations before Newton's method takes over.

    Raises
    ------
    ConvergenceError
        If neither converges.
    """
    now, floor = guess, equations.floor(base.density)
    last, stuck = np.inf, 0
    for sweep in range(sweeps):
        old = now
        try:
            P = equations.transport(now, base.density, tau, close=max(ION_CLOSE, 1e-3 * tolerance))
            now = equations.current(P, now.rise, circuit, now)
            warmer = equations.temperature(now, base.rise, tau, close=max(HEAT_CLOSE, 1e-3 * tolerance))
            now = now._replace(rise=warmer)
        except ConvergenceError:
            if sweep == 0:
                raise
            break
        equations.sweeps += 1
        change = equations.distance(now, old, floor)
        # what the sweeps to come would still change, if each shrinks the change as the last one did
        ratio = min(change / last, 0.9) if np.isfinite(last) else 0.5
        if change * ratio / (1.0 - ratio) <= tolerance:
            return now
        # Newton's method costs as much as some thirty turns: only once two in a row have not helped
        stuck = stuck + 1 if not change < 0.97 * last else 0
        if stuck > 1:
            break
        last = change
    return newton.solve(equations, now if np.isfinite(change) else guess, base, tau, circuit, tolerance=tolerance)
