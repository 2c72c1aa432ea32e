"""Potential and temperature of a filament of atoms, resolved: the KMC's trace in, maps on its own lattice out.

The atomistic run keeps one thermal resistance and takes isotherms for equipotentials. Here the same atoms, one to a
cell of a Cartesian mesh, conduct current and heat through the links between them (electrons by Wiedemann and Franz,
the lattice everywhere), so that both can be checked. It reads the trace alone.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import formulas
from ..physics.constants import LORENZ_NUMBER_W_OHM_K2 as LORENZ
from ..physics.errors import ConvergenceError, InputError
from .circuit import Circuit
from .filament import COUPLING_W_M3K
from .meshes import Array, Conductances, Grid, block

__all__ = ["filament_maps"]

_METAL = 2  # value of the occupation
_FARTHEST_GAP = 8  # empty sites in a row across which tunnelling is still counted, as the atomistic network does
_LEAK = 1e-3  # of the leakage that the column carries: more digits are left for the filament
_TURNS, _SETTLED_K = 60, 1e-3


def filament_maps(
    trace: xr.Dataset,
    *,
    snapshot: int | None = None,
    device_voltage_V: float | None = None,
    side_W_m2K: float = 0.0,
    coupling_W_m3K: float = COUPLING_W_M3K,
    ballistic_layers: int = 0,
) -> xr.Dataset:
    """Potential, lattice and electron temperature around the atoms of a KMC filament.

    Parameters
    ----------
    trace : xarray.Dataset
        From ``FilamentKMC.simulate``: ``occupation`` over x, y, z, the card in its attributes.
    snapshot : int, optional
        Number of the snapshot to take; by default the last occupation.
    device_voltage_V : float, V, optional
        Voltage of the device; by default that of the trace at that instant.
    side_W_m2K : float, W/(m^2 K), >= 0
        Transfer through the side walls of the column to film at the ambient temperature: 0 if nothing but the contacts
        cools, inf if the film beside does; the truth lies between.
    coupling_W_m3K : float, W/(m^3 K), > 0
        From electrons to the lattice, in the metal; inf: one temperature.
    ballistic_layers : int, >= 0
        Layers below the active electrode whose Joule heat goes into that electrode: electrons that cross a gap or a
        contact of single atoms lose their energy behind it.

    Returns
    -------
    xarray.Dataset
        ``potential`` (V), ``temperature`` and ``electron_temperature`` (K), ``joule_heat`` (W/m3) and ``metal`` (1)
        over z, y, x, and the numbers
        ``conductance`` (S, of the film), ``film_voltage`` (V), ``power`` (W), ``temperature_max`` (K) and
        ``thermal_resistance`` (K/W, highest rise over power).

    Raises
    ------
    InputError
        If the trace holds no filament or no such snapshot, or a number is out of range.
    ConvergenceError
        If a field does not settle, or power is lost.

    Notes
    -----
    Links between atoms, to contacts and across gaps along z are those of the atomistic network; their conductance does
    not depend on temperature there, nor here. The contacts are at the ambient temperature. Below the mean free path of
    electrons (50 nm in Ag) and phonons, heat conduction is an assumption.
    """
    if not side_W_m2K >= 0:
        raise InputError("side_W_m2K is out of range", got=f"{side_W_m2K} W/(m2 K)", allowed=">= 0")
    if not coupling_W_m3K > 0:
        raise InputError("coupling_W_m3K is out of range", got=f"{coupling_W_m3K} W/(m3 K)", allowed="> 0")
    occupation, at, parameters = _read(trace, snapshot)
    numbers = parameters["device"]["parameters"]
    voltage = float(trace["device_voltage"].values[at]) if device_voltage_V is None else float(device_voltage_V)
    metal = np.ascontiguousarray(np.transpose(occupation == _METAL, (2, 1, 0)))
    spacing = float(trace["z"].values[1] - trace["z"].values[0])
    shape = metal.shape
    nz, ny, nx = shape
    grid = block(nx * spacing, ny * spacing, nz * spacing, nx, ny, nz)
    links = _network(grid, metal.ravel(), numbers, spacing)
    psi = grid.solve(*links, np.zeros(grid.size), 0.0, 1.0)
    conductance = float(np.sum(links.bottom * psi[grid.bottom]))
    circuit = Circuit(voltage, np.inf, numbers["series_resistance_ohm"], (1.0 - _LEAK) * numbers["leakage_S"])
    film_V = circuit.film_V(conductance)
    heat = film_V**2 * grid.joule(*links, psi, 0.0, 1.0)
    power = film_V**2 * conductance
    if not abs(float(heat.sum()) - power) <= 1e-8 * power:
        raise ConvergenceError("Joule heat is not current times voltage", got=f"{heat.sum():g} of {power:g} W")
    ambient = float(parameters["temperature_K"])
    whole = isinstance(ballistic_layers, int | np.integer) and not isinstance(ballistic_layers, bool)
    if not whole or not 0 <= ballistic_layers < shape[0]:
        raise InputError(
            "ballistic_layers must be a whole number of layers", got=ballistic_layers, allowed=f"0 to {shape[0] - 1}"
        )
    kept = np.where(np.arange(grid.size) // grid.layer < shape[0] - ballistic_layers, heat, 0.0)
    rise = _warm(grid, links, kept, ambient, numbers["thermal_conductivity_W_mK"], side_W_m2K, coupling_W_m3K, metal)
    hottest = float(rise[0].max())
    data = {
        "potential": (film_V * psi, "V", "potential against the counter electrode"),
        "temperature": (ambient + rise[0], "K", "temperature of the lattice"),
        "electron_temperature": (ambient + rise[1], "K", "temperature of the electrons"),
        "joule_heat": (heat / grid.volume_m3, "W/m3", "Joule heat"),
        "metal": (metal.ravel().astype(float), "1", "1 where an atom is"),
    }
    single = {
        "conductance": (conductance + circuit.beside_S, "S", "conductance of the film"),
        "film_voltage": (film_V, "V", "voltage across the film"),
        "power": (power, "W", "Joule heat of the film"),
        "temperature_max": (ambient + hottest, "K", "highest temperature of the lattice"),
        "thermal_resistance": (hottest / power if power else np.nan, "K/W", "highest rise over power"),
    }
    maps = xr.Dataset(
        {
            **{k: (("z", "y", "x"), v.reshape(shape), {"units": u, "long_name": n}) for k, (v, u, n) in data.items()},
            **{k: ((), v, {"units": u, "long_name": n}) for k, (v, u, n) in single.items()},
        },
        coords={axis: trace[axis] for axis in ("z", "y", "x")},
    )
    maps.attrs.update(model="filament_maps", of=trace.attrs.get("model", ""), parameters=trace.attrs["parameters"])
    return maps


def _read(trace: xr.Dataset, snapshot: int | None) -> tuple[NDArray[Any], int, dict[str, Any]]:
    """Occupation, number of its instant, and parameters of the run."""
    if "occupation" not in trace or "parameters" not in trace.attrs:
        raise InputError(
            "This trace holds no filament",
            got=trace.attrs.get("model", "no model"),
            allowed="a trace of FilamentKMC, with its occupation",
        )
    parameters = json.loads(trace.attrs["parameters"])
    if snapshot is None:
        return trace["occupation"].values, trace.sizes["time"] - 1, parameters
    count = trace.sizes.get("snapshot", 0)
    if not 0 <= snapshot < count:
        raise InputError("No such snapshot", got=snapshot, allowed=f"0 to {count - 1}" if count else "none was kept")
    time = float(trace["snapshot_time"].values[snapshot])
    at = int(np.argmin(np.abs(trace["time"].values - time)))
    return trace["snapshot_occupation"].values[snapshot], at, parameters


def _network(grid: Grid, metal: NDArray[np.bool_], numbers: dict[str, float], spacing: float) -> Conductances:
    """Links of the atomistic network, and the leaky film everywhere."""
    p = numbers
    top, bottom = grid.top, grid.bottom
    wetting = grid.r_m[bottom] <= p["nucleus_radius_m"]
    bonds = np.zeros(grid.size)
    np.add.at(bonds, grid.left, metal[grid.right])
    np.add.at(bonds, grid.right, metal[grid.left])
    bonds[top] += 1.0
    bonds[bottom] += wetting
    contact, bulk = p["contact_conductance_S"], p["metal_link_S"]
    leak = _LEAK * p["leakage_S"] * grid.height_m / (grid.volume_m3.sum() / grid.height_m)
    film = grid.conductances(np.full(grid.size, leak))
    faces, low, high = film.faces.copy(), film.bottom.copy(), film.top.copy()
    both = metal[grid.left] & metal[grid.right]
    faces[both] += formulas.link_conductance(bonds[grid.left[both]], bonds[grid.right[both]], contact, bulk)
    high[metal[top]] += formulas.link_conductance(bonds[top[metal[top]]], 6.0, contact, bulk)
    low[metal[bottom]] += formulas.link_conductance(bonds[bottom[metal[bottom]]], 6.0, contact, bulk)
    # a gap along z: its links in series conduct as the gap does
    decay = formulas.tunnel_decay(p["tunnel_barrier_eV"], 1.0)
    layer, layers = grid.layer, grid.shape[0]
    column = metal.reshape(layers, layer)
    upward = np.flatnonzero(grid.right - grid.left == layer)
    number = np.full(grid.size, -1)
    number[grid.left[upward]] = upward
    place = np.full(grid.size, -1)
    place[bottom], place[top] = np.arange(layer), np.arange(layer)
    for i in range(layer):
        atoms = np.concatenate([[-1], np.flatnonzero(column[:, i]), [layers]])
        for below, above in itertools.pairwise(atoms):
            empty = above - below - 1
            # no gap, or one between the two contacts, which holds no filament
            if not 1 <= empty <= _FARTHEST_GAP or (below < 0 and above == layers):
                continue
            gap = formulas.tunnel_conductance(contact, decay, p["tunnel_gap_m"] + (empty - 1) * spacing)
            for j in range(below, above):
                if j < 0:
                    low[place[i]] += gap * (empty + 1)
                elif j == layers - 1:
                    high[place[j * layer + i]] += gap * (empty + 1)
                else:
                    faces[number[j * layer + i]] += gap * (empty + 1)
    return Conductances(faces, low, high)


def _warm(
    grid: Grid,
    links: Conductances,
    heat: Array,
    ambient: float,
    lattice_W_mK: float,
    side_W_m2K: float,
    coupling_W_m3K: float,
    metal: NDArray[np.bool_],
) -> Array:
    """Rise of lattice and electrons: links carry heat as they carry charge, Wiedemann-Franz at their temperature."""
    k = np.full(grid.size, lattice_W_mK)
    lattice, loss = grid.conductances(k), grid.sides(k, side_W_m2K)
    rise = np.zeros((2, grid.size))
    # electrons of the leaky film are those of the lattice
    swap = np.where(metal.ravel(), coupling_W_m3K, 1e3 * lattice_W_mK / grid.height_m**2) * grid.volume_m3
    for _ in range(_TURNS):
        hot = ambient + rise[1]
        electrons = Conductances(
            LORENZ * links.faces * 0.5 * (hot[grid.left] + hot[grid.right]),
            LORENZ * links.bottom * 0.5 * (hot[grid.bottom] + ambient),
            LORENZ * links.top * 0.5 * (hot[grid.top] + ambient),
        )
        if np.isinf(coupling_W_m3K):
            both = Conductances(*(a + b for a, b in zip(lattice, electrons, strict=True)))
            new = np.stack([grid.solve(*both, heat, 0.0, 0.0, loss)] * 2)
        else:
            new = grid.solve_pair(lattice, electrons, swap, heat, loss)
        change = float(np.max(np.abs(new - rise)))
        rise = new
        if change < _SETTLED_K:
            return rise
    raise ConvergenceError("The temperature does not settle", got=f"{change:g} K", allowed=f"{_SETTLED_K:g} K")
