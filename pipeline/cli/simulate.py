"""`halidrift kmc` and `halidrift fem`: a device under a protocol, kept as a trace, an ensemble or a series of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...physics.errors import InputError
from ._complete import cards
from ._console import (
    Dask,
    Json,
    Workers,
    bars,
    beside,
    check_files,
    check_traces,
    failed,
    give,
    measured,
    now_and_then,
    on_stdout,
    read_trace,
)
from ._console import out as stdout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from ...physics.waveform import Waveform

kmc_app = typer.Typer(help="Kinetic Monte Carlo of the filament.", no_args_is_help=True)
fem_app = typer.Typer(help="Continuum models: a film of ions, or a filament.", no_args_is_help=True)

_SWITCHES = ("FilamentKMC", "FilamentFEM", "VacancyKMC")
_Device = Annotated[str, typer.Argument(help="Name or path of a device card.", autocompletion=cards)]
_Waveform = Annotated[
    str | None,
    typer.Option(
        "--waveform",
        help="Protocol, as 'pulses amplitude=1V width=20ms period=40ms count=10 compliance=1uA + hold voltage=0.1V "
        "duration=100s' (triangle, pulses, spikes, hold; + joins, 5x repeats, brackets group), or a CSV file with "
        "columns time_s, voltage_V and compliance_A.",
    ),
]
_Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        help="Series, as compliance=1uA,10uA,100uA: one run for each value of an argument of the protocol, or of "
        "temperature or electrode; may be repeated for every combination. --out and --store are folders then.",
    ),
]
_Peaks = Annotated[
    list[str] | None,
    typer.Option("--peak", metavar="V", help="Turning voltage of a sweep; may be repeated (2V if not given)."),
]
_Rate = Annotated[str | None, typer.Option("--rate", metavar="V/S", help="Rate of the sweep (1V/s if not given).")]
_Compliance = Annotated[
    str | None, typer.Option("--compliance", metavar="A", help="Compliance current of the sweep, as 1uA.")
]
_Temperature = Annotated[float, measured("--temperature", "K", "Temperature of the surroundings.")]
_Electrode = Annotated[
    str | None, typer.Option("--electrode", help="Metal of the active electrode, if not that of the card.")
]


@dataclass(frozen=True)
class _Member:
    """One run of a series."""

    label: str
    waveform: Waveform
    temperature_K: float
    electrode: str | None
    out: Path | None
    store: Path | None


@dataclass
class _Finished:
    """What an interrupted command can say."""

    members: list[str] = field(default_factory=list)
    replicas: int = 0


def _protocol(
    waveform: str | None, peaks: list[str] | None, rate: str | None, compliance: str | None, otherwise: str
) -> str:
    """The protocol as text; the options of a sweep are a short form of one."""
    from ...physics.protocols import quantity

    sweep = {"--peak": peaks, "--rate": rate, "--compliance": compliance}
    if waveform is None:
        volts = ",".join(f"{quantity(p, 'V', name='--peak', bare=True)!r}V" for p in peaks or ["2"])
        slope = quantity(rate or "1", "V/s", name="--rate", bare=True)
        limit = quantity(compliance or otherwise, "A", name="--compliance", bare=True)
        return f"triangle peaks={volts} rate={slope!r}V/s compliance={limit!r}{'A' if limit < float('inf') else ''}"
    for option, value in sweep.items():
        if value:
            name = {"--peak": "peaks"}.get(option, option[2:])
            raise InputError(
                f"{option} does not go with --waveform", got=waveform, action=f"Write {name}=... into the protocol"
            )
    return waveform


def _members(
    protocol: str,
    vary: list[str] | None,
    temperature_K: float,
    electrode: str | None,
    out: Path | None,
    store: Path | None,
) -> list[_Member]:
    """Every run of the series, each with its waveform and its files; bad input ends here, before any work."""
    from ...physics.protocols import Protocol, quantity, variation

    whole = Protocol.parse(protocol)
    axes = [variation(text) for text in vary or ()]
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        raise InputError("--vary names an argument twice", got=", ".join(names), action="Give all its values at once")
    members = []
    for values in itertools.product(*(values for _, values in axes)):
        played, kelvin, metal = whole, temperature_K, electrode
        for name, value in zip(names, values, strict=True):
            if name == "temperature":
                kelvin = quantity(value, "K", name="temperature")
            elif name == "electrode":
                metal = value
            else:
                (played,) = played.vary(name, [value])
        label = ",".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        file = label.replace("/", "_").replace(" ", "")
        place = (
            (out / f"{file}.nc" if out else None, store / f"{file}.zarr" if store else None) if axes else (out, store)
        )
        members.append(_Member(label, played.waveform(), kelvin, metal, *place))
    _check_targets(out, store, bool(axes))
    return members


def _check_targets(out: Path | None, store: Path | None, series: bool) -> None:
    from ..stages import check_writable

    if out is not None and series and out.suffix == ".nc":
        raise InputError("--out names a file", got=str(out), allowed="with --vary, a folder for one file a value")
    if out is not None and not series and out.is_dir():
        raise InputError("--out names a folder", got=str(out), allowed="a file, for instance trace.nc")
    if not series:
        check_traces(out)
    for place in (out, store):
        if place is not None:
            check_writable(place if series else place.parent)


def _told(console: Console, place: Path | None, trace: Any) -> None:
    G, largest = trace["conductance"], float(abs(trace["current"]).max())
    replicas = f"{trace.sizes['replica']} replicas, " if "replica" in trace.dims else ""
    silent = (
        ", nothing switched" if str(trace.attrs["model"]).startswith(_SWITCHES) and G.max() < 10.0 * G.min() else ""
    )
    console.print(
        f"{'' if place is None else f'{place}: '}{replicas}{trace.sizes['time']} instants{_limit(trace)}, "
        f"conductance {float(G.min()):.3g} to {float(G.max()):.3g} S{silent}, current up to {largest:.3g} A",
        soft_wrap=True,
        markup=False,
    )


def _limit(trace: Any) -> str:
    """The compliance, of a run that had one."""
    from ...physics.trace import waveform_of

    known = [float(limit) for limit in waveform_of(trace).compliance_A if limit < float("inf")]
    if not known:
        return ""
    low, high = min(known), max(known)
    return f", compliance {low:.3g} A" if low == high else f", compliance {low:.3g} to {high:.3g} A"


def _synapse(console: Console, trace: Any) -> None:
    """What the reads of a run of spikes say: the index of the last, and how the weight is forgotten."""
    from ...compact import plasticity
    from ...physics.trace import waveform_of

    wave = waveform_of(trace)
    if trace["conductance"].ndim != 1 or wave.reads_s.size == 0:
        return
    found = plasticity.indices(trace)
    words = [f"A1 {plasticity.responses(trace)[0]:.4g} S"]
    if found.size > 1:
        words.append(f"A{found.size}/A1 {found[-1]:.4g}")
    if wave.duration_s - wave.reads_s[-1] >= 5.0:
        try:
            after = plasticity.decay(trace)
            watch = float(after.time_s[-1])
            law = plasticity.power_law(*after, window_s=(0.1, watch))
            words.append(f"weight {law.b:.4g} (t/s)^-{law.m:.4g} from 0.1 to {watch:.3g} s, R2 {law.r2:.3f}")
        except InputError as error:  # the run is good, and others of the series are to come
            words.append(f"no law of forgetting: {error}")
    console.print("  " + ", ".join(words), soft_wrap=True, markup=False)


class _Bar:
    """One bar for a series.

    It counts reported instants, of all replicas: those lie close where the voltage moves, which is where the work is.
    """

    def __init__(self, shown: Progress, members: list[_Member], replicas: int, finished: _Finished):
        self.shown, self.replicas, self.finished = shown, replicas, finished
        self.before = 0  # instants of the members that are finished
        self.task = shown.add_task("", total=replicas * sum(m.waveform.times_s.size for m in members), note="")

    def begin(self, member: _Member) -> None:
        """The next member of the series."""
        self.times = member.waveform.times_s
        self.kept, self.live = member.store is not None, False
        self.finished.replicas = 0
        self.shown.update(self.task, description=member.label)
        self._move(0.0)

    def end(self) -> None:
        """The member is finished."""
        self.finished.replicas = self.replicas
        self._move(self.replicas)
        self.before += self.replicas * self.times.size

    def instant(self, time_s: float) -> None:
        """A single run is at this simulated time."""
        self._move(int(self.times.searchsorted(time_s, side="right")) / self.times.size)

    def replica(self, done: int, _: int) -> None:
        """So many replicas are finished, be it those that a store holds from before."""
        self.finished.replicas = done
        if self.kept and not self.live:
            self.shown.update(self.task, known=self.before + done * self.times.size)
        self.kept = False
        if not self.live:  # else the next look at those that run counts this one too
            self._move(done)

    def running(self, share: float) -> None:
        """So much is done of the replicas that run."""
        self.live = True
        self._move(self.finished.replicas + share)

    def _move(self, replicas: float) -> None:
        many = f", {self.finished.replicas} of {self.replicas} devices finished" if self.replicas > 1 else ""
        at = self.before + round(replicas * self.times.size)
        self.shown.update(self.task, completed=at, note=f"instants{many}")


def _play(members: list[_Member], replicas: int, run: Callable[[_Member, _Bar], Any], json_file: Path | None) -> None:
    """Run a series with one bar for all of it; Ctrl-C says what is finished."""
    from ...physics import trace as traces

    finished, rows = _Finished(), []
    with bars() as shown:
        bar = _Bar(shown, members, replicas, finished)
        try:
            for member in members:
                bar.begin(member)
                trace = run(member, bar)
                bar.end()
                if member.out is not None:
                    traces.write(trace, member.out)
                finished.members.append(member.label)
                place = member.out or member.store
                rows.append({"label": member.label, "file": None if place is None else str(place), **_summary(trace)})
                if not on_stdout(json_file):
                    console = beside(shown)
                    _told(console, place, trace)
                    _synapse(console, trace)
        except KeyboardInterrupt:
            shown.stop()
            failed().print(_interrupted(members, replicas, finished), style="yellow", soft_wrap=True, markup=False)
            raise typer.Exit(130) from None
    give(rows, json_file)


def _summary(trace: Any) -> dict[str, Any]:
    G = trace["conductance"]
    return {
        "replicas": int(trace.sizes.get("replica", 1)),
        "instants": int(trace.sizes["time"]),
        "lowest_conductance_S": float(G.min()),
        "highest_conductance_S": float(G.max()),
        "largest_current_A": float(abs(trace["current"]).max()),
    }


def _interrupted(members: list[_Member], replicas: int, finished: _Finished) -> str:
    words = ["Interrupted."]
    if members[0].label:
        words.append(f"Finished: {', '.join(finished.members) or 'nothing'}.")
    elif replicas == 1 and not finished.members and members[0].store is None:
        words.append("Nothing is kept.")
    if len(finished.members) < len(members) and replicas > 1:
        member = members[len(finished.members)]
        label = f" of {member.label}" if member.label else ""
        words.append(f"{finished.replicas} of {replicas} replicas{label} are done")
        if member.store is None:
            words[-1] += "; none is kept without --store."
        else:
            words[-1] += f" and kept in {member.store}; the same command continues from there."
    return " ".join(words)


@kmc_app.command("run")
def kmc_run(
    device: _Device,
    out: Annotated[Path | None, typer.Option("--out", help="NetCDF file of the trace or ensemble.")] = None,
    waveform: _Waveform = None,
    vary: _Vary = None,
    peak: _Peaks = None,
    rate: _Rate = None,
    compliance: _Compliance = None,
    temperature: _Temperature = 300.0,
    electrode: _Electrode = None,
    transport: Annotated[str, typer.Option("--transport", help="Of ions: fast or explicit.")] = "fast",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the run, alike for every value of a series.")] = 0,
    replicas: Annotated[int, typer.Option("--replicas", help="Independent devices.")] = 1,
    processes: Workers = None,
    dask: Dask = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", help="Zarr store that keeps each replica as it finishes; the same command continues it."
        ),
    ] = None,
    snapshots: Annotated[
        int | None,
        typer.Option("--snapshots", help="Keep the filament at so many of the reported instants, for `kmc draw`."),
    ] = None,
    sampled: Annotated[
        bool, typer.Option("--sampled", help="Make every replica another device, drawn from the spreads of the card.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Play a protocol on a device, or on many, with kinetic Monte Carlo.

    Without --waveform, a sweep of --peak, --rate and --compliance (1uA if not given).

    Example: halidrift kmc run john2022-ogb --peak 1.5V --compliance 1uA --replicas 8 --out sweeps.nc
    """
    if out is None and store is None:
        raise InputError("Nothing would be kept", action="Give --out FILE.nc, --store FOLDER.zarr, or both")
    text = _protocol(waveform, peak, rate, compliance, "1uA")
    check_files(json=json_file)
    members = _members(text, vary, temperature, electrode, out, store)
    from ...kmc import FilamentKMC, ensemble
    from ...kmc.sampled import Sampled
    from ...kmc.snapshots import instants
    from ...physics.device import Device

    for m in members:
        instants(snapshots, m.waveform.times_s)
    card = Device.load(device)
    models: dict[tuple[float, str | None], FilamentKMC | Sampled] = {}
    for m in members:
        made_of = card if m.electrode is None else card.with_electrode(m.electrode)
        key = m.temperature_K, m.electrode
        if key not in models:
            cell = FilamentKMC(made_of, temperature_K=m.temperature_K, transport=transport, snapshots=snapshots)
            models[key] = Sampled(cell) if sampled else cell

    single = replicas == 1 and store is None and dask is None

    def run(m: _Member, bar: _Bar) -> Any:
        model = models[m.temperature_K, m.electrode]
        if single:
            return model.simulate(m.waveform, rng=seed, progress=now_and_then(bar.instant))
        return ensemble.run(
            model,
            m.waveform,
            replicas,
            rng=seed,
            processes=processes,
            dask=dask,
            store=m.store,
            progress=bar.replica,
            running=bar.running,
        )

    _play(members, replicas, run, json_file)


@kmc_app.command("draw")
def kmc_draw(
    file: Annotated[Path, typer.Argument(metavar="TRACE", help="NetCDF file of `halidrift kmc run --snapshots N`.")],
    out: Annotated[
        Path, typer.Option("--out", help="Picture (.png, .svg or .pdf) or animation (.gif; .mp4 with ffmpeg).")
    ],
    view: Annotated[
        str,
        typer.Option("--view", help="snapshots: the filament between its electrodes; layers: atoms at each height."),
    ] = "snapshots",
    at: Annotated[
        str | None,
        typer.Option("--at", help="Instants of a picture, up to six, as 2ms,20ms; those that tell most if not given."),
    ] = None,
    colour: Annotated[
        str,
        typer.Option(
            "--colour", help="Of the atoms: potential (between the electrodes), height, depth (seen from us)."
        ),
    ] = "potential",
    replica: Annotated[int | None, typer.Option("--replica", help="Which device of an ensemble, from 0.")] = None,
    fps: Annotated[float, typer.Option("--fps", help="Frames of an animation in a second.")] = 8.0,
    dpi: Annotated[
        float | None,
        typer.Option(
            "--dpi", help="Resolution: 130 for a PNG, 110 for an animation, 300 for dense parts of SVG and PDF."
        ),
    ] = None,
) -> None:
    """Draw the filament of a trace, with its voltage, current, conductance and temperature.

    Example: halidrift kmc draw trace.nc --out filament.png --at 2ms,20ms,40ms
    """
    if view not in ("snapshots", "layers"):
        raise InputError("Unknown --view", got=view, allowed="snapshots or layers")
    if dpi is not None and not 20.0 <= dpi <= 1200.0:
        raise InputError("--dpi is out of range", got=dpi, allowed="20 to 1200")
    if out.is_dir():
        raise InputError("--out names a folder", got=str(out), allowed="a file, for instance filament.png")
    from ..figures import KINDS, filament, save

    kind = out.suffix.lower().removeprefix(".")
    if kind not in (*KINDS, *filament.MOVIES):
        allowed = ", ".join(f".{name}" for name in (*KINDS, *filament.MOVIES))
        raise InputError("--out is of an unknown kind", got=out.name, allowed=allowed)
    instants = _instants(at)
    trace = _replica(read_trace(file, " (a filament is in a trace of halidrift kmc run --snapshots N alone)"), replica)
    if kind in filament.MOVIES:
        for name, given in (("--view layers", view == "layers"), ("--at", at is not None)):
            if given:
                raise InputError(f"{name} does not go with an animation", got=out.name, allowed=".png, .svg or .pdf")
        options = {} if dpi is None else {"dpi": dpi}
        made = filament.animation(trace, out, colour=colour, frames_per_s=fps, **options)
        stdout().print(f"Animation: {made}, {trace.sizes['snapshot']} frames", soft_wrap=True, markup=False)
        return
    if view == "layers":
        figure = filament.layers(trace, at=instants)
    else:
        figure = filament.snapshots(trace, at=instants, colour=colour)
    if dpi is not None or kind != "png":
        figure.set_dpi(dpi or 300.0)
    stdout().print(f"Picture: {save(figure, out)}", soft_wrap=True, markup=False)


def _instants(text: str | None) -> list[float] | None:
    """Times such as ``2ms,20ms`` in s."""
    from ...physics.protocols import quantity

    return None if text is None else [quantity(part, "s", name="--at", bare=True) for part in text.split(",")]


def _replica(trace: Any, number: int | None) -> Any:
    """One device of an ensemble."""
    if number is None:
        return trace
    if "replica" not in trace.dims:
        raise InputError("The trace is that of one device", got=f"--replica {number}", action="Leave --replica out")
    numbers = trace["replica"].values.tolist()
    if number not in numbers:
        raise InputError("No such replica", got=number, allowed=f"{min(numbers)} to {max(numbers)}")
    return trace.isel(replica=numbers.index(number))


_Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Picture of the trace (.png, .svg or .pdf); with --vary, a folder of PNG files."),
]
_Kept = Annotated[Path | None, typer.Option("--out", help="NetCDF file of the trace; with --vary, a folder.")]


@fem_app.command("run")
def fem_run(
    device: _Device,
    out: Annotated[Path, typer.Option("--out", help="NetCDF file of the trace.")],
    waveform: _Waveform = None,
    vary: _Vary = None,
    peak: _Peaks = None,
    rate: _Rate = None,
    compliance: _Compliance = None,
    temperature: _Temperature = 300.0,
    electrode: _Electrode = None,
    json_file: Json = None,
) -> None:
    """Play a protocol on a device with the continuum model that its card is for: a film of ions or a filament.

    Without --waveform, a sweep of --peak, --rate and --compliance (1mA if not given).

    Example: halidrift fem run john2022-ogb --peak 2V --compliance 1mA --out sweep.nc
    """
    text = _protocol(waveform, peak, rate, compliance, "1mA")
    _continuum(device, text, vary, temperature, electrode, out, None, json_file)


@fem_app.command("filament")
def fem_filament(
    device: _Device,
    out: _Kept = None,
    waveform: _Waveform = None,
    vary: _Vary = None,
    peak: _Peaks = None,
    rate: _Rate = None,
    compliance: _Compliance = None,
    temperature: _Temperature = 300.0,
    electrode: _Electrode = None,
    plot: _Plot = None,
    json_file: Json = None,
) -> None:
    """SET and RESET of a filament: ions, current and heat about its axis.

    Without --waveform, a sweep of --peak, --rate and --compliance (1mA if not given).

    Example: halidrift fem filament john2022-ogb --peak 2V --out sweep.nc --plot sweep.png
    """
    text = _protocol(waveform, peak, rate, compliance, "1mA")
    _continuum(device, text, vary, temperature, electrode, out, plot, json_file, model="filament")


@fem_app.command("film")
def fem_film(
    device: _Device,
    out: _Kept = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            help="Of a synapse: single, pair, frequency, amplitudes, durations, numbers, retention or update, with "
            "arguments if not those of Kim et al. 2019, as 'pair interval=60ms' (single if not given).",
        ),
    ] = None,
    waveform: _Waveform = None,
    vary: _Vary = None,
    temperature: _Temperature = 300.0,
    plot: _Plot = None,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="Keep, and draw, density and potential across the film.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Spikes on an ion film: the responses, and what they say about the synapse.

    Example: halidrift fem film kim2019-n3 --protocol pair --vary interval=20ms,60ms,180ms --out pairs --plot pairs
    """
    if protocol is not None and waveform is not None:
        raise InputError("--protocol does not go with --waveform", got=protocol, action="Give one of them")
    text = waveform or protocol or "single"
    _continuum(device, text, vary, temperature, None, out, plot, json_file, model="film", profiles=profiles)


def _continuum(
    device: str,
    text: str,
    vary: list[str] | None,
    temperature_K: float,
    electrode: str | None,
    out: Path | None,
    plot: Path | None,
    json_file: Path | None,
    *,
    model: str | None = None,
    profiles: bool = False,
) -> None:
    """Play a series with a continuum model; `model` is that of the card, if not given."""
    if out is None and plot is None:
        raise InputError("Nothing would be kept", action="Give --out FILE.nc, --plot FILE.png, or both")
    check_files(json=json_file)
    members = _members(text, vary, temperature_K, electrode, out, None)
    if plot is not None:
        _check_plot(plot, bool(vary))
    from ...fem import FilamentFEM, IonFilm
    from ...physics.device import Device

    card = Device.load(device)
    kind = model or ("film" if "ion_density_1_m3" in card.parameters else "filament")
    metals = {m.electrode for m in members} - {None}
    if kind == "film" and metals:
        raise InputError(
            "The metal of the electrode means nothing to an ion film: its contacts let no ion through",
            got=", ".join(sorted(str(metal) for metal in metals)),
            action="Leave electrode out",
        )

    def made(m: _Member) -> FilamentFEM | IonFilm:
        own = card if m.electrode is None else card.with_electrode(m.electrode)
        if kind == "film":
            return IonFilm(own, temperature_K=m.temperature_K, profiles=profiles)
        return FilamentFEM(own, temperature_K=m.temperature_K)

    models = [made(m) for m in members]

    def run(m: _Member, bar: _Bar) -> Any:
        trace = models[members.index(m)].simulate(m.waveform, progress=now_and_then(bar.instant))
        if plot is not None:
            from ..figures import save
            from ..figures.trace import overview

            file = plot / f"{m.label.replace('/', '_').replace(' ', '')}.png" if vary else plot
            said = bar.shown.console if on_stdout(json_file) else beside(bar.shown)
            said.print(f"Picture: {save(overview(trace), file)}", soft_wrap=True, markup=False)
        return trace

    _play(members, 1, run, json_file)


def _check_plot(plot: Path, series: bool) -> None:
    """Complain about a picture that could not be written before anything is simulated."""
    from ..figures import KINDS
    from ..stages import check_writable

    picture = plot.suffix.lower().removeprefix(".") in KINDS
    if series and picture:
        raise InputError("--plot names a file", got=str(plot), allowed="with --vary, a folder for one PNG a value")
    if not series and not picture:
        allowed = ", ".join(f".{name}" for name in KINDS)
        raise InputError("--plot is of an unknown kind", got=plot.name, allowed=allowed)
    check_writable(plot if series else plot.parent, option="--plot")
