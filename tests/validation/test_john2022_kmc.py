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
    reason="slope 0.86: lateral growth fills the 10 nm column at 1 mA, and the device voltage after SET is no constant "
    "(0.3 V at 10 uA, 0.65 V at 1 mA)",
)
def test_conductance_is_linear_in_the_compliance():
    # J-ICC-01: slope of log G against log Icc 1.0 +- 0.1 from 10 uA to 1 mA
    limits = np.array([1e-5, 1e-4, 1e-3])
    conductance = []
    for n, limit in enumerate(limits):
        write = Waveform.pulses(2.0, 5e-3, 6e-3, 1, compliance_A=limit)
        runs = ensemble.run(FilamentKMC(DEVICE), write, 4, rng=n)
        during = runs.conductance.sel(time=slice(4e-3, 5e-3))
        conductance.append(float(np.exp(np.log(during).mean())))
    slope = np.polyfit(np.log(limits), np.log(conductance), 1)[0]
    print(conductance, slope)
    assert slope == pytest.approx(1.0, abs=0.1)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="the stub that a filament leaves lives for seconds: atoms with three bonds dissolve at 0.01 per second",
)
def test_a_pulse_is_forgotten_after_the_echo_horizon():
    # J-DIFF-09: the state does not reflect inputs older than 23 ms; set times of a second pulse 60 ms later equal the
    # first within 20 %
    pair = Waveform.pulses(1.0, 20e-3, 80e-3, 2, compliance_A=1e-6, samples_per_period=800)
    runs = ensemble.run(FilamentKMC(DEVICE), pair, 12, rng=3)
    on = runs.conductance > 1e-6
    first = on.sel(time=slice(0, 20e-3)).idxmax("time")
    second = on.sel(time=slice(80e-3, 100e-3)).idxmax("time") - 80e-3
    print(np.median(first), np.median(second))
    assert np.median(second) == pytest.approx(np.median(first), rel=0.2)
