"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import OutputError

__all__ = ["umask", "write_whole"]


def umask() -> int:
    """Permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
    OutputError
        If the folder or file cannot be written. Nothing is left behind, whatever `write` raises.
    """
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        write(temporary)
        os.chmod(temporary, 0o666 & ~umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(
            f"{target} could not be written", got=str(error), action="Choose a folder that you may write to"
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return target
