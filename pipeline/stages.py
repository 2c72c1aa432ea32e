"""Stages of a job: each result is kept under the hash of everything that it depends on.

A stage's folder appears whole or not at all, so an interrupted job leaves finished stages usable and nothing half
written. The key of a stage is the hash of its inputs, the keys of the stages before it and the source files of the
levels that it runs: an edit of the physics, of a device card or of a seed makes a new key.

Several processes may share a folder: who computes a stage holds its lock, and another that needs the same stage waits
for it and reads it. The lock of a process that ended, however it ended, is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..physics import lock
from ..physics import trace as traces
from ..physics.errors import DataError, HalidriftError, OutputError
from ..physics.files import PART, settle, umask, unwritable, write_whole
from ..physics.parent import follow

__all__ = ["Cache", "Result", "Workers", "check_writable", "digest", "file_digest", "source_digest"]

_PACKAGE = Path(__file__).resolve().parents[1]
_LOCK = ".lock"
_log = logging.getLogger(__name__)


@dataclass
class Result:
    """What a stage leaves: plain data, and datasets by name.

    Attributes
    ----------
    data : dict
        JSON-serialisable.
    traces : dict of str to Dataset
    key : str
        Hash of what it depends on.
    cached : bool
        Whether it was read rather than computed.
    wall_s : float, s
        Time that the computation took, also if it was read.
    """

    data: dict[str, Any] = field(default_factory=dict)
    traces: dict[str, xr.Dataset] = field(default_factory=dict)
    key: str = ""
    cached: bool = False
    wall_s: float = 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not plain data")


def _finite(value: Any) -> Any:
    """JSON knows neither nan nor inf: they become null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return None
    return value


def to_json(data: Any, *, indent: int | None = None) -> str:
    """Plain data as strict JSON."""
    text = json.dumps(data, default=_plain, indent=indent, ensure_ascii=False)
    return json.dumps(_finite(json.loads(text)), indent=indent, ensure_ascii=False, allow_nan=False)


def digest(inputs: Any) -> str:
    """Hash of plain data, independent of the order of its keys.

    Parameters
    ----------
    inputs : object
        What JSON can hold, and arrays, numpy numbers and paths.
    """
    text = json.dumps(inputs, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def source_digest(*levels: str) -> str:
    """Hash of the Python source of sub-packages (``"kmc"``) or single modules (``"pipeline/spikes.py"``).

    Parameters
    ----------
    *levels : str
        Relative to the package; the order does not matter.
    """
    total = hashlib.sha256()
    for level in sorted(set(levels)):
        place = _PACKAGE / level
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            total.update(file.relative_to(_PACKAGE).as_posix().encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def file_digest(folder: str | os.PathLike[str], names: Sequence[str]) -> str:
    """Hash of the content of files of the user's, each by its name with or without ``.gz``; a missing one is none.

    Parameters
    ----------
    folder : path
    names : sequence of str
        Without ``.gz``.
    """
    total = hashlib.sha256()
    for name in names:
        for file in (Path(folder) / name, Path(folder) / f"{name}.gz"):
            if file.is_file():
                total.update(file.name.encode())
                with open(file, "rb") as stream:
                    total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def check_writable(folder: str | os.PathLike[str], *, option: str = "--out") -> Path:
    """Make the output folder and prove that a file can be written there, before any work is done.

    Parameters
    ----------
    folder : path
        Made with its parents, if missing.
    option : str
        Option of the command line that the error advises to change.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target, prefix=".", suffix=PART)
        os.close(handle)
        Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            "The output folder cannot be written",
            got=f"{target}: {error.strerror or error}",
            allowed="a folder that you may write to, or a path at which one can be made",
            action=f"Choose another folder with {option}",
        ) from error
    return target


def write_text(text: str, path: Path) -> Path:
    """Write a text file; it appears whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    return write_whole(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


class Cache:
    """Finished stages in a folder.

    Parameters
    ----------
    folder : path
        One sub-folder for each stage and key.
    fresh : bool
        Forget what is there.
    """

    def __init__(self, folder: str | os.PathLike[str], *, fresh: bool = False):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear(fresh)
        except OSError as error:
            raise unwritable(
                f"{self.folder} cannot be used to keep finished stages",
                error,
                action="Choose another folder with --out",
            ) from error

    def _unusable(self, error: OSError) -> OutputError:
        what = f"{self.folder} cannot be used to keep finished stages"
        return unwritable(what, error, action="Choose another folder with --out")

    def _clear(self, fresh: bool) -> None:
        """Remove what killed processes left, with `fresh` also what is finished; what is being computed stays."""
        names = [path.name for path in self.folder.iterdir()]
        started = {Path(name).stem for name in names if name.startswith(".")}
        for name in {*started, *(f".{n}" for n in names if fresh and not n.startswith("."))}:
            with contextlib.suppress(lock.Busy), lock.held(self.folder / f"{name}{_LOCK}"):
                shutil.rmtree(self.folder / f"{name}{PART}", ignore_errors=True)
                if fresh:
                    shutil.rmtree(self.folder / name[1:], ignore_errors=True)

    @staticmethod
    def folder_name(stage: str, key: str) -> str:
        """Name of the folder of one result.

        Parameters
        ----------
        stage : str
        key : str
            Hash of what the result depends on; its first 20 digits enter the name.
        """
        return f"{stage}-{key[:20]}"

    def place(self, stage: str, key: str) -> Path:
        """Folder of one result.

        Parameters
        ----------
        stage : str
        key : str
            Hash of what the result depends on.
        """
        return self.folder / self.folder_name(stage, key)

    def load(self, stage: str, key: str) -> Result | None:
        """The result of a stage, if it was finished with the same inputs.

        Parameters
        ----------
        stage : str
        key : str
            Hash of what the result depends on; the whole of it must agree.
        """
        place = self.place(stage, key)
        try:
            record = json.loads((place / "stage.json").read_text(encoding="utf-8"))
            if record["key"] != key:
                return None
            found = {name: traces.load(place / f"{name}.nc") for name in record["traces"]}
            return Result(record["data"], found, key, True, float(record["wall_s"]))
        # missing, or damaged in its JSON, in what it must hold, or in a trace: costs the time to compute it anew
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, DataError):
            return None

    def store(self, stage: str, result: Result) -> None:
        """Keep a finished result.

        Parameters
        ----------
        stage : str
        result : Result
            With its key; replaces what lies in the same place.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        place = self.place(stage, result.key)
        part = self.folder / f".{place.name}{PART}"  # one name: who stores holds the lock of the stage
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for name, data in result.traces.items():
                traces.write(data, part / f"{name}.nc")
            record = {
                "stage": stage,
                "key": result.key,
                "wall_s": result.wall_s,
                "traces": list(result.traces),
                "data": result.data,
            }
            write_text(to_json(record, indent=1), part / "stage.json")
            if place.exists():  # damaged, or load() would have found it
                shutil.rmtree(place)
            os.chmod(part, 0o777 & ~umask())
            os.replace(part, place)
            settle(self.folder)
        except OSError as error:
            raise unwritable(f"{place} could not be written", error) from error
        finally:
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)

    def run(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        levels: Sequence[str],
        compute: Callable[[], tuple[dict[str, Any], dict[str, xr.Dataset]]],
    ) -> Result:
        """Result of a stage, read if nothing that it depends on has changed, else computed and kept.

        While another process computes the same stage, this one waits for it; the log tells for whom (as a warning).

        Parameters
        ----------
        stage : str
        inputs : mapping
            Plain data that decides the result, keys of earlier stages included.
        levels : sequence of str
            Sub-packages or modules that it runs; see :func:`source_digest`.
        compute : callable
            Returns plain data and datasets.
        """
        from .. import __version__

        key = digest({"stage": stage, "inputs": dict(inputs), "version": __version__, "source": source_digest(*levels)})
        found = self.load(stage, key)
        if found is not None:
            return found
        with self._alone(stage, key):
            found = self.load(stage, key)  # of the process that was waited for
            if found is not None:
                return found
            began = time.perf_counter()
            data, datasets = compute()
            # through JSON and back, so that a first and a second run hand on the same numbers
            data = json.loads(to_json(data))
            result = Result(data, datasets, key, False, time.perf_counter() - began)
            self.store(stage, result)
            return result

    def _alone(self, stage: str, key: str) -> contextlib.ExitStack:
        """The lock of a stage, waited for."""
        stack = contextlib.ExitStack()
        try:
            stack.enter_context(
                lock.waited(
                    self.folder / f".{self.folder_name(stage, key)}{_LOCK}",
                    lambda holder: _log.warning("Stage %s is being computed by %s; waiting for it", stage, holder),
                )
            )
        except OSError as error:
            raise self._unusable(error) from error
        return stack


# -- work in several processes -------------------------------------------------------------------------------


def _quiet() -> None:
    """End with the parent; FiPy must not see our command line."""
    follow()
    sys.argv = sys.argv[:1]


class Workers:
    """Worker processes that start when first needed and end with the ``with`` block, at once if it fails.

    Parameters
    ----------
    processes : int, >= 1
        1 works in this process.
    """

    def __init__(self, processes: int):
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._before: set[Any] = set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._pool is None:
            return
        if kind is not None:
            # pending work must not run on; the pool then finds itself broken and ends
            for child in set(multiprocessing.active_children()) - self._before:
                child.terminate()
        self._pool.shutdown()
        self._pool = None

    def map(self, jobs: Mapping[str, tuple[Any, ...]], progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Call ``function(*arguments)`` for each named job; longest jobs should come first.

        Parameters
        ----------
        jobs : mapping of name to (function, arguments...)
            Picklable.
        progress : callable (done, all)

        Returns
        -------
        dict of name to what the function returned
        """
        done: dict[str, Any] = {}
        progress(0, len(jobs))
        if self.processes == 1:
            for name, (function, *arguments) in jobs.items():
                done[name] = function(*arguments)
                progress(len(done), len(jobs))
            return done
        if self._pool is None:
            self._before = set(multiprocessing.active_children())
            # spawn, not fork: the threads of numba and BLAS do not survive a fork
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.processes, mp_context=context, initializer=_quiet)
        futures = {self._pool.submit(function, *arguments): name for name, (function, *arguments) in jobs.items()}
        try:
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                progress(len(done), len(jobs))
        except BrokenProcessPool as error:
            raise HalidriftError(
                "A worker process ended before its work was done",
                got=str(error),
                action="Try --workers 1, which also shows the cause; too little memory is a common one",
            ) from error
        return {name: done[name] for name in jobs}  # in the order asked, not in that of arrival
