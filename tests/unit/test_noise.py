import doctest
import importlib
import json

import numpy as np
import pytest
import xarray as xr

from halidrift import Device, Waveform, trace
from halidrift.physics.constants import BOLTZMANN_EV_K as K_B
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.noise import ASSUMED, Fluctuators, ReadNoise

CARD = Device.load("john2022-ogb")
WAVE = Waveform.hold(0.1, 1.0, compliance_A=1e-3, samples=7)


def made(G_S=5e-4, replicas=1, waveform=WAVE, temperature_K=300.0, **variables):
    """A filament that rests: one trace, or a stack of them."""
    time = waveform.times_s
    V = waveform.voltage_at(time)
    limit = waveform.compliance_at(time)
    G = np.full(time.shape, G_S)
    device_V = np.clip(V, -limit / G, limit / G)
    one = trace.make(
        waveform,
        model="Rest",
        device_voltage_V=device_V,
        current_A=device_V * G,
        conductance_S=G,
        parameters={},
        extra={"temperature": ("time", np.full(time.shape, temperature_K), "K", "temperature")},
    )
    if replicas == 1:
        return one.assign(variables)
    whole = one.expand_dims(replica=replicas).copy(deep=True)
    whole["voltage"] = one["voltage"]
    return whole.assign(variables)


def test_every_assumed_number_has_a_reason_and_a_range():
    for name, number in ASSUMED.items():
        assert number.name == name
        assert number.kind == "assumed"
        assert number.reason
        assert number.range[0] <= number.value <= number.range[1]
    assert ReadNoise.of(CARD).parameters == tuple(ASSUMED.values())
    other = ReadNoise.of(CARD, amplitude=2.0).parameters[0]
    assert "set by the caller" in other.reason
    assert other.range[1] == 2.0


def test_the_card_gives_the_circuit():
    noise = ReadNoise.of(CARD)
    assert noise.contact_conductance_S == CARD.value("contact_conductance_S")
    assert noise.series_resistance_ohm == CARD.value("series_resistance_ohm")
    with pytest.raises(InputError, match=r"amplitudes.*amplitude, per_atom"):
        ReadNoise.of(CARD, amplitudes=1.0)
    with pytest.raises(InputError, match="contact_conductance_S"):
        ReadNoise.of(Device.load("kim2019-n3"))


def test_a_trace_keeps_what_it_was():
    quiet = made()
    noisy = ReadNoise.of(CARD, per_atom=5.0).added_to(quiet, rng=1)
    trace.check(noisy)
    for name in ("conductance", "current", "device_voltage"):
        np.testing.assert_array_equal(noisy[f"noiseless_{name}"], quiet[name])
    assert (noisy.conductance != quiet.conductance).all()
    np.testing.assert_allclose(noisy.current, noisy.device_voltage * noisy.conductance, rtol=1e-14)
    np.testing.assert_array_equal(noisy.device_voltage, quiet.voltage)  # far from its limit
    record = json.loads(noisy.attrs["read_noise"])
    assert record["per_atom"] == 5.0
    assert record["seed"]["entropy"] == 1
    assert "Machlup1954" in json.loads(noisy.attrs["sources"])
    assert noisy.attrs["parameters"] == quiet.attrs["parameters"]
    np.testing.assert_array_equal(ReadNoise.of(CARD, per_atom=5.0).added_to(quiet, rng=1).current, noisy.current)
    with pytest.raises(InputError, match="read noise already"):
        ReadNoise.of(CARD).added_to(noisy)


@pytest.mark.parametrize("numbers", [{"amplitude": 0.0}, {"per_atom": 0.0}])
def test_no_noise_changes_nothing(numbers):
    quiet = made()
    noisy = ReadNoise.of(CARD, **numbers).added_to(quiet, rng=1)
    for name in ("conductance", "current", "device_voltage"):
        np.testing.assert_allclose(noisy[name], quiet[name], rtol=1e-14)


def test_at_the_compliance_limit_the_voltage_is_noisy():
    quiet = made(waveform=WAVE.with_compliance(1e-5))
    assert float(quiet.device_voltage[0]) == pytest.approx(0.02)
    noisy = ReadNoise.of(CARD, per_atom=5.0).added_to(quiet, rng=1)
    np.testing.assert_allclose(noisy.current, 1e-5, rtol=1e-14)
    np.testing.assert_allclose(noisy.device_voltage, 1e-5 / noisy.conductance, rtol=1e-14)
    assert noisy.device_voltage.std() > 0


def test_a_negative_voltage_is_limited_too():
    quiet = made(waveform=Waveform.hold(-0.1, 1.0, compliance_A=1e-5, samples=3))
    noisy = ReadNoise.of(CARD, per_atom=5.0).added_to(quiet, rng=1)
    np.testing.assert_allclose(noisy.current, -1e-5, rtol=1e-14)


@pytest.mark.parametrize("atoms", [1.0, 6.0])
def test_the_spread_over_devices_is_the_closed_form(atoms):
    """Root mean square over 4,000 devices within 4 standard errors of a variance, its kurtosis as found."""
    noise = ReadNoise.of(CARD, amplitude=0.1, per_atom=1.0)
    quiet = made(G_S=1e-4, replicas=4000, waveform=Waveform.hold(0.01, 1.0, compliance_A=1e-3, samples=2))
    noisy = noise.added_to(quiet, atoms=atoms, rng=2)
    change = np.log(noisy.conductance / quiet.conductance).values[:, -1]
    square = change**2
    expected = float(noise.relative_std(1e-4, 300.0, atoms=atoms)) ** 2
    # the closed form is linear in the noise: with series resistance the logarithm bends by a few per cent of itself
    assert square.mean() == pytest.approx(expected, abs=4 * square.std() / np.sqrt(square.size) + 0.03 * expected)
    assert abs(change.mean()) < 4 * change.std() / np.sqrt(change.size)


def test_as_a_filament_grows_more_atoms_take_part():
    """At each instant the variance is that of the atoms that there are, 4 standard errors."""
    noise = ReadNoise(77.5e-6, amplitude=0.1, per_atom=1.0)
    quiet = made(G_S=1e-4, replicas=4000, waveform=Waveform.hold(0.01, 1.0, compliance_A=1e-3, samples=2))
    atoms = xr.DataArray([1.5, 12.0], dims="time", coords={"time": quiet.time})
    change = np.log(noise.added_to(quiet, atoms=atoms, rng=4).conductance / quiet.conductance)
    for k, n in enumerate(atoms.values):
        square = change.values[:, k] ** 2
        expected = float(noise.relative_std(1e-4, 300.0, atoms=n)) ** 2
        assert square.mean() == pytest.approx(expected, abs=4 * square.std() / np.sqrt(square.size))


def test_leakage_and_series_resistance_dampen_it():
    bare = ReadNoise(77.5e-6, amplitude=0.2, per_atom=1.0)
    leaky = ReadNoise(77.5e-6, leakage_S=1e-6, amplitude=0.2, per_atom=1.0)
    behind = ReadNoise(77.5e-6, series_resistance_ohm=1000.0, amplitude=0.2, per_atom=1.0)
    G = 5e-4
    reference = float(bare.relative_std(G, 300.0, atoms=2.0))
    assert float(leaky.relative_std(2e-6, 300.0, atoms=2.0)) == pytest.approx(reference / 2, rel=1e-12)
    assert float(behind.relative_std(G, 300.0, atoms=2.0)) == pytest.approx(reference / 2, rel=1e-12)
    # without a filament there is nothing that jumps
    assert float(leaky.relative_std(1e-6, 300.0, atoms=2.0)) == 0.0
    rest = made(G_S=1e-6)
    np.testing.assert_array_equal(leaky.added_to(rest, rng=1).conductance, rest.conductance)


def test_a_device_does_not_depend_on_those_beside_it():
    noise = ReadNoise.of(CARD, per_atom=5.0)
    few, many = (noise.added_to(made(replicas=n), rng=3).conductance for n in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert len(np.unique(many[:, 0])) == 5


def test_drawn_numbers_of_a_device_are_its_own():
    leak = xr.DataArray([1e-9, 5e-4], dims="replica", attrs={"units": "S"})
    quiet = made(G_S=5e-4, replicas=2, drawn_leakage_S=leak)
    noisy = ReadNoise(77.5e-6, per_atom=5.0).added_to(quiet, rng=1)
    assert (noisy.conductance[0] != quiet.conductance[0]).any()
    np.testing.assert_array_equal(noisy.conductance[1], quiet.conductance[1])  # leakage alone


def test_atoms_over_a_dimension_and_by_default_those_of_a_contact():
    noise = ReadNoise(1e-4, per_atom=20.0)
    quiet = made(G_S=5e-4, replicas=2)
    np.testing.assert_array_equal(noise.added_to(quiet, rng=1).current, noise.added_to(quiet, atoms=5.0, rng=1).current)
    atoms = xr.DataArray([5.0, 500.0], dims="replica")
    std = np.log(noise.added_to(quiet, atoms=atoms, rng=1).conductance / 5e-4).std("time")
    assert float(std[0]) > 2 * float(std[1])


def test_slow_and_fast_atoms():
    # 0.9 eV: 1e-2 Hz, nothing happens within a millisecond; 0.2 eV: 4e9 Hz, every instant is a new draw
    frozen = ReadNoise(77.5e-6, per_atom=20.0, barrier_low_eV=0.89, barrier_high_eV=0.9)
    quick = ReadNoise(77.5e-6, per_atom=20.0, barrier_low_eV=0.2, barrier_high_eV=0.21, asymmetry_eV=0.1)
    quiet = made(G_S=7e-5, waveform=Waveform.hold(0.1, 1e-3, compliance_A=1e-3, samples=500))
    assert np.ptp(frozen.added_to(quiet, rng=1).conductance.values) == 0.0
    steps = np.log(quick.added_to(quiet, rng=1).conductance.values)
    steps -= steps.mean()
    assert abs((steps[1:] * steps[:-1]).mean() / (steps**2).mean()) < 4 / np.sqrt(500)


def test_a_read_that_averages_sees_less():
    quiet = made(G_S=7e-5, replicas=300)
    noise = ReadNoise(77.5e-6, per_atom=3.0)
    point, short, long = (
        float(np.log(noise.added_to(quiet, averaging_s=t, rng=1).conductance / 7e-5).std()) for t in (0.0, 1e-12, 1e-3)
    )
    assert short == pytest.approx(point, rel=1e-3)
    assert 0.5 * point < long < 0.95 * point
    assert json.loads(noise.added_to(quiet, averaging_s=1e-3, rng=1).attrs["read_noise"])["averaging_s"] == 1e-3
    with pytest.raises(InputError, match="averaging_s"):
        noise.added_to(quiet, averaging_s=-1.0)


def test_a_long_trace_of_a_thick_filament_is_cut_into_blocks():
    quiet = made(G_S=1e-3, waveform=Waveform.hold(0.1, 1.0, compliance_A=1e-3, samples=30_000))
    noise = ReadNoise(1e-6, per_atom=0.2, amplitude=1.0)
    noisy = noise.added_to(quiet, rng=1)
    change = np.log(noisy.conductance / quiet.conductance).values
    # a mean over 200 atoms of one device: within a factor of 2 of that over devices
    assert 0.25 < (change**2).mean() / float(noise.relative_std(1e-3, 300.0)) ** 2 < 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fluctuators([0.0], 0.0, 1e13), ["barrier_eV must be positive"]),
        (lambda: Fluctuators([0.5], [0.1, 0.2], 1e13), ["asymmetry_eV must be one"]),
        (lambda: Fluctuators([0.5], np.nan, 1e13), ["asymmetry_eV"]),
        (lambda: Fluctuators([0.5], 0.0, -1.0), ["attempt_frequency_Hz"]),
        (lambda: Fluctuators([0.5], 0.0, 1e13).rates_Hz(0.0), ["temperature_K"]),
        (lambda: Fluctuators([0.5], 0.0, 1e13).sampled([1.0, 0.0], 300.0), ["increasing"]),
        (lambda: ReadNoise("much"), ["contact_conductance_S", "'much'", "> 0 S"]),
        (lambda: ReadNoise([1e-4, 1e-4]), ["one number"]),
        (lambda: ReadNoise(1e-4, amplitude=-0.1), ["amplitude", ">= 0"]),
        (lambda: ReadNoise(1e-4, barrier_high_eV=0.1), ["above barrier_low_eV"]),
        (lambda: ReadNoise(1e-4).relative_std(1e-4, 300.0, atoms=0.5), ["at least one atom"]),
        (lambda: ReadNoise(1e-4).relative_std(-1e-4, 300.0), ["conductance_S"]),
        (lambda: ReadNoise(1e-4).relative_std(1e-4, 300.0, band_Hz=(2.0, 1.0)), ["in order"]),
        (lambda: ReadNoise(1e-4).spectrum_1_Hz(1.0, 300.0), ["conductance_S, atoms or both"]),
        (lambda: ReadNoise(1e-4).spectrum_1_Hz(0.0, 300.0, atoms=1.0), ["frequency_Hz"]),
        (lambda: ReadNoise(1e-4, series_resistance_ohm=1e4).added_to(made()), ["larger than the resistance"]),
        (lambda: ReadNoise(1e-4).added_to(made().drop_vars("temperature")), ["no temperature", "temperature_K"]),
        (lambda: ReadNoise(1e-4).added_to(made().drop_vars("current")), ["lacks variable 'current'"]),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InputError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fluctuators([0.1], 0.2, 1e13),
        lambda: Fluctuators([0.9], 0.0, 1e13).rates_Hz(5.0),
        lambda: ReadNoise(1e-4, asymmetry_eV=0.4),
    ],
)
def test_out_of_validity(make):
    with pytest.raises(ValidityError):
        make()


def test_a_temperature_may_be_given():
    quiet = made(temperature_K=300.0)
    noise = ReadNoise(77.5e-6, per_atom=5.0)
    np.testing.assert_array_equal(
        noise.added_to(quiet.drop_vars("temperature"), temperature_K=300.0, rng=1).current,
        noise.added_to(quiet, rng=1).current,
    )


def test_boltzmann_of_the_energies_drawn():
    atoms = ReadNoise(1e-4).fluctuators(2000, rng=1)
    assert 0.2 <= atoms.barrier_eV.min() < 0.21
    assert 0.99 < atoms.barrier_eV.max() <= 1.0
    p = 1 / (1 + np.exp(atoms.asymmetry_eV / (K_B * 300)))
    np.testing.assert_allclose(atoms.occupancy(300.0), p, rtol=1e-9)


def test_doctests():
    result = doctest.testmod(importlib.import_module("halidrift.physics.noise"))
    assert result.attempted > 0
    assert result.failed == 0
