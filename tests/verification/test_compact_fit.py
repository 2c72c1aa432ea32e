"""Does `fit` give back what went in? Synthetic traces of known parameters; tolerances stated before the run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from halidrift.compact import NonVolatile, Volatile, characterise, fit
from halidrift.compact.likelihood import lack_of_fit, lognormal_times, repeat_spread, weibull_times
from halidrift.compact.volatile_spread import _next
from halidrift.physics import trace as traces
from halidrift.physics.errors import InputError
from halidrift.physics.waveform import Waveform

TRUE = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
}
PULSES = [Waveform.pulses(a, 20e-3, 60e-3, compliance_A=1e-6, samples_per_period=150) for a in (0.8, 0.9, 1.0)]


def test_noise_free_traces_give_the_parameters_back_exactly():
    cell = Volatile.of(**TRUE)
    found = fit(Volatile, [cell.simulate(w) for w in PULSES])
    for name, value in TRUE.items():
        assert found.value(name) == pytest.approx(value, rel=1e-4)
    assert max(found.goodness.values()) < 1e-5
    for name in ("relaxation_spread_cycle", "growth_spread_device", "read_noise"):
        assert found.value(name) == 0.0


def test_parameters_of_noisy_traces_lie_within_three_standard_errors():
    """20 trials, 5 parameters: 3 sigma of a normal law leaves 0.3 of 100 outside; more than 4 is a failure."""
    cell, outside = Volatile.of(**TRUE, read_noise=0.05), 0
    for trial in range(20):
        random = np.random.default_rng(trial)
        found = fit(Volatile, [cell.simulate(w, rng=random) for w in PULSES])
        for name, value in TRUE.items():
            entry = found.parameters[name]
            assert entry.kind == "fitted"
            assert entry.standard_error is not None
            outside += abs(entry.value - value) > 3 * entry.standard_error
        assert found.value("read_noise") == pytest.approx(0.05, rel=0.5)
    assert outside <= 4


def test_shapes_are_recovered_where_they_exist():
    cell = Volatile.of(**{**TRUE, "growth_rate_Hz": 0.2}, relaxation_acceleration=30.0)
    found = fit(Volatile, [cell.simulate(w) for w in PULSES])
    assert found.value("relaxation_acceleration") == pytest.approx(30.0, rel=0.05)
    assert found.value("relaxation_time_s") == pytest.approx(6e-3, rel=0.02)


def test_an_ensemble_gives_spread_and_median_with_honest_errors():
    """30 runs at three amplitudes, spread 0.5 of tau and 0.2 of k_0: 20 % of tau, 0.15 absolute on the spreads."""
    truth = Volatile.of(**TRUE, relaxation_spread_cycle=0.5, growth_spread_cycle=0.2)
    ensembles = [truth.simulate(w, rng=i, cycles=30) for i, w in enumerate(PULSES)]
    found = fit(Volatile, ensembles, resamples=10)
    assert found.value("relaxation_time_s") == pytest.approx(6e-3, rel=0.2)
    assert found.value("relaxation_spread_cycle") == pytest.approx(0.5, abs=0.15)
    assert found.value("growth_spread_cycle") == pytest.approx(0.2, abs=0.15)
    assert found.parameters["relaxation_spread_device"].kind == "fixed"
    error = found.parameters["relaxation_time_s"].standard_error
    assert error is not None
    assert 0.3 * 0.5 / np.sqrt(90) < error / 6e-3 < 3 * 0.5 / np.sqrt(90)


def abrupt(seed, count=30, median_s=10e-3, sigma=1.0, end_s=40e-3, exponential=False):
    """Runs as KMC gives them: 1 uS until a lognormal or exponential break, then 1 nS; as one-dimensional traces."""
    waveform = Waveform.pulses(1.0, 20e-3, 20e-3 + end_s, compliance_A=1e-6, samples_per_period=400)
    random, t, v = np.random.default_rng(seed), waveform.times_s, waveform.voltage_at(waveform.times_s)
    out = []
    for _ in range(count):
        rise = 3e-3 * np.exp(0.3 * random.standard_normal())
        fall = 20e-3 + (
            random.exponential(median_s / np.log(2.0))
            if exponential
            else median_s * np.exp(sigma * random.standard_normal())
        )
        g = np.where((t > rise) & (t < fall), 1.5e-6, 1e-9)
        held = np.minimum(v, 1e-6 / g)
        out.append(
            traces.make(
                waveform,
                model="test",
                device_voltage_V=held,
                current_A=held * g,
                conductance_S=g,
                parameters={"temperature_K": 300.0},
                sources=["John2022"],
            )
        )
    return out


@pytest.mark.parametrize(("median_s", "end_s"), [(6e-3, 60e-3), (20e-3, 30e-3)])
def test_abrupt_breaks_are_reproduced_by_the_fitted_model(median_s, end_s):
    """The fitted model, simulated, breaks at the median and with the spread of the runs, though a third is censored.

    Tolerance: two and a half standard errors of the sampled runs on ln(median), 30 % on the spread of relaxation,
    0.12 on the spread of the set times (0.3).
    """
    runs = abrupt(1, count=60, median_s=median_s, end_s=end_s)
    found = fit(Volatile, runs, fixed={"growth_voltage_V": 0.1}, resamples=5)
    waveform = traces.waveform_of(runs[0])
    again = found.simulate(waveform, rng=3, cycles=300)

    def times(sets):
        found = [characterise.relaxations(run, off_S=1e-9, on_S=1.5e-6) for run in sets]
        flat = [r for each in found for r in each]
        return lognormal_times([r.time_s for r in flat], [r.censored for r in flat])

    seen, made = times(runs), times(run for _, run in characterise.runs(again))
    assert made.values[0] == pytest.approx(seen.values[0], abs=2.5 * seen.standard_errors[0])
    assert made.values[1] == pytest.approx(seen.values[1], rel=0.3)
    assert "John2022" in found.sources
    assert found.value("read_noise") == 0.0
    assert found.value("growth_spread_cycle") == pytest.approx(0.3, abs=0.12)
    on = again["conductance"].max("time") > 1e-7
    assert float(on.mean()) > 0.97  # every run of the data SETs; a model that fails to is another device


def test_the_scatter_of_the_closed_filament_is_recovered_and_not_made_up():
    """25 runs of two pulses; the spread of 0.4 within three of its standard errors, below 0.03 where there is none."""
    pulses = Waveform.pulses(1.0, 20e-3, 80e-3, 2, compliance_A=1e-6, samples_per_period=160)
    for truth in (0.0, 0.4):
        cell = Volatile.of(
            **TRUE, on_spread=truth, growth_spread_cycle=0.1, relaxation_spread_cycle=0.5, read_noise=0.05
        )
        found = fit(Volatile, cell.simulate(pulses, rng=3, cycles=25), fixed={"growth_voltage_V": 0.1}, resamples=0)
        entry = found.parameters["on_spread"]
        assert entry.kind == "fitted"
        if truth == 0.0:
            assert entry.value < 0.03
        else:
            assert entry.standard_error is not None
            assert abs(entry.value - truth) < 3 * entry.standard_error
            assert entry.standard_error < 0.1


def test_the_law_of_the_breaks_is_told_and_its_tail_reproduced():
    """100 exponential breaks (median 6 ms) are taken as Weibull, 100 lognormal ones (sigma 1.2) as lognormal.

    The share of simulated runs that last four medians lies within three standard errors of the 1/16 of the
    exponential law; a lognormal law of equal width would give 0.14.
    """
    runs = abrupt(1, count=100, median_s=6e-3, end_s=100e-3, exponential=True)
    found = fit(Volatile, runs, fixed={"growth_voltage_V": 0.1}, resamples=0)
    assert found.value("relaxation_weibull") == 1.0
    assert found.value("relaxation_spread_cycle") == pytest.approx(np.pi / np.sqrt(6.0), abs=3 * 1.35 / 10)
    again = found.simulate(traces.waveform_of(runs[0]), rng=3, cycles=1000)
    ends = [characterise.relaxations(run, off_S=1e-9, on_S=1.5e-6)[0].time_s for _, run in characterise.runs(again)]
    assert np.mean(np.array(ends) > 24e-3) == pytest.approx(1 / 16, abs=3 * np.sqrt(1 / 16 * 15 / 16 / 100))
    other = abrupt(1, count=100, median_s=6e-3, sigma=1.2, end_s=100e-3)
    found = fit(Volatile, other, fixed={"growth_voltage_V": 0.1}, resamples=0)
    assert found.value("relaxation_weibull") == 0.0
    assert fit(Volatile, other, fixed={"growth_voltage_V": 0.1, "relaxation_weibull": 1.0}, resamples=0).value(
        "relaxation_weibull"
    )


def test_a_spread_that_no_simulation_reaches_stays_within_its_bounds():
    """Wanted 3 where simulated runs stay at 0.5 whatever the spread: it ends at 5, not beyond."""
    sigma, made, before = np.array([1.0, 1.0]), np.array([0.5, 0.5]), None
    for _ in range(10):
        new = _next(sigma, made, np.array([3.0, 3.0]), np.array([True, False]), before)
        sigma, before = new, (sigma, made)
    assert sigma.tolist() == [5.0, 1.0]


def test_censored_weibull_times_are_unbiased():
    """40 % censored, 40 repetitions of 50 exponential times: mean and width of ln t within three standard errors."""
    random, found = np.random.default_rng(5), []
    for _ in range(40):
        t = random.exponential(8e-3, 50)
        end = 8e-3 * np.log(2.5)
        estimate = weibull_times(np.minimum(t, end), t > end)
        found.append([*estimate.values, *estimate.standard_errors])
    mean, width, mean_error, width_error = np.mean(found, axis=0)
    scatter = np.std(found, axis=0)
    assert mean == pytest.approx(np.log(8e-3) - np.euler_gamma, abs=3 * scatter[0] / np.sqrt(40))
    assert width == pytest.approx(np.pi / np.sqrt(6.0), abs=3 * scatter[1] / np.sqrt(40))
    assert mean_error == pytest.approx(scatter[0], rel=0.35)
    assert width_error == pytest.approx(scatter[1], rel=0.35)


def test_censored_relaxation_times_are_unbiased():
    """40 % censored, 40 repetitions of 50 runs: mean of the median estimates within 10 % of the truth."""
    random, medians, spreads = np.random.default_rng(5), [], []
    for _ in range(40):
        t = 8e-3 * np.exp(0.9 * random.standard_normal(50))
        end = 10e-3
        estimate = lognormal_times(np.minimum(t, end), t > end)
        medians.append(np.exp(estimate.values[0]))
        spreads.append(estimate.values[1])
    assert np.mean(medians) == pytest.approx(8e-3, rel=0.1)
    assert np.mean(spreads) == pytest.approx(0.9, rel=0.1)


def test_devices_and_cycles_are_told_apart():
    truth = Volatile.of(**TRUE, relaxation_spread_device=0.6, relaxation_spread_cycle=0.15)
    found = fit(Volatile, truth.simulate(PULSES[2], rng=2, devices=16, cycles=6), resamples=5)
    assert found.value("relaxation_spread_device") == pytest.approx(0.6, rel=0.5)
    assert found.value("relaxation_spread_cycle") == pytest.approx(0.15, abs=0.1)


def test_two_temperatures_give_the_barrier():
    cell = Volatile.of(**TRUE, relaxation_barrier_eV=0.5)
    found = fit(Volatile, [cell.at(t).simulate(PULSES[2]) for t in (290.0, 310.0)], fixed={"growth_voltage_V": 0.1})
    assert found.value("relaxation_barrier_eV") == pytest.approx(0.5, abs=1e-3)


NV = {
    "conductance_slope_1_V": 3.0,
    "conductance_intercept_S": 1e-5,
    "conductance_off_S": 1e-7,
    "compliance_low_A": 1e-5,
    "compliance_high_A": 1e-3,
    "set_voltage_V": 0.9,
    "reset_voltage_V": -1.5,
}


def loops(cell, currents, count, seed=0):
    return [
        cell.simulate(Waveform.triangle([2.0, -3.0], 1.0, [i, 1.0]), rng=seed + 100 * k + j if count > 1 else None)
        for k, i in enumerate(currents)
        for j in range(count)
    ]


def test_linear_relation_without_scatter_is_exact_and_claims_no_spread():
    found = fit(NonVolatile, loops(NonVolatile.of(**NV), np.geomspace(1e-5, 1e-3, 5), 1))
    assert found.value("conductance_slope_1_V") == pytest.approx(3.0, rel=1e-6)
    assert found.value("conductance_intercept_S") == pytest.approx(1e-5, rel=1e-5)
    assert found.value("conductance_spread_S") == found.value("conductance_spread_slope_1_V") == 0.0
    assert any("no compliance was measured twice" in w for w in found.warnings)
    assert found.value("set_voltage_V") == pytest.approx(0.9, abs=0.02)
    assert found.value("reset_voltage_V") == pytest.approx(-1.5, abs=0.02)


def test_linear_relation_and_its_spread_are_recovered():
    truth = {"conductance_spread_S": 2e-6, "conductance_spread_slope_1_V": 0.1}
    found = fit(NonVolatile, loops(NonVolatile.of(**NV, **truth), np.geomspace(1e-5, 1e-3, 6), 8))
    for name, value in {**truth, "conductance_slope_1_V": 3.0, "conductance_intercept_S": 1e-5}.items():
        entry = found.parameters[name]
        assert entry.standard_error is not None
        assert abs(entry.value - value) < 3 * entry.standard_error


def test_spread_of_repeats_covers_the_truth_whatever_their_means_do():
    """100 draws on a line and on a curve: 3 sigma of each spread miss at most 5 times (3 in 10 are expected; a
    likelihood is not quite normal), the variance at 1 mA is free of bias within 4 standard errors; the curve is noticed
    in all, the line in at most 2."""
    random = np.random.default_rng(0)
    x = np.repeat(np.geomspace(1e-5, 1e-3, 6), 6)
    for curved in (False, True):
        misses, found, noticed = np.zeros(2), [], 0
        centre = 3.0 * x * (x / 1e-3) ** (0.3 if curved else 0.0) + 1e-5
        for _ in range(100):
            y = centre + (2e-6 + 0.1 * x) * random.standard_normal(x.size)
            e = repeat_spread(x, y)
            misses += np.abs(e.values - [2e-6, 0.1]) > 3 * e.standard_errors
            found.append(e.values)
            sigma = e.values[0] + e.values[1] * x
            line = np.polyval(np.polyfit(x, y, 1, w=1 / sigma), x)
            noticed += lack_of_fit(x, y, line, sigma)[0] < 1e-3
        assert (misses <= 5).all()
        # of the two numbers only variances can be free of bias
        variance = (np.array(found) @ [1.0, 1e-3]) ** 2
        assert abs(variance.mean() - (2e-6 + 1e-4) ** 2) < 4 * variance.std() / 10
        assert noticed == 100 if curved else noticed <= 2


def test_means_off_the_line_are_no_scatter_and_are_said():
    """Filaments of 3 % scatter whose conductance bends by a tenth: the spread is 3 %, and the fit names the bend."""
    cells = [
        NonVolatile.of(**{**NV, "conductance_slope_1_V": a}, conductance_spread_slope_1_V=0.03 * a) for a in (2, 3)
    ]
    found = fit(NonVolatile, [*loops(cells[0], [3e-5, 1e-4], 8), *loops(cells[1], [3e-4, 1e-3], 8)])
    top = found.value("conductance_spread_S") + found.value("conductance_spread_slope_1_V") * 1e-3
    assert top == pytest.approx(0.09e-3, rel=0.5)
    assert any("not linear in the compliance" in warning for warning in found.warnings)


def test_retention_traces_give_the_drift():
    cell = NonVolatile.of(**NV, drift_exponent=0.03, drift_reference_s=0.1)
    rest = cell.simulate(Waveform.hold(0.05, 1e4, first_s=0.1, samples=60), conductance_S=1e-3)
    found = fit(NonVolatile, [*loops(cell, [1e-4, 1e-3], 1), rest])
    assert found.value("drift_exponent") == pytest.approx(0.03, abs=1e-3)


def test_a_fit_says_what_is_missing():
    cell, flat = Volatile.of(**TRUE), Waveform.hold(0.1, 1.0, samples=50)
    with pytest.raises(InputError, match="needs traces"):
        fit(Volatile, [])
    with pytest.raises(InputError, match="No switching"):
        fit(Volatile, [cell.simulate(flat)])
    with pytest.raises(InputError, match="No SET"):
        fit(NonVolatile, [cell.simulate(flat)])
    with pytest.raises(InputError, match="No relaxation"):
        fit(Volatile, [cell.simulate(Waveform.hold(1.0, 20e-3, compliance_A=1e-6))])
    with pytest.raises(InputError, match="too short"):
        fit(Volatile, [cell.simulate(Waveform.hold(1.0, 1e-3, samples=4))])
    with pytest.raises(InputError, match="two compliances"):
        fit(NonVolatile, loops(NonVolatile.of(**NV), [1e-4], 1))
    with pytest.raises(InputError, match="relaxation_times"):
        fit(Volatile, [cell.simulate(flat)], fixed={"relaxation_times": 1.0})


def test_a_fitted_model_survives_json_with_its_errors():
    found = fit(Volatile, [Volatile.of(**TRUE, read_noise=0.02).simulate(w, rng=1) for w in PULSES])
    again = Volatile.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.parameters == found.parameters or str(again.parameters) == str(found.parameters)
    assert again.goodness == found.goodness
    assert again.warnings == found.warnings


def test_off_is_what_a_reset_leaves_and_not_the_fresh_device():
    sweep = Waveform.triangle([3.0, -3.0], 10.0, [1e-3, np.inf])
    made = []
    for limit in (3e-4, 1e-3):
        wave = Waveform(sweep.time_s, sweep.voltage_V, np.where(np.isinf(sweep.compliance_A), np.inf, limit))
        wave = wave.with_samples(sweep.samples_s)
        t, V = wave.times_s, wave.voltage_at(wave.times_s)
        on = (t >= t[np.argmax(V >= 0.8)]) & (t < t[np.argmax(V <= -1.0)])
        G = np.where(on, 2.0 * limit, np.where(t < 0.3, 1e-8, 2e-5))
        held = np.where(V > 0, np.minimum(V, limit / G), V)
        made.append(
            traces.make(wave, model="test", device_voltage_V=held, current_A=G * held, conductance_S=G, parameters={})
        )
    found = fit(NonVolatile, made)
    assert found.value("conductance_off_S") == pytest.approx(2e-5, rel=1e-9)
    assert any("fresh devices conduct 1e-08 S" in w for w in found.warnings)
    assert found.value("conductance_fresh_S") == pytest.approx(1e-8, rel=1e-9)
    assert found.simulate(wave)["conductance"].values[0] == pytest.approx(1e-8, rel=1e-9)


SLOPED = {**NV, "reset_voltage_slope_V": -0.15, "reset_reference_S": 1e-3}


def test_reset_threshold_follows_the_conductance_and_its_width_is_found():
    """Without scatter: slope within 2 %, threshold at the reference and width within a sample (10 mV)."""
    for width in (0.0, 0.4):
        made = loops(NonVolatile.of(**SLOPED, reset_width_V=width), np.geomspace(1e-5, 1e-3, 5), 1)
        found = fit(NonVolatile, made, fixed={"reset_reference_S": 1e-3})
        assert found.value("reset_voltage_slope_V") == pytest.approx(-0.15, rel=0.02)
        assert found.value("reset_voltage_V") == pytest.approx(-1.5, abs=0.01)
        assert found.value("reset_width_V") == pytest.approx(width, abs=0.01)


def test_reset_threshold_and_slope_cover_the_truth_with_scatter_and_late_resets():
    """12 loops at each of three compliances, one of them breaking 1 V late: within three standard errors."""
    truth = {"reset_voltage_spread_V": 0.08, "off_spread": 0.3, "conductance_spread_slope_1_V": 0.1}
    cell = NonVolatile.of(**SLOPED, **truth)
    made = loops(cell, [3e-5, 1e-4, 1e-3], 12)
    late = cell.with_values(reset_voltage_V=-2.5)
    made[0] = late.simulate(traces.waveform_of(made[0]), rng=1)
    found = fit(NonVolatile, made, fixed={"reset_reference_S": 1e-3})
    for name in ("reset_voltage_V", "reset_voltage_slope_V"):
        entry = found.parameters[name]
        assert 0 < entry.standard_error < 0.1
        assert abs(entry.value - SLOPED[name]) < 3 * entry.standard_error


def test_one_compliance_names_the_slope_of_the_reset_as_open():
    found = fit(NonVolatile, loops(NonVolatile.of(**NV), [1e-4], 4), fixed={"conductance_intercept_S": 1e-5})
    assert found.value("reset_voltage_slope_V") == 0.0
    assert "not identified" in found.parameters["reset_voltage_slope_V"].warning
    assert any("one compliance" in w for w in found.warnings)


def test_times_shorter_than_the_sampling_are_doubted():
    cell = Volatile.of(**TRUE)
    coarse = cell.simulate(Waveform.pulses(1.5, 20e-3, 200e-3, 2, compliance_A=1e-6, samples_per_period=10))
    assert any("less than two samples" in w for w in fit(Volatile, [coarse], fixed={"growth_voltage_V": 0.1}).warnings)
