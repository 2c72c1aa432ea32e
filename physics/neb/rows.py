"""Rows of the barrier database from computed barriers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import barriers
from ..citations import bibliography
from ..errors import HalidriftError, InputError
from ..files import write_whole
from .hop import MigrationBarrier
from .series import FiniteSize, Size

__all__ = ["write_rows"]


def write_rows(
    series: FiniteSize, data_dir: str | os.PathLike[str], *, source: str | None = None, store: str | None = None
) -> Path:
    """Write one row a supercell into a data directory, as the barrier database reads it.

    Parameters
    ----------
    series : FiniteSize
        Runs of one hop, calculator and settings.
    data_dir : path
        The file goes into its folder ``barriers``; an older one of the same series is replaced.
    source : str, optional
        Bib key of the calculator's paper, if the theory names none; in the packaged ``references.bib`` or in that
        of the directory.
    store : str, optional
        Name of the file with the structures, for the locator; that of the series if not given.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If there are no runs, they do not belong together, or the source is not in a bibliography.
    DataError
        If the rows break the schema, for instance with a barrier out of physical bounds.
    OutputError
        If the file cannot be written.
    """
    runs = series.runs
    if not runs:
        raise InputError("There are no runs to write", got="none", action="See the failures of the series")
    if len({run.series for run in runs}) > 1:
        raise InputError("These runs do not belong to one series", got=len({run.series for run in runs}), allowed="1")
    first = runs[0]
    key = source or first.source
    kept = series.store if store is None else store
    directory = Path(data_dir)
    known = frozenset(bibliography(directory) if directory.is_dir() else bibliography())
    if key is None or key not in known:
        raise InputError(
            "A row needs the paper of its calculator as source",
            got=key,
            allowed="a key of references.bib",
            action=f"Name it (--source KEY) and put the entry into {directory / 'references.bib'}",
        )
    text = ["# Computed by `halidrift neb`; format: physics/barriers.py.", "schema = 1", f"source = {json.dumps(key)}"]
    title = f"{first.species} in {first.material} computed with {first.theory} {first.version}"
    text.append(f"title = {json.dumps(title, ensure_ascii=False)}")
    for size in series.sizes:
        text += ["", "[[barrier]]", *_row(size, [run for run in runs if run.repeat == size.repeat], series, key, kept)]
    stem = _plain(f"computed-{first.theory}-{first.material}-{first.species}-{first.series[1:7]}")

    def write(temporary: str) -> None:
        Path(temporary).write_text("\n".join(text) + "\n", encoding="utf-8")
        for row in barriers.read(Path(temporary), known):
            if isinstance(row, HalidriftError):
                raise row

    return write_whole(directory / "barriers" / f"{stem}.toml", write)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-")


def _row(size: Size, runs: Sequence[MigrationBarrier], series: FiniteSize, source: str, store: str) -> Iterable[str]:
    first, settings = runs[0], runs[0].settings
    low, high = round(size.low_eV, 3), round(size.high_eV, 3)
    a, b, c, alpha, beta, gamma = first.cell_angstrom_deg
    cell = f"{a:.3f} x {b:.3f} x {c:.3f} angstrom"
    if max(abs(angle - 90.0) for angle in (alpha, beta, gamma)) > 0.01:
        cell += f", {alpha:.2f} {beta:.2f} {gamma:.2f} deg"
    lattice = {"fixed": "lattice as given", "volume": "volume relaxed", "shape": "cell relaxed"}[settings.lattice]
    if settings.lattice != "fixed":
        cell += f" (seed {first.seed})"
    spread = "one seed" if size.spread_eV is None else f"{size.spread_eV:.3f} eV over {size.runs} seeds"
    failed = sum(failure.size == size.size for failure in series.failures)
    condition = (
        f"hop of {first.hop_length_angstrom:.3f} angstrom (class {first.hop}); "
        f"supercell {size.size} ({size.atoms} atoms, {cell}, {lattice}, atoms relaxed at 0 K); force tolerance "
        f"{settings.force_tolerance_eV_angstrom:g} eV/angstrom (band), {settings.relax_tolerance_eV_angstrom:g} "
        f"(ends); {settings.images} images; rattle {settings.rattle_angstrom:g} angstrom; spread {spread}"
    )
    note = [
        f"Mean {size.mean_eV:.3f} eV over seeds and both directions of the hop"
        + ("." if low == high else "; the range is theirs too."),
    ]
    if failed:
        note.append(f"{failed} seed(s) gave no barrier.")
    note += [f"Seed {run.seed}: {remark}." for run in runs for remark in run.doubts]
    if first.note:
        note.append(first.note[0].upper() + first.note[1:] + ".")
    parts = ("computed", first.theory, first.material, first.phase, first.species, size.size, first.series[1:7])
    identifier = "-".join(part for part in parts if part)
    yield f"id = {json.dumps(_plain(identifier))}"
    yield f"material = {json.dumps(first.material)}"
    yield f"species = {json.dumps(first.species)}"
    yield 'quantity = "migration_barrier"'
    if low == high:
        yield f"value = {low:.3f}"
    else:
        yield from (f"low = {low:.3f}", f"high = {high:.3f}")
    yield 'unit = "eV"'
    yield "computed = true"
    yield f"method = {json.dumps(f'CI-NEB, {first.theory} {first.version}')}"
    kept = f"{store}, " if store else "structures not kept, "
    yield f"locator = {json.dumps(f'computed here, {kept}series {first.series}, supercell {size.size}')}"
    if first.phase:
        yield f"phase = {json.dumps(first.phase)}"
    yield f"condition = {json.dumps(condition)}"
    extra = sorted({key for run in runs for key in run.sources if key != source})
    if extra:
        yield f"refs = {json.dumps(extra)}"
    yield f"note = {json.dumps(' '.join(note), ensure_ascii=False)}"
