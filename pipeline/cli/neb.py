"""`halidrift neb`: a migration barrier from atoms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import ConvergenceError, InputError
from ._console import Json, bars, failed, give, on_stdout, page, told
from ._console import out as stdout

if TYPE_CHECKING:
    from rich.console import Console

    from ...physics.neb import Failure, FiniteSize, MigrationBarrier

STORE = "neb.db"


def neb(
    material: Annotated[
        str | None, typer.Argument(metavar="MATERIAL", help="Host compound, for instance CsPbBr3.")
    ] = None,
    vacancy: Annotated[str | None, typer.Argument(metavar="SPECIES", help="Vacancy, for instance V_Br.")] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of neb.db (all structures), the picture and the database row.")
    ] = Path("neb"),
    structure: Annotated[
        Path | None, typer.Option("--structure", help="A crystal of your own instead, in any format that ASE reads.")
    ] = None,
    species: Annotated[str | None, typer.Option("--species", help="Vacancy, if a structure is given.")] = None,
    phase: Annotated[str, typer.Option("--phase", help="cubic, tetragonal or orthorhombic.")] = "cubic",
    repeat: Annotated[
        list[str], typer.Option("--repeat", help="Supercell: 3 or 3x3x2; may be repeated, for a finite-size series.")
    ] = ["2"],  # noqa: B006 - typer reads the default and never changes it
    seeds: Annotated[int, typer.Option("--seeds", help="Number of rattles of each supercell.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="First seed.")] = 0,
    calculator: Annotated[
        str, typer.Option("--calculator", help="chgnet, a calculator of ASE such as emt, or package.module:callable.")
    ] = "chgnet",
    hop: Annotated[int, typer.Option("--hop", help="Which of the crystal's unequal hops, shortest first.")] = 0,
    images: Annotated[int, typer.Option("--images", help="Images between the ends.")] = 5,
    fmax: Annotated[float, typer.Option("--fmax", help="Force tolerance of the band, eV/angstrom.")] = 0.02,
    relax_fmax: Annotated[
        float, typer.Option("--relax-fmax", help="Force tolerance of crystal and ends, eV/angstrom.")
    ] = 0.005,
    rattle: Annotated[float, typer.Option("--rattle", help="Random displacement before relaxation, angstrom.")] = 0.05,
    lattice: Annotated[
        str, typer.Option("--lattice", help="What of the cell relaxes with the crystal: fixed, volume or shape.")
    ] = "fixed",
    steps: Annotated[int, typer.Option("--steps", help="Most steps of each relaxation and each band.")] = 2000,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder that receives the database row; --out if not given.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Bib key of the calculator's paper, if halidrift does not know it.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Compute the barrier of a vacancy hop by the climbing-image nudged elastic band.

    Each supercell is rattled with each seed and relaxed, both ends of the hop are cut from it, and the band is
    converged between them. Finished runs are kept at once; the same command continues where it was interrupted.

    Example: halidrift neb CsPbBr3 V_Br --repeat 2 --repeat 3 --seeds 3 --calculator chgnet --out DIR
    """
    if structure is not None and material is not None and vacancy is None and species is None:
        material, vacancy = None, material  # halidrift neb V_Br --structure FILE
    vacancy = _one(vacancy, species)
    repeats = [_repeat(text) for text in repeat]
    if seeds < 1 or seed < 0:
        raise InputError(
            "there is nothing to compute", got=f"{seeds} seeds from {seed}", allowed="seeds >= 1, seed >= 0"
        )
    _check_writable(out)  # before the imports below, which take seconds
    from ...physics import citations
    from ...physics import neb as physics

    crystal: Any
    if material is not None and structure is None:
        from ...physics import crystals

        try:
            crystals.perovskite(material, phase)
        except InputError as error:
            raise InputError(
                error.what,
                got=error.got,
                allowed=error.allowed,
                action="Or give a crystal of your own: --structure FILE",
            ) from error
        crystal = material
    elif structure is not None and material is None:
        crystal = physics.read_structure(structure)
    else:
        raise InputError(
            "one crystal is needed",
            got="none" if structure is None else f"{material} and {structure}",
            allowed="MATERIAL SPECIES, or --structure FILE --species SPECIES",
        )
    try:
        settings = physics.Settings(
            images=images,
            force_tolerance_eV_angstrom=fmax,
            relax_tolerance_eV_angstrom=relax_fmax,
            rattle_angstrom=rattle,
            lattice=lattice,
            steps=steps,
        )
    except InputError as error:
        raise InputError(_spoken(error.what), got=error.got, allowed=error.allowed, action=error.action) from error
    theory = physics.calculators(calculator, source=source)
    if theory.source is not None:
        # a wrong key is told now, not after hours
        folder = data if data is not None else out
        citations.cite(theory.source, data_dirs=(folder,) if folder.is_dir() else ())
    store = out / STORE
    done: list[Any] = []
    before: list[Any] = []
    stage: list[Any] = ["", 0, 0.0]
    with bars() as shown:
        task = shown.add_task("runs", total=len(repeats) * seeds, note="")

        def tell(what: str, step: int, force: float) -> None:
            if what != stage[0] or step < stage[1]:
                passed()
            stage[:] = [what, step, force]
            size = "x".join(map(str, repeats[min(len(done) // seeds, len(repeats) - 1)]))
            now = f"{size}, seed {seed + len(done) % seeds}: {what}, step {step}, {force:.3f} eV/angstrom"
            shown.update(task, note=now)

        def passed() -> None:
            if stage[0]:
                shown.console.print(f"  {stage[0]}: {stage[1]} steps, {stage[2]:.3f} eV/angstrom", style="dim")
            stage[:] = ["", 0, 0.0]

        def finished(run: MigrationBarrier | Failure, known: bool) -> None:
            passed()
            done.append(run)
            if known:  # tells nothing of how long the others take
                before.append(run)
                shown.update(task, total=len(repeats) * seeds - len(before))
            else:
                shown.update(task, advance=1)
            shown.console.print(_line(run, known), soft_wrap=True, markup=False)

        try:
            series = physics.finite_size(
                crystal,
                vacancy,
                theory,
                repeats=repeats,
                seeds=range(seed, seed + seeds),
                phase=phase,
                hop=hop,
                settings=settings,
                store=store,
                progress=tell,
                finished=finished,
            )
        except KeyboardInterrupt:
            shown.stop()
            kept = sum(not hasattr(run, "reason") for run in done)
            failed().print(
                f"Interrupted. {kept} finished runs are kept in {store}; the same command continues from there.",
                style="yellow",
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    if not series.runs:
        raise ConvergenceError(
            "no run gave a barrier", got=f"{len(series.failures)} failures, listed above", action="Follow their advice"
        )
    give(_record(series), json_file)
    if not on_stdout(json_file):
        page().print(_sizes(series))
    _report(series, out, data, theory.source, told() if on_stdout(json_file) else stdout())


def _report(series: FiniteSize, out: Path, data: Path | None, source: str | None, console: Console) -> None:
    """Literature, picture and database row."""
    from ...physics import neb as physics
    from ...physics.database import Database
    from ...physics.errors import ValidityError
    from ..figures import neb as figures
    from ..figures import save

    first = series.runs[0]
    try:
        value, error = physics.extrapolated(series)
        console.print(f"Infinite cell: {value:.3f} +- {error:.3f} eV (linear in 1/N).")
    except ValidityError as refusal:
        console.print(f"Not extrapolated to an infinite cell: {refusal}", soft_wrap=True, markup=False, style="dim")
    literature = list(
        Database.load().select(material=first.material, species=first.species, quantity="migration_barrier")
    )
    if literature:
        console.print("Beside it, from the database:")
        for row in literature:
            console.print(f"  {row.printed}  {row.source}: {row.method}", soft_wrap=True, markup=False)
    # one picture and one row hold all runs of this hop and these settings that the store has
    every = physics.FiniteSize(physics.stored(out / STORE, series=first.series), series.failures)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{first.material}-{first.species}-{first.series[1:7]}")
    picture = save(figures.paths(every, literature), out / f"{name}.png")
    console.print(f"Structures: {out / STORE}", soft_wrap=True, markup=False)
    console.print(f"Picture: {picture}", soft_wrap=True, markup=False)
    if source is None:
        console.print(
            f"No database row: {first.theory} has no known paper. Name it with --source KEY, a key of references.bib; "
            "finished runs are not computed again.",
            soft_wrap=True,
            markup=False,
        )
        return
    file = physics.write_rows(every, data if data is not None else out, source=source, store=STORE)
    console.print(
        f"Row: {file} (read it with: halidrift db list --data {file.parent.parent})", soft_wrap=True, markup=False
    )


def _check_writable(folder: Path) -> None:
    """Prove that the folder can be written, and leave nothing behind: it is made with the first result."""
    from ..stages import check_writable

    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    check_writable(folder)
    for path in absent:
        path.rmdir()


def _spoken(text: str) -> str:
    """Settings by the names that the command line gives them."""
    for name, option in (
        ("relax_tolerance_eV_angstrom", "--relax-fmax"),
        ("force_tolerance_eV_angstrom", "--fmax"),
        ("rattle_angstrom", "--rattle"),
        ("Allow more steps", "Allow more --steps"),
        ("use more images", "use more --images"),
    ):
        text = text.replace(name, option)
    return text


def _one(first: str | None, second: str | None) -> str:
    given = [text for text in (first, second) if text is not None]
    if len(given) != 1:
        raise InputError("one species is needed", got=" and ".join(given) or "none", allowed="for instance V_Br")
    return given[0]


def _repeat(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) == 1:
        parts *= 3
    if len(parts) != 3 or not all(part.isdigit() and int(part) >= 1 for part in parts):
        raise InputError("--repeat is not a supercell", got=text, allowed="3, or 3x3x2")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _line(run: MigrationBarrier | Failure, known: bool) -> str:
    kept = " (kept from before)" if known else ""
    if hasattr(run, "reason"):
        return f"{run.size}, seed {run.seed}: no barrier: {_spoken(run.reason)}"
    band = run.band
    text = (
        f"{run.size}, seed {run.seed}: {band.forward_eV:.3f} eV, back {band.backward_eV:.3f} eV; force "
        f"{band.force_eV_angstrom:.3f} eV/angstrom, {run.wall_s:.0f} s{kept}"
    )
    return text + "".join(f"\n  {doubt}" for doubt in run.doubts)


def _record(series: FiniteSize) -> dict[str, Any]:
    first = series.runs[0]
    return {
        "material": first.material,
        "species": first.species,
        "theory": f"{first.theory} {first.version}",
        "sizes": [
            {
                "supercell": size.size,
                "atoms": size.atoms,
                "runs": size.runs,
                "mean_eV": size.mean_eV,
                "spread_eV": size.spread_eV,
                "low_eV": size.low_eV,
                "high_eV": size.high_eV,
                "crystal_eV_atom": size.crystal_eV_atom,
                "wall_s": size.wall_s,
            }
            for size in series.sizes
        ],
        "failures": [{"size": f.size, "seed": f.seed, "reason": f.reason} for f in series.failures],
    }


def _sizes(series: FiniteSize) -> Table:
    first = series.runs[0]
    phase = f"{first.phase} " if first.phase else ""
    table = Table(
        title=escape(f"{first.species} in {phase}{first.material}, CI-NEB, {first.theory} {first.version}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("supercell", no_wrap=True)
    for column in ("atoms", "seeds", "barrier (eV)", "range (eV)", "crystal (meV/atom)", "wall time (s)"):
        table.add_column(column, justify="right")
    lowest = min(size.crystal_eV_atom for size in series.sizes)
    for size in series.sizes:
        failed = sum(failure.size == size.size for failure in series.failures)
        spread = "" if size.spread_eV is None else f" ± {size.spread_eV:.3f}"
        table.add_row(
            size.size,
            str(size.atoms),
            f"{size.runs}, {failed} failed" if failed else str(size.runs),
            f"{size.mean_eV:.3f}{spread}",
            f"{size.low_eV:.3f}-{size.high_eV:.3f}",
            f"{1e3 * (size.crystal_eV_atom - lowest):.1f}",
            f"{size.wall_s:.0f}",
        )
    table.caption = (
        "Barrier: mean and standard deviation over seeds; range: over seeds and both directions; crystal: energy of "
        "the relaxed perfect supercell above the lowest one here, 0 if all are the same crystal."
    )
    table.caption_justify = "left"
    return table
