"""Conductances that are lower bounds, where the source limited the current: what a fit makes of them."""

import numpy as np
import pytest

from halidrift.compact import VTEAM, fit, holdout, normalised_error
from halidrift.compact.ensembles import gather
from halidrift.compact.observables import AsinhCurrent, LnConductance, bound_of, left_over
from halidrift.physics.waveform import Waveform

SWITCH = {
    "conductance_off_S": 1e-6,
    "conductance_on_S": 1e-4,
    "set_voltage_V": 0.6,
    "reset_voltage_V": -0.8,
    "set_rate_Hz": 20.0,
    "reset_rate_Hz": 10.0,
    "set_exponent": 2.0,
    "reset_exponent": 1.5,
}
CELL = VTEAM.of(**SWITCH, read_noise=0.02)
LOOPS = [Waveform.triangle([a, -b], r, [2e-5, 1.0]) for a, b, r in ((1.0, 1.2, 1.0), (1.2, 1.4, 10.0))]


def measured(trace):
    """I/V of a source that does not know what of its voltage falls across the device."""
    voltage = trace.voltage.values
    held = np.abs(trace.device_voltage.values) < np.abs(voltage) * (1 - 1e-9)
    apparent = np.where(held, trace.current.values / np.where(held, voltage, 1.0), trace.conductance.values)
    trace = trace.assign(conductance=trace.conductance.copy(data=apparent))
    trace["lower_bound"] = ("time", held.astype(np.int8), {"units": "1"})
    return trace


@pytest.mark.parametrize(
    ("rows", "bounds", "expected"),
    [
        ([1.0], [1], True),
        ([1.0, 9.0], [0, 1], True),  # of two runs the mean counts
        ([1.0, 2.0, 9.0], [0, 0, 1], False),  # above the median, however far
        ([1.0, 2.0, 9.0], [0, 1, 0], True),
        ([1.0, 2.0, 9.0], [1, 0, 0], True),  # it may lie above the median in truth
        ([1.0, 2.0, 3.0, 9.0], [0, 0, 1, 0], True),  # one of the two in the middle
        ([1.0, 2.0, 3.0, 9.0], [0, 0, 0, 1], False),
    ],
)
def test_the_typical_run_is_a_bound_where_its_runs_are(rows, bounds, expected):
    trace = CELL.simulate(LOOPS[0])
    made = []
    for g, bound in zip(rows, bounds, strict=True):
        run = trace.assign(conductance=trace.conductance.copy(data=np.full(trace.sizes["time"], g)))
        run["lower_bound"] = ("time", np.full(trace.sizes["time"], bound, dtype=np.int8), {"units": "1"})
        made.append(run)
    (ensemble,) = gather(made)
    assert (ensemble.typical_bound == expected).all()


def test_a_bound_counts_only_below_it():
    observed, model = np.array([1.0, 1.0, 1.0]), np.array([2.0, 0.5, 2.0])
    np.testing.assert_array_equal(left_over(observed, model, np.array([True, True, False])), [0.0, 0.5, -1.0])
    # a current at its limit is known, and the model has the same limit
    assert not bound_of(AsinhCurrent(1e-9), np.array([True])).any()
    assert bound_of(LnConductance(), np.array([True])).all()


def test_the_error_of_the_truth_is_that_of_the_noise_where_the_bounds_hold():
    traces = [measured(CELL.simulate(wave, rng=k)) for k, wave in enumerate(LOOPS)]
    assert sum(int(t.lower_bound.sum()) for t in traces) > 30
    blind = [t.drop_vars("lower_bound") for t in traces]
    typical = VTEAM.of(**SWITCH)
    # 2 % of noise over ln(20), and 23 of 221 instants off by up to a factor of four
    assert normalised_error(typical, traces[0]) < 0.01 < 0.02 < normalised_error(typical, blind[0])
    assert holdout(typical, traces).worst < 0.01


def test_a_fit_with_bounds_finds_the_set_that_a_fit_without_bends():
    """2 % noise: the exponent of the SET within 4 % and three errors, without the bounds 5 % off or more."""
    traces = [measured(CELL.simulate(wave, rng=1 + k)) for k, wave in enumerate(LOOPS)]
    found = fit(VTEAM, traces, start=SWITCH, starts=1)
    for name in ("set_voltage_V", "set_exponent", "conductance_off_S"):
        entry = found.parameters[name]
        assert entry.value == pytest.approx(SWITCH[name], rel=0.04)
        assert abs(entry.value - SWITCH[name]) < 3 * entry.standard_error
    blind = fit(VTEAM, [t.drop_vars("lower_bound") for t in traces], start=SWITCH, starts=1)
    assert abs(blind.value("set_exponent") / 2.0 - 1.0) > 0.05
