"""Whether every link inside a built site leads somewhere: to a file that is there, and to an anchor in it.

`python docs/extensions/links.py build/docs` fails if one does not. Sphinx checks what pages refer to; this also sees
what the theme, the generated pages and raw HTML make of it. Links to other sites are not followed.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Anchors of a page and what it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, names of anchors, and href or src."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src"):
                self.links.append(value)


def broken(site: Path) -> tuple[int, list[str]]:
    """How many links inside the site there are, and those that lead nowhere, with the page they stand on."""
    site = site.resolve()
    pages = {file: Page(file.read_text(encoding="utf-8", errors="replace")) for file in sorted(site.rglob("*.html"))}
    count, found = 0, []
    for file, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                found.append(f"{file.relative_to(site)}: {link}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{file.relative_to(site)}: {link}: no such anchor")
    return count, found


if __name__ == "__main__":
    count, lost = broken(Path(sys.argv[1]))
    if lost or not count:
        raise SystemExit(f"{len(lost)} of {count} links lead nowhere:\n" + "\n".join(lost))
    print(f"{count} links inside the site lead somewhere")
