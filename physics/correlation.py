r"""Tracer diffusion by a vacancy: how much less an atom moves than its jumps, one by one, would take it.

After an atom has changed places with the vacancy, the vacancy stands right behind it and is more likely than not
to undo the jump. The probability of every next jump follows from the Green function of a vacancy that walks an
infinite crystal around a fixed atom: no simulation, no finite box, no fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import formulas
from .errors import ConvergenceError, InputError, ValidityError
from .networks import SiteNetwork
from .transport import diffusion_tensor, is_balanced, occupation, rates_of_hops

__all__ = ["Correlation", "correlation"]

Floats = NDArray[np.float64]

# points a direction of the integral over the Brillouin zone; the error falls exponentially with them
POINTS = (10, 16, 24, 36, 54)
MOST_BYTES = 2e8


@dataclass(frozen=True)
class Correlation:
    r"""Tracer diffusion of one atom in a crystal with few vacancies.

    Attributes
    ----------
    factor : float
        Tracer correlation factor: mean square displacement of an atom over that of as many uncorrelated jumps.
    axes : tuple of float
        The same along x, y and z.
    encounter_factor : float
        The same if only jumps with one vacancy are correlated. It differs from `factor` where a site has no
        centre of inversion: an atom then also remembers, between two vacancies, on which site it waits. A walk
        of a single unbounded vacancy measures this one.
    haven_ratio : float
        Tracer diffusion over the site fraction of vacancies times their diffusion coefficient.
    tracer_tensor_m2_s : array, shape (3, 3), m^2/s
        Tracer diffusion tensor divided by the site fraction of vacancies.
    residual : float
        Change of `factor` with the last refinement of the integral.
    points : int
        Points a direction of that integral.
    """

    factor: float
    axes: tuple[float, float, float]
    encounter_factor: float
    haven_ratio: float
    tracer_tensor_m2_s: Floats
    residual: float
    points: int


def correlation(network: SiteNetwork, rates_Hz: ArrayLike = 1.0, *, tolerance: float = 1e-7) -> Correlation:
    r"""Tracer correlation factor of the vacancy mechanism, without simulation.

    Parameters
    ----------
    network : SiteNetwork
        Sites of the vacancy; three-dimensional and periodic.
    rates_Hz : float or array, shape (classes,) or (hops,), Hz
        Rates of the vacancy. The factor depends on their ratios only.
    tolerance : float, > 0
        Largest change of the factor with the last refinement.

    Returns
    -------
    Correlation

    Raises
    ------
    InputError
        If the rates do not fit the network or break detailed balance.
    ValidityError
        If the network does not spread in three dimensions: in one and two the vacancy always comes back.
    ConvergenceError
        If the integral does not reach the tolerance: rates that differ by many decades sharpen the integrand.

    Notes
    -----
    State after a jump: the atom on site j, the vacancy on the neighbour i that it came from. A vacancy that
    starts there and may not pass the atom is absorbed by it through neighbour g with probability

    .. math:: Q_{ig} = [G_{ig} - G_{ij} G_{jg} / G_{jj}]\, k_{gj},

    where G is the Green function of the free walk, an integral over the Brillouin zone that runs on pyramids
    from its centre, so that the singularity there cancels. Rows of Q sum to less than one; the rest is the
    chance that the vacancy is lost and a fresh one comes from a random direction. With T the chain of all next
    jumps, W the equilibrium frequency of each and d its vector,

    .. math:: D^* = \tfrac12 \sum_e W_e\, \mathbf d_e \otimes [\mathbf d_e + 2 \mathbf y_e], \qquad
              \mathbf y = \sum_{m \ge 1} T^m \mathbf d.

    For equal sites this is :math:`f = (1 + \langle\cos\theta\rangle) / (1 - \langle\cos\theta\rangle)`; for
    several sites and rates, as on the halide sublattice, the matrix is needed. Valid for few vacancies: they do
    not meet each other. Non-interacting: the rates do not depend on where the tracer is.

    References
    ----------
    .. [1] J. Bardeen and C. Herring, in Imperfections in Nearly Perfect Crystals, Wiley, 1952.
    .. [2] G. L. Montet, Phys. Rev. B 7, 650 (1973).
    .. [3] T. Ishigaki, S. Yamauchi, K. Kishio, J. Mizusaki and K. Fueki, J. Solid State Chem. 73, 179 (1988): 0.69
       for the anion sublattice of a perovskite.

    Examples
    --------
    >>> from halidrift.physics import networks
    >>> f"{correlation(networks.halide(0.587e-9)).factor:.5f}"
    '0.68892'
    """
    rates = rates_of_hops(network, rates_Hz)
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError("tolerance must be positive", got=tolerance, allowed="> 0")
    if not is_balanced(network, rates):
        raise InputError(
            "The rates do not obey detailed balance", action="Compute the correlation factor without a field"
        )
    free = diffusion_tensor(network, rates)
    spread = np.linalg.eigvalsh(free)
    if not all(network.pbc) or spread[0] <= 1e-12 * spread[-1]:
        raise ValidityError(
            f"The network {network.name} does not spread in three dimensions",
            got=f"principal diffusion coefficients {spread}",
            allowed="a crystal that repeats and connects in all directions",
        )
    before = np.nan
    for points in POINTS:
        first, all_jumps, bare = _tensors(network, rates, points)
        factor = float(np.trace(all_jumps) / np.trace(bare))
        residual = abs(factor - before)
        if residual <= tolerance:
            return Correlation(
                factor=factor,
                axes=tuple(float(all_jumps[a, a] / bare[a, a]) for a in range(3)),  # type: ignore[arg-type]
                encounter_factor=float(np.trace(first) / np.trace(bare)),
                haven_ratio=float(np.trace(all_jumps) / np.trace(free)),
                tracer_tensor_m2_s=all_jumps,
                residual=residual,
                points=points,
            )
        before = factor
    raise ConvergenceError(
        "The correlation factor did not converge",
        got=f"{residual:.2g} after {points} points a direction",
        allowed=f"<= {tolerance:g}",
        action="Raise the tolerance: rates that differ by many decades need a finer integral",
    )


def _green(network: SiteNetwork, rates: Floats, pairs: NDArray[np.int64], points: int) -> Floats:
    """Green function of the free walk for pairs (site, site, cell offset), in s if the rates are in Hz.

    The zone is cut into six pyramids with their tips at its centre. On each, the square of the distance from
    the tip is the Jacobian and cancels the singularity: what is left is smooth, and Gauss-Legendre points
    converge exponentially. Opposite pyramids are complex conjugates.
    """
    n, source = network.sites, network.source
    exit_rate = np.bincount(source, rates, minlength=n)
    node, weight = np.polynomial.legendre.leggauss(points)
    radius, radial = 0.5 * np.pi * (node + 1.0), 0.5 * np.pi * weight
    result = np.zeros(len(pairs))
    chunk = max(1, int(MOST_BYTES / (16 * max(n * n, len(pairs), network.hops))))
    for axis in range(3):
        r, u, v = (grid.ravel() for grid in np.meshgrid(radius, node, node, indexing="ij"))
        w = (radial[:, None, None] * weight[None, :, None] * weight[None, None, :]).ravel() * r**2
        wave = np.empty((len(r), 3))
        wave[:, axis], wave[:, (axis + 1) % 3], wave[:, (axis + 2) % 3] = r, r * u, r * v
        for low in range(0, len(r), chunk):
            k, share = wave[low : low + chunk], w[low : low + chunk]
            phase = rates * np.exp(1j * (k @ network.image.T))
            matrix = np.zeros((len(k), n, n), dtype=complex)
            for e in range(network.hops):
                matrix[:, source[e], network.target[e]] -= phase[:, e]
            matrix[:, np.arange(n), np.arange(n)] += exit_rate
            inverse = np.linalg.inv(matrix)
            back = np.exp(-1j * (k @ pairs[:, 2:].T))
            result += np.einsum("q,qp,qp->p", share, inverse[:, pairs[:, 0], pairs[:, 1]], back).real
    return 2.0 * result / (2.0 * np.pi) ** 3


def _tensors(network: SiteNetwork, rates: Floats, points: int) -> tuple[Floats, Floats, Floats]:
    """Tracer tensors for a site fraction of one: correlated within an encounter, altogether, and not at all."""
    scale = float(rates.mean())
    rates = rates / scale
    hops, source, target = network.hops, network.source, network.target
    image, reverse = network.image, network.reverse
    index: dict[tuple[int, ...], int] = {}

    def pair(a: int, b: int, cell: NDArray[np.int64]) -> int:
        return index.setdefault((int(a), int(b), *map(int, cell)), len(index))

    here = np.zeros(3, dtype=np.int64)
    # jumps out of j that can follow a jump e into j, and the four Green functions of each
    rows: list[tuple[int, int, int, int, int, int]] = []
    for e in range(hops):
        # seen from the atom on j, the vacancy on i is in the cell -image[e]
        i, j = int(source[e]), int(target[e])
        home, back = pair(j, j, here), pair(i, j, image[e])
        for g in range(network.start[j], network.start[j + 1]):
            t = int(target[g])
            rows.append((e, g, pair(i, t, image[g] + image[e]), back, pair(j, t, image[g]), home))
    green = _green(network, rates, np.array(list(index), dtype=np.int64), points)
    table = np.array(rows)
    past, new = table[:, 0], table[:, 1]
    again = np.zeros((hops, hops))
    again[past, new] = (green[table[:, 2]] - green[table[:, 3]] * green[table[:, 4]] / green[table[:, 5]]) * rates[
        reverse[new]
    ]
    # an atom jumps along e as often as a vacancy along its reverse
    frequency = (occupation(network, rates)[source] * rates)[reverse]
    fresh = frequency - frequency @ again
    lost = 1.0 - again.sum(axis=1)
    leaving = np.bincount(source, fresh, minlength=network.sites)
    onward = np.where(target[:, None] == source[None, :], (fresh / leaving[source])[None, :], 0.0)
    chain = again + lost[:, None] * onward
    step = network.hop_m
    bare = formulas.network_diffusion_tensor(frequency, step)
    single = np.linalg.solve(np.eye(hops) - again, again @ step)
    # the full chain conserves probability: fix the free constant by one replaced equation
    matrix, right = np.eye(hops) - chain, chain @ step
    matrix[0], right[0] = frequency, 0.0
    every = np.linalg.solve(matrix, right)

    def tensor(future: NDArray[Any]) -> Floats:
        cross = (step * frequency[:, None]).T @ future
        return scale * (bare + 0.5 * (cross + cross.T))

    return tensor(single), tensor(every), scale * bare
