r"""Read margin and largest size of an array: the review's equations (1) and (2), and the network that they stand for.

.. math::

    R_\mathrm{sneak} = R_\mathrm{LRS} \left[ \frac{f_1}{N-1} + \frac{f_2}{(N-1)^2} + \frac{f_3}{N-1} \right] \qquad (1)

    \frac{\Delta V}{V_\mathrm{read}} = \frac{R_\mathrm{pu}}{(R_\mathrm{LRS} \parallel R_\mathrm{sneak}) + R_\mathrm{pu}}
    - \frac{R_\mathrm{pu}}{(R_\mathrm{HRS} \parallel R_\mathrm{sneak}) + R_\mathrm{pu}} \qquad (2)

The review prints f = 1 and gives no pull-up resistance; both are arguments here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...physics.errors import InputError
from .cells import Cells, Multiple, Ohmic
from .network import Crossbar

__all__ = [
    "PULL_UPS",
    "Convention",
    "conventions",
    "lumped_margin",
    "margin_root",
    "maximum_size",
    "network_margin",
    "network_maximum_size",
    "pull_up_ohm",
    "read_margin",
    "rectification_factors",
    "sneak_resistance_ohm",
]

Array = NDArray[np.float64]
Factors = tuple[float, float, float]

PULL_UPS = ("low", "high", "geometric", "best")
_TERMS = {"none": (0, 0, 0), "all": (1, 1, 1), "middle": (0, 1, 0), "first": (1, 0, 0), "outer": (1, 0, 1)}
_COUNTS = ("floor", "nearest", "ceil", "unselected")


def rectification_factors(ratio: float, terms: str = "middle") -> Factors:
    """Factors of the three terms of eq. (1) for cells that rectify.

    Parameters
    ----------
    ratio : float, 1, > 0
        Rectification (or selectivity) of a cell.
    terms : {"middle", "all", "first", "outer", "none"}
        Which terms it multiplies. "middle" is what the network does when all lines but two float: a sneak current
        passes a cell of the selected word forward, one in reverse, and one of the selected bit forward again. "all"
        gives the review's 1747.

    Examples
    --------
    >>> rectification_factors(514.0)
    (1.0, 514.0, 1.0)
    """
    if terms not in _TERMS:
        raise InputError("Unknown terms of eq. (1)", got=terms, allowed=", ".join(_TERMS))
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError("ratio must be positive", got=ratio)
    first, middle, last = (float(ratio) if used else 1.0 for used in _TERMS[terms])
    return first, middle, last


def sneak_resistance_ohm(low_ohm: float, size: ArrayLike, *, factors: Factors = (1.0, 1.0, 1.0)) -> Array:
    """Equation (1): resistance of all sneak paths beside the selected cell.

    Parameters
    ----------
    low_ohm : float, ohm, > 0
        R_LRS, of every cell but the selected one.
    size : float or array, > 1
        N of an N x N array.
    factors : three floats, 1
        Of the three terms; see :func:`rectification_factors`.

    Returns
    -------
    array, ohm

    Notes
    -----
    All unselected lines float, lines have no resistance, cells are ohmic (up to `factors`).

    Examples
    --------
    >>> float(sneak_resistance_ohm(169.3, 2))  # Kang's 2 x 2 array: three cells in series
    507.90000000000003
    """
    R, N = _resistance("low_ohm", low_ohm), np.asarray(size, dtype=float)
    if not np.isfinite(N).all() or (N <= 1).any():
        raise InputError("size must exceed 1", got=f"{N.min(initial=math.inf):g}")
    first, middle, last = factors
    n = N - 1.0
    return np.asarray(first * R / n + middle * R / n**2 + last * R / n)


def read_margin(
    low_ohm: float,
    high_ohm: float,
    size: ArrayLike,
    *,
    pull_up_ohm: ArrayLike,
    factors: Factors = (1.0, 1.0, 1.0),
) -> Array:
    """Equation (2): change of the voltage at the pull-up resistor between both states, over V_read.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
    size : float or array, > 1
    pull_up_ohm : float or array, ohm, > 0
        Not given in the review; see :func:`pull_up_ohm` for the usual choices.
    factors : three floats, 1
        See :func:`rectification_factors`.

    Returns
    -------
    array, 1, in [0, 1)
        Shape of `size` and `pull_up_ohm` after broadcasting.

    Examples
    --------
    >>> f"{float(read_margin(1e3, 1e6, 5, pull_up_ohm=1e3)):.3f}"  # the review's 5 x 5 array fails the 10 % rule
    '0.095'
    """
    on, off = _both(low_ohm, high_ohm, size, factors)
    pull = np.asarray(pull_up_ohm, dtype=float)
    if not np.isfinite(pull).all() or (pull <= 0).any():
        raise InputError("pull_up_ohm must be positive", got=f"{pull.min(initial=math.inf):g} ohm")
    return np.asarray(pull / (on + pull) - pull / (off + pull))


def pull_up_ohm(
    low_ohm: float, high_ohm: float, size: ArrayLike, choice: str = "low", *, factors: Factors = (1.0, 1.0, 1.0)
) -> Array:
    r"""A pull-up resistance by name.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
    size : float or array, > 1
    choice : {"low", "high", "geometric", "best"}
        R_LRS, R_HRS, the geometric mean of both, or the one of largest margin,
        :math:`\sqrt{(R_\mathrm{LRS} \parallel R_\mathrm{sneak})(R_\mathrm{HRS} \parallel R_\mathrm{sneak})}`.
    factors : three floats, 1

    Returns
    -------
    array, ohm
    """
    on, off = _both(low_ohm, high_ohm, size, factors)
    named = {"low": low_ohm, "high": high_ohm, "geometric": math.sqrt(low_ohm * high_ohm)}
    if choice == "best":
        return np.sqrt(on * off)
    if choice not in named:
        raise InputError("Unknown pull-up resistor", got=choice, allowed=", ".join(PULL_UPS))
    return np.full(np.shape(size), named[choice])


def margin_root(
    low_ohm: float,
    high_ohm: ArrayLike,
    *,
    pull_up: str | float = "low",
    factors: Factors = (1.0, 1.0, 1.0),
    margin: float = 0.1,
) -> Array:
    r"""Size, not rounded, at which eq. (2) falls to `margin`; nan where it is below at every size.

    Parameters
    ----------
    low_ohm : float, ohm, > 0
    high_ohm : float or array, ohm
    pull_up : {"low", "high", "geometric", "best"} or float, ohm
    factors : three floats, 1
    margin : float, 1, between 0 and 1
        The review asks for more than 0.1.

    Returns
    -------
    array, shape of `high_ohm`, 1

    Notes
    -----
    In closed form. With p, L, H for the three resistances and s for R_sneak, eq. (2) = m is

    .. math:: p s^2 (H - L) = m\,[(L + p) s + p L]\,[(H + p) s + p H],

    quadratic in s with at most one positive root; the best p gives
    :math:`s = H L (k - 1) / (H - k L)`, :math:`k = [(1 + m)/(1 - m)]^2`. Then eq. (1) is quadratic in N - 1.
    """
    if not 0.0 < margin < 1.0:
        raise InputError("margin is a share of V_read", got=margin, allowed="between 0 and 1")
    L, H = _resistance("low_ohm", low_ohm), np.asarray(high_ohm, dtype=float)
    if not np.isfinite(H).all() or (H < L).any():
        raise InputError("The high resistance must not be below the low one", got=f"{H.min():g} and {L:g} ohm")
    with np.errstate(divide="ignore", invalid="ignore"):
        if pull_up == "best":
            k = ((1.0 + margin) / (1.0 - margin)) ** 2
            s = np.where(k * L < H, H * L * (k - 1.0) / (H - k * L), np.nan)
        else:
            p = np.asarray({"low": L, "high": H, "geometric": np.sqrt(L * H)}[_named(pull_up)], dtype=float)
            if not isinstance(pull_up, str):
                p = np.asarray(_resistance("pull_up", pull_up))
            a = p * (H - L) - margin * (L + p) * (H + p)
            b = margin * p * ((L + p) * H + (H + p) * L)
            c = margin * p * p * L * H
            s = np.where(a > 0.0, (b + np.sqrt(b * b + 4.0 * a * c)) / (2.0 * a), np.nan)
    first, middle, last = (L * factor for factor in factors)
    ends = first + last
    return np.asarray(1.0 + (ends + np.sqrt(ends * ends + 4.0 * middle * s)) / (2.0 * s))


def _named(pull_up: str | float) -> str:
    if isinstance(pull_up, str) and pull_up not in PULL_UPS:
        raise InputError("Unknown pull-up resistor", got=pull_up, allowed=", ".join(PULL_UPS) + ", or ohm")
    return pull_up if isinstance(pull_up, str) else "low"


def maximum_size(
    low_ohm: float,
    high_ohm: float,
    *,
    pull_up: str | float = "low",
    factors: Factors = (1.0, 1.0, 1.0),
    margin: float = 0.1,
    count: str = "floor",
) -> int:
    """Largest N x N array whose margin by eqs. (1) and (2) exceeds `margin`.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
    pull_up : {"low", "high", "geometric", "best"} or float, ohm
    factors : three floats, 1
        See :func:`rectification_factors`.
    margin : float, 1
    count : {"floor", "nearest", "ceil", "unselected"}
        How the root becomes a number. Only "floor" meets the criterion; "nearest" and "ceil" may not; "unselected" is
        the floor of N - 1, the number of unselected lines, taken for the size.

    Returns
    -------
    int
        0 if the criterion fails at every size; a single cell (N = 1) has no sneak path.

    Examples
    --------
    >>> maximum_size(1e3, 1e6), maximum_size(1e3, 1e6, pull_up="best")
    (4, 5)
    >>> maximum_size(1e3, 1e6, factors=rectification_factors(514.0, "all"), count="unselected")
    1747
    """
    if count not in _COUNTS:
        raise InputError("Unknown way to count", got=count, allowed=", ".join(_COUNTS))
    root = float(margin_root(low_ohm, high_ohm, pull_up=pull_up, factors=factors, margin=margin))
    if math.isnan(root):
        return 0
    if count == "unselected":
        return math.floor(root - 1.0)
    return math.ceil(root) if count == "ceil" else round(root) if count == "nearest" else math.floor(root)


@dataclass(frozen=True)
class Convention:
    """One reading of eqs. (1) and (2), and the on/off ratios for which it gives a printed size.

    Attributes
    ----------
    size : int
        The printed N of an N x N array.
    pull_up : {"low", "high", "geometric", "best"}
        Pull-up resistance, see :func:`pull_up_ohm`.
    terms : {"none", "all", "middle", "first", "outer"}
        Terms of eq. (1) that rectification multiplies, see :func:`rectification_factors`.
    count : {"floor", "nearest", "ceil", "unselected"}
        How the root N of eq. (2) becomes a whole number; "unselected" is the floor of N - 1.
    on_off_low, on_off_high : float, 1
        Smallest and largest R_HRS / R_LRS that give `size`.
    """

    size: int
    pull_up: str
    terms: str
    count: str
    on_off_low: float
    on_off_high: float


def conventions(
    size: int,
    ratio: float = 1.0,
    *,
    on_off: tuple[float, float] = (1.0, 1e10),
    pull_ups: Sequence[str] = PULL_UPS,
    terms: Sequence[str] | None = None,
    margin: float = 0.1,
) -> list[Convention]:
    """Every convention under which eqs. (1) and (2) give a printed size, with the on/off ratios that do.

    Parameters
    ----------
    size : int
        The printed N.
    ratio : float, 1
        Rectification of the cells.
    on_off : two floats, 1
        Ratios R_HRS / R_LRS that the source allows.
    pull_ups, terms : sequence of str
        Conventions to try; all if not given (terms: none, for cells that do not rectify).
    margin : float, 1

    Returns
    -------
    list of Convention
        Those under which some allowed ratio gives `size`; empty if none does.

    Notes
    -----
    The range of ratios is found on a grid of 4000 a decade, so its ends are 0.06 % accurate.

    Examples
    --------
    >>> sorted({(c.pull_up, c.count) for c in conventions(5, on_off=(100.0, 1e8))})
    [('best', 'floor'), ('best', 'nearest'), ('low', 'ceil'), ('low', 'nearest')]
    """
    names = terms or (("none",) if ratio == 1.0 else ("all", "outer", "middle", "first"))
    decades = math.log10(on_off[1] / on_off[0])
    ratios = np.geomspace(max(on_off[0], 1.0 + 1e-9), on_off[1], max(2, int(4000 * decades) + 1))
    rounded: dict[str, Callable[[Array], Array]] = {
        "floor": np.floor,
        "nearest": np.rint,
        "ceil": np.ceil,
        "unselected": lambda root: np.floor(root - 1.0),
    }
    found = []
    for pull in pull_ups:
        for name in names:
            factors = rectification_factors(ratio, name)
            roots = margin_root(1.0, ratios, pull_up=pull, factors=factors, margin=margin)
            for count, whole in rounded.items():
                at = ratios[whole(roots) == size]
                if at.size:
                    found.append(Convention(size, pull, name, count, float(at[0]), float(at[-1])))
    return found


# -- the network ---------------------------------------------------------------------------------------------------


def network_margin(
    low_ohm: float,
    high_ohm: float,
    size: int | tuple[int, int],
    *,
    pull_up_ohm: float,
    scheme: str = "floating",
    voltage_V: float = 1.0,
    law: Callable[[Array], Cells] = Ohmic,
    cell: tuple[int, int] | None = None,
    word_segment_ohm: float = 0.0,
    bit_segment_ohm: float = 0.0,
    driver_ohm: float = 0.0,
    others_ohm: ArrayLike | None = None,
    tolerance: float = 1e-10,
) -> float:
    """What eq. (2) asks, of the solved network: read both states of one cell, everything else as it is.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
        1 / the conductance that `law` is given.
    size : int or two ints, >= 2
        N, or word and bit lines.
    pull_up_ohm : float, ohm, > 0
        Between the selected bit line and ground; other bit lines have none.
    scheme : {"floating", "half", "third", "grounded"}
        See :func:`~halidrift.pipeline.crossbar.bias`.
    voltage_V : float, V
    law : callable (conductances) -> Cells
        For instance ``lambda G: Sinh(G, 0.2)``.
    cell : tuple of int, optional
        Row and column of the selected cell; default row 0 and the last column, farthest from driver and sense
        amplifier.
    word_segment_ohm, bit_segment_ohm, driver_ohm : float, ohm, >= 0
        See :class:`Crossbar`.
    others_ohm : array, shape (words, bits), ohm, optional
        Resistances of all other cells; all low if not given, the worst case of eq. (1).
    tolerance : float, 1

    Returns
    -------
    float
        (V_low - V_high) / V_read at the pull-up resistor.
    """
    words, bits = (size, size) if isinstance(size, int) else size
    if min(words, bits) < 2:
        raise InputError("size must be at least 2", got=str(size))
    row, column = (0, bits - 1) if cell is None else cell
    G = np.full((words, bits), 1.0 / low_ohm) if others_ohm is None else 1.0 / np.asarray(others_ohm, dtype=float)
    sense = np.zeros(bits)
    sense[column] = _resistance("pull_up_ohm", pull_up_ohm)
    out = []
    for R in (_resistance("low_ohm", low_ohm), _resistance("high_ohm", high_ohm)):
        G = G.copy()
        G[row, column] = 1.0 / R
        array = Crossbar(law(G), word_segment_ohm, bit_segment_ohm, driver_ohm, sense)
        out.append(array.read((row, column), voltage_V, scheme, tolerance=tolerance).sense_voltage_V / voltage_V)
    return out[0] - out[1]


def lumped_margin(
    low_ohm: float,
    high_ohm: float,
    size: float,
    *,
    pull_up_ohm: float,
    scheme: str = "floating",
    voltage_V: float = 1.0,
    law: Callable[[Array], Cells] = Ohmic,
    tolerance: float = 1e-9,
) -> float:
    """:func:`network_margin` of any size in the time of a 2 x 2 array, where lines have no resistance.

    All unselected words are then at one voltage, and all unselected bits: the N x N network is a 2 x 2 one whose cells
    stand for 1, N - 1, N - 1 and (N - 1)^2 cells. Exact, for any law of the cells.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
        1 / the conductance that `law` is given; every unselected cell is low.
    size : float, > 1
        N of an N x N array, whole or not.
    pull_up_ohm : float, ohm, > 0
        Between the selected bit line and ground.
    scheme : {"floating", "half", "third", "grounded"}
        Voltages of the unselected lines, see :func:`~halidrift.pipeline.crossbar.bias`.
    voltage_V : float, V
        Of the read.
    law : callable (conductances) -> Cells
    tolerance : float, 1
        Of the terminal currents, see :meth:`Crossbar.solve`.

    Returns
    -------
    float, 1
        (V_low - V_high) / V_read at the pull-up resistor.
    """
    if not (math.isfinite(size) and size > 1):
        raise InputError("size must exceed 1", got=size)
    n, out = float(size) - 1.0, []
    count = np.array([[n, 1.0], [n * n, n]])
    for R in (_resistance("low_ohm", low_ohm), _resistance("high_ohm", high_ohm)):
        G = np.full((2, 2), 1.0 / low_ohm)
        G[0, 1] = 1.0 / R
        alone = law(G)
        cells = Ohmic(alone.conductance_S * count) if isinstance(alone, Ohmic) else Multiple(alone, count)
        array = Crossbar(cells, sense_ohm=[0.0, _resistance("pull_up_ohm", pull_up_ohm)])
        out.append(array.read((0, 1), voltage_V, scheme, tolerance=tolerance).sense_voltage_V / voltage_V)
    return out[0] - out[1]


def network_maximum_size(
    low_ohm: float,
    high_ohm: float,
    *,
    pull_up_ohm: float | Callable[[int], float],
    margin: float = 0.1,
    largest: int | None = None,
    word_segment_ohm: float = 0.0,
    bit_segment_ohm: float = 0.0,
    driver_ohm: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> int:
    """Largest N whose network reads with more than `margin`, found by doubling and halving.

    Parameters
    ----------
    low_ohm, high_ohm : float, ohm, > 0
    pull_up_ohm : float or callable (N) -> float, ohm, > 0
        A number, or one for each size.
    margin : float, 1
    largest : int, optional
        Where the search ends; 10 million without line resistance (see :func:`lumped_margin`), 512 with.
    word_segment_ohm, bit_segment_ohm, driver_ohm : float, ohm, >= 0
    progress : callable (done, most), optional
        Called at first and after each array that was solved, with how many will be at most: what doubling and halving
        up to `largest` would take, and once an array does not read, what the halving below it takes.
    **options
        scheme, voltage_V, law, tolerance: as in :func:`lumped_margin`.

    Returns
    -------
    int
        `largest` if that still reads; 1 if not even a 2 x 2 array does.
    """
    if not 0.0 < margin < 1.0:
        raise InputError("margin is a share of V_read", got=margin, allowed="between 0 and 1")
    lines: dict[str, Any] = {
        "word_segment_ohm": word_segment_ohm,
        "bit_segment_ohm": bit_segment_ohm,
        "driver_ohm": driver_ohm,
    }
    ideal = not any(lines.values())
    limit = largest if largest is not None else 10**7 if ideal else 512

    tell: Callable[[int, int], None] = (lambda *_: None) if progress is None else progress

    def reads(N: int) -> bool:
        pull = pull_up_ohm(N) if callable(pull_up_ohm) else pull_up_ohm
        if ideal:
            return lumped_margin(low_ohm, high_ohm, N, pull_up_ohm=pull, **options) > margin
        return network_margin(low_ohm, high_ohm, N, pull_up_ohm=pull, **lines, **options) > margin

    low, high, done = 1, 2, 0
    most = 2 * max(math.ceil(math.log2(limit)), 1) - 1
    tell(done, most)
    while reads(high):  # from below: the network of a far too large array loses digits
        done += 1
        low, high = high, min(2 * high, limit)
        if low >= limit:
            tell(done, done)
            return limit
        tell(done, most)
    done += 1
    most = done + math.ceil(math.log2(high - low))
    tell(done, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reads(middle) else (low, middle)
        done += 1
        tell(done, most if high - low > 1 else done)
    return low


def _both(low_ohm: float, high_ohm: float, size: ArrayLike, factors: Factors) -> tuple[Array, Array]:
    """The selected cell in both states, beside its sneak paths."""
    low, high = _resistance("low_ohm", low_ohm), _resistance("high_ohm", high_ohm)
    if high < low:
        raise InputError("The high resistance must not be below the low one", got=f"{high:g} and {low:g} ohm")
    sneak = sneak_resistance_ohm(low, size, factors=factors)
    return low * sneak / (low + sneak), high * sneak / (high + sneak)


def _resistance(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be positive", got=f"{value} ohm")
    return float(value)
