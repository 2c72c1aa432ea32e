"""`kim2019`: every protocol of the paper on the ion film of each n, in cached stages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...physics import synapse
from ...physics.database import Database
from ...physics.device import Device
from ...physics.errors import InputError
from ...physics.waveform import Waveform
from ..campaign import Campaign, Progress, Stages, Step, attempt, barrier_row, finish, parameters, part, prepared
from ..digits import MNIST_FILES, mnist
from ..stages import Workers, file_digest
from . import report, verdicts
from .recognition import READS, recognise
from .targets import AREAS_UM2, FILMS

__all__ = ["STAGES", "Play", "Settings", "kim2019", "plan"]

STAGES = {
    "barriers": "barriers of the six cards",
    "plasticity": "one, two and many spikes",
    "update": "potentiation and depression",
    "retention": "forgetting, as published and otherwise",
    "energy": "energy by area and amplitude",
    "arrhenius": "resistance against temperature",
    "digits": "handwritten digits",
    "report": "results and report",
}
"""Stages in the order in which they run, with what they do."""

_LONGEST_STEP_S = 5.0  # the error bounds the steps; this only lets a slow decay be slow
_NETWORK = ("digits", "_digits", "readout", "_readout", "kim2019/recognition")  # modules of the stage of the digits
_MIXED = 60  # spikes of random sign
_LATE_S = 10e-3  # from a late read to the next spike


@dataclass(frozen=True)
class Settings:
    """What a run of the job may be told; part of the hash of each stage that it touches.

    Parameters
    ----------
    films : tuple of str
        Which films, by n.
    quick : bool
        Fewer points of every protocol.
    temperature_K : float, K
    read_delay_s : float, s
        From the end of a spike to its read. Not published.
    gap_s : float, s
        Between spikes where the paper gives no distance.
    lead_s : float, s
        How long the read voltage is on before the spikes of a retention run. Not published.
    retention_read_V : float, V
        Published: -0.1.
    window_s : tuple of float, s
        What of a decay is fitted. Not published.
    watch_s : float, s
        Published time axis: 15.
    temperatures_K : tuple of float, K
        Of the Arrhenius plot. Not published.
    late_gap_s : float, s
        Between the spikes of a second update curve, each read 10 ms before the next spike. Not published.
    seed : int, >= 0
        What is drawn for the digits follows from it: splits, orders and roundings. No film draws anything.
    epochs : int, >= 1
        Of the digits. Not published. At most 5 in a quick run.
    trainings : int, >= 1
        Of each network, from which accuracies have their spread. At most 2 in a quick run.
    mnist : str, optional
        Folder of MNIST's four IDX files; without it the 28 x 28 images are not tried.
    """

    films: tuple[str, ...] = FILMS
    quick: bool = False
    temperature_K: float = 300.0
    read_delay_s: float = 1e-3
    gap_s: float = synapse.GAP_S
    lead_s: float = 1000.0
    retention_read_V: float = -0.1
    window_s: tuple[float, float] = (0.1, 15.0)
    watch_s: float = 15.0
    temperatures_K: tuple[float, ...] = (280.0, 300.0, 320.0, 340.0)
    late_gap_s: float = 0.3
    seed: int = 2019
    epochs: int = 20
    trainings: int = 5
    mnist: str | None = None

    def __post_init__(self) -> None:
        unknown = [n for n in self.films if n not in FILMS]
        if unknown or not self.films or len(set(self.films)) < len(self.films):
            raise InputError(
                "films must be different films of the paper", got=", ".join(self.films), allowed=", ".join(FILMS)
            )
        for name in ("temperature_K", "read_delay_s", "gap_s", "watch_s", "lead_s"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be positive", got=getattr(self, name), allowed="> 0")
        if not (np.isfinite(self.retention_read_V) and self.retention_read_V != 0):
            raise InputError("retention_read_V must be finite and not zero", got=self.retention_read_V)
        for name, least in (("seed", 0), ("epochs", 1), ("trainings", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not np.isfinite(value) or int(value) != value or value < least:
                raise InputError(f"{name} must be a whole number", got=value, allowed=f">= {least}")
        if not (np.isfinite(self.late_gap_s) and self.late_gap_s >= 2 * _LATE_S):
            raise InputError("late_gap_s is out of range", got=self.late_gap_s, allowed=f">= {2 * _LATE_S:g} s")
        low, high = self.window_s
        if not 0 < low < high <= self.watch_s:
            raise InputError(
                "window_s must lie within the watch", got=f"{low} to {high} s", allowed=f"0 to {self.watch_s} s"
            )
        T = np.array(self.temperatures_K, dtype=float)
        if T.size < 3 or not np.isfinite(T).all() or (np.diff(T) <= 0).any() or T[0] <= 0:
            raise InputError("temperatures_K must ascend, at least three", got=str(self.temperatures_K))


class Play(NamedTuple):
    """One simulation of the plan.

    Attributes
    ----------
    film : str
        By n, of :data:`FILMS`.
    waveform : Waveform
    temperature_K : float, K
    area_m2 : float, m^2, or None
        Of the electrode; None takes that of the card.
    """

    film: str
    waveform: Waveform
    temperature_K: float
    area_m2: float | None = None


# -- the plan -----------------------------------------------------------------------------------------------------


def plan(s: Settings) -> dict[str, dict[str, Play]]:
    """Every simulation of the job, by stage and by the name of its trace.

    Parameters
    ----------
    s : Settings

    Returns
    -------
    dict of str to dict of str to Play
    """
    T = s.temperature_K
    common: dict[str, Any] = {"read_delay_s": s.read_delay_s}
    intervals = (20, 60, 180) if s.quick else tuple(range(20, 181, 20))
    rates = (2.8, 10.0, 25.0) if s.quick else (2.8, 5.0, 7.1, 10.0, 12.5, 16.7, 20.0, 25.0)
    counts = (1, 10) if s.quick else (1, 3, 10)
    plays: dict[str, dict[str, Play]] = {name: {} for name in STAGES if name not in ("barriers", "digits", "report")}
    late: dict[str, Any] = {
        "gap_s": s.late_gap_s,
        "read_delay_s": s.late_gap_s - _LATE_S,
        "rest_s": s.late_gap_s,
    }
    soon: dict[str, Any] = {"gap_s": s.gap_s, **common}
    # one order of signs for every film and for both ways of reading
    signs = np.random.default_rng([s.seed, 0]).choice([-1.0, 1.0], _MIXED)
    forget: dict[str, Any] = {
        "count": 30,
        "gap_s": s.gap_s,
        "read_V": s.retention_read_V,
        "watch_s": s.watch_s,
        "lead_s": s.lead_s,
        **common,
    }
    for n in s.films:
        plasticity = {
            "single": synapse.single(**common),
            **{f"pair_{k}ms": synapse.pair(1e-3 * k, **common) for k in intervals},
            **{f"frequency_{f:g}Hz": synapse.frequency(f, **common) for f in rates},
            "amplitudes": synapse.amplitudes(gap_s=s.gap_s, **common),
            "durations": synapse.durations(gap_s=s.gap_s, **common),
            "numbers": synapse.numbers(gap_s=s.gap_s, **common),
        }
        plays["plasticity"] |= {f"n{n}-{k}": Play(n, w, T) for k, w in plasticity.items()}
        for end, reads in (("", soon), ("late", late)):
            apart = {k: v for k, v in reads.items() if k != "gap_s"}
            mixed = synapse.spikes(signs * synapse.SPIKE_V, synapse.SPIKE_S, reads["gap_s"], **apart)
            plays["update"][f"n{n}-{end or 'update'}"] = Play(n, synapse.update(**reads), T)
            plays["update"][f"n{n}-mixed{end and '_late'}"] = Play(n, mixed, T)
        other = {
            "published": forget,
            "read_-0.01V": {**forget, "read_V": synapse.READ_V},
            "gap_300ms": {**forget, "gap_s": 0.3},
            **{f"count_{c}": {**forget, "count": c} for c in counts},
            "settle": {**forget, "read_V": synapse.READ_V, "watch_s": 1000.0},
        }
        plays["retention"] |= {f"n{n}-{k}": Play(n, synapse.retention(**v), T) for k, v in other.items()}
        plays["retention"] |= {
            f"n{n}-temperature_{K:g}K": Play(n, synapse.retention(**forget), K)
            for K in s.temperatures_K[-1:] + (() if s.quick else s.temperatures_K[:-1])
            if K != T
        }
        single = synapse.single(rest_s=0.1, **common)
        plays["energy"] |= {f"n{n}-area_{a:g}um2": Play(n, single, T, 1e-12 * a) for a in AREAS_UM2}
        plays["energy"][f"n{n}-weak"] = Play(n, synapse.single(-0.02, rest_s=0.1, **common), T)
        steady = synapse.retention(1, read_V=s.retention_read_V, lead_s=s.lead_s, watch_s=0.1, **common)
        plays["arrhenius"] |= {f"n{n}-{K:g}K": Play(n, steady, K) for K in s.temperatures_K}
    return plays


def _play(device: Device, play: Play) -> xr.Dataset | str:
    from ...fem import IonFilm

    made = device if play.area_m2 is None else device.with_area(play.area_m2)
    film = IonFilm(made, temperature_K=play.temperature_K, longest_step_s=_LONGEST_STEP_S)
    return attempt(film.simulate, play.waveform)


def _barriers(devices: Mapping[str, Device]) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    """E_A of each card, and the barriers of Table 1 that the database holds for the hosts of this paper."""
    database = Database.load()
    rows = []
    for n, device in devices.items():
        row = database.get(device["hop_barrier_eV"].barrier)
        rows.append({"film": n, **barrier_row(row)})
    lowest = {
        species: min(
            float(database.select(species=species, quantity="migration_barrier", source=source).range()[0])
            for source in ("Azpiroz2015", "Eames2015", "Meloni2016")
            if len(database.select(species=species, quantity="migration_barrier", source=source))
        )
        for species in ("V_Br", "V_MA", "V_Pb")
    }
    return {"rows": rows, "lowest_eV": lowest, "failures": {}}, {}


# -- the job ------------------------------------------------------------------------------------------------------


def kim2019(
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    devices: Mapping[str, str | os.PathLike[str] | Device] | None = None,
    processes: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Campaign:
    """Run the protocols of Kim et al. 2019 on the ion film of each n and compare with the paper.

    Parameters
    ----------
    out : path
        Folder of ``results.json``, ``report.html`` and the traces; made if it does not exist.
    settings : Settings, optional
    devices : mapping of n to card name, path or Device, optional
        In place of the shipped ``kim2019-n*`` cards.
    processes : int, >= 1, optional
        Worker processes; by default one for each core. Numbers do not depend on it.
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
        If a card, a setting or a file of MNIST is wrong.

    Notes
    -----
    Only the digits draw at random. Finished stages lie in ``out/.stages`` and are used again as long as cards, settings
    and code are the same.
    """
    s = Settings() if settings is None else settings
    own = {} if devices is None else dict(devices)
    if s.mnist is not None:
        mnist(s.mnist)  # a wrong file is told before minutes of work
    folder, cards, count = prepared(out, [own.get(n, f"kim2019-n{n}") for n in s.films], processes)
    job = Campaign("kim2019", folder, s, cards)
    films = dict(zip(s.films, cards, strict=True))
    base = {n: card.to_dict() for n, card in films.items()}
    stage = Stages(job, "pipeline/kim2019/job.py", fresh=fresh, progress=progress)
    stage(
        "barriers",
        {"devices": base, "rows": [str(r) for r in Database.load()]},
        ["physics"],
        lambda step: _barriers(films),
    )
    every = ("temperature_K", "read_delay_s", "gap_s", "quick")
    follows = {
        "update": (*every, "late_gap_s", "seed"),
        "retention": (*every, "lead_s", "retention_read_V", "watch_s", "temperatures_K"),
        "arrhenius": ("temperatures_K", "read_delay_s", "retention_read_V", "lead_s"),
    }
    with Workers(count) as workers:

        def played(plays: dict[str, Play], step: Step) -> Any:
            return part({name: (_play, films[p.film], p) for name, p in plays.items()}, workers, step)

        for name, plays in plan(s).items():
            inputs = {k: [base[p.film], p.waveform.to_dict(), p.temperature_K, p.area_m2] for k, p in plays.items()}
            stage(
                name,
                {"plays": inputs},
                ["physics", "fem"],
                partial(played, plays),
                settings=follows.get(name, every),
            )
        told = ("seed", "epochs", "trainings", "quick", "films", "mnist")
        stage(
            "digits",
            {
                "upstream": job.stages["update"].key,
                "mnist": None if s.mnist is None else file_digest(s.mnist, MNIST_FILES),
                **{name: getattr(s, name) for name in told if name != "mnist"},
            },
            ["physics", "compact", *(f"pipeline/{name}.py" for name in _NETWORK)],
            lambda step: recognise(s, job.stages["update"].traces, workers, step),
            after=("update",),
            settings=told,
            models=tuple(f"n{n}-{read}" for n in s.films for read in READS),
        )
    _write(job, films, lambda done, total: stage.tell("report", done, total, ""))
    stage.tell("report", 1, 1, "done")
    return job


def _write(job: Campaign, films: Mapping[str, Device], step: Step) -> None:
    def results() -> dict[str, Any]:
        tables = {n: parameters(card) for n, card in films.items()}
        return {
            "devices": {n: card.name for n, card in films.items()},
            "statement": "What was calibrated is listed below with the number that it was fitted to; a hit there is no "
            "prediction. No number of recognised digits enters any fit. Absorption (K-OPT) is no matter of this model.",
            "quantities": verdicts.quantities(job, films),
            "retention": verdicts.forgetting(job),
            "digits": verdicts.networks(job),
            "fitted_parameters": verdicts.curves(job),
            "calibrated_parameters": {n: fitted for n, (_, fitted) in tables.items()},
            "device_parameters": {n: everything for n, (everything, _) in tables.items()},
            "fit_count": verdicts.fit_count(films),
            "barriers": job.stages["barriers"].data["rows"],
            "references": verdicts.references(job),
        }

    finish(job, step, results, lambda: report.render(job, STAGES))
