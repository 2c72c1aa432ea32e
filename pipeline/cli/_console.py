"""What all commands share: consoles, progress, results as JSON, and the options that mean the same everywhere."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ...physics.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from xarray import Dataset

__all__ = [
    "Dask",
    "Json",
    "Workers",
    "bars",
    "beside",
    "check_files",
    "check_traces",
    "failed",
    "give",
    "measured",
    "now_and_then",
    "on_stdout",
    "out",
    "page",
    "quietly",
    "read_trace",
    "staged",
    "told",
    "typed",
    "working",
]

_state = {"quiet": False}
_ZERO_CELSIUS_K = 273.15
_COLDEST_K = 50.0  # the lowest temperature of the compact models

Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes; one for each core if not given.")]
Dask = Annotated[
    str | None, typer.Option("--dask", help="Scheduler of a Dask cluster that does the work, tcp://host:8786.")
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", help="File for the result as JSON; - for standard output, and nothing else."
    ),
]


def out() -> Console:
    """Return the standard output; made when used, because a console keeps the stream that it found."""
    return Console(highlight=False, quiet=_state["quiet"])


def page() -> Console:
    """Return the standard output for a wide table: a log or a pipe has no width of its own."""
    console = out()
    return (
        console if console.is_terminal else Console(highlight=False, width=max(console.width, 150), quiet=console.quiet)
    )


def told() -> Console:
    """Return the error output for what is said beside a result that a pipe reads; silent with --quiet."""
    return Console(stderr=True, highlight=False, quiet=_state["quiet"])


def failed() -> Console:
    """Return the error output for what went wrong, which --quiet does not silence."""
    return Console(stderr=True, highlight=False)


def quietly(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the option --quiet."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(*args: Any, quiet: bool = False, **options: Any) -> Any:
        _state["quiet"] = quiet
        log = logging.getLogger("halidrift")  # says that a job waits for another
        before = log.level
        log.setLevel(logging.ERROR if quiet else before)
        try:
            return command(*args, **options)
        finally:
            _state["quiet"] = False
            log.setLevel(before)

    option = Annotated[
        bool, typer.Option("--quiet", help="Print nothing but errors, and what was asked for on standard output.")
    ]
    added = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
    parameters = [*signature.parameters.values(), added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": signature.return_annotation}
    return run


def measured(option: str, unit: str, help: str, *, coldest_K: float = _COLDEST_K, **details: Any) -> Any:
    """An option that is a number with its unit, as 20ms or 1uA.

    Where a bare number cannot be misread it is one in `unit`; a length or an area needs its unit. A temperature may be
    in degrees Celsius, as 25C; below `coldest_K` its unit was forgotten.
    """

    def parse(text: Any) -> float:
        from ...physics.protocols import quantity

        if isinstance(text, float | int):  # the default
            return float(text)
        try:
            if unit == "K" and (celsius := re.fullmatch(r"\s*([^\sC°]+)\s*°?C\s*", text)):
                return _warm(quantity(celsius[1], "", name=option) + _ZERO_CELSIUS_K, text, option, coldest_K)
            found = quantity(text, unit, name=option, bare=bare)
            return _warm(found, text, option, coldest_K) if unit == "K" else found
        except InputError as error:
            raise typer.BadParameter(str(error)) from error

    bare = unit not in ("m", "m2")
    # typer names the kind of a value after its parser
    parse.__name__ = {"m2": "area", "m": "length"}.get(unit, unit)
    return typer.Option(option, parser=parse, metavar=parse.__name__.upper(), help=help, **details)


def _warm(temperature_K: float, text: str, option: str, coldest_K: float) -> float:
    if temperature_K < coldest_K:
        bare = text.strip()[-1:] in "0123456789."
        raise InputError(
            f"{option} is in kelvin, and too cold for any model here" if bare else f"{option} is too cold",
            got=text,
            allowed=f"{coldest_K:g} K and more, as 300K or 25C",
            action=f"Did you mean {text.strip()}C?" if bare else None,
        )
    return temperature_K


def typed(text: str, options: Iterable[str], arguments: Sequence[str]) -> str:
    """A message of the package in the words of the command line: options and keys of a protocol, no Python names.

    Parameters
    ----------
    text : str
    options : iterable of str
        Of the command that was called.
    arguments : sequence of str
        As typed.
    """
    names = {name: option for name, option in _OPTIONS.items() if option in set(options)}
    if {word.partition("=")[0] for word in arguments} & {"--waveform", "--protocol", "--vary"}:
        from ...physics.protocols import arguments as keys

        names |= keys()
    if not names or "on the command line" in text:
        return text
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.=])(?:[A-Z]\w*\.)?({known})\b(?!=)", lambda found: names[found[1]], text)


# Python name to the option that sets it, where they differ
_OPTIONS = {
    "temperature_K": "--temperature",
    "reference_temperature_K": "--temperature",
    "rate_V_s": "--rate",
    "delay_s": "--delay",
    "compliance_A": "--compliance",
    "peaks_V": "--peak",
    "voltage_floor_V": "--floor",
    "thickness_m": "--thickness",
    "area_m2": "--area",
    "static_permittivity": "--static-permittivity",
    "effective_mass": "--effective-mass",
    "word_segment_ohm": "--line",
    "bit_segment_ohm": "--line",
    "line_ohm": "--line",
    "driver_ohm": "--driver",
    "pull_up_ohm": "--pull-up",
    "low_ohm": "--low",
    "high_ohm": "--high",
    "voltage_V": "--voltage",
    "read_V": "--read",
    "write_V": "--write",
    "per_class": "--per-class",
    "processes": "--workers",
}


def on_stdout(place: Path | None) -> bool:
    """Whether the result goes to standard output, which then holds nothing else."""
    return str(place) == "-"


def check_files(**places: Path | None) -> None:
    """Complain about an output that is a folder before any work; the keyword is the option."""
    for name, path in places.items():
        if path is not None and path.is_dir():
            raise InputError(f"--{name} names a folder", got=str(path), allowed="a file")


def check_traces(place: Path | None, option: str = "--out") -> None:
    """Complain about a trace that would get another suffix than that of NetCDF, before any work.

    Else a picture or a table of that name would be replaced by what no program takes for one.
    """
    if place is not None and place.suffix != ".nc":
        raise InputError(
            f"{option} is written as NetCDF",
            got=str(place),
            allowed=f"a file .nc, for instance {place.with_suffix('.nc').name if place.name else 'trace.nc'}",
        )


def read_trace(file: Path, needs: str = "") -> Dataset:
    """The trace of a file; says what to do first where it is a measurement or a folder, and what else it `needs`."""
    from ...physics import trace as traces

    if file.is_dir():
        raise InputError(
            f"{file} is a folder",
            allowed="a file .nc",
            action="The replicas of a --store become one trace by the same command with --out FILE.nc"
            if (file / ".zgroup").exists() or (file / "zarr.json").exists()
            else "Name the files in it; of measurements, first: halidrift fit FOLDER --traces clean.nc",
        )
    if file.is_file() and _is_table(file):
        raise InputError(
            f"{file} is a table, not a trace",
            action=f"First: halidrift fit {file} --traces clean.nc; then give clean.nc{needs}",
        )
    return traces.read(file)


def _is_table(file: Path) -> bool:
    """Whether a file is text or a sheet: NetCDF has a signature, and bytes that no text has soon after it."""
    if file.suffix.lower() in (".csv", ".tsv", ".txt", ".dat", ".xls", ".xlsx"):
        return True
    try:
        with file.open("rb") as stream:
            start = stream.read(1024)
    except OSError:
        return False  # the reader has the words
    return bool(start.strip()) and not start.startswith(b"CDF") and not any(c < 9 or 13 < c < 32 for c in start)


def give(record: Any, place: Path | None) -> None:
    """Write a result as JSON to standard output or to a file, if one was asked for.

    What JSON has no number for (nan, inf) is null.
    """
    if place is None:
        return
    text = json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if on_stdout(place):
        sys.stdout.write(text)
        return
    from ...physics.files import write_whole

    write_whole(place, lambda name: Path(name).write_text(text, encoding="utf-8"))
    out().print(f"Results: {place}", soft_wrap=True, markup=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist())
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value


def bars() -> Progress:
    """Bars with the time left, on the error output; nothing where that is no terminal, or with --quiet."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from ._left import Left

    console = told()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        Left(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        disable=not console.is_terminal or console.quiet,
        speed_estimate_period=math.inf,  # else nothing is known of parts that take longer than it
    )


def beside(shown: Progress) -> Console:
    """Where to print a result while bars are shown: above them, where both go to a terminal."""
    console = out()
    return shown.console if console.is_terminal and not shown.disable else console


@contextmanager
def staged(names: Mapping[str, str] | None = None) -> Iterator[Callable[..., None]]:
    """A bar for each stage of a job, from its begin on: a function to tell (stage, done, parts, note).

    Parts that are done when a stage is told of first were known before. `names` are other words for the stages. With
    a note the stage is over, be it one that was not computed.
    """
    with bars() as shown:
        tasks: dict[str, TaskID] = {}
        sizes: dict[str, int] = {}

        def tell(stage: str, done: int, parts: int, note: str = "") -> None:
            if stage not in tasks:
                words = stage if names is None else names[stage]
                tasks[stage] = shown.add_task(words, total=parts, completed=done, known=done, note=note)
            elif note:
                done = parts = max(parts, sizes[stage])
            sizes[stage] = parts
            shown.update(tasks[stage], completed=done, total=parts, note=note)

        yield tell


def now_and_then(tell: Callable[[float], None], every_s: float = 0.1) -> Callable[[float], None]:
    """Tell a bar no more often than an eye can follow: a run may report thousands of times a second."""
    last = -every_s

    def told(value: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= every_s:
            last = now
            tell(value)

    return told


@contextmanager
def working(what: str) -> Iterator[None]:
    """A line with the time elapsed, for work whose length is not known before."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = told()
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or console.quiet) as line:
        line.add_task(what, total=None)
        yield
