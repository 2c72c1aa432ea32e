"""The equations, once each: bare numbers in, bare numbers out, no checks.

The body *is* the formula. :mod:`halidrift.physics.kinetics` documents and checks them for users; kernels
compile them (``hop_rate = numba.njit(formulas.hop_rate)``). Energies in eV, everything else SI.
"""

from __future__ import annotations

import numpy as np

from .constants import BOLTZMANN_EV_K as K_B
from .constants import CONDUCTANCE_QUANTUM_S as G_0
from .constants import ELEMENTARY_CHARGE_C as Q
from .constants import VACUUM_PERMITTIVITY_F_M as EPS_0

# 2 sqrt(2 m_e q) / hbar, 1/(m sqrt(V)): decay of the tunnelling probability under a 1 eV barrier
TUNNEL_DECAY_1_EV = 1.0246e10


def hop_rate(E_a, T, nu, lowering):
    """Thermally activated rate over a barrier lowered by `lowering` eV.

    Parameters
    ----------
    E_a : float or array, eV
    T : float or array, K, > 0
    nu : float, Hz, > 0
        Attempt frequency.
    lowering : float or array, eV

    Returns
    -------
    float or array, Hz
    """
    return nu * np.exp(-(E_a - lowering) / (K_B * T))


def balanced_barrier(E_0, dE):
    """Barrier of a step that changes the energy by dE, intrinsic barrier E_0; obeys E(dE) - E(-dE) = dE.

    Parameters
    ----------
    E_0 : float, eV, >= 0
        Barrier of the step where it changes no energy.
    dE : float, eV

    Returns
    -------
    float, eV, >= 0
    """
    return max(E_0 + 0.5 * dE, dE, 0.0)


def field_lowering(z, F, a):
    """Lowering of a hop barrier half way along a hop of length a in field F, eV.

    Parameters
    ----------
    z : int
        Charge number.
    F : float or array, V/m
        Field along the hop.
    a : float, m
        Length of the hop.
    """
    return 0.5 * z * F * a


def diffusion_coefficient(rate, a, neighbours):
    """Uncorrelated hops of length a, each at `rate` to every one of `neighbours` sites, in three dimensions.

    Parameters
    ----------
    rate : float or array, Hz
    a : float, m
    neighbours : int

    Returns
    -------
    float or array, m^2/s
    """
    return neighbours * rate * a * a / 6.0


def mott_gurney_velocity(rate, a, z, F, T):
    """Drift velocity of an ion that hops both ways along the field.

    Parameters
    ----------
    rate : float or array, Hz
        Of one hop without a field.
    a : float, m
    z : int
    F : float or array, V/m
    T : float, K, > 0

    Returns
    -------
    float or array, m/s
    """
    return 2.0 * a * rate * np.sinh(0.5 * z * F * a / (K_B * T))


def einstein_mobility(D, z, T):
    """Mobility that belongs to a diffusion coefficient.

    Parameters
    ----------
    D : float or array, m^2/s
    z : int
    T : float, K, > 0

    Returns
    -------
    float or array, m^2/(V s)
    """
    return z * D / (K_B * T)


def ionic_conductivity(density, z, mobility):
    """Conductivity of one mobile species.

    Parameters
    ----------
    density : float or array, 1/m^3
    z : int
    mobility : float or array, m^2/(V s)
        Of the sign of `z`, as :func:`einstein_mobility` gives it.

    Returns
    -------
    float or array, S/m
    """
    return z * Q * density * mobility


def relaxation_time(eps_r, conductivity):
    """Dielectric relaxation time of a conductor.

    Parameters
    ----------
    eps_r : float
    conductivity : float or array, S/m, > 0

    Returns
    -------
    float or array, s
    """
    return eps_r * EPS_0 / conductivity


def debye_length(eps_r, T, density, z):
    """Screening length of one mobile species against a fixed background.

    Parameters
    ----------
    eps_r : float
    T : float, K, > 0
    density : float or array, 1/m^3, > 0
    z : int

    Returns
    -------
    float or array, m
    """
    return np.sqrt(eps_r * EPS_0 * K_B * T / (Q * z * z * density))


def transit_time(length, mobility, voltage):
    """Time to drift through a film under a uniform field.

    Parameters
    ----------
    length : float, m
    mobility : float or array, m^2/(V s), > 0
    voltage : float or array, V, > 0

    Returns
    -------
    float or array, s
    """
    return length * length / (mobility * voltage)


def charging_time(eps_r, T, density, z, length, D):
    """Time to charge two blocking double layers through the film, lambda L / 2 D.

    Parameters
    ----------
    eps_r : float
    T : float, K, > 0
    density : float or array, 1/m^3, > 0
    z : int
    length : float, m
    D : float or array, m^2/s, > 0

    Returns
    -------
    float or array, s
    """
    return debye_length(eps_r, T, density, z) * length / (2.0 * D)


def retention_time(E_a, T, nu):
    """Mean waiting time of one activated event.

    Parameters
    ----------
    E_a : float or array, eV
    T : float or array, K, > 0
    nu : float, Hz, > 0
        Attempt frequency.

    Returns
    -------
    float or array, s
    """
    return np.exp(E_a / (K_B * T)) / nu


def butler_volmer_current_density(j_0, alpha, eta, T):
    """Charge-transfer current density at overpotential eta, anodic positive.

    Parameters
    ----------
    j_0 : float, A/m^2
        Exchange current density.
    alpha : float, in [0, 1]
        Transfer factor of the anodic step.
    eta : float or array, V
    T : float, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    f = 1.0 / (K_B * T)
    return j_0 * (np.exp(alpha * eta * f) - np.exp(-(1.0 - alpha) * eta * f))


def tunnel_decay(phi, mass_ratio):
    """Decay constant of the tunnelling conductance with gap width, 1/m, for a barrier phi in eV.

    Parameters
    ----------
    phi : float or array, eV, > 0
    mass_ratio : float, > 0
        Effective over free electron mass.
    """
    return TUNNEL_DECAY_1_EV * np.sqrt(mass_ratio * phi)


def tunnel_conductance(G_contact, decay, gap):
    """Conductance of a gap between two contacts, low-bias Simmons limit.

    Parameters
    ----------
    G_contact : float, S
        At zero gap.
    decay : float, 1/m
        Of :func:`tunnel_decay`.
    gap : float or array, m, >= 0

    Returns
    -------
    float or array, S
    """
    return G_contact * np.exp(-decay * gap)


def link_conductance(n_i, n_j, G_contact, G_metal):
    """Conductance between neighbouring atoms with n_i and n_j bonds: a contact where thin, metal where all six bind.

    Parameters
    ----------
    n_i, n_j : float or array, 0 to 6
        Bonds of the two atoms.
    G_contact, G_metal : float, S, > 0
        Up to a mean of two bonds, and at six.

    Returns
    -------
    float or array, S
    """
    w = np.minimum(np.maximum((0.5 * (n_i + n_j) - 2.0) / 4.0, 0.0), 1.0)
    return G_contact ** (1.0 - w) * G_metal**w


def compliance_voltage(V, G, I_cc):
    """Device voltage of a source V behind a current limit I_cc, for a device of conductance G.

    Parameters
    ----------
    V : float, V
    G : float, S, > 0
    I_cc : float, A, > 0

    Returns
    -------
    float, V
    """
    limit = I_cc / G
    return min(max(V, -limit), limit)


def charge_transfer_barriers(E_red, E_ox, eta):
    """Barriers of reduction and oxidation at overpotential eta (positive drives reduction), transfer factor 1/2.

    Their difference is always E_red - E_ox - eta, so forward and backward rates obey detailed balance even
    where the voltage removes one of the barriers.

    Parameters
    ----------
    E_red, E_ox : float, eV
        At zero overpotential.
    eta : float, V

    Returns
    -------
    tuple of two float, eV, >= 0
        Of reduction and of oxidation.
    """
    forward, drop = E_red - 0.5 * eta, E_red - E_ox - eta
    forward = max(forward, drop, 0.0)
    return forward, forward - drop


# -- conduction laws
# Current densities in A/m^2 for a field F > 0 (V/m) or a voltage V > 0 across a film of thickness L. They are the
# nine rows of Table 3 of Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), after Chiu, Adv. Mater. Sci. Eng. 2014,
# 578168. The table prints proportionalities and some of them wrong; where a formula departs from the print, its
# docstring says so. Where `c` stands for 2 sqrt(2 m_e q)/hbar = TUNNEL_DECAY_1_EV, prefactors follow from
# q^2/h = G_0 / 2 and c alone: m_e q = (c h)^2 / 32 pi^2.


def ohmic_current_density(sigma_0, E_a, F, T):
    """Thermally activated ohmic conduction (Table 3: J ~ E).

    Parameters
    ----------
    sigma_0 : float, S/m
        Conductivity at infinite temperature.
    E_a : float, eV
    F : float or array, V/m
    T : float or array, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return sigma_0 * np.exp(-E_a / (K_B * T)) * F


def square_law_current_density(eps_r, mobility, V, L):
    """Space-charge-limited current without traps, Mott and Gurney (Table 3: J ~ E^2, which loses the 1/L).

    Parameters
    ----------
    eps_r : float
    mobility : float, m^2/(V s)
    V : float or array, V
    L : float, m, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return 1.125 * eps_r * EPS_0 * mobility * V * V / (L * L * L)


def trap_filling_current_density(mobility_density, V_t, exponent, V, L):
    """Space-charge-limited current while exponentially distributed traps fill, Mark and Helfrich.

    Table 3 prints J ~ E^m; m = exponent + 1, exponent = T_t / T, V_t = q N_t L^2 / eps for N_t traps. At
    exponent 1 it is the square law with mobility mobility_density / N_t.

    Parameters
    ----------
    mobility_density : float, 1/(m V s)
        Mobility times density of states of the band.
    V_t : float, V, > 0
    exponent : float, > 0
    V : float or array, V, > 0
    L : float, m, > 0

    Returns
    -------
    float or array, A/m^2
    """
    a = exponent
    return (
        Q
        * mobility_density
        * (V / L)
        * np.exp((a + 1.0) * np.log((2.0 * a + 1.0) / (a + 1.0)) + a * np.log(a / (a + 1.0) * V / V_t))
    )


def schottky_lowering(eps_r, F):
    """Image-force lowering of a contact barrier, eV.

    Parameters
    ----------
    eps_r : float
        At the frequency of the passing electron.
    F : float or array, V/m, >= 0
    """
    return np.sqrt(Q * F / (4.0 * np.pi * eps_r * EPS_0))


def schottky_current_density(richardson, phi, eps_r, F, T):
    """Emission over a contact barrier that its image force lowers.

    Table 3 prints T^2 exp(-sqrt(E/T)): by that the current falls with the field, and T stands under the root.
    The field lowers the barrier, so the sign is plus, and the lowering is divided by k T.

    Parameters
    ----------
    richardson : float, A/(m^2 K^2)
    phi : float, eV
        Barrier of the contact without a field.
    eps_r : float
    F : float or array, V/m, >= 0
    T : float or array, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return richardson * T * T * np.exp(-(phi - schottky_lowering(eps_r, F)) / (K_B * T))


def richardson_constant(mass_ratio):
    """Emission constant of free carriers of one mass, 4 pi q m k^2 / h^3, A/(m^2 K^2).

    Parameters
    ----------
    mass_ratio : float, > 0
        Effective over free electron mass.

    Returns
    -------
    float, A/(m^2 K^2)
    """
    return 0.5 * G_0 * TUNNEL_DECAY_1_EV**2 * mass_ratio * K_B**2 / (8.0 * np.pi)


def poole_frenkel_lowering(eps_r, F):
    """Lowering of a Coulomb trap by the field, eV: twice the image-force one, because the trap does not move.

    Parameters
    ----------
    eps_r : float
    F : float or array, V/m, >= 0

    Returns
    -------
    float or array, eV
    """
    return np.sqrt(Q * F / (np.pi * eps_r * EPS_0))


def poole_frenkel_current_density(prefactor, phi, eps_r, F, T):
    """Emission from charged traps; prefactor q mu N_c in S/m.

    Table 3 prints exp(-sqrt(E/T)): wrong in the sign and in T as for Schottky emission, and without the field in
    front, by which freed carriers drift.

    Parameters
    ----------
    prefactor : float, S/m
    phi : float, eV
        Depth of the trap without a field.
    eps_r : float
    F : float or array, V/m, >= 0
    T : float or array, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return prefactor * F * np.exp(-(phi - poole_frenkel_lowering(eps_r, F)) / (K_B * T))


def fowler_nordheim_slope(phi, mass_ratio):
    """Field of the exponent exp(-B / F) of a triangular barrier, 4 sqrt(2 m q) phi^1.5 / (3 hbar), V/m.

    Parameters
    ----------
    phi : float, eV, > 0
    mass_ratio : float, > 0
        Effective over free electron mass.
    """
    return 2.0 / 3.0 * TUNNEL_DECAY_1_EV * np.sqrt(mass_ratio) * phi**1.5


def fowler_nordheim_current_density(phi, mass_ratio, F):
    """Tunnelling through a triangular barrier, as in Table 3: J ~ E^2 exp(-1/E). Holds for V > phi.

    Parameters
    ----------
    phi : float, eV, > 0
    mass_ratio : float, > 0
        Effective over free electron mass.
    F : float or array, V/m, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return 0.5 * G_0 * F * F / (8.0 * np.pi * mass_ratio * phi) * np.exp(-fowler_nordheim_slope(phi, mass_ratio) / F)


def direct_tunnelling_current_density(phi, mass_ratio, gap, V):
    """Tunnelling through a rectangular barrier tilted by V < phi, Simmons' equation for intermediate voltages.

    Table 3 prints exp(E). That is its middle range only: it is ohmic at low voltage and zero at zero.

    Parameters
    ----------
    phi : float, eV, > 0
    mass_ratio : float, > 0
        Effective over free electron mass.
    gap : float, m, > 0
    V : float or array, V
        Below twice `phi`, where a root turns imaginary; the equation is meant for less than `phi`.

    Returns
    -------
    float or array, A/m^2
    """
    decay = TUNNEL_DECAY_1_EV * np.sqrt(mass_ratio) * gap
    low, high = phi - 0.5 * V, phi + 0.5 * V
    prefactor = 0.5 * G_0 / (2.0 * np.pi * gap * gap)
    return prefactor * (low * np.exp(-decay * np.sqrt(low)) - high * np.exp(-decay * np.sqrt(high)))


def thermionic_field_exponent(mass_ratio, F, T):
    """What tunnelling near the top of a barrier adds to the exponent -phi/kT: (hbar q F)^2 / (24 m (kT)^3).

    Parameters
    ----------
    mass_ratio : float, > 0
        Effective over free electron mass.
    F : float or array, V/m
    T : float or array, K, > 0

    Returns
    -------
    float or array, 1
    """
    return F * F / (3.0 * TUNNEL_DECAY_1_EV**2 * mass_ratio * (K_B * T) ** 3)


def thermionic_field_current_density(phi, mass_ratio, F, T):
    """Tunnelling of thermally excited carriers, the intermediate range of Murphy and Good without image force.

    Table 3 prints E exp(-1/T) exp(E^2/T^3), right but for the sqrt(T) in front, which Chiu's equation has. The
    numerical prefactor is that of Murphy and Good, q^2 sqrt(m k T) / (2 sqrt(2) pi^1.5 hbar^2).

    Parameters
    ----------
    phi : float, eV
    mass_ratio : float, > 0
        Effective over free electron mass.
    F : float or array, V/m
    T : float or array, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    prefactor = 0.5 * G_0 * TUNNEL_DECAY_1_EV * np.sqrt(mass_ratio * K_B * T) / (4.0 * np.sqrt(np.pi))
    return prefactor * F * np.exp(thermionic_field_exponent(mass_ratio, F, T) - phi / (K_B * T))


def hopping_current_density(density, z, a, nu, E_a, F, T):
    """Net current of charges z that hop a distance a along the field and against it.

    Both the hopping and the ionic row of Table 3, exp(E/T) and exp(-(1/T - E/T)). The print counts forward hops
    only and so has a current without a field; here the hops back are taken off. The field lowers a barrier half
    way along the hop by z q F a / 2. Chiu lowers that of electron hopping by q F a, with which the ratio of hops
    forward and back would be exp(2 q F a / k T) against detailed balance: his trap spacing is half of ours.

    Parameters
    ----------
    density : float, 1/m^3
    z : int
        Charge number.
    a : float, m
        Hop length.
    nu : float, Hz
        Attempt frequency.
    E_a : float, eV
    F : float or array, V/m
    T : float or array, K, > 0

    Returns
    -------
    float or array, A/m^2
    """
    return z * Q * density * mott_gurney_velocity(hop_rate(E_a, T, nu, 0.0), a, z, F, T)


# -- site networks -------------------------------------------------------------------------------------------


def network_velocity(flux, step):
    """Mean velocity of a walker: flux of each hop (occupation times rate), times its vector.

    Parameters
    ----------
    flux : array, shape (hops,), Hz
    step : array, shape (hops, 3), m

    Returns
    -------
    array, shape (3,), m/s
    """
    return flux @ step


def network_diffusion_tensor(flux, step):
    """Half the flux-weighted square of the hop vectors, correctors of both ends included.

    Parameters
    ----------
    flux : array, shape (hops,), Hz
    step : array, shape (hops, 3), m

    Returns
    -------
    array, shape (3, 3), m^2/s
    """
    return 0.5 * (step * flux[:, None]).T @ step


# -- lattice gas ---------------------------------------------------------------------------------------------


def charge_energy(q_here, phi_here, q_there, phi_there, V):
    """Energy of charge numbers that appear on two sites, their electrons left in an electrode at potential V.

    Parameters
    ----------
    q_here, q_there : float
        Charge numbers that each site gains.
    phi_here, phi_there : float, V
        Potentials of the sites.
    V : float, V

    Returns
    -------
    float, eV
    """
    return q_here * phi_here + q_there * phi_there - (q_here + q_there) * V


def biased_diffusion_coefficient(rate, a, u):
    """Spreading about the drift of a walker that hops a distance a with rate exp(u/2) and against with exp(-u/2).

    Parameters
    ----------
    rate : float, Hz
        Of a hop without bias.
    a : float, m
    u : float or array
        Energy gained in a hop along the bias, over kT.

    Returns
    -------
    float or array, m^2/s
    """
    return a * a * rate * np.cosh(0.5 * u)


def exclusion_ring_current(forward, backward, particles, sites):
    """Particles per time through any bond of a ring of biased walkers that exclude each other (Derrida 1998).

    Parameters
    ----------
    forward, backward : float, Hz
    particles : int, <= sites
    sites : int, >= 2

    Returns
    -------
    float, Hz
    """
    return (forward - backward) * particles * (sites - particles) / (sites * (sites - 1.0))


def density_mode_rate(rate, ka):
    """Decay rate of a density wave of walkers that exclude each other, at any density, ka phase a hop.

    Parameters
    ----------
    rate : float, Hz
        Of a hop to either side.
    ka : float or array, rad

    Returns
    -------
    float or array, Hz
    """
    return 2.0 * rate * (1.0 - np.cos(ka))


def single_file_displacement(density, D, t):
    """Mean square displacement of a particle in a single file of hard walkers, long times (Arratia 1983).

    Parameters
    ----------
    density : float, in (0, 1]
        Share of the sites that is taken.
    D : float
        Diffusion coefficient of a single walker, in squared site distances over the unit of `t`.
    t : float or array

    Returns
    -------
    float or array
        In squared site distances.
    """
    return (1.0 - density) / density * np.sqrt(4.0 * D * t / np.pi)


def ramp_median_time(rate_0, growth):
    """Median waiting time of one event whose rate grows as rate_0 exp(growth t).

    Parameters
    ----------
    rate_0 : float, Hz, > 0
    growth : float or array, 1/s, > 0

    Returns
    -------
    float or array, s
    """
    return np.log1p(growth * np.log(2.0) / rate_0) / growth
