"""Kinetic Monte Carlo of one mobile defect on a site network, and of the atoms that a vacancy moves."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..physics.errors import InputError, ValidityError
from ..physics.networks import SiteNetwork
from ..physics.randomness import Rng, describe, generator
from ..physics.transport import is_balanced, occupation, rates_of_hops

__all__ = ["walk"]

Floats = NDArray[np.float64]

# an hour at 30 ns a hop
MOST_HOPS = 1e11
# a table of visited sites that fits in 1 GB
MOST_TRACER_HOPS = 30_000_000
# sites that fit into a key beside the cell
MOST_TRACER_SITES = 4095


def walk(
    network: SiteNetwork,
    rates_Hz: ArrayLike,
    *,
    walkers: int = 2000,
    hops: int | None = None,
    time_s: float | None = None,
    tracers: bool = False,
    rng: Rng = None,
) -> xr.Dataset:
    r"""Independent walks of one defect on an unbounded crystal, exact in continuous time.

    Parameters
    ----------
    network : SiteNetwork
        One cell is enough: the walk leaves it and is never folded back.
    rates_Hz : float or array, shape (classes,) or (hops,), Hz
        Rate of each hop; :func:`halidrift.physics.transport.network_rates` gives them from barriers, site energies
        and a uniform field.
    walkers : int, >= 2
        Independent walks; standard errors come from their spread.
    hops : int, >= 1
        Length of each walk in hops; or
    time_s : float, s, > 0
        its length in time. Exactly one of both.
    tracers : bool
        Take the walker for a vacancy and follow every atom that it moves; needs `hops`.
    rng : int, numpy.random.Generator or None
        Seed or generator.

    Returns
    -------
    xarray.Dataset
        Dimensions ``walker`` and ``axis``; every variable has ``units``.

        ============================= =====================================================================
        ``displacement``, ``time``,   of each walker
        ``hops``
        ``diffusion_coefficient``     a third of the trace of ``diffusion_tensor``; in a field, of the
                                      spreading about the drift
        ``velocity``                  mean velocity
        ``correlation_factor``        with `tracers`: mean square displacement of atoms over that of as many
                                      uncorrelated jumps
        ``tracer_coefficient``        with `tracers`: tracer diffusion coefficient divided by the site
                                      fraction of vacancies
        ``..._error``                 standard error of the variable before it
        ============================= =====================================================================

    Raises
    ------
    InputError
        If the rates do not fit the network, or the length of the walk is given twice or not at all.
    ValidityError
        If atoms are to be followed in a field, or the vacancy walks out of the range of the cell counter.

    Notes
    -----
    Walks start from the stationary distribution. Where sites differ, a walk of n hops overestimates or
    underestimates diffusion by a part of the order of 1/n; so do the tracers, whose last encounter is cut off.
    One unbounded vacancy never meets the images of the tracer and never comes back from afar, so the correlation
    factor has no finite-size bias. It is the ``encounter_factor`` of
    :func:`halidrift.physics.correlation.correlation`.

    Examples
    --------
    >>> from halidrift.physics import networks
    >>> run = walk(networks.halide(0.587e-9), 1e6, walkers=4000, hops=200, rng=1)
    >>> exact = 8 / 6 * (0.587e-9 / 2**0.5) ** 2 * 1e6
    >>> bool(abs(run.diffusion_coefficient - exact) < 3 * run.diffusion_coefficient_error)
    True
    """
    rates = rates_of_hops(network, rates_Hz)
    if int(walkers) != walkers or walkers < 2:
        raise InputError("walkers must be a whole number", got=walkers, allowed=">= 2")
    if (hops is None) == (time_s is None):
        raise InputError("Give the length of the walk once", got=f"hops={hops}, time_s={time_s}", allowed="one of them")
    if hops is not None and (int(hops) != hops or hops < 1):
        raise InputError("hops must be a whole number", got=hops, allowed=">= 1")
    if time_s is not None and not (np.isfinite(time_s) and time_s > 0):
        raise InputError("time_s is out of range", got=f"{time_s:g} s", allowed="> 0 s")
    share = occupation(network, rates)
    balanced = is_balanced(network, rates)
    exit_rate = np.bincount(network.source, rates, minlength=network.sites)
    expected = walkers * (float(hops) if hops is not None else float(share @ exit_rate) * float(time_s or 0.0))
    if expected > MOST_HOPS:
        raise InputError(
            "The walk is too long", got=f"about {expected:.2g} hops", allowed=f"at most {MOST_HOPS:.0g} altogether"
        )
    if tracers:
        _check_tracers(network, hops, balanced)
    stream = generator(rng)
    seed = describe(stream)
    first = stream.choice(network.sites, size=int(walkers), p=share).astype(np.int64)
    # numba takes seconds to load: only when there is something to walk
    from . import _walk

    total, accept, alias = _walk.alias_tables(network.start, rates)
    moved = jumped = None
    if tracers:
        assert hops is not None
        size = 1 << int(np.ceil(np.log2(2 * (int(hops) + 2))))
        status, cells, last, times, moved, jumped = _walk.walk_with_tracers(
            network.start,
            network.target,
            network.image,
            network.hop_m,
            network.positions_m,
            network.cell_m,
            total,
            accept,
            alias,
            first,
            int(hops),
            size,
            stream,
        )
        if status != _walk.DONE:
            raise ValidityError(
                "The vacancy left the range in which sites are counted",
                allowed=f"{_walk.REACH} cells each way",
                action="Walk fewer hops with more walkers",
            )
        made = np.full(int(walkers), int(hops), dtype=np.int64)
    else:
        limit = float(time_s) if time_s is not None else np.inf
        most = int(hops) if hops is not None else np.iinfo(np.int64).max
        cells, last, times, made = _walk.walk(
            network.start, network.target, network.image, total, accept, alias, first, most, limit, stream
        )
    displacement = cells @ network.cell_m + network.positions_m[last] - network.positions_m[first]
    attributes = {
        "model": "walk of one defect",
        "network": network.name,
        "sites": network.sites,
        "rates_Hz": json.dumps(sorted({float(f"{rate:.6g}") for rate in rates})),
        "detailed_balance": int(balanced),
        "walkers": int(walkers),
        "tracers": int(tracers),
        "seed": seed,
    }
    if hops is not None:
        attributes["hops"] = int(hops)
    else:
        attributes["time_s"] = float(time_s or 0.0)
    return _dataset(displacement, times, made, moved, jumped, balanced, attributes)


def _check_tracers(network: SiteNetwork, hops: int | None, balanced: bool) -> None:
    if hops is None:
        raise InputError("Tracers need the length of the walk in hops", action="Give hops instead of time_s")
    if hops > MOST_TRACER_HOPS or network.sites > MOST_TRACER_SITES:
        raise InputError(
            "Too many sites to remember",
            got=f"{hops} hops on a cell of {network.sites} sites",
            allowed=f"{MOST_TRACER_HOPS} hops, {MOST_TRACER_SITES} sites",
            action="Use one unit cell, and more walkers with fewer hops",
        )
    if not balanced:
        raise ValidityError(
            "A vacancy in a field leaves its atoms behind and never meets them twice",
            action="Follow tracers without a field",
        )


def _ratio(numerator: Floats, denominator: Floats) -> tuple[Floats, Floats]:
    """Ratio of the means over walkers (first dimension), and its standard error; NaN where nothing was counted."""
    mean = np.asarray(denominator.mean(axis=0), dtype=float)
    mean = np.where(mean > 0, mean, np.nan)  # no hop along an axis that a flat network does not have
    ratio = numerator.mean(axis=0) / mean
    rest = numerator - ratio * denominator
    return ratio, rest.std(axis=0, ddof=1) / np.sqrt(len(numerator)) / mean


def _dataset(
    displacement: Floats,
    times: Floats,
    made: NDArray[np.int64],
    moved: Floats | None,
    jumped: Floats | None,
    balanced: bool,
    attributes: dict[str, object],
) -> xr.Dataset:
    axes = ("axis", "other_axis")
    drift, drift_error = _ratio(displacement, times[:, None])
    centred = displacement if balanced else displacement - drift * times[:, None]
    square = centred[:, :, None] * centred[:, None, :]
    tensor, tensor_error = _ratio(0.5 * square, times[:, None, None])
    mean, mean_error = _ratio(np.trace(square, axis1=1, axis2=2) / 6.0, times)
    data: dict[str, tuple[object, ...]] = {
        "displacement": (("walker", "axis"), displacement, {"units": "m"}),
        "time": ("walker", times, {"units": "s"}),
        "hops": ("walker", made, {"units": "1"}),
        "diffusion_coefficient": ((), mean, {"units": "m2/s"}),
        "diffusion_coefficient_error": ((), mean_error, {"units": "m2/s"}),
        "diffusion_tensor": (axes, tensor, {"units": "m2/s"}),
        "diffusion_tensor_error": (axes, tensor_error, {"units": "m2/s"}),
        "velocity": ("axis", drift, {"units": "m/s"}),
        "velocity_error": ("axis", drift_error, {"units": "m/s"}),
    }
    if moved is not None and jumped is not None:
        factor, factor_error = _ratio(moved.sum(axis=1), jumped.sum(axis=1))
        along, along_error = _ratio(moved, jumped)
        tracer, tracer_error = _ratio(moved.sum(axis=1) / 6.0, times)
        data |= {
            "correlation_factor": ((), factor, {"units": "1"}),
            "correlation_factor_error": ((), factor_error, {"units": "1"}),
            "correlation_factor_axes": ("axis", along, {"units": "1"}),
            "correlation_factor_axes_error": ("axis", along_error, {"units": "1"}),
            "tracer_coefficient": ((), tracer, {"units": "m2/s"}),
            "tracer_coefficient_error": ((), tracer_error, {"units": "m2/s"}),
        }
    names = ["x", "y", "z"]
    return xr.Dataset(data, coords={"axis": names, "other_axis": names}, attrs=attributes)
