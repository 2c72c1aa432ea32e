r"""Ions, current and heat of a film on any structured mesh: the discrete equations, and how one instant is solved.

.. math::

    \partial_t P &= -\nabla \cdot J, \qquad
    J = D \left[-\nabla P + P (1 - P/M) \left(-\frac{z \nabla \psi}{k_B T} - S \nabla T\right)\right] \\
    0 &= \nabla \cdot (\sigma(P, T) \nabla \psi) \\
    c\,\partial_t T &= \nabla \cdot (k(P, T) \nabla T) + \sigma |\nabla \psi|^2

A face between two cells l and r a distance d apart carries the ions

.. math::

    J = \frac{D}{d} \left[ B(-u)\, P_l (1 - P_r/M) - B(u)\, P_r (1 - P_l/M) \right], \qquad
    u = \frac{z (\psi_l - \psi_r)}{k_B T} + S (T_l - T_r), \qquad
    D = a^2 \nu e^{-E_a / k_B T} \frac{\sinh w}{w}, \quad w = \frac{z a (\psi_l - \psi_r)}{2 d\, k_B T}

with the Bernoulli function B. In a uniform field that is the drift velocity of hops both ways,
:math:`2 a \nu e^{-E_a/k_BT} \sinh w`, at any field; without a flux it is the Boltzmann distribution (with a site
density M Fermi's) at any field. T of the face is the mean of both cells, so without field and Soret coefficient ions
spread evenly over hot and cold.

One instant of an implicit method is solved by turns, ions, then current with the circuit, then heat, each with the
factor of an earlier matrix as preconditioner (:mod:`halidrift.fem.turns`). Where turns do not converge, all three and
the circuit go through one Newton system (:mod:`halidrift.fem.newton`). The same finite volumes in FiPy's terms are in
:mod:`halidrift.fem.terms`; tests hold the three equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..physics import formulas
from ..physics.constants import BOLTZMANN_EV_K as K_B
from ..physics.errors import ConvergenceError
from . import _volumes
from .circuit import Circuit
from .laws import Conduction, Heat, Ions
from .meshes import Array, Cells, Grid
from .solvers import Held, HeldLU

__all__ = ["HEAT_CLOSE", "ION_CLOSE", "Equations", "Fields"]

LARGEST_EXPONENT = 300.0  # of the sinh; beyond it a float has no room for a hop
_LARGEST_BIAS = 600.0  # beyond, the ions that go against it are fewer than a float can count
_SERIES = 1e-2  # below, the power series is exact to rounding and the closed form is not
ION_CLOSE = 1e-12  # last Newton update of the ions over their largest density; their sum is exact from the first on
HEAT_CLOSE = 1e-9  # last correction of the temperature over its highest rise
_LOST = 1e-11  # share of all ions that a solution may lack
_ION_UPDATES = 40
_WORTH_A_FACTOR = 8  # more updates than that with an old factor cost more than a new one


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


class Equations:
    """The finite volumes of one film.

    Parameters
    ----------
    grid : Grid
    ions : Ions
    conduction : Conduction
    heat : Heat
    ambient_K : float, K, > 0

    Attributes
    ----------
    extra_ions, extra_A, extra_W : array, shape (cells,), 1/s, A and W
        Added to each cell; zero but for manufactured solutions.
    sweeps, newtons : int
        Alternations and Newton updates so far.
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
        """Share of a filament in each cell, 0 to 1.

        Parameters
        ----------
        density : array, shape (cells,), 1/m^3
            Of the ions; complex where derivatives are taken by a complex step.

        Returns
        -------
        array, shape (cells,), in [0, 1]
        """
        x = density / self.law_current.filament_density_1_m3
        return np.where(x.real < 0.0, 0.0, np.where(x.real > 1.0, 1.0, x))

    def conductivity(self, density: Array, rise: Array) -> Array:
        """Electronic conductivity, S/m.

        Parameters
        ----------
        density : array, shape (cells,), 1/m^3
        rise : array, shape (cells,), K
            Temperature above the ambient.
        """
        law, x, T = self.law_current, self.share(density), self.ambient_K + rise
        metallic = law.film_S_m + (law.filament_S_m - law.film_S_m) * x
        hot = 1.0 + law.temperature_coefficient_1_K * x * (T - 300.0)
        return metallic / hot * np.exp(-(1.0 - x) * law.activation_eV / (K_B * T))

    def heat_conductivity(self, density: Array, rise: Array, sigma: Array) -> Array:
        """Heat conductivity, W/(m K).

        Parameters
        ----------
        density : array, shape (cells,), 1/m^3
        rise : array, shape (cells,), K
            Temperature above the ambient.
        sigma : array, shape (cells,), S/m
            Electronic conductivity, which the Wiedemann-Franz part follows.
        """
        law = self.law_heat
        filament = law.film_W_mK if law.filament_W_mK is None else law.filament_W_mK
        k = law.film_W_mK + (filament - law.film_W_mK) * self.share(density)
        return k + law.lorenz_W_ohm_K2 * sigma * (self.ambient_K + rise)

    def hops(self, drop: Array, rise_l: Array, rise_r: Array, distance: Array | float) -> tuple[Array, Array]:
        """Velocities with which ions pass from left to right and from right to left, m/s.

        Parameters
        ----------
        drop : array, shape (faces,), V
            Potential on the left less that on the right.
        rise_l, rise_r : array, shape (faces,), K
            Temperature above the ambient on either side; the hop sees their mean.
        distance : float or array, shape (faces,), m
            Between the two places.
        """
        law = self.law_ions
        T = self.ambient_K + 0.5 * (rise_l + rise_r)
        u = law.charge * drop / (K_B * T)
        w = 0.5 * u * law.hop_length_m / distance
        w = np.where(np.abs(w.real) > LARGEST_EXPONENT, LARGEST_EXPONENT, w)
        small = np.abs(w.real) < 1e-3
        safe = np.where(small, 1.0, w)
        enhanced = np.where(small, 1.0 + w * w / 6.0 * (1.0 + w * w / 20.0), np.sinh(safe) / safe)
        soret = law.soret_1_K + law.heat_of_transport_eV / (K_B * T * T)
        u = u + soret * (rise_l - rise_r)
        rate = formulas.hop_rate(law.barrier_eV, T, law.attempt_frequency_Hz, 0.0)
        D = formulas.diffusion_coefficient(rate, law.hop_length_m, 6) * enhanced / distance
        # Bernoulli's function of |u| and of -|u| from one exponential, both to all digits
        forth = u.real > 0.0
        size = np.where(forth, u, -u)
        tiny = size.real < _SERIES
        safe = np.where(tiny, 1.0, np.where(size.real > _LARGEST_BIAS, _LARGEST_BIAS, size))
        against = np.where(tiny, 1.0 - size / 2.0 + size**2 / 12.0 - size**4 / 720.0, safe / np.expm1(safe))
        along = against + size
        return D * np.where(forth, along, against), D * np.where(forth, against, along)

    # -- fluxes ------------------------------------------------------------------------------------------------

    def ion_flow(self, forward: Array, backward: Array, left: Array | float, right: Array | float) -> Array:
        """Ions per second and area that pass between two densities.

        Parameters
        ----------
        forward, backward : array, shape (faces,), m/s
            Velocities of :meth:`hops`.
        left, right : float or array, shape (faces,), 1/m^3
            Densities on either side.

        Returns
        -------
        array, shape (faces,), 1/(m^2 s)
        """
        most = self.law_ions.site_density_1_m3
        return forward * left * (1.0 - right / most) - backward * right * (1.0 - left / most)

    def ends(self) -> tuple[tuple[Cells, float | None, float], ...]:
        """For both contacts: cells, density that the contact holds, and heat transfer.

        Returns
        -------
        tuple of two (int array, float or None, float)
            Bottom first; None lets no ion through; heat transfer in W/(m^2 K).
        """
        g, ions, heat = self.grid, self.law_ions, self.law_heat
        return (
            (g.bottom, ions.bottom_density_1_m3, heat.bottom_W_m2K),
            (g.top, ions.top_density_1_m3, heat.top_W_m2K),
        )

    def wall(self, conductivity: Array, transfer: float) -> Array:
        """Conductance from cells, one for each, to a contact behind an interface, W/K or S.

        Parameters
        ----------
        conductivity : array, shape (cells of a layer,), W/(m K) or S/m
        transfer : float, W/(m^2 K) or S/m^2, >= 0
            Of the interface; inf is none, 0 lets nothing through.
        """
        g = self.grid
        if transfer == 0.0:
            return 0.0 * conductivity
        return g.end_area_m2 / (g.end_distance_m / conductivity + 1.0 / transfer)

    def contact(
        self, fields: tuple[Any, Any, Any], contact_V: Any, held: float | None, transfer: float
    ) -> tuple[Array, Array, Array, Array]:
        """Ions, current and heat that leave cells through a contact, and Joule heat on the way.

        Parameters
        ----------
        fields : tuple of three arrays, shape (cells of a layer,), 1/m^3, V, K
            Density, potential and temperature rise of the cells that touch the contact.
        contact_V : float or array, V
            Potential of the contact.
        held : float or None, 1/m^3
            Density that it holds; None lets no ion through.
        transfer : float, W/(m^2 K), >= 0
            Heat transfer at the interface.

        Returns
        -------
        tuple of four arrays, shape (cells of a layer,), 1/s, A, W, W
        """
        g, (P, psi, rise) = self.grid, fields
        sigma = self.conductivity(P, rise)
        drop = psi - contact_V
        current = self.wall(sigma, np.inf) * drop
        warmth = self.wall(self.heat_conductivity(P, rise, sigma), transfer) * rise
        leaving = 0.0 * P
        if held is not None:
            forward, backward = self.hops(drop, rise, 0.0 * rise, g.end_distance_m)
            leaving = g.end_area_m2 * self.ion_flow(forward, backward, P, held)
        return leaving, current, warmth, current * drop

    def face(self, *sides: Any) -> tuple[Array, Array, Array, Array]:
        """Ions, current and heat from left to right through each face, and the Joule heat of half a face.

        Parameters
        ----------
        *sides : six arrays, shape (faces,), 1/m^3, V, K, 1/m^3, V, K
            Density, potential and temperature rise on the left, then on the right.

        Returns
        -------
        tuple of four arrays, shape (faces,), 1/s, A, W, W
        """
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

    def side(self, P: Any, rise: Any) -> Array:
        """Heat that leaves through each face of the side walls.

        Parameters
        ----------
        P : array, shape (side faces,), 1/m^3
            Density in the cell inside each face.
        rise : array, shape (side faces,), K
            Its temperature above the ambient.

        Returns
        -------
        array, shape (side faces,), W
        """
        g, transfer = self.grid, self.law_heat.side_W_m2K
        if transfer == 0.0:
            return 0.0 * P
        k = self.heat_conductivity(P, rise, self.conductivity(P, rise))
        return g.side_area_m2 / (g.side_distance_m / k + 1.0 / transfer) * rise

    def residuals(self, now: Fields, base: Fields, tau: float) -> tuple[Array, Array, Array]:
        """What is missing in each cell to the balance of ions (1/s), current (A) and heat (W) of an implicit stage.

        Parameters
        ----------
        now : Fields
            At the end of the stage.
        base : Fields
            What the stage starts from: its density and rise count.
        tau : float, s, > 0
            Length of the stage.

        Returns
        -------
        tuple of three arrays, shape (cells,), 1/s, A, W
        """
        g, (P, psi, rise) = self.grid, now[:3]
        J, current, warmth, joule = self.face(
            P[g.left], psi[g.left], rise[g.left], P[g.right], psi[g.right], rise[g.right]
        )
        ions = g.volume_m3 * (P - base.density) / tau + g.divergence(J) - self.extra_ions
        charge = g.divergence(current) - self.extra_A
        heat = self.capacity * (rise - base.rise) / tau + g.divergence(warmth) - self.extra_W
        heat -= g.onto_left(joule) + g.onto_right(joule)
        for (cells, held, transfer), V in zip(self.ends(), (0.0, now.film_V), strict=True):
            out = self.contact((P[cells], psi[cells], rise[cells]), V, held, transfer)
            ions[cells] += out[0]
            charge[cells] += out[1]
            heat[cells] += out[2] - out[3]
        heat += np.bincount(g.side, self.side(P[g.side], rise[g.side]), g.size)
        return ions, charge, heat

    # -- one field at a time -----------------------------------------------------------------------------------

    def current(self, P: Array, rise: Array, circuit: Circuit, guess: Fields) -> Fields:
        """Potential and Joule heat for given ions and temperature, with the voltage that the circuit leaves.

        Parameters
        ----------
        P : array, shape (cells,), 1/m^3
            Density of the ions.
        rise : array, shape (cells,), K
            Temperature above the ambient.
        circuit : Circuit
        guess : Fields
            Its potential is where the solver starts.
        """
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

    def temperature(self, now: Fields, base: Array, tau: float, *, close: float = HEAT_CLOSE) -> Array:
        """Rise of the temperature for given ions and Joule heat; k is that of the temperature in `now`.

        Parameters
        ----------
        now : Fields
            Of it, density, rise and Joule heat count.
        base : array, shape (cells,), K
            Temperature rise that the stage starts from.
        tau : float, s, > 0
            Length of the stage.
        close : float, > 0
            Change, over the largest rise, at which the solver stops.

        Returns
        -------
        array, shape (cells,), K
        """
        g, law = self.grid, self.law_heat
        k = self.heat_conductivity(now.density, now.rise, self.conductivity(now.density, now.rise))
        low, high = (self.wall(k[cells], transfer) for cells, _, transfer in self.ends())
        loss = self.capacity / tau + g.sides(k, law.side_W_m2K)
        source = now.heat + self.extra_W + self.capacity / tau * base
        return g.solve(g.links(k), low, high, source, 0.0, 0.0, loss, held=self.heat_factor, start=now.rise, near=close)

    def transport(self, now: Fields, base: Array, tau: float, *, close: float = ION_CLOSE) -> Array:
        """Ions after an implicit stage in given fields: Newton's method, exact in one update without a site limit.

        Parameters
        ----------
        now : Fields
            Fields in which the ions move; its density is where the iteration starts.
        base : array, shape (cells,), 1/m^3
            Density that the stage starts from.
        tau : float, s, > 0
            Length of the stage.
        close : float, > 0
            Change, over the largest density, at which Newton's method stops.

        Returns
        -------
        array, shape (cells,), 1/m^3
        """
        g, P, most = self.grid, now.density, self.law_ions.site_density_1_m3
        left, right, psi, rise = g.left, g.right, now.potential, now.rise
        forward, backward = self.hops(psi[left] - psi[right], rise[left], rise[right], g.distance_m)
        forward, backward = forward * g.area_m2, backward * g.area_m2
        forward, backward = tau * forward, tau * backward
        supply = base + tau * self.extra_ions / g.volume_m3
        walls = []
        for (cells, held, _), V in zip(self.ends(), (0.0, now.film_V), strict=True):
            if held is not None:
                there, back = self.hops(psi[cells] - V, rise[cells], 0.0 * rise[cells], g.end_distance_m)
                walls.append((cells, held, tau * there * g.end_area_m2, tau * back * g.end_area_m2))
        # the columns of every such matrix add up to the volumes: an old factor, of another step too, loses no ion
        factor, fresh, last = self.ion_factor, self.ion_factor.factor is None, np.inf
        if fresh:
            factor.factorise(self._transport_matrix(P, forward, backward, walls))
        for _ in range(_ION_UPDATES):
            residual = _volumes.ion_residual(forward, backward, left, right, 1.0 / most, g.volume_m3, supply, P)
            for cells, held, there, back in walls:
                residual[cells] -= self.ion_flow(there, back, P[cells], held)
            change = factor.correction(residual)
            P = P + change
            size = float(np.max(np.abs(change)) / (np.max(np.abs(P)) or 1.0))
            if not np.isfinite(size):
                break
            # through an open contact an old factor lets ions leak until it has converged
            if size <= close and abs(np.sum(residual)) <= _LOST * np.sum(g.volume_m3 * np.abs(P)):
                if np.max(P) > most * (1.0 + 1e-9):
                    raise ConvergenceError(
                        "The ions exceed their sites", got=f"{np.max(P):g} 1/m3", allowed=f"{most:g} 1/m3"
                    )
                return P
            speed = min(size / last, 0.95) if np.isfinite(last) else 0.1
            last = size
            if np.log(close / size) / np.log(speed) > _WORTH_A_FACTOR and not (
                fresh and factor.exact and np.isinf(most)
            ):
                # a fresh factor that is still slow has too few digits
                factor.factorise(self._transport_matrix(P, forward, backward, walls), exact=factor.exact or fresh)
                fresh, last = True, np.inf
        raise ConvergenceError(
            "The ions have no solution",
            got=f"a last change of {last:g} of the largest density in {_ION_UPDATES} updates",
            allowed=f"{close:g}",
        )

    def _transport_matrix(self, P: Array, forward: Array, backward: Array, walls: list[Any]) -> Array:
        g, most, half = self.grid, self.law_ions.site_density_1_m3, self.grid.layer
        full_l, full_r = P[g.left] / most, P[g.right] / most
        by_left = forward * (1.0 - full_r) + backward * full_r
        by_right = backward * (1.0 - full_l) + forward * full_l
        diagonal = g.volume_m3 + g.onto_left(by_left) + g.onto_right(by_right)
        for cells, held, there, back in walls:
            diagonal[cells] += there * (1.0 - held / most) + back * held / most
        band = np.zeros((3 * half + 1, g.size), order="F")
        span = g.right - g.left
        band[2 * half] = diagonal
        band[2 * half - span, g.right] = -by_right
        band[2 * half + span, g.left] = -by_left
        return band

    # -- scales --------------------------------------------------------------------------------------------

    def floor(self, density: Array) -> float:
        """Density below which a relative change does not count, 1/m^3: the mean, or what an open contact holds.

        Parameters
        ----------
        density : array, shape (cells,), 1/m^3
        """
        mean = float(np.sum(self.grid.volume_m3 * np.abs(density)) / np.sum(self.grid.volume_m3))
        return max(mean, *(held or 0.0 for _, held, _ in self.ends())) or 1.0

    def distance(self, one: Fields, two: Fields, floor: float) -> float:
        """Largest relative difference of two instants.

        Parameters
        ----------
        one, two : Fields
        floor : float, 1/m^3, > 0
            Of :meth:`floor`: what a density is measured against besides itself.

        Returns
        -------
        float, >= 0
            Of density, potential (over the film voltage or kT/q) and temperature (over the ambient).
        """
        density = np.max(np.abs(one.density - two.density) / (np.abs(one.density) + floor))
        volts = max(abs(one.film_V), abs(two.film_V), K_B * self.ambient_K)
        potential = np.max(np.abs(one.potential - two.potential)) / volts
        return float(max(density, potential, np.max(np.abs(one.rise - two.rise)) / self.ambient_K))
