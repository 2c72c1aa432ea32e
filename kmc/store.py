"""An ensemble on disk: finished replicas in a Zarr store that is never half written.

The store is a Zarr group (format 3) that plain ``xarray.open_zarr`` opens: each variable of a replica along a dimension
``replica``, one chunk a replica, and ``finished``. A replica counts only once its chunk of ``finished`` is there, which
is written last; what a killed job left of an unfinished one is overwritten. Every chunk carries a checksum. The store
itself appears whole with its first replica, and grows by one atomic change of its metadata.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..physics import lock
from ..physics.errors import DataError, InputError
from ..physics.files import PART, settle, settle_all, umask, unwritable
from .identity import differences
from .stack import Frame, Own, record_of

__all__ = ["Store"]

_FINISHED, _RECORDS = "finished", "attributes"
_KEY = "ensemble"  # attribute of the group that holds what is ours, as JSON
_SCHEMA = 2
_ZARR = (3, 1, 3)  # the first whose files appear at once


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise InputError("Zarr is not installed", action="pip install 'halidrift[campaign]'") from error
    if tuple(int(number) for number in re.findall(r"\d+", zarr.__version__)[:3]) < _ZARR:
        raise InputError(
            "This version of Zarr does not write its files whole",
            got=zarr.__version__,
            allowed=f">= {'.'.join(map(str, _ZARR))}",
            action="pip install 'halidrift[campaign]'",
        )
    return zarr


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the store alone."""
    try:
        with lock.held(path.with_name(f".{path.name}.lock")):
            yield
    except lock.Busy as busy:
        raise InputError(
            f"{path} is in use by another run", got=busy.holder, action="Wait until it ends, or choose another store"
        ) from busy


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(f"{path} cannot be written", error) from error


def _checked(about: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
    """Checksum of what the root says of the ensemble; Zarr gives chunks one, but not its metadata."""
    said = [dict(about), {name: value for name, value in attributes.items() if name != _KEY}]
    text = json.dumps(said, sort_keys=True, default=lambda value: value.item())
    return zlib.crc32(json.dumps(json.loads(text), sort_keys=True).encode())


class Store:
    """The replicas of one ensemble in a folder.

    Parameters
    ----------
    path : path
        Folder of the store; made with the first replica.

    Attributes
    ----------
    identity : dict or None
        What made it; see :func:`~halidrift.kmc.identity.identity`. None for a store that is not there yet.
    size : int
        Number of replicas asked for so far.
    finished : set of int
        Numbers of those that count.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._zarr = _zarr()
        if "://" in os.fspath(path):
            raise InputError("A store is a folder of this machine or of a mounted disk", got=os.fspath(path))
        self.path = Path(path).absolute()
        self.identity: dict[str, Any] | None = None
        self.size = 0
        self.finished: set[int] = set()
        self._frame: Frame | None = None
        self._arrays: dict[str, Any] = {}
        if self.path.is_dir() and any(self.path.iterdir()):
            self._load()
        elif self.path.exists() and not self.path.is_dir():
            raise InputError("A store is a folder", got=str(path), allowed="a new folder such as runs.zarr")

    def _fault(self, what: str, key: str, got: object = None, action: str | None = None) -> DataError:
        return DataError(what, file=self.path, key=key, got=got, action=action)

    def _load(self) -> None:
        zarr, what = self._zarr, "zarr.json"
        try:
            # the root holds a copy of all metadata, replaced at once: every array is of the same length there
            seen = zarr.open_group(self.path, mode="r", use_consolidated=True)
            about = json.loads(seen.attrs[_KEY])
            if about["schema"] not in (1, _SCHEMA):
                raise self._fault("written by another version of halidrift", "schema", got=about["schema"])
            said = about.pop("check", None)  # stores of schema 1 have none
            if about["schema"] == _SCHEMA and said != _checked(about, seen.attrs):
                raise ValueError("its attributes are not those that were written")
            self.identity = about["identity"]
            self.size = int(seen[_FINISHED].shape[0])
            ours = (*about["own"], _RECORDS, _FINISHED, "replica")
            with zarr.config.set({"array.write_empty_chunks": True}):
                group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
                for name in (*ours, *about["shared"]):
                    what = f"{name}/zarr.json"
                    self._compare(seen[name], group[name], name in ours)
                self._arrays = {name: group[name] for name in ours}
            what = "zarr.json"
            self._frame = self._framed(seen, about)
            self.finished = self._marked(seen[_FINISHED])
        except DataError:
            raise
        # Zarr believes its metadata: a flipped byte led it to AttributeError, KeyError, TypeError and others
        # (tests/unit/test_ensemble.py). Nothing is swallowed: each becomes a DataError that says which it was
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            if self._is_ours():
                action = f"Bring back {what} from a copy of the store, or move the store away and run again"
                raise self._fault("the store is damaged", what, got=got, action=action) from error
            action = "Choose a new folder, such as runs.zarr"
            raise self._fault("not a store of an ensemble", "(folder)", got=got, action=action) from error

    def _is_ours(self) -> bool:
        """Whether what lies there was an ensemble once: it has the arrays that only an ensemble has."""
        return (self.path / _FINISHED).is_dir() and (self.path / _RECORDS).is_dir()

    def _compare(self, seen: Any, array: Any, ours: bool) -> None:
        """Complain if an array's own metadata are not what the root says of it: one of the two is damaged."""
        copy, own = (dict(a.metadata.to_dict()) for a in (seen, array))
        one, two = tuple(copy.pop("shape")), tuple(own.pop("shape"))
        # a killed run may have made an array longer, before the root knew
        same = (one[0] == self.size <= two[0] and one[1:] == two[1:]) if ours else one == two
        if not same or repr(copy) != repr(own):
            raise ValueError("its metadata differ from their copy in zarr.json")

    def _tidy(self) -> None:
        """Remove the chunks that a killed run was writing."""
        for name in self._arrays:
            chunks = self.path / name / "c"
            unfinished = (chunks / str(i) for i in range(self.size) if i not in self.finished)
            for left in (
                *(self.path / name).glob("*.partial"),
                *chunks.glob("*.partial"),
                *(left for folder in unfinished if folder.is_dir() for left in folder.rglob("*.partial")),
            ):
                left.unlink(missing_ok=True)

    def _marked(self, marks: Any) -> set[int]:
        """Numbers of the replicas that count."""
        try:
            return {int(i) for i in np.flatnonzero(marks[...])}
        except ValueError:
            for i in range(self.size):
                try:
                    marks[i]
                except ValueError as error:
                    raise self._lost(_FINISHED, i, str(error)) from error
            raise

    def _framed(self, group: Any, about: dict[str, Any]) -> Frame:
        def variable(name: str) -> xr.Variable:
            array = group[name]
            try:
                return xr.Variable(array.metadata.dimension_names, array[...], dict(array.attrs))
            except ValueError as error:
                action = f"Bring back {self.path / name} from a copy of the store, or move the store away and run again"
                raise self._fault("a chunk is damaged", name, got=str(error), action=action) from error

        own = {
            name: Own(tuple(a.metadata.dimension_names[1:]), a.dtype, a.shape[1:], dict(a.attrs))
            for name in about["own"]
            for a in [group[name]]
        }
        attrs = {name: group.attrs[name] for name in about["attrs"]}
        return Frame(tuple(about["order"]), {name: variable(name) for name in about["shared"]}, own, attrs)

    # -- writing -----------------------------------------------------------------------------------------------

    @classmethod
    @contextlib.contextmanager
    def held(cls, path: str | os.PathLike[str]) -> Iterator[Store]:
        """The store, for one writer alone.

        Parameters
        ----------
        path : str or path
            Folder of the store; made if it is not there.

        Raises
        ------
        InputError
            If another run holds it.
        OutputError
            If its folder cannot be written.
        DataError
            If there is something else at its place.
        """
        _zarr()
        target = Path(path).absolute()
        with contextlib.ExitStack() as stack:
            with _writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_locked(target))
                for left in target.parent.glob(f".{target.name}.*{PART}"):  # of a run that was killed
                    shutil.rmtree(left, ignore_errors=True)
                for left in target.glob("*.partial"):
                    left.unlink(missing_ok=True)
            store = cls(path)
            with _writing(target):
                store._tidy()
            yield store

    def claim(self, identity: Mapping[str, Any], replicas: int) -> None:
        """Make the store one of this ensemble, for at least so many replicas.

        Parameters
        ----------
        identity : mapping
            Of :func:`halidrift.kmc.identity.identity`.
        replicas : int, >= 1

        Raises
        ------
        InputError
            If it holds another ensemble; the error lists what differs.
        """
        if self.identity is None:
            self.identity, self.size = dict(identity), replicas
            return
        words = differences(self.identity, identity)
        if words:
            raise InputError(
                f"{self.path} holds another ensemble: {'; '.join(words)}",
                action="Ask for what it holds, or choose another store",
            )
        with _writing(self.path):
            self._extend(max(replicas, self.size))

    def _extend(self, size: int) -> None:
        if all(a.shape[0] == size for a in self._arrays.values()) and size == self.size:
            return
        for array in self._arrays.values():
            if array.shape[0] != size:  # a killed run may have left some done
                array.resize((size, *array.shape[1:]))
        self._arrays["replica"][...] = np.arange(size)
        for name in self._arrays:
            settle(self.path / name / "zarr.json")
        self._consolidate(self.path)
        settle(self.path / "zarr.json")
        self.size = size

    def _consolidate(self, path: Path) -> None:
        with warnings.catch_warnings():
            # only this message: zarr says that format 3 has not standardised the copy of the metadata yet. The copy is
            # a shortcut; every reader falls back to the arrays' own, so nothing depends on what the warning is about
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            self._zarr.consolidate_metadata(path)

    def put(self, number: int, trace: xr.Dataset) -> None:
        """Keep a finished replica: its values first, then the mark by which it counts.

        Parameters
        ----------
        number : int
            Of the replica, from 0.
        trace : xarray.Dataset

        Raises
        ------
        InputError
            If it is of another form than those before it.
        OutputError
            If it cannot be written.
        """
        with _writing(self.path):
            if self._frame is None:
                self._create(trace)
            assert self._frame is not None
            self._frame.check(trace, number)
            for name in self._frame.own:
                self._arrays[name][number] = trace[name].values
            self._arrays[_RECORDS][number] = json.dumps(record_of(trace))
            self._arrays[_FINISHED][number] = True
        self.finished.add(number)

    def _create(self, trace: xr.Dataset) -> None:
        zarr, frame = self._zarr, Frame.of(trace)
        assert self.identity is not None
        about = {
            "schema": _SCHEMA,
            "identity": self.identity,
            "order": frame.order,
            "shared": list(frame.shared),
            "own": list(frame.own),
            "attrs": list(frame.attrs),
        }
        part = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=PART))
        try:
            attributes = {**frame.attrs, "seed": self.identity["seed"]}
            attributes[_KEY] = json.dumps({**about, "check": _checked(about, attributes)})
            group = zarr.create_group(part, zarr_format=3, attributes=attributes)
            codecs = [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]

            def add(name: str, dims: Sequence[str], shape: tuple[int, ...], dtype: Any, attrs: Any, own: bool) -> Any:
                kind = np.dtype(dtype).kind if dtype != "string" else "s"
                return group.create_array(
                    name,
                    shape=shape,
                    dtype=dtype,
                    chunks=tuple(max(1, n) for n in ((1, *shape[1:]) if own else shape)),
                    dimension_names=dims,
                    fill_value={"f": np.nan, "i": -1, "s": "", "b": False}.get(kind, 0),
                    attributes={k: v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()},
                    compressors=codecs,
                )

            for name, v in frame.shared.items():
                add(name, tuple(map(str, v.dims)), v.shape, v.dtype, v.attrs, False)[...] = v.values
            for name, (dims, dtype, shape, attrs) in frame.own.items():
                add(name, ("replica", *dims), (self.size, *shape), dtype, attrs, True)
            note = {"long_name": "attributes of a replica, JSON"}
            add(_RECORDS, ("replica",), (self.size,), "string", note, True)
            add(_FINISHED, ("replica",), (self.size,), bool, {"long_name": "whether the replica counts"}, True)
            replica = group.create_array(
                "replica",
                shape=(self.size,),
                dtype="int64",
                chunks=(1024,),
                dimension_names=("replica",),
                fill_value=-1,
                attributes={"units": "1", "long_name": "replica"},
                compressors=codecs,
            )
            replica[...] = np.arange(self.size)
            self._consolidate(part)
            settle_all(part)
            os.chmod(part, 0o777 & ~umask())
            os.replace(part, self.path)
            settle(self.path.parent)
        finally:
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)
        self._load()

    # -- reading -----------------------------------------------------------------------------------------------

    def read(self, numbers: Sequence[int]) -> xr.Dataset:
        """The Dataset of some finished replicas.

        Parameters
        ----------
        numbers : sequence of int
            Of finished replicas.

        Returns
        -------
        xarray.Dataset
            Over ``replica`` in the order of `numbers`.

        Raises
        ------
        DataError
            If a chunk is missing or damaged.
        """
        if self._frame is None or self.identity is None:
            raise self._fault("no such store", "(folder)", action="Run the ensemble with store= first")
        last = max(numbers, default=-1) + 1
        columns = {name: self._column(name, numbers, last) for name in self._frame.own}
        records = [json.loads(text) for text in self._column(_RECORDS, numbers, last)]
        return self._frame.stack(columns, records, numbers, self.identity["seed"])

    def _column(self, name: str, numbers: Sequence[int], last: int) -> Any:
        array = self._arrays[name]
        for i in numbers:
            key = array.metadata.encode_chunk_key((i, *(0 for _ in array.shape[1:])))
            if not (self.path / name / key).exists():  # would read as the fill value
                raise self._lost(name, i, "missing")
        try:
            values = array[:last]
        except ValueError:
            for i in numbers:
                try:
                    array[i]
                except ValueError as error:
                    raise self._lost(name, i, str(error)) from error
            raise
        return values if len(numbers) == last else values[list(numbers)]

    def _lost(self, name: str, number: int, got: str) -> DataError:
        mark = self.path / _FINISHED / self._arrays[_FINISHED].metadata.encode_chunk_key((number,))
        return self._fault(
            "a chunk is damaged", f"{name}, replica {number}", got=got, action=f"Delete {mark} and run again"
        )
