"""Compiled fields of the filament: conductance of the metal network, potential of the film around it.

Both are solved for one volt between the electrodes and scaled by the device voltage, so a change of voltage
or of the compliance limit costs nothing; both start from the last solution.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..physics import formulas
from .lattice import BOTTOM, TOP

tunnel_conductance = njit(cache=True)(formulas.tunnel_conductance)

METAL = 2  # value of the occupation array for a reduced atom
_FARTHEST_GAP = 8  # empty sites in a row across which tunnelling is still counted
_WEAK = 1e-6  # link of each atom to the film around it, of a contact: lets an isolated cluster float with the film


@njit(cache=True)
def link_conductance(n_i, n_j, contact_S, metal_S):
    """Conductance between neighbouring atoms: contact-limited where thin, metallic where fully coordinated."""
    w = (0.5 * (n_i + n_j) - 2.0) / 4.0
    w = min(max(w, 0.0), 1.0)
    return contact_S ** (1.0 - w) * metal_S**w


@njit(cache=True)
def network_conductance(
    occupation,
    neighbours,
    coordination,
    metal,
    n_metal,
    u,
    psi,
    contact_S,
    metal_S,
    decay,
    gap_m,
    spacing_m,
    floor_S,
    tolerance,
):
    """Conductance of the metal between the electrodes, and the potential of each atom under one volt.

    Atoms conduct to neighbouring atoms and electrodes, and across gaps along z by tunnelling. Conjugate gradients
    with the diagonal as preconditioner, from the last `u`, until the residual in the energy norm, relative to the
    conductance or to `floor_S`, below which it does not matter, is under `tolerance`: that norm bounds the error of
    the conductance up to the condition number. Returns (conductance, relative residual, iterations).
    """
    n = n_metal
    if n == 0:
        return 0.0, 0.0, 0
    number = np.full(occupation.size, -1, np.int32)
    for i in range(n):
        number[metal[i]] = i
    links = np.empty(13)  # by the sum of both coordinations
    for k in range(13):
        links[k] = link_conductance(0.5 * k, 0.5 * k, contact_S, metal_S)
    # up to six contacts and two gaps for each atom
    target = np.full((n, 8), -1, np.int32)
    weight = np.zeros((n, 8))
    diagonal = np.zeros(n)
    source = np.zeros(n)
    ground = np.zeros(n)
    right = np.zeros(n)
    for i in range(n):
        s = metal[i]
        for d in range(6):
            t = neighbours[s, d]
            g = 0.0
            if t >= 0 and occupation[t] == METAL:
                g = links[coordination[s] + coordination[t]]
                target[i, d] = number[t]
                weight[i, d] = g
            elif t in (TOP, BOTTOM):
                g = links[coordination[s] + 6]
                if t == TOP:
                    source[i] += g
                else:
                    ground[i] += g
            diagonal[i] += g
        for d in range(4, 6):  # gaps, downwards and upwards
            t = neighbours[s, d]
            empty = 0
            while t >= 0 and occupation[t] != METAL and empty <= _FARTHEST_GAP:
                empty += 1
                t = neighbours[t, d]
            if empty == 0 or empty > _FARTHEST_GAP:
                continue
            g = tunnel_conductance(contact_S, decay, gap_m + (empty - 1) * spacing_m)
            if t >= 0:
                target[i, d + 2] = number[t]
                weight[i, d + 2] = g
            elif t == TOP:
                source[i] += g
            else:
                ground[i] += g
            diagonal[i] += g
        right[i] = source[i]
        around, count = 0.0, 0
        for d in range(6):
            t = neighbours[s, d]
            if t >= 0 and occupation[t] != METAL:
                around += psi[t]
                count += 1
        if count > 0:
            g = _WEAK * contact_S
            diagonal[i] += g
            right[i] += g * around / count
        if diagonal[i] == 0.0:
            diagonal[i] = 1.0
    x = np.empty(n)
    for i in range(n):
        x[i] = u[metal[i]]
    r = np.empty(n)
    z = np.empty(n)
    p = np.empty(n)
    q = np.empty(n)
    for i in range(n):
        a = diagonal[i] * x[i]
        for d in range(8):
            if target[i, d] >= 0:
                a -= weight[i, d] * x[target[i, d]]
        r[i] = right[i] - a
    rz = 0.0
    for i in range(n):
        z[i] = r[i] / diagonal[i]
        p[i] = z[i]
        rz += r[i] * z[i]
    iterations = 0
    power = dissipation(x, target, weight, source, ground)
    while iterations < 20 * n + 200:
        if rz <= tolerance * max(power, floor_S):
            power = dissipation(x, target, weight, source, ground)
            if rz <= tolerance * max(power, floor_S):
                break
        pq = 0.0
        for i in range(n):
            a = diagonal[i] * p[i]
            for d in range(8):
                if target[i, d] >= 0:
                    a -= weight[i, d] * p[target[i, d]]
            q[i] = a
            pq += p[i] * a
        if pq <= 0.0:
            break
        step = rz / pq
        new = 0.0
        for i in range(n):
            x[i] += step * p[i]
            r[i] -= step * q[i]
            z[i] = r[i] / diagonal[i]
            new += r[i] * z[i]
        ratio = new / rz
        rz = new
        for i in range(n):
            p[i] = z[i] + ratio * p[i]
        iterations += 1
    for i in range(n):
        u[metal[i]] = x[i]
    power = dissipation(x, target, weight, source, ground)
    return power, rz / max(power, floor_S), iterations


@njit(cache=True)
def dissipation(x, target, weight, source, ground):
    """Power that the network takes at one volt, its conductance: second order in the error of the potentials."""
    power = 0.0
    for i in range(x.size):
        power += ground[i] * x[i] ** 2 + source[i] * (1.0 - x[i]) ** 2
        for d in range(8):
            if target[i, d] >= 0:
                power += 0.5 * weight[i, d] * (x[i] - x[target[i, d]]) ** 2
    return power


@njit(cache=True)
def film_potential(occupation, neighbours, u, psi, omega, tolerance, most_sweeps):
    """Relax the unit-voltage potential of the film around the metal; returns (last change, sweeps).

    Current continuity in a uniformly leaky film: successive over-relaxation from the last solution. Metal sites
    hold the potential of the network, top is 1, bottom is 0, the sides let no current through.
    """
    change = 0.0
    for sweep in range(most_sweeps):
        change = 0.0
        for s in range(occupation.size):
            if occupation[s] == METAL:
                psi[s] = u[s]
                continue
            total, count = 0.0, 0.0
            for d in range(6):
                t = neighbours[s, d]
                if t >= 0:
                    total += u[t] if occupation[t] == METAL else psi[t]
                    count += 1.0
                elif t == TOP:
                    total += 2.0  # the interface lies half a site away: twice the conductance
                    count += 2.0
                elif t == BOTTOM:
                    count += 2.0
            delta = total / count - psi[s]
            psi[s] += omega * delta
            if abs(delta) > change:
                change = abs(delta)
        if change < tolerance:
            return change, sweep + 1
    return change, most_sweeps
