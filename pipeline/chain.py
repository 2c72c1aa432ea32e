"""The chain as two links, each short enough to run hundreds of times: a card to a compact cell, a cell to an accuracy.

Nothing here is fitted to an accuracy: the first link sees pulses alone, the second is only run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.waveform import Waveform

__all__ = [
    "OUTPUTS",
    "Network",
    "cell_of",
    "measured",
    "outcome",
    "pulses",
    "reference",
    "shape_of",
    "synapse",
    "typical_cell",
]

OUTPUTS = ("relaxation_time_s", "growth_rate_Hz", "relaxation_spread_cycle", "growth_spread_cycle")
"""Compact parameters that the first link hands to the second."""

_SHAPE = (
    "growth_voltage_V",
    "growth_acceleration",
    "relaxation_acceleration",
    "relaxation_voltage_V",
    "relaxation_weibull",
    "off_nonlinearity_V",
    "conductance_on_S",
)
_AMPLITUDE_V, _REST_S, _PULSES = 1.0, 100e-3, 3
_BOUNDS_S, _SLOPE_1_V = (0.1e-3, 3.5e-3), 3.5  # J-NN-05: targets of the Methods; 3.5 mS at 1 mA


def pulses(compliance_A: float = 1e-6, width_s: float = 20e-3, amplitude_V: float = _AMPLITUDE_V) -> Waveform:
    """Three pulses with 100 ms of rest after each, as in the relaxation test of John et al.

    Parameters
    ----------
    compliance_A : float, A, > 0
    width_s : float, s, > 0
        Of a pulse; published: 20 ms.
    amplitude_V : float, V
        Published: 1 V.
    """
    period = width_s + _REST_S
    return Waveform.pulses(
        amplitude_V,
        width_s,
        period,
        _PULSES,
        compliance_A=compliance_A,
        samples_per_period=int(2000 * period),
    )


def _runs(device: Device, wave: Waveform, replicas: int, entropy: Sequence[int], temperature_K: float) -> Any:
    from ..kmc import FilamentKMC, ensemble

    simulation = FilamentKMC(device, temperature_K=temperature_K)
    return ensemble.run(simulation, wave, replicas, rng=np.random.SeedSequence(list(entropy)), processes=1)


def reference(
    device: Device,
    *,
    compliance_A: float = 1e-6,
    width_s: float = 20e-3,
    replicas: int = 12,
    entropy: Sequence[int] = (0,),
    temperature_K: float = 300.0,
) -> dict[str, Any]:
    """The compact cell of a card in full, from KMC pulses of 1 V, 0.9 V and 1.2 V.

    Parameters
    ----------
    device : Device
    compliance_A : float, A, > 0
        Of the pulses.
    width_s : float, s, > 0
        Of a pulse.
    replicas : int, >= 1
        KMC replicas at 1 V; a third of them, two at least, at each other amplitude.
    entropy : sequence of int
        Seed of the KMC.
    temperature_K : float, K, > 0

    Returns
    -------
    dict
        As :meth:`Volatile.to_dict` makes it.
    """
    from ..compact import Volatile, fit

    traces = [
        _runs(device, pulses(compliance_A, width_s, V), n, [*entropy, i], temperature_K)
        for i, (V, n) in enumerate(((1.0, replicas), (0.9, max(2, replicas // 3)), (1.2, max(2, replicas // 3))))
    ]
    return fit(Volatile, traces, resamples=0).to_dict()


def measured(
    device: Device,
    shape: Mapping[str, float],
    replicas: int,
    entropy: Sequence[int],
    temperature_K: float,
    compliance_A: float = 1e-6,
    width_s: float = 20e-3,
) -> dict[str, Any]:
    """Growth rate, relaxation time and their spreads of a card, from KMC pulses of 1 V; shapes of the laws are given.

    Parameters
    ----------
    device : Device
    shape : mapping
        Parameters of `Volatile` that are not fitted.
    replicas : int
        KMC replicas, three pulses each.
    entropy : sequence of int
        Seed of the KMC.
    temperature_K : float, K, > 0
    compliance_A : float, A, > 0
    width_s : float, s, > 0
        Of a pulse.

    Returns
    -------
    dict
        :data:`OUTPUTS` by name with ``relaxation_error`` (standard error of ln tau) and ``width_s`` of the pulses; or
        ``failure``, in words, where the device does not switch or the model does not hold.

    Notes
    -----
    A card that does not SET within the pulse sees one three times as long, so that slow cards are not left out.
    """
    from ..compact import Volatile, fit

    failure = ""
    for stretch in (1.0, 3.0):
        width = stretch * width_s
        try:
            trace = _runs(device, pulses(compliance_A, width), replicas, entropy, temperature_K)
            cell = fit(Volatile, [trace], fixed=dict(shape), resamples=0)
        except (InputError, ValidityError, ConvergenceError) as error:
            failure = failure or f"{type(error).__name__}: {error}"
            continue
        found: dict[str, Any] = {name: cell.value(name) for name in OUTPUTS}
        tau = cell.parameters["relaxation_time_s"]
        if found["growth_rate_Hz"] > 0.0 and tau.standard_error is not None:
            relative = tau.standard_error / tau.value
            return {**found, "relaxation_error": relative, "width_s": width, "warnings": list(cell.warnings)}
        failure = failure or "too few SETs or relaxations for a rate and a time"
    return {"failure": failure}


def shape_of(cell: Any, compliance_A: float = 1e-6, base_A: float = 1e-6) -> dict[str, float]:
    """What :func:`measured` holds fixed; the ON conductance goes with the compliance, as the filament's width does.

    Parameters
    ----------
    cell : Volatile
        Fitted under `base_A`.
    compliance_A : float, A, > 0
        Under which the cell is to work.
    base_A : float, A, > 0

    Returns
    -------
    dict of str to float
        By parameter name, in the units of the model.
    """
    fixed = {name: float(cell.value(name)) for name in _SHAPE}
    fixed["conductance_on_S"] *= compliance_A / base_A
    return fixed


def cell_of(reference_cell: Any, found: Mapping[str, float], **more: float) -> Any:
    """The reference cell with the parameters that a point of the first link gave.

    Parameters
    ----------
    reference_cell : Volatile
    found : mapping of str to float
        :data:`OUTPUTS` by name, in s, Hz, 1 and 1; spreads are moved inside 0 to 5.
    **more : float
        Other parameters, in the units of the model.
    """
    values = {name: float(found[name]) for name in OUTPUTS}
    for name in ("relaxation_spread_cycle", "growth_spread_cycle"):
        values[name] = min(max(values[name], 0.0), 5.0)
    return reference_cell.with_values(reason="from the device link of the chain", **values, **more)


def typical_cell() -> Any:
    """A cell like that of the card "john2022-ogb", for tests and for a look without any KMC."""
    from ..compact import Volatile

    return Volatile.of(
        reason="round numbers near the fit of the card",
        conductance_off_S=1e-8,
        conductance_on_S=2.6e-6,
        growth_rate_Hz=2e-3,
        growth_voltage_V=0.088,
        growth_acceleration=8e3,
        relaxation_time_s=12e-3,
        relaxation_acceleration=1e3,
        relaxation_voltage_V=0.088,
        growth_spread_cycle=0.15,
        relaxation_spread_cycle=1.3,
        relaxation_weibull=1.0,
    )


def synapse(write_error: float) -> Any:
    """A readout cell between the published bounds whose writes miss by a constant share of their target.

    Parameters
    ----------
    write_error : float, 1, >= 0
        Standard deviation of a write over its target.
    """
    from ..compact import NonVolatile

    low, high = (g / _SLOPE_1_V for g in _BOUNDS_S)
    return NonVolatile.of(
        reason="J-NN-05, J-ICC-02: linear in the compliance",
        conductance_slope_1_V=_SLOPE_1_V,
        conductance_intercept_S=0.0,
        conductance_spread_slope_1_V=write_error * _SLOPE_1_V,
        compliance_low_A=low,
        compliance_high_A=high,
        conductance_off_S=1e-8,
        set_voltage_V=0.9,
        reset_voltage_V=-0.9,
    )


@dataclass(frozen=True)
class Network:
    """The second link: spike trains, reservoir and the compliance-programmed readout, run once.

    Attributes
    ----------
    per_class : int
        Patterns of each class.
    test_fraction : float, 1, in (0, 1)
        Share of the patterns that test.
    epochs : int
        Published: 5.
    spike_width_s, start_phase_s, interval_s, first_s : float, s
        See :class:`FiringPatterns` and :class:`Reservoir`; `start_phase_s` is the largest delay of a train, `first_s`
        None is one interval.
    compliance_A : float, A
        Of the spikes.
    read_noise : float, 1
        Standard deviation of a reading, as a share of the conductance.
    read_noise_S : float, S
        Standard deviation of a reading that does not depend on the conductance.
    write_error : float, 1
        Standard deviation of a write, as a share of its target.
    learning_rate : float, > 0
        See :class:`IccReadout`.
    write_threshold_S : float, S, >= 0
        Smaller changes of a readout cell are not written.
    duration_s : float, s
        Of a pattern.
    read_V, read_width_s : float, V, s
        For the energy of a reading. Published: 0.5 V, 5 ms.
    """

    per_class: int = 100
    test_fraction: float = 0.25
    epochs: int = 5
    spike_width_s: float = 20e-3
    start_phase_s: float = 0.0
    interval_s: float = 35e-3
    first_s: float | None = None
    compliance_A: float = 1e-6
    read_noise: float = 0.0
    read_noise_S: float = 0.0
    write_error: float = 0.03
    learning_rate: float = 0.03
    write_threshold_S: float = 0.0
    duration_s: float = 1.05
    read_V: float = 0.5
    read_width_s: float = 5e-3

    @property
    def nodes(self) -> int:
        """Nodes that fit into a pattern, at most 30: more would need more readout cells than the paper has."""
        first = self.interval_s if self.first_s is None else self.first_s
        return int(min(30, np.floor((self.duration_s - first) / self.interval_s * (1 + 1e-12) + 1e-9) + 1))

    def with_values(self, **values: Any) -> Network:
        """A copy with other values.

        Parameters
        ----------
        **values : float or int
            By name of the attribute.
        """
        return replace(self, **values)

    def states(self, cell: Any, seed: Sequence[int]) -> tuple[Any, NDArray[np.float64]]:
        """Patterns and what the reservoir makes of them.

        Parameters
        ----------
        cell : Volatile
            Plays the reservoir; anything with ``simulate`` does.
        seed : sequence of int
            Of the trains, and of what device and readings draw.

        Returns
        -------
        task : FiringPatterns
        states : array, shape (patterns, nodes), S
            Conductance at each node.
        """
        from .reservoir import Reservoir
        from .spikes import FiringPatterns

        streams = [np.random.default_rng([*seed, i]) for i in range(2)]
        task = FiringPatterns(
            self.per_class,
            streams[0],
            spike_width_s=self.spike_width_s,
            start_phase_s=(0.0, self.start_phase_s),
            compliance_A=self.compliance_A,
            duration_s=self.duration_s,
        )
        reservoir = Reservoir(
            cell,
            self.nodes,
            self.interval_s,
            first_s=self.first_s,
            read_noise=self.read_noise,
            read_noise_S=self.read_noise_S,
        )
        return task, reservoir.transform(list(task.trains), rng=streams[1], devices=task.device)

    def run(self, cell: Any, seed: Sequence[int], *, trainings: int = 1, ladder: bool = False) -> dict[str, float]:
        """Accuracy on held-out patterns, writes and energy.

        Parameters
        ----------
        cell : simulation
            Volatile; plays the reservoir.
        seed : sequence of int
        trainings : int, >= 1
            Split and training anew; results are their means.
        ladder : bool
            Also the accuracy of the same states with exact writes, and of a floating-point logistic regression.

        Returns
        -------
        dict
            accuracy, accuracy_error (counting error of the test patterns), writes_mean and writes_max (of a readout
            cell), cells, energy_J (of a pattern, at most); with `ladder` accuracy_exact_writes, accuracy_regression.
        """
        from .readout import IccReadout

        task, states = self.states(cell, seed)
        found: dict[str, list[float]] = {}
        tested = 0
        for n in range(trainings):
            train, test = task.split(self.test_fraction, rng=np.random.default_rng([*seed, 2, n]))
            tested = test.size
            y = task.labels

            def trained(error: float, n: int = n, train: Any = train, y: Any = y) -> Any:
                return IccReadout(
                    synapse(error),
                    self.epochs,
                    self.learning_rate,
                    write_threshold_S=self.write_threshold_S,
                    rng=np.random.default_rng([*seed, 3, n]),
                ).fit(states[train], y[train])

            readout = trained(self.write_error)
            row = {
                "accuracy": float(readout.score(states[test], y[test])),
                "writes_mean": readout.writes_per_device_["mean"],
                "writes_max": readout.writes_per_device_["max"],
                "cells": float(readout.writes_.size),
            }
            if ladder:
                row["accuracy_exact_writes"] = float(trained(0.0).score(states[test], y[test]))
                row["accuracy_regression"] = _regression(states[train], y[train], states[test], y[test])
            for name, value in row.items():
                found.setdefault(name, []).append(value)
        out = {name: float(np.mean(v)) for name, v in found.items()}
        share = min(max(out["accuracy"], 0.5 / tested), 1.0 - 0.5 / tested)
        out["accuracy_error"] = float(np.sqrt(share * (1.0 - share) / tested))
        out["energy_J"] = self.energy_J(task, states)
        return out

    def energy_J(self, task: Any, states: NDArray[np.float64]) -> float:
        """Mean energy of a pattern, J: the source at its compliance while spikes last (an upper bound), and reads.

        Parameters
        ----------
        task : FiringPatterns
            Says how long spikes last.
        states : array, shape (patterns, nodes), S
            At the nodes, each read once at `read_V`; negative readings count as 0.
        """
        on = np.mean([np.minimum(self.spike_width_s, self.duration_s - onset).sum() for onset in task.onsets])
        spikes = _AMPLITUDE_V * self.compliance_A * on
        reads = self.read_V**2 * self.read_width_s * np.maximum(states, 0.0).sum(axis=1).mean()
        return float(spikes + reads)


def _regression(X: Any, y: Any, X_test: Any, y_test: Any) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(X, y)
    return float(model.score(X_test, y_test))


_CELLULAR = ("growth_spread_device", "relaxation_spread_device", "conductance_off_S")


def outcome(
    cell: Any, names: Sequence[str], numbers: Sequence[float], per_class: int, seed: Sequence[int]
) -> dict[str, Any]:
    """One network of an ensemble: compact parameters and spreads go to the cell, the rest to the network; half test.

    Parameters
    ----------
    cell : Volatile
        The reference cell.
    names : sequence of str
        :data:`OUTPUTS`, and any of ``growth_spread_device``, ``relaxation_spread_device``, ``conductance_off_S`` and
        the attributes of :class:`Network`.
    numbers : sequence of float
        One for each name, in its unit.
    per_class : int, >= 2
        Patterns of each class; half of them test.
    seed : sequence of int

    Returns
    -------
    dict
        What :meth:`Network.run` returns, or ``failure``.
    """
    given = dict(zip(names, (float(x) for x in numbers), strict=True))
    more = {name: given.pop(name) for name in _CELLULAR if name in given}
    found = {name: given.pop(name) for name in OUTPUTS}
    network = Network(per_class, 0.5, **given)  # type: ignore[arg-type]
    try:
        return dict(network.run(cell_of(cell, found, **more), seed))
    except ValidityError as error:
        return {"failure": str(error)}
