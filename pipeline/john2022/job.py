"""`john2022`: the whole chain once, from migration barriers to classified spike trains, in cached stages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...physics import trace as traces
from ...physics.database import Database
from ...physics.device import Device
from ...physics.errors import InputError, ValidityError
from ...physics.waveform import Waveform
from ..campaign import Campaign, Progress, Stages, Step, attempt, barrier_row, finish, parameters, part, prepared
from ..stages import Result, Workers
from . import report, verdicts

if TYPE_CHECKING:
    from ..conventions import States

__all__ = ["STAGES", "Settings", "john2022", "stimuli"]

STAGES = {
    "barriers": "barriers of the device card",
    "kmc_volatile": "KMC, volatile mode (1 uA)",
    "kmc_nonvolatile": "KMC, non-volatile mode (10 uA to 1 mA)",
    "fem": "continuum, non-volatile mode",
    "compact": "fits of the compact models",
    "reservoir": "reservoir states",
    "readouts": "training of both readouts",
    "conventions": "accuracy under each reading of the Methods",
    "report": "results and report",
}
"""Stages in the order in which they run, with what they do."""

_WIDTH_S, _AMPLITUDE_V = 20e-3, 1.0  # John et al. 2022, relaxation test and Fig. 4b
_SEEDS = {name: number for number, name in enumerate(STAGES)}


@dataclass(frozen=True)
class Settings:
    """What a run of the job may be told; part of the hash of each stage that it touches.

    Parameters
    ----------
    seed : int, >= 0
        Everything that is drawn follows from it.
    per_class : int, >= 10
        Patterns of each class. Published: 4975.
    temperature_K : float, K
    pulse_replicas, control_replicas : int, >= 1
        KMC replicas of the 1 V, 20 ms pulses, and of each other volatile stimulus.
    loop_replicas : int, >= 1
        KMC replicas of the bipolar loop at each compliance.
    amplitudes_V : tuple of float, V
        Amplitudes of the pulse series besides 1 V.
    compliances_A : tuple of float, A
        Compliances of the non-volatile mode, smallest first; 1 mA is what the paper uses.
    retention_s : float, s
        How long a programmed filament is watched. Published retention: 1e5 s.
    epochs : int, >= 1
        Published: 5.
    trainings : int, >= 1
        Trainings of each readout, from which accuracies have their spread.
    samples_per_V : float, 1/V
        Reported points of the sweeps.
    """

    seed: int = 2022
    per_class: int = 4975
    temperature_K: float = 300.0
    pulse_replicas: int = 20
    control_replicas: int = 6
    loop_replicas: int = 12
    amplitudes_V: tuple[float, ...] = (0.8, 0.9, 1.2)
    compliances_A: tuple[float, ...] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    retention_s: float = 1e5
    epochs: int = 5
    trainings: int = 5
    samples_per_V: float = 20.0

    def __post_init__(self) -> None:
        smallest = {
            "seed": 0,
            "per_class": 10,
            "pulse_replicas": 1,
            "control_replicas": 1,
            "loop_replicas": 1,
            "epochs": 1,
            "trainings": 1,
        }
        for name, least in smallest.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not np.isfinite(value) or int(value) != value or value < least:
                raise InputError(f"{name} must be a whole number", got=value, allowed=f">= {least}")
        for name in ("temperature_K", "retention_s", "samples_per_V"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be positive", got=getattr(self, name), allowed="> 0")
        amplitudes = np.array(self.amplitudes_V, dtype=float)
        if not np.isfinite(amplitudes).all() or (amplitudes <= 0).any() or _AMPLITUDE_V in self.amplitudes_V:
            raise InputError(
                "amplitudes_V must be positive and other than 1 V, which is always run", got=str(self.amplitudes_V)
            )
        limits = np.array(self.compliances_A, dtype=float)
        if limits.size < 2 or not np.isfinite(limits).all() or (np.diff(limits) <= 0).any() or limits[0] <= 0:
            raise InputError("compliances_A must be positive and ascending, at least two", got=str(self.compliances_A))


# -- jobs: run in worker processes -----------------------------------------------------------------------------


def _ensemble(simulation: Any, waveform: Waveform, replicas: int, entropy: list[int]) -> xr.Dataset:
    from ...kmc import ensemble

    return ensemble.run(simulation, waveform, replicas, rng=np.random.SeedSequence(entropy), processes=1)


def _stacked(simulation: Any, waveform: Waveform, replicas: int, entropy: list[int]) -> xr.Dataset | str:
    return attempt(_ensemble, simulation, waveform, replicas, entropy)


def _deterministic(simulation: Any, waveform: Waveform) -> xr.Dataset | str:
    return attempt(simulation.simulate, waveform)


# -- stages -------------------------------------------------------------------------------------------------------


def stimuli(settings: Settings) -> dict[str, Waveform]:
    """Every stimulus of the device-level stages, by the name of its trace.

    Parameters
    ----------
    settings : Settings
        Amplitudes, compliances, retention and points of the sweeps.

    Returns
    -------
    dict of str to Waveform
    """
    s = settings
    pulses = {
        f"pulses_{a:g}V": Waveform.pulses(a, _WIDTH_S, 120e-3, 3, compliance_A=1e-6, samples_per_period=480)
        for a in (_AMPLITUDE_V, *s.amplitudes_V)
    }
    ramp = Waveform(
        np.array([0.0, 0.5e-3, 5e-3, 5.5e-3]),
        np.array([0.0, 5.0, 5.0, 0.0]),
        np.array(s.compliances_A[-1]),
        np.linspace(0.0, 5.5e-3, 111),
    )
    return {
        **pulses,
        "sweep": Waveform.triangle([2.0], 1.0, 1e-6, samples_per_V=2.0 * s.samples_per_V),
        "reverse": Waveform.triangle([-2.0], 1.0, 1e-6, samples_per_V=s.samples_per_V),
        "snapshot": Waveform.hold(_AMPLITUDE_V, _WIDTH_S, compliance_A=1e-6, samples=41),
        # long enough for a filament that a harder dissolution, hence a costlier ion, makes grow more slowly
        "rest": Waveform.pulses(_AMPLITUDE_V, 0.1, 0.7, 3, compliance_A=1e-6, samples_per_period=700),
        "write": ramp,
        # whether Au switches at all shows under any compliance; a small one ends the growth, and the run, early
        "write_gold": ramp.with_compliance(1e-6),
        "retention": ramp
        + Waveform.hold(0.1, s.retention_s, compliance_A=s.compliances_A[-1], samples=41, first_s=1e-3),
        **{
            f"loop_{c:g}A": Waveform.triangle([5.0, -7.0], 1.0, [c, np.inf], samples_per_V=s.samples_per_V)
            for c in s.compliances_A
        },
        **{f"set_{c:g}A": Waveform.triangle([5.0], 1.0, c, samples_per_V=s.samples_per_V) for c in s.compliances_A},
    }


def _barriers(device: Device) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    """Barriers that the card takes from the database, beside everything published for the same species."""
    database = Database.load()
    rows = []
    for name, parameter in device.parameters.items():
        if not parameter.barrier:
            continue
        row = database.get(parameter.barrier)
        others = database.select(species=row.species, quantity=row.quantity, is_bound=False)
        rows.append(
            {
                **barrier_row(row),
                "parameter": name,
                "note": parameter.note,
                "published_range_eV": list(others.range()),
                "published_rows": len(others),
            }
        )
    return {"rows": rows, "database_rows": len(database), "failures": {}}, {}


def _kmc_volatile(device: Device, s: Settings, workers: Workers, progress: Callable[[int, int], None]) -> Any:
    from ...kmc import FilamentKMC

    waves = stimuli(s)
    plain = FilamentKMC(device, temperature_K=s.temperature_K)
    gold = FilamentKMC(device.with_electrode("Au"), temperature_K=s.temperature_K)
    harder = device.with_parameters(dissolution_barrier_eV=device.value("dissolution_barrier_eV") + 0.05)
    main = f"pulses_{_AMPLITUDE_V:g}V"
    plan: list[tuple[str, Any, str, int]] = [
        (main, plain, main, s.pulse_replicas),
        *((f"pulses_{a:g}V", plain, f"pulses_{a:g}V", s.control_replicas) for a in s.amplitudes_V),
        ("sweep", plain, "sweep", s.control_replicas),
        ("rest", plain, "rest", s.control_replicas),
        ("rest_harder", FilamentKMC(harder, temperature_K=s.temperature_K), "rest", s.control_replicas),
        ("sweep_gold", gold, "sweep", 2),
        ("reverse", plain, "reverse", 2),
        ("snapshot", plain, "snapshot", 1),
    ]
    jobs = {
        name: (_ensemble, simulation, waves[wave], replicas, [s.seed, _SEEDS["kmc_volatile"], i])
        for i, (name, simulation, wave, replicas) in enumerate(plan)
    }
    return part(jobs, workers, progress)


def _kmc_nonvolatile(device: Device, s: Settings, workers: Workers, progress: Callable[[int, int], None]) -> Any:
    from ...kmc import FilamentKMC

    waves = stimuli(s)
    model = FilamentKMC(device, temperature_K=s.temperature_K)
    gold = FilamentKMC(device.with_electrode("Au"), temperature_K=s.temperature_K)
    plan: list[tuple[str, Any, str, int]] = [
        *((f"loop_{c:g}A", model, f"loop_{c:g}A", s.loop_replicas) for c in reversed(s.compliances_A)),
        ("retention", model, "retention", 1),
        ("write", model, "write", 1),
        ("write_gold", gold, "write_gold", 2),
    ]
    jobs = {
        name: (_stacked, simulation, waves[wave], replicas, [s.seed, _SEEDS["kmc_nonvolatile"], i])
        for i, (name, simulation, wave, replicas) in enumerate(plan)
    }
    return part(jobs, workers, progress)


def _fem(device: Device, s: Settings, workers: Workers, progress: Callable[[int, int], None]) -> Any:
    from ...fem import FilamentFEM

    waves = stimuli(s)
    model = FilamentFEM(device, temperature_K=s.temperature_K)
    gold = FilamentFEM(device.with_electrode("Au"), temperature_K=s.temperature_K)
    top = s.compliances_A[-1]
    jobs = {
        f"loop_{top:g}A": (_deterministic, model, waves[f"loop_{top:g}A"]),
        **{f"set_{c:g}A": (_deterministic, model, waves[f"set_{c:g}A"]) for c in reversed(s.compliances_A)},
        "set_gold": (_deterministic, gold, waves[f"set_{top:g}A"]),
    }
    return part(jobs, workers, progress)


def _compact(
    s: Settings, volatile: Result, nonvolatile: Result, fem: Result, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    from ...compact import NonVolatile, Volatile, fit

    progress(0, 3)
    pulses = [volatile.traces[n] for n in sorted(volatile.traces) if n.startswith("pulses_")]
    cell = fit(Volatile, pulses)
    progress(1, 3)
    loops = [nonvolatile.traces[n] for n in sorted(nonvolatile.traces) if n.startswith("loop_")]
    sweeps = [fem.traces[n] for n in sorted(fem.traces) if n.startswith(("loop_", "set_")) and n != "set_gold"]
    both = fit(NonVolatile, [*loops, *sweeps])
    progress(2, 3)
    # from write to write only KMC varies: what lies between the two solvers is no noise of the device
    alone = fit(NonVolatile, loops).parameters if sweeps else both.parameters
    own = {name: alone[name] for name in alone if "spread" in name}
    own = {name: replace(p, origin=f"KMC only: {p.origin}") for name, p in own.items()}
    synapse = replace(both, parameters=both.parameters.replaced(**own))
    progress(3, 3)
    # the typical device under the stimulus of the first figure, for the picture of the fit
    main = volatile.traces[f"pulses_{_AMPLITUDE_V:g}V"]
    return (
        {"volatile": cell.to_dict(), "nonvolatile": synapse.to_dict(), "failures": {}},
        {"pulses_fit": cell.simulate(traces.waveform_of(main))},
    )


def _reservoir(
    s: Settings, cell: Any, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    from ..reservoir import Reservoir
    from ..spikes import FiringPatterns

    progress(0, 2)
    task = FiringPatterns(per_class=s.per_class, rng=np.random.default_rng([s.seed, _SEEDS["reservoir"], 0]))
    reservoir = Reservoir(cell)
    waves = list(task.trains)
    progress(1, 2)
    states = reservoir.transform(
        waves, rng=np.random.default_rng([s.seed, _SEEDS["reservoir"], 1]), devices=task.device
    )
    made = {
        "states": xr.Dataset(
            {
                "state": (("pattern", "node"), states, {"units": "S", "long_name": "conductance at the nodes"}),
                "label": ("pattern", task.labels.astype(np.int32), {"units": "1", "long_name": "class"}),
                "device": ("pattern", task.device.astype(np.int32), {"units": "1", "long_name": "device"}),
            },
            coords={"node": ("node", reservoir.node_times_s, {"units": "s", "long_name": "instant of the node"})},
            attrs={"classes": json.dumps(list(task.classes)), "seed": task.seed},
        )
    }
    sampled = np.linspace(0.0, task.duration_s, 2101)
    for number, name in enumerate(task.classes):
        first = int(np.flatnonzero(task.labels == number)[0])
        made[f"pattern_{name.lower()}"] = cell.simulate(waves[first].with_samples(sampled))
    progress(2, 2)
    options = {k: v for k, v in task.parameters.items() if k != "rng"}
    return {"task": options, "nodes": reservoir.nodes, "interval_s": reservoir.interval_s, "failures": {}}, made


def _data(states: xr.Dataset) -> States:
    from ..conventions import States

    labels = states["label"].values.astype(np.int64)
    # every pattern has a train of its own
    return States(states["state"].values, labels, states["device"].values.astype(np.int64), np.arange(labels.size))


def _readouts(
    s: Settings, states: xr.Dataset, synapse: Any, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    from .. import conventions
    from ..readout import DeltaRuleReadout, IccReadout
    from ..spikes import hold_out

    data, total = _data(states), 2 * s.trainings
    out: dict[str, Any] = {"delta": [], "icc": [], "failures": {}}
    progress(0, total)
    bounds = conventions.bounds(synapse)
    for n in range(s.trainings):
        random = np.random.default_rng([s.seed, _SEEDS["readouts"], n])
        parts = hold_out(data.labels, data.unit("pattern"), 0.1, random)
        readouts = {
            "delta": DeltaRuleReadout(s.epochs, rng=np.random.default_rng([s.seed, n, 1])),
            "icc": IccReadout(synapse, s.epochs, bounds_S=bounds, rng=np.random.default_rng([s.seed, n, 2])),
        }
        for name, readout in readouts.items():
            entry = conventions.scored(readout, data.states, data.labels, parts)
            counts = entry.pop("counts")
            out[name].append(entry | {"counts": counts, "confusion": counts / counts.sum(axis=1, keepdims=True)})
            progress(len(out["delta"]) + len(out["icc"]), total)
    out["bounds_S"] = list(bounds)
    out["classes"] = json.loads(states.attrs["classes"])
    return out, {}


def _conventions(
    s: Settings, states: xr.Dataset, cell: Any, synapse: Any, workers: Workers, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    from .. import conventions

    data = _data(states)
    lines = conventions.measure(
        cell,
        synapse,
        per_class=s.per_class,
        epochs=s.epochs,
        trainings=s.trainings,
        seed=s.seed,
        workers=workers,
        given=data,
        progress=progress,
    )
    needed = conventions.needed(data, synapse, epochs=s.epochs, seed=s.seed)
    failures = {name: line["failed"] for name, line in lines.items() if "failed" in line}
    return {"lines": lines, "needed": needed, "failures": failures}, {}


# -- the job ------------------------------------------------------------------------------------------------------


def john2022(
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    device: str | os.PathLike[str] | Device = "john2022-ogb",
    processes: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Campaign:
    """Run the chain of John et al. 2022: barriers, KMC and continuum, compact models, reservoir, both readouts.

    Parameters
    ----------
    out : path
        Folder of ``results.json``, ``report.html``, the traces and exports; made if it does not exist.
    settings : Settings, optional
    device : str, path or Device
        Card name, path to a card, or a device.
    processes : int, >= 1, optional
        Worker processes of the KMC and continuum stages; by default one for each core. Numbers do not depend on it.
    fresh : bool
        Forget finished stages.
    progress : callable (stage, done, total, note), optional
        `stage` is a key of :data:`STAGES`; note is ``"cached"`` for a stage that was read.

    Returns
    -------
    Campaign

    Raises
    ------
    OutputError
        If the folder cannot be written; tried before any work.
    InputError, DataError
        If the card or a setting is wrong.

    Notes
    -----
    Finished stages lie in ``out/.stages``; each is used again as long as its inputs, the stages before it and the
    code that it runs are the same.
    """
    s = Settings() if settings is None else settings
    folder, devices, workers_count = prepared(out, [device], processes)
    job = Campaign("john2022", folder, s, devices)
    card = job.device
    stage = Stages(job, "pipeline/john2022/job.py", fresh=fresh, progress=progress)
    base = {"device": card.to_dict(), "temperature_K": s.temperature_K}
    waves = {name: w.to_dict() for name, w in stimuli(s).items()}
    steep = {name: w for name, w in waves.items() if name.startswith(("loop_", "set_"))}
    hard = {name: w for name, w in waves.items() if name.startswith(("loop_", "retention", "write"))}
    soft = {name: w for name, w in waves.items() if name not in steep and name not in hard}

    with Workers(workers_count) as workers:
        provenance = {n: [p.kind, p.origin, p.note] for n, p in sorted(card.parameters.items())}
        stage(
            "barriers",
            {**base, "provenance": provenance, "rows": [str(r) for r in Database.load()]},
            ["physics"],
            lambda p: _barriers(card),
        )
        kmc = ["physics", "kmc"]
        volatile = stage(
            "kmc_volatile",
            {
                **base,
                "seed": s.seed,
                "replicas": [s.pulse_replicas, s.control_replicas],
                "stimuli": soft,
            },
            kmc,
            lambda p: _kmc_volatile(card, s, workers, p),
            settings=("seed", "temperature_K", "pulse_replicas", "control_replicas", "amplitudes_V", "samples_per_V"),
        )
        nonvolatile = stage(
            "kmc_nonvolatile",
            {**base, "seed": s.seed, "replicas": s.loop_replicas, "stimuli": hard},
            kmc,
            lambda p: _kmc_nonvolatile(card, s, workers, p),
            settings=("seed", "temperature_K", "loop_replicas", "compliances_A", "retention_s", "samples_per_V"),
        )
        fem = stage(
            "fem",
            {**base, "stimuli": steep},
            ["physics", "fem"],
            lambda p: _fem(card, s, workers, p),
            settings=("temperature_K", "compliances_A", "samples_per_V"),
        )
    compact = stage(
        "compact",
        {"upstream": [volatile.key, nonvolatile.key, fem.key]},
        ["physics", "compact"],
        lambda p: _compact(s, volatile, nonvolatile, fem, p),
        after=("kmc_volatile", "kmc_nonvolatile", "fem"),
        models=("volatile", "nonvolatile"),
    )
    from ...compact import NonVolatile, Volatile

    cell = Volatile.from_dict(compact.data["volatile"])
    synapse = NonVolatile.from_dict(compact.data["nonvolatile"])
    network = ["physics", "compact"]
    reservoir = stage(
        "reservoir",
        {"upstream": compact.key, "seed": s.seed, "per_class": s.per_class},
        [*network, "pipeline/reservoir.py", "pipeline/spikes.py"],
        lambda p: _reservoir(s, cell, p),
        after=("compact",),
        settings=("seed", "per_class"),
        models=("volatile",),
    )
    stage(
        "readouts",
        {"upstream": [compact.key, reservoir.key], "seed": s.seed, "epochs": s.epochs, "trainings": s.trainings},
        [*network, "pipeline/conventions.py", "pipeline/spikes.py", "pipeline/readout.py", "pipeline/_readout.py"],
        lambda p: _readouts(s, reservoir.traces["states"], synapse, p),
        after=("reservoir", "compact"),
        settings=("seed", "epochs", "trainings"),
        models=("nonvolatile",),
    )
    with Workers(workers_count) as workers:
        stage(
            "conventions",
            {
                "upstream": [compact.key, reservoir.key],
                "seed": s.seed,
                "per_class": s.per_class,
                "epochs": s.epochs,
                "trainings": s.trainings,
            },
            [
                *network,
                *(f"pipeline/{name}.py" for name in ("conventions", "reservoir", "spikes", "readout", "_readout")),
            ],
            lambda p: _conventions(s, reservoir.traces["states"], cell, synapse, workers, p),
            after=("reservoir", "compact"),
            settings=("seed", "per_class", "epochs", "trainings"),
            models=("volatile", "nonvolatile"),
        )
    _write(job, cell, synapse, lambda done, total: stage.tell("report", done, total, ""))
    stage.tell("report", 1, 1, "done")
    return job


def _write(job: Campaign, cell: Any, synapse: Any, step: Step) -> None:
    refused: dict[str, str] = {}

    def export() -> None:
        for model, stem in ((cell, "cell"), (synapse, "synapse")):
            for suffix in (".sp", ".va"):
                try:
                    model.export(job.folder / f"{stem}{suffix}")
                except ValidityError as error:  # one netlist that cannot be is no reason to lose the report
                    refused[f"{stem}{suffix}"] = str(error)

    def results() -> dict[str, Any]:
        everything, fitted = parameters(job.device)
        compact, readouts = job.stages["compact"].data, job.stages["readouts"].data
        models, rules = ("volatile", "nonvolatile"), ("delta", "icc")
        kept = ("train_accuracy", "test_accuracy", "counts", "confusion", "history")
        return {
            "device": job.device.name,
            "statement": "No accuracy, confusion matrix or other network result enters any fit or any device "
            "parameter. What was calibrated is listed below with the device-level observable that it was fitted to.",
            "quantities": verdicts.quantities(job.stages, job.settings, job.device, cell, synapse),
            "calibrated_parameters": fitted,
            "device_parameters": everything,
            "fitted_parameters": {name: compact[name]["parameters"] for name in models},
            "fit_warnings": {name: compact[name]["warnings"] for name in models},
            "not_exported": refused,
            "barriers": job.stages["barriers"].data["rows"],
            "conventions": {key: job.stages["conventions"].data[key] for key in ("lines", "needed")},
            "readouts": {name: {key: [run[key] for run in readouts[name]] for key in kept} for name in rules},
            "references": verdicts.references(job.stages, job.device, cell, synapse),
        }

    finish(job, step, results, lambda: report.render(job, cell, synapse, STAGES), export=export)
