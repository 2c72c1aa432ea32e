"""Read noise of a filament: atoms that jump between two positions, one by one (telegraph noise) and many (1/f).

An atom where the current is narrow sits in one of two positions, at energies that differ by dE, with a barrier between
them. Each jump changes the conductance: random telegraph noise. Many such atoms with barriers spread evenly over some
tenths of an eV give a spectrum close to 1/f.

Nothing here is fitted. How much one atom changes, how many can jump and over which barriers are assumptions
(:data:`ASSUMED`), each with its range; how many atoms carry the current comes from the state of the filament.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from . import formulas
from .constants import BOLTZMANN_EV_K
from .device import Device
from .errors import InputError, ValidityError
from .parameters import Parameter
from .randomness import Rng, describe, generator
from .trace import check, waveform_of

__all__ = ["ASSUMED", "Fluctuators", "ReadNoise"]

_SOURCES = ("Machlup1954", "DuttaDimonHorn1979", "DuttaHorn1981", "RallsBuhrman1988", "Rammal1985")
_UNITS = {"_eV": "eV", "_S": "S", "_ohm": "ohm", "_Hz": "Hz"}
_BLOCK = 2_000_000  # states held at once
_barrier = np.vectorize(formulas.balanced_barrier, otypes=[float])


def _assumed(name: str, value: float, unit: str, span: tuple[float, float], reason: str) -> Parameter:
    return Parameter(name, value, unit, "assumed", reason=reason, range=span)


ASSUMED: dict[str, Parameter] = {
    p.name: p
    for p in (
        _assumed(
            "amplitude",
            0.2,
            "1",
            (0.02, 1.0),
            "a displaced atom changes the conductance that it carries by a part of itself: from weak scattering off a "
            "defect to losing the contact; up to half of a whole device was seen (Soni et al. 2010)",
        ),
        _assumed(
            "per_atom",
            0.1,
            "1",
            (0.01, 1.0),
            "one current-carrying atom in ten has a second position within the barriers below; all have at most",
        ),
        _assumed(
            "barrier_low_eV",
            0.2,
            "eV",
            (0.1, 0.3),
            "atoms that jump faster than about 1e9 Hz are an average for every read: a lower end would only leave "
            "fewer above it",
        ),
        _assumed(
            "barrier_high_eV",
            1.0,
            "eV",
            (0.8, 1.3),
            "in silver films the barriers of noise were found to peak near 1 eV (Dutta, Dimon and Horn 1979), about "
            "what an atom at a kink needs to leave: beyond it a jump is a change of the filament",
        ),
        _assumed(
            "asymmetry_eV",
            0.1,
            "eV",
            (0.0, 0.2),
            "the two positions differ by up to half a bond, either way; no measurement is known for this filament",
        ),
    )
}


def _positive(value: Any, name: str, unit: str, zero: bool = False) -> NDArray[np.float64]:
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not (np.isfinite(array).all() and ((array >= 0) if zero else (array > 0)).all()):
        raise InputError(
            f"{name} must be positive and finite", got=str(value), allowed=f"{'>=' if zero else '>'} 0 {unit}"
        )
    return array


@dataclass(frozen=True, eq=False)
class Fluctuators:
    r"""Atoms with two positions each, independent of each other.

    Parameters
    ----------
    barrier_eV : array, shape (n,), eV, > 0
        Between the positions, from the mean of their energies.
    asymmetry_eV : float or array, shape (n,), eV
        Energy of the second position above the first, less than twice the barrier.
    attempt_frequency_Hz : float, Hz, > 0

    Raises
    ------
    InputError
        If a number is not finite or not positive.
    ValidityError
        If a barrier is lost: the atom has one position then.

    Notes
    -----
    The rates are those of every other step in halidrift, :func:`formulas.hop_rate` over
    :func:`formulas.balanced_barrier`, so their ratio is exp(-dE/kT). The current does not act on the atoms, but for
    the temperature of the filament: no electromigration and no field, which bias real fluctuators at high current.

    References
    ----------
    .. [1] S. Machlup, J. Appl. Phys. 25, 341 (1954).
    .. [2] K. S. Ralls et al., Phys. Rev. Lett. 52, 228 (1984), on traps in silicon.

    Examples
    --------
    >>> pair = Fluctuators([0.5, 0.6], 0.0, 1e13)
    >>> out, back = pair.rates_Hz(300.0)
    >>> [f"{rate:.3g}" for rate in out + back]
    ['7.97e+04', '1.67e+03']
    """

    barrier_eV: ArrayLike
    asymmetry_eV: ArrayLike
    attempt_frequency_Hz: float

    def __post_init__(self) -> None:
        barrier = np.atleast_1d(_positive(self.barrier_eV, "barrier_eV", "eV"))
        _positive(self.attempt_frequency_Hz, "attempt_frequency_Hz", "Hz")
        try:
            asymmetry = np.broadcast_to(np.asarray(self.asymmetry_eV, dtype=float), barrier.shape)
        except (TypeError, ValueError):
            asymmetry = np.array([np.nan])
        if barrier.ndim != 1 or not np.isfinite(asymmetry).all():
            raise InputError(
                "asymmetry_eV must be one finite number, or one for each barrier", got=str(self.asymmetry_eV)
            )
        if (np.abs(asymmetry) >= 2 * barrier).any():
            raise ValidityError(
                "A position has no barrier left",
                got=f"asymmetry {float(np.abs(asymmetry).max()):g} eV",
                allowed="below twice the barrier",
            )
        object.__setattr__(self, "barrier_eV", barrier)
        object.__setattr__(self, "asymmetry_eV", asymmetry)

    def rates_Hz(self, temperature_K: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rates from the first position to the second and back.

        Parameters
        ----------
        temperature_K : float or array, shape (...), K, > 0

        Returns
        -------
        two arrays, shape (..., n), Hz
        """
        T = _positive(temperature_K, "temperature_K", "K")[..., None]
        nu = self.attempt_frequency_Hz
        barriers = (_barrier(self.barrier_eV, sign * np.asarray(self.asymmetry_eV)) for sign in (1, -1))
        out, back = (np.asarray(formulas.hop_rate(barrier, T, nu, 0.0)) for barrier in barriers)
        if not ((out > 0) & (back > 0)).all():
            raise ValidityError(
                "So cold that no atom ever jumps", got=f"{T.min():g} K", allowed="rates above 1e-300 Hz"
            )
        return out, back

    def occupancy(self, temperature_K: ArrayLike) -> NDArray[np.float64]:
        """Probability of the second position in equilibrium, shape (..., n).

        Parameters
        ----------
        temperature_K : float or array, shape (...,), K, > 0

        Returns
        -------
        array, shape (..., n), in (0, 1)
        """
        out, back = self.rates_Hz(temperature_K)
        return out / (out + back)

    def sampled(self, time_s: ArrayLike, temperature_K: ArrayLike, *, rng: Rng = None) -> NDArray[np.bool_]:
        """Whether each atom is in its second position at each instant.

        Parameters
        ----------
        time_s : array, shape (time,), s, increasing
            Any instants. What happens between them is averaged over exactly: there is no time step.
        temperature_K : float or array, shape (time,), K, > 0
            Held, from one instant to the next, at the value of the later one.
        rng : int, numpy.random.Generator or None

        Returns
        -------
        bool array, shape (time, n)
            The first instant is in equilibrium.

        Notes
        -----
        After a time t a two-state chain is where it was with probability exp(-(r1 + r2) t), and otherwise anywhere in
        equilibrium: this mixture *is* its transition probability.
        """
        time = np.asarray(time_s, dtype=float)
        if time.ndim != 1 or time.size == 0 or not np.isfinite(time).all() or (np.diff(time) < 0).any():
            raise InputError("time_s must be increasing instants", got=str(time_s)[:80])
        rng = generator(rng)
        T = np.broadcast_to(_positive(temperature_K, "temperature_K", "K"), time.shape)
        out, back = self.rates_Hz(T)
        step = np.diff(time, prepend=-np.inf)[:, None]  # before the first instant, for ever
        renewed = rng.random(out.shape) < -np.expm1(-(out + back) * step)
        anew = rng.random(out.shape) < out / (out + back)
        last = np.maximum.accumulate(np.where(renewed, np.arange(time.size)[:, None], 0), axis=0)
        return np.take_along_axis(anew, last, axis=0)

    def attenuation(self, averaging_s: float, temperature_K: ArrayLike) -> NDArray[np.float64]:
        r"""What is left of each atom's standard deviation in an average over a time t, shape (..., n).

        .. math:: \sqrt{2 (x - 1 + e^{-x})} / x, \qquad x = (r_1 + r_2) t

        Parameters
        ----------
        averaging_s : float, s, >= 0
        temperature_K : float or array, shape (...,), K, > 0

        Returns
        -------
        array, shape (..., n), in (0, 1]
        """
        t = float(_positive(averaging_s, "averaging_s", "s", zero=True))
        out, back = self.rates_Hz(temperature_K)
        x = (out + back) * t
        large = np.maximum(x, 1e-4)  # below, the series: the difference would lose its digits
        return np.where(x > 1e-4, np.sqrt(2 * (large + np.expm1(-large))) / large, 1 - x / 6)

    def autocovariance(self, lag_s: ArrayLike, temperature_K: float) -> NDArray[np.float64]:
        """Of each atom's position (0 or 1) with itself a lag later, shape (lag, n).

        Parameters
        ----------
        lag_s : array, shape (lag,), s
        temperature_K : float, K, > 0

        Returns
        -------
        array, shape (lag, n)
        """
        out, back = self.rates_Hz(temperature_K)
        p = out / (out + back)
        return p * (1 - p) * np.exp(-(out + back) * np.abs(np.asarray(lag_s, dtype=float))[..., None])

    def spectrum_1_Hz(self, frequency_Hz: ArrayLike, temperature_K: float) -> NDArray[np.float64]:
        r"""Power spectrum of each atom's position (0 or 1): a Lorentzian.

        .. math:: S(f) = \frac{4 p (1 - p) \lambda}{\lambda^2 + (2 \pi f)^2}, \qquad \lambda = r_1 + r_2

        One-sided: its integral over f > 0 is the variance p (1 - p).

        Parameters
        ----------
        frequency_Hz : array, shape (frequency,), Hz, >= 0
        temperature_K : float, K, > 0

        Returns
        -------
        array, shape (frequency, n), 1/Hz
        """
        omega = 2 * np.pi * _positive(frequency_Hz, "frequency_Hz", "Hz", zero=True)[..., None]
        out, back = self.rates_Hz(temperature_K)
        rate, p = out + back, out / (out + back)
        return 4 * p * (1 - p) * rate / (rate**2 + omega**2)


@dataclass(frozen=True)
class ReadNoise:
    r"""Conductance noise of a filament from atoms that jump.

    Of n atoms that carry the current, :attr:`per_atom` n have a second position; barriers are spread evenly from
    :attr:`barrier_low_eV` to :attr:`barrier_high_eV`, energy differences from -:attr:`asymmetry_eV` to +. Each changes
    the logarithm of the filament's conductance by :attr:`amplitude` / n, so

    .. math:: \ln G_f(t) = \ln G_f^0(t) - \frac{a}{n} \sum_j [s_j(t) - p_j]

    The leakage beside the filament and the resistance in series with it take their part, as in the simulation.

    Parameters
    ----------
    contact_conductance_S, leakage_S, series_resistance_ohm, attempt_frequency_Hz : float, S, S, ohm, Hz
        Of the device: :meth:`of` takes them from its card. The leakage and the series resistance may be 0.
    amplitude, per_atom : float, 1
    barrier_low_eV, barrier_high_eV, asymmetry_eV : float, eV
        Assumed, with reasons and ranges, in :data:`ASSUMED`.

    Raises
    ------
    InputError
        If a number is not positive and finite, or the barriers are out of order.
    ValidityError
        If the asymmetry leaves the lowest barrier none.

    Notes
    -----
    n is the number of atoms among which the dissipated power is shared, its inverse participation ratio: by Cohn's
    theorem a change of one link counts with the power in it [4]_. :func:`halidrift.kmc.constriction.bearing_atoms`
    computes it from the occupation of a trace. Where it is not given, n = G_f / `contact_conductance_S`, and 1 below
    one contact: a constriction alone, the noisiest filament of this conductance.

    Not in the model: noise of the bare film, thermal and shot noise, noise of the instrument, action of the current on
    the atoms, and a displaced atom that changes what its neighbours do. The flat distribution is the simplest; for
    silver films a peak near 1 eV was inferred, which makes slow noise stronger than fast. Which devices show telegraph
    noise and which 1/f noise is drawn: a contact of few atoms has one fluctuator or none.

    References
    ----------
    .. [1] P. Dutta, P. Dimon and P. M. Horn, Phys. Rev. Lett. 43, 646 (1979); P. Dutta and P. M. Horn,
           Rev. Mod. Phys. 53, 497 (1981).
    .. [2] K. S. Ralls and R. A. Buhrman, Phys. Rev. Lett. 60, 2434 (1988).
    .. [3] D. Ielmini, F. Nardi and C. Cagli, Appl. Phys. Lett. 96, 053503 (2010).
    .. [4] R. Rammal, C. Tannous and A.-M. S. Tremblay, Phys. Rev. A 31, 2662 (1985).

    Examples
    --------
    >>> noise = ReadNoise.of(Device.load("john2022-ogb"))
    >>> thin, thick = (float(noise.relative_std(G, 300.0)) for G in (77.5e-6, 1.55e-3))
    >>> thin > 3 * thick
    True
    """

    contact_conductance_S: float
    leakage_S: float = 0.0
    series_resistance_ohm: float = 0.0
    attempt_frequency_Hz: float = 1e13
    amplitude: float = ASSUMED["amplitude"].value
    per_atom: float = ASSUMED["per_atom"].value
    barrier_low_eV: float = ASSUMED["barrier_low_eV"].value
    barrier_high_eV: float = ASSUMED["barrier_high_eV"].value
    asymmetry_eV: float = ASSUMED["asymmetry_eV"].value

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
            zero = name in ("leakage_S", "series_resistance_ohm", "asymmetry_eV", "amplitude", "per_atom")
            if _positive(value, name, unit, zero=zero).ndim:
                raise InputError(f"{name} must be one number", got=str(value))
        if self.barrier_high_eV <= self.barrier_low_eV:
            raise InputError(
                "barrier_high_eV must lie above barrier_low_eV",
                got=f"{self.barrier_high_eV:g} and {self.barrier_low_eV:g} eV",
            )
        if self.asymmetry_eV >= 2 * self.barrier_low_eV:
            raise ValidityError(
                "The asymmetry leaves the lowest barrier none",
                got=f"{self.asymmetry_eV:g} eV",
                allowed=f"below {2 * self.barrier_low_eV:g} eV, twice barrier_low_eV",
            )

    @classmethod
    def of(cls, device: Device, **assumed: float) -> ReadNoise:
        """Noise of a device: its circuit and its attempt frequency from the card, the rest as assumed or given.

        Parameters
        ----------
        device : Device
        **assumed : float
            Other values of what is in :data:`ASSUMED`.

        Raises
        ------
        InputError
            If the card lacks a parameter, or a name is not one of these.

        Examples
        --------
        >>> print(ReadNoise.of(Device.load("john2022-ogb"), amplitude=0.5).parameters[0])
        amplitude = 0.5 1 (assumed: set by the caller; the default is 0.2)
        """
        for name in assumed:
            if name not in ASSUMED:
                raise InputError("No such number of the noise", got=name, allowed=", ".join(ASSUMED))
        card = ("contact_conductance_S", "leakage_S", "series_resistance_ohm", "attempt_frequency_Hz")
        return cls(**{name: device.value(name) for name in card}, **assumed)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is assumed, with reasons and ranges; a value of the caller says so."""
        found = []
        for name, usual in ASSUMED.items():
            value = float(getattr(self, name))
            if value == usual.value:
                found.append(usual)
                continue
            assert usual.range is not None
            span = (min(value, usual.range[0]), max(value, usual.range[1]))
            found.append(_assumed(name, value, usual.unit, span, f"set by the caller; the default is {usual.value:g}"))
        return tuple(found)

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the method."""
        return _SOURCES

    # -- in equilibrium ----------------------------------------------------------------------------------------

    def spectrum_1_Hz(
        self,
        frequency_Hz: ArrayLike,
        temperature_K: float,
        *,
        conductance_S: ArrayLike | None = None,
        atoms: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        r"""Power spectrum of the relative conductance, S_G / G^2, one-sided, mean of all devices.

        The sum of the Lorentzians, over barriers in closed form:

        .. math::
            \frac{S_G(f)}{G^2} = \frac{a^2 c}{n} \left\langle 4 p (1 - p) \frac{kT}{2 \pi f (E_2 - E_1)}
            [\arctan \frac{\lambda(E_1)}{2 \pi f} - \arctan \frac{\lambda(E_2)}{2 \pi f}] \right\rangle_{dE}

        In between the slowest and the fastest rate it is proportional to 1/f.

        Parameters
        ----------
        frequency_Hz : float or array, shape (...), Hz, > 0
        temperature_K : float, K, > 0
            Of the filament.
        conductance_S : float, S, > 0
            Of the device.
        atoms : float, >= 1, optional
            Atoms that carry the current; by default those of a contact with this conductance.

        Returns
        -------
        array, shape (...), 1/Hz
        """
        omega = 2 * np.pi * _positive(frequency_Hz, "frequency_Hz", "Hz")
        kT, level, weight = self._levels(temperature_K)
        fast, slow = (
            2 * self.attempt_frequency_Hz * np.exp(-E / kT) * np.cosh(level / (2 * kT))
            for E in (self.barrier_low_eV, self.barrier_high_eV)
        )
        width = self.barrier_high_eV - self.barrier_low_eV
        share = np.arctan(fast / omega[..., None]) - np.arctan(slow / omega[..., None])
        density = kT / (omega * width) * (share * weight).sum(-1)
        return density * self._strength(conductance_S, atoms)

    def relative_std(
        self,
        conductance_S: ArrayLike,
        temperature_K: float,
        *,
        atoms: ArrayLike | None = None,
        band_Hz: tuple[float, float] = (0.0, np.inf),
    ) -> NDArray[np.float64]:
        """Standard deviation of the conductance relative to itself, root mean square over devices.

        Parameters
        ----------
        conductance_S : float or array, shape (...), S, > 0
            Of the device.
        temperature_K : float, K, > 0
            Of the filament.
        atoms : float or array, shape (...), >= 1, optional
            Atoms that carry the current; by default those of a contact with this conductance.
        band_Hz : (low, high), Hz
            Frequencies that count: 1 over the time from which the state is known, to 1 over the time of a read. The
            default counts all, as if it were not known how the filament was when it was written.

        Returns
        -------
        array, shape (...)
        """
        low, high = (float(f) for f in band_Hz)
        if not 0 <= low < high:
            raise InputError("band_Hz must be two frequencies in order", got=band_Hz, allowed="0 <= low < high")
        kT, level, weight = self._levels(temperature_K)
        node, mass = np.polynomial.legendre.leggauss(8)
        panels = int(np.ceil((self.barrier_high_eV - self.barrier_low_eV) / kT))  # the integrand is smooth over kT
        edge = np.linspace(self.barrier_low_eV, self.barrier_high_eV, panels + 1)
        half = 0.5 * np.diff(edge)[:, None]
        E = (0.5 * (edge[1:] + edge[:-1])[:, None] + half * node).ravel()
        mass = (half * mass).ravel() / (edge[-1] - edge[0])
        rate = 2 * self.attempt_frequency_Hz * np.exp(-E[:, None] / kT) * np.cosh(level / (2 * kT))
        share = (np.arctan(2 * np.pi * high / rate) - np.arctan(2 * np.pi * low / rate)) * 2 / np.pi
        variance = mass @ (share * weight).sum(-1) / 4
        return np.sqrt(variance * self._strength(conductance_S, atoms))

    def _levels(self, temperature_K: float) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """kT, energy differences, and 4 p (1 - p) times the weight of each in the mean."""
        kT = float(BOLTZMANN_EV_K * _positive(temperature_K, "temperature_K", "K"))
        node, mass = np.polynomial.legendre.leggauss(64)
        level = self.asymmetry_eV * node
        return kT, level, 0.5 * mass / np.cosh(level / (2 * kT)) ** 2

    def _strength(self, conductance_S: ArrayLike | None, atoms: ArrayLike | None) -> Any:
        """a^2 c / n, weakened by what is beside the filament and in series with it."""
        if conductance_S is None:
            if atoms is None:
                raise InputError("Give conductance_S, atoms or both", action="A noise level needs a filament")
            return self.amplitude**2 * self.per_atom / self._counted(atoms)
        G = _positive(conductance_S, "conductance_S", "S")
        filament = self._filament(G, self.leakage_S, self.series_resistance_ohm)
        n = self._contacts(filament, self.contact_conductance_S) if atoms is None else self._counted(atoms)
        part = G * filament / (filament + self.leakage_S) ** 2
        return self.amplitude**2 * self.per_atom / n * part**2

    @staticmethod
    def _counted(atoms: ArrayLike) -> NDArray[np.float64]:
        n = _positive(atoms, "atoms", "atoms")
        if (n < 1).any():
            raise InputError("A filament is carried by at least one atom", got=float(n.min()), allowed="atoms >= 1")
        return n

    @staticmethod
    def _filament(G: Any, leakage: Any, series: Any) -> Any:
        """Conductance of the filament alone, 0 where there is none."""
        if (G * series >= 1).any():
            raise InputError(
                "The conductance is larger than the resistance in series allows",
                got=f"{float(np.max(G)):g} S",
                allowed=f"below {1 / float(np.max(series)):g} S",
                action="Pass the noise of the device that made this trace: ReadNoise.of(device)",
            )
        return np.maximum(G / (1 - G * series) - leakage, 0.0)

    @staticmethod
    def _contacts(filament: Any, contact: Any) -> Any:
        return np.maximum(filament / contact, 1.0)

    # -- in a trace --------------------------------------------------------------------------------------------

    def fluctuators(self, count: int, *, rng: Rng = None) -> Fluctuators:
        """So many atoms, their barriers and energy differences drawn.

        Parameters
        ----------
        count : int, >= 0
        rng : int, numpy.random.Generator or None
        """
        rng = generator(rng)
        barrier = rng.uniform(self.barrier_low_eV, self.barrier_high_eV, count)
        asymmetry = rng.uniform(-self.asymmetry_eV, self.asymmetry_eV, count)
        return Fluctuators(barrier, asymmetry, self.attempt_frequency_Hz)

    def added_to(
        self,
        trace: xr.Dataset,
        *,
        atoms: xr.DataArray | float | None = None,
        temperature_K: float | None = None,
        averaging_s: float = 0.0,
        rng: Rng = None,
    ) -> xr.Dataset:
        """A trace with read noise.

        Parameters
        ----------
        trace : xarray.Dataset
            Of one device or of many.
        atoms : DataArray or float, >= 1, optional
            Atoms that carry the current, over some of the dimensions of ``conductance``, as
            :func:`halidrift.kmc.constriction.bearing_atoms` finds them; by default those of a contact with the
            conductance of the filament at each instant.
        temperature_K : float, K, > 0, optional
            Of the filament; by default the variable ``temperature`` of the trace.
        averaging_s : float, s, >= 0
            For how long a read averages. An instant alone sees every jump, however fast; with this each atom counts
            with the standard deviation that its average has, exactly, and with its correlation from instant to
            instant as if the instant were a point.
        rng : int, numpy.random.Generator or None
            Each device draws from a child stream of its own.

        Returns
        -------
        xarray.Dataset
            With noise in ``conductance``, ``current`` and ``device_voltage``: a source at its compliance limit keeps
            the current, and the voltage is noisy. What they were without it stands under ``noiseless_...``; attribute
            ``read_noise`` holds the parameters and the seed.

        Raises
        ------
        InputError
            If the trace breaks the schema, has noise already, or has no temperature and none is given; if its
            conductance cannot be that of this device.

        Notes
        -----
        The waveform acts on the filament as it was simulated: noise does not feed back into its growth. Drawn
        leakages, resistances and contact conductances (``drawn_leakage_S`` ...) take the place of the mean ones.
        """
        check(trace)
        if "noiseless_conductance" in trace:
            raise InputError("This trace has read noise already", action="Pass the one that was simulated")
        _positive(averaging_s, "averaging_s", "s", zero=True)
        rng = generator(rng)
        seed = describe(rng)
        G = trace["conductance"].transpose(..., "time")
        V, before, current = (
            trace[name].broadcast_like(G).transpose(*G.dims) for name in ("voltage", "device_voltage", "current")
        )
        if temperature_K is not None:
            T = xr.full_like(G, float(_positive(temperature_K, "temperature_K", "K")))
        elif "temperature" in trace:
            T = trace["temperature"].broadcast_like(G).transpose(*G.dims)
        else:
            raise InputError(
                "This trace has no temperature", action="Pass temperature_K, that of the filament during the reads"
            )
        leakage, series, contact = (
            self._own(trace, name, G) for name in ("leakage_S", "series_resistance_ohm", "contact_conductance_S")
        )
        filament = self._filament(G.values, leakage, series)
        if atoms is None:
            n = self._contacts(filament, contact)
        else:
            given = atoms if isinstance(atoms, xr.DataArray) else xr.DataArray(float(atoms))
            n = self._counted(given.broadcast_like(G).transpose(*G.dims).values)
        factor = np.empty(G.shape)
        places = list(np.ndindex(G.shape[:-1]))
        time = trace["time"].values
        for place, stream in zip(places, rng.spawn(len(places)), strict=True):
            factor[place] = np.exp(self._signal(time, T.values[place], n[place], averaging_s, stream))
        noisy = filament * factor + leakage
        noisy = np.where(filament > 0, noisy / (1 + noisy * series), G.values)
        after = _circuit(trace, V.values, before.values, current.values, noisy)
        moved = after * noisy + (current.values - before.values * G.values)  # what is no electron current stays
        result = trace.copy()
        for name, values in (("conductance", noisy), ("current", moved), ("device_voltage", after)):
            old = trace[name]
            result[f"noiseless_{name}"] = old.assign_attrs(long_name=f"{name.replace('_', ' ')} without read noise")
            result[name] = (G.dims, values, old.attrs)
        record = {"model": "ReadNoise", **asdict(self), "averaging_s": averaging_s, "seed": json.loads(seed)}
        sources = sorted({*json.loads(trace.attrs.get("sources", "[]")), *self.sources})
        result.attrs.update(read_noise=json.dumps(record, sort_keys=True), sources=json.dumps(sources))
        return check(result)

    def _own(self, trace: xr.Dataset, name: str, like: xr.DataArray) -> NDArray[np.float64]:
        """A number of the device, or of each device if it was drawn."""
        drawn = trace.get(f"drawn_{name}")
        if drawn is None:
            return np.broadcast_to(float(getattr(self, name)), like.shape)
        return np.asarray(drawn.broadcast_like(like).transpose(*like.dims).values)

    def _signal(
        self, time: NDArray[Any], T: NDArray[Any], n: NDArray[Any], averaging_s: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Change of the logarithm of the filament's conductance at each instant."""
        signal = np.zeros(time.size)
        if self.amplitude == 0 or self.per_atom == 0:
            return signal
        # rare and independent: their number is Poisson. Each has its place among the atoms that carry the current,
        # and takes part while these are so many
        most = float(n.max())
        for count in _blocks(int(rng.poisson(self.per_atom * most)), max(1, _BLOCK // time.size)):
            some = self.fluctuators(count, rng=rng)
            taking_part = rng.uniform(0.0, most, count) < n[:, None]
            moved = some.sampled(time, T, rng=rng) - some.occupancy(T)
            if averaging_s > 0:
                moved *= some.attenuation(averaging_s, T)
            signal -= (moved * taking_part).sum(axis=1)
        return signal * self.amplitude / n


def _blocks(count: int, size: int) -> Iterator[int]:
    while count > 0:
        yield min(count, size)
        count -= size


def _circuit(trace: xr.Dataset, V: Any, before: Any, current: Any, G: Any) -> NDArray[np.float64]:
    """Device voltage for another conductance: the source, unless it is at its limit.

    Where the trace shows the limit at work, it is the current that flows; else that of the waveform.
    """
    limited = np.abs(before) < np.abs(V) * (1 - 1e-9)
    allowed = np.broadcast_to(waveform_of(trace).compliance_at(trace["time"].values), V.shape)
    limit = np.where(limited, np.abs(current), np.maximum(allowed, np.abs(current)))
    with np.errstate(divide="ignore"):
        highest = np.where(G > 0, limit / np.where(G > 0, G, 1.0), np.inf)
    return np.clip(V, -highest, highest)
