"""Compiled implicit stage of coupled Poisson and Nernst-Planck equations on a line of cells.

Unknowns of a cell: densities p_s over a reference density, then the potential over kT/q, at the end. Lengths and
times in m and s. Exponential (Scharfetter-Gummel) fluxes, full Newton, block-tridiagonal elimination. Populations that
do not move are eliminated inside their cell, so they do not widen the blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

# Nothing compiled here allocates, so no references to the arrays are counted: a tenth to a third of the time of a step.
# A `kernel` is called from Python and cached; a `part` is compiled into the kernels that call it, without an entry from
# Python, which costs more to compile than most of them. Called from Python it runs as the Python it is.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
kernel = njit(cache=True, **_OPTIONS)
part = register_jitable(no_cpython_wrapper=True, **_OPTIONS)

LEFT, RIGHT = 0, 1

# what ended an iteration
SOLVED, TOO_MANY_SWEEPS, NOT_FINITE, SINGULAR = 0, 1, 2, 3

_SERIES = 1e-2  # |x| below which the power series is exact to rounding and the closed form is not
_LARGEST_EXPONENT = 500.0
_DAMPING = 5.0  # largest change of the scaled potential in one Newton update, kT/q


class Problem(NamedTuple):
    """What is solved. S species, M immobile populations, E carriers in quasi-equilibrium, n cells, n + 1 faces."""

    charge: tuple  # (S,) charge numbers; a tuple, so that the compiler knows how many there are
    scale: np.ndarray  # (S,) density that errors are measured against, besides the density itself
    volume: np.ndarray  # (n,) m
    displacement: np.ndarray  # (n + 1,) permittivity over distance at each face, 1/m
    weight: np.ndarray  # (n,) potential of a cell without charge while the left wall is at 1 (Ramo-Shockley)
    screening: float  # charge density to curvature of the potential, 1/m^2
    fixed: np.ndarray  # (n,) charge that never moves
    mobility: np.ndarray  # (S, n + 1) diffusivity over distance at each face, m/s
    offset: np.ndarray  # (S, n) energy, kT
    filling: np.ndarray  # (S, n) reference density over site density; 0 is no steric limit
    hindrance: (
        np.ndarray
    )  # (S, 2) one over the rate of exchange with the contacts, s/m; 0 fixes the density, inf blocks
    reservoir: np.ndarray  # (S, 2) density in equilibrium with the contact
    step: np.ndarray  # (S, 2) energy at the contact, steric part included, kT
    source: np.ndarray  # (S, n) generation, 1/s
    pair: np.ndarray  # (2,) species that recombine with each other
    recombination: np.ndarray  # (n,) rate coefficient, 1/s
    balance: np.ndarray  # (n,) product of the pair's densities that does not recombine
    host: np.ndarray  # (M,) species that a population is trapped from
    release: np.ndarray  # (M,) 1/s
    capture: np.ndarray  # (M, n) 1/s
    crowding: np.ndarray  # (M, n) one over the density of traps; 0 is no limit
    level_charge: np.ndarray  # (E,)
    level: np.ndarray  # (E, n) density where the potential is that of its contact
    level_wall: np.ndarray  # (E,) which contact that is


class Work(NamedTuple):
    """Scratch: the matrix in factored form and what each cell holds; B = S + 1."""

    diagonal: np.ndarray  # (n, B, B) LU factors
    upper: np.ndarray  # (n, B, B) diagonal^-1 times the block to the right
    lower: np.ndarray  # (n, B, 2) block to the left: own column, potential column
    column: np.ndarray  # (n, B) right-hand side, then solution
    second: np.ndarray  # (n, B) the same for a unit more of potential at the left wall
    row: np.ndarray  # (n, B) derivative of the current
    excess: np.ndarray  # (S, n) energy over kT, steric part included
    stiffness: np.ndarray  # (S, n) derivative of the steric part
    base: np.ndarray  # (S, n) trapped in this stage without mobile ions
    gain: np.ndarray  # (S, n) and for each one
    contact: np.ndarray  # (2, S, 3) outward flux, its derivatives by density and potential of the cell


class Load(NamedTuple):
    """A source behind a current limit, and the electronic conductance beside the film, over C kT/q."""

    conductance: float  # 1/s, with the ions at rest
    ideality: float
    observe: np.ndarray  # (n,) weights that make the contact potential of the charge in each cell


@part
def bernoulli(x):
    """B(x), B(-x), B'(x), B'(-x) of the Bernoulli function x / (exp(x) - 1)."""
    a = abs(x)
    if a < _SERIES:
        b = 1.0 - a / 2 + a**2 / 12 - a**4 / 720
        s = -0.5 + a / 6 - a**3 / 180 + a**5 / 5040
    else:
        c = min(a, _LARGEST_EXPONENT)  # of the exponential alone: against the field the flux vanishes, along it grows
        b = c / np.expm1(c)
        s = b / c * (1.0 - b - c)
    if x >= 0.0:
        return b, b + a, s, -1.0 - s
    return b + a, b, -1.0 - s, s


@kernel
def contacts(q, k, p, phi, w):
    """Outward fluxes at both contacts, and their derivatives by density and potential of the cell, into `contact`."""
    for side in range(2):
        i = 0 if side == LEFT else q.volume.size - 1
        potential = w if side == LEFT else 0.0
        for s in range(len(q.charge)):
            m, hindrance = q.mobility[s, 0 if side == LEFT else i + 1], q.hindrance[s, side]
            if m == 0.0 or np.isinf(hindrance):
                k.contact[side, s, 0] = k.contact[side, s, 1] = k.contact[side, s, 2] = 0.0
                continue
            f, reservoir = q.filling[s, i], q.reservoir[s, side]
            drop = q.charge[s] * (potential - phi[i]) + q.step[s, side] - q.offset[s, i]
            if f > 0.0:
                drop += np.log1p(-f * p[s, i])
            b, b_back, d, d_back = bernoulli(drop)
            resistance = 1.0 / m + hindrance * b_back
            flux = (p[s, i] * b - reservoir * b_back) / resistance
            slope = (p[s, i] * d + (reservoir + flux * hindrance) * d_back) / resistance
            k.contact[side, s, 0] = flux
            k.contact[side, s, 1] = b / resistance - slope * f / (1.0 - f * p[s, i])
            k.contact[side, s, 2] = -q.charge[s] * slope


@part
def trap(q, k, p, old, tau):
    """What the immobile populations take in a stage: base + gain p, linearised about p; whether that was necessary."""
    crowded = False
    for s in range(len(q.charge)):
        for i in range(q.volume.size):
            k.base[s, i] = k.gain[s, i] = 0.0
    for m in range(q.host.size):
        s, r = q.host[m], q.release[m]
        for i in range(q.volume.size):
            c, crowd = q.capture[m, i], q.crowding[m, i]
            crowded = crowded or crowd > 0.0
            room = tau / (1.0 + tau * (r + c * crowd * p[s, i]))
            taken = room * (c * p[s, i] * (1.0 - crowd * old[m, i]) - r * old[m, i])
            gain = room * c * (1.0 - crowd * (old[m, i] + taken))
            k.gain[s, i] += gain
            k.base[s, i] += taken - gain * p[s, i]
    return crowded


@part
def fill(q, p, old, new, tau):
    """The immobile populations at the end of a stage."""
    for m in range(q.host.size):
        s, r = q.host[m], q.release[m]
        for i in range(q.volume.size):
            c, crowd = q.capture[m, i], q.crowding[m, i]
            taken = c * p[s, i] * (1.0 - crowd * old[m, i]) - r * old[m, i]
            new[m, i] = old[m, i] + tau * taken / (1.0 + tau * (r + c * crowd * p[s, i]))


@part
def charge_of(q, i, p, t):
    """Charge of one cell without the carriers in quasi-equilibrium, over that of a reference density."""
    charge = q.fixed[i]
    for s in range(len(q.charge)):
        charge += q.charge[s] * p[s, i]
    for m in range(q.host.size):
        charge += q.charge[q.host[m]] * t[m, i]
    return charge


@kernel
def factor(q, k, p, phi, w, old_p, charge, tau):
    """Assemble the matrix and minus the residual of a stage, and eliminate downwards. False if a pivot vanishes.

    `charge` (n,) is all that neither moves nor depends on p: fixed charge and populations before the stage.
    """
    S, n = len(q.charge), q.volume.size
    B = len(q.charge) + 1
    for s in range(S):
        for i in range(n):
            f = q.filling[s, i]
            if f > 0.0:
                k.excess[s, i] = q.offset[s, i] - np.log1p(-f * p[s, i])
                k.stiffness[s, i] = f / (1.0 - f * p[s, i])
            else:
                k.excess[s, i] = q.offset[s, i]
                k.stiffness[s, i] = 0.0
    contacts(q, k, p, phi, w)
    # the diagonal and the right-hand side of a cell are begun by its left face
    for a in range(B):
        k.column[0, a] = 0.0
        for b in range(B):
            k.diagonal[0, a, b] = 0.0
    for s in range(S):
        k.column[0, s] = -k.contact[LEFT, s, 0]
        k.diagonal[0, s, s] = k.contact[LEFT, s, 1]
        k.diagonal[0, s, S] = k.second[0, s] = k.contact[LEFT, s, 2]
    c = q.displacement[0]
    k.column[0, S] = -c * (w - phi[0])
    k.diagonal[0, S, S] = -c
    k.second[0, S] = -c
    for i in range(n):
        last = i == n - 1
        h = q.volume[i]
        local = charge[i]
        kappa = h * q.screening
        for s in range(S):
            z = q.charge[s]
            storage = h / tau
            held = k.base[s, i] + k.gain[s, i] * p[s, i]
            k.column[i, s] -= storage * (p[s, i] - old_p[s, i] + held) - h * q.source[s, i]
            k.diagonal[i, s, s] += storage * (1.0 + k.gain[s, i])
            local += z * (p[s, i] + held)
            k.diagonal[i, S, s] += kappa * z * (1.0 + k.gain[s, i])
            if last:
                k.column[i, s] -= k.contact[RIGHT, s, 0]
                k.diagonal[i, s, s] += k.contact[RIGHT, s, 1]
                k.diagonal[i, s, S] += k.contact[RIGHT, s, 2]
            else:
                m = q.mobility[s, i + 1]
                drop = z * (phi[i + 1] - phi[i]) + k.excess[s, i + 1] - k.excess[s, i]
                b, b_back, d, d_back = bernoulli(drop)
                here, there = p[s, i], p[s, i + 1]
                flux = m * (here * b - there * b_back)
                slope = m * (here * d + there * d_back)
                by_here = m * b - slope * k.stiffness[s, i]
                by_there = -m * b_back + slope * k.stiffness[s, i + 1]
                k.column[i, s] -= flux
                k.diagonal[i, s, s] += by_here
                k.diagonal[i, s, S] -= z * slope
                for a in range(B):
                    k.upper[i, s, a] = 0.0
                k.upper[i, s, s] = by_there
                k.upper[i, s, S] = z * slope
                k.column[i + 1, s] = flux
                for a in range(B):
                    k.diagonal[i + 1, s, a] = 0.0
                k.diagonal[i + 1, s, s] = -by_there
                k.diagonal[i + 1, s, S] = -z * slope
                k.lower[i + 1, s, 0] = -by_here
                k.lower[i + 1, s, 1] = z * slope
                k.second[i + 1, s] = 0.0
        if q.recombination[i] != 0.0:
            a, b, rate = q.pair[0], q.pair[1], q.recombination[i] * h
            lost = rate * (p[a, i] * p[b, i] - q.balance[i])
            k.column[i, a] -= lost
            k.column[i, b] -= lost
            k.diagonal[i, a, a] += rate * p[b, i]
            k.diagonal[i, a, b] += rate * p[a, i]
            k.diagonal[i, b, a] += rate * p[b, i]
            k.diagonal[i, b, b] += rate * p[a, i]
        for e in range(q.level_charge.size):
            z = q.level_charge[e]
            left = q.level_wall[e] == LEFT
            density = z * q.level[e, i] * np.exp(-z * (phi[i] - (w if left else 0.0)))
            local += density
            k.diagonal[i, S, S] -= kappa * z * density
            if left:
                k.second[i, S] -= kappa * z * density
        c = q.displacement[i + 1]
        k.column[i, S] -= kappa * local
        k.diagonal[i, S, S] -= c
        if last:
            k.column[i, S] -= c * (0.0 - phi[i])
        else:
            drop = c * (phi[i + 1] - phi[i])
            k.column[i, S] -= drop
            k.column[i + 1, S] = drop
            for a in range(B):
                k.upper[i, S, a] = 0.0
                k.diagonal[i + 1, S, a] = 0.0
            k.upper[i, S, S] = c
            k.diagonal[i + 1, S, S] = -c
            k.lower[i + 1, S, 0] = 0.0
            k.lower[i + 1, S, 1] = c
            k.second[i + 1, S] = 0.0
        # eliminate
        if i > 0:
            for a in range(B):
                own, far = k.lower[i, a, 0], k.lower[i, a, 1]
                for b in range(B):
                    k.diagonal[i, a, b] -= own * k.upper[i - 1, a, b] + far * k.upper[i - 1, S, b]
        for a in range(B):
            pivot = k.diagonal[i, a, a]
            if pivot == 0.0:
                return False
            for b in range(a + 1, B):
                share = k.diagonal[i, b, a] / pivot
                k.diagonal[i, b, a] = share
                for c_ in range(a + 1, B):
                    k.diagonal[i, b, c_] -= share * k.diagonal[i, a, c_]
        if not last:
            for a in range(B):
                for b in range(a):
                    for c_ in range(B):
                        k.upper[i, a, c_] -= k.diagonal[i, a, b] * k.upper[i, b, c_]
            for a in range(B - 1, -1, -1):
                for b in range(a + 1, B):
                    for c_ in range(B):
                        k.upper[i, a, c_] -= k.diagonal[i, a, b] * k.upper[i, b, c_]
                inverse = 1.0 / k.diagonal[i, a, a]
                for c_ in range(B):
                    k.upper[i, a, c_] *= inverse
    return True


@part
def substitute(q, k, x):
    """Solve with the factored matrix, in place; x of shape (n, B)."""
    S, n = len(q.charge), q.volume.size
    B = len(q.charge) + 1
    for i in range(n):
        if i > 0:
            for a in range(B):
                x[i, a] -= k.lower[i, a, 0] * x[i - 1, a] + k.lower[i, a, 1] * x[i - 1, S]
        for a in range(B):
            for b in range(a):
                x[i, a] -= k.diagonal[i, a, b] * x[i, b]
        for a in range(B - 1, -1, -1):
            for b in range(a + 1, B):
                x[i, a] -= k.diagonal[i, a, b] * x[i, b]
            x[i, a] /= k.diagonal[i, a, a]
    for i in range(n - 2, -1, -1):
        for a in range(B):
            for b in range(B):
                x[i, a] -= k.upper[i, a, b] * x[i + 1, b]


@part
def screening_over_capacitance(q):
    """1/m; the geometric capacitance over the reference permittivity and the area."""
    series = 0.0
    for i in range(q.displacement.size):
        series += 1.0 / q.displacement[i]
    return q.screening * series


@part
def contact_potential(q, load, p, t):
    """What the charge does to the injection barrier, kT/q."""
    total = 0.0
    for i in range(q.volume.size):
        total += load.observe[i] * charge_of(q, i, p, t)
    return total


@kernel
def supplied(q, phi, w):
    """Charge on the left terminal on account of the carriers in quasi-equilibrium, over C kT/q."""
    total = 0.0
    for e in range(q.level_charge.size):
        z = q.level_charge[e]
        left = q.level_wall[e] == LEFT
        for i in range(q.volume.size):
            density = z * q.level[e, i] * np.exp(-z * (phi[i] - (w if left else 0.0)))
            total += q.volume[i] * density * ((1.0 if left else 0.0) - q.weight[i])
    return total


@part
def current_row(q, k, load, p, t, phi, w, old_p, old_w, old_supplied, tau, by_charge):
    """Total current over C kT/q; its derivative by w, and those by every unknown into `row`.

    `by_charge` is the screening over the geometric capacitance, 1/m.
    """
    S, n = len(q.charge), q.volume.size
    G = load.conductance * np.exp(contact_potential(q, load, p, t) / load.ideality)
    total = (w - old_w + by_charge * (supplied(q, phi, w) - old_supplied)) / tau + G * w
    by_w = 1.0 / tau + G
    for i in range(n):
        k.row[i, S] = 0.0
        share = by_charge * q.volume[i] * (0.5 - q.weight[i]) / tau
        for s in range(S):
            total += q.charge[s] * share * (p[s, i] - old_p[s, i] + k.base[s, i] + k.gain[s, i] * p[s, i])
            by_p = share + load.observe[i] * G * w / load.ideality
            k.row[i, s] = q.charge[s] * by_p * (1.0 + k.gain[s, i])
        for e in range(q.level_charge.size):
            z = q.level_charge[e]
            left = q.level_wall[e] == LEFT
            density = z * q.level[e, i] * np.exp(-z * (phi[i] - (w if left else 0.0)))
            slope = -z * density * by_charge * q.volume[i] * ((1.0 if left else 0.0) - q.weight[i]) / tau
            k.row[i, S] += slope
            if left:
                by_w -= slope
    for s in range(S):
        half = 0.5 * q.charge[s] * by_charge
        total += half * (k.contact[RIGHT, s, 0] - k.contact[LEFT, s, 0])
        k.row[0, s] -= half * k.contact[LEFT, s, 1]
        k.row[0, S] -= half * k.contact[LEFT, s, 2]
        by_w += half * k.contact[LEFT, s, 2]
        k.row[n - 1, s] += half * k.contact[RIGHT, s, 1]
        k.row[n - 1, S] += half * k.contact[RIGHT, s, 2]
    return total, by_w


@kernel
def stage(q, k, p, t, phi, w, old_p, old_t, old_w, old_supplied, charge, tau, load, target, limited, sweeps, converged):
    """One implicit stage, (p - old) / tau = dp/dt, by damped Newton iteration; p, t and phi begin as its guess.

    The left wall is at `target` (kT/q); or, if `limited`, at what makes the current through the device `target`
    (over C kT/q): displacement, species and the electrons of the load. Returns how it ended, the potential of the
    left wall and the last relative update.
    """
    S, n = len(q.charge), q.volume.size
    start = w if limited else target
    for i in range(n):
        phi[i] += (start - w) * q.weight[i]
        charge[i] = q.fixed[i]
    for m in range(q.host.size):
        for i in range(n):
            charge[i] += q.charge[q.host[m]] * old_t[m, i]
    w = start
    by_charge = screening_over_capacitance(q)
    crowded = True
    size = np.inf
    for _ in range(sweeps):
        if crowded:  # else what is trapped is linear in p, and found once
            crowded = trap(q, k, p, old_t, tau)
        if not factor(q, k, p, phi, w, old_p, charge, tau):
            return SINGULAR, w, size
        substitute(q, k, k.column)
        dw = 0.0
        if limited:
            fill(q, p, old_t, t, tau)
            total, by_w = current_row(q, k, load, p, t, phi, w, old_p, old_w, old_supplied, tau, by_charge)
            substitute(q, k, k.second)
            top, bottom = total - target, by_w
            for i in range(n):
                for a in range(S + 1):
                    top += k.row[i, a] * k.column[i, a]
                    bottom += k.row[i, a] * k.second[i, a]
            dw = -top / bottom
            for i in range(n):
                for a in range(S + 1):
                    k.column[i, a] += dw * k.second[i, a]
        dphi, dp, full = 0.0, 0.0, False
        finite = np.isfinite(dw)
        for i in range(n):
            finite = finite and np.isfinite(k.column[i, S])
            dphi = max(dphi, abs(k.column[i, S]))
            for s in range(S):
                x = k.column[i, s]
                finite = finite and np.isfinite(x)
                dp = max(dp, abs(x) / (q.scale[s] + abs(p[s, i])))
        if not finite:
            return NOT_FINITE, w, size
        previous, size = size, max(dphi, dp, abs(dw))
        damping = min(1.0, _DAMPING / max(dphi, abs(dw), 1e-300))
        for i in range(n):
            for s in range(S):
                f, x = q.filling[s, i], k.column[i, s]
                full = full or (f > 0.0 and p[s, i] + damping * x >= 1.0 / f)
        if full:  # keep a tenth of the free sites free wherever the density rises
            for i in range(n):
                for s in range(S):
                    f, x = q.filling[s, i], k.column[i, s]
                    if f > 0.0 and x > 0.0:
                        damping = min(damping, 0.9 * (1.0 / f - p[s, i]) / x)
        for i in range(n):
            phi[i] += damping * k.column[i, S]
            for s in range(S):
                p[s, i] += damping * k.column[i, s]
        w += damping * dw
        # quadratic convergence: what is left is far below the update times its ratio to the one before
        if damping == 1.0 and (size < converged or size * size < 1e-2 * converged * previous < np.inf):
            fill(q, p, old_t, t, tau)
            return SOLVED, w, size
    return TOO_MANY_SWEEPS, w, size
