"""The least-squares problem of :class:`Volatile`: its parameters in logarithms, its typical run, its residual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from . import _volatile, laws
from .ensembles import Ensemble
from .observables import left_over
from .volatile import log_conductance

__all__ = ["NAMES", "OPTIONAL", "VolatileProblem"]

_HIDDEN = math.log(1e3)

# name in the optimiser -> name in the model; the optimiser works with logarithms
NAMES = {
    "ln_off": "conductance_off_S",
    "ln_on": "conductance_on_S",
    "ln_g": "growth_rate_Hz",
    "ln_V": "growth_voltage_V",
    "ln_r": "growth_acceleration",
    "ln_tau": "relaxation_time_s",
    "ln_s": "relaxation_acceleration",
    "ln_Vn": "off_nonlinearity_V",
    "E": "relaxation_barrier_eV",
}
_BOUNDS = {
    "ln_V": (math.log(5e-3), math.log(20.0)),
    "ln_r": (-4.0, 9.0),
    "ln_s": (-4.0, 9.0),
    "ln_Vn": (math.log(0.02), math.log(20.0)),
    "E": (0.0, 5.0),
}
OPTIONAL = ("ln_r", "ln_s", "ln_Vn")


def _exp(value: float) -> float:
    """exp() that an optimiser on its way cannot make overflow."""
    return math.exp(min(max(value, -300.0), 300.0))


@dataclass(frozen=True)
class VolatileProblem:
    """Everything that stays while the optimiser works.

    Attributes
    ----------
    ensembles : list of Ensemble
    span : float, 1, > 0
        ln(G_on / G_off), by which the residual is divided.
    reference_V : float, V, > 0
        Median voltage of the SETs: the growth rate is fitted there, not extrapolated to zero voltage.
    reference_K : float, K
        Temperature of the relaxation time.
    fixed : dict of str to float
        Parameters that are not fitted, in the units of the model.
    symmetric : bool
        Whether a positive voltage holds relaxation back with the growth voltage V_0; if not, relaxation does not depend
        on the voltage.
    """

    ensembles: list[Ensemble]
    span: float  # ln(G_on / G_off), which normalises the residual
    reference_V: float  # voltage of the SETs: growth is fitted there, where it is seen
    reference_K: float
    fixed: dict[str, float]
    symmetric: bool  # charge transfer back is held back by the voltage as much as growth is driven by it

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Bounds of the optimiser; the states lie within three decades of what was seen: compliance may hide ON."""
        seen = np.concatenate([e.ln_conductance.ravel() for e in self.ensembles])
        low, high = float(seen.min()), float(seen.max())
        return {**_BOUNDS, "ln_off": (low - _HIDDEN, high), "ln_on": (low, high + _HIDDEN)}

    def bound(self, name: str) -> tuple[float, float]:
        """Bounds of one parameter of the optimiser, infinite for one without.

        Parameters
        ----------
        name : str
            A key of :data:`NAMES`.

        Returns
        -------
        low, high : float
            Of the logarithm of the parameter; of "E" in eV.
        """
        return self.bounds.get(name, (-np.inf, np.inf))

    def physical(self, p: dict[str, float]) -> dict[str, float]:
        """Model parameters from the optimiser's.

        Parameters
        ----------
        p : dict of str to float
            By key of :data:`NAMES`: natural logarithms of SI values, "E" in eV, "ln_g" of the growth rate at
            `reference_V`. What is absent takes its default or is fixed.

        Returns
        -------
        dict of str to float
            By parameter name of :class:`Volatile`, in its units; fixed values take precedence.
        """
        V_0 = self.fixed.get("growth_voltage_V", _exp(p.get("ln_V", 0.0)))
        values = {
            "growth_voltage_V": V_0,
            "growth_acceleration": _exp(p["ln_r"]) if "ln_r" in p else 0.0,
            "relaxation_acceleration": _exp(p["ln_s"]) if "ln_s" in p else 0.0,
            "off_nonlinearity_V": _exp(p["ln_Vn"]) if "ln_Vn" in p else math.inf,
            "relaxation_barrier_eV": p.get("E", 0.0),
            "relaxation_voltage_V": V_0 if self.symmetric else math.inf,
        }
        for short in ("ln_off", "ln_on", "ln_tau"):
            if short in p:
                values[NAMES[short]] = _exp(p[short])
        if "ln_g" in p:
            unit = laws.growth_rate(self.reference_V, 1.0, V_0)
            values["growth_rate_Hz"] = _exp(p["ln_g"]) / unit
        return {**values, **self.fixed}

    def law(self, values: dict[str, float], temperature_K: float) -> _volatile.Law:
        """Numbers of the compiled kernel at one temperature.

        Parameters
        ----------
        values : dict of str to float
            From :meth:`physical`.
        temperature_K : float, K
            The relaxation time is taken there, by Arrhenius' law.
        """
        r, s = values["growth_acceleration"], values["relaxation_acceleration"]
        tau = laws.arrhenius_time(
            values["relaxation_time_s"], values["relaxation_barrier_eV"], temperature_K, self.reference_K
        )
        return _volatile.Law(
            math.log(values["conductance_off_S"]),
            math.log(values["conductance_on_S"]),
            1.0 / values["off_nonlinearity_V"],
            values["growth_rate_Hz"] / laws.time_norm(r),
            values["growth_voltage_V"],
            r,
            1.0 / (laws.time_norm(s) * tau),
            s,
            values["relaxation_voltage_V"],
        )

    def predict(self, values: dict[str, float], ensemble: Ensemble, first: float) -> NDArray[np.float64]:
        """ln G of the typical device; `first` is ln G at the start, from which a run that begins ON starts.

        Parameters
        ----------
        values : dict of str to float
            From :meth:`physical`.
        ensemble : Ensemble
            Stimulus, temperature and instants.
        first : float, 1
            ln(G / S).

        Returns
        -------
        array, shape (time,), 1
        """
        law = self.law(values, ensemble.temperature_K)
        state = (first - law.ln_off) / (law.ln_on - law.ln_off) if law.ln_on > law.ln_off else 0.0
        state = min(max(state, 0.0), 1.0) if state > 0.5 else 0.0
        return self._run(law, ensemble, state, np.zeros(2), np.empty((0, 2)))

    def draw(
        self,
        values: dict[str, float],
        ensemble: Ensemble,
        first: float,
        spreads: NDArray[np.float64],
        numbers: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """ln G of one device whose cycles spread, numbers of shape (cycles, 2) standard normal.

        Parameters
        ----------
        values : dict of str to float
            From :meth:`physical`.
        ensemble : Ensemble
            Stimulus, temperature and instants.
        first : float, 1
            ln(G / S) at the start.
        spreads : array, shape (2,), 1
            Standard deviations of ln k_0 and ln tau from cycle to cycle.
        numbers : array, shape (cycles, 2), 1
            Deviates of ln k_0 and ln tau with standard deviation 1.

        Returns
        -------
        array, shape (time,), 1
        """
        law = self.law(values, ensemble.temperature_K)
        state = (first - law.ln_off) / (law.ln_on - law.ln_off)
        return self._run(law, ensemble, min(state, 1.0) if state > 0.5 else 0.0, spreads, numbers)

    @staticmethod
    def _run(
        law: _volatile.Law,
        ensemble: Ensemble,
        state: float,
        spreads: NDArray[np.float64],
        numbers: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        x, held = np.empty(ensemble.time_s.size), np.empty(ensemble.time_s.size)
        w = ensemble.waveform
        _volatile.run(
            w.time_s,
            w.voltage_V,
            w.compliance_A,
            ensemble.time_s,
            state,
            law,
            np.ones(2),
            spreads,
            numbers,
            1e-7,
            x,
            held,
            np.empty(x.size, dtype=np.int64),
        )
        return log_conductance(x, held, law)

    def left(self, values: dict[str, float], targets: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Model less observed over the span, of each trace; none where a lower bound holds.

        Parameters
        ----------
        values : dict of str to float
            From :meth:`physical`.
        targets : list of array, shape (time,), 1
            ln(G / S) of the typical run of each ensemble.

        Returns
        -------
        list of array, shape (time,), 1
            Positive where the model conducts more.
        """
        parts = []
        for ensemble, target in zip(self.ensembles, targets, strict=True):
            model = self.predict(values, ensemble, float(target[0]))
            parts.append(-left_over(target, np.nan_to_num(model, nan=1e3), ensemble.typical_bound) / self.span)
        return parts

    def residual(self, p: dict[str, float], targets: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """What the optimiser squares: :meth:`left` of all traces, one after the other.

        Parameters
        ----------
        p : dict of str to float
            As for :meth:`physical`.
        targets : list of array, shape (time,), 1
            ln(G / S) of the typical run of each ensemble.

        Returns
        -------
        array, shape (points,), 1
        """
        return np.concatenate(self.left(self.physical(p), targets))
