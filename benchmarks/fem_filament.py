"""Wall time of a step of `ElectroThermal`, 60 x 60 cells axisymmetric, beside the same equations in plain FiPy terms.

python benchmarks/fem_filament.py [--json] [--steps 200] [--fipy-steps 5] [--order 2]

The job: a vacancy filament (1.2e27 1/m^3, 4 nm radius) across 20 nm in a ramp to the RESET voltage, 200 equal steps
of the three equations (ions, current, heat). Every step of ours takes turns until the coupling has converged to 2.5e-4
and checks its balances; the FiPy form does one lagged sweep, which is less. Both run on one thread; the ratio of the
two holds on a busy machine too, the milliseconds do not (the median step is less disturbed than the mean).

What was tried for the linear systems (3,600 unknowns, half-width 60; ms on an idle core):

========================================================== =========== ==================
way                                                        factor      solve
========================================================== =========== ==================
LAPACK banded Cholesky (pbtrf, pbtrs): current, heat       2.6         0.20
LAPACK banded LU (gbtrf, gbtrs): ions                      5.7         0.28
SuperLU, COLAMD                                            16.8        0.48
SuperLU, minimum degree of A + A', symmetric mode          8.6         0.35
old banded factor with 2 to 4 corrections (kept)           1 in 4 - 25 0.2 a correction
the same in single precision (kept)                        the same    half under load
full Newton on all three fields, SuperLU (fallback)        200 - 400
========================================================== =========== ==================

Turns: 2.3 a step of backward Euler, 3.2 of the two-stage method (7 before the potential was extrapolated and the error
of a turn estimated from its contraction).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

# one core, as the target says; numpy must not have been imported before
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from halidrift.fem import Conduction, ElectroThermal, Heat, Ions, cylinder, plug, terms
from halidrift.fem.circuit import Circuit
from halidrift.fem.electrothermal import Stepper

RAMP_V_S = -1.0
RESET_V = -0.42
CELLS = 60


def film(order: int) -> ElectroThermal:
    """The film of the job."""
    grid = cylinder(20e-9, 20e-9, CELLS, CELLS)
    start = plug(grid, 1.2e27, 5e24, radius_m=4e-9, height_m=20e-9)
    return ElectroThermal(
        grid,
        Ions(1.0, 1e13, 0.5e-9, start, heat_of_transport_eV=-1.0),
        Conduction(1e4, 2e5, 6e26, activation_eV=0.05),
        Heat(0.5, 10.0),
        series_resistance_ohm=200.0,
        order=order,
    )


def circuit(time_s: float) -> Circuit:
    """The ramp."""
    return Circuit(RAMP_V_S * time_s, np.inf, 200.0)


def ours(steps: int, order: int) -> tuple[Stepper, list[float]]:
    """Stepper after the ramp, and wall time of each step, ms."""
    stepper = Stepper(film(order), circuit, 0.0)
    dt = RESET_V / RAMP_V_S / steps
    Stepper(film(order), circuit, 0.0).step(0.0, dt)  # compile
    walls = []
    for i in range(steps):
        begin = time.perf_counter()
        stepper.now, _ = stepper.step(i * dt, dt)
        walls.append(1e3 * (time.perf_counter() - begin))
    return stepper, walls


def fipy(steps: int) -> float:
    """Wall time of a step of one lagged sweep in FiPy terms, ms."""
    model = film(1)
    stepper = Stepper(model, circuit, 0.0)
    fields, dt = stepper.now.fields, 2e-3
    wall = time.perf_counter()
    # FiPy keeps the weights of its first coefficients: every step builds its terms anew
    for i in range(steps):
        fields = terms.sweep(stepper.equations, fields, fields, dt, circuit((i + 1) * dt))
    return 1e3 * (time.perf_counter() - wall) / steps


def main() -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--fipy-steps", type=int, default=5)
    parser.add_argument("--order", type=int, default=2, choices=(1, 2), help="of the time steps")
    asked = parser.parse_args()
    stepper, walls = ours(asked.steps, asked.order)
    reference = fipy(asked.fipy_steps)
    equations = stepper.equations
    report = {
        "cells": CELLS * CELLS,
        "steps": asked.steps,
        "order": asked.order,
        "ms_per_step": statistics.mean(walls),
        "median_ms": statistics.median(walls),
        "fastest_ms": min(walls),
        "fipy_ms_per_step": reference,
        "ratio": statistics.mean(walls) / reference,
        "turns_per_step": equations.sweeps / asked.steps,
        "newton_updates": equations.newtons,
        "factors": [f.factors for f in (equations.ion_factor, equations.current_factor, equations.heat_factor)],
        "conductance_S": stepper.now.fields.conductance_S,
        "hottest_K": 300.0 + float(stepper.now.fields.rise.max()),
    }
    if asked.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


if __name__ == "__main__":
    main()
