import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halidrift.physics import constants, formulas, kinetics
from halidrift.physics.errors import InputError, ValidityError


def test_hop_rate_by_hand():
    # 1e12 Hz exp(-0.27 / (8.617333262e-5 * 300)), tolerance: the digits of the constant
    assert kinetics.hop_rate(0.27, 300.0) == pytest.approx(1e12 * np.exp(-0.27 / (8.617333262e-5 * 300.0)), rel=1e-8)


@given(
    barrier=st.floats(0.05, 2.0),
    rise=st.floats(-1.0, 1.0),
    T=st.floats(100.0, 800.0),
)
def test_balanced_barriers_obey_detailed_balance(barrier, rise, T):
    forward, backward = formulas.balanced_barrier(barrier, rise), formulas.balanced_barrier(barrier, -rise)
    assert forward - backward == pytest.approx(rise, abs=1e-12)
    assert min(forward, backward) >= 0.0


@given(red=st.floats(0.05, 1.5), ox=st.floats(0.05, 1.5), eta=st.floats(-8.0, 8.0))
def test_charge_transfer_obeys_detailed_balance_at_any_overpotential(red, ox, eta):
    forward, backward = formulas.charge_transfer_barriers(red, ox, eta)
    assert forward - backward == pytest.approx(red - ox - eta, abs=1e-12)
    assert min(forward, backward) >= -1e-12


def test_positive_overpotential_drives_reduction():
    rest, driven = formulas.charge_transfer_barriers(0.5, 0.9, 0.0), formulas.charge_transfer_barriers(0.5, 0.9, 0.2)
    assert driven[0] < rest[0]
    assert driven[1] > rest[1]


def test_drift_reduces_to_einstein_mobility_at_small_field():
    D = kinetics.diffusion_coefficient(0.27, 300.0, 0.587e-9)
    v = kinetics.drift_velocity(0.27, 300.0, 1e4, 0.587e-9)
    assert v / 1e4 == pytest.approx(D / (constants.BOLTZMANN_EV_K * 300.0), rel=1e-6)


def test_compliance_limits_the_device_voltage_both_ways():
    assert formulas.compliance_voltage(2.0, 1e-3, 1e-6) == pytest.approx(1e-3)
    assert formulas.compliance_voltage(-2.0, 1e-3, 1e-6) == pytest.approx(-1e-3)
    assert formulas.compliance_voltage(0.5, 1e-9, 1e-6) == 0.5


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan, np.inf])
def test_bad_barriers_give_no_number(bad):
    with pytest.raises(InputError, match="barrier_eV"):
        kinetics.hop_rate(bad, 300.0)


def test_a_field_that_removes_the_barrier_raises():
    with pytest.raises(ValidityError, match="removes the hop barrier"):
        kinetics.hop_rate(0.27, 300.0, field_V_m=1e9, hop_length_m=0.587e-9)


@pytest.mark.parametrize(
    "module", ["physics.kinetics", "physics.randomness", "physics.waveform", "physics.device", "kmc.lattice"]
)
def test_doctests(module):
    import doctest

    result = doctest.testmod(importlib.import_module(f"halidrift.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
