"""Do standard errors hold, and are parameters that the data do not determine named? Thresholds stated before the run.

The long version, 100 trials of each model, is benchmarks/compact_coverage.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from halidrift.compact import VTEAM, Volatile, Yakopcic, fit, profile
from halidrift.compact.identifiability import covariance, diagnose, open_sides
from halidrift.compact.observables import correlation_time
from halidrift.physics.waveform import Waveform

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
LOOPS = [Waveform.triangle([a, -b], r, [1e-3, 1.0]) for a, b, r in ((1.0, 1.2, 1.0), (1.2, 1.4, 10.0))]
# two standard errors cover 95.4 %: of 12 trials fewer than 9 with a probability of 1e-4 for each parameter
TRIALS, LEAST = 12, 9


@pytest.mark.slow
def test_errors_of_a_state_model_cover_the_truth():
    """VTEAM, 5 % noise, 12 trials: each of 8 parameters within two standard errors in 9 trials or more."""
    cell, covered = VTEAM.of(**SWITCH, read_noise=0.05), dict.fromkeys(SWITCH, 0)
    for seed in range(TRIALS):
        random = np.random.default_rng(seed)
        found = fit(VTEAM, [cell.simulate(w, rng=random) for w in LOOPS], start=SWITCH, starts=1)
        for name, truth in SWITCH.items():
            entry = found.parameters[name]
            assert "not identified" not in entry.warning
            assert entry.standard_error is not None
            covered[name] += abs(entry.value - truth) <= 2.0 * entry.standard_error
    assert min(covered.values()) >= LEAST, covered


@pytest.mark.slow
def test_the_search_finds_a_model_without_a_start():
    """Yakopcic from traces alone, free of noise: every parameter to 1 %."""
    truth = {
        "current_positive_A": 1e-4,
        "current_negative_A": 8e-5,
        "nonlinearity_1_V": 1.5,
        "set_voltage_V": 0.5,
        "reset_voltage_V": -0.6,
        "set_rate_Hz": 4.0,
        "reset_rate_Hz": 3.0,
        "initial_state": 0.05,
    }
    cell = Yakopcic.of(**truth)
    found = fit(Yakopcic, [cell.simulate(w) for w in LOOPS], starts=2)
    for name, value in truth.items():
        assert found.value(name) == pytest.approx(value, rel=0.01)


def test_what_the_stimulus_never_reaches_is_named():
    """No RESET in the traces: its three parameters are named and carry no error; the others are known."""
    cell, rise = VTEAM.of(**SWITCH, read_noise=0.05), Waveform.triangle([1.0], 1.0, [1e-3])
    traces = [cell.simulate(rise, rng=3)]
    found = fit(VTEAM, traces, start=SWITCH, starts=1)
    for name in ("reset_voltage_V", "reset_rate_Hz", "reset_exponent"):
        assert found.parameters[name].standard_error is None
        assert "not identified" in found.parameters[name].warning
        assert any(w.startswith(f"{name}: not identified") for w in found.warnings)
    for name in ("conductance_off_S", "set_rate_Hz"):
        assert "not identified" not in found.parameters[name].warning
    flat = profile(found, traces, "reset_rate_Hz", points=3)
    assert not flat.identified
    assert "do not bound" in flat.text
    assert flat.deviance.max() < 0.1
    sharp = profile(found, traces, "conductance_off_S")
    error = found.parameters["conductance_off_S"].standard_error
    # 95 % of a linear problem: 1.96 standard errors to either side
    assert sharp.identified
    assert (sharp.interval[1] - sharp.interval[0]) / (2 * 1.96 * error) == pytest.approx(1.0, abs=0.15)


def test_one_amplitude_does_not_tell_a_growth_law():
    """k_0 and V_0 follow from SETs at several voltages only; with one neither may carry an error."""
    truth = {"conductance_off_S": 1e-9, "conductance_on_S": 4e-6, "growth_rate_Hz": 0.05, "growth_voltage_V": 0.1}
    cell = Volatile.of(**truth, relaxation_time_s=6e-3, read_noise=0.05)
    pulse = Waveform.pulses(0.9, 20e-3, 60e-3, compliance_A=1e-6, samples_per_period=150)
    found = fit(Volatile, [cell.simulate(pulse, rng=1)])
    for name in ("growth_rate_Hz", "growth_voltage_V"):
        assert "not identified" in found.parameters[name].warning
        assert found.parameters[name].standard_error is None
    tau = found.parameters["relaxation_time_s"]
    assert abs(tau.value - 6e-3) < 3.0 * tau.standard_error


def line(correlated, seed):
    """A straight line with white noise, or with noise that follows itself (AR(1), 0.9), and its fit."""
    random, x = np.random.default_rng(seed), np.linspace(0.0, 1.0, 400)
    noise = random.standard_normal(x.size)
    if correlated:
        for i in range(1, x.size):
            noise[i] += 0.9 * noise[i - 1]
    design = np.stack([np.ones_like(x), x], axis=1)
    found = np.linalg.lstsq(design, noise, rcond=None)[0]
    return design, noise - design @ found, found


def test_correlated_residuals_widen_the_errors():
    """AR(1) noise of 0.9, 200 lines of 400 points: two errors cover the truth in 88 % or more, white ones in half."""
    robust, plain = np.zeros(2), np.zeros(2)
    for seed in range(200):
        design, left, found = line(True, seed)
        wide, _ = covariance(design, [left])
        white = np.diag(np.linalg.inv(design.T @ design)) * (left @ left) / 398
        robust += np.abs(found) <= 2.0 * np.sqrt(np.diag(wide))
        plain += np.abs(found) <= 2.0 * np.sqrt(white)
    assert (robust >= 0.88 * 200).all(), robust
    assert (plain < 0.6 * 200).all(), plain  # else the test shows nothing


def test_white_residuals_leave_the_errors_alone():
    """The mean over 100 lines is within 5 % of the plain error."""
    ratio = []
    for seed in range(100):
        design, left, _ = line(False, seed)
        wide, _ = covariance(design, [left])
        white = np.linalg.inv(design.T @ design) * (left @ left) / 398
        ratio.append(np.sqrt(wide[1, 1] / white[1, 1]))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)


def test_correlation_time_of_known_noise():
    """AR(1) of 0.8: (1 + 0.8) / (1 - 0.8) = 9, within 10 % over 40 traces of 5000."""
    random = np.random.default_rng(0)
    shocks = random.standard_normal((40, 5000))
    for i in range(1, 5000):
        shocks[:, i] += 0.8 * shocks[:, i - 1]
    assert correlation_time(list(shocks)) == pytest.approx(9.0, rel=0.1)
    assert correlation_time([random.standard_normal(5000)]) == pytest.approx(1.0, abs=0.3)


def test_a_sum_of_two_parameters_is_named_as_one():
    x = np.linspace(0.0, 1.0, 50)
    jacobian = np.stack([np.ones_like(x), x, x * (1.0 + 1e-6 * x)], axis=1)
    spread = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-18) * 0.01**2
    bounds = np.full(3, 50.0)
    found = diagnose(("a", "b", "c"), jacobian, spread, 0.01, np.zeros(3), -bounds, bounds)
    assert found.unidentified == ("b", "c")
    assert "only together with c" in found.doubts["b"]
    assert "b by" in found.doubts["c"]


def test_a_side_on_which_nothing_happens_is_open():
    def residual(u):
        return np.array([10.0 * max(u[0], 0.0), 10.0 * u[1]])

    at, far = np.zeros(2), np.full(2, 9.0)
    jacobian = np.array([[5.0, 0.0], [0.0, 10.0]])
    assert open_sides(residual, at, jacobian, 0.1, -far, far) == {0: "below"}


@pytest.mark.parametrize(("gain", "open_side"), [(3.5, {0: "above"}), (5.0, {})])
def test_a_threshold_at_the_luckiest_sample_of_noise_is_open(gain, open_side):
    """Of 400 samples that say nothing the best gains 2 ln 400 = 12, with 4 for the interval 16."""

    def residual(u):
        lost = np.zeros(400)
        lost[7] = gain * min(abs(u[0]) / 0.05, 1.0)
        return lost

    jacobian = np.zeros((400, 1))
    jacobian[7] = gain / 0.05
    assert open_sides(residual, np.zeros(1), jacobian, 1.0, -np.full(1, 9.0), np.full(1, 9.0)) == open_side
