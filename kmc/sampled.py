"""A simulation whose every run is another device: drawn from the spreads of its card."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.randomness import Rng, describe, generator
from ..physics.waveform import Waveform

__all__ = ["Sampled"]

_OUTSIDE = "-1 outside the device"


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws a device for every run.

    Parameters
    ----------
    simulation : dataclass with a field ``device`` and ``simulate(waveform, rng=...)``
        Its device has at least one spread.

    Raises
    ------
    InputError
        If the simulation has no device, its device no spread, or the spread one that changes the lattice of sites.

    Notes
    -----
    The device comes from the first child of the stream that the run is given, so what happens in it is drawn from the
    same numbers as without a spread. Drawn numbers stand in the trace as ``drawn_...``; its ``parameters`` name the
    mean device and the spreads, alike for all runs. Where the size of the column is drawn, variables over x, y and z
    cover the largest device that can be drawn: sites outside of this one hold -1, or NaN.

    Examples
    --------
    >>> from halidrift.kmc import FilamentKMC
    >>> narrow = Device.load("john2022-ogb").with_parameters(column_width_m=3e-9)
    >>> cell = Sampled(FilamentKMC(narrow.with_spread(leakage_S=1e-9)))
    >>> one = cell.simulate(Waveform.hold(0.01, 1e-3, samples=2), rng=1)
    >>> f"{float(one.conductance[0] / one.drawn_leakage_S):.3f}"  # but for the resistance in series
    '1.000'
    """

    simulation: Any

    def __post_init__(self) -> None:
        device = getattr(self.simulation, "device", None)
        if not isinstance(device, Device) or not dataclasses.is_dataclass(self.simulation):
            raise InputError(
                "Only a simulation of a device can be sampled",
                got=type(self.simulation).__name__,
                allowed="a dataclass with a field device, such as FilamentKMC",
            )
        if not device.spreads:
            raise InputError(
                f"Device {device.name} has no spread: its replicas would be one device again and again",
                action="Give a number of its card a spread, use device.with_spread(dissolution_barrier_eV=0.01), or "
                "leave sampled out",
            )
        _ = self._grid

    def drawn(self, rng: Rng) -> Device:
        """The device that a run with this stream draws; the stream is used up by one child.

        Parameters
        ----------
        rng : int, numpy.random.Generator or None
            Seed or stream of the run.
        """
        device: Device = self.simulation.device.sampled(generator(rng).spawn(1)[0])
        return device

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: int | np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> xr.Dataset:
        """Run one device of the many.

        Parameters
        ----------
        waveform : Waveform
        rng : int, numpy.random.Generator or None
        progress : callable (time_s), optional
            Handed on to the simulation, which must take it then.

        Returns
        -------
        xarray.Dataset
            The trace of the device, with what was drawn.

        Raises
        ------
        InputError, ValidityError, ConvergenceError
            Of the simulation, with the numbers of the device that it refused.
        """
        rng = generator(rng)
        seed = describe(rng)
        device = self.drawn(rng)
        numbers = device.numbers
        drawn = {name: numbers[name] for name in self.simulation.device.spreads}
        try:
            one = dataclasses.replace(self.simulation, device=device)
            trace = one.simulate(waveform, rng=rng, **({} if progress is None else {"progress": progress}))
        except (InputError, ValidityError, ConvergenceError) as error:
            if type(error) not in (InputError, ValidityError, ConvergenceError):
                raise
            values = ", ".join(f"{name} = {p.value:g} {p.unit}".removesuffix(" 1") for name, p in drawn.items())
            what = f"{error.what}, in the device drawn with {values}"
            raise type(error)(what, got=error.got, allowed=error.allowed, action=error.action) from error
        trace = self._spread_out(trace)
        for name, p in drawn.items():
            words = {"units": p.unit, "long_name": f"{name.removesuffix('_' + p.unit)} of this device", "note": p.note}
            trace[f"drawn_{name}"] = xr.Variable((), p.value, words)
        parameters = json.loads(trace.attrs["parameters"])
        parameters.update(device=self.simulation.device.to_dict(), spread=self.spread)
        trace.attrs.update(parameters=json.dumps(parameters, sort_keys=True), seed=seed)
        return trace

    @property
    def spread(self) -> dict[str, float]:
        """Standard deviation of each number that is drawn, in its canonical unit."""
        return {name: p.value for name, p in self.simulation.device.spreads.items()}

    @cached_property
    def _grid(self) -> dict[str, np.ndarray] | None:
        """Coordinates that hold every device that can be drawn, if their sizes differ."""
        if not hasattr(type(self.simulation), "column"):
            return None
        low, high = (
            dataclasses.replace(self.simulation, device=end).column for end in self.simulation.device.extremes()
        )
        if low.spacing_m != high.spacing_m:
            raise InputError(
                "The distance of sites cannot differ from device to device",
                got=f"{low.spacing_m:g} to {high.spacing_m:g} m",
                action="Take the spread of lattice_constant_m away: with_spread(lattice_constant_m=0)",
            )
        if low.shape == high.shape:
            return None
        return {axis: np.unique(high.positions_m[:, i]) for i, axis in enumerate("xyz")}

    def _spread_out(self, trace: xr.Dataset) -> xr.Dataset:
        if self._grid is None:
            return trace
        axes = {axis: values for axis, values in self._grid.items() if axis in trace.dims}
        spatial = {str(n): v for n, v in trace.data_vars.items() if set(v.dims) & set(axes)}
        fill = {name: -1 if v.dtype.kind == "i" else np.nan for name, v in spatial.items()}
        wide = trace.reindex(axes, fill_value=fill)
        for axis in axes:
            wide[axis].attrs.update(trace[axis].attrs)
        for name, v in spatial.items():
            if v.dtype.kind == "i":
                wide[name].attrs["long_name"] = f"{v.attrs.get('long_name', name)}, {_OUTSIDE}"
        return wide
