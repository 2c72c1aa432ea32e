"""Do compact models fitted to the physics predict stimuli that they were not fitted to?

python benchmarks/compact_heldout.py [--json] [--runs 40] [--loops 16] [--seed 7] [--only Volatile ...] [--cache FOLDER]

Four fits, each with its held-out stimuli; the goal, set before the first run, is a normalised error below 10 % each:

- `Volatile` to ensembles of `kmc.FilamentKMC` (card john2022-ogb, 1 uA) under single and paired pulses; held out are
  other amplitudes, widths and intervals;
- `NonVolatile` to bipolar loops of the same at several compliances; held out are compliances between them, the half
  with the SET and the whole loop;
- `NonVolatile` to single loops of `fem.FilamentFEM` in the same way;
- `Synapse` to spike trains on `fem.IonFilm` (card kim2019-n3); held out are other amplitudes, widths and periods.

The error is that of `compact.normalised_error` against the typical run (median over the runs): all that a model without
noise can be asked for. Beside it stand the spread of single runs around that run, and the standard error of the median.
Misses are printed as misses.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from halidrift import Device, Waveform, compact, trace
from halidrift.fem import FilamentFEM, IonFilm
from halidrift.kmc import FilamentKMC, ensemble

GOAL = 0.1
STEP = 0.25e-3  # s between reported instants of the pulses: a SET takes about 2 ms


def pulse(amplitude_V: float, width_s: float) -> Waveform:
    period = width_s + 100e-3
    return Waveform.pulses(amplitude_V, width_s, period, compliance_A=1e-6, samples_per_period=round(period / STEP))


def pair(gap_s: float) -> Waveform:
    period = 5e-3 + gap_s
    two = Waveform.pulses(1.0, 5e-3, period, 2, compliance_A=1e-6, samples_per_period=round(period / STEP))
    return two + Waveform.hold(0.0, 60e-3, samples=240)


def loop(limit_A: float) -> Waveform:
    return Waveform.triangle([1.5, -4.0], 10.0, [limit_A, np.inf], samples_per_V=40)


# below 0.1 mA the filament of KMC is a chain of single atoms, 5 uS at 30 uA, and no line through the others
PROGRAMMED = {f"{limit:g} A": loop(limit) for limit in (1e-4, 3e-4, 1e-3)}
BETWEEN = {f"{limit:g} A": loop(limit) for limit in (1.5e-4, 6e-4)}


def train(amplitude_V: float, width_s: float, period_s: float, count: int) -> Waveform:
    spikes = Waveform.pulses(amplitude_V, width_s, period_s, count, samples_per_period=8)
    return spikes + Waveform.hold(0.0, 20.0, samples=60, first_s=5e-3)


FITTED: dict[str, dict[str, Waveform]] = {
    "Volatile": {
        "0.9 V, 20 ms": pulse(0.9, 20e-3),
        "1.0 V, 20 ms": pulse(1.0, 20e-3),
        "1.2 V, 20 ms": pulse(1.2, 20e-3),
        "1.0 V, 10 ms": pulse(1.0, 10e-3),
        "pair of 5 ms, 20 ms apart": pair(20e-3),
    },
    "NonVolatile": PROGRAMMED,
    "NonVolatile, FEM": PROGRAMMED,
    "Synapse": {
        "-1 V, 20 ms every 40 ms": train(-1.0, 20e-3, 40e-3, 20),
        "-2 V, 20 ms every 40 ms": train(-2.0, 20e-3, 40e-3, 20),
        "+1 V, 20 ms every 40 ms": train(1.0, 20e-3, 40e-3, 20),
        "-1 V, 20 ms every 200 ms": train(-1.0, 20e-3, 200e-3, 10),
    },
}
HELD_OUT: dict[str, dict[str, Waveform]] = {
    "Volatile": {
        "0.85 V, 20 ms": pulse(0.85, 20e-3),
        "0.95 V, 20 ms": pulse(0.95, 20e-3),
        "1.1 V, 20 ms": pulse(1.1, 20e-3),
        "1.3 V, 20 ms": pulse(1.3, 20e-3),
        "1.0 V, 5 ms": pulse(1.0, 5e-3),
        "1.0 V, 40 ms": pulse(1.0, 40e-3),
        "pair of 5 ms, 5 ms apart": pair(5e-3),
        "pair of 5 ms, 10 ms apart": pair(10e-3),
        "pair of 5 ms, 40 ms apart": pair(40e-3),
    },
    "NonVolatile": BETWEEN,
    "NonVolatile, FEM": BETWEEN,
    "Synapse": {
        "-1.5 V, 20 ms every 40 ms": train(-1.5, 20e-3, 40e-3, 20),
        "+0.5 V, 20 ms every 40 ms": train(0.5, 20e-3, 40e-3, 20),
        "-1 V, 10 ms every 40 ms": train(-1.0, 10e-3, 40e-3, 20),
        "-1 V, 20 ms every 100 ms": train(-1.0, 20e-3, 100e-3, 20),
        "-1 V, 50 ms every 100 ms": train(-1.0, 50e-3, 100e-3, 10),
    },
}
# a synapse of the size of Kim's film; the populations span the times of the protocols
SYNAPSE: dict[str, Any] = {
    "fixed": {"slowest_rate_Hz": 0.01, "fastest_rate_Hz": 100.0},
    "start": {
        "conductance_rest_S": 1.7e-10,
        "drive_rate_1_Vs": 35.0,
        "depression": 1.0,
        "interface_stiffness_V": 0.4,
        "interface_curvature_V": 1.1,
        "mobile_stiffness_V": 0.4,
        "mobile_curvature_V": 3.6,
        "held_ratio": 30.0,
        "held_exponent": 0.1,
    },
    "starts": 1,
}


def cached(folder: Path | None, name: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The trace of that name from the folder, or made and kept there."""
    if folder is None:
        return make()
    file = folder / "".join(c if c.isalnum() or c in "+-." else "_" for c in name)
    file = file.with_name(file.name + ".nc")
    if not file.exists():
        trace.write(make(), file)
    return trace.read(file)


def simulations(runs: int, loops: int, seed: int) -> dict[str, Callable[[Waveform], xr.Dataset]]:
    def volatile(wave: Waveform) -> xr.Dataset:
        return ensemble.run(FilamentKMC(Device.load("john2022-ogb")), wave, runs, rng=seed, processes=1)

    def nonvolatile(wave: Waveform) -> xr.Dataset:
        return ensemble.run(FilamentKMC(Device.load("john2022-ogb")), wave, loops, rng=seed, processes=1)

    def continuum(wave: Waveform) -> xr.Dataset:
        return FilamentFEM(Device.load("john2022-ogb")).simulate(wave)

    def synapse(wave: Waveform) -> xr.Dataset:
        return IonFilm(Device.load("kim2019-n3")).simulate(wave)

    return {"Volatile": volatile, "NonVolatile": nonvolatile, "NonVolatile, FEM": continuum, "Synapse": synapse}


def set_half(found: xr.Dataset) -> xr.Dataset:
    """The loop until its voltage becomes negative."""
    return found.isel(time=slice(0, int(np.argmax(found["voltage"].values < 0.0))))


def electrical(found: xr.Dataset) -> xr.Dataset:
    """The trace without fields and profiles, which a fit does not read."""
    return found[["voltage", "device_voltage", "current", "conductance"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=40, help="KMC runs of each pulse")
    parser.add_argument("--loops", type=int, default=16, help="KMC runs of each loop")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=list(FITTED), choices=list(FITTED))
    parser.add_argument("--cache", type=Path, help="folder that keeps the traces")
    arguments = parser.parse_args()
    if arguments.cache is not None:
        arguments.cache.mkdir(parents=True, exist_ok=True)
    make = simulations(arguments.runs, arguments.loops, arguments.seed)
    report: dict[str, Any] = {"goal": GOAL, "runs": arguments.runs, "loops": arguments.loops, "models": {}}
    for name in arguments.only:
        played = {
            which: {
                label: electrical(cached(arguments.cache, f"{name} {label}", lambda w=wave, n=name: make[n](w)))
                for label, wave in waves[name].items()
            }
            for which, waves in (("fitted", FITTED), ("held out", HELD_OUT))
        }
        model = name.partition(",")[0]
        if model == "NonVolatile":
            loops = played["held out"]
            loops.update({f"{label}, SET half": set_half(t) for label, t in list(loops.items())})
        begin = time.perf_counter()
        options = SYNAPSE if name == "Synapse" else {}
        cell = compact.fit(getattr(compact, model), list(played["fitted"].values()), **options)
        seconds = time.perf_counter() - begin
        tables = {which: compact.holdout(cell, list(t.values()), names=list(t)) for which, t in played.items()}
        held = tables["held out"]
        report["models"][name] = {
            "fit_seconds": seconds,
            "parameters": cell.parameters.to_list(),
            "warnings": list(cell.warnings),
            **{
                which: [
                    {
                        "stimulus": row.name,
                        "error": row.error,
                        "spread_of_runs": row.spread,
                        "floor": row.floor,
                        "runs": row.runs,
                        "note": row.note,
                        "met": bool(row.error < GOAL),
                    }
                    for row in table
                ]
                for which, table in tables.items()
            },
            "held_out_met": sum(row.error < GOAL for row in held),
            "held_out_of": len(held),
            "held_out_worst": held.worst,
        }
        if not arguments.json:
            print(f"\n{name}, fitted in {seconds:.0f} s\n{cell.parameters}")
            print("\n".join(cell.warnings))
            for which, table in tables.items():
                print(f"\n{which}\n{table}")
            misses = [row.name for row in held if not row.error < GOAL]
            print(f"held out below {GOAL:.0%}: {len(held) - len(misses)} of {len(held)}", end="")
            print(f"; MISS: {', '.join(misses)}" if misses else "", flush=True)
    if arguments.json:
        print(json.dumps(report, indent=1, default=str))


if __name__ == "__main__":
    main()
