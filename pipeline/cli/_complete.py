"""Names that a shell completes: device cards, and what the barrier database holds."""

from __future__ import annotations

__all__ = ["cards", "materials", "models", "rows", "sources", "species"]


def cards(incomplete: str) -> list[str]:
    """Names of device cards."""
    from ...physics.device import Device

    return [name for name in Device.names() if name.startswith(incomplete)]


def materials(incomplete: str) -> list[str]:
    """Hosts of the barrier database."""
    return _of("material", incomplete)


def species(incomplete: str) -> list[str]:
    """Defects of the barrier database."""
    return _of("species", incomplete)


def sources(incomplete: str) -> list[str]:
    """Bib keys of the barrier database."""
    return _of("source", incomplete)


def rows(incomplete: str) -> list[str]:
    """Ids of the barrier database."""
    return _of("id", incomplete)


def models(incomplete: str) -> list[str]:
    """Compact models."""
    from ...compact import _MODELS

    return [name.lower() for name in _MODELS if name.lower().startswith(incomplete.lower())]


def _of(field: str, incomplete: str) -> list[str]:
    from ...physics.database import Database

    return sorted(
        {str(getattr(row, field)) for row in Database.load() if str(getattr(row, field)).startswith(incomplete)}
    )
