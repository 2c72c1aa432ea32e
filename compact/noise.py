"""Read noise of traces: what scatters from instant to instant around a curve that is smooth on that scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ensembles import Ensemble
from .parameters import FittedParameter

__all__ = ["plateau_noise", "read_noise"]

_NOISE_RESOLUTION = 1e-3
_KERNEL = np.array([1.0, -4.0, 6.0, -4.0, 1.0])  # fourth differences: a cubic leaves nothing
_NORM = math.sqrt(70.0)
_LEAST = 20  # differences from which on a median means something


def read_noise(ensembles: Sequence[Ensemble]) -> FittedParameter:
    """Relative read noise of all instants, for models whose noise has no floor.

    The median of the fourth differences of ln G, so that jumps do not count; it needs a sampling several times finer
    than the changes of the state.

    Parameters
    ----------
    ensembles : sequence of Ensemble
        Instants around which the voltage turns or jumps are left out.
    """
    parts = []
    for e in ensembles:
        # a stretch in which the voltage turns or jumps holds a response of the device, not its noise
        bend = np.abs(np.diff(e.voltage_V, 2)) > 1e-6 * max(float(np.abs(e.voltage_V).max()), 1e-12)
        smooth = ~np.lib.stride_tricks.sliding_window_view(bend, 3).any(axis=1)
        parts += [np.convolve(row, _KERNEL, mode="valid")[smooth] / _NORM for row in e.ln_conductance]
    values = np.concatenate(parts)
    if values.size < _LEAST:
        reason = f"not estimated: no {_LEAST} stretches of five instants in which the voltage runs straight"
        return FittedParameter("read_noise", 0.0, "1", None, "fixed", reason)
    width = 1.4826 * float(np.median(np.abs(values)))
    text = f"{values.size} fourth differences of ln G"
    if width < _NOISE_RESOLUTION:
        return FittedParameter("read_noise", 0.0, "1", None, "fitted", f"below {_NOISE_RESOLUTION:g} in {text}")
    # efficiency of the median deviation is 37 %, and each instant enters five differences
    error = width * math.sqrt(1.0 / (2.0 * 0.37 * max(values.size / 2.0, 1.0)))
    return FittedParameter("read_noise", width, "1", error, "fitted", text)


def plateau_noise(ensembles: Sequence[Ensemble], low: float, high: float) -> dict[str, FittedParameter]:
    """Relative and absolute read noise from fourth differences of ln G on the ON and OFF plateaus.

    Parameters
    ----------
    ensembles : sequence of Ensemble
    low, high : float
        ln of the OFF and the ON conductance.

    Returns
    -------
    dict
        Entries ``read_noise`` and ``read_noise_floor_S``.
    """
    found: dict[str, list[NDArray[np.float64]]] = {"on": [], "off": []}
    for e in ensembles:
        for row in e.ln_conductance:
            state = (row - low) / (high - low)
            fourth = np.convolve(row, _KERNEL, mode="valid") / _NORM
            window = np.lib.stride_tricks.sliding_window_view(state, 5)
            found["on"].append(fourth[(window > 0.8).all(axis=1)])
            found["off"].append(fourth[(window < 0.2).all(axis=1)])
    width, count = {}, {}
    for level, parts in found.items():
        values = np.concatenate(parts)
        count[level] = values.size
        width[level] = 1.4826 * float(np.median(np.abs(values))) if values.size >= 20 else math.nan
        if width[level] < _NOISE_RESOLUTION:
            width[level] = 0.0
    if math.isnan(width["on"]) and math.isnan(width["off"]):
        reason = "not estimated: no plateau of twenty instants"
        return {
            "read_noise": FittedParameter("read_noise", 0.0, "1", None, "fixed", reason),
            "read_noise_floor_S": FittedParameter("read_noise_floor_S", 0.0, "S", None, "fixed", reason),
        }
    relative = width["off"] if math.isnan(width["on"]) else width["on"]
    size = count["off"] if math.isnan(width["on"]) else count["on"]
    # efficiency of the median deviation is 37 %, and each instant enters five differences
    error = relative * math.sqrt(1.0 / (2.0 * 0.37 * max(size / 2.0, 1.0)))
    plateau = f"{size} fourth differences on plateaus"
    excess = 0.0 if math.isnan(width["off"]) else max(width["off"] ** 2 - relative**2, 0.0)
    floor = math.sqrt(excess) * math.exp(low) if excess > (0.3 * relative) ** 2 else 0.0
    return {
        "read_noise": FittedParameter(
            "read_noise",
            relative,
            "1",
            error if relative else None,
            "fitted",
            plateau if relative else f"below {_NOISE_RESOLUTION:g} in {plateau}",
        ),
        "read_noise_floor_S": FittedParameter(
            "read_noise_floor_S",
            floor,
            "S",
            None,
            "fitted",
            f"OFF against ON plateaus, {count['off']} and {count['on']} differences",
        ),
    }
