"""`design`: the inverse question. Which barrier, geometry and timing serve the task better than the paper's device?

Variables are chosen, not calibrated: the device models see no accuracy, and what they predict for a chosen card is
found by KMC. The search by surrogates ends with a few designs; each is run in KMC itself with a full fit of the compact
model, and the best of these is run anew with other seeds, beside the paper's device treated alike.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..physics.barriers import Barrier
from ..physics.citations import citations
from ..physics.database import Database
from ..physics.device import Device
from ..physics.errors import InputError, ValidityError
from . import chain
from .campaign import Progress, prepared, publish
from .candidate import Conditions, card_of, confirmed, played
from .explain import DEVICE_LEVELS, NETWORK_LEVELS, batches, device_link, reference_cell
from .sensitivity import Input, Surrogate, latin_hypercube, values
from .stages import Cache, Workers

__all__ = ["STAGES", "Conditions", "Settings", "design", "near_barriers", "variables"]

Array = NDArray[np.float64]

_CANDIDATE = "pipeline/candidate.py"

STAGES = {
    "reference": "compact cell of the card",
    "cards": "KMC of cards inside the bounds",
    "search": "networks of the candidates",
    "finalists": "the best of the search, in KMC",
    "confirm": "winner and paper's device, KMC anew",
    "map": "accuracy against relaxation time and spacing",
}


@dataclass(frozen=True)
class Settings:
    """How much is spent on the search.

    Parameters
    ----------
    seed : int, >= 0
    cards : int, >= 20
        Cards that run in KMC for the surrogate of the device.
    replicas : int, >= 5
        KMC replicas of each, three pulses a replica.
    candidates : int, >= 20
        Designs of the first round.
    per_class : int, >= 20
        Patterns of each class in the first round; the second and third have 4 and 10 times as many.
    finalists : int, >= 1
        Designs of the last round that run in KMC, twice each; the best of them is the winner.
    confirmations : int, >= 2
        Independent KMC ensembles and networks of the winner and of the paper's device.
    writes, energy : float, > 0
        Bounds, as multiples of the paper's device: writes of the most used readout cell, energy of a pattern.
    temperature_K : float, K
    conditions : Conditions
    """

    seed: int = 2022
    cards: int = 60
    replicas: int = 6
    candidates: int = 160
    per_class: int = 100
    finalists: int = 5
    confirmations: int = 4
    writes: float = 1.0
    energy: float = 1.0
    temperature_K: float = 300.0
    conditions: Conditions = field(default_factory=Conditions)

    def __post_init__(self) -> None:
        least = {"seed": 0, "cards": 20, "replicas": 5, "candidates": 20, "per_class": 20}
        least |= {"finalists": 1, "confirmations": 2}
        if self.confirmations > _FINALIST_SEED:
            raise InputError("confirmations is out of range", got=self.confirmations, allowed=f"<= {_FINALIST_SEED}")
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not math.isfinite(value) or int(value) != value or value < low:
                raise InputError(f"{name} must be a whole number", got=value, allowed=f">= {low}")
        for name in ("writes", "energy", "temperature_K"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be positive", got=getattr(self, name), allowed="> 0")


def variables(device: Device) -> tuple[Input, ...]:
    """What is searched, with its bounds and why they are there.

    Parameters
    ----------
    device : Device
        The paper's; its dissolution barrier is the origin of the range.

    Returns
    -------
    tuple of Input
        Bounds in SI units, barriers in eV.

    Notes
    -----
    The dissolution barrier takes the reduction barrier along, so that the state between atom and ion moves and the
    energy of the ion in the film stays: a slower or faster step, not another equilibrium.
    """
    E = device.value("dissolution_barrier_eV")
    return (
        Input(
            "dissolution_barrier_eV",
            E - 0.06,
            E + 0.08,
            "eV",
            "assumed",
            "relaxation from a tenth to twenty times",
            link="card",
        ),
        Input(
            "film_thickness_m", 14e-9, 30e-9, "m", "assumed", "two nanocrystals of 7 nm to three of 10 nm", link="card"
        ),
        Input(
            "compliance_A",
            0.3e-6,
            2e-6,
            "A",
            "assumed",
            "below, a gap carries the limit, no contact; a sweep to 3 uA leaves 5.9 uS behind (docs/kmc-filament.md)",
            "log",
            "card",
        ),
        Input(
            "spike_width_s",
            12e-3,
            25e-3,
            "s",
            "assumed",
            "twice the set time, to the longest that is published",
            link="card",
        ),
        Input(
            "interval_s",
            5e-3,
            70e-3,
            "s",
            "assumed",
            "the length of a read pulse, to twice the published 35 ms",
            "log",
            "reading",
        ),
        Input(
            "write_threshold_S",
            0.0,
            5e-5,
            "S",
            "assumed",
            "changes of a weight below it are not written",
            link="readout",
        ),
    )


def paper(device: Device) -> dict[str, float]:
    """The paper's device and protocol as a design."""
    return {
        "dissolution_barrier_eV": device.value("dissolution_barrier_eV"),
        "film_thickness_m": device.film.thickness_m,
        "compliance_A": 1e-6,
        "spike_width_s": 20e-3,
        "interval_s": 35e-3,
        "write_threshold_S": 0.0,
    }


def near_barriers(barrier_eV: float, *, within_eV: float = 0.1, most: int = 12) -> list[dict[str, Any]]:
    """Published barriers of ionic motion that come near a number, nearest first.

    Parameters
    ----------
    barrier_eV : float, eV
    within_eV : float, eV, > 0
    most : int

    Returns
    -------
    list of dict
        Rows of the database with ``difference_eV`` (row minus `barrier_eV`; to the nearer end of a range, 0 inside). A
        row is the hop or the Arrhenius slope of an ion; the number compared is the barrier of a metal atom that
        dissolves. Near rows say which ions move on this time scale, not that a material has such a filament.

    Examples
    --------
    >>> [abs(row["difference_eV"]) <= 0.05 for row in near_barriers(0.27, within_eV=0.05, most=2)]
    [True, True]
    """
    found = []
    for row in Database.load():
        if row.quantity == "formation_energy" or row.low_eV is None or row.high_eV is None:
            continue
        difference = max(row.low_eV - barrier_eV, 0.0) + min(row.high_eV - barrier_eV, 0.0)
        if abs(difference) <= within_eV:
            found.append((abs(difference), row.high_eV - row.low_eV, difference, row))
    found.sort(key=lambda entry: (round(entry[0], 9), entry[1], entry[3].id))
    return [_near(row, difference) for _, _, difference, row in found[:most]]


def _near(row: Barrier, difference: float) -> dict[str, Any]:
    names = ("material", "species", "quantity", "value", "unit", "source", "locator", "method", "conditions", "via")
    return {
        "barrier": row.id,
        "low_eV": row.low_eV,
        "high_eV": row.high_eV,
        "text": str(row),
        "sources": list(row.sources),
        **{name: getattr(row, name) for name in names},
        "difference_eV": difference,
    }


# -- the job -----------------------------------------------------------------------------------------------------------


def design(
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    device: str | os.PathLike[str] | Device = "john2022-ogb",
    processes: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Search barrier, compliance, thickness, pulse width, node spacing and write threshold for the best accuracy.

    Parameters
    ----------
    out : path
        Folder of ``design.json``, ``design.png`` and finished stages.
    settings : Settings, optional
    device : str, path or Device
        The device to beat.
    processes : int, >= 1, optional
        Worker processes; one for each core. Numbers do not depend on it.
    fresh : bool
        Forget finished stages.
    progress : callable (stage, done, total, note), optional
        `stage` is a key of :data:`STAGES`.

    Returns
    -------
    dict
        The content of ``design.json``.

    Raises
    ------
    OutputError
        If the folder cannot be written; tried before any work.
    InputError, DataError
        If the card or a setting is wrong.
    ValidityError
        If too few cards switch, no candidate of the search keeps the bounds, or none of the last works in KMC.

    Notes
    -----
    Within a round all candidates see the same trains. The best eighth goes on, with as many designs around them; of
    these the best third. Surrogates promise more than they keep, so the last ones compete in KMC. Accuracies of the
    search and of this competition flatter the winner; those under "confirmed" do not: their KMC events, trains, noise
    and trainings are drawn anew.
    """
    s = Settings() if settings is None else settings
    folder, (card,), count = prepared(out, [device], processes)
    tell: Progress = (lambda *_: None) if progress is None else progress
    cache = Cache(folder / ".stages", fresh=fresh)
    space = variables(card)
    old = paper(card)

    def step(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: tell(stage, done, total, "done" if done == total else "")

    with Workers(count) as workers:
        cell = reference_cell(cache, card, s, step("reference"))
        model = _device(cache, card, cell, space, s, workers, step("cards"))
        search = _search(cache, cell, space, model, old, s, workers, step("search"))
        check = _Check(cache, card, s, workers)
        finalists = _finalists(check, old, search.pop("last"), step("finalists"))
        winner = finalists[0]["design"]
        checks = check([old, winner], range(s.confirmations), "confirm", step("confirm"))
        grid = _map(cache, cell, old, s, workers, step("map"))
    paper_runs, winner_runs = (_worked(runs, who) for runs, who in zip(checks, _WHO, strict=True))
    mechanism = cache.run(
        "mechanism",
        {"cell": cell.to_dict(), "designs": [old, winner], "settings": asdict(s), "cards": model["key"]},
        # the surrogates are not in the inputs, only what they were trained on
        [*NETWORK_LEVELS, _CANDIDATE, "pipeline/design.py", "pipeline/explain.py", "pipeline/sensitivity.py"],
        lambda: (_mechanism(cell, model, old, winner, s), {}),
    ).data
    both = {
        "paper": _summary(old, paper_runs),
        "winner": _summary(winner, winner_runs),
    }
    gains = np.array([w["accuracy"] - p["accuracy"] for p, w in zip(paper_runs, winner_runs, strict=True)])
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(gains.size))
    counting = math.sqrt(sum(both[n]["accuracy_error"] ** 2 for n in both))
    error = max(error, counting)
    wide = float(stats.t.ppf(0.975, gains.size - 1)) * error  # few confirmations: Student's t
    results = {
        "job": "design",
        "version": _version(),
        "device": card.name,
        "settings": asdict(s),
        "statement": "The variables are chosen, not calibrated. No parameter of a device model was fitted to an "
        "accuracy; what a chosen card does was found by KMC.",
        "variables": [one.to_dict() for one in space],
        "surrogates": {name: {**one.to_dict(), "carried": e} for name, (one, e) in model["outputs"].items()},
        "cards": model["cards"],
        "search": search,
        "finalists": finalists,
        "confirmed": {
            **both,
            "gain": gain,
            "gain_error": error,
            "gain_interval_95": [gain - wide, gain + wide],
            "within_bounds": _kept(both, s),
            "beats": gain > wide and _kept(both, s),
        },
        "mechanism": {**mechanism, "text": _told(both, gain, error, mechanism, model["outputs"])},
        "map": grid,
        "materials": near_barriers(winner["dissolution_barrier_eV"]),
        "references": citations(card, cell, "John2022", *_sources(winner["dissolution_barrier_eV"])).splitlines(),
    }
    from .figures.explain import save_map

    publish(results, folder, save_map)
    return results


_WHO = ("The device to beat", "The winner")
_FINALIST_RUNS = 2
_FINALIST_SEED = 1000  # far from the numbers of the confirmations


@dataclass(frozen=True)
class _Check:
    """Direct checks of designs, each numbered one a job."""

    cache: Cache
    card: Device
    s: Settings
    workers: Workers

    def __call__(
        self,
        designs: Sequence[Mapping[str, float]],
        numbers: Iterable[int],
        stage: str,
        tell: Callable[[int, int], None],
    ) -> list[list[dict[str, Any]]]:
        s, count = self.s, list(numbers)
        own = [s.seed, s.temperature_K, s.per_class, asdict(s.conditions)]
        jobs = [(confirmed, self.card, chosen, s, i) for chosen in designs for i in count]
        keys = [[self.card.to_dict(), chosen, own, i] for _, _, chosen, _, i in jobs]
        levels = [*DEVICE_LEVELS, *NETWORK_LEVELS, _CANDIDATE]
        rows = batches(self.cache, stage, jobs, keys, levels, self.workers, tell, 2)
        return [rows[i : i + len(count)] for i in range(0, len(rows), len(count))]


def _finalists(
    check: _Check, old: Mapping[str, float], last: Sequence[Mapping[str, Any]], tell: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """The designs that the search ended with, as KMC has them: those within the bounds first, the best first."""
    designs = [row["design"] for row in last[: check.s.finalists]]
    numbers = range(_FINALIST_SEED, _FINALIST_SEED + _FINALIST_RUNS)
    paper_runs, *runs = check([old, *designs], numbers, "finalists", tell)
    first, rows, dropped = _summary(old, _worked(paper_runs, "The device to beat")), [], []
    for row, found in zip(last, runs, strict=False):
        failed = [one["failure"] for one in found if "failure" in one]
        if failed:
            dropped.append({"design": row["design"], "promised": row["accuracy"], "failure": failed[0]})
            continue
        mean = _summary(row["design"], found)
        rows.append(
            {
                "design": row["design"],
                "promised": row["accuracy"],
                **{name: mean[name] for name in ("accuracy", "accuracy_error", "writes_max", "energy_J")},
                "within_bounds": _kept({"paper": first, "winner": mean}, check.s),
            }
        )
    if not rows:
        raise ValidityError(
            "None of the designs that the search ended with works in KMC",
            got=dropped[0]["failure"],
            action="Raise --cards: the surrogates know of switching devices only",
        )
    return [*sorted(rows, key=lambda row: (not row["within_bounds"], -row["accuracy"])), *dropped]


def _worked(runs: list[dict[str, Any]], who: str) -> list[dict[str, Any]]:
    """The runs, if none of them failed."""
    for row in runs:
        if "failure" in row:
            raise ValidityError(f"{who} does not work in KMC", got=row["failure"])
    return runs


def _version() -> str:
    from .. import __version__

    return __version__


def _sources(barrier_eV: float) -> list[str]:
    return sorted({key for row in near_barriers(barrier_eV) for key in row["sources"]})


def _device(
    cache: Cache,
    card: Device,
    cell: Any,
    space: Sequence[Input],
    s: Settings,
    workers: Workers,
    tell: Callable[[int, int], None],
) -> dict[str, Any]:
    """Surrogates of the compact parameters over the variables of the card."""
    own = [one for one in space if one.link == "card"]
    cube = latin_hypercube(len(own), s.cards, np.random.default_rng([s.seed, 12]))
    jobs, keys = [], []
    for i, numbers in enumerate(values(own, cube)):
        chosen = dict(zip((one.name for one in own), (float(x) for x in numbers), strict=True))
        shape = chain.shape_of(cell, chosen["compliance_A"])
        rest = (shape, s.replicas, [s.seed, 13, i], s.temperature_K, chosen["compliance_A"], chosen["spike_width_s"])
        drawn = card_of(card, chosen)
        jobs.append((chain.measured, drawn, *rest))
        keys.append([drawn.to_dict(), *rest])
    found = batches(cache, "cards", jobs, keys, DEVICE_LEVELS, workers, tell)
    good = [i for i, row in enumerate(found) if "failure" not in row]
    if len(good) < 20:
        raise ValidityError(
            "Too few cards inside the bounds switch", got=f"{len(good)} of {len(found)}", action="Raise --cards"
        )
    outputs, compact = device_link(cube[good], [found[i] for i in good], s)
    failures = sorted({row["failure"][:160] for row in found if "failure" in row})
    return {
        "outputs": outputs,
        "compact": compact,
        "own": own,
        "key": found,
        "cards": {"drawn": len(found), "switched": len(good), "failures": failures},
    }


def predicted(model: Mapping[str, Any], chosen: Mapping[str, float]) -> dict[str, float]:
    """Compact parameters of a design, by the surrogates."""
    u = np.array([[float(one.place(chosen[one.name])) for one in model["own"]]])
    return {
        one.name: float(one.value(np.clip(model["outputs"][one.name][0].predict(u), 0.0, 1.0))[0])
        for one in model["compact"]
    }


def _search(
    cache: Cache,
    cell: Any,
    space: Sequence[Input],
    model: Mapping[str, Any],
    old: Mapping[str, float],
    s: Settings,
    workers: Workers,
    tell: Callable[[int, int], None],
) -> dict[str, Any]:
    names = [one.name for one in space]
    random = np.random.default_rng([s.seed, 14])
    cube = latin_hypercube(len(space), s.candidates, random)
    sizes = (s.per_class, 4 * s.per_class, 10 * s.per_class)
    keep = (max(6, s.candidates // 8), max(4, s.candidates // 24))
    total = s.candidates + 2 * keep[0] + keep[1] + 3
    done = 0
    bounds = {"writes_max": s.writes, "energy_J": s.energy}
    rounds: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, size in enumerate(sizes):
        chosen = [dict(old)] + [dict(zip(names, map(float, row), strict=True)) for row in values(space, cube)]
        jobs, keys = [], []
        for one in chosen:
            # the paper's own compact cell is the reference: no surrogate stands in between
            found = {n: cell.value(n) for n in chain.OUTPUTS} if one == dict(old) else predicted(model, one)
            rest = (found, one, s.conditions, size, [s.seed, 15, number])
            jobs.append((played, cell, *rest))
            keys.append([cell.to_dict(), found, one, asdict(s.conditions), size, [s.seed, 15, number]])
        before = done

        def advanced(n: int, _: int, before: int = before) -> None:
            tell(before + n, total)

        outcomes = batches(
            cache,
            "search",
            jobs,
            keys,
            [*NETWORK_LEVELS, _CANDIDATE],
            workers,
            advanced,
            32,
        )
        done += len(jobs)
        base = outcomes[0]
        rows = []
        for place, one, outcome in zip([None, *cube], chosen, outcomes, strict=True):
            if "failure" in outcome:
                continue
            within = all(outcome[name] <= limit * base[name] for name, limit in bounds.items())
            rows.append({"design": one, **outcome, "within_bounds": within, "place": place})
        allowed = [row for row in rows[1:] if row["within_bounds"]]
        if not allowed:
            raise ValidityError(
                "No candidate keeps the bounds on writes and energy",
                got=f"{len(rows) - 1} candidates, at most {s.writes:g} of the writes and {s.energy:g} of the energy",
                action="Raise --writes or --energy, or --candidates",
            )
        allowed.sort(key=lambda row: -row["accuracy"])
        rounds.append(
            {
                "patterns_per_class": size,
                "run": len(rows) - 1,
                "within_bounds": len(allowed),
                "paper_accuracy": base["accuracy"],
                "best_accuracy": allowed[0]["accuracy"],
            }
        )
        if number < len(keep):
            best = np.array([row["place"] for row in allowed[: keep[number]]])
            if number == 0:  # as many again around the best
                about = best[random.integers(0, len(best), len(best))] + 0.08 * random.standard_normal(best.shape)
                best = np.vstack([best, np.clip(about, 0.0, 1.0)])
            cube = best
    tell(total, total)
    winner = {key: value for key, value in allowed[0].items() if key != "place"}
    winner["predicted"] = predicted(model, winner["design"])
    first = {key: value for key, value in rows[0].items() if key != "place"}
    last = [{k: v for k, v in row.items() if k != "place"} for row in allowed]
    return {"rounds": rounds, "paper": first, "promised": winner, "last": last}


def _map(
    cache: Cache, cell: Any, old: Mapping[str, float], s: Settings, workers: Workers, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    tau = np.geomspace(2e-3, 200e-3, 9)
    gaps = np.geomspace(5e-3, 70e-3, 9)
    jobs, keys = [], []
    for t in tau:
        for gap in gaps:
            found = {n: cell.value(n) for n in chain.OUTPUTS} | {"relaxation_time_s": float(t)}
            chosen = {**old, "interval_s": float(gap)}
            jobs.append((played, cell, found, chosen, s.conditions, 2 * s.per_class, [s.seed, 16]))
            keys.append([cell.to_dict(), found, chosen, asdict(s.conditions), 2 * s.per_class, [s.seed, 16]])
    rows = batches(cache, "map", jobs, keys, [*NETWORK_LEVELS, _CANDIDATE], workers, tell, 27)
    accuracy = np.array([row.get("accuracy", math.nan) for row in rows]).reshape(tau.size, gaps.size)
    error = max(row.get("accuracy_error", 0.0) for row in rows)
    return {
        "relaxation_time_s": tau,
        "interval_s": gaps,
        "accuracy": accuracy,
        "accuracy_error": error,
        "title": f"Paper's device, these two changed alone (± {100 * error:.1f} %)",
    }


def _kept(both: Mapping[str, Any], s: Settings) -> bool:
    """Whether the winner keeps, when run anew, the bounds that the search kept."""
    bounds = {"writes_max": s.writes, "energy_J": s.energy}
    return all(both["winner"][name] <= limit * both["paper"][name] for name, limit in bounds.items())


_LADDER = {
    "accuracy_regression": "floating-point regression on the states: what the reservoir separates",
    "accuracy_exact_writes": "the same readout with exact writes",
    "accuracy": "with write errors",
}


def _mechanism(
    cell: Any, model: Mapping[str, Any], old: Mapping[str, float], new: Mapping[str, float], s: Settings
) -> dict[str, Any]:
    """What each choice brings: alone on the paper's device, and undone on the winner. By surrogates."""
    names = {
        "dissolution_barrier_eV": "dissolution barrier",
        "film_thickness_m": "film thickness",
        "compliance_A": "compliance",
        "spike_width_s": "pulse width",
        "interval_s": "node spacing",
        "write_threshold_S": "write threshold",
    }

    def accuracy(chosen: Mapping[str, float]) -> tuple[float, float]:
        found = predicted(model, chosen)
        runs = [played(cell, found, chosen, s.conditions, 4 * s.per_class, [s.seed, 17, i]) for i in range(2)]
        good = [row for row in runs if "failure" not in row]
        if not good:
            return math.nan, math.nan
        return float(np.mean([r["accuracy"] for r in good])), float(good[0]["accuracy_error"] / math.sqrt(len(good)))

    first, error = accuracy(old)
    last, _ = accuracy(new)
    steps = []
    for name, words in names.items():
        alone, _ = accuracy({**old, name: new[name]})
        missing, _ = accuracy({**new, name: old[name]})
        steps.append(
            {
                "variable": name,
                "name": words,
                "from": old[name],
                "to": new[name],
                "alone": alone - first,
                "missing": last - missing,
                "error": math.sqrt(2.0) * error,
            }
        )
    return {"steps": steps, "paper_by_surrogate": first, "winner_by_surrogate": last}


_KEPT = (
    *_LADDER,
    "writes_mean",
    "writes_max",
    "cells",
    "energy_J",
    "memory_s",
    "relaxation_time_s",
    "relaxation_spread_cycle",
    "growth_rate_Hz",
)


def _summary(chosen: Mapping[str, float], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the confirmations, with the standard error that their spread and the counting give."""
    out: dict[str, Any] = {"design": dict(chosen), "runs": [{k: row[k] for k in _KEPT} for row in runs]}
    for name in _KEPT:
        column = np.array([row[name] for row in runs], dtype=float)
        out[name] = float(column.mean())
        out[f"{name}_error"] = float(column.std(ddof=1) / math.sqrt(column.size))
    counting = float(np.mean([row["accuracy_error"] for row in runs])) / math.sqrt(len(runs))
    out["accuracy_error"] = max(out["accuracy_error"], counting)
    out["warnings"] = sorted({text for row in runs for text in row["warnings"]})
    return out


def _told(
    both: Mapping[str, Any],
    gain: float,
    error: float,
    mechanism: Mapping[str, Any],
    outputs: Mapping[str, tuple[Surrogate, float]],
) -> str:
    """By which mechanism, in words: no word without its number."""
    p, w = both["paper"], both["winner"]
    text = [
        f"Accuracy {100 * p['accuracy']:.1f} -> {100 * w['accuracy']:.1f} % "
        f"({100 * gain:+.1f} points, standard error {100 * error:.1f}), "
        f"writes of the most used cell {p['writes_max']:.0f} -> {w['writes_max']:.0f}, energy of a pattern "
        f"{1e9 * p['energy_J']:.0f} -> {1e9 * w['energy_J']:.0f} nJ."
    ]
    for name, words in _LADDER.items():
        text.append(f"{words}: {100 * p[name]:.1f} -> {100 * w[name]:.1f} %.")
    text.append(
        f"A reading sees {1e3 * p['memory_s']:.0f} -> {1e3 * w['memory_s']:.0f} ms back, with a relaxation time of "
        f"{1e3 * p['relaxation_time_s']:.1f} -> {1e3 * w['relaxation_time_s']:.1f} ms and nodes every "
        f"{1e3 * p['design']['interval_s']:.1f} -> {1e3 * w['design']['interval_s']:.1f} ms."
    )
    steps = sorted(mechanism["steps"], key=lambda one: -(one["alone"] + one["missing"]))
    large = [one for one in steps if max(one["alone"], one["missing"]) > 1.96 * one["error"]]
    if large:
        parts = (f"{o['name']} ({100 * o['alone']:+.1f} alone, {100 * o['missing']:+.1f} if undone)" for o in large)
        q2 = ", ".join(f"{one.q2:.2f} ({name})" for name, (one, _) in outputs.items())
        text.append(f"What brings it, by surrogates whose Q2 are {q2}, so a hint and no proof: {', '.join(parts)}.")
    else:
        text.append("No single choice brings more than its error.")
    states = w["accuracy_regression"] - p["accuracy_regression"]
    writes = gain - (w["accuracy_exact_writes"] - p["accuracy_exact_writes"])
    text.append(
        f"Separable states bring {100 * states:+.1f} points, write errors that no longer add up {100 * writes:+.1f}."
    )
    return " ".join(text)
