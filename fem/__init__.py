"""Continuum solvers on FiPy's meshes.

Ions in an interfacial film (:class:`IonFilm`), a filament as the mean field of the KMC (:class:`FilamentFEM`), and ions
with current and heat on any structured mesh (:class:`ElectroThermal`).
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

__all__ = [
    "Conduction",
    "ElectroThermal",
    "FilamentFEM",
    "Heat",
    "IonFilm",
    "Ions",
    "block",
    "cylinder",
    "filament_maps",
    "plug",
    "slab",
]

# Loaded on first use: FiPy takes a second to import.
_HOMES = {
    "Conduction": "laws",
    "ElectroThermal": "electrothermal",
    "FilamentFEM": "filament",
    "Heat": "laws",
    "IonFilm": "film",
    "Ions": "laws",
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
