"""`FilamentKMC`: a silver filament that grows, carries current and dissolves, atom by atom."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from ..physics import trace
from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.formulas import tunnel_decay
from ..physics.materials import standard_potential
from ..physics.randomness import describe, generator
from ..physics.waveform import Waveform
from . import _engine, _fields
from .lattice import BOTTOM, TOP, Column, column
from .snapshots import Album, Wanted, instants, wanted

__all__ = ["FilamentKMC"]

_SOURCES = ("Gillespie1977", "Bortz1975", "BardFaulkner2001", "GreenwoodWilliamson1958", "Menzel2015", "Simmons1963")
_RECORDED = [_engine.DEVICE_VOLTAGE, _engine.CURRENT, _engine.CONDUCTANCE, _engine.TEMPERATURE]
_COUNTED = [_engine.N_METAL, _engine.N_ION, _engine.EVENTS]
_IONS = len(_RECORDED) + _COUNTED.index(_engine.N_ION)  # column of a record
_COUNTS = {
    "events": _engine.EVENTS,
    "hops": _engine.HOPS,
    "injected": _engine.INJECTED,
    "returned": _engine.RETURNED,
    "deposited": _engine.DEPOSITED,
    "dissolved": _engine.DISSOLVED,
    "network_solves": _engine.SOLVES,
    "network_iterations": _engine.ITERATIONS,
    "caught": _engine.CAUGHT,
}
# what this model reads from a device card
_PARAMETERS = (
    "anode_share",
    "attempt_frequency_Hz",
    "bond_energy_eV",
    "cathode_share",
    "channel_energy_eV",
    "channel_radius_m",
    "charge_transfer_barrier_eV",
    "column_width_m",
    "contact_conductance_S",
    "dissolution_barrier_eV",
    "hop_barrier_eV",
    "lattice_constant_m",
    "leakage_S",
    "matrix_penalty_eV",
    "metal_link_S",
    "nucleus_radius_m",
    "reduction_barrier_eV",
    "reverse_anode_share",
    "reverse_cathode_share",
    "series_resistance_ohm",
    "thermal_resistance_K_W",
    "tunnel_barrier_eV",
    "tunnel_gap_m",
)
_MELTING_K = 1234.93  # silver, CRC Handbook: beyond it a lattice of atoms is not a model


@dataclass(frozen=True, eq=False)
class FilamentKMC:
    r"""Kinetic Monte Carlo of an Ag filament in a thin perovskite film.

    Parameters
    ----------
    device : Device
        Card with the filament parameters.
    temperature_K : float, K, > 0
        Ambient temperature.
    transport : {"fast", "explicit"}
        ``"explicit"`` times every hop of every ion. ``"fast"`` lets an ion take its steps without a clock, drawn
        from the same rates: the limit in which ions cross the film in no time against the charge-transfer step,
        exact while less than one ion is in flight. How many would be in flight is ``ions`` in the trace, the most
        of any reported interval its attribute ``peak_ions``: the error estimate of this limit.
    voltage_step_V : float, V, > 0
        Under a ramp, rates follow the voltage in steps of this size.
    network_tolerance : float, 1, > 0
        Residual of the metal network in the energy norm, relative to its conductance.
    most_events : int
        Events between two reported instants after which the run is given up.
    snapshots : None, int or sequence of float, s
        What :meth:`simulate` takes if it is not told otherwise: set here, an ensemble keeps snapshots too.

    Notes
    -----
    One energy landscape decides all rates, so forward and backward rates are in detailed balance at zero bias.
    With bond energy :math:`J`, an atom with :math:`n` bonds lies :math:`(3 - n) J` above a kink atom; an ion lies
    `dissolution_barrier` - `reduction_barrier` above a kink atom, which itself lies `matrix_penalty` above the
    active electrode. Oxidation and reduction are Butler-Volmer steps with transfer factor 1/2. Shares of the voltage
    across the film fall at the two interfaces: `anode_share` and `cathode_share` with the active electrode positive,
    `reverse_anode_share` and `reverse_cathode_share` with it negative. The rest falls evenly across the film and drives
    the ions. A metal surface at the height z and the potential u V is an electrode in the ions' potential: its
    overpotential is :math:`\eta = V (s_c + (1 - s_a - s_c) z / L - u)`, so an ion gains :math:`e V (1 - u)` whatever
    its way. The metal does not disturb the potential of the ions, as a rod along the field would not; with metal as an
    insulator for ions, solved on filaments of 1 uA and 1 mA, the potential beside it differs by 1 % of the film's
    voltage in the median and 5 % at the 95th percentile. An ion between two pieces of metal is reduced by each at that
    piece's potential.
    Metal conducts between neighbours (contact-limited where thin) and across gaps along z by tunnelling. The current
    heats the filament by one thermal resistance, most where half of the voltage has fallen: between cool contacts
    isotherms are equipotentials, :math:`T = T_0 + 4 u (1 - u) R_{th} P`. Not in the model: interaction of ions in
    flight, tunnelling sideways, surface diffusion without dissolution, bromide.

    References
    ----------
    .. [1] A. B. Bortz, M. H. Kalos and J. L. Lebowitz, J. Comput. Phys. 17, 10 (1975).
    .. [2] D. T. Gillespie, J. Phys. Chem. 81, 2340 (1977).
    .. [3] S. Menzel, P. Kaupmann and R. Waser, Nanoscale 7, 12673 (2015).
    .. [4] J. A. Greenwood and J. B. P. Williamson, Proc. R. Soc. Lond. A 246, 13 (1958): isotherms and equipotentials.

    Examples
    --------
    >>> from halidrift import Device, Waveform
    >>> cell = FilamentKMC(Device.load("john2022-ogb"))
    >>> rest = cell.simulate(Waveform.hold(0.1, 1e-3, samples=3), rng=1)
    >>> float(rest.conductance[-1]) < 1e-7
    True
    """

    device: Device
    temperature_K: float = 300.0
    transport: str = "fast"
    voltage_step_V: float = 2e-3
    network_tolerance: float = 1e-7
    most_events: int = field(default=20_000_000, repr=False)
    snapshots: Wanted = None

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise InputError("device must be a Device", got=str(self.device), action="Load it with Device.load(name)")
        self.device.require(_PARAMETERS, "FilamentKMC", "john2022-ogb")
        if self.transport not in ("fast", "explicit"):
            raise InputError("Unknown transport", got=self.transport, allowed='"fast" or "explicit"')
        for name in ("temperature_K", "voltage_step_V", "network_tolerance", "most_events"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise InputError(f"{name} must be a number", got=str(value), allowed="> 0")
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive", got=value, allowed="> 0")

        if self.temperature_K >= _MELTING_K:
            raise ValidityError("Silver is molten", got=f"{self.temperature_K:g} K", allowed=f"< {_MELTING_K:.0f} K")
        object.__setattr__(self, "snapshots", wanted(self.snapshots))

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the device and of the method."""
        return tuple(sorted({*self.device.sources, *_SOURCES}))

    @cached_property
    def column(self) -> Column:
        """The simulated column of film."""
        d = self.device
        return column(d.value("lattice_constant_m"), d.value("column_width_m"), d.film.thickness_m)

    @cached_property
    def kernel_parameters(self) -> _engine.Physics:
        """Parameters as the compiled kernel takes them."""
        d = self.device
        # the metal's standard potential lifts its ion: silver is the reference
        nobler = standard_potential(d.active_electrode.material) - standard_potential("Ag")
        ion = d.value("dissolution_barrier_eV") - d.value("reduction_barrier_eV") + d.value("matrix_penalty_eV")
        if ion + nobler <= -d.value("charge_transfer_barrier_eV"):
            raise ValidityError(
                "The electrode metal dissolves without a barrier",
                got=f"ion energy {ion + nobler:g} eV for {d.active_electrode.material}",
                allowed="above minus the charge-transfer barrier",
                action="This electrode needs its own reaction; use Ag, Cu or Au",
            )
        for active, counter in (("anode_share", "cathode_share"), ("reverse_anode_share", "reverse_cathode_share")):
            if (shares := d.value(active) + d.value(counter)) > 1.0:
                raise InputError(
                    "The interfaces take more than the whole voltage",
                    got=f"{active} + {counter} = {shares:g}",
                    allowed="<= 1",
                )
        return _engine.Physics(
            attempt_Hz=d.value("attempt_frequency_Hz"),
            hop_eV=d.value("hop_barrier_eV"),
            transfer_eV=d.value("charge_transfer_barrier_eV"),
            dissolution_eV=d.value("dissolution_barrier_eV"),
            reduction_eV=d.value("reduction_barrier_eV"),
            bond_eV=d.value("bond_energy_eV"),
            ion_eV=ion + nobler,
            anode_share=d.value("anode_share"),
            cathode_share=d.value("cathode_share"),
            reverse_anode_share=d.value("reverse_anode_share"),
            reverse_cathode_share=d.value("reverse_cathode_share"),
            contact_S=d.value("contact_conductance_S"),
            metal_S=d.value("metal_link_S"),
            tunnel_decay_1_m=float(tunnel_decay(d.value("tunnel_barrier_eV"), 1.0)),
            tunnel_gap_m=d.value("tunnel_gap_m"),
            leakage_S=d.value("leakage_S"),
            series_ohm=d.value("series_resistance_ohm"),
            thermal_K_W=d.value("thermal_resistance_K_W"),
            ambient_K=float(self.temperature_K),
            melting_K=_MELTING_K,
            spacing_m=d.value("lattice_constant_m"),
            explicit=self.transport == "explicit",
            voltage_step_V=float(self.voltage_step_V),
            network_tolerance=float(self.network_tolerance),
        )

    def simulate(
        self,
        waveform: Waveform,
        *,
        rng: int | np.random.Generator | None = None,
        snapshots: Wanted = None,
        progress: Callable[[float], None] | None = None,
    ) -> xr.Dataset:
        """Run one fresh device through a waveform.

        Parameters
        ----------
        waveform : Waveform
            Positive voltage: active electrode positive.
        rng : int, numpy.random.Generator or None
            Seed or generator; None draws a seed, which the trace records.
        snapshots : None, int >= 1, or sequence of float, s
            So many snapshots spread evenly over the reported instants, or one at the reported instant nearest to
            each time; None: as the model says, by itself none. They change no other number of the trace.
        progress : callable (time_s), optional
            Called at each reported instant with its time, s; changes no number.

        Returns
        -------
        xarray.Dataset
            A trace with, besides the required variables, ``temperature`` (K), ``metal_atoms``, ``ions``,
            and the final ``occupation`` over ``x, y, z`` (0 empty, 1 ion, 2 metal). With snapshots also
            ``snapshot_occupation`` and ``snapshot_potential`` over ``snapshot, x, y, z`` and the coordinate
            ``snapshot_time`` (s): the potential of each metal atom between the electrodes, from 0 at the counter
            electrode to 1 at the active one, nan elsewhere.

        Raises
        ------
        InputError
            If there are fewer reported instants than snapshots, or a snapshot lies outside the waveform.
        ConvergenceError
            If a field solve fails or the events between two instants exceed `most_events`.
        ValidityError
            If the filament would melt.
        """
        if not isinstance(waveform, Waveform):
            raise InputError(
                "simulate takes a Waveform", got=repr(waveform), action="Make one, as with Waveform.triangle"
            )
        rng = generator(rng)
        seed = describe(rng)
        lattice, physics = self.column, self.kernel_parameters
        state = _start(lattice, self.device)
        times = waveform.times_s
        kept = instants(self.snapshots if snapshots is None else snapshots, times)
        album = Album(kept, lattice.shape)
        state.clock[_engine.TIME] = times[0]
        state.clock[_engine.TEMPERATURE] = self.temperature_K
        record = np.empty((len(times), len(_RECORDED) + len(_COUNTED)))
        corners = np.searchsorted(waveform.time_s, times[:-1], side="right") - 1
        slopes = np.diff(waveform.voltage_V) / np.diff(waveform.time_s)
        voltages = waveform.voltage_at(times)
        limits = waveform.compliance_A[np.minimum(corners, len(slopes) - 1)]
        _engine.update_circuit(float(voltages[0]), float(limits[0]), state.clock, physics)
        record[0] = _row(state)
        flight = 0.0
        album.keep(0, state)
        for i in range(len(times) - 1):
            status = _engine.advance(
                times[i + 1],
                voltages[i],
                slopes[corners[i]],
                limits[i],
                state,
                physics,
                self.most_events,
                rng,
            )
            self._check(status, state)
            record[i + 1] = _row(state)
            if self.transport == "fast":
                record[i + 1, _IONS] = (state.clock[_engine.FLIGHT] - flight) / (times[i + 1] - times[i])
                flight = state.clock[_engine.FLIGHT]
            album.keep(i + 1, state)
            if progress is not None:
                progress(float(times[i + 1]))
        names = ("metal_atoms", "ions", "events")
        extra: dict[str, tuple[Any, Any, str, str]] = {
            "temperature": ("time", record[:, 3], "K", "filament temperature"),
            **{n: ("time", record[:, len(_RECORDED) + k], "1", n.replace("_", " ")) for k, n in enumerate(names)},
            "occupation": (
                ("x", "y", "z"),
                state.occupation.reshape(lattice.shape),
                "1",
                "0 empty, 1 ion, 2 metal",
            ),
            **album.variables(),
        }
        result = trace.make(
            waveform,
            model="FilamentKMC",
            device_voltage_V=record[:, 0],
            current_A=record[:, 1],
            conductance_S=record[:, 2],
            parameters={
                "device": self.device.to_dict(),
                "temperature_K": self.temperature_K,
                "transport": self.transport,
                "voltage_step_V": self.voltage_step_V,
                "network_tolerance": self.network_tolerance,
            },
            sources=self.sources,
            seed=seed,
            extra=extra,
            attrs={
                "counts": json.dumps(_counts(state)),
                "peak_temperature_K": float(state.clock[_engine.PEAK]),
                "peak_ions": float(record[:, _IONS].max()),
            },
        )
        axes = {a: (np.arange(n) - (n - 1) / 2) * lattice.spacing_m for a, n in zip("xy", lattice.shape, strict=False)}
        axes["z"] = (np.arange(lattice.shape[2]) + 0.5) * lattice.spacing_m
        result = result.assign_coords({a: (a, v, {"units": "m", "long_name": a}) for a, v in axes.items()})
        if kept.size:
            label = {"units": "s", "long_name": "instant of the snapshot"}
            result = result.assign_coords(snapshot_time=("snapshot", times[kept], label))
        return result

    def _check(self, status: int, state: _engine.State) -> None:
        if status == _engine.DONE:
            return
        at = f"{state.clock[_engine.TIME]:.6g} s, {state.tally[_engine.N_METAL]} atoms"
        if status == _engine.TOO_MANY_EVENTS:
            raise ConvergenceError(
                "Too many events between two reported instants",
                got=f"more than {self.most_events} at {at}",
                action="Report more often, raise most_events, or use transport='fast'",
            )
        if status == _engine.MELTED:
            raise ValidityError(
                "The filament melts",
                got=f"{state.clock[_engine.TEMPERATURE]:.0f} K at {at}",
                allowed=f"below {_MELTING_K:.0f} K",
                action="Lower the compliance current or voltage, or the thermal resistance in the card",
            )
        if status == _engine.LOST_ION:
            raise ConvergenceError("An ion found no way to be reduced or to return", got=at)
        raise ConvergenceError("The potential of the metal did not converge", got=at, action="Loosen network_tolerance")


def _start(lattice: Column, device: Device) -> _engine.State:
    """A fresh device: no metal, no ions."""
    n, nz = lattice.size, lattice.shape[2]
    radius = np.hypot(lattice.positions_m[:, 0], lattice.positions_m[:, 1])
    top = np.flatnonzero(lattice.neighbours[:, 5] == TOP).astype(np.int32)
    top_number = np.full(n, -1, np.int32)
    top_number[top] = np.arange(len(top))
    leaves = 1 << int(np.ceil(np.log2(n + len(top))))
    offset = np.where(radius <= device.value("channel_radius_m"), 0.0, device.value("channel_energy_eV"))
    # sites below the electrode that have alike neighbours inject alike
    beside = lattice.neighbours[top]
    around = np.where(beside >= 0, offset[beside.clip(0)], np.nan)
    keys = np.column_stack([offset[top], np.nan_to_num(around, nan=-1.0)])
    classes = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return _engine.State(
        occupation=np.zeros(n, np.int8),
        neighbours=np.ascontiguousarray(lattice.neighbours),
        coordination=np.zeros(n, np.int8),
        offset=offset,
        wetting=(lattice.neighbours[:, 4] == BOTTOM) & (radius <= device.value("nucleus_radius_m")),
        metal=np.zeros(n, np.int32),
        position=np.full(n, -1, np.int32),
        ions=np.zeros(n, np.int32),
        ion_position=np.full(n, -1, np.int32),
        u=np.zeros(n + 1),
        psi=((np.arange(n) % nz) + 0.5) / nz,
        net=_fields.network(np.arange(n) % nz),
        top=top,
        top_class=classes.astype(np.int32),
        class_rate=np.empty(classes.max() + 1),
        top_number=top_number,
        tree=np.zeros(2 * leaves),
        clock=np.zeros(_engine.CLOCK_SIZE),
        tally=np.zeros(_engine.COUNT_SIZE, np.int64),
        choice=np.zeros(8),
    )


def _row(state: _engine.State) -> np.ndarray:
    """What is reported at one instant."""
    return np.array([*state.clock[_RECORDED], *state.tally[_COUNTED]], dtype=float)


def _counts(state: _engine.State) -> dict[str, int]:
    return {name: int(state.tally[slot]) for name, slot in _COUNTS.items()}
