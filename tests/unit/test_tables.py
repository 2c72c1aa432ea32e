"""Tables of barriers for other programs, read back by the standard readers of each format."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import numpy as np
import pytest

from halidrift.physics.database import Database
from halidrift.physics.errors import InputError
from halidrift.physics.tables import COLUMNS, FORMATS

DB = Database.load()


def test_csv_reads_back_row_by_row():
    lines = list(csv.DictReader(io.StringIO(DB.export("csv"))))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == len(DB)
    for line, row in zip(lines, DB, strict=True):
        assert (line["material"], line["species"], line["quantity"]) == (row.material, row.species, row.quantity)
        for side in ("low_eV", "high_eV"):
            energy = getattr(row, side)
            # as printed; kJ/mol becomes eV with three decimals
            exact = 0.0 if row.unit == "eV" else 5.1e-4
            assert line[side] == "" if energy is None else abs(float(line[side]) - energy) <= exact
        assert re.split(r" via | \(", line["source"])[0] == row.source
        assert line["locator"] == row.locator
        assert line["note"].startswith(row.note or "")
        assert line["note"].endswith(f"[{row.id}]")


def test_json_keeps_open_sides_open():
    lines = json.loads(DB.export("json"))
    assert len(lines) == len(DB)
    open_sided = [line for line in lines if line["low_eV"] is None or line["high_eV"] is None]
    assert len(open_sided) == len(DB.select(is_bound=True)) > 0


def test_latex_has_one_line_a_row_and_nothing_that_latex_would_read_as_a_command():
    text = DB.export("latex")
    body = text.split("\\endhead\n")[1].split("\\bottomrule")[0].strip().splitlines()
    assert len(body) == len(DB)
    for line, row in zip(body, DB, strict=True):
        assert len(re.findall(r"(?<!\\)&", line)) == len(COLUMNS) - 1
        assert line.endswith("\\\\")
        assert f"\\cite{{{row.source}}}" in line
        depth = 0
        for sign in re.findall(r"\\?[{}]", line):
            depth += {"{": 1, "}": -1}.get(sign, 0)
            assert depth >= 0
        assert depth == 0
        assert re.search(r"(?<!\\)[%#~]", line) is None
        # an underscore or a hat outside mathematics is an error of LaTeX
        outside = re.sub(r"\$[^$]*\$", "", line.replace("\\$", ""))
        outside = re.sub(r"\\cite\{[^}]*\}", "", outside)
        assert re.search(r"(?<!\\)[_^]", outside) is None
        # an 8-bit engine knows Latin letters and little else
        assert all(ord(sign) < 0x250 for sign in line), [sign for sign in line if ord(sign) >= 0x250]


def test_digits_stay_as_printed():
    lines = {row.id: line for row, line in zip(DB, csv.DictReader(io.StringIO(DB.export("csv"))), strict=True)}
    assert lines["kim2019-n1-v_br"]["low_eV"] == "0.160"
    vacancy = lines["kang2017-cspbbr3-v_cs-dfe"]
    assert (vacancy["low_eV"], vacancy["high_eV"]) == ("0.20", "1.80")
    assert lines["pazoki2017-fapbi3-v_pb"]["low_eV"] == "1.20"


def test_a_hostile_formula_stays_text_in_latex(tmp_path):
    (tmp_path / "barriers").mkdir()
    row = 'schema = 1\nsource = "Woo2022"\n[[barrier]]\nid = "x"\nmaterial = "Cs_2Ag&Br6%"\nspecies = "V_Br"\n'
    row += 'quantity = "migration_barrier"\nvalue = 0.3\nunit = "eV"\nmethod = "DFT"\nlocator = "\\\\input{x}"\n'
    (tmp_path / "barriers" / "x.toml").write_text(row, encoding="utf-8")
    line = Database.load(tmp_path).select(id="x").export("latex").split("\\endhead\n")[1].splitlines()[0]
    assert line.startswith(r"Cs\_2Ag\&Br$_{6}$\% &")
    assert r"\input" not in line


def test_nothing_that_qualifies_a_number_is_lost():
    lines = {row.id: line["condition"] or "" for row, line in zip(DB, json.loads(DB.export("json")), strict=True)}
    assert "compiled from several papers" in lines["yantara2026-mapbi3-v_i"]
    assert "approximate" in lines["meloni2016-cs-axial"]
    assert "printed as 71.5 kJ/mol" in lines["cho2020-pea-n1"]
    assert "charge +1" in lines["woo2022-cspbbr3-v_br"]


def test_an_unknown_format_lists_the_known():
    with pytest.raises(InputError, match="csv, json, latex"):
        DB.export("xlsx")
    assert set(FORMATS) == {"csv", "json", "latex"}


def test_pandas_and_xarray_carry_the_same_numbers():
    frame, dataset = DB.to_dataframe(), DB.to_xarray()
    assert list(frame.index) == list(dataset["id"].values) == [row.id for row in DB]
    assert dataset["low_eV"].attrs["units"] == "eV"
    np.testing.assert_array_equal(frame["low_eV"], dataset["low_eV"])
    row = DB.get("pazoki2017-fapbi3-v_pb")
    assert frame.loc[row.id, "low_eV"] == row.low_eV == 1.2
    assert math.isnan(frame.loc[row.id, "high_eV"])
    assert frame.loc[row.id, "locator"] == str(dataset["locator"].sel(id=row.id).item()) == row.locator


def test_the_dataset_fits_into_a_netcdf_file(tmp_path):
    import xarray as xr

    file = tmp_path / "barriers.nc"
    DB.to_xarray().to_netcdf(file, engine="scipy")
    with xr.open_dataset(file, engine="scipy") as again:
        assert again.sizes["id"] == len(DB)
        np.testing.assert_array_equal(again["high_eV"], DB.to_xarray()["high_eV"])
