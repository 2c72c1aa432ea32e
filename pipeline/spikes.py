"""`FiringPatterns`: the four neural firing patterns that John et al. classify, as voltage trains.

Their Methods leave a dozen choices open. Each is an argument here; the docstring gives the default and its reason.
`pulse_words` are all words of a few bits as pulses, the other usual test of a reservoir.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..physics.errors import InputError
from ..physics.randomness import Rng, describe, generator, spawn
from ..physics.waveform import Waveform

__all__ = ["CLASSES", "FiringPatterns", "Splits", "hold_out", "pulse_words"]

CLASSES = ("Bursting", "Adapting", "Tonic", "Irregular")
"""Names of the four patterns; a label is an index into this tuple."""


@dataclass(frozen=True, eq=False)
class FiringPatterns:
    """Labelled spike trains of the four firing patterns, each train a :class:`Waveform`.

    Patterns come in blocks of one class, in the order of :data:`CLASSES`. Inside a block, pattern `i` is cycle
    ``i // devices`` on device ``i % devices``.

    Parameters
    ----------
    per_class : int, >= 1
        Patterns of each class. Published: 4975 = 199 cycles x 25 devices.
    rng : int, Generator or None
        Seed of everything that is drawn; the same seed gives the same trains.
    devices : int, >= 1
        Number of devices that the patterns are dealt to in turn. Published: 25.
    shared_trains : bool
        True: one set of trains of a class goes to every device, as "199 cycles applied to 25 devices" may mean.
        False (default): every measurement has a train of its own. The text allows both; with shared trains a
        random split puts the same train, on another device, into training and test set, so the default is the
        one that cannot leak. See :meth:`split` for ``by="train"``.
    spike_width_s : float, s, > 0
        Published twice, differently: 20 ms (Fig. 4b and the relaxation test) and 25 ms (Methods). A 20 ms write
        and the 5 ms read would make up 25 ms; so 20 ms is the default.
    amplitude_V : float, V
        Published: 1 V.
    duration_s : float, s, > 0
        Length of a pattern. Published: about 1050 ms; exactly 30 nodes x 35 ms here. Spikes that would begin
        later are dropped and a pulse that would outlast the pattern is cut.
    compliance_A : float, A, > 0
        Compliance current of the volatile mode. Published: 1 uA.
    bursts : tuple of int
        Smallest and largest number of burst groups, drawn uniformly. Published: 4-5. A train of 4 groups is
        silent afterwards; the text does not say that bursts fill the pattern.
    spikes_per_burst : int, >= 1
        Published: 4.
    burst_isi_s : float, s, >= 0
        Interspike interval inside a group. Published: 5 ms, without a spread.
    burst_gap_s : tuple of float, s
        Range of the interval between groups, drawn uniformly. Published: 75-125 ms; the distribution is not.
    burst_gap_drawn : {"train", "gap"}
        Draw that interval once for the train or for every gap. Default "train": the Methods define bursting by
        "a constant inter-group interval".
    adapting_isi_s : float, s, > 0
        First interval of an adapting train. Published: 5 ms.
    adapting_growth : float, >= 0
        Growth of the interval with each new spike. Published: 50 %.
    adapting_spread : {"interval", "growth"}
        What the 5 % standard deviation acts on: each interval independently (default, as the Methods say for
        tonic trains), or the growth factor, so that deviations accumulate.
    tonic_isi_s : float, s, > 0
        Mean interval of a tonic train. Published: 70 ms.
    isi_spread : float, in [0, 0.3]
        Relative standard deviation of adapting and tonic intervals, normal. Published: 5 %.
    irregular_segment_s : float, s, > 0
        Published: 60 ms. Only whole segments count (17 in 1050 ms); segments shorter than a spike merge spikes.
    irregular_probability : float, in [0, 1]
        Probability of a spike at the beginning of a segment. Published: 50 %.
    isi_is : {"gap", "period"}
        Convention of all intervals above: from the end of a pulse to the start of the next, or from onset to
        onset. Default "gap": a 5 ms period of 20 ms pulses would be one long pulse, not spikes.
    start_phase_s : tuple of float, s, >= 0
        Range of a delay of the whole train, drawn uniformly. Not in the paper; (0, 0) keeps all trains aligned
        to the nodes, which makes the task much easier than random phases do.

    Attributes
    ----------
    onsets : tuple of array, shape (spikes,), s
        Spike onsets of each pattern.
    labels, device, cycle, train : array of int, shape (patterns,)
        Class, device index, cycle index and number of the spike train of each pattern.
    seed : str
        The random state that the trains were drawn from.

    Raises
    ------
    InputError
        For an argument outside its range.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Methods, "Neural spike pattern dataset generation".

    Examples
    --------
    >>> task = FiringPatterns(per_class=10, rng=0)
    >>> len(task), task.trains[0].duration_s, task.classes[task.labels[-1]]
    (40, 1.05, 'Irregular')
    """

    per_class: int = 4975
    rng: Rng = 0
    _: KW_ONLY
    devices: int = 25
    shared_trains: bool = False
    spike_width_s: float = 20e-3
    amplitude_V: float = 1.0
    duration_s: float = 1.05
    compliance_A: float = 1e-6
    bursts: tuple[int, int] = (4, 5)
    spikes_per_burst: int = 4
    burst_isi_s: float = 5e-3
    burst_gap_s: tuple[float, float] = (75e-3, 125e-3)
    burst_gap_drawn: Literal["train", "gap"] = "train"
    adapting_isi_s: float = 5e-3
    adapting_growth: float = 0.5
    adapting_spread: Literal["interval", "growth"] = "interval"
    tonic_isi_s: float = 70e-3
    isi_spread: float = 0.05
    irregular_segment_s: float = 60e-3
    irregular_probability: float = 0.5
    isi_is: Literal["gap", "period"] = "gap"
    start_phase_s: tuple[float, float] = (0.0, 0.0)

    onsets: tuple[NDArray[np.float64], ...] = field(init=False, repr=False)
    labels: NDArray[np.int64] = field(init=False, repr=False)
    device: NDArray[np.int64] = field(init=False, repr=False)
    cycle: NDArray[np.int64] = field(init=False, repr=False)
    train: NDArray[np.int64] = field(init=False, repr=False)
    seed: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check()
        # a generator gives a child, so that the text of its state names these trains and no others
        random = self.rng.spawn(1)[0] if isinstance(self.rng, np.random.Generator) else generator(self.rng)
        seed, index = describe(random), np.arange(self.per_class)
        device, cycle = index % self.devices, index // self.devices
        own = cycle if self.shared_trains else index
        trains = int(own[-1]) + 1
        onsets: list[NDArray[np.float64]] = []
        # one stream a class, so that an option of one class leaves the trains of the others as they were
        for draw, stream in zip(
            (self._bursting, self._adapting, self._tonic, self._irregular), spawn(random, 4), strict=True
        ):
            drawn = self._cut(draw(stream, trains), stream)
            onsets += [drawn[i] for i in own]
        classes = np.arange(len(CLASSES))
        arrays = {
            "labels": np.repeat(classes, self.per_class),
            "device": np.tile(device, len(CLASSES)),
            "cycle": np.tile(cycle, len(CLASSES)),
            "train": (classes[:, None] * trains + own).ravel(),
        }
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "onsets", tuple(onsets))
        object.__setattr__(self, "seed", seed)

    # -- the four classes: onsets before the start phase, padded with inf -----------------------------------

    @property
    def _step(self) -> float:
        """What an interval must be lengthened by to become a distance of onsets, s."""
        return self.spike_width_s if self.isi_is == "gap" else 0.0

    def _bursting(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        low, high = self.bursts
        groups = rng.integers(low, high + 1, size=count)
        pause = rng.uniform(*self.burst_gap_s, size=(count, 1 if self.burst_gap_drawn == "train" else high))
        interval = np.full((count, high, self.spikes_per_burst), self.burst_isi_s)
        interval[:, :, -1] = pause  # the interval after the last spike of a group
        onsets = np.zeros((count, high * self.spikes_per_burst))
        onsets[:, 1:] = np.cumsum(interval.reshape(count, -1)[:, :-1] + self._step, axis=1)
        onsets[np.arange(onsets.shape[1]) >= groups[:, None] * self.spikes_per_burst] = np.inf
        return onsets

    def _adapting(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        factor = 1.0 + self.adapting_growth
        # enough intervals to fill the pattern even if every one of them came out five deviations short
        length, intervals = 0.0, 0
        short = max(1.0 - 5.0 * self.isi_spread, 0.1)
        while length < self.duration_s:
            drift = short**intervals if self.adapting_spread == "growth" else short
            length += self._step + self.adapting_isi_s * factor**intervals * drift
            intervals += 1
            if intervals > _MOST_SPIKES:
                raise InputError(
                    "An adapting train would need too many spikes to fill the pattern",
                    got=f"more than {_MOST_SPIKES}",
                    action="Raise adapting_isi_s or adapting_growth",
                )
        deviation: NDArray[Any] = 1.0 + self.isi_spread * rng.standard_normal((count, intervals))
        if self.adapting_spread == "growth":
            deviation[:, 0] = 1.0
            deviation = np.cumprod(deviation, axis=1)
        mean = self.adapting_isi_s * np.power(factor, np.arange(intervals, dtype=float))
        interval = np.maximum(mean * deviation, 0.0)
        return np.hstack([np.zeros((count, 1)), np.cumsum(interval + self._step, axis=1)])

    def _tonic(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        short = max(1.0 - 5.0 * self.isi_spread, 0.1)
        intervals = int(np.ceil(self.duration_s / (self._step + self.tonic_isi_s * short)))
        deviation = 1.0 + self.isi_spread * rng.standard_normal((count, intervals))
        interval = np.maximum(self.tonic_isi_s * deviation, 0.0)
        return np.hstack([np.zeros((count, 1)), np.cumsum(interval + self._step, axis=1)])

    def _irregular(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        segments = int(np.floor(self.duration_s / self.irregular_segment_s * (1 + 1e-12)))
        spikes = rng.random((count, segments)) < self.irregular_probability
        return np.where(spikes, self.irregular_segment_s * np.arange(segments), np.inf)

    def _cut(self, onsets: NDArray[np.float64], rng: np.random.Generator) -> list[NDArray[np.float64]]:
        onsets = onsets + rng.uniform(*self.start_phase_s, size=(len(onsets), 1))
        rows = []
        for row in onsets:
            kept = row[row < self.duration_s]
            kept.setflags(write=False)
            rows.append(kept)
        return rows

    # -- reading --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; a label is an index into them."""
        return CLASSES

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys."""
        return ("John2022",)

    @property
    def parameters(self) -> dict[str, Any]:
        """All choices as plain data: with a seed, what the trains replay from."""
        names = [name for name in self.__dataclass_fields__ if name not in _DRAWN]
        return {name: getattr(self, name) for name in names} | {"rng": self.seed}

    @cached_property
    def trains(self) -> NDArray[np.object_]:
        """The stimuli: object array of :class:`Waveform`, shape (patterns,), so that index arrays select from it."""
        made: dict[int, Waveform] = {}
        trains = np.empty(len(self), dtype=object)
        for i, (number, onsets) in enumerate(zip(self.train.tolist(), self.onsets, strict=True)):
            if number not in made:
                made[number] = Waveform.spikes(
                    onsets,
                    amplitude_V=self.amplitude_V,
                    width_s=self.spike_width_s,
                    duration_s=self.duration_s,
                    compliance_A=self.compliance_A,
                )
            trains[i] = made[number]
        trains.setflags(write=False)
        return trains

    def split(
        self,
        test_fraction: float = 0.1,
        by: Literal["pattern", "device", "train"] = "pattern",
        rng: Rng = 0,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of a training and a test set, with the same share of every class in both.

        Parameters
        ----------
        test_fraction : float, in (0, 1)
            Published: 0.1. Rounded to whole units, at least one.
        by : {"pattern", "device", "train"}
            Unit that goes to one side whole: a measurement (the paper does not say; this is the easiest), a
            device (does the readout work on a device that it has not seen?) or a spike train (no train on both
            sides; differs from "pattern" only with `shared_trains`).
        rng : int, Generator or None

        Returns
        -------
        train, test : array of int, ascending

        Raises
        ------
        InputError
            If there are not two units to part, or for an unknown `by`.

        Examples
        --------
        >>> train, test = FiringPatterns(per_class=20).split()
        >>> train.size, test.size
        (72, 8)
        """
        return hold_out(self.labels, self.unit(by), test_fraction, rng, across=by == "device")

    def unit(self, by: Literal["pattern", "device", "train"]) -> NDArray[np.int64]:
        """Number of the unit that each pattern belongs to: what scikit-learn calls ``groups``.

        Parameters
        ----------
        by : {"pattern", "device", "train"}

        Returns
        -------
        array of int, shape (patterns,)

        Raises
        ------
        InputError
            For an unknown `by`.
        """
        units = {"pattern": np.arange(len(self)), "device": self.device, "train": self.train}
        if by not in units:
            raise InputError("Unknown way to split", got=by, allowed=", ".join(units))
        return units[by]

    def splits(
        self,
        n_splits: int = 5,
        test_fraction: float = 0.1,
        by: Literal["pattern", "device", "train"] = "pattern",
        rng: Rng = 0,
    ) -> Splits:
        """Several of :meth:`split`, each drawn anew, as a splitter: ``cross_val_score(..., cv=task.splits())``.

        Parameters
        ----------
        n_splits : int, >= 1
        test_fraction : float, in (0, 1)
            Share of the patterns that test.
        by : {"pattern", "device", "train"}
            Unit that goes to one side whole.
        rng : int, Generator or None
            One child of it for each split.
        """
        _whole("n_splits", n_splits)
        return Splits(tuple(self.split(test_fraction, by, child) for child in spawn(rng, n_splits)))

    def _check(self) -> None:
        _whole("per_class", self.per_class)
        _whole("devices", self.devices)
        _whole("spikes_per_burst", self.spikes_per_burst)
        for name in ("spike_width_s", "duration_s", "compliance_A", "adapting_isi_s"):
            _inside(name, getattr(self, name), 0.0, np.inf, open_low=True)
        _inside("tonic_isi_s", self.tonic_isi_s, self.duration_s / _MOST_SPIKES, np.inf)
        _inside("irregular_segment_s", self.irregular_segment_s, self.duration_s / _MOST_SPIKES, self.duration_s)
        _inside("burst_isi_s", self.burst_isi_s, 0.0, np.inf)
        _inside("adapting_growth", self.adapting_growth, 0.0, 10.0)
        _inside("isi_spread", self.isi_spread, 0.0, 0.3)
        _inside("irregular_probability", self.irregular_probability, 0.0, 1.0)
        _inside("amplitude_V", self.amplitude_V, -np.inf, np.inf)
        for name, (low, high) in (("burst_gap_s", self.burst_gap_s), ("start_phase_s", self.start_phase_s)):
            if not 0 <= low <= high < self.duration_s:
                raise InputError(
                    f"{name} must be an ascending range of times inside the pattern",
                    got=f"({low}, {high}) s",
                    allowed=f"0 <= low <= high < {self.duration_s} s",
                )
        for count in self.bursts:
            _whole("bursts", count)
        if self.bursts[0] > self.bursts[1]:
            raise InputError("bursts must be (smallest, largest)", got=self.bursts)
        for name, allowed in _WORDS.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"Unknown {name}", got=getattr(self, name), allowed=", ".join(allowed))


_DRAWN = ("onsets", "labels", "device", "cycle", "train", "seed", "rng", "_")
_WORDS = {"burst_gap_drawn": ("train", "gap"), "adapting_spread": ("interval", "growth"), "isi_is": ("gap", "period")}
_MOST_SPIKES = 10_000  # 1 s of spikes every 0.1 ms: beyond it an argument is a mistake


def _whole(name: str, value: int) -> None:
    if isinstance(value, bool) or value % 1 != 0 or value < 1:
        raise InputError(f"{name} must be a whole number", got=value, allowed=">= 1")


def _inside(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    if not (np.isfinite(value) and low <= value <= high) or (open_low and value == low):
        sign = "<" if open_low else "<="
        raise InputError(f"{name} is out of range", got=value, allowed=f"{low:g} {sign} {name} <= {high:g}, finite")


@dataclass(frozen=True, eq=False)
class Splits:
    """Training and test sets that were drawn, for the `cv` of scikit-learn.

    Parameters
    ----------
    pairs : tuple of (train, test)
        Index arrays.
    """

    pairs: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

    def split(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Each training and test set in turn; the arguments are scikit-learn's and only their length counts.

        Parameters
        ----------
        X : array or sequence, shape (patterns, ...), optional
            Only its length counts.
        y : array, shape (patterns,), optional
            Not looked at: the splits were drawn from the labels of the task.
        groups : array, shape (patterns,), optional
            Not looked at either.

        Yields
        ------
        train, test : array of int, ascending

        Raises
        ------
        InputError
            If X has another number of patterns than were split.
        """
        patterns = sum(len(part) for part in self.pairs[0])
        if X is not None and len(X) != patterns:
            raise InputError("These splits are of another set", got=f"{len(X)} patterns", allowed=str(patterns))
        yield from self.pairs

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object, optional
            Not looked at; scikit-learn passes them.
        """
        return len(self.pairs)


def hold_out(
    labels: NDArray[Any], units: NDArray[np.int64], test_fraction: float = 0.1, rng: Rng = 0, *, across: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a training and a test set that share no unit.

    Parameters
    ----------
    labels : array, shape (patterns,)
        Class of each pattern.
    units : array of int, shape (patterns,)
        What each pattern belongs to.
    test_fraction : float, in (0, 1)
        Share of the units in the test set, rounded to whole units, at least one.
    rng : int, Generator or None
    across : bool
        False: drawn class by class, so that each class has the same share in both sets. True: a unit goes to one
        side with its patterns of every class.

    Returns
    -------
    train, test : array of int, ascending

    Raises
    ------
    InputError
        If there are not two units to part.
    """
    if not 0 < test_fraction < 1:
        raise InputError("test_fraction must part the patterns", got=test_fraction, allowed="0 < fraction < 1")
    random, held = generator(rng), np.zeros(labels.size, dtype=bool)
    for members in [np.arange(labels.size)] if across else [np.flatnonzero(labels == c) for c in np.unique(labels)]:
        distinct = np.unique(units[members])
        if distinct.size < 2:
            raise InputError(
                "There are not two units to part",
                got=f"{distinct.size}" if across else f"{distinct.size} in a class",
                action="Take more patterns, or split by another unit",
            )
        count = min(max(round(test_fraction * distinct.size), 1), distinct.size - 1)
        held[members] = np.isin(units[members], random.choice(distinct, size=count, replace=False))
    return np.flatnonzero(~held), np.flatnonzero(held)


def pulse_words(
    bits: int = 4,
    *,
    amplitude_V: float = 1.0,
    width_s: float = 20e-3,
    period_s: float = 40e-3,
    rest_s: float = 5e-3,
    compliance_A: float = 1e-6,
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Every word of a few bits as a pulse stream: a pulse where the bit is 1, silence where it is 0.

    Parameters
    ----------
    bits : int, in [1, 12]
    amplitude_V, width_s, compliance_A : float, V, s and A
        Of a pulse; the defaults are those of the firing patterns.
    period_s : float, s, > width_s
        From bit to bit.
    rest_s : float, s, >= 0
        From the end of the last bit's pulse to the end of the stream, where a :class:`Reservoir` with one node
        (``nodes=1, first_s=streams[0].duration_s``) reads the device.

    Returns
    -------
    words : array of int, shape (2^bits, bits)
        First bit first.
    streams : object array of Waveform, shape (2^bits,)

    Examples
    --------
    >>> words, streams = pulse_words(2)
    >>> words.tolist(), round(streams[3].duration_s, 3)
    ([[0, 0], [0, 1], [1, 0], [1, 1]], 0.065)
    """
    _whole("bits", bits)
    _inside("bits", bits, 1, 12)
    _inside("width_s", width_s, 0.0, np.inf, open_low=True)
    _inside("period_s", period_s, width_s, np.inf, open_low=True)
    _inside("rest_s", rest_s, 0.0, np.inf)
    numbers = np.arange(2**bits)
    words = (numbers[:, None] >> np.arange(bits)[::-1]) & 1
    duration = (bits - 1) * period_s + width_s + rest_s + 2e-6  # the last pulse's edges
    streams = np.empty(numbers.size, dtype=object)
    for i, word in enumerate(words):
        streams[i] = Waveform.spikes(
            period_s * np.flatnonzero(word),
            amplitude_V=amplitude_V,
            width_s=width_s,
            duration_s=duration,
            compliance_A=compliance_A,
        )
    return words, streams
