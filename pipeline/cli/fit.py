"""`halidrift fit`: a compact model from a user's own measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import InputError
from ._complete import models
from ._console import Json, check_files, check_traces, give, measured, on_stdout, page, staged, told
from ._console import out as stdout

if TYPE_CHECKING:
    from ...compact.model import CompactModel
    from ...physics.measurements import Measurements

_VERDICT = "does not describe"  # in the warnings about the fit as a whole
_STYLES = {"dropped": "yellow", "flagged": "yellow", "aside": "red", "assumed": "magenta", "warning": "yellow"}


def fit(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files (CSV, TSV, text as instruments write it) or folders of them, see docs/measurements.md."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="Volatile, NonVolatile, VTEAM, Yakopcic, Stanford or Synapse; small letters do.",
            autocompletion=models,
        ),
    ] = "volatile",
    column: Annotated[
        list[str],
        typer.Option(
            "--column",
            help='Header of a quantity, as "current=Channel 2 (nA)" or "current=I1:nA"; "time=none" leaves it out; may '
            "be repeated.",
        ),
    ] = [],  # noqa: B006 - typer reads the default and never changes it
    unit: Annotated[
        list[str],
        typer.Option("--unit", help='Unit of a quantity whose header names none, as "current=uA"; may be repeated.'),
    ] = [],  # noqa: B006
    compliance: Annotated[
        float | None,
        measured("--compliance", "A", "Limit of the source, as 1uA; read or found from a plateau if not given."),
    ] = None,
    rate: Annotated[
        float | None, measured("--rate", "V/s", "Sweep rate of files without time (1V/s if not given).")
    ] = None,
    delay: Annotated[
        float | None, measured("--delay", "s", "Time from point to point of files without time, as 10ms.")
    ] = None,
    temperature: Annotated[
        float | None, measured("--temperature", "K", "Of files that do not say (300K if not given).")
    ] = None,
    floor: Annotated[
        float | None, measured("--floor", "V", "Smallest voltage at which I/V counts as a conductance.")
    ] = None,
    flip_current: Annotated[bool, typer.Option("--flip-current", help="Turn the sign of the current.")] = False,
    flip_voltage: Annotated[
        bool, typer.Option("--flip-voltage", help="Exchange source and ground: turn voltage and current.")
    ] = False,
    fixed: Annotated[
        list[str], typer.Option("--fixed", help='A parameter that is not fitted, as "relaxation_time_s=6ms".')
    ] = [],  # noqa: B006
    resamples: Annotated[int, typer.Option("--resamples", min=0, help="Bootstrap resamples for the errors.")] = 40,
    out: Annotated[
        Path | None, typer.Option("--out", help="File for the model (JSON), which `halidrift export` reads.")
    ] = None,
    export: Annotated[list[Path], typer.Option("--export", help="Circuit element: .sp or .va; may be repeated.")] = [],  # noqa: B006
    traces: Annotated[
        Path | None, typer.Option("--traces", help="NetCDF file for the cleaned traces, numbered if there are several.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every-note", help="Print each note of the cleaning, not one of a kind.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Read, clean and fit measurements: sweeps, cycles, pulses and limits are found by themselves.

    Prints what was dropped and why, the parameters with standard errors, and every doubt.

    Example: halidrift fit data/ --model volatile --compliance 1uA --out cell.json --export cell.sp
    """
    check_files(out=out, traces=traces, json=json_file)
    check_traces(traces, "--traces")
    for path in export:
        check_files(export=path)
        if path.suffix not in (".sp", ".va"):
            raise InputError("--export knows no such circuit format", got=str(path), allowed="a file .sp or .va")
    chosen = _model(model)
    held = {name: _value(chosen, name, text) for name, text in _pairs(fixed, "--fixed", "relaxation_time_s=6ms")}

    from ...compact.measurements import fit_measured
    from ...physics.measurements import read

    found = read(
        list(paths),
        columns=dict(_pairs(column, "--column", "current=I (nA)")),
        units=dict(_pairs(unit, "--unit", "current=uA")),
        rate_V_s=rate,
        delay_s=delay,
        compliance_A=compliance,
        temperature_K=temperature,
        floor_V=floor,
        flip_current=flip_current,
        flip_voltage=flip_voltage,
    )
    quiet = on_stdout(json_file)
    _report(found, every, quiet)
    said = told() if quiet else stdout()
    if traces is not None:  # before the fit, which may fail
        from ...physics.trace import write

        for n, trace in enumerate(found.traces, 1):
            file = traces if len(found.traces) == 1 else traces.with_stem(f"{traces.stem}-{n}")
            said.print(f"Trace: {write(trace, file)}", soft_wrap=True, markup=False)
    with staged() as tell:
        cell = fit_measured(chosen, found, fixed=held, resamples=resamples, progress=tell)
    record = {**cell.to_dict(), "cleaning": found.report.to_list()}
    if not quiet:
        _print(cell, found)
    give(record, json_file)
    if out is not None:
        from ...physics.files import write_whole

        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_whole(out, lambda name: Path(name).write_text(text, encoding="utf-8"))
        said.print(f"Model: {out}", soft_wrap=True, markup=False)
    for path in export:
        said.print(f"Circuit element: {cell.export(path)}", soft_wrap=True, markup=False)


def _model(name: str) -> type[CompactModel]:
    """The compact model of that name, in any spelling."""
    from ... import compact
    from ...compact.model import CompactModel

    classes = {}
    for public in (name for name in compact.__all__ if name[0].isupper()):
        one = getattr(compact, public)
        if isinstance(one, type) and issubclass(one, CompactModel):
            classes[public.lower()] = one
    plain = name.lower().replace("-", "").replace("_", "")
    if plain not in classes:
        raise InputError("--model knows no such model", got=name, allowed=", ".join(sorted(classes)))
    return classes[plain]


def _pairs(texts: list[str], option: str, example: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{option} is not name=value", got=text, allowed=f'for instance "{example}"')
        pairs.append((name.strip(), value.strip()))
    return pairs


def _value(model: Any, name: str, text: str) -> float:
    """A value of --fixed: a number in the unit of the parameter; a voltage, current, time or rate may have its own."""
    from ...physics.protocols import quantity

    known = model.QUANTITIES.get(name)
    if known is None or known.unit not in ("V", "A", "s", "Hz", "K"):
        try:
            return float(text)
        except ValueError:
            raise InputError("--fixed needs a number", got=f"{name}={text}") from None
    return quantity(text, known.unit, name=f"--fixed {name}", bare=True)


def _report(found: Measurements, every: bool, quiet: bool) -> None:
    """Print what was read, dropped and assumed."""
    console = told() if quiet else stdout()
    for note in found.report if every else found.report.brief():
        console.print(str(note), style=_STYLES.get(note.kind, "dim"), soft_wrap=True, markup=False)
    for trace in found.traces:
        sizes = ", ".join(f"{n} {d}{'s' if n > 1 else ''}" for d, n in trace.sizes.items() if d != "time")
        volts = trace["voltage"].values
        console.print(
            f"{trace.attrs['kind']}: {sizes or 'one run'}, {trace.sizes['time']} instants, {volts.min():.3g} to "
            f"{volts.max():.3g} V in {float(trace['time'][-1]):.3g} s",
            soft_wrap=True,
            markup=False,
        )
    for table in found.endurance:
        ratio = float((table["on"] / table["off"]).median())
        console.print(
            f"endurance: {table.sizes['cycle']} cycles, ON/OFF {ratio:.3g} (median); not fitted", soft_wrap=True
        )


def _print(cell: CompactModel, found: Measurements) -> None:
    console = page()
    verdicts = [sentence for sentence in cell.warnings if _VERDICT in sentence]
    for sentence in verdicts:  # the numbers below mean nothing without them
        console.print(f"- {sentence}", soft_wrap=True, markup=False, style="red")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("parameter", "value", "standard error", "unit", "kind", "from"):
        table.add_column(name, overflow="fold", justify="right" if name in ("value", "standard error") else "left")
    for p in cell.parameters.values():
        table.add_row(
            p.name,
            f"{p.value:.5g}" if p.estimated else "-",
            "-" if p.standard_error is None else f"{p.standard_error:.2g}",
            p.unit,
            p.kind,
            escape(p.origin) + (f" [yellow]{escape(p.warning)}[/]" if p.warning else ""),
        )
    console.print(table)
    for name, error in cell.goodness.items():
        number = name.removeprefix("trace ")
        where = ""
        if number.isdigit() and int(number) < len(found.traces):
            files = json.loads(found.traces[int(number)].attrs["files"])
            where = f" ({', '.join(Path(f).name for f in files[:3])}{', ...' if len(files) > 3 else ''})"
        console.print(f"normalised error of {name}{where}: {error:.3g}", soft_wrap=True, markup=False)
    for sentence in (sentence for sentence in cell.warnings if sentence not in verdicts):
        console.print(f"- {sentence}", soft_wrap=True, markup=False, style="yellow")
