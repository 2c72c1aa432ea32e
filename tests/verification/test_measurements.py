"""Files as three instruments write them, made by known models: what is read, what is dropped, what is recovered.

Tolerances, written before the first run. File A (EasyEXPERT, no spread from cycle to cycle, a fifth of the points at
the limit of the current): every parameter within 3 %. File B (Keithley 2400, 12 cycles that spread by 20 %): voltage
of growth within 15 %, the relaxation time and the growth rate within a factor of 1.5, OFF within 10 %. Folder C
(Clarius, two good devices of four): slope of G against Icc within 10 %, SET and RESET within 0.1 V, OFF within 30 %.
"""

import json
import math

import numpy as np
import pytest

from halidrift.compact import NonVolatile, Volatile, fit
from halidrift.compact.measurements import fit_measured
from halidrift.physics.measurements import read
from halidrift.physics.waveform import Waveform
from halidrift.pipeline.cli import app, main

VOLATILE = {
    "conductance_off_S": 2e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.02,
    "growth_voltage_V": 0.12,
    "relaxation_time_s": 1.0,
}
LIMIT_A = 1e-6


def measured(trace, limit_A, random, noise=5e-3):
    """Current as an SMU reads it: noise of the range, and a limit that it holds to a thousandth."""
    current = trace.current.values
    limited = np.abs(current) >= 0.9999 * limit_A
    held = np.sign(current) * limit_A * (1.0 + 1e-3 * random.standard_normal(current.size))
    return np.where(limited, held, current * (1.0 + noise * random.standard_normal(current.size))), limited


def easyexpert(path, seed=1):
    """Keysight EasyEXPERT: three tests appended to one file, sweep rates a factor of four apart."""
    random, cell, lines = np.random.default_rng(seed), Volatile.of(**VOLATILE), []
    for rate in (0.5, 2.0, 8.0):
        trace = cell.simulate(Waveform.triangle([1.2, -1.2], rate, LIMIT_A))
        current, _ = measured(trace, LIMIT_A, random)
        size = trace.sizes["time"]
        lines += f"""SetupTitle, I/V Sweep
PrimitiveTest, I/V Sweep
TestParameter, Channel.UnitType, SMU, SMU
TestParameter, Channel.Unit, SMU1:HR, SMU2:HR
TestParameter, Channel.IName, I1, I2
TestParameter, Channel.VName, V1, V2
TestParameter, Channel.Mode, V, COMMON
TestParameter, Channel.Func, VAR1, CONST
TestParameter, Measurement.Primary.Locus, Double
TestParameter, Measurement.Primary.Scale, LINEAR
TestParameter, Measurement.Primary.Start, 0
TestParameter, Measurement.Primary.Stop, 1.2
TestParameter, Measurement.Primary.Step, 0.02
TestParameter, Measurement.Primary.Compliance, {LIMIT_A}
MetaData, TestRecord.RecordTime, 06/12/2024 13:42:50
MetaData, TestRecord.Remarks,
MetaData, TestRecord.TestTarget, A3, , ,
Dimension1, {size}, {size}, {size}, {size}
Dimension2, 1, 1, 1, 1
DataName, V1, I1, I2, Time""".split("\n")
        rows = zip(trace.voltage.values, current, trace.time.values, strict=True)
        lines += [f"DataValue, {v:.6g}, {i:.6E}, {-i:.6E}, {t:.6g}" for v, i, t in rows]
    path.write_bytes("\r\n".join(lines).encode())
    return path


def keithley_2400(path, seed=2):
    """A script for a 2400 on a German computer: one long file, no column of cycles, the last one broken off."""
    random = np.random.default_rng(seed)
    cell = Volatile.of(**VOLATILE, growth_spread_cycle=0.2, relaxation_spread_cycle=0.2)
    plain, long = (Waveform.triangle([peak, -1.2], 4.0, LIMIT_A) for peak in (1.2, 1.5))
    lines = ["# Keithley Instruments Inc., Model 2400", "# Messung: Probe 7;12.06.2024", ""]
    lines.append("Voltage (V);Current (A);Resistance (Ohm);Time (s);Status")
    clock = 17.25
    for n, wave in enumerate([long, *[plain] * 12, plain]):
        trace = cell.simulate(wave, rng=random)
        current, limited = measured(trace, LIMIT_A, random)
        stop = trace.sizes["time"] if n < 13 else 90
        times = clock + trace.time.values + 1e-4 * random.standard_normal(trace.sizes["time"])
        for k in range(stop):
            status = 21504 + 8 * int(limited[k])
            fields = [f"{x:+.6E}" for x in (trace.voltage.values[k], current[k], 9.91e37, times[k], status)]
            lines.append(";".join(fields).replace(".", ","))
            if n == 5 and k == 40:
                lines.append(lines[-1])  # the buffer was read twice
        clock += float(trace.time[-1]) + 0.02
    path.write_text("\n".join(lines) + "\n", encoding="cp1252")
    return path


NONVOLATILE = {
    "conductance_slope_1_V": 3.0,
    "conductance_intercept_S": 1e-5,
    "conductance_spread_slope_1_V": 0.1,
    "conductance_off_S": 1e-7,
    "off_spread": 0.1,
    "compliance_low_A": 1e-5,
    "compliance_high_A": 1e-3,
    "set_voltage_V": 0.9,
    "set_voltage_spread_V": 0.05,
    "reset_voltage_V": -1.5,
    "reset_voltage_spread_V": 0.05,
    "reset_width_V": 0.3,
}


def clarius(folder, seed=3):
    """Clarius of a 4200A: a file for each device and compliance, its runs in numbered columns, no units."""
    random, cell = np.random.default_rng(seed), NonVolatile.of(**NONVOLATILE)
    folder.mkdir()
    for device in (1, 2, 3, 4):
        for name, limit in (("50u", 5e-5), ("200u", 2e-4), ("800u", 8e-4)):
            header, columns = [], []
            for run in (1, 2):
                wave = Waveform.triangle([1.5, -2.2], 1.0, limit, samples_per_V=40)
                trace = cell.simulate(wave, rng=random)
                voltage = trace.voltage.values
                if device <= 2:
                    current, _ = measured(trace, limit, random)
                else:  # 3 never forms, 4 is shorted
                    ohmic = voltage * (8e-8 if device == 3 else 5e-3)
                    current = np.clip(ohmic * (1 + 5e-3 * random.standard_normal(ohmic.size)), -limit, limit)
                texts = [f"{i:.6E}" for i in current]
                if device == 1:
                    texts[30], texts[31], texts[200] = "NaN", "", "9.9E+37"
                header += [f"AI({run})", f"AV({run})", f"Time({run})"]
                columns += [texts, [f"{v:.5g}" for v in voltage], [f"{t:.6g}" for t in trace.time.values]]
            rows = [",".join(header), *(",".join(row) for row in zip(*columns, strict=True))]
            (folder / f"dev{device}_Icc{name}.csv").write_text("\n".join(rows) + "\n")
    return folder


def within(cell, truth, name, factor):
    return abs(math.log(cell.value(name) / truth[name])) <= math.log(factor)


def test_a_sweep_at_the_limit_of_the_source(tmp_path):
    found = read(easyexpert(tmp_path / "iv.csv"))
    assert [t.attrs["kind"] for t in found.traces] == ["sweep"] * 3
    flagged = [note for note in found.report.of("flagged") if "lower bound" in note.text]
    assert len(flagged) == 3
    share = sum(int(t.lower_bound.sum()) for t in found.traces) / sum(t.conductance.size for t in found.traces)
    assert 0.1 < share < 0.3
    assert any("compliance of 1e-06 A, as the file says" in note.text for note in found.report)
    assert json.loads(found.traces[0].attrs["devices"]) == ["A3"]
    cell = fit_measured(Volatile, found, resamples=0)
    for name in VOLATILE:
        assert within(cell, VOLATILE, name, 1.03), cell.parameters[name]
    assert any("lower bounds" in warning for warning in cell.warnings)
    # what happens to those who take I/V at the limit for the conductance
    naive = fit(Volatile, [t.drop_vars("lower_bound") for t in found.traces], resamples=0)
    assert not within(naive, VOLATILE, "conductance_on_S", 1.1)


def test_mixed_cycles_in_one_long_file(tmp_path):
    found = read(keithley_2400(tmp_path / "probe7.txt"))
    texts = [str(note) for note in found.report]
    assert any("14 cycles: 1 of -1.2 to 1.5 V, 12 of -1.2 to 1.2 V, 1 of" in text for text in texts)
    assert any("broken off" in note.text and note.cycle == "14" for note in found.report.aside)
    assert any("bit 3 of the status word" in text for text in texts)
    assert any(note.kind == "merged" and "at an instant that is there" in note.text for note in found.report.notes)
    assert sorted(t.sizes.get("cycle", 1) for t in found.traces) == [1, 12]
    cell = fit_measured(Volatile, found, resamples=0)
    assert within(cell, VOLATILE, "growth_voltage_V", 1.15), cell.parameters["growth_voltage_V"]
    assert within(cell, VOLATILE, "relaxation_time_s", 1.5), cell.parameters["relaxation_time_s"]
    assert within(cell, VOLATILE, "growth_rate_Hz", 1.5), cell.parameters["growth_rate_Hz"]
    assert within(cell, VOLATILE, "conductance_off_S", 1.1), cell.parameters["conductance_off_S"]


@pytest.fixture
def run(capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["halidrift", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        captured = capsys.readouterr()
        return done.value.code, " ".join(captured.out.split()), " ".join(captured.err.split())

    return call


def test_a_folder_with_stuck_devices_from_the_command_line(tmp_path, run):
    folder = clarius(tmp_path / "wafer")
    record = tmp_path / "cell.json"
    code, out, err = run(
        "fit", folder, "--model", "nonvolatile", "--out", record, "--export", tmp_path / "cell.sp", "--traces",
        tmp_path / "clean.nc",
    )  # fmt: skip
    assert code == 0, err
    assert "device 3: stuck, always OFF" in out
    assert "device 4: stuck, always ON" in out
    assert "compliance of 0.0002 A, from a plateau of the current" in out.replace("0.00019", "0.0002")
    assert "current is not a number" in out
    assert "overflow" in out
    assert "taken as A" in out  # no unit in the header: said
    saved = json.loads(record.read_text(encoding="utf-8"))
    lost = {tuple(note["lines"]) for note in saved["cleaning"] if "not a number" in note["text"]}
    assert lost == {(32, 33)}  # line 1 is the header
    cell = NonVolatile.from_dict(saved)
    assert within(cell, NONVOLATILE, "conductance_slope_1_V", 1.1)
    assert within(cell, NONVOLATILE, "conductance_off_S", 1.3)
    assert cell.value("set_voltage_V") == pytest.approx(0.9, abs=0.1)
    assert cell.value("reset_voltage_V") == pytest.approx(-1.5, abs=0.1)
    assert (tmp_path / "cell.sp").exists()
    assert list(tmp_path.glob("clean-*.nc"))


def test_the_command_line_says_what_it_cannot_read(tmp_path, run):
    bad = tmp_path / "bad.csv"
    bad.write_text("time_s,voltage_V,current_A\n0,0,0\n1,0.1,oops\n")
    code, _, err = run("fit", bad)
    assert code == 2
    assert "bad.csv: line 3, column 'current_A': not a number. got 'oops'" in err.replace("Got", "got")
    assert run("fit", bad, "--model", "nosuch")[0] == 2
    assert run("fit", tmp_path / "nothing.csv")[0] == 2
    assert app.registered_commands
