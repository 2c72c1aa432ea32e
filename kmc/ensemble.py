"""Replicas of a simulation: the same numbers whoever runs them."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

import numpy as np
import xarray as xr

from ..physics.errors import InputError
from ..physics.randomness import Rng, describe, generator
from ..physics.waveform import Waveform

__all__ = ["run"]


class _Simulation(Protocol):
    def simulate(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> xr.Dataset: ...


def _one(simulation: _Simulation, waveform: Waveform, rng: np.random.Generator) -> xr.Dataset:
    return simulation.simulate(waveform, rng=rng)


def run(
    simulation: _Simulation,
    waveform: Waveform,
    replicas: int,
    *,
    rng: Rng = None,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Run independent replicas of one simulation.

    Parameters
    ----------
    simulation : object with ``simulate(waveform, rng=...)``
        Must be picklable if more than one process is used.
    waveform : Waveform
        Every replica starts fresh and sees the same stimulus.
    replicas : int, >= 1
        Number of replicas.
    rng : int, numpy.random.Generator or None
        Each replica draws from its own child stream, so its numbers do not depend on `processes` or on order.
    processes : int, optional
        Worker processes; by default one for each core, at most one for each replica.
    progress : callable (done, replicas), optional
        Called after each replica.

    Returns
    -------
    xarray.Dataset
        The traces stacked along a new dimension ``replica``.

    Raises
    ------
    InputError
        If `replicas` or `processes` is not a positive whole number.
    """
    for name, number in (("replicas", replicas), ("processes", 1 if processes is None else processes)):
        if not np.isfinite(number) or int(number) != number or number < 1:
            raise InputError(f"{name} must be a positive whole number", got=number, allowed=">= 1")
    parent = generator(rng)
    seed = describe(parent)
    streams = parent.spawn(replicas)
    workers = min(replicas, (os.cpu_count() or 1) if processes is None else processes)
    traces: list[xr.Dataset | None] = [None] * replicas
    if workers == 1:
        for i, stream in enumerate(streams):
            traces[i] = _one(simulation, waveform, stream)
            if progress is not None:
                progress(i + 1, replicas)
    else:
        # spawn, not fork: numba's and BLAS' threads do not survive a fork
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            jobs = {pool.submit(_one, simulation, waveform, stream): i for i, stream in enumerate(streams)}
            try:
                for done, job in enumerate(as_completed(jobs), start=1):
                    traces[jobs[job]] = job.result()
                    if progress is not None:
                        progress(done, replicas)
            except BrokenProcessPool as error:
                raise InputError(
                    "The worker processes could not start or died",
                    action="Put the call of a script under `if __name__ == '__main__':`, or pass processes=1",
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    complete = [t for t in traces if t is not None]
    stacked = xr.concat(
        complete,
        dim="replica",
        combine_attrs="drop_conflicts",
        data_vars="all",
        coords="minimal",
        join="exact",
        compat="override",
    )
    stacked["voltage"] = complete[0]["voltage"]  # one stimulus for all
    stacked.attrs.update(complete[0].attrs, seed=seed)
    stacked.attrs["counts"] = json.dumps([json.loads(t.attrs["counts"]) for t in complete if "counts" in t.attrs])
    return stacked.assign_coords(replica=("replica", np.arange(replicas), {"units": "1", "long_name": "replica"}))
