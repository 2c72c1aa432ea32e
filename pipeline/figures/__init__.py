"""Figures, one module a subject: data in, matplotlib figures out; the only place that imports matplotlib."""

from __future__ import annotations

from ._style import COLOURS, png, save, uri

__all__ = ["COLOURS", "png", "save", "uri"]
