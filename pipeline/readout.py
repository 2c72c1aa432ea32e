"""Readouts of a reservoir: the delta rule in floating point, and compliance-programmed differential pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin

from ..physics.errors import InputError, ValidityError
from ..physics.randomness import Rng, generator
from . import _readout

__all__ = ["DeltaRuleReadout", "IccReadout", "confusion_interval"]

_SCALINGS = ("minmax", "standard", "global", "none")
_SCHEDULES = {"constant": _readout.CONSTANT, "halving": _readout.CONSTANT, "adam": _readout.ADAM}
_UPDATES = {
    "symmetric": _readout.SYMMETRIC,
    "grow_only": _readout.GROW_ONLY,
    "grow_refresh": _readout.GROW_REFRESH,
}
_WEARS = {"none": _readout.STICK, "stick": _readout.STICK, "window": _readout.WINDOW}
_ERRORS = {"residual": _readout.RESIDUAL, "gradient": _readout.GRADIENT, "argmax": _readout.ARGMAX}


class _Readout(ClassifierMixin, BaseEstimator, ABC):
    """What both readouts share: inputs and bias, one sigmoid neuron a class, argmax, one pattern at a time."""

    epochs: int
    learning_rate: float
    scaling: str
    rng: Rng

    def fit(self, states: ArrayLike, labels: ArrayLike, eval_set: tuple[ArrayLike, ArrayLike] | None = None) -> Any:
        """Train from scratch.

        Parameters
        ----------
        states : array, shape (patterns, nodes)
            Reservoir states.
        labels : array, shape (patterns,)
        eval_set : tuple of states and labels, optional
            Scored at the end of each epoch, never trained on.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For arguments, states or labels out of range.
        """
        self._check()
        X, y = _matrix(states), np.asarray(labels)
        if y.shape != (len(X),):
            raise InputError(
                "labels must hold one label for each pattern", got=f"shape {y.shape} for {len(X)} patterns"
            )
        self.classes_, index = np.unique(y, return_inverse=True)
        if self.classes_.size < 2:
            raise InputError("A readout needs at least two classes", got=f"{self.classes_.size}")
        self.n_features_in_ = X.shape[1]
        self._learn_scaling(X)
        inputs = self._inputs(X)
        held = None if eval_set is None else (self._inputs(_matrix(eval_set[0])), np.asarray(eval_set[1]))
        if held is not None and held[1].shape != (len(held[0]),):
            raise InputError("eval_set must be (states, labels) of equal length", got=f"labels {held[1].shape}")
        random = generator(self.rng)
        self.history_: dict[str, list[float]] = {"loss": [], "train_accuracy": []}
        if held is not None:
            self.history_["test_accuracy"] = []
        self._begin(random)
        for _ in range(self.epochs):
            loss = self._epoch(inputs, index.astype(np.int64), random.permutation(len(X)), random)
            self.history_["loss"].append(float(loss))
            self.history_["train_accuracy"].append(self._accuracy(inputs, y))
            if held is not None:
                self.history_["test_accuracy"].append(self._accuracy(*held))
        return self

    def decision_function(self, states: ArrayLike) -> NDArray[np.float64]:
        """Net input of each output neuron, shape (patterns, classes); its sigmoid is the activation."""
        self._fitted()
        return self._inputs(_matrix(states)) @ self.weights_.T

    def activations(self, states: ArrayLike) -> NDArray[np.float64]:
        """Output of each sigmoid neuron, shape (patterns, classes), in 0..1; not a calibrated probability."""
        return 0.5 * (1.0 + np.tanh(0.5 * self.decision_function(states)))  # sigmoid without overflow

    def predict(self, states: ArrayLike) -> NDArray[Any]:
        """Class of the neuron with the largest activation, shape (patterns,)."""
        winner = np.argmax(self.decision_function(states), axis=1)
        return self.classes_[winner]

    def confusion(self, states: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
        """Confusion matrix, shape (classes, classes): row = true class, column = predicted, rows sum to 1.

        A class without patterns gives a row of nan.
        """
        counts = self.confusion_counts(states, labels).astype(float)
        total = counts.sum(axis=1, keepdims=True)
        return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)

    def confusion_counts(self, states: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
        """Patterns by true class (row) and predicted class (column), shape (classes, classes)."""
        predicted, true = self.predict(states), np.asarray(labels)
        if true.shape != predicted.shape or not np.isin(true, self.classes_).all():
            raise InputError(
                "labels must hold one known class for each pattern",
                got=f"shape {true.shape}",
                allowed=str(self.classes_),
            )
        counts = np.zeros((self.classes_.size, self.classes_.size), dtype=np.int64)
        np.add.at(counts, (np.searchsorted(self.classes_, true), np.searchsorted(self.classes_, predicted)), 1)
        return counts

    @property
    @abstractmethod
    def weights_(self) -> NDArray[np.float64]:
        """Weights of the scaled inputs, shape (classes, nodes + 1); the last column is the bias."""

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Weights of the scaled node states, shape (classes, nodes)."""
        return self.weights_[:, :-1]

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Weights of the bias unit, shape (classes,)."""
        return self.weights_[:, -1]

    # -- what a rule supplies -------------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, rng: np.random.Generator) -> None:
        """Set the weights that training starts from."""

    @abstractmethod
    def _epoch(
        self, inputs: NDArray[np.float64], labels: NDArray[np.int64], order: NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        """Train on every pattern once, in this order; returns the mean loss."""

    # -- shared ---------------------------------------------------------------------------------------------

    def _learn_scaling(self, X: NDArray[np.float64]) -> None:
        if self.scaling == "standard":
            offset, width = X.mean(axis=0), X.std(axis=0)
        elif self.scaling == "minmax":
            offset, width = X.min(axis=0), np.ptp(X, axis=0)
        elif self.scaling == "global":
            offset, width = np.full(X.shape[1], X.min()), np.full(X.shape[1], np.ptp(X))
        else:
            offset, width = np.zeros(X.shape[1]), np.ones(X.shape[1])
        # a node that never changes carries nothing: it becomes 0, not 0/0; rounding counts as no change
        still = width <= 1e-12 * np.abs(X).max(axis=0)
        self.offset_, self.gain_ = offset, np.where(still, 0.0, 1.0 / np.where(still, 1.0, width))

    def _inputs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scaled states and the bias unit, shape (patterns, nodes + 1)."""
        if X.shape[1] != self.n_features_in_:
            raise InputError(
                "states have another number of nodes than the readout was trained on",
                got=X.shape[1],
                allowed=str(self.n_features_in_),
            )
        inputs = np.ones((len(X), X.shape[1] + 1))
        inputs[:, :-1] = (X - self.offset_) * self.gain_
        return inputs

    def _accuracy(self, inputs: NDArray[np.float64], y: NDArray[Any]) -> float:
        return float(np.mean(self.classes_[np.argmax(inputs @ self.weights_.T, axis=1)] == y))

    def _fitted(self) -> None:
        if not hasattr(self, "history_"):
            raise InputError(f"This {type(self).__name__} is not trained", action="Call fit(states, labels) first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_")

    def _check(self) -> None:
        if isinstance(self.epochs, bool) or self.epochs % 1 != 0 or self.epochs < 1:
            raise InputError("epochs must be a whole number", got=self.epochs, allowed=">= 1")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError("learning_rate must be positive", got=self.learning_rate, allowed="> 0")
        if self.scaling not in _SCALINGS:
            raise InputError("Unknown scaling", got=self.scaling, allowed=", ".join(_SCALINGS))


class DeltaRuleReadout(_Readout):
    r"""Sigmoid neurons on double-precision weights, trained by the delta rule with batch size 1.

    .. math:: o_j = \sigma(\textstyle\sum_i w_{ji} x_i), \quad
              \Delta w_{ji} = \eta\,(t_j - o_j)\,o_j (1 - o_j)\,x_i

    which descends the squared error :math:`\frac12 \sum_j (t_j - o_j)^2` of one pattern (the mean squared
    error up to a factor that belongs to :math:`\eta`). One input is a bias unit. Weights start at zero; the
    order of the patterns is redrawn each epoch.

    Parameters
    ----------
    epochs : int, >= 1
        Published: 5.
    learning_rate : float, > 0
        Not published ("suitably tuned"). The default had the best accuracy on the *training* patterns of a
        leaky-integrator reservoir; tune on training data for other states, for instance with ``GridSearchCV``.
    schedule : {"adam", "halving", "constant"}
        Adaptive learning rate; published as "adaptive" with a reference that is not in the text at hand.
        "adam": each weight's step is scaled by running moments of its gradient [2]_. "halving": the rate is
        halved after an epoch whose training loss did not fall. "constant": neither.
    scaling : {"minmax", "standard", "global", "none"}
        How states become inputs, learned on the training states only: each node to 0..1, each node to zero mean and
        unit deviation, all nodes together to 0..1, or not at all. Not published.
    rng : int, Generator or None
        Order of the patterns.

    Attributes
    ----------
    classes_ : array, shape (classes,)
    weights_, coef_, intercept_ : array
        All weights; those of the nodes; those of the bias.
    history_ : dict of list
        For each epoch: loss, train_accuracy, learning_rate and, with an `eval_set`, test_accuracy.
    offset_, gain_ : array, shape (nodes,)
        Input = ``(state - offset_) * gain_``.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Methods, "Simulation of neural networks".
    .. [2] D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015.

    Examples
    --------
    >>> states = np.array([[0.0, 1.0], [1.0, 0.0]] * 50)
    >>> labels = np.array([0, 1] * 50)
    >>> float(DeltaRuleReadout(rng=0).fit(states, labels).score(states, labels))
    1.0
    """

    def __init__(
        self,
        epochs: int = 5,
        learning_rate: float = 1e-3,
        *,
        schedule: str = "adam",
        scaling: str = "standard",
        rng: Rng = None,
    ):
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.scaling = scaling
        self.rng = rng

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys."""
        return ("John2022",)

    @property
    def weights_(self) -> NDArray[np.float64]:
        self._fitted()
        return self._weights

    def _begin(self, rng: np.random.Generator) -> None:
        shape = (self.classes_.size, self.n_features_in_ + 1)
        self._weights = np.zeros(shape)
        self._moments, self._updates, self._rate = np.zeros((2, *shape)), 0, float(self.learning_rate)
        self.history_["learning_rate"] = []

    def _epoch(
        self, inputs: NDArray[np.float64], labels: NDArray[np.int64], order: NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        losses = self.history_["loss"]
        if self.schedule == "halving" and len(losses) > 1 and losses[-1] >= losses[-2]:
            self._rate *= 0.5
        self.history_["learning_rate"].append(self._rate)
        first, second = self._moments
        loss, self._updates = _readout.delta_epoch(
            inputs, labels, order, self._weights, _SCHEDULES[self.schedule], self._rate, first, second, self._updates
        )
        return loss

    def _check(self) -> None:
        super()._check()
        if self.schedule not in _SCHEDULES:
            raise InputError("Unknown schedule", got=self.schedule, allowed=", ".join(_SCHEDULES))


class IccReadout(_Readout):
    r"""Sigmoid neurons whose weights are differential pairs of non-volatile cells, programmed by compliance current.

    .. math:: W_{ji} = \beta\,(G^+_{ji} - G^-_{ji}), \quad \beta = 1 / (G_\mathrm{max} - G_\mathrm{min}), \quad
              \Delta G_{ji} = \eta\,x_i\,\delta_j / \beta

    After every pattern the controller computes target conductances, clips them to the bounds, and programs each
    cell once: its new conductance is normal around the target, with a deviation linear in the compliance
    current, hence linear in the target. There is no verification, so write errors accumulate; training and
    inference both see the conductances as written.

    Parameters
    ----------
    cell : non-volatile model
        Gives ``conductance_bounds_S`` (low, high) and ``write_spread_S(G)``, the standard deviation of a write
        whose target is G.
    epochs : int, >= 1
        Published: 5.
    learning_rate : float, > 0
        :math:`\eta`; not published ("suitably tuned"). The default had the best accuracy on the *training*
        patterns of a leaky-integrator reservoir.
    update : {"symmetric", "grow_only", "grow_refresh"}
        "symmetric" (default): G+ and G- move by half the change in opposite directions; the lower clip of the
        Methods (0.1 mS, which growth never meets) points to targets that may also fall. "grow_only":
        potentiation increases G+, depression increases G-, as the Results say; taken alone this ends after
        about a hundred writes of a cell with both cells of every pair at the upper bound, weight 0 and chance
        accuracy. "grow_refresh": the same, but a pair that would exceed the upper bound is erased and its
        difference written anew with the other cell at the lower bound; the paper mentions no such step.
    error : {"residual", "gradient", "argmax"}
        The paper's delta, "the calculated loss" (L1) after a prediction by argmax. "residual": t - o, the L1
        loss with its sign. "gradient": the derivative of the L1 loss, sign(t - o) o (1 - o). "argmax": target
        minus the winner-takes-all prediction, which is zero for a pattern that is classified correctly. All
        descend the loss; the paper's "ascending" would unlearn.
    reference : {"device", "digital"}
        What a change is added to: the conductance that the cell has (write errors accumulate), or a digital
        copy of its last target (they do not). The Methods mention no copy.
    write_noise : bool
        False: every write hits its target.
    write_threshold_S : float, S, >= 0
        A cell is written only if its conductance should change by more than this. Published: no threshold.
    initial_S : tuple of float, S
        Mean and standard deviation of the normal distribution of initial conductances, clipped to the bounds.
        Published: 0.5 mS, 0.1 mS.
    bounds_S : tuple of float, S, optional
        Bounds of targets. By default the cell's own. Published: 0.1 mS and 3.5 mS.
    scaling : {"minmax", "standard", "global", "none"}
        As in :class:`DeltaRuleReadout`; "minmax" gives inputs that read voltages of one sign can carry.
    endurance_cycles : float, > 0
        What `endurance_share_` compares with, and the median life where cells wear. Published: 5655, of one device.
    wear : {"none", "stick", "window"}
        What a cell does beyond its life. "none": it goes on. "stick": further writes change nothing. "window": the
        n-th write reaches only the share exp(1 - n/life) of the way from the lower bound to its target, so the
        window closes. The paper shows no failed cell, so either is assumed; the first is the gentler in that a
        trained weight survives.
    wear_counts : {"write", "erase"}
        What uses a cycle up: every programming event, or only those that must RESET first, as a cycle of the paper
        (+5 V, -7 V) does.
    endurance_spread : float, >= 0
        Standard deviation of ln life from cell to cell. Not published; 0 by default.
    write_V, erase_V, pulse_s : float, V, V and s
        Pulses of a write and of the RESET before a smaller one, for `energy_J_` only. Published: 5 V, -7 V and 5 ms
        (Methods, endurance).
    wiring : halidrift.pipeline.crossbar.Wiring, optional
        Lines of the array that holds the cells; ideal ones if not given. Training sees the currents that they leave
        and updates by the same rule. ``set_params(wiring=...)`` puts a trained readout on other lines.
    rng : int, Generator or None
        Initial conductances, order of the patterns, write errors.

    Attributes
    ----------
    conductances_S_ : array, shape (2, classes, nodes + 1), S
        G+ and G- as written; the last column is the bias unit.
    writes_, erases_ : array of int, shape (2, classes, nodes + 1)
        Programming events of each cell, and those among them that lowered its conductance, for which a
        filament must be RESET first. Initialisation is not counted.
    writes_per_device_ : dict
        mean, max and total of `writes_`.
    life_cycles_ : array, shape (2, classes, nodes + 1)
        Writes (or erases) that each cell stands; inf without wear.
    worn_share_ : float, in [0, 1]
        Share of the cells that outlived it.
    energy_J_ : array, shape (2, classes, nodes + 1), J
        Energy that the source delivered to each cell in training.
    endurance_share_ : float
        Writes of the most used cell over `endurance_cycles`; above 1 the network would wear out in training.
    classes_, weights_, coef_, intercept_, history_, offset_, gain_
        As in :class:`DeltaRuleReadout`; ``history_`` has ``writes_mean``, the mean writes of a cell so far.

    Notes
    -----
    The Methods write the update as :math:`\Delta W = \eta x \delta / \beta`; as W = beta G this is a change of
    conductance, and so it is used. Weights lie in -1..1, but for write errors beyond the bounds.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), "Drift perovskite memristors as readout elements" and
       Methods, "Simulation of neural networks".

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> cell = SimpleNamespace(conductance_bounds_S=(1e-4, 3.5e-3), write_spread_S=lambda G: 0.03 * G)
    >>> states = np.array([[0.0, 1.0], [1.0, 0.0]] * 50)
    >>> labels = np.array([0, 1] * 50)
    >>> readout = IccReadout(cell, rng=0).fit(states, labels)
    >>> float(readout.score(states, labels)), readout.writes_per_device_["max"]
    (1.0, 500.0)
    """

    def __init__(
        self,
        cell: Any,
        epochs: int = 5,
        learning_rate: float = 0.03,
        *,
        update: str = "symmetric",
        error: str = "residual",
        reference: str = "device",
        write_noise: bool = True,
        write_threshold_S: float = 0.0,
        initial_S: tuple[float, float] = (0.5e-3, 0.1e-3),
        bounds_S: tuple[float, float] | None = None,
        scaling: str = "standard",
        endurance_cycles: float = 5655.0,
        wear: str = "none",
        wear_counts: str = "write",
        endurance_spread: float = 0.0,
        write_V: float = 5.0,
        erase_V: float = -7.0,
        pulse_s: float = 5e-3,
        wiring: Any = None,
        rng: Rng = None,
    ):
        self.cell = cell
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.update = update
        self.error = error
        self.reference = reference
        self.write_noise = write_noise
        self.write_threshold_S = write_threshold_S
        self.initial_S = initial_S
        self.bounds_S = bounds_S
        self.scaling = scaling
        self.endurance_cycles = endurance_cycles
        self.wear = wear
        self.wear_counts = wear_counts
        self.endurance_spread = endurance_spread
        self.write_V = write_V
        self.erase_V = erase_V
        self.pulse_s = pulse_s
        self.wiring = wiring
        self.rng = rng

    @property
    def sources(self) -> tuple[str, ...]:
        """Bib keys: the training rule and the cell."""
        return tuple(sorted({"John2022", *getattr(self.cell, "sources", ())}))

    @property
    def weights_(self) -> NDArray[np.float64]:
        self._fitted()
        plus, minus = self.conductances_S_ if self.wiring is None else self.wiring.transfer_S(self.conductances_S_)
        return (plus - minus) / (self._bounds[1] - self._bounds[0])

    @property
    def writes_per_device_(self) -> dict[str, float]:
        """Mean, largest and total number of writes of the cells."""
        self._fitted()
        return {
            "mean": float(self.writes_.mean()),
            "max": float(self.writes_.max()),
            "total": float(self.writes_.sum()),
        }

    @property
    def endurance_share_(self) -> float:
        """Writes of the most used cell over the endurance."""
        return self.writes_per_device_["max"] / self.endurance_cycles

    @property
    def worn_share_(self) -> float:
        """Share of the cells that were used beyond their life."""
        self._fitted()
        used = self.erases_ if self.wear_counts == "erase" else self.writes_
        return float(np.mean(used > self.life_cycles_))

    @property
    def energy_J_(self) -> NDArray[np.float64]:
        r"""Energy that the source delivered to each cell in training, J.

        Raises
        ------
        InputError
            If the cell cannot tell the compliance of a conductance.

        Notes
        -----
        A write draws its compliance current at `write_V` for `pulse_s`, an erase the current of the filament at
        `erase_V`. The filament is taken to last for the whole pulse; it breaks earlier, so an erase is an upper bound.
        """
        self._fitted()
        if not hasattr(self.cell, "compliance_for"):
            raise InputError(
                "The energy of a write needs the compliance current of a conductance",
                got=type(self.cell).__name__,
                allowed="a model with compliance_for(conductance_S)",
            )
        # linear, so the sum of the currents follows from that of the targets
        ends = np.array(self._bounds)
        low, high = np.asarray(self.cell.compliance_for(ends), dtype=float)
        slope = (high - low) / (ends[1] - ends[0])
        current = self.writes_ * (low - slope * ends[0]) + slope * self._written
        return (abs(self.write_V) * current + self.erase_V**2 * self._erased) * self.pulse_s

    def _begin(self, rng: np.random.Generator) -> None:
        low, high = self._bounds = self._limits()
        self._spread = self._line(low, high) if self.write_noise else (0.0, 0.0)
        shape = (2, self.classes_.size, self.n_features_in_ + 1)
        mean, deviation = self.initial_S
        self.conductances_S_ = np.clip(mean + deviation * rng.standard_normal(shape), low, high)
        self._copy = self.conductances_S_.copy()
        self.writes_, self.erases_ = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self._written, self._erased = np.zeros(shape), np.zeros(shape)
        self.life_cycles_ = np.full(shape, np.inf)
        if self.wear != "none":
            # a stream of their own: cells that live on see the same patterns and write errors as without wear
            lives = rng.spawn(1)[0].standard_normal(shape)
            self.life_cycles_ = self.endurance_cycles * np.exp(self.endurance_spread * lives)
        self.history_["writes_mean"] = []

    def _epoch(
        self, inputs: NDArray[np.float64], labels: NDArray[np.int64], order: NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        # on resistive lines the network is solved anew after so many patterns, otherwise once an epoch is enough
        step = len(order) if self.wiring is None else self.wiring.refresh
        loss = 0.0
        for start in range(0, len(order), step):
            part = order[start : start + step]
            loss += len(part) * _readout.icc_epoch(
                inputs,
                labels,
                part,
                (self.conductances_S_, self._copy, self.writes_, self.erases_, self._written, self._erased),
                (self.life_cycles_, self.wear_counts == "erase", _WEARS[self.wear]),
                (*self._bounds, *self._spread),
                float(self.learning_rate),
                _ERRORS[self.error],
                _UPDATES[self.update],
                float(self.write_threshold_S),
                self._copy if self.reference == "digital" else self.conductances_S_,
                rng,
                self._gain(),
            )
        loss /= len(order)
        self.history_["writes_mean"].append(float(self.writes_.mean()))
        return loss

    def _gain(self) -> NDArray[np.float64]:
        """What the lines leave of each conductance, as a share."""
        G = self.conductances_S_
        if self.wiring is None:
            return np.ones_like(G)
        return np.divide(self.wiring.transfer_S(G), G, out=np.zeros_like(G), where=G > 0)

    def _limits(self) -> tuple[float, float]:
        """Bounds of the targets, inside what the cell can be programmed to."""
        try:
            reach = tuple(float(value) for value in self.cell.conductance_bounds_S)
        except AttributeError as error:
            raise InputError(
                "An Icc readout needs a non-volatile cell",
                got=type(self.cell).__name__,
                allowed="a model with conductance_bounds_S and write_spread_S(G)",
            ) from error
        low, high = reach if self.bounds_S is None else (float(value) for value in self.bounds_S)
        if not (0 <= low < high < np.inf):
            raise InputError(
                "bounds_S must be ascending conductances", got=f"({low}, {high}) S", allowed="0 <= low < high"
            )
        if low < reach[0] * (1 - 1e-9) or high > reach[1] * (1 + 1e-9):
            raise InputError(
                "bounds_S asks for conductances that the cell cannot be programmed to",
                got=f"({low:g}, {high:g}) S",
                allowed=f"inside ({reach[0]:g}, {reach[1]:g}) S",
                action="Leave bounds_S out to take the cell's range",
            )
        if not low <= self.initial_S[0] <= high or not 0 <= self.initial_S[1] < np.inf:
            raise InputError(
                "Initial conductances lie outside the bounds",
                got=f"mean {self.initial_S[0]:g} S, deviation {self.initial_S[1]:g} S",
                allowed=f"mean inside ({low:g}, {high:g}) S, finite deviation >= 0",
                action="Give initial_S=(mean, deviation) that suits the cell",
            )
        return low, high

    def _line(self, low: float, high: float) -> tuple[float, float]:
        """Write spread as intercept + slope * target; the cell must be linear there, as the paper's is."""
        at = np.array([low, 0.5 * (low + high), high])
        sigma = np.array([float(self.cell.write_spread_S(g)) for g in at])
        if not np.isfinite(sigma).all() or (sigma < 0).any():
            raise ValidityError("The cell's write spread is not a standard deviation", got=f"{sigma} S at {at} S")
        if abs(sigma[1] - 0.5 * (sigma[0] + sigma[2])) > 1e-6 * sigma.max():
            raise ValidityError(
                "The cell's write spread is not linear in the target",
                got=f"{sigma} S at {at} S",
                allowed="sigma = a + b G between the bounds",
                action="Narrow bounds_S to a range where it is linear",
            )
        slope = (sigma[2] - sigma[0]) / (high - low)
        return float(sigma[0] - slope * low), float(slope)

    def _check(self) -> None:
        super()._check()
        for name, allowed in (
            ("update", tuple(_UPDATES)),
            ("error", tuple(_ERRORS)),
            ("reference", ("device", "digital")),
            ("wear", tuple(_WEARS)),
            ("wear_counts", ("write", "erase")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"Unknown {name}", got=getattr(self, name), allowed=", ".join(allowed))
        if not 0 <= self.write_threshold_S < np.inf:
            raise InputError("write_threshold_S must not be negative", got=self.write_threshold_S, allowed=">= 0 S")
        if not self.endurance_cycles > 0:
            raise InputError("endurance_cycles must be positive", got=self.endurance_cycles, allowed="> 0")
        if not 0 <= self.endurance_spread <= 5:
            raise InputError("endurance_spread is out of range", got=self.endurance_spread, allowed="0 to 5")
        if not (np.isfinite([self.write_V, self.erase_V]).all() and 0 < self.pulse_s < np.inf):
            raise InputError("The pulses must be finite", got=f"{self.write_V} V, {self.erase_V} V, {self.pulse_s} s")


def confusion_interval(
    counts: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean confusion matrix of several trainings with a confidence interval of each entry.

    Parameters
    ----------
    counts : array of int, shape (trainings, classes, classes)
        Patterns by true and predicted class, test set by test set.
    level : float, in (0, 1)

    Returns
    -------
    mean, low, high : array, shape (classes, classes)
        Shares of the true class. The interval is the wider of two: Student's t over the trainings, and Wilson's for the
        mean share in one test set. The first sees what differs from training to training; the second does not
        collapse where every training agrees, and counts no pattern twice where test sets overlap.

    Raises
    ------
    InputError
        For another shape, negative counts or a class without patterns.

    References
    ----------
    .. [1] E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> mean, low, high = confusion_interval([[[90, 10], [0, 100]], [[94, 6], [0, 100]]])
    >>> mean[0].round(2).tolist(), bool(low[1, 1] < 1.0), float(high[1, 1])
    ([0.92, 0.08], True, 1.0)
    """
    table = np.asarray(counts, dtype=float)
    inside = ((table >= 0) & (table < np.inf)).all()
    if table.ndim != 3 or table.shape[1] != table.shape[2] or not table.size or not inside:
        raise InputError("counts must be trainings by classes by classes", got=f"shape {table.shape}")
    total = table.sum(axis=2, keepdims=True)
    if (total == 0).any():
        raise InputError("A class has no test patterns, so its shares are not defined", got="an empty row")
    if not 0 < level < 1:
        raise InputError("level must be a probability", got=level, allowed="0 < level < 1")
    shares, trainings = table / total, len(table)
    mean = shares.mean(axis=0)
    z, n = stats.norm.ppf(0.5 * (1 + level)), total.mean(axis=0)
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    low, high = centre - half, centre + half
    if trainings > 1:
        spread = stats.t.ppf(0.5 * (1 + level), trainings - 1) * shares.std(axis=0, ddof=1) / np.sqrt(trainings)
        low, high = np.minimum(low, mean - spread), np.maximum(high, mean + spread)
    return mean, np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def _matrix(states: ArrayLike) -> NDArray[np.float64]:
    X = np.ascontiguousarray(states, dtype=float)
    if X.ndim != 2 or not X.size:
        raise InputError("states must be a matrix of patterns by nodes", got=f"shape {X.shape}")
    if not np.isfinite(X).all():
        raise InputError("states must be finite", got=f"{(~np.isfinite(X)).sum()} values that are not")
    return X
