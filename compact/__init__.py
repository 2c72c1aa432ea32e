"""Compact device models: fitted to traces, fast enough for a network, exportable to circuit simulators."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import compare
    from .fitting import fit
    from .goodness import holdout, normalised_error, residuals
    from .nonvolatile import NonVolatile
    from .parameters import FittedParameter, ParameterTable
    from .profiles import bootstrap, profile
    from .stanford import Stanford
    from .synapse import Synapse
    from .volatile import Volatile
    from .vteam import VTEAM
    from .yakopcic import Yakopcic

__all__ = [
    "MODELS",
    "VTEAM",
    "FittedParameter",
    "NonVolatile",
    "ParameterTable",
    "Stanford",
    "Synapse",
    "Volatile",
    "Yakopcic",
    "bootstrap",
    "compare",
    "fit",
    "holdout",
    "normalised_error",
    "profile",
    "residuals",
]

# Loaded on first use: numba and lmfit cost seconds.
_HOMES = {
    "bootstrap": "profiles",
    "compare": "comparison",
    "fit": "fitting",
    "holdout": "goodness",
    "normalised_error": "goodness",
    "profile": "profiles",
    "residuals": "goodness",
    "FittedParameter": "parameters",
    "NonVolatile": "nonvolatile",
    "ParameterTable": "parameters",
    "Stanford": "stanford",
    "Synapse": "synapse",
    "VTEAM": "vteam",
    "Volatile": "volatile",
    "Yakopcic": "yakopcic",
}
_MODELS = ("Volatile", "NonVolatile", "VTEAM", "Yakopcic", "Stanford", "Synapse")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    if name == "MODELS":
        return {model: __getattr__(model) for model in _MODELS}
    if name in ("bench", "characterise", "export", "laws"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
