import pickle
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from halidrift import Device, Waveform, trace
from halidrift import kmc as package
from halidrift.kmc import FilamentKMC, VacancyKMC, competition, ensemble
from halidrift.kmc.competition import race, with_film
from halidrift.kmc.vacancies import HALIDE_POTENTIAL_V, halide_slab, reaction_energy
from halidrift.physics.database import Database
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError
from halidrift.physics.randomness import recall

CARD = Device.load("mapbi3-ag")
# 6.3 nm of film, 2.5 nm wide: 480 sites
SMALL = with_film(CARD, 6.33e-9).with_parameters(column_width_m=2.53e-9, leakage_S=1e-8)
CROWDED = SMALL.with_parameters(lattice_constant_m=0.9e-9, ion_density_1_m3=1e28)
PULSE = Waveform.triangle([1.5], 20.0, 1e-6, samples_per_V=20)


def test_the_card_holds_what_both_models_need():
    assert CARD.film.thickness_m == pytest.approx(90e-9)
    for model in (FilamentKMC(CARD), VacancyKMC(CARD)):
        assert {"Sun2018", "Yantara2026"} <= set(model.sources)
    assert {"Eames2015", "Walsh2015"} <= set(VacancyKMC(CARD).sources)


def test_numbers_of_the_vacancies_say_where_they_come_from():
    hop = CARD["vacancy_hop_barrier_eV"]
    assert hop.kind == "published"
    assert Database.load().get(hop.barrier).value_eV == hop.value == 0.58
    for name in ("vacancy_pair_energy_eV", "halide_transfer_barrier_eV", "vacancy_formation_energy_eV"):
        assert CARD[name].kind == "assumed"
    published = Database.load().get("yantara2026-mapbi3-v_i-dfe")
    assert CARD.value("vacancy_formation_energy_eV") == published.low_eV
    other = CARD.with_parameters(vacancy_hop_barrier_eV=0.3)
    assert other["vacancy_hop_barrier_eV"].barrier == ""
    # what the lattice gas hops over is that of the card, of a row or of the caller
    for card, barrier_eV in ((CARD, 0.58), (other, 0.3)):
        hop, _ = VacancyKMC(card)._gas.processes
        assert getattr(hop.barrier_eV, "value_eV", hop.barrier_eV) == barrier_eV


def test_the_electrode_decides_by_its_halide():
    # the order of the stabilities of AlI3, CuI, AgI, AuI; differences are those of the potentials
    energy = {metal: reaction_energy(metal, "I", 0.13) for metal in ("Al", "Cu", "Ag", "Au")}
    assert list(energy) == sorted(energy, key=energy.__getitem__)
    assert reaction_energy("Pb", "I", 0.13) == pytest.approx(0.13)
    table = HALIDE_POTENTIAL_V["I"]
    assert energy["Au"] - energy["Ag"] == pytest.approx(table["Au"] - table["Ag"])


def test_same_seed_same_trace_and_it_replays_from_its_attributes():
    cell = VacancyKMC(SMALL)
    rng = np.random.default_rng(9)
    rng.random(3)
    first = cell.simulate(PULSE, rng=rng)
    again = cell.simulate(trace.waveform_of(first), rng=recall(first.attrs["seed"]))
    xr.testing.assert_identical(first, again)
    assert not first.equals(cell.simulate(PULSE, rng=4))


def test_replicas_do_not_depend_on_who_runs_them():
    cell = VacancyKMC(SMALL)
    brief = Waveform.hold(0.3, 1e-3, samples=3, compliance_A=1e-6)
    one = ensemble.run(cell, brief, 2, rng=7, processes=1)
    two = ensemble.run(pickle.loads(pickle.dumps(cell)), brief, 2, rng=7, processes=2)
    xr.testing.assert_identical(one, two)
    assert one.vacancies.dims == ("replica", "time")


def test_compliance_and_ohm_hold_at_every_instant():
    run = VacancyKMC(SMALL).simulate(PULSE, rng=1)
    assert float(abs(run.current).max()) <= 1e-6 * (1 + 1e-12)
    np.testing.assert_allclose(run.current, run.device_voltage * run.conductance, rtol=1e-12, atol=1e-30)
    assert (run.voltage * run.conductance > 1.01e-6).any()


def test_it_sets_with_silver_positive_and_not_negative():
    cell = VacancyKMC(SMALL)
    up = cell.simulate(PULSE, rng=1)
    assert float(up.conductance.max()) > 100 * SMALL.value("leakage_S")
    down = cell.simulate(Waveform.triangle([-1.5], 20.0, 1e-6, samples_per_V=20), rng=1)
    assert float(down.conductance.max()) < 1.01 * SMALL.value("leakage_S")
    assert int(down.stored_halides.max()) <= 1


def test_aluminium_sets_and_only_the_reverse_voltage_resets():
    cell = VacancyKMC(SMALL.with_electrode("Al"))
    leak = SMALL.value("leakage_S")
    there = Waveform.triangle([1.0], 20.0, 1e-6, samples_per_V=20)
    kept = cell.simulate(there + Waveform.hold(0.0, 0.1, compliance_A=1e-6, samples=11), rng=2)
    erased = cell.simulate(there + Waveform.triangle([-1.0], 20.0, 1e-4, samples_per_V=20), rng=2)
    assert kept.conductance.sel(time=0.1, method="nearest") > 100 * leak
    assert kept.conductance[-1] > 100 * leak
    # gone at -1 V, and some of it back at 0 V, where a vacancy of Al costs next to nothing
    assert erased.conductance.sel(time=0.15, method="nearest") < 1.1 * leak
    assert float(erased.voltage.sel(time=0.15, method="nearest")) == pytest.approx(-1.0)
    assert erased.vacancies[-1] < 0.6 * kept.vacancies[-1]


def test_gold_makes_no_new_vacancy():
    gold, silver = (VacancyKMC(SMALL.with_electrode(metal)).simulate(PULSE, rng=3) for metal in ("Au", "Ag"))
    assert int(gold.stored_halides.max()) == 0
    assert np.unique(gold.vacancies).size == 1
    assert float(gold.conductance.max()) < 1.01 * SMALL.value("leakage_S")
    assert int(silver.stored_halides.max()) > 20


def test_more_reactive_electrodes_set_earlier():
    wave = Waveform(np.array([0, 0.06]), np.array([0, 1.2]), np.array(1e-6), np.linspace(0, 0.06, 61))
    mean = {
        metal: np.mean([VacancyKMC(SMALL.with_electrode(metal)).switching_time(wave, rng=s) for s in range(3)])
        for metal in ("Al", "Cu", "Ag")
    }
    assert mean["Al"] < mean["Cu"] < mean["Ag"]


def test_slowed_hops_move_less():
    rest = Waveform.hold(0.0, 0.02, samples=3)
    hops = [float(VacancyKMC(SMALL, fastest_hop_Hz=f).simulate(rest, rng=1).events[-1]) for f in (None, 1e9, 180.0)]
    assert hops[0] == hops[1] > 5 * hops[2] > 0


def test_switching_time_is_the_first_instant_at_the_compliance():
    cell = VacancyKMC(SMALL)
    run = cell.simulate(PULSE, rng=1)
    limited = np.abs(run.device_voltage) < np.abs(run.voltage) * (1 - 1e-9)
    assert cell.switching_time(PULSE, rng=1) == float(run.time[int(limited.values.argmax())])
    assert np.isnan(cell.switching_time(Waveform.hold(0.1, 1e-4, compliance_A=1e-6, samples=3), rng=1))


def test_a_race_reports_both_and_refuses_what_is_not_modelled():
    wave = Waveform(np.array([0, 0.08]), np.array([0, 1.6]), np.array(1e-6), np.linspace(0, 0.08, 81))
    result = race(SMALL, wave, thicknesses_m=[6.33e-9], electrodes=("Ag", "Al"), replicas=2, rng=1)
    assert result.switching_time.dims == ("mechanism", "electrode", "thickness", "replica")
    assert result.modelled.values.tolist() == [[1, 1], [0, 1]]
    assert "Al" in result.attrs["refused"]
    t = result.switching_time
    set_up = t.notnull().values
    assert set_up[1].all()
    np.testing.assert_allclose(result.switching_voltage.values[set_up], wave.voltage_at(t.values[set_up]))
    names = np.array(result.attrs["winners"])[result.winner.values]
    assert set(names[1].ravel()) == {"vacancies"}
    late = t.fillna(np.inf)
    assert ((late.sel(mechanism="metal") < late.sel(mechanism="vacancies")).values == (names == "metal")).all()
    again = race(SMALL, wave, thicknesses_m=[6.33e-9], electrodes=("Ag", "Al"), replicas=2, rng=1)
    xr.testing.assert_identical(result, again)


def test_a_thicker_film_leaks_less():
    thick = with_film(CARD, 360e-9)
    assert thick.value("leakage_S") == pytest.approx(CARD.value("leakage_S") / 4)
    assert with_film(CARD, CARD.film.thickness_m) is CARD


def test_the_package_names_them_lazily():
    assert package.VacancyKMC is VacancyKMC
    assert package.competition is competition
    assert {"FilamentKMC", "VacancyKMC", "competition", "ensemble"} <= set(package.__dir__())
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: VacancyKMC("mapbi3-ag"), "Device"),
        (lambda: VacancyKMC(CARD, temperature_K=-1.0), "temperature_K"),
        (lambda: VacancyKMC(CARD, fastest_hop_Hz=0.0), "fastest_hop_Hz"),
        (lambda: VacancyKMC(CARD, moves_per_look=True), "moves_per_look"),
        (lambda: VacancyKMC(Device.load("kim2019-n3")), "another model"),
        (lambda: VacancyKMC(CARD.with_parameters(anode_share=0.9)), r"anode_share \+ cathode_share = 1.5"),
        (lambda: VacancyKMC(CARD.with_parameters(reverse_anode_share=0.9)), r"reverse_cathode_share = 1.7"),
        (lambda: VacancyKMC(CARD.with_electrode("Ni")).simulate(PULSE), "Ni"),
        (lambda: VacancyKMC(SMALL).simulate([1.0]), "Waveform"),
        (lambda: VacancyKMC(SMALL).simulate(PULSE, rng="7"), "rng"),
        (lambda: VacancyKMC(SMALL).switching_time(Waveform.hold(0.1, 1.0)), "compliance"),
        (lambda: VacancyKMC(CROWDED).simulate(PULSE), "More vacancies"),
        (lambda: CARD.with_parameters(vacancy_hop_barrier_eV=-0.3), "bounds"),
        (lambda: with_film(CARD, -1.0), "thickness"),
        (lambda: halide_slab(0.6e-9, 1), "cells"),
        (lambda: race(SMALL, Waveform.hold(0.1, 1.0), thicknesses_m=[1e-8]), "compliance"),
        (lambda: race(SMALL, PULSE, thicknesses_m=[]), "thickness"),
        (lambda: race(SMALL, PULSE, thicknesses_m=[1e-8], replicas=0), "replicas"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_other_films_have_no_numbers():
    with pytest.raises(InputError, match="ion_density_1_m3"):
        VacancyKMC(Device.load("john2022-ogb"))
    bromide = replace(CARD, layers=tuple(replace(x, material="CsPbBr3") for x in CARD.layers))
    with pytest.raises(InputError, match="CsPbBr3"):
        VacancyKMC(bromide)
    some = dict(CARD.parameters)
    del some["vacancy_pair_energy_eV"]
    with pytest.raises(InputError, match=r"lacks.*vacancy_pair_energy_eV"):
        VacancyKMC(replace(CARD, parameters=some))


def test_too_much_raises():
    with pytest.raises(ConvergenceError, match="events"):
        VacancyKMC(SMALL, most_events=10).simulate(PULSE, rng=1)
    with pytest.raises(ValidityError, match="gone"):
        VacancyKMC(SMALL, temperature_K=1000.0)
    with pytest.raises(ValidityError, match="melts"):
        # 2 V on 1 mS: 4 mW times 3e5 K/W
        VacancyKMC(SMALL.with_parameters(leakage_S=1e-3)).simulate(Waveform.hold(2.0, 1e-3), rng=2)
