"""halidrift: halide-perovskite memristors, from migration barriers to classified spike trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import compact, fem, kmc, physics, pipeline
    from .physics import trace
    from .physics.citations import citations
    from .physics.database import Barrier, Database
    from .physics.device import Device
    from .physics.waveform import Waveform

__all__ = [
    "Barrier",
    "Database",
    "Device",
    "Waveform",
    "citations",
    "compact",
    "fem",
    "kmc",
    "physics",
    "pipeline",
    "trace",
]

# Loaded on first use, so that `import halidrift` costs milliseconds although FiPy and numba cost seconds.
_HOMES = {
    "Barrier": "physics.database",
    "Database": "physics.database",
    "Device": "physics.device",
    "Waveform": "physics.waveform",
    "citations": "physics.citations",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    if name == "trace":
        return importlib.import_module(".physics.trace", __name__)
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
