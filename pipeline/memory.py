"""What a reservoir remembers and what it can tell apart: echo horizon, memory capacity, rank, separability."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import LedoitWolf

from ..physics.errors import InputError
from ..physics.randomness import Rng, spawn
from ..physics.waveform import Waveform
from .reservoir import responses

__all__ = ["distances", "echo", "fisher_ratio", "memory_capacity", "state_rank", "told_apart"]

_RIDGE = 1e-9  # of the largest singular value; keeps a singular regression from blowing up


def echo(
    cell: Any,
    gaps_s: ArrayLike,
    *,
    amplitude_V: float = 1.0,
    width_s: float = 20e-3,
    history: int = 4,
    isi_s: float = 5e-3,
    probe: bool = True,
    compliance_A: float = 1e-6,
    tolerance: float = 0.1,
    repeats: int = 1,
    rng: Rng = None,
) -> xr.Dataset:
    """Echo-state test: after how long two histories leave the device in the same state.

    One device sees a burst, the other nothing; a gap later, both see the same. What is left of the difference between
    them is read at the end of the gap and, with `probe`, at the end of one pulse that follows it.

    Parameters
    ----------
    cell : simulation
        Anything that a :class:`~halidrift.pipeline.Reservoir` takes.
    gaps_s : array, shape (gaps,), s, > 0, ascending
        Silence between the end of the burst and the probe.
    amplitude_V, width_s, isi_s, compliance_A : float, V, s, s and A
        Pulses of the burst and the probe, and the silence between those of the burst.
    history : int, >= 1
        Pulses of the burst.
    probe : bool
    tolerance : float, in (0, 1)
        Difference of ln G, in units of the difference right after the burst, that counts as none.
    repeats : int, >= 1
        Random draws that are averaged; needs `rng`.
    rng : int, Generator or None

    Returns
    -------
    xarray.Dataset
        ``distance(stage, gap)``: difference of the mean ln G, over that right after the burst; `stage` is "gap" and,
        with `probe`, "probe". ``horizon(stage)``, s: gap from which on the distance stays below `tolerance`,
        linear between gaps; nan if it does not by the largest one, 0 if it is from the first.

    Raises
    ------
    InputError
        For arguments out of range, or a burst that changes nothing.

    Notes
    -----
    A horizon by the gap alone tells the relaxation time; one by the probe also finds what does not conduct but makes
    the next filament grow faster. John et al. find < 23 ms (Supplementary Note 3).

    Examples
    --------
    >>> from halidrift.compact import Volatile
    >>> cell = Volatile.of(conductance_off_S=1e-9, conductance_on_S=1e-6, growth_rate_Hz=0.05, growth_voltage_V=0.1,
    ...                    relaxation_time_s=10e-3)
    >>> found = echo(cell, [1e-3, 20e-3, 40e-3], probe=False)
    >>> f"{float(found.horizon.sel(stage='gap')):.3f} s"
    '0.026 s'
    """
    gaps = np.asarray(gaps_s, dtype=float).ravel()
    if not gaps.size or not (gaps > 0).all() or (np.diff(gaps) <= 0).any() or not np.isfinite(gaps).all():
        raise InputError("gaps_s must be positive and ascending", got=str(gaps_s))
    for name, number in (("history", history), ("repeats", repeats)):
        if isinstance(number, bool) or number % 1 != 0 or number < 1:
            raise InputError(f"{name} must be a whole number", got=number, allowed=">= 1")
    if repeats > 1 and rng is None:
        raise InputError("Repeats without rng would be identical", action="Give rng a seed")
    if not 0 < tolerance < 1:
        raise InputError("tolerance must be a share", got=tolerance, allowed="0 < tolerance < 1")
    burst = (width_s + isi_s) * np.arange(history)
    end = burst[-1] + width_s
    begin = end + gaps[-1]  # every probe begins here; a shorter gap is a later burst
    duration = begin + width_s + 1e-3
    options = {"amplitude_V": amplitude_V, "width_s": width_s, "duration_s": duration, "compliance_A": compliance_A}
    last = np.array([begin] if probe else [])
    # the first burst begins at 0, which rounding must not put before it
    late = [np.append(np.maximum(begin - gap - end, 0.0) + burst, last) for gap in gaps]
    waves = [Waveform.spikes(onsets, **options) for onsets in late]
    waves.append(Waveform.spikes(last, **options))
    # right after the earliest burst, at the end of the gap, at the end of the probe
    instants = np.array([end, begin, begin + width_s])
    total = np.zeros((len(waves), instants.size))
    for stream in [None] if rng is None else spawn(rng, repeats):
        total += np.log(responses(cell, waves, instants, stream)) / repeats
    total = total.T
    full = abs(total[0, -2] - total[0, -1])  # the largest gap has its burst first
    if not full > 1e-12:
        raise InputError("The burst leaves no trace in the device, so nothing can fade", got="equal conductances")
    stages = ["gap", "probe"] if probe else ["gap"]
    distance = np.abs(total[1 : 1 + len(stages), :-1] - total[1 : 1 + len(stages), -1:]) / full
    horizon = [_horizon(gaps, row, tolerance) for row in distance]
    return xr.Dataset(
        {
            "distance": (("stage", "gap"), distance, {"units": "1", "long_name": "difference of ln G, normalised"}),
            "horizon": ("stage", horizon, {"units": "s", "long_name": "memory horizon"}),
        },
        coords={"gap": ("gap", gaps, {"units": "s", "long_name": "silence after the burst"}), "stage": stages},
        attrs={"tolerance": tolerance, "history": history, "repeats": repeats},
    )


def _horizon(gaps: NDArray[np.float64], distance: NDArray[np.float64], tolerance: float) -> float:
    above = np.flatnonzero(distance > tolerance)
    if not above.size:
        return 0.0
    k = int(above[-1])
    if k == gaps.size - 1:
        return float("nan")
    share = (distance[k] - tolerance) / (distance[k] - distance[k + 1])
    return float(gaps[k] + share * (gaps[k + 1] - gaps[k]))


def memory_capacity(
    states: ArrayLike, inputs: ArrayLike, *, delays: int = 20, washout: int = 20, train_fraction: float = 0.5
) -> xr.DataArray:
    r"""Linear memory capacity: how well a linear readout recovers the input of k steps ago.

    .. math:: C_k = \max\Bigl(0,\; 1 - \frac{\langle (u_{t-k} - \hat u_{t-k})^2 \rangle}{\mathrm{var}\, u}\Bigr)

    Parameters
    ----------
    states : array, shape (timesteps, units)
        Reservoir states, for instance one series of :class:`MaskedReservoir`.
    inputs : array, shape (timesteps,)
        Independent random numbers, not all equal.
    delays : int, >= 1
        Number of delays, from 0.
    washout : int, >= 0
        First steps that are left out; at least `delays` are.
    train_fraction : float, in (0, 1)
        Share that the weights are fitted to. C is taken on the rest, so that chance gives 0 and not a positive number.

    Returns
    -------
    xarray.DataArray
        ``capacity(delay)``, in 0..1; its sum is the memory capacity, at most the number of units.

    Raises
    ------
    InputError
        For shapes that do not match or too few steps.

    References
    ----------
    .. [1] H. Jaeger, GMD Report 152 (2001): short term memory in echo state networks.
    .. [2] J. Dambre et al., Sci. Rep. 2, 514 (2012): capacities and their bound.
    """
    X, u = np.asarray(states, dtype=float), np.asarray(inputs, dtype=float)
    if X.ndim != 2 or u.shape != (len(X),) or not np.isfinite(X).all() or not np.isfinite(u).all():
        raise InputError("states and inputs must be finite and of equal length", got=f"{X.shape} and {u.shape}")
    if isinstance(delays, bool) or delays % 1 != 0 or delays < 1:
        raise InputError("delays must be a whole number", got=delays, allowed=">= 1")
    if isinstance(washout, bool) or not washout >= 0 or washout % 1 != 0:
        raise InputError("washout must be a whole number", got=washout, allowed=">= 0")
    if not 0 < train_fraction < 1:
        raise InputError("train_fraction must part the steps", got=train_fraction, allowed="0 < fraction < 1")
    first = max(washout, delays)
    rows = np.arange(first, len(X))
    count = round(train_fraction * rows.size)
    if count < 2 * (X.shape[1] + 1) or rows.size - count < 10:
        raise InputError(
            "Too few steps for this many units",
            got=f"{len(X)} steps, {X.shape[1]} units",
            action="Take a longer series, a shorter washout or fewer nodes",
        )
    train, test = rows[:count], rows[count:]
    if not all(np.ptp(u[test - k]) > 0 for k in range(delays)):
        raise InputError("inputs must vary, or there is nothing to remember", got=f"only {u[test[-1]]:g} at the end")
    mean, width = X[train].mean(axis=0), X[train].std(axis=0)
    Z = np.hstack([(X - mean) / np.where(width > 1e-12 * np.abs(mean), width, np.inf), np.ones((len(X), 1))])
    weights = np.linalg.pinv(Z[train], rcond=_RIDGE)
    capacity = np.empty(delays)
    for k in range(delays):
        error = u[test - k] - Z[test] @ (weights @ u[train - k])
        capacity[k] = max(0.0, 1.0 - float(np.mean(error**2) / np.var(u[test - k])))
    return xr.DataArray(
        capacity,
        dims="delay",
        coords={"delay": np.arange(delays)},
        name="capacity",
        attrs={"units": "1", "long_name": "linear memory capacity"},
    )


def state_rank(states: ArrayLike, tolerance: float = 1e-2) -> int:
    """Number of independent directions of the states that stand out of their noise.

    Of states under inputs that differ this is the kernel rank, of states under inputs that should be taken for the same
    the generalisation rank; a useful reservoir has a high first and a low second one.

    Parameters
    ----------
    states : array, shape (patterns, nodes)
    tolerance : float, in (0, 1)
        Singular values of the centred states below this share of the largest count as noise.

    References
    ----------
    .. [1] R. Legenstein and W. Maass, Neural Netw. 20, 323 (2007).

    Examples
    --------
    >>> state_rank([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]])
    1
    """
    X = np.asarray(states, dtype=float)
    if X.ndim != 2 or len(X) < 2 or not np.isfinite(X).all():
        raise InputError("states must be a finite matrix of at least two patterns", got=f"shape {X.shape}")
    if not 0 < tolerance < 1:
        raise InputError("tolerance must be a share", got=tolerance, allowed="0 < tolerance < 1")
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    # rounding is no direction: identical states have rank 0
    floor = np.finfo(float).eps * max(X.shape) * float(np.abs(X).max())
    return int(np.sum(values > max(tolerance * values[0], floor)))


def _scattered(states: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
    """Classes, their mean states in coordinates in which the scatter inside a class is the unit, and their counts."""
    X, y = np.asarray(states, dtype=float), np.asarray(labels)
    if X.ndim != 2 or y.shape != (len(X),) or not np.isfinite(X).all():
        raise InputError("states must be a finite matrix with one label for each row", got=f"{X.shape}, {y.shape}")
    classes, index = np.unique(y, return_inverse=True)
    counts = np.bincount(index)
    if classes.size < 2 or counts.min() < 2:
        raise InputError("At least two classes of two patterns each are needed", got=f"{counts.tolist()} patterns")
    width = X.std(axis=0)
    X = X[:, width > 1e-12 * np.abs(X).max()] / width[width > 1e-12 * np.abs(X).max()]
    if not X.shape[1]:
        return classes, np.zeros((classes.size, 1)), counts
    means = np.array([X[index == c].mean(axis=0) for c in range(classes.size)])
    # shrunk: a covariance of many nodes from few patterns is singular
    inside = LedoitWolf(assume_centered=True).fit(X - means[index]).covariance_
    values, vectors = np.linalg.eigh(inside)
    values = np.maximum(values, 1e-12)  # states without scatter are apart by any measure: finite, but far
    return classes, (means @ vectors) / np.sqrt(values), counts


def distances(states: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Mahalanobis distance of every pair of classes: d' of the best linear test between them.

    Parameters
    ----------
    states : array, shape (patterns, nodes)
    labels : array, shape (patterns,)

    Returns
    -------
    array, shape (classes, classes), 1
        Two normal classes of equal covariance are confused in a share Phi(-d'/2) of the cases: 16 % at 2, 2 % at 4.
        The smallest one off the diagonal is twice the margin of the task, in standard deviations.
    """
    _, means, _ = _scattered(states, labels)
    return np.linalg.norm(means[:, None] - means[None], axis=2)


def fisher_ratio(states: ArrayLike, labels: ArrayLike) -> float:
    """Scatter between the classes over that inside them, summed over all directions: tr(S_w^-1 S_b).

    Parameters
    ----------
    states : array, shape (patterns, nodes)
    labels : array, shape (patterns,)

    Returns
    -------
    float, 1, >= 0

    Notes
    -----
    S_w is shrunk towards a multiple of the unit matrix (Ledoit and Wolf), S_b weighs a class by its patterns. States
    that know nothing of the classes give about nodes (classes - 1) / patterns, not 0.
    """
    _, means, counts = _scattered(states, labels)
    share = counts / counts.sum()
    centre = share @ means
    return float(np.sum(share[:, None] * (means - centre) ** 2))


def told_apart(states: ArrayLike, labels: ArrayLike, distance: float = 2.0) -> NDArray[Any]:
    """Labels that can all be told from each other: every pair at least `distance` apart.

    Parameters
    ----------
    states : array, shape (patterns, nodes)
        Several readings of each label.
    labels : array, shape (patterns,)
        For instance numbers of :func:`~halidrift.pipeline.spikes.pulse_words`.
    distance : float, > 0
        Smallest d'; see :func:`distances`.

    Returns
    -------
    array, shape (chosen,), ascending
        Of one node the largest such set; of several a large one, grown from the first direction of greatest scatter.
    """
    if not (np.isfinite(distance) and distance > 0):
        raise InputError("distance must be positive", got=distance, allowed="> 0")
    classes, means, _ = _scattered(states, labels)
    _, _, axes = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    chosen: list[int] = []
    # along one axis, taking the next one that is far enough is optimal
    for candidate in np.argsort(means @ axes[0], kind="stable"):
        if all(np.linalg.norm(means[candidate] - means[other]) >= distance for other in chosen):
            chosen.append(int(candidate))
    return np.sort(classes[chosen])
