"""`fit`: a compact model from traces, whoever made them: KMC, FEM, a compact model or a probe station."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import xarray as xr

from ..physics.errors import InputError
from .ensembles import gather, sources_of
from .model import CompactModel
from .nonvolatile import NonVolatile
from .observables import Residual
from .volatile import Volatile

__all__ = ["fit"]

Model = TypeVar("Model", bound=CompactModel)


def fit(
    model: type[Model],
    traces: Sequence[xr.Dataset] | xr.Dataset,
    *,
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    resamples: int = 40,
    residual: Residual | None = None,
    starts: int = 4,
    progress: Callable[[str, int, int], None] | None = None,
) -> Model:
    """Fit a compact model to traces.

    Parameters
    ----------
    model : type
        :class:`Volatile`, :class:`NonVolatile`, or any other subclass of :class:`CompactModel`.
    traces : Dataset or sequence of Dataset
        Traces of the schema of :mod:`halidrift.physics.trace`. Dimensions besides ``time`` are runs; ``device``
        tells devices apart, every other one counts as cycles of the same device. One-dimensional traces of equal
        stimulus form an ensemble too.
    fixed : mapping of str to float, optional
        Parameters that are not fitted, by name.
    start : mapping of str to float, optional
        Starting values, by name, where the built-in guess is not good enough. Naming a parameter that has a default
        frees it.
    resamples : int, >= 0
        Bootstrap resamples of the runs for the standard errors of a volatile ensemble (from five runs on).
    residual : LnConductance, AsinhCurrent or Conductance, optional
        What is compared (:mod:`halidrift.compact.observables`); default what the data demand. Of the other models only:
        `Volatile` always compares ln G, `NonVolatile` figures of the loops.
    starts : int, >= 1
        Local fits of the other models, from the best points of a Latin hypercube; 1 starts once, from `start` and the
        middle of the search range.
    progress : callable (stage, done, parts), optional
        Called when a stage begins (`done` is 0) and after each part of it, with the stage in words; changes no number.
        `Volatile`: ``"least squares"`` (one for each candidate and start), ``"simulated runs"`` (one match of their
        times for each law of relaxation under voltage), ``"bootstrap"`` (resamples, where there are any). Other models:
        ``"search"`` (points of the hypercube), ``"local fits"`` (`starts`, and the polish), ``"standard errors"`` and
        ``"noise and spread"`` (one part each). `NonVolatile` is fitted at once and tells nothing.

    Returns
    -------
    CompactModel
        Of the class given. ``parameters`` says for each number its standard error and origin, ``goodness`` the error
        for each trace, ``warnings`` what could not be done.

    Raises
    ------
    InputError
        If there are no traces, no switching in them, too few points, or an unknown parameter name.
    ConvergenceError
        If the optimiser fails.

    Notes
    -----
    *Volatile.* Least squares (lmfit) of ln G of the typical run (median over the runs of one stimulus at each
    instant) against the noise-free model, divided by ln(G_on / G_off); every instant weighs the same. r, s and V_n
    enter only if they lower the Bayesian information criterion by more than 10. In an ensemble of five runs or more,
    256 simulated runs then match the moments of ln of the runs' relaxation and set times: they give the median
    of tau and the spreads of tau and k_0. Set times are taken as lognormal, relaxation times as lognormal or Weibull,
    whichever law is the likelier (`relaxation_weibull`). Runs that had not switched at the end are censored, and
    simulated runs are measured, censored and left out by the same rules. Relaxation under voltage
    (`relaxation_voltage_V`) is taken as free of the voltage or as held back with V_0, whichever explains the curves and
    the share of SETs better.

    Standard errors: bootstrap over runs in such an ensemble (tau: curvature of the likelihood), else the covariance of
    the least squares. Read noise: fourth differences of ln G on the plateaus, counted as none below 1e-3; it needs a
    sampling finer than tau / 5.

    *NonVolatile.* Linear regression (lmfit) of the LRS conductance at the read voltage against the compliance,
    weighted with the standard deviation that a likelihood linear in the compliance gives; set voltage, OFF and fresh
    conductance are medians of the loops. RESET threshold and width are those of a ramp of ln G through the quarters of
    its fall, the median of the loops; where these leave different conductances the threshold is a line in ln G through
    medians (Theil and Sen, scipy). Spread is estimated only where a compliance was measured more than once.

    *Other models.* The parameters that the model lists as ``FITTED``, or else those without a default, in coordinates
    that treat orders of magnitude alike (:mod:`halidrift.compact.coordinates`). The range of the search follows from
    the voltages, times, currents and conductances in the traces; a Latin hypercube in it (40 points a parameter)
    supplies the starts of trust-region least squares (scipy), and the best is polished. The residual is ln G for
    switching, asinh(I / 2 I_0) where small currents drown in the noise of the instrument, and G for analog devices;
    ``origin`` of each parameter says which.

    Standard errors are those of the least squares, widened where the residuals of a trace are correlated
    (:func:`halidrift.compact.identifiability.covariance`). A parameter that the data do not determine is named in
    ``warnings`` and in its own ``warning`` (:func:`halidrift.compact.identifiability.diagnose`): on a bound, without
    influence, or free to move together with others. :func:`halidrift.compact.profile` and
    :func:`halidrift.compact.bootstrap` check that without linearisation.

    References
    ----------
    .. [1] R. A. John et al., Nat. Commun. 13, 2074 (2022), Methods: normal law with mean and standard deviation
       linear in the compliance.
    """
    known = checked(model, fixed, start, starts)
    ensembles = gather(traces)
    sources = sources_of([traces] if isinstance(traces, xr.Dataset) else traces)
    if known is Volatile:
        from .volatile_fit import fit_volatile

        return fit_volatile(ensembles, dict(fixed or {}), dict(start or {}), sources, resamples, progress)  # type: ignore[return-value]
    if known is NonVolatile:
        from .nonvolatile_fit import fit_nonvolatile

        return fit_nonvolatile(ensembles, dict(fixed or {}), dict(start or {}), sources)  # type: ignore[return-value]
    from .regression import fit_state

    return fit_state(  # type: ignore[return-value]
        known, ensembles, fixed or {}, start or {}, sources, residual=residual, starts=starts, progress=progress
    )


def checked(
    model: type[Model], fixed: Mapping[str, float] | None, start: Mapping[str, float] | None, starts: int = 4
) -> type[CompactModel]:
    """The model, if it can be fitted with such arguments of :func:`fit`.

    Parameters
    ----------
    model : type
    fixed, start : mapping of str to float, or None
    starts : int, >= 1

    Returns
    -------
    type
        The same.

    Raises
    ------
    InputError
        If the model, a parameter name, its value or the number of starts is not one.
    """
    known: type[CompactModel] = model
    if not (isinstance(known, type) and issubclass(known, CompactModel)):
        raise InputError(
            "fit knows no such model",
            got=getattr(model, "__name__", model),
            allowed="a subclass of CompactModel, such as Volatile, NonVolatile or VTEAM",
        )
    if starts < 1 or int(starts) != starts:
        raise InputError("starts must be a whole number", got=starts, allowed=">= 1")
    for group, values in (("fixed", fixed or {}), ("start", start or {})):
        for name, value in values.items():
            if name not in known.QUANTITIES:
                raise InputError(
                    f"{group} names no parameter of {known.__name__}", got=name, allowed=", ".join(known.QUANTITIES)
                )
            quantity = known.QUANTITIES[name]
            if not quantity.low <= value <= quantity.high:
                raise InputError(
                    f"{group}[{name!r}] is out of bounds",
                    got=f"{value} {quantity.unit}",
                    allowed=f"{quantity.low:g} to {quantity.high:g} {quantity.unit}",
                )
    return known
