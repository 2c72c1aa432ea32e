"""`export`: a compact model as an ngspice subcircuit or a Verilog-A module, its state an internal node."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from ..physics.errors import InputError, ValidityError
from ..physics.files import write_whole
from . import laws
from .model import CompactModel

__all__ = ["element_name", "export", "load", "render"]

_LANGUAGES = {".sp": "sp", ".cir": "sp", ".va": "va"}
_TEMPLATES = Path(__file__).resolve().parent / "templates"

# what a Verilog-A compiler refuses as the name of a module (Verilog-AMS 2.4, Annex B, and the access functions)
_RESERVED = frozenset(
    """
    above abs absdelay abstol access acos acosh ac_stim aliasparam always analog analysis and asin asinh assert
    assign atan atan2 atanh automatic begin branch buf bufif0 bufif1 case casex casez ceil cell cmos config connect
    connectmodule connectrules continuous cos cosh cross ddt ddt_nature ddx deassign default defparam design disable
    discipline discrete domain driver_update edge else end endcase endconfig endconnectrules enddiscipline
    endfunction endgenerate endmodule endnature endparamset endprimitive endspecify endtable endtask event exclude
    exp final_step flicker_noise floor flow for force forever fork from function generate genvar ground highz0
    highz1 hypot idt idtmod idt_nature if ifnone incdir include inf initial initial_step inout input instance
    integer join laplace_nd laplace_np laplace_zd laplace_zp large last_crossing liblist library limexp ln
    localparam log macromodule max medium merged min module nand nature negedge net_resolution nmos noise_table nor
    noshowcancelled not notif0 notif1 or output parameter paramset pmos posedge potential pow primitive pull0 pull1
    pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat resolveto rnmos
    rpmos rtran rtranif0 rtranif1 scalared showcancelled signed sin sinh slew small specify specparam split sqrt
    string strong0 strong1 supply0 supply1 table tan tanh task time timer tran tranif0 tranif1 transition tri tri0
    tri1 triand trior trireg units unsigned use uwire vectored wait wand weak0 weak1 while white_noise wire wor
    wreal xnor xor zi_nd zi_np zi_zd zi_zp
    """.split()  # noqa: SIM905 - two hundred words
)


def element_name(name: str, language: str) -> str:
    """Name of the subcircuit or module for a file of this stem.

    Parameters
    ----------
    name : str
        An identifier.
    language : {"sp", "va"}

    Returns
    -------
    str
        The name itself; with ``_device`` behind it where Verilog-A reserves the word, as it does ``cell``.

    Raises
    ------
    InputError
        If it is no identifier.
    """
    if not name.isidentifier() or not name.isascii():
        raise InputError(
            "The file's stem names the circuit and must be an identifier", got=name, allowed="[A-Za-z0-9_]"
        )
    return f"{name}_device" if language == "va" and name in _RESERVED else name


def _volatile(model: Any) -> dict[str, Any]:
    values = model.parameters
    return {
        "relaxation_time_s": model.relaxation_time_s,
        "norm_r": laws.time_norm(model.value("growth_acceleration")),
        "norm_s": laws.time_norm(model.value("relaxation_acceleration")),
        "ohmic": math.isinf(values["off_nonlinearity_V"].value),
        "held": math.isfinite(values["relaxation_voltage_V"].value),
        "at": f" at {model.temperature_K:g} K",
    }


def _nonvolatile(model: Any) -> dict[str, Any]:
    fresh, off = model.value("conductance_fresh_S"), model.value("conductance_off_S")
    return {
        "resets": not math.isnan(model.value("reset_voltage_V")),
        "sloped": model.value("reset_voltage_slope_V") != 0.0,
        "least_reset_V": laws.LEAST_RESET_V,
        "fresh": 0.0 if math.isnan(fresh) else math.log(fresh / off),
        "compliance_A": model.value("compliance_high_A"),
        **_programming(model),
    }


_MARGIN = 1.25  # of the smallest current that the circuit can program, so that its two fixed points stay apart


def _programming(model: Any) -> dict[str, Any]:
    """The smallest limit that the circuit programs to, and ln(G / G_off) from which on a negative intercept b counts.

    The circuit knows the current, not the limit, and grows G to a I + b. At V_set it grows while a V_set G + b > G:
    beyond g = -b / (a V_set - 1) only, so b must wait until G has passed that; it waits until the mean of g and the
    smallest programmed conductance. A limit holds the device below V_set, and so programs it, from -b V_set / (a V_set
    - 1) on.
    """
    V_set, b = model.value("set_voltage_V"), model.value("conductance_intercept_S")
    low, high = model.value("compliance_low_A"), model.value("compliance_high_A")
    gain = model.value("conductance_slope_1_V") * V_set - 1.0
    unstable = max(-b, 0.0) / gain if gain > 0.0 else math.inf
    limit = max(low, _MARGIN * unstable * V_set)
    if limit >= high:
        least = laws.programmed_conductance(high, model.value("conductance_slope_1_V"), b)
        raise ValidityError(
            "The largest fitted compliance does not limit the current at the SET voltage, so a circuit, which knows "
            "its current only, would not find the programmed conductance",
            got=f"{high:g} A through {least:g} S, {high / least:.3g} V",
            allowed=f"well below the SET voltage, {V_set:g} V",
            action="Fit sweeps at compliances that limit, or use the model in Python",
        )
    programmed = laws.programmed_conductance(limit, model.value("conductance_slope_1_V"), b)
    off = model.value("conductance_off_S")
    return {
        "ilow": limit,
        "raised": limit > low,
        "offset_at": math.log(max(2.0 * off, math.sqrt(unstable * programmed)) / off),
    }


def _stanford(model: Any) -> dict[str, Any]:
    return {"initial_m": float(model.rest_state[0]), "boltzmann_eV_K": laws.K_B}


def _synapse(model: Any) -> dict[str, Any]:
    return {
        "rest_S": model.conductance_rest_S,
        "drive_1_Vs": model.value("drive_rate_1_Vs") * model._activation("drive_barrier_eV"),
        "read_ohmic": math.isinf(model.value("read_nonlinearity_V")),
        "drive_linear": math.isinf(model.value("drive_nonlinearity_V")),
        "release": model.release_rates_Hz.tolist(),
        "capture": model.capture_rates_Hz.tolist(),
        "at": f" at {model.temperature_K:g} K",
    }


# what a template needs besides the parameters
_FURTHER: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "Volatile": _volatile,
    "NonVolatile": _nonvolatile,
    "Stanford": _stanford,
    "Synapse": _synapse,
}


def render(model: CompactModel, language: str, name: str) -> str:
    """The netlist of a model as text.

    Parameters
    ----------
    model : CompactModel
    language : {"sp", "va"}
        ngspice subcircuit or Verilog-A module.
    name : str
        Name of the subcircuit or module, an identifier; see :func:`element_name`.

    Raises
    ------
    InputError
        If there is no template for the model, or the name is not an identifier.
    """
    from .. import __version__

    kind = type(model).__name__
    template = f"{kind.lower()}.{language}.j2"
    element = element_name(name, language)
    if not (_TEMPLATES / template).is_file():
        raise InputError("No template for this model and language", got=f"{kind}, {language}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda value: f"{value:.15g}"
    further = _FURTHER.get(kind, lambda model: {})(model)
    return environment.get_template(template).render(
        {
            "name": element,
            "wanted": name,
            "version": __version__,
            "table": [
                " ".join(f"{p}{f' [{p.warning}]' if p.warning else ''}".split()) for p in model.parameters.values()
            ],
            # one line each: a second one would be a command to the simulator
            "sources": " ".join(", ".join(model.sources).split()),
            "compliance_A": 1e-6,
            "at": "",
            **{key: model.value(key) for key in model.parameters},
            **further,
        }
    )


def export(model: CompactModel, path: str | os.PathLike[str]) -> Path:
    """Write a model as a circuit element; the file appears whole or not at all.

    Parameters
    ----------
    model : CompactModel
    path : path
        Ends in ``.sp`` or ``.cir`` (ngspice) or ``.va`` (Verilog-A); its stem names the element
        (:func:`element_name`).

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the suffix is unknown, or the stem no identifier.
    ValidityError
        If a circuit cannot do what the model does: a `NonVolatile` that no compliance limits.
    OutputError
        If the file cannot be written.

    Notes
    -----
    The typical device: medians, no spread or noise; :func:`halidrift.compact.bench.write` draws devices. The state is
    the voltage of an internal node on a capacitor of one farad, so the simulator's own integration and step control
    act on it. The compliance belongs to the source: either file brings ``..._compliance``, a current limit to put in
    series whose node ``icc`` carries the limit (1 V is 1 A).

    With ``.options reltol=1e-4 trtol=1 abstol=1e-15`` ngspice 39 gives the conductance of the Python model within 1 %,
    whatever its largest step (docs/circuits.md has the table); with its default options within 5 %.
    """
    target = Path(path)
    if target.suffix not in _LANGUAGES:
        raise InputError(
            "Unknown kind of circuit file", got=target.suffix or target.name, allowed=", ".join(_LANGUAGES)
        )
    text = render(model, _LANGUAGES[target.suffix], target.stem)
    return write_whole(target, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def load(path: str | os.PathLike[str]) -> CompactModel:
    """Read a model from the JSON file of its :meth:`~halidrift.compact.model.CompactModel.to_dict`.

    Parameters
    ----------
    path : path

    Returns
    -------
    CompactModel
        Of the class that the record names.

    Raises
    ------
    InputError
        If the file cannot be read or describes no model.
    """
    from . import MODELS

    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a readable JSON file", got=str(error)) from error
    name = record.get("model") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in MODELS:
        raise InputError(f"{path} describes no compact model", got=f"model: {name}", allowed=", ".join(MODELS))
    try:
        return MODELS[name].from_dict(record)
    except InputError as error:
        raise InputError(
            f"{path} is not a whole record of {name}",
            got=str(error),
            action=f"Write it with json.dump({name}.to_dict(), file)",
        ) from error
