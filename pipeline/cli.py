"""The command line: the nouns of the package as commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..physics.errors import HalidriftError, InputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..physics.waveform import Waveform

__all__ = ["app", "main"]

app = typer.Typer(
    name="halidrift",
    help="Halide-perovskite memristors, from migration barriers to classified spike trains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
reproduce_app = typer.Typer(help="Reproduce a paper.", no_args_is_help=True)
device_app = typer.Typer(help="Device cards.", no_args_is_help=True)
db_app = typer.Typer(help="The database of migration barriers.", no_args_is_help=True)
kmc_app = typer.Typer(help="Kinetic Monte Carlo of the filament.", no_args_is_help=True)
fem_app = typer.Typer(help="Continuum model of the filament.", no_args_is_help=True)
app.add_typer(reproduce_app, name="reproduce")
app.add_typer(device_app, name="device")
app.add_typer(db_app, name="db")
app.add_typer(kmc_app, name="kmc")
app.add_typer(fem_app, name="fem")

_COLOURS = {"hit": "green", "miss": "bold red"}


def _out() -> Console:
    # made when used: a console keeps the stream that it found
    return Console(highlight=False)


# -- reproduce ---------------------------------------------------------------------------------------------------


@reproduce_app.command("john2022")
def reproduce_john2022(
    out: Annotated[Path, typer.Option("--out", help="Folder of results.json, report.html, traces and exports.")],
    seed: Annotated[int, typer.Option("--seed", help="Everything that is drawn follows from it.")] = 2022,
    per_class: Annotated[
        int, typer.Option("--per-class", help="Patterns of each class; the paper has 4975, fewer is a quick run.")
    ] = 4975,
    processes: Annotated[
        int | None, typer.Option("--processes", help="Worker processes; one for each core if not given.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Name or path of a device card.")] = "john2022-ogb",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished stages.")] = False,
) -> None:
    """John et al. 2022: barriers, KMC, continuum, compact models, reservoir, both readouts, report."""
    from .stages import check_writable

    check_writable(out)  # before the imports below, which take seconds
    from .reproduce import STAGES, Settings, john2022

    settings = Settings(seed=seed, per_class=per_class)
    console, finished = _out(), []
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int, note: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(STAGES[stage], total=total, note="")
            bars.update(tasks[stage], completed=done, total=total, note=note)
            if note:
                finished.append(stage)

        try:
            job = john2022(out, settings=settings, device=device, processes=processes, fresh=fresh, progress=tell)
        except KeyboardInterrupt:
            bars.stop()
            kept = ", ".join(finished) or "none"
            Console(stderr=True, highlight=False).print(
                f"Interrupted. Finished stages: {kept}. They are kept in {out}; the same command continues from there.",
                style="yellow",
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    # a log has no width of its own
    page = console if console.is_terminal else Console(highlight=False, width=max(console.width, 150))
    page.print(_verdicts(job.results["quantities"], page.width))
    for name, text in job.results["failures"].items():
        console.print(f"[bold red]not computed:[/] {name}: {escape(text)}", soft_wrap=True)
    console.print(job.results["statement"], soft_wrap=True)
    console.print(f"Report: {job.folder / 'report.html'}", soft_wrap=True)


def _bars(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def _verdicts(quantities: list[dict[str, Any]], width: int) -> Table:
    """Target beside result; a narrow screen goes without what made the result."""
    from rich import box

    from .targets import formatted

    wide = width >= 120
    table = Table(title="John et al. 2022", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
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
        made = f" [dim]({escape(row['made_by'])})[/]" if wide and row["made_by"] else ""
        table.add_row(
            row["id"],
            escape(row["quantity"]) + made,
            row["target"],
            formatted(row) + (unit if row["value"] is not None else ""),
            f"[{colour}]{verdict}[/]",
            row["kind"],
            row["source"] or "-",
        )
    return table


# -- devices and barriers ----------------------------------------------------------------------------------------


@app.command("devices")
def devices() -> None:
    """List the device cards that ship with the package."""
    from ..physics.device import Device

    table = Table()
    for name in ("name", "stack", "description"):
        table.add_column(name, overflow="fold")
    for name in Device.names():
        card = Device.load(name)
        table.add_row(name, " / ".join(layer.name for layer in card.layers), card.description)
    _out().print(table)


@device_app.command("show")
def device_show(name: Annotated[str, typer.Argument(help="Name or path of a device card.")]) -> None:
    """Print a device with the kind and the origin of every number."""
    from ..physics.device import Device

    card = Device.load(name)
    console = _out()
    console.print(f"{card.name}: {card.description}", soft_wrap=True)
    table = Table()
    for column in ("parameter", "value", "unit", "kind", "origin"):
        table.add_column(column, overflow="fold")
    for layer in card.layers:
        p = layer.thickness
        table.add_row(f"{layer.name} thickness_m", f"{p.value:g}", p.unit, p.kind, p.origin)
    for p in (card.area, *card.parameters.values()):
        origin = p.origin + (f"; {p.note}" if p.note else "")
        table.add_row(p.name, f"{p.value:g}", p.unit, p.kind, origin)
    console.print(table)


def _selected(material: str | None, species: str | None, quantity: str | None, source: str | None) -> Any:
    from ..physics.database import Database

    asked = {"material": material, "species": species, "quantity": quantity, "source": source}
    return Database.load().select(**{name: value for name, value in asked.items() if value is not None})


_Material = Annotated[str | None, typer.Option("--material", help="Host compound, for instance CsPbBr3.")]
_Species = Annotated[str | None, typer.Option("--species", help="Defect, for instance V_Br or Ag_i.")]
_Quantity = Annotated[str | None, typer.Option("--quantity", help="migration_barrier or formation_energy.")]
_Source = Annotated[str | None, typer.Option("--source", help="Bib key of the paper that the number comes from.")]


@db_app.command("list")
def db_list(
    material: _Material = None, species: _Species = None, quantity: _Quantity = None, source: _Source = None
) -> None:
    """List barriers, all or those that match."""
    rows = _selected(material, species, quantity, source)
    table = Table()
    for column in ("id", "material", "species", "quantity", "value", "unit", "source", "via"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.id, row.material, row.species, row.quantity, row.value, row.unit, row.source, row.via or "")
    console = _out()
    console.print(table)
    console.print(f"{len(rows)} barriers")


@db_app.command("select")
def db_select(
    material: _Material = None, species: _Species = None, quantity: _Quantity = None, source: _Source = None
) -> None:
    """Print the one barrier that matches; several or none is an error that lists what there is."""
    _out().print(str(_selected(material, species, quantity, source).one()), soft_wrap=True, markup=False)


@db_app.command("show")
def db_show(id: Annotated[str, typer.Argument(help="Id of a barrier; see `halidrift db list`.")]) -> None:
    """Print a barrier with its source and the curator's doubts."""
    from ..physics.citations import citations
    from ..physics.database import Database

    row = Database.load().get(id)
    console = _out()
    console.print(str(row), soft_wrap=True, markup=False)
    if row.note:
        console.print(f"note: {row.note}", soft_wrap=True, markup=False)
    console.print(citations(row), soft_wrap=True, markup=False)


# -- simulations -------------------------------------------------------------------------------------------------

_Device = Annotated[str, typer.Argument(help="Name or path of a device card.")]
_Peaks = Annotated[list[float], typer.Option("--peak", help="Turning voltage of the sweep, V; may be repeated.")]
_Rate = Annotated[float, typer.Option("--rate", help="Sweep rate, V/s.")]
_Compliance = Annotated[float, typer.Option("--compliance", help="Compliance current, A.")]
_Temperature = Annotated[float, typer.Option("--temperature", help="Temperature, K.")]
_Trace = Annotated[Path, typer.Option("--out", help="NetCDF file of the trace.")]


def _sweep(peaks: list[float], rate: float, compliance: float) -> Waveform:
    from ..physics.waveform import Waveform

    return Waveform.triangle(peaks, rate, compliance)


def _keep(trace: Any, out: Path) -> None:
    from ..physics import trace as traces

    traces.write(trace, out)
    G = trace["conductance"]
    _out().print(
        f"{out}: {trace.sizes['time']} instants, conductance {float(G.min()):.3g} to {float(G.max()):.3g} S, "
        f"current up to {float(abs(trace['current']).max()):.3g} A",
        soft_wrap=True,
    )


def _check_target(out: Path) -> None:
    from .stages import check_writable

    if out.is_dir():
        raise InputError("--out names a folder", got=str(out), allowed="a file, for instance trace.nc")
    check_writable(out.parent)


@kmc_app.command("run")
def kmc_run(
    device: _Device,
    out: _Trace,
    peak: _Peaks = [2.0],  # noqa: B006 - typer reads the default and never changes it
    rate: _Rate = 1.0,
    compliance: _Compliance = 1e-6,
    temperature: _Temperature = 300.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the run.")] = 0,
    replicas: Annotated[int, typer.Option("--replicas", help="Independent runs.")] = 1,
) -> None:
    """Sweep a device with kinetic Monte Carlo and keep the trace."""
    _check_target(out)
    from ..kmc import FilamentKMC, ensemble
    from ..physics.device import Device

    model, wave = FilamentKMC(Device.load(device), temperature_K=temperature), _sweep(peak, rate, compliance)
    _keep(model.simulate(wave, rng=seed) if replicas == 1 else ensemble.run(model, wave, replicas, rng=seed), out)


@fem_app.command("run")
def fem_run(
    device: _Device,
    out: _Trace,
    peak: _Peaks = [2.0],  # noqa: B006 - typer reads the default and never changes it
    rate: _Rate = 1.0,
    compliance: _Compliance = 1e-3,
    temperature: _Temperature = 300.0,
) -> None:
    """Sweep a device with the continuum model and keep the trace."""
    _check_target(out)
    from ..fem import FilamentFEM
    from ..physics.device import Device

    model = FilamentFEM(Device.load(device), temperature_K=temperature)
    _keep(model.simulate(_sweep(peak, rate, compliance)), out)


@app.command("version")
def version() -> None:
    """Print the version."""
    from .. import __version__

    _out().print(__version__)


def main() -> None:
    """Run the command line: exit code 2 for what the user can mend, 130 for Ctrl-C; a defect keeps its traceback."""
    arguments = sys.argv[1:]
    # FiPy reads the command line of whoever imports it
    sys.argv = sys.argv[:1]
    try:
        code = app(args=arguments, prog_name="halidrift", standalone_mode=False)
    except HalidriftError as error:
        Console(stderr=True, highlight=False).print(str(error), style="red", soft_wrap=True, markup=False)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        Console(stderr=True, highlight=False).print("Interrupted.", style="yellow")
        sys.exit(130)
    except Exception as error:
        # how typer and click report a wrong option
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
