"""What is known about the film whose current is analysed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError

__all__ = ["Film"]


@dataclass(frozen=True)
class Film:
    """What is known about the film.

    Parameters
    ----------
    thickness_m : float or None, m, > 0
        Distance over which the voltage drops.
    area_m2 : float or None, m^2, > 0
        Area that carries the current: the electrode only where conduction is uniform.
    static_permittivity : float or None, 1, >= 1
        Relative, at zero frequency.
    effective_mass : float or None, 1, > 0
        Of the carriers, in electron masses.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    thickness_m: float | None = None
    area_m2: float | None = None
    static_permittivity: float | None = None
    effective_mass: float | None = None

    def __post_init__(self) -> None:
        for name, unit, least in (
            ("thickness_m", "m", 0.0),
            ("area_m2", "m^2", 0.0),
            ("static_permittivity", "", 1.0),
            ("effective_mass", "electron masses", 0.0),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value) or value <= 0 or value < least:
                raise InputError(
                    f"{name} is out of range",
                    got=f"{value:g} {unit}".rstrip(),
                    allowed=f"{'>=' if least else '>'} {least:g} {unit}".rstrip(),
                )
