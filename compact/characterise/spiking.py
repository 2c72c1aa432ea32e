"""Protocols of spikes: which one a run is of, its plasticity index, paired-pulse facilitation against the interval."""

from __future__ import annotations

import itertools
import warnings
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import optimize

from ...physics import trace as traces
from ...physics.errors import InputError
from ..plasticity import is_monotone, responses
from .pieces import Array, columns

__all__ = ["Facilitation", "Plasticity", "Spikes", "facilitation", "plasticity_of", "spikes_of"]

_WORST = 0.5  # share of the variance that a decay may leave unexplained


class Spikes(NamedTuple):
    """The spikes of a waveform.

    Attributes
    ----------
    start_s, width_s : array, shape (n,), s
        First instant at the full voltage, and how long it lasts.
    amplitude_V : array, shape (n,), V
    read_V : float, V
        Voltage between the spikes.
    """

    start_s: Array
    width_s: Array
    amplitude_V: Array
    read_V: float


class Plasticity(NamedTuple):
    """What one protocol of spikes shows.

    Attributes
    ----------
    name : str
        "PPF", "SFDP", "SVDP", "SDDP", "SNDP", "LTP/LTD" or "EPSC".
    indices : array, shape (n,), 1
        A_n / A_1, one for each spike.
    against : str
        What the index belongs to: "interval", "frequency", "amplitude", "duration", "number".
    at : array, shape (n,) or (1,)
        That quantity, s, Hz, V, s or 1: of each spike, or of all.
    change : float, 1
        Conductance after the last spike over that before the first, less 1: Delta G of the review.
    """

    name: str
    indices: Array
    against: str
    at: Array
    change: float


class Facilitation(NamedTuple):
    r"""Paired-pulse facilitation against the interval, :math:`1 + C_1 e^{-\Delta t/\tau_1} + C_2 e^{-\Delta t/\tau_2}`.

    Attributes
    ----------
    amplitudes : array, shape (1,) or (2,), 1
        C, of the fast and the slow phase.
    times_s : array, shape (1,) or (2,), s
        tau, rising.
    amplitude_errors, time_errors_s : array, 1 and s
        Standard errors; nan where a phase is not determined.
    r2 : float, 1
    delta_aic : float, 1
        Corrected AIC of one phase less that of two; nan if there are too few points for two. Positive speaks for two.
    """

    amplitudes: Array
    times_s: Array
    amplitude_errors: Array
    time_errors_s: Array
    r2: float
    delta_aic: float


def spikes_of(trace: xr.Dataset) -> Spikes:
    """Spikes in the waveform of a trace: stretches at one voltage off the read voltage.

    Parameters
    ----------
    trace : Dataset
        One run. The voltage between spikes is the first of its waveform; a level at which the waveform marks a read
        is a read pulse, not a spike.

    Raises
    ------
    InputError
        If there is no spike.
    """
    wave = traces.waveform_of(trace)
    volts = wave.voltage_V
    flat = np.flatnonzero(np.diff(volts) == 0)
    read = float(volts[0])
    flat = flat[np.abs(volts[flat] - read) > 1e-9 + 1e-6 * np.ptp(volts)]
    if not flat.size:
        raise InputError("No spike in the trace: its voltage has no level besides the first", got=f"{read:g} V")
    # two flat segments in a row are one spike
    first = flat[np.concatenate([[True], np.diff(flat) > 1])]
    last = flat[np.concatenate([np.diff(flat) > 1, [True]])] + 1
    start, stop = wave.time_s[first], wave.time_s[last]
    reading = np.array(
        [bool(((wave.reads_s > a) & (wave.reads_s <= b)).any()) for a, b in zip(start, stop, strict=True)]
    )
    if reading.all():
        raise InputError("No spike in the trace: every level is a read pulse", got=f"{reading.size} levels")
    start, stop = start[~reading], stop[~reading]
    return Spikes(start, stop - start, volts[first[~reading]], read)


def plasticity_of(trace: xr.Dataset, *, of: str = "conductance") -> Plasticity:
    """Recognise a protocol of spikes and give its plasticity index.

    Parameters
    ----------
    trace : Dataset
        One run with one read after each spike, as :mod:`halidrift.physics.synapse` makes them.
    of : {"conductance", "current"}

    Returns
    -------
    Plasticity
        Two equal spikes: PPF, A2 / A1 (PPD if below 1). Equal spikes: SFDP if there are five, A5 / A1 at their
        frequency; else SNDP. Spikes of rising amplitude SVDP, of rising duration SDDP: A_n / A_1. Half of one and half
        of the other sign: LTP/LTD. One spike: EPSC.

    Raises
    ------
    InputError
        If the spikes are of none of these protocols or not read one by one.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), Fig. 3.
    .. [2] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Secs. 3.1.1 (Y-MET-DG), 3.1.6, Tables 7 and 9.
    """
    wave, spikes = traces.waveform_of(trace), spikes_of(trace)
    count = spikes.start_s.size
    edges = np.append(spikes.start_s, np.inf)
    if wave.reads_s.size != count or not ((wave.reads_s > edges[:-1]) & (wave.reads_s < edges[1:])).all():
        raise InputError(
            "The spikes are not read one by one", got=f"{count} spikes, {wave.reads_s.size} reads", allowed="one each"
        )
    found = responses(trace, of=of)
    if not found[0] > 0:
        raise InputError("The first response must be positive", got=found[0])
    ratios = found / found[0]
    time, _, current, conductance = columns(trace)
    # the corner at which the first spike begins to rise
    lead = float(wave.time_s[wave.time_s < spikes.start_s[0]].max(initial=wave.time_s[0]))
    base = float(np.interp(lead, time, conductance if of == "conductance" else np.abs(current)))
    change = float(found[-1] / base - 1.0) if base > 0 else float("nan")
    volts, widths = spikes.amplitude_V, spikes.width_s

    def same(values: Array) -> bool:
        return bool(np.ptp(values) <= 1e-6 * np.abs(values).max())

    def told(name: str, against: str, at: ArrayLike) -> Plasticity:
        return Plasticity(name, ratios, against, np.atleast_1d(np.asarray(at, dtype=float)), change)

    if count == 1:
        return told("EPSC", "number", 1)
    gaps = np.diff(spikes.start_s) - widths[:-1]
    if same(volts) and same(widths):
        if count == 2:
            return told("PPF", "interval", gaps[0])
        if count == 5 and same(np.diff(spikes.start_s)):
            return told("SFDP", "frequency", 1.0 / np.diff(spikes.start_s).mean())
        return told("SNDP", "number", np.arange(1, count + 1))
    half = count // 2
    if count % 2 == 0 and same(volts[:half]) and same(volts[half:]) and volts[0] * volts[-1] < 0 and same(widths):
        return told("LTP/LTD", "number", np.arange(1, count + 1))
    if same(widths) and is_monotone(np.abs(volts)) and (volts[0] * volts > 0).all():
        return told("SVDP", "amplitude", volts)
    if same(volts) and is_monotone(widths):
        return told("SDDP", "duration", widths)
    raise InputError(
        "The spikes are of no known protocol",
        got=f"{count} spikes, {volts.min():g} to {volts.max():g} V, {widths.min():g} to {widths.max():g} s",
        allowed="equal, rising amplitude, rising duration, or as many of either sign",
    )


def facilitation(interval_s: ArrayLike, index: ArrayLike) -> Facilitation:
    r"""Fit the paired-pulse index against the interval with one and, from six intervals on, two relaxation phases.

    Parameters
    ----------
    interval_s : array, shape (n >= 3,), s, > 0
    index : array, shape (n,), 1
        A2 / A1; depression (below 1) gives negative amplitudes.

    Returns
    -------
    Facilitation
        Two phases where the corrected AIC prefers them, else one.

    Raises
    ------
    InputError
        If the arrays do not go together, a number is out of range, or no decay explains half of the variance.

    Notes
    -----
    Intervals should span a decade beyond the slow time: phases closer than a factor of about three are not resolved,
    which errors as large as the values show.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.1.6 (Y-MET-PPF): exponential decay with a rapid
       and a slow phase.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    >>> found = facilitation(t, 1.0 + 0.8 * np.exp(-t / 0.15))
    >>> found.times_s.size, round(float(found.times_s[0]), 6), round(float(found.amplitudes[0]), 6)
    (1, 0.15, 0.8)
    """
    t, y = np.asarray(interval_s, dtype=float).ravel(), np.asarray(index, dtype=float).ravel() - 1.0
    if t.size != y.size or np.unique(t).size < 3 or not (np.isfinite(t).all() and (t > 0).all()):
        raise InputError("Facilitation needs three intervals > 0 or more", got=f"{t.size} intervals, {y.size} indices")
    if not np.isfinite(y).all() or not np.abs(y).max() > 0:
        raise InputError("The index must be finite and differ from 1", got=f"{y.min() + 1:g} to {y.max() + 1:g}")
    scale = float(np.abs(y).max())
    tiny = t.size * (1e-9 * scale) ** 2  # below the tolerance of the fit
    found = {}
    for phases in (1, 2) if np.unique(t).size >= 6 else (1,):
        fit = _phases(t, y, phases, scale)
        if fit is not None:
            values, covariance = fit
            squares = max(float(np.sum((_sum_of_decays(t, *values) - y) ** 2)), tiny)
            k = 2 * phases + 1
            aic = t.size * np.log(squares) + 2 * k + 2 * k * (k + 1) / max(t.size - k - 1, 0.5)
            found[phases] = (float(aic), values, covariance, squares)
    if not found:
        raise InputError("No decay fits the index", got=f"{y + 1.0}", allowed="an index that tends to 1")
    phases = min(found, key=lambda n: found[n][0])
    _, values, covariance, squares = found[phases]
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    errors = np.where(np.isfinite(errors), errors, np.nan)
    C, tau = values[0::2], np.exp(values[1::2])
    order = np.argsort(tau)
    spread = float(np.sum((y - y.mean()) ** 2))
    if squares > _WORST * spread:
        raise InputError(
            "The index does not decay with the interval",
            got=f"{y[np.argmin(t)] + 1:.3g} at {t.min():g} s, {y[np.argmax(t)] + 1:.3g} at {t.max():g} s",
            allowed="an index that tends to 1, with half of its variance or more in the fit",
        )
    return Facilitation(
        amplitudes=C[order],
        times_s=tau[order],
        amplitude_errors=errors[0::2][order],
        time_errors_s=(tau * errors[1::2])[order],
        r2=1.0 - squares / spread if spread > 0 else float("nan"),
        delta_aic=found[1][0] - found[2][0] if len(found) == 2 else float("nan"),
    )


def _sum_of_decays(t: Array, *values: float) -> Array:
    """Amplitude and ln of the time constant, one pair a phase."""
    total = np.zeros_like(t)
    for C, ln_tau in zip(values[0::2], values[1::2], strict=True):
        total = total + C * np.exp(-t * np.exp(-ln_tau))
    return total


def _phases(t: Array, y: Array, phases: int, scale: float) -> tuple[Array, Array] | None:
    """Least squares from several starts; None if there is no fit within a hundred times the span of the intervals."""
    low, high = np.log(t.min()) - np.log(100.0), np.log(t.max()) + np.log(100.0)
    sign = float(np.sign(y[np.argmax(np.abs(y))]))
    best: tuple[float, Array, Array] | None = None
    for start in itertools.combinations(np.log(np.geomspace(t.min(), t.max(), 4)), phases):
        guess = [number for ln_tau in start for number in (sign * scale, float(ln_tau))]
        bounds = ([-1e3 * scale, low] * phases, [1e3 * scale, high] * phases)
        try:
            with warnings.catch_warnings():
                # only this message: without a covariance scipy gives inf, which becomes an error of nan in what
                # `facilitation` returns; the values are wanted all the same
                warnings.filterwarnings(
                    "ignore", message="Covariance of the parameters could not", category=optimize.OptimizeWarning
                )
                values, covariance = optimize.curve_fit(
                    _sum_of_decays, t, y, p0=guess, bounds=bounds, xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=2000
                )
        except RuntimeError:  # scipy: no convergence
            continue
        squares = float(np.sum((_sum_of_decays(t, *values) - y) ** 2))
        if best is None or squares < best[0]:
            best = squares, values, covariance
    return None if best is None else (best[1], best[2])
