"""Compiled event engine of the filament.

Rejection-free: each timed process has a leaf in a sum tree, an event costs O(log N) to draw. Rates follow the
device voltage, the temperature and the coordination; they are rebuilt when one of these changes and never by
the clock. A waiting time that crosses a change of rates is drawn anew from the change on, which is exact for
an exponential distribution.

Timed processes, one leaf a site and one for each site under the active electrode:

* oxidation at the active electrode: an ion enters the site below it;
* dissolution of an atom into an ion in its place;
* in explicit transport, everything an ion can do: hop, be reduced, return to the electrode.

In fast transport an ion takes its steps at once (the jump chain of the same rates, with no clock) until it is
reduced or back in the electrode: exact while less than one ion is in flight at a time. An ion that turns back where it
entered changes nothing; such pairs of events are left out, and the rate of those that remain is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..physics import formulas
from ._fields import METAL, Network, move_row, network_conductance, set_rows_around
from ._selection import inline, kernel, part
from .lattice import BOTTOM, TOP

hop_rate = inline(formulas.hop_rate)
balanced_barrier = inline(formulas.balanced_barrier)
charge_transfer_barriers = inline(formulas.charge_transfer_barriers)
compliance_voltage = inline(formulas.compliance_voltage)

EMPTY, ION = 0, 1

# status of `advance`
DONE, TOO_MANY_EVENTS, LOST_ION, FIELD_NOT_CONVERGED, MELTED = 0, 1, 2, 3, 4

# slots of `clock`; FLIGHT sums the time that ions of fast transport would have been on their way
TIME, DEVICE_VOLTAGE, CURRENT, CONDUCTANCE, TEMPERATURE, FILAMENT, PEAK, FLIGHT = range(8)
CLOCK_SIZE = 8

# slots of `tally`
N_METAL, N_ION, EVENTS, HOPS, INJECTED, RETURNED, DEPOSITED, DISSOLVED, SOLVES, ITERATIONS = range(10)
FIELD_STALE, CAUGHT = 10, 11
COUNT_SIZE = 12

# an ion that has taken so many steps has forgotten where it began; its end is drawn from as many more
_FORGOTTEN = 10_000


class State(NamedTuple):
    """Arrays that the kernel changes in place."""

    occupation: np.ndarray  # (sites,) EMPTY, ION or METAL
    neighbours: np.ndarray  # (sites, 6) site, SIDE, BOTTOM or TOP
    coordination: np.ndarray  # (sites,) bonds of an atom
    offset: np.ndarray  # (sites,) eV, energy of an ion above one in the channel
    wetting: np.ndarray  # (sites,) whether the counter electrode below bonds to Ag
    metal: np.ndarray  # (sites,) list of the sites with an atom, tally[N_METAL] long
    position: np.ndarray  # (sites,) place in that list, or -1
    ions: np.ndarray  # (sites,) list of the sites with an ion, tally[N_ION] long
    ion_position: np.ndarray
    u: np.ndarray  # (sites + 1,) potential of the metal for one volt; the last place stays 0
    psi: np.ndarray  # (sites,) potential of the film, where the ions are, for one volt across it
    net: Network  # links between atoms
    top: np.ndarray  # sites under the active electrode
    top_class: np.ndarray  # which of them are alike while no metal is near
    class_rate: np.ndarray  # (classes,) scratch: rate of oxidation into such a site
    top_number: np.ndarray  # (sites,) place in that list, or -1
    tree: np.ndarray  # sum tree of all rates, Hz
    clock: np.ndarray  # time, circuit and temperature
    tally: np.ndarray  # events, hops, lengths of the lists
    choice: np.ndarray  # (8,) scratch: rates of one ion


class Physics(NamedTuple):
    """Parameters of the kernel; energies in eV, everything else SI."""

    attempt_Hz: float
    hop_eV: float
    transfer_eV: float
    dissolution_eV: float
    reduction_eV: float
    bond_eV: float
    ion_eV: float
    anode_share: float
    cathode_share: float
    reverse_anode_share: float
    reverse_cathode_share: float
    contact_S: float
    metal_S: float
    tunnel_decay_1_m: float
    tunnel_gap_m: float
    leakage_S: float
    series_ohm: float
    thermal_K_W: float
    ambient_K: float
    melting_K: float
    spacing_m: float
    explicit: bool
    voltage_step_V: float
    network_tolerance: float


# -- sum tree ------------------------------------------------------------------------------------------------


@kernel
def tree_set(tree, leaf, rate):
    """Give one leaf a rate; O(log N)."""
    i = tree.size // 2 + leaf
    tree[i] = rate
    i //= 2
    while i >= 1:
        tree[i] = tree[2 * i] + tree[2 * i + 1]
        i //= 2


@kernel
def tree_find(tree, x):
    """Leaf in which the running sum of rates passes x; 0 <= x < tree[1]."""
    half = tree.size // 2
    i = 1
    while i < half:
        left = tree[2 * i]
        if x < left or tree[2 * i + 1] == 0.0:
            i = 2 * i
        else:
            x -= left
            i = 2 * i + 1
    return i - half


# -- rates ---------------------------------------------------------------------------------------------------


@inline
def interface_shares(V, physics):
    """Shares of the device voltage at the active electrode and at metal on the counter electrode's potential."""
    if V < 0.0:
        return physics.reverse_anode_share, physics.reverse_cathode_share
    return physics.anode_share, physics.cathode_share


@inline
def overpotential(u, psi, V, physics):
    """Voltage across the surface of metal at unit potential u in film at psi; positive drives reduction."""
    active, counter = interface_shares(V, physics)
    return V * (counter + (1.0 - active - counter) * psi - u)


@inline
def local_temperature(u, T, physics):
    """Temperature where the unit potential is u, hottest half way between the contacts, which stay cool.

    Heat and current flow between the same two contacts, so isotherms are equipotentials; T is the hottest of them.
    """
    return physics.ambient_K + (T - physics.ambient_K) * 4.0 * u * (1.0 - u)


@inline
def dissolution_rate(n, eta, offset_eV, physics, T):
    """An atom with n bonds turns into an ion, at overpotential eta (positive protects it)."""
    _, backward = charge_transfer_barriers(
        physics.reduction_eV, physics.dissolution_eV + (n - 3.0) * physics.bond_eV + offset_eV, eta
    )
    return hop_rate(backward, T, physics.attempt_Hz, 0.0)


@inline
def reduction_rate(n, eta, offset_eV, physics, T):
    """An ion that touches metal turns into an atom with n bonds."""
    forward, _ = charge_transfer_barriers(
        physics.reduction_eV, physics.dissolution_eV + (n - 3.0) * physics.bond_eV + offset_eV, eta
    )
    return hop_rate(forward, T, physics.attempt_Hz, 0.0)


@inline
def electrode_rates(offset_eV, V, physics):
    """Oxidation of the active electrode into the site below it, and the return of that ion; the electrode is cool."""
    back, out = charge_transfer_barriers(
        physics.transfer_eV, physics.transfer_eV + physics.ion_eV + offset_eV, overpotential(1.0, 1.0, V, physics)
    )
    T = physics.ambient_K
    return hop_rate(out, T, physics.attempt_Hz, 0.0), hop_rate(back, T, physics.attempt_Hz, 0.0)


@inline
def contact(s, state):
    """Bonds that an atom in site s has or would have, and the mean unit potential of the metal it touches."""
    n, total = 0, 0.0
    for d in range(6):
        t = state.neighbours[s, d]
        if t >= 0:
            if state.occupation[t] == METAL:
                n += 1
                total += state.u[t]
        elif t == TOP:
            n += 1
            total += 1.0
        elif t == BOTTOM and state.wetting[s]:
            n += 1
    return n, (total / n if n > 0 else 0.0)


@inline
def reduction_choice(s, V, T, state, physics):
    """Rate at which the ion in site s turns into an atom: the mean over the metal that could give the electron.

    Each neighbour gives it at a potential of its own: in the last gap the filament does, not the electrode.
    """
    n, _ = contact(s, state)
    total = 0.0
    for d in range(6):
        t = state.neighbours[s, d]
        if t >= 0 and state.occupation[t] == METAL:
            u = state.u[t]
        elif t == TOP:
            u = 1.0
        elif t == BOTTOM and state.wetting[s]:
            u = 0.0
        else:
            continue
        here = local_temperature(u, T, physics)
        total += reduction_rate(n, overpotential(u, state.psi[s], V, physics), state.offset[s], physics, here)
    return total / n if n > 0 else 0.0


@inline
def ion_choices(s, V, T_hot, state, physics):
    """Rates of all an ion in site s can do, into `choice`: 0-5 hops, 6 reduction, 7 return; returns their sum."""
    active, counter = interface_shares(V, physics)
    film = 1.0 - active - counter
    choice, offset, psi = state.choice, state.offset, state.psi
    choice[7] = 0.0
    for d in range(6):
        t = state.neighbours[s, d]
        choice[d] = 0.0
        if t >= 0 and state.occupation[t] == EMPTY:
            rise = film * V * (psi[t] - psi[s]) + offset[t] - offset[s]
            T = local_temperature(0.5 * (psi[s] + psi[t]), T_hot, physics)  # of the saddle, alike both ways
            choice[d] = hop_rate(balanced_barrier(physics.hop_eV, rise), T, physics.attempt_Hz, 0.0)
        elif t == TOP:
            choice[7] = electrode_rates(offset[s], V, physics)[1]
    choice[6] = reduction_choice(s, V, T_hot, state, physics)
    total = 0.0
    for k in range(8):
        total += choice[k]
    return total


@inline
def draw(choice, total, rng):
    """Index of `choice`, with probability in proportion to its rate."""
    x = rng.random() * total
    k = 0
    while k < 7 and x >= choice[k]:
        x -= choice[k]
        k += 1
    while choice[k] == 0.0:  # rounding at the end of the sum
        k -= 1
    return k


# -- changes of the configuration ----------------------------------------------------------------------------


@inline
def list_add(members, position, n, s):
    """Append s; returns the new length."""
    members[n] = s
    position[s] = n
    return n + 1


@inline
def list_remove(members, position, n, s):
    """Take s out, the last member into its place; returns the new length."""
    last = members[n - 1]
    members[position[s]] = last
    position[last] = position[s]
    position[s] = -1
    return n - 1


@part
def set_ion(s, state):
    """Put an ion into site s."""
    state.occupation[s] = ION
    state.tally[N_ION] = list_add(state.ions, state.ion_position, state.tally[N_ION], s)


@part
def clear_ion(s, state):
    """Take the ion out of site s."""
    state.occupation[s] = EMPTY
    state.tally[N_ION] = list_remove(state.ions, state.ion_position, state.tally[N_ION], s)
    tree_set(state.tree, s, 0.0)


@part
def relink(s, state, physics):
    """The network around site s after its atom came or went."""
    numbers = (physics.contact_S, physics.metal_S, physics.tunnel_decay_1_m, physics.tunnel_gap_m, physics.spacing_m)
    set_rows_around(
        s,
        state.net,
        state.occupation,
        state.neighbours,
        state.coordination,
        state.position,
        state.psi,
        numbers,
    )
    state.tally[FIELD_STALE] = 1


@kernel
def set_metal(s, state, physics):
    """Put an atom into site s."""
    n, potential = contact(s, state)
    for d in range(6):
        t = state.neighbours[s, d]
        if t >= 0 and state.occupation[t] == METAL:
            state.coordination[t] += 1
    state.occupation[s] = METAL
    state.coordination[s] = n
    state.u[s] = potential  # that of the metal it touches: where no current ends in it, already the solution
    state.tally[N_METAL] = list_add(state.metal, state.position, state.tally[N_METAL], s)
    relink(s, state, physics)


@kernel
def clear_metal(s, state, physics):
    """Take the atom out of site s."""
    state.occupation[s] = EMPTY
    state.coordination[s] = 0
    for d in range(6):
        t = state.neighbours[s, d]
        if t >= 0 and state.occupation[t] == METAL:
            state.coordination[t] -= 1
    move_row(state.tally[N_METAL] - 1, state.position[s], state.net)  # as the list moves its last member
    state.tally[N_METAL] = list_remove(state.metal, state.position, state.tally[N_METAL], s)
    relink(s, state, physics)


@kernel
def walk(s, V, T, state, physics, rng):
    """Steps of one ion from site s until it is reduced (its site) or back in the electrode (-1); -2 if lost.

    Among metal that does not take it an ion may wander for millions of steps. Once it has forgotten where it began,
    its end is drawn from the exits that it passes, each with the chance of being taken there.
    """
    passed, end = 0.0, -2
    for step in range(20 * _FORGOTTEN):
        total = ion_choices(s, V, T, state, physics)
        if total <= 0.0:
            return -2
        choice = state.choice
        state.clock[FLIGHT] += 1.0 / total
        k = draw(choice, total, rng)
        if k == 6:
            return s
        if k == 7:
            return -1
        if step >= _FORGOTTEN:
            leave = choice[6] + choice[7]
            passed += leave / total
            if rng.random() * passed * total < leave:
                end = s if rng.random() * leave < choice[6] else -1
            if step >= 2 * _FORGOTTEN and passed > 0.0:
                state.tally[CAUGHT] += 1
                return end
        s = np.int64(state.neighbours[s, k])
        state.tally[HOPS] += 1
    return -2


# -- fields and circuit --------------------------------------------------------------------------------------


@kernel
def update_circuit(V_source, limit_A, clock, physics):
    """Split the source voltage between compliance, series resistance and film; the current heats the film."""
    G_film = clock[FILAMENT] + physics.leakage_S
    G = 1.0 / (physics.series_ohm + 1.0 / G_film)
    V = compliance_voltage(V_source, G, limit_A)
    current = V * G
    V_film = current / G_film
    clock[CURRENT] = current
    clock[CONDUCTANCE] = G
    clock[DEVICE_VOLTAGE] = V
    clock[TEMPERATURE] = physics.ambient_K + physics.thermal_K_W * abs(current * V_film)
    clock[PEAK] = max(clock[PEAK], clock[TEMPERATURE])
    return V_film


@kernel
def update_network(state, physics):
    """Conductance of the filament after its metal has changed; returns whether the solve converged."""
    count = state.tally
    G, residual, iterations = network_conductance(
        state.net, state.metal, count[N_METAL], state.u, physics.contact_S, physics.leakage_S, physics.network_tolerance
    )
    state.clock[FILAMENT] = G
    count[FIELD_STALE] = 0
    count[SOLVES] += 1
    count[ITERATIONS] += iterations
    return residual <= 10 * physics.network_tolerance


@part
def oxidation_rate(s, V, T, state, physics):
    """Rate at which the active electrode puts an ion into the empty site s below it."""
    rate = electrode_rates(state.offset[s], V, physics)[0]
    if not physics.explicit:
        # most ions turn back where they enter: nothing happens, so only those that do not are timed
        total = ion_choices(s, V, T, state, physics)
        rate *= (total - state.choice[7]) / total
    return rate


@part
def rebuild_rates(V, T, state, physics):
    """All rates anew after a change of voltage, temperature or metal; O(processes)."""
    tree = state.tree
    half = tree.size // 2
    n_sites = state.occupation.size
    for i in range(half, tree.size):
        tree[i] = 0.0
    for i in range(state.tally[N_METAL]):
        s = state.metal[i]
        # in fast transport an ion with nowhere to go is reduced again at once: no event
        free = physics.explicit
        for d in range(6):
            t = state.neighbours[s, d]
            if t == TOP or (t >= 0 and state.occupation[t] == EMPTY):
                free = True
        if free:
            u = state.u[s]
            here = local_temperature(u, T, physics)
            eta = overpotential(u, state.psi[s], V, physics)
            tree[half + s] = dissolution_rate(state.coordination[s], eta, state.offset[s], physics, here)
    for i in range(state.class_rate.size):
        state.class_rate[i] = -1.0
    for i in range(state.top.size):
        s = np.int64(state.top[i])
        if state.occupation[s] != EMPTY:
            continue
        bare = True
        for d in range(6):
            t = state.neighbours[s, d]
            if t >= 0 and state.occupation[t] != EMPTY:
                bare = False
        if not bare:
            tree[half + n_sites + i] = oxidation_rate(s, V, T, state, physics)
            continue
        kind = state.top_class[i]
        if state.class_rate[kind] < 0.0:
            state.class_rate[kind] = oxidation_rate(s, V, T, state, physics)
        tree[half + n_sites + i] = state.class_rate[kind]
    if physics.explicit:
        for i in range(state.tally[N_ION]):
            s = np.int64(state.ions[i])
            tree[half + s] = ion_choices(s, V, T, state, physics)
    for i in range(half - 1, 0, -1):
        tree[i] = tree[2 * i] + tree[2 * i + 1]


@part
def refresh_ion(s, V, T, state, physics):
    """Rate of the ion in site s, if there is one, after a move nearby."""
    if state.occupation[s] == ION:
        tree_set(state.tree, s, ion_choices(s, V, T, state, physics))


@part
def refresh_around(s, V, T, state, physics):
    """Rates of everything that sees site s, after an ion came or went."""
    for d in range(6):
        t = np.int64(state.neighbours[s, d])
        if t >= 0:
            refresh_ion(t, V, T, state, physics)
        elif t == TOP:
            rate = electrode_rates(state.offset[s], V, physics)[0] if state.occupation[s] == EMPTY else 0.0
            tree_set(state.tree, state.occupation.size + state.top_number[s], rate)
    refresh_ion(s, V, T, state, physics)


# -- events --------------------------------------------------------------------------------------------------


@part
def oxidise_electrode(s, V, T, state, physics, rng):
    """The active electrode gives an ion into site s; returns a status."""
    count = state.tally
    count[INJECTED] += 1
    if physics.explicit:
        set_ion(s, state)
        refresh_around(s, V, T, state, physics)
        return DONE
    # the first step is not back into the electrode: those ions are not timed
    choice = state.choice
    total = ion_choices(s, V, T, state, physics)
    onward = total - choice[7]
    choice[7] = 0.0
    k = draw(choice, onward, rng)
    end = s
    if k != 6:
        state.clock[FLIGHT] += 1.0 / total
        count[HOPS] += 1
        end = walk(np.int64(state.neighbours[s, k]), V, T, state, physics, rng)
    if end == -2:
        return LOST_ION
    if end == -1:
        count[RETURNED] += 1
    else:
        set_metal(end, state, physics)
        count[DEPOSITED] += 1
    return DONE


@part
def dissolve(s, V, T, state, physics, rng):
    """The atom in site s turns into an ion; returns a status."""
    count = state.tally
    field_stale, potential = count[FIELD_STALE], state.u[s]
    clear_metal(s, state, physics)
    if physics.explicit:
        count[DISSOLVED] += 1
        set_ion(s, state)
        return DONE
    end = walk(s, V, T, state, physics, rng)
    if end == -2:
        return LOST_ION
    if end == s:  # back where it was: nothing has changed
        set_metal(s, state, physics)
        state.u[s], count[FIELD_STALE] = potential, field_stale
        return DONE
    count[DISSOLVED] += 1
    if end == -1:
        count[RETURNED] += 1
    else:
        set_metal(end, state, physics)
        count[DEPOSITED] += 1
    return DONE


@part
def move_ion(s, V, T, state, physics, rng):
    """The ion in site s hops, is reduced or returns."""
    count = state.tally
    k = draw(state.choice, ion_choices(s, V, T, state, physics), rng)
    clear_ion(s, state)
    if k == 6:
        set_metal(s, state, physics)
        count[DEPOSITED] += 1
        return
    if k == 7:
        count[RETURNED] += 1
    else:
        target = np.int64(state.neighbours[s, k])
        set_ion(target, state)
        count[HOPS] += 1
        refresh_around(target, V, T, state, physics)
    refresh_around(s, V, T, state, physics)


# -- the loop ------------------------------------------------------------------------------------------------


@kernel
def advance(t_end, V_start, slope_V_s, limit_A, state, physics, most_events, rng):
    """Run the device from clock[TIME] to t_end under a linear source voltage; returns a status."""
    clock, count, tree = state.clock, state.tally, state.tree
    t0 = clock[TIME]
    t = t0
    n_sites = state.occupation.size
    started = count[EVENTS]
    # the source voltage is held within steps of voltage_step_V: an error of a few per cent of kT in any barrier
    held = V_start
    V = 0.0
    stale = True
    while True:
        clock[TIME] = t
        if count[FIELD_STALE]:
            if not update_network(state, physics):
                return FIELD_NOT_CONVERGED
            stale = True
        if stale:
            V = update_circuit(held, limit_A, clock, physics)
            if clock[TEMPERATURE] > physics.melting_K:
                return MELTED
            rebuild_rates(V, clock[TEMPERATURE], state, physics)
            stale = False
        t_change = t_end
        if slope_V_s != 0.0:
            steps = np.floor(abs(held - V_start) / physics.voltage_step_V + 0.5) + 1.0
            t_change = min(t_end, t0 + steps * physics.voltage_step_V / abs(slope_V_s))
        total = tree[1]
        wait = -np.log(1.0 - rng.random()) / total if total > 0.0 else np.inf
        if t + wait >= t_change:
            t = t_change
            held = V_start + slope_V_s * (t - t0)
            if t >= t_end:
                update_circuit(held, limit_A, clock, physics)
                clock[TIME] = t_end
                return DONE
            stale = True
            continue
        t += wait
        count[EVENTS] += 1
        if count[EVENTS] - started > most_events:
            clock[TIME] = t
            return TOO_MANY_EVENTS
        T = clock[TEMPERATURE]
        leaf = tree_find(tree, rng.random() * total)
        status = DONE
        if leaf >= n_sites:
            status = oxidise_electrode(np.int64(state.top[leaf - n_sites]), V, T, state, physics, rng)
        elif state.occupation[leaf] == METAL:
            status = dissolve(leaf, V, T, state, physics, rng)
        else:
            move_ion(leaf, V, T, state, physics, rng)
        if status != DONE:
            clock[TIME] = t
            return status
