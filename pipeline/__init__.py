"""From device models to a trained network: spike trains, the reservoir and its readouts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import crossbar
    from .crossbar import Crossbar
    from .readout import DeltaRuleReadout, IccReadout
    from .reservoir import MaskedReservoir, Reservoir
    from .spikes import FiringPatterns

__all__ = [
    "Crossbar",
    "DeltaRuleReadout",
    "FiringPatterns",
    "IccReadout",
    "MaskedReservoir",
    "Reservoir",
    "crossbar",
]

# Loaded on first use: scikit-learn and numba cost seconds, and most users of a cell need neither.
_HOMES = {
    "Crossbar": "crossbar.network",
    "DeltaRuleReadout": "readout",
    "FiringPatterns": "spikes",
    "IccReadout": "readout",
    "MaskedReservoir": "reservoir",
    "Reservoir": "reservoir",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    if name == "crossbar":
        return importlib.import_module(".crossbar", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
