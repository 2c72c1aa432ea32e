"""The formulas of the conduction laws as a fit needs them: a shape, a free factor, and what follows from both.

Fits work on the shape alone, with voltages in place of fields and no area. What a fit can tell about the film
follows by :attr:`Form.derive` from the thickness and the area, if they are known. The formulas themselves are in
:mod:`halidrift.physics.formulas`; a shape is one of them with thickness 1 m and its factor 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import formulas
from ..constants import BOLTZMANN_EV_K as K_B
from ..constants import ELEMENTARY_CHARGE_C as Q
from ..constants import VACUUM_PERMITTIVITY_F_M as EPS_0
from .film import Film

__all__ = [
    "DIRECT",
    "FOOT",
    "FOWLER",
    "HOPPING",
    "IONIC",
    "OHMIC",
    "POOLE_FRENKEL",
    "SCHOTTKY",
    "SQUARE",
    "THERMIONIC_FIELD",
    "TRAPS",
    "Form",
    "Knob",
]

Array = NDArray[np.float64]
C = formulas.TUNNEL_DECAY_1_EV


class Knob(NamedTuple):
    """A number that shapes the curve.

    Attributes
    ----------
    name : str
    span : callable (highest V, mean kT) -> (low, high)
        Bounds of the fit, wide enough to be no information.
    grid : callable (highest V, mean kT) -> array
        Starting values.
    """

    name: str
    span: Callable[[float, float], tuple[float, float]]
    grid: Callable[[float, float], Array]


@dataclass(frozen=True)
class Form:
    """One formula of a law.

    Parameters
    ----------
    name : str
    shape : callable (V, T, E, knobs, T_ref) -> array
        Current but for a factor, with the thickness 1 m.
    density : callable (V, T, thickness, static permittivity, parameters) -> array, A/m^2
        Current density from physical parameters.
    derive : callable (factor, E, knobs, film, T_ref) -> dict
        What follows from a fit; `factor` stands before the shape.
    parameters : tuple of str
        Names that `density` takes.
    needs : tuple of str
        Fields of :class:`Film` without which there is no current.
    knobs : tuple of Knob
    activated : bool
        Whether exp(-E / kT) is a factor of the shape.
    knobs_at_one_temperature : int or None
        How many of the knobs show at a single temperature; all if None.
    hidden_at_one_temperature : tuple of str
        Quantities that a single temperature does not tell.
    """

    name: str
    shape: Callable[[Array, Array, float, Array, float], Array]
    density: Callable[[Array, Array, float, float, Mapping[str, float]], Array]
    derive: Callable[[float, float, Array, Film, float], dict[str, float]]
    parameters: tuple[str, ...]
    needs: tuple[str, ...] = ("thickness_m", "area_m2")
    knobs: tuple[Knob, ...] = ()
    activated: bool = True
    knobs_at_one_temperature: int | None = None
    hidden_at_one_temperature: tuple[str, ...] = ()


def _grid(low: float, high: float, count: int) -> Array:
    return np.geomspace(low, high, count)


# -- ohmic


def _ohmic_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    at_ref = factor * np.exp(-E / (K_B * T_ref))
    told = {"conductance_S": at_ref, "activation_energy_eV": E}
    if film.thickness_m and film.area_m2:
        per = film.thickness_m / film.area_m2
        told |= {"conductivity_S_m": at_ref * per, "conductivity_prefactor_S_m": factor * per}
    return told


def _ohmic_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.ohmic_current_density(p["conductivity_prefactor_S_m"], p["activation_energy_eV"], V / d, T)


OHMIC = Form(
    "ohmic",
    lambda V, T, E, knobs, T_ref: formulas.ohmic_current_density(1.0, E, V, T),
    _ohmic_density,
    _ohmic_derive,
    ("conductivity_prefactor_S_m", "activation_energy_eV"),
    hidden_at_one_temperature=("activation_energy_eV", "conductivity_prefactor_S_m"),
)


# -- space charge

# relative permittivity times mobility with which the square law is V^2 at unit thickness
_SQUARE_UNIT = 1.0 / (1.125 * EPS_0)


def _square_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.square_law_current_density(1.0, _SQUARE_UNIT * np.exp(-E / (K_B * T)), V, 1.0)


def _square_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    mobility = p["mobility_prefactor_m2_Vs"] * np.exp(-p["activation_energy_eV"] / (K_B * T))
    return formulas.square_law_current_density(eps, mobility, V, d)


def _square_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"activation_energy_eV": E}
    if film.thickness_m and film.area_m2:
        product = factor * _SQUARE_UNIT * film.thickness_m**3 / film.area_m2
        at_ref = product * np.exp(-E / (K_B * T_ref))
        if film.static_permittivity:
            told["mobility_m2_Vs"] = at_ref / film.static_permittivity
            told["mobility_prefactor_m2_Vs"] = product / film.static_permittivity
        else:
            told["permittivity_mobility_m2_Vs"] = at_ref
    return told


SQUARE = Form(
    "square law",
    _square_shape,
    _square_density,
    _square_derive,
    ("mobility_prefactor_m2_Vs", "activation_energy_eV"),
    ("thickness_m", "area_m2", "static_permittivity"),
    hidden_at_one_temperature=("activation_energy_eV", "mobility_prefactor_m2_Vs"),
)


def _foot_parts(knobs: Array, T_ref: float) -> tuple[float, float, float]:
    """Voltage where ohmic and square law are equal at T_ref, energy difference, factor of the square law."""
    crossing, more = np.exp(knobs[0]), float(knobs[1]) if len(knobs) > 1 else 0.0
    return crossing, more, np.exp(more / (K_B * T_ref)) / crossing


def _foot_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    _, more, factor = _foot_parts(knobs, T_ref)
    return formulas.ohmic_current_density(1.0, E, V, T) + factor * _square_shape(V, T, E + more, knobs, T_ref)


def _foot_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    foot = {**p, "activation_energy_eV": p["ohmic_activation_energy_eV"]}
    return _ohmic_density(V, T, d, eps, foot) + _square_density(V, T, d, eps, p)


def _foot_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    crossing, more, share = _foot_parts(knobs, T_ref)
    ohmic = _ohmic_derive(factor, E, knobs, film, T_ref)
    ohmic["ohmic_activation_energy_eV"] = ohmic.pop("activation_energy_eV")
    return {
        "crossover_voltage_V": crossing,
        **ohmic,
        **_square_derive(factor * share, E + more, knobs, film, T_ref),
    }


FOOT = Form(
    "ohmic and square law",
    _foot_shape,
    _foot_density,
    _foot_derive,
    ("conductivity_prefactor_S_m", "ohmic_activation_energy_eV", "mobility_prefactor_m2_Vs", "activation_energy_eV"),
    ("thickness_m", "area_m2", "static_permittivity"),
    (
        Knob(
            "ln crossing",
            lambda V, kT: (math.log(1e-3 * V), math.log(1e3 * V)),
            lambda V, kT: np.log(V * _grid(0.03, 30.0, 7)),
        ),
        Knob("energy difference", lambda V, kT: (-2.0, 2.0), lambda V, kT: np.array([-0.2, 0.0, 0.2])),
    ),
    knobs_at_one_temperature=1,
    hidden_at_one_temperature=(
        "activation_energy_eV",
        "ohmic_activation_energy_eV",
        "mobility_prefactor_m2_Vs",
        "conductivity_prefactor_S_m",
    ),
)


def _traps_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    V_t = np.exp(knobs[1]) if len(knobs) > 1 else 1.0
    return formulas.trap_filling_current_density(1.0 / Q, V_t, knobs[0] * T_ref / T, V, 1.0)


def _traps_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    V_t = Q * p["trap_density_m3"] * d * d / (eps * EPS_0)
    return formulas.trap_filling_current_density(p["mobility_density_1_mVs"], V_t, p["trap_temperature_K"] / T, V, d)


def _traps_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"exponent": 1.0 + float(knobs[0])}
    if len(knobs) < 2:  # one temperature: m is seen, what it comes from is not
        return told
    T_t, V_t, d = float(knobs[0]) * T_ref, np.exp(knobs[1]), film.thickness_m
    told |= {"trap_temperature_K": T_t, "trap_energy_eV": K_B * T_t, "trap_voltage_V": V_t}
    if d and film.static_permittivity:
        told["trap_density_m3"] = V_t * film.static_permittivity * EPS_0 / (Q * d * d)
    if d and film.area_m2:
        told["mobility_density_1_mVs"] = factor * d / (film.area_m2 * Q)
    return told


TRAPS = Form(
    "trap filling",
    _traps_shape,
    _traps_density,
    _traps_derive,
    ("mobility_density_1_mVs", "trap_density_m3", "trap_temperature_K"),
    ("thickness_m", "area_m2", "static_permittivity"),
    (
        Knob("exponent", lambda V, kT: (0.05, 60.0), lambda V, kT: np.array([1.2, 1.8, 2.5, 3.5, 5.0, 8.0, 14.0])),
        Knob(
            "ln trap voltage",
            lambda V, kT: (math.log(1e-4 * V), math.log(1e12 * V)),
            lambda V, kT: np.log(V * _grid(1.0, 1e5, 11)),
        ),
    ),
    activated=False,
    knobs_at_one_temperature=1,
)


# -- emission over a lowered barrier

_LOWERING = Knob(
    "lowering at 1 V",
    lambda V, kT: (1e-3 * kT / np.sqrt(V), 600.0 * kT / np.sqrt(V)),
    lambda V, kT: _grid(0.1, 50.0, 12) * kT / np.sqrt(V),
)


def _permittivity(lowering_at_unit_field: float, lowering_at_1_V: float, d: float) -> float:
    """Relative permittivity of a lowering that goes as sqrt(F / eps_r), from its size at 1 V across d."""
    return (lowering_at_unit_field / lowering_at_1_V) ** 2 / d


_SCHOTTKY_UNIT = float(formulas.schottky_lowering(1.0, 1.0))
_POOLE_FRENKEL_UNIT = float(formulas.poole_frenkel_lowering(1.0, 1.0))


def _schottky_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.schottky_current_density(1.0, E, _permittivity(_SCHOTTKY_UNIT, knobs[0], 1.0), V, T)


def _schottky_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.schottky_current_density(
        p["richardson_A_m2_K2"], p["barrier_eV"], p["relative_permittivity"], V / d, T
    )


def _schottky_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"barrier_eV": E, "lowering_at_1_V_eV": float(knobs[0])}
    if film.thickness_m:
        told["relative_permittivity"] = _permittivity(_SCHOTTKY_UNIT, knobs[0], film.thickness_m)
    if film.area_m2:
        told["richardson_A_m2_K2"] = factor / film.area_m2
    return told


SCHOTTKY = Form(
    "schottky",
    _schottky_shape,
    _schottky_density,
    _schottky_derive,
    ("richardson_A_m2_K2", "barrier_eV", "relative_permittivity"),
    knobs=(_LOWERING,),
    hidden_at_one_temperature=("barrier_eV", "richardson_A_m2_K2"),
)


def _poole_frenkel_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.poole_frenkel_current_density(1.0, E, _permittivity(_POOLE_FRENKEL_UNIT, knobs[0], 1.0), V, T)


def _poole_frenkel_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.poole_frenkel_current_density(
        p["prefactor_S_m"], p["barrier_eV"], p["relative_permittivity"], V / d, T
    )


def _poole_frenkel_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"barrier_eV": E, "lowering_at_1_V_eV": float(knobs[0])}
    if film.thickness_m:
        told["relative_permittivity"] = _permittivity(_POOLE_FRENKEL_UNIT, knobs[0], film.thickness_m)
        if film.area_m2:
            told["prefactor_S_m"] = factor * film.thickness_m / film.area_m2
    return told


POOLE_FRENKEL = Form(
    "poole-frenkel",
    _poole_frenkel_shape,
    _poole_frenkel_density,
    _poole_frenkel_derive,
    ("prefactor_S_m", "barrier_eV", "relative_permittivity"),
    knobs=(_LOWERING,),
    hidden_at_one_temperature=("barrier_eV", "prefactor_S_m"),
)


# -- tunnelling


def _triangle(slope: float, mass: float) -> float:
    """Barrier that gives an exponent exp(-slope / F)."""
    return (1.5 * slope / (C * np.sqrt(mass))) ** (2.0 / 3.0)


def _fowler_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.fowler_nordheim_current_density(_triangle(knobs[0], 1.0), 1.0, V) * np.ones_like(T)


def _fowler_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.fowler_nordheim_current_density(p["barrier_eV"], p["effective_mass"], V / d) * np.ones_like(T)


def _fowler_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    slope, d = float(knobs[0]), film.thickness_m
    if not d:
        return {"slope_V": slope}
    told = {"slope_V_m": slope / d}
    if film.effective_mass:
        told["barrier_eV"] = _triangle(slope / d, film.effective_mass)
    elif film.area_m2:
        # the slope gives m phi^3, the factor m phi: the shape was drawn with mass 1 at unit thickness
        cubed = (1.5 * slope / (d * C)) ** 2
        product = film.area_m2 * _triangle(slope, 1.0) / (d * d * factor)
        told["barrier_eV"] = np.sqrt(cubed / product)
        told["effective_mass"] = product / told["barrier_eV"]
    return told


FOWLER = Form(
    "fowler-nordheim",
    _fowler_shape,
    _fowler_density,
    _fowler_derive,
    ("barrier_eV", "effective_mass"),
    knobs=(Knob("slope", lambda V, kT: (1e-3 * V, 1e3 * V), lambda V, kT: V * _grid(0.1, 100.0, 16)),),
    activated=False,
)


def _direct_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    phi, gap = float(knobs[0]), float(knobs[1]) / (C * np.sqrt(knobs[0]))
    return formulas.direct_tunnelling_current_density(phi, 1.0, gap, V) * np.ones_like(T)


def _direct_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    J = formulas.direct_tunnelling_current_density(p["barrier_eV"], p["effective_mass"], p["gap_m"], V)
    return J * np.ones_like(T)


def _direct_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    gap = float(knobs[1]) / (C * np.sqrt(knobs[0]))
    told = {"barrier_eV": float(knobs[0]), "gap_root_mass_m": gap}
    if film.effective_mass:
        told["gap_m"] = gap / np.sqrt(film.effective_mass)
    elif film.area_m2:
        told["effective_mass"] = factor / film.area_m2
        told["gap_m"] = gap / np.sqrt(told["effective_mass"])
    return told


DIRECT = Form(
    "direct tunnelling",
    _direct_shape,
    _direct_density,
    _direct_derive,
    ("barrier_eV", "effective_mass", "gap_m"),
    ("area_m2",),
    # the equation holds for V < phi and has values for V < 2 phi: a barrier in between is told and warned about.
    # The second knob is the exponent at zero voltage, which the data fix best
    (
        Knob("barrier", lambda V, kT: (0.505 * V, 100.0 * V), lambda V, kT: V * _grid(0.7, 10.0, 10)),
        Knob("exponent", lambda V, kT: (0.01, 200.0), lambda V, kT: _grid(1.0, 60.0, 10)),
    ),
    activated=False,
)


def _thermionic_field_mass(share: float, d: float) -> float:
    """Mass that adds share V^2 / (kT)^3 to the exponent."""
    return 1.0 / (3.0 * C * C * share * d * d)


def _thermionic_field_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.thermionic_field_current_density(E, _thermionic_field_mass(knobs[0], 1.0), V, T)


def _thermionic_field_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.thermionic_field_current_density(p["barrier_eV"], p["effective_mass"], V / d, T)


def _thermionic_field_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"barrier_eV": E}
    if film.thickness_m:
        told["effective_mass"] = _thermionic_field_mass(float(knobs[0]), film.thickness_m)
        if film.area_m2:
            told["emission_ratio"] = factor * film.thickness_m**2 / film.area_m2
    return told


THERMIONIC_FIELD = Form(
    "thermionic-field",
    _thermionic_field_shape,
    _thermionic_field_density,
    _thermionic_field_derive,
    ("barrier_eV", "effective_mass"),
    knobs=(
        Knob(
            "exponent (kT)^3 at 1 V",
            lambda V, kT: (1e-6 * kT**3 / (V * V), 300.0 * kT**3 / (V * V)),
            lambda V, kT: _grid(0.02, 60.0, 14) * kT**3 / (V * V),
        ),
    ),
    hidden_at_one_temperature=("barrier_eV", "emission_ratio"),
)


# -- hops


def _hop_shape(V: Array, T: Array, E: float, knobs: Array, T_ref: float) -> Array:
    return formulas.hopping_current_density(1.0 / Q, 1, knobs[0], 1.0, E, V, T)


def _hop_density(V: Array, T: Array, d: float, eps: float, p: Mapping[str, float]) -> Array:
    return formulas.hopping_current_density(
        p["attempt_density_1_m3s"], 1, p["hop_length_m"], 1.0, p["activation_energy_eV"], V / d, T
    )


def _hop_derive(factor: float, E: float, knobs: Array, film: Film, T_ref: float) -> dict[str, float]:
    told = {"activation_energy_eV": E}
    if not film.thickness_m:
        told["hop_voltage_share"] = float(knobs[0])
        return told
    told["hop_length_m"] = float(knobs[0]) * film.thickness_m
    if film.area_m2:
        told["attempt_density_1_m3s"] = factor / (film.area_m2 * Q * film.thickness_m)
    return told


HOPPING = Form(
    "hopping",
    _hop_shape,
    _hop_density,
    _hop_derive,
    ("attempt_density_1_m3s", "activation_energy_eV", "hop_length_m"),
    knobs=(
        Knob(
            "hop length over thickness",
            lambda V, kT: (1e-3 * kT / V, 600.0 * kT / V),
            lambda V, kT: _grid(0.1, 100.0, 14) * kT / V,
        ),
    ),
    hidden_at_one_temperature=("activation_energy_eV", "attempt_density_1_m3s"),
)

IONIC = replace(HOPPING, name="ionic")
