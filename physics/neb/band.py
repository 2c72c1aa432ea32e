"""The band: the path of least energy between two relaxed ends, with a climbing image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from ..errors import ConvergenceError, InputError, ValidityError
from ..randomness import generator
from .theory import Theory

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

__all__ = ["Band", "Progress", "Settings", "minimum_energy_path", "relax"]

Floats = NDArray[np.float64]
Progress = Callable[[str, int, float], None]

# An image this far below an end, or a dip this deep, is a state and not noise: forces at the default tolerances
# leave about half of it open.
WELL_EV = 0.01

# A maximum that is lower than this above an end is none: forces of the tolerance cannot tell it from a flat path.
FLAT_EV = 0.001

# The band converges without a climbing image to this multiple of the tolerance first: climbing from a rough band
# may climb the wrong hill (Henkelman, Uberuaga and Jónsson 2000).
FIRST_STAGE = 3.0

LATTICE = ("fixed", "volume", "shape")
START = ("idpp", "linear")


@dataclass(frozen=True)
class Settings:
    """How a hop is computed.

    Parameters
    ----------
    images : int, >= 1
        Images between the ends.
    force_tolerance_eV_angstrom : float, eV/angstrom, > 0
        Largest force on an atom of the converged band. For V_Br in a 2x2x2 cell of CsPbBr3 (CHGNet) 0.05 leaves
        0.015 eV of the barrier open and 0.02 leaves 0.004 eV, against 0.01.
    relax_tolerance_eV_angstrom : float, eV/angstrom, > 0
        The same for crystal and ends. Tilts are soft: at 0.05 eV/angstrom a rattled CsPbBr3 cell stops next to
        the ideal cubic positions, 0.16 eV a formula unit above its minimum (CHGNet); at 0.01 a 3x3x3 cell is
        up to 0.2 eV above it.
    rattle_angstrom : float, angstrom, >= 0
        Standard deviation of the random displacement of each coordinate before the crystal relaxes, and of the
        images of the first guess.
    lattice : {'fixed', 'volume', 'shape'}
        What relaxes with the crystal before the vacancy is made: nothing, one scale, or the whole cell.
    spring_eV_angstrom2 : float, eV/angstrom^2, > 0
        Springs between images; they do not enter the barrier. Images are spaced to the force tolerance over this:
        0.02 angstrom by default; the 0.1 eV/angstrom^2 of ASE leaves ten times more open.
    start : {'idpp', 'linear'}
        First guess of the path: image-dependent pair potential or straight line.
    steps : int, >= 1
        Most steps of each relaxation and of each stage of the band.
    rounds : int, >= 1
        How often a band may be strung again from states below its ends.

    Raises
    ------
    InputError
        If one of them is out of range.
    """

    images: int = 5
    force_tolerance_eV_angstrom: float = 0.02
    relax_tolerance_eV_angstrom: float = 0.005
    rattle_angstrom: float = 0.05
    lattice: str = "fixed"
    spring_eV_angstrom2: float = 1.0
    start: str = "idpp"
    steps: int = 2000
    rounds: int = 5

    def __post_init__(self) -> None:
        for name in ("images", "steps", "rounds"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise InputError(f"{name} is out of range", got=number, allowed="a whole number >= 1")
        for name in ("force_tolerance_eV_angstrom", "relax_tolerance_eV_angstrom", "spring_eV_angstrom2"):
            number = getattr(self, name)
            if not (isinstance(number, int | float) and math.isfinite(number) and number > 0):
                raise InputError(f"{name} is out of range", got=number, allowed="> 0")
        if not (isinstance(self.rattle_angstrom, int | float) and 0 <= self.rattle_angstrom <= 0.5):
            raise InputError("rattle_angstrom is out of range", got=self.rattle_angstrom, allowed="0 to 0.5 angstrom")
        for name, allowed in (("lattice", LATTICE), ("start", START)):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is unknown", got=getattr(self, name), allowed=", ".join(allowed))


@dataclass(frozen=True, eq=False)
class Band:
    """A converged minimum-energy path.

    Attributes
    ----------
    energies_eV : array, shape (images + 2,), eV
        Of each image, against the first.
    distances_angstrom : array, shape (images + 2,), angstrom
        Length of the path up to each image, over the coordinates of all atoms.
    slopes_eV_angstrom : array, shape (images + 2,), eV/angstrom
        Energy against path length, from the true forces.
    forces_eV_angstrom : array, shape (images,), eV/angstrom
        Largest force of the band on an atom, image by image.
    saddle_force_eV_angstrom : float, eV/angstrom
        Largest true force on an atom of the climbing image: zero at a saddle point.
    steps : tuple of int
        Steps of the ends (both), of the band without climbing and with it, in the last round.
    rounds : int
        Bands that were strung until none held a state below its ends.
    mover : int
        The atom that hops.
    bystander_angstrom : float, angstrom
        Farthest that another atom moves from end to end: above about 0.5 the surroundings rearrange too.
    wells : tuple of int
        Images in an intermediate minimum: the hop has more than one step, and its barrier is the highest one
        from the first end.
    images : tuple of ase.Atoms
        With energies and forces.
    """

    energies_eV: Floats
    distances_angstrom: Floats
    slopes_eV_angstrom: Floats
    forces_eV_angstrom: Floats
    saddle_force_eV_angstrom: float
    steps: tuple[int, ...]
    rounds: int
    mover: int
    bystander_angstrom: float
    wells: tuple[int, ...]
    images: tuple[Atoms, ...] = field(repr=False)

    @property
    def saddle(self) -> int:
        """Number of the highest image."""
        return int(np.argmax(self.energies_eV))

    @property
    def forward_eV(self) -> float:
        """Barrier from the first end, eV."""
        return float(self.energies_eV[self.saddle] - self.energies_eV[0])

    @property
    def backward_eV(self) -> float:
        """Barrier from the last end, eV."""
        return float(self.energies_eV[self.saddle] - self.energies_eV[-1])

    @property
    def mean_eV(self) -> float:
        """Saddle above the mean of the ends, eV: the kinetically resolved barrier of a hop between unequal sites."""
        return 0.5 * (self.forward_eV + self.backward_eV)

    @property
    def difference_eV(self) -> float:
        """Energy of the last end against the first, eV."""
        return float(self.energies_eV[-1] - self.energies_eV[0])

    @property
    def force_eV_angstrom(self) -> float:
        """Largest force of the band on any atom, eV/angstrom."""
        return float(self.forces_eV_angstrom.max())

    @property
    def spacing_angstrom(self) -> tuple[float, float]:
        """Smallest and largest distance of neighbouring images, angstrom."""
        gaps = np.diff(self.distances_angstrom)
        return float(gaps.min()), float(gaps.max())

    def curve(self, points: int = 200) -> tuple[Floats, Floats]:
        """Path length (angstrom) and energy (eV) in between: the cubic through energies and slopes of the images.

        Parameters
        ----------
        points : int, >= 2
            Evenly spaced along the path.

        Returns
        -------
        tuple of two arrays, shape (points,), angstrom and eV
        """
        s = np.linspace(0.0, self.distances_angstrom[-1], points)
        return s, np.asarray(CubicHermiteSpline(self.distances_angstrom, self.energies_eV, self.slopes_eV_angstrom)(s))


def _largest(forces: Floats) -> float:
    return float(np.sqrt((np.asarray(forces, dtype=float) ** 2).sum(axis=-1).max()))


def relax(atoms: Atoms, settings: Settings, what: str, progress: Progress | None = None, lattice: str = "fixed") -> int:
    """Relax in place, to the tolerance for crystal and ends; return the number of steps.

    Parameters
    ----------
    atoms : ase.Atoms
        With a calculator.
    settings : Settings
    what : str
        What the progress and an error call it.
    progress : callable (stage, step, force in eV/angstrom), optional
    lattice : {"fixed", "volume", "shape"}
        Whether the cell relaxes too; as of :class:`Settings`.

    Raises
    ------
    ConvergenceError
        With the force that is left.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    tolerance = settings.relax_tolerance_eV_angstrom
    target = atoms if lattice == "fixed" else FrechetCellFilter(atoms, hydrostatic_strain=lattice == "volume")
    with FIRE(target, logfile=None) as optimiser:
        if progress is not None:
            optimiser.attach(lambda: progress(what, optimiser.nsteps, _largest(target.get_forces())))
        if not optimiser.run(fmax=tolerance, steps=settings.steps):
            raise ConvergenceError(
                f"The {what} did not relax in {settings.steps} steps",
                got=f"{_largest(target.get_forces()):.3g} eV/angstrom",
                allowed=f"< {tolerance:g} eV/angstrom",
                action="Allow more steps, or a larger relax_tolerance_eV_angstrom",
            )
        return int(optimiser.nsteps)


def _frozen(atoms: Atoms, energy: float, forces: Floats) -> Atoms:
    """A copy that keeps its energy and forces and no calculator."""
    from ase.calculators.singlepoint import SinglePointCalculator

    kept = atoms.copy()
    kept.calc = SinglePointCalculator(kept, energy=float(energy), forces=np.array(forces, dtype=float))
    return kept


def _between(first: Atoms, second: Atoms) -> Floats:
    """Displacement of each atom, the shortest under the periodic cell, shape (atoms, 3)."""
    from ase.geometry import find_mic

    return np.asarray(find_mic(second.positions - first.positions, first.cell, first.pbc)[0], dtype=float)


def minimum_energy_path(
    initial: Atoms,
    final: Atoms,
    calculator: Theory,
    settings: Settings = Settings(),
    *,
    seed: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Band:
    """Relax both ends and find the path of least energy between them.

    Parameters
    ----------
    initial, final : ase.Atoms
        The same atoms in the same order and cell. Not changed.
    calculator : Theory
    settings : Settings
    seed : int, numpy.random.Generator or None
        Of the rattle that keeps images off ridges.
    progress : callable (stage, step, force in eV/angstrom), optional

    Returns
    -------
    Band

    Raises
    ------
    InputError
        If the ends do not match.
    ConvergenceError
        If forces do not converge, an end relaxes into the other, or images keep falling below the ends.
    ValidityError
        If there is no maximum between the ends: no barrier on this path.

    Notes
    -----
    Climbing-image nudged elastic band [1]_ with improved tangents [2]_ and FIRE [3]_, as ASE implements it. The
    barrier is a difference of potential energies at 0 K: neither zero-point energy nor entropy is in it, nor a
    relaxation of the cell around the defect. One path is found, not the best of all.

    References
    ----------
    .. [1] G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000).
    .. [2] G. Henkelman and H. Jónsson, J. Chem. Phys. 113, 9978 (2000).
    .. [3] E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).

    Examples
    --------
    A vacancy in copper; the effective medium theory of ASE takes a second.

    >>> from ase.build import bulk
    >>> from halidrift.physics.defects import vacancy_hop
    >>> from halidrift.physics.neb import calculators
    >>> initial, final = vacancy_hop(bulk("Cu", cubic=True).repeat(2), "V_Cu")
    >>> band = minimum_energy_path(initial, final, calculators("emt"), Settings(images=1))
    >>> round(band.forward_eV, 2), band.saddle
    (0.76, 1)
    """
    _check_ends(initial, final)
    rng = generator(seed)
    start = _between(initial, final)
    mover = int(np.argmax(np.linalg.norm(start, axis=1)))
    calc = calculator.make()
    ends = [initial.copy(), final.copy()]
    steps = [0, 0]
    rounds = 0
    for which, name in enumerate(("first end", "last end")):
        ends[which].calc = calc
        steps[which] = relax(ends[which], settings, name, progress)
        ends[which] = _frozen(ends[which], ends[which].get_potential_energy(), ends[which].get_forces())
    _check_apart(ends, start, mover)
    while True:
        rounds += 1
        band, lower = _string(ends, calc, settings, rng, mover, (steps[0], steps[1]), rounds, progress)
        if not lower:
            break
        if rounds == settings.rounds:
            below = min(band.energies_eV[i] - band.energies_eV[0 if which == 0 else -1] for which, i in lower.items())
            raise ConvergenceError(
                f"Images keep falling below the ends after {rounds} bands",
                got=f"{below:.3f} eV",
                allowed=f"> -{WELL_EV:g} eV",
                action="The ends are not minima: lower relax_tolerance_eV_angstrom, change the seed or the rattle, or "
                "start from a crystal that the calculator holds stable",
            )
        for which, i in lower.items():
            found = band.images[i].copy()
            found.calc = calc
            steps[which] = relax(found, settings, ("first end", "last end")[which], progress)
            ends[which] = _frozen(found, found.get_potential_energy(), found.get_forces())
        _check_apart(ends, start, mover)
    if min(band.forward_eV, band.backward_eV) < FLAT_EV:
        raise ValidityError(
            "No image lies above the ends: there is no barrier on this path",
            got=", ".join(f"{e:.3f}" for e in band.energies_eV) + " eV",
            allowed="a maximum between the ends",
            action="Rattle and relax the crystal first (rattle_angstrom > 0), or add images",
        )
    return band


def _check_ends(initial: Atoms, final: Atoms) -> None:
    if len(initial) != len(final) or (initial.numbers != final.numbers).any():
        raise InputError(
            "The ends of the hop are not the same atoms in the same order",
            got=f"{initial.get_chemical_formula()} and {final.get_chemical_formula()}",
        )
    if (initial.pbc != final.pbc).any() or not np.allclose(initial.cell, final.cell, atol=1e-8):
        raise InputError("The ends of the hop have different cells", action="Relax the crystal, then cut both from it")
    if _largest(_between(initial, final)) < 0.1:
        raise InputError("The ends of the hop are the same structure", allowed="an atom that moves by 0.1 angstrom")


def _check_apart(ends: Sequence[Atoms], start: Floats, mover: int) -> None:
    left = float(_between(ends[0], ends[1])[mover] @ start[mover] / np.linalg.norm(start[mover]) ** 2)
    if left < 0.5:
        raise ConvergenceError(
            "One end of the hop relaxed into the other",
            got=f"{left:.2f} of the hop is left",
            allowed="> 0.5",
            action="The site is not stable for this calculator: check cell and calculator, or choose another hop",
        )


def _string(
    ends: Sequence[Atoms],
    calc: Calculator,
    settings: Settings,
    rng: np.random.Generator,
    mover: int,
    end_steps: tuple[int, int],
    rounds: int,
    progress: Progress | None,
) -> tuple[Band, dict[int, int]]:
    """One band between relaxed ends, converged with a climbing image, and the states below its ends.

    With such states it is given back as it stands: neither climbing nor more steps would make a path of it, since
    images that slide off unstable ends, perhaps to different sides, need not converge at all.
    """
    from ase.mep import NEB
    from ase.optimize import FIRE

    class Remembered(NEB):
        """Keeps its forces until the images move: an optimiser asks three times a step, and ASE computes each time."""

        last: Floats = np.full((1, 3), np.nan)
        known: tuple[bool, bytes] | None = None

        def get_forces(self) -> Floats:
            now = (bool(self.climb), self.get_positions().tobytes())
            if now != self.known:
                self.last, self.known = np.array(super().get_forces(), dtype=float), now
            return self.last.copy()

    images = [ends[0], *(ends[0].copy() for _ in range(settings.images)), ends[1]]
    neb = Remembered(images, k=settings.spring_eV_angstrom2, method="improvedtangent", allow_shared_calculator=True)
    neb.interpolate(method=settings.start, mic=True)
    for image in images[1:-1]:
        # a band of high symmetry would rest on a ridge
        image.positions += rng.normal(scale=settings.rattle_angstrom, size=image.positions.shape)
        image.calc = calc
    tolerance = settings.force_tolerance_eV_angstrom
    taken = []
    for climb, target, name in ((False, FIRST_STAGE * tolerance, "band"), (True, tolerance, "climbing band")):
        neb.climb = climb
        with FIRE(neb, logfile=None) as optimiser:

            def report(name: str = name, optimiser: FIRE = optimiser) -> None:
                if progress is not None:
                    progress(name, optimiser.nsteps, _largest(neb.last))

            optimiser.attach(report)
            done = optimiser.run(fmax=target, steps=settings.steps)
            taken.append(int(optimiser.nsteps))
        band = _measured(neb, images, settings, mover, (*end_steps, *taken), rounds)
        lower = _lower_states(band)
        if lower:
            break
        if not done:
            raise ConvergenceError(
                f"The {name} did not converge in {settings.steps} steps",
                got=f"{_largest(neb.last):.3g} eV/angstrom",
                allowed=f"< {target:g} eV/angstrom",
                action="Allow more steps, start from a tighter relax_tolerance_eV_angstrom, or use more images",
            )
    return band, lower


def _measured(
    neb: Any, images: Sequence[Atoms], settings: Settings, mover: int, steps: tuple[int, ...], rounds: int
) -> Band:
    """The band as it stands."""
    residual = neb.last.reshape(settings.images, -1, 3)
    energies = np.array(neb.energies, dtype=float)
    between = np.array(neb.real_forces, dtype=float)[1:-1]
    true = [images[0].get_forces(), *between, images[-1].get_forces()]
    frozen = tuple(_frozen(image, e, f) for image, e, f in zip(images, energies, true, strict=True))
    gaps = [_between(a, b) for a, b in pairwise(frozen)]
    relative = energies - energies[0]
    motion = np.linalg.norm(_between(frozen[0], frozen[-1]), axis=1)
    peak = int(np.argmax(relative))
    return Band(
        energies_eV=relative,
        distances_angstrom=np.concatenate([[0.0], np.cumsum([np.linalg.norm(g) for g in gaps])]),
        slopes_eV_angstrom=_slopes(gaps, true),
        forces_eV_angstrom=np.array([_largest(f) for f in residual]),
        saddle_force_eV_angstrom=_largest(true[peak]),
        steps=steps,
        rounds=rounds,
        mover=mover,
        bystander_angstrom=float(np.delete(motion, mover).max()) if len(motion) > 1 else 0.0,
        wells=_wells(relative),
        images=frozen,
    )


def _slopes(gaps: Sequence[Floats], forces: Sequence[Floats]) -> Floats:
    """Energy against path length at each image: minus the true force along the path."""
    tangents = [gaps[0], *(a + b for a, b in pairwise(gaps)), gaps[-1]]
    return np.array([-float((f * t).sum()) / float(np.linalg.norm(t)) for f, t in zip(forces, tangents, strict=True)])


def _wells(energies: Floats) -> tuple[int, ...]:
    """Images of interior minima that are deeper than noise on both sides."""
    return tuple(
        i
        for i in range(1, len(energies) - 1)
        if energies[i] == min(energies[i - 1 : i + 2])
        and max(energies[:i]) - energies[i] > WELL_EV
        and max(energies[i + 1 :]) - energies[i] > WELL_EV
    )


def _lower_states(band: Band) -> dict[int, int]:
    """End (0 or 1) -> lowest image that lies below it although its atom has not hopped: a better state of that end."""
    energies, last = band.energies_eV, len(band.energies_eV) - 1
    found = {}
    for which, (own, other) in enumerate(((0, last), (last, 0))):
        below = []
        for i in range(1, last):
            to_own, to_other = (
                float(np.linalg.norm(_between(band.images[end], band.images[i])[band.mover])) for end in (own, other)
            )
            if energies[i] < energies[own] - WELL_EV and to_own < 0.5 * to_other:
                below.append(i)
        if below:
            found[which] = min(below, key=lambda i: energies[i])
    return found
