"""Readouts: exact single updates, the gradient, write statistics, what noise and shuffled labels must do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from halidrift.physics.errors import InputError, ValidityError
from halidrift.pipeline import _readout
from halidrift.pipeline.readout import DeltaRuleReadout, IccReadout, confusion_interval

LOW, HIGH = 1e-4, 3.5e-3


class Pair:
    """A non-volatile cell whose write spread is sigma_0 + relative * target."""

    sources = ("Kim2019",)

    def __init__(self, relative: float = 0.03, sigma_0_S: float = 0.0, bounds=(LOW, HIGH)):
        self.relative, self.sigma_0_S, self.conductance_bounds_S = relative, sigma_0_S, bounds

    def write_spread_S(self, G):
        return self.sigma_0_S + self.relative * G


def clusters(patterns: int, spread: float, seed: int, nodes: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Four Gaussian clusters, one node pair raised for each class, in S like reservoir states."""
    rng = np.random.default_rng(seed)
    labels = np.arange(patterns) % 4
    centres = np.repeat(np.eye(4), nodes // 4, axis=1)
    return 1e-6 * (1 + centres[labels] + spread * rng.standard_normal((patterns, nodes))), labels


EASY, HARD = clusters(800, 0.15, 0), clusters(2000, 0.9, 1)


def noiseless(**options) -> IccReadout:
    return IccReadout(Pair(), write_noise=False, rng=0, **options)


# -- delta rule -----------------------------------------------------------------------------------------------


def squared_error(W: np.ndarray, x: np.ndarray, label: int) -> float:
    o = 1 / (1 + np.exp(-W @ x))
    return 0.5 * float(np.sum((np.eye(W.shape[0])[label] - o) ** 2))


def test_one_update_is_minus_the_numerical_gradient():
    """Central differences of the squared error, relative 1e-6."""
    rng = np.random.default_rng(0)
    W, x, eta, h = rng.standard_normal((4, 6)), rng.standard_normal(6), 0.1, 1e-5
    gradient = np.zeros_like(W)
    for index in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[index] = h
        gradient[index] = (squared_error(W + step, x, 2) - squared_error(W - step, x, 2)) / (2 * h)
    after = W.copy()
    moments = np.zeros((2, *W.shape))
    loss, updates = _readout.delta_epoch(
        x[None], np.array([2]), np.array([0]), after, _readout.CONSTANT, eta, *moments, 0
    )
    np.testing.assert_allclose(after - W, -eta * gradient, rtol=1e-6, atol=1e-12)
    assert loss == pytest.approx(squared_error(W, x, 2), rel=1e-12)
    assert updates == 1


def test_the_first_adaptive_step_has_the_length_of_the_rate():
    """Moments of one gradient: the step is eta g/|g|, exact but for the floor of 1e-8 in the denominator."""
    W, x = np.zeros((4, 3)), np.array([1.0, -2.0, 0.5])
    _readout.delta_epoch(
        x[None], np.array([1]), np.array([0]), W, _readout.ADAM, 0.01, np.zeros((4, 3)), np.zeros((4, 3)), 0
    )
    towards = np.where(np.arange(4) == 1, 1.0, -1.0)
    np.testing.assert_allclose(W, 0.01 * towards[:, None] * np.sign(x), rtol=1e-6)


@pytest.mark.parametrize("schedule", ["adam", "halving", "constant"])
@pytest.mark.parametrize("scaling", ["minmax", "standard", "global"])
def test_delta_rule_learns_separable_clusters(schedule, scaling):
    rate = {"adam": 1e-2, "halving": 1.0, "constant": 1.0}[schedule]
    readout = DeltaRuleReadout(learning_rate=rate, schedule=schedule, scaling=scaling, rng=0).fit(*EASY)
    assert readout.score(*clusters(400, 0.15, 9)) > 0.99


def test_halving_lowers_the_rate_only_after_a_loss_that_did_not_fall():
    readout = DeltaRuleReadout(epochs=30, learning_rate=5.0, schedule="halving", rng=0).fit(*HARD)
    rate, loss = readout.history_["learning_rate"], readout.history_["loss"]
    assert rate[-1] < rate[0]
    for i in range(2, 30):
        assert rate[i] == (0.5 * rate[i - 1] if loss[i - 1] >= loss[i - 2] else rate[i - 1])


# -- compliance-current pairs ---------------------------------------------------------------------------------


def one_update(update: str, change: float, plus: float, minus: float, **options) -> tuple[np.ndarray, np.ndarray]:
    """Conductances of one pair and its writes after one pattern that asks for `change`, in S."""
    G = np.full((2, 1, 1), np.nan)
    G[:, 0, 0] = plus, minus
    before = (plus - minus) / (HIGH - LOW)
    label = 0 if change > 0 else 1
    miss = (1.0 - label) - 1 / (1 + np.exp(-before))
    eta = change / (miss * (HIGH - LOW))
    writes, erases = np.zeros((2, 2, 1, 1), dtype=np.int64)
    _readout.icc_epoch(
        np.ones((1, 1)),
        np.array([label]),
        np.array([0]),
        (G, G.copy(), writes, erases, np.zeros((2, 1, 1)), np.zeros((2, 1, 1))),
        (np.full((2, 1, 1), np.inf), False, _readout.STICK),
        (LOW, HIGH, 0.0, 0.0),
        eta,
        _readout.RESIDUAL,
        update,
        options.get("threshold", 0.0),
        G,
        np.random.default_rng(0),
    )
    return G[:, 0, 0], np.array([writes[:, 0, 0], erases[:, 0, 0]])


@pytest.mark.parametrize(
    ("update", "change", "before", "after", "writes", "erases"),
    [
        # mS; half the change each way
        (_readout.SYMMETRIC, 0.2, (0.5, 0.5), (0.6, 0.4), (1, 1), (0, 1)),
        (_readout.SYMMETRIC, -0.2, (0.5, 0.5), (0.4, 0.6), (1, 1), (1, 0)),
        # clipped to 0.1 and 3.5 mS
        (_readout.SYMMETRIC, 0.4, (3.4, 0.2), (3.5, 0.1), (1, 1), (0, 1)),
        # potentiation through G+, depression through G-
        (_readout.GROW_ONLY, 0.2, (0.5, 0.5), (0.7, 0.5), (1, 0), (0, 0)),
        (_readout.GROW_ONLY, -0.2, (0.5, 0.5), (0.5, 0.7), (0, 1), (0, 0)),
        (_readout.GROW_ONLY, 0.2, (3.4, 0.5), (3.5, 0.5), (1, 0), (0, 0)),
        (_readout.GROW_ONLY, 0.2, (3.5, 3.0), (3.5, 3.0), (0, 0), (0, 0)),
        # the same difference, 0.4 + 0.2 mS, written from the lower bound
        (_readout.GROW_REFRESH, 0.2, (3.4, 3.0), (0.7, 0.1), (1, 1), (1, 1)),
        (_readout.GROW_REFRESH, 0.2, (0.5, 0.5), (0.7, 0.5), (1, 0), (0, 0)),
    ],
)
def test_one_update_by_hand(update, change, before, after, writes, erases):
    """Exact to 1e-12."""
    G, counts = one_update(update, 1e-3 * change, *(1e-3 * g for g in before))
    np.testing.assert_allclose(G, 1e-3 * np.array(after), rtol=1e-12)
    np.testing.assert_array_equal(counts, [writes, erases])


def test_a_change_below_the_threshold_is_not_written():
    for update, share in ((_readout.SYMMETRIC, 0.5), (_readout.GROW_ONLY, 1.0), (_readout.GROW_REFRESH, 1.0)):
        still, none = one_update(update, 1e-4, 5e-4, 5e-4, threshold=1.01e-4 * share)
        np.testing.assert_array_equal(still, 5e-4)
        assert not none.any()
        moved, some = one_update(update, 1e-4, 5e-4, 5e-4, threshold=0.99e-4 * share)
        assert np.ptp(moved) == pytest.approx(1e-4, rel=1e-9)
        assert some[0].sum() >= 1


def test_writes_follow_the_cell_s_normal_distribution():
    """16,000 cells written around 0.5 mS: mean and deviation within 5 standard errors."""
    sigma_0, relative, target, nodes = 1e-5, 0.02, 5e-4, 4000
    rng = np.random.default_rng(0)
    states, labels = rng.standard_normal((2, nodes)), np.array([0, 1])
    readout = IccReadout(
        Pair(relative, sigma_0), epochs=1, learning_rate=1e-14, reference="digital", initial_S=(target, 0.0), rng=1
    ).fit(states, labels)
    G, sigma = readout.conductances_S_.ravel(), sigma_0 + relative * target
    assert G.mean() == pytest.approx(target, abs=5 * sigma / np.sqrt(G.size))
    assert G.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * G.size))


def test_write_errors_accumulate_on_the_device_and_not_on_a_digital_copy():
    """100 writes of constant spread: a random walk of sqrt(100) spreads against 1; 5 standard errors."""
    sigma, nodes = 1e-5, 2000
    states = np.random.default_rng(0).standard_normal((10, nodes))
    labels = np.arange(10) % 2
    walk = {}
    for reference in ("device", "digital"):
        readout = IccReadout(
            Pair(0.0, sigma), epochs=10, learning_rate=1e-14, reference=reference, initial_S=(1.8e-3, 0.0), rng=1
        ).fit(states, labels)
        assert readout.writes_.min() == readout.writes_.max() == 100
        walk[reference] = readout.conductances_S_[..., :-1].std()
    error = 5 / np.sqrt(2 * 4 * nodes)
    assert walk["digital"] == pytest.approx(sigma, rel=error)
    assert walk["device"] == pytest.approx(10 * sigma, rel=error)


@pytest.mark.parametrize("update", ["symmetric", "grow_refresh"])
@pytest.mark.parametrize("error", ["residual", "gradient", "argmax"])
def test_icc_readout_learns_separable_clusters(update, error):
    readout = IccReadout(Pair(0.01), update=update, error=error, rng=0).fit(*EASY)
    assert readout.score(*clusters(400, 0.15, 9)) > 0.99


@pytest.mark.parametrize("update", ["symmetric", "grow_only", "grow_refresh"])
def test_targets_and_weights_stay_in_bounds(update):
    readout = noiseless(update=update, learning_rate=1.0).fit(*HARD)
    G = readout.conductances_S_
    assert G.min() >= LOW
    assert G.max() <= HIGH
    assert np.abs(readout.weights_).max() <= 1.0
    assert G.max() == HIGH  # the rate is high enough that the clip is met
    plus, minus = G
    np.testing.assert_allclose(readout.weights_, (plus - minus) / (HIGH - LOW), rtol=1e-12)


def test_growth_alone_never_erases_and_ends_in_saturation():
    readout = noiseless(update="grow_only").fit(*HARD)
    assert readout.erases_.sum() == 0
    start = np.clip(5e-4 + 1e-4 * np.random.default_rng(0).standard_normal((2, 4, 9)), LOW, HIGH)
    assert (readout.conductances_S_ >= start).all()
    assert np.mean(readout.conductances_S_ == HIGH) > 0.9
    assert readout.score(*HARD) < noiseless(update="grow_refresh").fit(*HARD).score(*HARD) - 0.2


def test_without_write_noise_pairs_match_floating_point_and_noise_costs_accuracy():
    """Fresh patterns of overlapping clusters: exact writes within 3 points of the delta rule, 30 % errors 10 below."""
    fresh = clusters(4000, 0.9, 7)
    exact = DeltaRuleReadout(rng=0).fit(*HARD).score(*fresh)
    assert exact > 0.6
    assert noiseless(learning_rate=1e-3).fit(*HARD).score(*fresh) == pytest.approx(exact, abs=0.03)
    noisy = [IccReadout(Pair(0.3), learning_rate=1e-3, rng=seed).fit(*HARD).score(*fresh) for seed in range(5)]
    assert np.mean(noisy) < exact - 0.1


def test_initial_conductances_are_normal_around_half_a_millisiemens():
    """4000 cells, untouched by a vanishing rate and exact writes; 5 standard errors."""
    states, labels = np.random.default_rng(0).standard_normal((2, 1000)), np.array([0, 1])
    G = noiseless(epochs=1, learning_rate=1e-14).fit(states, labels).conductances_S_
    assert G.mean() == pytest.approx(5e-4, abs=5 * 1e-4 / np.sqrt(G.size))
    assert G.std() == pytest.approx(1e-4, rel=5 / np.sqrt(2 * G.size))


def test_every_write_is_counted():
    """Standardised inputs are never zero: patterns x epochs writes of every cell, both cells of a pair."""
    states, labels = EASY
    readout = noiseless(epochs=3).fit(states, labels)
    assert readout.writes_.min() == readout.writes_.max() == 3 * 800
    assert readout.writes_per_device_ == {"mean": 2400.0, "max": 2400.0, "total": 2400.0 * 2 * 4 * 9}
    assert readout.endurance_share_ == pytest.approx(2400 / 5655)
    assert readout.history_["writes_mean"] == [800.0, 1600.0, 2400.0]
    sparse = noiseless(epochs=3, write_threshold_S=5e-5).fit(states, labels)
    assert sparse.writes_.max() < 2400
    lazy = noiseless(epochs=3, error="argmax").fit(states, labels)
    assert lazy.writes_.max() < 240


def test_the_cell_decides_bounds_and_spread():
    narrow = IccReadout(Pair(0.0, bounds=(4e-4, 6e-4)), rng=0).fit(*EASY)
    assert narrow.conductances_S_.min() >= 4e-4
    assert narrow.conductances_S_.max() <= 6e-4
    inner = IccReadout(Pair(0.0), bounds_S=(3e-4, 1e-3), rng=0).fit(*EASY)
    assert inner.conductances_S_.max() <= 1e-3


# -- both -----------------------------------------------------------------------------------------------------

BOTH = [DeltaRuleReadout(rng=0), IccReadout(Pair(), rng=0)]
names = [type(readout).__name__ for readout in BOTH]


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_shuffled_labels_give_chance(readout):
    """2000 fresh patterns, four classes: within 4 binomial deviations of 25 %."""
    states, labels = EASY
    shuffled = np.random.default_rng(0).permutation(labels)
    fresh, truth = clusters(2000, 0.15, 5)
    score = clone(readout).fit(states, shuffled).score(fresh, np.random.default_rng(1).permutation(truth))
    assert score == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 2000))


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_a_device_that_does_not_respond_gives_exactly_chance(readout):
    """Constant states leave only the bias: every pattern gets the same class."""
    states, labels = np.full((400, 30), 1e-9), np.arange(400) % 4
    trained = clone(readout).fit(states, labels)
    assert trained.score(states, labels) == 0.25
    assert np.isfinite(trained.weights_).all()


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_a_seed_replays_and_another_differs(readout):
    a, b, c = (clone(readout).set_params(rng=seed).fit(*HARD).weights_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_scikit_learn_conventions(readout):
    copy = clone(readout)
    assert copy.get_params().keys() == readout.get_params().keys()
    assert not hasattr(copy, "history_")
    assert cross_val_score(copy, *EASY, cv=3).min() > 0.95
    states, labels = EASY
    words = np.array(["a", "b", "c", "d"])[labels]
    trained = copy.fit(states, words, eval_set=(states[:40], words[:40]))
    assert trained.classes_.tolist() == ["a", "b", "c", "d"]
    assert trained.predict(states[:4]).tolist() == ["a", "b", "c", "d"]
    assert trained.coef_.shape == (4, 8)
    assert trained.intercept_.shape == (4,)
    assert {len(values) for values in trained.history_.values()} == {5}
    assert trained.history_["train_accuracy"][-1] == trained.score(states, words)
    assert "John2022" in trained.sources


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_the_evaluation_set_never_trains_and_scaling_knows_only_the_training_set(readout):
    states, labels = HARD
    alone = clone(readout).fit(states[:1000], labels[:1000])
    watched = clone(readout).fit(states[:1000], labels[:1000], eval_set=(100 * states[1000:], labels[1000:]))
    np.testing.assert_array_equal(alone.weights_, watched.weights_)
    np.testing.assert_allclose(alone.offset_, states[:1000].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(1 / alone.gain_, states[:1000].std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_confusion_rows_sum_to_one_and_agree_with_the_score(readout):
    states, labels = HARD
    trained = clone(readout).fit(states, labels)
    matrix = trained.confusion(states, labels)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-12)
    assert np.diag(matrix).mean() == pytest.approx(trained.score(states, labels), rel=1e-12)  # balanced classes
    only = trained.confusion(states[labels != 2], labels[labels != 2])
    assert np.isnan(only[2]).all()
    assert not np.isnan(only[0]).any()


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_activations_are_sigmoids_of_the_net_input(readout):
    trained = clone(readout).fit(*EASY)
    net = trained.decision_function(EASY[0])
    np.testing.assert_allclose(trained.activations(EASY[0]), 1 / (1 + np.exp(-net)), rtol=1e-9)


@pytest.mark.parametrize("readout", BOTH, ids=names)
@pytest.mark.parametrize(
    ("states", "labels", "message"),
    [
        (np.zeros(4), np.arange(4), "matrix"),
        (np.zeros((4, 2)), np.arange(3), "one label"),
        (np.zeros((4, 2)), np.zeros(4), "two classes"),
        (np.full((4, 2), np.nan), np.arange(4), "finite"),
    ],
)
def test_bad_data_raise(readout, states, labels, message):
    with pytest.raises(InputError, match=message):
        clone(readout).fit(states, labels)


@pytest.mark.parametrize("readout", BOTH, ids=names)
def test_misuse_raises(readout):
    with pytest.raises(InputError, match="not trained"):
        clone(readout).predict(EASY[0])
    trained = clone(readout).fit(*EASY)
    with pytest.raises(InputError, match="number of nodes"):
        trained.predict(EASY[0][:, :3])
    with pytest.raises(InputError, match="known class"):
        trained.confusion(EASY[0], EASY[1] + 1)
    for wrong in ({"epochs": 0}, {"epochs": np.nan}, {"learning_rate": -1.0}, {"scaling": "log"}):
        with pytest.raises(InputError):
            clone(readout).set_params(**wrong).fit(*EASY)


@pytest.mark.parametrize(
    ("cell", "wrong", "error"),
    [
        (Pair(), {"update": "both"}, InputError),
        (Pair(), {"error": "l2"}, InputError),
        (Pair(), {"reference": "paper"}, InputError),
        (Pair(), {"write_threshold_S": -1.0}, InputError),
        (Pair(), {"endurance_cycles": 0.0}, InputError),
        (Pair(), {"wear": "tear"}, InputError),
        (Pair(), {"wear_counts": "reads"}, InputError),
        (Pair(), {"endurance_spread": -0.1}, InputError),
        (Pair(), {"pulse_s": 0.0}, InputError),
        (Pair(), {"bounds_S": (1e-4, 1e-2)}, InputError),
        (Pair(), {"bounds_S": (1e-3, 5e-4)}, InputError),
        (Pair(), {"initial_S": (5e-3, 1e-4)}, InputError),
        (Pair(), {"initial_S": (5e-4, np.nan)}, InputError),
        (object(), {}, InputError),
        (Pair(-0.1), {}, ValidityError),
    ],
)
def test_bad_pairs_raise(cell, wrong, error):
    with pytest.raises(error):
        IccReadout(cell, rng=0, **wrong).fit(*EASY)


def test_a_spread_that_is_not_linear_is_refused():
    class Curved(Pair):
        def write_spread_S(self, G):
            return 10.0 * G**2

    with pytest.raises(ValidityError, match="not linear"):
        IccReadout(Curved(), rng=0).fit(*EASY)


# -- wear, energy, intervals -----------------------------------------------------------------------------------


def test_stuck_cells_keep_the_conductance_of_their_last_cycle():
    """Life of 100 writes, 800 patterns: after epoch 1 nothing moves, and every later pulse is still counted."""
    one = IccReadout(Pair(), 1, wear="stick", endurance_cycles=100, rng=0).fit(*EASY)
    five = IccReadout(Pair(), 5, wear="stick", endurance_cycles=100, rng=0).fit(*EASY)
    np.testing.assert_array_equal(one.conductances_S_, five.conductances_S_)
    assert five.writes_.min() == 5 * 800
    assert five.worn_share_ == 1.0
    fresh = IccReadout(Pair(), 5, rng=0).fit(*EASY)
    assert fresh.worn_share_ == 0.0
    assert np.isinf(fresh.life_cycles_).all()
    assert not np.array_equal(fresh.conductances_S_, five.conductances_S_)


def test_a_long_life_changes_nothing():
    """The same random numbers, so the weights of a cell that never wears."""
    never = IccReadout(Pair(), 2, rng=0).fit(*EASY)
    later = IccReadout(Pair(), 2, wear="stick", endurance_cycles=1e9, rng=0).fit(*EASY)
    assert later.worn_share_ == 0.0
    np.testing.assert_array_equal(later.conductances_S_, never.conductances_S_)


def test_a_closing_window_reaches_the_share_of_the_target_that_is_left():
    """One pair, exact writes towards the upper bound: after n writes low + (target - low) exp(1 - n/life)."""
    life, n = 10, 25
    cells = tuple(np.full((2, 1, 1), HIGH) for _ in range(2)) + tuple(np.zeros((2, 2, 1, 1), dtype=np.int64))
    cells += tuple(np.zeros((2, 2, 1, 1)))
    cells[2][:] = n
    _readout.write(
        cells,
        (np.full((2, 1, 1), float(life)), False, _readout.WINDOW),
        (LOW, HIGH, 0.0, 0.0),
        0,
        0,
        0,
        HIGH,
        np.random.default_rng(0),
    )
    assert cells[0][0, 0, 0] == pytest.approx(LOW + (HIGH - LOW) * np.exp(1 - n / life), rel=1e-12)


def test_cycles_may_be_counted_by_their_erases():
    writes = IccReadout(Pair(), 1, wear="stick", endurance_cycles=200, rng=0).fit(*EASY)
    erases = IccReadout(Pair(), 1, wear="stick", wear_counts="erase", endurance_cycles=200, rng=0).fit(*EASY)
    assert (writes.erases_ <= writes.writes_).all()
    assert writes.worn_share_ == 1.0
    assert erases.worn_share_ == np.mean(erases.erases_ > 200)
    assert 0.0 < erases.worn_share_ <= 1.0


def test_lives_are_lognormal_around_the_endurance():
    """64 cells: median within 4 standard errors of a median, deviation within 5 of its own."""
    lives = IccReadout(Pair(), 1, wear="stick", endurance_spread=0.5, rng=0).fit(*EASY).life_cycles_
    logs = np.log(lives / 5655.0)
    assert np.median(logs) == pytest.approx(0.0, abs=4 * 0.5 * np.sqrt(np.pi / 2 / logs.size))
    assert logs.std() == pytest.approx(0.5, rel=5 / np.sqrt(2 * logs.size))


def test_energy_is_that_of_every_pulse():
    """Of one write and one erase by hand: 5 V at Icc = G/2 V for 5 ms, (7 V)^2 G for 5 ms."""

    class Programmed(Pair):
        def compliance_for(self, G):
            return np.asarray(G) / 2.0

    readout = IccReadout(Programmed(0.0), 1, rng=0).fit(EASY[0][:4], EASY[1][:4])
    assert readout.energy_J_.shape == readout.writes_.shape
    low = 5.0 * readout.writes_ * LOW / 2 * 5e-3
    high = 5.0 * readout.writes_ * HIGH / 2 * 5e-3 + 49.0 * readout.erases_ * HIGH * 5e-3
    assert (readout.energy_J_ >= low).all()
    assert (readout.energy_J_ <= high).all()
    target, before = 1e-3, 2e-3
    readout._written[:], readout._erased[:], readout.writes_[:] = target, before, 1
    expected = 5e-3 * (5.0 * target / 2.0 + 49.0 * before)
    np.testing.assert_allclose(readout.energy_J_, expected, rtol=1e-9)
    with pytest.raises(InputError, match="compliance_for"):
        _ = noiseless().fit(*EASY).energy_J_


def test_confusion_intervals_cover_the_truth_as_often_as_they_say():
    """400 experiments of 5 trainings, 100 patterns a class: coverage of 95 % at least, less 4 standard errors."""
    rng, truth = np.random.default_rng(0), np.array([[0.9, 0.1], [0.3, 0.7]])
    inside = 0
    for _ in range(400):
        counts = np.array([[rng.multinomial(100, row) for row in truth] for _ in range(5)])
        mean, low, high = confusion_interval(counts)
        inside += int(low[0, 0] <= truth[0, 0] <= high[0, 0])
        assert ((low <= mean) & (mean <= high)).all()
    assert inside / 400 >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 400)


def test_one_training_has_wilson_s_interval():
    """90 of 100: 0.8256 to 0.9448 at 95 %."""
    _, low, high = confusion_interval([[[90, 10], [0, 100]]])
    assert low[0, 0] == pytest.approx(0.8256, abs=1e-4)
    assert high[0, 0] == pytest.approx(0.9448, abs=1e-4)
    assert low[1, 1] < 1.0 == high[1, 1]
    for wrong in ([[1, 2], [3, 4]], [[[0, 0], [1, 1]]], [[[-1, 2], [1, 1]]]):
        with pytest.raises(InputError):
            confusion_interval(wrong)
    with pytest.raises(InputError, match="level"):
        confusion_interval([[[1, 1], [1, 1]]], level=1.0)
    with pytest.raises(InputError):
        confusion_interval([[[np.inf, 1], [1, 1]]])


def test_an_unknown_schedule_raises():
    with pytest.raises(InputError, match="schedule"):
        DeltaRuleReadout(schedule="cosine").fit(*EASY)
