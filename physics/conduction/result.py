"""What an analysis of conduction tells: laws in order, quantities with errors, and every doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .film import Film
from .forms import Form
from .laws import Law
from .measurement import Branch, Points
from .noise import Noise

__all__ = ["Conduction", "LawFit", "Quantity"]

Array = NDArray[np.float64]

# laws this close in AICc are equally good descriptions (Burnham2002)
CLOSE = 2.0


@dataclass(frozen=True)
class Quantity:
    """A number that a fit tells.

    Parameters
    ----------
    name : str
        With its unit.
    value : float
    standard_error : float
        nan if the data do not determine the value.
    unit, meaning : str
    low, high : float
        Outside these it is no property of a halide-perovskite film.
    why : str
        What the bounds rest on.
    """

    name: str
    value: float
    standard_error: float
    unit: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    why: str = ""

    @property
    def determined(self) -> bool:
        """Whether the standard error is known and the value more than two of them from zero."""
        return math.isfinite(self.standard_error) and 2.0 * self.standard_error < abs(self.value)

    @property
    def unphysical(self) -> bool:
        """Whether the value lies outside its bounds by more than two standard errors."""
        margin = 2.0 * self.standard_error if math.isfinite(self.standard_error) else 0.0
        return self.value < self.low - margin or self.value > self.high + margin

    def __str__(self) -> str:
        """Return value and error with the digits that the error leaves."""
        if not math.isfinite(self.standard_error) or self.standard_error <= 0:
            return f"{self.value:.3g} (error unknown)"
        if not 1e-3 <= abs(self.value) < 1e5 or self.standard_error > abs(self.value):
            return f"{self.value:.3g} ± {self.standard_error:.1g}"
        if self.standard_error < 1e-5 * abs(self.value):
            return f"{self.value:.6g} ± {self.standard_error:.1g}"
        digits = max(0, 1 - math.floor(math.log10(self.standard_error)))
        return f"{self.value:.{digits}f} ± {self.standard_error:.{digits}f}"


@dataclass(frozen=True)
class LawFit:
    """One law fitted to a branch.

    Parameters
    ----------
    law : Law
    form : Form
        The form of the law that has the lowest AICc.
    quantities : tuple of Quantity
    correlation : array, shape (quantities, quantities)
        Of the estimates.
    parameters : int
        Fitted numbers of the law, k without the noise.
    points : int
        n.
    residual : float, 1
        Standard deviation of the residuals on the axis of equal noise: as share of the current far above the floor.
    aicc, delta, weight : float
        Information criterion, its distance from the lowest, Akaike weight among the laws that were fitted.
    warnings : tuple of str

    Attributes
    ----------
    theta : tuple of float
        Fitted vector, as :meth:`split` takes it apart.
    V_ref : float, V
    T_ref : float, K
        Point at which `theta` tells the current.
    single : bool
        Whether the data are of one temperature.
    """

    law: Law
    form: Form
    quantities: tuple[Quantity, ...]
    correlation: Array = field(repr=False, compare=False)
    parameters: int
    points: int
    residual: float
    aicc: float
    delta: float
    weight: float
    warnings: tuple[str, ...]
    theta: tuple[float, ...] = field(repr=False)
    V_ref: float = field(repr=False)
    T_ref: float = field(repr=False)
    single: bool = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the law."""
        return self.law.name

    @property
    def title(self) -> str:
        """Title of the law, with its form if it has several."""
        return self.law.title if len(self.law.forms) == 1 else f"{self.law.title} ({self.form.name})"

    @property
    def physical(self) -> bool:
        """Whether no quantity is unphysical."""
        return not any(q.unphysical for q in self.quantities)

    def quantity(self, name: str) -> Quantity:
        """Return a quantity by name.

        Parameters
        ----------
        name : str

        Raises
        ------
        InputError
            If the fit does not tell it.
        """
        for q in self.quantities:
            if q.name == name:
                return q
        raise InputError(
            f"{self.title} does not tell {name}", allowed=", ".join(q.name for q in self.quantities) or "nothing"
        )

    def split(self, theta: ArrayLike) -> tuple[float, float, Array]:
        """Logarithm of the current at the reference point, energy, and knobs of a vector of fit parameters.

        Parameters
        ----------
        theta : array
            Logarithm of the current; the energy, if the form has one that was fitted; knobs of the form.

        Returns
        -------
        tuple of float, float, array
            The energy in eV, 0 if it was not fitted.
        """
        values = np.asarray(theta, dtype=float)
        hot = self.form.activated and not self.single
        return float(values[0]), float(values[1]) if hot else 0.0, values[2 if hot else 1 :]

    def predict(self, voltage_V: ArrayLike, temperature_K: ArrayLike) -> Array:
        """Current of the fitted law.

        Parameters
        ----------
        voltage_V : float or array, V, > 0
            Size of the voltage on the branch.
        temperature_K : float or array, K, > 0

        Returns
        -------
        array, A
            Counted positive along the branch.
        """
        V, T = np.broadcast_arrays(np.asarray(voltage_V, dtype=float), np.asarray(temperature_K, dtype=float))
        if (V <= 0).any() or (T <= 0).any():
            raise InputError("Voltages and temperatures must be positive", got=f"{V.min():g} V, {T.min():g} K")
        a, E, knobs = self.split(self.theta)
        at_ref = self.form.shape(np.array(self.V_ref), np.array(self.T_ref), E, knobs, self.T_ref)
        with np.errstate(invalid="ignore"):  # a barrier below the voltage: the formula has no value there
            return np.exp(a) * self.form.shape(V, T, E, knobs, self.T_ref) / at_ref


@dataclass(frozen=True)
class Conduction:
    """All laws fitted to one branch, the best first.

    Parameters
    ----------
    ranking : tuple of LawFit
        By AICc; laws within 2 of the lowest are ordered by number of parameters, then by how many of their quantities
        are unphysical, then by AICc.
    branch : Branch
    film : Film
    noise : Noise
    points : Points
        What was fitted.
    spikes : Points
        What was left out, because it is far off the curve through its neighbours.
    temperatures_K : tuple of float, K
    warnings : tuple of str
        On the data and on the best law.
    """

    ranking: tuple[LawFit, ...]
    branch: Branch
    film: Film
    noise: Noise = field(repr=False)
    points: Points = field(repr=False)
    spikes: Points = field(repr=False)
    temperatures_K: tuple[float, ...]
    warnings: tuple[str, ...]

    @property
    def best(self) -> LawFit:
        """The first of the ranking."""
        return self.ranking[0]

    @property
    def indistinguishable(self) -> tuple[str, ...]:
        """Names of all laws within 2 of the lowest AICc."""
        return tuple(fit.name for fit in self.ranking if fit.delta < CLOSE)

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the laws and of the method."""
        keys = [key for fit in self.ranking for key in fit.law.sources]
        return tuple(dict.fromkeys((*keys, "Burnham2002", "Arnold2010", "Durbin2002")))

    def fit(self, law: str) -> LawFit:
        """Return the fit of a law by name.

        Parameters
        ----------
        law : str

        Raises
        ------
        InputError
            If that law was not fitted.
        """
        for entry in self.ranking:
            if entry.name == law:
                return entry
        raise InputError("That law was not fitted", got=law, allowed=", ".join(fit.name for fit in self.ranking))

    def predict(self, voltage_V: ArrayLike, temperature_K: ArrayLike, law: str | None = None) -> Array:
        """Current of a fitted law, of the best one if none is named. See :meth:`LawFit.predict`.

        Parameters
        ----------
        voltage_V : float or array, V
        temperature_K : float or array, K, > 0
        law : str, optional

        Returns
        -------
        array, A
        """
        return (self.best if law is None else self.fit(law)).predict(voltage_V, temperature_K)

    def table(self) -> list[dict[str, Any]]:
        """One record a law: rank, name, form, parameters, residual, AICc, delta, weight, physical.

        Returns
        -------
        list of dict
            Best first.
        """
        return [
            {
                "rank": rank,
                "law": fit.name,
                "form": fit.form.name,
                "parameters": fit.parameters,
                "residual": fit.residual,
                "aicc": fit.aicc,
                "delta": fit.delta,
                "weight": fit.weight,
                "physical": fit.physical,
            }
            for rank, fit in enumerate(self.ranking, 1)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the points, in types that JSON knows; what is unknown is None.

        Returns
        -------
        dict
        """
        laws = []
        for record, fit in zip(self.table(), self.ranking, strict=True):
            laws.append(
                {
                    **record,
                    "quantities": [
                        {
                            "name": q.name,
                            "value": _plain(q.value),
                            "standard_error": _plain(q.standard_error),
                            "unit": q.unit,
                            "meaning": q.meaning,
                            "determined": q.determined,
                            "unphysical": q.unphysical,
                        }
                        for q in fit.quantities
                    ],
                    "correlation": [[_plain(r) for r in row] for row in fit.correlation.tolist()],
                    "warnings": list(fit.warnings),
                }
            )
        return {
            "branch": str(self.branch),
            "film": {name: value for name, value in vars(self.film).items() if value is not None},
            "temperatures_K": list(self.temperatures_K),
            "points": int(self.points.V.size),
            "spikes": int(self.spikes.V.size),
            "window_V": [float(self.points.V.min()), float(self.points.V.max())],
            "relative_noise": self.noise.relative,
            "floor_A": self.noise.floor_A,
            "laws": laws,
            "indistinguishable": list(self.indistinguishable),
            "warnings": list(self.warnings),
            "sources": list(self.sources),
        }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
