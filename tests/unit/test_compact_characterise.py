"""Figures of merit on traces whose answers are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from halidrift.compact import characterise
from halidrift.physics import trace as traces
from halidrift.physics.errors import InputError
from halidrift.physics.waveform import Waveform


def trace_of(waveform, conductance):
    """A trace with this conductance, as a probe station would record it."""
    v = waveform.voltage_at(waveform.times_s)
    g = np.asarray(conductance, dtype=float)
    return traces.make(
        waveform, model="test", device_voltage_V=v, current_A=v * g, conductance_S=g, parameters={"made": "by hand"}
    )


SWEEP = Waveform.triangle([2.0, -3.0], 1.0, samples_per_V=100.0)


def loop(set_V=0.8, reset_V=-1.7, on=1e-3, off=1e-6):
    t, v = SWEEP.times_s, SWEEP.voltage_at(SWEEP.times_s)
    up = (t > 0) & ((t > 2) | (v > set_V))
    gone = (t > 4) & ((t > 7) | (v < reset_V))
    return trace_of(SWEEP, np.where(up & ~gone, on, off))


def test_set_and_reset_voltage_lie_within_one_step():
    assert characterise.set_voltage(loop()) == pytest.approx(0.8, abs=0.011)
    assert characterise.reset_voltage(loop()) == pytest.approx(-1.7, abs=0.011)


def test_the_set_threshold_is_interpolated_below_the_step():
    waveform = Waveform.triangle([1.0], 1.0, samples_per_V=10.0)
    v, t = waveform.voltage_at(waveform.times_s), waveform.times_s
    g = 1e-9 * np.exp(np.where(t <= 1, v, 1.0) * 10)  # passes tenfold at ln(10) / 10 V
    assert characterise.set_voltage(trace_of(waveform, g)) == pytest.approx(np.log(10) / 10, abs=1e-9)


def test_on_off_in_both_definitions():
    power, read = characterise.on_off(loop())
    assert read == pytest.approx(1e3, rel=1e-9)
    assert power == pytest.approx(1e3 * 2.0 / 0.1, rel=1e-9)
    assert np.isnan(characterise.on_off(loop(), write_V=2.5).power)
    assert characterise.lrs_conductance(loop()) == pytest.approx(1e-3)


def pulse(tau=5e-3, on=1e-6, off=1e-9, end=60e-3, abrupt=False):
    waveform = Waveform.pulses(1.0, 20e-3, end, samples_per_period=1200)
    t = waveform.times_s
    late = t - 20.001e-3
    share = np.where(late < 0, 1.0, (late < tau).astype(float) if abrupt else np.exp(-np.maximum(late, 0) / tau))
    share = np.where(t < 1e-3, 0.0, share)
    return trace_of(waveform, off * (on / off) ** share)


@pytest.mark.parametrize("abrupt", [False, True])
def test_relaxation_time_of_exponential_and_of_abrupt_decay(abrupt):
    found = characterise.relaxation_time(pulse(abrupt=abrupt), off_S=1e-9, on_S=1e-6)
    assert found.time_s == pytest.approx(5e-3, abs=6e-5)
    assert not found.censored
    assert found.start_s == pytest.approx(20.001e-3, abs=1e-9)


def test_a_relaxation_that_outlasts_the_trace_is_censored():
    found = characterise.relaxation_time(pulse(tau=1.0), off_S=1e-9, on_S=1e-6)
    assert found.censored
    assert found.time_s == pytest.approx(60e-3 - 20.001e-3, abs=1e-9)


def test_dwell_ignores_a_short_opening():
    trace = pulse(tau=10e-3, abrupt=True)
    blink = (trace["time"].values > 23e-3) & (trace["time"].values < 23.3e-3)
    trace["conductance"].values[blink] = 1e-9
    levels = {"off_S": 1e-9, "on_S": 1e-6}
    assert characterise.relaxation_time(trace, **levels).time_s == pytest.approx(3e-3, abs=1e-4)
    assert characterise.relaxation_time(trace, dwell_s=1e-3, **levels).time_s == pytest.approx(10e-3, abs=1e-4)


def test_set_time_runs_from_the_rise_to_half_way():
    (found,) = characterise.set_times(pulse())
    assert found.time_s == pytest.approx(1e-3, abs=6e-5)
    assert not found.censored


def test_a_trace_without_switching_says_what_was_looked_for():
    flat = trace_of(SWEEP, np.full(SWEEP.times_s.size, 1e-9))
    with pytest.raises(InputError, match="No SET in the trace"):
        characterise.set_voltage(flat)
    with pytest.raises(InputError, match="No RESET in the trace"):
        characterise.reset_voltage(flat)
    with pytest.raises(InputError, match="No relaxation in the trace"):
        characterise.relaxation_time(flat)


def test_an_ensemble_is_refused_and_runs_split_it():
    one = loop()
    both = one.copy()
    for name in ("conductance", "current", "device_voltage"):
        both[name] = one[name].expand_dims(cycle=2)
    with pytest.raises(InputError, match="runs"):
        characterise.set_voltage(both)
    assert [characterise.set_voltage(run) for _, run in characterise.runs(both)] == [characterise.set_voltage(one)] * 2
