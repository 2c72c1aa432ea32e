"""Held-out errors, comparison of models, bootstrap, spread of runs, and what a fit compares."""

from __future__ import annotations

import doctest
import importlib
import math

import numpy as np
import pytest

from halidrift.compact import VTEAM, NonVolatile, Synapse, Volatile, bootstrap, compare, fit, holdout, normalised_error
from halidrift.compact import residuals as residuals_of
from halidrift.compact.coordinates import axis_of
from halidrift.compact.ensembles import gather
from halidrift.compact.noise import read_noise
from halidrift.compact.observables import AsinhCurrent, Conductance, LnConductance, choose
from halidrift.compact.parameters import Quantity
from halidrift.compact.variance import components
from halidrift.physics import trace as traces
from halidrift.physics.errors import InputError
from halidrift.physics.waveform import Waveform
from halidrift.pipeline.figures.fit import fit_figure

SWITCH = {
    "conductance_off_S": 1e-6,
    "conductance_on_S": 1e-4,
    "set_voltage_V": 0.6,
    "reset_voltage_V": -0.8,
    "set_rate_Hz": 20.0,
    "reset_rate_Hz": 10.0,
    "set_exponent": 2.0,
    "reset_exponent": 1.5,
}
LOOP = Waveform.triangle([1.0, -1.2], 1.0, [1e-3, 1.0])
CELL = VTEAM.of(**SWITCH)


def made(conductance, current=None, waveform=LOOP):
    g = np.broadcast_to(np.asarray(conductance, dtype=float), waveform.times_s.shape)
    V = waveform.voltage_at(waveform.times_s)
    I = g * V if current is None else current  # noqa: E741 - the current
    return traces.make(waveform, model="test", device_voltage_V=V, current_A=I, conductance_S=g, parameters={})


def test_the_error_of_a_switching_trace_is_its_definition():
    trace = CELL.simulate(LOOP)
    assert normalised_error(CELL, trace) == 0.0
    shifted = made(trace["conductance"].values * 2.0)
    ln_g = np.log(trace["conductance"].values)
    span = np.quantile(ln_g, 0.98) - np.quantile(ln_g, 0.02)
    assert normalised_error(CELL, shifted) == pytest.approx(math.log(2.0) / span, rel=1e-12)


def test_the_error_of_an_analog_trace_is_over_its_range():
    cell = Synapse.of(conductance_rest_S=1e-9, drive_rate_1_Vs=5.0, interface_stiffness_V=0.5)
    train = Waveform.pulses(-1.0, 20e-3, 40e-3, 5)
    trace = cell.simulate(train)
    g = trace["conductance"].values
    off = made(g + 0.1 * np.ptp(g), waveform=train)
    assert normalised_error(cell, off) == pytest.approx(0.1, rel=1e-9)


def test_a_trace_that_never_changes_has_no_error_of_its_own():
    with pytest.raises(InputError, match="never changes"):
        normalised_error(CELL, made(1e-6))
    assert normalised_error(CELL, made(1e-6), span_of=[CELL.simulate(LOOP)]) > 0.0


def test_held_out_errors_stand_beside_what_runs_scatter_by():
    noisy = VTEAM.of(**SWITCH, rate_spread_cycle=0.4).simulate(LOOP, rng=1, cycles=30)
    table = holdout(CELL, [noisy, CELL.simulate(Waveform.triangle([0.9, -1.0], 2.0))], names=["noisy", "clean"])
    first, second = table
    assert first.runs == 30
    assert first.floor == pytest.approx(math.sqrt(math.pi / 2.0) * first.spread / math.sqrt(30))
    assert first.error < 3.0 * first.floor < first.spread
    assert second.error == 0.0
    assert math.isnan(second.spread)
    assert "noisy" in str(table)


def test_a_refused_stimulus_is_a_row_with_its_reason():
    values = {"conductance_slope_1_V": 3.0, "conductance_intercept_S": 1e-5, "conductance_off_S": 1e-7}
    cell = NonVolatile.of(
        **values, compliance_low_A=1e-5, compliance_high_A=1e-4, set_voltage_V=0.9, reset_voltage_V=-1.5
    )
    outside = Waveform.triangle([2.0, -3.0], 1.0, [1e-3, 1.0])
    row = holdout(cell, [cell.simulate(outside, clip=True)])[0]
    assert math.isnan(row.error)
    assert "outside of the fitted range" in row.note


def test_the_true_model_wins_and_correlated_misfit_is_said():
    cell = VTEAM.of(**SWITCH, read_noise=0.05)
    runs = [cell.simulate(LOOP, rng=1)]
    other = CELL.with_values(set_rate_Hz=14.0)  # wrong on purpose: its residuals follow each other
    found = compare([other, VTEAM], runs, start={"VTEAM": SWITCH}, starts=1)
    assert found[0].delta == 0.0
    assert found[0].model is not other
    assert found[0].parameters == 8
    assert found[0].correlation_time < 1.5 < found[1].correlation_time
    assert "decided" in found.note
    alone = compare([other], runs)
    assert "no ordering" in alone.note


def test_a_ranking_on_correlated_residuals_is_called_so():
    truth = VTEAM.of(**{**SWITCH, "window_width": 0.2})
    wrong = [CELL.with_values(set_rate_Hz=r) for r in (15.0, 15.2)]
    found = compare(wrong, [truth.simulate(LOOP)])
    assert found.effective < 0.3 * found.points
    assert "correlated" in found.note
    assert "do not decide" in found.note or "not decided" in found.note or "rests" in found.note


def test_a_model_that_cannot_be_fitted_is_a_row():
    rise = Waveform.triangle([1.0], 1.0, [1e-3])
    found = compare([Volatile, CELL], [CELL.simulate(rise)])
    assert [row.name for row in found] == ["VTEAM", "Volatile"]
    assert found[1].model is None
    assert "could not be fitted: No relaxation" in str(found)


def test_one_start_where_the_middle_of_the_search_is_no_model():
    """Without `start` ON and OFF share a range, so that its middle has them equal, which a model refuses."""
    found = fit(VTEAM, [CELL.simulate(LOOP)], starts=1)
    assert found.value("conductance_on_S") > found.value("conductance_off_S")
    assert found.goodness


def test_bootstrap_agrees_with_the_least_squares():
    """30 resamples know a standard error to 13 %: within a factor of 1.6 of the least squares."""
    cell = VTEAM.of(**SWITCH, read_noise=0.05)
    runs = [cell.simulate(LOOP, rng=2)]
    free = {k: SWITCH[k] for k in ("conductance_off_S", "conductance_on_S", "set_rate_Hz")}
    held = {k: v for k, v in SWITCH.items() if k not in free}
    found = fit(VTEAM, runs, fixed=held, start=free, starts=1)
    drawn = bootstrap(found, runs, resamples=30, rng=0)
    assert "blocks" in drawn.method
    for name in free:
        ratio = drawn.standard_error(name) / found.parameters[name].standard_error
        assert 1 / 1.6 < ratio < 1.6
        low, high = drawn.interval(name)
        assert low < found.value(name) < high
    with pytest.raises(InputError, match="Not a fitted parameter"):
        drawn.interval("set_voltage_V")


def test_spread_of_devices_and_cycles_of_a_state_model():
    """6 devices of 6 cycles, truth 0.4 and 0.15: cycles to 30 %, devices within three standard errors."""
    truth = VTEAM.of(**SWITCH, rate_spread_device=0.4, rate_spread_cycle=0.15)
    runs = truth.simulate(LOOP, rng=1, devices=6, cycles=6)
    found = fit(VTEAM, runs, start=SWITCH, starts=1).parameters
    # the loop draws a new rate for SET and RESET, and one factor a run sees their mean
    assert 0.15 / math.sqrt(2.0) * 0.7 < found["rate_spread_cycle"].value < 0.15 * 1.3
    device = found["rate_spread_device"]
    assert abs(device.value - 0.4) < 3.0 * device.standard_error


def test_pulses_are_not_taken_for_noise():
    cell = Synapse.of(conductance_rest_S=1e-9, drive_rate_1_Vs=5.0, interface_stiffness_V=0.5)
    train = Waveform.pulses(-1.0, 20e-3, 40e-3, 20, samples_per_period=24)
    assert read_noise(gather(cell.simulate(train))).value == 0.0
    noisy = Synapse.of(
        conductance_rest_S=1e-9, drive_rate_1_Vs=5.0, interface_stiffness_V=0.5, read_noise=0.05
    ).simulate(train, rng=1)
    found = read_noise(gather(noisy))
    assert abs(found.value - 0.05) < 3.0 * found.standard_error


def test_variance_components_of_a_known_law():
    """200 devices of 5 cycles, 0.5 and 0.3: both within three standard errors, which are right to 30 %."""
    random, found = np.random.default_rng(1), []
    labels = np.repeat(np.arange(200), 5)
    for _ in range(40):
        y = 0.5 * random.standard_normal(200)[labels] + 0.3 * random.standard_normal(1000)
        found.append(components(y, labels))
    for name, truth in (("device", 0.5), ("cycle", 0.3)):
        values = np.array([getattr(f, name) for f in found])
        error = np.mean([getattr(f, f"{name}_error") for f in found])
        assert values.mean() == pytest.approx(truth, abs=3.0 * error / math.sqrt(40))
        assert error == pytest.approx(values.std(), rel=0.4)
    assert not components([1.0, 2.0], [0, 1]).separable


def test_the_data_choose_what_is_compared():
    assert isinstance(choose(gather([CELL.simulate(LOOP)])), LnConductance)
    V = LOOP.voltage_at(LOOP.times_s)
    assert isinstance(choose(gather([made(1e-6 * (1.0 + 0.2 * np.sin(V)))])), Conductance)
    random = np.random.default_rng(0)
    current = 1e-6 * V**3 + 1e-9 * random.standard_normal(V.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.where(np.abs(V) > 1e-9, current / V, 0.0)
    chosen = choose(gather([made(g, current)]))
    assert isinstance(chosen, AsinhCurrent)
    # the floor is the white noise of the small currents, 1 nA, over 5 %
    assert chosen.scale_A == pytest.approx(1e-9 / 0.05, rel=0.5)
    np.testing.assert_allclose(
        chosen.of(np.array([1e-3, 0.0]), g[:2]), [math.log(1e-3 / chosen.scale_A), 0.0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (Quantity("Hz", 0.0, 1e15, "rate"), 3.0),
        (Quantity("V", -100.0, -1e-3, "threshold"), -0.7),
        (Quantity("1", 0.0, 1.0, "share"), 0.3),
        (Quantity("eV", 0.0, 5.0, "barrier"), 0.4),
    ],
)
def test_coordinates_go_there_and_back(quantity, value):
    axis = axis_of("x", quantity, (-2.0, -0.1) if value < 0 else (0.1, 10.0))
    u = axis.coordinate(value)
    assert axis.value(u) == pytest.approx(value, rel=1e-12)
    slope = (axis.value(u + 1e-6) - axis.value(u - 1e-6)) / 2e-6
    assert axis.slope(u) == pytest.approx(abs(slope), rel=1e-6)


def test_bad_questions_are_refused():
    trace = CELL.simulate(LOOP)
    with pytest.raises(InputError, match="starts"):
        fit(VTEAM, [trace], starts=0)
    with pytest.raises(InputError, match="no such model"):
        fit(dict, [trace])
    with pytest.raises(InputError, match="nothing to fit"):
        fit(VTEAM, [trace], fixed=SWITCH)
    with pytest.raises(InputError, match="no fitted parameter"):
        bootstrap(CELL, [trace])
    with pytest.raises(InputError, match="needs models"):
        compare([], [trace])
    with pytest.raises(InputError, match="one for each stimulus"):
        holdout(CELL, [trace], names=["a", "b"])


@pytest.mark.parametrize("name", ["goodness", "variance"])
def test_doctests(name):
    module = importlib.import_module(f"halidrift.compact.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_figure_of_a_fit_shows_each_stimulus():
    found = residuals_of(CELL, [CELL.simulate(LOOP), CELL.simulate(Waveform.triangle([0.9, -1.0], 2.0))])
    assert [r.error for r in found] == [0.0, 0.0]
    figure = fit_figure(found[:1], held_out=found[1:])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["", ""]
    assert len(figure.axes) == 6
    with pytest.raises(InputError, match="one to six"):
        fit_figure([])
