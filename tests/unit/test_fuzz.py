"""Damaged files: only house errors escape, and soon. Few of them here; benchmarks/fuzz.py has as many as you like."""

import importlib.util
import json
import os
import pickle
import random
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

import halidrift
from halidrift import Device, Waveform, trace
from halidrift.compact import Volatile
from halidrift.compact.export import load
from halidrift.compact.parameters import FittedParameter, ParameterTable
from halidrift.physics import barriers
from halidrift.physics.errors import DataError, InputError
from halidrift.physics.measurements import read
from halidrift.physics.protocols import Protocol
from halidrift.pipeline import provenance, stages
from halidrift.pipeline.digits import read_idx

INPUTS = 200


def benchmark():
    path = Path(halidrift.__file__).parent / "benchmarks" / "fuzz.py"
    spec = importlib.util.spec_from_file_location("halidrift_fuzz", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


fuzz = benchmark()
MODEL = Volatile.of(
    conductance_off_S=1e-9,
    conductance_on_S=4e-6,
    growth_rate_Hz=0.05,
    growth_voltage_V=0.1,
    relaxation_time_s=6e-3,
)
WAVE = Waveform.pulses(1.0, 0.1, 0.2, 1, samples_per_period=4, compliance_A=1e-6)


@pytest.mark.parametrize("name", fuzz.READERS)
def test_only_house_errors_escape(name):
    outcome = fuzz.fuzz(name, INPUTS, seed=1)
    first = outcome.escaped[0][3] if outcome.escaped else ""
    assert not outcome.escaped, f"{len(outcome.escaped)} escape, the first: {first}"
    assert outcome.accepted + outcome.refused == outcome.inputs == INPUTS
    # damage that no reader sees, or that leaves nothing whole, tries nothing
    assert outcome.refused > INPUTS // 4
    assert outcome.accepted > 0


def test_the_same_seed_damages_in_the_same_way():
    reader = fuzz.cards()
    once, again, other = (reader.damaged(random.Random(f"{seed}/cards/7")) for seed in (0, 0, 1))
    assert once == again != other


def sleeping(file):
    time.sleep(10.0)


def hungry(file):
    return bytearray(4 * fuzz.LIMIT_BYTES)


def warning(file):
    warnings.warn("odd", stacklevel=1)


def running(file):
    subprocess.run(["true"])


def unpickling(file):
    return pickle.loads(pickle.dumps(os.getcwd))


def writing(file):
    Path(os.environ["HALIDRIFT_FUZZED"]).write_text("x")


def failing(file):
    raise KeyError("key")


FAULTS = {
    sleeping: "Overdue",
    hungry: "MemoryError",
    warning: "UserWarning",
    running: "Forbidden: subprocess.Popen",
    unpickling: "Forbidden: pickle.find_class",
    writing: "Forbidden: writes",
    failing: "KeyError",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_kind_of_escape_is_seen(fault, monkeypatch, tmp_path):
    monkeypatch.setenv("HALIDRIFT_FUZZED", str(tmp_path / "x"))
    monkeypatch.setattr(fuzz, "LIMIT_S", 0.1)
    calls = []

    def accept(file):
        calls.append(file)
        if len(calls) > 1:  # the first is the undamaged file
            fault(file)

    monkeypatch.setitem(fuzz.READERS, "faulty", lambda: fuzz.Reader(accept, (fuzz.Seed("a.txt", b"abc"),)))
    outcome = fuzz.fuzz("faulty", 1)
    assert len(outcome.escaped) == 1
    assert FAULTS[fault] in outcome.escaped[0][3]
    assert not (tmp_path / "x").exists()


# -- what it found --------------------------------------------------------------------------------------------------


def record(**changes):
    return WAVE.to_dict() | changes


@pytest.mark.parametrize(
    "broken",
    [
        record(time_s=[0.0, [1.0]]),
        record(time_s=[0.0, 10**400]),
        record(time_s=["0", "1"]),
        record(time_s=1.0),
        record(compliance_A=3.0),
        record(samples_s=[{}]),
        {k: v for k, v in record().items() if k != "reads_s"},
        [1, 2],
        None,
    ],
    ids=str,
)
def test_a_record_that_is_no_waveform(broken):
    with pytest.raises(InputError):
        Waveform.from_dict(broken)


@pytest.mark.parametrize(
    "text", ["hold voltage=1V duration=1s samples=1e12", "1000000000000x hold voltage=1V duration=1s"]
)
def test_a_waveform_of_a_million_million_points_is_refused(text):
    with pytest.raises(InputError, match=r"up to|to 10000000"):
        Protocol.parse(text).waveform()


def made():
    n = WAVE.times_s.size
    flat = np.full(n, 1e-6)
    return trace.make(WAVE, model="m", device_voltage_V=flat, current_A=flat, conductance_S=flat, parameters={})


@pytest.mark.parametrize(
    ("where", "put"),
    [
        (b"\x00\x00\x00\x04time", b"\x7f\xff\xff\xfftime"),  # a name of two gibibytes: MemoryError
        (b"\x00\x00\x00\x02\x00\x00\x00\x01s", b"\x00\x00\x00\x63\x00\x00\x00\x01s"),  # no such type: KeyError
    ],
    ids=["size", "type"],
)
def test_a_trace_with_a_damaged_header(tmp_path, where, put):
    file = trace.write(made(), tmp_path / "t.nc")
    raw = file.read_bytes()
    assert where in raw
    file.write_bytes(raw.replace(where, put, 1))
    with pytest.raises(DataError, match=r"t\.nc"):
        trace.read(file)


@pytest.mark.parametrize("text", ["{", "9" * 5000, "[" * 100_000, "null", '{"time_s": 1}'])
def test_a_trace_with_a_damaged_waveform(text):
    with pytest.raises(InputError):
        trace.waveform_of(made().assign_attrs(waveform=text))


def test_a_trace_without_instants():
    broken = made().assign_coords(time=np.where(np.arange(WAVE.times_s.size) == 1, np.nan, WAVE.times_s))
    broken.time.attrs["units"] = "s"
    with pytest.raises(InputError, match=r"trace\.time holds values that are not finite"):
        trace.check(broken)
    with pytest.raises(InputError, match=r"trace\.current does not hold numbers"):
        trace.check(made().assign(current=("time", ["a"] * WAVE.times_s.size, {"units": "A"})))


def changed(place, value):
    tree = json.loads(json.dumps(MODEL.to_dict()))
    where = tree
    for key in place[:-1]:
        where = where[key]
    if value is ...:
        del where[place[-1]]
    else:
        where[place[-1]] = value
    return tree


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("parameters",), "x"),
        (("parameters", 0), [1]),
        (("parameters", 0, "value"), ...),
        (("parameters", 0, "value"), [1]),
        (("parameters", 0, "value"), True),
        (("parameters", 0, "value"), "1e-9"),
        (("parameters", 0, "value"), 10**400),
        (("parameters", 0, "standard_error"), "x"),
        (("parameters", 0, "standard_error"), []),
        (("parameters", 0, "unit"), ...),
        (("parameters", 0, "name"), []),
        (("parameters", 0, "origin"), 1),
        (("parameters", 0, "more"), 1),
        (("sources",), "John2022"),
        (("sources", 0), True),
        (("warnings",), [1]),
        (("goodness",), {"run": "good"}),
        (("goodness",), []),
        (("model",), []),
        (("model",), ...),
    ],
    ids=str,
)
def test_a_record_that_is_no_model(tmp_path, place, value):
    broken = changed(place, value)
    with pytest.raises(InputError):
        Volatile.from_dict(broken)
    file = tmp_path / "model.json"
    file.write_text(json.dumps(broken))
    with pytest.raises(InputError, match=r"model\.json"):
        load(file)


def test_minus_infinity_keeps_its_sign():
    table = ParameterTable((FittedParameter("a_V", -np.inf, "V"), FittedParameter("b_V", np.inf, "V")))
    assert ParameterTable.from_list(json.loads(json.dumps(table.to_list()))) == table


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000], ids=["digits", "brackets"])
def test_texts_that_no_parser_of_python_takes(tmp_path, text):
    """A whole number of 5000 digits is a ValueError of int, 100,000 brackets a RecursionError."""
    file = tmp_path / "a.toml"
    file.write_text(f"schema = {text}")
    with pytest.raises(DataError, match=r"a\.toml"):
        Device.load(file)
    assert [type(fault) for fault in barriers.read(file, frozenset())] == [DataError]
    file.write_text(text)
    with pytest.raises(DataError, match=r"a\.toml"):
        provenance.read(file)
    with pytest.raises(InputError, match=r"a\.toml"):
        load(file)


def test_a_number_of_a_card_too_large_for_a_float(tmp_path):
    card = (Path(halidrift.__file__).parent / "data" / "devices" / "john2022-ogb.toml").read_text(encoding="utf-8")
    file = tmp_path / "card.toml"
    file.write_text(card.replace("{ value = 20,", f"{{ value = 2{'0' * 400},", 1), encoding="utf-8")
    assert file.read_text() != card
    with pytest.raises(DataError, match="must be a finite number"):
        Device.load(file)


def test_a_source_of_a_card_that_is_no_text(tmp_path):
    card = (Path(halidrift.__file__).parent / "data" / "devices" / "john2022-ogb.toml").read_text(encoding="utf-8")
    file = tmp_path / "card.toml"
    text = re.sub(r"^sources = .*$", 'sources = [["John2022"]]', card, flags=re.MULTILINE)
    file.write_text(text if "sources = [[" in text else 'sources = [["John2022"]]\n' + card, encoding="utf-8")
    with pytest.raises(DataError, match="sources: unknown reference"):
        Device.load(file)


@pytest.mark.parametrize("row", ["0,1e999999999", "1e-99999999999999999999,1", "1,1e400"])
def test_a_table_of_numbers_beyond_every_number(tmp_path, row):
    file = tmp_path / "wave.csv"
    file.write_text(f"time_s,voltage_mV\n0,0\n{row}\n")
    with pytest.raises(DataError, match=r"wave\.csv: line 3"):
        Protocol.parse(file).waveform()


@pytest.mark.parametrize("number", ["1e999999999", "1e400"])
def test_a_protocol_of_numbers_beyond_every_number(number):
    for text in (f"hold voltage={number}V duration=1s", f"hold voltage=1V duration=1s compliance={number}A"):
        with pytest.raises(InputError, match="beyond every number"):
            Protocol.parse(text).waveform()


@pytest.mark.parametrize("voltage", [[0.0, 1e308, 0.0], [-1e308, 1e308, 0.0]], ids=["slope", "difference"])
def test_a_waveform_too_steep_for_a_number(voltage):
    with pytest.raises(InputError, match="too steep"):
        Waveform([0.0, 1e-3, 2e-3], voltage)
    with pytest.raises(InputError, match="too long"):
        Waveform([-1e308, 1e308], [0.0, 1.0])


def test_a_measured_limit_that_is_nothing(tmp_path):
    """5.000e-30006 A is 0 A: found by the fuzzer as the limit of a file."""
    text = fuzz.MEASUREMENTS[3].replace("E-0", "e-3000")
    file = tmp_path / "iv.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=r"iv\.csv"):
        read(file)


def test_a_pulse_too_short_for_its_place_in_time(tmp_path):
    rows = fuzz.MEASUREMENTS[4].split("\n")
    rows[20] = rows[20].replace("1e-4", "1e-34")
    file = tmp_path / "iv.csv"
    file.write_text("\n".join(rows))
    with pytest.raises(DataError, match="too short"):
        read(file)


@pytest.mark.parametrize("value", ["300", None, 10**400, ...], ids=str)
def test_a_model_without_a_temperature(value):
    with pytest.raises(InputError, match="temperature_K"):
        Volatile.from_dict(changed(("temperature_K",), value))


@pytest.mark.parametrize("part", ["stages", "quantities", "barriers", "references", "device_parameters"])
@pytest.mark.parametrize("value", [None, 1.0, "x", [1], {"kmc": 1}], ids=str)
def test_results_with_a_damaged_part(tmp_path, part, value):
    tree = fuzz.results().seeds[0].tree
    file = tmp_path / "results.json"
    file.write_text(json.dumps(tree | {part: value}))
    with pytest.raises(DataError, match=r"results\.json"):
        provenance.read(file)


@pytest.mark.parametrize("value", [{}, [], 0, None])
@pytest.mark.parametrize("key", ["id", "quantity"])
def test_a_number_whose_name_is_no_text(tmp_path, key, value):
    tree = json.loads(json.dumps(fuzz.results().seeds[0].tree))
    tree["quantities"][1][key] = value
    file = tmp_path / "results.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(DataError, match=r"quantities\[1\]"):
        provenance.read(file)


def test_stages_that_rest_on_each_other_in_a_circle(tmp_path):
    tree = json.loads(json.dumps(fuzz.results().seeds[0].tree))
    tree["stages"]["kmc"]["after"] = ["readouts"]
    file = tmp_path / "results.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="damaged"):
        provenance.read(file)


def test_a_damaged_stage_of_a_job_is_no_result(tmp_path):
    """Damage of the header is seen, and of the record; that of a value, which stays a number, is not."""
    cache, inputs = stages.Cache(tmp_path), random.Random(3)
    key = cache.run("s", {}, ["physics/errors.py"], lambda: ({"x": 1}, {"t": made()})).key
    place, reader, kept = cache.place("s", key), fuzz.traces(), 0
    for file in ("t.nc", "stage.json"):
        whole = (place / file).read_bytes()
        for _ in range(100):
            raw = reader.damaged(inputs)[1] if file == "t.nc" else fuzz.flipped(whole, inputs)
            (place / file).write_bytes(raw)
            with fuzz.guarded(tmp_path):
                kept += cache.load("s", key) is not None
        (place / file).write_bytes(whole)
    assert cache.load("s", key).data == {"x": 1}
    assert kept < 100


def test_a_header_that_promises_a_gibibyte_takes_no_room(tmp_path):
    file = tmp_path / "labels.idx"
    file.write_bytes(bytes([0, 0, 8, 1, 0x3F, 0xFF, 0xFF, 0xFF, 1, 2]))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="not as long"):
            read_idx(file, 1)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
