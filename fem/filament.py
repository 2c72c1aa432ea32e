r"""`FilamentFEM`: the Ag filament of a film as an axisymmetric continuum of ions, metal, current and heat.

The mean field of the kinetic Monte Carlo filament, with the same parameters of the same device card. On a mesh
whose cells are as wide as the lattice constant live the site fractions of mobile ions (:math:`\theta`) and of
metal (:math:`m`), the potential :math:`\psi` of one volt between the contacts, and the temperature:

.. math::

    \partial_t \theta &= -\nabla \cdot J - R, \qquad \partial_t m = R \\
    0 &= \nabla \cdot (\sigma(m, T) \nabla \psi) \\
    0 &= \nabla \cdot (k_e \nabla T_e) + V^2 \nabla \cdot (\sigma \psi \nabla \psi) - g (T_e - T) \\
    0 &= \nabla \cdot (k \nabla T) + g (T_e - T)

Current heats electrons, which carry heat along the metal (Wiedemann-Franz) and pass it to the lattice with the
electron-phonon coupling g of Ag: over 20 nm most of it leaves through the contacts before it reaches the lattice,
whose temperature is the one that atoms feel. As g grows both temperatures merge into the usual single one.

Ions hop, drift, enter and leave at the active electrode; metal forms and dissolves next to metal. Backward Euler
in time: ions and metal by a full Newton iteration, the film voltage that the circuit leaves by a bracketed
search around it, so that a filament that stalls at the compliance limit does not chatter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.linalg import LinAlgError, solve_banded

from ..physics import formulas, trace
from ..physics.constants import BOLTZMANN_EV_K as K_B
from ..physics.constants import LORENZ_NUMBER_W_OHM_K2 as LORENZ
from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.materials import standard_potential
from ..physics.waveform import Waveform
from .circuit import Circuit
from .meshes import Array, cylinder
from .reference import bernoulli

__all__ = ["FilamentFEM"]

_SOURCES = ("BardFaulkner2001", "Guyer2009", "Lin2008", "ScharfetterGummel1969", "Simmons1963", "Valov2011")
_MELTING_POINT_K = 1235.0  # of Ag, CRC Handbook: beyond it the filament is no lattice of atoms
# electrons to lattice in Ag: Z. Lin, L. V. Zhigilei and V. Celli, Phys. Rev. B 77, 075133 (2008)
COUPLING_W_M3K = 3.5e16
# what ions draw from a site: q times the reduction rate at rest over kT/q, 1.7e-12 S at 300 K, to the decade
_ELECTRON_LOSS_S = 1e-12
_COLUMN_SHARE = 1e-3
_NEIGHBOURS = 6  # simple cubic network of sites
_SHORTEST_STEP_S = 1e-14  # shorter than one attempt of any step here: no physics is left to resolve
_NEWTON_STEPS = 8  # those that converge take 2 to 8, those that do not never come back
_NEWTON_TOLERANCE = 1e-8  # site fraction of metal
_VOLTAGE_TOLERANCE_V = 1e-4  # changes a rate by less than 0.4 %
_BALANCE_TOLERANCE = 1e-6


def coordination(mean: Array) -> tuple[Array, Array, Array, Array]:
    """Chance to touch metal and number of metal neighbours of a site that does, with derivatives.

    Parameters
    ----------
    mean : array
        Mean metal fraction of the neighbours, 0 to 1.

    Returns
    -------
    touch, neighbours, touch_slope, neighbours_slope : array

    Notes
    -----
    Neighbours are occupied independently of each other: touch = 1 - (1 - mean)^6 and
    neighbours = 6 mean / touch, which runs from 1 in the dilute limit to 6 in the bulk.
    """
    mean = np.clip(mean, 1e-12, 1.0)
    empty = (1.0 - mean) ** (_NEIGHBOURS - 1)
    # expm1 and log1p keep the digits of a small chance
    with np.errstate(divide="ignore"):
        touch = -np.expm1(_NEIGHBOURS * np.log1p(-mean))
    touch_slope = _NEIGHBOURS * empty
    neighbours = _NEIGHBOURS * mean / touch
    # below 1e-5 the quotient of differences has no digits left; its limit is 5/2
    slope = np.where(mean < 1e-5, 2.5, (_NEIGHBOURS - neighbours * touch_slope) / touch)
    return touch, neighbours, touch_slope, slope


class _State(NamedTuple):
    """What one instant hands to the next."""

    metal: Array
    ions: Array  # per site of the cell
    potential: Array  # for one volt
    warming: Array  # shape (2, cells): rise of lattice and electron temperature for one volt squared, K/V^2
    conductance_S: float  # of the column
    film_V: float
    connected: Array  # to the counter electrode, 0 to 1
    heat: Array  # Joule heat of each cell for one volt squared, W/V^2


# what this model reads from a device card
_PARAMETERS = (
    "attempt_frequency_Hz",
    "bond_energy_eV",
    "mean_field_anode_share",
    "mean_field_cathode_share",
    "mean_field_channel_energy_eV",
    "mean_field_channel_radius_m",
    "charge_transfer_barrier_eV",
    "column_width_m",
    "contact_conductance_S",
    "dissolution_barrier_eV",
    "hop_barrier_eV",
    "lattice_constant_m",
    "leakage_S",
    "matrix_penalty_eV",
    "metal_conductivity_S_m",
    "nucleus_radius_m",
    "reduction_barrier_eV",
    "reverse_anode_share",
    "reverse_cathode_share",
    "series_resistance_ohm",
    "temperature_coefficient_1_K",
    "thermal_conductivity_W_mK",
    "tunnel_barrier_eV",
    "tunnel_gap_m",
)


class Column:
    """The discretised film of one device between two contacts: its fields and the rates of its chemistry.

    Parameters
    ----------
    device : Device
    temperature_K : float, K
        Of both contacts.
    coupling_W_m3K : float, W/(m^3 K)
        From electrons to the lattice.

    Raises
    ------
    InputError
        If the device lacks a parameter, or the film does not fit the lattice.
    """

    def __init__(
        self,
        device: Device,
        temperature_K: float,
        *,
        coupling_W_m3K: float = COUPLING_W_M3K,
    ):
        device.require(_PARAMETERS, "FilamentFEM", "john2022-ogb")
        self.number = {name: device.value(name) for name in _PARAMETERS}
        self.ambient_K, self.coupling_W_m3K = temperature_K, coupling_W_m3K
        p, height = self.number, device.film.thickness_m
        layers = round(height / p["lattice_constant_m"])
        if not 4 <= layers <= 400:
            raise InputError(
                "The film does not fit the lattice",
                got=f"{layers} sites across {height:g} m",
                allowed="4 to 400",
                action="Change the film's thickness_m or lattice_constant_m in the device card",
            )
        self.spacing_m = a = height / layers
        # a round column of the same area as the square one of the atomistic model
        rings = round(p["column_width_m"] / np.sqrt(np.pi) / a)
        if not 3 <= rings <= 60:
            raise InputError(
                "The column does not fit the lattice",
                got=f"{rings} sites from axis to edge",
                allowed="3 to 60",
                action="Change column_width_m in the device card",
            )
        self.mesh = mesh = cylinder(rings * a, height, rings, layers)
        self.sites = mesh.volume_m3 / a**3
        self.film_share = mesh.z_m / height  # of its own voltage, that the film has dropped up to each site
        # the mean over lattice neighbours is the finite-volume Laplacian of a mesh as wide as the lattice; the
        # electrodes are the outer neighbours of the first and last sites, the counter electrode where Ag nucleates
        weight = mesh.area_m2 / mesh.distance_m * a * a / _NEIGHBOURS
        self.to_left, self.to_right = weight / mesh.volume_m3[mesh.left], weight / mesh.volume_m3[mesh.right]
        self.base, self.own = np.zeros(mesh.size), np.ones(mesh.size)
        self.base[mesh.bottom] = np.where(mesh.r_m[mesh.bottom] < p["nucleus_radius_m"], 1.0 / _NEIGHBOURS, 0.0)
        self.own[mesh.bottom] -= 1.0 / _NEIGHBOURS
        self.own[mesh.top] -= 1.0 / _NEIGHBOURS
        self.own -= mesh.onto_left(self.to_left)
        self.own -= mesh.onto_right(self.to_right)
        self.outside_eV = np.where(mesh.r_m < p["mean_field_channel_radius_m"], 0.0, p["mean_field_channel_energy_eV"])
        # an ion in the film above an atom of the electrode
        self.ion_eV = (
            p["dissolution_barrier_eV"]
            - p["reduction_barrier_eV"]
            + p["matrix_penalty_eV"]
            + standard_potential(device.active_electrode.material)
            - standard_potential("Ag")
        )
        self.decay_1_m = float(formulas.tunnel_decay(p["tunnel_barrier_eV"], 1.0))
        # the leaky film around the filament carries a thousandth of the leakage, the rest of the device the rest: with
        # its share by area alone metal and film would differ by more decades than a float has digits
        self.film_S_m = _COLUMN_SHARE * p["leakage_S"] * height / (np.pi * (rings * a) ** 2)
        self.beside_S = (1.0 - _COLUMN_SHARE) * p["leakage_S"]

    # -- fields ------------------------------------------------------------------------------------------------

    def neighbour_mean(self, metal: Array) -> Array:
        mesh = self.mesh
        return (
            self.base
            + self.own * metal
            + mesh.onto_left(self.to_left * metal[mesh.right])
            + mesh.onto_right(self.to_right * metal[mesh.left])
        )

    def conductivity(self, metal: Array, temperature: Array) -> Array:
        """Local conductivity: metallic where atoms are many, tunnelling through what is missing along z, S/m.

        Parameters
        ----------
        metal : array, shape (cells,), 1
        temperature : array, shape (cells,), K

        Notes
        -----
        A gap of width d conducts as exp(-kappa d) wherever d lies: the width is the expected run of
        empty sites through the cell, up to the next metal above and below, so two half-filled layers are not a bridge
        of half-metals in series. An empty site conducts as an atomic contact with that gap, a full one as the metal.
        """
        return self.conductor(metal)(temperature)

    def conductor(self, metal: Array) -> Callable[[Array], Array]:
        """Local conductivity as a function of the temperature alone: what follows from the metal is found once."""
        p, a, shape = self.number, self.spacing_m, self.mesh.shape
        empty = 1.0 - np.clip(metal, 0.0, 1.0).reshape(shape)
        above, below = np.zeros(shape), np.zeros(shape)
        for j in range(1, shape[0]):
            below[j] = empty[j - 1] * (a + below[j - 1])
            above[-1 - j] = empty[-j] * (a + above[-j])
        gap = empty * (p["tunnel_gap_m"] + above + below)
        layers = 1.0 + empty * (above + below) / a
        through = (layers * np.exp(-self.decay_1_m * gap)).ravel()
        contact = (p["contact_conductance_S"] / a) ** empty.ravel()
        full = 1.0 - empty.ravel()

        def at(temperature: Array) -> Array:
            hot = 1.0 + p["temperature_coefficient_1_K"] * (temperature - 300.0)
            metallic = contact * (p["metal_conductivity_S_m"] / hot) ** full
            return self.film_S_m + metallic * through

        return at

    def fields(self, metal: Array, film_V: float, warming: Array) -> tuple[Array, Array, float, Array, Array]:
        """Potential and temperature rise for one volt, conductance and heat, with the temperature's feedback."""
        mesh, ambient = self.mesh, self.ambient_K
        nothing = np.zeros(mesh.size)
        lattice = mesh.conductances(np.full(mesh.size, self.number["thermal_conductivity_W_mK"]))
        swap = self.coupling_W_m3K * mesh.volume_m3
        # the filament touches the active electrode atom by atom
        contact = self.number["contact_conductance_S"] / self.spacing_m**2
        conductivity = self.conductor(metal)
        for _ in range(30):
            temperature = ambient + film_V**2 * warming[0]
            sigma = conductivity(temperature)
            links, low, high = mesh.links(sigma), mesh.ends(sigma, mesh.bottom), mesh.ends(sigma, mesh.top, contact)
            psi = mesh.solve(links, low, high, nothing, 0.0, 1.0)
            heat = mesh.joule(links, low, high, psi, 0.0, 1.0)
            conductance = float(np.sum(low * psi[mesh.bottom]))
            electrons = mesh.conductances(LORENZ * sigma * (ambient + film_V**2 * warming[1]))
            new = mesh.solve_pair(lattice, electrons, swap, heat)
            change = film_V**2 * float(np.max(np.abs(new - warming)))
            warming = new
            if change < 1e-3 * ambient:
                break
        else:
            raise ConvergenceError(
                "The temperature of the filament and its conductance do not settle",
                got=f"{change:.3g} K between the last two of 30 turns at {film_V:g} V",
                allowed=f"{1e-3 * ambient:g} K",
                action="Lower the voltage or the compliance, or the temperature coefficient of the metal",
            )
        return psi, warming, conductance, self.connection(metal, links, low), heat

    # -- chemistry ---------------------------------------------------------------------------------------------

    def connection(self, metal: Array, links: Array, low: Array) -> Array:
        """How far each cell is joined to the counter electrode by metal and short gaps, 0 to 1.

        The potential that the counter electrode alone, at one volt, gives to a cell that also loses current to the
        ions around it: near one along a filament, whether it bridges or not; zero beyond a gap of three sites.
        """
        nothing = np.zeros(self.mesh.size)
        none = np.zeros(self.mesh.top.size)
        # atoms that sit side by side are joined, however sparse their cells are along z
        mesh, contact = self.mesh, self.number["contact_conductance_S"] / self.spacing_m**2
        links = links + contact * mesh.area_m2 * (metal[mesh.left] * metal[mesh.right]) ** 2
        low = low + contact * mesh.end_area_m2 * metal[mesh.bottom] ** 2 * (_NEIGHBOURS * self.base[mesh.bottom])
        return mesh.solve(links, low, none, nothing, 1.0, 0.0, loss=_ELECTRON_LOSS_S * self.sites)

    def interface_shares(self, film_V: float) -> tuple[float, float]:
        """Shares of the film voltage at the active electrode and at metal joined to the counter electrode."""
        side = "reverse_" if film_V < 0 else "mean_field_"
        return self.number[f"{side}anode_share"], self.number[f"{side}cathode_share"]

    def overpotential(self, film_V: float, metal: Array, connected: Array) -> Array:
        """Voltage that drives reduction at each site, from the metal that the site touches.

        Metal joined to the counter electrode is at its potential, other metal at that of the active electrode; the
        ions beside it are at that of the film, which the metal does not disturb, as a rod along the field would not.
        """
        mean = self.neighbour_mean(metal)
        joined = np.clip(self.neighbour_mean(metal * connected) / np.maximum(mean, 1e-12), 0.0, 1.0)
        active, counter = self.interface_shares(film_V)
        return film_V * (counter + (1.0 - active - counter) * self.film_share - (1.0 - joined))

    def exchange(self, eta: Array, temperature: Array, neighbours: Array) -> tuple[Array, Array, Array, Array]:
        """Rates of reduction and oxidation next to metal, Hz, and their slopes against the number of neighbours."""
        p, kT = self.number, K_B * temperature
        rise = (
            p["dissolution_barrier_eV"]
            - p["reduction_barrier_eV"]
            + (neighbours - 3.0) * p["bond_energy_eV"]
            + self.outside_eV
            + eta
        )
        plain = p["reduction_barrier_eV"] - 0.5 * eta
        reduce_eV = np.maximum(np.maximum(plain, 0.0), -rise)
        limited = -rise > np.maximum(plain, 0.0)
        reduction = p["attempt_frequency_Hz"] * np.exp(-reduce_eV / kT)
        oxidation = p["attempt_frequency_Hz"] * np.exp(-(reduce_eV + rise) / kT)
        steep = p["bond_energy_eV"] / kT
        return (
            reduction,
            oxidation,
            np.where(limited, steep, 0.0) * reduction,
            np.where(limited, 0.0, -steep) * oxidation,
        )

    def injection(self, film_V: float, temperature: Array) -> tuple[Array, Array]:
        """Rates of injection and return at each site below the active electrode, Hz."""
        p, kT = self.number, K_B * temperature
        drop = self.interface_shares(film_V)[0] * film_V
        rise = self.ion_eV + self.outside_eV[self.mesh.top] - drop
        back = np.maximum(np.maximum(p["charge_transfer_barrier_eV"] + 0.5 * drop, 0.0), -rise)
        return p["attempt_frequency_Hz"] * np.exp(-(back + rise) / kT), p["attempt_frequency_Hz"] * np.exp(-back / kT)

    def advance(self, old: _State, film_V: float, temperature: Array, step: float) -> tuple[Array, Array, float] | None:
        """Metal and ions after one implicit step at a fixed film voltage, and atoms injected; None without success."""
        p, mesh, sites = self.number, self.mesh, self.sites
        metal = old.metal
        eta = self.overpotential(film_V, metal, old.connected)
        left, right = mesh.left, mesh.right
        free = 1.0 - old.metal + 1e-6  # room for ions; the floor keeps a full cell solvable
        kT = K_B * temperature
        hop = p["attempt_frequency_Hz"] * np.exp(-p["hop_barrier_eV"] / kT)
        share = max(0.0, 1.0 - sum(self.interface_shares(film_V)))
        energy = share * film_V * self.film_share + self.outside_eV
        kT_face = 0.5 * (kT[left] + kT[right])
        u = (energy[left] - energy[right]) / kT_face
        # sites per second through a face: area over cell cross-section, one hop length over the distance
        rate = np.sqrt(hop[left] * hop[right]) * mesh.area_m2 / mesh.distance_m / self.spacing_m
        rate = rate * free[left] * free[right] * step
        forward, backward = rate * bernoulli(-u), rate * bernoulli(u)
        inject, giveback = self.injection(film_V, temperature[mesh.top])
        mouth = mesh.end_area_m2 / self.spacing_m**2 * free[mesh.top] * step
        inject, giveback = mouth * inject, mouth * giveback
        # transport is linear in the ions per free site; its matrix serves every Newton step
        outflow = mesh.onto_left(forward) + mesh.onto_right(backward)
        outflow[mesh.top] += giveback
        diagonal = free + outflow / sites
        half = 2 * mesh.shape[1] + 1
        span = right - left
        cells = np.arange(mesh.size)
        ions = old.ions / free
        for iteration in range(_NEWTON_STEPS):
            mean = self.neighbour_mean(metal)
            touch, neighbours, touch_slope, neighbours_slope = coordination(mean)
            reduction, oxidation, reduction_slope, oxidation_slope = self.exchange(eta, temperature, neighbours)
            room = 1.0 - metal
            net = reduction * room * ions - oxidation * metal
            speed = touch * step * (reduction * ions + oxidation)
            scale = 1.0 / (1.0 + speed)
            by_mean = (
                step
                * (
                    touch_slope * net
                    + touch * neighbours_slope * (reduction_slope * room * ions - oxidation_slope * metal)
                )
                * scale
            )
            band = np.zeros((2 * half + 1, 2 * mesh.size))
            # row of the ledger: ions and metal together change by transport and injection only
            band[half, 0::2] = diagonal
            band[half - 1, 1::2] = 1.0
            band[half - 2 * span, 2 * right] = -backward / sites[left]
            band[half + 2 * span, 2 * left] = -forward / sites[right]
            # row of the metal
            band[half + 1, 0::2] = -step * touch * reduction * room * scale
            band[half, 1::2] = (1.0 + speed) * scale - by_mean * self.own
            band[half - 2 * span, 2 * right + 1] = -by_mean[left] * self.to_left
            band[half + 2 * span, 2 * left + 1] = -by_mean[right] * self.to_right
            flow = forward * ions[left] - backward * ions[right]
            ledger = free * ions - old.ions + metal - old.metal + mesh.divergence(flow) / sites
            ledger[mesh.top] += (giveback * ions[mesh.top] - inject) / sites[mesh.top]
            residual = np.empty(2 * mesh.size)
            residual[0::2] = ledger
            residual[1::2] = (metal - old.metal - step * touch * net) * scale
            try:
                delta = solve_banded((half, half), band, -residual, check_finite=False, overwrite_ab=True)
            except LinAlgError:
                return None
            if not np.isfinite(delta).all():
                return None
            change = delta[2 * cells + 1]
            ions = np.maximum(ions + delta[0::2], 0.0)
            largest = float(np.max(np.abs(change)))
            if largest > 0.5:
                return None
            metal = np.clip(metal + change, 0.0, 1.0)
            if largest < _NEWTON_TOLERANCE and iteration > 0:
                gained = float(np.sum(inject - giveback * ions[mesh.top]))
                # all that crossed the interface or changed state, both ways, sets the scale of rounding
                moved = float(np.sum(inject) + np.sum(sites * np.abs(metal - old.metal))) + 1e-3
                missing = float(np.sum(sites * (metal - old.metal + free * ions - old.ions))) - gained
                if abs(missing) > _BALANCE_TOLERANCE * moved:
                    return None  # a shorter step is better conditioned
                return metal, free * ions, gained
        return None


@dataclass(frozen=True)
class FilamentFEM:
    """Growth and rupture of an Ag filament in 2D axisymmetric coordinates.

    Parameters
    ----------
    device : Device
        Card with the parameters of the filament, for instance ``Device.load("john2022-ogb")``.
    temperature_K : float, K, 100 to 600
        Of both contacts.
    largest_change : float, 1, 0.005 to 0.3
        Largest change of the metal fraction of any cell in one time step.
    largest_voltage_step_V : float, V, > 0
        Largest change of the source voltage in one time step.

    Raises
    ------
    InputError
        If an argument is out of range, or the device lacks a parameter of this model.

    Notes
    -----
    Valid while ions are dilute (they do not shield the field nor exclude each other) and atoms are numerous enough for
    a mean field, that is at compliance currents of some 10 uA and more. A chain of single atoms is not: below its
    gap the mean field's filament is as wide at 1 uA as at 1 mA, so it relaxes in minutes, not in milliseconds; use
    :mod:`halidrift.kmc` there. Beyond the melting point of Ag it raises
    :class:`~halidrift.physics.errors.ValidityError`. Ions feel the potential of the film, which falls linearly
    between the interfaces and which metal does not disturb; metal is at the potential of the electrode that it joins.
    The run is deterministic.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022).
    .. [2] I. Valov, R. Waser, J. R. Jameson, M. N. Kozicki, Nanotechnology 22, 254003 (2011).
    .. [3] D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969).

    Examples
    --------
    >>> from halidrift import Device, Waveform
    >>> model = FilamentFEM(Device.load("john2022-ogb"))
    >>> rest = model.simulate(Waveform.hold(0.1, 1e-3, samples=2))
    >>> f"{rest.current.values[-1]:.2g} A"
    '1e-09 A'
    """

    device: Device
    temperature_K: float = 300.0
    largest_change: float = 0.05
    largest_voltage_step_V: float = 0.05

    def __post_init__(self) -> None:
        for name, value, low, high, unit in (
            ("temperature_K", self.temperature_K, 100.0, 600.0, "K"),
            ("largest_change", self.largest_change, 0.005, 0.3, ""),
            ("largest_voltage_step_V", self.largest_voltage_step_V, 1e-4, 1.0, "V"),
        ):
            if not low <= value <= high:
                raise InputError(
                    f"{name} is out of range", got=f"{value} {unit}", allowed=f"{low:g} to {high:g} {unit}"
                )
        self.column()  # complains now rather than at the first run

    def column(self) -> Column:
        """The discretised film, for a look at its fields and rates."""
        return Column(self.device, self.temperature_K)

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: int | np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> xr.Dataset:
        """Play a waveform on a pristine film.

        Parameters
        ----------
        waveform : Waveform
        rng : int, numpy.random.Generator or None
            Taken so that this model can stand in for a stochastic one; the run is deterministic and draws nothing.
        progress : callable (time_s), optional
            Called at each reported instant with its time, s; changes no number.

        Returns
        -------
        xarray.Dataset
            A trace with ``film_voltage`` (V), ``temperature_max`` and ``electron_temperature_max`` (K), ``metal_atoms``
            and ``dissolved_ions`` (1) against time, and with ``metal_fraction`` (1), ``temperature`` (K) and
            ``potential`` (V) over ``z`` and ``r`` at the end. The attribute ``peak_temperature_K`` is the highest
            lattice temperature of all steps: on SET the filament may be hotter between two instants than at any.

        Raises
        ------
        ValidityError
            If the filament reaches the melting point of Ag.
        ConvergenceError
            If a time step fails, or loses ions, down to the shortest one; or if power is lost.
        """
        return _Run(self, waveform).trace(progress)


class _Run:
    """One waveform on one column."""

    def __init__(self, model: FilamentFEM, waveform: Waveform):
        self.model, self.waveform = model, waveform
        self.column = model.column()
        nothing = np.zeros(self.column.mesh.size)
        cold = np.zeros((2, self.column.mesh.size))
        psi, warming, conductance, connected, heat = self.column.fields(nothing, 0.0, cold)
        self.state = _State(nothing, nothing, psi, warming, conductance, 0.0, connected, heat)
        self.time_s = float(waveform.time_s[0])
        self.next_s = 1e-6
        self.steps = self.trials = 0
        self.hottest_K = self.column.ambient_K

    def circuit(self, time_s: float, limit_A: float) -> Circuit:
        p = self.column.number
        return Circuit(
            float(self.waveform.voltage_at(time_s)), limit_A, p["series_resistance_ohm"], self.column.beside_S
        )

    # -- one step ----------------------------------------------------------------------------------------------

    def trial(self, film_V: float, step: float) -> tuple[_State, float] | None:
        """State after a step at a given film voltage, and atoms injected.

        Potential, connection and warming for one volt are those before the step: they change with the metal, and the
        change of the metal in one step is limited. A function of the voltage alone, so that the search converges.
        """
        self.trials += 1
        column, old = self.column, self.state
        temperature = column.ambient_K + np.minimum(film_V**2 * old.warming[0], 3 * _MELTING_POINT_K)
        done = column.advance(old, film_V, temperature, step)
        if done is None:
            return None
        metal, ions, gained = done
        if float(np.max(np.abs(metal - self.state.metal))) > 2 * self.model.largest_change:
            return None
        psi, warming, conductance, connected, heat = column.fields(metal, film_V, old.warming)
        return _State(metal, ions, psi, warming, conductance, film_V, connected, heat), gained

    def attempt(self, circuit: Circuit, step: float) -> tuple[_State, float] | None:
        """State after a step at the film voltage that the circuit leaves it; None if it must be shorter."""
        guess = circuit.film_V(self.state.conductance_S)
        result = self.trial(guess, step)
        if result is None:
            return None
        error = circuit.film_V(result[0].conductance_S) - guess
        if abs(error) < _VOLTAGE_TOLERANCE_V:
            return result
        # a more conducting film gets less voltage: error falls from >= 0 to <= 0 between two voltages
        low, high = sorted((0.0, circuit.source_V))
        if error > 0:
            low, low_error, high_error = guess, error, -np.inf
        else:
            high, high_error, low_error = guess, error, np.inf
        voltage = guess + error
        for _ in range(40):
            if not low < voltage < high:
                voltage = 0.5 * (low + high)
            result = self.trial(voltage, step)
            if result is None:
                return None
            last, error = error, circuit.film_V(result[0].conductance_S) - voltage
            if abs(error) < _VOLTAGE_TOLERANCE_V or high - low < 1e-9:
                return result
            # false position with the Illinois weight, so that neither end gets stuck
            if error > 0:
                if last > 0:
                    high_error *= 0.5
                low, low_error = voltage, error
            else:
                if last < 0:
                    low_error *= 0.5
                high, high_error = voltage, error
            if np.isfinite(low_error) and np.isfinite(high_error):
                voltage = high - high_error * (high - low) / (high_error - low_error)
            else:
                voltage = voltage + error
        return None

    def step(self, end_s: float, limit_A: float) -> None:
        """Advance by one step, at most to `end_s`."""
        slope = abs(float(self.waveform.voltage_at(end_s)) - float(self.waveform.voltage_at(self.time_s)))
        span = end_s - self.time_s
        length = min(self.next_s, span)
        if slope > 0:
            length = min(length, self.model.largest_voltage_step_V * span / slope)
        refused = False
        while True:
            if span - length < 1e-6 * span:
                length = span
            now = end_s if length == span else self.time_s + length
            circuit = self.circuit(now, limit_A)
            result = self.attempt(circuit, length)
            if result is not None:
                break
            refused = True
            length *= 0.4
            if length < _SHORTEST_STEP_S:
                raise ConvergenceError(
                    "The filament has no solution for the next time step",
                    got=f"{length:g} s at {self.time_s:g} s, {circuit.source_V:g} V",
                    allowed=f"a step of at least {_SHORTEST_STEP_S:g} s",
                    action="Lower largest_change, or check the device card",
                )
        state, _ = result
        self.check(state, now)
        change = float(np.max(np.abs(state.metal - self.state.metal)))
        # a step as long as one that was just refused would most likely be refused again
        most = 1.0 if refused else 2.0
        growth = np.clip(0.8 * self.model.largest_change / max(change, 1e-12), 0.3, most)
        # a step cut short by a report time, not by a refusal, says little about how long the next may be
        shortened = length < self.next_s and not refused
        self.next_s = max(length * growth, self.next_s if shortened and growth >= 1.0 else 0.0)
        film_V = circuit.film_V(state.conductance_S)
        self.state, self.time_s = state._replace(film_V=film_V), now
        self.steps += 1

    def check(self, state: _State, now_s: float) -> None:
        """Balance of power, and melting point."""
        excess = float(state.heat.sum()) / state.conductance_S - 1.0
        if abs(excess) > _BALANCE_TOLERANCE:
            raise ConvergenceError("Joule heat is not current times voltage", got=f"{excess:g} at {now_s:g} s")
        hottest = self.column.ambient_K + state.film_V**2 * float(state.warming[0].max())
        self.hottest_K = max(self.hottest_K, hottest)
        if hottest > _MELTING_POINT_K:
            raise ValidityError(
                "The filament melts",
                got=f"{hottest:.0f} K at {now_s:g} s, film voltage {state.film_V:.3f} V",
                allowed=f"below {_MELTING_POINT_K:.0f} K, the melting point of Ag",
                action="Lower the compliance current, or raise series_resistance_ohm in the device card",
            )

    # -- the whole waveform ------------------------------------------------------------------------------------

    def trace(self, progress: Callable[[float], None] | None = None) -> xr.Dataset:
        waveform, column, mesh = self.waveform, self.column, self.column.mesh
        times = waveform.times_s
        rows = []
        for end in times:
            # report times hold every corner, so one segment and one compliance span each interval
            limit = float(waveform.compliance_at(end))
            while self.time_s < end:
                self.step(float(end), limit)
            circuit, state = self.circuit(float(end), limit), self.state
            conductance = circuit.device_S(state.conductance_S)
            voltage = circuit.device_V(state.conductance_S)
            film_V = circuit.film_V(state.conductance_S)
            rows.append(
                (
                    voltage,
                    voltage * conductance,
                    conductance,
                    film_V,
                    column.ambient_K + film_V**2 * float(state.warming[0].max()),
                    column.ambient_K + film_V**2 * float(state.warming[1].max()),
                    float(np.sum(column.sites * state.metal)),
                    float(np.sum(column.sites * state.ions)),
                )
            )
            if progress is not None:
                progress(float(end))
        device_V, current, conductance_S, film, hottest, electrons, atoms, ions = np.array(rows).T
        state = self.state
        plane = ("z", "r")
        data = trace.make(
            waveform,
            model="FilamentFEM",
            device_voltage_V=device_V,
            current_A=current,
            conductance_S=conductance_S,
            parameters={
                "device": self.model.device.to_dict(),
                "temperature_K": self.model.temperature_K,
                "largest_change": self.model.largest_change,
                "largest_voltage_step_V": self.model.largest_voltage_step_V,
            },
            sources=(*self.model.device.sources, *_SOURCES),
            extra={
                "film_voltage": ("time", film, "V", "voltage across the film"),
                "temperature_max": ("time", hottest, "K", "highest lattice temperature in the film"),
                "electron_temperature_max": ("time", electrons, "K", "highest electron temperature in the film"),
                "metal_atoms": ("time", atoms, "1", "Ag atoms of the filament"),
                "dissolved_ions": ("time", ions, "1", "Ag ions in the film"),
                "metal_fraction": (
                    plane,
                    state.metal.reshape(mesh.shape),
                    "1",
                    "fraction of sites that hold Ag, at the end",
                ),
                "temperature": (
                    plane,
                    (column.ambient_K + film[-1] ** 2 * state.warming[0]).reshape(mesh.shape),
                    "K",
                    "temperature, at the end",
                ),
                "potential": (plane, (film[-1] * state.potential).reshape(mesh.shape), "V", "potential, at the end"),
            },
            attrs={"peak_temperature_K": self.hottest_K, "steps": self.steps, "trials": self.trials},
        )
        return data.assign_coords(
            z=("z", mesh.z_m[:: mesh.shape[1]], {"units": "m", "long_name": "distance from the counter electrode"}),
            r=("r", mesh.r_m[: mesh.shape[1]], {"units": "m", "long_name": "distance from the axis"}),
        )
