"""The store of finished runs: an `ase.db` file with all structures."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import unwritable
from .band import Band, Settings
from .hop import MigrationBarrier

__all__ = ["keep", "stored"]


def _open(store: str | os.PathLike[str]) -> Any:
    from ase.db import connect

    path = Path(store)
    if path.suffix != ".db":
        raise InputError("A store is an SQLite file of ASE", got=path.name, allowed="a name that ends in .db")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(f"{path.parent} could not be made", error) from error
    # SQLite locks the file itself; the lock file of ASE would outlive a killed process
    return connect(path, type="db", use_lock_file=False)


def keep(store: str | os.PathLike[str], run: MigrationBarrier) -> None:
    """Write a run in one transaction: all of its images or none.

    Parameters
    ----------
    store : path
        An ``ase.db`` file.
    run : MigrationBarrier
    """
    band = run.band
    report = {
        name: getattr(run, name)
        for name in run.__dataclass_fields__
        if name not in ("band", "settings", "repeat", "cell_angstrom_deg")
    }
    report |= {"repeat": list(run.repeat), "cell_angstrom_deg": list(run.cell_angstrom_deg)}
    report["settings"] = asdict(run.settings)
    report["band"] = {
        "energies_eV": band.energies_eV.tolist(),
        "distances_angstrom": band.distances_angstrom.tolist(),
        "slopes_eV_angstrom": band.slopes_eV_angstrom.tolist(),
        "forces_eV_angstrom": band.forces_eV_angstrom.tolist(),
        "saddle_force_eV_angstrom": band.saddle_force_eV_angstrom,
        "steps": list(band.steps),
        "rounds": band.rounds,
        "mover": band.mover,
        "bystander_angstrom": band.bystander_angstrom,
        "wells": list(band.wells),
    }
    try:
        with _open(store) as database:
            for number, atoms in enumerate(band.images):
                kind = {0: "initial", len(band.images) - 1: "final", band.saddle: "saddle"}.get(number, "image")
                database.write(
                    atoms,
                    key_value_pairs={
                        "run": run.key,
                        "series": run.series,
                        "number": number,
                        "kind": kind,
                        "material": run.material,
                        "species": run.species,
                        "phase": run.phase or "unknown",
                        "supercell": run.size,
                        "seed": run.seed,
                        "theory": run.theory,
                        "version": run.version,
                        "images": run.settings.images,
                        "force_tolerance": run.settings.force_tolerance_eV_angstrom,
                        "rattle": run.settings.rattle_angstrom,
                        "lattice": run.settings.lattice,
                        "forward": run.forward_eV,
                        "backward": run.backward_eV,
                    },
                    data={"report": report} if number == 0 else {},
                )
    except (OSError, sqlite3.Error) as error:
        raise unwritable(f"{store} could not be written", _of_system(error)) from error


def _of_system(error: OSError | sqlite3.Error) -> OSError:
    """What SQLite says, in the system's words if the disk is full."""
    if isinstance(error, OSError):
        return error
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return OSError(errno.EIO, str(error))


def stored(
    store: str | os.PathLike[str], *, key: str | None = None, series: str | None = None
) -> tuple[MigrationBarrier, ...]:
    """Runs of a store, in the order in which they ended.

    Parameters
    ----------
    store : path
        An ``ase.db`` file that :func:`finite_size` wrote.
    key, series : str, optional
        Only the run, or the runs, of this name.

    Returns
    -------
    tuple of MigrationBarrier

    Raises
    ------
    InputError
        If there is no such file.
    """
    if not Path(store).is_file():
        raise InputError("There is no such store", got=str(store), allowed="an ase.db file")
    asked = {name: value for name, value in (("run", key), ("series", series)) if value is not None}
    found: dict[str, list[Any]] = {}
    try:
        with _open(store) as database:
            for row in database.select(**asked, sort="id"):
                if "run" in row.key_value_pairs:
                    found.setdefault(row.key_value_pairs["run"], []).append(row)
    except sqlite3.Error as error:
        raise InputError("The store cannot be read", got=f"{store}: {error}", allowed="an ase.db file") from error
    return tuple(_recall(rows) for rows in found.values())


def _recall(rows: Sequence[Any]) -> MigrationBarrier:
    rows = sorted(rows, key=lambda row: row.number)
    report = dict(rows[0].data["report"])
    band = dict(report.pop("band"))
    arrays = ("energies_eV", "distances_angstrom", "slopes_eV_angstrom", "forces_eV_angstrom")
    return MigrationBarrier(
        **{
            **report,
            "repeat": tuple(report["repeat"]),
            "cell_angstrom_deg": tuple(report["cell_angstrom_deg"]),
            "settings": Settings(**report["settings"]),
            "band": Band(
                **{
                    **band,
                    **{name: np.array(band[name], dtype=float) for name in arrays},
                    "steps": tuple(band["steps"]),
                    "wells": tuple(band["wells"]),
                    "images": tuple(row.toatoms() for row in rows),
                }
            ),
        }
    )
