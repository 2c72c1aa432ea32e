"""Figures of the reproduction of Kim et al. 2019: one for each protocol, all films, the paper's trend beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from ._style import COLOURS, below, described, number, panels, span, spread, styled, wrapped

__all__ = ["arrhenius", "conditions", "digits", "energy", "forgetting", "plasticity", "single", "update"]

Array = NDArray[np.float64]

_FILMS = {
    "1": ("black", "o"),
    "2": ("blue", "s"),
    "3": ("sky", "^"),
    "4": ("green", "v"),
    "5": ("orange", "D"),
    "inf": ("vermillion", "P"),
}


def _label(film: str) -> str:
    return "3D (n = ∞)" if film == "inf" else f"n = {film}"


def _said(film: str) -> str:
    """A film as it is read aloud."""
    return "3D" if film == "inf" else f"n = {film}"


def _each(values: Mapping[str, str]) -> str:
    return ", ".join(f"{_said(film)} {text}" for film, text in values.items()) or "none"


def _look(film: str) -> dict[str, Any]:
    colour, marker = _FILMS[film]
    return {"color": COLOURS[colour], "marker": marker, "markersize": 3.5}


def _sparse(film: str) -> tuple[float, float]:
    """Where a dense curve has markers: the films apart from each other, so that none depends on its colour."""
    return 0.02 * list(_FILMS).index(film), 0.13


@styled
def single(curves: Mapping[str, tuple[Array, Array]], read_V: float) -> Figure:
    """EPSC of each film: electrons' current at the read voltage (A) against time (s) from the start of the spike.

    Parameters
    ----------
    curves : mapping of str to (array, array), shape (n,), s and A
        Time from the start of the spike, and magnitude of the current, by film.
    read_V : float, V
        Read voltage at which the electrons' current is taken.
    """
    figure, axes = panels(7.6, 3.6, 1, 2)
    left, right = axes[0]
    for film, (time, current) in curves.items():
        look = _look(film) | {"markevery": _sparse(film)}
        left.plot(1e3 * time, 1e12 * current, label=_label(film), **look)
        right.plot(1e3 * time, current / current[0], **look)
    left.set_yscale("log")
    left.set_ylabel(f"|electrons' current at {read_V:g} V| (pA)")
    right.set_ylabel("over its value before the spike")
    right.set_yscale("log")
    for ax in (left, right):
        ax.axvspan(0.0, 20.0, color="#eeeeee")
        ax.set_xlabel("time from the start of the spike (ms)")
    left.set_title("One spike of -1 V, 20 ms (shaded)")
    right.set_title("Paper: abrupt rise, gradual decay;\nthe smallest current in the 2D film")
    below(figure, left, columns=6)
    peaks = {n: f"{number(float(c.max()), 'A')} ({c.max() / c[0]:.3g} times)" for n, (_, c) in curves.items()}
    ends = {n: f"{c[-1] / c[0]:.3g} times" for n, (_, c) in curves.items()}
    return described(
        figure,
        f"Electrons' current at {read_V:g} V against time, one spike of -1 V, 20 ms; left in pA, right over its value "
        "before the spike, both logarithmic. It rises in the spike and decays after it.",
        f"Peak: {_each(peaks)}. At the end: {_each(ends)} the value before.",
    )


@styled
def plasticity(found: Mapping[str, tuple[str, str, str, Mapping[str, tuple[Array, Array]]]]) -> Figure:
    """The five indices: by panel the axis label, the index, the paper's trend, and for each film x and y.

    Parameters
    ----------
    found : mapping of str to (str, str, str, mapping)
        By protocol: label of the axis with its unit, name of the index, the paper's trend, and by film what was varied
        and the index A_n / A_1.
    """
    figure, axes = panels(8.6, 5.2, 2, 3)
    panel = list(axes.ravel())
    for ax, (axis, index, trend, curves) in zip(panel, found.values(), strict=False):
        # two films apart by 1 % are alike on any axis that also holds a factor of ten
        for film, (x, y) in curves.items():
            ax.plot(x[y != 1.0], y[y != 1.0] - 1.0, label=_label(film), **_look(film))
        ax.set_xlabel(axis)
        ax.set_ylabel(f"{index} - 1")
        ax.set_yscale("log")
        ax.set_title(f"Paper: {trend}")
        _trend(ax, trend)
    for ax in panel[len(found) :]:
        ax.axis("off")
    grid = panel[0].get_gridspec()
    if grid.ncols == 1:  # of a telephone, where an empty panel is a hole
        grid.set_height_ratios([1.0] * len(found) + [1e-3] * (len(panel) - len(found)))
    below(figure, *panel[: len(found)], columns=6)
    words = [
        f"{index} less 1 against {axis}; the paper: {trend}: "
        + _each({n: f"{number(y[x.argmin()] - 1)} to {number(y[x.argmax()] - 1)}" for n, (x, y) in curves.items()})
        + "."
        for axis, index, trend, curves in found.values()
    ]
    return described(figure, "Five panels, each from the smallest to the largest of what was varied.", *words)


def _trend(ax: Any, trend: str) -> None:
    """The paper's trend as an arrow; it prints no values outside its figures."""
    low, high = (0.12, 0.30) if trend == "rises" else (0.30, 0.12)
    ax.annotate(
        "",
        xy=(0.30, 0.55 + high),
        xytext=(0.06, 0.55 + low),
        xycoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": COLOURS["grey"], "linewidth": 2.0},
    )


@styled
def forgetting(
    curves: Mapping[str, tuple[Array, Array]],
    fits: Mapping[str, tuple[float, float]],
    table: Mapping[str, Sequence[float]],
) -> Figure:
    """Weight after 30 spikes against time (s) for each film, with the paper's b t^-m; m of both beside.

    Parameters
    ----------
    curves : mapping of str to (array, array), shape (n,), s and 1
        Time after the last spike, and weight over its peak, by film.
    fits : mapping of str to (float, float)
        b and m of b (t / 1 s)^-m, by film.
    table : mapping of str to sequence of float
        The paper's b and m, first of each film.
    """
    figure, axes = panels(8.6, 4.0, 1, 2, width_ratios=[1.5, 1.0])
    left, right = axes[0]
    for film, (t, y) in curves.items():
        colour = COLOURS[_FILMS[film][0]]
        shown = (t > 0.01) & (y > 1e-6)
        left.plot(t[shown], y[shown], label=_label(film), markevery=_sparse(film), **_look(film))
        b, m = table[film][:2]
        times = np.geomspace(0.1, 15.0, 20)
        left.plot(times, b * times**-m, color=colour, linestyle=":", linewidth=2.0)
    left.plot([], [], color=COLOURS["grey"], linestyle=":", linewidth=2.0, label="paper, b t$^{-m}$")
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_ylim(3e-5, 1.5)
    left.set_xlabel("time after the 30th spike (s)")
    left.set_ylabel("weight, change over its peak")
    left.set_title("Retention, read at -0.1 V")
    names = list(table)
    at = np.arange(len(names))
    right.plot(
        at, [table[n][1] for n in names], "o", color=COLOURS["grey"], markersize=9, fillstyle="none", label="paper"
    )
    shown_at = [i for i, n in enumerate(names) if n in fits]
    right.plot(shown_at, [fits[names[i]][1] for i in shown_at], "x", color=COLOURS["vermillion"], label="IonFilm")
    right.set_xticks(at, ["∞" if n == "inf" else n for n in names])
    right.set_xlabel("n")
    right.set_ylabel("power function rate m")
    right.set_ylim(bottom=0.0)
    right.set_title("Table 2")
    below(figure, left, right, columns=5)
    rates = {n: f"{fits[n][1]:.3g} (paper {table[n][1]:g})" for n in names if n in fits}
    return described(
        figure,
        "Left, weight over its peak against time after the 30th spike, both logarithmic, with the paper's power laws "
        f"dotted. Right, power function rate m: {_each(rates)}.",
    )


@styled
def conditions(rows: Mapping[str, Mapping[str, float]], table: Mapping[str, Sequence[float]]) -> Figure:
    """m of each film under other conditions of reading (condition -> film -> m).

    Parameters
    ----------
    rows : mapping of str to mapping of str to float
        m by condition, in words, and by film.
    table : mapping of str to sequence of float
        The paper's b and m, first of each film.
    """
    figure, axes = panels(8.0, spread(0.30) * len(rows) + 1.6)
    ax = axes[0, 0]
    for place, values in enumerate(rows.values()):
        for film, m in values.items():
            ax.plot(m, place, linestyle="none", label=_label(film), **{**_look(film), "markersize": 6})
    for film in {film for values in rows.values() for film in values}:
        ax.axvline(table[film][1], color=COLOURS[_FILMS[film][0]], linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(rows)), wrapped(list(rows)))
    ax.invert_yaxis()
    ax.set_xlabel("power function rate m (dotted: Table 2)")
    ax.set_title("What the same film shows to another reader")
    below(figure, ax, columns=6)
    seen: dict[str, list[float]] = {}
    for values in rows.values():
        for film, m in values.items():
            seen.setdefault(film, []).append(m)
    words = {n: f"{span(found)} (Table 2: {table[n][1]:g})" for n, found in seen.items()}
    return described(
        figure,
        f"Power function rate m under {len(rows)} conditions, every value of which is in a table of this page: "
        f"{_each(words)}.",
    )


@styled
def update(curves: Mapping[str, Array], late: Mapping[str, Array], how: str) -> Figure:
    """Conductance after each potentiating and depressing spike: n = 3 with the straight line, every film, read late.

    Parameters
    ----------
    curves : mapping of str to array, shape (spikes,), S
        Conductance after each spike, potentiating ones first, by film.
    late : mapping of str to array, shape (spikes,), S
        The same, read later after each spike.
    how : str
        How `late` was read, in words.
    """
    figure, axes = panels(9.6, 3.6, 1, 3)
    left, right, last = axes[0]
    if "3" in curves:
        G = 1e12 * curves["3"]
        half = G.size // 2
        left.plot(np.arange(1, G.size + 1), G, **_look("3"), label="IonFilm, n = 3")
        for start, stop in ((0, half), (half, G.size)):
            left.plot([start + 1, stop], [G[start], G[stop - 1]], ":", color=COLOURS["grey"], label="straight line")
    left.set_xlabel("spike")
    left.set_ylabel("conductance (pS)")
    left.set_title("20 of -1 V, 20 of +1 V\nPaper: almost linear")
    for film, values in curves.items():
        right.plot(np.arange(1, values.size + 1), values / values[0], label=_label(film), **_look(film))
    right.set_yscale("log")
    right.set_xlabel("spike")
    right.set_ylabel("over the first")
    right.set_title("Every film")
    for film, values in late.items():
        share = (values - values.min()) / np.ptp(values)
        last.plot(np.arange(1, values.size + 1), share, label=_label(film), **_look(film))
    last.set_xlabel("spike")
    last.set_ylabel("share of its range")
    last.set_title("Every film, read\n" + how.replace(", ", ",\n"))
    below(figure, left, right, columns=4)
    words = {n: f"{number(float(v.max() / v[0]))} and {number(float(v[-1] / v[0]))}" for n, v in curves.items()}
    wide = {n: number(float(v.max() / v[0])) for n, v in late.items()}
    return described(
        figure,
        "Conductance after each of the potentiating, then the depressing spikes: left n = 3 beside a straight line, "
        f"middle every film over its first value, right every film read {how}, as a share of its range.",
        f"Largest and last over the first: {_each(words)}. Largest over the first, read {how}: {_each(wide)}.",
    )


@styled
def energy(areas_um2: Sequence[float], by_film: Mapping[str, Sequence[float]]) -> Figure:
    """E = P I t against area for each film, and what the paper prints for n = 1.

    Parameters
    ----------
    areas_um2 : sequence of float, um^2
    by_film : mapping of str to sequence of float, J
        Energy of an event at each area, by film.
    """
    figure, axes = panels(5.6, 3.8)
    ax = axes[0, 0]
    for film, energies in by_film.items():
        ax.plot(areas_um2, 1e15 * np.asarray(energies), label=_label(film), **_look(film))
    ax.plot(
        [6.25e4], [18.0], "o", color=COLOURS["grey"], markersize=10, fillstyle="none", label="paper, n = 1, ≈ 18 fJ"
    )
    ax.axhspan(1.0, 10.0, color="#eeeeee", label="biological, 1-10 fJ")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(areas_um2, [f"{a:g}" for a in areas_um2])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("area (µm²)")
    ax.set_ylabel("P I t (fJ)")
    ax.set_title("Energy of a -1 V, 20 ms event. Paper: in proportion to the area")
    below(figure, ax, columns=4)
    words = {n: span(energies, "J") for n, energies in by_film.items()}
    return described(
        figure,
        f"Energy of an event against the area of the electrode, both logarithmic, {span(areas_um2, 'µm²')}: "
        f"{_each(words)}. The paper prints about 18 fJ for n = 1 at 62,500 µm²; a biological event takes 1 to 10 fJ.",
    )


@styled
def arrhenius(
    lines: Mapping[str, tuple[Array, Array]],
    energies: Mapping[str, Mapping[str, float]],
    table: Mapping[str, Sequence[float]],
) -> Figure:
    """ln R against 1000/T for each film, and E_A: the paper's, ions at rest, ions under the read, after a spike.

    Parameters
    ----------
    lines : mapping of str to (array, array), shape (n,), K and ohm
        Temperature, and resistance while it is read, by film.
    energies : mapping of str to mapping of str to float, eV
        By film, then "rest", "read" and "spike".
    table : mapping of str to sequence of float
        The paper's b, m and E_A (eV) of each film.
    """
    figure, axes = panels(8.0, 3.8, 1, 2)
    left, right = axes[0]
    for film, (T, R) in lines.items():
        left.plot(1e3 / T, np.log(R), label=_label(film), **_look(film))
    left.set_xlabel("1000 K / T")
    left.set_ylabel("ln (R / Ω)")
    left.set_title("Resistance while it is read")
    names = list(energies)
    at = np.arange(len(names))
    right.plot(
        at, [table[n][2] for n in names], "o", color=COLOURS["grey"], markersize=10, fillstyle="none", label="paper"
    )
    styles = {
        "rest": ("+", "blue", "ions at rest (put in)"),
        "read": ("x", "vermillion", "while read"),
        "spike": ("1", "green", "after a spike"),
    }
    for name, (marker, colour, label) in styles.items():
        right.plot(at, [energies[n][name] for n in names], marker, color=COLOURS[colour], label=label)
    right.set_xticks(at, ["∞" if n == "inf" else n for n in names])
    right.set_xlabel("n")
    right.set_ylabel("E$_A$ (eV)")
    right.set_ylim(bottom=0.0)
    right.set_title("Activation energy of the resistance")
    below(figure, left, right, columns=5)
    words = {
        n: ", ".join(f"{e[key]:.3g} {text}" for key, (_, _, text) in styles.items()) + f" (paper {table[n][2]:g})"
        for n, e in energies.items()
    }
    return described(
        figure,
        "Left, logarithm of the resistance against 1000 K / T, a rising line for each film. "
        f"Right, activation energy in eV: {'; '.join(f'{_said(n)}: {text}' for n, text in words.items())}.",
    )


_READS = {"update": ("vermillion", "o"), "late": ("blue", "s")}
_LINES = {"update": ("vermillion", "--"), "late": ("blue", (0, (5, 1.5, 1, 1.5, 1, 1.5)))}


@styled
def digits(rows: Sequence[Mapping[str, Any]], paper_percent: float = 91.26) -> Figure:
    """Test accuracy against epochs and by film, and the confusion matrices of n = 3.

    `rows` are those of ``results.json``: one for each network.

    Parameters
    ----------
    rows : sequence of mapping
        ``digits`` of ``results.json``, accuracies in %.
    paper_percent : float, %
        Accuracy that the paper reports for n = 3.
    """
    found = {row["case"]: row for row in rows}
    figure, axes = panels(8.6, 6.6, 2, 2, height_ratios=[1.0, 1.25])
    curves, films = axes[0]

    def words(read: str) -> str:
        return str(next((row["read"] for row in rows if row["case"] == f"n3-{read}"), ""))

    shown = {
        "float": ("black", "-", "floating point"),
        "linear_20": ("green", "-.", "20 even steps"),
        **{f"n3-{read}": (*style, "n = 3, read " + words(read)) for read, style in _LINES.items()},
    }
    for case, (colour, line, label) in shown.items():
        if case in found:
            history = np.asarray(found[case]["history_percent"])
            epochs = np.arange(1, history.shape[1] + 1)
            mean, spread = history.mean(axis=0), history.std(axis=0, ddof=1 if len(history) > 1 else 0)
            curves.plot(epochs, mean, linestyle=line, color=COLOURS[colour], label=label)
            curves.fill_between(epochs, mean - spread, mean + spread, color=COLOURS[colour], alpha=0.2, linewidth=0)
    names = [n for n in _FILMS if f"n{n}-update" in found]
    for read, (colour, marker) in _READS.items():
        own = [(at, found[f"n{n}-{read}"]) for at, n in enumerate(names) if f"n{n}-{read}" in found]
        films.errorbar(
            [at for at, _ in own],
            [row["test_percent"] for _, row in own],
            [row["spread_percent"] for _, row in own],
            color=COLOURS[colour],
            marker=marker,
            linestyle="none",
            capsize=3,
        )
    films.set_xticks(range(len(names)), ["∞" if n == "inf" else n for n in names])
    films.set_xlabel("n")
    curves.set_xlabel("epoch")
    curves.set_title("8 × 8 digits, images that were held back")
    films.set_title("After the last epoch, by film")
    for ax in (curves, films):
        ax.axhline(paper_percent, color=COLOURS["grey"], linestyle=":", label=f"paper, n = 3: {paper_percent:g} %")
        ax.axhline(10.0, color=COLOURS["grey"], linewidth=0.8, label="chance")
        ax.set_ylim(0.0, 100.0)
        ax.set_ylabel("accuracy (%)")
    for ax, read in zip(axes[1], _READS, strict=True):
        row = found.get(f"n3-{read}")
        if row is None:
            ax.axis("off")
            continue
        matrix = 100.0 * np.asarray(row["confusion"])
        picture = ax.imshow(matrix, cmap="cividis", vmin=0.0, vmax=100.0)
        for true in range(len(matrix)):
            for told in range(len(matrix)):
                if matrix[true, told] >= 0.5:
                    colour = "black" if matrix[true, told] > 55 else "white"
                    text = f"{matrix[true, told]:.0f}"
                    ax.text(told, true, text, ha="center", va="center", color=colour, fontsize=6.5)
        ax.set_xticks(range(len(matrix)))
        ax.set_yticks(range(len(matrix)))
        ax.set_xlabel("recognised as")
        ax.set_ylabel("digit")
        ax.set_title("n = 3, read " + words(read).replace(", ", ",\n"))
        for spine in ax.spines.values():
            spine.set_visible(False)
        figure.colorbar(picture, ax=ax, label="share of the digit (%)", shrink=0.85)
    below(figure, curves, films, columns=2)
    ends = [f"{label} {found[case]['test_percent']:.1f} %" for case, (*_, label) in shown.items() if case in found]
    by_film = [
        f"read {words(read)}: "
        + _each({n: f"{found[f'n{n}-{read}']['test_percent']:.1f} %" for n in names if f"n{n}-{read}" in found})
        for read in _READS
    ]
    return described(
        figure,
        f"Accuracy on 8 by 8 digits that were held back, after the last epoch: {', '.join(ends) or 'none'}; chance is "
        f"10 %, the paper has {paper_percent:g} % for n = 3. By film, {'; '.join(by_film)}. Below, confusion matrices "
        "of n = 3.",
        *(_mixed(words(read), found[f"n3-{read}"]["confusion"]) for read in _READS if f"n3-{read}" in found),
    )


def _mixed(read: str, confusion: Any) -> str:
    """The digit that is recognised least, and what it is taken for."""
    matrix = 100.0 * np.asarray(confusion)
    worst = int(np.diag(matrix).argmin())
    other = int(np.where(np.arange(len(matrix)) == worst, -1.0, matrix[worst]).argmax())
    return (
        f"Read {read}: {worst} is recognised least, {matrix[worst, worst]:.0f} %, and taken for {other} in "
        f"{matrix[worst, other]:.0f} %."
    )
