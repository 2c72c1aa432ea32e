"""Wall time of the filament KMC on John's device: a SET pulse with its relaxation, and a 1 mA write.

python benchmarks/kmc_filament.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC

JOBS = {
    "pulse 1 V, 20 ms, 1 uA, with 80 ms of rest": (Waveform.pulses(1.0, 20e-3, 0.1, 1, compliance_A=1e-6), 5),
    "write 5 V, 5 ms, 1 mA": (Waveform.pulses(5.0, 5e-3, 6e-3, 1, compliance_A=1e-3), 2),
}


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
            run = cell.simulate(waveform, rng=seed)
            seconds.append(time.perf_counter() - start)
            counts = json.loads(run.attrs["counts"])
        report[name] = {"seconds": seconds, "median_s": statistics.median(seconds), "last_counts": counts}
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, row in report.items():
        print(f"{name}: {row['median_s']:.2f} s (median of {len(row['seconds'])}), {row['last_counts']}")


if __name__ == "__main__":
    main()
