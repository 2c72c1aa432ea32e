"""Which model describes the traces best for its number of parameters, and whether the data can tell at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..physics.errors import HalidriftError, InputError
from .ensembles import gather
from .fitting import fit
from .model import CompactModel
from .nonvolatile import NonVolatile
from .observables import Residual, bound_of, choose, correlation_time, left_over, predicted, typical
from .regression import is_silent

__all__ = ["Comparison", "ComparisonRow", "compare"]

Array = NDArray[np.float64]

_RESOLUTION = 1e-6  # least residual that counts
_UNDECIDED = 2.0  # difference of AICc up to which the lesser model has substantial support
_DECIDED = 10.0


@dataclass(frozen=True)
class ComparisonRow:
    """One model.

    Attributes
    ----------
    model : CompactModel or None
        As fitted; None if it could not be.
    name : str
    parameters : int
        Fitted ones that act on a noise-free run.
    aicc, bic : float
        Of a normal law of the residuals of equal width, every instant counted as independent.
    delta : float
        AICc above that of the best model.
    delta_effective : float
        The same with as many instants as are independent.
    correlation_time : float, 1
        Of this model's residuals, in instants.
    errors : mapping of str to float
        Root mean square residual over the range of the compared quantity, for each trace.
    unidentified : tuple of str
        Parameters that the traces do not determine.
    note : str
        Why the model could not be fitted.
    """

    model: CompactModel | None
    name: str
    parameters: int
    aicc: float
    bic: float
    delta: float
    delta_effective: float
    correlation_time: float
    errors: Mapping[str, float]
    unidentified: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, repr=False)
class Comparison(Sequence[ComparisonRow]):
    """Models in order of AICc; prints as a table with its caveat.

    Attributes
    ----------
    rows : tuple of ComparisonRow
    points : int
        Instants compared.
    effective : float
        Instants that are independent, by the residuals of the best model.
    residual : str
        What was compared, in words.
    note : str
        How far the ordering can be trusted.
    """

    rows: tuple[ComparisonRow, ...]
    points: int
    effective: float
    residual: str
    note: str

    def __getitem__(self, i):
        return self.rows[i]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ComparisonRow]:
        return iter(self.rows)

    @property
    def best(self) -> CompactModel:
        """The fitted model of the smallest AICc."""
        assert self.rows[0].model is not None
        return self.rows[0].model

    def __str__(self) -> str:
        traces = list(self.rows[0].errors)
        head = ("model", "parameters", "AICc", "delta", "delta, independent", "BIC", *traces, "not identified")
        table = [head]
        for r in self.rows:
            if r.model is None:
                table.append((r.name, "-", "-", "-", "-", "-", *("-" for _ in traces), r.note))
                continue
            table.append(
                (
                    r.name,
                    str(r.parameters),
                    f"{r.aicc:.1f}",
                    f"{r.delta:.1f}",
                    f"{r.delta_effective:.1f}",
                    f"{r.bic:.1f}",
                    *(f"{r.errors[t]:.3f}" for t in traces),
                    ", ".join(r.unidentified),
                )
            )
        widths = [max(len(row[i]) for row in table) for i in range(len(head))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, f"{self.points} instants of {self.residual}", self.note])

    __repr__ = __str__


def compare(
    models: Sequence[type[CompactModel] | CompactModel],
    traces: Sequence[xr.Dataset] | xr.Dataset,
    *,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
    start: Mapping[str, Mapping[str, float]] | None = None,
    residual: Residual | None = None,
    starts: int = 4,
) -> Comparison:
    """Fit several models to the same traces and rank them.

    Parameters
    ----------
    models : sequence of model classes or fitted models
        A class is fitted; a model that is fitted already is taken as it is.
    traces : Dataset or sequence of Dataset
    fixed, start : mapping of model name to mapping of str to float, optional
        As for :func:`halidrift.compact.fit`, by the name of the class.
    residual : Residual, optional
        What all of them are compared in; default what the data demand.
    starts : int
        As for the fit.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If there is no model, or none could be fitted.

    Notes
    -----
    AICc = N ln(RSS / N) + 2 K + 2 K (K + 1) / (N - K - 1) and BIC = N ln(RSS / N) + K ln N with K the fitted
    parameters and the width of the residuals. Both take the N residuals as independent. Where a model misses a curve
    they are not, and the differences are too large by about the correlation time of the residuals; `delta_effective`
    has N over the correlation time of the best model in its place, and `note` says if the ordering depends on it.
    `NonVolatile` is fitted to figures of its loops rather than to the curves, so its RSS is not the least possible.

    References
    ----------
    .. [1] K. P. Burnham, D. R. Anderson, Model Selection and Multimodel Inference, Springer, 2002: AICc, its
       marks 2 and 10.
    """
    if not models:
        raise InputError("A comparison needs models", got="none")
    ensembles = gather(traces)
    chosen = choose(ensembles) if residual is None else residual
    targets = [typical(chosen, e) for e in ensembles]
    points = sum(t.size for t in targets)
    reach = max(float(np.ptp(np.concatenate(targets))), _RESOLUTION)
    drafts: list[tuple[float, float, list[Array], ComparisonRow]] = []
    for item in models:
        name = item.__name__ if isinstance(item, type) else type(item).__name__
        try:
            fitted = item
            if isinstance(item, type):
                options = {"fixed": (fixed or {}).get(name), "start": (start or {}).get(name)}
                fitted = fit(item, traces, residual=chosen, starts=starts, **options)  # type: ignore[arg-type]
            assert isinstance(fitted, CompactModel)
            left = [
                left_over(t, predicted(fitted, e, chosen), bound_of(chosen, e.typical_bound))
                for t, e in zip(targets, ensembles, strict=True)
            ]
        except HalidriftError as refusal:
            note = "could not be fitted: " + str(refusal).splitlines()[0]
            drafts.append((math.inf, points, [], ComparisonRow(None, name, 0, *(math.inf,) * 4, 1.0, {}, (), note)))
            continue
        squares = max(sum(float(r @ r) for r in left), points * _RESOLUTION**2)
        count = sum(p.kind == "fitted" and p.estimated and not is_silent(n) for n, p in fitted.parameters.items())
        errors = {e.name: float(np.sqrt(np.mean(r**2)) / reach) for e, r in zip(ensembles, left, strict=True)}
        lost = tuple(n for n, p in fitted.parameters.items() if "not identified" in p.warning)
        row = ComparisonRow(
            fitted,
            name,
            count,
            _aicc(squares / points, points, count),
            points * math.log(squares / points) + (count + 1) * math.log(points),
            0.0,
            0.0,
            correlation_time(left),
            errors,
            lost,
        )
        drafts.append((row.aicc, squares, left, row))
    drafts.sort(key=lambda d: d[0])
    first = drafts[0][3]
    if first.model is None:
        raise InputError("No model could be fitted", got="; ".join(f"{d[3].name} {d[3].note}" for d in drafts))
    effective = points / first.correlation_time
    least = [
        _aicc(squares / points, effective, row.parameters) if row.model is not None else math.inf
        for _, squares, _, row in drafts
    ]
    # the first by AICc stays the reference, so that a negative difference shows a change of order
    rows = tuple(
        replace(row, delta=row.aicc - first.aicc, delta_effective=value - least[0])
        for (_, _, _, row), value in zip(drafts, least, strict=True)
    )
    return Comparison(rows, points, effective, chosen.text, _note(rows, points, effective))


def _aicc(variance: float, points: float, parameters: int) -> float:
    K = parameters + 1
    if points - K - 1 <= 0:
        return math.inf  # fewer independent points than parameters: nothing can be said for the model
    return points * math.log(variance) + 2 * K + 2 * K * (K + 1) / (points - K - 1)


def _note(rows: tuple[ComparisonRow, ...], points: int, effective: float) -> str:
    fitted = [r for r in rows if r.model is not None]
    if len(fitted) < 2:
        return "Only one model could be fitted: no ordering."
    text = []
    time = points / effective
    if time > 1.5:
        text.append(
            f"Residuals of {fitted[0].name} are correlated over {time:.0f} instants: AICc counts {points} instants as "
            f"independent where about {effective:.0f} are."
        )
    by_effective = min(fitted, key=lambda r: r.delta_effective if math.isfinite(r.delta_effective) else math.inf)
    gap = min(r.delta_effective for r in fitted[1:])
    if not math.isfinite(effective) or all(not math.isfinite(r.delta_effective) for r in fitted):
        text.append("There are fewer independent instants than parameters: the ordering means nothing.")
    elif math.isnan(gap) or by_effective is not fitted[0]:
        text.append(
            f"With those alone {by_effective.name} comes first: the ordering rests on the correlated residuals."
        )
    elif gap < _UNDECIDED:
        text.append(f"With those alone the second is {gap:.1f} behind: the data do not decide between them.")
    elif gap < _DECIDED:
        text.append(f"With those alone the second is {gap:.1f} behind: {fitted[0].name} is favoured, not decided.")
    else:
        text.append(f"{fitted[0].name} is decided for: the second is {gap:.1f} behind.")
    if any(r.name == NonVolatile.__name__ for r in fitted):
        text.append("NonVolatile was fitted to figures of its loops, not to the curves.")
    return " ".join(text)
