"""`halidrift kmc` and `halidrift fem`: one sweep of a device, kept as a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...physics.errors import InputError
from ._console import out as stdout

if TYPE_CHECKING:
    from ...physics.waveform import Waveform

kmc_app = typer.Typer(help="Kinetic Monte Carlo of the filament.", no_args_is_help=True)
fem_app = typer.Typer(help="Continuum model of the filament.", no_args_is_help=True)

_Device = Annotated[str, typer.Argument(help="Name or path of a device card.")]
_Peaks = Annotated[list[float], typer.Option("--peak", help="Turning voltage of the sweep, V; may be repeated.")]
_Rate = Annotated[float, typer.Option("--rate", help="Sweep rate, V/s.")]
_Compliance = Annotated[float, typer.Option("--compliance", help="Compliance current, A.")]
_Temperature = Annotated[float, typer.Option("--temperature", help="Temperature, K.")]
_Trace = Annotated[Path, typer.Option("--out", help="NetCDF file of the trace.")]


def _sweep(peaks: list[float], rate: float, compliance: float) -> Waveform:
    from ...physics.waveform import Waveform

    return Waveform.triangle(peaks, rate, compliance)


def _keep(trace: Any, out: Path) -> None:
    from ...physics import trace as traces

    traces.write(trace, out)
    G = trace["conductance"]
    stdout().print(
        f"{out}: {trace.sizes['time']} instants, conductance {float(G.min()):.3g} to {float(G.max()):.3g} S, "
        f"current up to {float(abs(trace['current']).max()):.3g} A",
        soft_wrap=True,
    )


def _check_target(out: Path) -> None:
    from ..stages import check_writable

    if out.is_dir():
        raise InputError("--out names a folder", got=str(out), allowed="a file, for instance trace.nc")
    check_writable(out.parent)


@kmc_app.command("run")
def kmc_run(
    device: _Device,
    out: _Trace,
    peak: _Peaks = [2.0],  # noqa: B006 - typer reads the default and never changes it
    rate: _Rate = 1.0,
    compliance: _Compliance = 1e-6,
    temperature: _Temperature = 300.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the run.")] = 0,
    replicas: Annotated[int, typer.Option("--replicas", help="Independent runs.")] = 1,
) -> None:
    """Sweep a device with kinetic Monte Carlo and keep the trace."""
    _check_target(out)
    from ...kmc import FilamentKMC, ensemble
    from ...physics.device import Device

    model, wave = FilamentKMC(Device.load(device), temperature_K=temperature), _sweep(peak, rate, compliance)
    _keep(model.simulate(wave, rng=seed) if replicas == 1 else ensemble.run(model, wave, replicas, rng=seed), out)


@fem_app.command("run")
def fem_run(
    device: _Device,
    out: _Trace,
    peak: _Peaks = [2.0],  # noqa: B006 - typer reads the default and never changes it
    rate: _Rate = 1.0,
    compliance: _Compliance = 1e-3,
    temperature: _Temperature = 300.0,
) -> None:
    """Sweep a device with the continuum model and keep the trace."""
    _check_target(out)
    from ...fem import FilamentFEM
    from ...physics.device import Device

    model = FilamentFEM(Device.load(device), temperature_K=temperature)
    _keep(model.simulate(_sweep(peak, rate, compliance)), out)
