"""Compile the kernels that many tests share into numba's cache, before workers start that would each compile them.

`make test` runs it. On a fresh clone it takes two processes half a minute, afterwards a few seconds.
"""

import subprocess
import sys

import numpy as np

from halidrift import Device, Waveform

BRIEF = Waveform.hold(0.1, 1e-6, compliance_A=1e-6, samples=3)


def kmc():
    """Filament, volatile cell, lattice gas: with bonds and without, tracked and not."""
    from halidrift.compact import Volatile
    from halidrift.kmc import FilamentKMC
    from halidrift.kmc.lattice_gas import LatticeGas
    from halidrift.kmc.processes import Hop
    from halidrift.physics import networks

    card = Device.load("john2022-ogb")
    FilamentKMC(card).simulate(BRIEF, rng=0)
    Volatile.of(
        conductance_off_S=1e-9,
        conductance_on_S=4e-6,
        growth_rate_Hz=0.05,
        growth_voltage_V=0.1,
        relaxation_time_s=6e-3,
    ).simulate(BRIEF, rng=0)
    cubic = networks.simple_cubic(0.5e-9)
    for bonds in ({}, {("ion", "ion"): 0.02}):
        gas = LatticeGas(cubic, [Hop("ion", 0.3)], repeat=(3, 3, 3), pair_energies=bonds)
        gas.possible(gas.run({"ion": 3}, events=2, rng=0).occupation.values[-1])
        gas.run({"ion": 3}, events=2, track="ion", rng=0)


def fem():
    """Filament, and films of one and of two species, in time and one stage at a time."""
    from halidrift.fem import FilamentFEM, IonFilm
    from halidrift.fem.equations import Boundary, Carrier, Equations, line_mesh
    from halidrift.fem.integration import control, play

    FilamentFEM(Device.load("john2022-ogb")).simulate(BRIEF)
    IonFilm(Device.load("kim2019-n3")).simulate(BRIEF)
    fixed = Boundary(0.0, 1.0)
    for charges in ([1.0], [1.0, -1.0]):
        carriers = [Carrier(z, 1e-14, left=fixed, right=fixed) for z in charges]
        film = Equations(line_mesh(np.full(8, 1e-8)), carriers, screening_1_m2=1e16)
        rest = film.rest()
        film.solve(rest, rest, 1e-4, wall=0.0)
        play(film, film.frames(rest), np.array([0.0, 1e-6]), np.zeros(2), control())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        globals()[sys.argv[1]]()
    else:
        jobs = [subprocess.Popen([sys.executable, __file__, name]) for name in ("kmc", "fem")]
        sys.exit(max(job.wait() for job in jobs))
