"""The equations of the compact models, once each: bare numbers in, bare numbers out, no checks.

``compact/_volatile.py`` compiles them, the models and the exports use them. SI units, energies in eV.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import log_ndtr

from ..physics.constants import BOLTZMANN_EV_K as K_B

# growth saturates far above every rate that a trace can resolve; keeps exp() finite at absurd voltages
LARGEST_EXPONENT = 300.0
# no RESET closer to zero than this, however thin the filament
LEAST_RESET_V = 1e-3


def time_norm(a):
    """Factor that makes an accelerated process x' = x (1 + a (1 - x)) / norm reach 1/e after one time constant.

    Parameters
    ----------
    a : float, 1, >= 0
        Acceleration; 0 is an exponential process, whose factor is 1.

    Returns
    -------
    float, 1, >= 1
    """
    return (1.0 + a) / (1.0 + math.log(1.0 + (1.0 - math.exp(-1.0)) * a))


def growth_rate(V, k_0, V_0):
    """Rate of filament growth at device voltage V: charge transfer, Butler-Volmer like; none at V <= 0.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    k_0 : float, Hz, >= 0
        Prefactor: the rate is k_0 (e^(V/V_0) - 1).
    V_0 : float, V, > 0
        Voltage for each factor e of the rate.

    Returns
    -------
    float, Hz, >= 0
        Of the state from 0 to 1.
    """
    if V <= 0.0:
        return 0.0
    return k_0 * math.expm1(min(V / V_0, LARGEST_EXPONENT))


def relaxation_share(V, V_r):
    """Share of the relaxation left at device voltage V: the reverse charge transfer, held back by a positive V.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    V_r : float, V, > 0
        Voltage for each factor 1/e; inf leaves the relaxation as it is at every voltage.

    Returns
    -------
    float, 1, 0 to 1
        1 at V <= 0.
    """
    return math.exp(-V / V_r) if V > 0.0 else 1.0


def growth(x, r):
    """Share of the growth rate that acts at state x; r > 0 accelerates it as the gap closes.

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State: 0 is the open gap, 1 the closed filament.
    r : float, 1, >= 0
        Acceleration.

    Returns
    -------
    float, 1, >= 0
        1 at x = 0, 0 at x = 1.
    """
    return (1.0 - x) * (1.0 + r * x)


def relaxation(x, s):
    """Share of the relaxation rate that acts at state x; s > 0 accelerates it as the filament thins.

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State: 0 is the open gap, 1 the closed filament.
    s : float, 1, >= 0
        Acceleration.

    Returns
    -------
    float, 1, >= 0
        0 at x = 0, 1 at x = 1.
    """
    return x * (1.0 + s * (1.0 - x))


def relaxed(x, s, decay):
    """State after relaxation alone, exact; `decay` is exp(-(1 + s) t / (norm tau)).

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State at the beginning.
    s : float, 1, >= 0
        Acceleration.
    decay : float, 1, 0 to 1
        With t the time, tau the relaxation time and norm :func:`time_norm` of s.

    Returns
    -------
    float, 1, in [0, x]
    """
    y = x / (1.0 + s * (1.0 - x)) * decay
    return (1.0 + s) * y / (1.0 + s * y)


def log_sinhc(u):
    """ln(sinh(u) / u): excess of a tunnelling current over its low-bias line.

    Parameters
    ----------
    u : float, 1
        Device voltage over the nonlinearity voltage V_n; its sign does not matter.

    Returns
    -------
    float, 1, >= 0
        0 at u = 0, about u^2/6 near it.
    """
    u = abs(u)
    if u < 1e-2:
        return u * u / 6.0 - u**4 / 180.0
    return u + math.log1p(-math.exp(-2.0 * u)) - math.log(2.0 * u)


def log_conductance(x, excess, ln_off, ln_on):
    """ln G: the tunnelling gap shrinks linearly with x, from OFF (with log_sinhc as `excess`) to ohmic ON.

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State: 0 is the open gap, 1 the closed filament.
    excess : float, 1, >= 0
        Of the OFF branch at the present voltage; 0 where it is ohmic.
    ln_off, ln_on : float, 1
        ln(G / S) of the open gap at low voltage and of the closed filament.

    Returns
    -------
    float, 1
        ln(G / S).
    """
    return (1.0 - x) * (ln_off + excess) + x * ln_on


def arrhenius_time(tau, E, T, T_0):
    """Time constant at T of an activated process with barrier E and time constant tau at T_0.

    Parameters
    ----------
    tau : float, s, > 0
    E : float, eV
        Positive: the process is slower in the cold.
    T, T_0 : float, K, > 0

    Returns
    -------
    float, s, > 0
    """
    return tau * math.exp(E / K_B * (1.0 / T - 1.0 / T_0))


def programmed_conductance(I_cc, slope, intercept):
    """Mean conductance that a SET under compliance current I_cc leaves.

    Parameters
    ----------
    I_cc : float, A, > 0
    slope : float, 1/V
    intercept : float, S

    Returns
    -------
    float, S
    """
    return slope * I_cc + intercept


def programming_spread(I_cc, sigma_0, sigma_1):
    """Standard deviation of the conductance that a SET under compliance current I_cc leaves.

    Parameters
    ----------
    I_cc : float, A, > 0
    sigma_0 : float, S, >= 0
        Part that does not depend on the compliance.
    sigma_1 : float, 1/V, >= 0
        Part in proportion to it.

    Returns
    -------
    float, S, >= 0
    """
    return sigma_0 + sigma_1 * I_cc


def reset_threshold(G, V_r, slope, G_r):
    """RESET threshold of a filament of conductance G, V_r at G_r; slope < 0: a thicker one holds out longer.

    Parameters
    ----------
    G : float, S, > 0
        Conductance of the filament.
    V_r : float, V, < 0
    slope : float, V
        For each factor e of the conductance.
    G_r : float, S, > 0

    Returns
    -------
    float, V, <= -1e-3
        No filament, however thin, has a threshold closer to zero.
    """
    return min(V_r + slope * math.log(G / G_r), -LEAST_RESET_V)


def reset_conductance(V, before, off, threshold, width):
    """Conductance that a negative V leaves of `before`: ln G falls evenly from the threshold, all the way in width.

    Parameters
    ----------
    V : float, V
        Most negative voltage that acted; above `threshold` nothing changes.
    before : float, S, > 0
    off : float, S, > 0
        What is left once `V` is `width` or more beyond the threshold.
    threshold : float, V, < 0
    width : float, V, >= 0
        Range of voltage below the threshold in which the filament dissolves; 0 is abrupt.

    Returns
    -------
    float, S
        Between `off` and `before`.
    """
    if threshold <= V:
        return before
    share = 1.0 if width == 0.0 else min((threshold - V) / width, 1.0)
    return math.exp((1.0 - share) * math.log(before) + share * math.log(off))


def drifted(G, t, t_0, nu):
    """Conductance a time t after programming, power law beyond t_0.

    Parameters
    ----------
    G : float, S, > 0
        At t_0 and before.
    t : float, s, >= 0
    t_0 : float, s, > 0
    nu : float, 1
        Drift exponent; positive where the conductance falls.

    Returns
    -------
    float, S
    """
    return G * max(t / t_0, 1.0) ** (-nu)


# -- comparison models of the literature ------------------------------------------------------------------------------


def threshold_rate(V, V_t, k, alpha):
    """Rate of VTEAM beyond the threshold V_t, of either sign: k (V/V_t - 1)^alpha; none before it.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    V_t : float, V, not 0
        Positive for SET, negative for RESET.
    k : float, Hz, >= 0
        Rate at twice the threshold.
    alpha : float, 1, > 0

    Returns
    -------
    float, Hz, >= 0
        The magnitude: the caller gives a RESET its sign.
    """
    excess = V / V_t - 1.0
    return k * excess**alpha if excess > 0.0 else 0.0


def vteam_window(distance, width):
    """Window exp(-exp(distance/width)) of VTEAM, `distance` past its centre; 1 everywhere at width 0.

    Parameters
    ----------
    distance : float, 1
        Of the state, in the direction of its motion.
    width : float, 1, >= 0

    Returns
    -------
    float, 1, 0 to 1
        1/e at the centre, towards 0 beyond it.
    """
    if width == 0.0:
        return 1.0
    return math.exp(-math.exp(min(max(distance / width, -LARGEST_EXPONENT), 10.0)))


def vteam_conductance(x, G_off, G_on, exponential):
    """Conductance of VTEAM: its logarithm (exponential != 0) or the resistance is linear in the state.

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State: 0 is OFF, 1 is ON.
    G_off, G_on : float, S, > 0
    exponential : float, 1
        A flag: 0 for the linear law.

    Returns
    -------
    float, S
    """
    if exponential != 0.0:
        return math.exp((1.0 - x) * math.log(G_off) + x * math.log(G_on))
    return 1.0 / ((1.0 - x) / G_off + x / G_on)


def yakopcic_drive(V, A_p, A_n, V_p, V_n):
    """g(V) of Yakopcic et al.: A_p (e^V - e^V_p) above V_p, -A_n (e^-V - e^V_n) below -V_n; voltages in V.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    A_p, A_n : float, Hz, >= 0
        Scales of the rate beyond the positive and the negative threshold.
    V_p, V_n : float, V, >= 0
        Magnitudes of the thresholds.

    Returns
    -------
    float, Hz
        Negative below -V_n, 0 between the thresholds.
    """
    if V - V_p > 0.0:
        return A_p * (math.exp(min(V, LARGEST_EXPONENT)) - math.exp(V_p))
    if V + V_n < 0.0:
        return -A_n * (math.exp(min(-V, LARGEST_EXPONENT)) - math.exp(V_n))
    return 0.0


def yakopcic_window(x, up, x_p, x_n, alpha_p, alpha_n):
    """f(x) of Yakopcic et al.: 1, but beyond x_p (up) or below 1 - x_n (down) a decay that ends at the bound.

    Parameters
    ----------
    x : float, 1, in [0, 1]
        State.
    up : bool
        Whether the state rises.
    x_p, x_n : float, 1, in [0, 1)
        Where a rise and a fall begin to slow down, each counted from the end that it leaves.
    alpha_p, alpha_n : float, 1, >= 0
        How steeply.

    Returns
    -------
    float, 1, 0 to 1
    """
    if up:
        return math.exp(-alpha_p * (x - x_p)) * ((x_p - x) / (1.0 - x_p) + 1.0) if x >= x_p else 1.0
    return math.exp(alpha_n * (x + x_n - 1.0)) * x / (1.0 - x_n) if x <= 1.0 - x_n else 1.0


def sinh_current(V, scale, b):
    """I = scale sinh(b V), the argument cut where it would overflow.

    Parameters
    ----------
    V : float, V
    scale : float, A, > 0
    b : float, 1/V, > 0

    Returns
    -------
    float, A
        Of the sign of V; at low voltage scale b V.
    """
    return scale * math.sinh(min(max(b * V, -LARGEST_EXPONENT), LARGEST_EXPONENT))


def sinh_voltage(current, scale, b):
    """Voltage at which :func:`sinh_current` is `current`.

    Parameters
    ----------
    current : float, A
    scale : float, A, > 0
    b : float, 1/V, > 0

    Returns
    -------
    float, V
    """
    return math.asinh(current / scale) / b


def stanford_scale(g, I_0, g_0):
    """I_0 exp(-g/g_0): what the sinh of the Stanford model is multiplied with, tunnelling through the gap g.

    Parameters
    ----------
    g : float, m, >= 0
        Gap between filament and electrode.
    I_0 : float, A, > 0
    g_0 : float, m, > 0
        Gap over which the current falls to 1/e.

    Returns
    -------
    float, A, > 0
    """
    return I_0 * math.exp(-g / g_0)


def stanford_enhancement(g, gamma_0, beta):
    """Local enhancement of the field, gamma_0 - beta (g / 1 nm)^3, none below zero.

    Parameters
    ----------
    g : float, m, >= 0
        Gap between filament and electrode.
    gamma_0 : float, 1, >= 0
        Without gap.
    beta : float, 1, >= 0
        What a gap of 1 nm takes.

    Returns
    -------
    float, 1, >= 0
    """
    return max(gamma_0 - beta * (g * 1e9) ** 3, 0.0)


def stanford_temperature(V, current, T_0, R_th):
    """Temperature of the filament, ambient plus Joule heating.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    current : float, A
    T_0 : float, K
        Ambient.
    R_th : float, K/W, >= 0
        Thermal resistance; the steady state is taken.

    Returns
    -------
    float, K, >= T_0
    """
    return T_0 + abs(V * current) * R_th


def stanford_rate(V, T, gamma, v_0, E_a, a, d, F_min):
    """dg/dt = -v_0 exp(-E_a/kT) sinh(gamma a V/(d kT)); none where gamma abs(V)/d < F_min.

    The published step at F_min is a smooth one, s^2 (3 - 2 s), over a thousandth of it: a gap that the step stops, or
    that follows it, would need infinitely short steps.

    Parameters
    ----------
    V : float, V
        Across the device itself; a positive one closes the gap.
    T : float, K
        Of the filament.
    gamma : float, 1, >= 0
        Local enhancement of the field V/d.
    v_0 : float, m/s, >= 0
        Velocity without a barrier.
    E_a : float, eV
        Barrier of ion motion.
    a : float, m
        Hop length.
    d : float, m, > 0
        Thickness of the film.
    F_min : float, V/m, >= 0
        Enhanced field below which the gap rests; 0 for none.

    Returns
    -------
    float, m/s
    """
    share = 1.0
    if F_min > 0.0:
        share = min(max(1e3 * (gamma * abs(V) / (d * F_min) - 1.0), 0.0), 1.0)
        share *= share * (3.0 - 2.0 * share)
    if share == 0.0:
        return 0.0
    kT = K_B * T
    u, E = gamma * a / d * V / kT, E_a / kT
    if abs(u) < 1e-3:  # else the difference of two nearly equal exponentials
        return -share * v_0 * math.exp(-E) * math.sinh(u)
    return -0.5 * share * v_0 * (math.exp(min(u - E, LARGEST_EXPONENT)) - math.exp(min(-u - E, LARGEST_EXPONENT)))


# -- spread from cycle to cycle ----------------------------------------------------------------------------------------


def weibull_deviates(normal):
    """Logarithms of Weibull times from standard normal numbers: median 0, standard deviation 1.

    Multiplied by s they are those of the shape pi / (s sqrt(6)): s = 1.28 is the exponential law, one random event.

    Parameters
    ----------
    normal : array, shape (...,), 1
        Standard normal numbers.

    Returns
    -------
    array, shape (...,), 1
        Rising with `normal`.
    """
    return math.sqrt(6.0) / math.pi * (np.log(-log_ndtr(-np.asarray(normal))) - math.log(math.log(2.0)))


# -- the synapse -------------------------------------------------------------------------------------------------------


def synapse_drive(V, V_0, depression):
    """Drive of the ions, V: the sinh of a hop, linear for V_0 = inf; `depression` multiplies it at positive V.

    A negative voltage at the active electrode collects vacancies there, which eases injection: it potentiates.

    Parameters
    ----------
    V : float, V
        Across the device itself.
    V_0 : float, V, > 0
        Voltage above which the drive grows exponentially.
    depression : float, 1, >= 0
        Drive of a positive over that of an equal negative voltage.

    Returns
    -------
    float, V
        Positive, hence potentiating, at negative V.
    """
    s = -V if math.isinf(V_0) else -V_0 * math.sinh(min(max(V / V_0, -LARGEST_EXPONENT), LARGEST_EXPONENT))
    return s * depression if V > 0.0 else s


def synapse_back_voltage(q, m, E_m, F_m, E_q, F_q):
    """Voltage that the displaced ions q hold against the drive, m of them mobile: stiffness and curvature of both.

    Parameters
    ----------
    q, m : float, 1
        In units of ln G; q includes m.
    E_m, E_q : float, V for each unit of m and of q, >= 0
        Stiffness.
    F_m, F_q : float, V for each unit of m^2 and of q^2, >= 0
        Curvature; its part of the voltage has the sign of m and of q.

    Returns
    -------
    float, V
    """
    return (E_m + F_m * abs(m)) * m + (E_q + F_q * abs(q)) * q


def synapse_capture(rate, exponent, norm, ratio):
    """Capture rate of the places that release at `rate`; `norm` is the sum of rate^(exponent - 1) over all.

    Parameters
    ----------
    rate : float or array, Hz, > 0
        Release rate.
    exponent : float, 1
        p: captured in proportion to rate^p.
    norm : float, Hz^(exponent - 1), > 0
    ratio : float, 1, >= 0
        Held over mobile ions at equilibrium, summed over all places.

    Returns
    -------
    float or array, Hz
    """
    return ratio * rate**exponent / norm
