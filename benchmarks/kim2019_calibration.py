"""Fit the slow population of the kim2019 cards to Table 2 of Kim et al. 2019, and ask how few numbers would do.

    python benchmarks/kim2019_calibration.py               two numbers a film, fitted to its b and m
    python benchmarks/kim2019_calibration.py --frugal      fewer numbers for all films together
    python benchmarks/kim2019_calibration.py --sensitivity what the choices alike in all films do

The first prints the ``trap_capture_ratio``, ``trap_exponent`` and ``electronic_conductivity_S_m`` that stand on the
cards. What is alike in all films (``mobility_prefactor``, ``ideality_factor``, the range of release rates) is read from
the cards. The protocol is that of `halidrift reproduce kim2019`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from halidrift.compact import plasticity
from halidrift.fem import IonFilm
from halidrift.physics import synapse
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.device import Device
from halidrift.physics.errors import HalidriftError
from halidrift.pipeline.kim2019.job import Settings
from halidrift.pipeline.kim2019.targets import FILMS, ORDER, TABLE_2

SETTINGS = Settings()
WATCH = synapse.retention(
    gap_s=SETTINGS.gap_s,
    read_V=SETTINGS.retention_read_V,
    lead_s=SETTINGS.lead_s,
    watch_s=SETTINGS.watch_s,
    read_delay_s=SETTINGS.read_delay_s,
    samples=120,
)
READ_A = 0.9e-12  # K-EN-18: 18 fJ = 1 V x I x 20 ms
FAR = 20.0  # tolerances: what a film without a power law counts


def card(film: str, **values: float) -> Device:
    """The card of a film with other values."""
    return Device.load(f"kim2019-n{film}").with_parameters(**values)


def law(device: Device) -> plasticity.PowerLaw | None:
    """b and m as the job reads them; nothing if the weight has returned within the window."""
    try:
        trace = IonFilm(device, temperature_K=SETTINGS.temperature_K, longest_step_s=5.0).simulate(WATCH)
        return plasticity.retention(trace, window_s=SETTINGS.window_s)
    except HalidriftError:
        return None


def misfit(film: str, found: plasticity.PowerLaw | None) -> list[float]:
    """Distance of b and m from Table 2, in the tolerances of the job (25 % and 10 %)."""
    if found is None:
        return [FAR, FAR]
    b, m, _ = TABLE_2[film]
    return [math.log(found.b / b) / math.log(1.25), (found.m / m - 1.0) / 0.1]


def fitted(film: str, **common: float) -> tuple[Device, float]:
    """A film whose capture ratio and exponent meet its b and m; how far off they are, in tolerances."""

    def residual(x: np.ndarray) -> np.ndarray:
        return np.array(misfit(film, law(card(film, trap_capture_ratio=math.exp(x[0]), trap_exponent=x[1], **common))))

    shipped = card(film)
    start = [math.log(shipped.value("trap_capture_ratio")), shipped.value("trap_exponent")]
    best = optimize.least_squares(residual, start, bounds=([-7.0, -2.5], [8.0, 3.0]), diff_step=1e-3, max_nfev=15)
    made = card(film, trap_capture_ratio=math.exp(best.x[0]), trap_exponent=float(best.x[1]), **common)
    return made, float(np.sqrt(np.mean(best.fun**2)))


def conductivity(film: str, n1: Device) -> float:
    """Of a film at rest: that of n = 1 from the read current of K-EN-18, the others with one R0 for all films."""
    rest = n1.value("electronic_conductivity_S_m")
    current = plasticity.responses(IonFilm(n1).simulate(synapse.single()))[0] * abs(synapse.READ_V)
    return float(rest * READ_A / current * math.exp((TABLE_2["1"][2] - TABLE_2[film][2]) / (BOLTZMANN_EV_K * 300.0)))


# -- how few numbers would do -----------------------------------------------------------------------------------------

Rule = Callable[[Sequence[float], str], tuple[float, float]]


def _layers(film: str) -> float:
    """Spacer layers per inorganic layer, 1/n."""
    return 0.0 if film == "inf" else 1.0 / float(film)


def _barrier(film: str) -> float:
    """E_A of Table 2 about its mean, in 0.1 eV."""
    return (TABLE_2[film][2] - 0.12) / 0.1


_GROUP = {"1": 0, "2": 0, "3": 1, "4": 1, "5": 1, "inf": 2}

HYPOTHESES: dict[str, tuple[Sequence[float], Rule]] = {
    "one population for all films; E_A alone differs": ((2.5, 0.5), lambda x, n: (math.exp(x[0]), x[1])),
    "held ions in proportion to spacer layers, 1/n, none in 3D": (
        (3.0, 0.5),
        lambda x, n: (math.exp(x[0]) * _layers(n), x[1]),
    ),
    "held ions fall with 1/n from those of 3D": (
        (4.0, -2.0, 0.5),
        lambda x, n: (math.exp(x[0] + x[1] * _layers(n)), x[2]),
    ),
    "exponent linear in E_A": ((2.5, 0.5, 1.0), lambda x, n: (math.exp(x[0]), x[1] + x[2] * _barrier(n))),
    "exponent and ln R linear in 1/n": (
        (4.0, -2.0, 0.2, 1.0),
        lambda x, n: (math.exp(x[0] + x[1] * _layers(n)), x[2] + x[3] * _layers(n)),
    ),
    "one population for n = 1, 2, one for n = 3 to 5, one for 3D": (
        (1.0, 1.3, 3.5, 0.0, 6.0, 0.4),
        lambda x, n: (math.exp(x[2 * _GROUP[n]]), x[2 * _GROUP[n] + 1]),
    ),
}


def frugal(evaluations: int) -> None:
    """Fit every hypothesis to the twelve numbers of Table 2."""
    for name, (start, rule) in HYPOTHESES.items():
        rows: dict[str, plasticity.PowerLaw | None] = {}

        def residual(
            x: np.ndarray, rule: Rule = rule, rows: dict[str, plasticity.PowerLaw | None] = rows
        ) -> np.ndarray:
            for n in FILMS:
                R, p = rule(list(x), n)
                rows[n] = law(card(n, trap_capture_ratio=min(R, 1e4), trap_exponent=float(np.clip(p, -3.0, 3.0))))
            return np.array([v for n in FILMS for v in misfit(n, rows[n])])

        best = optimize.least_squares(residual, start, diff_step=1e-2, max_nfev=evaluations, loss="soft_l1")
        off = residual(best.x)
        m = {n: found.m for n, found in rows.items() if found is not None}
        order = " < ".join(sorted(m, key=lambda n: m[n]))
        verdict = "as in Table 2" if order == ORDER else "not as in Table 2"
        print(
            f"{name}\n  {len(start)} numbers, 12 targets: {int((np.abs(off) <= 1.0).sum())} hit, "
            f"rms {np.sqrt(np.mean(off**2)):.1f} tolerances; order of m {order}, {verdict}; "
            f"{', '.join(f'{v:.3g}' for v in best.x)}\n  "
            + ", ".join(f"n = {n}: {'-' if f is None else f'b {f.b:.3g} m {f.m:.3g}'}" for n, f in rows.items()),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", default=",".join(FILMS), help="by n")
    parser.add_argument("--frugal", action="store_true")
    parser.add_argument("--sensitivity", action="store_true")
    parser.add_argument("--evaluations", type=int, default=12, help="of the Jacobian, in a frugal fit")
    options = parser.parse_args()
    if options.frugal:
        frugal(options.evaluations)
        return
    variants: list[dict[str, float]] = [{}]
    if options.sensitivity:
        variants = [
            {"mobility_prefactor": 1e-5},
            {"mobility_prefactor": 1e-4},
            {"ideality_factor": 10.0},
            {"trap_slowest_rate_Hz": 1e-3},
            {"trap_fastest_rate_Hz": 1e3},
        ]
    for common in variants:
        print(common or "as on the cards")
        n1, n1_off = fitted("1", **common)
        for film in options.films.split(","):
            made, off = (n1, n1_off) if film == "1" else fitted(film, **common)
            found = law(made)
            update = plasticity.update(IonFilm(made).simulate(synapse.update()))
            print(
                f"  n = {film}: trap_capture_ratio {made.value('trap_capture_ratio'):.4g}, trap_exponent "
                f"{made.value('trap_exponent'):.4g}, electronic_conductivity_S_m {conductivity(film, n1):.4g}; "
                + ("no power law" if found is None else f"b {found.b:.4g}, m {found.m:.4g}, R2 {found.r2:.3f}")
                + f", {off:.2g} tolerances off; potentiation R2 {update.r2_up:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
