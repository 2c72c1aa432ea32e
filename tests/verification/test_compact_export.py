"""Exports: structure always, behaviour where ngspice is installed. Tolerances stated before the run."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from halidrift.compact import NonVolatile, Volatile
from halidrift.physics.errors import InputError, OutputError
from halidrift.physics.waveform import Waveform

VOLATILE = {
    "conductance_off_S": 1e-9,
    "conductance_on_S": 4e-6,
    "growth_rate_Hz": 0.05,
    "growth_voltage_V": 0.1,
    "relaxation_time_s": 6e-3,
}
SHAPED = {
    **VOLATILE,
    "growth_acceleration": 3.0,
    "relaxation_acceleration": 5.0,
    "off_nonlinearity_V": 0.3,
    "relaxation_voltage_V": 0.2,
}
NONVOLATILE = {
    "conductance_slope_1_V": 3.0,
    "conductance_intercept_S": 1e-5,
    "conductance_off_S": 1e-7,
    "compliance_low_A": 1e-5,
    "compliance_high_A": 1e-3,
    "set_voltage_V": 0.9,
    "reset_voltage_V": -1.5,
}
needs_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")


@pytest.mark.parametrize(("model", "values"), [(Volatile, SHAPED), (Volatile, VOLATILE), (NonVolatile, NONVOLATILE)])
@pytest.mark.parametrize("suffix", [".sp", ".cir", ".va"])
def test_every_parameter_and_source_stands_in_the_file(tmp_path, model, values, suffix):
    cell = model.of(reason="test bench", **values)
    text = cell.export(tmp_path / f"cell{suffix}").read_text()
    comment = "//" if suffix == ".va" else "*"
    for entry in cell.parameters.values():
        assert f"{comment} {entry}" in text
    for key in cell.sources:
        assert key in text
    if suffix == ".va":
        # cell is a word of Verilog-A
        assert "module cell_device(te, be);" in text
        assert "ddt(V(state))" in text
    else:
        # the element, the current limit that a node drives, and the one with a parameter
        assert text.count(".subckt") == text.count(".ends") == 3
        assert " state 0 1 ic=" in text
    assert [p.name for p in tmp_path.iterdir()] == [f"cell{suffix}"]


def test_unknown_suffix_name_and_folder_are_refused(tmp_path):
    cell = Volatile.of(**VOLATILE)
    with pytest.raises(InputError, match=r"\.va"):
        cell.export(tmp_path / "cell.txt")
    with pytest.raises(InputError, match="identifier"):
        cell.export(tmp_path / "my cell.sp")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        cell.export(tmp_path / "file" / "cell.sp")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def spice(folder, bench):
    """Run ngspice in a folder and return what the bench wrote to out.txt."""
    (folder / "bench.cir").write_text(bench)
    done = subprocess.run(["ngspice", "-b", "bench.cir"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert "abort" not in done.stdout + done.stderr, done.stderr
    return np.loadtxt(folder / "out.txt")


@needs_ngspice
@pytest.mark.parametrize(
    ("values", "step"),
    [
        (VOLATILE, "20u"),
        (VOLATILE, "200u"),
        (SHAPED, "20u"),
        (SHAPED, "200u"),
    ],
)
def test_ngspice_gives_the_conductance_of_the_python_model(tmp_path, values, step):
    """Pulse under 1 uA. Conductance within 1 %, 10 us and more away from the edges."""
    cell = Volatile.of(**values)
    cell.export(tmp_path / "cell.sp")
    out = spice(
        tmp_path,
        f"""bench
.include cell.sp
Vs src 0 pulse(0 1 1m 1u 1u 20m 40m)
Xl src top cell_limiter icc=1u
X1 top 0 x cell
.options reltol=1e-5 trtol=1
.control
tran {step} 60m 0 {step} uic
wrdata out.txt v(x)
quit
.endc
.end
""",
    )
    # compared at ngspice's own instants, so that no interpolation between them enters
    times = np.unique(out[:, 0])
    edges = np.array([1e-3, 21e-3, 41e-3])
    times = times[(np.abs(times[:, None] - edges) > 10e-6).all(axis=1) & (times < 60e-3)]
    waveform = Waveform(
        [0, 1e-3, 1.001e-3, 21.001e-3, 21.002e-3, 41e-3, 41.001e-3, 60e-3], [0, 0, 1, 1, 0, 0, 1, 1], 1e-6, times
    )
    trace = cell.simulate(waveform)
    mine = trace["state"].values[np.isin(trace["time"].values, times)]
    theirs = out[np.unique(out[:, 0], return_index=True)[1], 1][np.isin(np.unique(out[:, 0]), times)]
    ratio = np.log(cell.value("conductance_on_S") / cell.value("conductance_off_S"))
    assert np.abs(mine - theirs).max() * ratio < 0.01


@needs_ngspice
def test_ngspice_programs_the_non_volatile_cell_by_its_compliance_and_resets_it(tmp_path):
    """SET under 0.3 mA leaves a Icc + b within 5 %; -3 V without limit brings it back to OFF within 1 %."""
    NonVolatile.of(**NONVOLATILE).export(tmp_path / "cell.sp")
    out = spice(
        tmp_path,
        """bench
.include cell.sp
Vs src 0 pwl(0 0 2 2 4 0 7 -3 10 0)
Bl src top I = (v(src)>0 ? 0.3m : 100m)*v(src,top)/sqrt(v(src,top)*v(src,top)+1e-6)
X1 top 0 y cell
.control
tran 0.5m 10 0 0.5m uic
wrdata out.txt v(y)
quit
.endc
.end
""",
    )
    on, off = (1e-7 * np.exp(np.interp(t, out[:, 0], out[:, 1])) for t in (4.0, 10.0))
    assert on == pytest.approx(3.0 * 3e-4 + 1e-5, rel=0.05)
    assert off == pytest.approx(1e-7, rel=0.01)
    assert np.interp(0.85, out[:, 0], out[:, 1]) == pytest.approx(0.0, abs=0.1)
