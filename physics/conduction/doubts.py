"""Everything that a reader must know before quoting the best law."""

from __future__ import annotations

import math

import numpy as np

from .film import Film
from .laws import CONFUSABLE
from .measurement import Points
from .noise import Noise
from .result import CLOSE, LawFit

__all__ = ["doubts"]

# residual variance over that of the noise beyond which no fit is called a description
POOR = 2.0
# relative noise beyond which readings tell nothing
LOUD = 0.5
# correlation of neighbouring residuals beyond which a misfit is called systematic
SYSTEMATIC = 0.5


def doubts(
    ranking: tuple[LawFit, ...],
    points: Points,
    spikes: Points,
    noise: Noise,
    film: Film,
    temperatures: tuple[float, ...],
) -> tuple[str, ...]:
    """Sentences on the data, on the ranking and on the best law.

    Parameters
    ----------
    ranking : tuple of LawFit
        Best first.
    points : Points
        That the laws were fitted to.
    spikes : Points
        That were left out.
    noise : Noise
    film : Film
    temperatures : tuple of float, K
        Each one once.

    Returns
    -------
    tuple of str
    """
    best, said = ranking[0], []
    if len(temperatures) == 1:
        said.append(
            f"One temperature ({temperatures[0]:.0f} K): activation energies and barriers of thermally activated laws "
            "cannot be had from it and are left out; laws differ by their voltage dependence alone. "
            "Measure at several temperatures."
        )
    if film.thickness_m is None:
        said.append("No thickness: permittivities, hop lengths and all else that needs the field are left out.")
    if film.area_m2 is None:
        said.append("No area: conductivities, mobilities and prefactors are left out.")
    close = [found for found in ranking if found.delta < CLOSE]
    if len(close) > 1:
        said.append(
            f"{', '.join(found.title for found in close)} describe the data equally well (AICc within {CLOSE:g}); "
            "the first is the one with the fewest parameters and physical quantities, not the proven one."
        )
    for pair, why in CONFUSABLE.items():
        other = next((found for found in ranking if best.name in pair and found.name in pair - {best.name}), None)
        # a law of which the best is the limit pays 2 for each parameter that tells nothing
        if other is not None and other.delta < CLOSE + 2.0 * max(0, other.parameters - best.parameters):
            said.append(why[0].upper() + why[1:] + ".")
    if noise.relative is not None and noise.relative > LOUD:
        said.append(
            f"The readings are mostly noise ({100 * noise.relative:.0f} % of the current, floor {noise.floor_A:.2g} "
            "A): no law can be told from them."
        )
    if noise.relative is not None:
        ratio = (best.residual / noise.relative) ** 2
        if ratio > POOR:
            said.append(
                f"No law describes the data: the residuals of the best are {math.sqrt(ratio):.1f} times the noise "
                f"({'stated' if noise.given else 'scatter of neighbouring points'}, {100 * noise.relative:.2g} %). "
                "Its quantities are not to be quoted; try a narrower window."
            )
    else:
        said.append("Too few points in a row to see the noise: whether the best law describes the data is not known.")
    following = _following(best, points, noise)
    if following > SYSTEMATIC:
        said.append(
            f"Neighbouring residuals of the best law are alike (correlation {following:.2f}): its misfit is "
            "systematic, errors are too small and weights too sharp."
        )
    said += best.warnings
    if not best.physical:
        sound = next((found for found in ranking if found.physical), None)
        said.append(
            "No law has only physical quantities."
            if sound is None
            else f"The first law with physical quantities is {sound.title}, {sound.delta:.1f} in AICc behind."
        )
    if spikes.V.size:
        where = "; ".join(f"at {v:.3g} V, {T:.0f} K" for v, T in zip(spikes.V[:5], spikes.T[:5], strict=True))
        count = spikes.V.size
        told = "1 point is left out as a spike" if count == 1 else f"{count} points are left out as spikes"
        said.append(f"{told}, {where}{' ...' if count > 5 else ''}.")
    said += _events(points, noise)
    return tuple(said)


def _following(best: LawFit, points: Points, noise: Noise) -> float:
    """Correlation of neighbouring residuals along the runs; 0 where there are too few."""
    T = np.full_like(points.T, points.T.mean()) if best.single else points.T
    off = noise.straight(points.I) - noise.straight(best.predict(points.V, T))
    near = np.diff(points.run) == 0
    if near.sum() < 20:
        return 0.0
    return float(np.sum(off[1:][near] * off[:-1][near]) / np.sum(0.5 * (off[1:][near] ** 2 + off[:-1][near] ** 2)))


def _events(points: Points, noise: Noise) -> list[str]:
    """Signs that the branch holds more than conduction: a compliance limit, a switching event."""
    limits, jumps = [], []
    for run in np.unique(points.run):
        order = np.flatnonzero(points.run == run)
        order = order[np.argsort(points.V[order])]
        V, I = points.V[order], points.I[order]  # noqa: E741
        if V.size < 6:
            continue
        flat = np.flatnonzero(np.abs(I - I[-1]) > 0.01 * abs(I[-1]))
        first = int(flat[-1]) + 1 if flat.size else 0
        if V.size - first >= 4 and V[-1] > 1.05 * V[first]:
            limits.append((float(I[-1]), float(V[first])))
        ln = np.log(np.maximum(I, 3.0 * max(noise.floor_A, noise.bend_A * 1e-3)))
        steps = np.abs(np.diff(ln))
        for n in range(1, steps.size - 1):
            if steps[n] > math.log(5.0) and steps[n] > 3.0 * max(steps[n - 1], steps[n + 1]):
                jumps.append(float(V[n + 1]))
    said = []
    if limits:
        said.append(
            f"The current stays at {limits[0][0]:.3g} A from {limits[0][1]:.3g} V on: a compliance limit? "
            "End the window before it."
        )
    if jumps:
        said.append(f"The current jumps near {jumps[0]:.3g} V: a switching event? Fit the branch on one side of it.")
    return said
