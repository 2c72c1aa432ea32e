"""Damaged files against every reader: only errors of the house may come out, and soon.

python benchmarks/fuzz.py [--inputs 10000] [--only cards,traces] [--seed 0] [--out fuzz-found] [--json]

Each reader gets files that it accepts, damaged: values of a table or record replaced (nan, 10^400, wrong type, empty,
unicode), keys deleted, renamed, doubled; lines of text cut, copied, exchanged; bytes flipped, cut off, put in. What
comes out must be an error of :class:`HalidriftError`, or an object that keeps its promises (finite, within bounds,
printable). Warnings are errors. An input has 5 s and 1 GiB, and may start no process, open no socket, unpickle
nothing and write no file. Input number i of a reader depends on the seed, the reader and i alone. Inputs of which
anything else comes out are saved to --out with the traceback, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import datetime
import functools
import gzip
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from halidrift.physics.errors import HalidriftError

LIMIT_S, LIMIT_BYTES = 5.0, 1 << 30
_FORBIDDEN = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "pickle.find_class"}
_FORBIDDEN |= {"socket.connect", "socket.bind"}

# -- damage ---------------------------------------------------------------------------------------------------------

# texts that a measurement may hold by accident
SCRAPS = [
    "NaN",
    "9.91E+37",
    "",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "1e400",
    "-",
    "--",
    "0",
    "1e-300",
    '"',
    "#",
    "V",
    "I (A)",
]
SCRAPS += [
    "\x00",
    "é",
    "µA",
    "1,5",
    "inf",
    "1_0",
    "DataName",
    "DataValue",
    "(1)",
    "[",
    "e5",
    " ",
    "-1e9",
    "\ufeff",
    "٣",
]
# and what nobody writes by accident
HOSTILE = [
    "9" * 5000,
    "[" * 2000,
    '{"a":' * 2000,
    "{a=" * 500,
    "}",
    "]",
    "1979-13-45",
    "1979-05-27T07:32:00Z",
    "\u2028",
]
HOSTILE += [
    "__import__('os').system('touch fuzzed')",
    "$(touch fuzzed)",
    "{{7*7}}",
    "../../../etc/passwd",
    "\\",
    "null",
]
HOSTILE += [
    "1e12",
    "-1",
    "nan",
    "Infinity",
    "true",
    "'",
    "=",
    "{",
    "\U0001f600",
    "x" * 3000,
    "\x1a",
    "\x85",
    "1e999999999",
]
VALUES: list[Any] = [math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-320, 1e12, 0, -0.0, -1, 1, 2**63, 10**400, True]
VALUES += [
    None,
    "",
    " ",
    "é",
    "\x00",
    "nan",
    "1e-9",
    "x" * 3000,
    "../../etc/passwd",
    [],
    {},
    [[]],
    [math.nan],
    {"a": 1},
]
VALUES += ["__import__('os').system('touch fuzzed')", "[red]", "{}", "%s", datetime.date(1979, 5, 27), [1, "a", None]]


def mangled(text: str, rng: random.Random, scraps: list[str]) -> str:
    """A text, cut, shuffled and sprinkled."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.choice(["insert", "cut", "copy", "swap", "replace", "drop"])
        at = rng.randrange(max(len(text), 1))
        if kind == "insert":
            text = text[:at] + rng.choice(scraps) + text[at:]
        elif kind == "cut":
            text = text[:at] + text[at + rng.randint(1, 60) :]
        elif kind == "copy":
            text = text[:at] + text[max(at - rng.randint(1, 200), 0) :]
        elif kind == "replace":
            old = rng.choice([",", ".", "\n", "E-", "(", "0", ";", "V", '"', "=", "e", "1"])
            text = text.replace(old, rng.choice(scraps), rng.randint(1, 400) if len(text) < 20_000 else 3)
        else:
            lines = text.split("\n")
            a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
            if kind == "swap":
                lines[a], lines[b] = lines[b], lines[a]
            else:
                lines = lines[: min(a, b)] + lines[max(a, b) :]
            text = "\n".join(lines)
        text = text[:200_000]
    return text


def flipped(raw: bytes, rng: random.Random) -> bytes:
    """Bytes of which some are flipped, cut off, put in or doubled; those of the header more often than others."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        if not data:
            break
        at = rng.randrange(min(len(data), 64)) if rng.random() < 0.4 else rng.randrange(len(data))
        kind = rng.random()
        if kind < 0.4:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind < 0.75:
            del data[at : len(data) if rng.random() < 0.5 else at + rng.randint(1, 16)]
        elif kind < 0.9:
            data[at:at] = rng.choice([b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", rng.randbytes(rng.randint(1, 12))])
        else:
            data[at:at] = data[max(at - rng.randint(1, 64), 0) : at]
    return bytes(data)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with every key or index of it."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def altered(tree: Any, rng: random.Random) -> Any:
    """Plain data of which some values are others, or some keys are gone, renamed, exchanged or doubled."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = list(_places(tree))
        if not places:
            return tree
        where, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.55:
            where[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.65:
            del where[key]
        elif kind < 0.75:
            other, theirs = rng.choice(places)
            # a part must not come to lie within itself
            where[key], other[theirs] = copy.deepcopy(other[theirs]), copy.deepcopy(where[key])
        elif kind < 0.85 and isinstance(where, dict):
            where[rng.choice(["", "a b", "é", str(key) + "_", str(key).upper(), "range", "spread"])] = where.pop(key)
        elif kind < 0.92 and isinstance(where, list):
            where.insert(rng.randrange(len(where) + 1), copy.deepcopy(where[key]))
        elif isinstance(where[key], bool | str | None):
            where[key] = [where[key]]
        elif isinstance(where[key], int | float):
            scale = rng.choice([0.0, -1.0, 1e30, 1e-30])
            huge = isinstance(where[key], int) and abs(where[key]) > 10**300  # too large for a float
            where[key] = str(where[key]) if not scale else -where[key] if huge or scale < 0 else where[key] * scale
        else:
            where[key] = rng.choice([0, "text", []])
    return tree


def toml(value: Any) -> str:
    """Plain data as TOML, all tables inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(value or "", ensure_ascii=False)


def _toml_file(tree: Any) -> str:
    return "\n".join(f"{json.dumps(key, ensure_ascii=False)} = {toml(value)}" for key, value in tree.items())


# -- readers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seed:
    """A file that its reader accepts: its name, its content and, if it has a structure, that and how it is written."""

    name: str
    raw: bytes
    tree: Any = None
    written: Callable[[Any], str] | None = None


def _text(name: str, text: str) -> Seed:
    return Seed(name, text.encode())


def _record(name: str, tree: Any) -> Seed:
    return Seed(name, json.dumps(tree).encode(), tree, functools.partial(json.dumps, default=str))


@dataclass(frozen=True)
class Reader:
    """What reads a file; `accept` also looks at what it made of it."""

    accept: Callable[[Path], object]
    seeds: tuple[Seed, ...]
    scraps: list[str] = field(default_factory=lambda: SCRAPS + HOSTILE)
    encodings: tuple[str, ...] = ("utf-8",)

    def damaged(self, rng: random.Random) -> tuple[str, bytes]:
        """Name and content of a damaged file."""
        seed, kind = rng.choice(self.seeds), rng.random()
        if seed.written is not None and kind < 0.6:
            return seed.name, seed.written(altered(seed.tree, rng)).encode(errors="replace")
        try:
            text = seed.raw.decode()
        except UnicodeDecodeError:
            return seed.name, flipped(seed.raw, rng)
        if kind < 0.85:
            return seed.name, mangled(text, rng, self.scraps).encode(rng.choice(self.encodings), errors="replace")
        return seed.name, flipped(seed.raw, rng)


def _data() -> Path:
    from halidrift.physics.citations import PACKAGED_DATA

    return PACKAGED_DATA


def cards() -> Reader:
    """Device cards: `Device.load`, and `Device.check` finds a fault where that raises."""
    import tomllib

    from halidrift.physics.database import Database
    from halidrift.physics.device import Device
    from halidrift.physics.parameters import PARAMETERS

    database = Database.load()

    def accept(file: Path) -> None:
        try:
            device = Device.load(file, database=database)
        except HalidriftError:
            with contextlib.suppress(HalidriftError):  # what is no TOML is no card with faults
                assert Device.check(file, database=database)[2], "load refuses what check finds no fault in"
            raise
        assert not Device.check(file, database=database)[2], "check finds a fault in what load accepts"
        for name, parameter in device.parameters.items():
            assert PARAMETERS[name][0] <= parameter.value <= PARAMETERS[name][1]
            assert str(parameter)
        json.dumps(device.to_dict(), allow_nan=False)

    texts = [file.read_text(encoding="utf-8") for file in sorted((_data() / "devices").glob("*.toml"))]
    return Reader(accept, tuple(Seed("card.toml", t.encode(), tomllib.loads(t), _toml_file) for t in texts))


def barriers() -> Reader:
    """Barrier files: `barriers.read`; one file in fifty also as a data directory, as ``--data`` does."""
    import tomllib

    from halidrift.physics import barriers as rows
    from halidrift.physics.citations import bibliography
    from halidrift.physics.database import Database

    known = frozenset(bibliography())
    count = 0

    def accept(file: Path) -> None:
        nonlocal count
        count += 1
        found = list(rows.read(file, known))
        if count % 50 == 1:
            folder = file.parent / "data" / "barriers"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "own.toml").write_bytes(file.read_bytes())
            with contextlib.suppress(HalidriftError):  # shipped ids are taken
                Database.load(folder.parent)
        for row in found:
            if isinstance(row, HalidriftError):
                raise row
            sides = [side for side in (row.low_eV, row.high_eV) if side is not None]
            assert sides
            assert all(math.isfinite(side) for side in sides)
            assert sides == sorted(sides)
            assert str(row)
            assert row.sides

    texts = [file.read_text(encoding="utf-8") for file in sorted((_data() / "barriers").glob("*.toml"))]
    return Reader(accept, tuple(Seed("own.toml", t.encode(), tomllib.loads(t), _toml_file) for t in texts))


def _loop(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    V = np.concatenate([np.linspace(0, 1, n), np.linspace(1, -1, 2 * n), np.linspace(-1, 0, n)])
    G = np.where((np.arange(V.size) > 0.6 * n) & (np.arange(V.size) < 2.4 * n), 1e-5, 1e-8)
    return V, np.clip(V * G, -5e-6, 5e-6)


def _rows(form: Callable[[int, float, float], str]) -> str:
    V, I = _loop()  # noqa: E741
    return "\n".join(form(n, v, i) for n, (v, i) in enumerate(zip(V, I, strict=True)))


MEASUREMENTS = [
    "SetupTitle, I/V Sweep\nTestParameter, Channel.IName, I1\nTestParameter, Channel.VName, V1\n"
    "TestParameter, Channel.Func, VAR1\nTestParameter, Measurement.Primary.Compliance, 5e-06\n"
    "MetaData, TestRecord.TestTarget, A1\nDataName, V1, I1, Time\n"
    + _rows(lambda n, v, i: f"DataValue, {v:.4g}, {i:.4E}, {n * 0.1:.4g}"),
    "AI(1),AV(1),AI(2),AV(2)\n" + _rows(lambda n, v, i: f"{i:.4E},{v:.4g},{i:.4E},{v:.4g}"),
    "Voltage (V);Current (uA);Time (s);Status\n"
    + _rows(lambda n, v, i: f"{v:.4g};{1e6 * i:.4g};{0.1 * n:.4g};{21504 + 8 * (abs(i) > 4.9e-6)}".replace(".", ",")),
    "device\tcycle\tt/s\tV (V)\tI (A)\tcompliance\n"
    + _rows(lambda n, v, i: f"D{n % 2}\t1\t{0.1 * n:.3g}\t{v:.4g}\t{i:.3E}\t{int(abs(i) > 4.9e-6)}"),
    "session\nMon Jun 12 2024\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n"
    + "\n".join(f"1,{1 + n % 2},{10 ** (5 + n % 3)},{n % 3 - 1},1e-4,P,S R2 V=0.5,0.5" for n in range(40)),
    "cycle,R_HRS (Ohm),R_LRS (Ohm)\n" + "\n".join(f"{n},{1e7 + n},{1e4 - n}" for n in range(12)),
    "# V I\n" + _rows(lambda n, v, i: f"{v:.4g} {i:.4E}"),
    "time_s,voltage_V,current_A\n" + "\n".join(f"{0.1 * n:.4g},0.1,{1e-6 * (n + 1) ** -0.1:.4E}" for n in range(30)),
]


def measurements() -> Reader:
    """Measured tables: what is read are traces."""
    from halidrift.physics import trace as traces
    from halidrift.physics.measurements import read

    def accept(file: Path) -> None:
        try:
            found = read(file)
        except HalidriftError as error:
            if str(file) not in str(error):
                raise AssertionError("the error names no file") from error
            raise
        for trace in found.traces:
            traces.check(trace)
            assert (trace.conductance.values > 0).all()
            assert (np.diff(trace.time.values) > 0).all()
            assert trace.sizes["time"] >= 10
        assert str(found.report)

    seeds = tuple(_text("iv.csv", text) for text in MEASUREMENTS)
    return Reader(accept, seeds, SCRAPS, ("utf-8", "utf-8", "utf-16", "cp1252"))


def conduction() -> Reader:
    """Tables for an analysis of the conduction mechanism."""
    from halidrift.physics.conduction import read_csv

    def accept(file: Path) -> None:
        found = read_csv(file, temperature_K=300.0)
        assert all(np.isfinite(found[name].values).all() for name in ("voltage", "current", "temperature"))

    V, I = np.linspace(0.1, 2.0, 30), 1e-9 * np.linspace(0.1, 2.0, 30) ** 2  # noqa: E741
    heads = ("voltage_V,current_A\n", "Voltage (V);I [mA]\n", "# a\nV1 [V]\tCurrent/nA\n")
    rows = [
        head + "\n".join(f"{v:.4g}{sep}{i:.4E}" for v, i in zip(V, I, strict=True))
        for head, sep in zip(heads, ",;\t", strict=True)
    ]
    return Reader(accept, tuple(_text("iv.csv", text) for text in rows), SCRAPS, ("utf-8", "utf-16", "cp1252"))


def waveforms() -> Reader:
    """Waveforms as records, tables and protocols."""
    from halidrift.physics.protocols import Protocol
    from halidrift.physics.waveform import Waveform

    def accept(file: Path) -> None:
        if file.suffix == ".json":
            wave = Waveform.from_dict(json.loads(file.read_text(encoding="utf-8")))
            assert Waveform.from_dict(wave.to_dict()) == wave
        elif file.suffix == ".csv":
            wave = Protocol.parse(file).waveform()
        else:
            wave = Protocol.parse(file.read_text(encoding="utf-8", errors="replace")).waveform()
        assert np.isfinite(wave.times_s).all()
        assert np.isfinite(wave.voltage_at(wave.times_s)).all()
        assert (np.diff(wave.time_s) > 0).all()
        assert (wave.compliance_A > 0).all()
        assert repr(wave)

    made = (
        Waveform.pulses(1.0, 5e-3, 10e-3, 3, read_V=0.1, read_width_s=1e-3, compliance_A=1e-6, samples_per_period=5),
        Waveform.triangle([1.0, -1.0], 1.0, [1e-6, 1e-3], samples_per_V=5),
        Waveform.hold(0.1, 10.0, samples=6, first_s=1e-3),
    )
    tables = (
        "time_s,voltage_V,compliance_A\n0,0,1e-6\n0.5,1,1e-6\n1,0,1e-3\n2,-1,1e-3\n",
        "# own\ntime_ms,voltage_mV\n0,0\n10,100\n20,0\n",
    )
    protocols = (
        "triangle peaks=2V,-2V rate=1V/s compliance=1uA",
        "pulses amplitude=1V width=20ms period=40ms count=10 compliance=1uA read=-0.5V read_width=5ms",
        "5x (pulses amplitude=1V width=20ms period=40ms compliance=1uA + hold voltage=0V duration=200ms samples=20)",
        "spikes times=1ms,20ms amplitude=1V width=2ms duration=0.1s",
        "pair interval=60ms amplitude=-1V width=20ms read=-0.01V",
        "hold voltage=0.1V duration=1e3s first=1ms compliance=1uA",
    )
    seeds = [_record("wave.json", wave.to_dict()) for wave in made]
    seeds += [_text("wave.csv", text) for text in tables] + [_text("wave.txt", text) for text in protocols]
    # a text that would name another file is read as what it is: no seed does
    return Reader(_json_errors(accept), tuple(seeds))


def _json_errors(accept: Callable[[Path], object]) -> Callable[[Path], object]:
    """Reading text and JSON is the caller's part for a record in memory: its errors are no defect of the reader."""

    def wrapped(file: Path) -> object:
        if file.suffix == ".json":
            try:
                json.loads(file.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise HalidriftError("not JSON") from error
        return accept(file)

    return wrapped


def traces() -> Reader:
    """Traces in NetCDF, and the waveform that made them."""
    import xarray as xr

    from halidrift.physics import trace
    from halidrift.physics.waveform import Waveform

    def accept(file: Path) -> None:
        found = trace.read(file)
        assert (found.sizes["time"]) < 1e6
        trace.check(found)
        assert np.isfinite(found.time.values).all()
        with contextlib.suppress(HalidriftError):
            trace.waveform_of(found)

    wave = Waveform.pulses(1.0, 0.1, 0.2, 1, samples_per_period=4, compliance_A=1e-6)
    n = wave.times_s.size
    one = trace.make(
        wave,
        model="fuzz",
        device_voltage_V=wave.voltage_at(wave.times_s),
        current_A=np.arange(n) * 1e-6,
        conductance_S=np.full(n, 1e-6),
        parameters={"a": 1},
        sources=["John2022"],
        extra={"atoms": ("time", np.arange(n), "1", "atoms"), "name": ("time", np.array(["x"] * n), "1", "text")},
    )
    bare = one.drop_vars(["atoms", "name"])
    two = xr.concat([bare, bare], dim="cycle", data_vars="all", coords="minimal", compat="override", join="override")
    with tempfile.TemporaryDirectory() as folder:
        raws = [trace.write(each, Path(folder, "t.nc")).read_bytes() for each in (one, two)]
    return Reader(accept, tuple(Seed("t.nc", raw) for raw in raws))


def models() -> Reader:
    """Records of compact models: `compact.export.load`, and `from_dict` of the class that a record names."""
    from halidrift import compact
    from halidrift.compact.export import load

    def accept(file: Path) -> None:
        try:
            model = load(file)
        except HalidriftError:
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(file.read_text(encoding="utf-8"))
                name = record.get("model") if isinstance(record, dict) else None
                if isinstance(name, str) and name in compact.MODELS:
                    try:
                        compact.MODELS[name].from_dict(record)
                    except HalidriftError:
                        pass
                    except ValueError as error:
                        raise AssertionError("from_dict lets a ValueError out") from error
                    else:
                        raise AssertionError("load refuses what from_dict accepts")
            raise
        again = json.loads(json.dumps(model.to_dict(), allow_nan=False))
        assert type(model).from_dict(again).to_dict() == model.to_dict()
        assert str(model.parameters)
        assert isinstance(model.sources, tuple)

    given: dict[str, dict[str, float]] = {
        "Volatile": {
            "conductance_off_S": 1e-9,
            "conductance_on_S": 4e-6,
            "growth_rate_Hz": 0.05,
            "growth_voltage_V": 0.1,
            "relaxation_time_s": 6e-3,
        },
        "NonVolatile": {
            "conductance_slope_1_V": 3.0,
            "conductance_intercept_S": 1e-5,
            "conductance_off_S": 1e-7,
            "compliance_low_A": 1e-5,
            "compliance_high_A": 1e-3,
            "set_voltage_V": 0.9,
            "reset_voltage_V": -1.5,
        },
        "VTEAM": {
            "conductance_off_S": 1e-6,
            "conductance_on_S": 1e-4,
            "set_voltage_V": 0.5,
            "reset_voltage_V": -0.4,
            "set_rate_Hz": 20.0,
            "reset_rate_Hz": 20.0,
        },
        "Yakopcic": {
            "current_positive_A": 1e-4,
            "current_negative_A": 2e-4,
            "nonlinearity_1_V": 2.0,
            "set_voltage_V": 0.16,
            "reset_voltage_V": -0.15,
            "set_rate_Hz": 5.0,
            "reset_rate_Hz": 5.0,
        },
        "Stanford": {"field_threshold_V_m": 1.2e9, "current_A": 1e-5, "velocity_m_s": 3e-3},
        "Synapse": {
            "conductance_rest_S": 1e-5,
            "drive_rate_1_Vs": 20.0,
            "interface_stiffness_V": 0.5,
            "mobile_curvature_V": 1.0,
            "held_ratio": 5.0,
        },
    }
    records = [compact.MODELS[name].of(**values).to_dict() for name, values in given.items()]
    return Reader(accept, tuple(_record("model.json", record | {"goodness": {"run": 0.1}}) for record in records))


def results() -> Reader:
    """``results.json`` of a job, with the tree of every number in it."""
    from halidrift.physics.citations import citations
    from halidrift.physics.database import Database
    from halidrift.physics.device import Device
    from halidrift.pipeline import provenance
    from halidrift.pipeline.campaign import barrier_row, parameters
    from halidrift.pipeline.john2022.targets import TARGETS
    from halidrift.pipeline.targets import quantity

    def accept(file: Path) -> None:
        found = provenance.read(file)
        for name, _ in provenance.names(found):
            for node in provenance.lineage(found, name):
                assert all(part.kind for part in node.walk())

    card = Device.load("john2022-ogb")
    database = Database.load()
    rows = [database.get(p.barrier) for p in card.parameters.values() if p.barrier]
    stage = {
        "key": "0" * 64,
        "wall_s": 1.0,
        "kept": False,
        "settings": {"seed": 1},
        "source": "",
        "devices": [card.name],
    }
    model = {"name": "tau_s", "value": 6e-3, "unit": "s", "standard_error": 4e-4, "kind": "fitted", "origin": "sweep"}
    everything, calibrated = parameters(card)
    target = {key: TARGETS[key] for key in ("J-NN-07/Icc readout: test accuracy", "J-DIFF-02/set voltage, volatile")}
    first, second = target.values()
    record = {
        "job": "john2022",
        "version": "0",
        "device": card.name,
        "stages": {
            "kmc": {**stage, "after": [], "models": []},
            "compact": {**stage, "after": ["kmc"], "models": ["volatile"]},
            "readouts": {**stage, "after": ["compact", "kmc"], "models": ["volatile"]},
        },
        "traces": {"kmc/sweep": "traces/kmc-sweep.nc"},
        "quantities": [
            quantity(first, 84.1, device=card, uncertainty=0.4, stages=("readouts",), made_by="IccReadout"),
            quantity(second, 0.7, device=card, stages=("kmc/sw*",), made_by="KMC"),
        ],
        "device_parameters": everything[:6],
        "calibrated_parameters": calibrated[:2],
        "fitted_parameters": {"volatile": [model]},
        "barriers": [barrier_row(row) for row in rows],
        "references": citations(card, "John2022", *(key for row in rows for key in row.sources)).splitlines(),
    }
    return Reader(accept, (_record("results.json", json.loads(json.dumps(record))),))


def digits() -> Reader:
    """IDX files, plain and compressed: images and labels."""
    from halidrift.pipeline.digits import read_idx

    def accept(file: Path) -> None:
        found = read_idx(file, 3 if file.stem == "images" else 1)
        assert found.dtype == np.uint8
        assert found.nbytes <= 1 << 20

    pixels = np.arange(4 * 5 * 5, dtype=np.uint8).tobytes()
    images = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 5]) + pixels
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 4]) + bytes([1, 2, 3, 4])
    far = bytes([0, 0, 8, 1, 0x3F, 0xFF, 0xFF, 0xFF])  # a header that tells of a gibibyte
    seeds = [Seed("images.idx", images), Seed("labels.idx", labels)]
    seeds += [Seed("images.idx", gzip.compress(images, mtime=0)), Seed("labels.idx", gzip.compress(labels, mtime=0))]

    class Digits(Reader):
        def damaged(self, rng: random.Random) -> tuple[str, bytes]:
            kind = rng.random()
            if kind < 0.05:  # the same damage, whole again as a gzip
                name, raw = rng.choice([("images.idx", images), ("labels.idx", labels), ("labels.idx", far)])
                return name, gzip.compress(flipped(raw, rng), mtime=0)
            seed = rng.choice([*self.seeds, Seed("labels.idx", far)])
            return seed.name, flipped(seed.raw, rng)

    return Digits(accept, tuple(seeds))


def bibliography() -> Reader:
    """``references.bib`` in a data directory of one's own."""
    import re

    from halidrift.physics.citations import bibliography as read

    def accept(file: Path) -> None:
        for reference in read(file.parent).values():
            assert str(reference)
            assert reference.raw

    text = (_data() / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{.*?^\}$", text, re.DOTALL | re.MULTILINE)
    own = [re.sub(r"^(@\w+\{)", r"\1Own-", entry) for entry in entries]
    seeds = [_text("references.bib", "% own\n\n" + "\n\n".join(own[k : k + 4])) for k in range(0, len(own), 4)]
    return Reader(accept, tuple(seeds))


READERS: dict[str, Callable[[], Reader]] = {
    "cards": cards,
    "barriers": barriers,
    "measurements": measurements,
    "conduction": conduction,
    "waveforms": waveforms,
    "traces": traces,
    "models": models,
    "results": results,
    "digits": digits,
    "bibliography": bibliography,
}


# -- the run --------------------------------------------------------------------------------------------------------


class Overdue(BaseException):
    """An input took too long."""


class Forbidden(BaseException):
    """A reader did what no reader may."""


_watching: Path | None = None  # the folder of the input while it is read


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    if event in _FORBIDDEN:
        raise Forbidden(f"{event} {arguments!r:.200}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = str(arguments[0])
        if not path.startswith(str(_watching)) and "__pycache__" not in path:
            raise Forbidden(f"writes {path}")


@functools.cache
def _hooked() -> None:
    sys.addaudithook(_hook)  # cannot be taken away again: acts while something is watched


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Warnings are errors; memory, files, processes and sockets are watched."""
    global _watching

    def late(*_: Any) -> None:
        raise Overdue(f"more than {LIMIT_S} s")

    _hooked()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGALRM, late)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resource.setrlimit(resource.RLIMIT_AS, (now + LIMIT_BYTES, hard))
        _watching = folder
        try:
            yield
        finally:
            _watching = None
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@dataclass
class Outcome:
    """What came of the inputs of one reader."""

    reader: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    escaped: list[tuple[int, str, bytes, str]] = field(default_factory=list)  # number, name, content, traceback


def fuzz(name: str, inputs: int, seed: int = 0) -> Outcome:
    """Give a reader so many damaged files.

    Parameters
    ----------
    name : str
        One of `READERS`.
    inputs : int
    seed : int

    Returns
    -------
    Outcome
        What the readers of the house refused counts as refused; what else came out is in `escaped`.

    Raises
    ------
    HalidriftError
        If the reader does not accept an undamaged file: then nothing is tried.
    """
    reader = READERS[name]()
    outcome = Outcome(name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for undamaged in reader.seeds:  # also imports all that is needed
            file = folder / undamaged.name
            file.write_bytes(undamaged.raw)
            reader.accept(file)
            if undamaged.written is not None:
                file.write_text(undamaged.written(undamaged.tree), encoding="utf-8")
                reader.accept(file)
            file.unlink()
        for number in range(inputs):
            filename, raw = reader.damaged(random.Random(f"{seed}/{name}/{number}"))
            file = folder / filename
            file.write_bytes(raw)
            with guarded(folder):
                began = time.perf_counter()
                signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
                try:
                    reader.accept(file)
                    outcome.accepted += 1
                except HalidriftError:
                    outcome.refused += 1
                except (Exception, Overdue, Forbidden):
                    outcome.escaped.append((number, filename, raw, traceback.format_exc()))
                took = time.perf_counter() - began
            file.unlink()
            outcome.inputs += 1
            outcome.slowest_ms = max(outcome.slowest_ms, 1e3 * took)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Damaged files against every reader.")
    parser.add_argument("--inputs", type=int, default=10_000, help="for each reader")
    parser.add_argument("--only", default=",".join(READERS), help="comma-separated: " + ", ".join(READERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-found"), help="folder for inputs that escape")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = options.only.split(",")
    unknown = [name for name in chosen if name not in READERS]
    if unknown:
        parser.error(f"no such reader: {', '.join(unknown)}; there are {', '.join(READERS)}")
    outcomes = []
    if not options.json:
        print(f"{'reader':14}{'inputs':>8}{'accepted':>10}{'refused':>9}{'escaped':>9}{'slowest / ms':>14}")
    for name in chosen:
        outcome = fuzz(name, options.inputs, options.seed)
        outcomes.append(outcome)
        if not options.json:
            numbers = (outcome.inputs, outcome.accepted, outcome.refused, len(outcome.escaped))
            print(
                f"{name:14}{numbers[0]:8}{numbers[1]:10}{numbers[2]:9}{numbers[3]:9}{outcome.slowest_ms:14.1f}",
                flush=True,
            )
        for number, filename, raw, words in outcome.escaped:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{name}-{number}-{filename}").write_bytes(raw)
            (options.out / f"{name}-{number}.log").write_text(words, encoding="utf-8")
    if options.json:
        keys = ("reader", "inputs", "accepted", "refused", "slowest_ms")
        print(json.dumps([{k: getattr(o, k) for k in keys} | {"escaped": len(o.escaped)} for o in outcomes], indent=1))
    return int(any(outcome.escaped for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
