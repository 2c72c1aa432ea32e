import json
import re
import shutil
import sys

import numpy as np
import pytest

from halidrift.compact import MODELS, NonVolatile, Stanford, Volatile, bench
from halidrift.compact.export import element_name, load, render
from halidrift.physics.errors import InputError, OutputError, ValidityError
from halidrift.physics.waveform import Waveform

CELL = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
}
SWEEP = Waveform.triangle([1.0], 100.0, 1e-6)
needs_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")


def listed(text):
    """Corners of each source of a netlist."""
    return {
        name: np.array(
            [[float(v) for v in row.split()[1:]] for row in block.splitlines() if re.match(r"\+ [-0-9]", row)]
        )
        for name, block in re.findall(r"^V(\w+) \w+ 0 PWL\((.*?)\n\+ \)", text, re.S | re.M)
    }


def test_pwl_sources_are_the_waveform_and_its_compliance_from_time_zero():
    waveform = Waveform([1.0, 1.1, 1.2, 1.3], [0.0, 2.0, -1.0, 0.0], [1e-6, 1e-6, np.inf])
    found = listed(waveform.to_pwl("in", "limit"))
    np.testing.assert_allclose(found["in"][:, 0], [0.0, 0.1, 0.2, 0.3], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found["in"][:, 1], waveform.voltage_V)
    # a corner belongs to the segment that ends there; 1 us later the new limit holds
    for time, limit in ((0.0, 1e-6), (0.2, 1e-6), (0.200001, 1e3), (0.3, 1e3)):
        assert np.interp(time, *found["limit"].T) == pytest.approx(limit, rel=1e-6)
    assert (np.diff(found["limit"][:, 0]) > 0).all()
    assert "Vlimit limit 0 1e-06" in waveform.with_compliance(1e-6).to_pwl("in", "limit")


def test_short_segments_keep_the_order_of_their_limits():
    waveform = Waveform([0.0, 1e-7, 2e-7, 3e-7], [0.0, 1.0, 1.0, 0.0], [1e-6, 2e-6, 3e-6])
    time, _, limits = waveform.sources()
    assert (np.diff(time) > 0).all()
    assert (np.diff(limits) >= 0).all()
    np.testing.assert_allclose(np.interp([1e-7, 2e-7, 3e-7], time, limits), [1e-6, 2e-6, 3e-6])


@pytest.mark.parametrize(
    ("word", "name"), [("cell", "cell_device"), ("edge", "edge_device"), ("memristor", "memristor")]
)
def test_words_of_verilog_a_do_not_name_a_module(word, name):
    assert element_name(word, "va") == name
    assert element_name(word, "sp") == word


def test_a_bench_says_what_it_needs_and_refuses_the_rest(tmp_path):
    cell = Volatile.of(**CELL)
    file = bench.write(cell, SWEEP, tmp_path, step_s=1e-4)
    assert {p.name for p in tmp_path.iterdir()} == {"bench.cir", "memristor.sp", "source.inc"}
    assert "tran 0.0001 0.02 0 0.0001 uic" in file.read_text()
    with pytest.raises(InputError, match="verilog-a"):
        bench.write(cell, SWEEP, tmp_path, language="spectre")
    with pytest.raises(InputError, match="positive"):
        bench.write(cell, SWEEP, tmp_path, step_s=0.0)
    with pytest.raises(InputError, match="identical"):
        bench.write(cell, SWEEP, tmp_path, devices=3, rng=1)
    with pytest.raises(InputError, match="identical"):
        bench.write(cell.with_values(growth_spread_device=0.1), SWEEP, tmp_path, devices=3)
    with pytest.raises(InputError, match="devices"):
        bench.write(cell, SWEEP, tmp_path, rng=1)
    with pytest.raises(InputError, match="ngspice only"):
        bench.write(cell, SWEEP, tmp_path, devices=3, rng=1, language="verilog-a")


def test_a_verilog_a_bench_names_its_compiler(tmp_path):
    text = bench.write(Volatile.of(**CELL), SWEEP, tmp_path, name="cell", language="verilog-a").read_text()
    assert "pre_osdi cell.osdi" in text
    assert "N1 top1 0 cell_device" in text
    assert "module cell_device_compliance" in (tmp_path / "cell.va").read_text()


def test_no_ngspice_is_an_error_that_tells_how_to_get_it(tmp_path, monkeypatch):
    file = bench.write(Volatile.of(**CELL), SWEEP, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="check-circuits"):
        bench.run(file)


def test_drawn_devices_have_the_spread_of_the_model():
    """4,000 devices: standard deviation and mean of the logarithms within four standard errors."""
    count = 4000
    cell = Volatile.of(**CELL, growth_spread_device=0.4, relaxation_spread_device=0.2)
    rows = bench.drawn(cell, count, 3)
    for key, typical, sigma in (("k0", 0.05, 0.4), ("tau", 6e-3, 0.2)):
        logs = np.log([row[key] for row in rows]) - np.log(typical)
        assert abs(logs.std() - sigma) < 4 * sigma / np.sqrt(2 * count)
        assert abs(logs.mean()) < 4 * sigma / np.sqrt(count)
    assert bench.drawn(cell, 5, 3) == rows[:5]
    pace = np.log([row["pace"] for row in bench.drawn(Stanford.of(rate_spread_device=0.3), count, 3)])
    assert abs(pace.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * count)
    switch = NonVolatile.of(
        conductance_slope_1_V=3.0,
        conductance_intercept_S=1e-5,
        conductance_off_S=1e-7,
        compliance_low_A=1e-5,
        compliance_high_A=1e-3,
        set_voltage_V=0.9,
        reset_voltage_V=-1.5,
        conductance_spread_S=1e-6,
        set_voltage_spread_V=0.05,
        off_spread=0.3,
    )
    rows = bench.drawn(switch, count, 3)
    for values, sigma in (
        ([row["vset"] for row in rows], 0.05),
        (np.log([row["goff"] for row in rows]), 0.3),
        ([row["b"] for row in rows], 1e-6),
    ):
        assert abs(np.std(values) - sigma) < 4 * sigma / np.sqrt(2 * count)


def test_every_model_loads_from_its_record_and_bad_ones_are_refused(tmp_path):
    made = {"Volatile": Volatile.of(**CELL), "Stanford": Stanford.of()}
    for name, model in made.items():
        (tmp_path / "card.json").write_text(json.dumps(model.to_dict()))
        found = load(tmp_path / "card.json")
        assert type(found) is MODELS[name]
        assert found.to_dict() == model.to_dict()
    for text, words in (
        ("{", "JSON"),
        ("[]", "no compact model"),
        ('{"model": "Memristor"}', "allowed"),
        ('{"model": "Volatile"}', "whole record"),
    ):
        (tmp_path / "card.json").write_text(text)
        with pytest.raises(InputError, match=words):
            load(tmp_path / "card.json")
    with pytest.raises(InputError, match="JSON"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("language", ["sp", "va"])
def test_no_word_of_a_record_becomes_a_command(language):
    record = Volatile.of(**CELL).to_dict()
    evil = "one\n.control\nshell touch owned\n.endc\nmodule two();\r.end"
    record["sources"] = [*record["sources"], evil]
    record["parameters"][0]["origin"] = record["parameters"][1]["warning"] = evil
    text = render(Volatile.from_dict(record), language, "device")
    assert text.count(".control") == 3  # it is told, in comments
    comment = "*" if language == "sp" else "//"
    assert all(line.startswith(comment) for line in text.splitlines() if "shell" in line)
    assert not any(line.startswith((".control", ".end\n", "shell", "module two")) for line in text.splitlines())


@pytest.fixture
def export(monkeypatch, capsys, tmp_path):
    from halidrift.pipeline import cli

    (tmp_path / "card.json").write_text(json.dumps(Volatile.of(**CELL).to_dict()))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", "export", str(tmp_path / "card.json"), *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return call


def test_the_command_writes_an_element_or_a_bench(export, tmp_path):
    assert export("--to", "verilog-a", "--out", tmp_path / "a")[0] == 0
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["memristor.va"]
    assert export("--testbench", "--out", tmp_path / "b", "--step", "20us")[0] == 0
    assert "tran 2e-05 2 0 2e-05 uic" in (tmp_path / "b/bench.cir").read_text()
    for wrong in (("--to", "spectre"), ("--run",), ("--waveform", "hold voltage=1V duration=1s"), ("--devices", 3)):
        code, _, err = export(*wrong, "--out", tmp_path / "c")
        assert code == 2, err
    assert not (tmp_path / "c").exists()


@needs_ngspice
def test_the_command_runs_its_bench(export, tmp_path):
    """A pulse under 1 uA: the limit is reached within 0.01 %."""
    protocol = "pulses amplitude=1V width=20ms period=40ms count=1 compliance=1uA"
    code, out, err = export("--testbench", "--waveform", protocol, "--run", "--out", tmp_path / "b")
    assert code == 0, err
    assert "largest current 1e-06 A" in out
    table = np.loadtxt(tmp_path / "b/result.txt")
    assert table[:, 3].max() == pytest.approx(1e-6, rel=1e-4)


# -- a conductance that is no multiple of the current -----------------------------------------------------------------

SWITCH = {"conductance_slope_1_V": 3.0, "compliance_low_A": 2e-5, "compliance_high_A": 1e-3, "set_voltage_V": 0.9}


@needs_ngspice
@pytest.mark.parametrize(("intercept", "off"), [(-2e-5, 1e-7), (-1e-5, 5e-6), (2e-5, 1e-6)])
def test_a_negative_intercept_does_not_keep_the_circuit_off(tmp_path, intercept, off):
    cell = NonVolatile.of(conductance_intercept_S=intercept, conductance_off_S=off, **SWITCH)
    for limit in (2e-5, 3e-4):
        wave = Waveform.triangle([1.5], 2.0, limit)
        found = bench.run(bench.write(cell, wave, tmp_path, step_s=1e-3))
        # the current of a circuit is finite at its end, where the conductance is read
        assert float(found.conductance[-1]) == pytest.approx(float(cell.simulate(wave).conductance[-1]), rel=1e-3)


@needs_ngspice
def test_the_smallest_fitted_compliance_need_not_limit(tmp_path):
    """10 uA through a I + b at the SET voltage would take more than that: the file says from where on it holds."""
    cell = NonVolatile.of(
        conductance_slope_1_V=2.26,
        conductance_intercept_S=-1.53e-5,
        conductance_off_S=1e-8,
        compliance_low_A=1e-5,
        compliance_high_A=1e-3,
        set_voltage_V=0.777,
        reset_voltage_V=-0.77,
        reset_voltage_slope_V=-0.08,
    )
    assert "Valid from a limit of ilow on" in render(cell, "sp", "device")
    assert "Valid from a limit of ilow on" in render(cell, "va", "device")
    for limit in (3e-5, 3e-4, 1e-3):
        wave = Waveform.triangle([1.5], 2.0, limit)
        found = bench.run(bench.write(cell, wave, tmp_path, step_s=1e-3))
        assert float(found.conductance[-1]) == pytest.approx(float(cell.simulate(wave).conductance[-1]), rel=1e-2)


def test_a_compliance_that_does_not_limit_is_refused_for_a_circuit():
    weak = NonVolatile.of(
        **{**SWITCH, "conductance_slope_1_V": 1.0}, conductance_intercept_S=1e-6, conductance_off_S=1e-7
    )
    for language in ("sp", "va"):
        with pytest.raises(ValidityError, match="does not limit"):
            render(weak, language, "device")
