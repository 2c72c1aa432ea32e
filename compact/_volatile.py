"""Compiled integrator of the volatile model.

A waveform is piecewise linear in time. Under zero or negative voltage the state relaxes and the solution is
closed. Under positive voltage an exponential Rosenbrock-Euler step (exact where the rate is linear in the
state, order 2 elsewhere, no stability limit) is taken once whole and once in two halves; their difference
controls the step, their extrapolation (order 3) is kept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from ..physics import formulas
from . import laws

compliance_voltage = njit(cache=True)(formulas.compliance_voltage)
growth_rate = njit(cache=True)(laws.growth_rate)
growth = njit(cache=True)(laws.growth)
relaxation = njit(cache=True)(laws.relaxation)
relaxation_share = njit(cache=True)(laws.relaxation_share)
relaxed = njit(cache=True)(laws.relaxed)
log_sinhc = njit(cache=True)(laws.log_sinhc)
log_conductance = njit(cache=True)(laws.log_conductance)

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
def excess_slope(u):
    """Derivative of log_sinhc with respect to ln u: u coth u - 1."""
    if u < 1e-2:
        return u * u / 3.0
    return u / math.tanh(u) - 1.0


@njit(cache=True)
def device_voltage(x, V, I_cc, law):
    """Device voltage once the compliance limit has acted, and d ln(device voltage) / dx (0 if it did not act)."""
    if V == 0.0:
        return 0.0, 0.0
    ratio = law.ln_on - law.ln_off
    if law.inverse_V == 0.0:
        limited = compliance_voltage(V, math.exp(log_conductance(x, 0.0, law.ln_off, law.ln_on)), I_cc)
        return limited, (-ratio if limited != V else 0.0)
    w = math.log(abs(V))
    if w + log_conductance(x, log_sinhc(V * law.inverse_V), law.ln_off, law.ln_on) <= math.log(I_cc):
        return V, 0.0
    # ln|I| is convex and rising in ln|V|: Newton from above comes down monotonically
    slope, excess = 1.0, 0.0
    for _ in range(100):
        u = math.exp(w) * law.inverse_V
        excess = log_sinhc(u)
        surplus = w + log_conductance(x, excess, law.ln_off, law.ln_on) - math.log(I_cc)
        slope = 1.0 + (1.0 - x) * excess_slope(u)
        w -= surplus / slope
        if abs(surplus) < 1e-13:
            break
    return math.copysign(math.exp(w), V), -(ratio - excess) / slope


@njit(cache=True)
def rosenbrock(x, V, ramp, I_cc, h, law):
    """One exponential Rosenbrock-Euler step of length h from state x; V changes at `ramp` V/s."""
    held, log_slope = device_voltage(x, V, I_cc, law)
    k = growth_rate(held, law.growth_Hz, law.growth_V)
    r, s = law.growth_acceleration, law.relaxation_acceleration
    decay = law.relaxation_Hz * relaxation_share(held, law.relaxation_V)
    f = k * growth(x, r) - decay * relaxation(x, s)
    # dk/dV, where the growth law is not saturated
    steep = (k + law.growth_Hz) / law.growth_V if held > 0.0 else 0.0
    per_volt = steep * growth(x, r) + decay / law.relaxation_V * relaxation(x, s) if held > 0.0 else 0.0
    J = k * (r - 1.0 - 2.0 * r * x) - decay * (1.0 + s - 2.0 * s * x) + per_volt * held * log_slope
    f_t = per_volt * ramp if log_slope == 0.0 else 0.0
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
def kink_error(x_0, V_0, x_1, V_1, ramp, I_cc, h, law):
    """Error of a step across the onset of the compliance limit, which halving cannot see in its second half."""
    held_0, slope_0 = device_voltage(x_0, V_0, I_cc, law)
    held_1, slope_1 = device_voltage(x_1, V_1, I_cc, law)
    if (slope_0 == 0.0) == (slope_1 == 0.0):
        return 0.0
    # what the growth term would be at the end, had the regime of the start lasted
    lasted = held_0 * math.exp(slope_0 * (x_1 - x_0)) if slope_0 != 0.0 else V_1
    missed = growth_rate(lasted, law.growth_Hz, law.growth_V) - growth_rate(held_1, law.growth_Hz, law.growth_V)
    held_back = relaxation_share(lasted, law.relaxation_V) - relaxation_share(held_1, law.relaxation_V)
    missed *= growth(x_1, law.growth_acceleration)
    missed -= law.relaxation_Hz * held_back * relaxation(x_1, law.relaxation_acceleration)
    return 0.5 * h * abs(missed)


@njit(cache=True)
def advance(x, V_0, V_1, duration, I_cc, law, tolerance):
    """State after a linear ramp from V_0 to V_1; nan if the step control gives up."""
    if V_0 <= 0.0 and V_1 <= 0.0:
        s = law.relaxation_acceleration
        return relaxed(x, s, math.exp(-(1.0 + s) * law.relaxation_Hz * duration))
    if V_0 < 0.0 or V_1 < 0.0:  # split where the ramp crosses zero
        share = V_0 / (V_0 - V_1)
        x = advance(x, V_0, 0.0, duration * share, I_cc, law, tolerance)
        return advance(x, 0.0, V_1, duration * (1.0 - share), I_cc, law, tolerance)
    ramp = (V_1 - V_0) / duration
    t, h = 0.0, duration
    for _ in range(MOST_STEPS):
        V = V_0 + ramp * t
        whole = rosenbrock(x, V, ramp, I_cc, h, law)
        half = rosenbrock(x, V, ramp, I_cc, 0.5 * h, law)
        if whole <= 1.0 and half <= 1.0:
            fine = rosenbrock(half, V + 0.5 * ramp * h, ramp, I_cc, 0.5 * h, law)
        else:
            fine = 2.0
        if fine <= 1.0:
            error = abs(fine - whole) / 3.0
            error = max(error, kink_error(x, V, fine, V + ramp * h, ramp, I_cc, h, law))
            factor = min(max(0.9 * (tolerance / max(error, 1e-30)) ** (1.0 / 3.0), 0.1), 5.0)
        else:
            error, factor = 1.0, 0.1
        if error <= tolerance:
            t += h
            x = min(max(fine + (fine - whole) / 3.0, 0.0), 1.0)
            if t >= duration * (1.0 - 1e-14):
                return x
        elif t + h * factor == t:
            return math.nan
        h = min(h * factor, duration - t)
    return math.nan


@njit(cache=True)
def run(times, voltages, limits, samples, state, law, factors, spreads, random, tolerance, out_x, out_V):
    """One device under one waveform; fills state and device voltage at the samples. Returns the final state.

    factors: growth and relaxation-time factor of the device. spreads: standard deviations of the logarithm of both
    from cycle to cycle. random: standard normal numbers, shape (cycles, 2); empty for the typical device. A cycle
    begins at the start, and with the first segment of a positive excursion in which a filament can grow, wherever the
    corners of the waveform lie.
    """
    x, sample, cycle = state, 0, 0
    now = law
    armed = False
    for k in range(times.size - 1):
        V_0, V_1 = voltages[k], voltages[k + 1]
        armed = armed or V_0 <= 0.0
        growing = armed and _grows(max(V_0, V_1), now)
        if growing:
            armed = False
        if growing or k == 0:
            g, tau = factors[0], factors[1]
            if random.shape[0] > 0:
                g *= math.exp(spreads[0] * random[cycle, 0])
                tau *= math.exp(spreads[1] * random[cycle, 1])
                cycle += 1
            now = _scaled(law, g, tau)
        t, V = times[k], V_0
        while sample < samples.size and samples[sample] <= times[k + 1]:
            if samples[sample] > t:
                share = (samples[sample] - times[k]) / (times[k + 1] - times[k])
                V_s = V_0 + (V_1 - V_0) * share
                x = advance(x, V, V_s, samples[sample] - t, limits[k], now, tolerance)
                t, V = samples[sample], V_s
            out_x[sample] = x
            out_V[sample] = device_voltage(x, V, limits[k], now)[0]
            sample += 1
        if t < times[k + 1]:
            x = advance(x, V, V_1, times[k + 1] - t, limits[k], now, tolerance)
    return x


@njit(cache=True)
def _grows(V, law):
    return growth_rate(V, law.growth_Hz, law.growth_V) > ACTIVE * law.relaxation_Hz


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
    times, voltages, limits, starts, samples, law, factors, spreads, random, draws, tolerance, out_x, out_V
):
    """Many waveforms, concatenated: pattern i has the corners starts[i]:starts[i + 1], its own device factors and
    the random numbers draws[i]:draws[i + 1]."""
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
        )
