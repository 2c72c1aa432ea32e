"""Processes killed at random moments, and a disk that is full at every size: nothing lost, nothing double.

python benchmarks/faults.py [--kills 20] [--seed 0] [--only ensemble,reproduce,two,disk,small] [--json]

`ensemble` is an ensemble of 200 filaments in a Zarr store, `reproduce` is `halidrift reproduce kim2019 --quick` with
one film. Each runs in a process of its own, is ended with SIGKILL at a moment drawn evenly from the time that it takes
alone, and is started again until it is done; then the next campaign begins, until there were enough kills. One worker
process and two take turns. `two` runs that job twice at once in one folder. `disk` (as root, for it mounts a tmpfs)
fills a disk with the store of an ensemble, for every size of the disk in steps of a block; `small` gives the job a disk
that is too small and makes it a little larger each time. `two` and `small` compare with what `reproduce` left alone.
What is asked is asserted: the exit code is 1 if anything else comes out.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

from halidrift import Device, Waveform, trace
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.physics.errors import FullError
from halidrift.physics.randomness import generator

REPLICAS, SEED = 200, 11
_LEFT = (".part", ".partial", ".lock")
_BLOCK = 4096  # of a tmpfs


# -- processes and what they leave ----------------------------------------------------------------------------------


@dataclass
class Killed:
    """What a series of kills did.

    Attributes
    ----------
    kills : int
    campaigns : int
        Runs that were brought to their end.
    alone_s : float, s
        What one takes that nobody kills.
    moments_s : list of float, s
        When each kill came, after the start of its process.
    kept : list of int
        Replicas or stages that were finished at each kill.
    """

    kills: int = 0
    campaigns: int = 0
    alone_s: float = 0.0
    moments_s: list[float] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that writes what it says to a file."""
    with log.open("w") as said:
        return subprocess.Popen([sys.executable, *command], stdout=said, stderr=said)


def killed(command: list[str], after_s: float, log: Path) -> bool:
    """Start a process and end it with SIGKILL; False if it was done before."""
    job = started(command, log)
    try:
        job.wait(after_s)
    except subprocess.TimeoutExpired:
        children = psutil.Process(job.pid).children(recursive=True)
        job.send_signal(signal.SIGKILL)
        job.wait()
        alive = psutil.wait_procs(children, timeout=20)[1]
        assert not alive, f"workers outlive their parent: {alive}"
        if job.returncode == -signal.SIGKILL:
            return True
    assert job.returncode == 0, log.read_text()[-3000:]
    return False


def leftovers(folder: Path) -> list[Path]:
    """Everything below a folder that is not finished."""
    return [path for path in folder.rglob("*") if path.name.endswith(_LEFT)]


# -- an ensemble ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """A filament that writes down which replica it runs."""

    cell: FilamentKMC
    log: str = field(default="", repr=False)

    def simulate(self, waveform: Waveform, *, rng: Any = None) -> xr.Dataset:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{rng.bit_generator.seed_seq.spawn_key[-1]}\n")
        return self.cell.simulate(waveform, rng=rng)


def filaments(store: Path | None, log: str, processes: int, replicas: int = REPLICAS) -> xr.Dataset:
    """Narrow filaments under one pulse, most of which set."""
    cell = FilamentKMC(Device.load("john2022-ogb").with_parameters(column_width_m=3e-9))
    pulse = Waveform.pulses(1.0, 5e-3, 10e-3, 1, compliance_A=1e-6)
    return ensemble.run(Watched(cell, log), pulse, replicas, rng=SEED, processes=processes, store=store)


def counted(store: Path) -> set[int]:
    """Numbers of the replicas that count."""
    marks = store / "finished" / "c"
    return {int(name) for name in os.listdir(marks) if name.isdigit()} if marks.is_dir() else set()


def kill_ensembles(kills: int, seed: int, folder: Path, replicas: int = REPLICAS) -> Killed:
    """Kill ensembles; each must become, bit for bit, the one that was left alone, and run no finished replica again."""
    rng, found = np.random.default_rng([seed, 0]), Killed()
    log, said = folder / "ran.txt", folder / "said.txt"

    def command(store: Path, processes: int) -> list[str]:
        return [__file__, "--child", json.dumps([str(store), str(log), processes, replicas])]

    filaments(None, "", 1, replicas=1)  # compiled before the clock starts
    began = time.perf_counter()
    job = started(command(folder / "alone.zarr", 1), said)
    assert job.wait() == 0, said.read_text()
    found.alone_s = time.perf_counter() - began
    whole = ensemble.read(folder / "alone.zarr")
    while found.kills < kills:
        store, done = folder / f"{found.campaigns}.zarr", False
        while not done:
            before = counted(store)
            log.write_text("")
            moment = float(rng.uniform(0, found.alone_s))
            after_s = moment if found.kills < kills else 3600.0
            done = not killed(command(store, 1 + found.kills % 2), after_s, said)
            after, ran = counted(store), [int(line) for line in log.read_text().split()]
            assert before <= after, "a replica that counted was lost"
            assert not before & set(ran), "a replica that counted ran again"
            assert len(ran) == len(set(ran)), "a replica ran twice"
            if not done:
                found.kills += 1
                found.moments_s.append(round(moment, 3))
                found.kept.append(len(after))
        xr.testing.assert_identical(ensemble.read(store), whole)
        assert not leftovers(folder), leftovers(folder)
        shutil.rmtree(store)
        found.campaigns += 1
    return found


# -- reproduce ------------------------------------------------------------------------------------------------------


def reproduce(out: Path, workers: int) -> list[str]:
    """A small but real job."""
    options = ["--films", "3", "--quick", "--workers", str(workers), "--out", str(out)]
    return ["-m", "halidrift.pipeline.cli", "reproduce", "kim2019", *options]


def timeless(value: Any) -> Any:
    """Results without the seconds that they took."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k != "wall_s"}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def stages(out: Path) -> dict[str, tuple[int, int]]:
    """Every finished stage, with what changes if it is written again."""
    files = (out / ".stages").glob("[!.]*/stage.json")
    return {file.parent.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def assert_same_outputs(out: Path, alone: Path) -> None:
    """Complain unless two folders hold the same results, to the last bit but for times."""
    assert not leftovers(out), leftovers(out)
    mine, other = ({p.relative_to(f) for f in [f] for p in f.rglob("*") if p.is_file()} for f in (out, alone))
    assert mine == other, mine ^ other
    for name in mine:
        if name.suffix == ".nc":
            assert (out / name).read_bytes() == (alone / name).read_bytes(), name
        elif name.suffix == ".json":
            one, two = (json.loads((f / name).read_text(encoding="utf-8")) for f in (out, alone))
            assert timeless(one) == timeless(two), name


def kill_reproductions(kills: int, seed: int, folder: Path, compile_first: bool = True) -> Killed:
    """Kill jobs; each must leave the results of one left alone, and write no finished stage again."""
    rng, found = np.random.default_rng([seed, 1]), Killed()
    said, alone = folder / "said.txt", folder / "alone"
    for out in (folder / "first", alone) if compile_first else (alone,):
        began = time.perf_counter()
        job = started(reproduce(out, 1), said)
        assert job.wait() == 0, said.read_text()
        found.alone_s = time.perf_counter() - began
    while found.kills < kills:
        out, done = folder / str(found.campaigns), False
        while not done:
            before = stages(out)
            moment = float(rng.uniform(0, found.alone_s))
            after_s = moment if found.kills < kills else 3600.0
            done = not killed(reproduce(out, 1 + found.kills % 2), after_s, said)
            after = stages(out)
            assert before.items() <= after.items(), "a stage that was finished was lost, or written again"
            if not done:
                found.kills += 1
                found.moments_s.append(round(moment, 3))
                found.kept.append(len(after))
        assert_same_outputs(out, alone)
        shutil.rmtree(out)
        found.campaigns += 1
    return found


def two_at_once(folder: Path, alone: Path) -> dict[str, Any]:
    """Two jobs in one folder: both end well, the results are those of one alone, no stage is computed by both."""
    said = [folder / "first.txt", folder / "second.txt"]
    jobs = [started(reproduce(folder / "both", 1), log) for log in said]
    codes = [job.wait() for job in jobs]
    told = [log.read_text() for log in said]
    assert codes == [0, 0], told
    assert_same_outputs(folder / "both", alone)
    waits = [len(re.findall(r"^Stage \w+ is being computed by process", text, re.MULTILINE)) for text in told]
    return {"stages": len(stages(alone)), "waited for": waits}


def fill_reproduction(folder: Path, alone: Path, step: int = 200_000) -> dict[str, Any]:
    """A job on a disk that is too small, made a little larger each time, until the job is done."""
    said, size, kept = folder / "said.txt", step, []
    with disk(folder / "disk", size) as place:
        out = place / "out"
        while True:
            before = stages(out)
            code = started(reproduce(out, 1), said).wait()
            assert before.items() <= stages(out).items(), "a stage that was finished was lost, or written again"
            if code == 0:
                break
            told = " ".join(said.read_text().split())
            assert code == 1, told
            assert "No space left on device" in told, told
            assert "Free some space" in told, told
            assert "Traceback" not in told, told
            assert not leftovers(out), leftovers(out)
            kept.append(len(stages(out)))
            size += step
            enlarge(place, size)
        assert_same_outputs(out, alone)
    return {"full": len(kept), "kept": kept, "enough / B": size}


# -- a full disk ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of its own of a few bytes; PermissionError if this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    if not shutil.which("mount"):
        raise PermissionError(errno.EPERM, "no program mount")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(errno.EPERM, done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(folder: Path, size: int) -> None:
    """Free space on such a disk."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@dataclass(frozen=True)
class Noise:
    """As cheap as a simulation can be, and as large as is needed here."""

    log: list[int] = field(default_factory=list, repr=False)

    def simulate(self, waveform: Waveform, *, rng: Any = None) -> xr.Dataset:
        self.log.append(rng.bit_generator.seed_seq.spawn_key[-1])
        t = waveform.times_s
        G = generator(rng).random(t.size)
        v = waveform.voltage_at(t)
        return trace.make(waveform, model="Noise", device_voltage_V=v, current_A=v * G, conductance_S=G, parameters={})


def fill_stores(folder: Path, step: int = 1, replicas: int = 4) -> dict[str, int]:
    """Fill disks of every size in blocks with the store of an ensemble; each run must continue once there is space."""
    wave = Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=400)
    whole = ensemble.run(Noise(), wave, replicas, rng=5, processes=1)
    tried = {"sizes": 0, "full": 0, "full before the first replica": 0, "most kept": 0}
    for blocks in range(1, 10_000, step):
        with disk(folder / "disk", blocks * _BLOCK) as place:
            store, full = place / "runs.zarr", ""
            try:
                ensemble.run(Noise(), wave, replicas, rng=5, processes=1, store=store)
            except FullError as error:
                full = str(error)
            if full:
                assert "No space left on device" in full, full
                assert "Free some space" in full, full
            kept = counted(store)
            enlarge(place, 64 << 20)
            if kept:
                there = ensemble.read(store, partial=True)
                chosen = whole.conductance.values[there.replica.values]
                assert (there.conductance.values == chosen).all()
            again = Noise()
            xr.testing.assert_identical(ensemble.run(again, wave, replicas, rng=5, processes=1, store=store), whole)
            assert sorted(again.log) == [i for i in range(replicas) if i not in kept]
            assert not leftovers(place), leftovers(place)
        tried["sizes"] += 1
        tried["full"] += bool(full)
        tried["full before the first replica"] += bool(full) and not kept
        tried["most kept"] = max(tried["most kept"], len(kept) if full else 0)
        if not full:
            return tried
    raise AssertionError("no disk was large enough")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", default="ensemble,reproduce,two,disk,small")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        store, log, processes, replicas = json.loads(asked.child)
        filaments(Path(store), log, processes, replicas)
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="halidrift-faults-") as name:
        place = Path(name)
        kinds = {
            "ensemble": lambda folder: vars(kill_ensembles(asked.kills, asked.seed, folder)),
            "reproduce": lambda folder: vars(kill_reproductions(asked.kills, asked.seed, folder)),
            "two": lambda folder: two_at_once(folder, place / "reproduce" / "alone"),
            "disk": fill_stores,
            "small": lambda folder: fill_reproduction(folder, place / "reproduce" / "alone"),
        }
        for kind in asked.only.split(","):
            (place / kind).mkdir()
            found[kind] = kinds[kind](place / kind)
            if not asked.json:
                print(kind, *(f"  {key:30} {value}" for key, value in found[kind].items()), sep="\n", flush=True)
    if asked.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
