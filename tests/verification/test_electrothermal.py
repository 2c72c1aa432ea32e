"""Are ions, current and heat of a filament solved right, on every geometry? Tolerances follow from the scheme."""

from __future__ import annotations

import numpy as np
import pytest

from halidrift import Waveform
from halidrift.fem import newton, terms, turns
from halidrift.fem.circuit import Circuit
from halidrift.fem.coupled import Fields
from halidrift.fem.electrothermal import ElectroThermal, Stepper, plug
from halidrift.fem.laws import Conduction, Heat, Ions
from halidrift.fem.meshes import block, cylinder, slab
from halidrift.physics import formulas
from halidrift.physics.constants import BOLTZMANN_EV_K, LORENZ_NUMBER_W_OHM_K2

L, W = 20e-9, 12e-9
GRIDS = {
    "cylinder": lambda n, m=None: cylinder(W, L, m or n, n),
    "slab": lambda n, m=None: slab(W, L, 3e-9, m or n, n),
    "block": lambda n, m=None: block(W, 0.7 * W, L, m or n, m or n, n),
}
KINDS = list(GRIDS)


def film(grid, *, density=1e26, **changes):
    """A film with all couplings: sinh drift, Soret, site limit, hot metal, Wiedemann-Franz, leaky walls."""
    ions = {"site_density_1_m3": 3e27, "heat_of_transport_eV": -0.3} | changes.pop("ions", {})
    current = {"activation_eV": 0.05, "temperature_coefficient_1_K": 1e-3} | changes.pop("conduction", {})
    heat = {"lorenz_W_ohm_K2": LORENZ_NUMBER_W_OHM_K2, "top_W_m2K": 1e9, "side_W_m2K": 1e7} | changes.pop("heat", {})
    return ElectroThermal(
        grid,
        Ions(0.6, 1e12, 0.5e-9, density, **ions),
        Conduction(1e2, 1e5, 1e27, **current),
        Heat(0.5, 5.0, **heat),
        **changes,
    )


def start(model, circuit):
    """Equations, and the fields before anything has moved."""
    equations, cold = model.equations(), np.zeros(model.grid.size)
    density = np.array(np.broadcast_to(model.ions.density_1_m3, cold.shape), dtype=float)
    return equations, equations.current(density, cold, circuit, Fields(density, cold, cold, 0.0, 0.0, cold))


def apart(one, two):
    """Largest difference of each field, relative to its largest value."""
    return [float(np.max(np.abs(a - b)) / np.max(np.abs(a))) for a, b in zip(one[:3], two[:3], strict=True)]


# -- one solver, three forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_fipy_terms(kind):
    """A stage of 1 us with every coupling on: ours solves FiPy's equations, 1e-8 of each field's largest value.

    FiPy's sweeps start there and end, converged to 1e-9, at their own solution.
    """
    grid = GRIDS[kind](8, 5)
    model = film(grid, density=plug(grid, 1e27, 1e25, 3e-9, 15e-9))
    circuit = Circuit(1.0, 1e-5, 100.0, 1e-9)
    equations, base = start(model, circuit)
    ours = turns.solve(equations, base, base, 1e-6, circuit, tolerance=1e-11, sweeps=60)
    assert np.max(np.abs(ours.density - base.density)) > 1e-4 * 1e27
    assert ours.rise.max() > 20.0
    theirs = terms.solve(equations, ours, base, 1e-6, circuit, tolerance=1e-9, sweeps=20)
    assert max(apart(ours, theirs)) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit_A", [np.inf, 3e-8])
def test_newton_finds_the_same(kind, limit_A):
    """Taking turns and Newton's method end at one solution, 1e-8, with the compliance limit idle and active."""
    grid = GRIDS[kind](8, 5)
    model = film(grid, density=plug(grid, 1e27, 1e25, 3e-9, 15e-9))
    circuit = Circuit(-1.0, limit_A, 100.0, 1e-9)
    equations, base = start(model, circuit)
    ours = turns.solve(equations, base, base, 1e-8, circuit, tolerance=1e-11, sweeps=60)
    assert equations.newtons == 0
    theirs = newton.solve(equations, base, base, 1e-8, circuit, tolerance=1e-8)
    assert max(apart(ours, theirs)) < 1e-8
    assert abs(ours.film_V - theirs.film_V) < 1e-8
    current = ours.film_V * (ours.conductance_S + 1e-9)
    assert abs(current) <= limit_A * (1 + 1e-9)
    if np.isinf(limit_A):
        assert ours.film_V + 100.0 * current == pytest.approx(-1.0, rel=1e-9)
    else:
        assert current == pytest.approx(-limit_A, rel=1e-9)


def test_jacobian_is_the_slope():
    """Newton's matrix against central differences of the residuals, 1e-5 of each row's largest entry."""
    grid = slab(W, L, 3e-9, 3, 4)
    circuit = Circuit(0.8, np.inf, 2e5)
    model = film(grid, density=plug(grid, 9e26, 2e26, 4e-9, 12e-9), ions={"top_density_1_m3": 5e26})
    equations, base = start(model, circuit)
    rng = np.random.default_rng(4)
    now = base._replace(
        density=base.density * rng.uniform(0.9, 1.1, grid.size), rise=rng.uniform(10, 50, grid.size), film_V=0.6
    )
    exact = newton.system(equations, now, base, 1e-6, circuit)[1].toarray()
    sizes = np.array([1e26, 1.0, 300.0] * grid.size + [1.0])

    def residual(x):
        moved = now._replace(density=x[0:-1:3], potential=x[1:-1:3], rise=x[2:-1:3], film_V=float(x[-1]))
        return newton.system(equations, moved, base, 1e-6, circuit)[0]

    x = np.append(np.stack(now[:3], axis=1).ravel(), now.film_V)
    for k in range(x.size):
        h = 1e-5 * sizes[k] * np.eye(x.size)[k]
        slope = (residual(x + h) - residual(x - h)) / (2e-5 * sizes[k])
        scale = np.max(np.abs(exact * sizes), axis=1) / sizes[k]
        assert np.all(np.abs(exact[:, k] - slope) < 1e-5 * scale)


# -- manufactured solutions ---------------------------------------------------------------------------------------


def smooth(points, t, widths):
    """Density, potential and rise that obey the boundary conditions: any smooth functions will do."""
    z = points[-1] / L
    wave = 1.0
    for x, width in zip(points[:-1], widths, strict=True):
        wave = wave * np.cos(np.pi * x / width)
    P = 6e26 * (1.0 + 0.3 * np.cos(np.pi * z) * np.cos(3.0 * t) + 0.2 * wave * np.sin(np.pi * z + t))
    psi = 0.1 * (z + 0.15 * np.sin(np.pi * z) * wave * np.cos(t))
    rise = 80.0 * np.sin(np.pi * z) * (1.0 + 0.3 * wave) * (1.0 + 0.5 * np.sin(2.0 * t))
    return P, psi, rise


def manufactured(grid, equations, t):
    """Sources that make the smooth fields a solution: exact fluxes at face centres, volumes by the midpoint rule.

    No flux is counted through the walls where the scheme has none; that prescribes the exact flux there.
    """
    mesh, law = grid.mesh, equations.law_ions
    widths = [np.max(x) for x in np.array(mesh.faceCenters.value)[:-1]]

    def values(points):
        return smooth(points, t, widths)

    def slopes(points):
        out = []
        for d in range(len(points)):
            moved = [p.astype(complex) for p in points]
            moved[d] = moved[d] + 1e-30j
            out.append([f.imag / 1e-30 for f in values(moved)])
        return np.array(out)

    faces = np.array(mesh.faceCenters.value)
    slope = slopes(list(faces))
    normal = np.asarray(mesh.faceNormals)
    P, psi, rise = values(list(faces))
    dP, dpsi, dT = (np.sum(slope[:, i] * normal, axis=0) for i in range(3))
    T = equations.ambient_K + rise
    w = -0.5 * law.charge * law.hop_length_m * dpsi / (BOLTZMANN_EV_K * T)
    D = law.hop_length_m**2 * formulas.hop_rate(law.barrier_eV, T, law.attempt_frequency_Hz, 0.0)
    D = D * np.where(np.abs(w) < 1e-6, 1.0, np.sinh(w) / np.where(w == 0, 1.0, w))
    soret = law.soret_1_K + law.heat_of_transport_eV / (BOLTZMANN_EV_K * T**2)
    pull = -law.charge * dpsi / (BOLTZMANN_EV_K * T) - soret * dT
    sigma = equations.conductivity(P, rise)
    k = equations.heat_conductivity(P, rise, sigma)
    fluxes = D * (P * (1.0 - P / law.site_density_1_m3) * pull - dP), -sigma * dpsi, -k * dT
    cells = np.asarray(mesh.faceCellIDs.filled(-1))
    inside = np.asarray(mesh.interiorFaces.value)
    scale = grid.volume_m3[0] / float(np.asarray(mesh.cellVolumes)[0])
    area = np.array(mesh._faceAreas) * scale
    z = faces[-1]
    contact = ~inside & ((z < 1e-6 * L) | (z > (1 - 1e-6) * L))
    sources = []
    for flux, walls in zip(fluxes, (inside, inside | contact, inside | contact), strict=True):
        flow = np.where(walls, flux * area, 0.0)
        total = np.bincount(cells[0], flow, grid.size)
        sources.append(total - np.bincount(cells[1][inside], flow[inside], grid.size))
    P, psi, rise = values(list(grid.centre_m))
    field = np.sum(slopes(list(grid.centre_m))[:, 1] ** 2, axis=0)
    sources[2] -= equations.conductivity(P, rise) * field * grid.volume_m3
    return Fields(P, psi, rise, 0.1, 0.0, 0.0 * P), sources


PLAIN = {"heat": {"top_W_m2K": np.inf, "side_W_m2K": 0.0}, "conduction": {"activation_eV": 0.02}}


@pytest.mark.parametrize("kind", KINDS)
def test_second_order_in_space(kind):
    """The coupled system against a manufactured solution: error falls by 4 when the mesh is halved, within 10 %."""
    errors = []
    for n in (8, 16) if kind == "block" else (8, 16, 32):
        grid = GRIDS[kind](n)
        equations = film(grid, **PLAIN).equations()
        tau, circuit = 1e-6, Circuit(0.1, np.inf, 0.0)
        old, _ = manufactured(grid, equations, 0.0)
        exact, sources = manufactured(grid, equations, 0.4)
        equations.extra_ions = sources[0] + grid.volume_m3 * (exact.density - old.density) / tau
        equations.extra_A = sources[1]
        equations.extra_W = sources[2] + equations.capacity * (exact.rise - old.rise) / tau
        found = turns.solve(equations, exact, old, tau, circuit, tolerance=1e-10, sweeps=100)
        weight = grid.volume_m3 / grid.volume_m3.sum()
        errors.append([np.sqrt(np.sum(weight * (a - b) ** 2)) for a, b in zip(found[:3], exact[:3], strict=True)])
    ratios = np.array(errors)[-2] / np.array(errors)[-1]
    assert np.all((ratios > 3.6) & (ratios < 4.4)), ratios


@pytest.mark.parametrize(("order", "span"), [(1, (1.9, 2.1)), (2, (3.8, 4.2))])
def test_order_in_time(order, span):
    """Sources that make the smooth fields solve the discrete equations leave the time error alone.

    Halving the step divides it by 2 (backward Euler) or 4, within 5 %.
    """
    grid = slab(W, L, 3e-9, 5, 8)
    # the discrete current has no time derivative, so the exact potential is that of the manufactured density and rise
    model = film(grid, order=order, tolerance=1e-8, sweeps=100, **PLAIN, density=6e26)
    scale = 2e-7  # of time: the ions' own over a few cells

    class Manufactured(Stepper):
        def stage(self, start, ahead, base, tau, time_s):
            equations, h = self.equations, 1e-4
            (here, _), *near = (manufactured(grid, equations, time_s / scale + d) for d in (0.0, -h, h))
            rates = [(near[1][0][i] - near[0][0][i]) / (2 * h * scale) for i in (0, 2)]
            before = here._replace(density=here.density - rates[0] * tau, rise=here.rise - rates[1] * tau)
            equations.extra_ions = equations.extra_A = equations.extra_W = np.zeros(grid.size)
            equations.extra_ions, equations.extra_A, equations.extra_W = equations.residuals(here, before, tau)
            return super().stage(start, ahead, base, tau, time_s)

        def check(self, *args):
            """Sources bring ions and heat."""

    errors = []
    for steps in (80, 160) if order == 1 else (10, 20, 40):
        stepper = Manufactured(model, lambda t: Circuit(0.1, np.inf, 0.0), 0.0)
        exact, _ = manufactured(grid, stepper.equations, 0.0)
        stepper.now = stepper.now._replace(fields=exact)
        dt = scale / steps
        for i in range(steps):
            stepper.now, _ = stepper.step(i * dt, dt)
        exact, _ = manufactured(grid, stepper.equations, 1.0)
        errors.append(apart(exact, stepper.now.fields))
    ratios = np.array(errors)[:-1] / np.array(errors)[1:]
    assert np.all((ratios > span[0]) & (ratios < span[1])), ratios


# -- exact problems -----------------------------------------------------------------------------------------------

STILL = {"site_density_1_m3": np.inf, "heat_of_transport_eV": 0.0}


def uniform(grid, V, *, heat, sigma=1e6):
    """Fields of a uniform conductor with heat in balance."""
    model = ElectroThermal(
        grid, Ions(2.0, 1e12, 0.5e-9, 1e26), Conduction(sigma, sigma, 1e27), heat, highest_K=1e4, tolerance=1e-6
    )
    return model.simulate(Waveform.hold(V, 1e-9, samples=2))


@pytest.mark.parametrize("kind", KINDS)
def test_joule_rod(kind):
    """T0 + V^2 sigma / 8 k at the middle; two-point fluxes are off by 1 / n^2 of it everywhere, 1e-6."""
    V, sigma, k = 0.1, 1e6, 20.0
    for n in (10, 20):
        run = uniform(GRIDS[kind](n, 3), V, heat=Heat(k, capacity_J_m3K=0.0))
        u = run.z.values / L
        exact = V**2 * sigma / (2 * k) * u * (1 - u)
        rise = run.temperature.values.reshape(n, -1)[:, 0] - 300.0
        np.testing.assert_allclose((rise - exact) / (V**2 * sigma / (8 * k)), 1 / n**2, rtol=1e-5)
        assert float(run.power[-1]) == pytest.approx(float(run.current[-1]) * V, rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_wiedemann_franz_rod(kind):
    """With k = L0 sigma T the middle reaches T_max^2 = T0^2 + V^2 / 4 L0 (437 K at 0.1 V); order 2 within 10 %."""
    V, errors = 0.1, []
    heat = Heat(1e-9, lorenz_W_ohm_K2=LORENZ_NUMBER_W_OHM_K2, capacity_J_m3K=0.0)
    for n in (10, 20, 40):
        run = uniform(GRIDS[kind](n, 2), V, heat=heat)
        u = run.z.values / L
        exact = np.sqrt(300.0**2 + V**2 * u * (1 - u) / LORENZ_NUMBER_W_OHM_K2)
        errors.append(np.max(np.abs(run.temperature.values.reshape(n, -1)[:, 0] - exact)))
    assert errors[-1] < 0.3
    assert 3.6 < errors[0] / errors[1] < 4.4
    assert 3.6 < errors[1] / errors[2] < 4.4


@pytest.mark.parametrize("kind", ["cylinder", "slab"])
def test_heated_from_within(kind):
    """Side walls at T0, contacts insulated: q R^2 / 4 k on the axis, q (W/2)^2 / 2 k in the middle of a slab.

    Two-point fluxes are off by q h^2 / 8 k everywhere in a slab; in a cylinder by at most twice that.
    """
    V, sigma, k = 0.1, 1e5, 5.0
    q = sigma * (V / L) ** 2
    heat = Heat(k, capacity_J_m3K=0.0, bottom_W_m2K=0.0, top_W_m2K=0.0, side_W_m2K=np.inf)
    for m in (10, 20, 40):
        run = uniform(GRIDS[kind](3, m), V, heat=heat, sigma=sigma)
        rise = run.temperature.values[1] - 300.0
        if kind == "cylinder":
            exact, h = q * (W**2 - run.r.values**2) / (4 * k), W / m
        else:
            exact, h = q * ((W / 2) ** 2 - (run.x.values - W / 2) ** 2) / (2 * k), W / m
        assert np.max(np.abs(rise - exact)) < 2.0 * q * h**2 / (8 * k)


def test_spreading_resistance():
    """A disc of radius a on a conductor: 1 / (4 sigma a), with the known factor of a tube a quarter of it wide.

    The edge singularity makes it order 1: the error halves with the mesh (1.6 to 2.6), and is 5 % at 16 cells
    a radius.
    """
    a, b, sigma = 5e-9, 20e-9, 1e5
    e = a / b
    # M. M. Yovanovich: disc at one potential in a tube
    factor = 1 - 1.40978 * e + 0.34406 * e**3 + 0.0435 * e**5 + 0.02271 * e**7
    exact = factor / (4 * sigma * a) + 1.5 * b / (sigma * np.pi * b**2)
    errors = []
    for m in (16, 32, 64):
        grid = cylinder(b, 1.5 * b, m, 3 * m // 2)
        s = np.full(grid.size, sigma)
        top = np.where(grid.r_m[grid.top] < a, grid.ends(s, grid.top), 0.0)
        low = grid.ends(s, grid.bottom)
        psi = grid.solve(grid.links(s), low, top, 0 * s, 0.0, 1.0)
        errors.append(abs(1 / np.sum(low * psi[grid.bottom]) / exact - 1))
    assert errors[-1] < 0.05
    assert 1.6 < errors[0] / errors[1] < 2.6
    assert 1.6 < errors[1] / errors[2] < 2.6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [np.inf, 3e26])
def test_equilibrium_of_the_ions(kind, most):
    """Closed film in a field: Boltzmann's, with a site limit Fermi's distribution; 1e-7.

    0.3 V spread the densities over five decades; over eight, rounding of the large ones moves the small ones by 1e-7.
    """
    grid = GRIDS[kind](8, 3)
    ions = Ions(0.6, 1e12, 0.5e-9, 1e26, site_density_1_m3=most)
    model = ElectroThermal(grid, ions, Conduction(1e2, 1e2, 1e27), Heat(1e6))
    equations, base = start(model, Circuit(0.3, np.inf, 0.0))
    end = base
    for tau in 10.0 ** np.arange(-3, 10):
        end = turns.solve(equations, end, end, tau, Circuit(0.3, np.inf, 0.0), tolerance=1e-12, sweeps=100)
    potential = np.log(end.density / (1 - end.density / most)) + end.potential / (BOLTZMANN_EV_K * 300.0)
    assert np.ptp(potential) < 1e-7
    assert np.sum(grid.volume_m3 * end.density) == pytest.approx(1e26 * grid.volume_m3.sum(), rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_thermodiffusion_at_rest(kind):
    """Soret coefficient S and no field: the density follows exp(-S T), 1e-7; a negative S gathers ions in the heat."""
    grid = GRIDS[kind](8, 3)
    model = ElectroThermal(
        grid, Ions(0.6, 1e12, 0.5e-9, 1e26, soret_1_K=-0.02), Conduction(1e2, 1e2, 1e27), Heat(0.5, capacity_J_m3K=0.0)
    )
    equations, base = start(model, Circuit(0.0, np.inf, 0.0))
    equations.extra_W = 5e16 * grid.volume_m3  # 5 K at the middle
    end = base
    for tau in (1e-3, 1.0, 1e3, 1e6, 1e9):
        end = turns.solve(equations, end, end, tau, Circuit(0.0, np.inf, 0.0), tolerance=1e-12, sweeps=100)
    assert end.rise.max() > 1.0
    assert np.ptp(np.log(end.density) - 0.02 * end.rise) < 1e-7


def test_drift_is_that_of_hops():
    """In a uniform density the flux is P times 2 a nu exp(-E/kT) sinh(q a E / 2kT), at low and high field; 1e-12."""
    grid = slab(W, L, 1e-9, 2, 10)
    equations = film(grid, ions=STILL).equations()
    zero = np.zeros(1)
    rate = formulas.hop_rate(0.6, 300.0, 1e12, 0.0)
    for field in (1e5, 1e7, 1e9):
        forward, backward = equations.hops(np.array([field * 2e-9]), zero, zero, 2e-9)
        exact = formulas.mott_gurney_velocity(rate, 0.5e-9, 1, field, 300.0)
        assert (forward - backward)[0] == pytest.approx(exact, rel=1e-11)


# -- conservation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost(kind):
    """RESET and SET of a filament: ions to 1e-10, I V and Joule heat to 1e-8, the circuit to rounding."""
    grid = GRIDS[kind](10, 4)
    model = film(
        grid,
        density=plug(grid, 1.2e27, 1e25, 4e-9, 1.0),
        series_resistance_ohm=2e3,
        leakage_S=1e-9,
        ions={"heat_of_transport_eV": -0.6},
    )
    wave = Waveform.triangle([-0.6], 1e3, samples_per_V=10) + Waveform.triangle([0.6], 1e3, 1e-5, samples_per_V=10)
    run = model.simulate(wave)
    np.testing.assert_allclose(run.ions, run.ions[0], rtol=1e-10)
    film_A = run.current - 1e-9 * run.film_voltage
    np.testing.assert_allclose(run.power, film_A * run.film_voltage, rtol=1e-8, atol=1e-30)
    np.testing.assert_allclose(run.device_voltage - run.film_voltage, 2e3 * run.current, rtol=1e-8, atol=1e-12)
    assert float(abs(run.current).sel(time=slice(1.3e-3, None)).max()) <= 1e-5 * (1 + 1e-9)
    moved = np.max(np.abs(run.density.values.ravel() - model.ions.density_1_m3))
    assert moved > 0.05 * 1.2e27
