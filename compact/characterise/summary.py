"""All figures of merit that given traces allow, and for the others why not."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...physics import trace as traces
from ...physics.errors import HalidriftError, InputError
from ...physics.retention import RetentionWarning, extrapolate
from .. import plasticity
from .cycling import endurance
from .decays import decay_law
from .distributions import Distribution, distribution
from .events import relaxations
from .many import on_off_ratios, relaxation_times, reset_voltages, set_voltages
from .merits import Merit, Missing, Report
from .pieces import Array, columns, cycles, each, several
from .scaling import area_scaling, rate_dependence, sweep_rate
from .spiking import Plasticity, facilitation, plasticity_of
from .states import distinguishable
from .sweeps import hrs_conductance, lrs_conductance, rectification
from .switching import switchings
from .watches import Lifetime, retention_time

__all__ = ["report"]

_NAN = float("nan")


@dataclass(frozen=True)
class _Options:
    read_V: float
    write_V: float
    rest_V: float
    ratio: float
    reset_fraction: float
    factor: float
    retention_fraction: float
    criterion: float
    use_K: float
    rectification_V: float


def report(
    given: xr.Dataset | Sequence[xr.Dataset],
    *,
    read_V: float = 0.1,
    write_V: float = 2.0,
    rest_V: float = 0.0,
    ratio: float = 10.0,
    reset_fraction: float = 0.5,
    factor: float = 10.0,
    retention_fraction: float = 0.5,
    criterion: float = 3.0,
    use_K: float = 300.0,
    rectification_V: float = 0.5,
) -> Report:
    """Compute every figure of merit that the traces allow.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Of any model or measurement, with any dimensions besides time; sweeps, pulses, spikes and watches may be mixed.
        Area and temperature are read from the attributes ``area_m2`` and ``temperature_K``, or from the device of a
        simulation.
    read_V, write_V : float, V, > 0
        Where sweeps are read for the on/off ratio in both definitions.
    rest_V : float, V, >= 0
        Largest voltage that counts as no stimulus.
    ratio : float, 1, > 1
        Rise of conductance that counts as SET.
    reset_fraction : float, 1, in (0, 1)
        Fall of conductance that counts as RESET.
    factor : float, 1, > 1
        Window between the states below which a cycle has failed.
    retention_fraction : float, 1, in (0, 1)
        Share of its conductance that a state must keep.
    criterion : float, 1, > 0
        Distance of states, in the sum of their standard deviations.
    use_K : float, K, > 0
        Temperature to which retention is extrapolated.
    rectification_V : float, V, > 0

    Returns
    -------
    Report
        ``report["set voltage"].value``; print it for a table; ``merits`` and ``missing`` hold all.

    Raises
    ------
    InputError
        If something given is no trace, or an argument is out of range.

    Notes
    -----
    An unsuitable trace never fails the report: it leads to an entry under `missing`.
    """
    options = _Options(
        read_V, write_V, rest_V, ratio, reset_fraction, factor, retention_fraction, criterion, use_K, rectification_V
    )
    for name, value in vars(options).items():
        least = 1.0 if name in ("ratio", "factor") else 0.0
        most = 1.0 if name.endswith("fraction") else math.inf
        fits = least <= value < most if name == "rest_V" else least < value < most
        if not (math.isfinite(value) and fits):
            raise InputError(f"{name} is out of range", got=value, allowed=f"above {least:g}, below {most:g}")
    state = _State(_sorted(several(given)), options)
    merits: list[Merit] = []
    missing: list[Missing] = []
    for name, compute in _METRICS:
        try:
            merits += list(compute(state))
        except HalidriftError as error:
            got = getattr(error, "got", None)
            missing.append(Missing(name, error.what + ("" if got is None else f" ({got})")))
    return Report(tuple(merits), tuple(missing), **state.kept)


class _Runs(NamedTuple):
    """Runs by what was done to them; one may be of several kinds."""

    every: list[tuple[str, xr.Dataset]]
    sweeps: list[xr.Dataset]
    pulses: list[xr.Dataset]
    spikes: list[tuple[xr.Dataset, Plasticity]]
    reads: list[xr.Dataset]


class _State:
    """What the metrics share."""

    def __init__(self, runs: _Runs, options: _Options):
        self.runs, self.options = runs, options
        self.kept: dict[str, Any] = {"distributions": {}}

    def keep(self, found: Distribution, definition: str, source: str, note: str = "") -> Merit:
        """A distribution as a row."""
        self.kept["distributions"][found.name] = found
        words = [note] if note else []
        if math.isfinite(found.cv_devices):
            words.append(
                f"CV {100 * found.cv_devices:.1f} % between devices, {100 * found.cv_cycles:.1f} % between cycles"
            )
        if found.weibull is not None:
            best = f", {found.best} law fits best" if found.best else ""
            words.append(f"Weibull shape {found.weibull.shape:.3g}, scale {found.weibull.scale:.3g} {found.unit}{best}")
        return Merit(
            found.name,
            found.median,
            found.unit,
            found.low,
            found.high,
            found.cv,
            found.number,
            found.censored,
            definition,
            source,
            "; ".join(words),
        )


def _sorted(given: list[xr.Dataset]) -> _Runs:
    every = list(each(given))
    sweeps, pulses, spikes, reads = [], [], [], []
    for _, run in every:
        try:
            sweep_rate(run)
            sweeps.append(run)
        except InputError:
            voltage = run["voltage"].values
            if np.ptp(voltage) > 0:
                pulses.append(run)
        if "waveform" in run.attrs and traces.waveform_of(run).reads_s.size:
            reads.append(run)
            with contextlib.suppress(InputError):
                spikes.append((run, plasticity_of(run)))
    return _Runs(every, sweeps, pulses, spikes, reads)


def _need(runs: Sequence[Any], what: str) -> None:
    if not runs:
        raise InputError(f"needs {what}")


def _row(name: str, value: float | str, unit: str, definition: str, source: str, **more: Any) -> Merit:
    blank: dict[str, Any] = {"low": _NAN, "high": _NAN, "cv": _NAN, "number": 1, "censored": 0, "note": ""}
    return Merit(name, value, unit, definition=definition, source=source, **(blank | more))


_REVIEW = "Yantara 2026, Sec. "


def _set(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "a sweep to positive voltage")
    ratio = state.options.ratio
    what = f"voltage at which G exceeds {ratio:g} times its value at the start of the cycle"
    by_rate: dict[str, list[xr.Dataset]] = {}
    for run in state.runs.sweeps:
        by_rate.setdefault(f"{sweep_rate(run):.3g} V/s", []).append(run)
    # the set voltage depends on the rate: what differs in it is no spread
    for rate, runs in by_rate.items():
        found = set_voltages(runs, ratio=ratio)
        if len(by_rate) > 1:
            found = found._replace(name=f"{found.name} at {rate}")
        yield state.keep(found, what, _REVIEW + "3.1.4", _pooled(runs))


def _pooled(runs: Sequence[xr.Dataset]) -> str:
    """A word if different stimuli lie behind one distribution."""
    kinds = {(str(run.attrs.get("waveform", "")), str(run.attrs.get("temperature_K", ""))) for run in runs}
    return f"{len(kinds)} different stimuli pooled" if len(kinds) > 1 else ""


def _reset(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "a sweep to positive and then to negative voltage")
    fraction = state.options.reset_fraction
    yield state.keep(
        reset_voltages(state.runs.sweeps, fraction=fraction, ratio=state.options.ratio),
        f"magnitude of the negative voltage at which G has fallen to {fraction:g} of its value at 0 V",
        _REVIEW + "3.1.4",
        _pooled(state.runs.sweeps),
    )


def _on_off(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "a sweep that rises and returns")
    o = state.options
    yield state.keep(
        on_off_ratios(state.runs.sweeps, write_V=o.write_V, read_V=o.read_V, which="read"),
        f"current at {o.read_V:g} V after over before the SET",
        "John 2022, non-volatile mode; " + _REVIEW + "3.1.1",
        _pooled(state.runs.sweeps),
    )


def _power(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "a sweep that rises and returns")
    o = state.options
    found = on_off_ratios(state.runs.sweeps, write_V=o.write_V, read_V=o.read_V, which="power")
    limited = sum(_limited(run, o.write_V) for run in state.runs.sweeps)
    note = f"current at {o.write_V:g} V is the compliance in {limited} runs: a lower bound there" if limited else ""
    note = "; ".join(filter(None, (note, _pooled(state.runs.sweeps))))
    yield state.keep(
        found, f"current at {o.write_V:g} V over that at {o.read_V:g} V before", "John 2022, volatile mode", note
    )


def _limited(run: xr.Dataset, volts: float) -> bool:
    """Whether the source held the current back at this voltage or above."""
    source, device = run["voltage"].values, run["device_voltage"].values
    high = source >= volts * (1 - 1e-9)
    return bool(high.any() and (np.abs(device[high]) < 0.99 * np.abs(source[high])).any())


def _states_of_sweeps(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "a sweep that rises and returns")
    volts = state.options.read_V
    for name, read in (("LRS conductance", lrs_conductance), ("HRS conductance", hrs_conductance)):
        values, why = [], ""
        for run in state.runs.sweeps:
            for cycle in cycles(run):
                try:
                    values.append(read(cycle, read_V=volts))
                except InputError as error:
                    why = error.what
        _need(values, why or "a sweep past the read voltage")
        branch = "falling" if name[0] == "L" else "rising"
        yield state.keep(
            distribution(values, name=name, unit="S"),
            f"G at {volts:g} V on the {branch} branch",
            _REVIEW + "3.1.1",
            _pooled(state.runs.sweeps),
        )


def _switched(state: _State) -> Iterator[Merit]:
    _need(state.runs.pulses, "pulses or spikes")
    found = [event for run in state.runs.pulses for event in switchings(run, rest_V=_rest(run, state.options.rest_V))]
    _need(found, "a pulse that changes the conductance twofold")
    for up, kind in ((True, "SET"), (False, "RESET")):
        events = [event for event in found if (event.after_S > event.before_S) == up]
        if not events:
            continue
        coarse = sum(event.time_s < event.resolution_s for event in events)
        moving = sum(not event.settled for event in events)
        notes = [f"{coarse} shorter than the distance of reported instants: interpolated"] if coarse else []
        notes += [f"{moving} not settled at the end of the pulse"] if moving else []
        notes += [pooled] if (pooled := _pooled(state.runs.pulses)) else []
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
                distribution(values, name=f"{kind} {name}", unit=unit), what, _REVIEW + "3.1.4", "; ".join(notes)
            )


def _rest(run: xr.Dataset, least: float) -> float:
    """Rest of a run that is read all the time: the magnitude of its first voltage, if that is a small share."""
    size = np.abs(run["voltage"].values)
    first = float(size[0])
    return max(least, first * (1 + 1e-9)) if first < 0.5 * size.max() else least


def _relaxed(state: _State) -> Iterator[Merit]:
    rest = state.options.rest_V
    quiet = [run for run in state.runs.pulses if -run["voltage"].values.min() <= 0.5 * run["voltage"].values.max()]
    _need(quiet, "positive pulses followed by a rest without a RESET")
    _need([r for run in quiet for r in relaxations(run, rest_V=rest)], "a rest that finds the device ON")
    yield state.keep(
        relaxation_times(quiet, rest_V=rest),
        "from the end of the voltage until ln G has fallen to 1/e of the way from ln G_on to ln G_off",
        _REVIEW + "3.1.6",
        _pooled(quiet),
    )


def _endured(state: _State) -> Iterator[Merit]:
    o = state.options
    found, why = [], "needs read pairs of a write-read-erase-read test, or two cycles of a sweep or more"
    for _, run in state.runs.every:
        try:
            found.append(endurance(run, read_V=o.read_V, factor=o.factor))
        except InputError as error:
            if len(cycles(run)) > 1 and "waveform" not in run.attrs:
                why = error.what
    if not found:
        raise InputError(why)
    state.kept["endurances"] = tuple(found)
    many = distribution(
        [max(one.cycles, 0.5) for one in found], [one.censored for one in found], name="endurance", unit="cycles"
    )
    causes = sorted({one.cause for one in found if one.cause})
    notes = [f"failure: {', '.join(causes)}"] if causes else []
    if many.censored == many.number:
        notes.append(f"no device failed: at least {max(one.cycles for one in found):.6g} cycles")
    if max(one.resolution for one in found) > 1:
        notes.append("fewer than one reading a cycle")
    notes.append(f"median window {np.nanmedian([one.window_median for one in found]):.3g}")
    yield state.keep(many, f"cycles until G_LRS / G_HRS falls below {o.factor:g}", _REVIEW + "3.1.2", "; ".join(notes))


def _watched(state: _State) -> list[Lifetime]:
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


def _held(state: _State) -> Iterator[Merit]:
    found = _watched(state)
    _need(found, "a hold after the last write that takes more than half of the trace")
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
            _REVIEW + "3.1.3",
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
    yield _row(
        f"retention extrapolated to {use:g} K", median, "s", "Arrhenius line through " + what, _REVIEW + "3.1.3",
        low=low, high=high, **common,
    )  # fmt: skip
    error = 1.96 * line.activation_energy_stderr_eV
    E = line.activation_energy_eV
    yield _row(
        "activation energy of retention", E, "eV", "slope of ln t against 1/kT", _REVIEW + "3.3.1",
        low=E - error, high=E + error, **common,
    )  # fmt: skip


_INDEX = {
    "PPF": "A2 / A1",
    "SFDP": "A5 / A1",
    "SVDP": "A_n / A_1 at the largest amplitude",
    "SDDP": "A_n / A_1 at the longest duration",
    "SNDP": "A_n / A_1 after the last spike",
}


def _indexed(state: _State) -> Iterator[Merit]:
    found = [one for _, one in state.runs.spikes]
    _need(found, "spikes that are read one by one")
    state.kept["plasticity"] = tuple(found)
    for name, what in _INDEX.items():
        here = [one for one in found if one.name == name]
        for at in sorted({float(one.at[-1]) for one in here}):
            values = [float(one.indices[-1]) for one in here if float(one.at[-1]) == at]
            unit = {"interval": "s", "frequency": "Hz", "amplitude": "V", "duration": "s", "number": "spikes"}
            of = here[0].against
            rising = all(plasticity.is_monotone(one.indices) for one in here)
            note = "" if name in ("PPF", "SFDP") else "rises from spike to spike" if rising else "not monotone"
            row = distribution(values, name=f"{name} index at {at:.4g} {unit[of]}", unit="1")
            yield state.keep(row, what, "Kim 2019, Fig. 3; " + _REVIEW + "3.1.6", note)
    for name in sorted({one.name for one in found} - {"LTP/LTD"}):
        changes = [one.change for one in found if one.name == name and math.isfinite(one.change)]
        if changes:
            yield state.keep(
                distribution(changes, name=f"relative change of conductance, {name}", unit="1"),
                "(G after the last spike - G before the first) / G before",
                _REVIEW + "3.1.1",
            )


def _facilitated(state: _State) -> Iterator[Merit]:
    pairs = [one for _, one in state.runs.spikes if one.name == "PPF"]
    intervals = [float(one.at[0]) for one in pairs]
    if len(set(intervals)) < 3:
        raise InputError("needs pairs of spikes at three intervals or more", got=f"{len(set(intervals))}")
    found = facilitation(intervals, [float(one.indices[1]) for one in pairs])
    state.kept["facilitation"] = found
    phases = ("fast", "slow") if found.times_s.size == 2 else ("",)
    for i, phase in enumerate(phases):
        tau, error = float(found.times_s[i]), 1.96 * float(found.time_errors_s[i])
        yield _row(
            " ".join(filter(None, ("PPF", phase, "time constant"))), tau, "s",
            "tau of 1 + C exp(-interval/tau), one phase or two by AICc", _REVIEW + "3.1.6",
            low=tau - error, high=tau + error, number=len(pairs),
            note=f"C = {found.amplitudes[i]:.3g}, R2 = {found.r2:.4f}",
        )  # fmt: skip


def _updated(state: _State) -> Iterator[Merit]:
    runs = [run for run, one in state.runs.spikes if one.name == "LTP/LTD"]
    _need(runs, "as many potentiating as depressing spikes, read one by one")
    found = []
    for run in runs:
        weights = plasticity.responses(run)
        up, down = np.split(weights, 2)
        found.append((up, down, plasticity.update_of(up, down)))
    state.kept["updates"] = tuple(found)
    rows = [update for _, _, update in found]
    law = "nu of (1 - exp(-nu x)) / (1 - exp(-nu)), x the share of the spikes; positive saturates"
    source = "Chen 2018; " + _REVIEW + "3.1.1"
    for side, name in (("up", "LTP"), ("down", "LTD")):
        nu = np.array([getattr(update, f"nonlinearity_{side}") for update in rows])
        yield state.keep(distribution(nu, name=f"{name} nonlinearity", unit="1"), law, source)
        yield state.keep(
            distribution(plasticity.neurosim_label(nu), name=f"{name} NeuroSim label", unit="1"),
            "label 0 to 9 of the same curve; positive saturates, for LTD too",
            "NeuroSim, Nonlinearity-NormA table",
        )
    yield state.keep(
        distribution([update.asymmetry for update in rows], name="LTP/LTD asymmetry", unit="1"),
        "largest distance between potentiation and mirrored depression, over the range",
        source,
    )
    yield state.keep(
        distribution([update.range for update in rows], name="LTP/LTD range", unit="1"),
        "largest over smallest weight",
        source,
    )


def _levels(state: _State) -> Iterator[Merit]:
    o = state.options
    groups: dict[int, list[Array]] = {}
    for run, one in state.runs.spikes:
        if one.name in ("LTP/LTD", "SNDP"):
            weights = plasticity.responses(run)
            groups.setdefault(weights.size, []).append(
                weights[: weights.size // 2] if one.name == "LTP/LTD" else weights
            )
    repeated = [rows for rows in groups.values() if len(rows) > 1]
    by_stimulus: dict[str, list[float]] = {}
    for run in state.runs.sweeps:
        try:
            by_stimulus.setdefault(str(run.attrs.get("waveform", "")), []).append(lrs_conductance(run, read_V=o.read_V))
        except InputError:
            continue
    programmed = [np.array(values) for values in by_stimulus.values() if len(values) > 1]
    if repeated:
        levels = list(np.array(max(repeated, key=len)).T)
        of = "levels after each potentiating spike"
    elif len(programmed) > 1:
        levels, of = programmed, "LRS conductances of the different sweeps"
    else:
        raise InputError("needs levels that are programmed twice or more: repeated trains, or sweeps of two kinds")
    found = distinguishable(levels, criterion=o.criterion)
    state.kept["states"] = found
    yield _row(
        "distinguishable states", float(found.distinct), "1",
        f"most {of} with |mu_i - mu_j| >= {o.criterion:g} (sigma_i + sigma_j) in ln G", _REVIEW + "3.1.1",
        low=float(found.low), high=float(found.high), number=min(len(level) for level in levels),
        note=f"of {found.programmed} programmed; interval (90 %) from the spread of the standard deviations",
    )  # fmt: skip


def _decayed(state: _State) -> Iterator[Merit]:
    found = []
    why = "needs a watch of a decade or more after the last of its spikes"
    for run, _ in state.runs.spikes:
        try:
            after, weight = plasticity.decay(run)
            # up to where it has gone: what follows is noise about zero
            gone = np.flatnonzero(weight <= 0.02)
            last = int(gone[0]) if gone.size else weight.size
            after, weight = after[:last], weight[:last]
            shown = after > 0
            if not shown.any() or after[shown].max() < 10 * after[shown].min():
                continue
            found.append((after[shown], weight[shown], decay_law(after[shown], weight[shown])))
        except InputError as error:
            why = error.what
    if not found:
        raise InputError(why)
    state.kept["decays"] = tuple(found)
    verdicts = [law.verdict for _, _, law in found]
    verdict = max(sorted(set(verdicts)), key=verdicts.count)
    typical = found[verdicts.index(verdict)][2]
    yield _row(
        "decay law", verdict, "",
        "AIC of exp(-t/tau) against t^-m on ln of the weight, points discounted for autocorrelation, verdict from 4 on",
        _REVIEW + "3.3.1", number=len(found),
        note=f"{verdicts.count(verdict)} of {len(found)}; tau {typical.tau_s:.3g} s (R2 {typical.r2_exponential:.3f}), "
        f"m {typical.power:.3g} (R2 {typical.r2_power:.3f}), delta AIC {typical.delta_aic:.3g} for "
        f"{typical.independent_points:.3g} of {typical.points} points",
    )  # fmt: skip


def area_of(run: xr.Dataset) -> float:
    """Area of the device of a trace, m^2: attribute or simulation parameter; nan if it names none."""
    if "area_m2" in run.attrs:
        return float(run.attrs["area_m2"])
    try:
        return float(json.loads(run.attrs.get("parameters", "{}"))["device"]["area_m2"])
    except (ValueError, TypeError, KeyError):
        return _NAN


def _scaled(state: _State) -> Iterator[Merit]:
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
    yield _row(
        "area exponent", found.slope, "1", "slope of ln G_LRS against ln area; 0 filamentary, 1 interfacial",
        _REVIEW + "3.3.1", low=found.low, high=found.high, number=found.points, note=found.verdict,
    )  # fmt: skip


def _rectified(state: _State) -> Iterator[Merit]:
    volts = state.options.rectification_V
    found, why = [], "needs a bipolar sweep"
    for run in state.runs.sweeps:
        for cycle in cycles(run, following=1):
            try:
                found.append(rectification(cycle, read_V=volts))
            except InputError as error:
                why = error.what
    if not found:
        raise InputError(why)
    for name in ("lrs", "hrs"):
        values = [value for one in found if math.isfinite(value := getattr(one, name))]
        if values:
            yield state.keep(
                distribution(values, name=f"rectification ratio, {name.upper()}", unit="1"),
                f"I(+{volts:g} V) / |I(-{volts:g} V)|",
                _REVIEW + "5.2",
            )


def _rated(state: _State) -> Iterator[Merit]:
    _need(state.runs.sweeps, "sweeps of two rates or more")
    found = rate_dependence(state.runs.sweeps, ratio=state.options.ratio)
    state.kept["rate"] = found
    yield _row(
        "set voltage against sweep rate", found.slope_V, "V/decade", "slope against log10 of the rate",
        _REVIEW + "3.3.1", low=found.low_V, high=found.high_V, number=found.points, censored=found.censored,
        note=f"{found.verdict}, {found.rates} rates, scatter {found.scatter_V:.3g} V",
    )  # fmt: skip


_METRICS: tuple[tuple[str, Callable[[_State], Iterator[Merit]]], ...] = (
    ("set voltage", _set),
    ("reset voltage (magnitude)", _reset),
    ("on/off ratio (read)", _on_off),
    ("on/off ratio (power)", _power),
    ("LRS and HRS conductance", _states_of_sweeps),
    ("switching time and energy", _switched),
    ("relaxation time", _relaxed),
    ("endurance", _endured),
    ("retention", _held),
    ("plasticity index", _indexed),
    ("PPF time constant", _facilitated),
    ("LTP/LTD nonlinearity", _updated),
    ("distinguishable states", _levels),
    ("decay law", _decayed),
    ("area exponent", _scaled),
    ("rectification ratio", _rectified),
    ("set voltage against sweep rate", _rated),
)
