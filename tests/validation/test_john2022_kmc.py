"""John et al. 2022 against FilamentKMC: what was not used to calibrate the card.

Limits: one filament, 300 K, no read noise, 10 nm column. Tolerances are those of the targets, stated before the run;
a miss is recorded as a strict xfail with the reason.
"""

import numpy as np
import pytest

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble

DEVICE = Device.load("john2022-ogb")
pytestmark = pytest.mark.validation


def test_reverse_bias_does_not_switch():
    # J-DIFF-04: no switching with the Ag electrode negative
    runs = ensemble.run(FilamentKMC(DEVICE), Waveform.triangle([-7.0], 7.0, 1e-6), 8, rng=1)
    assert float(runs.conductance.max()) < 2 * DEVICE.value("leakage_S")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="below 0.1 mA a single contact of 6 to 9 uS carries the current: slope 1.3 (20 devices) to 1.5 (8 devices)",
)
def test_conductance_is_linear_in_the_compliance():
    # J-ICC-01: slope of log G at 0.1 V against log Icc 1.0 +- 0.1 from 10 uA to 1 mA; medians of 8 devices
    limits = np.array([1e-5, 3e-5, 1e-4, 3e-4, 1e-3])
    conductance = []
    for n, limit in enumerate(limits):
        sweep = Waveform.triangle([1.5], 1.0, limit, samples_per_V=40)
        runs = ensemble.run(FilamentKMC(DEVICE), sweep, 8, rng=n)
        low = np.flatnonzero(np.abs(runs.voltage.values - 0.1) < 1e-6)[-1]
        conductance.append(float(runs.conductance.isel(time=low).median()))
    slope = np.polyfit(np.log(limits), np.log(conductance), 1)[0]
    print(conductance, slope)
    assert slope == pytest.approx(1.0, abs=0.1)


def second_set_time(gap_s, devices=12):
    """Median set time of a second 1 V, 20 ms pulse in units of the first."""
    period = 20e-3 + gap_s
    pair = Waveform.pulses(1.0, 20e-3, period, 2, compliance_A=1e-6, samples_per_period=800)
    runs = ensemble.run(FilamentKMC(DEVICE), pair, devices, rng=3)
    on = runs.conductance > 1e-6
    first = on.sel(time=slice(0, 20e-3)).idxmax("time")
    second = on.sel(time=slice(period, period + 20e-3)).idxmax("time") - period
    return float(np.median(second) / np.median(first))


def test_a_pulse_is_forgotten_after_a_tenth_of_a_second():
    assert second_set_time(0.1) == pytest.approx(1.0, abs=0.2)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="the stub that a filament leaves still helps: 0.60 after 20 ms, 0.95 after 40 ms, 0.95 after 100 ms",
)
def test_a_pulse_is_forgotten_after_the_echo_horizon():
    # J-DIFF-09: the state does not reflect inputs older than 23 ms
    assert second_set_time(23e-3) == pytest.approx(1.0, abs=0.2)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="filaments at 1 mA hold for 1e3 s and dissolve within 1e4 s: what holds longer sets late (decision 0009)",
)
def test_a_filament_at_1_mA_is_kept_for_1e5_s():
    # J-DRIFT-03: retention of 1e5 s, here within 20 %
    wave = Waveform.triangle([1.5], 1.0, 1e-3, samples_per_V=40)
    before = len(wave.times_s) - 1
    for span in (1e2, 1e3, 1e4, 9e4):
        wave = wave + Waveform.hold(0.0, span, compliance_A=1e-3, samples=2)
    runs = ensemble.run(FilamentKMC(DEVICE), wave, 2, rng=1)
    G = runs.conductance.values
    assert (np.abs(G[:, -1] / G[:, before] - 1) < 0.2).all()
