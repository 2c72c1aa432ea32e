r"""Migration barriers from atoms: vacancy hops by the climbing-image nudged elastic band, with any ASE calculator.

The order of the steps is what makes the number mean something. A halide perovskite in its ideal positions is not
a minimum: its octahedra tilt. So the whole crystal is rattled and relaxed before an atom is taken out, both ends of
the hop are cut from that one relaxed crystal and relaxed again, and only then is a band strung between them. A
band that still finds a state below its ends (the octahedra went on turning) is strung again from that state. What
remains wrong is an error with a next step, never a number.

Energies are those of the calculator, which for a universal potential means a neutral cell: charge states of a
vacancy are not resolved.
"""

from __future__ import annotations

from .band import Band, Settings, minimum_energy_path
from .hop import MigrationBarrier, migration_barrier, read_structure
from .rows import write_rows
from .series import Failure, FiniteSize, Size, extrapolated, finite_size
from .store import stored
from .theory import Theory, calculators

__all__ = [
    "Band",
    "Failure",
    "FiniteSize",
    "MigrationBarrier",
    "Settings",
    "Size",
    "Theory",
    "calculators",
    "extrapolated",
    "finite_size",
    "migration_barrier",
    "minimum_energy_path",
    "read_structure",
    "stored",
    "write_rows",
]
