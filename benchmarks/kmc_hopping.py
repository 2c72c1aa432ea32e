"""Time of one event of the lattice gas: hops with exclusion and unequal rates, against a loop that does nothing.

Simple cubic, periodic, 1 % particles, each site with an energy of its own drawn uniformly from 0 to 50 meV (2 kT). The
null loop draws a random particle and a random direction and adds them up; it runs between the repeats of the engine.

python benchmarks/kmc_hopping.py [--json] [--events N] [--repeats N] [--track]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
from numba import njit

from halidrift.kmc import _lattice_gas as kernel
from halidrift.kmc.lattice_gas import LatticeGas
from halidrift.kmc.processes import Hop
from halidrift.physics import networks

EDGES = (50, 100)
DENSITY = 0.01
SPREAD_EV = 0.05


@njit(cache=True)
def null(events, particles, directions, rng):
    """Draw a particle and a direction, so many times."""
    total = 0
    for _ in range(events):
        total += int(rng.random() * particles) + int(rng.random() * directions)
    return total


def prepare(edge: int, track: bool, rng: np.random.Generator):
    """Everything that the event loop needs, as `LatticeGas.run` prepares it."""
    energies = rng.uniform(0.0, SPREAD_EV, edge**3)
    gas = LatticeGas(
        networks.simple_cubic(0.587e-9),
        [Hop("Ag_ion", 0.27)],
        repeat=(edge,) * 3,
        site_energies={"Ag_ion": energies},
    )
    start = time.perf_counter()
    codes = gas._codes({"Ag_ion": round(DENSITY * edge**3)}, rng)
    particles = np.flatnonzero(codes == gas.species.index("Ag_ion")) if track else np.empty(0, np.int64)
    live, sites, rules, land, state = gas._begin(codes, particles, ("Ag_ion",) if track else (), gas, 1)
    assert live is None
    kernel.refresh_all(None, sites, rules, land, state)
    return sites, rules, land, state, time.perf_counter() - start


def measure(edge: int, events: int, repeats: int, track: bool) -> dict[str, float]:
    """Best and median time of an event, of the engine and of the null loop."""
    rng = np.random.default_rng(edge)
    sites, rules, land, state, setup = prepare(edge, track, rng)
    done = 0
    engine, nothing = [], []
    for repeat in range(repeats + 1):
        done += events
        start = time.perf_counter()
        status = kernel.advance(np.inf, done, None, True if track else None, sites, rules, land, state, rng)
        engine.append((time.perf_counter() - start) / events * 1e9)
        if status != kernel.EVENTS_DONE:
            raise RuntimeError(f"the engine stopped with status {status}")
        start = time.perf_counter()
        null(events, int(state.tally[kernel.LEAVES]), int(sites.degree), rng)
        nothing.append((time.perf_counter() - start) / events * 1e9)
        if repeat == 0:  # compiles, and fills the caches
            engine.clear(), nothing.clear()
    return {
        "sites": edge**3,
        "particles": int(state.tally[kernel.LEAVES]),
        "events": events,
        "repeats": repeats,
        "ns_per_event": min(engine),
        "ns_per_event_median": statistics.median(engine),
        "ns_per_event_worst": max(engine),
        "null_ns_per_event": min(nothing),
        "null_ns_per_event_median": statistics.median(nothing),
        "setup_s": setup,
    }


def main() -> None:
    """Run the job at each size and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--track", action="store_true", help="label and follow every particle")
    arguments = parser.parse_args()
    report = {f"{n}^3": measure(n, arguments.events, arguments.repeats, arguments.track) for n in EDGES}
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, row in report.items():
        print(
            f"{name}: {row['ns_per_event']:.0f} ns an event (median {row['ns_per_event_median']:.0f}, "
            f"worst {row['ns_per_event_worst']:.0f}), null loop {row['null_ns_per_event']:.1f} ns"
        )


if __name__ == "__main__":
    main()
