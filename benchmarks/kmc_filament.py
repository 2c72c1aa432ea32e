"""Wall time of the filament KMC on John's device: a SET pulse with its relaxation, a sweep at 1 mA, and who takes it.

python benchmarks/kmc_filament.py [--json]

The share of the field is the number of network solves times the time of one, measured on the largest filament of the
run from a potential disturbed at one atom: an upper bound, since most solves see a smaller filament.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import xarray as xr

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, _engine, _fields
from halidrift.kmc.simulation import _start

JOBS = {
    "pulse 1 V, 20 ms, 1 uA, with 80 ms of rest": (Waveform.pulses(1.0, 20e-3, 0.1, 1, compliance_A=1e-6), 5),
    "sweep 0-1.5-0 V, 5 V/s, 1 mA": (Waveform.triangle([1.5], 5.0, 1e-3, samples_per_V=20), 3),
}


def solve_s(cell: FilamentKMC, run: xr.Dataset, repeats: int = 200) -> float:
    """Time of one network solve on the largest filament among the snapshots of a run."""
    metal = run.snapshot_occupation.values == _fields.METAL
    largest = metal[metal.sum((1, 2, 3)).argmax()].ravel()
    state, physics = _start(cell.column, cell.device), cell.kernel_parameters
    atoms = np.flatnonzero(largest)
    for s in atoms:
        _engine.set_metal(s, state, physics)
    _engine.update_network(state, physics)
    start = time.perf_counter()
    for k in range(repeats):
        state.u[atoms[k * 7919 % atoms.size]] += 0.05
        _engine.update_network(state, physics)
    return (time.perf_counter() - start) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    cell = FilamentKMC(Device.load("john2022-ogb"))
    cell.simulate(Waveform.hold(0.1, 1e-3, samples=2), rng=0)  # compile
    report = {}
    for name, (waveform, repeats) in JOBS.items():
        seconds, counts = [], {}
        for seed in range(repeats):
            start = time.perf_counter()
            run = cell.simulate(waveform, rng=seed, snapshots=10)
            seconds.append(time.perf_counter() - start)
            counts = json.loads(run.attrs["counts"])
        one = solve_s(cell, run)
        report[name] = {
            "seconds": seconds,
            "median_s": statistics.median(seconds),
            "last_counts": counts,
            "solve_us": one * 1e6,
            "field_share": counts["network_solves"] * one / seconds[-1],
        }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, row in report.items():
        print(f"{name}: {row['median_s']:.2f} s (median of {len(row['seconds'])}), {row['last_counts']}")
        print(f"    {row['solve_us']:.0f} us a network solve: at most {row['field_share']:.0%} of the time")


if __name__ == "__main__":
    main()
