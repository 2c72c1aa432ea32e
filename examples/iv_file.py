"""Write docs/data/iv.csv, the file of docs/tutorial.md: I-V sweeps of a volatile cell as a source meter gives them.

python examples/iv_file.py [FILE]

No measurement: three double sweeps at rates a factor of four apart, by a `Volatile` cell with the numbers below, read
with 0.5 % noise and held at 1 uA. So it is known what a fit must find.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from halidrift.compact import Volatile
from halidrift.physics.waveform import Waveform

CELL = {
    "conductance_off_S": 2e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.02,
    "growth_voltage_V": 0.12,
    "relaxation_time_s": 1.0,
}
LIMIT_A = 1e-6
RATES_V_s = (0.5, 2.0, 8.0)
NOISE = 5e-3
HEAD = "# made by examples/iv_file.py from a known cell, not measured"


def lines(seed: int = 1) -> list[str]:
    """The file, line by line."""
    random, cell = np.random.default_rng(seed), Volatile.of(**CELL)
    rows = [HEAD, "Cycle,Time (s),Voltage (V),Current (A)"]
    start = 0.0
    for cycle, rate in enumerate(RATES_V_s, 1):
        trace = cell.simulate(Waveform.triangle([1.2, -1.2], rate, LIMIT_A))
        current = trace.current.values
        limited = np.abs(current) >= 0.9999 * LIMIT_A
        held = np.sign(current) * LIMIT_A * (1.0 + 1e-3 * random.standard_normal(current.size))
        read = np.where(limited, held, current * (1.0 + NOISE * random.standard_normal(current.size)))
        times = start + trace.time.values
        rows += [f"{cycle},{t:.6g},{v:.6g},{i:.5e}" for t, v, i in zip(times, trace.voltage.values, read, strict=True)]
        start = times[-1] + 60.0
    return rows


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[1] / "docs" / "data" / "iv.csv"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    print(target)
