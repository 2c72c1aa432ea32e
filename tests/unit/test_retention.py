"""Extrapolated retention: exact lines, independent likelihoods, and the coverage that the intervals promise."""

from __future__ import annotations

import doctest
import warnings

import numpy as np
import pytest
from scipy import optimize, stats

from halidrift.physics import constants, retention
from halidrift.physics.errors import InputError
from halidrift.physics.retention import RetentionWarning, extrapolate

K_B = constants.BOLTZMANN_EV_K
HOT = np.repeat([350.0, 365.0, 380.0, 395.0], 5)
E_A, NU = 1.05, 1e12
END = (
    600.0  # s; the medians run from 1,300 s at 350 K to 25 s at 395 K, so about one test in four ends before its state
)


def lifetimes(rng, scatter, T=HOT):
    return np.exp(E_A / (K_B * T)) / NU * np.exp(scatter * rng.standard_normal(T.size))


def test_doctest():
    assert doctest.testmod(retention).failed == 0


def test_a_line_without_scatter_is_found_exactly():
    line = extrapolate(lifetimes(np.random.default_rng(0), 0.0), HOT)
    median, low, high = line.at(300.0)
    # tolerance: rounding of exponents near 40, times 1e3 for the lever of the extrapolation
    assert line.activation_energy_eV == pytest.approx(E_A, rel=1e-10)
    assert median == pytest.approx(np.exp(E_A / (K_B * 300.0)) / NU, rel=1e-8)
    assert low == pytest.approx(high, rel=1e-6)


def test_complete_lifetimes_agree_with_linear_regression():
    t = lifetimes(np.random.default_rng(1), 0.4)
    line, other = extrapolate(t, HOT), stats.linregress(1.0 / (K_B * HOT), np.log(t))
    assert line.activation_energy_eV == pytest.approx(other.slope, rel=1e-10)
    assert line.activation_energy_stderr_eV == pytest.approx(other.stderr, rel=1e-10)
    assert line.log_prefactor == pytest.approx(other.intercept, rel=1e-10)


def test_unfinished_tests_agree_with_a_likelihood_maximised_by_other_means():
    t = lifetimes(np.random.default_rng(2), 0.5)
    end = END
    failed, t = t < end, np.minimum(t, end)
    assert 0.4 < failed.mean() < 0.95
    line = extrapolate(t, HOT, failed=failed)
    beta = 1.0 / (K_B * HOT)

    def minus(point):
        z = (np.log(t) - point[0] - point[1] * (beta - beta.mean())) / np.exp(point[2])
        return -np.sum(np.where(failed, stats.norm.logpdf(z) - point[2], stats.norm.logsf(z)))

    start = [np.log(t).mean(), 1.0, 0.0]
    best = optimize.minimize(
        minus, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000}
    )
    assert line.activation_energy_eV == pytest.approx(best.x[1], rel=1e-6)
    freedom = failed.sum() / (failed.sum() - 2)  # the likelihood divides by all failures, the result by two fewer
    assert line.scatter == pytest.approx(np.exp(best.x[2]) * np.sqrt(freedom), rel=1e-6)
    # covariance against the inverse of a numerical Hessian, central differences of step 1e-4: 1e-3
    step = 1e-4
    hessian = np.array(
        [
            [
                (
                    minus(best.x + step * (a + b))
                    - minus(best.x + step * (a - b))
                    - minus(best.x - step * (a - b))
                    + minus(best.x - step * (a + b))
                )
                / (4 * step**2)
                for b in np.eye(3)
            ]
            for a in np.eye(3)
        ]
    )
    assert line.activation_energy_stderr_eV == pytest.approx(np.sqrt(freedom * np.linalg.inv(hessian)[1, 1]), rel=1e-3)


def coverage(censored, replicas=800, confidence=0.9):
    truth = np.exp(E_A / (K_B * 300.0)) / NU
    inside = further = 0
    for rng in np.random.default_rng(3).spawn(replicas):
        t = lifetimes(rng, 0.5)
        failed = t < END if censored else np.ones(t.size, dtype=bool)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RetentionWarning)  # some replicas are unlucky; their intervals count
            line = extrapolate(np.minimum(t, END) if censored else t, HOT, failed=failed)
        _, low, high = line.at(300.0, confidence)
        inside += low < truth < high
        _, low, high = line.device_at(300.0, confidence)
        further += low < truth * np.exp(0.5 * rng.standard_normal()) < high
    return inside / replicas, further / replicas


def test_intervals_of_complete_lifetimes_cover_as_promised():
    # exact intervals: three binomial standard errors of 800 replicas at 0.9
    for share in coverage(censored=False):
        assert abs(share - 0.9) < 3 * np.sqrt(0.9 * 0.1 / 800)


def test_intervals_of_unfinished_tests_cover_nearly_as_promised():
    # about 15 failures of 20: within 3 points and three binomial standard errors
    for share in coverage(censored=True):
        assert abs(share - 0.9) < 0.03 + 3 * np.sqrt(0.9 * 0.1 / 800)


def test_unfinished_tests_taken_as_failures_would_shorten_the_retention():
    t = lifetimes(np.random.default_rng(4), 0.3)
    end = END
    honest = extrapolate(np.minimum(t, end), HOT, failed=t < end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RetentionWarning)
        naive = extrapolate(np.minimum(t, end), HOT)
    truth = np.exp(E_A / (K_B * 300.0)) / NU
    assert honest.at(300.0)[1] < truth < honest.at(300.0)[2]
    assert naive.at(300.0)[2] < truth


def test_heat_that_does_nothing_is_told():
    rng = np.random.default_rng(5)
    with pytest.warns(RetentionWarning, match="not above zero"):
        extrapolate(1e4 * np.exp(rng.standard_normal(HOT.size)), HOT)


def test_a_prefactor_that_is_no_vibration_is_told():
    t = np.exp(0.5 / (K_B * HOT)) * 10.0  # 0.1 Hz
    with pytest.warns(RetentionWarning, match="attempt frequency"):
        extrapolate(t * np.exp(0.05 * np.random.default_rng(6).standard_normal(HOT.size)), HOT)


@pytest.mark.parametrize(
    ("times", "temperatures", "options", "told"),
    [
        ([1.0, 2.0], [300.0, 310.0], {}, "2 failures"),
        ([1.0, 2.0, 3.0], [300.0] * 3, {}, "1 temperatures"),
        ([1.0, -2.0, 3.0], [300.0, 310.0, 320.0], {}, "index 1"),
        ([1.0, np.nan, 3.0], [300.0, 310.0, 320.0], {}, "index 1"),
        ([1.0, 2.0, 3.0], [300.0, 310.0], {}, "same length"),
        ([1.0, 2.0, 3.0], [300.0, 310.0, 320.0], {"failed": [1, 1, 0]}, "True and False"),
        ([1.0, 2.0, 3.0], [300.0, 310.0, 320.0], {"failed": [True, True, False]}, "2 failures"),
    ],
)
def test_bad_input_gives_no_number(times, temperatures, options, told):
    with pytest.raises(InputError, match=told):
        extrapolate(times, temperatures, **options)


@pytest.mark.parametrize(("T", "confidence"), [(0.0, 0.9), (np.nan, 0.9), (300.0, 1.0), (300.0, 0.0)])
def test_bad_questions_give_no_number(T, confidence):
    line = extrapolate(lifetimes(np.random.default_rng(7), 0.2), HOT)
    with pytest.raises(InputError):
        line.at(T, confidence)
