"""One formula fitted to the points of a branch: best parameters, their covariance, and what follows from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..constants import BOLTZMANN_EV_K as K_B
from .film import Film
from .forms import Form
from .laws import Law, checked
from .measurement import Points
from .noise import Noise
from .result import LawFit, Quantity

__all__ = ["Problem", "described"]

Array = NDArray[np.float64]

# bounds of the activation energy in a fit: wide enough to be no information, so that nonsense shows as nonsense
ENERGY_SPAN_EV = (-1.0, 5.0)
# what a residual counts where a formula has no value: more than any residual of asinh
NOWHERE = 1e6
# two quantities that share more than this are known only together
TOGETHER = 0.999


@dataclass(frozen=True)
class Solution:
    """Parameters with the smallest residuals.

    Parameters
    ----------
    theta : array
        Logarithm of the current at the reference point, energy if the form has one, knobs.
    rss : float
        Sum of squared residuals.
    """

    theta: Array
    rss: float


class Problem:
    """A form and the points that it shall describe.

    Parameters
    ----------
    law : Law
    form : Form
    points : Points
    single : bool
        Whether all points are at one temperature: then the form loses its energy.
    """

    def __init__(self, law: Law, form: Form, points: Points, single: bool):
        self.law, self.form, self.points, self.single = law, form, points, single
        self.T = np.full_like(points.T, points.T.mean()) if single else points.T
        self.V_ref = float(np.exp(np.log(points.V).mean()))
        self.T_ref = float(1.0 / np.mean(1.0 / self.T))
        self.hot = form.activated and not single
        self.knobs = form.knobs[: form.knobs_at_one_temperature] if single else form.knobs
        self._scale = (float(points.V.max()), K_B * self.T_ref)
        spans = [knob.span(*self._scale) for knob in self.knobs]
        energy = [ENERGY_SPAN_EV] if self.hot else []
        self.low = np.array([-np.inf, *(span[0] for span in (*energy, *spans))])
        self.high = np.array([np.inf, *(span[1] for span in (*energy, *spans))])
        self._V, self._T = np.append(points.V, self.V_ref), np.append(self.T, self.T_ref)

    @property
    def size(self) -> int:
        """Number of parameters, k without the noise."""
        return self.low.size

    def split(self, theta: Array) -> tuple[float, Array]:
        """Energy and knobs of a parameter vector.

        Parameters
        ----------
        theta : array, shape (parameters,)

        Returns
        -------
        tuple of float, array
            The energy in eV, 0 if it is not fitted.
        """
        return (float(theta[1]), theta[2:]) if self.hot else (0.0, theta[1:])

    def logarithm(self, E: float, knobs: Array) -> Array:
        """Logarithm of the current over that at the reference point.

        Parameters
        ----------
        E : float, eV
            Activation energy; 0 if the form has none.
        knobs : array
            Further numbers of the form.

        Returns
        -------
        array, shape (n,)
        """
        with np.errstate(all="ignore"):  # a step outside the range of the formula: `residuals` refuses it
            ln = np.log(self.form.shape(self._V, self._T, E, knobs, self.T_ref))
        return ln[:-1] - ln[-1]

    def residuals(self, theta: Array, noise: Noise) -> Array:
        """Law minus reading on the axis of equal noise.

        Parameters
        ----------
        theta : array, shape (parameters,)
        noise : Noise

        Returns
        -------
        array, shape (n,), 1
        """
        ln = theta[0] + self.logarithm(*self.split(theta))
        with np.errstate(invalid="ignore"):
            off = noise.straight(np.exp(np.minimum(ln, 600.0))) - noise.straight(self.points.I)
        return np.where(np.isfinite(off), off, NOWHERE)

    def solve(self, noise: Noise, start: Array | None = None) -> Solution | None:
        """Least squares from the best starting values, or from one; None if the formula has no value anywhere.

        Parameters
        ----------
        noise : Noise
        start : array, shape (parameters,), optional
        """
        starts = self._starts(noise)[: 1 if len(self.knobs) < 2 else 3] if start is None else [start]
        best = None
        for first in starts:
            found = least_squares(
                self.residuals,
                np.clip(first, self.low, self.high),
                bounds=(self.low, self.high),
                x_scale="jac",
                max_nfev=200,
                args=(noise,),
            )
            if best is None or found.cost < best.cost:
                best = found
        if best is None or not best.cost < NOWHERE:
            return None
        # equal readings leave no residual: what rounding leaves
        return Solution(best.x, max(2.0 * float(best.cost), 1e-24 * self.points.V.size))

    def _starts(self, noise: Noise) -> list[Array]:
        """Best first: each shape of a grid with factor and energy by weighted linear regression."""
        I = self.points.I  # noqa: E741 - the symbol of the field
        weight = np.where(I > 0, I / np.hypot(I, noise.bend_A), 0.0)
        ln_I = np.log(np.maximum(I, 1e-300))
        columns = [np.ones_like(I)]
        if self.hot:
            columns.append(-(1.0 / self.T - 1.0 / self.T_ref) / K_B)
        design = np.stack(columns, axis=1) * weight[:, None]
        ranked = []
        for shape in itertools.product(*(knob.grid(*self._scale) for knob in self.knobs)):
            ln = self.logarithm(0.0, np.array(shape))
            if not np.isfinite(ln).all():
                continue
            target = (ln_I - ln) * weight
            found, *_ = np.linalg.lstsq(design, target, rcond=None)
            ranked.append((float(np.sum((design @ found - target) ** 2)), (*found, *shape)))
        ranked.sort(key=lambda entry: entry[0])
        return [np.array(start) for _, start in ranked]

    def held(self, theta: Array) -> list[bool]:
        """Which parameters ended within a hundredth of a bound: the data ask for more than the form has, or nothing.

        Parameters
        ----------
        theta : array, shape (parameters,)

        Returns
        -------
        list of bool
            The first one, the size of the current, is never at a bound.
        """
        low = theta[1:] <= self.low[1:] + 0.01 * np.abs(self.low[1:])
        high = theta[1:] >= self.high[1:] - 0.01 * np.abs(self.high[1:])
        return [False, *map(bool, low | high)]

    def steps(self, theta: Array) -> Array:
        """Steps of finite differences: a positive knob may be of any size, an energy or logarithm is of order one.

        Parameters
        ----------
        theta : array, shape (parameters,)

        Returns
        -------
        array, shape (parameters,)
        """
        return 1e-5 * np.where(self.low > 0, np.abs(theta), np.maximum(np.abs(theta), 0.1))

    def covariance(self, solution: Solution, noise: Noise) -> Array:
        """Covariance of the parameters; nan for those at a bound, and for all if the data do not fix them.

        Parameters
        ----------
        solution : Solution
        noise : Noise

        Returns
        -------
        array, shape (parameters, parameters)
        """
        theta, steps = solution.theta, self.steps(solution.theta)
        columns = []
        for j in range(theta.size):
            up, down = theta.copy(), theta.copy()
            up[j], down[j] = min(theta[j] + steps[j], self.high[j]), max(theta[j] - steps[j], self.low[j])
            columns.append((self.residuals(up, noise) - self.residuals(down, noise)) / (up[j] - down[j]))
        free = [j for j, at_bound in enumerate(self.held(theta)) if not at_bound]
        slopes = np.stack(columns, axis=1)[:, free]
        # of columns of length one: their sizes differ by orders of magnitude, which is no degeneracy
        length = np.linalg.norm(slopes, axis=0)
        covariance = np.full((theta.size, theta.size), np.nan)
        if (length > 0).all():
            information = (slopes / length).T @ (slopes / length)
            if np.linalg.cond(information) < 1e13:
                spread = np.linalg.inv(information) * solution.rss / (self.points.V.size - theta.size)
                covariance[np.ix_(free, free)] = spread / np.outer(length, length)
        return covariance

    def told(self, theta: Array, film: Film) -> dict[str, float]:
        """Quantities that follow from parameters.

        Parameters
        ----------
        theta : array, shape (parameters,)
        film : Film
            What is known of it decides which quantities follow.

        Returns
        -------
        dict of str to float
        """
        E, knobs = self.split(theta)
        with np.errstate(all="ignore"):  # an energy at the end of its span: no finite factor, which is left out
            at_ref = self.form.shape(np.array(self.V_ref), np.array(self.T_ref), E, knobs, self.T_ref)
            derived = self.form.derive(np.exp(theta[0]) / at_ref, E, knobs, film, self.T_ref)
        hidden = self.form.hidden_at_one_temperature if self.single else ()
        return {name: float(value) for name, value in derived.items() if name not in hidden}


def described(problem: Problem, solution: Solution, noise: Noise, film: Film) -> LawFit:
    """A solution as what it tells a reader; place and weight among other laws are still open.

    Parameters
    ----------
    problem : Problem
    solution : Solution
    noise : Noise
    film : Film
    """
    law, points = problem.law, problem.points
    n, k, count = points.V.size, problem.size, problem.size + 1
    aicc = n * math.log(solution.rss / n) + 2 * count + 2 * count * (count + 1) / (n - count - 1)
    told = problem.told(solution.theta, film)
    errors, correlation = _propagated(
        lambda theta: problem.told(theta, film), problem, solution.theta, problem.covariance(solution, noise)
    )
    names = [p.name for p in law.quantities if p.name in told and math.isfinite(told[p.name])]
    order = [list(told).index(name) for name in names]
    correlation = correlation[np.ix_(order, order)]
    quantities = []
    for name in names:
        p = law.quantity(name)
        static = film.static_permittivity if name == "relative_permittivity" else None
        high = p.high if static is None else static
        quantities.append(Quantity(name, told[name], errors[name], p.unit, p.meaning, p.low, high, p.why))
    return LawFit(
        law=law,
        form=problem.form,
        quantities=tuple(quantities),
        correlation=correlation,
        parameters=k,
        points=n,
        residual=math.sqrt(solution.rss / (n - k)),
        aicc=aicc,
        delta=0.0,
        weight=1.0,
        warnings=(
            *_undetermined(quantities),
            *_unphysical(quantities),
            *_degenerate(names, correlation),
            *checked(law, told, points.V, problem.T, film),
        ),
        theta=tuple(float(value) for value in solution.theta),
        V_ref=problem.V_ref,
        T_ref=problem.T_ref,
        single=problem.single,
    )


def _propagated(
    told: Callable[[Array], dict[str, float]], problem: Problem, theta: Array, covariance: Array
) -> tuple[dict[str, float], Array]:
    """Standard errors and correlation of the quantities, to first order."""
    names, steps, held = list(told(theta)), problem.steps(theta), problem.held(theta)
    slopes = np.zeros((len(names), theta.size))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for j in range(theta.size):
            up, down = theta.copy(), theta.copy()
            up[j] += steps[j]
            down[j] -= steps[j]
            above, below = told(up), told(down)
            slopes[:, j] = [(above[name] - below[name]) / (2.0 * steps[j]) for name in names]
        free = [j for j in range(theta.size) if not held[j]]
        spread = slopes[:, free] @ covariance[np.ix_(free, free)] @ slopes[:, free].T
        # what hangs on a number that ended at its bound has no error
        for j in (j for j, at_bound in enumerate(held) if at_bound):
            for row in np.flatnonzero(slopes[:, j]):
                spread[row, :] = spread[:, row] = np.nan
        errors = np.sqrt(np.diag(spread))
        correlation = spread / np.outer(errors, errors)
    return dict(zip(names, map(float, errors), strict=True)), correlation


def _undetermined(quantities: list[Quantity]) -> list[str]:
    names = [q.name for q in quantities if not q.determined]
    if not names:
        return []
    return [
        f"not determined by these data: {', '.join(names)} (within two standard errors of zero, or at the end of "
        "its range)"
    ]


def _unphysical(quantities: list[Quantity]) -> list[str]:
    said = []
    for q in quantities:
        if q.unphysical:
            low = q.value < q.low
            why = f" ({q.why})" if q.why else ""
            said.append(
                f"unphysical: {q.name} = {q}, {'below' if low else 'above'} {q.low if low else q.high:.3g}{why}"
            )
    return said


# one number said in two ways
_SAME = ({"lowering_at_1_V_eV", "relative_permittivity"}, {"gap_m", "gap_root_mass_m"})
# a factor at 1/T = 0 and its energy are always known only together: no news
_FACTORS = ("prefactor", "richardson", "attempt_density", "mobility_density", "emission_ratio", "trap_", "conduct")


def _degenerate(names: list[str], correlation: Array) -> list[str]:
    """Quantities that the data determine only together."""
    together: list[str] = []
    for i, j in itertools.combinations(range(len(names)), 2):
        if any(word in names[m] for m in (i, j) for word in _FACTORS) or {names[i], names[j]} in _SAME:
            continue
        if abs(correlation[i, j]) > TOGETHER:
            together += [names[m] for m in (i, j) if names[m] not in together]
    return [f"determined only together: {', '.join(together)} (correlation above {TOGETHER})"] if together else []
