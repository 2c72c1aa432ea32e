"""`halidrift new`: files to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._complete import cards
from ._console import Json, give, on_stdout, out

new_app = typer.Typer(help="Begin a file of your own: a device card to fill in.", no_args_is_help=True)


def _begun_from(incomplete: str) -> list[str]:
    return [*cards(incomplete), *(name for name in ("blank",) if name.startswith(incomplete))]


@new_app.command("device")
def new_device(
    name: Annotated[str, typer.Argument(help="Name of the device; the file is NAME.toml in the current folder.")],
    like: Annotated[
        str,
        typer.Option(
            "--like",
            help="Card to begin from, by name or path: john2022-ogb for a filament, kim2019-n3 for a film of ions, "
            "mapbi3-ag for vacancies; blank for no numbers.",
            autocompletion=lambda incomplete: [
                *cards(incomplete),
                *(["blank"] if "blank".startswith(incomplete) else []),
            ],
        ),
    ] = "blank",
    json_file: Json = None,
) -> None:
    """Write a commented device card to fill in; a file that is there is not touched.

    Each parameter stands with its meaning, its bounds, the models that need it and what it does to the result.

    Example: halidrift new device my-device --like john2022-ogb
    """
    from ..cards import write

    file = write(name, Path(), like=like)
    give({"file": str(file), "like": like}, json_file)
    if not on_stdout(json_file):
        out().print(f"{file}: fill it in, then   halidrift check {file}", soft_wrap=True, markup=False)
