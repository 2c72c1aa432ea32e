"""Nanoseconds a hop of the walk on site networks, without and with tracers, and time of the exact calculations.

python benchmarks/kmc_walk.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from halidrift.kmc.walk import walk
from halidrift.physics import networks, transport
from halidrift.physics.correlation import correlation
from halidrift.physics.crystals import perovskite

REPEATS = 5
WALKERS, HOPS = 2000, 5000
TRACER_WALKERS, TRACER_HOPS = 50, 100_000


def median_s(call) -> float:
    seconds = []
    for seed in range(REPEATS):
        start = time.perf_counter()
        call(seed)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    tilted = networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", through="Pb")
    cases = {
        "simple cubic": (networks.simple_cubic(0.587e-9), 1e6),
        "halide, cubic": (networks.halide(0.587e-9), 1e6),
        "Br in orthorhombic CsPbBr3, six barriers": (
            tilted,
            transport.network_rates(tilted, np.linspace(0.30, 0.40, 6), 300.0, site_energies_eV=[0.0, 0.02]),
        ),
    }
    report = {}
    for name, (network, rates) in cases.items():
        walk(network, rates, walkers=2, hops=2, rng=0)  # compile
        walk(network, rates, walkers=2, hops=2, tracers=True, rng=0)
        plain = median_s(lambda seed, n=network, r=rates: walk(n, r, walkers=WALKERS, hops=HOPS, rng=seed))
        traced = median_s(
            lambda seed, n=network, r=rates: walk(
                n, r, walkers=TRACER_WALKERS, hops=TRACER_HOPS, tracers=True, rng=seed
            )
        )
        report[name] = {
            "ns_per_hop": plain / (WALKERS * HOPS) * 1e9,
            "ns_per_hop_with_tracers": traced / (TRACER_WALKERS * TRACER_HOPS) * 1e9,
            "diffusion_tensor_ms": 1e3 * median_s(lambda _, n=network, r=rates: transport.diffusion_tensor(n, r)),
            "correlation_ms": 1e3 * median_s(lambda _, n=network, r=rates: correlation(n, r, tolerance=1e-5)),
        }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, row in report.items():
        print(
            f"{name}: {row['ns_per_hop']:.1f} ns a hop, {row['ns_per_hop_with_tracers']:.1f} ns with tracers; "
            f"exact D {row['diffusion_tensor_ms']:.2f} ms, correlation factor {row['correlation_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
