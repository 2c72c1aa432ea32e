"""`halidrift check`: whether a file of one's own is what it should be, and what it still lacks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ...physics.errors import DataError, HalidriftError, InputError
from ._console import Json, failed, give, on_stdout, out, page, working

if TYPE_CHECKING:
    from ..cards import Checked

_TABLES = (".csv", ".tsv", ".txt", ".dat")
_FEW = 50  # instants between which a SET goes unseen
_MANY = 8  # names told in a line
# what a card for a model is of
_SUBJECTS = {
    "FilamentKMC": "a metal filament",
    "VacancyKMC": "halide vacancies",
    "FilamentFEM": "a metal filament",
    "IonFilm": "an ion film",
}


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Device cards and barrier files (.toml), models and waveforms (.json), measurements and tables of a "
            "waveform (.csv, .tsv, .txt, .dat), traces (.nc)."
        ),
    ],
    effects: Annotated[
        bool, typer.Option("--effects", help="Also say what each parameter of a card does to the result.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Check files of your own: what is missing, out of range, assumed. Exit code 2 if one cannot be used.

    Of a device card: what each model still needs, and where each number comes from.

    Example: halidrift check my-device.toml
    """
    records = []
    for file in files:
        with working(f"check of {file}"):
            record, show = _checked(file, effects)
        records.append(record)
        if not on_stdout(json_file):
            show()
    give(records, json_file)
    if any(record["faults"] for record in records):
        raise typer.Exit(2)


def _checked(file: Path, effects: bool) -> tuple[dict[str, Any], Callable[[], None]]:
    """What was found, and how to print it."""
    if not file.is_file():
        raise InputError("There is no such file", got=str(file), action=_instead(file))
    suffix = file.suffix.lower()
    try:
        if suffix == ".toml":
            return _toml(file, effects)
        if suffix == ".json":
            return _said(file, *_json(file))
        if suffix == ".nc":
            return _said(file, *_trace(file))
        if suffix in _TABLES:
            return _said(file, *_table(file))
    except HalidriftError as error:
        return _said(file, "unusable file", [], [str(error)])
    allowed = ", ".join((".toml", ".json", ".nc", *_TABLES))
    raise InputError("Nothing is known of files of this kind", got=file.name, allowed=allowed)


def _instead(file: Path) -> str:
    """What to do where a file is not: the one beside it that was meant, or how files of its kind are made."""
    import difflib

    if file.is_dir():
        return "Name the files in it, as in: halidrift check folder/*.csv"
    folder = file.parent
    beside = sorted(f.name for f in folder.iterdir() if f.is_file()) if folder.is_dir() else []
    if near := difflib.get_close_matches(file.name, beside, n=1, cutoff=0.7):
        return f"Did you mean {folder / near[0]}?"
    suffix = file.suffix.lower()
    if suffix == ".toml":
        return "Begin one with: halidrift new device NAME"
    if suffix == ".json":
        return "Make one with: halidrift fit FILE --out cell.json"
    if suffix == ".nc":
        return "Make one with: halidrift kmc run CARD --out trace.nc"
    return f"Nothing of that name is in {folder.resolve()}"


def _said(
    file: Path, kind: str, notes: list[str], faults: list[str] | None = None
) -> tuple[dict[str, Any], Callable[[], None]]:
    record = {"file": str(file), "kind": kind, "notes": notes, "faults": faults or []}

    def show() -> None:
        out().print(f"{file}: {kind}", soft_wrap=True, markup=False)
        for note in notes:
            out().print(f"  {note}", soft_wrap=True, markup=False)
        _faults(record["faults"])

    return record, show


def _faults(faults: Any) -> None:
    for fault in faults:
        failed().print(f"  {fault}", style="red", soft_wrap=True, markup=False)


def _toml(file: Path, effects: bool) -> tuple[dict[str, Any], Callable[[], None]]:
    import tomllib

    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError("not valid TOML", file=file, key="(file)", got=str(error)) from error
    if "barrier" in content:
        return _said(file, *_barriers(file))
    from ..cards import check

    found = check(file)
    return found.to_dict(), lambda: _card(found, effects)


def _card(found: Checked, effects: bool) -> None:
    console, wide = out(), page()
    ready = ", ".join(found.ready) or "no model"
    console.print(f"{found.file}: device card, ready for {ready}", soft_wrap=True, markup=False)
    _faults(found.faults)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it lacks", overflow="fold")
    for model, names in found.missing.items():
        state = "[green]ready[/]" if model in found.ready else "[red]refuses[/]" if model in found.refusals else "lacks"
        text = found.refusals.get(model, "")
        if names:
            shown = names if model == found.nearest or len(names) <= _MANY else names[:_MANY]
            text = f"{len(names)}: {', '.join(shown)}{', ...' if len(shown) < len(names) else ''}"
            if found.ready:
                state, text = "no need", f"not needed for {_SUBJECTS[found.ready[0]]}; it would take {text}"
        elif found.device is None:
            state, text = "waits", "no parameter; the faults above come first"
        table.add_row(model, state, escape(text))
    wide.print(table)
    for kind, numbers in found.kinds.items():
        text = f"{kind}: {len(numbers)}{': ' if numbers else ''}{', '.join(numbers)}"
        console.print(text, soft_wrap=True, markup=False)
    if found.borrowed:
        console.print(
            f"{len(found.borrowed)} of the assumed numbers still are those of the card that this one was begun from.",
            style="yellow",
            soft_wrap=True,
            markup=False,
        )
    if effects:
        from ...physics.effects import EFFECTS

        for name in found.parameters:
            console.print(f"{name}: {EFFECTS[name]}", soft_wrap=True, markup=False)


def _barriers(file: Path) -> tuple[str, list[str], list[str]]:
    """A file of the barrier database, checked by itself with the references beside its folder."""
    import shutil
    import tempfile

    from ...physics.database import Database

    with tempfile.TemporaryDirectory() as folder:
        shelf = Path(folder, "barriers")
        shelf.mkdir()
        shutil.copy(file, shelf / file.name)
        beside = file.resolve().parent.parent / "references.bib"
        # those of the package are read anyway, and twice is a fault
        shipped = Path(__file__).resolve().parents[2] / "data" / "references.bib"
        if beside.is_file() and beside != shipped:
            shutil.copy(beside, Path(folder, "references.bib"))
        database, faults = Database.check(folder)
        own = [row for row in database if Path(row.file).parent == shelf or str(row.file).startswith(folder)]
        told = [str(f).replace(str(shelf / file.name), str(file)) for f in faults if folder in str(f)]
    shipped_file = Path(__file__).resolve().parents[2] / "data" / "barriers" / file.name
    if file.resolve() == shipped_file:
        raise InputError("This file ships with the package", got=str(file), action="Check it with: halidrift db check")
    return "barrier file", [f"{len(own)} rows without fault"], told


def _json(file: Path) -> tuple[str, list[str]]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", file=file, key="(file)", got=str(error)) from error
    if isinstance(record, dict) and "model" in record:
        from ...compact.export import load

        model = load(file)
        notes = [
            str(p.name) + f" = {p.value:.5g} {p.unit} ({p.kind})" for p in model.parameters.values() if p.estimated
        ]
        return f"model {type(model).__name__}", [*notes, *(f"doubt: {text}" for text in model.warnings)]
    if isinstance(record, dict) and "voltage_V" in record:
        from ...physics.waveform import Waveform

        try:
            wave = Waveform.from_dict(record)
        except InputError as error:
            raise DataError("no waveform", file=file, key="(file)", got=str(error)) from error
        return "waveform", [_waveform(wave)]
    raise DataError(
        "neither a model nor a waveform",
        file=file,
        key="(file)",
        got=", ".join(list(record)[:6]) if isinstance(record, dict) else type(record).__name__,
        allowed="a key model (halidrift fit --out) or voltage_V (Waveform.to_dict())",
    )


def _waveform(wave: Any) -> str:
    lowest = wave.compliance_A.min()
    limit = "no limit of the current" if math.isinf(lowest) else f"compliance down to {lowest:g} A"
    return (
        f"{wave.time_s.size} corners in {wave.duration_s:g} s, {wave.voltage_V.min():g} to {wave.voltage_V.max():g} V, "
        f"{limit}, {wave.samples_s.size} samples, {wave.reads_s.size} reads"
    )


def _trace(file: Path) -> tuple[str, list[str]]:
    from ...physics import trace as traces

    trace = traces.read(file)
    sizes = _sizes(trace)
    low, high = float(trace["conductance"].min()), float(trace["conductance"].max())
    return "trace", [f"{sizes}; conductance {low:.3g} to {high:.3g} S"]


def _sizes(trace: Any) -> str:
    return ", ".join(f"{n} instants" if d == "time" else f"{n} {d}s" for d, n in trace.sizes.items())


def _table(file: Path) -> tuple[str, list[str]]:
    """A measurement, or the table of a waveform, which has no current."""
    from ...physics.protocols import is_table

    if is_table(file):
        from ...physics.protocols import Protocol

        wave = Protocol.parse(file).waveform()
        notes = [_waveform(wave)]
        if math.isinf(wave.compliance_A.max()):
            notes.append("without a limit of the current where no column compliance_A gives one")
        if wave.times_s.size < _FEW:
            notes.append(
                f"a trace reports these {wave.times_s.size} instants alone, so a SET between them is seen at the next "
                f"one only; --waveform 'csv file={file} samples=400' reports more"
            )
        return "table of a waveform", notes
    from ...physics.measurements import read

    found = read(file)
    notes = [str(note) for note in found.report.brief()]
    for trace in found.traces:
        volts = trace["voltage"].values
        sizes = _sizes(trace)
        notes.append(f"{trace.attrs['kind']}: {sizes}; {volts.min():.3g} to {volts.max():.3g} V{_pace(trace)}")
    notes.extend(f"endurance: {table.sizes['cycle']} cycles, not fitted" for table in found.endurance)
    return "measurement", notes


def _pace(trace: Any) -> str:
    """Duration, and of a sweep its rate where the voltage moves."""
    import numpy as np

    steps_s, steps_V = np.diff(trace["time"].values), np.abs(np.diff(trace["voltage"].values))
    text = f" in {steps_s.sum():.3g} s"
    moving = steps_V > 0.0
    if trace.attrs["kind"] == "sweep" and moving.any():
        text += f", {steps_V[moving].sum() / steps_s[moving].sum():.3g} V/s"
    return text
