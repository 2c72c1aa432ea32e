r"""Figures of merit of a synapse: plasticity indices, weight update, retention, energy, activation energy.

They take a trace, so they work alike on continuum, KMC and compact models and on measurements; the laws behind them
(:func:`power_law`, :func:`update_of`, :func:`activation_energy`) also take bare arrays.

A *response* is the conductance at a read: the postsynaptic current over the read voltage. In a simulated trace
``conductance`` is that of the electrons; the current also holds what displaced ions carry on their way back, which
can outweigh it (``of="current"`` takes it as an ammeter would).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from ..physics import trace as traces
from ..physics.constants import BOLTZMANN_EV_K
from ..physics.errors import InputError
from .characterise.pieces import columns, work

__all__ = [
    "ActivationEnergy",
    "Decay",
    "PowerLaw",
    "Update",
    "activation_energy",
    "decay",
    "delivered_energy",
    "event_energy",
    "indices",
    "is_monotone",
    "neurosim_label",
    "power_law",
    "responses",
    "retention",
    "update",
    "update_of",
]

Array = NDArray[np.float64]


class Decay(NamedTuple):
    """A synaptic weight after the last spike.

    Attributes
    ----------
    time_s : array, shape (n,), s, > 0
        Since the last spike ended.
    weight : array, shape (n,), 1
    """

    time_s: Array
    weight: Array


class PowerLaw(NamedTuple):
    r"""The forgetting curve :math:`y = b\,t^{-m}` (t in s) through a decay, and its rival :math:`y = c\,e^{-t/\tau}`.

    Attributes
    ----------
    b, m : float, 1
        Fit constant (the weight after 1 s) and power function rate.
    b_error, m_error : float, 1
        Standard errors; those of one smooth curve, so they measure the misfit, not the noise.
    r2 : float, 1
        Share of the variance explained, in the space of the fit.
    tau_s, r2_exponential : float, s and 1
        Of the exponential.
    delta_aic : float, 1
        AIC of the exponential less that of the power law, both with two parameters; positive where the power law is
        the better description. Points of one smooth curve are not independent: the sign counts, not the size.
    points : int
    window_s : tuple of float, s
        First and last instant fitted.
    """

    b: float
    m: float
    b_error: float
    m_error: float
    r2: float
    tau_s: float
    r2_exponential: float
    delta_aic: float
    points: int
    window_s: tuple[float, float]


class Update(NamedTuple):
    r"""How far potentiation and depression are from straight and mirrored lines.

    Attributes
    ----------
    nonlinearity_up, nonlinearity_down : float, 1
        :math:`\nu` of :math:`(1 - e^{-\nu x}) / (1 - e^{-\nu})`, x the share of the spikes given: 0 is a straight line,
        positive saturates, negative accelerates.
    deviation_up, deviation_down : float, 1
        Largest distance from the straight line between first and last weight, over the range.
    r2_up, r2_down : float, 1
        Of the straight line fitted to weight against number.
    asymmetry : float, 1
        Largest distance between the potentiation and the mirrored depression, over the range.
    largest_step : float, 1
        Largest change that one spike makes, over the range; the turn from potentiation to depression counts.
    range : float, 1
        Largest over smallest weight.

    Notes
    -----
    :func:`neurosim_label` turns a nonlinearity into the label (0 to 9) of the NeuroSim simulators, which call the same
    :math:`1 / \nu` "A".
    """

    nonlinearity_up: float
    nonlinearity_down: float
    deviation_up: float
    deviation_down: float
    r2_up: float
    r2_down: float
    asymmetry: float
    largest_step: float
    range: float


class ActivationEnergy(NamedTuple):
    """Slope of ln R against 1/kT.

    Attributes
    ----------
    value_eV, error_eV : float, eV
    r2 : float, 1
    """

    value_eV: float
    error_eV: float
    r2: float


# -- responses ----------------------------------------------------------------------------------------------------


def responses(trace: xr.Dataset, times_s: ArrayLike | None = None, *, of: str = "conductance") -> Array:
    """Response to each spike.

    Parameters
    ----------
    trace : Dataset
        One run.
    times_s : array, shape (n,), s, optional
        Instants of the reads; those that the waveform of the trace marks (``reads_s``), if not given.
    of : {"conductance", "current"}
        What is read; a current is taken by its magnitude.

    Returns
    -------
    array, shape (n,), S or A

    Raises
    ------
    InputError
        If there is no read, or one lies outside the trace.
    """
    time, _, current, conductance = columns(trace)
    if of not in ("conductance", "current"):
        raise InputError("A response is of the conductance or the current", got=of, allowed="conductance, current")
    if times_s is None:
        if "waveform" not in trace.attrs:
            raise InputError("The trace does not say when it was read", action="Give times_s")
        times_s = traces.waveform_of(trace).reads_s
    reads = np.atleast_1d(np.asarray(times_s, dtype=float))
    if not reads.size:
        raise InputError(
            "The trace has no read",
            got="an empty reads_s",
            action="Play one of physics.synapse, or give times_s",
        )
    if not (np.isfinite(reads).all() and reads.min() >= time[0] and reads.max() <= time[-1]):
        raise InputError(
            "A read lies outside the trace",
            got=f"{reads.min():g} to {reads.max():g} s",
            allowed=f"{time[0]:g} to {time[-1]:g} s",
        )
    return np.asarray(np.interp(reads, time, conductance if of == "conductance" else np.abs(current)), dtype=float)


def indices(trace: xr.Dataset, times_s: ArrayLike | None = None, *, of: str = "conductance") -> Array:
    r"""Plasticity index :math:`A_n / A_1` of each spike: PPF (n = 2), SFDP (n = 5), SVDP, SDDP and SNDP of Kim et al.

    Parameters
    ----------
    trace : Dataset
        One run.
    times_s : array, shape (n,), s, optional
        Instants of the reads; those that the waveform marks, if not given.
    of : {"conductance", "current"}
        What is read.

    Returns
    -------
    array, shape (n,), 1
        The first is 1.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), Fig. 3.
    """
    found = responses(trace, times_s, of=of)
    if not found[0] > 0:
        raise InputError("The first response must be positive", got=found[0])
    return np.asarray(found / found[0], dtype=float)


def is_monotone(values: ArrayLike, *, rising: bool = True, tolerance: float = 0.0) -> bool:
    """Whether every value lies above the one before it (below it, if not `rising`).

    Parameters
    ----------
    values : array, shape (n >= 2,)
    rising : bool
    tolerance : float, >= 0
        Smallest relative step that counts; 0 asks for strict order.

    Examples
    --------
    >>> is_monotone([1.0, 1.2, 1.3]), is_monotone([1.0, 1.2, 1.2]), is_monotone([2.0, 1.0], rising=False)
    (True, False, True)
    """
    array = np.asarray(values, dtype=float).ravel()
    if array.size < 2 or not np.isfinite(array).all():
        raise InputError("A trend needs two finite values or more", got=array)
    steps = np.diff(array) * (1.0 if rising else -1.0)
    return bool((steps > tolerance * np.abs(array[:-1])).all())


# -- weight update ------------------------------------------------------------------------------------------------


def update(trace: xr.Dataset, count: int | None = None, *, of: str = "conductance") -> Update:
    """Nonlinearity and asymmetry of a run of potentiating and then as many depressing spikes.

    Parameters
    ----------
    trace : Dataset
        One run with one read after each spike.
    count : int, >= 3, optional
        Potentiating spikes; half of all, if not given.
    of : {"conductance", "current"}
    """
    found = responses(trace, of=of)
    up = found.size // 2 if count is None else count
    return update_of(found[:up], found[up:])


def update_of(potentiation: ArrayLike, depression: ArrayLike) -> Update:
    """:func:`update` on the weights after each spike.

    Parameters
    ----------
    potentiation, depression : array, shape (n >= 3,), S
        Of equal length for the asymmetry to compare like with like.

    References
    ----------
    .. [1] P.-Y. Chen, X. Peng and S. Yu, IEEE Trans. CAD 37, 3067 (2018), eqs. 1-3: the exponential weight update.

    Examples
    --------
    >>> import numpy as np
    >>> straight = update_of(np.linspace(1.0, 2.0, 20), np.linspace(2.0, 1.0, 20))
    >>> abs(straight.nonlinearity_up) < 1e-6, straight.asymmetry < 1e-12, round(straight.r2_up, 6)
    (True, True, 1.0)
    """
    up, down = (np.asarray(v, dtype=float).ravel() for v in (potentiation, depression))
    if up.size < 3 or up.size != down.size or not (np.isfinite(up).all() and np.isfinite(down).all()):
        raise InputError(
            "A weight update needs as many depressions as potentiations, at least three, all finite",
            got=f"{up.size} and {down.size}",
        )
    low, high = min(up.min(), down.min()), max(up.max(), down.max())
    if not high > low > 0:
        raise InputError("The weight must be positive and change", got=f"{low:g} to {high:g}")
    mirrored = float(np.abs(up - down[::-1]).max() / (high - low))
    step = float(np.abs(np.diff(np.concatenate([up, down]))).max() / (high - low))
    return Update(
        nonlinearity_up=_nonlinearity(up),
        nonlinearity_down=_nonlinearity(down),
        deviation_up=_deviation(up),
        deviation_down=_deviation(down),
        r2_up=_straightness(up),
        r2_down=_straightness(down),
        asymmetry=mirrored,
        largest_step=step,
        range=float(high / low),
    )


def neurosim_label(nonlinearity: ArrayLike) -> Array:
    r"""Nonlinearity label of the NeuroSim simulators for :math:`\nu` of :class:`Update`.

    Parameters
    ----------
    nonlinearity : float or array, 1
        :math:`\nu`, the inverse of NeuroSim's normalised A.

    Returns
    -------
    array, 1
        Of the sign of :math:`\nu`: positive saturates. NeuroSim writes a depression that saturates with a minus sign.

    Notes
    -----
    NeuroSim tabulates label against A, from 0.01 to 9. The table is, to its six digits, the largest distance of the
    curve from the straight line, at right angles to it, over 0.07 (found from the table, which comes without a
    formula); a mean of several hundredths in label is the error of reading A off a figure.

    References
    ----------
    .. [1] P.-Y. Chen, X. Peng and S. Yu, IEEE Trans. CAD 37, 3067 (2018); Nonlinearity-NormA table of
       github.com/neurosim/MLP_NeuroSim_V3.0.

    Examples
    --------
    >>> [round(float(v), 2) for v in neurosim_label([0.0, 1 / 0.8195, -1 / 0.8195, 1 / 0.0702])]
    [0.0, 1.51, -1.51, 7.51]
    """
    nu = np.asarray(nonlinearity, dtype=float)
    if not np.isfinite(nu).all():
        raise InputError("A nonlinearity must be finite", got=nonlinearity)
    size = np.maximum(np.abs(nu), 1e-9)
    drop = -np.expm1(-size)  # 1 - e^-nu
    # where the slope of the curve is that of the line
    x = np.log(size / drop) / size
    distance = -np.expm1(-size * x) / drop - x
    return np.asarray(np.where(np.abs(nu) < 1e-6, nu / 8.0, np.sign(nu) * distance) / (np.sqrt(2.0) * 0.07))


def _shares(weights: Array) -> Array:
    """Weights from 0 at the first to 1 at the last."""
    span = weights[-1] - weights[0]
    if span == 0:
        raise InputError("The weight ends where it began", got=f"{weights[0]:g}", action="Give more spikes")
    return np.asarray((weights - weights[0]) / span, dtype=float)


def _curve(nu: float, x: Array) -> Array:
    return x if abs(nu) < 1e-9 else np.expm1(-nu * x) / np.expm1(-nu)


def _nonlinearity(weights: Array) -> float:
    y, x = _shares(weights), np.linspace(0.0, 1.0, weights.size)
    found = optimize.minimize_scalar(
        lambda nu: float(np.sum((_curve(nu, x) - y) ** 2)),
        bounds=(-50.0, 50.0),
        options={"xatol": 1e-9},
        method="bounded",
    )
    return float(found.x)


def _deviation(weights: Array) -> float:
    return float(np.abs(_shares(weights) - np.linspace(0.0, 1.0, weights.size)).max())


def _straightness(weights: Array) -> float:
    return float(stats.linregress(np.arange(weights.size), weights).rvalue ** 2)


# -- retention ----------------------------------------------------------------------------------------------------


def decay(trace: xr.Dataset, *, normalise: str = "peak", of: str = "conductance") -> Decay:
    """Synaptic weight after the last spike of a run.

    Parameters
    ----------
    trace : Dataset
        One run whose waveform marks its reads; the last read is the peak.
    normalise : {"peak", "base", "none"}
        Change of the response over its change at the last read; over the base; or the bare response.
    of : {"conductance", "current"}

    Returns
    -------
    Decay
        From the last read on.

    Notes
    -----
    The base is the response at the last instant before the first spike begins: the film as the read voltage holds
    it. Give the protocol a lead long enough to settle, or a slow base counts as memory.
    """
    wave = traces.waveform_of(trace)
    time, _, current, conductance = columns(trace)
    values = conductance if of == "conductance" else np.abs(current)
    reads = responses(trace, of=of)
    moves = np.flatnonzero(np.diff(wave.voltage_V) != 0)
    if not moves.size:
        raise InputError("No spike in the trace: its voltage never changes")
    base = float(np.interp(wave.time_s[moves[0]], time, values))
    end = float(wave.time_s[moves[-1] + 1])
    peak, last = float(reads[-1]), float(wave.reads_s[-1])
    if last < end:
        raise InputError("The trace is not read after its last spike", got=f"read at {last:g} s, spike to {end:g} s")
    later = time >= last
    if normalise == "peak":
        if not peak > base:
            raise InputError("The spikes left no rise to follow", got=f"{peak:g} after, {base:g} before")
        weight = (values[later] - base) / (peak - base)
    elif normalise == "base":
        weight = values[later] / base - 1.0
    elif normalise == "none":
        weight = values[later]
    else:
        raise InputError("Unknown normalisation", got=normalise, allowed="peak, base, none")
    return Decay(np.asarray(time[later] - end, dtype=float), np.asarray(weight, dtype=float))


def retention(
    trace: xr.Dataset,
    *,
    window_s: tuple[float, float] = (0.1, 15.0),
    normalise: str = "peak",
    space: str = "log",
    of: str = "conductance",
) -> PowerLaw:
    """Power law of the decay after the last spike; see :func:`decay` and :func:`power_law`.

    Parameters
    ----------
    trace : Dataset
        One run whose waveform marks its reads.
    window_s : tuple of float, s
        Times after the last read between which the law is fitted.
    normalise : {"peak", "base", "none"}
        What the response is divided by, see :func:`decay`; "peak" leaves the change over its value at the last read.
    space : {"log", "linear"}
        Whether ln y or y has the errors that are squared.
    of : {"conductance", "current"}
        What is read.
    """
    return power_law(*decay(trace, normalise=normalise, of=of), window_s=window_s, space=space)


def power_law(
    time_s: ArrayLike, weight: ArrayLike, *, window_s: tuple[float, float] = (0.1, 15.0), space: str = "log"
) -> PowerLaw:
    r"""Fit :math:`y = b\,t^{-m}`, and beside it an exponential, to a decay.

    Parameters
    ----------
    time_s : array, shape (n,), s, > 0
    weight : array, shape (n,), 1, > 0 within the window
    window_s : tuple of float, s
        Instants fitted, bounds included.
    space : {"log", "linear"}
        Whether ln y or y has the errors that are squared.

    Raises
    ------
    InputError
        If fewer than four points lie in the window or the weight is not positive there.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), Fig. 4 and Table 2.
    .. [2] H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974).

    Examples
    --------
    >>> import numpy as np
    >>> t = np.geomspace(0.1, 15.0, 40)
    >>> law = power_law(t, 0.09594 * t**-0.4092)
    >>> round(law.b, 5), round(law.m, 4), round(law.r2, 6), law.delta_aic > 0
    (0.09594, 0.4092, 1.0, True)
    """
    t, y = np.asarray(time_s, dtype=float).ravel(), np.asarray(weight, dtype=float).ravel()
    if t.size != y.size or not (np.isfinite(t).all() and np.isfinite(y).all()):
        raise InputError("times and weights do not go together", got=f"{t.size} times, {y.size} weights, all finite?")
    low, high = window_s
    if not (np.isfinite(low) and 0 < low < high):
        raise InputError("window_s is out of range", got=f"{low} to {high} s", allowed="0 < first < last")
    inside = (t >= low * (1 - 1e-9)) & (t <= high * (1 + 1e-9))
    t, y = t[inside], y[inside]
    if np.unique(t).size < 4:
        raise InputError("Too few points in the window", got=np.unique(t).size, allowed=">= 4", action="Widen window_s")
    if not (y > 0).all():
        raise InputError(
            "The weight is not positive throughout the window",
            got=f"{y.min():g} at {t[np.argmin(y)]:g} s",
            action="End the window earlier: a weight that has returned has no power law",
        )
    if space not in ("log", "linear"):
        raise InputError("Unknown space of the fit", got=space, allowed="log, linear")
    ln_y = np.log(y)
    fits = {}
    for name, x in (("power", np.log(t)), ("exponential", t)):
        line = stats.linregress(x, ln_y)
        start = np.array([line.intercept, line.slope])
        if space == "log":
            residual = ln_y - line.intercept - line.slope * x
            total = ln_y - ln_y.mean()
            errors = (float(line.intercept_stderr), float(line.stderr))
        else:
            total = y - y.mean()
            found, covariance = optimize.curve_fit(lambda x, a, s: np.exp(a + s * x), x, y, p0=start)
            start, residual = found, y - np.exp(found[0] + found[1] * x)
            errors = (float(np.sqrt(covariance[0, 0])), float(np.sqrt(covariance[1, 1])))
        squares = float(residual @ residual)
        fits[name] = (start, errors, squares, 1.0 - squares / float(total @ total) if total.any() else float("nan"))
    (power, errors, squares, r2), (exponential, _, other, r2_other) = fits["power"], fits["exponential"]
    tiny = np.finfo(float).tiny
    return PowerLaw(
        b=float(np.exp(power[0])),
        m=float(-power[1]),
        b_error=float(np.exp(power[0]) * errors[0]),
        m_error=errors[1],
        r2=r2,
        tau_s=float(-1.0 / exponential[1]) if exponential[1] < 0 else float("inf"),
        r2_exponential=r2_other,
        delta_aic=float(t.size * np.log(max(other, tiny) / max(squares, tiny))),
        points=int(t.size),
        window_s=(float(t[0]), float(t[-1])),
    )


# -- energy and temperature ---------------------------------------------------------------------------------------


def event_energy(spike_V: float, current_A: ArrayLike, width_s: float) -> Array:
    r"""Energy of a synaptic event as Kim et al. print it, :math:`E = P\,I\,t`, J.

    Parameters
    ----------
    spike_V : float, V
        P, the voltage of the spike.
    current_A : float or array, A
        I, the postsynaptic current: read after the spike, at the read voltage.
    width_s : float, s, > 0
        t, the width of the spike.

    Returns
    -------
    array, shape of `current_A`, J
        Positive.

    Notes
    -----
    A figure of merit, not a dissipated energy: P is the voltage of the spike and I the current at a read voltage a
    hundred times smaller. What the source delivers is the integral of I V, with the displacement current in it.

    Examples
    --------
    >>> f"{float(event_energy(-1.0, 0.9e-12, 20e-3)):.2g} J"
    '1.8e-14 J'
    """
    current = np.asarray(current_A, dtype=float)
    if not (np.isfinite(spike_V) and np.isfinite(width_s) and width_s > 0 and np.isfinite(current).all()):
        raise InputError("An event needs a finite voltage, current and a width > 0", got=f"{spike_V} V, {width_s} s")
    return np.asarray(np.abs(spike_V * current) * width_s, dtype=float)


def delivered_energy(trace: xr.Dataset, until_s: float | None = None) -> float:
    r"""Energy that reaches the device, :math:`\int I V\,\mathrm{d}t`, J.

    Parameters
    ----------
    trace : Dataset
        One run.
    until_s : float, s, optional
        End of the integral; the end of the trace, if not given.

    Notes
    -----
    A current at a corner belongs to the segment that ends there, and stands for all of that segment: exact for the
    displacement current of a ramp.
    """
    time, *_ = columns(trace)
    stop = time[-1] if until_s is None else until_s
    if not time[0] < stop <= time[-1]:
        raise InputError("until_s lies outside the trace", got=f"{stop} s", allowed=f"{time[0]:g} to {time[-1]:g} s")
    return work(trace, float(time[0]), float(stop), rule="segment")


def activation_energy(temperature_K: ArrayLike, resistance_ohm: ArrayLike) -> ActivationEnergy:
    r"""Activation energy of a resistance, :math:`\ln R = \ln R_0 + E_A / k_B T`.

    Parameters
    ----------
    temperature_K : array, shape (n >= 2,), K, > 0
    resistance_ohm : array, shape (n,), ohm, > 0

    Returns
    -------
    ActivationEnergy
        The error is nan for two temperatures.

    Examples
    --------
    >>> import numpy as np
    >>> T = np.array([300.0, 320.0, 340.0])
    >>> round(activation_energy(T, 5.0 * np.exp(0.138 / (8.617333262e-5 * T))).value_eV, 6)
    0.138
    """
    T, R = np.asarray(temperature_K, dtype=float).ravel(), np.asarray(resistance_ohm, dtype=float).ravel()
    if T.size != R.size or np.unique(T).size < 2:
        raise InputError("An activation energy needs two temperatures or more, one resistance each", got=T.size)
    if not (np.isfinite(T).all() and np.isfinite(R).all() and (T > 0).all() and (R > 0).all()):
        raise InputError("Temperatures and resistances must be positive", got=f"{T.min():g} K, {R.min():g} ohm")
    line = stats.linregress(1.0 / (BOLTZMANN_EV_K * T), np.log(R))
    error = float(line.stderr) if T.size > 2 else float("nan")
    return ActivationEnergy(float(line.slope), error, float(line.rvalue**2))
