"""`halidrift export`: a compact model as a circuit element, or as a bench that runs at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...physics.errors import InputError
from ._console import Json, bars, give, now_and_then, on_stdout, told
from ._console import out as stdout

_SUFFIX = {"ngspice": "sp", "verilog-a": "va"}


def export(
    card: Annotated[
        Path, typer.Argument(help="Model as JSON: what `halidrift fit --out` or to_dict() of a compact model gives.")
    ],
    to: Annotated[str, typer.Option("--to", help="ngspice or verilog-a.")] = "ngspice",
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("circuit"),
    name: Annotated[str, typer.Option("--name", help="Name of the element and stem of its file.")] = "memristor",
    testbench: Annotated[
        bool, typer.Option("--testbench", help="Write a bench too: source, compliance, analysis, results.")
    ] = False,
    waveform: Annotated[
        str | None,
        typer.Option(
            "--waveform",
            help="Protocol of the bench, as 'pulses amplitude=1V width=20ms period=40ms count=3 compliance=1uA' "
            "(triangle, pulses, spikes, hold; + joins), or a CSV file; one slow sweep to 1 V if not given.",
        ),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", help="Largest step of ngspice, as 20us; a thousandth of the waveform.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option("--devices", help="Monte Carlo: as many devices, drawn from the spread of the model.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the drawn devices.")] = 0,
    run: Annotated[bool, typer.Option("--run", help="Run the bench in ngspice and say what came out.")] = False,
    json_file: Json = None,
) -> None:
    """Write a compact model as an ngspice subcircuit or a Verilog-A module.

    Example: halidrift export cell.json --testbench --waveform 'triangle peaks=2V rate=1V/s compliance=1uA' --run
    """
    from ...compact import bench
    from ...compact.export import export as write_element
    from ...compact.export import load

    if to not in _SUFFIX:
        raise InputError("Unknown language of a circuit", got=to, allowed=", ".join(_SUFFIX))
    given = {"--waveform": waveform, "--step": step, "--devices": devices}
    for option, value in given.items():
        if value is not None and not testbench:
            raise InputError(f"{option} is for a bench", got=str(value), action="Add --testbench")
    if run and not (testbench and to == "ngspice"):
        raise InputError("--run is for a bench in ngspice", action="Add --testbench, and --to ngspice")
    if card.suffix.lower() == ".toml":
        raise InputError(
            "export takes the JSON of a fit, not a device card",
            got=str(card),
            action="Make one with: halidrift fit FILE --out cell.json",
        )
    model = load(card)
    said = told() if on_stdout(json_file) else stdout()
    record: dict[str, Any] = {"model": type(model).__name__, "language": to}
    if not testbench:
        file = write_element(model, out / f"{name}.{_SUFFIX[to]}")
        give({**record, "file": str(file)}, json_file)
        said.print(f"{type(model).__name__}: {file}", soft_wrap=True, markup=False)
        return
    from ...physics.protocols import Protocol, quantity

    default = "triangle peaks=1V rate=1V/s compliance=1uA"
    played = Protocol.parse(waveform or default).waveform()
    file = bench.write(
        model,
        played,
        out,
        name=name,
        language=to,
        step_s=None if step is None else quantity(step, "s", name="--step"),
        devices=devices,
        rng=None if devices is None else seed,
    )
    record["file"] = str(file)
    said.print(f"{type(model).__name__}: {file}", soft_wrap=True, markup=False)
    if run:
        with bars() as shown:
            task = shown.add_task("ngspice", total=100, note="% of the simulated time")

            def tell(time_s: float) -> None:
                shown.update(task, completed=100.0 * time_s / played.duration_s)

            trace = bench.run(file, progress=now_and_then(tell))
            shown.update(task, completed=100)
        low, high = float(trace.conductance.min()), float(trace.conductance.max())
        largest = float(abs(trace.current).max())
        record |= {"lowest_conductance_S": low, "highest_conductance_S": high, "largest_current_A": largest}
        said.print(
            f"{trace.sizes['time']} instants; conductance {low:.3g} to {high:.3g} S; largest current "
            f"{largest:.3g} A; table: {file.with_name('result.txt')}",
            soft_wrap=True,
            markup=False,
        )
    give(record, json_file)
