"""Progress of what takes long: runs, ensembles, fits, searches; without a change of any number."""

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.progress import Progress

import halidrift
from halidrift import Waveform
from halidrift.compact import VTEAM, Volatile, bench, fit
from halidrift.compact.characterise import report
from halidrift.fem import FilamentFEM, IonFilm
from halidrift.kmc import FilamentKMC, ensemble, replicas
from halidrift.kmc.sampled import Sampled
from halidrift.physics import synapse, trace
from halidrift.physics.device import CARDS, Device
from halidrift.pipeline import cli
from halidrift.pipeline.cli import _console, simulate
from halidrift.pipeline.cli._left import Left
from halidrift.pipeline.crossbar import Spread, network_maximum_size, read_distribution

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


# -- the time left ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clock():
    """Bars whose clock we turn, and what they say is left."""
    now = [0.0]
    with Progress(get_time=lambda: now[0], speed_estimate_period=_console.bars().speed_estimate_period) as shown:
        shown.stop()

        def left(task):
            return str(Left().render(shown.tasks[task]))

        yield now, shown, left


def test_parts_that_take_minutes_have_a_time_left(clock):
    now, shown, left = clock
    task = shown.add_task("", total=4)
    assert left(task) == "-:--:--"
    for done, expected in ((1, "0:30:00"), (2, "0:20:00"), (3, "0:10:00"), (4, "0:00:00")):
        now[0] = 600.0 * done
        shown.update(task, completed=done)
        assert left(task) == expected


def test_parts_that_were_there_before_tell_nothing_of_the_pace(clock):
    now, shown, left = clock
    task = shown.add_task("", total=10, completed=6, known=6)
    now[0] = 100.0
    assert left(task) == "-:--:--"
    shown.update(task, completed=7)
    assert left(task) == "0:05:00"


def test_the_first_part_does_not_count_once_there_are_others(clock):
    """It may hold a compilation."""
    now, shown, left = clock
    task = shown.add_task("", total=10)
    for now[0], done in ((100.0, 1), (101.0, 2), (102.0, 3)):
        shown.update(task, completed=done)
    assert left(task) == "0:00:07"


def test_a_note_ends_a_stage_at_its_own_size(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with _console.staged({"a": "first", "b": "second"}) as tell:
        for step in ((0, 7), (7, 7)):
            tell("a", *step)
        tell("a", 1, 1, "done")
        tell("b", 1, 1, "cached")
    told = capsys.readouterr().err
    last = told[told.rindex("first") :]
    assert "7/7" in last
    assert "done" in last
    assert "second" in last
    assert "cached" in last


# -- fits ------------------------------------------------------------------------------------------------------------

CELL = Volatile.of(
    conductance_off_S=1e-9,
    conductance_on_S=4e-6,
    growth_rate_Hz=0.05,
    growth_voltage_V=0.1,
    relaxation_time_s=6e-3,
    growth_spread_cycle=0.3,
    relaxation_spread_cycle=0.4,
)
SWITCHED = CELL.simulate(
    Waveform.pulses(1.0, 20e-3, 60e-3, 2, compliance_A=1e-6, samples_per_period=30), rng=2, cycles=6
)
LINEAR = {
    "conductance_off_S": 1e-6,
    "conductance_on_S": 1e-4,
    "set_voltage_V": 0.5,
    "reset_voltage_V": -0.4,
    "set_rate_Hz": 20.0,
    "reset_rate_Hz": 20.0,
    "set_exponent": 3.0,
    "reset_exponent": 3.0,
}
LOOP = VTEAM.of(**LINEAR).simulate(Waveform.triangle([1.0, -1.0], 1.0, samples_per_V=50))
FITS = {
    # two laws of relaxation, of each the plain model and one further parameter from two starts; no sweep shows OFF
    "volatile": (
        Volatile,
        {"fixed": {"growth_acceleration": 1.0}, "resamples": 3},
        {"least squares": 6, "simulated runs": 2, "bootstrap": 3},
    ),
    "volatile, no resamples": (
        Volatile,
        {"fixed": {"growth_acceleration": 1.0, "relaxation_acceleration": 1.0}, "resamples": 0},
        {"least squares": 2, "simulated runs": 2},
    ),
    # 40 points for each of two parameters, and the middle; two starts and the polish
    "VTEAM": (
        VTEAM,
        {"fixed": {n: v for n, v in LINEAR.items() if n not in ("set_rate_Hz", "reset_rate_Hz")}, "starts": 2},
        {"search": 81, "local fits": 3, "standard errors": 1, "noise and spread": 1},
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_tells_its_progress_is_the_same_fit(name):
    model, options, stages = FITS[name]
    told = []
    data = LOOP if model is VTEAM else SWITCHED
    watched = fit(model, data, **options, progress=lambda *step: told.append(step))
    assert json.dumps(watched.to_dict()) == json.dumps(fit(model, data, **options).to_dict())  # nan is not nan
    assert {stage: parts for stage, _, parts in told} == stages
    for stage, parts in stages.items():
        assert [done for one, done, _ in told if one == stage] == list(range(parts + 1))
    assert list(dict.fromkeys(stage for stage, *_ in told)) == list(stages)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_fit_has_bars(command_line, tmp_path, terminal):
    iv = Path(halidrift.__file__).parent / "docs" / "data" / "iv.csv"
    asked = ["fit", iv, "--model", "volatile", "--compliance", "1uA", "--resamples", "0", "--out", tmp_path / "a.json"]
    told = command_line(*asked, terminal=terminal).err
    assert ("least squares" in told) is terminal
    assert ("simulated runs" in told) is terminal
    assert ("left" in told) is terminal
    assert (tmp_path / "a.json").exists()


def test_figures_of_merit_are_counted(command_line, tmp_path):
    told = []
    watched = report(SWITCHED, progress=lambda *step: told.append(step))
    assert json.dumps(watched.to_dict()) == json.dumps(report(SWITCHED).to_dict())
    kinds = told[0][1]
    assert told == [(done, kinds) for done in range(kinds + 1)]
    trace.write(SWITCHED, tmp_path / "a.nc")
    assert f"{kinds}/{kinds}" in command_line("characterise", tmp_path / "a.nc").err


# -- ensembles -------------------------------------------------------------------------------------------------------

SWEEP = Waveform.triangle([1.0], 1.0, compliance_A=1e-6, samples_per_V=200)


@pytest.mark.parametrize(("processes", "kind"), [(1, "alike"), (1, "sampled"), (2, "sampled")])
def test_an_ensemble_tells_of_the_replicas_that_run(monkeypatch, processes, kind):
    monkeypatch.setattr(replicas, "_LOOK_S", 0.0 if processes == 1 else 1e-3)
    cell = FilamentKMC(NARROW if kind == "alike" else NARROW.with_spread(leakage_S=1e-9))
    options = {"rng": 5, "processes": processes, "sampled": kind == "sampled"}
    done, at = [0], []

    def running(share):
        assert 0.0 <= share <= 3 - done[-1]  # one that ended and was not handed over yet counts here
        at.append(done[-1] + share)

    watched = ensemble.run(cell, SWEEP, 3, **options, progress=lambda n, _: done.append(n), running=running)
    assert done == [0, 1, 2, 3]
    shares = {x % 1.0 for x in at}
    assert len(shares) > 3
    assert max(at) <= 3.0
    if processes == 1:
        assert all(a <= b for a, b in pairwise(at))
        monkeypatch.setattr(replicas, "_LOOK_S", 0.25)
        xr.testing.assert_identical(ensemble.run(cell, SWEEP, 3, **options).drop_attrs(), watched.drop_attrs())


def test_an_ensemble_has_a_bar_in_instants(command_line, tmp_path, card):
    asked = ["kmc", "run", card, "--waveform", "pulses amplitude=1V width=2ms period=3ms compliance=1uA"]
    asked += ["--workers", "1", "--replicas", "2", "--out", tmp_path / "a.nc", "--json", tmp_path / "a.json"]
    told = command_line(*asked).err
    instants = 2 * json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["instants"]
    assert f"{instants}/{instants}" in told
    assert "2 of 2 devices finished" in told


def test_replicas_count_once_and_those_of_a_store_tell_nothing_of_the_pace():
    finished = simulate._Finished()
    member = simulate._Member("", PULSES, 300.0, None, None, Path("a.zarr"))
    size = PULSES.times_s.size
    with Progress() as shown:
        shown.stop()
        bar = simulate._Bar(shown, [member, member], 4, finished)
        task = shown.tasks[0]
        assert task.total == 8 * size
        bar.begin(member)
        bar.replica(2, 4)  # of the store
        assert (task.completed, task.fields["known"]) == (2 * size, 2 * size)
        bar.running(0.5)
        assert task.completed == round(2.5 * size)
        bar.replica(3, 4)
        assert (task.completed, task.fields["known"]) == (round(2.5 * size), 2 * size)  # until the next look
        assert finished.replicas == 3
        bar.running(0.25)
        assert task.completed == round(3.25 * size)
        bar.end()
        assert task.completed == 4 * size
        bar.begin(member)
        assert (task.completed, finished.replicas) == (4 * size, 0)
        bar.replica(1, 4)
        assert task.completed == 5 * size


# -- barriers, circuits ----------------------------------------------------------------------------------------------


def test_bands_have_a_bar_in_runs(command_line, tmp_path):
    from ase.build import bulk

    bulk("Cu", cubic=True).write(tmp_path / "cu.cif")
    asked = ["neb", "--structure", tmp_path / "cu.cif", "--species", "V_Cu", "--calculator", "emt", "--images", 1]
    asked += ["--fmax", 0.1, "--relax-fmax", 0.05, "--out", tmp_path / "out", "--seeds"]
    told = command_line(*asked, 2).err
    assert "2/2" in told
    assert "2x2x2, seed 1: " in told
    again = command_line(*asked, 3).err  # the bar counts what is left to compute
    assert "1/1" in again
    assert again.count("kept from before") == 2


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
def test_a_bench_tells_the_simulated_time(command_line, tmp_path):
    wave, told = Waveform.pulses(1.0, 20e-3, 60e-3, 40, compliance_A=1e-6), []
    file = bench.write(CELL, wave, tmp_path, step_s=2e-5)
    watched = bench.run(file, progress=told.append)
    assert told == sorted(told)
    assert all(0.0 < at <= wave.duration_s for at in told)
    assert len(told) > 1
    xr.testing.assert_identical(watched, bench.run(file))
    (tmp_path / "cell.json").write_text(json.dumps(CELL.to_dict()), encoding="utf-8")
    shown = command_line("export", tmp_path / "cell.json", "--testbench", "--run", "--out", tmp_path / "b").err
    assert "100/100" in shown
    assert "% of the simulated time" in shown


# -- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high_ohm", [1.05e4, 3e4, 1e5, 1e7])
@pytest.mark.parametrize("largest", [2, 20, 64])
def test_the_search_for_the_largest_array_knows_its_steps_at_most(high_ohm, largest):
    told = []
    options = {"pull_up_ohm": 1e4, "scheme": "grounded", "largest": largest, "word_segment_ohm": 20.0}
    found = network_maximum_size(1e4, high_ohm, **options, progress=lambda *step: told.append(step))
    assert found == network_maximum_size(1e4, high_ohm, **options)
    done, most = zip(*told, strict=True)
    assert list(done) == list(range(len(told)))
    assert done[-1] == most[-1] <= most[0] == 2 * np.ceil(np.log2(largest)) - 1
    assert all(a >= b for a, b in pairwise(most))


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
    assert "4 x 4 array" in told.err
    assert "largest size" in told.err
    assert json.loads(told.out)["drawn"]["samples"] == 3


@pytest.fixture
def command_line(monkeypatch, capsys):
    """The command line in this process, on a terminal or not; it must succeed."""

    def run(*arguments, terminal=True):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "150")
        if terminal:
            monkeypatch.setenv("TTY_COMPATIBLE", "1")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        assert stop.value.code == 0, told.err
        return told

    return run


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
