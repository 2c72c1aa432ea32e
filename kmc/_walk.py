"""Compiled walk of one defect on a periodic site network.

Rejection-free: every draw is a hop. The hop is drawn from an alias table of its site, one random number and two
look-ups whatever the number of neighbours; the clock advances by an exponential waiting time. The cell in which
the walker stands is counted in whole numbers, so no distance is lost to rounding however far it goes.

With tracers, the walker is a vacancy and every atom that it moves is one: a hash table holds, for each site that
the vacancy has touched, where the atom on it came from.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# cells that a walk can count in each direction when sites are packed into keys
REACH = 1 << 16

DONE, TOO_FAR = 0, 1

EMPTY = np.int64(-1)


@njit(cache=True)
def alias_tables(start, rates):
    """Alias table of each site (Walker's method, Vose's construction), and its total rate."""
    sites, hops = start.size - 1, rates.size
    total = np.zeros(sites)
    accept = np.ones(hops)
    alias = np.arange(hops)
    for s in range(sites):
        low, z = start[s], start[s + 1] - start[s]
        for e in range(low, low + z):
            total[s] += rates[e]
        weight = np.empty(z)
        poor = np.empty(z, np.int64)
        rich = np.empty(z, np.int64)
        n_poor, n_rich = 0, 0
        for k in range(z):
            weight[k] = rates[low + k] * z / total[s]
            if weight[k] < 1.0:
                poor[n_poor] = k
                n_poor += 1
            else:
                rich[n_rich] = k
                n_rich += 1
        while n_poor > 0 and n_rich > 0:
            n_poor -= 1
            p, r = poor[n_poor], rich[n_rich - 1]
            accept[low + p] = weight[p]
            alias[low + p] = low + r
            weight[r] -= 1.0 - weight[p]
            if weight[r] < 1.0:
                n_rich -= 1
                poor[n_poor] = r
                n_poor += 1
    return total, accept, alias


@njit(cache=True)
def draw_hop(s, start, accept, alias, rng):
    """A hop out of site s, with probability in proportion to its rate."""
    low = start[s]
    x = rng.random() * (start[s + 1] - low)
    k = int(x)
    e = low + k
    return e if x - k < accept[e] else alias[e]


@njit(cache=True)
def walk(start, target, image, total, accept, alias, first, hops, time_limit, rng):
    """Walks that end after `hops` hops or at `time_limit`; cells, last sites, times and hops made."""
    walkers = first.size
    cells = np.zeros((walkers, 3), np.int64)
    last = np.empty(walkers, np.int64)
    times = np.empty(walkers)
    made = np.empty(walkers, np.int64)
    for w in range(walkers):
        s = first[w]
        x, y, z = np.int64(0), np.int64(0), np.int64(0)
        t = 0.0
        n = 0
        while n < hops:
            t += rng.standard_exponential() / total[s]
            if t >= time_limit:
                t = time_limit
                break
            e = draw_hop(s, start, accept, alias, rng)
            s = target[e]
            x += image[e, 0]
            y += image[e, 1]
            z += image[e, 2]
            n += 1
        cells[w, 0], cells[w, 1], cells[w, 2] = x, y, z
        last[w], times[w], made[w] = s, t, n
    return cells, last, times, made


# -- tracers -------------------------------------------------------------------------------------------------


@njit(cache=True)
def pack(x, y, z, s, sites):
    """One whole number for a site of the infinite crystal."""
    return (((x + REACH) * (2 * REACH) + y + REACH) * (2 * REACH) + z + REACH) * sites + s


@njit(cache=True)
def slot(keys, key):
    """Place of a key in the table, or the empty one where it belongs."""
    mask = keys.size - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    i = np.int64(mixed >> np.uint64(20)) & mask
    while keys[i] != EMPTY and keys[i] != key:
        i = (i + 1) & mask
    return i


@njit(cache=True)
def position(key, sites, positions, cell, out):
    """Position of a packed site."""
    s = key % sites
    rest = key // sites
    z = rest % (2 * REACH) - REACH
    rest //= 2 * REACH
    y = rest % (2 * REACH) - REACH
    x = rest // (2 * REACH) - REACH
    for a in range(3):
        out[a] = positions[s, a] + x * cell[0, a] + y * cell[1, a] + z * cell[2, a]


@njit(cache=True)
def walk_with_tracers(start, target, image, hop_vector, positions, cell, total, accept, alias, first, hops, size, rng):
    """The same walk, with the squared displacement along x, y and z of all atoms moved and of all their jumps."""
    walkers, sites = first.size, start.size - 1
    cells = np.zeros((walkers, 3), np.int64)
    last = np.empty(walkers, np.int64)
    times = np.empty(walkers)
    moved = np.zeros((walkers, 3))
    jumped = np.zeros((walkers, 3))
    keys = np.empty(size, np.int64)
    origin = np.empty(size, np.int64)
    here, there = np.empty(3), np.empty(3)
    for w in range(walkers):
        keys[:] = EMPTY
        s = first[w]
        x, y, z = np.int64(0), np.int64(0), np.int64(0)
        t = 0.0
        vacancy = pack(x, y, z, s, sites)
        home = slot(keys, vacancy)
        keys[home] = vacancy
        for _ in range(hops):
            t += rng.standard_exponential() / total[s]
            e = draw_hop(s, start, accept, alias, rng)
            s = target[e]
            x += image[e, 0]
            y += image[e, 1]
            z += image[e, 2]
            if max(abs(x), abs(y), abs(z)) >= REACH:
                return TOO_FAR, cells, last, times, moved, jumped
            key = pack(x, y, z, s, sites)
            i = slot(keys, key)
            # the atom on the new site moves to the old one; if the vacancy was never here, it is at home
            origin[home] = origin[i] if keys[i] == key else key
            keys[i] = key
            home = i
            for a in range(3):
                jumped[w, a] += hop_vector[e, a] * hop_vector[e, a]
        for i in range(size):
            if keys[i] != EMPTY and i != home:
                position(keys[i], sites, positions, cell, here)
                position(origin[i], sites, positions, cell, there)
                for a in range(3):
                    moved[w, a] += (here[a] - there[a]) ** 2
        cells[w, 0], cells[w, 1], cells[w, 2] = x, y, z
        last[w], times[w] = s, t
    return DONE, cells, last, times, moved, jumped
