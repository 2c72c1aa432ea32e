"""Spike trains follow John et al.'s Methods, and every choice that the Methods leave open does what it says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from halidrift.physics.errors import InputError
from halidrift.pipeline.spikes import CLASSES, FiringPatterns, pulse_words

WIDTH = 20e-3


@pytest.fixture(scope="module")
def task() -> FiringPatterns:
    return FiringPatterns(per_class=500, rng=3)


def of_class(task: FiringPatterns, name: str) -> list[np.ndarray]:
    return [task.onsets[i] for i in np.flatnonzero(task.labels == CLASSES.index(name))]


def gaps(onsets: np.ndarray) -> np.ndarray:
    return np.diff(onsets) - WIDTH


def pulses(train) -> int:
    return int(np.count_nonzero((train.voltage_V[:-1] == 0.0) & (train.voltage_V[1:] != 0.0)))


def test_trains_without_spread_are_the_arithmetic_of_the_methods():
    """Exact to 1 ns: gap and period conventions of the adapting and tonic classes."""
    task = FiringPatterns(per_class=1, isi_spread=0.0)
    n = np.arange(11)  # 20 n + 10 (1.5^n - 1) ms: onset 10 falls at 767 ms, onset 11 at 1075 ms
    np.testing.assert_allclose(of_class(task, "Adapting")[0], 0.02 * n + 0.01 * (1.5**n - 1), atol=1e-9)
    np.testing.assert_allclose(of_class(task, "Tonic")[0], 0.09 * np.arange(12), atol=1e-9)
    period = FiringPatterns(per_class=1, isi_spread=0.0, isi_is="period")
    np.testing.assert_allclose(of_class(period, "Tonic")[0], 0.07 * np.arange(15), atol=1e-9)


def test_bursts_are_four_or_five_groups_of_four_with_a_constant_gap(task):
    groups = []
    for onsets in of_class(task, "Bursting"):
        assert onsets.size % 4 == 0
        groups.append(onsets.size // 4)
        gap = np.append(gaps(onsets), np.nan).reshape(-1, 4)
        np.testing.assert_allclose(gap[:, :3], 5e-3, atol=1e-9)
        between = gap[:-1, 3]
        assert between.min() >= 75e-3 - 1e-9
        assert between.max() <= 125e-3 + 1e-9
        assert np.ptp(between) < 1e-9
    assert set(groups) == {4, 5}
    # equal odds: 4 standard deviations of a binomial share of 500
    assert np.mean(np.array(groups) == 5) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(500))


def test_burst_gap_drawn_for_every_gap_differs_inside_a_train():
    task = FiringPatterns(per_class=200, rng=1, burst_gap_drawn="gap")
    drawn = np.concatenate([gaps(onsets)[3::4] for onsets in of_class(task, "Bursting")])
    assert all(np.ptp(gaps(onsets)[3::4]) > 1e-6 for onsets in of_class(task, "Bursting"))
    # uniform on 75..125 ms: mean 100 ms, sd 50/sqrt(12) ms; 4 standard errors
    assert drawn.mean() == pytest.approx(0.1, abs=4 * 0.05 / np.sqrt(12 * drawn.size))


def test_tonic_intervals_have_mean_70_ms_and_5_percent_spread(task):
    """The last interval of a train is left out: that it fits is a selection of short ones."""
    drawn = np.concatenate([gaps(onsets)[:10] for onsets in of_class(task, "Tonic")])
    error = 0.05 / np.sqrt(drawn.size)
    assert drawn.mean() / 70e-3 == pytest.approx(1.0, abs=4 * error)
    assert drawn.std() / 70e-3 == pytest.approx(0.05, abs=4 * error / np.sqrt(2))


@pytest.mark.parametrize(("spread", "variance"), [("interval", 1), ("growth", 7)])
def test_adapting_intervals_grow_by_half_and_deviations_accumulate_only_if_asked(spread, variance):
    """Interval 7 has mean 5 ms x 1.5^7; its variance is one deviation, or seven that multiply."""
    task = FiringPatterns(per_class=2000, rng=5, adapting_spread=spread)
    seventh = np.array([gaps(onsets)[7] for onsets in of_class(task, "Adapting")]) / (5e-3 * 1.5**7)
    sd = np.sqrt(1.0025**variance - 1)
    assert seventh.mean() == pytest.approx(1.0, abs=4 * sd / np.sqrt(2000))
    # the product of normals has a slightly heavier tail: 5 standard errors of a normal sample's deviation
    assert seventh.std() == pytest.approx(sd, rel=5 / np.sqrt(2 * 2000))


def test_irregular_spikes_begin_segments_with_even_odds(task):
    onsets = of_class(task, "Irregular")
    joined = np.concatenate(onsets)
    np.testing.assert_allclose(joined / 60e-3, np.round(joined / 60e-3), atol=1e-9)
    assert np.unique(np.round(joined / 60e-3)).tolist() == list(range(17))
    assert joined.size / (17 * 500) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(17 * 500))


def test_trains_are_pulses_of_1_V_and_20_ms_in_1050_ms(task):
    for i in (0, 499, 700, 1200, 1700):
        train, onsets = task.trains[i], task.onsets[i]
        assert train.time_s[0] == 0.0
        assert train.duration_s == 1.05
        assert (train.compliance_A == 1e-6).all()
        assert pulses(train) == onsets.size
        inside = onsets[onsets + WIDTH < 1.05]
        np.testing.assert_array_equal(train.voltage_at(inside + 0.5 * WIDTH), 1.0)
        np.testing.assert_array_equal(train.voltage_at(inside + WIDTH + 1e-4), 0.0)


def test_a_5_ms_period_of_20_ms_pulses_is_one_pulse():
    """Why intervals are gaps by default: as periods a burst of four melts into 35 ms."""
    task = FiringPatterns(per_class=5, isi_is="period")
    train = task.trains[0]
    assert pulses(train) == task.onsets[0].size // 4
    np.testing.assert_array_equal(train.voltage_at([0.034, 0.036]), [1.0, 0.0])


def test_train_objects_select_with_index_arrays(task):
    chosen = task.trains[np.array([3, 1])]
    assert chosen[1] == task.trains[1]


def test_a_seed_gives_the_same_trains_and_another_gives_others():
    one, two, other = (FiringPatterns(per_class=20, rng=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one.onsets, two.onsets, strict=True))
    tonic = slice(40, 60)
    assert not any(np.array_equal(a, b) for a, b in zip(one.onsets[tonic], other.onsets[tonic], strict=True))
    assert one.parameters == two.parameters
    assert one.parameters != other.parameters


def test_trains_drawn_in_turn_from_one_generator_differ_and_say_so():
    rng = np.random.default_rng(0)
    one, two = FiringPatterns(per_class=5, rng=rng), FiringPatterns(per_class=5, rng=rng)
    assert one.seed != two.seed
    assert not np.array_equal(one.onsets[10], two.onsets[10])


def test_an_option_of_one_class_leaves_the_others_alone():
    one, two = FiringPatterns(per_class=10), FiringPatterns(per_class=10, burst_gap_drawn="gap", bursts=(3, 5))
    assert all(np.array_equal(a, b) for a, b in zip(one.onsets[10:], two.onsets[10:], strict=True))


def test_published_size_is_199_cycles_on_25_devices():
    task = FiringPatterns()
    assert len(task) == 19_900
    for label in range(4):
        mine = task.labels == label
        np.testing.assert_array_equal(np.bincount(task.device[mine]), np.full(25, 199))
        np.testing.assert_array_equal(np.bincount(task.cycle[mine]), np.full(199, 25))


def test_shared_trains_are_the_same_on_every_device():
    task = FiringPatterns(per_class=50, devices=5, shared_trains=True)
    assert np.unique(task.train).size == 4 * 10
    tonic = np.flatnonzero((task.labels == 2) & (task.cycle == 7))
    assert tonic.size == 5
    assert len({id(task.trains[i]) for i in tonic}) == 1
    own = FiringPatterns(per_class=50, devices=5)
    assert np.unique(own.train).size == 200


def test_start_phase_delays_whole_trains():
    """Uniform on 0..65 ms: mean 32.5 ms within 4 standard errors; intervals do not change."""
    task = FiringPatterns(per_class=400, isi_spread=0.0, start_phase_s=(0.0, 65e-3))
    tonic = of_class(task, "Tonic")
    starts = np.array([onsets[0] for onsets in tonic])
    assert starts.mean() == pytest.approx(32.5e-3, abs=4 * 65e-3 / np.sqrt(12 * 400))
    assert all(np.allclose(np.diff(onsets), 0.09, atol=1e-9) for onsets in tonic)


@pytest.mark.parametrize("by", ["pattern", "device", "train"])
def test_split_is_stratified_and_keeps_units_whole(by):
    task = FiringPatterns(per_class=100, devices=10, shared_trains=True)
    train, test = task.split(0.2, by=by, rng=4)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(400))
    np.testing.assert_array_equal(np.bincount(task.labels[test]), np.full(4, 20))
    unit = {"pattern": np.arange(400), "device": task.device, "train": task.train}[by]
    assert not np.intersect1d(unit[train], unit[test]).size
    assert np.array_equal(test, task.split(0.2, by=by, rng=4)[1])
    assert not np.array_equal(test, task.split(0.2, by=by, rng=5)[1])


def test_a_pattern_split_of_shared_trains_leaks_and_a_train_split_does_not():
    task = FiringPatterns(per_class=100, devices=10, shared_trains=True)
    train, test = task.split(0.2)
    assert np.intersect1d(task.train[train], task.train[test]).size > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_class": 0},
        {"per_class": np.nan},
        {"devices": np.inf},
        {"per_class": 2.5},
        {"devices": 0},
        {"spike_width_s": 0.0},
        {"duration_s": np.inf},
        {"compliance_A": -1e-6},
        {"bursts": (5, 4)},
        {"burst_gap_s": (0.1, 0.05)},
        {"start_phase_s": (0.0, 2.0)},
        {"isi_spread": 0.5},
        {"irregular_probability": 1.5},
        {"irregular_segment_s": 2.0},
        {"tonic_isi_s": 1e-9},
        {"isi_is": "onset"},
        {"burst_gap_drawn": "class"},
        {"adapting_isi_s": 1e-9, "adapting_growth": 0.0, "isi_is": "period"},
        {"rng": -1},
    ],
)
def test_bad_arguments_raise(wrong):
    with pytest.raises(InputError):
        FiringPatterns(**{"per_class": 4, **wrong})


def test_bad_splits_raise():
    task = FiringPatterns(per_class=4, devices=1)
    with pytest.raises(InputError, match="two units"):
        task.split(by="device")
    with pytest.raises(InputError, match="Unknown way"):
        task.split(by="class")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="test_fraction"):
        task.split(1.0)


def test_splits_serve_scikit_learn():
    """Each split is one of `split`; groups stay whole in scikit-learn's own splitters too."""
    task = FiringPatterns(per_class=40, devices=8, shared_trains=True)
    splits = task.splits(3, by="device", rng=2)
    assert splits.get_n_splits() == 3
    features = np.eye(4)[task.labels] + 0.01 * np.arange(160)[:, None] / 160
    scores = cross_val_score(LinearDiscriminantAnalysis(), features, task.labels, cv=splits)
    assert scores.shape == (3,)
    for train, test in splits.split(features):
        assert not np.intersect1d(task.device[train], task.device[test]).size
    assert len({tuple(test) for _, test in splits.split()}) > 1
    folds = StratifiedGroupKFold(4).split(features, task.labels, task.unit("train"))
    assert all(not np.intersect1d(task.train[a], task.train[b]).size for a, b in folds)
    with pytest.raises(InputError, match="another set"):
        next(splits.split(features[:10]))


def test_words_are_all_bit_patterns_as_pulses():
    words, streams = pulse_words(4)
    assert words.tolist() == [[int(b) for b in f"{i:04b}"] for i in range(16)]
    for word, stream in zip(words, streams, strict=True):
        assert pulses(stream) == word.sum()
        np.testing.assert_array_equal(stream.voltage_at(0.04 * np.arange(4) + 0.01), word)
        assert stream.duration_s == streams[0].duration_s == pytest.approx(0.145, abs=1e-5)
    for wrong in ({"bits": 0}, {"bits": 13}, {"period_s": 20e-3}, {"width_s": 0.0}, {"rest_s": -1.0}):
        with pytest.raises(InputError):
            pulse_words(**wrong)
