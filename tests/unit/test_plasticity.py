"""Synapse protocols and figures of merit: exact cases, and complaints."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
import xarray as xr

from halidrift import Waveform
from halidrift.compact import plasticity as metrics
from halidrift.physics import synapse
from halidrift.physics import trace as traces
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import InputError


def made(wave: Waveform, weight) -> xr.Dataset:
    """A trace whose conductance is a function of time."""
    G = np.array([weight(t) for t in wave.times_s])
    V = wave.voltage_at(wave.times_s)
    return traces.make(wave, model="test", device_voltage_V=V, current_A=G * V, conductance_S=G, parameters={})


# -- protocols ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["halidrift.physics.synapse", "halidrift.compact.plasticity"])
def test_the_examples_run(module):
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 0
    assert done.failed == 0


def test_a_spike_is_as_long_and_as_far_from_the_next_as_told():
    wave = synapse.pair(60e-3)
    turns = wave.time_s[np.flatnonzero(np.diff(wave.voltage_V)) + 1]  # ends of the edges
    assert turns == pytest.approx([10e-3 + 1e-6, 30e-3 + 1e-6, 90e-3 + 1e-6, 110e-3 + 1e-6], abs=1e-12)
    assert wave.reads_s == pytest.approx([31e-3 + 1e-6, 111e-3 + 1e-6], abs=1e-12)
    assert wave.voltage_V.min() == -1.0
    assert wave.voltage_V[[0, -1]].tolist() == [-0.01, -0.01]


def test_the_defaults_are_those_of_the_paper():
    assert synapse.amplitudes().voltage_V.min() == -1.8
    assert synapse.amplitudes().reads_s.size == 18
    assert synapse.durations().reads_s.size == 10
    assert synapse.numbers().reads_s.size == 50
    assert synapse.retention().voltage_V[0] == -0.1
    assert synapse.retention().reads_s.size == 30
    assert synapse.retention().duration_s - synapse.retention().reads_s[-1] == pytest.approx(15.0, abs=2e-3)
    ups = synapse.update()
    assert (ups.voltage_V.min(), ups.voltage_V.max(), ups.reads_s.size) == (-1.0, 1.0, 40)


@pytest.mark.parametrize("hertz", [2.8, 25.0])
def test_a_frequency_is_that_of_the_starts(hertz):
    reads = synapse.frequency(hertz).reads_s
    assert reads.size == 5
    assert np.diff(reads) == pytest.approx(1.0 / hertz, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: synapse.pair(0.5e-3), "does not fit"),
        (lambda: synapse.pair(-1.0), "gaps_s is out of range"),
        (lambda: synapse.frequency(60.0), "do not fit into the period"),
        (lambda: synapse.frequency(float("nan")), "do not fit into the period"),
        (lambda: synapse.numbers(1), "count must be a whole number"),
        (lambda: synapse.numbers(10**9), "count must be a whole number"),
        (lambda: synapse.spikes([1.0, 2.0, 3.0], [1.0, 2.0], 1.0), "does not go with 3 spikes"),
        (lambda: synapse.spikes([-1.0, -1.0], 20e-3, 1.0005e-3), "read does not fit"),  # it would fall on the next rise
        (lambda: synapse.single(float("inf")), "amplitudes_V is out of range"),
        (lambda: synapse.single(read_V=float("nan")), "read_V must be finite"),
        (lambda: synapse.retention(watch_s=-1.0), "rest_s is out of range"),
        (lambda: synapse.retention(samples=1), "rest_samples must be a whole number"),
    ],
)
def test_what_cannot_be_played_is_told(make, told):
    with pytest.raises(InputError, match=told):
        make()


# -- indices ------------------------------------------------------------------------------------------------------


def test_indices_are_ratios_to_the_first_response():
    wave = synapse.pair(60e-3)
    first, second = wave.reads_s
    trace = made(wave, lambda t: 2e-9 if t < 0.5 * (first + second) else 3e-9)
    assert metrics.responses(trace) == pytest.approx([2e-9, 3e-9])
    assert metrics.indices(trace) == pytest.approx([1.0, 1.5])
    # -0.01 V: an ammeter reads a hundredth, and the same ratio
    assert metrics.responses(trace, of="current") == pytest.approx([2e-11, 3e-11])
    assert metrics.indices(trace, [first], of="current") == pytest.approx([1.0])


def test_a_trace_without_reads_asks_for_them():
    trace = made(Waveform.hold(0.1, 1.0), lambda t: 1e-9)
    with pytest.raises(InputError, match="no read"):
        metrics.indices(trace)
    assert metrics.indices(trace, [0.2, 0.4]) == pytest.approx([1.0, 1.0])
    with pytest.raises(InputError, match="outside the trace"):
        metrics.indices(trace, [2.0])
    with pytest.raises(InputError, match="conductance, current"):
        metrics.responses(trace, [0.2], of="charge")
    measured = trace.copy()
    del measured.attrs["waveform"]
    with pytest.raises(InputError, match="Give times_s"):
        metrics.responses(measured)


def test_a_trend_that_stops_is_no_trend():
    assert metrics.is_monotone([3.0, 2.0, 1.0], rising=False)
    assert not metrics.is_monotone([1.0, 1.0 + 1e-9], tolerance=1e-6)
    with pytest.raises(InputError, match="two finite values"):
        metrics.is_monotone([1.0])


# -- weight update ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [-3.0, -0.5, 0.5, 4.0])
def test_the_nonlinearity_of_an_exponential_update_is_found(nu):
    x = np.linspace(0.0, 1.0, 20)
    up = 1e-9 * (1.0 + np.expm1(-nu * x) / np.expm1(-nu))
    law = metrics.update_of(up, up[::-1])
    assert law.nonlinearity_up == pytest.approx(nu, abs=1e-5)
    # the way down, mirrored, starts flat where the way up ends flat: it accelerates
    assert law.nonlinearity_down == pytest.approx(-nu, abs=1e-5)
    assert law.asymmetry == pytest.approx(0.0, abs=1e-12)
    assert law.range == pytest.approx(2.0)
    assert law.largest_step == pytest.approx(np.abs(np.diff(up)).max() / 1e-9)
    assert law.deviation_up == pytest.approx(np.abs(up / 1e-9 - 1.0 - x).max())


def test_an_update_that_returns_in_one_spike_is_asymmetric():
    up = np.linspace(1.0, 2.0, 5)
    down = np.array([1.0 + 1e-12, 1.0 + 1e-12, 1.0 + 1e-12, 1.0 + 1e-12, 1.0])
    assert metrics.update_of(up, down).asymmetry == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [([1.0, 2.0], [2.0, 1.0]), ([1.0, 2.0, 3.0], [1.0, 2.0]), ([1.0] * 3, [1.0] * 3)])
def test_no_update_in_too_few_or_constant_weights(wrong):
    with pytest.raises(InputError):
        metrics.update_of(*wrong)


# -- retention ----------------------------------------------------------------------------------------------------


def test_both_laws_are_told_apart():
    t = np.geomspace(0.1, 15.0, 50)
    power = metrics.power_law(t, 0.03129 * t**-0.9517)
    assert (power.b, power.m) == pytest.approx((0.03129, 0.9517), rel=1e-9)
    assert power.delta_aic > 0
    exponential = metrics.power_law(t, 0.5 * np.exp(-t / 3.0))
    assert exponential.tau_s == pytest.approx(3.0, rel=1e-9)
    assert exponential.delta_aic < 0
    assert exponential.r2 < 0.9  # an exponential can mimic an m, but not well


def test_the_linear_space_weighs_the_start():
    t = np.geomspace(0.1, 15.0, 50)
    law = metrics.power_law(t, 0.1 * t**-0.5, space="linear")
    assert (law.b, law.m, law.r2) == pytest.approx((0.1, 0.5, 1.0), rel=1e-6)
    bent = 0.1 * t**-0.5 * np.exp(-t / 10.0)
    assert metrics.power_law(t, bent, space="linear").m < metrics.power_law(t, bent).m


def test_the_window_is_that_asked_for():
    t = np.geomspace(0.01, 100.0, 200)
    law = metrics.power_law(t, 0.1 * t**-0.5, window_s=(0.1, 15.0))
    assert law.window_s[0] >= 0.1
    assert law.window_s[1] <= 15.0
    assert law.points == np.count_nonzero((t >= 0.1) & (t <= 15.0))


@pytest.mark.parametrize(
    ("t", "y", "options", "told"),
    [
        ([1.0, 2.0], [1.0, 0.5], {}, "Too few points"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 0.5, 0.0, 0.1], {}, "not positive"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 0.5, np.nan, 0.1], {}, "do not go together"),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], {"space": "cubic"}, "log, linear"),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], {"window_s": (2.0, 1.0)}, "window_s"),
    ],
)
def test_a_decay_that_has_no_power_law_is_refused(t, y, options, told):
    with pytest.raises(InputError, match=told):
        metrics.power_law(t, y, **options)


def test_the_weight_of_a_trace_counts_from_its_base_to_its_last_read():
    wave = synapse.retention(3, lead_s=1.0)
    end = float(wave.reads_s[-1]) - 1e-3
    b, m = 0.1, 0.5
    peak = b * 1e-3**-m

    def weight(t):
        return 1e-9 if t <= 1.0 else 1e-9 * (1.0 + (b * (t - end) ** -m if t > end + 0.99e-3 else peak))

    trace = made(wave, weight)
    law = metrics.retention(trace)
    assert law.m == pytest.approx(m, rel=1e-6)
    assert law.b == pytest.approx(b / peak, rel=1e-6)
    assert metrics.retention(trace, normalise="base").b == pytest.approx(b, rel=1e-6)
    t, y = metrics.decay(trace)
    assert (t[0], y[0]) == pytest.approx((1e-3, 1.0), rel=1e-6)
    assert metrics.decay(trace, normalise="none").weight[0] == pytest.approx(1e-9 * (1.0 + peak), rel=1e-6)
    with pytest.raises(InputError, match="peak, base, none"):
        metrics.decay(trace, normalise="area")


def test_spikes_that_leave_nothing_have_no_weight():
    with pytest.raises(InputError, match="no rise to follow"):
        metrics.decay(made(synapse.retention(2), lambda t: 1e-9))
    with pytest.raises(InputError, match="never changes"):
        metrics.decay(made(Waveform([0.0, 1.0], [0.1, 0.1], reads_s=[0.5]), lambda t: 1e-9))


# -- energy, temperature ------------------------------------------------------------------------------------------


def test_the_energy_of_an_event_is_that_of_the_paper():
    """K-EN-18 and K-EN-07: the two printed energies ask for 0.9 and 1.75 pA (I-12)."""
    assert metrics.event_energy(-1.0, 0.9e-12, 20e-3) == pytest.approx(18e-15)
    assert metrics.event_energy(-0.02, -1.75e-12, 20e-3) == pytest.approx(0.7e-15)
    with pytest.raises(InputError, match="width"):
        metrics.event_energy(1.0, 1e-12, 0.0)


def test_the_delivered_energy_is_exact_for_a_capacitor_and_a_resistor():
    C, R = 27e-12, 1e9
    wave = Waveform(np.array([0.0, 1e-6, 1e-2]), np.array([0.0, 1.0, 1.0]))
    # the current at a corner belongs to the segment that ends there
    current = np.array([0.0, C * 1e6, 0.0]) + wave.voltage_at(wave.times_s) / R
    trace = traces.make(
        wave,
        model="test",
        device_voltage_V=wave.voltage_at(wave.times_s),
        current_A=current,
        conductance_S=np.full(3, 1 / R),
        parameters={},
    )
    assert metrics.delivered_energy(trace, 1e-6) == pytest.approx(0.5 * C + 0.5e-6 / R, rel=1e-9)
    assert metrics.delivered_energy(trace) == pytest.approx(0.5 * C + 0.5e-6 / R + (1e-2 - 1e-6) / R, rel=1e-9)
    with pytest.raises(InputError, match="outside the trace"):
        metrics.delivered_energy(trace, 1.0)


def test_an_activation_energy_comes_back():
    T = np.array([280.0, 300.0, 320.0])
    found = metrics.activation_energy(T, 1e9 * np.exp(0.144 / (BOLTZMANN_EV_K * T)))
    assert found.value_eV == pytest.approx(0.144, rel=1e-9)
    assert found.r2 == pytest.approx(1.0)
    with pytest.raises(InputError, match="two temperatures"):
        metrics.activation_energy([300.0, 300.0], [1.0, 2.0])
    with pytest.raises(InputError, match="positive"):
        metrics.activation_energy([300.0, 310.0], [1.0, -2.0])


def test_points_at_one_instant_are_no_decay():
    with pytest.raises(InputError, match="Too few points"):
        metrics.power_law(np.ones(10), np.linspace(1.0, 2.0, 10))
