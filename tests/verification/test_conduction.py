"""Does the ranking find the law that made the data, and are its errors right? Thresholds stand before the run.

Thresholds: the law comes first in 90 % of 20 replicas or more. Of the pulls of all parameters 98 % or more lie
within three standard errors, and the sum of squared pulls of each parameter lies between the 1e-4 and the 1 - 1e-4
quantile of its chi-square distribution.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import halidrift
from halidrift.physics import conduction

REPLICAS = 20


def confusion():
    path = Path(halidrift.__file__).parent / "examples" / "conduction_confusion.py"
    spec = importlib.util.spec_from_file_location("conduction_confusion", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tallies():
    return confusion().study(REPLICAS)


@pytest.mark.slow
@pytest.mark.parametrize("name", conduction.EXAMPLES)
def test_the_law_that_made_the_data_comes_first(tallies, name):
    # hopping and ionic conduction too: one formula, but here the thickness is known and with it the length of a hop
    assert tallies[name].first[conduction.EXAMPLES[name].law] >= 0.9 * REPLICAS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hopping", "ionic"])
def test_what_cannot_be_told_apart_is_said_to_be(tallies, name):
    assert tallies[name].tied == REPLICAS


@pytest.mark.slow
def test_parameters_lie_within_their_errors(tallies):
    pulls = np.concatenate([p for tally in tallies.values() for p in tally.pulls.values()])
    assert pulls.size > 450
    assert np.mean(np.abs(pulls) < 3.0) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("name", conduction.EXAMPLES)
def test_standard_errors_are_calibrated(tallies, name):
    given, tally = conduction.EXAMPLES[name], tallies[name]
    known = {"effective_mass"} if given.film.effective_mass else set()
    assert set(tally.pulls) == set(given.parameters) - known
    for parameter, pulls in tally.pulls.items():
        low, high = chi2.ppf([1e-4, 1 - 1e-4], len(pulls))
        assert low < np.sum(np.square(pulls)) < high, parameter
