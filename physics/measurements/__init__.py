"""A user's own measurements: files of probe stations in, clean traces and a report of what was done to them out.

>>> from halidrift.physics import measurements
>>> found = measurements.read("data/", compliance_A=1e-6)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reading import Measurements, read
    from .report import CleaningReport, Note
    from .segmenting import Segment, clipped, kind_of, segments

__all__ = ["CleaningReport", "Measurements", "Note", "Segment", "clipped", "kind_of", "read", "segments"]

# on first use: the reader of conduction laws shares .text and needs no more
_HOMES = {
    "CleaningReport": "report",
    "Measurements": "reading",
    "Note": "report",
    "Segment": "segmenting",
    "clipped": "segmenting",
    "kind_of": "segmenting",
    "read": "reading",
    "segments": "segmenting",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
