"""Compiled integrator of the models that are a right-hand side and a current: dy/dt = f(y, V), I = i(y, V).

A waveform is piecewise linear; each piece is cut at the voltages where f has a kink. Between cuts a Rosenbrock method
advances the state: four stages, order 3, L-stable and stiffly accurate, with an embedded solution of order 2 whose
difference controls the step (RODAS3). So a filament that the compliance holds back at rates far above those of the
waveform costs no more steps than a slow one. A state that runs into its bound is put on it: with one state and
between cuts the rate keeps its sign, so nothing is lost by not looking for the instant.

The models share one compiled set of functions and a number tells them apart: numba caches that on disk, and does not
cache kernels which get functions as arguments.

References
----------
.. [1] A. Sandu et al., Atmos. Environ. 31, 3459 (1997): RODAS3.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from . import laws

VTEAM, YAKOPCIC, STANFORD, SYNAPSE = 0, 1, 2, 3
MOST_STEPS = 200_000  # in one piece; a well-posed one takes tens
_NUDGE = 1e-7  # of a state's range: increment of the difference quotients


def _compiled(law):
    return njit(cache=True, error_model="numpy")(law)


threshold_rate = _compiled(laws.threshold_rate)
vteam_window = _compiled(laws.vteam_window)
vteam_conductance = _compiled(laws.vteam_conductance)
yakopcic_drive = _compiled(laws.yakopcic_drive)
yakopcic_window = _compiled(laws.yakopcic_window)
sinh_current = _compiled(laws.sinh_current)
sinh_voltage = _compiled(laws.sinh_voltage)
stanford_scale = _compiled(laws.stanford_scale)
stanford_enhancement = _compiled(laws.stanford_enhancement)
stanford_temperature = _compiled(laws.stanford_temperature)
stanford_rate = _compiled(laws.stanford_rate)
synapse_drive = _compiled(laws.synapse_drive)
synapse_back_voltage = _compiled(laws.synapse_back_voltage)


# -- the models: law[0] multiplies the rate, the rest is in the order that `_law` of the model writes ------------------


@njit(cache=True, error_model="numpy")
def rate(kind, y, V, law, out):
    """Right-hand side at states y and device voltage V, into `out`."""
    if kind == VTEAM:
        if V > 0.0:
            f = threshold_rate(V, law[1], law[3], law[5]) * vteam_window(y[0] - law[7], law[9])
        else:
            f = -threshold_rate(V, law[2], law[4], law[6]) * vteam_window(law[8] - y[0], law[9])
        out[0] = law[0] * f
    elif kind == YAKOPCIC:
        window = yakopcic_window(y[0], law[1] * V >= 0.0, law[6], law[7], law[8], law[9])
        out[0] = law[0] * law[1] * yakopcic_drive(V, law[2], law[3], law[4], law[5]) * window
    elif kind == SYNAPSE:
        # y: ions displaced, then those of them held in each population
        count = y.size - 1
        mobile = y[0]
        for k in range(count):
            mobile -= y[1 + k]
        back = synapse_back_voltage(y[0], mobile, law[4], law[5], law[6], law[7])
        out[0] = law[0] * law[1] * (synapse_drive(V, law[2], law[3]) - back)
        for k in range(count):
            out[1 + k] = law[0] * (law[10 + count + k] * mobile - law[10 + k] * y[1 + k])
    else:
        gamma = stanford_enhancement(y[0], law[5], law[6])
        through = sinh_current(V, stanford_scale(y[0], law[10], law[11]), 1.0 / law[12])
        T = stanford_temperature(V, through, law[8], law[9])
        out[0] = law[0] * stanford_rate(V, T, gamma, law[1], law[2], law[3], law[4], law[7])


@njit(cache=True, error_model="numpy")
def current(kind, y, V, law):
    """Current at states y and device voltage V."""
    if kind == VTEAM:
        return V * vteam_conductance(y[0], law[10], law[11], law[12])
    if kind == YAKOPCIC:
        return sinh_current(V, (law[10] if V >= 0.0 else law[11]) * y[0], law[12])
    if kind == SYNAPSE:
        G = math.exp(law[8] + y[0])
        return G * V if law[9] == 0.0 else sinh_current(V, G / law[9], law[9])
    return sinh_current(V, stanford_scale(y[0], law[10], law[11]), 1.0 / law[12])


@njit(cache=True, error_model="numpy")
def conductance(kind, y, V, law):
    """Current over device voltage, its limit at V = 0."""
    if kind == VTEAM:
        return vteam_conductance(y[0], law[10], law[11], law[12])
    if abs(V) > 1e-9:
        return current(kind, y, V, law) / V
    if kind == YAKOPCIC:
        return (law[10] if V >= 0.0 else law[11]) * y[0] * law[12]
    if kind == SYNAPSE:
        return math.exp(law[8] + y[0])
    return stanford_scale(y[0], law[10], law[11]) / law[12]


@njit(cache=True, error_model="numpy")
def device_voltage(kind, y, V, I_cc, law):
    """Device voltage once the compliance limit has acted: V, or the voltage at which the model carries I_cc."""
    if not abs(current(kind, y, V, law)) > I_cc:
        return V
    limit = math.copysign(I_cc, V)
    if kind == VTEAM:
        return limit / vteam_conductance(y[0], law[10], law[11], law[12])
    if kind == YAKOPCIC:
        return sinh_voltage(limit, (law[10] if V >= 0.0 else law[11]) * y[0], law[12])
    if kind == SYNAPSE:
        G = math.exp(law[8] + y[0])
        return limit / G if law[9] == 0.0 else sinh_voltage(limit, G / law[9], law[9])
    return sinh_voltage(limit, stanford_scale(y[0], law[10], law[11]), 1.0 / law[12])


@njit(cache=True, error_model="numpy")
def onset(kind, y, V, law):
    """Voltage of the sign of V at which the state begins to move, where that depends on the state; else 0."""
    if kind == STANFORD and law[7] > 0.0:
        gamma = stanford_enhancement(y[0], law[5], law[6])
        return math.copysign(law[7] * law[4] / gamma, V) if gamma > 0.0 else 0.0
    return 0.0


# -- one step ----------------------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def _slope(kind, y, V, I_cc, law, low, high, inside, out):
    """Right-hand side at the source voltage V; beyond its bounds a state counts as on them."""
    for i in range(y.size):
        inside[i] = min(max(y[i], low[i]), high[i])
    rate(kind, inside, device_voltage(kind, inside, V, I_cc, law), law, out)


@njit(cache=True, error_model="numpy")
def _factor(matrix):
    """LU factors in place, without pivoting: 1/(h/2) - J of a relaxing system is dominated by its diagonal."""
    n = matrix.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            matrix[i, k] /= matrix[k, k]
            for j in range(k + 1, n):
                matrix[i, j] -= matrix[i, k] * matrix[k, j]


@njit(cache=True, error_model="numpy")
def _solve(matrix, b):
    n = b.size
    for i in range(n):
        for j in range(i):
            b[i] -= matrix[i, j] * b[j]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= matrix[i, j] * b[j]
        b[i] /= matrix[i, i]


@njit(cache=True, error_model="numpy")
def _ramp(kind, y, V_0, V_1, duration, I_cc, law, low, high, scale, tolerance):
    """Advance y in place along a linear ramp of the source voltage; False if the step control gives up."""
    n = y.size
    f, k_1, k_2, k_3, k_4 = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    f_t, stage, inside = np.empty(n), np.empty(n), np.empty(n)
    jacobian, matrix = np.empty((n, n)), np.empty((n, n))
    slew = (V_1 - V_0) / duration
    t, h = 0.0, duration
    fresh = True
    for _ in range(MOST_STEPS):
        V = V_0 + slew * t
        if fresh:
            _slope(kind, y, V, I_cc, law, low, high, inside, f)
            if n == 1 and ((y[0] >= high[0] and f[0] > 0.0) or (y[0] <= low[0] and f[0] < 0.0)):
                return True  # on its bound, and pushed outwards until the next cut
            for j in range(n):
                step = _NUDGE * scale[j]
                if y[j] + step > high[j]:
                    step = -step
                for i in range(n):
                    stage[i] = y[i]
                stage[j] += step
                _slope(kind, stage, V, I_cc, law, low, high, inside, k_1)
                for i in range(n):
                    jacobian[i, j] = (k_1[i] - f[i]) / step
            if slew == 0.0:
                f_t[:] = 0.0
            else:
                # a small part of the step, but one that the voltage resolves
                step = max(1e-4 * h, 1e-11 * max(abs(V_0), abs(V_1)) / abs(slew))
                _slope(kind, y, V + slew * step, I_cc, law, low, high, inside, f_t)
                for i in range(n):
                    f_t[i] = (f_t[i] - f[i]) / step
            fresh = False
        for i in range(n):
            for j in range(n):
                matrix[i, j] = -jacobian[i, j]
            matrix[i, i] += 2.0 / h
        _factor(matrix)
        for i in range(n):
            k_1[i] = f[i] + 0.5 * h * f_t[i]
        _solve(matrix, k_1)
        for i in range(n):
            k_2[i] = f[i] + 4.0 / h * k_1[i] + 1.5 * h * f_t[i]
        _solve(matrix, k_2)
        end = V + slew * h
        for i in range(n):
            stage[i] = y[i] + 2.0 * k_1[i]
        _slope(kind, stage, end, I_cc, law, low, high, inside, k_3)
        for i in range(n):
            k_3[i] += (k_1[i] - k_2[i]) / h
        _solve(matrix, k_3)
        for i in range(n):
            stage[i] = y[i] + 2.0 * k_1[i] + k_3[i]
        _slope(kind, stage, end, I_cc, law, low, high, inside, k_4)
        for i in range(n):
            k_4[i] += (k_1[i] - k_2[i] - 8.0 / 3.0 * k_3[i]) / h
        _solve(matrix, k_4)
        error = 0.0
        for i in range(n):
            rough, fine = stage[i], stage[i] + k_4[i]
            if (f[i] > 0.0 and rough > high[i] and fine > high[i]) or (f[i] < 0.0 and rough < low[i] and fine < low[i]):
                rough = fine  # it runs into its bound: how far beyond does not matter
            # written so that a nan counts as an error
            miss = abs(fine - rough) / scale[i]
            if not miss <= error:
                error = miss
            stage[i] = min(max(fine, low[i]), high[i])
        if n == 1 and error <= tolerance and (y[0] < high[0] <= stage[0] or y[0] > low[0] >= stage[0]):
            # it reached its bound, unless the rate ends before it
            _slope(kind, stage, end, I_cc, law, low, high, inside, k_1)
            if (k_1[0] if stage[0] >= high[0] else -k_1[0]) <= 0.0 and h > 1e-14 * duration:
                error = 8.0 * tolerance
        if error <= tolerance:
            for i in range(n):
                y[i] = stage[i]
            t += h
            if t >= duration * (1.0 - 1e-14):
                return True
            factor = min(0.9 * (tolerance / max(error, 1e-30)) ** (1.0 / 3.0), 5.0)
            fresh = True
        else:
            factor = max(0.9 * (tolerance / error) ** (1.0 / 3.0), 0.1) if error < math.inf else 0.1
            # an event far below the resolution of t still moves the state
            if h * factor < 1e-40 * duration:
                return False
        h = min(h * factor, duration - t)
    return False


@njit(cache=True, error_model="numpy")
def advance(kind, y, V_0, V_1, duration, I_cc, law, low, high, scale, kinks, tolerance):
    """Advance y in place from V_0 to V_1, piece by piece between the kinks of the right-hand side."""
    V, span = V_0, abs(V_1 - V_0)
    while True:
        reached = V_1
        for k in range(kinks.size + 2):
            if k < kinks.size:
                cut = kinks[k]
            else:
                cut = onset(kind, y, 1.0 if k == kinks.size else -1.0, law)
            # the next voltage strictly between here and the end
            if (V < cut < reached) or (reached < cut < V):
                reached = cut
        share = abs(reached - V) / span if span > 0.0 else 1.0
        if not _ramp(kind, y, V, reached, duration * share, I_cc, law, low, high, scale, tolerance):
            return False
        V = reached
        if V == V_1:
            return True


# -- waveforms ---------------------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def side(V, band):
    """1 above the band of voltages that leave the state alone, -1 below, 0 inside."""
    if V - band[1] > 0.0:
        return 1
    return -1 if V - band[0] < 0.0 else 0


@njit(cache=True, error_model="numpy")
def run(
    kind,
    times,
    voltages,
    limits,
    samples,
    start,
    law,
    low,
    high,
    scale,
    kinks,
    band,
    factor,
    spread,
    random,
    tolerance,
    out_y,
    out_V,
):
    """One device under one waveform; fills states (samples, states) and device voltage at the samples.

    factor: rate of the device over that of the typical one. spread: standard deviation of its logarithm from cycle to
    cycle. random: standard normal numbers, one for each cycle; empty for the typical device. A cycle begins at the
    start, and with the segment in which the source voltage leaves the band or changes its side.
    """
    y, now = start.copy(), law.copy()
    now[0] = law[0] * factor
    sample, cycle, last, well = 0, 0, 0, True
    for k in range(times.size - 1):
        begins = k == 0
        for V in (voltages[k], voltages[k + 1]):
            where = side(V, band)
            begins = begins or (where != 0 and where != last)
            last = where
        if begins and random.size > 0:
            now[0] = law[0] * factor * math.exp(spread * random[cycle])
            cycle += 1
        t, V, slew = times[k], voltages[k], (voltages[k + 1] - voltages[k]) / (times[k + 1] - times[k])
        while sample < samples.size and samples[sample] <= times[k + 1]:
            if samples[sample] > t:
                V_s = voltages[k] + slew * (samples[sample] - times[k])
                if samples[sample] == times[k + 1]:
                    V_s = voltages[k + 1]
                well = well and advance(
                    kind, y, V, V_s, samples[sample] - t, limits[k], now, low, high, scale, kinks, tolerance
                )
                t, V = samples[sample], V_s
            for i in range(y.size):
                out_y[sample, i] = y[i] if well else math.nan
            out_V[sample] = device_voltage(kind, y, V, limits[k], now)
            sample += 1
        if t < times[k + 1]:
            well = well and advance(
                kind, y, V, voltages[k + 1], times[k + 1] - t, limits[k], now, low, high, scale, kinks, tolerance
            )


@njit(cache=True, error_model="numpy")
def run_patterns(
    kind,
    times,
    voltages,
    limits,
    starts,
    samples,
    rest,
    law,
    low,
    high,
    scale,
    kinks,
    band,
    factors,
    spread,
    random,
    draws,
    tolerance,
    out_y,
    out_V,
):
    """Many waveforms, concatenated: pattern i has the corners starts[i]:starts[i + 1], the device factor factors[i] and
    the random numbers draws[i]:draws[i + 1]."""
    for i in range(starts.size - 1):
        a, b = starts[i], starts[i + 1]
        run(
            kind,
            times[a:b],
            voltages[a:b],
            limits[a:b],
            samples,
            rest,
            law,
            low,
            high,
            scale,
            kinks,
            band,
            factors[i],
            spread,
            random[draws[i] : draws[i + 1]],
            tolerance,
            out_y[i],
            out_V[i],
        )


# -- on arrays ---------------------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def rates(kind, states, voltages, law, out):
    """`rate` row by row: states (rows, states), voltages (rows,)."""
    for i in range(voltages.size):
        rate(kind, states[i], voltages[i], law, out[i])


@njit(cache=True, error_model="numpy")
def currents(kind, states, voltages, law, out):
    """`current` row by row."""
    for i in range(voltages.size):
        out[i] = current(kind, states[i], voltages[i], law)


@njit(cache=True, error_model="numpy")
def conductances(kind, states, voltages, law, out):
    """`conductance` row by row."""
    for i in range(voltages.size):
        out[i] = conductance(kind, states[i], voltages[i], law)
