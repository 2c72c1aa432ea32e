"""The bibliography reader and the list of references below a result."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import xarray as xr

from halidrift.physics.citations import bibliography, bibtex, citations, cite
from halidrift.physics.database import Database
from halidrift.physics.errors import DataError, InputError

ENTRY = """@article{Doe2030,
  author  = {J. Doe and A. Roe},
  title   = {On {X}},
  journal = {J. Test.},
  year    = {2030},
  volume  = {1},
  pages   = {2},
}
"""


@pytest.fixture
def directory(tmp_path):
    def write(text):
        (tmp_path / "references.bib").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    "key",
    [
        *("John2022", "Kim2019", "Yantara2026", "MottGurney1940", "BardFaulkner2001", "Simmons1963", "Ielmini2011"),
        *("Bortz1975", "Gillespie1977", "ScharfetterGummel1969", "Appeltant2011", "Guyer2009", "Larsen2017"),
        *("Valov2011", "Menzel2015", "Azpiroz2015", "Woo2022"),
    ],
)
def test_packaged_bibliography_has(key):
    assert key in bibliography()


def test_only_the_three_papers_carry_a_doi():
    # the review's list prints none, and none may be guessed
    assert {k: r.fields["doi"] for k, r in bibliography().items() if "doi" in r.fields} == {
        "John2022": "10.1038/s41467-022-29727-1",
        "Kim2019": "10.1002/aelm.201900008",
        "Yantara2026": "10.1039/d5cs01222h",
    }


def test_cite_formats_articles_books_and_et_al():
    assert cite("Ielmini2011", "BardFaulkner2001", "Larsen2017").splitlines() == [
        "[Ielmini2011] D. Ielmini, Modeling the universal set/reset characteristics of bipolar RRAM by field- and "
        "temperature-driven filament growth, IEEE Trans. Electron Devices 58, 4309 (2011).",
        "[BardFaulkner2001] A. J. Bard and L. R. Faulkner, Electrochemical Methods: Fundamentals and Applications, "
        "2nd ed., Wiley, 2001.",
        "[Larsen2017] A. H. Larsen et al., The atomic simulation environment—a Python library for working with "
        "atoms, J. Phys.: Condens. Matter 29, 273002 (2017).",
    ]


def test_printed_braces_survive():
    assert "Perovskite {en}MAPbI₃, Chem. Mater. 33" in cite("Senocrate2021")


def test_bibtex_returns_the_entry_as_written(directory):
    assert bibtex("Doe2030", data_dirs=(directory("% x\n\n" + ENTRY),)) == ENTRY.strip()


def test_unknown_key_names_close_matches():
    with pytest.raises(InputError, match=r"Wu2022.*close matches:.*Woo2022"):
        cite("Wu2022")


def test_citations_are_sorted_unique_and_collected_from_every_kind_of_object():
    row = Database.load().get("woo2022-cspbbr3-v_br")
    trace = xr.Dataset(attrs={"sources": json.dumps(["Kim2019", "Bortz1975"])})
    model = SimpleNamespace(sources=("Woo2022", trace))
    text = citations(model, [row, row], "John2022")
    assert [line.split("]")[0][1:] for line in text.splitlines()] == [
        *("Bortz1975", "John2022", "Kim2019", "Woo2022", "Yantara2024", "Yantara2026"),
    ]
    assert citations(model, [row, row], "John2022") == text
    assert citations() == ""


def test_object_without_sources_is_an_error_and_not_a_silent_gap():
    with pytest.raises(InputError, match="int names no sources"):
        citations(3)


@pytest.mark.parametrize("sources", ["Kim2019", "[1]", '{"a": 1}'])
def test_malformed_trace_sources(sources):
    with pytest.raises(InputError, match="not a JSON list of bib keys"):
        citations(xr.Dataset(attrs={"sources": sources}))


def test_user_directory_by_argument_and_by_environment(directory, monkeypatch):
    folder = directory(ENTRY)
    expected = "[Doe2030] J. Doe and A. Roe, On X, J. Test. 1, 2 (2030)."
    assert citations("Doe2030", data_dirs=(folder,)) == expected
    with pytest.raises(InputError, match="no reference has this key"):
        citations("Doe2030")
    monkeypatch.setenv("HALIDRIFT_DATA", str(folder))
    assert citations("Doe2030") == expected
    assert cite("Doe2030", data_dirs=(folder,)) == expected  # named twice, read once


def test_missing_user_directory_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HALIDRIFT_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"HALIDRIFT_DATA.*absent"):
        bibliography()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + ENTRY, "Doe2030: reference key is already taken"),
        (ENTRY.replace("Doe2030", "Kim2019"), "Kim2019: reference key is already taken"),
        (ENTRY.replace("@article", "@poem"), "Doe2030: unknown entry type"),
        (ENTRY.replace("  volume  = {1},\n", ""), r"Doe2030\.volume: entry lacks a field"),
        (ENTRY.replace("{2030},", "{2030"), "Doe2030, line 5: cannot read this field"),
        (ENTRY.replace("{2030}", "{}"), "Doe2030, line 5: cannot read this field"),
        (ENTRY.replace("On {X}", "On }X{"), "Doe2030, line 3: cannot read this field"),
        (ENTRY.replace("  volume", "  year = {2031},\n  volume"), r"Doe2030\.year: field appears twice"),
        (ENTRY.removesuffix("}\n"), "Doe2030: entry is not closed"),
        ("stray\n" + ENTRY, "line 1: cannot read this line"),
    ],
)
def test_malformed_bibliography(directory, text, message):
    with pytest.raises(DataError, match=message) as caught:
        bibliography(directory(text))
    assert caught.value.file.endswith("references.bib")
