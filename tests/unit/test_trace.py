import numpy as np
import pytest
import xarray as xr

from halidrift import Waveform, trace
from halidrift.physics.errors import DataError, InputError, OutputError

PULSE = Waveform.pulses(1.0, 0.1, 0.2, 1, samples_per_period=4)


def example() -> xr.Dataset:
    n = len(PULSE.times_s)
    return trace.make(
        PULSE,
        model="example",
        device_voltage_V=PULSE.voltage_at(PULSE.times_s),
        current_A=np.arange(n) * 1e-6,
        conductance_S=np.full(n, 1e-6),
        parameters={"a": 1},
        sources=["John2022"],
        seed="entropy=1",
    )


def test_a_trace_replays_its_waveform():
    assert trace.waveform_of(example()) == PULSE


def test_units_are_on_every_variable():
    assert {n: v.attrs["units"] for n, v in example().variables.items()} == {
        "time": "s",
        "voltage": "V",
        "device_voltage": "V",
        "current": "A",
        "conductance": "S",
    }


def test_file_round_trip(tmp_path):
    file = trace.write(example(), tmp_path / "new" / "t.nc")
    xr.testing.assert_identical(trace.read(file), example())
    assert [p.name for p in file.parent.iterdir()] == ["t.nc"]


def test_a_failed_write_leaves_nothing(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    with pytest.raises(OutputError, match="could not be written"):
        trace.write(example(), blocker / "t.nc")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_reading_something_else_names_the_file(tmp_path, share):
    file = trace.write(example(), tmp_path / "t.nc")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))] if share else b"not a trace")
    with pytest.raises(DataError, match=r"t\.nc"):
        trace.read(file)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop_vars("current"), "current"),
        (lambda t: t.rename(time="t"), "time"),
        (lambda t: t.assign(current=t.current * np.nan), "current"),
        (lambda t: t.assign(current=t.current.assign_attrs(units="mA")), "mA"),
        (lambda t: t.assign(extra=("time", np.zeros(t.sizes["time"]))), "extra"),
    ],
)
def test_check_refuses(spoil, words):
    with pytest.raises(InputError, match=words):
        trace.check(spoil(example()))
