"""Level of theory: a calculator with its name, version and source."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

__all__ = ["Theory", "calculators"]


@dataclass(frozen=True)
class Theory:
    """A calculator with its name, version and source: what a barrier of it has to be cited with.

    Parameters
    ----------
    name, version : str
        For instance ``"CHGNet"``, ``"0.4.2"``.
    make : callable ()
        Returns a fresh ASE calculator with energies and forces.
    source : str, optional
        Bib key of the paper that describes the calculator; needed to write a database row.
    note : str
        What its energies leave out.

    Examples
    --------
    Any ASE calculator:

    >>> from ase.calculators.emt import EMT
    >>> Theory("EMT", "3.29", EMT).name
    'EMT'
    """

    name: str
    version: str
    make: Callable[[], Calculator] = field(repr=False, compare=False)
    source: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "version"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"A theory needs a {name}", got=text, allowed="text, not empty")
        if not callable(self.make):
            raise InputError("make does not make calculators", got=self.make, allowed="a callable without arguments")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def calculators(name: str, *, source: str | None = None) -> Theory:
    """Look up a calculator by name.

    Parameters
    ----------
    name : str
        ``"chgnet"`` (needs ``halidrift[atomistic]``); a calculator of ASE such as ``"emt"`` or ``"lj"``, with its
        default parameters; or ``"package.module:callable"`` for any other, e.g. ``"mace.calculators:mace_mp"``.
    source : str, optional
        Bib key of the calculator's paper, where halidrift does not know it.

    Returns
    -------
    Theory

    Raises
    ------
    InputError
        If there is no such calculator, or it is not installed or cannot be made without settings.

    Notes
    -----
    CHGNet [1]_ is trained on PBE energies of neutral cells (0.3.0 weights, which ship in its wheel). It computes
    in single precision: energies carry about seven digits, 0.0001 eV in a cell of 300 atoms.

    References
    ----------
    .. [1] B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023).

    Examples
    --------
    >>> calculators("emt").source
    'Jacobsen1996'
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError("A calculator is named by text", got=name, allowed="chgnet, emt, lj, package.module:callable")
    if ":" in name:
        return _imported(name, source)
    if name.lower() == "chgnet":
        return _chgnet(source)
    from ase.calculators.calculator import get_calculator_class, names

    if name.lower() not in names:
        raise InputError(
            "No calculator has this name",
            got=name,
            allowed=f"chgnet, {', '.join(sorted(names))}, or package.module:callable",
        )
    try:
        kind = get_calculator_class(name.lower())
        kind()
    except Exception as error:  # each calculator has its own way to say what it misses
        raise InputError(
            f"ASE could not make the calculator {name} without settings",
            got=f"{type(error).__name__}: {error}",
            action="Pass a Theory of your own, or package.module:callable that returns it set up",
        ) from error
    known = {"emt": "Jacobsen1996"}
    version = importlib.metadata.version("ase")
    note = "effective medium theory for fcc metals" if name.lower() == "emt" else ""
    return Theory(name.upper(), f"ASE {version}", kind, source or known.get(name.lower()), note)


def _imported(name: str, source: str | None) -> Theory:
    module, _, attribute = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError("No such calculator", got=name, allowed="package.module:callable, importable") from error
    if not callable(make):
        raise InputError("This makes no calculator", got=name, allowed="a callable without arguments")
    package = module.split(".")[0]
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Theory(f"{module}:{attribute}", version, make, source)


def _chgnet(source: str | None) -> Theory:
    try:
        from chgnet.model import CHGNet
        from chgnet.model.dynamics import CHGNetCalculator
    except ImportError as error:
        raise InputError(
            "CHGNet is not installed",
            got=str(error),
            action="pip install 'halidrift[atomistic]' (without a GPU install torch first, from the index of "
            "CPU builds: pip install torch --index-url https://download.pytorch.org/whl/cpu)",
        ) from error
    import contextlib
    import io

    weights = "0.3.0"
    with contextlib.redirect_stdout(io.StringIO()):  # it greets, whatever verbose says
        model = CHGNet.load(model_name=weights, use_device="cpu", verbose=False)

    class DoubleCHGNet(CHGNetCalculator):
        """CHGNet with its results in double precision, as ASE's optimisers and JSON expect them."""

        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = None, **more: Any) -> None:
            with warnings.catch_warnings():
                # only this message: torch >= 2.13 about a line of CHGNet's own that makes a number of an energy with a
                # gradient. The number is right, forces come from another path, and the line is not ours to change
                warnings.filterwarnings("ignore", message="Converting a tensor", category=UserWarning)
                super().calculate(atoms, properties, system_changes, **more)
            wanted = ("energy", "free_energy", "forces", "stress")
            self.results: dict[str, Any] = {
                key: float(value) if np.ndim(value) == 0 else np.asarray(value, dtype=float)
                for key, value in self.results.items()
                if key in wanted
            }

    def make() -> Calculator:
        with contextlib.redirect_stdout(io.StringIO()):  # it announces its device
            return DoubleCHGNet(model=model, use_device="cpu")

    version = f"{importlib.metadata.version('chgnet')} (weights {weights})"
    note = "neutral cell: CHGNet does not resolve the charge of a defect"
    return Theory("CHGNet", version, make, source or "Deng2023", note)
