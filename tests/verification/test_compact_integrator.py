"""Is the state equation of the volatile model solved right? Exact solutions; tolerances stated before the run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from halidrift.compact import Volatile
from halidrift.physics.waveform import Waveform

LINEAR = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
}


def derivative(cell: Volatile, state: float, voltage: float, limit: float) -> float:
    """Right-hand side, written out independently of the package (ohmic OFF branch)."""
    v = cell.value
    ratio = v("conductance_on_S") / v("conductance_off_S")
    held = min(voltage, limit / (v("conductance_off_S") * ratio**state))
    r, s = v("growth_acceleration"), v("relaxation_acceleration")

    def norm(a: float) -> float:
        return (1 + a) / (1 + np.log(1 + (1 - np.exp(-1)) * a))

    grow = v("growth_rate_Hz") * np.expm1(held / v("growth_voltage_V")) if held > 0 else 0.0
    up = grow * (1 - state) * (1 + r * state) / norm(r)
    down = state * (1 + s * (1 - state)) / (norm(s) * v("relaxation_time_s"))
    return up - down * np.exp(-held / v("relaxation_voltage_V"))


def test_constant_voltage_without_limit_is_the_exact_exponential():
    cell = Volatile.of(**LINEAR)
    trace = cell.simulate(Waveform.hold(0.8, 20e-3, samples=200))
    rate = 0.05 * np.expm1(8.0)
    total = rate + 1 / 6e-3
    exact = rate / total * (1 - np.exp(-total * trace["time"].values))
    np.testing.assert_allclose(trace["state"].values, exact, rtol=0, atol=1e-6)


def test_relaxation_is_the_exact_exponential_and_reaches_1_over_e_after_tau():
    cell = Volatile.of(**LINEAR)
    trace = cell.simulate(Waveform.hold(0.0, 30e-3, samples=301), state=1.0)
    np.testing.assert_allclose(trace["state"].values, np.exp(-trace["time"].values / 6e-3), rtol=0, atol=1e-12)
    for s in (0.5, 10.0, 1000.0):
        fast = cell.with_values(relaxation_acceleration=s).simulate(Waveform.hold(0.0, 6e-3, samples=3), state=1.0)
        assert fast["state"].values[-1] == pytest.approx(np.exp(-1), abs=1e-12)


@pytest.mark.parametrize(
    ("r", "s", "held"),
    [(0.0, 0.0, np.inf), (20.0, 0.0, np.inf), (0.0, 100.0, np.inf), (5.0, 30.0, 0.1), (0.0, 0.0, 0.5)],
)
def test_compliance_limited_pulse_agrees_with_an_independent_stiff_solver(r, s, held):
    cell = Volatile.of(**LINEAR, growth_acceleration=r, relaxation_acceleration=s, relaxation_voltage_V=held)
    waveform = Waveform.hold(1.0, 20e-3, compliance_A=1e-6, samples=100)
    trace = cell.simulate(waveform)
    answer = integrate.solve_ivp(
        lambda _, x: [derivative(cell, x[0], 1.0, 1e-6)],
        (0, 20e-3),
        [0.0],
        t_eval=trace["time"].values,
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
        max_step=2e-5,
    )
    np.testing.assert_allclose(trace["state"].values, answer.y[0], rtol=0, atol=2e-5)


@pytest.mark.parametrize("held", [np.inf, 0.2])
def test_ramp_agrees_with_an_independent_stiff_solver(held):
    cell = Volatile.of(**LINEAR, relaxation_voltage_V=held)
    trace = cell.simulate(Waveform.triangle([2.0], 1.0, 1e-6))
    answer = integrate.solve_ivp(
        lambda t, x: [derivative(cell, x[0], min(t, 4 - t), 1e-6)],
        (0, 4),
        [0.0],
        t_eval=trace["time"].values,
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
        max_step=1e-3,
    )
    np.testing.assert_allclose(trace["state"].values, answer.y[0], rtol=0, atol=2e-5)


def test_result_does_not_depend_on_where_it_is_sampled():
    cell = Volatile.of(**LINEAR, growth_acceleration=5.0, relaxation_acceleration=30.0, off_nonlinearity_V=0.3)
    coarse = Waveform.pulses(1.0, 20e-3, 40e-3, 3, compliance_A=1e-6, samples_per_period=4)
    fine = coarse.with_samples(np.linspace(0, 0.12, 5000))
    a, b = cell.simulate(coarse), cell.simulate(fine)
    shared = np.isin(coarse.times_s, fine.times_s)
    assert shared.sum() >= 10
    np.testing.assert_allclose(
        a["state"].values[shared], np.interp(coarse.times_s[shared], b["time"], b["state"]), atol=5e-6
    )


def test_error_falls_with_the_tolerance():
    cell = Volatile.of(**LINEAR)
    waveform = Waveform.hold(1.0, 20e-3, compliance_A=1e-6, samples=50)
    best = cell.simulate(waveform, tolerance=1e-12)["state"].values
    errors = [np.abs(cell.simulate(waveform, tolerance=t)["state"].values - best).max() for t in (1e-4, 1e-6, 1e-8)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_nonlinear_off_branch_obeys_the_compliance_exactly_and_carries_the_sinh_law():
    cell = Volatile.of(**LINEAR, off_nonlinearity_V=0.2)
    low = cell.with_values(growth_rate_Hz=0.0).simulate(Waveform.triangle([1.0], 1.0))
    v = low["voltage"].values
    np.testing.assert_allclose(low["current"].values, 1e-9 * 0.2 * np.sinh(v / 0.2), rtol=1e-10, atol=1e-25)
    limited = cell.with_values(growth_rate_Hz=0.0).simulate(Waveform.triangle([2.0, -2.0], 1.0, 1e-8))
    assert np.abs(limited["current"].values).max() == pytest.approx(1e-8, rel=1e-10)


def test_voltage_far_above_threshold_stays_stable():
    cell = Volatile.of(**LINEAR)
    trace = cell.simulate(Waveform.hold(3.0, 1e-3, samples=11))  # growth rate 5e11 Hz
    assert trace["state"].values[-1] == pytest.approx(1.0, abs=1e-6)


def test_lognormal_spread_of_relaxation_has_the_median_and_width_asked_for():
    cell = Volatile.of(**LINEAR, relaxation_spread_cycle=0.8)
    trace = cell.simulate(Waveform.hold(0.0, 5e-3, samples=2), rng=3, cycles=4000, state=1.0)
    tau = -5e-3 / np.log(trace["state"].values[:, -1])
    assert np.median(tau) == pytest.approx(6e-3, rel=4 * 1.2533 * 0.8 / np.sqrt(4000))
    assert np.log(tau).std() == pytest.approx(0.8, rel=4 / np.sqrt(2 * 4000))


@pytest.mark.parametrize("sigma", [0.6, np.pi / np.sqrt(6.0)])
def test_weibull_spread_of_relaxation_is_the_law_of_that_name(sigma):
    """4000 draws against scipy's law of the same median and width; pi / sqrt(6) is the exponential one.

    Kolmogorov-Smirnov, p above 1e-3; mean of ln tau and median within four standard errors.
    """
    cell = Volatile.of(**LINEAR, relaxation_spread_cycle=sigma, relaxation_weibull=1.0)
    trace = cell.simulate(Waveform.hold(0.0, 5e-6, samples=2), rng=3, cycles=4000, state=1.0)
    tau = -5e-6 / np.log(trace["state"].values[:, -1])
    shape = np.pi / np.sqrt(6.0) / sigma
    law = stats.weibull_min(shape, scale=6e-3 / np.log(2.0) ** (1.0 / shape))
    assert stats.kstest(tau, law.cdf).pvalue > 1e-3
    assert np.log(tau).std() == pytest.approx(sigma, rel=4 * np.sqrt(1.1) / np.sqrt(4000))
    if shape == pytest.approx(1.0):
        assert stats.kstest(tau, stats.expon(scale=6e-3 / np.log(2.0)).cdf).pvalue > 1e-3


def test_what_spreads_is_when_a_filament_breaks_not_how_large_it_has_grown():
    """Under a pulse all cycles follow the typical device, to 1e-6; in the rest after it they part."""
    cell = Volatile.of(**LINEAR, relaxation_spread_cycle=1.2)
    pulse = Waveform.pulses(1.0, 20e-3, 40e-3, compliance_A=1e-6, samples_per_period=41)
    typical, cycles = cell.simulate(pulse), cell.simulate(pulse, rng=4, cycles=50)
    grown = (pulse.times_s > 1e-4) & (pulse.times_s < 19.9e-3)
    np.testing.assert_allclose(
        cycles["state"].values[:, grown], np.tile(typical["state"].values[grown], (50, 1)), atol=1e-6
    )
    assert np.log(cycles["state"].values[:, -1]).std() > 0.5


@pytest.mark.parametrize("s", [0.0, 20.0, 1e3])
@pytest.mark.parametrize("duration_s", [6e-3, 20e-3, 80e-3])
def test_a_rest_at_a_voltage_too_small_to_matter_is_a_rest(s, duration_s):
    """One long segment from the closed state, nothing reported on the way: against the closed form of 0 V, 1e-5.

    A step that leaves [0, 1] must be refused, not cut to the bound: cut twice it would seem without error.
    """
    cell = Volatile.of(**{**LINEAR, "relaxation_acceleration": s})
    ends = [
        cell.simulate(Waveform.hold(V, duration_s, samples=2), state=1.0)["state"].values[-1] for V in (0.0, 1e-9, 1e-3)
    ]
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)
    assert ends[2] == pytest.approx(ends[0], abs=1e-3)


def test_a_corner_on_a_straight_ramp_changes_nothing():
    """Spreads of everything; the ramp rises through the voltages of rest, from a closed filament: 1e-6 in the state."""
    cell = Volatile.of(**LINEAR, relaxation_spread_cycle=1.2, growth_spread_cycle=0.5)
    plain = Waveform(
        np.array([0.0, 10e-3, 30e-3, 40e-3]), np.array([0.0, 1.0, 1.0, 0.0]), np.array(1e-6), np.array([40e-3])
    )
    bent = Waveform(
        np.array([0.0, 1e-3, 3e-3, 10e-3, 30e-3, 37e-3, 40e-3]),
        np.array([0.0, 0.1, 0.3, 1.0, 1.0, 0.3, 0.0]),
        np.array(1e-6),
        np.array([40e-3]),
    )
    for seed in range(5):
        ends = [cell.simulate(w, rng=seed, state=0.9)["state"].values[-1] for w in (plain, bent)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-6)


def test_a_filament_that_never_broke_is_the_same_one():
    """Gaps of 0.1 ms: x stays above 0.5, so ln G, with the scatter of filaments, changes only as it does without."""
    burst = Waveform.pulses(1.0, 20e-3, 20.1e-3, 5, compliance_A=1e-6, samples_per_period=201)
    with_scatter = Volatile.of(**LINEAR, on_spread=0.5).simulate(burst, rng=4)
    without = Volatile.of(**LINEAR).simulate(burst)
    late = burst.times_s > 15e-3
    assert without["state"].values[late].min() > 0.5
    factor = (
        np.log(with_scatter["conductance"].values / without["conductance"].values)[late] / without["state"].values[late]
    )
    assert np.ptp(factor) < 1e-9
    assert abs(factor[0]) > 0.01


def test_a_voltage_that_grows_opens_a_cycle_where_relaxation_is_held_back():
    """0.65 V grows ten times as fast as it relaxes: relaxations after two pulses are independent draws."""
    from halidrift.pipeline.chain import typical_cell

    train = Waveform.pulses(0.65, 3.0, 3.2, 2, compliance_A=1e-6, samples_per_period=3200)
    runs = typical_cell().simulate(train, rng=1, cycles=60)
    t, x = train.times_s, runs["state"].values
    gone = []
    for k in range(2):
        rest = (t > 3.2 * k + 3.0) & (t < 3.2 * k + 3.2)
        gone.append([np.interp(-0.4, -row[rest], t[rest] - 3.2 * k - 3.0) for row in x])
    assert abs(np.corrcoef(np.log(gone[0]), np.log(gone[1]))[0, 1]) < 0.4
