"""`halidrift conduction`: which conduction law a current-voltage measurement follows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import InputError
from ._console import Json, check_files, give, measured, on_stdout, out, page, told, working

if TYPE_CHECKING:
    import xarray as xr

    from ...physics.conduction import Conduction, LawFit


def conduction(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV files with columns such as voltage_V, current_A, temperature_K; any prefix, °C too, named in "
            "the header: Voltage (V), I (nA), T (K)."
        ),
    ],
    thickness_m: Annotated[
        float | None, measured("--thickness", "m", "Of the film, as 200nm. Without it nothing that needs the field.")
    ] = None,
    area_m2: Annotated[
        float | None, measured("--area", "m2", "That carries the current, as 1e4um2. Without it no prefactors.")
    ] = None,
    polarity: Annotated[str, typer.Option("--polarity", help="positive or negative voltage.")] = "positive",
    branch: Annotated[
        str, typer.Option("--branch", help="up: while the size of the voltage rises; down: while it returns; all.")
    ] = "up",
    window: Annotated[
        tuple[float, float] | None,
        typer.Option("--window", help="Smallest and largest size of the voltage, V; from 3 kT/q if not given."),
    ] = None,
    law: Annotated[
        list[str], typer.Option("--law", help="Fit this law only; may be repeated. All nine if not given.")
    ] = [],  # noqa: B006 - typer reads the default and never changes it
    temperature: Annotated[
        list[float],
        measured(
            "--temperature",
            "K",
            "Of files that have no column for it: one for all, or one each in order.",
            coldest_K=0.0,
        ),
    ] = [],  # noqa: B006
    column: Annotated[
        list[str],
        typer.Option(
            "--column", help='Header of a quantity, as "current=Channel 2 (nA)" or "current=I1:nA"; may be repeated.'
        ),
    ] = [],  # noqa: B006
    static_permittivity: Annotated[
        float | None,
        typer.Option("--static-permittivity", help="Relative, of the film: for mobilities, trap densities."),
    ] = None,
    effective_mass: Annotated[
        float | None, typer.Option("--effective-mass", help="Of the carriers, in electron masses: for tunnel barriers.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option("--noise", help="Noise as share of the current; found from the data if not given.")
    ] = None,
    floor_A: Annotated[
        float | None, measured("--floor", "A", "Noise of the instrument at zero current; found if not given.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture (.png, .svg or .pdf): each law on its straight axes.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Fit nine conduction laws to I-V curves at several temperatures and rank them.

    Prints the ranking, what the best law tells about the film with standard errors, and every doubt.

    Example: halidrift conduction iv.csv --thickness 200nm --area 1e4um2 --plot laws.png
    """
    from ...physics.conduction import Branch, fit

    check_files(plot=plot, json=json_file)
    curves = _read(files, temperature, column)
    with working("conduction"):
        found = fit(
            curves,
            thickness_m=thickness_m,
            area_m2=area_m2,
            branch=Branch(polarity, branch, window),
            laws=law or None,
            static_permittivity=static_permittivity,
            effective_mass=effective_mass,
            relative_noise=noise,
            floor_A=floor_A,
        )
    if not on_stdout(json_file):
        _print(found)
    give(found.to_dict(), json_file)
    if plot is not None:
        from ..figures import conduction as figures
        from ..figures import save

        file = save(figures.linearised(found), plot)
        if not on_stdout(json_file):
            out().print(f"Picture: {file}", soft_wrap=True, markup=False)


def _read(files: list[Path], temperature: list[float], column: list[str]) -> xr.Dataset:
    """All files as one measurement."""
    from ...physics.conduction import join, read_csv

    columns = {}
    for pair in column:
        name, equals, header = pair.partition("=")
        if not equals:
            raise InputError("--column is not quantity=header", got=pair, allowed='for instance "current=I (nA)"')
        columns[name.strip()] = header.strip()
    if len(temperature) not in (0, 1, len(files)):
        raise InputError(
            "--temperature does not go with the files",
            got=f"{len(temperature)} temperatures for {len(files)} files",
            allowed="none, one for all, or one each",
        )
    each = (
        [None] * len(files) if not temperature else temperature * len(files) if len(temperature) == 1 else temperature
    )
    tables = [read_csv(file, columns=columns, temperature_K=kelvin) for file, kelvin in zip(files, each, strict=True)]
    for file, table in zip(files, tables, strict=True):
        told().print(f"{file}: {table.attrs['read_as']}", style="dim", soft_wrap=True, markup=False)
    return join(tables)


def _print(found: Conduction) -> None:
    console = page()
    noise = "unknown" if found.noise.relative is None else f"{100 * found.noise.relative:.2g} %"
    floor = f", floor {found.noise.floor_A:.2g} A" if found.noise.floor_A > 0 else ""
    kelvin = ", ".join(f"{T:.0f}" for T in found.temperatures_K)
    console.print(
        f"{found.branch}: {found.points.V.size} points from {found.points.V.min():.3g} to {found.points.V.max():.3g} V "
        f"at {kelvin} K; noise {noise}{floor}",
        soft_wrap=True,
        markup=False,
    )
    ranking = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    ranking.add_column("", justify="right")
    ranking.add_column("law", style="bold", overflow="fold")
    for name in ("parameters", "residual", "ΔAICc", "weight"):
        ranking.add_column(name, justify="right", no_wrap=True)
    ranking.add_column("what it would tell", overflow="fold")
    for place, fit in enumerate(found.ranking, 1):
        ranking.add_row(
            str(place),
            escape(fit.title),
            str(fit.parameters),
            f"{100 * fit.residual:.3g} %",
            f"{fit.delta:.1f}",
            f"{fit.weight:.2f}" if fit.weight >= 0.005 else "0",
            _verdict(fit),
        )
    console.print(ranking)
    best = found.best
    console.print(f"{best.title}: {best.law.relation}", soft_wrap=True, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("quantity", "value", "unit", "meaning", ""):
        table.add_column(name, overflow="fold")
    for q in best.quantities:
        mark = "[bold red]unphysical[/]" if q.unphysical else "" if q.determined else "[yellow]not determined[/]"
        table.add_row(q.name, str(q), q.unit, escape(q.meaning), mark)
    console.print(table)
    for sentence in found.warnings:
        console.print(f"- {sentence}", soft_wrap=True, markup=False, style="yellow")


def _verdict(fit: LawFit) -> str:
    """What a law further down would say, and that it cannot be."""
    strange = [q for q in fit.quantities if q.unphysical]
    if strange:
        return "[red]unphysical:[/] " + ", ".join(f"{q.name} = {q.value:.2g}" for q in strange)
    known = [q for q in fit.quantities if q.determined and math.isfinite(q.low) and "at_1_V" not in q.name]
    return escape(", ".join(f"{q.name} = {q.value:.3g}" for q in known[:3]))
