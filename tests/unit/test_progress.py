"""Progress of a single run: told in simulated time, at no cost and without a change of any number."""

import json
import sys

import numpy as np
import pytest

from halidrift import Waveform
from halidrift.fem import FilamentFEM, IonFilm
from halidrift.kmc import FilamentKMC
from halidrift.kmc.sampled import Sampled
from halidrift.physics import synapse
from halidrift.physics.device import CARDS, Device
from halidrift.pipeline import cli
from halidrift.pipeline.cli import _console
from halidrift.pipeline.crossbar import Spread, read_distribution

NARROW = Device.load("john2022-ogb").with_parameters(column_width_m=3e-9)
PULSES = Waveform.pulses(1.0, 2e-3, 3e-3, compliance_A=1e-6)
RUNS = {
    "KMC": (lambda: FilamentKMC(NARROW), PULSES),
    "sampled": (lambda: Sampled(FilamentKMC(NARROW.with_spread(leakage_S=1e-9))), PULSES),
    "filament": (lambda: FilamentFEM(Device.load("john2022-ogb")), Waveform.hold(0.05, 1e-3, samples=4)),
    "film": (lambda: IonFilm(Device.load("kim2019-n3")), synapse.pair(interval_s=60e-3)),
    "film, profiles": (
        lambda: IonFilm(Device.load("kim2019-n3"), profiles=True),
        Waveform.triangle([-0.3], 1.0, samples_per_V=200),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_tells_its_progress_is_the_same_run(name):
    make, wave = RUNS[name]
    model, told = make(), []
    alone, watched = model.simulate(wave, rng=3), model.simulate(wave, rng=3, progress=told.append)
    for variable in alone.variables:
        assert np.array_equal(alone[variable].values, watched[variable].values, equal_nan=True), variable
    assert {k: v for k, v in alone.attrs.items() if k != "created"} == {
        k: v for k, v in watched.attrs.items() if k != "created"
    }
    assert len(told) >= 2
    assert (np.diff(told) > 0).all()
    assert set(told) <= set(wave.times_s.tolist())
    assert told[-1] == wave.times_s[-1]


def test_a_film_is_cut_into_few_parts():
    """Each part costs 40 µs, a report time some 300 µs: 20 in a part cost 1 % at most."""
    told = []
    wave = Waveform.hold(-0.01, 1.0, samples=101)
    IonFilm(Device.load("kim2019-n3")).simulate(wave, progress=told.append)
    assert len(told) == -(-wave.times_s.size // 20)


def test_a_bar_is_told_now_and_then(monkeypatch):
    now, told = [0.0], []
    monkeypatch.setattr(_console.time, "monotonic", lambda: now[0])
    tell = _console.now_and_then(told.append)
    for step in range(1001):
        now[0] = 0.5e-3 * step
        tell(step)
    assert told[0] == 0  # the first at once
    assert len(told) == pytest.approx(6, abs=1)


def test_drawn_arrays_are_counted():
    told = []
    alone = read_distribution(Spread(1e3, 1e6), 4, samples=3, rng=1)
    watched = read_distribution(Spread(1e3, 1e6), 4, samples=3, rng=1, progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert watched.equals(alone)


def test_drawn_arrays_have_a_bar(monkeypatch, capsys):
    asked = "crossbar --size 4 --low 10kohm --high 10Mohm --high-spread 0.5 --samples 3 --json -"
    monkeypatch.setattr(sys, "argv", ["halidrift", *asked.split()])
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr()
    assert stop.value.code == 0
    assert "arrays drawn" in told.err
    assert "3/3" in told.err
    assert json.loads(told.out)["drawn"]["samples"] == 3


@pytest.fixture
def card(tmp_path):
    file = tmp_path / "narrow.toml"
    text = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    old = next(line for line in text.splitlines() if line.startswith("column_width_m"))
    new = 'column_width_m = { value = 3, unit = "nm", kind = "assumed", reason = "a quick run", range = [3, 10] }'
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
@pytest.mark.parametrize("command", ["kmc", "fem"])
def test_a_single_run_has_a_bar_on_a_terminal(monkeypatch, capsys, tmp_path, card, command, terminal, quiet, shown):
    """In reported instants, with the time left; nothing in a pipe or with --quiet."""
    wave = "pulses amplitude=1V width=2ms period=3ms compliance=1uA" if command == "kmc" else "pair interval=60ms"
    made_of = str(card) if command == "kmc" else "kim2019-n3"
    files = ["--out", str(tmp_path / "a.nc"), "--json", str(tmp_path / "a.json")]
    asked = ["halidrift", command, "run", made_of, "--waveform", wave, *files]
    monkeypatch.setattr(sys, "argv", [*asked, "--quiet"] if quiet else asked)
    monkeypatch.setenv("COLUMNS", "120")
    if terminal:
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr().err
    assert stop.value.code == 0
    instants = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["instants"]
    assert (f"{instants}/{instants}" in told) is shown
    assert ("left" in told) is shown
    assert ("instants" in told) is shown
    if not shown:
        assert told == ""
