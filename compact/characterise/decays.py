"""Exponential or power law: which of the two a decay follows, and whether the data can tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...physics.errors import InputError
from ..plasticity import PowerLaw, power_law

__all__ = ["DecayLaw", "decay_law"]


class DecayLaw(NamedTuple):
    r"""An exponential against a power law.

    Attributes
    ----------
    verdict : str
        "exponential", "power law", "undecided", or "neither" where the better one misses in a systematic way:
        residuals with rho above 0.5 that hold more than a tenth of the variance of ln y.
    delta_aic : float, 1
        AIC of the exponential less that of the power law for as many points as are independent; positive speaks for
        the power law.
    tau_s, power : float, s and 1
        :math:`y \sim e^{-t/\tau}`, :math:`y \sim t^{-m}`; of the fits on ln y.
    r2_exponential, r2_power : float, 1
    points : int
    independent_points : float, 1
        n (1 - rho) / (1 + rho).
    autocorrelation : float, 1
        rho, lag-1 autocorrelation of the residuals of the better fit.
    fit : PowerLaw
        Both fits as :func:`halidrift.compact.plasticity.power_law` gives them.
    """

    verdict: str
    delta_aic: float
    tau_s: float
    power: float
    r2_exponential: float
    r2_power: float
    points: int
    independent_points: float
    autocorrelation: float
    fit: PowerLaw


def decay_law(
    time_s: ArrayLike, weight: ArrayLike, *, window_s: tuple[float, float] | None = None, least_difference: float = 4.0
) -> DecayLaw:
    r"""Tell an exponential from a power-law decay.

    Parameters
    ----------
    time_s : array, shape (n >= 8,), s, > 0
        Since the decay began.
    weight : array, shape (n,), > 0 within the window
        Conductance, current or weight, less what it decays to.
    window_s : tuple of float, s, optional
        Instants fitted; all, if not given.
    least_difference : float, 1, >= 0
        Difference of AIC from which on there is a verdict.

    Raises
    ------
    InputError
        If fewer than eight points lie in the window, the weight is not positive there, or it does not decay.

    Notes
    -----
    Both laws have two parameters and are fitted to ln y, whose errors count as equal. Neighbouring points of one decay
    are not independent, and AIC without a correction finds overwhelming evidence in any smooth curve; therefore the
    points count as n (1 - rho) / (1 + rho). That holds for residuals with the correlation of a first-order process; a
    law that is wrong in the same way all along leaves larger rho and, rightly, less evidence.

    Neither law has a plateau. Subtract what the conductance ends at (:func:`halidrift.compact.plasticity.decay` does),
    or an exponential on a plateau looks like a power law; and a window of less than a decade tells nothing. A verdict
    names the better of two laws, not the mechanism: the review [1]_ takes an exponential for ions and a power law for
    traps, after layered oxides, whereas Kim et al. [2]_ fit a power law to the back-diffusion of bromide.

    References
    ----------
    .. [1] N. Yantara et al., Chem. Soc. Rev. 55, 2145 (2026), Sec. 3.3.1 (Y-DECAY).
    .. [2] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), Fig. 4.
    .. [3] H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974).

    Examples
    --------
    >>> import numpy as np
    >>> t = np.geomspace(0.1, 10.0, 40)
    >>> decay_law(t, np.exp(-t / 3.0)).verdict, decay_law(t, t**-0.4).verdict
    ('exponential', 'power law')
    """
    t, y = np.asarray(time_s, dtype=float).ravel(), np.asarray(weight, dtype=float).ravel()
    if not (np.isfinite(least_difference) and least_difference >= 0):
        raise InputError("least_difference is out of range", got=least_difference, allowed=">= 0")
    if t.size != y.size or not (np.isfinite(t).all() and np.isfinite(y).all()):
        raise InputError("times and weights do not go together", got=f"{t.size} times, {y.size} weights, all finite?")
    if window_s is None:
        later = t > 0
        if later.sum() < 2:
            raise InputError("Too few points after zero", got=int(later.sum()), allowed=">= 8")
        window_s = (float(t[later].min()), float(t[later].max()))
    fit = power_law(t, y, window_s=window_s, space="log")
    if fit.points < 8:
        raise InputError("Too few points in the window", got=fit.points, allowed=">= 8", action="Widen window_s")
    if fit.m <= 0:
        raise InputError("The weight does not decay", got=f"power {-fit.m:.3g} of time", allowed="below 0")
    inside = (t >= window_s[0] * (1 - 1e-9)) & (t <= window_s[1] * (1 + 1e-9))
    t, ln_y = t[inside], np.log(y[inside])
    order = np.argsort(t, kind="stable")
    t, ln_y = t[order], ln_y[order]
    residuals = {}
    for name, x in (("exponential", t), ("power law", np.log(t))):
        line = stats.linregress(x, ln_y)
        residuals[name] = ln_y - line.intercept - line.slope * x
    # to be zero is to be at the resolution of the numbers
    tiny = t.size * (np.finfo(float).eps * float(np.abs(ln_y).max() + 1.0)) ** 2
    squares = {name: max(float(r @ r), tiny) for name, r in residuals.items()}
    better = min(squares, key=lambda name: squares[name])
    rho = _autocorrelation(residuals[better]) if squares[better] > tiny else 0.0
    independent = t.size * (1.0 - rho) / (1.0 + rho)
    delta = float(independent * np.log(squares["exponential"] / squares["power law"]))
    verdict = better if abs(delta) >= least_difference else "undecided"
    if rho > 0.5 and squares[better] > 0.1 * float(np.sum((ln_y - ln_y.mean()) ** 2)):
        verdict = "neither"
    return DecayLaw(
        verdict=verdict,
        delta_aic=delta,
        tau_s=fit.tau_s,
        power=fit.m,
        r2_exponential=fit.r2_exponential,
        r2_power=fit.r2,
        points=fit.points,
        independent_points=independent,
        autocorrelation=rho,
        fit=fit,
    )


def _autocorrelation(residual: np.ndarray) -> float:
    """Lag-1 autocorrelation in [0, 1): a negative one would claim more points than there are."""
    value = float(residual[1:] @ residual[:-1]) / float(residual @ residual)
    return min(max(value, 0.0), 0.999)
