import dataclasses
import doctest
import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import xarray as xr

import halidrift
from halidrift import Device, Waveform, trace
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.kmc import identity as identities
from halidrift.physics.errors import ConvergenceError, DataError, InputError, OutputError
from halidrift.physics.randomness import generator, recall

WAVE = Waveform.hold(0.1, 1.0, compliance_A=1e-6, samples=5)


@dataclass(frozen=True)
class Noise:
    """As cheap as a simulation can be: a conductance that wanders."""

    level_S: float = 1e-6
    table: dict[str, Any] = field(default_factory=lambda: {"a": [1, 2.5], "b": None})
    patience: int = field(default=3, repr=False)
    log: list[str] = field(default_factory=list, repr=False, compare=False)  # seeds of what was simulated

    def simulate(self, waveform, *, rng=None):
        rng = generator(rng)
        time = waveform.times_s
        self.log.append(str(rng.bit_generator.seed_seq.spawn_key))
        G = self.level_S * np.exp(rng.normal(size=time.size))
        made = trace.make(
            waveform,
            model="Noise",
            device_voltage_V=waveform.voltage_at(time),
            current_A=waveform.voltage_at(time) * G,
            conductance_S=G,
            parameters={"level_S": self.level_S},
            seed="of this replica",
            extra={
                "picture": (("x", "y"), rng.integers(0, 3, (2, 3)).astype(np.int8), "1", "a picture"),
                "largest": ((), G.max(), "S", "largest conductance"),
                "on": ("time", self.level_S < G, "1", "whether on"),
            },
            attrs={"counts": json.dumps({"drawn": int(G.size)}), "peak": float(G.max()), "note": "as it is"},
        )
        return made.assign_coords(x=("x", [0.1, 0.2], {"units": "m"}))


def run(store=None, replicas=4, simulation=None, waveform=WAVE, rng=7, **options):
    return ensemble.run(simulation or Noise(), waveform, replicas, rng=rng, processes=1, store=store, **options)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs.zarr"


def stop_after(done):
    def progress(now, _):
        if now == done:
            raise KeyboardInterrupt

    return progress


# -- in memory ---------------------------------------------------------------------------------------------------


def test_the_stack_holds_what_each_replica_was():
    whole = run()
    parent = generator(7)
    for i, stream in enumerate(parent.spawn(4)):
        one = Noise().simulate(WAVE, rng=stream)
        for name in one.data_vars:
            mine = whole[name] if name == "voltage" else whole[name].isel(replica=i)
            np.testing.assert_array_equal(mine, one[name])
            assert mine.dtype == one[name].dtype
            assert mine.attrs == one[name].attrs
        assert json.loads(whole.attrs["peak"])[i] == one.attrs["peak"]
    assert whole.voltage.dims == ("time",)
    assert json.loads(whole.attrs["counts"]) == [{"drawn": 5}] * 4
    assert json.loads(whole.attrs["note"]) == ["as it is"] * 4
    assert whole.attrs["parameters"] == '{"level_S": 1e-06}'
    np.testing.assert_array_equal(whole.replica, range(4))
    trace.check(whole)


def test_a_replica_replays_from_the_seed_of_its_ensemble():
    whole = run(rng=np.random.default_rng(3))
    again = Noise().simulate(WAVE, rng=recall(whole.attrs["seed"]).spawn(3)[2])
    np.testing.assert_array_equal(whole.conductance.isel(replica=2), again.conductance)


def test_a_generator_continues_after_an_ensemble():
    rng = np.random.default_rng(3)
    first, second = run(rng=rng), run(rng=rng)
    assert not first.equals(second)
    np.testing.assert_array_equal(
        second.conductance.isel(replica=0),
        Noise().simulate(WAVE, rng=np.random.default_rng(3).spawn(5)[4]).conductance,
    )


def test_it_is_written_as_any_trace(tmp_path):
    whole = run()
    kept = trace.read(trace.write(whole, tmp_path / "runs.nc"))
    np.testing.assert_array_equal(kept.conductance, whole.conductance)
    assert kept.attrs["seed"] == whole.attrs["seed"]


# -- in a store --------------------------------------------------------------------------------------------------


def test_a_store_changes_no_bit(store):
    whole = run()
    xr.testing.assert_identical(run(store), whole)
    xr.testing.assert_identical(ensemble.read(store), whole)
    assert list(ensemble.read(store).data_vars) == list(whole.data_vars)
    assert sorted(p.name for p in store.parent.iterdir()) == [store.name]  # no lock, no temporary file


def test_plain_xarray_opens_it(store):
    whole = run(store)
    plain = xr.open_zarr(store)
    assert plain.finished.values.all()
    assert plain.attrs["model"] == "Noise"
    for name in whole.variables:
        np.testing.assert_array_equal(plain[name], whole[name])
        assert plain[name].dtype == whole[name].dtype
        assert plain[name].attrs == whole[name].attrs


def test_an_interrupted_run_is_continued_where_it_stopped(store):
    first, second, steps = Noise(), Noise(), []
    with pytest.raises(KeyboardInterrupt):
        run(store, simulation=first, progress=stop_after(2))
    plain = xr.open_zarr(store)
    np.testing.assert_array_equal(plain.finished, [True, True, False, False])
    assert np.isnan(plain.conductance[2:]).all()
    with pytest.raises(InputError, match="2 of 4 replicas"):
        ensemble.read(store)
    part = ensemble.read(store, partial=True)
    xr.testing.assert_identical(run(store, simulation=second, progress=lambda *step: steps.append(step)), run())
    assert first.log + second.log == [f"({i},)" for i in range(4)]  # nothing lost, nothing twice
    assert steps == [(2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(part.conductance, run().conductance[:2])
    np.testing.assert_array_equal(part.replica, [0, 1])


def test_a_finished_store_simulates_nothing(store):
    run(store)
    idle = Noise()
    xr.testing.assert_identical(run(store, simulation=idle), run())
    assert idle.log == []


def test_more_replicas_extend_it_and_fewer_are_its_first(store):
    run(store, 2)
    idle, more = Noise(), Noise()
    xr.testing.assert_identical(run(store, 5, simulation=more), run(replicas=5))
    assert more.log == ["(2,)", "(3,)", "(4,)"]
    xr.testing.assert_identical(run(store, 3, simulation=idle), run(replicas=3))
    assert idle.log == []
    xr.testing.assert_identical(ensemble.read(store), run(replicas=5))
    assert xr.open_zarr(store).sizes["replica"] == 5


def test_no_seed_takes_that_of_the_store(store):
    first = run(store, 2, rng=None)
    both = run(store, 3, rng=None)
    assert both.attrs["seed"] == first.attrs["seed"]
    xr.testing.assert_identical(both, run(replicas=3, rng=recall(first.attrs["seed"])))


def test_replicas_come_in_any_order(store):
    from halidrift.kmc.store import Store

    whole, streams = run(), generator(7).spawn(4)
    with Store.held(store) as kept:
        kept.claim(identities.identity(Noise(), WAVE, whole.attrs["seed"]), 4)
        for i in (2, 0, 3, 1):
            kept.put(i, Noise().simulate(WAVE, rng=streams[i]))
    xr.testing.assert_identical(ensemble.read(store), whole)


# -- what it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"simulation": Noise(level_S=2e-6)}, ["level_S is 1e-06, asked 2e-06"]),
        ({"simulation": Noise(table={"a": [1, 3], "b": None})}, ["table.a is [1, 2.5], asked [1, 3]"]),
        ({"waveform": WAVE.with_compliance(1e-3)}, ["compliance 1e-06 A", "asked", "compliance 0.001 A"]),
        ({"waveform": WAVE.with_samples([0.3])}, ["samples_s of the waveform"]),
        ({"rng": 8}, ["seed.entropy is 7, asked 8"]),
        ({"rng": np.random.default_rng(7).spawn(1)[0]}, ["seed.spawn_key is [], asked [0]"]),
        ({"simulation": Noise(level_S=3e-6), "rng": 9}, ["level_S is", "seed.entropy is 7, asked 9"]),
    ],
)
def test_another_ensemble_is_refused_in_words(store, changed, words):
    before = run(store, 2)
    with pytest.raises(InputError, match="holds another ensemble") as error:
        run(store, 2, **changed)
    for word in words:
        assert word in str(error.value)
    xr.testing.assert_identical(ensemble.read(store), before)


def test_another_version_or_other_code_is_refused(store, monkeypatch):
    run(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(halidrift, "__version__", "9.9")
        with pytest.raises(InputError, match=r"version of halidrift is .*, asked 9\.9"):
            run(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(identities, "_digest", lambda levels: "other")
        with pytest.raises(InputError, match="code of the simulation has changed"):
            run(store, 2)
    run(store, 2)


def test_a_limit_on_patience_may_change(store):
    run(store, 2)
    run(store, 3, simulation=Noise(patience=99))


def test_the_code_of_a_filament_counts():
    assert identities.source_digest(FilamentKMC(Device.load("john2022-ogb"))) != identities.source_digest(Noise())


def test_two_runs_on_one_store_exclude_each_other(store):
    refused = []

    def intrude(done, _):
        if done == 2:
            with pytest.raises(InputError, match=f"in use by another run.*process {os.getpid()}") as error:
                run(store)
            refused.append(error)
            assert ensemble.read(store, partial=True).sizes["replica"] == 2  # who reads is let in

    xr.testing.assert_identical(run(store, progress=intrude), run())
    assert len(refused) == 1
    assert [p.name for p in store.parent.iterdir()] == [store.name]


def test_the_lock_of_a_dead_run_is_no_lock(store):
    (store.parent / f".{store.name}.lock").write_text("process 1 on a machine that is gone")
    left = store.parent / f".{store.name}.abc.part"
    left.mkdir()
    run(store)
    assert [p.name for p in store.parent.iterdir()] == [store.name]


@pytest.mark.parametrize("damage", ["missing", "short", "flipped"])
def test_damage_is_named_and_mended_as_told(store, damage):
    whole = run(store)
    chunk = store / "conductance" / "c" / "2" / "0"
    content = chunk.read_bytes()
    chunk.unlink()
    if damage != "missing":
        chunk.write_bytes(content[:7] if damage == "short" else content[:7] + bytes([content[7] ^ 1]) + content[8:])
    for ask in (lambda: ensemble.read(store), lambda: run(store)):
        with pytest.raises(DataError, match=r"conductance, replica 2.*Delete .*finished") as error:
            ask()
    os.unlink(str(error.value).split("Delete ")[1].split(" and run again")[0])
    again = Noise()
    xr.testing.assert_identical(run(store, simulation=again), whole)
    assert again.log == ["(2,)"]


def test_a_replica_of_another_form_is_refused(store):
    @dataclass(frozen=True)
    class Moody(Noise):
        def simulate(self, waveform, *, rng=None):
            made = super().simulate(waveform, rng=rng)
            return made if len(self.log) < 3 else made.assign_coords(x=("x", [0.1, 0.3], {"units": "m"}))

    for place in (None, store):
        with pytest.raises(InputError, match=r"Replica 2 is of another form.*got 'x'"):
            run(place, simulation=Moody())
    assert ensemble.read(store, partial=True).sizes["replica"] == 2


def test_a_replica_that_fails_leaves_those_before_it(store):
    @dataclass(frozen=True)
    class Brittle(Noise):
        def simulate(self, waveform, *, rng=None):
            if len(self.log) == 2 and self.patience < 5:
                raise ConvergenceError("diverged")
            return super().simulate(waveform, rng=rng)

    with pytest.raises(ConvergenceError, match="diverged"):
        run(store, simulation=Brittle())
    again = Brittle(patience=5)
    np.testing.assert_array_equal(run(store, simulation=again).conductance, run().conductance)
    assert again.log == ["(2,)", "(3,)"]


def test_what_is_not_a_store_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not a store of an ensemble"):
        run(tmp_path / "mine")
    xr.Dataset({"a": ("x", [1.0])}).to_zarr(tmp_path / "other.zarr", zarr_format=2)
    with pytest.raises(DataError, match="not a store of an ensemble"):
        run(tmp_path / "other.zarr")
    with pytest.raises(InputError, match="A store is a folder"):
        run(tmp_path / "mine" / "notes.txt")
    with pytest.raises(OutputError, match="cannot be written"):
        run(tmp_path / "mine" / "notes.txt" / "runs.zarr")
    with pytest.raises(InputError, match="folder of this machine"):
        run("s3://bucket/runs.zarr")
    with pytest.raises(InputError, match="No such store"):
        ensemble.read(tmp_path / "nothing.zarr")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty")


def test_a_simulation_that_does_not_tell_its_parameters_has_no_store(store):
    class Silent:
        def simulate(self, waveform, *, rng=None):
            return Noise().simulate(waveform, rng=rng)

    run(simulation=Silent())
    with pytest.raises(InputError, match=r"parameters of its simulation.*Silent"):
        run(store, simulation=Silent())
    with pytest.raises(InputError, match="table cannot be written down"):
        run(store, simulation=Noise(table=object()))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ensemble.run(Noise(), WAVE, 0), "replicas"),
        (lambda: ensemble.run(Noise(), WAVE, 1.5), "replicas"),
        (lambda: ensemble.run(Noise(), WAVE, "3"), "replicas"),
        (lambda: ensemble.run(Noise(), WAVE, True), "replicas"),
        (lambda: ensemble.run(Noise(), WAVE, 2, processes=0), "processes"),
        (lambda: ensemble.run(Noise(), [1, 2], 2), "Waveform"),
        (lambda: ensemble.run(Noise(), WAVE, 2, processes=2, dask="tcp://localhost:1"), "exclude"),
        (lambda: ensemble.run(Noise(), WAVE, 2, dask="localhost"), "tcp://host:8786"),
        (lambda: ensemble.run(Noise(), WAVE, 2, dask=5), "address or a client"),
        (lambda: ensemble.run(Noise(table=lambda: 0), WAVE, 2, processes=2), "cannot be sent"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize(("library", "option"), [("zarr", "store"), ("distributed", "dask")])
def test_a_missing_library_is_told_with_its_remedy(tmp_path, monkeypatch, library, option):
    monkeypatch.setitem(sys.modules, library, None)
    value = {"store": tmp_path / "runs.zarr", "dask": "tcp://localhost:8786"}[option]
    with pytest.raises(InputError, match=r"not installed.*pip install 'halidrift\[campaign\]'"):
        ensemble.run(Noise(), WAVE, 2, **{option: value})
    run()  # and needed for nothing else
    assert list(tmp_path.iterdir()) == []


def test_an_old_zarr_is_refused(store, monkeypatch):
    import zarr

    monkeypatch.setattr(zarr, "__version__", "3.1.2")
    with pytest.raises(InputError, match=r"does not write its files whole.*'3\.1\.2'.*>= 3\.1\.3"):
        run(store)


def test_an_ensemble_loads_zarr_and_dask_only_when_asked():
    code = (
        "import sys, halidrift.kmc.ensemble; "
        "print([m for m in ('zarr', 'distributed', 'dask', 'ase', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_store_moves(store, tmp_path):
    whole = run(store, 2)
    shutil.move(store, tmp_path / "elsewhere.zarr")
    xr.testing.assert_identical(ensemble.read(tmp_path / "elsewhere.zarr"), whole)


# -- what the simulation of a replica refuses ------------------------------------------------------------------------

CARD = Device.load("john2022-ogb")


def without(*names):
    return dataclasses.replace(CARD, parameters={n: p for n, p in CARD.parameters.items() if n not in names})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: FilamentKMC(Device.load("kim2019-n3")),
            ["This card is for another model", "kim2019-n3", "bond_energy"],
        ),
        (
            lambda: FilamentKMC(without("leakage_S")),
            ["The card lacks a parameter", "without the parameters leakage_S'"],
        ),
        (lambda: FilamentKMC("john2022-ogb"), ["must be a Device", "Device.load"]),
        (lambda: FilamentKMC(CARD, temperature_K="hot"), ["temperature_K must be a number", "'hot'"]),
        (lambda: FilamentKMC(CARD, temperature_K=None), ["temperature_K must be a number", "'None'"]),
        (lambda: FilamentKMC(CARD, most_events=True), ["most_events must be a number", "'True'"]),
        (lambda: FilamentKMC(CARD).simulate([1, 2]), ["takes a Waveform", "[1, 2]"]),
        (lambda: FilamentKMC(CARD).simulate(None), ["takes a Waveform", "None"]),
    ],
)
def test_a_filament_refuses_what_it_cannot_simulate(make, words):
    with pytest.raises(InputError) as error:
        make()
    for word in words:
        assert word in str(error.value)


def test_a_filament_checks_every_parameter_that_it_reads(monkeypatch):
    from halidrift.kmc import simulation

    read = set()
    value = Device.value
    monkeypatch.setattr(Device, "value", lambda device, name: read.add(name) or value(device, name))
    FilamentKMC(CARD.with_parameters(column_width_m=3e-9)).simulate(WAVE, rng=1)
    assert sorted(read) == list(simulation._PARAMETERS)


@pytest.mark.parametrize("module", ["ensemble", "identity"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.kmc.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
