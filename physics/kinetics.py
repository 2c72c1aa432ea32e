r"""Kinetics of ions, checked and documented: the public face of :mod:`halidrift.physics.formulas`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import formulas
from .errors import InputError, ValidityError

__all__ = [
    "charging_time",
    "debye_length",
    "diffusion_coefficient",
    "drift_velocity",
    "hop_rate",
    "retention_time",
    "tunnel_decay",
]

Number = float | NDArray[np.float64]


def _checked(value: ArrayLike, name: str, unit: str, *, low: float = 0.0, strict: bool = True) -> Number:
    array = np.asarray(value, dtype=float)
    bad = ~np.isfinite(array) | ((array <= low) if strict else (array < low))
    if bad.any():
        raise InputError(
            f"{name} is out of range",
            got=f"{np.atleast_1d(array)[np.atleast_1d(bad)][0]:g} {unit}",
            allowed=f"{'>' if strict else '>='} {low:g} {unit}",
        )
    return float(array) if array.ndim == 0 else array


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
    E_a, T = _checked(barrier_eV, "barrier_eV", "eV"), _checked(temperature_K, "temperature_K", "K")
    nu = _checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz")
    a = _checked(hop_length_m, "hop_length_m", "m", strict=False)
    lowering = formulas.field_lowering(charge, np.asarray(field_V_m, dtype=float), a)
    if np.any(np.asarray(E_a) - lowering <= 0):
        raise ValidityError(
            "The field removes the hop barrier",
            got=f"{np.max(lowering):g} eV of lowering on {np.min(E_a):g} eV",
            allowed="z q F a / 2 < barrier",
            action="Lower the field: linear barrier lowering does not hold here",
        )
    rate = formulas.hop_rate(E_a, T, nu, lowering)
    return float(rate) if np.ndim(rate) == 0 else rate


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
    a, field = _checked(hop_length_m, "hop_length_m", "m"), np.asarray(field_V_m, dtype=float)
    if np.any(np.abs(formulas.field_lowering(charge, field, a)) >= barrier_eV):
        raise ValidityError("The field removes the hop barrier", got=f"{np.abs(field).max():g} V/m")
    velocity = formulas.mott_gurney_velocity(rate, a, charge, field, temperature_K)
    return float(velocity) if np.ndim(velocity) == 0 else velocity


def diffusion_coefficient(
    barrier_eV: float,
    temperature_K: float,
    hop_length_m: float,
    attempt_frequency_Hz: float = 1e12,
    neighbours: int = 6,
) -> Number:
    r"""Tracer diffusion coefficient of uncorrelated hops on a network with equal neighbours.

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
    a = _checked(hop_length_m, "hop_length_m", "m")
    if int(neighbours) != neighbours or neighbours < 1:
        raise InputError("neighbours must be a whole number", got=neighbours, allowed=">= 1")
    return formulas.diffusion_coefficient(hop_rate(barrier_eV, temperature_K, attempt_frequency_Hz), a, int(neighbours))


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
    eps = _checked(relative_permittivity, "relative_permittivity", "")
    T, density = _checked(temperature_K, "temperature_K", "K"), _checked(density_m3, "density_m3", "1/m^3")
    if charge == 0:
        raise InputError("charge must not be zero", got=charge)
    return formulas.debye_length(eps, T, density, charge)


def charging_time(
    relative_permittivity: float,
    temperature_K: float,
    density_m3: float,
    thickness_m: float,
    diffusivity_m2_s: float,
) -> Number:
    """Time to charge the double layers of a film between blocking contacts, lambda L / 2 D, s.

    Valid for a Debye length far below the thickness and a small voltage.
    """
    length = _checked(thickness_m, "thickness_m", "m")
    D = _checked(diffusivity_m2_s, "diffusivity_m2_s", "m^2/s")
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
    """Mean waiting time of the activated event that ends a state, s.

    Examples
    --------
    >>> f"{retention_time(1.0, 300.0, 1e13):.0f}"
    '6299'
    """
    E_a, T = _checked(barrier_eV, "barrier_eV", "eV"), _checked(temperature_K, "temperature_K", "K")
    return formulas.retention_time(E_a, T, _checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz"))


def tunnel_decay(barrier_eV: ArrayLike, mass_ratio: float = 1.0) -> Number:
    r"""Decay of the tunnelling conductance with gap width, 1/m.

    .. math:: \kappa = 2 \sqrt{2 m^* \phi} / \hbar

    References
    ----------
    .. [1] J. G. Simmons, J. Appl. Phys. 34, 1793 (1963).

    Examples
    --------
    >>> f"{tunnel_decay(1.0) * 1e-10:.3f} per angstrom"
    '1.025 per angstrom'
    """
    return formulas.tunnel_decay(_checked(barrier_eV, "barrier_eV", "eV"), _checked(mass_ratio, "mass_ratio", ""))
