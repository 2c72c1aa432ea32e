"""How a film is advanced in time: to a waveform by the compiled integrator, or to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import ConvergenceError, InputError
from . import _march, _transport
from .equations import CONVERGED, Equations, State, failure

__all__ = ["Record", "control", "play", "relaxed"]

Array = NDArray[np.float64]

_AT_REST = 1e-8  # relative change of a density in one stage of 1e12 times the transit time
_WALL_STEP = 5.0  # of the wall potential in one stage on the way to rest, kT/q
_STAGE_BUDGET = 10_000  # stages on the way to rest
_SHORTEST_STEP_S = 1e-14
_PARTS, _PART = 100, 20  # of a run that tells its progress, and the report times that one has at least: costs 1 %
_SAME_VOLTAGE = 1e-3  # kT/q that rounding of a clock may move a steep edge by
_STEP_BUDGET = 50_000  # trials between two report times, beside ten for each longest step: ends a crawl


def relaxed(equations: Equations, state: State, wall: float) -> State:
    """Steady state with the left wall at a potential (kT/q), by stages that grow beyond every time of the equations.

    Parameters
    ----------
    equations : Equations
    state : State
        Where to start; its wall moves to `wall` step by step.
    wall : float, kT/q

    Raises
    ------
    ConvergenceError
        If it does not come to rest.
    """
    fastest = max(float(np.max(carrier.diffusivity_m2_s)) for carrier in equations.carriers)
    transit = equations.length**2 / fastest
    tau, last, work = 1e-9 * transit, 1e12 * transit, equations.work()
    change, stages = np.inf, 0
    while tau < last or change > _AT_REST:
        stages += 1
        moved = state.wall + float(np.clip(wall - state.wall, -_WALL_STEP, _WALL_STEP))
        try:
            new = equations.solve(state, state, tau, wall=moved, sweeps=40, work=work)
        except ConvergenceError:
            tau *= 0.1
            if tau < 1e-20 * transit or stages > _STAGE_BUDGET:
                raise
            continue
        scale = equations.problem.scale[:, None]
        change = float((np.abs(new.p - state.p) / (scale + np.abs(new.p))).max()) + abs(wall - moved)
        if moved == wall:
            tau *= 10.0 if change < 0.3 else 2.0
        state = new
        if tau > 1e6 * last or stages > _STAGE_BUDGET:
            raise ConvergenceError(
                f"The film did not come to rest in {stages} stages",
                got=f"a relative change of {change:.3g} in the last one",
                allowed=f"< {_AT_REST:g}",
                action="A charge that no contact can supply never rests",
            )
    return state


class Record(NamedTuple):
    """What the compiled integrator reports: rows of the circuit, profiles if kept, and where it ended.

    Attributes
    ----------
    rows : array, shape (times, slots), over kT/q and C kT/q
        Circuit at each report time, in the slots of the compiled integrator.
    densities : array, shape (times, species, cells)
        Over the reference density; no times if profiles are not kept.
    potentials : array, shape (times, cells), kT/q
    end : State
    steps, rejected : int
        Time steps taken and refused.
    """

    rows: Array  # (times, slots of the circuit), over kT/q and C kT/q
    densities: Array  # (times, species, cells)
    potentials: Array  # (times, cells)
    end: State
    steps: int
    rejected: int


def control(**choices: Any) -> _march.Control:
    """How the integrator chooses its steps: the usual numbers, and those that the caller gives.

    Parameters
    ----------
    **choices
        ``tolerance`` (local error), ``longest_s``, ``first_s``, ``shortest_s`` (steps, s), ``sweeps`` (Newton updates
        of a stage), ``converged`` (their last relative update), ``budget`` (trials between two report times),
        ``single`` (backward Euler), ``adaptive`` (steps by error, else one between two report times).
    """
    usual: dict[str, Any] = {
        "tolerance": 1e-3,
        "longest_s": np.inf,
        "first_s": 1e-6,
        "shortest_s": _SHORTEST_STEP_S,
        "sweeps": 20,
        "converged": CONVERGED,
        "budget": float(_STEP_BUDGET),
        "single": False,
        "adaptive": True,
    }
    return _march.Control(**(usual | choices))


def play(
    equations: Equations,
    frames: _march.Frames,
    times_s: Array,
    sources: Array,
    control: _march.Control,
    *,
    limits: Array | None = None,
    corners: NDArray[np.bool_] | None = None,
    load: _transport.Load | None = None,
    profiles: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Record:
    """From report time to report time with the compiled integrator.

    Parameters
    ----------
    equations : Equations
        What is solved.
    frames : Frames
        Of :meth:`Equations.frames`; `now` moves on.
    times_s, sources : array, shape (times,), s and kT/q
        Report times, and the voltage of the source there, linear between.
    control : Control
        Of :func:`control`.
    limits : array, shape (times,), over C kT/q, 1/s, optional
        Largest current in the interval that ends at each time.
    corners : array of bool, shape (times,), optional
        Where the voltage bends, so that steps begin small again.
    load : Load, optional
        Electrons beside the species.
    profiles : bool
        Keep densities and potential at every report time.
    progress : callable (time_s), optional
        Called at most a hundred times or so, with a report time that is done; the numbers are the same to the last bit.

    Raises
    ------
    InputError
        If an edge is shorter than 1e-12 s: report times that near are one instant.
    ConvergenceError
        If the time step falls below its least or the trials exceed their budget: says when, carries the last residual.
    """
    # copies: a read-only array is another type to the compiler, which would then compile once more
    times = np.array(times_s, dtype=float, order="C")
    edges = np.abs(np.diff(np.broadcast_to(sources, times.shape)))[np.diff(times) <= _march.SAME_INSTANT_S]
    if (edges > _SAME_VOLTAGE).any():
        raise InputError(
            "The voltage changes within what counts as one instant",
            got=f"{edges.max():.3g} kT/q within {_march.SAME_INSTANT_S:g} s or less",
            action="Make the edge longer",
        )
    species, kept = len(equations.carriers), times.size if profiles else 0
    rows, log = np.zeros((times.size, frames.now.circuit.size)), np.zeros(_march.LOG)
    densities, potentials = np.zeros((kept, species, equations.cells)), np.zeros((kept, equations.cells))
    log[_march.STEP] = control.first_s
    fixed = equations.problem, equations.work(), load or equations.no_load(), frames
    at_times = (
        times,
        np.zeros(times.size, dtype=bool) if corners is None else corners,
        np.array(np.broadcast_to(sources, times.shape), dtype=float, order="C"),
        np.full(times.size, np.inf) if limits is None else np.array(limits, dtype=float, order="C"),
    )
    length = times.size if progress is None else max(_PART, times.size // _PARTS)
    for begin in range(0, max(times.size, 1), length):
        # from the report time before, where nothing is left to do but to report it once more
        part = slice(max(begin - 1, 0), begin + length)
        kept_part = part if profiles else slice(0, 0)
        status = _march.play(
            *fixed,
            *(values[part] for values in at_times),
            control,
            log,
            rows[part],
            densities[kept_part],
            potentials[kept_part],
        )
        if status != _march.DONE:
            break
        if progress is not None:
            progress(float(times[min(begin + length, times.size) - 1]))
    if status != _march.DONE:
        raise ConvergenceError(
            f"The film could not be advanced beyond t = {log[_march.TIME]:.9g} s",
            got=_reason(log),
            allowed=f"a time step of at least {control.shortest_s:g} s, {control.budget:g} trials between two times",
            action="Raise sweeps, tolerance or cells, or smooth the waveform",
        )
    now = frames.now
    end = State(now.p.copy(), now.t.copy(), now.phi.copy(), float(now.circuit[_march.WALL]))
    return Record(rows, densities, potentials, end, int(log[_march.STEPS]), int(log[_march.REJECTED]))


def _reason(log: Array) -> str:
    """Why the compiled integrator rejected its last trial, from its log."""
    status, number = int(log[_march.REASON]), log[_march.RESIDUAL]
    if status == _march.TIME_ERROR:
        return f"a time error of {number:.3g} tolerances"
    if status == _march.SWITCH:
        return "a current limit that sets in or ends"
    return f"a Newton iteration that {failure(status)}, with a last update of {number:.3g}"
