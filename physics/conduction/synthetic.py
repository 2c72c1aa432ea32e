"""Measurements that a law would give: to plan a measurement, and to test the analysis against a known answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ..errors import InputError
from ..randomness import Rng, generator
from .film import Film
from .laws import law
from .measurement import measurement

__all__ = ["EXAMPLES", "Example", "example", "synthetic"]


@dataclass(frozen=True)
class Example:
    """A film in which one law rules, with numbers such as halide perovskites have.

    Parameters
    ----------
    law, form : str
    film : Film
    voltages_V : (float, float), V
        Ends of the sweep.
    parameters : mapping of str to float
    """

    law: str
    form: str
    film: Film
    voltages_V: tuple[float, float]
    parameters: Mapping[str, float]


EXAMPLES: dict[str, Example] = {
    # of the width and the mass of a tunnelling gap the data tell one: the mass is taken as known
    name: Example(law, form, Film(d, area, 25.0, 0.4 if law == "direct-tunnelling" else None), voltages, numbers)
    for name, law, form, d, area, voltages, numbers in (
        (
            *("schottky", "schottky", "schottky", 200e-9, 1e-8, (0.1, 3.0)),
            {"richardson_A_m2_K2": 1e4, "barrier_eV": 0.65, "relative_permittivity": 5.0},
        ),
        (
            *("fowler-nordheim", "fowler-nordheim", "fowler-nordheim", 10e-9, 1e-16, (2.5, 5.0)),
            {"barrier_eV": 1.0, "effective_mass": 0.1},
        ),
        (
            *("direct-tunnelling", "direct-tunnelling", "direct tunnelling", 200e-9, 1e-12, (0.1, 0.95)),
            {"barrier_eV": 1.0, "effective_mass": 0.4, "gap_m": 3e-9},
        ),
        (
            *("thermionic-field", "thermionic-field", "thermionic-field", 20e-9, 1e-10, (0.1, 1.5)),
            {"barrier_eV": 0.6, "effective_mass": 0.2},
        ),
        (
            *("poole-frenkel", "poole-frenkel", "poole-frenkel", 200e-9, 1e-8, (0.1, 3.0)),
            {"prefactor_S_m": 1.0, "barrier_eV": 0.5, "relative_permittivity": 5.0},
        ),
        (
            *("hopping", "hopping", "hopping", 50e-9, 1e-10, (0.1, 3.0)),
            {"attempt_density_1_m3s": 1e36, "activation_energy_eV": 0.4, "hop_length_m": 3e-9},
        ),
        (
            *("ohmic", "ohmic", "ohmic", 200e-9, 1e-8, (0.1, 3.0)),
            {"conductivity_prefactor_S_m": 1.0, "activation_energy_eV": 0.3},
        ),
        (
            *("sclc", "sclc", "square law", 500e-9, 1e-8, (0.1, 3.0)),
            {"mobility_prefactor_m2_Vs": 2e-4, "activation_energy_eV": 0.2},
        ),
        (
            *("ionic", "ionic", "ionic", 15e-9, 1e-12, (0.1, 3.0)),
            {"attempt_density_1_m3s": 1e39, "activation_energy_eV": 0.35, "hop_length_m": 0.42e-9},
        ),
        (
            *("sclc, trap filling", "sclc", "trap filling", 200e-9, 1e-8, (0.1, 3.0)),
            {"mobility_density_1_mVs": 1e17, "trap_density_m3": 1e24, "trap_temperature_K": 900.0},
        ),
        (
            *("sclc, ohmic foot", "sclc", "ohmic and square law", 500e-9, 1e-8, (0.1, 3.0)),
            {
                "conductivity_prefactor_S_m": 5.0,
                "ohmic_activation_energy_eV": 0.3,
                "mobility_prefactor_m2_Vs": 2e-4,
                "activation_energy_eV": 0.2,
            },
        ),
    )
}
"""One example a law, under its name, and one for each further form of space-charge-limited current."""


def example(
    given: str | Example,
    *,
    temperatures_K: ArrayLike = (260.0, 280.0, 300.0, 320.0, 340.0),
    points: int = 40,
    relative_noise: float = 0.05,
    floor_A: float = 1e-12,
    rng: Rng = None,
) -> xr.Dataset:
    """Measurement of an example: sweeps up at several temperatures.

    Parameters
    ----------
    given : str or Example
        Key of :data:`EXAMPLES`, or an example of your own.
    temperatures_K : array, K
    points : int
        Voltages of a sweep, in equal steps.
    relative_noise, floor_A : float, 1 and A, >= 0
    rng : int, numpy.random.Generator or None
        See :func:`synthetic`.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If there is no such example.

    Examples
    --------
    >>> example("ohmic", points=10, rng=0).sizes["point"]
    50
    """
    if isinstance(given, str):
        if given not in EXAMPLES:
            raise InputError("No such example", got=given, allowed=", ".join(EXAMPLES))
        given = EXAMPLES[given]
    return synthetic(
        given.law,
        np.linspace(*given.voltages_V, points),
        temperatures_K,
        film=given.film,
        form=given.form,
        relative_noise=relative_noise,
        floor_A=floor_A,
        rng=rng,
        **given.parameters,
    )


def synthetic(
    name: str,
    voltage_V: ArrayLike,
    temperature_K: ArrayLike,
    *,
    film: Film,
    form: str | None = None,
    relative_noise: float = 0.0,
    floor_A: float = 0.0,
    rng: Rng = None,
    **parameters: float,
) -> xr.Dataset:
    """Current of a law, with the noise of an instrument.

    Parameters
    ----------
    name : str
        Of the law.
    voltage_V : array, shape (voltages,), V, > 0
    temperature_K : float or array, shape (temperatures,), K, > 0
    film : Film
        Thickness, area and whatever else the form needs.
    form : str, optional
        Of the law; the first if not given.
    relative_noise : float, 1, >= 0
        Standard deviation as share of the current.
    floor_A : float, A, >= 0
        Standard deviation at zero current.
    rng : int, numpy.random.Generator or None
    **parameters : float
        Of the form, by name.

    Returns
    -------
    xarray.Dataset
        Of dimension ``point``, temperature by temperature.

    Raises
    ------
    InputError
        If a parameter is missing or unknown, or a number is out of range.

    Examples
    --------
    >>> film = Film(thickness_m=200e-9, area_m2=1e-8)
    >>> made = synthetic(
    ...     "ohmic", [0.5, 1.0], 300.0, film=film, conductivity_prefactor_S_m=1.0, activation_energy_eV=0.3
    ... )
    >>> f"{made.current.values[1]:.3g} A"
    '4.56e-07 A'
    """
    chosen = law(name).form(form)
    if set(parameters) != set(chosen.parameters):
        raise InputError(
            f"{chosen.name} takes other parameters", got=sorted(parameters), allowed=", ".join(chosen.parameters)
        )
    lacking = [need for need in chosen.needs if getattr(film, need) is None]
    if lacking:
        raise InputError(f"{chosen.name} needs more of the film", got=film, allowed=", ".join(chosen.needs))
    V = np.atleast_1d(np.asarray(voltage_V, dtype=float))
    T = np.atleast_1d(np.asarray(temperature_K, dtype=float))[:, None]
    if (V <= 0).any() or (T <= 0).any():
        raise InputError("Voltages and temperatures must be positive", got=f"{V.min():g} V, {T.min():g} K")
    if name == "direct-tunnelling" and V.max() >= parameters["barrier_eV"]:
        raise InputError(
            "Direct tunnelling is for voltages below the barrier", got=f"{V.max():g} V", action="Use fowler-nordheim"
        )
    V, T = np.broadcast_arrays(V[None, :], T)
    d, eps = film.thickness_m or math.nan, film.static_permittivity or math.nan
    assert film.area_m2 is not None  # every form needs it
    I = film.area_m2 * chosen.density(V, T, d, eps, parameters)  # noqa: E741 - the symbol of the field
    if not np.isfinite(I).all():
        raise InputError("The law gives no finite current at these numbers", got=str(dict(parameters)))
    random = generator(rng)
    # lognormal: no reading changes sign by a share of itself
    I = I * np.exp(relative_noise * random.standard_normal(I.shape)) + floor_A * random.standard_normal(I.shape)  # noqa: E741
    table = measurement(V, I, T)
    table.attrs.update(law=name, form=chosen.name, parameters=json.dumps(parameters, sort_keys=True))
    return table
