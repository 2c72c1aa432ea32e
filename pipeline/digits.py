r"""Handwritten digits recognised by a perceptron whose weights are pairs of synapses that only pulses move.

The chain of Kim et al. 2019 from a film to a number of recognised digits: :class:`UpdateCurve` is what potentiating
and depressing spikes make of a synapse, taken from a trace; :class:`SynapticPerceptron` trains on it; :func:`small`
and :func:`mnist` are the two sets of images. The main text names the two sizes of the images and the two accuracies;
network, rule, number of epochs and split stand in a supplement that is not at hand, so each is an argument here.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..compact import plasticity
from ..physics import trace as traces
from ..physics.errors import DataError, InputError
from ..physics.randomness import Rng, generator
from ..physics.waveform import Waveform
from . import _digits
from .readout import _Readout

__all__ = ["MNIST_FILES", "Images", "SynapticPerceptron", "UpdateCurve", "mnist", "read_idx", "small"]

Array = NDArray[np.float64]

_PAIRS = {"both": _digits.BOTH, "reference": _digits.REFERENCE, "grow": _digits.GROW}
_ROUNDINGS = {"stochastic": _digits.STOCHASTIC, "nearest": _digits.NEAREST, "single": _digits.SINGLE}
_INITIAL = ("middle", "rest", "random")
_LARGEST_FILE = 1 << 30  # bytes of one IDX file; MNIST's longest is 47 MB

_PIECE = 1 << 20  # bytes

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Names of the four files that :func:`mnist` reads, each plain or with ``.gz``."""


# -- images -------------------------------------------------------------------------------------------------------


class Images(NamedTuple):
    """Labelled images, those to train on and those held back.

    Attributes
    ----------
    train, test : array, shape (images, pixels), 1, in 0..1
    train_labels, test_labels : array of int, shape (images,)
    name : str
    """

    train: Array
    train_labels: NDArray[np.int64]
    test: Array
    test_labels: NDArray[np.int64]
    name: str


def small(rng: Rng = 0, *, test_share: float = 0.25) -> Images:
    """The 1797 images of 8 x 8 pixels that scikit-learn ships, split at random, each class in the same share.

    Parameters
    ----------
    rng : int, Generator or None
        Of the split.
    test_share : float, in 0..1
        Held back. Not published; a quarter is scikit-learn's default.

    Notes
    -----
    They are the test part of the UCI set "Optical Recognition of Handwritten Digits"; whether the paper trains on the
    other 3823 is in its supplement.

    Examples
    --------
    >>> images = small(0)
    >>> images.train.shape, images.test.shape, float(images.train.max())
    ((1347, 64), (450, 64), 1.0)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if not 0.0 < test_share < 1.0:
        raise InputError("test_share is out of range", got=test_share, allowed="0 to 1, both excluded")
    bunch = load_digits()
    classes, images = np.unique(bunch.target).size, bunch.target.size
    if not classes <= test_share * images <= images - classes:
        raise InputError(
            "test_share leaves no image of each class on one side",
            got=test_share,
            allowed=f"{classes} to {images - classes} of {images} images",
        )
    seed = int(generator(rng).integers(2**31))
    X, held, y, held_y = train_test_split(
        bunch.data / 16.0, bunch.target.astype(np.int64), test_size=test_share, stratify=bunch.target, random_state=seed
    )
    return Images(X, y, held, held_y, "8 x 8")


def mnist(folder: str | os.PathLike[str]) -> Images:
    """MNIST from its four IDX files, which do not ship: 60000 images of 28 x 28 to train on, 10000 held back.

    Parameters
    ----------
    folder : path
        Holds the four files of :data:`MNIST_FILES`.

    Raises
    ------
    DataError
        If a file is missing, is no IDX file, or images and labels do not go together.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proc. IEEE 86, 2278 (1998).
    """
    place = Path(folder)
    files = []
    for name in MNIST_FILES:
        found = [place / f"{name}{end}" for end in ("", ".gz") if (place / f"{name}{end}").is_file()]
        if not found:
            raise DataError(
                "missing file",
                file=place,
                key=name,
                allowed=f"{name} or {name}.gz",
                action="Give a folder with the four IDX files of MNIST",
            )
        files.append(found[0])
    parts: list[Any] = []
    shapes: list[tuple[int, ...]] = []
    for image_file, label_file in (files[:2], files[2:]):
        pixels, labels = read_idx(image_file, 3), read_idx(label_file, 1)
        if len(pixels) != len(labels):
            raise DataError(
                "another number of labels than of images",
                file=label_file,
                key="header",
                got=len(labels),
                allowed=f"{len(pixels)}, as {image_file.name} holds",
            )
        if not len(labels) or labels.max() > 9:
            raise DataError(
                "labels are not digits",
                file=label_file,
                key="labels",
                got=int(labels.max()) if len(labels) else "none",
                allowed="0 to 9, at least one",
            )
        if not pixels.size:
            raise DataError("images without pixels", file=image_file, key="header", got=str(pixels.shape[1:]))
        parts += [pixels.reshape(len(pixels), -1) / 255.0, labels.astype(np.int64)]
        shapes.append(pixels.shape[1:])
    X, y, held, held_y = parts
    shape, other = shapes
    if shape != other:
        raise DataError(
            "images of another size than those to train on",
            file=files[2],
            key="header",
            got=f"{other[0]} x {other[1]}",
            allowed=f"{shape[0]} x {shape[1]}",
        )
    return Images(X, y, held, held_y, f"{shape[0]} x {shape[1]}")


def read_idx(file: str | os.PathLike[str], dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, plain or compressed by gzip (told by its content, not its name).

    Parameters
    ----------
    file : path
    dimensions : int, >= 1
        How many the file must have: 3 for images, 1 for labels.

    Returns
    -------
    array of uint8

    Raises
    ------
    DataError
        If it cannot be read, is of another type or shape, or is cut short or too long.
    """
    path = Path(file)
    head = 4 + 4 * dimensions
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rb") as stream:
            start = stream.read(head)
            # the header says how long the file is; whatever it holds beyond is not read
            shape = tuple(int.from_bytes(start[k : k + 4], "big") for k in range(4, len(start) - 3, 4))
            size = math.prod(shape)
            # by pieces: a header that lies must not make room for what it promises
            wanted, pieces = min(size, _LARGEST_FILE) + 1, []
            while wanted and (piece := stream.read(min(wanted, _PIECE))):
                pieces.append(piece)
                wanted -= len(piece)
            body = b"".join(pieces)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("cannot be read", file=path, key="(whole file)", got=str(error)) from error
    magic = bytes([0, 0, 0x08, dimensions])
    if len(start) < head or start[:4] != magic:
        raise DataError(
            "not an IDX file of bytes with the right number of dimensions",
            file=path,
            key="magic number",
            got=start[:4].hex(" ") or "an empty file",
            allowed=f"{magic.hex(' ')}, {dimensions} dimension{'s' if dimensions > 1 else ''}",
        )
    if size > _LARGEST_FILE or len(body) != size:
        found = f"more than {size}" if len(body) > size else len(body)
        raise DataError(
            "the data are not as long as the header says",
            file=path,
            key="data",
            got=f"{found} bytes for {' x '.join(map(str, shape))}",
            action="Fetch the file again",
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


# -- the synapse --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpdateCurve:
    """What spikes make of a synapse: its conductance along potentiation, and along the depression after it.

    Parameters
    ----------
    potentiation_S : array, shape (p + 1,), S, > 0, rising
        At rest, and after each potentiating spike.
    depression_S : array, shape (d + 1,), S, > 0, falling
        After the last potentiating spike, and after each depressing one.
    spike_V : tuple of float, V, optional
        Of a potentiating and a depressing spike; for the energy.
    width_s : float, s, optional
        Of a spike; for the energy.
    origin : str
        What the curve was taken from.
    read_V : float, V, optional
        At which the synapse is read; for the energy.

    Raises
    ------
    InputError
        If a branch does not rise or fall at every spike, or the two do not meet.

    Notes
    -----
    A device stands on a branch where its present conductance does, and a spike moves it on by one. The conductance is
    its whole memory: the hidden state of a film (ions near the contact and ions that are held) is not followed.
    :meth:`error` says what that costs against the film itself. Between spikes nothing is forgotten.

    Examples
    --------
    >>> line = UpdateCurve.linear(20)
    >>> line.states, [round(float(line.after(1.0, k)), 2) for k in (1, -1)]
    (20, [1.05, 1.0])
    """

    potentiation_S: Array
    depression_S: Array
    spike_V: tuple[float, float] | None = None
    width_s: float | None = None
    read_V: float | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        for name, sign, word in (("potentiation_S", 1.0, "rise"), ("depression_S", -1.0, "fall")):
            branch = np.ascontiguousarray(getattr(self, name), dtype=float)
            if branch.ndim != 1 or branch.size < 2 or not (np.isfinite(branch).all() and (branch > 0).all()):
                raise InputError(
                    f"{name} must hold two positive conductances or more", got=f"shape {branch.shape}", allowed="> 0 S"
                )
            steps = sign * np.diff(branch)
            if (steps <= 0).any():
                raise InputError(
                    f"{name} must {word} at every spike",
                    got=f"{branch[np.argmin(steps)]:g} then {branch[np.argmin(steps) + 1]:g} S",
                    action="Smooth a measured curve, or end it at the last spike that still acts",
                )
            branch.setflags(write=False)
            object.__setattr__(self, name, branch)
        top, first = self.potentiation_S[-1], self.depression_S[0]
        if not math.isclose(top, first, rel_tol=1e-9):
            raise InputError("Depression must begin where potentiation ends", got=f"{first:g} S", allowed=f"{top:g} S")

    @classmethod
    def from_trace(cls, trace: xr.Dataset, count: int | None = None, *, origin: str = "") -> UpdateCurve:
        """The curve of a run of potentiating and then depressing spikes, each read once.

        Parameters
        ----------
        trace : Dataset
            One run whose waveform marks its reads, for instance of ``physics.synapse.update``.
        count : int, >= 1, optional
            Potentiating spikes; half of all, if not given.
        origin : str

        Notes
        -----
        The first weight is that of the last instant before the first spike.
        """
        wave, found = traces.waveform_of(trace), plasticity.responses(trace)
        up = found.size // 2 if count is None else count
        if not 1 <= up < found.size:
            raise InputError("count is out of range", got=up, allowed=f"1 to {found.size - 1}")
        volts, widths = _spikes(wave)
        if widths.max() > 1.01 * widths.min():
            raise InputError("Spikes of one width make a curve", got=f"{widths.min():g} to {widths.max():g} s")
        if len(set(volts[:up])) > 1 or len(set(volts[up:])) > 1 or volts[0] * volts[-1] >= 0:
            raise InputError(
                "A curve is of equal spikes of one sign, then equal ones of the other", got=f"{volts[0]:g} V first"
            )
        first = int(np.flatnonzero(np.diff(wave.voltage_V) != 0)[0])
        rest = float(np.interp(wave.time_s[first], trace["time"].values, trace["conductance"].values))
        ends = (float(volts[0]), float(volts[-1]))
        return cls(
            np.append(rest, found[:up]), found[up - 1 :], ends, float(widths[0]), float(wave.voltage_V[0]), origin
        )

    @classmethod
    def linear(cls, states: int, low_S: float = 1.0, high_S: float = 2.0) -> UpdateCurve:
        """Even steps up and down: the ideal synapse, to compare with.

        Parameters
        ----------
        states : int, >= 1
            Spikes from one end to the other.
        low_S, high_S : float, S
        """
        if isinstance(states, bool) or states % 1 != 0 or states < 1:
            raise InputError("states must be a whole number", got=states, allowed=">= 1")
        line = np.linspace(low_S, high_S, int(states) + 1)
        return cls(line, line[::-1].copy(), origin=f"{states} even steps")

    @property
    def states(self) -> int:
        """Potentiating spikes from one end to the other."""
        return self.potentiation_S.size - 1

    @property
    def bounds_S(self) -> tuple[float, float]:
        """Smallest and largest conductance, S."""
        return float(min(self.potentiation_S[0], self.depression_S[-1])), float(self.potentiation_S[-1])

    def after(self, conductance_S: float, spikes: int) -> float:
        """Conductance after so many potentiating spikes (depressing ones, if negative), S.

        Parameters
        ----------
        conductance_S : float, S, > 0
            Before them. Short of the first value of a branch it counts as that; at or beyond the last no spike moves
            it.
        spikes : int
            Their number; the sign is their kind.
        """
        branch, sign = (self.potentiation_S, 1.0) if spikes > 0 else (self.depression_S, -1.0)
        return float(_digits.pulsed(float(conductance_S), branch, abs(int(spikes)), sign))

    def error(self, trace: xr.Dataset) -> float:
        """How well the curve tells what spikes of any order make of the synapse.

        Parameters
        ----------
        trace : Dataset
            One run of spikes of both signs from rest, each read once.

        Returns
        -------
        float, 1
            Root mean square of the distance from the trace, over the range of the curve.
        """
        wave, found = traces.waveform_of(trace), plasticity.responses(trace)
        if self.spike_V is None:
            raise InputError("The curve does not say which spikes it is of", action="Take it by from_trace")
        volts, _ = _spikes(wave)
        told, place = [], float(self.potentiation_S[0])
        for volt in volts:
            place = self.after(place, 1 if volt * self.spike_V[0] > 0 else -1)
            told.append(place)
        low, high = self.bounds_S
        return float(np.sqrt(np.mean((np.array(told) - found) ** 2)) / (high - low))


def _spikes(wave: Waveform) -> tuple[Array, Array]:
    """Voltage (V) and width (s, rise included) of each spike of a waveform that is read once after each."""
    volts = wave.voltage_V
    starts = np.flatnonzero((volts[1:-1] != volts[0]) & (volts[1:-1] == volts[2:])) + 1
    if not wave.reads_s.size or starts.size != wave.reads_s.size:
        raise InputError(
            "The trace is not one of spikes, each read once",
            got=f"{starts.size} spikes, {wave.reads_s.size} reads",
            action="Play physics.synapse.update or spikes",
        )
    return volts[starts], wave.time_s[starts + 1] - wave.time_s[starts - 1]


# -- the perceptron -----------------------------------------------------------------------------------------------


class SynapticPerceptron(_Readout):
    r"""One layer of sigmoid neurons on pairs of synapses, trained by the delta rule in whole spikes.

    .. math:: W_{ji} = w\,\frac{G^+_{ji} - G^-_{ji}}{G_\mathrm{max} - G_\mathrm{min}}, \quad
              \Delta W_{ji} = \eta\,(t_j - o_j)\,o_j (1 - o_j)\,x_i

    The wanted change becomes a number of spikes as if every spike made an even step, and moves the devices along
    the potentiation or the depression curve by that number: nonlinear, asymmetric, unverified.

    Parameters
    ----------
    curve : UpdateCurve
    epochs : int, >= 1
        Not published. By 20 the floating-point perceptron gains less than 0.1 % an epoch on its training patterns.
    learning_rate : float, > 0
        :math:`\eta`. Not published. Default: of 0.03, 0.1, 0.3 and 1, the smallest with the best accuracy of the
        *floating-point* perceptron on its *training* patterns; no synapse was asked.
    pair : {"both", "reference", "grow"}
        Not published. "both": a weight rises by potentiating G+ and depressing G-, and falls the other way, so both
        branches that the paper shows are used. "reference": G- stays where it began and weights are doubled. "grow":
        only potentiation, of G+ or of G-; a pair whose device is at its end is depressed and its difference is written
        anew.
    rounding : {"stochastic", "nearest", "single"}
        Not published. "stochastic": up or down so that the expected number is the wanted one; with any other rounding
        a small gradient never moves a device of few states. "nearest"; "single": one spike where half or more is
        wanted.
    batch : int, >= 1
        Patterns whose changes are added before spikes are sent. Not published; 1 is the delta rule itself.
    weight_limit : float, > 0
        Weight of a pair at its ends, w. Not published; ±1 is what network simulators of synapses map to conductance
        [2]_.
    initial : {"middle", "rest", "random"}
        Devices begin after the whole number of potentiating spikes from rest that brings them nearest to the middle of
        the range (so that a weight can move both ways; all weights 0, as the floating-point ones), at rest, or after a
        random number. These spikes are not counted.
    spread : float, 1, >= 0
        Standard deviation of the step of a spike, as a share of the range. 0: the model of the film draws nothing at
        random, and the paper prints no spread.
    scaling : {"global", "minmax", "standard", "none"}
        As in :class:`~halidrift.pipeline.DeltaRuleReadout`; "global": all pixels together to 0..1, so a pixel keeps
        its grey.
    rng : int, Generator or None
        Order of the patterns, rounding, steps and beginnings.

    Attributes
    ----------
    conductances_S_ : array, shape (2, classes, pixels + 1), S
        G+ and G-; the last column is the bias.
    writes_ : array of int, shape (2, classes, pixels + 1)
        Spikes that each device got.
    writes_per_device_ : dict
        mean, max and total of `writes_`.
    energy_J_ : float or None, J
        E = P I t of every spike, with the current after it; None if the curve has no voltages.
    history_ : dict
        loss, train_accuracy, test_accuracy (with `eval_set`) and writes_mean by epoch.
    classes_, weights_, coef_, intercept_, offset_, gain_
        As in :class:`~halidrift.pipeline.DeltaRuleReadout`, which is the same rule in floating point (with
        ``schedule="constant"``): the ceiling.

    Notes
    -----
    Nothing is forgotten between spikes, although the films of the paper lose most of a weight within seconds, and 20
    epochs of 1347 images take 18 minutes at one spike of 40 ms for each: an upper bound of what such films could do.

    References
    ----------
    .. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), p. 6.
    .. [2] P.-Y. Chen, X. Peng and S. Yu, IEEE Trans. CAD 37, 3067 (2018).

    Examples
    --------
    >>> images = small(0)
    >>> network = SynapticPerceptron(UpdateCurve.linear(100), epochs=5, rng=0).fit(images.train, images.train_labels)
    >>> bool(network.score(images.test, images.test_labels) > 0.85)
    True
    """

    def __init__(
        self,
        curve: UpdateCurve,
        epochs: int = 20,
        learning_rate: float = 0.3,
        *,
        pair: str = "both",
        rounding: str = "stochastic",
        batch: int = 1,
        weight_limit: float = 1.0,
        initial: str = "middle",
        spread: float = 0.0,
        scaling: str = "global",
        rng: Rng = None,
    ):
        self.curve = curve
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.pair = pair
        self.rounding = rounding
        self.batch = batch
        self.weight_limit = weight_limit
        self.initial = initial
        self.spread = spread
        self.scaling = scaling
        self.rng = rng

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys."""
        return ("Kim2019",)

    @property
    def weights_(self) -> Array:
        self._fitted()
        plus, minus = self.conductances_S_
        return np.asarray(self._scale * (plus - minus), dtype=float)

    @property
    def writes_per_device_(self) -> dict[str, float]:
        """Mean, largest and total number of spikes of the devices."""
        self._fitted()
        return {
            "mean": float(self.writes_.mean()),
            "max": float(self.writes_.max()),
            "total": float(self.writes_.sum()),
        }

    @property
    def energy_J_(self) -> float | None:
        """Sum of E = P I t over all spikes, J."""
        self._fitted()
        c = self.curve
        if c.spike_V is None or c.width_s is None or c.read_V is None:
            return None
        pulses = zip(c.spike_V, self._sums, strict=True)
        return float(sum(plasticity.event_energy(v, total * abs(c.read_V), c.width_s) for v, total in pulses))

    def _begin(self, rng: np.random.Generator) -> None:
        low, high = self.curve.bounds_S
        up = self.curve.potentiation_S
        shape = (2, self.classes_.size, self.n_features_in_ + 1)
        if self.initial == "random":
            places = rng.integers(up.size, size=shape)
        else:
            places = np.full(shape, 0 if self.initial == "rest" else int(np.argmin(np.abs(up - 0.5 * (low + high)))))
        self.conductances_S_ = up[places]
        if self.pair == "reference":
            self.conductances_S_[1] = up[int(np.argmin(np.abs(up - 0.5 * (low + high))))]
        self.writes_, self._sums = np.zeros(shape, dtype=np.int64), np.zeros(2)
        self._scale = (2.0 if self.pair == "reference" else 1.0) * self.weight_limit / (high - low)
        # an even step of one device moves the weight by limit / states; two devices move, or one counts twice
        self._gain = self.curve.states / self.weight_limit / (1.0 if self.pair == "grow" else 2.0)
        self.history_["writes_mean"] = []

    def _epoch(
        self, inputs: Array, labels: NDArray[np.int64], order: NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        loss = _digits.train_epoch(
            inputs,
            labels,
            order,
            int(self.batch),
            self.conductances_S_,
            self.writes_,
            self._sums,
            self.curve.potentiation_S,
            self.curve.depression_S,
            float(self._scale),
            float(self._gain),
            float(self.learning_rate),
            _PAIRS[self.pair],
            _ROUNDINGS[self.rounding],
            float(self.spread),
            rng,
        )
        self.history_["writes_mean"].append(float(self.writes_.mean()))
        return float(loss)

    def _check(self) -> None:
        super()._check()
        if not isinstance(self.curve, UpdateCurve):
            raise InputError(
                "A synaptic perceptron needs an update curve",
                got=type(self.curve).__name__,
                allowed="UpdateCurve",
                action="Make one with UpdateCurve.from_trace(trace)",
            )
        for name, words in (("pair", tuple(_PAIRS)), ("rounding", tuple(_ROUNDINGS)), ("initial", _INITIAL)):
            if getattr(self, name) not in words:
                raise InputError(f"Unknown {name}", got=getattr(self, name), allowed=", ".join(words))
        if isinstance(self.batch, bool) or self.batch % 1 != 0 or self.batch < 1:
            raise InputError("batch must be a whole number", got=self.batch, allowed=">= 1")
        if not (np.isfinite(self.weight_limit) and self.weight_limit > 0):
            raise InputError("weight_limit must be positive", got=self.weight_limit, allowed="> 0")
        if not 0 <= self.spread < np.inf:
            raise InputError("spread must not be negative", got=self.spread, allowed=">= 0, a share of the range")
