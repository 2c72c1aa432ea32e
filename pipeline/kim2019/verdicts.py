"""The quantities of a finished job beside the paper's: what was found, hit or miss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy import stats

from ...compact import plasticity
from ...physics import synapse
from ...physics import trace as traces
from ...physics.citations import citations
from ...physics.device import Device
from ...physics.errors import InputError
from .recognition import accuracy, reading
from .targets import AREAS_UM2, NUMBERS, TABLE_2, TRENDS, quantity

if TYPE_CHECKING:
    from ..campaign import Campaign

__all__ = [
    "arrhenius",
    "curves",
    "event",
    "fit_count",
    "forgetting",
    "networks",
    "quantities",
    "references",
    "resistance",
    "series",
]

_CONSISTENCY = "put into the card as conduction barrier: a consistency check, no prediction"


def series(job: Campaign, film: str, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """What was varied (s, Hz, V, s or 1) and the plasticity index, of one of the five protocols of Fig. 3.

    Parameters
    ----------
    job : Campaign
    film : str
        By n, of :data:`FILMS`.
    protocol : {"pair", "frequency", "amplitudes", "durations", "numbers"}

    Returns
    -------
    varied : array, shape (n,)
        Interval (s), frequency (Hz), amplitude (V, negative), width (s) or number of spikes (1); empty if
        the runs failed.
    index : array, shape (n,), 1
        A_n / A_1.
    """
    kept = job.stages["plasticity"].traces
    if protocol in ("pair", "frequency"):
        unit, factor = {"pair": ("ms", 1e-3), "frequency": ("Hz", 1.0)}[protocol]
        found = []
        for name, run in kept.items():
            if name.startswith(f"n{film}-{protocol}_"):
                value = factor * float(name.split("_")[-1].removesuffix(unit))
                found.append((value, float(plasticity.indices(run)[-1])))
        x, y = np.array(sorted(found)).reshape(-1, 2).T
        return x, y
    trace = kept.get(f"n{film}-{protocol}")
    if trace is None:
        return np.array([]), np.array([])
    y = plasticity.indices(trace)
    if protocol == "numbers":
        shown = np.array([k for k in NUMBERS if k <= y.size])
        return shown.astype(float), y[shown - 1]
    step = {"amplitudes": -0.1, "durations": 20e-3}[protocol]
    return step * np.arange(1, y.size + 1), y


def _trend(values: Any) -> str:
    for word, rising in (("rises", True), ("falls", False)):
        if plasticity.is_monotone(values, rising=rising):
            return word
    return "not monotone"


def _ordered(values: Mapping[str, float], sign: str = "<") -> str:
    """Films from the smallest value to the largest (from the largest with ">")."""
    return f" {sign} ".join(sorted(values, key=lambda n: values[n], reverse=sign == ">"))


def _law(trace: xr.Dataset | None, window_s: tuple[float, float]) -> plasticity.PowerLaw | str:
    """The power law of a decay, or why there is none."""
    if trace is None:
        return "the simulation failed; see the list of failures"
    try:
        return plasticity.retention(trace, window_s=window_s)
    except InputError as error:
        return str(error)


def forgetting(job: Campaign) -> list[dict[str, Any]]:
    """b and m of every film, as the paper reads them and under other conditions.

    Parameters
    ----------
    job : Campaign

    Returns
    -------
    list of dict
        ``film``, ``condition``, ``b`` and ``m`` of b (t / 1 s)^-m, ``r2``, ``delta_aic``, ``tau_s`` of the exponential
        (s), and ``note``; b, m, r2 and delta_aic None where no law fits, as the note tells.
    """
    s, kept = job.settings, job.stages["retention"].traces
    rows = []
    for n in s.films:
        conditions: list[tuple[str, str, tuple[float, float]]] = [
            ("as published", "published", s.window_s),
            ("fitted from 0.1 to 1.5 s", "published", (0.1, 1.5)),
            ("fitted from 1 to 10 s", "published", (1.0, 10.0)),
            ("read at -0.01 V", "read_-0.01V", s.window_s),
            ("gaps of 300 ms", "gap_300ms", s.window_s),
            *(
                (_counted(int(name.split("_")[1])), name.partition("-")[2], s.window_s)
                for name in kept
                if name.startswith(f"n{n}-count_")
            ),
            *(
                (name.split("_")[1].replace("K", " K"), name.partition("-")[2], s.window_s)
                for name in kept
                if name.startswith(f"n{n}-temperature_")
            ),
        ]
        for words, name, window in conditions:
            law = _law(kept.get(f"n{n}-{name}"), window)
            row: dict[str, Any] = {"film": n, "condition": words}
            if isinstance(law, str):
                row |= {"b": None, "m": None, "r2": None, "delta_aic": None, "note": law}
            else:
                row |= {k: getattr(law, k) for k in ("b", "m", "r2", "delta_aic", "tau_s")} | {"note": ""}
            rows.append(row)
    return rows


def _counted(spikes: int) -> str:
    return "1 spike" if spikes == 1 else f"{spikes} spikes"


def event(trace: xr.Dataset) -> float:
    """E = P I t of a single spike, J: I is the electrons' current at the read voltage.

    Parameters
    ----------
    trace : Dataset
        One run with one spike, read once after it; its first voltage is that of the read.
    """
    voltage = trace["voltage"].values
    spike = voltage[np.argmax(np.abs(voltage))]
    current = plasticity.responses(trace)[0] * abs(float(voltage[0]))
    return float(plasticity.event_energy(float(spike), current, synapse.SPIKE_S))


def resistance(job: Campaign, film: str, temperature_K: float) -> dict[str, float]:
    """Resistance, ohm: ions at rest, ions as the read voltage holds them, and after a spike.

    Parameters
    ----------
    job : Campaign
    film : str
        By n, of :data:`FILMS`.
    temperature_K : float, K
        One at which the job simulated the film.

    Returns
    -------
    dict of str to float, ohm
        ``rest``, ``read`` and ``spike``.
    """
    trace = job.stages["arrhenius"].traces[f"n{film}-{temperature_K:g}K"]
    G, t = trace["conductance"].values, trace["time"].values
    before = int(np.searchsorted(t, job.settings.lead_s * (1 - 1e-9)))
    return {
        "rest": 1.0 / float(G[0]),
        "read": 1.0 / float(G[before]),
        "spike": 1.0 / float(plasticity.responses(trace)[0]),
    }


def arrhenius(job: Campaign, film: str) -> dict[str, plasticity.ActivationEnergy]:
    """Activation energy of each resistance of :func:`resistance`.

    Parameters
    ----------
    job : Campaign
    film : str
        By n, of :data:`FILMS`.

    Returns
    -------
    dict of str to ActivationEnergy
        ``rest``, ``read`` and ``spike``.
    """
    kept = job.stages["arrhenius"].traces
    T = [K for K in job.settings.temperatures_K if f"n{film}-{K:g}K" in kept]
    each = [resistance(job, film, K) for K in T]
    return {name: plasticity.activation_energy(T, [R[name] for R in each]) for name in ("rest", "read", "spike")}


def fit_count(films: Mapping[str, Device]) -> dict[str, Any]:
    """How many different numbers of the cards were fitted, and to how many different texts.

    Parameters
    ----------
    films : mapping of str to Device
        By n.

    Returns
    -------
    dict
        ``numbers``: how many in all; ``by_parameter``: how many of each parameter.
    """
    fitted = {
        (name, p.value, p.fitted_to)
        for card in films.values()
        for name, p in card.parameters.items()
        if p.kind == "calibrated"
    }
    by_name: dict[str, int] = {}
    for name, *_ in fitted:
        by_name[name] = by_name.get(name, 0) + 1
    return {"numbers": len(fitted), "by_parameter": dict(sorted(by_name.items()))}


def quantities(job: Campaign, films: Mapping[str, Device]) -> list[dict[str, Any]]:
    """Every quantity that the job answers, in the order of the table.

    Parameters
    ----------
    job : Campaign
    films : mapping of str to Device
        Cards by n.

    Returns
    -------
    list of dict
        As :func:`halidrift.pipeline.targets.quantity` makes them.
    """
    rows: list[dict[str, Any]] = []

    def add(key: str, value: Any, *, film: str | None = None, **details: Any) -> None:
        cards = list(films.values()) if film is None else [films[film]]
        rows.append(quantity(key, value, device=cards[0], devices=cards, **details))

    def of(*names: str) -> Any:
        """`add` for rows that are read off these stages, unless a row names its own."""
        return partial(add, stages=names)

    _inputs(add, job, films)
    _plasticity(of("plasticity"), job)
    _retention(of("retention"), job, films)
    _temperature(of("arrhenius"), job, films)
    _energy(of("energy"), job, films)
    _update(add, job)
    _digits(of("digits"), job)
    reason = "absorption is out of scope: the suite has no optical model"
    add("K-OPT-01/absorption peaks, n = 1 and inf", None, skipped=reason)
    add("K-OPT-02/absorption peaks, n = 2 to 5", None, skipped=reason)
    return rows


def _inputs(add: Any, job: Campaign, films: Mapping[str, Device]) -> None:
    s = job.settings
    card = next(iter(films.values()))
    stack = "/".join("OHP" if layer.role == "film" else layer.name for layer in card.layers)
    add("K-STACK-01/stack", stack, kind="published", made_by="device cards", note="thicknesses are assumed")
    lacks = "" if set(films) == set(TABLE_2) else "needs all six films"
    add("K-STACK-02/films, n", ", ".join(films), kind="published", made_by="device cards", skipped=lacks)
    for name, value in (
        ("amplitude of a spike", synapse.SPIKE_V),
        ("width of a spike", synapse.SPIKE_S),
        ("read voltage, plasticity", synapse.READ_V),
    ):
        add(f"K-PULSE-01/{name}", value, kind="published", made_by="physics.synapse")
    x = sorted(
        int(name.split("_")[-1].removesuffix("ms"))
        for name in job.stages["plasticity"].traces
        if name.startswith(f"n{s.films[0]}-pair_")
    )
    intervals = f"{x[0]} to {x[-1]} ms" if x else None
    add("K-PPF-01/intervals", intervals, kind="published", made_by="physics.synapse")
    add("K-RET-PROT/spikes before the watch", 30.0, kind="published", made_by="physics.synapse")
    add("K-RET-PROT/read voltage, retention", s.retention_read_V, kind="published", made_by="settings")
    add("K-RET-PROT/watched for", s.watch_s, kind="published", made_by="settings")


def _plasticity(add: Any, job: Campaign) -> None:
    right = 0
    for protocol, (key, name, trend, _) in TRENDS.items():
        for n in job.settings.films:
            x, y = series(job, n, protocol)
            found = _trend(y) if y.size > 1 else None
            right += found == trend
            note = f"{y[0]:.4g} to {y[-1]:.4g}" if y.size else "the simulation failed; see the list of failures"
            add(
                f"{key}/n = {n}: {name}",
                found,
                film=n,
                made_by="IonFilm",
                note=f"{note}; {x.size} points",
                stages=(f"plasticity/n{n}-{protocol}*",),
            )
    total = len(TRENDS) * len(job.settings.films)
    add(
        "K-PLAST-01/trends of the five indices that go the paper's way",
        right / total,
        kind="calibrated",
        made_by="IonFilm",
        note=f"{right} of {total}, strictly monotone at every step; those of paired pulses chose the prefactor",
    )


def _retention(add: Any, job: Campaign, films: Mapping[str, Device]) -> None:
    s, kept = job.settings, job.stages["retention"].traces
    m, b, rise = {}, {}, {}
    for n in s.films:
        trace = kept.get(f"n{n}-published")
        law = _law(trace, s.window_s)
        key = f"K-T2-n{n}"
        if isinstance(law, str) or trace is None:
            for name in ("m", "b"):
                add(f"{key}/n = {n}: {name}", None, film=n, made_by="IonFilm", note=str(law))
            add(f"K-RET-EQ/n = {n}: decay law, by AIC", None, film=n, made_by="IonFilm", note=str(law))
        else:
            m[n], b[n] = law.m, law.b
            weights = plasticity.responses(trace)
            rise[n] = float(weights[-1] / trace["conductance"].values[0] - 1.0)
            note = f"R2 {law.r2:.3f}, {law.window_s[0]:.2g} to {law.window_s[1]:.3g} s, ln y"
            where = (f"retention/n{n}-published",)
            add(f"{key}/n = {n}: m", law.m, film=n, made_by="IonFilm", note=note, stages=where)
            add(f"{key}/n = {n}: b", law.b, film=n, made_by="IonFilm", note=note, stages=where)
            better = "power law" if law.delta_aic > 0 else "exponential"
            note = f"R2 {law.r2:.3f} against {law.r2_exponential:.3f}; AIC differs by {law.delta_aic:.0f}"
            add(
                f"K-RET-EQ/n = {n}: decay law, by AIC",
                better,
                film=n,
                kind=_kind(films[n], key),
                made_by="IonFilm",
                note=note,
                stages=where,
            )
        _repetition(add, job, n)
        settled = kept.get(f"n{n}-settle")
        left = None if settled is None else float(plasticity.decay(settled).weight[-1])
        name = f"K-STACK-03/n = {n}: share of the weight left after 1000 s"
        add(
            name,
            left,
            film=n,
            made_by="IonFilm, read at -0.01 V",
            note="of the rise after 30 spikes",
            stages=(f"retention/n{n}-settle",),
        )
    whole = set(m) == set(TABLE_2)
    missing = "needs all six films"
    kinds = {_kind(films[n], f"K-T2-n{n}") for n in m}
    kind = "calibrated" if "calibrated" in kinds else "predicted"
    order = _ordered(m) if whole else None
    note = ", ".join(f"m({n}) = {v:.3g}" for n, v in m.items())
    add("K-RET-ORD/films by m", order, kind=kind, made_by="IonFilm", note=note, skipped="" if whole else missing)
    for top, bottom in (("3", "2"), ("5", "1")):
        pair = top in b and bottom in b
        ratio = b[top] / b[bottom] if pair else None
        name = f"K-RET-N12/b of n = {top} over b of n = {bottom}"
        add(name, ratio, kind=kind, made_by="IonFilm", skipped="" if pair else "needs both films")
    quasi, low = [rise[n] for n in ("3", "4", "5") if n in rise], [rise[n] for n in ("1", "2") if n in rise]
    add(
        "K-RET-N12/rise after 30 spikes, smallest of n = 3 to 5 over largest of n = 1, 2",
        min(quasi) / max(low) if quasi and low else None,
        made_by="IonFilm",
        note="G over G at rest, less 1: " + ", ".join(f"n = {n}: {v:.2g}" for n, v in rise.items()),
        skipped="" if quasi and low else "needs films of both groups",
    )


def _repetition(add: Any, job: Campaign, n: str) -> None:
    """Weight after 1 s, over its peak, against the number of spikes."""
    kept = job.stages["retention"].traces
    left = {30: kept.get(f"n{n}-published")}
    left |= {int(name.split("_")[1]): run for name, run in kept.items() if name.startswith(f"n{n}-count_")}
    shares = {}
    for count, trace in sorted(left.items()):
        if trace is not None:
            t, y = plasticity.decay(trace)
            shares[count] = float(np.interp(1.0, t, y))
    found = _trend(list(shares.values())) if len(shares) > 1 else None
    note = ", ".join(f"{count}: {share:.3g}" for count, share in shares.items())
    add(
        f"K-STP-01/n = {n}: weight left after 1 s against the number of spikes",
        found,
        film=n,
        made_by="IonFilm",
        note=note,
    )


def _kind(device: Device, key: str) -> str:
    """Whether a card was fitted to a target."""
    return "calibrated" if any(key in p.fitted_to for p in device.parameters.values()) else "predicted"


def _temperature(add: Any, job: Campaign, films: Mapping[str, Device]) -> None:
    energies, worst = {}, math.inf
    for n in films:
        found = arrhenius(job, n)
        energies[n] = found["read"].value_eV
        worst = min(worst, found["read"].r2)
        made = f"IonFilm, {min(job.settings.temperatures_K):g} to {max(job.settings.temperatures_K):g} K"
        add(
            f"K-T2-n{n}/n = {n}: E_A, ions at rest",
            found["rest"].value_eV,
            film=n,
            kind="published",
            made_by=made,
            note=_CONSISTENCY,
        )
        added, after = (1e3 * (found[name].value_eV - found["rest"].value_eV) for name in ("read", "spike"))
        add(
            f"K-T2-n{n}/n = {n}: E_A while read",
            energies[n],
            film=n,
            kind="predicted",
            uncertainty=found["read"].error_eV,
            made_by=f"{made}, settled at {job.settings.retention_read_V:g} V",
            note=f"the ions add {added:+.1f} meV while read, {after:+.1f} meV after a spike; "
            "how R was read is not printed",
        )
    add(
        "K-EA-EQ/R2 of ln R against 1/kT, worst film",
        worst,
        kind="published",
        made_by="IonFilm",
        note="the straight line is put in; ions as the read holds them",
    )
    whole = set(energies) == set(TABLE_2)
    add(
        "K-EA-ORD/films by E_A",
        _ordered(energies, ">") if whole else None,
        kind="published",
        made_by="IonFilm",
        note="while read; the order was put in",
        skipped="" if whole else "needs all six films",
    )
    rows = job.stages["barriers"].data
    inside = sum(0.09 - 1e-9 <= row["value_eV"] <= 0.16 + 1e-9 for row in rows["rows"])
    add(
        "K-EA-LIT/films whose E_A lies in 0.09-0.16 eV, the lowest published range",
        float(inside),
        kind="published",
        made_by="database",
        stages=("barriers",),
        note=f"{inside} of {len(rows['rows'])}",
        skipped="" if whole else "needs all six films",
    )
    lowest = rows["lowest_eV"]
    add(
        "K-EA-LIT/species of Table 1 with the lowest barrier",
        min(lowest, key=lambda k: lowest[k]),
        kind="published",
        made_by="database",
        stages=("barriers",),
        note=", ".join(f"{k}: {v:g} eV" for k, v in lowest.items()),
    )


def _energy(add: Any, job: Campaign, films: Mapping[str, Device]) -> None:
    kept, single = job.stages["energy"].traces, job.stages["plasticity"].traces
    whole = set(films) == set(TABLE_2)
    missing = "" if whole else "needs all six films"
    rest = {n: card.value("electronic_conductivity_S_m") for n, card in films.items()}
    add(
        "K-COND-ORD/films by conductivity at rest",
        _ordered(rest) if whole else None,
        kind="calibrated",
        made_by="device cards",
        note="follows from E_A with one R0 for all films: put in",
        stages=("barriers",),
        skipped=missing,
    )
    spike = {n: float(plasticity.responses(single[f"n{n}-single"])[0]) for n in films if f"n{n}-single" in single}
    add(
        "K-COND-ORD/films by postsynaptic current after one spike",
        _ordered(spike) if whole and set(spike) == set(films) else None,
        kind="calibrated",
        made_by="IonFilm",
        note="conductivity at rest, whose order is put in, times what the ions make of it",
        stages=("plasticity/n*-single",),
        skipped=missing,
    )
    made = "compact.plasticity.event_energy"
    add("K-EN-EQ/energy of an event", "E = P I t", kind="published", made_by=made, stages=())
    one = "1" in films
    lacks = "" if one else "needs the film n = 1"
    strong, weak = kept.get(f"n1-area_{AREAS_UM2[0]:g}um2"), kept.get("n1-weak")
    add(
        "K-EN-18/n = 1: energy of an event, -1 V",
        event(strong) if strong is not None else None,
        film="1" if one else None,
        made_by="IonFilm",
        note="250 um x 250 um; I is the electrons' current at -0.01 V",
        skipped=lacks,
    )
    small = event(weak) if weak is not None else None
    add(
        "K-EN-07/n = 1: energy of an event, -0.02 V",
        small,
        film="1" if one else None,
        made_by="IonFilm",
        note="the two printed energies contradict each other (I-12): they ask for twice the current after a spike "
        "fifty times smaller",
        skipped=lacks,
    )
    add(
        "K-EN-BIO/n = 1: energy of an event, -0.02 V, against a biological synapse",
        small,
        film="1" if one else None,
        kind="calibrated",
        made_by="IonFilm",
        note="rests on the conductivity fitted to K-EN-18; 18 fJ at -1 V is above the biological 1-10 fJ that the "
        "paper calls comparable (I-13)",
        skipped=lacks,
    )
    exponents = {}
    for n in films:
        found = [t for a in AREAS_UM2 if (t := kept.get(f"n{n}-area_{a:g}um2")) is not None]
        if len(found) == len(AREAS_UM2):
            exponents[n] = float(stats.linregress(np.log(AREAS_UM2), np.log([event(t) for t in found])).slope)
    add(
        "K-EN-AREA/exponent of the energy in the area, film furthest from 1",
        max(exponents.values(), key=lambda v: abs(v - 1.0)) if exponents else None,
        kind="published",
        made_by="IonFilm",
        note="exact in a film of one dimension: every current is in proportion to the area",
    )
    add("K-EN-AREA/areas", ", ".join(f"{a:.0f}" for a in AREAS_UM2) + " um2", kind="published", made_by="job")
    if strong is not None:
        wave = traces.waveform_of(strong)
        spike_end = float(wave.time_s[np.argmax(np.abs(wave.voltage_V))] + synapse.SPIKE_S - 1e-6)
        add(
            "X-IV/n = 1: energy that the source delivers in one -1 V, 20 ms spike",
            plasticity.delivered_energy(strong, spike_end),
            made_by="IonFilm",
            note="from the rise to the end of the plateau, by the reports within it: 6 % below the integral; "
            "E = P I t is no dissipated energy",
        )
        at = float(wave.reads_s[0])
        ions, electrons = (
            float(np.interp(at, strong["time"].values, strong[k].values))
            for k in ("ionic_current", "electronic_current")
        )
        add(
            "X-ION/n = 1: current of the returning ions over that of the electrons, 1 ms after a spike",
            ions / electrons,
            made_by="IonFilm",
            note="negative: they flow back. An ammeter would read both; the paper's I is positive",
        )


def _update(add: Any, job: Campaign) -> None:
    trace = job.stages["update"].traces.get("n3-update")
    law = None if trace is None else plasticity.update(trace)
    skipped = "" if "3" in job.settings.films else "needs the film n = 3"
    fields = {
        "potentiation, R2 of the straight line": "r2_up",
        "depression, R2 of the straight line": "r2_down",
        "nonlinearity of potentiation": "nonlinearity_up",
        "nonlinearity of depression": "nonlinearity_down",
        "largest step of one spike, share of the range": "largest_step",
        "asymmetry": "asymmetry",
    }
    note = ""
    if law is not None:
        note = (
            f"furthest from the straight line: {law.deviation_up:.2f} (up), {law.deviation_down:.2f} (down) of the "
            f"range; largest over smallest weight {law.range:.3g}"
        )
    for name, field in fields.items():
        add(
            f"K-LTP-01/n = 3: {name}",
            None if law is None else float(getattr(law, field)),
            film="3" if not skipped else None,
            made_by="IonFilm, 20 spikes of -1 V and 20 of +1 V",
            note=note,
            skipped=skipped,
            stages=("update/n3-update",),
        )
    late = job.stages["update"].traces.get("n3-late")
    law = None if late is None else plasticity.update(late)
    note = ""
    if law is not None:
        note = (
            f"R2 {law.r2_up:.3f} up, {law.r2_down:.3f} down, asymmetry {law.asymmetry:.2f}; largest over smallest "
            f"weight {law.range:.3g}: the fast ions have gone back, so what is read is smaller and more even"
        )
    add(
        "K-LTP-01/n = 3: largest step of one spike, share of the range, read late",
        None if law is None else law.largest_step,
        film="3" if not skipped else None,
        made_by=f"IonFilm, read {reading(job.settings)['late']}",
        note=note,
        skipped=skipped,
        stages=("update/n3-late",),
    )


# -- digits -------------------------------------------------------------------------------------------------------

_SIZES = {"8 x 8": "", "28 x 28": "give the folder of MNIST's IDX files (--mnist) to try it"}


def networks(job: Campaign) -> list[dict[str, Any]]:
    """Accuracy, spikes and energy of every network that was trained.

    Parameters
    ----------
    job : Campaign

    Returns
    -------
    list of dict
        ``size``, ``case``, ``film``, ``read``, ``words``; ``test_percent``, ``spread_percent``, ``train_percent`` (%),
        ``history_percent`` by training and epoch, ``confusion`` (share of the digit); ``writes``, ``writes_most`` (of
        all devices and of the most used one) and ``energy_J`` (J), None where there are no devices.
    """
    data, words = job.stages["digits"].data, reading(job.settings)
    rows = []
    for size, made in data["runs"].items():
        for name, runs in made.items():
            case = data["cases"][name]
            film, _, read = case["curve"].partition("-")
            mean, spread = accuracy(runs)
            row = {
                "size": size,
                "case": name,
                "film": film.removeprefix("n") if read else "",
                "read": words.get(read, ""),
                "words": case["words"] or "as the job trains",
                "test_percent": mean,
                "spread_percent": spread,
                "train_percent": accuracy(runs, "train")[0],
                "history_percent": 100.0 * np.array([run["test"] for run in runs]),
                "confusion": np.mean([run["confusion"] for run in runs], axis=0),
                "writes_most": None,
                "writes": None,
                "energy_J": None,
            }
            if "writes" in runs[0]:
                row["writes_most"] = float(np.mean([run["writes"]["max"] for run in runs]))
                row["writes"] = float(np.mean([run["writes"]["total"] for run in runs]))
            if runs[0].get("energy_J") is not None:
                row["energy_J"] = float(np.mean([run["energy_J"] for run in runs]))
            rows.append(row)
    return rows


def curves(job: Campaign) -> dict[str, list[dict[str, Any]]]:
    """Figures of merit of every update curve, as parameters of a compact model: what the networks know of a film.

    Parameters
    ----------
    job : Campaign

    Returns
    -------
    dict of str to list of dict
        By trace of the update stage: ``name``, ``value``, ``unit``, ``kind`` and ``origin``.
    """
    units = {"delivered_J": "J"}
    return {
        name: [
            {
                "name": key,
                "value": value,
                "unit": units.get(key, "1"),
                "kind": "fitted",
                "origin": f"trace update/{name}",
            }
            for key, value in found.items()
        ]
        for name, found in job.stages["digits"].data["curves"].items()
    }


def _digits(add: Any, job: Campaign) -> None:
    data, words = job.stages["digits"].data, reading(job.settings)
    skipped = "" if "3" in job.settings.films else "needs the film n = 3"
    reads = {"update": "", "late": ", read late"}
    for size, absent in _SIZES.items():
        made = data["runs"].get(size, {})
        lacks = skipped or ("" if made else absent)
        frame = [
            f"{data['cases'][name]['words']} {accuracy(made[name])[0]:.1f} %"
            for name in ("float", "linear_20")
            if name in made
        ]
        for read, end in reads.items():
            runs = made.get(f"n3-{read}")
            mean, spread = (None, None) if runs is None else accuracy(runs)
            note = data["failures"].get(f"n3-{read}", "")
            if runs is not None:
                trained = f"{len(runs)} trainings of {len(runs[0]['test'])} epochs, read {words[read]}"
                own = f"of the training images {accuracy(runs, 'train')[0]:.1f} %"
                note = "; ".join([trained, own, *frame])
            add(
                f"K-DIG-01/handwritten digits, {size}{end}",
                mean,
                film=None if skipped else "3",
                uncertainty=spread,
                made_by="SynapticPerceptron on the update curve of n = 3",
                note=note,
                skipped=lacks,
                stages=("digits", f"update/n3-{read}"),
            )
    made = data["runs"].get("8 x 8", {})
    for name, key in (("float", "floating-point perceptron"), ("linear_20", "20 even steps")):
        mean, spread = accuracy(made[name])
        add(
            f"X-DIG/{key}, 8 x 8",
            mean,
            uncertainty=spread,
            made_by="DeltaRuleReadout" if name == "float" else "SynapticPerceptron",
            note="no film enters",
        )
    for read, end in reads.items():
        found = {n: accuracy(made[f"n{n}-{read}"]) for n in job.settings.films if f"n{n}-{read}" in made}
        whole = set(found) == set(TABLE_2)
        add(
            f"X-DIG/films by accuracy, 8 x 8{end}",
            _ordered({n: mean for n, (mean, _) in found.items()}) if whole else None,
            made_by="SynapticPerceptron",
            note=", ".join(f"{n}: {mean:.1f} ± {spread:.1f} %" for n, (mean, spread) in found.items()),
            skipped="" if whole else "needs all six films",
            stages=("digits", f"update/n*-{read}"),
        )
        _cost(add, made.get(f"n3-{read}"), data["curves"].get(f"n3-{read}"), read, end, skipped)


def _cost(add: Any, runs: list[dict[str, Any]] | None, curve: Any, read: str, end: str, skipped: str) -> None:
    """What a training asks of the synapses, and how far the curve is from the film."""
    energy, most, total = None, None, 0.0
    if runs is not None:
        energy, most, total = (
            float(np.mean([run["energy_J"] if key == "energy" else run["writes"][key] for run in runs]))
            for key in ("energy", "max", "total")
        )
    details: dict[str, Any] = {"film": None if skipped else "3", "skipped": skipped}
    from_both: dict[str, Any] = {**details, "made_by": "SynapticPerceptron", "stages": ("digits", f"update/n3-{read}")}
    add(f"X-DIG/spikes of the most used synapse, 8 x 8{end}", most, note="mean of the trainings", **from_both)
    note = ""
    if curve is not None:
        note = (
            f"E = P I t of {total:.3g} spikes; the source delivers about {total * curve['delivered_J']:.2g} J, by the "
            "mean spike of the curve"
        )
    add(f"X-DIG/energy of a training, 8 x 8{end}", energy, note=note, **from_both)
    add(
        f"X-DIG/error of the curve for spikes of any order{end}",
        None if curve is None else curve["mixed_error"],
        made_by="UpdateCurve against IonFilm",
        note="rms over the range, 60 spikes of random sign: a film has a hidden state, a curve has none",
        stages=(f"update/n3-{read}", "update/n3-mixed" + ("_late" if read == "late" else "")),
        **details,
    )


def references(job: Campaign) -> list[str]:
    """References that the job rests on, one a line.

    Parameters
    ----------
    job : Campaign

    Returns
    -------
    list of str
    """
    made: list[Any] = [*job.devices, "Kim2019"]
    made += [t for result in job.stages.values() for t in result.traces.values() if "sources" in t.attrs]
    made += [key for row in job.stages["barriers"].data["rows"] for key in row["sources"]]
    return citations(*made).splitlines()
