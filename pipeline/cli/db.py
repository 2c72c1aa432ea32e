"""`halidrift db`: the barrier database."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from ._console import out

db_app = typer.Typer(help="The database of migration barriers.", no_args_is_help=True)


def _selected(material: str | None, species: str | None, quantity: str | None, source: str | None) -> Any:
    from ...physics.database import Database

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
    console = out()
    console.print(table)
    console.print(f"{len(rows)} barriers")


@db_app.command("select")
def db_select(
    material: _Material = None, species: _Species = None, quantity: _Quantity = None, source: _Source = None
) -> None:
    """Print the one barrier that matches; several or none is an error that lists what there is."""
    out().print(str(_selected(material, species, quantity, source).one()), soft_wrap=True, markup=False)


@db_app.command("show")
def db_show(id: Annotated[str, typer.Argument(help="Id of a barrier; see `halidrift db list`.")]) -> None:
    """Print a barrier with its source and the curator's doubts."""
    from ...physics.citations import citations
    from ...physics.database import Database

    row = Database.load().get(id)
    console = out()
    console.print(str(row), soft_wrap=True, markup=False)
    if row.note:
        console.print(f"note: {row.note}", soft_wrap=True, markup=False)
    console.print(citations(row), soft_wrap=True, markup=False)
