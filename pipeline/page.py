"""A report: one page that stands alone, figures inside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from .figures import uri
from .targets import KINDS, formatted

__all__ = ["counts", "placed", "render"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"


def _figure(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.4g}" if math.isfinite(value) else "-"


def placed(drawn: Mapping[str, Any], captions: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Figures as a page shows them; a caption is a pair of alternative text and caption."""
    return {
        name: {"uri": uri(figure), "alt": captions[name][0], "caption": captions[name][1]}
        for name, figure in drawn.items()
    }


def counts(results: Mapping[str, Any]) -> dict[str, Any]:
    """How many targets were hit, missed and could be either, in all and of each kind of result."""
    verdict = [row["verdict"] for row in results["quantities"]]
    hits, misses = verdict.count("hit"), verdict.count("miss")
    by_kind = {}
    for kind in reversed(KINDS):
        own = [row["verdict"] for row in results["quantities"] if row["kind"] == kind]
        if own.count("hit") + own.count("miss"):
            by_kind[kind] = (own.count("hit"), own.count("hit") + own.count("miss"))
    return {"hits": hits, "misses": misses, "checkable": hits + misses, "by_kind": by_kind}


def render(template: str, **values: Any) -> str:
    """Fill a template; a name that it asks for and does not get is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"formatted": formatted, "figure": _figure}
    return environment.get_template(template).render(**values)
