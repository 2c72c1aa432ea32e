"""Rows of a report on synapses: plasticity indices, weight update, states, forgetting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from ...physics import trace as traces
from ...physics.errors import InputError
from .. import plasticity
from .context import NAN, REVIEW, Progress, need, row
from .decays import decay_law
from .distributions import distribution
from .merits import Merit
from .pieces import Array
from .spiking import facilitation
from .states import distinguishable
from .sweeps import lrs_conductance

__all__ = ["ROWS"]


_INDEX = {
    "PPF": "A2 / A1",
    "SFDP": "A5 / A1",
    "SVDP": "A_n / A_1 at the largest amplitude",
    "SDDP": "A_n / A_1 at the longest duration",
    "SNDP": "A_n / A_1 after the last spike",
}


_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: ""}


def _indexed(state: Progress) -> Iterator[Merit]:
    found = [one for _, one in state.runs.spikes]
    need(found, "spikes that are read one by one")
    state.kept["plasticity"] = tuple(found)
    for name, what in _INDEX.items():
        here = [one for one in found if one.name == name]
        for at in sorted({float(one.at[-1]) for one in here}):
            values = [float(one.indices[-1]) for one in here if float(one.at[-1]) == at]
            unit = {"interval": "s", "frequency": "Hz", "amplitude": "V", "duration": "s", "number": "spikes"}
            of = here[0].against
            rising = all(plasticity.is_monotone(one.indices) for one in here)
            note = "" if name in ("PPF", "SFDP") else "rises from spike to spike" if rising else "not monotone"
            one = distribution(values, name=f"{name} index at {at:.3g} {unit[of]}", unit="1")
            yield state.keep(one, what, "Kim 2019, Fig. 3; " + REVIEW + "3.1.6", note)
    for name in sorted({one.name for one in found} - {"LTP/LTD"}):
        changes = [one.change for one in found if one.name == name and math.isfinite(one.change)]
        if changes:
            yield state.keep(
                distribution(changes, name=f"relative change of conductance, {name}", unit="1"),
                "(G after the last spike - G before the first) / G before",
                REVIEW + "3.1.1",
            )


def _facilitated(state: Progress) -> Iterator[Merit]:
    pairs = [one for _, one in state.runs.spikes if one.name == "PPF"]
    intervals = [float(one.at[0]) for one in pairs]
    if len(set(intervals)) < 3:
        raise InputError("needs pairs of spikes at three intervals or more", got=f"{len(set(intervals))}")
    found = facilitation(intervals, [float(one.indices[1]) for one in pairs])
    state.kept["facilitation"] = found
    phases = ("fast", "slow") if found.times_s.size == 2 else ("",)
    for i, phase in enumerate(phases):
        freedom = len(pairs) - 2 * found.times_s.size
        wide = float(stats.t.ppf(0.975, freedom)) if freedom > 0 else NAN
        tau, error = float(found.times_s[i]), wide * float(found.time_errors_s[i])
        yield row(
            " ".join(filter(None, ("PPF", phase, "time constant"))), tau, "s",
            "tau of 1 + C exp(-interval/tau), one phase or two by AICc", REVIEW + "3.1.6",
            low=tau - error, high=tau + error, number=len(pairs),
            note=f"C = {found.amplitudes[i]:.3g}, R2 = {found.r2:.4f}",
        )  # fmt: skip


def _updated(state: Progress) -> Iterator[Merit]:
    runs = [run for run, one in state.runs.spikes if one.name == "LTP/LTD"]
    need(runs, "as many potentiating as depressing spikes, read one by one")
    found = []
    for run in runs:
        weights = plasticity.responses(run)
        up, down = np.split(weights, 2)
        found.append((up, down, plasticity.update_of(up, down)))
    state.kept["updates"] = tuple(found)
    rows = [update for _, _, update in found]
    law = "nu of (1 - exp(-nu x)) / (1 - exp(-nu)), x the share of the spikes; positive saturates"
    source = "Chen 2018; " + REVIEW + "3.1.1"
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


def _levels(state: Progress) -> Iterator[Merit]:
    o = state.options
    groups: dict[int, list[Array]] = {}
    for run, one in state.runs.spikes:
        if one.name in ("LTP/LTD", "SNDP"):
            weights = plasticity.responses(run)
            groups.setdefault(weights.size, []).append(
                weights[: weights.size // 2] if one.name == "LTP/LTD" else weights
            )
    repeated = [rows for rows in groups.values() if len(rows) > 1]
    by_stimulus: dict[tuple[float, ...], list[float]] = {}
    for run in state.runs.sweeps:
        wave = traces.waveform_of(run)
        # what programs a level; a rate does not
        key = (float(wave.voltage_V.max()), float(wave.voltage_V.min()), *np.unique(wave.compliance_A).tolist())
        try:
            by_stimulus.setdefault(key, []).append(lrs_conductance(run, read_V=o.read_V))
        except InputError:
            continue
    keys = [key for key, values in by_stimulus.items() if len(values) > 1]
    programmed = [np.array(by_stimulus[key]) for key in keys]
    if repeated:
        levels = list(np.array(max(repeated, key=len)).T)
        names = tuple(f"spike {n}" for n in range(1, len(levels) + 1))
        of = "levels after each potentiating spike"
    elif len(programmed) > 1:
        levels, of = programmed, "LRS conductances of sweeps to different voltages or compliances"
        names = _stimuli(keys)
    else:
        raise InputError(
            "needs levels programmed twice or more: repeated trains, or sweeps to several voltages or compliances"
        )
    found = distinguishable(levels, criterion=o.criterion)
    state.kept |= {"states": found, "state_names": names}
    yield row(
        "distinguishable states", float(found.distinct), "1",
        f"most {of} with |mu_i - mu_j| >= {o.criterion:g} (sigma_i + sigma_j) in ln G", REVIEW + "3.1.1",
        low=float(found.low), high=float(found.high), number=min(len(level) for level in levels),
        note=f"of {found.programmed} programmed; interval (90 %) from the spread of the standard deviations",
    )  # fmt: skip


def _stimuli(keys: list[tuple[float, ...]]) -> tuple[str, ...]:
    """Stimuli in words, by what is not the same in all of them: highest and lowest voltage, then compliances."""
    most = max(len(key) for key in keys)
    told = [i for i in range(most) if len({key[i] if i < len(key) else None for key in keys}) > 1]

    def word(i: int, value: float) -> str:
        if i < 2:
            return f"{value:.3g} V"
        if math.isinf(value):
            return "no limit"
        power = 3 * math.floor(math.log10(value) / 3 + 1e-9)
        return f"{value / 10.0**power:.3g} {_PREFIXES[power]}A" if power in _PREFIXES else f"{value:.3g} A"

    return tuple(", ".join(word(i, key[i]) for i in told if i < len(key)) for key in keys)


def _decayed(state: Progress) -> Iterator[Merit]:
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
    yield row(
        "decay law", verdict, "",
        "AIC of exp(-t/tau) against t^-m on ln of the weight, points discounted for autocorrelation, verdict from 4 on",
        REVIEW + "3.3.1", number=len(found),
        note=f"{verdicts.count(verdict)} of {len(found)}; tau {typical.tau_s:.3g} s (R2 {typical.r2_exponential:.3f}), "
        f"m {typical.power:.3g} (R2 {typical.r2_power:.3f}), delta AIC {typical.delta_aic:.3g} for "
        f"{typical.independent_points:.3g} of {typical.points} points",
    )  # fmt: skip


ROWS: dict[str, Callable[[Progress], Iterator[Merit]]] = {
    "plasticity index": _indexed,
    "PPF time constant": _facilitated,
    "LTP/LTD nonlinearity": _updated,
    "distinguishable states": _levels,
    "decay law": _decayed,
}
