"""Pictures of a crossbar: where its voltage goes, and how its read margin falls with size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..crossbar.cells import Cells, Ohmic
from ..crossbar.margin import lumped_margin, network_margin, read_margin
from ..crossbar.network import SCHEMES
from ._style import COLOURS, below, panels, styled

_COLOURS = {"floating": "vermillion", "half": "blue", "third": "green", "grounded": "orange"}
_LABELS = {"floating": "floating", "half": "V/2", "third": "V/3", "grounded": "grounded"}


@styled
def overview(
    fields: xr.Dataset,
    *,
    low_ohm: float,
    high_ohm: float,
    pull_up_ohm: float,
    margin: float = 0.1,
    line_ohm: float = 0.0,
    law: Callable[[Any], Cells] = Ohmic,
    voltage_V: float = 0.1,
    largest: int = 64,
) -> Figure:
    """Voltage and current of every cell, and read margin against N for each bias scheme.

    Parameters
    ----------
    fields : xarray.Dataset
        Of :meth:`halidrift.pipeline.crossbar.Crossbar.solve`.
    low_ohm, high_ohm, pull_up_ohm, line_ohm : float, ohm
    margin : float, 1
        Drawn as the least that is allowed.
    law : callable (conductances) -> Cells
    voltage_V : float, V
    largest : int
        Largest N of the third panel.

    Notes
    -----
    Points: the network with line resistance; lines: without; dotted: eq. (2) of the review, ohmic cells and floating
    lines. Margins below 0.01 % are not drawn, currents below a millionth of the largest look like that.
    """
    figure, axes = panels(11.0, 3.7, 1, 3)
    volts, amperes, curve = axes[0]
    extent = (-0.5, fields.sizes["bit"] - 0.5, fields.sizes["word"] - 0.5, -0.5)
    cell, current = fields["cell_voltage"].values, fields["cell_current"].values
    reach, top = float(np.abs(cell).max()), float(np.abs(current).max())
    shown: dict[str, Any] = {"extent": extent, "interpolation": "nearest", "aspect": "auto"}
    # both signs: brown and green around white
    signed: dict[str, Any] = {"cmap": "BrBG", "vmin": -reach, "vmax": reach}
    one_sign: dict[str, Any] = {"cmap": "cividis", "vmin": 0.0}
    both = cell.min() < -1e-2 * reach
    image = volts.imshow(cell, **(signed if both else {**one_sign, "vmax": reach}), **shown)
    figure.colorbar(image, ax=volts, label="voltage across the cell (V)")
    volts.set_title("Voltage")
    # over decades, without sign: the sneak currents are many and small
    size = np.abs(current)
    norm = LogNorm(vmin=float(np.clip(size.min(), 1e-6 * top, 0.1 * top)), vmax=top, clip=True)
    image = amperes.imshow(size, cmap="cividis", norm=norm, **shown)
    figure.colorbar(image, ax=amperes, label="size of the current of the cell (A)")
    amperes.set_title("Current")
    for panel in (volts, amperes):
        panel.set_xlabel("bit line (number)")
        panel.set_ylabel("word line (number)")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
        panel.spines[["top", "right"]].set_visible(True)
    _margins(curve, low_ohm, high_ohm, pull_up_ohm, margin, line_ohm, law, voltage_V, largest)
    below(figure, curve, columns=7)
    return figure


def _margins(
    panel: mpl.axes.Axes,
    low_ohm: float,
    high_ohm: float,
    pull_up_ohm: float,
    margin: float,
    line_ohm: float,
    law: Callable[[Any], Cells],
    voltage_V: float,
    largest: int,
) -> None:
    fine = np.unique(np.round(np.geomspace(2, max(largest, 4), 25)).astype(int))
    coarse = np.unique(np.round(np.geomspace(2, max(largest, 4), 9)).astype(int))
    options: dict[str, Any] = {"pull_up_ohm": pull_up_ohm, "law": law, "voltage_V": voltage_V}
    for scheme in SCHEMES:
        colour = COLOURS[_COLOURS[scheme]]
        ideal = [100 * lumped_margin(low_ohm, high_ohm, int(N), scheme=scheme, **options) for N in fine]
        panel.plot(fine, ideal, color=colour, label=_LABELS[scheme])
        if line_ohm > 0:
            lines: dict[str, Any] = {"word_segment_ohm": line_ohm, "bit_segment_ohm": line_ohm}
            real = [100 * network_margin(low_ohm, high_ohm, int(N), scheme=scheme, **lines, **options) for N in coarse]
            panel.plot(coarse, real, "o", color=colour, markersize=3.5, markeredgewidth=0.0)
    if line_ohm > 0:
        panel.plot([], [], "o", color=COLOURS["grey"], markersize=3.5, label=f"with {line_ohm:g} Ω a segment")
    printed = 100 * read_margin(low_ohm, high_ohm, fine.astype(float), pull_up_ohm=pull_up_ohm)
    panel.plot(fine, printed, ":", color="black", linewidth=1.8, label="eq. (2), ohmic, floating")
    panel.axhline(100 * margin, color=COLOURS["grey"], linewidth=0.8, linestyle="--", label="least margin")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_ylim(max(1e-2, 0.5 * float(printed.min())), 110.0)
    panel.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    panel.set_xlabel("N of an N x N array (number)")
    panel.set_ylabel("read margin (%)")
    panel.set_title("Read margin, all other cells low")
