import re
import subprocess
import sys

import pytest

from halidrift import __version__
from halidrift.physics.device import CARDS
from halidrift.pipeline import cli

CARD = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the console entry point; returns exit code, output and error output, each without line breaks."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, *(re.sub(r"\s+", " ", text) for text in told)

    return call


def test_import_is_light():
    code = (
        "import sys, halidrift.pipeline.cli; "
        "print([m for m in ('numpy', 'numba', 'fipy', 'matplotlib', 'sklearn', 'xarray', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version(run):
    assert run("version")[:2] == (0, f"{__version__} ")


def test_devices_and_their_numbers(run):
    code, out, _ = run("devices")
    assert code == 0
    assert "john2022-ogb" in out
    code, out, _ = run("device", "show", "john2022-ogb")
    assert code == 0
    for kind in ("published", "calibrated", "assumed"):
        assert kind in out
    assert "fitted to" in out


def test_barriers(run):
    code, out, _ = run("db", "select", "--material", "CsPbBr3", "--species", "V_Br", "--quantity", "migration_barrier")
    assert code == 0
    assert "0.35 eV" in out
    code, out, _ = run("db", "list", "--species", "Ag_i")
    assert code == 0
    assert "Ag_i" in out
    code, out, _ = run("db", "show", "woo2022-cspbbr3-v_br")
    assert code == 0
    assert "[Woo2022]" in out


def test_an_ambiguous_selection_lists_the_candidates(run):
    code, out, err = run("db", "select", "--species", "V_Br")
    assert (code, out) == (2, "")
    assert "woo2022-cspbbr3-v_br" in err
    assert "narrow it" in err


def test_an_empty_selection_says_what_there_is(run):
    code, _, err = run("db", "select", "--material", "CsPbBr3", "--species", "Kr_i")
    assert code == 2
    assert "Kr_i" in err


def test_check_counts_by_source_species_and_quantity(run):
    from halidrift.physics.database import Database

    code, out, err = run("db", "check")
    assert (code, err) == (0, "")
    database = Database.load()
    for name in ("source", "species", "quantity"):
        for value, count in database.counts(name).items():
            assert f"{value} {count} " in out
    assert f"{len(database)} rows in" in out
    assert "No fault" in out


OWN = """schema = 1
source = "Woo2022"

[[barrier]]
id = "mine-1"
material = "CsPbBr3"
species = "V_Br"
quantity = "migration_barrier"
value = 0.30
unit = "eV"
method = "DFT"
locator = "Table 9"
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "barriers").mkdir()
    (tmp_path / "barriers" / "mine.toml").write_text(OWN, encoding="utf-8")
    return tmp_path


def test_own_data_join_every_command(run, own):
    code, out, _ = run("db", "show", "mine-1", "--data", own)
    assert (code, "0.30 eV" in out) == (0, True)
    assert run("db", "show", "mine-1")[0] == 2
    code, out, _ = run("db", "compare", "--material", "CsPbBr3", "--species", "V_Br", "--data", own, "--no-plot")
    assert (code, "2 of them independent (1 paper)" in out) == (0, True)


def test_check_names_file_table_and_key_of_each_fault(run, own):
    file = own / "barriers" / "mine.toml"
    file.write_text(OWN.replace("0.30", "30") + OWN[OWN.index("[[") :].replace("Table 9", ""), encoding="utf-8")
    code, _, err = run("db", "check", "--data", own)
    assert code == 2
    assert f"{file}: barrier[0].value" in err
    assert f"{file}: barrier[1].locator" in err
    assert "2 faults" in err


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_compare_draws_the_spread(run, tmp_path, suffix):
    file = tmp_path / f"spread.{suffix}"
    code, out, _ = run("db", "compare", "--material", "MAPbI3", "--species", "V_I", "--plot", file)
    assert code == 0
    assert file.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert "0.08-0.58" in out
    assert "Eames2015 via Yantara2026" in out


def test_compare_refuses_an_unknown_picture(run, tmp_path):
    code, _, err = run("db", "compare", "--material", "MAPbI3", "--species", "V_I", "--plot", tmp_path / "x.docx")
    assert (code, ".png, .svg, .pdf" in err) == (2, True)


def test_export_to_a_pipe_and_to_a_file_is_the_same(run, tmp_path, monkeypatch, capsys):
    from halidrift.physics.database import Database

    for format in ("csv", "json", "latex"):
        file = tmp_path / f"table.{format}"
        assert run("db", "export", "--format", format, "--material", "CsPbBr3", "-o", file)[0] == 0
        assert file.read_text(encoding="utf-8") == Database.load().select(material="CsPbBr3").export(format)
        code, out, err = run("db", "export", "--format", format, "--material", "CsPbBr3")
        assert (code, err) == (0, "")
        assert out == re.sub(r"\s+", " ", file.read_text(encoding="utf-8"))


def test_cite_prints_bibtex(run):
    code, out, _ = run("db", "cite", "--material", "CsPbBr3", "--species", "V_Br", "--quantity", "migration_barrier")
    assert code == 0
    assert re.findall(r"@\w+{(\w+),", out) == ["Woo2022", "Yantara2024", "Yantara2026"]
    assert run("db", "cite", "John2022")[1].startswith("@article{John2022,")


@pytest.mark.parametrize("where", ["light", "ligt=dark", "charge=one", "is_bound=maybe"])
def test_where_is_checked(run, where):
    code, _, err = run("db", "list", "--where", where)
    assert code == 2
    assert "Traceback" not in err


def test_where_reads_the_type_of_the_field(run):
    assert "pazoki2017-fapbi3-v_pb" in run("db", "list", "--where", "is_bound=true")[1]
    assert "Pd_i (0)" in run("db", "list", "--where", "charge=0")[1]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('unit = "um2"', "", ("geometry.area_m2.unit", "missing unit", "m2, um2")),
        ("value = 20, unit", "value = -20, unit", ("thickness_m.value", "-2e-08 m", "1e-10 to 0.001 m")),
        ("bond_energy_eV =", "bond_enrgy_eV =", ("parameters.bond_enrgy_eV", "unknown key", "bond_energy_eV")),
        (
            "yantara2026-mapbi3-ag_i",
            "yantara2026-mapbi3-ag_j",
            ("parameters.hop_barrier_eV.barrier", "yantara2026-mapbi3-ag_j", "yantara2026-mapbi3-ag_i"),
        ),
    ],
    ids=["missing unit", "negative thickness", "unknown key", "unknown barrier"],
)
def test_a_bad_card_ends_before_any_work(run, tmp_path, old, new, told):
    assert old in CARD
    card = tmp_path / "mine.toml"
    # one comma may be left over where a key was cut out of its table
    card.write_text(re.sub(r", ,", ",", CARD.replace(old, new, 1)), encoding="utf-8")
    code, _, err = run("reproduce", "john2022", "--out", tmp_path / "out", "--device", card)
    assert code == 2
    assert "mine.toml" in err
    for part in told:
        assert part in err
    assert "Traceback" not in err
    assert not list((tmp_path / "out").glob("*.json"))


def test_an_unknown_card_offers_near_ones(run, tmp_path):
    code, _, err = run("reproduce", "john2022", "--out", tmp_path, "--device", "john2022-obg")
    assert code == 2
    assert "john2022-ogb" in err


def test_an_unwritable_folder_is_found_at_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("reproduce", "john2022", "--out", tmp_path / "file" / "out")
    assert code == 2
    assert str(tmp_path / "file" / "out") in err
    assert "Choose another folder with --out" in err


def test_an_output_file_must_not_be_a_folder(run, tmp_path):
    code, _, err = run("kmc", "run", "john2022-ogb", "--out", tmp_path)
    assert code == 2
    assert "--out names a folder" in err


@pytest.mark.parametrize("wrong", [["--per-class", "3"], ["--seed", "-1"], ["--processes", "0"]])
def test_bad_settings(run, tmp_path, wrong):
    code, _, err = run("reproduce", "john2022", "--out", tmp_path, *wrong)
    assert code == 2
    assert wrong[1] in err
    assert "allowed: >=" in err


def test_an_unknown_option_is_told_without_a_traceback(run):
    code, _, err = run("reproduce", "john2022", "--outt", "x")
    assert code == 2
    assert "--outt" in err


def test_ctrl_c_is_130_and_says_what_is_finished(run, tmp_path, monkeypatch):
    from halidrift.pipeline import reproduce

    def interrupted(out, *, progress, **_):
        progress("barriers", 1, 1, "done")
        progress("kmc_volatile", 0, 3, "")
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "john2022", interrupted)
    code, _, err = run("reproduce", "john2022", "--out", tmp_path)
    assert code == 130
    assert "Finished stages: barriers." in err


def test_ctrl_c_elsewhere_is_130(run, monkeypatch):
    from halidrift.physics.device import Device

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(Device, "names", staticmethod(interrupted))
    assert run("devices")[0] == 130


def test_the_command_line_hides_from_fipy(run):
    run("version")
    assert sys.argv == ["halidrift"]


@pytest.mark.slow
def test_a_sweep_is_kept(run, tmp_path):
    from halidrift.physics import trace

    file = tmp_path / "sweep.nc"
    code, out, _ = run("kmc", "run", "john2022-ogb", "--out", file, "--seed", "3")
    assert code == 0
    assert "sweep.nc" in out
    kept = trace.read(file)
    assert kept["conductance"].max() > 100 * kept["conductance"][0]
