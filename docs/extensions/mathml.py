"""Equations as MathML, written at build time: the site needs no script, no font and no network to show them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_log = logging.getLogger(__name__)
_ENVIRONMENT = re.compile(r"\\begin\{(\w+)\}.*?\\end\{\1\}", re.DOTALL)


def equations(text: str) -> list[str]:
    """One display after another as separate equations: a blank line parts them, `&` and two backslashes align them."""
    found = []
    for part in re.split(r"\n\s*\n", text.strip()):
        part = part.replace(r"\textstyle", "")  # docutils knows it only at the start of a group
        bare = _ENVIRONMENT.sub("", part)
        found.append(rf"\begin{{aligned}}{part}\end{{aligned}}" if "&" in bare or r"\\" in bare else part)
    return found


def _mathml(text: str, node: nodes.Node, *, block: bool) -> str:
    try:
        return tex2mathml(text, as_block=block)
    except (MathError, AttributeError) as error:  # the second: a construct that docutils does not foresee
        _log.warning("an equation that MathML cannot show: %s in %r", error, text, location=node)
        return "<code></code>"


def _inline(self: Any, node: nodes.Node) -> None:
    self.body.append(_mathml(node.astext(), node, block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.Node) -> None:
    for text in equations(node.astext()):
        self.body.append(f'<div class="math">{_mathml(text, node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
