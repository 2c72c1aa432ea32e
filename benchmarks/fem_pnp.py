"""The charging of one ion film: the compiled solver of `halidrift.fem` beside devsim and a plain numpy Newton.

python benchmarks/fem_pnp.py [--json] [--repeats 5]

The job: 400 nm, relative permittivity 24, D = 1e-16 m^2/s, N0 = 1.6e25 1/m^3 (and 1e23), one mobile ion on a fixed
background between blocking contacts, 300 K, a step of 0.5 V, 400 cells, 200 backward-Euler steps that grow from 1 us
to 4000 s. The same steps and exponential fluxes in all three; the numpy form is the same full Newton with a banded LU
of scipy. Each runs once before it is timed, which leaves out compilation; the least of `repeats` counts.

devsim is optional: ``pip install halidrift[benchmark]`` brings it with the BLAS that it needs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_banded

from halidrift.fem.equations import Carrier, Equations, graded_widths, line_mesh
from halidrift.fem.integration import control, play
from halidrift.fem.reference import bernoulli, bernoulli_slope
from halidrift.physics import formulas
from halidrift.physics.constants import BOLTZMANN_EV_K

LENGTH, PERMITTIVITY, D, TEMPERATURE, VOLTAGE = 400e-9, 24.0, 1e-16, 300.0, 0.5
CELLS, STEPS, WALL = 400, 200, 5e-12
VT = BOLTZMANN_EV_K * TEMPERATURE
EXACT = {1e23: 1.934086e24, 1.6e25: 3.09454e26}  # density at the accumulating contact
TIMES = np.concatenate([[0.0], np.cumsum(np.geomspace(1e-6, 4e3, STEPS))])

State = tuple[np.ndarray, np.ndarray]  # density over N0, potential over kT/q


def compiled(density: float, widths: np.ndarray) -> Callable[[], State]:
    debye = formulas.debye_length(PERMITTIVITY, TEMPERATURE, density, 1)
    system = Equations(line_mesh(widths), [Carrier(1.0, D)], screening_1_m2=float(debye) ** -2, fixed=-1.0)
    choice = control(single=True, adaptive=False)

    def run() -> State:
        frames = system.frames(system.rest(wall=VOLTAGE / VT))
        end = play(system, frames, TIMES, np.full(TIMES.size, VOLTAGE / VT), choice).end
        return end.p[0], end.phi

    return run


def plain(density: float, widths: np.ndarray) -> Callable[[], State]:
    """The same scheme, vectorised: unknowns p0, phi0, p1, phi1 ... in a band of three each side."""
    h, n, kappa = widths, widths.size, float(formulas.debye_length(PERMITTIVITY, TEMPERATURE, density, 1)) ** -2
    d = 0.5 * (h[1:] + h[:-1])
    wall = VOLTAGE / VT
    ends = np.array([2.0 / h[0], 2.0 / h[-1]])

    def newton(p: np.ndarray, phi: np.ndarray, old: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
        drop, storage = np.diff(phi), h / (D * tau)
        ahead, back = bernoulli(drop) / d, bernoulli(-drop) / d
        flux = p[:-1] * ahead - p[1:] * back
        slope = (p[:-1] * bernoulli_slope(drop) + p[1:] * bernoulli_slope(-drop)) / d
        right, band = np.zeros(2 * n), np.zeros((7, 2 * n))
        change, poisson, own, laplace = storage * (p - old), h * kappa * (p - 1.0), np.zeros(n), np.zeros(n)
        diagonal = storage.copy()
        change[:-1] += flux
        change[1:] -= flux
        poisson[:-1] += drop / d
        poisson[1:] -= drop / d
        poisson[0] += ends[0] * (wall - phi[0])
        poisson[-1] -= ends[1] * phi[-1]
        for part, sign in ((slice(None, -1), 0), (slice(1, None), 1)):
            diagonal[part] += (ahead, back)[sign]
            own[part] -= slope
            laplace[part] -= 1.0 / d
        laplace[[0, -1]] -= ends
        band[3, 0::2], band[3, 1::2] = diagonal, laplace
        band[1, 2::2], band[5, :-2:2] = -back, -ahead
        band[2, 1::2], band[0, 3::2], band[4, 1:-2:2] = own, slope, slope
        band[4, 0::2] = h * kappa
        band[1, 3::2], band[5, 1:-2:2] = 1.0 / d, 1.0 / d
        right[0::2], right[1::2] = -change, -poisson
        step = solve_banded((3, 3), band, right, overwrite_ab=True, check_finite=False)
        return step[0::2], step[1::2]

    def run() -> State:
        p = np.ones(n)
        centre = np.cumsum(h) - 0.5 * h
        phi = wall * (1.0 - centre / LENGTH)
        for tau in np.diff(TIMES):
            old, size = p, np.inf
            while size > 1e-9:
                dp, dphi = newton(p, phi, old, float(tau))
                most = float(np.abs(dphi).max())
                size = max(most, float((np.abs(dp) / (1.0 + np.abs(p))).max()))
                share = min(1.0, 5.0 / max(most, 1e-300))
                p, phi = p + share * dp, phi + share * dphi
        return p, phi

    return run


def peer(density: float, widths: np.ndarray) -> Callable[[], State]:
    """devsim: nodes at the faces of the cells, its own boxes, assembly, Newton and LU."""
    import devsim

    name = f"film{density:g}"
    nodes = np.concatenate([[0.0], np.cumsum(widths)])
    devsim.create_1d_mesh(mesh=name)
    for i, x in enumerate(nodes):
        tag = {0: "left", nodes.size - 1: "right"}.get(i, f"n{i}")
        devsim.add_1d_mesh_line(mesh=name, pos=float(x), ps=1.0, tag=tag)
    for tag in ("left", "right"):
        devsim.add_1d_contact(mesh=name, name=tag, tag=tag, material="metal")
    devsim.add_1d_region(mesh=name, material="film", region="film", tag1="left", tag2="right")
    devsim.finalize_mesh(mesh=name)
    devsim.create_device(mesh=name, device=name)
    at: dict[str, Any] = {"device": name, "region": "film"}
    debye = float(formulas.debye_length(PERMITTIVITY, TEMPERATURE, density, 1))
    for key, value in (("kappa", debye**-2), ("D", D), ("bias", VOLTAGE / VT), ("pinned", 0.0)):
        devsim.set_parameter(device=name, name=key, value=float(value))
    for variable in ("phi", "p"):
        devsim.node_solution(name=variable, **at)
        devsim.edge_from_node_model(node_model=variable, **at)
    change = "D * EdgeInverseLength * (p@n0 * dBdx(drop) + p@n1 * dBdx(-drop))"
    edges = {
        "field": "(phi@n0 - phi@n1) * EdgeInverseLength",
        "field:phi@n0": "EdgeInverseLength",
        "field:phi@n1": "-EdgeInverseLength",
        "drop": "phi@n1 - phi@n0",
        "flux": "(1 - pinned) * D * EdgeInverseLength * (p@n0 * B(drop) - p@n1 * B(-drop))",
        "flux:p@n0": "(1 - pinned) * D * EdgeInverseLength * B(drop)",
        "flux:p@n1": "-(1 - pinned) * D * EdgeInverseLength * B(-drop)",
        "flux:phi@n1": f"(1 - pinned) * {change}",
        "flux:phi@n0": f"-(1 - pinned) * {change}",
    }
    for model, text in edges.items():
        devsim.edge_model(name=model, equation=text, **at)
    for model, text in (("charge", "-kappa * (p - 1)"), ("charge:p", "-kappa"), ("stored", "p"), ("stored:p", "1")):
        devsim.node_model(name=model, equation=text, **at)
    devsim.equation(name="poisson", variable_name="phi", node_model="charge", edge_model="field", **at)
    for model, text in (("even", "pinned * (p - 1)"), ("even:p", "pinned")):
        devsim.node_model(name=model, equation=text, **at)
    devsim.equation(
        name="ions", variable_name="p", node_model="even", time_node_model="stored", edge_model="flux", **at
    )
    for tag, text in (("left", "phi - bias"), ("right", "phi")):
        devsim.contact_node_model(device=name, contact=tag, name=f"{tag}_wall", equation=text)
        devsim.contact_node_model(device=name, contact=tag, name=f"{tag}_wall:phi", equation="1")
        devsim.contact_equation(
            device=name, contact=tag, name="poisson", node_model=f"{tag}_wall", edge_charge_model="field"
        )
    started = VOLTAGE / VT * (1.0 - nodes / LENGTH)

    def run() -> State:
        devsim.set_node_values(name="p", values=[1.0] * nodes.size, **at)
        devsim.set_node_values(name="phi", values=started.tolist(), **at)
        # the start of a transient is a solution; here that of ions held where they are
        devsim.set_parameter(device=name, name="pinned", value=1.0)
        devsim.solve(type="transient_dc", absolute_error=1e10, relative_error=1e-9, maximum_iterations=40)
        devsim.set_parameter(device=name, name="pinned", value=0.0)
        for tau in np.diff(TIMES):
            devsim.solve(
                type="transient_bdf1",
                tdelta=float(tau),
                charge_error=1e300,
                absolute_error=1e10,
                relative_error=1e-9,
                maximum_iterations=60,
            )
        p, phi = (np.array(devsim.get_node_model_values(name=key, **at)) for key in ("p", "phi"))
        return p, phi

    return run


def load_devsim() -> bool:
    """Whether devsim can be imported; it looks for MKL by name, and pip puts that where it does not look."""
    if "DEVSIM_MATH_LIBS" not in os.environ:
        found = sorted((Path(sys.prefix) / "lib").glob("libmkl_rt.so*"))
        if found:
            os.environ["DEVSIM_MATH_LIBS"] = str(found[0])
    try:
        with quiet():
            import devsim  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what a library writes past Python: devsim reports every iteration, which also takes time."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def measure(run: Callable[[], State], repeats: int) -> tuple[float, State]:
    run()  # compile, and warm caches
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        state = run()
        best = min(best, time.perf_counter() - start)
    return best, state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    widths, with_peer = graded_widths(LENGTH, CELLS, WALL), load_devsim()
    report: dict[str, Any] = {"cells": CELLS, "steps": STEPS, "compile_time": "excluded", "densities": {}}
    for density in (1.6e25, 1e23):
        seconds, (p, phi) = measure(compiled(density, widths), arguments.repeats)
        peak = float(p[-1] * np.exp(phi[-1]))  # at the contact, which no flux passes
        row: dict[str, Any] = {
            "seconds": seconds,
            "peak_1_m3": peak * density,
            "peak_exact_1_m3": EXACT[density],
        }
        others = {"numpy": plain(density, widths)}
        if with_peer:
            with quiet():
                others["devsim"] = peer(density, widths)
        for other, run in others.items():
            with quiet():
                theirs, (q, psi) = measure(run, min(arguments.repeats, 3))
            if other == "devsim":
                found, faces = float(q[-1]), np.concatenate([[0.0], np.cumsum(widths)])
                psi = np.interp(faces[1:] - 0.5 * widths, faces, psi)
            else:
                found = float(q[-1] * np.exp(psi[-1]))
            row |= {
                f"seconds_{other}": theirs,
                f"ratio_to_{other}": seconds / theirs,
                f"peak_difference_{other}": found / peak - 1.0,
                f"potential_difference_{other}_V": float(np.abs(phi - psi).max()) * VT,
            }
        if not with_peer:
            row["ratio_to_devsim"] = None
        report["densities"][f"{density:g}"] = row
    report |= {key: report["densities"]["1.6e+25"][key] for key in ("seconds", "ratio_to_devsim", "ratio_to_numpy")}
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for density, row in report["densities"].items():
        print(f"N0 = {density} 1/m3")
        for key, value in row.items():
            print(f"  {key:32} {value if value is None else format(value, '.6g')}")


if __name__ == "__main__":
    main()
