"""`halidrift characterise`: every figure of merit that traces allow."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ._console import Json, check_files, give, measured, on_stdout, out, page, read_trace, staged, told

if TYPE_CHECKING:
    from ...compact.characterise import Merit, Report


def characterise(
    files: Annotated[list[Path], typer.Argument(help="Traces (.nc): sweeps, pulses, spikes and watches may be mixed.")],
    read: Annotated[float, measured("--read", "V", "Voltage at which sweeps are read.")] = 0.1,
    write: Annotated[float, measured("--write", "V", "Voltage of the on/off ratio in power.")] = 2.0,
    rest: Annotated[
        float | None,
        measured("--rest", "V", "Largest voltage that counts as no stimulus; half of the largest if not given."),
    ] = None,
    rectification: Annotated[
        float, measured("--rectification", "V", "Voltage at which both directions are compared.")
    ] = 0.5,
    ratio: Annotated[float, typer.Option("--ratio", help="Rise of conductance that counts as SET.")] = 10.0,
    reset_fraction: Annotated[
        float, typer.Option("--reset-fraction", help="Fall of conductance that counts as RESET.")
    ] = 0.5,
    window: Annotated[
        float, typer.Option("--window", help="LRS over HRS conductance below which a cycle has failed.")
    ] = 10.0,
    consecutive: Annotated[
        int, typer.Option("--consecutive", help="Cycles in a row that must fail for the device to have failed.")
    ] = 1,
    retention_fraction: Annotated[
        float, typer.Option("--retention-fraction", help="Share of its conductance that a state must keep.")
    ] = 0.5,
    criterion: Annotated[
        float, typer.Option("--criterion", help="Distance of states, in the sum of their standard deviations.")
    ] = 3.0,
    use: Annotated[float, measured("--use", "K", "Temperature to which retention is extrapolated.")] = 300.0,
    plot: Annotated[Path | None, typer.Option("--plot", help="Picture (.png, .svg or .pdf).")] = None,
    json_file: Json = None,
) -> None:
    """Set and reset voltage, on/off ratio, switching time and energy, relaxation, endurance, retention, plasticity,
    weight update, states and scaling: whatever the traces allow, and why not the rest.

    Example: halidrift characterise sweeps.nc pulses.nc --plot merits.png
    """
    from ...compact.characterise import report

    check_files(plot=plot, json=json_file)
    recorded = [read_trace(file) for file in files]
    with staged() as tell:
        found = report(
            recorded,
            read_V=read,
            write_V=write,
            rest_V=rest,
            rectification_V=rectification,
            ratio=ratio,
            reset_fraction=reset_fraction,
            factor=window,
            consecutive=consecutive,
            retention_fraction=retention_fraction,
            criterion=criterion,
            use_K=use,
            progress=functools.partial(tell, "figures of merit"),
        )
    if not on_stdout(json_file):
        _print(found)
    give(found.to_dict(), json_file)
    if plot is not None:
        from ..figures import characterise as figures
        from ..figures import save

        if not figures.pictured(found):
            told().print(
                f"Nothing to draw, and {plot} is not written: a picture needs a quantity with three values or more",
                style="yellow",
                soft_wrap=True,
                markup=False,
            )
            return
        file = save(figures.overview(found, use_K=use), plot)
        if not on_stdout(json_file):
            out().print(f"Picture: {file}", soft_wrap=True, markup=False)


def _print(found: Report) -> None:
    console = page()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure of merit", style="bold", overflow="fold")
    for name in ("value", "unit", "95 % interval", "CV", "n"):
        table.add_column(name, justify="right" if name != "unit" else "left", no_wrap=True)
    table.add_column("definition, doubts", overflow="fold", ratio=1)
    for merit in found.merits:
        table.add_row(*_cells(merit))
    if found.merits:
        console.print(table)
    for missing in found.missing:
        console.print(f"- no {missing.name}: {missing.why}", soft_wrap=True, markup=False, style="yellow")


def _cells(merit: Merit) -> list[str]:
    value = merit.value if isinstance(merit.value, str) else f"{merit.value:.4g}"
    if merit.value != merit.value:  # more than half are lower bounds
        value = "not reached"
    known = math.isfinite(merit.low) or math.isfinite(merit.high)
    return [
        escape(merit.name),
        escape(value),
        "" if merit.unit == "1" else escape(merit.unit),
        f"{merit.low:.3g} to {merit.high:.3g}" if known else "",
        f"{100 * merit.cv:.1f} %" if math.isfinite(merit.cv) else "",
        f"{merit.number} ({merit.censored} censored)" if merit.censored else str(merit.number),
        escape(merit.definition) + (f"\n[yellow]{escape(merit.note)}[/]" if merit.note else ""),
    ]
