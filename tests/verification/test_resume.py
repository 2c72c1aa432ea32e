"""An ensemble that is killed and continued is, bit for bit, the one that was left alone: issue 4, "must show" 5.

Stated before the run: no tolerance. `assert_identical` compares values, names, dimensions and attributes.
"""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import xarray as xr
from distributed import LocalCluster

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.physics.device import CARDS
from halidrift.physics.errors import HalidriftError

REPLICAS, HALF, SEED = 100, 50, 11
# a narrow column: 850 sites instead of 9,826, else the card as it is; one pulse sets 98 of 100
CELL = FilamentKMC(Device.load("john2022-ogb").with_parameters(column_width_m=3e-9))
PULSE = Waveform.pulses(1.0, 5e-3, 10e-3, 1, compliance_A=1e-6)

RUN = f"""
import json, sys
from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble

cell = FilamentKMC(Device.load("john2022-ogb").with_parameters(column_width_m=3e-9))
pulse = Waveform.pulses(1.0, 5e-3, 10e-3, 1, compliance_A=1e-6)
ensemble.run(cell, pulse, {REPLICAS}, rng={SEED}, store=sys.argv[1], **json.loads(sys.argv[2]))
"""


def run(**options):
    return ensemble.run(CELL, PULSE, REPLICAS, rng=SEED, **options)


@pytest.fixture(scope="module")
def whole():
    """What nobody interrupted."""
    return run(processes=1)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


def finished(store):
    marks = store / "finished" / "c"
    return sum(name.isdigit() for name in os.listdir(marks)) if marks.is_dir() else 0


def killed_halfway(store, options, log):
    """Run in a process of its own and end it with SIGKILL once half of the replicas are there."""
    with log.open("w") as said:
        job = subprocess.Popen([sys.executable, "-c", RUN, str(store), json.dumps(options)], stdout=said, stderr=said)
        try:
            until = time.monotonic() + 120
            while finished(store) < HALF and job.poll() is None and time.monotonic() < until:
                time.sleep(2e-3)
            workers = psutil.Process(job.pid).children(recursive=True)
        finally:
            job.kill()
            job.wait()
    assert job.returncode == -signal.SIGKILL, log.read_text()
    return workers


def remaining(store, whole, **options):
    """Continue, and count how many replicas that took."""
    steps = []
    again = run(store=store, progress=lambda *step: steps.append(step), **options)
    xr.testing.assert_identical(again, whole)
    xr.testing.assert_identical(ensemble.read(store), whole)
    assert [done for done, _ in steps] == list(range(steps[0][0], REPLICAS + 1))
    return REPLICAS - steps[0][0]


# how it is killed, how it is continued: each way once as either
WAYS = [({"processes": 1}, {"processes": 2}), ({"processes": 2}, "dask"), ("dask", {"processes": 1})]


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), WAYS, ids=["1-2", "2-dask", "dask-1"])
def test_killed_halfway_and_continued_it_is_the_same(tmp_path, whole, cluster, first, second):
    address = {"dask": cluster.scheduler_address}
    store = tmp_path / "runs.zarr"
    workers = killed_halfway(store, address if first == "dask" else first, tmp_path / "log")
    there = finished(store)
    assert HALF <= there < REPLICAS
    # plain xarray sees those that count, whole, and nothing of the others
    with xr.open_zarr(store) as plain:
        done = plain.finished.values
        assert done.sum() == there
        assert (plain.conductance.values[done] == whole.conductance.values[done]).all()
        assert (plain.occupation.values[done] == whole.occupation.values[done]).all()
    # a killed run leaves no worker behind
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert remaining(store, whole, **(address if second == "dask" else second)) == REPLICAS - there


@pytest.mark.slow
def test_a_worker_process_that_dies_costs_what_it_was_running(tmp_path, whole):
    store, there = tmp_path / "runs.zarr", []
    others = psutil.Process().children()  # of the cluster

    def kill_one(done, _):
        if done == HALF:
            new = [child for child in psutil.Process().children() if child not in others]
            victim = next(child for child in new if "spawn_main" in " ".join(child.cmdline()))
            os.kill(victim.pid, signal.SIGKILL)
            there.append(victim.pid)

    with pytest.raises(HalidriftError, match="A worker process died"):
        run(store=store, processes=2, progress=kill_one)
    assert len(there) == 1
    kept = finished(store)
    assert HALF <= kept < REPLICAS
    assert remaining(store, whole, processes=2) == REPLICAS - kept


@pytest.mark.slow
def test_a_dask_worker_that_dies_costs_nothing(tmp_path, whole, cluster):
    killed = []

    def kill_one(done, _):
        if done == HALF:
            worker = next(iter(cluster.workers.values()))
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    again = run(store=tmp_path / "runs.zarr", dask=cluster.scheduler_address, progress=kill_one)
    assert len(killed) == 1
    xr.testing.assert_identical(again, whole)
    xr.testing.assert_identical(run(dask=cluster.scheduler_address), whole)


@pytest.mark.slow
def test_a_cluster_that_goes_away_leaves_what_came_before(tmp_path, whole):
    store = tmp_path / "runs.zarr"
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as lost:

        def leave(done, _):
            if done == 5:
                lost.close()

        with pytest.raises(HalidriftError, match="The Dask cluster failed"):
            run(store=store, dask=lost.scheduler_address, progress=leave)
    kept = finished(store)
    assert 5 <= kept < REPLICAS
    assert remaining(store, whole, processes=1) == REPLICAS - kept


@pytest.mark.slow
def test_numbers_do_not_depend_on_who_runs_them(whole, cluster):
    from distributed import Client

    xr.testing.assert_identical(run(processes=2), whole)
    with Client(cluster) as client:
        xr.testing.assert_identical(run(dask=client), whole)
        assert client.status == "running"  # a client of the caller stays open


@pytest.mark.slow
def test_the_command_line_asks_the_same_cluster(tmp_path, cluster):
    card, text = tmp_path / "narrow.toml", (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    old = next(line for line in text.splitlines() if line.startswith("column_width_m"))
    new = 'column_width_m = { value = 3, unit = "nm", kind = "assumed", reason = "a quick run", range = [3, 10] }'
    card.write_text(text.replace(old, new), encoding="utf-8")
    store = tmp_path / "runs.zarr"
    call = ["kmc", "run", card, "--waveform", "pulses amplitude=1V width=5ms period=10ms compliance=1uA"]
    call += ["--replicas", 6, "--seed", SEED, "--dask", cluster.scheduler_address, "--store", store]
    done = subprocess.run([sys.executable, "-m", "halidrift.pipeline.cli", *map(str, call)], capture_output=True)
    assert done.returncode == 0, done.stderr
    alone = ensemble.run(FilamentKMC(Device.load(card)), PULSE, 6, rng=SEED, processes=1)
    xr.testing.assert_identical(ensemble.read(store), alone)


# A process that ends itself with SIGKILL before the k-th change that it would make to the disk, for k = 1, 2, ...
EVERYWHERE = """
import json, os, signal, shutil, sys, warnings
from dataclasses import dataclass, field
from pathlib import Path

import dask.array  # here, not once in every child
import numpy as np
import xarray as xr
import zarr
from halidrift import Waveform, trace
from halidrift.kmc import ensemble
from halidrift.physics.randomness import generator

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
WAVE = Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=3)
FOLDER = Path(sys.argv[1]) / "place"
STORE = FOLDER / "runs.zarr"
CHANGES = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.chmod"}


@dataclass(frozen=True)
class Noise:
    log: list = field(default_factory=list, repr=False)

    def simulate(self, waveform, *, rng=None):
        self.log.append(rng.bit_generator.seed_seq.spawn_key[0])
        time, rng = waveform.times_s, generator(rng)
        G = rng.random(time.size)
        v = waveform.voltage_at(time)
        return trace.make(waveform, model="Noise", device_voltage_V=v, current_A=v * G, conductance_S=G,
                          parameters={}, attrs={"peak": float(G.max())})


def run(replicas, store=None, simulation=None):
    return ensemble.run(simulation or Noise(), WAVE, replicas, rng=5, processes=1, store=store)


def in_a_child(action):
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying(at, replicas):
    def action():
        changes = 0

        def hook(event, arguments):
            nonlocal changes
            if event not in CHANGES or not str(arguments[0]).startswith(str(FOLDER)):
                return
            if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            changes += 1
            if changes == at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        run(replicas, STORE)
    return action


def sound(before, replicas, whole):
    def action():
        done = []
        if STORE.exists():
            with xr.open_zarr(STORE) as plain:
                plain.load()
                done = list(np.flatnonzero(plain.finished.values))
                assert (plain.conductance.values[done] == whole.conductance.values[done]).all()
                assert (plain.replica.values == np.arange(plain.sizes["replica"])).all()
        assert len(done) >= before
        again = Noise()
        xr.testing.assert_identical(run(replicas, STORE, again), whole)
        assert again.log == [i for i in range(replicas) if i not in done], (again.log, done)
        xr.testing.assert_identical(ensemble.read(STORE), whole)
        assert [p.name for p in FOLDER.iterdir()] == ["runs.zarr"]
        assert not list(STORE.glob("*.partial")), list(STORE.glob("*.partial"))
    return action


tried = []
BASE = Path(sys.argv[1]) / "one.zarr"
assert in_a_child(lambda: run(1, BASE)) == 0
# a new store is filled beside its place and then moved: there, one change in 25 stands for all; but every change
# is tried when a store of one replica is extended by a second
for before, replicas, step in ((0, 1, 25), (1, 2, 1)):
    at, code, whole = 1 - step, -signal.SIGKILL, run(replicas)
    while code == -signal.SIGKILL:
        at += step
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        if before:
            shutil.copytree(BASE, STORE)
        code = in_a_child(dying(at, replicas))
        assert code in (0, -signal.SIGKILL), code
        assert in_a_child(sound(before, replicas, whole)) == 0, (before, at)
    tried.append(at - step)
print(json.dumps(tried))
"""


@pytest.mark.slow
def test_killed_before_any_change_to_the_disk_nothing_half_counts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", EVERYWHERE, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    new, extended = json.loads(done.stdout)
    # creation writes a dozen arrays and their metadata, an extension new metadata and the chunks of one replica
    assert new > 40
    assert extended > 20
