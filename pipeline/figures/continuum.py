"""The continuum in pictures: maps of a filament's fields, profiles of an ion film in time, loops beside the KMC's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ...physics.errors import InputError
from ._style import COLOURS, below, panels, styled

__all__ = ["beside", "edges_of", "maps", "plane_of", "profiles"]

Array = NDArray[np.float64]

_DECADES = 6  # of a density below its largest: what is rarer carries nothing
_FIELDS = (
    ("density", "ions (m$^{-3}$)"),
    ("metal_fraction", "metal fraction"),
    ("metal", "metal"),
    ("potential", "potential (V)"),
    ("temperature", "temperature (K)"),
    ("electron_temperature", "electrons (K)"),
)
_MOST_TIMES = 8


# -- maps ----------------------------------------------------------------------------------------------------------


def _instant(values: xr.DataArray, time_s: float | None) -> xr.DataArray:
    if "time" not in values.dims:
        return values
    return values.isel(time=-1) if time_s is None else values.sel(time=time_s, method="nearest")


def plane_of(values: xr.DataArray) -> tuple[Array, Array, Array, str]:
    """A plane through the axis: lateral and axial centres in nm, values over (z, lateral), label of the lateral.

    Parameters
    ----------
    values : DataArray
        Over ``z`` and ``r``, ``x`` or ``x`` and ``y``, coordinates in m. Of ``r`` both sides of the axis are shown, of
        ``y`` the middle plane.

    Returns
    -------
    lateral : array, shape (columns,), nm
    axial : array, shape (rows,), nm
    plane : array, shape (rows, columns)
        In the unit of the values.
    label : str
        Of the lateral axis.
    """
    if "r" in values.dims:
        half = values.transpose("z", "r")
        r = 1e9 * half["r"].values
        return (
            np.concatenate([-r[::-1], r]),
            1e9 * half["z"].values,
            np.concatenate([half.values[:, ::-1], half.values], axis=1),
            "r (nm)",
        )
    if "y" in values.dims:
        values = values.isel(y=values.sizes["y"] // 2)
    flat = values.transpose("z", "x")
    return 1e9 * flat["x"].values, 1e9 * flat["z"].values, flat.values, "x (nm)"


def edges_of(centres: Array) -> Array:
    """Edges of cells around their centres.

    Parameters
    ----------
    centres : array, shape (n >= 2,)
        Ascending, in any unit.

    Returns
    -------
    array, shape (n + 1,)
        In the unit of the centres: half way between them, the outermost cells symmetric about theirs.
    """
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


@styled
def maps(fields: xr.Dataset, *, time_s: float | None = None) -> Figure:
    """Density, potential and temperature in a plane through the axis of a filament.

    Parameters
    ----------
    fields : xarray.Dataset
        Of ``ElectroThermal``, ``FilamentFEM`` or ``filament_maps``: whatever it holds over z and r, x or x and y.
    time_s : float, s, optional
        Instant to draw where the fields are kept in time; the last by default.

    Raises
    ------
    InputError
        If there is no such field.

    Notes
    -----
    Lines on the potential are a tenth of the film voltage apart. A density has a logarithmic scale over six decades.
    """
    found = [(name, label) for name, label in _FIELDS if name in fields and "z" in fields[name].dims]
    if not found:
        raise InputError(
            "This dataset holds no map",
            got=list(fields.data_vars),
            allowed="a trace of ElectroThermal or FilamentFEM, or filament maps",
        )
    x, z, _, _ = plane_of(_instant(fields[found[0][0]], time_s))
    # to scale; the bar of colours below takes an inch
    height = 2.3 * float(np.clip((z[-1] - z[0]) / (x[-1] - x[0]), 0.3, 2.0)) + 1.4
    figure, axes = panels(2.75 * len(found) + 0.3, height, 1, len(found), sharey=True)
    for panel, (name, label) in zip(axes[0], found, strict=True):
        x, z, plane, lateral = plane_of(_instant(fields[name], time_s))
        norm: Normalize = Normalize()
        if name == "density":
            most = float(np.max(plane))
            norm = LogNorm(max(float(np.min(plane)), most * 10.0**-_DECADES), most)
            plane = np.maximum(plane, norm.vmin or 0.0)
        picture = panel.pcolormesh(
            edges_of(x), edges_of(z), plane, norm=norm, cmap="cividis", rasterized=True, edgecolors="none"
        )
        if name == "potential" and np.ptp(plane) > 0:
            levels = np.linspace(plane.min(), plane.max(), 11)[1:-1]
            panel.contour(x, z, plane, levels=levels, colors="white", linewidths=0.6, linestyles="solid")
        panel.set_aspect("equal")
        panel.set_xlabel(lateral)
        bar = figure.colorbar(picture, ax=panel, location="bottom", shrink=0.9, aspect=25)
        bar.set_label(label)
        if name != "density":
            bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    axes[0, 0].set_ylabel("z (nm)")
    return figure


# -- profiles ------------------------------------------------------------------------------------------------------


@styled
def profiles(film: xr.Dataset, *, times_s: ArrayLike | None = None) -> Figure:
    """Density and potential across an ion film at several instants, and the conductance with these instants marked.

    Parameters
    ----------
    film : xarray.Dataset
        Trace of ``IonFilm`` or ``Stack`` with ``profiles=True``; one species of several, ``trace.sel(species="V_Br")``.
    times_s : array, s, optional
        At most eight instants; by default spread evenly over the trace.

    Raises
    ------
    InputError
        If the trace has no profiles or several species, or there are too many instants.
    """
    if any(name not in film or "position" not in film[name].dims for name in ("density", "potential")):
        raise InputError(
            "This trace has no profiles",
            got=list(film.data_vars),
            allowed="density and potential over time and position",
            action="Run IonFilm(..., profiles=True)",
        )
    if film["density"].ndim > 2 and film.sizes["species"] > 1:
        raise InputError(
            "This trace has several species",
            got=", ".join(map(str, film["species"].values)),
            action='Choose one, as trace.sel(species="V_Br")',
        )
    film = film.squeeze()
    time = film["time"].values
    if times_s is None:
        at = np.unique(np.linspace(0, time.size - 1, 6).round().astype(int))
    else:
        at = np.unique([int(np.argmin(np.abs(time - t))) for t in np.atleast_1d(np.asarray(times_s, dtype=float))])
    if at.size > _MOST_TIMES:
        raise InputError("Too many instants", got=at.size, allowed=f"at most {_MOST_TIMES}")
    figure, axes = panels(9.0, 3.2, 1, 3)
    density, potential, weight = axes[0]
    colours = mpl.colormaps["cividis"](np.linspace(0.0, 0.9, at.size))
    x = 1e9 * film["position"].values
    for i, colour in zip(at, colours, strict=True):
        density.semilogy(x, film["density"].values[i], color=colour, label=f"{time[i]:.3g} s")
        potential.plot(x, film["potential"].values[i], color=colour)
    density.set_ylabel("vacancies (m$^{-3}$)")
    potential.set_ylabel("potential (V)")
    for panel in (density, potential):
        panel.set_xlabel("distance from active electrode (nm)")
    conductance = 1e9 * film["conductance"].values
    weight.plot(time, conductance, color=COLOURS["black"], linewidth=0.9)
    weight.scatter(time[at], conductance[at], c=colours, s=22, zorder=3, edgecolors="black")
    weight.set_xlabel("time (s)")
    weight.set_ylabel("conductance (nS)")
    below(figure, density, columns=min(at.size, 6))
    return figure


# -- beside the KMC ------------------------------------------------------------------------------------------------

_LOOKS: dict[str, dict[str, Any]] = {
    "KMC": {"color": COLOURS["blue"], "linestyle": "-", "marker": "o"},
    "FEM": {"color": COLOURS["vermillion"], "linestyle": "--", "marker": "s"},
}


def _temperature(trace: xr.Dataset) -> Array:
    """Hottest temperature at each instant, K."""
    return np.asarray(trace["temperature_max" if "temperature_max" in trace else "temperature"].values)


def _read_conductance(trace: xr.Dataset) -> float:
    """Conductance at the end, S."""
    return float(trace["conductance"].values[-1])


def _limit(trace: xr.Dataset) -> float:
    """Largest current of a SET sweep, its compliance if that was reached, A."""
    return float(np.max(np.abs(trace["current"].values)))


@styled
def beside(loops: Mapping[str, xr.Dataset], ladders: Mapping[str, Sequence[xr.Dataset]]) -> Figure:
    """Current, temperature and conductance of the atomistic and the continuum filament in one figure.

    Parameters
    ----------
    loops : mapping of "KMC" and "FEM" to Dataset
        A SET and RESET loop.
    ladders : mapping of "KMC" and "FEM" to datasets
        SET sweeps, each under another compliance current.

    Raises
    ------
    InputError
        If a name is neither.
    """
    unknown = {*loops, *ladders} - set(_LOOKS)
    if unknown:
        raise InputError("Unknown model", got=", ".join(sorted(unknown)), allowed=", ".join(_LOOKS))
    figure, axes = panels(9.6, 3.4, 1, 3)
    current, temperature, ladder = axes[0]
    for name, loop in loops.items():
        look = {k: v for k, v in _LOOKS[name].items() if k != "marker"}
        voltage = loop["voltage"].values
        current.semilogy(voltage, np.maximum(np.abs(loop["current"].values), 1e-11), label=name, **look)
        temperature.plot(voltage, _temperature(loop), label=name, **look)
    for name, sweeps in ladders.items():
        points = sorted((_limit(sweep), _read_conductance(sweep)) for sweep in sweeps)
        ladder.loglog(*np.array(points).T, label=name, markersize=5, **_LOOKS[name])
    current.set_ylabel("|current| (A)")
    current.set_title("SET at 1 mA, RESET")
    temperature.set_ylabel("hottest temperature (K)")
    temperature.set_title("lattice, hottest spot")
    for panel in (current, temperature):
        panel.set_xlabel("source voltage (V)")
        panel.axvline(0.0, color=COLOURS["grey"], linewidth=0.6)
    ladder.set_xlabel("compliance current (A)")
    ladder.set_ylabel("conductance after SET (S)")
    ladder.set_title("0 V, after the sweep")
    ladder.margins(0.12)
    below(figure, current, ladder, columns=2)
    return figure
