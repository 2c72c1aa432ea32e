"""Compiled sums over the faces of a mesh."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def divergence(flow, left, right, size):
    """Net outflow of each cell."""
    out = np.zeros(size)
    for f in range(flow.size):
        out[left[f]] += flow[f]
        out[right[f]] -= flow[f]
    return out


@njit(cache=True)
def onto(cells, values, size):
    """Sum of the values of each cell."""
    out = np.zeros(size)
    for i in range(values.size):
        out[cells[i]] += values[i]
    return out


@njit(cache=True)
def field_residual(links, left, right, loss, bottom, low_S, low, top, high_S, high, source, x):
    """What is missing to a steady field, from differences so that weak links keep their digits."""
    r = source - loss * x
    for f in range(links.size):
        flow = links[f] * (x[left[f]] - x[right[f]])
        r[left[f]] -= flow
        r[right[f]] += flow
    for i in range(bottom.size):
        r[bottom[i]] += low_S[i] * (low - x[bottom[i]])
    for i in range(top.size):
        r[top[i]] += high_S[i] * (high - x[top[i]])
    return r


@njit(cache=True)
def ion_residual(forward, backward, left, right, full, volume, base, P):
    """What is missing to the balance of the ions; `full` is one over the density of sites."""
    r = volume * (base - P)
    for f in range(forward.size):
        i, j = left[f], right[f]
        flow = forward[f] * P[i] * (1.0 - P[j] * full) - backward[f] * P[j] * (1.0 - P[i] * full)
        r[i] -= flow
        r[j] += flow
    return r
