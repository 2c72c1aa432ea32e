"""`halidrift trace`: where a number of a report comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from ._console import Json, give, on_stdout, page

if TYPE_CHECKING:
    from ..provenance import Node

_MANY = 4  # files told by name


def trace(
    file: Annotated[Path, typer.Argument(help="results.json of a finished `halidrift reproduce`, or its folder.")],
    name: Annotated[
        str | None,
        typer.Argument(
            help="Short name (accuracy_icc), id (J-NN-07) or words of a number; without it, all are listed."
        ),
    ] = None,
    json_file: Json = None,
) -> None:
    """Trace a number back: result, stages, compact parameters, card, barrier rows, references.

    Example: halidrift trace results/john2022/results.json accuracy_icc
    """
    from ..provenance import lineage, names, read

    results = read(file)
    if name is None:
        give([{"name": short, "quantity": words} for short, words in names(results)], json_file)
        if on_stdout(json_file):
            return
        table = Table(title=f"Numbers of {results['job']}", title_justify="left")
        table.add_column("name", no_wrap=True)
        table.add_column("quantity", overflow="fold")
        for short, words in names(results):
            table.add_row(short, escape(words))
        page().print(table)
        return
    found = lineage(results, name)
    give([node.to_dict() for node in found], json_file)
    if on_stdout(json_file):
        return
    console = page()
    for node in found:
        console.print(_grown(node, set()))


def _grown(node: Node, told: set[tuple[str, str]], tree: Tree | None = None) -> Tree:
    """The node as a branch; a barrier row or a reference in full the first time only."""
    again = node.kind in ("barrier", "reference") and (node.kind, node.name) in told
    text = _again(node) if again else _LINES[node.kind](node)
    told.add((node.kind, node.name))
    made = Tree(text) if tree is None else tree.add(text)
    for child in () if again and node.kind == "barrier" else node.children:
        _grown(child, told, made)
    return made


def _again(node: Node) -> str:
    if node.kind == "barrier":
        return f"barrier row [green]{node.name}[/] [dim](above)[/]"
    return f"[magenta]{node.name}[/]" + (f", {escape(node.facts['place'])}" if node.facts["place"] else "")


def _number(facts: dict[str, Any]) -> str:
    value, error = facts.get("value"), facts.get("standard_error")
    if value is None:
        return "not estimated"
    text = f"{value:.5g}" if isinstance(value, float | int) else str(value)
    text += f" ± {error:.2g}" if error else ""
    return text + (f" {facts['unit']}" if facts["unit"] != "1" else "")


def _result(node: Node) -> str:
    f = node.facts
    unit = "" if f["unit"] in ("1", "") or f["value"] is None else f" {f['unit']}"
    kind = ", ".join(filter(None, [f["kind"], f["verdict"]]))
    text = f"[bold]{escape(node.name)}: {escape(f['text'])}{unit}[/] ({kind}) [dim]{f['id']}[/]"
    text += f"\ntarget {escape(f['target'])}"
    for words, key in (("made by", "made_by"), ("note:", "note")):
        text += f"\n[dim]{words} {escape(f[key])}[/]" if f[key] else ""
    return text


def _stage(node: Node) -> str:
    f = node.facts
    if f.get("told"):
        return f"stage [cyan]{node.name}[/] [dim](above)[/]"
    text = f"stage [cyan]{node.name}[/], {f['wall_s']:g} s, key {f['key'][:20]} [dim]in {escape(f['kept'])}[/]"
    if f["settings"]:
        text += f"\n{escape(', '.join(f'{key} {_setting(value)}' for key, value in f['settings'].items()))}"
    text += f"\n[dim]code: {escape(', '.join(f['source']))}[/]"
    files = f["files"]
    shown = (
        files if len(files) <= _MANY else [*files[: _MANY - 1], f"{len(files) - _MANY + 1} more (--json names them)"]
    )
    return text + (f"\n[dim]files: {escape(', '.join(shown))}[/]" if files else "")


def _setting(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _model(node: Node) -> str:
    return f"compact parameters of [cyan]{node.name}[/]" + (" [dim](above)[/]" if node.facts.get("told") else "")


def _device(node: Node) -> str:
    return f"device card [cyan]{node.name}[/]" + (" [dim](above)[/]" if node.facts.get("told") else "")


def _parameter(node: Node) -> str:
    f = node.facts
    text = f"{escape(node.name)} = {_number(f)} ({f['kind']}: {escape(f.get('origin', ''))})"
    if s := f.get("spread"):
        text += f", from device to device ± {_number(s)} ({s['kind']}: {escape(s['origin'])})"
    return text + (f" [yellow]{escape(f['warning'])}[/]" if f.get("warning") else "")


def _barrier(node: Node) -> str:
    return f"barrier row [green]{node.name}[/]: {escape(node.facts['text'])}"


def _reference(node: Node) -> str:
    place = f", {escape(node.facts['place'])}" if node.facts["place"] else ""
    return f"[magenta]{node.name}[/]{place}: [dim]{escape(node.facts['text'])}[/]"


_LINES = {
    "result": _result,
    "stage": _stage,
    "model": _model,
    "device": _device,
    "parameter": _parameter,
    "barrier": _barrier,
    "reference": _reference,
}
