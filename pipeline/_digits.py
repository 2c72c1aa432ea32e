"""Kernels that train a perceptron of synapse pairs; what they compute is documented in `digits`."""

from __future__ import annotations

import numpy as np
from numba import njit

# words of `digits`, as numbers for the kernels
BOTH, REFERENCE, GROW = 0, 1, 2
STOCHASTIC, NEAREST, SINGLE = 0, 1, 2


@njit(cache=True)
def pulsed(G, branch, count, sign):
    """Conductance after `count` pulses along a branch; sign 1 for one that rises, -1 for one that falls.

    The device stands on the branch where its present conductance does. Beyond the first weight of the branch it
    starts at the first; at the last it stays, and no pulse moves it against its sign.
    """
    last = branch.size - 1
    if sign * (G - branch[last]) >= 0.0:
        return G
    if sign * (G - branch[0]) <= 0.0:
        place = 0.0
    else:
        low, high = 0, last
        while high - low > 1:
            middle = (low + high) // 2
            if sign * (branch[middle] - G) <= 0.0:
                low = middle
            else:
                high = middle
        place = low + (G - branch[low]) / (branch[high] - branch[low])
    place += count
    if place >= last:
        return branch[last]
    left = int(place)
    return branch[left] + (place - left) * (branch[left + 1] - branch[left])


@njit(cache=True)
def send(G, writes, sums, p, j, i, count, up, down, spread, rng):
    """Give device (p, j, i) pulses: count > 0 potentiates, < 0 depresses; adds its currents to `sums`.

    The conductance behind the energy of a pulse is the one after it; of several at once, the last.
    """
    if count == 0:
        return
    number = abs(count)
    branch = up if count > 0 else down
    new = pulsed(G[p, j, i], branch, number, 1.0 if count > 0 else -1.0)
    if spread > 0.0:
        low, high = min(up[0], down[down.size - 1]), up[up.size - 1]
        new += spread * (high - low) * np.sqrt(float(number)) * rng.standard_normal()
        new = min(max(new, low), high)
    G[p, j, i] = new
    writes[p, j, i] += number
    sums[0 if count > 0 else 1] += number * new


@njit(cache=True)
def train_epoch(X, labels, order, batch, G, writes, sums, up, down, scale, gain, eta, pair, rounding, spread, rng):
    """One pass of the delta rule by pulses; G[0] = G+, G[1] = G-, shape (2, classes, inputs), in place.

    `scale` turns a difference of conductances into a weight, `gain` a change of weight into pulses of each device.
    Returns the mean loss, each pattern's taken before its update.
    """
    _, classes, inputs = G.shape
    change = np.zeros((classes, inputs))
    top, bottom = up.size - 1, down.size - 1
    high, low = up[top], down[bottom]
    lit, every = np.empty(inputs, dtype=np.int64), np.arange(inputs)
    loss, held = 0.0, 0
    for number in range(order.size):
        s = order[number]
        x = X[s]
        count_lit = 0
        for i in range(inputs):  # most pixels of a digit are dark: they add nothing and learn nothing
            if x[i] != 0.0:
                lit[count_lit] = i
                count_lit += 1
        for j in range(classes):
            net = 0.0
            for i in lit[:count_lit]:
                net += (G[0, j, i] - G[1, j, i]) * x[i]
            o = 1.0 / (1.0 + np.exp(-scale * net))
            miss = (1.0 if labels[s] == j else 0.0) - o
            loss += 0.5 * miss * miss
            delta = eta * miss * o * (1.0 - o)
            for i in lit[:count_lit]:
                change[j, i] += delta * x[i]
        held += 1
        if held < batch and number < order.size - 1:
            continue
        held = 0
        touched = lit[:count_lit] if batch == 1 else every
        for j in range(classes):
            for i in touched:
                wanted = change[j, i]
                if wanted == 0.0:
                    continue
                change[j, i] = 0.0
                pulses = gain * wanted
                if rounding == SINGLE:
                    count = 0 if abs(pulses) < 0.5 else (1 if pulses > 0.0 else -1)
                elif rounding == NEAREST:
                    count = int(np.rint(pulses))
                else:
                    count = int(np.floor(pulses + rng.random()))
                if count == 0:
                    continue
                if pair == BOTH:
                    send(G, writes, sums, 0, j, i, count, up, down, spread, rng)
                    send(G, writes, sums, 1, j, i, -count, up, down, spread, rng)
                elif pair == REFERENCE:
                    send(G, writes, sums, 0, j, i, count, up, down, spread, rng)
                else:
                    grown = 0 if count > 0 else 1
                    if G[grown, j, i] >= high:
                        # at the end of its branch: depress both to the end of theirs, then write the difference anew
                        rest = G[0, j, i] - G[1, j, i]
                        for p in range(2):
                            if G[p, j, i] > low:
                                send(G, writes, sums, p, j, i, -bottom, up, down, spread, rng)
                        old = 0 if rest > 0.0 else 1
                        again = int(np.rint(abs(rest) / (high - low) * top))
                        send(G, writes, sums, old, j, i, again, up, down, spread, rng)
                    send(G, writes, sums, grown, j, i, abs(count), up, down, spread, rng)
    return loss / order.size
