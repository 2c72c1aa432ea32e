"""`halidrift reproduce`: a paper from end to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ._complete import cards
from ._console import Json, Workers, failed, give, on_stdout, page, staged
from ._console import out as stdout

reproduce_app = typer.Typer(help="Reproduce a paper.", no_args_is_help=True)

_COLOURS = {"hit": "green", "miss": "bold red"}


@reproduce_app.command("john2022")
def reproduce_john2022(
    out: Annotated[Path, typer.Option("--out", help="Folder of results.json, report.html, traces and exports.")],
    seed: Annotated[int, typer.Option("--seed", help="Everything that is drawn follows from it.")] = 2022,
    per_class: Annotated[
        int, typer.Option("--per-class", help="Patterns of each class; the paper has 4975, fewer is a quick run.")
    ] = 4975,
    processes: Workers = None,
    device: Annotated[
        str, typer.Option("--device", help="Name or path of a device card.", autocompletion=cards)
    ] = "john2022-ogb",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished stages.")] = False,
    json_file: Json = None,
) -> None:
    """John et al. 2022: barriers, KMC, continuum, compact models, reservoir, both readouts, report.

    Example: halidrift reproduce john2022 --out results/john2022 --per-class 100
    """
    from ..stages import check_writable

    check_writable(out)  # before the imports below, which take seconds
    from .. import john2022 as paper

    settings = paper.Settings(seed=seed, per_class=per_class)
    job = _run(
        paper.STAGES,
        out,
        lambda tell: paper.john2022(
            out, settings=settings, device=device, processes=processes, fresh=fresh, progress=tell
        ),
    )
    _finish(job, "John et al. 2022", json_file)


@reproduce_app.command("kim2019")
def reproduce_kim2019(
    out: Annotated[Path, typer.Option("--out", help="Folder of results.json, report.html and traces.")],
    films: Annotated[str, typer.Option("--films", help="Which films, by n: fewer is a quick run.")] = "1,2,3,4,5,inf",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer points of every protocol: half a minute, once everything is compiled."),
    ] = False,
    mnist: Annotated[
        Path | None,
        typer.Option("--mnist", help="Folder of MNIST's four IDX files, plain or .gz: tries the 28 x 28 digits."),
    ] = None,
    processes: Workers = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished stages.")] = False,
    json_file: Json = None,
) -> None:
    """Kim et al. 2019: plasticity, retention, energy, activation energy and digits of the 2D to 3D synapses, report.

    Example: halidrift reproduce kim2019 --out results/kim2019
    """
    from ..stages import check_writable

    check_writable(out)
    from .. import kim2019 as paper

    settings = paper.Settings(
        films=tuple(n.strip() for n in films.split(",")), quick=quick, mnist=None if mnist is None else str(mnist)
    )
    job = _run(
        paper.STAGES,
        out,
        lambda tell: paper.kim2019(out, settings=settings, processes=processes, fresh=fresh, progress=tell),
    )
    _finish(job, "Kim et al. 2019", json_file)


def _run(stages: Mapping[str, str], out: Path, work: Callable[[Any], Any]) -> Any:
    """The finished job; bars while it runs, and on Ctrl-C what is finished."""
    finished: list[str] = []
    try:
        with staged(stages) as show:

            def tell(stage: str, done: int, total: int, note: str) -> None:
                show(stage, done, total, note)
                if note:
                    finished.append(stage)

            return work(tell)
    except KeyboardInterrupt:
        kept = ", ".join(finished) or "none"
        failed().print(
            f"Interrupted. Finished stages: {kept}. They are kept in {out}; the same command continues from there.",
            style="yellow",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def _finish(job: Any, title: str, json_file: Path | None) -> None:
    give(job.results, json_file)
    if not on_stdout(json_file):
        _print(job, title)


def _print(job: Any, title: str) -> None:
    """Target beside result, what could not be computed, and where the report is."""
    console, wide = stdout(), page()
    wide.print(_verdicts(job.results["quantities"], wide.width, title))
    for name, text in job.results["failures"].items():
        console.print(f"[bold red]not computed:[/] {name}: {escape(text)}", soft_wrap=True)
    console.print(job.results["statement"], soft_wrap=True)
    console.print(f"Report: {job.folder / 'report.html'}", soft_wrap=True)


def _verdicts(quantities: list[dict[str, Any]], width: int, title: str) -> Table:
    """Target beside result; a narrow screen goes without what made the result."""
    from rich import box

    from ..targets import formatted

    wide = width >= 120
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", style="dim", no_wrap=True)
    table.add_column("quantity", overflow="fold")
    table.add_column("target", overflow="fold")
    table.add_column("result", style="bold", overflow="fold")
    for name in ("", "kind", "source"):
        table.add_column(name, no_wrap=True)
    for row in quantities:
        colour = _COLOURS.get(row["verdict"], "dim")
        verdict = row["verdict"] if row["verdict"] in _COLOURS else "-"
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        asked = row["target"] + (unit if row["target"][-1:].isdigit() else "")
        made = f" [dim]({escape(row['made_by'])})[/]" if wide and row["made_by"] else ""
        table.add_row(
            row["id"],
            escape(row["quantity"]) + made,
            asked,
            formatted(row) + (unit if row["value"] is not None else ""),
            f"[{colour}]{verdict}[/]",
            row["kind"],
            row["source"] or "-",
        )
    return table
