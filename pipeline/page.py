"""A report: one page that stands alone, figures inside."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from ..physics.errors import InputError
from ..physics.files import write_whole
from . import figures as pictures
from .targets import KINDS, formatted

__all__ = ["counts", "placed", "render"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_FOLDER = "figures"  # beside the page


def _figure(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _slug(title: str) -> str:
    """The name by which a link finds a section."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _sections(body: str) -> list[tuple[str, str]]:
    """Name and title of every section of a rendered page, for its list of contents."""
    return re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', body)


def placed(
    draw: Callable[[], Mapping[str, Any]], captions: Mapping[str, str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Write each figure for a paper too (PNG, SVG and PDF in ``figures/``), and give it as a page shows it.

    Parameters
    ----------
    draw : callable
        Returns figures by name, in the order in which the page shows and numbers them; each must describe itself.
        Called twice: for a wide screen, paper and the files, and for a telephone.
    captions : mapping of str to str
        What the page says below each.
    folder : Path
        Of the page.

    Returns
    -------
    dict of str to dict
        By name: ``number``, ``uri`` and ``narrow_uri`` (the pictures themselves, so that the page stands alone),
        ``alt``, ``caption``, ``width_in``, ``pixels`` (width and height) and ``files`` (path of each kind of file).

    Raises
    ------
    InputError
        If a figure does not say what it shows: a page without that is closed to those who do not see it.
    OutputError
        If a file cannot be written.
    """
    with pictures.narrow():
        small = {name: _uri(pictures.png(figure)) for name, figure in draw().items()}
    parts = {}
    for number, (name, figure) in enumerate(draw().items(), 1):
        if not pictures.description(figure):
            raise InputError("A figure of a report does not say what it shows", got=name, action="Use described()")
        drawn = {kind: pictures.drawn(figure, kind) for kind in pictures.KINDS}
        for kind, picture in drawn.items():
            _write(folder / _FOLDER / f"{name}.{kind}", picture)
        width, height = figure.get_size_inches()
        parts[name] = {
            "number": number,
            "uri": _uri(drawn["png"]),
            "narrow_uri": small[name],
            "alt": pictures.description(figure),
            "caption": captions[name],
            "width_in": float(width),
            "pixels": (round(width * figure.dpi), round(height * figure.dpi)),
            "files": {kind.upper(): f"{_FOLDER}/{name}.{kind}" for kind in drawn},
        }
    return parts


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _write(file: Path, content: bytes) -> None:
    write_whole(file, lambda place: Path(place).write_bytes(content))


def counts(results: Mapping[str, Any]) -> dict[str, Any]:
    """How many targets were hit, missed and could be either, in all and of each kind of result.

    Parameters
    ----------
    results : mapping
        Content of ``results.json``; its ``quantities`` are counted.

    Returns
    -------
    dict
        ``hits``, ``misses``, ``checkable`` (their sum) and ``by_kind``: hits and checkable of each kind that has any.
    """
    verdict = [row["verdict"] for row in results["quantities"]]
    hits, misses = verdict.count("hit"), verdict.count("miss")
    by_kind = {}
    for kind in reversed(KINDS):
        own = [row["verdict"] for row in results["quantities"] if row["kind"] == kind]
        if own.count("hit") + own.count("miss"):
            by_kind[kind] = (own.count("hit"), own.count("hit") + own.count("miss"))
    return {"hits": hits, "misses": misses, "checkable": hits + misses, "by_kind": by_kind}


def render(template: str, **values: Any) -> str:
    """Fill a template; a name that it asks for and does not get is an error.

    Parameters
    ----------
    template : str
        File name among the templates of the package.
    **values : object
        By the name that the template uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"formatted": formatted, "figure": _figure, "slug": _slug, "sections": _sections}
    return environment.get_template(template).render(**values)
