"""Figures of `halidrift explain` and `halidrift design`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ._style import COLOURS, below, panels, save, styled

__all__ = ["bars", "design_map", "save_bars", "save_map"]

_KIND = {"published": "blue", "calibrated": "orange", "assumed": "vermillion", "error": "grey"}
_MOST = 10


@styled
def bars(results: Mapping[str, Any]) -> Figure:
    """First-order and total indices with their 95 % intervals, one panel for each analysis; colour is the kind.

    Parameters
    ----------
    results : mapping
        Content of ``explain.json``.
    """
    analyses = results["analyses"]
    lines = (len(analyses) + 1) // 2
    figure, axes = panels(10.4, lines * (0.33 * _MOST + 0.9) + 0.4, lines, 2)
    for ax in axes.ravel()[len(analyses) :]:
        ax.axis("off")
    for ax, (name, analysis) in zip(axes.ravel(), analyses.items(), strict=False):
        rows = analysis["rows"][:_MOST]
        y = np.arange(len(rows))
        for i, row in enumerate(rows):
            colour = COLOURS[_KIND[row["kind"]]]
            at = {"ecolor": COLOURS["black"], "error_kw": {"elinewidth": 0.9}, "capsize": 2.0}
            ax.barh(
                i - 0.2, max(row["total"], 0.0), 0.38, color=colour, label=row["kind"], xerr=row["total_error"], **at
            )
            ax.barh(
                i + 0.2,
                max(row["first"], 0.0),
                0.38,
                color="white",
                edgecolor=colour,
                hatch="////",
                xerr=row["first_error"],
                **at,
            )
        ax.set_yticks(y, [_short(row["name"]) for row in rows], fontsize=7.5)
        ax.invert_yaxis()
        ax.set_xlim(0.0, 1.05 * max(r["total"] + r["total_error"] for r in rows))
        ax.set_xlabel("share of the variance (full: total; hatched: first)")
        spread = 100.0 * analysis["accuracy_standard_deviation"]
        title = f"{name}:\naccuracy {100.0 * analysis['accuracy_mean']:.1f} ± {spread:.1f} %"
        ax.set_title(title if analysis["resolved"] else f"{title}, NOT RESOLVED")
    below(figure, *axes.ravel(), columns=4)
    return figure


def _short(name: str) -> str:
    if name.startswith("finite patterns"):
        return "patterns, training,\nsurrogate of the network"
    return name.replace("error of the surrogate: ", "error: ")


@styled
def design_map(results: Mapping[str, Any]) -> Figure:
    """Accuracy against relaxation time and node spacing, and what each choice of the design brings.

    Parameters
    ----------
    results : mapping
        Content of ``design.json``.
    """
    figure, axes = panels(10.4, 4.2, 1, 2, width_ratios=(1.0, 1.15))
    left, right = axes[0]
    grid = results["map"]
    tau, gap = 1e3 * np.array(grid["relaxation_time_s"]), 1e3 * np.array(grid["interval_s"])
    z = 100.0 * np.array(grid["accuracy"])
    mesh = left.pcolormesh(tau, gap, z.T, cmap="cividis", shading="nearest")
    figure.colorbar(mesh, ax=left, label="accuracy (%)")
    for name, marker in (("paper", "o"), ("winner", "*")):
        row = results["confirmed"][name]
        left.plot(
            1e3 * row["relaxation_time_s"],
            1e3 * row["design"]["interval_s"],
            marker,
            color="white",
            markeredgecolor="black",
            markersize=9 if marker == "o" else 14,
            linestyle="none",
            label="paper's device" if name == "paper" else "design",
        )
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_yticks(gap[::2], [f"{g:.0f}" for g in gap[::2]])
    left.minorticks_off()
    left.set_xlabel("relaxation time (ms)")
    left.set_ylabel("node spacing (ms)")
    left.set_title(grid["title"])
    left.legend(loc="upper left", facecolor="#dddddd", frameon=True)
    steps = results["mechanism"]["steps"]
    y = np.arange(len(steps))
    for offset, key, colour in ((-0.2, "alone", "blue"), (0.2, "missing", "orange")):
        label = {"alone": "this change alone, on the paper's device", "missing": "lost if only this change is undone"}[
            key
        ]
        right.barh(
            y + offset,
            [100.0 * step[key] for step in steps],
            0.38,
            color=COLOURS[colour],
            xerr=[100.0 * step["error"] * 1.96 for step in steps],
            label=label,
            error_kw={"elinewidth": 0.9},
            capsize=2.0,
        )
    right.axvline(0.0, color="black", linewidth=0.8)
    right.set_yticks(y, [step["name"] for step in steps])
    right.invert_yaxis()
    right.set_xlabel("accuracy gained (percentage points)")
    right.set_title("What each choice brings, by surrogates")
    below(figure, right, columns=2)
    return figure


def save_bars(results: Mapping[str, Any], file: str | os.PathLike[str]) -> Path:
    """Write :func:`bars`.

    Parameters
    ----------
    results : mapping
        Content of ``explain.json``.
    file : path
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    """
    return save(bars(results), file)


def save_map(results: Mapping[str, Any], file: str | os.PathLike[str]) -> Path:
    """Write :func:`design_map`.

    Parameters
    ----------
    results : mapping
        Content of ``design.json``.
    file : path
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    """
    return save(design_map(results), file)
