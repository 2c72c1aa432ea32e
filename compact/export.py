"""`export`: a compact model as an ngspice subcircuit or a Verilog-A module, its state an internal node."""

from __future__ import annotations

import math
import os
from pathlib import Path

import jinja2

from ..physics.errors import InputError
from ..physics.files import write_whole
from . import laws
from .model import CompactModel
from .nonvolatile import NonVolatile
from .volatile import Volatile

__all__ = ["export", "render"]

_LANGUAGES = {".sp": "sp", ".cir": "sp", ".va": "va"}
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def render(model: CompactModel, language: str, name: str) -> str:
    """The netlist of a model as text.

    Parameters
    ----------
    model : Volatile or NonVolatile
    language : {"sp", "va"}
        ngspice subcircuit or Verilog-A module.
    name : str
        Name of the subcircuit or module, an identifier.

    Raises
    ------
    InputError
        If there is no template for the model, or the name is not an identifier.
    """
    from .. import __version__

    if not name.isidentifier() or not name.isascii():
        raise InputError(
            "The file's stem names the circuit and must be an identifier", got=name, allowed="[A-Za-z0-9_]"
        )
    kind = {Volatile: "volatile", NonVolatile: "nonvolatile"}.get(type(model))
    if kind is None or language not in _LANGUAGES.values():
        raise InputError("No template for this model and language", got=f"{type(model).__name__}, {language}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda value: f"{value:.12g}"
    values = {key: model.value(key) for key in model.parameters}
    if isinstance(model, Volatile):
        values["relaxation_time_s"] = model.relaxation_time_s
        values["norm_r"] = laws.time_norm(values["growth_acceleration"])
        values["norm_s"] = laws.time_norm(values["relaxation_acceleration"])
        values["ohmic"] = math.isinf(values["off_nonlinearity_V"])
        values["held"] = math.isfinite(values["relaxation_voltage_V"])
        values["temperature_K"] = model.temperature_K
    else:
        values["resets"] = not math.isnan(values["reset_voltage_V"])
    return environment.get_template(f"{kind}.{language}.j2").render(
        name=name,
        version=__version__,
        table=[" ".join(f"{p}{f' [{p.warning}]' if p.warning else ''}".split()) for p in model.parameters.values()],
        sources=", ".join(model.sources),
        **values,
    )


def export(model: CompactModel, path: str | os.PathLike[str]) -> Path:
    """Write a model as a circuit element; the file appears whole or not at all.

    Parameters
    ----------
    model : Volatile or NonVolatile
    path : path
        Ends in ``.sp`` or ``.cir`` (ngspice) or ``.va`` (Verilog-A); its stem names the element.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the suffix is unknown.
    OutputError
        If the file cannot be written.

    Notes
    -----
    The typical device: medians, no spread or noise. The compliance belongs to the source: the ngspice file brings a
    current limiter to put in series. The state is the voltage of an internal node on a capacitor of one farad, so
    the simulator's own integration and step control act on it. With a nonlinear OFF branch behind the limiter give
    ngspice a largest step of about 20 us: at 200 us version 39 was seen to stop with "timestep too small". For
    `NonVolatile` keep the step below the parameter ``tsw``, or the SET overshoots its compliance.
    """
    target = Path(path)
    if target.suffix not in _LANGUAGES:
        raise InputError(
            "Unknown kind of circuit file", got=target.suffix or target.name, allowed=", ".join(_LANGUAGES)
        )
    text = render(model, _LANGUAGES[target.suffix], target.stem)
    return write_whole(target, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))
