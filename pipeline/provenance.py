"""Where a number of a report comes from: result, stages, compact parameters, card, barrier rows, references.

It reads what a job of ``halidrift reproduce`` wrote down in ``results.json`` and nothing else, so it tells what that
run used, also after cards or database have changed.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..physics.errors import DataError, InputError, OutputError
from .targets import formatted

__all__ = ["Node", "lineage", "names", "read"]

_NEEDED = ("job", "quantities", "stages", "traces", "barriers", "device_parameters", "references")

_SHAPES = {"quantities": list, "stages": dict, "traces": dict, "barriers": list, "references": list}


@dataclass(frozen=True)
class Node:
    """One thing that a number rests on, with what that rests on itself.

    Attributes
    ----------
    kind : {"result", "stage", "model", "device", "parameter", "barrier", "reference"}
    name : str
    facts : dict
        What is known of it; plain data.
    children : tuple of Node
    """

    kind: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data.

        Returns
        -------
        dict
            Fields by name, those of the nodes below it likewise.
        """
        return asdict(self)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()


def read(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The results of a job.

    Parameters
    ----------
    file : path
        ``results.json``, or the folder of a job.

    Returns
    -------
    dict
        Content of ``results.json``, checked.

    Raises
    ------
    OutputError
        If it cannot be read.
    DataError
        If it is not the results of a job, or of one that did not yet write down what its numbers were made from.
    """
    path = Path(file)
    if path.is_dir():
        path = path / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(
            f"{path} could not be read",
            got=error.strerror or str(error),
            action="Name the results.json of a finished `halidrift reproduce`, or its folder",
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", file=path, key="(whole file)", got=str(error)) from error
    lacks = [name for name in _NEEDED if not isinstance(results, dict) or name not in results]
    if lacks:
        raise DataError("not the results of a job", file=path, key=lacks[0], allowed=", ".join(_NEEDED))
    wrong = [name for name, kind in _SHAPES.items() if not isinstance(results[name], kind)]
    wrong += [name for name in ("quantities", "stages") if name not in wrong and not _mappings(results[name])]
    if wrong:
        raise DataError(
            "not the results of a job",
            file=path,
            key=wrong[0],
            got=type(results[wrong[0]]).__name__,
            action="Run the job again into the same folder",
        )
    old = [name for name, stage in results["stages"].items() if "after" not in stage]
    if old or any("stages" not in row for row in results["quantities"]):
        raise DataError(
            "the job did not write down what its numbers were made from",
            file=path,
            key=f"stages.{old[0]}" if old else "quantities",
            got=f"halidrift {results.get('version', 'of unknown version')}",
            action="Run the job again into the same folder",
        )
    for i, row in enumerate(results["quantities"]):
        try:
            # what lineage will do: cheap, and no schema says more about what it needs
            [_plain(called) for called in (*_called(row), row["id"], row["quantity"])]
            _Tree(results, row).result()
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            got = f"{type(error).__name__}: {error}"
            action = "Run the job again into the same folder"
            raise DataError("damaged", file=path, key=f"quantities[{i}]", got=got, action=action) from error
    return results


def _mappings(part: Any) -> bool:
    return all(isinstance(entry, dict) for entry in (part.values() if isinstance(part, dict) else part))


def names(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What :func:`lineage` can be asked for: the shortest name of each number, and the quantity in words.

    Parameters
    ----------
    results : mapping
        What :func:`read` returns.

    Returns
    -------
    list of (str, str)
        The handle of a number, or its id where it has none, and the quantity.
    """
    return [(row["handle"] or row["id"], row["quantity"]) for row in results["quantities"]]


def lineage(results: Mapping[str, Any], name: str) -> tuple[Node, ...]:
    """What a number rests on, down to the references.

    Parameters
    ----------
    results : mapping
        As :func:`read` returns it.
    name : str
        Short name (``accuracy_icc``), id (``J-NN-07``; all its numbers), ``id/quantity`` or the quantity in words.

    Returns
    -------
    tuple of Node
        One for each number of that name.

    Raises
    ------
    InputError
        If there is none; it lists the nearest ones.
    """
    rows = [row for row in results["quantities"] if name in _called(row)] or [
        row for row in results["quantities"] if _plain(name) and _plain(name) in {_plain(c) for c in _called(row)}
    ]
    if not rows:
        known = {called: None for row in results["quantities"] for called in _called(row)[:-1]}
        folded = {_plain(called): called for called in reversed(known)}
        near = difflib.get_close_matches(_plain(name), folded, n=5, cutoff=0.3)
        raise InputError(
            f"No number of {results['job']} is called this",
            got=name,
            allowed=", ".join(folded[key] for key in near) or ", ".join(list(known)[:5]) + ", ...",
            action="Leave the name out to list every number",
        )
    return tuple(_Tree(results, row).result() for row in rows)


def _called(row: Mapping[str, Any]) -> tuple[str, ...]:
    called = (row["handle"], row["id"], row["quantity"], f"{row['id']}/{row['quantity']}")
    return tuple(one for one in called if one)  # not every number has a short name


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


class _Tree:
    """Grows the tree of one number; a stage that was told once is named only the second time."""

    def __init__(self, results: Mapping[str, Any], row: Mapping[str, Any]):
        self.results, self.row = results, row
        self.told: set[str] = set()
        self.wanted: dict[str, list[str]] = {}
        for entry in row["stages"]:
            stage, _, pattern = entry.partition("/")
            self.wanted.setdefault(stage, []).extend([pattern] if pattern else [])
        self.patterns = [p for patterns in self.wanted.values() for p in patterns]
        self.barriers = {b["barrier"]: b for b in results["barriers"]}
        lines = (re.match(r"\[([^\]]+)\]\s*(.*)", line) for line in results["references"])
        self.lines = {found[1]: found[2] for found in lines if found}
        tables = results["device_parameters"]
        if isinstance(tables, Mapping):
            self.cards = {results["devices"][film]: rows for film, rows in tables.items()}
        else:
            self.cards = {results["device"]: tables}

    def result(self) -> Node:
        row = self.row
        keys = ("id", "value", "uncertainty", "unit", "kind", "verdict", "target", "made_by", "note")
        below = {stage: self.before(stage) for stage in self.wanted}
        tops = [s for s in self.wanted if not any(s in found for other, found in below.items() if other != s)]
        children = [self.stage(name) for name in tops]
        if not children and "card" in row["made_by"]:
            children = [self.device(name) for name in row["devices"]]
        if row["source"]:
            children.append(self.reference(row["source"], f"prints the target, {row['locator']}"))
        facts = {key: row[key] for key in keys} | {"text": formatted(row)}
        return Node("result", row["quantity"], facts, tuple(children))

    def before(self, stage: str) -> set[str]:
        """Every stage that a stage rests on."""
        found: set[str] = set()
        for name in self.results["stages"][stage]["after"]:
            found |= {name} | self.before(name)
        return found

    def stage(self, name: str) -> Node:
        record = self.results["stages"][name]
        if name in self.told:
            return Node("stage", name, {"told": True, "key": record["key"]})
        self.told.add(name)
        patterns = self.wanted.get(name) or ["*"]
        files = [
            file
            for key, file in self.results["traces"].items()
            if key.startswith(f"{name}/") and any(fnmatchcase(key.partition("/")[2], p) for p in patterns)
        ]
        facts = {key: record[key] for key in ("key", "wall_s", "kept", "settings", "source")} | {"files": files}
        children = [self.model(model) for model in self.chosen(record["models"])]
        children += [self.stage(before) for before in record["after"]]
        children += [self.device(card) for card in record["devices"] if card in self.row["devices"]]
        return Node("stage", name, facts, tuple(children))

    def chosen(self, models: Sequence[str]) -> list[str]:
        """Of several models those that the number names."""
        named = [m for m in models if any(fnmatchcase(m, p) for p in self.patterns)]
        known = self.results.get("fitted_parameters", {})
        return [m for m in (named or models) if m in known]

    def model(self, name: str) -> Node:
        if name in self.told:
            return Node("model", name, {"told": True})
        self.told.add(name)
        keys = ("value", "unit", "standard_error", "kind", "origin", "warning")
        rows = self.results["fitted_parameters"][name]
        made = [
            Node("parameter", row["name"], {k: row[k] for k in keys if row.get(k) not in (None, "")}) for row in rows
        ]
        return Node("model", name, {}, tuple(made))

    def device(self, name: str) -> Node:
        if name in self.told:
            return Node("device", name, {"told": True})
        self.told.add(name)
        return Node("device", name, {}, tuple(self.parameter(row) for row in self.cards[name]))

    def parameter(self, row: Mapping[str, Any]) -> Node:
        keys = ("value", "unit", "kind", "origin", "spread", "range", "note")
        children: tuple[Node, ...] = ()
        if row["barrier"]:
            children = (self.barrier(row["barrier"]),)
        elif row["source"]:
            children = (self.reference(row["source"], row["locator"]),)
        return Node("parameter", row["name"], {k: row[k] for k in keys if row[k] not in (None, "")}, children)

    def barrier(self, id: str) -> Node:
        row = self.barriers.get(id)
        if row is None:
            return Node("barrier", id, {"text": "a row of the barrier database that the results do not hold"})
        keys = ("text", "value", "unit", "method", "conditions", "source", "locator", "via")
        sources = tuple(self.reference(key, row["locator"] if key == row["source"] else "") for key in row["sources"])
        return Node("barrier", id, {k: row[k] for k in keys if row[k]}, sources)

    def reference(self, key: str, place: str = "") -> Node:
        return Node("reference", key, {"place": place, "text": self.lines.get(key, "not among the references")})
