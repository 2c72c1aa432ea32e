r"""`Stack`: drift and diffusion of any charged species through layers between two contacts.

The general form of :class:`halidrift.fem.IonFilm`: several species of ions, electrons and holes, layers with their own
permittivity and access for ions, contacts that block, exchange or hold a density, generation by light. The equations
are those of :mod:`halidrift.fem.equations`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics import formulas, trace
from ..physics.constants import BOLTZMANN_EV_K, ELEMENTARY_CHARGE_C, VACUUM_PERMITTIVITY_F_M
from ..physics.errors import InputError
from ..physics.waveform import Waveform
from . import _march
from .equations import BLOCKING, Boundary, Carrier, Equations, Level, State, graded_widths, line_mesh
from .integration import control, play, relaxed

__all__ = ["Contact", "Layer", "Species", "Stack", "Traps"]

Array = NDArray[np.float64]

_SWEEPS = (
    100  # a sudden volt passes in damped updates of 5 kT/q, and carriers in quasi-equilibrium follow exponentially
)


def _check(name: str, value: float, unit: str, low: float = 0.0, *, closed: bool = True, endless: bool = False) -> None:
    """`closed`: `low` itself is allowed; `endless`: infinity is."""
    fits = value >= low if closed else value > low  # false for nan
    if not fits or (math.isinf(value) and not endless):
        raise InputError(
            f"{name} is out of range",
            got=f"{value} {unit}".rstrip(),
            allowed=f"{'>=' if closed else '>'} {low:g} {unit}".rstrip() + ("" if endless else ", finite"),
        )


@dataclass(frozen=True)
class Layer:
    """One layer of the stack.

    Parameters
    ----------
    thickness_m : float, m, > 0
    relative_permittivity : float, >= 1
    fixed_1_m3 : float, 1/m3
        Charge that never moves, over the elementary charge: ionised dopants, the background of a vacancy.
    held_1_m3, held_charge : float, 1/m3, >= 0, and charge number
        Carriers in quasi-equilibrium with the contact `held_by`: their density where the potential is that of the
        contact. A conducting polymer is a layer with such holes and the opposite fixed charge.
    held_by : {"left", "right"}
    generation_1_m3_s : float, 1/(m3 s), >= 0
        Pairs that light makes, of the two species that recombine.
    recombination_m3_s : float, m3/s, >= 0
        Rate coefficient of the recombination of that pair.
    intrinsic_1_m3 : float, 1/m3, >= 0
        Root of the product of their densities in the dark.
    cells : int, even, >= 10
        Mesh cells, which grow from both interfaces.
    """

    thickness_m: float
    relative_permittivity: float
    fixed_1_m3: float = 0.0
    held_1_m3: float = 0.0
    held_charge: int = 1
    held_by: str = "right"
    generation_1_m3_s: float = 0.0
    recombination_m3_s: float = 0.0
    intrinsic_1_m3: float = 0.0
    cells: int = 100

    def __post_init__(self) -> None:
        _check("thickness_m", self.thickness_m, "m", closed=False)
        if not math.isfinite(self.held_charge) or self.held_charge != int(self.held_charge) or not self.held_charge:
            raise InputError("held_charge must be a whole number other than zero", got=self.held_charge)
        _check("relative_permittivity", self.relative_permittivity, "", 1.0)
        if not math.isfinite(self.fixed_1_m3):
            raise InputError("fixed_1_m3 must be finite", got=f"{self.fixed_1_m3} 1/m3")
        for name, unit in (
            ("held_1_m3", "1/m3"),
            ("generation_1_m3_s", "1/(m3 s)"),
            ("recombination_m3_s", "m3/s"),
            ("intrinsic_1_m3", "1/m3"),
        ):
            _check(name, getattr(self, name), unit)
        if self.held_by not in ("left", "right"):
            raise InputError("held_by names no contact", got=self.held_by, allowed="left or right")


@dataclass(frozen=True)
class Contact:
    """What a contact is to one species: nothing given, it blocks.

    Parameters
    ----------
    density_1_m3 : float, 1/m3, >= 0
        Density in the film that is in equilibrium with the contact.
    rate_m_s : float, m/s, >= 0 or inf
        Exchange rate k in J = k (P - `density_1_m3`); ``inf`` holds the density (ohmic).

    Examples
    --------
    >>> Contact.ohmic(1e24).rate_m_s
    inf
    >>> f"{Contact.schottky(0.4, 1e25, 1e3, 300.0).density_1_m3:.2e}"
    '1.91e+18'
    """

    density_1_m3: float = 0.0
    rate_m_s: float = 0.0

    def __post_init__(self) -> None:
        _check("density_1_m3", self.density_1_m3, "1/m3")
        _check("rate_m_s", self.rate_m_s, "m/s", endless=True)

    @classmethod
    def ohmic(cls, density_1_m3: float) -> Contact:
        """Holds the density, whatever current that takes.

        Parameters
        ----------
        density_1_m3 : float, 1/m^3, >= 0
        """
        return cls(density_1_m3, math.inf)

    @classmethod
    def schottky(cls, barrier_eV: float, states_1_m3: float, velocity_m_s: float, temperature_K: float) -> Contact:
        """Thermionic emission over a barrier: density N exp(-barrier/kT), exchanged at the emission velocity.

        Parameters
        ----------
        barrier_eV : float, eV
            From the Fermi level of the contact to the band edge.
        states_1_m3 : float, 1/m^3, >= 0
            Effective density of states N.
        velocity_m_s : float, m/s, >= 0
        temperature_K : float, K, > 0
        """
        _check("temperature_K", temperature_K, "K", closed=False)
        return cls(states_1_m3 * math.exp(-barrier_eV / (BOLTZMANN_EV_K * temperature_K)), velocity_m_s)


@dataclass(frozen=True)
class Traps:
    """Populations of a species that do not move: captured and released.

    Parameters
    ----------
    release_Hz, capture_Hz : tuple of float, Hz, > 0 and >= 0
        Rates of each population.
    density_1_m3 : float, 1/m3, > 0
        Places in each population; ``inf`` is no limit.
    """

    release_Hz: tuple[float, ...]
    capture_Hz: tuple[float, ...]
    density_1_m3: float = math.inf

    def __post_init__(self) -> None:
        if len(self.release_Hz) != len(self.capture_Hz):
            raise InputError(
                "Traps need a capture rate for each release rate",
                got=f"{len(self.release_Hz)} and {len(self.capture_Hz)}",
            )
        for name, values in (("release_Hz", self.release_Hz), ("capture_Hz", self.capture_Hz)):
            for value in values:
                _check(name, value, "Hz", closed=name == "capture_Hz")
        _check("density_1_m3", self.density_1_m3, "1/m3", closed=False, endless=True)


@dataclass(frozen=True)
class Species:
    """One mobile species; numbers given as a tuple are those of each layer in turn.

    Parameters
    ----------
    name : str
    charge : int, not 0
    density_1_m3 : float or tuple, 1/m3, >= 0
        At rest, where a simulation starts.
    diffusivity_m2_s : float or tuple, m^2/s, >= 0
        Zero where the species has no access.
    site_density_1_m3 : float or tuple, 1/m3, > 0
        Sites of its sublattice (steric limit); ``inf`` is no limit.
    energy_eV : float or tuple, eV
        Standard energy, of which differences between layers act.
    left, right : Contact
    traps : Traps, optional
    """

    name: str
    charge: int
    density_1_m3: float | tuple[float, ...]
    diffusivity_m2_s: float | tuple[float, ...]
    site_density_1_m3: float | tuple[float, ...] = math.inf
    energy_eV: float | tuple[float, ...] = 0.0
    left: Contact = Contact()
    right: Contact = Contact()
    traps: Traps | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.charge) or self.charge != int(self.charge) or not self.charge:
            raise InputError("charge must be a whole number other than zero", got=self.charge)
        for name, unit in (("density_1_m3", "1/m3"), ("diffusivity_m2_s", "m2/s"), ("energy_eV", "eV")):
            for value in np.atleast_1d(getattr(self, name)):
                _check(f"{name} of {self.name}", float(value), unit, -1e3 if name == "energy_eV" else 0.0)
        for value in np.atleast_1d(self.site_density_1_m3):
            _check(f"site_density_1_m3 of {self.name}", float(value), "1/m3", closed=False, endless=True)


@dataclass(frozen=True)
class Stack:
    r"""Layers between a left contact, which is driven, and a right one at zero.

    Parameters
    ----------
    layers : tuple of Layer
        From left to right.
    species : tuple of Species
    temperature_K : float, K, > 0
    area_m2 : float, m^2, > 0
    built_in_V : float, V
        Potential of the left contact against the right one at zero voltage: the difference of their work functions.
        Where a species of charge z exchanges with both contacts, nothing flows at zero voltage if this is
        (kT/zq) ln(P_right / P_left) of their densities, plus the step of `energy_eV` from left to right over z.
    wall_m : float, m, > 0
        Width of the cells at contacts and interfaces.
    tolerance : float, in [1e-8, 0.1]
        Local error of one time step, relative to a density (its own or the largest at rest) and to kT/q.
    longest_step_s : float, s, > 0
    pair : tuple of two str, optional
        Species of opposite charge that light makes and that recombine, for instance ``("n", "p")``.
    profiles : bool
        Report densities and potential against position.

    Raises
    ------
    InputError
        If a number is out of range, a tuple does not fit the layers, or the pair names no species.

    Notes
    -----
    Maxwell-Boltzmann statistics but for the steric limit; Einstein relation; one temperature. Between layers the
    exponential flux acts on the electrochemical potential, so a step in `energy_eV` is in equilibrium across the
    interface. A contact with a finite rate and a steric limit uses the energy of the density that it is in equilibrium
    with. Currents are those of the external circuit (Ramo-Shockley), displacement included.

    References
    ----------
    .. [1] D. L. Scharfetter and H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969).
    .. [2] J. J. Bikerman, Philos. Mag. 33, 384 (1942).
    .. [3] S. Ramo, Proc. IRE 27, 584 (1939).

    Examples
    --------
    Halide vacancies in 100 nm of perovskite that a step of 0.2 V draws to the contacts:

    >>> film = Layer(100e-9, 24.0, fixed_1_m3=-1e24)
    >>> ions = Species("V_Br", 1, 1e24, 1e-16)
    >>> stack = Stack((film,), (ions,))
    >>> rest, charged = stack.relax(0.0), stack.relax(0.2)
    >>> bool(charged.density[0, -1] > 5 * rest.density[0, -1])
    True
    >>> trace = stack.simulate(Waveform.hold(0.2, 1.0, samples=5))
    >>> bool(trace.current[1] > trace.current[-1] > 0)
    True
    """

    layers: tuple[Layer, ...]
    species: tuple[Species, ...]
    temperature_K: float = 300.0
    area_m2: float = 1.0
    built_in_V: float = 0.0
    wall_m: float = 0.4e-9
    tolerance: float = 1e-3
    longest_step_s: float = math.inf
    pair: tuple[str, str] | None = None
    profiles: bool = False

    def __post_init__(self) -> None:
        for name, unit in (("temperature_K", "K"), ("area_m2", "m2"), ("wall_m", "m"), ("longest_step_s", "s")):
            _check(name, getattr(self, name), unit, closed=False, endless=name == "longest_step_s")
        if not math.isfinite(self.built_in_V):
            raise InputError("built_in_V must be finite", got=f"{self.built_in_V} V")
        if not 1e-8 <= self.tolerance <= 0.1:
            raise InputError("tolerance is out of range", got=self.tolerance, allowed="1e-8 to 0.1")
        if not self.layers or not self.species:
            raise InputError("A stack needs a layer and a species", got=f"{len(self.layers)}, {len(self.species)}")
        names = [species.name for species in self.species]
        if len(set(names)) != len(names):
            raise InputError("Two species have one name", got=", ".join(names))
        if self.pair is not None and (len(set(self.pair)) != 2 or not set(self.pair) <= set(names)):
            raise InputError("pair must name two species", got=str(self.pair), allowed=", ".join(names))
        if self.pair is not None and sum(s.charge for s in self.species if s.name in self.pair) != 0:
            raise InputError(
                "A pair that light makes must be neutral",
                got=", ".join(f"{s.name} of charge {s.charge:+d}" for s in self.species if s.name in self.pair),
                allowed="opposite charges",
            )
        if self.pair is None and any(layer.generation_1_m3_s or layer.recombination_m3_s for layer in self.layers):
            raise InputError("Generation and recombination need the two species that they act on: pair", got="none")
        for species in self.species:
            for name in ("density_1_m3", "diffusivity_m2_s", "site_density_1_m3", "energy_eV"):
                count = np.size(getattr(species, name))
                if count not in (1, len(self.layers)):
                    raise InputError(
                        f"{name} of {species.name} must be one number, or one for each layer",
                        got=f"{count} for {len(self.layers)} layers",
                    )
        self.equations()

    # -- scaled equations ------------------------------------------------------------------------------------

    @property
    def thermal_voltage_V(self) -> float:
        """kT/q, V."""
        return BOLTZMANN_EV_K * self.temperature_K

    @property
    def reference_1_m3(self) -> float:
        """Density that the equations are scaled by: the largest that a species has at rest or at a contact, 1/m3."""
        return max(float(max(np.max(s.density_1_m3), s.left.density_1_m3, s.right.density_1_m3)) for s in self.species)

    def over_layers(self, values: ArrayLike) -> Array:
        """A number of each layer, for each cell.

        Parameters
        ----------
        values : float or array, shape (layers,)

        Returns
        -------
        array, shape (cells,)
        """
        numbers = np.broadcast_to(np.asarray(values, dtype=float), (len(self.layers),))
        return np.repeat(numbers, [layer.cells for layer in self.layers])

    def equations(self) -> Equations:
        """The discrete equations of this stack on their FiPy mesh."""
        N, Vt = self.reference_1_m3, self.thermal_voltage_V
        if not N > 0.0:
            raise InputError("No species has a density anywhere", got="0 1/m3")
        widths = [graded_widths(layer.thickness_m, layer.cells, self.wall_m) for layer in self.layers]

        def column(name: str) -> Array:
            return self.over_layers([getattr(layer, name) for layer in self.layers])

        def boundary(contact: Contact) -> Boundary:
            if contact.rate_m_s == 0.0:
                return BLOCKING
            return Boundary(1.0 / contact.rate_m_s, contact.density_1_m3 / N)

        carriers = []
        for species in self.species:
            traps = species.traps or Traps((), ())
            made = column("generation_1_m3_s") / N if self.pair and species.name in self.pair else 0.0
            scale = max(np.max(species.density_1_m3), species.left.density_1_m3, species.right.density_1_m3) / N
            carriers.append(
                Carrier(
                    charge=species.charge,
                    diffusivity_m2_s=self.over_layers(species.diffusivity_m2_s),
                    filling=N / self.over_layers(species.site_density_1_m3),
                    energy=self.over_layers(species.energy_eV) / Vt,
                    left=boundary(species.left),
                    right=boundary(species.right),
                    source=made,
                    release_Hz=traps.release_Hz,
                    capture_Hz=traps.capture_Hz,
                    crowding=N / traps.density_1_m3,
                    scale=float(scale) or 1.0,
                )
            )
        names = [species.name for species in self.species]
        return Equations(
            line_mesh(np.concatenate(widths)),
            carriers,
            screening_1_m2=float(formulas.debye_length(1.0, self.temperature_K, N, 1)) ** -2,
            fixed=column("fixed_1_m3") / N,
            permittivity=column("relative_permittivity"),
            levels=[
                Level(
                    layer.held_charge,
                    np.repeat(np.eye(len(self.layers))[i] * layer.held_1_m3 / N, [x.cells for x in self.layers]),
                    0 if layer.held_by == "left" else 1,
                )
                for i, layer in enumerate(self.layers)
                if layer.held_1_m3
            ],
            pair=(names.index(self.pair[0]), names.index(self.pair[1])) if self.pair else (0, 0),
            recombination=column("recombination_m3_s") * N,
            balance=(column("intrinsic_1_m3") / N) ** 2,
        )

    def rest(self, equations: Equations) -> State:
        """Densities as the species state them, no voltage.

        Parameters
        ----------
        equations : Equations
            Of :meth:`equations`.
        """
        p = np.array([self.over_layers(species.density_1_m3) / self.reference_1_m3 for species in self.species])
        return equations.rest(p)

    # -- verbs -----------------------------------------------------------------------------------------------

    def relax(self, voltage_V: float = 0.0) -> xr.Dataset:
        """Steady state at a voltage.

        Parameters
        ----------
        voltage_V : float, V
            Potential of the left contact.

        Returns
        -------
        xarray.Dataset
            ``density`` (species, position), ``contact_density`` (species, contact), ``potential`` (position) and
            ``current_density`` (species), A/m^2, positive to the right.

        Raises
        ------
        ConvergenceError
            If it does not come to rest.
        """
        if not math.isfinite(voltage_V):
            raise InputError("voltage_V must be finite", got=f"{voltage_V} V")
        equations = self.equations()
        state = relaxed(equations, self.rest(equations), (voltage_V + self.built_in_V) / self.thermal_voltage_V)
        circuit = equations.frames(state).now.circuit[_march.CIRCUIT :][: len(self.species)]
        unit = self._unit(equations)
        return xr.Dataset(
            {
                "density": (("species", "position"), state.p * self.reference_1_m3, {"units": "1/m3"}),
                "contact_density": (
                    ("species", "contact"),
                    equations.contact_density(state) * self.reference_1_m3,
                    {"units": "1/m3"},
                ),
                "potential": ("position", state.phi * self.thermal_voltage_V, {"units": "V"}),
                "current_density": ("species", circuit * unit, {"units": "A/m2"}),
            },
            coords={
                "species": [species.name for species in self.species],
                "contact": ["left", "right"],
                "position": ("position", equations.centre, {"units": "m"}),
            },
        )

    def _unit(self, equations: Equations) -> float:
        """C kT/q for each area, A s/m^2."""
        return equations.capacitance * VACUUM_PERMITTIVITY_F_M * self.thermal_voltage_V

    def _conductance_S(self, equations: Equations, p: Array) -> Array:
        """Of the cells in series at scaled densities of shape (times, species, cells)."""
        conductivity = np.zeros((p.shape[0], p.shape[2]))
        for s, species in enumerate(self.species):
            if species.left.rate_m_s > 0.0 and species.right.rate_m_s > 0.0:
                diffusivity = self.over_layers(species.diffusivity_m2_s)
                conductivity += species.charge**2 * diffusivity * p[:, s] * self.reference_1_m3
        conductivity *= ELEMENTARY_CHARGE_C / self.thermal_voltage_V
        with np.errstate(divide="ignore"):
            return self.area_m2 / (equations.volume / conductivity).sum(axis=1)

    def simulate(
        self, waveform: Waveform, *, rng: int | np.random.Generator | None = None, settled: bool = False
    ) -> xr.Dataset:
        """Play a waveform on the left contact.

        Parameters
        ----------
        waveform : Waveform
            Potential of the left contact.
        rng : int or numpy.random.Generator, optional
            Part of the contract of every simulation; this one draws nothing.
        settled : bool
            Start from the steady state at the first voltage rather than from the densities at rest.

        Returns
        -------
        xarray.Dataset
            A trace, with ``displacement_current`` and ``species_current`` (A; they add up to ``current``) and
            ``content`` (1/m^2, mobile and held ions of each species); with `profiles` also ``density`` and
            ``potential`` over ``position``. ``conductance`` is that of the species which both contacts pass, at their
            present densities, the cells in series; a film of blocked ions has none.

        Raises
        ------
        ConvergenceError
            If the time step falls below 1e-14 s (for fast carriers, a millionth of the time in which they cross the
            outermost cell) or the steps exceed a budget.
        """
        equations, Vt, N = self.equations(), self.thermal_voltage_V, self.reference_1_m3
        times = waveform.times_s
        sources = (np.asarray(waveform.voltage_at(times), dtype=float) + self.built_in_V) / Vt
        state = self.rest(equations)
        if settled:
            state = relaxed(equations, state, float(sources[0]))
        else:
            state = equations.solve(state, state, 1e-15, wall=self.built_in_V / Vt)
        unit = self._unit(equations) * self.area_m2
        fastest = max(float(np.max(species.diffusivity_m2_s)) for species in self.species)
        longest = min(self.longest_step_s, waveform.duration_s)
        first = min(self.wall_m**2 / fastest, longest)
        record = play(
            equations,
            equations.frames(state, source=float(sources[0])),
            times,
            sources,
            control(
                sweeps=_SWEEPS,
                tolerance=self.tolerance,
                longest_s=longest,
                first_s=first,
                shortest_s=min(1e-14, 1e-6 * first),
            ),
            limits=np.asarray(waveform.compliance_at(times), dtype=float) / unit,
            corners=np.isin(times, waveform.time_s),
            profiles=True,
        )
        count = len(self.species)
        rows, parts = record.rows, record.rows[:, _march.CIRCUIT :]
        voltage = rows[:, _march.WALL] * Vt - self.built_in_V
        displacement, own = rows[:, _march.DISPLACEMENT] * unit, parts[:, :count] * unit
        current = displacement + own.sum(axis=1)
        over = ("time", "species")
        extra: dict[str, tuple[Any, Any, str, str]] = {
            "species": ("species", [species.name for species in self.species], "1", "species"),
            "displacement_current": ("time", displacement, "A", "charging current of the geometric capacitance"),
            "species_current": (over, own, "A", "current of each species"),
            "content": (over, parts[:, count:] * N, "1/m2", "mobile and held ions of each species"),
        }
        if self.profiles:
            extra |= {
                "position": ("position", equations.centre, "m", "distance from the left contact"),
                "density": (("time", "species", "position"), record.densities * N, "1/m3", "mobile density"),
                "potential": (("time", "position"), record.potentials * Vt, "V", "electrostatic potential"),
            }
        return trace.make(
            waveform,
            model="fem.Stack",
            device_voltage_V=voltage,
            current_A=current,
            conductance_S=self._conductance_S(equations, record.densities),
            parameters=asdict(self),
            sources=("ScharfetterGummel1969", "Guyer2009"),
            extra=extra,
            attrs={"steps": record.steps, "rejected_steps": record.rejected},
        )
