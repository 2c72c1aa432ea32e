"""The volatile model: contract, seeds, compliance, validity, records."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from halidrift.compact import Volatile
from halidrift.compact.parameters import FittedParameter, ParameterTable
from halidrift.physics import trace as traces
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.randomness import recall
from halidrift.physics.waveform import Waveform

VALUES = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
}
NOISY = {**VALUES, "growth_spread_cycle": 0.3, "relaxation_spread_cycle": 0.8, "read_noise": 0.1}
PULSES = Waveform.pulses(1.0, 20e-3, 40e-3, 2, compliance_A=1e-6)


def test_a_trace_follows_the_schema_and_replays():
    cell = Volatile.of(**NOISY)
    # a generator that has been used already: the trace keeps the state it began with
    trace = traces.check(cell.simulate(PULSES, rng=np.random.default_rng(5)))
    assert trace["state"].dims == ("time",)
    assert {"John2022", "Menzel2015", "Simmons1963"} <= set(json.loads(trace.attrs["sources"]))
    again = cell.simulate(traces.waveform_of(trace), rng=recall(trace.attrs["seed"]))
    np.testing.assert_array_equal(again["conductance"].values, trace["conductance"].values)


def test_seeds_decide_and_none_is_the_typical_device():
    cell = Volatile.of(**NOISY)
    a, b = (cell.simulate(PULSES, rng=s)["conductance"].values for s in (1, 2))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(
        cell.simulate(PULSES)["conductance"].values, Volatile.of(**VALUES).simulate(PULSES)["conductance"].values
    )


def test_a_given_generator_moves_on():
    cell, rng = Volatile.of(**NOISY), np.random.default_rng(4)
    first, second = (cell.simulate(PULSES, rng=rng)["conductance"].values for _ in range(2))
    assert not np.array_equal(first, second)


def test_the_law_of_the_relaxation_is_one_of_two():
    with pytest.raises(InputError, match="relaxation_weibull is a choice"):
        Volatile.of(**VALUES, relaxation_weibull=0.5)


def test_a_short_draw_does_not_end_all_cycles():
    """Whether a voltage opens a cycle is asked of the device, not of the last draw: after a filament of next to no
    life there is another one."""
    cell = Volatile.of(**VALUES, relaxation_spread_cycle=5.0)
    train = Waveform.pulses(1.0, 20e-3, 40e-3, 60, compliance_A=1e-6, samples_per_period=8)
    state = cell.simulate(train, rng=3)["state"].values
    rests = state[np.searchsorted(train.times_s, 25e-3 + 40e-3 * np.arange(60))]
    assert (rests[-20:] > 0.3).any()
    assert (rests[-20:] < 0.1).any()


def test_filaments_differ_from_cycle_to_cycle_and_keep_the_compliance():
    """ln G at the end of 400 pulses: standard deviation of x times the spread, within four standard errors; the state
    itself does not scatter, OFF neither, and a read within one cycle sees one filament."""
    cell = Volatile.of(**VALUES, on_spread=0.5)
    pulse = Waveform.pulses(1.0, 20e-3, 100e-3, compliance_A=1e-6, samples_per_period=100)
    runs = cell.simulate(pulse, rng=5, cycles=400)
    x, ln_g = runs["state"].values, np.log(runs["conductance"].values)
    assert np.ptp(x, axis=0).max() == 0.0
    assert ln_g[:, 15].std() == pytest.approx(0.5 * x[0, 15], rel=4 / np.sqrt(800))
    assert np.ptp(ln_g[:, -1]) < 0.01
    np.testing.assert_allclose(np.corrcoef(ln_g[:, 10], ln_g[:, 19])[0, 1], 1.0, atol=1e-9)
    assert np.abs(runs["current"].values).max() <= 1e-6 * (1 + 1e-12)
    np.testing.assert_allclose(runs["current"], runs["conductance"] * runs["device_voltage"], rtol=1e-9, atol=1e-30)
    read = cell.respond([pulse] * 400, [19e-3], rng=6)
    np.testing.assert_allclose(np.log(read).std(), ln_g[:, 19].std(), rtol=4 / np.sqrt(400))


def test_without_spread_a_seed_changes_nothing():
    cell = Volatile.of(**VALUES)
    np.testing.assert_array_equal(
        cell.simulate(PULSES, rng=1)["current"].values, cell.simulate(PULSES)["current"].values
    )


@pytest.mark.parametrize("extra", [{}, {"read_noise": 0.5}, {"off_nonlinearity_V": 0.2, "read_noise": 0.3}])
def test_compliance_is_respected_everywhere(extra):
    cell = Volatile.of(**VALUES, growth_spread_cycle=0.5, **extra)
    trace = cell.simulate(Waveform.triangle([2.0, -2.0], 1.0, 1e-6), rng=3, cycles=5)
    assert np.abs(trace["current"].values).max() <= 1e-6 * (1 + 1e-9)
    assert np.abs(trace["device_voltage"].values).max() <= 2.0
    np.testing.assert_allclose(
        trace["current"].values, trace["conductance"].values * trace["device_voltage"].values, rtol=1e-12
    )


def test_it_sets_above_threshold_relaxes_after_and_ignores_negative_voltage():
    cell = Volatile.of(**VALUES)
    trace = cell.simulate(Waveform.pulses(1.0, 20e-3, 80e-3, compliance_A=1e-6))
    g = trace["conductance"].values
    assert g.max() > 500 * g[0]
    assert g[-1] < 1.1 * g[0]
    negative = cell.simulate(Waveform.triangle([-7.0], 10.0, 1e-6))
    np.testing.assert_allclose(negative["conductance"].values, 1e-9, rtol=1e-12)


def test_a_cycle_is_an_excursion_wherever_the_corners_lie():
    # the same ramp with one collinear corner more: every excursion still draws anew
    cell = Volatile.of(**VALUES, growth_spread_cycle=0.5)
    time, voltage = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    for extra in ([], [(0.01, 0.01), (3.01, 0.01)]):
        corners = sorted([*zip(time, voltage, strict=True), *extra])
        ramp = Waveform(*np.array(corners).T, compliance_A=1e-6, samples_s=np.linspace(0, 5, 2001))
        runs = cell.simulate(ramp, rng=4, cycles=200)
        on = runs["conductance"].values > 1e-7
        half = np.searchsorted(runs["time"].values, 2.5)
        times = [
            runs["time"].values[part.argmax(axis=1) + start]
            for part, start in ((on[:, :half], 0), (on[:, half:], half))
        ]
        assert abs(np.corrcoef(*times)[0, 1]) < 4 / np.sqrt(200)


def test_devices_and_cycles_are_dimensions():
    cell = Volatile.of(**VALUES, relaxation_spread_device=0.5, relaxation_spread_cycle=0.1)
    both = cell.simulate(PULSES, rng=1, devices=3, cycles=4)
    assert both["conductance"].dims == ("device", "cycle", "time")
    assert cell.simulate(PULSES, rng=1, cycles=4)["state"].dims == ("cycle", "time")
    assert both["state"].attrs["units"] == "1"
    late = np.log(both["conductance"].values[..., -5])
    assert late.mean(axis=1).std() > 2 * late.std(axis=1).mean()


def test_many_identical_runs_are_refused():
    with pytest.raises(InputError, match="identical"):
        Volatile.of(**VALUES).simulate(PULSES, cycles=3)


def test_temperature_acts_through_arrhenius_and_only_if_known():
    cell = Volatile.of(**VALUES, relaxation_barrier_eV=0.5)
    warm = cell.at(320.0).relaxation_time_s
    assert warm == pytest.approx(6e-3 * np.exp(0.5 / 8.617333262e-5 * (1 / 320 - 1 / 300)), rel=1e-9)
    with pytest.raises(ValidityError, match="not estimated"):
        Volatile.of(**VALUES).at(320.0)


def test_respond_equals_simulate_for_each_pattern():
    cell = Volatile.of(**VALUES, growth_acceleration=3.0, relaxation_acceleration=20.0, off_nonlinearity_V=0.5)
    random = np.random.default_rng(0)
    waveforms = [
        Waveform.spikes(random.uniform(0, 0.9, 9), amplitude_V=1.0, width_s=25e-3, duration_s=1.05, compliance_A=1e-6)
        for _ in range(5)
    ]
    times = 35e-3 * np.arange(1, 31)
    fast = cell.respond(waveforms, times, tolerance=1e-7)
    assert fast.shape == (5, 30)
    slow = super(Volatile, cell).respond(waveforms, times)
    np.testing.assert_allclose(fast, slow, rtol=1e-3)


def test_respond_is_reproducible_and_devices_share_their_draw():
    cell = Volatile.of(**VALUES, relaxation_spread_device=0.8)
    times = np.array([25e-3, 35e-3])
    same = cell.respond([PULSES] * 4, times, rng=1, devices=[0, 1, 0, 1])
    np.testing.assert_array_equal(same, cell.respond([PULSES] * 4, times, rng=1, devices=[0, 1, 0, 1]))
    np.testing.assert_array_equal(same[0], same[2])
    assert same[0, 0] != same[1, 0]


def test_respond_names_the_waveform_that_is_too_short():
    with pytest.raises(ValidityError, match="waveform 1"):
        Volatile.of(**VALUES).respond([PULSES, Waveform.hold(0.0, 1e-3)], [0.0, 10e-3])


def test_a_larger_compliance_than_fitted_is_refused():
    cell = Volatile.of(**VALUES, largest_compliance_A=1e-6)
    with pytest.raises(ValidityError, match="thicker"):
        cell.simulate(PULSES.with_compliance(1e-3))
    cell.simulate(Waveform.hold(0.1, 1e-3))  # a read without compliance drives little current
    with pytest.raises(ValidityError, match="thicker"):
        cell.respond([Waveform.hold(1.0, 1e-3)], [1e-3])


@pytest.mark.parametrize("infinite", [False, True])
def test_json_round_trip(infinite):
    cell = Volatile.of(**NOISY, **({} if infinite else {"off_nonlinearity_V": 0.3, "relaxation_barrier_eV": 0.6}))
    if not infinite:
        cell = cell.at(310.0)
    again = Volatile.from_dict(json.loads(json.dumps(cell.to_dict(), allow_nan=False)))
    assert str(again.parameters) == str(cell.parameters)
    assert again.temperature_K == cell.temperature_K
    np.testing.assert_array_equal(
        again.simulate(PULSES, rng=2)["current"].values, cell.simulate(PULSES, rng=2)["current"].values
    )


def test_bad_parameters_are_named():
    with pytest.raises(InputError, match="growth_rate_hz"):
        Volatile.of(**VALUES, growth_rate_hz=1.0)
    with pytest.raises(InputError, match="needs relaxation_time_s"):
        Volatile.of(**{k: v for k, v in VALUES.items() if k != "relaxation_time_s"})
    with pytest.raises(InputError, match="out of bounds"):
        Volatile.of(**{**VALUES, "relaxation_time_s": -1.0})
    with pytest.raises(InputError, match="exceed"):
        Volatile.of(**{**VALUES, "conductance_on_S": 1e-10})
    with pytest.raises(InputError, match="rng"):
        Volatile.of(**VALUES).simulate(PULSES, rng="seven")


def test_the_table_prints_values_units_errors_and_origins():
    table = ParameterTable(
        (
            FittedParameter("relaxation_time_s", 6e-3, "s", 4e-4, "fitted", "24 relaxations", "correlated with x"),
            FittedParameter("relaxation_barrier_eV", np.nan, "eV", None, "fixed", "not estimated"),
        )
    )
    lines = str(table).splitlines()
    assert lines[0].split() == ["parameter", "value", "standard", "error", "unit", "kind", "from"]
    assert lines[1].split()[:5] == ["relaxation_time_s", "0.006", "0.0004", "s", "fitted"]
    assert lines[1].endswith("24 relaxations [correlated with x]")
    assert lines[2].split()[1:4] == ["-", "-", "eV"]


def test_a_larger_compliance_than_the_fitted_one_is_refused_where_a_filament_grows():
    cell = Volatile.of(**VALUES, largest_compliance_A=1e-6)
    with pytest.raises(ValidityError, match="5e-05 A at 1 V"):
        cell.simulate(Waveform.pulses(1.0, 20e-3, 40e-3, compliance_A=5e-5))
    with pytest.raises(ValidityError, match="inf A"):
        cell.simulate(Waveform.pulses(1.0, 20e-3, 40e-3))
    cell.simulate(Waveform.hold(0.05, 1e-3))  # a read that grows nothing needs no limit
    cell.simulate(Waveform.triangle([-2.0], 1.0))


def test_arguments_that_would_give_a_number_by_accident_are_refused():
    cell = Volatile.of(**VALUES)
    wave = Waveform.triangle([1.0], 1.0, 1e-6)
    assert cell.simulate(wave, rng=1, devices=2.0).sizes["device"] == 2
    for bad in ({"devices": True}, {"cycles": 1.5}, {"tolerance": np.inf}, {"tolerance": np.nan}):
        with pytest.raises(InputError):
            cell.simulate(wave, rng=1, **bad)
    with pytest.raises(InputError, match="tolerance"):
        cell.respond([wave], [0.5], tolerance=-1.0)
    with pytest.raises(InputError, match="temperature_K"):
        cell.at(np.nan)


def test_a_record_is_valid_json_and_says_what_it_means():
    cell = Volatile.of(**VALUES)
    record = json.loads(json.dumps(replace(cell, goodness={"trace 0": np.nan}).to_dict(), allow_nan=False))
    assert np.isnan(Volatile.from_dict(record).goodness["trace 0"])
    record["parameters"][0]["unit"] = "mS"
    with pytest.raises(InputError, match=r"another unit.*'mS'"):
        Volatile.from_dict(record)
    with pytest.raises(InputError, match="twice"):
        ParameterTable((*cell.parameters.entries, cell.parameters["conductance_on_S"]))
