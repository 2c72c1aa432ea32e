"""Time of one solution of a crossbar: linear and nonlinear, beside badcrossbar and a direct sparse solver.

python benchmarks/crossbar.py [--json] [--sizes 64 128 256 512] [--repeats 3] [--badcrossbar PYTHON]

The job: an N x N array, half of the cells 10 kohm and half 10 Mohm, 2.5 ohm a line segment. "multiply": all words
driven between 0.1 and 1 V, bits grounded; "floating": one cell read at 1 V, all other lines open, hard for an iterative
solver. "sinh" has cells that carry 148 times the current at 1 V that they carry at 0.5 V. ``scipy`` is SuperLU (minimum
degree on A' + A) on the same matrix. Times include everything from the conductances to the currents; each runs once
before it is timed, which leaves out compilation; the least of `repeats` counts (of one for ``scipy`` and badcrossbar).
badcrossbar does not float lines or know nonlinear cells, and assembles its matrix in Python. PYTHON is an interpreter
that has it (see crossbar_reference.py).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

LINE_OHM = 2.5


def conductances(N: int) -> np.ndarray:
    """Random data."""
    return np.where(np.random.default_rng(0).random((N, N)) < 0.5, 1e-4, 1e-7)


def least(run: Callable[[], object], repeats: int) -> float:
    """Shortest time of a call, s."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def ours(N: int, repeats: int) -> dict[str, float]:
    """Times of halidrift."""
    from halidrift.pipeline.crossbar import Crossbar, Sinh

    G, V = conductances(N), np.linspace(0.1, 1.0, N)
    out = {}
    for name, cells in (("linear", G), ("sinh", Sinh(G, 0.1))):
        array = Crossbar(cells, LINE_OHM, LINE_OHM)
        out[f"{name}, multiply"] = least(lambda array=array: array.multiply(V), repeats)
        out[f"{name}, floating"] = least(lambda array=array: array.read((0, N - 1), 1.0), repeats)
    return out


def superlu(N: int, repeats: int) -> float:
    """Time of a direct solution of the same linear array, s."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    G, V, g = conductances(N), np.linspace(0.1, 1.0, N), 1.0 / LINE_OHM

    def run() -> np.ndarray:
        w = np.arange(N * N).reshape(N, N)
        b = w + N * N
        ends = np.concatenate
        one = ends([w.ravel(), w[:, :-1].ravel(), b[:-1].ravel()])
        two = ends([b.ravel(), w[:, 1:].ravel(), b[1:].ravel()])
        value = ends([G.ravel(), np.full(2 * N * (N - 1), g)])
        source = ends([w[:, 0], b[-1]])
        diagonal = np.bincount(one, value, 2 * N * N) + np.bincount(two, value, 2 * N * N)
        diagonal += np.bincount(source, minlength=2 * N * N) * g
        every = np.arange(2 * N * N)
        A = coo_matrix((ends([-value, -value, diagonal]), (ends([one, two, every]), ends([two, one, every])))).tocsc()
        y = np.zeros(2 * N * N)
        y[w[:, 0]] = g * V
        options = {"SymmetricMode": True}
        solver = splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        return solver.solve(y)[b[-1]] * g

    return least(run, repeats)


def badcrossbar_times(sizes: list[int], repeats: int) -> dict[int, float]:
    """Times of badcrossbar, output currents only, s."""
    import logging

    import badcrossbar  # warns that it cannot draw without cairo: nothing is drawn here

    logging.disable(logging.INFO)
    options = {"node_voltages": False, "all_currents": False}
    return {
        N: least(
            lambda N=N: badcrossbar.compute(
                np.linspace(0.1, 1.0, N)[:, None], 1.0 / conductances(N), LINE_OHM, **options
            ),
            repeats,
        )
        for N in sizes
    }


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--badcrossbar", metavar="PYTHON", help="interpreter that has badcrossbar")
    parser.add_argument("--only-badcrossbar", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only_badcrossbar:
        sys.stdout.write(json.dumps(badcrossbar_times(given.sizes, given.repeats)))
        return
    theirs: dict[str, float] = {}
    if given.badcrossbar:
        sizes = [str(N) for N in given.sizes]
        call = [given.badcrossbar, __file__, "--only-badcrossbar", "--repeats", "1", "--sizes", *sizes]
        theirs = json.loads(subprocess.run(call, capture_output=True, check=True, text=True).stdout.splitlines()[-1])
    rows = []
    for N in given.sizes:
        row: dict[str, float | None] = {"N": N, **ours(N, given.repeats), "scipy, multiply": superlu(N, 1)}
        row["badcrossbar, multiply"] = theirs.get(str(N))
        rows.append(row)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    names = list(rows[0])
    print(" ".join(f"{name:>22}" for name in names))
    for row in rows:
        print(" ".join(f"{row[name]:>22.4g}" if row[name] is not None else f"{'-':>22}" for name in names))


if __name__ == "__main__":
    main()
