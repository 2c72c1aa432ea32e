"""The non-volatile model: programming, thresholds, range, records."""

from __future__ import annotations

import json

import numpy as np
import pytest

from halidrift.compact import NonVolatile
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.waveform import Waveform

VALUES = {
    "conductance_slope_1_V": 3.0,
    "conductance_intercept_S": 1e-5,
    "conductance_off_S": 1e-7,
    "compliance_low_A": 1e-5,
    "compliance_high_A": 1e-3,
    "set_voltage_V": 0.9,
    "reset_voltage_V": -1.5,
}


def test_programming_is_the_inverse_of_the_linear_relation():
    cell = NonVolatile.of(**VALUES)
    wanted = np.array([[1e-4, 5e-4], [1e-3, 3e-3]])
    np.testing.assert_allclose(cell.compliance_for(wanted), (wanted - 1e-5) / 3.0, rtol=1e-12)
    np.testing.assert_allclose(cell.program(wanted), wanted, rtol=1e-12)


def test_programming_spread_is_linear_in_the_compliance():
    cell = NonVolatile.of(**VALUES, conductance_spread_S=1e-6, conductance_spread_slope_1_V=0.1)
    for wanted in (1e-4, 3e-3):
        written = cell.program(np.full(20000, wanted), rng=3)
        sigma = 1e-6 + 0.1 * (wanted - 1e-5) / 3.0
        assert written.mean() == pytest.approx(wanted, abs=4 * sigma / np.sqrt(20000))
        assert written.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * 20000))
    np.testing.assert_array_equal(cell.program([1e-3, 2e-3], rng=1), cell.program([1e-3, 2e-3], rng=1))


def test_a_written_conductance_never_falls_below_off():
    cell = NonVolatile.of(**VALUES, conductance_spread_S=1e-3)
    assert cell.program(np.full(1000, 1e-4), rng=0).min() == 1e-7


def test_outside_of_the_fitted_range_it_raises_or_clips():
    cell = NonVolatile.of(**VALUES)
    low, high = cell.conductance_bounds_S
    assert (low, high) == (pytest.approx(4e-5), pytest.approx(3.01e-3))
    with pytest.raises(ValidityError, match="clip=True"):
        cell.program(5e-3)
    np.testing.assert_allclose(cell.program([1e-6, 5e-3], clip=True), [low, high])
    with pytest.raises(ValidityError, match="compliance outside"):
        cell.simulate(Waveform.triangle([2.0], 1.0, 1e-2))
    clipped = cell.simulate(Waveform.triangle([2.0], 1.0, 1e-2), clip=True)
    assert clipped["conductance"].values[-1] == pytest.approx(high)


def test_a_loop_sets_at_its_threshold_holds_and_resets():
    cell = NonVolatile.of(**VALUES)
    trace = cell.simulate(Waveform.triangle([2.0, -3.0], 1.0, [3e-4, 1.0]))
    v, g, t = trace["voltage"].values, trace["conductance"].values, trace["time"].values
    assert (g[(t < 2) & (v < 0.9)] == 1e-7).all()
    set_state = 3.0 * 3e-4 + 1e-5
    np.testing.assert_allclose(g[(t < 2) & (v > 0.91)], set_state)
    np.testing.assert_allclose(g[(t > 2) & (t < 5.49)], set_state)
    np.testing.assert_allclose(g[t > 5.52], 1e-7)
    positive = v > 0
    assert np.abs(trace["current"].values[positive]).max() <= 3e-4 * (1 + 1e-12)


def test_a_larger_compliance_raises_the_state_and_a_smaller_leaves_it():
    cell = NonVolatile.of(**VALUES)
    waveform = (
        Waveform.triangle([2.0], 1.0, 1e-4) + Waveform.triangle([2.0], 1.0, 5e-4) + Waveform.triangle([2.0], 1.0, 2e-4)
    )
    trace = cell.simulate(waveform)
    ends = np.interp([3.9, 7.9, 11.9], trace["time"], trace["state"])
    np.testing.assert_allclose(ends, [3.1e-4, 1.51e-3, 1.51e-3], rtol=1e-9)


def test_reset_width_gives_intermediate_states():
    cell = NonVolatile.of(**VALUES, reset_width_V=1.0)
    waveform = Waveform.triangle([2.0, -2.0], 1.0, [1e-3, 1.0])
    last = cell.simulate(waveform)["conductance"].values[-1]
    assert last == pytest.approx(np.sqrt(3.01e-3 * 1e-7), rel=1e-9)  # half way in ln G at half the width


def test_a_thicker_filament_resets_later():
    """-1.5 V at 1e-4 S, 0.2 V more for each e-fold: the OFF branch begins one sample (20 mV) beyond."""
    cell = NonVolatile.of(**VALUES, reset_voltage_slope_V=-0.2, reset_reference_S=1e-4)
    for limit in (3e-5, 3e-4):
        trace = cell.simulate(Waveform.triangle([2.0, -3.0], 1.0, [limit, 1.0]))
        v, g = trace["voltage"].values, trace["conductance"].values
        threshold = -1.5 - 0.2 * np.log((3.0 * limit + 1e-5) / 1e-4)
        reset = (v < 0) & (g <= 1e-7)
        assert v[reset][0] == pytest.approx(threshold - 0.01, abs=0.0101)
    # however thin, no RESET without a voltage
    thin = cell.with_values(reset_voltage_slope_V=-10.0).simulate(Waveform([0.0, 1.0], [0.0, 0.0]), conductance_S=1e-6)
    np.testing.assert_allclose(thin["conductance"].values, 1e-6)


def test_a_fresh_device_conducts_what_was_given_until_its_first_set():
    cell = NonVolatile.of(**VALUES, conductance_fresh_S=1e-9)
    trace = cell.simulate(Waveform.triangle([-2.0, 2.0, -3.0], 1.0, [1.0, 3e-4, 1.0]))
    v, g, t = trace["voltage"].values, trace["conductance"].values, trace["time"].values
    np.testing.assert_allclose(g[(t < 6) & (v < 0.89)], 1e-9)  # a negative excursion leaves it
    np.testing.assert_allclose(g[t > 9.6], 1e-7)


def test_drift_follows_the_power_law():
    cell = NonVolatile.of(**VALUES, drift_exponent=0.02, drift_reference_s=1.0)
    trace = cell.simulate(Waveform.hold(0.0, 1e4, first_s=0.1, samples=50), conductance_S=1e-3)
    t = trace["time"].values
    np.testing.assert_allclose(trace["conductance"].values, 1e-3 * np.maximum(t, 1.0) ** -0.02, rtol=1e-12)


def test_no_reset_was_fitted_so_none_is_simulated():
    cell = NonVolatile.of(**{k: v for k, v in VALUES.items() if k != "reset_voltage_V"})
    with pytest.raises(ValidityError, match="No RESET was fitted"):
        cell.simulate(Waveform.triangle([2.0, -2.0], 1.0, [1e-3, 1.0]))
    again = NonVolatile.from_dict(json.loads(json.dumps(cell.to_dict(), allow_nan=False)))
    assert not again.parameters["reset_voltage_V"].estimated


def test_read_noise_keeps_the_compliance():
    cell = NonVolatile.of(**VALUES, read_noise=0.3)
    trace = cell.simulate(Waveform.triangle([2.0], 1.0, 1e-4), rng=2)
    assert trace["current"].values.max() <= 1e-4 * (1 + 1e-12)
    assert np.log(trace["conductance"].values[150:]).std() == pytest.approx(0.3, rel=0.3)


def test_bad_ranges_are_named():
    with pytest.raises(InputError, match="ordered"):
        NonVolatile.of(**{**VALUES, "compliance_low_A": 2e-3})
    with pytest.raises(InputError, match="no positive conductance"):
        NonVolatile.of(**{**VALUES, "conductance_intercept_S": -1e-4})
