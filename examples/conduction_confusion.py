"""Which conduction laws can be told apart? The confusion matrix of `halidrift.physics.conduction`.

Each example of `conduction.EXAMPLES` is measured again and again with the noise of an instrument, analysed without
being told the law, and counted under the law that comes first. Run it with

    python examples/conduction_confusion.py                     five temperatures, 260 to 340 K
    python examples/conduction_confusion.py --temperatures 300  one temperature
    python examples/conduction_confusion.py --from 0.5          only the upper half of each sweep

Two rows are there to be confused: hops in films so thick that the voltage along one hop is small against kT/q.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from halidrift.physics import conduction
from halidrift.physics.randomness import spawn

THICK = {
    "ionic, 200 nm": replace(
        conduction.EXAMPLES["ionic"], film=replace(conduction.EXAMPLES["ionic"].film, thickness_m=200e-9)
    ),
    "hopping, 2 um": replace(
        conduction.EXAMPLES["hopping"], film=replace(conduction.EXAMPLES["hopping"].film, thickness_m=2e-6)
    ),
}


@dataclass
class Tally:
    """What happened to one example.

    Parameters
    ----------
    first : Counter
        How often each law came first.
    close : int
        How often the true law was within 2 of the lowest AICc.
    tied : int
        How often another law was within 2 of it too.
    pulls : dict of name to list of float
        (estimate - truth) / standard error of each parameter, in fits of the true law.
    """

    first: Counter[str] = field(default_factory=Counter)
    close: int = 0
    tied: int = 0
    pulls: dict[str, list[float]] = field(default_factory=dict)


def study(
    replicas: int = 20,
    *,
    temperatures_K: tuple[float, ...] = (260.0, 280.0, 300.0, 320.0, 340.0),
    relative_noise: float = 0.05,
    floor_A: float = 1e-12,
    lowest: float = 0.0,
    examples: Mapping[str, conduction.Example] = conduction.EXAMPLES,
    seed: int = 3,
) -> dict[str, Tally]:
    """Measure every example `replicas` times and analyse each measurement from `lowest` times its top voltage."""
    tallies = {}
    for (name, given), rng in zip(examples.items(), spawn(seed, len(examples)), strict=True):
        top = given.voltages_V[1]
        branch = conduction.Branch(window_V=(lowest * top, top) if lowest else None)
        tally = tallies[name] = Tally()
        for child in rng.spawn(replicas):
            data = conduction.example(
                given, temperatures_K=temperatures_K, relative_noise=relative_noise, floor_A=floor_A, rng=child
            )
            found = conduction.fit(data, branch=branch, **asdict(given.film))
            tally.first[found.best.name] += 1
            tally.close += given.law in found.indistinguishable
            tally.tied += len(found.indistinguishable) > 1
            own = found.fit(given.law)
            if own.form.name != given.form:
                continue  # another form has other parameters
            for q in own.quantities:
                if q.name in given.parameters and np.isfinite(q.standard_error):
                    pull = (q.value - given.parameters[q.name]) / q.standard_error
                    tally.pulls.setdefault(q.name, []).append(pull)
    return tallies


def matrix(tallies: dict[str, Tally]) -> str:
    """The confusion matrix as text: a row an example, a column the law that came first, counts of replicas."""
    laws = [law.name for law in conduction.LAWS]
    width = max(map(len, tallies))
    heads = "  ".join(f"{name[:9]:>9}" for name in laws)
    lines = [f"{'measured':{width}}  {heads}  {'true law within 2':>18}  {'others within 2':>16}"]
    for name, tally in tallies.items():
        counts = "  ".join(f"{tally.first[law] or '.':>9}" for law in laws)
        lines.append(f"{name:{width}}  {counts}  {tally.close:>18}  {tally.tied:>16}")
    return "\n".join(lines)


def calibration(tallies: dict[str, Tally]) -> str:
    """Pulls of the parameters as text: mean, root mean square, how many beyond three standard errors."""
    lines = [f"{'example':20}  {'parameter':28}  {'n':>4}  {'mean':>6}  {'rms':>5}  {'beyond 3':>8}"]
    for name, tally in tallies.items():
        for parameter, pulls in tally.pulls.items():
            p = np.array(pulls)
            lines.append(
                f"{name:20}  {parameter:28}  {p.size:4d}  {p.mean():+6.2f}  {np.sqrt(np.mean(p**2)):5.2f}  "
                f"{int(np.sum(np.abs(p) > 3)):8d}"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the matrix and the calibration of the errors."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--replicas", type=int, default=20)
    reader.add_argument("--temperatures", type=float, nargs="+", default=[260.0, 280.0, 300.0, 320.0, 340.0])
    reader.add_argument("--noise", type=float, default=0.05, help="share of the current")
    reader.add_argument("--floor", type=float, default=1e-12, help="of the instrument, A")
    reader.add_argument("--from", dest="lowest", type=float, default=0.0, help="lowest voltage, share of the highest")
    reader.add_argument("--seed", type=int, default=3)
    asked = reader.parse_args()
    tallies = study(
        asked.replicas,
        temperatures_K=tuple(asked.temperatures),
        relative_noise=asked.noise,
        floor_A=asked.floor,
        lowest=asked.lowest,
        examples={**conduction.EXAMPLES, **THICK},
        seed=asked.seed,
    )
    print(matrix(tallies))
    print()
    print(calibration(tallies))


if __name__ == "__main__":
    main()
