"""Errors that say what happened, what was found, what is allowed and what to do next.

Every error that halidrift raises on purpose derives from :class:`HalidriftError`. The command line turns those into
one message and exit code 2, or 1 where the work failed through no fault of its input; anything else but memory that
ran out is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AmbiguityError",
    "ConvergenceError",
    "DataError",
    "FullError",
    "HalidriftError",
    "InputError",
    "OutputError",
    "ValidityError",
]


class HalidriftError(Exception):
    """Base of all errors that halidrift raises on purpose.

    Parameters
    ----------
    what : str
        What went wrong, in one sentence.
    got : object, optional
        The value that was found.
    allowed : str, optional
        What would have been accepted.
    action : str, optional
        What the reader can do next.
    """

    def __init__(self, what: str, *, got: object = None, allowed: str | None = None, action: str | None = None):
        self.what, self.got, self.allowed, self.action = what, got, allowed, action
        parts = [what.rstrip(".")]
        if got is not None:
            parts.append(f"got {got!r}" if isinstance(got, str) else f"got {got}")
        if allowed is not None:
            parts.append(f"allowed: {allowed}")
        if action is not None:
            parts.append(action)
        text = ". ".join(parts)
        super().__init__(text if text.endswith("?") else text + ".")

    def __reduce__(self) -> tuple[Any, ...]:
        # an error must cross from a worker process whole; its arguments are keywords, which pickle does not keep
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[HalidriftError], args: tuple[Any, ...], fields: dict[str, Any]) -> HalidriftError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class InputError(HalidriftError, ValueError):
    """An argument is not what the function takes (shape, sign, order, unknown name)."""


class DataError(InputError):
    """A data file (barrier table, device card, measurement) is not as its schema says.

    Parameters
    ----------
    what : str
        What went wrong.
    file : str
        File that holds the fault.
    key : str
        Table and key inside the file, dotted.
    """

    def __init__(
        self,
        what: str,
        *,
        file: object,
        key: str,
        got: object = None,
        allowed: str | None = None,
        action: str | None = None,
    ):
        self.file, self.key = str(file), key
        super().__init__(f"{file}: {key}: {what}", got=got, allowed=allowed, action=action)


class AmbiguityError(InputError):
    """A selection that must name one thing names several, or none."""


class ValidityError(HalidriftError, ArithmeticError):
    """A model was asked outside the range in which it holds."""


class ConvergenceError(HalidriftError, ArithmeticError):
    """A solver did not reach its tolerance; carries the residual in `got`."""


class OutputError(HalidriftError, OSError):
    """An output could not be written."""


class FullError(OutputError):
    """An output could not be written because the disk, the quota or the limit on file sizes is used up."""
