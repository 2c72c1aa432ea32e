"""Physical constants, CODATA through :mod:`scipy.constants`, in the units that halidrift computes in."""

from __future__ import annotations

from scipy import constants as _si

ELEMENTARY_CHARGE_C: float = _si.elementary_charge
BOLTZMANN_J_K: float = _si.Boltzmann
BOLTZMANN_EV_K: float = _si.Boltzmann / _si.elementary_charge
PLANCK_J_S: float = _si.Planck
VACUUM_PERMITTIVITY_F_M: float = _si.epsilon_0
CONDUCTANCE_QUANTUM_S: float = 2 * _si.elementary_charge**2 / _si.Planck
LORENZ_NUMBER_W_OHM_K2: float = (_si.pi**2 / 3) * (_si.Boltzmann / _si.elementary_charge) ** 2
