"""Time of the 19,900 spike patterns of John et al. on the volatile model, one core; and ngspice on a sample of them.

python benchmarks/compact_patterns.py [--json] [--patterns 19900] [--sample 100]

Each pattern lasts 1,050 ms and is read at 30 instants. ngspice gets one netlist for each pattern of the sample, with
the exported subcircuit behind its current limiter, and the largest step that the export recommends; its time is the
whole process, as a user waits for it. The agreement is that of the conductance at the reads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from halidrift.compact import Volatile
from halidrift.pipeline.reservoir import Reservoir
from halidrift.pipeline.spikes import FiringPatterns

REPEATS = 3
LARGEST_STEP_S = 20e-6
# the shape of the fit to the device of John et al., with every term of the model at work
CELL = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
    "growth_acceleration": 3.0,
    "relaxation_acceleration": 5.0,
    "off_nonlinearity_V": 0.3,
    "relaxation_voltage_V": 0.2,
}


def timed(call) -> tuple[float, float, object]:
    """Wall and processor seconds of this process, and the answer."""
    start, busy = time.perf_counter(), time.process_time()
    answer = call()
    return time.perf_counter() - start, time.process_time() - busy, answer


def circuit(train, reads) -> str:
    points = " ".join(f"{t:.9g} {v:.6g}" for t, v in zip(train.time_s, train.voltage_V, strict=True))
    return f"""spike pattern
.include cell.sp
Vs src 0 pwl({points})
Xl src top cell_limiter icc={train.compliance_A.max():g}
X1 top 0 x cell
.options reltol=1e-4
.control
tran {LARGEST_STEP_S} {reads[-1]:g} 0 {LARGEST_STEP_S} uic
wrdata out.txt v(x)
quit
.endc
.end
"""


def ngspice(cell, trains, reads) -> tuple[list[float], np.ndarray]:
    """Seconds of each run, and the state at the reads."""
    seconds, states = [], np.empty((len(trains), len(reads)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cell.export(folder / "cell.sp")
        for i, train in enumerate(trains):
            (folder / "bench.cir").write_text(circuit(train, reads))
            (folder / "out.txt").unlink(missing_ok=True)
            took, _, done = timed(
                lambda: subprocess.run(
                    ["ngspice", "-b", "bench.cir"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
                )
            )
            if not (folder / "out.txt").exists():
                raise SystemExit(f"ngspice failed on pattern {i}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            found = np.loadtxt(folder / "out.txt")
            if found[-1, 0] < 0.999 * reads[-1]:
                raise SystemExit(f"ngspice stopped pattern {i} at {found[-1, 0]:g} s")
            seconds.append(took)
            states[i] = np.interp(reads, found[:, 0], found[:, 1])
    return seconds, states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--patterns", type=int, default=19_900, help="a multiple of four")
    parser.add_argument("--sample", type=int, default=100, help="patterns that ngspice plays")
    arguments = parser.parse_args()
    patterns = FiringPatterns(per_class=arguments.patterns // 4, rng=0)
    trains = list(patterns.trains)
    cell = Volatile.of(reason="benchmark", **CELL)
    reads = Reservoir(cell).node_times_s
    reads = np.minimum(reads, min(train.time_s[-1] for train in trains))
    cell.respond(trains[:4], reads)  # compile
    runs = [timed(lambda: cell.respond(trains, reads)) for _ in range(REPEATS)]
    seconds, answer = statistics.median(r[0] for r in runs), runs[0][2]
    exact = cell.respond(trains[:: max(1, len(trains) // 200)], reads, tolerance=1e-11)
    drift = np.abs(np.log(answer[:: max(1, len(trains) // 200)] / exact)).max()
    per_pattern = seconds / len(trains)
    report = {
        "patterns": len(trains),
        "seconds_for_19900_patterns": per_pattern * 19_900,
        "processor_seconds_for_19900_patterns": statistics.median(r[1] for r in runs) / len(trains) * 19_900,
        "microseconds_per_pattern": 1e6 * per_pattern,
        "largest_error_of_ln_G_against_tolerance_1e-11": float(drift),
    }
    if shutil.which("ngspice"):
        sample = trains[:: max(1, len(trains) // arguments.sample)][: arguments.sample]
        took, states = ngspice(cell, sample, reads)
        mine = cell.respond(sample, reads)
        # at the reads no spike need be on: compare states as conductances at low bias
        ln_off, ln_on = np.log(CELL["conductance_off_S"]), np.log(CELL["conductance_on_S"])
        idle = np.array([np.abs(train.voltage_at(reads)) < 1e-3 for train in sample])
        theirs = np.exp((1.0 - states) * ln_off + states * ln_on)
        gap = np.abs(mine - theirs)[idle] / (CELL["conductance_on_S"] - CELL["conductance_off_S"])
        report |= {
            "sample": len(sample),
            "ngspice_seconds_per_pattern": statistics.median(took),
            "speedup_over_ngspice": statistics.median(took) / per_pattern,
            "largest_difference_of_G_over_its_range": float(gap.max()),
            "reads_compared": int(idle.sum()),
        }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {value:.4g}")


if __name__ == "__main__":
    main()
