"""Order of the tests: modules that hold a slow one first, so that no worker ends with a long one while others idle.

And what every report is tested for, whichever job wrote it.
"""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest


def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def page_problems():
    """A function from the HTML of a report to what is wrong with it for a screen reader, an eye or a small screen."""
    return problems


class _Page(HTMLParser):
    """What the checks below ask of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.lang, self.title, self.levels, self.pictures, self.cells, self.links, self.ids = "", "", [], [], [], [], []
        self.landmarks, self.style, self._open, self._columns = set(), "", [], 0
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self._open.append(tag)
        if tag == "html":
            self.lang = own.get("lang", "")
        if tag in ("main", "nav", "header"):
            self.landmarks.add(tag)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "img":
            self.pictures.append(own)
        if tag in ("th", "td"):
            self.cells.append((tag, own))
        if tag == "a":
            self.links.append(own.get("href", ""))
        if "id" in own:
            self.ids.append(own["id"])
        self.scripts += tag == "script"

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "title":
            self.title += data
        if self._open and self._open[-1] == "style":
            self.style += data


def _luminance(colour):
    digits = colour.lstrip("#")
    full = digits if len(digits) == 6 else "".join(2 * d for d in digits)
    parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Contrast of two colours as WCAG 2 defines it, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def problems(html):
    """Everything wrong, in words; an empty list is a good page."""
    page = _Page()
    page.feed(html)
    found = []
    if page.lang != "en":
        found.append("no language")
    if not page.title.strip():
        found.append("no title")
    if not {"main", "nav", "header"} <= page.landmarks:
        found.append("no landmarks")
    if page.levels[:1] != [1] or page.levels.count(1) != 1:
        found.append("not one h1 that comes first")
    found += [f"h{a} is followed by h{b}" for a, b in pairwise(page.levels) if b > a + 1]
    for number, picture in enumerate(page.pictures, 1):
        alt = picture.get("alt", "")
        if len(alt) < 40 or not re.search(r"\d", alt):
            found.append(f"picture {number} is not described with numbers: {alt!r}")
        if not {"width", "height"} <= picture.keys():
            found.append(f"picture {number} has no size")
    for tag, own in page.cells:
        if tag == "th" and own.get("scope") not in ("col", "row"):
            found.append("a heading of a table without scope")
        if tag == "td" and not own.get("data-label"):
            found.append("a cell without the name of its column, which a narrow screen shows")
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    found += [f"a link to #{name}, which is not there once" for name in anchors if page.ids.count(name) != 1]
    found += [f"{name} is there twice" for name in sorted(set(page.ids)) if page.ids.count(name) > 1]
    grounds = {"#fff", *re.findall(r"background: (#[0-9a-f]+)", page.style)}
    for colour in set(re.findall(r"(?<![-\w])color: (#[0-9a-f]+)", page.style)):
        worst = min(contrast(colour, ground) for ground in grounds)
        if worst < 4.5:
            found.append(f"the contrast of {colour} is {worst:.2f}")
    for wanted in ("@media print", "break-inside: avoid", "@media screen and (max-width"):
        if wanted not in page.style:
            found.append(f"no {wanted} in the style")
    if page.scripts or re.search(r'(src|srcset|href)="(?!data:|#|figures/|\w+\.(sp|va)")', html):
        found.append("something that is not in the page or beside it")
    return found
