"""Is the lattice gas exact? Each test has a solution in closed form; 4 standard errors unless said otherwise."""

import itertools

import numpy as np
import pytest
from scipy import stats

from halidrift.kmc.lattice_gas import LatticeGas
from halidrift.kmc.processes import Exchange, Hop, Reaction
from halidrift.physics import formulas, networks, transport
from halidrift.physics.constants import BOLTZMANN_EV_K

T = 300.0
KT = BOLTZMANN_EV_K * T
A = 0.5e-9
BARRIER = 0.27
G = formulas.hop_rate(BARRIER, T, 1e12, 0.0)
RING = networks.from_sites([[0, 0, 0]], np.eye(3) * A, 1.1 * A, pbc=(True, False, False), name="ring")
CUBIC = networks.simple_cubic(A)


def arrhenius(intrinsic, rise, nu=1e12):
    return nu * np.exp(-np.max([intrinsic + rise / 2, rise, 0.0]) / KT)


def everything(seed=0):
    """Two mobile species with bonds, site energies and charges in a potential, ions, atoms and an electrode."""
    rng = np.random.default_rng(seed)
    n = 27
    return LatticeGas(
        CUBIC,
        [
            Hop("ion", 0.25),
            Hop("other", 0.3, attempt_frequency_Hz=3e12),
            Exchange(("ion", "other"), ("other", "ion"), 0.35),
            Exchange(("ion", "atom"), ("atom", "atom"), 0.3, electrode="metal"),
            Exchange(("ion", "ion"), ("atom", "other"), 0.32, electrode="metal"),
            Exchange(("ion", "empty"), ("empty", "atom"), 0.4, electrode="metal"),
            Exchange(("ion", "ion"), ("other", "other"), 0.3, electrode="metal"),
            Reaction("empty", "ion", 0.3, where=np.arange(n) % 3 == 2, electrode="top"),
            Reaction("ion", "atom", 0.4, electrode="metal", name="reduction"),
        ],
        repeat=(3, 3, 3),
        site_energies={"ion": rng.normal(0, 0.05, n), "other": 0.02},
        pair_energies={("ion", "ion"): 0.04, ("ion", "other"): -0.03, ("atom", "atom"): -0.06, ("atom", "empty"): 0.02},
        charges={"ion": 1, "other": -1},
        temperature_K=T,
        potential_V=rng.normal(0, 0.05, n),
        electrodes={"top": 0.1, "metal": rng.normal(0, 0.02, n)},
    )


def test_rates_follow_from_the_energy():
    # every rate against the energies of the two configurations, computed apart from the kernel: 1e-10 relative
    gas = everything()
    rng = np.random.default_rng(1)
    charge = np.array([gas.charges.get(s, 0) for s in gas.species], dtype=float)
    ways = dict(gas._channels)
    for _ in range(4):
        codes = rng.integers(len(gas.species), size=gas.sites)
        events = gas.possible(codes)
        before = gas.energy_eV(codes)
        for e in range(0, events.sizes["event"], 3):
            event = events.isel(event=e)
            channel = ways[gas.directions[int(event.process)]]
            i, j = int(event.site), int(event.neighbour)
            changed = codes.copy()
            changed[i] = gas.species.index(channel.after[0])
            if j >= 0:
                changed[j] = gas.species.index(channel.after[1])
            electrons = charge[changed].sum() - charge[codes].sum()
            p = channel.process
            V = 0.0
            if p.electrode == "metal":
                V = gas.electrodes["metal"][i if j < 0 or channel.electrode_here else j]
            elif p.electrode == "top":
                V = gas.electrodes["top"]
            rise = gas.energy_eV(changed) - before - electrons * V
            assert float(event.energy_change) == pytest.approx(rise, abs=1e-10)
            half = 0.5 if len(set(channel.before)) == len(set(channel.after)) == 1 and j >= 0 else 1.0
            assert float(event.rate) == pytest.approx(
                half * arrhenius(p.intrinsic_eV, rise, p.attempt_frequency_Hz), rel=1e-8
            )


def test_every_event_can_be_undone_in_detailed_balance():
    # k forward / k back = exp(-dE / kT) for every event, multiplicity included: 1e-8 relative
    gas = everything()
    codes = np.random.default_rng(2).integers(len(gas.species), size=gas.sites)
    outcomes = {}
    events = gas.possible(codes)
    for e in range(events.sizes["event"]):
        event = events.isel(event=e)
        _, channel = gas._channels[int(event.process)]
        changed = codes.copy()
        changed[int(event.site)] = gas.species.index(channel.after[0])
        if int(event.neighbour) >= 0:
            changed[int(event.neighbour)] = gas.species.index(channel.after[1])
        key = (tuple(changed), channel.process.label)
        outcomes.setdefault(key, []).append((float(event.rate), float(event.energy_change)))
    assert len(outcomes) > 60
    for (changed, label), found in list(outcomes.items())[::4]:
        back = gas.possible(np.array(changed))
        total = 0.0
        for e in range(back.sizes["event"]):
            event = back.isel(event=e)
            _, channel = gas._channels[int(event.process)]
            undone = np.array(changed)
            undone[int(event.site)] = gas.species.index(channel.after[0])
            if int(event.neighbour) >= 0:
                undone[int(event.neighbour)] = gas.species.index(channel.after[1])
            if channel.process.label == label and np.array_equal(undone, codes):
                total += float(event.rate)
        forward = sum(rate for rate, _ in found)
        # ways that differ in the electrode they use have their own change of energy
        if len({round(rise, 9) for _, rise in found}) == 1:
            assert forward / total == pytest.approx(np.exp(-found[0][1] / KT), rel=1e-8)


def stepwise(gas, initial, events, rng):
    """Run event by event: waiting time, sum of the tree, and the configuration before each event."""
    from halidrift.kmc import _lattice_gas as kernel

    codes = gas._codes(initial, rng)
    live, sites, rules, land, state = gas._begin(codes, np.empty(0, np.int64), (), gas, 1)
    kernel.refresh_all(live, sites, rules, land, state)
    for n in range(events):
        before, t = state.occupation[:-1].copy(), state.clock[kernel.TIME]
        total = state.tree[kernel.ROOT]
        assert kernel.advance(np.inf, n + 1, live, None, sites, rules, land, state, rng) == kernel.EVENTS_DONE
        yield before, total, state.clock[kernel.TIME] - t


@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (3e7, -2e7, 1e7)])
def test_local_updates_lose_nothing_and_waiting_times_are_exponential(field):
    # the tree after each event against all rates listed anew (1e-6: single precision); waits over their means: KS
    if any(field):
        gas = LatticeGas(
            networks.fcc(A),
            [Hop("ion", 0.25), Hop("other", 0.3), Exchange(("ion", "other"), ("other", "ion"), 0.3)],
            repeat=(3, 2, 2),
            charges={"ion": 1, "other": -2},
            site_energies={"ion": np.random.default_rng(3).normal(0, 0.05, 48)},
            field_V_m=field,
        )
        initial = {"ion": 10, "other": 6}
    else:
        gas, initial = everything(), {"ion": 5, "other": 4, "atom": 6}
    rng = np.random.default_rng(4)
    waits = []
    for before, total, wait in stepwise(gas, initial, 1500, rng):
        expected = float(gas.possible(before).rate.sum()) if len(waits) % 5 == 0 else total
        assert total == pytest.approx(expected, rel=1e-6)
        waits.append(wait * total)
    assert stats.kstest(waits, "expon").pvalue > 1e-4


@pytest.mark.parametrize("u", [0.5, 4.0])
def test_a_single_walker_drifts_and_spreads_as_mott_and_gurney_say(u):
    gas = LatticeGas(CUBIC, [Hop("ion", 1.0)], repeat=(3, 3, 3), charges={"ion": 1}, field_V_m=(u * KT / A, 0.0, 0.0))
    rate = formulas.hop_rate(1.0, T, 1e12, 0.0)
    windows = 10_000
    times = np.arange(windows + 1) * 2.0 / (rate * np.cosh(u / 2))
    run = gas.run({"ion": 1}, times_s=times, track="ion", snapshots=False, rng=11)
    moved = np.diff(run.displacement.values[:, 0, :], axis=0)
    span = times[1]
    v = moved.mean(axis=0) / span
    expected = np.array([formulas.mott_gurney_velocity(rate, A, 1, u * KT / A, T), 0.0, 0.0])
    assert np.all(np.abs(v - expected) <= 4 * moved.std(axis=0, ddof=1) / np.sqrt(windows) / span)
    D = moved.var(axis=0, ddof=1) / (2 * span)
    spread = np.array([formulas.biased_diffusion_coefficient(rate, A, u), A * A * rate, A * A * rate])
    kurtosis = stats.kurtosis(moved, axis=0)
    assert np.all(np.abs(D / spread - 1) <= 4 * np.sqrt((2 + np.maximum(kurtosis, 0)) / windows))


def test_drift_on_the_halide_sublattice_is_that_of_the_driven_chain():
    # hops of several directions and an oblique field; the exact answer is physics.transport.drift_velocity
    network = networks.halide(A)
    field = (4e7, 2e7, -1e7)
    expected = transport.drift_velocity(network, 0.35, T, field)
    gas = LatticeGas(network, [Hop("V", 0.35, into="Br")], repeat=(2, 2, 3), charges={"V": 1}, field_V_m=field)
    windows = 6000
    times = np.arange(windows + 1) * 5.0 / formulas.hop_rate(0.35, T, 1e12, 0.0)
    run = gas.run({"V": 1}, times_s=times, track="V", snapshots=False, rng=12)
    moved = np.diff(run.displacement.values[:, 0, :], axis=0) / times[1]
    assert np.all(np.abs(moved.mean(axis=0) - expected) <= 4 * moved.std(axis=0, ddof=1) / np.sqrt(windows))


def test_current_of_the_exclusion_process_on_a_ring():
    n, m, u = 20, 7, 1.0
    gas = LatticeGas(RING, [Hop("ion", BARRIER)], repeat=(n, 1, 1), charges={"ion": 1}, field_V_m=(u * KT / A, 0, 0))
    forward, backward = G * np.exp(u / 2), G * np.exp(-u / 2)
    windows = 4000
    times = np.arange(windows + 1) * 3.0 / G
    run = gas.run({"ion": m}, times_s=times, track="ion", snapshots=False, rng=13)
    hops = np.diff(run.displacement.values[:, :, 0].sum(axis=1))[20:] / A
    current = hops / n / times[1]
    block = current.reshape(-1, 20).mean(axis=1)  # windows are shorter than the memory of the ring
    expected = formulas.exclusion_ring_current(forward, backward, m, n)
    assert abs(block.mean() - expected) <= 4 * block.std(ddof=1) / np.sqrt(len(block))


def test_canonical_occupancy_with_site_energies_and_exclusion():
    rng = np.random.default_rng(14)
    n, m = 64, 20
    energies = rng.uniform(0.0, 0.1, n)
    gas = LatticeGas(CUBIC, [Hop("ion", BARRIER)], repeat=(4, 4, 4), site_energies={"ion": energies})
    weight = np.exp(-energies / KT)

    def partition(weights, particles):
        z = np.zeros(particles + 1)
        z[0] = 1.0
        for w in weights:
            z[1:] = z[1:] + w * z[:-1]
        return z

    total = partition(weight, m)[m]
    exact = np.array([weight[i] * partition(np.delete(weight, i), m - 1)[m - 1] / total for i in range(n)])
    samples = 20_000
    times = np.arange(samples + 1) * 2.0 / G
    run = gas.run({"ion": m}, times_s=times, rng=15)
    found = (run.occupation.values[101:] == gas.species.index("ion"))[: (samples - 100) // 100 * 100]
    block = found.reshape(-1, 100, n).mean(axis=1)
    error = block.std(axis=0, ddof=1) / np.sqrt(len(block))
    assert np.all(np.abs(block.mean(axis=0) - exact) <= 4 * error)
    assert exact.max() - exact.min() > 0.5


def chi_square(found, weight):
    expected = weight / weight.sum() * found.sum()
    keep = expected >= 10
    f, e = np.append(found[keep], found[~keep].sum()), np.append(expected[keep], expected[~keep].sum())
    if e[-1] < 10:
        f, e = f[:-1], e[:-1] * f[:-1].sum() / e[:-1].sum()
    return stats.chisquare(f, e).pvalue


def test_boltzmann_distribution_with_pair_energies():
    # 2 x 2 x 2 with doubled bonds, two species, 560 states; one sample every 60 or so events: chi square, p > 1e-4
    gas = LatticeGas(
        CUBIC,
        [Hop("a", 0.2), Hop("b", 0.22), Exchange(("a", "b"), ("b", "a"), 0.2)],
        repeat=(2, 2, 2),
        pair_energies={("a", "a"): -0.02, ("a", "b"): 0.01, ("b", "b"): 0.015},
    )
    a, b, empty = (gas.species.index(s) for s in ("a", "b", "empty"))
    states = sorted(set(itertools.permutations([a] * 3 + [b] * 2 + [empty] * 3)))
    assert len(states) == 560
    weight = np.exp([-gas.energy_eV(np.array(s)) / KT for s in states])
    number = {s: i for i, s in enumerate(states)}
    rate = formulas.hop_rate(0.22, T, 1e12, 0.0)
    times = np.arange(30_001) * 3.0 / rate
    run = gas.run({"a": 3, "b": 2}, times_s=times, rng=16)
    found = np.bincount([number[tuple(s)] for s in run.occupation.values[10:].tolist()], minlength=560)
    assert run.events.values[-1].sum() / 30_000 > 40
    assert chi_square(found, weight) > 1e-4
    assert weight.max() / weight.min() > 10


def test_ions_and_atoms_reach_equilibrium_with_an_electrode():
    # grand canonical: ions from an electrode into a chain with a potential, reduced to bound atoms: 729 states
    phi = np.array([0.0, 0.01, 0.02, 0.01, 0.0, -0.01])
    V = 0.03
    gas = LatticeGas(
        RING,
        [
            Hop("ion", 0.2),
            Reaction("empty", "ion", 0.2, where=np.arange(6) == 0, electrode="wire"),
            Reaction("ion", "atom", 0.2, electrode="wire"),
            Exchange(("ion", "atom"), ("atom", "atom"), 0.2, electrode="wire"),
        ],
        repeat=(6, 1, 1),
        site_energies={"ion": 0.02, "atom": 0.03},
        pair_energies={("atom", "atom"): -0.03, ("ion", "ion"): 0.02},
        charges={"ion": 1},
        potential_V=phi,
        electrodes={"wire": V},
    )
    states = list(itertools.product(range(3), repeat=6))
    ions = np.array([sum(x == gas.species.index("ion") for x in s) for s in states])
    energy = np.array([gas.energy_eV(np.array(s)) for s in states]) - ions * V
    # an ion that entered left an electron, and the atom it becomes takes it back
    weight = np.exp(-energy / KT)
    number = {s: i for i, s in enumerate(states)}
    rate = formulas.hop_rate(0.2, T, 1e12, 0.0)
    run = gas.run({}, times_s=np.arange(40_001) * 8.0 / rate, rng=17)
    found = np.bincount([number[tuple(s)] for s in run.occupation.values[10:].tolist()], minlength=729)
    assert chi_square(found, weight) > 1e-4
    assert not gas.irreversible


@pytest.mark.parametrize("filled", [0.1, 0.6])
def test_a_density_mode_decays_at_its_own_rate_at_any_density(filled):
    # means of a symmetric exclusion process obey the diffusion equation whatever the density: one large sample
    edge = (40, 30, 30)
    gas = LatticeGas(CUBIC, [Hop("ion", BARRIER)], repeat=edge)
    rng = np.random.default_rng(18)
    k = 2 * np.pi / edge[0]
    wave = np.cos(k * np.arange(edge[0]))
    chance = np.broadcast_to((filled * (1 + 0.6 * wave))[:, None, None], edge)
    start = (rng.random(edge) < chance).ravel()
    codes = np.where(start, gas.species.index("ion"), gas.species.index("empty"))
    decay = formulas.density_mode_rate(G, k)
    times = np.array([0.5, 1.0, 1.5]) / decay
    run = gas.run(codes, times_s=times, rng=19)
    occupied = (run.occupation.values == gas.species.index("ion")).reshape(-1, *edge)
    amplitude = occupied.sum(axis=(2, 3)) @ wave
    first = start.reshape(edge).sum(axis=(1, 2)) @ wave
    # the variance of a sum of exclusion occupancies is at most that of independent sites
    sigma = np.sqrt(gas.sites * filled * (1 - filled) / 2)
    assert np.all(np.abs(amplitude - first * np.exp(-decay * times)) <= 4 * sigma)
    assert 4 * sigma < 0.15 * first


def test_single_file_diffusion():
    # annealed start, infinite file: the ring is 30 correlation lengths long. The law holds for long times: the error
    # allowed is 4 standard errors and 3 % for what is left of the start (1 / sqrt(G t) = 0.03)
    n, density = 2000, 0.5
    gas = LatticeGas(RING, [Hop("ion", BARRIER)], repeat=(n, 1, 1))
    t = 1000.0 / G
    squares = []
    for replica in range(4):
        run = gas.run({"ion": int(n * density)}, times_s=np.arange(1, 9) * t, track="ion", snapshots=False, rng=replica)
        moved = np.diff(run.displacement.values[:, :, 0], axis=0) / A
        squares += list((moved**2).mean(axis=1))
    found, error = np.mean(squares), np.std(squares, ddof=1) / np.sqrt(len(squares))
    expected = formulas.single_file_displacement(density, G, t)
    assert abs(found - expected) <= 4 * error + 0.03 * expected
    assert error < 0.05 * expected


@pytest.mark.parametrize("step_eV", [2e-3, 0.02])
def test_median_switching_time_under_a_ramp(step_eV):
    # rate k0 exp(g t); steps held in the middle are right to second order: (g dt)^2 / 24 < 1 % even at 20 meV
    sites, slope = 40_000, 10.0
    gas = LatticeGas(
        RING,
        [Reaction("empty", "ion", 0.6, electrode="top", reversible=False)],
        repeat=(sites, 1, 1),
        charges={"ion": 1},
        electrodes={"top": 0.0},
    )
    assert gas.irreversible == ("empty -> ion",)
    g = 0.5 * slope / KT
    median = formulas.ramp_median_time(arrhenius(0.6, 0.0), g)
    end = 1.2 * median
    high = gas.with_conditions(electrodes={"top": slope * end})
    assert slope * end < 1.2  # below the end of the activated range, dE = -2 E0
    run = gas.run({}, times_s=[median, end], towards=high, step_eV=step_eV, rng=20)
    switched = run.amount.sel(species="ion").values[0]
    assert abs(switched - sites / 2) <= 4 * np.sqrt(sites) / 2


@pytest.mark.parametrize("what", ["temperature", "field"])
def test_hops_counted_under_a_ramp(what):
    # one walker on equal sites: a Poisson process whose rate is known at every instant
    gas = LatticeGas(CUBIC, [Hop("ion", 0.5)], repeat=(3, 3, 3), charges={"ion": 1})
    s = np.linspace(0.0, 1.0, 20_001)
    if what == "temperature":
        end = gas.with_conditions(temperature_K=400.0)
        rate = 6 * formulas.hop_rate(0.5, T + 100.0 * s, 1e12, 0.0)
    else:
        u = 6.0
        end = gas.with_conditions(field_V_m=(0.0, u * KT / A, 0.0))
        rate = formulas.hop_rate(0.5, T, 1e12, 0.0) * (4 + 2 * np.cosh(u * s / 2))
    mean = np.trapezoid(rate, s)
    run = gas.run({"ion": 1}, time_s=40_000 / mean, towards=end, rng=24)
    assert abs(int(run.events.values[-1].sum()) - 40_000) <= 4 * np.sqrt(40_000)
    assert rate[-1] / rate[0] > 4


@pytest.mark.parametrize(
    ("network", "exact", "edges"),
    [
        (CUBIC, 0.653109, (7, 10)),
        (networks.bcc(A), 0.727194, (6, 8)),
        (networks.fcc(A), 0.781451, (4, 6)),
    ],
    ids=["sc", "bcc", "fcc"],
)
def test_tracer_correlation_of_a_vacancy(network, exact, edges):
    # one vacancy in a periodic box is biased by a constant / N: two boxes, extrapolated. All atoms are tracers; a
    # window of 60 jumps for each atom leaves the ends of encounters out, less than 1 / 60 of 1 - f: 0.5 %
    length = network.class_length_m[0]
    found, error = [], []
    for edge in edges:
        gas = LatticeGas(network, [Hop("vacancy", 0.1, into="atom")], repeat=(edge,) * 3)
        n = gas.sites
        run = gas.run({"vacancy": 1}, events=n, rng=edge)
        samples = []
        for window in range(max(4, round(8e6 / (60 * n)))):
            run = gas.run(
                run.occupation.values[-1], events=60 * n, track="atom", rng=np.random.default_rng([edge, window])
            )
            samples.append((run.displacement.values[-1] ** 2).sum() / (60 * n * length**2))
        found.append(np.mean(samples) * n)
        error.append(np.std(samples, ddof=1) / np.sqrt(len(samples)) * n)
    span = np.diff([e**3 * network.sites for e in edges])[0]
    factor, sigma = (found[1] - found[0]) / span, np.hypot(*error) / span
    assert abs(factor - exact) <= 4 * sigma + 0.005
    assert sigma < 0.01
