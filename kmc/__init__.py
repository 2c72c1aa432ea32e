"""Kinetic Monte Carlo of filaments, atom by atom."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import ensemble
from .simulation import FilamentKMC

if TYPE_CHECKING:
    from . import competition
    from .vacancies import VacancyKMC

__all__ = ["FilamentKMC", "VacancyKMC", "competition", "ensemble"]


def __getattr__(name: str) -> Any:
    # on first use: a filament of metal needs none of it
    if name == "VacancyKMC":
        return importlib.import_module(".vacancies", __name__).VacancyKMC
    if name == "competition":
        return importlib.import_module(".competition", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
