"""The checks of the built site: what leads nowhere or loads from elsewhere is found."""

import importlib.util
from pathlib import Path

import pytest

import halidrift as hd

EXTENSIONS = Path(hd.__file__).resolve().parent / "docs" / "extensions"


def extension(name):
    spec = importlib.util.spec_from_file_location(f"site_{name}", EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="api/">up</a><a href="api/index.html#there">x</a><a href="#own">y</a><p id="own"></p>'
        '<a href="https://example.org/none">z</a><a href="mailto:a@b.c">m</a><img src="a%20b.png">',
        encoding="utf-8",
    )
    (tmp_path / "api" / "index.html").write_text(
        '<h1 id="there"></h1><a href="../index.html">back</a>', encoding="utf-8"
    )
    (tmp_path / "a b.png").write_bytes(b"")
    return tmp_path


def test_links_that_lead_somewhere_pass(site):
    assert extension("links").broken(site) == (5, [])


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("gone.html", "no such file"),
        ("api/index.html#gone", "no such anchor"),
        ("#gone", "no such anchor"),
        ("gone/", "no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(site, link, said):
    page = site / "index.html"
    page.write_text(page.read_text(encoding="utf-8") + f'<a href="{link}">gone</a>', encoding="utf-8")
    count, found = extension("links").broken(site)
    assert count == 6
    assert found == [f"index.html: {link}: {said}"]


def test_what_a_page_loads_from_elsewhere_is_found(site):
    assert extension("offline").remote(site) == []
    page = site / "index.html"
    page.write_text('<script src="https://cdn.example.org/x.js"></script>', encoding="utf-8")
    assert len(extension("offline").remote(site)) == 1
