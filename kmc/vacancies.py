r"""`VacancyKMC`: a filament of halide vacancies that an electrode makes, a field moves and electrons hop along.

The halide sublattice is a lattice gas (:mod:`halidrift.kmc.lattice_gas`) between two electrodes. A vacancy on it costs

.. math:: E = e_M + q \phi_i + J n_i, \qquad
          e_M = e_{Pb} + E^\circ(MX/M, X^-) - E^\circ(PbX_2/Pb, X^-),

with its electron in the active electrode M and its halide in the compound MX on it; it has :math:`n_i` vacancies as
neighbours.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics import networks, trace
from ..physics.constants import BOLTZMANN_EV_K as _K_B
from ..physics.database import Database
from ..physics.device import Device
from ..physics.errors import InputError, ValidityError
from ..physics.formulas import compliance_voltage, tunnel_decay
from ..physics.networks import SiteNetwork
from ..physics.randomness import describe, generator
from ..physics.waveform import Waveform
from ._vacancies import Column, solve
from .lattice_gas import LatticeGas
from .processes import Hop, Process, Reaction

__all__ = ["HALIDE_POTENTIAL_V", "VacancyKMC", "halide_slab", "reaction_energy"]

Floats = NDArray[np.float64]

HALIDE_POTENTIAL_V: dict[str, dict[str, float]] = {
    "I": {"Ag": -0.15224, "Al": -0.504, "Au": 0.50, "Cu": -0.1852, "Pb": -0.365},
}
"""Standard potential of MX_n + n e- = M + n X-, V against the standard hydrogen electrode, 298 K.

Ag, Cu, Pb: CRC Handbook, "Electrochemical Series"; Au: W. M. Latimer, The Oxidation States of the Elements, 1952;
Al: from the Gibbs energy of formation of AlI3, -300.8 kJ/mol (NBS tables), against E = 0.5355 V of I2 / I-. Only
differences are used; the iodide in solution drops out of them, so they hold for the solids.
"""

_HALIDES = {"MAPbI3": "I"}

# what this model reads from a device card
_PARAMETERS = (
    "anode_share",
    "attempt_frequency_Hz",
    "cathode_share",
    "column_width_m",
    "contact_conductance_S",
    "halide_transfer_barrier_eV",
    "ion_density_1_m3",
    "lattice_constant_m",
    "leakage_S",
    "reverse_anode_share",
    "reverse_cathode_share",
    "series_resistance_ohm",
    "thermal_resistance_K_W",
    "tunnel_barrier_eV",
    "vacancy_formation_energy_eV",
    "vacancy_hop_barrier_eV",
    "vacancy_pair_energy_eV",
)
_MELTING_K = 683.0  # PbI2, CRC Handbook: far beyond it there is no perovskite left
_SCARCE = 4  # halides in the electrode below which a step ends at each return
_LEAST_EVENTS = 8

_GENERATION, _RETURN = "halide uptake", "halide uptake, back"


def reaction_energy(metal: str, halide: str, iodide_poor_eV: float) -> float:
    """Energy of a vacancy whose halide is in a compound of the electrode, its electron in the electrode, eV.

    Parameters
    ----------
    metal : str
        Active electrode.
    halide : str
    iodide_poor_eV : float, eV
        The same with Pb and its halide instead.

    Raises
    ------
    InputError
        If the potential of the compound is not known.

    Examples
    --------
    >>> [round(reaction_energy(metal, "I", 0.13), 3) for metal in ("Al", "Cu", "Ag", "Au")]
    [-0.009, 0.31, 0.343, 0.995]
    """
    table = HALIDE_POTENTIAL_V.get(halide, {})
    if metal not in table:
        raise InputError(
            "No halide potential for this electrode",
            got=f"{metal} with {halide}",
            allowed=", ".join(sorted(set(table) - {"Pb"})) or f"halides {', '.join(HALIDE_POTENTIAL_V)}",
            action="Use one of these metals, or add it to kmc/vacancies.py with its source",
        )
    return iodide_poor_eV + table[metal] - table["Pb"]


def halide_slab(a_m: float, cells: int) -> SiteNetwork:
    """Halide sites of a film that ends along z, one cell wide.

    Parameters
    ----------
    a_m : float, m, > 0
        Lattice constant of the cubic perovskite.
    cells : int, >= 2
        Cells along z; the hops out of the film are left out.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> film = halide_slab(0.63e-9, 10)
    >>> film.sites, sorted(set(film.coordination.tolist())), film.pbc
    (30, [4, 6, 8], (True, True, False))
    """
    if isinstance(cells, bool) or int(cells) != cells or cells < 2:
        raise InputError("A film must have whole cells", got=cells, allowed=">= 2")
    bulk = networks.halide(a_m, (1, 1, int(cells)))
    inside = bulk.image[:, 2] == 0
    number = np.cumsum(inside) - 1
    leaving = np.bincount(bulk.source[inside], minlength=bulk.sites)
    _, kind = np.unique(leaving, return_inverse=True)
    return SiteNetwork(
        name="halide film",
        cell_m=bulk.cell_m,
        pbc=(True, True, False),
        positions_m=bulk.positions_m,
        kind=kind.astype(np.int64),
        start=np.concatenate([[0], np.cumsum(leaving)]).astype(np.int64),
        target=bulk.target[inside],
        image=bulk.image[inside],
        hop_m=bulk.hop_m[inside],
        hop_class=bulk.hop_class[inside],
        reverse=number[bulk.reverse[inside]],
        class_length_m=bulk.class_length_m,
        multiplicity=np.unique(leaving)[:, None],
    )


def _compiled(gas: LatticeGas) -> LatticeGas:
    """The same gas with its tables built: copies under other conditions share them, but only if they are there."""
    _ = gas._topology, gas._rules
    return gas


class _Circuit(NamedTuple):
    """What the source, the series resistance and the film make of a voltage."""

    film_V: float
    device_V: float
    current_A: float
    conductance_S: float
    temperature_K: float


@dataclass
class _Run:
    """State of one device."""

    codes: NDArray[np.uint8]
    stored: int  # halides in the electrode
    film_S: float
    time_s: float
    step_s: float
    return_Hz: float = 0.0  # latest rate at which halides came back
    since: int = 0  # events since the conductance was computed
    solves: int = 0
    error_eV: float = 0.0  # largest accepted change between two solutions
    square_eV2: float = 0.0  # sum of their squares
    peak_K: float = 0.0
    generated: int = 0
    returned: int = 0
    hops: int = 0
    steps: int = 0
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class VacancyKMC:
    r"""Kinetic Monte Carlo of halide vacancies between two electrodes.

    Parameters
    ----------
    device : Device
        Card of an MAPbI3 film with the parameters of its vacancies, such as mapbi3-ag.
    temperature_K : float, K, > 0
        Ambient temperature.
    voltage_step_V : float, V, > 0
        Within a step, rates follow the voltage in steps of this size, each held at its middle.
    field_tolerance_eV : float, eV, > 0
        Between two looks at the current the voltage of the film and the temperature are held. Steps are chosen so that
        they then change the energy or the barrier of a vacancy by less than this, as far as `moves_per_look` lets
        them. The trace records the largest change and the root mean square.
    fastest_hop_Hz : float, Hz, > 0, optional
        Hops over the bare barrier that are faster than this are slowed to it, both ways alike, at the ambient
        temperature. None, the default, slows nothing and is exact.
    moves_per_look : float, 1, > 0
        Moves of each vacancy, on average, within which the current is not looked at again: what changes faster counts
        as noise. It matters only while a compliance or a series resistance makes the voltage follow the current.
    most_events : int
        Events within one step after which the run is given up.

    Notes
    -----
    A vacancy hops to the 8 neighbours on the halide sublattice. Next to the active electrode a halide can leave the
    film for the electrode and come back, as long as the electrode holds one: a pure compound, of activity one. The
    other electrode is inert. All rates come from one energy (see :mod:`halidrift.kmc.vacancies`), so forward and
    backward rates are in detailed balance. The interfaces take their shares of the voltage of the film, `anode_share`
    and `cathode_share` with the active electrode positive, `reverse_anode_share` and `reverse_cathode_share` with it
    negative; between them the field is uniform. It is not that of current continuity: the network of hopping
    electrons changes with every hop of a vacancy, faster than charge can follow through the film
    (docs/kmc-vacancies.md).

    The current is that of electrons between vacancies, exp(-decay times distance), in parallel with the leak of the
    device; it heats the column as a whole.

    Not in the model: space charge of the vacancies beyond the shares of the interfaces and the pair energy,
    interstitial halides and Frenkel pairs in the bulk, oxidation of halide to I2, ionic current, an insulating skin
    on the electrode (Al2O3 on Al). Where a large part of all halides is gone there is no perovskite, but lead.

    References
    ----------
    .. [1] A. B. Bortz, M. H. Kalos and J. L. Lebowitz, J. Comput. Phys. 17, 10 (1975).
    .. [2] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.2.1.2.
    .. [3] C. Eames et al., Nat. Commun. 6, 7497 (2015).

    Examples
    --------
    >>> from halidrift import Device, Waveform
    >>> from halidrift.kmc.competition import with_film
    >>> cell = VacancyKMC(with_film(Device.load("mapbi3-ag"), 10e-9).with_parameters(column_width_m=2.5e-9))
    >>> rest = cell.simulate(Waveform.hold(0.1, 1e-3, samples=3), rng=1)
    >>> bool(rest.vacancies[0] - rest.stored_halides[0] == rest.vacancies[-1] - rest.stored_halides[-1])
    True
    """

    device: Device
    temperature_K: float = 300.0
    voltage_step_V: float = 5e-3
    field_tolerance_eV: float = 1e-2
    fastest_hop_Hz: float | None = None
    moves_per_look: float = 2.0
    most_events: int = field(default=200_000_000, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise InputError("device must be a Device", got=str(self.device), action="Load it with Device.load(name)")
        self.device.require(_PARAMETERS, "VacancyKMC", "mapbi3-ag")
        if self.device.film.material not in _HALIDES:
            raise InputError(
                "VacancyKMC does not know the halide of this film",
                got=f"{self.device.film.material} of {self.device.name}",
                allowed=", ".join(_HALIDES),
                action="Add the material to kmc/vacancies.py",
            )
        for name in (
            "temperature_K",
            "voltage_step_V",
            "field_tolerance_eV",
            "fastest_hop_Hz",
            "moves_per_look",
            "most_events",
        ):
            value = getattr(self, name)
            if value is None and name == "fastest_hop_Hz":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise InputError(f"{name} must be a number", got=str(value), allowed="> 0")
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive", got=value, allowed="> 0")
        if self.temperature_K >= _MELTING_K:
            raise ValidityError("The film is gone", got=f"{self.temperature_K:g} K", allowed=f"< {_MELTING_K:.0f} K")
        for active, counter in (("anode_share", "cathode_share"), ("reverse_anode_share", "reverse_cathode_share")):
            if (shares := self.device.value(active) + self.device.value(counter)) > 1.0:
                raise InputError(
                    "The interfaces take more than the whole voltage",
                    got=f"{active} + {counter} = {shares:g}",
                    allowed="<= 1",
                )

    # -- what there is ---------------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the device and of the method."""
        return tuple(sorted({*self.device.sources, *self._gas.sources}))

    @property
    def halide(self) -> str:
        """Halide of the film."""
        return _HALIDES[self.device.film.material]

    @property
    def vacancy(self) -> str:
        """Name of its vacancy."""
        return f"V_{self.halide}"

    @cached_property
    def reaction_eV(self) -> float:
        """Energy of a vacancy in the film, its halide and its electron in the active electrode, without a voltage."""
        d = self.device
        return reaction_energy(d.active_electrode.material, self.halide, d.value("vacancy_formation_energy_eV"))

    @cached_property
    def repeat(self) -> tuple[int, int, int]:
        """Cells of the column along x, y and z."""
        d = self.device
        a = d.value("lattice_constant_m")
        across, along = round(d.value("column_width_m") / a), round(d.film.thickness_m / a)
        if min(across, along) < 2:
            raise InputError(
                "The column does not fit the lattice",
                got=f"{across} x {across} x {along} cells",
                allowed="at least 2 cells each way",
                action="Change column_width_m or the film thickness",
            )
        return across, across, along

    @cached_property
    def column(self) -> Column:
        """The column of film as the electrons see it."""
        d, (across, _, along) = self.device, self.repeat
        a = d.value("lattice_constant_m")
        return Column(
            width_m=across * a,
            height_m=along * a,
            layers=2 * along,
            link_S=d.value("contact_conductance_S"),
            near_m=a / np.sqrt(2.0),
            decay_1_m=float(tunnel_decay(d.value("tunnel_barrier_eV"), 1.0)),
            film_S_m=d.value("leakage_S") * along * a / d.area_m2,
        )

    @cached_property
    def _gas(self) -> LatticeGas:
        """The lattice gas at rest, whose electrode holds halides."""
        d, (across, _, along) = self.device, self.repeat
        slab = halide_slab(d.value("lattice_constant_m"), along)
        heights = np.tile(slab.positions_m[:, 2], across * across)
        nu = d.value("attempt_frequency_Hz")
        hop_eV, slow_nu = d.value("vacancy_hop_barrier_eV"), nu
        bare = nu * np.exp(-hop_eV / (_K_B * self.temperature_K))
        if self.fastest_hop_Hz is not None and bare > self.fastest_hop_Hz:
            slow_nu = nu * self.fastest_hop_Hz / bare
        row = d["vacancy_hop_barrier_eV"].barrier
        barrier = Database.load().get(row) if row else hop_eV
        processes: list[Process] = [
            Hop(self.vacancy, barrier, into=self.halide, attempt_frequency_Hz=slow_nu),
            Reaction(
                self.halide,
                self.vacancy,
                d.value("halide_transfer_barrier_eV"),
                where=heights > heights.max() - 0.1 * d.value("lattice_constant_m"),
                electrode="active",
                attempt_frequency_Hz=nu,
                name=_GENERATION,
            ),
        ]
        gas = LatticeGas(
            slab,
            processes,
            repeat=(across, across, 1),
            site_energies={self.vacancy: self.reaction_eV},
            pair_energies={(self.vacancy, self.vacancy): d.value("vacancy_pair_energy_eV")},
            charges={self.vacancy: 1},
            temperature_K=self.temperature_K,
            potential_V=np.zeros(len(heights)),
            electrodes={"active": 0.0},
        )
        return _compiled(gas)

    @cached_property
    def _empty_gas(self) -> LatticeGas:
        """The same with an electrode that has no halide to give back."""
        hop, uptake = self._gas.processes
        assert isinstance(uptake, Reaction)
        return _compiled(replace(self._gas, processes=(hop, replace(uptake, reversible=False))))

    @cached_property
    def positions_m(self) -> Floats:
        """Sites, shape (sites, 3), m; z from the interface of the counter electrode."""
        return self._gas.positions_m + np.array([0.0, 0.0, 0.25 * self.device.value("lattice_constant_m")])

    @cached_property
    def _layer_of(self) -> NDArray[np.int64]:
        return np.floor(self.positions_m[:, 2] / (self.column.height_m / self.column.layers)).astype(np.int64)

    # -- conditions ------------------------------------------------------------------------------------------

    def _circuit(self, source_V: float, limit_A: float, film_S: float) -> _Circuit:
        d = self.device
        # the leak of the device holds that of the bare column
        film = d.value("leakage_S") + max(film_S - self.column.bare_S, 0.0)
        total = 1.0 / (d.value("series_resistance_ohm") + 1.0 / film)
        device_V = compliance_voltage(source_V, total, limit_A)
        current = device_V * total
        film_V = current / film
        return _Circuit(
            film_V,
            device_V,
            current,
            total,
            self.temperature_K + d.value("thermal_resistance_K_W") * abs(current * film_V),
        )

    def _potential(self, film_V: float) -> Floats:
        """Potential at each site, V: a step at each interface, a uniform field between."""
        active, counter = (
            ("reverse_anode_share", "reverse_cathode_share") if film_V < 0 else ("anode_share", "cathode_share")
        )
        high, low = self.device.value(active), self.device.value(counter)
        return film_V * (low + (1.0 - low - high) * self.positions_m[:, 2] / self.column.height_m)

    def _conditions(self, c: _Circuit) -> dict[str, Any]:
        return {
            "temperature_K": c.temperature_K,
            "potential_V": self._potential(c.film_V),
            "electrodes": {"active": c.film_V},
        }

    def _conductance(self, codes: NDArray[np.uint8]) -> float:
        """Conductance of the column, S."""
        return solve(self.positions_m[codes == self._code], self.column).conductance_S

    @property
    def _code(self) -> int:
        return self._gas.species.index(self.vacancy)

    # -- runs ------------------------------------------------------------------------------------------------

    def simulate(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> xr.Dataset:
        """Run one fresh device through a waveform.

        Parameters
        ----------
        waveform : Waveform
            Positive voltage: active electrode positive.
        rng : int, numpy.random.Generator or None
            Seed or generator; None draws a seed, which the trace records.

        Returns
        -------
        xarray.Dataset
            A trace with, besides the required variables, ``temperature`` (K), ``vacancies``, ``stored_halides``,
            ``events``, ``filled_layers`` (layers of the film that hold a vacancy), ``profile`` (vacancies in each layer
            at the end, from the counter electrode up) and the final ``occupation`` of each site, in the order of
            :attr:`positions_m`.

        Raises
        ------
        ConvergenceError
            If the network is not solved, or the events within one step exceed `most_events`.
        ValidityError
            If the film would melt.
        """
        if not isinstance(waveform, Waveform):
            raise InputError(
                "simulate takes a Waveform", got=repr(waveform), action="Make one, as with Waveform.triangle"
            )
        stream = generator(rng)
        seed = describe(stream)
        rows = []
        for run, row in self._instants(waveform, stream):  # noqa: B007
            rows.append(row)
        record = np.array(rows)
        names = ("vacancies", "stored_halides", "events", "filled_layers")
        extra: dict[str, tuple[Any, Any, str, str]] = {
            "temperature": ("time", record[:, 3], "K", "temperature of the column"),
            **{n: ("time", record[:, 4 + k], "1", n.replace("_", " ")) for k, n in enumerate(names)},
            "occupation": ("site", (run.codes == self._code).astype(np.int8), "1", "1 where a vacancy is"),
            "profile": ("z", self._profile(run.codes), "1", "vacancies in each layer at the end"),
        }
        result = trace.make(
            waveform,
            model="VacancyKMC",
            device_voltage_V=record[:, 0],
            current_A=record[:, 1],
            conductance_S=record[:, 2],
            parameters={
                "device": self.device.to_dict(),
                "temperature_K": self.temperature_K,
                "voltage_step_V": self.voltage_step_V,
                "field_tolerance_eV": self.field_tolerance_eV,
                "fastest_hop_Hz": self.fastest_hop_Hz,
                "moves_per_look": self.moves_per_look,
                "reaction_eV": self.reaction_eV,
            },
            sources=self.sources,
            seed=seed,
            extra=extra,
            attrs={
                "counts": json.dumps(
                    {
                        "hops": run.hops,
                        "generated": run.generated,
                        "returned": run.returned,
                        "steps": run.steps,
                        "rejected_steps": run.rejected,
                        "network_solves": run.solves,
                    }
                ),
                "largest_change_eV": run.error_eV,
                "rms_change_eV": float(np.sqrt(run.square_eV2 / max(run.solves, 1))),
                "peak_temperature_K": run.peak_K,
            },
        )
        step = self.column.height_m / self.column.layers
        heights = (np.arange(self.column.layers) + 0.5) * step
        return result.assign_coords(z=("z", heights, {"units": "m", "long_name": "height"}))

    def switching_time(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> float:
        """First reported instant at which the current meets the compliance, s; NaN if it never does.

        The same path as :meth:`simulate` takes from the same seed, left at that instant.

        Parameters
        ----------
        waveform : Waveform
            With a finite compliance.
        rng : int, numpy.random.Generator or None

        Raises
        ------
        InputError
            If the waveform has no compliance.
        """
        if not isinstance(waveform, Waveform) or not np.isfinite(waveform.compliance_A).all():
            raise InputError("A switching time needs a Waveform with a compliance", got=str(waveform))
        times = waveform.times_s
        for i, (_, row) in enumerate(self._instants(waveform, generator(rng))):
            if abs(row[0]) < abs(float(waveform.voltage_at(times[i]))) * (1.0 - 1e-9):
                return float(times[i])
        return float("nan")

    def _instants(self, waveform: Waveform, stream: np.random.Generator) -> Iterator[tuple[_Run, list[float]]]:
        """Run a fresh device, and stop at each reported instant."""
        times = waveform.times_s
        corners = np.minimum(np.searchsorted(waveform.time_s, times, side="right") - 1, len(waveform.time_s) - 2)
        voltages, limits = waveform.voltage_at(times), waveform.compliance_A[corners]
        run = self._start(stream, times)
        yield run, self._row(run, voltages[0], limits[0])
        for i in range(len(times) - 1):
            # the limit of the segment that begins here; at its end the next one already holds
            V_0, V_1 = voltages[i], voltages[i + 1]
            if V_0 * V_1 < 0.0:
                # the shares change with the sign: energies are linear in time only on either side
                zero = times[i] + (times[i + 1] - times[i]) * V_0 / (V_0 - V_1)
                if times[i] < zero < times[i + 1]:
                    self._advance(run, zero, V_0, 0.0, limits[i], stream)
                    V_0 = 0.0
            self._advance(run, times[i + 1], V_0, V_1, limits[i], stream)
            yield run, self._row(run, voltages[i + 1], limits[i])

    def _start(self, stream: np.random.Generator, times: Floats) -> _Run:
        """A fresh device: native vacancies on random sites, no halide in the electrode."""
        fraction = self.device.value("ion_density_1_m3") / self._gas.network.density_1_m3
        if fraction >= 1.0:
            raise InputError("More vacancies than halide sites", got=f"a fraction of {fraction:g}", allowed="< 1")
        codes = np.full(self._gas.sites, self._gas.species.index(self.halide), np.uint8)
        native = int(stream.binomial(len(codes), fraction))
        codes[stream.choice(len(codes), native, replace=False)] = self._code
        return _Run(codes, 0, self._conductance(codes), float(times[0]), float(times[-1] - times[0]) * 1e-3)

    def _row(self, run: _Run, source_V: float, limit_A: float) -> list[float]:
        c = self._circuit(float(source_V), float(limit_A), run.film_S)
        run.peak_K = max(run.peak_K, c.temperature_K)
        return [
            c.device_V, c.current_A, c.conductance_S, c.temperature_K,
            int((run.codes == self._code).sum()), run.stored, run.hops + run.generated + run.returned,
            int((self._profile(run.codes) > 0).sum()),
        ]  # fmt: skip

    def _profile(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        return np.bincount(self._layer_of[codes == self._code], minlength=self.column.layers)

    def _advance(
        self, run: _Run, t_end: float, V_0: float, V_1: float, limit_A: float, stream: np.random.Generator
    ) -> None:
        """Run the device to an instant under a linear source voltage."""
        t_0, span = run.time_s, t_end - run.time_s
        hop_eV = self.device.value("vacancy_hop_barrier_eV")
        while run.time_s < t_end:
            left = t_end - run.time_s
            # a remainder below a thousandth of a step joins the one before it
            dt = left if left < 1.001 * run.step_s else run.step_s
            if run.stored >= _SCARCE and run.return_Hz > 0.0:
                dt = min(dt, 0.5 * run.stored / run.return_Hz)  # so that the store rarely might run out on the way
            V_a = V_0 + (V_1 - V_0) * (run.time_s - t_0) / span
            V_b = V_0 + (V_1 - V_0) * min((run.time_s + dt - t_0) / span, 1.0)
            begin, end = (self._circuit(V, limit_A, run.film_S) for V in (V_a, V_b))
            self._check_heat(begin.temperature_K, run)
            kept = copy.deepcopy(stream.bit_generator.state)
            codes, counts, taken = self._step(run, dt, begin, end, stream)
            events = run.since + sum(counts)
            least = max(_LEAST_EVENTS, int(self.moves_per_look * (codes == self._code).sum()))
            whole = taken == dt
            film_S, change = run.film_S, 0.0
            solved = events > 0 and (events >= least or (whole and (dt == left or dt == run.step_s)))
            if solved:
                film_S = self._conductance(codes)
                V_now = V_a + (V_b - V_a) * taken / dt
                before, after = self._circuit(V_now, limit_A, run.film_S), self._circuit(V_now, limit_A, film_S)
                change = abs(after.film_V - before.film_V) + hop_eV * abs(
                    np.log(after.temperature_K / before.temperature_K)
                )
            if change > self.field_tolerance_eV and events > 2 * least and sum(counts) > least:
                # the same stream again: a piece of the same path, so that nothing is selected
                stream.bit_generator.state = kept
                run.rejected += 1
                run.step_s = taken * max(0.1, 0.5 * self.field_tolerance_eV / change, least / sum(counts))
                continue
            hops, generated, returned = counts
            run.codes, run.film_S, run.since = codes, film_S, 0 if solved else events
            run.hops, run.generated, run.returned = run.hops + hops, run.generated + generated, run.returned + returned
            run.stored += generated - returned
            if returned or taken * run.return_Hz > 1.0:
                run.return_Hz = returned / taken
            run.time_s = t_end if whole and dt == left else run.time_s + taken
            run.steps += 1
            if solved:
                run.solves += 1
                run.error_eV = max(run.error_eV, change)
                run.square_eV2 += change * change
            if whole and solved:
                factor = min(max(0.7 * self.field_tolerance_eV / change, 0.3), 2.0) if change > 0 else 2.0
                if factor < 1.0:
                    factor = min(1.0, max(factor, least / max(sum(counts), 1)))
                run.step_s = max(dt, 0.0 if dt < left else run.step_s) * factor

    def _step(
        self, run: _Run, dt: float, begin: _Circuit, end: _Circuit, stream: np.random.Generator
    ) -> tuple[NDArray[np.uint8], tuple[int, int, int], float]:
        """Run the lattice gas for `dt`, or to the event at which the electrode may run out of halide."""
        gas = self._gas if run.stored > 0 else self._empty_gas
        while True:
            until: tuple[str, ...] = ()
            if run.stored == 0:
                until = (_GENERATION,)
            elif run.stored < _SCARCE:
                until = (_RETURN,)
            here, towards = gas.with_conditions(**self._conditions(begin)), None
            if end.film_V != begin.film_V or end.temperature_K != begin.temperature_K:
                towards = gas.with_conditions(**self._conditions(end))
            kept = copy.deepcopy(stream.bit_generator.state)
            after = here.run(
                run.codes,
                time_s=dt,
                until=until,
                towards=towards,
                step_eV=self.voltage_step_V,
                snapshots=False,
                most_events=int(self.most_events),
                rng=stream,
            )
            number = dict(zip(gas.directions, after["events"].values[-1].tolist(), strict=True))
            hops = number.pop(f"{self.vacancy} hop")
            generated, returned = number.pop(_GENERATION), number.pop(_RETURN, 0)
            if returned <= run.stored:
                return after["occupation"].values, (hops, generated, returned), float(after["time"].values[-1])
            # the electrode may have run out on the way: a shorter piece of the same path
            stream.bit_generator.state = kept
            run.rejected += 1
            part = 0.5 * run.stored / returned
            end = _Circuit(*(a + (b - a) * part for a, b in zip(begin, end, strict=True)))
            dt *= part

    def _check_heat(self, temperature_K: float, run: _Run) -> None:
        run.peak_K = max(run.peak_K, temperature_K)
        if temperature_K > _MELTING_K:
            raise ValidityError(
                "The film melts",
                got=f"{temperature_K:.0f} K at {run.time_s:.6g} s",
                allowed=f"below {_MELTING_K:.0f} K, the melting point of PbI2",
                action="Lower the compliance current or voltage, or the thermal resistance in the card",
            )
