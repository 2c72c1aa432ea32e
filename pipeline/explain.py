"""`explain`: whose uncertainty decides the accuracy of John et al.'s network, from barriers to write errors.

A designed ensemble of cards runs in KMC and gives compact parameters; a designed ensemble of compact parameters, noise
and choices of protocol runs through reservoir and readout. A surrogate of each, joined to a chain with their errors as
inputs of their own, gives Sobol indices. Nothing is fitted to an accuracy: the accuracy is only explained.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..physics.citations import citations
from ..physics.device import Device
from ..physics.errors import InputError, ValidityError
from . import chain
from .campaign import Progress, prepared, publish
from .sensitivity import Indices, Input, Surrogate, latin_hypercube, sobol, values
from .stages import Cache, Workers

__all__ = [
    "RESOLVED",
    "Chain",
    "Measured",
    "Settings",
    "analysed",
    "device_inputs",
    "explain",
    "measured_inputs",
    "network_inputs",
    "ranked",
]

Array = NDArray[np.float64]

RESOLVED = 0.5
"""Q2 of the network's surrogate below which no ranking is given; chosen before any run."""

_MATTERS = 0.02  # share of the variance that a total index must exceed with its whole interval
_ERROR = "error of the surrogate: "
_NETWORK_ERROR = "finite patterns, training, and what the surrogate of the network misses"
_PROTOCOL = "protocol"


@dataclass(frozen=True)
class Settings:
    """What a run may be told.

    Parameters
    ----------
    seed : int, >= 0
    cards : int, >= 20
        Cards in the ensemble of the device link.
    replicas : int, >= 5
        KMC replicas of each card; each sees three pulses. From fewer no spread is estimated.
    networks : int, >= 40
        Networks in the ensemble of the network link.
    per_class : int, >= 20
        Patterns of each class in each; half of them test. Published: 4975.
    samples : int, power of two, >= 8
        Base samples of the indices.
    refits : int, >= 2
        Surrogates trained anew on resampled points, for the intervals.
    temperature_K : float, K
    """

    seed: int = 2022
    cards: int = 100
    replicas: int = 6
    networks: int = 320
    per_class: int = 200
    samples: int = 1024
    refits: int = 12
    temperature_K: float = 300.0

    def __post_init__(self) -> None:
        least = {"seed": 0, "cards": 20, "replicas": 5, "networks": 40, "per_class": 20, "samples": 8, "refits": 2}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not math.isfinite(value) or int(value) != value or value < low:
                raise InputError(f"{name} must be a whole number", got=value, allowed=f">= {low}")
        if self.samples & (self.samples - 1):
            raise InputError("samples must be a power of two", got=self.samples, allowed="8, 16, ..., 1024, 2048, ...")
        if not (math.isfinite(self.temperature_K) and self.temperature_K > 0):
            raise InputError("temperature_K must be positive", got=self.temperature_K, allowed="> 0")


# -- what is uncertain -------------------------------------------------------------------------------------------------

# half-width or ends of each range and the reason; the number itself and its kind come from the card
_CARD: dict[str, tuple[float, float, str]] = {
    "dissolution_barrier_eV": (
        -0.02,
        0.02,
        "kT ln(23/5) = 0.04 eV is what a relaxation of 5 to 23 ms (J-DIFF-08) leaves",
    ),
    "charge_transfer_barrier_eV": (
        -0.02,
        0.02,
        "moves the set voltage by 0.07 V (docs/variability.md); J-DIFF-02 bounds it",
    ),
    "bond_energy_eV": (
        -0.01,
        0.01,
        "the next value that was tried, 0.29 eV, misses its targets; a quarter of the step",
    ),
    "matrix_penalty_eV": (-0.02, 0.02, "0.05 eV, 0.05 below, misses J-DIFF-08; not half as far"),
    "reduction_barrier_eV": (
        -0.03,
        0.03,
        "card: 0.40 to 0.55 eV; farther off, other barriers would need calibrating anew",
    ),
    "hop_barrier_eV": (
        -0.10,
        0.10,
        "no error published; 0.1 eV is the spread of cell size and seed in halidrift neb (docs/neb.md)",
    ),
    "anode_share": (-0.02, 0.02, "card: 0.2 to 0.6; at 0.25 and below this card does not SET in 20 ms"),
    "cathode_share": (-0.05, 0.05, "card: 0.3 to 0.7; narrowed, as anode_share"),
    "tunnel_gap_m": (-0.05e-9, 0.05e-9, "calibrated: below 0.40 nm it fails; the same upwards"),
    "tunnel_barrier_eV": (-0.5, 1.0, "range of the card"),
    "channel_energy_eV": (-0.2, 0.2, "range of the card"),
    "film_thickness_m": (-2e-9, 2e-9, "published without an error; a tenth is assumed"),
}
_NOT_VARIED = (
    "attempt_frequency_Hz (card: 1e12 to 1e14 Hz): a factor of ten is kT ln 10 = 59 meV of every barrier; those were "
    "calibrated with it. It cannot vary apart from them."
)


def device_inputs(device: Device, ranges: Mapping[str, tuple[float, float]] | None = None) -> tuple[Input, ...]:
    """Numbers of the card that are uncertain, each with its kind, its source and the reason of its range.

    Parameters
    ----------
    device : Device
    ranges : mapping of str to (low, high), optional
        Other ranges.

    Returns
    -------
    tuple of Input
        In the units of the card.
    """
    made = []
    for name, (down, up, reason) in _CARD.items():
        number = device.numbers[name]
        made.append(
            Input(
                name,
                number.value + down,
                number.value + up,
                number.unit,
                number.kind,
                f"{number.origin}. Range: {reason}",
                link="device",
            )
        )
    return _narrowed(made, ranges)


# name: low, high, unit, kind, law, link, source and reason of the range
_NETWORK: dict[str, tuple[float, float, str, str, Any, str, str]] = {
    "read_noise": (
        *(2.4e-4, 0.12, "1", "assumed", "log", "noise"),
        "ReadNoise at 1 uA, from the lowest to the highest amplitude and number of fluctuators (docs/variability.md)",
    ),
    "read_noise_S": (
        *(1e-10, 1e-7, "S", "assumed", "log", "noise"),
        "10 pA to 10 nA of the instrument at 0.1 V; John2022 prints none",
    ),
    "write_error": (
        *(0.01, 0.12, "1", "assumed", "log", "noise"),
        "J-ICC-02 is linear, its numbers in a supplement; quartiles of KMC at 1 mA give 0.11 (docs/kmc-filament.md)",
    ),
    "growth_spread_device": (
        *(0.0, 0.4, "1", "assumed", "uniform", "noise"),
        "0.4 is a spread of 10 meV in a barrier; John2022 prints no dispersion",
    ),
    "relaxation_spread_device": (*(0.0, 0.4, "1", "assumed", "uniform", "noise"), "as growth_spread_device"),
    "conductance_off_S": (
        *(5e-9, 2e-8, "S", "calibrated", "log", "noise"),
        "I(2 V) / I(0.1 V) of about 1e3 (J-DIFF-02), an 'about' taken as a factor of two",
    ),
    "start_phase_s": (
        *(0.0, 65e-3, "s", "assumed", "uniform", _PROTOCOL),
        "largest delay of a train against the nodes; not stated in John2022. 65 ms is most of a tonic period of 90 ms",
    ),
    "spike_width_s": (
        *(20e-3, 25e-3, "s", "published", "uniform", _PROTOCOL),
        "John2022 prints 20 ms (Fig. 4b) and 25 ms (Methods)",
    ),
    "first_s": (
        *(5e-3, 35e-3, "s", "assumed", "uniform", _PROTOCOL),
        "instant of the first node; not stated in John2022",
    ),
    "learning_rate": (*(0.01, 0.1, "1", "assumed", "log", _PROTOCOL), "'suitably tuned' (John2022, Methods)"),
}


def network_inputs(ranges: Mapping[str, tuple[float, float]] | None = None) -> tuple[Input, ...]:
    """Noise, write error, spreads and choices of protocol that are uncertain.

    Parameters
    ----------
    ranges : mapping of str to (low, high), optional
        Other ranges, by name of the input.

    Returns
    -------
    tuple of Input
    """
    made = [
        Input(name, low, high, unit, kind, source, law, link)
        for name, (low, high, unit, kind, law, link, source) in _NETWORK.items()
    ]
    return _narrowed(made, ranges)


def measured_inputs(cell: Any, ranges: Mapping[str, tuple[float, float]] | None = None) -> tuple[Input, ...]:
    """Compact parameters of a device that was measured, as far as the paper's measurements know them.

    Parameters
    ----------
    cell : Volatile
        Of the card; its growth rate is the middle of that range.
    ranges : mapping of str to (low, high), optional
        Other ranges, by name of the input.

    Returns
    -------
    tuple of Input
        Relaxation time (s), growth rate (Hz) and the spreads of both from cycle to cycle (1).
    """
    rate = cell.value("growth_rate_Hz")
    made = [
        Input(
            *(
                "relaxation_time_s",
                5e-3,
                23e-3,
                "s",
                "calibrated",
                "what J-DIFF-08 and J-DIFF-10 print",
                "log",
                "compact",
            )
        ),
        Input(
            *("growth_rate_Hz", 0.5 * rate, 2.0 * rate, "Hz", "calibrated"),
            *("a set time at 1 V known within a factor of two; John2022 prints none", "log", "compact"),
        ),
        Input(
            *("relaxation_spread_cycle", 0.5, 1.6, "1", "assumed"),
            *("about 1.28, that of one random event; John2022 prints no spread", "uniform", "compact"),
        ),
        Input(
            *("growth_spread_cycle", 0.05, 0.3, "1", "assumed"),
            *("of the cards in KMC; John2022 prints no spread", "uniform", "compact"),
        ),
    ]
    return _narrowed(made, ranges)


def _narrowed(made: list[Input], ranges: Mapping[str, tuple[float, float]] | None) -> tuple[Input, ...]:
    return tuple(one.narrowed(*ranges[one.name]) if ranges and one.name in ranges else one for one in made)


def card_at(device: Device, inputs: Sequence[Input], numbers: Sequence[float]) -> Device:
    """The card with other numbers."""
    changed = dict(zip((one.name for one in inputs), (float(x) for x in numbers), strict=True))
    thickness = changed.pop("film_thickness_m", None)
    made = device.with_parameters(**changed)
    return made if thickness is None else made.with_thickness(thickness)


# -- the chain ---------------------------------------------------------------------------------------------------------


class Chain:
    """Both surrogates joined, with their errors as inputs; a function on the unit cube.

    Parameters
    ----------
    device : sequence of Input
    outputs : mapping of str to (Surrogate, error)
        Of each compact parameter, on the cube of `device`, in the scale of `compact`; error is the standard deviation
        that is carried on.
    compact : sequence of Input
        The same compact parameters as inputs of the network.
    network : sequence of Input
        Its other inputs.
    accuracy : Surrogate
        On the cube of (compact, network).
    error : float
        Standard deviation of the accuracy around it.
    """

    def __init__(
        self,
        device: Sequence[Input],
        outputs: Mapping[str, tuple[Surrogate, float]],
        compact: Sequence[Input],
        network: Sequence[Input],
        accuracy: Surrogate,
        error: float,
    ):
        self.device, self.compact, self.network = tuple(device), tuple(compact), tuple(network)
        self.outputs, self.accuracy, self.error = dict(outputs), accuracy, error
        if [one.name for one in self.compact] != list(self.outputs):
            raise InputError(
                "The links do not meet",
                got=", ".join(self.outputs),
                allowed=", ".join(one.name for one in self.compact),
            )
        errors = [
            Input(
                f"{_ERROR}{name}",
                -1.96,
                1.96,
                "standard deviations",
                "error",
                f"cross-validated: Q2 = {surrogate.q2:.2f} ({surrogate.kind}), KMC sampling noise taken off",
                "normal",
                "surrogate",
            )
            for name, (surrogate, _) in self.outputs.items()
        ]
        self.inputs: tuple[Input, ...] = (*self.device, *errors, *self.network, _last(accuracy))

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [one.name for one in self.inputs]

    def __call__(self, unit_cube: ArrayLike) -> Array:
        """Accuracy at points of the cube of :attr:`inputs`, shape (points,)."""
        U = np.atleast_2d(np.asarray(unit_cube, dtype=float))
        d, m = len(self.device), len(self.compact)
        normal = values(self.inputs[d : d + m], U[:, d : d + m])
        places = np.column_stack(
            [
                surrogate.predict(U[:, :d]) + error * normal[:, i]
                for i, (surrogate, error) in enumerate(self.outputs.values())
            ]
        )
        # compact parameters beyond the ensemble of networks count as its edge
        other = U[:, d + m : -1]
        expected = self.accuracy.predict(np.hstack([np.clip(places, 0.0, 1.0), other]))
        noise = self.inputs[-1].value(U[:, -1])
        return np.clip(expected + self.error * noise, 0.0, 1.0)

    def resampled(self, rng: np.random.Generator) -> Chain:
        """The chain as other points of the ensembles would have made it.

        Parameters
        ----------
        rng : Generator
            Draws the points of each surrogate with repetition.
        """
        outputs = {name: (s.resampled(rng), error) for name, (s, error) in self.outputs.items()}
        return Chain(self.device, outputs, self.compact, self.network, self.accuracy.resampled(rng), self.error)

    def given(self, fixed: Mapping[str, float]) -> tuple[list[str], Callable[[Array], Array]]:
        """Names of the inputs that are left, and the chain with the others at fixed places of their cube.

        Parameters
        ----------
        fixed : mapping of str to float, 0 to 1
            Places of inputs in their distribution function, by name.

        Returns
        -------
        names : list of str
        function : callable of array, shape (points, inputs left), to array, shape (points,)
            Accuracy, 0 to 1.
        """
        left = [i for i, name in enumerate(self.names) if name not in fixed]

        def reduced(U: Array) -> Array:
            full = np.empty((len(U), len(self.inputs)))
            for i, name in enumerate(self.names):
                if name in fixed:
                    full[:, i] = fixed[name]
            full[:, left] = U
            return self(full)

        return [self.names[i] for i in left], reduced


class Measured(Chain):
    """The network alone: a device whose compact parameters were measured instead of derived from its card.

    Parameters
    ----------
    compact, network : sequence of Input
    accuracy : Surrogate
        On the cube of both.
    error : float
        Standard deviation of the accuracy around it.
    """

    def __init__(self, compact: Sequence[Input], network: Sequence[Input], accuracy: Surrogate, error: float):
        self.compact, self.network = tuple(compact), tuple(network)
        self.accuracy, self.error = accuracy, error
        self.inputs = (*self.compact, *self.network, _last(accuracy))

    def __call__(self, unit_cube: ArrayLike) -> Array:
        """Accuracy at points of the cube of :attr:`inputs`, shape (points,)."""
        U = np.atleast_2d(np.asarray(unit_cube, dtype=float))
        return np.clip(self.accuracy.predict(U[:, :-1]) + self.error * self.inputs[-1].value(U[:, -1]), 0.0, 1.0)

    def resampled(self, rng: np.random.Generator) -> Measured:
        """The same, as other points of the ensemble would have made it.

        Parameters
        ----------
        rng : Generator
            Draws the points of the surrogate with repetition.
        """
        return Measured(self.compact, self.network, self.accuracy.resampled(rng), self.error)


def _last(accuracy: Surrogate) -> Input:
    return Input(
        _NETWORK_ERROR,
        -1.96,
        1.96,
        "standard deviations",
        "error",
        f"cross-validated: Q2 = {accuracy.q2:.2f} ({accuracy.kind})",
        "normal",
        "surrogate",
    )


def analysed(joined: Chain, s: Settings, fixed: Mapping[str, float] | None = None) -> Indices:
    """Sobol indices of the chain, with intervals that know the sampling and the training points.

    Parameters
    ----------
    joined : Chain
    s : Settings
        Seed, base samples and number of refits.
    fixed : mapping of str to float, 0 to 1, optional
        Inputs held at a place of their distribution function, by name.
    """
    fixed = dict(fixed or {})
    names, function = joined.given(fixed)
    others = [joined.resampled(np.random.default_rng([s.seed, 7, i])).given(fixed)[1] for i in range(s.refits)]
    return sobol(function, names, samples=s.samples, rng=np.random.default_rng([s.seed, 8]), refits=others)


def ranked(
    joined: Chain, indices: Indices, fixed: Mapping[str, float] | None = None, rng: int = 0
) -> list[dict[str, Any]]:
    """Inputs by their total index, each with kind, range, source, indices and a verdict in words.

    Parameters
    ----------
    joined : Chain
    indices : Indices
        From :func:`analysed` with the same `fixed`.
    fixed : mapping of str to float, 0 to 1, optional
        Inputs held at a place of their distribution function, by name.
    rng : int
        Seed of the 512 points over which the accuracy at either end of an input is averaged.

    Returns
    -------
    list of dict
        Fields of :class:`Input`; ``first``, ``total`` and the half-widths of their 95 % intervals;
        ``accuracy_at_low`` and ``accuracy_at_high`` (at 5 % and 95 % of the distribution of the input);
        ``deviation_if_known`` (standard deviation of the accuracy that would remain); ``verdict``.
    """
    names, function = joined.given(dict(fixed or {}))
    known = dict(zip(joined.names, joined.inputs, strict=True))
    base = latin_hypercube(len(names), 512, rng)
    resolved = joined.accuracy.q2 >= RESOLVED
    blur = float(sum(t for n, t in zip(indices.names, indices.total, strict=True) if n.startswith(_ERROR)))
    rows = []
    for i in indices.order():
        one, total, error = known[indices.names[i]], float(indices.total[i]), float(indices.total_error[i])
        ends = []
        for place in (0.05, 0.95):
            points = base.copy()
            points[:, i] = place
            ends.append(float(function(points).mean()))
        if not resolved:
            verdict = "not resolved"
        elif total - error > _MATTERS:
            verdict = "matters"
        elif total + error > _MATTERS and one.link == "device" and blur > total:
            verdict = "below what the device link resolves"
        elif total + error > _MATTERS:
            verdict = "within its interval of nothing"
        else:
            verdict = "no effect"
        rows.append(
            {
                **one.to_dict(),
                "first": float(indices.first[i]),
                "first_error": float(indices.first_error[i]),
                "total": total,
                "total_error": error,
                "accuracy_at_low": ends[0],
                "accuracy_at_high": ends[1],
                "deviation_if_known": indices.standard_deviation
                * math.sqrt(min(max(1.0 - float(indices.first[i]), 0.0), 1.0)),
                "verdict": verdict,
            }
        )
    return rows


# -- ensembles: work for the processes ---------------------------------------------------------------------------------


def batches(
    cache: Cache,
    stage: str,
    jobs: Sequence[tuple[Any, ...]],
    inputs: Sequence[Any],
    levels: Sequence[str],
    workers: Workers,
    tell: Callable[[int, int], None],
    size: int = 8,
) -> list[Any]:
    """Results of jobs, kept batch by batch, so that an interrupted run loses one batch at most."""
    done: list[Any] = []
    tell(0, len(jobs))
    for start in range(0, len(jobs), size):
        part = jobs[start : start + size]

        def compute(part: Sequence[tuple[Any, ...]] = part, start: int = start) -> Any:
            named = {str(i): job for i, job in enumerate(part)}
            found = workers.map(named, lambda n, _: tell(start + n, len(jobs)))
            return {"results": [found[str(i)] for i in range(len(part))]}, {}

        kept = cache.run(stage, {"inputs": list(inputs[start : start + size])}, levels, compute)
        done += kept.data["results"]
        tell(len(done), len(jobs))
    return done


# -- the job -----------------------------------------------------------------------------------------------------------

STAGES = {
    "reference": "compact cell of the card",
    "cards": "KMC of the ensemble of cards",
    "networks": "ensemble of networks",
    "measured": "networks of a measured device",
    "indices": "surrogates and Sobol indices",
}
DEVICE_LEVELS = ("physics", "kmc", "compact", "pipeline/chain.py")
NETWORK_LEVELS = (
    "physics",
    "compact",
    "pipeline/chain.py",
    "pipeline/spikes.py",
    "pipeline/reservoir.py",
    "pipeline/readout.py",
    "pipeline/_readout.py",
)


def reference_cell(cache: Cache, card: Device, s: Any, tell: Callable[[int, int], None]) -> Any:
    """The compact cell of the card, kept."""
    from ..compact import Volatile

    tell(0, 1)
    kept = cache.run(
        "reference",
        {"device": card.to_dict(), "seed": s.seed, "temperature_K": s.temperature_K},
        DEVICE_LEVELS,
        lambda: ({"cell": chain.reference(card, entropy=[s.seed, 1], temperature_K=s.temperature_K)}, {}),
    )
    tell(1, 1)
    return Volatile.from_dict(kept.data["cell"])


def explain(
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    device: str | os.PathLike[str] | Device = "john2022-ogb",
    ranges: Mapping[str, tuple[float, float]] | None = None,
    processes: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Tell which number must be known better to predict the network.

    Parameters
    ----------
    out : path
        Folder of ``explain.json``, ``explain.png`` and finished stages.
    settings : Settings, optional
    device : str, path or Device
    ranges : mapping of str to (low, high), optional
        Other ranges of inputs, by name.
    processes : int, >= 1, optional
        Worker processes; one for each core. Numbers do not depend on it.
    fresh : bool
        Forget finished stages.
    progress : callable (stage, done, total, note), optional
        `stage` is a key of :data:`STAGES`.

    Returns
    -------
    dict
        The content of ``explain.json``.

    Raises
    ------
    OutputError
        If the folder cannot be written; tried before any work.
    InputError, DataError
        If the card, a range or a setting is wrong, or SALib is missing.
    ValidityError
        If so many cards do not switch that no surrogate can be made.
    """
    s = Settings() if settings is None else settings
    folder, (card,), count = prepared(out, [device], processes)
    tell: Progress = (lambda *_: None) if progress is None else progress
    inputs, other = device_inputs(card, ranges), network_inputs(ranges)
    allowed = [*(one.name for one in (*inputs, *other)), *chain.OUTPUTS]
    unknown = sorted(set(ranges or {}) - set(allowed))
    if unknown:
        raise InputError("No such uncertain input", got=", ".join(unknown), allowed=", ".join(allowed))
    _need_salib()
    if ranges:
        _tried(other, ranges)
    cache = Cache(folder / ".stages", fresh=fresh)

    def step(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: tell(stage, done, total, "done" if done == total else "")

    with Workers(count) as workers:
        cell = reference_cell(cache, card, s, step("reference"))
        cube, found = _cards(cache, card, cell, inputs, s, workers, step("cards"))
        good = np.array(["failure" not in row for row in found])
        if good.sum() < max(20, 2 * len(inputs)):
            failures = [row["failure"] for row in found if "failure" in row]
            raise ValidityError(
                "Too few cards of the ensemble switch for a surrogate",
                got=f"{int(good.sum())} of {len(found)}; {failures[0] if failures else ''}",
                action="Narrow ranges with --range, or raise --cards",
            )
        outputs, compact = device_link(cube[good], [r for r, ok in zip(found, good, strict=True) if ok], s)
        points, runs = _networks(cache, cell, (*compact, *other), s, workers, step("networks"))
        known = measured_inputs(cell, ranges)
        own_points, own_runs = _networks(cache, cell, (*known, *other), s, workers, step("measured"))
    step("indices")(0, 1)
    surface, accuracy, counting = _surface(points, runs, s)
    own, own_accuracy, own_counting = _surface(own_points, own_runs, s)
    joined = Chain(inputs, outputs, compact, other, surface, surface.residual)
    alone = Measured(known, other, own, own.residual)
    protocol = {one.name: 0.5 for one in other if one.link == _PROTOCOL}
    analyses = {}
    for name, model, fixed in (
        ("everything", joined, {}),
        ("protocol known", joined, protocol),
        ("device measured", alone, {}),
        ("device measured, protocol known", alone, protocol),
    ):
        indices = analysed(model, s, fixed)
        analyses[name] = {
            "fixed": {n: float(i.value(0.5)) for i in other for n in [i.name] if n in fixed},
            "accuracy_mean": indices.mean,
            "accuracy_standard_deviation": indices.standard_deviation,
            "resolved": model.accuracy.q2 >= RESOLVED,
            "rows": ranked(model, indices, fixed, rng=s.seed),
        }
    relaxation = np.array([row["relaxation_time_s"] for row in found if "failure" not in row])
    results = {
        "job": "explain",
        "version": _version(),
        "device": card.name,
        "settings": asdict(s),
        "statement": "No accuracy enters any fit of a device parameter. Surrogates stand for the models only between "
        "their points; their cross-validated errors are inputs of the analysis like any other.",
        "resolved": min(surface.q2, own.q2) >= RESOLVED,
        "threshold_q2": RESOLVED,
        "answer": _answer(analyses),
        "analyses": analyses,
        "surrogates": {
            **{
                name: {**one.to_dict(), "carried": error * _scale(compact, name), "carried_is": _carried(compact, name)}
                for name, (one, error) in outputs.items()
            },
            "accuracy": {**surface.to_dict(), "counting_error": counting},
            "accuracy of a measured device": {**own.to_dict(), "counting_error": own_counting},
        },
        "cards": {
            "drawn": len(found),
            "switched": int(good.sum()),
            "relaxation_5_to_23_ms": int(((relaxation >= 5e-3) & (relaxation <= 23e-3)).sum()),
            "failures": sorted({row["failure"][:160] for row in found if "failure" in row}),
        },
        "networks": {
            "run": len(runs) + len(own_runs),
            "accuracy_range": [accuracy.min(), accuracy.max()],
            "accuracy_range_measured": [own_accuracy.min(), own_accuracy.max()],
        },
        "not_varied": _NOT_VARIED,
        "reference_cell": cell.to_dict(),
        "references": citations(card, cell, "John2022", "Saltelli2010", "Sobol2001", "HermanUsher2017").splitlines(),
    }
    from .figures.explain import save_bars

    publish(results, folder, save_bars)
    step("indices")(1, 1)
    return results


def _version() -> str:
    from .. import __version__

    return __version__


def _tried(other: Sequence[Input], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Both ends of the ranges in a small network, so that one which no network can have is told before any KMC."""
    cell = chain.typical_cell()
    inputs = (*measured_inputs(cell, ranges), *other)
    for numbers in values(inputs, [[0.0] * len(inputs), [1.0] * len(inputs)]):
        chain.outcome(cell, [one.name for one in inputs], [float(x) for x in numbers], 20, [0])


def _need_salib() -> None:
    import importlib.util

    if importlib.util.find_spec("SALib") is None:
        raise InputError("Sobol indices need SALib", got="not installed", action="pip install 'halidrift[explain]'")


def _cards(
    cache: Cache,
    card: Device,
    cell: Any,
    inputs: Sequence[Input],
    s: Settings,
    workers: Workers,
    tell: Callable[[int, int], None],
) -> tuple[Array, list[dict[str, Any]]]:
    cube = latin_hypercube(len(inputs), s.cards, np.random.default_rng([s.seed, 2]))
    shape = chain.shape_of(cell)
    jobs, keys = [], []
    for i, numbers in enumerate(values(inputs, cube)):
        entropy = [s.seed, 3, i]
        drawn = card_at(card, inputs, numbers)
        jobs.append((chain.measured, drawn, shape, s.replicas, entropy, s.temperature_K))
        keys.append([drawn.to_dict(), shape, s.replicas, entropy, s.temperature_K])
    return cube, batches(cache, "cards", jobs, keys, DEVICE_LEVELS, workers, tell)


def device_link(
    cube: Array, found: Sequence[Mapping[str, Any]], s: Any
) -> tuple[dict[str, tuple[Surrogate, float]], tuple[Input, ...]]:
    """Surrogates of the compact parameters, with the error to carry on, and the same parameters as inputs."""
    compact, outputs = [], {}
    pulses = s.replicas * 3
    for k, name in enumerate(chain.OUTPUTS):
        y = np.array([row[name] for row in found])
        positive = not name.endswith("cycle")
        known = y > 0.0  # a spread of none was not estimated: too few pulses set or relaxed
        if known.sum() < 10:
            raise ValidityError(f"{name} was found for too few cards", got=int(known.sum()), allowed=">= 10")
        y, low, high = y[known], float(y[known].min()), float(y[known].max())
        if high - low <= 1e-9 * high:
            low, high = low * (1 - 1e-6), high * (1 + 1e-6)
        law: Literal["uniform", "log"] = "log" if positive else "uniform"
        one = Input(name, low, high, "1", "error", "range that the ensemble of cards gave", law, "compact")
        noise = {
            "relaxation_time_s": np.median([row["relaxation_error"] for row in found]),
            "growth_rate_Hz": np.median([row["growth_spread_cycle"] for row in found]) / math.sqrt(s.replicas),
        }.get(name, float(y.mean()) / math.sqrt(2 * (s.replicas if name.startswith("growth") else pulses)))
        noise = float(noise) / (math.log(high / low) if positive else high - low)  # of the place in the range
        surrogate = Surrogate.fit(cube[known], one.place(y), rng=np.random.default_rng([s.seed, 5, k]), noise=noise)
        # what repeated KMC would average out is no error of the surrogate; a tenth is kept, as noise is an estimate too
        carried = math.sqrt(max(surrogate.residual**2 - noise**2, 0.01 * surrogate.residual**2))
        outputs[name] = (surrogate, carried)
        compact.append(one)
    return outputs, tuple(compact)


def _networks(
    cache: Cache, cell: Any, inputs: Sequence[Input], s: Settings, workers: Workers, tell: Callable[[int, int], None]
) -> tuple[Array, list[dict[str, Any]]]:
    cube = latin_hypercube(len(inputs), s.networks, np.random.default_rng([s.seed, 4]))
    names = [one.name for one in inputs]
    jobs, keys = [], []
    for i, numbers in enumerate(values(inputs, cube)):
        seed = [s.seed, 9, i]
        jobs.append((chain.outcome, cell, names, numbers, s.per_class, seed))
        keys.append([cell.to_dict(), names, numbers, s.per_class, seed])
    return cube, batches(cache, "networks", jobs, keys, NETWORK_LEVELS, workers, tell, 32)


def _surface(points: Array, runs: Sequence[Mapping[str, Any]], s: Settings) -> tuple[Surrogate, Array, float]:
    """Surrogate of the accuracy, the accuracies, and their counting error."""
    ran = np.array(["failure" not in row for row in runs])
    accuracy = np.array([row["accuracy"] for row in runs if "failure" not in row])
    counting = float(np.sqrt(np.mean([row["accuracy_error"] ** 2 for row in runs if "failure" not in row])))
    surface = Surrogate.fit(points[ran], accuracy, rng=np.random.default_rng([s.seed, 6]), noise=counting)
    return surface, accuracy, counting


def _scale(compact: Sequence[Input], name: str) -> float:
    one = next(i for i in compact if i.name == name)
    return math.log(one.high / one.low) if one.law == "log" else one.high - one.low


def _carried(compact: Sequence[Input], name: str) -> str:
    return "of the logarithm" if next(i for i in compact if i.name == name).law == "log" else "of the number"


def _answer(analyses: Mapping[str, Any]) -> str:
    """The question of this module, answered in words."""
    told = []
    for name, analysis in analyses.items():
        if not analysis["resolved"]:
            told.append(f"{name}: not resolved, Q2 of the network's surrogate is below {RESOLVED}")
            continue
        rows = [r for r in analysis["rows"] if r["verdict"] == "matters" and r["kind"] != "error"][:3]
        best = ", ".join(f"{r['name']} (total {r['total']:.2f} ± {r['total_error']:.2f}, {r['kind']})" for r in rows)
        told.append(f"{name}: {best or 'none stands out'}")
    return "; ".join(told)
