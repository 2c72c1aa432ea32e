r"""`IonFilm`: an interfacial perovskite synapse, mobile halide vacancies between two blocking contacts.

The vacancies (V_Br, charge +1, on a fixed negative background) drift and diffuse in their own field; the
electrodes let no ion through. What they do to the electrons is an injection law, see :class:`IonFilm`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import formulas, kinetics, trace
from ..physics.constants import BOLTZMANN_EV_K, VACUUM_PERMITTIVITY_F_M
from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.waveform import Waveform
from .equations import IonEquations, IonState, graded_mesh

__all__ = ["IonFilm"]

Array = NDArray[np.float64]

# Two-stage, L-stable, second-order diagonally implicit Runge-Kutta method; both stages share one Jacobian shape.
_GAMMA = 1.0 - np.sqrt(0.5)
_LOCAL_ERROR = (3.0 * _GAMMA**2 - 2.0 * _GAMMA**3 - 1.0 / 6.0) / _GAMMA  # of the step, over dt times [k0, k1, k2]
_SAME_INSTANT_S = 1e-12  # report times nearer than this are one instant: rounding of a shifted clock
_SHORTEST_STEP_S = 1e-14
_SWITCH_S = 1e-6  # the instant at which the current limit sets in or ends is found this well
_GROWTH = 2.0
_STEP_BUDGET = 50_000  # trials between two report times, beside ten for each longest step: ends a crawl
_LARGEST_HOP_BIAS = 1.0  # q E a / 2 kT up to which drift linear in the field is within 18 % of the hop's sinh


class _Stage(NamedTuple):
    """An implicit stage: state, its time derivative, currents through the device, and what limits it."""

    state: IonState
    rate: Array
    displacement_A: float
    ionic_A: float
    electronic_A: float
    limited: int
    band: Array

    @property
    def current_A(self) -> float:
        return self.displacement_A + self.ionic_A + self.electronic_A


@dataclass(frozen=True)
class IonFilm:
    r"""Mobile halide vacancies in a film between blocking contacts, and the current that they modulate.

    Ions obey the Poisson-Nernst-Planck equations of :mod:`halidrift.fem.equations` with
    :math:`D = f\,a^2 \nu_0 e^{-E_a / k_B T}`. Electrons follow

    .. math::

       I_\mathrm{el} = \frac{A\,\sigma_0}{L}\,\exp\left(\frac{q\,\psi}{\eta\,k_B T}\right) V, \qquad
       \psi = \lambda E_\mathrm{ion} = \frac{\lambda\,q}{\epsilon L}\int_0^L (P - N_0)
       \left(\frac{L}{2} - x\right)\mathrm{d}x

    where x runs from the active electrode, :math:`\lambda` is the Debye length of the ions and
    :math:`E_\mathrm{ion}` the field that the displaced ions put on the contacts, the same on both because the film
    is neutral: a Schottky barrier lowered in proportion to the contact field [2]_, over a length
    :math:`\lambda/\eta`. Vacancies at the active electrode bend the bands there down for electrons, and the
    halide that they leave at the counter electrode bends them up for holes; both ease
    injection, so a negative pulse at the active electrode potentiates and a positive one depresses. The total
    current adds the displacement current :math:`C\,\mathrm{d}V/\mathrm{d}t`, :math:`C = \epsilon A / L`, and the
    ionic current :math:`\frac{A}{L}\int J_P\,\mathrm{d}x`, which is exact (Ramo-Shockley).

    Parameters
    ----------
    device : Device
        Needs ``hop_barrier_eV``, ``attempt_frequency_Hz``, ``lattice_constant_m``, ``mobility_prefactor``,
        ``ion_density_1_m3``, ``site_density_1_m3``, ``relative_permittivity``, ``electronic_conductivity_S_m``
        and ``ideality_factor``.
    temperature_K : float, K, > 0
        Film temperature; it enters D and kT/q. The conductivity is that of the card.
    cells : int, even, >= 10
        Mesh cells.
    wall_m : float, m, > 0
        Width of the cells at the contacts.
    tolerance : float, in [1e-8, 0.1]
        Local error of one time step, relative to each density and to kT/q.
    longest_step_s : float, s, > 0
        Upper bound of the time step.
    sweeps : int, >= 2
        Newton updates allowed in a stage.
    profiles : bool
        Also report density and potential against position.

    Raises
    ------
    InputError
        If the device lacks a parameter or a number is out of range.
    ValidityError
        If the mean ion density reaches the site density.

    Notes
    -----
    The experiment starts from evenly spread ions: no built-in potential between the contacts. Drift is linear in
    the field, so the mean field must stay below 2 kT/(q a). That ions gate the injection barrier is the picture of
    [1]_ and [3]_. The law is ohmic at frozen ions, so the chord conductance is also defined at zero voltage.
    Plain Poisson-Nernst-Planck relaxes with one RC time and does not give the power-law retention of [1]_.

    On the default mesh and tolerance the conductance is within 0.2 % of a refined solution over a train of 1 V
    pulses. At rest under 1 V the squared field at the accumulating wall is 4.5 % off (1 mV of potential), with
    order 2 in the cell width.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019): "band bending at the interface ... facilitates
       charge injection", p. 6.
    .. [2] J. M. Andrews and M. P. Lepselter, Solid-State Electron. 13, 1011 (1970): static lowering alpha E.
    .. [3] D. Moia et al., Energy Environ. Sci. 12, 1296 (2019): ionically gated transistor-interface model.
    .. [4] D. L. Scharfetter and H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969).
    .. [5] J. J. Bikerman, Philos. Mag. 33, 384 (1942): steric limit of the double layer.

    Examples
    --------
    >>> film = IonFilm(Device.load("kim2019-n3"))
    >>> pulse = Waveform.pulses(amplitude_V=-1.0, width_s=20e-3, period_s=40e-3, samples_per_period=2)
    >>> weight = film.simulate(pulse).conductance
    >>> bool(weight[-1] > weight[0])
    True
    """

    device: Device
    temperature_K: float = 300.0
    cells: int = 100
    wall_m: float = 0.4e-9
    tolerance: float = 1e-3
    longest_step_s: float = 0.05
    sweeps: int = 20
    profiles: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature_K) and self.temperature_K > 0):
            raise InputError("temperature_K must be positive", got=f"{self.temperature_K} K", allowed="> 0 K")
        if not 1e-8 <= self.tolerance <= 0.1:
            raise InputError("tolerance is out of range", got=self.tolerance, allowed="1e-8 to 0.1")
        if not (np.isfinite(self.longest_step_s) and self.longest_step_s > 0):
            raise InputError("longest_step_s must be positive", got=f"{self.longest_step_s} s", allowed="> 0 s")
        if isinstance(self.sweeps, bool) or int(self.sweeps) != self.sweeps or self.sweeps < 2:
            raise InputError("sweeps must be a whole number", got=self.sweeps, allowed=">= 2")
        if not self.filling < 1.0:
            raise ValidityError(
                "The film holds more ions than sites",
                got=f"ion_density {self.device.value('ion_density_1_m3'):g} 1/m3",
                allowed=f"below site_density {self.device.value('site_density_1_m3'):g} 1/m3",
                action="Lower ion_density_1_m3 in the card",
            )
        self.equations()  # the mesh and the remaining parameters complain now rather than in simulate()
        self._contacts()

    # -- derived quantities ----------------------------------------------------------------------------------

    @property
    def thermal_voltage_V(self) -> float:
        """kT/q, V."""
        return BOLTZMANN_EV_K * self.temperature_K

    @property
    def filling(self) -> float:
        """Mean share of the ion sites that is taken."""
        return self.device.value("ion_density_1_m3") / self.device.value("site_density_1_m3")

    @property
    def diffusivity_m2_s(self) -> float:
        """Diffusion coefficient of the dilute vacancy, m^2/s."""
        device = self.device
        bare = kinetics.diffusion_coefficient(
            device.value("hop_barrier_eV"),
            self.temperature_K,
            device.value("lattice_constant_m"),
            device.value("attempt_frequency_Hz"),
            neighbours=6,  # one direction: forward and backward hops only
        )
        return float(bare) * device.value("mobility_prefactor")

    @property
    def debye_length_m(self) -> float:
        """Screening length of the ions at their mean density, m."""
        device = self.device
        return float(
            formulas.debye_length(
                device.value("relative_permittivity"), self.temperature_K, device.value("ion_density_1_m3"), 1
            )
        )

    @property
    def capacitance_F(self) -> float:
        """Geometric capacitance, F."""
        permittivity = self.device.value("relative_permittivity") * VACUUM_PERMITTIVITY_F_M
        return permittivity * self.device.area_m2 / self.device.film.thickness_m

    def equations(self) -> IonEquations:
        """The discrete equations of this film on their FiPy mesh."""
        return IonEquations(
            graded_mesh(self.device.film.thickness_m, self.cells, self.wall_m),
            debye_length_m=self.debye_length_m,
            diffusivity_m2_s=self.diffusivity_m2_s,
            filling=self.filling,
        )

    def _contacts(self) -> tuple[float, float, float]:
        """Conductance with ions at rest (S), ideality, and geometric capacitance (F)."""
        rest = self.device.value("electronic_conductivity_S_m") * self.device.area_m2 / self.device.film.thickness_m
        return rest, self.device.value("ideality_factor"), self.capacitance_F

    # -- the verb --------------------------------------------------------------------------------------------

    def simulate(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> xr.Dataset:
        """Play a waveform on the film.

        Parameters
        ----------
        waveform : Waveform
            Potential of the active electrode against the counter electrode.
        rng : int or numpy.random.Generator, optional
            Part of the contract of every simulation; this one draws nothing.

        Returns
        -------
        xarray.Dataset
            A trace, with ``electronic_current``, ``ionic_current`` and ``displacement_current`` (A; they add up to
            ``current``), ``contact_potential`` (V, psi of the class docstring) and ``ion_excess`` (1, relative
            change of the number of ions since the start); with `profiles` also ``density`` and ``potential`` over
            ``position``. ``conductance`` is the electronic one.

        Raises
        ------
        ConvergenceError
            If the time step falls below 1e-14 s or the steps exceed a budget; says when, carries the last residual.
        ValidityError
            If the voltage drives the ions beyond drift linear in the field.

        Notes
        -----
        A current at a corner belongs to the segment that ends there. Under compliance the source delivers no more
        than the limit in all, displacement included, so the device voltage lags behind a steep edge.
        """
        largest = float(np.abs(waveform.voltage_V).max())
        Vt = self.thermal_voltage_V
        bias = largest * self.device.value("lattice_constant_m") / (2 * Vt * self.device.film.thickness_m)
        if bias > _LARGEST_HOP_BIAS:
            raise ValidityError(
                "The field is too high for drift linear in the field",
                got=f"q E a / 2 kT = {bias:.2g} at {largest:g} V",
                allowed=f"<= {_LARGEST_HOP_BIAS:g}",
                action="Lower the voltage",
            )
        equations = self.equations()
        run = _Run(self, equations, waveform)
        times = waveform.times_s
        rows = [run.row()]
        profiles = [(run.stage.state.p, run.stage.state.phi)]
        for start, stop in itertools.pairwise(times):
            if stop - start > _SAME_INSTANT_S:
                run.advance(start, stop)
            rows.append(run.row())
            if self.profiles:
                profiles.append((run.stage.state.p, run.stage.state.phi))
        table = np.array(rows).T
        extra: dict[str, tuple[Any, Any, str, str]] = {
            "electronic_current": ("time", table[3], "A", "current of the electrons"),
            "ionic_current": ("time", table[4], "A", "current of the displaced ions"),
            "displacement_current": ("time", table[5], "A", "charging current of the geometric capacitance"),
            "contact_potential": ("time", table[6], "V", "ions' contact field times their Debye length"),
            "ion_excess": ("time", table[7], "1", "relative change of the number of ions"),
        }
        if self.profiles:
            p, phi = (np.array(column) for column in zip(*profiles, strict=True))
            density = p * self.device.value("ion_density_1_m3")
            extra |= {
                "position": ("position", equations.centre, "m", "distance from the active electrode"),
                "density": (("time", "position"), density, "1/m3", "density of mobile vacancies"),
                "potential": (("time", "position"), phi * Vt, "V", "electrostatic potential"),
            }
        return trace.make(
            waveform,
            model="fem.IonFilm",
            device_voltage_V=table[0],
            current_A=table[1],
            conductance_S=table[2],
            parameters={
                "device": self.device.to_dict(),
                "temperature_K": self.temperature_K,
                "cells": int(self.cells),
                "wall_m": self.wall_m,
                "tolerance": self.tolerance,
                "longest_step_s": self.longest_step_s,
                "sweeps": int(self.sweeps),
                "profiles": bool(self.profiles),
            },
            sources=(*self.device.sources, "ScharfetterGummel1969", "Guyer2009"),
            extra=extra,
            attrs={"steps": run.steps, "rejected_steps": run.rejected},
        )


class _Run:
    """One pass through a waveform: where the film is now, and how far the next step may reach."""

    def __init__(self, film: IonFilm, equations: IonEquations, waveform: Waveform):
        self.film, self.equations, self.waveform = film, equations, waveform
        self.Vt = film.thermal_voltage_V
        self.G0, self.ideality, self.C = film._contacts()
        self.corners = set(waveform.time_s.tolist())
        # a wall cell fills, or the layer next to it responds: whichever is the faster of the ions' times
        widest = max(film.debye_length_m, film.wall_m)
        self.first_step = 0.02 * min(widest**2 / film.diffusivity_m2_s, film.longest_step_s)
        self.dt = self.first_step
        self.steps = self.rejected = 0
        source = float(waveform.voltage_V[0])
        voltage = formulas.compliance_voltage(source, self.G0, float(waveform.compliance_A[0]))
        state = equations.rest(voltage / self.Vt)
        self.stage = _Stage(
            state,
            equations.rate(state.p, state.phi),
            0.0,
            self._ionic(equations.rate(state.p, state.phi)),
            self.G0 * voltage,
            int(np.sign(source)) if abs(voltage) < abs(source) else 0,
            np.empty(0),
        )

    def _ionic(self, rate: Array) -> float:
        return self.C * self.Vt * float(self.equations.dipole @ rate)

    def row(self) -> tuple[float, ...]:
        """Device voltage, current, conductance, its three parts, contact potential, ion balance."""
        stage, equations = self.stage, self.equations
        step = equations.contact_step(stage.state.p)
        return (
            stage.state.wall * self.Vt,
            stage.current_A,
            self.G0 * float(np.exp(step / self.ideality)),
            stage.electronic_A,
            stage.ionic_A,
            stage.displacement_A,
            step * self.Vt,
            float(equations.volume @ (stage.state.p - 1.0)) / equations.length,
        )

    def advance(self, start: float, stop: float) -> None:
        """March from one report time to the next by steps of controlled error."""
        limit = float(self.waveform.compliance_at(stop))
        v0, v1 = (float(v) for v in self.waveform.voltage_at([start, stop]))
        if start in self.corners:
            self.dt = min(self.dt, self.first_step)
        time, trials = start, 0
        residual: object = None
        budget = _STEP_BUDGET + 10.0 * (stop - start) / self.film.longest_step_s
        while stop - time > _SAME_INSTANT_S:
            left, trials = stop - time, trials + 1
            # two equal steps rather than a whole one and a sliver
            dt = left if self.dt >= left else min(self.dt, 0.5 * left)
            slope = (v1 - v0) / (stop - start)
            sources = tuple(v0 + slope * (time - start + c * dt) for c in (_GAMMA, 1.0))
            try:
                stage, error, switched = self._step(dt, sources, limit)
            except ConvergenceError as failure:
                accepted, residual, factor = False, failure.got, 0.25
            else:
                accepted = error <= 1.0
                residual = f"a time error of {error:.3g} tolerances"
                factor = min(_GROWTH, max(0.2, 0.9 * max(error, 1e-12) ** (-1 / 3)))
                if switched and dt > _SWITCH_S:
                    accepted, residual = False, "a current limit that sets in or ends"
                    factor = max(0.25, _SWITCH_S / dt)
            if accepted:
                self.stage, self.steps, time = stage, self.steps + 1, time + dt
                # a step cut short by a report time says nothing about how far the next may reach
                wanted = max(self.dt, dt * factor) if dt < self.dt else dt * factor
                self.dt = min(self.film.longest_step_s, wanted)
            else:
                self.rejected += 1
                self.dt = dt * factor
            if self.dt < _SHORTEST_STEP_S or trials > budget:
                raise ConvergenceError(
                    f"The ion film could not be advanced beyond t = {time:.9g} s",
                    got=residual,
                    allowed=f"a time step of at least {_SHORTEST_STEP_S:g} s, {budget:.0f} trials",
                    action="Raise sweeps, tolerance or cells, or smooth the waveform",
                )

    def _step(self, dt: float, sources: tuple[float, ...], limit: float) -> tuple[_Stage, float, bool]:
        """One step; its error in tolerances, and whether the current limit set in or ended within it."""
        now, equations, tau = self.stage, self.equations, _GAMMA * dt
        first = self._implicit(now.state, now.state.p, now.state.wall, tau, sources[0], limit, now.limited)
        ahead = (1.0 - _GAMMA) / _GAMMA
        old = now.state.p + ahead * (first.state.p - now.state.p)
        wall = now.state.wall + ahead * (first.state.wall - now.state.wall)
        second = self._implicit(first.state, old, wall, tau, sources[1], limit, first.limited)
        bend = (second.rate - first.rate) / (1.0 - _GAMMA) - (first.rate - now.rate) / _GAMMA
        defect = equations.filtered(second.band, _LOCAL_ERROR * dt * bend, tau)
        step = equations.contact_step(second.state.p)
        error = max(
            float((np.abs(defect) / (1.0 + np.abs(second.state.p))).max()),
            abs(float(equations.step @ defect)) / (1.0 + abs(step)),
        )
        switched = len({now.limited, first.limited, second.limited}) > 1
        return second, error / self.film.tolerance, switched

    def _implicit(
        self, guess: IonState, old: Array, wall: float, tau: float, source: float, limit: float, limited: int
    ) -> _Stage:
        """Solve a stage with the source at its voltage, or at its current limit if it would exceed that."""
        target = source / self.Vt
        if limited and np.isfinite(limit):
            stage = self._limited(guess, old, wall, tau, limited * limit)
            if limited * stage.state.wall < limited * target:
                return stage._replace(limited=limited)
        state, band = self.equations.solve(guess, old, tau, wall=target, sweeps=self.film.sweeps)
        stage = self._close(state, wall, tau, band)
        if abs(stage.current_A) <= limit * (1.0 + 1e-9):
            return stage
        sign = int(np.sign(stage.current_A))
        return self._limited(guess, old, wall, tau, sign * limit)._replace(limited=sign)

    def _limited(self, guess: IonState, old: Array, wall: float, tau: float, current_A: float) -> _Stage:
        scale = self.C * self.Vt
        load = (1.0, self.G0 / self.C, self.ideality, wall, current_A / scale)
        state, band = self.equations.solve(guess, old, tau, load=load, sweeps=self.film.sweeps)
        return self._close(state, wall, tau, band)

    def _close(self, state: IonState, wall: float, tau: float, band: Array) -> _Stage:
        rate = self.equations.rate(state.p, state.phi)
        G = self.G0 * float(np.exp(self.equations.contact_step(state.p) / self.ideality))
        return _Stage(
            state,
            rate,
            self.C * self.Vt * (state.wall - wall) / tau,
            self._ionic(rate),
            G * state.wall * self.Vt,
            0,
            band,
        )
