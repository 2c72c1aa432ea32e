r"""`ElectroThermal`: a filament of ions in a film, moved by field and heat, on any structured mesh.

The continuum that switching papers solve with COMSOL: ion density, potential and temperature, coupled by a
conductivity that follows the ions. See :mod:`halidrift.fem.coupled` for the equations.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..physics import trace
from ..physics.constants import BOLTZMANN_EV_K
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.waveform import Waveform
from . import turns
from .circuit import Circuit
from .coupled import LARGEST_EXPONENT, Equations, Fields
from .laws import Conduction, Heat, Ions
from .meshes import Array, Grid

__all__ = ["ElectroThermal", "plug"]

# Two-stage, L-stable, second-order diagonally implicit Runge-Kutta method (Alexander 1977)
_GAMMA = 1.0 - np.sqrt(0.5)
_BEND = (3.0 * _GAMMA**2 - 2.0 * _GAMMA**3 - 1.0 / 6.0) / _GAMMA  # local error over dt times the bend of the rates
_SHORTEST_STEP_S = 1e-18
_SAME_INSTANT = 1e-12  # of a span: what is left over by rounding
_COUPLING = 0.05  # tolerance of the coupled solve over that of the step
_HEAT_BALANCE = 1e-8
_MASS_BALANCE = 1e-10
_STEP_BUDGET = 100_000
_SOURCES = ("Guyer2009", "Larentis2012", "ScharfetterGummel1969")


def plug(grid: Grid, inside: float, outside: float, radius_m: float, height_m: float) -> Array:
    """A property of a film with a straight filament that stands on the counter electrode.

    Parameters
    ----------
    grid : Grid
    inside, outside : float
    radius_m, height_m : float, m
        Of the filament; the film's height or more: it reaches the active electrode.

    Returns
    -------
    array, shape (cells,)
    """
    return np.where((grid.r_m <= radius_m) & (grid.z_m <= height_m), inside, outside)


@dataclass(frozen=True, eq=False)
class ElectroThermal:
    r"""Drift, diffusion and thermodiffusion of ions that carry the conductivity, with current and Joule heat.

    Parameters
    ----------
    grid : Grid
        From :func:`~halidrift.fem.meshes.cylinder`, :func:`~halidrift.fem.meshes.slab` or
        :func:`~halidrift.fem.meshes.block`.
    ions : Ions
    conduction : Conduction
    heat : Heat
    temperature_K : float, K, > 0
        Of the contacts and of everything outside.
    series_resistance_ohm : float, ohm, >= 0
    leakage_S : float, S, >= 0
        Beside the film, behind the series resistance.
    order : {1, 2}
        Of the time steps: backward Euler, or the two-stage method of Alexander.
    tolerance : float, 1e-10 to 0.1
        Local error of one step, relative to each density (or the mean, where that is larger) and to each temperature.
    sweeps : int, >= 1
        Alternations between the three fields before Newton's method takes over.
    highest_K : float, K
        Temperature beyond which the film would not survive.
    profiles : bool
        Report the fields at every instant, not only at the last.

    Raises
    ------
    InputError
        If a number is out of range or does not fit the grid.

    Notes
    -----
    Quasi-neutral: the field is that of the electronic current, ions do not screen it. Drift follows the hop's sinh
    and needs a field that does not lower the barrier to zero. The field along a face is the component across it, as for
    hops along the directions of the grid. Ions and electrons are in balance with one temperature.

    Each accepted step is checked: Joule heat is current times film voltage to 1e-8, and the change of the ions is what
    passed the contacts, to 1e-10 of all. The device voltage at each implicit stage is the one that the source, the
    compliance limit and the series resistance leave for the conductance of that very stage.

    References
    ----------
    .. [1] S. Larentis et al., IEEE Trans. Electron Devices 59, 2468 (2012).
    .. [2] S. Kim, S. Choi and W. Lu, ACS Nano 8, 2369 (2014): drift, diffusion and thermodiffusion of vacancies.
    .. [3] R. Alexander, SIAM J. Numer. Anal. 14, 1006 (1977).

    Examples
    --------
    >>> from halidrift.fem.meshes import cylinder
    >>> grid = cylinder(10e-9, 20e-9, 6, 10)
    >>> start = plug(grid, 1e27, 1e25, radius_m=3e-9, height_m=20e-9)
    >>> film = ElectroThermal(
    ...     grid,
    ...     Ions(barrier_eV=0.6, attempt_frequency_Hz=1e12, hop_length_m=0.6e-9, density_1_m3=start),
    ...     Conduction(film_S_m=10.0, filament_S_m=1e5, filament_density_1_m3=1e27),
    ...     Heat(film_W_mK=0.4),
    ... )
    >>> run = film.simulate(Waveform.hold(0.1, 1e-6, samples=2))
    >>> f"{float(run.conductance[-1]):.2e} S, {float(run.temperature_max[-1]):.1f} K"
    '1.89e-04 S, 367.0 K'
    """

    grid: Grid
    ions: Ions
    conduction: Conduction
    heat: Heat
    temperature_K: float = 300.0
    series_resistance_ohm: float = 0.0
    leakage_S: float = 0.0
    order: int = 2
    tolerance: float = 5e-3
    sweeps: int = 12
    highest_K: float = 2000.0
    profiles: bool = False

    def __post_init__(self) -> None:
        for name, value, low, high, unit in (
            ("temperature_K", self.temperature_K, 1.0, 2000.0, "K"),
            ("series_resistance_ohm", self.series_resistance_ohm, 0.0, 1e12, "ohm"),
            ("leakage_S", self.leakage_S, 0.0, 1e6, "S"),
            ("tolerance", self.tolerance, 1e-10, 0.1, ""),
            ("sweeps", self.sweeps, 1, 1000, ""),
            ("highest_K", self.highest_K, self.temperature_K, 1e5, "K"),
        ):
            if not low <= value <= high:
                raise InputError(
                    f"{name} is out of range", got=f"{value} {unit}", allowed=f"{low:g} to {high:g} {unit}"
                )
        if self.order not in (1, 2):
            raise InputError("order must be that of a time step", got=self.order, allowed="1 or 2")
        if np.shape(self.ions.density_1_m3) not in ((), (self.grid.size,)):
            raise InputError(
                "The density at the start does not fit the grid",
                got=f"shape {np.shape(self.ions.density_1_m3)}",
                allowed=f"a number, or shape ({self.grid.size},)",
            )

    def equations(self) -> Equations:
        """The discrete equations, for a look at fields and residuals."""
        return Equations(self.grid, self.ions, self.conduction, self.heat, self.temperature_K)

    def to_dict(self) -> dict[str, Any]:
        """All parameters in plain JSON.

        Returns
        -------
        dict
            An infinite number is the text "inf".
        """
        plain = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("grid", "ions", "conduction", "heat")
        }
        for name in ("ions", "conduction", "heat"):
            record = dataclasses.asdict(getattr(self, name))
            # JSON has no infinity
            plain[name] = {
                k: "inf" if np.ndim(v) == 0 and v == np.inf else np.asarray(v).tolist() for k, v in record.items()
            }
        return {"grid": self.grid.recipe, **plain}

    def simulate(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> xr.Dataset:
        """Play a waveform on the film.

        Parameters
        ----------
        waveform : Waveform
        rng : int, numpy.random.Generator or None
            Taken so that this model can stand in for a stochastic one; it draws nothing.

        Returns
        -------
        xarray.Dataset
            A trace with ``film_voltage`` (V), ``temperature_max`` (K), ``ions`` (1) and ``power`` (W) against time, and
            with ``density`` (1/m3), ``potential`` (V) and ``temperature`` (K) over the axes of the grid: at the end,
            or with `profiles` at each instant. The attribute ``peak_temperature_K`` is the highest temperature of all
            steps: a filament that sets or resets may be hotter between two instants than at any.

        Raises
        ------
        ConvergenceError
            If a step fails down to the shortest, or loses heat or ions; says when and where.
        ValidityError
            If the film gets hotter than `highest_K`, or the field lowers the hop barrier to zero.
        """
        return _Run(self, waveform).trace()


class Stage(NamedTuple):
    """Fields at one instant and their rates of change."""

    fields: Fields
    density_rate: Array
    rise_rate: Array
    potential_rate: Array


class Stepper:
    """Implicit steps of the three coupled fields.

    Parameters
    ----------
    model : ElectroThermal
    circuit : callable
        ``circuit(time_s)``.
    start_s : float, s
    """

    def __init__(self, model: ElectroThermal, circuit: Any, start_s: float):
        self.model, self.circuit, self.equations = model, circuit, model.equations()
        size = model.grid.size
        cold, density = np.zeros(size), np.array(np.broadcast_to(model.ions.density_1_m3, size), dtype=float)
        fields = self.equations.current(density, cold, circuit(start_s), Fields(density, cold, cold, 0.0, 0.0, cold))
        if not self.stores_heat:
            fields = self._balanced(fields, circuit(start_s))
        self.now = Stage(fields, cold, cold, cold)

    @property
    def stores_heat(self) -> bool:
        """Whether the temperature has a rate of its own; else it follows the ions as the potential does."""
        return self.model.heat.capacity_J_m3K > 0.0

    def _balanced(self, fields: Fields, circuit: Circuit) -> Fields:
        """The first instant of a film without heat capacity: current and heat in balance at once, ions at rest."""
        frozen = 1e-30  # s, in which no ion moves
        return turns.solve(self.equations, fields, fields, frozen, circuit, tolerance=1e-9, sweeps=200)

    def stage(self, start: Stage, ahead: float, base: Fields, tau: float, time_s: float) -> Stage:
        """An implicit stage at `time_s`, guessed from a stage that lies `ahead` of it, and its rates."""
        model, old = self.model, start.fields
        guess = old._replace(
            density=np.maximum(old.density + ahead * start.density_rate, 0.1 * old.density),
            potential=old.potential + ahead * start.potential_rate,
            rise=old.rise + ahead * start.rise_rate,
        )
        fields = turns.solve(
            self.equations,
            guess,
            base,
            tau,
            self.circuit(time_s),
            tolerance=_COUPLING * model.tolerance,
            sweeps=model.sweeps,
        )
        return Stage(
            fields,
            (fields.density - base.density) / tau,
            (fields.rise - base.rise) / tau if self.stores_heat else (fields.rise - old.rise) / ahead,
            (fields.potential - old.potential) / ahead,
        )

    def step(self, time_s: float, dt: float) -> tuple[Stage, float]:
        """State after one step, and its local error in tolerances."""
        now, model = self.now, self.model
        if model.order == 1:
            new = self.stage(now, dt, now.fields, dt, time_s + dt)
            bends = [0.5 * (b - a) for a, b in zip(now[1:3], new[1:3], strict=True)]
        else:
            part, rest = _GAMMA * dt, (1.0 - _GAMMA) * dt
            first = self.stage(now, part, now.fields, part, time_s + part)
            base = now.fields._replace(
                density=now.fields.density + rest * first.density_rate, rise=now.fields.rise + rest * first.rise_rate
            )
            # the guess also follows the bend of the rates
            curved = first._replace(
                density_rate=first.density_rate + 0.5 * rest / part * (first.density_rate - now.density_rate),
                rise_rate=first.rise_rate + 0.5 * rest / part * (first.rise_rate - now.rise_rate),
            )
            new = self.stage(curved, rest, base, part, time_s + dt)
            rates = zip(now[1:3], first[1:3], new[1:3], strict=True)
            bends = [_BEND * ((c - b) / (1.0 - _GAMMA) - (b - a) / _GAMMA) for a, b, c in rates]
        floor = self.equations.floor(now.fields.density)
        density = np.max(np.abs(bends[0]) / (np.abs(new.fields.density) + floor))
        heat = np.max(np.abs(bends[1]) / (model.temperature_K + new.fields.rise)) if self.stores_heat else 0.0
        self.check(new.fields, now.fields, dt, time_s)
        return new, float(dt * max(density, heat)) / model.tolerance

    def check(self, new: Fields, old: Fields, dt: float, time_s: float) -> None:
        """Balance of heat and of ions, and what the film survives."""
        model, grid = self.model, self.model.grid
        power = new.conductance_S * new.film_V**2
        excess = abs(float(new.heat.sum()) - power)
        if not excess <= _HEAT_BALANCE * power:
            raise ConvergenceError(
                "Joule heat is not current times voltage", got=f"{excess:g} of {power:g} W at {time_s:g} s"
            )
        closed = model.ions.bottom_density_1_m3 is None and model.ions.top_density_1_m3 is None
        total = float(np.sum(grid.volume_m3 * old.density))
        lost = float(np.sum(grid.volume_m3 * (new.density - old.density)))
        if closed and not abs(lost) <= _MASS_BALANCE * total:
            raise ConvergenceError("Ions are lost", got=f"{lost:g} of {total:g} at {time_s:g} s")
        lowest, floor = float(np.min(new.density)), self.equations.floor(old.density)
        if lowest < -model.tolerance * floor:
            raise ConvergenceError(
                "A density is negative",
                got=f"{lowest:g} 1/m3 at {time_s:g} s",
                allowed=f"rounding, to {-model.tolerance * floor:g} 1/m3",
            )
        hottest = model.temperature_K + float(np.max(new.rise))
        if hottest > model.highest_K:
            raise ValidityError(
                "The film gets too hot",
                got=f"{hottest:.0f} K at {time_s:g} s, film voltage {new.film_V:.3g} V",
                allowed=f"below {model.highest_K:g} K",
                action="Lower the compliance current or raise the series resistance",
            )
        drop = np.abs(new.potential[grid.left] - new.potential[grid.right]) / grid.distance_m
        lowering = 0.5 * abs(model.ions.charge) * model.ions.hop_length_m * float(np.max(drop))
        if lowering >= min(model.ions.barrier_eV, LARGEST_EXPONENT * BOLTZMANN_EV_K * model.temperature_K):
            raise ValidityError(
                "The field lowers the hop barrier to zero",
                got=f"by {lowering:.3g} eV at {time_s:g} s",
                allowed=f"below {model.ions.barrier_eV:g} eV",
                action="Lower the voltage or the hop length",
            )


class _Run:
    """One waveform on one film."""

    def __init__(self, model: ElectroThermal, waveform: Waveform):
        self.model, self.waveform = model, waveform
        self.time_s = float(waveform.time_s[0])
        self.limit_A = float(waveform.compliance_A[0])
        self.stepper = Stepper(model, self.circuit, self.time_s)
        self.next_s = 0.0
        self.steps = self.rejected = 0
        self.hottest_K = model.temperature_K + float(np.max(self.stepper.now.fields.rise))

    def circuit(self, time_s: float) -> Circuit:
        source = float(self.waveform.voltage_at(min(time_s, float(self.waveform.time_s[-1]))))
        return Circuit(source, self.limit_A, self.model.series_resistance_ohm, self.model.leakage_S)

    def advance(self, stop: float) -> None:
        """March to a report time by steps of controlled error."""
        # report times hold every corner, so one segment and one compliance span each interval
        self.limit_A = float(self.waveform.compliance_at(stop))
        span, reason = stop - self.time_s, ""
        self.next_s = self.next_s or 1e-3 * span
        for _ in range(_STEP_BUDGET):
            left = stop - self.time_s
            if left <= _SAME_INSTANT * span:
                self.time_s = stop
                return
            dt = left if self.next_s >= left else min(self.next_s, 0.5 * left)
            try:
                new, error = self.stepper.step(self.time_s, dt)
            except ConvergenceError as failure:
                error, factor, reason = np.inf, 0.25, str(failure)
            else:
                factor = float(np.clip(0.85 * max(error, 1e-9) ** (-1.0 / (self.model.order + 1)), 0.2, 2.5))
                reason = f"a time error of {error:.3g} tolerances"
            if error <= 1.0:
                self.stepper.now, self.time_s, self.steps = new, self.time_s + dt, self.steps + 1
                self.hottest_K = max(self.hottest_K, self.model.temperature_K + float(np.max(new.fields.rise)))
                # a step cut short by a report time says little about the next
                self.next_s = dt * factor if dt >= self.next_s else max(self.next_s, dt * factor)
            else:
                self.next_s, self.rejected = dt * factor, self.rejected + 1
            if self.next_s < _SHORTEST_STEP_S:
                break
        raise ConvergenceError(
            f"The film could not be advanced beyond {self.time_s:.9g} s",
            got=reason,
            allowed=f"a step of at least {_SHORTEST_STEP_S:g} s, {_STEP_BUDGET} steps between two report times",
            action="Raise tolerance, or make the grid coarser",
        )

    def trace(self) -> xr.Dataset:
        model, grid, waveform = self.model, self.model.grid, self.waveform
        rows, maps = [], []
        for stop in waveform.times_s:
            if stop > self.time_s:
                self.advance(float(stop))
            fields, circuit = self.stepper.now.fields, self.circuit(float(stop))
            # the instant of a report is the end of a step: its voltage is that of its conductance
            rows.append(
                (
                    circuit.device_V(fields.conductance_S),
                    circuit.device_V(fields.conductance_S) * circuit.device_S(fields.conductance_S),
                    circuit.device_S(fields.conductance_S),
                    fields.film_V,
                    model.temperature_K + float(np.max(fields.rise)),
                    float(np.sum(grid.volume_m3 * fields.density)),
                    float(np.sum(fields.heat)),
                )
            )
            maps.append((fields.density, fields.potential, model.temperature_K + fields.rise))
            if not model.profiles:
                maps = maps[-1:]
        columns = np.array(rows).T
        dims: tuple[str, ...] = ("time", *grid.axes) if model.profiles else grid.axes
        shape = (len(maps), *grid.shape) if model.profiles else grid.shape
        when = "" if model.profiles else ", at the end"
        density, potential, temperature = (np.array([m[i] for m in maps]).reshape(shape) for i in range(3))
        equations = self.stepper.equations
        data = trace.make(
            waveform,
            model="ElectroThermal",
            device_voltage_V=columns[0],
            current_A=columns[1],
            conductance_S=columns[2],
            parameters=model.to_dict(),
            sources=_SOURCES,
            extra={
                "film_voltage": ("time", columns[3], "V", "voltage across the film"),
                "temperature_max": ("time", columns[4], "K", "highest temperature in the film"),
                "ions": ("time", columns[5], "1", "mobile ions in the film"),
                "power": ("time", columns[6], "W", "Joule heat of the film"),
                "density": (dims, density, "1/m3", f"density of mobile ions{when}"),
                "potential": (dims, potential, "V", f"potential{when}"),
                "temperature": (dims, temperature, "K", f"temperature{when}"),
            },
            attrs={
                "peak_temperature_K": self.hottest_K,
                "steps": self.steps,
                "rejected_steps": self.rejected,
                "sweeps": equations.sweeps,
                "newton_updates": equations.newtons,
            },
        )
        label = {"z": "distance from the counter electrode", "r": "distance from the axis"}
        return data.assign_coords(
            {
                name: (name, values, {"units": "m", "long_name": label.get(name, name)})
                for name, values in grid.coordinates().items()
            }
        )
