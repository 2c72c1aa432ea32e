import json
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
        assert run("db", "export", "--format", format, "--material", "CsPbBr3", "--out", file)[0] == 0
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


@pytest.mark.parametrize("command", [("kmc", "run", "john2022-ogb"), ("fem", "run", "kim2019-n3")])
def test_a_trace_does_not_replace_a_picture(run, tmp_path, command):
    picture = tmp_path / "sweep.png"
    picture.write_bytes(b"kept")
    code, _, err = run(*command, "--out", picture)
    assert (code, "sweep.nc" in err) == (2, True)
    assert picture.read_bytes() == b"kept"


def test_a_result_stands_above_the_bar_of_a_terminal(narrow, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(
        sys, "argv", ["halidrift", "kmc", "run", str(narrow), "--peak", "0.2V", "--out", str(tmp_path / "x.nc")]
    )
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    out, err = capsys.readouterr()
    assert "x.nc" not in out  # written by the bar itself, which knows where its line is
    (line,) = [text for text in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err).splitlines() if "x.nc: " in text]
    assert line.split("\r")[-1].startswith(str(tmp_path / "x.nc"))


@pytest.mark.parametrize("wrong", [["--per-class", "3"], ["--seed", "-1"], ["--workers", "0"]])
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
    from halidrift.pipeline import john2022 as paper

    def interrupted(out, *, progress, **_):
        progress("barriers", 1, 1, "done")
        progress("kmc_volatile", 0, 3, "")
        raise KeyboardInterrupt

    monkeypatch.setattr(paper, "john2022", interrupted)
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


# -- halidrift kmc run, halidrift fem run -----------------------------------------------------------------------------

PULSE = "pulses amplitude=1V width=2ms period=3ms compliance=1uA"


@pytest.fixture
def narrow(tmp_path):
    """The OGB card with a narrow column: runs in a blink."""
    card = tmp_path / "narrow.toml"
    old = next(line for line in CARD.splitlines() if line.startswith("column_width_m"))
    new = 'column_width_m = { value = 3, unit = "nm", kind = "assumed", reason = "a quick run", range = [3, 10] }'
    card.write_text(CARD.replace(old, new), encoding="utf-8")
    return card


def test_a_protocol_is_what_python_calls_it(run, narrow, tmp_path):
    import xarray as xr

    from halidrift import Device, Waveform, trace
    from halidrift.kmc import FilamentKMC, ensemble

    device, wave = Device.load(narrow), Waveform.pulses(1.0, 2e-3, 3e-3, compliance_A=1e-6)
    out, store = tmp_path / "runs.nc", tmp_path / "runs.zarr"
    asked = ["kmc", "run", narrow, "--waveform", PULSE, "--replicas", "3", "--seed", "5", "--workers", "1"]
    code, said, err = run(*asked, "--out", out, "--store", store, "--temperature", "310")
    assert (code, err) == (0, "")
    assert f"{out}: 3 replicas, 44 instants" in said
    whole = ensemble.run(FilamentKMC(device, temperature_K=310.0), wave, 3, rng=5, processes=1)
    xr.testing.assert_identical(ensemble.read(store), whole)
    xr.testing.assert_equal(trace.read(out), whole)
    # more replicas, begun by the command line and ended by Python
    assert run(*asked, "--replicas", "4", "--store", store, "--temperature", "310")[0] == 0
    more = ensemble.run(FilamentKMC(device, temperature_K=310.0), wave, 4, rng=5, processes=1, store=store)
    assert more.sizes["replica"] == 4
    code, _, err = run(*asked, "--store", store, "--temperature", "320")
    assert (code, "--temperature is 310.0, asked 320.0" in err) == (2, True)


def test_electrode_and_transport_reach_the_model(run, narrow, tmp_path):
    from halidrift import trace

    out = tmp_path / "a.nc"
    short = ["--waveform", "hold voltage=0.1V duration=1us samples=2"]
    assert run("kmc", "run", narrow, "--out", out, *short, "--electrode", "Au", "--transport", "explicit")[0] == 0
    parameters = json.loads(trace.read(out).attrs["parameters"])
    assert parameters["transport"] == "explicit"
    assert ["Au", "active_electrode"] in [layer[:2] for layer in parameters["device"]["layers"]]


def test_a_series_writes_one_file_a_value(run, narrow, tmp_path):
    from halidrift import trace

    out = tmp_path / "series"
    vary = ["--vary", "compliance=1uA,1mA", "--vary", "temperature=300K,310K"]
    code, said, _ = run("kmc", "run", narrow, "--out", out, "--waveform", PULSE, *vary)
    assert code == 0
    names = [f"compliance={c},temperature={t}.nc" for c in ("1uA", "1mA") for t in ("300K", "310K")]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    assert [said.index(name) for name in names] == sorted(said.index(name) for name in names)
    for name in names:
        kept = trace.read(out / name)
        limit = 1e-6 if "1uA" in name else 1e-3
        assert trace.waveform_of(kept).compliance_A.tolist() == [limit] * 4
        assert json.loads(kept.attrs["parameters"])["temperature_K"] == (300.0 if "300K" in name else 310.0)


def test_the_options_of_a_sweep_are_a_protocol(run, narrow, tmp_path):
    from halidrift import Waveform, trace

    out = tmp_path / "a.nc"
    sweep = ["--peak", "0.1", "--peak", "-200mV", "--rate", "1e3", "--compliance", "2e-6"]
    assert run("kmc", "run", narrow, "--out", out, *sweep)[0] == 0
    assert trace.waveform_of(trace.read(out)) == Waveform.triangle([0.1, -0.2], 1e3, 2e-6)
    assert (
        run("kmc", "run", narrow, "--out", tmp_path / "rates", "--peak", "0.1", "--vary", "rate=1e3V/s,2e3V/s")[0] == 0
    )
    assert sorted(p.name for p in (tmp_path / "rates").iterdir()) == ["rate=1e3V_s.nc", "rate=2e3V_s.nc"]


def test_the_continuum_takes_protocols_too(run, tmp_path):
    from halidrift import Waveform, trace

    file = tmp_path / "w.csv"
    file.write_text("time_ms,voltage_V\n0,0.1\n1,0.1\n", encoding="utf-8")
    out = tmp_path / "a.nc"
    assert run("fem", "run", "john2022-ogb", "--out", out, "--waveform", file)[0] == 0
    wave = trace.waveform_of(trace.read(out))
    assert (wave.duration_s, wave.voltage_V.tolist()) == (1e-3, [0.1, 0.1])
    out = tmp_path / "series"
    hold = "hold voltage=0.1V duration=1ms samples=2"
    assert run("fem", "run", "john2022-ogb", "--out", out, "--waveform", hold, "--vary", "voltage=0.1V,0.2V")[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["voltage=0.1V.nc", "voltage=0.2V.nc"]
    assert Waveform.hold(0.1, 1e-3, samples=2) == trace.waveform_of(trace.read(out / "voltage=0.1V.nc"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["john2022-ogb"], ["Nothing would be kept", "--out", "--store"]),
        (["kim2019-n3", "--out", "a.nc"], ["This card is for another model", "kim2019-n3"]),
        (["john2022-ogb", "--out", "a.nc", "--waveform", "hold voltage=1 duration=1s"], ["needs a unit", "'1'"]),
        (["john2022-ogb", "--out", "a.nc", "--waveform", PULSE, "--peak", "2"], ["--peak does not go", "peaks="]),
        (["john2022-ogb", "--out", "a.nc", "--peak", "2A"], ["--peak has the wrong unit"]),
        (["john2022-ogb", "--out", "a.nc", "--vary", "rate=1V/s,2V/s"], ["--out names a file", "a folder"]),
        (["john2022-ogb", "--out", "s", "--vary", "rte=1V/s"], ["No part", "Did you mean rate"]),
        (["john2022-ogb", "--out", "s", "--vary", "rate=1V/s", "--vary", "rate=2V/s"], ["twice"]),
        (["john2022-ogb", "--out", "s", "--vary", "temperature=300"], ["temperature needs a unit"]),
        (["john2022-ogb", "--out", "s", "--vary", "temperature=300K,2000K"], ["Silver is molten"]),
        (["john2022-ogb", "--out", "a.nc", "--transport", "slow"], ["Unknown transport"]),
        (["john2022-ogb", "--out", "a.nc", "--replicas", "0"], ["replicas must be a positive whole number"]),
        (["john2022-ogb", "--out", "a.nc", "--replicas", "2", "--dask", "here"], ["tcp://host:8786"]),
        (["john2022-ogb", "--out", "a.nc", "--replicas", "2", "--dask", "tcp://localhost:1"], ["No Dask scheduler"]),
    ],
)
def test_a_wrong_run_ends_before_any_work(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("kmc", "run", *arguments)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.nc"))


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_says_how_many_replicas_are_done(run, narrow, tmp_path, monkeypatch, kept):
    from halidrift.kmc import FilamentKMC, ensemble

    simulate, calls = FilamentKMC.simulate, []

    def interrupted(self, waveform, *, rng=None):
        calls.append(waveform)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return simulate(self, waveform, rng=rng)

    monkeypatch.setattr(FilamentKMC, "simulate", interrupted)
    asked = ["kmc", "run", narrow, "--waveform", PULSE, "--vary", "compliance=1uA,1mA", "--replicas", "4"]
    asked += ["--workers", "1", "--out", tmp_path / "out", *(["--store", tmp_path / "runs"] if kept else [])]
    code, _, err = run(*asked)
    assert code == 130
    assert "Finished: compliance=1uA. 1 of 4 replicas of compliance=1mA are done" in err
    assert ("the same command continues from there" in err) == kept
    assert ("none is kept without --store" in err) != kept
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["compliance=1uA.nc"]
    if kept:
        place = tmp_path / "runs" / "compliance=1mA.zarr"
        assert ensemble.read(place, partial=True).replica.values.tolist() == [0]
        before = len(calls)
        assert run(*asked)[0] == 0
        assert len(calls) - before == 3  # nothing twice
        assert ensemble.read(place).sizes["replica"] == 4


# -- halidrift fem film, fem filament, reproduce kim2019 ---------------------------------------------------------------


def test_a_synapse_protocol_is_played_and_told(run, tmp_path):
    from halidrift.physics import synapse, trace

    out = tmp_path / "pair.nc"
    code, told, _ = run("fem", "film", "kim2019-n3", "--protocol", "pair interval=60ms", "--out", out)
    assert code == 0
    assert "A2/A1" in told
    kept = trace.read(out)
    assert trace.waveform_of(kept) == synapse.pair(60e-3)
    # the general command goes by the card
    code, _, _ = run("fem", "run", "kim2019-n3", "--waveform", "pair interval=60ms", "--out", tmp_path / "same.nc")
    assert code == 0
    assert trace.read(tmp_path / "same.nc")["current"].equals(kept["current"])


def test_a_run_without_a_rise_is_kept_and_drawn(run, tmp_path):
    """Depressing spikes leave no weight to follow: said, and no end of the series."""
    from halidrift.compact import plasticity
    from halidrift.physics import trace

    code, told, _ = run(
        "fem", "film", "kim2019-n1", "--protocol", "retention count=1 watch=6s lead=1s", "--vary", "amplitude=1V,-1V",
        "--plot", tmp_path / "pictures", "--out", tmp_path / "runs",
    )  # fmt: skip
    assert code == 0
    assert "no law of forgetting" in told
    # to the last instant, counted from the end of the spike
    law = plasticity.retention(trace.read(tmp_path / "runs" / "amplitude=-1V.nc"), window_s=(0.1, 6.1))
    assert f"weight {law.b:.4g} (t/s)^-{law.m:.4g} from 0.1 to 6 s" in told
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_a_series_of_pictures_with_profiles(run, tmp_path):
    code, _, _ = run(
        "fem", "film", "kim2019-n1", "--vary", "amplitude=-0.5V,-1V", "--profiles", "--plot", tmp_path / "pictures"
    )
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["amplitude=-0.5V.png", "amplitude=-1V.png"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["kim2019-n3"], "Nothing would be kept"),
        (["kim2019-n3", "--protocol", "pair", "--waveform", "single", "--out", "x.nc"], "does not go with"),
        (["kim2019-n3", "--plot", "x.jpg"], "unknown kind"),
        (["kim2019-n3", "--protocol", "pair interval=60", "--out", "x.nc"], "needs a unit"),
        (["kim2019-n3", "--protocol", "triple", "--out", "x.nc"], "triple"),
        (["john2022-ogb", "--out", "x.nc"], "ion_density_1_m3"),
        (["john2022-ogb", "--out", "x.nc"], "a card such as kim2019-n3"),
        (["kim2019-n3", "--plot", "series.png", "--vary", "amplitude=-1V,-0.5V"], "--plot names a file"),
        (["kim2019-n3", "--plot", "/proc/none/x.png"], "with --plot"),
    ],
)
def test_a_film_that_cannot_be_played_is_told(run, tmp_path, monkeypatch, wrong, told):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("fem", "film", *wrong)
    assert code == 2
    assert told in err
    assert not list(tmp_path.iterdir())


def test_an_ion_film_takes_no_metal(run, tmp_path):
    """Equal numbers for Au and Ag would read as a result."""
    code, _, err = run("fem", "film", "kim2019-n3", "--out", tmp_path, "--vary", "electrode=Au,Ag")
    assert code == 2
    assert "nothing to an ion film" in err
    assert not list(tmp_path.iterdir())


def test_a_question_ends_a_message(run, tmp_path):
    _, _, err = run("fem", "film", "kim2019-n3", "--protocol", "pear", "--out", tmp_path / "x.nc")
    assert err.rstrip().endswith("Did you mean pair?")


def test_the_filament_has_a_command_and_a_picture(run, tmp_path):
    code, told, _ = run(
        "fem", "filament", "john2022-ogb", "--waveform", "hold voltage=0.05V duration=1ms samples=3",
        "--plot", tmp_path / "hold.png",
    )  # fmt: skip
    assert code == 0
    assert "Picture" in told
    assert (tmp_path / "hold.png").stat().st_size > 1000


def test_reproduce_kim_says_which_films_there_are(run, tmp_path):
    code, _, err = run("reproduce", "kim2019", "--out", tmp_path, "--films", "1,7")
    assert code == 2
    assert "1, 2, 3, 4, 5, inf" in err
