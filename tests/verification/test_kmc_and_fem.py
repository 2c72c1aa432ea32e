"""Where atoms and continuum must agree: dilute ions in a field, a metal cylinder, a filament handed over."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from halidrift import Device, Waveform
from halidrift.fem import Conduction, ElectroThermal, Heat, Ions, cylinder, slab
from halidrift.fem.handover import filament_maps
from halidrift.kmc import FilamentKMC
from halidrift.kmc._engine import local_temperature
from halidrift.kmc._fields import METAL, network, network_conductance, set_row
from halidrift.kmc.lattice import BOTTOM, TOP, column
from halidrift.kmc.lattice_gas import LatticeGas
from halidrift.kmc.processes import Hop
from halidrift.kmc.walk import walk
from halidrift.physics import formulas, networks
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import InputError
from halidrift.physics.transport import network_rates

A, BARRIER, NU, T = 0.6e-9, 0.30, 1e12, 300.0
KT = BOLTZMANN_EV_K * T


@cache
def moments(bias, time_s):
    """Mean displacement and variance along z of ions that start in one layer of a wide film, in the field bias kT/a."""
    cells = 240
    grid = slab(2 * A, cells * A, A, 2, cells)
    layer = np.arange(grid.size) // 2
    start = np.where(layer == cells // 3, 1e20, 0.0)
    # the active electrode negative: positive ions drift up
    model = ElectroThermal(
        grid,
        Ions(BARRIER, NU, A, start),
        Conduction(1e-3, 1e-3, 1e27),
        Heat(1e3, capacity_J_m3K=0.0),
        tolerance=1e-3,
    )
    run = model.simulate(Waveform.hold(-bias * KT * cells, time_s, samples=2))
    weight = run.density.values.sum(axis=1)
    assert weight[0] + weight[-1] < 1e-9 * weight.sum()
    mean = np.sum(weight * run.z.values) / weight.sum()
    variance = np.sum(weight * (run.z.values - mean) ** 2) / weight.sum()
    return mean - run.z.values[cells // 3], variance


@pytest.mark.parametrize("bias", [0.2, 2.0])
def test_dilute_ions_drift_and_spread_alike(bias):
    """Independent walkers against the finite volumes with D and mobility of the same barrier, lattice and field.

    Mean displacement and variance agree within 4 standard errors of 20,000 walkers, at q E a / kT = 0.2 and at 2, far
    beyond drift linear in the field: on cells as wide as the hop the exponential flux is the master equation of the
    hops.
    """
    time_s = 30.0 / formulas.hop_rate(BARRIER, T, NU, 0.0)
    network = networks.simple_cubic(A)
    rates = network_rates(network, BARRIER, T, attempt_frequency_Hz=NU, field_V_m=(0.0, 0.0, bias * KT / A))
    run = walk(network, rates, walkers=20_000, time_s=time_s, rng=5)
    z = run.displacement.values[:, 2]
    mean, variance = moments(bias, time_s)
    assert abs(z.mean() - mean) < 4 * z.std() / np.sqrt(z.size)
    assert abs(z.var() - variance) < 4 * z.var() * np.sqrt(2 / z.size)


def test_lattice_gas_in_the_dilute_limit():
    """200 labelled ions on 40,000 sites of the lattice gas: the same drift and spreading, 4 standard errors.

    At half a percent of the sites exclusion changes either by less than one.
    """
    bias = 0.2
    time_s = 30.0 / formulas.hop_rate(BARRIER, T, NU, 0.0)
    gas = LatticeGas(
        networks.simple_cubic(A),
        [Hop("ion", BARRIER, attempt_frequency_Hz=NU)],
        repeat=(20, 20, 100),
        charges={"ion": 1},
        temperature_K=T,
        field_V_m=(0.0, 0.0, bias * KT / A),
    )
    run = gas.run({"ion": 200}, time_s=time_s, track="ion", rng=3)
    z = run.displacement.values[-1, :, 2]
    mean, variance = moments(bias, time_s)
    assert abs(z.mean() - mean) < 4 * z.std() / np.sqrt(z.size)
    assert abs(z.var() - variance) < 4 * z.var() * np.sqrt(2 / z.size)


def test_metal_cylinder():
    """A straight cylinder of atoms against a continuum of conductivity g / a and as many square metres.

    The continuum is the chain of links to 1e-9. KMC's network is so to 1e-3, conductance and potential: it adds a weak
    link to the film beside for each atom. The contact of an atom with an electrode is a whole link, half of it an
    interface in the continuum.
    """
    g, layers = 1e-3, 20
    sites = column(A, 15 * A, layers * A)
    radius = np.hypot(sites.positions_m[:, 0], sites.positions_m[:, 1])
    occupation = np.where(radius < 4.2 * A, METAL, 0).astype(np.int8)
    atoms = np.flatnonzero(occupation == METAL).astype(np.int32)
    bonds = np.zeros(sites.size, np.int8)
    for k in range(6):
        there = sites.neighbours[:, k]
        bonds += np.where(there >= 0, occupation[there] == METAL, (there == TOP) | (there == BOTTOM))
    u, psi = np.zeros(sites.size + 1), np.full(sites.size, 0.5)
    position = np.full(sites.size, -1, np.int32)
    position[atoms] = np.arange(atoms.size)
    net = network(np.arange(sites.size) % layers)
    for s in atoms:
        set_row(s, net, occupation, sites.neighbours, bonds, position, psi, g, g, 1e10, 0.45e-9, A)
    G, residual, _ = network_conductance(net, atoms, atoms.size, u, g, 1e-12, 1e-16)
    assert residual < 1e-15
    across = atoms.size // layers
    grid = cylinder(np.sqrt(across / np.pi) * A, layers * A, 4, layers)
    sigma = np.full(grid.size, g / A)
    low, high = (grid.ends(sigma, cells, 2 * g / A**2) for cells in (grid.bottom, grid.top))
    potential = grid.solve(grid.links(sigma), low, high, 0 * sigma, 0.0, 1.0)
    assert np.sum(low * potential[grid.bottom]) == pytest.approx(across * g / (layers + 1), rel=1e-9)
    # each atom also leaks a millionth of a contact to the film around it
    assert pytest.approx(np.sum(low * potential[grid.bottom]), rel=1e-3) == G
    by_layer = u[atoms].reshape(across, layers).mean(axis=0)
    np.testing.assert_allclose(by_layer, potential.reshape(layers, 4)[:, 0], atol=1e-3)


def test_hottest_spot_of_a_rod():
    """Between cool contacts the continuum gives KMC's T0 + 4 u (1 - u) R P with R = L / 8 k A; to 1 / n^2 of R P."""
    radius, L, sigma, k, V, n = 3e-9, 20e-9, 1e6, 5.0, 0.05, 40
    grid = cylinder(radius, L, 3, n)
    model = ElectroThermal(grid, Ions(2.0, 1e12, A, 1e26), Conduction(sigma, sigma, 1e27), Heat(k, capacity_J_m3K=0.0))
    run = model.simulate(Waveform.hold(V, 1e-9, samples=2))
    hottest = T + L / (8 * k * np.pi * radius**2) * float(run.power[-1])
    u = run.potential.values[:, 0] / V
    atomistic = [local_temperature(x, hottest, SimpleNamespace(ambient_K=T)) for x in u]
    np.testing.assert_allclose(run.temperature.values[:, 0], atomistic, atol=1.01 * (hottest - T) / n**2)


@pytest.fixture(scope="module")
def filament():
    """A filament of some hundred atoms under 10 uA, and its snapshots."""
    wave = Waveform.pulses(1.2, 2e-3, 3e-3, 1, compliance_A=1e-5, samples_per_period=30)
    return FilamentKMC(Device.load("john2022-ogb")).simulate(wave, rng=2, snapshots=20)


def test_filament_handed_over(filament):
    """The maps carry the current of the atomistic network (1e-4, for its weak link to the film) and heat I V."""
    on = int(np.argmax(filament.snapshot_potential.count(("x", "y", "z")).values))
    time = float(filament.snapshot_time[on])
    at = int(np.argmin(np.abs(filament.time.values - time)))
    maps = filament_maps(filament, snapshot=on, coupling_W_m3K=np.inf)
    current, voltage = float(filament.current[at]), float(filament.device_voltage[at])
    assert abs(current) > 1e-7
    film = 1 / (voltage / current - 200.0)
    assert float(maps.conductance) == pytest.approx(film, rel=1e-4)
    beside = 0.999 * Device.load("john2022-ogb").value("leakage_S")
    assert float(maps.power) == pytest.approx(float(maps.film_voltage) ** 2 * (film - beside), rel=1e-4)
    # one temperature: Wiedemann and Franz bound the rise whatever the shape, less what the film takes
    bound = np.sqrt(T**2 + float(maps.film_voltage) ** 2 / (4 * 2.44e-8))
    assert T < float(maps.temperature_max) < bound
    sides = filament_maps(filament, snapshot=on, coupling_W_m3K=np.inf, side_W_m2K=np.inf)
    assert float(sides.temperature_max) <= float(maps.temperature_max)
    beyond = filament_maps(filament, snapshot=on, coupling_W_m3K=np.inf, ballistic_layers=3)
    assert float(beyond.temperature_max) < float(maps.temperature_max)
    assert float(beyond.power) == float(maps.power)
    assert float(maps.potential.max()) <= float(maps.film_voltage)
    assert maps.temperature.dims == ("z", "y", "x")


def test_what_cannot_be_handed_over(filament):
    with pytest.raises(InputError, match="No such snapshot"):
        filament_maps(filament, snapshot=99)
    with pytest.raises(InputError, match="holds no filament"):
        filament_maps(filament.drop_vars("occupation"))
    with pytest.raises(InputError, match="ballistic_layers"):
        filament_maps(filament, ballistic_layers=40)
    with pytest.raises(InputError, match="side_W_m2K"):
        filament_maps(filament, side_W_m2K=-1e6)
    with pytest.raises(InputError, match="coupling_W_m3K"):
        filament_maps(filament, coupling_W_m3K=0.0)
    rest = filament_maps(filament, device_voltage_V=0.0)
    assert float(rest.temperature_max) == T
