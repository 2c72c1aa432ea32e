"""`Waveform`: voltage against time plus the compliance current, the one language of stimulus.

A waveform is piecewise linear. It also lists the instants at which an experiment would look at the device
(`samples_s`) and those of them that are reads (`reads_s`). Every simulation reports its trace at
:attr:`Waveform.times_s`, the union of corners and samples, so traces of different models share one time axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, ValidityError

__all__ = ["Waveform"]

_EDGE_S = 1e-6  # rise time of an ideal step: far below every response modelled here, far above float resolution
_NO_LIMIT_A = 1e3  # what a circuit gets for an infinite compliance
_MOST_SAMPLES = 10_000_000  # more is a slip of the keyboard, and does not fit into memory


def _frozen(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.atleast_1d(np.array(values, dtype=float))
    if array.ndim != 1:
        raise InputError(f"Waveform {name} must be one-dimensional", got=f"shape {array.shape}")
    array.setflags(write=False)
    return array


def _listed(values: Any, name: str) -> NDArray[np.float64]:
    """A list of numbers of a record; a text or truth value is none."""
    if not isinstance(values, list | tuple | np.ndarray) or any(isinstance(v, bool | str) for v in values):
        raise InputError(f"{name} of the record is not a list of numbers", got=repr(values)[:80])
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} of the record is not a list of numbers", got=str(error)) from error


def _positive(value: float, name: str, unit: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a positive, finite number", got=f"{value} {unit}", allowed=f"> 0 {unit}")
    return float(value)


def _whole(value: float, name: str, least: int = 1) -> int:
    if not np.isfinite(value) or int(value) != value or not least <= value <= _MOST_SAMPLES:
        raise InputError(f"{name} must be a whole number", got=value, allowed=f"{least} to {_MOST_SAMPLES}")
    return int(value)


def _pwl(node: str, time_s: NDArray[np.float64], value: NDArray[np.float64]) -> list[str]:
    rows = (f"+ {t:.15g} {v:.15g}" for t, v in zip(time_s, value, strict=True))
    return [f"V{node} {node} 0 PWL(", *rows, "+ )"]


@dataclass(frozen=True, eq=False)
class Waveform:
    """Voltage against time plus compliance current; immutable.

    Parameters
    ----------
    time_s : array, shape (n,), s, strictly increasing, n >= 2
        Corners of the piecewise-linear voltage. The first corner is the start of the experiment.
    voltage_V : array, shape (n,), V
        Source voltage at the corners: the potential of the active (top) electrode against the counter electrode.
    compliance_A : float or array, shape () or (n - 1,), A, > 0
        Largest current magnitude that the source delivers, for the whole waveform or for each segment;
        ``inf`` means no limit.
    samples_s : array, s, optional
        Instants, besides the corners, at which traces report.
    reads_s : array, s, optional
        The instants that are reads; they are samples too.

    Raises
    ------
    InputError
        If times do not increase, lengths differ, a value is not finite, or a sample lies outside.

    Examples
    --------
    >>> sweep = Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=1e-6)
    >>> sweep.duration_s, float(sweep.voltage_at(1.0))
    (4.0, 1.0)
    >>> (sweep + sweep).duration_s
    8.0
    """

    time_s: NDArray[np.float64]
    voltage_V: NDArray[np.float64]
    compliance_A: NDArray[np.float64] = field(default_factory=lambda: np.array([np.inf]))
    samples_s: NDArray[np.float64] = field(default_factory=lambda: np.array([]))
    reads_s: NDArray[np.float64] = field(default_factory=lambda: np.array([]))

    def __post_init__(self) -> None:
        time, voltage = _frozen(self.time_s, "time_s"), _frozen(self.voltage_V, "voltage_V")
        if time.size < 2 or time.size != voltage.size:
            raise InputError(
                "A waveform needs as many voltages as times, and at least two",
                got=f"{time.size} times and {voltage.size} voltages",
            )
        if not (np.isfinite(time).all() and np.isfinite(voltage).all()):
            raise InputError("Waveform times and voltages must be finite", got="nan or inf")
        with np.errstate(over="ignore"):
            steps = np.diff(time)
        if (steps <= 0).any():
            i = int(np.argmax(steps <= 0))
            raise InputError(
                f"Waveform times must increase strictly; time_s[{i + 1}] does not follow time_s[{i}]",
                got=f"{time[i]!s} s, then {time[i + 1]!s} s",
                allowed="time_s[i + 1] > time_s[i]",
                action="Sort the points, or give a voltage step a finite rise time such as 1e-6 s",
            )
        with np.errstate(over="ignore"):
            slopes = np.diff(voltage) / steps
        if not (np.isfinite(slopes).all() and np.isfinite(steps).all()):
            raise InputError("Waveform is too steep or too long for a number", got=f"up to {np.abs(voltage).max():g} V")
        limit = np.array(self.compliance_A, dtype=float)
        if limit.ndim == 0 or limit.size == 1:
            limit = np.full(time.size - 1, limit.reshape(-1)[0])
        if limit.shape != (time.size - 1,):
            raise InputError(
                "compliance_A must be one number, or one for each segment",
                got=f"{limit.size} for {time.size - 1} segments",
            )
        if not (limit > 0).all():  # also catches nan
            raise InputError(
                "Compliance current must be positive",
                got=f"{limit[~(limit > 0)][0]} A",
                allowed="> 0 A, or inf for no limit",
            )
        limit.setflags(write=False)
        samples, reads = _frozen(self.samples_s, "samples_s"), _frozen(self.reads_s, "reads_s")
        for name, instants in (("samples_s", samples), ("reads_s", reads)):
            outside = (instants < time[0]) | (instants > time[-1]) | ~np.isfinite(instants)
            if outside.any():
                raise InputError(
                    f"Waveform {name} must lie inside the waveform",
                    got=f"{instants[outside][0]!s} s",
                    allowed=f"{time[0]:g} to {time[-1]:g} s",
                )
        for name, value in (
            ("time_s", time),
            ("voltage_V", voltage),
            ("compliance_A", limit),
            ("samples_s", samples),
            ("reads_s", reads),
        ):
            object.__setattr__(self, name, value)

    # -- makers ---------------------------------------------------------------------------------------------

    @classmethod
    def triangle(
        cls,
        peaks_V: Sequence[float],
        rate_V_s: float,
        compliance_A: float | Sequence[float] = np.inf,
        *,
        samples_per_V: float = 50.0,
    ) -> Waveform:
        """Linear sweeps 0 -> peak -> 0 for each peak in turn.

        Parameters
        ----------
        peaks_V : sequence of float, V, nonzero
            Turning voltages, for instance ``[5.0, -7.0]`` for a bipolar loop.
        rate_V_s : float, V/s, > 0
            Magnitude of the sweep rate.
        compliance_A : float or one for each peak, A, > 0
            Compliance current.
        samples_per_V : float, 1/V, > 0
            Density of reported points.

        Returns
        -------
        Waveform
        """
        most = float(np.sum(np.abs(np.asarray(peaks_V, dtype=float)))) * 2 * samples_per_V
        if np.isfinite(most) and most > _MOST_SAMPLES:
            raise InputError("The sweep asks for too many points", got=f"{most:.3g}", allowed=f"up to {_MOST_SAMPLES}")
        rate, density = (
            _positive(rate_V_s, "rate_V_s", "V/s"),
            _positive(samples_per_V, "samples_per_V", "1/V"),
        )
        peaks = [float(p) for p in np.atleast_1d(np.asarray(peaks_V, dtype=float))]
        if not peaks or any(p == 0 or not np.isfinite(p) for p in peaks):
            raise InputError("peaks_V must hold finite voltages other than zero", got=peaks)
        limits = np.asarray(compliance_A, dtype=float)
        if limits.ndim and limits.size != len(peaks):
            raise InputError(
                "compliance_A must be one number, or one for each peak",
                got=f"{limits.size} for {len(peaks)} peaks",
            )
        limits = np.repeat(np.broadcast_to(limits, len(peaks)), 2)
        corners = np.array([0.0] + [v for p in peaks for v in (p, 0.0)])
        time = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(corners)) / rate)])
        samples = np.concatenate(
            [
                np.linspace(a, b, max(2, round(abs(v1 - v0) * density) + 1))
                for a, b, v0, v1 in zip(time[:-1], time[1:], corners[:-1], corners[1:], strict=True)
            ]
        )
        return cls(time, corners, limits, samples)

    @classmethod
    def pulses(
        cls,
        amplitude_V: float,
        width_s: float,
        period_s: float,
        count: int = 1,
        *,
        read_V: float | None = None,
        read_width_s: float | None = None,
        compliance_A: float = np.inf,
        samples_per_period: int = 40,
    ) -> Waveform:
        """Rectangular pulses, each followed at once by a read pulse if `read_V` is given.

        Parameters
        ----------
        amplitude_V : float, V
            Write amplitude.
        width_s, period_s : float, s, > 0
            Write width; distance between the starts of two writes.
        count : int, >= 1
            Number of pulses.
        read_V : float, V, optional
            Read amplitude; the read instant is the end of its plateau.
        read_width_s : float, s, optional
            Read width, required with `read_V`.
        compliance_A : float, A, > 0
            Compliance current.
        samples_per_period : int, >= 2
            Reported points in each period.

        Returns
        -------
        Waveform
            Lasts ``count * period_s``.
        """
        width, period = _positive(width_s, "width_s", "s"), _positive(period_s, "period_s", "s")
        count, density = _whole(count, "count"), _whole(samples_per_period, "samples_per_period")
        reading = read_V is not None
        if reading and read_width_s is None:
            raise InputError("read_V needs read_width_s", action="Give read_width_s in seconds")
        read_width = _positive(read_width_s, "read_width_s", "s") if reading and read_width_s is not None else 0.0
        edge = min(_EDGE_S, width / 10, period / 100)
        needed = width + read_width + 4 * edge
        if needed > period:
            raise InputError(
                "The pulse and its read do not fit into the period",
                got=f"{needed:g} s in {period:g} s",
                action="Lengthen period_s or shorten width_s or read_width_s",
            )
        one_t, one_v = [0.0, edge, width, width + edge], [0.0, amplitude_V, amplitude_V, 0.0]
        reads: list[float] = []
        if reading:
            start = width + edge
            one_t += [start + edge, start + read_width, start + read_width + edge]
            one_v += [float(read_V), float(read_V), 0.0]  # type: ignore[arg-type]
            reads = [start + read_width]
        starts = period * np.arange(int(count))
        time = np.concatenate([(starts[:, None] + np.array(one_t)).ravel(), [period * count]])
        voltage = np.concatenate([np.tile(one_v, int(count)), [0.0]])
        samples = np.linspace(0.0, period * count, count * density + 1)
        return cls(time, voltage, np.array(compliance_A), samples, (starts[:, None] + np.array(reads)).ravel())

    @classmethod
    def spikes(
        cls,
        times_s: ArrayLike,
        *,
        amplitude_V: float,
        width_s: float,
        duration_s: float,
        compliance_A: float = np.inf,
        reads_s: ArrayLike = (),
        samples_s: ArrayLike = (),
    ) -> Waveform:
        """A spike train as square pulses; overlapping spikes merge into one longer pulse.

        Parameters
        ----------
        times_s : array, shape (spikes,), s, in [0, duration_s)
            Onset of each spike.
        amplitude_V, width_s : float, V and s
            Pulse of one spike.
        duration_s : float, s, > 0
            Length of the pattern; a pulse that would outlast it is cut.
        compliance_A : float, A, > 0
            Compliance current.
        reads_s, samples_s : array, s
            Instants at which the state is read or reported.

        Returns
        -------
        Waveform
        """
        duration, width = _positive(duration_s, "duration_s", "s"), _positive(width_s, "width_s", "s")
        onsets = np.sort(np.asarray(times_s, dtype=float).ravel())
        if onsets.size and (onsets[0] < 0 or onsets[-1] >= duration or not np.isfinite(onsets).all()):
            raise InputError("Spike onsets must lie inside the pattern", got=onsets, allowed=f"0 <= t < {duration:g} s")
        edge = min(_EDGE_S, width / 10)
        time, voltage, i = [0.0], [0.0], 0
        while i < onsets.size:
            start, stop = onsets[i], onsets[i] + width
            while i + 1 < onsets.size and onsets[i + 1] <= stop + 2 * edge:
                i += 1
                stop = onsets[i] + width
            i += 1
            stop = min(stop, duration - 2 * edge)
            if stop <= start + edge:
                continue  # no room left for a pulse
            if start > time[-1]:
                time.append(start)
                voltage.append(0.0)
            time += [start + edge, stop, stop + edge]
            voltage += [amplitude_V, amplitude_V, 0.0]
        time.append(duration)
        voltage.append(0.0)
        return cls(
            np.array(time),
            np.array(voltage),
            np.array(compliance_A),
            np.asarray(samples_s),
            np.asarray(reads_s),
        )

    @classmethod
    def hold(
        cls,
        voltage_V: float,
        duration_s: float,
        *,
        compliance_A: float = np.inf,
        samples: int = 100,
        first_s: float | None = None,
    ) -> Waveform:
        """A constant voltage, reported on a linear grid, or on a logarithmic one that starts at `first_s`.

        Parameters
        ----------
        voltage_V : float, V
        duration_s : float, s, > 0
        compliance_A : float, A, > 0
        samples : int, >= 2
            Number of reported points.
        first_s : float, s, optional
            First point of a logarithmic grid, as retention measurements use.

        Returns
        -------
        Waveform
        """
        duration, samples = _positive(duration_s, "duration_s", "s"), _whole(samples, "samples", least=2)
        if first_s is None:
            grid = np.linspace(0.0, duration, samples)
        else:
            grid = np.geomspace(_positive(first_s, "first_s", "s"), duration, samples)
            grid[-1] = duration
        return cls(
            np.array([0.0, duration]),
            np.array([voltage_V, voltage_V], dtype=float),
            np.array(compliance_A),
            grid,
        )

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def duration_s(self) -> float:
        """Time from first to last corner, s."""
        return float(self.time_s[-1] - self.time_s[0])

    @property
    def times_s(self) -> NDArray[np.float64]:
        """All instants at which a trace reports: corners, samples and reads, sorted and unique, s."""
        return np.unique(np.concatenate([self.time_s, self.samples_s, self.reads_s]))

    def voltage_at(self, time_s: ArrayLike) -> NDArray[np.float64]:
        """Source voltage at the given times, V.

        Parameters
        ----------
        time_s : float or array, shape (...,), s
            Inside the waveform.

        Raises
        ------
        ValidityError
            Outside the waveform.
        """
        t = np.asarray(time_s, dtype=float)
        if t.size and (t.min() < self.time_s[0] or t.max() > self.time_s[-1]):
            raise ValidityError(
                "Voltage asked outside the waveform",
                got=f"{t.min():g} to {t.max():g} s",
                allowed=f"{self.time_s[0]:g} to {self.time_s[-1]:g} s",
            )
        return np.interp(t, self.time_s, self.voltage_V)

    def compliance_at(self, time_s: ArrayLike) -> NDArray[np.float64]:
        """Compliance current at the given times, A; a corner belongs to the segment that ends there.

        Parameters
        ----------
        time_s : float or array, shape (...,), s
            Before the start counts as the first segment, after the end as the last.
        """
        i = np.searchsorted(self.time_s, np.asarray(time_s, dtype=float), side="left") - 1
        return self.compliance_A[np.clip(i, 0, self.compliance_A.size - 1)]

    def with_samples(self, samples_s: ArrayLike) -> Waveform:
        """The same stimulus, reported at these instants besides the corners.

        Parameters
        ----------
        samples_s : array, s
            Inside the waveform; they take the place of its samples, its reads stay.
        """
        return Waveform(self.time_s, self.voltage_V, self.compliance_A, np.asarray(samples_s), self.reads_s)

    def with_compliance(self, compliance_A: float) -> Waveform:
        """The same stimulus under one other compliance current, A.

        Parameters
        ----------
        compliance_A : float, A, > 0
            inf is no limit.
        """
        return Waveform(self.time_s, self.voltage_V, np.array(compliance_A), self.samples_s, self.reads_s)

    def repeat(self, count: int) -> Waveform:
        """Play this waveform `count` times in a row, as ``self + self + ...`` does.

        Parameters
        ----------
        count : int, >= 1

        Returns
        -------
        Waveform

        Examples
        --------
        >>> Waveform.triangle([2.0, -7.0], 10.0, 1e-3).repeat(5).duration_s
        9.0
        """
        count = _whole(count, "count")
        points = count * (self.times_s.size + 1)
        if points > _MOST_SAMPLES:
            raise InputError("The repetition asks for too many points", got=points, allowed=f"up to {_MOST_SAMPLES}")
        whole, power = None, self
        while True:  # by doubling: one sum for each binary digit
            if count & 1:
                whole = power if whole is None else power + whole
            count >>= 1
            if not count:
                return whole  # type: ignore[return-value]
            power = power + power

    def __add__(self, other: object) -> Waveform:
        """Play `other` after this one; its clock is shifted, and a voltage step gets a rise time of 1 us."""
        if not isinstance(other, Waveform):
            return NotImplemented
        end = self.time_s[-1]
        shift = end - other.time_s[0]
        if self.voltage_V[-1] == other.voltage_V[0]:
            time, voltage, limit = other.time_s[1:] + shift, other.voltage_V[1:], other.compliance_A
        else:
            first = other.time_s[1] - other.time_s[0]
            edge = min(_EDGE_S, first / 10)
            start_V = np.interp(other.time_s[0] + edge, other.time_s, other.voltage_V)
            time = np.concatenate([[end + edge], other.time_s[1:] + shift])
            voltage = np.concatenate([[start_V], other.voltage_V[1:]])
            limit = np.concatenate([other.compliance_A[:1], other.compliance_A])
        return Waveform(
            np.concatenate([self.time_s, time]),
            np.concatenate([self.voltage_V, voltage]),
            np.concatenate([self.compliance_A, limit]),
            np.concatenate([self.samples_s, np.minimum(other.samples_s + shift, time[-1])]),
            np.concatenate([self.reads_s, np.minimum(other.reads_s + shift, time[-1])]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Waveform):
            return NotImplemented
        names = ("time_s", "voltage_V", "compliance_A", "samples_s", "reads_s")
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    def __hash__(self) -> int:
        return hash((self.time_s.tobytes(), self.voltage_V.tobytes(), self.compliance_A.tobytes()))

    def __repr__(self) -> str:
        low, high = self.voltage_V.min(), self.voltage_V.max()
        return (
            f"Waveform({self.duration_s:g} s, {self.time_s.size} corners, {low:g} to {high:g} V, "
            f"compliance {self.compliance_A.min():g} A)"
        )

    # -- circuits --------------------------------------------------------------------------------------------

    def sources(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Corners of voltage and compliance as a circuit simulator plays them, from time zero.

        Returns
        -------
        time : array, shape (m,), s, from 0
            Corners of either.
        voltage : array, shape (m,), V
        limit : array, shape (m,), A
            Piecewise linear too: a new compliance is reached 1 us, or a tenth of its segment, after the corner; 1 kA
            stands for no limit.
        """
        limit = np.minimum(self.compliance_A, _NO_LIMIT_A)
        change = np.flatnonzero(np.diff(limit)) + 1
        start = self.time_s[change]
        edge = np.minimum(_EDGE_S, (self.time_s[change + 1] - start) / 10)
        limit_times = np.concatenate([self.time_s[:1], np.stack([start, start + edge], axis=1).ravel()])
        limits = np.concatenate([limit[:1], np.stack([limit[change - 1], limit[change]], axis=1).ravel()])
        time = np.union1d(self.time_s, limit_times)
        return time - self.time_s[0], self.voltage_at(time), np.interp(time, limit_times, limits)

    def to_pwl(self, node: str = "src", limit_node: str = "icc") -> str:
        """The waveform as two piecewise-linear sources of ngspice.

        Parameters
        ----------
        node : str
            Node that the voltage source drives against ground.
        limit_node : str
            Node that carries the compliance: 1 V is 1 A, 1 kV is no limit. It drives the element ``..._compliance``
            that every exported model brings.

        Returns
        -------
        str
            Lines of a netlist. Time counts from the start of the waveform.

        Notes
        -----
        ngspice 39 searches the list from its start at every step, so a run takes a time that grows with the square of
        the number of corners: 1.4 s for 5,000, 20 s for 20,000 (measured).

        Examples
        --------
        >>> print(Waveform([0, 1e-3, 2e-3], [0, 1, 1], [1e-6, 1e-3]).to_pwl())
        Vsrc src 0 PWL(
        + 0 0
        + 0.001 1
        + 0.002 1
        + )
        Vicc icc 0 PWL(
        + 0 1e-06
        + 0.001 1e-06
        + 0.001001 0.001
        + 0.002 0.001
        + )
        """
        time, _, limits = self.sources()
        lines = _pwl(node, self.time_s - self.time_s[0], self.voltage_V)
        if (limits == limits[0]).all():
            return "\n".join([*lines, f"V{limit_node} {limit_node} 0 {limits[0]:.15g}"])
        # its own corners only
        bend = np.ones(time.size, dtype=bool)
        bend[1:-1] = (limits[1:-1] != limits[:-2]) | (limits[1:-1] != limits[2:])
        return "\n".join([*lines, *_pwl(limit_node, time[bend], limits[bend])])

    def to_dict(self) -> dict[str, Any]:
        """Plain lists that :meth:`from_dict` reads back; an infinite compliance becomes ``None``.

        Returns
        -------
        dict of str to list
            ``time_s``, ``voltage_V``, ``compliance_A``, ``samples_s``, ``reads_s``.
        """
        return {
            "time_s": self.time_s.tolist(),
            "voltage_V": self.voltage_V.tolist(),
            "compliance_A": [None if np.isinf(c) else c for c in self.compliance_A.tolist()],
            "samples_s": self.samples_s.tolist(),
            "reads_s": self.reads_s.tolist(),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Waveform:
        """The waveform that :meth:`to_dict` described.

        Parameters
        ----------
        record : dict

        Raises
        ------
        InputError
            If it is no such record.
        """
        try:
            limit = [np.inf if c is None else c for c in record["compliance_A"]]
            names = ("time_s", "voltage_V", "samples_s", "reads_s")
            time, voltage, samples, reads = (_listed(record[name], name) for name in names)
            return cls(time, voltage, _listed(limit, "compliance_A"), samples, reads)
        except KeyError as error:
            raise InputError(f"{error.args[0]}: a key of a waveform is missing", got=str(list(record))[:80]) from error
        except TypeError as error:
            raise InputError("Not the record of a waveform", got=str(error), allowed="Waveform.to_dict()") from error
