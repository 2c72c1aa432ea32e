"""Figures, one module a subject: data in, matplotlib figures out; the only place that imports matplotlib."""

from __future__ import annotations

from ._style import COLOURS, KINDS, description, drawn, narrow, png, save

__all__ = ["COLOURS", "KINDS", "description", "drawn", "narrow", "png", "save"]
