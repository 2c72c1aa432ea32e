"""The column of film in which a filament grows: a simple cubic network between two electrodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import InputError

__all__ = ["BOTTOM", "SIDE", "TOP", "Column", "column"]

# What lies beyond the last site in a direction; negative, so that it can stand in a table of site indices.
SIDE, BOTTOM, TOP = -1, -2, -3


@dataclass(frozen=True, eq=False)
class Column:
    """A column of film between two electrodes: interstitial sites on a simple cubic network.

    Attributes
    ----------
    spacing_m : float, m
        Distance of neighbours.
    shape : tuple of int
        Sites along x, y and z; z runs from the counter electrode (bottom) to the active electrode (top).
    positions_m : array, shape (sites, 3), m
        Centre of each site; x and y count from the axis of the column, z from the bottom interface.
    neighbours : int array, shape (sites, 6)
        Index of each neighbour, or SIDE, BOTTOM or TOP where the column ends.
    """

    spacing_m: float
    shape: tuple[int, int, int]
    positions_m: NDArray[np.float64]
    neighbours: NDArray[np.int32]

    @property
    def size(self) -> int:
        """Number of sites."""
        return len(self.positions_m)


def column(spacing_m: float, width_m: float, height_m: float) -> Column:
    """Sites of a square column of film.

    Parameters
    ----------
    spacing_m, width_m, height_m : float, m, > 0
        Site distance, lateral edge and film thickness. The thickness is rounded to whole sites, the edge to an odd
        number of them, so that a row of sites lies on the axis.

    Returns
    -------
    Column

    Raises
    ------
    InputError
        If the column is thinner than three sites in any direction, or holds more than 4 million sites.

    Examples
    --------
    >>> column(0.587e-9, 9.4e-9, 20e-9).shape
    (17, 17, 34)
    """
    nx, nz = 2 * int(width_m / spacing_m / 2) + 1, round(height_m / spacing_m)
    if min(nx, nz) < 3 or nx * nx * nz > 4_000_000:
        raise InputError(
            "The column does not fit the lattice",
            got=f"{nx} x {nx} x {nz} sites",
            allowed="at least 3 sites each way, at most 4 million",
            action="Change column_width_m or lattice_constant_m in the device card",
        )
    grid = np.stack(np.meshgrid(np.arange(nx), np.arange(nx), np.arange(nz), indexing="ij"), axis=-1).reshape(-1, 3)
    # by index: a neighbour search over 10,000 sites takes seconds and finds the same table
    number = np.arange(len(grid), dtype=np.int32).reshape(nx, nx, nz)
    table = np.full((6, nx, nx, nz), SIDE, dtype=np.int32)
    for axis in range(3):
        behind, ahead = np.moveaxis(table[2 * axis], axis, 0), np.moveaxis(table[2 * axis + 1], axis, 0)
        along = np.moveaxis(number, axis, 0)
        behind[1:], ahead[:-1] = along[:-1], along[1:]
    neighbours = np.ascontiguousarray(table.reshape(6, len(grid)).T)
    neighbours[grid[:, 2] == 0, 4] = BOTTOM
    neighbours[grid[:, 2] == nz - 1, 5] = TOP
    centre = np.array([(nx - 1) / 2, (nx - 1) / 2, -0.5])
    return Column(spacing_m, (nx, nx, nz), (grid - centre) * spacing_m, neighbours)
