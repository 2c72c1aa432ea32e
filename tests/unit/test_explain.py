"""`explain` and `design` around their numbers: inputs, ranges, links, resumption, the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from halidrift import Device
from halidrift.physics.database import Database
from halidrift.physics.errors import InputError, ValidityError
from halidrift.pipeline import chain
from halidrift.pipeline.candidate import Conditions, card_of, confirmed, memory_s
from halidrift.pipeline.cli import app
from halidrift.pipeline.cli.explain import _ranges
from halidrift.pipeline.design import _KEPT, _finalists, _kept, near_barriers, paper, variables
from halidrift.pipeline.design import Settings as DesignSettings
from halidrift.pipeline.explain import Settings, batches, card_at, device_inputs, explain, network_inputs
from halidrift.pipeline.figures import png
from halidrift.pipeline.sensitivity import Input, Surrogate, latin_hypercube, values
from halidrift.pipeline.stages import Cache, Workers

CARD = Device.load("john2022-ogb")


@pytest.mark.parametrize("law", ["uniform", "log", "normal"])
def test_value_and_place_are_inverse(law):
    one = Input("x", 1e-3, 2.0, "1", "assumed", "a test", law)
    u = np.linspace(0.03, 0.97, 9)
    assert one.place(one.value(u)) == pytest.approx(u)
    ends = (0.025, 0.975) if law == "normal" else (0.0, 1.0)
    assert one.value(np.array(ends)) == pytest.approx([1e-3, 2.0])


@pytest.mark.parametrize(
    "fields",
    [
        {"low": 1.0, "high": 1.0},
        {"low": -1.0, "law": "log"},
        {"kind": "guessed"},
        {"law": "beta"},
        {"high": float("nan")},
    ],
)
def test_inputs_that_are_refused(fields):
    good = {"name": "x", "low": 0.0, "high": 1.0, "unit": "1", "kind": "assumed", "source": "a test"}
    with pytest.raises(InputError):
        Input(**good | fields)


def test_every_input_has_kind_source_and_holds_the_card():
    for one in (*device_inputs(CARD), *network_inputs()):
        assert one.kind in ("published", "calibrated", "assumed")
        assert len(one.source) > 10
    for one in device_inputs(CARD):
        number = CARD.numbers[one.name]
        assert one.low < number.value < one.high
        assert one.kind == number.kind
        if number.range is not None:  # inside what the card allows
            assert number.range[0] - 1e-12 <= one.low
            assert one.high <= number.range[1] + 1e-12


def test_ranges_of_the_user():
    inputs = device_inputs(CARD, {"hop_barrier_eV": (0.2, 0.3)})
    (hop,) = (one for one in inputs if one.name == "hop_barrier_eV")
    assert (hop.low, hop.high) == (0.2, 0.3)
    assert "given by the user" in hop.source
    assert _ranges(["write_error=0.01:0.05"]) == {"write_error": (0.01, 0.05)}
    with pytest.raises(InputError, match="NAME=LOW:HIGH"):
        _ranges(["write_error=0.01"])


@pytest.mark.parametrize(
    "wrong",
    [{"first_s": (5e-3, 2.0)}, {"growth_spread_device": (-1.0, 0.4)}, {"relaxation_time_s": (0.0, 0.02)}],
)
def test_ranges_that_no_network_can_have_are_told_before_any_kmc(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(chain, "reference", lambda *_, **__: pytest.fail("KMC began"))
    with pytest.raises(InputError):
        explain(tmp_path, settings=Settings(cards=30, networks=40), ranges=wrong, processes=1)


def test_card_at_changes_what_it_is_told():
    inputs = device_inputs(CARD)
    numbers = values(inputs, np.full((1, len(inputs)), 0.25))[0]
    made = card_at(CARD, inputs, numbers)
    for one, number in zip(inputs, numbers, strict=True):
        assert made.numbers[one.name].value == pytest.approx(number)


@pytest.mark.parametrize("change", [{"cards": 5}, {"samples": 1000}, {"seed": -1}, {"networks": True}])
def test_settings_that_are_refused(change):
    with pytest.raises(InputError):
        Settings(**change)


def test_latin_hypercube_fills_every_slice():
    points = latin_hypercube(3, 50, rng=4)
    for column in points.T:
        assert sorted(np.floor(50 * column).astype(int)) == list(range(50))


def test_surrogate_needs_points():
    with pytest.raises(InputError, match="finite results"):
        Surrogate.fit(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(InputError, match="finite results"):
        Surrogate.fit(np.random.default_rng(0).random((20, 1)), np.full(20, np.nan))


# -- the links ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [1, 21, 2.5, float("nan")])
def test_folds_that_hold_nothing_out_are_refused(folds):
    with pytest.raises(InputError, match="folds"):
        Surrogate.fit(np.random.default_rng(0).random((20, 2)), np.arange(20.0), folds=folds)


def test_network_is_reproducible_and_knows_its_cost():
    cell = chain.typical_cell()
    network = chain.Network(20, 0.5)
    first, second = (network.run(cell, [1]) for _ in range(2))
    assert first == second
    # every pattern of 5 epochs writes every cell once: 40 training patterns
    assert first["writes_max"] == first["writes_mean"] == 5 * 40
    assert first["cells"] == 2 * 4 * 31
    rare = network.with_values(write_threshold_S=2e-5).run(cell, [1])
    assert rare["writes_mean"] < 0.5 * first["writes_mean"]
    # 1 V at 1 uA while a spike lasts: 1 s of pattern bounds it; half the compliance costs half
    assert 0.05e-6 < first["energy_J"] < 1.05e-6
    task, states = network.states(cell, [1])
    half = network.with_values(compliance_A=0.5e-6).energy_J(task, 0.0 * states)
    assert half == pytest.approx(0.5 * network.energy_J(task, 0.0 * states))


def test_nodes_stop_at_the_end_and_at_thirty():
    assert chain.Network().nodes == 30
    assert chain.Network(interval_s=70e-3).nodes == 15
    assert chain.Network(interval_s=5e-3).nodes == 30
    assert chain.Network(first_s=5e-3).nodes == 30


def test_synapse_misses_by_a_share_of_its_target():
    cell = chain.synapse(0.05)
    assert cell.conductance_bounds_S == pytest.approx((0.1e-3, 3.5e-3))
    assert cell.write_spread_S(1e-3) == pytest.approx(0.05e-3)


def test_card_that_does_not_switch_says_so():
    dead = CARD.with_parameters(charge_transfer_barrier_eV=0.8, column_width_m=3e-9)
    found = chain.measured(dead, chain.shape_of(chain.typical_cell()), 3, [1], 300.0)
    assert list(found) == ["failure"]
    assert "No switching" in found["failure"]


def test_a_reading_sees_further_back_with_a_slower_cell():
    cell = chain.typical_cell().with_values(relaxation_spread_cycle=0.0)
    network = chain.Network(20, 0.5)
    short, long = (memory_s(cell.with_values(relaxation_time_s=tau), network, [3]) for tau in (3e-3, 60e-3))
    assert 5e-3 <= short < 40e-3
    assert long > short + 20e-3


# -- keeping --------------------------------------------------------------------------------------------------------


def _square(x):
    if x < 0:
        raise KeyboardInterrupt
    return {"y": x * x}


def test_interrupted_batches_go_on(tmp_path):
    cache, seen = Cache(tmp_path), []
    with Workers(1) as workers:
        with pytest.raises(KeyboardInterrupt):
            batches(cache, "s", [(_square, x) for x in (1, 2, 3, -1)], [1, 2, 3, -1], ["physics"], workers, print, 2)
        told = []
        rows = batches(
            cache,
            "s",
            [(_square, x) for x in (1, 2, 3, 4)],
            [1, 2, 3, 4],
            ["physics"],
            workers,
            lambda n, _: told.append(n),
            2,
        )
    assert [row["y"] for row in rows] == [1, 4, 9, 16]
    assert told[:2] == [0, 2]  # the first batch was read, not run
    assert not seen
    assert len(list(tmp_path.glob("s-*"))) == 2


# -- design ---------------------------------------------------------------------------------------------------------


def test_paper_is_inside_the_bounds():
    old = paper(CARD)
    for one in variables(CARD):
        assert one.low <= old[one.name] <= one.high
        assert len(one.source) > 10


def test_reduction_goes_with_dissolution():
    moved = card_of(CARD, {**paper(CARD), "dissolution_barrier_eV": CARD.value("dissolution_barrier_eV") + 0.03})
    for name in ("dissolution_barrier_eV", "reduction_barrier_eV"):
        assert moved.value(name) == pytest.approx(CARD.value(name) + 0.03)


def test_near_barriers_are_rows_with_their_difference():
    database = Database.load()
    rows = near_barriers(0.58, within_eV=0.03, most=50)
    assert rows
    for row in rows:
        source = database.get(row["barrier"])
        assert source.quantity != "formation_energy"
        inside = source.low_eV <= 0.58 <= source.high_eV
        expected = 0.0 if inside else min((source.low_eV - 0.58, source.high_eV - 0.58), key=abs)
        assert row["difference_eV"] == pytest.approx(expected, abs=1e-9)
        assert row["source"]
        assert row["locator"]
    assert [abs(r["difference_eV"]) for r in rows] == sorted(abs(r["difference_eV"]) for r in rows)


@pytest.mark.parametrize("change", [{"writes": 0.0}, {"candidates": 3}, {"confirmations": 1}])
def test_design_settings_that_are_refused(change):
    with pytest.raises(InputError):
        DesignSettings(**change)


def test_conditions_that_are_refused():
    with pytest.raises(InputError, match="write_error"):
        Conditions(write_error=-0.1)


# -- pictures -------------------------------------------------------------------------------------------------------


def _analysis():
    rows = [
        {
            **one.to_dict(),
            "first": 0.3 / (i + 1),
            "first_error": 0.05,
            "total": 0.5 / (i + 1),
            "total_error": 0.06,
        }
        for i, one in enumerate((*network_inputs(), *device_inputs(CARD)))
    ]
    return {"accuracy_mean": 0.88, "accuracy_standard_deviation": 0.06, "resolved": False, "rows": rows}


def test_a_design_beats_within_its_bounds_only():
    """The bounds that were asked for hold for the confirmation as well, energy included."""
    both = {"paper": {"writes_max": 100.0, "energy_J": 1e-7}, "winner": {"writes_max": 60.0, "energy_J": 0.9e-7}}
    assert _kept(both, DesignSettings())
    assert not _kept(both, DesignSettings(writes=0.5))
    assert not _kept(both, DesignSettings(energy=0.8))
    both["winner"] = {"writes_max": 150.0, "energy_J": 1.2e-7}
    assert not _kept(both, DesignSettings(writes=2.0))
    assert _kept(both, DesignSettings(writes=2.0, energy=1.5))


def test_what_a_search_promises_is_checked_in_kmc():
    """The order is that of the direct checks; a design that breaks a bound comes last, however accurate."""
    old = paper(CARD)
    base = dict.fromkeys(_KEPT, 1.0) | {"accuracy_error": 0.01, "warnings": []}
    kept = {"accuracy": [0.7, 0.6, 0.9, 0.8], "writes_max": [100.0, 100.0, 120.0, 90.0]}

    class Check:
        s = DesignSettings(finalists=3)

        def __call__(self, designs, numbers, stage, tell):
            assert len(list(numbers)) == 2
            assert min(numbers) >= 1000
            return [[{**base, **{k: v[i] for k, v in kept.items()}} for _ in range(2)] for i in range(len(designs))]

    last = [{"design": {**old, "interval_s": t}, "accuracy": a} for t, a in ((1e-2, 0.95), (2e-2, 0.94), (3e-2, 0.93))]
    found = _finalists(Check(), old, [*last, {"design": old, "accuracy": 0.9}], lambda *_: None)
    assert [row["design"]["interval_s"] for row in found] == [3e-2, 1e-2, 2e-2]
    assert [row["within_bounds"] for row in found] == [True, True, False]
    assert [row["promised"] for row in found] == [0.93, 0.95, 0.94]


def test_a_finalist_that_does_not_switch_leaves_the_place_to_the_next():
    old = paper(CARD)
    good = dict.fromkeys(_KEPT, 1.0) | {"accuracy_error": 0.01, "warnings": []}
    bad = {"failure": "InputError: No switching in the traces"}

    class Check:
        s = DesignSettings(finalists=2)
        rows = ([good, good], [good, bad], [good, good])

        def __call__(self, designs, numbers, stage, tell):
            return list(self.rows)

    last = [{"design": {**old, "interval_s": t}, "accuracy": a} for t, a in ((1e-2, 0.95), (2e-2, 0.94))]
    found = _finalists(Check(), old, last, lambda *_: None)
    assert found[0]["design"]["interval_s"] == 2e-2
    assert found[1] == {"design": last[0]["design"], "promised": 0.95, "failure": bad["failure"]}
    Check.rows = ([good, good], [bad, bad], [bad, bad])
    with pytest.raises(ValidityError, match="None of the designs"):
        _finalists(Check(), old, last, lambda *_: None)
    Check.rows = ([bad, good], [good, good], [good, good])
    with pytest.raises(ValidityError, match="The device to beat"):
        _finalists(Check(), old, last, lambda *_: None)


def test_a_design_that_does_not_switch_is_told_in_words():
    """15 pulses of KMC at a seventh of the compliance in the thickest film: nothing closes."""
    chosen = {**paper(CARD), "film_thickness_m": 30e-9, "compliance_A": 0.3e-6, "spike_width_s": 1e-3}
    found = confirmed(CARD, chosen, DesignSettings(), 0)
    assert set(found) == {"failure"}
    assert "InputError" in found["failure"]


def _designed():
    old = paper(CARD)
    steps = [{"name": one.name, "alone": 0.02, "missing": -0.01, "error": 0.01} for one in variables(CARD)]
    one = {"design": old, "relaxation_time_s": 12e-3}
    tau, gap = np.geomspace(2e-3, 0.2, 9), np.geomspace(5e-3, 70e-3, 9)
    return {
        "map": {
            "relaxation_time_s": tau,
            "interval_s": gap,
            "accuracy": np.outer(tau, gap),
            "title": "Paper's device, these two changed alone (± 1.5 %)",
        },
        "confirmed": {"paper": one, "winner": {**one, "relaxation_time_s": 30e-3}},
        "mechanism": {"steps": steps},
    }


def test_pictures_are_whole():
    from halidrift.pipeline.figures.explain import bars, design_map

    results = {
        "analyses": {name: _analysis() for name in ("everything", "device measured", "device measured, protocol known")}
    }
    for figure in (bars(results), design_map(_designed())):
        assert png(figure)[:8] == b"\x89PNG\r\n\x1a\n"
        renderer, sheet = figure.canvas.get_renderer(), figure.bbox
        for piece in (*figure.axes, *figure.legends):
            box = piece.get_tightbbox(renderer)
            assert sheet.x0 - 1 <= box.x0
            assert box.x1 <= sheet.x1 + 1
            assert sheet.y0 - 1 <= box.y0
            assert box.y1 <= sheet.y1 + 1
    titles = [ax.get_title(loc="left") for ax in bars(results).axes]
    assert [("NOT RESOLVED" in title) for title in titles] == [True, True, True, False]


# -- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["explain", "design"])
def test_commands_are_listed_and_refuse(command, tmp_path):
    runner = CliRunner()
    assert command in runner.invoke(app, ["--help"]).output
    blocked = tmp_path / "file"
    blocked.write_text("")
    found = runner.invoke(app, [command, "--out", str(blocked)])
    assert found.exit_code != 0
    found = runner.invoke(app, [command, "--out", str(tmp_path / "out"), "--budget", "huge"])
    assert isinstance(found.exception, InputError)
    assert "quick, normal, large" in str(found.exception)


def test_salib_is_imported_late():
    code = "import sys, halidrift.pipeline.explain; print('SALib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout.strip().lower()) is False
