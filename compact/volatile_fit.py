"""Fit of :class:`Volatile`; the method is described at :func:`halidrift.compact.fit`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ..physics.errors import ConvergenceError, InputError
from . import _volatile, laws
from .characterise import Relaxation, SetTime, relaxations_of, set_times_of
from .ensembles import Ensemble
from .likelihood import lognormal_times
from .parameters import FittedParameter, ParameterTable
from .volatile import Volatile, log_conductance

__all__ = ["fit_volatile"]

_SIMULATED = 256  # runs of the model that the spreads are matched with

_LEAST_RATIO = 3.0  # G_on / G_off below which nothing has switched
_ENSEMBLE = 5  # runs from which on spreads and bootstrap mean something
_BIC_GAIN = 10.0  # "very strong" evidence for a further parameter
_NOISE_RESOLUTION = 1e-3
_CORRELATED = 0.95
_POOR = 0.2  # of ln(G_on / G_off), root mean square
_HIDDEN = math.log(1e3)

# name in the optimiser -> name in the model; the optimiser works with logarithms
_NAMES = {
    "ln_off": "conductance_off_S",
    "ln_on": "conductance_on_S",
    "ln_g": "growth_rate_Hz",
    "ln_V": "growth_voltage_V",
    "ln_r": "growth_acceleration",
    "ln_tau": "relaxation_time_s",
    "ln_s": "relaxation_acceleration",
    "ln_Vn": "off_nonlinearity_V",
    "E": "relaxation_barrier_eV",
}
_BOUNDS = {
    "ln_V": (math.log(5e-3), math.log(20.0)),
    "ln_r": (-4.0, 9.0),
    "ln_s": (-4.0, 9.0),
    "ln_Vn": (math.log(0.02), math.log(20.0)),
    "E": (0.0, 5.0),
}
_OPTIONAL = ("ln_r", "ln_s", "ln_Vn")


def _exp(value: float) -> float:
    """exp() that an optimiser on its way cannot make overflow."""
    return math.exp(min(max(value, -300.0), 300.0))


@dataclass(frozen=True)
class _Problem:
    """Everything that stays while the optimiser works."""

    ensembles: list[Ensemble]
    span: float  # ln(G_on / G_off), which normalises the residual
    reference_V: float  # voltage of the SETs: growth is fitted there, where it is seen
    reference_K: float
    fixed: dict[str, float]
    symmetric: bool  # charge transfer back is held back by the voltage as much as growth is driven by it

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Bounds of the optimiser; the states lie within three decades of what was seen: compliance may hide ON."""
        seen = np.concatenate([e.ln_conductance.ravel() for e in self.ensembles])
        low, high = float(seen.min()), float(seen.max())
        return {**_BOUNDS, "ln_off": (low - _HIDDEN, high), "ln_on": (low, high + _HIDDEN)}

    def bound(self, name: str) -> tuple[float, float]:
        return self.bounds.get(name, (-np.inf, np.inf))

    def physical(self, p: dict[str, float]) -> dict[str, float]:
        """Model parameters from the optimiser's."""
        V_0 = self.fixed.get("growth_voltage_V", _exp(p.get("ln_V", 0.0)))
        values = {
            "growth_voltage_V": V_0,
            "growth_acceleration": _exp(p["ln_r"]) if "ln_r" in p else 0.0,
            "relaxation_acceleration": _exp(p["ln_s"]) if "ln_s" in p else 0.0,
            "off_nonlinearity_V": _exp(p["ln_Vn"]) if "ln_Vn" in p else math.inf,
            "relaxation_barrier_eV": p.get("E", 0.0),
            "relaxation_voltage_V": V_0 if self.symmetric else math.inf,
        }
        for short in ("ln_off", "ln_on", "ln_tau"):
            if short in p:
                values[_NAMES[short]] = _exp(p[short])
        if "ln_g" in p:
            unit = laws.growth_rate(self.reference_V, 1.0, V_0)
            values["growth_rate_Hz"] = _exp(p["ln_g"]) / unit
        return {**values, **self.fixed}

    def law(self, values: dict[str, float], temperature_K: float) -> _volatile.Law:
        r, s = values["growth_acceleration"], values["relaxation_acceleration"]
        tau = laws.arrhenius_time(
            values["relaxation_time_s"], values["relaxation_barrier_eV"], temperature_K, self.reference_K
        )
        return _volatile.Law(
            math.log(values["conductance_off_S"]),
            math.log(values["conductance_on_S"]),
            1.0 / values["off_nonlinearity_V"],
            values["growth_rate_Hz"] / laws.time_norm(r),
            values["growth_voltage_V"],
            r,
            1.0 / (laws.time_norm(s) * tau),
            s,
            values["relaxation_voltage_V"],
        )

    def predict(self, values: dict[str, float], ensemble: Ensemble, first: float) -> NDArray[np.float64]:
        """ln G of the typical device; `first` is ln G at the start, from which a run that begins ON starts."""
        law = self.law(values, ensemble.temperature_K)
        state = (first - law.ln_off) / (law.ln_on - law.ln_off) if law.ln_on > law.ln_off else 0.0
        state = min(max(state, 0.0), 1.0) if state > 0.5 else 0.0
        return self._run(law, ensemble, state, np.zeros(2), np.empty((0, 2)))

    def draw(
        self,
        values: dict[str, float],
        ensemble: Ensemble,
        first: float,
        spreads: NDArray[np.float64],
        numbers: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """ln G of one device whose cycles spread, numbers of shape (cycles, 2) standard normal."""
        law = self.law(values, ensemble.temperature_K)
        state = (first - law.ln_off) / (law.ln_on - law.ln_off)
        return self._run(law, ensemble, min(state, 1.0) if state > 0.5 else 0.0, spreads, numbers)

    @staticmethod
    def _run(
        law: _volatile.Law,
        ensemble: Ensemble,
        state: float,
        spreads: NDArray[np.float64],
        numbers: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        x, held = np.empty(ensemble.time_s.size), np.empty(ensemble.time_s.size)
        w = ensemble.waveform
        _volatile.run(
            w.time_s,
            w.voltage_V,
            w.compliance_A,
            ensemble.time_s,
            state,
            law,
            np.ones(2),
            spreads,
            numbers,
            1e-7,
            x,
            held,
        )
        return log_conductance(x, held, law)

    def residual(self, p: dict[str, float], targets: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        values = self.physical(p)
        parts = []
        for ensemble, target in zip(self.ensembles, targets, strict=True):
            model = self.predict(values, ensemble, float(target[0]))
            parts.append((np.nan_to_num(model, nan=1e3) - target) / self.span)
        return np.concatenate(parts)


def fit_volatile(
    ensembles: list[Ensemble],
    fixed: dict[str, float],
    start: dict[str, float],
    sources: tuple[str, ...],
    resamples: int,
) -> Volatile:
    """Fit the volatile model; see :func:`halidrift.compact.fit`."""
    everything = np.concatenate([e.ln_conductance.ravel() for e in ensembles])
    low, high = float(np.quantile(everything, 0.02)), float(np.quantile(everything, 0.98))
    if high - low < math.log(_LEAST_RATIO):
        raise InputError(
            "No switching in the traces: looked for a conductance that rises by a factor",
            got=f"98 % quantile / 2 % quantile = {math.exp(high - low):.3g}",
            allowed=f"{_LEAST_RATIO:g} or more",
            action="Raise the amplitude, the width or the temperature of the stimulus",
        )
    sets = [[set_times_of(e.time_s, e.voltage_V, row, low, high) for row in e.ln_conductance] for e in ensembles]
    rests = [[relaxations_of(e.time_s, e.voltage_V, row, low, high) for row in e.ln_conductance] for e in ensembles]
    seen = [s for group in sets for run in group for s in run if not s.censored]
    fell = [r for group in rests for run in group for r in run if not r.censored]
    if not seen and not {"growth_rate_Hz", "growth_voltage_V"} <= set(fixed):
        raise InputError(
            "No SET in the traces: looked for ln G that rises half way from OFF to ON at positive voltage",
            got=f"{sum(len(run) for group in sets for run in group)} positive excursions",
            action="Add a trace that switches, or fix growth_rate_Hz and growth_voltage_V",
        )
    if not fell and "relaxation_time_s" not in fixed:
        raise InputError(
            "No relaxation in the traces: looked for ln G that falls to 1/e of its way at zero or negative voltage",
            got=f"{sum(len(run) for group in rests for run in group)} rests after an ON state, none relaxed",
            action="Let the stimulus end with a longer rest, fix relaxation_time_s, or fit NonVolatile",
        )
    set_V = [
        float(np.interp(s.start_s + s.time_s, e.time_s, e.voltage_V))
        for e, group in zip(ensembles, sets, strict=True)
        for run in group
        for s in run
        if not s.censored
    ]
    temperatures = sorted({e.temperature_K for e in ensembles})
    problem = _Problem(
        ensembles,
        high - low,
        float(np.median(set_V)) if set_V else 1.0,
        fixed.get("reference_temperature_K", float(np.median(temperatures))),
        {name: value for name, value in fixed.items() if name in (*_NAMES.values(), "relaxation_voltage_V")},
        False,
    )
    guesses = {
        "ln_off": low,
        "ln_on": high + 0.1 * (high - low),
        "ln_g": -math.log(float(np.median([s.time_s for s in seen])) if seen else 1e-3) + math.log(math.log(2.0)),
        "ln_V": math.log(0.1),
        "ln_tau": math.log(float(np.median([r.time_s for r in fell])) if fell else 1.0),
    }
    if temperatures[-1] - temperatures[0] > 5.0:
        guesses["E"] = 0.3
    extra = {"ln_r": math.log(5.0), "ln_s": math.log(20.0), "ln_Vn": math.log(0.5)}
    for name, value in start.items():
        short = next((s for s, full in _NAMES.items() if full == name), None)
        if short == "ln_g":
            V_0 = start.get("growth_voltage_V", fixed.get("growth_voltage_V", 0.1))
            guesses["ln_g"] = math.log(laws.growth_rate(problem.reference_V, value, V_0))
        elif short is not None and math.isfinite(value) and (value > 0 or short == "E"):
            (extra if short in _OPTIONAL else guesses)[short] = value if short == "E" else math.log(value)
    guesses = {s: g for s, g in guesses.items() if _NAMES[s] not in fixed}
    candidates = [s for s in _OPTIONAL[:2] if _NAMES[s] not in fixed]
    targets = [e.typical() for e in ensembles]
    warnings = _coarse(ensembles, sets, "SETs") + _coarse(ensembles, rests, "relaxations")
    trials = []
    for symmetric in (False, True) if "relaxation_voltage_V" not in fixed else (False,):
        trial = replace(problem, symmetric=symmetric)
        best, _ = _select(trial, targets, guesses, extra, candidates)
        if _NAMES["ln_Vn"] not in fixed and _has_off_sweep(ensembles, low, high):
            further = _minimise(trial, targets, {**_plain(best), "ln_Vn": extra["ln_Vn"]})
            if best.bic - further.bic > _BIC_GAIN:
                best = further
        p = _plain(best)
        matched = _match(trial, trial.physical(p), sets, rests, targets, low, high, adjust="ln_tau" in p)
        # matching the times of single runs may cost what the typical run had gained: such a trial comes last
        moved = {**p, "ln_tau": p["ln_tau"] + matched.shift} if "ln_tau" in p else p
        left = trial.residual(moved, targets)
        poor = float(left @ left) / left.size > _POOR**2
        trials.append(((poor, best.bic + _set_deviance(sets, matched.set_share)), trial, best, p, matched))
    _, problem, best, p, matched = min(trials, key=lambda t: t[0])
    p = {**p, "ln_tau": p["ln_tau"] + matched.shift} if "ln_tau" in p else p
    values = problem.physical(p)
    errors, doubts = _errors(problem, best, p, targets, resamples, warnings)
    if matched.shift_error is not None and "ln_tau" in p:
        errors["relaxation_time_s"] = values["relaxation_time_s"] * matched.shift_error
    spreads = _spreads(matched, sets, rests, ensembles, warnings)
    noise = _read_noise(ensembles, low, high)

    table = []
    names = ", ".join(e.name for e in ensembles)
    counted = {
        "conductance_off_S": f"ln G in OFF, {names}",
        "conductance_on_S": f"ln G in ON, {names}",
        "growth_rate_Hz": f"{len(seen)} SETs at {problem.reference_V:.3g} V (median), {names}",
        "growth_voltage_V": f"{len(seen)} SETs between {min(set_V):.3g} and {max(set_V):.3g} V, {names}"
        if set_V
        else "",
        "growth_acceleration": f"shape of the SET, {names}",
        "relaxation_time_s": f"{len(fell)} relaxations and {_censored(rests)} censored, {names}",
        "relaxation_acceleration": f"shape of the relaxation, {names}",
        "relaxation_barrier_eV": f"relaxation at {', '.join(f'{t:g} K' for t in temperatures)}",
        "off_nonlinearity_V": f"OFF branch, {names}",
    }
    fitted = {_NAMES[s] for s in p}
    for name, quantity in Volatile.QUANTITIES.items():
        if name in fixed:
            entry = FittedParameter(name, fixed[name], quantity.unit, None, "fixed", "fixed by the caller")
        elif name in fitted:
            entry = FittedParameter(
                name, values[name], quantity.unit, errors.get(name), "fitted", counted[name], doubts.get(name, "")
            )
        elif name in spreads:
            entry = spreads[name]
        elif name in noise:
            entry = noise[name]
        elif name == "reference_temperature_K":
            entry = FittedParameter(name, problem.reference_K, "K", None, "fixed", "temperature of the traces")
        elif name == "largest_compliance_A":
            entry = FittedParameter(name, _largest_current(ensembles), "A", None, "fixed", f"largest of {names}")
        else:
            reason = "not estimated"
            if name in ("growth_acceleration", "relaxation_acceleration", "off_nonlinearity_V"):
                reason = "the data do not ask for it (information criterion)"
            default: float | None = quantity.default
            if name == "relaxation_voltage_V":
                reason = "relaxation under voltage as without: describes the SETs better than the alternative"
                if problem.symmetric:
                    default = values[name]
                    reason = "equal to growth_voltage_V: a symmetric charge transfer describes the SETs better"
            if name == "relaxation_barrier_eV":
                reason = "not estimated: traces of one temperature"
            assert default is not None
            entry = FittedParameter(name, default, quantity.unit, None, "fixed", reason)
        table.append(entry)
    goodness = {
        e.name: float(np.sqrt(np.mean(((problem.predict(values, e, float(t[0])) - t) / problem.span) ** 2)))
        for e, t in zip(ensembles, targets, strict=True)
    }
    warnings += [
        f"{name}: normalised error {error:.2f}, the model does not describe this trace"
        for name, error in goodness.items()
        if error > _POOR
    ]
    return Volatile(ParameterTable(tuple(table)), sources, goodness, tuple(warnings))


def _coarse(ensembles: list[Ensemble], groups: Any, what: str) -> list[str]:
    """A warning for each trace whose events are over within the distance of its samples."""
    found = []
    for e, group in zip(ensembles, groups, strict=True):
        events = [event for run in group for event in run if not event.censored]
        steps = [
            float(np.diff(e.time_s)[max(np.searchsorted(e.time_s, event.start_s + event.time_s) - 1, 0)])
            for event in events
        ]
        hidden = sum(event.time_s < 2.0 * step for event, step in zip(events, steps, strict=True))
        if hidden > 0.5 * len(events):
            found.append(
                f"{e.name}: {hidden} of {len(events)} {what} take less than two samples; report more often, "
                "or their times and spread are those of the sampling"
            )
    return found


# -- least squares -------------------------------------------------------------------------------------------


def _plain(result: lmfit.minimizer.MinimizerResult) -> dict[str, float]:
    return {name: float(value) for name, value in result.params.valuesdict().items()}


def _minimise(
    problem: _Problem, targets: list[NDArray[np.float64]], guesses: dict[str, float]
) -> lmfit.minimizer.MinimizerResult:
    parameters = lmfit.Parameters()
    for name, value in guesses.items():
        low, high = problem.bound(name)
        inside = min(max(value, low + 1e-3), high - 1e-3)
        parameters.add(name, value=inside, min=low, max=high)
    result = lmfit.minimize(
        lambda p: problem.residual(p.valuesdict(), targets), parameters, method="leastsq", epsfcn=1e-8, max_nfev=3000
    )
    if not np.isfinite(result.chisqr):
        raise ConvergenceError("The fit of the volatile model diverged", got=f"chi^2 = {result.chisqr}")
    return result


def _select(
    problem: _Problem,
    targets: list[NDArray[np.float64]],
    guesses: dict[str, float],
    extra: dict[str, float],
    candidates: list[str],
) -> tuple[lmfit.minimizer.MinimizerResult, tuple[str, ...]]:
    """The smallest model that no other beats by more than the gain in the information criterion."""
    best = _minimise(problem, targets, guesses)
    chosen: tuple[str, ...] = ()
    for count in range(1, len(candidates) + 1):
        for names in combinations(candidates, count):
            origin = _plain(best) if set(chosen) <= set(names) else guesses
            trial = _minimise(problem, targets, {**guesses, **{n: extra[n] for n in names}})
            other = _minimise(problem, targets, {**_chosen(extra, names), **origin})
            trial = min(trial, other, key=lambda r: r.chisqr)
            if best.bic - trial.bic > _BIC_GAIN:
                best, chosen = trial, names
    return best, chosen


def _chosen(extra: dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
    """Starting values of these optional parameters."""
    return {n: extra[n] for n in names}


def _has_off_sweep(ensembles: list[Ensemble], low: float, high: float) -> bool:
    """Whether OFF was seen at ten voltages or more, so its nonlinearity can be told."""
    for e in ensembles:
        off = e.typical() < low + 0.25 * (high - low)
        if np.unique(np.round(np.abs(e.voltage_V[off]), 6)).size >= 10:
            return True
    return False


def _errors(
    problem: _Problem,
    result: lmfit.minimizer.MinimizerResult,
    p: dict[str, float],
    targets: list[NDArray[np.float64]],
    resamples: int,
    warnings: list[str],
) -> tuple[dict[str, float], dict[str, str]]:
    """Standard errors of the model parameters, and the doubts about each."""
    short = list(p)
    at = np.array([p[s] for s in short])
    full = [_NAMES[s] for s in short]

    def physical(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        values = problem.physical(dict(zip(short, vector, strict=True)))
        return np.array([values[name] for name in full])

    errors: dict[str, float] = {}
    doubts: dict[str, str] = {}
    covariance = None
    if all(e.size >= _ENSEMBLE for e in problem.ensembles) and resamples > 1:
        covariance = _bootstrap(problem, short, at, resamples)
        if covariance is None:
            warnings.append("the bootstrap over runs did not converge; standard errors come from the least squares")
    if covariance is None and getattr(result, "covar", None) is not None:
        covariance = np.asarray(result.covar)
    if covariance is None or not np.isfinite(covariance).all() or (np.linalg.eigvalsh(covariance) < -1e-12).any():
        warnings.append("the covariance of the fit is not positive definite: no standard errors")
        return errors, dict.fromkeys(full, "the covariance is not positive definite")
    jacobian = np.empty((at.size, at.size))
    for i in range(at.size):
        step = np.zeros(at.size)
        step[i] = 1e-5
        jacobian[:, i] = (physical(at + step) - physical(at - step)) / 2e-5
    mapped = jacobian @ covariance @ jacobian.T
    width = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    for i, name in enumerate(full):
        error = float(np.sqrt(max(mapped[i, i], 0.0)))
        if math.isfinite(error):
            errors[name] = error
        notes = []
        low, high = problem.bound(short[i])
        if min(at[i] - low, high - at[i]) < 1e-2:
            notes.append("on its bound: not identified")
            errors.pop(name, None)
        elif short[i] != "E" and width[i] > 1.0:
            notes.append("not identified: the error exceeds the value")
        for j, other in enumerate(full):
            if j != i and width[i] > 0 and width[j] > 0:
                correlation = covariance[i, j] / (width[i] * width[j])
                if abs(correlation) > _CORRELATED:
                    notes.append(f"correlation {correlation:.2f} with {other}")
        if notes:
            doubts[name] = "; ".join(notes)
            warnings.append(f"{name}: {doubts[name]}")
    return errors, doubts


def _bootstrap(
    problem: _Problem, short: list[str], at: NDArray[np.float64], resamples: int
) -> NDArray[np.float64] | None:
    """Covariance of the optimiser's parameters when the runs are drawn anew."""
    random = np.random.default_rng(20220419)  # fixed, so that a fit has one answer
    low, high = np.array([problem.bound(s) for s in short]).T
    inside = np.clip(at, low + 1e-6, high - 1e-6)
    found = []
    for _ in range(resamples):
        targets = [e.typical(random.integers(0, e.size, e.size)) for e in problem.ensembles]

        def residual(vector: NDArray[np.float64], targets: list[NDArray[np.float64]] = targets) -> NDArray[np.float64]:
            return problem.residual(dict(zip(short, vector, strict=True)), targets)

        answer = optimize.least_squares(residual, inside, bounds=(low, high), diff_step=1e-5, max_nfev=30)
        if np.isfinite(answer.x).all():
            found.append(answer.x)
    if len(found) < max(3, resamples // 2):
        return None
    return np.atleast_2d(np.cov(np.array(found), rowvar=False))


# -- times of the runs -----------------------------------------------------------------------------------------

Event = Relaxation | SetTime
Groups = Sequence[Sequence[Sequence[Event]]]  # of each ensemble, of each run


def _by_start(runs: Sequence[Sequence[Event]]) -> dict[float, list[tuple[int, Event]]]:
    """Events of an ensemble by the instant at which they could begin, with the run each belongs to."""
    found: dict[float, list[tuple[int, Event]]] = {}
    for i, run in enumerate(runs):
        for event in run:
            found.setdefault(round(event.start_s, 9), []).append((i, event))
    return found


def _censored(rests: list[list[list[Relaxation]]]) -> int:
    return sum(r.censored for group in rests for run in group for r in run)


@dataclass(frozen=True)
class _Moments:
    """Mean and standard deviation of ln time over ensembles and events, with their standard errors."""

    mean: float
    mean_error: float
    spread: float
    spread_error: float
    count: int


@dataclass(frozen=True)
class _Match:
    """Outcome of :func:`_match`: shift of ln tau, and spreads of ln k_0 and ln tau with relative errors."""

    shift: float
    shift_error: float | None
    growth: tuple[float, float, int] | None
    relaxation: tuple[float, float, int] | None
    set_share: float  # share of the positive excursions of simulated runs that SET


def _moments(
    groups: Groups,
    first_only: bool,
    weights: dict[tuple[int, float], float] | None = None,
) -> tuple[_Moments | None, dict[tuple[int, float], float]]:
    """Pooled moments of ln time; each group of equal stimulus has its own mean, so only scatter inside it counts.

    With `weights` from an earlier call the same groups enter with the same weights.
    """
    found, used = [], {}
    for k, group in enumerate(groups):
        collected = _by_start(group)
        for start_s in sorted(collected)[: 1 if first_only else None]:
            times = np.array([event.time_s for _, event in collected[start_s]])
            late = np.array([event.censored for _, event in collected[start_s]])
            if weights is not None and (k, start_s) not in weights:
                continue
            if times.size < _ENSEMBLE or (~late).sum() < 3:
                continue
            e = lognormal_times(times, late)
            used[k, start_s] = float((~late).sum())
            weight = used[k, start_s] if weights is None else weights[k, start_s]
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


def _match(
    problem: _Problem,
    values: dict[str, float],
    sets: list[list[list[SetTime]]],
    rests: list[list[list[Relaxation]]],
    targets: list[NDArray[np.float64]],
    low: float,
    high: float,
    *,
    adjust: bool,
) -> _Match:
    """Match the set and relaxation times of simulated runs to those seen: median of tau, spreads of k_0 and tau.

    Both observables depend on both spreads (growth works against relaxation), short relaxations may leave no ON
    state to relax from, and late ones are censored; simulated runs, measured by the same rules, suffer the same.
    """
    seen_set, use_set = _moments(sets, True)
    seen_rest, use_rest = _moments(rests, False)
    sigma = np.array([m.spread if m is not None else 0.0 for m in (seen_set, seen_rest)])
    shift = 0.0
    if seen_set is None and seen_rest is None:
        return _Match(0.0, None, None, None, math.nan)
    random = np.random.default_rng(20220419)  # fixed, so that a fit has one answer
    draws = [random.standard_normal((_SIMULATED, e.waveform.time_s.size, 2)) for e in problem.ensembles]
    for _ in range(6):
        now = {**values, "relaxation_time_s": values["relaxation_time_s"] * math.exp(shift)}
        made_sets, made_rests = [], []
        for e, target, numbers in zip(problem.ensembles, targets, draws, strict=True):
            rows = [problem.draw(now, e, float(target[0]), sigma, own) for own in numbers]
            made_sets.append([set_times_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
            made_rests.append([relaxations_of(e.time_s, e.voltage_V, row, low, high) for row in rows])
        made_set, _ = _moments(made_sets, True, use_set)
        made_rest, _ = _moments(made_rests, False, use_rest)
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
    return _Match(shift, error, spreads[0], spreads[1], share)


def _set_deviance(sets: Groups, share: float) -> float:
    """-2 ln likelihood of how many runs SET in their first positive excursion, if a share of the model's does."""
    happened = [not run[0].censored for group in sets for run in group if run]
    if math.isnan(share) or not happened:
        return 0.0
    p = min(max(share, 0.5 / _SIMULATED), 1.0 - 0.5 / _SIMULATED)
    return -2.0 * float(sum(math.log(p) if set_ else math.log(1.0 - p) for set_ in happened))


def _spreads(
    matched: _Match,
    sets: list[list[list[SetTime]]],
    rests: list[list[list[Relaxation]]],
    ensembles: list[Ensemble],
    warnings: list[str],
) -> dict[str, FittedParameter]:
    """Device-to-device and cycle-to-cycle spread of k_0 and tau."""
    entries: dict[str, FittedParameter] = {}
    several = any(np.unique(e.devices).size > 1 for e in ensembles)
    for stem, total, groups in (("growth", matched.growth, sets), ("relaxation", matched.relaxation, rests)):
        cycle, device = f"{stem}_spread_cycle", f"{stem}_spread_device"
        if total is None:
            for name in (cycle, device):
                reason = f"not estimated: fewer than {_ENSEMBLE} runs of one stimulus"
                entries[name] = FittedParameter(name, 0.0, "1", None, "fixed", reason)
            continue
        sigma, relative, count = total
        text = f"{count} {'set' if stem == 'growth' else 'relaxation'} times"
        if not several:
            entries[cycle] = FittedParameter(cycle, sigma, "1", sigma * relative, "fitted", text)
            entries[device] = FittedParameter(device, 0.0, "1", None, "fixed", "not estimated: traces of one device")
            continue
        share, devices, separable = _device_share(groups, ensembles)
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


def _device_share(groups: Groups, ensembles: list[Ensemble]) -> tuple[float, int, bool]:
    """Share of the variance of ln time that lies between devices (one-way analysis of variance, pooled).

    Returns the share, the number of devices, and whether devices and cycles are separable at all.
    """
    inner, outer, count, separable = 0.0, 0.0, 1, False
    for e, group in zip(ensembles, groups, strict=True):
        for events in _by_start(group).values():
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


# -- noise and range ---------------------------------------------------------------------------------------------


def _read_noise(ensembles: list[Ensemble], low: float, high: float) -> dict[str, FittedParameter]:
    """Relative and absolute read noise from fourth differences of ln G on the ON and OFF plateaus."""
    kernel = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
    found: dict[str, list[NDArray[np.float64]]] = {"on": [], "off": []}
    for e in ensembles:
        for row in e.ln_conductance:
            state = (row - low) / (high - low)
            fourth = np.convolve(row, kernel, mode="valid") / math.sqrt(70.0)
            window = np.lib.stride_tricks.sliding_window_view(state, 5)
            found["on"].append(fourth[(window > 0.8).all(axis=1)])
            found["off"].append(fourth[(window < 0.2).all(axis=1)])
    width, count = {}, {}
    for level, parts in found.items():
        values = np.concatenate(parts)
        count[level] = values.size
        width[level] = 1.4826 * float(np.median(np.abs(values))) if values.size >= 20 else math.nan
        if width[level] < _NOISE_RESOLUTION:
            width[level] = 0.0
    if math.isnan(width["on"]) and math.isnan(width["off"]):
        reason = "not estimated: no plateau of twenty instants"
        return {
            "read_noise": FittedParameter("read_noise", 0.0, "1", None, "fixed", reason),
            "read_noise_floor_S": FittedParameter("read_noise_floor_S", 0.0, "S", None, "fixed", reason),
        }
    relative = width["off"] if math.isnan(width["on"]) else width["on"]
    size = count["off"] if math.isnan(width["on"]) else count["on"]
    # efficiency of the median deviation is 37 %, and each instant enters five differences
    error = relative * math.sqrt(1.0 / (2.0 * 0.37 * max(size / 2.0, 1.0)))
    plateau = f"{size} fourth differences on plateaus"
    excess = 0.0 if math.isnan(width["off"]) else max(width["off"] ** 2 - relative**2, 0.0)
    floor = math.sqrt(excess) * math.exp(low) if excess > (0.3 * relative) ** 2 else 0.0
    return {
        "read_noise": FittedParameter(
            "read_noise",
            relative,
            "1",
            error if relative else None,
            "fitted",
            plateau if relative else f"below {_NOISE_RESOLUTION:g} in {plateau}",
        ),
        "read_noise_floor_S": FittedParameter(
            "read_noise_floor_S",
            floor,
            "S",
            None,
            "fitted",
            f"OFF against ON plateaus, {count['off']} and {count['on']} differences",
        ),
    }


def _largest_current(ensembles: list[Ensemble]) -> float:
    """Largest compliance under positive voltage, A; infinite if a trace had none."""
    largest = 0.0
    for e in ensembles:
        w = e.waveform
        positive = np.maximum(w.voltage_V[:-1], w.voltage_V[1:]) > 0
        largest = max(largest, *(float(c) for c in w.compliance_A[positive]))
    return largest
