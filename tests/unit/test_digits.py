"""Digits on synapse pairs: curves, the rule against floating point, IDX files, and what must not be learned."""

from __future__ import annotations

import gzip
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

from halidrift import Waveform
from halidrift.physics import synapse
from halidrift.physics import trace as traces
from halidrift.physics.errors import DataError, InputError
from halidrift.pipeline.digits import MNIST_FILES, SynapticPerceptron, UpdateCurve, mnist, read_idx, small
from halidrift.pipeline.kim2019.recognition import recognise
from halidrift.pipeline.readout import DeltaRuleReadout
from halidrift.pipeline.stages import Workers, file_digest

IMAGES = small(0)
X, Y = IMAGES.train, IMAGES.train_labels
HELD = (IMAGES.test, IMAGES.test_labels)


def played(wave, weights, rest=1.0):
    """A trace whose conductance at each read is given."""
    reads = np.concatenate([[0.0], wave.reads_s])
    g = np.interp(wave.times_s, reads, np.concatenate([[rest], weights]))
    return traces.make(
        wave,
        model="test",
        device_voltage_V=wave.voltage_at(wave.times_s),
        current_A=g * np.abs(wave.voltage_at(wave.times_s)),
        conductance_S=g,
        parameters={},
    )


def spiked(up, down):
    wave = synapse.update(len(up))
    wave = wave.with_samples(np.union1d(wave.times_s, wave.reads_s))
    return played(wave, [*up, *down])


# -- the curve -----------------------------------------------------------------------------------------------------


def test_a_curve_is_what_the_trace_shows():
    up, down = np.array([1.5, 1.8, 2.0]), np.array([1.6, 1.3, 1.1])
    curve = UpdateCurve.from_trace(spiked(up, down), origin="here")
    assert curve.potentiation_S[1:] == pytest.approx(up, rel=1e-9)
    assert curve.depression_S == pytest.approx([2.0, *down], rel=1e-9)
    assert (curve.spike_V, curve.read_V, curve.states) == ((-1.0, 1.0), -0.01, 3)
    assert curve.width_s == pytest.approx(20e-3, rel=1e-6)
    # the spikes of the trace itself, one by one
    assert curve.error(spiked(up, down)) == pytest.approx(0.0, abs=1e-9)


def test_spikes_move_along_the_branches():
    curve = UpdateCurve(np.array([1.0, 3.0, 4.0]), np.array([4.0, 2.0, 1.5]))
    # halfway up the first step, one spike on: halfway up the second
    assert curve.after(2.0, 1) == pytest.approx(3.5)
    assert curve.after(3.0, -1) == pytest.approx(1.75)
    assert curve.after(1.0, 7) == 4.0
    assert curve.after(4.0, -9) == 1.5
    # below the first weight of its branch a device starts at that weight; at the last no spike moves it back
    assert curve.after(0.5, 1) == 3.0
    assert curve.after(4.0, 3) == 4.0
    assert curve.after(1.0, -1) == 1.0


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (([1.0, 1.0, 2.0], [2.0, 1.0]), "must rise"),
        (([1.0, 2.0], [2.0, 2.5]), "must fall"),
        (([1.0, 2.0], [1.9, 1.0]), "where potentiation ends"),
        (([-1.0, 2.0], [2.0, 1.0]), "positive"),
        (([1.0], [1.0, 0.5]), "two positive"),
        (([1.0, np.nan], [2.0, 1.0]), "positive"),
    ],
)
def test_bad_curves_raise(wrong, match):
    with pytest.raises(InputError, match=match):
        UpdateCurve(*(np.array(branch) for branch in wrong))


def test_traces_without_such_spikes_raise():
    with pytest.raises(InputError):
        UpdateCurve.from_trace(played(Waveform.hold(0.1, 1.0, samples=5), []))
    wave = synapse.durations([20e-3, 40e-3])
    wave = wave.with_samples(np.union1d(wave.times_s, wave.reads_s))
    with pytest.raises(InputError, match="one width"):
        UpdateCurve.from_trace(played(wave, [2.0, 1.5]))
    wave = synapse.numbers(4)
    with pytest.raises(InputError, match="one sign, then"):
        UpdateCurve.from_trace(played(wave, [1.5, 2.0, 1.8, 1.2]))
    with pytest.raises(InputError, match="states"):
        UpdateCurve.linear(0)


# -- the rule ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["both", "reference"])
def test_even_steps_without_end_are_floating_point(pair):
    """1e6 steps of 1.6e-5 in weight, rounded to the nearest: the same weights as the delta rule."""
    line = UpdateCurve.linear(10**6)
    network = SynapticPerceptron(line, 3, pair=pair, rounding="nearest", weight_limit=8.0, rng=3).fit(X, Y)
    plain = DeltaRuleReadout(3, network.learning_rate, schedule="constant", scaling="global", rng=3).fit(X, Y)
    assert np.abs(plain.weights_).max() > 1.0
    # 4000 updates, each off by up to half a step: 3e-4 rms as a random walk, an order of magnitude below
    assert network.weights_ == pytest.approx(plain.weights_, abs=5e-3)


def test_many_states_reach_the_ceiling_and_one_does_not():
    """Accuracy of 450 images has a counting error of 1 %; three of them between the ideal and floating point."""
    plain = DeltaRuleReadout(15, 0.3, schedule="constant", scaling="global", rng=0).fit(X, Y).score(*HELD)
    many = SynapticPerceptron(UpdateCurve.linear(1000), 15, weight_limit=8.0, rng=0).fit(X, Y).score(*HELD)
    one = SynapticPerceptron(UpdateCurve.linear(1), 15, rng=0).fit(X, Y).score(*HELD)
    assert plain > 0.93
    assert many == pytest.approx(plain, abs=0.03)
    assert one < plain - 0.2


def test_shuffled_labels_give_chance():
    """Ten classes: 10 %; a standard deviation is 1.4 % of 450 images, and trainings add to it."""
    found = []
    for seed in range(3):
        labels = np.random.default_rng(seed).permutation(Y)
        found.append(SynapticPerceptron(UpdateCurve.linear(100), 5, rng=seed).fit(X, labels).score(*HELD))
    assert np.mean(found) == pytest.approx(0.10, abs=0.05)


def test_equal_seeds_give_equal_networks_and_clones_can_be_fitted():
    made = SynapticPerceptron(UpdateCurve.linear(20), 2, spread=0.02, initial="random", rng=5)
    first, second = clone(made).fit(X, Y), clone(made).fit(X, Y)
    assert np.array_equal(first.conductances_S_, second.conductances_S_)
    assert not np.array_equal(first.conductances_S_, clone(made).set_params(spread=0.0).fit(X, Y).conductances_S_)


@pytest.mark.parametrize("pair", ["both", "reference", "grow"])
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_devices_stay_on_the_curve_and_are_counted(pair, spread):
    curve = UpdateCurve(np.array([1.0, 1.4, 1.6, 1.7]), np.array([1.7, 1.1, 0.9, 0.8]), (-1.0, 1.0), 20e-3, -0.01)
    network = SynapticPerceptron(curve, 2, pair=pair, spread=spread, rng=1).fit(X, Y, HELD)
    low, high = curve.bounds_S
    assert (low, high) == (0.8, 1.7)
    assert network.conductances_S_.min() >= low
    assert network.conductances_S_.max() <= high
    writes = network.writes_per_device_
    assert writes["total"] == network.writes_.sum() > 0
    assert (network.writes_[1] == 0).all() == (pair == "reference")
    # every spike costs P I t with a current between those of the bounds
    assert low <= network.energy_J_ / (writes["total"] * 1.0 * 0.01 * 20e-3) <= high
    assert len(network.history_["test_accuracy"]) == len(network.history_["writes_mean"]) == 2


def test_one_spike_moves_one_synapse_by_one_state():
    """Two patterns of one lit pixel each: every spike by hand."""
    patterns, labels = np.eye(2), np.array([0, 1])
    network = SynapticPerceptron(UpdateCurve.linear(10), 1, 0.8, rounding="nearest", scaling="none", rng=0)
    # o = 1/2, so eta (t - o) o (1 - o) is 0.1, of 5 spikes for each unit of weight: half a spike, to the even one
    assert network.fit(patterns, labels).writes_.sum() == 0
    network.set_params(learning_rate=1.0).fit(patterns, labels)
    # 0.625 spikes, so one up and one down; the bias goes there and back, whichever pattern comes first
    assert network.weights_ == pytest.approx(np.array([[0.2, -0.2, 0.0], [-0.2, 0.2, 0.0]]), abs=1e-12)
    assert network.writes_.tolist() == [[[1, 1, 2], [1, 1, 2]]] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"pair": "three"},
        {"rounding": "up"},
        {"initial": "top"},
        {"batch": 0},
        {"batch": np.nan},
        {"weight_limit": 0.0},
        {"spread": -0.1},
        {"spread": float("nan")},
        {"epochs": 0},
        {"learning_rate": float("inf")},
        {"scaling": "none at all"},
    ],
)
def test_bad_arguments_raise(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SynapticPerceptron(UpdateCurve.linear(5), **{"epochs": 1, **wrong}).fit(X[:50], Y[:50])


def test_a_perceptron_needs_a_curve():
    with pytest.raises(InputError, match="update curve"):
        SynapticPerceptron(None).fit(X[:50], Y[:50])


# -- images --------------------------------------------------------------------------------------------------------


def test_the_small_images_are_split_by_class():
    assert (len(IMAGES.train), len(IMAGES.test)) == (1347, 450)
    shares = [np.bincount(labels, minlength=10) / len(labels) for labels in (Y, HELD[1])]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    assert not np.array_equal(small(1).test_labels, HELD[1])
    with pytest.raises(InputError, match="test_share"):
        small(0, test_share=1.0)
    for share in (0.001, 0.9999):
        with pytest.raises(InputError, match="no image of each class"):
            small(0, test_share=share)


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def written(folder, packed=False, **changed):
    rng = np.random.default_rng(0)
    parts = {
        MNIST_FILES[0]: idx(rng.integers(256, size=(30, 28, 28))),
        MNIST_FILES[1]: idx(np.arange(30) % 10),
        MNIST_FILES[2]: idx(rng.integers(256, size=(10, 28, 28))),
        MNIST_FILES[3]: idx(np.arange(10)),
    }
    for name, content in {**parts, **changed}.items():
        if content is not None:
            (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read(tmp_path, packed):
    images = mnist(written(tmp_path, packed))
    assert images.train.shape == (30, 784)
    assert images.test.shape == (10, 784)
    assert 0.9 < images.train.max() <= 1.0
    assert images.train_labels.tolist() == (np.arange(30) % 10).tolist()
    assert images.name == "28 x 28"


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        (0, None, "missing file"),
        (0, b"", "magic number"),
        (0, b"not an idx file at all", "magic number"),
        (1, idx(np.zeros((30, 1))), "magic number"),
        (0, idx(np.zeros((30, 28, 28)))[:-1], "as long as"),
        (0, idx(np.zeros((30, 28, 28))) + b"x", "as long as"),
        (1, idx(np.zeros(29)), "another number of labels"),
        (1, idx(np.full(30, 10)), "not digits"),
        (2, idx(np.zeros((10, 8, 8))), "another size"),
        (2, idx(np.zeros((10, 28 * 28, 1))), "another size"),
        (2, idx(np.zeros((10, 0, 0))), "without pixels"),
        (0, bytes([0, 0, 8, 3]) + b"\xff" * 12, "as long as"),
    ],
)
def test_damaged_idx_files_are_told(tmp_path, file, content, match):
    with pytest.raises(DataError, match=match) as caught:
        mnist(written(tmp_path, **{MNIST_FILES[file]: content}))
    assert MNIST_FILES[file] in str(caught.value)


def test_the_big_images_join_the_job_when_they_are_given(tmp_path):
    """Two networks frame that of n = 3; the curve of a trace that is none is told, not guessed."""
    settings = SimpleNamespace(films=("3",), quick=True, trainings=1, epochs=1, seed=0, mnist=str(written(tmp_path)))
    up = np.linspace(1.1, 2.0, 6)
    curves = {"n3-update": spiked(up, up[::-1] - 0.1), "n3-late": spiked(up[::-1], up)}
    with Workers(1) as workers:
        data, made = recognise(settings, curves, workers, lambda *_: None)
    assert not made
    assert set(data["runs"]) == {"8 x 8", "28 x 28"}
    assert set(data["runs"]["28 x 28"]) == {"float", "linear_20", "n3-update"}
    assert list(data["failures"]) == ["n3-late"]
    assert "must rise" in data["failures"]["n3-late"]
    [run] = data["runs"]["28 x 28"]["n3-update"]
    assert np.shape(run["confusion"]) == (10, 10)
    assert data["curves"]["n3-update"]["states"] == 6


def test_a_digest_follows_the_content(tmp_path):
    written(tmp_path)
    before = file_digest(tmp_path, MNIST_FILES)
    assert file_digest(tmp_path, MNIST_FILES) == before
    written(tmp_path, **{MNIST_FILES[3]: idx(np.arange(10)[::-1])})
    assert file_digest(tmp_path, MNIST_FILES) != before


def test_a_cut_archive_is_told(tmp_path):
    whole = gzip.compress(idx(np.random.default_rng(0).integers(256, size=(10, 28, 28))))
    (tmp_path / "x.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "x.gz", 3)


def test_doctests():
    import doctest
    import importlib

    # by name: pytest's own collection of doctests would load a second copy of the package
    result = doctest.testmod(importlib.import_module("halidrift.pipeline.digits"))
    assert result.attempted >= 4
    assert result.failed == 0
