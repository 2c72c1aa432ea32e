"""FiPy solvers as this suite trusts them.

Krylov defaults were seen to return wrong Poisson solutions without failing, and the default tolerance of the
LU solver (relative to the right-hand side) can skip a solve altogether: everything here is direct and tight.
"""

from __future__ import annotations

from typing import Any

__all__ = ["direct"]


def direct() -> Any:
    """A direct LU solver with a tolerance that cannot be met without solving.

    Returns
    -------
    fipy.LinearLUSolver
    """
    # FiPy reads sys.argv when it is imported; our command line defines none of its flags.
    from fipy import LinearLUSolver

    return LinearLUSolver(tolerance=1e-14, iterations=3)
