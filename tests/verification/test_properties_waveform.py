"""Properties of the waveform algebra, for waveforms that hypothesis makes up; tolerances stated before the first run.

Times of a sum are rounded once for each shift of the clock: 1e-12 of the whole duration. Voltages at corners are exact.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halidrift import Waveform
from halidrift.physics import trace as traces
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.protocols import Protocol

# the same examples every time: a gate must not depend on luck
FIXED = settings(max_examples=80, deadline=None, derandomize=True)

volts = st.one_of(st.sampled_from([0.0, 1.0, -0.5]), st.floats(-10.0, 10.0))
spans = st.floats(1e-4, 10.0)
limits = st.one_of(st.just(np.inf), st.floats(1e-9, 1.0))


@st.composite
def waveforms(draw, start=st.sampled_from([0.0, 0.0, -1.0, 2.5])):
    """Up to six corners from 0.1 ms to 10 s apart, limits for all or for each segment, samples and reads inside."""
    steps = draw(st.lists(spans, min_size=1, max_size=5))
    time = draw(start) + np.concatenate([[0.0], np.cumsum(steps)])
    voltage = draw(st.lists(volts, min_size=time.size, max_size=time.size))
    several = st.lists(limits, min_size=len(steps), max_size=len(steps))
    limit = draw(st.one_of(limits, several))
    shares = st.lists(st.floats(0.0, 1.0), max_size=4)
    inside = [np.clip(time[0] + np.array(draw(shares)) * (time[-1] - time[0]), time[0], time[-1]) for _ in range(2)]
    return Waveform(time, voltage, limit, *inside)


def probes(wave, shares):
    return np.clip(wave.time_s[0] + np.asarray(shares) * wave.duration_s, wave.time_s[0], wave.time_s[-1])


within = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


@FIXED
@given(waveforms(), within)
def test_corners_are_met_and_between_them_runs_a_line(wave, shares):
    np.testing.assert_array_equal(wave.voltage_at(wave.time_s), wave.voltage_V)
    t = probes(wave, shares)
    k = np.clip(np.searchsorted(wave.time_s, t, side="right") - 1, 0, wave.time_s.size - 2)
    share = (t - wave.time_s[k]) / (wave.time_s[k + 1] - wave.time_s[k])
    line = (1 - share) * wave.voltage_V[k] + share * wave.voltage_V[k + 1]
    np.testing.assert_allclose(wave.voltage_at(t), line, rtol=0, atol=1e-12 * np.abs(wave.voltage_V).max())
    # the compliance is that of the segment; a corner belongs to the one that ends there
    np.testing.assert_array_equal(wave.compliance_at(wave.time_s[1:]), wave.compliance_A)
    middle = 0.5 * (wave.time_s[1:] + wave.time_s[:-1])
    np.testing.assert_array_equal(wave.compliance_at(middle), wave.compliance_A)


@FIXED
@given(waveforms())
def test_every_report_time_lies_inside_once_and_in_order(wave):
    times = wave.times_s
    assert (np.diff(times) > 0).all()
    assert times[0] == wave.time_s[0]
    assert times[-1] == wave.time_s[-1]
    assert np.isin(wave.time_s, times).all()
    assert np.isin(wave.samples_s, times).all()
    assert np.isin(wave.reads_s, times).all()
    for outside in (times[0] - 1e-6, times[-1] + 1e-6):
        with pytest.raises(ValidityError):
            wave.voltage_at(outside)


@FIXED
@given(waveforms(), waveforms(), within)
def test_a_sum_plays_one_after_the_other(a, b, shares):
    both = a + b
    shift = a.time_s[-1] - b.time_s[0]
    room = 1e-12 * (abs(a.time_s).max() + abs(b.time_s).max())
    assert both.duration_s == pytest.approx(a.duration_s + b.duration_s, abs=room)
    np.testing.assert_array_equal(both.voltage_at(a.time_s), a.voltage_V)
    # a step between the two takes 1 us, or a tenth of the first segment; from then on it is the second
    edge = min(1e-6, (b.time_s[1] - b.time_s[0]) / 10)
    t = probes(b, shares)
    later = t > b.time_s[0] + edge
    slope = np.abs(np.diff(b.voltage_V) / np.diff(b.time_s)).max()
    at = np.minimum(t[later] + shift, both.time_s[-1])
    np.testing.assert_allclose(both.voltage_at(at), b.voltage_at(t[later]), rtol=0, atol=1e-12 * 10 + slope * room)
    assert both.voltage_V[-1] == b.voltage_V[-1]
    # limits, samples and reads come along
    middles = 0.5 * (b.time_s[1:] + b.time_s[:-1])
    np.testing.assert_array_equal(both.compliance_at(middles + shift), b.compliance_A)
    np.testing.assert_array_equal(both.compliance_at(0.5 * (a.time_s[1:] + a.time_s[:-1])), a.compliance_A)
    assert both.samples_s.size == a.samples_s.size + b.samples_s.size
    np.testing.assert_allclose(both.reads_s, np.concatenate([a.reads_s, b.reads_s + shift]), rtol=0, atol=room)
    assert set(np.unique(both.voltage_V)) >= set(np.unique(a.voltage_V))


@FIXED
@given(waveforms(), waveforms(), waveforms(), within)
def test_sums_may_be_bracketed_either_way(a, b, c, shares):
    left, right = (a + b) + c, a + (b + c)
    room = 1e-12 * (abs(left.time_s).max() + abs(b.time_s).max() + abs(c.time_s).max())
    assert left.duration_s == pytest.approx(right.duration_s, abs=room)
    np.testing.assert_allclose(left.time_s, right.time_s, rtol=0, atol=room)
    steep = np.abs(np.diff(left.voltage_V) / np.diff(left.time_s)).max()
    np.testing.assert_allclose(left.voltage_V, right.voltage_V, rtol=0, atol=1e-11 + steep * room)
    np.testing.assert_array_equal(left.compliance_A, right.compliance_A)
    np.testing.assert_allclose(left.times_s[[0, -1]], right.times_s[[0, -1]], rtol=0, atol=room)


@FIXED
@given(waveforms(), st.integers(1, 7))
def test_a_repetition_is_the_sum_of_its_parts(wave, count):
    whole, by_hand = wave.repeat(count), wave
    for _ in range(count - 1):
        by_hand = by_hand + wave
    room = 1e-12 * count * (abs(wave.time_s).max() + wave.duration_s)
    np.testing.assert_allclose(whole.time_s, by_hand.time_s, rtol=0, atol=room)
    np.testing.assert_allclose(whole.reads_s, by_hand.reads_s, rtol=0, atol=room)
    np.testing.assert_array_equal(whole.compliance_A, by_hand.compliance_A)
    assert whole.duration_s == pytest.approx(count * wave.duration_s, abs=room)


@FIXED
@given(waveforms(), limits, within)
def test_other_samples_and_another_limit_leave_the_stimulus_alone(wave, limit, shares):
    t = probes(wave, shares)
    again = wave.with_samples(t).with_compliance(limit)
    np.testing.assert_array_equal(again.voltage_at(t), wave.voltage_at(t))
    np.testing.assert_array_equal(np.unique(again.compliance_A), [limit])
    assert np.isin(t, again.times_s).all()
    np.testing.assert_array_equal(again.reads_s, wave.reads_s)


@FIXED
@given(waveforms())
def test_records_and_traces_bring_the_waveform_back(wave):
    assert Waveform.from_dict(json.loads(json.dumps(wave.to_dict()))) == wave
    t = wave.times_s
    trace = traces.make(
        wave, model="none", device_voltage_V=wave.voltage_at(t), current_A=0 * t, conductance_S=0 * t, parameters={}
    )
    assert traces.waveform_of(trace) == wave
    assert hash(Waveform.from_dict(wave.to_dict())) == hash(wave)


@FIXED
@given(waveforms(start=st.just(0.0)))
def test_a_table_brings_the_waveform_back(tmp_path_factory, wave):
    assume(np.unique(wave.compliance_A).size == 1)
    file = tmp_path_factory.mktemp("table") / "wave.csv"
    limit = float(wave.compliance_A[0])
    named = np.isfinite(limit)
    head = "time_s,voltage_V" + (",compliance_A" if named else "")
    pairs = zip(wave.time_s.tolist(), wave.voltage_V.tolist(), strict=True)
    rows = [f"{t!r},{v!r}" + (f",{limit!r}" if named else "") for t, v in pairs]
    file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    read = Protocol.parse(file).waveform()
    np.testing.assert_array_equal(read.time_s, wave.time_s)
    np.testing.assert_array_equal(read.voltage_V, wave.voltage_V)
    np.testing.assert_array_equal(read.compliance_A, wave.compliance_A)


@FIXED
@given(waveforms())
def test_a_circuit_plays_the_same_corners(wave):
    # fifteen digits are written: 1e-14 of the largest
    found = {}
    for block in re.findall(r"^V(\w+) \w+ 0 PWL\((.*?)^\+ \)", wave.to_pwl(), re.MULTILINE | re.DOTALL):
        found[block[0]] = np.array([row.split()[1:] for row in block[1].strip().splitlines()], dtype=float)
    t, v = found["src"].T
    assert t[0] == 0.0
    np.testing.assert_allclose(t, wave.time_s - wave.time_s[0], rtol=1e-14, atol=0)
    np.testing.assert_allclose(v, wave.voltage_V, rtol=1e-14, atol=0)
    time, voltage, limit = wave.sources()
    assert (np.diff(time) > 0).all()
    assert limit.min() >= min(wave.compliance_A.min(), 1e3) * (1 - 1e-12)
    assert limit.max() <= min(wave.compliance_A.max(), 1e3) * (1 + 1e-12)
    # inside a segment, once its limit is reached, it is that of the waveform
    ends = np.minimum(wave.compliance_A, 1e3)
    np.testing.assert_allclose(np.interp(wave.time_s[1:] - wave.time_s[0], time, limit), ends, rtol=1e-12)
    assert set(wave.voltage_V) <= set(voltage)


@FIXED
@given(waveforms(), st.integers(0, 5), st.sampled_from([0.0, -1e-3, np.nan, np.inf]))
def test_times_that_do_not_rise_never_make_a_waveform(wave, where, step):
    time = wave.time_s.copy()
    k = where % (time.size - 1)
    time[k + 1] = time[k] + step
    assume(not (np.diff(time) > 0).all())
    with pytest.raises(InputError):
        Waveform(time, wave.voltage_V)
