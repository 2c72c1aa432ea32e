"""VTEAM, Yakopcic, Stanford and Synapse: contract, seeds, compliance, bounds, records."""

from __future__ import annotations

import doctest
import importlib
import json

import numpy as np
import pytest

from halidrift import compact
from halidrift.compact import VTEAM, Stanford, Synapse, Volatile, Yakopcic
from halidrift.compact.model import CompactModel
from halidrift.physics import trace as traces
from halidrift.physics.citations import bibliography
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.randomness import recall
from halidrift.physics.waveform import Waveform

SPREAD = {"rate_spread_cycle": 0.4, "rate_spread_device": 0.5, "read_noise": 0.1, "read_noise_floor_S": 1e-12}
VALUES = {
    VTEAM: {
        "conductance_off_S": 1e-6,
        "conductance_on_S": 1e-4,
        "set_voltage_V": 0.5,
        "reset_voltage_V": -0.4,
        "set_rate_Hz": 20.0,
        "reset_rate_Hz": 20.0,
    },
    Yakopcic: {
        "current_positive_A": 1e-4,
        "current_negative_A": 2e-4,
        "nonlinearity_1_V": 2.0,
        "set_voltage_V": 0.16,
        "reset_voltage_V": -0.15,
        "set_rate_Hz": 5.0,
        "reset_rate_Hz": 5.0,
    },
    Stanford: {"field_threshold_V_m": 1.2e9, "current_A": 1e-5, "velocity_m_s": 3e-3},
    Synapse: {
        "conductance_rest_S": 1e-5,
        "drive_rate_1_Vs": 20.0,
        "interface_stiffness_V": 0.5,
        "mobile_curvature_V": 1.0,
        "held_ratio": 5.0,
    },
}
MODELS = list(VALUES)
LOOP = Waveform.triangle([1.4, -1.5], 10.0, [4e-6, 1e-2])
PULSES = Waveform.pulses(1.3, 10e-3, 20e-3, 4, compliance_A=1e-3, samples_per_period=8)
DOWN = Waveform.pulses(-1.3, 10e-3, 20e-3, 4, compliance_A=1e-3, samples_per_period=8)


def test_the_registry_names_every_model_once():
    assert list(compact.MODELS) == ["Volatile", "NonVolatile", "VTEAM", "Yakopcic", "Stanford", "Synapse"]
    for name, model in compact.MODELS.items():
        assert issubclass(model, CompactModel)
        assert getattr(compact, name) is model
        assert name in compact.__all__
        assert set(model.METHOD_SOURCES) <= set(bibliography())


@pytest.mark.parametrize("module", ["vteam", "yakopcic", "stanford", "synapse", "volatile"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.compact.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("model", MODELS)
def test_a_trace_follows_the_schema_cites_and_replays(model):
    cell = model.of(**VALUES[model], **SPREAD)
    for rng in (5, np.random.default_rng(9)):
        trace = traces.check(cell.simulate(LOOP, rng=rng))
        assert set(model.METHOD_SOURCES) <= set(json.loads(trace.attrs["sources"]))
        assert trace["state"].attrs["units"] == cell.STATE_UNIT
        again = cell.simulate(traces.waveform_of(trace), rng=recall(trace.attrs["seed"]))
        np.testing.assert_array_equal(again["conductance"].values, trace["conductance"].values)


@pytest.mark.parametrize("model", MODELS)
def test_seeds_decide_and_none_is_the_typical_device(model):
    cell, plain = model.of(**VALUES[model], **SPREAD), model.of(**VALUES[model])
    a, b = (cell.simulate(LOOP, rng=s)["conductance"].values for s in (1, 2))
    assert not np.array_equal(a, b)
    typical = plain.simulate(LOOP)["conductance"].values
    np.testing.assert_array_equal(cell.simulate(LOOP)["conductance"].values, typical)
    np.testing.assert_array_equal(plain.simulate(LOOP, rng=3)["conductance"].values, typical)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("spread", [{}, SPREAD])
def test_compliance_is_never_exceeded_and_both_signs_act(model, spread):
    cell = model.of(**VALUES[model], **spread)
    trace = cell.simulate(LOOP, rng=4)
    limit = LOOP.compliance_at(trace["time"].values)
    current, held, volts = (trace[name].values for name in ("current", "device_voltage", "voltage"))
    assert (np.abs(current) <= limit).all()
    assert (np.abs(held) <= np.abs(volts) * (1 + 1e-12)).all()
    assert (current * volts >= 0).all()
    assert np.isclose(np.abs(current), limit, rtol=1e-9).any()
    state = trace["state"].values.reshape(trace["time"].size, -1)[:, 0]
    direction = np.sign(np.diff(state)[np.abs(np.diff(state)) > 1e-6 * np.ptp(state)])
    assert {-1.0, 1.0} == set(direction.tolist())


@pytest.mark.parametrize("model", MODELS)
def test_the_current_of_a_trace_is_the_current_law_at_its_states(model):
    cell = model.of(**VALUES[model])
    trace = cell.simulate(LOOP)
    np.testing.assert_allclose(
        trace["current"].values, cell.device_current(trace["state"].values, trace["device_voltage"].values), rtol=1e-9
    )
    moving = trace["device_voltage"].values != 0
    np.testing.assert_allclose(
        (trace["conductance"] * trace["device_voltage"]).values[moving], trace["current"].values[moving], rtol=1e-9
    )


@pytest.mark.parametrize("model", MODELS)
def test_states_stay_in_their_bounds_at_absurd_rates(model):
    absurd = {
        VTEAM: {"set_rate_Hz": 1e15, "reset_rate_Hz": 1e15},
        Yakopcic: {"set_rate_Hz": 1e15, "reset_rate_Hz": 1e15},
        Stanford: {"velocity_m_s": 1e5},
        Synapse: {"drive_rate_1_Vs": 1e15},
    }[model]
    cell = model.of(**{**VALUES[model], **absurd})
    low, high = cell.bounds
    for wave in (LOOP, PULSES, DOWN, Waveform.triangle([1.4, -1.5], 1e4)):
        state = cell.simulate(wave)["state"].values.reshape(-1, low.size)
        assert (state >= low).all()
        assert (state <= high).all()


@pytest.mark.parametrize("model", MODELS)
def test_respond_is_simulate_read_at_the_instants(model):
    cell = model.of(**VALUES[model])
    times = np.linspace(0.0, 0.08, 9)
    many = cell.respond([PULSES, DOWN, PULSES], times, tolerance=1e-7)
    assert many.shape == (3, 9)
    for row, wave in zip(many, (PULSES, DOWN, PULSES), strict=True):
        trace = cell.simulate(wave.with_samples(times))
        one = trace["conductance"].values[np.searchsorted(trace["time"].values, times)]
        np.testing.assert_allclose(row, one, rtol=1e-4)
    assert not np.allclose(many[0], many[1])
    assert cell.respond([], times).shape == (0, 9)


@pytest.mark.parametrize("model", MODELS)
def test_devices_share_their_draw_and_cycles_do_not(model):
    device = model.of(**VALUES[model], rate_spread_device=0.5)
    rows = device.respond([PULSES] * 4, [0.002, 0.05], rng=1, devices=[3, 3, 8, 8])
    np.testing.assert_array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[1], rows[2])
    cycle = model.of(**VALUES[model], rate_spread_cycle=0.5)
    rows = cycle.respond([PULSES] * 2, [0.002, 0.05], rng=1)
    assert not np.array_equal(rows[0], rows[1])
    trace = device.simulate(PULSES, rng=2, devices=3, cycles=2)
    assert trace["conductance"].dims == ("device", "cycle", "time")
    assert trace["state"].dims[:3] == ("device", "cycle", "time")
    np.testing.assert_array_equal(trace["conductance"].values[:, 0], trace["conductance"].values[:, 1])


def test_a_switch_far_faster_than_the_sweep_is_not_missed():
    """The whole SET takes microseconds of a sweep of seconds, and ends where the compliance holds it."""
    slow = Stanford.of(**{**VALUES[Stanford], "velocity_m_s": 1.0}).simulate(LOOP)
    fast = Stanford.of(**{**VALUES[Stanford], "velocity_m_s": 1e5}).simulate(LOOP)
    for trace in (slow, fast):
        assert 0.8e-9 < trace["state"].values.min() < 1.2e-9
        assert trace["state"].values[-1] == pytest.approx(1.7e-9)


def test_spread_of_the_rate_has_the_width_asked_for():
    """3 standard errors of 2000 draws; the state of VTEAM is proportional to its rate."""
    cell = VTEAM.of(**{**VALUES[VTEAM], "set_rate_Hz": 1e-3}, rate_spread_cycle=0.3)
    state = cell.simulate(Waveform.hold(0.9, 1.0, samples=2), rng=1, cycles=2000)["state"].values[:, -1]
    assert np.log(state).std() == pytest.approx(0.3, rel=3 / np.sqrt(2 * 2000))
    assert np.median(state) == pytest.approx(1e-3 * 0.8**3, rel=3 * 1.2533 * 0.3 / np.sqrt(2000))


def test_each_excursion_is_a_cycle_of_its_own():
    cell = VTEAM.of(**{**VALUES[VTEAM], "set_rate_Hz": 0.1}, rate_spread_cycle=0.5)
    trace = cell.simulate(PULSES, rng=1)
    at = [float(trace["state"].sel(time=t, method="nearest")) for t in (0.0, 0.02, 0.04, 0.06, 0.08)]
    assert len({round(step, 9) for step in np.diff(at)}) == 4


@pytest.mark.parametrize("model", MODELS)
def test_records_come_back(model):
    cell = model.of(**VALUES[model], **SPREAD)
    again = model.from_dict(json.loads(json.dumps(cell.to_dict())))
    np.testing.assert_array_equal(
        again.simulate(LOOP, rng=1)["current"].values, cell.simulate(LOOP, rng=1)["current"].values
    )
    with pytest.raises(InputError):
        Volatile.from_dict(cell.to_dict())


@pytest.mark.parametrize("model", MODELS)
def test_bad_input_never_gives_a_number(model):
    cell = model.of(**VALUES[model])
    low, high = cell.bounds
    for call in (
        lambda: cell.simulate(LOOP, devices=2),
        lambda: cell.simulate(LOOP, rng=1, devices=0),
        lambda: cell.simulate(LOOP, rng=1, cycles=1.5),
        lambda: cell.simulate(LOOP, tolerance=0.0),
        lambda: cell.simulate(LOOP, tolerance=np.nan),
        lambda: cell.simulate(LOOP, state=high + 2 * (high - low)),
        lambda: cell.simulate(LOOP, state=np.full(low.size, np.nan)),
        lambda: cell.simulate(LOOP, state=np.zeros(low.size + 1)),
        lambda: cell.respond([PULSES], [0.01], devices=[1, 2]),
        lambda: cell.right_hand_side(np.full(low.size, np.nan) if low.size > 1 else np.nan, 0.1),
        lambda: cell.right_hand_side(cell.rest_state if low.size > 1 else low[0], np.inf),
        lambda: cell.device_current(high + 1.0 if low.size > 1 else high[0] + 1.0, 0.1),
        lambda: model.of(**VALUES[model], nonsense=1.0),
        lambda: model.of(**{**VALUES[model], "read_noise": -1.0}),
    ):
        with pytest.raises(InputError):
            call()
    with pytest.raises(ValidityError):
        cell.respond([PULSES], [1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: VTEAM.of(**{**VALUES[VTEAM], "conductance_on_S": 1e-7}),
        lambda: VTEAM.of(**VALUES[VTEAM], exponential_resistance=0.5),
        lambda: VTEAM.of(**VALUES[VTEAM], window_width=1e-5),
        lambda: VTEAM.of(**{**VALUES[VTEAM], "reset_voltage_V": 0.4}),
        lambda: Yakopcic.of(**VALUES[Yakopcic], direction=0.5),
        lambda: Stanford.of(gap_low_m=1e-9, gap_high_m=1e-9),
        lambda: Stanford.of(initial_gap_m=5e-9),
        lambda: Synapse.of(**VALUES[Synapse], slowest_rate_Hz=10.0, fastest_rate_Hz=1.0),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(call):
    with pytest.raises(InputError):
        call()


def test_right_hand_side_broadcasts_as_numpy_does():
    cell = VTEAM.of(**VALUES[VTEAM])
    rate = cell.right_hand_side([0.0, 0.5, 1.0], [[1.0], [0.1]])
    assert rate.shape == (2, 3)
    np.testing.assert_allclose(rate, [[20.0] * 3, [0.0] * 3])
    film = Synapse.of(**VALUES[Synapse])
    assert film.right_hand_side(np.zeros((4, 1, 8)), np.zeros(5)).shape == (4, 5, 8)
    assert film.device_current(np.zeros((4, 1, 8)), np.zeros(5)).shape == (4, 5)
    old = Volatile.of(
        conductance_off_S=1e-9,
        conductance_on_S=4e-6,
        growth_rate_Hz=0.05,
        growth_voltage_V=0.1,
        relaxation_time_s=6e-3,
        off_nonlinearity_V=0.2,
    )
    grown = 0.05 * np.expm1(8.0)
    np.testing.assert_allclose(
        old.right_hand_side([0.0, 0.5], [[0.8], [-0.8]]),
        [[grown, 0.5 * grown - 0.5 / 6e-3], [0.0, -0.5 / 6e-3]],
        rtol=1e-12,
    )
    np.testing.assert_allclose(old.device_current(0.0, [-0.3, 0.0, 0.3]), 2e-10 * np.sinh([-1.5, 0.0, 1.5]), rtol=1e-12)
    for call in (lambda: old.right_hand_side(1.1, 0.1), lambda: old.device_current(0.5, np.nan)):
        with pytest.raises(InputError):
            call()


def test_stanford_heats_itself_and_says_so():
    cell = Stanford.of(thermal_resistance_K_W=1e5)
    trace = cell.simulate(Waveform.triangle([-1.0], 1.0, 1e-3))
    power = np.abs(trace["current"] * trace["device_voltage"]).values
    np.testing.assert_allclose(trace["temperature"].values, 298.0 + 1e5 * power, rtol=1e-12)
    assert trace["temperature"].attrs["units"] == "K"
    assert power.max() > 0


def test_synapse_follows_arrhenius_and_refuses_what_was_not_estimated():
    cell = Synapse.of(**VALUES[Synapse], drive_barrier_eV=0.2, release_barrier_eV=0.3, conduction_barrier_eV=0.1)
    hot, kT = cell.at(350.0), 8.617333262e-5
    for ratio, barrier in (
        (hot.release_rates_Hz[0] / cell.release_rates_Hz[0], 0.3),
        (hot.capture_rates_Hz[3] / cell.capture_rates_Hz[3], 0.3),
        (hot.conductance_rest_S / cell.conductance_rest_S, 0.1),
    ):
        assert ratio == pytest.approx(np.exp(barrier / kT * (1 / 300 - 1 / 350)), rel=1e-9)
    rest = np.zeros(8)
    assert hot.right_hand_side(rest, -1.0)[0] / cell.right_hand_side(rest, -1.0)[0] == pytest.approx(
        np.exp(0.2 / kT * (1 / 300 - 1 / 350)), rel=1e-9
    )
    assert Synapse.from_dict(hot.to_dict()).temperature_K == 350.0
    with pytest.raises(ValidityError, match="drive_barrier_eV"):
        Synapse.of(**VALUES[Synapse]).at(310.0)


def test_synapse_refuses_a_weight_beyond_its_limit():
    cell = Synapse.of(**VALUES[Synapse], weight_limit=0.2)
    with pytest.raises(ValidityError, match="weight"):
        cell.simulate(DOWN)
    assert cell.simulate(Waveform.pulses(-0.1, 1e-3, 2e-3))["state"].values.max() < 0.2


def test_synapse_forgets_and_keeps_its_populations_within_the_held_ratio():
    cell = Synapse.of(**VALUES[Synapse])
    assert np.sum(cell.capture_rates_Hz / cell.release_rates_Hz) == pytest.approx(5.0)
    trace = cell.simulate(Waveform([0, 0.1, 0.101, 1000.0], [-0.5, -0.5, 0, 0], samples_s=np.geomspace(0.2, 1e3, 20)))
    weight = np.log(trace["conductance"].values / 1e-5)
    later = weight[(trace["time"].values > 0.15) & (trace["time"].values < 100.0)]
    assert (np.diff(later) < 0).all()
    assert abs(weight[-1]) < 1e-3 * weight.max()
    with pytest.raises(InputError):
        cell.retention_error(0.0)


def test_a_published_default_says_where_it_comes_from():
    table = Stanford.of().parameters
    assert "Verilog-A file" in table["barrier_eV"].origin
    assert table["read_noise"].origin == table["initial_gap_m"].origin == "not estimated"
    assert "Verilog-A file" in Stanford.of().with_values(barrier_eV=0.5).parameters["current_A"].origin
    assert Stanford.of(barrier_eV=0.5, reason="mine").parameters["barrier_eV"].origin == "mine"
