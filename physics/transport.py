r"""Motion of one defect on a site network: rates of its hops, occupation, diffusion and drift, all exact.

A periodic Markov chain has a diffusion tensor in closed form up to one linear solve, whatever the number of
sites and of different rates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csc_matrix, identity
from scipy.sparse.linalg import splu

from . import formulas, kinetics
from .errors import InputError
from .networks import SiteNetwork, components

__all__ = [
    "diffusion_coefficient",
    "diffusion_tensor",
    "drift_velocity",
    "is_balanced",
    "network_rates",
    "occupation",
    "rates_of_hops",
    "velocity",
]

Floats = NDArray[np.float64]

# beyond this many sites the occupation is solved with a sparse matrix
LARGEST_DENSE = 600


def rates_of_hops(network: SiteNetwork, rates_Hz: ArrayLike) -> Floats:
    """One rate for each hop, from one number, one for each class, or one for each hop.

    Parameters
    ----------
    network : SiteNetwork
    rates_Hz : float or array, shape (classes,) or (hops,), Hz, > 0

    Returns
    -------
    array, shape (hops,), Hz

    Raises
    ------
    InputError
        If the shape fits none of them, or a rate is not positive and finite.
    """
    rates = np.asarray(rates_Hz, dtype=float)
    if rates.ndim == 0:
        rates = np.full(network.hops, float(rates))
    elif rates.shape == (network.classes,):
        rates = rates[network.hop_class]
    elif rates.shape != (network.hops,):
        raise InputError(
            "Rates do not fit the network",
            got=rates.shape,
            allowed=f"one number, ({network.classes},) for the classes or ({network.hops},) for the hops",
        )
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise InputError("Rates must be positive and finite", got=float(rates.min()), allowed="> 0 Hz")
    return rates.astype(float)


def _per(network: SiteNetwork, values: ArrayLike, count: int, what: str) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.ndim == 0:
        array = np.full(count, float(array))
    if array.shape != (count,) or not np.isfinite(array).all():
        raise InputError(
            f"{what} does not fit the network {network.name}", got=np.shape(values), allowed=f"one number or ({count},)"
        )
    return array


def network_rates(
    network: SiteNetwork,
    barriers_eV: ArrayLike,
    temperature_K: float,
    attempt_frequency_Hz: float = 1e12,
    *,
    site_energies_eV: ArrayLike = 0.0,
    field_V_m: ArrayLike = (0.0, 0.0, 0.0),
    charge: int = 1,
) -> Floats:
    r"""Rate of each hop of a network.

    .. math:: k_{ij} = \nu_0 \exp[-(E_{ij} - z q \, \mathbf{F \cdot d}_{ij} / 2) / k_B T], \qquad
              E_{ij} = E_c + (E_j - E_i) / 2

    Parameters
    ----------
    network : SiteNetwork
    barriers_eV : float or array, shape (classes,), eV, > 0
        Migration barrier of each hop class; between sites of unequal energy, the mean of both directions.
    temperature_K : float, K, > 0
    attempt_frequency_Hz : float, Hz, > 0
    site_energies_eV : float or array, shape (kinds,), eV
        Energy of the defect on each kind of site.
    field_V_m : array, shape (3,), V/m
        Uniform field; each hop feels the component along its own vector.
    charge : int
        Charge number of what hops: +1 for a halide vacancy.

    Returns
    -------
    array, shape (hops,), Hz

    Raises
    ------
    InputError
        If a number is out of range or does not fit the network.
    ValidityError
        If the field removes a barrier.

    Notes
    -----
    Without a field the rates obey detailed balance by construction: both directions share one saddle. Where sites
    differ by more than twice the barrier, the hop down has none and the hop up climbs the whole difference.

    Examples
    --------
    >>> from halidrift.physics.networks import halide
    >>> rates = network_rates(halide(0.587e-9), 0.35, 300.0)
    >>> rates.shape, f"{rates[0]:.4g}"
    ((24,), '1.319e+06')
    """
    barriers = _per(network, barriers_eV, network.classes, "barriers_eV")
    if (barriers <= 0).any():
        raise InputError("barriers_eV is out of range", got=f"{barriers.min():g} eV", allowed="> 0 eV")
    barrier = barriers[network.hop_class]
    energy = _per(network, site_energies_eV, len(network.multiplicity), "site_energies_eV")[network.kind]
    field = np.asarray(field_V_m, dtype=float)
    if field.shape != (3,) or not np.isfinite(field).all():
        raise InputError("field_V_m must be a vector", got=field.shape, allowed="(3,)")
    rise = energy[network.target] - energy[network.source]
    balanced = np.array([formulas.balanced_barrier(b, dE) for b, dE in zip(barrier, rise, strict=True)])
    charge = kinetics.signed(charge)
    T = kinetics.checked(temperature_K, "temperature_K", "K")
    nu = kinetics.checked(attempt_frequency_Hz, "attempt_frequency_Hz", "Hz")
    # half the work of the field along the hop, see formulas.field_lowering
    lowering = formulas.field_lowering(charge, 1.0, network.hop_m @ field)
    # a hop down between unequal sites may have no barrier; that is no fault of the field
    kinetics.check_barrier(np.where(lowering == 0.0, np.inf, balanced), lowering)
    rates = formulas.hop_rate(balanced, T, nu, lowering)
    return np.asarray(rates, dtype=float)


def _connected(network: SiteNetwork) -> None:
    parts, _ = components(network)
    if parts > 1:
        raise InputError(
            f"The network {network.name} falls apart",
            got=f"{parts} parts without hops between them",
            action="Raise the cutoff, or take one part of network.split()",
        )


def _log_weights(network: SiteNetwork, rates: Floats) -> tuple[Floats, float]:
    """Logarithm of the equilibrium weight of each site along a tree of hops, and the worst disagreement off it."""
    source = network.source
    gain = np.log(rates / rates[network.reverse])
    weight = np.full(network.sites, np.nan)
    weight[0] = 0.0
    stack = [0]
    while stack:
        i = stack.pop()
        for e in range(network.start[i], network.start[i + 1]):
            j = int(network.target[e])
            if np.isnan(weight[j]):
                weight[j] = weight[i] + gain[e]
                stack.append(j)
    mismatch = np.abs(gain - (weight[network.target] - weight[source]))
    return weight, float(mismatch.max())


def is_balanced(network: SiteNetwork, rates_Hz: ArrayLike, tolerance: float = 1e-9) -> bool:
    """Whether rates obey detailed balance: no closed path of hops, through any cell, prefers a direction.

    Parameters
    ----------
    network : SiteNetwork
    rates_Hz : float or array, shape (classes,) or (hops,), Hz
    tolerance : float
        Largest allowed logarithm of the ratio of a path and its reverse.

    Examples
    --------
    >>> from halidrift.physics.networks import halide
    >>> network = halide(0.587e-9)
    >>> is_balanced(network, 1e6), is_balanced(network, network_rates(network, 0.35, 300.0, field_V_m=(1e6, 0, 0)))
    (True, False)
    """
    _connected(network)
    return _log_weights(network, rates_of_hops(network, rates_Hz))[1] <= tolerance


def occupation(network: SiteNetwork, rates_Hz: ArrayLike) -> Floats:
    """Share of the time that a walker spends on each site, shape (sites,), sum 1.

    Parameters
    ----------
    network : SiteNetwork
    rates_Hz : float or array, shape (classes,) or (hops,), Hz, > 0

    Raises
    ------
    InputError
        If the network falls apart or the rates do not fit it.
    """
    rates = rates_of_hops(network, rates_Hz)
    _connected(network)
    weight, mismatch = _log_weights(network, rates)
    if mismatch <= 1e-9:
        share = np.exp(weight - weight.max())
        return share / share.sum()
    n = network.sites
    if n <= LARGEST_DENSE:
        return _stationary(network, rates)
    # one equation of the balance is replaced by the normalisation
    source = network.source
    flow = csc_matrix((rates, (network.target, source)), shape=(n, n)).tolil()
    flow.setdiag(flow.diagonal() - np.bincount(source, rates, minlength=n))
    flow[0, :] = 1.0
    share = splu(flow.tocsc()).solve(np.eye(n, 1).ravel())
    return np.asarray(share, dtype=float)


def _stationary(network: SiteNetwork, rates: Floats) -> Floats:
    """Stationary distribution by elimination without subtraction (Grassmann, Taksar and Heyman)."""
    n = network.sites
    flow = np.zeros((n, n))
    np.add.at(flow, (network.source, network.target), rates)
    np.fill_diagonal(flow, 0.0)
    for k in range(n - 1, 0, -1):
        flow[:k, k] /= flow[k, :k].sum()
        flow[:k, :k] += np.outer(flow[:k, k], flow[k, :k])
    share = np.zeros(n)
    share[0] = 1.0
    for k in range(1, n):
        share[k] = share[:k] @ flow[:k, k]
    return share / share.sum()


def velocity(network: SiteNetwork, rates_Hz: ArrayLike) -> Floats:
    r"""Mean velocity of a walker, :math:`\mathbf v = \sum_i \pi_i \sum_j k_{ij} \mathbf d_{ij}`, shape (3,), m/s.

    Zero if the rates obey detailed balance.

    Parameters
    ----------
    network : SiteNetwork
    rates_Hz : float or array, shape (classes,) or (hops,), Hz, > 0
    """
    rates = rates_of_hops(network, rates_Hz)
    return formulas.network_velocity(occupation(network, rates)[network.source] * rates, network.hop_m)


def _corrected(network: SiteNetwork, rates: Floats) -> tuple[Floats, Floats, Floats]:
    """Flux of each hop, its vector with the corrector of both ends, and the mean velocity.

    The corrector is what a walker on a site will gain in the mean over one that started from the average site:
    sum_j k_ij (chi_j - chi_i + d_ij) = v. It vanishes where every site has a centre of inversion.
    """
    n, source = network.sites, network.source
    share = occupation(network, rates)
    flux = share[source] * rates
    mean = formulas.network_velocity(flux, network.hop_m)
    exit_rate = np.bincount(source, rates, minlength=n)
    gain = np.stack([np.bincount(source, rates * network.hop_m[:, a], minlength=n) for a in range(3)], axis=1)
    right = (mean - gain) / exit_rate[:, None]
    chi = np.zeros((n, 3))
    if n > 1 and np.abs(right).max() > 0:
        chain = csc_matrix((rates / exit_rate[source], (source, network.target)), shape=(n, n))
        matrix = (chain - identity(n, format="csc")).tolil()
        # chi is defined up to a constant: the equation of the first site is implied by the others
        matrix[0, :] = 0.0
        matrix[0, 0] = 1.0
        right[0] = 0.0
        chi = splu(matrix.tocsc()).solve(right)
    return flux, network.hop_m + chi[network.target] - chi[source], mean


def diffusion_tensor(network: SiteNetwork, rates_Hz: ArrayLike) -> Floats:
    r"""Exact diffusion tensor of a single walker.

    .. math:: D = \tfrac12 \sum_i \pi_i \sum_j k_{ij}\, \mathbf x_{ij} \otimes \mathbf x_{ij}, \qquad
              \mathbf x_{ij} = \mathbf d_{ij} + \boldsymbol\chi_j - \boldsymbol\chi_i

    with the corrector of each site from :math:`\sum_j k_{ij} \mathbf x_{ij} = \mathbf v`.

    Parameters
    ----------
    network : SiteNetwork
    rates_Hz : float or array, shape (classes,) or (hops,), Hz

    Returns
    -------
    array, shape (3, 3), m^2/s

    Raises
    ------
    InputError
        If the network falls apart or the rates do not fit it.

    Notes
    -----
    Exact for one walker on any periodic network, in a field too: it is then the spreading about the drift. At
    finite concentrations walkers block each other; with equal sites the collective (chemical) diffusion of
    exclusion-limited walkers is still this one, the tracer's is not
    (:func:`halidrift.physics.correlation.correlation`).

    References
    ----------
    .. [1] G. A. Pavliotis and A. M. Stuart, Multiscale Methods: Averaging and Homogenization, Springer, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from halidrift.physics.networks import halide
    >>> D = diffusion_tensor(halide(0.587e-9), 1e6)
    >>> bool(np.allclose(D, np.eye(3) * (8 / 6) * (0.587e-9 / 2**0.5) ** 2 * 1e6, rtol=1e-12))
    True
    """
    flux, step, _ = _corrected(network, rates_of_hops(network, rates_Hz))
    return formulas.network_diffusion_tensor(flux, step)


def diffusion_coefficient(
    network: SiteNetwork,
    barriers_eV: ArrayLike,
    temperature_K: float,
    attempt_frequency_Hz: float = 1e12,
    *,
    site_energies_eV: ArrayLike = 0.0,
) -> float:
    r"""Mean diffusion coefficient of a single walker, a third of the trace of :func:`diffusion_tensor`, m^2/s.

    Parameters
    ----------
    network : SiteNetwork
    barriers_eV : float or array, shape (classes,), eV, > 0
    temperature_K : float, K, > 0
    attempt_frequency_Hz : float, Hz, > 0
    site_energies_eV : float or array, shape (kinds,), eV

    Raises
    ------
    InputError
        If a number is out of range or does not fit the network.

    Examples
    --------
    Equal to the textbook formula where all sites are equal:

    >>> from halidrift.physics import kinetics
    >>> from halidrift.physics.networks import halide
    >>> a = 0.587e-9
    >>> one = diffusion_coefficient(halide(a), 0.35, 300.0)
    >>> round(one / kinetics.diffusion_coefficient(0.35, 300.0, a / 2**0.5, neighbours=8), 12)
    1.0
    """
    rates = network_rates(network, barriers_eV, temperature_K, attempt_frequency_Hz, site_energies_eV=site_energies_eV)
    return float(np.trace(diffusion_tensor(network, rates)) / 3.0)


def drift_velocity(
    network: SiteNetwork,
    barriers_eV: ArrayLike,
    temperature_K: float,
    field_V_m: ArrayLike,
    attempt_frequency_Hz: float = 1e12,
    *,
    site_energies_eV: ArrayLike = 0.0,
    charge: int = 1,
) -> Floats:
    r"""Exact drift velocity in a uniform field, shape (3,), m/s.

    The occupation of the sites is that of the driven chain, so the answer holds beyond the linear regime, as
    long as the linear lowering of the barriers does. For a weak field :math:`v = z D F / (k_B T / q)`.

    Parameters
    ----------
    network : SiteNetwork
    barriers_eV : float or array, shape (classes,), eV, > 0
    temperature_K : float, K, > 0
    field_V_m : array, shape (3,), V/m
    attempt_frequency_Hz : float, Hz, > 0
    site_energies_eV : float or array, shape (kinds,), eV
    charge : int

    Raises
    ------
    InputError
        If a number is out of range or does not fit the network.
    ValidityError
        If the field removes a barrier.

    Examples
    --------
    >>> from halidrift.physics.networks import simple_cubic
    >>> v = drift_velocity(simple_cubic(0.587e-9), 0.27, 300.0, (5e7, 0.0, 0.0))
    >>> f"{v[0]:.3g} m/s"
    '0.0205 m/s'
    """
    rates = network_rates(
        network,
        barriers_eV,
        temperature_K,
        attempt_frequency_Hz,
        site_energies_eV=site_energies_eV,
        field_V_m=field_V_m,
        charge=charge,
    )
    return velocity(network, rates)
