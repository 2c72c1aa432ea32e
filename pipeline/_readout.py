"""Kernels that train a readout one pattern at a time; what they compute is documented in `readout`."""

from __future__ import annotations

import numpy as np
from numba import njit

# words of `readout`, as numbers for the kernels
CONSTANT, ADAM = 0, 1
RESIDUAL, GRADIENT, ARGMAX = 0, 1, 2
SYMMETRIC, GROW_ONLY, GROW_REFRESH = 0, 1, 2
STICK, WINDOW = 0, 1


@njit(cache=True)
def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


@njit(cache=True)
def delta_epoch(X, labels, order, W, schedule, eta, first, second, step):
    """One pass of the delta rule; W, first and second (moments of the gradient) change in place.

    Returns the mean loss, each pattern's taken before its update, and the number of updates so far.
    """
    classes, inputs = W.shape
    beta_1, beta_2, floor = 0.9, 0.999, 1e-8  # the constants that Kingma and Ba recommend
    loss = 0.0
    for s in order:
        step += 1
        x = X[s]
        fade_1, fade_2 = 1.0 - beta_1**step, 1.0 - beta_2**step
        for j in range(classes):
            net = 0.0
            for i in range(inputs):
                net += W[j, i] * x[i]
            o = sigmoid(net)
            miss = (1.0 if labels[s] == j else 0.0) - o
            loss += 0.5 * miss * miss
            delta = miss * o * (1.0 - o)
            for i in range(inputs):
                if schedule == CONSTANT:
                    W[j, i] += eta * delta * x[i]
                else:
                    g = delta * x[i]
                    first[j, i] = beta_1 * first[j, i] + (1.0 - beta_1) * g
                    second[j, i] = beta_2 * second[j, i] + (1.0 - beta_2) * g * g
                    W[j, i] += eta * (first[j, i] / fade_1) / (np.sqrt(second[j, i] / fade_2) + floor)
    return loss / order.size, step


@njit(cache=True, inline="always")
def write(cells, wear, law, p, j, i, wanted, rng):
    """Program device (p, j, i) once to its clipped target.

    cells: conductance, last target, writes, erases, sum of targets, sum of conductances before an erase.
    wear: writes (or erases) that each device stands, which of both count, and what happens then.
    law: bounds of the targets, and a write's deviation as intercept and slope; both 0 for exact writes.
    """
    G, copy, writes, erases, written, erased = cells
    life, by_erases, how = wear
    low, high, sigma_0, sigma_1 = law
    target = min(max(wanted, low), high)
    used = erases[p, j, i] if by_erases else writes[p, j, i]
    writes[p, j, i] += 1
    written[p, j, i] += target
    copy[p, j, i] = target
    if target < G[p, j, i]:
        erases[p, j, i] += 1  # a thinner filament: RESET first
        erased[p, j, i] += G[p, j, i]
    if used >= life[p, j, i]:
        if how == STICK:
            return  # the pulse is spent, the conductance stays
        target = low + (target - low) * np.exp(1.0 - used / life[p, j, i])
    sigma = sigma_0 + sigma_1 * target
    # a conductance cannot be negative, whatever the tail of the normal distribution says
    G[p, j, i] = max(target + sigma * rng.standard_normal(), 0.0) if sigma > 0.0 else target


@njit(cache=True)
def icc_epoch(X, labels, order, cells, wear, law, eta, error, update, threshold, base, rng, gain=None):
    """One pass of compliance-current training; G[0] = G+, G[1] = G-, shape (2, classes, inputs), in place.

    Changes are added to `base`: G itself, or the targets of the last writes. A cell counts with `gain` times its
    conductance: 1, or what resistive lines leave of it. None stands for 1.
    Returns the mean L1 loss, each pattern's taken before its update.
    """
    G = cells[0]
    low, high = law[0], law[1]
    share = np.ones_like(G) if gain is None else gain
    _, classes, inputs = G.shape
    span = high - low
    o, delta = np.empty(classes), np.empty(classes)
    loss = 0.0
    for s in order:
        x = X[s]
        winner = 0
        for j in range(classes):
            net = 0.0
            for i in range(inputs):
                net += (share[0, j, i] * G[0, j, i] - share[1, j, i] * G[1, j, i]) * x[i]
            o[j] = sigmoid(net / span)
            if o[j] > o[winner]:
                winner = j
        for j in range(classes):
            target = 1.0 if labels[s] == j else 0.0
            miss = target - o[j]
            loss += abs(miss)
            if error == RESIDUAL:
                delta[j] = miss
            elif error == GRADIENT:
                delta[j] = np.sign(miss) * o[j] * (1.0 - o[j])
            else:
                delta[j] = target - (1.0 if winner == j else 0.0)
        for j in range(classes):
            for i in range(inputs):
                change = eta * x[i] * delta[j] * span
                if update == SYMMETRIC:
                    if 0.5 * abs(change) > threshold:
                        up, down = base[0, j, i] + 0.5 * change, base[1, j, i] - 0.5 * change
                        write(cells, wear, law, 0, j, i, up, rng)
                        write(cells, wear, law, 1, j, i, down, rng)
                    continue
                if abs(change) <= threshold:
                    continue
                p = 0 if change > 0.0 else 1
                grown, other = base[p, j, i] + abs(change), base[1 - p, j, i]
                if update == GROW_REFRESH and grown > high and other > low:
                    # erase both and write the same difference again with the other device at the lower bound
                    write(cells, wear, law, p, j, i, grown - other + low, rng)
                    write(cells, wear, law, 1 - p, j, i, low, rng)
                elif base[p, j, i] < high:  # a device at its upper bound cannot grow: no pulse
                    write(cells, wear, law, p, j, i, grown, rng)
    return loss / order.size
