"""The nine conduction laws of Table 3 of the review, as one typed table.

A law has one or several forms: space-charge-limited current has three, because Table 3 gives it three regimes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import formulas
from ..constants import BOLTZMANN_EV_K as K_B
from ..errors import InputError
from .film import Film
from .forms import (
    DIRECT,
    FOOT,
    FOWLER,
    HOPPING,
    IONIC,
    OHMIC,
    POOLE_FRENKEL,
    SCHOTTKY,
    SQUARE,
    THERMIONIC_FIELD,
    TRAPS,
    Form,
)

__all__ = ["CONFUSABLE", "LAWS", "Axes", "Law", "Parameter", "checked", "law"]

Array = NDArray[np.float64]
C = formulas.TUNNEL_DECAY_1_EV

# widest gap measured on lead halides, MAPb(Br0.05Cl0.95)3 at 3.21 eV (Kopteva2023): no barrier is higher
WIDEST_GAP_EV = 3.2
# static permittivity, lattice and turning cations included, that no three-dimensional lead halide exceeds
STATIC_PERMITTIVITY = 70.0
FREE_RICHARDSON_A_M2_K2 = float(formulas.richardson_constant(1.0))


@dataclass(frozen=True)
class Parameter:
    """A quantity that a law is made of or that a fit tells.

    Parameters
    ----------
    name : str
        With its unit.
    unit : str
    meaning : str
    low, high : float
        Outside these the value is no property of a halide-perovskite film.
    why : str
        What the bounds rest on.
    """

    name: str
    unit: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    why: str = ""


@dataclass(frozen=True)
class Axes:
    """Axes on which a law is a straight line.

    Parameters
    ----------
    x_label, y_label : str
        With units.
    x : callable (V, T)
    y : callable (V, I, T)
        nan where the reading is not positive.
    """

    x_label: str
    y_label: str
    x: Callable[[Array, Array], Array]
    y: Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Law:
    """A row of Table 3.

    Parameters
    ----------
    name : str
    title : str
    printed : str
        What the review prints.
    relation : str
        What is computed.
    departure : str
        Why the two differ; empty if they do not.
    axes : Axes
    forms : tuple of Form
    quantities : tuple of Parameter
    sources : tuple of str
        Bib keys.
    checks : callable (quantities, V, T) -> list of str, or None
        Where the formula leaves the range in which it holds.
    """

    name: str
    title: str
    printed: str
    relation: str
    departure: str
    axes: Axes
    forms: tuple[Form, ...]
    quantities: tuple[Parameter, ...]
    sources: tuple[str, ...]
    checks: Callable[[Mapping[str, float], Array, Array], list[str]] | None = field(default=None, repr=False)

    def quantity(self, name: str) -> Parameter:
        """Return the quantity of that name.

        Parameters
        ----------
        name : str
        """
        return next(q for q in self.quantities if q.name == name)

    def form(self, name: str | None = None) -> Form:
        """Return a form by name, the first if none is given.

        Parameters
        ----------
        name : str

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name is None:
            return self.forms[0]
        for form in self.forms:
            if form.name == name:
                return form
        raise InputError(f"{self.name} has no such form", got=name, allowed=", ".join(form.name for form in self.forms))


# -- quantities that several laws share

_BARRIER_WHY = "a barrier is positive and below the widest gap of a lead halide (Kopteva2023)"
_MASS = Parameter(
    "effective_mass",
    "1",
    "effective mass of the carriers, in electron masses",
    0.05,
    1.0,
    "reduced masses of lead halides are about 0.1 (Miyata2015), so that no carrier is lighter than 0.05",
)
_MOBILITY_WHY = "phonons limit mobilities of lead halides to about 200 cm^2/Vs (Herz2017)"


_PERMITTIVITY = Parameter(
    "relative_permittivity",
    "1",
    "permittivity of the barrier lowering; carriers pass too fast for ions to follow, so near the optical one",
    1.0,
    STATIC_PERMITTIVITY,
    "between vacuum and the static permittivity (static_permittivity if given, else 70; Wilson2019)",
)


# -- where a formula stops to hold


def _lowering_check(q: Mapping[str, float], V: Array, T: Array) -> list[str]:
    if "barrier_eV" in q and q["lowering_at_1_V_eV"] * math.sqrt(V.max()) > q["barrier_eV"]:
        return ["the field removes the whole barrier at the highest voltage: the formula does not hold there"]
    return []


def _fowler_check(q: Mapping[str, float], V: Array, T: Array) -> list[str]:
    said = []
    if "barrier_eV" in q:
        if V.min() < q["barrier_eV"]:
            said.append(
                f"the formula is for voltages above the barrier of {q['barrier_eV']:.2f} eV, the window begins at "
                f"{V.min():.2g} V"
            )
        slope = q["slope_V_m"]
        width = 1.5 * slope * q["thickness_m"] / (q["barrier_eV"] * V.min()) if "thickness_m" in q else 0.0
        u = math.pi * width * K_B * float(T.max())
        if u > 1.0:
            more = f"by a factor {u / math.sin(u):.2g}" if u < 3.0 else "without bound"
            said.append(f"heat raises this tunnel current {more} at the lowest voltage, which the formula leaves out")
    return said


def _direct_check(q: Mapping[str, float], V: Array, T: Array) -> list[str]:
    said = []
    u = math.pi * C * q["gap_root_mass_m"] / (2.0 * math.sqrt(q["barrier_eV"])) * K_B * float(T.max())
    if u > 1.0:
        more = f"by a factor {u / math.sin(u):.2g}" if u < 3.0 else "without bound"
        said.append(f"heat raises this tunnel current {more}, which the formula leaves out")
    if V.max() > q["barrier_eV"]:
        said.append(
            f"the formula is for voltages below the barrier of {q['barrier_eV']:.2f} eV, the window ends at "
            f"{V.max():.2g} V"
        )
    if "gap_m" in q and "thickness_m" in q and q["gap_m"] > q["thickness_m"]:
        said.append(f"the tunnelling gap of {q['gap_m'] * 1e9:.2g} nm is wider than the film")
    return said


def _thermionic_field_check(q: Mapping[str, float], V: Array, T: Array) -> list[str]:
    if "barrier_eV" not in q or "effective_mass" not in q or "thickness_m" not in q:
        return []
    kT = K_B * float(T.min())
    top = 3.0 * formulas.thermionic_field_exponent(q["effective_mass"], V.max() / q["thickness_m"], T.min()) * kT
    if top > q["barrier_eV"]:
        return ["at the highest field most carriers tunnel from the Fermi level: Fowler-Nordheim, not this formula"]
    return []


# -- axes


def _ln(values: Array) -> Array:
    """Logarithm; readings that noise made negative have none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, np.log(np.maximum(values, 1e-300)), np.nan)


# -- the table, in the order of the review

_ACTIVATION = "activation_energy_eV"
_ELECTRON_ENERGY_WHY = "no deeper than the middle of the widest gap of a lead halide (Kopteva2023)"
_HIGHEST_RATE = "a site density of one in a unit cell times an attempt frequency of 1e13 Hz"

LAWS: tuple[Law, ...] = (
    Law(
        "schottky",
        "Schottky emission",
        "I ∝ T² exp(-√(E/T))",
        "J = A T² exp[-(φ - √(q³F/4πε))/kT]",
        "The sign under the print makes the current fall with the field, and T stands under the root.",
        Axes("√V (V⁰·⁵)", "ln(I/T²) (in A, K)", lambda V, T: np.sqrt(V), lambda V, i, T: _ln(i / T**2)),
        (SCHOTTKY,),
        (
            Parameter("barrier_eV", "eV", "barrier at the contact without field", 0.0, WIDEST_GAP_EV, _BARRIER_WHY),
            _PERMITTIVITY,
            Parameter(
                "richardson_A_m2_K2",
                "A/(m^2 K^2)",
                "effective Richardson constant",
                0.0,
                10.0 * FREE_RICHARDSON_A_M2_K2,
                "ten times that of free electrons; a smaller one is common (reflection, diffusion, small area)",
            ),
            Parameter("lowering_at_1_V_eV", "eV", "lowering of the barrier by 1 V", 0.0),
        ),
        ("Chiu2014", "Yantara2026"),
        _lowering_check,
    ),
    Law(
        "fowler-nordheim",
        "Fowler-Nordheim tunnelling",
        "I ∝ E² exp(-1/E)",
        "J = q³F²/(8πhm*φ) exp[-4√(2m*)φ^1.5/(3ħqF)]",
        "",
        Axes("1/V (1/V)", "ln(I/V²) (in A, V)", lambda V, T: 1.0 / V, lambda V, i, T: _ln(i / V**2)),
        (FOWLER,),
        (
            Parameter("barrier_eV", "eV", "barrier at the contact", 0.0, WIDEST_GAP_EV, _BARRIER_WHY),
            _MASS,
            Parameter("slope_V_m", "V/m", "slope of ln(I/F²) against -1/F", 0.0),
            Parameter("slope_V", "V", "slope of ln(I/V²) against -1/V", 0.0),
        ),
        ("Chiu2014", "FowlerNordheim1928", "Yantara2026"),
        _fowler_check,
    ),
    Law(
        "direct-tunnelling",
        "Direct tunnelling",
        "I ∝ exp(E)",
        "Simmons: J = q²/(2πhs²)[(φ-V/2)exp(-κ√(φ-V/2)) - (φ+V/2)exp(-κ√(φ+V/2))]",
        "The print is the middle range only; at low voltage the current is ohmic, at zero it is zero.",
        Axes("V (V)", "ln(I/V) (in A, V)", lambda V, T: V, lambda V, i, T: _ln(i / V)),
        (DIRECT,),
        (
            Parameter("barrier_eV", "eV", "mean height of the barrier", 0.0, WIDEST_GAP_EV, _BARRIER_WHY),
            Parameter(
                "gap_m",
                "m",
                "width of the tunnelling gap",
                0.2e-9,
                5e-9,
                "from a bond length to where tunnelling alone carries too little to be measured",
            ),
            _MASS,
            Parameter("gap_root_mass_m", "m", "width of the gap times √m*", 0.0),
        ),
        ("Chiu2014", "Simmons1963", "Yantara2026"),
        _direct_check,
    ),
    Law(
        "thermionic-field",
        "Thermionic-field emission",
        "I ∝ E exp(-1/T) exp(E²/T³)",
        "J = q²√(m*kT)F/(2√2 π^1.5 ħ²) exp[-φ/kT + (ħqF)²/(24m*(kT)³)]",
        "The print leaves out √T; the number in front is that of Murphy and Good.",
        Axes(
            "V²/T³ (10⁻⁸ V² K⁻³)",
            "ln(I/V√T) (in A, V, K)",
            lambda V, T: 1e8 * V**2 / T**3,
            lambda V, i, T: _ln(i / (V * np.sqrt(T))),
        ),
        (THERMIONIC_FIELD,),
        (
            Parameter("barrier_eV", "eV", "barrier at the contact", 0.0, WIDEST_GAP_EV, _BARRIER_WHY),
            _MASS,
            Parameter(
                "emission_ratio",
                "1",
                "prefactor over the one of theory for that mass and area",
                0.0,
                100.0,
                "theory gives 1; a smaller one is common (small emitting area)",
            ),
        ),
        ("Chiu2014", "MurphyGood1956", "Yantara2026"),
        _thermionic_field_check,
    ),
    Law(
        "poole-frenkel",
        "Poole-Frenkel emission",
        "I ∝ exp(-√(E/T))",
        "J = q μ N_c F exp[-(φ - √(q³F/πε))/kT]",
        "As for Schottky emission; the print also leaves out the field in front.",
        Axes("√V (V⁰·⁵)", "ln(I/V) (in A, V)", lambda V, T: np.sqrt(V), lambda V, i, T: _ln(i / V)),
        (POOLE_FRENKEL,),
        (
            Parameter("barrier_eV", "eV", "depth of the traps without field", 0.0, WIDEST_GAP_EV, _BARRIER_WHY),
            _PERMITTIVITY,
            Parameter(
                "prefactor_S_m",
                "S/m",
                "q μ N_c",
                0.0,
                1e5,
                f"band density of states of mass 1 (2.5e25 per m^3) at the highest mobility: {_MOBILITY_WHY}",
            ),
            Parameter("lowering_at_1_V_eV", "eV", "lowering of the trap by 1 V", 0.0),
        ),
        ("Chiu2014", "Frenkel1938", "Yantara2026"),
        _lowering_check,
    ),
    Law(
        "hopping",
        "Hopping conduction",
        "I ∝ exp(E/T)",
        "J = 2 q n a ν exp(-E_a/kT) sinh(qFa/2kT)",
        "The print counts forward hops only and has a current at zero field; hops back are taken off, and the "
        "barrier stands half way (Chiu's hop length is half of this one).",
        Axes("V/T (mV/K)", "ln I (in A)", lambda V, T: 1e3 * V / T, lambda V, i, T: _ln(i)),
        (HOPPING,),
        (
            Parameter(_ACTIVATION, "eV", "barrier of a hop", 0.0, 0.5 * WIDEST_GAP_EV, _ELECTRON_ENERGY_WHY),
            Parameter(
                "hop_length_m",
                "m",
                "mean spacing of the sites",
                0.6e-9,
                30e-9,
                "from one lattice constant to where tunnelling between sites has died out",
            ),
            Parameter(
                "attempt_density_1_m3s",
                "1/(m^3 s)",
                "carrier density times attempt frequency",
                0.0,
                1e41,
                _HIGHEST_RATE,
            ),
            Parameter("hop_voltage_share", "1", "hop length over thickness", 0.0, 1.0, "a hop is inside the film"),
        ),
        ("Chiu2014", "IelminiZhang2007", "Yantara2026"),
    ),
    Law(
        "ohmic",
        "Ohmic conduction",
        "I ∝ E",
        "J = σ₀ exp(-E_a/kT) F",
        "",
        Axes("ln V (in V)", "ln I (in A)", lambda V, T: np.log(V), lambda V, i, T: _ln(i)),
        (OHMIC,),
        (
            Parameter("conductance_S", "S", "conductance at the mean temperature", 0.0),
            Parameter(
                _ACTIVATION,
                "eV",
                "activation energy of the conductance",
                0.0,
                0.5 * WIDEST_GAP_EV,
                _ELECTRON_ENERGY_WHY + "; negative is a metal, for instance a filament",
            ),
            Parameter("conductivity_S_m", "S/m", "conductivity at the mean temperature", 0.0),
            Parameter("conductivity_prefactor_S_m", "S/m", "conductivity at 1/T = 0", 0.0),
        ),
        ("Chiu2014", "Yantara2026"),
    ),
    Law(
        "sclc",
        "Space-charge-limited current",
        "ohmic J ∝ E, trap-filled limit J ∝ E^m, Child's law J ∝ E²",
        "J = (9/8) ε μ V²/d³ (with or without an ohmic foot), or Mark-Helfrich with m = 1 + T_t/T",
        "Written in E the print loses the thickness: J ∝ V²/d³ and V^m/d^(2m-1).",
        Axes("ln V (in V)", "ln I (in A)", lambda V, T: np.log(V), lambda V, i, T: _ln(i)),
        (SQUARE, FOOT, TRAPS),
        (
            Parameter("exponent", "1", "m in V^m at the mean temperature", 2.0, math.inf, "m = 1 + T_t/T with T_t > T"),
            Parameter("mobility_m2_Vs", "m^2/(V s)", "mobility at the mean temperature", 0.0, 0.02, _MOBILITY_WHY),
            Parameter(
                "permittivity_mobility_m2_Vs",
                "m^2/(V s)",
                "relative permittivity times mobility at the mean temperature",
                0.0,
                0.02 * STATIC_PERMITTIVITY,
                _MOBILITY_WHY,
            ),
            Parameter(_ACTIVATION, "eV", "of the mobility (with its share of free carriers)", 0.0, WIDEST_GAP_EV),
            Parameter("ohmic_activation_energy_eV", "eV", "of the ohmic foot", 0.0, 0.5 * WIDEST_GAP_EV),
            Parameter("crossover_voltage_V", "V", "ohmic and square law equal, at the mean temperature", 0.0),
            Parameter("trap_temperature_K", "K", "T_t of the exponential trap distribution", 0.0),
            Parameter("trap_energy_eV", "eV", "k T_t", 0.0, 0.5 * WIDEST_GAP_EV, _ELECTRON_ENERGY_WHY),
            Parameter("trap_voltage_V", "V", "q N_t d²/ε, where curves of all temperatures meet", 0.0),
            Parameter("trap_density_m3", "1/m^3", "density of traps", 0.0, 5e27, "one in a unit cell"),
            Parameter("mobility_density_1_mVs", "1/(m V s)", "mobility times band density of states", 0.0),
            Parameter("conductance_S", "S", "of the ohmic foot at the mean temperature", 0.0),
            Parameter("conductivity_S_m", "S/m", "of the ohmic foot at the mean temperature", 0.0),
            Parameter("conductivity_prefactor_S_m", "S/m", "of the ohmic foot at 1/T = 0", 0.0),
            Parameter("mobility_prefactor_m2_Vs", "m^2/(V s)", "mobility at 1/T = 0", 0.0),
        ),
        ("Chiu2014", "MarkHelfrich1962", "MottGurney1940", "Yantara2026"),
    ),
    Law(
        "ionic",
        "Ionic conduction",
        "J ∝ exp(-(1/T - E/T))",
        "J = 2 z q n a ν exp(-E_a/kT) sinh(zqFa/2kT), z = 1",
        "The print counts forward hops only and has a current at zero field; hops back are taken off.",
        Axes("V/T (mV/K)", "ln I (in A)", lambda V, T: 1e3 * V / T, lambda V, i, T: _ln(i)),
        (IONIC,),
        (
            Parameter(
                _ACTIVATION, "eV", "barrier of a hop", 0.08, 2.31, "range of the barriers in Table 1 of Yantara2026"
            ),
            Parameter(
                "hop_length_m",
                "m",
                "length of a hop",
                0.2e-9,
                1.0e-9,
                "around the distance of halide sites, a/√2 = 0.42 nm in CsPbBr3",
            ),
            Parameter(
                "attempt_density_1_m3s", "1/(m^3 s)", "ion density times attempt frequency", 0.0, 1.5e41, _HIGHEST_RATE
            ),
            Parameter("hop_voltage_share", "1", "hop length over thickness", 0.0, 1.0, "a hop is inside the film"),
        ),
        ("Chiu2014", "MottGurney1940", "Yantara2026"),
    ),
)

CONFUSABLE: dict[frozenset[str], str] = {
    frozenset({"hopping", "ionic"}): (
        "hopping and ionic conduction are one formula: only the length of a hop (from the thickness) tells an ion, "
        "which hops one lattice site, from an electron between traps; a transient or a blocking contact tells better"
    ),
    frozenset({"ohmic", "hopping"}): "hopping is ohmic while the voltage along one hop stays below kT/q",
    frozenset({"ohmic", "ionic"}): "ionic conduction is ohmic while the voltage along one hop stays below kT/q",
}
"""Pairs of laws that current-voltage curves cannot tell apart in general, and why."""


def law(name: str) -> Law:
    """Return a law by name.

    Parameters
    ----------
    name : str
        Of an entry of :data:`LAWS`.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> law("poole-frenkel").printed
    'I ∝ exp(-√(E/T))'
    """
    for entry in LAWS:
        if entry.name == name:
            return entry
    raise InputError("Unknown conduction law", got=name, allowed=", ".join(entry.name for entry in LAWS))


def checked(entry: Law, quantities: Mapping[str, float], V: Array, T: Array, film: Film) -> list[str]:
    """Sentences on where a fitted formula leaves the range in which it holds.

    Parameters
    ----------
    entry : Law
    quantities : mapping of str to float
        Fitted, by name, in the unit that the law tells.
    V : array, shape (n,), V
    T : array, shape (n,), K
    film : Film

    Returns
    -------
    list of str
        Empty if there is nothing to say.
    """
    if entry.checks is None:
        return []
    known: dict[str, Any] = dict(quantities)
    if film.thickness_m:
        known["thickness_m"] = film.thickness_m
    return entry.checks(known, V, T)
