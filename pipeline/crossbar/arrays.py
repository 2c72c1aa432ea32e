"""What an array makes of cells that differ: reads of many drawn arrays, and the disturb of unselected cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...physics.errors import InputError
from ...physics.randomness import Rng, describe, generator
from .cells import Cells, Ohmic
from .network import Crossbar, bias

__all__ = ["Draws", "Spread", "Thresholds", "disturb", "read_distribution"]

Array = NDArray[np.float64]


class Draws(Protocol):
    """Anything that draws the conductances of cells: :class:`Spread`, or your own."""

    def draw(self, low: NDArray[np.bool_], rng: np.random.Generator) -> Array:
        """Conductances, S, of cells that are in the low-resistance state where `low` is true.

        Parameters
        ----------
        low : array of bool, shape (words, bits)
        rng : Generator
            Advanced by what is drawn.

        Returns
        -------
        array, shape (words, bits), S
        """


@dataclass(frozen=True)
class Spread:
    """Lognormal spread of both states from cell to cell.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
        Median resistances.
    low_spread, high_spread : float, 1, >= 0
        Standard deviations of the natural logarithm.
    """

    low_ohm: float
    high_ohm: float
    low_spread: float = 0.0
    high_spread: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.low_ohm <= self.high_ohm < math.inf):
            raise InputError("Resistances must be positive, low <= high", got=f"{self.low_ohm}, {self.high_ohm} ohm")
        if not (0 <= self.low_spread < math.inf and 0 <= self.high_spread < math.inf):
            raise InputError("Spreads must not be negative", got=f"{self.low_spread}, {self.high_spread}")

    @classmethod
    def of(cls, model: Any, conductance_S: float | None = None) -> Spread:
        """Spread of a :class:`~halidrift.compact.NonVolatile` cell, written to `conductance_S` or else to its largest.

        The normal spread of the written state counts as lognormal of the same relative width.

        Parameters
        ----------
        model : NonVolatile
            Its median OFF conductance is the high-resistance state.
        conductance_S : float, S, > 0, optional
            Target of the low-resistance state.
        """
        _, high = model.conductance_bounds_S
        wanted = high if conductance_S is None else conductance_S
        return cls(
            1.0 / wanted,
            1.0 / model.value("conductance_off_S"),
            float(model.write_spread_S(wanted)) / wanted,
            model.value("off_spread"),
        )

    def draw(self, low: NDArray[np.bool_], rng: np.random.Generator) -> Array:
        """Conductances, S.

        Parameters
        ----------
        low : array of bool, shape (words, bits)
            Where a cell is in the low-resistance state.
        rng : Generator
            Advanced by one normal number a cell.

        Returns
        -------
        array, shape (words, bits), S
        """
        normal = rng.standard_normal(low.shape)
        return np.where(
            low, np.exp(self.low_spread * normal) / self.low_ohm, np.exp(self.high_spread * normal) / self.high_ohm
        )


def read_distribution(
    cells: Draws,
    size: int | tuple[int, int],
    *,
    samples: int = 200,
    scheme: str = "floating",
    voltage_V: float = 0.1,
    low_share: float = 0.5,
    cell: tuple[int, int] | None = None,
    law: Callable[[Array], Cells] = Ohmic,
    threshold_A: float | None = None,
    word_segment_ohm: float = 0.0,
    bit_segment_ohm: float = 0.0,
    driver_ohm: float = 0.0,
    sense_ohm: ArrayLike = 0.0,
    rng: Rng = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Read one cell, once in either state, in many arrays with cells and data of their own.

    Parameters
    ----------
    cells : Spread or anything with ``draw(low, rng)``
    size : int or two ints
        N, or word and bit lines.
    samples : int, >= 2
        Arrays drawn.
    scheme : {"floating", "half", "third", "grounded"}
    voltage_V : float, V
    low_share : float, 1, 0 to 1
        Probability that a cell which is not selected holds the low-resistance state; 1 is the worst case of eq. (1).
    cell : tuple of int, optional
        The selected cell; another one drawn in each array if not given.
    law : callable (conductances) -> Cells
    threshold_A : float, A, > 0, optional
        Size of the current above which a read counts as low-resistance; if not given, the geometric mean of both
        medians.
    word_segment_ohm, bit_segment_ohm : float, ohm, >= 0
        Resistance of a line from one cell to the next.
    driver_ohm : float, ohm, >= 0
        Of the source at each word line.
    sense_ohm : float or array, shape (bits,), ohm, >= 0
        Of the sense amplifier at each bit line.
    rng : int, Generator or None
    progress : callable (done, samples), optional
        Called after each array.

    Returns
    -------
    xarray.Dataset
        ``current_low``, ``current_high`` (A), ``sneak_current`` (A, beside the high state), ``margin`` (share of the
        low current by which both differ), ``row``, ``column`` over (sample); attributes ``threshold_A``, ``bit_error``
        (share of all reads on the wrong side), ``bit_error_standard_error`` (binomial) and ``seed``.
    """
    words, bits = (size, size) if isinstance(size, int) else size
    if isinstance(samples, bool) or samples % 1 != 0 or samples < 2:
        raise InputError("samples must be a whole number", got=samples, allowed=">= 2")
    if min(words, bits) < 1:
        raise InputError("size must be at least 1", got=str(size))
    if not (math.isfinite(voltage_V) and voltage_V != 0.0):
        raise InputError("voltage_V must be finite and not zero, or both states read alike", got=f"{voltage_V} V")
    if threshold_A is not None and not 0.0 < threshold_A < math.inf:
        raise InputError(
            "threshold_A must be positive", got=f"{threshold_A} A", allowed="> 0, of either sign of voltage"
        )
    if not 0.0 <= low_share <= 1.0:
        raise InputError("low_share is a probability", got=low_share, allowed="0 to 1")
    random = generator(rng)
    seed = describe(random)
    current = np.empty((samples, 2))
    sneak, margin = np.empty(samples), np.empty(samples)
    where = np.empty((samples, 2), dtype=np.int64)
    for n in range(samples):
        low = random.random((words, bits)) < low_share
        G = np.array(cells.draw(low, random))
        row, column = (int(random.integers(words)), int(random.integers(bits))) if cell is None else cell
        where[n] = row, column
        own = [float(cells.draw(np.array([[state]]), random)[0, 0]) for state in (True, False)]
        for k in (0, 1):
            G[row, column] = own[k]
            array = Crossbar(law(G), word_segment_ohm, bit_segment_ohm, driver_ohm, sense_ohm)
            state = array.state(*bias(scheme, array.shape, (row, column), voltage_V), tolerance=1e-9)
            current[n, k] = state.bit_A[column]
        sneak[n] = state.bit_A[column] - state.cell_A[row, column]
        margin[n] = (current[n, 0] - current[n, 1]) / current[n, 0]
        if progress is not None:
            progress(n + 1, samples)
    size_of = np.abs(current)
    if threshold_A is None:
        medians = np.median(size_of, axis=0)
        threshold_A = math.sqrt(float(medians[0] * medians[1]))
    wrong = int((size_of[:, 0] <= threshold_A).sum() + (size_of[:, 1] > threshold_A).sum())
    share = wrong / (2 * samples)
    out = xr.Dataset(
        {
            "current_low": ("sample", current[:, 0], {"units": "A"}),
            "current_high": ("sample", current[:, 1], {"units": "A"}),
            "sneak_current": ("sample", sneak, {"units": "A"}),
            "margin": ("sample", margin, {"units": "1"}),
            "row": ("sample", where[:, 0], {"units": "1"}),
            "column": ("sample", where[:, 1], {"units": "1"}),
        }
    )
    out.attrs = {
        "threshold_A": float(threshold_A),
        "bit_error": share,
        "bit_error_standard_error": math.sqrt(share * (1.0 - share) / (2 * samples)),
        "scheme": scheme,
        "voltage_V": voltage_V,
        "seed": seed,
    }
    return out


@dataclass(frozen=True)
class Thresholds:
    """Voltages at which cells switch, normal from cell to cell.

    Parameters
    ----------
    set_V : float, V, > 0
        Above it a cell goes to its low-resistance state.
    reset_V : float, V, < 0
        Below it a cell goes to its high-resistance state; nan for never.
    set_spread_V, reset_spread_V : float, V, >= 0
    """

    set_V: float
    reset_V: float = math.nan
    set_spread_V: float = 0.0
    reset_spread_V: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.set_V < math.inf) or self.reset_V >= 0:
            raise InputError("Thresholds need set > 0 > reset", got=f"{self.set_V}, {self.reset_V} V")
        if not (0 <= self.set_spread_V < math.inf and 0 <= self.reset_spread_V < math.inf):
            raise InputError("Spreads must not be negative", got=f"{self.set_spread_V}, {self.reset_spread_V} V")

    @classmethod
    def of(cls, model: Any) -> Thresholds:
        """Those of a :class:`~halidrift.compact.NonVolatile` cell, RESET at its `reset_reference_S`.

        Parameters
        ----------
        model : NonVolatile
            Median thresholds and their spreads, V.
        """
        names = ("set_voltage_V", "reset_voltage_V", "set_voltage_spread_V", "reset_voltage_spread_V")
        return cls(*(model.value(name) for name in names))

    def probability(self, voltage_V: ArrayLike) -> Array:
        """Probability that a cell at this voltage switches, shape (...,).

        Parameters
        ----------
        voltage_V : float or array, shape (...,), V
            Across the cell: positive for a SET, negative for a RESET.

        Returns
        -------
        array, shape (...,), 1
            0 at 0 V, and at negative voltage if `reset_V` is nan.
        """
        from scipy.special import ndtr

        V = np.asarray(voltage_V, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            up = ndtr(np.nan_to_num((V - self.set_V) / self.set_spread_V, nan=0.0, posinf=40.0, neginf=-40.0))
            down = ndtr(np.nan_to_num((self.reset_V - V) / self.reset_spread_V, nan=0.0, posinf=40.0, neginf=-40.0))
        return np.where(V > 0.0, up, np.where((V < 0.0) & ~np.isnan(self.reset_V), down, 0.0))


def disturb(
    array: Crossbar,
    cell: tuple[int, int],
    voltage_V: float,
    scheme: str,
    *,
    thresholds: Thresholds | None = None,
    width_s: float | None = None,
    tolerance: float = 1e-10,
) -> xr.Dataset:
    """What a write (or read) of one cell does to all others.

    Parameters
    ----------
    array : Crossbar
    cell : tuple of int
        Row and column of the selected cell.
    voltage_V : float, V
        Positive for SET, negative for RESET.
    scheme : {"floating", "half", "third", "grounded"}
    thresholds : Thresholds, optional
        For the numbers of cells that switch.
    width_s : float, s, optional
        Of the pulse, for energies.
    tolerance : float, 1

    Returns
    -------
    xarray.Dataset
        Over ``group``: selected, word (others on its word line), bit (others on its bit line), rest. ``count``,
        ``lowest``, ``highest``, ``mean`` cell voltage (V), ``power`` (W), with thresholds ``switched`` (expected number
        of cells that switch), with a width ``energy`` (J); attributes ``power_W``, ``line_power_W``, ``energy_J``.

    Notes
    -----
    Cells keep their state while the voltages are found: the first instant of the pulse. A threshold model: slow disturb
    below the threshold is not counted.
    """
    reading = array.read(cell, voltage_V, scheme, tolerance=tolerance)
    V, power = reading.fields["cell_voltage"].values, None
    power = V * reading.fields["cell_current"].values
    row, column = cell
    member = np.full(V.shape, 3)
    member[row, :], member[:, column], member[row, column] = 1, 2, 0
    groups = ("selected", "word", "bit", "rest")
    columns: dict[str, list[float]] = {name: [] for name in ("count", "lowest", "highest", "mean", "power", "switched")}
    for k in range(4):
        at = member == k
        inside = V[at]
        columns["count"].append(int(at.sum()))
        columns["lowest"].append(float(inside.min()) if inside.size else math.nan)
        columns["highest"].append(float(inside.max()) if inside.size else math.nan)
        columns["mean"].append(float(inside.mean()) if inside.size else math.nan)
        columns["power"].append(float(power[at].sum()))
        columns["switched"].append(float(thresholds.probability(inside).sum()) if thresholds else math.nan)
    units = {"count": "1", "lowest": "V", "highest": "V", "mean": "V", "power": "W", "switched": "1"}
    if thresholds is None:
        del columns["switched"]
    out = xr.Dataset(
        {name: ("group", np.array(values), {"units": units[name]}) for name, values in columns.items()},
        coords={"group": list(groups)},
    )
    out.attrs = {
        "scheme": scheme,
        "voltage_V": voltage_V,
        "power_W": reading.power_W,
        "line_power_W": reading.fields.attrs["line_power_W"],
    }
    if width_s is not None:
        out.attrs["energy_J"] = reading.energy_J(width_s)
        out["energy"] = ("group", out["power"].values * width_s, {"units": "J"})
    return out
