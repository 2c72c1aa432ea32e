"""All figures of merit that given traces allow, and for the others why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import xarray as xr

from ...physics.errors import HalidriftError, InputError
from . import device_rows, synapse_rows
from .context import Options, Progress, sort
from .merits import Merit, Missing, Report
from .pieces import several

__all__ = ["report"]


def report(
    given: xr.Dataset | Sequence[xr.Dataset],
    *,
    read_V: float = 0.1,
    write_V: float = 2.0,
    rest_V: float | None = None,
    ratio: float = 10.0,
    reset_fraction: float = 0.5,
    factor: float = 10.0,
    consecutive: int = 1,
    retention_fraction: float = 0.5,
    criterion: float = 3.0,
    use_K: float = 300.0,
    rectification_V: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compute every figure of merit that the traces allow.

    Parameters
    ----------
    given : Dataset or sequence of Dataset
        Of any model or measurement, with any dimensions besides time; sweeps, pulses, spikes and watches may be mixed.
        Area and temperature are read from the attributes ``area_m2`` and ``temperature_K``, or from the device of a
        simulation.
    read_V, write_V : float, V, > 0
        Where sweeps are read for the on/off ratio in both definitions.
    rest_V : float, V, >= 0, optional
        Largest voltage that counts as no stimulus, for pulses and relaxation; half of the largest of each run, if not
        given, so that reads count as rest.
    ratio : float, 1, > 1
        Rise of conductance that counts as SET.
    reset_fraction : float, 1, in (0, 1)
        Fall of conductance that counts as RESET.
    factor : float, 1, > 1
        Window between the states below which a cycle has failed.
    consecutive : int, >= 1
        Cycles in a row that must fail for the device to have failed.
    retention_fraction : float, 1, in (0, 1)
        Share of its conductance that a state must keep.
    criterion : float, 1, > 0
        Distance of states, in the sum of their standard deviations.
    use_K : float, K, > 0
        Temperature to which retention is extrapolated.
    rectification_V : float, V, > 0

    progress : callable (done, kinds), optional
        Called at first and after each kind of figure.

    Returns
    -------
    Report
        ``report["set voltage"].value``; print it for a table; ``merits`` and ``missing`` hold all.

    Raises
    ------
    InputError
        If something given is no trace, or an argument is out of range.

    Notes
    -----
    An unsuitable trace never fails the report: it leads to an entry under `missing`.
    """
    if isinstance(consecutive, bool) or int(consecutive) != consecutive or consecutive < 1:
        raise InputError("consecutive is out of range", got=consecutive, allowed="a whole number >= 1")
    options = Options(
        read_V=read_V,
        write_V=write_V,
        rest_V=rest_V,
        ratio=ratio,
        reset_fraction=reset_fraction,
        factor=factor,
        consecutive=consecutive,
        retention_fraction=retention_fraction,
        criterion=criterion,
        use_K=use_K,
        rectification_V=rectification_V,
    )
    for name, value in vars(options).items():
        if value is None or name == "consecutive":
            continue
        least = 1.0 if name in ("ratio", "factor") else 0.0
        most = 1.0 if name.endswith("fraction") else math.inf
        fits = least <= value < most if name == "rest_V" else least < value < most
        if not (math.isfinite(value) and fits):
            raise InputError(f"{name} is out of range", got=value, allowed=f"above {least:g}, below {most:g}")
    state = Progress(sort(several(given)), options)
    merits: list[Merit] = []
    missing: list[Missing] = []
    rows = device_rows.ROWS | synapse_rows.ROWS
    for done, (name, compute) in enumerate(rows.items()):
        if progress is not None:
            progress(done, len(rows))
        try:
            merits += list(compute(state))
        except HalidriftError as error:
            got = getattr(error, "got", None)
            missing.append(Missing(name, error.what + ("" if got is None else f" ({got})")))
    if progress is not None:
        progress(len(rows), len(rows))
    return Report(tuple(merits), tuple(missing), **state.kept)
