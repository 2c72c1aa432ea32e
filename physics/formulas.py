"""The equations, once each: bare numbers in, bare numbers out, no checks.

The body *is* the formula. :mod:`halidrift.physics.kinetics` documents and checks them for users; kernels
compile them (``hop_rate = numba.njit(formulas.hop_rate)``). Energies in eV, everything else SI.
"""

from __future__ import annotations

import numpy as np

from .constants import BOLTZMANN_EV_K as K_B
from .constants import ELEMENTARY_CHARGE_C as Q
from .constants import VACUUM_PERMITTIVITY_F_M as EPS_0

# 2 sqrt(2 m_e q) / hbar, 1/(m sqrt(V)): decay of the tunnelling probability under a 1 eV barrier
TUNNEL_DECAY_1_EV = 1.0246e10


def hop_rate(E_a, T, nu, lowering):
    """Thermally activated rate over a barrier lowered by `lowering` eV."""
    return nu * np.exp(-(E_a - lowering) / (K_B * T))


def balanced_barrier(E_0, dE):
    """Barrier of a step that changes the energy by dE, intrinsic barrier E_0; obeys E(dE) - E(-dE) = dE."""
    return max(E_0 + 0.5 * dE, dE, 0.0)


def field_lowering(z, F, a):
    """Lowering of a hop barrier half way along a hop of length a in field F, eV."""
    return 0.5 * z * F * a


def diffusion_coefficient(rate, a, neighbours):
    """Uncorrelated hops of length a, each at `rate` to every one of `neighbours` sites, in three dimensions."""
    return neighbours * rate * a * a / 6.0


def mott_gurney_velocity(rate, a, z, F, T):
    """Drift velocity of an ion that hops both ways along the field."""
    return 2.0 * a * rate * np.sinh(0.5 * z * F * a / (K_B * T))


def einstein_mobility(D, z, T):
    """Mobility that belongs to a diffusion coefficient."""
    return z * D / (K_B * T)


def ionic_conductivity(density, z, mobility):
    """Conductivity of one mobile species."""
    return z * Q * density * mobility


def debye_length(eps_r, T, density, z):
    """Screening length of one mobile species against a fixed background."""
    return np.sqrt(eps_r * EPS_0 * K_B * T / (Q * z * z * density))


def transit_time(length, mobility, voltage):
    """Time to drift through a film under a uniform field."""
    return length * length / (mobility * voltage)


def charging_time(eps_r, T, density, z, length, D):
    """Time to charge two blocking double layers through the film, lambda L / 2 D."""
    return debye_length(eps_r, T, density, z) * length / (2.0 * D)


def retention_time(E_a, T, nu):
    """Mean waiting time of one activated event."""
    return np.exp(E_a / (K_B * T)) / nu


def butler_volmer_current_density(j_0, alpha, eta, T):
    """Charge-transfer current density at overpotential eta, anodic positive."""
    f = 1.0 / (K_B * T)
    return j_0 * (np.exp(alpha * eta * f) - np.exp(-(1.0 - alpha) * eta * f))


def tunnel_decay(phi, mass_ratio):
    """Decay constant of the tunnelling conductance with gap width, 1/m, for a barrier phi in eV."""
    return TUNNEL_DECAY_1_EV * np.sqrt(mass_ratio * phi)


def tunnel_conductance(G_contact, decay, gap):
    """Conductance of a gap between two contacts, low-bias Simmons limit."""
    return G_contact * np.exp(-decay * gap)


def compliance_voltage(V, G, I_cc):
    """Device voltage of a source V behind a current limit I_cc, for a device of conductance G."""
    limit = I_cc / G
    return min(max(V, -limit), limit)


def charge_transfer_barriers(E_red, E_ox, eta):
    """Barriers of reduction and oxidation at overpotential eta (positive drives reduction), transfer factor 1/2.

    Their difference is always E_red - E_ox - eta, so forward and backward rates obey detailed balance even
    where the voltage removes one of the barriers.
    """
    forward, drop = E_red - 0.5 * eta, E_red - E_ox - eta
    forward = max(forward, drop, 0.0)
    return forward, forward - drop
