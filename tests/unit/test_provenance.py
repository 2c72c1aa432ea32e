"""Tracing a number back, on the results of a small job that the code itself writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from halidrift import Device, Waveform
from halidrift.physics import trace as traces
from halidrift.physics.citations import citations
from halidrift.physics.database import Database
from halidrift.physics.errors import DataError, InputError, OutputError
from halidrift.physics.parameters import Parameter
from halidrift.pipeline.campaign import Campaign, Stages, barrier_row, finish, parameters
from halidrift.pipeline.cli import app
from halidrift.pipeline.john2022 import Settings
from halidrift.pipeline.john2022.targets import TARGETS
from halidrift.pipeline.provenance import lineage, names, read
from halidrift.pipeline.targets import quantity

ICC = TARGETS["J-NN-07/Icc readout: test accuracy"]
SET = TARGETS["J-DIFF-02/set voltage, volatile"]


_SPREAD = "from device to device ± 0.01 eV (assumed: of a film)"


def pulse():
    wave = Waveform.hold(0.1, 1.0, samples=5)
    g = np.full(5, 1e-6)
    return traces.make(
        wave,
        model="test",
        device_voltage_V=wave.voltage_at(wave.times_s),
        current_A=0.1 * g,
        conductance_S=g,
        parameters={},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A job of three stages: simulation, fit, network."""
    card = Device.load("john2022-ogb")
    hop = card["hop_barrier_eV"]
    spread = Parameter("spread of hop_barrier_eV", 0.01, "eV", "assumed", reason="of a film", range=(0.0, 0.02))
    card = replace(card, parameters={**card.parameters, hop.name: replace(hop, spread=spread)})
    job = Campaign("john2022", tmp_path_factory.mktemp("job"), Settings(seed=7, per_class=40), (card,))
    stage = Stages(job, "pipeline/provenance.py")
    stage("kmc", {}, ["physics"], lambda step: ({}, {"sweep": pulse(), "rest": pulse()}), settings=("seed",))
    model = {"name": "tau_s", "value": 6e-3, "unit": "s", "standard_error": 4e-4, "kind": "fitted", "origin": "sweep"}
    stage("compact", {}, ["compact"], lambda step: ({}, {}), after=("kmc",), models=("volatile", "nonvolatile"))
    stage(
        "readouts",
        {},
        ["compact"],
        lambda step: ({}, {}),
        after=("compact", "kmc"),
        settings=("seed", "epochs"),
        models=("nonvolatile",),
    )
    database = Database.load()
    rows = [database.get(p.barrier) for p in card.parameters.values() if p.barrier]

    def results():
        everything, fitted = parameters(card)
        return {
            "device": card.name,
            "quantities": [
                quantity(ICC, 84.1, device=card, uncertainty=0.4, stages=("readouts",), made_by="IccReadout"),
                quantity(SET, 0.7, device=card, stages=("kmc/sw*",), made_by="KMC"),
            ],
            "device_parameters": everything,
            "calibrated_parameters": fitted,
            "fitted_parameters": {"volatile": [model], "nonvolatile": [{**model, "name": "slope", "unit": "1/V"}]},
            "barriers": [barrier_row(row) for row in rows],
            "references": citations(card, "John2022", *(key for row in rows for key in row.sources)).splitlines(),
        }

    finish(job, lambda *_: None, results, lambda: "")
    return job.folder


def test_a_number_leads_to_the_references(folder):
    results = read(folder / "results.json")
    [node] = lineage(results, "accuracy_icc")
    assert node.facts["value"] == 84.1
    assert [c.name for c in node.children] == ["readouts", "John2022"]
    readouts = node.children[0]
    assert readouts.facts["settings"] == {"seed": 7, "epochs": 5}
    assert [(c.kind, c.name) for c in readouts.children] == [
        ("model", "nonvolatile"),
        ("stage", "compact"),
        ("stage", "kmc"),
    ]
    [slope] = readouts.children[0].children
    assert slope.facts == {"value": 6e-3, "unit": "1/V", "standard_error": 4e-4, "kind": "fitted", "origin": "sweep"}
    kmc = readouts.children[1].children[-1]
    assert kmc.facts["files"] == ["traces/kmc-sweep.nc", "traces/kmc-rest.nc"]
    assert readouts.children[2].facts["told"]  # the same stage, told where it came first
    [card] = kmc.children
    hop = next(c for c in card.children if c.name == "hop_barrier_eV")
    given = Device.load("john2022-ogb")["hop_barrier_eV"]
    assert hop.facts["value"] == given.value
    [barrier] = hop.children
    assert barrier.name == given.barrier
    assert barrier.facts["locator"]
    assert barrier.children[0].facts["text"].endswith(".")
    # every number of the card is there, each with its kind
    everything = {c.name for c in card.children}
    assert everything > set(Device.load("john2022-ogb").parameters) | {"area_m2"}
    assert all(c.facts["kind"] in ("published", "calibrated", "assumed") for c in card.children)


def test_a_number_names_its_traces(folder):
    [node] = lineage(read(folder), "J-DIFF-02")
    assert node.children[0].facts["files"] == ["traces/kmc-sweep.nc"]


@pytest.mark.parametrize(
    "name",
    ["accuracy_icc", "J-NN-07", "Icc readout: test accuracy", "icc-readout test accuracy", f"{ICC.id}/{ICC.name}"],
)
def test_a_number_has_several_names(folder, name):
    assert [n.name for n in lineage(read(folder), name)] == ["Icc readout: test accuracy"]


def test_unknown_names_list_the_nearest(folder):
    with pytest.raises(InputError, match=r"acuracy_icc.*allowed: accuracy_icc"):
        lineage(read(folder), "acuracy_icc")
    with pytest.raises(InputError, match=r"allowed: .*J-NN-07"):
        lineage(read(folder), "J-NN-7")
    assert names(read(folder)) == [("accuracy_icc", ICC.name), ("J-DIFF-02", SET.name)]


def test_other_files_are_told(folder, tmp_path):
    with pytest.raises(OutputError, match="could not be read"):
        read(tmp_path)
    (tmp_path / "results.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="not valid JSON"):
        read(tmp_path)
    (tmp_path / "results.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="not the results of a job"):
        read(tmp_path)
    old = read(folder)
    for stage in old["stages"].values():
        del stage["after"]
    (tmp_path / "results.json").write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(DataError, match="Run the job again"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("part", "value"), [("stages", []), ("stages", {"kmc": None}), ("quantities", {}), ("quantities", [3])]
)
def test_results_of_another_shape_are_told(folder, tmp_path, part, value):
    (tmp_path / "results.json").write_text(json.dumps({**read(folder), part: value}), encoding="utf-8")
    with pytest.raises(DataError, match=f"{part}: not the results of a job"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["", "!", " - "])
def test_no_name_is_no_number(folder, name):
    """Numbers without a short name are not called by nothing."""
    results = read(folder)
    assert any(not row["handle"] for row in results["quantities"])
    with pytest.raises(InputError, match="called this"):
        lineage(results, name)


def test_the_command_prints_the_tree(folder):
    run = CliRunner().invoke(app, ["trace", str(folder / "results.json"), "accuracy_icc"])
    assert run.exit_code == 0
    lines = re.sub(r"[│├└─\s]+", " ", run.output)
    for text in (
        "84.10 ± 0.40 %",
        "stage readouts",
        "seed 7",
        "slope = 0.006 ± 0.0004 1/V",
        "barrier row",
        "doi:",
        _SPREAD,
    ):
        assert text in lines
    # a reference is printed in full once
    assert lines.count("Reconfigurable halide perovskite nanocrystal memristors") == 1


def test_the_command_speaks_json(folder):
    run = CliRunner().invoke(app, ["trace", str(folder), "accuracy_icc", "--json", "-"])
    [tree] = json.loads(run.output)
    assert tree["kind"] == "result"
    assert [c["name"] for c in tree["children"]] == ["readouts", "John2022"]
    listed = json.loads(CliRunner().invoke(app, ["trace", str(folder), "--json", "-"]).output)
    assert listed[0] == {"name": "accuracy_icc", "quantity": ICC.name}
    assert "J-DIFF-02" in CliRunner().invoke(app, ["trace", str(folder)]).output
