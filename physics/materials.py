"""Element data that device cards refer to."""

from __future__ import annotations

from .errors import InputError

__all__ = ["STANDARD_POTENTIAL_V", "standard_potential"]

# Standard potential of M+ + e- = M (Al: per electron of Al3+), against the hydrogen electrode, 298 K.
# CRC Handbook of Chemistry and Physics, "Electrochemical Series". Differences between metals are used for the
# energy of their cations; that they carry over from water into the perovskite is an assumption.
STANDARD_POTENTIAL_V: dict[str, float] = {"Ag": 0.7996, "Al": -1.662, "Au": 1.692, "Cu": 0.521}


def standard_potential(metal: str) -> float:
    """Standard electrode potential of a metal, V against the standard hydrogen electrode.

    Parameters
    ----------
    metal : str
        Symbol, such as ``"Ag"``.

    Returns
    -------
    float, V

    Raises
    ------
    InputError
        For a metal that has no entry.
    """
    if metal not in STANDARD_POTENTIAL_V:
        raise InputError(
            "No standard electrode potential for this electrode",
            got=metal,
            allowed=", ".join(sorted(STANDARD_POTENTIAL_V)),
            action="Use one of these metals, or add it to physics/materials.py with its source",
        )
    return STANDARD_POTENTIAL_V[metal]
