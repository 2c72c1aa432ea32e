"""`halidrift design`: a device that serves the network better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ._complete import cards as known_cards
from ._console import Json, Workers, check_files, give, on_stdout, page
from ._console import out as stdout
from .explain import _chosen

_BUDGETS: dict[str, dict[str, int]] = {
    "quick": {"cards": 24, "replicas": 5, "candidates": 48, "per_class": 40, "finalists": 3, "confirmations": 3},
    "normal": {},
    "large": {"cards": 240, "replicas": 12, "candidates": 960, "per_class": 200, "confirmations": 8},
}


def design(
    out: Annotated[Path, typer.Option("--out", help="Folder of design.json, design.png and finished stages.")],
    budget: Annotated[str, typer.Option("--budget", help="quick (for a look), normal, or large.")] = "normal",
    samples: Annotated[int | None, typer.Option("--samples", help="Candidates of the first round.")] = None,
    cards: Annotated[int | None, typer.Option("--cards", help="Cards that run in KMC.")] = None,
    writes: Annotated[
        float,
        typer.Option("--writes", help="Writes of the most used readout cell, as a multiple of the paper's device."),
    ] = 1.0,
    energy: Annotated[
        float, typer.Option("--energy", help="Energy of a pattern, as a multiple of the paper's device.")
    ] = 1.0,
    start_phase: Annotated[float, typer.Option("--start-phase", help="Largest delay of a spike train, s.")] = 65e-3,
    write_error: Annotated[float, typer.Option("--write-error", help="Error of a write over its target.")] = 0.03,
    read_noise: Annotated[float, typer.Option("--read-noise", help="Noise of a reading over its value.")] = 0.0075,
    seed: Annotated[int, typer.Option("--seed", help="Everything that is drawn follows from it.")] = 2022,
    processes: Workers = None,
    device: Annotated[
        str, typer.Option("--device", help="Name or path of the card to beat.", autocompletion=known_cards)
    ] = "john2022-ogb",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished stages.")] = False,
    json_file: Json = None,
) -> None:
    """Search barrier, compliance, thickness, pulse width and node spacing for the best accuracy at bounded cost.

    Example: halidrift design --out results/design --writes 0.5
    """
    from ..stages import check_writable

    check_files(json=json_file)
    check_writable(out)
    from .. import design as job
    from .reproduce import _run

    settings = job.Settings(
        **_chosen(budget, _BUDGETS, seed=seed, candidates=samples, cards=cards),
        writes=writes,
        energy=energy,
        conditions=job.Conditions(start_phase, write_error, read_noise),
    )
    results = _run(
        job.STAGES,
        out,
        lambda tell: job.design(out, settings=settings, device=device, processes=processes, fresh=fresh, progress=tell),
    )
    give(results, json_file)
    if on_stdout(json_file):
        return
    console, small = page(), stdout()
    console.print(_choices(results))
    console.print(_finalists(results["finalists"]))
    console.print(_outcomes(results["confirmed"]))
    console.print(_materials(results["materials"]))
    verdict = "[green]beats[/]" if results["confirmed"]["beats"] else "[bold red]does not beat[/]"
    small.print(f"The design {verdict} the paper's device. {escape(results['mechanism']['text'])}", soft_wrap=True)
    if not results["confirmed"]["within_bounds"]:
        small.print("Run anew, it breaks the bound on writes or on energy.", style="yellow", soft_wrap=True)
    small.print(results["statement"], soft_wrap=True, markup=False)
    small.print(f"Results: {out / 'design.json'}, {out / 'design.png'}", soft_wrap=True, markup=False)


def _new(title: str, *columns: str) -> Table:
    from rich import box

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _choices(results: dict[str, Any]) -> Table:
    table = _new(
        "Design",
        "variable",
        "paper's device",
        "design",
        "bounds",
        "gain alone / lost if undone (points)",
        "why bounded",
    )
    steps = {one["variable"]: one for one in results["mechanism"]["steps"]}
    for one in results["variables"]:
        step = steps[one["name"]]
        unit = "" if one["unit"] == "1" else f" {one['unit']}"
        table.add_row(
            one["name"],
            f"{step['from']:.3g}{unit}",
            f"[bold]{step['to']:.3g}{unit}[/]",
            f"{one['low']:.3g} to {one['high']:.3g}",
            f"{100 * step['alone']:+.1f} / {100 * step['missing']:+.1f} ± {100 * step['error']:.1f}",
            escape(one["source"]),
        )
    return table


def _finalists(rows: list[dict[str, Any]]) -> Table:
    table = _new("What the search promised and KMC kept", "design", "promised", "in KMC", "writes", "bounds")
    for i, row in enumerate(rows):
        if "failure" in row:
            table.add_row(f"{i + 1}", f"{100 * row['promised']:.1f} %", escape(row["failure"]), "", "")
            continue
        table.add_row(
            "[bold]winner[/]" if i == 0 else f"{i + 1}",
            f"{100 * row['promised']:.1f} %",
            f"{100 * row['accuracy']:.1f} ± {100 * row['accuracy_error']:.1f} %",
            f"{row['writes_max']:.0f}",
            "kept" if row["within_bounds"] else "[yellow]broken[/]",
        )
    return table


_ROWS = (
    ("accuracy", "accuracy", 100.0, "%"),
    ("accuracy_exact_writes", "with exact writes", 100.0, "%"),
    ("accuracy_regression", "floating-point regression on the states", 100.0, "%"),
    ("writes_max", "writes of the most used cell in training", 1.0, ""),
    ("writes_mean", "writes of a cell, mean", 1.0, ""),
    ("energy_J", "energy of a pattern, at most", 1e9, "nJ"),
    ("relaxation_time_s", "relaxation time (fit of KMC)", 1e3, "ms"),
    ("memory_s", "how far back a reading sees", 1e3, "ms"),
)


def _outcomes(confirmed: dict[str, Any]) -> Table:
    table = _new("Confirmed by KMC, trains and trainings with new seeds", "quantity", "paper's device", "design")
    for name, words, scale, unit in _ROWS:
        cells = [
            f"{scale * confirmed[who][name]:.4g} ± {scale * confirmed[who][f'{name}_error']:.2g} {unit}"
            for who in ("paper", "winner")
        ]
        table.add_row(words, *cells)
    return table


def _materials(rows: list[dict[str, Any]]) -> Table:
    table = _new(
        "Published barriers near the dissolution barrier of the design (of ions; it is one of the metal)",
        "difference (eV)",
        "barrier",
        "material",
        "species",
        "quantity",
        "source",
        "where",
    )
    for row in rows:
        table.add_row(
            f"{row['difference_eV']:+.3f}",
            f"{row['value']} {row['unit']}",
            escape(row["material"]),
            row["species"],
            row["quantity"],
            row["source"],
            escape(row["locator"]),
        )
    return table
