"""The column of a bar that tells the time left."""

from __future__ import annotations

import math

from rich.progress import ProgressColumn, Task
from rich.text import Text

__all__ = ["Left"]


class Left(ProgressColumn):
    """The time left at the pace since the first part was done, or as long as that is the only one, since the begin.

    The field ``known`` of a task counts parts that were done before: they say nothing about the pace.
    """

    max_refresh = 0.5  # s

    def render(self, task: Task) -> Text:
        """The time left, as h:mm:ss; dashes while nothing is known of it."""
        seconds, done = task.time_remaining, task.completed - task.fields.get("known", 0)
        if seconds is None and task.remaining is not None and done > 0 and task.elapsed is not None:
            seconds = task.remaining * task.elapsed / done
        if seconds is None:
            return Text("-:--:--", style="progress.remaining")
        minutes, rest = divmod(math.ceil(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{rest:02}", style="progress.remaining")
