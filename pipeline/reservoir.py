"""Reservoirs of one volatile device whose readings are virtual nodes.

`Reservoir` plays a spike train and reads at equal intervals, as John et al. do. `MaskedReservoir` plays a series of
numbers, each spread over the nodes by a mask, as delay systems do.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from ..physics.errors import InputError, ValidityError
from ..physics.randomness import Rng, generator, spawn
from ..physics.waveform import Waveform

__all__ = ["MaskedReservoir", "Reservoir", "responses"]

_EDGE_S = 1e-6  # rise time of a read pulse: the one that `Waveform` gives to ideal steps


class Reservoir(TransformerMixin, BaseEstimator):
    """Virtual-node reservoir: the conductance of a device at `nodes` equally spaced instants of a spike train.

    Nothing is learned: ``fit`` only checks the arguments. Every train starts from a fresh device.

    Parameters
    ----------
    cell : simulation, or sequence of simulations
        The device, anything with ``simulate(waveform, *, rng)``; if it also has
        ``respond(waveforms, times_s, *, rng)``, all trains go to it in one call. A sequence holds one simulation
        for each device, picked by the `devices` argument of :meth:`transform`.
    nodes : int, >= 1
        Published: 30.
    interval_s : float, s, > 0
        Distance of the nodes. Published: 35 ms.
    first_s : float, s, >= 0, optional
        Instant of the first node. Not in the paper; by default one interval after the start, so that the last
        of 30 nodes falls on the end of the 1050 ms pattern.
    read : {"state", "pulse"}
        "state" (default): the small-signal conductance, with no disturbance of the device. "pulse": before each node
        a read pulse replaces the stimulus and the conductance at its end is taken, as in the experiment; it costs
        a spike that coincides, and the device feels the read voltage.
    read_V, read_width_s : float, V and s
        The read pulse of ``read="pulse"``. Published: -0.5 V, 5 ms (Fig. 4b; the endurance tests use +0.1 V).
    read_noise : float, >= 0
        Standard deviation of a reading as a fraction of the conductance, on top of what the cell draws itself.
    read_noise_S : float, S, >= 0
        Standard deviation of a reading that does not depend on the conductance.
    log_conductance : bool
        Return log10(G / S) instead of G.
    rng : int, Generator or None
        Used where ``transform`` gets none, for instance inside a ``Pipeline``. A seed goes together with the trains:
        the same trains are read alike each time, but the noise of a test set is not that of the training set.

    Raises
    ------
    InputError
        On ``fit`` or ``transform``, for an argument outside its range.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Fig. 4 and "Diffusive perovskite memristors as
       reservoir elements".

    Examples
    --------
    >>> [round(float(t), 3) for t in Reservoir(cell=None, nodes=3).node_times_s]
    [0.035, 0.07, 0.105]
    """

    def __init__(
        self,
        cell: Any,
        nodes: int = 30,
        interval_s: float = 35e-3,
        *,
        first_s: float | None = None,
        read: str = "state",
        read_V: float = -0.5,
        read_width_s: float = 5e-3,
        read_noise: float = 0.0,
        read_noise_S: float = 0.0,
        log_conductance: bool = False,
        rng: Rng = None,
    ):
        self.cell = cell
        self.nodes = nodes
        self.interval_s = interval_s
        self.first_s = first_s
        self.read = read
        self.read_V = read_V
        self.read_width_s = read_width_s
        self.read_noise = read_noise
        self.read_noise_S = read_noise_S
        self.log_conductance = log_conductance
        self.rng = rng

    @property
    def node_times_s(self) -> NDArray[np.float64]:
        """Instants of the nodes from the start of a train, shape (nodes,), s."""
        first = self.interval_s if self.first_s is None else self.first_s
        return first + self.interval_s * np.arange(self.nodes, dtype=np.float64)

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys: the reservoir and its device."""
        cells = self._cells if self._many else [self.cell]
        return tuple(sorted({"John2022", *(key for cell in cells for key in getattr(cell, "sources", ()))}))

    def fit(self, trains: Sequence[Waveform] | None = None, labels: Any = None) -> Reservoir:
        """Check the arguments; nothing is learned.

        Parameters
        ----------
        trains : sequence of Waveform, optional
            Not looked at; scikit-learn passes it.
        labels : object, optional
            Likewise.
        """
        self._check()
        return self

    def transform(
        self, trains: Sequence[Waveform], rng: Rng = None, devices: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Play every train to the device and read the nodes.

        Parameters
        ----------
        trains : sequence of Waveform
            All must begin at the same time and last at least until the last node.
        rng : int, Generator or None
            Decides what the device and the reading draw. With None (and none in the constructor) the cell gets
            None: a compact model then answers with its mean, KMC draws fresh entropy.
        devices : array of int, shape (patterns,), optional
            Which device sees which train: an index into `cell` if that is a sequence, else handed to
            ``cell.respond(..., devices=...)``.

        Returns
        -------
        array, shape (patterns, nodes), S or log10(S)

        Raises
        ------
        InputError
            If a train is too short for the nodes, is not a waveform, or the cell cannot tell devices apart.
        ValidityError
            If a logarithm is asked of a reading that noise made negative.
        """
        self._check()
        stimuli = self._stimuli(trains)
        stream = self._own_stream(stimuli) if rng is None else rng
        for_cell, for_read = (None, generator(None)) if stream is None else spawn(stream, 2)
        states = self._play(stimuli, self._instants(stimuli), for_cell, devices)
        if self.read_noise:
            states = states * (1.0 + self.read_noise * for_read.standard_normal(states.shape))
        if self.read_noise_S:
            states = states + self.read_noise_S * for_read.standard_normal(states.shape)
        if not self.log_conductance:
            return states
        if (states <= 0).any():
            raise ValidityError(
                "A reading is not positive and has no logarithm",
                got=f"{states.min():g} S",
                action="Lower read_noise or read_noise_S, or take log_conductance=False",
            )
        return np.log10(states)

    def series(
        self, trains: Sequence[Waveform], rng: Rng = None, devices: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """The states as sequences, in the layout of ReservoirPy: (series, timesteps, units).

        One train is one series whose timesteps are the nodes and whose only unit is the device. A row of it, shape
        (timesteps, 1), is what ``reservoirpy.nodes.Ridge`` takes. The joint state of :meth:`transform`, in which every
        node is a feature of one step, is ``series(...).transpose(0, 2, 1)``.

        Parameters
        ----------
        trains : sequence of Waveform
        rng : int, Generator or None
            Decides what the device and the reading draw, as for :meth:`transform`.
        devices : array of int, shape (patterns,), optional
            Which device sees which train.

        Returns
        -------
        array, shape (patterns, nodes, 1), S or log10(S)
        """
        return self.transform(trains, rng, devices)[:, :, None]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the nodes, by their instants.

        Parameters
        ----------
        input_features : object, optional
            Not looked at; scikit-learn passes it.

        Returns
        -------
        array of str, shape (nodes,)
            ``node_35.000ms`` and so on.
        """
        return np.array([f"node_{1e3 * t:.3f}ms" for t in self.node_times_s], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags

    def _own_stream(self, stimuli: list[Waveform]) -> Rng:
        if isinstance(self.rng, bool) or not isinstance(self.rng, int | np.integer):
            return self.rng
        generator(self.rng)  # raises for a negative seed
        # by the seed alone, pattern i of a test set would get the noise of pattern i of the training set
        content = hashlib.sha256()
        for train in stimuli:
            content.update(train.time_s.tobytes() + train.voltage_V.tobytes())
        return np.random.SeedSequence([int(self.rng), int.from_bytes(content.digest()[:8], "little")])

    # -- playing --------------------------------------------------------------------------------------------

    @property
    def _many(self) -> bool:
        return isinstance(self.cell, Sequence | np.ndarray)

    @property
    def _cells(self) -> Sequence[Any]:
        return self.cell

    def _play(
        self, stimuli: list[Waveform], times: NDArray[np.float64], rng: np.random.Generator | None, devices: Any
    ) -> NDArray[np.float64]:
        if devices is None:
            if self._many:
                raise InputError("Several cells need `devices`: which of them sees which train", got="None")
            return responses(self.cell, stimuli, times, rng)
        index = np.asarray(devices)
        if index.shape != (len(stimuli),) or not np.issubdtype(index.dtype, np.integer):
            raise InputError(
                "devices must hold one device index for each train",
                got=f"shape {index.shape} of {index.dtype}",
                allowed=f"integers, shape ({len(stimuli)},)",
            )
        if not self._many:
            respond = getattr(self.cell, "respond", None)
            if respond is None or "devices" not in inspect.signature(respond).parameters:
                raise InputError(
                    "This cell does not tell devices apart",
                    got=type(self.cell).__name__,
                    action="Leave `devices` out, or give the reservoir a sequence with one cell for each device",
                )
            return _checked(respond(stimuli, times, rng=rng, devices=index), stimuli, times, self.cell)
        if index.min() < 0 or index.max() >= len(self._cells):
            raise InputError(
                "devices points outside the cells",
                got=f"{index.min()} to {index.max()}",
                allowed=f"0 to {len(self._cells) - 1}",
            )
        streams = [None] * len(self._cells) if rng is None else rng.spawn(len(self._cells))
        states = np.empty((len(stimuli), times.size))
        for device in np.unique(index):
            rows = np.flatnonzero(index == device)
            states[rows] = responses(self._cells[device], [stimuli[i] for i in rows], times, streams[device])
        return states

    def _stimuli(self, trains: Sequence[Waveform]) -> list[Waveform]:
        stimuli = list(trains)
        if not stimuli:
            raise InputError("There are no trains to play")
        last = self.node_times_s[-1]
        for i, train in enumerate(stimuli):
            if not isinstance(train, Waveform):
                raise InputError(f"trains[{i}] is not a Waveform", got=type(train).__name__)
            if train.time_s[0] != stimuli[0].time_s[0]:
                raise InputError(f"trains[{i}] begins at another time than the first", got=f"{train.time_s[0]} s")
            if last > train.duration_s * (1 + 1e-9):
                raise InputError(
                    f"trains[{i}] ends before the last node",
                    got=f"{self.nodes} nodes, the last at {last:g} s, in {train.duration_s:g} s",
                    action="Take fewer nodes, a shorter interval_s or longer trains",
                )
        if self.read == "state":
            return stimuli
        times = self._instants(stimuli)
        return [_with_reads(train, times, self.read_V, self.read_width_s) for train in stimuli]

    def _instants(self, stimuli: list[Waveform]) -> NDArray[np.float64]:
        """Node times on the clock of the trains; 30 x 35 ms may exceed 1.05 s by one rounding, so cut there."""
        return np.minimum(stimuli[0].time_s[0] + self.node_times_s, min(train.time_s[-1] for train in stimuli))

    def _check(self) -> None:
        if isinstance(self.nodes, bool) or self.nodes % 1 != 0 or self.nodes < 1:
            raise InputError("nodes must be a whole number", got=self.nodes, allowed=">= 1")
        if not (np.isfinite(self.interval_s) and self.interval_s > 0):
            raise InputError("interval_s must be positive", got=f"{self.interval_s} s")
        if self.first_s is not None and not 0 <= self.first_s < np.inf:
            raise InputError("first_s must not be negative", got=f"{self.first_s} s", allowed=">= 0 s")
        for name in ("read_noise", "read_noise_S"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} must not be negative", got=getattr(self, name), allowed=">= 0")
        if self.read not in ("state", "pulse"):
            raise InputError("Unknown way to read", got=self.read, allowed="state, pulse")
        if self.read == "pulse":
            room = min(self.interval_s, float(self.node_times_s[0]))
            if not 0 < self.read_width_s < room - 2 * _EDGE_S:
                raise InputError(
                    "The read pulse does not fit before a node",
                    got=f"read_width_s = {self.read_width_s} s",
                    allowed=f"0 < read_width_s < {room:g} s",
                )


class MaskedReservoir(TransformerMixin, BaseEstimator):
    r"""Time-multiplexed reservoir: each input sample is held for one period and modulated by a mask, node by node.

    .. math:: V(t) = V_\mathrm{low} + (V_\mathrm{high} - V_\mathrm{low})\, m_j\, u_k
              \quad \text{during node } j \text{ of sample } k

    The device is read at the end of each node. Its own relaxation couples neighbouring nodes and samples; there is no
    delay line that feeds readings back, so memory beyond the relaxation time is not to be had.

    Parameters
    ----------
    cell : simulation
        Anything with ``respond(waveforms, times_s, *, rng)`` or ``simulate(waveform, *, rng)``.
    nodes : int, >= 1
        Virtual nodes in a period.
    node_s : float, s, > 2e-6
        Length of a node; about a fifth of the relaxation time couples neighbours best [1]_.
    mask : array, shape (nodes,), in [0, 1], optional
        By default binary, drawn with `mask_seed`, at least one of each value if there is room.
    mask_seed : int, >= 0
    low_V, high_V : float, V
        Voltages of mask times input 0 and 1.
    compliance_A : float, A, > 0
    log_conductance : bool
        Return log10(G / S) instead of G.
    rng : int, Generator or None
        Used where ``transform`` gets none; see :class:`Reservoir`.

    Raises
    ------
    InputError
        On ``fit`` or ``transform``, for an argument outside its range.

    References
    ----------
    .. [1] L. Appeltant et al., Nat. Commun. 2, 468 (2011): masks and virtual nodes, with delayed feedback.

    Examples
    --------
    >>> MaskedReservoir(cell=None, nodes=4, mask=[1, 0, 1, 1]).period_s
    0.02
    """

    def __init__(
        self,
        cell: Any,
        nodes: int = 10,
        node_s: float = 5e-3,
        *,
        mask: ArrayLike | None = None,
        mask_seed: int = 0,
        low_V: float = 0.0,
        high_V: float = 1.0,
        compliance_A: float = 1e-6,
        log_conductance: bool = False,
        rng: Rng = None,
    ):
        self.cell = cell
        self.nodes = nodes
        self.node_s = node_s
        self.mask = mask
        self.mask_seed = mask_seed
        self.low_V = low_V
        self.high_V = high_V
        self.compliance_A = compliance_A
        self.log_conductance = log_conductance
        self.rng = rng

    @property
    def period_s(self) -> float:
        """Time that one input sample takes, s."""
        return self.nodes * self.node_s

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys of the device."""
        return tuple(getattr(self.cell, "sources", ()))

    @property
    def mask_values(self) -> NDArray[np.float64]:
        """The mask in use, shape (nodes,)."""
        if self.mask is not None:
            values = np.asarray(self.mask, dtype=float)
            if values.shape != (self.nodes,) or not ((values >= 0) & (values <= 1)).all():
                raise InputError(
                    "mask must hold one number for each node", got=str(self.mask), allowed=f"{self.nodes} in 0..1"
                )
            return values
        draw = generator(self.mask_seed)
        values = draw.integers(0, 2, self.nodes).astype(float)
        if np.ptp(values) == 0 and self.nodes > 1:
            values[draw.integers(self.nodes)] = 1.0 - values[0]
        if self.nodes == 1:
            values[0] = 1.0
        return values

    def fit(self, series: Any = None, targets: Any = None) -> MaskedReservoir:
        """Check the arguments; nothing is learned.

        Parameters
        ----------
        series : array, optional
            Not looked at; scikit-learn passes it.
        targets : object, optional
            Likewise.
        """
        self._check()
        return self

    def transform(self, series: ArrayLike | Sequence[ArrayLike], rng: Rng = None) -> NDArray[np.float64]:
        """Play every series, each from a fresh device, and read the nodes.

        Parameters
        ----------
        series : array, shape (series, timesteps), in [0, 1]
            Inputs. One series alone, shape (timesteps,), is taken as a set of one.
        rng : int, Generator or None

        Returns
        -------
        array, shape (series, timesteps, nodes), S or log10(S)
            The layout of ReservoirPy: (series, timesteps, units).
        """
        self._check()
        inputs = np.atleast_2d(np.asarray(series, dtype=float))
        if inputs.ndim != 2 or not inputs.size or not ((inputs >= 0) & (inputs <= 1)).all():
            raise InputError(
                "series must be numbers in 0..1, series by timesteps",
                got=f"shape {inputs.shape}",
                action="Scale the inputs first, for instance with MinMaxScaler",
            )
        drive = (inputs[:, :, None] * self.mask_values).reshape(len(inputs), -1)
        voltage = self.low_V + (self.high_V - self.low_V) * drive
        ends = self.node_s * np.arange(1, drive.shape[1] + 1)
        waves = [_staircase(row, ends, self.compliance_A) for row in voltage]
        reader = Reservoir(
            self.cell,
            nodes=ends.size,
            interval_s=self.node_s,
            log_conductance=self.log_conductance,
            rng=self.rng,
        )
        return reader.transform(waves, rng).reshape(*inputs.shape, self.nodes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def _check(self) -> None:
        if isinstance(self.nodes, bool) or self.nodes % 1 != 0 or self.nodes < 1:
            raise InputError("nodes must be a whole number", got=self.nodes, allowed=">= 1")
        if not (np.isfinite(self.node_s) and self.node_s > 2 * _EDGE_S):
            raise InputError("node_s is too short", got=f"{self.node_s} s", allowed=f"> {2 * _EDGE_S:g} s")
        if not (np.isfinite([self.low_V, self.high_V]).all() and self.low_V != self.high_V):
            raise InputError("low_V and high_V must be two voltages", got=f"{self.low_V} and {self.high_V} V")


def responses(
    cell: Any, stimuli: Sequence[Waveform], times_s: NDArray[np.float64], rng: np.random.Generator | None = None
) -> NDArray[np.float64]:
    """Conductance of a fresh device under each stimulus at common instants, shape (stimuli, instants), S.

    Parameters
    ----------
    cell : simulation
        Anything with ``respond(waveforms, times_s, *, rng)``, which gets all stimuli in one call, or with
        ``simulate(waveform, *, rng)``.
    stimuli : sequence of Waveform
    times_s : array, shape (instants,), s, ascending
    rng : Generator or None

    Raises
    ------
    InputError
        If the cell is no simulation or does not answer with finite conductances.
    """
    if hasattr(cell, "respond"):
        return _checked(cell.respond(stimuli, times_s, rng=rng), stimuli, times_s, cell)
    if not hasattr(cell, "simulate"):
        raise InputError(
            "A reservoir needs a device to play to",
            got=type(cell).__name__,
            allowed="anything with simulate(waveform, *, rng)",
        )
    # a stream for each train: a pattern's state does not depend on how many events the one before it took
    streams = [None] * len(stimuli) if rng is None else rng.spawn(len(stimuli))
    states = np.empty((len(stimuli), times_s.size))
    for i, (stimulus, stream) in enumerate(zip(stimuli, streams, strict=True)):
        trace = cell.simulate(stimulus.with_samples(times_s), rng=stream)
        states[i] = np.interp(times_s, trace["time"].values, trace["conductance"].values)
    return _checked(states, stimuli, times_s, cell)


def _checked(states: Any, stimuli: Sequence[Waveform], times: NDArray[np.float64], cell: Any) -> NDArray[np.float64]:
    array = np.asarray(states, dtype=float)
    if array.shape != (len(stimuli), times.size) or not np.isfinite(array).all():
        raise InputError(
            f"{type(cell).__name__} did not answer with one finite conductance for each train and node",
            got=f"shape {array.shape}",
            allowed=f"shape ({len(stimuli)}, {times.size})",
        )
    return array


def _staircase(voltage_V: NDArray[Any], ends_s: NDArray[Any], compliance_A: float) -> Waveform:
    """Levels, each held until its end and reached in the rise time of a step."""
    starts = np.concatenate([[0.0], ends_s[:-1]])
    time = np.stack([starts + _EDGE_S, ends_s], axis=1).ravel()
    levels = np.repeat(voltage_V, 2)
    return Waveform(np.append(0.0, time), np.append(0.0, levels), np.array(compliance_A))


def _with_reads(train: Waveform, instants: NDArray[np.float64], read_V: float, width_s: float) -> Waveform:
    """The train with its voltage replaced by `read_V` during `width_s` before each instant."""
    begin, end = instants - width_s, instants + _EDGE_S
    inside = (train.time_s[:, None] >= begin - _EDGE_S) & (train.time_s[:, None] <= end)
    kept = ~inside.any(axis=1)
    after = end < train.time_s[-1]  # the last read may end with the train
    corners = [
        (train.time_s[kept], train.voltage_V[kept]),
        (begin - _EDGE_S, train.voltage_at(begin - _EDGE_S)),
        (begin, np.full(begin.size, read_V)),
        (instants, np.full(instants.size, read_V)),
        (end[after], train.voltage_at(end[after])),
    ]
    time = np.concatenate([t for t, _ in corners])
    voltage = np.concatenate([v for _, v in corners])
    order = np.argsort(time, kind="stable")
    time, voltage = time[order], voltage[order]
    if time[-1] < train.time_s[-1]:  # the end lay inside the edge of the last read
        time, voltage = np.append(time, train.time_s[-1]), np.append(voltage, read_V)
    limit = train.compliance_at(0.5 * (time[1:] + time[:-1]))
    reads = np.union1d(train.reads_s, instants)
    return Waveform(time, voltage, limit, train.samples_s, reads)
