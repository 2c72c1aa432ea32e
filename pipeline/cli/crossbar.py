"""`halidrift crossbar`: read margin, sneak current and largest size of an array."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ...physics.errors import InputError
from ._console import Json, check_files, give, measured, on_stdout, out, staged

if TYPE_CHECKING:
    from collections.abc import Callable

_BIAS = {"floating": "floating", "half": "at V/2", "third": "at V/3 and 2V/3", "grounded": "at 0 V"}
_LAWS = ("ohmic", "sinh", "rectifying", "diode")


def crossbar(
    size: Annotated[int, typer.Option("--size", help="N of an N x N array.")] = 64,
    line_ohm: Annotated[
        float, measured("--line", "ohm", "Of a line from one cell to the next, words and bits alike.")
    ] = 2.5,
    low_ohm: Annotated[float, measured("--low", "ohm", "Low-resistance state, R_LRS.")] = 1e4,
    high_ohm: Annotated[float, measured("--high", "ohm", "High-resistance state, R_HRS.")] = 1e7,
    voltage: Annotated[float, measured("--voltage", "V", "Read voltage.")] = 0.1,
    scheme: Annotated[
        str, typer.Option("--scheme", help="Unselected lines: floating, half (V/2), third (V/3) or grounded.")
    ] = "floating",
    pull_up: Annotated[
        str, typer.Option("--pull-up", help="Pull-up resistor: low, high, geometric, best, or a resistance, as 10kohm.")
    ] = "low",
    driver_ohm: Annotated[float, measured("--driver", "ohm", "Of the word drivers.")] = 0.0,
    margin: Annotated[float, typer.Option("--margin", help="Least read margin, as share of the voltage.")] = 0.1,
    law: Annotated[str, typer.Option("--law", help="Of the cells: ohmic, sinh, rectifying or diode.")] = "ohmic",
    nonlinearity: Annotated[
        float, typer.Option("--nonlinearity", help="Of sinh cells: I(V)/I(V/2) at the read voltage, above 2.")
    ] = 10.0,
    rectification: Annotated[
        float, typer.Option("--rectification", help="Of rectifying cells: forward over reverse current.")
    ] = 514.0,
    saturation_A: Annotated[float, measured("--saturation", "A", "Of the diodes, at 300 K.")] = 1e-9,
    low_spread: Annotated[
        float, typer.Option("--low-spread", help="Standard deviation of ln R from cell to cell, low state.")
    ] = 0.0,
    high_spread: Annotated[float, typer.Option("--high-spread", help="The same of the high state.")] = 0.0,
    samples: Annotated[
        int, typer.Option("--samples", help="Arrays to draw for margins and bit errors; 0 for none.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture (.png, .svg or .pdf): voltages, margin against N.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Solve an array with resistive lines: read margin, sneak current, disturb, largest size.

    The selected cell is the one farthest from driver and sense amplifier, all others are in the low-resistance state.

    Example: halidrift crossbar --size 64 --line 2.5ohm --low 10kohm --high 10Mohm --scheme half
    """
    check_files(plot=plot, json=json_file)
    if size < 2:
        raise InputError("--size is too small", got=size, allowed=">= 2")
    if samples < 0 or samples == 1:
        raise InputError("--samples is out of range", got=samples, allowed="0, or 2 and more")
    if not samples and (low_spread or high_spread):
        raise InputError(
            "A spread from cell to cell acts on arrays that are drawn",
            got=f"--low-spread {low_spread:g} --high-spread {high_spread:g}, no --samples",
            action="Add --samples 100, or leave the spread out",
        )
    resistor = _pull_up(pull_up)
    cells, term = _law(law, voltage, nonlinearity, rectification, saturation_A)
    with staged() as tell:
        found = _results(
            tell,
            size=size,
            line_ohm=line_ohm,
            low_ohm=low_ohm,
            high_ohm=high_ohm,
            voltage_V=voltage,
            scheme=scheme,
            pull_up=resistor,
            driver_ohm=driver_ohm,
            margin=margin,
            cells=cells,
            term=term,
        )
    if samples:
        from ..crossbar import Spread, read_distribution

        with staged() as tell:
            tell("arrays drawn", 0, samples)
            drawn = read_distribution(
                Spread(low_ohm, high_ohm, low_spread, high_spread),
                size,
                samples=samples,
                scheme=scheme,
                voltage_V=voltage,
                law=cells,
                word_segment_ohm=line_ohm,
                bit_segment_ohm=line_ohm,
                driver_ohm=driver_ohm,
                sense_ohm=0.0,
                rng=seed,
                progress=functools.partial(tell, "arrays drawn"),
            )
        names = ("threshold_A", "bit_error", "bit_error_standard_error")
        found["drawn"] = {name: float(drawn.attrs[name]) for name in names}
        found["drawn"] |= {
            "samples": samples,
            "seed": seed,
            "margin_quartiles": [float(q) for q in drawn["margin"].quantile([0.25, 0.5, 0.75]).values],
        }
    if not on_stdout(json_file):
        _print(found, law)
    give({k: v for k, v in found.items() if k != "reading"}, json_file)
    if plot is not None:
        from ..figures import crossbar as figures
        from ..figures import save

        figure = figures.overview(
            found["reading"].fields,
            low_ohm=low_ohm,
            high_ohm=high_ohm,
            pull_up_ohm=found["pull_up_ohm"],
            margin=margin,
            line_ohm=line_ohm,
            law=cells,
            voltage_V=voltage,
            largest=min(size, 128),
        )
        file = save(figure, plot)
        if not on_stdout(json_file):
            out().print(f"Picture: {file}", soft_wrap=True, markup=False)


def _pull_up(text: str) -> str | float:
    """The name of a rule for the pull-up resistor, or its resistance in ohm."""
    from ...physics.protocols import quantity
    from ..crossbar.margin import PULL_UPS

    if text in PULL_UPS:
        return text
    try:
        ohm = quantity(text, "ohm", name="--pull-up", bare=True)
    except InputError:
        ohm = -1.0
    if ohm < 0.0:
        raise InputError(
            "--pull-up is no pull-up resistor",
            got=text,
            allowed=f"{', '.join(PULL_UPS)}, or a resistance in ohm, as 10kohm or 1e4",
        )
    return ohm


def _law(
    name: str, voltage_V: float, nonlinearity: float, rectification: float, saturation_A: float
) -> tuple[Callable[..., Any], float]:
    """The law of the cells as a function of their conductances, and the factor of the middle term of eq. (1)."""
    from ..crossbar import Diode, Ohmic, Rectifying, Sinh

    laws: dict[str, Callable[..., Any]] = {
        "ohmic": Ohmic,
        "sinh": lambda G: Sinh.at(G, abs(voltage_V), nonlinearity),
        "rectifying": lambda G: Rectifying(G, rectification),
        "diode": lambda G: Diode(G, saturation_A),
    }
    if name not in laws:
        raise InputError("Unknown law of the cells", got=name, allowed=", ".join(_LAWS))
    return laws[name], rectification if name == "rectifying" else 1.0


def _results(
    tell: Callable[[str, int, int], None],
    *,
    size: int,
    line_ohm: float,
    low_ohm: float,
    high_ohm: float,
    voltage_V: float,
    scheme: str,
    pull_up: str | float,
    driver_ohm: float,
    margin: float,
    cells: Callable[..., Any],
    term: float,
) -> dict[str, Any]:
    import numpy as np

    from ..crossbar import Crossbar, disturb, lumped_margin, network_margin, network_maximum_size
    from ..crossbar import margin as margins

    factors = margins.rectification_factors(term)
    if voltage_V == 0.0 or not math.isfinite(voltage_V):
        raise InputError("--voltage must not be zero", got=voltage_V)
    if isinstance(pull_up, float):
        ohm = pull_up
    else:
        ohm = float(margins.pull_up_ohm(low_ohm, high_ohm, size, pull_up, factors=factors))
    lines: dict[str, Any] = {"word_segment_ohm": line_ohm, "bit_segment_ohm": line_ohm, "driver_ohm": driver_ohm}
    common: dict[str, Any] = {"pull_up_ohm": ohm, "scheme": scheme, "voltage_V": voltage_V, "law": cells}
    solved = f"{size} x {size} array"
    tell(solved, 0, 3)
    G = np.full((size, size), 1.0 / low_ohm)
    G[0, -1] = 1.0 / high_ohm
    sense = np.zeros(size)
    sense[-1] = ohm
    array = Crossbar(cells(G), line_ohm, line_ohm, driver_ohm, sense)
    reading = array.read((0, size - 1), voltage_V, scheme)
    tell(solved, 1, 3)
    table = disturb(array, (0, size - 1), voltage_V, scheme)
    tell(solved, 2, 3)
    found_margin = network_margin(low_ohm, high_ohm, size, **lines, **common)
    tell(solved, 3, 3)
    sized: dict[str, Any] = {**common, "margin": margin, "pull_up_ohm": ohm}
    if isinstance(pull_up, str):  # for each size its own
        sized["pull_up_ohm"] = lambda N: float(margins.pull_up_ohm(low_ohm, high_ohm, N, pull_up, factors=factors))

    def largest(stage: str, **options: Any) -> int:
        told = functools.partial(tell, stage)
        return network_maximum_size(low_ohm, high_ohm, progress=told, **options, **sized)

    return {
        "size": size,
        "line_ohm": line_ohm,
        "scheme": scheme,
        "voltage_V": voltage_V,
        "pull_up_ohm": ohm,
        "margin": found_margin,
        "margin_ideal_lines": lumped_margin(low_ohm, high_ohm, size, **common),
        "margin_equation_2": float(margins.read_margin(low_ohm, high_ohm, size, pull_up_ohm=ohm, factors=factors)),
        "current_A": reading.current_A,
        "cell_current_A": reading.cell_current_A,
        "sneak_current_A": reading.sneak_current_A,
        "cell_voltage_V": reading.cell_voltage_V,
        "power_W": reading.power_W,
        "line_power_W": reading.fields.attrs["line_power_W"],
        "error_A": reading.fields.attrs["error_A"],
        "least_margin": margin,
        "maximum_size": largest("largest size", largest=512, **lines),
        "maximum_size_ideal_lines": largest("largest size, ideal lines", largest=10_000),
        "maximum_size_equation_2": margins.maximum_size(
            low_ohm, high_ohm, pull_up=pull_up, factors=factors, margin=margin
        ),
        "disturb_V": {
            str(group): [float(table["lowest"][k]), float(table["highest"][k])]
            for k, group in enumerate(table["group"].values)
        },
        "reading": reading,
    }


def _print(found: dict[str, Any], law: str) -> None:
    console = out()
    N = found["size"]
    console.print(
        f"{N} x {N} {law} cells, {found['line_ohm']:g} ohm of line a cell, {found['voltage_V']:g} V, unselected lines "
        f"{_BIAS[found['scheme']]}, pull-up {found['pull_up_ohm']:.4g} ohm",
        soft_wrap=True,
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", style="bold")
    for name in ("network", "lines without resistance", "equation (2)"):
        table.add_column(name, justify="right")
    keys = ("", "_ideal_lines", "_equation_2")
    table.add_row("read margin", *(f"{100 * found['margin' + key]:.3g} %" for key in keys))
    sizes = [found["maximum_size" + key] for key in keys]
    limits = (512, 10_000, math.inf)
    table.add_row(
        f"largest N with more than {100 * found['least_margin']:g} %",
        *(f"{n} or more" if n >= limit else str(n) for n, limit in zip(sizes, limits, strict=True)),
    )
    console.print(table)
    console.print(
        f"High state read: {found['current_A']:.3g} A, of which sneak {found['sneak_current_A']:.3g} A "
        f"(error below {found['error_A']:.1g} A); {found['cell_voltage_V']:.3g} V at the cell; "
        f"{found['power_W']:.3g} W, "
        f"{100 * found['line_power_W'] / found['power_W']:.2g} % of it in lines and resistors",
        soft_wrap=True,
        markup=False,
    )
    names = {"word": "its word line", "bit": "its bit line", "rest": "the rest"}
    console.print(
        "Voltage across unselected cells: "
        + "; ".join(
            f"{names[k]} {low:.3g} to {high:.3g} V" for k, (low, high) in found["disturb_V"].items() if k in names
        ),
        soft_wrap=True,
        markup=False,
    )
    if "drawn" in found:
        drawn = found["drawn"]
        low, middle, high = drawn["margin_quartiles"]
        console.print(
            f"{drawn['samples']} arrays with random data: bit error {100 * drawn['bit_error']:.3g} +- "
            f"{100 * drawn['bit_error_standard_error']:.1g} % at a threshold of {drawn['threshold_A']:.3g} A; "
            f"current of the high state below that of the low one by {100 * middle:.3g} % "
            f"({100 * low:.3g} to {100 * high:.3g} %)",
            soft_wrap=True,
            markup=False,
        )
    if found["scheme"] != "floating" or law not in ("ohmic", "rectifying") or found["voltage_V"] < 0:
        console.print(
            "Equation (2) takes floating lines and ohmic cells, but for a rectification of its middle term at positive "
            "voltage.",
            style="yellow",
            soft_wrap=True,
        )
