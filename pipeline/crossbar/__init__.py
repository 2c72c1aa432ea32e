"""The crossbar: an array with resistive lines, its read margin and sneak paths, and readouts on it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrays import Spread, Thresholds, disturb, read_distribution
    from .cells import Cells, Diode, InSeries, Law, Measured, Multiple, Ohmic, Rectifying, Sinh, of_model
    from .margin import (
        conventions,
        lumped_margin,
        maximum_size,
        network_margin,
        network_maximum_size,
        read_margin,
        rectification_factors,
        sneak_resistance_ohm,
    )
    from .network import SCHEMES, Crossbar, Reading, bias
    from .wiring import Wiring, compensated_S

_HOMES = {
    "arrays": ("Spread", "Thresholds", "disturb", "read_distribution"),
    "cells": (
        "Cells",
        "Diode",
        "InSeries",
        "Law",
        "Measured",
        "Multiple",
        "Ohmic",
        "Rectifying",
        "Sinh",
        "of_model",
    ),
    "margin": (
        "conventions",
        "lumped_margin",
        "maximum_size",
        "network_margin",
        "network_maximum_size",
        "read_margin",
        "rectification_factors",
        "sneak_resistance_ohm",
    ),
    "network": ("SCHEMES", "Crossbar", "Reading", "bias"),
    "wiring": ("Wiring", "compensated_S"),
}

__all__ = [
    "SCHEMES",
    "Cells",
    "Crossbar",
    "Diode",
    "InSeries",
    "Law",
    "Measured",
    "Multiple",
    "Ohmic",
    "Reading",
    "Rectifying",
    "Sinh",
    "Spread",
    "Thresholds",
    "Wiring",
    "bias",
    "compensated_S",
    "conventions",
    "disturb",
    "lumped_margin",
    "maximum_size",
    "network_margin",
    "network_maximum_size",
    "of_model",
    "read_distribution",
    "read_margin",
    "rectification_factors",
    "sneak_resistance_ohm",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():  # loaded on first use: numba and xarray cost a second
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
