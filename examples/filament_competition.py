"""Ag filament or vacancy filament? First passages of both models in MAPbI3 films of several thicknesses.

Run it with

    python examples/filament_competition.py                          15 and 30 nm with Ag, half a minute
    python examples/filament_competition.py --thickness 30 60 90     thicker films cost minutes each
    python examples/filament_competition.py --electrode Ag Cu Al Au  the metal of the active electrode
    python examples/filament_competition.py --barrier 0.52           another barrier of the vacancy, eV

What was found, and how far it is from the published crossover at about 90 nm: docs/kmc-vacancies.md.
"""

from __future__ import annotations

import argparse

import numpy as np

from halidrift import Device, Waveform
from halidrift.kmc import competition


def main() -> None:
    """Print one line for each film and electrode."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--thickness", nargs="+", type=float, default=[15.0, 30.0], help="film thickness, nm")
    options.add_argument("--electrode", nargs="+", default=["Ag"], help="metals of the active electrode")
    options.add_argument("--barrier", type=float, help="migration barrier of the vacancy, eV")
    options.add_argument("--replicas", type=int, default=2)
    options.add_argument("--width", type=float, default=3.0, help="edge of the column, nm")
    options.add_argument("--up-to", type=float, default=1.4, help="end of the ramp, V")
    options.add_argument("--rate", type=float, default=1.0, help="V/s")
    given = options.parse_args()

    device = Device.load("mapbi3-ag").with_parameters(column_width_m=given.width * 1e-9)
    if given.barrier is not None:
        device = device.with_parameters(vacancy_hop_barrier_eV=given.barrier)
    top, span = given.up_to, given.up_to / given.rate
    ramp = Waveform(
        np.array([0.0, span]), np.array([0.0, top]), np.array(1e-6), np.linspace(0.0, span, round(50 * top) + 1)
    )
    for thickness in given.thickness:
        for electrode in given.electrode:
            found = competition.race(
                device, ramp, thicknesses_m=[thickness * 1e-9], electrodes=[electrode], replicas=given.replicas, rng=1
            )
            volts = {m: found.switching_voltage.sel(mechanism=m).values.ravel().round(2).tolist() for m in
                     competition.MECHANISMS}  # fmt: skip
            winners = [found.winners[i] for i in found.winner.values.ravel()]
            print(f"{electrode} {thickness:g} nm: {volts}, first: {', '.join(winners)}", flush=True)


if __name__ == "__main__":
    main()
