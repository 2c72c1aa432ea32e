"""What the same physics scores under each reading of the Methods of John et al., beside what the paper prints.

The text leaves conditions open that move the accuracy more than any device parameter. Each is a :class:`Convention`:
the options that make it and why it matters. Nothing here is fitted; :func:`needed` says how much noise the paper's
numbers would take, and no other number of the project uses that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..physics.errors import InputError
from .readout import DeltaRuleReadout, IccReadout, confusion_interval
from .reservoir import Reservoir
from .spikes import CLASSES, FiringPatterns, hold_out
from .stages import Workers

__all__ = [
    "CONVENTIONS",
    "PUBLISHED",
    "Convention",
    "Spread",
    "States",
    "bounds",
    "measure",
    "needed",
    "played",
    "scored",
]

PUBLISHED = {"delta": 91.8, "icc": 85.14}
"""Test accuracies of John et al., percent, by readout."""

RULES = {"delta": "floating point", "icc": "Icc pairs", "trees": "boosted trees"}

_DEVICES = ("fitted", "typical", "memoryless", "unequal")
_AFTER = ("read_noise", "log_conductance")  # options of the reservoir that act on states that were played
_MEMORYLESS_S = 10e-6
_ADDITIVE = 1.25
_WRITES = 0.035
_TREES = 2  # trainings of the boosted trees; each costs as much as all others of a convention
# (stage, stream) as in the stages of the job that draw the same things
_TRAINS, _DEVICE, _SPLIT, _NOISE = (5, 0), (5, 1), 6, 8


@dataclass(frozen=True)
class Convention:
    """One reading of the Methods.

    Parameters
    ----------
    words : str
        What is assumed.
    why : str
        What that does to the task, hence the reason for a difference from the paper.
    rule : {"delta", "icc", "trees"}
        Readout; boosted trees show what the states hold, whatever a linear readout makes of it.
    spikes, reservoir, readout : dict
        Options of :class:`FiringPatterns`, :class:`Reservoir` and the readout that are not default.
    additive : float, >= 0
        Read noise that does not depend on the conductance, in standard deviations of all states together.
    device : {"fitted", "typical", "memoryless", "unequal"}
        "fitted": with the spreads that were fitted to KMC. "typical": without any. "memoryless": grows and relaxes
        within 10 us. "unequal": devices whose growth rate and relaxation time differ by 30 %.
    split : {"pattern", "train", "device"}
        What goes to one side whole.
    write_spread : float, optional
        Standard deviation of a write over its target, in place of the one fitted to KMC.
    shuffled : bool
        Labels drawn anew, so that there is nothing to learn.
    """

    words: str
    why: str
    rule: Literal["delta", "icc", "trees"] = "delta"
    spikes: Mapping[str, Any] = field(default_factory=dict)
    reservoir: Mapping[str, Any] = field(default_factory=dict)
    readout: Mapping[str, Any] = field(default_factory=dict)
    additive: float = 0.0
    device: Literal["fitted", "typical", "memoryless", "unequal"] = "fitted"
    split: Literal["pattern", "train", "device"] = "pattern"
    write_spread: float | None = None
    shuffled: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (("rule", tuple(RULES)), ("device", _DEVICES), ("split", ("pattern", "train", "device"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"Unknown {name} of a convention", got=getattr(self, name), allowed=", ".join(allowed))
        if self.write_spread is not None and self.rule != "icc":
            raise InputError("write_spread is of Icc pairs", got=f"rule {self.rule}", action="Leave it out")
        if self.readout and self.rule == "trees":
            raise InputError("Boosted trees take no options here", got=", ".join(self.readout), action="Leave them out")

    @property
    def group(self) -> str:
        """Conventions of one group see the same trains and states, before read noise."""
        played = {k: v for k, v in self.reservoir.items() if k not in _AFTER}
        return f"{self.device} {sorted(self.spikes.items())} {sorted(played.items())}"


_PHASE = {"start_phase_s": (0.0, 65e-3)}
_SHARED = {"shared_trains": True}
_PULSE = {"read": "pulse"}
_ONE = {"read_noise": 0.01}  # of a 1 uA filament 0.4 to 1.2 %: docs/variability.md
_READ = (
    "nodes that fall on a spike lose it, and each reading comes 5 ms into a relaxation that is random: "
    "what is left spreads over decades"
)
_LITERAL = "aligned trains of 20 ms, the noise of the device alone"
_ALIGNED = (
    "trains begin at the same instant, so each class lights nodes of its own: the task is solved before the device acts"
)
_RANDOM = "classes no longer have nodes of their own; a linear readout cannot follow a shift, trees can"
_BURIED = "noise as large as the signal leaves spikes that a node can miss; no readout gets them back"

CONVENTIONS: dict[str, Convention] = {
    "literal": Convention(_LITERAL, _ALIGNED),
    "silent": Convention("typical device, no noise at all", "what the task allows at best", device="typical"),
    "wide": Convention("pulses of 25 ms (Methods)", "more nodes fall on a pulse", spikes={"spike_width_s": 25e-3}),
    "gaps": Convention(
        "the interval between bursts redrawn for each gap",
        "later bursts wander over the nodes",
        spikes={"burst_gap_drawn": "gap"},
    ),
    "pulse": Convention("read by -0.5 V, 5 ms pulses before each node (Fig. 4b)", _READ, reservoir=_PULSE),
    "pulse-log": Convention(
        "the same -0.5 V, 5 ms reads, ln G as input",
        "what is left of a filament counts by its decades, no longer as an outlier",
        reservoir={"read": "pulse", "log_conductance": True},
    ),
    "pulse-1ms": Convention(
        "read by -0.5 V, 1 ms pulses before each node",
        "what counts is how far a filament has relaxed when it is read",
        reservoir={"read": "pulse", "read_width_s": 1e-3},
    ),
    "log": Convention(
        "ln G as input of the readout", "OFF and ON a node apart count alike", reservoir={"log_conductance": True}
    ),
    "relative": Convention(
        "30 % multiplicative read noise",
        "it leaves OFF at OFF: presence of a spike is read without error",
        reservoir={"read_noise": 0.3},
    ),
    "additive": Convention("additive read noise of 1.25 standard deviations", _BURIED, additive=_ADDITIVE),
    "phase": Convention("start phase of 0 to 65 ms", _RANDOM, spikes=_PHASE),
    "shared": Convention(
        "199 trains of a class on all 25 devices, random split",
        "the same train, on another device, is in both sets",
        spikes=_SHARED,
    ),
    "train": Convention(
        "199 trains of a class on all 25 devices, split by train",
        "fewer trains to learn from, none seen twice",
        spikes=_SHARED,
        split="train",
    ),
    "device": Convention("split by device", "devices of one fit differ from cycle to cycle only", split="device"),
    "unequal": Convention(
        "devices 30 % apart (ln k, ln tau; assumed), split by device",
        "KMC runs one device; the paper's 25 do differ, by how much it does not say",
        device="unequal",
        split="device",
    ),
    "icc": Convention(
        _LITERAL + " and of its writes",
        "KMC filaments differ from write to write, and errors accumulate from update to update",
        "icc",
    ),
    "icc-exact": Convention(
        "writes that hit their target", "bounded weights alone", "icc", readout={"write_noise": False}
    ),
    "icc-spread": Convention(
        "writes with 3.5 % of G spread (assumed)",
        "errors accumulate, as each write starts from the conductance that the last one left",
        "icc",
        write_spread=_WRITES,
    ),
    "icc-argmax": Convention(
        "3.5 % spread, only wrong patterns are written",
        "few writes, so few errors accumulate",
        "icc",
        readout={"error": "argmax"},
        write_spread=_WRITES,
    ),
    "icc-digital": Convention(
        "3.5 % spread, targets kept in a digital copy",
        "errors do not accumulate; the Methods mention no copy",
        "icc",
        readout={"reference": "digital"},
        write_spread=_WRITES,
    ),
    "icc-wear": Convention(
        "3.5 % spread, cells stick after 5655 writes (assumed)",
        "training takes more writes than the endurance; a cell keeps the error of its last write",
        "icc",
        readout={"wear": "stick"},
        write_spread=_WRITES,
    ),
    "icc-both": Convention(
        "3.5 % spread and additive read noise of 1.25 standard deviations",
        "both of the conditions that the text does not state",
        "icc",
        additive=_ADDITIVE,
        write_spread=_WRITES,
    ),
    "icc-pulse": Convention(
        "3.5 % spread, read by -0.5 V, 5 ms pulses before each node",
        _READ,
        "icc",
        reservoir=_PULSE,
        write_spread=_WRITES,
    ),
    "icc-phase": Convention(
        "3.5 % spread, start phase of 0 to 65 ms", _RANDOM, "icc", spikes=_PHASE, write_spread=_WRITES
    ),
    # without noise, trees would read remainders of relaxation that no instrument sees
    "trees": Convention(_LITERAL + "; 1 % read noise", "ceiling: what the states hold", "trees", reservoir=_ONE),
    "trees-phase": Convention(
        "start phase of 0 to 65 ms; 1 % read noise",
        "ceiling: what a readout that is not linear makes of it",
        "trees",
        spikes=_PHASE,
        reservoir=_ONE,
    ),
    "trees-pulse": Convention(
        "read by -0.5 V, 5 ms pulses before each node; 1 % read noise",
        "ceiling: what the later readings still hold",
        "trees",
        reservoir=_PULSE | _ONE,
    ),
    "trees-additive": Convention(
        "additive read noise of 1.25 standard deviations", "ceiling: noise destroys it", "trees", additive=_ADDITIVE
    ),
    "memoryless": Convention(
        "device that relaxes within 10 us",
        "what remains is which nodes fall on a spike; the difference from the first line is what memory adds or costs",
        device="memoryless",
    ),
    "chance": Convention("labels shuffled", "nothing to learn: one in four", shuffled=True),
    "icc-chance": Convention("labels shuffled", "nothing to learn: one in four", "icc", shuffled=True),
}
"""Every reading that the job measures, by name."""


@dataclass(frozen=True)
class Spread:
    """A non-volatile cell whose writes have another spread: a share of their target.

    Parameters
    ----------
    cell : non-volatile model
    relative : float, >= 0
    """

    cell: Any
    relative: float

    @property
    def conductance_bounds_S(self) -> tuple[float, float]:
        return self.cell.conductance_bounds_S

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the cell; the spread is assumed."""
        return tuple(getattr(self.cell, "sources", ()))

    def write_spread_S(self, conductance_S: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation of a write with this target, S.

        Parameters
        ----------
        conductance_S : float or array, shape (...,), S, > 0
            Targets.
        """
        return self.relative * np.asarray(conductance_S, dtype=float)

    def compliance_for(self, conductance_S: ArrayLike) -> NDArray[np.float64]:
        """Compliance current that writes these targets, A: that of the cell, since only the spread is another.

        Parameters
        ----------
        conductance_S : float or array, shape (...,), S, > 0
            Targets.
        """
        return self.cell.compliance_for(conductance_S)


def bounds(synapse: Any) -> tuple[float, float]:
    """Bounds of the targets, S: 0.1 to 3.5 mS as printed, as far as the cell reaches.

    Parameters
    ----------
    synapse : non-volatile model
        With ``conductance_bounds_S``.

    Returns
    -------
    low, high : float, S
    """
    low, high = synapse.conductance_bounds_S
    return max(low, 0.1e-3), min(high, 3.5e-3)


def scored(
    readout: Any, states: NDArray[np.float64], labels: NDArray[Any], parts: tuple[NDArray[Any], NDArray[Any]]
) -> dict[str, Any]:
    """Train on one part, test on the other: accuracies, confusion counts, and what the cells went through.

    Parameters
    ----------
    readout : DeltaRuleReadout, IccReadout or scikit-learn classifier
        Trained here.
    states : array, shape (patterns, nodes), S
    labels : array, shape (patterns,)
        Class of each pattern.
    parts : (array of int, array of int)
        Indices of the training and of the test patterns.

    Returns
    -------
    dict
        ``train_accuracy``, ``test_accuracy`` (0 to 1), ``counts`` (test patterns by true and predicted class),
        ``test_patterns``; of the two linear readouts ``history``; of an Icc readout ``writes``, ``endurance_share``,
        ``worn_share`` and, where the cell knows its compliance, ``energy_J`` (J, of all cells in training).
    """
    train, test = parts
    linear = isinstance(readout, DeltaRuleReadout | IccReadout)
    if linear:
        readout.fit(states[train], labels[train], eval_set=(states[test], labels[test]))
        counts = readout.confusion_counts(states[test], labels[test])
    else:
        from sklearn.metrics import confusion_matrix

        readout.fit(states[train], labels[train])
        counts = confusion_matrix(labels[test], readout.predict(states[test]), labels=readout.classes_)
    made = {
        "train_accuracy": float(readout.score(states[train], labels[train])),
        "test_accuracy": float(np.trace(counts) / counts.sum()),
        "counts": counts,
        "test_patterns": len(test),
    }
    if linear:
        made["history"] = readout.history_
    if isinstance(readout, IccReadout):
        made |= {
            "writes": readout.writes_per_device_,
            "endurance_share": readout.endurance_share_,
            "worn_share": readout.worn_share_,
        }
        if hasattr(readout.cell, "compliance_for"):
            made["energy_J"] = float(readout.energy_J_.sum())
    return made


def _device(cell: Any, kind: str) -> Any:
    if kind == "memoryless":
        # growth as quick as relaxation, or the time since a spike began would be remembered
        shape = {"growth_acceleration": 0.0, "relaxation_acceleration": 0.0, "relaxation_voltage_V": math.inf}
        wanted = {**shape, "relaxation_time_s": _MEMORYLESS_S, "growth_rate_Hz": 1.0, "growth_voltage_V": 0.05}
    elif kind == "unequal":
        wanted = {"growth_spread_device": 0.3, "relaxation_spread_device": 0.3}
    else:
        return cell
    table = cell.parameters
    for name, value in wanted.items():
        table = table.scaled(name, value, f"{kind} device, by assumption")
    return replace(cell, parameters=table)


class States(NamedTuple):
    """What a readout sees of a task: states, S, shape (patterns, nodes); class and units of each pattern.

    Attributes
    ----------
    states : array, shape (patterns, nodes), S
    labels : array, shape (patterns,)
        Class of each pattern.
    device, train : array of int, shape (patterns,)
        Which device was driven, by which spike train.
    """

    states: NDArray[np.float64]
    labels: NDArray[Any]
    device: NDArray[np.int64]
    train: NDArray[np.int64]

    def unit(self, by: str) -> NDArray[np.int64]:
        """What goes to one side of a split whole.

        Parameters
        ----------
        by : {"pattern", "device", "train"}

        Returns
        -------
        array of int, shape (patterns,)
            Number of the unit that each pattern belongs to.
        """
        return {"pattern": np.arange(self.labels.size), "device": self.device, "train": self.train}[by]


def played(convention: Convention, cell: Any, *, per_class: int, seed: int) -> States:
    """Reservoir states of a convention, before any read noise but the device's own.

    Parameters
    ----------
    convention : Convention
    cell : Volatile
        The fitted device.
    per_class : int
    seed : int
        The trains are those of the job with this seed, as far as the options leave them.
    """
    task = FiringPatterns(per_class=per_class, rng=np.random.default_rng([seed, *_TRAINS]), **convention.spikes)
    options = {k: v for k, v in convention.reservoir.items() if k not in _AFTER}
    random = None if convention.device == "typical" else np.random.default_rng([seed, *_DEVICE])
    reservoir = Reservoir(_device(cell, convention.device), **options)
    states = reservoir.transform(list(task.trains), rng=random, devices=task.device)
    return States(states, task.labels, task.device, task.train)


def _noisy(convention: Convention, states: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """States with the read noise of the convention, which is the same for every training, as measured data are."""
    random = np.random.default_rng([seed, _NOISE])
    relative = convention.reservoir.get("read_noise", 0.0)
    if relative:
        states = states * (1.0 + relative * random.standard_normal(states.shape))
    if convention.additive:
        states = states + convention.additive * states.std() * random.standard_normal(states.shape)
    return np.log10(states) if convention.reservoir.get("log_conductance") else states


def _readout(convention: Convention, synapse: Any, epochs: int, seed: int, number: int) -> Any:
    if convention.rule == "trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(max_iter=60, random_state=number, early_stopping=False)
    if convention.rule == "delta":
        return DeltaRuleReadout(epochs, rng=np.random.default_rng([seed, number, 1]), **convention.readout)
    own = synapse if convention.write_spread is None else Spread(synapse, convention.write_spread)
    return IccReadout(
        own, epochs, bounds_S=bounds(synapse), rng=np.random.default_rng([seed, number, 2]), **convention.readout
    )


def _score(
    convention: Convention,
    data: States,
    synapse: Any,
    epochs: int,
    trainings: int,
    seed: int,
) -> list[dict[str, Any]]:
    from threadpoolctl import threadpool_limits

    noisy, units, runs = _noisy(convention, data.states, seed), data.unit(convention.split), []
    for number in range(min(trainings, _TREES) if convention.rule == "trees" else trainings):
        random = np.random.default_rng([seed, _SPLIT, number])
        parts = hold_out(data.labels, units, 0.1, random, across=convention.split == "device")
        truth = random.permutation(data.labels) if convention.shuffled else data.labels
        with threadpool_limits(1):  # the workers share the cores, and sums must not depend on them
            runs.append(scored(_readout(convention, synapse, epochs, seed, number), noisy, truth, parts))
    return runs


def _group(
    names: Sequence[str],
    table: Mapping[str, Convention],
    given: States | None,
    cell: Any,
    synapse: Any,
    options: dict[str, int],
) -> dict[str, Any]:
    """Every convention of one group; runs in a worker. `given` are its states, if they are there already."""
    made: dict[str, Any] = {}
    seed, per_class = options["seed"], options["per_class"]
    data = played(table[names[0]], cell, per_class=per_class, seed=seed) if given is None else given
    for name in names:
        convention = table[name]
        try:
            runs = _score(convention, data, synapse, options["epochs"], options["trainings"], seed)
        except InputError as error:  # too few trains or devices to part: a matter of a quick run
            made[name] = {"failed": str(error)}
            continue
        made[name] = _summary(runs)
    return made


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, error and confusion of several trainings, percent."""
    tests = np.array([run["test_accuracy"] for run in runs])
    mean = float(tests.mean())
    spread = float(tests.std(ddof=1)) if tests.size > 1 else 0.0
    counting = math.sqrt(max(mean * (1.0 - mean), 1e-9) / runs[0]["test_patterns"])
    counts = np.array([run["counts"] for run in runs])
    entry: dict[str, Any] = {
        "accuracy": 100.0 * mean,
        "error": 100.0 * max(spread, counting),
        "train_accuracy": 100.0 * float(np.mean([run["train_accuracy"] for run in runs])),
        "trainings": len(runs),
        "test_patterns": runs[0]["test_patterns"],
    }
    if (counts.sum(axis=2) > 0).all():
        share, low, high = confusion_interval(counts)
        entry |= {"confusion": share, "confusion_low": low, "confusion_high": high}
    if "writes" in runs[0]:
        entry["writes_max"] = float(np.mean([run["writes"]["max"] for run in runs]))
        entry["worn_share"] = float(np.mean([run["worn_share"] for run in runs]))
        if "energy_J" in runs[0]:
            entry["energy_J"] = float(np.mean([run["energy_J"] for run in runs]))
    return entry


def measure(
    cell: Any,
    synapse: Any,
    *,
    per_class: int = 4975,
    epochs: int = 5,
    trainings: int = 5,
    seed: int = 2022,
    table: Mapping[str, Convention] | None = None,
    workers: Workers | None = None,
    given: States | None = None,
    progress: Any = None,
) -> dict[str, dict[str, Any]]:
    """Accuracy under each convention.

    Parameters
    ----------
    cell : Volatile
        Device of the reservoir.
    synapse : NonVolatile
        Device of the Icc readout.
    per_class : int, >= 10
        Published: 4975.
    epochs, trainings : int, >= 1
    seed : int, >= 0
    table : dict of str to Convention, optional
        By default :data:`CONVENTIONS`.
    workers : Workers, optional
        By default this process does everything.
    given : States, optional
        Those of the fitted device and the default trains, if they are there already.
    progress : callable (done, total), optional

    Returns
    -------
    dict
        By name: accuracy, error and train_accuracy, %; published, %, and difference, or None; class shares as
        confusion with confusion_low and confusion_high; worst class, its share, and whether its interval lies below
        that of every other; words, why and rule.
        An entry that could not be measured has "failed" instead.

    Notes
    -----
    Same trains, noise and splits wherever a convention leaves them, so differences are those of the conventions.
    """
    table = CONVENTIONS if table is None else table
    literal = Convention("", "").group
    groups: dict[str, list[str]] = {}
    for name, convention in table.items():
        groups.setdefault(convention.group, []).append(name)
    options = {"per_class": per_class, "epochs": epochs, "trainings": trainings, "seed": seed}
    # longest first: most conventions share one group, which is dealt out so that no worker waits for another
    jobs: dict[str, tuple[Any, ...]] = {}
    for group, names in groups.items():
        states = given if group == literal else None
        size = 1 if states is not None else len(names)
        for k in range(0, len(names), size):
            jobs[f"{group} {k}"] = (_group, names[k : k + size], dict(table), states, cell, synapse, options)
    order = sorted(jobs, key=lambda job: any(table[n].rule == "trees" for n in jobs[job][1]), reverse=True)
    work = Workers(1) if workers is None else workers
    found = work.map({job: jobs[job] for job in order}, (lambda *_: None) if progress is None else progress)
    scores = {name: entry for part in found.values() for name, entry in part.items()}
    return {name: _line(table[name], scores[name]) for name in table}


def _line(convention: Convention, entry: dict[str, Any]) -> dict[str, Any]:
    published = None if convention.shuffled or convention.device == "memoryless" else PUBLISHED.get(convention.rule)
    line = {
        "words": convention.words,
        "why": convention.why,
        "rule": convention.rule,
        "split": convention.split,
        "published": published,
        **entry,
    }
    if "failed" in entry:
        return line
    line["difference"] = None if published is None else entry["accuracy"] - published
    if "confusion" in entry:
        share = np.diag(np.asarray(entry["confusion"]))
        first, second = np.argsort(share, kind="stable")[:2]
        line["worst"], line["worst_share"] = CLASSES[first], 100.0 * float(share[first])
        line["worst_stands_out"] = bool(
            np.asarray(entry["confusion_high"])[first, first] < np.asarray(entry["confusion_low"])[second, second]
        )
    return line


def needed(
    data: States,
    synapse: Any,
    *,
    epochs: int = 5,
    seed: int = 2022,
    additive: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    spreads: Sequence[float] = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08),
) -> dict[str, Any]:
    """How much noise the paper's two accuracies would take on these states: a diagnosis, which nothing uses.

    Parameters
    ----------
    data : States
        Of the literal convention.
    synapse : NonVolatile
    epochs, seed : int
    additive : sequence of float
        Additive read noise that is tried, in standard deviations of the states.
    spreads : sequence of float
        Spread of a write over its target that is tried, at the read noise that the floating-point number takes.

    Returns
    -------
    dict
        ``additive``: pairs of noise and accuracy, %, in floating point; ``read_noise``: where it crosses 91.8 %, linear
        between pairs, or None; ``spreads`` and ``write_spread``: the same for writes, Icc pairs and 85.14 %.
    """

    def accuracy(convention: Convention) -> float:
        return 100.0 * _score(convention, data, synapse, epochs, 1, seed)[0]["test_accuracy"]

    first = [(x, accuracy(Convention("", "", additive=x))) for x in additive]
    read = _crossing(first, PUBLISHED["delta"])
    second: list[tuple[float, float]] = []
    if read is not None:
        second = [(x, accuracy(Convention("", "", "icc", additive=read, write_spread=x))) for x in spreads]
    return {
        "additive": first,
        "read_noise": read,
        "spreads": second,
        "write_spread": _crossing(second, PUBLISHED["icc"]),
    }


def _crossing(pairs: Sequence[tuple[float, float]], level: float) -> float | None:
    """Where a falling series of pairs first passes a level."""
    for (x_0, y_0), (x_1, y_1) in pairwise(pairs):
        if y_0 >= level > y_1:
            return float(x_0 + (x_1 - x_0) * (y_0 - level) / (y_0 - y_1))
    return None
