"""A circuit to run at once: a compact model behind a source with a compliance, in ngspice; and its result as a Dataset.

>>> from halidrift.compact import Volatile, bench
>>> cell = Volatile.of(conductance_off_S=1e-9, conductance_on_S=4e-6, growth_rate_Hz=0.05, growth_voltage_V=0.1,
...                    relaxation_time_s=6e-3)
>>> file = bench.write(cell, Waveform.triangle([2.0], 1.0, 1e-6), "bench")  # doctest: +SKIP
>>> trace = bench.run(file)  # doctest: +SKIP
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import ConvergenceError, InputError, OutputError
from ..physics.files import write_whole
from ..physics.waveform import Waveform
from .export import _TEMPLATES, element_name, render
from .model import CompactModel, Rng, generator, seed_text

__all__ = ["OPTIONS", "STATE_SCALES", "drawn", "ngspice", "run", "write"]

OPTIONS = "reltol=1e-4 trtol=1 abstol=1e-15 itl4=100"
"""Options of ngspice under which the table in docs/circuits.md was measured."""

STATE_SCALES: Mapping[str, float] = {"Stanford": 1e-9}
"""State of the Python model for one volt of the state node, where it is not 1."""

_LONG = 20_000  # corners from which the source is read from a file: a PWL list costs the square of its length
_INSTANT = re.compile(r"Reference value :\s*([-+0-9.e]+)\r")  # a whole one: a read may cut it
_COLUMNS = ("source_voltage", "device_voltage", "current", "state", "ln_conductance")


def drawn(model: CompactModel, count: int, rng: Rng) -> list[dict[str, float]]:
    """Parameters of the subcircuit for each of several devices, drawn from the device-to-device spread of a model.

    Parameters
    ----------
    model : CompactModel
    count : int, >= 1
    rng : int or Generator
        The factors are those that the Python model draws from the same generator.

    Returns
    -------
    list of dict
        For each device the parameters of its instance that are not those of the typical one.

    Raises
    ------
    InputError
        If the model has no spread, or no rng is given.
    """
    from .nonvolatile import NonVolatile
    from .volatile import Volatile

    random = generator(rng)
    if random is None:
        raise InputError("Devices without rng would be identical", action="Give rng a seed")
    if int(count) != count or count < 1:
        raise InputError("count must be a whole number", got=count, allowed=">= 1")
    if isinstance(model, Volatile):
        growth, relaxation = model._device_factors(int(count), random).T
        k_0, tau = model.value("growth_rate_Hz"), model.relaxation_time_s
        rows = [{"k0": k_0 * g, "tau": tau * t} for g, t in zip(growth, relaxation, strict=True)]
        spread = model.value("growth_spread_device") + model.value("relaxation_spread_device")
    elif isinstance(model, NonVolatile):
        # the spread of this model is from cycle to cycle: an instance is one cycle of it
        rows, spread = _cycles_of(model, int(count), random)
    elif "rate_spread_device" in model.parameters:
        spread = model.value("rate_spread_device")
        rows = [{"pace": float(f)} for f in np.exp(spread * random.standard_normal(int(count)))]
    else:
        raise InputError(f"{type(model).__name__} has no spread from device to device")
    if not spread > 0:
        raise InputError(
            "The spread of this model is zero, so its devices would be identical",
            action="Fit an ensemble, or set the spread with with_values",
        )
    return [{key: float(value) for key, value in row.items()} for row in rows]


def _cycles_of(model: Any, count: int, random: np.random.Generator) -> tuple[list[dict[str, float]], float]:
    rows = []
    sigma_0, sigma_1 = model.value("conductance_spread_S"), model.value("conductance_spread_slope_1_V")
    for _ in range(count):
        off = model._drawn_off(random)
        V_set, V_reset = model._thresholds(random)
        z = random.standard_normal()
        row = {
            "goff": off,
            "vset": V_set,
            "a": model.value("conductance_slope_1_V") + sigma_1 * z,
            "b": model.value("conductance_intercept_S") + sigma_0 * z,
        }
        fresh = model.value("conductance_fresh_S")
        row |= {} if np.isnan(fresh) else {"y0": float(np.log(fresh / off))}
        rows.append(row if np.isnan(V_reset) else {**row, "vreset": V_reset})
    spreads = ("off_spread", "set_voltage_spread_V", "reset_voltage_spread_V")
    return rows, sigma_0 + sigma_1 + sum(model.value(name) for name in spreads)


def write(
    model: CompactModel,
    waveform: Waveform,
    folder: str | os.PathLike[str],
    *,
    name: str = "memristor",
    language: str = "ngspice",
    step_s: float | None = None,
    devices: int | None = None,
    rng: Rng = None,
    options: str = OPTIONS,
) -> Path:
    """Write a model and a bench that plays a waveform on it.

    Parameters
    ----------
    model : CompactModel
    waveform : Waveform
        With its compliance, segment by segment.
    folder : path
        Gets ``<name>.sp`` or ``<name>.va``, ``source.inc`` and ``bench.cir``, for several devices ``devices.inc``;
        files of these names are replaced.
    name : str
        Name of the element.
    language : {"ngspice", "verilog-a"}
        What the model is written in. The bench of a Verilog-A model needs ngspice >= 40 with OSDI and the compiler
        OpenVAF.
    step_s : float, s, > 0, optional
        Largest step of ngspice; a thousandth of the waveform if not given.
    devices : int, >= 1, optional
        Monte Carlo: as many devices, each with its own numbers (:func:`drawn`). ngspice only.
    rng : int or Generator, optional
        Required with `devices`; the seed is written into the file.
    options : str
        Options of ngspice.

    Returns
    -------
    pathlib.Path
        The bench, for :func:`run` or ``ngspice -b bench.cir`` in its folder.

    Raises
    ------
    InputError
        For an unknown language, a step that is not positive, or devices without a spread.
    OutputError
        If a file cannot be written.

    Notes
    -----
    Beyond 20,000 corners, where a PWL list costs 20 s and more, the source is read from ``source.txt`` by the code
    model ``filesource``. It is fast but does not tell ngspice where the corners are, so edges come late by a part of a
    step: 3 % in the conductance of a pulse train were measured, where a PWL list gave 0.1 %. The largest step is
    then no longer than half of the shortest segment above 10 us.
    """
    suffixes = {"ngspice": "sp", "verilog-a": "va"}
    if language not in suffixes:
        raise InputError("Unknown language of a circuit", got=language, allowed=", ".join(suffixes))
    if devices is not None and language != "ngspice":
        raise InputError("Drawn devices are written for ngspice only", got=language)
    if devices is None and rng is not None:
        raise InputError("rng draws devices, but none are asked", action="Give devices too, or leave rng out")
    step = waveform.duration_s / 1000 if step_s is None else float(step_s)
    if not (np.isfinite(step) and step > 0):
        raise InputError("step_s must be positive", got=f"{step} s")
    suffix = suffixes[language]
    element = element_name(name, suffix)
    rows = None if devices is None else drawn(model, devices, rng)
    target, times = Path(folder), waveform.sources()[0]
    listed = times.size <= _LONG
    if not listed:
        gaps = np.diff(times)
        step = min(step, float(gaps[gaps > 1e-5].min(initial=step)) / 2)
    if listed:
        source = waveform.to_pwl()
    else:
        source = (
            "asource %v([src icc]) fromfile\n"
            '.model fromfile filesource(file="source.txt" amploffset=[0 0] amplscale=[1 1] timeoffset=0 timescale=1\n'
            "+ timerelative=false amplstep=false)\n"
            "* a charge on the source: the step control sees its edges\n"
            "Cedges src 0 1n"
        )
        np_rows = np.column_stack(waveform.sources())
        _put(target / "source.txt", "\n".join(" ".join(f"{v:.15g}" for v in row) for row in np_rows) + "\n")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("bench.cir.j2").render(
        element=element,
        file=f"{name}.{suffix}",
        model=type(model).__name__,
        language=language,
        step=f"{step:.15g}",
        stop=f"{waveform.duration_s:.15g}",
        options=options,
        count=0 if rows is None else len(rows),
        columns=_COLUMNS if language == "ngspice" else _COLUMNS[:3],
    )
    _put(target / f"{name}.{suffix}", render(model, suffix, name))
    _put(target / "source.inc", f"* {waveform!r}\n{source}\n")
    if rows is not None:
        _put(target / "devices.inc", _instances(rows, element, seed_text(rng) if isinstance(rng, int) else str(rng)))
    return _put(target / "bench.cir", text)


def _instances(rows: Sequence[Mapping[str, float]], element: str, seed: str) -> str:
    lines = [f"* {len(rows)} devices, drawn by halidrift; seed {seed}"]
    for i, row in enumerate(rows, 1):
        numbers = " ".join(f"{key}={value:.15g}" for key, value in row.items())
        lines += [
            f"Vm{i} src a{i} 0",
            f"Xl{i} a{i} top{i} icc {element}_compliance",
            f"X{i} top{i} 0 y{i} {element} {numbers}",
        ]
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str) -> Path:
    return write_whole(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def ngspice(
    netlist: str | os.PathLike[str], *, timeout_s: float = 600.0, progress: Callable[[float], None] | None = None
) -> NDArray[np.float64]:
    """Run a netlist that writes ``result.txt`` with ``wrdata`` and ``wr_singlescale``.

    Parameters
    ----------
    netlist : path
    timeout_s : float, s, > 0
    progress : callable (time_s), optional
        Called with the simulated time, some five times a second of a transient, as ngspice tells it.

    Returns
    -------
    array, shape (instants, columns)
        Time first; each instant once.

    Raises
    ------
    OutputError
        If ngspice is not installed.
    InputError
        If there is no such file.
    ConvergenceError
        If ngspice gives up, or takes too long.
    """
    path = Path(netlist)
    program = shutil.which("ngspice")
    if program is None:
        raise OutputError("ngspice is not installed", action="make check-circuits, or apt-get install ngspice")
    if not path.is_file():
        raise InputError(
            "There is no such netlist", got=str(path), action="Write it with halidrift.compact.bench.write"
        )
    result = path.with_name("result.txt")
    result.unlink(missing_ok=True)
    said = _said([program, "-b", path.name], path.parent, timeout_s, progress)
    wrong = re.search(r"(?im)^.*(time ?step too small|aborted|singular matrix|error:|fatal).*$", said)
    if not result.is_file() or wrong:
        raise ConvergenceError(
            "ngspice gave up",
            got=wrong.group(0).strip() if wrong else said.strip()[-300:],
            action=f"Run it by hand: ngspice -b {path.name} in {path.parent}",
        )
    table = np.loadtxt(result, ndmin=2)
    return table[np.unique(table[:, 0], return_index=True)[1]]


def _said(command: Sequence[str], folder: Path, timeout_s: float, progress: Callable[[float], None] | None) -> str:
    """Run ngspice to its end; what it said, but for the simulated time, which is told."""
    end = time.monotonic() + timeout_s
    parts: list[bytes] = []
    # both outputs in one pipe: that of the errors, which has the time, is not buffered
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as job:
        assert job.stdout is not None
        try:
            while True:
                if not select.select([job.stdout], [], [], max(end - time.monotonic(), 0.0))[0]:
                    raise ConvergenceError(
                        "ngspice took too long", got=f"more than {timeout_s:g} s", action="Raise the step"
                    )
                part = os.read(job.stdout.fileno(), 1 << 16)
                if not part:
                    break
                parts.append(part)
                instants = _INSTANT.findall(part.decode(errors="replace"))
                if instants and progress is not None:
                    progress(float(instants[-1]))
            job.wait()
        finally:
            job.kill()  # of one that has ended nothing is left to kill
    lines = b"".join(parts).decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if "Reference value" not in line)


def run(
    bench: str | os.PathLike[str], *, timeout_s: float = 600.0, progress: Callable[[float], None] | None = None
) -> xr.Dataset:
    """Run a bench in ngspice.

    Parameters
    ----------
    bench : path
        What :func:`write` returned for an ngspice model.
    timeout_s : float, s, > 0
    progress : callable (time_s), optional
        As :func:`ngspice`.

    Returns
    -------
    xarray.Dataset
        ``source_voltage``, ``device_voltage`` (V), ``current`` (A), ``state`` (V of the state node) and
        ``conductance`` (S) against ``time`` (s, from the start of the waveform), at ngspice's own instants; with a
        dimension ``device`` for drawn devices.

    Raises
    ------
    OutputError, InputError, ConvergenceError
        As :func:`ngspice`.
    """
    table = ngspice(bench, timeout_s=timeout_s, progress=progress)
    columns = table[:, 1:].reshape(len(table), -1, len(_COLUMNS))
    units = dict(zip(_COLUMNS, ("V", "V", "A", "V", "1"), strict=True))
    out = xr.Dataset(coords={"time": ("time", table[:, 0], {"units": "s"})})
    for i, name in enumerate(_COLUMNS):
        out[name] = (("device", "time"), columns[:, :, i].T, {"units": units[name]})
    out["conductance"] = np.exp(out["ln_conductance"])
    out["conductance"].attrs["units"] = "S"
    out = out.drop_vars("ln_conductance")
    out.attrs.update(program="ngspice", bench=Path(bench).name)
    return out.squeeze("device", drop=True) if out.sizes["device"] == 1 else out
