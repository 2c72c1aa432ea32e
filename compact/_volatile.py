"""Compiled integrator of the volatile model.

A waveform is piecewise linear in time. Under zero or negative voltage the state relaxes and the solution is
closed. Under positive voltage an exponential Rosenbrock-Euler step (exact where the rate is linear in the
state, order 2 elsewhere, no stability limit) is taken once whole and once in two halves; their difference
controls the step, their extrapolation (order 3) is kept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from . import laws

growth_rate = njit(cache=True)(laws.growth_rate)
growth = njit(cache=True)(laws.growth)
relaxation = njit(cache=True)(laws.relaxation)
relaxation_share = njit(cache=True)(laws.relaxation_share)
relaxed = njit(cache=True)(laws.relaxed)
log_sinhc = njit(cache=True)(laws.log_sinhc)

MOST_STEPS = 1_000_000  # in one segment; a well-posed one takes tens
ACTIVE = 0.01  # a voltage opens a new cycle if it grows at more than this share of the relaxation rate


class Law(NamedTuple):
    """Numbers of the kernel, SI; rates already divided by their time norms."""

    ln_off: float
    ln_on: float
    inverse_V: float  # 1 / off_nonlinearity_V
    growth_Hz: float
    growth_V: float
    growth_acceleration: float
    relaxation_Hz: float
    relaxation_acceleration: float
    relaxation_V: float


@njit(cache=True)
def slope(x, held, law):
    """dx/dt at state x and device voltage `held`."""
    k = growth_rate(held, law.growth_Hz, law.growth_V)
    decay = law.relaxation_Hz * relaxation_share(held, law.relaxation_V)
    return k * growth(x, law.growth_acceleration) - decay * relaxation(x, law.relaxation_acceleration)


@njit(cache=True)
def slopes(x, held, law, out):
    """`slope` on arrays."""
    for i in range(x.size):
        out[i] = slope(x[i], held[i], law)


@njit(cache=True)
def unlimited(x, ln_V, ln_I, law):
    """Whether the device carries a source voltage below the compliance limit, both given by their logarithms."""
    ohmic = (1.0 - x) * law.ln_off + x * law.ln_on + ln_V - ln_I
    # the excess of the OFF branch only adds to the current
    if ohmic > 0.0 or law.inverse_V == 0.0:
        return ohmic <= 0.0
    return ohmic + (1.0 - x) * log_sinhc(math.exp(ln_V) * law.inverse_V) <= 0.0


@njit(cache=True)
def held_back(x, ln_V, ln_I, law, guess):
    """ln of the device voltage under the compliance limit, and d ln(device voltage) / dx (0 where no limit acts).

    guess: where Newton's method begins, the answer of a state nearby, if it is below ln_V.
    """
    if unlimited(x, ln_V, ln_I, law):
        return ln_V, 0.0
    ratio = law.ln_on - law.ln_off
    target = ln_I - (1.0 - x) * law.ln_off - x * law.ln_on
    if law.inverse_V == 0.0:
        return target, -ratio
    # ln|I| is convex and rising in ln|V|: after its first step Newton comes down monotonically
    w, slope, excess = min(guess, ln_V), 1.0, 0.0
    for _ in range(100):
        u = math.exp(w) * law.inverse_V
        if u < 1e-2:
            excess, steep = u * u / 6.0 - u**4 / 180.0, u * u / 3.0
        else:  # ln(sinh u / u) and u coth u - 1, its slope in ln u, from one exponential
            e = math.exp(-2.0 * u)
            excess = u + math.log((1.0 - e) / (2.0 * u))
            steep = u * (1.0 + e) / (1.0 - e) - 1.0
        surplus = w + (1.0 - x) * excess - target
        slope = 1.0 + (1.0 - x) * steep
        w -= surplus / slope
        if abs(surplus) < 1e-7:  # squared by the step just taken
            break
    return w, -(ratio - excess) / slope


@njit(cache=True)
def device_voltage(x, V, I_cc, law):
    """Device voltage once the compliance limit has acted."""
    if V == 0.0 or I_cc == math.inf:
        return V
    ln_V = math.log(abs(V))
    w, log_slope = held_back(x, ln_V, math.log(I_cc), law, ln_V)
    return V if log_slope == 0.0 else math.copysign(math.exp(w), V)


@njit(cache=True)
def linearised(x, V, ramp, ln_I, law, guess):
    """dx/dt at state x and source voltage V >= 0, its derivatives in x and t, and ln of the device voltage with its
    slope in x."""
    if V <= 0.0:  # at the end of a ramp, by rounding
        held, w, log_slope = 0.0, guess, 0.0
    else:
        ln_V = math.log(V)
        w, log_slope = held_back(x, ln_V, ln_I, law, guess)
        held = V if log_slope == 0.0 else math.exp(w)
    k = growth_rate(held, law.growth_Hz, law.growth_V)
    r, s = law.growth_acceleration, law.relaxation_acceleration
    decay = law.relaxation_Hz * relaxation_share(held, law.relaxation_V)
    rise, fall = growth(x, r), relaxation(x, s)
    f = k * rise - decay * fall
    # dk/dV, where the growth law is not saturated
    steep = (k + law.growth_Hz) / law.growth_V if held > 0.0 else 0.0
    per_volt = steep * rise + decay / law.relaxation_V * fall if held > 0.0 else 0.0
    J = k * (r - 1.0 - 2.0 * r * x) - decay * (1.0 + s - 2.0 * s * x) + per_volt * held * log_slope
    f_t = per_volt * ramp if log_slope == 0.0 else 0.0
    return f, J, f_t, w, log_slope


@njit(cache=True)
def rosenbrock(x, f, J, f_t, h):
    """One exponential Rosenbrock-Euler step of length h from state x with the numbers of `linearised`."""
    z = h * J
    if abs(z) < 1e-3:
        phi_1 = 1.0 + z * (0.5 + z * (1.0 / 6.0 + z / 24.0))
        phi_2 = 0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z / 120.0))
    elif z > 50.0:  # a step that the error control will refuse
        return 2.0
    else:
        phi_1 = math.expm1(z) / z
        phi_2 = (phi_1 - 1.0) / z
    return min(max(x + h * (phi_1 * f + h * phi_2 * f_t), 0.0), 1.0)


@njit(cache=True)
def kink_error(x_0, w_0, slope_0, x_1, V_1, ln_I, h, law):
    """Error of a step across the onset of the compliance limit, which halving cannot see in its second half."""
    if V_1 <= 0.0 or (slope_0 == 0.0) == unlimited(x_1, math.log(V_1), ln_I, law):
        return 0.0
    held_1 = math.exp(held_back(x_1, math.log(V_1), ln_I, law, w_0)[0])
    # what the growth term would be at the end, had the regime of the start lasted
    lasted = math.exp(w_0 + slope_0 * (x_1 - x_0)) if slope_0 != 0.0 else V_1
    missed = growth_rate(lasted, law.growth_Hz, law.growth_V) - growth_rate(held_1, law.growth_Hz, law.growth_V)
    eased = relaxation_share(lasted, law.relaxation_V) - relaxation_share(held_1, law.relaxation_V)
    missed *= growth(x_1, law.growth_acceleration)
    missed -= law.relaxation_Hz * eased * relaxation(x_1, law.relaxation_acceleration)
    return 0.5 * h * abs(missed)


@njit(cache=True)
def advance(x, V_0, V_1, duration, I_cc, law, resting, rest_V, tolerance):
    """State after a linear ramp from V_0 to V_1, by the law `resting` up to the voltage rest_V; nan if the step
    control gives up."""
    if max(V_0, V_1) <= rest_V:
        return driven(x, V_0, V_1, duration, I_cc, resting, tolerance)
    if min(V_0, V_1) >= rest_V:
        return driven(x, V_0, V_1, duration, I_cc, law, tolerance)
    share = (V_0 - rest_V) / (V_0 - V_1)
    first, second = (resting, law) if rest_V > V_0 else (law, resting)
    x = driven(x, V_0, rest_V, duration * share, I_cc, first, tolerance)
    return driven(x, rest_V, V_1, duration * (1.0 - share), I_cc, second, tolerance)


@njit(cache=True)
def driven(x, V_0, V_1, duration, I_cc, law, tolerance):
    """State after a linear ramp under one law; nan if the step control gives up."""
    if duration <= 0.0:  # a share of a ramp, by rounding
        return x
    if V_0 <= 0.0 and V_1 <= 0.0:
        s = law.relaxation_acceleration
        return relaxed(x, s, math.exp(-(1.0 + s) * law.relaxation_Hz * duration))
    if V_0 < 0.0 or V_1 < 0.0:  # split where the ramp crosses zero
        share = V_0 / (V_0 - V_1)
        x = driven(x, V_0, 0.0, duration * share, I_cc, law, tolerance)
        return driven(x, 0.0, V_1, duration * (1.0 - share), I_cc, law, tolerance)
    ramp = (V_1 - V_0) / duration
    ln_I = math.log(I_cc)
    t, h, w, fresh = 0.0, duration, math.inf, True
    f, J, f_t, log_slope = 0.0, 0.0, 0.0, 0.0
    w_h, slope_h = 0.0, 0.0
    for _ in range(MOST_STEPS):
        V = V_0 + ramp * t
        if fresh:
            f, J, f_t, w, log_slope = linearised(x, V, ramp, ln_I, law, w)
            fresh = False
        whole = rosenbrock(x, f, J, f_t, h)
        half = rosenbrock(x, f, J, f_t, 0.5 * h)
        if whole <= 1.0 and half <= 1.0:
            guess = w + log_slope * (half - x)
            f_h, J_h, f_th, w_h, slope_h = linearised(half, V + 0.5 * ramp * h, ramp, ln_I, law, guess)
            fine = rosenbrock(half, f_h, J_h, f_th, 0.5 * h)
        else:
            fine = 2.0
        if fine <= 1.0:
            error = abs(fine - whole) / 3.0
            if error <= tolerance:
                error = max(error, kink_error(x, w, log_slope, fine, V + ramp * h, ln_I, h, law))
            factor = min(max(0.9 * np.cbrt(tolerance / max(error, 1e-30)), 0.1), 5.0)
        else:
            error, factor = 1.0, 0.1
        if error <= tolerance:
            t += h
            x = min(max(fine + (fine - whole) / 3.0, 0.0), 1.0)
            w = w_h + slope_h * (x - half)  # next guess
            fresh = True
            if t >= duration * (1.0 - 1e-14):
                return x
        elif t + h * factor == t:
            return math.nan
        h = min(h * factor, duration - t)
    return math.nan


@njit(cache=True)
def run(times, voltages, limits, samples, state, law, factors, spreads, random, tolerance, out_x, out_V, out_cycle):
    """One device under one waveform; fills state, device voltage and cycle at the samples. Returns the final state.

    factors: growth and relaxation-time factor of the device. spreads: standard deviations of the logarithm of both
    from cycle to cycle. random: deviates of both, shape (cycles, 2); empty for the typical device. A cycle
    begins at the start, and with the first segment of a positive excursion in which a filament can grow, wherever the
    corners of the waveform lie. Its relaxation time holds where no filament grows: what spreads is when a filament that
    is left to itself breaks, not how large the one is that growth and relaxation balance.
    """
    x, sample, cycle = state, 0, 0
    law = _scaled(law, factors[0], factors[1])
    rest_V = resting_voltage(law)
    spread = random.shape[0] > 0 and spreads[1] > 0.0
    split_V = rest_V if spread else -math.inf  # one law rules where nothing differs
    now, resting = law, law
    armed = False
    for k in range(times.size - 1):
        V_0, V_1 = voltages[k], voltages[k + 1]
        armed = armed or V_0 <= 0.0
        growing = armed and max(V_0, V_1) > rest_V
        if growing:
            armed = False
        if (growing or k == 0) and random.shape[0] > 0:
            now = _scaled(law, math.exp(spreads[0] * random[cycle, 0]), 1.0)
            resting = _scaled(now, 1.0, math.exp(spreads[1] * random[cycle, 1]))
            cycle += 1
        t, V = times[k], V_0
        while sample < samples.size and samples[sample] <= times[k + 1]:
            if samples[sample] > t:
                share = (samples[sample] - times[k]) / (times[k + 1] - times[k])
                V_s = V_0 + (V_1 - V_0) * share
                x = advance(x, V, V_s, samples[sample] - t, limits[k], now, resting, split_V, tolerance)
                t, V = samples[sample], V_s
            out_x[sample] = x
            out_V[sample] = device_voltage(x, V, limits[k], now)
            out_cycle[sample] = max(cycle - 1, 0)
            sample += 1
        if t < times[k + 1]:
            x = advance(x, V, V_1, times[k + 1] - t, limits[k], now, resting, split_V, tolerance)
    return x


@njit(cache=True)
def resting_voltage(law):
    """Voltage above which a filament can grow: its growth rate is more than `ACTIVE` of the relaxation rate."""
    if law.growth_Hz == 0.0:
        return math.inf
    return law.growth_V * math.log1p(ACTIVE * law.relaxation_Hz / law.growth_Hz)


@njit(cache=True)
def _scaled(law, growth_factor, time_factor):
    return Law(
        law.ln_off,
        law.ln_on,
        law.inverse_V,
        law.growth_Hz * growth_factor,
        law.growth_V,
        law.growth_acceleration,
        law.relaxation_Hz / time_factor,
        law.relaxation_acceleration,
        law.relaxation_V,
    )


@njit(cache=True)
def run_patterns(
    times, voltages, limits, starts, samples, law, factors, spreads, random, draws, tolerance, out_x, out_V, out_cycle
):
    """Many waveforms, concatenated: pattern i has the corners starts[i]:starts[i + 1], its own device factors and
    the random numbers draws[i]:draws[i + 1], which its cycles count."""
    for i in range(starts.size - 1):
        a, b = starts[i], starts[i + 1]
        run(
            times[a:b],
            voltages[a:b],
            limits[a:b],
            samples,
            0.0,
            law,
            factors[i],
            spreads,
            random[draws[i] : draws[i + 1]],
            tolerance,
            out_x[i],
            out_V[i],
            out_cycle[i],
        )
        out_cycle[i] += draws[i]
