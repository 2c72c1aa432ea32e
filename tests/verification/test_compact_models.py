"""Are the state equations of VTEAM, Yakopcic, Stanford and Synapse solved right? Tolerances stated before the run."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, linalg, optimize, special

from halidrift.compact import VTEAM, Stanford, Synapse, Yakopcic
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.waveform import Waveform

THRESHOLD = {
    "conductance_off_S": 1e-6,
    "conductance_on_S": 1e-4,
    "set_voltage_V": 0.5,
    "reset_voltage_V": -0.4,
    "set_rate_Hz": 10.0,
    "reset_rate_Hz": 20.0,
    "set_exponent": 3.0,
    "reset_exponent": 2.0,
}
SINH = {
    "current_positive_A": 1e-3,
    "current_negative_A": 2e-3,
    "nonlinearity_1_V": 1.0,
    "set_voltage_V": 0.16,
    "reset_voltage_V": -0.15,
    "set_rate_Hz": 2.0,
    "reset_rate_Hz": 3.0,
    "set_fade_start": 0.3,
    "reset_fade_start": 0.5,
    "set_fade": 1.0,
    "reset_fade": 5.0,
    "initial_state": 0.05,
}
FILM = {
    "conductance_rest_S": 1.7e-10,
    "drive_rate_1_Vs": 35.0,
    "interface_stiffness_V": 0.4,
    "interface_curvature_V": 1.1,
    "mobile_stiffness_V": 0.4,
    "mobile_curvature_V": 3.6,
    "held_ratio": 30.0,
    "held_exponent": 0.1,
}


# -- VTEAM ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("volts", "start"), [(0.9, 0.0), (-0.9, 1.0)])
def test_vteam_at_constant_voltage_moves_in_a_straight_line_to_its_bound(volts, start):
    """1e-9: the exact line is within the reach of any consistent method."""
    cell = VTEAM.of(**THRESHOLD)
    trace = cell.simulate(Waveform.hold(volts, 0.5, samples=101), state=start)
    # written out from the paper, not from the package
    up = 10.0 * (0.9 / 0.5 - 1.0) ** 3 if volts > 0 else -20.0 * (0.9 / 0.4 - 1.0) ** 2
    exact = np.clip(start + up * trace["time"].values, 0.0, 1.0)
    assert 0.0 < exact[5] < 1.0
    assert exact[-1] in (0.0, 1.0)
    np.testing.assert_allclose(trace["state"].values, exact, rtol=0, atol=1e-9)


def test_vteam_ramp_gives_the_integral_of_the_power_law():
    """1e-6: x = k V_t / (v (alpha + 1)) (V/V_t - 1)^(alpha + 1) along a ramp of v volts a second."""
    cell = VTEAM.of(**{**THRESHOLD, "set_rate_Hz": 0.3})
    trace = cell.simulate(Waveform([0.0, 1.0], [0.0, 1.0], samples_s=np.linspace(0, 1, 201)))
    excess = np.maximum(trace["time"].values / 0.5 - 1.0, 0.0)
    np.testing.assert_allclose(trace["state"].values, 0.3 * 0.5 / 4.0 * excess**4, rtol=0, atol=1e-6)
    assert trace["state"].values[-1] == pytest.approx(0.0375, abs=1e-6)


def test_vteam_window_slows_down_as_the_exponential_integral_says():
    """1e-6: c [Ei(e^((x - a)/c)) - Ei(e^((x_0 - a)/c))] = k t."""
    cell = VTEAM.of(**THRESHOLD, window_set=0.6, window_width=0.2)
    trace = cell.simulate(Waveform.hold(1.0, 0.5, samples=51))
    x = trace["state"].values
    travelled = 0.2 * (special.expi(np.exp((x - 0.6) / 0.2)) - special.expi(np.exp((0.0 - 0.6) / 0.2)))
    assert 0.7 < x[-1] < 1.0
    slope = np.exp(np.exp((x - 0.6) / 0.2))  # dt/dx: an error of the state as one of the time
    np.testing.assert_allclose((travelled / 10.0 - trace["time"].values) / slope * 10.0, 0.0, atol=1e-6)


# -- Yakopcic ------------------------------------------------------------------------------------------------------


def test_yakopcic_rises_linearly_below_x_p_and_then_as_the_exponential_integral_says():
    """1e-6: E1(alpha (1 - x)) - E1(alpha (1 - x_p)) = K (t - t_p), K from the window."""
    cell = Yakopcic.of(**SINH)
    trace = cell.simulate(Waveform.hold(0.5, 3.0, samples=301))
    t, x = trace["time"].values, trace["state"].values
    drive = 2.0 * (math.exp(0.5) - math.exp(0.16))
    reached = (0.3 - 0.05) / drive
    linear = t < reached
    assert linear.sum() > 10
    np.testing.assert_allclose(x[linear], 0.05 + drive * t[linear], rtol=0, atol=1e-6)
    K = drive * math.exp(-1.0 * (1.0 - 0.3)) / (1.0 - 0.3)
    late = t > reached
    passed = special.exp1(1.0 - x[late]) - special.exp1(1.0 - 0.3)
    # as an error of the state: d(E1)/dx = e^-(1 - x) / (1 - x)
    miss = (passed - K * (t[late] - reached)) * (1.0 - x[late]) * np.exp(1.0 - x[late])
    np.testing.assert_allclose(miss, 0.0, atol=1e-6)
    assert 0.9 < x[-1] < 1.0


# -- Stanford ------------------------------------------------------------------------------------------------------


def test_stanford_at_low_voltage_moves_its_gap_at_the_constant_rate_of_the_formula():
    """1e-9 of the range; without heating and decay of the enhancement the rate does not depend on the gap."""
    cell = Stanford.of(
        field_threshold_V_m=0.0, enhancement_decay=0.0, thermal_resistance_K_W=0.0, velocity_m_s=1e3, initial_gap_m=1e-9
    )
    for volts in (0.05, -0.05):
        trace = cell.simulate(Waveform.hold(volts, 1.0, samples=21))
        kT = BOLTZMANN_EV_K * 298.0
        rate = -1e3 * math.exp(-0.6 / kT) * math.sinh(16.0 * 0.25 / 12.0 * volts / kT)
        exact = np.clip(1e-9 + rate * trace["time"].values, 0.2e-9, 1.7e-9)
        np.testing.assert_allclose(trace["state"].values, exact, rtol=0, atol=1.5e-18)
        assert abs(rate) * 1.0 > 1e-11


def test_stanford_gap_rests_where_the_enhanced_field_is_below_its_threshold():
    """gamma(g) V / d = F_min defines where a RESET stops; 1e-6 of the range."""
    cell = Stanford.of(initial_gap_m=0.2e-9, thermal_resistance_K_W=0.0)
    trace = cell.simulate(Waveform.hold(-1.2, 10.0, samples=11))
    stop = ((16.0 - 1.4e9 * 12e-9 / 1.2) / 0.8) ** (1 / 3) * 1e-9
    assert 0.3e-9 < stop < 1.7e-9
    assert trace["state"].values[-1] == pytest.approx(stop, abs=1.5e-15)


# -- Synapse -------------------------------------------------------------------------------------------------------


def test_synapse_without_curvature_is_the_exact_sum_of_exponentials():
    """1e-6 of ln G against the matrix exponential, under a voltage and after it."""
    cell = Synapse.of(**{**FILM, "interface_curvature_V": 0.0, "mobile_curvature_V": 0.0})
    wave = Waveform([0.0, 0.1, 0.1 + 1e-9, 20.0], [-0.2, -0.2, 0.0, 0.0], samples_s=np.geomspace(1e-4, 20.0, 60))
    trace = cell.simulate(wave)
    r = np.geomspace(0.01, 100.0, 7)
    c = 30.0 * r**0.1 / np.sum(r ** (0.1 - 1.0))
    A = np.zeros((8, 8))
    A[0, 0], A[0, 1:] = -35.0 * (0.4 + 0.4), 35.0 * 0.4
    A[1:, 0], A[1:, 1:] = c, -np.outer(c, np.ones(7)) - np.diag(r)
    push = np.zeros(8)
    push[0] = 35.0 * 0.2
    rest = np.linalg.solve(A, -push)
    end = rest - linalg.expm(A * 0.1) @ rest
    for t, q in zip(trace["time"].values, trace["state"].values[:, 0], strict=True):
        exact = rest - linalg.expm(A * t) @ rest if t <= 0.1 else linalg.expm(A * (t - 0.1)) @ end
        assert q == pytest.approx(exact[0], abs=1e-6)


def test_synapse_held_ions_make_a_power_law_inside_the_window():
    """Slope within 0.15 of -p, and 3 % over four decades, 13 % over six, of the integral over the rates."""
    cell = Synapse.of(**FILM)
    low, high = cell.retention_window_s
    t = np.geomspace(low, high, 50)
    r = cell.release_rates_Hz
    for p in (0.3, 0.5, 1.0):
        summed = (r**p * np.exp(-np.outer(t, r))).sum(axis=1)
        slope = np.polyfit(np.log(t), np.log(summed), 1)[0]
        assert slope == pytest.approx(-p, abs=0.15)
        assert cell.retention_error(p) < 0.03
        assert 0.03 < cell.with_values(fastest_rate_Hz=1e4).retention_error(p) < 0.13


# -- all -----------------------------------------------------------------------------------------------------------

HARD = [
    pytest.param(VTEAM.of(**THRESHOLD), Waveform.triangle([1.0, -1.0], 1.0, [2e-5, np.inf]), id="vteam"),
    pytest.param(
        VTEAM.of(**{**THRESHOLD, "set_rate_Hz": 1e4}, window_width=0.1, exponential_resistance=0.0),
        Waveform.triangle([1.0, -1.0], 1.0, 2e-5),
        id="vteam, stiff under the compliance",
    ),
    pytest.param(Yakopcic.of(**SINH), Waveform.triangle([1.0, -1.0], 1.0, [2e-4, 1e-3]), id="yakopcic"),
    pytest.param(
        Stanford.of(field_threshold_V_m=0.0, thermal_resistance_K_W=2e5),
        Waveform.triangle([1.5, -1.6], 100.0, [2e-4, np.inf]),
        id="stanford",
    ),
    pytest.param(
        Synapse.of(**FILM, drive_nonlinearity_V=0.7, depression=1.3),
        Waveform([0.0, 0.02, 0.021, 0.1, 0.101, 0.14, 0.15, 1.0], [-1.0, -1.0, 0.0, 0.0, 0.8, 0.8, -0.01, -0.01]),
        id="synapse",
    ),
]


@pytest.mark.parametrize(("cell", "wave"), HARD)
def test_states_agree_with_an_independent_stiff_solver(cell, wave):
    """1e-6 of the range of each state at a tolerance of 1e-9 a step."""
    wave = wave.with_samples(np.linspace(wave.time_s[0], wave.time_s[-1], 9))
    low, high = cell.bounds
    trace = cell.simulate(wave, tolerance=1e-9)
    mine = trace["state"].values.reshape(trace["time"].size, -1)

    def slope(t, y, segment):
        y = np.clip(y, low, high)
        volts, limit = float(wave.voltage_at(t)), float(wave.compliance_A[segment])
        state = y if y.size > 1 else y[0]
        if abs(float(cell.device_current(state, volts))) > limit:  # a root search, not the inverse of the model
            volts = optimize.brentq(
                lambda v: abs(float(cell.device_current(state, v))) - limit, 0.0, volts, xtol=1e-14, rtol=1e-14
            )
        rate = np.atleast_1d(cell.right_hand_side(state, volts))
        return np.where(((y >= high) & (rate > 0)) | ((y <= low) & (rate < 0)), 0.0, rate)

    cuts = np.unique(np.concatenate([trace["time"].values, *_crossings(cell, wave)]))
    cuts = cuts[np.concatenate([[True], np.diff(cuts) > 1e-12])]
    y, worst = np.atleast_1d(cell.rest_state).astype(float), 0.0
    for a, b in pairwise(cuts):
        segment = int(np.clip(np.searchsorted(wave.time_s, b, side="left") - 1, 0, wave.time_s.size - 2))
        answer = integrate.solve_ivp(
            slope, (a, b), y, args=(segment,), method="LSODA", rtol=1e-9, atol=1e-10 * (high - low)
        )
        y = np.clip(answer.y[:, -1], low, high)
        here = np.flatnonzero(np.abs(trace["time"].values - b) < 1e-12)
        if here.size:
            worst = max(worst, float((np.abs(mine[here[0]] - y) / (high - low)).max()))
    assert np.ptp(mine[:, 0]) > 0.1 * float((high - low)[0]) * (0.1 if mine.shape[1] > 1 else 1.0)
    assert worst < 1e-6


def _crossings(cell, wave):
    """Instants at which the source voltage passes a threshold."""
    for level in (0.0, *cell.idle_band_V):
        v, t = wave.voltage_V, wave.time_s
        hit = (v[:-1] - level) * (v[1:] - level) < 0
        yield t[:-1][hit] + (level - v[:-1][hit]) / (v[1:][hit] - v[:-1][hit]) * np.diff(t)[hit]


@pytest.mark.parametrize(("cell", "wave"), HARD)
def test_error_falls_with_the_tolerance(cell, wave):
    """From 1e-4 to 1e-8 a step: each hundredfold lowers the error at least fivefold, and 1e-7 leaves below 1e-5."""
    low, high = cell.bounds
    scale = (high - low) if cell.rest_state.size > 1 else (high - low)[0]
    best = cell.simulate(wave, tolerance=1e-11)["state"].values / scale
    errors = [np.abs(cell.simulate(wave, tolerance=t)["state"].values / scale - best).max() for t in (1e-4, 1e-6, 1e-8)]
    assert errors[1] < max(errors[0] / 5, 1e-9)
    assert errors[2] < max(errors[1] / 5, 1e-9)
    assert np.abs(cell.simulate(wave)["state"].values / scale - best).max() < 1e-5


@pytest.mark.parametrize(("cell", "wave"), HARD)
def test_result_does_not_depend_on_where_it_is_sampled(cell, wave):
    """1e-5 of the range: as large as the tolerance of a hundred steps."""
    low, high = cell.bounds
    grid = np.linspace(wave.time_s[0], wave.time_s[-1], 4)
    fine = np.union1d(grid, np.linspace(wave.time_s[0], wave.time_s[-1], 2000))
    a, b = cell.simulate(wave.with_samples(grid)), cell.simulate(wave.with_samples(fine))
    one = a["state"].values[np.isin(a["time"].values, grid)]
    two = b["state"].values[np.isin(b["time"].values, grid)]
    assert (np.abs(one - two) / (high - low)[0]).max() < 1e-5


@pytest.mark.slow
def test_synapse_stands_for_the_ion_film_on_trains_it_was_not_fitted_to():
    """10 % of the range of G, rms. Numbers: benchmarks/compact_synapse.py, fitted to 1 V trains of kim2019-n3."""
    from halidrift import Device
    from halidrift.fem import IonFilm
    from halidrift.physics import synapse

    film = IonFilm(Device.load("kim2019-n3"))
    for wave in (
        synapse.spikes([-0.5] * 20 + [0.5] * 20, 40e-3, 50e-3, rest_s=5.0),
        synapse.spikes([-1.4] * 10 + [1.4] * 10, 10e-3, 100e-3, rest_s=5.0),
    ):
        G = film.simulate(wave)["conductance"].values
        cell = Synapse.of(
            conductance_rest_S=G[0],
            drive_rate_1_Vs=35.0135,
            interface_stiffness_V=0.315360,
            interface_curvature_V=1.52510,
            mobile_stiffness_V=0.303948,
            mobile_curvature_V=3.62344,
            held_ratio=792.315,
            held_exponent=-1.0,
            slowest_rate_Hz=0.00100779,
            fastest_rate_Hz=992.275,
        )
        mine = cell.simulate(wave)["conductance"].values
        assert np.sqrt(np.mean((mine - G) ** 2)) / np.ptp(G) < 0.10
        flat = np.sqrt(np.mean((G.mean() - G) ** 2)) / np.ptp(G)  # what no model at all would reach
        assert flat > 0.2
