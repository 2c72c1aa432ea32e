"""Fit of :class:`NonVolatile`; the method is described at :func:`halidrift.compact.fit`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import lmfit
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..physics.errors import InputError
from . import laws
from .characterise import lrs_conductance, reset_voltage, set_voltage
from .characterise.pieces import crossing
from .ensembles import Ensemble
from .likelihood import lack_of_fit, repeat_spread
from .noise import read_noise
from .nonvolatile import NonVolatile
from .parameters import FittedParameter, ParameterTable

__all__ = ["fit_nonvolatile"]

_READ_V = 0.1  # John et al., Methods: read voltage of the non-volatile mode
_FRESH = math.log(2.0)  # difference of ln G between fresh and OFF that is none of scatter
_UNLIKELY = 1e-3  # probability below which means do not lie on a line by chance
_ONE_SIGMA = 0.6827  # interval of one standard error
_MEDIAN_FACTOR = math.sqrt(math.pi / 2.0)  # standard error of a median over that of a mean, normal law


@dataclass(frozen=True)
class _Loop:
    """What one sweep tells."""

    name: str
    compliance_A: float
    set_V: float
    lrs_S: float
    reads: int  # instants that went into it
    fresh_S: float
    off_S: float  # nan without a RESET
    off_reads: int
    reset_V: float  # where half of the fall of ln G is done
    reset_width_V: float


def _loop(ensemble: Ensemble, run: xr.Dataset) -> _Loop | None:
    """Figures of one run; None if it holds no SET."""
    try:
        V_set = set_voltage(run)
        G, reads = _lrs(run)
    except InputError:
        return None
    conductance, voltage = run["conductance"].values, ensemble.voltage_V
    rising = np.flatnonzero((voltage >= V_set) & (conductance > 10 * conductance[0]))
    limit = float(ensemble.waveform.compliance_at(ensemble.time_s[rising[0]]))
    V_reset, width = _reset(run, voltage, np.log(conductance))
    after, off_reads = _off(voltage, conductance, V_reset, width)
    return _Loop(ensemble.name, limit, V_set, G, reads, float(conductance[0]), after, off_reads, V_reset, width)


def _off(
    voltage: NDArray[np.float64], conductance: NDArray[np.float64], V_reset: float, width: float
) -> tuple[float, int]:
    """What a RESET leaves, and how many reads that is the median of; nan without one.

    Read where the RESET is complete, until the voltage returns: what is left of a filament may shrink at rest. A device
    that was never reset tells only how it was when fresh.
    """
    if math.isnan(V_reset) or voltage[-1] > 0:
        return math.nan, 0
    done = np.flatnonzero(voltage < V_reset - (0.0 if math.isnan(width) else 0.5 * width))
    if done.size < 3:
        return float(conductance[-1]), 1
    return float(np.exp(np.median(np.log(np.maximum(conductance[done], 1e-300))))), int(done.size)


def _reset(run: xr.Dataset, voltage: NDArray[np.float64], ln_g: NDArray[np.float64]) -> tuple[float, float]:
    """Middle and width of the ramp of ln G through the quarters of its fall; nan without a RESET.

    The quarters, since the ends say little: a filament thins a little before it breaks, and loses an atom long after.
    """
    negative = np.flatnonzero(voltage < 0)
    try:
        crossed = reset_voltage(run)
    except InputError:
        return math.nan, math.nan
    first = int(negative[0])
    away = np.flatnonzero(np.diff(voltage[first:]) > 0)
    branch = slice(first, first + int(away[0]) + 1 if away.size else voltage.size)
    v, fall = voltage[branch], ln_g[first] - ln_g[branch]
    if v.size < 2 or fall[-1] < math.log(2.0):
        return crossed, math.nan
    V_25, V_75 = (
        crossing(v, fall, int(np.argmax(fall >= share * fall[-1])), share * float(fall[-1])) for share in (0.25, 0.75)
    )
    middle, width = 0.5 * (V_25 + V_75), 2.0 * (V_25 - V_75)
    if width <= 1.5 * float(np.abs(np.diff(v)).max()):  # between two samples: abrupt as far as one can see
        width = 0.0
    return middle, width


def _lrs(run: xr.Dataset) -> tuple[float, int]:
    """LRS conductance and how many reads around the read voltage it is the geometric mean of."""
    G = lrs_conductance(run, read_V=_READ_V)
    voltage, conductance = run["voltage"].values, run["conductance"].values
    positive = np.flatnonzero(voltage > 0)
    ends = np.flatnonzero(voltage[positive[0] :] <= 0)
    stop = int(positive[0] + ends[0]) if ends.size else voltage.size
    top = int(positive[0] + np.argmax(voltage[positive[0] : stop]))
    near = np.flatnonzero(np.abs(voltage[top:stop] - _READ_V) <= 0.5 * _READ_V) + top
    if near.size < 3:
        return G, 1
    return float(np.exp(np.log(np.maximum(conductance[near], 1e-300)).mean())), int(near.size)


def _median_error(values: NDArray[np.float64]) -> float:
    """Standard error of the median."""
    return _MEDIAN_FACTOR * float(values.std(ddof=1)) / math.sqrt(values.size)


def _is_retention(ensemble: Ensemble, set_V: float) -> bool:
    """Whether a stimulus only rests or reads, so that its conductance shows drift."""
    return float(np.abs(ensemble.voltage_V).max()) < 0.5 * set_V


def fit_nonvolatile(
    ensembles: list[Ensemble], fixed: dict[str, float], start: dict[str, float], sources: tuple[str, ...]
) -> NonVolatile:
    """Fit the non-volatile model; see :func:`halidrift.compact.fit`.

    Parameters
    ----------
    ensembles : list of Ensemble
        Loops with a SET under a finite compliance.
    fixed : dict of str to float
        Parameters that are not fitted, in the units of the model.
    start : dict of str to float
        Starting values of slope and intercept of the conductance against the compliance; others are not used.
    sources : tuple of str
        Bib keys of the traces.

    Raises
    ------
    InputError
        If no sweep shows a SET, or one has no compliance.
    """
    loops = [loop for e in ensembles for run in e.members if (loop := _loop(e, run)) is not None]
    if not loops:
        spans = [float(np.ptp(e.ln_conductance)) for e in ensembles]
        raise InputError(
            "No SET in the traces: looked for sweeps whose conductance rises tenfold at positive voltage and that "
            f"return through {_READ_V:g} V",
            got=f"rises by at most {math.exp(max(spans)):.3g}",
            action="Sweep to a higher voltage, from zero and back",
        )
    warnings: list[str] = []
    I = np.array([loop.compliance_A for loop in loops])  # noqa: E741 - the current
    G = np.array([loop.lrs_S for loop in loops])
    if not np.isfinite(I).all():
        raise InputError(
            "A SET without compliance cannot enter the relation of conductance to compliance",
            got=f"{int((~np.isfinite(I)).sum())} of {I.size} sweeps",
            action="Drop those sweeps, or give them the compliance of the instrument",
        )
    entries: dict[str, FittedParameter] = {}
    noise = read_noise(ensembles)
    entries["read_noise"] = noise

    def put(
        name: str, value: float, error: float | None, origin: str, *, kind: str = "fitted", warning: str = ""
    ) -> None:
        if error is not None and not math.isfinite(error):
            error = None
        entries[name] = FittedParameter(
            name, float(value), NonVolatile.QUANTITIES[name].unit, error, kind, origin, warning
        )

    currents, counts = np.unique(I, return_counts=True)
    repeated = bool((counts > 1).any()) and I.size >= 4
    spreads = repeated and I.size >= currents.size + 2
    text = f"{I.size} sweeps at {currents.size} compliances, {currents[0]:.3g} to {currents[-1]:.3g} A"
    # without repeats the spread is unknown; taken in proportion to the compliance, or the largest would decide alone
    sigma = I * (G.max() / I.max())
    if spreads and currents.size > 1:
        read = noise.value * G / np.sqrt([loop.reads for loop in loops])
        estimate = repeat_spread(I, G, read)
        sigma = np.hypot(estimate.values[0] + estimate.values[1] * I, read)
        note = estimate.warning
        put(
            "conductance_spread_S", max(estimate.values[0], 0.0), float(estimate.standard_errors[0]), text, warning=note
        )
        put(
            "conductance_spread_slope_1_V",
            max(estimate.values[1], 0.0),
            float(estimate.standard_errors[1]),
            text,
            warning=note,
        )
        if note:
            warnings.append(f"spread of the programmed conductance: {note}")
    elif spreads:
        spread = float(G.std(ddof=1))
        put("conductance_spread_S", spread, spread / math.sqrt(2.0 * (G.size - 1)), text)
    else:
        few = "no compliance was" if int(counts.max()) == 1 else "too few compliances were"
        warnings.append(f"spread of the programmed conductance: {few} measured twice, so not estimated")
    _regress(I, G, sigma, fixed, start, put, text, warnings)
    line = [
        entries[name].value if name in entries else fixed[name]
        for name in ("conductance_slope_1_V", "conductance_intercept_S")
    ]
    chance, farthest = lack_of_fit(I, G, laws.programmed_conductance(I, *line), sigma)
    if spreads and chance < _UNLIKELY:
        warnings.append(
            f"conductance_slope_1_V: the conductance is not linear in the compliance (p = {chance:.1g}), means lie up "
            f"to {farthest:.0%} off the line; the spread is that of repeats and does not hold this"
        )
    put("compliance_low_A", currents[0], None, "smallest compliance of the sweeps", kind="fixed")
    put("compliance_high_A", currents[-1], None, "largest compliance of the sweeps", kind="fixed")

    fresh = np.log([loop.fresh_S for loop in loops])
    offs = np.log([loop.off_S for loop in loops if math.isfinite(loop.off_S)])
    where = f"beyond the RESET of {offs.size} sweeps"
    once = [loop.off_reads for loop in loops if math.isfinite(loop.off_S)]
    if not offs.size:
        once = [1] * fresh.size
        offs, where = fresh, f"first instant of {fresh.size} sweeps, none of which ends after a RESET"
    elif abs(float(np.median(fresh) - np.median(offs))) > max(
        _FRESH, 2.0 * math.hypot(*(_median_error(v) if v.size > 1 else 0.0 for v in (fresh, offs)))
    ):
        G_fresh = math.exp(float(np.median(fresh)))
        error = G_fresh * _median_error(fresh) if fresh.size > 1 else None
        put("conductance_fresh_S", G_fresh, error, f"first instant of {fresh.size} sweeps")
        warnings.append(
            f"conductance_off_S: fresh devices conduct {G_fresh:.3g} S, and so does a simulated one until its first SET"
        )
    n = offs.size
    put(
        "conductance_off_S",
        math.exp(float(np.median(offs))),
        math.exp(float(np.median(offs))) * _median_error(offs) if n > 1 else None,
        where,
    )
    if n > 2:
        total = float(offs.std(ddof=1))
        median_of = [1.0 if reads < 3 else _MEDIAN_FACTOR**2 / reads for reads in once]
        spread = math.sqrt(max(total**2 - noise.value**2 * float(np.mean(median_of)), 0.0))
        widened = total / math.sqrt(2.0 * (n - 1)) * (total / spread if spread > 0.0 else 1.0)
        put("off_spread", spread, widened, f"{n} sweeps")
    _threshold("set_voltage", np.array([loop.set_V for loop in loops]), repeated, put)
    _resets(loops, repeated, fixed, put, warnings)
    _drift(ensembles, float(np.median([loop.set_V for loop in loops])), put)
    for name, value in fixed.items():
        put(name, value, None, "fixed by the caller", kind="fixed")
    table = []
    for name, quantity in NonVolatile.QUANTITIES.items():
        if name not in entries:
            assert quantity.default is not None
            put(name, quantity.default, None, "not estimated", kind="fixed")
        table.append(entries[name])
    model = NonVolatile(ParameterTable(tuple(table)), sources, {}, tuple(warnings))
    predicted = model.value("conductance_slope_1_V") * I + model.value("conductance_intercept_S")
    goodness = {}
    for name in dict.fromkeys(loop.name for loop in loops):
        own = np.array([loop.name == name for loop in loops])
        goodness[name] = float(abs(G[own].mean() - predicted[own].mean()) / G.max())
    return NonVolatile(model.parameters, sources, goodness, tuple(warnings))


def _regress(I, G, sigma, fixed, start, put, text, warnings) -> None:  # noqa: E741
    """Linear regression of conductance on compliance with lmfit."""
    names = {"slope": "conductance_slope_1_V", "intercept": "conductance_intercept_S"}
    free = [short for short, name in names.items() if name not in fixed]
    if not free:
        return
    if np.unique(I).size < len(free):
        raise InputError(
            "The relation of conductance to compliance needs sweeps at two compliances",
            got=f"{np.unique(I).size}",
            allowed=">= 2",
            action="Add sweeps at another compliance, or fix conductance_intercept_S",
        )
    scale_I, scale_G = float(I.max()), float(np.abs(G).max())
    guess = np.polyfit(I / scale_I, G / scale_G, 1) if np.unique(I).size > 1 else (G.mean() / scale_G, 0.0)
    parameters = lmfit.Parameters()
    for short, value, unit in (
        ("slope", guess[0], scale_G / scale_I),
        ("intercept", guess[1], scale_G),
    ):
        name = names[short]
        begin = fixed.get(name, start.get(name, float(value) * unit)) / unit
        parameters.add(short, value=begin, vary=name not in fixed)

    def residual(p: lmfit.Parameters) -> NDArray[np.float64]:
        predicted = p["slope"] * I / scale_I + p["intercept"]
        return (G / scale_G - predicted) / (sigma / scale_G)

    redundant = I.size > len(free)
    result = lmfit.minimize(residual, parameters, method="leastsq", scale_covar=redundant)
    for short in free:
        unit = scale_G / scale_I if short == "slope" else scale_G
        fitted = result.params[short]
        error = float(fitted.stderr) * unit if redundant and fitted.stderr is not None else None
        note = "" if error is not None else "no error: as many points as parameters or a singular covariance"
        if note:
            warnings.append(f"{names[short]}: {note}")
        put(names[short], float(fitted.value) * unit, error, f"LRS at {_READ_V:g} V of {text}", warning=note)


def _threshold(
    stem: str, values: NDArray[np.float64], repeated: bool, put, shift: float = 0.0, shift_error: float = 0.0
) -> None:
    """Median and spread of a threshold, `shift` beside the values."""
    n = values.size
    spread = float(values.std(ddof=1)) if n > 1 else math.nan
    error = math.hypot(_median_error(values), shift_error) if n > 1 else None
    put(f"{stem}_V", float(np.median(values)) + shift, error, f"median of {n} sweeps")
    if n > 2 and repeated:
        put(f"{stem}_spread_V", spread, spread / math.sqrt(2.0 * (n - 1)), f"{n} sweeps")


def _resets(loops: list[_Loop], repeated: bool, fixed: dict[str, float], put, warnings: list[str]) -> None:
    """RESET width, and threshold against ln G; medians where all filaments are alike.

    A line through medians (Theil and Sen), as the typical run is the median one: a few filaments break late. It runs
    through the middles of the RESETs, which all have, and the threshold lies half a width before them.
    """
    kept = [loop for loop in loops if math.isfinite(loop.reset_V)]
    if not kept:
        warnings.append("reset_voltage_V: no RESET in the sweeps, so not estimated")
        return
    V, ln_g = np.array([loop.reset_V for loop in kept]), np.log([loop.lrs_S for loop in kept])
    widths = np.array([loop.reset_width_V for loop in kept])
    widths = widths[np.isfinite(widths)]
    width, width_error = fixed.get("reset_width_V", 0.0), 0.0
    if "reset_width_V" not in fixed and widths.size:
        width, width_error = float(np.median(widths)), _median_error(widths) if widths.size > 1 else 0.0
        put("reset_width_V", width, width_error or None, f"RESET branch of {widths.size} sweeps")
    half = (0.5 * width, 0.5 * width_error)
    centre = math.log(fixed["reset_reference_S"]) if "reset_reference_S" in fixed else float(ln_g.mean())
    x = ln_g - centre
    put("reset_reference_S", math.exp(centre), None, f"mean of {len(kept)} sweeps", kind="fixed")
    compliances = np.unique([loop.compliance_A for loop in kept]).size
    if "reset_voltage_slope_V" in fixed:
        _threshold("reset_voltage", V - fixed["reset_voltage_slope_V"] * x, repeated, put, *half)
        return
    if compliances < 2 or float(np.ptp(ln_g)) < math.log(2.0):
        note = "not identified: the RESETs are of sweeps at " + (
            "one compliance" if compliances < 2 else "compliances that leave conductances within a factor of two"
        )
        put("reset_voltage_slope_V", 0.0, None, "not estimated", kind="fixed", warning=note)
        warnings.append(f"reset_voltage_slope_V: {note}")
        _threshold("reset_voltage", V, repeated, put, *half)
        return
    line = stats.theilslopes(V, x, alpha=_ONE_SIGMA)
    slope = float(line.slope)
    left, free = V - slope * x, V.size - 2
    V_r = float(np.median(left)) + half[0]
    text = f"RESET of {V.size} sweeps at {compliances} compliances against ln G"
    if free < 2:
        note = f"no error: {V.size} sweeps only"
        put("reset_voltage_V", V_r, None, text, warning=note)
        put("reset_voltage_slope_V", slope, None, text, warning=note)
        return
    spread = math.sqrt(float(np.sum((left - left.mean()) ** 2)) / free)
    put("reset_voltage_V", V_r, math.hypot(_MEDIAN_FACTOR * spread / math.sqrt(V.size), half[1]), text)
    put("reset_voltage_slope_V", slope, 0.5 * float(line.high_slope - line.low_slope), text)
    if repeated:
        put("reset_voltage_spread_V", spread, spread / math.sqrt(2.0 * free), text)


def _drift(ensembles: list[Ensemble], set_V: float, put) -> None:
    """Power-law exponent of retention from traces that only rest or read."""
    slopes, errors, names, first = [], [], [], []
    for e in ensembles:
        if not _is_retention(e, set_V):
            continue
        t = e.time_s - e.time_s[0]
        late = t > 0
        if np.unique(t[late]).size < 5:
            continue
        x, y = np.log(t[late]), e.typical()[late]
        if t[late].max() / t[late].min() < 10.0:
            continue
        line = lmfit.models.LinearModel()
        answer = line.fit(y, x=x, slope=0.0, intercept=float(y.mean()))
        slopes.append(-float(answer.params["slope"].value))
        stderr = answer.params["slope"].stderr
        errors.append(float(stderr) if stderr is not None else math.nan)
        names.append(e.name)
        first.append(float(t[late].min()))
    if not slopes:
        return
    error = math.sqrt(float(np.sum(np.square(errors)))) / len(errors)
    put("drift_exponent", float(np.mean(slopes)), error, f"ln G against ln t of {', '.join(names)}")
    put("drift_reference_s", min(first), None, "first instant of the retention traces", kind="fixed")
