"""A candidate of `design`: from chosen numbers to a card, a network, and a direct check in KMC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from . import chain

__all__ = ["Conditions", "card_of", "confirmed", "memory_s", "network_of", "played"]


@dataclass(frozen=True)
class Conditions:
    """What the designer does not choose: the same for every candidate and for the paper's device.

    Parameters
    ----------
    start_phase_s : float, s, >= 0
        Largest delay of a train against the nodes. Assumed; with 0 every device near the paper's reaches 99 %.
    write_error : float, 1, >= 0
        Standard deviation of a write over its target. Assumed; the paper's numbers are in a supplement.
    read_noise : float, 1, >= 0
        Of a reading, relative. The default is what `ReadNoise` predicts at 1 uA (docs/variability.md).
    """

    start_phase_s: float = 65e-3
    write_error: float = 0.03
    read_noise: float = 0.0075

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and 0.0 <= value < 1.0):
                raise InputError(f"{one.name} is out of range", got=value, allowed="0 <= value < 1")


def card_of(device: Device, chosen: Mapping[str, float]) -> Device:
    """The card of a design: the reduction barrier goes with the dissolution barrier.

    Parameters
    ----------
    device : Device
        The paper's device.
    chosen : mapping of str to float
        With ``dissolution_barrier_eV`` and ``film_thickness_m``.
    """
    shift = chosen["dissolution_barrier_eV"] - device.value("dissolution_barrier_eV")
    made = device.with_parameters(
        dissolution_barrier_eV=chosen["dissolution_barrier_eV"],
        reduction_barrier_eV=device.value("reduction_barrier_eV") + shift,
    )
    return made.with_thickness(chosen["film_thickness_m"])


def network_of(chosen: Mapping[str, float], conditions: Conditions, per_class: int) -> chain.Network:
    """The network of a design.

    Parameters
    ----------
    chosen : mapping of str to float
        With ``spike_width_s``, ``interval_s`` (s), ``write_threshold_S`` and ``compliance_A``.
    conditions : Conditions
    per_class : int, >= 2
        Patterns of each class; half of them test.
    """
    own = ("spike_width_s", "interval_s", "write_threshold_S", "compliance_A")
    return chain.Network(per_class, 0.5, **{n: float(chosen[n]) for n in own}, **asdict(conditions))  # type: ignore[arg-type]


def played(
    cell: Any,
    found: Mapping[str, float],
    chosen: Mapping[str, float],
    conditions: Conditions,
    per_class: int,
    seed: Sequence[int],
    ladder: bool = False,
) -> dict[str, Any]:
    """Outcome of a design whose compact parameters are `found`.

    Parameters
    ----------
    cell : Volatile
        Of the paper's device; gives what `found` does not hold.
    found : mapping of str to float
        :data:`halidrift.pipeline.chain.OUTPUTS` by name.
    chosen : mapping of str to float
        The design, by variable name, in SI units.
    conditions : Conditions
    per_class : int, >= 2
        Patterns of each class; half of them test.
    seed : sequence of int
    ladder : bool
        Also exact writes and a floating-point regression on the same states.

    Returns
    -------
    dict
        As :meth:`halidrift.pipeline.chain.Network.run` makes it, or ``failure``, in words.
    """
    shape = chain.shape_of(cell, chosen["compliance_A"])
    more = {"conductance_on_S": shape["conductance_on_S"], "largest_compliance_A": chosen["compliance_A"]}
    try:
        network = network_of(chosen, conditions, per_class)
        return dict(network.run(chain.cell_of(cell, found, **more), seed, ladder=ladder))
    except ValidityError as error:
        return {"failure": str(error)}


def confirmed(card: Device, chosen: Mapping[str, float], s: Any, number: int) -> dict[str, Any]:
    """One direct check: KMC with seeds of its own, a full fit, and a network with seeds of its own.

    Parameters
    ----------
    card : Device
        Of the paper's device.
    chosen : mapping of str to float
        The design, by variable name, in SI units.
    s : Settings
        Seed, temperature, conditions and patterns a class, of which a check uses ten times as many.
    number : int, >= 0
        Of the check; together with the seed it seeds KMC and network.

    Returns
    -------
    dict
        Of :meth:`halidrift.pipeline.chain.Network.run` with ``ladder``, means of three trainings; ``memory_s``; three
        parameters of the fitted cell, ``warnings`` of the fit, and ``cell`` as plain data. Or ``failure``, in words,
        where the device does not switch or the model does not hold.
    """
    from ..compact import Volatile

    network = network_of(chosen, s.conditions, 10 * s.per_class)
    seed = [s.seed, 22, number]
    try:
        record = chain.reference(
            card_of(card, chosen),
            compliance_A=chosen["compliance_A"],
            width_s=chosen["spike_width_s"],
            entropy=[s.seed, 21, number],
            temperature_K=s.temperature_K,
        )
        cell = Volatile.from_dict(record)
        outcome = network.run(cell, seed, trainings=3, ladder=True)
        memory = memory_s(cell, network, seed)
    except (InputError, ValidityError, ConvergenceError) as error:
        return {"failure": f"{type(error).__name__}: {error}"}
    return {
        **outcome,
        "memory_s": memory,
        "relaxation_time_s": cell.value("relaxation_time_s"),
        "relaxation_spread_cycle": cell.value("relaxation_spread_cycle"),
        "growth_rate_Hz": cell.value("growth_rate_Hz"),
        "warnings": list(cell.warnings),
        "cell": record,
    }


def memory_s(cell: Any, network: chain.Network, seed: Sequence[int], *, least: float = 0.02) -> float:
    """How far back a reading sees: the largest time before it at which a spike still explains 2 % of ln G.

    Irregular trains alone, whose spikes are independent from segment to segment; read every 5 ms.

    Parameters
    ----------
    cell : Volatile
    network : Network
        Its spacing, first node, delay, read noise and number of patterns are replaced.
    seed : sequence of int
    least : float, 1, in (0, 1)
        Squared correlation of spike and ln G that still counts.

    Returns
    -------
    float, s
        A multiple of 5 ms, at most 385 ms; 0 if no spike explains as much.
    """
    from .reservoir import Reservoir

    dense = network.with_values(interval_s=5e-3, first_s=0.4, per_class=200, start_phase_s=0.0, read_noise=0.0)
    task, _ = dense.states(cell, seed)
    chosen = np.flatnonzero(task.labels == len(task.classes) - 1)
    reservoir = Reservoir(cell, 120, 5e-3, first_s=0.4)
    states = np.log(reservoir.transform([task.trains[i] for i in chosen], rng=np.random.default_rng([*seed, 5])))
    times = reservoir.node_times_s
    lags = np.arange(5e-3, 0.39, 5e-3)
    on = [task.onsets[i] for i in chosen]
    seen = []
    for lag in lags:
        at = times[None, :] - lag
        spike = np.zeros(states.shape)
        for i, onset in enumerate(on):
            spike[i] = ((at[0][:, None] >= onset) & (at[0][:, None] < onset + task.spike_width_s)).any(axis=1)
        # instant by instant: what all trains share at an instant is no memory
        a, b = spike - spike.mean(axis=0), states - states.mean(axis=0)
        scale = math.sqrt(float((a**2).sum() * (b**2).sum()))
        seen.append(float((a * b).sum() / scale) ** 2 if scale > 0.0 else 0.0)
    beyond = np.flatnonzero(np.array(seen) >= least)
    return float(lags[beyond[-1]]) if beyond.size else 0.0
