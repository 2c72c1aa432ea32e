"""The quantities of a finished job beside the paper's: what was found, how sure, hit or miss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from ...compact import characterise
from ...physics import trace as traces
from ...physics.citations import citations
from ...physics.constants import BOLTZMANN_EV_K
from ...physics.device import Device
from ...physics.errors import InputError
from ..stages import Result
from .targets import quantity

__all__ = ["growth", "icc_law", "programmed", "quantities", "references", "relaxed", "worst_class"]

_MEDIAN = math.sqrt(math.pi / 2.0)  # standard error of a median over that of a mean, normal law


def _median(values: list[float]) -> tuple[float | None, float | None]:
    """Median and its standard error."""
    if not values:
        return None, None
    array = np.array(values, dtype=float)
    error = _MEDIAN * float(array.std(ddof=1)) / math.sqrt(array.size) if array.size > 1 else None
    return float(np.median(array)), error


def _each(trace: xr.Dataset | None, measure: Callable[[xr.Dataset], float]) -> list[float]:
    """A figure of merit of every run that has one."""
    values = []
    for _, run in characterise.runs(trace) if trace is not None else ():
        try:
            values.append(float(measure(run)))
        except InputError:
            continue  # a run without the event counts as such at the caller, by the number of values
    return values


def _levels(trace: xr.Dataset) -> tuple[float, float]:
    """OFF conductance, and the one that 1 uA holds ON at the end of a pulse, S."""
    off = float(trace["conductance"].isel(time=0).median())
    driven = trace["conductance"].values[..., trace["voltage"].values > 0]
    return off, float(np.exp(np.quantile(np.log(driven), 0.9)))


def relaxed(trace: xr.Dataset, *, level: float = math.exp(-1.0)) -> tuple[float | None, float | None, int, int]:
    """Median time, s, after which ln G has fallen to a share `level` of its way from OFF to ON.

    Parameters
    ----------
    trace : Dataset
        With any dimensions besides time.
    level : float, 1, in (0, 1)
        1/e gives the time constant of an exponential relaxation of ln G.

    Returns
    -------
    median, standard_error : float or None, s
        Of all relaxations, one that outlasts its rest standing as longer than that.
    relaxations, censored : int
    """
    off, on = _levels(trace)
    found = [
        r for _, run in characterise.runs(trace) for r in characterise.relaxations(run, level=level, off_S=off, on_S=on)
    ]
    censored = sum(r.censored for r in found)
    if not found or censored >= 0.5 * len(found):
        return None, None, len(found), censored
    times = np.sort([math.inf if r.censored else r.time_s for r in found])
    # order statistics: the interval that holds the median with one sigma
    half = 0.5 * math.sqrt(times.size)
    low, high = (int(np.clip(round(0.5 * times.size + sign * half), 0, times.size - 1)) for sign in (-1, 1))
    error = 0.5 * (times[high] - times[low])
    return float(np.median(times)), float(error) if math.isfinite(error) else None, len(found), censored


def programmed(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Compliance currents, A, and LRS conductances at 0.1 V, S, of the loops of a stage.

    Parameters
    ----------
    result : Result
        Its traces named ``loop_...A`` and ``set_...A`` after their compliance count.
    """
    currents, conductances = [], []
    for name, trace in result.traces.items():
        if name.startswith(("loop_", "set_")) and name != "set_gold":
            for value in _each(trace, characterise.lrs_conductance):
                currents.append(float(name.split("_")[1].removesuffix("A")))
                conductances.append(value)
    order = np.argsort(currents, kind="stable")
    return np.array(currents)[order], np.array(conductances)[order]


def icc_law(currents: np.ndarray, conductances: np.ndarray) -> dict[str, float]:
    """Straight line and power law through conductance against compliance.

    Parameters
    ----------
    currents : array, shape (n,), A, > 0
        Compliance currents.
    conductances : array, shape (n,), S, > 0

    Returns
    -------
    dict
        ``slope_1_V`` (1/V), ``intercept_S`` (S) and ``r2`` (1) of the line; ``exponent`` and its standard error
        ``exponent_error`` (1) of the power law.
    """
    line = stats.linregress(currents, conductances)
    power = stats.linregress(np.log(currents), np.log(conductances))
    return {
        "slope_1_V": float(line.slope),
        "intercept_S": float(line.intercept),
        "r2": float(line.rvalue**2),
        "exponent": float(power.slope),
        "exponent_error": float(power.stderr),
    }


def growth(result: Result, cell: Any) -> tuple[dict[float, list[float]], dict[float, float]]:
    """Times to SET of the pulse series, s, by amplitude, V: every one seen, and those of the fitted model.

    Parameters
    ----------
    result : Result
        Its traces named ``pulses_...V`` after their amplitude count.
    cell : Volatile
        Also gives the OFF and ON conductance between which half way (in ln G) is a SET.
    """
    off, on = cell.value("conductance_off_S"), cell.value("conductance_on_S")
    seen: dict[float, list[float]] = {}
    model: dict[float, float] = {}
    for name, trace in result.traces.items():
        if not name.startswith("pulses_"):
            continue
        volts = float(name.removeprefix("pulses_").removesuffix("V"))
        measured = [s for _, run in characterise.runs(trace) for s in characterise.set_times(run, off_S=off, on_S=on)]
        seen[volts] = [s.time_s for s in measured if not s.censored]
        [first, *_] = characterise.set_times(cell.simulate(traces.waveform_of(trace)), off_S=off, on_S=on)
        if not first.censored:
            model[volts] = first.time_s
    return seen, model


def _rise(trace: xr.Dataset | None) -> float | None:
    """Largest conductance of any run over its first."""
    if trace is None:
        return None
    first = trace["conductance"].isel(time=0)
    return float((trace["conductance"] / first).max())


def _onset(trace: xr.Dataset | None) -> str:
    """Where a device that should not switch does."""
    volts = _each(trace, characterise.set_voltage)
    return f"it switches from {min(volts):.1f} V on" if volts else ""


def _peaks(trace: xr.Dataset) -> np.ndarray:
    """Conductance at the end of each pulse, S."""
    voltage, conductance = trace["voltage"].values, trace["conductance"].values
    high = voltage > 0.5 * voltage.max()
    ends = np.flatnonzero(high & ~np.append(high[1:], False))
    return conductance[ends]


def quantities(
    stages: Mapping[str, Result], settings: Any, device: Device, cell: Any, synapse: Any
) -> list[dict[str, Any]]:
    """Every quantity that the job answers, in the order of the table.

    Parameters
    ----------
    stages : mapping of str to Result
        Every stage of the job.
    settings : Settings
    device : Device
    cell : Volatile
        The reservoir's.
    synapse : NonVolatile
        The readout's.

    Returns
    -------
    list of dict
        As :func:`halidrift.pipeline.targets.quantity` makes them.
    """
    rows: list[dict[str, Any]] = []

    def add(key: str, value: Any, **details: Any) -> None:
        rows.append(quantity(key, value, device=device, **details))

    def of(*names: str) -> Any:
        """`add` for rows that are read off these stages, unless a row names its own."""
        return partial(add, stages=names)

    _inputs(of("reservoir"), stages, settings, device)
    _volatile(of("kmc_volatile"), stages["kmc_volatile"], settings, cell)
    _nonvolatile(add, stages, settings)
    _memory(of("reservoir"), stages["reservoir"])
    _network(of("readouts"), stages["readouts"], synapse)
    _unstated(of("conventions"), stages["conventions"], synapse)
    return rows


def _inputs(add: Any, stages: Mapping[str, Result], settings: Any, device: Device) -> None:
    film = device.film.thickness
    add("J-STACK-01/thickness of the CsPbBr3 film", film.value, kind=film.kind, made_by="device card", stages=())
    hop = device["hop_barrier_eV"]
    add(
        "X-HOP/migration barrier of Ag+",
        hop.value,
        kind=hop.kind,
        made_by="database",
        note=f"{hop.origin}; {hop.note}",
        stages=("barriers",),
    )
    task = stages["reservoir"].data["task"]
    full = settings.per_class == 4975
    add(
        "J-RC-02/patterns of each class",
        float(settings.per_class),
        kind="published" if full else "assumed",
        made_by="FiringPatterns",
        note="" if full else "a quick run: --per-class was given",
    )
    add("J-RC-01/virtual nodes", float(stages["reservoir"].data["nodes"]), kind="published", made_by="Reservoir")
    add(
        "J-RC-04/width of a spike",
        task["spike_width_s"],
        kind="assumed",
        made_by="FiringPatterns",
        note="the paper prints both 20 ms and 25 ms; 20 ms write + 5 ms read would reconcile them",
    )


def _volatile(add: Any, kmc: Result, settings: Any, cell: Any) -> None:
    t = kmc.traces
    value, error = _median(_each(t["sweep"], characterise.set_voltage))
    add("J-DIFF-02/set voltage, volatile", value, uncertainty=error, made_by="KMC, 0-2-0 V at 1 V/s, 1 uA")
    value, error = _median(_each(t["sweep"], lambda run: characterise.on_off(run).power))
    add(
        "J-DIFF-02/on/off, volatile: I(2 V) / I(0.1 V)",
        value,
        uncertainty=error,
        made_by="KMC, 0-2-0 V at 1 V/s, 1 uA",
        note="the compliance fixes I(2 V), so this is the leakage read at 0.1 V",
    )
    add(
        "J-DIFF-04/rise of the conductance under reverse bias",
        _rise(t["reverse"]),
        made_by="KMC, 0 to -2 V at 1 V/s, 1 uA",
    )
    main = t["pulses_1V"]
    value, error, count, censored = relaxed(main)
    note = f"median of {count} relaxations" + (f", {censored} of which outlast the rest" if censored else "")
    add(
        "J-DIFF-08/relaxation time after 1 V, 20 ms", value, uncertainty=error, made_by="KMC, to 1/e of ln G", note=note
    )
    tau = cell.parameters["relaxation_time_s"]
    add(
        "J-DIFF-10/short-term memory",
        tau.value,
        uncertainty=tau.standard_error,
        made_by="compact model fitted to KMC",
        stages=("compact",),
        note="relaxation time of the fitted model",
    )
    value, error, count, censored = relaxed(main, level=0.05)
    add(
        "J-DIFF-09/memory horizon",
        value,
        uncertainty=error,
        kind="calibrated",
        made_by="KMC, to 5 % of ln G",
        note=f"median of {count} rests; follows closely from the relaxation time, which was calibrated",
    )
    off, on = _levels(main)
    set_s: dict[float, list[float]] = {}
    for _, run in characterise.runs(main):
        for event in characterise.set_times(run, off_S=off, on_S=on):
            set_s.setdefault(round(event.start_s, 3), []).append(math.inf if event.censored else event.time_s)
    (first, *_), (second, *_) = (np.quantile(set_s[start], [0.5]) for start in sorted(set_s)[:2])
    add(
        "J-DIFF-09/set time of a pulse 100 ms after another, over that of the first",
        float(second / first) if np.isfinite([first, second]).all() else None,
        kind="calibrated",
        made_by="KMC, 1 V, 20 ms pulses",
        note=f"medians {first:.2g} and {second:.2g} s: the stub that a filament leaves shortens the next growth, "
        "although it conducts nothing; matrix_penalty_eV was chosen for less of it",
    )
    levels = {
        float(name.removeprefix("pulses_").removesuffix("V")): float(
            np.median([np.median(_peaks(run)) for _, run in characterise.runs(trace)])
        )
        for name, trace in t.items()
        if name.startswith("pulses_")
    }
    volts = sorted(levels)
    rank = float(stats.spearmanr(volts, [levels[v] for v in volts]).statistic) if len(volts) > 2 else None
    add(
        "J-DIFF-11/conductance after a pulse against its amplitude: rank correlation",
        rank,
        made_by="KMC, 20 ms pulses",
        note=", ".join(f"{v:g} V: {levels[v]:.2g} S" for v in volts),
    )
    if "rest_harder" in t:
        soft, hard = relaxed(t["rest"]), relaxed(t["rest_harder"])
        ratio = hard[0] / soft[0] if soft[0] and hard[0] else None
        error = None
        if ratio and soft[1] and hard[1] and soft[0] and hard[0]:
            error = ratio * math.hypot(soft[1] / soft[0], hard[1] / hard[0])
        ideal = math.exp(0.05 / (BOLTZMANN_EV_K * settings.temperature_K))
        add(
            "X-DISS/relaxation time with 0.05 eV more dissolution barrier, over that without",
            ratio,
            uncertainty=error,
            made_by="KMC, 1 V, 100 ms pulses and 0.6 s of rest",
            note=f"{soft[2]} and {hard[2]} relaxations; one event alone would give {ideal:.1f}. The pulses are "
            "long enough for both to grow: the costlier ion also slows growth; after 20 ms its filament is thinner",
        )


def _nonvolatile(add: Any, stages: Mapping[str, Result], settings: Any) -> None:
    kmc, fem = stages["kmc_nonvolatile"], stages["fem"]
    top = f"loop_{settings.compliances_A[-1]:g}A"
    failed = {**{f"kmc {k}": v for k, v in kmc.data["failures"].items()}}
    failed |= {f"fem {k}": v for k, v in fem.data["failures"].items()}
    for name, result in (("kmc", kmc), ("fem", fem)):
        loop, text = result.traces.get(top), failed.get(f"{name} {top}", "")
        stage = "kmc_nonvolatile" if name == "kmc" else "fem"
        who = f"{'KMC' if name == 'kmc' else 'continuum'}, 0/+5/0/-7/0 V at 1 V/s, 1 mA"
        value, error = _median(_each(loop, characterise.set_voltage))
        # the growth that ends in a SET is over before the compliance acts
        parent = "charge_transfer_barrier_eV" if name == "kmc" else "mean_field_channel_radius_m"
        add(
            "J-DRIFT-03/set voltage, non-volatile",
            value,
            kind="calibrated",
            uncertainty=error,
            made_by=who,
            note=text or f"{parent} fitted to the set voltage of this model",
            stages=(stage,),
        )
        value, error = _median(_each(loop, lambda run: characterise.on_off(run).read))
        add(
            "J-DRIFT-02/on/off, non-volatile, at 0.1 V",
            value,
            kind="calibrated",
            uncertainty=error,
            made_by=who,
            note=text or "OFF is leakage_S, which was fitted to the volatile on/off; only ON is predicted",
            stages=(stage,),
        )
        left = _each(loop, lambda run: characterise.lrs_conductance(run) / float(run["conductance"].isel(time=-1)))
        value, error = _median(left)
        threshold, _ = _median(_each(loop, characterise.reset_voltage))
        note = text or ("no RESET" if threshold is None else f"half of the conductance is gone at {threshold:.2f} V")
        key = "J-DRIFT-05/on/off after the erase of 0 to -7 V"
        add(key, value, uncertainty=error, made_by=who, note=note, stages=(stage,))
    kept = kmc.traces.get("retention")
    value = None
    if kept is not None:
        start = float(kept["conductance"].where(kept["time"] >= 6.5e-3, drop=True).isel(time=0).mean())
        value = float(kept["conductance"].isel(time=-1).mean()) / start
    add(
        "J-DRIFT-03/retention: share of the conductance left",
        value,
        kind="predicted",
        made_by=f"KMC, held at 0.1 V for {settings.retention_s:.0e} s",
        note=failed.get("kmc retention", "one filament written by 5 V, 5 ms at 1 mA"),
        stages=("kmc_nonvolatile",),
    )
    soft = stages["kmc_volatile"].traces["snapshot"]["metal_atoms"].isel(time=-1)
    hard = kmc.traces.get("write")
    ratio = None if hard is None else float(hard["metal_atoms"].isel(time=-1).mean() / soft.mean())
    add(
        "J-DRIFT-06/filament atoms at 1 mA over those at 1 uA",
        ratio,
        made_by="KMC",
        note=failed.get("kmc write", "after 5 V, 5 ms and after 1 V, 20 ms"),
        stages=("kmc_volatile", "kmc_nonvolatile"),
    )
    add(
        "J-DRIFT-07/Au electrode: rise of the conductance",
        _rise(stages["kmc_volatile"].traces["sweep_gold"]),
        made_by="KMC, 0-2-0 V at 1 V/s, 1 uA",
        stages=("kmc_volatile",),
    )
    add(
        "J-DRIFT-07/Au electrode: rise of the conductance",
        _rise(kmc.traces.get("write_gold")),
        made_by="KMC, one write of 5 V, 5 ms",
        note=failed.get("kmc write_gold", _onset(kmc.traces.get("write_gold"))),
        stages=("kmc_nonvolatile",),
    )
    add(
        "J-DRIFT-07/Au electrode: rise of the conductance",
        _rise(fem.traces.get("set_gold")),
        made_by="continuum, 0/+5/0 V at 1 V/s, 1 mA",
        note=failed.get("fem set_gold", ""),
        stages=("fem",),
    )
    for name, stage, result in (("KMC", "kmc_nonvolatile", kmc), ("continuum", "fem", fem)):
        currents, conductances = programmed(result)
        lost = {k: v for k, v in result.data["failures"].items() if k.startswith(("loop_", "set_")) and k != "set_gold"}
        text = "; ".join(f"{k}: {v}" for k, v in lost.items())
        if np.unique(currents).size < 3:
            law: dict[str, float | None] = {"exponent": None, "exponent_error": None, "r2": None}
        else:
            law = {**icc_law(currents, conductances)}
            text = "; ".join(filter(None, [f"G = {law['slope_1_V']:.3g}/V Icc + {law['intercept_S']:.2g} S", text]))
        note = f"{currents.size} sweeps; {text}"
        add(
            "J-ICC-01/Icc to G: exponent (1 is proportional)",
            law["exponent"],
            uncertainty=law["exponent_error"],
            made_by=name,
            note=note,
            stages=(stage,),
        )
        key = "J-ICC-01/Icc to G: R2 of the straight line"
        add(key, law["r2"], made_by=name, note=note, stages=(stage,))


def _memory(add: Any, reservoir: Result) -> None:
    task = reservoir.data["task"]
    peaks = _peaks(reservoir.traces["pattern_bursting"])
    size = task["spikes_per_burst"]
    first = peaks[: size * (peaks.size // size)].reshape(-1, size)
    ratio = float(np.exp(np.mean(np.log(first[:, -1] / first[:, 0])))) if first.size else None
    add("J-DIFF-12/bursting: accumulation, peak of a group's last spike over its first", ratio, made_by="compact model")
    peaks = _peaks(reservoir.traces["pattern_tonic"])
    add(
        "J-DIFF-12/tonic: accumulation, peak of the last spike over the first",
        float(peaks[-1] / peaks[0]) if peaks.size else None,
        made_by="compact model",
    )


def _network(add: Any, readouts: Result, synapse: Any) -> None:
    d, c = readouts.data, readouts.data["classes"]
    tests = d["icc"][0]["test_patterns"]

    def percent(rule: str, name: str) -> tuple[float, float]:
        values = 100.0 * np.array([run[name] for run in d[rule]])
        mean = float(values.mean())
        spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
        share = min(max(mean / 100.0, 1e-9), 1 - 1e-9)
        counting = 100.0 * math.sqrt(share * (1 - share) / tests) if name == "test_accuracy" else 0.0
        return mean, max(spread, counting)

    note = f"mean of {len(d['icc'])} trainings, {tests} test patterns; no fit knows it"
    low, high = d["bounds_S"]
    own = f"{note}; targets clipped to {1e3 * low:.3g}-{1e3 * high:.3g} mS"
    train, train_error = percent("icc", "train_accuracy")
    test, test_error = percent("icc", "test_accuracy")
    add("J-NN-07/Icc readout: training accuracy", train, uncertainty=train_error, made_by="IccReadout", note=own)
    add("J-NN-07/Icc readout: test accuracy", test, uncertainty=test_error, made_by="IccReadout", note=own)
    add(
        "J-NN-10/Icc readout: training minus test accuracy",
        train - test,
        uncertainty=math.hypot(train_error, test_error),
        made_by="IccReadout",
    )
    value, error = percent("delta", "test_accuracy")
    add(
        "J-NN-08/floating-point readout: test accuracy", value, uncertainty=error, made_by="DeltaRuleReadout", note=note
    )
    each = np.array([np.diag(run["confusion"]) for run in d["icc"]])
    own_shares, worst = each.mean(axis=0), worst_class(each, c, tests / len(c))
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(c, own_shares, strict=True))
    add("J-NN-09/worst class", worst, made_by="IccReadout", note=shares)
    writes = float(np.mean([run["writes"]["max"] for run in d["icc"]]))
    add(
        "X-WRITES/writes of the most used readout cell in training",
        writes,
        made_by="IccReadout",
        note="one programming of both cells of each pair for each pattern and epoch, without a threshold",
    )
    reach = synapse.conductance_bounds_S[1]
    top = synapse.value("compliance_high_A")
    add(
        "J-NN-05/largest programmable conductance",
        reach,
        kind="assumed",
        made_by="compact model",
        note=f"at {top:.1e} A; series_resistance_ohm is assumed within the bound that 3.5 mS sets",
        stages=("compact",),
    )
    spread = synapse.value("conductance_spread_S") + synapse.value("conductance_spread_slope_1_V") * top
    key = "J-ICC-02/spread of a programmed conductance at 1 mA"
    add(key, spread, made_by="compact model", stages=("compact",))


def _unstated(add: Any, conventions: Result, synapse: Any) -> None:
    """What the conditions that the text leaves open do to the accuracy."""
    lines, needed = conventions.data["lines"], conventions.data["needed"]
    for key, name in (
        ("X-SILENT/floating-point readout: test accuracy without any noise", "silent"),
        ("X-MEMORY/floating-point readout: test accuracy of a device that forgets within 10 us", "memoryless"),
    ):
        line = lines[name]
        note = line.get("failed") or f"{line['why']}; {line['trainings']} trainings, {line['test_patterns']} patterns"
        add(
            key, line.get("accuracy"), uncertainty=line.get("error"), kind="predicted", made_by="conventions", note=note
        )
    for who, name in (("floating-point readout", "chance"), ("Icc readout", "icc-chance")):
        line = lines[name]
        key = f"X-CHANCE/{who} on shuffled labels: deviation from 25 %, in standard errors of one test set"
        value, note = None, line.get("failed", "")
        if not note:
            value = (line["accuracy"] - 25.0) / (100.0 * math.sqrt(0.25 * 0.75 / line["test_patterns"]))
            note = (
                f"{line['accuracy']:.2f} %, mean of {line['trainings']} trainings on {line['test_patterns']} patterns"
            )
        add(key, value, kind="predicted", made_by="conventions", note=note)
    for rule, key in (
        ("delta", "X-CONV/conventions that give the floating-point accuracy within 2 points"),
        ("icc", "X-CONV/conventions that give the Icc accuracy within 2 points"),
    ):
        near = {
            name: line
            for name, line in lines.items()
            if line["rule"] == rule and line.get("difference") is not None and abs(line["difference"]) <= 2.0
        }
        note = "; ".join(f"{line['words']}: {line['accuracy']:.1f} %" for line in near.values())
        add(key, ", ".join(near) or "none", kind="predicted", made_by="conventions", note=note)
    tried = ", ".join(f"{x:g}: {y:.1f} %" for x, y in needed["additive"])
    add(
        "X-NOISE/additive read noise that 91.8 % would take, over the deviation of the states",
        needed["read_noise"],
        kind="predicted",
        made_by="DeltaRuleReadout",
        note=f"one training each; {tried}",
    )
    tried = ", ".join(f"{x:g}: {y:.1f} %" for x, y in needed["spreads"]) or "not tried: no read noise gives 91.8 %"
    top = synapse.conductance_bounds_S[1]
    own = float(synapse.write_spread_S(top)) / top
    add(
        "X-SPREAD/spread of a write over its target that 85.14 % would take then",
        needed["write_spread"],
        kind="predicted",
        made_by="IccReadout",
        note=f"with that read noise; {tried}; KMC gives {own:.2g} at {1e3 * top:.2g} mS",
    )


def worst_class(shares: np.ndarray, classes: Sequence[str], patterns: float) -> str | None:
    """The class that is recognised least, if it is so by more than the standard error of the difference to the next.

    Parameters
    ----------
    shares : array, shape (trainings, classes), 1
        Of the patterns of a class that were recognised.
    classes : sequence of str
    patterns : float
        Test patterns of a class. Those of one test set count: the sets of several trainings overlap.
    """
    mean = shares.mean(axis=0)
    first, second = np.argsort(mean, kind="stable")[:2]
    counting = math.sqrt(sum(max(mean[k] * (1.0 - mean[k]), 1e-12) for k in (first, second)) / patterns)
    # where writes err at random, classes change places from training to training
    scatter = (shares[:, second] - shares[:, first]).std(ddof=1) / math.sqrt(len(shares)) if len(shares) > 1 else 0.0
    return classes[first] if mean[second] - mean[first] > max(counting, float(scatter)) else None


def references(stages: Mapping[str, Result], device: Device, cell: Any, synapse: Any) -> list[str]:
    """References that the job rests on, one a line.

    Parameters
    ----------
    stages : mapping of str to Result
        Their traces name sources, and so do the rows of the stage ``barriers``.
    device : Device
    cell : Volatile
    synapse : NonVolatile

    Returns
    -------
    list of str
    """
    made: list[Any] = [device, cell, synapse, "John2022"]
    made += [t for result in stages.values() for t in result.traces.values() if "sources" in t.attrs]
    made += [key for row in stages["barriers"].data["rows"] for key in row["sources"]]
    return citations(*made).splitlines()
