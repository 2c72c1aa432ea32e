"""Does the walk diffuse as the exact theory says, and do its atoms? Seeds and tolerances were fixed before any run.

Acceptance (issue 3): diffusion coefficients within 2 standard errors; tracer correlation factors of sc, bcc, fcc
against the published 0.653109, 0.727194, 0.781451, and of the halide sublattice.
"""

import importlib

import numpy as np
import pytest
from ase.build import bulk
from scipy import stats
from scipy.sparse import csc_matrix, identity
from scipy.sparse.linalg import splu

from halidrift.kmc import _walk
from halidrift.kmc.walk import walk
from halidrift.physics import networks, transport
from halidrift.physics.correlation import correlation
from halidrift.physics.crystals import perovskite
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError

A = 0.587e-9
SEED = 2026
EXACT = {networks.simple_cubic: 0.653109, networks.bcc: 0.727194, networks.fcc: 0.781451}


@pytest.fixture(scope="module")
def tilted():
    return networks.from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", through="Pb")


@pytest.fixture(scope="module")
def unequal(tilted):
    """Six unequal barriers and two unequal sites: rates over two decades at 300 K."""
    return transport.network_rates(tilted, np.linspace(0.30, 0.40, 6), 300.0, site_energies_eV=[0.0, 0.02])


# -- correlation factors, without simulation -----------------------------------------------------------------


@pytest.mark.parametrize("build", EXACT)
def test_published_correlation_factors(build):
    result = correlation(build(A), 1e6)
    assert result.factor == pytest.approx(EXACT[build], abs=6e-7)  # the published digits
    assert result.axes == pytest.approx([result.factor] * 3, rel=1e-9)
    assert result.haven_ratio == pytest.approx(result.factor, rel=1e-9)
    assert result.encounter_factor == pytest.approx(result.factor, rel=1e-9)


def test_diamond_is_one_half():
    # exact, and on a crystal whose sites have no centre of inversion (Compaan and Haven 1956)
    diamond = networks.from_atoms(bulk("Si", "diamond", a=5.43), "Si")
    assert correlation(diamond).factor == pytest.approx(0.5, abs=1e-7)


def test_halide_sublattice():
    # 0.69 in print (Ishigaki et al. 1988, anion sublattice of a perovskite); the digits are ours
    result = correlation(networks.halide(A))
    assert round(result.factor, 2) == 0.69
    assert result.factor == pytest.approx(0.688916, abs=1e-6)
    # the windows between A sites form the same network
    assert correlation(networks.interstitial(A)).factor == pytest.approx(result.factor, abs=1e-7)


def test_correlation_does_not_depend_on_the_cell_or_the_time_unit():
    one = correlation(networks.halide(A), 1.0)
    wide = correlation(networks.halide(A, (2, 1, 1)), 1e9)
    assert wide.factor == pytest.approx(one.factor, abs=1e-7)
    assert wide.tracer_tensor_m2_s == pytest.approx(1e9 * one.tracer_tensor_m2_s, rel=1e-6)


def test_equal_rates_on_tilted_octahedra_conserve_the_haven_ratio(tilted):
    # with equal rates only the topology counts: tilts move sites within the cell, not the two diffusion tensors
    # against each other. This holds only if the memory of the site between two vacancies is in the chain.
    cubic, result = correlation(networks.halide(A)), correlation(tilted)
    assert result.haven_ratio == pytest.approx(cubic.factor, abs=1e-7)
    assert abs(result.encounter_factor - cubic.factor) > 1e-3
    free = transport.diffusion_tensor(tilted, 1.0)
    assert np.diag(result.tracer_tensor_m2_s) / np.diag(free) == pytest.approx([cubic.factor] * 3, abs=1e-6)


def box_factor(network, rates, repeat):
    """Haven ratio of one vacancy in a periodic box, by brute force: the chain of all its places around the tracer.

    Nothing is shared with the Green function: no infinite crystal, no Fourier integral, no encounters.
    """
    box = network.repeat(repeat)
    rate = transport.rates_of_hops(network, rates)
    # hops of the box in the order of its rows carry the rate of their class and site
    lookup = {
        (int(k), int(c)): r for k, c, r in zip(network.kind[network.source], network.hop_class, rate, strict=True)
    }
    speed = np.array([lookup[int(k), int(c)] for k, c in zip(box.kind[box.source], box.hop_class, strict=True)])
    n, cells = box.sites, box.sites // network.sites
    state = {}
    for tracer in range(network.sites):  # one tracer of each kind of site; its cell is the first
        for vacancy in range(n):
            if vacancy != tracer:
                state[tracer, vacancy] = len(state)
    size = np.array(repeat)
    grid = np.stack(np.meshgrid(*(np.arange(m) for m in repeat), indexing="ij"), axis=-1).reshape(-1, 3)
    number = {tuple(cell): index for index, cell in enumerate(grid)}
    share_v = transport.occupation(box, speed)
    rows, columns, values, steps = [], [], [], []
    for (tracer, vacancy), row in state.items():
        for e in range(box.start[vacancy], box.start[vacancy + 1]):
            target = int(box.target[e])
            if target != tracer:
                new, step = (tracer, target), np.zeros(3)
            else:  # exchange; shift everything so that the tracer is in the first cell again
                shift = grid[vacancy // network.sites]
                new_tracer = vacancy % network.sites
                cell = (grid[tracer // network.sites] - shift) % size
                new, step = (new_tracer, number[tuple(cell)] * network.sites + tracer % network.sites), -box.hop_m[e]
            rows.append(row)
            columns.append(state[new])
            values.append(speed[e])
            steps.append(step)
    rows, columns, values, steps = map(np.array, (rows, columns, values, steps))
    # stationary: any arrangement has the weight of the vacancy's site
    pi = np.array([share_v[vacancy] for _, vacancy in state])
    pi /= pi.sum()
    total = np.bincount(rows, values)
    gain = np.stack([np.bincount(rows, values * steps[:, a], minlength=len(state)) for a in range(3)], axis=1)
    chain = csc_matrix((values / total[rows], (rows, columns)), shape=(len(state),) * 2)
    matrix = (chain - identity(len(state), format="csc")).tolil()
    right = -gain / total[:, None]
    matrix[0, :] = 0.0
    matrix[0, 0], right[0] = 1.0, 0.0
    chi = splu(matrix.tocsc()).solve(right)
    x = steps + chi[columns] - chi[rows]
    tracer_D = 0.5 * np.sum((pi[rows] * values)[:, None] * x**2)
    fraction = 1.0 / n
    assert cells == np.prod(repeat)
    return tracer_D / fraction / np.trace(transport.diffusion_tensor(network, rates))


def test_boxes_converge_to_the_infinite_crystal():
    # diamond, stretched and with one sublattice shifted: three kinds of bonds, sites without inversion
    silicon = bulk("Si", "diamond", a=5.43)
    silicon.set_cell(silicon.cell * [1, 1, 1.02], scale_atoms=True)
    silicon.positions[1] += [0.05, 0.05, 0.05]
    network = networks.from_atoms(silicon, "Si", 2.7)
    assert network.classes >= 2
    rates = np.geomspace(1.0, 20.0, network.classes)
    limit = correlation(network, rates)
    assert limit.haven_ratio > 1.5 * limit.encounter_factor  # most of it is memory of the site
    # small boxes are not yet asymptotic: rates over a factor of 20 stretch the vacancy's path
    sizes = np.array([6, 8, 10, 12])
    ratios = np.array([box_factor(network, rates, (m, m, m)) for m in sizes])
    # a box of N sites is off by c / N, the next order by N^(-5/3): fit both, tolerance 2e-4
    N = 2.0 * sizes**3
    design = np.stack([np.ones_like(N), 1 / N, N ** (-5 / 3)], axis=1)
    extrapolated = np.linalg.lstsq(design, ratios, rcond=None)[0][0]
    assert extrapolated == pytest.approx(limit.haven_ratio, abs=2e-4)
    assert abs(ratios[0] - limit.haven_ratio) > 2e-3  # the bias that a box has


# -- walks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [networks.simple_cubic, networks.halide])
def test_walks_diffuse_by_the_textbook(build):
    network = build(A)
    rates = transport.network_rates(network, 0.35, 300.0)
    run = walk(network, rates, walkers=20_000, hops=1000, rng=SEED)
    exact = transport.diffusion_coefficient(network, 0.35, 300.0)
    assert abs(run.diffusion_coefficient - exact) < 2 * run.diffusion_coefficient_error
    assert run.diffusion_coefficient_error < 0.01 * exact


def test_a_walk_on_unequal_barriers_diffuses_as_computed(tilted, unequal):
    # the end effect of a walk of n hops is of order 1/n: 1e-3 here, against a standard error of 6e-3
    run = walk(tilted, unequal, walkers=20_000, hops=3000, rng=SEED)
    exact = transport.diffusion_tensor(tilted, unequal)
    assert abs(run.diffusion_coefficient - np.trace(exact) / 3) < 2 * run.diffusion_coefficient_error
    # nine elements at once: 4 standard errors
    assert np.all(np.abs(run.diffusion_tensor - exact) < 4 * run.diffusion_tensor_error)
    assert np.ptp(np.diag(exact)) > 20 * run.diffusion_tensor_error.max()  # and it is anisotropic


def test_walks_of_a_given_time_diffuse_the_same(tilted, unequal):
    mean = float(transport.occupation(tilted, unequal) @ np.bincount(tilted.source, unequal))
    run = walk(tilted, unequal, walkers=20_000, time_s=1000.0 / mean, rng=SEED)
    exact = np.trace(transport.diffusion_tensor(tilted, unequal)) / 3
    assert abs(run.diffusion_coefficient - exact) < 3 * run.diffusion_coefficient_error
    assert np.all(run.time == 1000.0 / mean)
    spread = float(run.hops.std()) / np.sqrt(run.sizes["walker"])
    assert abs(float(run.hops.mean()) - 1000.0) < 4 * spread


def test_walks_drift_beyond_the_linear_regime(tilted):
    # q d F / 2 is 2.4 kT for the hops along the field: the response is far from linear
    field = np.array([2e8, -1e8, 2.5e8])
    rates = transport.network_rates(
        tilted, np.linspace(0.30, 0.40, 6), 300.0, site_energies_eV=[0.0, 0.02], field_V_m=field
    )
    run = walk(tilted, rates, walkers=4000, hops=2000, rng=SEED)
    exact = transport.velocity(tilted, rates)
    assert np.all(np.abs(run.velocity - exact) < 4 * run.velocity_error)
    assert run.velocity_error.max() < 0.01 * np.linalg.norm(exact)
    # the spreading about the drift
    tensor = transport.diffusion_tensor(tilted, rates)
    assert np.all(np.abs(run.diffusion_tensor - tensor) < 4 * run.diffusion_tensor_error)
    weak = transport.diffusion_tensor(tilted, transport.network_rates(tilted, np.linspace(0.30, 0.40, 6), 300.0))
    assert np.trace(tensor) > 1.5 * np.trace(weak)


@pytest.mark.parametrize(
    "build", [networks.simple_cubic, networks.bcc, networks.fcc, networks.halide], ids=lambda build: build.__name__
)
def test_atoms_that_a_vacancy_moves_are_correlated(build):
    # 3 standard errors; the cut-off last encounter is of order 1e-5 after 1e5 hops
    run = walk(build(A), 1e6, walkers=100, hops=100_000, tracers=True, rng=SEED)
    exact = correlation(build(A)).factor
    assert abs(run.correlation_factor - exact) < 3 * run.correlation_factor_error
    assert run.correlation_factor_error < 1e-3
    # tracer diffusion per vacancy is f times that of the vacancy
    expected = exact * np.trace(transport.diffusion_tensor(build(A), 1e6)) / 3
    assert abs(run.tracer_coefficient - expected) < 3 * run.tracer_coefficient_error


def test_atoms_on_unequal_sites(tilted, unequal):
    run = walk(tilted, unequal, walkers=100, hops=100_000, tracers=True, rng=SEED)
    exact = correlation(tilted, unequal)
    assert abs(run.correlation_factor - exact.encounter_factor) < 3 * run.correlation_factor_error


def test_few_hops_can_be_counted_by_hand():
    # two hops: either the atom comes back (all at home) or two atoms have moved one hop each
    run = walk(networks.simple_cubic(1.0), 1.0, walkers=60_000, hops=2, tracers=True, rng=SEED)
    # chance to come back 1/6: mean square 2 (5/6) of 2
    assert abs(run.correlation_factor - 5 / 6) < 4 * run.correlation_factor_error
    home = np.mean(np.all(run.displacement == 0, axis=1))
    assert abs(home - 1 / 6) < 4 * np.sqrt(5 / 36 / 60_000)


def test_a_flat_network_has_no_factor_along_its_normal():
    flat = networks.from_sites([[0, 0, 0]], np.eye(3) * 1e-9, 1.1e-9, pbc=(True, True, False))
    run = walk(flat, 1.0, walkers=20, hops=500, tracers=True, rng=SEED)
    assert np.isnan(run.correlation_factor_axes.sel(axis="z"))
    assert np.isfinite(run.correlation_factor_axes.sel(axis=["x", "y"])).all()
    assert not run.displacement.sel(axis="z").any()


def test_tracers_do_not_change_the_walk():
    plain = walk(networks.halide(A), 1e6, walkers=50, hops=300, rng=SEED)
    traced = walk(networks.halide(A), 1e6, walkers=50, hops=300, tracers=True, rng=SEED)
    assert np.array_equal(plain.displacement, traced.displacement)
    assert np.array_equal(plain.time, traced.time)


def test_hops_are_drawn_in_proportion_to_their_rates(tilted, unequal):
    total, accept, alias = _walk.alias_tables(tilted.start, unequal)
    assert total == pytest.approx(np.bincount(tilted.source, unequal), rel=1e-12)
    # the table holds the probabilities themselves: exact
    for s in range(tilted.sites):
        row = np.arange(tilted.start[s], tilted.start[s + 1])
        probability = np.zeros(tilted.hops)
        np.add.at(probability, row, accept[row])
        np.add.at(probability, alias[row], 1.0 - accept[row])
        assert probability[row] / len(row) == pytest.approx(unequal[row] / total[s], rel=1e-12)
    rng = np.random.default_rng(SEED)
    draws = 50_000
    found = np.bincount([_walk.draw_hop(3, tilted.start, accept, alias, rng) for _ in range(draws)])
    row = np.arange(tilted.start[3], tilted.start[4])
    expected = draws * unequal[row] / total[3]
    assert found[: row[0]].sum() == 0
    assert stats.chisquare(found[row], expected).pvalue > 1e-4


def test_waiting_times_are_exponential():
    run = walk(networks.halide(A), 125.0, walkers=20_000, hops=1, rng=SEED)
    assert stats.kstest(run.time.values * 8 * 125.0, "expon").pvalue > 1e-4


def test_a_run_replays_and_says_what_it_was():
    one = walk(networks.halide(A), 1e6, walkers=20, hops=50, rng=SEED)
    other = walk(networks.halide(A), 1e6, walkers=20, hops=50, rng=SEED)
    assert one.identical(other)
    assert all("units" in one[name].attrs for name in one.data_vars)
    assert one.attrs["network"] == "halide"
    assert not one.displacement.equals(walk(networks.halide(A), 1e6, walkers=20, hops=50, rng=1).displacement)


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "once"),
        ({"hops": 10, "time_s": 1.0}, "once"),
        ({"hops": 0}, "hops must be"),
        ({"hops": 2.5}, "hops must be"),
        ({"time_s": -1.0}, "time_s"),
        ({"hops": 10, "walkers": 1}, "walkers"),
        ({"time_s": 1e6}, "too long"),
        ({"time_s": 1.0, "tracers": True}, "in hops"),
        ({"hops": 10**8, "walkers": 2, "tracers": True}, "Too many sites"),
        ({"hops": 10, "rng": -1}, "seed"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        walk(networks.halide(A), 1e6, **arguments)


def test_what_cannot_be_computed_is_refused(tilted):
    driven = transport.network_rates(tilted, 0.35, 300.0, field_V_m=(1e7, 0, 0))
    with pytest.raises(ValidityError, match="field"):
        walk(tilted, driven, hops=10, tracers=True)
    with pytest.raises(InputError, match="detailed balance"):
        correlation(tilted, driven)
    flat = networks.from_sites([[0, 0, 0]], np.eye(3) * 1e-9, 1.1e-9, pbc=(True, True, False))
    with pytest.raises(ValidityError, match="three dimensions"):
        correlation(flat)
    with pytest.raises(ConvergenceError, match="did not converge"):
        correlation(networks.simple_cubic(A), tolerance=1e-16)
    with pytest.raises(InputError, match="tolerance"):
        correlation(networks.simple_cubic(A), tolerance=0.0)


def test_doctests():
    import doctest

    result = doctest.testmod(importlib.import_module("halidrift.kmc.walk"))
    assert result.attempted > 0
    assert result.failed == 0
