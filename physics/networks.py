"""Site networks: where a defect can sit and which hops it can make.

A network is one periodic cell of sites and the directed hops that leave them, in compressed rows: the hops of
site `i` are ``start[i]`` to ``start[i + 1]``. A hop knows the periodic cell in which it ends, so a cell in which
a site neighbours its own image keeps every hop with its own vector, and a walk on one cell is a walk on the
infinite crystal. What follows for its motion: :mod:`halidrift.physics.transport`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csc_matrix, csgraph
from scipy.spatial import cKDTree

from .errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "SiteNetwork",
    "a_site",
    "bcc",
    "components",
    "fcc",
    "from_atoms",
    "from_sites",
    "halide",
    "interstitial",
    "simple_cubic",
]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

ANGSTROM_M = 1e-10

# Two distances that differ by less are the same distance: far above rounding of published coordinates to 1e-5 of
# a cell, far below the difference of two symmetry-inequivalent bonds.
TOLERANCE_M = 1e-13

# How far around a hop its surroundings are compared, in units of the longest hop.
ENVIRONMENT_REACH = 2.0

# Distances that grow by more than this factor end the first shell of neighbours.
SHELL_GAP = 1.08

# Bonds at most this factor longer than the shortest one count as bonds of the same kind.
BOND_SPREAD = 1.25

MOST_SITES = 200_000
MOST_NEIGHBOURS = 200


@dataclass(frozen=True, eq=False, repr=False)
class SiteNetwork:
    """Sites of one periodic cell and the directed hops between them.

    Attributes
    ----------
    name : str
        What the network is, for messages and traces.
    cell_m : array, shape (3, 3), m
        Rows are the cell vectors.
    pbc : tuple of bool
        Which cell vectors repeat.
    positions_m : array, shape (sites, 3), m
    kind : int array, shape (sites,)
        Sites with the same surroundings share a kind.
    start : int array, shape (sites + 1,)
        First hop of each site; the hops of site `i` are ``start[i]`` to ``start[i + 1]``.
    target : int array, shape (hops,)
        Site in which the hop ends.
    image : int array, shape (hops, 3)
        Periodic cell in which it ends, counted from the one in which it starts.
    hop_m : array, shape (hops, 3), m
        True vector of the hop.
    hop_class : int array, shape (hops,)
        Hops with the same surroundings share a class; a hop and its reverse always do, as they share the saddle.
    reverse : int array, shape (hops,)
        The hop that undoes this one.
    class_length_m : array, shape (classes,), m
        Length of the hops of a class; classes are sorted by it.
    multiplicity : int array, shape (kinds, classes)
        Hops of a class that leave a site of a kind.
    """

    name: str
    cell_m: Floats
    pbc: tuple[bool, bool, bool]
    positions_m: Floats
    kind: Whole
    start: Whole
    target: Whole
    image: Whole
    hop_m: Floats
    hop_class: Whole
    reverse: Whole
    class_length_m: Floats
    multiplicity: Whole

    @property
    def sites(self) -> int:
        """Number of sites in the cell."""
        return len(self.positions_m)

    @property
    def hops(self) -> int:
        """Number of directed hops in the cell."""
        return len(self.target)

    @property
    def classes(self) -> int:
        """Number of hop classes."""
        return len(self.class_length_m)

    @property
    def source(self) -> Whole:
        """Site that each hop leaves, shape (hops,)."""
        return np.repeat(np.arange(self.sites), np.diff(self.start))

    @property
    def coordination(self) -> Whole:
        """Hops that leave each site, shape (sites,)."""
        return np.diff(self.start)

    @property
    def density_1_m3(self) -> float:
        """Sites per volume."""
        return self.sites / abs(float(np.linalg.det(self.cell_m)))

    def repeat(self, repeat: Sequence[int]) -> SiteNetwork:
        """The same network with a larger cell.

        Parameters
        ----------
        repeat : three int, >= 1
            Copies along each cell vector; 1 along a vector that does not repeat.

        Returns
        -------
        SiteNetwork

        Raises
        ------
        InputError
            If `repeat` is not three whole numbers, or the result is too large.

        Examples
        --------
        >>> cell = halide(5.87e-10)
        >>> cell.repeat((2, 2, 2)).sites, cell.sites
        (24, 3)
        """
        n = _whole_numbers(repeat)
        if any(count > 1 and not periodic for count, periodic in zip(n, self.pbc, strict=True)):
            raise InputError("A vector that does not repeat was asked to", got=tuple(repeat), allowed=f"pbc {self.pbc}")
        if n[0] * n[1] * n[2] * self.sites > MOST_SITES:
            raise InputError(
                "The network is too large",
                got=f"{n[0] * n[1] * n[2] * self.sites} sites",
                allowed=f"at most {MOST_SITES}",
                action="A walk needs one cell only: it is unbounded anyway",
            )
        cells = np.stack(np.meshgrid(*(np.arange(count) for count in n), indexing="ij"), axis=-1).reshape(-1, 3)
        place = {tuple(cell): index for index, cell in enumerate(cells)}
        end = cells[:, None, :] + self.image[None, :, :]
        wrapped = end % n
        number = np.array([place[tuple(cell)] for cell in wrapped.reshape(-1, 3)], dtype=np.int64).reshape(
            wrapped.shape[:2]
        )
        return _assemble(
            self.name,
            np.array(self.cell_m * np.array(n, dtype=float)[:, None]),
            self.pbc,
            (self.positions_m[None] + (cells @ self.cell_m)[:, None]).reshape(-1, 3),
            np.tile(self.kind, len(cells)),
            (np.arange(len(cells))[:, None] * self.sites + self.source[None]).ravel(),
            (number * self.sites + self.target[None]).ravel(),
            ((end - wrapped) // np.array(n, dtype=np.int64)).reshape(-1, 3),
            np.tile(self.hop_class, len(cells)),
        )

    def split(self) -> tuple[SiteNetwork, ...]:
        """The parts between which there are no hops, such as the layers of a layered crystal, each as a network.

        Returns
        -------
        tuple of SiteNetwork
        """
        parts, label = components(self)
        if parts == 1:
            return (self,)
        result = []
        for part in range(parts):
            kept = np.flatnonzero(label == part)
            number = np.full(self.sites, -1, dtype=np.int64)
            number[kept] = np.arange(len(kept))
            chosen = np.flatnonzero(label[self.source] == part)
            result.append(
                _assemble(
                    f"{self.name}, part {part}",
                    self.cell_m,
                    self.pbc,
                    self.positions_m[kept],
                    np.unique(self.kind[kept], return_inverse=True)[1],
                    number[self.source[chosen]],
                    number[self.target[chosen]],
                    self.image[chosen],
                    np.unique(self.hop_class[chosen], return_inverse=True)[1],
                )
            )
        return tuple(result)

    def __repr__(self) -> str:
        lengths = ", ".join(f"{length / ANGSTROM_M:.3f}" for length in self.class_length_m)
        return (
            f"SiteNetwork({self.name!r}: {self.sites} sites of {len(self.multiplicity)} kinds, {self.hops} hops "
            f"of {self.classes} classes, {lengths} angstrom)"
        )


# -- construction --------------------------------------------------------------------------------------------


def _whole_numbers(repeat: Sequence[int]) -> tuple[int, int, int]:
    numbers = tuple(repeat)
    if len(numbers) != 3 or any(int(n) != n or n < 1 for n in numbers):
        raise InputError("repeat must be three whole numbers", got=numbers, allowed=">= 1")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _positive(value: float, name: str, unit: str = "m") -> float:
    number = float(value)
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} is out of range", got=f"{number:g} {unit}", allowed=f"> 0 {unit}")
    return number


def _assemble(
    name: str,
    cell: Floats,
    pbc: tuple[bool, bool, bool],
    positions: Floats,
    kind: Whole,
    first: Whole,
    second: Whole,
    image: Whole,
    hop_class: Whole,
) -> SiteNetwork:
    """Sort the hops into rows, find the reverse of each and check what a network promises."""
    order = np.lexsort((image[:, 2], image[:, 1], image[:, 0], second, hop_class, first))
    first, second, image, hop_class = first[order], second[order], image[order], hop_class[order]
    vector = positions[second] + image @ cell - positions[first]
    length = np.linalg.norm(vector, axis=1)
    if length.size == 0 or length.min() <= TOLERANCE_M:
        raise InputError(
            f"The network {name} has no hops, or sites on top of each other",
            got=f"{len(positions)} sites, {length.size} hops",
            action="Check the cutoff and the positions",
        )
    where = {
        (int(i), int(j), *map(int, shift)): index
        for index, (i, j, shift) in enumerate(zip(first, second, image, strict=True))
    }
    reverse = np.array(
        [where.get((int(j), int(i), *map(int, -shift)), -1) for i, j, shift in zip(first, second, image, strict=True)],
        dtype=np.int64,
    )
    if np.any(reverse < 0) or np.any(hop_class[reverse] != hop_class):
        raise InputError(
            f"A hop of the network {name} has no reverse of its class", action="Check the cutoff and the tolerance"
        )
    classes = int(hop_class.max()) + 1
    count = np.zeros((len(positions), classes), dtype=np.int64)
    np.add.at(count, (first, hop_class), 1)
    kinds = int(kind.max()) + 1
    multiplicity = np.stack([count[np.flatnonzero(kind == k)[0]] for k in range(kinds)])
    return SiteNetwork(
        name=name,
        cell_m=np.array(cell, dtype=float),
        pbc=pbc,
        positions_m=np.array(positions, dtype=float),
        kind=kind.astype(np.int64),
        start=np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(positions)))]).astype(np.int64),
        target=second.astype(np.int64),
        image=image.astype(np.int64),
        hop_m=vector,
        hop_class=hop_class.astype(np.int64),
        reverse=reverse,
        class_length_m=np.array([length[hop_class == c].mean() for c in range(classes)]),
        multiplicity=multiplicity,
    )


class _Surroundings:
    """Atoms around points of a crystal, as numbers that do not depend on orientation.

    Each atom enters with its distances to the ends of a hop and to its middle, weighted so that it fades out
    at the reach: no atom appears or vanishes at an edge. Sorted by species and size, the numbers of two hops
    agree if an isometry maps one with its surroundings on the other.
    """

    def __init__(self, points: Floats, species: Whole, cell: Floats, pbc: Sequence[bool], reach: float):
        self.reach, self.cell, self.pbc = reach, cell, np.array(pbc)
        self.inverse = np.linalg.inv(cell)
        # thickness of the cell along each vector decides how many copies the reach touches
        thickness = 1.0 / np.linalg.norm(self.inverse, axis=0)
        spread = [int(np.ceil(reach / t)) + 1 if periodic else 0 for t, periodic in zip(thickness, pbc, strict=True)]
        shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in spread), indexing="ij"), axis=-1).reshape(-1, 3)
        # atoms may be given outside the cell: bring them back along the vectors that repeat
        scaled = points @ self.inverse
        scaled -= np.floor(scaled) * self.pbc
        self.points = ((scaled @ cell)[None] + (shifts @ cell)[:, None]).reshape(-1, 3)
        self.species = np.tile(species, len(shifts))
        self.tree = cKDTree(self.points)

    def describe(self, begin: Floats, end: Floats) -> list[Floats]:
        """Three sorted lists of each species: distance to the middle, sum and difference of those to the ends."""
        middle = 0.5 * (begin + end)
        home = np.floor(middle @ self.inverse) * self.pbc @ self.cell
        near = np.array(self.tree.query_ball_point(middle - home, self.reach), dtype=int)
        atoms, species = self.points[near] + home, self.species[near]
        d_begin, d_end, d_middle = (np.linalg.norm(atoms - point, axis=1) for point in (begin, end, middle))
        weight = (1.0 - (d_middle / self.reach) ** 2) ** 2
        features = (d_middle, d_begin + d_end, np.abs(d_begin - d_end))
        return [
            np.sort((weight * (self.reach + feature))[species == s])[::-1]
            for s in np.unique(self.species)
            for feature in features
        ]


def _same(one: list[Floats], other: list[Floats], tolerance: float) -> bool:
    """Whether two surroundings agree; an atom that only one of them sees has faded out at the reach."""
    for a, b in zip(one, other, strict=True):
        n = min(len(a), len(b))
        if np.max(np.abs(a[:n] - b[:n]), initial=0.0) > tolerance:
            return False
        if max(np.max(a[n:], initial=0.0), np.max(b[n:], initial=0.0)) > tolerance:
            return False
    return True


def _groups(descriptions: list[list[Floats]], tolerance: float) -> Whole:
    """Number of the group of each description; the first member stands for its group."""
    heads: list[list[Floats]] = []
    labels = np.empty(len(descriptions), dtype=np.int64)
    for index, description in enumerate(descriptions):
        label = next((n for n, head in enumerate(heads) if _same(head, description, tolerance)), len(heads))
        if label == len(heads):
            heads.append(description)
        labels[index] = label
    return labels


def _check_reach(cutoff: float, sites: int, cell: Floats) -> None:
    """Refuse a cutoff that reaches so many sites that it is a slip of the unit."""
    reached = 4.0 / 3.0 * np.pi * cutoff**3 * sites / abs(np.linalg.det(cell))
    if reached > MOST_NEIGHBOURS:
        raise InputError(
            "The cutoff reaches too many sites",
            got=f"{cutoff:.3g} m, about {reached:.3g} sites",
            allowed=f"at most {MOST_NEIGHBOURS} neighbours",
            action="Hops go to the nearest shells; check the unit",
        )


def _neighbours(positions: Floats, cell: Floats, pbc: Sequence[bool], cutoff: float) -> tuple[Whole, Whole, Whole]:
    from ase.neighborlist import primitive_neighbor_list

    # lengths relative to the cutoff: ASE works in angstrom and so do its internal tolerances
    first, second, image = primitive_neighbor_list("ijS", list(pbc), cell / cutoff, positions / cutoff, 1.0)
    return first.astype(np.int64), second.astype(np.int64), image.astype(np.int64)


def _classify(
    positions: Floats,
    cell: Floats,
    pbc: Sequence[bool],
    first: Whole,
    second: Whole,
    image: Whole,
    surroundings: _Surroundings,
    tolerance: float,
) -> tuple[Whole, Whole]:
    """Kinds of the sites and classes of the hops; classes sorted by length, then by first appearance."""
    kind = _groups([surroundings.describe(point, point) for point in positions], tolerance)
    ends = positions[second] + image @ cell
    length = np.linalg.norm(ends - positions[first], axis=1)
    order = np.argsort(np.round(length / tolerance), kind="stable")
    labels = np.empty(len(first), dtype=np.int64)
    labels[order] = _groups([surroundings.describe(positions[first[e]], ends[e]) for e in order], tolerance)
    # hops see farther than their sites: sites that look alike but hop differently are different
    count = np.zeros((len(positions), int(labels.max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(count, (first, labels), 1)
    rows = [(int(k), *map(int, row)) for k, row in zip(kind, count, strict=True)]
    numbers = {row: n for n, row in enumerate(dict.fromkeys(rows))}
    kind = np.array([numbers[row] for row in rows], dtype=np.int64)
    return kind, labels


def from_sites(
    positions_m: ArrayLike,
    cell_m: ArrayLike,
    cutoff_m: float,
    *,
    pbc: Sequence[bool] = (True, True, True),
    name: str = "sites",
    tolerance_m: float = TOLERANCE_M,
) -> SiteNetwork:
    """Network of all hops up to a length between given sites.

    Parameters
    ----------
    positions_m : array, shape (sites, 3), m
    cell_m : array, shape (3, 3), m
        Rows are the cell vectors.
    cutoff_m : float, m, > 0
        Longest hop.
    pbc : three bool
        Which cell vectors repeat.
    name : str
    tolerance_m : float, m, > 0
        Distances closer than this are the same.

    Returns
    -------
    SiteNetwork

    Raises
    ------
    InputError
        If there are no hops, sites coincide, or the arguments have wrong shapes.

    Examples
    --------
    >>> square = from_sites([[0, 0, 0]], [[1e-9, 0, 0], [0, 1e-9, 0], [0, 0, 1]], 1.1e-9, pbc=(True, True, False))
    >>> square.hops, square.classes
    (4, 1)
    """
    positions, cell = np.array(positions_m, dtype=float), np.array(cell_m, dtype=float)
    if positions.ndim != 2 or positions.shape[1] != 3 or cell.shape != (3, 3) or len(positions) == 0:
        raise InputError(
            "Sites and cell must be arrays of vectors",
            got=f"positions {positions.shape}, cell {cell.shape}",
            allowed="(sites, 3) and (3, 3)",
        )
    if not (np.isfinite(positions).all() and np.isfinite(cell).all() and abs(np.linalg.det(cell)) > 0):
        raise InputError("Positions must be finite and the cell must have a volume", got=cell.tolist())
    cutoff, tolerance = _positive(cutoff_m, "cutoff_m"), _positive(tolerance_m, "tolerance_m")
    periodic = (bool(pbc[0]), bool(pbc[1]), bool(pbc[2]))
    _check_reach(cutoff, len(positions), cell)
    first, second, image = _neighbours(positions, cell, periodic, cutoff)
    around = _Surroundings(
        positions, np.zeros(len(positions), dtype=np.int64), cell, periodic, ENVIRONMENT_REACH * cutoff
    )
    kind, hop_class = _classify(positions, cell, periodic, first, second, image, around, tolerance)
    return _assemble(name, cell, periodic, positions, kind, first, second, image, hop_class)


def from_atoms(
    atoms: Atoms,
    symbol: str,
    cutoff_angstrom: float | None = None,
    *,
    through: str | None = None,
    environment: Sequence[str] | None = None,
    tolerance_angstrom: float = TOLERANCE_M / ANGSTROM_M,
    name: str | None = None,
) -> SiteNetwork:
    """Network on which a vacancy of one sublattice of a crystal hops.

    Parameters
    ----------
    atoms : ase.Atoms
        The perfect crystal; its unit cell is enough.
    symbol : str
        Element of the sublattice.
    cutoff_angstrom : float, angstrom, > 0, optional
        Longest hop. Without it the first shell is taken: distances until one exceeds the last by 8 %.
    through : str, optional
        Keep only hops between two sites that share a neighbour of this element, and not across it: with the
        B-site metal these are the edges of the octahedra, whatever their tilts. Then no cutoff is needed.
    environment : sequence of str, optional
        Elements that decide which hops are equal; by default all. Leave out molecules that stand for a
        disordered cation.
    tolerance_angstrom : float, angstrom, > 0
        Distances closer than this are the same; widen it for a structure that a calculator relaxed.
    name : str, optional

    Returns
    -------
    SiteNetwork

    Raises
    ------
    InputError
        If an element is missing or there are no hops.

    Notes
    -----
    Hops are equal if the distances of all atoms within twice the hop length agree. Two hops whose surroundings
    are mirror images are equal, as their barriers are.

    Examples
    --------
    >>> from halidrift.physics.crystals import perovskite
    >>> network = from_atoms(perovskite("CsPbBr3", "orthorhombic"), "Br", through="Pb")
    >>> network.sites, network.classes, sorted(set(network.coordination.tolist()))
    (12, 6, [8])
    """
    symbols = np.array(atoms.get_chemical_symbols())
    for element in (symbol, through, *(environment or ())):
        if element is not None and element not in symbols:
            raise InputError(
                "The crystal has no such element", got=element, allowed=", ".join(sorted(set(symbols.tolist())))
            )
    cell = np.array(atoms.cell.complete()) * ANGSTROM_M
    pbc = (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2]))
    every = atoms.get_positions() * ANGSTROM_M
    tolerance = _positive(tolerance_angstrom, "tolerance_angstrom", "angstrom") * ANGSTROM_M
    positions = every[symbols == symbol]
    if through is not None:
        first, second, image = _bridged(positions, every[symbols == through], cell, pbc)
        if cutoff_angstrom is not None:
            length = np.linalg.norm(positions[second] + image @ cell - positions[first], axis=1)
            short = length <= _positive(cutoff_angstrom, "cutoff_angstrom", "angstrom") * ANGSTROM_M
            first, second, image = first[short], second[short], image[short]
    else:
        if cutoff_angstrom is None:
            cutoff = _first_shell(positions, cell, pbc)
        else:
            cutoff = _positive(cutoff_angstrom, "cutoff_angstrom", "angstrom") * ANGSTROM_M
        _check_reach(cutoff, len(positions), cell)
        first, second, image = _neighbours(positions, cell, pbc, cutoff)
    title = name if name is not None else f"{symbol} in {atoms.get_chemical_formula('metal', empirical=True)}"
    if len(first) == 0:
        raise InputError(f"The network {title} has no hops", action="Raise the cutoff, or repeat the cell")
    longest = float(np.linalg.norm(positions[second] + image @ cell - positions[first], axis=1).max())
    chosen = np.isin(symbols, list(environment)) if environment is not None else np.ones(len(symbols), dtype=bool)
    species = np.unique(symbols, return_inverse=True)[1].astype(np.int64)
    around = _Surroundings(every[chosen], species[chosen], cell, pbc, ENVIRONMENT_REACH * longest)
    kind, hop_class = _classify(positions, cell, pbc, first, second, image, around, tolerance)
    return _assemble(title, cell, pbc, positions, kind, first, second, image, hop_class)


def _first_shell(positions: Floats, cell: Floats, pbc: Sequence[bool]) -> float:
    """A cutoff between the first and the second shell of neighbours."""
    reach = float((abs(np.linalg.det(cell)) / len(positions)) ** (1 / 3))
    for _ in range(12):
        first, second, image = _neighbours(positions, cell, pbc, reach)
        lengths = np.sort(np.linalg.norm(positions[second] + image @ cell - positions[first], axis=1))
        gaps = np.flatnonzero(lengths[1:] > SHELL_GAP * lengths[:-1]) if len(lengths) else np.array([], dtype=int)
        if len(gaps):
            return float(np.sqrt(lengths[gaps[0]] * lengths[gaps[0] + 1]))
        reach *= 1.25
    raise InputError("The sites have no clear first shell of neighbours", action="Give cutoff_angstrom")


def _bridged(positions: Floats, bridges: Floats, cell: Floats, pbc: Sequence[bool]) -> tuple[Whole, Whole, Whole]:
    """Pairs of sites that share a bridge without lying opposite of each other across it."""
    points = np.concatenate([positions, bridges])
    n = len(positions)
    reach = float((abs(np.linalg.det(cell)) / len(points)) ** (1 / 3))
    bonds: tuple[Whole, Whole, Whole] | None = None
    for _ in range(12):
        first, second, image = _neighbours(points, cell, pbc, reach)
        bond = (first < n) & (second >= n)
        length = np.linalg.norm(points[second] + image @ cell - points[first], axis=1)
        if bond.any() and length[bond].min() * BOND_SPREAD <= reach:
            bond &= length <= BOND_SPREAD * length[bond].min()
            bonds = first[bond], second[bond], image[bond]
            break
        reach *= 1.25
    if bonds is None:
        raise InputError("No bonds between the sublattice and the bridging element", action="Give cutoff_angstrom")
    site, bridge, shift = bonds
    found: set[tuple[int, int, int, int, int]] = set()
    for b in np.unique(bridge):
        around = np.flatnonzero(bridge == b)
        # position of each bonded site as seen from the bridge in its own cell
        arms = positions[site[around]] - shift[around] @ cell - points[b]
        for p, u in enumerate(around):
            for q, v in enumerate(around):
                cosine = float(arms[p] @ arms[q] / (np.linalg.norm(arms[p]) * np.linalg.norm(arms[q])))
                if p != q and cosine > -np.sqrt(0.5):  # less than 135 degrees apart: an edge, not a diagonal
                    found.add((int(site[u]), int(site[v]), *map(int, shift[u] - shift[v])))  # type: ignore[arg-type]
    table = np.array(sorted(found), dtype=np.int64).reshape(-1, 5)
    return table[:, 0], table[:, 1], table[:, 2:]


# -- standard networks ---------------------------------------------------------------------------------------


def _standard(
    name: str, a_m: float, scaled: Sequence[Sequence[float]], hop: float, repeat: Sequence[int]
) -> SiteNetwork:
    a = _positive(a_m, "lattice constant")
    # built once with a = 1 nm and scaled: equal distances then agree to rounding, whatever a is
    unit = from_sites(np.array(scaled) * 1e-9, np.eye(3) * 1e-9, 1.05 * hop * 1e-9, name=name)
    cell = _assemble(
        name,
        np.eye(3) * a,
        unit.pbc,
        np.array(scaled, dtype=float) * a,
        unit.kind,
        unit.source,
        unit.target,
        unit.image,
        unit.hop_class,
    )
    return cell if tuple(repeat) == (1, 1, 1) else cell.repeat(repeat)


def simple_cubic(a_m: float, repeat: Sequence[int] = (1, 1, 1)) -> SiteNetwork:
    """Simple cubic sites, 6 hops of length `a_m` each.

    Parameters
    ----------
    a_m : float, m, > 0
        Edge of the cubic cell.
    repeat : sequence of three int, >= 1
        Cells along each edge.

    Examples
    --------
    >>> simple_cubic(0.587e-9)
    SiteNetwork('simple cubic': 1 sites of 1 kinds, 6 hops of 1 classes, 5.870 angstrom)
    """
    return _standard("simple cubic", a_m, [[0, 0, 0]], 1.0, repeat)


def bcc(a_m: float, repeat: Sequence[int] = (1, 1, 1)) -> SiteNetwork:
    """Body-centred cubic sites, 8 hops of sqrt(3)/2 `a_m` each.

    Parameters
    ----------
    a_m : float, m, > 0
        Edge of the cubic cell.
    repeat : sequence of three int, >= 1
        Cells along each edge.
    """
    return _standard("bcc", a_m, [[0, 0, 0], [0.5, 0.5, 0.5]], np.sqrt(3) / 2, repeat)


def fcc(a_m: float, repeat: Sequence[int] = (1, 1, 1)) -> SiteNetwork:
    """Face-centred cubic sites, 12 hops of `a_m` / sqrt 2 each.

    Parameters
    ----------
    a_m : float, m, > 0
        Edge of the cubic cell.
    repeat : sequence of three int, >= 1
        Cells along each edge.
    """
    return _standard("fcc", a_m, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], np.sqrt(0.5), repeat)


def halide(a_m: float, repeat: Sequence[int] = (1, 1, 1)) -> SiteNetwork:
    """Halide sites of the cubic perovskite ABX3: edges of the BX6 octahedra, 8 hops of `a_m` / sqrt 2 each.

    Parameters
    ----------
    a_m : float, m, > 0
        Lattice constant of the cubic perovskite.
    repeat : three int, >= 1
        Cells along each axis; a walk needs one.

    Examples
    --------
    >>> network = halide(0.587e-9)
    >>> network.coordination.tolist(), float(round(network.class_length_m[0] / (0.587e-9 / 2**0.5), 12))
    ([8, 8, 8], 1.0)
    """
    return _standard("halide", a_m, [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]], np.sqrt(0.5), repeat)


def a_site(a_m: float, repeat: Sequence[int] = (1, 1, 1)) -> SiteNetwork:
    """A sites of the cubic perovskite ABX3: simple cubic, 6 hops of `a_m` through the windows of four halides.

    Parameters
    ----------
    a_m : float, m, > 0
        Edge of the cubic cell.
    repeat : sequence of three int, >= 1
        Cells along each edge.
    """
    return _standard("A site", a_m, [[0.5, 0.5, 0.5]], 1.0, repeat)


def interstitial(a_m: float, repeat: Sequence[int] = (1, 1, 1), *, site: str = "window") -> SiteNetwork:
    """Interstitial sites of the cubic perovskite ABX3.

    Parameters
    ----------
    a_m : float, m, > 0
        Lattice constant of the cubic perovskite.
    repeat : three int, >= 1
    site : {'window', 'cell'}
        ``window``: the middle of each square of four halides between two A sites (1/2, 1/2, 0), three a cell,
        8 hops of a / sqrt 2 each. ``cell``: one site a cell, 6 hops of a each: the coarse network on which the
        filament of :class:`halidrift.kmc.FilamentKMC` grows.

    Raises
    ------
    InputError
        For another `site`.

    Notes
    -----
    Both are models: where an interstitial sits depends on the ion and on the lattice that relaxes around it.
    Iodide interstitials in MAPbI3 share a lattice site with another iodide, for instance; build such a network
    with :func:`from_sites`.
    """
    if site == "window":
        return _standard("interstitial", a_m, [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], np.sqrt(0.5), repeat)
    if site == "cell":
        return _standard("interstitial", a_m, [[0.5, 0.5, 0.5]], 1.0, repeat)
    raise InputError("Unknown interstitial site", got=site, allowed="window, cell")


def components(network: SiteNetwork) -> tuple[int, Whole]:
    """Number of parts without hops between them, and the part of each site.

    Parameters
    ----------
    network : SiteNetwork

    Returns
    -------
    parts : int
    part : int array, shape (sites,)
        From 0.
    """
    graph = csc_matrix((np.ones(network.hops), (network.source, network.target)), shape=(network.sites,) * 2)
    parts, label = csgraph.connected_components(graph, directed=False)
    return int(parts), label.astype(np.int64)
