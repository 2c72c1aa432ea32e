"""`CleaningReport`: what was read, what was dropped and why, what was assumed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["KINDS", "CleaningReport", "Note"]

KINDS = {
    "read": "read",
    "assumed": "assumed",
    "dropped": "dropped",
    "flagged": "flagged",
    "merged": "merged",
    "separated": "separated",
    "aside": "set aside",
    "warning": "in doubt",
}
"""Kinds of a note, in the order of the report, and the word for each."""


@dataclass(frozen=True)
class Note:
    """One thing that was done to a measurement.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    text : str
        What and why.
    file : str
    lines : tuple of int
        Lines of the file that it is about; empty if about all.
    device, cycle : str
        Empty if about all.
    about : str
        ``"limit"`` where the limit of the current is in doubt, else empty.
    """

    kind: str
    text: str
    file: str = ""
    lines: tuple[int, ...] = ()
    device: str = ""
    cycle: str = ""
    about: str = ""

    def __str__(self) -> str:
        where = [self.file] if self.file else []
        where += [f"device {self.device}"] if self.device else []
        where += [f"cycle {self.cycle}"] if self.cycle else []
        where += [_ranges(self.lines)] if self.lines else []
        return f"{KINDS[self.kind]}: {', '.join(where)}{': ' if where else ''}{self.text}"


def _ranges(lines: Sequence[int]) -> str:
    """``lines 4, 7-9 and 12 more ranges``."""
    runs: list[list[int]] = []
    for line in sorted(set(lines)):
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    text = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:6])
    more = f" and {len(runs) - 6} more places" if len(runs) > 6 else ""
    return f"line{'s' if len(set(lines)) > 1 else ''} {text}{more}"


@dataclass(frozen=True)
class CleaningReport:
    """Everything that happened between the file and the traces; prints as a list.

    Attributes
    ----------
    notes : tuple of Note

    Examples
    --------
    >>> print(CleaningReport((Note("dropped", "2 overflows of the current", "iv.csv", (7, 8)),)))
    dropped: iv.csv, lines 7-8: 2 overflows of the current
    """

    notes: tuple[Note, ...] = ()

    def of(self, kind: str) -> tuple[Note, ...]:
        """The notes of one kind.

        Parameters
        ----------
        kind : str

        Returns
        -------
        tuple of Note
        """
        return tuple(note for note in self.notes if note.kind == kind)

    @property
    def dropped(self) -> tuple[Note, ...]:
        """Points that are gone."""
        return self.of("dropped")

    @property
    def aside(self) -> tuple[Note, ...]:
        """Devices and cycles that are in no trace."""
        return self.of("aside")

    @property
    def assumed(self) -> tuple[Note, ...]:
        """What the files do not say."""
        return self.of("assumed")

    @property
    def limit_doubt(self) -> str:
        """Why the limit of the current is in doubt, in words; empty where it is not."""
        texts = [note.text for note in CleaningReport(tuple(n for n in self.notes if n.about == "limit")).brief()]
        return f"{texts[0]}{f' (and {len(texts) - 1} more)' if len(texts) > 1 else ''}" if texts else ""

    def brief(self) -> list[Note]:
        """The notes in order, those that say the same of several cycles as one.

        Returns
        -------
        list of Note
        """
        groups: dict[tuple[str, str, str, str], list[Note]] = {}
        for note in self:
            key = (note.kind, note.file, note.device, re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", note.text))
            groups.setdefault(key, []).append(note)
        answer = []
        for alike in groups.values():
            if len(alike) < 3 or not all(note.cycle for note in alike):
                answer += alike
                continue
            cycles = [note.cycle for note in alike]
            named = ", ".join(cycles[1:6]) + (f" and {len(cycles) - 6} more" if len(cycles) > 6 else "")
            answer.append(replace(alike[0], text=f"{alike[0].text} [alike in cycles {named}]"))
        return answer

    def to_list(self) -> list[dict[str, Any]]:
        """Plain data, JSON-serialisable.

        Returns
        -------
        list of dict
        """
        return [{**asdict(note), "lines": list(note.lines)} for note in self]

    def __iter__(self) -> Iterator[Note]:
        order = list(KINDS)
        return iter(sorted(self.notes, key=lambda note: order.index(note.kind)))

    def __len__(self) -> int:
        return len(self.notes)

    def __str__(self) -> str:
        return "\n".join(str(note) for note in self)
