r"""Kinetics of ions, checked and documented: the public face of :mod:`halidrift.physics.formulas`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import formulas
from .errors import InputError, ValidityError

__all__ = [
    "charging_time",
    "conductivity",
    "debye_length",
    "diffusion_coefficient",
    "drift_velocity",
    "hop_rate",
    "hop_rates",
    "mobility",
    "relaxation_time",
    "retention_time",
    "transit_time",
    "tunnel_decay",
]

Number = float | NDArray[np.float64]


def checked(value: ArrayLike, name: str, unit: str, *, low: float = 0.0, strict: bool = True) -> Number:
    """Return a number or an array of them; InputError if one is not finite or not above `low`."""
    array = np.asarray(value, dtype=float)
    bad = ~np.isfinite(array) | ((array <= low) if strict else (array < low))
    if bad.any():
        raise InputError(
            f"{name} is out of range",
            got=f"{np.atleast_1d(array)[np.atleast_1d(bad)][0]:g} {unit}",
            allowed=f"{'>' if strict else '>='} {low:g} {unit}",
        )
    return float(array) if array.ndim == 0 else array


def check_barrier(barrier_eV: ArrayLike, lowering_eV: ArrayLike) -> None:
    """Raise ValidityError where a field lowers a barrier to zero or below."""
    if np.any(np.asarray(barrier_eV) - lowering_eV <= 0):
        raise ValidityError(
            "The field removes the hop barrier",
            got=f"{np.max(lowering_eV):g} eV of lowering on {np.min(barrier_eV):g} eV",
            allowed="z q F a / 2 < barrier",
            action="Lower the field: linear barrier lowering does not hold here",
        )


def hop_rate(
    barrier_eV: ArrayLike,
    temperature_K: ArrayLike,
    attempt_frequency_Hz: float = 1e12,
    *,
    field_V_m: ArrayLike = 0.0,
    hop_length_m: float = 0.0,
    charge: int = 1,
) -> Number:
    r"""Rate of a field-assisted, thermally activated ion hop.

    .. math:: k = \nu_0 \exp[-(E_a - z q F a / 2) / k_B T]

    Parameters
    ----------
    barrier_eV : float or array, eV, > 0
        Zero-field migration barrier.
    temperature_K : float or array, K, > 0
        Lattice temperature.
    attempt_frequency_Hz : float, Hz, > 0
        Attempt frequency.
    field_V_m : float or array, V/m
        Field component along the hop; positive lowers the barrier of a positive ion.
    hop_length_m : float, m, >= 0
        Length of this hop.
    charge : int
        Charge number of the ion.

    Returns
    -------
    float or array, Hz

    Raises
    ------
    InputError
        If a number is out of range.
    ValidityError
        If the field lowers the barrier to zero or below.

    Notes
    -----
    Linear lowering: valid while :math:`z q F a / 2 \ll E_a`.

    References
    ----------
    .. [1] N. F. Mott and R. W. Gurney, Electronic Processes in Ionic Crystals, Oxford, 1940.

    Examples
    --------
    >>> f"{hop_rate(0.58, 300.0):.1f}"
    '180.5'
    """
    E_a, T = checked(barrier_eV, "barrier_eV", "eV"), checked(temperature_K, "temperature_K", "K")
    nu = checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz")
    a = checked(hop_length_m, "hop_length_m", "m", strict=False)
    field = _field(field_V_m)
    if np.any(field != 0.0) and not np.any(a):
        raise InputError(
            "a field without a hop length has no effect", got="hop_length_m 0 m", action="give hop_length_m"
        )
    lowering = formulas.field_lowering(signed(charge), field, a)
    check_barrier(E_a, lowering)
    rate = formulas.hop_rate(E_a, T, nu, lowering)
    return float(rate) if np.ndim(rate) == 0 else rate


def hop_rates(
    barrier_eV: float,
    energy_change_eV: ArrayLike,
    temperature_K: float,
    attempt_frequency_Hz: float = 1e12,
) -> tuple[Number, Number]:
    r"""Rates of a hop and of its reverse between two sites of different energy.

    .. math:: E_\rightarrow = E_0 + \Delta E / 2, \quad E_\leftarrow = E_0 - \Delta E / 2, \quad
              \Gamma_\rightarrow / \Gamma_\leftarrow = e^{-\Delta E / k_B T}

    Parameters
    ----------
    barrier_eV : float, eV, > 0
        Barrier between sites of equal energy.
    energy_change_eV : float or array, eV
        Energy of the final site less that of the initial one; a field adds -z q F a.
    temperature_K : float, K, > 0
    attempt_frequency_Hz : float, Hz, > 0

    Returns
    -------
    forward, backward : float or array, Hz
        Their ratio obeys detailed balance exactly, also where the energy change exceeds twice the barrier: the
        downhill hop then has no barrier and the uphill one climbs the whole change.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> forward, backward = hop_rates(0.35, 0.1, 300.0)
    >>> f"{forward / backward:.4f} = exp(-0.1 eV / kT)"
    '0.0209 = exp(-0.1 eV / kT)'
    """
    E_0, T = checked(barrier_eV, "barrier_eV", "eV"), checked(temperature_K, "temperature_K", "K")
    nu = checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz")
    dE = np.asarray(energy_change_eV, dtype=float)
    if not np.isfinite(dE).all():
        raise InputError("energy_change_eV is not finite", got=energy_change_eV, allowed="finite numbers, eV")
    balanced = np.vectorize(formulas.balanced_barrier, otypes=[float])
    forward, backward = (formulas.hop_rate(balanced(E_0, sign * dE), T, nu, 0.0) for sign in (1.0, -1.0))
    return (float(forward), float(backward)) if dE.ndim == 0 else (forward, backward)


def drift_velocity(
    barrier_eV: float,
    temperature_K: float,
    field_V_m: ArrayLike,
    hop_length_m: float,
    attempt_frequency_Hz: float = 1e12,
    charge: int = 1,
) -> Number:
    r"""Drift velocity of an ion that hops along the field and against it.

    .. math:: v = 2 a \Gamma \sinh(z q F a / 2 k_B T)

    Parameters
    ----------
    barrier_eV, temperature_K, hop_length_m, attempt_frequency_Hz : float, eV, K, m, Hz, > 0
    field_V_m : float or array, V/m
    charge : int

    Returns
    -------
    float or array, m/s

    References
    ----------
    .. [1] N. F. Mott and R. W. Gurney, Electronic Processes in Ionic Crystals, Oxford, 1940.

    Examples
    --------
    >>> f"{drift_velocity(0.27, 300.0, 5e7, 0.587e-9):.3g}"
    '0.0205'
    """
    rate = hop_rate(barrier_eV, temperature_K, attempt_frequency_Hz)
    a, field = checked(hop_length_m, "hop_length_m", "m"), _field(field_V_m)
    check_barrier(barrier_eV, np.abs(formulas.field_lowering(signed(charge), field, a)))
    velocity = formulas.mott_gurney_velocity(rate, a, charge, field, temperature_K)
    return float(velocity) if np.ndim(velocity) == 0 else velocity


def diffusion_coefficient(
    barrier_eV: float,
    temperature_K: float,
    hop_length_m: float,
    attempt_frequency_Hz: float = 1e12,
    neighbours: int = 6,
) -> Number:
    r"""Diffusion coefficient of a defect that hops on a network with equal neighbours.

    .. math:: D = \frac{Z}{6} a^2 \nu_0 e^{-E_a / k_B T}

    Parameters
    ----------
    barrier_eV, temperature_K, hop_length_m, attempt_frequency_Hz : float, eV, K, m, Hz, > 0
    neighbours : int, >= 1
        Sites that one hop can reach: 6 simple cubic, 8 on the halide sublattice.

    Returns
    -------
    float, m^2/s

    Examples
    --------
    >>> f"{diffusion_coefficient(0.27, 300.0, 0.587e-9):.2e}"
    '1.00e-11'
    """
    a = checked(hop_length_m, "hop_length_m", "m")
    if not np.isfinite(neighbours) or int(neighbours) != neighbours or neighbours < 1:
        raise InputError("neighbours must be a whole number", got=neighbours, allowed=">= 1")
    return formulas.diffusion_coefficient(hop_rate(barrier_eV, temperature_K, attempt_frequency_Hz), a, int(neighbours))


def mobility(diffusivity_m2_s: ArrayLike, temperature_K: ArrayLike, charge: int = 1) -> Number:
    r"""Mobility of an ion, by Einstein's relation.

    .. math:: \mu = |z| q D / k_B T

    Parameters
    ----------
    diffusivity_m2_s : float or array, m^2/s, > 0
        Diffusion coefficient of the charge, not of a tracer: the two differ by the correlation factor.
    temperature_K : float or array, K, > 0
    charge : int, nonzero

    Returns
    -------
    float or array, m^2/(V s)
        Its magnitude; the sign of the drift is that of the charge.

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    Linear response: valid while the field changes the energy over one hop by less than k_B T.

    Examples
    --------
    >>> f"{mobility(1e-11, 300.0):.3g}"
    '3.87e-10'
    """
    D, T = checked(diffusivity_m2_s, "diffusivity_m2_s", "m^2/s"), checked(temperature_K, "temperature_K", "K")
    return formulas.einstein_mobility(D, _charge(charge), T)


def conductivity(
    density_m3: ArrayLike, diffusivity_m2_s: ArrayLike, temperature_K: ArrayLike, charge: int = 1
) -> Number:
    r"""Ionic conductivity of one mobile species, by the Nernst-Einstein relation.

    .. math:: \sigma = z^2 q^2 N D / k_B T

    Parameters
    ----------
    density_m3 : float or array, 1/m^3, > 0
        Mobile ions or vacancies.
    diffusivity_m2_s : float or array, m^2/s, > 0
        Their diffusion coefficient (of the defect, not of a tracer).
    temperature_K : float or array, K, > 0
    charge : int, nonzero

    Returns
    -------
    float or array, S/m

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    Valid for dilute defects that do not interact; electrons are not counted.

    Examples
    --------
    >>> f"{conductivity(1e24, 1e-12, 300.0):.3g}"
    '6.2e-06'
    """
    density, z = checked(density_m3, "density_m3", "1/m^3"), _charge(charge)
    return formulas.ionic_conductivity(density, z, mobility(diffusivity_m2_s, temperature_K, z))


def relaxation_time(relative_permittivity: ArrayLike, conductivity_S_m: ArrayLike) -> Number:
    r"""Dielectric relaxation time, s: how long space charge lives in the bulk.

    .. math:: \tau = \varepsilon_0 \varepsilon_r / \sigma

    Parameters
    ----------
    relative_permittivity : float or array, 1, > 0
    conductivity_S_m : float or array, S/m, > 0

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    Equal to lambda^2 / D of the same ions. A film between blocking contacts takes longer by L / 2 lambda to
    charge: `charging_time`.

    Examples
    --------
    >>> f"{relaxation_time(24.0, 1e-6):.3g}"
    '0.000213'
    """
    eps = checked(relative_permittivity, "relative_permittivity", "")
    return formulas.relaxation_time(eps, checked(conductivity_S_m, "conductivity_S_m", "S/m"))


def transit_time(thickness_m: ArrayLike, mobility_m2_Vs: ArrayLike, voltage_V: ArrayLike) -> Number:
    r"""Time that an ion takes to drift through a film under a uniform field, s.

    .. math:: t = L^2 / \mu V

    Parameters
    ----------
    thickness_m : float or array, m, > 0
    mobility_m2_Vs : float or array, m^2/(V s), > 0
    voltage_V : float or array, V, > 0

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    No space charge, no screening: valid while the mobile charge is far below C V; otherwise `fem.IonFilm`.

    Examples
    --------
    >>> f"{transit_time(20e-9, 3.87e-10, 1.0):.3g}"
    '1.03e-06'
    """
    length, mu = checked(thickness_m, "thickness_m", "m"), checked(mobility_m2_Vs, "mobility_m2_Vs", "m^2/(V s)")
    return formulas.transit_time(length, mu, checked(voltage_V, "voltage_V", "V"))


def signed(charge: int) -> int:
    """Return a charge number; InputError if it is none."""
    if isinstance(charge, bool) or not np.isfinite(charge) or int(charge) != charge:
        raise InputError("charge must be a whole number", got=charge, allowed="such as 1, 0 or -2")
    return int(charge)


def _charge(charge: int) -> int:
    if signed(charge) == 0:
        raise InputError("charge must be a whole number, not zero", got=charge, allowed="such as 1 or -2")
    return abs(int(charge))


def _field(field_V_m: ArrayLike) -> NDArray[np.float64]:
    field = np.asarray(field_V_m, dtype=float)
    if not np.isfinite(field).all():
        raise InputError("field_V_m is not finite", got=field_V_m, allowed="finite numbers, V/m")
    return field


def debye_length(relative_permittivity: float, temperature_K: float, density_m3: ArrayLike, charge: int = 1) -> Number:
    """Debye length of one mobile species against its fixed background, m.

    Parameters
    ----------
    relative_permittivity : float, 1, > 0
    temperature_K : float, K, > 0
    density_m3 : float or array, 1/m^3, > 0
    charge : int, nonzero

    Examples
    --------
    >>> f"{debye_length(24.0, 300.0, 1e23) * 1e9:.2f} nm"
    '18.52 nm'
    """
    eps = checked(relative_permittivity, "relative_permittivity", "")
    T, density = checked(temperature_K, "temperature_K", "K"), checked(density_m3, "density_m3", "1/m^3")
    return formulas.debye_length(eps, T, density, _charge(charge))


def charging_time(
    relative_permittivity: float,
    temperature_K: float,
    density_m3: float,
    thickness_m: float,
    diffusivity_m2_s: float,
) -> Number:
    """Time to charge the double layers of a film between blocking contacts, lambda L / 2 D, s.

    For ions of charge number 1 or -1. Valid for a Debye length far below the thickness and a small voltage.

    Parameters
    ----------
    relative_permittivity : float, >= 1
    temperature_K : float, K, > 0
    density_m3 : float or array, 1/m^3, > 0
        Of the mobile ions.
    thickness_m : float, m, > 0
        Above ten Debye lengths.
    diffusivity_m2_s : float or array, m^2/s, > 0
    """
    length = checked(thickness_m, "thickness_m", "m")
    D = checked(diffusivity_m2_s, "diffusivity_m2_s", "m^2/s")
    screening = debye_length(relative_permittivity, temperature_K, density_m3)
    if np.any(np.asarray(screening) > 0.1 * length):
        raise ValidityError(
            "The film is not thick against its Debye length",
            got=f"{np.max(screening):g} m in {length:g} m",
            allowed="lambda < L / 10",
            action="Solve it with fem.IonFilm",
        )
    return formulas.charging_time(relative_permittivity, temperature_K, density_m3, 1, length, D)


def retention_time(barrier_eV: ArrayLike, temperature_K: ArrayLike, attempt_frequency_Hz: float = 1e12) -> Number:
    r"""Mean waiting time of the activated event that ends a state, s.

    .. math:: t = e^{E_a / k_B T} / \nu_0

    Parameters
    ----------
    barrier_eV, temperature_K : float or array, eV, K, > 0
        An array of barriers, for instance `Database.ensemble`, gives the spread of the retention.
    attempt_frequency_Hz : float, Hz, > 0

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    One event ends the state. Measured, temperature-accelerated retention: :mod:`halidrift.physics.retention`.

    Examples
    --------
    >>> f"{retention_time(1.0, 300.0, 1e13):.0f}"
    '6299'
    """
    E_a, T = checked(barrier_eV, "barrier_eV", "eV"), checked(temperature_K, "temperature_K", "K")
    return formulas.retention_time(E_a, T, checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz"))


def tunnel_decay(barrier_eV: ArrayLike, mass_ratio: float = 1.0) -> Number:
    r"""Decay of the tunnelling conductance with gap width, 1/m.

    .. math:: \kappa = 2 \sqrt{2 m^* \phi} / \hbar

    Parameters
    ----------
    barrier_eV : float or array, eV, > 0
    mass_ratio : float, > 0
        Effective over free electron mass.

    References
    ----------
    .. [1] J. G. Simmons, J. Appl. Phys. 34, 1793 (1963).

    Examples
    --------
    >>> f"{tunnel_decay(1.0) * 1e-10:.3f} per angstrom"
    '1.025 per angstrom'
    """
    return formulas.tunnel_decay(checked(barrier_eV, "barrier_eV", "eV"), checked(mass_ratio, "mass_ratio", ""))
