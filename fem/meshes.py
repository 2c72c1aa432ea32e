"""Finite volumes of a film: FiPy's mesh, and fast direct solves on FiPy's own faces.

A FiPy term costs milliseconds to assemble, a banded factorisation of the same matrix a fraction of one. The
classes here therefore take cells, faces, areas and distances from FiPy and assemble the two-point fluxes
themselves; ``tests/verification/test_filament_physics.py`` holds them to FiPy's terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded, solveh_banded

from ..physics.errors import ConvergenceError, InputError

__all__ = ["Cylinder", "cylinder"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cylinder:
    """An axisymmetric film between two contacts, cells counted along r first, then along z.

    Attributes
    ----------
    mesh : fipy.CylindricalGrid2D
    shape : tuple of int
        Cells along z and along r.
    r_m, z_m : array, shape (cells,), m
        Cell centres; z runs from the counter electrode to the active electrode.
    volume_m3 : array, shape (cells,), m^3
        Of the whole ring, not of one radian of it.
    left, right : int array, shape (faces,)
        Cells on both sides of each interior face.
    area_m2, distance_m : array, shape (faces,), m^2 and m
        Area of each interior face, distance of the two cell centres.
    bottom, top : int array, shape (radial cells,)
        Cells that touch the counter electrode and the active electrode.
    end_area_m2 : array, shape (radial cells,), m^2
    end_distance_m : float, m
        From a contact to the centre of the cell that touches it.
    """

    mesh: Any
    shape: tuple[int, int]
    r_m: Array
    z_m: Array
    volume_m3: Array
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    area_m2: Array
    distance_m: Array
    bottom: NDArray[np.intp]
    top: NDArray[np.intp]
    end_area_m2: Array
    end_distance_m: float

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.volume_m3.size

    def face_mean(self, values: Array) -> Array:
        """Harmonic mean of a cell property on interior faces: exact flux through two layers in series."""
        a, b = values[self.left], values[self.right]
        return 2.0 * a * b / (a + b)

    def links(self, coefficient: Array) -> Array:
        """Conductance of each interior face, coefficient times area over distance."""
        return self.face_mean(coefficient) * self.area_m2 / self.distance_m

    def ends(self, coefficient: Array, cells: NDArray[np.intp], transfer: float = np.inf) -> Array:
        """Conductance from a contact to the cells that touch it, with an interface `transfer` in series."""
        return self.end_area_m2 / (self.end_distance_m / coefficient[cells] + 1.0 / transfer)

    def onto_left(self, values: Array) -> Array:
        """Sum of a face property over the faces that have a cell on their left."""
        return np.asarray(np.bincount(self.left, values, self.size), dtype=float)

    def onto_right(self, values: Array) -> Array:
        """Sum of a face property over the faces that have a cell on their right."""
        return np.asarray(np.bincount(self.right, values, self.size), dtype=float)

    def divergence(self, flow: Array) -> Array:
        """Net outflow of each cell, for a flow from `left` to `right` through each interior face."""
        return self.onto_left(flow) - self.onto_right(flow)

    def solve(
        self, links: Array, bottom: Array, top: Array, source: Array, low: float, high: float, loss: Array | float = 0.0
    ) -> Array:
        """Steady potential with sources: conductances `links` inside, `bottom` to `low`, `top` to `high`.

        Solves sum_j g_ij (x_i - x_j) + g_b (x_i - x_b) + loss_i x_i = source_i by banded Cholesky factorisation.

        Raises
        ------
        ConvergenceError
            If the matrix is not positive definite or the result is not finite.
        """
        radial = self.shape[1]
        band = np.zeros((radial + 1, self.size))
        band[0] = self.onto_left(links) + self.onto_right(links)
        band[0, self.bottom] += bottom
        band[0, self.top] += top
        band[0] += loss
        band[self.right - self.left, self.left] = -links
        right = source.copy()
        right[self.bottom] += bottom * low
        right[self.top] += top * high
        try:
            factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
        except LinAlgError as error:
            raise ConvergenceError("The steady field has no solution", got=str(error)) from error
        x = cho_solve_banded((factor, True), right, check_finite=False)
        # one refinement: differences of potentials keep the weak links that the diagonal of the matrix rounds away
        residual = source - self.divergence(links * (x[self.left] - x[self.right])) - loss * x
        residual[self.bottom] += bottom * (low - x[self.bottom])
        residual[self.top] += top * (high - x[self.top])
        x = x + cho_solve_banded((factor, True), residual, check_finite=False)
        if not np.isfinite(x).all():
            raise ConvergenceError("The steady field is not finite", got=f"{np.sum(~np.isfinite(x))} cells")
        return x

    def solve_pair(self, first: Array, second: Array, exchange: float, source: Array) -> Array:
        """Steady rise of two temperatures that exchange heat, both zero at the contacts.

        Solves div(first grad x) + exchange (y - x) = 0 and div(second grad y) + exchange (x - y) + source = 0.

        Parameters
        ----------
        first, second : array, shape (cells,), W/(m K)
        exchange : float, W/(m^3 K), >= 0
        source : array, shape (cells,), W
            Into the second.

        Returns
        -------
        array, shape (2, cells), K

        Raises
        ------
        ConvergenceError
            If the matrix is not positive definite or the heat that leaves is not the heat that enters.
        """
        radial, swap = self.shape[1], exchange * self.volume_m3
        band = np.zeros((2 * radial + 1, 2 * self.size))
        right = np.zeros(2 * self.size)
        right[1::2] = source
        band[1, 0::2] = -swap
        contacts = []
        for start, coefficient in ((0, first), (1, second)):
            links = self.links(coefficient)
            low, high = self.ends(coefficient, self.bottom), self.ends(coefficient, self.top)
            diagonal = swap + self.onto_left(links) + self.onto_right(links)
            diagonal[self.bottom] += low
            diagonal[self.top] += high
            band[0, start::2] = diagonal
            band[2 * (self.right - self.left), 2 * self.left + start] = -links
            contacts.append((low, high))
        try:
            x = solveh_banded(band, right, lower=True, check_finite=False)
        except LinAlgError as error:
            raise ConvergenceError("The temperature has no solution", got=str(error)) from error
        rise = np.stack([x[0::2], x[1::2]])
        leaving = sum(
            float(np.sum(low * t[self.bottom]) + np.sum(high * t[self.top]))
            for t, (low, high) in zip(rise, contacts, strict=True)
        )
        entering = float(source.sum())
        if not abs(leaving - entering) <= 1e-6 * abs(entering):  # also catches nan
            raise ConvergenceError(
                "The heat that leaves is not the heat that enters", got=f"{leaving:g} W of {entering:g} W"
            )
        return rise


def cylinder(radius_m: float, height_m: float, radial_cells: int, axial_cells: int) -> Cylinder:
    """Mesh of a film with equal cells.

    Parameters
    ----------
    radius_m, height_m : float, m, > 0
    radial_cells, axial_cells : int, >= 2

    Returns
    -------
    Cylinder

    Raises
    ------
    InputError
        If a length or a number of cells is out of range.

    Examples
    --------
    >>> film = cylinder(6e-9, 20e-9, 10, 34)
    >>> film.size, f"{film.volume_m3.sum():.3e}"
    (340, '2.262e-24')
    """
    for name, length in (("radius_m", radius_m), ("height_m", height_m)):
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"{name} must be positive", got=f"{length} m", allowed="> 0 m")
    if min(radial_cells, axial_cells) < 2 or radial_cells * axial_cells > 1_000_000:
        raise InputError(
            "Unusable number of cells",
            got=f"{radial_cells} x {axial_cells}",
            allowed="at least 2 each way, at most a million",
        )
    # FiPy reads sys.argv when it is imported; it comes in where a mesh is made, not with the package.
    from fipy import CylindricalGrid2D

    dr, dz = radius_m / radial_cells, height_m / axial_cells
    mesh = CylindricalGrid2D(nr=radial_cells, nz=axial_cells, dr=dr, dz=dz)
    cells = np.asarray(mesh.faceCellIDs.filled(-1))
    inside = np.asarray(mesh.interiorFaces.value)
    turn = 2.0 * np.pi  # FiPy's cylindrical volumes and areas are those of one radian
    low, high = np.asarray(mesh.facesBottom.value), np.asarray(mesh.facesTop.value)
    left, right = np.sort(cells[:, inside], axis=0).astype(np.intp)
    return Cylinder(
        mesh=mesh,
        shape=(int(axial_cells), int(radial_cells)),
        r_m=np.array(mesh.cellCenters.value[0]),
        z_m=np.array(mesh.cellCenters.value[1]),
        volume_m3=turn * np.array(mesh.cellVolumes),
        left=left,
        right=right,
        area_m2=turn * np.array(mesh._faceAreas)[inside],
        distance_m=np.array(mesh._cellDistances)[inside],
        bottom=cells[0, low].astype(np.intp),
        top=cells[0, high].astype(np.intp),
        end_area_m2=turn * np.array(mesh._faceAreas)[low],
        end_distance_m=0.5 * dz,
    )
