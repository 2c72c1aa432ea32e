"""What every command has in common: help, options, exit codes, completion, start-up."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from halidrift.physics.errors import ConvergenceError, InputError
from halidrift.pipeline import cli
from halidrift.pipeline.cli import _ORDER, _console, app

IV = Path(__file__).parents[2] / "docs" / "data" / "iv.csv"


def leaves(group, path=()):
    """Every command with its words."""
    for info in group.registered_commands:
        yield (*path, info.name), info
    for member in group.registered_groups:
        yield from leaves(member.typer_instance, (*path, member.name))


COMMANDS = dict(leaves(app))
NAMES = [" ".join(words) for words in COMMANDS]
FREE = {"db export", "db cite", "kmc draw", "version"}  # their result is a text, a picture, a line


def options(info):
    """Spelling of each option to its typer declaration."""
    found = {}
    for p in inspect.signature(info.callback).parameters.values():
        for extra in getattr(p.annotation, "__metadata__", ()):
            for spelling in (getattr(extra, "default", None), *(getattr(extra, "param_decls", None) or ())):
                if isinstance(spelling, str) and spelling.startswith("-"):
                    found[spelling] = extra
    return found


def example(info):
    """The words of the example in the help of a command."""
    text = re.sub(r"\s+", " ", inspect.getdoc(info.callback)).partition("Example: ")[2]
    assert text.startswith("halidrift "), info.name
    return shlex.split(text)[1:]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the console entry point in an empty folder; returns exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return call


def test_the_help_shows_the_chain_in_order(run):
    code, out, _ = run("--help")
    assert code == 0
    shown = re.findall(r"^│ ([a-z]+) {2,}", out, flags=re.MULTILINE)
    assert tuple(shown) == _ORDER


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_an_example_that_its_parser_takes(name, monkeypatch):
    """Each with its own words first, and with options that exist."""
    words = tuple(name.split())
    asked = example(COMMANDS[words])
    assert tuple(asked[: len(words)]) == words
    command = typer.main.get_command(app)
    context = command.make_context("halidrift", list(asked))
    for word in words:
        assert word == asked.pop(0)
        command = command.commands[word]
        if not hasattr(command, "commands"):
            command.make_context(word, list(asked), parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_options_mean_the_same_everywhere(name):
    found = options(COMMANDS[tuple(name.split())])
    assert "--quiet" in found
    assert name in FREE or "--json" in found
    assert not {"--processes", "--output", "-o"} & set(found)
    # units stand in the value
    assert not [o for o in found if re.search(r"-(A|V|s|K|ohm|nm|m2|um2)$", o)]
    for spelling, shared in (("--json", _console.Json), ("--workers", _console.Workers), ("--dask", _console.Dask)):
        if spelling in found:
            assert found[spelling] is shared.__metadata__[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("wrong"), 2), (ConvergenceError("failed"), 1), (KeyboardInterrupt(), 130), (None, 0)],
    ids=["bad input", "failed", "interrupted", "done"],
)
def test_exit_codes(name, error, code, run, monkeypatch):
    """Of each command as its example calls it, whatever goes wrong inside."""
    info = COMMANDS[tuple(name.split())]
    asked = example(info)

    def raises(*_, **__):
        if error is not None:
            raise error

    raises.__signature__ = inspect.signature(info.callback)
    raises.__annotations__ = info.callback.__annotations__
    monkeypatch.setattr(info, "callback", raises)
    found, out, err = run(*asked)
    assert found == code
    assert out == ""
    assert ("wrong." in err) == (code == 2)
    assert "Traceback" not in err


def test_a_defect_keeps_its_traceback(run, monkeypatch):
    """Python ends it with 1."""

    def raises():
        raise ZeroDivisionError

    monkeypatch.setattr(COMMANDS["version",], "callback", raises)
    monkeypatch.setattr(sys, "argv", ["halidrift", "version"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


BAD = {
    "db list": ["--material", "Unobtainium"],
    "db select": ["--species", "V_Br"],
    "db show": ["no-such-row"],
    "db compare": ["--material", "CsPbBr3", "--species", "Kr_i"],
    "db check": ["--data", "nowhere"],
    "db export": ["--format", "xls"],
    "db cite": ["Nobody1900"],
    "neb": ["CsPbBr3"],
    "conduction": ["nowhere.csv"],
    "devices": ["--json", "/proc/none/x.json"],
    "device show": ["john"],
    "new device": ["a/b"],
    "check": ["nowhere.toml"],
    "kmc run": ["john2022-ogb"],
    "kmc draw": ["nowhere.nc", "--out", "x.png"],
    "fem run": ["john", "--out", "x.nc"],
    "fem filament": ["john2022-ogb"],
    "fem film": ["kim2019-n3"],
    "characterise": ["nowhere.nc"],
    "fit": ["nowhere.csv"],
    "export": ["nowhere.json"],
    "crossbar": ["--size", "1"],
    "explain": ["--out", "x", "--samples", "100"],
    "design": ["--out", "x", "--start-phase", "2"],
    "reproduce john2022": ["--out", "x", "--per-class", "0"],
    "reproduce kim2019": ["--out", "x", "--films", "7"],
    "trace": ["nowhere.json"],
    "doctor": ["--json"],
    "version": ["--quite"],
}


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_2_and_says_so(name, run, tmp_path):
    code, out, err = run(*name.split(), *BAD[name])
    assert (code, out) == (2, "")
    assert len(err.split()) > 3
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["crossbar", "--low", "3V"], "--low has the wrong unit"),
        (["crossbar", "--pull-up", "3V"], "geometric, best, or a resistance in ohm, as 10kohm or 1e4"),
        (["crossbar", "--saturation", "one"], "--saturation is not a number"),
        (["conduction", "iv.csv", "--thickness", "200"], "--thickness needs a unit"),
        (["conduction", "iv.csv", "--area", "1um"], "such as 1e4um2 or 1mm2"),
        (["fit", "iv.csv", "--compliance", "1uV"], "such as 1uA or 1mA"),
        (["kmc", "run", "john2022-ogb", "--temperature", "27F", "--out", "x.nc"], "such as 300K"),
        (["fit", "iv.csv", "--traces", "clean.png"], "--traces is written as NetCDF"),
        (["kmc", "run", "john2022-ogb", "--temperature", "25", "--out", "x.nc"], "Did you mean 25C?"),
        (["fit", "iv.csv", "--temperature", "-250C"], "--temperature is too cold"),
    ],
)
def test_a_wrong_unit_is_told_with_a_right_one(run, option, told):
    code, _, err = run(*option)
    assert code == 2
    assert told in re.sub(r"[\s│]+", " ", err)


@pytest.mark.parametrize(
    ("arguments", "told", "python"),
    [
        (["crossbar", "--line=-1ohm"], "--line must not be negative", "word_segment_ohm"),
        (["kmc", "run", "john2022-ogb", "--out", "x.nc", "--rate=-1V/s"], "--rate must be", "rate_V_s"),
        (
            [
                "kmc",
                "run",
                "john2022-ogb",
                "--out",
                "x.nc",
                "--waveform",
                "pulses amplitude=1V width=0s period=1s count=1",
            ],
            "width must be",
            "width_s",
        ),
    ],
)
def test_a_message_has_the_words_that_were_typed(run, arguments, told, python):
    code, _, err = run(*arguments)
    assert code == 2
    assert told in err
    assert python not in err


def test_only_options_of_the_command_are_named():
    assert _console.typed("temperature_K is odd", ["--seed"], []) == "temperature_K is odd"
    options = ["--temperature", "--delay"]
    assert _console.typed("Cell.temperature_K is odd", options, []) == "--temperature is odd"
    for kept in (
        "the_temperature_K is odd",
        'fixed={"x": 1}, temperature_K=300',
        "delay_s, on the command line --delay",
    ):
        assert _console.typed(kept, options, []) == kept


def test_a_temperature_is_in_kelvin_or_says_that_it_is_not():
    parse = _console.measured("--temperature", "K", "Help.").parser
    assert [parse(text) for text in ("300", "300K", "25C", "25 °C", "-20C")] == pytest.approx(
        [300.0, 300.0, 298.15, 298.15, 253.15]
    )
    assert _console.measured("--temperature", "K", "Help.", coldest_K=0.0).parser("4K") == 4.0


def test_a_device_card_is_no_model(run):
    Path("mine.toml").write_text("")
    code, _, err = run("export", "mine.toml")
    assert code == 2
    assert "the JSON of a fit, not a device card" in err


def test_every_extra_is_known_to_the_doctor():
    import importlib
    import tomllib

    doctor = importlib.import_module("halidrift.pipeline.cli.doctor")  # the name is that of the command
    project = tomllib.loads((Path(cli.__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = " ".join(doctor._OPTIONAL.values())
    for extra in project["optional-dependencies"]:
        assert f"halidrift[{extra}]" in told, extra


def test_units_of_length_area_and_resistance():
    from halidrift.physics.protocols import quantity

    assert quantity("200nm", "m") == 2e-7
    assert quantity("1e4um2", "m2") == 1e-8
    assert quantity("1mm2", "m2") == quantity("0.01cm2", "m2") == 1e-6
    assert quantity("2.5kΩ", "ohm") == quantity("2500ohm", "ohm") == 2500.0


def test_units_reach_the_work(run):
    few = ("--margin", 0.8)  # no large array reaches it
    code, plain, _ = run(
        "crossbar",
        "--size",
        "4",
        "--low",
        "1e4",
        "--high",
        "1e6",
        "--voltage",
        "0.1",
        "--pull-up",
        "2e4",
        *few,
        "--json",
        "-",
    )
    assert code == 0
    units = ("--low", "10kohm", "--high", "1Mohm", "--voltage", "100mV", "--pull-up", "20kohm")
    same = run("crossbar", "--size", 4, *units, *few, "--json", "-")
    assert json.loads(plain) == json.loads(same[1])


@pytest.mark.parametrize("name", ["devices", "device show kim2019-n3", "db list", "db select", "db check", "doctor"])
def test_json_on_standard_output_and_nothing_else(run, name):
    extra = ["--material", "CsPbBr3", "--species", "V_Br", "--quantity", "migration_barrier"]
    asked = [*name.split(), *(extra if name == "db select" else [])]
    code, out, err = run(*asked, "--json", "-")
    assert (code, err) == (0, "")
    kept = json.loads(out)
    code, out, err = run(*asked, "--quiet", "--json", "kept.json")
    assert (code, out, err) == (0, "", "")
    with open("kept.json", encoding="utf-8") as file:
        assert json.load(file) == kept


def test_quiet_does_not_outlive_its_command(run):
    assert run("version", "--quiet") == (0, "", "")
    assert run("version")[1] != ""


def test_bars_only_on_a_terminal(monkeypatch, capsys):
    """And they know how much is left."""
    from halidrift.pipeline.cli._left import Left

    shown = _console.bars()
    assert shown.disable
    assert any(isinstance(column, Left) for column in shown.columns)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert not _console.bars().disable
    monkeypatch.setitem(_console._state, "quiet", True)
    assert _console.bars().disable
    monkeypatch.setitem(_console._state, "quiet", False)
    monkeypatch.delenv("TTY_COMPATIBLE")
    with _console.working("work"):
        pass
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("cha", {"characterise"}),
        ("device show kim2019-n", {f"kim2019-n{n}" for n in (1, 2, 3, 4, 5, "inf")}),
        ("kmc run john2022-d", {"john2022-ddab"}),
        ("new device x --like bl", {"blank"}),
        ("db list --material CsPbB", {"CsPbBr3"}),
        ("db compare --species Ag", {"Ag_i"}),
        ("db list --source Kim", {"Kim2019"}),
        ("db show woo2022-cspbbr3", {"woo2022-cspbbr3-v_br"}),
        ("fit iv.csv --model nonv", {"nonvolatile"}),
        ("conduction --thick", {"--thickness"}),
    ],
)
def test_a_shell_completes(run, monkeypatch, typed, wanted):
    monkeypatch.setenv("_HALIDRIFT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"halidrift {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    code, out, _ = run()
    assert code == 0
    assert wanted <= set(out.split())
    assert all(word.startswith(typed.split()[-1]) for word in out.split())


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="no bash")
def test_completion_is_installed(tmp_path):
    """As a user of bash does it."""
    call = f"{shlex.quote(sys.executable)} -m halidrift.pipeline.cli --install-completion; exit $?"
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(["/bin/bash", "-c", call], env=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / "halidrift.sh"
    assert "_HALIDRIFT_COMPLETE" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


HEAVY = ("fipy", "torch", "matplotlib", "scipy", "numba", "numpy", "xarray", "sklearn", "ase", "lmfit", "llvmlite")


@pytest.mark.parametrize("what", ["import", "help"])
def test_the_start_is_light(what, tmp_path):
    """Nothing heavy is imported and nothing is compiled."""
    code = "import sys, halidrift"
    if what == "help":
        code = (
            "import sys; sys.argv = ['halidrift', '--help']\n"
            "import contextlib, io\nfrom halidrift.pipeline.cli import main\n"
            "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n    main()"
        )
    code += f"\nprint([m for m in {HEAVY} if m in sys.modules])"
    cache = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=cache)
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [("numba", 1), ("zarr", 0), (None, 0)])
def test_doctor(run, monkeypatch, missing):
    from importlib import metadata

    real, (name, expected) = metadata.version, missing

    def version(package):
        if package == name:
            raise metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(metadata, "version", version)
    code, out, err = run("doctor", "--json", "-")
    record = json.loads(out)
    assert code == expected
    assert bool(record["faults"]) == bool(expected)
    assert {"cores", "memory_GiB", "numba_cache", "needed", "optional"} <= set(record)
    code, out, err = run("doctor")
    assert code == expected
    if name == "zarr":
        assert record["optional"]["zarr"] is None
        assert "pip install 'halidrift[campaign]'" in out
    if name == "numba":
        assert "numba is not installed; needed for kinetic Monte Carlo" in err


def test_doctor_finds_a_cache_that_cannot_be_written(run, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/none")
    code, _, err = run("doctor")
    assert code == 1
    assert "NUMBA_CACHE_DIR" in err


def test_json_takes_what_a_job_leaves(capsys):
    """Arrays, numbers of numpy, tuples and nan; on standard output nothing else."""
    _console.give({"a": np.array([1.0, np.nan]), "b": np.int64(3), "c": (np.float32(0.5), np.inf)}, Path("-"))
    assert json.loads(capsys.readouterr().out) == {"a": [1.0, None], "b": 3, "c": [0.5, None]}


def test_a_fixed_parameter_takes_a_unit(run, tmp_path):
    cell = tmp_path / "cell.json"
    given = ["--fixed", "relaxation_time_s=900ms", "--fixed", "conductance_on_S=4e-6", "--resamples", "0"]
    code, _, _ = run("fit", IV, *given, "--out", str(cell))
    values = {row["name"]: row["value"] for row in json.loads(cell.read_text())["parameters"]}
    assert (code, values["relaxation_time_s"], values["conductance_on_S"]) == (0, 0.9, 4e-6)
    code, _, err = run("fit", IV, "--fixed", "relaxation_time_s=900mV")
    assert code == 2
    assert "relaxation_time_s" in err


def test_a_run_says_its_compliance_and_whether_anything_switched(run, tmp_path):
    quiet = ["kmc", "run", "john2022-ogb", "--peak", "0.2V", "--rate", "100V/s"]
    code, out, _ = run(*quiet, "--out", str(tmp_path / "a.nc"))
    assert code == 0
    assert "compliance 1e-06 A" in out
    assert "nothing switched" in out
