"""What an ensemble is: the inputs that decide its numbers, as plain data that can be compared."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..physics.errors import InputError
from ..physics.waveform import Waveform
from .sampled import Sampled

__all__ = ["differences", "identity", "source_digest"]

_PACKAGE = Path(__file__).resolve().parents[1]
_NAME = __name__.split(".")[0]


def identity(simulation: Any, waveform: Waveform, seed: str) -> dict[str, Any]:
    """Everything that decides the numbers of an ensemble.

    Parameters
    ----------
    simulation : dataclass
        Its fields are the parameters; one that is left out of the repr (a limit on patience) decides no number.
    waveform : Waveform
    seed : str
        As :func:`~halidrift.physics.randomness.describe` writes it.

    Returns
    -------
    dict
        ``simulation``, ``waveform``, ``seed``, ``version``, ``source``: plain data, ready for JSON.

    Raises
    ------
    InputError
        If the simulation does not tell its parameters.
    """
    from .. import __version__

    return {
        "simulation": _described(simulation),
        "waveform": waveform.to_dict(),
        "seed": seed,
        "version": __version__,
        "source": source_digest(simulation),
    }


def _described(simulation: Any) -> dict[str, Any]:
    if isinstance(simulation, Sampled):
        return {**_described(simulation.simulation), "spread": simulation.spread}
    if not dataclasses.is_dataclass(simulation) or isinstance(simulation, type):
        raise InputError(
            "A store must know the parameters of its simulation",
            got=type(simulation).__name__,
            allowed="a dataclass such as FilamentKMC, whose fields are its parameters",
        )
    fields = {f.name: _plain(getattr(simulation, f.name), f.name) for f in dataclasses.fields(simulation) if f.repr}
    return {"model": type(simulation).__name__, **fields}


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict(), name)
    if dataclasses.is_dataclass(value):
        return _described(value)
    raise InputError(f"{name} cannot be written down", got=type(value).__name__, allowed="numbers, texts, to_dict()")


def source_digest(simulation: Any) -> str:
    """Hash of the code that a simulation runs: of its modules and of every module of ours that these import.

    Parameters
    ----------
    simulation : Simulation
    """
    parts = [simulation, simulation.simulation] if isinstance(simulation, Sampled) else [simulation]
    return _digest(*sorted({type(part).__module__ for part in parts}))


@functools.cache
def _digest(*modules: str) -> str:
    total, known, due = hashlib.sha256(), set(modules), list(modules)
    while due:
        name = due.pop()
        file = _file(name)
        if file is None:
            continue  # of another package
        for found in _imported(name, file):
            if found not in known:
                known.add(found)
                due.append(found)
    for name in sorted(known):
        file = _file(name)
        if file is not None:
            total.update(name.removeprefix(_NAME).encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def _file(module: str) -> Path | None:
    """File of a module of this package, other than the root, which imports all."""
    root, *steps = module.split(".")
    if root != _NAME or not steps:
        return None
    places = (_PACKAGE.joinpath(*steps).with_suffix(".py"), _PACKAGE.joinpath(*steps, "__init__.py"))
    return next((place for place in places if place.is_file()), None)


def _imported(module: str, file: Path) -> Iterator[str]:
    """Modules of this package that a module imports; ours import relatively."""
    home = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*home[: len(home) + 1 - node.level], *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if _file(inner) is not None else base


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """In words, where two identities differ.

    Parameters
    ----------
    there, asked : mapping
        Two records of :func:`identity`: of what is kept, and of what is wanted now.

    Returns
    -------
    list of str
        Empty if they are alike.

    Examples
    --------
    >>> differences({"simulation": {"temperature_K": 300.0}}, {"simulation": {"temperature_K": 320.0}})
    ['temperature_K is 300.0, asked 320.0']
    """
    words = list(_unequal(there.get("simulation"), asked.get("simulation"), ""))
    if there.get("waveform") != asked.get("waveform"):
        words.append(_waveforms(there.get("waveform"), asked["waveform"]))
    words += _unequal(json.loads(there.get("seed", "null")), json.loads(asked.get("seed", "null")), "seed")
    words += _unequal(there.get("version"), asked.get("version"), "version of halidrift")
    if there.get("source") != asked.get("source"):
        words.append("the code of the simulation has changed since")
    return words


def _unequal(there: Any, asked: Any, name: str) -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(asked, Mapping):
        for key in [*there, *(k for k in asked if k not in there)]:
            yield from _unequal(there.get(key), asked.get(key), f"{name}.{key}" if name else str(key))
    elif there != asked:
        yield f"{name} is {there}, asked {asked}"


def _waveforms(there: Any, asked: dict[str, Any]) -> str:
    new = Waveform.from_dict(asked)
    try:
        old = Waveform.from_dict(there)
    except (TypeError, KeyError, InputError):
        return f"waveform is unreadable, asked {new}"
    if repr(old) != repr(new):
        return f"waveform is {old}, asked {new}"
    names = [name for name in asked if there.get(name) != asked[name]]
    return f"{' and '.join(names)} of the waveform"
