"""What a paper reports, number by number, and the verdict on what was found.

A target is what the paper prints, with the place where it prints it. `id` is the number's name in the list of
checkable numbers that the project keeps; quantities without one have an id of their own that begins with "X-".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..physics.device import Device

__all__ = ["KINDS", "Target", "formatted", "quantity", "table"]

KINDS = ("published", "calibrated", "assumed", "predicted")


@dataclass(frozen=True)
class Target:
    """One number or finding of the paper.

    Attributes
    ----------
    id : str
    name : str
        The quantity, in words.
    unit : str
    text : str
        The target as printed.
    locator : str
        Where in the source.
    low, high : float
        Values that count as a hit, bounds included. An "about" in the paper is taken as a factor of two.
    source : str
        Bib key; empty where no paper prints it.
    handle : str
        Short name for the command line, for those that are asked for often.
    """

    id: str
    name: str
    unit: str
    text: str
    locator: str
    low: float = -math.inf
    high: float = math.inf
    source: str | None = None
    handle: str = ""

    @property
    def checkable(self) -> bool:
        """Whether any value could miss."""
        return math.isfinite(self.low) or math.isfinite(self.high)


def table(*rows: Target, source: str) -> dict[str, Target]:
    """Targets by ``"id/name"``; `source` is that of the rows that name none.

    Parameters
    ----------
    *rows : Target
    source : str
        Bib key.

    Returns
    -------
    dict of str to Target
    """
    whole = (row if row.source is not None else replace(row, source=source) for row in rows)
    return {f"{row.id}/{row.name}": row for row in whole}


def quantity(
    target: Target,
    value: float | str | None,
    *,
    device: Device,
    kind: str | None = None,
    uncertainty: float | None = None,
    note: str = "",
    made_by: str = "",
    skipped: str = "",
    stages: Sequence[str] = (),
    devices: Sequence[Device] | None = None,
) -> dict[str, Any]:
    """One line of the results: a value beside its target.

    Parameters
    ----------
    target : Target
    value : float, str or None
        None if it could not be computed; `note` says why.
    device : Device
        A quantity whose id a calibrated parameter of the card names in `fitted_to` is calibrated itself.
    kind : {"published", "calibrated", "assumed", "predicted"}, optional
        By default calibrated or predicted, as the card says.
    uncertainty : float, optional
        Standard error, in the unit of the value.
    note : str
    made_by : str
        What computed it.
    skipped : str
        Why it was not attempted: neither hit nor miss, and of no kind.
    stages : sequence of str
        Stages of the job, or ``"stage/trace"``, that it was read off.
    devices : sequence of Device, optional
        Every card that it rests on; `device` alone if not given.

    Returns
    -------
    dict
        Value and unit, target as printed and its bounds, kind, ``verdict`` ("hit", "miss", "not computed" or "no number
        to compare with"), source, uncertainty, and what it was made from.
    """
    if skipped:
        kind = ""
        note = "; ".join(filter(None, [skipped, note]))
    parents = [p.name for p in device.parameters.values() if p.kind == "calibrated" and target.id in _ids(p.fitted_to)]
    if kind is None:
        kind = "calibrated" if parents else "predicted"
    if kind == "calibrated" and parents:
        note = "; ".join(filter(None, [note, f"{', '.join(parents)} fitted to it"]))
    hit: bool | None = None
    if skipped:
        value = None
    elif value is None:
        hit = False if target.checkable else None
    elif isinstance(value, str):
        # words of no paper are nothing to miss
        hit = value == target.text if target.source else None
    elif target.checkable:
        hit = bool(target.low <= value <= target.high)
    verdict = {True: "hit", False: "miss", None: "not computed" if skipped else "no number to compare with"}[hit]
    return {
        "id": target.id,
        "quantity": target.name,
        "handle": target.handle,
        "value": value if not isinstance(value, float) or math.isfinite(value) else None,
        "unit": target.unit,
        "kind": kind,
        "target": target.text,
        "target_low": target.low if math.isfinite(target.low) else None,
        "target_high": target.high if math.isfinite(target.high) else None,
        "verdict": verdict,
        "source": target.source,
        "locator": target.locator,
        "uncertainty": uncertainty if uncertainty is None or math.isfinite(uncertainty) else None,
        "made_by": made_by,
        "stages": [] if skipped else list(stages),
        "devices": [d.name for d in ([device] if devices is None else devices)],
        "note": note,
    }


def _ids(text: str) -> set[str]:
    """Ids of targets that a text names."""
    return set(re.findall(r"[JKX]-[A-Z0-9]+(?:-[A-Za-z0-9]+)*", text))


def formatted(row: Mapping[str, Any]) -> str:
    """Value and uncertainty as a reader wants them.

    Parameters
    ----------
    row : mapping
        From :func:`quantity`.
    """
    value = row["value"]
    if value is None:
        return "not computed"
    if isinstance(value, str):
        return value
    error = row["uncertainty"]
    if row["unit"] == "%":
        return f"{value:.2f}" + (f" ± {error:.2f}" if error is not None else "")
    return f"{value:.3g} ± {error:.1g}" if error else f"{value:.4g}"
