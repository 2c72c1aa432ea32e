"""Times of the runs of :class:`Volatile`: medians and spreads by matching simulated runs to those seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from .characterise import Relaxation, SetTime, relaxations_of, set_times_of
from .characterise.pieces import stretches
from .ensembles import Ensemble
from .likelihood import lognormal_times, weibull_times, width_likelihood
from .parameters import FittedParameter
from .volatile import deviates
from .volatile_problem import VolatileProblem

__all__ = ["ENSEMBLE", "Match", "censored", "law_of", "match", "on_spread", "set_deviance", "spreads_of"]

ENSEMBLE = 5  # runs from which on spreads and bootstrap mean something
_ROUNDS = 10  # of simulation in a match, at most
_MATCHED = 0.01  # relative difference of spreads, and of ln time, that is none
_WIDEST = 5.0  # standard deviation of ln time that `Volatile` takes
_SIMULATED = 256  # runs of the model that the spreads are matched with
_CERTAIN = 0.995  # share of bootstrap samples in which a variance must be larger
_CLOSED = 0.7  # state from which on a filament is closed: half way, one still grows
_EQUAL = 1e-9  # of ln t: times that are one
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


def law_of(rests: list[list[list[Relaxation]]], ensembles: Sequence[Ensemble]) -> tuple[bool, float]:
    """Whether a Weibull law describes the relaxation times better than a log-normal one, and by how much AIC.

    Times of equal stimulus, and of one device where devices repeat, have a median of their own; all have one spread.

    Parameters
    ----------
    rests : list of list of list of Relaxation
        Of each ensemble, of each run.
    ensembles : sequence of Ensemble
        Which run is of which device.

    Returns
    -------
    weibull : bool
    lead : float, 1, >= 0
        Magnitude of the difference of AIC.
    """
    groups = []
    for (k, _), times, late, runs in _grouped(rests, False):
        devices = ensembles[k].devices[runs]
        labels, counts = np.unique(devices, return_counts=True)
        apart = [devices == d for d in labels] if labels.size > 1 and counts.min() > 1 else [np.full(times.size, True)]
        groups += [(np.log(times[own]), late[own]) for own in apart if (~late[own]).sum() > 1]
    if not groups or max(np.ptp(y) for y, _ in groups) < _EQUAL:
        return False, 0.0

    def negative(ln_width: float, law: str) -> float:
        return -sum(width_likelihood(y, late, math.exp(ln_width), law) for y, late in groups)

    lognormal, weibull = (
        float(optimize.minimize_scalar(negative, bounds=(-7.0, 3.0), args=(law,), method="bounded").fun)
        for law in ("lognormal", "weibull")
    )
    lead = 2.0 * (lognormal - weibull)
    return lead > 0.0, abs(lead)


@dataclass(frozen=True)
class _Moments:
    """Mean and standard deviation of ln time over ensembles and events, with their standard errors."""

    mean: float
    mean_error: float
    spread: float
    spread_error: float
    count: int


def _next(
    sigma: NDArray[np.float64],
    made: NDArray[np.float64],
    seen: NDArray[np.float64],
    known: NDArray[np.bool_],
    before: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> NDArray[np.float64]:
    """Better spreads: a secant in the variances, since what comes from elsewhere adds to them."""
    out = sigma.copy()
    for i in np.flatnonzero(known):
        slope = max((made[i] / sigma[i]) ** 2, 1.0) if sigma[i] > 0.0 else 1.0
        if before is not None and abs(sigma[i] ** 2 - before[0][i] ** 2) > 1e-6:
            slope = (made[i] ** 2 - before[1][i] ** 2) / (sigma[i] ** 2 - before[0][i] ** 2)
            slope = min(max(slope, 0.25), 4.0)
        wanted = sigma[i] ** 2 + (seen[i] ** 2 - made[i] ** 2) / slope
        out[i] = min(math.sqrt(min(max(wanted, 0.09 * sigma[i] ** 2), 9.0 * max(sigma[i], 1e-3) ** 2)), _WIDEST)
    return out


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


def _grouped(groups: Groups, first_only: bool) -> Iterator[tuple[tuple[int, float], Any, Any, Any]]:
    """Times of equal stimulus, which are censored, and of which runs, where there are enough, by ensemble and start."""
    for k, group in enumerate(groups):
        collected = by_start(group)
        for start_s in sorted(collected)[: 1 if first_only else None]:
            times = np.array([event.time_s for _, event in collected[start_s]])
            late = np.array([event.censored for _, event in collected[start_s]])
            runs = np.array([i for i, _ in collected[start_s]])
            if times.size >= ENSEMBLE and (~late).sum() >= 3:
                yield (k, start_s), times, late, runs


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
    for at, times, late, _ in _grouped(groups, first_only):
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
    seen = np.array([m.spread if m is not None else math.nan for m in (seen_set, seen_rest)])
    before: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for _ in range(_ROUNDS):
        now = {**values, "relaxation_time_s": values["relaxation_time_s"] * math.exp(shift)}
        made_sets, made_rests, made_rows = [], [], []
        for e, target, numbers in zip(problem.ensembles, targets, draws, strict=True):
            rows = [problem.draw(now, e, float(target[0]), sigma, own) for own in numbers]
            made_rows.append(rows)
            made_sets.append([set_times_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
            made_rests.append([relaxations_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
        made_set, _ = _moments(made_sets, True, use_set)
        made_rest, _ = _moments(made_rests, False, use_rest, weibull)
        made = np.array([m.spread if m is not None else math.nan for m in (made_set, made_rest)])
        off = seen_rest.mean - made_rest.mean if adjust and seen_rest is not None and made_rest is not None else 0.0
        known = np.isfinite(made) & np.isfinite(seen)
        if abs(off) < _MATCHED and (np.abs(made - seen)[known] < _MATCHED * np.maximum(seen[known], 0.1)).all():
            break
        shift += off
        sigma, before = _next(sigma, made, seen, known, before), (sigma, made)
    spreads = [
        None if m is None else (float(s), m.spread_error / max(m.spread, 1e-12), m.count)
        for m, s in zip((seen_set, seen_rest), sigma, strict=True)
    ]
    error = seen_rest.mean_error if seen_rest is not None and adjust else None
    share = float(np.mean([not s.censored for group in made_sets for run in group for s in run[:1]]))
    return Match(
        shift, error, spreads[0], spreads[1], share, _pooled(_closed(made_rows, problem.ensembles, low, high))[0]
    )


def _closed(rows: Sequence[Any], ensembles: Sequence[Ensemble], low: float, high: float) -> list[NDArray[np.float64]]:
    """ln G at the end of each positive excursion, of the runs that were closed in all of its last third.

    One that has only just SET still grows, and differs by that.
    """
    found = []
    for e, matrix in zip(ensembles, rows, strict=True):
        ln_g = np.asarray(matrix)
        for first, last in stretches(e.voltage_V > 0.0):
            begin = np.searchsorted(e.time_s, e.time_s[last] - (e.time_s[last] - e.time_s[first]) / 3.0)
            closed = ln_g[:, begin : last + 1] > low + _CLOSED * (high - low)
            y = ln_g[closed.all(axis=1), last]
            if y.size >= ENSEMBLE:
                found.append(y)
    return found


def _pooled(groups: Sequence[NDArray[np.float64]]) -> tuple[float, int]:
    """Variance within groups and its degrees of freedom."""
    freedom = sum(y.size - 1 for y in groups)
    return (sum(float(((y - y.mean()) ** 2).sum()) for y in groups) / freedom if freedom else 0.0), freedom


def on_spread(
    matched: Match, ensembles: Sequence[Ensemble], low: float, high: float, noise: float
) -> FittedParameter | None:
    """Spread of ln G of a filament beyond that of simulated runs and of a read; None without enough runs.

    There is one if the variance of 99.5 % of bootstrap samples exceeds theirs: a few late SETs make none.

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
    name, groups = "on_spread", _closed([e.ln_conductance for e in ensembles], ensembles, low, high)
    seen, freedom = _pooled(groups)
    if not freedom:
        return None
    rest = matched.on_variance + noise**2
    # what growth leaves is known as its spread is: two standard errors more of it may hide in the runs
    doubted = matched.on_variance * (1.0 + 2.0 * (matched.growth[1] if matched.growth else 0.0)) ** 2 + noise**2
    text = f"ln G at the end of positive excursions, {freedom} degrees of freedom"
    random = np.random.default_rng(20220419)  # fixed, so that a fit has one answer
    drawn = [_pooled([y[random.integers(0, y.size, y.size)] for y in groups])[0] for _ in range(400)]
    several = any(np.unique(e.devices).size > 1 for e in ensembles)
    doubt = "of cycles and of devices, which are not told apart" if several else ""
    if np.quantile(drawn, 1.0 - _CERTAIN) <= doubted or seen - rest < _ROUNDING:
        return FittedParameter(name, 0.0, "1", None, "fitted", f"{text}: no more than growth and reads give")
    sigma = math.sqrt(seen - rest)
    return FittedParameter(name, sigma, "1", float(np.std(drawn, ddof=1)) / (2.0 * sigma), "fitted", text, doubt)


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
            doubt = "not identified: on its upper bound" if sigma >= _WIDEST else ""
            warnings += [f"{cycle}: {doubt}"] if doubt else []
            error = None if doubt else sigma * relative
            entries[cycle] = FittedParameter(cycle, sigma, "1", error, "fitted", text, doubt)
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
    """Share of the variance of ln time that lies between devices (one-way analysis of variance).

    Each time counts from the mean of those with the same stimulus, so all excursions of a device tell about it. Returns
    the share, the number of devices, and whether devices and cycles are separable at all.
    """
    labels, values, lost = [], [], 0
    for k, (e, group) in enumerate(zip(ensembles, groups, strict=True)):
        for events in by_start(group).values():
            kept = [(k, int(e.devices[i])) for i, event in events if not event.censored]
            y = np.array([math.log(event.time_s) for _, event in events if not event.censored])
            if len(set(kept)) < 2:
                continue
            labels += kept
            values += list(y - y.mean())
            lost += 1
    if not labels:
        return 1.0, 1, False
    names, index = np.unique(np.array(labels), axis=0, return_inverse=True)
    index, y = index.ravel(), np.array(values)
    counts = np.bincount(index)
    ensembles_seen = np.unique(names[:, 0]).size
    freedom = y.size - counts.size - lost + ensembles_seen
    if counts.max() == 1 or freedom < 1:
        return 1.0, int(counts.size), False
    means = np.bincount(index, y) / counts
    within = float(((y - means[index]) ** 2).sum()) / freedom
    between = float((counts * means**2).sum()) / max(counts.size - ensembles_seen, 1)
    effective = (y.size - float((counts**2).sum()) / y.size) / max(counts.size - ensembles_seen, 1)
    device = max(between - within, 0.0) / effective
    return device / max(within + device, 1e-300), int(counts.size), True
