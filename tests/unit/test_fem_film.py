"""`IonFilm`: signs, compliance, complaints. Whether its equations are solved right is in verification/test_pnp.py."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from halidrift.fem import IonFilm, integration
from halidrift.physics import trace
from halidrift.physics.device import Device
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError
from halidrift.physics.waveform import Waveform

EDGE_S = 1e-6


def plain(n: str = "3") -> Device:
    """A film of Kim's without what its card fits to the retention: one mobile species, slow and sharply read."""
    card = Device.load(f"kim2019-n{n}").with_parameters(mobility_prefactor=3e-6, ideality_factor=3.0)
    own = {k: p for k, p in card.parameters.items() if not k.startswith("trap_") and k != "conduction_barrier_eV"}
    return replace(card, parameters=own)


@pytest.fixture(scope="module")
def device() -> Device:
    return plain()


def pulses(amplitude_V=-1.0, count=1, period_s=40e-3, width_s=20e-3):
    return Waveform.pulses(amplitude_V, width_s, period_s, count, samples_per_period=4)


def weights(device, waveform):
    """Conductance over its value at rest, at the report times."""
    result = IonFilm(device).simulate(waveform)
    return result.time.values, result.conductance.values / result.conductance.values[0]


def test_the_trace_follows_the_schema_and_replays(device):
    stimulus = pulses()
    result = IonFilm(device, profiles=True).simulate(stimulus, rng=7)
    trace.check(result)
    assert np.array_equal(result.time, stimulus.times_s)
    assert trace.waveform_of(result) == stimulus
    assert json.loads(result.attrs["parameters"])["device"] == device.to_dict()
    assert result.density.shape == (result.time.size, 100)
    assert result.position.attrs["units"] == "m"
    assert "Kim2019" in json.loads(result.attrs["sources"])


def test_the_currents_add_up_and_the_electrons_obey_the_conductance(device):
    result = IonFilm(device).simulate(pulses())
    total = result.electronic_current + result.ionic_current + result.displacement_current
    np.testing.assert_allclose(total, result.current, rtol=1e-12, atol=1e-24)
    np.testing.assert_allclose(
        result.conductance * result.device_voltage, result.electronic_current, rtol=1e-12, atol=1e-24
    )


def test_the_displacement_current_on_an_edge_is_that_of_the_geometric_capacitance(device):
    ion_film = IonFilm(device)
    result = ion_film.simulate(pulses(amplitude_V=0.5))
    assert result.displacement_current.values[1] == pytest.approx(ion_film.capacitance_F * 0.5 / EDGE_S, rel=1e-9)


def test_a_negative_pulse_potentiates_and_a_positive_one_depresses(device):
    for amplitude, sign in ((-1.0, 1), (1.0, -1)):
        _, weight = weights(device, pulses(amplitude))
        assert sign * (weight[-1] - 1.0) > 0.01


def test_a_negative_pulse_draws_the_vacancies_to_the_active_electrode(device):
    stimulus = pulses(-1.0)
    result = IonFilm(device, profiles=True).simulate(stimulus)
    end = result.sel(time=20e-3)
    assert end.density.values[0] > 1.5e24 > 0.5e24 > end.density.values[-1]
    assert end.ionic_current < 0  # positive ions move towards the active electrode: out of the film at its left


def test_no_voltage_changes_nothing(device):
    result = IonFilm(device).simulate(Waveform.hold(0.0, 0.1, samples=5))
    assert np.abs(result.current).max() == 0.0
    np.testing.assert_allclose(result.conductance, result.conductance[0], rtol=1e-13)


def test_the_conductance_decays_after_a_pulse(device):
    time, weight = weights(device, pulses(period_s=2.0))
    after = weight[time >= 20e-3 + EDGE_S]
    assert (np.diff(after) < 0).all()
    assert after[-1] < 1.0 + 0.02 * (after[0] - 1.0)


@pytest.mark.parametrize("n", ["1", "3", "inf"])
def test_paired_pulse_facilitation_falls_with_the_interval(n):
    """K-PPF-02: A2/A1 falls monotonically from 20 to 180 ms, and exceeds one."""
    index = []
    for interval in (20e-3, 60e-3, 100e-3, 180e-3):
        time, weight = weights(plain(n), pulses(count=2, period_s=20e-3 + interval))
        first, second = (np.interp(start + 20e-3 + EDGE_S, time, weight) - 1.0 for start in (0.0, 20e-3 + interval))
        index.append(second / first)
    assert (np.diff(index) < 0).all()
    assert index[-1] > 1.0


@pytest.mark.parametrize(
    "stimuli",
    [
        [pulses(count=count) for count in (1, 2, 5, 10, 20)],
        [pulses(amplitude) for amplitude in (-0.1, -0.5, -1.0, -1.8)],
        [pulses(width_s=width, period_s=0.25) for width in (20e-3, 50e-3, 100e-3, 200e-3)],
        [pulses(count=5, period_s=1.0 / rate) for rate in (2.8, 10.0, 25.0)],
    ],
    ids=["number", "voltage", "duration", "frequency"],
)
def test_a_stronger_stimulus_leaves_a_larger_weight(device, stimuli):
    """K-PLAST-01."""
    peaks = [weights(device, stimulus)[1].max() for stimulus in stimuli]
    assert (np.diff(peaks) > 0).all()


def test_a_lower_barrier_relaxes_faster():
    """Time after a pulse at which half of the added weight is left."""
    halves = []
    for n in ("1", "3", "inf"):
        stimulus = Waveform.pulses(-1.0, 20e-3, 3.0, samples_per_period=300)
        time, weight = weights(plain(n), stimulus)
        added = (weight - 1.0)[time >= 20e-3 + EDGE_S]
        halves.append(time[time >= 20e-3 + EDGE_S][np.argmax(added < 0.5 * added[0])])
    assert (np.diff(halves) < 0).all()


def test_the_source_never_delivers_more_than_its_limit(device):
    """The edge of a 1 V pulse asks for 28 uA of displacement current; the voltage lags instead."""
    limit = 1e-6
    stimulus = Waveform.pulses(-1.0, 20e-3, 40e-3, 2, read_V=-0.5, read_width_s=5e-3, compliance_A=limit)
    result = IonFilm(device).simulate(stimulus)
    assert np.abs(result.current).max() <= limit * (1 + 1e-6)
    assert np.abs(result.current).max() == pytest.approx(limit, rel=1e-6)
    edge = result.sel(time=EDGE_S)
    assert edge.voltage == -1.0
    assert -0.05 < edge.device_voltage < -0.03  # 1 uA into 28 pF for 1 us
    assert result.device_voltage.sel(time=20e-3).item() == pytest.approx(-1.0)


def test_a_limit_on_the_electrons_divides_the_voltage(device):
    """Held at a voltage whose steady current exceeds the limit, the device keeps I = Icc and V = Icc / G."""
    limit = 0.2e-9
    result = IonFilm(device).simulate(Waveform.hold(-2.0, 60.0, compliance_A=limit, samples=5))
    last = result.isel(time=-1)
    assert last.current.item() == pytest.approx(-limit, rel=1e-6)
    assert abs(last.device_voltage.item()) < 2.0
    assert last.device_voltage.item() == pytest.approx(-limit / last.conductance.item(), rel=1e-3)


def test_a_limited_source_charges_the_film_alike_however_often_it_reports(device):
    """RC charging at a constant current, ions at rest: V = I R (1 - exp(-t / RC)), to 1e-3 of I R."""
    still = device.with_parameters(mobility_prefactor=1e-12, electronic_conductivity_S_m=1e-4)
    film = IonFilm(still)
    conductance = still.value("electronic_conductivity_S_m") * still.area_m2 / still.film.thickness_m
    tau = film.capacitance_F / conductance
    for samples in (3, 200):
        step = Waveform(
            [0.0, 1e-9, 10 * tau],
            [0.0, 1.0, 1.0],
            compliance_A=0.5 * conductance,
            samples_s=np.linspace(1e-9, 10 * tau, samples),
        )
        trace = film.simulate(step)
        exact = 0.5 * (1.0 - np.exp(-trace.time.values / tau))
        assert np.abs(trace.device_voltage.values - exact).max() < 5e-4


def test_an_edge_within_one_instant_is_refused(device):
    with pytest.raises(InputError, match="one instant"):
        IonFilm(device).simulate(Waveform([0.0, 1.0, 1.0 + 5e-13, 2.0], [0.0, 0.0, 1.0, 1.0]))


def test_the_same_waveform_gives_the_same_numbers(device):
    first, second = (IonFilm(device).simulate(pulses(count=2)) for _ in range(2))
    assert first.identical(second)


def test_a_waveform_with_nearly_coincident_report_times_runs(device):
    stimulus = pulses().with_samples([20e-3, 20e-3 + 3e-18, 20e-3 + 1e-14])
    assert np.isfinite(IonFilm(device).simulate(stimulus).current).all()


def test_a_card_that_lacks_a_parameter_is_refused(device):
    bare = Device(
        device.name,
        "",
        device.layers,
        device.area,
        {name: p for name, p in device.parameters.items() if name != "ion_density_1_m3"},
    )
    with pytest.raises(InputError, match=r"lacks a parameter of IonFilm.*n3 without the parameters ion_density_1_m3"):
        IonFilm(bare)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cells", -100),
        ("cells", 11),
        ("cells", 99.5),
        ("wall_m", 0.0),
        ("temperature_K", -300.0),
        ("temperature_K", float("nan")),
        ("tolerance", 0.0),
        ("longest_step_s", -1.0),
        ("sweeps", 1),
        ("sweeps", float("nan")),
        ("cells", float("nan")),
    ],
)
def test_a_number_out_of_range_is_named(device, name, value):
    with pytest.raises(InputError, match=name):
        IonFilm(device, **{name: value})


def test_a_mesh_that_would_grow_too_steeply_is_refused(device):
    with pytest.raises(InputError, match="factor of two from cell to cell"):
        IonFilm(device, cells=10, wall_m=1e-10)


@pytest.mark.parametrize(("cells", "wall_m"), [(100, 0.4e-9), (4000, 1e-12), (50, 1e-8)])
def test_the_mesh_fills_the_film_and_is_symmetric(device, cells, wall_m):
    volume = IonFilm(device, cells=cells, wall_m=wall_m).equations().volume
    assert volume.size == cells
    assert volume.sum() == pytest.approx(300e-9, rel=1e-12)
    np.testing.assert_allclose(volume, volume[::-1], rtol=1e-6)
    assert volume[0] == pytest.approx(min(wall_m, 300e-9 / cells), rel=1e-6)


def test_more_ions_than_sites_is_refused(device):
    with pytest.raises(ValidityError, match="more ions than sites"):
        IonFilm(device.with_parameters(ion_density_1_m3=1e28, site_density_1_m3=1e27))


def test_a_field_beyond_linear_drift_is_refused(device):
    with pytest.raises(ValidityError, match="too high"):
        IonFilm(device).simulate(Waveform.hold(100.0, 1e-3))


def test_a_newton_iteration_that_fails_says_when_and_how_far(device, monkeypatch):
    monkeypatch.setattr(integration, "CONVERGED", 0.0)
    with pytest.raises(ConvergenceError, match=r"beyond t = 0 s.*did not converge, with a last update of"):
        IonFilm(device, sweeps=3).simulate(pulses())


def test_a_crawl_ends(device, monkeypatch):
    monkeypatch.setattr(integration, "_STEP_BUDGET", 1)
    with pytest.raises(ConvergenceError, match="time error"):
        IonFilm(device, tolerance=1e-8).simulate(pulses())


def test_importing_the_package_does_not_load_fipy():
    code = "import sys, halidrift.fem; assert 'fipy' not in sys.modules; assert 'IonFilm' in dir(halidrift.fem)"
    subprocess.run([sys.executable, "-c", code], check=True)


def with_more(device, **values):
    """The card with further parameters."""
    more = {name: replace(device["mobility_prefactor"], name=name, value=value) for name, value in values.items()}
    return replace(device, parameters=dict(device.parameters) | more)


SLOW = {
    "trap_slowest_rate_Hz": 0.01,
    "trap_fastest_rate_Hz": 100.0,
    "trap_capture_ratio": 3.0,
    "trap_exponent": 0.5,
}


def test_slow_ions_start_at_rest_and_keep_what_a_pulse_has_left(device):
    slow = with_more(device, **SLOW)
    release, capture = IonFilm(slow).slow_rates_Hz()
    assert float(np.sum(capture / release)) == pytest.approx(3.0, rel=1e-12)
    np.testing.assert_allclose(np.diff(np.log(capture)) / np.diff(np.log(release)), 0.5)
    still = IonFilm(slow).simulate(Waveform.hold(0.0, 10.0, samples=5))
    np.testing.assert_allclose(still.conductance, still.conductance[0], rtol=1e-12)
    left = []
    for card in (device, slow):
        _, weight = weights(card, pulses(count=10, period_s=40e-3) + Waveform.hold(0.0, 3.0, samples=30))
        left.append((weight[-1] - 1.0) / (weight.max() - 1.0))
    assert left[1] > 10 * abs(left[0])


def test_traps_that_are_few_hold_less(device):
    film = IonFilm(with_more(device, **SLOW, trap_density_1_m3=1e24))
    state = film.rest(film.equations())
    assert 0.0 < state.t.sum(axis=0).max() < 1.0  # of the mobile density, and of the places there are


@pytest.mark.parametrize("missing", SLOW)
def test_half_a_slow_population_is_refused(device, missing):
    with pytest.raises(InputError, match=missing):
        IonFilm(with_more(device, **{name: value for name, value in SLOW.items() if name != missing}))


def test_a_slowest_rate_above_the_fastest_is_refused(device):
    with pytest.raises(InputError, match="trap_slowest_rate_Hz must be below"):
        IonFilm(with_more(device, **SLOW | {"trap_slowest_rate_Hz": 1e3}))


def test_resistance_follows_arrhenius_if_the_card_says_so(device):
    """R = R0 exp(E/kT) from 280 to 340 K to 1e-9; without the number it is that of the card at any temperature."""
    kelvin = np.array([280.0, 300.0, 340.0])
    hold = Waveform.hold(0.0, 1e-3, samples=2)
    card = with_more(device, conduction_barrier_eV=0.138)
    for chosen, barrier in ((card, 0.138), (device, 0.0)):
        G = [IonFilm(chosen, temperature_K=T).simulate(hold).conductance[0].item() for T in kelvin]
        slope = np.polyfit(1.0 / (8.617333262e-5 * kelvin), -np.log(G), 1)[0]
        assert slope == pytest.approx(barrier, abs=1e-9)
    assert IonFilm(card).simulate(hold).conductance[0] == IonFilm(device).simulate(hold).conductance[0]


def test_a_transport_layer_takes_part_of_the_field(device):
    """A well-doped one is a metal to the film within 5 %; a poor one leaves less voltage for the ions."""
    found = []
    for holes in (None, 1e27, 1e23):
        more = {} if holes is None else {"transport_permittivity": 3.0, "transport_hole_density_1_m3": holes}
        found.append(IonFilm(with_more(device, **more)).simulate(pulses()).contact_potential.max().item())
    assert found[1] == pytest.approx(found[0], rel=0.05)
    assert found[2] < found[1]
