"""Killed, out of disk, out of memory, two at once, damaged: nothing lost, nothing double, each in words.

Few kills here; benchmarks/faults.py has as many as you like. Stated before the run: no tolerance anywhere, what is
compared must be equal to the last bit.
"""

import contextlib
import doctest
import errno
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ase.build import bulk

import halidrift
from halidrift import Waveform, trace
from halidrift.compact import Volatile
from halidrift.kmc import ensemble
from halidrift.physics import files, lock
from halidrift.physics.errors import (
    ConvergenceError,
    DataError,
    FullError,
    HalidriftError,
    InputError,
    OutputError,
    ValidityError,
)
from halidrift.physics.neb import stored
from halidrift.pipeline import cli, stages
from halidrift.pipeline.campaign import publish


def benchmark():
    path = Path(halidrift.__file__).parent / "benchmarks" / "faults.py"
    spec = importlib.util.spec_from_file_location("halidrift_faults", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


faults = benchmark()
WAVE = Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=400)


def small_trace(value=1.0):
    v = WAVE.voltage_at(WAVE.times_s)
    g = np.full(v.size, 1e-6 * value)
    return trace.make(WAVE, model="test", device_voltage_V=v, current_A=v * g, conductance_S=g, parameters={})


def left(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".") or path.name.endswith(".part")]


# -- SIGKILL at random moments ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_ensemble_killed_at_random_moments_is_the_one_left_alone(tmp_path):
    found = faults.kill_ensembles(4, seed=1, folder=tmp_path, replicas=40)
    assert found.kills == 4
    assert found.campaigns >= 1


@pytest.mark.slow
def test_reproduce_killed_at_random_moments_or_run_twice_at_once_gives_the_same_results(tmp_path):
    found = faults.kill_reproductions(2, seed=0, folder=tmp_path, compile_first=False)
    assert found.kills == 2
    assert max(found.kept) > 0  # at least one came in the middle
    two = faults.two_at_once(tmp_path, tmp_path / "alone")
    assert sum(two["waited for"]) > 0


# -- two processes ---------------------------------------------------------------------------------------------------

STAGE = """
import os, sys, time
from halidrift.pipeline.stages import Cache
from halidrift.kmc.ensemble import read  # only to take as long to start as a job does

folder, ran, go = sys.argv[1:4]

def compute():
    with open(ran, "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists(go):
        time.sleep(0.01)
    return {"x": 0.1 + 0.2}, {}

result = Cache(folder).run("slow", {"seed": 1}, ["physics"], compute)
print(result.cached, repr(result.data["x"]), flush=True)
"""


def both(tmp_path):
    """Two processes that need one stage, the second of which has said that it waits."""
    command = [sys.executable, "-c", STAGE, tmp_path / "stages", tmp_path / "ran", tmp_path / "go"]
    jobs = []
    for _ in range(2):
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        jobs.append(job)
        if len(jobs) == 1:
            until = time.monotonic() + 60
            while not (tmp_path / "ran").exists() and job.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
    said = jobs[1].stderr.readline()
    assert re.match(rf"Stage slow is being computed by process {jobs[0].pid} on \S+ since .*; waiting for it", said)
    return jobs


def test_two_processes_that_need_one_stage_compute_it_once(tmp_path):
    first, second = both(tmp_path)
    (tmp_path / "go").touch()
    told = [job.communicate(timeout=60) for job in (first, second)]
    assert [out for out, _ in told] == ["False 0.30000000000000004\n", "True 0.30000000000000004\n"]
    assert [err for _, err in told] == ["", ""]
    assert (tmp_path / "ran").read_text().split() == [str(first.pid)]
    assert not left(tmp_path)


def test_who_waits_for_a_process_that_is_killed_takes_over(tmp_path):
    first, second = both(tmp_path)
    first.kill()
    first.communicate()
    (tmp_path / "go").touch()
    assert second.communicate(timeout=60)[0] == "False 0.30000000000000004\n"
    assert (tmp_path / "ran").read_text().split() == [str(first.pid), str(second.pid)]
    assert not left(tmp_path)


def test_a_job_that_starts_leaves_alone_what_another_is_writing(tmp_path):
    """Also with fresh=True, which forgets what is finished."""
    cache = stages.Cache(tmp_path)
    cache.run("done", {}, ["physics"], lambda: ({}, {}))
    (tmp_path / ".killed-0.part").mkdir()
    (tmp_path / ".killed-0.lock").write_text("process 1 on a machine that is gone")
    seen = []

    def compute():
        for fresh in (False, True):
            (part,) = [path.with_suffix(".part") for path in tmp_path.glob(".slow-*.lock")]
            part.mkdir(exist_ok=True)
            stages.Cache(tmp_path, fresh=fresh)
            seen.append((part.is_dir(), sorted(path.name.split("-")[0] for path in tmp_path.iterdir())))
        return {}, {}

    cache.run("slow", {}, ["physics"], compute)
    assert seen == [(True, [".slow", ".slow", "done"]), (True, [".slow", ".slow"])]
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["slow"]


def test_a_lock_is_free_when_its_holder_leaves_and_only_then(tmp_path):
    file = tmp_path / ".lock"
    with lock.held(file):
        with pytest.raises(lock.Busy, match=f"process {os.getpid()} on .* since 20"), lock.held(file):
            pass
        # another that waits, and is killed while it does
        code = "import sys; from halidrift.physics import lock\nwith lock.waited(sys.argv[1], print): print('held')"
        other = subprocess.Popen([sys.executable, "-u", "-c", code, file], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline().startswith(f"process {os.getpid()} on ")
        other.kill()
        assert other.communicate()[0] == ""
        assert other.returncode == -signal.SIGKILL
    told = []
    with lock.waited(file, told.append):
        pass
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path):
    dead = tmp_path / ".t.txt.dead.part"
    dead.write_text("half")
    other = tmp_path / ".u.txt.dead.part"
    other.write_text("of another target")

    def write(name):
        Path(name).write_text("outer")
        files.write_whole(tmp_path / "t.txt", lambda inner: Path(inner).write_text("inner"))
        assert Path(name).exists()

    files.write_whole(tmp_path / "t.txt", write)
    assert (tmp_path / "t.txt").read_text() == "outer"
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "t.txt"]
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_doctests():
    result = doctest.testmod(lock)
    assert result.attempted > 0
    assert result.failed == 0


def test_quiet_does_not_tell_of_waiting():
    levels = []
    for quiet in (False, True):
        cli.quietly(lambda: levels.append(logging.getLogger("halidrift").getEffectiveLevel()))(quiet=quiet)
    assert levels == [logging.WARNING, logging.ERROR]


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """Disks of a few bytes; skips where this process may not mount one."""

    @contextlib.contextmanager
    def mounted(size):
        try:
            with faults.disk(tmp_path / "disk", size) as place:
                yield place
        except PermissionError as error:
            pytest.skip(f"no disk of its own: {error.strerror}")

    return mounted


def fill(place):
    with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def empty(place):
    (place / "filler").unlink()
    faults.enlarge(place, 64 << 20)


def test_a_full_disk_costs_an_ensemble_only_what_was_not_finished(disk, tmp_path):
    with disk(4096):
        pass
    tried = faults.fill_stores(tmp_path, step=4)
    assert tried["full before the first replica"] > 2
    assert tried["most kept"] > 0


def test_a_trace_is_on_a_full_disk_whole_or_not_at_all(disk):
    whole = small_trace()
    full = 0
    for blocks in range(1, 100, 2):
        with disk(blocks * 4096) as place:
            told = ""
            try:
                trace.write(whole, place / "t.nc")
            except FullError as error:
                told = str(error)
            if told:
                full += 1
                assert re.search(r"t\.nc could not be written.*No space left on device.*Free some space", told)
                assert list(place.iterdir()) == []
                faults.enlarge(place, 64 << 20)
                trace.write(whole, place / "t.nc")
                # what was there stays as it was
                fill(place)
                with pytest.raises(FullError):
                    trace.write(small_trace(2.0), place / "t.nc")
                xr.testing.assert_identical(trace.read(place / "t.nc"), whole.load())
                continue
            xr.testing.assert_identical(trace.read(place / "t.nc"), whole.load())
            break
    assert full > 2


def test_a_stage_is_on_a_full_disk_whole_or_not_at_all(disk):
    traces = {name: small_trace(value) for name, value in (("a", 1.0), ("b", 2.0))}
    full = 0
    for blocks in range(1, 100, 2):
        with disk(blocks * 4096) as place:
            told = ""
            try:
                stages.Cache(place / "s").run("s", {}, ["physics"], lambda: ({"x": 1}, traces))
            except FullError as error:
                told = str(error)
            if told:
                full += 1
                assert "No space left on device" in told
                if (place / "s").exists():
                    assert list((place / "s").iterdir()) == []
                faults.enlarge(place, 64 << 20)
                again = stages.Cache(place / "s").run("s", {}, ["physics"], lambda: ({"x": 1}, traces))
                assert not again.cached
            else:
                break
            found = stages.Cache(place / "s").run("s", {}, ["physics"], lambda: pytest.fail("was finished"))
            assert found.data == {"x": 1}
            xr.testing.assert_identical(found.traces["b"], traces["b"].load())
    assert full > 4


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the console entry point; returns exit code and error output without line breaks."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, re.sub(r"\s+", " ", capsys.readouterr().err)

    return call


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FullError("full"), 1),
        (HalidriftError("a worker died"), 1),
        (ConvergenceError("diverged"), 1),
        (MemoryError(), 1),
        (OutputError("no such folder"), 2),
        (InputError("wrong"), 2),
        (ValidityError("outside"), 2),
    ],
)
def test_the_exit_code_says_whether_the_input_can_mend_it(run, monkeypatch, error, code):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run("devices")[0] == code


MODEL = Volatile.of(
    conductance_off_S=1e-9,
    conductance_on_S=4e-6,
    growth_rate_Hz=0.05,
    growth_voltage_V=0.1,
    relaxation_time_s=6e-3,
)
SHORT = ["kmc", "run", "john2022-ogb", "--waveform", "hold voltage=0.1V duration=1ms"]
ARRAY = ["crossbar", "--size", "4", "--line", "2.5ohm", "--low", "10kohm", "--high", "10Mohm"]
WRITERS = {
    "table": (["db", "export", "--format", "csv", "--out"], "t.csv"),
    "circuit": (["export", "cell.json", "--out"], "circuit"),
    "trace": ([*SHORT, "--out"], "t.nc"),
    "store": ([*SHORT, "--replicas", "2", "--workers", "1", "--store"], "runs.zarr"),
    "json": (["devices", "--json"], "devices.json"),
    "svg": (["characterise", "pulses.nc", "--plot"], "merits.svg"),
    "png": ([*ARRAY, "--plot"], "array.png"),
    "pdf": ([*ARRAY, "--plot"], "array.pdf"),
    "model": (["fit", "iv.csv", "--model", "volatile", "--compliance", "1uA", "--resamples", "0", "--out"], "m.json"),
    "card": (["new", "device", "mine"], "mine.toml"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_writer_tells_of_a_full_disk_and_leaves_nothing(run, disk, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell.json").write_text(json.dumps(MODEL.to_dict()))
    made = MODEL.simulate(Waveform.pulses(1.0, 20e-3, 40e-3, 3, compliance_A=1e-6, samples_per_period=40))
    trace.write(made, tmp_path / "pulses.nc")
    shutil.copy(Path(halidrift.__file__).parent / "docs" / "data" / "iv.csv", tmp_path)
    command, name = WRITERS[kind]
    with disk(1 << 20) as place:
        fill(place)
        if command[-1].startswith("--"):
            command = [*command, place / name]
        else:  # it writes where it is called
            monkeypatch.chdir(place)
        code, told = run(*command)
        assert (code, "No space left on device" in told) == (1, True), told
        assert "Free some space and run the same command again" in told
        assert [path.name for path in place.rglob("*") if path.is_file()] == ["filler"]
        empty(place)
        assert run(*command)[0] == 0
        assert (place / name).exists()
        monkeypatch.chdir(tmp_path)


def test_a_full_disk_costs_a_band_the_run_that_could_not_be_kept(run, disk, tmp_path):
    bulk("Cu", cubic=True).write(tmp_path / "cu.cif")
    command = ["neb", "--structure", tmp_path / "cu.cif", "--species", "V_Cu", "--calculator", "emt", "--images", "1"]
    command += ["--fmax", "0.1", "--relax-fmax", "0.05", "--seeds", "1", "--out"]
    with disk(1 << 20) as place:
        fill(place)
        code, told = run(*command, place / "out")
        assert (code, "No space left on device" in told) == (1, True), told
        assert "Free some space and run the same command again" in told
        empty(place)
        assert run(*command, place / "out")[0] == 0
        assert len(stored(place / "out" / "neb.db")) == 1


def test_the_picture_of_a_job_belongs_to_its_json(tmp_path):
    """Of two with different settings in one folder the later waits between the two files of the other."""
    begun, go = threading.Event(), threading.Event()

    def slow(results, file):
        begun.set()
        assert go.wait(30)
        file.write_text(str(results["n"]))

    first = threading.Thread(target=publish, args=({"job": "explain", "n": 1}, tmp_path, slow))
    second = threading.Thread(
        target=publish,
        args=({"job": "explain", "n": 2}, tmp_path, lambda results, file: file.write_text(str(results["n"]))),
    )
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.5)  # five looks at the lock
    assert second.is_alive()
    assert json.loads((tmp_path / "explain.json").read_text())["n"] == 1
    go.set()
    for one in (first, second):
        one.join(30)
    assert json.loads((tmp_path / "explain.json").read_text())["n"] == 2
    assert (tmp_path / "explain.png").read_text() == "2"
    assert not left(tmp_path)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, FullError),
        (errno.EDQUOT, FullError),
        (errno.EFBIG, FullError),
        (errno.EACCES, OutputError),
        (errno.EIO, OutputError),
    ],
)
@pytest.mark.parametrize("when", ["write", "settle"])
def test_an_error_of_the_disk_is_told_by_its_kind(tmp_path, monkeypatch, number, kind, when):
    """Without a disk of its own: the system's answer is made up, while the file is filled or forced to the disk."""
    (tmp_path / "t.txt").write_text("old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    if when == "settle":
        monkeypatch.setattr(files.os, "fsync", fail)
    write = fail if when == "write" else lambda name: Path(name).write_text("new")
    with pytest.raises(OutputError, match=os.strerror(number)) as caught:
        files.write_whole(tmp_path / "t.txt", write)
    assert type(caught.value) is kind
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
    assert (tmp_path / "t.txt").read_text() == "old"


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []

    def watched(name):
        original = getattr(os, name)

        def call(*arguments):
            events.append(
                (name, os.path.basename(os.readlink(f"/proc/self/fd/{arguments[0]}")) if name == "fsync" else "")
            )
            return original(*arguments)

        monkeypatch.setattr(files.os, name, call)

    watched("fsync")
    watched("replace")
    trace.write(small_trace(), tmp_path / "t.nc")
    assert [name for name, _ in events] == ["fsync", "replace", "fsync"]
    assert events[0][1].startswith(".t.nc.")
    assert events[2][1] == tmp_path.name


# -- out of memory ---------------------------------------------------------------------------------------------------

HUNGRY = """
import resource, sys
import numpy, xarray, scipy.sparse.linalg, halidrift.kmc, halidrift.compact, halidrift.pipeline.stages
from halidrift import Waveform
from halidrift.pipeline import cli

now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (200 << 20), resource.RLIM_INFINITY))
sys.argv = ["halidrift", *sys.argv[1:]]
cli.main()
"""


def test_memory_that_runs_out_is_told_in_words(tmp_path):
    """A limit of 200 MiB on a simulation that is asked for 40 million samples: 320 MB for its times alone."""
    wave = "pulses amplitude=1V width=1ms period=2ms count=4 samples_per_period=10000000"
    command = ["kmc", "run", "john2022-ogb", "--waveform", wave, "--out", tmp_path / "t.nc"]
    done = subprocess.run([sys.executable, "-c", HUNGRY, *command], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    words = re.sub(r"\s+", " ", done.stderr)
    assert re.search(r"Memory ran out.*Try --workers 1, or ask for less.*are kept", words), words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_memory_that_runs_out_in_a_worker_arrives_as_what_it_is(processes):
    with pytest.raises(MemoryError, match="Unable to allocate"), stages.Workers(processes) as workers:
        workers.map({"a": (np.empty, 1 << 57)}, lambda *_: None)


def test_an_ensemble_keeps_what_came_before_memory_ran_out(tmp_path):
    wave = Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=5)

    class Hungry(faults.Noise):
        def simulate(self, waveform, *, rng=None):
            if len(self.log) == 2:
                np.empty(1 << 57)
            return super().simulate(waveform, rng=rng)

    with pytest.raises(MemoryError):
        ensemble.run(Hungry(), wave, 4, rng=5, processes=1, store=tmp_path / "runs.zarr")
    assert faults.counted(tmp_path / "runs.zarr") == {0, 1}
    assert ensemble.read(tmp_path / "runs.zarr", partial=True).sizes["replica"] == 2


# -- damaged files ---------------------------------------------------------------------------------------------------


def test_a_trace_cut_anywhere_is_refused_with_its_name_and_what_to_do(tmp_path):
    file = trace.write(small_trace(), tmp_path / "t.nc")
    content = file.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(content) - 8, 60):
        file.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"t\.nc: \(file\): not a readable trace.*must be written again"):
            trace.read(file)
    with pytest.raises(DataError, match="there is no such file"):
        trace.read(tmp_path / "none.nc")


def damaged(content, rng):
    where = rng.integers(len(content))
    how = rng.integers(3)
    if how == 0:
        return content[:where]
    new = content[where] ^ (1 << rng.integers(8)) if how == 1 else rng.integers(32, 127)
    return content[:where] + bytes([new]) + content[where + 1 :]


def test_damaged_metadata_of_a_store_never_give_other_numbers(tmp_path):
    """Bytes flipped, exchanged and cut in every zarr.json: refused with the name of the file, or equal."""
    store, wave = tmp_path / "runs.zarr", Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=5)
    whole = ensemble.run(faults.Noise(), wave, 3, rng=5, processes=1, store=store)
    rng, refused, inputs = np.random.default_rng(0), 0, 0
    for file in sorted(store.rglob("zarr.json")):
        content = file.read_bytes()
        name = file.relative_to(store).as_posix()
        for _ in range(60 if file.parent == store else 12):
            file.write_bytes(damaged(content, rng))
            inputs += 1
            try:
                xr.testing.assert_identical(ensemble.read(store), whole)
            except DataError as error:
                refused += 1
                told = str(error)
                assert str(store) in told
                assert name in told or "zarr.json" in told or "schema" in told, told
        file.write_bytes(content)
    assert refused > 0.9 * inputs
    xr.testing.assert_identical(ensemble.read(store), whole)


def test_a_damaged_mark_costs_its_replica(tmp_path):
    store, wave = tmp_path / "runs.zarr", Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=5)
    whole = ensemble.run(faults.Noise(), wave, 3, rng=5, processes=1, store=store)
    mark = store / "finished" / "c" / "1"
    content = mark.read_bytes()
    mark.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=r"finished, replica 1.*Delete .*finished/c/1 and run again"):
        ensemble.read(store)
    mark.unlink()
    again = faults.Noise()
    xr.testing.assert_identical(ensemble.run(again, wave, 3, rng=5, processes=1, store=store), whole)
    assert again.log == [1]


def test_chunks_that_a_killed_run_was_writing_go(tmp_path):
    store, wave = tmp_path / "runs.zarr", Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=5)
    ensemble.run(faults.Noise(), wave, 2, rng=5, processes=1, store=store)
    (store / "finished" / "c" / "1").unlink()
    for place in ("conductance/c/1/0.ab.partial", "finished/c/1.ab.partial", "current/zarr.ab.partial"):
        (store / place).write_bytes(b"half")
    ensemble.run(faults.Noise(), wave, 2, rng=5, processes=1, store=store)
    assert not list(store.rglob("*.partial"))
