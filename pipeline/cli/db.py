"""`halidrift db`: the barrier database."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import InputError
from ._complete import materials, rows, sources, species
from ._console import Json, check_files, failed, give, on_stdout, out, page, told

if TYPE_CHECKING:
    from ...physics.database import Barrier, Database

db_app = typer.Typer(
    help="The database of migration barriers, activation energies and formation energies.", no_args_is_help=True
)

_Material = Annotated[
    str | None,
    typer.Option("--material", help="Host compound, for instance CsPbBr3; * for any.", autocompletion=materials),
]
_Species = Annotated[
    str | None, typer.Option("--species", help="Defect, for instance V_Br or Ag_i; * for any.", autocompletion=species)
]
_Quantity = Annotated[
    str | None, typer.Option("--quantity", help="migration_barrier, activation_energy or formation_energy.")
]
_Source = Annotated[
    str | None,
    typer.Option("--source", help="Bib key of the paper that the number comes from.", autocompletion=sources),
]
_Where = Annotated[
    list[str],
    typer.Option("--where", help='Any other field, as "light=dark" or "conditions=*Sn vacancy*"; may be repeated.'),
]
_Data = Annotated[
    list[Path],
    typer.Option("--data", help="Folder with barriers/*.toml of your own, read as well; may be repeated."),
]


def _selected(
    data: list[Path],
    where: list[str],
    material: str | None,
    species: str | None,
    quantity: str | None,
    source: str | None,
) -> Database:
    from ...physics.database import Database

    asked: dict[str, Any] = {"material": material, "species": species, "quantity": quantity, "source": source}
    asked = {name: value for name, value in asked.items() if value is not None}
    for pair in where:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError("--where is not field=value", got=pair, allowed='for instance --where "light=dark"')
        if name.strip() in ("material", "species", "quantity", "source"):
            raise InputError("--where on a field with an option of its own", got=pair, action=f"use --{name.strip()}")
        asked[name.strip()] = _read_value(name.strip(), value.strip())
    return Database.load(*data).select(**asked)


def _read_value(name: str, value: str) -> Any:
    """Text from the command line as the type of the field."""
    if value == "" or value.lower() == "none":
        return None
    if name == "charge":
        try:
            return int(value)
        except ValueError:
            raise InputError("charge is not a whole number", got=value, allowed="such as 1, 0 or -2") from None
    if name in ("is_range", "is_bound", "approximate", "compiled", "computed", "independent"):
        if value.lower() not in ("true", "false"):
            raise InputError(f"{name} is neither true nor false", got=value, allowed="true, false")
        return value.lower() == "true"
    return value


def _energy(row: Barrier) -> str:
    """Energy in eV whatever the unit of the paper, so that a column can be read down."""
    if row.unit == "eV":
        return row.value  # with the digits and the sign ~ of the paper
    low, high = (None if side is None else f"{side:.3f}" for side in (row.low_eV, row.high_eV))
    text = f"< {high}" if low is None else f"> {low}" if high is None else low if low == high else f"{low}-{high}"
    return f"{text} ({row.printed})"


def _source_of(row: Barrier) -> str:
    return f"{row.source} via {row.via}" if row.via else row.source


def _listing(rows: Database) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", style="dim", overflow="fold")
    table.add_column("material, species", overflow="fold")
    table.add_column("energy (eV)", style="bold", overflow="fold")
    table.add_column("quantity", overflow="fold")
    table.add_column("source", overflow="fold")
    table.add_column("method; conditions", overflow="fold")
    for row in rows:
        host = f"{row.material} {row.species}{_charge(row)}"
        table.add_row(
            *(row.id, escape(host), _energy(row), row.quantity.replace("_", " "), _source_of(row)), escape(_how(row))
        )
    return table


def _charge(row: Barrier) -> str:
    return "" if row.charge is None else f" ({row.charge:+d})" if row.charge else " (0)"


def _how(row: Barrier) -> str:
    compiled = "compiled from several papers" if row.compiled else ""
    computed = "computed with halidrift neb, not published" if row.computed else ""
    repeats = f"repeats {row.repeats}" if row.repeats else ""
    return "; ".join(part for part in (row.method, row.conditions, compiled, computed, repeats) if part)


def _filled(rows: Database) -> Database:
    """The selection itself, or the error that says what there is instead."""
    if not len(rows):
        rows.one()
    return rows


@db_app.command("list")
def db_list(
    material: _Material = None,
    species: _Species = None,
    quantity: _Quantity = None,
    source: _Source = None,
    where: _Where = [],  # noqa: B006 - typer reads the default and never changes it
    data: _Data = [],  # noqa: B006
    json_file: Json = None,
) -> None:
    """List rows, all or those that match.

    Example: halidrift db list --material "CsPb*" --quantity migration_barrier
    """
    rows = _filled(_selected(data, where, material, species, quantity, source))
    give([_record(row) for row in rows], json_file)
    if on_stdout(json_file):
        return
    console = page()
    console.print(_listing(rows))
    console.print(f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}. One in full: halidrift db show ID")


@db_app.command("select")
def db_select(
    material: _Material = None,
    species: _Species = None,
    quantity: _Quantity = None,
    source: _Source = None,
    where: _Where = [],  # noqa: B006
    data: _Data = [],  # noqa: B006
    json_file: Json = None,
) -> None:
    """Print the one row that matches; several or none is an error that lists what there is.

    Example: halidrift db select --material CsPbBr3 --species V_Br --quantity migration_barrier
    """
    row = _selected(data, where, material, species, quantity, source).one()
    _print_row(row, data, json_file)


@db_app.command("show")
def db_show(
    id: Annotated[str, typer.Argument(help="Id of a row; see `halidrift db list`.", autocompletion=rows)],
    data: _Data = [],  # noqa: B006
    json_file: Json = None,
) -> None:
    """Print a row with its source and the curator's doubts.

    Example: halidrift db show woo2022-cspbbr3-v_br
    """
    from ...physics.database import Database

    _print_row(Database.load(*data).get(id), data, json_file)


def _print_row(row: Barrier, data: list[Path], json_file: Path | None) -> None:
    from ...physics.citations import citations

    give(_record(row), json_file)
    if on_stdout(json_file):
        return
    console = out()
    console.print(str(row), soft_wrap=True, markup=False)
    console.print(f"id: {row.id}", soft_wrap=True, markup=False)
    if row.note:
        console.print(f"note: {row.note}", soft_wrap=True, markup=False)
    console.print(citations(row, data_dirs=tuple(data)), soft_wrap=True, markup=False)


def _record(row: Barrier) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(row).items() if name != "file"}


@db_app.command("compare")
def db_compare(
    material: Annotated[str, typer.Option("--material", help="Host compound; * for any.", autocompletion=materials)],
    species: Annotated[str, typer.Option("--species", help="Defect; * for any.", autocompletion=species)],
    quantity: Annotated[str, typer.Option("--quantity", help="What to compare.")] = "migration_barrier",
    source: _Source = None,
    where: _Where = [],  # noqa: B006
    data: _Data = [],  # noqa: B006
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Picture (.png, .svg or .pdf); MATERIAL-SPECIES-QUANTITY.png if not given."),
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Table only.")] = False,
    json_file: Json = None,
) -> None:
    """Show all values for one species in one material, as a picture and as a table.

    Example: halidrift db compare --material MAPbI3 --species V_I
    """
    rows = _filled(_selected(data, where, material, species, quantity, source))
    rows.check_comparable("a comparison")
    check_files(plot=plot, json=json_file)
    give([_record(row) for row in sorted(rows, key=_middle)], json_file)
    if not on_stdout(json_file):
        _print_comparison(rows)
    if no_plot:
        return
    from ..figures import barriers as figures
    from ..figures import save

    made = sum(row.computed for row in rows)
    title = f"{species} in {material}: {len(rows) - made} published values" + (f", {made} computed" if made else "")
    # a picture's name must hold no sign that a shell or a file system reads
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", f"{material}-{species}-{quantity}").strip("_-")
    file = save(figures.spread(list(rows), title), plot if plot is not None else Path(f"{name}.png"))
    if not on_stdout(json_file):
        out().print(f"Picture: {file}", soft_wrap=True, markup=False)


def _print_comparison(rows: Database) -> None:
    console = page()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    low, high = _axis(rows)
    width = 28
    scale = f"{low:.2f}".ljust(width - 5) + f"{high:.2f}"
    table.add_column("energy (eV)", style="bold", no_wrap=True)
    table.add_column(scale, no_wrap=True, min_width=width)
    for column in ("source", "method; conditions"):
        table.add_column(column, overflow="fold")
    for row in sorted(rows, key=_middle):
        source_text = f"{_source_of(row)}, {row.locator}"
        table.add_row(
            _energy(row) + _charge(row), escape(_bar(row, low, high, width)), escape(source_text), escape(_how(row))
        )
    console.print(table)
    console.print(_summary(rows), soft_wrap=True, markup=False)
    if any(row.note for row in rows):
        console.print("Curator's notes:")
    for row in rows:
        if row.note:
            console.print(f"{row.id}: {row.note}", soft_wrap=True, markup=False, style="dim")


def _middle(row: Barrier) -> float:
    ends = [side for side in (row.low_eV, row.high_eV) if side is not None]
    return sum(ends) / len(ends)


def _axis(rows: Database) -> tuple[float, float]:
    ends = [side for row in rows for side in (row.low_eV, row.high_eV) if side is not None]
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (low - 0.1, high + 0.1)


def _bar(row: Barrier, low: float, high: float, width: int) -> str:
    """One row of a strip plot in letters: o a value, o---o a range, o--> and <--o bounds."""

    def place(energy: float) -> int:
        return round((energy - low) / (high - low) * (width - 1))

    left = 0 if row.low_eV is None else place(row.low_eV)
    right = width - 1 if row.high_eV is None else place(row.high_eV)
    line = [" "] * width
    line[left : right + 1] = "─" * (right - left + 1)
    line[left] = "<" if row.low_eV is None else "o"
    line[right] = ">" if row.high_eV is None else "o"
    return "".join(line)


def _summary(rows: Database) -> str:
    single = [row.value_eV for row in rows if row.independent and not row.is_bound and not row.is_range]
    ends = [side for row in rows for side in (row.low_eV, row.high_eV) if side is not None]
    papers = len({row.source for row in rows if row.independent})
    text = f"{len(rows)} {'value' if len(rows) == 1 else 'values'}, {min(ends):g} to {max(ends):g} eV"
    own = sum(row.independent for row in rows)
    text += f", {own} of them independent ({papers} {'paper' if papers == 1 else 'papers'})"
    compiled, repeated = sum(row.compiled for row in rows), sum(row.repeats is not None for row in rows)
    if compiled:
        text += f"; {compiled} of them compiled from several papers"
    if repeated:
        text += f"; {repeated} probably a second reading of another"
    if len(single) > 1 and len({(row.material, row.species) for row in rows}) == 1:
        from statistics import median

        text += f"; median of the {len(single)} independent single values {median(single):g} eV"
    return text + "."


@db_app.command("check")
def db_check(
    data: _Data = [],  # noqa: B006
    json_file: Json = None,
) -> None:
    """Check every file against the schema and count what is there.

    Each fault is told with file, table and key; the exit code is then 2. Checked: each row has a locator and a
    reference that the bibliography resolves, and lies in physical bounds.

    Example: halidrift db check --data my-data
    """
    from ...physics.database import Database

    database, faults = Database.check(*data)
    counts = {name: dict(database.counts(name)) for name in ("source", "species", "quantity")}
    give({"rows": len(database), **counts, "faults": [str(fault) for fault in faults]}, json_file)
    if on_stdout(json_file):
        if faults:
            raise typer.Exit(2)
        return
    console = out()
    files = len({row.file for row in database})
    noted = sum(row.note is not None for row in database)
    bounds = sum(row.is_bound for row in database)
    ranges = sum(row.is_range for row in database)
    for name, title in (("source", "source paper"), ("species", "species"), ("quantity", "quantity")):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(title)
        table.add_column("rows", justify="right")
        for value, count in database.counts(name).items():
            table.add_row(escape(value), str(count))
        console.print(table)
    console.print(
        f"{len(database)} rows in {files} files from {len(database.counts('source'))} papers; "
        f"{ranges} ranges, {bounds} one-sided bounds, {noted} rows with a curator's note.",
        soft_wrap=True,
    )
    if faults:
        for fault in faults:
            failed().print(str(fault), style="red", soft_wrap=True, markup=False)
        failed().print(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}.", style="red")
        raise typer.Exit(2)
    console.print("No fault: every row has a locator, references that resolve, and an energy in physical bounds.")


@db_app.command("export")
def db_export(
    format: Annotated[str, typer.Option("--format", help="csv, json or latex.")] = "csv",
    out: Annotated[Path | None, typer.Option("--out", help="File; standard output if not given.")] = None,
    material: _Material = None,
    species: _Species = None,
    quantity: _Quantity = None,
    source: _Source = None,
    where: _Where = [],  # noqa: B006
    data: _Data = [],  # noqa: B006
) -> None:
    """Write rows as a table for other programs.

    Columns: material, species, quantity, low_eV, high_eV, method, condition, source, locator, note. A side that
    a bound leaves open is empty.

    Example: halidrift db export --format latex --material CsPbBr3 --out table.tex
    """
    _give(_filled(_selected(data, where, material, species, quantity, source)).export(format), out)


@db_app.command("cite")
def db_cite(
    keys: Annotated[list[str] | None, typer.Argument(help="Bib keys; those of the selected rows if not given.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File; standard output if not given.")] = None,
    material: _Material = None,
    species: _Species = None,
    quantity: _Quantity = None,
    source: _Source = None,
    where: _Where = [],  # noqa: B006
    data: _Data = [],  # noqa: B006
) -> None:
    """Print BibTeX: of the keys given, or of all sources of the rows that match.

    Example: halidrift db cite --material CsPbBr3 --species V_Br
    """
    from ...physics.citations import bibtex

    asked = any((material, species, quantity, source, where))
    if keys and asked:
        raise InputError("both keys and a selection", got=" ".join(keys), action="give bib keys, or options, not both")
    found = tuple(keys) if keys else _filled(_selected(data, where, material, species, quantity, source)).sources
    _give(bibtex(*found, data_dirs=tuple(data)) + "\n", out)


def _give(text: str, output: Path | None) -> None:
    """Write to a file, whole or not at all, or to standard output as it is."""
    if output is None:
        sys.stdout.write(text)
        return
    from ...physics.files import write_whole

    write_whole(output, lambda name: Path(name).write_text(text, encoding="utf-8"))
    told().print(f"{output}: written", soft_wrap=True, markup=False)
