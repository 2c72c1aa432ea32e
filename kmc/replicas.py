"""Where replicas run: in this process, in worker processes, or on a Dask cluster."""

from __future__ import annotations

import copy
import functools
import inspect
import multiprocessing
import pickle
import queue
import re
import socket
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from ..physics.errors import HalidriftError, InputError
from ..physics.parent import follow
from ..physics.waveform import Waveform
from .identity import source_digest

__all__ = ["Jobs", "Simulation", "here", "in_processes", "on_dask"]

_PATIENCE_S = 10.0  # for a scheduler to answer
_LOOK_S = 0.25  # between two looks at how far the replicas are


class Simulation(Protocol):
    """Anything that answers the one verb."""

    def simulate(self, waveform: Waveform, *, rng: int | np.random.Generator | None = None) -> xr.Dataset:
        """A trace of one device under a waveform.

        Parameters
        ----------
        waveform : Waveform
        rng : int, numpy.random.Generator or None
            Seed or stream; None draws a seed.

        Returns
        -------
        xarray.Dataset
            As :func:`halidrift.physics.trace.check` wants it.
        """
        ...


Running = Callable[[float], None]
Found = Generator[tuple[int, xr.Dataset], None, None]  # number and trace of each replica, as they come


@dataclass(frozen=True)
class Jobs:
    """Replicas to run.

    Attributes
    ----------
    simulation : Simulation
    waveform : Waveform
    streams : mapping of int to Generator
        Random stream of each replica, by its number.
    """

    simulation: Simulation
    waveform: Waveform
    streams: Mapping[int, np.random.Generator]

    def packed(self) -> bytes:
        """What a worker needs once, whatever the number of replicas that it runs."""
        try:
            return pickle.dumps((self.simulation, self.waveform, source_digest(self.simulation)))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise InputError(
                "The simulation cannot be sent to another process",
                got=str(error),
                action="Define its class in a module, or pass processes=1",
            ) from error


@functools.lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> tuple[Simulation, Waveform]:
    """Simulation and waveform, once for each worker: what a simulation derives from its card is then shared too."""
    try:
        simulation, waveform, source = pickle.loads(packed)
    except (ImportError, AttributeError) as error:
        raise HalidriftError(
            "A worker cannot load the simulation",
            got=str(error),
            action="Install the same packages on every machine of the cluster",
        ) from error
    if source_digest(simulation) != source:
        raise HalidriftError(
            "A worker runs other code than the process that asked",
            action="Install the same version of halidrift on every machine of the cluster, and restart its workers",
        )
    return simulation, waveform


def _one(packed: bytes, stream: np.random.Generator, tell: Running | None = None) -> xr.Dataset:
    simulation, waveform = _unpacked(packed)
    # a copy: a task that runs again after its worker was lost must find the stream as it was
    return simulation.simulate(waveform, rng=copy.deepcopy(stream), **_telling(simulation, waveform, tell))


def _telling(simulation: Simulation, waveform: Waveform, tell: Running | None) -> dict[str, Any]:
    """The argument with which a simulation that can tells the share of the reported instants that it has reached."""
    inner = getattr(simulation, "simulation", simulation)  # of a Sampled, which hands it on
    if tell is None or any("progress" not in inspect.signature(s.simulate).parameters for s in (simulation, inner)):
        return {}
    times = waveform.times_s
    return {"progress": lambda time_s: tell(int(times.searchsorted(time_s, side="right")) / times.size)}


def _clock() -> Callable[[], bool]:
    """Whether it is time again to tell how far the replicas are."""
    last = time.monotonic()

    def due() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOOK_S:
            return False
        last = now
        return True

    return due


def here(jobs: Jobs, running: Running | None = None) -> Found:
    """Run one after another in this process.

    Parameters
    ----------
    jobs : Jobs
    running : callable (share), optional
        Told a few times a second how much of the replica that runs is done.
    """
    due = _clock()
    tell = None if running is None else lambda share: running(share) if due() else None
    for number, stream in jobs.streams.items():
        told = _telling(jobs.simulation, jobs.waveform, tell)
        yield number, jobs.simulation.simulate(jobs.waveform, rng=stream, **told)


# -- worker processes ----------------------------------------------------------------------------------------


_packed = b""  # of the ensemble that a worker process serves
_shares: Any = None  # of the replicas that run, in memory that all processes see; None if nobody asks


def _begin(packed: bytes, shares: Any) -> None:
    global _packed, _shares
    _packed, _shares = packed, shares
    follow()


def _next(stream: np.random.Generator, place: int) -> xr.Dataset:
    return _one(_packed, stream, None if _shares is None else functools.partial(_shares.__setitem__, place))


def in_processes(jobs: Jobs, workers: int, running: Running | None = None) -> Found:
    """Run in worker processes of this machine, and yield each replica as it comes.

    Parameters
    ----------
    jobs : Jobs
    workers : int, >= 1
        Processes.
    running : callable (share), optional
        Told a few times a second how much of the replicas that run is done, all together.

    Raises
    ------
    HalidriftError
        If a worker dies; every replica that came before was yielded.
    """
    packed = jobs.packed()
    before = set(multiprocessing.active_children())
    # spawn, not fork: numba's and BLAS' threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    shares: Any = None if running is None else context.RawArray("d", len(jobs.streams))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(packed, shares))
    clean, came, broken = False, 0, None
    due = _clock()
    ended: queue.SimpleQueue[Future[xr.Dataset]] = queue.SimpleQueue()
    futures: dict[Future[xr.Dataset], tuple[int, int]] = {}
    try:
        for place, (number, stream) in enumerate(jobs.streams.items()):
            future = pool.submit(_next, stream, place)
            futures[future] = number, place
            future.add_done_callback(ended.put)
        while futures:
            if running is not None and due():
                running(sum(shares))
            try:
                future = ended.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            number, place = futures.pop(future)
            if shares is not None:
                shares[place] = 0.0
            try:
                trace = future.result()
            except BrokenProcessPool as error:
                broken = error  # others may have come before
                continue
            came += 1
            yield number, trace
        clean = broken is None
    finally:
        if not clean:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
        pool.shutdown(cancel_futures=True)
    if broken is not None:
        raise HalidriftError(
            "A worker process died" if came else "The worker processes could not start, or died at once",
            action="Too little memory is a common cause; try fewer processes"
            if came
            else "Put the call of a script under `if __name__ == '__main__':`, or pass processes=1",
        ) from broken


# -- Dask ----------------------------------------------------------------------------------------------------


def _client(distributed: Any, address: str) -> Any:
    """A client of the scheduler; nobody at the door is told at once, not after Dask's own retries."""
    found = re.fullmatch(r"(?:tcp|tls)://(\[[^]]+\]|[^:/]+):(\d+)/?", address)
    if found is None:
        raise InputError("dask is not an address", got=address, allowed="tcp://host:8786 or tls://host:8786")
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=_PATIENCE_S).close()
        return distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, OverflowError) as error:
        what, action = "No Dask scheduler answers", "Start one with `dask scheduler`, or check host and port"
        raise InputError(what, got=f"{address}: {error}", action=action) from error


def on_dask(jobs: Jobs, dask: Any) -> Found:
    """Run on a Dask cluster, and yield each replica as it comes; a lost worker's replicas run again on another.

    Parameters
    ----------
    jobs : Jobs
    dask : str or distributed.Client
        Address of the scheduler, or a client of it.

    Raises
    ------
    InputError
        If Dask is not installed, `dask` is neither, or no scheduler answers there.
    HalidriftError
        If the scheduler is lost, or a replica takes its workers down again and again.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError("Dask is not installed", action="pip install 'halidrift[campaign]'") from error
    packed, own = jobs.packed(), isinstance(dask, str)
    if not (own or isinstance(dask, distributed.Client)):
        raise InputError("dask must be an address or a client", got=repr(dask), allowed='"tcp://host:8786"')
    client = _client(distributed, dask) if own else dask
    futures: dict[Any, int] = {}
    try:
        for number, stream in jobs.streams.items():
            futures[client.submit(_one, packed, stream, pure=False)] = number
        for future, trace in distributed.as_completed(list(futures), loop=client.loop, with_results=True):
            if isinstance(trace, BaseException):  # how a future ends whose scheduler is gone
                raise trace
            number = futures.pop(future)
            future.release()
            yield number, trace
        if futures:
            raise OSError("the scheduler went away")
    except (distributed.KilledWorker, distributed.CancelledError, OSError, ImportError) as error:
        raise HalidriftError(
            "The Dask cluster failed",
            got=f"{type(error).__name__}: {error}",
            action="Look at the logs of its workers: too little memory and a missing halidrift are common causes",
        ) from error
    finally:
        if futures and client.status == "running":
            client.cancel(list(futures))
        if own:
            client.close()
