"""Can `Synapse` stand for `IonFilm`? Fitted to three traces of a film, judged on others of other amplitude, width and
interval.

python benchmarks/compact_synapse.py [--json] [--films kim2019-n1 kim2019-n3 kim2019-ninf]

The error is the rms difference of the conductance over its range in that trace. Target: below 10 % on every train that
was held out.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from scipy.optimize import least_squares

from halidrift import Device
from halidrift.compact import Synapse
from halidrift.fem import IonFilm
from halidrift.physics import synapse
from halidrift.physics.errors import ConvergenceError, ValidityError

# fitted: 20 ms spikes of 1 V in both directions, their forgetting, and spikes of 20 to 200 ms
FITTED = {
    "update": synapse.update(20, rest_s=10.0),
    "retention": synapse.retention(30, read_V=-0.01),
    "durations": synapse.durations(rest_s=2.0),
}
HELD_OUT = {
    "amplitudes": synapse.amplitudes(rest_s=2.0),
    "pair of 60 ms": synapse.pair(60e-3, rest_s=2.0),
    "0.5 V, 40 ms every 90 ms": synapse.spikes([-0.5] * 20 + [0.5] * 20, 40e-3, 50e-3, rest_s=5.0),
    "1.4 V, 10 ms every 110 ms": synapse.spikes([-1.4] * 10 + [1.4] * 10, 10e-3, 100e-3, rest_s=5.0),
}
# start and range of what is fitted: ln of the value, but for the exponent
START = {
    "drive_rate_1_Vs": (3.5, 0.0, 9.0),
    "interface_stiffness_V": (-1.0, -9.0, 4.0),
    "interface_curvature_V": (0.0, -12.0, 4.0),
    "mobile_stiffness_V": (-1.0, -6.0, 4.0),
    "mobile_curvature_V": (1.0, -12.0, 4.0),
    "held_ratio": (3.0, -4.0, 7.0),
    "held_exponent": (0.3, -1.0, 2.5),
    "slowest_rate_Hz": (-4.6, -6.9, -1.2),
    "fastest_rate_Hz": (5.0, 1.1, 6.9),
}


def cell_of(numbers, rest_S: float) -> Synapse:
    values = {
        name: float(number if name == "held_exponent" else np.exp(number))
        for name, number in zip(START, numbers, strict=True)
    }
    return Synapse.of(reason="fitted to IonFilm", conductance_rest_S=rest_S, weight_limit=30.0, **values)


def miss(cell: Synapse, wave, film) -> np.ndarray:
    """Difference over the range, at the instants of the trace."""
    G = film["conductance"].values
    try:
        mine = cell.respond([wave], film["time"].values, tolerance=1e-5)[0]
    except (ConvergenceError, ValidityError):  # numbers far from any film
        return np.full(G.size, 10.0)
    return (mine - G) / np.ptp(G)


def fit(traces) -> Synapse:
    rest = float(traces["update"]["conductance"].values[0])

    def residuals(numbers):
        parts = (miss(cell_of(numbers, rest), wave, traces[name]) for name, wave in FITTED.items())
        return np.concatenate([part / np.sqrt(part.size) for part in parts])

    start, low, high = (np.array([row[i] for row in START.values()]) for i in range(3))
    found = least_squares(residuals, start, bounds=(low, high), max_nfev=80)
    return cell_of(found.x, rest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--films", nargs="+", default=["kim2019-n1", "kim2019-n3", "kim2019-ninf"])
    arguments = parser.parse_args()
    report = {}
    for name in arguments.films:
        film = IonFilm(Device.load(name))
        traces = {key: film.simulate(wave) for key, wave in (FITTED | HELD_OUT).items()}
        cell = fit(traces)
        errors = {
            key: float(np.sqrt(np.mean(miss(cell, wave, traces[key]) ** 2)))
            for key, wave in (FITTED | HELD_OUT).items()
        }
        report[name] = {
            "fitted": {key: errors[key] for key in FITTED},
            "held_out": {key: errors[key] for key in HELD_OUT},
            "largest_held_out": max(errors[key] for key in HELD_OUT),
            "parameters": {key: cell.value(key) for key in START},
        }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for name, row in report.items():
        print(name)
        for kind in ("fitted", "held_out"):
            for key, error in row[kind].items():
                print(f"  {kind.replace('_', ' '):9} {key:28} {100 * error:5.1f} %")


if __name__ == "__main__":
    main()
