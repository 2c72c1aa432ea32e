"""A pipeline that is fed nothing must find nothing: without memory only coincidences of a spike with a node remain.

What remains is computed here from the onsets alone: whether a pulse was on at a node. It is what the memoryless device
must show, neither less (its states are those bits) nor more (the best classifier of the bits bounds every readout).
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from halidrift.compact import Volatile
from halidrift.pipeline import DeltaRuleReadout, FiringPatterns, Reservoir
from halidrift.pipeline.conventions import CONVENTIONS, _device, played

PER_CLASS = 400
CELL = Volatile.of(
    conductance_off_S=1e-8,
    conductance_on_S=3e-6,
    growth_rate_Hz=2e-3,
    growth_voltage_V=0.09,
    relaxation_time_s=10e-3,
    relaxation_spread_cycle=0.5,
    read_noise=0.002,
)
OPTIONS = {"aligned": {}, "random phase": {"start_phase_s": (0.0, 65e-3)}}


def presence(task: FiringPatterns, nodes_s: np.ndarray) -> np.ndarray:
    """Whether a pulse was on just before each node, from the onsets; the edges take 1 us."""
    ends = [onsets + task.spike_width_s for onsets in task.onsets]
    return np.array(
        [
            ((onsets[:, None] + 1e-6 < nodes_s) & (nodes_s <= end[:, None] + 1e-6)).any(axis=0)
            for onsets, end in zip(task.onsets, ends, strict=True)
        ]
    )


@pytest.fixture(scope="module", params=list(OPTIONS))
def memoryless(request):
    task = FiringPatterns(per_class=PER_CLASS, rng=4, **OPTIONS[request.param])
    reservoir = Reservoir(_device(CELL, "memoryless"))
    states = reservoir.transform(list(task.trains), rng=5, devices=task.device)
    return task, states, presence(task, np.minimum(reservoir.node_times_s, task.duration_s))


def test_states_are_the_presence_of_a_spike(memoryless):
    """All but the readings within 10 relaxation times of an edge, which are few: below 1 %. The level of a pulse that
    is on, as read, knows nothing of how long it has been: correlation within 4/sqrt(readings). The last node reads the
    edge of a pulse that the end of the pattern cuts.
    """
    task, states, bits = memoryless
    level = np.sqrt(1e-8 * states.max())
    assert np.mean((states > level) != bits) < 0.01
    nodes = np.minimum(35e-3 * np.arange(1, 31), task.duration_s)
    since = np.array([nodes - onsets[np.maximum(np.searchsorted(onsets, nodes) - 1, 0)] for onsets in task.onsets])
    on = (states > level) & bits & (since > 100e-6) & (since < task.spike_width_s) & (nodes < task.duration_s - 1e-4)
    correlation = np.corrcoef(states[on], since[on])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(on.sum())


def test_the_accuracy_is_that_of_the_bits(memoryless):
    """The same readout on states and on bits: equal within 4 standard errors of the 160 test patterns, at least 2 %."""
    task, states, bits = memoryless
    train, test = task.split(rng=1)
    score = {}
    for name, inputs in (("states", states), ("bits", bits.astype(float))):
        readout = DeltaRuleReadout(30, 1e-2, rng=0).fit(inputs[train], task.labels[train])
        score[name] = readout.score(inputs[test], task.labels[test])
    error = np.sqrt(score["bits"] * (1 - score["bits"]) / test.size)
    assert score["states"] == pytest.approx(score["bits"], abs=max(4 * error, 0.02))


def test_no_readout_of_the_states_beats_the_best_of_the_bits(memoryless):
    """Majority vote over equal words, on the words that it was made from: an upper bound for all that see only bits."""
    task, states, bits = memoryless
    votes = defaultdict(Counter)
    for word, label in zip(map(bytes, bits), task.labels, strict=True):
        votes[word][int(label)] += 1
    bound = sum(counter.most_common(1)[0][1] for counter in votes.values()) / len(task)
    readout = DeltaRuleReadout(30, 1e-2, rng=0).fit(states, task.labels)
    assert readout.score(states, task.labels) <= bound + 0.01


def test_irregular_spikes_meet_nine_nodes_in_half_of_the_trains():
    """Closed form: segments of 60 ms, nodes of 35 ms, pulses of 20 ms: node k meets one if 0 < 35 k mod 60 <= 20."""
    task = FiringPatterns(per_class=2000, rng=6)
    nodes = 35e-3 * np.arange(1, 31)
    share = presence(task, nodes)[task.labels == 3].mean(axis=0)
    after = np.arange(1, 31) * 35 % 60
    inside = (after > 0) & (after < 20) & (35 * np.arange(1, 31) < 17 * 60)
    # a node that falls on the end of a pulse is decided by the edge of 1 us
    sure = after != 20
    expected = np.where(inside, 0.5, 0.0)
    np.testing.assert_allclose(share[sure], expected[sure], atol=4 * 0.5 / np.sqrt(2000))


def test_tonic_spikes_of_aligned_trains_meet_the_nodes_that_gaussian_onsets_say():
    """Onset n is normal around 90 n ms with 3.5 sqrt(n) ms: the chance to cover a node is a difference of two Phi."""
    from scipy.stats import norm

    task = FiringPatterns(per_class=4000, rng=7)
    nodes = 35e-3 * np.arange(1, 31)
    share = presence(task, nodes)[task.labels == 2].mean(axis=0)
    n = np.arange(1, 13)[:, None]
    spread = 3.5e-3 * np.sqrt(n)
    covered = norm.cdf(nodes, 90e-3 * n, spread) - norm.cdf(nodes - 20e-3, 90e-3 * n, spread)
    # spikes do not overlap, so their chances add; the first ends before the first node
    np.testing.assert_allclose(share, covered.sum(axis=0), atol=4 * 0.5 / np.sqrt(4000))


def test_aligned_trains_are_solved_without_any_memory_and_random_ones_are_not():
    """Why a literal reading is easy: with aligned trains the bits alone give above 95 %; with random phases they give
    less, by more than 4 standard errors of the 800 test patterns."""
    score = {}
    for name, options in OPTIONS.items():
        task = FiringPatterns(per_class=2000, rng=8, **options)
        bits = presence(task, 35e-3 * np.arange(1, 31)).astype(float)
        train, test = task.split(rng=2)
        readout = DeltaRuleReadout(5, 3e-3, rng=0).fit(bits[train], task.labels[train])
        score[name] = readout.score(bits[test], task.labels[test])
    assert score["aligned"] > 0.95
    error = np.sqrt(score["random phase"] * (1 - score["random phase"]) / test.size)
    assert score["random phase"] < score["aligned"] - 4 * error


@pytest.mark.parametrize("device", ["silent", "memoryless"])
def test_shuffled_labels_are_chance_for_any_device(device):
    """0.25 within 4 standard errors of 160 test patterns."""
    data = played(CONVENTIONS[device], CELL, per_class=PER_CLASS, seed=3)
    labels = np.random.default_rng(0).permutation(data.labels)
    order = np.random.default_rng(1).permutation(labels.size)
    train, test = order[160:], order[:160]
    score = DeltaRuleReadout(rng=0).fit(data.states[train], labels[train]).score(data.states[test], labels[test])
    assert score == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 160))
