"""The report on Kim et al. 2019."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...compact import plasticity
from ...physics import synapse
from .. import page
from ..figures import kim2019 as figures
from . import verdicts
from .recognition import READS, reading
from .targets import AREAS_UM2, TABLE_2, TRENDS

if TYPE_CHECKING:
    from ..campaign import Campaign

__all__ = ["draw", "render"]

_AXES = {
    "pair": ("interval (ms)", "A2 / A1", 1e3),
    "frequency": ("frequency (Hz)", "A5 / A1", 1.0),
    "amplitudes": ("amplitude (V)", "An / A1", -1.0),
    "durations": ("duration (ms)", "An / A1", 1e3),
    "numbers": ("number of spikes", "An / A1", 1.0),
}


def draw(job: Campaign) -> dict[str, Any]:
    """Every figure of a finished job, by name: matplotlib figures.

    Parameters
    ----------
    job : Campaign
        With its results.

    Returns
    -------
    dict of str to Figure
    """
    films = job.settings.films
    kept = {name: result.traces for name, result in job.stages.items()}
    drawn: dict[str, Any] = {}
    curves = {}
    for n in films:
        trace = kept["plasticity"].get(f"n{n}-single")
        if trace is not None:
            current = np.abs(trace["conductance"].values * synapse.READ_V)
            curves[n] = (trace["time"].values - synapse.LEAD_S, current)
    drawn["single"] = figures.single(curves, synapse.READ_V)
    found = {}
    for protocol, (axis, index, factor) in _AXES.items():
        lines = {n: verdicts.series(job, n, protocol) for n in films}
        label = axis if factor > 0 else f"- {axis}"
        found[protocol] = (
            label,
            index,
            TRENDS[protocol][2],
            {n: (factor * x, y) for n, (x, y) in lines.items() if x.size},
        )
    drawn["plasticity"] = figures.plasticity(found)
    decays = {n: kept["retention"].get(f"n{n}-published") for n in films}
    rows = job.results["retention"]
    fits = {r["film"]: (r["b"], r["m"]) for r in rows if r["condition"] == "as published" and r["m"] is not None}
    drawn["forgetting"] = figures.forgetting(
        {n: plasticity.decay(trace) for n, trace in decays.items() if trace is not None}, fits, TABLE_2
    )
    read: dict[str, dict[str, float]] = {}
    for r in rows:
        if r["m"] is not None:
            read.setdefault(r["condition"], {})[r["film"]] = r["m"]
    drawn["conditions"] = figures.conditions(read, TABLE_2)
    soon, late = (
        {n: plasticity.responses(t) for n in films if (t := kept["update"].get(f"n{n}-{read}")) is not None}
        for read in READS
    )
    drawn["update"] = figures.update(soon, late, reading(job.settings)["late"])
    by_film = {}
    for n in films:
        found_areas = [t for a in AREAS_UM2 if (t := kept["energy"].get(f"n{n}-area_{a:g}um2")) is not None]
        if len(found_areas) == len(AREAS_UM2):
            by_film[n] = [verdicts.event(t) for t in found_areas]
    drawn["energy"] = figures.energy(AREAS_UM2, by_film)
    warm = {n: verdicts.arrhenius(job, n) for n in films}
    lines = {}
    for n in films:
        T = [K for K in job.settings.temperatures_K if f"n{n}-{K:g}K" in kept["arrhenius"]]
        lines[n] = (np.array(T), np.array([verdicts.resistance(job, n, K)["read"] for K in T]))
    drawn["arrhenius"] = figures.arrhenius(
        lines, {n: {k: v.value_eV for k, v in found.items()} for n, found in warm.items()}, TABLE_2
    )
    drawn["digits"] = figures.digits([r for r in job.results["digits"] if r["size"] == "8 x 8"])
    return drawn


_CAPTIONS = {
    "single": (
        "Excitatory postsynaptic current: one spike, each film. The electrons' part: the displaced ions carry more "
        "current back than the electrons carry at -0.01 V (row X-ION)."
    ),
    "plasticity": (
        "Paired pulses, frequency, amplitude, duration and number (Fig. 3 of the paper), each film. Arrows: the "
        "paper's trend; it prints no values."
    ),
    "forgetting": (
        "Forgetting after 30 spikes, with the power laws of the paper's Table 2 (dotted). The slow population of each "
        "card was fitted to them: a calibration."
    ),
    "conditions": (
        "The same films, nothing refitted: another window of the fit, read voltage, gap, number of spikes or "
        "temperature. Predictions; the paper prints no number for them."
    ),
    "update": (
        "20 potentiating and 20 depressing spikes: n = 3, for which the paper calls the change almost linear, and "
        "every film; beside it the same spikes further apart, each read when the fast ions have gone back."
    ),
    "digits": (
        "8 x 8 handwritten digits (not those of MNIST), on the update curves of the films: mean and standard deviation "
        "of the trainings. Read 1 ms after a spike, one depressing spike undoes almost all of a curve; read late, its "
        "steps are nearly even. No accuracy was fitted; network, rule and epochs are not printed."
    ),
    "energy": "Energy of an event as the paper defines it, against the area of the electrode.",
    "arrhenius": (
        "Resistance while the read voltage holds the ions, and activation energies. That of the electrons was put into "
        "the cards; what the ions add is found."
    ),
}


def render(job: Campaign, names: Mapping[str, str]) -> str:
    """The report as HTML, its figures also beside it; `job` with its results, `names` what each stage does.

    Parameters
    ----------
    job : Campaign
    names : mapping of str to str
        By stage.
    """
    return page.render(
        "kim2019.html.j2",
        results=job.results,
        names=names,
        **page.counts(job.results),
        figures=list(page.placed(lambda: draw(job), _CAPTIONS, job.folder).values()),
    )
