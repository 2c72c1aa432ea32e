import json
import math
import re

import numpy as np
import pytest
import xarray as xr

from halidrift import Device, Waveform
from halidrift.physics import trace as traces
from halidrift.physics.errors import DataError, HalidriftError, InputError, OutputError
from halidrift.pipeline import provenance, stages
from halidrift.pipeline.john2022 import STAGES, Settings, john2022, targets, verdicts
from halidrift.pipeline.john2022.job import stimuli
from halidrift.pipeline.targets import KINDS, _ids

DEVICE = Device.load("john2022-ogb")
TINY = Settings(
    seed=5,
    per_class=40,
    pulse_replicas=5,
    control_replicas=2,
    loop_replicas=1,
    amplitudes_V=(0.9, 1.2),
    compliances_A=(1e-4, 3e-4),
    retention_s=10.0,
    epochs=2,
    trainings=1,
    samples_per_V=10.0,
)


def small_trace(value=1.0):
    wave = Waveform.hold(0.1, 1.0, samples=5)
    g = np.full(5, 1e-6 * value)
    return traces.make(
        wave,
        model="test",
        device_voltage_V=wave.voltage_at(wave.times_s),
        current_A=0.1 * g,
        conductance_S=g,
        parameters={},
    )


def parts(folder):
    return [p for p in folder.rglob("*") if p.name.endswith(".part")]


# -- cache of stages ---------------------------------------------------------------------------------------------


def test_a_stage_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.float64(0.1), "n": np.arange(3), "lost": float("nan")}, {"t": small_trace()}

    cache = stages.Cache(tmp_path)
    first = cache.run("s", {"seed": 1}, ["physics"], compute)
    second = stages.Cache(tmp_path).run("s", {"seed": 1}, ["physics"], compute)
    assert calls == [1]
    assert (first.cached, second.cached) == (False, True)
    assert first.data == second.data == {"x": 0.1, "n": [0, 1, 2], "lost": None}
    xr.testing.assert_identical(first.traces["t"].load(), second.traces["t"])
    assert not parts(tmp_path)


def test_every_input_counts(tmp_path, monkeypatch):
    cache = stages.Cache(tmp_path)

    def key(inputs, levels=("physics",)):
        return cache.run("s", inputs, levels, lambda: ({}, {})).key

    base = key({"a": 1, "b": 2.0})
    assert key({"b": 2.0, "a": 1}) == base
    assert len({base, key({"a": 2, "b": 2.0}), key({"a": 1, "b": 2.0}, ["physics", "kmc"])}) == 3
    monkeypatch.setattr("halidrift.__version__", "0.0.0")
    assert key({"a": 1, "b": 2.0}) != base


def test_an_edit_of_the_physics_makes_a_new_key(tmp_path, monkeypatch):
    for folder in ("kmc", "fem"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "law.py").write_text("x = 1\n")
    monkeypatch.setattr(stages, "_PACKAGE", tmp_path)
    before = stages.source_digest("kmc"), stages.source_digest("fem")
    (tmp_path / "kmc" / "law.py").write_text("x = 2\n")
    assert stages.source_digest("kmc") != before[0]
    assert stages.source_digest("fem") == before[1]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_stage_that_does_not_finish_leaves_nothing(tmp_path, failure):
    cache = stages.Cache(tmp_path)

    def stop():
        raise failure

    with pytest.raises(failure):
        cache.run("s", {}, ["physics"], stop)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.traces, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        stages.Cache(tmp_path).run("s", {}, ["physics"], lambda: ({}, {"t": small_trace()}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "lost", "other"])
def test_a_damaged_result_is_computed_again(tmp_path, damage):
    cache = stages.Cache(tmp_path)

    def compute():
        return {"x": 1}, {"t": small_trace()}

    key = cache.run("s", {}, ["physics"], compute).key
    place = cache.place("s", key)
    if damage == "cut":
        (place / "t.nc").write_bytes((place / "t.nc").read_bytes()[:50])
    elif damage == "lost":
        (place / "t.nc").unlink()
    else:
        (place / "stage.json").write_text("{}")
    again = cache.run("s", {}, ["physics"], compute)
    assert not again.cached
    assert cache.run("s", {}, ["physics"], compute).cached


def test_fresh_forgets_and_left_parts_go(tmp_path):
    cache = stages.Cache(tmp_path)
    cache.run("s", {}, ["physics"], lambda: ({}, {}))
    (tmp_path / ".s-killed.part").mkdir()
    assert stages.Cache(tmp_path).run("s", {}, ["physics"], lambda: ({}, {})).cached
    assert not parts(tmp_path)
    assert not stages.Cache(tmp_path, fresh=True).run("s", {}, ["physics"], lambda: ({}, {})).cached


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_return_in_the_order_asked(processes):
    told = []
    with stages.Workers(processes) as workers:
        done = workers.map({str(i): (math.factorial, i) for i in range(5)}, lambda *n: told.append(n))
    assert list(done.items()) == [("0", 1), ("1", 1), ("2", 2), ("3", 6), ("4", 24)]
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_worker_arrives_whole(processes):
    with pytest.raises(InputError, match=r"No such device card.*nothing-like-it"), stages.Workers(processes) as workers:
        workers.map({"a": (Device.load, "nothing-like-it"), "b": (math.factorial, 2)}, lambda *_: None)


# -- targets -----------------------------------------------------------------------------------------------------


def test_verdict_follows_from_target_and_value():
    key = "J-DIFF-02/set voltage, volatile"
    assert targets.quantity(key, 0.7, device=DEVICE)["verdict"] == "hit"
    assert targets.quantity(key, 1.3, device=DEVICE)["verdict"] == "miss"
    lost = targets.quantity(key, None, device=DEVICE, note="did not switch")
    assert (lost["verdict"], lost["value"]) == ("miss", None)
    assert targets.quantity("J-NN-09/worst class", "Irregular", device=DEVICE)["verdict"] == "hit"
    assert targets.quantity("J-NN-09/worst class", "Tonic", device=DEVICE)["verdict"] == "miss"
    free = targets.quantity("J-ICC-02/spread of a programmed conductance at 1 mA", 1e-5, device=DEVICE)
    assert free["verdict"] == "no number to compare with"


def test_the_worst_class_must_stand_out_of_all_scatter():
    names = ("a", "b", "c", "d")
    steady = np.array([[0.9, 0.8, 0.95, 0.9]] * 5)
    assert verdicts.worst_class(steady, names, 1000) == "b"
    assert verdicts.worst_class(steady, names, 10) is None  # counting error of 0.16
    # overlapping test sets are no more patterns: 0.02 apart at a counting error of 0.022, however many trainings
    assert verdicts.worst_class(np.array([[0.5, 0.52, 0.9, 0.9]] * 50), names, 1000) is None
    # as far apart on average, but first one and then the other is worst
    swapped = np.array([[0.2, 0.9, 1, 1], [0.9, 0.2, 1, 1], [0.2, 0.9, 1, 1], [0.9, 0.2, 1, 1], [0.3, 0.6, 1, 1]])
    assert verdicts.worst_class(swapped, names, 1000) is None
    assert verdicts.worst_class(swapped[:1], names, 1000) == "a"


def test_what_a_parameter_was_fitted_to_is_no_prediction():
    fitted = {i for p in DEVICE.parameters.values() if p.kind == "calibrated" for i in _ids(p.fitted_to)}
    assert {"J-DIFF-02", "J-DIFF-08"} <= fitted
    for key, target in targets.TARGETS.items():
        made = targets.quantity(key, 1.0, device=DEVICE)
        assert made["kind"] == ("calibrated" if target.id in fitted else "predicted"), key


def test_every_target_says_where_it_is_printed():
    for target in targets.TARGETS.values():
        assert target.locator
        assert target.source == "John2022" or target.id.startswith("X-")
        assert target.low <= target.high


# -- settings and stimuli ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_class": 1},
        {"seed": -1},
        {"seed": float("nan")},
        {"trainings": 0},
        {"compliances_A": (1e-3, 1e-4)},
        {"compliances_A": (1e-5, float("nan"))},
        {"amplitudes_V": (1.0,)},
        {"epochs": 1.5},
        {"temperature_K": float("nan")},
        {"retention_s": -1.0},
    ],
)
def test_bad_settings_raise(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


def test_stimuli_are_those_of_the_paper():
    waves = stimuli(Settings())
    pulses = waves["pulses_1V"]
    assert pulses.voltage_V.max() == 1.0
    assert pulses.compliance_A.max() == 1e-6
    ends = pulses.time_s[1:][np.diff(pulses.voltage_V) < 0][0]
    assert ends == pytest.approx(20e-3, abs=2e-6)  # the edge takes 1 us
    loop = waves["loop_0.001A"]
    assert (loop.voltage_V.max(), loop.voltage_V.min()) == (5.0, -7.0)
    assert loop.compliance_at(5.0) == 1e-3
    assert np.isinf(loop.compliance_at(15.0))
    write = waves["write"]
    above = write.times_s[write.voltage_at(write.times_s) >= 2.5]
    assert np.ptp(above) == pytest.approx(5e-3, abs=1e-4)  # full width at half maximum, samples every 0.05 ms


# -- the job -----------------------------------------------------------------------------------------------------


def test_the_folder_is_tried_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        john2022(tmp_path / "file" / "out", settings=TINY, progress=lambda *_: pytest.fail("work was done"))


def test_a_card_is_read_before_any_work(tmp_path):
    card = tmp_path / "bad.toml"
    card.write_text("schema = 1\n")
    with pytest.raises(DataError, match=r"bad\.toml"):
        john2022(tmp_path / "out", settings=TINY, device=card, progress=lambda *_: pytest.fail("work was done"))


def test_processes_are_checked(tmp_path):
    with pytest.raises(InputError, match="processes"):
        john2022(tmp_path, settings=TINY, processes=0)


@pytest.mark.slow
def test_an_interrupted_run_keeps_what_is_finished(tmp_path):
    def stop(stage, done, total, note):
        if stage == "kmc_volatile" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        john2022(tmp_path, settings=TINY, processes=2, progress=stop)
    kept = [p.name.split("-")[0] for p in (tmp_path / ".stages").iterdir()]
    assert kept == ["barriers"]
    assert not parts(tmp_path)
    assert not (tmp_path / "results.json").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("john")
    told = []
    return john2022(folder, settings=TINY, processes=2, progress=lambda *a: told.append(a)), told


@pytest.mark.slow
def test_every_stage_reports_and_every_file_is_there(finished):
    job, told = finished
    assert list(dict.fromkeys(stage for stage, *_ in told)) == list(STAGES)
    assert all(done == total for done, total in {s: (d, t) for s, d, t, _ in told}.values())
    names = {p.name for p in job.folder.iterdir()}
    assert names >= {"results.json", "report.html", "traces", "cell.sp", "cell.va", "synapse.sp", "synapse.va"}
    assert not parts(job.folder)
    for file in job.results["traces"].values():
        data = xr.load_dataset(job.folder / file, engine="scipy")
        assert all("units" in v.attrs for v in data.data_vars.values()), file


@pytest.mark.slow
def test_results_follow_the_schema(finished):
    job, _ = finished
    results = json.loads((job.folder / "results.json").read_text(encoding="utf-8"))
    for row in results["quantities"]:
        assert {"id", "quantity", "value", "unit", "kind", "target", "source", "uncertainty", "verdict", "note"} <= set(
            row
        )
        assert row["kind"] in KINDS
        assert row["verdict"] in ("hit", "miss", "no number to compare with")
        assert row["value"] is not None or row["note"]
    ids = {row["id"] for row in results["quantities"]}
    assert ids == {t.id for t in targets.TARGETS.values()}
    assert {row["kind"] for row in results["quantities"]} == set(KINDS)
    calibrated = {p.name for p in DEVICE.parameters.values() if p.kind == "calibrated"}
    assert {p["name"] for p in results["calibrated_parameters"]} == calibrated
    assert all(p["fitted_to"] for p in results["calibrated_parameters"])
    assert "No accuracy" in results["statement"]
    for name in ("volatile", "nonvolatile"):
        assert any(p["standard_error"] for p in results["fitted_parameters"][name])
    assert any(line.startswith("[John2022]") for line in results["references"])


@pytest.mark.slow
def test_the_report_stands_alone(finished, page_problems):
    job, _ = finished
    page = (job.folder / "report.html").read_text(encoding="utf-8")
    assert page_problems(page) == []
    assert page.count("data:image/png;base64,") == 2 * 10  # for a wide screen and a narrow one
    for file in re.findall(r'href="([^"#]+)"', page):
        assert (job.folder / file).is_file()
    assert 'src="http' not in page
    assert "<link" not in page
    assert "<script" not in page
    for row in job.results["quantities"]:
        assert row["id"] in page
        assert f'class="{row["verdict"]}"' in page or row["verdict"].startswith("no number")


@pytest.mark.slow
def test_the_table_of_conventions_begins_with_the_readouts_of_the_job(finished):
    """Same trains, splits and seeds: the literal lines are the numbers of the readout stage, to the last digit."""
    job, _ = finished
    lines, readouts = job.results["conventions"]["lines"], job.results["readouts"]
    for name, rule in (("literal", "delta"), ("icc", "icc")):
        accuracy = 100.0 * float(np.mean(readouts[rule]["test_accuracy"]))
        assert lines[name]["accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert all(line["why"] for line in lines.values())
    page = (job.folder / "report.html").read_text(encoding="utf-8")
    assert "What the accuracy depends on" in page
    assert lines["phase"]["words"] in page


@pytest.mark.slow
def test_every_number_can_be_traced(finished):
    job, _ = finished
    results = provenance.read(job.folder)
    for row in results["quantities"]:
        for node in provenance.lineage(results, f"{row['id']}/{row['quantity']}"):
            below = list(node.walk())
            assert any(n.kind in ("stage", "device") for n in below), row["quantity"]
            assert not any("not among" in n.facts["text"] for n in below if n.kind == "reference")
    [node] = provenance.lineage(results, "accuracy_icc")
    below = list(node.walk())
    order = ["readouts", "reservoir", "compact", "kmc_volatile", "kmc_nonvolatile", "fem"]
    assert [n.name for n in below if n.kind == "stage" and not n.facts.get("told")] == order
    assert {n.name for n in below if n.kind == "model"} == {"volatile", "nonvolatile"}
    assert {n.name for n in below if n.kind == "barrier"} == {row["barrier"] for row in results["barriers"]}
    seeds = [n.facts["settings"]["seed"] for n in below if "seed" in n.facts.get("settings", {})]
    assert set(seeds) == {TINY.seed}


@pytest.mark.slow
def test_a_second_run_reads_everything_and_says_the_same(finished):
    job, _ = finished
    before = (job.folder / "results.json").read_text(encoding="utf-8")
    told = []
    again = john2022(job.folder, settings=TINY, processes=1, progress=lambda *a: told.append(a))
    assert all(result.cached for result in again.stages.values())
    assert [stage for stage, _, _, note in told if note == "cached"] == [s for s in STAGES if s != "report"]
    assert (job.folder / "results.json").read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_another_seed_is_computed_anew(finished):
    job, _ = finished
    other = Settings(**{**{f: getattr(TINY, f) for f in TINY.__dataclass_fields__}, "seed": 6})
    seen = []

    class Enough(HalidriftError):
        pass

    def watch(stage, done, total, note):
        seen.append((stage, note))
        if stage == "kmc_volatile":
            raise Enough("this stage was not read")

    with pytest.raises(Enough):
        john2022(job.folder, settings=other, processes=1, progress=watch)
    assert seen == [("barriers", "cached"), ("kmc_volatile", "")]


@pytest.mark.slow
def test_the_same_seed_in_another_folder_gives_the_same_kmc(finished, tmp_path):
    job, _ = finished

    class Enough(HalidriftError):
        pass

    def watch(stage, done, total, note):
        if stage == "kmc_volatile" and note:
            raise Enough("the stage that is compared is done")

    with pytest.raises(Enough):
        john2022(tmp_path, settings=TINY, processes=1, progress=watch)
    [place] = (tmp_path / ".stages").glob("kmc_volatile-*")
    for name, trace in job.stages["kmc_volatile"].traces.items():
        xr.testing.assert_identical(xr.load_dataset(place / f"{name}.nc", engine="scipy"), trace.load())
