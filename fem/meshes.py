"""Finite volumes of a film: FiPy's mesh, and fast direct solves on FiPy's own faces.

A FiPy term costs milliseconds to assemble, a banded factorisation of the same matrix a fraction of one. The
class here therefore takes cells, faces, areas and distances from FiPy, for every structured mesh alike, and assembles
the two-point fluxes itself; ``tests/verification`` holds it to FiPy's terms on every geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solveh_banded

from ..physics.errors import ConvergenceError, InputError
from . import _volumes
from .solvers import Held

__all__ = ["Conductances", "Grid", "block", "cylinder", "slab"]

Array = NDArray[np.float64]
Cells = NDArray[np.intp]

_MOST_CELLS = 1_000_000


class Conductances(NamedTuple):
    """What joins cells to each other and to the contacts, S or W/K.

    Attributes
    ----------
    faces : array, shape (faces,)
    bottom, top : array, shape (layer,)
    """

    faces: Array
    bottom: Array
    top: Array


@dataclass(frozen=True, eq=False)
class Grid:
    """A film between two contacts: the counter electrode at the bottom, the active electrode at the top.

    Cells are counted along the first direction first and along z, from contact to contact, last.

    Attributes
    ----------
    mesh : fipy.CylindricalGrid2D, fipy.Grid2D or fipy.Grid3D
    recipe : dict
        Name and arguments of the function that made it.
    axes : tuple of str
        Names of the directions, z first: ("z", "r"), ("z", "x") or ("z", "y", "x").
    shape : tuple of int
        Cells along each of `axes`.
    centre_m : array, shape (axes, cells), m
        Cell centres, in the order of FiPy, z last.
    volume_m3 : array, shape (cells,), m^3
        Of the whole ring, not of one radian of it.
    left, right : int array, shape (faces,)
        Cells on both sides of each interior face.
    area_m2, distance_m : array, shape (faces,), m^2 and m
        Area of each interior face, distance of the two cell centres.
    bottom, top : int array, shape (cells of a layer,)
        Cells that touch the counter electrode and the active electrode.
    end_area_m2 : array, shape (cells of a layer,), m^2
    end_distance_m : float, m
        From a contact to the centre of the cell that touches it.
    side : int array, shape (side faces,)
        Cell inside each face of the side walls.
    side_area_m2, side_distance_m : array, shape (side faces,), m^2 and m
        Area of each, and distance to the centre of its cell.
    """

    mesh: Any
    recipe: dict[str, Any]
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    centre_m: Array
    volume_m3: Array
    left: Cells
    right: Cells
    area_m2: Array
    distance_m: Array
    bottom: Cells
    top: Cells
    end_area_m2: Array
    end_distance_m: float
    side: Cells
    side_area_m2: Array
    side_distance_m: Array

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.volume_m3.size

    @property
    def layer(self) -> int:
        """Number of cells between which z does not change; the half-width of every matrix."""
        return self.bottom.size

    @property
    def height_m(self) -> float:
        """Distance of the contacts, m."""
        return float(self.recipe["height_m"])

    @property
    def z_m(self) -> Array:
        """Distance of each cell centre from the counter electrode, m."""
        return self.centre_m[-1]

    @property
    def r_m(self) -> Array:
        """Distance of each cell centre from the axis: of symmetry, or through the middle of the film, m."""
        if self.axes[-1] == "r":
            return self.centre_m[0]
        middle = 0.5 * (self.centre_m[:-1].min(axis=1) + self.centre_m[:-1].max(axis=1))
        return np.sqrt(np.sum((self.centre_m[:-1] - middle[:, None]) ** 2, axis=0))

    def coordinates(self) -> dict[str, Array]:
        """Cell centres along each of `axes`, m."""
        return {name: np.unique(np.round(c, 18)) for name, c in zip(self.axes, self.centre_m[::-1], strict=True)}

    def face_mean(self, values: Array) -> Array:
        """Harmonic mean of a cell property on interior faces: exact flux through two layers in series.

        Parameters
        ----------
        values : array, shape (cells,), > 0

        Returns
        -------
        array, shape (faces,)
        """
        a, b = values[self.left], values[self.right]
        return 2.0 * a * b / (a + b)

    def links(self, coefficient: Array) -> Array:
        """Conductance of each interior face, coefficient times area over distance.

        Parameters
        ----------
        coefficient : array, shape (cells,), S/m or W/(m K), > 0

        Returns
        -------
        array, shape (faces,), S or W/K
        """
        return self.face_mean(coefficient) * self.area_m2 / self.distance_m

    def ends(self, coefficient: Array, cells: NDArray[np.intp], transfer: float = np.inf) -> Array:
        """Conductance from a contact to the cells that touch it, with an interface `transfer` in series.

        Parameters
        ----------
        coefficient : array, shape (cells,), S/m or W/(m K), > 0
        cells : int array, shape (cells of a layer,)
            Those that touch the contact: `bottom` or `top`.
        transfer : float, S/m^2 or W/(m^2 K), > 0
            inf is a contact without an interface.

        Returns
        -------
        array, shape (cells of a layer,), S or W/K
        """
        return self.end_area_m2 / (self.end_distance_m / coefficient[cells] + 1.0 / transfer)

    def conductances(self, coefficient: Array) -> Conductances:
        """Conductances of a material that the contacts touch without an interface.

        Parameters
        ----------
        coefficient : array, shape (cells,), S/m or W/(m K), > 0
        """
        return Conductances(
            self.links(coefficient), self.ends(coefficient, self.bottom), self.ends(coefficient, self.top)
        )

    def sides(self, coefficient: Array, transfer: float) -> Array:
        """Conductance of each cell to what is outside the side walls; 0 if `transfer` is.

        Parameters
        ----------
        coefficient : array, shape (cells,), W/(m K), > 0
        transfer : float, W/(m^2 K), >= 0

        Returns
        -------
        array, shape (cells,), W/K
        """
        if transfer == 0.0:
            return np.zeros(self.size)
        flow = self.side_area_m2 / (self.side_distance_m / coefficient[self.side] + 1.0 / transfer)
        return _volumes.onto(self.side, flow, self.size)

    def onto_left(self, values: Array) -> Array:
        """Sum of a face property over the faces that have a cell on their left.

        Parameters
        ----------
        values : array, shape (faces,)

        Returns
        -------
        array, shape (cells,)
        """
        return _volumes.onto(self.left, values, self.size)

    def onto_right(self, values: Array) -> Array:
        """Sum of a face property over the faces that have a cell on their right.

        Parameters
        ----------
        values : array, shape (faces,)

        Returns
        -------
        array, shape (cells,)
        """
        return _volumes.onto(self.right, values, self.size)

    def divergence(self, flow: Array) -> Array:
        """Net outflow of each cell, for a flow from `left` to `right` through each interior face.

        Parameters
        ----------
        flow : array, shape (faces,)

        Returns
        -------
        array, shape (cells,)
            In the unit of the flow.
        """
        return _volumes.divergence(flow, self.left, self.right, self.size)

    def joule(self, links: Array, bottom: Array, top: Array, potential: Array, low: float, high: float) -> Array:
        """Heat of each cell: the divergence of sigma psi grad psi, each face shared by halves, W.

        Written with positive terms; the sum over all cells is current times voltage.

        Parameters
        ----------
        links, bottom, top : array, shape (faces,), (cells of a layer,), (cells of a layer,), S
            Conductances of :meth:`links` and :meth:`ends`.
        potential : array, shape (cells,), V
        low, high : float, V
            Potentials of the contacts at the bottom and at the top.
        """
        face = 0.5 * links * (potential[self.right] - potential[self.left]) ** 2
        heat = self.onto_left(face) + self.onto_right(face)
        heat[self.bottom] += bottom * (potential[self.bottom] - low) ** 2
        heat[self.top] += top * (high - potential[self.top]) ** 2
        return heat

    def solve(
        self,
        links: Array,
        bottom: Array,
        top: Array,
        source: Array,
        low: float,
        high: float,
        loss: Array | float = 0.0,
        held: Held | None = None,
        start: Array | None = None,
        **accuracy: float,
    ) -> Array:
        """Field with sources: conductances `links` inside, `bottom` to `low`, `top` to `high`.

        Solves sum_j g_ij (x_i - x_j) + g_b (x_i - x_b) + loss_i x_i = source_i by banded Cholesky factorisation.

        Parameters
        ----------
        links, bottom, top : array, shape (faces,), (layer,), (layer,)
        source : array, shape (cells,)
        low, high : float
        loss : float or array, shape (cells,), >= 0
        held : Held, optional
            Factor of a similar matrix, and place for that of this one.
        start : array, shape (cells,), optional
            First guess.
        **accuracy : float
            As :meth:`~halidrift.fem.solvers.Held.solve` takes it.

        Returns
        -------
        array, shape (cells,)
            In the unit of `low` and `high`.

        Raises
        ------
        ConvergenceError
            If the matrix is not positive definite or the result is not finite.
        """

        def matrix() -> Array:
            band = np.zeros((self.layer + 1, self.size), order="F")
            band[0] = self.onto_left(links) + self.onto_right(links) + loss
            band[0, self.bottom] += bottom
            band[0, self.top] += top
            band[self.right - self.left, self.left] = -links
            return band

        faces = links, self.left, self.right, np.broadcast_to(np.asarray(loss, dtype=float), self.size)
        nothing = np.zeros(self.size)

        def residual(x: Array) -> Array:
            return _volumes.field_residual(*faces, self.bottom, bottom, low, self.top, top, high, source, x)

        def apply(x: Array) -> Array:
            return -_volumes.field_residual(*faces, self.bottom, bottom, 0.0, self.top, top, 0.0, nothing, x)

        first = np.zeros(self.size) if start is None else start
        return (Held() if held is None else held).solve(matrix, apply, residual, first, **accuracy)

    def solve_pair(
        self, first: Conductances, second: Conductances, exchange: Array, source: Array, loss: Array | float = 0.0
    ) -> Array:
        """Steady rise of two temperatures that exchange heat, both zero at the contacts.

        Solves div(first grad x) + exchange (y - x) - loss x = 0 and div(second grad y) + exchange (x - y) + source = 0.

        Parameters
        ----------
        first, second : Conductances, W/K
        exchange : array, shape (cells,), W/K, >= 0
        source : array, shape (cells,), W
            Into the second.
        loss : float or array, shape (cells,), W/K, >= 0
            From the first to what is outside the side walls.

        Returns
        -------
        array, shape (2, cells), K

        Raises
        ------
        ConvergenceError
            If the matrix is not positive definite or the heat that leaves is not the heat that enters.
        """
        band = np.zeros((2 * self.layer + 1, 2 * self.size))
        right = np.zeros(2 * self.size)
        right[1::2] = source
        band[1, 0::2] = -exchange
        for start, (links, low, high) in ((0, first), (1, second)):
            diagonal = exchange + self.onto_left(links) + self.onto_right(links)
            diagonal[self.bottom] += low
            diagonal[self.top] += high
            band[0, start::2] = diagonal
            band[2 * (self.right - self.left), 2 * self.left + start] = -links
        band[0, 0::2] += loss
        try:
            x = solveh_banded(band, right, lower=True, check_finite=False)
        except LinAlgError as error:
            raise ConvergenceError("The temperature has no solution", got=str(error)) from error
        rise = np.stack([x[0::2], x[1::2]])
        leaving = float(np.sum(loss * rise[0]))
        for t, (_, low, high) in zip(rise, (first, second), strict=True):
            leaving += float(np.sum(low * t[self.bottom]) + np.sum(high * t[self.top]))
        entering = float(source.sum())
        if not abs(leaving - entering) <= 1e-6 * abs(entering):  # also catches nan
            raise ConvergenceError(
                "The heat that leaves is not the heat that enters", got=f"{leaving:g} W of {entering:g} W"
            )
        return rise


def _checked(lengths: dict[str, float], cells: dict[str, int]) -> None:
    for name, length in lengths.items():
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"{name} must be positive", got=f"{length} m", allowed="> 0 m")
    if min(cells.values()) < 2 or np.prod(list(cells.values())) > _MOST_CELLS:
        raise InputError(
            "Unusable number of cells",
            got=" x ".join(map(str, cells.values())),
            allowed="at least 2 each way, at most a million",
        )


def _grid(mesh: Any, recipe: dict[str, Any], axes: tuple[str, ...], factor: float) -> Grid:
    """Read a FiPy mesh: `factor` is what its volumes and areas lack to those of the device."""
    cells = np.asarray(mesh.faceCellIDs.filled(-1))
    inside = np.asarray(mesh.interiorFaces.value)
    area, distance = factor * np.array(mesh._faceAreas), np.array(mesh._cellDistances)
    centre = np.array(mesh.cellCenters.value)
    height, z = float(recipe["height_m"]), np.array(mesh.faceCenters.value)[-1]
    low, high = ~inside & (z < 1e-9 * height), ~inside & (z > (1.0 - 1e-9) * height)
    # the axis of a cylinder is a face without an area
    side = ~inside & ~low & ~high & (area > 1e-12 * area.max())
    left, right = np.sort(cells[:, inside], axis=0).astype(np.intp)
    return Grid(
        mesh=mesh,
        recipe=recipe,
        axes=axes,
        shape=tuple(int(n) for n in np.array(mesh.shape)[::-1]),
        centre_m=centre,
        volume_m3=factor * np.array(mesh.cellVolumes),
        left=left,
        right=right,
        area_m2=area[inside],
        distance_m=distance[inside],
        bottom=cells[0, low].astype(np.intp),
        top=cells[0, high].astype(np.intp),
        end_area_m2=area[low],
        end_distance_m=0.5 * height / int(mesh.shape[-1]),
        side=cells[0, side].astype(np.intp),
        side_area_m2=area[side],
        side_distance_m=distance[side],
    )


def cylinder(radius_m: float, height_m: float, radial_cells: int, axial_cells: int) -> Grid:
    """Axisymmetric film with equal cells.

    Parameters
    ----------
    radius_m, height_m : float, m, > 0
    radial_cells, axial_cells : int, >= 2

    Returns
    -------
    Grid

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
    recipe = {"radius_m": radius_m, "height_m": height_m, "radial_cells": radial_cells, "axial_cells": axial_cells}
    _checked({"radius_m": radius_m, "height_m": height_m}, {"radial_cells": radial_cells, "axial_cells": axial_cells})
    # FiPy reads sys.argv when it is imported; it comes in where a mesh is made, not with the package.
    from fipy import CylindricalGrid2D

    mesh = CylindricalGrid2D(nr=radial_cells, nz=axial_cells, dr=radius_m / radial_cells, dz=height_m / axial_cells)
    # FiPy's cylindrical volumes and areas are those of one radian
    return _grid(mesh, {"kind": "cylinder", **recipe}, ("z", "r"), 2.0 * np.pi)


def slab(width_m: float, height_m: float, depth_m: float, lateral_cells: int, axial_cells: int) -> Grid:
    """Film in two Cartesian dimensions with equal cells, the same at every depth.

    Parameters
    ----------
    width_m, height_m, depth_m : float, m, > 0
    lateral_cells, axial_cells : int, >= 2

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        If a length or a number of cells is out of range.

    Examples
    --------
    >>> slab(10e-9, 20e-9, 5e-9, 10, 20).shape
    (20, 10)
    """
    lengths = {"width_m": width_m, "height_m": height_m, "depth_m": depth_m}
    cells = {"lateral_cells": lateral_cells, "axial_cells": axial_cells}
    _checked(lengths, cells)
    from fipy import Grid2D

    mesh = Grid2D(nx=lateral_cells, ny=axial_cells, dx=width_m / lateral_cells, dy=height_m / axial_cells)
    return _grid(mesh, {"kind": "slab", **lengths, **cells}, ("z", "x"), depth_m)


def block(width_m: float, depth_m: float, height_m: float, x_cells: int, y_cells: int, z_cells: int) -> Grid:
    """Film in three Cartesian dimensions with equal cells.

    Parameters
    ----------
    width_m, depth_m, height_m : float, m, > 0
        Along x, y and z.
    x_cells, y_cells, z_cells : int, >= 2

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        If a length or a number of cells is out of range.

    Examples
    --------
    >>> block(10e-9, 10e-9, 20e-9, 5, 6, 20).shape
    (20, 6, 5)
    """
    lengths = {"width_m": width_m, "depth_m": depth_m, "height_m": height_m}
    cells = {"x_cells": x_cells, "y_cells": y_cells, "z_cells": z_cells}
    _checked(lengths, cells)
    from fipy import Grid3D

    mesh = Grid3D(nx=x_cells, ny=y_cells, nz=z_cells, dx=width_m / x_cells, dy=depth_m / y_cells, dz=height_m / z_cells)
    return _grid(mesh, {"kind": "block", **lengths, **cells}, ("z", "y", "x"), 1.0)
