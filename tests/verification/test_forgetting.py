"""A ladder of release rates forgets by a power law: an exact limit of the decay that the Kim cards rest on.

Sum over r_k, evenly spaced in ln r, of r_k^q exp(-r_k t) tends to Gamma(q) t^-q / spacing where the ladder reaches far
beyond 1/t on both sides. Tolerances, stated before the run: the exponent within 0.5 %, b within 1 %, for rungs a factor
of 10^(1/3) apart, as on the cards.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma

from halidrift.compact import plasticity

RUNGS = 10.0 ** np.arange(-6.0, 5.0, 1.0 / 3.0)


@pytest.mark.parametrize("q", [0.4, 0.95, 1.37])
def test_a_ladder_of_exponentials_is_a_power_law(q):
    t = np.geomspace(0.1, 15.0, 60)
    weight = (RUNGS**q * np.exp(-np.outer(t, RUNGS))).sum(axis=1)
    law = plasticity.power_law(t, weight)
    assert law.m == pytest.approx(q, rel=5e-3)
    assert law.b == pytest.approx(gamma(q) / (np.log(10.0) / 3.0), rel=1e-2)
    assert law.r2 > 0.9999
    assert law.delta_aic > 0


def test_one_rung_is_an_exponential():
    """One trap level gives no power law, however well b and m fit it."""
    t = np.geomspace(0.1, 15.0, 60)
    law = plasticity.power_law(t, np.exp(-t / 5.0))
    assert law.tau_s == pytest.approx(5.0, rel=1e-9)
    assert law.delta_aic < 0
    assert law.r2 < 0.8
