"""Site networks and the exact transport of one walker. Tolerances are those of rounding unless said otherwise."""

import importlib

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from halidrift.physics import kinetics, networks, transport
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.crystals import perovskite, ruddlesden_popper
from halidrift.physics.errors import InputError, ValidityError

A = 0.587e-9
STANDARD = {
    # sites in the cubic cell, neighbours, length over a
    networks.simple_cubic: (1, 6, 1.0),
    networks.bcc: (2, 8, np.sqrt(3) / 2),
    networks.fcc: (4, 12, np.sqrt(0.5)),
    networks.halide: (3, 8, np.sqrt(0.5)),
    networks.a_site: (1, 6, 1.0),
    networks.interstitial: (3, 8, np.sqrt(0.5)),
}


@pytest.fixture(scope="module")
def tilted():
    """Bromide sublattice of orthorhombic CsPbBr3: two kinds of sites, six classes of hops."""
    return networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", through="Pb")


@pytest.fixture(scope="module")
def unequal(tilted):
    """Rates on it that span five decades, with unequal sites."""
    return transport.network_rates(tilted, np.linspace(0.25, 0.55, 6), 300.0, site_energies_eV=[0.0, 0.06])


def consistent(network):
    """Everything a network promises about its hops."""
    ends = network.positions_m[network.target] + network.image @ network.cell_m
    assert np.allclose(ends - network.positions_m[network.source], network.hop_m, atol=1e-20, rtol=0)
    assert np.array_equal(network.reverse[network.reverse], np.arange(network.hops))
    assert np.allclose(network.hop_m[network.reverse], -network.hop_m, atol=1e-20, rtol=0)
    assert np.array_equal(network.target[network.reverse], network.source)
    assert np.array_equal(network.hop_class[network.reverse], network.hop_class)
    assert np.all(np.diff(network.class_length_m) > -networks.TOLERANCE_M)
    for site in range(network.sites):
        row = slice(network.start[site], network.start[site + 1])
        counted = np.bincount(network.hop_class[row], minlength=network.classes)
        assert np.array_equal(counted, network.multiplicity[network.kind[site]])


@pytest.mark.parametrize("build", STANDARD)
def test_standard_networks_have_their_neighbours(build):
    sites, neighbours, length = STANDARD[build]
    network = build(A)
    assert (network.sites, network.classes, len(network.multiplicity)) == (sites, 1, 1)
    assert np.all(network.coordination == neighbours)
    assert network.class_length_m[0] == pytest.approx(length * A, rel=1e-12)
    consistent(network)
    consistent(build(A, (2, 3, 1)))


def test_the_halide_sublattice_is_made_of_octahedron_edges():
    network = networks.halide(A)
    metal = np.zeros(3)
    for e in range(network.hops):
        middle = network.positions_m[network.source[e]] + 0.5 * network.hop_m[e]
        # the middle of an edge is a / (2 sqrt 2) from exactly one metal atom
        distance = np.linalg.norm((middle - metal + 0.5 * A) % A - 0.5 * A)
        assert distance == pytest.approx(A / np.sqrt(8), rel=1e-12)


def test_a_site_may_neighbour_its_own_images():
    network = networks.simple_cubic(A)
    assert np.all(network.target == 0)
    assert sorted(map(tuple, network.image.tolist())) == [
        (-1, 0, 0),
        (0, -1, 0),
        (0, 0, -1),
        (0, 0, 1),
        (0, 1, 0),
        (1, 0, 0),
    ]


def test_the_halide_builder_agrees_with_the_crystal():
    built = networks.halide(5.874e-10)
    found = networks.from_atoms(perovskite("CsPbBr3"), "Br")
    assert (found.sites, found.hops, found.classes) == (built.sites, built.hops, 1)
    assert found.class_length_m[0] == pytest.approx(built.class_length_m[0], rel=1e-12)


def test_any_supercell_has_the_same_classes(tilted):
    cell = perovskite("CsPbBr3", "orthorhombic")
    consistent(tilted)
    assert tilted.multiplicity.tolist() == [[1, 2, 1, 1, 2, 1], [2, 0, 2, 2, 0, 2]]
    for repeat in ((2, 1, 1), (1, 1, 2)):
        wide = networks.from_atoms(cell.repeat(repeat), "Br", through="Pb")
        assert wide.multiplicity.tolist() == tilted.multiplicity.tolist()
        assert np.allclose(wide.class_length_m, tilted.class_length_m, rtol=1e-12)
        again = tilted.repeat(repeat)
        assert (again.sites, again.hops) == (wide.sites, wide.hops)
        consistent(again)


def test_classes_survive_noise_below_the_tolerance(tilted):
    shaken = perovskite("CsPbBr3", "orthorhombic")
    shaken.rattle(1e-3, seed=3)
    noisy = networks.from_atoms(shaken, "Br", through="Pb", tolerance_angstrom=0.05)
    # three classes have lengths closer than the tolerance: their order is open
    assert sorted(noisy.multiplicity.T.tolist()) == sorted(tilted.multiplicity.T.tolist())
    exact = networks.from_atoms(shaken, "Br", through="Pb", tolerance_angstrom=1e-6)
    assert exact.classes == exact.hops // 2  # without the tolerance every pair of sites is its own class


def test_edges_of_tilted_octahedra_equal_the_first_shell(tilted):
    shell = networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br")
    assert shell.hops == tilted.hops == 12 * 8
    assert np.array_equal(shell.hop_class, tilted.hop_class)
    short = networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", 4.2, through="Pb")
    assert short.class_length_m.max() <= 4.2e-10
    assert short.hops < tilted.hops


def test_other_sublattices_and_crystals():
    cell = perovskite("CsPbBr3", "orthorhombic")
    assert np.all(networks.from_atoms(cell, "Cs").coordination == 6)
    assert np.all(networks.from_atoms(cell, "Pb").coordination == 6)
    diamond = networks.from_atoms(bulk("Si", "diamond", a=5.43), "Si")
    assert (diamond.sites, diamond.hops, diamond.classes, len(diamond.multiplicity)) == (2, 8, 1, 1)
    tetragonal = networks.from_atoms(perovskite("MAPbI3", "tetragonal", cations=False), "I", through="Pb")
    assert np.all(tetragonal.coordination == 8)
    assert tetragonal.classes == 2


# -- diffusion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", STANDARD)
@given(a=st.floats(1e-10, 1e-8), rate=st.floats(1e-3, 1e12))
@settings(max_examples=5, deadline=None)
def test_equal_sites_diffuse_by_the_textbook(build, a, rate):
    _, neighbours, length = STANDARD[build]
    D = transport.diffusion_tensor(build(a), rate)
    expected = neighbours / 6 * (length * a) ** 2 * rate
    assert np.allclose(D, expected * np.eye(3), rtol=1e-9, atol=1e-12 * expected)


@pytest.mark.parametrize("ratio", [1.0, 3.7, 1e6, 1e12])
def test_barriers_in_a_row_add_like_resistances(ratio):
    # two sites a period L, hops of rates 1 and `ratio` in turn: D = L^2 / [2 (1 / k1 + 1 / k2)]
    L = 1e-9
    cell = [[L, 0, 0], [0, 1, 0], [0, 0, 1]]
    chain = networks.from_sites([[0, 0, 0], [0.4 * L, 0, 0]], cell, 0.61 * L, pbc=(True, False, False))
    assert chain.classes == 2
    D = transport.diffusion_tensor(chain, [1.0, ratio])
    assert D[0, 0] == pytest.approx(L**2 / (2 * (1 + 1 / ratio)), rel=1e-9)
    assert np.abs(D).sum() == pytest.approx(D[0, 0], rel=1e-12)


def test_unequal_sites_diffuse_as_the_slowest_wave_decays(tilted, unequal):
    # independent of correctors: the slowest eigenvalue of the hopping matrix at a small wave vector is q.D.q.
    # The next order is (q d)^2 / 12 of it: 1e-7 at q d = 1e-3; tolerance 1e-5 leaves room for rounding.
    exact = transport.diffusion_tensor(tilted, unequal)
    assert np.linalg.eigvalsh(exact)[0] > 0
    for direction in np.eye(3):
        q = direction * 3e-3 / 4.2e-10
        matrix = np.zeros((tilted.sites,) * 2, complex)
        np.add.at(matrix, (tilted.source, tilted.target), unequal * np.exp(1j * tilted.hop_m @ q))
        matrix -= np.diag(np.bincount(tilted.source, unequal))
        slowest = -np.linalg.eigvals(matrix).real.max()
        assert slowest == pytest.approx(q @ exact @ q, rel=1e-5)


def test_diffusion_does_not_depend_on_the_cell(tilted, unequal):
    exact = transport.diffusion_tensor(tilted, unequal)
    wide = tilted.repeat((2, 1, 2))
    rates = transport.network_rates(wide, np.linspace(0.25, 0.55, 6), 300.0, site_energies_eV=[0.0, 0.06])
    assert np.allclose(transport.diffusion_tensor(wide, rates), exact, rtol=1e-9, atol=1e-9 * np.trace(exact))


def test_large_networks_take_the_sparse_path(monkeypatch, tilted):
    driven = transport.network_rates(tilted, 0.35, 300.0, field_V_m=(3e6, 2e6, -1e6), site_energies_eV=[0.0, 0.06])
    dense = transport.occupation(tilted, driven)
    monkeypatch.setattr(transport, "LARGEST_DENSE", 1)
    assert np.allclose(transport.occupation(tilted, driven), dense, rtol=1e-10)


def test_occupation_is_boltzmann(tilted, unequal):
    share = transport.occupation(tilted, unequal)
    ratio = np.exp(-0.06 / (BOLTZMANN_EV_K * 300.0))
    assert share.sum() == pytest.approx(1.0, rel=1e-12)
    assert share[tilted.kind == 1] / share[tilted.kind == 0][0] == pytest.approx(ratio, rel=1e-9)


def test_detailed_balance_is_seen(tilted, unequal):
    assert transport.is_balanced(tilted, unequal)
    twisted = unequal.copy()
    twisted[0] *= 1.001
    assert not transport.is_balanced(tilted, twisted)
    # a hop onto an own image has no loop to close: forward and backward must be equal
    rates = np.ones(6)
    rates[0] = 2.0
    assert not transport.is_balanced(networks.simple_cubic(A), rates)


# -- drift ---------------------------------------------------------------------------------------------------


def test_no_field_no_drift(tilted, unequal):
    speed = np.abs(transport.velocity(tilted, unequal)).max()
    assert speed <= 1e-12 * unequal.max() * 4.2e-10


@given(field=st.floats(-4e8, 4e8), T=st.floats(200.0, 600.0))
@settings(max_examples=20, deadline=None)
def test_simple_cubic_drift_is_mott_gurney(field, T):
    v = transport.drift_velocity(networks.simple_cubic(A), 0.3, T, (0.0, field, 0.0))
    expected = kinetics.drift_velocity(0.3, T, field, A)
    # a weak field leaves the difference of two nearly equal rates: rounding of each
    rounding = 1e-14 * kinetics.hop_rate(0.3, T) * A
    assert v[1] == pytest.approx(expected, rel=1e-9, abs=rounding)
    assert abs(v[0]) <= rounding


@pytest.mark.parametrize("charge", [1, -2])
def test_einstein_relation_with_unequal_sites(tilted, unequal, charge):
    # the response is linear up to (q d F / kT)^2: 2e-8 at 1e4 V/m; tolerance 1e-6
    D = transport.diffusion_tensor(tilted, unequal)
    field = np.array([4e3, -6e3, 8e3])
    v = transport.drift_velocity(
        tilted, np.linspace(0.25, 0.55, 6), 300.0, field, site_energies_eV=[0.0, 0.06], charge=charge
    )
    assert np.allclose(v, charge * D @ field / (BOLTZMANN_EV_K * 300.0), rtol=1e-6, atol=1e-6 * np.abs(v).max())


def test_the_checked_face_is_the_formula():
    exact = kinetics.diffusion_coefficient(0.35, 300.0, A / np.sqrt(2), 2e12, neighbours=8)
    assert transport.diffusion_coefficient(networks.halide(A), 0.35, 300.0, 2e12) == pytest.approx(exact, rel=1e-9)


# -- layers --------------------------------------------------------------------------------------------------


def test_layers_diffuse_in_their_plane_only():
    network = networks.from_atoms(ruddlesden_popper("CsPbBr3", "Cs", 2), "Br", through="Pb")
    with pytest.raises(InputError, match="falls apart"):
        transport.diffusion_tensor(network, 1.0)
    layers = network.split()
    assert len(layers) == 2
    consistent(layers[0])
    D = transport.diffusion_tensor(layers[0], 1.0)
    assert D[0, 0] == pytest.approx(D[1, 1], rel=1e-9)
    assert D[0, 0] > 0
    assert abs(D[2, 2]) <= 1e-9 * D[0, 0]
    assert networks.halide(A).split()[0].sites == 3


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: networks.halide(-1e-10), "lattice constant"),
        (lambda: networks.halide(np.nan), "lattice constant"),
        (lambda: networks.halide(A, (0, 1, 1)), "whole numbers"),
        (lambda: networks.halide(A, (200, 200, 200)), "too large"),
        (lambda: networks.interstitial(A, site="somewhere"), "window, cell"),
        (lambda: networks.from_sites([[0, 0, 0]], np.eye(3), 0.5), "no hops"),
        (lambda: networks.from_sites([[0, 0, 0], [0, 0, 0]], np.eye(3), 1.1), "on top of each other"),
        (lambda: networks.from_sites([0, 0, 0], np.eye(3), 1.1), "arrays of vectors"),
        (lambda: networks.from_sites([[0, 0, np.nan]], np.eye(3), 1.1), "finite"),
        (lambda: networks.from_sites([[0, 0, 0]], np.zeros((3, 3)), 1.1), "volume"),
        (lambda: networks.from_atoms(perovskite("CsPbBr3"), "I"), "no such element"),
        (lambda: networks.from_atoms(perovskite("CsPbBr3"), "Br", through="Sn"), "no such element"),
        (lambda: networks.from_atoms(perovskite("CsPbBr3"), "Br", 1.0), "no hops"),
        (lambda: transport.network_rates(networks.halide(A), [0.3, 0.4], 300.0), "barriers_eV"),
        (lambda: transport.network_rates(networks.halide(A), 0.3, -1.0), "temperature_K"),
        (lambda: transport.network_rates(networks.halide(A), 0.3, 300.0, field_V_m=1e6), "vector"),
        (lambda: transport.network_rates(networks.halide(A), 0.3, 300.0, site_energies_eV=[0, 1]), "site_energies_eV"),
        (lambda: transport.diffusion_tensor(networks.halide(A), [1.0, 2.0]), "do not fit"),
        (lambda: transport.diffusion_tensor(networks.halide(A), 0.0), "positive"),
        (lambda: transport.diffusion_coefficient(networks.halide(A), 0.0, 300.0), "barriers_eV"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_field_that_removes_a_barrier_is_refused():
    with pytest.raises(ValidityError, match="removes the hop barrier"):
        transport.drift_velocity(networks.halide(A), 0.1, 300.0, (1e9, 0, 0))
    flat = networks.from_sites([[0, 0, 0]], np.eye(3) * 1e-9, 1.1e-9, pbc=(True, True, False))
    with pytest.raises(InputError, match="does not repeat"):
        flat.repeat((1, 1, 2))


@pytest.mark.parametrize("module", ["physics.transport", "physics.networks", "physics.correlation"])
def test_doctests(module):
    import doctest

    result = doctest.testmod(importlib.import_module(f"halidrift.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_sites_further_apart_than_the_barrier_keep_detailed_balance():
    tilted = networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", through="Pb")
    rates = transport.network_rates(tilted, 0.35, 300.0, site_energies_eV=[0.0, 0.8])
    assert transport.is_balanced(tilted, rates)
    rise = 0.8 * (tilted.kind[tilted.target] - tilted.kind[tilted.source])
    # tolerance: rounding of exponents near 31
    assert np.allclose(np.log(rates / rates[tilted.reverse]), -rise / (8.617333262e-5 * 300.0), atol=1e-6)


@pytest.mark.parametrize("charge", [np.nan, 0.5])
def test_a_charge_that_is_none_gives_no_rates(charge):
    with pytest.raises(InputError, match="charge"):
        transport.network_rates(networks.halide(A), 0.35, 300.0, field_V_m=(1e6, 0, 0), charge=charge)


def test_a_cutoff_in_the_wrong_unit_is_refused():
    with pytest.raises(InputError, match="too many sites"):
        networks.from_sites([[0, 0, 0]], np.eye(3) * 5e-10, 6.0)
