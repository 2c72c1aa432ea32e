"""Is the vacancy model solved right? Closed forms; 4 standard errors from blocks unless said otherwise."""

import json

import numpy as np
import pytest

from halidrift import Device, Waveform
from halidrift.kmc._vacancies import Column, enough_m, solve
from halidrift.kmc.competition import with_film
from halidrift.kmc.vacancies import VacancyKMC, halide_slab
from halidrift.physics import formulas, networks, transport
from halidrift.physics.constants import BOLTZMANN_EV_K

CARD = Device.load("mapbi3-ag")
A = CARD.value("lattice_constant_m")
KT = BOLTZMANN_EV_K * 300.0


def small(cells, *, along, electrode="Ag", shares=(0.55, 0.35), **vacancies):
    card = with_film(CARD.with_electrode(electrode), along * A)
    return card.with_parameters(column_width_m=cells * A, anode_share=shares[0], cathode_share=shares[1], **vacancies)


def blocks(values, count=20):
    """Mean and its standard error, from means of blocks."""
    means = np.array([b.mean(axis=0) for b in np.array_split(values, count)])
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(count)


# -- electrons -----------------------------------------------------------------------------------------------


def insulated(height_m, layers=40):
    """A film that carries almost nothing by itself."""
    return Column(10e-9, height_m, layers, 77.5e-6, 0.447e-9, 1e10, 1e-22)


def test_a_chain_of_vacancies_is_its_resistors_in_series():
    # relative 1e-9
    gaps = np.array([0.3, 0.447, 0.9, 1.4]) * 1e-9
    column = insulated(5e-9)
    near = 77.5e-6 * np.exp(-1e10 * np.maximum(gaps - 0.447e-9, 0.0))
    np.testing.assert_allclose(column.links_S(gaps), near, rtol=1e-12)
    wide = np.array([1.0, 1.6, 1.0, 1.6, 1.0]) * 1e-9  # second neighbours 2.6 nm apart, beyond the reach
    other = insulated(wide.sum())
    chain = np.stack([np.full(4, 5e-9), np.full(4, 5e-9), np.cumsum(wide)[:-1]], axis=1)
    series = 1.0 / np.sum(1.0 / other.links_S(wide))
    solved = solve(chain, other, 1.7e-9)
    assert solved.conductance_S == pytest.approx(series, rel=1e-9)
    drop = np.diff(np.concatenate([[0.0], solved.donor, [1.0]]))
    np.testing.assert_allclose(drop, series / other.links_S(wide), rtol=1e-6)


def test_chains_side_by_side_and_across_the_boundary_add_up():
    # relative 1e-9
    wide = np.array([1.0, 1.6, 1.0, 1.6, 1.0]) * 1e-9
    column = insulated(wide.sum())
    z = np.cumsum(wide)[:-1]
    one = np.stack([np.full(4, 1e-9), np.full(4, 1e-9), z], axis=1)
    two = np.concatenate([one, one + np.array([5e-9, 0.0, 0.0])])
    alone = solve(one, column, 1.7e-9).conductance_S
    assert solve(two, column, 1.7e-9).conductance_S == pytest.approx(2 * alone, rel=1e-9)
    # a chain that zigzags across the side has the links of a straight one
    zigzag = one.copy()
    zigzag[:, 0] = [9.9e-9, 0.1e-9, 9.9e-9, 0.1e-9]
    apart = np.hypot(wide[1:-1], 0.2e-9)
    series = 1.0 / (2.0 / column.links_S(wide[:1])[0] + np.sum(1.0 / column.links_S(apart)))
    assert solve(zigzag, column, 1.7e-9).conductance_S == pytest.approx(series, rel=1e-9)


def test_the_bare_film_conducts_as_a_block():
    # relative 1e-12
    column = Column(5e-9, 20e-9, 64, 77.5e-6, 0.447e-9, 1e10, 1e-6)
    bare = solve(np.empty((0, 3)), column)
    assert bare.conductance_S == pytest.approx(1e-6 * 25e-18 / 20e-9, rel=1e-12)
    np.testing.assert_allclose(bare.layer, (np.arange(64) + 0.5) / 64, rtol=1e-12)


@pytest.mark.parametrize("fraction", [0.004, 0.05, 0.2])
def test_links_that_are_left_out_do_not_matter(fraction):
    # two per cent, against all links up to where the film carries more
    cell = VacancyKMC(small(6, along=16))
    where = cell.positions_m[np.random.default_rng(1).random(len(cell.positions_m)) < fraction]
    few, every = solve(where, cell.column), solve(where, cell.column, cell.column.reach_m)
    assert enough_m(where, cell.column) <= cell.column.reach_m
    assert few.conductance_S == pytest.approx(every.conductance_S, rel=0.02)


# -- vacancies -----------------------------------------------------------------------------------------------


def test_the_film_is_the_halide_sublattice_cut_along_z():
    film, bulk = halide_slab(A, 6), networks.halide(A, (1, 1, 6))
    assert film.sites == bulk.sites
    inside = bulk.image[:, 2] == 0
    assert film.hops == inside.sum()
    np.testing.assert_array_equal(film.source, bulk.source[inside])
    np.testing.assert_array_equal(film.hop_m, bulk.hop_m[inside])
    np.testing.assert_array_equal(film.target[film.reverse], film.source)
    np.testing.assert_array_equal(film.hop_m[film.reverse], -film.hop_m)
    np.testing.assert_allclose(film.class_length_m, A / np.sqrt(2), rtol=1e-12)
    assert [int(film.coordination[film.kind == k][0]) for k in range(3)] == [4, 6, 8]


def test_drift_of_a_dilute_vacancy():
    # one in a film: the exact drift of the driven chain, far from the electrodes; field 1e8 V/m, u about 1.2
    cell = VacancyKMC(small(4, along=40, electrode="Au", shares=(0.0, 0.0), vacancy_pair_energy_eV=0.0))
    field = 1e8
    gas = cell._empty_gas.with_conditions(**cell._conditions(cell._circuit(field * 40 * A, np.inf, 0.0)))
    exact = transport.drift_velocity(networks.halide(A), 0.58, 300.0, (0.0, 0.0, -field), 1e13)[2]
    assert exact < 0  # away from the positive electrode
    time = 8e-9 / abs(exact)  # 8 of 25 nm
    middle = np.flatnonzero(np.abs(cell.positions_m[:, 2] - 16 * A) < 0.3 * A)[0]
    codes = np.full(gas.sites, gas.species.index("I"), np.uint8)
    codes[middle] = gas.species.index("V_I")
    moved = []
    for stream in np.random.default_rng(2).spawn(400):
        run = gas.run(codes, time_s=time, track="V_I", snapshots=False, rng=stream)
        moved.append(float(run.displacement[-1, 0, 2]))
    assert np.mean(moved) == pytest.approx(exact * time, abs=4 * np.std(moved, ddof=1) / np.sqrt(len(moved)))


def test_vacancies_beside_a_reactive_electrode_are_grand_canonical():
    # independent sites: x = 1 / (1 + exp((e + phi - V) / kT)), through the whole model, store and circuit included
    card = small(
        4, along=3, vacancy_pair_energy_eV=0.0, vacancy_hop_barrier_eV=0.35, halide_transfer_barrier_eV=0.35,
    )  # fmt: skip
    cell = VacancyKMC(card.with_parameters(series_resistance_ohm=0.0))
    V = 0.55
    # 200 times what diffusion through the film takes, 1e-6 s
    held = Waveform.hold(V, 2e-4, samples=1001)
    run = cell.simulate(held, rng=3)
    z = cell.positions_m[:, 2] / cell.column.height_m
    energy = cell.reaction_eV + V * (0.35 + 0.10 * z) - V
    exact = (1.0 / (1.0 + np.exp(energy / KT))).sum()
    mean, error = blocks(run.vacancies.values[100:])
    assert run.stored_halides.min() >= 0
    assert error < 0.02 * exact
    assert mean == pytest.approx(exact, abs=4 * error)


@pytest.mark.slow
def test_an_electrode_gives_back_no_more_than_it_took():
    # few sites, rare vacancies: P(N) ~ C(sites, N) exp(-N e / kT), cut below the native number
    card = small(
        4, along=2, electrode="Al", vacancy_pair_energy_eV=0.0, vacancy_formation_energy_eV=0.25,
        vacancy_hop_barrier_eV=0.35, halide_transfer_barrier_eV=0.35,
    )  # fmt: skip
    cell = VacancyKMC(card)
    # the native vacancies are drawn first, so a glance tells the seeds that begin with one
    glance, held = Waveform.hold(0.0, 1e-12, samples=2), Waveform.hold(0.0, 6e-5, samples=601)
    seed = next(seed for seed in range(20) if cell.simulate(glance, rng=seed).vacancies[0] == 1)
    run = cell.simulate(held, rng=seed)
    assert run.vacancies[0] == 1
    sites = len(cell.positions_m)
    assert sites == 96
    weight = np.array([1.0] + [0.0] * sites)
    for n in range(1, sites + 1):
        weight[n] = weight[n - 1] * (sites + 1 - n) / n * np.exp(-cell.reaction_eV / KT)
    weight[:1] = 0.0
    share = weight / weight.sum()
    count = run.vacancies.values[100:]
    assert count.min() == 1
    for n in (1, 2, 3):
        mean, error = blocks(count == n)
        assert mean == pytest.approx(share[n], abs=4 * error), n
    assert share[1] > 0.2  # the store does run out


@pytest.mark.parametrize("electrode", ["Ag", "Al"])
def test_halides_and_charge_are_conserved(electrode):
    # exact: each vacancy beyond the native ones has its halide and its electron in the electrode
    cell = VacancyKMC(small(4, along=8, electrode=electrode))
    run = cell.simulate(Waveform.triangle([1.0, -1.0], 20.0, 1e-6), rng=5)
    native = run.vacancies - run.stored_halides
    assert np.unique(native).size == 1
    counts = json.loads(run.attrs["counts"])
    assert counts["generated"] - counts["returned"] == run.stored_halides[-1]
    assert counts["generated"] > 20
    assert int(run.events[-1]) == counts["hops"] + counts["generated"] + counts["returned"]
    assert int(run.occupation.sum()) == int(run.vacancies[-1]) == int(run.profile.sum())


@pytest.mark.parametrize(("V", "active", "counter"), [(0.4, 0.55, 0.35), (-0.4, 0.15, 0.7)])
def test_rates_of_the_electrode_obey_detailed_balance(V, active, counter):
    # forward over backward rate is exp(-dE / kT), dE from energies and electrode potential: relative 1e-6
    card = small(4, along=3, reverse_anode_share=0.15, reverse_cathode_share=0.7)
    cell = VacancyKMC(card.with_parameters(series_resistance_ohm=0.0, thermal_resistance_K_W=0.0))
    gas = cell._gas.with_conditions(**cell._conditions(cell._circuit(V, np.inf, 0.0)))
    full = np.full(gas.sites, gas.species.index("I"), np.uint8)
    events = gas.possible(full)
    top = int(events.site[0])
    assert cell.positions_m[top, 2] == cell.positions_m[:, 2].max()
    one = full.copy()
    one[top] = gas.species.index("V_I")
    back = gas.possible(one)
    returns = back.isel(event=np.flatnonzero((back.site == top) & (back.neighbour < 0)))
    film = (1 - active - counter) * (1 - cell.positions_m[top, 2] / cell.column.height_m)
    rise = cell.reaction_eV - V * (active + film)
    assert float(events.rate[0]) / float(returns.rate[0]) == pytest.approx(np.exp(-rise / KT), rel=1e-6)
    barrier = formulas.balanced_barrier(0.58, rise)
    assert float(events.rate[0]) == pytest.approx(formulas.hop_rate(barrier, 300.0, 1e13, 0.0), rel=1e-6)


def test_the_shares_change_where_the_voltage_changes_sign():
    # exact: an instant reported at zero volts changes nothing, so a step never spans both sets of shares
    cell = VacancyKMC(small(4, along=6, vacancy_hop_barrier_eV=0.45, halide_transfer_barrier_eV=0.45))
    # powers of two, so that the instant of zero volts is the same number however it is computed
    end = 2.0**-10
    time_s, voltage_V = np.array([0.0, end]), np.array([0.75, -0.25])
    plain, at_zero = (
        cell.simulate(Waveform(time_s, voltage_V, np.array(1e-6), end * np.array(parts)), rng=4)
        for parts in ([0.0, 0.25, 1.0], [0.0, 0.25, 0.75, 1.0])
    )
    assert plain.stored_halides[1] > 0
    shared = at_zero.sel(time=plain.time)
    np.testing.assert_array_equal(shared.stored_halides, plain.stored_halides)
    np.testing.assert_array_equal(shared.events, plain.events)
    np.testing.assert_array_equal(at_zero.occupation, plain.occupation)
