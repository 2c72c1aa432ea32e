"""Whether a built site needs the network.

`python docs/extensions/offline.py build/docs` fails if a page or a style loads anything from another machine.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# what a browser fetches by itself; links that a reader follows may lead anywhere
_LOADS = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon)["'][^>]*\bhref=["'](?:https?:)?//[^"']+"""
    r"""|<link\b[^>]*\bhref=["'](?:https?:)?//[^"']+["'][^>]*\brel=["'](?:stylesheet|preload|preconnect|icon)["']""",
    re.IGNORECASE,
)
_STYLES = re.compile(r"""(?:@import\s+["']?|url\(["']?)(?:https?:)?//[^"')]+""", re.IGNORECASE)


def remote(site: Path) -> list[str]:
    """What the pages and styles of a site would load from other machines."""
    found = []
    for pattern, kind in ((_LOADS, "*.html"), (_STYLES, "*.css")):
        for file in sorted(site.rglob(kind)):
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [f"{file.relative_to(site)}: {hit}" for hit in pattern.findall(text)]
    return found


if __name__ == "__main__":
    if not (Path(sys.argv[1]) / "index.html").is_file():
        raise SystemExit(f"no site in {sys.argv[1]}")
    if loads := remote(Path(sys.argv[1])):
        raise SystemExit("the site loads from elsewhere:\n" + "\n".join(loads))
