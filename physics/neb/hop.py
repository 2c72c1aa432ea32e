"""One hop in one supercell: rattle and relax the crystal, cut both ends from it, string the band."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import crystals, defects
from ..errors import InputError
from ..randomness import generator
from .band import Band, Progress, Settings, minimum_energy_path, relax
from .theory import Theory, calculators

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "MigrationBarrier",
    "Place",
    "Task",
    "check_seed",
    "compute",
    "fingerprint",
    "migration_barrier",
    "place_hop",
    "plan",
    "read_structure",
]

# Stored with each run; raised when the procedure changes, so that old runs are not mistaken for new ones.
PROCEDURE = 2


@dataclass(frozen=True, eq=False)
class MigrationBarrier:
    """Barrier of one vacancy hop in one supercell.

    Attributes
    ----------
    material, species, phase : str
        `phase` is empty where the structure does not tell.
    repeat : three int
        Copies of the crystallographic cell.
    atoms : int
        Of the perfect supercell.
    hop : int
        Class of the hop, see :func:`halidrift.physics.defects.hops`.
    hop_length_angstrom : float, angstrom
        In the crystal as given.
    cell_angstrom_deg : six float
        Lengths and angles of the supercell in which the hop was computed.
    seed : int
        Of the rattle.
    theory, version : str
        The calculator.
    source : str or None
        Bib key of its paper.
    note : str
        What its energies leave out.
    settings : Settings
    crystal_eV_atom : float, eV
        Energy of the relaxed perfect crystal per atom: tells whether two seeds relaxed into the same crystal.
    band : Band
    wall_s : float, s
    key : str
        Name of this run in a store: equal for equal crystal, hop, calculator (by name, version, and its energy and
        forces of one rattled unit cell), settings and seed.
    series : str
        Name that runs share which differ in supercell and seed alone.
    """

    material: str
    species: str
    phase: str
    repeat: tuple[int, int, int]
    atoms: int
    hop: int
    hop_length_angstrom: float
    cell_angstrom_deg: tuple[float, ...]
    seed: int
    theory: str
    version: str
    source: str | None
    note: str
    settings: Settings
    crystal_eV_atom: float
    band: Band = field(repr=False)
    wall_s: float
    key: str
    series: str

    @property
    def forward_eV(self) -> float:
        """Barrier of the hop, eV."""
        return self.band.forward_eV

    @property
    def backward_eV(self) -> float:
        """Barrier of the way back, eV."""
        return self.band.backward_eV

    @property
    def mean_eV(self) -> float:
        """Mean of both ways, eV."""
        return self.band.mean_eV

    @property
    def size(self) -> str:
        """The supercell, for instance ``2x2x2``."""
        return "x".join(str(n) for n in self.repeat)

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys: the method and the calculator."""
        return tuple(key for key in ("Henkelman2000", self.source) if key)

    def __str__(self) -> str:
        """Return the convergence report."""
        band, low_high = self.band, self.band.spacing_angstrom
        lines = [
            f"{self.material} {self.species} {self.size} ({self.atoms} atoms), seed {self.seed}, {self.theory} "
            f"{self.version}",
            f"  barrier {band.forward_eV:.3f} eV, back {band.backward_eV:.3f} eV, ends differ by "
            f"{band.difference_eV:+.3f} eV",
            f"  force {band.force_eV_angstrom:.3f} eV/angstrom on the band, {band.saddle_force_eV_angstrom:.3f} on the "
            f"saddle (tolerance {self.settings.force_tolerance_eV_angstrom:g}); highest image {band.saddle} of "
            f"0-{len(band.energies_eV) - 1}",
            f"  images {low_high[0]:.2f} to {low_high[1]:.2f} angstrom apart; steps: ends {band.steps[0]} and "
            f"{band.steps[1]}, band {band.steps[2]}, climbing {band.steps[3]}; {band.rounds} band(s); "
            f"{self.wall_s:.0f} s",
        ]
        lines += [f"  {remark}" for remark in (*self.doubts, self.note) if remark]
        return "\n".join(lines)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against taking this number for the barrier of one hop."""
        band, said = self.band, []
        if band.wells:
            said.append(f"intermediate minimum at image {', '.join(map(str, band.wells))}, more than one step")
        if band.bystander_angstrom > 0.5:
            said.append(f"the surroundings rearrange, another atom moves {band.bystander_angstrom:.2f} angstrom")
        if abs(band.difference_eV) > 0.5 * band.mean_eV:
            said.append(f"the ends differ by {abs(band.difference_eV):.3f} eV, not a hop between alike sites")
        return tuple(said)


def read_structure(path: str | os.PathLike[str]) -> Atoms:
    """Read a crystal in any format that ASE reads.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    InputError
        If the file cannot be read or holds no periodic cell.
    """
    from ase.io import read

    try:
        atoms = read(os.fspath(path))
    except Exception as error:  # ASE raises what its many readers raise
        raise InputError(
            "The structure could not be read",
            got=f"{path}: {type(error).__name__}: {error}",
            allowed="CIF, POSCAR, ...",
        ) from error
    if isinstance(atoms, list) or not atoms.cell.rank == 3:
        raise InputError("The structure has no periodic cell", got=str(path), allowed="three cell vectors")
    atoms.pbc = True
    return atoms


def _supercell(crystal: str | Atoms, phase: str, repeat: Sequence[int]) -> tuple[Atoms, str, str]:
    """The perfect supercell, its material and its phase."""
    if isinstance(crystal, str):
        return crystals.perovskite(crystal, phase, repeat), crystal, phase
    numbers = tuple(repeat)
    if len(numbers) != 3 or any(int(n) != n or n < 1 for n in numbers):
        raise InputError("repeat must be three whole numbers", got=numbers, allowed=">= 1")
    formula = crystal.symbols.formula.convert("metal").reduce()[0]
    info = crystal.info
    built: Atoms = crystal.repeat(numbers)
    return built, str(info.get("material", formula)), str(info.get("phase", ""))


def _key(parts: dict[str, Any]) -> str:
    # the letter keeps ase.db from taking a digest like 12e45678 for a number
    return "h" + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Place:
    """A hop in a perfect supercell: what its runs share.

    Attributes
    ----------
    supercell : ase.Atoms
        The perfect crystal, repeated.
    cell : ase.Atoms
        One cell of it.
    material, species, phase : str
        `phase` is empty where the structure does not tell.
    repeat : three int
        Copies of the crystallographic cell.
    hop : Hop
        Of :func:`halidrift.physics.defects.hops`.
    """

    supercell: Atoms
    cell: Atoms
    material: str
    species: str
    phase: str
    repeat: tuple[int, int, int]
    hop: defects.Hop


@dataclass(frozen=True, eq=False)
class Task:
    """A run to be made: everything that decides its result, and the names that follow from it.

    Attributes
    ----------
    place : Place
    seed : int, >= 0
        Of the rattle.
    theory : Theory
    settings : Settings
    key : str
        Name of the run in a store: hash of all that decides it.
    series : str
        The same without supercell and seed: name of the runs that belong together.
    """

    place: Place
    seed: int
    theory: Theory
    settings: Settings
    key: str
    series: str


def place_hop(crystal: str | Atoms, species: str, *, phase: str, repeat: Sequence[int], hop: int) -> Place:
    """Put a hop into a supercell: the atoms without it and both of its ends.

    Parameters
    ----------
    crystal : str or ase.Atoms
        Material of :func:`halidrift.physics.crystals.perovskite`, or a perfect crystal of your own.
    species : str
        ``"V_Br"`` for the bromide vacancy.
    phase : str
        Of the material, if it is given by name.
    repeat : three int, >= 1
        Copies of the crystallographic cell.
    hop : int, >= 0
        Class of the hop, see :func:`halidrift.physics.defects.hops`.
    """
    supercell, material, found_phase = _supercell(crystal, phase, repeat)
    if supercell.constraints:
        raise InputError(
            "The crystal holds atoms with constraints, which would enter the barrier",
            got=", ".join(type(constraint).__name__ for constraint in supercell.constraints),
            action="Remove them (atoms.set_constraint()); in a POSCAR, the selective dynamics",
        )
    if not species.startswith("V_"):
        present = sorted(set(supercell.symbols))
        raise InputError(
            "Only vacancy hops are built here", got=species, allowed=", ".join(f"V_{symbol}" for symbol in present)
        )
    choice = defects.hops(supercell, species)
    if isinstance(hop, bool) or int(hop) != hop or not 0 <= hop < len(choice):
        raise InputError(
            f"No such hop of {species}",
            got=hop,
            allowed="; ".join(f"{h.index}: {h.length_angstrom:.3f} angstrom, {h.multiplicity} a site" for h in choice),
        )
    chosen = choice[int(hop)]
    volume, vectors = abs(supercell.cell.volume), supercell.cell.array
    width = min(volume / float(np.linalg.norm(np.cross(vectors[(i + 1) % 3], vectors[(i + 2) % 3]))) for i in range(3))
    if width < 2.0 * chosen.length_angstrom:
        raise InputError(
            "The supercell is too small: the vacancy is as close to its own image as the hop is long",
            got=f"{width:.2f} angstrom",
            allowed=f">= {2.0 * chosen.length_angstrom:.2f} angstrom, twice the hop",
            action="Repeat the cell more often",
        )
    x, y, z = (int(n) for n in repeat)
    cell = _supercell(crystal, phase, (1, 1, 1))[0]
    return Place(supercell, cell, material, species, found_phase, (x, y, z), chosen)


def fingerprint(place: Place, theory: Theory) -> tuple[float, float]:
    """Energy and root-mean-square force of the rattled unit cell, by which a calculator is known.

    Its name and version do not tell its weights and parameters, but its numbers do.

    Parameters
    ----------
    place : Place
    theory : Theory

    Returns
    -------
    energy, force : float, eV and eV/angstrom

    Raises
    ------
    InputError
        If the calculator cannot compute this material.
    """
    atoms = place.cell.copy()
    atoms.positions += generator(0).normal(scale=0.05, size=atoms.positions.shape)
    atoms.calc = theory.make()
    try:
        energy, forces = float(atoms.get_potential_energy()), np.asarray(atoms.get_forces(), dtype=float)
    except Exception as error:  # each calculator has its own way to say what it cannot do
        raise InputError(
            f"{theory} cannot compute {place.material}",
            got=f"{type(error).__name__}: {error}",
            action="Choose a calculator that knows these elements, and set up what it needs",
        ) from error
    force = float(np.sqrt((forces**2).mean()))
    if not (math.isfinite(energy) and math.isfinite(force)):
        raise InputError(
            f"{theory} gives no finite energy and forces for {place.material}",
            got=f"{energy} eV, {force} eV/angstrom",
            action="Check the crystal, or choose a calculator that knows these elements",
        )
    # single precision leaves less than this open
    return round(energy, 4), round(force, 4)


def check_seed(seed: int) -> None:
    """Raise if a seed is no whole number.

    Parameters
    ----------
    seed : int, >= 0
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("A seed must be a whole number", got=seed, allowed=">= 0")


def plan(place: Place, theory: Theory, settings: Settings, seed: int, numbers: tuple[float, float]) -> Task:
    """Return what is to be computed, with the fingerprint that it is stored under.

    Parameters
    ----------
    place : Place
    theory : Theory
    settings : Settings
    seed : int, >= 0
        Of the rattle.
    numbers : tuple of two float, eV, eV/angstrom
        Of :func:`fingerprint`.
    """
    shared = {
        "procedure": PROCEDURE,
        "material": place.material,
        "phase": place.phase,
        "numbers": place.cell.numbers.tolist(),
        "positions": np.round(place.cell.positions, 4).tolist(),
        "cell": np.round(place.cell.cell.array, 4).tolist(),
        "species": place.species,
        "hop": place.hop.index,
        "theory": [theory.name, theory.version, *numbers],
        "settings": asdict(settings),
    }
    key = _key({**shared, "repeat": list(place.repeat), "seed": int(seed)})
    return Task(place, int(seed), theory, settings, key, _key(shared))


def migration_barrier(
    crystal: str | Atoms,
    species: str,
    calculator: Theory | str,
    *,
    repeat: Sequence[int] = (2, 2, 2),
    phase: str = "cubic",
    hop: int = 0,
    seed: int = 0,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> MigrationBarrier:
    """Barrier of a vacancy hop: rattle and relax the crystal, cut both ends from it, relax them, string the band.

    Parameters
    ----------
    crystal : str or ase.Atoms
        Material of :func:`halidrift.physics.crystals.perovskite`, or a perfect crystal of your own.
    species : str
        ``"V_Br"`` for the bromide vacancy.
    calculator : Theory or str
        Or its name, see :func:`calculators`.
    repeat : three int, >= 1
        Copies of the crystallographic cell.
    phase : str
        Of the material, if it is given by name.
    hop : int, >= 0
        Class of the hop, see :func:`halidrift.physics.defects.hops`.
    seed : int, >= 0
        Of the rattle.
    settings : Settings
    progress : callable (stage, step, force in eV/angstrom), optional

    Returns
    -------
    MigrationBarrier

    Raises
    ------
    InputError
        If the crystal has no such hop, or is too small for it.
    ConvergenceError, ValidityError
        See :func:`minimum_energy_path`.

    Notes
    -----
    Relaxation is at 0 K. A cubic halide perovskite keeps the metric of the cubic cell, but its octahedra tilt; the
    pattern depends on the seed, and a supercell with an odd number of cubic cells cannot hold the tilts of
    lowest energy at all. Report several seeds and sizes of equal parity.

    Examples
    --------
    >>> from ase.build import bulk
    >>> rough = Settings(images=1, force_tolerance_eV_angstrom=0.1, relax_tolerance_eV_angstrom=0.05)
    >>> found = migration_barrier(bulk("Cu", cubic=True), "V_Cu", "emt", settings=rough)
    >>> round(found.forward_eV, 1)
    0.8
    """
    theory = calculators(calculator) if isinstance(calculator, str) else calculator
    place = place_hop(crystal, species, phase=phase, repeat=repeat, hop=hop)
    check_seed(seed)
    return compute(plan(place, theory, settings, seed, fingerprint(place, theory)), progress)


def compute(task: Task, progress: Progress | None) -> MigrationBarrier:
    """Compute a barrier: rattle, relax, cut both ends from one crystal, string the band.

    Parameters
    ----------
    task : Task
    progress : callable (stage, step, force in eV/angstrom) or None
    """
    began = time.perf_counter()
    rng = generator(task.seed)
    place, hop = task.place, task.place.hop
    atoms = place.supercell.copy()
    ideal = atoms.positions.copy()
    atoms.positions += rng.normal(scale=task.settings.rattle_angstrom, size=atoms.positions.shape)
    atoms.calc = task.theory.make()
    cell = atoms.cell.array.copy()
    relax(atoms, task.settings, "crystal", progress, task.settings.lattice)
    crystal_eV = float(atoms.get_potential_energy()) / len(atoms)

    # the vacancy leaves along the vector of the hop, and the atom at its other end comes back along it, by the same
    # periodic image
    image = np.linalg.solve(cell.T, ideal[hop.end] - np.array(hop.vector_angstrom) - ideal[hop.start])
    target = atoms.positions[hop.start] + np.round(image) @ atoms.cell.array
    initial = defects.with_vacancy(atoms, hop.start)
    mover = hop.end - (hop.end > hop.start)
    final = initial.copy()
    final.positions[mover] = target
    band = minimum_energy_path(initial, final, task.theory, task.settings, seed=rng, progress=progress)
    return MigrationBarrier(
        material=place.material,
        species=place.species,
        phase=place.phase,
        repeat=place.repeat,
        atoms=len(atoms),
        hop=hop.index,
        hop_length_angstrom=hop.length_angstrom,
        cell_angstrom_deg=tuple(float(v) for v in atoms.cell.cellpar()),
        seed=task.seed,
        theory=task.theory.name,
        version=task.theory.version,
        source=task.theory.source,
        note=task.theory.note,
        settings=task.settings,
        crystal_eV_atom=crystal_eV,
        band=band,
        wall_s=time.perf_counter() - began,
        key=task.key,
        series=task.series,
    )
