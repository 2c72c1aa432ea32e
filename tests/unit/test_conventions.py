"""Conventions: each does what it says, the same trains wherever it leaves them, and noise that is inverted is right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from halidrift.compact import NonVolatile, Volatile
from halidrift.physics.errors import InputError
from halidrift.pipeline import conventions
from halidrift.pipeline.conventions import CONVENTIONS, Convention, States, measure, needed, played
from halidrift.pipeline.stages import to_json

CELL = Volatile.of(
    conductance_off_S=1e-8,
    conductance_on_S=3e-6,
    growth_rate_Hz=2e-3,
    growth_voltage_V=0.09,
    relaxation_time_s=10e-3,
    relaxation_spread_cycle=0.5,
    growth_spread_cycle=0.1,
    read_noise=0.002,
)
SYNAPSE = NonVolatile.of(
    conductance_slope_1_V=3.5,
    conductance_intercept_S=1e-6,
    conductance_off_S=1e-8,
    conductance_spread_slope_1_V=0.1,
    compliance_low_A=1e-5,
    compliance_high_A=1e-3,
    set_voltage_V=0.8,
    reset_voltage_V=-0.9,
)


@pytest.fixture(scope="module")
def lines() -> dict:
    names = (
        "literal",
        "silent",
        "additive",
        "log",
        "train",
        "unequal",
        "icc",
        "icc-spread",
        "icc-both",
        "icc-wear",
        "icc-chance",
    )
    table = {name: CONVENTIONS[name] for name in names}
    return measure(CELL, SYNAPSE, per_class=200, trainings=2, seed=1, table=table)


def test_each_convention_names_what_it_assumes_and_why():
    assert len({(c.rule, c.words) for c in CONVENTIONS.values()}) == len(CONVENTIONS)
    for convention in CONVENTIONS.values():
        assert convention.words
        assert len(convention.why) > 10
        assert "—" not in convention.words + convention.why
    rules = {c.rule for c in CONVENTIONS.values()}
    assert rules == set(conventions.RULES)


def test_a_line_says_what_was_found_and_what_the_paper_prints(lines):
    for name, line in lines.items():
        assert 0 <= line["accuracy"] <= 100
        assert line["error"] > 0
        expected = None if name == "icc-chance" else conventions.PUBLISHED[line["rule"]]
        assert line["published"] == expected
        if expected is not None:
            assert line["difference"] == pytest.approx(line["accuracy"] - expected)
        share, low, high = (np.array(line[key]) for key in ("confusion", "confusion_low", "confusion_high"))
        np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-12)
        assert ((low <= share) & (share <= high)).all()
        assert ("energy_J" in line) == (line["rule"] == "icc")
    json.loads(to_json(lines))


def test_noise_costs_and_silence_does_not(lines):
    """No noise of the device: above 99 % (the requirement); additive noise as large as the signal costs 3 points at
    least, wear takes nothing but what is written after it."""
    assert lines["silent"]["accuracy"] > 99.0
    assert lines["additive"]["accuracy"] < lines["literal"]["accuracy"] - 3.0
    assert lines["icc-both"]["accuracy"] < lines["icc-spread"]["accuracy"] - 3.0
    # 200 x 4 x 0.9 x 5 writes a cell: fewer than the endurance
    assert lines["icc-wear"]["accuracy"] == lines["icc-spread"]["accuracy"]
    assert lines["icc-wear"]["writes_max"] == 3600


def test_shuffled_labels_give_chance(lines):
    """One in four within 4 standard errors of 80 patterns (two trainings share few)."""
    assert lines["icc-chance"]["accuracy"] == pytest.approx(25.0, abs=400 * np.sqrt(0.25 * 0.75 / 80))


def test_a_seed_replays_and_given_states_change_nothing(lines):
    table = {name: CONVENTIONS[name] for name in ("literal", "icc")}
    given = played(CONVENTIONS["literal"], CELL, per_class=200, seed=1)
    again = measure(CELL, SYNAPSE, per_class=200, trainings=2, seed=1, table=table, given=given)
    for name in table:
        assert again[name]["accuracy"] == lines[name]["accuracy"]
        np.testing.assert_array_equal(again[name]["confusion"], lines[name]["confusion"])
    other = played(CONVENTIONS["literal"], CELL, per_class=200, seed=2)
    assert not np.array_equal(other.states, given.states)


def test_conventions_share_what_they_leave():
    """A read or a readout option plays nothing anew; an option of one class leaves the trains of the others."""
    groups = {name: convention.group for name, convention in CONVENTIONS.items()}
    assert groups["literal"] == groups["additive"] == groups["relative"] == groups["log"] == groups["icc-both"]
    assert len({groups[name] for name in ("literal", "silent", "wide", "phase", "pulse", "shared", "memoryless")}) == 7
    plain, gaps = (played(CONVENTIONS[name], CELL, per_class=30, seed=3) for name in ("silent", "gaps"))
    assert plain.states.shape == gaps.states.shape == (120, 30)
    quiet = Convention("", "", device="typical", spikes={"burst_gap_drawn": "gap"})
    redrawn = played(quiet, CELL, per_class=30, seed=3)
    np.testing.assert_array_equal(plain.states[30:], redrawn.states[30:])
    assert not np.array_equal(plain.states[:30], redrawn.states[:30])


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "Icc"},
        {"device": "typicl"},
        {"split": "class"},
        {"write_spread": 0.03},
        {"rule": "trees", "readout": {"max_iter": 9}},
    ],
)
def test_options_that_would_do_nothing_are_refused(wrong):
    with pytest.raises(InputError):
        Convention("", "", **wrong)


def test_what_a_quick_run_cannot_split_is_said_and_not_invented():
    """25 patterns of a class are one shared train: there are not two to part."""
    table = {"train": CONVENTIONS["train"], "literal": CONVENTIONS["literal"]}
    found = measure(CELL, SYNAPSE, per_class=25, trainings=1, seed=1, table=table)
    assert "not two units" in found["train"]["failed"]
    assert "accuracy" not in found["train"]
    assert found["literal"]["accuracy"] > 25


def test_devices_that_differ_by_assumption_say_so():
    cell = conventions._device(CELL, "unequal")
    assert cell.parameters["relaxation_spread_device"].kind == "assumed"
    assert cell.value("relaxation_spread_device") == 0.3
    assert conventions._device(CELL, "fitted") is CELL


def test_the_noise_that_a_number_takes_is_where_it_is_crossed():
    """Four Gaussian clusters: the accuracy falls with the noise, and the crossing lies between the two around it."""
    rng, labels = np.random.default_rng(0), np.arange(1600) % 4
    states = 1e-6 * (1 + np.repeat(np.eye(4), 2, axis=1)[labels] + 0.05 * rng.standard_normal((1600, 8)))
    data = States(states, labels, labels, np.arange(1600))
    found = needed(data, SYNAPSE, additive=(0.0, 0.5, 1.0, 2.0), spreads=(0.0, 0.05, 0.2, 0.5))
    pairs = np.array(found["additive"])
    assert pairs[0, 1] > 99.0
    assert pairs[-1, 1] < 91.8
    k = int(np.flatnonzero(pairs[:, 1] < 91.8)[0])
    assert pairs[k - 1, 0] <= found["read_noise"] <= pairs[k, 0]
    assert len(found["spreads"]) == 4
    assert conventions._crossing([(0.0, 100.0), (1.0, 90.0), (2.0, 70.0)], 80.0) == pytest.approx(1.5)
    assert conventions._crossing([(0.0, 100.0), (1.0, 90.0)], 80.0) is None


@pytest.mark.parametrize("module", ["conventions", "memory", "readout", "reservoir", "spikes"])
def test_doctests(module):
    import doctest
    import importlib

    result = doctest.testmod(importlib.import_module(f"halidrift.pipeline.{module}"))
    assert result.failed == 0
