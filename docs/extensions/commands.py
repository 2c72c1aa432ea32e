"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

GROUPS = ("db", "device", "kmc", "fem", "reproduce")


def tree() -> Any:
    """The whole command line as one command."""
    from halidrift.pipeline.cli import app

    return typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ("halidrift",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in command.list_commands(None):
        yield from commands(inner[name], (*path, name))


def _text(words: str | None) -> str:
    return (
        " ".join((words or "").split()).replace("|", "\\|").replace("<", "&lt;").replace("$", "\\$").replace("*", "\\*")
    )


def _rows(command: Any) -> list[str]:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        kind = parameter.param_type_name
        name = " ".join(parameter.opts + parameter.secondary_opts) if kind == "option" else parameter.name.upper()
        told = _text(getattr(parameter, "help", ""))
        if parameter.required:
            told = f"{told} *Required.*"
        elif parameter.default not in (None, False, (), [], ""):
            told = f"{told} Default: `{parameter.default}`."
        rows.append(f"| `{name}` | {told} |")
    return rows


def page() -> str:
    """Markdown of all commands."""
    lines = [
        "# Command line",
        "",
        "Each with `--help`, which says the same.",
        "",
    ]
    for path, command in commands(tree()):
        about = inspect.cleandoc(command.help or "").split("\f")[0]
        lines += [f"## {' '.join(path)}", "", about, ""]
        if rows := _rows(command):
            lines += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(lines) + "\n"


def _write(app: Any) -> None:
    file = Path(app.srcdir) / "generated" / "commands.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx reads."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
