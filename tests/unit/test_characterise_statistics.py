"""Distributions, endurance, states, decay laws and scaling against answers known by construction."""

from __future__ import annotations

import doctest
import importlib
import itertools

import numpy as np
import pytest
from scipy import stats

from halidrift.compact import characterise
from halidrift.physics.errors import InputError
from halidrift.physics.retention import censored_line

MODULES = ("cycling", "decays", "distributions", "scaling", "spiking", "states")


@pytest.mark.parametrize("name", [*(f"compact.characterise.{m}" for m in MODULES), "physics.retention"])
def test_the_examples_run(name):
    done = doctest.testmod(importlib.import_module(f"halidrift.{name}"))
    assert done.attempted > 0
    assert done.failed == 0


# -- distributions ------------------------------------------------------------------------------------------------

SHARES = (np.arange(2000) + 0.5) / 2000  # quantiles of a law stand for a perfect sample of it


def test_a_weibull_law_is_recovered_with_its_standard_error():
    found = characterise.distribution(stats.weibull_min(3.0, scale=0.8).ppf(SHARES)).weibull
    assert found.shape == pytest.approx(3.0, rel=0.01)
    assert found.scale == pytest.approx(0.8, rel=0.002)
    # Fisher information of a complete sample: sd(k) = k sqrt(6 / n) / pi, sd(scale) = 1.0530 scale / k / sqrt(n)
    assert found.shape_error == pytest.approx(3.0 * np.sqrt(6.0 / 2000) / np.pi, rel=0.02)
    assert found.scale_error == pytest.approx(1.0530 * 0.8 / 3.0 / np.sqrt(2000), rel=0.02)


def test_censored_sets_bias_neither_law():
    for law, read in (
        (stats.weibull_min(3.0, scale=0.8), lambda d: (d.weibull.shape, d.weibull.scale)),
        (stats.norm(0.8, 0.1), lambda d: (d.normal.mean, d.normal.standard_deviation)),
        (stats.lognorm(0.2, scale=0.8), lambda d: (d.lognormal.median, d.lognormal.sigma)),
    ):
        values = law.ppf(SHARES)
        limit = law.ppf(0.7)  # the sweep ends here: 30 % never set
        found = characterise.distribution(np.minimum(values, limit), values > limit)
        assert found.censored == 600
        assert read(found) == pytest.approx(read(characterise.distribution(values)), rel=0.01)
        assert found.median == pytest.approx(law.ppf(0.5), rel=1e-3)
        # leaving the 30 % out would be off by far more than the tolerance
        naive = read(characterise.distribution(values[values <= limit]))
        assert abs(naive[0] / read(found)[0] - 1) > 0.05


@pytest.mark.parametrize(
    ("law", "name"),
    [
        (stats.weibull_min(2.0, scale=1.0), "weibull"),
        (stats.norm(3.0, 0.8), "normal"),
        (stats.lognorm(0.6, scale=1.0), "lognormal"),
    ],
)
def test_the_law_that_made_the_sample_fits_best(law, name):
    assert characterise.distribution(law.ppf(SHARES)).best == name


def test_the_median_of_kaplan_and_meier_by_hand():
    # at risk 5, 4, (3 censored), 2, 1: survival .8, .6, .3, 0
    found = characterise.distribution([1.0, 2.0, 3.0, 4.0, 5.0], [False, False, True, False, False])
    assert found.median == 4.0
    assert (found.number, found.censored) == (5, 1)
    assert np.isnan(characterise.distribution([1.0, 2.0, 2.0, 2.0], [False, True, True, True]).median)


def test_the_interval_of_the_median_is_that_of_order_statistics():
    found = characterise.distribution(np.arange(1.0, 11.0))
    assert (found.low, found.high) == (2.0, 9.0)  # 97.9 %; the third and the eighth hold it with 89 %
    covered = 0
    for seed in range(200):
        one = characterise.distribution(np.random.default_rng(seed).exponential(size=11))
        covered += one.low <= np.log(2.0) <= one.high
    # 98.8 % by the binomial law, 4 standard errors of 200 trials
    assert abs(covered / 200 - (1 - 2 * stats.binom.cdf(1, 11, 0.5))) < 4 * np.sqrt(0.012 * 0.988 / 200)
    late = characterise.distribution(np.arange(1.0, 11.0), np.arange(10) >= 7)
    assert (late.low, late.high) == (2.0, np.inf)


def test_variation_splits_into_devices_and_cycles():
    cycles = np.array([-1.0, 0.0, 1.0]) * 0.03  # variance 0.0009 about each device
    means = np.array([0.9, 1.0, 1.1])  # variance 0.01 of the means = between + 0.0009 / 3
    values = (means[:, None] + cycles).ravel()
    found = characterise.distribution(values, devices=np.repeat(["a", "b", "c"], 3).tolist())
    assert found.cv_cycles == pytest.approx(0.03, rel=1e-9)
    assert found.cv_devices == pytest.approx(np.sqrt(0.01 - 0.0009 / 3), rel=1e-9)
    assert np.isnan(characterise.distribution(values, devices=["a"] * 9).cv_devices)


def test_equal_values_have_no_law_and_no_variation():
    found = characterise.distribution([0.5] * 8, name="set voltage", unit="V")
    assert (found.median, found.cv, found.normal, found.weibull, found.best) == (0.5, 0.0, None, None, "")
    assert characterise.distribution([-1.0, 0.5, 2.0, 3.0]).weibull is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([],), "no observation"),
        (([1.0, np.nan],), "must be finite"),
        (([1.0, 2.0], [True]), "do not go together"),
        (([1.0, 2.0], [0, 1]), "do not go together"),
    ],
)
def test_a_distribution_complains(arguments, told):
    with pytest.raises(InputError, match=told):
        characterise.distribution(*arguments)


# -- endurance ----------------------------------------------------------------------------------------------------


def test_endurance_counts_to_the_last_good_cycle_and_names_the_cause():
    off, on = np.full(1000, 1e-9), np.full(1000, 1e-7)
    found = characterise.endurance_of(off, on)
    assert (found.cycles, found.censored, found.cause, found.resolution) == (1000, True, "", 1.0)
    assert (found.window_first, found.window_smallest) == pytest.approx((100.0, 100.0))
    for broken, cause in (((np.s_[500:], 1e-7, None), "HRS rose"), ((np.s_[500:], None, 1e-9), "LRS fell")):
        part, hrs, lrs = broken
        bad_off, bad_on = off.copy(), on.copy()
        if hrs:
            bad_off[part] = hrs
        if lrs:
            bad_on[part] = lrs
        found = characterise.endurance_of(bad_off, bad_on)
        assert (found.cycles, found.censored, found.cause) == (500, False, cause)
    both = characterise.endurance_of(
        np.where(np.arange(1000) < 500, 1e-9, 1e-8), np.where(np.arange(1000) < 500, 1e-7, 1e-8)
    )
    assert both.cause == "both"


def test_a_missed_set_is_forgiven_if_asked_and_only_then():
    off, on = np.full(20, 1e-9), np.full(20, 1e-7)
    on[9] = 1e-9
    assert characterise.endurance_of(off, on).cycles == 9
    assert characterise.endurance_of(off, on, consecutive=2)[:2] == (20.0, True)
    on[18:] = 1e-9
    # two readings fail at the end where three would be needed: what is proven is cycle 18
    assert characterise.endurance_of(off, on, consecutive=3)[:2] == (18.0, True)
    assert characterise.endurance_of(off, on, consecutive=2)[:2] == (18.0, False)


def test_sparse_readings_widen_the_answer():
    found = characterise.endurance_of([1e-9] * 4, [1e-7, 1e-7, 1e-7, 1e-9], cycle=[1, 10, 100, 1000])
    assert (found.cycles, found.resolution, found.censored) == (100, 900, False)
    assert characterise.endurance_of([1e-9] * 2, [1e-9, 1e-7])[:2] == (0.0, False)


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (([1e-9], [1e-7]), {}, "two cycles or more"),
        (([1e-9, 1e-9], [1e-7, 0.0]), {}, "lrs_S is out of range"),
        (([1e-9, np.nan], [1e-7, 1e-7]), {}, "hrs_S is out of range"),
        (([1e-9, 1e-9], [1e-7, 1e-7]), {"factor": 1.0}, "factor is out of range"),
        (([1e-9, 1e-9], [1e-7, 1e-7]), {"consecutive": 3}, "consecutive is out of range"),
        (([1e-9, 1e-9], [1e-7, 1e-7]), {"cycle": [2, 1]}, "increase"),
    ],
)
def test_endurance_complains(arguments, options, told):
    with pytest.raises(InputError, match=told):
        characterise.endurance_of(*arguments, **options)


# -- states -------------------------------------------------------------------------------------------------------

SPREAD = 0.1 * np.array([-1.0, 0.0, 1.0])  # standard deviation exactly 0.1


def test_states_are_counted_by_spacing_against_sigma():
    levels = [n + SPREAD for n in range(1, 11)]
    every = characterise.distinguishable(levels, scale="linear", criterion=5.0)  # 5 (0.1 + 0.1) is the spacing
    assert (every.distinct, every.programmed, every.bits) == (10, 10, pytest.approx(np.log2(10)))
    assert every.misread == pytest.approx(stats.norm.sf(5.0), rel=1e-6)
    half = characterise.distinguishable(levels, scale="linear", criterion=5.1)
    assert (half.distinct, half.kept) == (5, (0, 2, 4, 6, 8))
    # sigma up by sqrt(2 / chi2_0.05(2)) = 4.4, down by 0.58
    assert half.low == 2
    assert half.high == 10


def test_states_on_the_scale_of_the_logarithm():
    levels = [np.exp(0.5 * n + SPREAD) for n in range(8)]
    assert characterise.distinguishable(levels, criterion=2.5).distinct == 8
    assert characterise.distinguishable(levels, criterion=2.6).distinct == 4


def test_no_choice_of_levels_beats_the_one_found():
    rng = np.random.default_rng(5)
    for _ in range(40):
        centres, sigmas = rng.uniform(0, 5, 9), rng.uniform(0.02, 0.4, 9)
        levels = [m + s / 0.1 * SPREAD for m, s in zip(centres, sigmas, strict=True)]
        best = 0
        for size in range(1, 10):
            for kept in itertools.combinations(range(9), size):
                pairs = itertools.combinations(kept, 2)
                if all(abs(centres[i] - centres[j]) >= 1.5 * (sigmas[i] + sigmas[j]) for i, j in pairs):
                    best = max(best, size)
        assert characterise.distinguishable(levels, scale="linear", criterion=1.5).distinct == best


def test_states_complain():
    for levels, options, told in (
        ([[1.0]], {}, "Program each level several times"),
        ([], {}, "need levels"),
        ([[0.0, 1.0]], {}, "is not a repeated level"),
        ([[1.0, 2.0]], {"criterion": 0.0}, "criterion is out of range"),
        ([[1.0, 2.0]], {"scale": "cubic"}, "Unknown scale"),
    ):
        with pytest.raises(InputError, match=told):
            characterise.distinguishable(levels, **options)


# -- decay laws ---------------------------------------------------------------------------------------------------

LONG = np.geomspace(0.05, 20.0, 60)


def test_exact_laws_are_told_apart_with_their_numbers():
    exponential = characterise.decay_law(LONG, 3.0 * np.exp(-LONG / 4.0))
    assert (exponential.verdict, exponential.points) == ("exponential", 60)
    assert exponential.tau_s == pytest.approx(4.0, rel=1e-9)
    power = characterise.decay_law(LONG, 0.4 * LONG**-0.35)
    assert power.verdict == "power law"
    assert power.power == pytest.approx(0.35, rel=1e-9)
    assert power.delta_aic > 0 > exponential.delta_aic


def test_independent_noise_leaves_all_points_and_the_right_verdict():
    right = 0
    for seed in range(50):
        noise = np.exp(0.05 * np.random.default_rng(seed).standard_normal(60))
        found = characterise.decay_law(LONG, np.exp(-LONG / 4.0) * noise)
        right += found.verdict == "exponential"
        assert found.independent_points > 0.4 * 60  # 3 standard errors of rho are 0.39
    assert right == 50


def test_correlated_residuals_count_for_less():
    shares = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        noise = np.zeros(400)
        for i in range(1, 400):
            noise[i] = 0.8 * noise[i - 1] + 0.05 * rng.standard_normal()
        t = np.geomspace(0.05, 20.0, 400)
        shares.append(characterise.decay_law(t, np.exp(-t / 4.0 + noise)).independent_points / 400)
    # (1 - 0.8) / (1 + 0.8) = 0.111; rho of 400 points is low by about 0.01, with an error of 0.03
    assert np.mean(shares) == pytest.approx(0.2 / 1.8, rel=0.15)


def test_a_short_noisy_window_is_undecided():
    t = np.linspace(1.0, 1.5, 40)
    wrong = 0
    for seed in range(50):
        noise = np.exp(0.02 * np.random.default_rng(seed).standard_normal(40))
        wrong += characterise.decay_law(t, t**-0.1 * noise).verdict != "undecided"
    assert wrong <= 2  # the laws differ by a third of the noise of one point at most


@pytest.mark.parametrize(
    ("t", "y", "told"),
    [
        (LONG, LONG**0.5, "does not decay"),
        (LONG[:6], LONG[:6] ** -0.5, "Too few points"),
        (LONG, np.where(LONG > 10, -1.0, 1.0), "not positive"),
        (LONG, np.full(60, np.nan), "do not go together"),
        (-LONG, LONG, "Too few points after zero"),
    ],
)
def test_a_decay_complains(t, y, told):
    with pytest.raises(InputError, match=told):
        characterise.decay_law(t, y)


# -- scaling ------------------------------------------------------------------------------------------------------

AREAS = np.repeat([1e-11, 1e-10, 1e-9, 1e-8], 3)


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "filamentary"), (1.0, "interfacial"), (0.5, "neither")])
def test_the_area_exponent_is_exact_and_named(slope, verdict):
    found = characterise.area_scaling(AREAS, 1e-3 * (AREAS / 1e-9) ** slope)
    assert found.slope == pytest.approx(slope, abs=1e-12)
    assert (found.verdict, found.points, found.areas) == (verdict, 12, 4)


def test_the_interval_of_the_area_exponent_covers_as_often_as_it_says():
    covered = 0
    for seed in range(400):
        noise = np.exp(0.5 * np.random.default_rng(seed).standard_normal(12))
        found = characterise.area_scaling(AREAS, 1e6 * AREAS * noise)
        covered += found.low <= 1.0 <= found.high
    assert abs(covered / 400 - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_areas_too_close_for_the_scatter_are_undecided():
    area = np.array([1e-9, 1e-9, 1.5e-9, 1.5e-9])
    assert characterise.area_scaling(area, [1e-3, 3e-3, 1.2e-3, 2.8e-3]).verdict == "undecided"
    for areas, conductances, told in (
        ([1e-9] * 3, [1.0] * 3, "same area"),
        ([1e-9, 1e-8], [1.0, 1.0], "three devices"),
        ([1e-9, 1e-8, 1e-7], [1.0, 1.0, -1.0], "conductance_S is out of range"),
    ):
        with pytest.raises(InputError, match=told):
            characterise.area_scaling(areas, conductances)


def test_the_slope_against_the_rate_with_sweeps_that_never_set():
    rates = np.repeat(np.geomspace(0.1, 100.0, 7), 30)
    quantiles = np.tile(stats.norm.ppf((np.arange(30) + 0.5) / 30), 7)
    volts = 0.9 + 0.12 * np.log10(rates) + 0.04 * quantiles
    whole = characterise.rate_dependence_of(rates, volts)
    assert whole.slope_V == pytest.approx(0.12, abs=1e-9)
    assert (whole.verdict, whole.rates, whole.censored) == ("rises", 7, 0)
    late = volts > 1.05
    found = characterise.rate_dependence_of(rates, np.minimum(volts, 1.05), late)
    assert found.slope_V == pytest.approx(0.12, rel=0.03)
    assert found.scatter_V == pytest.approx(0.04, rel=0.1)
    # leaving them out flattens the line
    assert characterise.rate_dependence_of(rates[~late], volts[~late]).slope_V < 0.11
    assert characterise.rate_dependence_of([1.0, 10.0, 100.0, 1000.0], [1.0, 1.1, 0.95, 1.05]).verdict == "undecided"


def test_a_line_complains():
    for x, y, observed, told in (
        ([1.0, 2.0], [1.0, 2.0], None, "too few points"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], None, "too few points"),
        ([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], None, "must be finite"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1, 0, 1], "do not go together"),
    ):
        with pytest.raises(InputError, match=told):
            censored_line(x, y, observed=observed)


# -- paired pulses ------------------------------------------------------------------------------------------------

INTERVALS = np.geomspace(5e-3, 3.0, 14)


def test_two_relaxation_phases_are_found_where_there_are_two():
    index = 1.0 + 0.6 * np.exp(-INTERVALS / 0.03) + 0.3 * np.exp(-INTERVALS / 0.5)
    found = characterise.facilitation(INTERVALS, index)
    assert found.times_s == pytest.approx([0.03, 0.5], rel=1e-5)
    assert found.amplitudes == pytest.approx([0.6, 0.3], rel=1e-5)
    assert found.delta_aic > 10
    noisy = characterise.facilitation(INTERVALS, index * (1 + 0.003 * np.random.default_rng(1).standard_normal(14)))
    assert (np.abs(noisy.times_s - [0.03, 0.5]) < 4 * noisy.time_errors_s).all()


def test_depression_and_too_few_intervals():
    found = characterise.facilitation(INTERVALS, 1.0 - 0.4 * np.exp(-INTERVALS / 0.2))
    assert found.times_s == pytest.approx([0.2], rel=1e-6)
    assert found.amplitudes == pytest.approx([-0.4], rel=1e-6)
    for interval, index, told in (
        ([0.1, 0.2], [1.2, 1.1], "three intervals"),
        ([0.1, 0.2, 0.3], [1.0, 1.0, 1.0], "differ from 1"),
        ([0.1, 0.2, -0.3], [1.2, 1.1, 1.0], "three intervals"),
        ([0.1, 0.2, 0.3, 0.4], [1.1, 1.2, 1.3, 1.4], "does not decay with the interval"),
    ):
        with pytest.raises(InputError, match=told):
            characterise.facilitation(interval, index)


def test_exchanged_states_are_no_endurance_of_zero():
    with pytest.raises(InputError, match="Exchange"):
        characterise.endurance_of([1e-6, 1e-6, 1e-6], [1e-9, 1e-9, 1e-9])
    # dead from the start is another thing
    assert characterise.endurance_of([1e-6, 1.1e-6], [1e-6, 1e-6]).cycles == 0
