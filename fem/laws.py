"""What a film is made of: its mobile ions, and how it conducts current and heat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..physics.errors import InputError

__all__ = ["Conduction", "Heat", "Ions"]


def _positive(
    owner: Any, names: tuple[str, ...], *, zero: tuple[str, ...] = (), infinite: tuple[str, ...] = ()
) -> None:
    for name in names:
        value = np.asarray(getattr(owner, name), dtype=float)
        good = (value >= 0 if name in zero else value > 0) & (np.isfinite(value) | (name in infinite))
        if not good.all():
            raise InputError(
                f"{name} is out of range",
                got=getattr(owner, name) if value.ndim == 0 else f"{np.sum(~good)} such cells",
                allowed=f"{'>=' if name in zero else '>'} 0{'' if name in infinite else ', finite'}",
            )


@dataclass(frozen=True)
class Ions:
    """The mobile ions: how they hop, and where they are at the start.

    Parameters
    ----------
    barrier_eV : float, eV, > 0
    attempt_frequency_Hz : float, Hz, > 0
    hop_length_m : float, m, > 0
    density_1_m3 : float or array, shape (cells,), 1/m^3, >= 0
        At the start.
    charge : int, not 0
    site_density_1_m3 : float, 1/m^3, > 0
        Density that ions cannot exceed; inf: dilute.
    soret_1_K : float, 1/K
        Positive drives ions to the cold.
    heat_of_transport_eV : float, eV
        Adds Q / (k_B T^2) to the Soret coefficient; minus the barrier: ions gather where it is hot.
    bottom_density_1_m3, top_density_1_m3 : float or None, 1/m^3, >= 0
        Density that a contact holds; None: no ion passes.

    Raises
    ------
    InputError
        If a number is out of range, or the start exceeds the site density.
    """

    barrier_eV: float
    attempt_frequency_Hz: float
    hop_length_m: float
    density_1_m3: Any
    charge: int = 1
    site_density_1_m3: float = np.inf
    soret_1_K: float = 0.0
    heat_of_transport_eV: float = 0.0
    bottom_density_1_m3: float | None = None
    top_density_1_m3: float | None = None

    def __post_init__(self) -> None:
        _positive(self, ("barrier_eV", "attempt_frequency_Hz", "hop_length_m"))
        _positive(self, ("density_1_m3", "site_density_1_m3"), zero=("density_1_m3",), infinite=("site_density_1_m3",))
        if self.charge == 0 or not np.isfinite(self.charge) or int(self.charge) != self.charge:
            raise InputError("charge must be a whole number", got=self.charge, allowed="not 0")
        for name in ("soret_1_K", "heat_of_transport_eV"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name} must be finite", got=getattr(self, name))
        for name in ("bottom_density_1_m3", "top_density_1_m3"):
            if getattr(self, name) is not None:
                _positive(self, (name,), zero=(name,))
        for name in ("density_1_m3", "bottom_density_1_m3", "top_density_1_m3"):
            most = getattr(self, name)
            if most is not None and np.max(most) > self.site_density_1_m3:
                raise InputError(
                    f"{name} exceeds the site density",
                    got=f"{np.max(most):g} 1/m3",
                    allowed=f"<= {self.site_density_1_m3:g} 1/m3",
                )


@dataclass(frozen=True)
class Conduction:
    r"""Electronic conductivity against ion density and temperature.

    .. math:: \sigma = \frac{\sigma_0 + (\sigma_1 - \sigma_0) x}{1 + \alpha x (T - 300\,\mathrm{K})}\,
              e^{-(1 - x) E / k_B T}, \qquad x = \min(P / P_1, 1)

    Parameters
    ----------
    film_S_m, filament_S_m : float, S/m, > 0
        Without ions (before the exponential) and at the density of the filament, 300 K.
    filament_density_1_m3 : float, 1/m^3, > 0
    activation_eV : float, eV, >= 0
        Without ions; falls to nothing in the filament.
    temperature_coefficient_1_K : float, 1/K, >= 0
        Of the filament's resistivity.

    Raises
    ------
    InputError
        If a number is out of range.

    References
    ----------
    .. [1] S. Larentis, F. Nardi, S. Balatti, D. C. Gilmer, D. Ielmini, IEEE Trans. Electron Devices 59, 2468 (2012).
    """

    film_S_m: float
    filament_S_m: float
    filament_density_1_m3: float
    activation_eV: float = 0.0
    temperature_coefficient_1_K: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, ("film_S_m", "filament_S_m", "filament_density_1_m3"))
        zero = ("activation_eV", "temperature_coefficient_1_K")
        _positive(self, zero, zero=zero)


@dataclass(frozen=True)
class Heat:
    r"""Conduction of heat: :math:`k = k_0 + (k_1 - k_0) x + L \sigma T`, storage, and what the walls take.

    Parameters
    ----------
    film_W_mK, filament_W_mK : float, W/(m K), > 0
        Without ions, and at the density of the filament; the second is the first if None.
    lorenz_W_ohm_K2 : float, W ohm/K^2, >= 0
        Lorenz number of the carriers (Wiedemann-Franz); 0: they carry no heat.
    capacity_J_m3K : float, J/(m^3 K), >= 0
        0: heat is in balance at every instant.
    bottom_W_m2K, top_W_m2K, side_W_m2K : float, W/(m^2 K), >= 0
        Transfer to what is outside, at the ambient temperature: inf holds the wall at it, 0 insulates.

    Raises
    ------
    InputError
        If a number is out of range, or no heat leaves and none is stored.
    """

    film_W_mK: float
    filament_W_mK: float | None = None
    lorenz_W_ohm_K2: float = 0.0
    capacity_J_m3K: float = 2e6
    bottom_W_m2K: float = np.inf
    top_W_m2K: float = np.inf
    side_W_m2K: float = 0.0

    def __post_init__(self) -> None:
        walls = ("bottom_W_m2K", "top_W_m2K", "side_W_m2K")
        _positive(self, ("film_W_mK",) if self.filament_W_mK is None else ("film_W_mK", "filament_W_mK"))
        _positive(self, ("lorenz_W_ohm_K2", "capacity_J_m3K"), zero=("lorenz_W_ohm_K2", "capacity_J_m3K"))
        _positive(self, walls, zero=walls, infinite=walls)
        if self.capacity_J_m3K == 0 and not any(getattr(self, wall) for wall in walls):
            raise InputError("Heat has no way out", got="insulated walls", action="Give a capacity or a transfer")
