"""ElectroThermal: what a user sees of it."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import json

import numpy as np
import pytest

from halidrift import Waveform
from halidrift.fem import Conduction, ElectroThermal, Heat, Ions, block, cylinder, plug, slab
from halidrift.fem.coupled import Equations
from halidrift.physics import trace
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError
from halidrift.pipeline.figures import continuum, png


def filament(grid, *, ions=None, heat=None, **changes):
    """A vacancy filament across the film that 0.6 V can move in a millisecond."""
    law = {"density_1_m3": plug(grid, 1.2e27, 1e25, 4e-9, 20e-9), "heat_of_transport_eV": -0.6} | (ions or {})
    return ElectroThermal(
        grid,
        Ions(0.6, 1e12, 0.5e-9, **law),
        Conduction(1e2, 1e5, 1e27, activation_eV=0.05),
        Heat(0.5, 5.0, **(heat or {})),
        series_resistance_ohm=2e3,
        **changes,
    )


LOOP = Waveform.triangle([-0.6], 1e3, samples_per_V=10) + Waveform.triangle([0.6], 1e3, 1e-5, samples_per_V=10)


@pytest.fixture(scope="module")
def loop():
    return filament(cylinder(8e-9, 20e-9, 6, 14), profiles=True).simulate(LOOP)


def test_trace_follows_the_schema(loop):
    trace.check(loop)
    assert loop.attrs["model"] == "ElectroThermal"
    assert loop.density.dims == loop.potential.dims == loop.temperature.dims == ("time", "z", "r")
    assert loop.density.attrs["units"] == "1/m3"
    assert loop.z.attrs["units"] == "m"
    parameters = json.loads(loop.attrs["parameters"])
    assert parameters["grid"] == {
        "kind": "cylinder",
        "radius_m": 8e-9,
        "height_m": 20e-9,
        "radial_cells": 6,
        "axial_cells": 14,
    }
    assert parameters["ions"]["barrier_eV"] == 0.6
    assert parameters["heat"]["top_W_m2K"] == "inf"
    assert np.size(parameters["ions"]["density_1_m3"]) == 84


@pytest.mark.parametrize(
    ("grid", "dims"),
    [(slab(12e-9, 20e-9, 5e-9, 6, 10), ("z", "x")), (block(8e-9, 8e-9, 20e-9, 4, 5, 8), ("z", "y", "x"))],
)
def test_fields_lie_on_the_grid(grid, dims):
    run = filament(grid).simulate(Waveform.hold(-0.3, 1e-5, samples=2))
    assert run.temperature.dims == dims
    assert run.temperature.shape == grid.shape
    np.testing.assert_allclose(run.z, np.unique(grid.z_m), rtol=1e-6)
    # hottest inside, coolest at the contacts
    assert float(run.temperature.max()) == pytest.approx(float(run.temperature_max[-1]))


def test_resets_and_sets(loop):
    """Negative on the active electrode opens the filament (positive ions leave the counter electrode), heat helps."""
    G = loop.conductance
    before, off = float(G[0]), float(G.sel(time=LOOP.time_s[2], method="nearest"))
    assert off < 0.8 * before
    hottest = float(loop.temperature_max.max())
    assert 350.0 < hottest < 2000.0
    # under positive voltage ions come back
    assert float(G[-1]) > 1.05 * off
    assert float(abs(loop.current).sel(time=slice(LOOP.time_s[2] + 1e-9, None)).max()) <= 1e-5 * (1 + 1e-9)


def test_smaller_tolerance_changes_little():
    """The error control holds what it promises: a tenth of the tolerance changes G by less than the tolerance."""
    G = []
    for tolerance in (5e-3, 5e-4):
        model = filament(cylinder(8e-9, 20e-9, 6, 14), tolerance=tolerance)
        G.append(float(model.simulate(Waveform.triangle([-0.6], 1e3, samples_per_V=2)).conductance[-1]))
    assert G[0] == pytest.approx(G[1], rel=5e-3)


def test_orders_agree():
    G = []
    for order in (1, 2):
        model = filament(cylinder(8e-9, 20e-9, 6, 14), order=order, tolerance=1e-3)
        G.append(float(model.simulate(Waveform.hold(-0.5, 2e-4, samples=2)).conductance[-1]))
    assert G[0] == pytest.approx(G[1], rel=1e-2)


def test_contact_that_holds_a_density():
    """An open contact fills the film to what it holds; the film without voltage ends uniform."""
    grid = slab(8e-9, 20e-9, 1e-9, 2, 10)
    model = ElectroThermal(
        grid, Ions(0.4, 1e12, 0.5e-9, 0.0, top_density_1_m3=1e25), Conduction(1.0, 1.0, 1e27), Heat(0.5)
    )
    run = model.simulate(Waveform.hold(0.0, 1e-1, samples=2))
    np.testing.assert_allclose(run.density, 1e25, rtol=1e-3)


def test_site_limit_holds():
    """Ions pile up at the counter electrode to one for each site, not beyond."""
    grid = slab(4e-9, 20e-9, 1e-9, 2, 20)
    model = ElectroThermal(
        grid, Ions(0.4, 1e12, 0.5e-9, 1e27, site_density_1_m3=3e27), Conduction(1.0, 1.0, 1e27), Heat(0.5)
    )
    run = model.simulate(Waveform.hold(1.0, 1e-3, samples=2))
    assert 2.9e27 < float(run.density.max()) <= 3e27 * (1 + 1e-9)
    assert float(run.density.min()) > -1e20


def test_says_where_it_melts():
    with pytest.raises(ValidityError, match="too hot"):
        filament(cylinder(8e-9, 20e-9, 6, 10), highest_K=320.0).simulate(Waveform.hold(-0.5, 1e-4, samples=2))


def test_says_when_the_field_takes_the_barrier():
    with pytest.raises(ValidityError, match="lowers the hop barrier"):
        filament(slab(8e-9, 4e-9, 1e-9, 3, 10), ions={"density_1_m3": 1e25}, heat={"side_W_m2K": np.inf}).simulate(
            Waveform.hold(12.0, 1e-12, samples=2)
        )


def test_lost_heat_is_an_error(monkeypatch):
    """The balance is checked, not assumed."""
    model = filament(cylinder(8e-9, 20e-9, 4, 8))
    true = Equations.current

    def leaky(self, *args):
        fields = true(self, *args)
        return fields._replace(heat=fields.heat * (1 + 1e-6))

    monkeypatch.setattr(Equations, "current", leaky)
    with pytest.raises(ConvergenceError, match="Joule heat is not current times voltage"):
        model.simulate(Waveform.hold(-0.1, 1e-6, samples=2))


def test_lost_ions_are_an_error(monkeypatch):
    model = filament(cylinder(8e-9, 20e-9, 4, 8))
    true = Equations.transport
    monkeypatch.setattr(Equations, "transport", lambda self, *a, **k: true(self, *a, **k) * (1 - 1e-8))
    with pytest.raises(ConvergenceError, match="Ions are lost"):
        model.simulate(Waveform.hold(-0.1, 1e-6, samples=2))


GRID = slab(8e-9, 20e-9, 1e-9, 3, 5)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Ions(0.0, 1e12, 0.5e-9, 1e25), "barrier_eV"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, -1.0), "density_1_m3"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, np.array([1e25, np.nan])), "density_1_m3"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, 1e25, charge=0), "charge"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, 1e25, charge=np.nan), "charge"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, 1e25, soret_1_K=np.inf), "soret_1_K"),
        (lambda: Ions(0.5, 1e12, 0.5e-9, 1e25, site_density_1_m3=1e24), "site density"),
        (lambda: Conduction(0.0, 1e5, 1e27), "film_S_m"),
        (lambda: Conduction(1.0, 1e5, 1e27, activation_eV=-0.1), "activation_eV"),
        (lambda: Heat(np.inf), "film_W_mK"),
        (lambda: Heat(0.5, side_W_m2K=-1.0), "side_W_m2K"),
        (lambda: Heat(0.5, capacity_J_m3K=0.0, bottom_W_m2K=0.0, top_W_m2K=0.0), "no way out"),
        (lambda: filament(GRID, tolerance=0.5), "tolerance"),
        (lambda: filament(GRID, order=3), "order"),
        (lambda: filament(GRID, sweeps=0), "sweeps"),
        (lambda: filament(GRID, temperature_K=np.nan), "temperature_K"),
        (lambda: filament(GRID, ions={"density_1_m3": np.full(3, 1e25)}), "fit the grid"),
        (lambda: slab(8e-9, 20e-9, 0.0, 3, 5), "depth_m"),
        (lambda: block(8e-9, 8e-9, 20e-9, 3, 1, 5), "number of cells"),
    ],
)
def test_bad_arguments(make, argument):
    with pytest.raises(InputError, match=argument):
        make()


@pytest.mark.parametrize("module", ["circuit", "electrothermal", "meshes"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.fem.{module}"))
    assert result.attempted
    assert not result.failed


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        filament(GRID).tolerance = 1.0


def test_pictures(loop):
    """Maps of every geometry; a dataset without fields, and a film without profiles, are errors that say so."""
    assert png(continuum.maps(loop, time_s=5e-4)).startswith(b"\x89PNG")
    for grid in (slab(12e-9, 20e-9, 5e-9, 6, 10), block(8e-9, 8e-9, 20e-9, 4, 5, 8)):
        run = filament(grid).simulate(Waveform.hold(-0.1, 1e-6, samples=2))
        assert len(continuum.maps(run).axes) == 6
    with pytest.raises(InputError, match="no map"):
        continuum.maps(loop.drop_vars(["density", "potential", "temperature"]))
    with pytest.raises(InputError, match="no profiles"):
        continuum.profiles(loop)
    both = {"KMC": loop, "FEM": loop}
    assert len(continuum.beside(both, {name: [loop, loop] for name in both}).axes) == 3
    with pytest.raises(InputError, match="Unknown model"):
        continuum.beside({"XYZ": loop}, {})


def test_a_film_without_ions_is_a_resistor():
    run = filament(GRID, ions={"density_1_m3": 0.0}).simulate(Waveform.hold(0.1, 1e-6, samples=2))
    assert (run.density == 0.0).all()
    assert 0.0 < run.conductance[-1] < 1e-3


def test_the_peak_temperature_is_that_of_all_steps(loop):
    few = filament(cylinder(8e-9, 20e-9, 6, 14)).simulate(
        Waveform.triangle([-0.6], 1e3) + Waveform.triangle([0.6], 1e3, 1e-5)
    )
    assert few.attrs["peak_temperature_K"] >= float(few.temperature_max.max())
    assert few.attrs["peak_temperature_K"] == pytest.approx(loop.attrs["peak_temperature_K"], abs=5.0)


@pytest.mark.parametrize("temperature_K", [77.0, 300.0])
def test_drift_follows_the_sinh_up_to_the_barrier(temperature_K):
    """2 a nu exp(-E/kT) sinh(w) to 1e-9, also where w is far beyond 50."""
    equations = filament(GRID, temperature_K=temperature_K).equations()
    distance, law, kT = 2.5e-9, equations.law_ions, BOLTZMANN_EV_K * temperature_K
    drop = np.linspace(0.1, 0.99, 7) * 2.0 * law.barrier_eV * distance / law.hop_length_m
    forth, back = equations.hops(drop, 0.0 * drop, 0.0 * drop, distance)
    exact = 2.0 * law.hop_length_m * law.attempt_frequency_Hz * np.exp(-law.barrier_eV / kT)
    np.testing.assert_allclose(forth - back, exact * np.sinh(0.5 * drop * law.hop_length_m / distance / kT), rtol=1e-9)
