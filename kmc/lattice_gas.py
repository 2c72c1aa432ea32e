r"""Kinetic Monte Carlo of a lattice gas: any site network, any processes, one energy.

Each site of a network holds one species. A configuration s has the energy

.. math:: E(s) = \sum_i e_i(s_i) + \sum_{\langle ij \rangle} J(s_i, s_j) + \sum_i q(s_i)\, \phi_i,

to which each electron left in an electrode at the potential V adds -V. A process with the intrinsic barrier
:math:`E_0` that changes this energy by :math:`\Delta E` has the rate

.. math:: k = \nu \exp[-\max(E_0 + \Delta E / 2,\ \Delta E,\ 0) / k_B T].
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.networks import SiteNetwork
from ..physics.randomness import Rng, describe, generator
from .processes import EMPTY, Process, Reaction

if TYPE_CHECKING:
    from . import _lattice_gas

__all__ = ["LatticeGas"]

Floats = NDArray[np.float64]

Initial = Mapping[str, int] | ArrayLike | xr.Dataset

# Pair energies are multiples of this, so that adding and taking off bonds leaves no rounding behind.
BOND_GRAIN_EV = 2.0**-40

# Rows may be so much longer than what is in them to begin with a cache line.
MOST_PADDING = 1.3

MOST_SITES = 20_000_000
MOST_SPECIES = 200

# Leaves that a run starts with beyond those it needs.
SPARE = 64

_CONDITIONS = ("temperature_K", "field_V_m", "potential_V", "electrodes")


class _Channel(NamedTuple):
    """One direction of a process."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    process: Process
    number: int  # of the direction, in the order of LatticeGas.directions
    electrode_here: bool  # the electrode is at the first site


@dataclass(frozen=True, eq=False)
class LatticeGas:
    r"""Particles on a site network, exact in continuous time.

    Parameters
    ----------
    network : SiteNetwork
        Sites, and the neighbours that can exchange particles or bind to each other.
    processes : sequence of Hop, Exchange, Reaction
        What can happen; each stands for both directions.
    repeat : three int, >= 1
        Copies of the cell along each vector. Sites are numbered cell by cell, the last vector fastest, as
        :meth:`SiteNetwork.repeat` does; large boxes are built much faster here.
    site_energies : mapping of species to float or array, shape (kinds,) or (sites,), eV
        Energy of a species on each kind of site, or on each site of the box; 0 if not named.
    pair_energies : mapping of (species, species) to float or array, shape (classes,), eV
        Energy of two neighbours, for all hop classes or for each; 0 if not named. Negative binds.
    charges : mapping of species to int
        Charge number of a species relative to the empty lattice; 0 if not named.
    temperature_K : float or array, shape (sites,), K, > 0
        A hop feels the mean of its two sites.
    field_V_m : array, shape (3,), V/m
        Uniform field; acts on each hop along its own vector, across periodic boundaries too.
    potential_V : float or array, shape (sites,), V
        Potential at each site, besides the uniform field.
    electrodes : mapping of str to float or array, shape (sites,), V
        Potential of each electrode that processes name; an array where it differs from site to site.

    Raises
    ------
    InputError
        If a number, a name or a shape does not fit; if a process changes the charge and names no electrode.

    Notes
    -----
    Rejection-free (n-fold way); an event costs O(log N). Detailed balance holds to rounding by construction; rates
    are stored in single precision, which rounds a barrier by 1e-7 kT. A rate below 1e-38 Hz is zero.

    A temperature that varies is felt at the saddle, half way: particles then spread uniformly over equal sites.
    This is a choice; thermodiffusion needs a heat of transport that the model does not have.

    References
    ----------
    .. [1] A. B. Bortz, M. H. Kalos and J. L. Lebowitz, J. Comput. Phys. 17, 10 (1975).
    .. [2] D. T. Gillespie, J. Phys. Chem. 81, 2340 (1977).

    Examples
    --------
    >>> from halidrift.physics import networks
    >>> from halidrift.kmc.processes import Hop
    >>> gas = LatticeGas(networks.simple_cubic(0.587e-9), [Hop("Ag_ion", 0.27)], repeat=(8, 8, 8))
    >>> run = gas.run({"Ag_ion": 5}, events=1000, rng=1)
    >>> int(run.events[-1].sum()), int(run.amount.sel(species="Ag_ion")[-1])
    (1000, 5)
    """

    network: SiteNetwork
    processes: Sequence[Process]
    repeat: Sequence[int] = (1, 1, 1)
    site_energies: Mapping[str, ArrayLike] = field(default_factory=dict)
    pair_energies: Mapping[tuple[str, str], ArrayLike] = field(default_factory=dict)
    charges: Mapping[str, int] = field(default_factory=dict)
    temperature_K: ArrayLike = 300.0
    field_V_m: ArrayLike = (0.0, 0.0, 0.0)
    potential_V: ArrayLike = 0.0
    electrodes: Mapping[str, ArrayLike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "processes", tuple(self.processes))
        numbers = tuple(self.repeat)
        if len(numbers) != 3 or any(int(n) != n or n < 1 for n in numbers):
            raise InputError("repeat must be three whole numbers", got=numbers, allowed=">= 1")
        object.__setattr__(self, "repeat", tuple(int(n) for n in numbers))
        if any(n > 1 and not periodic for n, periodic in zip(numbers, self.network.pbc, strict=True)):
            raise InputError(
                "A vector that does not repeat was asked to", got=numbers, allowed=f"pbc {self.network.pbc}"
            )
        if self.sites > MOST_SITES:
            raise InputError("The box is too large", got=f"{self.sites} sites", allowed=f"at most {MOST_SITES}")
        if not self.processes:
            raise InputError("A lattice gas needs at least one process")
        if len(self.species) > MOST_SPECIES:
            raise InputError("Too many species", got=len(self.species), allowed=f"at most {MOST_SPECIES}")
        self._check_names()
        self._check_processes()
        _ = self._channels, self._site_energies, self._bonds, self._conditions

    # -- what there is ---------------------------------------------------------------------------------------

    @property
    def sites(self) -> int:
        """Number of sites."""
        n = self.repeat
        return n[0] * n[1] * n[2] * self.network.sites

    @cached_property
    def species(self) -> tuple[str, ...]:
        """All species of the processes, in the order in which these name them; a code of `occupation` counts here."""
        named = (s for p in self.processes for s in (*p.before, *p.after))
        return tuple(dict.fromkeys(named))

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """Every process and, where it is another one, its way back; the coordinate ``process`` of a run."""
        return tuple(label for label, *_ in self._channels)

    @property
    def irreversible(self) -> tuple[str, ...]:
        """Processes without a way back: with one of them the gas has no equilibrium."""
        return tuple(p.label for p in self.processes if not p.reversible)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the barriers and of the method."""
        keys = {key for p in self.processes for key in p.sources}
        return tuple(sorted(keys | {"Bortz1975", "Gillespie1977"}))

    @cached_property
    def positions_m(self) -> Floats:
        """Position of each site, shape (sites, 3), m."""
        cells = np.stack(np.meshgrid(*(np.arange(n) for n in self.repeat), indexing="ij"), axis=-1).reshape(-1, 3)
        return ((cells @ self.network.cell_m)[:, None] + self.network.positions_m[None]).reshape(-1, 3)

    def describe(self) -> dict[str, Any]:
        """Parameters as plain data; arrays over sites as their range, so that a trace stays small.

        Returns
        -------
        dict
            Ready for JSON.
        """

        def plain(values: ArrayLike) -> Any:
            array = np.asarray(values, dtype=float)
            if array.size <= 8:
                return array.tolist()
            return {"shape": list(array.shape), "low": float(array.min()), "high": float(array.max())}

        return {
            "network": self.network.name,
            "repeat": list(self.repeat),
            "processes": [
                {
                    "process": p.label,
                    "before": list(p.before),
                    "after": list(p.after),
                    "barrier_eV": p.intrinsic_eV,
                    "attempt_frequency_Hz": p.attempt_frequency_Hz,
                    "sources": list(p.sources),
                    "reversible": p.reversible,
                    "hop_class": list(self._classes(p)) if len(p.before) == 2 else None,
                    "electrode": p.electrode,
                }
                for p in self.processes
            ],
            "site_energies": {s: plain(v) for s, v in self.site_energies.items()},
            "pair_energies": {" ".join(pair): plain(v) for pair, v in self.pair_energies.items()},
            "charges": {s: float(q) for s, q in self.charges.items()},
            "temperature_K": plain(self.temperature_K),
            "field_V_m": plain(self.field_V_m),
            "potential_V": plain(self.potential_V),
            "electrodes": {name: plain(v) for name, v in self.electrodes.items()},
        }

    def with_conditions(self, **conditions: Any) -> LatticeGas:
        """The same gas at another temperature, field, potential or voltage of the electrodes.

        Parameters
        ----------
        **conditions
            ``temperature_K``, ``field_V_m``, ``potential_V`` or ``electrodes`` as of :class:`LatticeGas`.

        Raises
        ------
        InputError
            For anything else.
        """
        unknown = set(conditions) - set(_CONDITIONS)
        if unknown:
            raise InputError("Not a condition", got=", ".join(sorted(unknown)), allowed=", ".join(_CONDITIONS))
        other = replace(self, **conditions)
        for name in ("_topology", "_rules"):  # what conditions do not change is not built again
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def __getstate__(self) -> dict[str, Any]:
        # tables are large and quickly built: another process builds its own
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # -- checks ----------------------------------------------------------------------------------------------

    def _check_names(self) -> None:
        named = {
            "site_energies": set(self.site_energies),
            "charges": set(self.charges),
            "pair_energies": {s for pair in self.pair_energies for s in pair},
        }
        for what, names in named.items():
            unknown = names - set(self.species)
            if unknown:
                raise InputError(
                    f"{what} names a species that no process has",
                    got=", ".join(sorted(map(str, unknown))),
                    allowed=", ".join(self.species),
                )
        unused = set(self.electrodes) - set(self._wires)
        if unused:
            raise InputError(
                "electrodes names one that no process has",
                got=", ".join(sorted(unused)),
                allowed=", ".join(self._wires) or "none",
            )
        for pair in self.pair_energies:
            if len(pair) != 2:
                raise InputError("pair_energies has pairs of species as keys", got=pair, allowed='("Ag", "Ag")')
            if pair[0] != pair[1] and pair[::-1] in self.pair_energies:
                raise InputError("A pair is given twice", got=pair, allowed="one order only")
        for species, charge in self.charges.items():
            if not np.isfinite(charge):
                raise InputError(f"The charge of {species} is not a number", got=charge)

    def _check_processes(self) -> None:
        charge = {s: float(self.charges.get(s, 0)) for s in self.species}
        for p in self.processes:
            gained = sum(charge[s] for s in p.after) - sum(charge[s] for s in p.before)
            if gained != 0.0 and p.electrode is None:
                raise InputError(
                    f"Process {p.label} changes the charge",
                    got=f"{gained:+g}",
                    action="Name the electrode that its electrons go to, or correct the charges",
                )
            if p.electrode is not None and p.electrode not in self.electrodes:
                raise InputError(
                    f"Process {p.label} names an electrode without a potential",
                    got=p.electrode,
                    allowed=", ".join(self.electrodes) or "none given",
                    action="Give its potential in electrodes",
                )
            if p.electrode is not None and gained != 0.0 and np.any(np.asarray(self.field_V_m, dtype=float) != 0.0):
                raise InputError(
                    f"Process {p.label} takes charge from an electrode: a field alone has no potential there",
                    got=f"field_V_m {np.asarray(self.field_V_m).tolist()}",
                    action="Give potential_V",
                )
            if isinstance(p, Reaction):
                if p.where is not None and (
                    np.asarray(p.where).shape != (self.sites,) or np.asarray(p.where).dtype != np.bool_
                ):
                    raise InputError(
                        f"Process {p.label}: where does not fit the sites",
                        got=f"{np.asarray(p.where).dtype} {np.asarray(p.where).shape}",
                        allowed=f"bool ({self.sites},)",
                    )
            elif not set(self._classes(p)) <= set(range(self.network.classes)):
                raise InputError(
                    f"Process {p.label} names a hop class that the network does not have",
                    got=p.hop_class,
                    allowed=f"0 to {self.network.classes - 1}",
                )

    def _classes(self, p: Process) -> tuple[int, ...]:
        hop_class = getattr(p, "hop_class", None)
        if hop_class is None:
            return tuple(range(self.network.classes))
        return tuple(int(c) for c in np.atleast_1d(np.asarray(hop_class)))

    def _per_site(self, values: ArrayLike, what: str) -> Floats:
        """One value for all sites, shape (1,), or one for each."""
        array = np.asarray(values, dtype=float)
        if array.shape not in ((), (self.sites,)) or not np.isfinite(array).all():
            raise InputError(
                f"{what} does not fit the sites", got=array.shape, allowed=f"one finite number or ({self.sites},)"
            )
        return np.atleast_1d(array)

    # -- compilation -----------------------------------------------------------------------------------------

    @property
    def _wires(self) -> tuple[str, ...]:
        """Electrodes in the order of the tables, whatever the order in which their potentials are given."""
        return tuple(sorted({p.electrode for p in self.processes if p.electrode is not None}))

    @cached_property
    def _channels(self) -> tuple[tuple[str, _Channel], ...]:
        """Directions of all processes, oriented so that an empty site does not have to act."""
        found: list[tuple[str, _Channel]] = []

        def add(label: str, before: tuple[str, ...], after: tuple[str, ...], p: Process) -> None:
            here = False
            if len(before) == 2 and before[0] == EMPTY != before[1]:
                before, after, here = before[::-1], after[::-1], True
            found.append((label, _Channel(before, after, p, len(found), here)))

        for p in self.processes:
            add(p.label, p.before, p.after, p)
            swaps = len(p.before) == 2 and p.after == p.before[::-1]
            if p.reversible and not swaps:
                back = f"{' + '.join(p.after)} -> {' + '.join(p.before)}" if not p.name else f"{p.name}, back"
                add(back, p.after, p.before, p)
        labels = [label for label, _ in found]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise InputError(
                "Processes need different names", got=", ".join(sorted(twice)), action="Give each a name=..."
            )
        return tuple(found)

    @cached_property
    def _topology(self) -> dict[str, Any]:
        """Targets, wraps and vectors of all hops, in rows of equal length."""
        net, n = self.network, np.array(self.repeat)
        units, degree = net.sites, int(net.coordination.max())
        cells = np.stack(np.meshgrid(*(np.arange(k) for k in n), indexing="ij"), axis=-1).reshape(-1, 3)
        targets = np.full((len(cells), units, degree), self.sites, dtype=np.uint32)
        hop_class = np.zeros((units, degree), dtype=np.uint32)
        hop_m = np.zeros((units, degree, 3))
        images = np.zeros((units, degree, 3), dtype=np.int64)
        real = np.arange(degree)[None, :] < net.coordination[:, None]
        hop = (net.start[:-1, None] + np.arange(degree)[None, :])[real]
        hop_class[real], hop_m[real], images[real] = net.hop_class[hop], net.hop_m[hop], net.image[hop]
        wrap = np.zeros((len(cells), units, degree), dtype=np.uint8)
        shifts: dict[tuple[int, ...], int] = {(0, 0, 0): 0}
        for k in range(degree):
            sites = np.flatnonzero(real[:, k])
            end_of = net.target[net.start[sites] + k]
            # few different images even where there are many sites
            kinds, kind = np.unique(images[sites, k], axis=0, return_inverse=True)
            for number, image in enumerate(kinds):
                which = np.flatnonzero(kind.ravel() == number)
                end = cells + image
                cell = end % n
                index = (cell[:, 0] * n[1] + cell[:, 1]) * n[2] + cell[:, 2]
                targets[:, sites[which], k] = index[:, None] * units + end_of[which][None, :]
                crossed, code = np.unique((end - cell) // n, axis=0, return_inverse=True)
                codes = np.array([shifts.setdefault(tuple(map(int, c)), len(shifts)) for c in crossed])
                wrap[:, sites[which], k] = codes[code.ravel()][:, None]
        flat = targets.reshape(self.sites, degree)
        if (flat == np.arange(self.sites)[:, None]).any():
            raise InputError(
                "A site is its own neighbour",
                got=f"repeat {tuple(self.repeat)}",
                action="Repeat the cell at least twice",
            )
        if len(shifts) > 255:
            raise InputError("Hops reach too many periodic images", got=len(shifts), allowed="at most 255")
        ends = np.sort(flat, axis=1)
        return {
            "units": units,
            "degree": degree,
            "targets": flat,
            "hop_class": hop_class.ravel(),
            "hop_m": hop_m.reshape(-1, 3),
            "wrap": wrap.reshape(-1),
            "shift": np.array(list(shifts), dtype=np.int64),
            "doubled": bool(((ends[:, 1:] == ends[:, :-1]) & (ends[:, 1:] < self.sites)).any()),
        }

    @cached_property
    def _rules(self) -> _lattice_gas.Rules:
        """Processes as tables."""
        from . import _lattice_gas as kernel

        code = {s: i for i, s in enumerate(self.species)}
        n, classes = len(code) + 1, self.network.classes
        charge = np.array([float(self.charges.get(s, 0)) for s in self.species])
        electrode = {name: i for i, name in enumerate(self._wires)}
        exchanges = [(c, self._classes(c.process)) for _, c in self._channels if len(c.before) == 2]
        reactions = [c for _, c in self._channels if len(c.before) == 1]
        # directions that do the same along different hop classes share a column of the rows
        columns: list[list[tuple[_Channel, tuple[int, ...]]]] = []
        for channel, along in exchanges:
            for column in columns:
                first = column[0][0]
                same = (
                    (first.before, first.after) == (channel.before, channel.after)
                    and first.process.electrode == channel.process.electrode
                    and first.electrode_here == channel.electrode_here
                )
                if same and not any(set(along) & set(other) for _, other in column):
                    column.append((channel, along))
                    break
            else:
                columns.append([(channel, along)])
        x, r = len(columns), len(reactions)
        first_exchange = np.full((n, n), kernel.NONE, np.int32)
        next_exchange = np.full(x, kernel.NONE, np.int32)
        table = np.zeros((x, 8), np.int32)
        gained = np.zeros((x, 2))
        barrier, attempt = np.full((x, classes), np.inf), np.zeros((x, classes))
        process = np.zeros((x, classes), np.int32)
        owner = np.zeros(n, np.int8)
        for i, column in enumerate(columns):
            before, after, p, _, here = column[0][0]
            a, b, c, d = (code[s] for s in (*before, *after))
            label = kernel.SWAPS if (c, d) == (b, a) else kernel.STAYS
            wire = electrode[p.electrode] if p.electrode is not None else kernel.NONE
            table[i] = a, b, c, d, wire, 0 if here else 1, label, 0
            gained[i] = charge[c] - charge[a], charge[d] - charge[b]
            for channel, along in column:
                # two alike neighbours that become two alike ones would be counted from both ends
                half = 0.5 if a == b and c == d else 1.0
                for h in along:
                    barrier[i, h] = channel.process.intrinsic_eV
                    attempt[i, h] = half * channel.process.attempt_frequency_Hz
                    process[i, h] = channel.number
            _append(first_exchange, (a, b), next_exchange, i)
            owner[a] = 1
        first_reaction = np.full(n, kernel.NONE, np.int32)
        next_reaction = np.full(r, kernel.NONE, np.int32)
        r_table, r_gained = np.zeros((r, 4), np.int32), np.zeros(r)
        r_barrier, r_attempt = np.zeros(r), np.zeros(r)
        where = np.ones((r, self.sites), np.bool_)
        for i, channel in enumerate(reactions):
            a, c, p = code[channel.before[0]], code[channel.after[0]], channel.process
            assert isinstance(p, Reaction)
            r_table[i] = a, c, electrode[p.electrode] if p.electrode is not None else kernel.NONE, channel.number
            r_gained[i] = charge[c] - charge[a]
            r_barrier[i], r_attempt[i] = p.intrinsic_eV, p.attempt_frequency_Hz
            if p.where is not None:
                where[i] = p.where
            _append(first_reaction, (a,), next_reaction, i)
            owner[a] = max(owner[a], 1 if p.where is None else 2) if owner[a] != 1 else 1
        for a in range(n - 1):  # one reaction everywhere is enough
            if owner[a] == 2 and any(where[i].all() for i in range(r) if r_table[i, 0] == a):
                owner[a] = 1
        # a neighbour matters to a species if other exchanges follow from it
        sees = np.moveaxis(first_exchange[:, :, None] != first_exchange[:, None, :], 0, 2).copy()
        return kernel.Rules(
            first_exchange, next_exchange, table, gained, barrier, attempt, process,
            first_reaction, next_reaction, r_table, r_gained, r_barrier, r_attempt, where,
            owner, sees, np.asarray((first_exchange >= 0).any(axis=0)),
            np.zeros(n, np.bool_), np.zeros(len(self.directions), np.bool_),
        )  # fmt: skip

    @cached_property
    def _site_energies(self) -> tuple[Floats, NDArray[np.int32]]:
        """Energy of each species in each row of the table, and the row of each site."""
        kinds = len(self.network.multiplicity)
        kind = np.tile(self.network.kind, self.sites // self.network.sites)
        given = {s: np.asarray(v, dtype=float) for s, v in self.site_energies.items()}
        for species, values in given.items():
            if values.shape not in ((), (kinds,), (self.sites,)) or not np.isfinite(values).all():
                raise InputError(
                    f"The energies of {species} do not fit the sites",
                    got=values.shape,
                    allowed=f"one finite number, ({kinds},) for the kinds or ({self.sites},) for the sites",
                )
        each = any(v.shape == (self.sites,) for v in given.values())
        rows = self.sites if each else kinds
        energy = np.zeros((len(self.species) + 1, rows))
        for i, species in enumerate(self.species):
            values = given.get(species, np.array(0.0))
            by_kind = values.shape == (kinds,) and values.shape != (self.sites,)
            energy[i] = values[kind] if each and by_kind else values
        return energy, np.arange(self.sites, dtype=np.int32) if each else kind.astype(np.int32)

    @cached_property
    def _bonds(self) -> Floats:
        """Energy of two neighbours, by hop class and both species."""
        n, classes = len(self.species) + 1, self.network.classes
        bond = np.zeros((classes, n, n))
        for (one, other), values in self.pair_energies.items():
            array = np.asarray(values, dtype=float)
            if array.shape not in ((), (classes,)) or not np.isfinite(array).all():
                raise InputError(
                    f"The pair energy of {one} and {other} does not fit the network",
                    got=array.shape,
                    allowed=f"one finite number or ({classes},) for the hop classes",
                )
            a, b = self.species.index(one), self.species.index(other)
            bond[:, a, b] = bond[:, b, a] = np.round(array / BOND_GRAIN_EV) * BOND_GRAIN_EV
        return bond

    @cached_property
    def _conditions(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Potential, field, temperature and electrode potentials."""
        vector = np.asarray(self.field_V_m, dtype=float)
        if vector.shape != (3,) or not np.isfinite(vector).all():
            raise InputError("field_V_m must be a finite vector", got=np.shape(self.field_V_m), allowed="(3,)")
        temperature = self._per_site(self.temperature_K, "temperature_K")
        if temperature.min() <= 0:
            raise InputError("temperature_K is out of range", got=f"{temperature.min():g} K", allowed="> 0 K")
        potentials = [self._per_site(self.electrodes[name], f"The potential of {name}") for name in self._wires]
        wires = np.stack(np.broadcast_arrays(*potentials)) if potentials else np.zeros((1, 1))
        return self._per_site(self.potential_V, "potential_V"), vector, temperature, wires

    def _landscape(self, towards: LatticeGas) -> _lattice_gas.Landscape:
        from . import _lattice_gas as kernel

        def both(one: Floats, other: Floats) -> Floats:
            shape = np.broadcast_shapes(one.shape, other.shape)  # an electrode may vary over sites at one end only
            return np.stack([np.broadcast_to(one, shape), np.broadcast_to(other, shape)])

        pairs = [both(one, other) for one, other in zip(self._conditions, towards._conditions, strict=True)]
        potential, vector, temperature, wires = pairs
        energy, row = self._site_energies
        bond = self._bonds
        bonded = np.any(bond[:, :, None, :] != bond[:, None, :, :], axis=(0, 3))
        a, b, c, d = self._rules.exchange[:, :4].T
        # with `bonding` of both sites, each still sees the other as it was
        between = bond[:, c, d] - bond[:, c, b] - bond[:, d, a] + bond[:, a, b]
        return kernel.Landscape(
            energy, row, bond, between, bonded, bool(bond.any()), potential, vector, temperature, wires
        )

    def _sites(self) -> _lattice_gas.Sites:
        """Rows of all sites: neighbours, and room for the rates."""
        from . import _lattice_gas as kernel
        from . import _selection as selection

        top, rules = self._topology, self._rules
        degree = top["degree"]
        used = degree * (1 + len(rules.next_exchange)) + 1 + len(rules.next_reaction)
        line = selection.LINE_BYTES // 4
        words = -(-used // line) * line  # whole cache lines, unless they would stand half empty
        if words > MOST_PADDING * used:
            words = -(-used // 4) * 4
        row = selection.aligned((self.sites + 1) * words, np.uint32)
        table = row.reshape(self.sites + 1, words)
        table[:-1, :degree] = top["targets"]
        table[:, degree] = kernel.NO_LEAF
        return kernel.Sites(
            np.uint64(self.sites), np.uint64(top["units"]), np.uint64(degree), np.uint64(words),
            row, row.view(np.float32),
            top["hop_class"], top["hop_m"], top["wrap"], top["shift"], top["doubled"],
        )  # fmt: skip

    # -- configurations --------------------------------------------------------------------------------------

    def _codes(self, initial: Initial, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Code of the species on each site."""
        if isinstance(initial, xr.Dataset):
            if tuple(initial.get("species", xr.DataArray([])).values.tolist()) != self.species:
                raise InputError("The earlier run has other species", allowed=", ".join(self.species))
            occupation = initial["occupation"]
            codes = occupation.isel(time=-1).values if "time" in occupation.dims else occupation.values
        elif isinstance(initial, Mapping):
            return self._scatter(cast(Mapping[str, int], initial), rng)
        else:
            codes = np.asarray(initial)
            if codes.dtype.kind in "UO":
                unknown = set(codes.ravel().tolist()) - set(self.species)
                if unknown:
                    raise InputError(
                        "Unknown species", got=", ".join(sorted(map(str, unknown))), allowed=", ".join(self.species)
                    )
                number = {s: i for i, s in enumerate(self.species)}
                codes = np.array([number[s] for s in codes.ravel().tolist()]).reshape(codes.shape)
        if codes.shape != (self.sites,) or codes.dtype.kind not in "iu":
            raise InputError(
                "The configuration does not fit the sites",
                got=f"{codes.dtype} {codes.shape}",
                allowed=f"({self.sites},) names or codes of species, or numbers of particles",
            )
        if codes.min() < 0 or codes.max() >= len(self.species):
            raise InputError(
                "The configuration has a code without a species",
                got=f"{codes.min()} to {codes.max()}",
                allowed=f"0 to {len(self.species) - 1}: " + ", ".join(self.species),
            )
        return codes.astype(np.uint8)

    def _scatter(self, amounts: Mapping[str, int], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Particles on random sites."""
        for species, n in amounts.items():
            if species not in self.species:
                raise InputError("Unknown species", got=species, allowed=", ".join(self.species))
            if int(n) != n or n < 0:
                raise InputError(f"The number of {species} must be a whole number", got=n, allowed=">= 0")
        left = self.sites - sum(int(n) for n in amounts.values())
        others = [s for s in self.species if s not in amounts]
        rest = EMPTY if EMPTY in others else others[0] if len(others) == 1 else None
        if left < 0 or (left > 0 and rest is None):
            raise InputError(
                "The particles do not fill the sites",
                got=f"{self.sites - left} on {self.sites} sites",
                action="Name the species of all other sites, or give the configuration itself",
            )
        codes = np.repeat(
            [self.species.index(s) for s in (*amounts, *([rest] if left else []))],
            [int(n) for n in (*amounts.values(), *([left] if left else []))],
        )
        return rng.permutation(codes).astype(np.uint8)

    def energy_eV(self, configuration: ArrayLike) -> float:
        """Energy of a configuration, without the electrons in electrodes, eV.

        Parameters
        ----------
        configuration : array, shape (sites,)
            Names or codes of the species.

        Raises
        ------
        InputError
            If the configuration does not fit, or there is a uniform field: across periodic boundaries it has no
            potential.
        """
        if np.any(self._conditions[1] != 0.0):
            raise InputError(
                "A uniform field has no energy", got=self._conditions[1].tolist(), action="Give potential_V"
            )
        codes = self._codes(configuration, generator(0))
        energy, row = self._site_energies
        total = energy[codes, row].sum()
        charge = np.array([float(self.charges.get(s, 0)) for s in self.species])
        total += (charge[codes] * self._conditions[0]).sum()
        top = self._topology
        padded = np.append(codes, len(self.species))
        hop_class = np.tile(top["hop_class"].reshape(top["units"], -1), (self.sites // top["units"], 1))
        total += 0.5 * self._bonds[hop_class, codes[:, None], padded[top["targets"]]].sum()
        return float(total)

    def possible(self, configuration: ArrayLike) -> xr.Dataset:
        """All that can happen in a configuration.

        Parameters
        ----------
        configuration : array, shape (sites,)
            Names or codes of the species.

        Returns
        -------
        xarray.Dataset
            Dimension ``event``: ``process`` (index in `directions`), ``site``, ``neighbour`` (-1 for a reaction),
            ``energy_change`` in eV and ``rate`` in Hz.

        Raises
        ------
        InputError
            If the configuration does not fit.

        Examples
        --------
        >>> from halidrift.physics import networks
        >>> from halidrift.kmc.processes import Hop
        >>> gas = LatticeGas(networks.simple_cubic(1e-9), [Hop("V", 0.3, into="Br")], repeat=(3, 3, 3))
        >>> configuration = ["Br"] * 26 + ["V"]
        >>> gas.possible(configuration).sizes["event"]
        6
        """
        from . import _lattice_gas as kernel

        codes = np.append(self._codes(configuration, generator(0)), np.uint8(len(self.species)))
        sites, land = self._sites(), self._landscape(self)
        bonding = np.zeros((len(codes), len(self.species)) if land.has_bonds else (1, 1))
        if land.has_bonds:
            kernel.bond_all(sites, land, codes, bonding)
        tables = (sites, self._rules, land, codes, bonding, 0.0)
        place, value = np.zeros((0, 3), np.int64), np.zeros((0, 2))
        n = kernel.list_events(*tables, place, value)
        place, value = np.zeros((n, 3), np.int64), np.zeros((n, 2))
        kernel.list_events(*tables, place, value)
        return xr.Dataset(
            {
                "process": ("event", place[:, 2], {"units": "1"}),
                "site": ("event", place[:, 0], {"units": "1"}),
                "neighbour": ("event", place[:, 1], {"units": "1"}),
                "energy_change": ("event", value[:, 0], {"units": "eV"}),
                "rate": ("event", value[:, 1], {"units": "Hz"}),
            },
            attrs={"processes": json.dumps(self.directions)},
        )

    # -- runs ------------------------------------------------------------------------------------------------

    def run(
        self,
        initial: Initial,
        *,
        time_s: float | None = None,
        events: int | None = None,
        times_s: ArrayLike | None = None,
        until: str | Sequence[str] = (),
        towards: LatticeGas | None = None,
        step_eV: float = 2e-3,
        track: str | Sequence[str] = (),
        snapshots: bool = True,
        most_events: int = 10**10,
        rng: Rng = None,
    ) -> xr.Dataset:
        """Run the gas.

        Parameters
        ----------
        initial : mapping, array or Dataset
            Numbers of particles, put on random sites; or names or codes of the species on each site; or an earlier
            run of the same gas, perhaps under other conditions, which goes on where it ended, with its labels if it
            tracked the same species.
        time_s : float, s, > 0
            Length of the run; or
        events : int, >= 1
            number of events after which it ends.
        times_s : array, s
            Instants to report, from the start of this run and rising; by default its start and its end.
        until : str or sequence of str
            Processes, as in `directions`: the run ends with the first event of one of them, if that comes before its
            end. It then reports its start and its end only.
        towards : LatticeGas, optional
            Conditions change linearly from those of this gas to those of the other, which is the same gas
            ``with_conditions``; needs `time_s`.
        step_eV : float, eV, > 0
            Conditions are held within steps in which no energy changes by more than this, each at its middle.
        track : str or sequence of str
            Species whose particles are labelled and followed.
        snapshots : bool
            Keep the occupation at every instant; otherwise only at the last.
        most_events : int
            More events between start and end are an error.
        rng : int, numpy.random.Generator or None
            Seed or generator.

        Returns
        -------
        xarray.Dataset
            Over ``time``: ``occupation`` (time, site), codes of `species`; ``amount`` (time, species);
            ``events`` (time, process) since the start. With `track`: ``displacement`` (time, particle, axis), not
            folded back, NaN once a particle is gone, and ``particle_site`` (particle) at the end.

        Raises
        ------
        InputError
            If an argument does not fit.
        ConvergenceError
            If more than `most_events` happen.
        ValidityError
            If a number of events is asked for and nothing can happen any more.

        Notes
        -----
        Instants of report do not change what happens between them: waiting times go on across them. At a step of a
        ramp they are drawn anew, which is exact for an exponential distribution. Held in the middle, a rate that
        grows as exp(g t) is right to second order, (g dt)^2 / 24 in steps of dt.

        A labelled particle keeps its label when it hops, and when a reaction turns it into another tracked species.
        """
        from . import _lattice_gas as kernel

        last_event, instants = self._plan(time_s, events, times_s, most_events)
        ends = (until,) if isinstance(until, str) else tuple(until)
        if set(ends) - set(self.directions):
            raise InputError("No such process", got=", ".join(ends), allowed=", ".join(self.directions))
        if ends and times_s is not None:
            raise InputError("A run until a process reports its start and its end", got="times_s", allowed="time_s")
        if towards is not None and (events is not None or not self._same_gas(towards)):
            raise InputError(
                "towards must be this gas with_conditions(...), and needs time_s", got=type(towards).__name__
            )
        if not (np.isfinite(step_eV) and step_eV > 0):
            raise InputError("step_eV is out of range", got=f"{step_eV:g} eV", allowed="> 0 eV")
        followed = (track,) if isinstance(track, str) else tuple(track)
        unknown = set(followed) - set(self.species)
        if unknown:
            raise InputError("Unknown species", got=", ".join(sorted(unknown)), allowed=", ".join(self.species))
        stream = generator(rng)
        seed = describe(stream)
        codes = self._codes(initial, stream)
        particles, origin = self._labels(initial, codes, followed)
        steps = 1 if towards is None else self._steps(towards, step_eV)
        live, sites, rules, land, state = self._begin(codes, particles, followed, towards or self, steps)
        tracking = True if len(particles) else None
        rules.stops[:] = np.isin(self.directions, ends)
        record = _Record(self, len(instants), snapshots, particles, origin)
        span = instants[-1]
        report, held = 0, -1
        while True:
            # the step of the ramp in which the clock stands
            step = min(int(state.clock[kernel.TIME] / span * steps * (1 + 1e-12)), steps - 1) if steps > 1 else 0
            if step != held:
                held = step
                state.clock[kernel.FRACTION] = (step + 0.5) / steps
                kernel.refresh_all(live, sites, rules, land, state)
                state.clock[kernel.WAIT] = -1.0
            while report < len(instants) and instants[report] <= state.clock[kernel.TIME]:
                record.take(report, state)
                report += 1
            if report == len(instants):
                break
            t_end = instants[report]
            if steps > 1 and step < steps - 1:
                t_end = min(t_end, (step + 1) / steps * span)
            status = kernel.advance(t_end, last_event, live, tracking, sites, rules, land, state, stream)
            if status == kernel.FULL:
                state = _grow(state)
            elif status == kernel.STOPPED:
                instants[report:] = state.clock[kernel.TIME]
            elif status == kernel.EVENTS_DONE:
                if events is None:
                    raise ConvergenceError(
                        "Too many events",
                        got=f"{most_events} at {state.clock[kernel.TIME]:.6g} s",
                        action="Shorten the run or raise most_events",
                    )
                instants[report:] = state.clock[kernel.TIME]
            elif status == kernel.NOTHING_HAPPENS:
                raise ValidityError(
                    "Nothing can happen any more",
                    got=f"{state.tally[kernel.EVENTS]} events until {state.clock[kernel.TIME]:.6g} s",
                    allowed=f"{events} events",
                    action="Give time_s instead of events",
                )
        return record.dataset(instants, initial, seed, followed, towards)

    def _begin(
        self,
        codes: NDArray[np.uint8],
        particles: NDArray[np.int64],
        followed: tuple[str, ...],
        towards: LatticeGas,
        steps: int,
    ) -> tuple[bool | None, _lattice_gas.Sites, _lattice_gas.Rules, _lattice_gas.Landscape, _lattice_gas.State]:
        """Tables and state for the kernel, whose rates are not yet summed; whether rows are computed as needed."""
        from . import _lattice_gas as kernel

        sites, land = self._sites(), self._landscape(towards)
        tracked = np.array([*(s in followed for s in self.species), False])
        table = self._rules.exchange.copy()
        for row in table:
            a, b, c, d = tracked[row[:4]]
            if row[6] != kernel.SWAPS and a and not b and d and not c:
                row[6] = kernel.GOES
            elif row[6] != kernel.SWAPS and b and not a and c and not d:
                row[6] = kernel.COMES
        rules = self._rules._replace(exchange=table, tracked=tracked, stops=np.zeros_like(self._rules.stops))
        state = _state(codes, particles, len(self.directions), sites, rules, land.has_bonds)
        if land.has_bonds:
            kernel.bond_all(sites, land, state.occupation, state.bonding)
        live = True if land.has_bonds or steps > 1 else None
        state.clock[kernel.FRACTION] = 0.5  # the middle of a ramp of one step
        if not live:
            kernel.fill_rows(sites, rules, land, state.bonding, 0.5)
        return live, sites, rules, land, state

    def _plan(
        self, time_s: float | None, events: int | None, times_s: ArrayLike | None, most_events: int
    ) -> tuple[int, Floats]:
        """Number of the last event, and the instants to report."""
        if (events is not None) == (time_s is not None or times_s is not None):
            raise InputError(
                "Give the length of the run once",
                got=f"time_s={time_s!r}, times_s={times_s!r}, events={events!r}",
                allowed="events, or time_s and times_s",
            )
        if events is not None:
            if int(events) != events or not 1 <= events <= 2**62:
                raise InputError("events must be a whole number", got=events, allowed=">= 1")
            return int(events), np.array([0.0, np.inf])
        if time_s is not None and not (np.isfinite(time_s) and time_s > 0):
            raise InputError("time_s is out of range", got=f"{time_s:g} s", allowed="> 0 s")
        instants = np.array([0.0, time_s]) if times_s is None else np.array(times_s, dtype=float)
        if instants.ndim != 1 or not len(instants) or not np.isfinite(instants).all() or np.any(np.diff(instants) <= 0):
            raise InputError("times_s must be rising instants", got=instants.shape)
        if instants[0] < 0 or (time_s is not None and instants[-1] > time_s) or instants[-1] <= 0:
            raise InputError("times_s does not fit the run", got=f"{instants[0]:g} to {instants[-1]:g} s")
        if time_s is not None and instants[-1] < time_s:
            instants = np.append(instants, time_s)
        if int(most_events) != most_events or most_events < 1:
            raise InputError("most_events must be a whole number", got=most_events, allowed=">= 1")
        return int(most_events), instants

    def _same_gas(self, other: LatticeGas) -> bool:
        return (
            isinstance(other, LatticeGas)
            and all(
                getattr(self, name) is getattr(other, name)
                for name in self.__dataclass_fields__
                if name not in (*_CONDITIONS, "processes", "repeat")
            )
            and self.processes == other.processes
            and self.repeat == other.repeat
        )

    def _steps(self, towards: LatticeGas, step_eV: float) -> int:
        """Steps of a ramp in which no barrier changes by more than step_eV, temperature counted as energy."""
        (phi, vector, T, wires), (phi2, vector2, T2, wires2) = self._conditions, towards._conditions
        rules = self._rules
        moved = max(np.abs(rules.exchange_charge).max(initial=0.0), np.abs(rules.reaction_charge).max(initial=0.0))
        drop = np.abs(self._topology["hop_m"] @ (vector2 - vector)).max()
        rise = 2.0 * np.abs(phi2 - phi).max() + drop + np.abs(wires2 - wires).max()
        highest = max(p.intrinsic_eV for p in self.processes)
        heat = highest * np.abs(np.log(T2 / T)).max()
        return max(1, int(np.ceil((moved * rise + heat) / step_eV)))

    def _labels(
        self, initial: Initial, codes: NDArray[np.uint8], followed: tuple[str, ...]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Site of each labelled particle, and how far each had come in an earlier run."""
        if not followed:
            return np.empty(0, np.int64), np.empty((0, 3))
        if isinstance(initial, xr.Dataset) and initial.attrs.get("track") == json.dumps(followed):
            site = initial["particle_site"].values.astype(np.int64)
            return site, initial["displacement"].isel(time=-1).values.astype(float)
        site = np.flatnonzero(np.isin(codes, [self.species.index(s) for s in followed]))
        return site, np.zeros((len(site), 3))

    def ensemble(
        self,
        initial: Initial,
        replicas: int,
        *,
        rng: Rng = None,
        processes: int = 1,
        **options: Any,
    ) -> xr.Dataset:
        """Run independent replicas.

        Parameters
        ----------
        initial : mapping, array or Dataset
            As of :meth:`run`; particles given by number are put on other sites in each replica.
        replicas : int, >= 1
        rng : int, numpy.random.Generator or None
            Each replica draws from its own child stream: its numbers depend neither on `processes` nor on how many
            replicas run beside it.
        processes : int, >= 1
            Worker processes.
        **options
            All other arguments of :meth:`run`.

        Returns
        -------
        xarray.Dataset
            The runs stacked along ``replica``. With `events` or `until` they end at different times: then ``instant``
            (replica, time) holds these, and ``time`` has no coordinate.

        Raises
        ------
        InputError
            If an argument does not fit.
        """
        for name, number in (("replicas", replicas), ("processes", processes)):
            if int(number) != number or number < 1:
                raise InputError(f"{name} must be a positive whole number", got=number, allowed=">= 1")
        parent = generator(rng)
        seed = describe(parent)
        streams = parent.spawn(int(replicas))
        if processes == 1:
            runs = [_replica(self, initial, options, stream) for stream in streams]
        else:
            # spawn, not fork: numba's and BLAS' threads do not survive a fork
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(min(int(processes), int(replicas)), mp_context=context) as pool:
                jobs = [pool.submit(_replica, self, initial, options, stream) for stream in streams]
                runs = [job.result() for job in jobs]
        stacked = xr.concat(runs, dim="replica", combine_attrs="drop_conflicts", data_vars="all", join="exact")
        stacked.attrs["seed"] = seed
        return stacked.assign_coords(replica=("replica", np.arange(len(runs)), {"units": "1"}))


def _append(first: NDArray[np.int32], key: tuple[int, ...], following: NDArray[np.int32], number: int) -> None:
    """Append a process to the list of its states."""
    if first[key] < 0:
        first[key] = number
        return
    last = int(first[key])
    while following[last] >= 0:
        last = int(following[last])
    following[last] = number


def _replica(gas: LatticeGas, initial: Any, options: dict[str, Any], stream: np.random.Generator) -> xr.Dataset:
    """One replica; where its end is an event, its instants are data, not an index."""
    run = gas.run(initial, rng=stream, **options)
    if options.get("events") is None and not options.get("until"):
        return run
    instant = run["time"].variable
    return run.drop_vars("time").assign(instant=("time", instant.values, instant.attrs))


def _state(
    codes: NDArray[np.uint8], particles: NDArray[np.int64], processes: int, sites: Any, rules: Any, bonds: bool
) -> Any:
    """State of the kernel at the start of a run: every site that can act has a leaf, in the order of the sites."""
    from . import _lattice_gas as kernel
    from . import _selection as selection

    n = len(codes)
    outside = len(rules.owner) - 1
    occupation = np.append(codes, np.uint8(outside))
    owns = rules.owner[codes] == 1
    for r in range(len(rules.where)):
        owns |= (codes == rules.reaction[r, 0]) & rules.where[r]
    acting = np.flatnonzero(owns)
    label = np.full(n + 1 if len(particles) else 1, kernel.NONE, np.int32)
    alive = particles >= 0
    label[particles[alive]] = np.flatnonzero(alive)
    words, degree = int(sites.words), int(sites.degree)
    sites.row.reshape(n + 1, words)[acting, degree] = np.arange(len(acting))
    levels = selection.levels_for(len(acting) + SPARE)
    site_of = np.zeros(4**levels, np.uint32)
    site_of[: len(acting)] = acting
    tally = np.zeros(kernel.TALLY_SIZE, np.int64)
    tally[kernel.LEAVES], tally[kernel.LEVELS] = len(acting), levels
    clock = np.zeros(kernel.CLOCK_SIZE)
    clock[kernel.WAIT] = -1.0
    return kernel.State(
        occupation, site_of, selection.empty_tree(levels),
        np.zeros((n + 1, outside) if bonds else (1, 1)), np.full(n + 1 if bonds else 1, -1, np.int64),
        np.zeros(2 * (1 + degree + degree * degree), np.uint32), label,
        np.zeros((len(particles), 3), np.int64), clock, tally, np.zeros(processes, np.int64),
    )  # fmt: skip


def _grow(state: Any) -> Any:
    """The same state with room for four times as many leaves."""
    from . import _lattice_gas as kernel
    from . import _selection as selection

    levels, n = int(state.tally[kernel.LEVELS]), int(state.tally[kernel.LEAVES])
    old, new = selection.first_leaf(levels) + selection.ROOT, selection.first_leaf(levels + 1) + selection.ROOT
    tree = selection.empty_tree(levels + 1)
    tree[new : new + n] = state.tree[old : old + n]
    selection.sum_up(tree)
    site_of = np.zeros(4 ** (levels + 1), np.uint32)
    site_of[:n] = state.site_of[:n]
    state.tally[kernel.LEVELS] = levels + 1
    return state._replace(tree=tree, site_of=site_of)


class _Record:
    """What a run reports, instant by instant."""

    def __init__(self, gas: LatticeGas, instants: int, snapshots: bool, particles: NDArray[np.int64], origin: Floats):
        self.gas, self.snapshots, self.start, self.origin = gas, snapshots, particles, origin
        self.occupation = np.zeros((instants if snapshots else 1, gas.sites), np.uint8)
        self.amount = np.zeros((instants, len(gas.species)), np.int64)
        self.events = np.zeros((instants, len(gas.directions)), np.int64)
        self.displacement = np.full((instants, len(particles), 3), np.nan)
        self.site = particles
        self.cell = gas.network.cell_m * np.array(gas.repeat)[:, None]

    def take(self, instant: int, state: Any) -> None:
        """Write down the state at an instant."""
        codes = state.occupation[:-1]
        self.occupation[instant if self.snapshots else 0] = codes
        self.amount[instant] = np.bincount(codes, minlength=len(self.gas.species))
        self.events[instant] = state.done
        if len(self.start):
            occupied = np.flatnonzero(state.label[:-1] >= 0)
            self.site = np.full(len(self.start), -1)
            self.site[state.label[occupied]] = occupied
            alive = self.site >= 0
            r = self.gas.positions_m
            moved = r[self.site[alive]] - r[self.start[alive]] + state.image[alive] @ self.cell
            self.displacement[instant, alive] = moved + self.origin[alive]

    def dataset(
        self, instants: Floats, initial: Any, seed: str, followed: tuple[str, ...], towards: LatticeGas | None
    ) -> xr.Dataset:
        """All of it."""
        from .. import __version__

        gas = self.gas
        before = float(initial["time"][-1]) if isinstance(initial, xr.Dataset) and "time" in initial.coords else 0.0
        occupation = (("time", "site"), self.occupation) if self.snapshots else ("site", self.occupation[0])
        data: dict[str, Any] = {
            "occupation": (*occupation, {"units": "1", "long_name": "code of the species"}),
            "amount": (("time", "species"), self.amount, {"units": "1", "long_name": "particles"}),
            "events": (("time", "process"), self.events, {"units": "1", "long_name": "events since the start"}),
        }
        coordinates: dict[str, Any] = {
            "time": ("time", before + instants, {"units": "s", "long_name": "time"}),
            "species": list(gas.species),
            "process": list(gas.directions),
        }
        if len(self.start):
            data["displacement"] = (
                ("time", "particle", "axis"), self.displacement, {"units": "m", "long_name": "displacement"},
            )  # fmt: skip
            data["particle_site"] = ("particle", self.site, {"units": "1", "long_name": "site at the end, -1 if gone"})
            coordinates["axis"] = ["x", "y", "z"]
        attributes = {
            "model": "LatticeGas",
            "version": __version__,
            "seed": seed,
            "sources": json.dumps(gas.sources),
            "parameters": json.dumps(gas.describe(), sort_keys=True),
            "irreversible": json.dumps(gas.irreversible),
            "track": json.dumps(followed),
        }
        if towards is not None:
            attributes["towards"] = json.dumps({k: v for k, v in towards.describe().items() if k in _CONDITIONS})
        return xr.Dataset(data, coords=coordinates, attrs=attributes)
