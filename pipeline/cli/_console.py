"""The console of every command."""

from __future__ import annotations

from rich.console import Console

__all__ = ["out", "told"]


def out() -> Console:
    """Return the standard output; made when used, because a console keeps the stream that it found."""
    return Console(highlight=False)


def told() -> Console:
    """Return the error output: what goes wrong, and what is said beside a result that a pipe reads."""
    return Console(stderr=True, highlight=False)
