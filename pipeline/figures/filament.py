"""A filament in pictures: its atoms between the electrodes, layer by layer, and as it grows and dissolves."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray
from scipy import optimize

from ...physics.errors import InputError
from ...physics.files import unwritable, write_whole
from ...physics.waveform import Waveform
from ._style import COLOURS, panels, styled

__all__ = ["DISCS", "MOVIES", "animation", "layers", "snapshots"]

Array = NDArray[np.float64]

ION, METAL = 1, 2  # of the occupation
DISCS = 3  # discs that make one atom look round
MOVIES = ("gif", "mp4")

_MOST = 6  # filaments in a row
_MAP = mpl.colormaps["cividis"]
# one hue, so that any eye sees the order, and no shade near the white of an empty layer
_COUNTS = LinearSegmentedColormap.from_list("counts", mpl.colormaps["Blues"](np.linspace(0.25, 1.0, 64)))
_AZIMUTH, _ELEVATION = np.radians(24.0), np.radians(9.0)
_SLAB = 0.08  # thickness of a drawn electrode, share of that of the film
_ROUND = 0.54  # radius of an atom, lattice constants: neighbours touch, seen from any side
_ELECTRODES = {"top": "#C3C9D2", "bottom": "#E2D3B4"}
_EDGE = "#6B6B6B"
_FEWEST_K = 2.0  # least span of a temperature axis: less heating than that shall look small
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


# -- what a trace holds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Filament:
    """Snapshots of one filament, checked.

    Attributes
    ----------
    trace : Dataset
    occupation : int8 array, shape (snapshot, x, y, z)
    potential : array, shape (snapshot, x, y, z), 1
    times_s : array, shape (snapshot,), s
    conductance_S : array, shape (snapshot,), S
    spacing_nm : float, nm
    """

    trace: xr.Dataset
    occupation: NDArray[np.int8]
    potential: NDArray[np.float32]
    times_s: Array
    conductance_S: Array
    spacing_nm: float

    @property
    def size_nm(self) -> Array:
        """Edges of the column along x, y and z, nm."""
        return np.array(self.occupation.shape[1:]) * self.spacing_nm

    @property
    def atoms(self) -> NDArray[np.int64]:
        """Metal atoms in each snapshot."""
        return (self.occupation == METAL).sum(axis=(1, 2, 3))

    @property
    def per_layer(self) -> NDArray[np.int64]:
        """Metal atoms in each snapshot and layer."""
        return (self.occupation == METAL).sum(axis=(1, 2))

    @property
    def neighbours(self) -> tuple[str, str]:
        """Materials below and above the film, as the card stacks them."""
        try:
            stack = json.loads(self.trace.attrs["parameters"])["device"]["layers"]
            here = [role for _, role, _ in stack].index("film")
            return str(stack[here - 1][0]), str(stack[here + 1][0])
        except (KeyError, TypeError, ValueError, IndexError):
            return "counter electrode", "active electrode"

    @property
    def headline(self) -> str:
        """Device, temperature and compliance."""
        words = []
        try:
            parameters = json.loads(self.trace.attrs["parameters"])
            words = [str(parameters["device"]["name"]), f"{parameters['temperature_K']:g} K"]
            limits = Waveform.from_dict(json.loads(self.trace.attrs["waveform"])).compliance_A
            finite = np.unique(limits[np.isfinite(limits)])
            if finite.size:
                words.append("compliance " + ", ".join(_prefixed(limit, "A") for limit in finite[:3]))
        except (KeyError, TypeError, ValueError):
            pass
        return ", ".join(words)


def _filament(trace: xr.Dataset) -> _Filament:
    needed = ("current", "conductance", "temperature", "device_voltage", "voltage")
    if not isinstance(trace, xr.Dataset):
        raise InputError(
            "A picture needs a trace", got=type(trace).__name__, allowed="what FilamentKMC.simulate returns"
        )
    model = trace.attrs.get("model", "an unknown model")
    if "occupation" not in trace or any(name not in trace for name in needed):
        raise InputError(
            "This trace holds no filament",
            got=f"a trace of {model}",
            allowed="a trace of FilamentKMC",
            action="Make one with `halidrift kmc run DEVICE --snapshots 40 --out trace.nc`",
        )
    if any(name not in trace for name in ("snapshot_occupation", "snapshot_potential", "snapshot_time")):
        raise InputError(
            "This trace holds no snapshots",
            got=f"only the last of {trace.sizes.get('time', 0)} instants",
            action="Run it again with `--snapshots 40`, in Python simulate(..., snapshots=40)",
        )
    if "replica" in trace.dims:
        raise InputError(
            "This trace holds several filaments",
            got=f"{trace.sizes['replica']} replicas",
            action="Choose one: `--replica 0`, in Python trace.isel(replica=0)",
        )
    times = trace["snapshot_time"].values
    return _Filament(
        trace,
        trace["snapshot_occupation"].values,
        trace["snapshot_potential"].values,
        times,
        trace["conductance"].sel(time=times, method="nearest").values,
        1e9 * float(trace["z"][1] - trace["z"][0]),
    )


def _chosen(filament: _Filament, at: Sequence[float] | None, most: int) -> NDArray[np.intp]:
    """Numbers of the snapshots to draw: those nearest to given times, else those that tell most."""
    count = len(filament.times_s)
    if at is None:
        if count <= most:
            return np.arange(count)
        return _telling(filament, most)
    try:
        wanted = np.asarray(at, dtype=float)
    except (TypeError, ValueError):
        wanted = np.array([])
    if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all():
        raise InputError("at holds no times", got=repr(at), allowed="times in s, for instance [0.01, 0.02]")
    start, end = float(filament.trace["time"][0]), float(filament.trace["time"][-1])
    outside = (wanted < start) | (wanted > end)
    if outside.any():
        raise InputError(
            "A picture lies outside the trace", got=f"{wanted[outside][0]:g} s", allowed=f"{start:g} to {end:g} s"
        )
    chosen = np.unique(np.abs(filament.times_s[None, :] - wanted[:, None]).argmin(axis=1))
    if chosen.size > most:
        raise InputError("Too many pictures for a row", got=chosen.size, allowed=f"at most {most}")
    return chosen


def _telling(filament: _Filament, most: int) -> NDArray[np.intp]:
    """Snapshots spread evenly along the way that conductance, atoms and time have gone, first and last among them."""
    G, atoms = np.log10(np.maximum(filament.conductance_S, 1e-15)), np.cbrt(filament.atoms.astype(float))
    way = np.zeros(len(filament.times_s))
    for values, weight in ((G, 1.0), (atoms, 1.0), (np.arange(way.size, dtype=float), 0.3)):
        span = np.ptp(values)
        if span > 0:
            way[1:] += weight * np.cumsum(np.abs(np.diff(values))) / span
    left = list(range(way.size))
    chosen = []
    # an empty film is drawn only if there is nothing else
    first = min(int(np.argmax(filament.atoms > 0)), way.size - most)
    for target in np.linspace(way[first], way[-1], most):
        best = min(left, key=lambda i: abs(way[i] - target))
        left.remove(best)
        chosen.append(best)
    return np.sort(np.array(chosen, np.intp))


# -- words ---------------------------------------------------------------------------------------------------------


def _prefixed(value: float, unit: str) -> str:
    """A quantity with three digits and an SI prefix.

    Examples
    --------
    >>> _prefixed(1.2e-6, "A"), _prefixed(0.0, "S"), _prefixed(0.9996e-3, "S")
    ('1.2 µA', '0 S', '1 mS')
    """
    if value == 0 or not np.isfinite(value):
        return f"{value:g} {unit}"
    value = float(f"{value:.3g}")
    power = int(np.clip(np.floor(np.log10(abs(value)) / 3), -5, 2))
    return f"{value / 1000.0**power:.3g} {'fpnµm kM'[power + 5].strip()}{unit}"


def _clock(times_s: Array) -> tuple[float, str]:
    """Unit in which the longest of these times is a plain number: seconds in it, and its name."""
    longest = float(np.max(np.abs(times_s)))
    return next(((s, name) for s, name in _UNITS if longest >= s), _UNITS[-1])


def _instant(time_s: float) -> str:
    """An instant with four digits."""
    unit, name = _clock(np.array([time_s])) if time_s else _UNITS[0]
    return f"{time_s / unit:.4g} {name}"


# -- a filament ----------------------------------------------------------------------------------------------------


def _project(points_nm: Array) -> tuple[Array, Array]:
    """Places on the paper, nm, and depths, nm, of points (..., 3): parallel projection, seen a little from above."""
    x, y, z = np.moveaxis(np.asarray(points_nm, dtype=float), -1, 0)
    right = np.cos(_AZIMUTH) * x + np.sin(_AZIMUTH) * y
    away = -np.sin(_AZIMUTH) * x + np.cos(_AZIMUTH) * y
    up = np.cos(_ELEVATION) * z + np.sin(_ELEVATION) * away
    return np.stack([right, up], axis=-1), np.cos(_ELEVATION) * away - np.sin(_ELEVATION) * z


def _corners(size_nm: Array, bottom: float, top: float) -> Array:
    """Corners of a slab of the column, shape (z, corner, 3); the corners go round from the nearest one."""
    x, y = size_nm[0] / 2, size_nm[1] / 2
    # seen from azimuth 0 to 90 degrees, (-x, -y) and (x, -y) are the near edge
    ring = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    ring = ring[np.roll(np.arange(4), -int(np.argmin(_project(np.c_[ring, np.zeros(4)])[1])))]
    return np.array([[[*corner, z] for corner in ring] for z in (bottom, top)])


def _slab(ax: Axes, size_nm: Array, bottom: float, top: float, colour: str, alpha: float, zorder: float) -> None:
    """The three faces of a slab that one sees."""
    low, high = _project(_corners(size_nm, bottom, top))[0]
    faces = [high, np.array([low[0], low[1], high[1], high[0]]), np.array([low[3], low[0], high[0], high[3]])]
    tone = np.array(to_rgb(colour))
    ax.add_collection(
        PolyCollection(
            faces,
            facecolors=[(*(1 - (1 - tone) * 0.6), alpha), (*tone, alpha), (*(tone * 0.9), alpha)],
            edgecolors=_EDGE,
            linewidths=0.5,
            joinstyle="round",
            zorder=zorder,
        )
    )


def _spheres(ax: Axes, filament: _Filament, number: int, colour: str) -> EllipseCollection:
    """Every atom and ion of a snapshot as discs, the farthest first."""
    occupation = filament.occupation[number]
    sites = np.argwhere(occupation > 0)
    centre = np.array([(occupation.shape[0] - 1) / 2, (occupation.shape[1] - 1) / 2, -0.5])
    places, depth = _project((sites - centre) * filament.spacing_nm)
    corners = _project(_corners(filament.size_nm, 0.0, filament.size_nm[2]))[1]
    far = (depth - corners.min()) / np.ptp(corners)
    where = tuple(sites.T)
    metal = occupation[where] == METAL
    value = {
        "potential": np.nan_to_num(filament.potential[number][where]),
        "height": (sites[:, 2] + 0.5) / occupation.shape[2],
        "depth": far,
    }[colour]
    body = _MAP(np.clip(value, 0.0, 1.0))[:, :3]
    body[~metal] = to_rgb(COLOURS["vermillion"])
    body = body + 0.28 * far[:, None] * (1.0 - body)  # paler with distance
    radius = filament.spacing_nm * np.where(metal, _ROUND, 0.8 * _ROUND)
    order = np.argsort(-depth, kind="stable")
    # rim, body and shine of each atom, together, so that a nearer one hides all three
    shift = np.array([[0.0, 0.0], [-0.05, 0.06], [-0.30, 0.34]])
    share = np.array([1.0, 0.86, 0.30])
    tones = np.stack([0.45 * body, body, body + 0.55 * (1.0 - body)], axis=1)
    offsets = (places[:, None] + radius[:, None, None] * shift)[order].reshape(-1, 2)
    widths = (2 * radius[:, None] * share)[order].ravel()
    balls = EllipseCollection(
        widths,
        widths,
        np.zeros_like(widths),
        units="xy",
        offsets=offsets,
        offset_transform=ax.transData,
        facecolors=tones[order].reshape(-1, 3),
        linewidths=0.0,
        zorder=3,
        rasterized=len(sites) > 1000,  # thousands of paths make a vector file heavy
        gid="atoms",
    )
    ax.add_collection(balls, autolim=False)
    return balls


def _stage(ax: Axes, filament: _Filament, *, ruler: bool) -> tuple[float, float]:
    """Column and electrodes to scale, a ruler and a scale bar where asked; returns width and height drawn, nm."""
    size, H = filament.size_nm, float(filament.size_nm[2])
    thick = _SLAB * H
    _slab(ax, size, -thick, 0.0, _ELECTRODES["bottom"], 1.0, 1)
    _slab(ax, size, H, H + thick, _ELECTRODES["top"], 0.55, 5)
    low, high = _project(_corners(size, 0.0, H))[0]
    ax.add_collection(
        LineCollection(
            [[low[i], high[i]] for i in (1, 2, 3)], colors="#9A9A9A", linewidths=0.5, linestyles=":", zorder=2
        )
    )
    ax.add_collection(LineCollection([[low[0], high[0]]], colors="#9A9A9A", linewidths=0.5, linestyles=":", zorder=4))
    for z, material in zip((-thick, H), filament.neighbours, strict=True):
        ring = _project(_corners(size, z, z + thick))[0]
        # the wider of the two faces in front
        one, two = max(((ring[0, k], ring[0, 0]) for k in (1, 3)), key=lambda ends: abs(ends[0][0] - ends[1][0]))
        x, y = (one + two) / 2 + np.array([0.0, 0.5 * np.cos(_ELEVATION) * thick])
        turn = np.degrees(np.arctan2(*((two - one) * np.sign(two[0] - one[0]))[::-1]))
        ax.text(x, y, material, ha="center", va="center", rotation=turn, fontsize=6.5, zorder=6)
    every = np.concatenate([_project(_corners(size, -thick, H + thick))[0].reshape(-1, 2)])
    left, bottom = every.min(axis=0)
    right, top = every.max(axis=0)
    pad = 0.03 * H
    bar = _round_length(0.55 * size[0])
    y = bottom - 2.2 * pad
    if ruler:
        edge = low[3] if low[3][0] < low[1][0] else low[1]
        for z in np.arange(0.0, H + 1e-9, _round_length(H / 3)):
            place = edge + np.array([0.0, np.cos(_ELEVATION) * z])
            ax.plot([place[0] - 0.03 * H, place[0]], [place[1]] * 2, color="black", linewidth=0.7, zorder=2)
            ax.text(place[0] - 0.045 * H, place[1], f"{z:g}", ha="right", va="center", fontsize=7)
        ax.plot([edge[0]] * 2, [edge[1], edge[1] + np.cos(_ELEVATION) * H], color="black", linewidth=0.7, zorder=2)
        ax.text(edge[0] - 0.21 * H, edge[1] + 0.5 * H, "z (nm)", rotation=90, ha="right", va="center", fontsize=7.5)
        left -= 0.30 * H
    if ruler:
        ax.plot([right - bar, right], [y, y], color="black", linewidth=1.6, solid_capstyle="butt")
        ax.text(right - bar / 2, y - 0.6 * pad, f"{bar:g} nm", ha="center", va="top", fontsize=7)
    ax.set_xlim(left - pad, right + pad)
    ax.set_ylim(y - 0.085 * H, top + pad)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return float(np.ptp(ax.get_xlim())), float(np.ptp(ax.get_ylim()))


def _round_length(nm: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(nm))
    return float(max(k * power for k in (1, 2, 5) if k * power <= nm * (1 + 1e-9)))


def _caption(filament: _Filament, number: int, letter: str = "") -> list[str]:
    """Instant, number of atoms and of ions, conductance."""
    ions = int((filament.occupation[number] == ION).sum())
    flying = f" + {ions} ion{'s' if ions > 1 else ''}" if ions else ""
    head = f"{letter}  " if letter else ""
    return [
        f"{head}{_instant(float(filament.times_s[number]))}",
        f"{filament.atoms[number]} Ag{flying}",
        _prefixed(filament.conductance_S[number], "S"),
    ]


def _head(ax: Axes, lines: Sequence[str]) -> list[Text]:
    """Lines above a column, each on a height of its own, so that panels side by side agree."""
    left, right = ax.get_xlim()
    axis = -left / (right - left)  # of the column, not of the panel with its ruler
    made = []
    for i, line in enumerate(reversed(lines)):
        place = offset_copy(ax.transAxes, ax.get_figure(root=True), y=2.0 + 10.0 * i, units="points")
        made.append(ax.text(axis, 1.0, line, transform=place, ha="center", va="baseline", fontsize=7.5))
    return made


def _colour_bar(figure: Figure, axes: Any, colour: str, filament: _Filament) -> None:
    depth = np.ptp(_project(_corners(filament.size_nm, 0.0, filament.size_nm[2]))[1])
    end, label = {
        "potential": (1.0, "potential of the metal\n(share of the film voltage)"),
        "height": (filament.size_nm[2], "height z (nm)"),
        "depth": (depth, "behind the nearest corner (nm)"),
    }[colour]
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, float(end)), _MAP), ax=axes, fraction=0.05, shrink=0.7, aspect=22, pad=0.01
    )
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_linewidth(0.5)


# -- time ----------------------------------------------------------------------------------------------------------


def _logarithmic(times_s: Array) -> bool:
    """Whether half of the instants crowd in the first fiftieth of the time, as in a retention test."""
    return bool(np.median(times_s) - times_s[0] < 0.02 * (times_s[-1] - times_s[0]))


@dataclass(frozen=True)
class _Clock:
    """The time axis: its unit, and where an instant stands on it."""

    unit_s: float
    name: str
    log: bool
    least_s: float

    @classmethod
    def of(cls, filament: _Filament) -> _Clock:
        t = filament.trace["time"].values
        log = _logarithmic(t)
        return cls(*_clock(t), log, float(t[t > 0].min()) if log else float(t[0]))

    def at(self, times_s: Any) -> Any:
        """Instants in the unit of the axis; on a logarithmic one, those before its start stand there."""
        return np.maximum(times_s, self.least_s) / self.unit_s

    def prepare(self, ax: Axes, filament: _Filament) -> None:
        t = filament.trace["time"].values
        if self.log:
            ax.set_xscale("log")
            ax.set_xlim(self.at(t[0]) / 1.2, self.at(t[-1]) * 1.2)
        else:
            margin = 0.02 * (t[-1] - t[0])
            ax.set_xlim((t[0] - margin) / self.unit_s, (t[-1] + margin) / self.unit_s)


def _curves(filament: _Filament, clock: _Clock, **axes: Axes) -> None:
    """Voltage, current, conductance and temperature against time, each in its panel."""
    trace, t = filament.trace, clock.at(filament.trace["time"].values)
    for name, ax in axes.items():
        clock.prepare(ax, filament)
        if name == "voltage":
            ax.plot(t, trace["voltage"], color=COLOURS["grey"], label="source")
            ax.plot(t, trace["device_voltage"], color=COLOURS["blue"], linewidth=1.0, label="device")
            ax.set_ylabel("voltage (V)")
        elif name == "current":
            # zero has no place on a logarithmic axis
            size = np.abs(trace["current"].values)
            floor = 1e-9 * size.max() if size.max() > 0 else 1.0
            size = np.where(size > floor, size, np.nan)
            positive = trace["current"].values > 0
            for sign, colour, label in ((positive, "blue", "positive"), (~positive, "vermillion", "negative")):
                shown = np.where(sign, size, np.nan)
                if np.isfinite(shown).any():
                    ax.plot(t, shown, color=COLOURS[colour], label=label)
            _decades(ax, size)
            ax.set_ylabel("|current| (A)")
        elif name == "conductance":
            ax.plot(t, trace["conductance"], color=COLOURS["blue"])
            _decades(ax, trace["conductance"].values)
            ax.set_ylabel("conductance (S)")
        else:
            T = trace["temperature"].values
            ax.plot(t, T, color=COLOURS["vermillion"])
            middle, half = (T.max() + T.min()) / 2, max(np.ptp(T), _FEWEST_K) * 0.55
            ax.set_ylim(middle - half, middle + half)
            ax.ticklabel_format(axis="y", useOffset=False)
            ax.set_ylabel("temperature (K)")
        if name in ("voltage", "temperature"):
            ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _decades(ax: Axes, values: Array) -> None:
    """A logarithmic axis that ends outside the data and shows at least one decade."""
    ax.set_yscale("log")
    seen = values[np.isfinite(values) & (values > 0)]
    if seen.size:
        low, high = np.log10(seen.min()), np.log10(seen.max())
        grow = max(0.08 * (high - low), (1.0 - (high - low)) / 2, 0.1)
        ax.set_ylim(10 ** (low - grow), 10 ** (high + grow))


# -- figures -------------------------------------------------------------------------------------------------------


@styled
def snapshots(trace: xr.Dataset, *, at: Sequence[float] | None = None, colour: str = "potential") -> Figure:
    """The filament at chosen instants, and voltage, temperature, current and conductance with these marked.

    Parameters
    ----------
    trace : Dataset
        Of ``FilamentKMC.simulate(..., snapshots=...)``, one replica.
    at : sequence of float, s, optional
        Instants to draw, at most six, each rounded to the nearest snapshot. By default six that tell most: spread
        evenly along the way that conductance, number of atoms and time have gone.
    colour : {"potential", "height", "depth"}
        Of the atoms: their potential between the electrodes, their height, or the distance from the viewer.

    Returns
    -------
    Figure
        Each atom is one ball at its site; all are drawn, the farthest first. Parallel projection, turned by 24
        degrees and seen 9 degrees from above; lengths along the paper's horizontal are true.

    Raises
    ------
    InputError
        If the trace holds no filament, no snapshots or several replicas; if `at` or `colour` is not as above.
    """
    _check_colour(colour)
    filament = _filament(trace)
    chosen = _chosen(filament, at, _MOST)
    clock = _Clock.of(filament)
    wide = 1.15 * max(chosen.size, 5) + 1.1
    figure, _ = panels(wide, 6.0)
    figure.clear()
    rows = figure.add_gridspec(2, 1)
    upper = rows[0].subgridspec(1, chosen.size)
    filaments = [figure.add_subplot(upper[0, i]) for i in range(chosen.size)]
    sizes = np.array([_stage(ax, filament, ruler=i == 0) for i, ax in enumerate(filaments)])
    upper.set_width_ratios(sizes[:, 0].tolist())  # one scale for all
    # as high as the width makes the filaments, with their captions
    high = min(0.85 * wide * sizes[0, 1] / sizes[:, 0].sum(), 3.2) + 0.6
    rows.set_height_ratios([high, 2.8])
    figure.set_size_inches(wide, high + 2.8 + 0.55)
    letters = "abcdef"
    flying = False
    for i, (ax, number) in enumerate(zip(filaments, chosen, strict=True)):
        _spheres(ax, filament, number, colour)
        _head(ax, _caption(filament, number, letters[i]))
        flying |= bool((filament.occupation[number] == ION).any())
    _colour_bar(figure, filaments, colour, filament)
    lower = rows[1].subgridspec(2, 2)
    voltage = figure.add_subplot(lower[0, 0])
    temperature = figure.add_subplot(lower[0, 1], sharex=voltage)
    current = figure.add_subplot(lower[1, 0], sharex=voltage)
    conductance = figure.add_subplot(lower[1, 1], sharex=voltage)
    _curves(filament, clock, voltage=voltage, temperature=temperature, current=current, conductance=conductance)
    for ax in (voltage, temperature):
        ax.tick_params(labelbottom=False)
        _letters(ax, clock.at(filament.times_s[chosen]), letters)
    for ax in (current, conductance):
        ax.set_xlabel(f"time ({clock.name})")
    for ax in (voltage, temperature, current, conductance):
        for t in clock.at(filament.times_s[chosen]):
            ax.axvline(t, color=COLOURS["orange"], linewidth=0.7, zorder=0)
    figure.align_ylabels([voltage, current])
    figure.align_ylabels([temperature, conductance])
    _legend(figure, current, flying)
    if filament.headline:
        figure.suptitle(filament.headline, x=0.01, ha="left", fontsize=9.5)
    return figure


def _letters(ax: Axes, places: Array, letters: str, room: float = 0.045) -> None:
    """Letters of instants above a panel, `room` of its width apart; a line leads from one that moved to its place."""
    low, high = ax.get_xlim()
    log = ax.get_xscale() == "log"
    share = np.log(places / low) / np.log(high / low) if log else (places - low) / (high - low)
    steps = room * np.arange(share.size)
    # the places nearest to where they belong that are in order, apart and inside
    spread = np.clip(optimize.isotonic_regression(share - steps).x, 0.0, 1.0 - steps[-1]) + steps
    moved = bool((np.abs(spread - share) > 0.2 * room).any())
    place = offset_copy(ax.transAxes, ax.get_figure(root=True), y=8.0 if moved else 2.0, units="points")
    line = {"arrowstyle": "-", "color": COLOURS["orange"], "linewidth": 0.7, "shrinkA": 0.0, "shrinkB": 0.0}
    for x, true, letter in zip(spread, share, letters, strict=False):
        ax.annotate(
            letter, (true, 1.0), (x, 1.0), xycoords="axes fraction", textcoords=place, ha="center", va="bottom",
            fontsize=7.5, color="#8A5E00", annotation_clip=False,
            arrowprops={**line, "relpos": (0.5, 0.0)} if moved else None,
        )  # fmt: skip


def _legend(figure: Figure, current: Axes, flying: bool) -> None:
    """What colours mean, below all panels."""
    handles = [
        Line2D([], [], color=COLOURS["grey"], label="source voltage"),
        Line2D([], [], color=COLOURS["blue"], label="device voltage"),
    ]
    if any(line.get_label() == "negative" for line in current.get_lines()):
        handles.append(Line2D([], [], color=COLOURS["vermillion"], label="negative current"))
    if flying:
        handles.append(Line2D([], [], color=COLOURS["vermillion"], marker="o", linestyle="none", label="ion in flight"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _check_colour(colour: str) -> None:
    if colour not in ("potential", "height", "depth"):
        raise InputError("Unknown colouring of atoms", got=colour, allowed='"potential", "height" or "depth"')


@styled
def layers(trace: xr.Dataset, *, at: Sequence[float] | None = None) -> Figure:
    """Atoms in each layer between the electrodes: against time for every snapshot, and at chosen instants.

    Parameters
    ----------
    trace : Dataset
        Of ``FilamentKMC.simulate(..., snapshots=...)``, one replica, with at least two snapshots.
    at : sequence of float, s, optional
        Instants of the profiles, at most six; by default those of :func:`snapshots`.

    Returns
    -------
    Figure
        The map holds each snapshot half way to its neighbours; a white layer holds no atom: it is part of a gap.

    Raises
    ------
    InputError
        As for :func:`snapshots`, and for a single snapshot.
    """
    filament = _filament(trace)
    if len(filament.times_s) < 2:
        raise InputError(
            "A map over time needs several snapshots", got="one", action="Run it again with more snapshots"
        )
    chosen = _chosen(filament, at, _MOST)
    clock = _Clock.of(filament)
    figure, _ = panels(7.4, 6.2)
    figure.clear()
    rows = figure.add_gridspec(3, 1, height_ratios=[0.45, 1.0, 1.0])
    conductance = figure.add_subplot(rows[0])
    over = figure.add_subplot(rows[1], sharex=conductance)
    _curves(filament, clock, conductance=conductance)
    conductance.tick_params(labelbottom=False)
    t = clock.at(filament.times_s)
    middles = np.sqrt(t[1:] * t[:-1]) if clock.log else (t[1:] + t[:-1]) / 2
    edges = np.concatenate([t[:1], middles, t[-1:]])
    heights = np.arange(filament.occupation.shape[3] + 1) * filament.spacing_nm
    counts = filament.per_layer
    most = max(float(counts.max()), 10.0)
    shown = np.ma.masked_equal(counts.T, 0)
    over.pcolormesh(edges, heights, shown, cmap=_COUNTS, norm=LogNorm(1.0, most), rasterized=True, shading="flat")
    clock.prepare(over, filament)
    over.set_xlabel(f"time ({clock.name})")
    bar = figure.colorbar(ScalarMappable(LogNorm(1.0, most), _COUNTS), ax=over, fraction=0.06, pad=0.01)
    bar.set_label("Ag atoms\nin the layer (1)", fontsize=8)
    for ax in (conductance, over):
        for time in clock.at(filament.times_s[chosen]):
            ax.axvline(time, color=COLOURS["orange"], linewidth=0.7)
    _letters(conductance, clock.at(filament.times_s[chosen]), "abcdef", room=0.02)
    columns = rows[2].subgridspec(1, chosen.size)
    profiles = [figure.add_subplot(columns[0, i], sharey=over) for i in range(chosen.size)]
    for ax, number, letter in zip(profiles, chosen, "abcdef", strict=False):
        ax.stairs(
            counts[number],
            heights,
            orientation="horizontal",
            baseline=0.5,
            fill=True,
            color=COLOURS["blue"],
            gid="layers",
        )
        ax.set_xscale("log")
        ax.set_xlim(0.5, 1.5 * most)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_title(f"{letter}  {_instant(float(filament.times_s[number]))}", fontsize=8)
        ax.set_xlabel("Ag atoms (1)", fontsize=8)
        ax.tick_params(labelleft=ax is profiles[0])
    below, above = filament.neighbours
    for ax in (over, profiles[0]):
        ax.set_ylabel("z (nm)")
    over.set_ylim(0.0, heights[-1])
    note = f"film from {below} (0) to {above} ({heights[-1]:.3g} nm)"
    figure.suptitle("; ".join(part for part in (filament.headline, note) if part), x=0.01, ha="left", fontsize=9.5)
    return figure


# -- animation -----------------------------------------------------------------------------------------------------


def animation(
    trace: xr.Dataset,
    file: str | os.PathLike[str],
    *,
    colour: str = "potential",
    frames_per_s: float = 8.0,
    dpi: float = 110.0,
) -> Path:
    """Write the filament as a filament, one frame a snapshot, beside voltage, current, conductance and temperature.

    Parameters
    ----------
    trace : Dataset
        Of ``FilamentKMC.simulate(..., snapshots=...)``, one replica.
    file : path
        A GIF, or an MP4 where ffmpeg is installed; appears whole or not at all.
    colour : {"potential", "height", "depth"}
        As for :func:`snapshots`.
    frames_per_s : float, 1/s, 0.1 to 50
        Of the animation; the snapshots follow each other evenly, whatever time lies between them.
    dpi : float, 1/inch, 20 to 600
        Size of a frame: 6.4 by 4.8 inches.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        As for :func:`snapshots`; if the suffix is none of these, or ffmpeg is needed and not there.
    OutputError
        If the file cannot be written.
    """
    from matplotlib import animation as movies

    path = Path(file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in MOVIES:
        raise InputError("unknown kind of animation", got=path.name, allowed=", ".join(f".{name}" for name in MOVIES))
    for name, value, low, high in (("frames_per_s", frames_per_s, 0.1, 50.0), ("dpi", dpi, 20.0, 600.0)):
        if not (isinstance(value, int | float) and low <= value <= high):
            raise InputError(f"{name} is out of range", got=value, allowed=f"{low:g} to {high:g}")
    _check_colour(colour)
    if kind == "mp4" and not movies.FFMpegWriter.isAvailable():
        raise InputError(
            "MP4 needs the program ffmpeg", got="no ffmpeg on the path", action="Install it, or write a GIF"
        )
    filament = _filament(trace)
    clock = _Clock.of(filament)
    figure = _screen(trace, colour)
    stage, *graphs = figure.axes[:5]
    count = len(filament.times_s)
    words = _head(stage, [*_caption(filament, 0), f"frame 1 of {count}"])
    # the layout is that of the first frame: it must not move from frame to frame
    figure.canvas.draw()
    figure.set_layout_engine("none")
    marks = [ax.axvline(0.0, color=COLOURS["orange"], linewidth=1.2, zorder=0) for ax in graphs]
    rate: Any = frames_per_s  # a fraction is fine, whatever the annotation in matplotlib
    writer = movies.PillowWriter(fps=rate) if kind == "gif" else movies.FFMpegWriter(fps=rate)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / f"animation.{kind}"
            with writer.saving(figure, str(made), dpi):
                for number in range(count):
                    spheres = _spheres(stage, filament, number, colour)
                    # the number of the frame too: a GIF drops a frame that is equal to the one before
                    lines = [*_caption(filament, number), f"frame {number + 1} of {count}"]
                    for text, line in zip(reversed(words), lines, strict=True):
                        text.set_text(line)
                    for mark in marks:
                        mark.set_xdata([clock.at(filament.times_s[number])] * 2)
                    writer.grab_frame()
                    spheres.remove()
            return write_whole(path, lambda name: shutil.copyfile(made, name))
    except OSError as error:
        raise unwritable(f"{path} could not be written", error) from error


@styled
def _screen(trace: xr.Dataset, colour: str) -> Figure:
    """A frame without atoms."""
    filament = _filament(trace)
    clock = _Clock.of(filament)
    figure, _ = panels(6.4, 4.8)
    figure.clear()
    columns = figure.add_gridspec(4, 2, width_ratios=[1.0, 1.25])
    stage = figure.add_subplot(columns[:, 0])
    _stage(stage, filament, ruler=True)
    names = ("voltage", "current", "conductance", "temperature")
    graphs = [figure.add_subplot(columns[0, 1])]
    graphs += [figure.add_subplot(columns[i, 1], sharex=graphs[0]) for i in range(1, 4)]
    _curves(filament, clock, **dict(zip(names, graphs, strict=True)))
    for ax in graphs:
        ax.set_ylabel(ax.get_ylabel().replace(" (", "\n("), fontsize=8)
        ax.tick_params(labelbottom=ax is graphs[-1])
    _legend(figure, graphs[1], bool((filament.occupation == ION).any()))
    graphs[-1].set_xlabel(f"time ({clock.name})")
    figure.align_ylabels(graphs)
    _colour_bar(figure, [stage], colour, filament)
    if filament.headline:
        figure.suptitle(filament.headline, x=0.01, ha="left", fontsize=9.5)
    return figure
