"""Several species, layers and contacts: does the compiled solver equal FiPy's terms, and both the exact solutions?

Every tolerance below was stated before the first run.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from halidrift.fem import _transport, reference
from halidrift.fem.equations import (
    Boundary,
    Carrier,
    Equations,
    Level,
    State,
    graded_widths,
    line_mesh,
)
from halidrift.fem.integration import control, play, relaxed
from halidrift.fem.reference import fipy_stage

GAMMA = 1 - np.sqrt(0.5)
D = 1e-14
LAMBDA = 5e-9
EXCHANGE = Boundary(1e7, 2.0)  # 0.1 um/s
FIXED = Boundary(0.0, 1.5)


def order(errors):
    return [np.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]


def second_order(system, state, step, sources):
    """One step of the integrator through :meth:`Equations.solve`; `sources` are the wall potentials of its stages."""
    first = system.solve(state, state, GAMMA * step, wall=sources[0])
    ahead = (1 - GAMMA) / GAMMA
    old = State(state.p + ahead * (first.p - state.p), state.t + ahead * (first.t - state.t), first.phi, first.wall)
    return system.solve(first, old, GAMMA * step, wall=sources[1])


# -- equal to the FiPy form ----------------------------------------------------------------------------------

UNIFORM = graded_widths(300e-9, 40, 1e-6)
GRADED = graded_widths(300e-9, 40, 1e-9)
LAYERED = np.concatenate([graded_widths(50e-9, 16, 1e-9), graded_widths(200e-9, 30, 1e-9)])
INSIDE = np.repeat([0.0, 1.0], [16, 30])
ONE = {"screening_1_m2": LAMBDA**-2, "fixed": -1.0}
TRAPS = {"release_Hz": (3.0, 300.0), "capture_Hz": (30.0, 40.0)}
CASES = {
    "uniform, blocking": (UNIFORM, [Carrier(1.0, D)], ONE),
    "graded, steric, traps": (GRADED, [Carrier(1.0, D, filling=0.02, **TRAPS)], ONE),
    "graded, traps that fill": (GRADED, [Carrier(1.0, D, crowding=0.5, **TRAPS)], ONE),
    "uniform, fixed": (UNIFORM, [Carrier(1.0, D, left=FIXED, right=FIXED)], ONE),
    "graded, exchanging and fixed": (GRADED, [Carrier(-1.0, D, left=EXCHANGE, right=FIXED)], ONE | {"fixed": 1.0}),
    "layered, no access to the first, generation": (
        LAYERED,
        [Carrier(1.0, D * INSIDE, energy=0.7 * INSIDE, right=EXCHANGE, source=5.0 * INSIDE)],
        {"screening_1_m2": LAMBDA**-2, "fixed": -INSIDE, "permittivity": 1.0 + 2.0 * INSIDE},
    ),
    "layered, a conducting polymer": (
        LAYERED[::-1],
        [Carrier(1.0, D * INSIDE[::-1])],
        {"screening_1_m2": LAMBDA**-2, "fixed": -INSIDE[::-1] - 2.0 * (1 - INSIDE[::-1])}
        | {"levels": [Level(1, 2.0 * (1 - INSIDE[::-1]), 1)]},
    ),
    "two species that recombine": (
        graded_widths(300e-9, 20, 4e-9),
        [Carrier(1.0, D, left=FIXED, right=EXCHANGE), Carrier(-1.0, 4 * D, left=EXCHANGE, right=FIXED)],
        {"screening_1_m2": LAMBDA**-2, "pair": (0, 1), "recombination": 20.0, "balance": 0.5},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_solver_equals_the_fipy_form(case):
    """Two stages from even densities under a voltage: 1e-8 relative, of every density and of the potential."""
    widths, carriers, more = CASES[case]
    system = Equations(line_mesh(widths), carriers, **more)
    compiled = reference = system.rest(np.maximum(1.0 * (np.array(carriers[0].diffusivity_m2_s) > 0), 1e-3))
    system.problem.fixed[:] -= system.problem.charge[0] * compiled.t.sum(axis=0)
    lagging = "exchanging" in case or "two species" in case  # FiPy's sweeps do not converge far from rest there
    for tau, wall in ((1e-4, -3.0), (1e-4, -5.0)) if lagging else ((1e-4, -5.0), (1e-2, -12.0)):
        compiled = system.solve(compiled, compiled, tau, wall=wall)
        reference = fipy_stage(system, reference, reference, tau, wall=wall)
        for mine, theirs in zip(compiled[:3], reference[:3], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max(initial=0.0))
    assert np.ptp(compiled.p[0]) > 0.05


# -- manufactured solutions ----------------------------------------------------------------------------------

SCREENING = 20.0  # of a film of unit length
DIFFUSIVITY = (1.0, 2.5)
CHARGE = (1.0, -1.0)


def profile(x, t=0.0):
    """Two densities, the potential, and their derivatives; the walls are at 3 and 0."""
    a = 0.3 * (1 + 0.5 * np.sin(t))
    p = np.array([1 + a * np.sin(np.pi * x + 0.3), 1 - 0.2 * np.cos(2 * x + t)])
    dp = np.array([np.pi * a * np.cos(np.pi * x + 0.3), 0.4 * np.sin(2 * x + t)])
    dt = np.array([0.15 * np.cos(t) * np.sin(np.pi * x + 0.3), 0.2 * np.sin(2 * x + t)])
    phi, dphi = 3 * (1 - x) + np.sin(np.pi * x), -3 + np.pi * np.cos(np.pi * x)
    flux = np.array([-D * (dp[s] + z * p[s] * dphi) for s, (z, D) in enumerate(zip(CHARGE, DIFFUSIVITY, strict=True))])
    return p, dt, phi, dphi, flux


def manufactured(cells, hindrance):
    edge = np.linspace(0.0, 1.0, cells + 1)
    centre = 0.5 * (edge[1:] + edge[:-1])
    p, _, _, _, _ = profile(centre)
    _, _, _, dphi, flux = profile(edge)
    ends = profile(np.array([0.0, 1.0]))
    carriers = [
        Carrier(
            z,
            DIFFUSIVITY[s],
            left=Boundary(hindrance, ends[0][s, 0] + ends[4][s, 0] * hindrance),
            right=Boundary(hindrance, ends[0][s, 1] - ends[4][s, 1] * hindrance),
            source=np.diff(flux[s]) * cells,
        )
        for s, z in enumerate(CHARGE)
    ]
    fixed = -np.diff(dphi) * cells / SCREENING - np.array(CHARGE) @ p
    return Equations(line_mesh(np.full(cells, 1.0 / cells)), carriers, screening_1_m2=SCREENING, fixed=fixed), centre


@pytest.mark.parametrize("hindrance", [0.0, 0.2], ids=["fixed", "exchanging"])
def test_order_in_space(hindrance):
    """A manufactured steady state of two coupled species: order 2 in the cell width, accepted from 1.9 to 2.1."""
    errors = []
    for cells in (20, 40, 80, 160):
        system, centre = manufactured(cells, hindrance)
        exact, _, phi, _, _ = profile(centre)
        state = State(exact, np.zeros((0, cells)), phi, 3.0)
        for _ in range(6):
            state = system.solve(state, state, 1e3, wall=3.0)
        errors.append((np.abs(state.p - exact).max(), np.abs(state.phi - phi).max()))
    for errors_of_one in zip(*errors, strict=True):
        assert all(1.9 < found < 2.1 for found in order(errors_of_one)[1:])


@pytest.mark.parametrize(("scheme", "expected"), [("backward Euler", 1.0), ("two stages", 2.0)])
def test_order_in_time(scheme, expected):
    """A manufactured course in time, exact on its mesh: orders 1 and 2 in the step, within 0.1."""
    system, centre = manufactured(30, 0.2)
    q, empty = system.problem, np.zeros((0, 30))
    phi = profile(centre)[2]
    dipole = np.concatenate([[3.0], phi, [0.0]])
    curvature = np.diff(q.displacement * np.diff(dipole)) / system.volume

    def at(t):
        """Make the discrete equations hold for the profile of time t."""
        p, dt = profile(centre, t)[:2]
        q.fixed[:] = -curvature / SCREENING - np.array(CHARGE) @ p
        q.source[:] = 0.0
        q.source[:] = dt - system.rate(State(p, empty, phi, 3.0))
        return p

    errors = []
    for steps in (20, 40, 80, 160):
        state, step = State(at(0.0), empty, phi, 3.0), 2.0 / steps
        for i in range(steps):
            if expected == 1.0:
                at((i + 1) * step)
                state = system.solve(state, state, step, wall=3.0)
            else:
                at((i + GAMMA) * step)
                first = system.solve(state, state, GAMMA * step, wall=3.0)
                old = first._replace(p=state.p + (1 - GAMMA) / GAMMA * (first.p - state.p))
                at((i + 1) * step)
                state = system.solve(first, old, GAMMA * step, wall=3.0)
        errors.append(np.abs(state.p - profile(centre, 2.0)[0]).max())
    assert all(abs(found - expected) < 0.1 for found in order(errors)[1:])


# -- exact solutions -----------------------------------------------------------------------------------------


def test_gouy_chapman():
    """tanh(u/4) = tanh(u0/4) exp(-x/lambda) of a symmetric electrolyte: within 0.1 % of u0; order 2 (1.8 to 2.2)."""
    u0, errors = 6.0, []
    for cells, wall in ((200, 0.02), (400, 0.01), (800, 0.005)):  # in Debye lengths
        bulk = Boundary(0.0, 1.0)
        carriers = [Carrier(z, 1.0, right=bulk) for z in (1.0, -1.0)]
        system = Equations(line_mesh(graded_widths(20.0, cells, wall)), carriers, screening_1_m2=0.5)
        state = system.rest(wall=u0)
        for tau in (1e-3, 1e-1, 1e1, 1e3, 1e6):
            state = system.solve(state, state, tau, wall=u0)
        exact = 4 * np.arctanh(np.tanh(u0 / 4) * np.exp(-system.centre))
        errors.append(np.abs(state.phi - exact).max())
    assert errors[-1] < 1e-3 * u0
    assert all(1.8 < found < 2.2 for found in order(errors))


def test_ambipolar_diffusion():
    """A wave of two species that stay neutral decays with 2 Dn Dp / (Dn + Dp), within 0.2 %."""
    Dn, Dp, cells = 4.0, 1.0, 100
    carriers = [Carrier(1.0, Dp), Carrier(-1.0, Dn)]
    system = Equations(line_mesh(np.full(cells, 1.0 / cells)), carriers, screening_1_m2=1e6)
    rate = 2 * Dn * Dp / (Dn + Dp) * np.pi**2
    wave = np.cos(np.pi * system.centre)
    state, step, height = system.rest(1 + 0.01 * wave), 1.0 / rate / 100, []
    for i in range(200):
        if i in (50, 150):
            height.append(wave @ state.p[0])
        state = second_order(system, state, step, (0.0, 0.0))
    assert np.log(height[0] / height[1]) / (100 * step) == pytest.approx(rate, rel=2e-3)


def test_mott_gurney():
    """9/8 eps mu V^2 / L^3 of one carrier that the contact injects, within 2 %; nearer at higher voltage.

    The law knows no diffusion, which the solver has. First run at 2000 kT/q: 4.9 % above the law on three meshes, so
    the 2 % are asked at 10000 kT/q, and the excess must have fallen.
    """
    deviations = []
    for wall in (2000.0, 10000.0):
        ohmic = Boundary(0.0, 1.0)
        # the Debye length of the contact is 1e-3 of the film
        system = Equations(
            line_mesh(graded_widths(1.0, 1000, 1e-4)), [Carrier(1.0, 1.0, left=ohmic, right=ohmic)], screening_1_m2=1e6
        )
        state = relaxed(system, system.rest(1e-6), wall)
        row = system.frames(state).now.circuit
        current = row[6] * system.capacitance / system.problem.screening  # in densities times D
        deviations.append(current / (9 / 8 * wall**2 / system.problem.screening) - 1.0)
    assert abs(deviations[1]) < 0.02
    assert abs(deviations[1]) < 0.5 * abs(deviations[0])


def test_the_steady_current_is_continuous():
    """Of two species that recombine under light, the sum of the currents at both contacts agrees to 1e-10."""
    widths, carriers, more = CASES["two species that recombine"]
    system = Equations(line_mesh(widths), [*carriers], **more)
    system.problem.source[:] = 7.0
    state, work = relaxed(system, system.rest(), -4.0), system.work()
    _transport.contacts(system.problem, work, state.p, state.phi, state.wall)
    out = np.array(system.problem.charge) @ work.contact[:, :, 0].T
    assert out[0] == pytest.approx(-out[1], rel=1e-10)
    assert abs(work.contact[0, 0, 0] + work.contact[1, 0, 0]) > 1e-3 * abs(out[0])  # each of them is not


@pytest.mark.parametrize(
    ("density", "peak", "within"), [(1e23, 1.934086e24, 1e-3), (1.6e25, 3.09454e26, 5e-3)], ids=["1e23", "1.6e25"]
)
def test_charging_of_a_film(density, peak, within):
    """400 nm, permittivity 24, 1e-16 m2/s, a step of 0.5 V, 400 cells: the density at the contact at rest within 0.1 %
    (1e23) and 0.5 % (1.6e25) of V/Vt + exp(-b), the potential within 0.2 mV of a refined solution at all times.

    The exact peak is that of one mobile ion, from equal fields at both walls. Refined: 1600 cells, a quarter of the
    width at the walls, a time error of 1e-5 a step. First run, at the default of 1e-3 a step: 0.24 and 0.37 mV off, all
    of it error in time, so the steps were made for 1e-4.
    """
    Vt, found = 0.025851999786, []
    kappa = 1.602176634e-19 * density / (24 * 8.8541878188e-12 * Vt)
    times = np.concatenate([[0.0], np.geomspace(1e-4, 1e5, 46)])
    for cells, wall, tolerance in ((400, 5e-12, 1e-4), (1600, 1.25e-12, 1e-5)):
        mesh = line_mesh(graded_widths(400e-9, cells, wall))
        system = Equations(mesh, [Carrier(1.0, 1e-16)], screening_1_m2=kappa, fixed=-1.0)
        choice = control(tolerance=tolerance, longest_s=1e4)
        frames = system.frames(system.rest(wall=0.5 / Vt))
        record = play(system, frames, times, np.full(times.size, 0.5 / Vt), choice, profiles=True)
        assert system.contact_density(record.end)[0, 1] * density == pytest.approx(peak, rel=within)
        found.append((system.centre, record.potentials * Vt))
    (coarse, usual), (fine, refined) = found
    for mine, theirs in zip(usual, refined, strict=True):
        assert np.abs(mine - np.interp(coarse, fine, theirs)).max() < 0.2e-3


# -- the slow population -------------------------------------------------------------------------------------


def test_one_trap_level_relaxes_exponentially():
    """Ions in an even film that a level captures and releases: rate c + r within 1e-4, from the film's integrator."""
    release, capture = 3.0, 5.0
    ions = Carrier(1.0, D, release_Hz=[release], capture_Hz=[capture])
    system = Equations(line_mesh(GRADED), [ions], screening_1_m2=LAMBDA**-2, fixed=-1.0)
    state = system.rest()._replace(t=np.zeros((1, 40)))
    times = np.linspace(0.0, 0.5, 26)
    record = play(system, system.frames(state), times, 0.0, control(tolerance=1e-6), profiles=True)
    held = 1.0 - record.densities[:, 0, 20]
    exact = capture / (capture + release) * (1 - np.exp(-(capture + release) * times))
    np.testing.assert_allclose(held, exact, atol=1e-4 * exact[-1])


@pytest.mark.parametrize("crowding", [0.0, 0.3])
def test_ions_are_conserved_with_what_is_held(crowding):
    """Mobile and held ions together to 1e-10 over 1e4 s of pulses between blocking contacts."""
    release = np.geomspace(0.01, 100.0, 13)
    ions = Carrier(1.0, D, filling=0.01, release_Hz=release, capture_Hz=0.3 * release**0.5, crowding=crowding)
    system = Equations(line_mesh(GRADED), [ions], screening_1_m2=LAMBDA**-2)
    state = system.rest()
    system.problem.fixed[:] = -system.charge(state)
    times = np.concatenate([np.arange(0.0, 1.0, 0.01), np.geomspace(1.0, 1e4, 30)])
    sources = np.where((times < 1.0) & (np.arange(times.size) % 4 == 1), -20.0, 0.0)
    record = play(system, system.frames(state), times, sources, control())
    content = record.rows[:, 7]
    assert np.abs(content / content[0] - 1.0).max() < 1e-10
    assert record.end.p.max() == pytest.approx(1.0, rel=1e-3)


def test_order_in_time_of_the_slow_population():
    """The integrator with traps that fill, under a voltage: order 2, accepted from 1.9 to 2.1."""
    ions = Carrier(1.0, D, crowding=0.5, **TRAPS)
    system = Equations(line_mesh(GRADED), [ions], screening_1_m2=LAMBDA**-2)
    rest = system.rest()
    system.problem.fixed[:] = -system.charge(rest)
    ends = []
    for steps in (40, 80, 160, 320):
        times = np.linspace(0.0, 0.2, steps + 1)
        record = play(system, system.frames(rest), times, -40.0 * times, control(adaptive=False))
        ends.append(record.end.t[0, 0])
    found = (
        np.log2(abs((ends[1] - ends[0]) / (ends[2] - ends[1]))),
        np.log2(abs((ends[2] - ends[1]) / (ends[3] - ends[2]))),
    )
    assert 1.9 < found[1] < 2.1


@pytest.mark.parametrize("x", [499.0, 1e3, 1e5])
def test_drift_does_not_saturate_between_two_cells(x):
    """B(-x) - B(x) = x at any field, in the compiled and in the FiPy form."""
    against, along, _, slope = _transport.bernoulli(x)
    assert (against, along, slope) == (pytest.approx(0.0, abs=1e-200), x, -1.0)
    assert _transport.bernoulli(-x)[:2] == (along, against)
    assert reference.bernoulli(np.array([-x])) == x
    assert reference.bernoulli_slope(np.array([-x])) == pytest.approx(-1.0)
