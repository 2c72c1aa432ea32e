"""Whatever a file holds, only house errors escape, and what is read is a trace."""

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import halidrift
from halidrift.physics.errors import HalidriftError
from halidrift.physics.measurements import read


def benchmark():
    """The shared damage and files: benchmarks/fuzz.py."""
    path = Path(halidrift.__file__).parent / "benchmarks" / "fuzz.py"
    spec = importlib.util.spec_from_file_location("halidrift_fuzz", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


fuzz = benchmark()
READER = fuzz.measurements()


@st.composite
def mangled(draw):
    """A file, cut, shuffled and sprinkled."""
    text = fuzz.mangled(draw(st.sampled_from(fuzz.MEASUREMENTS)), draw(st.randoms(use_true_random=False)), fuzz.SCRAPS)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-16", "cp1252"])), errors="replace")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "iv.csv"


def survives(file, raw):
    file.write_bytes(raw)
    with contextlib.suppress(HalidriftError):
        READER.accept(file)


@pytest.mark.parametrize("text", fuzz.MEASUREMENTS)
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
