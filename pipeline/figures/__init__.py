"""Figures, one module a subject: data in, matplotlib figures out; the only place that imports matplotlib."""

from __future__ import annotations

from ._style import COLOURS, KINDS, png, save, uri

__all__ = ["COLOURS", "KINDS", "png", "save", "uri"]
