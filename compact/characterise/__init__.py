"""Figures of merit of any trace: KMC, continuum, compact model or probe station.

Each function works on one one-dimensional run and gives numbers with units; :func:`runs` and :func:`cycles` split what
is larger, the plural names (:func:`set_voltages`, :func:`relaxation_times`) bring many runs together as a
:class:`Distribution`, and :func:`report` computes whatever the given traces allow and says why not the rest.
Definitions are those of the review of Yantara et al. where it gives one (docs/characterise.md). Thresholds are
arguments, because every laboratory has its own. Plasticity and weight update are in
:mod:`halidrift.compact.plasticity`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cycling import Endurance, endurance, endurance_of, endurances
    from .decays import DecayLaw, decay_law
    from .distributions import Distribution, Lognormal, Normal, Weibull, distribution
    from .events import Relaxation, SetTime, relaxation_time, relaxations, relaxations_of, set_times, set_times_of
    from .many import (
        on_off_ratios,
        relaxation_times,
        reset_voltages,
        set_voltages,
        switching_energies,
        switching_times,
    )
    from .merits import Merit, Missing, Report
    from .pieces import columns, cycles, each, runs, work
    from .scaling import AreaScaling, RateDependence, area_scaling, rate_dependence, rate_dependence_of, sweep_rate
    from .spiking import Facilitation, Plasticity, Spikes, facilitation, plasticity_of, spikes_of
    from .states import States, distinguishable
    from .summary import report
    from .sweeps import (
        OnOff,
        Rectification,
        hrs_conductance,
        lrs_conductance,
        on_off,
        rectification,
        reset_voltage,
        set_voltage,
    )
    from .switching import Switching, switchings
    from .watches import Lifetime, lifetimes, retention, retention_time

__all__ = [
    "AreaScaling",
    "DecayLaw",
    "Distribution",
    "Endurance",
    "Facilitation",
    "Lifetime",
    "Lognormal",
    "Merit",
    "Missing",
    "Normal",
    "OnOff",
    "Plasticity",
    "RateDependence",
    "Rectification",
    "Relaxation",
    "Report",
    "SetTime",
    "Spikes",
    "States",
    "Switching",
    "Weibull",
    "area_scaling",
    "columns",
    "cycles",
    "decay_law",
    "distinguishable",
    "distribution",
    "each",
    "endurance",
    "endurance_of",
    "endurances",
    "facilitation",
    "hrs_conductance",
    "lifetimes",
    "lrs_conductance",
    "on_off",
    "on_off_ratios",
    "plasticity_of",
    "rate_dependence",
    "rate_dependence_of",
    "rectification",
    "relaxation_time",
    "relaxation_times",
    "relaxations",
    "relaxations_of",
    "report",
    "reset_voltage",
    "reset_voltages",
    "retention",
    "retention_time",
    "runs",
    "set_times",
    "set_times_of",
    "set_voltage",
    "set_voltages",
    "spikes_of",
    "sweep_rate",
    "switching_energies",
    "switching_times",
    "switchings",
    "work",
]

# Loaded on first use: the plasticity module needs `pieces` alone, and some of the rest need plasticity. No module has
# the name of a function, which it would hide once imported.
_HOMES = {
    "cycling": ("Endurance", "endurance", "endurance_of", "endurances"),
    "decays": ("DecayLaw", "decay_law"),
    "distributions": ("Distribution", "Lognormal", "Normal", "Weibull", "distribution"),
    "events": (
        "Relaxation",
        "SetTime",
        "relaxation_time",
        "relaxations",
        "relaxations_of",
        "set_times",
        "set_times_of",
    ),
    "many": (
        "on_off_ratios",
        "relaxation_times",
        "reset_voltages",
        "set_voltages",
        "switching_energies",
        "switching_times",
    ),
    "merits": ("Merit", "Missing", "Report"),
    "pieces": ("columns", "cycles", "each", "runs", "work"),
    "scaling": (
        "AreaScaling",
        "RateDependence",
        "area_scaling",
        "rate_dependence",
        "rate_dependence_of",
        "sweep_rate",
    ),
    "spiking": ("Facilitation", "Plasticity", "Spikes", "facilitation", "plasticity_of", "spikes_of"),
    "states": ("States", "distinguishable"),
    "summary": ("report",),
    "sweeps": (
        "OnOff",
        "Rectification",
        "hrs_conductance",
        "lrs_conductance",
        "on_off",
        "rectification",
        "reset_voltage",
        "set_voltage",
    ),
    "switching": ("Switching", "switchings"),
    "watches": ("Lifetime", "lifetimes", "retention", "retention_time"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
