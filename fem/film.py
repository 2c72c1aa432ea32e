r"""`IonFilm`: an interfacial perovskite synapse, mobile halide vacancies between two blocking contacts.

The vacancies (V_Br, charge +1, on a fixed negative background) drift and diffuse in their own field; the
electrodes let no ion through. What they do to the electrons is an injection law, see :class:`IonFilm`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import formulas, kinetics, trace
from ..physics.constants import BOLTZMANN_EV_K, VACUUM_PERMITTIVITY_F_M
from ..physics.device import Device
from ..physics.errors import InputError, ValidityError
from ..physics.waveform import Waveform
from . import _march, _transport
from .equations import Carrier, Equations, Level, State, graded_widths, line_mesh
from .integration import Record, control, play

__all__ = ["IonFilm"]

Array = NDArray[np.float64]

_PARAMETERS = (
    "hop_barrier_eV",
    "attempt_frequency_Hz",
    "lattice_constant_m",
    "mobility_prefactor",
    "ion_density_1_m3",
    "site_density_1_m3",
    "relative_permittivity",
    "electronic_conductivity_S_m",
    "ideality_factor",
)
_TRAPS = 13  # populations of the slow ions, their release rates evenly spaced in the logarithm
_LAYER_CELLS = 40  # of a transport layer
_CARD_K = 300.0  # temperature of the conductivities on the cards
_LARGEST_HOP_BIAS = 1.0  # q E a / 2 kT up to which drift linear in the field is within 18 % of the hop's sinh


@dataclass(frozen=True)
class IonFilm:
    r"""Mobile halide vacancies in a film between blocking contacts, and the current that they modulate.

    Ions obey the Poisson-Nernst-Planck equations of :mod:`halidrift.fem.equations` with
    :math:`D = f\,a^2 \nu_0 e^{-E_a / k_B T}`. Electrons follow

    .. math::

       I_\mathrm{el} = \frac{A\,\sigma_0}{L}\,\exp\left(\frac{q\,\psi}{\eta\,k_B T}\right) V, \qquad
       \psi = \lambda E_\mathrm{ion} = \frac{\lambda\,q}{\epsilon L}\int_0^L (P + \textstyle\sum T_k - N_0)
       \left(\frac{L}{2} - x\right)\mathrm{d}x

    where x runs from the active electrode, :math:`\lambda` is the Debye length of the ions and
    :math:`E_\mathrm{ion}` the field that the displaced ions put on the contacts, the same on both because the film
    is neutral: a Schottky barrier lowered in proportion to the contact field [2]_, over a length
    :math:`\lambda/\eta`. Vacancies at the active electrode bend the bands there down for electrons, and the
    halide that they leave at the counter electrode bends them up for holes; both ease
    injection, so a negative pulse at the active electrode potentiates and a positive one depresses. The total
    current adds the displacement current :math:`C\,\mathrm{d}V/\mathrm{d}t`, :math:`C = \epsilon A / L`, and the
    ionic current :math:`\frac{A}{L}\int J_P\,\mathrm{d}x`, which is exact (Ramo-Shockley).

    If the card has the four ``trap_`` numbers, ions also stop and go on (hindered back-diffusion at spacer cations and
    grain boundaries): 13 populations :math:`T_k` that do not move but keep their charge,

    .. math::

       \frac{\partial T_k}{\partial t} = c_k\,P\left(1 - \frac{T_k}{M_k}\right) - r_k\,T_k, \qquad
       c_k = R\,\frac{r_k^{\,p}}{\sum_j r_j^{\,p - 1}}

    with :math:`r_k` evenly spaced in the logarithm from ``trap_slowest_rate_Hz`` to ``trap_fastest_rate_Hz``,
    p = ``trap_exponent`` and R = ``trap_capture_ratio``, the ratio of held to mobile ions at rest, from where the film
    starts; ``ion_density_1_m3`` is that of the mobile ones. ``trap_density_1_m3`` (optional; else :math:`M_k` is
    infinite) is shared out as :math:`c_k/r_k` is.

    If it has ``transport_hole_density_1_m3`` and ``transport_permittivity``, the transport layer is part of the field:
    no ions enter, its holes are in equilibrium with the counter electrode and bend their bands at the film. Without, it
    is a metal.

    Parameters
    ----------
    device : Device
        Needs ``hop_barrier_eV``, ``attempt_frequency_Hz``, ``lattice_constant_m``, ``mobility_prefactor``,
        ``ion_density_1_m3``, ``site_density_1_m3``, ``relative_permittivity``, ``electronic_conductivity_S_m``
        and ``ideality_factor``. Optional: ``trap_slowest_rate_Hz``, ``trap_fastest_rate_Hz``, ``trap_capture_ratio``
        and ``trap_exponent`` together, ``trap_density_1_m3``; ``conduction_barrier_eV``;
        ``transport_hole_density_1_m3`` with ``transport_permittivity``.
    temperature_K : float, K, > 0
        Film temperature; it enters D and kT/q, and the conductivity as
        :math:`\sigma_0 = \sigma_0(300\,K) \exp[-(E/k_B)(1/T - 1/300\,K)]` with E = ``conduction_barrier_eV``
        (absent: the conductivity is that of the card). Release and capture rates are those of the card.
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
    Plain Poisson-Nernst-Planck relaxes with one RC time and does not give the power-law retention of [1]_; a spread of
    release rates does, by as many fitted numbers as it explains.

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
        if isinstance(self.sweeps, bool) or not self.sweeps >= 2 or self.sweeps % 1:
            raise InputError("sweeps must be a whole number", got=self.sweeps, allowed=">= 2")
        self.device.require(_PARAMETERS, "IonFilm", "kim2019-n3")
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
    def has_transport_field(self) -> bool:
        """Whether the card lets the transport layer take part in the field."""
        return not {"transport_permittivity", "transport_hole_density_1_m3"}.isdisjoint(self.device.parameters)

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
        """Geometric capacitance of the film, in series with a transport layer that the card lets bend, F."""
        value = self.device.value
        thickness = self.device.film.thickness_m / value("relative_permittivity")
        if self.has_transport_field:
            thickness += self.device.layer("transport_layer").thickness_m / value("transport_permittivity")
        return VACUUM_PERMITTIVITY_F_M * self.device.area_m2 / thickness

    def slow_rates_Hz(self) -> tuple[Array, Array]:
        """Release and capture rates of the slow populations, Hz, each of shape (13,); empty if the card has none."""
        if not any(name.startswith("trap_") for name in self.device.parameters):
            return np.empty(0), np.empty(0)
        value = self.device.value
        if value("trap_capture_ratio") == 0.0:
            return np.empty(0), np.empty(0)
        slowest, fastest = value("trap_slowest_rate_Hz"), value("trap_fastest_rate_Hz")
        if not slowest < fastest:
            raise InputError(
                "trap_slowest_rate_Hz must be below trap_fastest_rate_Hz",
                got=f"{slowest:g} Hz and {fastest:g} Hz",
                action=f"Change the card {self.device.name}",
            )
        release = np.geomspace(slowest, fastest, _TRAPS)
        capture = release ** value("trap_exponent")
        return release, value("trap_capture_ratio") * capture / float(np.sum(capture / release))

    def equations(self) -> Equations:
        """The discrete equations of this film on their FiPy mesh."""
        release, capture = self.slow_rates_Hz()
        crowding = np.zeros(release.size)
        if release.size and "trap_density_1_m3" in self.device.parameters:
            share = capture / release / self.device.value("trap_capture_ratio")
            crowding = self.device.value("ion_density_1_m3") / (self.device.value("trap_density_1_m3") * share)
        widths = graded_widths(self.device.film.thickness_m, self.cells, self.wall_m)
        inside, permittivity = np.ones(widths.size), np.ones(widths.size)
        levels: list[Level] = []
        dopants = np.zeros(widths.size)
        if self.has_transport_field:
            value = self.device.value
            layer = graded_widths(self.device.layer("transport_layer").thickness_m, _LAYER_CELLS, self.wall_m)
            ratio = value("transport_permittivity") / value("relative_permittivity")
            holes = value("transport_hole_density_1_m3") / value("ion_density_1_m3")
            widths = np.concatenate([widths, layer])
            inside = np.concatenate([inside, np.zeros(layer.size)])
            permittivity = np.concatenate([permittivity, np.full(layer.size, ratio)])
            dopants = holes * (1.0 - inside)
            levels = [Level(1.0, dopants, 1)]
        ions = Carrier(
            charge=1.0,
            diffusivity_m2_s=self.diffusivity_m2_s * inside,
            filling=self.filling * inside,
            release_Hz=release,
            capture_Hz=capture[:, None] * inside,
            crowding=crowding[:, None] * inside,
        )
        slow = float(np.sum(capture / (release + capture * crowding)))
        return Equations(
            line_mesh(widths),
            [ions],
            screening_1_m2=self.debye_length_m**-2,
            fixed=-(1.0 + slow) * inside - dopants,
            permittivity=permittivity,
            levels=levels,
        )

    def _contacts(self) -> tuple[float, float, float]:
        """Conductance with ions at rest (S), ideality, and geometric capacitance (F)."""
        conductivity = self.device.value("electronic_conductivity_S_m")
        if "conduction_barrier_eV" in self.device.parameters:
            barrier = self.device.value("conduction_barrier_eV")
            conductivity *= float(np.exp(-barrier / BOLTZMANN_EV_K * (1.0 / self.temperature_K - 1.0 / _CARD_K)))
        rest = conductivity * self.device.area_m2 / self.device.film.thickness_m
        return rest, self.device.value("ideality_factor"), self.capacitance_F

    def rest(self, equations: Equations, wall: float = 0.0) -> State:
        """Ions evenly spread in the film, traps in balance with them.

        Parameters
        ----------
        equations : Equations
            Of :meth:`equations`.
        wall : float, kT/q
            Potential of the active electrode.
        """
        return equations.rest(1.0 * (equations.problem.mobility[:, :-1] > 0.0), wall)

    def load(self, equations: Equations) -> _transport.Load:
        """Electrons beside the ions, as the compiled solver takes them.

        Parameters
        ----------
        equations : Equations
            Of :meth:`equations`.
        """
        rest, ideality, capacitance = self._contacts()
        length = self.device.film.thickness_m
        lever = np.where(equations.centre < length, 0.5 * length - equations.centre, 0.0)
        weights = equations.problem.screening * equations.volume * lever * self.debye_length_m / length
        return _transport.Load(rest / capacitance, ideality, weights)

    def control(self) -> _march.Control:
        """How the compiled solver chooses its steps."""
        widest = max(self.debye_length_m, self.wall_m)
        return control(
            tolerance=float(self.tolerance),
            longest_s=float(self.longest_step_s),
            # a wall cell fills, or the layer next to it responds: whichever is the faster of the ions' times
            first_s=float(0.02 * min(widest**2 / self.diffusivity_m2_s, self.longest_step_s)),
            sweeps=int(self.sweeps),
        )

    # -- the verb --------------------------------------------------------------------------------------------

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: int | np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> xr.Dataset:
        """Play a waveform on the film.

        Parameters
        ----------
        waveform : Waveform
            Potential of the active electrode against the counter electrode.
        rng : int or numpy.random.Generator, optional
            Part of the contract of every simulation; this one draws nothing.
        progress : callable (time_s), optional
            Called at some of the reported instants, at most a hundred or so, with their time, s; changes no number.

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
        record = self._play(waveform, equations, progress)
        rows = record.rows
        G0, ideality, C = self._contacts()
        unit = C * Vt
        step = rows[:, _march.CONTACT]
        electronic, displacement = rows[:, _march.ELECTRONS] * unit, rows[:, _march.DISPLACEMENT] * unit
        ionic, content = rows[:, _march.CIRCUIT] * unit, rows[:, _march.CIRCUIT + 1]
        conductance = G0 * np.exp(step / ideality)
        extra: dict[str, tuple[Any, Any, str, str]] = {
            "electronic_current": ("time", electronic, "A", "current of the electrons"),
            "ionic_current": ("time", ionic, "A", "current of the displaced ions"),
            "displacement_current": ("time", displacement, "A", "charging current of the geometric capacitance"),
            "contact_potential": ("time", step * Vt, "V", "ions' contact field times their Debye length"),
            "ion_excess": ("time", content / content[0] - 1.0, "1", "relative change of the number of ions"),
        }
        if self.profiles:
            density = record.densities[:, 0] * self.device.value("ion_density_1_m3")
            extra |= {
                "position": ("position", equations.centre, "m", "distance from the active electrode"),
                "density": (("time", "position"), density, "1/m3", "density of mobile vacancies"),
                "potential": (("time", "position"), record.potentials * Vt, "V", "electrostatic potential"),
            }
        return trace.make(
            waveform,
            model="fem.IonFilm",
            device_voltage_V=rows[:, _march.WALL] * Vt,
            current_A=electronic + ionic + displacement,
            conductance_S=conductance,
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
            attrs={"steps": record.steps, "rejected_steps": record.rejected},
        )

    def _play(self, waveform: Waveform, equations: Equations, progress: Callable[[float], None] | None) -> Record:
        """The waveform in the units of the equations, and what they answer."""
        Vt, (G0, _, C) = self.thermal_voltage_V, self._contacts()
        times = waveform.times_s
        sources = np.asarray(waveform.voltage_at(times), dtype=float)
        voltage = formulas.compliance_voltage(float(sources[0]), G0, float(waveform.compliance_A[0]))
        load = self.load(equations)
        return play(
            equations,
            equations.frames(self.rest(equations, voltage / Vt), load, float(sources[0]) / Vt),
            times,
            sources / Vt,
            self.control(),
            limits=np.asarray(waveform.compliance_at(times), dtype=float) / (C * Vt),
            corners=np.isin(times, waveform.time_s),
            load=load,
            profiles=self.profiles,
            progress=progress,
        )
