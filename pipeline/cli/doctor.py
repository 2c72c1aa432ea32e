"""`halidrift doctor`: what is installed, what is not, and what it would be needed for."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ._console import Json, failed, give, on_stdout, out, page

_NEEDED = {
    "numpy": "everything",
    "scipy": "solvers, fits",
    "xarray": "traces",
    "numba": "kinetic Monte Carlo and compact models",
    "fipy": "meshes of the continuum models",
    "ase": "halidrift neb",
    "lmfit": "halidrift fit",
    "scikit-learn": "readouts of the network",
    "matplotlib": "pictures",
    "jinja2": "reports, exported circuits",
    "typer": "this command line",
    "rich": "this command line",
}
_OPTIONAL = {
    "chgnet": "halidrift neb with its default calculator: pip install 'halidrift[atomistic]'",
    "dask": "halidrift kmc run --dask: pip install 'halidrift[campaign]'",
    "distributed": "halidrift kmc run --dask: pip install 'halidrift[campaign]'",
    "zarr": "halidrift kmc run --store: pip install 'halidrift[campaign]'",
    "openvaf-py": "compiling exported Verilog-A in the tests: pip install 'halidrift[circuits]'",
    "SALib": "halidrift explain: pip install 'halidrift[explain]'",
    "sphinx": "the documentation, make docs: pip install 'halidrift[docs]'",
    "pytest": "the tests, make test: pip install 'halidrift[test]'",
    "devsim": "benchmarks/fem_pnp.py: pip install 'halidrift[benchmark]'",
    "psutil": "a test of memory only",
}
_PROGRAMS = {
    "ngspice": "halidrift export --run, and running exported circuits: apt install ngspice, brew install ngspice",
    "ffmpeg": "halidrift kmc draw --out movie.mp4 (.gif needs nothing)",
}


def doctor(json_file: Json = None) -> None:
    """Say what is installed, whether compiled code can be kept, and what missing parts would be needed for.

    Exit code 0 if everything that halidrift needs is there, 1 if not. Optional parts may be missing.

    Example: halidrift doctor
    """
    found = _found()
    give(found, json_file)
    if not on_stdout(json_file):
        _print(found)
    if found["faults"]:
        raise typer.Exit(1)


def _found() -> dict[str, Any]:
    from ... import __version__

    versions, missing = _versions(_NEEDED)
    optional, absent = _versions(_OPTIONAL)
    programs = {name: shutil.which(name) for name in _PROGRAMS}
    cache = _numba_cache()
    faults = [f"{name} is not installed; needed for {use}" for name, use in missing.items()]
    if cache["folder"] is None:
        faults.append("compiled code cannot be kept: set NUMBA_CACHE_DIR to a folder that you may write to")
    faults += _data_faults() if not missing else []
    return {
        "halidrift": __version__,
        "folder": str(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": _cores(),
        "memory_GiB": _memory_GiB(),
        "numba_cache": cache,
        "needed": versions,
        "optional": {**{name: optional.get(name) for name in _OPTIONAL}, **programs},
        "absent": {**absent, **{name: _PROGRAMS[name] for name, path in programs.items() if path is None}},
        "faults": faults,
    }


def _versions(wanted: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Versions of what is installed, and the use of what is not; nothing is imported."""
    found, missing = {}, {}
    for name, use in wanted.items():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing[name] = use
    return found, missing


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _memory_GiB() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _numba_cache() -> dict[str, str | None]:
    """The folder in which numba keeps compiled code: that of the variable, of the package, or of the user."""
    own = os.environ.get("NUMBA_CACHE_DIR")
    if own:
        return {"folder": own if _writable(Path(own)) else None, "why": "NUMBA_CACHE_DIR"}
    package = Path(__file__).resolve().parents[2] / "kmc" / "__pycache__"
    if _writable(package):
        return {"folder": str(package.parent.parent), "why": "__pycache__ beside the code"}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    return {"folder": str(home) if _writable(home) else None, "why": "the package's folder cannot be written"}


def _writable(folder: Path) -> bool:
    """Whether a file can be made there; of a folder that is not there, in the nearest that is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _data_faults() -> list[str]:
    """Cards and barriers, those of $HALIDRIFT_DATA too."""
    from ...physics.database import Database
    from ...physics.device import Device
    from ...physics.errors import HalidriftError

    try:
        faults = [str(fault) for fault in Database.check()[1]]
        for name in Device.names():
            Device.load(name)
    except HalidriftError as error:
        return [str(error)]
    return faults


def _print(found: dict[str, Any]) -> None:
    console = out()
    memory = "" if found["memory_GiB"] is None else f", {found['memory_GiB']:g} GiB of memory"
    cores = f"{found['cores']} {'core' if found['cores'] == 1 else 'cores'}"
    for line in (
        f"halidrift {found['halidrift']} in {found['folder']}",
        f"Python {found['python']}, {found['system']}, {cores}{memory}",
        f"compiled code is kept in {found['numba_cache']['folder'] or 'no folder'} ({found['numba_cache']['why']})",
        ", ".join(f"{name} {version}" for name, version in found["needed"].items()),
    ):
        console.print(line, soft_wrap=True, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("optional", no_wrap=True)
    table.add_column("", overflow="fold")
    table.add_column("needed for", overflow="fold")
    for name, version in found["optional"].items():
        use = {**_OPTIONAL, **_PROGRAMS}[name]
        # how to install it is for those who lack it
        table.add_row(name, version or "[yellow]missing[/]", escape(use.split(": ")[0] if version else use))
    page().print(table)
    for fault in found["faults"]:
        failed().print(fault, style="red", soft_wrap=True, markup=False)
    console.print("Nothing needed is missing." if not found["faults"] else f"{len(found['faults'])} faults.")
