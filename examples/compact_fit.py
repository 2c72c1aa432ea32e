"""A compact model fitted to kinetic Monte Carlo, and what it says of stimuli that it never saw.

Forty runs of the filament under each of five stimuli; `Volatile` is fitted to them, and two of them are shown beside
two that were held out: another amplitude, and two short pulses in a row, where the model misses the silver that the
first pulse leaves. The picture of docs/compact-fits.md; `benchmarks/compact_heldout.py` has all numbers.

    python examples/compact_fit.py                 compact-fit.png, here, a minute
    python examples/compact_fit.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from halidrift import Device, Waveform, compact
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.pipeline.figures import save
from halidrift.pipeline.figures.fit import fit_figure

FIGURES = {"compact-fit.png": "Volatile on KMC: data, model and residuals of two fitted and two held-out stimuli"}
STEP_S = 0.25e-3


def pulse(amplitude_V: float, width_s: float = 20e-3) -> Waveform:
    """One pulse and 100 ms without voltage, under 1 uA."""
    period = width_s + 100e-3
    return Waveform.pulses(amplitude_V, width_s, period, compliance_A=1e-6, samples_per_period=round(period / STEP_S))


def pair(gap_s: float) -> Waveform:
    """Two pulses of 1 V, 5 ms."""
    period = 5e-3 + gap_s
    two = Waveform.pulses(1.0, 5e-3, period, 2, compliance_A=1e-6, samples_per_period=round(period / STEP_S))
    return two + Waveform.hold(0.0, 60e-3, samples=240)


FITTED = {
    "0.9 V, 20 ms": pulse(0.9),
    "1.2 V, 20 ms": pulse(1.2),
    "1 V, 20 ms": pulse(1.0),
    "1 V, 10 ms": pulse(1.0, 10e-3),
    "1 V, twice 5 ms, 20 ms apart": pair(20e-3),
}
HELD_OUT = {"1.1 V, 20 ms": pulse(1.1), "1 V, twice 5 ms": pair(5e-3)}


def main() -> None:
    """Run, fit, draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--runs", type=int, default=40)
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    filament = FilamentKMC(Device.load("john2022-ogb"))
    seen, new = (
        [ensemble.run(filament, wave, asked.runs, rng=7, processes=1) for wave in waves.values()]
        for waves in (FITTED, HELD_OUT)
    )
    cell = compact.fit(compact.Volatile, seen)
    print(cell.parameters)
    shown = [
        [replace(one, name=name) for one, name in zip(compact.residuals(cell, traces), names, strict=True)]
        for traces, names in ((seen[:2], list(FITTED)[:2]), (new, list(HELD_OUT)))
    ]
    title = f"Volatile, fitted to {asked.runs} KMC runs of each of five stimuli (two are shown)"
    print(save(fit_figure(shown[0], held_out=shown[1], title=title), asked.out / "compact-fit.png"))


if __name__ == "__main__":
    main()
