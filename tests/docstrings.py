"""What the docstrings of public objects lack, by numpydoc's checks: `python tests/docstrings.py [LEVEL ...]` lists it.

A public function describes each parameter (PR01) with a type (PR04) that tells the unit which its name carries (UNIT,
ours), and what comes back (RT01) where that is a number, an array, a Dataset or a collection: in a section, or by a
unit at the end of its first line. A class does so for its fields, as parameters or as attributes. Words that would add
nothing are not asked for: a class that comes back is named by its annotation, a parameter may be said by its type
alone.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Any

LEVELS = ("physics", "kmc", "fem", "compact", "pipeline")
CHECKS = ("GL08", "PR01", "PR04", "RT01", "SS03", "SS04", "SS06")
# suffix of a name and what its type must then say; longest first
UNITS = {
    "1_m3": "1/m", "m2_s": "m^2/s", "V_m": "V/m", "S_m": "S/m", "V_s": "V/s", "1_V": "1/V", "K_W": "K/W", "m_s": "m/s",
    "eV": "eV", "Hz": "Hz", "ohm": "ohm", "m2": "m^2", "m3": "m^3", "m": "m", "s": "s", "V": "V", "A": "A", "S": "S",
    "K": "K", "W": "W", "J": "J",
}  # fmt: skip
_SAID = re.compile(r"(?:^|[, (])(?:eV|Hz|ohm|[mVASKWJs1C])(?:\^?[23])?(?:/\(?[mVASKWJsCe ^23]+\)?)?(?:[.,:;]|$)")
_TELLS_NOTHING = re.compile(r"\b(?:float|Array|ArrayLike|NDArray|Floats|tuple|dict|list|Dataset|DataArray|ndarray)\b")


def modules(level: str) -> Iterator[Any]:
    """Public modules of a level; the command line has its own help."""
    top = importlib.import_module(f"halidrift.{level}")
    yield top
    for info in pkgutil.walk_packages(top.__path__, f"{top.__name__}."):
        parts = info.name.split(".")
        if not any(part.startswith("_") for part in parts) and "cli" not in parts:
            yield importlib.import_module(info.name)


def objects(level: str) -> Iterator[str]:
    """Names of what a level offers: functions, classes and their methods, each where it is defined."""
    for module in modules(level):
        listed = getattr(module, "__all__", None)
        for name, value in vars(module).items():
            ours = not name.startswith("_") if listed is None else name in listed
            if not ours or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                yield f"{module.__name__}.{name}"
                for part, member in vars(value).items():
                    if not part.startswith("_") and (
                        inspect.isfunction(member) or isinstance(member, classmethod | staticmethod)
                    ):
                        yield f"{module.__name__}.{name}.{part}"
            elif inspect.isfunction(value):
                yield f"{module.__name__}.{name}"


def _unspoken(kinds: dict[str, str]) -> Iterator[str]:
    """Parameters whose name carries a unit that their type does not tell."""
    for names, kind in kinds.items():
        for name in names.split(", "):
            for suffix, unit in UNITS.items():
                if name.endswith(f"_{suffix}"):
                    plain, wanted = kind.replace("^", ""), unit.replace("^", "")
                    if not re.search(rf"(?<![A-Za-z0-9]){re.escape(wanted)}", plain):
                        yield f"UNIT {name}: {kind}"
                    break


def _inherited(value: Any) -> Iterator[str]:
    """Parameters that the classes of ours below a class describe."""
    from numpydoc.docscrape import NumpyDocString

    for base in value.__mro__[1:] if inspect.isclass(value) else ():
        if base.__module__.startswith("halidrift."):
            doc = NumpyDocString(inspect.getdoc(base) or "")
            yield from (entry.name for section in ("Parameters", "Attributes") for entry in doc[section])


def faults(name: str) -> list[str]:
    """What the docstring of one object lacks."""
    from numpydoc.docscrape import get_doc_object
    from numpydoc.validate import Validator, validate

    value = Validator._load_obj(name)
    doc = Validator(get_doc_object(value))
    told = {key: kind for key, (kind, _) in doc.doc_all_parameters.items()}
    # numpydoc adds defaults of fields and properties without a type: they tell nothing
    attributes = (
        {entry.name: entry.type for entry in doc.doc["Attributes"] if entry.type} if inspect.isclass(value) else {}
    )
    found = []
    for code, message in validate(name)["errors"]:
        if code not in CHECKS or (inspect.isclass(value) and getattr(value, "_is_protocol", False) and code != "GL08"):
            continue
        if code == "PR01":
            entered = {word.strip() for names in (*told, *attributes, *_inherited(value)) for word in names.split(",")}
            missing = {word for word in re.findall(r"'([^']+)'", message) if word[0] != "_"} - entered
            if not missing:
                continue
            message = f"{', '.join(sorted(missing))} not described"
        if code == "RT01" and (
            not _TELLS_NOTHING.search(str(inspect.get_annotations(value).get("return", "float")))
            or _SAID.search(doc.summary)
        ):
            continue
        found.append(f"{code} {message}")
    return found + list(_unspoken(told | attributes))


def lacking(level: str) -> dict[str, list[str]]:
    """Objects of a level whose docstrings lack something, and what."""
    return {name: found for name in objects(level) if (found := faults(name))}


def main() -> None:
    """List them."""
    for level in sys.argv[1:] or LEVELS:
        short = lacking(level)
        for name, found in short.items():
            print(name.removeprefix("halidrift."), *found, sep="\n    ")
        print(f"{level}: {len(short)} of {len(list(objects(level)))} lack something")


if __name__ == "__main__":
    main()
