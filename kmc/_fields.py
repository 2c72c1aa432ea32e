"""Compiled field of the filament: the potential of its metal and its conductance, kept up to date row by row.

Solved for one volt between the electrodes and scaled by the device voltage, so a change of voltage or of the compliance
limit costs nothing. An atom that comes or goes changes the rows of the network around it; the solution starts from
the last one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..physics import formulas
from ._selection import inline, kernel, part
from .lattice import BOTTOM, TOP

link_conductance = inline(formulas.link_conductance)
tunnel_conductance = inline(formulas.tunnel_conductance)

METAL = 2  # value of the occupation array for a reduced atom
_FARTHEST_GAP = 8  # empty sites in a row across which tunnelling is still counted
_WEAK = 1e-6  # link of each atom to the film around it, of a contact: lets an isolated cluster float with the film
_LINKS = 8  # six contacts and two gaps


class Network(NamedTuple):
    """Rows of the metal network, one an atom, in the order of the list of atoms: together in memory."""

    target: np.ndarray  # (sites, 8) site at the other end; the number of sites where there is none
    weight: np.ndarray  # (sites, 8) conductance of the link, S
    source: np.ndarray  # (sites,) conductance to the active electrode, S
    ground: np.ndarray  # (sites,) conductance to the counter electrode, S
    float_to: np.ndarray  # (sites,) potential towards which the film pulls
    diagonal: np.ndarray  # (sites,) sum of the row, S
    residual: np.ndarray  # (sites,) vectors of the solver, one number an atom
    change: np.ndarray
    product: np.ndarray
    step: np.ndarray  # (sites + 1,) another, one number a site; the last stays zero
    layer: np.ndarray  # (sites,) number of the layer along z
    coarse: np.ndarray  # (layers, 10) Cholesky factor of the network of layers, by distance from the diagonal
    mean: np.ndarray  # (layers,) vector on that network


def network(layer):
    """An empty network.

    Parameters
    ----------
    layer : int array, shape (sites,)
        Number of the layer along z in which each site lies, from 0.

    Returns
    -------
    Network
    """
    sites, layers = len(layer), int(max(layer)) + 1
    return Network(
        target=np.full((sites, _LINKS), sites, np.int32),
        weight=np.zeros((sites, _LINKS)),
        source=np.zeros(sites),
        ground=np.zeros(sites),
        float_to=np.zeros(sites),
        diagonal=np.ones(sites),
        residual=np.zeros(sites),
        change=np.zeros(sites),
        product=np.zeros(sites),
        step=np.zeros(sites + 1),
        layer=np.asarray(layer, dtype=np.int32),
        coarse=np.zeros((layers, _FARTHEST_GAP + 2)),
        mean=np.zeros(layers),
    )


@kernel
def set_row(s, net, occupation, neighbours, coordination, position, psi, contact_S, metal_S, decay, gap_m, spacing_m):
    """Links of the atom in site s, anew: to neighbouring atoms and electrodes, across gaps along z by tunnelling."""
    nothing, i = occupation.size, position[s]
    diagonal, source, ground = 0.0, 0.0, 0.0
    around, beside = 0.0, 0
    for d in range(6):
        t = neighbours[s, d]
        net.target[i, d] = nothing
        net.weight[i, d] = 0.0
        if t >= 0:
            if occupation[t] == METAL:
                g = link_conductance(coordination[s], coordination[t], contact_S, metal_S)
                net.target[i, d] = t
                net.weight[i, d] = g
                diagonal += g
            else:
                around += psi[t]
                beside += 1
        elif t in (TOP, BOTTOM):
            g = link_conductance(coordination[s], 6, contact_S, metal_S)
            diagonal += g
            if t == TOP:
                source += g
            else:
                ground += g
    for d in range(4, 6):  # gaps, downwards and upwards
        net.target[i, d + 2] = nothing
        net.weight[i, d + 2] = 0.0
        t, empty = across(s, d, occupation, neighbours)
        if empty == 0 or empty > _FARTHEST_GAP:
            continue
        g = tunnel_conductance(contact_S, decay, gap_m + (empty - 1) * spacing_m)
        diagonal += g
        if t >= 0:
            net.target[i, d + 2] = t
            net.weight[i, d + 2] = g
        elif t == TOP:
            source += g
        else:
            ground += g
    net.source[i], net.ground[i] = source, ground
    net.float_to[i] = around / beside if beside > 0 else 0.0
    if beside > 0:
        diagonal += _WEAK * contact_S
    net.diagonal[i] = diagonal if diagonal > 0.0 else 1.0


@inline
def across(s, d, occupation, neighbours):
    """What site s faces in direction d: site or electrode, and the number of empty sites between."""
    t = neighbours[s, d]
    empty = 0
    while t >= 0 and occupation[t] != METAL and empty <= _FARTHEST_GAP:
        empty += 1
        t = neighbours[t, d]
    return t, empty


@inline
def move_row(source, target, net):
    """The row of one place in the list of atoms to another place."""
    for d in range(_LINKS):
        net.target[target, d], net.weight[target, d] = net.target[source, d], net.weight[source, d]
    net.source[target], net.ground[target] = net.source[source], net.ground[source]
    net.float_to[target], net.diagonal[target] = net.float_to[source], net.diagonal[source]


@kernel
def set_rows_around(s, net, occupation, neighbours, coordination, position, psi, numbers):
    """All rows that an atom which came to or left site s has changed.

    Its own, those of its neighbours, whose number of bonds it changes, theirs, and the atoms that it faces across gaps.
    """
    if occupation[s] == METAL:
        set_row(s, net, occupation, neighbours, coordination, position, psi, *numbers)
    for d in range(6):
        t = neighbours[s, d]
        if t < 0 or occupation[t] != METAL:
            continue
        set_row(t, net, occupation, neighbours, coordination, position, psi, *numbers)
        for e in range(6):
            v = neighbours[t, e]
            if v >= 0 and v != s and occupation[v] == METAL:
                set_row(v, net, occupation, neighbours, coordination, position, psi, *numbers)
    for d in range(4, 6):
        t, empty = across(s, d, occupation, neighbours)
        if empty > 0 and t >= 0 and occupation[t] == METAL:
            set_row(t, net, occupation, neighbours, coordination, position, psi, *numbers)


@part
def factorise_layers(net, metal, n_metal):
    """Cholesky factor of the network whose nodes are whole layers: what carries a change along the filament."""
    coarse, layer, width = net.coarse, net.layer, net.coarse.shape[1]
    for i in range(coarse.shape[0]):
        for k in range(width):
            coarse[i, k] = 0.0
    for i in range(n_metal):
        here = layer[metal[i]]
        coarse[here, 0] += net.diagonal[i]
        for d in range(_LINKS):
            if net.weight[i, d] > 0.0:
                there = layer[net.target[i, d]]
                if there <= here:  # each link is seen from both ends
                    coarse[here, here - there] -= net.weight[i, d]
    for i in range(coarse.shape[0]):
        if coarse[i, 0] == 0.0:
            coarse[i, 0] = 1.0
        for k in range(min(width - 1, i), -1, -1):  # entry (i, i - k)
            j = i - k
            total = coarse[i, k]
            for m in range(max(0, i - width + 1), j):
                if j - m < width:
                    total -= coarse[i, i - m] * coarse[j, j - m]
            coarse[i, k] = np.sqrt(total) if k == 0 else total / coarse[j, 0]


@part
def precondition(net, metal, n_metal, r, z):
    """Approximate solution z of the network for the residual r: each atom by itself plus the mean of each layer.

    Returns their product, the square of the residual in the energy norm.
    """
    mean, coarse, layer = net.mean, net.coarse, net.layer
    layers, width = coarse.shape
    for i in range(layers):
        mean[i] = 0.0
    for i in range(n_metal):
        mean[layer[metal[i]]] += r[i]
    for i in range(layers):
        for k in range(1, min(width - 1, i) + 1):
            mean[i] -= coarse[i, k] * mean[i - k]
        mean[i] /= coarse[i, 0]
    for i in range(layers - 1, -1, -1):
        mean[i] /= coarse[i, 0]
        for k in range(1, min(width - 1, i) + 1):
            mean[i - k] -= coarse[i, k] * mean[i]
    product = 0.0
    for i in range(n_metal):
        z[i] = r[i] / net.diagonal[i] + mean[layer[metal[i]]]
        product += r[i] * z[i]
    return product


@kernel
def network_conductance(net, metal, n_metal, u, contact_S, floor_S, tolerance):
    """Conductance of the metal between the electrodes, and the potential of each atom under one volt.

    Conjugate gradients, preconditioned by the diagonal and by the network of layers, from the last `u`, until the
    residual in the energy norm, relative to the conductance or to `floor_S`, below which it does not matter, is under
    `tolerance`: that norm bounds the error of the conductance up to the condition number. `u` has one more place than
    there are sites, which stays 0. Returns (conductance, relative residual, iterations).
    """
    if n_metal == 0:
        return 0.0, 0.0, 0
    weak = _WEAK * contact_S
    r, z, q, p = net.residual, net.change, net.product, net.step
    for i in range(n_metal):
        s = metal[i]
        a = net.source[i] + weak * net.float_to[i] - net.diagonal[i] * u[s]
        for d in range(_LINKS):
            a += net.weight[i, d] * u[net.target[i, d]]
        r[i] = a
    factorise_layers(net, metal, n_metal)
    rz = precondition(net, metal, n_metal, r, z)
    for i in range(n_metal):
        p[metal[i]] = z[i]
    iterations = 0
    power = dissipation(net, metal, n_metal, u)
    while iterations < 20 * n_metal + 200:
        if rz <= tolerance * max(power, floor_S):
            power = dissipation(net, metal, n_metal, u)
            if rz <= tolerance * max(power, floor_S):
                break
        pq = 0.0
        for i in range(n_metal):
            s = metal[i]
            a = net.diagonal[i] * p[s]
            for d in range(_LINKS):
                a -= net.weight[i, d] * p[net.target[i, d]]
            q[i] = a
            pq += p[s] * a
        if pq <= 0.0:
            break
        step = rz / pq
        for i in range(n_metal):
            u[metal[i]] += step * p[metal[i]]
            r[i] -= step * q[i]
        new = precondition(net, metal, n_metal, r, z)
        ratio = new / rz
        rz = new
        for i in range(n_metal):
            s = metal[i]
            p[s] = z[i] + ratio * p[s]
        iterations += 1
    power = dissipation(net, metal, n_metal, u)
    return power, rz / max(power, floor_S), iterations


@kernel
def dissipation(net, metal, n_metal, u):
    """Power that the network takes at one volt, its conductance: second order in the error of the potentials."""
    power = 0.0
    for i in range(n_metal):
        x = u[metal[i]]
        power += net.ground[i] * x**2 + net.source[i] * (1.0 - x) ** 2
        for d in range(_LINKS):
            power += 0.5 * net.weight[i, d] * (x - u[net.target[i, d]]) ** 2
    return power
