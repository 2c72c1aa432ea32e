"""Least squares of any compact model against traces: global search, local fit, honest errors.

The method is described at :func:`halidrift.compact.fit`; :mod:`halidrift.compact.volatile_fit` and
:mod:`halidrift.compact.nonvolatile_fit` fit their models in their own ways and share the pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.stats import qmc

from ..physics.errors import ConvergenceError, HalidriftError, InputError
from .coordinates import Axis, axes_of, box_of, window_of
from .dynamics import RateModel
from .ensembles import Ensemble
from .identifiability import Diagnosis, covariance, diagnose, open_sides, secants
from .model import CompactModel
from .noise import plateau_noise, read_noise
from .observables import (
    SWITCHING,
    AsinhCurrent,
    Conductance,
    LnConductance,
    Residual,
    bound_of,
    choose,
    correlation_time,
    left_over,
    predicted,
    span_of,
    told,
    typical,
)
from .parameters import FittedParameter, ParameterTable

__all__ = ["Problem", "Progress", "Solution", "begun", "fit_state", "free_parameters", "problem_of", "solve"]

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Called with a stage of a fit in words, the parts of it that are done, and all of them."""

_STEP = 1e-4  # of the coordinates, on the way
_LAST_STEP = 1e-3  # for the Jacobian that the errors rest on: above what the integrators leave
_SAMPLES = 40  # of the hypercube, for each parameter
_MOST_SAMPLES = 320
_LOST = 1e3  # residual of a point at which the model cannot be evaluated
_RESOLUTION = 1e-6  # least residual that counts: accuracy of the integrators
_POOR = 0.2  # normalised error from which on a trace is not described
_WIDE = 0.5  # of a start value, in coordinates: half width of the box around it
_ROUGH = 1e-3  # tolerance of the integration where only the better of two points is asked for
_SEED = 20220419  # fixed, so that a fit has one answer

# numbers that a noise-free run does not depend on
_SILENT = ("spread", "noise", "largest_compliance_A", "compliance_low_A", "compliance_high_A", "reference_temp")


def begun(progress: Progress | None, stage: str, parts: int) -> Callable[[], None]:
    """Tell that a stage of a fit begins.

    Parameters
    ----------
    progress : callable (stage, done, parts), optional
        Whom to tell.
    stage : str
        In words.
    parts : int, >= 0
        What it consists of.

    Returns
    -------
    callable ()
        Tells that one more part is done.
    """
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(stage, done, parts)

    if progress is not None:
        progress(stage, 0, parts)
    return one


def is_silent(name: str) -> bool:
    """Whether a noise-free run does not depend on this parameter."""
    return any(s in name for s in _SILENT)


def free_parameters(model: type[CompactModel]) -> tuple[str, ...]:
    """Parameters that a fit determines: the model's own list, or those without a default.

    Parameters
    ----------
    model : type
        Subclass of :class:`CompactModel`.

    Returns
    -------
    tuple of str
    """
    chosen: Sequence[str] | None = getattr(model, "FITTED", None)
    if chosen is not None:
        return tuple(chosen)
    return tuple(name for name, q in model.QUANTITIES.items() if q.default is None and not is_silent(name))


@dataclass(frozen=True, eq=False)
class Problem:
    """What stays while the optimiser works.

    Attributes
    ----------
    model : type
    ensembles : tuple of Ensemble
    residual : Residual
    axes : tuple of Axis
        The free parameters.
    base : mapping of str to float
        Values of the others.
    targets : tuple of array, shape (time,)
        The typical run of each ensemble, in the space of the residual.
    tolerance : float, optional
        Of the integration, for models that have one; their own if None.
    """

    model: type[CompactModel]
    ensembles: tuple[Ensemble, ...]
    residual: Residual
    axes: tuple[Axis, ...]
    base: Mapping[str, float]
    targets: tuple[Array, ...]
    tolerance: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        return tuple(axis.name for axis in self.axes)

    @property
    def low(self) -> Array:
        """Lower bounds, in coordinates."""
        return np.array([axis.low for axis in self.axes])

    @property
    def high(self) -> Array:
        """Upper bounds, in coordinates."""
        return np.array([axis.high for axis in self.axes])

    @cached_property
    def spans(self) -> tuple[float, ...]:
        """What the error of each trace is divided by: ln(G_on / G_off) of all traces, or the range of the quantity."""
        if isinstance(self.residual, LnConductance):
            span = span_of(np.concatenate(self.targets))
            return tuple(max(span, _RESOLUTION) for _ in self.targets)
        span = float(np.ptp(np.concatenate(self.targets)))
        return tuple(max(span, _RESOLUTION) for _ in self.targets)

    @cached_property
    def bounds(self) -> tuple[NDArray[np.bool_], ...]:
        """Where the target of each trace is a lower bound."""
        return tuple(bound_of(self.residual, e.typical_bound) for e in self.ensembles)

    def values(self, u: Array) -> dict[str, float]:
        """Parameter values at coordinates u.

        Parameters
        ----------
        u : array, shape (n,)
            One coordinate for each of :attr:`axes`.

        Returns
        -------
        dict of str to float
            Free and other parameters, in the units of the model; the free ones moved inside the bounds of the model.
        """
        found = dict(self.base)
        for axis, x in zip(self.axes, u, strict=True):
            q = self.model.QUANTITIES[axis.name]
            found[axis.name] = min(max(axis.value(float(x)), q.low), q.high)
        return found

    def built(self, u: Array) -> CompactModel:
        """The model at coordinates u.

        Parameters
        ----------
        u : array, shape (n,)
            One coordinate for each of :attr:`axes`.
        """
        return self.model.of(reason="on the way of a fit", **self.values(u))

    def predict(self, u: Array) -> list[Array]:
        """The compared quantity of the noise-free model under each stimulus.

        Parameters
        ----------
        u : array, shape (n,)
            One coordinate for each of :attr:`axes`.

        Returns
        -------
        list of array, shape (time,), 1
            One for each ensemble.

        Raises
        ------
        HalidriftError
            Where the model refuses or does not converge.
        """
        model = self.built(u)
        return [predicted(model, e, self.residual, tolerance=self.tolerance) for e in self.ensembles]

    def left(self, u: Array) -> list[Array]:
        """Observed less model, of each trace; none where a lower bound holds.

        Parameters
        ----------
        u : array, shape (n,)
            One coordinate for each of :attr:`axes`.

        Returns
        -------
        list of array, shape (time,), 1
            Not divided by :attr:`spans`.
        """
        return [left_over(*parts) for parts in zip(self.targets, self.predict(u), self.bounds, strict=True)]

    def __call__(self, u: Array) -> Array:
        """Model less observed, all traces; large where the model cannot be evaluated."""
        try:
            parts = self.left(u)
        except HalidriftError:
            return np.full(sum(t.size for t in self.targets), _LOST)
        return -np.clip(np.nan_to_num(np.concatenate(parts), nan=_LOST), -_LOST, _LOST)

    def jacobian(self, u: Array, *, step: float = _STEP, central: bool = False) -> Array:
        """Derivative of the residuals by differences that stay inside the bounds, shape (points, n).

        Parameters
        ----------
        u : array, shape (n,)
            One coordinate for each of :attr:`axes`.
        step : float, > 0
            Of a coordinate: 1e-4 of a logarithm is 0.01 % of the value.
        central : bool
            Differences to both sides: more exact, at twice the number of simulations.

        Returns
        -------
        array, shape (points, n)
        """
        at = np.asarray(u, dtype=float)
        here = None if central else self(at)
        columns = []
        for i in range(at.size):
            up, down = at.copy(), at.copy()
            up[i] = min(at[i] + step, self.high[i])
            if here is not None and up[i] > at[i]:
                columns.append((self(up) - here) / (up[i] - at[i]))
                continue
            down[i] = max(at[i] - step, self.low[i])
            columns.append((self(up) - self(down)) / max(up[i] - down[i], 1e-300))
        return np.array(columns).T.reshape(-1, at.size)


@dataclass(frozen=True, eq=False)
class Solution:
    """An optimum with what is known about it.

    Attributes
    ----------
    problem : Problem
    u : array, shape (n,)
        Coordinates of the optimum.
    left : tuple of array
        Residuals of each trace, observed less model.
    jacobian : array, shape (points, n)
    covariance : array, shape (n, n)
    correlation_time : float, 1, >= 1
        Successive residuals that tell as much as an independent one.
    diagnosis : Diagnosis
    evaluations : int
    """

    problem: Problem
    u: Array
    left: tuple[Array, ...]
    jacobian: Array
    covariance: Array
    correlation_time: float
    diagnosis: Diagnosis
    evaluations: int = 0

    @property
    def squares(self) -> float:
        """Sum of squared residuals."""
        return float(sum(float(r @ r) for r in self.left))

    @property
    def errors(self) -> tuple[float, ...]:
        """Normalised error of each trace: root mean square over the span of the problem."""
        return tuple(
            float(np.sqrt(np.mean(r**2)) / span) for r, span in zip(self.left, self.problem.spans, strict=True)
        )


def minimise(problem: Problem, u: Array, *, evaluations: int = 60, tolerance: float = 1e-10) -> Any:
    """Local least squares from u, bounds kept (scipy, trust region reflective)."""
    margin = 1e-6 * np.maximum(problem.high - problem.low, 1e-6)
    inside = np.clip(u, problem.low + margin, problem.high - margin)
    return optimize.least_squares(
        problem,
        inside,
        jac=problem.jacobian,
        bounds=(problem.low, problem.high),
        x_scale=1.0,
        ftol=tolerance,
        xtol=1e-9,
        gtol=1e-12,
        max_nfev=evaluations,
    )


def settled(problem: Problem, u: Array, evaluations: int = 0) -> Solution:
    """Errors and doubts at an optimum."""
    left = tuple(problem.left(u))
    kept = told(left, problem.bounds)
    # a trace matched to the accuracy of the integrator says nothing finer than that
    floored = tuple(np.where(np.abs(r) < _RESOLUTION, _RESOLUTION, r)[k] for r, k in zip(left, kept, strict=True))
    size = sum(r.size for r in floored)
    sigma = math.sqrt(sum(float(r @ r) for r in floored) / max(size - u.size, 1) * correlation_time(floored))
    jacobian = secants(problem, u, problem.jacobian(u, step=_LAST_STEP, central=True), sigma, problem.low, problem.high)
    jacobian = jacobian[np.concatenate(kept)]
    found, time = covariance(jacobian, floored)
    sides = open_sides(problem, u, jacobian, sigma, problem.low, problem.high)
    diagnosis = diagnose(problem.names, jacobian, found, sigma, u, problem.low, problem.high, sides)
    return Solution(problem, u, left, jacobian, found, time, diagnosis, evaluations)


def solve(
    problem: Problem, boxes: Sequence[tuple[float, float]], *, starts: int = 4, progress: Progress | None = None
) -> Solution:
    """Global search in the boxes (coordinates), then the best of several local fits.

    Parameters
    ----------
    problem : Problem
    boxes : sequence of (float, float)
        Search range of each free parameter, in coordinates.
    starts : int, >= 1
        Local fits; 1 is a single one from the middle of the boxes, or from the best sample if no model is there.
    progress : callable (stage, done, parts), optional

    Raises
    ------
    ConvergenceError
        If the model can be evaluated nowhere in the boxes.
    """
    low, high = np.array(boxes).T if boxes else (np.empty(0), np.empty(0))
    middle = 0.5 * (low + high)
    evaluations = 0
    candidates = [middle]
    if middle.size and (starts > 1 or float(np.abs(problem(middle)).max()) >= _LOST):
        count = min(_SAMPLES * middle.size, _MOST_SAMPLES)
        cube = qmc.LatinHypercube(d=middle.size, rng=np.random.default_rng(_SEED)).random(count)
        points = np.vstack([middle, low + cube * (high - low)])
        # the logarithm tames points far off, which would otherwise all look alike
        rough = replace(problem, tolerance=_ROUGH) if issubclass(problem.model, RateModel) else problem
        one = begun(progress, "search", len(points))
        cost = np.empty(len(points))
        for i, point in enumerate(points):
            cost[i] = np.log1p(np.square(rough(point))).sum()
            one()
        evaluations += len(points)
        candidates = [points[i] for i in np.argsort(cost, kind="stable")[: 2 * starts]]
    best = None
    tried = 0
    one = begun(progress, "local fits", starts + 1)
    for candidate in candidates:
        if tried == starts:
            break
        if float(np.abs(problem(candidate)).max()) >= _LOST:
            continue
        tried += 1
        answer = minimise(problem, candidate, evaluations=40, tolerance=1e-4 if starts > 1 else 1e-10)
        evaluations += answer.nfev * (1 + middle.size)
        if best is None or answer.cost < best.cost:
            best = answer
        one()
    if best is None:
        raise ConvergenceError(
            f"{problem.model.__name__} could be evaluated at no point of the search",
            got=f"{len(candidates)} points",
            action="Pass start= with values that simulate, or fix some parameters",
        )
    best = minimise(problem, best.x, evaluations=200)
    evaluations += best.nfev * (1 + middle.size)
    if not np.isfinite(best.cost):
        raise ConvergenceError(f"The fit of {problem.model.__name__} diverged", got=f"chi^2 = {2 * best.cost}")
    for _ in range(tried, starts + 1):  # fewer starts than asked for
        one()
    one = begun(progress, "standard errors", 1)
    found = settled(problem, np.asarray(best.x), evaluations)
    one()
    return found


def problem_of(
    fitted: CompactModel, ensembles: Sequence[Ensemble], *, residual: Residual | None = None
) -> tuple[Problem, Array]:
    """The least-squares problem whose optimum a fitted model is, and its coordinates there.

    Parameters
    ----------
    fitted : CompactModel
        What :func:`halidrift.compact.fit` returned.
    ensembles : sequence of Ensemble
        Traces, of the fit or others.
    residual : Residual, optional
        What is compared; what the traces demand, if not given.

    Returns
    -------
    problem : Problem
    u : array, shape (n,)
        The fitted values in the coordinates of the problem.

    Raises
    ------
    InputError
        If the model has no parameter that was fitted to a whole curve.
    """
    chosen = choose(ensembles) if residual is None else residual
    free = [
        name
        for name, entry in fitted.parameters.items()
        if entry.kind == "fitted" and entry.estimated and not is_silent(name)
    ]
    if not free:
        raise InputError(
            f"The {type(fitted).__name__} given has no fitted parameter",
            action="Give what compact.fit returned",
        )
    window = window_of(ensembles)
    axes = []
    for axis in axes_of(fitted.QUANTITIES, free, window):
        u = axis.coordinate(fitted.value(axis.name))
        # a value outside of the window widens it: the fit may have come from other traces
        axes.append(axis if axis.low < u < axis.high else _widened(axis, fitted.value(axis.name)))
    base = {name: entry.value for name, entry in fitted.parameters.items() if name not in free and entry.estimated}
    problem = Problem(
        type(fitted), tuple(ensembles), chosen, tuple(axes), base, tuple(typical(chosen, e) for e in ensembles)
    )
    return problem, np.array([a.coordinate(fitted.value(a.name)) for a in axes])


def _widened(axis: Axis, value: float) -> Axis:
    if axis.kind == "linear" or value == 0.0:
        return axis
    u = math.log(abs(value))
    return replace(axis, low=min(axis.low, u - 1.0), high=max(axis.high, u + 1.0))


def fit_state(
    model: type[CompactModel],
    ensembles: Sequence[Ensemble],
    fixed: Mapping[str, float],
    start: Mapping[str, float],
    sources: tuple[str, ...],
    *,
    residual: Residual | None = None,
    starts: int = 4,
    progress: Progress | None = None,
) -> CompactModel:
    """Fit any model with `simulate`; see :func:`halidrift.compact.fit`.

    Parameters
    ----------
    model : type
        Subclass of :class:`CompactModel`.
    ensembles : sequence of Ensemble
    fixed : mapping of str to float
        Parameters that are not fitted, in the units of the model.
    start : mapping of str to float
        Starting values; the fits start within half a coordinate of them, a factor of 1.65 of a logarithmic one.
    sources : tuple of str
        Bib keys of the traces.
    residual : Residual, optional
        What is compared; what the traces demand, if not given.
    starts : int, >= 1
        Local fits, from the best points of a Latin hypercube.
    progress : callable (stage, done, parts), optional
        Called as the search, the local fits, their errors and the noise get on.

    Raises
    ------
    InputError
        If nothing is left to fit, or there are no more instants than parameters.
    """
    chosen = choose(ensembles) if residual is None else residual
    window = window_of(ensembles)
    wanted = {*free_parameters(model), *(n for n in start if not is_silent(n))}
    free = [n for n in model.QUANTITIES if n in wanted and n not in fixed]
    if not free:
        raise InputError("Every parameter is fixed, so there is nothing to fit", got=", ".join(fixed))
    points = sum(e.time_s.size for e in ensembles)
    if points <= len(free):
        raise InputError("More parameters than instants", got=f"{len(free)} and {points}", action="Fix some of them")
    axes = axes_of(model.QUANTITIES, free, window)
    boxes = []
    for i, axis in enumerate(axes):
        if axis.name in start:
            axis = (
                axes[i]
                if axes[i].low < axes[i].coordinate(start[axis.name]) < axes[i].high
                else _widened(axes[i], start[axis.name])
            )
            axes = (*axes[:i], axis, *axes[i + 1 :])
            u = axis.coordinate(start[axis.name])
            boxes.append((max(u - _WIDE, axis.low), min(u + _WIDE, axis.high)))
            continue
        near = sorted(axis.coordinate(v) for v in box_of(model.QUANTITIES[axis.name], window))
        boxes.append((near[0], near[1]))
    base = dict(fixed)
    problem = Problem(model, tuple(ensembles), chosen, axes, base, tuple(typical(chosen, e) for e in ensembles))
    solution = solve(problem, boxes, starts=starts, progress=progress)
    one = begun(progress, "noise and spread", 1)
    found = report(solution, sources, fixed=fixed)
    one()
    return found


def report(
    solution: Solution,
    sources: tuple[str, ...],
    *,
    fixed: Mapping[str, float],
) -> CompactModel:
    """The fitted model: each parameter with its error and its doubts, then the noise and the spread of its runs."""
    problem, diagnosis = solution.problem, solution.diagnosis
    names = ", ".join(e.name for e in problem.ensembles)
    values = problem.values(solution.u)
    index = {name: i for i, name in enumerate(problem.names)}
    table, warnings = [], []
    noise = _noise(problem)
    for name, quantity in problem.model.QUANTITIES.items():
        if name in index:
            i = index[name]
            axis = problem.axes[i]
            known = name not in diagnosis.unidentified and math.isfinite(diagnosis.errors[i])
            error = diagnosis.errors[i] * axis.slope(float(solution.u[i])) if known else None
            doubt = diagnosis.doubts.get(name, "")
            table.append(
                FittedParameter(
                    name,
                    values[name],
                    quantity.unit,
                    error,
                    "fitted",
                    f"{_WHAT[type(problem.residual)]}, {names}",
                    doubt,
                )
            )
            if doubt:
                warnings.append(f"{name}: {doubt}")
        elif name in fixed:
            table.append(FittedParameter(name, fixed[name], quantity.unit, None, "fixed", "fixed by the caller"))
        elif name in noise:
            table.append(noise[name])
        elif name == "largest_compliance_A":
            table.append(
                FittedParameter(name, largest_compliance(problem.ensembles), "A", None, "fixed", f"largest of {names}")
            )
        else:
            assert quantity.default is not None
            table.append(
                FittedParameter(name, quantity.default, quantity.unit, None, "fixed", "default, not estimated")
            )
    goodness = {e.name: error for e, error in zip(problem.ensembles, solution.errors, strict=True)}
    warnings += [
        f"{name}: normalised error {error:.2f}, the model does not describe this trace"
        for name, error in goodness.items()
        if error > _POOR
    ]
    if solution.correlation_time > 3.0:
        warnings.append(
            f"residuals are correlated over {solution.correlation_time:.0f} instants: the standard errors count "
            "that, but what is left is misfit of the model rather than noise"
        )
    found = problem.model(ParameterTable(tuple(table)), sources, goodness, tuple(warnings))
    return _with_spread(found, problem, fixed)


def _noise(problem: Problem) -> dict[str, FittedParameter]:
    """Read noise, of the plateaus where there are some."""
    everything = np.concatenate([e.ln_conductance.ravel() for e in problem.ensembles])
    low, high = (float(np.quantile(everything, q)) for q in (0.02, 0.98))
    if high - low >= math.log(SWITCHING):
        found = plateau_noise(problem.ensembles, low, high)
        if found["read_noise"].kind == "fitted":
            return found
    return {"read_noise": read_noise(problem.ensembles)}


def _with_spread(model: CompactModel, problem: Problem, fixed: Mapping[str, float]) -> CompactModel:
    """The spread of the rate between devices and cycles, for models that have one and ensembles that show it."""
    from .variance import rate_spread

    cycle, device = "rate_spread_cycle", "rate_spread_device"
    if cycle not in model.QUANTITIES or device not in model.QUANTITIES or {cycle, device} & set(fixed):
        return model
    spread = rate_spread(model, problem.ensembles, problem.residual)
    if spread is None:
        return model
    text = f"best rates of {spread.runs} runs of {spread.devices} device{'s' if spread.devices > 1 else ''}"
    entries, warnings = {}, list(model.warnings)
    for name, value, error in ((cycle, spread.cycle, spread.cycle_error), (device, spread.device, spread.device_error)):
        if name == device and spread.devices < 2:
            continue
        note = "" if spread.separable else "one run a device: spread of cycles and of devices cannot be told apart"
        entries[name] = FittedParameter(
            name, min(value, 5.0), "1", error if math.isfinite(error) else None, "fitted", text, note
        )
        if note and name == device:
            warnings.append(f"{name}: {note}")
    return replace(model, parameters=model.parameters.replaced(**entries), warnings=tuple(warnings))


_WHAT = {LnConductance: "ln G", AsinhCurrent: "asinh I", Conductance: "G"}


def largest_compliance(ensembles: Sequence[Ensemble]) -> float:
    """Largest compliance under positive voltage, A; infinite if a trace had none."""
    largest = 0.0
    for e in ensembles:
        w = e.waveform
        positive = np.maximum(w.voltage_V[:-1], w.voltage_V[1:]) > 0
        largest = max(largest, *(float(c) for c in w.compliance_A[positive]), 0.0)
    return largest
