"""Fit of :class:`Volatile`; the method is described at :func:`halidrift.compact.fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ..physics.errors import ConvergenceError, InputError
from . import laws
from .characterise import relaxations_of, set_times_of
from .characterise.pieces import stretches
from .ensembles import Ensemble
from .identifiability import covariance as robust_covariance
from .identifiability import diagnose, secants
from .noise import plateau_noise
from .observables import correlation_time, told
from .parameters import FittedParameter, ParameterTable
from .regression import Progress, begun, largest_compliance
from .volatile import Volatile
from .volatile_problem import NAMES, OPTIONAL, VolatileProblem
from .volatile_spread import ENSEMBLE, censored, law_of, match, on_spread, set_deviance, spreads_of

__all__ = ["fit_volatile"]

_LEAST_RATIO = 3.0  # G_on / G_off below which nothing has switched
_BIC_GAIN = 10.0  # "very strong" evidence for a further parameter
_POOR = 0.2  # of ln(G_on / G_off), root mean square
_FOLLOWS = 0.1  # relative change of a parameter for each unit of an unknown one from which on it is unknown too
_TIE = 2.0  # difference of scores within which the plainer variant is taken
_LAW = 4.0  # difference of AIC below which two laws are not told apart
_CONTRADICTED = 3  # points at which the conductance was at least so high that the fitted ON state cannot be
_STEP = 1e-4  # of the logarithms, for derivatives
_RESOLUTION = 1e-6  # least residual that counts: accuracy of the integrator


def fit_volatile(
    ensembles: list[Ensemble],
    fixed: dict[str, float],
    start: dict[str, float],
    sources: tuple[str, ...],
    resamples: int,
    progress: Progress | None = None,
) -> Volatile:
    """Fit the volatile model; see :func:`halidrift.compact.fit`.

    Parameters
    ----------
    ensembles : list of Ensemble
    fixed : dict of str to float
        Parameters that are not fitted, in the units of the model.
    start : dict of str to float
        Starting values in place of the built-in guesses.
    sources : tuple of str
        Bib keys of the traces.
    resamples : int, >= 0
        Bootstrap resamples of the runs for standard errors.
    progress : callable (stage, done, parts), optional
        As for :func:`halidrift.compact.fit`.

    Returns
    -------
    Volatile
        Its warnings begin with what it does not describe.

    Raises
    ------
    InputError
        If the traces do not switch, SET or relax, and what they would tell is not fixed.
    """
    either = ""  # what the model cannot describe, said before all that follows from it
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
    if (negative := _sets_at_negative(ensembles, low, high)).size:
        either = (
            f"this cell also SETs at negative voltage ({negative.size} times, at {np.median(negative):.3g} V in the "
            "median); Volatile does not describe that"
        )
    seen = [s for group in sets for run in group for s in run if not s.censored]
    fell = [r for group in rests for run in group for r in run if not r.censored]
    if not seen and not {"growth_rate_Hz", "growth_voltage_V"} <= set(fixed):
        raise InputError(
            "No SET in the traces: looked for ln G that rises half way from OFF to ON at positive voltage",
            got=f"{sum(len(run) for group in sets for run in group)} positive excursions",
            action="Add a trace that switches, or fix growth_rate_Hz and growth_voltage_V",
        )
    if not fell and "relaxation_time_s" not in fixed:
        raise _no_relaxation(either, _holds(ensembles, low, high), sum(len(run) for group in rests for run in group))
    set_V = [
        float(np.interp(s.start_s + s.time_s, e.time_s, e.voltage_V))
        for e, group in zip(ensembles, sets, strict=True)
        for run in group
        for s in run
        if not s.censored
    ]
    temperatures = sorted({e.temperature_K for e in ensembles})
    problem = VolatileProblem(
        ensembles,
        high - low,
        float(np.median(set_V)) if set_V else 1.0,
        fixed.get("reference_temperature_K", float(np.median(temperatures))),
        {name: value for name, value in fixed.items() if name in (*NAMES.values(), "relaxation_voltage_V")},
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
        short = next((s for s, full in NAMES.items() if full == name), None)
        if short == "ln_g":
            V_0 = start.get("growth_voltage_V", fixed.get("growth_voltage_V", 0.1))
            guesses["ln_g"] = math.log(laws.growth_rate(problem.reference_V, value, V_0))
        elif short is not None and math.isfinite(value) and (value > 0 or short == "E"):
            (extra if short in OPTIONAL else guesses)[short] = value if short == "E" else math.log(value)
    guesses = {s: g for s, g in guesses.items() if NAMES[s] not in fixed}
    candidates = [s for s in OPTIONAL[:2] if NAMES[s] not in fixed]
    targets = [e.typical() for e in ensembles]
    warnings = _coarse(ensembles, sets, "SETs") + _coarse(ensembles, rests, "relaxations")
    weibull, lead = law_of(rests, ensembles)
    if "relaxation_weibull" in fixed:
        weibull = fixed["relaxation_weibull"] == 1.0
    trials = []
    variants = (False, True) if "relaxation_voltage_V" not in fixed else (False,)
    off_sweep = NAMES["ln_Vn"] not in fixed and _has_off_sweep(ensembles, low, high)
    fits = 1 + 2 * (2 ** len(candidates) - 1) + off_sweep
    fitted_one = begun(progress, "least squares", len(variants) * fits)
    matched_one = begun(progress, "simulated runs", len(variants))
    for symmetric in variants:
        trial = replace(problem, symmetric=symmetric)
        best, _ = _select(trial, targets, guesses, extra, candidates, fitted_one)
        if off_sweep:
            further = _minimise(trial, targets, {**_plain(best), "ln_Vn": extra["ln_Vn"]})
            fitted_one()
            if best.bic - further.bic > _BIC_GAIN:
                best = further
        p = _plain(best)
        matched = match(
            trial, trial.physical(p), sets, rests, targets, low, high, adjust="ln_tau" in p, weibull=weibull
        )
        matched_one()
        # matching the times of single runs may cost what the typical run had gained: such a trial comes last
        moved = {**p, "ln_tau": p["ln_tau"] + matched.shift} if "ln_tau" in p else p
        left = trial.residual(moved, targets)
        poor = float(left @ left) / left.size > _POOR**2
        trials.append(((poor, best.bic + set_deviance(sets, matched.set_share)), trial, best, p, matched))
    # the first is the plainer: relaxation that does not depend on the voltage
    (poor, score), problem, best, p, matched = min(trials, key=lambda t: (t[0][0], t[0][1] + _TIE * t[1].symmetric))
    rivals = [t for t in trials if t[1] is not problem and t[0][0] == poor and abs(t[0][1] - score) < _BIC_GAIN]
    p = {**p, "ln_tau": p["ln_tau"] + matched.shift} if "ln_tau" in p else p
    values = problem.physical(p)
    goodness = {
        e.name: float(np.sqrt(np.mean(left**2)))
        for e, left in zip(ensembles, problem.left(values, targets), strict=True)
    }
    errors, doubts = _errors(problem, best, targets, resamples, warnings, progress)
    if max(goodness.values()) > _POOR:
        # of a curve that runs beside the data no parameter is told, but that is no property of the data
        of_what = (
            "the traces do not depend on it",
            "this fit misses the traces, and near it they do not depend on it",
        )
        doubts = {name: doubt.replace(*of_what) for name, doubt in doubts.items()}
        warnings[:] = [sentence.replace(*of_what) for sentence in warnings]
    for _, rival, _, theirs, _ in rivals:
        _undecided(problem.physical(p), rival.physical(theirs), [NAMES[s] for s in p], errors, doubts, warnings)
    if matched.shift_error is not None and "ln_tau" in p:
        errors["relaxation_time_s"] = values["relaxation_time_s"] * matched.shift_error
    spreads = spreads_of(matched, sets, rests, ensembles, warnings)
    if matched.relaxation is not None and "relaxation_weibull" not in fixed:
        spreads["relaxation_weibull"] = _law(weibull, lead, matched.relaxation[2])
    noise = plateau_noise(ensembles, low, high)
    scatter = on_spread(matched, ensembles, low, high, noise["read_noise"].value)
    if scatter is not None:
        spreads["on_spread"] = scatter

    ours = fixed.get("conductance_on_S", values["conductance_on_S"])
    if doubt := _contradicted(ensembles, targets, ours, errors.get("conductance_on_S")):
        doubts["conductance_on_S"] = "; ".join(filter(None, (doubt, doubts.get("conductance_on_S", ""))))
        warnings.insert(0, f"conductance_on_S: {doubt}")
    verdicts = [either] if either else []
    verdicts += [
        f"{name}: normalised error {error:.2f}, the model does not describe this trace"
        for name, error in goodness.items()
        if error > _POOR
    ]
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
        "relaxation_time_s": f"{len(fell)} relaxations and {censored(rests)} censored, {names}",
        "relaxation_acceleration": f"shape of the relaxation, {names}",
        "relaxation_barrier_eV": f"relaxation at {', '.join(f'{t:g} K' for t in temperatures)}",
        "off_nonlinearity_V": f"OFF branch, {names}",
    }
    fitted = {NAMES[s] for s in p}
    for name, quantity in Volatile.QUANTITIES.items():
        if name in fixed:
            origin, doubt = "fixed by the caller", doubts.get(name, "")
            entry = FittedParameter(name, fixed[name], quantity.unit, None, "fixed", origin, doubt)
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
            entry = FittedParameter(name, largest_compliance(ensembles), "A", None, "fixed", f"largest of {names}")
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
    return Volatile(ParameterTable(tuple(table)), sources, goodness, (*verdicts, *warnings))


# -- what the model cannot describe --------------------------------------------------------------------------


def _sets_at_negative(ensembles: list[Ensemble], low: float, high: float) -> NDArray[np.float64]:
    """Voltages (V) of SETs at negative voltage that last: on the way back to zero the device is still ON."""
    found = []
    for e in ensembles:
        for row in e.ln_conductance:
            for event in set_times_of(e.time_s, -e.voltage_V, row, low, high):
                if event.censored:
                    continue
                n = int(np.searchsorted(e.time_s, event.start_s + event.time_s))
                end = next(last for first, last in stretches(e.voltage_V < 0) if first <= n <= last)
                # an OFF state that is not ohmic also conducts more at a larger voltage, but not at a smaller one
                later = slice(n + 1, end + 1)
                share = e.voltage_V[later] / e.voltage_V[n]
                smaller = row[later][(share > 0.5) & (share < 0.9)]
                if smaller.size and np.median(smaller) >= 0.5 * (low + high):
                    found.append(float(e.voltage_V[n]))
    return np.array(found)


def _holds(ensembles: list[Ensemble], low: float, high: float) -> NDArray[np.float64]:
    """Positive voltages (V) at which an ON state was lost while the voltage fell, having lasted at larger ones."""
    found = []
    for e in ensembles:
        for row in e.ln_conductance:
            state = (row - low) / (high - low)
            for first, last in stretches(e.voltage_V > 0):
                on = np.flatnonzero(state[first : last + 1] >= 0.5)
                if on.size < 3:
                    continue
                n = first + int(on[-1]) + 1
                if n <= last and state[n] <= 0.5 and e.voltage_V[n] < 0.9 * e.voltage_V[first : n + 1].max():
                    found.append(float(e.voltage_V[n]))
    return np.array(found)


def _no_relaxation(either: str, held_V: NDArray[np.float64], rests: int) -> InputError:
    """The error where no relaxation at rest was seen, with what was seen in its place."""
    what = "No relaxation in the traces: looked for ln G that falls to 1/e of its way at zero or negative voltage"
    got = f"{rests} rests after an ON state, none relaxed"
    action = "Let the stimulus end with a longer rest, fix relaxation_time_s, or fit NonVolatile"
    if held_V.size:
        got += (
            f"; but {held_V.size} of the ON states returned to OFF at a positive voltage on the way down, at "
            f"{np.median(held_V):.3g} V in the median (a hold voltage)"
        )
        action = (
            "Volatile has no hold voltage of its own: growth and relaxation balance there, so relaxation_time_s must "
            "come from elsewhere: fix it (on the command line --fixed relaxation_time_s=SECONDS) and look at the "
            "normalised error, or add pulses that end at 0 V while the device is ON. NonVolatile does not describe it "
            "either: that model turns OFF at negative voltage only"
        )
    if either:
        what = f"{either[0].upper()}{either[1:]}. {what}"
        action += ". Of a cell that SETs at both polarities, fit a sweep of one polarity only"
    return InputError(what, got=got, action=action)


def _contradicted(
    ensembles: list[Ensemble], targets: list[NDArray[np.float64]], on_S: float, error_S: float | None
) -> str:
    """The doubt where the ON conductance lies below measured lower bounds of it by more than its error, else empty."""
    at_limit = [target[e.typical_bound] for e, target in zip(ensembles, targets, strict=True)]
    least = np.sort(np.exp(np.concatenate(at_limit)))
    above = least[least > max(on_S + 2.0 * (error_S or 0.0), 1.05 * on_S)]
    if above.size < _CONTRADICTED:
        return ""
    return (
        f"contradicts {above.size} points at the limit of the current, where I/V is a lower bound: they ask for "
        f"{above[-_CONTRADICTED]:.3g} S or more"
    )


def _law(weibull: bool, lead: float, count: int) -> FittedParameter:
    """The law of the relaxation times from cycle to cycle, as chosen."""
    ours, other = ("Weibull", "log-normal") if weibull else ("log-normal", "Weibull")
    doubt = "" if lead >= _LAW else f"not identified: AIC tells the two laws apart by {lead:.1f} only"
    origin = f"{count} relaxation times: AIC of the {ours} law {lead:.1f} below that of the {other} one"
    return FittedParameter("relaxation_weibull", float(weibull), "1", None, "fitted", origin, doubt)


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
    problem: VolatileProblem, targets: list[NDArray[np.float64]], guesses: dict[str, float]
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
    problem: VolatileProblem,
    targets: list[NDArray[np.float64]],
    guesses: dict[str, float],
    extra: dict[str, float],
    candidates: list[str],
    fitted_one: Callable[[], None],
) -> tuple[lmfit.minimizer.MinimizerResult, tuple[str, ...]]:
    """The smallest model that no other beats by more than the gain in the information criterion."""
    best = _minimise(problem, targets, guesses)
    fitted_one()
    chosen: tuple[str, ...] = ()
    for count in range(1, len(candidates) + 1):
        for names in combinations(candidates, count):
            origin = _plain(best) if set(chosen) <= set(names) else guesses
            trial = _minimise(problem, targets, {**guesses, **{n: extra[n] for n in names}})
            fitted_one()
            other = _minimise(problem, targets, {**_chosen(extra, names), **origin})
            fitted_one()
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
    problem: VolatileProblem,
    result: lmfit.minimizer.MinimizerResult,
    targets: list[NDArray[np.float64]],
    resamples: int,
    warnings: list[str],
    progress: Progress | None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Standard errors of the model parameters, and the doubts about each, at the optimum of the least squares."""
    p = _plain(result)
    short = list(p)
    at = np.array([p[s] for s in short])
    full = [NAMES[s] for s in short]

    def residual(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return problem.residual(dict(zip(short, vector, strict=True)), targets)

    def physical(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        values = problem.physical(dict(zip(short, vector, strict=True)))
        return np.array([values[name] for name in full])

    steps = _STEP * np.eye(at.size)
    sensitivity = np.array([(residual(at + h) - residual(at - h)) / (2.0 * _STEP) for h in steps]).T
    ends = np.cumsum([e.time_s.size for e in problem.ensembles])[:-1]
    left = np.split(residual(at), ends)
    kept = told(left, [e.typical_bound for e in problem.ensembles])
    left = [np.where(np.abs(r) < _RESOLUTION, _RESOLUTION, r)[k] for r, k in zip(left, kept, strict=True)]
    freedom = max(sum(r.size for r in left) - at.size, 1)
    sigma = math.sqrt(sum(float(r @ r) for r in left) / freedom * correlation_time(left))
    bounds = np.array([problem.bound(s) for s in short])
    sensitivity = secants(residual, at, sensitivity, sigma, bounds[:, 0], bounds[:, 1])
    sensitivity = sensitivity[np.concatenate(kept)]
    covariance, _ = robust_covariance(sensitivity, left)
    if all(e.size >= ENSEMBLE for e in problem.ensembles) and resamples > 1:
        drawn = _bootstrap(problem, short, at, resamples, begun(progress, "bootstrap", resamples))
        if drawn is None:
            warnings.append("the bootstrap over runs did not converge; standard errors come from the least squares")
        else:
            covariance = drawn
    found = diagnose(full, sensitivity, covariance, sigma, at, bounds[:, 0], bounds[:, 1])
    jacobian = np.array([(physical(at + h) - physical(at - h)) / (2.0 * _STEP) for h in steps]).T
    known = np.isfinite(found.errors)
    mapped = jacobian[:, known] @ covariance[np.ix_(known, known)] @ jacobian[:, known].T
    errors, doubts, values = {}, dict(found.doubts), physical(at)
    for i, name in enumerate(full):
        error = float(np.sqrt(max(mapped[i, i], 0.0)))
        # the coordinate may be known where the parameter is not: k_0 follows from the rate at the voltage of the SETs
        moved = np.abs(jacobian[i]) > _FOLLOWS * abs(values[i])
        led = [full[j] for j in np.flatnonzero(moved & ~known) if j != i]
        if known[i] and led:
            doubts[name] = f"not identified: only together with {', '.join(led)}"
        elif known[i] and math.isfinite(error):
            errors[name] = error
            if error > abs(values[i]) and "not identified" not in doubts.get(name, ""):
                doubts[name] = "not identified: its error exceeds the value"
    warnings += [f"{name}: {doubt}" for name, doubt in doubts.items()]
    return errors, doubts


def _undecided(
    ours: dict[str, float],
    theirs: dict[str, float],
    names: list[str],
    errors: dict[str, float],
    doubts: dict[str, str],
    warnings: list[str],
) -> None:
    """Doubt what another variant of the model, which describes the traces as well, puts elsewhere."""
    held = "held back by" if math.isfinite(theirs["relaxation_voltage_V"]) else "independent of"
    warnings.append(
        f"relaxation_voltage_V: not identified: a relaxation {held} a positive voltage describes the traces as well"
    )
    for name in names:
        if name not in theirs or "not identified" in doubts.get(name, ""):
            continue
        if abs(theirs[name] - ours[name]) > 2.0 * errors.get(name, 0.0) + 0.05 * abs(ours[name]):
            note = f"not identified: {theirs[name]:.3g} with a relaxation {held} the voltage, which fits as well"
            doubts[name] = "; ".join(filter(None, (doubts.get(name, ""), note)))
            warnings.append(f"{name}: {note}")


def _bootstrap(
    problem: VolatileProblem,
    short: list[str],
    at: NDArray[np.float64],
    resamples: int,
    one: Callable[[], None],
) -> NDArray[np.float64] | None:
    """Covariance of the optimiser's parameters when the runs are drawn anew."""
    random = np.random.default_rng(20220419)  # fixed, so that a fit has one answer
    low, high = np.array([problem.bound(s) for s in short]).T
    inside = np.clip(at, low + 1e-6, high - 1e-6)
    found = []
    for _ in range(resamples):
        drawn = [e.typical(random.integers(0, e.size, e.size)) for e in problem.ensembles]

        def residual(vector: NDArray[np.float64], drawn: list[NDArray[np.float64]] = drawn) -> NDArray[np.float64]:
            return problem.residual(dict(zip(short, vector, strict=True)), drawn)

        answer = optimize.least_squares(residual, inside, bounds=(low, high), diff_step=1e-5, max_nfev=30)
        if np.isfinite(answer.x).all():
            found.append(answer.x)
        one()
    if len(found) < max(3, resamples // 2):
        return None
    return np.atleast_2d(np.cov(np.array(found), rowvar=False))
