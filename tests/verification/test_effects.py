"""What `EFFECTS` says of a parameter is what the models do, in sign; of the electronic conductivity in size too.

Ion film of kim2019-n3, ten spikes and ten seconds of forgetting; filament of john2022-ogb, median set voltage of four
devices on a ramp of 1 V/s (its step is 10 mV). The changes are large enough to tell from the spread of devices.
"""

import numpy as np
import pytest

from halidrift.compact import plasticity
from halidrift.fem import IonFilm
from halidrift.kmc import FilamentKMC
from halidrift.physics.device import Device
from halidrift.physics.protocols import Protocol

FILM, FILAMENT = Device.load("kim2019-n3"), Device.load("john2022-ogb")
SPIKES = Protocol.parse("retention count=10 watch=10s").waveform()
RAMP = Protocol.parse("triangle peaks=1.5V rate=1V/s compliance=1uA").waveform()


def played(**factors):
    """First response, S, that of the tenth over it, and what is left of the weight after 5 s."""
    card = FILM.with_parameters(**{name: FILM.value(name) * factor for name, factor in factors.items()})
    trace = IonFilm(card).simulate(SPIKES)
    after = plasticity.decay(trace)
    left = float(np.interp(5.0, np.asarray(after[0]), np.asarray(after[1])))
    return float(plasticity.responses(trace)[0]), float(plasticity.indices(trace)[-1]), left


@pytest.fixture(scope="module")
def film():
    return played()


@pytest.mark.parametrize(
    ("name", "factor", "sign"),
    [
        ("ion_density_1_m3", 2.0, -1),
        ("relative_permittivity", 1.5, 1),
        ("mobility_prefactor", 2.0, -1),
        ("attempt_frequency_Hz", 2.0, -1),
        ("hop_barrier_eV", 1.1, 1),
        ("trap_slowest_rate_Hz", 0.3, -1),
        ("trap_capture_ratio", 2.0, 1),
    ],
)
def test_forgetting_of_a_film(film, name, factor, sign):
    assert np.sign(played(**{name: factor})[2] / film[2] - 1.0) == sign


def test_the_conductivity_scales_every_current_and_no_weight(film):
    first, index, left = played(electronic_conductivity_S_m=2.0)
    assert first == pytest.approx(2.0 * film[0], rel=1e-9)
    assert (index, left) == pytest.approx(film[1:], rel=1e-9)


def test_the_ideality_factor_weakens_the_potentiation(film):
    first, _, _ = played(ideality_factor=1.5)
    rest = float(IonFilm(FILM).simulate(SPIKES)["conductance"][0])
    assert rest < first < film[0]


def set_voltage(**changes):
    """Median of four devices, V; 1.6 if one does not set up to 1.5 V."""
    card = FILAMENT.with_parameters(**{name: FILAMENT.value(name) + change for name, change in changes.items()})
    cell, found = FilamentKMC(card), []
    for seed in range(4):
        trace = cell.simulate(RAMP, rng=seed)
        high = trace["current"].values > 5e-7
        found.append(float(trace["voltage"][np.argmax(high)]) if high.any() else 1.6)
    return float(np.median(found))


@pytest.fixture(scope="module")
def filament():
    return set_voltage()


@pytest.mark.parametrize(
    ("name", "change", "sign"),
    [
        ("charge_transfer_barrier_eV", 0.15, 1),
        ("dissolution_barrier_eV", 0.03, 1),
        ("reduction_barrier_eV", 0.03, -1),
        ("matrix_penalty_eV", 0.05, 1),
        ("anode_share", 0.1, -1),
        ("hop_barrier_eV", 0.05, 1),
    ],
)
def test_set_voltage_of_a_filament(filament, name, change, sign):
    assert sign * (set_voltage(**{name: change}) - filament) > 0.02
