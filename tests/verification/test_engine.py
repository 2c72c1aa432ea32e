"""Is the event engine exact? Each tolerance is fixed before the run: 4 standard errors unless said otherwise."""

import itertools

import numpy as np
import pytest
from scipy import stats

from halidrift import Device
from halidrift.kmc import FilamentKMC, _engine, _fields
from halidrift.kmc.lattice import BOTTOM, SIDE, TOP, column
from halidrift.kmc.simulation import _start
from halidrift.physics.constants import BOLTZMANN_EV_K

T = 300.0
KT = BOLTZMANN_EV_K * T
DEVICE = Device.load("john2022-ogb")


def physics(**changes):
    return FilamentKMC(DEVICE).kernel_parameters._replace(series_ohm=0.0, thermal_K_W=0.0, **changes)


def chain(length):
    """A single row of sites between the electrodes: small enough to enumerate every state."""
    neighbours = np.full((length, 6), SIDE, np.int32)
    neighbours[:, 4] = np.arange(length) - 1
    neighbours[:, 5] = np.arange(length) + 1
    neighbours[0, 4], neighbours[-1, 5] = BOTTOM, TOP
    return _engine.State(
        occupation=np.zeros(length, np.int8),
        neighbours=neighbours,
        coordination=np.zeros(length, np.int8),
        offset=np.zeros(length),
        wetting=np.arange(length) == 0,
        metal=np.zeros(length, np.int32),
        position=np.full(length, -1, np.int32),
        ions=np.zeros(length, np.int32),
        ion_position=np.full(length, -1, np.int32),
        u=np.zeros(length + 1),
        psi=(np.arange(length) + 0.5) / length,
        net=_fields.network(np.arange(length)),
        top=np.array([length - 1], np.int32),
        top_class=np.zeros(1, np.int32),
        class_rate=np.zeros(1),
        top_number=np.where(np.arange(length) == length - 1, 0, -1).astype(np.int32),
        tree=np.zeros(2 * (1 << int(np.ceil(np.log2(length + 1))))),
        clock=np.zeros(_engine.CLOCK_SIZE),
        tally=np.zeros(_engine.COUNT_SIZE, np.int64),
        choice=np.zeros(8),
    )


def test_the_tree_draws_in_proportion_to_the_rates():
    rng = np.random.default_rng(1)
    rates = rng.exponential(size=37) * (rng.random(37) > 0.3)
    tree = np.zeros(2 * 64)
    for leaf, rate in enumerate(rates):
        _engine.tree_set(tree, leaf, rate)
    assert tree[1] == pytest.approx(rates.sum(), rel=1e-13)
    draws = 200_000
    found = np.bincount([_engine.tree_find(tree, rng.random() * tree[1]) for _ in range(draws)], minlength=37)
    expected = draws * rates / rates.sum()
    assert found[rates == 0].sum() == 0
    sigma = np.sqrt(expected * (1 - rates / rates.sum()))
    assert np.all(np.abs(found - expected) <= 4 * sigma + 1e-9)


def test_waiting_times_are_exponential():
    # nothing can be reduced, so every ion returns and the total rate never changes
    kernel = physics(reduction_eV=5.0, dissolution_eV=5.0, explicit=False)
    rng = np.random.default_rng(2)
    state = _start(column(DEVICE.value("lattice_constant_m"), 3e-9, 3e-9), DEVICE)
    waits = []
    for _ in range(4000):
        before = state.clock[_engine.TIME]
        assert _engine.advance(1e9, 1.0, 0.0, np.inf, state, kernel, 0, rng) == _engine.TOO_MANY_EVENTS
        waits.append(state.clock[_engine.TIME] - before)
    V, rate = state.clock[_engine.DEVICE_VOLTAGE], 0.0
    for s in state.top:  # ions that turn back where they entered are not timed
        total = _engine.ion_choices(s, V, T, state, kernel)
        rate += _engine.electrode_rates(state.offset[s], V, kernel)[0] * (1 - state.choice[7] / total)
    assert stats.kstest(np.array(waits) * rate, "expon").pvalue > 1e-4


def test_median_of_the_first_event_under_a_ramp():
    # rate k0 exp(g t): median ln(1 + g ln2 / k0) / g; holding the voltage in steps of dV delays it by about g dt / 2
    kernel = physics(reduction_eV=5.0, dissolution_eV=5.0, explicit=True)
    lattice = column(DEVICE.value("lattice_constant_m"), 3e-9, 3e-9)
    slope = 1.0
    g = 0.5 * kernel.anode_share * slope / KT
    state = _start(lattice, DEVICE)
    k0 = sum(_engine.electrode_rates(offset, 0.0, kernel)[0] for offset in state.offset[state.top])
    rng = np.random.default_rng(3)
    first = []
    for _ in range(2000):
        state = _start(lattice, DEVICE)
        assert _engine.advance(5.0, 0.0, slope, np.inf, state, kernel, 0, rng) == _engine.TOO_MANY_EVENTS
        first.append(state.clock[_engine.TIME])
    expected = np.log1p(g * np.log(2) / k0) / g
    density = k0 * np.exp(g * expected) / 2  # of the distribution at its median
    error = 1 / (2 * density * np.sqrt(len(first)))
    assert np.median(first) == pytest.approx(expected, abs=4 * error + 0.02 / g)


def test_drift_of_an_ion_is_mott_gurney():
    # sum of hop rates times displacement in a uniform field, exact up to rounding: 1e-12
    for u in (0.5, 4.0):
        kernel = physics(anode_share=0.0, cathode_share=0.0)
        state = chain(9)
        V = u * KT * 9  # psi rises by 1/9 a site, so a hop gains u kT
        _engine.ion_choices(4, V, T, state, kernel)
        rest = kernel.attempt_Hz * np.exp(-kernel.hop_eV / KT)
        assert state.choice[4] - state.choice[5] == pytest.approx(2 * rest * np.sinh(u / 2), rel=1e-12)


def test_ions_reach_the_grand_canonical_occupancy():
    # exclusion, an offset outside the channel, exchange with the electrode: <n> = 1 / (1 + exp(E / kT)) on each site
    kernel = physics(reduction_eV=5.0, dissolution_eV=5.0, ion_eV=0.05, transfer_eV=0.27, explicit=True)
    device = DEVICE.with_parameters(channel_energy_eV=0.04, channel_radius_m=0.3e-9)
    state = _start(column(device.value("lattice_constant_m"), 1.8e-9, 1.8e-9), device)
    rng = np.random.default_rng(4)
    samples, step = 6000, 2e-8
    mean = np.zeros(state.occupation.size)
    blocks = []
    for i in range(samples):
        _engine.advance((i + 1) * step, 0.0, 0.0, np.inf, state, kernel, 10**9, rng)
        mean += state.occupation == _engine.ION
        blocks.append(np.mean(state.occupation == _engine.ION))
    expected = 1 / (1 + np.exp((kernel.ion_eV + state.offset) / KT))
    block = np.array(blocks[100:]).reshape(59, -1).mean(axis=1)
    error = block.std(ddof=1) / np.sqrt(len(block))
    assert block.mean() == pytest.approx(expected.mean(), abs=4 * error)
    inside = state.offset == 0
    ratio = mean[inside].mean() / mean[~inside].mean()
    spread = 4 * np.sqrt(1 / mean[inside].sum() + 1 / mean[~inside].sum()) * ratio
    assert ratio == pytest.approx(expected[inside].mean() / expected[~inside].mean(), abs=spread)


def test_atoms_ions_and_voids_reach_the_boltzmann_distribution():
    # two sites between the electrodes, nine states, all energies known; 1 bond of J for each touching pair
    J, dissolution, reduction = 0.03, 0.30, 0.25
    kernel = physics(
        reduction_eV=reduction,
        dissolution_eV=dissolution,
        bond_eV=J,
        ion_eV=0.02,
        transfer_eV=0.25,
        hop_eV=0.25,
        explicit=True,
    )

    def energy(a, b):
        total = 0.02 * ((a == 1) + (b == 1))
        kink = 0.02 - (dissolution - reduction)  # an atom with three bonds, against the electrode
        total += (kink + 3 * J) * ((a == 2) + (b == 2))
        return total - J * ((a == 2) + (b == 2) + (a == 2) * (b == 2))  # electrodes bond on both sides

    states = list(itertools.product(range(3), repeat=2))
    weight = np.exp([-energy(*s) / KT for s in states])
    weight /= weight.sum()
    state = chain(2)
    rng = np.random.default_rng(5)
    samples, step = 40_000, 2e-8  # ten mean lives of the slowest state between samples
    found = np.zeros(9)
    for i in range(samples):
        _engine.advance((i + 1) * step, 0.0, 0.0, np.inf, state, kernel, 10**9, rng)
        found[states.index(tuple(int(o) for o in state.occupation))] += 1
    sigma = np.sqrt(samples * weight * (1 - weight))
    assert np.all(np.abs(found - samples * weight) < 4 * sigma * 1.5)  # 1.5: leftover correlation of samples


def test_in_the_last_gap_each_metal_gives_the_electron_at_its_own_potential():
    # exact up to rounding: 1e-12
    kernel = physics(anode_share=0.3, cathode_share=0.6)
    state = chain(3)
    for s in (0, 1):
        _engine.set_metal(s, state, kernel)
    state.u[:2] = 0.0, 0.25
    V = 0.4
    _engine.ion_choices(2, V, T, state, kernel)
    film = 0.6 + 0.1 * 5 / 6  # where the ion is, above the film at the counter electrode
    eta = V * np.array([film - 0.25, film - 1.0])  # the filament below, the electrode above
    rise = kernel.reduction_eV - kernel.dissolution_eV + (3 - 2) * kernel.bond_eV
    barrier = np.maximum.reduce([kernel.reduction_eV - 0.5 * eta, rise - eta, np.zeros(2)])
    expected = kernel.attempt_Hz * np.exp(-barrier / KT).mean()
    assert state.choice[6] == pytest.approx(expected, rel=1e-12)


def test_a_negative_electrode_shares_the_voltage_otherwise():
    kernel = physics(anode_share=0.3, cathode_share=0.6, reverse_anode_share=0.1, reverse_cathode_share=0.4)
    # metal on either electrode's potential, in the film beside that electrode
    assert _engine.overpotential(0.0, 0.0, 1.0, kernel) == pytest.approx(0.6)
    assert _engine.overpotential(1.0, 1.0, 1.0, kernel) == pytest.approx(-0.3)
    assert _engine.overpotential(0.0, 0.0, -1.0, kernel) == pytest.approx(-0.4)
    assert _engine.overpotential(1.0, 1.0, -1.0, kernel) == pytest.approx(0.1)
    # a filament on the counter electrode dissolves first where the film is nearest to the negative one
    assert _engine.overpotential(0.0, 1.0, -1.0, kernel) == pytest.approx(-0.9)


@pytest.mark.parametrize("V", [0.7, -2.0])
def test_an_ion_gains_the_whole_voltage_whatever_its_way(V):
    # out of the active electrode, along the film to a site, into metal at potential u: e V (1 - u), exact
    kernel = physics(anode_share=0.3, cathode_share=0.6, reverse_anode_share=0.1, reverse_cathode_share=0.4)
    film = 1 - sum(_engine.interface_shares(V, kernel))
    for psi, u in itertools.product((0.0, 0.2, 0.9), (0.0, 0.5, 1.0)):
        gained = -_engine.overpotential(1.0, 1.0, V, kernel) + film * V * (1.0 - psi)
        gained += _engine.overpotential(u, psi, V, kernel)
        assert gained == pytest.approx(V * (1 - u), abs=1e-12)


def test_heat_is_where_half_of_the_voltage_is():
    # a uniform rod between cool contacts has a parabola of temperature: exact
    kernel = physics()
    u = np.linspace(0, 1, 5)
    found = [_engine.local_temperature(x, 400.0, kernel) for x in u]
    np.testing.assert_allclose(found, T + 100.0 * (1 - (2 * u - 1) ** 2), rtol=1e-14)


def test_an_ion_that_wanders_for_long_ends_where_its_rates_say():
    # three free sites between two metal ends: hops outnumber reductions by e^20, so the exits are taken in the ratio
    # of their rates, e^(V / 2 kT); 4 standard errors of 600 ions
    kernel = physics(anode_share=0.5, cathode_share=0.5, reduction_eV=0.8, dissolution_eV=3.0, hop_eV=0.27)
    rng = np.random.default_rng(8)
    state = chain(5)
    for s in (0, 4):
        _engine.set_metal(s, state, kernel)
    state.u[[0, 4]] = 0.0, 1.0
    V = 0.05
    ends = np.array([_engine.walk(2, V, T, state, kernel, rng) for _ in range(600)])
    assert set(ends) == {1, 3}
    share = 1 / (1 + np.exp(-0.5 * V / KT))
    assert np.mean(ends == 1) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 600))
    assert state.tally[_engine.CAUGHT] == 600


def test_a_wire_has_the_conductance_of_its_links_in_series():
    kernel = physics()
    state = chain(6)
    for s in range(6):
        _engine.set_metal(s, state, kernel)
    assert _engine.update_network(state, kernel)
    links = [_fields.link_conductance(2, 6, kernel.contact_S, kernel.metal_S)] * 2
    links += [_fields.link_conductance(2, 2, kernel.contact_S, kernel.metal_S)] * 5
    expected = 1 / sum(1 / g for g in links)
    assert state.clock[_engine.FILAMENT] == pytest.approx(expected, rel=1e-6)


def test_a_gap_adds_one_tunnelling_link():
    kernel = physics()
    state = chain(6)
    for s in range(4):  # two empty sites below the top electrode
        _engine.set_metal(s, state, kernel)
    assert _engine.update_network(state, kernel)
    gap = kernel.contact_S * np.exp(-kernel.tunnel_decay_1_m * (kernel.tunnel_gap_m + kernel.spacing_m))
    metal = _fields.link_conductance(2, 2, kernel.contact_S, kernel.metal_S)
    resistance = 1 / gap + 2 / metal + 1 / _fields.link_conductance(2, 1, kernel.contact_S, kernel.metal_S)
    resistance += 1 / _fields.link_conductance(2, 6, kernel.contact_S, kernel.metal_S)
    assert state.clock[_engine.FILAMENT] == pytest.approx(1 / resistance, rel=1e-4)


def test_rows_kept_up_to_date_are_the_rows_made_anew():
    # 400 atoms come and go at random; then all rows, made in another order: alike to the last bit, and the potential is
    # that of a direct solution (1e-6 of a volt, for a residual of 1e-14)
    kernel = physics(network_tolerance=1e-14)
    lattice = column(DEVICE.value("lattice_constant_m"), 3e-9, 6e-9)
    rng = np.random.default_rng(11)
    state, again = _start(lattice, DEVICE), _start(lattice, DEVICE)
    for s in rng.integers(lattice.size, size=400):
        change = _engine.set_metal if state.occupation[s] == _engine.EMPTY else _engine.clear_metal
        change(s, state, kernel)
    atoms = np.flatnonzero(state.occupation == _fields.METAL)
    for s in atoms:
        _engine.set_metal(s, again, kernel)
    rows = [net.net for net in (state, again)]
    places = [st.position[atoms] for st in (state, again)]
    for name in ("target", "weight", "source", "ground", "float_to", "diagonal"):
        np.testing.assert_array_equal(*(getattr(net, name)[i] for net, i in zip(rows, places, strict=True)))
    assert _engine.update_network(state, kernel)
    assert _engine.update_network(again, kernel)
    net, place, n = state.net, state.position, len(atoms)
    A, b = np.zeros((n, n)), np.zeros(n)
    number = {s: k for k, s in enumerate(atoms)}
    for k, s in enumerate(atoms):
        i = place[s]
        A[k, k] = net.diagonal[i]
        b[k] = net.source[i] + 1e-6 * kernel.contact_S * net.float_to[i]
        for t, g in zip(net.target[i], net.weight[i], strict=True):
            if g > 0:
                A[k, number[t]] -= g
    np.testing.assert_allclose(A, A.T, rtol=1e-12)
    expected = np.linalg.solve(A, b)
    for st in (state, again):
        np.testing.assert_allclose(st.u[atoms], expected, atol=1e-6)


@pytest.mark.parametrize("transport", ["fast", "explicit"])
def test_silver_is_conserved(transport):
    import json

    from halidrift import Waveform

    cell = FilamentKMC(DEVICE, transport=transport)
    run = cell.simulate(Waveform.pulses(1.0, 4e-3, 6e-3, 1, compliance_A=1e-6), rng=1)
    counts = json.loads(run.attrs["counts"])
    metal, ions = float(run.metal_atoms[-1]), float(run.ions[-1])
    assert metal == counts["deposited"] - counts["dissolved"]
    left = counts["injected"] + counts["dissolved"] - counts["deposited"] - counts["returned"]
    assert left == (ions if transport == "explicit" else 0)  # in fast transport: the mean number in flight
    assert metal == np.count_nonzero(run.occupation == 2)
    assert metal > 20


@pytest.mark.slow
def test_fast_transport_agrees_with_explicit_hops():
    # time to the first microsiemens and atoms at that instant: KS over 24 devices each, p > 0.01
    from halidrift import Waveform
    from halidrift.kmc import ensemble

    pulse = Waveform.pulses(1.0, 20e-3, 25e-3, 1, compliance_A=1e-6, samples_per_period=500)
    times, atoms = {}, {}
    for seed, transport in enumerate(("fast", "explicit")):
        runs = ensemble.run(FilamentKMC(DEVICE, transport=transport), pulse, 24, rng=seed, processes=1)
        on = (runs.conductance > 1e-6).argmax("time")
        times[transport] = runs.time.values[on.values]
        atoms[transport] = runs.metal_atoms.isel(time=on).values
        assert (runs.conductance.max("time") > 1e-6).all()
    assert stats.ks_2samp(times["fast"], times["explicit"]).pvalue > 0.01
    assert stats.ks_2samp(atoms["fast"], atoms["explicit"]).pvalue > 0.01
