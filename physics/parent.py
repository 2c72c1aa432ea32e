"""Worker processes that end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

__all__ = ["follow"]


def follow() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it: a killed parent cannot end its workers.

    To be called in a worker process; in a process that has no parent it only ignores Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
