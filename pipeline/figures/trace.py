"""Any trace at a glance: voltage, current, conductance, temperature, forgetting, and profiles across the film."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from ...compact import plasticity
from ...physics import trace as traces
from ...physics.errors import InputError
from ._style import COLOURS, panels, styled
from .continuum import edges_of, plane_of

__all__ = ["overview"]

_PARTS = {
    "electronic_current": ("electrons", "blue"),
    "ionic_current": ("ions", "vermillion"),
    "displacement_current": ("displacement", "grey"),
}
_PROFILES = 6  # instants shown
_LONG_WATCH_S = 5.0  # after the last spike: from here on its forgetting has a panel


@styled
def overview(trace: xr.Dataset) -> Figure:
    """Voltage, current and conductance against time, the loop of a sweep, and what else the trace holds.

    Parameters
    ----------
    trace : Dataset
        One run of any model. A highest temperature, the parts of the current and profiles over ``position`` are shown
        where the trace has them, the weight after the last spike if it was watched for 5 s or more, and the metal of a
        filament at the end.

    Notes
    -----
    Rest before the first spike is left out where it takes more than half of the trace; the title says so.
    """
    whole, title = trace, ", ".join(filter(None, (_device(trace), str(trace.attrs.get("model", "")))))
    watched = trace["conductance"].ndim == 1 and _watched_s(trace) >= _LONG_WATCH_S
    start = _start_s(trace)
    if start > 0.0:
        trace = trace.isel(time=trace["time"].values >= start)
        title += f"; the first {start:.3g} s, at rest, are left out"
    time, voltage = trace["time"].values, trace["voltage"].values
    # a sweep turns its voltage slowly; spikes jump
    sweep = 0 < np.abs(np.diff(voltage)).max() < 0.25 * np.ptp(voltage)
    wanted = ["voltage", "current", "conductance"]
    wanted += ["loop"] if sweep else []
    wanted += ["temperature"] if "temperature_max" in trace else []
    wanted += [name for name in ("density", "potential") if name in trace and trace[name].dims == ("time", "position")]
    wanted += ["weight"] if watched else []
    wanted += ["metal_fraction"] if "metal_fraction" in trace else []
    columns = 2 if len(wanted) == 4 else 3
    rows = -(-len(wanted) // columns)
    figure, axes = panels(3.0 * columns, 2.7 * rows, rows, columns)
    for ax, name in zip(axes.ravel(), wanted, strict=False):
        _DRAW[name](ax, whole if name == "weight" else trace, time)
    for ax in axes.ravel()[len(wanted) :]:
        ax.axis("off")
    figure.suptitle(title, fontsize=9)
    return figure


def _device(trace: xr.Dataset) -> str:
    """Name of the device card, if the trace is that of one."""
    device = json.loads(trace.attrs.get("parameters", "{}")).get("device", {})
    return str(device.get("name", ""))


def _watched_s(trace: xr.Dataset) -> float:
    """From the last spike to the end; 0 if nothing is read after a spike."""
    wave = traces.waveform_of(trace)
    if wave.reads_s.size == 0 or not np.diff(wave.voltage_V).any():
        return 0.0
    return float(wave.duration_s - wave.reads_s[-1])


def _start_s(trace: xr.Dataset) -> float:
    """Where the picture begins: shortly before the first spike if the rest before it outlasts all that follows."""
    wave = traces.waveform_of(trace)
    moves = np.flatnonzero(np.diff(wave.voltage_V))
    if wave.reads_s.size == 0 or not moves.size:
        return 0.0
    first = float(wave.time_s[moves[0]])
    after = float(wave.duration_s) - first
    return first - 0.05 * after if first > after else 0.0


def _time(ax: Any, label: str, title: str) -> None:
    ax.set_xlabel("time (s)")
    ax.set_ylabel(label)
    ax.set_title(title)


def _voltage(ax: Any, trace: xr.Dataset, time: Any) -> None:
    ax.plot(time, trace["voltage"].values, color=COLOURS["black"], label="source")
    ax.plot(time, trace["device_voltage"].values, color=COLOURS["sky"], linestyle="--", label="device")
    ax.legend()
    _time(ax, "voltage (V)", "Stimulus")


def _magnitude(values: Any) -> Any:
    """Zero has no place on a logarithmic axis."""
    size = np.abs(values)
    return np.where(size > 0, size, np.nan)


def _current(ax: Any, trace: xr.Dataset, time: Any) -> None:
    parts = {name: look for name, look in _PARTS.items() if name in trace}
    if "species_current" in trace:
        trace = trace.assign({str(s): trace["species_current"].sel(species=s) for s in trace["species"].values})
        colours = ("vermillion", "blue", "green", "orange", "purple")
        parts |= {str(s): (str(s), c) for s, c in zip(trace["species"].values, itertools.cycle(colours), strict=False)}
    if not parts:
        ax.plot(time, _magnitude(trace["current"].values), color=COLOURS["blue"])
    for name, (label, colour) in parts.items():
        values = _magnitude(trace[name].values)
        if np.isfinite(values).any():
            # a current that flows at single instants, as the displacement of an edge, has no line
            marker = "." if name == "displacement_current" else ""
            ax.plot(time, values, color=COLOURS[colour], label=label, marker=marker)
    if parts:
        ax.legend()
    ax.set_yscale("log")
    _time(ax, "|current| (A)", "Current")


def _conductance(ax: Any, trace: xr.Dataset, time: Any) -> None:
    values = trace["conductance"].values
    ax.plot(time, values, color=COLOURS["green"])
    if values.min() > 0 and values.max() > 10 * values.min():
        ax.set_yscale("log")
    _time(ax, "conductance (S)", "Conductance")


def _loop(ax: Any, trace: xr.Dataset, time: Any) -> None:
    ax.plot(trace["voltage"].values, _magnitude(trace["current"].values), color=COLOURS["blue"])
    ax.set_yscale("log")
    ax.set_xlabel("source voltage (V)")
    ax.set_ylabel("|current| (A)")
    ax.set_title("Current against voltage")


def _temperature(ax: Any, trace: xr.Dataset, time: Any) -> None:
    ax.plot(time, trace["temperature_max"].values, color=COLOURS["vermillion"])
    _time(ax, "temperature (K)", "Hottest point")


def _weight(ax: Any, trace: xr.Dataset, time: Any) -> None:
    ax.set_title("Forgetting")
    try:
        after, weight = plasticity.decay(trace)
    except InputError as error:
        ax.axis("off")
        ax.text(0.5, 0.5, error.what, ha="center", transform=ax.transAxes)
        return
    shown = (after > 0) & (weight > 0)
    ax.loglog(after[shown], weight[shown], color=COLOURS["black"])
    ax.set_xlabel("time after the last spike (s)")
    ax.set_ylabel("weight, change over its peak")


def _metal(ax: Any, trace: xr.Dataset, time: Any) -> None:
    """The filament as it is at the end."""
    x, z, plane, lateral = plane_of(trace["metal_fraction"])
    picture = ax.pcolormesh(edges_of(x), edges_of(z), plane, vmin=0.0, vmax=1.0, cmap="cividis", rasterized=True)
    ax.set_aspect("equal")
    ax.set_xlabel(lateral)
    ax.set_ylabel("z (nm)")
    ax.set_title("Metal fraction at the end")
    ax.figure.colorbar(picture, ax=ax)


def _profile(ax: Any, trace: xr.Dataset, name: str) -> None:
    """A quantity across the film at instants spread over the trace."""
    x, time = 1e9 * trace["position"].values, trace["time"].values
    for k, i in enumerate(np.unique(np.linspace(0, time.size - 1, _PROFILES).astype(int))):
        colour = colormaps["cividis"](k / (_PROFILES - 1))
        ax.plot(x, trace[name].values[i], color=colour, label=f"{time[i]:.3g} s")
    ax.set_xlabel("from the active electrode (nm)")
    ax.legend(fontsize=6.5)


def _density(ax: Any, trace: xr.Dataset, time: Any) -> None:
    _profile(ax, trace, "density")
    ax.set_yscale("log")
    ax.set_ylabel("mobile ions (1/m$^3$)")
    ax.set_title("Ions across the film")


def _potential(ax: Any, trace: xr.Dataset, time: Any) -> None:
    _profile(ax, trace, "potential")
    ax.set_ylabel("potential (V)")
    ax.set_title("Potential across the film")


_DRAW: dict[str, Any] = {
    "voltage": _voltage,
    "current": _current,
    "conductance": _conductance,
    "loop": _loop,
    "temperature": _temperature,
    "weight": _weight,
    "metal_fraction": _metal,
    "density": _density,
    "potential": _potential,
}
