"""Snapshots of a filament: which reported instants are kept, and what is kept of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import InputError
from . import _engine

__all__ = ["Album", "Wanted", "instants", "wanted"]

Wanted = int | Sequence[float] | NDArray[np.float64] | None


def wanted(snapshots: Wanted) -> int | tuple[float, ...] | None:
    """What was asked for as plain data: None, a number of snapshots, or times in s.

    Parameters
    ----------
    snapshots : None, int >= 1, or sequence of float, s

    Returns
    -------
    None, int or tuple of float, s

    Raises
    ------
    InputError
        If it is none of these.
    """
    if snapshots is None:
        return None
    allowed = "a whole number >= 1, or times in s such as [0.01, 0.02]"
    action = "For one snapshot at 0.02 s pass [0.02]"
    if np.ndim(snapshots) == 0 or isinstance(snapshots, str | bytes):
        if isinstance(snapshots, bool) or not isinstance(snapshots, int | np.integer) or snapshots < 1:
            raise InputError("snapshots is no number of snapshots", got=snapshots, allowed=allowed, action=action)
        return int(snapshots)
    try:
        times = np.asarray(snapshots, dtype=float)
    except (TypeError, ValueError):
        times = np.array([])
    if times.ndim != 1 or times.size == 0 or not np.isfinite(times).all():
        raise InputError("snapshots holds no times", got=repr(snapshots), allowed=allowed, action=action)
    return tuple(times.tolist())


def instants(snapshots: Wanted, times_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Numbers of the reported instants at which a snapshot is taken, in order, each once.

    Parameters
    ----------
    snapshots : None, int >= 1, or sequence of float, s
        A number is spread evenly over the instants from the first to the last (one alone: the last). A time is
        rounded to the nearest instant, to the earlier one half way.
    times_s : array, shape (time,), s, strictly increasing
        Reported instants.

    Returns
    -------
    int array, shape (snapshot,)
        Empty for None. Times that round to one instant make one snapshot.

    Raises
    ------
    InputError
        If there are fewer instants than snapshots, or a time lies outside the waveform.

    Examples
    --------
    >>> times = np.array([0.0, 1e-3, 2e-3, 5e-3, 9e-3])
    >>> instants(3, times).tolist(), instants([4e-3, 1e-4], times).tolist()
    ([0, 2, 4], [0, 3])
    """
    asked = wanted(snapshots)
    if asked is None:
        return np.array([], np.intp)
    if isinstance(asked, int):
        if asked > len(times_s):
            raise InputError(
                "More snapshots than reported instants",
                got=asked,
                allowed=f"1 to {len(times_s)}",
                action="Report more often: Waveform.with_samples, or samples_per_period, samples_per_V, samples",
            )
        if asked == 1:
            return np.array([len(times_s) - 1], np.intp)
        return np.linspace(0, len(times_s) - 1, asked).round().astype(np.intp)
    times = np.array(asked)
    outside = (times < times_s[0]) | (times > times_s[-1])
    if outside.any():
        raise InputError(
            "A snapshot lies outside the waveform",
            got=f"{times[outside][0]!s} s",
            allowed=f"{times_s[0]:g} to {times_s[-1]:g} s",
        )
    after = np.searchsorted(times_s, times).clip(1, len(times_s) - 1)
    nearest = after - (times - times_s[after - 1] <= times_s[after] - times)
    return np.unique(nearest).astype(np.intp)


class Album:
    """Collects snapshots while a filament runs; reads the state and changes nothing of it.

    Parameters
    ----------
    at : int array, shape (snapshot,), strictly increasing
        Numbers of the instants, as :func:`instants` gives them.
    shape : tuple of int
        Sites along x, y and z.
    """

    def __init__(self, at: NDArray[np.intp], shape: tuple[int, int, int]):
        self._slot = {int(number): i for i, number in enumerate(at)}
        self._occupation = np.empty((len(at), *shape), np.int8)
        self._potential = np.full((len(at), *shape), np.nan, np.float32)

    def keep(self, number: int, state: _engine.State) -> None:
        """Take a snapshot if one is due at this instant.

        Parameters
        ----------
        number : int
            Of the reported instant, from 0.
        state : State
            Of the compiled engine.
        """
        slot = self._slot.get(number)
        if slot is None:
            return
        self._occupation[slot].flat = state.occupation
        atoms = state.metal[: state.tally[_engine.N_METAL]]
        potential = np.full(state.u.shape, np.nan, np.float32)
        potential[atoms] = state.u[atoms]
        self._potential[slot].flat = potential

    def variables(self) -> dict[str, tuple[Any, Any, str, str]]:
        """Variables of the trace, as :func:`halidrift.physics.trace.make` takes them; none without snapshots.

        Returns
        -------
        dict of str to tuple
            Dimensions, values, unit and meaning of each.
        """
        if not self._slot:
            return {}
        dims = ("snapshot", "x", "y", "z")
        return {
            "snapshot_occupation": (dims, self._occupation, "1", "0 empty, 1 ion, 2 metal"),
            "snapshot_potential": (
                dims,
                self._potential,
                "1",
                "potential of the metal: 0 counter electrode, 1 active electrode",
            ),
        }
