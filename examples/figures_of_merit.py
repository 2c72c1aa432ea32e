"""Figures of merit of simulated devices, with distributions and what is censored.

Set voltages at three sweep rates, switching and relaxation times of pulses (both kinetic Monte Carlo of the card of
John's device), and plasticity and forgetting of an ion film of Kim's n = 3: everything that `halidrift
characterise` draws from the traces that it is given. The picture of docs/characterise.md.

    python examples/figures_of_merit.py                 characterise.png, here
    python examples/figures_of_merit.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halidrift import Device, Waveform
from halidrift.compact import characterise
from halidrift.fem import IonFilm
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.physics import synapse
from halidrift.pipeline.figures import characterise as figures
from halidrift.pipeline.figures import save

FIGURES = {"characterise.png": "Distributions of a KMC filament, plasticity and forgetting of an ion film"}


def main() -> None:
    """Simulate, characterise, draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    filament, film = FilamentKMC(Device.load("john2022-ogb")), IonFilm(Device.load("kim2019-n3"))
    pulses = Waveform.pulses(1.0, 20e-3, 100e-3, 8, compliance_A=1e-6, samples_per_period=500)
    traces = [filament.simulate(pulses, rng=1)]
    for rate_V_s in (0.3, 1.0, 10.0):
        sweep = Waveform.triangle([1.5], rate_V_s, 1e-6, samples_per_V=100)
        traces.append(ensemble.run(filament, sweep, 3, rng=2, processes=1))
    traces += [film.simulate(synapse.pair(gap_s)) for gap_s in (20e-3, 60e-3, 120e-3, 180e-3)]
    traces.append(film.simulate(synapse.amplitudes()))
    traces += [film.simulate(synapse.update()), film.simulate(synapse.retention(watch_s=0.2, samples=40))]
    report = characterise.report(traces)
    print(report)
    print(save(figures.overview(report), asked.out / "characterise.png"))


if __name__ == "__main__":
    main()
