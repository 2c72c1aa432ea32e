"""The same hop in several supercells and from several rattles."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConvergenceError, InputError, ValidityError
from .band import Progress, Settings
from .hop import MigrationBarrier, check_seed, compute, fingerprint, place_hop, plan
from .store import keep, stored
from .theory import Theory, calculators

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Failure", "FiniteSize", "Size", "extrapolated", "finite_size"]


@dataclass(frozen=True)
class Failure:
    """A run that gave no number: supercell, seed and why.

    Attributes
    ----------
    size : str
        For instance ``2x2x2``.
    seed : int
    reason : str
    """

    size: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Size:
    """What the seeds of one supercell agree on.

    Attributes
    ----------
    size : str
        For instance ``2x2x2``.
    repeat : three int
    atoms : int
    runs : int
        Seeds that gave a barrier.
    mean_eV : float, eV
        Mean over seeds of the mean of both directions.
    spread_eV : float or None, eV
        Standard deviation over seeds (n - 1); None for one seed.
    low_eV, high_eV : float, eV
        Extremes over seeds and directions.
    crystal_eV_atom : float, eV
        Energy of the relaxed perfect supercell per atom, mean over seeds. Supercells that disagree by more than a
        meV or so do not hold the same crystal (other tilts), and their barriers are not one series.
    wall_s : float, s
        Of all its runs together.
    """

    size: str
    repeat: tuple[int, int, int]
    atoms: int
    runs: int
    mean_eV: float
    spread_eV: float | None
    low_eV: float
    high_eV: float
    crystal_eV_atom: float
    wall_s: float


@dataclass(frozen=True, eq=False)
class FiniteSize:
    """Runs of one hop over supercells and seeds, with those that failed, and the name of the file that keeps them.

    Attributes
    ----------
    runs : tuple of MigrationBarrier
    failures : tuple of Failure
    store : str
        The ``ase.db`` file; empty if there is none.
    """

    runs: tuple[MigrationBarrier, ...]
    failures: tuple[Failure, ...] = ()
    store: str = ""

    @property
    def sizes(self) -> tuple[Size, ...]:
        """One row a supercell, smallest first; supercells without a barrier are missing."""
        grouped: dict[tuple[int, int, int], list[MigrationBarrier]] = {}
        for run in self.runs:
            grouped.setdefault(run.repeat, []).append(run)
        rows = []
        for repeat, runs in sorted(grouped.items(), key=lambda item: item[1][0].atoms):
            means = np.array([run.mean_eV for run in runs])
            both = [value for run in runs for value in (run.forward_eV, run.backward_eV)]
            rows.append(
                Size(
                    size=runs[0].size,
                    repeat=repeat,
                    atoms=runs[0].atoms,
                    runs=len(runs),
                    mean_eV=float(means.mean()),
                    spread_eV=float(means.std(ddof=1)) if len(runs) > 1 else None,
                    low_eV=min(both),
                    high_eV=max(both),
                    crystal_eV_atom=float(np.mean([run.crystal_eV_atom for run in runs])),
                    wall_s=sum(run.wall_s for run in runs),
                )
            )
        return tuple(rows)


def finite_size(
    crystal: str | Atoms,
    species: str,
    calculator: Theory | str,
    *,
    repeats: Sequence[Sequence[int]] = ((2, 2, 2), (3, 3, 3)),
    seeds: Sequence[int] = (0, 1, 2),
    phase: str = "cubic",
    hop: int = 0,
    settings: Settings = Settings(),
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    finished: Callable[[MigrationBarrier | Failure, bool], None] | None = None,
) -> FiniteSize:
    """The same hop in several supercells and from several rattles.

    Parameters
    ----------
    crystal, species, phase : str or ase.Atoms, str, str
    hop : int, >= 0
    calculator : Theory or str
    settings : Settings
    progress : callable (stage, step, force in eV/angstrom), optional
        As in :func:`migration_barrier`.
    repeats : sequence of three int
        Supercells.
    seeds : sequence of int
        Of the rattles.
    store : path, optional
        An ``ase.db`` file. Each run is kept when it ends, and a run found there is not computed again.
    finished : callable (MigrationBarrier or Failure, from the store), optional
        Called after each run.

    Returns
    -------
    FiniteSize
        With the runs that did not converge as failures.

    Raises
    ------
    InputError
        If an argument is wrong; then nothing has been computed.
    OutputError
        If the store cannot be written.
    """
    theory = calculators(calculator) if isinstance(calculator, str) else calculator
    if not len(repeats) or not len(seeds):
        raise InputError("There is nothing to compute", got=f"{len(repeats)} supercells, {len(seeds)} seeds")
    places = [place_hop(crystal, species, phase=phase, repeat=repeat, hop=hop) for repeat in repeats]
    for seed in seeds:
        check_seed(seed)
    for what, given in (("supercell", [place.repeat for place in places]), ("seed", [int(seed) for seed in seeds])):
        twice = [one for one, times in Counter(given).items() if times > 1]
        if twice:
            raise InputError(
                f"A {what} is asked for twice: equal runs are not independent ones", got=twice, allowed="each once"
            )
    numbers = fingerprint(places[0], theory)
    tasks = [plan(place, theory, settings, seed, numbers) for place in places for seed in seeds]
    runs, failures = [], []
    for task in tasks:
        known = stored(store, key=task.key) if store is not None and Path(store).exists() else ()
        result: MigrationBarrier | Failure
        if known:
            result = known[0]
        else:
            try:
                result = compute(task, progress)
            except (ConvergenceError, ValidityError) as error:
                result = Failure("x".join(str(n) for n in task.place.repeat), task.seed, str(error))
        if isinstance(result, Failure):
            failures.append(result)
        else:
            runs.append(result)
            if store is not None and not known:
                keep(store, result)
        if finished is not None:
            finished(result, bool(known))
    return FiniteSize(tuple(runs), tuple(failures), "" if store is None else Path(store).name)


def extrapolated(series: FiniteSize) -> tuple[float, float]:
    r"""Barrier of an infinite cell and its standard error, if the sizes carry it.

    .. math:: E(N) = E_\infty + c / N

    Parameters
    ----------
    series : FiniteSize

    Returns
    -------
    tuple of float, eV

    Raises
    ------
    ValidityError
        With fewer than three sizes, fewer than two seeds at one, cubic perovskite cells of odd and even repeats
        together (different tilts fit them), or means that do not lie on the line within their errors
        (chi-squared, 5 %).

    Notes
    -----
    Elastic interaction of a defect with its images falls off with the volume of the cell [1]_. No other cause of
    size dependence follows this line, so a fit that fails is a finding and not a nuisance.

    References
    ----------
    .. [1] C. Varvenne, F. Bruneval, M.-C. Marinica and E. Clouet, Phys. Rev. B 88, 134102 (2013).
    """
    from scipy.stats import chi2

    sizes = series.sizes
    if len(sizes) < 3:
        raise ValidityError("Too few sizes to extrapolate", got=len(sizes), allowed=">= 3")
    lone = [size.size for size in sizes if size.spread_eV is None]
    if lone:
        raise ValidityError("A size has no spread over seeds", got=", ".join(lone), allowed=">= 2 seeds each")
    if series.runs[0].phase == "cubic" and len({n % 2 for size in sizes for n in size.repeat}) > 1:
        raise ValidityError(
            "Odd and even supercells of a cubic perovskite hold different tilts",
            got=", ".join(size.size for size in sizes),
            action="Extrapolate even ones alone",
        )
    x = np.array([1.0 / size.atoms for size in sizes])
    y = np.array([size.mean_eV for size in sizes])
    # a spread of nothing would weigh without bound: forces of the tolerance leave about a meV open
    sigma = np.array([max(size.spread_eV or 0.0, 1e-3) / math.sqrt(size.runs) for size in sizes])
    design = np.column_stack([np.ones_like(x), x]) / sigma[:, None]
    covariance = np.linalg.inv(design.T @ design)
    parameters = covariance @ design.T @ (y / sigma)
    misfit = float((((y - parameters[0] - parameters[1] * x) / sigma) ** 2).sum())
    if chi2.sf(misfit, len(sizes) - 2) < 0.05:
        raise ValidityError(
            "The barrier is not linear in 1/N",
            got=f"chi-squared {misfit:.1f} at {len(sizes) - 2} degrees of freedom",
            allowed="p >= 0.05",
            action="Report the sizes as they are",
        )
    return float(parameters[0]), float(np.sqrt(covariance[0, 0]))
