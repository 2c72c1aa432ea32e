"""Barriers from atoms: arguments, calculators, store, rows, picture, command."""

from __future__ import annotations

import builtins
import doctest
import importlib
import inspect
import json
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import typer
from ase.build import bulk
from ase.calculators.emt import EMT
from typer.testing import CliRunner

from halidrift.physics import neb
from halidrift.physics.database import Database
from halidrift.physics.errors import DataError, InputError, ValidityError
from halidrift.physics.neb import hop

COPPER = bulk("Cu", cubic=True)
QUICK = neb.Settings(images=1, force_tolerance_eV_angstrom=0.1, relax_tolerance_eV_angstrom=0.05, start="linear")


class Counted(EMT):
    """EMT that counts how often it computes."""

    calls = 0

    def calculate(self, *args, **kwargs):
        Counted.calls += 1
        super().calculate(*args, **kwargs)


COUNTED = neb.Theory("EMT", "test", Counted, "Jacobsen1996", "for metals")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Copper, one supercell, two seeds, with its store."""
    store = tmp_path_factory.mktemp("neb") / "neb.db"
    made = neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[0, 1], settings=QUICK, store=store)
    return made, store


@pytest.mark.parametrize("module", ["band", "hop", "theory"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.physics.neb.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


# -- arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 0}, "images"),
        ({"images": 2.5}, "images"),
        ({"images": True}, "images"),
        ({"steps": 0}, "steps"),
        ({"rounds": 0}, "rounds"),
        ({"force_tolerance_eV_angstrom": 0.0}, "force_tolerance"),
        ({"relax_tolerance_eV_angstrom": float("nan")}, "relax_tolerance"),
        ({"spring_eV_angstrom2": -1.0}, "spring"),
        ({"rattle_angstrom": -0.1}, "rattle"),
        ({"rattle_angstrom": 0.6}, "rattle"),
        ({"lattice": "free"}, "fixed, volume, shape"),
        ({"start": "spline"}, "idpp, linear"),
    ],
)
def test_settings_out_of_range(changed, message):
    with pytest.raises(InputError, match=message):
        neb.Settings(**changed)


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        neb.Settings().images = 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"species": "Cu_i"}, "Only vacancy hops.*allowed: V_Cu"),
        ({"species": "V_Br"}, "cannot have this vacancy"),
        ({"hop": 7}, "No such hop"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"repeat": (2, 2)}, "repeat"),
        ({"repeat": (2, 0, 2)}, "repeat"),
        ({"repeat": (1, 1, 1)}, "too small"),
        ({"calculator": "no-such"}, "No calculator"),
    ],
)
def test_wrong_arguments(changed, message):
    arguments = {"crystal": COPPER, "species": "V_Cu", "calculator": "emt", "repeat": (2, 2, 2), **changed}
    with pytest.raises(InputError, match=message):
        neb.migration_barrier(**arguments)


def test_nothing_is_computed_if_one_of_a_series_is_wrong():
    Counted.calls = 0
    with pytest.raises(InputError, match="too small"):
        neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2), (1, 1, 1)], seeds=[0])
    with pytest.raises(InputError, match="nothing to compute"):
        neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[])
    assert Counted.calls == 0


def test_ends_that_do_not_match():
    emt = neb.calculators("emt")
    cell = COPPER.repeat(2)
    other = cell.copy()
    other.symbols[0] = "Ag"
    with pytest.raises(InputError, match="same atoms"):
        neb.minimum_energy_path(cell, other, emt)
    with pytest.raises(InputError, match="same atoms"):
        neb.minimum_energy_path(cell, cell[:-1], emt)
    stretched = cell.copy()
    stretched.set_cell(cell.cell * 1.01)
    with pytest.raises(InputError, match="different cells"):
        neb.minimum_energy_path(cell, stretched, emt)
    with pytest.raises(InputError, match="same structure"):
        neb.minimum_energy_path(cell, cell.copy(), emt)


# -- calculators ---------------------------------------------------------------------------------------------


def test_chgnet_without_the_extra_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "chgnet":
            raise ImportError("No module named 'chgnet'")
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.split(".")[0] == "chgnet"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'halidrift\[atomistic\]'"):
        neb.calculators("chgnet")


def test_calculators_by_name():
    theory = neb.calculators("emt")
    assert isinstance(theory.make(), EMT)
    assert theory.source == "Jacobsen1996"
    assert theory.version.startswith("ASE ")
    assert neb.calculators("lj").source is None
    assert neb.calculators("lj", source="Woo2022").source == "Woo2022"
    own = neb.calculators("ase.calculators.emt:EMT")
    assert isinstance(own.make(), EMT)
    assert own.name == "ase.calculators.emt:EMT"


@pytest.mark.parametrize("name", ["", "ase.calculators.emt:None_such", "no_such_package:Thing", "ase:__version__"])
def test_names_that_make_no_calculator(name):
    with pytest.raises(InputError):
        neb.calculators(name)


def test_calculator_that_needs_settings_says_so():
    with pytest.raises(InputError, match=r"without settings.*parameters"):
        neb.calculators("tersoff")


def test_calculator_that_does_not_know_the_elements():
    with pytest.raises(InputError, match=r"EMT ASE .* cannot compute CsPbBr3"):
        neb.migration_barrier("CsPbBr3", "V_Br", "emt")


def test_theory_without_version():
    with pytest.raises(InputError, match="version"):
        neb.Theory("EMT", "", EMT)


# -- result, store, resume -----------------------------------------------------------------------------------


def test_convergence_report(series):
    run = series[0].runs[0]
    assert type(run.forward_eV) is float
    assert run.mean_eV == pytest.approx(0.5 * (run.forward_eV + run.backward_eV))
    assert run.forward_eV - run.backward_eV == pytest.approx(run.band.difference_eV)
    assert run.band.force_eV_angstrom < QUICK.force_tolerance_eV_angstrom
    assert run.band.saddle == 1
    assert run.atoms == 32
    assert run.size == "2x2x2"
    assert run.wall_s > 0
    low, high = run.band.spacing_angstrom
    assert 0 < low <= high
    for word in ("barrier", "eV/angstrom", "highest image 1 of 0-2", "for metals"):
        assert word in str(run)
    assert run.sources == ("Henkelman2000", "Jacobsen1996")


def test_finished_runs_are_not_computed_again(series):
    made, store = series
    Counted.calls = 0
    seen = []
    again = neb.finite_size(
        COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[0, 1], settings=QUICK, store=store,
        finished=lambda run, known: seen.append(known),
    )  # fmt: skip
    assert Counted.calls == 1  # the unit cell that tells one calculator from another
    assert seen == [True, True]
    for old, new in zip(made.runs, again.runs, strict=True):
        assert new.forward_eV == old.forward_eV
        assert new.settings == old.settings
        assert new.band.steps == old.band.steps
        assert str(new) == str(old)
        for a, b in zip(old.band.images, new.band.images, strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)
            assert a.get_potential_energy() == b.get_potential_energy()
            np.testing.assert_array_equal(a.get_forces(), b.get_forces())


def test_other_conditions_are_other_runs(series):
    run = series[0].runs[0]

    def names(crystal=COPPER, theory=COUNTED, settings=QUICK, repeat=(2, 2, 2), seed=0):
        place = hop.place_hop(crystal, "V_Cu", phase="cubic", repeat=repeat, hop=0)
        task = hop.plan(place, theory, settings, seed, hop.fingerprint(place, theory))
        return task.key, task.series

    assert names() == (run.key, run.series)
    strained = COPPER.copy()
    strained.set_cell(COPPER.cell * 1.01, scale_atoms=True)
    for changed, same_series in (
        ({"seed": 5}, True),
        ({"repeat": (2, 2, 3)}, True),
        ({"settings": neb.Settings(images=2)}, False),
        ({"theory": neb.Theory("EMT", "another version", EMT)}, False),
        # the name and version of the other, not its numbers
        ({"theory": neb.Theory("EMT", "test", lambda: EMT(asap_cutoff=True))}, False),
        ({"crystal": strained}, False),
    ):
        key, other = names(**changed)
        assert key != run.key
        assert (other == run.series) == same_series


def test_callables_of_the_same_name_are_other_calculators(tmp_path, monkeypatch):
    (tmp_path / "first_module.py").write_text("from ase.calculators.emt import EMT as make\n", encoding="utf-8")
    (tmp_path / "other_module.py").write_text("from ase.calculators.emt import EMT as make\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    store = tmp_path / "neb.db"
    for name in ("first_module:make", "other_module:make"):
        neb.finite_size(COPPER, "V_Cu", name, repeats=[(2, 2, 2)], seeds=[0], settings=QUICK, store=store)
    assert [run.theory for run in neb.stored(store)] == ["first_module:make", "other_module:make"]


def test_equal_runs_do_not_count_as_independent():
    Counted.calls = 0
    with pytest.raises(InputError, match=r"seed is asked for twice.*\[0\]"):
        neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[0, 1, 0])
    with pytest.raises(InputError, match="supercell is asked for twice"):
        neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2), [2, 2, 2]], seeds=[0])
    assert Counted.calls == 0


def test_constraints_are_refused():
    from ase.constraints import FixAtoms

    crystal = COPPER.copy()
    crystal.set_constraint(FixAtoms([0]))
    with pytest.raises(InputError, match=r"FixAtoms.*Remove them"):
        neb.migration_barrier(crystal, "V_Cu", "emt")


def test_interrupted_series_keeps_what_is_finished(tmp_path):
    store = tmp_path / "neb.db"

    def interrupt(what, step, force):
        if neb.stored(store) if store.exists() else False:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neb.finite_size(
            COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[0, 1], settings=QUICK, store=store, progress=interrupt
        )
    (kept,) = neb.stored(store)
    assert kept.seed == 0
    assert len(kept.band.images) == 3
    assert neb.stored(store, key=kept.key)[0].key == kept.key
    assert neb.stored(store, key="h0") == ()


def test_store_is_an_ase_database_with_its_settings(series):
    from ase.db import connect

    made, store = series
    with connect(store, use_lock_file=False) as database:
        rows = list(database.select(run=made.runs[0].key))
        assert [row.kind for row in rows] == ["initial", "saddle", "final"]
        assert rows[0].theory == "EMT"
        assert rows[0].version == "test"
        assert rows[0].supercell == "2x2x2"
        assert rows[0].force_tolerance == QUICK.force_tolerance_eV_angstrom
        assert rows[1].energy - rows[0].energy == pytest.approx(rows[0].forward)
    json.dumps(rows[0].data["report"])  # plain numbers all through


def test_store_needs_its_suffix(tmp_path):
    with pytest.raises(InputError, match=r"\.db"):
        neb.finite_size(
            COPPER, "V_Cu", COUNTED, seeds=[0], repeats=[(2, 2, 2)], settings=QUICK, store=tmp_path / "x.json"
        )
    with pytest.raises(InputError, match="no such store"):
        neb.stored(tmp_path / "none.db")


def test_runs_that_fail_are_told_and_the_rest_goes_on():
    settings = neb.Settings(images=1, steps=1)
    made = neb.finite_size(COPPER, "V_Cu", COUNTED, repeats=[(2, 2, 2)], seeds=[0, 1], settings=settings)
    assert made.runs == ()
    assert [failure.seed for failure in made.failures] == [0, 1]
    assert "did not relax" in made.failures[0].reason
    assert made.sizes == ()


# -- statistics ----------------------------------------------------------------------------------------------


def synthetic(series, values, phase=""):
    """Runs with given barriers: {repeat: [barrier, ...]}."""
    run = series[0].runs[0]
    made = []
    for n, barriers in values.items():
        for seed, barrier in enumerate(barriers):
            band = replace(run.band, energies_eV=np.array([0.0, barrier, 0.0]))
            made.append(replace(run, band=band, repeat=(n, n, n), atoms=5 * n**3, seed=seed, phase=phase))
    return neb.FiniteSize(tuple(made))


def test_sizes_tell_mean_and_spread(series):
    made = synthetic(series, {3: [0.30, 0.32, 0.34], 2: [0.2]})
    small, large = made.sizes
    assert (small.size, small.runs, small.spread_eV) == ("2x2x2", 1, None)
    assert large.mean_eV == pytest.approx(0.32)
    assert large.spread_eV == pytest.approx(0.02)
    assert (large.low_eV, large.high_eV) == (0.30, 0.34)
    assert large.crystal_eV_atom == series[0].runs[0].crystal_eV_atom


def test_doubts_are_told_in_report_and_row(series, tmp_path):
    run = series[0].runs[0]
    assert run.doubts == ()
    band = replace(run.band, energies_eV=np.array([0.0, 0.3, 0.1, 0.4, 0.3]), wells=(2,), bystander_angstrom=0.8)
    doubtful = replace(run, band=band)
    assert [word in " ".join(doubtful.doubts) for word in ("image 2", "0.80 angstrom", "differ by 0.300 eV")] == [
        True
    ] * 3
    assert all(doubt in str(doubtful) for doubt in doubtful.doubts)
    neb.write_rows(neb.FiniteSize((doubtful,)), tmp_path)
    note = Database.load(tmp_path).select(material="Cu").one().note
    assert all(f"Seed 0: {doubt}." in note for doubt in doubtful.doubts)


def test_extrapolation_of_an_exact_line(series):
    def barrier(n):
        return [0.35 - 2.0 / (5 * n**3) + d for d in (-0.002, 0.002)]

    value, error = neb.extrapolated(synthetic(series, {n: barrier(n) for n in (2, 4, 6)}))
    assert value == pytest.approx(0.35, abs=1e-9)
    assert 0 < error < 0.01


@pytest.mark.parametrize(
    ("values", "phase", "message"),
    [
        ({2: [0.1, 0.2], 4: [0.2, 0.3]}, "", "Too few sizes"),
        ({2: [0.1, 0.2], 4: [0.2], 6: [0.2, 0.3]}, "", "no spread"),
        ({2: [0.1, 0.2], 3: [0.2, 0.3], 4: [0.2, 0.3]}, "cubic", "Odd and even"),
        ({2: [0.1, 0.101], 4: [0.5, 0.501], 6: [0.2, 0.201]}, "", "not linear"),
    ],
)
def test_extrapolation_is_refused_where_it_does_not_hold(series, values, phase, message):
    with pytest.raises(ValidityError, match=message):
        neb.extrapolated(synthetic(series, values, phase))


# -- rows ----------------------------------------------------------------------------------------------------


def test_row_is_read_by_the_database(series, tmp_path):
    made, _ = series
    file = neb.write_rows(made, tmp_path)
    assert file.parent == tmp_path / "barriers"
    row = Database.load(tmp_path).select(material="Cu", species="V_Cu").one()
    (size,) = made.sizes
    ends = sorted({round(size.low_eV, 3), round(size.high_eV, 3)})
    assert [row.low_eV, row.high_eV] == [ends[0], ends[-1]]
    assert row.method == "CI-NEB, EMT test"
    assert row.source == "Jacobsen1996"
    assert "Henkelman2000" in row.refs
    assert row.charge is None
    assert ", neb.db, series" in row.locator
    for word in (
        "hop of 2.553 angstrom (class 0)",
        "2x2x2",
        "32 atoms",
        "0.1 eV/angstrom",
        "1 images",
        "rattle 0.05",
        "over 2 seeds",
    ):
        assert word in row.condition
    assert "For metals" in row.note
    _, faults = Database.check(tmp_path)
    assert not faults
    # the same series again replaces its file
    assert neb.write_rows(made, tmp_path) == file
    assert len(Database.load(tmp_path).select(material="Cu")) == 1


def test_rows_of_the_documentation_stand_beside_the_literature():
    """They are not among the shipped ones: `db select` must find one published number, not ours."""
    folder = Path(__file__).parents[2] / "docs" / "neb"
    rows = Database.load(folder).select(material="CsPbBr3", species="V_Br", quantity="migration_barrier")
    computed = [row for row in rows if row.id.startswith("computed-chgnet")]
    assert {"2x2x2", "3x3x3"} <= {row.condition.split("supercell ")[1].split()[0] for row in computed}
    assert (
        Database.load().select(material="CsPbBr3", species="V_Br", quantity="migration_barrier").one().value_eV == 0.35
    )


def test_row_needs_a_source(series, tmp_path):
    nameless = neb.FiniteSize(tuple(replace(run, source=None) for run in series[0].runs))
    with pytest.raises(InputError, match="needs the paper"):
        neb.write_rows(nameless, tmp_path)
    with pytest.raises(InputError, match="needs the paper"):
        neb.write_rows(nameless, tmp_path, source="Nobody2030")
    assert not (tmp_path / "barriers").exists()
    assert neb.write_rows(nameless, tmp_path, source="Jacobsen1996").is_file()
    with pytest.raises(InputError, match="no runs"):
        neb.write_rows(neb.FiniteSize(()), tmp_path)


def test_unphysical_row_is_not_written(series, tmp_path):
    with pytest.raises(DataError, match="physical bounds"):
        neb.write_rows(synthetic(series, {2: [7.0]}), tmp_path)
    assert not list((tmp_path / "barriers").glob("*"))


# -- structures, picture, command ----------------------------------------------------------------------------


def test_structure_files(tmp_path):
    file = tmp_path / "POSCAR"
    COPPER.write(file, format="vasp")
    assert len(neb.read_structure(file)) == 4
    with pytest.raises(InputError, match="could not be read"):
        neb.read_structure(tmp_path / "none.cif")
    COPPER.write(tmp_path / "flat.xyz", format="xyz")
    with pytest.raises(InputError, match="no periodic cell"):
        neb.read_structure(tmp_path / "flat.xyz")


def test_picture_has_a_panel_a_size_and_one_for_the_barrier(series):
    from halidrift.pipeline.figures import neb as figures

    made = synthetic(series, {2: [0.2, 0.25], 3: [0.3, 0.31]})
    rows = list(Database.load().select(material="CsPbBr3", species="V_Br", quantity="migration_barrier"))
    figure = figures.paths(made, rows)
    assert len(figure.axes) == 3
    assert all("eV" in figure.axes[i].get_ylabel() for i in (0, 2))
    with pytest.raises(InputError, match="no path"):
        figures.paths(neb.FiniteSize(()))


@pytest.fixture
def command():
    from halidrift.pipeline.cli.neb import neb as function

    app = typer.Typer()
    app.command("neb")(function)

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def test_command_computes_keeps_and_continues(command, tmp_path):
    COPPER.write(tmp_path / "cu.cif")
    arguments = (
        *("--structure", tmp_path / "cu.cif", "--species", "V_Cu", "--calculator", "emt", "--images", 1),
        *("--fmax", 0.1, "--relax-fmax", 0.05, "--seeds", 1, "--out", tmp_path / "out"),
    )
    first = command(*arguments)
    assert first.exit_code == 0, first.output
    assert "2x2x2" in first.output
    assert "Not extrapolated" in first.output
    made = {path.suffix for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert made == {".db", ".png"}
    assert len(Database.load(tmp_path / "out").select(material="Cu")) == 1
    second = command(*arguments, "--repeat", "2x2x3")
    assert second.exit_code == 0, second.output
    third = command(*arguments)
    assert "kept from before" in third.output
    # the row file holds every supercell of the series in the store
    assert len(Database.load(tmp_path / "out").select(material="Cu")) == 2


def test_command_without_a_source_says_so_and_takes_it_later(command, tmp_path):
    COPPER.write(tmp_path / "cu.cif")
    arguments = (
        *("V_Cu", "--structure", tmp_path / "cu.cif", "--calculator", "ase.calculators.emt:EMT", "--images", 1),
        *("--fmax", 0.1, "--relax-fmax", 0.05, "--seeds", 1, "--out", tmp_path / "out"),
    )
    wrong = command(*arguments, "--source", "Nobody2030")
    assert isinstance(wrong.exception, InputError)
    assert not (tmp_path / "out" / "neb.db").exists()
    first = command(*arguments)
    assert first.exit_code == 0, first.output
    assert "No database row" in first.output
    second = command(*arguments, "--source", "Jacobsen1996", "--data", tmp_path / "data")
    assert second.exit_code == 0, second.output
    assert "kept from before" in second.output
    assert Database.load(tmp_path / "data").select(material="Cu").one().source == "Jacobsen1996"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("CsPbBr3",), "one species"),
        (("CsPbBr3", "V_Br", "--species", "V_Cs"), "one species"),
        (("--species", "V_Br"), "one crystal"),
        (("CsPbBr3", "V_Br", "--repeat", "2x2"), "not a supercell"),
        (("CsPbBr3", "V_Br", "--repeat", "0"), "not a supercell"),
        (("CsPbBr3", "V_Br", "--repeat", "2", "--repeat", "2x2x2", "--calculator", "emt"), "twice"),
        (("CsPbBr3", "V_Br", "--seeds", "0"), "nothing to compute"),
        (("CsPbBr3", "V_Br", "--calculator", "emt", "--phase", "monoclinic"), "No structure"),
        (("CsPbBr3", "V_Br", "--calculator", "no-such"), "No calculator"),
        (("CsPbBr3", "V_Br", "--relax-fmax", "0"), "--relax-fmax"),
        (("Cu", "V_Cu"), "--structure FILE"),
    ],
)
def test_command_with_wrong_arguments(command, tmp_path, arguments, message):
    result = command(*arguments, "--out", tmp_path / "new" / "folder")
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "new").exists()


def test_command_has_the_defaults_of_the_settings():
    from halidrift.pipeline.cli.neb import neb as function

    given = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    settings = neb.Settings()
    assert given["fmax"] == settings.force_tolerance_eV_angstrom
    assert given["relax_fmax"] == settings.relax_tolerance_eV_angstrom
    assert given["rattle"] == settings.rattle_angstrom
    for name in ("images", "lattice", "steps"):
        assert given[name] == getattr(settings, name)
