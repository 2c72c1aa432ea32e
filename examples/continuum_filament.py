"""A filament that narrows while it heats, and the heat around the atoms of another.

The first picture: ions that carry the conductivity of a 20 nm film drift and diffuse away from the cathode at -0.6
V, with current and Joule heat, axisymmetric. The second: potential, lattice and electron temperature around the
atoms that kinetic Monte Carlo left at 1 mA, with nothing but the contacts to cool them; a bound from above,
docs/filament-continuum.md says why.

    python examples/continuum_filament.py                 both pictures, here
    python examples/continuum_filament.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from halidrift import Device, Waveform
from halidrift.fem import Conduction, ElectroThermal, Heat, Ions, cylinder, filament_maps, plug
from halidrift.kmc import FilamentKMC
from halidrift.pipeline.figures import continuum, save

FIGURES = {
    "filament-continuum-maps.png": "Density of ions, potential and temperature of an axisymmetric filament at -0.6 V",
    "filament-handover.png": "Potential, lattice and electron temperature around the atoms of a filament at 1 mA",
}


def narrowing() -> xr.Dataset:
    """Ions, current and heat in a film with a plug of ions, 0 to -0.6 V and back at 1 V/s."""
    grid = cylinder(20e-9, 20e-9, 30, 30)
    film = ElectroThermal(
        grid,
        Ions(
            barrier_eV=1.0,
            attempt_frequency_Hz=1e13,
            hop_length_m=0.5e-9,
            heat_of_transport_eV=-1.0,
            density_1_m3=plug(grid, 1.2e27, 5e24, radius_m=4e-9, height_m=20e-9),
        ),
        Conduction(film_S_m=1e4, filament_S_m=2e5, filament_density_1_m3=6e26, activation_eV=0.05),
        Heat(film_W_mK=0.5, filament_W_mK=10.0),
        series_resistance_ohm=200.0,
        profiles=True,
    )
    return film.simulate(Waveform.triangle([-0.6], 1.0, samples_per_V=20))


def atoms() -> xr.Dataset:
    """Fields around a filament of the card of John's device, written at 1 mA, at 1.15 V on the way back."""
    sweep = Waveform.triangle([1.5], 1.0, 1e-3, samples_per_V=40)
    trace = FilamentKMC(Device.load("john2022-ogb")).simulate(sweep, rng=1)
    largest = float(trace["device_voltage"].values[np.argmax(trace["current"].values)])
    return filament_maps(trace, device_voltage_V=min(1.15, largest))


def main() -> None:
    """Run and draw both."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print(save(continuum.maps(narrowing(), time_s=0.6), asked.out / "filament-continuum-maps.png"))
    print(save(continuum.maps(atoms()), asked.out / "filament-handover.png"))


if __name__ == "__main__":
    main()
