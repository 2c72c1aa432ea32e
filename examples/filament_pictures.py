"""A filament that one weak pulse grows, and that is gone milliseconds later: pictures of it.

A fresh cell of John et al. 2022 (card john2022-ogb) sees 1 V for 20 ms under a compliance of 1 uA and then no voltage.
Run it with

    python examples/filament_pictures.py                    the picture of docs/filament-pictures.md, here
    python examples/filament_pictures.py --out pictures     in this folder
    python examples/filament_pictures.py --all              also layer by layer, an animation, and 1 mA with a RESET

The first takes seconds, the second about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC
from halidrift.pipeline.figures import filament, save

FIGURES = {"filament-1uA.png": "Six views of an Ag filament in a 20 nm film during a 1 V pulse and after it"}
FAST = True


def weak(seed: int = 0) -> xr.Dataset:
    """1 V, 20 ms, 1 uA, then 40 ms without voltage; every reported instant is a snapshot."""
    pulse = Waveform.pulses(1.0, 20e-3, 60e-3, compliance_A=1e-6, samples_per_period=120)
    return FilamentKMC(Device.load("john2022-ogb")).simulate(pulse, rng=seed, snapshots=pulse.times_s)


def strong(seed: int = 0) -> xr.Dataset:
    """5 V, 5 ms, 1 mA, then 0 to -3 V and back within 40 ms; the first microseconds are reported densely."""
    write = Waveform.pulses(5.0, 5e-3, 6e-3, compliance_A=1e-3, samples_per_period=24)
    write = write.with_samples(np.concatenate([write.samples_s, np.geomspace(1.1e-6, 1e-3, 20)]))
    erase = Waveform.triangle([-3.0], 150.0, samples_per_V=12.0)
    return FilamentKMC(Device.load("john2022-ogb")).simulate(write + erase, rng=seed, snapshots=100)


def main() -> None:
    """Draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--all", action="store_true", help="all pictures")
    reader.add_argument("--seed", type=int, default=0)
    asked = reader.parse_args()
    runs = {"filament-1uA": weak(asked.seed)}
    if asked.all:
        runs["filament-1mA"] = strong(asked.seed)
    for name, trace in runs.items():
        print(save(filament.snapshots(trace), asked.out / f"{name}.png"))
        if asked.all:
            print(save(filament.layers(trace), asked.out / f"{name}-layers.png"))
            print(filament.animation(trace, asked.out / f"{name}.gif"))


if __name__ == "__main__":
    main()
