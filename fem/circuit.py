"""What a source behind a compliance limit and a series resistance leaves to a film."""

from __future__ import annotations

from typing import NamedTuple

from ..physics import formulas

__all__ = ["Circuit"]


class Circuit(NamedTuple):
    """A source with a current limit, a series resistance, the film, and a leak beside it.

    Attributes
    ----------
    source_V : float, V
    limit_A : float, A
    series_ohm : float, ohm
    beside_S : float, S
        In parallel with the film, behind the series resistance.

    Examples
    --------
    >>> circuit = Circuit(1.0, 1e-3, 200.0)
    >>> round(circuit.film_V(1e-2), 9)
    0.1
    """

    source_V: float
    limit_A: float
    series_ohm: float
    beside_S: float = 0.0

    def device_S(self, film_S: float) -> float:
        """Conductance of the device for that of the film, S.

        Parameters
        ----------
        film_S : float, S, > 0
            Conductance of the film.
        """
        return 1.0 / (self.series_ohm + 1.0 / (film_S + self.beside_S))

    def device_V(self, film_S: float) -> float:
        """Voltage of the device for the conductance of the film, V.

        Parameters
        ----------
        film_S : float, S, > 0
            Conductance of the film.
        """
        return float(formulas.compliance_voltage(self.source_V, self.device_S(film_S), self.limit_A))

    def film_V(self, film_S: float) -> float:
        """Voltage across the film for its conductance, V.

        Parameters
        ----------
        film_S : float, S, > 0
            Conductance of the film.
        """
        return self.device_V(film_S) * self.device_S(film_S) / (film_S + self.beside_S)
