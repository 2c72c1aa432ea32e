"""A table of figures of merit: what was found, and what was not and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...physics.errors import InputError
from ...physics.retention import Retention
from ..plasticity import Update
from .cycling import Endurance
from .decays import DecayLaw
from .distributions import Distribution
from .pieces import Array
from .scaling import AreaScaling, RateDependence
from .spiking import Facilitation, Plasticity
from .states import States
from .watches import Lifetime

__all__ = ["Merit", "Missing", "Report"]


class Merit(NamedTuple):
    """One figure of merit.

    Attributes
    ----------
    name : str
    value : float or str
        A median over `number`, unless the definition says otherwise; a word for a verdict.
    unit : str
    low, high : float
        95 % interval of the value; nan where there is none.
    cv : float, 1
        Coefficient of variation over `number`; nan where there is none.
    number, censored : int
        Observations, and those of them that are lower bounds.
    definition : str
        With the thresholds used.
    source : str
        Where the definition is from.
    note : str
        What the reader must know before using the number; may be empty.
    """

    name: str
    value: float | str
    unit: str
    low: float
    high: float
    cv: float
    number: int
    censored: int
    definition: str
    source: str
    note: str


class Missing(NamedTuple):
    """A figure of merit that the traces do not allow.

    Attributes
    ----------
    name, why : str
    """

    name: str
    why: str


@dataclass(frozen=True, eq=False)
class Report:
    """Made by :func:`report`.

    Attributes
    ----------
    merits : tuple of Merit
    missing : tuple of Missing
    distributions : dict of str to Distribution
    endurances : tuple of Endurance
    lifetimes : tuple of Lifetime
    retention : Retention or None
    updates : tuple of (array, array, Update)
        Weights after each potentiating and each depressing spike, S, and what they give.
    plasticity : tuple of Plasticity
    facilitation : Facilitation or None
    decays : tuple of (array, array, DecayLaw)
        Time after the last spike, s, weight, and what they give.
    states : States or None
    state_names : tuple of str
        What programmed each level of `states`, in their order.
    area : AreaScaling or None
    areas_m2, area_conductance_S : array, shape (devices,), m^2 and S
    rate : RateDependence or None
    """

    merits: tuple[Merit, ...]
    missing: tuple[Missing, ...]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    endurances: tuple[Endurance, ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()
    retention: Retention | None = None
    updates: tuple[tuple[Array, Array, Update], ...] = ()
    plasticity: tuple[Plasticity, ...] = ()
    facilitation: Facilitation | None = None
    decays: tuple[tuple[Array, Array, DecayLaw], ...] = ()
    states: States | None = None
    state_names: tuple[str, ...] = ()
    area: AreaScaling | None = None
    areas_m2: Array = field(default_factory=lambda: np.array([]))
    area_conductance_S: Array = field(default_factory=lambda: np.array([]))
    rate: RateDependence | None = None

    def __getitem__(self, name: str) -> Merit:
        for merit in self.merits:
            if merit.name == name:
                return merit
        why = {missing.name: missing.why for missing in self.missing}
        raise InputError(
            f"The report has no {name!r}" + (f": {why[name]}" if name in why else ""),
            allowed=", ".join(merit.name for merit in self.merits) or "nothing: the traces allow none",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain data, None for what is nan; JSON takes it as it is.

        Returns
        -------
        dict
            ``merits`` and ``missing``: a list each, with a dict of the fields of :class:`Merit` or :class:`Missing` for
            each row.
        """

        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return {
            "merits": [{key: plain(value) for key, value in merit._asdict().items()} for merit in self.merits],
            "missing": [missing._asdict() for missing in self.missing],
        }

    def __str__(self) -> str:
        lines = []
        for m in self.merits:
            value = m.value if isinstance(m.value, str) else f"{m.value:.4g}"
            if m.value != m.value:  # more than half are lower bounds
                value = "not reached,"
            unit = "" if m.unit == "1" else f" {m.unit}"
            between = f" [{m.low:.3g}, {m.high:.3g}]" if math.isfinite(m.low) or math.isfinite(m.high) else ""
            cv = f", CV {100 * m.cv:.1f} %" if math.isfinite(m.cv) else ""
            late = f", {m.censored} censored" if m.censored else ""
            lines.append(
                f"{m.name}: {value}{unit}{between} (n = {m.number}{late}{cv})" + (f"; {m.note}" * bool(m.note))
            )
        return "\n".join([*lines, *(f"{one.name}: not from these traces: {one.why}" for one in self.missing)])
