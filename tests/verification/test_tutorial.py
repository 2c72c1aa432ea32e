"""docs/tutorial.md as a stranger follows it: its own commands, on the file that it offers.

Tolerances, written before the first run of this test: the fit finds every number of the cell within 3 %, as for file A
of test_measurements; what the page prints of the fit is within 0.3 % of it (rounding); the circuit reaches 1 uA within
2 %.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halidrift
from halidrift.pipeline import cli

ROOT = Path(halidrift.__file__).parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## From my I-V file to a netlist")[2].partition("\n## ")[0]
COMMANDS = re.search(r"```sh\n(.*?)```", SECTION, flags=re.DOTALL)[1].splitlines()
NAMES = {
    "OFF conductance": "conductance_off_S",
    "ON conductance": "conductance_on_S",
    "growth rate": "growth_rate_Hz",
    "growth voltage": "growth_voltage_V",
    "relaxation time": "relaxation_time_s",
}
PREFIX = {"n": 1e-9, "µ": 1e-6, "": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("stranger")
    shutil.copy(ROOT / "docs" / "data" / "iv.csv", made)
    return made


@pytest.fixture(scope="module")
def followed(folder):
    """Every command of the page but the last, which is ngspice's; fails with what was told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in COMMANDS:
            program, *arguments = shlex.split(line)
            if program == "halidrift":
                patch.setattr(sys, "argv", ["halidrift", *arguments])
                with pytest.raises(SystemExit) as stop:
                    cli.main()
                assert stop.value.code == 0, line
    return folder


def number(text):
    value, prefix = re.fullmatch(r"([\d.]+) ([nµ]?)(?:S|Hz|V|s)", text.strip()).groups()
    return float(value) * PREFIX[prefix]


def test_the_page_has_five_commands():
    assert [line.split()[0] for line in COMMANDS] == ["halidrift"] * 4 + ["ngspice"]


def test_the_file_is_the_one_that_the_example_writes(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "examples" / "iv_file.py", tmp_path / "iv.csv"], check=True, capture_output=True
    )
    same = (tmp_path / "iv.csv", ROOT / "docs" / "data" / "iv.csv")
    new, old = (np.genfromtxt(f, delimiter=",", skip_header=2) for f in same)
    np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-15)


def test_the_fit_finds_the_cell_and_the_page_says_what_it_found(followed):
    record = json.loads((followed / "cell.json").read_text(encoding="utf-8"))
    found = {row["name"]: row["value"] for row in record["parameters"]}
    rows = re.findall(r"^ *\| (.+?) \| ([\d.]+ .+?) \| ([\d.]+ .+?) \|$", SECTION, flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == list(NAMES)
    for name, true, printed in rows:
        assert found[NAMES[name]] == pytest.approx(number(true), rel=0.03)
        assert found[NAMES[name]] == pytest.approx(number(printed), rel=0.003)


def test_the_card_is_ready(followed):
    from halidrift.pipeline.cards import check

    assert "FilamentKMC" in check(followed / "my-device.toml").ready


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed: the netlist is written, not run")
def test_the_netlist_runs(followed):
    done = subprocess.run(shlex.split(COMMANDS[-1]), cwd=followed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    table = np.loadtxt(followed / "result.txt")
    time_s, source_V, current_A, ln_G = table[:, 0], table[:, 1], table[:, 3], table[:, 5]
    assert time_s[-1] > 1.0
    assert source_V.max() == pytest.approx(1.0, rel=0.01)
    # one slow sweep to 1 V switches the cell on, up to the limit of the source, and leaves it on the way to OFF
    assert current_A.max() == pytest.approx(1e-6, rel=0.02)
    assert ln_G.max() - ln_G.min() > np.log(100.0)
