"""Defects in a crystal: vacancies, interstitials, and the hops that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crystals import CLOSEST_ANGSTROM, HALIDES, METALS, elements
from .errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "Hop",
    "hops",
    "vacancy_hop",
    "with_interstitial",
    "with_vacancy",
]

Floats = NDArray[np.float64]


def _vacancy_element(atoms: Atoms, species: str) -> str:
    element = species[2:] if species.startswith("V_") else species
    if element not in set(atoms.get_chemical_symbols()):
        raise InputError(
            "The crystal cannot have this vacancy",
            got=species,
            allowed=", ".join(f"V_{s}" for s in sorted(set(atoms.get_chemical_symbols()))),
        )
    return element


def with_vacancy(atoms: Atoms, index: int) -> Atoms:
    """The crystal without one atom.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, 0 <= index < len(atoms)

    Raises
    ------
    InputError
        If there is no such atom.

    Examples
    --------
    >>> from halidrift.physics.crystals import perovskite
    >>> with_vacancy(perovskite("CsPbBr3", repeat=(2, 2, 2)), 39).get_chemical_formula("metal")
    'Cs8Pb8Br23'
    """
    if int(index) != index or not 0 <= index < len(atoms):
        raise InputError("No such atom", got=index, allowed=f"0 to {len(atoms) - 1}")
    result: Atoms = atoms.copy()
    del result[int(index)]
    return result


def with_interstitial(atoms: Atoms, symbol: str, position: ArrayLike | str, which: int = 0) -> Atoms:
    """The crystal with one atom more.

    Parameters
    ----------
    atoms : ase.Atoms
    symbol : str
        Element of the interstitial.
    position : three float, angstrom, or 'window'
        Cartesian position; ``window`` is the middle of a square of four halides between two A sites, half way
        between two metal atoms on its diagonal.
    which : int, >= 0
        Which window, in order of distance from the first metal atom.

    Returns
    -------
    ase.Atoms
        The interstitial is the last atom.

    Raises
    ------
    InputError
        If the element is unknown, the site has no such name, or another atom is closer than 0.7 angstrom.

    Examples
    --------
    >>> from halidrift.physics.crystals import perovskite
    >>> cell = with_interstitial(perovskite("CsPbBr3", repeat=(2, 2, 2)), "Ag", "window")
    >>> float(round(cell.get_distances(40, range(40), mic=True).min(), 3))
    2.937
    """
    from ase import Atoms
    from ase.geometry import get_distances

    if symbol not in elements():
        raise InputError("Unknown element", got=symbol, allowed="a chemical symbol")
    if isinstance(position, str):
        if position != "window":
            raise InputError("Unknown interstitial site", got=position, allowed="window, or a position in angstrom")
        place = _window(atoms, which)
    else:
        place = np.asarray(position, dtype=float)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise InputError("position must be three numbers", got=np.asarray(position).tolist(), allowed="angstrom")
    nearest = float(get_distances(place[None], atoms.positions, cell=atoms.cell, pbc=atoms.pbc)[1].min())
    if nearest < CLOSEST_ANGSTROM:
        raise InputError(
            "The interstitial lies on an atom", got=f"{nearest:.2f} angstrom", allowed=f">= {CLOSEST_ANGSTROM} angstrom"
        )
    result: Atoms = atoms.copy()
    result += Atoms([symbol], positions=[place])
    return result


def _window(atoms: Atoms, which: int) -> Floats:
    from ase.neighborlist import neighbor_list

    symbols = np.array(atoms.get_chemical_symbols())
    metals = np.flatnonzero(np.isin(symbols, METALS))
    if len(metals) == 0:
        raise InputError(
            "Windows are defined by metal atoms", got=sorted(set(symbols.tolist())), allowed=", ".join(METALS)
        )
    sublattice = atoms[metals]
    reach = 3.0 * float((sublattice.cell.volume / len(metals)) ** (1 / 3))
    first, length, vector = neighbor_list("idD", sublattice, reach)
    length, vector = length[first == 0], vector[first == 0]
    nearest = length.min()
    # metal atoms across a window: sqrt 2 of the nearest, in tilted crystals too
    across = np.flatnonzero(np.abs(length / nearest - np.sqrt(2.0)) < 0.1 * np.sqrt(2.0))
    across = across[np.lexsort((vector[across, 0], vector[across, 1], vector[across, 2], np.round(length[across], 3)))]
    if int(which) != which or not 0 <= which < len(across):
        raise InputError("No such window", got=which, allowed=f"0 to {len(across) - 1}")
    return np.asarray(sublattice.positions[0] + 0.5 * vector[across[int(which)]], dtype=float)


# -- hops ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hop:
    """One class of symmetry-equivalent hops of a vacancy.

    Attributes
    ----------
    index : int
        Number by which :func:`vacancy_hop` finds it; the hop class of the site network.
    length_angstrom : float
    multiplicity : int
        Hops of this class out of the site that `start` stands for.
    start, end : int
        Atoms on the two sites of one such hop: the vacancy moves from `start` to `end`, the atom `end` to `start`.
    vector_angstrom : tuple of float
        From `start` to `end`, through the cell boundary if that is shorter.
    kinds : tuple of int
        Kinds of the two sites; unequal kinds have different vacancy energies.
    """

    index: int
    length_angstrom: float
    multiplicity: int
    start: int
    end: int
    vector_angstrom: tuple[float, float, float]
    kinds: tuple[int, int]


def hops(atoms: Atoms, species: str, cutoff_angstrom: float | None = None) -> tuple[Hop, ...]:
    """Symmetry-inequivalent hops of a vacancy, shortest first.

    Parameters
    ----------
    atoms : ase.Atoms
        The perfect crystal.
    species : str
        ``V_Br``, or the element alone.
    cutoff_angstrom : float, angstrom, optional
        Longest hop. By default halides hop along the edges of the octahedra, other atoms to their first shell.

    Returns
    -------
    tuple of Hop

    Raises
    ------
    InputError
        If the crystal has no such element.

    Notes
    -----
    Organic cations are ignored where hops are compared: they stand for a disordered cation.

    Examples
    --------
    >>> from halidrift.physics.crystals import perovskite
    >>> [(hop.index, round(hop.length_angstrom, 2), hop.multiplicity) for hop in hops(perovskite("CsPbBr3"), "V_Br")]
    [(0, 4.15, 8)]
    """
    from .networks import ANGSTROM_M, from_atoms

    element = _vacancy_element(atoms, species)
    symbols = atoms.get_chemical_symbols()
    present = set(symbols)
    metal = next((m for m in METALS if m in present), None) if element in HALIDES else None
    environment = sorted(present - {"C", "N", "H"}) if "C" in present else None
    if environment is not None and element not in environment:
        raise InputError("Atoms of an organic molecule do not hop alone", got=species, allowed=", ".join(environment))
    network = from_atoms(atoms, element, cutoff_angstrom, through=metal, environment=environment)
    sites = np.flatnonzero(np.array(symbols) == element)
    source = network.source
    found = []
    for c in range(network.classes):
        e = int(np.flatnonzero(network.hop_class == c)[0])
        i, j = int(source[e]), int(network.target[e])
        kinds = int(network.kind[i]), int(network.kind[j])
        x, y, z = (float(value) for value in network.hop_m[e] / ANGSTROM_M)
        found.append(
            Hop(
                index=c,
                length_angstrom=float(network.class_length_m[c] / ANGSTROM_M),
                multiplicity=int(network.multiplicity[kinds[0], c]),
                start=int(sites[i]),
                end=int(sites[j]),
                vector_angstrom=(x, y, z),
                kinds=kinds,
            )
        )
    return tuple(found)


def vacancy_hop(atoms: Atoms, species: str, hop: int = 0, cutoff_angstrom: float | None = None) -> tuple[Atoms, Atoms]:
    """Both ends of a vacancy hop, atom by atom in the same order, for a nudged elastic band.

    Parameters
    ----------
    atoms : ase.Atoms
        The perfect crystal, large enough that the vacancy does not see its images.
    species : str
        ``V_Br``, or the element alone.
    hop : int, >= 0
        Which hop of :func:`hops`.
    cutoff_angstrom : float, angstrom, optional
        As in :func:`hops`.

    Returns
    -------
    initial, final : ase.Atoms
        One atom is gone; in `final` its neighbour has taken its place. ``info["hop"]`` names atom, vector and
        length. Unrelaxed.

    Raises
    ------
    InputError
        If the crystal has no such element or hop, or the neighbour is an image of the vacancy itself.

    Examples
    --------
    >>> from halidrift.physics.crystals import perovskite
    >>> initial, final = vacancy_hop(perovskite("CsPbBr3", repeat=(2, 2, 2)), "V_Br")
    >>> len(initial), round(float(abs(final.positions - initial.positions).max() * 2**0.5), 3)
    (39, 4.154)
    """
    choice = hops(atoms, species, cutoff_angstrom)
    if int(hop) != hop or not 0 <= hop < len(choice):
        raise InputError(
            f"No such hop of {species}",
            got=hop,
            allowed="; ".join(f"{h.index}: {h.length_angstrom:.3f} angstrom, {h.multiplicity} a site" for h in choice),
        )
    chosen = choice[int(hop)]
    if chosen.start == chosen.end:
        raise InputError(
            "The vacancy would hop onto its own image",
            got=f"a cell of {len(atoms)} atoms",
            action="Repeat the cell, at least (2, 2, 2) of a cubic one",
        )
    initial = with_vacancy(atoms, chosen.start)
    mover = chosen.end - (chosen.end > chosen.start)
    initial.info["hop"] = {
        "species": species,
        "index": chosen.index,
        "atom": mover,
        "length_angstrom": chosen.length_angstrom,
        "vector_angstrom": list(chosen.vector_angstrom),
    }
    final: Atoms = initial.copy()
    # the atom moves against the vacancy; never wrapped, so that images in between lie on a straight line
    final.positions[mover] -= np.array(chosen.vector_angstrom)
    return initial, final
