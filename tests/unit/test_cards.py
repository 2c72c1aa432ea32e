"""New device cards, what a card lacks, and what is said of its parameters."""

import json
import re
import sys
from pathlib import Path

import pytest

import halidrift
from halidrift.physics.device import Device
from halidrift.physics.effects import EFFECTS, UNREAD
from halidrift.physics.errors import InputError
from halidrift.physics.parameters import PARAMETERS
from halidrift.pipeline import cards, cli

ROOT = Path(halidrift.__file__).parent


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, *(re.sub(r"\s+", " ", text) for text in told)

    return call


def test_every_parameter_says_what_it_does():
    assert list(EFFECTS) == [*PARAMETERS]
    code = "".join(f.read_text(encoding="utf-8") for p in ("kmc", "fem") for f in (ROOT / p).glob("*.py"))
    assert {name for name in PARAMETERS if name not in code} == UNREAD


def test_the_page_holds_the_table():
    assert (ROOT / "docs" / "cards.md").read_text(encoding="utf-8").endswith(cards.table())


@pytest.mark.parametrize("like", ["john2022-ogb", "kim2019-n3", "mapbi3-ag"])
def test_a_card_begun_from_another_has_its_numbers_as_assumed(tmp_path, like):
    old, new = Device.load(like), Device.load(cards.write("mine", tmp_path, like=like))
    assert new.name == "mine"
    assert [(x.name, x.material, x.role) for x in new.layers] == [(x.name, x.material, x.role) for x in old.layers]
    assert set(new.numbers) == set(old.numbers)
    for name, p in new.numbers.items():
        assert p.value == pytest.approx(old.numbers[name].value, rel=1e-11)
        assert p.barrier == old.numbers[name].barrier
        # nobody has published a number of this device
        assert p.kind == ("published" if p.barrier else "assumed")
    found = cards.check(tmp_path / "mine.toml")
    shipped = cards.check(ROOT / "data" / "devices" / f"{like}.toml")
    assert set(found.ready) == set(shipped.ready) >= {m for m, (_, card) in cards.MODELS.items() if card == like}
    assert len(found.borrowed) == len(found.kinds["assumed"])


def test_a_card_is_filled_in(run):
    """From blank, with what a user would write, to the model that it is for."""
    code, out, _ = run("new", "device", "mine")
    assert (code, "halidrift check mine.toml" in out) == (0, True)
    text = Path("mine.toml").read_text(encoding="utf-8")
    # every parameter that a model reads stands there, with its line about the result
    for name in set(PARAMETERS) - UNREAD:
        assert f"# {name} = " in text
        assert f"#   {EFFECTS[name]}\n" in text
    code, out, err = run("check", "mine.toml")
    assert code == 2
    assert "ready for no model" in out
    assert err.count("must be a finite number") == 4  # three thicknesses and the area
    filled = text.replace('value = "?"', "value = 100")
    filled = filled.replace('reason = "", range = []', 'reason = "x", range = [1, 200]')
    old = Device.load("kim2019-n3")
    for name in cards.needs()["IonFilm"]:
        value = old.value(name)
        number = f'value = {value!r}, unit = "\\1", kind = "assumed", reason = "x", range = [{value}, {value}]'
        line = f"{name} = {{ {number} }}"
        filled, count = re.subn(rf'# {name} = {{ value = 100, unit = "([^"]*)".*', line, filled)
        assert count == 1
    Path("mine.toml").write_text(filled, encoding="utf-8")
    code, out, err = run("check", "mine.toml", "--effects")
    assert (code, err) == (0, "")
    assert "ready for IonFilm" in out
    assert EFFECTS["mobility_prefactor"] in out


def test_nothing_is_overwritten(run):
    Path("mine.toml").write_text("precious")
    code, _, err = run("new", "device", "mine", "--like", "john2022-ogb")
    assert code == 2
    assert "mine.toml is there already" in err
    assert Path("mine.toml").read_text() == "precious"


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "mine.toml", "-x"])
def test_a_name_must_make_a_file(tmp_path, name):
    with pytest.raises(InputError, match="names no device card"):
        cards.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_faults_of_a_card_are_told_at_once(run):
    text = cards.write("mine", like="john2022-ogb").read_text(encoding="utf-8")
    text = text.replace('value = 100, unit = "nm"', 'value = 100, unit = "V"')
    text = text.replace('leakage_S = { value = 10, unit = "nS"', 'leakage_S = { value = 5, unit = "S"')
    text = re.sub(r"\nbond_energy_eV = .*", "\nbond_energy = { value = 1 }", text)
    Path("mine.toml").write_text(text.replace('name = "mine"\n', ""), encoding="utf-8")
    code, out, err = run("check", "mine.toml")
    assert code == 2
    for told in (
        "layers[0].thickness_m.unit: wrong or unknown unit",
        "parameters.leakage_S.value: out of physical bounds. got '5 S'",
        "Did you mean 'bond_energy_eV'?",
        "name: missing key",
    ):
        assert told in err
    assert "FilamentKMC lacks 2: bond_energy_eV, leakage_S" in out


def test_what_a_model_refuses_is_told(run):
    text = cards.write("mine", like="john2022-ogb").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^anode_share = { value = [^,]*", "anode_share = { value = 0.9", text)
    Path("mine.toml").write_text(text, encoding="utf-8")
    code, out, _ = run("check", "mine.toml", "--json", "-")
    (record,) = json.loads(out)
    assert code == 0  # the continuum can use it
    assert record["ready"] == ["FilamentFEM"]
    assert "more than the whole voltage" in record["refusals"]["FilamentKMC"]


def test_the_shipped_cards_are_ready_for_their_models():
    for model, (_, name) in cards.MODELS.items():
        assert model in cards.check(ROOT / "data" / "devices" / f"{name}.toml").ready


BARRIER = """schema = 1
source = "Woo2022"
title = "t"

[[barrier]]
id = "mine-cspbbr3-v_br"
material = "CsPbBr3"
species = "V_Br"
quantity = "migration_barrier"
value = {value}
unit = "eV"
method = "guess"
locator = "p. 1"
"""


@pytest.mark.parametrize(
    ("file", "text", "code", "told"),
    [
        ("mine.toml", BARRIER.format(value=0.3), 0, "barrier file 1 rows without fault"),
        ("mine.toml", BARRIER.format(value=300), 2, "mine.toml: "),
        ("mine.toml", "a = ", 2, "not valid TOML"),
        ("wave.json", "wave", 0, "waveform 3 corners in 2 s, 0 to 1 V"),
        ("wave.json", '{"voltage_V": [0, 1]}', 2, "compliance_A: a key of a waveform is missing"),
        ("cell.json", "cell", 0, "model Volatile conductance_off_S = 1e-09 S (assumed)"),
        ("cell.json", '{"model": "Memristor"}', 2, "describes no compact model"),
        ("cell.json", "[1]", 2, "neither a model nor a waveform"),
        ("cell.json", "{", 2, "not valid JSON"),
        ("wave.csv", "time_s,voltage_V\n0,0\n1,1\n2,0\n", 0, "table of a waveform 3 corners in 2 s"),
        ("iv.csv", (ROOT / "docs" / "data" / "iv.csv").read_text(encoding="utf-8"), 0, "measurement"),
        (
            "wave.csv",
            "Time (ms);Voltage (V)\n0;0\n10;1,5\n",
            0,
            "2 corners in 0.01 s, 0 to 1.5 V, no limit of the current",
        ),
        ("iv.csv", (ROOT / "docs" / "data" / "iv.csv").read_text(encoding="utf-8"), 0, "V in 9.52 s, 0.5 V/s"),
        ("iv.csv", "Voltage (V),Colour\n0,1\n1,2\n", 2, "iv.csv"),
        ("x.nc", "no trace", 2, "x.nc"),
        ("x.doc", "", 2, "Nothing is known of files of this kind"),
    ],
)
def test_other_files_are_checked_by_what_they_hold(run, file, text, code, told):
    from halidrift.compact import Volatile
    from halidrift.physics.waveform import Waveform

    if text == "wave":
        text = json.dumps(Waveform.triangle([1.0], 1.0, 1e-6).to_dict())
    if text == "cell":
        numbers = {"growth_rate_Hz": 0.02, "growth_voltage_V": 0.12, "relaxation_time_s": 1.0}
        text = json.dumps(Volatile.of(conductance_off_S=1e-9, conductance_on_S=4e-6, **numbers).to_dict())
    Path(file).write_text(text, encoding="utf-8")
    found, out, err = run("check", file)
    assert found == code, out + err
    assert told in (err if code else out)


def test_a_card_that_ships_is_shown_with_its_kinds(run):
    code, out, _ = run("check", ROOT / "data" / "devices" / "kim2019-n3.toml")
    assert code == 0
    for kind in ("published: 3: hop_barrier_eV", "calibrated: 5: ", "assumed: 11: ", "IonFilm ready"):
        assert kind in out


def test_what_a_card_is_not_for_is_not_lacking(run):
    code, out, _ = run("check", ROOT / "data" / "devices" / "john2022-ogb.toml")
    assert code == 0
    assert "VacancyKMC no need not needed for a metal filament" in re.sub(r"\s+", " ", out)
    assert "lacks" not in out.replace("what it lacks", "")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("cels.json", "Did you mean cell.json?"),
        ("other.toml", "halidrift new device NAME"),
        ("other.json", "halidrift fit FILE --out cell.json"),
        ("other.nc", "halidrift kmc run CARD --out trace.nc"),
        ("other.csv", "Nothing of that name is in"),
    ],
)
def test_a_file_that_is_not_there_gets_the_hint_of_its_kind(run, file, told):
    Path("cell.json").write_text("{}")
    code, _, err = run("check", file)
    assert code == 2
    assert told in err
