"""Whatever a file holds, only house errors escape, and what is read is a trace."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from halidrift.physics import trace as traces
from halidrift.physics.errors import HalidriftError
from halidrift.physics.measurements import read


def loop(n=12):
    V = np.concatenate([np.linspace(0, 1, n), np.linspace(1, -1, 2 * n), np.linspace(-1, 0, n)])
    G = np.where((np.arange(V.size) > 0.6 * n) & (np.arange(V.size) < 2.4 * n), 1e-5, 1e-8)
    return V, np.clip(V * G, -5e-6, 5e-6)


def rows(form):
    V, I = loop()  # noqa: E741
    return "\n".join(form(n, v, i) for n, (v, i) in enumerate(zip(V, I, strict=True)))


SEEDS = [
    "SetupTitle, I/V Sweep\nTestParameter, Channel.IName, I1\nTestParameter, Channel.VName, V1\n"
    "TestParameter, Channel.Func, VAR1\nTestParameter, Measurement.Primary.Compliance, 5e-06\n"
    "MetaData, TestRecord.TestTarget, A1\nDataName, V1, I1, Time\n"
    + rows(lambda n, v, i: f"DataValue, {v:.4g}, {i:.4E}, {n * 0.1:.4g}"),
    "AI(1),AV(1),AI(2),AV(2)\n" + rows(lambda n, v, i: f"{i:.4E},{v:.4g},{i:.4E},{v:.4g}"),
    "Voltage (V);Current (uA);Time (s);Status\n"
    + rows(lambda n, v, i: f"{v:.4g};{1e6 * i:.4g};{0.1 * n:.4g};{21504 + 8 * (abs(i) > 4.9e-6)}".replace(".", ",")),
    "device\tcycle\tt/s\tV (V)\tI (A)\tcompliance\n"
    + rows(lambda n, v, i: f"D{n % 2}\t1\t{0.1 * n:.3g}\t{v:.4g}\t{i:.3E}\t{int(abs(i) > 4.9e-6)}"),
    "session\nMon Jun 12 2024\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n"
    + "\n".join(f"1,{1 + n % 2},{10 ** (5 + n % 3)},{n % 3 - 1},1e-4,P,S R2 V=0.5,0.5" for n in range(40)),
    "cycle,R_HRS (Ohm),R_LRS (Ohm)\n" + "\n".join(f"{n},{1e7 + n},{1e4 - n}" for n in range(12)),
    "# V I\n" + rows(lambda n, v, i: f"{v:.4g} {i:.4E}"),
    "time_s,voltage_V,current_A\n" + "\n".join(f"{0.1 * n:.4g},0.1,{1e-6 * (n + 1) ** -0.1:.4E}" for n in range(30)),
]
SCRAPS = [
    "NaN",
    "9.91E+37",
    "",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "1e400",
    "-",
    "--",
    "0",
    "1e-300",
    '"',
    "#",
    "V",
    "I (A)",
]
SCRAPS += [
    "\x00",
    "é",
    "µA",
    "1,5",
    "inf",
    "1_0",
    "DataName",
    "DataValue",
    "(1)",
    "[",
    "e5",
    " ",
    "-1e9",
    "\ufeff",
    "٣",
]


@st.composite
def mangled(draw):
    """A file, cut, shuffled and sprinkled."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["insert", "cut", "copy", "swap", "replace", "drop"]))
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        if kind == "insert":
            text = text[:at] + draw(st.sampled_from(SCRAPS)) + text[at:]
        elif kind == "cut":
            text = text[:at] + text[at + draw(st.integers(1, 60)) :]
        elif kind == "copy":
            text = text[:at] + text[max(at - draw(st.integers(1, 200)), 0) :]
        elif kind == "replace":
            text = text.replace(draw(st.sampled_from([",", ".", "\n", "E-", "(", "0", ";", "V"])), draw(st.sampled_from(SCRAPS)), draw(st.integers(1, 400)))  # fmt: skip  # noqa: E501
        else:
            lines = text.split("\n")
            a, b = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            if kind == "swap":
                lines[a], lines[b] = lines[b], lines[a]
            else:
                lines = lines[: min(a, b)] + lines[max(a, b) :]
            text = "\n".join(lines)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-16", "cp1252"])), errors="replace")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "iv.csv"


def survives(file, raw):
    file.write_bytes(raw)
    try:
        found = read(file)
    except HalidriftError as error:
        if str(file) not in str(error):
            raise AssertionError("the error names no file") from error
        return
    for trace in found.traces:
        traces.check(trace)
        assert (trace.conductance.values > 0).all()
        assert (np.diff(trace.time.values) > 0).all()
        assert trace.sizes["time"] >= 10
    assert str(found.report)


@pytest.mark.parametrize("text", SEEDS)
def test_the_seeds_are_read(file, text):
    file.write_text(text, encoding="utf-8")
    assert read(file).report


@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(raw=mangled())
@example(raw=b"t (s),V (V),I (A)\n0,0.1,1e-9\n0,0.1,1e-9\n")  # one instant
@example(raw=b"device,t (s),V (V),I (A)\nA,0,0.1,1e-9\nA,1,0.2,1e-9\nB,1,0.2,1e-9\nB,1,0.2,1e-9\n")
def test_only_house_errors_escape(file, raw):
    survives(file, raw)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", errors="replace")))
def test_noise_is_no_measurement(file, raw):
    survives(file, raw)
