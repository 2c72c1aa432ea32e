"""Fit every conduction law to one branch and rank them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ConvergenceError, InputError
from . import noise as noises
from .doubts import doubts
from .film import Film
from .laws import LAWS, law
from .measurement import SAME_TEMPERATURE_K, Branch, select
from .noise import Noise
from .result import CLOSE, Conduction, LawFit
from .solving import Problem, described

__all__ = ["fit"]

Array = NDArray[np.float64]

FEWEST_POINTS = 10


def fit(
    data: xr.Dataset,
    *,
    thickness_m: float | None = None,
    area_m2: float | None = None,
    branch: Branch | None = None,
    laws: Iterable[str] | None = None,
    static_permittivity: float | None = None,
    effective_mass: float | None = None,
    relative_noise: float | None = None,
    floor_A: float | None = None,
) -> Conduction:
    r"""Fit conduction laws to current-voltage curves at one or several temperatures and rank them.

    Parameters
    ----------
    data : xarray.Dataset
        Variables ``voltage`` (V), ``current`` (A), ``temperature`` (K); see :func:`measurement`, :func:`read_csv`.
    thickness_m : float, m, > 0, optional
        Of the film. What needs it (permittivity, hop length, mobility ...) is left out without it.
    area_m2 : float, m^2, > 0, optional
        That carries the current. What needs it (conductivity, Richardson constant ...) is left out without it.
    branch : Branch, optional
        Default: positive voltage, sweep up, from 3 kT/q.
    laws : iterable of str, optional
        Names; all nine if not given.
    static_permittivity : float, 1, >= 1, optional
        Relative, of the film. Turns space-charge-limited currents into mobilities and trap densities, and bounds
        the permittivity of barrier lowering.
    effective_mass : float, 1, > 0, optional
        In electron masses. With it, tunnelling barriers come from the field dependence alone; without it, from
        the size of the current too, which trusts the area.
    relative_noise, floor_A : float, 1 and A, optional
        Of the instrument; estimated from the scatter of neighbouring points if not given.

    Returns
    -------
    Conduction
        The ranking, with quantities, errors and warnings.

    Raises
    ------
    InputError
        If the branch is empty or has fewer than 10 points or 5 voltages, if a law is unknown, or a number out of
        range.
    ConvergenceError
        If no law can be fitted.

    Notes
    -----
    Least squares of :math:`y = \sinh^{-1}(I / I_c)`, where readings that scatter by
    :math:`\sqrt{(s M)^2 + f^2}` about a current M have the same variance if :math:`I_c = f / s`: a fit in log
    current that takes readings near or below the noise floor as they are. All temperatures share one set of
    parameters. Starting values come from a grid over the shape of the law, with factor and energy by linear
    regression.

    Laws are ranked by :math:`\mathrm{AICc} = n \ln(\mathrm{RSS}/n) + 2k + 2k(k+1)/(n-k-1)`: n is the number of
    points, spikes left out; k counts the parameters of the law and one for the variance of the noise, which is
    fitted. Of the forms of a law the one with the lowest AICc counts. Among laws within 2 of the lowest the one with
    the fewest parameters goes first (Arnold2010), so that a law does not lose to one of which it is the limit.

    Akaike weights compare the fitted laws with each other and assume independent residuals: they say nothing
    about laws that are not among them. The warnings tell when even the best one does not describe the data.

    References
    ----------
    .. [1] F.-C. Chiu, Adv. Mater. Sci. Eng. 2014, 578168.
    .. [2] K. P. Burnham and D. R. Anderson, Model Selection and Multimodel Inference, 2nd ed., Springer, 2002.
    .. [3] B. P. Durbin et al., Bioinformatics 18, S105 (2002).
    .. [4] T. W. Arnold, J. Wildl. Manage. 74, 1175 (2010).

    Examples
    --------
    >>> from halidrift.physics import conduction
    >>> data = conduction.example("schottky", rng=1)
    >>> found = conduction.fit(data, thickness_m=200e-9, area_m2=1e-8)
    >>> found.best.name, str(found.best.quantity("barrier_eV"))
    ('schottky', '0.6509 ± 0.0012')
    """
    film = Film(thickness_m, area_m2, static_permittivity, effective_mass)
    for name, value in (("relative_noise", relative_noise), ("floor_A", floor_A)):
        if value is not None and not (math.isfinite(value) and (value > 0 or (name == "floor_A" and value == 0))):
            raise InputError(f"{name} is out of range", got=value, allowed="> 0")
    chosen = LAWS if laws is None else tuple(law(name) for name in dict.fromkeys(laws))
    if not chosen:
        raise InputError("No law to fit", allowed=", ".join(entry.name for entry in LAWS))
    branch = Branch() if branch is None else branch
    every = select(data, branch)
    noise, keep = noises.estimate(every, relative_noise=relative_noise, floor_A=floor_A)
    points, spikes = every.keep(keep), every.keep(~keep)
    if points.I.size and np.median(points.I) <= 0:
        raise InputError(
            "The current flows against the voltage",
            got=f"median {np.median(points.I):.3g} A on the branch, {branch}",
            allowed="> 0 A: a passive film",
            action="Check the sign of the current column",
        )
    if points.V.size < FEWEST_POINTS or np.unique(points.V).size < 5:
        raise InputError(
            "Too few points on the branch",
            got=f"{points.V.size} points at {np.unique(points.V).size} voltages, {branch}",
            allowed=f">= {FEWEST_POINTS} points at >= 5 voltages",
            action="Choose a wider window or both sweeps",
        )
    temperatures = _temperatures(points.T)
    single = len(temperatures) == 1
    problems = [Problem(entry, form, points, single) for entry in chosen for form in entry.forms]
    problems = [problem for problem in problems if points.V.size > problem.size + 3]
    if floor_A is None and noise.relative is not None:
        noise = _with_floor(problems, noise)
    ranking = _ranked(_fits(problems, noise, film))
    return Conduction(
        ranking,
        branch,
        film,
        noise,
        points,
        spikes,
        temperatures,
        doubts(ranking, points, spikes, noise, film, temperatures),
    )


def _temperatures(T: Array) -> tuple[float, ...]:
    """Set temperatures: readings within the scatter of a cryostat are one; a slow ramp is many."""
    ordered, groups = np.sort(T), []
    while ordered.size:
        near = ordered <= ordered[0] + SAME_TEMPERATURE_K
        groups.append(float(ordered[near].mean()))
        ordered = ordered[~near]
    return tuple(groups)


def _fits(problems: Sequence[Problem], noise: Noise, film: Film) -> list[LawFit]:
    """The best form of each law."""
    best: dict[str, LawFit] = {}
    for problem in problems:
        solution = problem.solve(noise)
        if solution is None:
            continue
        found = described(problem, solution, noise, film)
        if found.name not in best or found.aicc < best[found.name].aicc:
            best[found.name] = found
    if not best:
        raise ConvergenceError(
            "No law could be fitted",
            got=f"{len(problems)} formulas without a finite residual",
            action="Check the branch and its window",
        )
    return list(best.values())


def _with_floor(problems: Sequence[Problem], noise: Noise) -> Noise:
    """The noise with the floor of largest likelihood, by the law that describes the readings best.

    Neighbours see a floor only in the steepest, lowest few points of a sweep and so tell it badly. The axis is the
    same for all laws and the floor counts for each of them, so it favours none.
    """
    solved = [(problem, solution) for problem in problems if (solution := problem.solve(noise)) is not None]
    if not solved:
        return noise
    n = problems[0].points.V.size
    problem, solution = min(solved, key=lambda pair: n * math.log(pair[1].rss / n) + 2 * pair[0].size)
    size = np.abs(problem.points.I)
    least, most = 1e-3 * float(size[size > 0].min()), float(np.quantile(size, 0.75))
    if (problem.points.I <= 0).any():
        least = 0.1 * noise.bend_A
    theta, costs, tried = solution.theta, [], []
    for bend in np.geomspace(least, max(most, 10.0 * least), 24)[::-1]:
        assert noise.relative is not None
        candidate = replace(noise, bend_A=float(bend), floor_A=float(bend) * noise.relative)
        again = problem.solve(candidate, theta)
        if again is None:
            continue
        theta = again.theta
        # likelihood of the readings: the axis is stretched by dy/dI = 1 / sqrt(I^2 + bend^2)
        stretch = 0.5 * float(np.sum(np.log(problem.points.I**2 + bend**2)))
        costs.append(0.5 * n * math.log(again.rss / n) + stretch)
        tried.append(candidate)
    if not tried:
        return noise
    # the lowest floor changes no reading: where the readings do not ask for more, there is none to be seen
    if costs[-1] < min(costs) + 1.0 and (problem.points.I > 0).all():
        return replace(tried[-1], floor_A=0.0)
    return tried[int(np.argmin(costs))]


# -- the ranking -------------------------------------------------------------------------------------------------


def _ranked(fits: list[LawFit]) -> tuple[LawFit, ...]:
    lowest = min(found.aicc for found in fits)
    raw = [math.exp(-0.5 * (found.aicc - lowest)) for found in fits]
    placed = [
        replace(found, delta=found.aicc - lowest, weight=share / sum(raw))
        for found, share in zip(fits, raw, strict=True)
    ]

    def order(found: LawFit) -> tuple[float, ...]:
        if found.delta < CLOSE:
            strange = sum(q.unphysical for q in found.quantities)
            # rounding must not decide between two names of one formula
            return (0, found.parameters, strange, round(found.delta, 3))
        return (1, found.delta)

    return tuple(sorted(placed, key=order))
