"""Files that appear whole or not at all, and stay when the power goes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import FullError, OutputError

__all__ = ["PART", "settle", "settle_all", "sweep", "umask", "unwritable", "write_whole"]

PART = ".part"
"""Ends the name of everything that is not finished."""

# a full disk, a used-up quota, a limit on the size of a file
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def umask() -> int:
    """Permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def unwritable(what: str, error: OSError, *, action: str = "Choose a folder that you may write to") -> OutputError:
    """The error that tells why an output could not be written, for the caller to raise.

    Parameters
    ----------
    what : str
        What could not be written, in one sentence.
    error : OSError
        Of the system; one that is an OutputError already is returned as it is.
    action : str
        What to do unless the disk is full.

    Returns
    -------
    OutputError
        A :class:`~halidrift.physics.errors.FullError` if the disk, the quota or the limit on file sizes is used up.
    """
    if isinstance(error, OutputError):
        return error
    got = error.strerror or str(error)
    if error.errno in _FULL:
        return FullError(
            what, got=got, action="Free some space and run the same command again: what was finished is kept"
        )
    return OutputError(what, got=got, action=action)


def settle(place: str | os.PathLike[str]) -> None:
    """Force a file, or what a folder lists, to the disk (``fsync``): a loss of power then finds it there.

    Parameters
    ----------
    place : path
        File or folder that exists.

    Raises
    ------
    OSError
        If the disk cannot take it.
    """
    handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that knows no such thing
            raise
    finally:
        os.close(handle)


def settle_all(folder: str | os.PathLike[str]) -> None:
    """Force everything below a folder to the disk, and then its list.

    Parameters
    ----------
    folder : path
        One that exists, with all folders in it.

    Raises
    ------
    OSError
        If the disk cannot take it.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            settle(os.path.join(place, name))
        settle(place)


def sweep(folder: str | os.PathLike[str], prefix: str = ".") -> None:
    """Remove the unfinished files that killed processes left in a folder; those that are being written stay.

    Parameters
    ----------
    folder : path
        One that does not exist, or may not be listed, is left.
    prefix : str
        With which their names begin.
    """
    with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(PART) and entry.is_file()):
                continue
            with contextlib.suppress(OSError):  # another was faster, or may not: it stays
                handle = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who writes a part holds its lock
                    os.unlink(entry.path)
                finally:
                    os.close(handle)


def _begun(target: Path) -> tuple[int, str]:
    """A new part beside a target, with its lock."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=PART)
        with contextlib.suppress(OSError):  # a file system without locks: nobody there sweeps either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(temporary):
            return handle, temporary
        os.close(handle)  # swept before it had its lock


def write_whole(path: str | os.PathLike[str], write: Callable[[str], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Parameters
    ----------
    path : path
        Target; its folder is made.
    write : callable (temporary path)
        Writes the content.

    Returns
    -------
    pathlib.Path
        The target.

    Raises
    ------
    FullError
        If the disk is full.
    OutputError
        If the folder or file cannot be written. Nothing is left behind, whatever `write` raises.

    Notes
    -----
    The content is forced to the disk before the move and the move after it. What a killed process left of the same
    target is removed.
    """
    target = Path(path)
    temporary, handle = None, None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, f".{target.name}.")
        handle, temporary = _begun(target)
        write(temporary)
        settle(temporary)
        os.chmod(temporary, 0o666 & ~umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, target)
        with contextlib.suppress(PermissionError):  # a folder that may be written but not listed
            settle(target.parent)
    except OSError as error:
        raise unwritable(f"{target} could not be written", error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if handle is not None:
            os.close(handle)
    return target
