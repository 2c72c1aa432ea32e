"""Profile likelihood and bootstrap: the errors of a fit without the assumption that it is linear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..physics import randomness
from ..physics.errors import ConvergenceError, InputError
from .ensembles import gather
from .model import CompactModel
from .nonvolatile import NonVolatile
from .observables import Residual, typical
from .regression import Problem, minimise, problem_of, settled

__all__ = ["Bootstrap", "Profile", "bootstrap", "profile"]

Array = NDArray[np.float64]

_FURTHEST = 6.0  # coordinates to either side: a factor of 400
_RUNS = 5  # runs of each stimulus from which on runs are drawn rather than blocks of residuals
_RESOLUTION = 1e-6


@dataclass(frozen=True, eq=False)
class Profile:
    """Profile likelihood of one parameter: how much worse the fit gets if it is held elsewhere.

    Attributes
    ----------
    name, unit : str
    values : array, shape (points,)
        Ascending, in `unit`.
    deviance : array, shape (points,)
        -2 ln of the likelihood ratio, all other parameters fitted anew; over the correlation time of the residuals.
    best : float
    interval : tuple of float
        Values at which the deviance passes that of the level; infinite, or at the bound, on a side where it never does.
    level : float
    identified : bool
        Whether the interval is closed on both sides.
    text : str
        In words.
    """

    name: str
    unit: str
    values: Array
    deviance: Array
    best: float
    interval: tuple[float, float]
    level: float
    identified: bool
    text: str

    def __str__(self) -> str:
        return self.text


def _problem(
    fitted: CompactModel, traces: Sequence[xr.Dataset] | xr.Dataset, residual: Residual | None
) -> tuple[Problem, Array]:
    if isinstance(fitted, NonVolatile):
        raise InputError(
            "NonVolatile is fitted to figures of its loops, not to whole curves",
            action="Use bootstrap, which draws the loops anew",
        )
    return problem_of(fitted, gather(traces), residual=residual)


def profile(
    fitted: CompactModel,
    traces: Sequence[xr.Dataset] | xr.Dataset,
    name: str,
    *,
    level: float = 0.95,
    points: int = 12,
    residual: Residual | None = None,
) -> Profile:
    """Profile likelihood of one parameter of a fitted model.

    Parameters
    ----------
    fitted : CompactModel
        What :func:`halidrift.compact.fit` returned for these traces.
    traces : Dataset or sequence of Dataset
    name : str
        A fitted parameter.
    level : float, 1, in (0.5, 1)
        Confidence of the interval.
    points : int, >= 3
        Most steps to either side.
    residual : Residual, optional
        As for the fit.

    Returns
    -------
    Profile

    Raises
    ------
    InputError
        If the parameter was not fitted, or the model is `NonVolatile`.

    Notes
    -----
    Deviance: (RSS / RSS_min - 1) (N - p) / correlation time, compared with the quantile of F(1, N - p). The first step
    is one standard error and later ones adapt until the level is passed, at most a factor of 400 away. Only the least
    squares of the typical run is profiled: what matching the times of single runs adds to `Volatile` is not.

    References
    ----------
    .. [1] A. Raue et al., Bioinformatics 25, 1923 (2009): flat profiles show parameters that data cannot determine.
    """
    if not 0.5 < level < 1.0:
        raise InputError("level is out of range", got=level, allowed="above 0.5, below 1")
    if points < 3:
        raise InputError("points must be three or more", got=points)
    problem, u = _problem(fitted, traces, residual)
    if name not in problem.names:
        raise InputError("Not a fitted parameter", got=name, allowed=", ".join(problem.names))
    u = np.asarray(minimise(problem, u, evaluations=60).x)
    best = settled(problem, u)
    i = problem.names.index(name)
    axis = problem.axes[i]
    others = tuple(a for j, a in enumerate(problem.axes) if j != i)
    freedom = max(sum(t.size for t in problem.targets) - u.size, 1)
    floor = sum(t.size for t in problem.targets) * _RESOLUTION**2
    least = best.squares + floor
    threshold = float(stats.f.ppf(level, 1, freedom))

    def deviance(x: float, near: Array) -> tuple[float, Array]:
        held = {**problem.base, name: axis.value(x)}
        if not others:
            partial = replace(problem, axes=(), base=held)
            squares, found = float(np.square(partial(np.empty(0))).sum()), near
        else:
            partial = replace(problem, axes=others, base=held)
            answer = minimise(partial, near, evaluations=25, tolerance=1e-7)
            squares, found = 2.0 * float(answer.cost), np.asarray(answer.x)
        return max((squares + floor) / least - 1.0, 0.0) * freedom / best.correlation_time, found

    error = float(best.diagnosis.errors[i])
    first = min(max(error if math.isfinite(error) else 1.0, 1e-6), 2.0)
    grid, ends = [(float(u[i]), 0.0)], []
    for side in (-1.0, 1.0):
        x, step, near, last = float(u[i]), first, np.delete(u, i), 0.0
        end = math.nan
        for _ in range(points):
            trial = x + side * step
            edge = min(max(trial, axis.low), axis.high)
            edge = min(max(edge, u[i] - _FURTHEST), u[i] + _FURTHEST)
            if edge == x:
                break
            found, near_next = deviance(edge, near)
            grid.append((edge, found))
            if found >= threshold:
                # parabola-like: interpolate the square root, which is nearly straight
                share = (math.sqrt(threshold) - math.sqrt(last)) / max(math.sqrt(found) - math.sqrt(last), 1e-300)
                end = x + min(max(share, 0.0), 1.0) * (edge - x)
                break
            # towards the level, as if the root went on straight; never by more than three times the last step
            rise = math.sqrt(found) - math.sqrt(last)
            wanted = 1.1 * (math.sqrt(threshold) - math.sqrt(found)) / rise * step if rise > 1e-9 else 3.0 * step
            x, last, near = edge, found, near_next
            step = min(max(wanted, 0.3 * step), 3.0 * step)
        ends.append(end)
    order = np.argsort([x for x, _ in grid])
    values = np.array([axis.value(grid[k][0]) for k in order])
    deviances = np.array([grid[k][1] for k in order])
    limits = []
    for end, side in zip(ends, (-1.0, 1.0), strict=True):
        if math.isfinite(end):
            limits.append(axis.value(end))
        else:
            q = problem.model.QUANTITIES[name]
            low_side = (side < 0) != (axis.kind == "-ln")
            limits.append(q.low if low_side else q.high)
    if values[0] > values[-1]:
        values, deviances = values[::-1], deviances[::-1]
    low, high = sorted(limits)
    identified = all(math.isfinite(e) for e in ends)
    text = f"{name}: {low:.4g} to {high:.4g} {axis_unit(problem, name)} at {100 * level:g} %"
    if not identified:
        sides = [s for s, e in zip(("below", "above"), ends, strict=True) if not math.isfinite(e)]
        if axis.kind == "-ln":
            sides = [{"below": "above", "above": "below"}[s] for s in sides]
        text += f"; flat: the data do not bound it {' or '.join(sides)}"
    return Profile(
        name, axis_unit(problem, name), values, deviances, axis.value(float(u[i])), (low, high), level, identified, text
    )


def axis_unit(problem: Problem, name: str) -> str:
    """Unit of a parameter."""
    return problem.model.QUANTITIES[name].unit


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Parameters of a fit when the data are drawn anew.

    Attributes
    ----------
    names : tuple of str
    values : array, shape (resamples, n)
        In the units of the model.
    method : str
        What was drawn: runs, or blocks of residuals and how long.
    """

    names: tuple[str, ...]
    values: Array
    method: str

    def standard_error(self, name: str) -> float:
        """Standard deviation over the resamples, in the unit of the parameter.

        Parameters
        ----------
        name : str
            Of a fitted parameter.

        Returns
        -------
        float, >= 0
        """
        return float(self.values[:, self._index(name)].std(ddof=1))

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Interval between quantiles of the resamples, in the unit of the parameter.

        Parameters
        ----------
        name : str
            Of a fitted parameter.
        level : float, 1, in (0, 1)
            Probability inside the interval, half of the rest on either side.

        Returns
        -------
        low, high : float
        """
        low, high = np.quantile(self.values[:, self._index(name)], [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
        return float(low), float(high)

    @property
    def correlations(self) -> Array:
        """Correlations of the parameters, shape (n, n)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num(np.atleast_2d(np.corrcoef(self.values, rowvar=False)))

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise InputError("Not a fitted parameter", got=name, allowed=", ".join(self.names))
        return self.names.index(name)

    def __str__(self) -> str:
        lines = [f"{len(self.values)} resamples of {self.method}"]
        for name in self.names:
            low, high = self.interval(name)
            lines.append(f"{name}: +- {self.standard_error(name):.2g}, 95 % {low:.4g} to {high:.4g}")
        return "\n".join(lines)


def bootstrap(
    fitted: CompactModel,
    traces: Sequence[xr.Dataset] | xr.Dataset,
    *,
    resamples: int = 100,
    rng: randomness.Rng = 0,
    residual: Residual | None = None,
) -> Bootstrap:
    """Standard errors and intervals by resampling.

    Parameters
    ----------
    fitted : CompactModel
        What :func:`halidrift.compact.fit` returned for these traces.
    traces : Dataset or sequence of Dataset
    resamples : int, >= 10
    rng : int or Generator
    residual : Residual, optional
        As for the fit.

    Returns
    -------
    Bootstrap

    Raises
    ------
    InputError
        If there are fewer than ten resamples, or nothing to draw from.
    ConvergenceError
        If more than half of the fits fail.

    Notes
    -----
    With five runs of each stimulus or more (loops of `NonVolatile` always), runs are drawn with replacement within each
    stimulus: that counts whatever makes runs differ, correlations included. With fewer, blocks of successive residuals
    are drawn and added to the fitted curve (moving blocks, three correlation times long), which needs residuals that
    are alike all along the trace. Each fit starts from the fitted model and is local.

    References
    ----------
    .. [1] H. R. Kuensch, Ann. Statist. 17, 1217 (1989): moving blocks.
    """
    if resamples < 10:
        raise InputError("resamples must be ten or more", got=resamples)
    random = randomness.generator(rng)
    if isinstance(fitted, NonVolatile):
        return _loops(fitted, traces, resamples, random)
    problem, u = _problem(fitted, traces, residual)
    u = np.asarray(minimise(problem, u, evaluations=60).x)
    left = problem.left(u)
    model = [t - r for t, r in zip(problem.targets, left, strict=True)]
    whole = all(e.size >= _RUNS for e in problem.ensembles)
    time = settled(problem, u).correlation_time
    block = max(round(3.0 * time), 1)
    found = []
    for _ in range(resamples):
        if whole:
            drawn = tuple(typical(problem.residual, e, random.integers(0, e.size, e.size)) for e in problem.ensembles)
        else:
            drawn = tuple(m + _blocks(r, block, random) for m, r in zip(model, left, strict=True))
        answer = minimise(replace(problem, targets=drawn), u, evaluations=30, tolerance=1e-8)
        if np.isfinite(answer.cost):
            values = problem.values(np.asarray(answer.x))
            found.append([values[name] for name in problem.names])
    if len(found) < resamples / 2:
        raise ConvergenceError("Most fits of the bootstrap failed", got=f"{len(found)} of {resamples} converged")
    return Bootstrap(problem.names, np.array(found), "runs" if whole else f"blocks of {block} residuals")


def _blocks(left: Array, length: int, random: np.random.Generator) -> Array:
    """As many residuals as there are, in blocks that begin at random, their mean removed."""
    length = min(length, left.size)
    starts = random.integers(0, left.size - length + 1, math.ceil(left.size / length))
    return np.concatenate([left[s : s + length] for s in starts])[: left.size] - left.mean()


def _loops(
    fitted: NonVolatile, traces: Sequence[xr.Dataset] | xr.Dataset, resamples: int, random: np.random.Generator
) -> Bootstrap:
    from .nonvolatile_fit import fit_nonvolatile

    ensembles = gather(traces)
    if max(e.size for e in ensembles) < 3:
        raise InputError(
            "A bootstrap of NonVolatile draws loops of equal stimulus",
            got=f"at most {max(e.size for e in ensembles)} of one",
            allowed=">= 3",
            action="Measure each loop several times",
        )
    fixed: Mapping[str, float] = {
        name: p.value for name, p in fitted.parameters.items() if p.kind == "fixed" and "by the caller" in p.origin
    }
    # the threshold is that of one conductance, whichever loops were drawn
    fixed = {"reset_reference_S": fitted.value("reset_reference_S"), **fixed}
    names = tuple(n for n, p in fitted.parameters.items() if p.kind == "fitted" and p.standard_error is not None)
    found = []
    for _ in range(resamples):
        drawn = []
        for e in ensembles:
            chosen = random.integers(0, e.size, e.size)
            drawn.append(
                replace(
                    e,
                    ln_conductance=e.ln_conductance[chosen],
                    devices=e.devices[chosen],
                    members=tuple(e.members[k] for k in chosen),
                )
            )
        try:
            again = fit_nonvolatile(drawn, dict(fixed), {}, ())
        except (InputError, ConvergenceError):
            continue
        found.append([again.value(name) for name in names])
    if len(found) < resamples / 2:
        raise ConvergenceError("Most fits of the bootstrap failed", got=f"{len(found)} of {resamples} converged")
    return Bootstrap(names, np.array(found), "loops")
