"""Figures of merit over the runs and cycles of many traces, as distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...physics.errors import InputError
from .distributions import Distribution, distribution
from .events import relaxations
from .pieces import columns, cycles, each
from .sweeps import on_off, reset_voltage, set_voltage
from .switching import switchings

__all__ = [
    "on_off_ratios",
    "relaxation_times",
    "reset_voltages",
    "set_voltages",
    "switching_energies",
    "switching_times",
]

Traces = xr.Dataset | Sequence[xr.Dataset]


def set_voltages(given: Traces, *, ratio: float = 10.0) -> Distribution:
    """Set voltage over cycles and devices, V.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    ratio : float, 1, > 1
        As for :func:`set_voltage`, in each cycle against the conductance at its beginning.

    Returns
    -------
    Distribution
        A cycle that never sets is censored at its highest voltage. One that begins ON, by half of ln G_on / G_off
        of its run, has nothing to set and is left out.

    Raises
    ------
    InputError
        If no cycle has a positive voltage and begins OFF.
    """
    values, censored, devices = [], [], []
    for device, run in each(given):
        low, high = _extremes(run)
        for cycle in cycles(run):
            _, voltage, _, conductance = columns(cycle)
            try:
                values.append(set_voltage(cycle, ratio=ratio))
                censored.append(False)
            except InputError:
                # ON all along, as a loop that was never reset
                if high - low >= np.log(ratio) and np.log(conductance[0]) > 0.5 * (low + high):
                    continue
                values.append(float(voltage.max()))
                censored.append(True)
            devices.append(device)
    if not values:
        raise InputError("No SET to look for: no cycle has a positive voltage and begins OFF", got="no such cycle")
    return distribution(values, censored, name="set voltage", unit="V", devices=devices)


def reset_voltages(given: Traces, *, fraction: float = 0.5, ratio: float = 10.0) -> Distribution:
    """Magnitude of the (negative) reset voltage over cycles and devices, V.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    fraction : float, 1, in (0, 1)
        As for :func:`reset_voltage`.
    ratio : float, 1, > 1
        Conductance over that at the beginning of the cycle, or over the smallest of the run, from which on the device
        counts as ON when the voltage becomes negative.

    Returns
    -------
    Distribution
        A cycle that never resets is censored at its most negative voltage. One that is OFF when the voltage becomes
        negative is left out.

    Raises
    ------
    InputError
        If no cycle is ON when its voltage becomes negative.
    """
    values, censored, devices = [], [], []
    for device, run in each(given):
        low, _ = _extremes(run)
        for cycle in cycles(run):
            _, voltage, _, conductance = columns(cycle)
            negative = np.flatnonzero(voltage < 0)
            if not negative.size or np.log(conductance[negative[0]]) < low + np.log(ratio):
                continue
            try:
                values.append(-reset_voltage(cycle, fraction=fraction))
                censored.append(False)
            except InputError:
                values.append(-float(voltage.min()))
                censored.append(True)
            devices.append(device)
    if not values:
        raise InputError(
            "No RESET to look for: no cycle is ON when its voltage becomes negative",
            got="no such cycle",
            action="Sweep to a negative voltage after the SET, or lower ratio",
        )
    return distribution(values, censored, name="reset voltage (magnitude)", unit="V", devices=devices)


def on_off_ratios(given: Traces, *, write_V: float = 2.0, read_V: float = 0.1, which: str = "read") -> Distribution:
    """On/off ratio over cycles and devices, 1; `which` is "power" or "read", see :class:`OnOff`.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    write_V, read_V : float, V, > 0
        Voltages whose currents are compared.
    which : {"read", "power"}
        "read": currents at `read_V` after and before the SET. "power": current at `write_V` over that at `read_V`, both
        on the way up.

    Raises
    ------
    InputError
        If no cycle passes the voltages, or `which` is neither.
    """
    if which not in ("power", "read"):
        raise InputError("Unknown definition of the on/off ratio", got=which, allowed="power, read")
    values, devices, why = [], [], "no cycle with a positive voltage"
    for device, run in each(given):
        for cycle in cycles(run):
            try:
                value = getattr(on_off(cycle, write_V=write_V, read_V=read_V), which)
            except InputError as error:
                why = str(error)
                continue
            if np.isfinite(value):
                values.append(value)
                devices.append(device)
            else:
                why = f"the sweep does not reach the write voltage, {write_V:g} V"
    if not values:
        raise InputError("No on/off ratio in the traces", got=why)
    return distribution(values, name=f"on/off ratio ({which})", unit="1", devices=devices)


def relaxation_times(given: Traces, **options: float) -> Distribution:
    """Relaxation time over events and devices, s; options as for :func:`relaxations`.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    **options : float
        ``level``, ``dwell_s``, ``rest_V``, ``off_S`` and ``on_S``.

    Returns
    -------
    Distribution
        In s; a relaxation that outlasts its rest is censored.

    Raises
    ------
    InputError
        If no trace has a relaxation.
    """
    found = [(device, event) for device, run in each(given) for event in relaxations(run, **options)]
    if not found:
        raise InputError(
            "No relaxation in the traces: looked for zero or negative voltage after the device was ON",
            got="none",
            action="Let the stimulus end with a rest",
        )
    return distribution(
        [event.time_s for _, event in found],
        [event.censored for _, event in found],
        name="relaxation time",
        unit="s",
        devices=[device for device, _ in found],
    )


def switching_times(given: Traces, *, up: bool = True, factor: float = 2.0, rest_V: float = 0.0) -> Distribution:
    """10 to 90 % switching time of every SET (`up`) or RESET, s; see :func:`switchings`.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    up : bool
        SETs if true, RESETs if false.
    factor : float, 1, > 1
        Change of conductance that counts as switching.
    rest_V : float, V, >= 0
        Largest magnitude of the voltage that counts as no stimulus.
    """
    return _switched(given, "time_s", "s", up, factor, rest_V)


def switching_energies(given: Traces, *, up: bool = True, factor: float = 2.0, rest_V: float = 0.0) -> Distribution:
    """Energy from 10 to 90 % of every SET (`up`) or RESET, J; see :func:`switchings`.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
    up : bool
        SETs if true, RESETs if false.
    factor : float, 1, > 1
        As for :func:`switching_times`.
    rest_V : float, V, >= 0
        As for :func:`switching_times`.
    """
    return _switched(given, "energy_J", "J", up, factor, rest_V)


def _switched(given: Traces, attribute: str, unit: str, up: bool, factor: float, rest_V: float) -> Distribution:
    found = [
        (device, getattr(event, attribute))
        for device, run in each(given)
        for event in switchings(run, factor=factor, rest_V=rest_V)
        if (event.after_S > event.before_S) == up
    ]
    kind = "SET" if up else "RESET"
    if not found:
        raise InputError(
            f"No {kind} in the traces", got="none", allowed=f"conductance that changes {factor:g}-fold in a stimulus"
        )
    what = "time" if unit == "s" else "energy"
    return distribution(
        [value for _, value in found],
        name=f"{kind} switching {what} (10-90 %)",
        unit=unit,
        devices=[device for device, _ in found],
    )


def _extremes(run: xr.Dataset) -> tuple[float, float]:
    """ln of the smallest and the largest conductance of a run, without the outermost 2 %."""
    ln_g = np.log(columns(run)[3])
    return float(np.quantile(ln_g, 0.02)), float(np.quantile(ln_g, 0.98))
