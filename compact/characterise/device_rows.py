"""Rows of a report on switching devices: voltages, ratios, times, energies, endurance, retention, scaling."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr
from scipy import stats

from ...physics.errors import InputError
from ...physics.retention import RetentionWarning, extrapolate
from .context import NAN, REVIEW, Progress, need, pooled, row
from .cycling import endurance
from .distributions import Distribution, distribution
from .events import relaxations
from .many import on_off_ratios, reset_voltages, set_voltages
from .merits import Merit
from .pieces import columns, cycles
from .scaling import area_scaling, rate_dependence, rates_apart, sweep_rate
from .sweeps import (
    both_directions,
    first_branches,
    holding_voltage,
    hrs_conductance,
    limited_at,
    lrs_conductance,
    set_voltage,
)
from .switching import switchings
from .watches import Lifetime, retention_time

__all__ = ["ROWS"]


def _set(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "a sweep to positive voltage")
    ratio = state.options.ratio
    what = f"voltage at which G exceeds {ratio:g} times its value at the start of the cycle"
    rates = np.array([sweep_rate(run) for run in state.runs.sweeps])
    numbers = rates_apart(rates)
    # the set voltage depends on the rate: what differs in it is no spread
    for number in range(numbers.max() + 1):
        runs = [run for run, n in zip(state.runs.sweeps, numbers, strict=True) if n == number]
        found = set_voltages(runs, ratio=ratio)
        if numbers.max() > 0:
            found = found._replace(name=f"{found.name} at {np.median(rates[numbers == number]):.3g} V/s")
        notes = _join(_unresolved(found, runs), pooled(runs))
        yield state.keep(found, what, REVIEW + "3.1.4", notes)


def _join(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _unresolved(found: Distribution, runs: Sequence[xr.Dataset]) -> str:
    """A word where voltages of switching scatter by less than the distance of the voltages of the sweeps."""
    events = found.values[~found.above]
    steps = np.concatenate([np.abs(np.diff(run["voltage"].values)) for run in runs])
    step = float(np.median(steps[steps > 0]))
    if events.size < 2 or events.std(ddof=1) >= step:
        return ""
    return f"the voltage goes in steps of {step:.3g} V: interpolated, a spread below them is not resolved"


def _reset(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "a sweep to positive and then to negative voltage")
    fraction = state.options.reset_fraction
    found = reset_voltages(state.runs.sweeps, fraction=fraction, ratio=state.options.ratio)
    yield state.keep(
        found,
        f"magnitude of the negative voltage at which G has fallen to {fraction:g} of its value at 0 V",
        REVIEW + "3.1.4",
        _join(_unresolved(found, state.runs.sweeps), pooled(state.runs.sweeps)),
    )


def _on_off(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "a sweep that rises and returns")
    o = state.options
    yield state.keep(
        on_off_ratios(state.runs.sweeps, write_V=o.write_V, read_V=o.read_V, which="read"),
        f"current at {o.read_V:g} V after over before the SET",
        "John 2022, non-volatile mode; " + REVIEW + "3.1.1",
        _join(_read_too_late(state), _limited(state.runs.sweeps, 1, o.read_V), pooled(state.runs.sweeps)),
    )


def _power(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "a sweep that rises and returns")
    o = state.options
    found = on_off_ratios(state.runs.sweeps, write_V=o.write_V, read_V=o.read_V, which="power")
    note = _join(_limited(state.runs.sweeps, 0, o.write_V), pooled(state.runs.sweeps))
    yield state.keep(
        found, f"current at {o.write_V:g} V over that at {o.read_V:g} V before", "John 2022, volatile mode", note
    )


def _limited(runs: Sequence[xr.Dataset], branch: int, volts: float) -> str:
    """A word where the source held the current back at this voltage, on the way up (0) or back (1)."""
    held = 0
    for run in runs:
        limits = [False]
        for cycle in cycles(run):
            with contextlib.suppress(InputError):
                limits.append(limited_at(cycle, first_branches(cycle["voltage"].values)[branch], volts))
        held += any(limits)
    return f"current at {volts:g} V is the compliance in {held} runs: a lower bound there" if held else ""


def _read_too_late(state: Progress) -> str:
    """A word where cycles that set are OFF again when they are read: their numbers say nothing of the ON state."""
    volts, windows, held = state.options.read_V, [], []
    for run in state.runs.sweeps:
        for cycle in cycles(run):
            with contextlib.suppress(InputError):
                set_voltage(cycle, ratio=state.options.ratio)
                windows.append(lrs_conductance(cycle, read_V=volts) / hrs_conductance(cycle, read_V=volts))
                held.append(holding_voltage(cycle))
    late = [down for window, down in zip(windows, held, strict=True) if window < 2.0 and down > volts]
    if not late or len(late) <= 0.5 * len(windows):
        return ""
    return (
        f"{len(late)} of {len(windows)} cycles that set have relaxed before they are read at {volts:g} V: they are ON "
        f"down to {np.median(late):.3g} V (median), read above that (--read, read_V)"
    )


def _states_of_sweeps(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "a sweep that rises and returns")
    volts = state.options.read_V
    for name, read in (("LRS conductance", lrs_conductance), ("HRS conductance", hrs_conductance)):
        values, why = [], ""
        for run in state.runs.sweeps:
            for cycle in cycles(run):
                try:
                    set_voltage(
                        cycle, ratio=state.options.ratio
                    )  # one that never sets has no LRS, one that is ON no HRS
                    values.append(read(cycle, read_V=volts))
                except InputError as error:
                    why = error.what
        need(values, why or "a sweep past the read voltage")
        branch = "falling" if name[0] == "L" else "rising"
        yield state.keep(
            distribution(values, name=name, unit="S"),
            f"G at {volts:g} V on the {branch} branch of cycles that set",
            REVIEW + "3.1.1",
            _join(
                *(_read_too_late(state), _limited(state.runs.sweeps, 1, volts)) * (name[0] == "L"),
                pooled(state.runs.sweeps),
            ),
        )


def _switched(state: Progress) -> Iterator[Merit]:
    need(state.runs.pulses, "pulses or spikes")
    found = [event for run in state.runs.pulses for event in switchings(run, rest_V=_rest(run, state.options.rest_V))]
    need(found, "a pulse that changes the conductance twofold")
    for up, kind in ((True, "SET"), (False, "RESET")):
        events = [event for event in found if (event.after_S > event.before_S) == up]
        if not events:
            continue
        coarse = sum(event.time_s < event.resolution_s for event in events)
        moving = sum(not event.settled for event in events)
        notes = [f"{coarse} shorter than the distance of reported instants: interpolated"] if coarse else []
        notes += [f"{moving} not settled at the end of the pulse"] if moving else []
        notes += [word] if (word := pooled(state.runs.pulses)) else []
        span = "G from 10 to 90 % of its change under the pulse"
        for name, unit, values, what in (
            ("switching time", "s", [event.time_s for event in events], span),
            ("delay", "s", [event.delay_s for event in events], "from the edge of the pulse to 10 %"),
            ("switching energy", "J", [event.energy_J for event in events], f"integral of V_device I while {span}"),
            (
                "pulse energy",
                "J",
                [event.stimulus_energy_J for event in events],
                "integral of V_device I over the whole pulse",
            ),
        ):
            yield state.keep(
                distribution(values, name=f"{kind} {name}", unit=unit), what, REVIEW + "3.1.4", "; ".join(notes)
            )


def _rest(run: xr.Dataset, chosen: float | None) -> float:
    """Rest of a run: as chosen, or half of its largest voltage."""
    return 0.5 * float(np.abs(run["voltage"].values).max()) if chosen is None else chosen


def _relaxed(state: Progress) -> Iterator[Merit]:
    quiet = [run for run in state.runs.pulses if -run["voltage"].values.min() <= 0.5 * run["voltage"].values.max()]
    need(quiet, "positive pulses followed by a rest without a RESET")
    found = [event for run in quiet for event in relaxations(run, rest_V=_rest(run, state.options.rest_V))]
    need(found, "a rest that finds the device ON")
    yield state.keep(
        distribution(
            [event.time_s for event in found],
            [event.censored for event in found],
            name="relaxation time",
            unit="s",
        ),
        "from the end of the voltage until ln G has fallen to 1/e of the way from ln G_on to ln G_off",
        REVIEW + "3.1.6",
        pooled(quiet),
    )


def _endured(state: Progress) -> Iterator[Merit]:
    o = state.options
    found, why = [], "needs read pairs of a write-read-erase-read test, or two cycles of a sweep or more"
    for _, run in state.runs.every:
        try:
            found.append(endurance(run, read_V=o.read_V, factor=o.factor, consecutive=o.consecutive))
        except InputError as error:
            if len(cycles(run)) > 1 and "waveform" not in run.attrs:
                why = error.what
    if not found:
        raise InputError(why)
    state.kept["endurances"] = tuple(found)
    many = distribution([one.cycles for one in found], [one.censored for one in found], name="endurance", unit="cycles")
    causes = sorted({one.cause for one in found if one.cause})
    notes = [f"failure: {', '.join(causes)}"] if causes else []
    if many.censored == many.number:
        notes.append(f"no device failed: at least {max(one.cycles for one in found):.6g} cycles")
    if max(one.resolution for one in found) > 1:
        notes.append("fewer than one reading a cycle")
    windows = [one.window_median for one in found if math.isfinite(one.window_median)]
    notes.append(f"median window {np.median(windows):.3g}" if windows else "no cycle worked")
    yield state.keep(many, f"cycles until G_LRS / G_HRS falls below {o.factor:g}", REVIEW + "3.1.2", "; ".join(notes))


def _watched(state: Progress) -> list[Lifetime]:
    found = []
    for _, run in state.runs.every:
        time, voltage, _, conductance = columns(run)
        try:
            one = retention_time(run, fraction=state.options.retention_fraction)
        except InputError:
            continue
        # a watch takes most of the trace, and what is watched was written
        watched = time[-1] - one.start_s > 0.5 * (time[-1] - time[0]) and one.conductance_S >= 2.0 * conductance[0]
        if np.ptp(voltage) == 0 or watched:
            found.append(one)
    return found


def _held(state: Progress) -> Iterator[Merit]:
    found = _watched(state)
    need(found, "a hold after the last write that takes more than half of the trace")
    state.kept["lifetimes"] = tuple(found)
    fraction, use = state.options.retention_fraction, state.options.use_K
    what = f"from the end of the last write until G has fallen to {fraction:g} of its value then"
    for kelvin in sorted({one.temperature_K for one in found}):
        here = [one for one in found if one.temperature_K == kelvin]
        yield state.keep(
            distribution(
                [one.time_s for one in here],
                [one.censored for one in here],
                name=f"retention at {kelvin:g} K",
                unit="s",
            ),
            what,
            REVIEW + "3.1.3",
        )
    if len({one.temperature_K for one in found}) < 2:
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RetentionWarning)
        line = extrapolate(
            [one.time_s for one in found],
            [one.temperature_K for one in found],
            failed=np.array([not one.censored for one in found]),
        )
    state.kept["retention"] = line
    median, low, high = line.at(use)
    late = sum(one.censored for one in found)
    doubts = "; ".join(str(one.message) for one in caught if issubclass(one.category, RetentionWarning))
    common = {"number": len(found), "censored": late, "note": doubts}
    yield row(
        f"retention extrapolated to {use:g} K", median, "s", "Arrhenius line through " + what, REVIEW + "3.1.3",
        low=low, high=high, **common,
    )  # fmt: skip
    error = float(stats.t.ppf(0.975, line.failures - 2)) * line.activation_energy_stderr_eV
    E = line.activation_energy_eV
    yield row(
        "activation energy of retention", E, "eV", "slope of ln t against 1/kT", REVIEW + "3.3.1",
        low=E - error, high=E + error, **common,
    )  # fmt: skip


def area_of(run: xr.Dataset) -> float:
    """Area of the device of a trace, m^2: attribute or simulation parameter; nan if it names none."""
    if "area_m2" in run.attrs:
        return float(run.attrs["area_m2"])
    try:
        return float(json.loads(run.attrs.get("parameters", "{}"))["device"]["area_m2"])
    except (ValueError, TypeError, KeyError):
        return NAN


def _scaled(state: Progress) -> Iterator[Merit]:
    areas, conductances = [], []
    for run in state.runs.sweeps:
        area = area_of(run)
        try:
            value = lrs_conductance(run, read_V=state.options.read_V)
        except InputError:
            continue
        if math.isfinite(area):
            areas.append(area)
            conductances.append(value)
    if len(set(areas)) < 2 or len(areas) < 3:
        raise InputError(
            "needs sweeps of three devices of two areas or more", got=f"{len(areas)} of {len(set(areas))} areas"
        )
    found = area_scaling(areas, conductances)
    state.kept |= {
        "area": found, "areas_m2": np.array(areas), "area_conductance_S": np.array(conductances),
    }  # fmt: skip
    yield row(
        "area exponent", found.slope, "1", "slope of ln G_LRS against ln area; 0 filamentary, 1 interfacial",
        REVIEW + "3.3.1", low=found.low, high=found.high, number=found.points, note=found.verdict,
    )  # fmt: skip


def _rectified(state: Progress) -> Iterator[Merit]:
    volts = state.options.rectification_V
    found, why = [], "needs a bipolar sweep"
    for run in state.runs.sweeps:
        for cycle in cycles(run, following=1):
            try:
                found.append(both_directions(cycle, read_V=volts))
            except InputError as error:
                why = error.what
    if not found:
        raise InputError(why)
    if not any(math.isfinite(one.lrs) or math.isfinite(one.hrs) for one in found):
        held = any("limited" in (one.lrs_doubt, one.hrs_doubt) for one in found)
        where = f"below {volts:g} V (--rectification, rectification_V)"
        raise InputError(
            f"the source held the current back: compare {where}" if held else f"needs a loop beyond {volts:g} V"
        )
    for name in ("lrs", "hrs"):
        values = [value for one in found if math.isfinite(value := getattr(one, name))]
        doubts = [getattr(one, f"{name}_doubt") for one in found]
        clipped, changed = doubts.count("limited"), doubts.count("changed")
        notes = [f"{clipped} of {len(found)} left out: a current is the compliance there"] if clipped else []
        if changed:
            why = (
                f"the hysteresis at -{volts:g} V is less than half of that at +{volts:g} V, as of a device that "
                "relaxed or was reset in between"
                if name == "lrs"
                else "at one of the voltages it conducts as in the LRS, as of a device that switched in between"
            )
            notes.append(f"doubtful in {changed} of {len(values)}: {why}")
        if values:
            yield state.keep(
                distribution(values, name=f"rectification ratio, {name.upper()}", unit="1"),
                f"I(+{volts:g} V) / |I(-{volts:g} V)|",
                REVIEW + "5.2",
                _join(*notes),
            )


def _rated(state: Progress) -> Iterator[Merit]:
    need(state.runs.sweeps, "sweeps of two rates or more")
    found = rate_dependence(state.runs.sweeps, ratio=state.options.ratio)
    state.kept["rate"] = found
    yield row(
        "set voltage against sweep rate", found.slope_V, "V/decade", "slope against log10 of the rate",
        REVIEW + "3.3.1", low=found.low_V, high=found.high_V, number=found.points, censored=found.censored,
        note=f"{found.verdict}, {found.rates} rates, scatter {found.scatter_V:.3g} V",
    )  # fmt: skip


ROWS: dict[str, Callable[[Progress], Iterator[Merit]]] = {
    "set voltage": _set,
    "reset voltage (magnitude)": _reset,
    "on/off ratio (read)": _on_off,
    "on/off ratio (power)": _power,
    "LRS and HRS conductance": _states_of_sweeps,
    "switching time and energy": _switched,
    "relaxation time": _relaxed,
    "endurance": _endured,
    "retention": _held,
    "area exponent": _scaled,
    "rectification ratio": _rectified,
    "set voltage against sweep rate": _rated,
}
