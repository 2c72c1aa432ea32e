"""`halidrift devices` and `halidrift device`: device cards."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from ._console import out

device_app = typer.Typer(help="Device cards.", no_args_is_help=True)


def devices() -> None:
    """List the device cards that ship with the package."""
    from ...physics.device import Device

    table = Table()
    for name in ("name", "stack", "description"):
        table.add_column(name, overflow="fold")
    for name in Device.names():
        card = Device.load(name)
        table.add_row(name, " / ".join(layer.name for layer in card.layers), card.description)
    out().print(table)


@device_app.command("show")
def device_show(name: Annotated[str, typer.Argument(help="Name or path of a device card.")]) -> None:
    """Print a device with the kind and the origin of every number."""
    from ...physics.device import Device

    card = Device.load(name)
    console = out()
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
    for name, p in card.spreads.items():
        table.add_row(f"spread of {name}", f"{p.value:g}", p.unit, p.kind, p.origin)
    console.print(table)
