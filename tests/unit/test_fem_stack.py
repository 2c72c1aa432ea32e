"""`Stack` and its parts: complaints, signs, contract. Whether its equations are solved right is tested elsewhere."""

from __future__ import annotations

import doctest
import importlib
import json
import math

import numpy as np
import pytest

from halidrift.fem import Contact, Layer, Species, Stack, Traps
from halidrift.physics import trace
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import InputError
from halidrift.physics.waveform import Waveform

FILM = Layer(100e-9, 24.0, fixed_1_m3=-1e24, cells=40)
IONS = Species("V_Br", 1, 1e24, 1e-15)
INTRINSIC = Layer(100e-9, 10.0, cells=40)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Layer(0.0, 24.0), "thickness_m"),
        (lambda: Layer(1e-7, 0.5), "relative_permittivity"),
        (lambda: Layer(1e-7, math.nan), "relative_permittivity"),
        (lambda: Layer(1e-7, 2.0, fixed_1_m3=math.inf), "fixed_1_m3"),
        (lambda: Layer(1e-7, 2.0, held_by="top"), "held_by"),
        (lambda: Contact(-1.0), "density_1_m3"),
        (lambda: Contact(1.0, math.nan), "rate_m_s"),
        (lambda: Layer(1e-7, math.inf), "relative_permittivity"),
        (lambda: Layer(1e-7, 2.0, held_charge=0), "held_charge"),
        (lambda: Layer(1e-7, 2.0, held_charge=math.nan), "held_charge"),
        (lambda: Species("x", math.nan, 1.0, 1.0), "charge"),
        (lambda: Species("x", 1, 1e24, math.nan), "diffusivity_m2_s of x"),
        (lambda: Species("x", 1, 1e24, 1e-15, energy_eV=math.nan), "energy_eV of x"),
        (lambda: Stack((FILM,), (IONS,)).relax(math.nan), "voltage_V"),
        (lambda: Traps((1.0,), (math.inf,)), "capture_Hz"),
        (lambda: Traps((1.0,), ()), "capture rate for each release rate"),
        (lambda: Traps((0.0,), (1.0,)), "release_Hz"),
        (lambda: Species("x", 0, 1.0, 1.0), "charge"),
        (lambda: Species("x", 1, -1.0, 1.0), "density_1_m3"),
        (lambda: Stack((), (IONS,)), "needs a layer"),
        (lambda: Stack((FILM,), (IONS, IONS)), "one name"),
        (lambda: Stack((FILM,), (Species("x", 1, (1e24, 1e24), 1e-15),)), "one for each layer"),
        (lambda: Stack((FILM,), (IONS,), pair=("V_Br", "n")), "pair"),
        (lambda: Stack((FILM,), (IONS, Species("x", 1, 1e24, 1e-15)), pair=("V_Br", "x")), "neutral"),
        (lambda: Stack((Layer(1e-7, 2.0, generation_1_m3_s=1.0),), (IONS,)), "pair"),
        (lambda: Stack((FILM,), (IONS,), tolerance=1.0), "tolerance"),
        (lambda: Stack((FILM,), (IONS,), temperature_K=math.nan), "temperature_K"),
        (lambda: Stack((FILM,), (Species("x", 1, 0.0, 1e-15),)), "No species has a density"),
        (
            lambda: Stack((FILM,), (Species("x", 1, 1e24, 1e-15, site_density_1_m3=1e24, left=Contact.ohmic(2e24)),)),
            "more ions than there are sites",
        ),
    ],
)
def test_a_bad_number_is_named(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_the_trace_follows_the_schema_and_its_currents_add_up():
    result = Stack((FILM,), (IONS,), area_m2=1e-8, profiles=True).simulate(Waveform.triangle([0.5], 1.0))
    trace.check(result)
    total = result.displacement_current + result.species_current.sum("species")
    np.testing.assert_allclose(total, result.current, rtol=1e-12)
    assert json.loads(result.attrs["parameters"])["species"][0]["name"] == "V_Br"
    assert result.density.shape == (result.time.size, 1, 40)
    assert float(result.content.std("time").max() / result.content.mean()) < 1e-10


def test_ions_leave_the_positive_contact():
    rest = Stack((FILM,), (IONS,)).relax(0.3)
    assert rest.contact_density[0, 1] > 5e24 > 1e24 > rest.contact_density[0, 0]
    assert abs(float(rest.current_density[0])) < 1e-9


def test_held_ions_slow_the_return():
    """4 s after a pulse a level that releases in 5 s still shows, where the film without it has forgotten.

    The held ions keep their charge and the mobile ones screen it, so the mobile density passes below that at rest.
    """
    pulse = Waveform.pulses(0.5, 0.2, 4.0, samples_per_period=50)
    slow = Species("V_Br", 1, 1e24, 1e-15, traps=Traps((0.2,), (0.6,)))
    left = []
    for species, fixed in ((IONS, -1e24), (slow, -4e24)):
        stack = Stack((Layer(100e-9, 24.0, fixed_1_m3=fixed, cells=40),), (species,), profiles=True)
        density = stack.simulate(pulse).density.values[:, 0, -1]
        left.append(abs(density[-1] / density[0] - 1.0))
    assert left[1] > 100 * left[0]


def test_the_resistor_of_an_even_film_obeys_ohm():
    """Holes at the density of the acceptors throughout: G = q mu p A / L within 0.1 %, and I = G V."""
    holes = Species("p", 1, 1e22, 1e-6, left=Contact.ohmic(1e22), right=Contact.ohmic(1e22))
    stack = Stack((Layer(1e-6, 10.0, fixed_1_m3=-1e22, cells=40),), (holes,), area_m2=1e-8, wall_m=1e-8)
    expected = 1.602176634e-19 * 1e-6 / stack.thermal_voltage_V * 1e22 * 1e-8 / 1e-6
    result = stack.simulate(Waveform.hold(0.1, 1e-6, samples=3), settled=True)
    assert result.conductance[-1] == pytest.approx(expected, rel=1e-3)
    assert result.current[-1] == pytest.approx(0.1 * expected, rel=1e-3)


def test_a_schottky_contact_limits_the_current():
    """Emission over a barrier saturates at q N v exp(-phi/kT): reverse current within 1 % of it."""
    ohmic, barrier = Contact.ohmic(1e22), Contact.schottky(0.45, 1e25, 0.1, 300.0)
    holes = Species("p", 1, 1e22, 1e-5, left=barrier, right=ohmic)
    built_in = BOLTZMANN_EV_K * 300.0 * math.log(1e22 / barrier.density_1_m3)
    stack = Stack((Layer(1e-6, 10.0, fixed_1_m3=-1e22, cells=100),), (holes,), built_in_V=built_in)
    limit = 1.602176634e-19 * barrier.density_1_m3 * barrier.rate_m_s
    reverse, forward = (float(stack.relax(v).current_density[0]) for v in (0.3, -0.3))
    assert reverse == pytest.approx(limit, rel=0.01)
    assert -forward > 100 * reverse
    assert abs(float(stack.relax(0.0).current_density[0])) < 1e-6 * limit


def test_light_makes_a_photocurrent_and_recombination_takes_it():
    """Contacts that pass one carrier each collect every pair, q G L to 1e-6; fast recombination leaves under half."""
    n = Species("n", -1, 1e15, 1e-6, right=Contact.ohmic(1e22))
    p = Species("p", 1, 1e15, 1e-6, left=Contact.ohmic(1e22))
    full = 1.602176634e-19 * 1e24 * 100e-9
    found = []
    for rate in (0.0, 1e-8):
        layer = Layer(100e-9, 10.0, generation_1_m3_s=1e24, recombination_m3_s=rate, cells=40)
        built_in = -BOLTZMANN_EV_K * 300.0 * math.log(1e11)
        stack = Stack((layer,), (n, p), pair=("n", "p"), built_in_V=built_in)
        found.append(-float(stack.relax(-0.1).current_density.sum()) / full)
    assert found[0] == pytest.approx(1.0, rel=1e-6)
    assert found[1] < 0.5


def test_a_conducting_polymer_takes_part_of_the_voltage():
    """Holes of a layer that ions do not enter screen less than a metal would: fewer ions gather at the film's end."""
    found = []
    for held in (1e24, 1e27):
        polymer = Layer(50e-9, 3.0, fixed_1_m3=-held, held_1_m3=held, cells=40)
        ions = Species("V_Br", 1, (1e24, 0.0), (1e-15, 0.0))
        rest = Stack((FILM, polymer), (ions,), wall_m=0.1e-9).relax(0.4)
        found.append((rest.density.values[0, 39], rest.potential.values[39]))
        assert rest.density.values[0, 40:].max() == 0.0
    assert found[0][0] < 0.7 * found[1][0]
    assert found[0][1] > found[1][1]


@pytest.mark.parametrize("module", ["film", "reference", "stack"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.fem.{module}"))
    assert result.attempted
    assert not result.failed


def test_a_limited_source_drives_layers_and_contacts_at_its_limit():
    """Exchanging contact, traps and a conducting polymer behind a source of 0.1 A/m2: at its edge that, never more."""
    polymer = Layer(50e-9, 3.0, fixed_1_m3=-1e25, held_1_m3=1e25, cells=40)
    film = Layer(100e-9, 24.0, fixed_1_m3=-2e24, cells=40)
    ions = Species(
        "V_Br",
        1,
        (1e24, 0.0),
        (1e-15, 0.0),
        left=Contact(1e24, 1e-8),
        traps=Traps((5.0,), (5.0,)),
        energy_eV=(0.0, 0.1),
    )
    stack = Stack((film, polymer), (ions,))
    edge = Waveform([0.0, 1e-3, 1.0], [0.0, 0.5, 0.5], compliance_A=0.1).with_samples(np.geomspace(1e-4, 0.9, 60))
    result = stack.simulate(edge)
    assert np.abs(result.current).max() == pytest.approx(0.1, rel=1e-6)
    assert result.device_voltage[-1] == pytest.approx(0.5, abs=1e-9)
    assert (result.device_voltage < 0.49).sum() > 20
    assert result.attrs["rejected_steps"] < result.attrs["steps"]
    # what the source delivers at its limit is what the unlimited source delivers in all, once both are at rest
    charge = [
        float(np.trapezoid(trace.current, trace.time))
        for trace in (result, stack.simulate(edge.with_compliance(np.inf)))
    ]
    assert charge[0] == pytest.approx(charge[1], rel=0.05)


def test_fast_electrons_can_start():
    """They cross a cell at the wall in less time than the least step of ions."""
    ohmic = Contact.ohmic(1e22)
    stack = Stack((INTRINSIC,), (Species("n", -1, 1e21, 1e-3, left=ohmic, right=ohmic),))
    trace = stack.simulate(Waveform.hold(0.5, 1e-6, samples=3))
    assert float(trace.current[-1]) == pytest.approx(float(stack.relax(0.5).current_density.sum()), rel=1e-3)


def test_pictures_name_each_species():
    """Currents species by species; profiles of one, and of two a message that says how to choose."""
    from halidrift.pipeline.figures import continuum
    from halidrift.pipeline.figures.trace import overview

    film = Layer(100e-9, 24.0, fixed_1_m3=-2e24, cells=40)
    ions = tuple(Species(name, 1, 1e24, D) for name, D in (("V_Br", 1e-16), ("V_I", 1e-15)))
    run = Stack((film,), ions, area_m2=1e-8, profiles=True).simulate(Waveform.hold(-0.2, 0.1, samples=5))
    current = next(ax for ax in overview(run).axes if "current" in ax.get_ylabel())
    assert [line.get_label() for line in current.lines][-2:] == ["V_Br", "V_I"]
    with pytest.raises(InputError, match=r"several species.*sel\(species"):
        continuum.profiles(run)
    density = continuum.profiles(run.sel(species="V_I")).axes[0]
    np.testing.assert_array_equal(density.lines[-1].get_ydata(), run["density"].values[-1, 1])
