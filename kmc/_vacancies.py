"""Electrons between halide vacancies: a network of resistors from donor to donor, in a film that leaks.

The nodes are the vacancies and the layers of film between the electrodes; one linear system, solved directly for one
volt between the electrodes, gives the conductance of the column and the potential of every layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ..physics.errors import ConvergenceError
from ..physics.formulas import tunnel_conductance

__all__ = ["Column", "Currents", "solve"]

Floats = NDArray[np.float64]

# Links longer by this many decay lengths than the longest one without which the electrodes are not joined are left out.
SPARE_DECAYS = 6.0

# Relative residual of the linear system above which its solution is refused.
WORST_RESIDUAL = 1e-6


class Column(NamedTuple):
    """A column of film that repeats sideways, and how electrons move in it.

    Attributes
    ----------
    width_m, height_m : float, m
    layers : int
        Layers of sites, equally far apart; the electrodes lie half a layer beyond the outer ones.
    link_S : float, S
        Conductance between neighbouring vacancies, and between an electrode and a vacancy as near.
    near_m : float, m
        Distance of neighbouring vacancies.
    decay_1_m : float, 1/m
        Decay of the conductance with distance.
    film_S_m : float, S/m
        Conductivity of the film without vacancies.
    """

    width_m: float
    height_m: float
    layers: int
    link_S: float
    near_m: float
    decay_1_m: float
    film_S_m: float

    @property
    def bare_S(self) -> float:
        """Conductance of the column without vacancies."""
        return self.film_S_m * self.width_m**2 / self.height_m

    @property
    def spreading_S(self) -> float:
        """Conductance from a vacancy into the film around it: a sphere of half the neighbour distance."""
        return 4.0 * np.pi * self.film_S_m * 0.5 * self.near_m

    @property
    def reach_m(self) -> float:
        """Distance at which a link carries a tenth of what the film around a vacancy does."""
        ratio = self.link_S / (0.1 * self.spreading_S)
        return self.near_m + max(np.log(ratio), 0.0) / self.decay_1_m

    def links_S(self, distance_m: Floats) -> Floats:
        """Conductance of links of the given lengths."""
        return tunnel_conductance(self.link_S, self.decay_1_m, np.maximum(distance_m - self.near_m, 0.0))


class Currents(NamedTuple):
    """Solution for one volt between the electrodes.

    Attributes
    ----------
    conductance_S : float, S
        Of the whole column, film included.
    layer : array, shape (layers,), V
        Potential of each layer of film.
    donor : array, shape (vacancies,), V
        Potential of each vacancy.
    """

    conductance_S: float
    layer: Floats
    donor: Floats


def solve(positions_m: Floats, column: Column, reach_m: float | None = None) -> Currents:
    """Current continuity of vacancies and film.

    Parameters
    ----------
    positions_m : array, shape (vacancies, 3), m
        x and y modulo the width; z from the lower electrode.
    column : Column
    reach_m : float, m, optional
        Longest link; by default :func:`enough_m`.

    Raises
    ------
    ConvergenceError
        If the linear system was not solved.
    """
    n, m = len(positions_m), column.layers
    reach = enough_m(positions_m, column) if reach_m is None else reach_m
    step = column.height_m / m
    along = column.film_S_m * column.width_m**2 / step
    first, second, g = [np.arange(m - 1)], [np.arange(1, m)], [np.full(m - 1, along)]
    ground, source = np.zeros(m + n), np.zeros(m + n)
    ground[0], source[m - 1] = 2.0 * along, 2.0 * along
    if n:
        z = positions_m[:, 2]
        layer = np.clip(np.floor(z / step).astype(int), 0, m - 1)
        donor = m + np.arange(n)
        first.append(donor)
        second.append(layer)
        g.append(np.full(n, column.spreading_S))
        pairs, length = _pairs(positions_m, column, reach)
        first.append(m + pairs[:, 0])
        second.append(m + pairs[:, 1])
        g.append(column.links_S(length))
        for far, wire in ((z, ground), (column.height_m - z, source)):
            wire[m:] = np.where(far <= reach, column.links_S(far), 0.0)
    i, j, w = np.concatenate(first), np.concatenate(second), np.concatenate(g)
    diagonal = np.bincount(i, w, m + n) + np.bincount(j, w, m + n) + ground + source
    every = np.arange(m + n)
    matrix = coo_matrix(
        (np.concatenate([diagonal, -w, -w]), (np.concatenate([every, i, j]), np.concatenate([every, j, i]))),
        shape=(m + n, m + n),
    ).tocsc()
    # diagonal scaling: conductances span twelve decades
    scale = 1.0 / np.sqrt(diagonal)
    matrix.data *= scale[matrix.indices] * np.repeat(scale, np.diff(matrix.indptr))
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    right = scale * source
    x = factors.solve(right)
    x += factors.solve(right - matrix @ x)  # one step of refinement
    residual = float(np.abs(right - matrix @ x).max() / np.abs(right).max())
    u = scale * x
    if not (np.isfinite(residual) and residual < WORST_RESIDUAL):
        raise ConvergenceError("The vacancy network was not solved", got=residual, allowed=f"below {WORST_RESIDUAL:g}")
    # dissipated power at one volt: second order in the error of the potentials
    power = (w * (u[i] - u[j]) ** 2).sum() + (ground * u**2).sum() + (source * (1.0 - u) ** 2).sum()
    return Currents(float(power), u[:m], u[m:])


def enough_m(positions_m: Floats, column: Column) -> float:
    """Length of the longest links that matter to the conductance, m.

    The electrodes are joined by links up to some length; six decay lengths more than that, or what no longer matters
    beside the film, whichever is shorter.
    """
    most, spare, n = column.reach_m, SPARE_DECAYS / column.decay_1_m, len(positions_m)
    if not n:
        return most
    z = positions_m[:, 2]
    length = 1.05 * column.near_m
    while length + spare < most:
        pairs, _ = _pairs(positions_m, column, length)
        low, high = np.flatnonzero(z <= length), np.flatnonzero(column.height_m - z <= length)
        i = np.concatenate([pairs[:, 0], np.full(len(low), n), np.full(len(high), n + 1)])
        j = np.concatenate([pairs[:, 1], low, high])
        _, label = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(n + 2, n + 2)), directed=False)
        if label[n] == label[n + 1]:
            return length + spare
        length *= 1.2
    return most


def _pairs(positions_m: Floats, column: Column, reach_m: float) -> tuple[NDArray[np.int64], Floats]:
    """All pairs of vacancies up to a distance, nearest images sideways, and their distances."""
    width = column.width_m
    folded = positions_m.copy()
    folded[:, :2] %= width
    folded[:, :2][folded[:, :2] >= width] = 0.0  # rounding of the modulo
    # a box along z that no pair reaches across
    tree = cKDTree(folded, boxsize=[width, width, 4.0 * (column.height_m + reach_m)])
    pairs = tree.query_pairs(min(reach_m, 0.5 * width), output_type="ndarray")
    apart = folded[pairs[:, 0]] - folded[pairs[:, 1]]
    apart[:, :2] -= width * np.round(apart[:, :2] / width)
    return pairs, np.linalg.norm(apart, axis=1)
