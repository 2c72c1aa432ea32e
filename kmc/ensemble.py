"""Replicas of a simulation: the same numbers whoever runs them, kept as they come, continued where they stopped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..physics.errors import InputError
from ..physics.randomness import Rng, describe, generator, recall
from ..physics.waveform import Waveform
from .identity import identity
from .replicas import Found, Jobs, Running, Simulation, here, in_processes, on_dask
from .sampled import Sampled
from .stack import Frame, record_of
from .store import Store

__all__ = ["read", "run"]


def run(
    simulation: Simulation,
    waveform: Waveform,
    replicas: int,
    *,
    rng: Rng = None,
    processes: int | None = None,
    dask: Any = None,
    store: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    running: Callable[[float], None] | None = None,
    sampled: bool = False,
) -> xr.Dataset:
    """Run independent replicas of one simulation.

    Parameters
    ----------
    simulation : object with ``simulate(waveform, rng=...)``
        Must be picklable if more than one process is used, and a dataclass if there is a store.
    waveform : Waveform
        Every replica starts fresh and sees the same stimulus.
    replicas : int, >= 1
        Number of replicas.
    rng : int, numpy.random.Generator or None
        Replica i draws from child stream i, so its numbers do not depend on who runs it, nor in which order. None draws
        a seed, or takes that of the store.
    processes : int, optional
        Worker processes; by default one for each core, at most one for each replica.
    dask : str or distributed.Client, optional
        Scheduler of a Dask cluster (``"tcp://host:8786"``) that runs the replicas instead.
    store : path, optional
        Zarr store (``"runs.zarr"``) that keeps each replica as it finishes. The same call continues an ensemble that
        was interrupted or killed; more replicas than before extend it.
    progress : callable (done, replicas), optional
        Called after each replica, and at first with what the store holds already.
    running : callable (share), optional
        Called a few times a second, between calls of `progress`, with how much of the replicas that run is done: the
        sum of the shares of their reported instants, 1 for a whole replica. Changes no number. Only of a simulation
        whose ``simulate`` has an argument `progress`, and not on a cluster.
    sampled : bool
        Whether every replica is another device, drawn from the spreads of the card. Replica i draws it from its own
        child stream; what was drawn stands along ``replica`` as ``drawn_dissolution_barrier_eV`` and so on.

    Returns
    -------
    xarray.Dataset
        The traces stacked along a new dimension ``replica``; the same with a store and without. Attributes that each
        replica has of its own (``counts``) become lists, in JSON. Replica i replays with
        ``recall(attrs["seed"]).spawn(i + 1)[i]``, if sampled as ``Sampled(simulation).simulate``.

    Raises
    ------
    InputError
        If `replicas` or `processes` is not a positive whole number; if `sampled` and the device has no spread; if the
        store holds another ensemble (the error says what differs) or is in use; if Zarr or Dask is needed and not
        installed.
    HalidriftError
        If a worker or the cluster is lost. Replicas that were finished are in the store.

    Notes
    -----
    The store takes replicas from this process alone, whoever ran them: a cluster needs no common disk.

    Examples
    --------
    >>> from halidrift import Device, Waveform
    >>> from halidrift.kmc import FilamentKMC
    >>> rest = Waveform.hold(0.1, 1e-3, samples=3)
    >>> narrow = Device.load("john2022-ogb").with_parameters(column_width_m=3e-9)
    >>> two = run(FilamentKMC(narrow), rest, 2, rng=1, processes=1)
    >>> dict(two.conductance.sizes)
    {'replica': 2, 'time': 3}
    >>> leaky = FilamentKMC(narrow.with_spread(leakage_S=1e-9))
    >>> run(leaky, rest, 2, rng=1, processes=1, sampled=True).drawn_leakage_S.dims
    ('replica',)
    """
    if sampled and not isinstance(simulation, Sampled):
        simulation = Sampled(simulation)
    if not isinstance(waveform, Waveform):
        action = "Make one, as with Waveform.triangle"
        raise InputError("An ensemble needs a Waveform", got=str(waveform), action=action)
    replicas = _whole(replicas, "replicas")
    if processes is not None:
        processes = _whole(processes, "processes")
        if dask is not None:
            raise InputError("dask and processes exclude each other", action="Leave one of them out")
    if store is not None:
        return _kept(simulation, waveform, replicas, rng, processes, dask, store, progress, running)
    parent = generator(rng)
    seed = describe(parent)
    traces: dict[int, xr.Dataset] = {}
    streams = dict(enumerate(parent.spawn(replicas)))
    with contextlib.closing(_results(Jobs(simulation, waveform, streams), processes, dask, running)) as results:
        for number, trace in results:
            traces[number] = trace
            if progress is not None:
                progress(len(traces), replicas)
    frame = Frame.of(traces[0])
    for number, trace in sorted(traces.items()):
        frame.check(trace, number)
    columns = {name: np.stack([traces[i][name].values for i in range(replicas)]) for name in frame.own}
    return frame.stack(columns, [record_of(traces[i]) for i in range(replicas)], range(replicas), seed)


def _kept(
    simulation: Simulation,
    waveform: Waveform,
    replicas: int,
    rng: Rng,
    processes: int | None,
    dask: Any,
    store: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None,
    running: Running | None,
) -> xr.Dataset:
    with Store.held(store) as kept:
        known = kept.identity["seed"] if kept.identity is not None and rng is None else None
        parent = generator(rng) if known is None else recall(known)
        kept.claim(identity(simulation, waveform, describe(parent)), replicas)
        streams = {i: s for i, s in enumerate(parent.spawn(replicas)) if i not in kept.finished}
        done = replicas - len(streams)
        if done and progress is not None:
            progress(done, replicas)
        if streams:
            jobs = Jobs(simulation, waveform, streams)
            with contextlib.closing(_results(jobs, processes, dask, running)) as results:
                for number, trace in results:
                    kept.put(number, trace)
                    done += 1
                    if progress is not None:
                        progress(done, replicas)
        return kept.read(range(replicas))


def _results(jobs: Jobs, processes: int | None, dask: Any, running: Running | None) -> Found:
    if dask is not None:
        return on_dask(jobs, dask)
    workers = min(len(jobs.streams), len(os.sched_getaffinity(0)) if processes is None else processes)
    return here(jobs, running) if workers == 1 else in_processes(jobs, workers, running)


def _whole(value: Any, name: str) -> int:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or int(value) != value or value < 1:
        raise InputError(f"{name} must be a positive whole number", got=value, allowed=">= 1")
    return int(value)


def read(store: str | os.PathLike[str], *, partial: bool = False) -> xr.Dataset:
    """The ensemble in a store, as :func:`run` returned it.

    Parameters
    ----------
    store : path
        Zarr store that :func:`run` wrote, or is writing.
    partial : bool
        Whether an ensemble that is not complete may be read: its finished replicas, by their numbers.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If there is no store, or a chunk of it is missing or damaged.
    InputError
        If replicas are missing and `partial` is False.
    """
    kept = Store(store)
    if kept.identity is None:
        raise InputError("No such store", got=str(store), action="Run an ensemble with store= first")
    missing = kept.size - len(kept.finished)
    if missing and not partial:
        raise InputError(
            f"{kept.path} is not complete",
            got=f"{len(kept.finished)} of {kept.size} replicas",
            action="Run the same ensemble again to finish it, or pass partial=True",
        )
    if not kept.finished:
        raise InputError(f"{kept.path} holds no finished replica", action="Run the same ensemble again")
    return kept.read(sorted(kept.finished))
