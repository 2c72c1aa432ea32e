"""The readout of John et al. on resistive lines: accuracy against line resistance.

Firing patterns -> a volatile cell as reservoir -> differential pairs between 0.1 and 3.5 mS on an array of 31 x 8
cells. Trained on ideal lines and put on resistive ones, or trained on the resistive lines:

    python examples/crossbar_readout.py [--per-class 400] [--seed 0]

The reservoir cell is made by hand (10 ms relaxation, 1 nS to 1 uS), the readout cell has the published bounds and
writes with 3 % error; read noise of one standard deviation of a node makes the task hard enough to show a difference.
All four are assumptions of this example, not of the paper.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np

import halidrift as hd
from halidrift.pipeline.crossbar import Wiring

LINES_OHM = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)


def states(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Noisy reservoir states and labels, for training and for testing."""
    task = hd.pipeline.FiringPatterns(per_class=per_class, rng=seed)
    cell = hd.compact.Volatile.of(
        reason="example",
        conductance_off_S=1e-9,
        conductance_on_S=1e-6,
        off_nonlinearity_V=0.3,
        growth_rate_Hz=0.5,
        growth_voltage_V=0.2,
        relaxation_time_s=10e-3,
    )
    X = hd.pipeline.Reservoir(cell, nodes=30, interval_s=35e-3).transform(task.trains, rng=seed)
    X = X + X.std(axis=0) * np.random.default_rng(seed).standard_normal(X.shape)
    train, test = task.split(0.25, rng=seed)
    return X[train], task.labels[train], X[test], task.labels[test]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-class", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    X, y, X_test, y_test = states(given.per_class, given.seed)
    pair = SimpleNamespace(conductance_bounds_S=(1e-4, 3.5e-3), write_spread_S=lambda G: 0.03 * np.asarray(G))
    ideal = hd.pipeline.IccReadout(pair, rng=given.seed).fit(X, y)
    G = ideal.conductances_S_
    print(f"{len(y)} patterns to train, {len(y_test)} to test; G from {1e3 * G.min():.2f} to {1e3 * G.max():.2f} mS")
    print(f"{'ohm a segment':>14} {'smallest share':>15} {'trained ideal':>14} {'trained there':>14}")
    for ohm in LINES_OHM:
        lines = Wiring(ohm, ohm)
        share = float((lines.transfer_S(G) / G).min())
        moved = ideal.set_params(wiring=lines).score(X_test, y_test)
        there = hd.pipeline.IccReadout(pair, wiring=lines, rng=given.seed).fit(X, y).score(X_test, y_test)
        print(f"{ohm:>14g} {share:>15.3f} {100 * moved:>12.1f} % {100 * there:>12.1f} %")


if __name__ == "__main__":
    main()
