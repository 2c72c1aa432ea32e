"""Handwritten digits on the synapses of the paper: which networks are trained, and how they are told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from ...compact import plasticity
from ...physics.errors import InputError
from ..campaign import Step
from ..digits import Images, SynapticPerceptron, UpdateCurve, mnist, small
from ..readout import DeltaRuleReadout
from ..stages import Workers

__all__ = ["READS", "Case", "accuracy", "cases", "reading", "recognise"]

READS = ("update", "late")
"""What ends the names of the traces of the two update curves of a film."""

_SIZES = ("8 x 8", "28 x 28")


def reading(settings: Any) -> dict[str, str]:
    """How each of the two curves is read, in words.

    Parameters
    ----------
    settings : Settings
        Delay of the read and gaps between spikes, s.

    Returns
    -------
    dict of str to str
        By name of :data:`READS`.
    """
    s = settings
    return {
        "update": f"{1e3 * s.read_delay_s:g} ms after a spike, gaps of {1e3 * s.gap_s:g} ms",
        "late": f"10 ms before the next spike, gaps of {1e3 * s.late_gap_s:g} ms",
    }


@dataclass(frozen=True)
class Case:
    """One kind of network.

    Attributes
    ----------
    words : str
        What is special about it.
    curve : str
        Name of the trace that its curve is of; ``"linear"`` for even steps, ``"float"`` for floating point.
    options : dict
        Of :class:`SynapticPerceptron`, those that are not default; ``states`` of a linear curve; ``shuffled`` labels.
    """

    words: str
    curve: str
    options: dict[str, Any] = field(default_factory=dict)


_CHOICES: dict[str, dict[str, Any]] = {
    "one device of a pair is fixed": {"pair": "reference"},
    "only potentiation, pairs refreshed": {"pair": "grow"},
    "spikes rounded to the nearest, batches of 32": {"rounding": "nearest", "batch": 32},
    "at most one spike, batches of 32": {"rounding": "single", "batch": 32},
    "weights up to 4": {"weight_limit": 4.0},
    "learning rate 0.1": {"learning_rate": 0.1},
    "devices begin at random": {"initial": "random"},
    "steps with a spread of 2 % of the range": {"spread": 0.02},
}


def cases(films: tuple[str, ...], *, quick: bool = False, big: bool = False) -> dict[str, Case]:
    """Every network of the job, by name; of the big images those of n = 3 and the two that frame it.

    Parameters
    ----------
    films : tuple of str
        By n, of :data:`FILMS`.
    quick : bool
        Fewer ideal curves, no shuffled labels, no other choices of the training.
    big : bool
        For the 28 x 28 images.

    Returns
    -------
    dict of str to Case
    """
    made = {"float": Case("floating point: the ceiling", "float")}
    for states in (1, 20, 1000) if not (quick or big) else (20,):
        made[f"linear_{states}"] = Case(f"ideal: {states} even steps", "linear", {"states": states})
    for n in (n for n in films if n == "3" or not big):
        for read in READS:
            made[f"n{n}-{read}"] = Case("", f"n{n}-{read}")
    if "3" in films and not (quick or big):
        made["n3-shuffled"] = Case("labels shuffled: chance", "n3-update", {"shuffled": True})
        for number, (words, options) in enumerate(_CHOICES.items()):
            for read in READS:
                made[f"n3-{read}-{number}"] = Case(words, f"n3-{read}", options)
    return made


def _network(case: Case, curve: UpdateCurve | None, epochs: int, rng: np.random.Generator) -> Any:
    options = {k: v for k, v in case.options.items() if k not in ("states", "shuffled")}
    if case.curve == "linear":
        curve = UpdateCurve.linear(case.options["states"])
    if curve is not None:
        return SynapticPerceptron(curve, epochs, rng=rng, **options)
    # the same rule, rate and scaling in floating point
    rate = SynapticPerceptron(UpdateCurve.linear(1)).learning_rate
    return DeltaRuleReadout(epochs, rate, schedule="constant", scaling="global", rng=rng)


def _images(folder: str | None, entropy: list[int]) -> Images:
    return small(np.random.default_rng(entropy)) if folder is None else mnist(folder)


def train(case: Case, curve: UpdateCurve | None, folder: str | None, epochs: int, seed: int, trial: int) -> dict:
    """One training; the split, the order and the rounding follow from seed and trial, alike for every case."""
    images = _images(folder, [seed, trial, 0])
    rng = np.random.default_rng([seed, trial, 1])
    labels = images.train_labels
    if case.options.get("shuffled"):
        labels = rng.permutation(labels)
    network = _network(case, curve, epochs, rng)
    network.fit(images.train, labels, (images.test, images.test_labels))
    made = {
        "test": network.history_["test_accuracy"],
        "train": network.history_["train_accuracy"],
        "confusion": network.confusion(images.test, images.test_labels),
        "test_images": len(images.test_labels),
    }
    if isinstance(network, SynapticPerceptron):
        made |= {"writes": network.writes_per_device_, "energy_J": network.energy_J_}
    return made


def recognise(
    settings: Any, curves: Mapping[str, xr.Dataset], workers: Workers, progress: Step
) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    """Train every network of the job on every set of images that there is.

    Parameters
    ----------
    settings : Settings
    curves : mapping of name to Dataset
        Traces of the update stage.
    workers : Workers
    progress : callable (done, all)

    Returns
    -------
    data : dict
        ``cases``: what each network is; ``runs``: its trainings, by size and name; ``curves``: figures of merit of each
        curve; ``failures``.
    traces : dict
        Empty: the curves lie with the update stage.
    """
    s = settings
    trials, epochs = (min(s.trainings, 2), min(s.epochs, 5)) if s.quick else (s.trainings, s.epochs)
    found: dict[str, UpdateCurve] = {}
    failures: dict[str, str] = {}
    for name, trace in curves.items():
        if name.endswith(tuple(f"-{read}" for read in READS)):
            try:
                found[name] = UpdateCurve.from_trace(trace, origin=f"IonFilm, update/{name}")
            except InputError as error:
                failures[name] = f"InputError: {error}"
    out: dict[str, Any] = {"cases": {}, "runs": {}, "curves": {}, "failures": failures}
    for name, curve in found.items():
        law = plasticity.update(curves[name])
        mixed = curves.get(name.replace("-update", "-mixed").replace("-late", "-mixed_late"))
        out["curves"][name] = law._asdict() | {
            "states": curve.states,
            "mixed_error": None if mixed is None else curve.error(mixed),
            "delivered_J": plasticity.delivered_energy(curves[name])
            / (len(curve.potentiation_S) + curve.depression_S.size - 2),
        }
    jobs: dict[str, tuple[Any, ...]] = {}
    for size, folder in zip(_SIZES, (None, s.mnist), strict=True):
        if size == _SIZES[1] and folder is None:
            continue
        chosen = cases(s.films, quick=s.quick, big=folder is not None)
        for name, case in chosen.items():
            if case.curve not in found and case.curve not in ("linear", "float"):
                continue
            out["cases"][name] = asdict(case)
            for trial in range(trials):
                jobs[f"{size}/{name}/{trial}"] = (train, case, found.get(case.curve), folder, epochs, s.seed, trial)
    for key, run in workers.map(jobs, progress).items():
        size, name, _ = key.split("/")
        out["runs"].setdefault(size, {}).setdefault(name, []).append(run)
    return out, {}


def accuracy(runs: list[dict[str, Any]], part: str = "test") -> tuple[float, float]:
    """Mean accuracy after the last epoch and its standard deviation from training to training, %.

    Not less than the counting error of one set of test images.

    Parameters
    ----------
    runs : list of dict
        One for each training: accuracy after each epoch, 0 to 1, under "test" and "train", and ``test_images``.
    part : {"test", "train"}
        The counting error is that of test images alone.

    Returns
    -------
    mean, spread : float, %
    """
    values = 100.0 * np.array([run[part][-1] for run in runs])
    mean = float(values.mean())
    share = min(max(mean / 100.0, 1e-9), 1 - 1e-9)
    counting = 100.0 * math.sqrt(share * (1 - share) / runs[0]["test_images"]) if part == "test" else 0.0
    return mean, max(float(values.std(ddof=1)) if values.size > 1 else 0.0, counting)
