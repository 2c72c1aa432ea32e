import re

import pytest

from halidrift import Database, Device
from halidrift.physics.device import CARDS
from halidrift.physics.errors import DataError, InputError
from halidrift.physics.parameters import PARAMETERS


def edited(tmp_path, old, new):
    text = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
    assert changed != text
    file = tmp_path / "card.toml"
    file.write_text(changed, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", Device.names())
def test_every_shipped_card_loads_and_every_number_says_where_it_comes_from(name):
    device = Device.load(name)
    assert device.name == name
    for parameter in [*device.parameters.values(), device.area, *(layer.thickness for layer in device.layers)]:
        assert parameter.kind in ("published", "calibrated", "assumed")
        assert parameter.origin.strip(" ,")
        if parameter.kind == "assumed":
            assert parameter.range is not None
            assert parameter.range[0] <= parameter.value <= parameter.range[1]


def test_the_published_stack_of_john():
    targets = (100e-9, 30e-9, 20e-9, 20e-9, 150e-9)
    device = Device.load("john2022-ogb")
    assert [layer.thickness_m for layer in device.layers] == pytest.approx(targets)
    assert device.area_m2 == pytest.approx(1e-8)
    assert device.active_electrode.material == "Ag"


def test_the_ddab_card_differs_by_its_ligand_alone():
    ogb, ddab = Device.load("john2022-ogb"), Device.load("john2022-ddab")
    assert {n for n in ogb.parameters if ogb.value(n) != ddab.value(n)} == {"channel_radius_m", "nucleus_radius_m"}
    assert [layer.thickness_m for layer in ogb.layers] == [layer.thickness_m for layer in ddab.layers]


def test_the_hop_barrier_is_the_database_row():
    device = Device.load("john2022-ogb")
    row = Database.load().get(device["hop_barrier_eV"].barrier)
    assert device.value("hop_barrier_eV") == row.value_eV == 0.27
    assert row.source in device.sources


def test_changed_parameters_are_marked_as_assumed_and_leave_the_card_alone():
    device = Device.load("john2022-ogb")
    harder = device.with_parameters(dissolution_barrier_eV=1.05)
    assert harder["dissolution_barrier_eV"].kind == "assumed"
    assert "0.95 eV" in harder["dissolution_barrier_eV"].reason
    assert device.value("dissolution_barrier_eV") == 0.95
    with pytest.raises(InputError, match="bounds"):
        device.with_parameters(dissolution_barrier_eV=-1.0)
    with pytest.raises(InputError, match="dissolution_barrier_eV"):
        device.with_parameters(disolution_barrier_eV=0.95)


def test_another_electrode_changes_the_metal_and_nothing_else():
    gold = Device.load("john2022-ogb").with_electrode("Au")
    assert gold.active_electrode.material == "Au"
    assert gold.to_dict()["parameters"] == Device.load("john2022-ogb").to_dict()["parameters"]


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        (r'^(bond_energy_eV = .*?)unit = "eV", ', r"\1", "parameters.bond_energy_eV.unit", ["missing unit", "eV, meV"]),
        (r"^bond_energy_eV =", "bond_enrgy_eV =", "parameters.bond_enrgy_eV", ["unknown key", "bond_energy_eV"]),
        (r"value = 20, unit", "value = -20, unit", "layers[2].thickness_m.value", ["-2e-08 m", "1e-10 to 0.001 m"]),
        (r'barrier = "[^"]*"', 'barrier = "nobody-here"', "hop_barrier_eV.barrier", ["no such barrier", "nobody-here"]),
        (r'^(bond_energy_eV = .*?)unit = "eV"', r'\1unit = "nm"', "bond_energy_eV.unit", ["nm", "eV, meV"]),
        (r'^(bond_energy_eV = .*?)kind = "\w+"', r'\1kind = "guessed"', "bond_energy_eV.kind", ["guessed", "assumed"]),
        (r', fitted_to = "as dissolution_barrier_eV, and[^"]*"', "", "bond_energy_eV.fitted_to", ["needs fitted_to"]),
        (r"^(bond_energy_eV = .*?)value = [\d.]+", r'\1value = "much"', "bond_energy_eV.value", ["finite number"]),
        (r"^(series_resistance_ohm = .*?)range = \[[^]]*\]", r"\1range = [1, 2]", "range", ["must hold the value"]),
        (r'role = "film"', 'role = "flim"', "layers[3].role", ["flim", "film"]),
        (r"^schema = 1", "schema = 2", "schema", ["unknown schema"]),
        (
            r"^(series_resistance_ohm = ).*$",
            r'\1{ barrier = "yantara2026-mapbi3-ag_i" }',
            "series_resistance_ohm.barrier",
            ["a barrier is an energy"],
        ),
        (r'barrier = "[^"]*"', 'barrier = "yantara2026-mapbi3-ag_i-dfe"', "barrier", ["no migration barrier"]),
        (r"^sources = .*$", 'sources = ["Jhon2022"]', "sources", ["unknown reference", "John2022"]),
        (r'source = "John2022"', 'source = "Smith2024"', "thickness_m.source", ["unknown reference"]),
        (r"^sources = .*$", "sources = 5", "sources", ["list of bib keys"]),
        (r'^(bond_energy_eV = .*?)unit = "eV"', r'\1unit = ["eV"]', "bond_energy_eV.unit", ["wrong or unknown unit"]),
        (r', fitted_to = "as dissolution_barrier_eV, and[^"]*"', ', fitted_to = ""', "fitted_to", ["calibrated needs"]),
        (r'^name = "john2022-ogb"', "name = ", "(file)", ["TOML"]),
    ],
)
def test_a_broken_card_names_file_key_found_and_allowed(tmp_path, old, new, key, words):
    file = edited(tmp_path, old, new)
    with pytest.raises(DataError) as error:
        Device.load(file)
    message = str(error.value)
    assert str(file) in message
    assert key in message
    for word in words:
        assert word in message


def test_a_users_folder_adds_cards(tmp_path, monkeypatch):
    (tmp_path / "devices").mkdir()
    text = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    (tmp_path / "devices" / "mine.toml").write_text(text.replace("john2022-ogb", "mine"), encoding="utf-8")
    monkeypatch.setenv("HALIDRIFT_DATA", str(tmp_path))
    assert "mine" in Device.names()
    assert Device.load("mine").name == "mine"
    monkeypatch.setenv("HALIDRIFT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="HALIDRIFT_DATA"):
        Device.load("mine")


def test_an_unknown_card_suggests_the_nearest():
    with pytest.raises(InputError, match="john2022-ogb"):
        Device.load("john2022-obg")


def test_every_known_parameter_has_sane_bounds_and_a_meaning():
    for low, high, meaning in PARAMETERS.values():
        assert low < high
        assert meaning
