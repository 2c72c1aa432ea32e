"""Compiled event loop of the lattice gas: one loop for every model.

A site whose species can do something by itself owns a leaf of a sum tree, weighted with the rates of all it can do.
An event draws a leaf, then a process in it, changes one or two sites and refreshes the leaves whose weight can have
changed: the neighbours, and their neighbours where species bind to each other.

All that an event reads of a site but its species lies in one row: its neighbours, its leaf, the rate of each process
with each neighbour. For six neighbours and one kind of hop a row is one cache line.

Without bonds the rates of a row do not depend on the configuration: they are computed once and only summed. With bonds,
and while conditions ramp, a row is computed where it is needed: the argument `live` is True. Otherwise it is None, and
so is `tracking` without labels: what they switch on is then not even compiled.

Rates are stored in single precision: a barrier is rounded by 1e-7 kT. Sums and the clock are in double.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..physics import formulas
from ._selection import ROOT, find, first_leaf, inline, kernel, set_weight, sum_up

hop_rate = inline(formulas.hop_rate)
balanced_barrier = inline(formulas.balanced_barrier)
charge_energy = inline(formulas.charge_energy)

# Indices are unsigned: signed ones are checked for a minus at every access. A whole number written out is signed.
U = np.uint64
ONE = U(1)

# status of `advance`
TIME_IS_UP, EVENTS_DONE, NOTHING_HAPPENS, FULL, STOPPED = 0, 1, 2, 3, 4

# slots of `clock`
TIME, LOST, WAIT, FRACTION = 0, 1, 2, 3
CLOCK_SIZE = 4

# slots of `tally`
EVENTS, LEAVES, LEVELS, STALE = 0, 1, 2, 3
TALLY_SIZE = 4

# what becomes of the label of a particle in an exchange
STAYS, SWAPS, GOES, COMES = 0, 1, 2, 3

NONE = -1

NO_LEAF = np.uint32(0xFFFFFFFF)


class Sites(NamedTuple):
    """Where the sites are and what surrounds them."""

    number: np.uint64
    units: np.uint64  # sites of the cell that was repeated
    degree: np.uint64  # longest list of neighbours; shorter ones are filled with the site `number`, which holds nothing
    words: np.uint64  # length of a row
    row: np.ndarray  # (words a site, one site more) uint32: neighbours, leaf, rates of exchanges, rates of reactions
    rate: np.ndarray  # the same memory as float32
    hop_class: np.ndarray  # (units * degree,) uint32
    hop_m: np.ndarray  # (units * degree, 3) m
    wrap: np.ndarray  # (sites * degree,) uint8, number of the row of `shift`
    shift: np.ndarray  # (shifts, 3) int64, periodic images crossed; row 0 is none
    doubled: bool  # whether two hops of a site may end in the same one


class Rules(NamedTuple):
    """What can happen; species are numbers, the last one is "nothing there"."""

    first_exchange: np.ndarray  # (species, species) int32, first exchange of a site with its neighbour, or NONE
    next_exchange: np.ndarray  # (exchanges,) int32, further ones of the same pair
    exchange: np.ndarray  # (exchanges, 8) int32: before, before, after, after, electrode, where it is, label
    exchange_charge: np.ndarray  # (exchanges, 2) charge that each site gains
    exchange_barrier: np.ndarray  # (exchanges, classes) eV, infinite where the hop class does not take part
    exchange_attempt: np.ndarray  # (exchanges, classes) Hz
    exchange_process: np.ndarray  # (exchanges, classes) int32
    first_reaction: np.ndarray  # (species,) int32
    next_reaction: np.ndarray  # (reactions,) int32
    reaction: np.ndarray  # (reactions, 4) int32: before, after, electrode, process
    reaction_charge: np.ndarray  # (reactions,)
    reaction_barrier: np.ndarray  # (reactions,) eV
    reaction_attempt: np.ndarray  # (reactions,) Hz
    where: np.ndarray  # (reactions, sites) bool
    owner: np.ndarray  # (species,) int8: 0 never owns a leaf, 1 always, 2 where one of its reactions is allowed
    sees: np.ndarray  # (species, species, species) bool: if a neighbour turns from first to second, does the third mind
    receives: np.ndarray  # (species,) bool: does any exchange begin at a neighbour of the species
    tracked: np.ndarray  # (species,) bool
    stops: np.ndarray  # (processes,) bool, whether to come back after such an event


class Landscape(NamedTuple):
    """Energies and conditions; where there are two, at the start and at the end of a ramp."""

    site_energy: np.ndarray  # (species, rows) eV
    energy_row: np.ndarray  # (sites,) int32
    bond: np.ndarray  # (classes, species, species) eV, multiples of 2^-40 eV: sums of them are exact
    bond_between: np.ndarray  # (classes, exchanges) eV, what `bonding` of both sites miscounts of the bond between them
    bonded: np.ndarray  # (species, species) bool: do bonds change when the first turns into the second
    has_bonds: bool
    potential: np.ndarray  # (2, sites or 1) V
    field: np.ndarray  # (2, 3) V/m
    temperature: np.ndarray  # (2, sites or 1) K
    electrode: np.ndarray  # (2, electrodes, sites or 1) V


class State(NamedTuple):
    """What the kernel changes."""

    occupation: np.ndarray  # (sites + 1,) uint8
    site_of: np.ndarray  # (leaves,) uint32
    tree: np.ndarray
    bonding: np.ndarray  # (sites + 1, species) eV, bonds that each species would have on a site; (1, 1) without bonds
    stamp: np.ndarray  # (sites + 1,) int64, last event that refreshed the site
    stale: np.ndarray  # leaves to refresh after an event, as sites
    label: np.ndarray  # (sites + 1,) int32 particle on the site, or NONE; one entry if nothing is tracked
    image: np.ndarray  # (particles, 3) int64
    clock: np.ndarray
    tally: np.ndarray
    done: np.ndarray  # (processes,) int64


# -- energies and rates --------------------------------------------------------------------------------------


@inline
def hop_number(i, k, sites):
    """Hop k of site i in the tables of the repeated cell."""
    if sites.units == ONE:
        return k
    if sites.units == sites.number:
        return i * sites.degree + k
    return (i % sites.units) * sites.degree + k


@inline
def between(start, end, fraction, i):
    """Value at site i within a ramp; arrays of one entry hold for all sites."""
    s = i if start.size > 1 else U(0)
    return start[s] + fraction * (end[s] - start[s])


@inline
def energy_row(i, sites, land):
    """Row of the table of site energies that belongs to site i, read only where that is not plain."""
    rows = U(land.site_energy.shape[1])
    if rows == ONE:
        return U(0)
    if rows == sites.number:
        return i
    return U(land.energy_row[i])


@inline
def exchange_energy(i, k, x, sites, rules, land, bonding, fraction):
    """Change of the energy if exchange x takes place between site i and its neighbour k."""
    base = i * sites.words
    j = U(sites.row[base + k])
    a, b, c, d = rules.exchange[x, 0], rules.exchange[x, 1], rules.exchange[x, 2], rules.exchange[x, 3]
    here, there = energy_row(i, sites, land), energy_row(j, sites, land)
    rise = (land.site_energy[c, here] - land.site_energy[a, here]) + (
        land.site_energy[d, there] - land.site_energy[b, there]
    )
    q_here, q_there = rules.exchange_charge[x, 0], rules.exchange_charge[x, 1]
    if q_here != 0.0 or q_there != 0.0:
        h = hop_number(i, k, sites)
        drop = 0.0
        for axis in range(3):
            field = land.field[0, axis] + fraction * (land.field[1, axis] - land.field[0, axis])
            drop += field * sites.hop_m[h, axis]
        V = 0.0
        if rules.exchange[x, 4] != NONE:
            wire, at = U(rules.exchange[x, 4]), i if rules.exchange[x, 5] == 0 else j
            V = between(land.electrode[0, wire], land.electrode[1, wire], fraction, at)
        phi_here = between(land.potential[0], land.potential[1], fraction, i)
        phi_there = between(land.potential[0], land.potential[1], fraction, j) - drop
        rise += charge_energy(q_here, phi_here, q_there, phi_there, V)
    if land.has_bonds:
        rise += (bonding[i, c] - bonding[i, a]) + (bonding[j, d] - bonding[j, b])
        rise += land.bond_between[sites.hop_class[hop_number(i, k, sites)], x]
        if sites.doubled:
            for n in range(sites.degree):
                if n != k and U(sites.row[base + n]) == j:
                    rise += land.bond_between[sites.hop_class[hop_number(i, n, sites)], x]
    return rise


@inline
def exchange_rate(i, k, x, sites, rules, land, bonding, fraction):
    """Rate of exchange x between site i and its neighbour k."""
    h = sites.hop_class[hop_number(i, k, sites)]
    barrier = rules.exchange_barrier[x, h]
    if barrier == np.inf:
        return 0.0
    j = U(sites.row[i * sites.words + k])
    # at the saddle half way: forward and backward hops feel the same temperature
    first, last = land.temperature[0], land.temperature[1]
    T = 0.5 * (between(first, last, fraction, i) + between(first, last, fraction, j))
    rise = exchange_energy(i, k, x, sites, rules, land, bonding, fraction)
    return hop_rate(balanced_barrier(barrier, rise), T, rules.exchange_attempt[x, h], 0.0)


@inline
def reaction_energy(i, r, sites, rules, land, bonding, fraction):
    """Change of the energy if reaction r takes place on site i."""
    a, c = rules.reaction[r, 0], rules.reaction[r, 1]
    here = energy_row(i, sites, land)
    rise = land.site_energy[c, here] - land.site_energy[a, here]
    q = rules.reaction_charge[r]
    if q != 0.0:
        wire = U(rules.reaction[r, 2])
        V = between(land.electrode[0, wire], land.electrode[1, wire], fraction, i)
        rise += charge_energy(q, between(land.potential[0], land.potential[1], fraction, i), 0.0, 0.0, V)
    if land.has_bonds:
        rise += bonding[i, c] - bonding[i, a]
    return rise


@inline
def reaction_rate(i, r, sites, rules, land, bonding, fraction):
    """Rate of reaction r on site i."""
    if not rules.where[r, i]:
        return 0.0
    rise = reaction_energy(i, r, sites, rules, land, bonding, fraction)
    T = between(land.temperature[0], land.temperature[1], fraction, i)
    return hop_rate(balanced_barrier(rules.reaction_barrier[r], rise), T, rules.reaction_attempt[r], 0.0)


@inline
def exchange_slot(i, k, x, sites):
    """Place of the rate of exchange x with neighbour k of site i."""
    return i * sites.words + sites.degree * (ONE + x) + ONE + k


@inline
def reaction_slot(i, r, sites, rules):
    """Place of the rate of reaction r on site i."""
    return i * sites.words + sites.degree * (ONE + U(rules.next_exchange.size)) + ONE + r


@kernel
def fill_rows(sites, rules, land, bonding, fraction):
    """Rates of all that could happen on any site; only where they do not depend on the configuration."""
    for i in range(sites.number):
        for k in range(sites.degree):
            if sites.row[i * sites.words + k] != sites.number:
                for x in range(U(rules.next_exchange.size)):
                    rate = exchange_rate(i, k, x, sites, rules, land, bonding, fraction)
                    sites.rate[exchange_slot(i, k, x, sites)] = rate
        for r in range(U(rules.next_reaction.size)):
            rate = reaction_rate(i, r, sites, rules, land, bonding, fraction)
            sites.rate[reaction_slot(i, r, sites, rules)] = rate


@inline
def renew_row(i, sites, rules, land, occupation, bonding, fraction):
    """Rates of all that can happen on site i as things stand."""
    a = occupation[i]
    for k in range(sites.degree):
        e = rules.first_exchange[a, occupation[sites.row[i * sites.words + k]]]
        while e != NONE:
            rate = exchange_rate(i, k, U(e), sites, rules, land, bonding, fraction)
            sites.rate[exchange_slot(i, k, U(e), sites)] = rate
            e = rules.next_exchange[U(e)]
    r = rules.first_reaction[a]
    while r != NONE:
        rate = reaction_rate(i, U(r), sites, rules, land, bonding, fraction)
        sites.rate[reaction_slot(i, U(r), sites, rules)] = rate
        r = rules.next_reaction[U(r)]


@kernel
def bond_all(sites, land, occupation, bonding):
    """Bonds that each species would have on each site."""
    bonding[:] = 0.0
    for i in range(sites.number):
        for k in range(sites.degree):
            h = sites.hop_class[hop_number(i, k, sites)]
            s = occupation[sites.row[i * sites.words + k]]
            for species in range(U(bonding.shape[1])):
                bonding[i, species] += land.bond[h, species, s]


@inline
def bond_again(i, old, new, sites, land, bonding):
    """Bonds of the neighbours of site i after a change of its species."""
    for k in range(sites.degree):
        h = sites.hop_class[hop_number(i, k, sites)]
        t = U(sites.row[i * sites.words + k])
        for species in range(U(bonding.shape[1])):
            bonding[t, species] += land.bond[h, species, new] - land.bond[h, species, old]


@inline
def row_sum(i, sites, rules, occupation):
    """Sum of the rates of all that can happen on site i, from its row."""
    a = occupation[i]
    total = 0.0
    for k in range(sites.degree):
        e = rules.first_exchange[a, occupation[sites.row[i * sites.words + k]]]
        while e != NONE:
            total += sites.rate[exchange_slot(i, k, U(e), sites)]
            e = rules.next_exchange[U(e)]
    r = rules.first_reaction[a]
    while r != NONE:
        total += sites.rate[reaction_slot(i, U(r), sites, rules)]
        r = rules.next_reaction[U(r)]
    return total


# -- leaves --------------------------------------------------------------------------------------------------


@inline
def leaf_slot(i, sites):
    """Place of the leaf of site i."""
    return i * sites.words + sites.degree


@inline
def has_leaf(i, sites):
    """Whether site i owns a leaf."""
    return sites.row[leaf_slot(i, sites)] != NO_LEAF


@inline
def owns_leaf(i, species, rules):
    """Whether site i can do something by itself while it holds a species."""
    owner = rules.owner[species]
    if owner != 2:
        return owner == 1
    r = rules.first_reaction[species]
    while r != NONE:
        if rules.where[r, i]:
            return True
        r = rules.next_reaction[r]
    return False


@inline
def add_leaf(i, sites, state):
    """Give site i a leaf; there must be one left."""
    n = state.tally[LEAVES]
    state.site_of[n] = i
    sites.row[leaf_slot(i, sites)] = n
    state.tally[LEAVES] = n + 1


@kernel
def remove_leaf(i, sites, state):
    """Take the leaf of site i away; the last one fills its place."""
    start = first_leaf(state.tally[LEVELS])
    n = state.tally[LEAVES] - 1
    leaf = np.int64(sites.row[leaf_slot(i, sites)])
    last = U(state.site_of[n])
    if leaf != n:
        state.site_of[leaf] = last
        sites.row[leaf_slot(last, sites)] = leaf
        set_weight(state.tree, start + leaf, state.tree[start + n + ROOT])
    set_weight(state.tree, start + n, 0.0)
    sites.row[leaf_slot(i, sites)] = NO_LEAF
    state.tally[LEAVES] = n


@inline
def change_leaves(i, j, sites, rules, state):
    """Leaves of two sites, or of one if j is i, after their species have changed; i had one."""
    here = owns_leaf(i, state.occupation[i], rules)
    if j == i:
        if not here:
            remove_leaf(i, sites, state)
        return
    had = has_leaf(j, sites)
    there = owns_leaf(j, state.occupation[j], rules)
    if not here and there and not had:  # the usual hop: the leaf goes along
        leaf = sites.row[leaf_slot(i, sites)]
        sites.row[leaf_slot(i, sites)] = NO_LEAF
        sites.row[leaf_slot(j, sites)] = leaf
        state.site_of[leaf] = j
        return
    if not here:
        remove_leaf(i, sites, state)
    if there and not had:
        add_leaf(j, sites, state)
    elif had and not there:
        remove_leaf(j, sites, state)


@inline
def mark(i, state):
    """Put site i on the list of leaves to refresh."""
    state.stale[U(state.tally[STALE])] = i
    state.tally[STALE] += 1


@inline
def mark_once(i, sites, rules, state):
    """The same if it has a leaf, once an event."""
    # the species is at hand; the row of a site that does nothing need not be fetched
    if rules.owner[state.occupation[i]] != 0 and has_leaf(i, sites) and state.stamp[i] != state.tally[EVENTS]:
        state.stamp[i] = state.tally[EVENTS]
        mark(i, state)


@inline
def mark_around(i, old, new, live, sites, rules, land, state):
    """All leaves that mind a change of species on site i: its own, neighbours, and theirs if bonds have changed."""
    base = i * sites.words
    if live is not None and land.has_bonds and land.bonded[old, new]:  # a gas with bonds is always live
        bond_again(i, old, new, sites, land, state.bonding)
        mark_once(i, sites, rules, state)
        for k in range(sites.degree):
            t = U(sites.row[base + k])
            if t != sites.number:
                mark_once(t, sites, rules, state)
                there = state.occupation[t]
                if rules.receives[there]:  # those that could come in from farther off
                    for n in range(sites.degree):
                        far = U(sites.row[t * sites.words + n])
                        if rules.first_exchange[state.occupation[far], there] != NONE:
                            mark_once(far, sites, rules, state)
        return
    if has_leaf(i, sites):
        mark(i, state)
    for k in range(sites.degree):
        t = U(sites.row[base + k])
        if rules.sees[old, new, state.occupation[t]] and has_leaf(t, sites):
            mark(t, state)


@inline
def refresh_stale(live, sites, rules, land, state):
    """Weights of all listed leaves anew."""
    start = U(first_leaf(state.tally[LEVELS]))
    for n in range(U(state.tally[STALE])):
        i = U(state.stale[n])
        if live is not None:
            renew_row(i, sites, rules, land, state.occupation, state.bonding, state.clock[FRACTION])
        set_weight(state.tree, start + U(sites.row[leaf_slot(i, sites)]), row_sum(i, sites, rules, state.occupation))
    state.tally[STALE] = 0


@kernel
def refresh_all(live, sites, rules, land, state):
    """Every leaf anew, after the conditions have changed."""
    start = first_leaf(state.tally[LEVELS]) + ROOT
    for leaf in range(state.tally[LEAVES]):
        i = U(state.site_of[leaf])
        if live is not None:
            renew_row(i, sites, rules, land, state.occupation, state.bonding, state.clock[FRACTION])
        state.tree[start + leaf] = row_sum(i, sites, rules, state.occupation)
    sum_up(state.tree)


# -- events --------------------------------------------------------------------------------------------------


@inline
def cross(i, k, direction, particle, sites, state):
    """Count the periodic images that a particle crosses on hop k of site i."""
    code = sites.wrap[i * sites.degree + k]
    if code != 0 and particle != NONE:
        for axis in range(3):
            state.image[particle, axis] += direction * sites.shift[code, axis]


@inline
def carry_labels(i, k, j, how, sites, state):
    """Labels of two sites after an exchange."""
    label = state.label
    here, there = label[i], label[j]
    if how == SWAPS:
        label[i], label[j] = there, here
        cross(i, k, 1, here, sites, state)
        cross(i, k, -1, there, sites, state)
    elif how == GOES:
        label[i], label[j] = NONE, here
        cross(i, k, 1, here, sites, state)
    elif how == COMES:
        label[i], label[j] = there, NONE
        cross(i, k, -1, there, sites, state)


@kernel
def last_possible(i, sites, rules, occupation):
    """Last process of site i with a rate; neighbour and exchange, or `degree` and reaction."""
    a = occupation[i]
    last_k, last = sites.degree, U(0)
    for k in range(sites.degree):
        e = rules.first_exchange[a, occupation[sites.row[i * sites.words + k]]]
        while e != NONE:
            if sites.rate[exchange_slot(i, k, U(e), sites)] > 0.0:
                last_k, last = k, U(e)
            e = rules.next_exchange[U(e)]
    r = rules.first_reaction[a]
    while r != NONE:
        if sites.rate[reaction_slot(i, U(r), sites, rules)] > 0.0:
            last_k, last = sites.degree, U(r)
        r = rules.next_reaction[U(r)]
    return last_k, last


@inline
def choose(i, x, sites, rules, occupation):
    """Process of site i on which the rest x falls: neighbour and exchange, or `degree` and reaction."""
    a = occupation[i]
    for k in range(sites.degree):
        e = rules.first_exchange[a, occupation[sites.row[i * sites.words + k]]]
        while e != NONE:
            rate = np.float64(sites.rate[exchange_slot(i, k, U(e), sites)])
            if x < rate:
                return k, U(e)
            x -= rate
            e = rules.next_exchange[U(e)]
    r = rules.first_reaction[a]
    while r != NONE:
        rate = np.float64(sites.rate[reaction_slot(i, U(r), sites, rules)])
        if x < rate:
            return sites.degree, U(r)
        x -= rate
        r = rules.next_reaction[U(r)]
    # x was at the very end of the weight, and rounding carried it over
    return last_possible(i, sites, rules, occupation)


@inline
def happen(i, k, p, live, tracking, sites, rules, land, state):
    """Exchange p with neighbour k takes place on site i, or reaction p if k is `degree`; returns the process."""
    j = i
    a = state.occupation[i]
    b, d = a, a
    if k == sites.degree:
        c = np.uint8(rules.reaction[p, 1])
        process = U(rules.reaction[p, 3])
    else:
        j = U(sites.row[i * sites.words + k])
        b = state.occupation[j]
        c, d = np.uint8(rules.exchange[p, 2]), np.uint8(rules.exchange[p, 3])
        h = U(0) if rules.exchange_process.shape[1] == 1 else U(sites.hop_class[hop_number(i, k, sites)])
        process = U(rules.exchange_process[p, h])
        state.occupation[j] = d
    state.occupation[i] = c
    state.done[process] += 1
    change_leaves(i, j, sites, rules, state)
    if tracking is not None:
        if j != i:
            carry_labels(i, k, j, rules.exchange[p, 6], sites, state)
            if not rules.tracked[d]:
                state.label[j] = NONE
        if not rules.tracked[c]:
            state.label[i] = NONE
    mark_around(i, a, c, live, sites, rules, land, state)
    if j != i:
        mark_around(j, b, d, live, sites, rules, land, state)
    return process


@kernel
def advance(t_end, last_event, live, tracking, sites, rules, land, state, rng):
    """Events until the time t_end or until so many have happened since the start; returns a status.

    What is left of a waiting time at t_end is kept: to stop and look does not change what happens.
    """
    clock, tally, tree = state.clock, state.tally, state.tree
    levels = tally[LEVELS]
    start = U(first_leaf(levels))
    room = state.site_of.size - 1
    while tally[EVENTS] < last_event:
        total = tree[ROOT]
        if clock[WAIT] < 0.0:
            clock[WAIT] = rng.standard_exponential() / total if total > 0.0 else np.inf
        if clock[WAIT] == np.inf and t_end == np.inf:
            return NOTHING_HAPPENS
        if clock[WAIT] > t_end - clock[TIME]:
            clock[WAIT] -= t_end - clock[TIME]
            clock[TIME] = t_end
            clock[LOST] = 0.0
            return TIME_IS_UP
        if tally[LEAVES] >= room:
            return FULL
        # compensated sum: a clock at 1e5 s still counts steps of 1e-13 s
        step = clock[WAIT] - clock[LOST]
        t = clock[TIME] + step
        clock[LOST] = (t - clock[TIME]) - step
        clock[TIME] = t
        clock[WAIT] = -1.0
        while True:
            node, x = find(tree, levels, rng.random() * total)
            if tree[node + U(ROOT)] > 0.0:
                break
        tally[EVENTS] += 1
        i = U(state.site_of[node - start])
        k, p = choose(i, x, sites, rules, state.occupation)
        process = happen(i, k, p, live, tracking, sites, rules, land, state)
        refresh_stale(live, sites, rules, land, state)
        if rules.stops[process]:
            return STOPPED
    return EVENTS_DONE


@kernel
def list_events(sites, rules, land, occupation, bonding, fraction, place, value):
    """All that can happen: site, neighbour (or NONE) and process; change of the energy and rate; returns how many.

    As many are written down as there is room for.
    """
    n = 0
    for i in range(sites.number):
        a = occupation[i]
        for k in range(sites.degree):
            j = sites.row[i * sites.words + k]
            e = rules.first_exchange[a, occupation[j]]
            while e != NONE:
                x = U(e)
                rate = exchange_rate(i, k, x, sites, rules, land, bonding, fraction)
                if rate > 0.0:
                    if n < place.shape[0]:
                        place[n, 0], place[n, 1] = i, j
                        place[n, 2] = rules.exchange_process[x, sites.hop_class[hop_number(i, k, sites)]]
                        value[n, 0] = exchange_energy(i, k, x, sites, rules, land, bonding, fraction)
                        value[n, 1] = rate
                    n += 1
                e = rules.next_exchange[x]
        r = rules.first_reaction[a]
        while r != NONE:
            rate = reaction_rate(i, U(r), sites, rules, land, bonding, fraction)
            if rate > 0.0:
                if n < place.shape[0]:
                    place[n, 0], place[n, 1], place[n, 2] = i, NONE, rules.reaction[r, 3]
                    value[n, 0] = reaction_energy(i, U(r), sites, rules, land, bonding, fraction)
                    value[n, 1] = rate
                n += 1
            r = rules.next_reaction[U(r)]
    return n
