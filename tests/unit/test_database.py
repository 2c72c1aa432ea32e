"""The barrier database: its content against the printed tables, its selections, its schema."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halidrift.physics.citations import bibliography
from halidrift.physics.database import Barrier, Database
from halidrift.physics.errors import AmbiguityError, DataError, InputError

DB = Database.load()
M, F = "migration_barrier", "formation_energy"

# Review, Table 1, retyped from the page: (material, species, quantity, low, high, source)
TABLE_1 = [
    ("MAPbI3", "V_I", F, 0.13, 1.87, "Yantara2026"),
    ("MAPbI3", "V_I", M, 0.08, 0.58, "Yantara2026"),
    ("MAPbI3", "V_MA", M, 0.46, 1.14, "Yantara2026"),
    ("MAPbI3", "V_Pb", M, 0.80, 2.31, "Yantara2026"),
    ("MAPbI3", "I_i", F, 0.23, 1.42, "Yin2014"),
    ("MAPbI3", "I_i", M, 0.08, 0.24, "Yantara2026"),
    ("MAPbBr3", "V_Br", M, 0.09, 0.09, "Azpiroz2015"),
    ("MAPbBr3", "V_MA", M, 0.56, 0.56, "Azpiroz2015"),
    ("FAPbI3", "I_i", F, 0.60, 1.66, "Liu2018"),
    ("FAPbI3", "V_FA", F, 0.14, 1.09, "Liu2018"),
    ("FAPbI3", "V_FA", M, 0.61, 0.61, "Haruyama2015"),
    ("FAPbI3", "V_I", F, 0.15, 1.69, "Yantara2026"),
    ("FAPbI3", "V_I", M, 0.16, 0.75, "Yantara2026"),
    ("FAPbI3", "V_Pb", M, 1.20, None, "Pazoki2017"),
    ("CsPbI3", "V_I", F, 0.69, 0.69, "Pazoki2017"),
    ("CsPbI3", "V_I", M, 0.21, 0.36, "Yantara2026"),
    ("CsPbI3", "V_Pb", M, 1.40, 1.40, "Pazoki2017"),
    ("CsPbBr3", "V_Br", F, 1.32, 2.67, "Kang2017"),
    ("CsPbBr3", "V_Br", M, 0.35, 0.35, "Woo2022"),
    ("CsPbBr3", "V_Cs", F, 0.20, 1.80, "Kang2017"),
    ("CsPbCl3", "V_Cl", M, 0.35, 0.35, "Woo2022"),
]

# Review, Table 2: species, charge, formation energy, migration barrier
TABLE_2 = [
    *(("Mo_i", 2, 1.37, 0.85), ("W_i", 2, 2.45, 0.85), ("Ag_i", 1, -0.65, 0.27), ("Au_i", 1, -0.17, 0.42)),
    *(("Co_i", 1, 0.51, 0.37), ("Cr_i", 2, -0.40, 0.83), ("Cu_i", 1, -0.46, 0.42), ("Ni_i", 1, 0.21, 0.29)),
    ("Pd_i", 0, -0.35, 0.40),
]

# Kim 2019, Table 1: species, source, low, high
KIM_1 = [
    ("V_MA", "Azpiroz2015", 0.46, 0.56),
    ("V_MA", "Eames2015", 0.84, 0.84),
    ("V_MA", "Meloni2016", 0.80, 1.13),
    ("V_Pb", "Azpiroz2015", 0.80, 0.80),
    ("V_Pb", "Eames2015", 2.31, 2.31),
    ("V_Pb", "Meloni2016", 1.35, 1.80),
    ("V_Br", "Azpiroz2015", 0.09, 0.16),
    ("V_Br", "Meloni2016", 0.2, 0.46),
]

ROW = """schema = 1
source = "Woo2022"

[[barrier]]
id = "user-1"
material = "CsPbBr3"
species = "V_Br"
quantity = "migration_barrier"
value = 0.30
unit = "eV"
method = "DFT"
locator = "Table 9"
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="user.toml"):
        (tmp_path / "barriers").mkdir(exist_ok=True)
        (tmp_path / "barriers" / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write_file


def test_every_row_says_where_it_comes_from():
    known = bibliography()
    for row in DB:
        assert row.locator, row.id
        assert row.sources, row.id
        assert set(row.sources) <= set(known), row.id
        if row.source not in ("Kim2019", "Yantara2026"):
            assert row.via in ("Kim2019", "Yantara2026"), f"{row.id}: only these papers were read"


@pytest.mark.parametrize(("material", "species", "quantity", "low", "high", "source"), TABLE_1)
def test_review_table_1(material, species, quantity, low, high, source):
    via = None if source == "Yantara2026" else "Yantara2026"
    found = [
        row
        for row in DB.select(material=material, species=species, quantity=quantity, source=source, via=via)
        if row.locator.startswith("Table 1, row")
    ]
    assert [(row.low_eV, row.high_eV) for row in found] == [(low, high)]


def test_review_table_1_has_no_further_cell():
    rows = [r for r in DB if r.locator.startswith("Table 1, row")]
    assert len(rows) == len(TABLE_1) == 21


@pytest.mark.parametrize(("species", "charge", "formation", "migration"), TABLE_2)
def test_review_table_2(species, charge, formation, migration):
    row = DB.select(source="Ming2018", material="MAPbI3", species=species, charge=charge)
    assert row.select(quantity=F).one().value_eV == formation
    assert row.select(quantity=M).one().value_eV == migration


@pytest.mark.parametrize(("species", "source", "low", "high"), KIM_1)
def test_kim_table_1(species, source, low, high):
    row = DB.select(via="Kim2019", species=species, source=source).one()
    assert (row.low_eV, row.high_eV, row.locator) == (low, high, "Table 1")


def test_kim_table_2():
    rows = DB.select(source="Kim2019")
    assert {row.n: row.value_eV for row in rows} == {
        **{"1": 0.160, "2": 0.144, "3": 0.138, "4": 0.102, "5": 0.095, "inf": 0.090},
    }
    assert rows.select(n=3).one().material == "(PEA)2MA2Pb3Br10"
    assert rows.select(n=1).one().value == "0.160"  # digits as printed
    assert all("resistance" in row.method and "I-17" in row.note for row in rows)


def test_kj_per_mol_is_converted():
    row = DB.select(source="Cho2020", n=1).one()
    assert (row.value, row.unit) == ("71.5", "kJ/mol")
    assert row.value_eV == pytest.approx(0.741, abs=5e-4)


def test_light_lowers_the_vacancy_barrier_as_printed():
    dark, light = (DB.select(source="Li2019", charge=z).one().value_eV for z in (0, 1))
    assert (dark, light) == (0.74, 0.41)


def test_halide_vacancies_are_positive_and_a_site_vacancies_negative():
    for row in DB.select(quantity=M):
        if row.charge is not None and row.species in ("V_I", "V_Br", "V_Cl", "V_X"):
            assert row.charge == 1 or row.id == "li2019-2d-v_i-dark", row.id
        if row.charge is not None and row.species in ("V_MA", "V_FA", "V_Cs"):
            assert row.charge == -1, row.id


def test_selection_of_the_design_document():
    row = DB.select(material="CsPbBr3", species="V_Br", quantity="migration_barrier").one()
    assert isinstance(row, Barrier)
    assert row.value_eV == 0.35
    assert str(row).startswith("CsPbBr3 V_Br (+1) migration barrier 0.35 eV [Woo2022 via Yantara2026, Table 1")


def test_ambiguity_lists_the_candidates():
    with pytest.raises(AmbiguityError) as caught:
        DB.select(material="MAPbBr3", species="V_Br", quantity=M).one()
    text = str(caught.value)
    assert "4 barriers have material='MAPbBr3', species='V_Br'" in text
    for part in ("azpiroz2015-mapbbr3-v_br: 0.09 eV", "0.2-0.46 eV, Meloni2016 via Kim2019", "device resistance"):
        assert part in text


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"material": "CsPbBr", "species": "V_Br"}, "did you mean 'CsPbBr3'"),
        ({"material": "CsPbBr3", "species": "V_I"}, "or species one of V_Br, V_Cs, the rest as given"),
        ({"material": "CsPbCl", "species": "V_J"}, "species one of Ag_i, Au_i"),
    ],
)
def test_empty_selection_says_what_there_is(criteria, expected):
    with pytest.raises(AmbiguityError, match="no barrier has") as caught:
        DB.select(**criteria).one()
    assert expected in str(caught.value)


def test_empty_selection_remembers_criteria_over_chained_selects():
    with pytest.raises(AmbiguityError, match=r"no barrier has material='CsPbBr3', species='V_I'"):
        DB.select(material="CsPbBr3").select(species="V_I").one()


def test_select_refuses_unknown_fields():
    with pytest.raises(InputError, match=r"specie.*allowed: .*species.*did you mean species"):
        DB.select(specie="V_Br")


def test_get_names_close_ids():
    assert DB.get("woo2022-cspbbr3-v_br").value_eV == 0.35
    with pytest.raises(InputError, match="close matches: woo2022-cspbbr3-v_br"):
        DB.get("woo2022-cspbbr3")


def test_range_keeps_bounds_open_and_quantities_apart():
    assert DB.select(material="MAPbI3", species="V_I", quantity=M).range() == (0.08, 0.58)
    assert DB.select(material="FAPbI3", species="V_Pb").range() == (1.20, math.inf)
    with pytest.raises(InputError, match="formation_energy, migration_barrier"):
        DB.select(material="MAPbI3", species="V_I").range()
    with pytest.raises(AmbiguityError, match="no barrier has"):
        DB.select(material="nothing").range()


def test_a_range_or_a_bound_has_no_single_value():
    for id_ in ("yantara2026-mapbi3-v_i", "pazoki2017-fapbi3-v_pb"):
        with pytest.raises(InputError, match=r"low_eV or \.high_eV.*ensemble"):
            _ = DB.get(id_).value_eV


def test_sample_of_value_range_and_bound():
    assert set(DB.get("woo2022-cspbbr3-v_br").ensemble(5, 1)) == {0.35}
    draws = DB.get("yantara2026-mapbi3-v_i").ensemble(4000, 1)
    assert draws.shape == (4000,)
    assert draws.min() >= 0.08
    assert draws.max() <= 0.58
    # uniform: mean 0.33, standard deviation 0.5/sqrt(12); five standard errors of the mean
    assert draws.mean() == pytest.approx(0.33, abs=5 * 0.5 / math.sqrt(12 * 4000))
    assert draws.std() == pytest.approx(0.5 / math.sqrt(12), rel=0.05)
    with pytest.raises(InputError, match=r"> 1\.20 eV.*is_bound=False"):
        DB.get("pazoki2017-fapbi3-v_pb").ensemble(5, 1)


def test_ensemble_weighs_rows_equally_and_replays():
    rows = DB.select(material="CsPbBr3", species="V_Br", quantity=M)
    pair = Database((*rows, DB.get("azpiroz2015-mapbbr3-v_br")))
    draws = pair.ensemble(4000, 3)
    assert set(draws) == {0.35, 0.09}
    assert np.mean(draws == 0.35) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(4000))
    np.testing.assert_array_equal(draws, pair.ensemble(4000, 3))
    np.testing.assert_array_equal(draws, pair.ensemble(4000, np.random.default_rng(3)))
    assert (DB.get("yantara2026-mapbi3-v_i").ensemble(9, 3) != DB.get("yantara2026-mapbi3-v_i").ensemble(9, 4)).all()


def test_ensemble_stays_inside_the_published_range():
    rows = DB.select(material="MAPbI3", quantity=M)
    low, high = rows.range()
    draws = rows.ensemble(2000, 0)
    assert low <= draws.min() < draws.max() <= high
    assert len(np.unique(draws)) > 100


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_ensemble_refuses_a_bad_number_of_draws(n):
    with pytest.raises(InputError, match="integer >= 1"):
        DB.select(quantity=M, is_bound=False).ensemble(n, 0)


def test_database_is_a_collection():
    rows = DB.select(source="Woo2022")
    assert len(rows) == len(list(rows)) == 2
    assert rows.materials == ("CsPbBr3", "CsPbCl3")
    assert rows.species == ("V_Br", "V_Cl")
    assert rows.sources == ("Woo2022", "Yantara2024", "Yantara2026")
    assert repr(rows) == "<Database: 2 barriers, 2 materials, 2 species>"
    assert rows.to_records()[0]["low_eV"] == 0.35
    assert rows == Database(tuple(rows))
    with pytest.raises(AttributeError):
        rows.barriers = ()


def test_user_directory_by_argument_and_by_environment(write, monkeypatch):
    folder = write(ROW)
    assert Database.load(folder).get("user-1").value == "0.30"
    with pytest.raises(InputError):
        Database.load().get("user-1")
    monkeypatch.setenv("HALIDRIFT_DATA", str(folder))
    assert len(Database.load(folder)) == len(Database.load()) == len(DB) + 1


def test_user_directory_may_bring_its_own_references(write):
    folder = write(ROW.replace("Woo2022", "Doe2030"))
    with pytest.raises(DataError, match=r"user\.toml: source: bib key"):
        Database.load(folder)
    (folder / "references.bib").write_text(
        "@misc{Doe2030,\n  author = {J. Doe},\n  title = {Notes},\n  year = {2030},\n}\n", encoding="utf-8"
    )
    assert Database.load(folder).get("user-1").source == "Doe2030"


def test_directory_without_barriers_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no barrier file"):
        Database.load(tmp_path)
    with pytest.raises(InputError, match="does not name a directory"):
        Database.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("schema = 1", "schema = 2", "schema", "allowed: 1"),
        ("schema = 1\n", "", "schema", "key is missing"),
        ('source = "Woo2022"\n', "", "source", "add source"),
        ('source = "Woo2022"', 'source = "Wo2022"', "source", "Woo2022"),
        ("schema = 1", "schema = 1\nsauce = 2", "sauce", "did you mean source"),
        ("[[barrier]]", "[barrier]", "barrier", "one [[barrier]] table or more"),
        ('unit = "eV"\n', "", "barrier[0].unit", "key is missing"),
        ('unit = "eV"', 'unit = "meV"', "barrier[0].unit", "eV or kJ/mol"),
        ('unit = "eV"', "unit = 1", "barrier[0].unit", "text in quotes"),
        ('locator = "Table 9"\n', "", "barrier[0].locator", "add locator"),
        ('locator = "Table 9"', 'locator = " "', "barrier[0].locator", "not empty"),
        ("[[barrier]]", "[[barrier]]\nspecie = 1", "barrier[0].specie", "did you mean species"),
        ('id = "user-1"', 'id = "User 1"', "barrier[0].id", "lower-case"),
        ('id = "user-1"', 'id = "woo2022-cspbbr3-v_br"', "barrier[0].id", "woo2022.toml"),
        (
            '"migration_barrier"',
            '"barrier"',
            "barrier[0].quantity",
            "barrier or activation_energy or formation_energy",
        ),
        ("value = 0.30\n", "", "barrier[0].value", "low and high"),
        ("value = 0.30", "value = 0.3\nlow = 0.1", "barrier[0].value", "value, low"),
        ("value = 0.30", "low = 0.1", "barrier[0].low", "low and high"),
        ("value = 0.30", "value = nan", "barrier[0].value", "finite"),
        ("value = 0.30", "value = inf", "barrier[0].value", "finite"),
        ("value = 0.30", 'value = "0.3"', "barrier[0].value", "unquoted"),
        ("value = 0.30", "value = true", "barrier[0].value", "finite"),
        ("value = 0.30", "value = 0.0", "barrier[0].value", "0 < E < 5 eV"),
        ("value = 0.30", "value = 300", "barrier[0].value", "0 < E < 5 eV"),
        ("value = 0.30", "upper = -0.1", "barrier[0].upper", "0 < E < 5 eV"),
        ('"migration_barrier"\nvalue = 0.30', '"formation_energy"\nvalue = -6', "barrier[0].value", "-5 to 10 eV"),
        ("value = 0.30", "low = 0.4\nhigh = 0.3", "barrier[0].low", "low < high"),
        ("value = 0.30", "value = 0.3\nn = 3", "barrier[0].n", "text in quotes"),
        ("value = 0.30", 'value = 0.3\nn = "0"', "barrier[0].n", '"inf" (3D)'),
        ("value = 0.30", "value = 0.3\ncharge = 0.5", "barrier[0].charge", "whole number"),
        ("value = 0.30", 'value = 0.3\nvia = "Nobody"', "barrier[0].via", "bib key"),
        ("value = 0.30", 'value = 0.3\nrefs = ["Kim2019", "Kim"]', "barrier[0].refs[1]", "Kim2019"),
        ("value = 0.30", 'value = 0.3\nrefs = "Kim2019"', "barrier[0].refs", "a list such as"),
        ("[[barrier]]", "[[barrier", "(whole file)", "correct the syntax"),
    ],
)
def test_schema_faults_name_file_key_and_remedy(write, old, new, key, expected):
    assert old in ROW
    with pytest.raises(DataError) as caught:
        Database.load(write(ROW.replace(old, new)))
    assert caught.value.file.endswith("user.toml")
    assert caught.value.key == key
    assert expected in str(caught.value)


def test_fault_in_a_later_row_carries_its_index(write):
    second = ROW.split("\n\n")[1].replace("user-1", "user-2").replace('unit = "eV"\n', "")
    with pytest.raises(DataError) as caught:
        Database.load(write(ROW + "\n" + second))
    assert caught.value.key == "barrier[1].unit"


def test_same_id_in_two_user_files(write):
    write(ROW, "a.toml")
    with pytest.raises(DataError, match=r"b\.toml: barrier\[0\]\.id: id is already taken.*a\.toml"):
        Database.load(write(ROW, "b.toml"))


def test_a_star_stands_for_anything_and_brackets_for_themselves():
    assert {row.material[:6] for row in DB.select(material="(PEA)2*")} == {"(PEA)2"}
    assert DB.select(material="[PrPyr]*").materials == ("[PrPyr]PbI3",)
    assert len(DB.select(species="*")) == len(DB)
    assert len(DB.select(note="*I-20*")) == sum("I-20" in (row.note or "") for row in DB) > 0


def test_light_lowers_the_barrier_as_a_condition():
    # review Sec. 2.1.3 on Li2019: 0.74 eV in the dark, 0.41 eV under light
    pair = DB.select(source="Li2019", quantity=M, species="V_I")
    dark, light = pair.select(light="dark").one(), pair.select(light="light").one()
    assert (dark.value_eV, light.value_eV) == (0.74, 0.41)
    assert "in the dark" in dark.conditions
    assert "under light" in light.conditions


def test_light_is_dark_or_light(write):
    with pytest.raises(DataError, match=r"barrier\[0\].light: light is not a condition of light.*dim.*dark or light"):
        Database.load(write(ROW + 'light = "dim"\n'))


def test_check_tells_every_fault_and_keeps_the_rest(write):
    second = ROW[ROW.index("[[barrier]]") :].replace("user-1", "user-2")
    bad_value = second.replace("0.30", "30")
    no_locator = second.replace("user-2", "user-3").replace('locator = "Table 9"\n', "")
    twice = second.replace("user-2", "user-1")
    folder = write(ROW + "\n" + bad_value + "\n" + no_locator + "\n" + twice)
    write("schema = 2", "other.toml")
    database, faults = Database.check(folder)
    assert len(database) == len(DB) + 1
    told = [str(fault) for fault in faults]
    assert len(told) == 4
    for part in ("barrier[1].value", "barrier[2].locator", "barrier[3].id", "other.toml: schema"):
        assert sum(part in text for text in told) == 1, part
    with pytest.raises(DataError):
        Database.load(folder)


def test_check_reports_a_broken_bibliography(write):
    folder = write(ROW)
    (folder / "references.bib").write_text("@article{Mine2026,\n  title = {x},\n}\n", encoding="utf-8")
    database, faults = Database.check(folder)
    assert len(database) == 0
    assert [fault.key for fault in faults] == ["Mine2026.author"]


def test_counts_add_up():
    for name in ("source", "species", "quantity"):
        assert sum(DB.counts(name).values()) == len(DB)
    with pytest.raises(InputError, match="did you mean species"):
        DB.counts("specis")


def test_about_is_printed_as_about_and_is_a_number_all_the_same():
    row = DB.get("meloni2016-cs-axial")
    assert (row.value, row.value_eV, row.approximate) == ("~ 1.16", 1.16, True)
    assert all("~" in r.value for r in DB.select(approximate=True))


def test_what_a_review_compiled_is_no_evidence_of_its_own():
    every = DB.select(material="MAPbI3", species="V_I", quantity=M)
    assert every.range() == (0.08, 0.58)
    assert every.select(compiled=False).range() == (0.29, 0.58)
    assert len(every.select(independent=True)) == len(every.select(compiled=False, repeats=None))
    for row in DB.select(compiled=True):
        assert row.is_range, row.id
        assert len(row.refs) > 1, row.id


@pytest.mark.parametrize("flag", ["approximate", "compiled"])
def test_flags_are_true_or_false(write, flag):
    with pytest.raises(DataError, match=rf"barrier\[0\].{flag}.*neither true nor false"):
        Database.load(write(ROW + f'{flag} = "yes"\n'))


def test_a_second_reading_names_the_first(write):
    database = Database.load(write(ROW + 'repeats = "woo2022-cspbbr3-v_br"\n'))
    assert not database.get("user-1").independent
    for row in DB.select(independent=False):
        assert row.compiled or DB.get(row.repeats).quantity == row.quantity, row.id
    for wrong in ("user-1", "yantara2026-mapbi3-v_i-dfe"):  # itself, another quantity
        with pytest.raises(DataError, match="no first reading"):
            Database.load(write(ROW + f'repeats = "{wrong}"\n'))
    with pytest.raises(DataError, match=r"user-1\.repeats: repeats names no first reading"):
        Database.load(write(ROW + 'repeats = "nobody"\n'))


@pytest.mark.parametrize("species", ["V_Br^+", "V Br", "V_Br%x", "{V}"])
def test_a_species_is_a_defect(write, species):
    with pytest.raises(DataError, match="species is not a defect"):
        Database.load(write(ROW.replace('"V_Br"', f'"{species}"')))


def test_numbers_and_files_beyond_reason_are_faults_not_crashes(write):
    with pytest.raises(DataError, match="not a finite number"):
        Database.load(write(ROW.replace("0.30", "1" * 400)))
    with pytest.raises(DataError, match="not a TOML file"):
        Database.load(write(ROW + "note = " + "[" * 5000 + "]" * 5000))
    folder = write(ROW)
    (folder / "references.bib").write_bytes("% Müller\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        Database.load(folder)


def test_what_was_computed_here_is_not_published_evidence(write):
    row = Database.load(write(ROW + "computed = true\n")).get("user-1")
    assert not row.independent
