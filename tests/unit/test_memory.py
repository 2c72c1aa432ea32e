"""Measures of memory and separability against reservoirs whose answer is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from halidrift.compact import Volatile
from halidrift.physics.errors import InputError
from halidrift.pipeline import MaskedReservoir, Reservoir
from halidrift.pipeline.memory import distances, echo, fisher_ratio, memory_capacity, state_rank, told_apart
from halidrift.pipeline.spikes import pulse_words

TAU = 12e-3


def volatile(tau_s: float = TAU, **options) -> Volatile:
    """Relaxation of ln G is exponential, growth is done long before a 20 ms pulse ends."""
    values = {"growth_rate_Hz": 1.0, "growth_voltage_V": 0.1, "relaxation_time_s": tau_s} | options
    return Volatile.of(conductance_off_S=1e-9, conductance_on_S=1e-6, **values)


# -- fading memory -------------------------------------------------------------------------------------------


def test_the_echo_of_an_exponential_is_its_decay():
    """distance(gap) = exp(-gap/tau): 1 % for the 1 us edge and the step control; horizon tau ln 10, linear between."""
    gaps = np.linspace(1e-3, 60e-3, 60)
    found = echo(volatile(), gaps, probe=False)
    np.testing.assert_allclose(found.distance.sel(stage="gap"), np.exp(-gaps / TAU), rtol=1e-2)
    assert float(found.horizon.sel(stage="gap")) == pytest.approx(TAU * np.log(10), rel=1e-2)


def test_a_pulse_that_closes_the_filament_forgets_everything():
    """Growth in microseconds: after the probe nothing is left of the history, at any gap."""
    found = echo(volatile(growth_rate_Hz=100.0), [1e-3, 10e-3, 50e-3])
    assert float(found.horizon.sel(stage="probe")) == 0.0
    assert float(found.distance.sel(stage="probe").max()) < 1e-3


def test_a_horizon_beyond_the_largest_gap_is_not_a_number():
    assert np.isnan(float(echo(volatile(), [1e-3, 10e-3], probe=False).horizon[0]))


def test_noise_averages_out_of_the_echo():
    """Read noise of 5 %, 64 draws: distance of ln G 6.9 apart within 4 standard errors of sqrt(2/64) 5 %/6.9."""
    found = echo(volatile(read_noise=0.05), [100e-3], probe=False, repeats=64, rng=0)
    assert float(found.distance[0, 0]) == pytest.approx(np.exp(-100 / 12), abs=4 * np.sqrt(2 / 64) * 0.05 / 6.9)


def test_bad_echoes_raise():
    for wrong in ({"gaps_s": [0.0]}, {"gaps_s": [2e-3, 1e-3]}, {"tolerance": 1.0}, {"history": 0}, {"repeats": 2}):
        with pytest.raises(InputError):
            echo(volatile(), **{"gaps_s": [1e-3], **wrong})
    with pytest.raises(InputError, match="no trace"):
        echo(volatile(growth_rate_Hz=0.0), [1e-3])


# -- capacity ------------------------------------------------------------------------------------------------


def test_a_delay_line_remembers_as_many_steps_as_it_has_units():
    """Exact: capacity 1 for the delays that it holds, 0 for others; held-out chance below 2 %."""
    u = np.random.default_rng(0).random(3000)
    line = np.stack([np.roll(u, k) for k in range(6)], axis=1)
    found = memory_capacity(line, u, delays=12)
    np.testing.assert_allclose(found[:6], 1.0, atol=1e-9)
    assert float(found[6:].max()) < 0.02
    assert float(found.sum()) == pytest.approx(6.0, abs=0.1)


def test_a_leaky_integrator_has_the_capacity_of_its_one_unit():
    """x = a x + u: C_k = (1 - a^2) a^(2k), summing to 1 = the number of units; 20,000 steps, 0.02."""
    a, u = 0.7, np.random.default_rng(1).random(20_000)
    x = np.zeros_like(u)
    for t in range(1, u.size):
        x[t] = a * x[t - 1] + u[t]
    found = memory_capacity(x[:, None], u, delays=15)
    np.testing.assert_allclose(found, (1 - a**2) * a ** (2 * np.arange(15)), atol=0.02)


def test_states_of_noise_remember_nothing():
    rng = np.random.default_rng(2)
    assert float(memory_capacity(rng.standard_normal((4000, 8)), rng.random(4000)).sum()) < 0.05


def test_a_masked_device_remembers_longer_if_it_relaxes_more_slowly():
    """Growth in 40 ms: a pulse adds to what is there. One that closes the filament at once would erase it.

    With 1 % read noise: without any, a regression finds the smallest remainder of the past.
    """
    u = np.random.default_rng(3).integers(0, 2, 400).astype(float)
    capacity = []
    for tau in (2e-3, 40e-3):
        states = MaskedReservoir(
            volatile(tau, growth_rate_Hz=3e-3, growth_voltage_V=0.11, read_noise=0.01),
            nodes=4,
            node_s=5e-3,
            log_conductance=True,
        ).transform(u, rng=0)[0]
        assert states.shape == (400, 4)
        capacity.append(float(memory_capacity(states, u, delays=6).sum()))
    assert capacity[1] > capacity[0] + 0.3
    assert max(capacity) <= 4.0


def test_bad_capacities_raise():
    u = np.random.default_rng(0).random(100)
    for states, inputs, wrong in (
        (u, u, {}),
        (u[:, None], u[:50], {}),
        (u[:, None], u, {"delays": 0}),
        (u[:, None], u, {"train_fraction": 1.0}),
        (np.ones((100, 60)), u, {}),
        (u[:, None], np.ones(100), {}),
        (u[:, None], u, {"washout": -5}),
        (u[:, None], u, {"washout": np.nan}),
    ):
        with pytest.raises(InputError):
            memory_capacity(states, inputs, **wrong)


# -- separability --------------------------------------------------------------------------------------------


def gaussians(separation: float, patterns: int = 20_000, nodes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(patterns) % 2
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((nodes, nodes)) + 2 * np.eye(nodes)
    centres = np.zeros((2, nodes))
    centres[1, 0] = separation
    return 1e-6 * (centres[labels] + rng.standard_normal((patterns, nodes))) @ mixing, labels


def test_distance_of_two_gaussians_whatever_the_coordinates():
    """d' 3, mixed and scaled to uS: 20,000 patterns, 3 %; Fisher ratio d'^2/4."""
    states, labels = gaussians(3.0)
    found = distances(states, labels)
    assert found[0, 1] == found[1, 0] == pytest.approx(3.0, rel=0.03)
    assert found[0, 0] == 0.0
    assert fisher_ratio(states, labels) == pytest.approx(9.0 / 4, rel=0.06)


def test_shuffled_labels_leave_no_separability():
    """About nodes (classes - 1)/patterns, 3/20000; ten times that is the bound."""
    states, labels = gaussians(3.0)
    assert fisher_ratio(states, np.random.default_rng(1).permutation(labels)) < 30 / 20_000


def test_rank_counts_directions_above_the_noise():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 10))
    assert state_rank(signal) == 3
    assert state_rank(1e-6 * (signal + 1e-4 * rng.standard_normal(signal.shape))) == 3
    assert state_rank(signal + 0.5 * rng.standard_normal(signal.shape)) == 10
    assert state_rank(np.full((5, 4), 1e-9)) == 0


def test_levels_on_a_line_are_chosen_as_densely_as_allowed():
    """Means 0, 1, 2, 3, 4 of unit scatter: at d' 2 three of them, at 0.9 all, at 5 one."""
    labels = np.repeat(np.arange(5), 4000)
    states = (labels + np.random.default_rng(0).standard_normal(labels.size))[:, None]
    assert told_apart(states, labels, 1.9).size == 3
    assert told_apart(states, labels, 0.9).tolist() == [0, 1, 2, 3, 4]
    assert told_apart(states, labels, 5.0).size == 1


def test_sixteen_words_are_told_apart_only_by_a_device_that_remembers():
    """One reading after the last bit: a slow device has a level a word, a fast one knows the last bit alone."""
    words, streams = pulse_words(4, width_s=5e-3, period_s=10e-3, rest_s=2e-3)
    numbers = words @ (8, 4, 2, 1)
    found = {}
    for tau in (25e-3, 0.5e-3):
        cell = volatile(tau, growth_rate_Hz=3e-3, growth_voltage_V=0.11, read_noise=0.01)
        reader = Reservoir(cell, nodes=1, first_s=streams[0].duration_s, log_conductance=True)
        states = np.concatenate([reader.transform(streams, rng=seed) for seed in range(20)])
        found[tau] = told_apart(states, np.tile(numbers, 20))
    assert found[25e-3].size == 16
    assert found[0.5e-3].size <= 3


def test_bad_states_raise():
    for call in (
        lambda: state_rank(np.ones(3)),
        lambda: state_rank(np.ones((3, 2)), 0.0),
        lambda: distances(np.ones((4, 2)), [0, 0, 0, 0]),
        lambda: distances(np.ones((4, 2)), [0, 1]),
        lambda: told_apart(np.ones((4, 1)), [0, 0, 1, 1], 0.0),
    ):
        with pytest.raises(InputError):
            call()
