"""Properties of the event engines, for models and histories that hypothesis makes up; tolerances stated before the run.

Lattice gas: rates are kept in single precision, 1e-6; those of the list of possible events in double, 1e-8. Filament:
what is kept up to date from event to event against what is built anew, 1e-9; whole numbers exactly.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from halidrift import Device
from halidrift.kmc import FilamentKMC, _engine, _fields
from halidrift.kmc import _lattice_gas as kernel
from halidrift.kmc.lattice import BOTTOM, TOP, column
from halidrift.kmc.lattice_gas import LatticeGas
from halidrift.kmc.processes import Exchange, Hop, Reaction
from halidrift.kmc.simulation import _start
from halidrift.physics import networks
from halidrift.physics.constants import BOLTZMANN_EV_K

# the same examples every time: a gate must not depend on luck
FIXED = settings(max_examples=40, deadline=None, derandomize=True)

A = 0.5e-9
LATTICES = (networks.simple_cubic(A), networks.fcc(A), networks.halide(A))
energies = st.floats(-0.05, 0.05)
barriers = st.floats(0.2, 0.4)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def gases(draw, potential=True):
    """Two mobile species and atoms on one of three lattices: bonds, charges, site energies, electrodes, or none."""
    lattice = draw(st.sampled_from(LATTICES))
    repeat = draw(st.sampled_from([(2, 2, 2), (3, 2, 2)]))
    n = int(np.prod(repeat)) * lattice.sites
    rng = np.random.default_rng(draw(seeds))
    electrode = draw(st.booleans())
    steps = [Hop("ion", draw(barriers)), Hop("other", draw(barriers), attempt_frequency_Hz=3e12)]
    if draw(st.booleans()):
        steps.append(Exchange(("ion", "other"), ("other", "ion"), draw(barriers)))
    if electrode:
        steps += [
            Reaction("empty", "ion", draw(barriers), where=np.arange(n) % 3 == 0, electrode="top"),
            Reaction("ion", "atom", draw(barriers), electrode="top"),
            Exchange(("ion", "atom"), ("atom", "atom"), draw(barriers), electrode="top"),
        ]
    bonds = {}
    if draw(st.booleans()):
        bonds = {("ion", "ion"): draw(energies), ("ion", "other"): draw(energies)}
    return LatticeGas(
        lattice,
        steps,
        repeat=repeat,
        charges={"ion": draw(st.sampled_from([1, 2])), "other": -1},
        site_energies={"ion": rng.normal(0, 0.05, n)} if draw(st.booleans()) else {},
        pair_energies=bonds,
        temperature_K=draw(st.floats(250.0, 400.0)),
        potential_V=rng.normal(0, 0.03, n),
        electrodes={"top": draw(st.floats(-0.2, 0.2))} if electrode else {},
    )


def composition(gas):
    return {"ion": gas.sites // 4, "other": gas.sites // 8}


def change_of(gas):
    """What each process makes of the numbers of each species, (processes, species)."""
    change = np.zeros((len(gas.directions), len(gas.species)), dtype=int)
    for row, (_, channel) in enumerate(gas._channels):
        for sign, side in ((-1, channel.before), (1, channel.after)):
            for species in side:
                change[row, gas.species.index(species)] += sign
    return change


def applied(gas, codes, event):
    """The configuration after one of the possible events."""
    _, channel = gas._channels[int(event.process)]
    changed = codes.copy()
    changed[int(event.site)] = gas.species.index(channel.after[0])
    if int(event.neighbour) >= 0:
        changed[int(event.neighbour)] = gas.species.index(channel.after[1])
    return changed


@FIXED
@given(gases(), seeds, st.integers(1, 60))
def test_after_any_history_the_sum_of_rates_is_that_of_all_possible_events(gas, seed, events):
    rng = np.random.default_rng(seed)
    codes = gas._codes(composition(gas), rng)
    live, sites, rules, land, state = gas._begin(codes, np.empty(0, np.int64), (), gas, 1)
    kernel.refresh_all(live, sites, rules, land, state)
    status = kernel.advance(np.inf, events, live, None, sites, rules, land, state, rng)
    now = state.occupation[:-1].copy()
    every = gas.possible(now)
    if status == kernel.NOTHING_HAPPENS:
        assert every.sizes["event"] == 0
    assert state.tree[kernel.ROOT] == pytest.approx(float(every.rate.sum()), rel=1e-6)
    # a second engine that starts from this configuration agrees leaf by leaf
    live, sites, rules, land, fresh = gas._begin(now, np.empty(0, np.int64), (), gas, 1)
    kernel.refresh_all(live, sites, rules, land, fresh)
    assert fresh.tally[kernel.LEAVES] == state.tally[kernel.LEAVES]
    weights = []
    for one in (state, fresh):
        start = (4 ** one.tally[kernel.LEVELS] - 1) // 3 + kernel.ROOT
        count = one.tally[kernel.LEAVES]
        weight = np.zeros(gas.sites)
        weight[one.site_of[:count].astype(int)] = one.tree[start : start + count]
        weights.append(weight)
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)


@FIXED
@given(gases(), seeds, st.integers(1, 80))
def test_atoms_and_charge_change_by_what_the_events_do(gas, seed, events):
    try:
        run = gas.run(composition(gas), events=events, rng=seed)
    except Exception as error:
        assert "Nothing can happen" in str(error)  # noqa: PT017 - a gas may freeze
        return
    amount, done = run.amount.values, run.events.values
    np.testing.assert_array_equal(amount[-1] - amount[0], (done[-1] - done[0]) @ change_of(gas))
    assert done[-1].sum() == events
    assert (amount.sum(axis=1) == gas.sites).all()
    # hops and swaps move charge, they make none: only electrode steps change the sum
    charge = np.array([gas.charges.get(s, 0) for s in gas.species])
    made = change_of(gas) @ charge
    wired = np.array([channel.process.electrode is not None for _, channel in gas._channels])
    assert (made[~wired] == 0).all()
    if not wired.any():
        assert (amount @ charge == (amount @ charge)[0]).all()


@FIXED
@given(gases(), seeds, st.integers(0, 10**6))
def test_an_event_and_its_reverse_are_in_detailed_balance(gas, seed, pick):
    codes = gas._codes(composition(gas), np.random.default_rng(seed))
    every = gas.possible(codes)
    event = every.isel(event=pick % every.sizes["event"])
    changed = applied(gas, codes, event)
    label = gas._channels[int(event.process)][1].process.label
    forward = backward = 0.0
    for start, end, other in ((codes, changed, False), (changed, codes, True)):
        listed = gas.possible(start)
        total = 0.0
        # only events on these two sites can lead from one to the other
        touched = np.isin(listed.site.values, np.flatnonzero(codes != changed))
        for e in np.flatnonzero(touched):
            one = listed.isel(event=int(e))
            same = gas._channels[int(one.process)][1].process.label == label
            if same and np.array_equal(applied(gas, start, one), end):
                total += float(one.rate)
        if other:
            backward = total
        else:
            forward = total
    kT = BOLTZMANN_EV_K * float(np.mean(gas.temperature_K))
    assert forward > 0
    assert np.log(forward / backward) == pytest.approx(-float(event.energy_change) / kT, abs=1e-8)


@FIXED
@given(gases(), seeds, st.lists(st.floats(0.01, 0.99), max_size=12))
def test_looking_more_often_changes_nothing_and_a_seed_decides(gas, seed, looks):
    total = float(gas.possible(gas._codes(composition(gas), np.random.default_rng(seed))).rate.sum())
    span = 30.0 / total
    instants = np.unique([*(span * np.array(looks)), span])
    plain, again, often = (gas.run(composition(gas), times_s=times, rng=seed) for times in ([span], [span], instants))
    xr.testing.assert_identical(plain, again)
    np.testing.assert_array_equal(plain.occupation.values[-1], often.occupation.values[-1])
    np.testing.assert_array_equal(plain.events.values[-1], often.events.values[-1])
    assert (np.diff(often.events.values.sum(axis=1)) >= 0).all()


@FIXED
@given(gases(), seeds)
def test_times_of_events_rise_by_their_waiting_times(gas, seed):
    rng = np.random.default_rng(seed)
    codes = gas._codes(composition(gas), rng)
    live, sites, rules, land, state = gas._begin(codes, np.empty(0, np.int64), (), gas, 1)
    kernel.refresh_all(live, sites, rules, land, state)
    for n in range(12):
        total, before, twin = state.tree[kernel.ROOT], state.clock[kernel.TIME], np.random.default_rng()
        twin.bit_generator.state = rng.bit_generator.state
        if kernel.advance(np.inf, n + 1, live, None, sites, rules, land, state, rng) != kernel.EVENTS_DONE:
            return
        # the first number that the event draws is its waiting time; the clock is a compensated sum
        wait = twin.standard_exponential() / total
        spacing = np.spacing(state.clock[kernel.TIME])
        assert state.clock[kernel.TIME] - before == pytest.approx(wait, rel=1e-12, abs=2 * spacing)


# -- the filament --------------------------------------------------------------------------------------------

CARD = Device.load("john2022-ogb").with_parameters(channel_radius_m=0.7e-9)
LATTICE = column(CARD.value("lattice_constant_m"), 1.8e-9, 3e-9)
PHYSICS = FilamentKMC(CARD).kernel_parameters


@st.composite
def histories(draw):
    """Parameters, and a sequence of voltages with ramps, limits and numbers of events."""
    physics = PHYSICS._replace(
        explicit=draw(st.booleans()),
        bond_eV=draw(st.floats(0.0, 0.1)),
        hop_eV=draw(st.floats(0.2, 0.4)),
        transfer_eV=draw(st.floats(0.3, 0.4)),
        ion_eV=draw(st.floats(0.0, 0.2)),
    )
    stage = st.tuples(st.floats(-0.8, 1.2), st.sampled_from([0.0, 20.0, -20.0]), limits_A, st.integers(1, 60))
    return physics, draw(st.lists(stage, min_size=1, max_size=4)), draw(seeds)


limits_A = st.sampled_from([np.inf, 1e-3, 1e-6])


def played(history):
    """The state after each stage."""
    physics, stages, seed = history
    state, rng = _start(LATTICE, CARD), np.random.default_rng(seed)
    for V, slope, limit, most in stages:
        end = state.clock[_engine.TIME] + 1e-3
        status = _engine.advance(end, V, slope, limit, state, physics, most, rng)
        yield status, state
        if status not in (_engine.DONE, _engine.TOO_MANY_EVENTS):
            return


def copied(state):
    fields = {name: np.copy(field) for name, field in state._asdict().items() if name != "net"}
    return _engine.State(**fields, net=_fields.Network(*map(np.copy, state.net)))


@FIXED
@given(histories())
def test_after_any_history_the_lists_of_a_filament_are_those_of_its_sites(history):
    for status, state in played(history):
        if status == _engine.LOST_ION:  # between two sites: the run ends with an error
            return
        occupied, count = state.occupation, state.tally
        for kind, members, place, number in (
            (_fields.METAL, state.metal, state.position, count[_engine.N_METAL]),
            (_engine.ION, state.ions, state.ion_position, count[_engine.N_ION]),
        ):
            assert sorted(members[:number]) == list(np.flatnonzero(occupied == kind))
            np.testing.assert_array_equal(place[members[:number]], np.arange(number))
            assert (place[occupied != kind] == -1).all()
        # silver is neither made nor lost: what came in and did not return is in the film
        assert count[_engine.INJECTED] - count[_engine.RETURNED] == count[_engine.N_METAL] + count[_engine.N_ION]
        metal = np.append(occupied == _fields.METAL, False)
        beside = np.where(state.neighbours >= 0, metal[state.neighbours], False)
        bonds = beside.sum(axis=1) + (state.neighbours == TOP).sum(axis=1)
        bonds += (state.neighbours == BOTTOM).any(axis=1) & state.wetting
        np.testing.assert_array_equal(state.coordination[metal[:-1]], bonds[metal[:-1]])
        assert (state.coordination[~metal[:-1]] == 0).all()


@FIXED
@given(histories())
def test_after_any_history_rates_and_network_of_a_filament_are_those_built_anew(history):
    physics = history[0]
    for status, state in played(history):
        if status not in (_engine.DONE, _engine.TOO_MANY_EVENTS):
            return
        anew = copied(state)
        numbers = (
            physics.contact_S,
            physics.metal_S,
            physics.tunnel_decay_1_m,
            physics.tunnel_gap_m,
            physics.spacing_m,
        )
        for s in anew.metal[: anew.tally[_engine.N_METAL]]:
            fields = (anew.net, anew.occupation, anew.neighbours, anew.coordination, anew.position, anew.psi)
            _fields.set_row(s, *fields, *numbers)
        for name in ("target", "weight", "source", "ground", "float_to", "diagonal"):
            rows = slice(0, anew.tally[_engine.N_METAL])
            np.testing.assert_allclose(getattr(state.net, name)[rows], getattr(anew.net, name)[rows], rtol=1e-12)
        if status == _engine.DONE or state.tally[_engine.FIELD_STALE]:
            continue  # the voltage has just changed, or the metal: the next step builds the rates
        clock = state.clock  # the film's share of the voltage decides; the series resistance takes the rest
        V, T = clock[_engine.CURRENT] / (clock[_engine.FILAMENT] + physics.leakage_S), clock[_engine.TEMPERATURE]
        _engine.rebuild_rates(V, T, anew, physics)
        np.testing.assert_allclose(state.tree, anew.tree, rtol=1e-9, atol=1e-9 * anew.tree[1])


@FIXED
@given(histories())
def test_a_filament_repeats_itself_under_its_seed_and_obeys_its_circuit(history):
    for (_, state), (_, twin) in zip(played(history), played(history), strict=True):
        for name, mine, its in zip(state._fields, state, twin, strict=True):
            if name not in ("net", "choice", "class_rate"):
                np.testing.assert_array_equal(mine, its, err_msg=name)
        clock = state.clock
        ohm = clock[_engine.CONDUCTANCE] * clock[_engine.DEVICE_VOLTAGE]
        assert clock[_engine.CURRENT] == pytest.approx(ohm, rel=1e-12)
        assert clock[_engine.CONDUCTANCE] >= 0
        assert clock[_engine.TEMPERATURE] >= PHYSICS.ambient_K
        assert clock[_engine.PEAK] >= clock[_engine.TEMPERATURE]
