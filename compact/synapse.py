r"""`Synapse`: ions displaced to an interface, held there by places of many release rates; the weight is ln G.

.. math::

    \ln G &= \ln G_0 + q, \qquad m = q - \textstyle\sum_k z_k

    \dot q &= k\,[\,s(V_d) - (E_m + F_m |m|)\,m - (E_q + F_q |q|)\,q\,], \qquad
    s = -V_0 \sinh(V_d / V_0) \times (\delta\ \text{at}\ V_d > 0)

    \dot z_k &= c_k\,m - r_k\,z_k, \qquad c_k = R\,\frac{r_k^{\,p}}{\sum_j r_j^{\,p-1}}

q is the charge of all displaced ions, m that of the mobile ones among them, z_k that of those held in population k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import InputError, ValidityError
from . import _rate, laws
from .dynamics import SPREADS, RateModel
from .parameters import Quantity, real

__all__ = ["POPULATIONS", "Synapse"]

POPULATIONS = 7
"""Populations of held ions, their release rates evenly spaced in the logarithm."""

_REACHED = 1.0 - 1e-9  # of the largest weight


@dataclass(frozen=True)
class Synapse(RateModel):
    r"""Analogue synapse: an interfacial state, fast to slow ionic states, forgetting by a power law.

    The reduced form of :class:`halidrift.fem.IonFilm`, which it reproduces under pulse trains.

    Parameters
    ----------
    temperature_K : float, K, 50 to 1000
        Temperature of the simulation; `reference_temperature_K` if not given.

    Notes
    -----
    States, each in units of ln G and without bounds of their own: the displaced charge q, then the charge z_k held in
    :data:`POPULATIONS` populations from `slowest_rate_Hz` to `fastest_rate_Hz`. The drive is the voltage; what stops
    it is the voltage that the displaced ions build up: `interface_stiffness_V` E_q and `interface_curvature_V` F_q
    for all of them (their field; F_q > 0 is the depletion layer that they leave, and bends potentiation and
    depression), `mobile_stiffness_V` E_m and `mobile_curvature_V` F_m for the mobile ones (they diffuse back). A
    negative voltage potentiates, as in the film. With `depression` 1 the device is odd in the voltage.

    Forgetting: held ions leave at their release rates, and a distribution of rates :math:`r^p\,\mathrm{d}\ln r` makes
    :math:`t^{-p}`. Seven exponentials stand for it. Between 2/`fastest_rate_Hz` and 0.2/`slowest_rate_Hz`
    (:attr:`retention_window_s`) their sum follows the integral over the rates within 3 % at p from 0.3 to 1 if they
    cover four decades, as by default, and within 13 % if they cover six (:meth:`retention_error`). Outside the window
    the memory is exponential.

    Temperature: `drive_barrier_eV` activates k, `release_barrier_eV` all release and capture rates,
    `conduction_barrier_eV` the conductance at rest. Each that was not estimated forbids another temperature than
    `reference_temperature_K`; 0 states that there is no dependence.

    Valid while abs(q) stays below `weight_limit`: beyond, ValidityError.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019): the synapse, and its forgetting curve b t^-m.
    .. [2] D. Moia et al., Energy Environ. Sci. 12, 1296 (2019): ions gate the current of the interface.

    Examples
    --------
    >>> from halidrift.physics.waveform import Waveform
    >>> cell = Synapse.of(conductance_rest_S=1.7e-10, drive_rate_1_Vs=35.0, interface_stiffness_V=0.4,
    ...                   mobile_stiffness_V=0.4, mobile_curvature_V=3.6, interface_curvature_V=1.1, held_ratio=30.0,
    ...                   held_exponent=0.1, slowest_rate_Hz=0.01, fastest_rate_Hz=100.0)
    >>> trace = cell.simulate(Waveform.pulses(amplitude_V=-1.0, width_s=20e-3, period_s=40e-3, count=5))
    >>> bool(trace.conductance[-1] > trace.conductance[0])
    True
    """

    QUANTITIES: ClassVar[dict[str, Quantity]] = {
        "conductance_rest_S": Quantity("S", 1e-18, 1.0, "G_0: conductance of the rested device"),
        "read_nonlinearity_V": Quantity("V", 1e-3, math.inf, "V_n: I = G V_n sinh(V/V_n); inf is ohmic", math.inf),
        "drive_rate_1_Vs": Quantity("1/(V s)", 0.0, 1e15, "k: rate of ln G for each volt of drive"),
        "drive_nonlinearity_V": Quantity("V", 1e-3, math.inf, "V_0 of the drive; inf is linear", math.inf),
        "depression": Quantity("1", 0.0, 1e3, "delta: drive of a positive over that of a negative voltage", 1.0),
        "interface_stiffness_V": Quantity("V", 0.0, 1e6, "E_q: back voltage for each unit of q"),
        "interface_curvature_V": Quantity("V", 0.0, 1e6, "F_q: back voltage for q^2", 0.0),
        "mobile_stiffness_V": Quantity("V", 0.0, 1e6, "E_m: back voltage for each unit of m", 0.0),
        "mobile_curvature_V": Quantity("V", 0.0, 1e6, "F_m: back voltage for m^2", 0.0),
        "held_ratio": Quantity("1", 0.0, 1e6, "R: held over mobile ions at equilibrium", 0.0),
        "held_exponent": Quantity("1", -2.0, 4.0, "p of the capture law", 0.5),
        "slowest_rate_Hz": Quantity("Hz", 1e-9, 1e9, "smallest release rate", 0.01),
        "fastest_rate_Hz": Quantity("Hz", 1e-9, 1e9, "largest release rate", 100.0),
        "weight_limit": Quantity("1", 0.1, 100.0, "largest change of ln G in which the model holds", 10.0),
        "drive_barrier_eV": Quantity("eV", 0.0, 5.0, "Arrhenius barrier of k", math.nan),
        "release_barrier_eV": Quantity("eV", 0.0, 5.0, "Arrhenius barrier of capture and release", math.nan),
        "conduction_barrier_eV": Quantity("eV", 0.0, 5.0, "Arrhenius barrier of the conductance at rest", math.nan),
        "reference_temperature_K": Quantity("K", 50.0, 1000.0, "temperature of all numbers", 300.0),
        **SPREADS,
    }
    FITTED: ClassVar[tuple[str, ...]] = (
        *("conductance_rest_S", "drive_rate_1_Vs", "depression", "interface_stiffness_V", "interface_curvature_V"),
        *("mobile_stiffness_V", "mobile_curvature_V", "held_ratio", "held_exponent"),
    )
    METHOD_SOURCES: ClassVar[tuple[str, ...]] = ("Kim2019", "Moia2019")
    KIND: ClassVar[int] = _rate.SYNAPSE
    STATE_MEANING: ClassVar[str] = "displaced ions, then those held in each population, slowest first"

    temperature_K: float = math.nan
    """Temperature of the simulation, K; the reference temperature if not given."""

    def _check(self) -> None:
        slow, fast = self.value("slowest_rate_Hz"), self.value("fastest_rate_Hz")
        if not slow < fast:
            raise InputError("slowest_rate_Hz must be below fastest_rate_Hz", got=f"{slow:g} and {fast:g} Hz")
        if math.isnan(self.temperature_K):
            object.__setattr__(self, "temperature_K", self.value("reference_temperature_K"))
        if not 50.0 <= self.temperature_K <= 1000.0:
            raise InputError("temperature_K is out of bounds", got=f"{self.temperature_K} K", allowed="50 to 1000 K")
        self._law()  # raises ValidityError where a barrier is missing

    def at(self, temperature_K: float) -> Synapse:
        """The same device at another temperature, K.

        Parameters
        ----------
        temperature_K : float, K, 50 to 1000
            Another than `reference_temperature_K` needs the three barriers.

        Raises
        ------
        InputError
            If the temperature is out of bounds.
        ValidityError
            If a barrier that it needs was not estimated.
        """
        if not math.isfinite(temperature_K):  # nan would mean the reference temperature
            raise InputError("temperature_K is out of bounds", got=f"{temperature_K} K", allowed="50 to 1000 K")
        return replace(self, temperature_K=float(temperature_K))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable, that :meth:`from_dict` reads back.

        Returns
        -------
        dict
            As of :meth:`CompactModel.to_dict`, and ``temperature_K``.
        """
        return {**super().to_dict(), "temperature_K": self.temperature_K}

    @classmethod
    def from_dict(cls, record: Any) -> Synapse:
        """The model that :meth:`to_dict` described.

        Parameters
        ----------
        record : mapping
            With ``temperature_K``, K.
        """
        return super().from_dict(record).at(real(record.get("temperature_K"), "temperature_K"))

    # -- populations -----------------------------------------------------------------------------------------

    @property
    def release_rates_Hz(self) -> NDArray[np.float64]:
        """Release rates at the temperature of the simulation, slowest first, shape (populations,)."""
        rates = np.geomspace(self.value("slowest_rate_Hz"), self.value("fastest_rate_Hz"), POPULATIONS)
        return np.asarray(rates * self._activation("release_barrier_eV"))

    @property
    def capture_rates_Hz(self) -> NDArray[np.float64]:
        """Capture rates at the temperature of the simulation, shape (populations,)."""
        rates = np.geomspace(self.value("slowest_rate_Hz"), self.value("fastest_rate_Hz"), POPULATIONS)
        p = self.value("held_exponent")
        capture = laws.synapse_capture(rates, p, np.sum(rates ** (p - 1.0)), self.value("held_ratio"))
        return np.asarray(capture * self._activation("release_barrier_eV"))

    @property
    def retention_window_s(self) -> tuple[float, float]:
        """Times after a pulse between which the populations make a power law, s."""
        rates = self.release_rates_Hz
        return (2.0 / float(rates[-1]), 0.2 / float(rates[0]))

    def retention_error(self, exponent: float) -> float:
        r"""Largest relative distance of the sum of exponentials from the power law :math:`t^{-p}` inside the window.

        Parameters
        ----------
        exponent : float, 1, > 0
            p; weights r^p, whose sum times the spacing of ln r stands for :math:`\Gamma(p)\,t^{-p}` less the parts of
            the integral outside the range of rates.

        Returns
        -------
        float, 1
        """
        from scipy.special import gammainc

        if not (math.isfinite(exponent) and exponent > 0.0):
            raise InputError("exponent must be positive", got=exponent)
        rates = self.release_rates_Hz
        times = np.geomspace(*self.retention_window_s, 400)
        spacing = math.log(rates[1] / rates[0])
        edges = math.exp(0.5 * spacing)  # a sum of midpoints reaches half a spacing beyond its ends
        summed = spacing * (rates**exponent * np.exp(-np.outer(times, rates))).sum(axis=1)
        inside = gammainc(exponent, times * rates[-1] * edges) - gammainc(exponent, times * rates[0] / edges)
        exact = math.gamma(exponent) * inside * times**-exponent
        return float(np.abs(summed / exact - 1.0).max())

    # -- numbers of the kernel -------------------------------------------------------------------------------

    def _activation(self, name: str) -> float:
        """Factor of a rate at the temperature of the simulation."""
        reference = self.value("reference_temperature_K")
        if self.temperature_K == reference:
            return 1.0
        barrier = self.value(name)
        if math.isnan(barrier):
            raise ValidityError(
                f"{name} was not estimated, so no other temperature can be simulated",
                got=f"{self.temperature_K:g} K",
                allowed=f"{reference:g} K",
                action=f"Set {name}; 0 if nothing depends on the temperature",
            )
        return 1.0 / laws.arrhenius_time(1.0, barrier, self.temperature_K, reference)

    @property
    def conductance_rest_S(self) -> float:
        """Conductance of the rested device at the temperature of the simulation, S."""
        return self.value("conductance_rest_S") * self._activation("conduction_barrier_eV")

    def _law(self) -> NDArray[np.float64]:
        return np.array(
            [
                1.0,
                self.value("drive_rate_1_Vs") * self._activation("drive_barrier_eV"),
                self.value("drive_nonlinearity_V"),
                self.value("depression"),
                self.value("mobile_stiffness_V"),
                self.value("mobile_curvature_V"),
                self.value("interface_stiffness_V"),
                self.value("interface_curvature_V"),
                math.log(self.conductance_rest_S),
                1.0 / self.value("read_nonlinearity_V"),
                *self.release_rates_Hz,
                *self.capture_rates_Hz,
            ]
        )

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        limit = np.full(1 + POPULATIONS, self.value("weight_limit"))
        return -limit, limit

    def _scale(self) -> NDArray[np.float64]:
        return np.ones(1 + POPULATIONS)

    def _rest(self) -> NDArray[np.float64]:
        return np.zeros(1 + POPULATIONS)

    def _record(self) -> dict[str, Any]:
        return {**self._values(), "temperature_K": self.temperature_K}

    @property
    def idle_band_V(self) -> tuple[float, float]:
        """Voltages that move ln G by less than one in the time of the slowest pulse of interest, 1 s, V."""
        k = self.value("drive_rate_1_Vs")
        edge = 1.0 / k if k > 0.0 else math.inf
        return (-edge, edge)

    def _conductance(self, y: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64]:
        limit = self.value("weight_limit")
        if np.isfinite(y).all() and np.abs(y).max(initial=0.0) >= _REACHED * limit:
            raise ValidityError(
                "The weight reaches the edge of the model",
                got=f"a change of ln G by {np.abs(y[..., 0]).max():.3g}",
                allowed=f"below {limit:g}",
                action="Lower the voltage or its duration, or raise weight_limit and tell why",
            )
        return super()._conductance(y, held)

    def _extra(self, states: NDArray[np.float64], held: NDArray[np.float64]) -> dict[str, tuple[Any, Any, str, str]]:
        mobile = states[:, 0] - states[:, 1:].sum(axis=1)
        return {"mobile": ("time", mobile, "1", "displaced ions that are mobile, in units of ln G")}
