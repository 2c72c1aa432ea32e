"""Measurements that a model cannot describe, or whose limit is wrong: what a fit says, and that it says it first."""

import math
import re
import sys

import numpy as np
import pytest

from halidrift.compact import NonVolatile, Volatile
from halidrift.compact.measurements import fit_measured
from halidrift.physics.errors import InputError
from halidrift.physics.measurements import read
from halidrift.pipeline import cli

HEADER = "Cycle,Time (s),Voltage (V),Current (A)"
LIMIT_A = 1e-5
OFF_S, ON_S = 2e-9, 8e-5
STEP_S = 0.04


def threshold(path, trough=0.0, cycles=3, hold_V=0.15):
    """Threshold switching at 0.8 V, back to OFF at the hold voltage, at one polarity or at both; nothing at random."""
    up = np.arange(0.0, 1.501, 0.02)
    V = np.concatenate([up, up[-2::-1]])
    if trough:
        V = np.concatenate([V, -V[1:]])
    lines = [HEADER]
    for n in range(cycles):
        on = False
        for k, v in enumerate(V):
            on = abs(v) > 0.8 + 0.02 * n or (on and abs(v) > hold_V)
            amps = np.clip((ON_S if on else OFF_S) * v, -LIMIT_A, LIMIT_A)
            lines.append(f"{n + 1},{STEP_S * (k + n * (V.size + 10)):.3f},{v:.3f},{amps:.6e}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, *(re.sub(r"\s+", " ", text) for text in told)

    return call


def test_a_hold_voltage_is_seen_and_traces_are_written_although_the_fit_fails(tmp_path, run):
    file, clean = threshold(tmp_path / "uni.csv"), tmp_path / "clean.nc"
    code, out, err = run("fit", file, "--traces", clean)
    assert code == 2
    assert "3 of the ON states returned to OFF at a positive voltage on the way down, at 0.14 V in the median" in err
    assert "--fixed relaxation_time_s=SECONDS" in err
    assert "SETs at negative" not in err
    assert f"Trace: {clean}" in out
    assert clean.exists()


def test_an_on_state_below_the_bounds_is_doubted(tmp_path):
    found = read(threshold(tmp_path / "uni.csv"))
    fixed = {"relaxation_time_s": 0.05, "conductance_on_S": 1.5e-5, "relaxation_voltage_V": math.inf}
    fixed |= {"growth_acceleration": 0.0, "relaxation_acceleration": 0.0, "off_nonlinearity_V": math.inf}
    cell = fit_measured(Volatile, found, fixed=fixed, resamples=0)
    doubt = cell.parameters["conductance_on_S"].warning
    # the largest bounds: 10 uA at 0.16, 0.18 and 0.2 V
    assert "contradicts" in doubt
    assert "they ask for 5e-05 S or more" in doubt
    assert any(sentence.startswith("conductance_on_S: contradicts") for sentence in cell.warnings)
    cell = fit_measured(Volatile, found, fixed={**fixed, "conductance_on_S": ON_S}, resamples=0)
    assert "contradicts" not in " ".join(cell.warnings)


def test_a_cell_that_sets_at_both_polarities_is_told_first(tmp_path, run):
    file = threshold(tmp_path / "both.csv", trough=-1.5)
    with pytest.raises(InputError, match=r"^This cell also SETs at negative voltage \(3 times, at -0\.84 V"):
        fit_measured(Volatile, read(file))
    code, out, _ = run("fit", file, "--fixed", "relaxation_time_s=0.05", "--resamples", 0)
    assert code == 0
    first = out.index("this cell also SETs at negative voltage")
    assert first < out.index("the model does not describe this trace") < out.index("standard error")
    assert out.count("the model does not describe this trace") == 1
    assert "not identified: the traces do not depend on it" not in out


@pytest.mark.parametrize("limit", [1e-9, 1e-3])
def test_a_limit_in_doubt_is_named_where_the_fit_says_something(tmp_path, limit):
    found = read(threshold(tmp_path / "uni.csv"), compliance_A=limit)
    with pytest.raises(
        InputError,
        match=r"limit of the current is in doubt, which may be the cause: .* A.*The fit then failed: .*--compliance",
    ):
        fit_measured(Volatile, found)
    with pytest.raises(InputError, match=r"^fixed names no parameter"):  # that is not the fault of the limit
        fit_measured(Volatile, found, fixed={"nothing": 1.0})


def test_a_limit_in_doubt_is_a_warning_of_the_model(tmp_path):
    V = np.concatenate([np.linspace(a, b, 41)[1:] for a, b in ((0, 1.5), (1.5, 0), (0, -1.5), (-1.5, 0))])
    on, lines = False, [HEADER]
    for k, v in enumerate(V):
        on = (on or v > 0.8) and v > -0.9
        lines.append(f"1,{STEP_S * k:.3f},{v:.4f},{min((1e-4 if on else 1e-7) * v, LIMIT_A):.6e}")
    file = tmp_path / "bipolar.csv"
    file.write_text("\n".join(lines) + "\n")
    fixed = {"conductance_intercept_S": 0.0}
    cell = fit_measured(NonVolatile, read(file, compliance_A=1e-3), fixed=fixed)
    assert any("limit of the current is in doubt: the current stays at 1e-05 A" in text for text in cell.warnings)
    cell = fit_measured(NonVolatile, read(file, compliance_A=LIMIT_A), fixed=fixed)
    assert not any("in doubt" in text for text in cell.warnings)
