"""The API reference: one page a public module, every public name of the five levels, found and not listed by hand."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

LEVELS = ("physics", "kmc", "fem", "compact", "pipeline")
HEADS = {
    "physics": "barriers, equations, cards, waveforms, traces",
    "kmc": "kinetic Monte Carlo",
    "fem": "the continuum",
    "compact": "compact models and figures of merit",
    "pipeline": "network, reports, figures",
}


def modules(level: str) -> list[ModuleType]:
    """The public modules of a level, itself first; the command line has a page of its own."""
    top = importlib.import_module(f"halidrift.{level}")
    found = [top]
    for info in pkgutil.walk_packages(top.__path__, f"{top.__name__}."):
        parts = info.name.split(".")
        if not any(part.startswith("_") for part in parts) and "cli" not in parts:
            found.append(importlib.import_module(info.name))
    return found


def public(module: ModuleType) -> list[str]:
    """Names that a module offers: `__all__`, or what it defines without a leading underscore."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def home(module: ModuleType, name: str) -> str:
    """Full name of the module in which a public name is defined."""
    value = getattr(module, name)
    if inspect.ismodule(value):
        return value.__name__
    made = getattr(value, "__module__", None) if inspect.isclass(value) or inspect.isfunction(value) else None
    if made is not None:
        return made
    # a constant: the first module below this one that binds the same object
    for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not info.name.startswith("_"):
            inner = importlib.import_module(f"{module.__name__}.{info.name}")
            if name in getattr(inner, "__all__", ()) and vars(inner).get(name) is value:
                return inner.__name__
    return module.__name__


def _page(module: ModuleType) -> str:
    short = module.__name__.removeprefix("halidrift.")
    lines = [f".. module:: {module.__name__}", "", short, "=" * len(short), ""]
    lines += [inspect.cleandoc(module.__doc__ or ""), ""]
    elsewhere = []
    for name in public(module):
        value, where = getattr(module, name), home(module, name)
        if inspect.ismodule(value):
            elsewhere.append(f":mod:`{name} <{where}>`")
        elif where != module.__name__ and where.startswith("halidrift.") and "._" not in where:
            elsewhere.append(f":obj:`{name} <{where}.{name}>`")
        elif inspect.isclass(value):
            lines += [f".. autoclass:: {module.__name__}.{name}", "   :members:", "   :show-inheritance:", ""]
        elif inspect.isfunction(value):
            lines += [f".. autofunction:: {module.__name__}.{name}", ""]
        else:
            lines += [f".. py:data:: {name}", "", f"   ``{_brief(value)}``", ""]
    if elsewhere:
        lines += ["Offered here, defined below: " + ", ".join(elsewhere) + ".", ""]
    return "\n".join(lines)


def _brief(value: Any) -> str:
    text = type(value).__name__ if len(repr(value)) > 120 or " at 0x" in repr(value) else repr(value)
    return text.replace("`", "'").replace("\\", "\\\\")


def write(folder: Path) -> None:
    """Write the pages; what has not changed keeps its date, so that a second build is quick."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {}
    index = ["API reference", "=============", ""]
    index += [
        "SI units, energies in eV; unit, shape and bound of an argument stand beside its type.",
        "",
    ]
    for level in LEVELS:
        index += [f".. toctree::\n   :caption: {level}: {HEADS[level]}\n   :maxdepth: 1\n"]
        for module in modules(level):
            name = module.__name__.removeprefix("halidrift.")
            pages[name] = _page(module)
            index.append(f"   {name}")
        index.append("")
    pages["index"] = "\n".join(index)
    for old in folder.glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _resolve(app: Any, env: Any, node: Any, contnode: nodes.Node) -> nodes.Node | None:
    """Follow a name to where it is defined: `halidrift.fem.IonFilm` is documented as `halidrift.fem.film.IonFilm`."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip(".~")
    inside = node.get("py:module") or ""
    scopes = [inside.rsplit(".", up)[0] if up else inside for up in range(inside.count(".") + 1)] if inside else []
    tries = [target, *(f"{scope}.{target}" for scope in scopes), f"halidrift.{target}"]
    if node.get("py:class"):
        tries.append(f"{inside}.{node['py:class']}.{target}")
    documented = env.get_domain("py").objects
    for name in tries:
        for full in (name, _home_of(name)):
            if full in documented:
                entry = documented[full]
                return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, full)
    # a real name that is not public, such as a compiled class in an annotation: plain text
    return contnode if any(_home_of(name) for name in tries) else None


def _specific(app: Any, doctree: nodes.document) -> None:
    """Bind the short names of annotations to what they mean in their module, before Sphinx guesses among namesakes."""
    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refdomain") == "py" and node.get("reftype") == "class" and (inside := node.get("py:module")):
            full = _home_of(f"{inside}.{node['reftarget'].lstrip('.~')}")
            if full and full.startswith("halidrift."):
                node["reftarget"] = full


def _own(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn adds to an estimator."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def _home_of(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "halidrift":
        return None
    for cut in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        value: Any = module
        for part in parts[cut:]:
            value = getattr(value, part, None)
        made, called = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        return f"{made}.{called}" if made and called else None
    return None


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx reads, and resolve names through their re-exports."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "generated" / "api"))
    app.connect("autodoc-skip-member", _own)
    app.connect("doctree-read", _specific)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
