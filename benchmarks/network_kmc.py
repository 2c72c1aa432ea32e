"""How far does the compact cell stand in for KMC in the network? The same spike trains, played to both.

    python benchmarks/network_kmc.py --per-class 250 --processes 2

Readouts are trained and tested on states of KMC itself, on those of the compact cell, and across. The cell is fitted to
KMC pulses of the same card and never sees a train. About a second of CPU for a train. +- is the spread over five splits
of the same trains.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from halidrift import Device
from halidrift.compact import Volatile
from halidrift.kmc import FilamentKMC
from halidrift.pipeline import DeltaRuleReadout, FiringPatterns, Reservoir, chain

SEED = 2022


def played(job):
    """States of one train in KMC."""
    card, train, seed = job
    return Reservoir(FilamentKMC(Device.load(card))).transform([train], rng=np.random.default_rng(seed))[0]


def accuracy(states, labels, others, other_labels, kind, split):
    """Mean and spread over trainings, in percent."""
    found = []
    for n, (train, test) in enumerate(split):
        if kind == "trees":
            model = HistGradientBoostingClassifier(random_state=n).fit(np.log(states[train]), labels[train])
            found.append(model.score(np.log(others[test]), other_labels[test]))
        else:
            model = DeltaRuleReadout(rng=n).fit(states[train], labels[train])
            found.append(model.score(others[test], other_labels[test]))
    return 100 * float(np.mean(found)), 100 * float(np.std(found, ddof=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="john2022-ogb")
    parser.add_argument("--cell", type=Path, help="record of a Volatile; default: fitted here to KMC pulses")
    parser.add_argument("--per-class", type=int, default=250)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--states", type=Path, help="file (.npz) to keep the states in, or to read them from")
    o = parser.parse_args()
    if o.cell is None:
        cell = Volatile.from_dict(chain.reference(Device.load(o.card), replicas=20, entropy=[SEED, 1]))
    else:
        cell = Volatile.from_dict(json.loads(o.cell.read_text(encoding="utf-8")))
    task = FiringPatterns(per_class=o.per_class, rng=np.random.default_rng([SEED, 1]))
    began = time.perf_counter()
    if o.states is not None and o.states.exists():
        kept = np.load(o.states)
        if (str(kept["card"]), len(kept["kmc"])) != (o.card, len(task.trains)):
            raise SystemExit(f"{o.states} holds {len(kept['kmc'])} trains of {kept['card']}: choose another file")
        kmc = kept["kmc"]
    else:
        jobs = [(o.card, train, [SEED, 2, i]) for i, train in enumerate(task.trains)]
        with ProcessPoolExecutor(o.processes) as pool:
            kmc = np.array(list(pool.map(played, jobs, chunksize=4)))
        if o.states is not None:
            np.savez(o.states, kmc=kmc, card=o.card)
    print(f"{len(kmc)} trains in KMC: {time.perf_counter() - began:.0f} s")
    compact = Reservoir(cell).transform(list(task.trains), rng=np.random.default_rng([SEED, 3]))
    split = [task.split(0.25, rng=n) for n in range(5)]
    y = task.labels
    print(f"{'readout':10s} {'trained on':10s} {'tested on':10s} accuracy / %")
    for kind in ("linear", "trees"):
        for a, name in ((kmc, "KMC"), (compact, "compact")):
            for b, other in ((kmc, "KMC"), (compact, "compact")):
                mean, spread = accuracy(a, y, b, y, kind, split)
                print(f"{kind:10s} {name:10s} {other:10s} {mean:.1f} +- {spread:.1f}")
    print("time since the last onset: share ON (G above 0.3 uS), KMC and compact")
    nodes = 35e-3 * np.arange(1, kmc.shape[1] + 1)
    age = np.full(kmc.shape, np.inf)
    for i, onset in enumerate(task.onsets):
        since = nodes[:, None] - np.asarray(onset)[None, :]
        age[i] = np.where(since >= 0, since, np.inf).min(axis=1)
    edges = np.array([0, 1, 3, 5, 8, 12, 20, 22, 25, 30, 40, 60, 1000]) * 1e-3
    for low, high in itertools.pairwise(edges):
        own = (age >= low - 1e-9) & (age < high - 1e-9)
        if own.sum() > 20:
            shares = [float(np.mean(states[own] > 0.3e-6)) for states in (kmc, compact)]
            print(f"{1e3 * low:5.0f} to {1e3 * high:4.0f} ms {own.sum():6d} {shares[0]:.2f} {shares[1]:.2f}")


if __name__ == "__main__":
    main()
