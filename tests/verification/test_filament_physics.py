"""Is the filament continuum solved right? Exact cases; each tolerance follows from the scheme, not from the run."""

from __future__ import annotations

import numpy as np
import pytest

from halidrift.fem.filament import Column, coordination
from halidrift.fem.meshes import cylinder
from halidrift.fem.solvers import direct
from halidrift.physics.constants import BOLTZMANN_EV_K, LORENZ_NUMBER_W_OHM_K2
from halidrift.physics.device import Device

L, A0 = 20e-9, np.pi * (5e-9) ** 2


@pytest.fixture(scope="module")
def device():
    return Device.load("john2022-ogb")


def column(device, temperature_K=300.0, **values):
    return Column(device.with_parameters(**values), temperature_K)


def start(col, metal):
    """A state at zero volts with this metal and no ions."""
    from halidrift.fem.filament import _State

    psi, warming, conductance, connected, heat = col.fields(metal, 0.0, np.zeros((2, col.mesh.size)))
    return _State(metal, np.zeros(col.mesh.size), psi, warming, conductance, 0.0, connected, heat)


def parabola_error(axial):
    """Largest error of the temperature of a Joule rod, relative to its top V^2 sigma / 8 k."""
    mesh, sigma, k = cylinder(5e-9, L, 3, axial), 1e6, 20.0
    s, c = np.full(mesh.size, sigma), np.full(mesh.size, k)
    psi = mesh.solve(mesh.links(s), mesh.ends(s, mesh.bottom), mesh.ends(s, mesh.top), 0 * s, 0.0, 1.0)
    np.testing.assert_allclose(psi, mesh.z_m / L, rtol=1e-12)
    heat = sigma / L**2 * mesh.volume_m3
    rise = mesh.solve(mesh.links(c), mesh.ends(c, mesh.bottom), mesh.ends(c, mesh.top), heat, 0.0, 0.0)
    exact = sigma / (2 * k) * (mesh.z_m / L) * (1 - mesh.z_m / L)
    return np.max(np.abs(rise - exact)) / (sigma / (8 * k))


def test_joule_rod():
    """T0 + V^2 sigma / 8 k: two-point fluxes on n equal cells are off by q h^2 / 8 k everywhere, 1 / n^2 of the top."""
    for cells in (20, 40):
        assert parabola_error(cells) == pytest.approx(1 / cells**2, rel=1e-6)


def test_two_temperatures_merge():
    """With strong coupling both are the one of the summed conductivities; without, each keeps its heat."""
    mesh = cylinder(5e-9, L, 4, 30)
    k1, k2, heat = np.full(mesh.size, 0.4), np.full(mesh.size, 30.0), mesh.volume_m3 * 1e20
    one = mesh.solve(mesh.links(k1 + k2), mesh.ends(k1 + k2, mesh.bottom), mesh.ends(k1 + k2, mesh.top), heat, 0.0, 0.0)
    pair = mesh.conductances(k1), mesh.conductances(k2)
    merged = mesh.solve_pair(*pair, 1e24 * mesh.volume_m3, heat)
    np.testing.assert_allclose(merged[0], one, rtol=1e-4)
    np.testing.assert_allclose(merged[1], one, rtol=1e-4)
    apart = mesh.solve_pair(*pair, 0.0 * heat, heat)
    np.testing.assert_allclose(apart[0], 0.0, atol=1e-12)
    alone = mesh.solve(mesh.links(k2), mesh.ends(k2, mesh.bottom), mesh.ends(k2, mesh.top), heat, 0.0, 0.0)
    np.testing.assert_allclose(apart[1], alone, rtol=1e-10)


def test_agrees_with_fipy_terms():
    """The banded solves are FiPy's DiffusionTerm with its own faces: potential, Joule source and temperature, 1e-9."""
    from fipy import CellVariable, DiffusionTerm

    mesh = cylinder(5e-9, L, 6, 12)
    values = 10.0 ** np.random.default_rng(3).uniform(0, 3, mesh.size)
    low, high = mesh.ends(values, mesh.bottom), mesh.ends(values, mesh.top)
    links = mesh.links(values)
    psi = mesh.solve(links, low, high, np.zeros(mesh.size), 0.0, 1.0)
    sigma = CellVariable(mesh=mesh.mesh, value=values)
    phi = CellVariable(mesh=mesh.mesh, value=0.5)
    phi.constrain(0.0, mesh.mesh.facesBottom)
    phi.constrain(1.0, mesh.mesh.facesTop)
    DiffusionTerm(coeff=sigma.harmonicFaceValue).solve(var=phi, solver=direct())
    np.testing.assert_allclose(psi, phi.value, rtol=1e-9)
    joule = 0.5 * links * (psi[mesh.right] - psi[mesh.left]) ** 2
    heat = np.bincount(mesh.left, joule, mesh.size) + np.bincount(mesh.right, joule, mesh.size)
    heat[mesh.bottom] += low * psi[mesh.bottom] ** 2
    heat[mesh.top] += high * (1 - psi[mesh.top]) ** 2
    source = (sigma.harmonicFaceValue * phi.arithmeticFaceValue * phi.faceGrad).divergence
    # FiPy's form takes the flow through a contact at the contact's potential, ours too
    np.testing.assert_allclose(heat, source.value * mesh.volume_m3, rtol=1e-7, atol=1e-9 * heat.max())
    rise = CellVariable(mesh=mesh.mesh, value=0.0)
    rise.constrain(0.0, mesh.mesh.facesBottom)
    rise.constrain(0.0, mesh.mesh.facesTop)
    k = CellVariable(mesh=mesh.mesh, value=2.0)
    (DiffusionTerm(coeff=k.harmonicFaceValue) + CellVariable(mesh=mesh.mesh, value=heat / mesh.volume_m3)).solve(
        var=rise, solver=direct()
    )
    ours = mesh.solve(
        mesh.links(k.value), mesh.ends(k.value, mesh.bottom), mesh.ends(k.value, mesh.top), heat, 0.0, 0.0
    )
    np.testing.assert_allclose(ours, rise.value, rtol=1e-9)


def test_conduction_converges_with_the_mesh():
    """A film with sigma = exp(z / L): G = A / (L (1 - 1/e)); second order in the mesh."""
    errors = []
    for axial in (10, 20, 40):
        mesh = cylinder(5e-9, L, 3, axial)
        sigma = np.exp(mesh.z_m / L)
        low, high = mesh.ends(sigma, mesh.bottom), mesh.ends(sigma, mesh.top)
        psi = mesh.solve(mesh.links(sigma), low, high, np.zeros(mesh.size), 0.0, 1.0)
        errors.append(abs(np.sum(low * psi[mesh.bottom]) / (A0 / (L * (1 - np.exp(-1)))) - 1))
    assert errors[-1] < 1 / 40**2
    assert 3.8 < errors[0] / errors[1] < 4.2
    assert 3.8 < errors[1] / errors[2] < 4.2


def test_metallic_cylinder(device):
    """All sites metal: L / (sigma A) in series with one atomic contact for each site below the electrode, 1e-9."""
    col = column(device, thermal_conductivity_W_mK=0.5)
    mesh, p = col.mesh, col.number
    _, _, conductance, _, _ = col.fields(np.ones(mesh.size), 0.0, np.zeros((2, mesh.size)))
    area = mesh.end_area_m2.sum()
    exact = L / (p["metal_conductivity_S_m"] + col.film_S_m) / area
    exact += col.spacing_m**2 / p["contact_conductance_S"] / area
    assert conductance == pytest.approx(1 / exact, rel=1e-9)


def test_power_balance_across_a_gap(device):
    """Joule heat of all cells is the conductance, for one volt; through metal, a gap and leaky film alike, 1e-8."""
    col = column(device)
    for top in (3e-9, 12e-9, 19e-9, 21e-9):
        metal = np.where((col.mesh.r_m < 1.5e-9) & (col.mesh.z_m < top), 0.97, 0.0)
        _, warming, conductance, _, heat = col.fields(metal, 0.1, np.zeros((2, col.mesh.size)))
        assert heat.sum() == pytest.approx(conductance, rel=1e-8)
        assert warming.min() > 0


def test_wiedemann_franz_rod(device):
    """Without loss to the lattice the electrons reach T_max^2 = T0^2 + V^2 / 4 L0; 3 % for film heat and mesh."""
    col = Column(
        device.with_parameters(contact_conductance_S=1.0, thermal_conductivity_W_mK=1e-3), 300.0, coupling_W_m3K=0.0
    )
    V = 0.2
    _, warming, *_ = col.fields(np.ones(col.mesh.size), V, np.zeros((2, col.mesh.size)))
    exact = np.sqrt(300.0**2 + V**2 / (4 * LORENZ_NUMBER_W_OHM_K2))
    assert 300.0 + V**2 * warming[1].max() == pytest.approx(exact, rel=0.03)


def test_coordination_counts_neighbours():
    mean = np.array([1e-9, 1e-3, 0.3, 1.0])
    touch, neighbours, touch_slope, slope = coordination(mean)
    np.testing.assert_allclose(touch, 1 - (1 - mean) ** 6, rtol=1e-6)
    np.testing.assert_allclose(touch * neighbours, 6 * mean, rtol=1e-9)
    assert neighbours[0] == pytest.approx(1.0, abs=1e-6)
    assert neighbours[-1] == 6.0
    h = 1e-6
    up, down = coordination(mean[1:3] + h), coordination(mean[1:3] - h)
    np.testing.assert_allclose(touch_slope[1:3], (up[0] - down[0]) / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(slope[1:3], (up[1] - down[1]) / (2 * h), rtol=1e-5)


def test_neighbour_mean_of_a_full_film(device):
    """Six neighbours inside; five at the top; six at the bottom where Ag nucleates, five beyond."""
    col = column(device)
    n = 6 * col.neighbour_mean(np.ones(col.mesh.size)).reshape(col.mesh.shape)
    inside = col.mesh.r_m[: col.mesh.shape[1]] < col.number["nucleus_radius_m"]
    np.testing.assert_allclose(n[1:-1], 6.0, rtol=1e-12)
    np.testing.assert_allclose(n[-1], 5.0, rtol=1e-12)
    np.testing.assert_allclose(n[0], np.where(inside, 6.0, 5.0), rtol=1e-12)


def test_ions_reach_the_boltzmann_profile(device):
    """Exponential fluxes are exact: closed film under 0.5 V, ions ~ exp(-(share V psi + E) / kT), 1e-8."""
    col = column(device, charge_transfer_barrier_eV=3.0, reduction_barrier_eV=3.0, dissolution_barrier_eV=3.0)
    state = start(col, np.zeros(col.mesh.size))._replace(ions=np.full(col.mesh.size, 1e-6))
    metal, ions, gained = col.advance(state, 0.5, np.full(col.mesh.size, 300.0), 10.0)
    assert np.sum(col.sites * ions) == pytest.approx(1e-6 * col.sites.sum(), rel=1e-9)
    assert abs(gained) < 1e-12
    assert metal.max() < 1e-12
    share = 1 - sum(col.interface_shares(1.0))
    weight = np.exp(-(share * 0.5 * state.potential + col.outside_eV) / (BOLTZMANN_EV_K * 300.0))
    np.testing.assert_allclose(ions / ions[0], weight / weight[0], rtol=1e-6)


def relax(col, state, temperature, until_s):
    """Advance a closed column at zero volts with growing steps."""
    time, step = 0.0, 1e-9
    while time < until_s:
        done = col.advance(state, 0.0, temperature, step)
        if done is None or np.max(np.abs(done[0] - state.metal)) > 0.2:
            step /= 3
            assert step > 1e-13
            continue
        state = state._replace(metal=done[0], ions=done[1])
        time, step = time + step, 1.7 * step
    return state


def test_detailed_balance(device):
    """A closed film at zero volts settles where each site obeys mass action with its bonds, in units of kT to 1e-3."""
    col = column(device, charge_transfer_barrier_eV=3.0, bond_energy_eV=0.05)
    seed = np.where((col.mesh.r_m < 1.5e-9) & (col.mesh.z_m < 6e-9), 0.8, 0.0)
    state = start(col, seed)
    temperature = np.full(col.mesh.size, 400.0)
    total = np.sum(col.sites * seed)
    state = relax(col, state, temperature, 1e6)
    assert np.sum(col.sites * (state.metal + state.ions)) == pytest.approx(total, rel=1e-6)
    p, kT = col.number, BOLTZMANN_EV_K * 400.0
    n = coordination(col.neighbour_mean(state.metal))[1]
    dilute = state.ions / (1 - state.metal + 1e-6)
    rise = p["dissolution_barrier_eV"] - p["reduction_barrier_eV"] + (n - 3) * p["bond_energy_eV"] + col.outside_eV
    affinity = np.log(dilute * (1 - state.metal) / state.metal) + rise / kT
    assert np.abs(affinity).max() < 1e-3
    potential = np.log(dilute) + col.outside_eV / kT
    assert np.ptp(potential) < 1e-3
    again = relax(col, state, temperature, 1e6)
    assert np.abs(again.metal - state.metal).max() < 1e-6


@pytest.mark.parametrize(("fraction", "step"), [(0.3, 1e-11), (0.9, 1e-10)])
def test_arrhenius_slope_of_dissolution(device, fraction, step):
    """The first loss of one layer far from the contacts has the activation energy of its coordination, 0.1 %.

    Each step is so short that an ion has no time to be reduced again.
    """
    col = column(device)
    j = np.arange(col.mesh.size) // col.mesh.shape[1]
    slab = np.where(j == 15, fraction, 0.0)
    n = coordination(col.neighbour_mean(slab))[1]
    inside = np.argmax((j == 15) & (slab > 0))
    losses = []
    temperatures = (400.0, 450.0)
    for T in temperatures:
        state = start(col, slab)
        metal, _, _ = col.advance(state, 0.0, np.full(col.mesh.size, T), step)
        losses.append(slab[inside] - metal[inside])
    energy = BOLTZMANN_EV_K * np.log(losses[1] / losses[0]) / (1 / temperatures[0] - 1 / temperatures[1])
    p = col.number
    exact = p["dissolution_barrier_eV"] + (n[inside] - 3) * p["bond_energy_eV"] + col.outside_eV[inside]
    assert energy == pytest.approx(exact, rel=1e-3)
