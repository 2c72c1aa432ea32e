"""Sobol indices against functions whose indices are known, through the code that `halidrift explain` runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halidrift.physics.errors import InputError
from halidrift.pipeline.explain import Chain, Settings, analysed, ranked
from halidrift.pipeline.sensitivity import Input, Surrogate, latin_hypercube, sobol

pytest.importorskip("SALib")

A, B = 7.0, 0.1


def ishigami(U):
    x = 2.0 * np.pi * U - np.pi
    return np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])


def ishigami_indices():
    """Ishigami and Homma 1990, in closed form."""
    one = 0.5 * (1.0 + B * np.pi**4 / 5.0) ** 2
    two = A**2 / 8.0
    both = B**2 * np.pi**8 * (1.0 / 18.0 - 1.0 / 50.0)
    whole = one + two + both
    return np.array([one, two, 0.0]) / whole, np.array([one + both, two, both]) / whole


WEIGHTS = np.array([0.0, 1.0, 4.5, 9.0, 99.0, 99.0])


def g_function(U):
    return np.prod((np.abs(4.0 * U - 2.0) + WEIGHTS) / (1.0 + WEIGHTS), axis=1)


def g_indices():
    """Saltelli and Sobol 1995, in closed form."""
    part = 1.0 / (3.0 * (1.0 + WEIGHTS) ** 2)
    whole = np.prod(1.0 + part) - 1.0
    return part / whole, part * np.prod(1.0 + part) / (1.0 + part) / whole


@pytest.mark.parametrize(
    ("function", "known"), [(ishigami, ishigami_indices()), (g_function, g_indices())], ids=["ishigami", "g"]
)
def test_known_indices(function, known):
    """Within 0.01 at 8192 base samples, and inside 1.5 of the intervals that the code states."""
    first, total = known
    found = sobol(function, [f"x{i}" for i in range(first.size)], samples=8192, rng=3)
    assert np.abs(found.first - first).max() < 0.01
    assert np.abs(found.total - total).max() < 0.01
    assert (np.abs(found.first - first) < 1.5 * found.first_error + 1e-3).all()
    assert (np.abs(found.total - total) < 1.5 * found.total_error + 1e-3).all()


def test_intervals_cover():
    """Of 40 repetitions the 95 % interval of each index of the Ishigami function holds the truth in at least 34."""
    first, total = ishigami_indices()
    hits = np.zeros(6)
    for seed in range(40):
        found = sobol(ishigami, ["a", "b", "c"], samples=128, rng=seed)
        hits += np.abs(np.concatenate([found.first - first, found.total - total])) <= np.concatenate(
            [found.first_error, found.total_error]
        )
    assert hits.min() >= 34


def test_indices_through_a_surrogate():
    """A surrogate trained on 200 points of the Ishigami function: Q2 above 0.9, indices within 0.06."""
    design = latin_hypercube(3, 200, rng=0)
    surrogate = Surrogate.fit(design, ishigami(design), rng=0, kinds=("quadratic", "gaussian process"))
    assert surrogate.kind == "gaussian process"
    assert surrogate.q2 > 0.9
    # the Q2 that cross-validation promises is that of new points
    new = np.random.default_rng(1).random((2000, 3))
    left = ishigami(new) - surrogate.predict(new)
    assert 1.0 - left.var() / ishigami(new).var() > surrogate.q2 - 0.05
    found = sobol(surrogate.predict, ["a", "b", "c"], samples=4096, rng=0)
    first, total = ishigami_indices()
    assert np.abs(found.first - first).max() < 0.06
    assert np.abs(found.total - total).max() < 0.06


def test_noise_has_no_surrogate():
    design = latin_hypercube(4, 80, rng=2)
    noise = np.random.default_rng(5).standard_normal(80)
    surrogate = Surrogate.fit(design, noise, rng=0, kinds=("linear", "quadratic"))
    assert surrogate.q2 < 0.1
    assert surrogate.residual == pytest.approx(noise.std(), rel=0.15)


def test_noise_limits_q2():
    """A linear model with noise: Q2 within 0.08 of the ceiling that noise sets, residual within 15 % of the noise."""
    design = latin_hypercube(3, 300, rng=1)
    results = design @ [1.0, 2.0, 0.0] + 0.3 * np.random.default_rng(2).standard_normal(300)
    surrogate = Surrogate.fit(design, results, rng=0, kinds=("linear", "quadratic"), noise=0.3)
    assert surrogate.kind == "linear"
    assert abs(surrogate.q2 - surrogate.q2_ceiling) < 0.08
    assert surrogate.residual == pytest.approx(0.3, rel=0.15)


# -- a chain whose answer is known ----------------------------------------------------------------------------------


def _input(name, link="device", kind="assumed"):
    return Input(name, 0.0, 1.0, "1", kind, "a test", link=link)


def _linear(design, weights):
    return Surrogate.fit(design, design @ weights, rng=0, kinds=("linear",))


def chain_of(device_weights, network_weights, errors=(0.0, 0.0), error=0.0):
    """Two device inputs, two compact parameters, one network input, all linear: indices known by hand."""
    device, compact = [_input("barrier"), _input("length")], [_input("tau", "compact"), _input("rate", "compact")]
    cube = latin_hypercube(2, 40, rng=0)
    outputs = {
        one.name: (_linear(cube, np.array(weights)), e)
        for one, weights, e in zip(compact, device_weights, errors, strict=True)
    }
    design = latin_hypercube(3, 60, rng=1)
    accuracy = _linear(design, np.array(network_weights))
    return Chain(device, outputs, compact, [_input("noise", "noise")], accuracy, error)


SETTINGS = Settings(samples=1024, refits=2)


def test_accuracy_that_depends_on_one_barrier_only():
    joined = chain_of([(0.8, 0.0), (0.0, 0.8)], (0.9, 0.0, 0.0))
    found = analysed(joined, SETTINGS)
    by_name = dict(zip(found.names, zip(found.first, found.total, strict=True), strict=True))
    assert by_name["barrier"] == pytest.approx((1.0, 1.0), abs=0.01)
    for name, pair in by_name.items():
        if name != "barrier":
            assert pair == pytest.approx((0.0, 0.0), abs=0.01)
    rows = ranked(joined, found)
    assert [row["name"] for row in rows if row["verdict"] == "matters"] == ["barrier"]
    assert rows[0]["deviation_if_known"] < 0.1 * found.standard_deviation
    # 0.9 of slope times 0.8 of slope times 0.9 of the range
    assert rows[0]["accuracy_at_high"] - rows[0]["accuracy_at_low"] == pytest.approx(0.9 * 0.8 * 0.9, abs=0.01)


def test_linear_chain_has_the_indices_of_its_slopes():
    """Share of each input: the square of its slope through both links; errors enter with their own variance."""
    joined = chain_of([(0.4, 0.3), (0.0, 0.5)], (0.5, 0.3, 0.2), errors=(0.02, 0.0), error=0.03)
    found = analysed(joined, SETTINGS)
    slope = {"barrier": 0.5 * 0.4, "length": 0.5 * 0.3 + 0.3 * 0.5, "noise": 0.2}
    variance = {name: value**2 / 12.0 for name, value in slope.items()}
    variance |= {"error of the surrogate: tau": (0.5 * 0.02) ** 2, joined.names[-1]: 0.03**2}
    whole = sum(variance.values())
    assert found.standard_deviation == pytest.approx(math.sqrt(whole), rel=0.03)
    for name, first, total in zip(found.names, found.first, found.total, strict=True):
        assert first == pytest.approx(variance.get(name, 0.0) / whole, abs=0.02)
        assert total == pytest.approx(variance.get(name, 0.0) / whole, abs=0.02)


def test_inputs_held_fixed_leave_the_rest():
    joined = chain_of([(0.4, 0.3), (0.0, 0.5)], (0.5, 0.3, 0.2))
    found = analysed(joined, SETTINGS, {"noise": 0.5})
    assert "noise" not in found.names
    names = dict(zip(found.names, found.first, strict=True))
    assert names["length"] == pytest.approx(0.3**2 / (0.3**2 + 0.2**2), abs=0.02)


def test_weak_surrogate_gives_no_ranking():
    joined = chain_of([(0.8, 0.0), (0.0, 0.8)], (0.9, 0.0, 0.0))
    noise = np.random.default_rng(0).random(60)
    weak = Surrogate.fit(latin_hypercube(3, 60, rng=1), noise, rng=0, kinds=("linear",))
    poor = Chain(joined.device, joined.outputs, joined.compact, joined.network, weak, weak.residual)
    rows = ranked(poor, analysed(poor, SETTINGS))
    assert {row["verdict"] for row in rows} == {"not resolved"}


def test_samples_must_be_a_power_of_two():
    with pytest.raises(InputError, match="power of two"):
        sobol(ishigami, ["a", "b", "c"], samples=1000)
