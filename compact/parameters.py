"""Parameters of compact models: each with its unit, its standard error and what it was obtained from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from ..physics.errors import InputError

__all__ = ["FittedParameter", "ParameterTable", "Quantity"]

KINDS = ("fitted", "fixed", "assumed")


def real(value: Any, name: str) -> float:
    """A number of a record; a text or truth value is none."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # an integer of hundreds of digits
        pass
    raise InputError(f"{name} of the record is not a number", got=repr(value)[:80])


@dataclass(frozen=True)
class Quantity:
    """What a model expects of one of its parameters.

    Attributes
    ----------
    unit : str
    low, high : float
        Allowed values, bounds included.
    meaning : str
    default : float or None
        Value if neither fitted nor given; None if the parameter is required.
    origin : str
        Where the default comes from.
    """

    unit: str
    low: float
    high: float
    meaning: str
    default: float | None = None
    origin: str = "not estimated"


@dataclass(frozen=True)
class FittedParameter:
    """One number of a compact model.

    Attributes
    ----------
    name : str
    value : float
        In `unit`; ``nan`` means that it was not estimated and the model works without it.
    unit : str
    standard_error : float or None
        In `unit`; None if it was not estimated.
    kind : {"fitted", "fixed", "assumed"}
        Fitted to traces; fixed by the caller of the fit, or absent; assumed when the model was written by hand.
    origin : str
        Traces and observable that the number comes from.
    warning : str
        Doubt about it: strong correlation, a bound that was reached, an unusable covariance.
    """

    name: str
    value: float
    unit: str
    standard_error: float | None = None
    kind: str = "fitted"
    origin: str = ""
    warning: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("Unknown kind of parameter", got=self.kind, allowed=", ".join(KINDS))
        if self.standard_error is not None and not (math.isfinite(self.standard_error) and self.standard_error >= 0):
            raise InputError(
                f"The standard error of {self.name} must be finite and >= 0, or None", got=self.standard_error
            )

    @property
    def estimated(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" +- {self.standard_error:.2g}"
        value = f"{self.value:.5g}{error} {self.unit}" if self.estimated else "not estimated"
        return f"{self.name} = {value} ({self.kind}: {self.origin})"


@dataclass(frozen=True, repr=False)
class ParameterTable(Mapping[str, FittedParameter]):
    """The parameters of one model, in order; prints as a table.

    Parameters
    ----------
    entries : tuple of FittedParameter
        Each name once.

    Examples
    --------
    >>> print(ParameterTable((FittedParameter("relaxation_time_s", 6e-3, "s", 4e-4, "fitted", "24 relaxations"),)))
    parameter          value  standard error  unit  kind    from
    relaxation_time_s  0.006  0.0004          s     fitted  24 relaxations
    """

    entries: tuple[FittedParameter, ...]

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError("A parameter stands in the table twice", got=", ".join(twice))

    def __getitem__(self, name: str) -> FittedParameter:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def replaced(self, **entries: FittedParameter) -> ParameterTable:
        """A copy in which these entries stand for those of the same name.

        Parameters
        ----------
        **entries : FittedParameter
            By name; a name that the table does not hold changes nothing.
        """
        return ParameterTable(tuple(entries.get(entry.name, entry) for entry in self.entries))

    def scaled(self, name: str, value: float, reason: str) -> ParameterTable:
        """A copy in which one parameter has another value, set by hand.

        Parameters
        ----------
        name : str
        value : float
            In the unit of the parameter.
        reason : str
            Becomes the origin of the entry, which counts as assumed and loses its standard error.
        """
        changed = replace(self[name], value=value, standard_error=None, kind="assumed", origin=reason, warning="")
        return self.replaced(**{name: changed})

    def to_list(self) -> list[dict[str, Any]]:
        """Plain data; a value that is not finite becomes None, "inf" or "-inf".

        Returns
        -------
        list of dict
            One for each parameter, with the fields of :class:`FittedParameter`.
        """
        rows = []
        for entry in self.entries:
            row = asdict(entry)
            row["value"] = str(entry.value) if math.isinf(entry.value) else entry.value if entry.estimated else None
            rows.append(row)
        return rows

    @classmethod
    def from_list(cls, rows: list[dict[str, Any]]) -> ParameterTable:
        """The table that :meth:`to_list` described.

        Parameters
        ----------
        rows : list of dict
            One for each parameter.

        Raises
        ------
        InputError
            If a row lacks a key, has another one, or a value of the wrong type.
        """
        return cls(tuple(_entry(row) for row in rows))

    def __str__(self) -> str:
        head = ("parameter", "value", "standard error", "unit", "kind", "from")
        rows = [head]
        for p in self.entries:
            error = "-" if p.standard_error is None else f"{p.standard_error:.2g}"
            value = f"{p.value:.5g}" if p.estimated else "-"
            rows.append((p.name, value, error, p.unit, p.kind, p.origin + (f" [{p.warning}]" if p.warning else "")))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def __repr__(self) -> str:
        return str(self)


def _entry(row: Any) -> FittedParameter:
    """One row of a record."""
    known = {f.name: f.default for f in fields(FittedParameter)}
    needed = {name for name, default in known.items() if default is MISSING}
    if not isinstance(row, Mapping) or not needed <= set(row) <= set(known):
        raise InputError(
            "A parameter of the record is not whole",
            got=", ".join(map(str, row)) if isinstance(row, Mapping) else repr(row)[:80],
            allowed=f"{', '.join(known)}; of these at least {', '.join(sorted(needed))}",
        )
    for key in set(row) - {"value", "standard_error"}:
        if not isinstance(row[key], str):
            raise InputError(f"{key} of a parameter of the record is not a text", got=repr(row[key])[:80])
    value, error = row["value"], row.get("standard_error")
    given = math.nan if value is None else float(value) if value in ("inf", "-inf") else real(value, row["name"])
    checked = None if error is None else real(error, f"standard error of {row['name']}")
    return FittedParameter(**{**row, "value": given, "standard_error": checked})
