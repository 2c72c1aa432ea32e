"""What every report shares: figures for page and paper, and the checks that a page must pass."""

import re

import numpy as np
import pytest

from halidrift.physics.errors import InputError
from halidrift.pipeline import page
from halidrift.pipeline.figures import KINDS, description, drawn, save
from halidrift.pipeline.figures._style import described, number, panels, span, styled, wrapped

WORDS = "Current against voltage, 0 to 2 V: it rises to 1.5 µA."


@styled
def loop():
    figure, axes = panels(6.0, 3.0, 1, 2, width_ratios=[2, 1])
    axes[0, 0].plot([0, 1], [0, 1])
    axes[0, 0].set_xlabel("voltage (V)")
    axes[0, 1].set_title("Conductance $G_0$")
    return described(figure, WORDS)


def test_numbers_are_said_as_they_are_read():
    assert number(1.5e-6, "A") == "1.5 µA"
    assert number(9.996e-4, "S") == "1 mS"
    assert number(-3.25e-9, "m") == "-3.25 nm"
    assert number(62500.0, "µm²") == "62,500 µm²"
    assert number(2.345, "V") == "2.35 V"
    assert number(0.0, "A") == "0 A"
    assert number(1e-18, "J") == "1e-18 J"
    assert number(0.042) == "0.042"
    assert span([1e-9, np.nan, 2e-6], "A") == "1 nA to 2 µA"
    assert span([0.8, 0.8], "V") == "0.8 V"
    assert span([np.nan]) == "nothing"


def test_text_of_a_figure_stays_text():
    """Whatever the caller's style is: a paper is edited, searched and read aloud."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "path", "pdf.fonttype": 3}):
        vector, paper = drawn(loop(), "svg").decode("utf-8"), drawn(loop(), "pdf")
    assert re.search(r"<text[^>]*>voltage \(V\)</text>", vector)
    assert WORDS in vector
    assert b"/FontFile2" in paper
    assert b"/Type3" not in paper


def test_files_are_the_same_twice_and_hold_no_date(tmp_path):
    for kind in KINDS:
        once = save(loop(), tmp_path / f"one.{kind}").read_bytes()
        assert once == drawn(loop(), kind)
        assert b"Matplotlib v" not in once
        assert b"CreationDate" not in once
        assert b"<dc:date>" not in once


def test_a_figure_is_placed_with_its_files(tmp_path):
    (part,) = page.placed(lambda: {"loop": loop()}, {"loop": "A loop."}, tmp_path).values()
    assert (part["number"], part["alt"], part["caption"], part["width_in"]) == (1, WORDS, "A loop.", 6.0)
    assert part["pixels"] == (780, 390)
    assert part["uri"].startswith("data:image/png;base64,iVBOR")
    assert part["narrow_uri"] != part["uri"]
    assert {kind: (tmp_path / file).read_bytes()[:4] for kind, file in part["files"].items()} == {
        "PNG": b"\x89PNG",
        "SVG": b"<?xm",
        "PDF": b"%PDF",
    }


def test_a_figure_without_words_is_refused(tmp_path):
    @styled
    def silent():
        return panels(3.0, 2.0)[0]

    assert description(silent()) == ""
    with pytest.raises(InputError, match="does not say what it shows"):
        page.placed(lambda: {"silent": silent()}, {"silent": ""}, tmp_path)


def test_only_a_narrow_figure_breaks_its_labels():
    from halidrift.pipeline.figures import narrow

    label = ["a label that is longer than a telephone is wide"]
    assert wrapped(label) == label
    with narrow():
        assert all(len(line) <= 24 for line in wrapped(label)[0].split("\n"))
        assert loop().get_size_inches().tolist() == pytest.approx([4.2, 5.4])
    assert loop().get_size_inches().tolist() == [6.0, 3.0]


GOOD = """<!DOCTYPE html><html lang="en"><head><title>A report</title><style>
body { color: #1b1b1b; background: #fff; } .note { color: #505050; } th { background: #f2f2f2; }
@media screen and (max-width: 44rem) { td { display: grid; } } @media print { tr { break-inside: avoid; } }
</style></head><body><header><h1>A report</h1></header><nav><a href="#a">A</a></nav><main><h2 id="a">A</h2><h3>B</h3>
<img src="data:image/png;base64,x" alt="Current against voltage: it rises from 1 nA to 2 µA." width="3" height="2">
<table><tr><th scope="col">n</th></tr><tr><td data-label="n">1</td></tr></table></main></body></html>"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (' lang="en"', "", "no language"),
        ("<title>A report", "<title>", "no title"),
        ("<main>", "<div>", "no landmarks"),
        ("<h3>", "<h4>", "h2 is followed by h4"),
        ("<h2", "<h1", "not one h1"),
        ("it rises from 1 nA to 2 µA.", "", "not described"),
        (' width="3"', "", "has no size"),
        (' scope="col"', "", "without scope"),
        (' data-label="n"', "", "without the name of its column"),
        ('href="#a"', 'href="#b"', "a link to #b"),
        ("#505050", "#808080", "contrast of #808080 is 3.5"),
        ("#f2f2f2", "#808080", "contrast of #505050"),
        ("@media print", "@media other", "no @media print"),
        ('src="data:', 'src="https://example.org/', "not in the page"),
    ],
)
def test_the_checks_of_a_page_can_fail(page_problems, old, new, told):
    assert page_problems(GOOD) == []
    assert old in GOOD
    assert any(told in text for text in page_problems(GOOD.replace(old, new)))
