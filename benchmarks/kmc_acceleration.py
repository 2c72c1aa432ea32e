"""Fast transport against explicit hops: set voltage, set time, atoms and relaxation, with the cost of each.

python benchmarks/kmc_acceleration.py [--replicas 40] [--processes 1] [--only pulse,ramp,mA]

Both run on John's device. Fast transport lets each ion walk without a clock; explicit transport times every hop.
Prints medians, the two-sample Kolmogorov-Smirnov p, the ions that fast transport says would be in flight, and seconds.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import xarray as xr
from scipy import stats

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble

PULSE = Waveform.pulses(1.0, 20e-3, 0.1, 1, compliance_A=1e-6, samples_per_period=1000)
RAMP = Waveform.triangle([1.4], 100.0, 1e-6, samples_per_V=200)
RETAINED = Waveform.triangle([1.5], 20.0, 1e-3, samples_per_V=40)
JOBS = {
    "pulse": ("pulse of 1 V, 20 ms, and rest", PULSE),
    "ramp": ("ramp of 100 V/s", RAMP),
    "mA": ("1.5 V at 20 V/s, 1 mA", RETAINED),
}


def _measures(name: str, run: xr.Dataset) -> dict[str, np.ndarray]:
    on = run.conductance.values > 1e-6
    first = on.argmax(1)
    if name == "ramp of 100 V/s":
        return {"set voltage (V)": np.where(on.any(1), run.voltage.values[first], np.nan)}
    if name == "1.5 V at 20 V/s, 1 mA":
        return {
            "set voltage (V)": np.where(on.any(1), run.voltage.values[first], np.nan),
            "atoms at the end": run.metal_atoms.values[:, -1],
            "G at the end (S)": run.conductance.values[:, -1],
        }
    t = run.time.values
    rest = np.searchsorted(t, 20e-3, side="right")
    off = run.conductance.values[:, rest:] < 1e-7
    # a run that is still ON at the end counts as the longest
    gone = np.where(off.any(1), t[rest + np.minimum(off.argmax(1), off.shape[1] - 1)] - 20e-3, t[-1])
    return {
        "set time (s)": np.where(on.any(1), t[first], np.nan),
        "atoms at the end of the pulse": run.metal_atoms.values[:, rest - 1],
        "relaxation (s)": gone,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=40)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default=",".join(JOBS), help="some of: " + ", ".join(JOBS))
    arguments = parser.parse_args()
    device = Device.load("john2022-ogb")
    print("| quantity | fast | explicit | KS p | ions in flight | s a device, fast / explicit |\n" + "|---" * 6 + "|")
    for name, wave in (JOBS[key] for key in arguments.only.split(",")):
        found, cost, flight = {}, {}, 0.0
        for seed, transport in enumerate(("fast", "explicit")):
            cell = FilamentKMC(device, transport=transport)
            cell.simulate(Waveform.hold(0.1, 1e-3, samples=2), rng=0)  # compile
            start = time.perf_counter()
            run = ensemble.run(cell, wave, arguments.replicas, rng=seed, processes=arguments.processes)
            cost[transport] = (time.perf_counter() - start) / arguments.replicas
            found[transport] = _measures(name, run)
            if transport == "fast":
                flight = float(np.median(json.loads(run.attrs["peak_ions"])))
        for quantity, fast in found["fast"].items():
            explicit = found["explicit"][quantity]
            p = stats.ks_2samp(fast[~np.isnan(fast)], explicit[~np.isnan(explicit)]).pvalue
            print(
                f"| {name}: {quantity} | {np.nanmedian(fast):.3g} | {np.nanmedian(explicit):.3g} | {p:.2g} "
                f"| {flight:.2g} | {cost['fast']:.2f} / {cost['explicit']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
