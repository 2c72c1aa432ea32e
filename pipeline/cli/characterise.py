"""`halidrift characterise`: every figure of merit that traces allow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import InputError
from ._console import out, page

if TYPE_CHECKING:
    from ...compact.characterise import Merit, Report


def characterise(
    files: Annotated[list[Path], typer.Argument(help="Traces (.nc): sweeps, pulses, spikes and watches may be mixed.")],
    read: Annotated[str, typer.Option("--read", help="Voltage at which sweeps are read.")] = "0.1V",
    write: Annotated[str, typer.Option("--write", help="Voltage of the on/off ratio in power.")] = "2V",
    rest: Annotated[
        str | None,
        typer.Option("--rest", help="Largest voltage that counts as no stimulus; half of the largest if not given."),
    ] = None,
    rectification: Annotated[
        str, typer.Option("--rectification", help="Voltage at which both directions are compared.")
    ] = "0.5V",
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
    use: Annotated[str, typer.Option("--use", help="Temperature to which retention is extrapolated.")] = "300K",
    plot: Annotated[Path | None, typer.Option("--plot", help="Picture (.png, .svg or .pdf).")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for all results; - for standard output.")
    ] = None,
) -> None:
    """Set and reset voltage, on/off ratio, switching time and energy, relaxation, endurance, retention, plasticity,
    weight update, states and scaling: whatever the traces allow, and why not the rest.

    Example: halidrift characterise sweeps.nc pulses.nc --plot merits.png
    """
    from ...compact.characterise import report
    from ...physics import trace as traces
    from ...physics.protocols import quantity

    for name, path in (("--plot", plot), ("--json", json_file)):
        if path is not None and path.is_dir():
            raise InputError(f"{name} names a folder", got=str(path), allowed="a file")
    use_K = quantity(use, "K", name="--use", bare=True)
    found = report(
        [traces.read(file) for file in files],
        read_V=quantity(read, "V", name="--read", bare=True),
        write_V=quantity(write, "V", name="--write", bare=True),
        rest_V=None if rest is None else quantity(rest, "V", name="--rest", bare=True),
        rectification_V=quantity(rectification, "V", name="--rectification", bare=True),
        ratio=ratio,
        reset_fraction=reset_fraction,
        factor=window,
        consecutive=consecutive,
        retention_fraction=retention_fraction,
        criterion=criterion,
        use_K=use_K,
    )
    text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if str(json_file) == "-":
        import sys

        sys.stdout.write(text)
    else:
        _print(found)
    if json_file is not None and str(json_file) != "-":
        from ...physics.files import write_whole

        write_whole(json_file, lambda name: Path(name).write_text(text, encoding="utf-8"))
        out().print(f"Results: {json_file}", soft_wrap=True, markup=False)
    if plot is not None:
        from ..figures import characterise as figures
        from ..figures import save

        file = save(figures.overview(found, use_K=use_K), plot)
        if str(json_file) != "-":
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
