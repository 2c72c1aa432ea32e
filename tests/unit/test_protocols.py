import contextlib
import doctest
import importlib
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halidrift import Waveform
from halidrift.physics import protocols, synapse
from halidrift.physics.errors import DataError, InputError
from halidrift.physics.protocols import Protocol, quantity, series, variation


def played(text):
    return Protocol.parse(text).waveform()


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("triangle peaks=2V,-2V rate=1V/s compliance=1uA", Waveform.triangle([2.0, -2.0], 1.0, 1e-6)),
        ("triangle peaks=5V,-7V rate=50mV/s compliance=1mA,inf", Waveform.triangle([5.0, -7.0], 0.05, [1e-3, np.inf])),
        ("triangle peaks=1V rate=1V/s samples_per_V=10", Waveform.triangle([1.0], 1.0, samples_per_V=10)),
        (
            "pulses amplitude=1V width=20ms period=40ms count=10 compliance=1uA read=-0.5V read_width=5ms",
            Waveform.pulses(1.0, 20e-3, 40e-3, 10, read_V=-0.5, read_width_s=5e-3, compliance_A=1e-6),
        ),
        (
            "spikes times=5ms,45ms amplitude=1V width=20ms duration=0.1s compliance=1uA reads=0.1s samples=50ms,90ms",
            Waveform.spikes(
                [5e-3, 45e-3],
                amplitude_V=1.0,
                width_s=20e-3,
                duration_s=0.1,
                compliance_A=1e-6,
                reads_s=[0.1],
                samples_s=[50e-3, 90e-3],
            ),
        ),
        ("hold voltage=0.1V duration=100s", Waveform.hold(0.1, 100.0)),
        ("hold voltage=+100mV duration=1e5s first=1ms samples=9", Waveform.hold(0.1, 1e5, samples=9, first_s=1e-3)),
        ("pair interval=60ms amplitude=-0.5V", synapse.pair(60e-3, amplitude_V=-0.5)),
        ("frequency frequency=25Hz count=3", synapse.frequency(25.0, count=3)),
        ("amplitudes amplitudes=-0.1V,-0.2V gap=50ms", synapse.amplitudes([-0.1, -0.2], gap_s=50e-3)),
        ("retention lead=1s watch=5s", synapse.retention(lead_s=1.0, watch_s=5.0)),
        ("update", synapse.update()),
        ("hold voltage=0V duration=2h", Waveform.hold(0.0, 7200.0)),
        ("hold voltage=1V duration=1e+2s+hold voltage=0V duration=1s", Waveform.hold(1, 100) + Waveform.hold(0, 1)),
        ("  triangle\n peaks = 1V , -1V\n rate = 1V/s ", Waveform.triangle([1.0, -1.0], 1.0)),
    ],
)
def test_a_text_is_the_call_that_it_names(text, made):
    # equal to the last bit: a store that Python began is continued from the command line
    assert played(text) == made
    assert played(str(Protocol.parse(text))) == made


def test_every_argument_of_every_maker_can_be_written():
    for kind, keys in protocols._KINDS.items():
        if kind != "csv":
            arguments = inspect.signature(protocols._maker(kind)).parameters
            assert {key.argument for key in keys.values()} == set(arguments)
            for name, key in keys.items():
                suffix = {"V": "_V", "s": "_s", "A": "_A", "V/s": "_V_s", "Hz": "_Hz", "": ""}[key.unit]
                assert key.argument == name + suffix


def test_parts_join_repeat_and_group_in_order():
    a, b = Waveform.triangle([1.0], 1.0, 1e-6), Waveform.hold(0.0, 3.0)
    text = "triangle peaks=1V rate=1V/s compliance=1uA"
    assert played(f"{text} + hold voltage=0V duration=3s") == a + b
    assert played(f"hold voltage=0V duration=3s + {text}") == b + a
    assert played(f"3x {text}") == a + a + a
    assert played(f"2x ({text} + hold voltage=0V duration=3s)") == (a + b) + (a + b)
    assert played(f"2x({text}) + hold voltage=0V duration=3s") == a + a + b
    assert played(f"2x (2x {text} + hold voltage=0V duration=3s)").duration_s == pytest.approx(2 * (4 + 3))


@given(st.integers(1, 40))
def test_a_repetition_plays_what_its_parts_play(count):
    part = Waveform.pulses(1.0, 0.1, 0.4, read_V=-0.5, read_width_s=0.1, compliance_A=1e-6)
    whole = part.repeat(count)
    assert whole.duration_s == pytest.approx(count * part.duration_s, rel=1e-12)
    assert whole.reads_s.size == count
    grid = np.linspace(0.0, 0.4, 57)[:-1]
    for i in {0, count // 2, count - 1}:
        np.testing.assert_allclose(whole.voltage_at(i * 0.4 + grid), part.voltage_at(grid), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("20ms", "s", 20e-3),
        ("35ms", "s", 35e-3),
        ("1.1ms", "s", 1.1e-3),
        ("-.5V", "V", -0.5),
        ("3 mV", "V", 3e-3),
        ("1e-6A", "A", 1e-6),
        ("100µA", "A", 1e-4),
        ("100μA", "A", 1e-4),
        ("inf", "A", np.inf),
        ("2min", "s", 120.0),
        ("1d", "s", 86400.0),
        ("300K", "K", 300.0),
        ("2kV/s", "V/s", 2e3),
    ],
)
def test_a_quantity_is_the_number_that_python_would_write(text, unit, value):
    assert quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("triangl peaks=2V rate=1V/s", ["Unknown part", "triangl", "pulses", "Did you mean triangle"]),
        ("triangle peak=2V rate=1V/s", ["takes no peak", "rate, compliance", "Did you mean peaks"]),
        ("triangle peaks=2V", ["triangle needs rate", "rate=1V/s"]),
        ("triangle peaks=2 rate=1V/s", ["peaks needs a unit", "'2'", "20mV"]),
        ("triangle peaks=2A rate=1V/s", ["wrong unit", "'2A'", "1V or 20mV"]),
        ("triangle peaks=2V rate=1V/s compliance=1UA", ["wrong unit", "Did you mean 1uA"]),
        ("triangle peaks=2V rate=1Vs", ["rate has the wrong unit"]),
        ("triangle peaks=two rate=1V/s", ["peaks is not a number", "'two'"]),
        ("triangle peaks=0V rate=1V/s", ["peaks_V must hold"]),
        ("pulses amplitude=1V,2V width=1ms period=2ms", ["amplitude takes one value", "1V,2V"]),
        ("pulses amplitude=1V width=1ms period=2ms count=3s", ["count has no unit", "a plain number"]),
        ("pulses amplitude=1V width=1ms period=2ms count=2.5", ["count must be a whole number"]),
        ("pulses amplitude=1V width=3ms period=2ms", ["do not fit"]),
        ("hold voltage=1V duration=-1s", ["duration_s must be a positive"]),
        ("hold voltage=1V voltage=2V duration=1s", ["voltage twice"]),
        ("hold voltage= duration=1s", ["voltage has no value"]),
        ("hold voltage=1 V duration=1 s", ["right after its number"]),
        ("hold voltage=1V duration=1s hold voltage=1V duration=1s", ["joined by +"]),
        ("hold voltage=1V duration=1s +", ["must begin with its name", "the end of the text"]),
        ("+ hold voltage=1V duration=1s", ["must begin with its name"]),
        ("(hold voltage=1V duration=1s", ["bracket is not closed"]),
        ("hold voltage=1V duration=1s)", ["goes on where it should end", "')'"]),
        ("0x hold voltage=1V duration=1s", ["at least once"]),
        ("99999999x hold voltage=1V duration=1s", ["whole number"]),
        ("9999999x hold voltage=1V duration=1s", ["too many points"]),
        ("__import__('os')", ["cannot be read from here on"]),
        ("hold voltage=1V duration=1s; rm", ["right after its number"]),
        ("", ["must begin with its name"]),
        ("missing.csv", ["missing.csv", "No such file"]),
    ],
)
def test_a_wrong_protocol_says_what_and_what_instead(text, words):
    with pytest.raises(InputError) as error:
        played(text)
    for word in words:
        assert word in str(error.value)


@given(st.text(alphabet="hold triangle=VAsum+x()0123.,\"'/-", max_size=60))
def test_no_text_ends_in_anything_but_a_waveform_or_an_input_error(text):
    with contextlib.suppress(InputError):
        assert isinstance(played(text), Waveform)


# -- tables ------------------------------------------------------------------------------------------------------


def table(tmp_path, text, name="w.csv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_table_is_a_waveform(tmp_path):
    file = table(tmp_path, "# measured\ntime_s,voltage_V,compliance_A\n0,0,1e-6\n1,2,1e-3\n\n3,0,inf\n")
    made = Waveform(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 0.0]), np.array([1e-6, 1e-3]))
    assert played(file) == made  # a row's compliance holds until the next row
    assert played(str(file)) == made
    assert played(f'csv file="{file}"') == made
    assert played(f'csv file="{file}" compliance=2uA') == made.with_compliance(2e-6)
    assert played(f'2x (csv file="{file}") + hold voltage=0V duration=1s').duration_s == pytest.approx(7.0)


def test_a_table_may_use_other_units_and_a_byte_order_mark(tmp_path):
    file = table(tmp_path, "﻿voltage_mV, time_ms\r\n0, 0\r\n500, 10\r\n", "my file (1).csv")
    assert played(file) == Waveform(np.array([0.0, 10e-3]), np.array([0.0, 0.5]))


@pytest.mark.parametrize(
    "text",
    [
        "Time (ms);Voltage (V);Current limit (uA)\n0;0;1\n10;0,5;1\n30;0;1\n",
        "Time (ms)\tVoltage [mV]\tIcc (uA)\n0\t0\t1\n10\t500\t1\n30\t0\t1\n",
        "t/ms,V/V,Current_limit_uA\n0,0,1\n10,0.5,1\n30,0,1\n",
        "Time_ms,Voltage_V,Compliance (A)\n0,0,1e-6\n10,0.5,1e-6\n30,0,1e-6\n",
    ],
)
def test_a_table_may_have_the_headers_of_an_instrument(tmp_path, text):
    file = table(tmp_path, text)
    assert protocols.is_table(file)
    made = played(file)
    assert made.time_s.tolist() == [0.0, 10e-3, 30e-3]
    assert made.voltage_V.tolist() == [0.0, 0.5, 0.0]
    assert made.compliance_A.tolist() == [1e-6, 1e-6]


def test_a_table_may_be_reported_between_its_rows(tmp_path):
    file = table(tmp_path, "time_s,voltage_V\n0,0\n1,1\n2,0\n")
    made = played(f'csv file="{file}" samples=3')
    assert made.times_s.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert np.isinf(made.compliance_A).all()  # no column, no limit
    for wrong in ("0", "-1", "2.5"):
        with pytest.raises(InputError, match="samples"):
            played(f'csv file="{file}" samples={wrong}')


@pytest.mark.parametrize("head", ["Voltage (V),Current (A)", "time_s,voltage_V,current_A", "time_s", "", "a,b"])
def test_a_measurement_is_no_table_of_a_waveform(tmp_path, head):
    assert not protocols.is_table(table(tmp_path, f"{head}\n0,0,0\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("Time (ms);Voltage\n0;0\n1;1\n", ["a column needs its unit", "Voltage (V)"]),
        ("time_s;voltage_V\n0;1.000,5\n1;1\n", ["line 2, voltage", "'1.000,5'"]),
        ("time_s,voltage_V\n", ["as many voltages as times"]),
        ("time,voltage_V\n0,0\n1,1\n", ["a column needs its unit", "time_s"]),
        ("time_s,voltag_V\n0,0\n1,1\n", ["unknown column", "Did you mean voltage_V"]),
        ("time_s\n0\n1\n", ["needs one column of voltage", "line 1"]),
        ("time_s,voltage_V\n0,0\n1,x\n", ["line 3, voltage", "'x'"]),
        ("time_s,voltage_V\n0,0\n1,1V\n", ["line 3, voltage", "not a number"]),
        ("time_s,voltage_V\n0,0\n1\n", ["line 3", "another length"]),
        ("time_s,voltage_V\n0,0\n0,1\n", ["must increase strictly", "rise time"]),
        ("time_s,voltage_V,compliance_A\n0,0,-1\n1,1,1\n", ["must be positive"]),
    ],
)
def test_a_wrong_table_names_file_and_line(tmp_path, text, words):
    file = table(tmp_path, text)
    with pytest.raises(DataError) as error:
        played(file)
    for word in [str(file), *words]:
        assert word in str(error.value)


def test_a_table_that_is_no_text_is_an_error(tmp_path):
    file = tmp_path / "w.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="not a CSV"):
        played(file)


# -- series ------------------------------------------------------------------------------------------------------


def test_a_series_changes_one_argument_and_nothing_else():
    pulses = "pulses amplitude=1V width=20ms period=40ms count=3 compliance=1uA"
    made = series(pulses, "compliance=1uA,10uA")
    base = Waveform.pulses(1.0, 20e-3, 40e-3, 3, compliance_A=1e-6)
    assert made == {"compliance=1uA": base, "compliance=10uA": base.with_compliance(1e-5)}
    assert series(pulses) == {"": base}
    assert list(series(pulses, "width=1ms,5ms", "count=1,2")) == [
        "width=1ms count=1",
        "width=1ms count=2",
        "width=5ms count=1",
        "width=5ms count=2",
    ]


def test_a_variation_reaches_the_parts_that_give_the_argument():
    text = "hold voltage=1V duration=1s compliance=1uA + 2x (hold voltage=0V duration=2s)"
    (varied,) = Protocol.parse(text).vary("compliance", ["1mA"])
    assert str(varied) == text.replace("1uA", "1mA")
    (varied,) = Protocol.parse(text).vary("duration", ["5s"])
    assert str(varied) == "hold voltage=1V duration=5s compliance=1uA + 2x (hold voltage=0V duration=5s)"
    (varied,) = Protocol.parse(text).vary("2.duration", ["5s"])
    assert str(varied) == text.replace("2s", "5s")
    (varied,) = Protocol.parse(text).vary("2.compliance", ["5mA"])
    assert str(varied) == text.replace("2s)", "2s compliance=5mA)")
    (varied,) = Protocol.parse(text).vary("samples", ["9"])  # given by none, taken by both
    assert str(varied).count("samples=9") == 2


def test_a_table_takes_a_compliance_series(tmp_path):
    file = table(tmp_path, "time_s,voltage_V\n0,0\n1,1\n")
    base = Waveform(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    made = series(file, "compliance=1uA,1mA")
    assert list(made.values()) == [base.with_compliance(1e-6), base.with_compliance(1e-3)]


def test_lists_are_parted_by_semicolons():
    made = series("triangle peaks=1V rate=1V/s", "peaks=1V,-1V;2V,-2V")
    assert made["peaks=2V,-2V"] == Waveform.triangle([2.0, -2.0], 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("widht=1ms,2ms", ["No part", "widht", "Did you mean width"]),
        ("3.width=1ms", ["No such part", "1.width to 1.width"]),
        ("width", ["not name=value"]),
        ("width=", ["not name=value"]),
        ("width=1ms,", ["not name=value"]),
        ("width=1ms,1ms", ["a value twice"]),
        ("width=1ms,2V", ["wrong unit"]),
    ],
)
def test_a_wrong_variation_says_so(text, words):
    with pytest.raises(InputError) as error:
        series("pulses amplitude=1V width=1ms period=20ms", text)
    for word in words:
        assert word in str(error.value)


def test_a_variation_splits():
    assert variation(" rate = 1V/s , 2V/s") == ("rate", ["1V/s", "2V/s"])


@pytest.mark.parametrize("module", ["protocols", "waveform"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.physics.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
