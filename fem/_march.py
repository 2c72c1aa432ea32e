"""Compiled time integration: an error-controlled, two-stage, L-stable Runge-Kutta method of second order.

Plays a whole waveform without returning to Python: report times, corners, a current limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._transport import (
    LEFT,
    RIGHT,
    SOLVED,
    contact_potential,
    contacts,
    kernel,
    part,
    screening_over_capacitance,
    stage,
    substitute,
    supplied,
)

# both stages share one shape of the matrix; the second ends the step, so algebraic equations hold at its end
GAMMA = 1.0 - np.sqrt(0.5)
_LOCAL_ERROR = (3.0 * GAMMA**2 - 2.0 * GAMMA**3 - 1.0 / 6.0) / GAMMA  # of the step, over dt times [k0, k1, k2]
SAME_INSTANT_S = 1e-12  # report times nearer than this are one instant: rounding of a shifted clock
_SWITCH_S = 1e-6  # the instant at which the current limit sets in or ends is found this well
_GROWTH = 2.0

# how a run ended, besides the codes of a stage, which then follow from the last trial
DONE, CRAWL = 0, 10
# why the last trial was rejected, besides those codes
TIME_ERROR, SWITCH = 20, 21

# slots of Frame.circuit; over kT/q and C kT/q
WALL, DISPLACEMENT, ELECTRONS, CONTACT, LIMITED, SUPPLIED = range(6)
CIRCUIT = 6  # then the current and the content of each species

# slots of `log`
TIME, STEP, STEPS, REJECTED, REASON, RESIDUAL = range(6)
LOG = 6


class Frame(NamedTuple):
    """The film at one instant."""

    p: np.ndarray  # (S, n)
    t: np.ndarray  # (M, n)
    phi: np.ndarray  # (n,)
    rate: np.ndarray  # (S, n) 1/s
    held: np.ndarray  # (M, n) 1/s
    circuit: np.ndarray  # (CIRCUIT + 2 S,)


class Frames(NamedTuple):
    """Now, the two stages of a step, and what they start from."""

    now: Frame
    first: Frame
    second: Frame
    old_p: np.ndarray
    old_t: np.ndarray
    charge: np.ndarray  # (n,)


class Control(NamedTuple):
    """Of the steps."""

    tolerance: float
    longest_s: float
    first_s: float
    shortest_s: float
    sweeps: int
    converged: float
    budget: float
    single: bool  # backward Euler in place of the two stages; no error is known, so no step is refused
    adaptive: bool  # steps by error; else one between two report times


@kernel
def close(q, k, load, frame, old_w, old_supplied, tau):
    """Currents and contents at the end of a stage; `rate` and `held` are there already."""
    S, n, c = len(q.charge), q.volume.size, frame.circuit
    w, by_charge = c[WALL], screening_over_capacitance(q)
    contacts(q, k, frame.p, frame.phi, w)
    c[SUPPLIED] = supplied(q, frame.phi, w)
    c[DISPLACEMENT] = (w - old_w + by_charge * (c[SUPPLIED] - old_supplied)) / tau
    c[CONTACT] = contact_potential(q, load, frame.p, frame.t)
    c[ELECTRONS] = load.conductance * np.exp(c[CONTACT] / load.ideality) * w
    for s in range(S):
        moved, content = 0.5 * (k.contact[RIGHT, s, 0] - k.contact[LEFT, s, 0]), 0.0
        for i in range(n):
            moved += q.volume[i] * (0.5 - q.weight[i]) * frame.rate[s, i]
            content += q.volume[i] * frame.p[s, i]
        for m in range(q.host.size):
            if q.host[m] == s:
                for i in range(n):
                    moved += q.volume[i] * (0.5 - q.weight[i]) * frame.held[m, i]
                    content += q.volume[i] * frame.t[m, i]
        c[CIRCUIT + s] = q.charge[s] * by_charge * moved
        c[CIRCUIT + S + s] = content


@part
def implicit(q, k, load, u, guess, frame, old_w, old_supplied, tau, source, limit, control):
    """A stage into `frame`, with the source at its voltage, or at its current limit if it would exceed that.

    Returns how it ended and the last update.
    """
    S, n = len(q.charge), q.volume.size
    side = guess.circuit[LIMITED] if np.isfinite(limit) else 0.0
    forced = False
    while True:
        for i in range(n):
            frame.phi[i] = guess.phi[i]
            for s in range(S):
                frame.p[s, i] = guess.p[s, i]
        status, w, size = stage(
            q,
            k,
            frame.p,
            frame.t,
            frame.phi,
            guess.circuit[WALL],
            u.old_p,
            u.old_t,
            old_w,
            old_supplied,
            u.charge,
            tau,
            load,
            side * limit if side != 0.0 else source,
            side != 0.0,
            control.sweeps,
            control.converged,
        )
        if status != SOLVED:
            return status, size
        frame.circuit[WALL] = w
        for i in range(n):
            for s in range(S):
                frame.rate[s, i] = (frame.p[s, i] - u.old_p[s, i]) / tau
            for m in range(q.host.size):
                frame.held[m, i] = (frame.t[m, i] - u.old_t[m, i]) / tau
        close(q, k, load, frame, old_w, old_supplied, tau)
        frame.circuit[LIMITED] = side
        if side != 0.0:
            if forced or side * w < side * source:
                return status, size
            side = 0.0  # the limit has ended
            continue
        total = frame.circuit[DISPLACEMENT] + frame.circuit[ELECTRONS]
        for s in range(S):
            total += frame.circuit[CIRCUIT + s]
        if abs(total) <= limit * (1.0 + 1e-9):
            return status, size
        side, forced = np.sign(total), True


@part
def time_error(q, k, load, u, dt, tau):
    """Local error, damped by (1 - tau dF/dp)^-1 in what is stiff: of every density, and of the contact potential.

    Where the current is limited, also of the voltage of the device, which then follows a balance of its own.
    """
    S, n = len(q.charge), q.volume.size
    now, first, second = u.now, u.first, u.second
    scale = _LOCAL_ERROR * dt
    for i in range(n):
        for a in range(S + 1):
            k.column[i, a] = 0.0
    for s in range(S):
        for i in range(n):
            bend = (second.rate[s, i] - first.rate[s, i]) / (1.0 - GAMMA) - (first.rate[s, i] - now.rate[s, i]) / GAMMA
            k.column[i, s] = q.volume[i] / tau * scale * bend
    for m in range(q.host.size):
        s = q.host[m]
        for i in range(n):
            bend = (second.held[m, i] - first.held[m, i]) / (1.0 - GAMMA) - (first.held[m, i] - now.held[m, i]) / GAMMA
            c, crowd = q.capture[m, i], q.crowding[m, i]
            own = scale * bend / (1.0 + tau * (q.release[m] + c * crowd * second.p[s, i]))
            u.old_t[m, i] = own
            k.column[i, s] += q.volume[i] / tau * (scale * bend - own)
            k.column[i, S] -= q.volume[i] * q.screening * q.charge[s] * own
    substitute(q, k, k.column)
    worst, charged = 0.0, 0.0
    for s in range(S):
        for i in range(n):
            x = k.column[i, s]
            worst = max(worst, abs(x) / (q.scale[s] + abs(second.p[s, i])))
            charged += load.observe[i] * q.charge[s] * x
    for m in range(q.host.size):
        s = q.host[m]
        for i in range(n):
            c, crowd = q.capture[m, i], q.crowding[m, i]
            by_p = tau * c * (1.0 - crowd * second.t[m, i])
            by_p /= 1.0 + tau * (q.release[m] + c * crowd * second.p[s, i])
            x = u.old_t[m, i] + by_p * k.column[i, s]
            worst = max(worst, abs(x) / (q.scale[s] + abs(second.t[m, i])))
            charged += load.observe[i] * q.charge[s] * x
    worst = max(worst, abs(charged) / (1.0 + abs(second.circuit[CONTACT])))
    if second.circuit[LIMITED] != 0.0:  # then the charge of the contacts, over C kT/q, is an unknown with a rate
        old, mid, new = now.circuit[DISPLACEMENT], first.circuit[DISPLACEMENT], second.circuit[DISPLACEMENT]
        leak = load.conductance * np.exp(second.circuit[CONTACT] / load.ideality)
        bend = (new - mid) / (1.0 - GAMMA) - (mid - old) / GAMMA
        worst = max(worst, abs(scale * bend) / (1.0 + tau * leak) / (1.0 + abs(second.circuit[WALL])))
    return worst


@part
def step(q, k, load, u, dt, source_a, source_b, limit, control):
    """One step into `second`; status, error in tolerances (or the last update), whether the limit set in or ended."""
    S, n, now, first, second = len(q.charge), q.volume.size, u.now, u.first, u.second
    w, fed = now.circuit[WALL], now.circuit[SUPPLIED]
    tau = dt if control.single else GAMMA * dt
    ahead = (1.0 - GAMMA) / GAMMA
    guess, frame, source = now, second if control.single else first, source_b if control.single else source_a
    share = 0.0
    while True:
        for i in range(n):
            for s in range(S):
                u.old_p[s, i] = now.p[s, i] + share * (first.p[s, i] - now.p[s, i])
            for m in range(q.host.size):
                u.old_t[m, i] = now.t[m, i] + share * (first.t[m, i] - now.t[m, i])
        old_w = w + share * (first.circuit[WALL] - w)
        old_fed = fed + share * (first.circuit[SUPPLIED] - fed)
        status, size = implicit(q, k, load, u, guess, frame, old_w, old_fed, tau, source, limit, control)
        if status != SOLVED:
            return status, size, False
        if control.single:
            return status, 0.0, False
        if share != 0.0:
            break
        guess, frame, source, share = first, second, source_b, ahead
    switched = now.circuit[LIMITED] != first.circuit[LIMITED] or now.circuit[LIMITED] != second.circuit[LIMITED]
    return status, time_error(q, k, load, u, dt, tau) / control.tolerance, switched


@kernel
def play(q, k, load, u, times, corner, sources, limits, control, log, rows, densities, potentials):
    """From report time to report time; a row of the circuit for each, and the profiles if there is room for them.

    `sources` and `limits`, over kT/q and C kT/q, hold at the report times; a limit is that of the interval that ends
    there. log[STEP] is the step to begin with. With control.adaptive off, each interval is one step. Returns how it
    ended.
    """
    S, n, now, second = len(q.charge), q.volume.size, u.now, u.second
    for j in range(times.size):
        start = times[max(j - 1, 0)]
        stop, time, trials = times[j], start, 0
        if j > 0 and corner[j - 1]:
            log[STEP] = min(log[STEP], control.first_s)
        budget = control.budget + 10.0 * (stop - start) / control.longest_s
        while stop - time > SAME_INSTANT_S:
            left, trials = stop - time, trials + 1
            # two equal steps rather than a whole one and a sliver
            dt = left if log[STEP] >= left or not control.adaptive else min(log[STEP], 0.5 * left)
            slope = (sources[j] - sources[j - 1]) / (stop - start)
            source_a = sources[j - 1] + slope * (time - start + GAMMA * dt)
            source_b = sources[j - 1] + slope * (time - start + dt)
            log[TIME] = time
            status, error, switched = step(q, k, load, u, dt, source_a, source_b, limits[j], control)
            if status != SOLVED:
                accepted, change = False, 0.25
                log[REASON], log[RESIDUAL] = status, error
                if not control.adaptive:
                    return CRAWL
            else:
                accepted = error <= 1.0
                log[REASON], log[RESIDUAL] = TIME_ERROR, error
                change = min(_GROWTH, max(0.2, 0.9 * max(error, 1e-12) ** (-1 / 3)))
                if switched and dt > _SWITCH_S:
                    accepted, change = False, max(0.25, _SWITCH_S / dt)
                    log[REASON] = SWITCH
                accepted = accepted or not control.adaptive
            if accepted:
                for i in range(n):
                    now.phi[i] = second.phi[i]
                    for s in range(S):
                        now.p[s, i], now.rate[s, i] = second.p[s, i], second.rate[s, i]
                    for m in range(q.host.size):
                        now.t[m, i], now.held[m, i] = second.t[m, i], second.held[m, i]
                for a in range(now.circuit.size):
                    now.circuit[a] = second.circuit[a]
                log[STEPS] += 1
                time += dt
                log[TIME] = time
                # a step cut short by a report time says nothing about how far the next may reach
                wanted = max(log[STEP], dt * change) if dt < log[STEP] else dt * change
                log[STEP] = min(control.longest_s, wanted)
            else:
                log[REJECTED] += 1
                log[STEP] = dt * change
            if log[STEP] < control.shortest_s or trials > budget:
                return CRAWL
        for a in range(now.circuit.size):
            rows[j, a] = now.circuit[a]
        if densities.shape[0] > 0:
            for i in range(n):
                potentials[j, i] = now.phi[i]
                for s in range(S):
                    densities[j, s, i] = now.p[s, i]
    return DONE
