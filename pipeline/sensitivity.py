"""Whose uncertainty moves a result: inputs with ranges, surrogates with their error, Sobol indices.

Everything works on the unit cube: :meth:`Input.value` turns a number between 0 and 1 into the quantity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..physics.errors import InputError
from ..physics.randomness import Rng, generator

__all__ = ["Indices", "Input", "Surrogate", "latin_hypercube", "sobol", "values"]

Array = NDArray[np.float64]

KINDS = ("published", "calibrated", "assumed", "error")
_FEWEST = 8


@dataclass(frozen=True)
class Input:
    """A quantity that is known to lie in a range, or to be normal.

    Attributes
    ----------
    name : str
    low, high : float
        Ends of the range, in `unit`. Of a normal one: 2.5 % and 97.5 % quantile.
    unit : str
    kind : {"published", "calibrated", "assumed", "error"}
        What the number itself is; "error" is what a surrogate does not know.
    source : str
        Where number and range come from.
    law : {"uniform", "log", "normal"}
        Uniform, uniform in the logarithm, or normal.
    link : str
        Part of the chain that it enters.

    Examples
    --------
    >>> gap = Input("noise", 1e-4, 1e-2, "1", "assumed", "a guess", law="log")
    >>> f"{float(gap.value(0.5)):.3g}"
    '0.001'
    """

    name: str
    low: float
    high: float
    unit: str
    kind: str
    source: str
    law: Literal["uniform", "log", "normal"] = "uniform"
    link: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"Unknown kind of input {self.name}", got=self.kind, allowed=", ".join(KINDS))
        if self.law not in ("uniform", "log", "normal"):
            raise InputError(f"Unknown law of input {self.name}", got=self.law, allowed="uniform, log, normal")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"The range of {self.name} must ascend",
                got=f"{self.low} to {self.high} {self.unit}",
                allowed="low < high",
            )
        if self.law == "log" and self.low <= 0.0:
            raise InputError(f"{self.name} is uniform in its logarithm", got=f"low = {self.low}", allowed="low > 0")

    def value(self, u: ArrayLike) -> Array:
        """The quantity at places u of its distribution function, shape as u.

        Parameters
        ----------
        u : float or array, shape (...,), 1, 0 to 1
            Of a normal quantity kept 1e-6 away from both ends.

        Returns
        -------
        array, shape (...,)
            In `unit`.
        """
        u = np.asarray(u, dtype=float)
        if self.law == "log":
            return np.asarray(self.low * (self.high / self.low) ** u)
        if self.law == "normal":
            middle, width = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low) / stats.norm.ppf(0.975)
            return np.asarray(middle + width * stats.norm.ppf(np.clip(u, 1e-6, 1.0 - 1e-6)))
        return np.asarray(self.low + (self.high - self.low) * u)

    def place(self, value: ArrayLike) -> Array:
        """Inverse of :meth:`value`; outside of 0 to 1 where the value is outside of the range.

        Parameters
        ----------
        value : float or array, shape (...,)
            In `unit`.

        Returns
        -------
        array, shape (...,), 1
            A normal quantity always lies between 0 and 1.
        """
        x = np.asarray(value, dtype=float)
        if self.law == "log":
            return np.asarray(np.log(np.maximum(x, 1e-300) / self.low) / math.log(self.high / self.low))
        if self.law == "normal":
            middle, width = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low) / stats.norm.ppf(0.975)
            return np.asarray(stats.norm.cdf((x - middle) / width))
        return np.asarray((x - self.low) / (self.high - self.low))

    def narrowed(self, low: float, high: float) -> Input:
        """A copy with another range, which then counts as given by the user.

        Parameters
        ----------
        low, high : float
            Ends of the new range, in `unit`; wider than the old one is allowed too.
        """
        source = f"range given by the user; {self.source}"
        return Input(self.name, low, high, self.unit, self.kind, source, self.law, self.link)

    def to_dict(self) -> dict[str, Any]:
        """Plain data.

        Returns
        -------
        dict
            Fields by name.
        """
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def values(inputs: Sequence[Input], unit_cube: ArrayLike) -> Array:
    """The quantities at points of the unit cube, shape (points, inputs).

    Parameters
    ----------
    inputs : sequence of Input
    unit_cube : array, shape (points, inputs), 1, 0 to 1
        Places of the inputs in their distribution functions; one point alone may be flat.

    Returns
    -------
    array, shape (points, inputs)
        Each column in the unit of its input.
    """
    u = np.atleast_2d(np.asarray(unit_cube, dtype=float))
    if u.shape[1] != len(inputs):
        raise InputError("points and inputs do not go together", got=f"{u.shape[1]} columns for {len(inputs)} inputs")
    return np.column_stack([one.value(u[:, i]) for i, one in enumerate(inputs)])


def latin_hypercube(dimensions: int, points: int, rng: Rng = None) -> Array:
    """Points of the unit cube, one in each slice of each dimension, shape (points, dimensions).

    Parameters
    ----------
    dimensions : int, >= 1
    points : int, >= 1
        As many slices has each dimension.
    rng : int, Generator or None

    Returns
    -------
    array, shape (points, dimensions), 1, 0 to 1

    References
    ----------
    .. [1] M. D. McKay, R. J. Beckman and W. J. Conover, Technometrics 21, 239 (1979).
    """
    from scipy.stats import qmc

    if dimensions < 1 or points < 1:
        raise InputError("A design needs points and dimensions", got=f"{points} points, {dimensions} dimensions")
    # scipy < 1.15 calls it seed; by place it is the same
    return np.asarray(qmc.LatinHypercube(dimensions, rng=generator(rng)).random(points))


# -- surrogates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Surrogate:
    r"""A regression that stands for an expensive model, with the error that cross-validation found.

    Made by :meth:`fit`.

    Attributes
    ----------
    kind : {"linear", "quadratic", "gaussian process", "mean"}
        "mean" if none of them predicts anything.
    q2 : float
        :math:`Q^2 = 1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2` over held-out points; 1 is exact, 0 no better
        than the mean.
    residual : float
        Root mean square of the same differences, in the unit of the result.
    tried : dict of str to float
        Q2 of every kind.
    q2_ceiling : float
        Q2 that an exact model would reach, as the results are themselves noisy; nan if that noise is not known.
    points : int
    model : object
        The regression itself.
    design : array, shape (points, dimensions), 1, 0 to 1
        Points that it was trained on, in the unit cube.
    results : array, shape (points,)
        What the expensive model gave there.

    Notes
    -----
    Linear and quadratic: least squares with a ridge penalty chosen by generalised cross-validation [2]_. Gaussian
    process: a linear trend and a squared exponential, one length a dimension, and white noise, by maximum likelihood,
    anew in each fold. The folds that choose the kind are those that give the Q2, which flatters it a little: by no more
    than the best of three draws of its sampling error.

    References
    ----------
    .. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press, 2006.
    .. [2] G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979).
    """

    kind: str
    q2: float
    residual: float
    tried: dict[str, float]
    q2_ceiling: float
    points: int
    model: Any
    design: Array
    results: Array

    @classmethod
    def fit(
        cls,
        design: ArrayLike,
        results: ArrayLike,
        *,
        rng: Rng = None,
        folds: int = 5,
        kinds: Sequence[str] = ("linear", "quadratic", "gaussian process"),
        noise: float = math.nan,
    ) -> Surrogate:
        """Fit each kind, and keep the one that predicts held-out points best.

        Parameters
        ----------
        design : array, shape (points, dimensions)
            In the unit cube.
        results : array, shape (points,)
        rng : int, Generator or None
            Who is held out together.
        folds : int, >= 2
        kinds : sequence of str
        noise : float, optional
            Standard deviation of a result at one point, if known.

        Raises
        ------
        InputError
            If there are too few points or they are not finite.
        """
        X, y = np.asarray(design, dtype=float), np.asarray(results, dtype=float)
        if X.ndim != 2 or y.shape != (len(X),):
            raise InputError("One result for each point", got=f"shapes {X.shape} and {y.shape}")
        if len(y) < _FEWEST or not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise InputError(
                "A surrogate needs finite results", got=f"{len(y)} points", allowed=f"at least {_FEWEST}, all finite"
            )
        if isinstance(folds, bool) or folds % 1 != 0 or not 2 <= folds <= len(y):
            raise InputError("folds must be a whole number", got=folds, allowed=f"2 to {len(y)}, the points")
        variance = float(y.var())
        fold = generator(rng).permutation(np.arange(len(y)) % folds)
        tried: dict[str, float] = {}
        squares: dict[str, float] = {}
        for kind in kinds:
            held = np.empty(len(y))
            for k in range(folds):
                held[fold == k] = _predict(_trained(kind, X[fold != k], y[fold != k]), X[fold == k])
            squares[kind] = float(np.mean((y - held) ** 2))
            tried[kind] = 1.0 - squares[kind] / variance if variance > 0.0 else 1.0
        best = max(tried, key=lambda name: tried[name])
        q2, left = tried[best], squares[best]
        if q2 <= 0.0:  # the mean does better
            best, q2, left = "mean", 0.0, variance
        ceiling = 1.0 - noise**2 / variance if variance > 0.0 else math.nan
        return cls(best, q2, math.sqrt(left), tried, ceiling, len(y), _trained(best, X, y), X, y)

    def predict(self, points: ArrayLike) -> Array:
        """Expected result, shape (points,).

        Parameters
        ----------
        points : array, shape (points, dimensions), 1, 0 to 1
            In the unit cube; one point alone may be flat.

        Returns
        -------
        array, shape (points,)
            In the unit of the results.
        """
        return _predict(self.model, np.atleast_2d(np.asarray(points, dtype=float)))

    def resampled(self, rng: np.random.Generator) -> Surrogate:
        """The same kind of model, trained on points drawn with repetition from those it was trained on.

        Parameters
        ----------
        rng : Generator
            Draws them; as many as before.
        """
        drawn = rng.integers(0, len(self.results), len(self.results))
        model = _retrained(self.model, self.kind, self.design[drawn], self.results[drawn])
        return Surrogate(
            self.kind,
            self.q2,
            self.residual,
            self.tried,
            self.q2_ceiling,
            self.points,
            model,
            self.design[drawn],
            self.results[drawn],
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the model.

        Returns
        -------
        dict
            ``kind``, ``q2``, ``q2_ceiling``, ``residual``, ``tried`` and ``points``.
        """
        names = ("kind", "q2", "q2_ceiling", "residual", "tried", "points")
        return {name: getattr(self, name) for name in names}


def _trained(kind: str, X: Array, y: Array) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    middle, width = float(y.mean()), float(y.std()) or 1.0
    target = (y - middle) / width
    if kind == "mean":
        return (None, middle, width)
    if kind == "gaussian process":
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(np.ones(X.shape[1]), (0.05, 50.0)) + WhiteKernel(
            0.1, (1e-8, 2.0)
        )
        kernel = kernel + ConstantKernel(0.1, (1e-4, 1e2)) * DotProduct(1.0, (1e-2, 1e2))
        model = GaussianProcessRegressor(kernel, random_state=0)
        _quietly(lambda: model.fit(2.0 * X - 1.0, target))
    elif kind in ("linear", "quadratic"):
        degree = 1 if kind == "linear" else 2
        model = make_pipeline(
            PolynomialFeatures(degree, include_bias=False), StandardScaler(), RidgeCV(np.logspace(-6, 4, 31))
        )
        model.fit(2.0 * X - 1.0, target)
    else:
        raise InputError("Unknown surrogate", got=kind, allowed="linear, quadratic, gaussian process")
    return (model, middle, width)


def _retrained(trained: Any, kind: str, X: Array, y: Array) -> Any:
    """Train on other points; lengths of a Gaussian process stay, as repeated points would mislead them."""
    from sklearn.gaussian_process import GaussianProcessRegressor

    if kind != "gaussian process":
        return _trained(kind, X, y)
    old, middle, width = trained
    model = GaussianProcessRegressor(old.kernel_, optimizer=None)
    return (model.fit(2.0 * X - 1.0, (y - middle) / width), middle, width)


def _predict(trained: Any, X: Array) -> Array:
    model, middle, width = trained
    if model is None:
        return np.full(len(X), middle)
    blocks = np.array_split(X, max(1, len(X) // 20000))
    return middle + width * np.concatenate([np.asarray(model.predict(2.0 * b - 1.0)).ravel() for b in blocks])


def _quietly(work: Callable[[], Any]) -> None:
    """Fit a Gaussian process without what scikit-learn says about its lengths.

    Two messages only. A length at its bound is a finding (the input does nothing, or acts as a line). A search for
    lengths that stops early leaves worse lengths; how good they are is measured, by the cross-validated Q2 that
    decides whether this surrogate is used at all.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        for message in ("The optimal value found for dimension", "lbfgs failed to converge"):
            warnings.filterwarnings("ignore", message=message, category=ConvergenceWarning)
        work()


# -- indices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Indices:
    """First-order and total Sobol indices, with half-widths of their 95 % intervals.

    Attributes
    ----------
    names : tuple of str
    first, total : array, shape (inputs,), 1
        Share of the variance that would vanish if the input were known (on average); share that would remain if it
        alone were unknown.
    first_error, total_error : array, shape (inputs,), 1
        Half-width of the 95 % interval.
    mean, standard_deviation : float
        Of the result.
    samples : int
        Base samples; the model was called (inputs + 2) times as often.
    """

    names: tuple[str, ...]
    first: Array
    total: Array
    first_error: Array
    total_error: Array
    mean: float
    standard_deviation: float
    samples: int

    def order(self) -> NDArray[np.intp]:
        """Inputs by their total index, largest first.

        Returns
        -------
        array of int, shape (inputs,)
            Positions in `names`.
        """
        return np.argsort(-self.total, kind="stable")


def sobol(
    function: Callable[[Array], ArrayLike],
    names: Sequence[str],
    *,
    samples: int = 1024,
    resamples: int = 200,
    rng: Rng = 0,
    refits: Sequence[Callable[[Array], ArrayLike]] = (),
) -> Indices:
    """Sobol indices of a function on the unit cube.

    Parameters
    ----------
    function : callable
        Takes points, shape (n, inputs), returns n results.
    names : sequence of str
    samples : int, power of two
        Base samples of Saltelli's scheme.
    resamples : int, >= 2
        Bootstrap resamples for the intervals.
    rng : int, Generator or None
    refits : sequence of callable
        The function as other training sets would have made it; the spread of their indices widens the intervals.

    Raises
    ------
    InputError
        If SALib is missing, samples is no power of two, or the function does not give one finite number a point.

    References
    ----------
    .. [1] I. M. Sobol', Math. Comput. Simul. 55, 271 (2001).
    .. [2] A. Saltelli et al., Comput. Phys. Commun. 181, 259 (2010).
    .. [3] J. Herman and W. Usher, J. Open Source Softw. 2, 97 (2017): SALib.
    """
    try:
        from SALib.analyze import sobol as analyze
        from SALib.sample import sobol as sample
    except ImportError as error:
        raise InputError(
            "Sobol indices need SALib", got="not installed", action="pip install 'halidrift[explain]'"
        ) from error
    if samples < 8 or samples & (samples - 1):
        raise InputError("samples must be a power of two", got=samples, allowed=">= 8")
    random = generator(rng)
    first_seed, second_seed = (int(s) for s in random.integers(0, 2**31 - 1, 2))
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    points = sample.sample(problem, samples, calc_second_order=False, seed=first_seed)

    def indices(model: Callable[[Array], ArrayLike], size: int) -> Any:
        y = np.asarray(model(points), dtype=float)
        if y.shape != (len(points),) or not np.isfinite(y).all():
            raise InputError("The function must give one finite number for each point", got=f"shape {y.shape}")
        if y.std() <= 1e-12 * max(abs(float(y.mean())), 1e-300):  # nothing to share out
            none = np.zeros(len(names))
            return {"S1": none, "ST": none, "S1_conf": none, "ST_conf": none}, y
        found = analyze.analyze(problem, y, calc_second_order=False, num_resamples=size, seed=second_seed)
        return {key: np.asarray(found[key], dtype=float) for key in ("S1", "ST", "S1_conf", "ST_conf")}, y

    found, y = indices(function, resamples)
    wider = {"S1": 0.0, "ST": 0.0}
    if len(refits) > 1:
        others = [indices(refit, 2)[0] for refit in refits]
        wider = {key: 1.96 * np.std([other[key] for other in others], axis=0, ddof=1) for key in wider}
    return Indices(
        tuple(names),
        found["S1"],
        found["ST"],
        np.hypot(found["S1_conf"], wider["S1"]),
        np.hypot(found["ST_conf"], wider["ST"]),
        float(y.mean()),
        float(y.std()),
        samples,
    )
