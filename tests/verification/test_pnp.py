"""Are the ion film's equations solved right? Exact double layer and charging time, conservation, measured orders.

Every tolerance below was stated before the first run.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

from halidrift.fem import IonFilm, _march
from halidrift.fem.equations import Carrier, Equations, graded_widths, line_mesh
from halidrift.fem.integration import control, play
from halidrift.fem.reference import bernoulli, bernoulli_slope
from halidrift.physics.device import Device
from halidrift.physics.waveform import Waveform

LENGTH = 300e-9
LAMBDA = 5e-9
D = 1e-14


def equations(cells=100, wall=0.4e-9, debye=LAMBDA, filling=0.0):
    mesh = line_mesh(graded_widths(LENGTH, cells, wall))
    return Equations(mesh, [Carrier(1.0, D, filling=filling)], screening_1_m2=debye**-2, fixed=-1.0)


def equilibrium(system, wall):
    """A few stages far longer than any ionic time."""
    state = system.rest(wall=wall)
    for tau in (1e-3, 1e-1, 1e1, 1e4, 1e8):
        state = system.solve(state, state, tau, wall=wall)
    return state


def wall_fields(system, state):
    """Scaled fields at the two walls by Gauss' law from the field-free middle: kT/q over the Debye length."""
    half = system.cells // 2
    charge = system.volume * (state.p[0] - 1.0) / LAMBDA
    return charge[:half].sum(), -charge[half:].sum()


def double_layer(u, filling):
    """(lambda E)^2 of one mobile ion on a fixed background at a wall that lies u kT/q above the bulk."""
    if not filling:
        return 2.0 * (np.exp(-u) - 1.0 + u)
    return 2.0 * (u - (u - np.log(filling + (1.0 - filling) * np.exp(u))) / filling)


def test_bernoulli_is_smooth_where_the_series_ends():
    for x in (1e-2, -1e-2):
        outside, inside = (np.array([x * (1 + s)]) for s in (1e-9, -1e-9))
        np.testing.assert_allclose(bernoulli(outside), bernoulli(inside), rtol=1e-10)
        np.testing.assert_allclose(bernoulli_slope(outside), bernoulli_slope(inside), rtol=1e-10)
    x = np.array([-600.0, -20.0, 3.0, 600.0])
    np.testing.assert_allclose(
        bernoulli_slope(x[1:3]), (bernoulli(x + 1e-6) - bernoulli(x - 1e-6))[1:3] / 2e-6, rtol=1e-7
    )
    assert bernoulli(x)[-1] == pytest.approx(0.0, abs=1e-200)


@pytest.mark.parametrize("filling", [0.0, 0.02])
@pytest.mark.parametrize("wall", [-8.0, 20.0, -40.0])
def test_double_layer_of_one_mobile_ion(wall, filling):
    """E^2 = (2 q N0 Vt / eps)(e^-u - 1 + u) and its steric form, at both walls, within 1 %; |E| equal to 1e-9.

    Run with wall cells of 0.1 nm. On the default mesh (0.4 nm) the first run missed the 1 %: 4.5 % at the
    accumulating wall of 1 V, which is 1 mV of its potential; the next test measures how that vanishes.
    """
    system = equations(cells=200, wall=0.1e-9, filling=filling)
    state = equilibrium(system, wall)
    bulk = 0.5 * (state.phi[system.cells // 2 - 1] + state.phi[system.cells // 2])
    left, right = wall_fields(system, state)
    assert left == pytest.approx(right, rel=1e-9)
    for u in (wall - bulk, -bulk):
        assert left**2 == pytest.approx(double_layer(u, filling), rel=0.01)


def test_the_double_layer_converges_with_the_wall_cells():
    """The defect of E^2 at the accumulating wall of 1 V vanishes with order 2 in the cell width, 1.8 to 2.2."""
    defects = []
    for cells, wall in ((200, 0.4e-9), (400, 0.2e-9), (800, 0.1e-9)):  # each cell halved, the grading kept
        system = equations(cells=cells, wall=wall)
        state = equilibrium(system, -40.0)
        bulk = 0.5 * (state.phi[cells // 2 - 1] + state.phi[cells // 2])
        defects.append(wall_fields(system, state)[0] ** 2 / double_layer(-40.0 - bulk, 0.0) - 1.0)
    for coarse, fine in itertools.pairwise(defects):
        assert 1.8 < np.log2(coarse / fine) < 2.2


@pytest.mark.parametrize("filling", [0.0, 0.02])
def test_equilibrium_has_a_flat_electrochemical_potential(filling):
    """ln p + Phi is constant to 1e-8 where exponential fluxes are exact, and no site is overfilled."""
    system = equations(filling=filling)
    state = equilibrium(system, -40.0)
    level = np.log(state.p[0]) + state.phi - np.log1p(-filling * state.p[0])
    assert np.ptp(level) < 1e-8
    assert state.p.max() * filling < 1.0
    assert state.p.max() > 10.0


def charging_time(length, debye):
    """Slowest mode of the linear problem: -lambda^2 / (D s), with s the root nearest zero."""
    half = length / (2.0 * debye)

    def characteristic(s):
        k2 = 1.0 + s
        k = np.sqrt(k2)
        return k * np.cosh(k * half) * (1.0 - 1.0 / k2) + np.sinh(k * half) / (k2 * half)

    root = brentq(characteristic, -0.9, -1e-9, xtol=1e-14)
    return -(debye**2) / (D * root)


@pytest.mark.parametrize("debye", [5e-9, 30e-9])
def test_charging_time_of_a_small_step(debye):
    """The decay of the ionic current after a 1e-3 kT/q step follows the exact slowest mode within 0.2 %."""
    system = equations(cells=200, wall=0.4e-9, debye=debye)
    tau = charging_time(LENGTH, debye)
    state, step, gamma, work = system.rest(), tau / 200, 1 - np.sqrt(0.5), system.work()
    slope = []
    for i in range(800):  # the integrator of the film at a fixed step
        first = system.solve(state, state, gamma * step, wall=1e-3, work=work)
        old = first._replace(p=state.p + (1 - gamma) / gamma * (first.p - state.p))
        state = system.solve(first, old, gamma * step, wall=1e-3, work=work)
        if i in (399, 799):
            slope.append(system.dipole @ system.rate(state)[0])
    assert 400 * step / np.log(slope[0] / slope[1]) == pytest.approx(tau, rel=0.002)


def test_gauss_law_makes_the_ionic_current_exact():
    """The field at the blocking wall is that of the voltage plus the ions' dipole, to 1e-10: the Ramo-Shockley sum."""
    system = equations()
    state = system.solve(system.rest(), system.rest(), 2e-3, wall=-30.0)
    field = (state.wall - state.phi[0]) / system.distance[0] * system.length
    assert field == pytest.approx(state.wall + system.dipole @ system.charge(state), rel=1e-10)


def test_ions_are_conserved():
    """To 1e-10 over a train of pulses of both signs, current-limited edges included."""
    train = Waveform.pulses(-1.5, 20e-3, 40e-3, 5, compliance_A=1e-6) + Waveform.pulses(1.5, 20e-3, 40e-3, 5)
    result = IonFilm(Device.load("kim2019-n3")).simulate(train)
    assert np.abs(result.ion_excess).max() < 1e-10


def order(values):
    """Measured order from three results at successively halved steps."""
    return np.log2(abs((values[0] - values[1]) / (values[1] - values[2])))


def test_order_in_time():
    """Fixed steps of the film's integrator on a smooth ramp: order 2, accepted from 1.8 to 2.2."""
    film = IonFilm(Device.load("kim2019-n3"))
    ends = []
    for steps in (20, 40, 80, 160):
        times = np.linspace(0.0, 0.2, steps + 1)
        system = film.equations()
        load, sources = film.load(system), -times / 0.2 / film.thermal_voltage_V
        frames = system.frames(system.rest(), load)
        record = play(system, frames, times, sources, control(adaptive=False), load=load)
        ends.append(record.rows[-1, _march.CONTACT])
    assert 1.8 < order(ends[1:]) < 2.2


def test_order_in_space():
    """Uniform meshes that resolve the double layer: order 2 in the cell width, accepted from 1.8 to 2.2."""
    ends = []
    for cells in (40, 80, 160, 320):
        system = equations(cells=cells, wall=LENGTH, debye=30e-9)
        state = system.rest()
        for _ in range(5):
            state = system.solve(state, state, 0.05, wall=-5.0)
        ends.append(system.dipole @ system.charge(state))
    assert 1.8 < order(ends[1:]) < 2.2


def test_the_default_mesh_and_tolerance_are_fine_enough():
    """The weight after a pulse moves by less than 0.5 % on a mesh twice as fine and a tolerance 1000 times tighter."""
    device, pulse = Device.load("kim2019-n3"), Waveform.pulses(-1.0, 20e-3, 0.2, samples_per_period=10)
    usual = IonFilm(device).simulate(pulse).conductance
    finer = IonFilm(device, cells=200, wall_m=0.2e-9, tolerance=1e-6).simulate(pulse).conductance
    np.testing.assert_allclose(usual, finer, rtol=5e-3)


def test_a_limited_source_delivers_the_charge_that_the_voltage_needs():
    """Under a limit of 1 uA the edge of a pulse takes C V / I = 27.7 us within 1 %, ions and electrons at rest."""
    film = IonFilm(Device.load("kim2019-n3").with_parameters(mobility_prefactor=3e-6))  # ions slower than the edge
    expected = film.capacitance_F * 1.0 / 1e-6
    samples = np.linspace(0.9, 1.1, 81) * expected
    pulse = Waveform.pulses(-1.0, 20e-3, 40e-3, compliance_A=1e-6).with_samples(samples)
    result = film.simulate(pulse)
    reached = result.time.values[np.argmax(result.device_voltage.values <= -1.0 + 1e-6)]
    assert reached == pytest.approx(expected, rel=0.01)
