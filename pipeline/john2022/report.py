"""The report on John et al. 2022."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import page
from ..figures import john2022 as figures
from ..readout import confusion_interval
from . import verdicts

if TYPE_CHECKING:
    from ..campaign import Campaign

__all__ = ["draw", "render"]


def draw(job: Campaign, cell: Any, synapse: Any) -> dict[str, Any]:
    """Every figure of a finished job, by name.

    Parameters
    ----------
    job : Campaign
    cell, synapse : Volatile, NonVolatile
        The fitted models.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
    """
    volatile, hard, fem = (job.stages[n] for n in ("kmc_volatile", "kmc_nonvolatile", "fem"))
    states, readouts = job.stages["reservoir"], job.stages["readouts"].data
    top = f"loop_{job.settings.compliances_A[-1]:g}A"
    failed = {
        name: f"{who}: {result.data['failures'][top]}"
        for name, who, result in (("kmc", "KMC", hard), ("fem", "continuum", fem))
        if top in result.data["failures"]
    }
    slope = synapse.parameters["conductance_slope_1_V"]
    names = {"icc": "Icc-programmed pairs", "delta": "floating point, delta rule"}
    return {
        "volatile": figures.volatile_iv(
            volatile.traces["sweep"], volatile.traces["reverse"], volatile.traces["sweep_gold"]
        ),
        "nonvolatile": figures.nonvolatile_iv(hard.traces.get(top), fem.traces.get(top), failed),
        "snapshots": figures.snapshots(
            volatile.traces["snapshot"], hard.traces.get("write"), fem.traces.get(top.replace("loop", "set"))
        ),
        "relaxation": figures.relaxation(volatile.traces["pulses_1V"], job.stages["compact"].traces["pulses_fit"]),
        "growth": figures.set_times(*verdicts.growth(volatile, cell)),
        "icc": figures.icc(
            verdicts.programmed(hard),
            verdicts.programmed(fem),
            slope_1_V=slope.value,
            intercept_S=synapse.value("conductance_intercept_S"),
            spread_S=synapse.value("conductance_spread_S"),
            spread_slope_1_V=synapse.value("conductance_spread_slope_1_V"),
            slope_error_1_V=slope.standard_error,
        ),
        "patterns": figures.patterns(
            {name: states.traces[f"pattern_{name.lower()}"] for name in readouts["classes"]},
            states.traces["states"]["node"].values,
        ),
        "confusions": figures.confusions(
            {title: confusion_interval([run["counts"] for run in readouts[name]]) for name, title in names.items()},
            readouts["classes"],
        ),
        "training": figures.training(
            {title: [run["history"] for run in readouts[name]] for name, title in names.items()},
            {
                names["icc"]: (85.14, "85.14 %"),
                names["delta"]: (91.8, "91.8 %"),
            },
        ),
        "conventions": figures.conventions(
            job.stages["conventions"].data["lines"], {"delta": (91.8, "91.8 %"), "icc": (85.14, "85.14 %")}
        ),
    }


_CAPTIONS = {
    "volatile": (
        "Volatile mode: current against source voltage under 1 µA, every KMC replica; reverse bias; the same device "
        "with Au in place of Ag."
    ),
    "nonvolatile": (
        "Non-volatile mode: bipolar loop, 1 mA compliance in the positive branch and none in the negative one, KMC and "
        "continuum; temperature of the filament during the loop."
    ),
    "snapshots": (
        "Filaments from the side. The same device, differing in compliance only. The continuum panel shows the "
        "azimuthally symmetric fraction of sites with Ag."
    ),
    "relaxation": (
        "Relaxation at zero voltage after 1 V, 20 ms pulses: each replica, median, mean, and the fitted compact model; "
        "right, three replicas over the whole stimulus."
    ),
    "growth": (
        "Growth: time from the start of a pulse until ln G is half way to ON, each SET of the KMC replicas and the "
        "typical device of the fitted model. Pulses that end before the SET are left out."
    ),
    "icc": (
        "Conductance at 0.1 V against the compliance current of the SET: KMC, continuum, and the fitted law with its "
        "spread."
    ),
    "patterns": "Response of the typical device to one train of each class. Circles: the virtual nodes.",
    "confusions": (
        "Confusion matrices on the test patterns, mean over trainings with 95 % confidence intervals. The paper finds "
        "Irregular worst."
    ),
    "conventions": (
        "Test accuracy of the same physics under each reading of the Methods, with the larger of the spread over "
        "trainings and the counting error. Dotted: the paper; grey: chance. Nothing is fitted to it."
    ),
    "training": "Accuracy after each epoch, mean and range over trainings. Dotted: the paper's test accuracy.",
}


def render(job: Campaign, cell: Any, synapse: Any, names: Mapping[str, str]) -> str:
    """The report as HTML; its figures are also written beside it, for a paper.

    Parameters
    ----------
    job : Campaign
        With its results.
    cell, synapse : Volatile, NonVolatile
        The fitted models.
    names : mapping of str to str
        What each stage does.
    """
    parts = page.placed(lambda: draw(job, cell, synapse), _CAPTIONS, job.folder)
    network = ("patterns", "confusions", "training", "conventions")
    runs = job.stages["readouts"].data["icc"]
    writes, energy = [run["writes"] for run in runs], float(np.mean([run["energy_J"] for run in runs]))
    return page.render(
        "john2022.html.j2",
        results=job.results,
        nodes=job.stages["reservoir"].data["nodes"],
        names=names,
        **page.counts(job.results),
        device_figures=[part for name, part in parts.items() if name not in network],
        network_figures=[parts[name] for name in network],
        writes={key: f"{np.mean([run[key] for run in writes]):.0f}" for key in ("mean", "max")},
        energy=energy,
        conventions=list(job.stages["conventions"].data["lines"].values()),
    )
