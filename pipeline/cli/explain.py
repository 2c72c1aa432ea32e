"""`halidrift explain`: whose uncertainty decides the accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ...physics.errors import InputError
from ._complete import cards as known_cards
from ._console import Json, Workers, check_files, give, on_stdout, page
from ._console import out as stdout

_COLOURS = {"matters": "bold", "not resolved": "red"}


def explain(
    out: Annotated[Path, typer.Option("--out", help="Folder of explain.json, explain.png and finished stages.")],
    budget: Annotated[
        str,
        typer.Option("--budget", help="quick (a minute or two, for a look), normal, or large (four times normal)."),
    ] = "normal",
    samples: Annotated[
        int | None, typer.Option("--samples", help="Base samples of the Sobol indices, a power of two.")
    ] = None,
    cards: Annotated[int | None, typer.Option("--cards", help="Cards that run in KMC.")] = None,
    networks: Annotated[int | None, typer.Option("--networks", help="Networks that are run.")] = None,
    ranges: Annotated[
        list[str] | None, typer.Option("--range", help="Another range of an input, NAME=LOW:HIGH; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Everything that is drawn follows from it.")] = 2022,
    processes: Workers = None,
    device: Annotated[
        str, typer.Option("--device", help="Name or path of a device card.", autocompletion=known_cards)
    ] = "john2022-ogb",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished stages.")] = False,
    json_file: Json = None,
) -> None:
    """Which number must be known better to predict the network? Sobol indices from barriers to the accuracy.

    Example: halidrift explain --out results/explain --range dissolution_barrier_eV=0.94:0.96
    """
    from ..stages import check_writable

    check_files(json=json_file)
    check_writable(out)
    from .. import explain as job
    from .reproduce import _run

    settings = job.Settings(**_chosen(budget, _BUDGETS, seed=seed, samples=samples, cards=cards, networks=networks))
    results = _run(
        job.STAGES,
        out,
        lambda tell: job.explain(
            out,
            settings=settings,
            device=device,
            ranges=_ranges(ranges or []),
            processes=processes,
            fresh=fresh,
            progress=tell,
        ),
    )
    give(results, json_file)
    if on_stdout(json_file):
        return
    console = page()
    for name, analysis in results["analyses"].items():
        console.print(_table(name, analysis, console.width >= 120))
    small = stdout()
    drawn = results["cards"]
    small.print(
        f"{drawn['switched']} of {drawn['drawn']} cards switch in KMC, {drawn['relaxation_5_to_23_ms']} of them relax "
        "within 5 to 23 ms (J-DIFF-08).",
        soft_wrap=True,
    )
    for name, one in results["surrogates"].items():
        ceiling = f", at most {one['q2_ceiling']:.2f} by the noise of the points" if one["q2_ceiling"] else ""
        small.print(f"Surrogate of {name}: {one['kind']}, Q2 = {one['q2']:.2f}{ceiling}", soft_wrap=True)
    small.print(f"Not varied: {results['not_varied']}", soft_wrap=True, markup=False)
    small.print(results["statement"], soft_wrap=True, markup=False)
    small.print(f"[bold]{escape(results['answer'])}[/]", soft_wrap=True)
    small.print(f"Results: {out / 'explain.json'}, {out / 'explain.png'}", soft_wrap=True, markup=False)


_BUDGETS: dict[str, dict[str, int]] = {
    "quick": {"cards": 40, "replicas": 5, "networks": 80, "per_class": 60, "samples": 256, "refits": 4},
    "normal": {},
    "large": {"cards": 400, "replicas": 12, "networks": 1280, "per_class": 400, "samples": 4096},
}


def _chosen(budget: str, known: Mapping[str, dict[str, int]], **given: int | None) -> dict[str, Any]:
    if budget not in known:
        raise InputError("Unknown budget", got=budget, allowed=", ".join(known))
    return {**known[budget], **{name: value for name, value in given.items() if value is not None}}


def _ranges(texts: list[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for text in texts:
        name, _, ends = text.partition("=")
        low, _, high = ends.partition(":")
        try:
            found[name.strip()] = (float(low), float(high))
        except ValueError as error:
            raise InputError(
                "A range must be NAME=LOW:HIGH",
                got=text,
                allowed="such as write_error=0.01:0.05",
                action="Give --range so",
            ) from error
    return found


def _table(name: str, analysis: dict[str, Any], wide: bool) -> Table:
    from rich import box

    spread = 100.0 * analysis["accuracy_standard_deviation"]
    table = Table(
        title=f"{name}: accuracy {100.0 * analysis['accuracy_mean']:.1f} ± {spread:.1f} % (standard deviation)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("input", overflow="fold", min_width=26)
    table.add_column("kind", no_wrap=True)
    table.add_column("range", overflow="fold")
    for column in ("first", "total"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("accuracy, low to high end (%)", justify="right")
    table.add_column("verdict", overflow="fold")
    if wide:
        table.add_column("source", overflow="fold", style="dim")
    for row in analysis["rows"]:
        colour = _COLOURS.get(row["verdict"], "dim")
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        cells = [
            escape(row["name"]),
            row["kind"],
            f"{row['low']:.3g} to {row['high']:.3g}{unit}",
            f"{row['first']:.2f} ± {row['first_error']:.2f}",
            f"{row['total']:.2f} ± {row['total_error']:.2f}",
            f"{100 * row['accuracy_at_low']:.1f} to {100 * row['accuracy_at_high']:.1f}",
            f"[{colour}]{row['verdict']}[/]",
        ]
        table.add_row(*cells, *([escape(row["source"])] if wide else []))
    return table
