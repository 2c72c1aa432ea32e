"""`halidrift devices` and `halidrift device`: device cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ._complete import cards
from ._console import Json, give, on_stdout, out

if TYPE_CHECKING:
    from ...physics.device import Device
    from ...physics.parameters import Parameter

device_app = typer.Typer(help="Device cards.", no_args_is_help=True)


def devices(json_file: Json = None) -> None:
    """List the device cards that ship with the package, and those of $HALIDRIFT_DATA/devices.

    Example: halidrift devices
    """
    from ...physics.device import Device

    if json_file is not None:
        give([_record(Device.load(name)) for name in Device.names()], json_file)
        if on_stdout(json_file):
            return

    table = Table()
    for name in ("name", "stack", "description"):
        table.add_column(name, overflow="fold")
    for name in Device.names():
        card = Device.load(name)
        table.add_row(name, " / ".join(layer.name for layer in card.layers), card.description)
    out().print(table)


@device_app.command("show")
def device_show(
    name: Annotated[str, typer.Argument(help="Name or path of a device card.", autocompletion=cards)],
    json_file: Json = None,
) -> None:
    """Print a device with the kind and the origin of every number.

    Example: halidrift device show john2022-ogb
    """
    from ...physics.device import Device

    card = Device.load(name)
    give(_record(card), json_file)
    if on_stdout(json_file):
        return
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


def _record(card: Device) -> dict[str, Any]:
    """Every number of the card with its unit, kind and origin."""

    def said(p: Parameter) -> dict[str, Any]:
        told = {"value": p.value, "unit": p.unit, "kind": p.kind, "origin": p.origin}
        return told if p.spread is None else {**told, "spread": said(p.spread)}

    return {
        "name": card.name,
        "description": card.description,
        "layers": [{"name": layer.name, "material": layer.material, "role": layer.role} for layer in card.layers],
        "numbers": {name: said(p) for name, p in card.numbers.items()},
        "sources": list(card.sources),
    }
