"""What a fit compares: ln G, a current that crosses zero, or a conductance; and what is left over.

A residual is *observed less model* in a space where the noise is about equal at every instant. Which space that is
depends on the data, so it is chosen once for all traces of a fit (:func:`choose`), recorded in words, and the same for
every model that a comparison ranks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import InputError
from .ensembles import Ensemble
from .model import CompactModel

__all__ = [
    "AsinhCurrent",
    "Conductance",
    "LnConductance",
    "Residual",
    "choose",
    "correlation_time",
    "predicted",
    "span_of",
]

Array = NDArray[np.float64]

SWITCHING = 3.0  # G_on / G_off from which on a trace counts as switching rather than analog
_FLOOR_S = 1e-18
_LOW, _HIGH = 0.02, 0.98  # quantiles that stand for OFF and ON: single spikes are neither
_RELATIVE = 0.05  # of a current, where the noise is proportional to it
_LOST = 0.7  # noise of ln G above which a logarithm no longer has a normal error


@dataclass(frozen=True)
class LnConductance:
    """ln(G / S): switching over decades, noise in proportion to the signal. What `auto` takes where it can."""

    @property
    def text(self) -> str:
        """The choice in words."""
        return "ln G: relative deviations count alike in every decade"

    def of(self, current_A: Array, conductance_S: Array) -> Array:
        """The compared quantity, shape as the input.

        Parameters
        ----------
        current_A : array, shape (...,), A
            Not used.
        conductance_S : array, shape (...,), S
            Taken as 1e-18 S where it is smaller.

        Returns
        -------
        array, shape (...,), 1
        """
        return np.log(np.maximum(conductance_S, _FLOOR_S))


@dataclass(frozen=True)
class AsinhCurrent:
    """asinh(I / 2 I_0): logarithmic far above the floor I_0, linear below it and through zero.

    Parameters
    ----------
    scale_A : float, A, > 0
        Current at which noise in proportion to the current equals the noise of the instrument.
    """

    scale_A: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale_A) and self.scale_A > 0):
            raise InputError("scale_A must be positive", got=f"{self.scale_A} A")

    @property
    def text(self) -> str:
        """The choice in words."""
        return (
            f"asinh(I / 2 I_0), I_0 = {self.scale_A:.3g} A: relative deviations above I_0, absolute ones below, "
            "where the current is noise"
        )

    def of(self, current_A: Array, conductance_S: Array) -> Array:
        """The compared quantity, shape as the input.

        Parameters
        ----------
        current_A : array, shape (...,), A
        conductance_S : array, shape (...,), S
            Not used.

        Returns
        -------
        array, shape (...,), 1
        """
        return np.arcsinh(current_A / (2.0 * self.scale_A))


@dataclass(frozen=True)
class Conductance:
    """G over a scale: analog synapses, whose conductance changes by less than a factor of three.

    Parameters
    ----------
    scale_S : float, S, > 0
        Typically the largest conductance seen.
    """

    scale_S: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale_S) and self.scale_S > 0):
            raise InputError("scale_S must be positive", got=f"{self.scale_S} S")

    @property
    def text(self) -> str:
        """The choice in words."""
        return f"G / {self.scale_S:.3g} S: absolute deviations of a conductance that changes by less than {SWITCHING:g}"

    def of(self, current_A: Array, conductance_S: Array) -> Array:
        """The compared quantity, shape as the input.

        Parameters
        ----------
        current_A : array, shape (...,), A
            Not used.
        conductance_S : array, shape (...,), S

        Returns
        -------
        array, shape (...,), 1
        """
        return conductance_S / self.scale_S


Residual = LnConductance | AsinhCurrent | Conductance


def span_of(ln_conductance: Array) -> float:
    """ln(G_on / G_off): between the 2 % and the 98 % quantile of all instants.

    Parameters
    ----------
    ln_conductance : array, shape (...,), 1
        ln(G / S) of all traces together.

    Returns
    -------
    float, 1, >= 0
    """
    return float(np.quantile(ln_conductance, _HIGH) - np.quantile(ln_conductance, _LOW))


def _noise(values: Array) -> float:
    """Standard deviation of white noise on a smooth curve: median of the fourth differences."""
    if values.size < 8:
        return 0.0
    fourth = np.convolve(values, np.array([1.0, -4.0, 6.0, -4.0, 1.0]), mode="valid") / math.sqrt(70.0)
    return 1.4826 * float(np.median(np.abs(fourth)))


def choose(ensembles: Sequence[Ensemble]) -> Residual:
    """The residual that the data demand.

    Parameters
    ----------
    ensembles : sequence of Ensemble
        All traces of the fit.

    Raises
    ------
    InputError
        If no current flows in the traces.

    Notes
    -----
    The conductance of each member is looked at. If it is not positive everywhere, or the noise of its logarithm among
    the smallest fifth of the currents exceeds 0.7, the small currents are noise: :class:`AsinhCurrent`, its floor the
    white noise of the small currents over 5 %. Else, if it changes by less than a factor of three over all traces,
    :class:`Conductance`; else :class:`LnConductance`.
    """
    members = [member for e in ensembles for member in e.members]
    lost, floors = False, []
    for member in members:
        g, current = member["conductance"].values, member["current"].values
        small = np.abs(current) <= np.quantile(np.abs(current), 0.2)
        floors.append(_noise(current[small]) if small.sum() >= 8 else 0.0)
        lost = lost or bool((g <= 0).any()) or _noise(np.log(np.maximum(g[small], _FLOOR_S))) > _LOST
    if lost:
        positive = [f for f in floors if f > 0]
        largest = max(float(np.abs(m["current"].values).max()) for m in members)
        if largest == 0.0:
            raise InputError("No current flows in the traces", action="Give traces in which a current flows")
        floor = float(np.median(positive)) / _RELATIVE if positive else 1e-6 * largest
        return AsinhCurrent(min(max(floor, 1e-12 * largest), largest))
    everything = np.concatenate([e.ln_conductance.ravel() for e in ensembles])
    if span_of(everything) < math.log(SWITCHING):
        return Conductance(math.exp(float(everything.max())))
    return LnConductance()


def typical(residual: Residual, ensemble: Ensemble, chosen: NDArray[np.intp] | None = None) -> Array:
    """The compared quantity of the typical run: median over the runs at each instant, from three runs on."""
    rows = np.array([of_trace(residual, member) for member in ensemble.members])
    rows = rows if chosen is None else rows[chosen]
    return np.median(rows, axis=0) if rows.shape[0] >= 3 else rows.mean(axis=0)


def bound_of(residual: Residual, bound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the compared quantity is a lower bound, if the conductance is: a current at its limit is known."""
    return bound & (not isinstance(residual, AsinhCurrent))


def left_over(observed: Array, model: Array, bound: NDArray[np.bool_]) -> Array:
    """Observed less model; none where the observed is a lower bound and the model lies above it."""
    left = observed - model
    return np.where(bound & (left < 0.0), 0.0, left) if bound.any() else left


def told(left: Sequence[Array], bounds: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Instants that say something: all but those at which a lower bound holds."""
    return [~(b & (r == 0.0)) for r, b in zip(left, bounds, strict=True)]


def of_trace(residual: Residual, trace: xr.Dataset) -> Array:
    """The compared quantity of a one-dimensional trace."""
    return residual.of(trace["current"].values.astype(float), trace["conductance"].values.astype(float))


def predicted(model: CompactModel, ensemble: Ensemble, residual: Residual, *, tolerance: float | None = None) -> Array:
    """The compared quantity of the noise-free model under the stimulus of an ensemble, at its instants.

    Parameters
    ----------
    model : CompactModel
        Simulated at the temperature of the ensemble, if the model has one of its own.
    ensemble : Ensemble
    residual : Residual
        Which quantity is compared.
    tolerance : float, 1, in (0, 1), optional
        Of the integration; that of the model, if not given.

    Returns
    -------
    array, shape (time,), 1

    Raises
    ------
    ValidityError, ConvergenceError
        If the model refuses the stimulus.
    """
    waveform, times = ensemble.waveform, ensemble.time_s
    at: Any = getattr(model, "at", None)
    own = getattr(model, "temperature_K", None)
    if at is not None and own is not None and abs(own - ensemble.temperature_K) > 0.5:
        model = at(ensemble.temperature_K)
    if not np.array_equal(waveform.times_s, times):
        waveform = waveform.with_samples(times)
    options: dict[str, Any] = {} if tolerance is None else {"tolerance": tolerance}
    found = model.simulate(waveform, **options)
    values = of_trace(residual, found)
    if found.sizes["time"] != times.size:
        values = values[np.searchsorted(found["time"].values, times)]
    return values


def correlation_time(left: Sequence[Array]) -> float:
    r"""How many successive residuals tell as much as one independent one, :math:`1 + 2 \sum_k \rho_k`.

    Parameters
    ----------
    left : sequence of array, shape (time,)
        Residuals of each trace, in order of time.

    Returns
    -------
    float, 1, >= 1
        1 for white noise; the length of a trace if a misfit runs through all of it.

    Notes
    -----
    The sum ends with Geyer's initial positive sequence: at the first pair of lags whose sum is not positive, so noise
    of the estimate does not add up.

    References
    ----------
    .. [1] C. J. Geyer, Statist. Sci. 7, 473 (1992).
    """
    longest = max((r.size for r in left), default=0)
    if longest < 3:
        return 1.0
    centre = float(np.mean(np.concatenate(left)))
    covariance = np.zeros(longest)
    for r in left:  # FFT, zero-padded so that the correlation does not wrap round
        spectrum = np.fft.rfft(r - centre, 2 * r.size)
        covariance[: r.size] += np.fft.irfft(np.abs(spectrum) ** 2)[: r.size]
    if covariance[0] <= 0.0:
        return 1.0
    rho = covariance / covariance[0]
    total = 0.0
    for k in range(0, longest - 1, 2):
        pair = rho[k] + rho[k + 1]
        if pair <= 0.0:
            break
        total += pair
    return float(min(max(2.0 * total - 1.0, 1.0), longest))
