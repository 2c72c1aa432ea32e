"""A lock that is a file, held by one process and free as soon as that process ends, however it ends.

The lock is the system's (``flock``), not the file: a file that a killed process left is no lock. It holds between the
processes of one machine; between machines that share a disk only where that disk passes ``flock`` on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Busy", "held", "waited"]

_LOOK_S = 0.1  # between two looks at a lock that another holds


class Busy(Exception):
    """Another process holds the lock.

    Attributes
    ----------
    holder : str
        Who, in words: ``"process 4711 on lab-pc since 21:05:13"``.
    """

    def __init__(self, holder: str):
        self.holder = holder
        super().__init__(holder)


def _take(file: Path) -> int:
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(file) and os.path.samestat(os.fstat(handle), os.stat(file)):
                break  # else its last holder removed the file between our two steps
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode(errors="replace")
            os.close(handle)
            raise Busy(holder or "a process that has just begun") from error
        except FileNotFoundError:
            pass  # removed between the two looks at it
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    # the words are for people: a full disk must not keep who has the lock from working
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode())
    return handle


def _leave(file: Path, handle: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # its folder may be gone
        file.unlink()
    os.close(handle)


@contextlib.contextmanager
def held(file: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a lock, or be refused at once.

    Parameters
    ----------
    file : path
        The lock; made in a folder that exists, and removed afterwards.

    Raises
    ------
    Busy
        If another holds it, be it this process.
    OSError
        If the file cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, held(f"{folder}/.lock"):
    ...     try:
    ...         with held(f"{folder}/.lock"):
    ...             pass
    ...     except Busy as error:
    ...         print(error.holder.split()[0])
    process
    """
    file = Path(file)
    handle = _take(file)
    try:
        yield
    finally:
        _leave(file, handle)


@contextlib.contextmanager
def waited(file: str | os.PathLike[str], tell: Callable[[str], object]) -> Iterator[None]:
    """Hold a lock as soon as it is free.

    Parameters
    ----------
    file : path
    tell : callable (holder)
        Called once for each holder that is waited for.
    """
    file = Path(file)
    told = None
    while True:
        try:
            handle = _take(file)
            break
        except Busy as busy:
            if busy.holder != told:
                told = busy.holder
                tell(told)
        time.sleep(_LOOK_S)
    try:
        yield
    finally:
        _leave(file, handle)
