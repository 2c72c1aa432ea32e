"""Crystals of halide perovskites as ASE atoms: bulk phases and layered ones.

Structures come from ``data/crystals.toml``, each with its source and whether it could be looked up. Nothing is
interpolated between materials: a phase without published coordinates is refused. Vacancies, interstitials
and hops: :mod:`halidrift.physics.defects`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError, InputError, ValidityError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "available",
    "perovskite",
    "ruddlesden_popper",
]

Floats = NDArray[np.float64]

DATA = Path(__file__).resolve().parents[1] / "data" / "crystals.toml"

HALIDES = ("Cl", "Br", "I")
METALS = ("Pb", "Sn", "Ge")

# closer than this no two atoms of a solid come, bonds to hydrogen included (0.74 angstrom in H2)
CLOSEST_ANGSTROM = 0.7

# Contacts of rigid spacers may be this part of the sum of van der Waals radii: hydrogen bonds N-H...Br are 2.4 to
# 2.6 angstrom, 0.8 of it.
CLOSEST_CONTACT = 0.72

# Bond lengths in angstrom. Methylammonium: mean of the PBEsol structure of cubic MAPbI3 by Brivio et al., Phys.
# Rev. B 92, 144308 (2015). Carbon chains and rings: F. H. Allen et al., J. Chem. Soc. Perkin Trans. 2, S1 (1987).
C_N, C_H, N_H = 1.481, 1.099, 1.045
C_C, C_C_RING, C_H_RING, C_N_CHAIN = 1.53, 1.39, 1.08, 1.50
TETRAHEDRAL = float(np.arccos(-1.0 / 3.0))

# Formamidinium about the centre of its cage, planar, C-H along y: PBEsol in the measured cubic cage of FAPbI3,
# Weller et al., J. Phys. Chem. Lett. 6, 3209 (2015).
FORMAMIDINIUM = (
    ("C", (0.0000, 0.4390, 0.0)),
    ("N", (1.1637, -0.1572, 0.0)),
    ("N", (-1.1637, -0.1572, 0.0)),
    ("H", (0.0000, 1.5357, 0.0)),
    ("H", (1.9975, 0.4302, 0.0)),
    ("H", (1.3006, -1.1751, 0.0)),
    ("H", (-1.3006, -1.1751, 0.0)),
    ("H", (-1.9975, 0.4302, 0.0)),
)


# -- data ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    with DATA.open("rb") as stream:
        try:
            data = tomllib.load(stream)
        except tomllib.TOMLDecodeError as error:
            raise DataError("not valid TOML", file=DATA, key="", got=str(error)) from error
    if data.get("schema") != 1:
        raise DataError("unknown schema", file=DATA, key="schema", got=data.get("schema"), allowed="1")
    return data


def available() -> tuple[tuple[str, str, bool], ...]:
    """Material, phase, and whether its numbers could be looked up, of every crystal that can be built.

    Returns
    -------
    tuple of (str, str, bool)

    Examples
    --------
    >>> ("CsPbBr3", "orthorhombic", True) in available()
    True
    """
    return tuple(
        (row["material"], row["phase"], row["lattice_checked"] and row.get("positions_checked", True))
        for row in _data()["crystal"]
    )


def _entry(material: str, phase: str) -> dict[str, Any]:
    for row in _data()["crystal"]:
        if (row["material"], row["phase"]) == (material, phase):
            return dict(row)
    known = ", ".join(f"{name} {kind}" for name, kind, _ in available())
    raise InputError(
        "No structure of this phase on file",
        got=f"{material} {phase}",
        allowed=known,
        action="Read your own with ase.io.read, or add it to data/crystals.toml with its source",
    )


def _repeat(repeat: Sequence[int]) -> tuple[int, int, int]:
    numbers = tuple(repeat)
    if len(numbers) != 3 or any(int(n) != n or n < 1 for n in numbers):
        raise InputError("repeat must be three whole numbers", got=numbers, allowed=">= 1")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _check_apart(atoms: Atoms) -> None:
    """Refuse a cell whose atoms overlap: a length in the wrong unit, or a spacing too small for the spacer."""
    from ase.neighborlist import neighbor_list

    close = neighbor_list("d", atoms, CLOSEST_ANGSTROM)
    if close.size:
        raise InputError(
            "Atoms overlap in this cell",
            got=f"{close.min():.3f} angstrom apart",
            allowed=f">= {CLOSEST_ANGSTROM} angstrom",
            action="Lengths are in angstrom; check the lattice and the layer spacing",
        )


def _unit(vector: ArrayLike, what: str) -> Floats:
    array = np.asarray(vector, dtype=float)
    if array.shape != (3,) or not np.isfinite(array).all() or not np.linalg.norm(array) > 0:
        raise InputError(f"{what} must be a direction", got=np.asarray(vector).tolist(), allowed="three numbers, not 0")
    return array / np.linalg.norm(array)


# -- bulk crystals -------------------------------------------------------------------------------------------


def perovskite(
    material: str,
    phase: str = "cubic",
    repeat: Sequence[int] = (1, 1, 1),
    *,
    lattice_angstrom: float | Sequence[float] | None = None,
    cation_axis: ArrayLike | None = None,
    cations: bool = True,
) -> Atoms:
    """Perovskite crystal ABX3.

    Parameters
    ----------
    material : str
        ``CsPbBr3``, ``CsPbI3``, ``CsPbCl3``, ``MAPbI3``, ``MAPbBr3`` or ``FAPbI3``.
    phase : {'cubic', 'tetragonal', 'orthorhombic'}
        Cubic Pm-3m; tetragonal P4/mbm (CsPbBr3, CsPbI3: octahedra tilt in phase, a0a0c+) or I4/mcm (MAPbI3: out
        of phase, a0a0c-); orthorhombic Pnma (a-b+a-).
    repeat : three int, >= 1
        Copies of the crystallographic cell.
    lattice_angstrom : float or three float, angstrom, optional
        Lattice constants instead of those on file, e.g. after relaxation with a calculator.
    cation_axis : three float, optional
        Direction of an organic cation, the same for all: from C to N of methylammonium, along C-H of
        formamidinium. In the cubic phases methylammonium points along [011] by default, the most frequent
        direction in neutron diffraction at 350 K [1]_, and formamidinium as in [2]_; a tetragonal phase has no
        default, because its average structure does not tell.
    cations : bool
        False leaves the A sites empty: the framework alone, for site networks.

    Returns
    -------
    ase.Atoms
        ``info`` holds material, phase, space group, sources and what could be looked up.

    Raises
    ------
    InputError
        If the phase is not on file, or an argument does not fit it.

    Notes
    -----
    Measured structures at the temperature in ``info``, not minima of any calculator: relax before use. Organic
    cations turn at these temperatures; a frozen direction is one member of an ensemble and lowers the symmetry.

    References
    ----------
    .. [1] Y. Ren et al., Cryst. Growth Des. 16, 2945 (2016).
    .. [2] M. T. Weller et al., J. Phys. Chem. Lett. 6, 3209 (2015).

    Examples
    --------
    >>> cell = perovskite("CsPbBr3", "orthorhombic")
    >>> cell.get_chemical_formula("metal"), cell.info["space_group"]
    ('Cs4Pb4Br12', 62)
    """
    from ase import Atoms
    from ase.spacegroup import crystal

    entry, n = _entry(material, phase), _repeat(repeat)
    lattice = _lattice(entry, lattice_angstrom)
    sites = _sites(entry, lattice)
    basis = [(place, label) for label in "ABX" for place in sites[label]]
    built = crystal(
        # A sites are marked by a noble gas until molecules take their places
        symbols=["Xe" if label == "A" else entry[label] for _, label in basis],
        basis=[place for place, _ in basis],
        spacegroup=int(entry["space_group"]),
        cellpar=[*lattice, 90, 90, 90],
    )
    crystal_cell = Atoms(built.get_chemical_symbols(), positions=built.get_positions(), cell=built.cell, pbc=True)
    centres = crystal_cell.positions[crystal_cell.numbers == 54].copy()
    molecular = entry["A"] not in elements()
    if cations and not molecular:
        crystal_cell.symbols[crystal_cell.numbers == 54] = entry["A"]
    else:
        del crystal_cell[crystal_cell.numbers == 54]
    if cations and molecular:
        axis = _cation_axis(entry, cation_axis)
        for centre in centres:
            crystal_cell += _cation(entry["A"], centre, axis)
    elif cation_axis is not None:
        raise InputError("cation_axis is for organic cations", got=material, action="Leave it out")
    _check_apart(crystal_cell)
    crystal_cell = crystal_cell.repeat(n)
    crystal_cell.info.update(
        {
            "material": material,
            "phase": phase,
            "space_group": int(entry["space_group"]),
            "repeat": n,
            "temperature_K": entry["temperature_K"],
            "lattice_angstrom": lattice,
            "sources": sorted({entry["lattice_source"], entry.get("positions_source", entry["lattice_source"])}),
            "checked": bool(entry["lattice_checked"] and entry.get("positions_checked", True)),
            "note": entry["note"],
        }
    )
    return crystal_cell


@lru_cache(maxsize=1)
def elements() -> frozenset[str]:
    from ase.data import chemical_symbols

    return frozenset(chemical_symbols[1:])


def _lattice(entry: dict[str, Any], given: float | Sequence[float] | None) -> tuple[float, float, float]:
    values = np.atleast_1d(np.asarray(entry["lattice"] if given is None else given, dtype=float))
    if values.ndim != 1 or len(values) not in (1, 3) or not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError("lattice_angstrom is out of range", got=given, allowed="one or three numbers > 0")
    a, b, c = (float(v) for v in (np.repeat(values, 3) if len(values) == 1 else values))
    phase = entry["phase"]
    if len(values) == 1 and phase != "cubic":
        raise InputError(f"A {phase} cell has more than one lattice constant", got=given, allowed="a, b, c")
    if (phase == "cubic" and not (a == b == c)) or (phase == "tetragonal" and a != b):
        raise InputError(f"These lattice constants are not {phase}", got=(a, b, c))
    return a, b, c


def _sites(entry: dict[str, Any], lattice: tuple[float, float, float]) -> dict[str, list[list[float]]]:
    """Wyckoff positions of A, B and X."""
    if "sites" in entry:
        return {label: entry["sites"][label] for label in "ABX"}
    if entry["space_group"] == 221:
        return {"A": [[0.5, 0.5, 0.5]], "B": [[0, 0, 0]], "X": [[0.5, 0, 0]]}
    a, _, c = lattice
    height = 0.5 if entry["space_group"] == 127 else 0.25  # axial halide, and half the distance of the layers
    if entry["tilt_deg"] == "regular":
        # in-plane bond a / (2 sqrt 2 cos tilt) equal to the axial one
        cosine = a / (2.0 * np.sqrt(2.0) * height * c)
        if cosine >= 1.0:
            raise ValidityError(
                "No tilt makes the octahedra regular in this cell",
                got=f"a = {a:g}, c = {c:g} angstrom",
                allowed="a tetragonal cell that is longer along c than the cubic one",
            )
        tangent = np.sqrt(1.0 / cosine**2 - 1.0)
    else:
        tangent = np.tan(np.radians(entry["tilt_deg"]))
    x = float(0.25 * (1.0 - tangent))
    return {"A": [[0, 0.5, height]], "B": [[0, 0, 0]], "X": [[x, x + 0.5, 0], [0, 0, height]]}


# -- organic cations -----------------------------------------------------------------------------------------


def _cation_axis(entry: dict[str, Any], axis: ArrayLike | None) -> Floats:
    if axis is not None:
        return _unit(axis, "cation_axis")
    if entry["phase"] != "cubic":
        raise InputError(
            f"The average structure of {entry['material']} {entry['phase']} does not say where its cations point",
            action="Give cation_axis, or cations=False for the framework alone",
        )
    return _unit((0, 1, 1) if entry["A"] == "MA" else (0, 1, 0), "cation_axis")


def _frame(axis: Floats) -> Floats:
    """Rows: two perpendicular directions and the axis, right-handed; the first as close to x as can be."""
    start = np.array([1.0, 0.0, 0.0]) if abs(axis[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    first = start - (start @ axis) * axis
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(axis, first), axis])


def _cation(name: str, centre: Floats, axis: Floats) -> Atoms:
    """A molecule in the middle of its cage."""
    from ase import Atoms

    frame = _frame(axis)
    if name == "FA":
        symbols = [symbol for symbol, _ in FORMAMIDINIUM]
        local = np.array([place for _, place in FORMAMIDINIUM])
        # C-H, along y on file, follows the axis; x stays perpendicular to it
        return Atoms(symbols, positions=centre + local @ np.array([frame[0], frame[2], -frame[1]]))
    if name != "MA":
        raise InputError("No geometry of this cation", got=name, allowed="MA, FA")
    carbon, nitrogen = np.array([0.0, 0.0, -0.5 * C_N]), np.array([0.0, 0.0, 0.5 * C_N])
    across = np.array([1.0, 0.0, 0.0])
    places = [carbon, nitrogen, *_cap(carbon, nitrogen, across, C_H), *_cap(nitrogen, carbon, -across, N_H)]
    return Atoms("CNH6", positions=centre + np.array(places) @ frame)


def _cap(centre: Floats, neighbour: Floats, towards: Floats, length: float) -> list[Floats]:
    """Three hydrogens at the end of a chain, one of them leaning to `towards`."""
    axis = (centre - neighbour) / np.linalg.norm(centre - neighbour)
    lean = towards - (towards @ axis) * axis
    lean /= np.linalg.norm(lean)
    side = np.cross(axis, lean)
    out, up = np.sin(TETRAHEDRAL), -np.cos(TETRAHEDRAL)
    angles = np.radians([0.0, 120.0, 240.0])
    return [centre + length * (up * axis + out * (np.cos(t) * lean + np.sin(t) * side)) for t in angles]


def _bridge(centre: Floats, left: Floats, right: Floats) -> list[Floats]:
    """Two hydrogens of a carbon inside a chain."""
    to_left, to_right = (p - centre for p in (left, right))
    to_left, to_right = to_left / np.linalg.norm(to_left), to_right / np.linalg.norm(to_right)
    out = -(to_left + to_right)
    out /= np.linalg.norm(out)
    normal = np.cross(to_left, to_right)
    normal /= np.linalg.norm(normal)
    half = 0.5 * TETRAHEDRAL
    return [centre + C_H * (np.cos(half) * out + sign * np.sin(half) * normal) for sign in (1.0, -1.0)]


def _spacer(name: str) -> tuple[list[str], Floats]:
    """Symbols and positions of a spacer molecule, nitrogen first and at the origin, chain along +z."""
    rise, width = np.sin(0.5 * TETRAHEDRAL), np.cos(0.5 * TETRAHEDRAL)
    lengths = [C_N_CHAIN, C_C, C_C, C_C] if name == "BA" else [C_N_CHAIN, C_C, C_C]
    chain = [np.zeros(3)]
    for k, length in enumerate(lengths):
        chain.append(chain[-1] + length * np.array([width * (-1) ** k, 0.0, rise]))
    # all-trans: the caps lean as the next bonds of the chain would
    hydrogens = _cap(chain[0], chain[1], chain[1] - chain[2], N_H)
    if name == "BA":
        carbons = chain[1:]
        for k in (1, 2, 3):
            hydrogens += _bridge(chain[k], chain[k - 1], chain[k + 1])
        hydrogens += _cap(chain[4], chain[3], chain[3] - chain[2], C_H)
        return ["N"] + ["C"] * len(carbons) + ["H"] * len(hydrogens), np.array([chain[0], *carbons, *hydrogens])
    for k in (1, 2):
        hydrogens += _bridge(chain[k], chain[k - 1], chain[k + 1])
    ipso = chain[3]
    along = (ipso - chain[2]) / np.linalg.norm(ipso - chain[2])
    # the ring stands perpendicular to the plane of the chain, as in phenethylammonium salts
    across = np.array([0.0, 1.0, 0.0])
    middle = ipso + C_C_RING * along
    angles = np.radians([180, 120, 60, 0, -60, -120])
    ring = [middle + C_C_RING * (np.cos(t) * along + np.sin(t) * across) for t in angles]
    edge = C_C_RING + C_H_RING
    hydrogens += [middle + edge * (np.cos(t) * along + np.sin(t) * across) for t in angles[1:]]
    return ["N"] + ["C"] * 8 + ["H"] * len(hydrogens), np.array([chain[0], *chain[1:3], *ring, *hydrogens])


# -- layered crystals ----------------------------------------------------------------------------------------


def ruddlesden_popper(
    material: str,
    spacer: str,
    n: int,
    repeat: Sequence[int] = (1, 1, 1),
    *,
    lattice_angstrom: float | None = None,
    layer_spacing_angstrom: float | None = None,
    vacuum_angstrom: float | None = None,
    cation_axis: ArrayLike | None = None,
) -> Atoms:
    r"""Ruddlesden-Popper crystal :math:`A'_2 A_{n-1} B_n X_{3n+1}`: perovskite layers n octahedra thick.

    Parameters
    ----------
    material : str
        The three-dimensional parent, e.g. ``MAPbBr3``; its cubic phase gives A, B, X and the edge of the octahedra.
    spacer : {'Cs', 'Rb', 'BA', 'PEA'}
        A': an atom, butylammonium or phenethylammonium.
    n : int, >= 1
        Octahedra across a layer.
    repeat : three int, >= 1
    lattice_angstrom : float, angstrom, optional
        In-plane edge instead of the cubic lattice constant.
    layer_spacing_angstrom : float, angstrom, optional
        Distance of the middles of two layers. By default the thickness n a plus a gap: for an atom the contact of
        A' with the halide of the next layer (ionic radii), for a molecule that of its n = 1 lead iodide, taken
        over for other n and halides.
    vacuum_angstrom : float, angstrom, > 0, optional
        One layer alone, with so much vacuum between its images, not periodic along z. By default the crystal, two
        layers a cell, the second shifted by half the diagonal of the square.
    cation_axis : three float, optional
        Direction of organic cations inside the layer, as in :func:`perovskite`.

    Returns
    -------
    ase.Atoms
        Layers lie in xy. ``info`` holds formula, n, gap, sources, and for molecules the closest contact as part
        of the sum of van der Waals radii.

    Raises
    ------
    InputError
        If parent or spacer are not on file, or a number is out of range.
    ValidityError
        If the spacer does not fit into the gap.

    Notes
    -----
    Octahedra are regular and untilted, A' lies in the plane of the outer halides: stoichiometry, stacking and
    distances in the framework are exact for this ideal structure, which is a starting point for relaxation and a
    site network, not a refined crystal. Molecules are rigid, all-trans and equal, turned to keep the widest
    distance from everything around them; real ones tilt differently from cell to cell.

    References
    ----------
    .. [1] S. N. Ruddlesden and P. Popper, Acta Cryst. 10, 538 (1957).

    Examples
    --------
    >>> layered = ruddlesden_popper("CsPbBr3", "Cs", 2)
    >>> layered.info["formula"], len(layered)
    ('Cs3Pb2Br7', 24)
    """
    from ase import Atoms

    entry, count = _entry(material, "cubic"), _repeat(repeat)
    if int(n) != n or n < 1:
        raise InputError("n must be a whole number", got=n, allowed=">= 1")
    if vacuum_angstrom is not None and not (np.isfinite(vacuum_angstrom) and vacuum_angstrom > 0):
        raise InputError("vacuum_angstrom is out of range", got=vacuum_angstrom, allowed="> 0 angstrom")
    a = _lattice(entry, lattice_angstrom)[0]
    row = next((row for row in _data()["spacer"] if row["name"] == spacer), None)
    if row is None:
        raise InputError("Unknown spacer", got=spacer, allowed=", ".join(each["name"] for each in _data()["spacer"]))
    gap = _gap(entry, row, a, n, layer_spacing_angstrom)
    atomic = spacer in elements()
    layer = Atoms(cell=[a, a, n * a + gap], pbc=True)
    bottom, half = -0.5 * n * a, 0.5 * a
    axis = None if entry["A"] in elements() else _cation_axis(entry, cation_axis)
    for k in range(n):
        z = bottom + (k + 0.5) * a
        layer += Atoms([entry["B"]], positions=[[0, 0, z]])
        layer += Atoms([entry["X"]] * 2, positions=[[half, 0, z], [0, half, z]])
        if k:
            middle = np.array([half, half, bottom + k * a])
            layer += Atoms([entry["A"]], positions=[middle]) if axis is None else _cation(entry["A"], middle, axis)
    layer += Atoms([entry["X"]] * (n + 1), positions=[[0, 0, bottom + k * a] for k in range(n + 1)])
    contact = None
    if atomic:
        layer += Atoms([spacer] * 2, positions=[[half, half, bottom], [half, half, -bottom]])
    else:
        symbols, local, contact = _packed(spacer, entry["B"], entry["X"], a, gap)
        if contact < CLOSEST_CONTACT:
            raise ValidityError(
                f"{spacer} does not fit between the layers",
                got=f"closest contact {contact:.2f} of the van der Waals radii in a gap of {gap:.2f} angstrom",
                allowed=f">= {CLOSEST_CONTACT}",
                action="Give a larger layer_spacing_angstrom",
            )
        site = np.array([half, half, -bottom])
        layer += Atoms(symbols, positions=site + local)
        layer += Atoms(symbols, positions=np.array([half, half, bottom]) - local)
    spacing = n * a + gap
    if vacuum_angstrom is None:
        second = layer.copy()
        second.positions += [half, half, spacing]
        crystal = layer + second
        crystal.set_cell([a, a, 2 * spacing])
    else:
        crystal = layer
        height = float(np.ptp(layer.positions[:, 2])) + vacuum_angstrom
        crystal.set_cell([a, a, height])
        crystal.pbc = (True, True, False)
        crystal.positions[:, 2] += 0.5 * height - 0.5 * (crystal.positions[:, 2].min() + crystal.positions[:, 2].max())
    _check_apart(crystal)
    crystal = crystal.repeat(count)
    crystal.info.update(
        {
            "material": material,
            "spacer": spacer,
            "n": int(n),
            "formula": layer.get_chemical_formula("metal"),
            "lattice_angstrom": a,
            "gap_angstrom": gap,
            "layer_spacing_angstrom": spacing,
            "contact": contact,
            "sources": sorted({entry["lattice_source"], row["source"]}),
            "checked": bool(entry["lattice_checked"] and row["checked"]),
            "note": "ideal: regular octahedra, spacers in the plane of the outer halides; relax before use",
        }
    )
    return crystal


def _gap(entry: dict[str, Any], row: dict[str, Any], a: float, n: int, spacing: float | None) -> float:
    """Distance of the outer halide planes of two layers."""
    if spacing is not None:
        gap = float(spacing) - n * a
        if not (np.isfinite(gap) and gap > 0):
            raise InputError(
                "The layers overlap", got=f"{spacing:g} angstrom", allowed=f"> {n * a:g} angstrom, n octahedra"
            )
        return gap
    if "radius" in row:
        return float(row["radius"] + _data()["halide_radius"][entry["X"]])
    # thickness of the iodide layer in which the spacing was measured
    return float(row["layer_spacing"] - _entry("MAPbI3", "cubic")["lattice"][0])


@lru_cache(maxsize=32)
def _packed(spacer: str, metal: str, halide: str, a: float, gap: float) -> tuple[list[str], Floats, float]:
    """Spacer turned about its nitrogen to stay clear of halides, metal, its own images and the next layer's."""
    from ase.data import atomic_numbers, vdw_radii
    from scipy.optimize import minimize
    from scipy.spatial.transform import Rotation

    symbols, local = _spacer(spacer)
    radius = np.array([vdw_radii[atomic_numbers[s]] for s in symbols])
    half = 0.5 * a
    cells = np.array([[i * a, j * a, 0.0] for i in range(-2, 3) for j in range(-2, 3)])
    # origin on the nitrogen; this layer below it, the next one above and shifted
    frame = [(halide, (half, half, 0.0)), (metal, (half, half, -half))]
    frame += [(halide, (0.0, half, -half)), (halide, (half, 0.0, -half))]
    frame += [(halide, (0.0, 0.0, gap)), (metal, (0.0, 0.0, gap + half))]
    frame += [(halide, (half, 0.0, gap + half)), (halide, (0.0, half, gap + half))]
    fixed = (np.array([place for _, place in frame])[None] + cells[:, None]).reshape(-1, 3)
    fixed_radius = np.tile([vdw_radii[atomic_numbers[s]] for s, _ in frame], len(cells))
    images = cells[np.linalg.norm(cells, axis=1) > 0]
    partner = np.array([half, half, gap])

    def contacts(angles: Floats) -> Floats:
        turned = Rotation.from_euler("zyz", angles).apply(local)
        # inversion between the two spacers of a gap: -r about its middle
        others = np.concatenate(
            [
                (turned[None] + images[:, None]).reshape(-1, 3),
                (partner + cells[:, None] - turned[None]).reshape(-1, 3),
            ]
        )
        other_radius = np.tile(radius, len(images) + len(cells))
        around = np.concatenate([fixed, others])
        sums = radius[:, None] + np.concatenate([fixed_radius, other_radius])[None]
        distance = np.linalg.norm(turned[:, None] - around[None], axis=2)
        return (distance / sums).ravel()

    def overlap(angles: Floats) -> float:
        return float(np.sum(np.maximum(contacts(angles), 0.1) ** -12))

    starts = [
        np.radians([spin, tilt, turn])
        for tilt in (10, 25, 40, 55)
        for turn in range(0, 360, 30)
        for spin in range(0, 360, 45)
    ]
    best = sorted(starts, key=overlap)[:4]
    found = min(
        (minimize(overlap, x, method="Nelder-Mead", options={"xatol": 1e-4}) for x in best), key=lambda r: r.fun
    )
    turned = Rotation.from_euler("zyz", found.x).apply(local)
    return symbols, turned, float(contacts(found.x).min())
