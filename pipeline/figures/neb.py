"""Minimum-energy paths of a hop, and its barrier against the size of the supercell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ...physics.barriers import Barrier
from ...physics.errors import InputError
from ...physics.neb import FiniteSize
from ._style import COLOURS, below, panels, styled

__all__ = ["paths"]

# colour and marker tell the same, for readers of either
_SEEDS = (
    (COLOURS["blue"], "o"),
    (COLOURS["vermillion"], "s"),
    (COLOURS["green"], "^"),
    (COLOURS["purple"], "D"),
    (COLOURS["orange"], "v"),
    (COLOURS["sky"], "P"),
)


@styled
def paths(series: FiniteSize, literature: Sequence[Barrier] = ()) -> Figure:
    """One panel a supercell with the path of each seed, and one with the barriers against the number of atoms.

    Parameters
    ----------
    series : FiniteSize
        With one run at least.
    literature : sequence of Barrier
        Drawn beside the barriers; one-sided bounds are left out.

    Raises
    ------
    InputError
        If the series has no run.
    """
    if not series.runs:
        raise InputError("There is no path to draw", got="no run")
    sizes = series.sizes
    figure, axes = panels(2.5 * (len(sizes) + 1) + 0.7, 3.5, columns=len(sizes) + 1)
    styles = {seed: _SEEDS[i % len(_SEEDS)] for i, seed in enumerate(sorted({run.seed for run in series.runs}))}
    tops, bottoms = [], []
    for ax, size in zip(axes[0], sizes, strict=False):
        for run in series.runs:
            if run.repeat != size.repeat:
                continue
            colour, marker = styles[run.seed]
            s, e = run.band.curve()
            # seeds have paths of unequal length; compared by the part of the way
            length = run.band.distances_angstrom[-1]
            ax.plot(s / length, e, color=colour)
            ax.plot(
                run.band.distances_angstrom / length,
                run.band.energies_eV,
                marker,
                color=colour,
                markersize=4,
                label=f"seed {run.seed}",
            )
            tops.append(max(e.max(), run.band.energies_eV.max()))
            bottoms.append(min(e.min(), run.band.energies_eV.min()))
        ax.set_title(f"{size.size}, {size.atoms} atoms")
        ax.set_xlabel("fraction of the path length")
    margin = 0.06 * (max(tops) - min(bottoms))
    for ax in axes[0, : len(sizes)]:
        ax.set_ylim(min(bottoms) - margin, max(tops) + margin)
    axes[0, 0].set_ylabel("energy (eV)")

    ax = axes[0, -1]
    atoms = np.array([size.atoms for size in sizes])
    for row in literature:
        if row.low_eV is None or row.high_eV is None:
            continue
        label = f"{row.source}: {row.printed}"
        if row.low_eV == row.high_eV:
            ax.axhline(row.low_eV, color=COLOURS["grey"], linestyle="--", label=label)
        else:
            ax.axhspan(row.low_eV, row.high_eV, color=COLOURS["grey"], alpha=0.25, linewidth=0, label=label)
    order = {seed: i - 0.5 * (len(styles) - 1) for i, seed in enumerate(styles)}
    for run in series.runs:
        colour, marker = styles[run.seed]
        place = run.atoms * 1.05 ** order[run.seed]  # seeds side by side
        for value, fill in ((run.forward_eV, colour), (run.backward_eV, "white")):
            ax.plot(place, value, marker, color=colour, markerfacecolor=fill, markersize=5)
    ax.plot(atoms, [size.mean_eV for size in sizes], "_", color=COLOURS["black"], markersize=16, label="mean")
    ax.plot([], [], "o", color="#555555", label="there")
    ax.plot([], [], "o", color="#555555", markerfacecolor="white", label="back")
    ax.set_xscale("log")
    ax.set_xticks(atoms, [str(n) for n in atoms])
    ax.minorticks_off()
    ax.set_xlim(atoms.min() / 1.4, atoms.max() * 1.4)
    bottom, top = min(0.0, ax.get_ylim()[0]), ax.get_ylim()[1]
    ax.set_ylim(bottom, top + 0.05 * (top - bottom))
    ax.set_xlabel("atoms of the supercell")
    ax.set_ylabel("barrier (eV)")
    ax.set_title("barrier")
    first = series.runs[0]
    host = f"{first.phase} {first.material}".strip()
    figure.suptitle(f"{first.species} in {host}: {first.theory} {first.version}", x=0.01, ha="left", fontsize=10)
    below(figure, *axes[0], columns=4)
    return figure
