"""The equations of the compact models, once each: bare numbers in, bare numbers out, no checks.

:mod:`halidrift.compact._volatile` compiles them, the models and the exports use them. SI units, energies in eV.
"""

from __future__ import annotations

import math

from ..physics.constants import BOLTZMANN_EV_K as K_B

# growth saturates far above every rate that a trace can resolve; keeps exp() finite at absurd voltages
LARGEST_EXPONENT = 300.0


def time_norm(a):
    """Factor that makes an accelerated process x' = x (1 + a (1 - x)) / norm reach 1/e after one time constant."""
    return (1.0 + a) / (1.0 + math.log(1.0 + (1.0 - math.exp(-1.0)) * a))


def growth_rate(V, k_0, V_0):
    """Rate of filament growth at device voltage V: charge transfer, Butler-Volmer like; none at V <= 0."""
    if V <= 0.0:
        return 0.0
    return k_0 * math.expm1(min(V / V_0, LARGEST_EXPONENT))


def relaxation_share(V, V_r):
    """Share of the relaxation left at device voltage V: the reverse charge transfer, held back by a positive V."""
    return math.exp(-V / V_r) if V > 0.0 else 1.0


def growth(x, r):
    """Share of the growth rate that acts at state x; r > 0 accelerates it as the gap closes."""
    return (1.0 - x) * (1.0 + r * x)


def relaxation(x, s):
    """Share of the relaxation rate that acts at state x; s > 0 accelerates it as the filament thins."""
    return x * (1.0 + s * (1.0 - x))


def relaxed(x, s, decay):
    """State after relaxation alone, exact; `decay` is exp(-(1 + s) t / (norm tau))."""
    y = x / (1.0 + s * (1.0 - x)) * decay
    return (1.0 + s) * y / (1.0 + s * y)


def log_sinhc(u):
    """ln(sinh(u) / u): excess of a tunnelling current over its low-bias line."""
    u = abs(u)
    if u < 1e-2:
        return u * u / 6.0 - u**4 / 180.0
    return u + math.log1p(-math.exp(-2.0 * u)) - math.log(2.0 * u)


def log_conductance(x, excess, ln_off, ln_on):
    """ln G: the tunnelling gap shrinks linearly with x, from OFF (with log_sinhc as `excess`) to ohmic ON."""
    return (1.0 - x) * (ln_off + excess) + x * ln_on


def arrhenius_time(tau, E, T, T_0):
    """Time constant at T of an activated process with barrier E and time constant tau at T_0."""
    return tau * math.exp(E / K_B * (1.0 / T - 1.0 / T_0))


def programmed_conductance(I_cc, slope, intercept):
    """Mean conductance that a SET under compliance current I_cc leaves."""
    return slope * I_cc + intercept


def programming_spread(I_cc, sigma_0, sigma_1):
    """Standard deviation of the conductance that a SET under compliance current I_cc leaves."""
    return sigma_0 + sigma_1 * I_cc


def drifted(G, t, t_0, nu):
    """Conductance a time t after programming, power law beyond t_0."""
    return G * max(t / t_0, 1.0) ** (-nu)
