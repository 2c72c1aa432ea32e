"""The console of every command."""

from __future__ import annotations

from rich.console import Console

__all__ = ["out", "page", "told"]


def out() -> Console:
    """Return the standard output; made when used, because a console keeps the stream that it found."""
    return Console(highlight=False)


def page() -> Console:
    """Return the standard output for a wide table: a log or a pipe has no width of its own."""
    console = out()
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 150))


def told() -> Console:
    """Return the error output: what goes wrong, and what is said beside a result that a pipe reads."""
    return Console(stderr=True, highlight=False)
