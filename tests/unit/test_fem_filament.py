"""FilamentFEM: what a user sees of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from halidrift.fem.filament import FilamentFEM
from halidrift.physics import trace
from halidrift.physics.device import Device
from halidrift.physics.errors import InputError
from halidrift.physics.waveform import Waveform


@pytest.fixture(scope="module")
def device():
    return Device.load("john2022-ogb")


@pytest.fixture(scope="module")
def sweep(device):
    """The design sample: 0 - 2 - 0 V at 1 uA."""
    return FilamentFEM(device).simulate(Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=1e-6))


def test_trace_follows_the_schema(sweep, device):
    trace.check(sweep)
    assert sweep.attrs["model"] == "FilamentFEM"
    for name, unit in (
        ("film_voltage", "V"),
        ("temperature_max", "K"),
        ("electron_temperature_max", "K"),
        ("metal_atoms", "1"),
        ("dissolved_ions", "1"),
        ("metal_fraction", "1"),
        ("temperature", "K"),
        ("potential", "V"),
    ):
        assert sweep[name].attrs["units"] == unit
    assert sweep.z.attrs["units"] == sweep.r.attrs["units"] == "m"
    assert sweep.metal_fraction.dims == ("z", "r")
    assert float(sweep.metal_fraction.min()) >= 0
    assert float(sweep.metal_fraction.max()) <= 1
    assert float(sweep.z[-1]) < device.film.thickness_m
    parameters = json.loads(sweep.attrs["parameters"])
    assert parameters["device"]["parameters"]["hop_barrier_eV"] == device.value("hop_barrier_eV")


def test_circuit_is_exact(sweep, device):
    """I = G V_device, |I| never above the compliance, the series resistance takes its part of the voltage."""
    np.testing.assert_allclose(sweep.current, sweep.conductance * sweep.device_voltage, rtol=1e-12, atol=1e-24)
    assert float(abs(sweep.current).max()) <= 1e-6 * (1 + 1e-12)
    drop = sweep.device_voltage - sweep.film_voltage
    np.testing.assert_allclose(drop, device.value("series_resistance_ohm") * sweep.current, rtol=1e-6, atol=1e-12)
    free = abs(sweep.current) < 0.99e-6
    np.testing.assert_allclose(sweep.device_voltage[free], sweep.voltage[free], rtol=1e-12, atol=1e-15)


def test_sets_below_one_volt(sweep, device):
    """J-DIFF-02: sub-1 V set; 1 nA at 0.1 V before."""
    set_V = float(sweep.voltage[int(np.argmax(sweep.current.values > 0.99e-6))])
    assert 0.1 < set_V < 1.0
    assert float(sweep.current.sel(time=0.1, method="nearest")) == pytest.approx(
        0.1 * device.value("leakage_S"), rel=0.01
    )


def test_gold_does_not_switch(device):
    """J-DRIFT-07: the same sweep with an Au electrode never leaves the leakage."""
    quiet = FilamentFEM(device.with_electrode("Au")).simulate(
        Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=1e-3, samples_per_V=10)
    )
    limit = 1.01 * device.value("leakage_S") * quiet.voltage.values + 1e-15
    assert (quiet.current.values <= limit).all()


def test_negative_voltage_does_not_set(device):
    """J-DIFF-04: no switching with the silver electrode negative."""
    quiet = FilamentFEM(device).simulate(
        Waveform.triangle(peaks_V=[-2.0], rate_V_s=1.0, compliance_A=1e-6, samples_per_V=10)
    )
    assert float(quiet.metal_atoms.max()) < 1.0
    assert float(abs(quiet.current).max()) < 1.1 * 2.0 * device.value("leakage_S")


def test_conductance_rises_with_compliance(device):
    """J-ICC-01, the direction of it: a decade of compliance current raises G by at least a factor of two."""
    G = []
    for limit in (1e-5, 1e-4, 1e-3):
        wave = Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=limit, samples_per_V=10)
        G.append(float(FilamentFEM(device).simulate(wave).conductance[-1]))
    assert G[1] > 2 * G[0]
    assert G[2] > 2 * G[1]


@pytest.mark.slow
def test_stability_grows_with_compliance(device):
    """J-DRIFT-03 and 06: 1e5 s at rest leave the 1 mA state within a factor of two and take the 1 uA state away."""
    kept = {}
    for limit in (1e-6, 1e-3):
        wave = Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=limit, samples_per_V=10)
        G = FilamentFEM(device).simulate(wave + Waveform.hold(0.0, 1e5, samples=9, first_s=1e-3)).conductance
        kept[limit] = float(G[-1] / G.sel(time=wave.duration_s))
    assert 0.5 < kept[1e-3] < 2.0
    assert kept[1e-6] < 0.1


@pytest.mark.slow
def test_sets_and_resets_at_one_milliampere(device):
    """J-DRIFT-01 to 03: set below 1 V, 0.1-3.5 mS on, at least 1e3 on/off at 0.1 V, reset before -7 V."""
    wave = Waveform.triangle(peaks_V=[5.0, -7.0], rate_V_s=1.0, compliance_A=[1e-3, np.inf], samples_per_V=10)
    loop = FilamentFEM(device).simulate(wave)
    up = loop.sel(time=slice(0.0, 5.0))
    assert float(up.voltage[int(np.argmax(up.current.values > 1e-4))]) < 1.0
    assert float(up.current.max()) == pytest.approx(1e-3, rel=1e-9)
    on = float(loop.conductance.sel(time=9.9, method="nearest"))
    assert 1e-4 < on < 3.5e-3
    off = float(loop.conductance.sel(time=17.0, method="nearest"))
    assert on / off >= 1e3
    # power that the film takes is what the circuit gives: I V less the series resistance
    power = loop.current * loop.film_voltage
    np.testing.assert_allclose(
        power,
        loop.current * loop.device_voltage - device.value("series_resistance_ohm") * loop.current**2,
        rtol=1e-6,
        atol=1e-15,
    )
    assert float(loop.temperature_max.max()) < 1235.0


def test_harder_dissolution_keeps_longer(device):
    """A thin stub loses its atoms later with a higher dissolution barrier; by the Boltzmann factor of 0.05 eV."""
    lives = []
    for extra in (0.0, 0.05):
        col = FilamentFEM(
            device.with_parameters(dissolution_barrier_eV=device.value("dissolution_barrier_eV") + extra)
        ).column()
        metal = np.zeros(col.mesh.size)
        metal[15 * col.mesh.shape[1]] = 0.3
        from halidrift.fem.filament import _State

        psi, warming, conductance, connected, heat = col.fields(metal, 0.0, np.zeros((2, col.mesh.size)))
        state = _State(metal, 0 * metal, psi, warming, conductance, 0.0, connected, heat)
        time, step = 0.0, 1e-8
        while state.metal.max() > 0.15:
            done = col.advance(state, 0.0, np.full(col.mesh.size, 300.0), step)
            assert done is not None
            state, time = state._replace(metal=done[0], ions=done[1]), time + step
            step = min(1.2 * step, time / 20)
        lives.append(time)
    assert lives[1] > 1.5 * lives[0]


def test_same_run_twice(device):
    wave = Waveform.pulses(1.0, 1e-3, 2e-3, 1, compliance_A=1e-6, samples_per_period=4)
    first, second = (FilamentFEM(device).simulate(wave, rng=i) for i in (1, 2))
    np.testing.assert_array_equal(first.conductance, second.conductance)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("temperature_K", -1.0),
        ("temperature_K", float("nan")),
        ("largest_change", 0.9),
        ("largest_voltage_step_V", 0.0),
    ],
)
def test_bad_arguments(device, argument, value):
    with pytest.raises(InputError, match=argument):
        FilamentFEM(device, **{argument: value})


def test_device_without_a_filament():
    with pytest.raises(InputError, match="card is for another model"):
        FilamentFEM(Device.load("kim2019-n3"))
    with pytest.raises(InputError, match="a card such as john2022-ogb"):
        FilamentFEM(Device.load("kim2019-n3"))
