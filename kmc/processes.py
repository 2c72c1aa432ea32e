"""What the particles of a lattice gas can do: each process with its states before and after, and its barrier.

A process states no rates. Those of both directions follow from its intrinsic barrier and from the one energy that the
lattice gas has, so they are in detailed balance whatever the energies, charges and potentials are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..physics.barriers import Barrier
from ..physics.errors import InputError

__all__ = ["EMPTY", "Exchange", "Hop", "Process", "Reaction"]

EMPTY = "empty"
"""Name of a site without a particle."""


class _Step(ABC):
    """What all processes share."""

    barrier_eV: float | Barrier
    attempt_frequency_Hz: float
    name: str

    @property
    @abstractmethod
    def before(self) -> tuple[str, ...]:
        """Species on the site, and on its neighbour if that takes part."""

    @property
    @abstractmethod
    def after(self) -> tuple[str, ...]:
        """Species afterwards."""

    @property
    def label(self) -> str:
        """The name, or the states before and after."""
        return self.name or f"{' + '.join(self.before)} -> {' + '.join(self.after)}"

    @property
    def intrinsic_eV(self) -> float:
        """Barrier of a step that leaves the energy unchanged, eV."""
        return self.barrier_eV.value_eV if isinstance(self.barrier_eV, Barrier) else float(self.barrier_eV)

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the barrier, if it is a row of the database."""
        return self.barrier_eV.sources if isinstance(self.barrier_eV, Barrier) else ()

    def __post_init__(self) -> None:
        for species in (*self.before, *self.after):
            if not isinstance(species, str) or not species:
                raise InputError("A species must have a name", got=species, allowed='such as "Ag_ion" or "empty"')
        if self.before == self.after:
            raise InputError(f"Process {self.label} changes nothing", got=self.before)
        if isinstance(self.barrier_eV, Barrier) and self.barrier_eV.quantity == "formation_energy":
            raise InputError(
                f"Process {self.label}: a formation energy is no barrier",
                got=self.barrier_eV.id,
                allowed="a migration_barrier or an activation_energy",
            )
        if not (np.isfinite(self.intrinsic_eV) and self.intrinsic_eV > 0):
            raise InputError(
                f"Process {self.label}: barrier_eV is out of range", got=f"{self.intrinsic_eV:g} eV", allowed="> 0 eV"
            )
        nu = self.attempt_frequency_Hz
        if not (np.isfinite(nu) and nu > 0):
            raise InputError(
                f"Process {self.label}: attempt_frequency_Hz is out of range", got=f"{nu:g} Hz", allowed="> 0 Hz"
            )


def _pair(species: object) -> tuple[str, str]:
    if isinstance(species, str) or not isinstance(species, Sequence) or len(species) != 2:
        raise InputError("An exchange has two species before and two after", got=species, allowed='("Ag_ion", "empty")')
    return species[0], species[1]


@dataclass(frozen=True, eq=False)
class Hop(_Step):
    """A particle moves to a neighbouring site; what was there comes back in its place.

    Parameters
    ----------
    species : str
        What moves.
    barrier_eV : float or Barrier, eV, > 0
        Migration barrier between sites of equal energy. A row of the database carries its source along.
    into : str
        What it changes places with: a vacancy on a full sublattice is ``Hop("V_Br", barrier, into="Br")``.
    hop_class : int or sequence of int, optional
        Hop classes of the network that it can take; all by default.
    attempt_frequency_Hz : float, Hz, > 0
    name : str, optional

    Raises
    ------
    InputError
        If the barrier or the frequency is out of range, or a species has no name.

    Examples
    --------
    >>> Hop("Ag_ion", 0.27).label
    'Ag_ion hop'
    """

    species: str
    barrier_eV: float | Barrier
    _: KW_ONLY
    into: str = EMPTY
    hop_class: int | Sequence[int] | None = None
    attempt_frequency_Hz: float = 1e12
    name: str = ""

    electrode = None
    reversible = True

    @property
    def before(self) -> tuple[str, str]:
        """Species on the site and on its neighbour."""
        return self.species, self.into

    @property
    def after(self) -> tuple[str, str]:
        """The same two, exchanged."""
        return self.into, self.species

    @property
    def label(self) -> str:
        """The name, or the species that hops."""
        return self.name or f"{self.species} hop"


@dataclass(frozen=True, eq=False)
class Exchange(_Step):
    """Two neighbouring sites change together.

    Parameters
    ----------
    states_before, states_after : tuple of two str
        Species on a site and on its neighbour.
    barrier_eV : float or Barrier, eV, > 0
        Barrier if the energy did not change; half of the change is added, and it never falls below the change.
    hop_class : int or sequence of int, optional
        Hop classes of the network along which it happens; all by default.
    electrode : str, optional
        Where the electrons stay if the charges before and after differ. Its potential is taken at the second site:
        for ``("Ag_ion", "Ag") -> ("Ag", "Ag")`` that is the atom that hands the electron over.
    attempt_frequency_Hz : float, Hz, > 0
        If both sites are alike before and alike afterwards, both orders together have this frequency.
    reversible : bool
        False leaves the way back out; :attr:`LatticeGas.irreversible` lists it.
    name : str, optional

    Raises
    ------
    InputError
        If nothing changes, a number is out of range, or a species has no name.

    Examples
    --------
    >>> Exchange(("Ag_ion", "Ag"), ("Ag", "Ag"), 0.45, electrode="metal").label
    'Ag_ion + Ag -> Ag + Ag'
    """

    states_before: tuple[str, str]
    states_after: tuple[str, str]
    barrier_eV: float | Barrier
    _: KW_ONLY
    hop_class: int | Sequence[int] | None = None
    electrode: str | None = None
    attempt_frequency_Hz: float = 1e12
    reversible: bool = True
    name: str = ""

    @property
    def before(self) -> tuple[str, str]:
        """Species on the site and on its neighbour."""
        return _pair(self.states_before)

    @property
    def after(self) -> tuple[str, str]:
        """Species afterwards."""
        return _pair(self.states_after)


@dataclass(frozen=True, eq=False)
class Reaction(_Step):
    """One site changes: a particle is oxidised or reduced, enters or leaves.

    Parameters
    ----------
    state_before, state_after : str
        Species on the site.
    barrier_eV : float or Barrier, eV, > 0
        Barrier if the energy did not change.
    where : bool array, shape (sites,), optional
        Sites on which it happens, for instance those under an electrode; all by default.
    electrode : str, optional
        Where the electrons stay if the charge changes: ``Reaction("empty", "Ag_ion", ..., electrode="top")`` leaves
        one electron of an oxidised atom in the electrode "top".
    attempt_frequency_Hz : float, Hz, > 0
    reversible : bool
        False leaves the way back out; :attr:`LatticeGas.irreversible` lists it.
    name : str, optional

    Raises
    ------
    InputError
        If nothing changes, a number is out of range, or a species has no name.

    Examples
    --------
    >>> Reaction("empty", "Ag_ion", 0.5, electrode="top").label
    'empty -> Ag_ion'
    """

    state_before: str
    state_after: str
    barrier_eV: float | Barrier
    _: KW_ONLY
    where: ArrayLike | None = None
    electrode: str | None = None
    attempt_frequency_Hz: float = 1e12
    reversible: bool = True
    name: str = ""

    @property
    def before(self) -> tuple[str]:
        """Species on the site."""
        return (self.state_before,)

    @property
    def after(self) -> tuple[str]:
        """Species afterwards."""
        return (self.state_after,)


Process = Hop | Exchange | Reaction
