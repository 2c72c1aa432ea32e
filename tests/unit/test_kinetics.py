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


@given(barrier=st.floats(0.05, 1.0), change=st.floats(-1.5, 1.5), T=st.floats(150.0, 600.0))
def test_hop_and_reverse_hop_obey_detailed_balance(barrier, change, T):
    forward, backward = kinetics.hop_rates(barrier, change, T)
    # tolerance: rounding of the exponent, up to 116 at 150 K
    assert np.log(forward / backward) == pytest.approx(-change / (constants.BOLTZMANN_EV_K * T), abs=1e-9)
    assert max(forward, backward) <= 1e12 * (1 + 1e-12)


def test_hop_rates_between_equal_sites_are_the_hop_rate():
    assert kinetics.hop_rates(0.3, 0.0, 300.0) == (kinetics.hop_rate(0.3, 300.0),) * 2
    forward, backward = kinetics.hop_rates(0.3, np.array([0.0, 0.1]), 300.0)
    assert forward.shape == backward.shape == (2,)


def test_space_charge_relaxes_in_the_time_of_diffusion_over_a_debye_length():
    # eps / sigma = lambda^2 / D, exactly, for any charge number
    for z in (1, -1, 2):
        D, N, T, eps = 3e-13, 2e24, 320.0, 24.0
        tau = kinetics.relaxation_time(eps, kinetics.conductivity(N, D, T, z))
        assert tau == pytest.approx(kinetics.debye_length(eps, T, N, z) ** 2 / D, rel=1e-12)


def test_transit_agrees_with_the_drift_velocity():
    D = kinetics.diffusion_coefficient(0.27, 300.0, 0.587e-9)
    L, V = 1e-6, 0.01  # small field: linear response
    slow = L / kinetics.drift_velocity(0.27, 300.0, V / L, 0.587e-9)
    assert kinetics.transit_time(L, kinetics.mobility(D, 300.0), V) == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize(
    "options", [{"field_V_m": np.nan, "hop_length_m": 1e-10}, {"field_V_m": 1e6}, {"charge": 0.5}, {"charge": np.nan}]
)
def test_a_field_or_charge_that_is_none_gives_no_rate(options):
    with pytest.raises(InputError):
        kinetics.hop_rate(0.3, 300.0, **options)


@pytest.mark.parametrize("charge", [0, 1.5, True])
def test_a_charge_number_is_whole_and_not_zero(charge):
    with pytest.raises(InputError, match="charge"):
        kinetics.mobility(1e-12, 300.0, charge)


def test_light_shortens_retention_by_the_boltzmann_factor_of_the_two_barriers():
    from halidrift import Database

    pair = Database.load().select(source="Li2019", quantity="migration_barrier")
    dark, light = (pair.select(light=state).one().value_eV for state in ("dark", "light"))
    ratio = kinetics.retention_time(dark, 300.0) / kinetics.retention_time(light, 300.0)
    # exp(0.33 eV / kT) at 300 K, with k = 8.617333262e-5 eV/K
    assert ratio == pytest.approx(np.exp(0.33 / (8.617333262e-5 * 300.0)), rel=1e-8)


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
