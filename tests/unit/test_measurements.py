"""Reading, segmentation and cleaning of measured files, point by point."""

import doctest
import importlib
import json
import re
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from halidrift.compact import Volatile
from halidrift.compact.measurements import fit_measured
from halidrift.physics import trace as traces
from halidrift.physics.errors import DataError, InputError
from halidrift.physics.measurements import clipped, kind_of, read, segments
from halidrift.physics.measurements.text import unit_scale
from halidrift.physics.waveform import Waveform

N = 21


def legs(*corners, n=N):
    """Linear sweeps from corner to corner, each corner once."""
    parts = [np.linspace(a, b, n)[1:] for a, b in pairwise(corners)]
    return np.concatenate([[corners[0]], *parts])


def loop(peak=1.0, trough=-1.0, on=1e-5, off=1e-8, set_V=0.6, reset_V=-0.7, limit=np.inf):
    """Voltage and current of a bipolar switch."""
    V, G, g = legs(0.0, peak, 0.0, trough, 0.0), [], off
    for v in V:
        g = on if v >= set_V else off if v <= reset_V else g
        G.append(g)
    return V, np.clip(V * np.array(G), -limit, limit)


def write(path, columns, *, separator=",", head=(), form="{:.6g}"):
    """A table with a header."""
    cells = [[c if isinstance(c, str) else form.format(c) for c in column] for column in columns.values()]
    rows = [separator.join(row) for row in zip(*cells, strict=True)]
    path.write_text("\n".join([*head, separator.join(columns), *rows]) + "\n", encoding="utf-8")
    return path


def notes(found, kind):
    return [note.text for note in found.report.of(kind)]


# -- headers and units -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volts", "amps", "time", "factors"),
    [
        ("V (V)", "I [uA]", "Time(s)", (1, 1e-6, 1)),
        ("AV", "AI", "Time", (1, 1, 1)),
        ("VAnode", "IAnode", "t", (1, 1, 1)),
        ("V1", "I1", "Time1", (1, 1, 1)),
        ("voltage_mV", "current_nA", "time_ms", (1e-3, 1e-9, 1e-3)),
        ("Voltage/V", "Current/µA", "Elapsed time (min)", (1, 1e-6, 60)),
        ("DrainV", "DrainI", "Timestamp", (1, 1, 1)),
        ("Source Voltage (V)", "Measured Current (A)", "Relative Time (s)", (1, 1, 1)),
        ("V_set", "I_meas", "t [s]", (1, 1, 1)),
        ("Channel 1 [V]", "Channel 2 [nA]", "Clock [s]", (1, 1e-9, 1)),
    ],
)
def test_headers_of_many_instruments(tmp_path, volts, amps, time, factors):
    V, I = loop()  # noqa: E741
    table = {volts: V / factors[0], amps: I / factors[1], time: np.arange(V.size) / factors[2]}
    (trace,) = read(write(tmp_path / "iv.csv", table, form="{:.9g}")).traces
    inside = np.abs(V) > 0.01
    np.testing.assert_allclose(trace.voltage, V[inside], atol=1e-9)
    np.testing.assert_allclose(trace.current, I[inside], rtol=1e-6)
    np.testing.assert_allclose(trace.conductance, I[inside] / V[inside], rtol=1e-6)
    np.testing.assert_allclose(trace.time, np.flatnonzero(inside), rtol=1e-6)


def test_a_bare_number_is_si_and_that_is_said(tmp_path):
    V, I = loop()  # noqa: E741
    found = read(write(tmp_path / "iv.csv", {"V": V, "I": I, "t": np.arange(V.size)}))
    assert len([text for text in notes(found, "assumed") if "names no unit: taken as" in text]) == 3
    named = read(tmp_path / "iv.csv", units={"current": "mA", "voltage": "V", "time": "ms"})
    assert not [text for text in notes(named, "assumed") if "names no unit" in text]
    np.testing.assert_allclose(named.traces[0].conductance, 1e-3 * found.traces[0].conductance)
    np.testing.assert_allclose(named.traces[0].time, 1e-3 * found.traces[0].time)
    with pytest.raises(DataError, match=r"line 1, column 'V'.*names no unit of voltage, and V it cannot be.*mV"):
        read(write(tmp_path / "mv.csv", {"V": 1e3 * V, "I": I, "t": np.arange(V.size)}))


def test_a_line_of_units_below_the_header(tmp_path):
    V, I = loop()  # noqa: E741
    rows = [f"{t}\t{v:.5f}\t{1e6 * i:.5e}" for t, (v, i) in enumerate(zip(V, I, strict=True))]
    (tmp_path / "iv.txt").write_text("\n".join(["Time\tVoltage\tCurrent", "ms\tV\tuA", *rows]))
    (trace,) = read(tmp_path / "iv.txt").traces
    assert float(trace.time[-1]) == pytest.approx(1e-3 * (V.size - 2))
    assert float(trace.conductance.max()) == pytest.approx(1e-5, rel=1e-3)


def test_columns_by_argument_and_a_grounded_terminal(tmp_path):
    V, I = loop()  # noqa: E741
    table = {"V1 (V)": V, "I1 (A)": I, "V2 (V)": 0 * V, "I2 (A)": -I, "x (nA)": 1e9 * I}
    (trace,) = read(write(tmp_path / "iv.csv", table), delay_s=0.1).traces
    assert (trace.current * trace.voltage > 0).all()  # that of the swept terminal
    chosen = read(tmp_path / "iv.csv", columns={"current": "x (nA)"}, delay_s=0.1)
    np.testing.assert_allclose(chosen.traces[0].current, trace.current, rtol=1e-4)
    with pytest.raises(DataError, match=r"line 1: column 'I3 .A.' is not there.*did you mean 'I[12] .A.'"):
        read(tmp_path / "iv.csv", columns={"current": "I3 (A)"})
    two = write(tmp_path / "two.csv", {"V (V)": V, "I_a (A)": I, "I_b (A)": I})
    with pytest.raises(DataError, match=r"several columns could be the current.*--column"):
        read(two)


def test_megavolts_are_a_slip_but_megaohms_are_not():
    assert unit_scale("MV", "V") is None
    assert unit_scale("MOhm", "Ohm") == (1e6, 0.0)
    assert unit_scale("kΩ", "Ohm") == (1e3, 0.0)


# -- what cannot be understood -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"\(file\): holds no table.*an empty file"),
        ("some words\nand more\n", "line 1: holds no table"),
        ("0,1,2\n1,2,3\n", "line 1: numbers without a header"),
        ("t,V (V),I (A)\n0,0.1,1e-9\n1,0.2\n", "line 3: line has another number of fields.*got 2.*allowed: 3"),
        ("t,V (V),I (A)\n0,0.1,1e-9\n1,0.2,1e-9x\n", r"line 3, column 'I \(A\)': not a number.*'1e-9x'"),
        (
            "t,V (V),I (Ohm)\n0,0.1,1e-9\n1,0.2,2e-9\n",
            r"line 1, column 'I \(Ohm\)': unknown unit of current.*allowed: A",
        ),
        ("t,V (V),x\n0,0.1,1\n1,0.2,2\n", "line 1: no column is the current.*--column"),
        ("t,I (A)\n0,1e-9\n1,2e-9\n", "line 1: no column is the voltage"),
        ("V (V),I (A)\n0.1,nan\nnan,1e-9\n", "no two points with numbers"),
        (
            "V (V),I (A)\n" + "0.1,1e-9\n" * 12,
            "no column is the time, which a measurement of retention needs.*--delay",
        ),
    ],
)
def test_faults_name_line_and_column(tmp_path, text, match):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=match) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_arguments_out_of_bounds(tmp_path):
    file = write(tmp_path / "iv.csv", dict(zip(("V (V)", "I (A)"), loop(), strict=True)))
    for name in ("rate_V_s", "delay_s", "compliance_A", "temperature_K", "floor_V"):
        with pytest.raises(InputError, match=name):
            read(file, **{name: -1.0})
    with pytest.raises(InputError, match="both tell the time"):
        read(file, rate_V_s=1.0, delay_s=1.0)
    with pytest.raises(InputError, match="unknown quantity in units"):
        read(file, units={"colour": "V"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file to read"):
        read(tmp_path / "empty")


# -- time --------------------------------------------------------------------------------------------------------


def test_time_by_argument_or_assumed_and_said(tmp_path):
    V, I = loop()  # noqa: E741
    file = write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": I})
    found = read(file)
    assert any("sweep rate of 1 V/s; every rate and time of a fit scales" in text for text in notes(found, "assumed"))
    wave = traces.waveform_of(found.traces[0])
    assert wave.duration_s == pytest.approx(4.0)
    assert wave.time_s.size == 4  # 0, 1, -1, 0 V: straight between
    assert traces.waveform_of(read(file, rate_V_s=0.5).traces[0]).duration_s == pytest.approx(8.0)
    given = read(file, delay_s=0.2)
    assert traces.waveform_of(given.traces[0]).duration_s == pytest.approx(0.2 * (V.size - 1))
    assert not any("scales" in text for text in notes(given, "assumed"))


def test_one_instant_twice(tmp_path):
    V, I = loop()  # noqa: E741
    t = np.arange(V.size, dtype=float)
    twice = np.insert(np.arange(V.size), 10, 10)
    current = I[twice].copy()
    current[10:12] *= (0.9, 1.1)
    found = read(write(tmp_path / "iv.csv", {"t (s)": t[twice], "V (V)": V[twice], "I (A)": current}, form="{:.9g}"))
    assert [n.lines for n in found.report.of("merged")] == [(13,)]
    np.testing.assert_allclose(found.traces[0].current, I[np.abs(V) > 0.01], rtol=1e-6)
    # a step of the voltage at one instant is a step, not a mean
    t, V = np.array([0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10.0]), np.array([0.1, 0.1, 1, 1, 0.1, *[0.1] * 8])
    found = read(write(tmp_path / "p.csv", {"t (s)": t, "V (V)": V, "I (A)": V * np.where(t < 1.5, 1e-8, 1e-6)}))
    assert any("rise time" in text for text in notes(found, "assumed"))
    assert traces.waveform_of(found.traces[0]).voltage_at(1.5) == pytest.approx(1.0)


# -- segments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corners", "cycles", "branches"),
    [
        ((0, 2, 0), 1, 2),
        ((0, 2, -2, 0), 1, 3),
        ((0, -2, 2, 0), 1, 3),
        ((0, 2, 0, 2, 0, 2, 0), 3, 2),
        ((0, 2, -2, 2, -2, 0), 2, 3),
        ((-2, 2, -2, 2, -2), 2, 2),
        ((0, 1), 1, 1),
        ((0, 2, 0.5, 2, 0), 1, 4),  # a minor loop belongs to its cycle
    ],
)
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_cycles_and_branches(corners, cycles, branches, noise):
    V = legs(*corners) + noise * np.random.default_rng(1).standard_normal((len(corners) - 1) * (N - 1) + 1)
    found = segments(np.arange(V.size) * 0.1, V)
    assert [s.kind for s in found] == ["sweep"] * cycles
    assert {len(s.branches) for s in found} == {branches}
    assert (found[0].start, found[-1].stop) == (0, V.size)
    assert all(s.complete for s in found)


def test_a_broken_cycle_is_told():
    V = legs(0, 2, 0, 2, 0, 2, 0)[:-15]
    found = segments(np.arange(V.size), V)
    assert [s.complete for s in found] == [True, True, False]
    assert found[0].values["rate_V_s"] == pytest.approx(0.1)


def test_pulses_and_retention():
    wave = Waveform.pulses(1.2, 2e-3, 10e-3, 6, read_V=0.1, read_width_s=3e-3, samples_per_period=200)
    t = wave.times_s
    assert kind_of(t, wave.voltage_at(t)) == "pulses"
    (train,) = segments(t, wave.voltage_at(t))
    values = train.values
    assert (values["write_V"], values["base_V"], values["read_V"], values["count"]) == (1.2, 0.0, 0.1, 6)
    assert values["width_s"] == pytest.approx(2e-3, rel=0.05)
    assert values["period_s"] == pytest.approx(10e-3, rel=0.01)
    (rest,) = segments(np.arange(50.0), np.full(50, 0.1))
    assert (rest.kind, rest.values["read_V"], rest.values["duration_s"]) == ("retention", 0.1, 49.0)
    with pytest.raises(InputError, match="finite"):
        kind_of([0, 1, 2], [0, np.nan, 1])


def test_a_limit_is_seen_on_a_plateau_and_only_there():
    V = np.linspace(0, 2, 101)
    mask, limit = clipped(V, np.minimum(1e-6 * V, 1e-6))
    assert limit == pytest.approx(1e-6)
    assert mask.sum() == pytest.approx(51, abs=1)
    assert clipped(V, 1e-6 * V)[1] == np.inf
    assert clipped(V, 1e-6 * np.tanh(V))[1] == np.inf  # saturates, but not flat within a percent over a fifth
    assert clipped(V, 1e-6 * V, 1.5e-6)[0].sum() == pytest.approx(26, abs=1)
    assert clipped(np.full(20, 0.1), np.full(20, 1e-6))[1] == np.inf  # constant current at constant voltage


# -- cleaning ----------------------------------------------------------------------------------------------------


def test_points_at_the_limit_are_bounds_unless_the_device_was_measured(tmp_path):
    V, I = loop(limit=2.9e-6)  # noqa: E741
    t = np.arange(V.size)
    (trace,) = read(write(tmp_path / "iv.csv", {"t (s)": t, "V (V)": V, "I (A)": I})).traces
    bound = trace.lower_bound.values > 0
    assert bound.sum() == (np.abs(I) >= 2.9e-6).sum()
    assert (trace.conductance.values[bound] < 0.99e-5).all()
    assert traces.waveform_of(trace).compliance_A.max() == pytest.approx(2.9e-6)
    measured = np.where(np.abs(I) >= 2.9e-6, I / 1e-5, V)
    table = {"t (s)": t, "V_set (V)": V, "V_meas (V)": measured, "I (A)": I}
    (trace,) = read(write(tmp_path / "four.csv", table)).traces
    assert trace.lower_bound.sum() == 0
    np.testing.assert_allclose(trace.conductance.values[bound], 1e-5, rtol=1e-4)
    np.testing.assert_allclose(trace.voltage, V[np.abs(V) > 0.01], atol=1e-6)


def test_a_voltage_that_collapses_at_the_limit_is_that_of_the_device(tmp_path):
    V, I = loop(limit=2.9e-6)  # noqa: E741
    hits = np.abs(I) >= 2.9e-6
    seen = np.where(hits, I / 1e-5, V)
    found = read(write(tmp_path / "iv.csv", {"V (V)": seen, "I (A)": I, "limit": hits.astype(int)}))
    (trace,) = found.traces
    assert trace.lower_bound.sum() == 0
    assert float(trace.conductance.max()) == pytest.approx(1e-5, rel=1e-3)
    assert any("that of the device, not of the source" in text for text in notes(found, "assumed"))


@pytest.mark.parametrize(
    ("label", "cell", "said"),
    [
        ("Status", lambda hit: str(20480 + 8 * hit), "bit 3 of the status word of a Keithley 2400"),
        ("status", lambda hit: str(16 + 64 * hit), "bit 6 of the status of a Keithley 2600"),
        ("Compliance", lambda hit: str(bool(hit)), "as a flag"),
        ("status", lambda hit: "NC"[hit], "as a flag"),
        ("in_compliance", lambda hit: str(int(hit)), "as a flag"),
    ],
)
def test_flags_and_status_words(tmp_path, label, cell, said):
    V, I = loop(limit=2.9e-6)  # noqa: E741
    hits = np.abs(I) >= 2.9e-6
    found = read(write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": I, label: [cell(int(h)) for h in hits]}))
    assert any(said in text for text in notes(found, "read"))
    assert found.traces[0].lower_bound.sum() == hits.sum()


def test_overflows_and_gaps_are_dropped_by_line(tmp_path):
    V, I = loop()  # noqa: E741
    cells = [f"{i:.6g}" for i in I]
    cells[5], cells[6], cells[30], cells[31] = "9.91E+37", "9.9E37", "NaN", ""
    found = read(write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": cells}))
    lines = {n.lines: n.text for n in found.report.dropped}
    assert "overflow" in lines[7, 8]
    assert "not a number" in lines[32, 33]
    assert found.traces[0].sizes["time"] == (np.abs(V) > 0.01).sum() - 4
    # the voltage runs on where the current is missing
    assert traces.waveform_of(found.traces[0]).voltage_V.tolist() == pytest.approx([0, 1, -1, 0])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: (loop()[0], 1e-8 * loop()[0]), "stuck, always OFF"),
        (lambda: (loop()[0], 1e-5 * loop()[0]), "stuck, always ON"),
        (lambda: (loop()[0], 1e-8 * np.sinh(3 * loop()[0])), "stuck, always OFF"),  # curved, but the same both ways
        (lambda: (loop()[0], -loop()[1]), "sign convention.*--flip-current"),
        (lambda: (-loop()[0], -loop()[1]), "ON at negative voltage|OFF at positive voltage"),
    ],
)
def test_devices_are_set_aside_with_the_reason(tmp_path, make, reason):
    good, bad = loop(), make()
    V, I = (np.concatenate(pair) for pair in zip(good, bad, strict=True))  # noqa: E741
    table = {"device": ["good"] * good[0].size + ["bad"] * bad[0].size, "V (V)": V, "I (A)": I}
    found = read(write(tmp_path / "iv.csv", table))
    (note,) = found.report.aside
    assert note.device == "bad"
    assert re.search(reason, note.text), note.text
    assert [json.loads(t.attrs["devices"]) for t in found.traces] == [["good"]]


def test_nothing_is_turned_unless_asked(tmp_path):
    V, I = loop()  # noqa: E741
    wrong = write(tmp_path / "sign.csv", {"V (V)": V, "I (A)": -I})
    with pytest.raises(DataError, match=r"nothing is left.*Nothing was turned"):
        read(wrong)
    np.testing.assert_allclose(read(wrong, flip_current=True).traces[0].current, I[np.abs(V) > 0.01], rtol=1e-4)
    back = write(tmp_path / "back.csv", {"V (V)": -V, "I (A)": -I})
    with pytest.raises(DataError, match=r"nothing is left.*--flip-voltage"):
        read(back)
    (trace,) = read(back, flip_voltage=True).traces
    np.testing.assert_allclose(trace.voltage, V[np.abs(V) > 0.01], atol=1e-6)
    size = read(write(tmp_path / "abs.csv", {"V (V)": V, "I (A)": np.abs(I)}))
    assert any("without sign" in text for text in notes(size, "assumed"))
    np.testing.assert_allclose(size.traces[0].current, I[np.abs(V) > 0.01], rtol=1e-4)


def test_small_currents_of_the_wrong_sign_are_noise(tmp_path):
    V, I = loop()  # noqa: E741
    I = I.copy()  # noqa: E741
    I[3] = -1e-12
    found = read(write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": I}))
    (note,) = [n for n in found.report.dropped if "against the voltage" in n.text]
    assert note.lines == (5,)
    assert (found.traces[0].conductance > 0).all()


def test_cycles_devices_and_files_come_together(tmp_path):
    random = np.random.default_rng(1)
    (tmp_path / "data").mkdir()
    for device in "AB":
        for cycle in (1, 2, 3):
            V, I = loop()  # noqa: E741
            table = {"t (s)": 0.1 * np.arange(V.size), "V (V)": V, "I (A)": I * (1 + 0.01 * random.random(V.size))}
            write(tmp_path / "data" / f"dev{device}_cycle{cycle}.csv", table)
    found = read(tmp_path / "data", temperature_K=310.0)
    (trace,) = found.traces
    assert dict(trace.sizes) == {"device": 2, "cycle": 3, "time": (np.abs(V) > 0.01).sum()}
    assert trace.device_name.values.tolist() == ["A", "B"]
    assert trace.attrs["temperature_K"] == 310.0
    traces.write(trace, tmp_path / "clean.nc")
    np.testing.assert_array_equal(traces.read(tmp_path / "clean.nc").conductance, trace.conductance)
    # the same by columns, interleaved point by point
    rows = {"dev": [], "cycle": [], "V (V)": [], "I (A)": []}
    for v, i in zip(V, I, strict=True):
        for device in "AB":
            for values, cell in zip(rows.values(), (device, "1", v, i), strict=True):
                values.append(cell)
    (trace,) = read(write(tmp_path / "mixed.csv", rows)).traces
    assert dict(trace.sizes) == {"device": 2, "time": (np.abs(V) > 0.01).sum()}


def test_repeated_blocks_in_one_file(tmp_path):
    V, I = loop()  # noqa: E741
    block = ["Run 1", "t (s),V (V),I (A)"] + [f"{n},{v:.5f},{i:.5e}" for n, (v, i) in enumerate(zip(V, I, strict=True))]
    (tmp_path / "iv.csv").write_text("\n".join([*block, "", *block, "", "Measurement ended"]))
    found = read(tmp_path / "iv.csv")
    assert dict(found.traces[0].sizes) == {"cycle": 2, "time": (np.abs(V) > 0.01).sum()}
    assert any("not used" in note.text and note.lines for note in found.report)


def test_pulse_and_read_tables(tmp_path):
    head = ["ArC", "Wed Jun 12 13:42:50 2024"]
    amplitude, resistance = [0.0] + [1.0] * 14, np.concatenate([np.full(5, 1e7), np.full(10, 1e5)])
    table = {"Wordline": ["1"] * 15, "Bitline": ["3"] * 15, "Resistance": resistance, "Amplitude (V)": amplitude}
    table |= {
        "Pulse width (s)": [1e-4] * 15,
        "Tag": ["P"] * 15,
        "ReadTag": ["S R2 V=0.5"] * 15,
        "ReadVoltage": [0.5] * 15,
    }
    found = read(write(tmp_path / "arc.csv", table, head=head))
    (trace,) = found.traces
    assert json.loads(trace.attrs["devices"]) == ["W1B3"]
    np.testing.assert_allclose(trace.conductance, 1.0 / resistance)
    np.testing.assert_allclose(trace.voltage, 0.5)
    wave = traces.waveform_of(trace)
    assert wave.voltage_V.max() == 1.0
    assert (np.diff(np.sign(wave.voltage_V - 0.9)) > 0).sum() == 14  # the first row only reads
    assert any("give delay_s" in text for text in notes(found, "assumed"))


def test_endurance_tables_are_no_traces(tmp_path):
    table = {"Cycle": np.arange(1, 11), "HRS (MOhm)": np.full(10, 5.0), "LRS (kOhm)": np.full(10, 20.0)}
    found = read(write(tmp_path / "endurance.csv", table))
    (cycles,) = found.endurance
    np.testing.assert_allclose(cycles["on"] / cycles["off"], 250.0)
    assert not found.traces
    with pytest.raises(InputError, match="endurance tables only"):
        fit_measured(Volatile, found)


def test_the_report_says_the_same_of_many_cycles_once(tmp_path):
    V, I = loop()  # noqa: E741
    found = read(write(tmp_path / "iv.csv", {"V (V)": np.tile(V, 9), "I (A)": np.tile(I, 9)}))
    assert dict(found.traces[0].sizes) == {"cycle": 9, "time": (np.abs(V) > 0.01).sum()}
    full, brief = len(found.report), len(found.report.brief())
    assert full - brief == 8
    assert any("alike in cycles 2, 3, 4, 5, 6 and 3 more" in str(note) for note in found.report.brief())
    assert json.loads(json.dumps(found.report.to_list()))[0]["kind"] == "read"


def test_dates_are_times(tmp_path):
    V, I = loop()  # noqa: E741
    stamps = [f"2024-06-12 23:59:{30 + n / 4:06.3f}" if n < 120 else "" for n in range(V.size)]
    (trace,) = read(write(tmp_path / "iv.csv", {"Timestamp": stamps, "V (V)": V, "I (A)": I})).traces
    np.testing.assert_allclose(np.diff(trace.time.values)[:8], 0.25, rtol=1e-6)


SECONDS = 0.25 * np.arange(81)


def dated(form, start, seconds=SECONDS):
    return [(start + timedelta(seconds=float(s))).strftime(form) for s in seconds]


@pytest.mark.parametrize(
    ("form", "start", "order"),
    [
        ("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 11, 3, 14, 2, 11), "one day"),
        ("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 11, 30, 23, 59, 50), "day, month"),
        ("%m/%d/%Y %I:%M:%S.%f %p", datetime(2024, 11, 13, 11, 59, 50), "month, day"),  # over noon
        ("%m/%d/%Y %I:%M:%S.%f %p", datetime(2024, 11, 12, 23, 59, 50), "month, day"),  # the 13th comes
        ("%m/%d/%Y %H:%M:%S.%f", datetime(2024, 1, 31, 23, 59, 50), "month, day"),
        ("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 12, 31, 23, 59, 50), "day, month"),
        ("%d/%m/%Y %H:%M:%S.%f", datetime(2024, 2, 29, 23, 59, 50), "day, month"),
    ],
)
def test_dates_begin_with_day_or_month_as_the_column_tells(tmp_path, form, start, order):
    V, I = loop()  # noqa: E741
    found = read(write(tmp_path / "iv.csv", {"Timestamp": dated(form, start), "V (V)": V, "I (A)": I}))
    inside = np.abs(V) > 0.01
    np.testing.assert_allclose(found.traces[0].time, SECONDS[inside], atol=1e-6)
    assert any(text.endswith(f"of dates: {order}") for text in notes(found, "read"))


def test_time_that_runs_on_tells_day_from_month(tmp_path):
    # 9 and 10 October, or 10 September and 10 October: both run on, a day or a month apart
    V, I = loop()  # noqa: E741
    stamps = dated("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 10, 9, 23, 59, 50))
    with pytest.raises(DataError, match=r"begin with the day or with the month.*ISO 8601.*time=none"):
        read(write(tmp_path / "iv.csv", {"Timestamp": stamps, "V (V)": V, "I (A)": I}))
    stamps = dated("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 1, 12, 23, 59, 50))  # 12.01., 13.01.
    assert read(write(tmp_path / "a.csv", {"Timestamp": stamps, "V (V)": V, "I (A)": I})).traces[0].time[-1] < 21
    part = dated("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 2, 3, 4, 0, 0), SECONDS[:40])
    part += dated("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 3, 2, 4, 0, 0), SECONDS[40:])  # or 2 March, then 3 February
    found = read(write(tmp_path / "b.csv", {"Timestamp": part, "V (V)": V, "I (A)": I}))
    assert any(text.endswith("of dates: day, month") for text in notes(found, "read"))


def test_a_date_that_is_none_is_told_by_line(tmp_path):
    V, I = loop()  # noqa: E741
    stamps = dated("%d.%m.%Y %H:%M:%S.%f", datetime(2024, 11, 3))
    stamps[4] = "yesterday"
    with pytest.raises(DataError, match=r"line 6, column 'Timestamp': not a number.*30\.11\.2024.*time=none"):
        read(write(tmp_path / "iv.csv", {"Timestamp": stamps, "V (V)": V, "I (A)": I}))


def test_a_column_of_time_can_be_left_out(tmp_path):
    V, I = loop()  # noqa: E741
    file = write(tmp_path / "iv.csv", {"Timestamp": ["yesterday"] * V.size, "V (V)": V, "I (A)": I})
    found = read(file, columns={"time": "none"}, rate_V_s=0.5)
    steps = np.diff(V[np.abs(V) > 0.01]) / np.diff(found.traces[0].time)
    np.testing.assert_allclose(np.abs(steps), 0.5)
    assert "no column is the time, as asked" in notes(found, "read")
    with pytest.raises(InputError, match="unknown quantity"):
        read(file, columns={"thyme": "none"})
    with pytest.raises(DataError, match="no column is the current"):
        read(file, columns={"current": "none"})


@pytest.mark.parametrize(("limit", "head"), [(1e-3, ()), (5e-6, ()), (None, ("Compliance,1,mA",))])
def test_a_plateau_below_the_limit_is_in_doubt(tmp_path, limit, head):
    V, I = loop(limit=2e-6)  # noqa: E741
    file = write(tmp_path / "iv.csv", {"Time (s)": SECONDS, "V (V)": V, "I (A)": I}, head=head)
    found = read(file, compliance_A=limit)
    named = "that the file names" if limit is None else "given"
    (doubt,) = notes(found, "warning")
    points = int((np.abs(I) >= 2e-6).sum())
    assert f"the current stays at 2e-06 A over {points} points, below the limit {named} (" in doubt
    assert found.report.limit_doubt == doubt
    how = "as the file says" if limit is None else "as given"
    assert f"compliance of {limit or 1e-3:.4g} A, {how}; no current reaches it" in notes(found, "read")


def test_a_limit_that_is_reached_is_not_in_doubt(tmp_path):
    V, I = loop(limit=2e-6)  # noqa: E741
    file = write(tmp_path / "iv.csv", {"Time (s)": SECONDS, "V (V)": V, "I (A)": I})
    found = read(file, compliance_A=2e-6)
    assert found.report.limit_doubt == ""
    assert not notes(found, "warning")
    assert "compliance of 2e-06 A, as given" in notes(found, "read")
    assert "exceed the limit" in read(file, compliance_A=1e-9).report.limit_doubt


def test_sampling_of_easyexpert_has_the_limit_of_its_terminal(tmp_path):
    """Preamble as a B1500A writes it for I/V-t Sampling: a list for each quantity, in the order of the terminals."""
    head = """
SetupTitle, I/V-t Sampling
PrimitiveTest, I/V-t Sampling
TestParameter, Context.MainFrame, B1500A
TestParameter, Channel.UnitType, SMU, SMU
TestParameter, Channel.Unit, SMU1:HR, SMU2:HR
TestParameter, Channel.IName, Itop, Ignd
TestParameter, Channel.VName, Vtop, Vgnd
TestParameter, Channel.Mode, V, COMMON
TestParameter, Channel.Index,
TestParameter, Channel.Time, Time
TestParameter, Measurement.Bias.Source, 0.1, 0
TestParameter, Measurement.Bias.Compliance, 1E-06, 0.1
MetaData, TestRecord.TestTarget,
AnalysisSetup, Analysis.Setup.Title, I/V-t Sampling
Dimension1, 40, 40, 40
Dimension2, 1, 1, 1
DataName, Time, Vtop, Itop"""
    rows = [f"DataValue, {0.5 * n}, 0.1, {4e-7 * (1 + n) ** -0.2:.15E}" for n in range(40)]
    (tmp_path / "hold.csv").write_text("\r\n".join([*head.split("\n"), *rows]))
    found = read(tmp_path / "hold.csv")
    (trace,) = found.traces
    assert trace.attrs["kind"] == "retention"
    assert float(traces.waveform_of(trace).compliance_A[0]) == 1e-6
    assert not any("taken as" in text for text in notes(found, "assumed"))


@pytest.mark.parametrize("which", ["found", "given", "file"])
def test_a_limit_of_one_polarity_leaves_the_other_alone(tmp_path, which):
    V, I = loop()  # noqa: E741
    I = np.minimum(I, 5e-6)  # noqa: E741 - the SET is limited, the RESET current reaches 7e-6 A
    head = ("Compliance,5,uA", "Operator,K") if which == "file" else ()
    file = write(tmp_path / "iv.csv", {"t (s)": np.arange(V.size), "V (V)": V, "I (A)": I}, head=head)
    found = read(file, compliance_A=5e-6 if which == "given" else None)
    (trace,) = found.traces
    bound = trace.lower_bound.values > 0
    assert bound.sum() == (I >= 5e-6).sum() > 0
    assert (trace.voltage.values[bound] > 0).all()
    wave = traces.waveform_of(trace)
    up, down = (wave.compliance_at(wave.times_s[sign * wave.voltage_at(wave.times_s) > 0.1]) for sign in (1, -1))
    np.testing.assert_allclose(up, 5e-6)
    assert np.isinf(down).all()
    assert any("positive voltage only" in text for text in notes(found, "assumed"))
    assert not notes(found, "warning")
    # a limit of both, with an overshoot at the SET
    V, I = loop(limit=5e-6)  # noqa: E741
    (trace,) = read(write(tmp_path / "both.csv", {"V (V)": V, "I (A)": I})).traces
    assert (trace.voltage.values[trace.lower_bound.values > 0] < 0).any()
    I[int(np.argmax(I >= 5e-6))] = 1.5e-5
    (trace,) = read(write(tmp_path / "over.csv", {"V (V)": V, "I (A)": I})).traces
    sides = np.sign(trace.voltage.values[trace.lower_bound.values > 0])
    assert set(sides) == {1.0, -1.0}
    # a reverse current that saturates is none
    _, I = loop()  # noqa: E741
    I = np.where(V < 0, -1e-6 * np.tanh(-20 * V), I)  # noqa: E741
    assert clipped(V, I)[1] == np.inf


@pytest.mark.parametrize("line", ["Compliance,5,uA", "Compliance (uA),5", "Current limit: 5 µA", "Icc=-5e-6"])
def test_a_limit_above_the_table_has_the_unit_that_stands_beside_it(tmp_path, line):
    V, I = loop(limit=5e-6)  # noqa: E741
    (trace,) = read(write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": I}, head=(line, "Operator,K"))).traces
    assert traces.waveform_of(trace).compliance_A.max() == pytest.approx(5e-6, rel=1e-12)
    assert trace.lower_bound.sum() > 0


@pytest.mark.parametrize("label", ["dI/dV (S)", "Leitwert (mS)"])
def test_siemens_are_no_seconds(tmp_path, label):
    V, I = loop()  # noqa: E741
    (trace,) = read(write(tmp_path / "iv.csv", {"V (V)": V, "I (A)": I, label: np.arange(V.size)}), rate_V_s=1.0).traces
    assert float(trace.time[-1]) < 4.1  # of the rate, not of the conductance
    (trace,) = read(write(tmp_path / "caps.csv", {"TIME (S)": np.arange(V.size), "V (V)": V, "I (A)": I})).traces
    assert float(trace.time[-1]) == V.size - 2


def test_columns_that_would_give_a_silent_wrong_number(tmp_path):
    V, I = loop()  # noqa: E741
    with pytest.raises(DataError, match="no column is the current"):
        read(write(tmp_path / "lg.csv", {"V (V)": V, "lg I (A)": np.log10(np.abs(I) + 1e-12)}))
    table = {"V (V)": V, "I (A)": I, "Temperature": np.full(V.size, 25.0)}
    with pytest.raises(DataError, match="look like degrees Celsius"):
        read(write(tmp_path / "warm.csv", table))
    (trace,) = read(write(tmp_path / "warm.csv", table), units={"temperature": "°C"}).traces
    assert trace.attrs["temperature_K"] == pytest.approx(298.1)
    table = {"t (ms)": [f"{n}" if n < 1000 else f"1.{n - 1000:03d}" for n in range(960, 960 + V.size)], "V (V)": V}
    rows = {name: [c if isinstance(c, str) else f"{c:.6g}".replace(".", ",") for c in column] for name, column in
            {**table, "I (A)": I}.items()}  # fmt: skip
    with pytest.raises(DataError, match=r"may separate thousands.*1\.000"):
        read(write(tmp_path / "german.csv", rows, separator=";"))


@pytest.mark.parametrize("module", ["report", "segmenting", "text"])
def test_examples_are_true(module):
    found = doctest.testmod(importlib.import_module(f"halidrift.physics.measurements.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
