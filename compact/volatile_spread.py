"""Times of the runs of :class:`Volatile`: medians and spreads by matching simulated runs to those seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .characterise import Relaxation, SetTime, distribution, relaxations_of, set_times_of
from .characterise.pieces import stretches
from .ensembles import Ensemble
from .likelihood import lognormal_times, weibull_times
from .parameters import FittedParameter
from .volatile import deviates
from .volatile_problem import VolatileProblem

__all__ = ["ENSEMBLE", "Match", "censored", "law_of", "match", "on_spread", "set_deviance", "spreads_of"]

ENSEMBLE = 5  # runs from which on spreads and bootstrap mean something
_SIMULATED = 256  # runs of the model that the spreads are matched with
_CERTAIN = 0.99  # probability below which a larger variance is chance
_ROUNDING = 1e-10  # variance of ln G that is none

Event = Relaxation | SetTime
Groups = Sequence[Sequence[Sequence[Event]]]  # of each ensemble, of each run


def by_start(runs: Sequence[Sequence[Event]]) -> dict[float, list[tuple[int, Event]]]:
    """Events of an ensemble by the instant at which they could begin, with the run each belongs to."""
    found: dict[float, list[tuple[int, Event]]] = {}
    for i, run in enumerate(runs):
        for event in run:
            found.setdefault(round(event.start_s, 9), []).append((i, event))
    return found


def censored(rests: list[list[list[Relaxation]]]) -> int:
    """How many relaxations had not ended when their trace did.

    Parameters
    ----------
    rests : list of list of list of Relaxation
        Of each ensemble, of each run.
    """
    return sum(r.censored for group in rests for run in group for r in run)


def law_of(rests: list[list[list[Relaxation]]]) -> tuple[bool, float]:
    """Whether a Weibull law describes the relaxation times better than a log-normal one, and by how much AIC.

    Each group of equal stimulus has a median and a spread of its own; both laws have two parameters.

    Parameters
    ----------
    rests : list of list of list of Relaxation
        Of each ensemble, of each run.

    Returns
    -------
    weibull : bool
    lead : float, 1, >= 0
        Magnitude of the difference of AIC, summed over the groups.
    """
    lead = 0.0
    for _, times, late in _grouped(rests, False):
        found = distribution(times, late)
        if found.lognormal is not None and found.weibull is not None:
            lead += found.lognormal.aic - found.weibull.aic
    return lead > 0.0, abs(lead)


@dataclass(frozen=True)
class _Moments:
    """Mean and standard deviation of ln time over ensembles and events, with their standard errors."""

    mean: float
    mean_error: float
    spread: float
    spread_error: float
    count: int


@dataclass(frozen=True)
class Match:
    """Outcome of :func:`match`: shift of ln tau, and spreads of ln k_0 and ln tau with relative errors.

    Attributes
    ----------
    shift : float, 1
        To be added to ln tau.
    shift_error : float or None, 1
        Standard error of the mean of ln of the relaxation times seen; None if tau was not adjusted.
    growth, relaxation : (float, float, int) or None
        Standard deviation of ln k_0 and of ln tau in total (devices and cycles), its relative standard error, and the
        number of times seen; None where there are too few.
    set_share : float, 1, 0 to 1
        Share of the simulated runs that SET in their first positive excursion; nan if none were simulated.
    on_variance : float, 1
        Variance of ln G of simulated runs that are ON when a positive excursion ends.
    """

    shift: float
    shift_error: float | None
    growth: tuple[float, float, int] | None
    relaxation: tuple[float, float, int] | None
    set_share: float  # share of the positive excursions of simulated runs that SET
    on_variance: float = 0.0  # of ln G of simulated runs that are ON when a positive excursion ends


def _grouped(groups: Groups, first_only: bool) -> Iterator[tuple[tuple[int, float], Any, Any]]:
    """Times of equal stimulus and which are censored, where there are enough, by ensemble and start."""
    for k, group in enumerate(groups):
        collected = by_start(group)
        for start_s in sorted(collected)[: 1 if first_only else None]:
            times = np.array([event.time_s for _, event in collected[start_s]])
            late = np.array([event.censored for _, event in collected[start_s]])
            if times.size >= ENSEMBLE and (~late).sum() >= 3:
                yield (k, start_s), times, late


def _moments(
    groups: Groups,
    first_only: bool,
    weights: dict[tuple[int, float], float] | None = None,
    weibull: bool = False,
) -> tuple[_Moments | None, dict[tuple[int, float], float]]:
    """Pooled moments of ln time; each group of equal stimulus has its own mean, so only scatter inside it counts.

    With `weights` from an earlier call the same groups enter with the same weights.
    """
    found, used = [], {}
    estimate = weibull_times if weibull else lognormal_times
    for at, times, late in _grouped(groups, first_only):
        if weights is not None and at not in weights:
            continue
        e = estimate(times, late)
        used[at] = float((~late).sum())
        weight = used[at] if weights is None else weights[at]
        errors = np.where(np.isfinite(e.standard_errors), e.standard_errors, e.values[1] / math.sqrt(times.size))
        found.append((weight, e.values[0], errors[0], e.values[1], errors[1]))
    if not found:
        return None, used
    w, mean, mean_error, spread, spread_error = np.array(found).T
    w = w / w.sum()
    moments = _Moments(
        float(w @ mean),
        float(np.sqrt(w**2 @ mean_error**2)),
        float(np.sqrt(w @ spread**2)),
        float(np.sqrt(w**2 @ spread_error**2)),
        int(sum(used.values())),
    )
    return moments, used


def match(
    problem: VolatileProblem,
    values: dict[str, float],
    sets: list[list[list[SetTime]]],
    rests: list[list[list[Relaxation]]],
    targets: list[NDArray[np.float64]],
    low: float,
    high: float,
    *,
    adjust: bool,
    weibull: bool,
) -> Match:
    """Match the set and relaxation times of simulated runs to those seen: median of tau, spreads of k_0 and tau.

    Both observables depend on both spreads (growth works against relaxation), short relaxations may leave no ON
    state to relax from, and late ones are censored; simulated runs, measured by the same rules, suffer the same.

    Parameters
    ----------
    problem : VolatileProblem
    values : dict of str to float
        From :meth:`VolatileProblem.physical`, for the typical device.
    sets : list of list of list of SetTime
        Seen, of each ensemble, of each run.
    rests : list of list of list of Relaxation
        Likewise.
    targets : list of array, shape (time,), 1
        ln(G / S) of the typical run of each ensemble; the simulated runs start where it does.
    low, high : float, 1
        ln(G / S) of the OFF and of the ON state.
    adjust : bool
        Whether the median of tau is moved too, or only the spreads.
    weibull : bool
        Law of tau from cycle to cycle: Weibull, or lognormal.
    """
    seen_set, use_set = _moments(sets, True)
    seen_rest, use_rest = _moments(rests, False, weibull=weibull)
    sigma = np.array([m.spread if m is not None else 0.0 for m in (seen_set, seen_rest)])
    shift = 0.0
    if seen_set is None and seen_rest is None:
        return Match(0.0, None, None, None, math.nan)
    random = np.random.default_rng(20220419)  # fixed, so that a fit has one answer
    shapes = [(_SIMULATED, e.waveform.time_s.size, 2) for e in problem.ensembles]
    draws = [deviates(random.standard_normal(shape), weibull) for shape in shapes]
    for _ in range(6):
        now = {**values, "relaxation_time_s": values["relaxation_time_s"] * math.exp(shift)}
        made_sets, made_rests, made_rows = [], [], []
        for e, target, numbers in zip(problem.ensembles, targets, draws, strict=True):
            rows = [problem.draw(now, e, float(target[0]), sigma, own) for own in numbers]
            made_rows.append(rows)
            made_sets.append([set_times_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
            made_rests.append([relaxations_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
        made_set, _ = _moments(made_sets, True, use_set)
        made_rest, _ = _moments(made_rests, False, use_rest, weibull)
        if seen_set is not None and made_set is not None and made_set.spread > 0:
            sigma[0] *= min(max(seen_set.spread / made_set.spread, 0.3), 3.0)
        if seen_rest is not None and made_rest is not None and made_rest.spread > 0:
            sigma[1] *= min(max(seen_rest.spread / made_rest.spread, 0.3), 3.0)
            if adjust:
                shift += seen_rest.mean - made_rest.mean
    spreads = [
        None if m is None else (float(s), m.spread_error / max(m.spread, 1e-12), m.count)
        for m, s in zip((seen_set, seen_rest), sigma, strict=True)
    ]
    error = seen_rest.mean_error if seen_rest is not None and adjust else None
    share = float(np.mean([not s.censored for group in made_sets for run in group for s in run[:1]]))
    return Match(shift, error, spreads[0], spreads[1], share, _on_variance(made_rows, problem.ensembles, low, high)[0])


def _on_variance(rows: Sequence[Any], ensembles: Sequence[Ensemble], low: float, high: float) -> tuple[float, int]:
    """Variance of ln G over runs that are ON at the end of the same positive excursion, pooled; degrees of freedom."""
    total, freedom = 0.0, 0
    for e, found in zip(ensembles, rows, strict=True):
        matrix = np.asarray(found)
        for _, last in stretches(e.voltage_V > 0.0):
            y = matrix[:, last]
            y = y[y > 0.5 * (low + high)]
            if y.size >= ENSEMBLE:
                total += float(((y - y.mean()) ** 2).sum())
                freedom += y.size - 1
    return (total / freedom if freedom else 0.0), freedom


def on_spread(
    matched: Match, ensembles: Sequence[Ensemble], low: float, high: float, noise: float
) -> FittedParameter | None:
    """Spread of ln G of the closed filament beyond that of simulated runs and of a read; None without enough runs.

    Parameters
    ----------
    matched : Match
        Says what variance growth and relaxation alone leave.
    ensembles : sequence of Ensemble
    low, high : float, 1
        ln(G / S) of the OFF and of the ON state.
    noise : float, 1, >= 0
        Relative read noise, whose variance is taken off.
    """
    name = "on_spread"
    seen, freedom = _on_variance([e.ln_conductance for e in ensembles], ensembles, low, high)
    if not freedom:
        return None
    rest = matched.on_variance + noise**2
    text = f"ln G at the end of positive excursions, {freedom} degrees of freedom"
    if seen <= rest * float(stats.chi2.ppf(_CERTAIN, freedom)) / freedom or seen < _ROUNDING:
        return FittedParameter(name, 0.0, "1", None, "fitted", f"{text}: no more than growth and reads give")
    sigma = math.sqrt(seen - rest)
    return FittedParameter(name, sigma, "1", seen / sigma / math.sqrt(2.0 * freedom), "fitted", text)


def set_deviance(sets: Groups, share: float) -> float:
    """-2 ln likelihood of how many runs SET in their first positive excursion, if a share of the model's does.

    Parameters
    ----------
    sets : sequence of sequence of sequence of SetTime
        Of each ensemble, of each run.
    share : float, 1, 0 to 1
        Of simulated runs; kept half a run away from 0 and 1. nan counts as not known.

    Returns
    -------
    float, 1, >= 0
        0 if the share is not known or there is no excursion.
    """
    happened = [not run[0].censored for group in sets for run in group if run]
    if math.isnan(share) or not happened:
        return 0.0
    p = min(max(share, 0.5 / _SIMULATED), 1.0 - 0.5 / _SIMULATED)
    return -2.0 * float(sum(math.log(p) if set_ else math.log(1.0 - p) for set_ in happened))


def spreads_of(
    matched: Match,
    sets: list[list[list[SetTime]]],
    rests: list[list[list[Relaxation]]],
    ensembles: list[Ensemble],
    warnings: list[str],
) -> dict[str, FittedParameter]:
    """Device-to-device and cycle-to-cycle spread of k_0 and tau.

    Parameters
    ----------
    matched : Match
    sets : list of list of list of SetTime
        Of each ensemble, of each run.
    rests : list of list of list of Relaxation
        Likewise.
    ensembles : list of Ensemble
        Their device numbers say which runs are of one device.
    warnings : list of str
        Appended to where cycles and devices cannot be told apart.

    Returns
    -------
    dict of str to FittedParameter
        ``growth_spread_cycle``, ``growth_spread_device`` and the two of the relaxation, 1.
    """
    entries: dict[str, FittedParameter] = {}
    several = any(np.unique(e.devices).size > 1 for e in ensembles)
    for stem, total, groups in (("growth", matched.growth, sets), ("relaxation", matched.relaxation, rests)):
        cycle, device = f"{stem}_spread_cycle", f"{stem}_spread_device"
        if total is None:
            for name in (cycle, device):
                reason = f"not estimated: fewer than {ENSEMBLE} runs of one stimulus"
                entries[name] = FittedParameter(name, 0.0, "1", None, "fixed", reason)
            continue
        sigma, relative, count = total
        text = f"{count} {'set' if stem == 'growth' else 'relaxation'} times"
        if not several:
            entries[cycle] = FittedParameter(cycle, sigma, "1", sigma * relative, "fitted", text)
            entries[device] = FittedParameter(device, 0.0, "1", None, "fixed", "not estimated: traces of one device")
            continue
        share, devices, separable = device_share(groups, ensembles)
        note = "" if separable else "one run a device: spread of cycles and of devices cannot be told apart"
        if note:
            warnings.append(f"{device}: {note}")
        for name, part, n in ((cycle, 1.0 - share, count), (device, share, devices)):
            value = sigma * math.sqrt(part)
            error = value / math.sqrt(2.0 * max(n - 1, 1))
            entries[name] = FittedParameter(
                name, value, "1", error, "fitted", f"{text} of {devices} devices", note if name == device else ""
            )
    return entries


def device_share(groups: Groups, ensembles: list[Ensemble]) -> tuple[float, int, bool]:
    """Share of the variance of ln time that lies between devices (one-way analysis of variance, pooled).

    Returns the share, the number of devices, and whether devices and cycles are separable at all.
    """
    inner, outer, count, separable = 0.0, 0.0, 1, False
    for e, group in zip(ensembles, groups, strict=True):
        for events in by_start(group).values():
            kept = [(e.devices[i], math.log(event.time_s)) for i, event in events if not event.censored]
            devices, y = np.array([d for d, _ in kept]), np.array([v for _, v in kept])
            labels, counts = np.unique(devices, return_counts=True)
            if labels.size < 2:
                continue
            count = max(count, labels.size)
            if counts.max() == 1:
                continue
            separable = True
            means = np.array([y[devices == d].mean() for d in labels])
            within = sum(((y[devices == d] - m) ** 2).sum() for d, m in zip(labels, means, strict=True))
            within /= y.size - labels.size
            between = float((counts * (means - y.mean()) ** 2).sum() / (labels.size - 1))
            effective = (y.size - (counts**2).sum() / y.size) / (labels.size - 1)
            inner += within * y.size
            outer += max(between - within, 0.0) / effective * y.size
    if not separable:
        return 1.0, count, False
    return outer / max(inner + outer, 1e-300), count, True
