"""Processes of the lattice gas, and what a lattice gas refuses, reports and repeats."""

import json
import pickle

import numpy as np
import pytest

from halidrift import Database
from halidrift.kmc.lattice_gas import LatticeGas
from halidrift.kmc.processes import Exchange, Hop, Reaction
from halidrift.physics import networks
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError

A = 0.5e-9
CUBIC = networks.simple_cubic(A)
KT = BOLTZMANN_EV_K * 300.0


def gas(**options):
    arguments = {"processes": [Hop("ion", 0.27)], "repeat": (4, 4, 4), **options}
    return LatticeGas(CUBIC, **arguments)


def injected(**options):
    """Ions from an electrode under the bottom layer."""
    bottom = np.arange(64) % 4 == 0
    arguments = {
        "processes": [Hop("ion", 0.2), Reaction("empty", "ion", 0.25, where=bottom, electrode="bottom")],
        "charges": {"ion": 1},
        "electrodes": {"bottom": 0.1},
        **options,
    }
    return gas(**arguments)


# -- processes -----------------------------------------------------------------------------------------------


def test_a_barrier_row_brings_its_source():
    row = Database.load().select(material="CsPbBr3", species="V_Br", quantity="migration_barrier").one()
    hop = Hop("V_Br", row, into="Br")
    assert hop.intrinsic_eV == row.value_eV
    assert row.source in hop.sources
    model = LatticeGas(networks.halide(A), [hop], repeat=(2, 2, 2))
    run = model.run({"V_Br": 1}, events=5, rng=1)
    assert row.source in json.loads(run.attrs["sources"])


def test_a_formation_energy_is_no_barrier():
    row = next(b for b in Database.load().select(quantity="formation_energy") if not (b.is_range or b.is_bound))
    with pytest.raises(InputError, match="formation energy"):
        Hop("V_Br", row)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hop("ion", 0.0), "barrier_eV"),
        (lambda: Hop("ion", np.nan), "barrier_eV"),
        (lambda: Hop("ion", 0.3, attempt_frequency_Hz=-1.0), "attempt_frequency_Hz"),
        (lambda: Hop("ion", 0.3, into="ion"), "changes nothing"),
        (lambda: Hop("", 0.3), "must have a name"),
        (lambda: Exchange(("a", "b"), ("a", "b"), 0.3), "changes nothing"),
        (lambda: Exchange("ab", ("b", "a"), 0.3), "two species"),
        (lambda: Reaction("a", "a", 0.3), "changes nothing"),
    ],
)
def test_processes_refuse_nonsense(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_each_process_stands_for_both_directions():
    model = gas(
        processes=[
            Hop("ion", 0.3),
            Exchange(("ion", "atom"), ("atom", "atom"), 0.3),
            Reaction("ion", "atom", 0.4, name="reduction"),
            Reaction("atom", "empty", 0.9, reversible=False),
        ]
    )
    assert model.directions == (
        "ion hop",
        "ion + atom -> atom + atom",
        "atom + atom -> ion + atom",
        "reduction",
        "reduction, back",
        "atom -> empty",
    )
    assert model.irreversible == ("atom -> empty",)
    assert model.species == ("ion", "empty", "atom")


# -- what a lattice gas refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": []}, "at least one process"),
        ({"repeat": (4, 4)}, "three whole numbers"),
        ({"repeat": (1, 1, 1)}, "its own neighbour"),
        ({"repeat": (400, 400, 400)}, "too large"),
        ({"site_energies": {"silver": 1.0}}, "names a species that no process has"),
        ({"site_energies": {"ion": [0.0, 1.0]}}, "do not fit the sites"),
        ({"site_energies": {"ion": np.nan}}, "do not fit the sites"),
        ({"pair_energies": {("ion", "ion"): [0.1, 0.2]}}, "does not fit the network"),
        ({"pair_energies": {("ion", "empty"): 0.1, ("empty", "ion"): 0.1}}, "given twice"),
        ({"temperature_K": 0.0}, "temperature_K"),
        ({"temperature_K": [300.0, 310.0]}, "temperature_K"),
        ({"field_V_m": 1e7}, "field_V_m"),
        ({"potential_V": np.inf}, "potential_V"),
        ({"electrodes": {"top": 1.0}}, "electrodes names one"),
        ({"processes": [Reaction("empty", "ion", 0.3, electrode="e")], "electrodes": {"e": np.nan}}, "potential of e"),
        ({"processes": [Hop("ion", 0.3, hop_class=1)]}, "hop class"),
        ({"processes": [Hop("ion", 0.3), Hop("ion", 0.4)]}, "different names"),
        ({"processes": [Hop("ion", 0.3), Reaction("empty", "ion", 0.3)], "charges": {"ion": 1}}, "changes the charge"),
        ({"processes": [Reaction("empty", "ion", 0.3, electrode="top")], "charges": {"ion": 1}}, "without a potential"),
        ({"processes": [Reaction("empty", "ion", 0.3, where=np.ones(3, bool))]}, "where does not fit"),
        ({"processes": [Reaction("empty", "ion", 0.3, where=np.arange(64))]}, "where does not fit"),
    ],
)
def test_a_lattice_gas_refuses_what_does_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        gas(**options).run({"ion": 1}, events=1, rng=0)


def test_an_electrode_needs_a_potential_and_not_only_a_field():
    with pytest.raises(InputError, match="potential_V"):
        injected(field_V_m=(0.0, 0.0, 1e7))


@pytest.mark.parametrize(
    ("initial", "options", "message"),
    [
        ({"ion": 65}, {"events": 1}, "do not fill the sites"),
        ({"silver": 1}, {"events": 1}, "Unknown species"),
        ({"ion": 1.5}, {"events": 1}, "whole number"),
        (["ion"] * 3, {"events": 1}, "does not fit the sites"),
        (["silver"] * 64, {"events": 1}, "Unknown species"),
        (np.full(64, 7), {"events": 1}, "without a species"),
        (np.zeros(64), {"events": 1}, "does not fit the sites"),
        ({"ion": 1}, {}, "length of the run once"),
        ({"ion": 1}, {"events": 1, "time_s": 1.0}, "length of the run once"),
        ({"ion": 1}, {"events": 0}, "events"),
        ({"ion": 1}, {"time_s": -1.0}, "time_s"),
        ({"ion": 1}, {"times_s": [1.0, 0.5]}, "rising"),
        ({"ion": 1}, {"times_s": [1.0], "time_s": 0.5}, "does not fit the run"),
        ({"ion": 1}, {"time_s": 1e-9, "track": "silver"}, "Unknown species"),
        ({"ion": 1}, {"time_s": 1e-9, "towards": gas()}, "with_conditions"),
        ({"ion": 1}, {"time_s": 1e-9, "step_eV": 0.0}, "step_eV"),
    ],
)
def test_runs_refuse_what_does_not_fit(initial, options, message):
    with pytest.raises(InputError, match=message):
        gas().run(initial, rng=0, **options)


def test_runs_that_do_not_end_say_so():
    with pytest.raises(ConvergenceError, match="Too many events"):
        gas().run({"ion": 5}, time_s=1.0, most_events=1000, rng=0)
    full = np.zeros(64, int)  # every site an ion: nowhere to hop
    with pytest.raises(ValidityError, match="Nothing can happen"):
        gas().run(full, events=1, rng=0)
    assert gas().run(full, time_s=1.0, rng=0).events.values[-1].sum() == 0


def test_conditions_only():
    with pytest.raises(InputError, match="Not a condition"):
        gas().with_conditions(charges={"ion": 1})


# -- energies ------------------------------------------------------------------------------------------------


def test_the_energy_by_hand():
    # a row of three sites with open ends: two bonds (rounded to 1e-12 eV), site energies, charges in a potential
    line = networks.from_sites(
        np.arange(3)[:, None] * [A, 0, 0], np.diag([9 * A, A, A]), 1.1 * A, pbc=(False, False, False)
    )
    model = LatticeGas(
        line,
        [Hop("ion", 0.3), Hop("atom", 0.4)],
        site_energies={"ion": [0.01, 0.02, 0.04]},
        pair_energies={("ion", "atom"): -0.2, ("atom", "empty"): 0.05, ("ion", "ion"): 0.3},
        charges={"ion": 2},
        potential_V=[0.1, 0.2, 0.4],
    )
    assert model.energy_eV(["ion", "atom", "empty"]) == pytest.approx(0.01 - 0.2 + 0.05 + 0.2, abs=3e-12)
    assert model.energy_eV(["ion", "ion", "atom"]) == pytest.approx(0.03 + 0.3 - 0.2 + 0.6, abs=3e-12)
    with pytest.raises(InputError, match="uniform field"):
        model.with_conditions(field_V_m=(1e6, 0, 0)).energy_eV(["ion", "ion", "atom"])


def test_a_positive_charge_goes_down_the_potential_and_along_the_field():
    model = gas(charges={"ion": 1}, field_V_m=(2e7, 0.0, 0.0))
    events = model.possible(["ion"] + ["empty"] * 63)
    step = model.positions_m[events.neighbour.values] - model.positions_m[events.site.values]
    along = (step[:, 0] + 2 * A) % (4 * A) - 2 * A  # nearest image
    np.testing.assert_allclose(events.energy_change, -2e7 * along, atol=1e-12)
    assert events.rate.values[np.argmax(along)] == events.rate.values.max()
    down = gas(charges={"ion": 1}, potential_V=-2e7 * model.positions_m[:, 0])
    inside = down.possible(["empty"] * 16 + ["ion"] + ["empty"] * 47)
    assert inside.energy_change.values[np.argmax(inside.rate.values)] == pytest.approx(-2e7 * A, abs=1e-12)


def test_a_positive_electrode_drives_ions_out():
    # dE = e + phi - V: oxidation gets easier by half the voltage
    empty = ["empty"] * 64
    low = injected(electrodes={"bottom": 0.1}).possible(empty)
    high = injected(electrodes={"bottom": 0.2}).possible(empty)
    np.testing.assert_allclose(high.energy_change - low.energy_change, -0.1, atol=1e-14)
    np.testing.assert_allclose(high.rate / low.rate, np.exp(0.05 / KT), rtol=1e-10)
    assert low.sizes["event"] == 16


def test_electrodes_keep_their_names_when_they_change():
    bottom, top = (np.arange(64) % 4 == layer for layer in (0, 3))
    model = gas(
        processes=[
            Reaction("empty", "ion", 0.3, where=bottom, electrode="bottom", name="below"),
            Reaction("empty", "ion", 0.3, where=top, electrode="top", name="above"),
        ],
        charges={"ion": 1},
        electrodes={"top": 0.1, "bottom": -0.1},
    )
    other = model.with_conditions(electrodes={"bottom": -0.1, "top": 0.1})
    for one in (model, other):
        events = one.possible(["empty"] * 64)
        at_top = np.isin(events.site.values, np.flatnonzero(top))
        np.testing.assert_allclose(events.energy_change, np.where(at_top, -0.1, 0.1), atol=1e-14)


def test_the_temperature_of_a_hop_is_that_of_its_saddle():
    T = np.where(np.arange(64) < 16, 300.0, 400.0)
    model = gas(temperature_K=T)
    there, back = ["empty"] * 64, ["empty"] * 64
    there[0], back[16] = "ion", "ion"
    forth, return_ = model.possible(there), model.possible(back)
    k = float(forth.rate.values[forth.neighbour.values == 16][0])
    assert k == pytest.approx(float(return_.rate.values[return_.neighbour.values == 0][0]), rel=1e-12)
    assert k == pytest.approx(1e12 * np.exp(-0.27 / (BOLTZMANN_EV_K * 350.0)), rel=1e-12)


def test_two_alike_sites_are_one_event_from_both_ends():
    model = gas(processes=[Exchange(("a", "a"), ("b", "b"), 0.3)])
    pair = ["b"] * 64
    pair[0] = pair[1] = "a"
    events = model.possible(pair)
    recombine = events.where(events.process == 0, drop=True)
    assert recombine.sizes["event"] == 2  # once from each end
    assert float(recombine.rate.sum()) == pytest.approx(1e12 * np.exp(-0.3 / KT), rel=1e-10)


# -- runs ----------------------------------------------------------------------------------------------------


def test_the_same_seed_the_same_run_and_reports_do_not_disturb():
    model = injected(pair_energies={("ion", "ion"): 0.03})
    span = 2e-7
    one = model.run({"ion": 4}, time_s=span, track="ion", rng=5)
    again = model.run({"ion": 4}, time_s=span, track="ion", rng=5)
    often = model.run({"ion": 4}, times_s=np.linspace(0, span, 101), track="ion", rng=5)
    assert one.identical(again)
    assert one.events.values[-1].sum() > 300
    for name in ("occupation", "events", "amount", "displacement"):
        np.testing.assert_array_equal(one[name][-1], often[name][-1])


def test_a_run_goes_on_where_it_ended():
    model = gas()
    first = model.run({"ion": 6}, time_s=1e-8, track="ion", rng=6)
    second = model.run(first, time_s=1e-8, track="ion", rng=7)
    np.testing.assert_array_equal(second.occupation[0], first.occupation[-1])
    np.testing.assert_array_equal(second.displacement[0], first.displacement[-1])
    assert second.time.values.tolist() == [1e-8, 2e-8]
    # displacements modulo the box lead from the first sites to the last
    home = np.flatnonzero(first.occupation[0] == model.species.index("ion"))
    moved = model.positions_m[second.particle_site.values] - model.positions_m[home]
    off = (second.displacement[-1].values - moved) / (4 * A)
    np.testing.assert_allclose(off, np.round(off), atol=1e-9)
    assert np.abs(second.displacement[-1]).max() > 2 * A


def test_a_run_ends_at_a_named_process():
    # time to the first ion: exponential with the sum of all rates
    model = injected()
    rate = float(model.possible(["empty"] * 64).rate.sum())
    runs = model.ensemble({}, 400, time_s=100.0 / rate, until="empty -> ion", rng=22)
    assert (runs.events.isel(time=-1).sum("process") == 1).all()
    waits = runs.instant.isel(time=-1).values * rate
    assert abs(waits.mean() - 1) <= 4 / np.sqrt(400)
    late = model.run({}, time_s=1e-3 / rate, until="empty -> ion", rng=23)
    assert late.time.values.tolist() == [0.0, 1e-3 / rate]
    with pytest.raises(InputError, match="No such process"):
        model.run({}, time_s=1.0, until="melting")
    with pytest.raises(InputError, match="reports its start and its end"):
        model.run({}, times_s=[1.0, 2.0], until="empty -> ion")


def test_particles_and_charges_are_counted():
    model = injected(electrodes={"bottom": 0.3}, repeat=(4, 4, 4))
    run = model.run({}, time_s=1e-7, rng=8)
    events = run.events.sel(process=["empty -> ion", "ion -> empty"]).values[-1]
    assert int(run.amount.sel(species="ion")[-1]) == events[0] - events[1] > 40
    assert int(run.amount[-1].sum()) == 64


def test_leaves_grow_as_particles_come_in():
    n = 12**3
    model = LatticeGas(
        CUBIC,
        [Hop("ion", 0.2), Reaction("empty", "ion", 0.25, where=np.arange(n) % 12 == 0)],
        repeat=(12, 12, 12),
        site_energies={"ion": -0.2},
    )
    run = model.run({}, time_s=1e-6, rng=9)
    assert int(run.amount.sel(species="ion")[-1]) > 1500
    gone = model.run(["ion"] * n, events=20_000, track="ion", rng=10)
    assert np.isfinite(gone.displacement[-1]).all("axis").sum() == (gone.particle_site >= 0).sum()


def test_labels_follow_what_they_should():
    # ions hop and are reduced; a tracked element keeps its label, a tracked ion loses it
    model = gas(
        processes=[Hop("ion", 0.2), Exchange(("ion", "empty"), ("empty", "atom"), 0.25, reversible=False)],
    )
    both = model.run({"ion": 8}, time_s=1e-6, track=("ion", "atom"), rng=11)
    assert int(both.amount.sel(species="atom")[-1]) == 8
    np.testing.assert_array_equal(
        np.sort(both.particle_site), np.flatnonzero(both.occupation[-1] == model.species.index("atom"))
    )
    ions = model.run({"ion": 8}, time_s=1e-6, track="ion", rng=11)
    assert (ions.particle_site == -1).all()
    assert np.isnan(ions.displacement[-1]).all()


def test_a_vacancy_moves_the_atoms_the_other_way():
    model = gas(processes=[Hop("vacancy", 0.2, into="atom")])
    run = model.run({"vacancy": 1}, events=5000, track=("vacancy", "atom"), rng=12)
    np.testing.assert_allclose(run.displacement[-1].sum("particle"), 0.0, atol=1e-20)
    assert np.abs(run.displacement[-1]).max() > 4 * A


def test_snapshots_can_be_left_out():
    run = gas().run({"ion": 3}, times_s=[1e-9, 2e-9], snapshots=False, rng=13)
    assert run.occupation.dims == ("site",)
    assert gas().run(run, events=3, rng=14).events.values[-1].sum() == 3


def test_a_ramp_that_stands_still_is_no_ramp():
    model = injected()
    still = model.run({"ion": 3}, time_s=1e-8, towards=model.with_conditions(), rng=15)
    assert still.identical(model.run({"ion": 3}, time_s=1e-8, rng=15).assign_attrs(towards=still.attrs["towards"]))


def test_replicas_do_not_depend_on_each_other():
    model = gas()
    three = model.ensemble({"ion": 4}, 3, time_s=1e-8, rng=16)
    two = model.ensemble({"ion": 4}, 2, time_s=1e-8, rng=16)
    np.testing.assert_array_equal(three.occupation[:2], two.occupation)
    assert not np.array_equal(three.occupation[0], three.occupation[1])
    counted = model.ensemble({"ion": 4}, 2, events=10, rng=17)
    assert counted.instant.dims == ("replica", "time")
    assert counted.instant[0, -1] != counted.instant[1, -1]


@pytest.mark.slow
def test_replicas_do_not_depend_on_who_runs_them():
    model = gas()
    alone = model.ensemble({"ion": 4}, 4, time_s=1e-8, rng=18)
    shared = model.ensemble({"ion": 4}, 4, time_s=1e-8, rng=18, processes=2)
    assert alone.identical(shared)


def test_a_gas_travels_without_its_tables():
    model = gas(repeat=(20, 20, 20))
    model.run({"ion": 1}, events=1, rng=19)
    frozen = pickle.dumps(model)
    assert len(frozen) < 20_000
    assert pickle.loads(frozen).run({"ion": 1}, events=50, rng=20).identical(model.run({"ion": 1}, events=50, rng=20))


def test_numbering_is_that_of_the_repeated_network():
    cell = networks.halide(A)
    model = LatticeGas(cell, [Hop("V", 0.3, into="Br")], repeat=(2, 3, 4))
    box = cell.repeat((2, 3, 4))
    np.testing.assert_allclose(model.positions_m, box.positions_m, atol=1e-20)
    whole = LatticeGas(box, [Hop("V", 0.3, into="Br")])
    configuration = ["Br"] * model.sites
    configuration[17] = "V"
    one, other = model.possible(configuration), whole.possible(configuration)
    assert sorted(one.neighbour.values) == sorted(other.neighbour.values)


def test_hop_classes_have_their_own_barriers():
    pair = networks.from_sites(
        [[0, 0, 0]], np.diag([A, 1.2 * A, 9 * A]), 1.25 * A, pbc=(True, True, False), name="rectangle"
    )
    model = LatticeGas(
        pair,
        [Hop("ion", 0.2, hop_class=0, name="short"), Hop("ion", 0.3, hop_class=1, name="long")],
        repeat=(4, 4, 1),
    )
    assert len(model._rules.next_exchange) == 1  # one column of the rows serves both
    events = model.possible(["ion"] + ["empty"] * 15)
    rates = np.sort(events.rate.values)
    np.testing.assert_allclose(rates, np.repeat(1e12 * np.exp(-np.array([0.3, 0.2]) / KT), 2), rtol=1e-10)
    run = model.run({"ion": 1}, events=3000, rng=21)
    short, long_ = run.events.sel(process=["short", "long"]).values[-1]
    share = 1 / (1 + np.exp(-0.1 / KT))
    assert abs(short - 3000 * share) <= 4 * np.sqrt(3000 * share * (1 - share))
    assert short + long_ == 3000
