r"""Ions, current and heat of a film on any structured mesh: the discrete equations, and how one instant is solved.

.. math::

    \partial_t P &= -\nabla \cdot J, \qquad
    J = \Gamma a^2 \left[-(1 - P/M) \nabla P + P\,\nabla (1 - P/M) \right]_\mathrm{exponential} \\
    0 &= \nabla \cdot (\sigma(P, T) \nabla \psi) \\
    c\,\partial_t T &= \nabla \cdot (k(P, T) \nabla T) + \sigma |\nabla \psi|^2

A face between two cells l and r a distance d apart carries the ions

.. math::

    J = \frac{D}{d} \left[ B(-u)\, P_l (1 - P_r/M) - B(u)\, P_r (1 - P_l/M) \right], \qquad
    u = \frac{z (\psi_l - \psi_r)}{k_B T} + S (T_l - T_r), \qquad
    D = a^2 \nu e^{-E_a / k_B T} \frac{\sinh w}{w}, \quad w = \frac{z a (\psi_l - \psi_r)}{2 d\, k_B T}

with the Bernoulli function B. In a uniform field that is the drift velocity of hops both ways,
:math:`2 a \nu e^{-E_a/k_BT} \sinh w`, at any field; without a flux it is the Boltzmann (with a site density M the Fermi)
distribution at any field. T of the face is the mean of both cells, so without field and Soret coefficient ions spread
evenly over hot and cold.

One instant of an implicit method is solved by alternating current (with the circuit), heat and ions, each with
the factor of an earlier matrix as preconditioner (:meth:`Equations.solve`). Where alternating does not converge all three
and the circuit go through one Newton system (:meth:`Equations.newton`), its Jacobian exact by the complex step. The
same finite volumes in FiPy's terms are :meth:`Equations.fipy`; tests hold the three equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from ..physics import formulas
from ..physics.constants import BOLTZMANN_EV_K as K_B
from ..physics.errors import ConvergenceError, InputError
from .circuit import Circuit
from .equations import bernoulli
from .meshes import Array, Cells, Grid
from .solvers import Held, HeldLU, direct

__all__ = ["Conduction", "Equations", "Fields", "Heat", "Ions"]

_LARGEST_EXPONENT = 50.0  # of the sinh: a field that lowers the barrier by 2.5 eV at 300 K
_ION_CLOSE = 1e-13  # last Newton update of the ions over their largest density
_ION_UPDATES = 40
_WORTH_A_FACTOR = 8  # more updates than that with an old factor cost more than a new one
_STEP = 1e-30  # complex step: the derivative loses no digits
_NEWTON_UPDATES = 30


def _positive(owner: Any, names: tuple[str, ...], *, zero: tuple[str, ...] = (), infinite: tuple[str, ...] = ()) -> None:
    for name in names:
        value = np.asarray(getattr(owner, name), dtype=float)
        good = (value >= 0 if name in zero else value > 0) & (np.isfinite(value) | (name in infinite))
        if not good.all():
            raise InputError(
                f"{name} is out of range",
                got=getattr(owner, name) if value.ndim == 0 else f"{np.sum(~good)} such cells",
                allowed=f"{'>=' if name in zero else '>'} 0{'' if name in infinite else ', finite'}",
            )


@dataclass(frozen=True)
class Ions:
    """The mobile ions: how they hop, and where they are at the start.

    Parameters
    ----------
    barrier_eV : float, eV, > 0
    attempt_frequency_Hz : float, Hz, > 0
    hop_length_m : float, m, > 0
    density_1_m3 : float or array, shape (cells,), 1/m^3, >= 0
        At the start.
    charge : int, not 0
    site_density_1_m3 : float, 1/m^3, > 0
        Density that ions cannot exceed; inf: dilute.
    soret_1_K : float, 1/K
        Positive drives ions to the cold.
    heat_of_transport_eV : float, eV
        Adds Q / (k_B T^2) to the Soret coefficient; minus the barrier: ions gather where it is hot.
    bottom_density_1_m3, top_density_1_m3 : float or None, 1/m^3, >= 0
        Density that a contact holds; None: no ion passes.

    Raises
    ------
    InputError
        If a number is out of range, or the start exceeds the site density.
    """

    barrier_eV: float
    attempt_frequency_Hz: float
    hop_length_m: float
    density_1_m3: Any
    charge: int = 1
    site_density_1_m3: float = np.inf
    soret_1_K: float = 0.0
    heat_of_transport_eV: float = 0.0
    bottom_density_1_m3: float | None = None
    top_density_1_m3: float | None = None

    def __post_init__(self) -> None:
        _positive(self, ("barrier_eV", "attempt_frequency_Hz", "hop_length_m"))
        _positive(self, ("density_1_m3", "site_density_1_m3"), zero=("density_1_m3",), infinite=("site_density_1_m3",))
        if self.charge == 0 or int(self.charge) != self.charge:
            raise InputError("charge must be a whole number", got=self.charge, allowed="not 0")
        for name in ("soret_1_K", "heat_of_transport_eV"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name} must be finite", got=getattr(self, name))
        for name in ("bottom_density_1_m3", "top_density_1_m3"):
            if getattr(self, name) is not None:
                _positive(self, (name,), zero=(name,))
        for name in ("density_1_m3", "bottom_density_1_m3", "top_density_1_m3"):
            most = getattr(self, name)
            if most is not None and np.max(most) > self.site_density_1_m3:
                raise InputError(
                    f"{name} exceeds the site density",
                    got=f"{np.max(most):g} 1/m3",
                    allowed=f"<= {self.site_density_1_m3:g} 1/m3",
                )


@dataclass(frozen=True)
class Conduction:
    r"""Electronic conductivity against ion density and temperature.

    .. math:: \sigma = \frac{\sigma_0 + (\sigma_1 - \sigma_0) x}{1 + \alpha x (T - 300\,\mathrm{K})}\,
              e^{-(1 - x) E / k_B T}, \qquad x = \min(P / P_1, 1)

    Parameters
    ----------
    film_S_m, filament_S_m : float, S/m, > 0
        Without ions (before the exponential) and at the density of the filament, 300 K.
    filament_density_1_m3 : float, 1/m^3, > 0
    activation_eV : float, eV, >= 0
        Without ions; falls to nothing in the filament.
    temperature_coefficient_1_K : float, 1/K, >= 0
        Of the filament's resistivity.

    Raises
    ------
    InputError
        If a number is out of range.

    References
    ----------
    .. [1] S. Larentis, F. Nardi, S. Balatti, D. C. Gilmer, D. Ielmini, IEEE Trans. Electron Devices 59, 2468 (2012).
    """

    film_S_m: float
    filament_S_m: float
    filament_density_1_m3: float
    activation_eV: float = 0.0
    temperature_coefficient_1_K: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, ("film_S_m", "filament_S_m", "filament_density_1_m3"))
        zero = ("activation_eV", "temperature_coefficient_1_K")
        _positive(self, zero, zero=zero)


@dataclass(frozen=True)
class Heat:
    r"""Conduction of heat: :math:`k = k_0 + (k_1 - k_0) x + L \sigma T`, storage, and what the walls take.

    Parameters
    ----------
    film_W_mK, filament_W_mK : float, W/(m K), > 0
        Without ions, and at the density of the filament; the second is the first if None.
    lorenz_W_ohm_K2 : float, W ohm/K^2, >= 0
        Lorenz number of the carriers (Wiedemann-Franz); 0: they carry no heat.
    capacity_J_m3K : float, J/(m^3 K), >= 0
        0: heat is in balance at every instant.
    bottom_W_m2K, top_W_m2K, side_W_m2K : float, W/(m^2 K), >= 0
        Transfer to what is outside, at the ambient temperature: inf holds the wall at it, 0 insulates.

    Raises
    ------
    InputError
        If a number is out of range, or no heat leaves and none is stored.
    """

    film_W_mK: float
    filament_W_mK: float | None = None
    lorenz_W_ohm_K2: float = 0.0
    capacity_J_m3K: float = 2e6
    bottom_W_m2K: float = np.inf
    top_W_m2K: float = np.inf
    side_W_m2K: float = 0.0

    def __post_init__(self) -> None:
        walls = ("bottom_W_m2K", "top_W_m2K", "side_W_m2K")
        _positive(self, ("film_W_mK",) if self.filament_W_mK is None else ("film_W_mK", "filament_W_mK"))
        _positive(self, ("lorenz_W_ohm_K2", "capacity_J_m3K"), zero=("lorenz_W_ohm_K2", "capacity_J_m3K"))
        _positive(self, walls, zero=walls, infinite=walls)
        if self.capacity_J_m3K == 0 and not any(getattr(self, wall) for wall in walls):
            raise InputError("Heat has no way out", got="insulated walls", action="Give a capacity or a transfer")


class Fields(NamedTuple):
    """What is known at one instant.

    Attributes
    ----------
    density : array, shape (cells,), 1/m^3
    potential : array, shape (cells,), V
    rise : array, shape (cells,), K
        Temperature above the ambient.
    film_V : float, V
    conductance_S : float, S
        Of the film.
    heat : array, shape (cells,), W
        Joule heat.
    """

    density: Array
    potential: Array
    rise: Array
    film_V: float
    conductance_S: float
    heat: Array


@dataclass
class _Tools:
    """Factors that live from one instant to the next."""

    current: Held = field(default_factory=Held)
    heat: Held = field(default_factory=Held)


class Equations:
    """The finite volumes of one film.

    Parameters
    ----------
    grid : Grid
    ions : Ions
    conduction : Conduction
    heat : Heat
    ambient_K : float, K, > 0
    source : callable, optional
        ``source(time_s)`` gives what is added to each cell: ions per s, current in A, heat in W; for tests.
    """

    def __init__(self, grid: Grid, ions: Ions, conduction: Conduction, heat: Heat, ambient_K: float):
        self.grid, self.law_ions, self.law_current, self.law_heat = grid, ions, conduction, heat
        self.ambient_K = ambient_K
        self.current_factor, self.heat_factor, self.ion_factor = Held(), Held(), HeldLU(grid.layer)
        self.capacity = heat.capacity_J_m3K * grid.volume_m3
        self.extra_ions = self.extra_A = self.extra_W = np.zeros(grid.size)  # sources of a manufactured solution
        self.sweeps = self.newtons = 0

    # -- laws; every one takes complex numbers too, for the derivatives ----------------------------------------

    def share(self, density: Array) -> Array:
        """Share of a filament in each cell, 0 to 1."""
        x = density / self.law_current.filament_density_1_m3
        return np.where(x.real < 0.0, 0.0, np.where(x.real > 1.0, 1.0, x))

    def conductivity(self, density: Array, rise: Array) -> Array:
        """Electronic conductivity, S/m."""
        law, x, T = self.law_current, self.share(density), self.ambient_K + rise
        metallic = law.film_S_m + (law.filament_S_m - law.film_S_m) * x
        hot = 1.0 + law.temperature_coefficient_1_K * x * (T - 300.0)
        return metallic / hot * np.exp(-(1.0 - x) * law.activation_eV / (K_B * T))

    def heat_conductivity(self, density: Array, rise: Array, sigma: Array) -> Array:
        """Heat conductivity, W/(m K)."""
        law = self.law_heat
        filament = law.film_W_mK if law.filament_W_mK is None else law.filament_W_mK
        k = law.film_W_mK + (filament - law.film_W_mK) * self.share(density)
        return k + law.lorenz_W_ohm_K2 * sigma * (self.ambient_K + rise)

    def hops(self, drop: Array, rise_l: Array, rise_r: Array, distance: Array | float) -> tuple[Array, Array]:
        """Velocities with which ions pass from left to right and from right to left, m/s."""
        law = self.law_ions
        T = self.ambient_K + 0.5 * (rise_l + rise_r)
        u = law.charge * drop / (K_B * T)
        w = 0.5 * u * law.hop_length_m / distance
        w = np.where(np.abs(w.real) > _LARGEST_EXPONENT, _LARGEST_EXPONENT, w)
        small = np.abs(w.real) < 1e-3
        safe = np.where(small, 1.0, w)
        enhanced = np.where(small, 1.0 + w * w / 6.0 * (1.0 + w * w / 20.0), np.sinh(safe) / safe)
        soret = law.soret_1_K + law.heat_of_transport_eV / (K_B * T * T)
        u = u + soret * (rise_l - rise_r)
        rate = formulas.hop_rate(law.barrier_eV, T, law.attempt_frequency_Hz, 0.0)
        D = formulas.diffusion_coefficient(rate, law.hop_length_m, 6) * enhanced
        return D / distance * bernoulli(-u), D / distance * bernoulli(u)

    # -- fluxes ------------------------------------------------------------------------------------------------

    def ion_flow(self, forward: Array, backward: Array, left: Array | float, right: Array | float) -> Array:
        """Ions per second and area that pass between two densities."""
        most = self.law_ions.site_density_1_m3
        return forward * left * (1.0 - right / most) - backward * right * (1.0 - left / most)

    def ends(self) -> tuple[tuple[Cells, float | None, float], ...]:
        """For both contacts: cells, density that the contact holds, and heat transfer."""
        g, ions, heat = self.grid, self.law_ions, self.law_heat
        return (
            (g.bottom, ions.bottom_density_1_m3, heat.bottom_W_m2K),
            (g.top, ions.top_density_1_m3, heat.top_W_m2K),
        )

    def wall(self, conductivity: Array, transfer: float) -> Array:
        """Conductance from cells, one for each, to a contact behind an interface, W/K or S."""
        g = self.grid
        if transfer == 0.0:
            return 0.0 * conductivity
        return g.end_area_m2 / (g.end_distance_m / conductivity + 1.0 / transfer)

    def _contact(
        self, P: Array, psi: Array, rise: Array, contact_V: Any, held: float | None, transfer: float
    ) -> tuple[Array, Array, Array, Array]:
        """Ions, current and heat that leave cells through a contact, and Joule heat on the way."""
        g = self.grid
        sigma = self.conductivity(P, rise)
        drop = psi - contact_V
        current = self.wall(sigma, np.inf) * drop
        warmth = self.wall(self.heat_conductivity(P, rise, sigma), transfer) * rise
        leaving = 0.0 * P
        if held is not None:
            forward, backward = self.hops(drop, rise, 0.0 * rise, g.end_distance_m)
            leaving = g.end_area_m2 * self.ion_flow(forward, backward, P, held)
        return leaving, current, warmth, current * drop

    def _face(self, *sides: Array) -> tuple[Array, Array, Array, Array]:
        """Ions, current and heat from left to right through each face, and the Joule heat of half a face."""
        P_l, psi_l, rise_l, P_r, psi_r, rise_r = sides
        g = self.grid
        sigma_l, sigma_r = self.conductivity(P_l, rise_l), self.conductivity(P_r, rise_r)
        k_l, k_r = self.heat_conductivity(P_l, rise_l, sigma_l), self.heat_conductivity(P_r, rise_r, sigma_r)
        reach = g.area_m2 / g.distance_m
        links = 2.0 * sigma_l * sigma_r / (sigma_l + sigma_r) * reach
        warm = 2.0 * k_l * k_r / (k_l + k_r) * reach
        forward, backward = self.hops(psi_l - psi_r, rise_l, rise_r, g.distance_m)
        return (
            g.area_m2 * self.ion_flow(forward, backward, P_l, P_r),
            links * (psi_l - psi_r),
            warm * (rise_l - rise_r),
            0.5 * links * (psi_l - psi_r) ** 2,
        )

    def _side(self, P: Array, rise: Array) -> Array:
        """Heat that leaves through each face of the side walls."""
        g, transfer = self.grid, self.law_heat.side_W_m2K
        if transfer == 0.0:
            return 0.0 * P
        k = self.heat_conductivity(P, rise, self.conductivity(P, rise))
        return g.side_area_m2 / (g.side_distance_m / k + 1.0 / transfer) * rise

    def residuals(self, now: Fields, base: Fields, tau: float) -> tuple[Array, Array, Array]:
        """What is missing in each cell to the balance of ions (1/s), current (A) and heat (W) of an implicit stage."""
        g, (P, psi, rise) = self.grid, now[:3]
        J, current, warmth, joule = self._face(P[g.left], psi[g.left], rise[g.left], P[g.right], psi[g.right], rise[g.right])
        ions = g.volume_m3 * (P - base.density) / tau + g.divergence(J) - self.extra_ions
        charge = g.divergence(current) - self.extra_A
        heat = self.capacity * (rise - base.rise) / tau + g.divergence(warmth) - self.extra_W
        heat -= g.onto_left(joule) + g.onto_right(joule)
        for (cells, held, transfer), V in zip(self.ends(), (0.0, now.film_V), strict=True):
            out = self._contact(P[cells], psi[cells], rise[cells], V, held, transfer)
            ions[cells] += out[0]
            charge[cells] += out[1]
            heat[cells] += out[2] - out[3]
        heat += np.bincount(g.side, self._side(P[g.side], rise[g.side]), g.size)
        return ions, charge, heat

    # -- one field at a time -----------------------------------------------------------------------------------

    def current(self, P: Array, rise: Array, circuit: Circuit, guess: Fields) -> Fields:
        """Potential and Joule heat for given ions and temperature, with the voltage that the circuit leaves."""
        g = self.grid
        sigma = self.conductivity(P, rise)
        links = g.links(sigma)
        low, high = g.ends(sigma, g.bottom), g.ends(sigma, g.top)
        start = guess.potential / guess.film_V if guess.film_V else None
        psi = g.solve(links, low, high, np.zeros(g.size), 0.0, 1.0, held=self.current_factor, start=start)
        conductance = float(np.sum(low * psi[g.bottom]))
        V = circuit.film_V(conductance)
        if self.extra_A.any():
            psi = psi * V + g.solve(links, low, high, self.extra_A, 0.0, 0.0)
        else:
            psi = psi * V
        return Fields(P, psi, rise, V, conductance, g.joule(links, low, high, psi, 0.0, V))

    def temperature(self, now: Fields, base: Array, tau: float) -> Array:
        """Rise of the temperature for given ions and Joule heat; k is that of the temperature in `now`."""
        g, law = self.grid, self.law_heat
        k = self.heat_conductivity(now.density, now.rise, self.conductivity(now.density, now.rise))
        low, high = (self.wall(k[cells], transfer) for cells, _, transfer in self.ends())
        loss = self.capacity / tau + g.sides(k, law.side_W_m2K)
        source = now.heat + self.extra_W + self.capacity / tau * base
        return g.solve(g.links(k), low, high, source, 0.0, 0.0, loss, held=self.heat_factor, start=now.rise)

    def transport(self, now: Fields, base: Array, tau: float) -> Array:
        """Ions after an implicit stage in given fields: Newton's method, exact in one update without a site limit."""
        g, P, most = self.grid, now.density, self.law_ions.site_density_1_m3
        left, right, psi, rise = g.left, g.right, now.potential, now.rise
        forward, backward = self.hops(psi[left] - psi[right], rise[left], rise[right], g.distance_m)
        forward, backward = forward * g.area_m2, backward * g.area_m2
        storage = g.volume_m3 / tau
        walls = []
        for (cells, held, _), V in zip(self.ends(), (0.0, now.film_V), strict=True):
            if held is not None:
                there, back = self.hops(psi[cells] - V, rise[cells], 0.0 * rise[cells], g.end_distance_m)
                walls.append((cells, held, there * g.end_area_m2, back * g.end_area_m2))
        factor, fresh, last = self.ion_factor, self.ion_factor.factor is None, np.inf
        if fresh:
            factor.factorise(self._transport_matrix(P, storage, forward, backward, walls))
        for _ in range(_ION_UPDATES):
            residual = storage * (base - P) + self.extra_ions
            residual -= g.divergence(self.ion_flow(forward, backward, P[left], P[right]))
            for cells, held, there, back in walls:
                residual[cells] -= self.ion_flow(there, back, P[cells], held)
            change = factor.correction(residual)
            P = P + change
            size = float(np.max(np.abs(change)) / np.max(np.abs(P)))
            if not np.isfinite(size):
                break
            if size <= _ION_CLOSE or (size < 1e3 * _ION_CLOSE and size > 0.3 * last):
                return P
            left_over = np.log(_ION_CLOSE / size) / np.log(min(size / last, 0.9)) if np.isfinite(last) else 0.0
            last = size
            if left_over > _WORTH_A_FACTOR and not (fresh and np.isinf(most)):
                factor.factorise(self._transport_matrix(P, storage, forward, backward, walls))
                fresh, last = True, np.inf
        raise ConvergenceError(
            "The ions have no solution",
            got=f"a last change of {last:g} of the largest density in {_ION_UPDATES} updates",
            allowed=f"{_ION_CLOSE:g}",
        )

    def _transport_matrix(self, P: Array, storage: Array, forward: Array, backward: Array, walls: list[Any]) -> Array:
        g, most, half = self.grid, self.law_ions.site_density_1_m3, self.grid.layer
        full_l, full_r = P[g.left] / most, P[g.right] / most
        by_left = forward * (1.0 - full_r) + backward * full_r
        by_right = backward * (1.0 - full_l) + forward * full_l
        diagonal = storage + g.onto_left(by_left) + g.onto_right(by_right)
        for cells, held, there, back in walls:
            diagonal[cells] += there * (1.0 - held / most) + back * held / most
        band = np.zeros((3 * half + 1, g.size), order="F")
        span = g.right - g.left
        band[2 * half] = diagonal
        band[2 * half - span, g.right] = -by_right
        band[2 * half + span, g.left] = -by_left
        return band

    # -- all fields --------------------------------------------------------------------------------------------

    def solve(
        self, guess: Fields, base: Fields, tau: float, circuit: Circuit, *, tolerance: float, sweeps: int
    ) -> Fields:
        """An implicit stage: ``u = base + tau du/dt``.

        Parameters
        ----------
        guess : Fields
            Where to start.
        base : Fields
            Of it, density and rise count.
        tau : float, s, > 0
        circuit : Circuit
        tolerance : float
            Largest change of a relative density, potential or temperature in the last sweep.
        sweeps : int
            Alternations before Newton's method takes over.

        Raises
        ------
        ConvergenceError
            If neither converges.
        """
        now, floor = guess, self.floor(base.density)
        last = np.inf
        for sweep in range(sweeps):
            old = now
            try:
                P = self.transport(now, base.density, tau)
                now = self.current(P, now.rise, circuit, now)
                now = now._replace(rise=self.temperature(now, base.rise, tau))
            except ConvergenceError:
                if sweep == 0:
                    raise
                break
            self.sweeps += 1
            change = self.distance(now, old, floor)
            if change <= tolerance:
                return now
            if not change < 0.7 * last and sweep > 2:
                break
            last = change
        return self.newton(now if np.isfinite(change) else guess, base, tau, circuit, tolerance=tolerance)

    def floor(self, density: Array) -> float:
        """Density below which a relative change does not count: the mean, 1/m^3."""
        return float(np.sum(self.grid.volume_m3 * np.abs(density)) / np.sum(self.grid.volume_m3)) or 1.0

    def distance(self, one: Fields, two: Fields, floor: float) -> float:
        """Largest relative difference of two instants."""
        density = np.max(np.abs(one.density - two.density) / (np.abs(one.density) + floor))
        volts = max(abs(one.film_V), abs(two.film_V), K_B * self.ambient_K)
        potential = np.max(np.abs(one.potential - two.potential)) / volts
        return float(max(density, potential, np.max(np.abs(one.rise - two.rise)) / self.ambient_K))

    def newton(self, guess: Fields, base: Fields, tau: float, circuit: Circuit, *, tolerance: float) -> Fields:
        """The stage of :meth:`solve` by Newton's method on ions, current, heat and circuit together.

        Raises
        ------
        ConvergenceError
            If it does not converge; says in which cell the last residual was largest.
        """
        g, n = self.grid, self.grid.size
        now, floor = guess, self.floor(base.density)
        scale = np.empty(3 * n + 1)
        for _ in range(_NEWTON_UPDATES):
            self.newtons += 1
            scale[0:-1:3], scale[1:-1:3], scale[2:-1:3], scale[-1] = np.abs(now.density) + floor, 1.0, self.ambient_K, 1.0
            residual, matrix = self._system(now, base, tau, circuit)
            matrix = (matrix.tocsc()).multiply(scale[None, :]).tocsc()
            rows = np.maximum(abs(matrix).max(axis=1).toarray().ravel(), 1e-300)
            matrix = matrix.multiply(1.0 / rows[:, None]).tocsc()
            try:
                step = splu(matrix).solve(-residual / rows)
            except RuntimeError as error:
                raise ConvergenceError("The coupled system is singular", got=str(error)) from error
            # a density falls to a tenth at most, a temperature changes by a third of the ambient, in one update
            P_step, rise_step = step[0:-1:3] * scale[0:-1:3], step[2:-1:3]
            falling = np.max(-P_step / np.maximum(now.density, 1e-3 * floor), initial=0.0)
            damp = min(1.0, 0.9 / max(falling, 1e-300), 0.33 / max(float(np.max(np.abs(rise_step))), 1e-300))
            size = float(np.max(np.abs(step)))
            if not np.isfinite(size):
                break
            now = now._replace(
                density=now.density + damp * P_step,
                potential=now.potential + damp * step[1:-1:3],
                rise=now.rise + damp * rise_step * self.ambient_K,
                film_V=float(now.film_V + damp * step[-1]),
            )
            if size <= min(1e-3 * tolerance, 1e-8):
                # one exact sweep: current and heat balance to rounding
                closed = self.current(now.density, now.rise, circuit, now)
                return closed._replace(rise=self.temperature(closed, base.rise, tau))
        worst = int(np.argmax(np.abs(step[:-1])))
        place = ", ".join(f"{axis} = {1e9 * c[worst // 3]:.3g} nm" for axis, c in zip(g.axes, g.centre_m[::-1], strict=True))
        raise ConvergenceError(
            f"Newton's method does not converge in the {('ion density', 'potential', 'temperature')[worst % 3]} at {place}",
            got=f"a last relative change of {size:g}",
            allowed=f"{min(1e-3 * tolerance, 1e-8):g} in {_NEWTON_UPDATES} updates",
        )

    def _system(self, now: Fields, base: Fields, tau: float, circuit: Circuit) -> tuple[Array, Any]:
        """Residual and Jacobian of the coupled stage; unknown 3 i + 0, 1, 2 of cell i, film voltage last."""
        g, n = self.grid, self.grid.size
        P, psi, rise = now[:3]
        rows, columns, values = [], [], []

        def put(row: Cells, column: Any, value: Array) -> None:
            rows.append(row)
            columns.append(np.broadcast_to(column, row.shape))
            values.append(np.broadcast_to(value, row.shape))

        sides = [f[cells].astype(complex) for cells in (g.left, g.right) for f in (P, psi, rise)]
        for k in range(6):
            unknown = 3 * (g.left if k < 3 else g.right) + k % 3
            moved = [s + 1j * _STEP if i == k else s for i, s in enumerate(sides)]
            J, current, warmth, joule = (f.imag / _STEP for f in self._face(*moved))
            for equation, into_left, into_right in ((0, J, -J), (1, current, -current), (2, warmth - joule, -warmth - joule)):
                put(3 * g.left + equation, unknown, into_left)
                put(3 * g.right + equation, unknown, into_right)
        cells = np.arange(n)
        put(3 * cells, 3 * cells, g.volume_m3 / tau)
        put(3 * cells + 2, 3 * cells + 2, self.capacity / tau)
        film_A, film_slopes = 0.0, []
        for (end, held, transfer), V in zip(self.ends(), (0.0, now.film_V), strict=True):
            own = [f[end].astype(complex) for f in (P, psi, rise)] + [np.full(end.size, V, complex)]
            if end is g.top:
                film_A = -float(np.sum(self._contact(*own, held, transfer)[1].real))
            for k in range(4 if end is g.top else 3):
                moved = [f + 1j * _STEP if i == k else f for i, f in enumerate(own)]
                leaving, current, warmth, joule = (f.imag / _STEP for f in self._contact(*moved, held, transfer))
                unknown = 3 * end + k if k < 3 else np.full(end.size, 3 * n)
                for equation, out in ((0, leaving), (1, current), (2, warmth - joule)):
                    put(3 * end + equation, unknown, out)
                if end is g.top:
                    film_slopes.append((unknown, -current))
        for k, f in ((0, P), (2, rise)):
            moved = [P[g.side].astype(complex), rise[g.side].astype(complex)]
            moved[k // 2] = moved[k // 2] + 1j * _STEP
            put(3 * g.side + 2, 3 * g.side + k, self._side(*moved).imag / _STEP)
        # the circuit: no more than the limit flows, or nothing of the source voltage is left over
        sign = 1.0 if circuit.source_V >= 0 else -1.0
        total = sign * (film_A + circuit.beside_S * now.film_V)
        spare_V = sign * (circuit.source_V - now.film_V) - circuit.series_ohm * total
        conductance = max(total / (sign * now.film_V), 1e-30) if now.film_V * sign > 0 else 1.0
        spare_A = (circuit.limit_A - total) / conductance
        by_A, by_V = (-circuit.series_ohm, -1.0) if spare_V <= spare_A else (-1.0 / conductance, 0.0)
        last = np.array([3 * n])
        put(last, last, np.array([sign * (by_A * circuit.beside_S + by_V)]))
        for unknown, slope in film_slopes:
            put(np.full(unknown.size, 3 * n), unknown, sign * by_A * slope)
        residual = np.empty(3 * n + 1)
        residual[0:-1:3], residual[1:-1:3], residual[2:-1:3] = self.residuals(now, base, tau)
        residual[-1] = min(spare_V, spare_A)
        matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(3 * n + 1,) * 2)
        return residual, matrix
