"""Read noise against what is exact for atoms with two positions, and for many of them.

Stated before the run: statistical comparisons within 4 standard errors, computed from the exact variance; closed forms
against sums and integrals to 1e-4; spectra of sampled series within 4 %, slopes of 1/f within 0.01, levels within 2 %.
"""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from halidrift.physics import formulas
from halidrift.physics.constants import BOLTZMANN_EV_K as K_B
from halidrift.physics.noise import Fluctuators, ReadNoise

T = 300.0
KT = K_B * T
NU = 1e13


def alike(count, barrier=0.5, asymmetry=0.03):
    return Fluctuators(np.full(count, barrier), asymmetry, NU)


def speed(atoms):
    """Relaxation rate of the first atom, 1/s."""
    out, back = atoms.rates_Hz(T)
    return float((out + back)[0])


# -- one atom ------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_any_step_and_obey_detailed_balance():
    atoms = Fluctuators([0.3, 0.5, 0.7], [0.0, 0.1, -0.2], NU)
    out, back = atoms.rates_Hz(T)
    for i, (E, dE) in enumerate(zip(atoms.barrier_eV, atoms.asymmetry_eV, strict=True)):
        assert out[i] == formulas.hop_rate(formulas.balanced_barrier(E, dE), T, NU, 0.0)
        assert back[i] == formulas.hop_rate(formulas.balanced_barrier(E, -dE), T, NU, 0.0)
        assert out[i] / back[i] == pytest.approx(np.exp(-dE / KT), rel=1e-12)


@pytest.mark.parametrize("dE", [-0.08, 0.0, 0.03, 0.1])
def test_time_spent_in_a_position_is_that_of_boltzmann(dE):
    atoms = alike(200, asymmetry=dE)
    # instants so far apart that each is a new draw: exp(-20) of the last is left
    states = atoms.sampled(np.arange(500) * 20 / speed(atoms), T, rng=1)
    p = 1 / (1 + np.exp(dE / KT))
    assert abs(states.mean() - p) < 4 * np.sqrt(p * (1 - p) / states.size)


def test_autocorrelation_decays_with_the_sum_of_both_rates():
    atoms = alike(40_000)
    lag = np.array([0.0, 0.05, 0.3, 0.31, 1.0, 2.5]) / speed(atoms)  # unevenly
    states = atoms.sampled(lag, T, rng=2).astype(float)
    p = float(atoms.occupancy(T)[0])
    first = states[0] - p
    exact = atoms.autocovariance(lag, T)[:, 0]
    assert exact == pytest.approx(p * (1 - p) * np.exp(-lag * speed(atoms)), rel=1e-12)
    for k in range(lag.size):
        product = first * (states[k] - p)
        assert abs(product.mean() - exact[k]) < 4 * product.std() / np.sqrt(product.size)


@pytest.mark.parametrize("between", [0, 1, 60])
def test_instants_in_between_change_no_probability(between):
    """Chapman and Kolmogorov: the transition over a time is the same in one step or in many uneven ones."""
    atoms = alike(40_000)
    rate, p = speed(atoms), float(atoms.occupancy(T)[0])
    end = 0.7 / rate
    inside = np.sort(np.random.default_rng(between).uniform(0, end, between))
    states = atoms.sampled(np.concatenate([[0.0], inside, [end]]), T, rng=3)
    for start in (False, True):
        from_here = states[-1][states[0] == start]
        expected = p + (float(start) - p) * np.exp(-rate * end)
        error = np.sqrt(expected * (1 - expected) / from_here.size)
        assert abs(from_here.mean() - expected) < 4 * error


def test_times_between_jumps_are_exponential():
    atoms = alike(1, asymmetry=0.02)
    out, back = (float(rate[0]) for rate in atoms.rates_Hz(T))
    step = 0.01 / (out + back)
    states = atoms.sampled(np.arange(1_000_000) * step, T, rng=4)[:, 0]
    jumps = np.flatnonzero(np.diff(states))
    stays = np.diff(jumps) * step
    for rate, begins in ((back, True), (out, False)):  # in the second position it waits for the way back
        mine = stays[states[jumps[:-1] + 1] == begins]
        # seen every `step`: a jump there and back in between is missed; it shortens no stay by more than 1 %
        assert mine.mean() * rate == pytest.approx(1.0, abs=4 / np.sqrt(mine.size) + 0.01)
        assert mine.std() / mine.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / mine.size) + 0.01)


def test_spectrum_of_a_sampled_series_is_the_lorentzian():
    atoms = alike(400, asymmetry=0.02)
    rate = speed(atoms)
    step, size = 0.05 / rate, 2**13
    states = atoms.sampled(np.arange(size) * step, T, rng=5).astype(float)
    power = 2 * step / size * np.abs(np.fft.rfft(states - states.mean(0), axis=0)) ** 2
    frequency = np.fft.rfftfreq(size, step)
    exact = atoms.spectrum_1_Hz(frequency, T)[:, 0]
    # below 1/20 of the sampling frequency aliasing adds under 1 %; the window leaks 1 / (rate duration) = 0.2 %
    edges = np.geomspace(20, 0.05 * size, 8).astype(int)
    assert frequency[edges[0]] < rate / (2 * np.pi) < frequency[edges[-1]]
    for low, high in itertools.pairwise(edges):
        assert power[low:high].mean() == pytest.approx(exact[low:high].mean(), rel=0.04)


def test_the_integral_of_the_lorentzian_is_the_variance():
    atoms = alike(1)
    p, rate = float(atoms.occupancy(T)[0]), speed(atoms)
    total, _ = quad(lambda f: float(atoms.spectrum_1_Hz(f * rate, T)[0]) * rate, 0, np.inf)
    assert total == pytest.approx(p * (1 - p), rel=1e-6)


@pytest.mark.parametrize("relaxations", [0.2, 3.0, 40.0])
def test_what_is_left_in_an_average(relaxations):
    atoms = alike(4000)
    rate, p = speed(atoms), float(atoms.occupancy(T)[0])
    span, points = relaxations / rate, 800
    # the mean of many points of one window; their spacing is at most a twentieth of the relaxation time
    mean = atoms.sampled(np.linspace(0, span, points), T, rng=7).mean(axis=0)
    expected = p * (1 - p) * float(atoms.attenuation(span, T)[0]) ** 2
    square = (mean - p) ** 2
    assert square.mean() == pytest.approx(expected, abs=4 * square.std() / np.sqrt(square.size) + 0.005 * expected)


def test_a_short_average_takes_nothing():
    atoms = alike(1)
    left = [float(atoms.attenuation(x / speed(atoms), T)[0]) for x in (0.0, 9e-5, 1.1e-4, 1e4)]
    assert left[0] == 1.0
    assert left[1] == pytest.approx(1 - 1.5e-5, abs=1e-9)
    assert left[2] == pytest.approx(1 - 1.1e-4 / 6, abs=1e-8)
    assert left[3] == pytest.approx(np.sqrt(2e-4), rel=1e-3)


def test_a_hotter_atom_jumps_by_arrhenius():
    atoms = alike(1, barrier=0.6, asymmetry=0.0)
    ratio = atoms.rates_Hz(350.0)[0] / atoms.rates_Hz(300.0)[0]
    assert float(ratio[0]) == pytest.approx(np.exp(0.6 / K_B * (1 / 300 - 1 / 350)), rel=1e-12)
    # and a series whose temperature changes follows it: cold for ever, then hot
    many = alike(20_000, barrier=0.6, asymmetry=0.06)
    hot = many.sampled([0.0, 1e9], [300.0, 500.0], rng=6)[1]
    p = 1 / (1 + np.exp(0.06 / (K_B * 500)))
    assert abs(hot.mean() - p) < 4 * np.sqrt(p * (1 - p) / hot.size)


# -- many atoms ----------------------------------------------------------------------------------------------------


def noise(**numbers):
    return ReadNoise(77.5e-6, **{"amplitude": 0.3, "per_atom": 0.5, **numbers})


@pytest.mark.parametrize("asymmetry", [0.0, 0.1])
def test_a_flat_distribution_of_barriers_sums_to_the_closed_form(asymmetry):
    model = noise(asymmetry_eV=asymmetry)
    barrier = np.linspace(model.barrier_low_eV, model.barrier_high_eV, 4001)
    levels = np.linspace(-asymmetry, asymmetry, 201) if asymmetry else np.zeros(1)
    frequency = np.array([1e-5, 1e-2, 1.0, 1e3, 1e8, 1e13])

    def mean(values):  # trapezium over an even grid
        weight = np.ones(len(values))
        if len(values) > 1:
            weight[[0, -1]] = 0.5
        return weight @ values / weight.sum()

    each = np.array([mean(Fluctuators(barrier, dE, NU).spectrum_1_Hz(frequency, T).T) for dE in levels])
    expected = model.amplitude**2 * model.per_atom / 7.0 * mean(each)
    np.testing.assert_allclose(model.spectrum_1_Hz(frequency, T, atoms=7.0), expected, rtol=1e-4)


def test_it_is_one_over_f_in_between():
    model = noise(asymmetry_eV=0.0)
    slow, fast = (2 * NU * np.exp(-E / KT) / (2 * np.pi) for E in (model.barrier_high_eV, model.barrier_low_eV))
    frequency = np.geomspace(100 * slow, fast / 100, 60)
    assert frequency[-1] / frequency[0] > 1e6
    S = model.spectrum_1_Hz(frequency, T, atoms=1.0)
    slope = np.polyfit(np.log(frequency), np.log(S), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.01)
    # Dutta and Horn's level for a flat distribution: a^2 c kT / (4 f (E2 - E1))
    level = model.amplitude**2 * model.per_atom * KT / (4 * frequency * 0.8)
    np.testing.assert_allclose(S, level, rtol=0.02)
    # beyond both ends it is what a single atom gives: flat, and f^-2
    ends = model.spectrum_1_Hz(np.array([slow / 1e3, slow / 1e2, fast * 1e2, fast * 1e3]), T, atoms=1.0)
    assert ends[0] == pytest.approx(ends[1], rel=0.01)
    assert ends[3] == pytest.approx(ends[2] / 100, rel=0.01)


def test_noise_grows_with_temperature():
    model = noise(asymmetry_eV=0.0)
    # 1e5 Hz lies between the slowest and the fastest atom at both temperatures, by a factor of 300 at least
    S = [float(model.spectrum_1_Hz(1e5, kelvin, atoms=1.0)) for kelvin in (200.0, 400.0)]
    assert S[1] / S[0] == pytest.approx(2.0, rel=0.01)
    # unequal positions freeze: with dE up to 0.1 eV fewer than half as many atoms move at 200 K as at 400 K
    cold, warm = (float(noise().relative_std(1e-5, kelvin)) ** 2 for kelvin in (200.0, 400.0))

    def active(kelvin):  # mean of p (1 - p) over an even distribution
        kT = K_B * kelvin
        return kT * np.tanh(0.1 / (2 * kT)) / (2 * 0.1)

    assert cold / warm == pytest.approx(active(200.0) / active(400.0), rel=1e-9)
    assert float(noise(amplitude=1.0, per_atom=1.0).relative_std(1e-5, T)) ** 2 == pytest.approx(active(T), rel=1e-9)


@pytest.mark.parametrize("band", [(0.0, np.inf), (1.0, 1e5), (0.0, 1e3), (1e-9, 1e-4)])
def test_the_deviation_in_a_band_is_the_integral_of_the_spectrum(band):
    model = noise()
    edges = np.log(np.clip(band, 1e-12, 1e18))
    x, w = np.polynomial.legendre.leggauss(400)
    f = np.exp(0.5 * (edges[1] - edges[0]) * x + edges.mean())
    total = 0.5 * (edges[1] - edges[0]) * (w * f) @ model.spectrum_1_Hz(f, T, atoms=3.0)
    # no leakage, no series resistance: the device is its filament
    assert float(model.relative_std(1e-4, T, atoms=3.0, band_Hz=band)) ** 2 == pytest.approx(total, rel=1e-4)


def test_more_atoms_are_quieter():
    model = noise()
    G = model.contact_conductance_S * np.array([0.1, 1.0, 4.0, 100.0])
    std = model.relative_std(G, T)
    np.testing.assert_allclose(std / std[1], [1.0, 1.0, 0.5, 0.1], rtol=1e-12)
