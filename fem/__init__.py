"""Continuum solvers on FiPy: an interfacial film (:class:`IonFilm`), any layers (:class:`Stack`), a filament
(:class:`FilamentFEM`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .filament import FilamentFEM
    from .film import IonFilm
    from .stack import Contact, Layer, Species, Stack, Traps

__all__ = ["Contact", "FilamentFEM", "IonFilm", "Layer", "Species", "Stack", "Traps"]

# Loaded on first use: FiPy takes a second to import.
_HOMES = {"FilamentFEM": "filament", "IonFilm": "film"} | dict.fromkeys(
    ("Contact", "Layer", "Species", "Stack", "Traps"), "stack"
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
