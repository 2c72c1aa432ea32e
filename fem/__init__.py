"""Continuum solvers on FiPy's meshes.

Ions in an interfacial film (:class:`IonFilm`), any species and layers (:class:`Stack`), a filament as the mean field of
the KMC (:class:`FilamentFEM`), and ions with current and heat on any structured mesh (:class:`ElectroThermal`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .electrothermal import ElectroThermal, plug
    from .filament import FilamentFEM
    from .film import IonFilm
    from .handover import filament_maps
    from .laws import Conduction, Heat, Ions
    from .meshes import block, cylinder, slab
    from .stack import Contact, Layer, Species, Stack, Traps

__all__ = [
    "Conduction",
    "Contact",
    "ElectroThermal",
    "FilamentFEM",
    "Heat",
    "IonFilm",
    "Ions",
    "Layer",
    "Species",
    "Stack",
    "Traps",
    "block",
    "cylinder",
    "filament_maps",
    "plug",
    "slab",
]

# Loaded on first use: FiPy takes a second to import.
_HOMES = {
    "Conduction": "laws",
    "Contact": "stack",
    "ElectroThermal": "electrothermal",
    "FilamentFEM": "filament",
    "Heat": "laws",
    "IonFilm": "film",
    "Ions": "laws",
    "Layer": "stack",
    "Species": "stack",
    "Stack": "stack",
    "Traps": "stack",
    "block": "meshes",
    "cylinder": "meshes",
    "filament_maps": "handover",
    "plug": "electrothermal",
    "slab": "meshes",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
