"""Where a filament is narrow: among how many atoms the power that the current leaves is shared."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import InputError
from ..physics.formulas import tunnel_conductance, tunnel_decay
from . import _fields

__all__ = ["bearing_atoms", "shares"]

_FLOAT = 1e-9  # link of each atom to half the voltage, of a contact: what floats alone must be somewhere
_NEEDED = (
    "contact_conductance_S",
    "leakage_S",
    "metal_link_S",
    "nucleus_radius_m",
    "lattice_constant_m",
    "series_resistance_ohm",
    "tunnel_barrier_eV",
    "tunnel_gap_m",
)


def shares(occupation: NDArray[np.int8], parameters: Mapping[str, float]) -> tuple[float, NDArray[np.float64]]:
    """Conductance of a filament, and the share of its dissipated power that each atom has.

    Parameters
    ----------
    occupation : int array, shape (x, y, z)
        2 for metal; negative outside the device.
    parameters : mapping of str to float
        Those of a device card that decide the metal network, in canonical units.

    Returns
    -------
    conductance_S : float, S
        Of the metal alone; 0 without any.
    shares : array, shape (x, y, z), 1
        Sum 1 if there is a conductance. A link between two atoms counts half for either, one to an electrode for its
        atom.

    Notes
    -----
    The network is that of the simulation: links by coordination, tunnelling along z. Solved directly, for one volt; an
    atom without a path to either electrode floats at half of it. The film around the metal is left out, so the
    conductance agrees with that of the trace to about 1e-4.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    inside = occupation >= 0
    height = int(inside.any((0, 1)).sum())
    metal = (occupation == _fields.METAL)[:, :, :height]
    share = np.zeros(occupation.shape)
    n = int(metal.sum())
    if n == 0:
        return 0.0, share
    number = np.full(metal.shape, -1)
    number[metal] = np.arange(n)
    coordination = _coordination(metal, parameters)[metal]
    G_c, G_m = parameters["contact_conductance_S"], parameters["metal_link_S"]
    by_sum = np.array([_fields.link_conductance(0.5 * k, 0.5 * k, G_c, G_m) for k in range(13)])
    first, second, weight = [], [], []
    for axis in range(3):
        along = np.moveaxis(number, axis, 0)
        i, j = along[:-1].ravel(), along[1:].ravel()
        both = (i >= 0) & (j >= 0)
        first.append(i[both])
        second.append(j[both])
        weight.append(by_sum[coordination[i[both]] + coordination[j[both]]])
    top, bottom = np.zeros(n), np.zeros(n)
    for layer, electrode in ((number[:, :, -1], top), (number[:, :, 0], bottom)):
        touching = layer[layer >= 0]
        electrode[touching] += by_sum[coordination[touching] + 6]
    pairs, gaps = _gaps(number, height, parameters, top, bottom)
    first.append(pairs[:, 0])
    second.append(pairs[:, 1])
    weight.append(gaps)
    i, j, g = np.concatenate(first), np.concatenate(second), np.concatenate(weight)
    rows, columns = np.concatenate([i, j, i, j, np.arange(n)]), np.concatenate([i, j, j, i, np.arange(n)])
    values = np.concatenate([g, g, -g, -g, top + bottom + _FLOAT * G_c])
    u = np.atleast_1d(spsolve(coo_array((values, (rows, columns)), shape=(n, n)).tocsc(), top + 0.5 * _FLOAT * G_c))
    in_links = g * (u[i] - u[j]) ** 2
    power = top * (1 - u) ** 2 + bottom * u**2
    np.add.at(power, i, 0.5 * in_links)
    np.add.at(power, j, 0.5 * in_links)
    total = float(power.sum())
    share[:, :, :height][metal] = power / total if total > 0 else 0.0
    return total, share


def _coordination(metal: NDArray[np.bool_], parameters: Mapping[str, float]) -> NDArray[np.intp]:
    """Bonds of each atom: to atoms, to the active electrode, to the counter electrode where silver wets it."""
    wide = np.pad(metal, 1)
    bonds = np.zeros(metal.shape, int)
    for axis in range(3):
        for step in (-1, 1):
            bonds += np.roll(wide, step, axis)[1:-1, 1:-1, 1:-1]
    bonds[:, :, -1] += 1
    x, y = (np.arange(size) - (size - 1) / 2 for size in metal.shape[:2])
    radius = np.hypot(x[:, None], y[None, :]) * parameters["lattice_constant_m"]
    bonds[:, :, 0] += radius <= parameters["nucleus_radius_m"]
    return bonds


def _gaps(
    number: NDArray[np.intp],
    height: int,
    parameters: Mapping[str, float],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Tunnelling links between atoms; those to the electrodes are added to theirs."""
    decay = tunnel_decay(parameters["tunnel_barrier_eV"], 1.0)
    spacing, gap = parameters["lattice_constant_m"], parameters["tunnel_gap_m"]

    def through(empty: int) -> float:
        if not 0 < empty <= _fields._FARTHEST_GAP:
            return 0.0
        return float(tunnel_conductance(parameters["contact_conductance_S"], decay, gap + (empty - 1) * spacing))

    pairs, weight = [], []
    for x, y in np.argwhere((number >= 0).any(2)):
        column = number[x, y]
        levels = np.flatnonzero(column >= 0)
        bottom[column[levels[0]]] += through(int(levels[0]))
        top[column[levels[-1]]] += through(height - 1 - int(levels[-1]))
        for low, high in itertools.pairwise(levels):
            g = through(int(high - low) - 1)
            if g > 0:
                pairs.append((column[low], column[high]))
                weight.append(g)
    return np.array(pairs, dtype=int).reshape(-1, 2), np.array(weight)


def bearing_atoms(trace: xr.Dataset) -> xr.DataArray:
    """Number of atoms that carry the current of a filament, at each instant.

    The inverse participation ratio of the dissipated power, 1 / sum of :func:`shares` squared: 1 for one contact, the
    number of atoms in the narrowest layer for a constriction, of all atoms for a wire of one width.

    Parameters
    ----------
    trace : xarray.Dataset
        Of :class:`~halidrift.kmc.FilamentKMC`, of one device or of many, with ``occupation`` and perhaps
        ``snapshot_occupation``.

    Returns
    -------
    DataArray, dimensions of ``conductance``, 1
        What :meth:`ReadNoise.added_to <halidrift.physics.noise.ReadNoise.added_to>` takes as `atoms`.

    Raises
    ------
    InputError
        If the trace has no occupation, or not the parameters of a filament.

    Notes
    -----
    The occupation is known at the end and at the snapshots. At another instant the filament is taken to have the shape
    that it has at the nearest of these, its layers scaled with the conductance; where that one holds no filament, to
    be a contact of this conductance, or one atom. A trace whose reads matter ends with them or has snapshots there.

    References
    ----------
    .. [1] R. Rammal, C. Tannous and A.-M. S. Tremblay, Phys. Rev. A 31, 2662 (1985).
    """
    parameters = json.loads(trace.attrs.get("parameters", "{}")).get("device", {}).get("parameters", {})
    missing = [name for name in _NEEDED if name not in parameters]
    if "occupation" not in trace or missing:
        raise InputError(
            "Only a trace of FilamentKMC tells which atoms carry its current",
            got=f"model {trace.attrs.get('model', 'unknown')}",
            action="Leave atoms out: the noise is then that of a contact with the conductance of the trace",
        )
    G = trace["conductance"].transpose(..., "time")
    time = trace["time"].values
    known = [time.size - 1]
    pictures = [trace["occupation"].transpose(..., "x", "y", "z")]
    if "snapshot_occupation" in trace:
        album = trace["snapshot_occupation"].transpose(..., "snapshot", "x", "y", "z")
        known += [int(np.abs(time - t).argmin()) for t in np.atleast_1d(trace["snapshot_time"].values)]
        pictures += [album.isel(snapshot=i) for i in range(album.sizes["snapshot"])]
    nearest = np.abs(time[:, None] - time[known][None, :]).argmin(axis=1)
    result = np.empty(G.shape)
    for place in np.ndindex(G.shape[:-1]):
        own = {
            name: float(trace[f"drawn_{name}"].values[place]) if f"drawn_{name}" in trace else parameters[name]
            for name in _NEEDED
        }
        g = G.values[place]
        filament = np.maximum(g / (1 - g * own["series_resistance_ohm"]) - own["leakage_S"], 0.0)
        n = np.maximum(filament / own["contact_conductance_S"], 1.0)
        for k, (at, picture) in enumerate(zip(known, pictures, strict=True)):
            there, share = shares(picture.values[place], own)
            # a filament that conducts less than the film beside it decides nothing
            if there > own["leakage_S"] and filament[at] > own["leakage_S"]:
                scaled = filament / filament[at] / (share**2).sum()
                n = np.where(nearest == k, np.maximum(scaled, 1.0), n)
        result[place] = n
    words = {"units": "1", "long_name": "atoms that carry the current"}
    return xr.DataArray(result, coords=G.coords, dims=G.dims, attrs=words, name="bearing_atoms")
