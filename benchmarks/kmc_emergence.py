"""What emerges from one parameter set: John's device under every protocol of the paper, 20 devices each.

python benchmarks/kmc_emergence.py [--device john2022-ogb] [--replicas 20] [--only volatile,retention] [--json FILE]

Every number is printed beside its target, misses too. Nothing here enters the card; what the card was calibrated
against is marked. About a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble

OFF_S = 1e-7  # relaxed: a tenth of what 1 uA at 1 V would need
VOLATILE_A, RETAINED_A = 1e-6, 1e-3
Row = tuple[str, str, str, str]  # quantity, result, target, verdict


def _quartiles(values: np.ndarray, unit: str = "", scale: float = 1.0) -> str:
    if not np.isfinite(values).any():
        return "none"
    low, middle, high = np.nanpercentile(values, [25, 50, 75]) * scale
    return f"{middle:.3g} ({low:.3g} to {high:.3g}) {unit}".rstrip()


def _verdict(hit: bool, calibrated: bool = False) -> str:
    return "calibrated" if calibrated and hit else ("hit" if hit else "miss")


def _at(run: xr.Dataset, voltage_V: float, after_s: float = -1.0) -> np.ndarray:
    """Conductance of each replica at the last instant after `after_s` at which the source stands at `voltage_V`."""
    found = np.flatnonzero((np.abs(run.voltage.values - voltage_V) < 1e-6) & (run.time.values > after_s))
    return run.conductance.values[:, found[-1]]


def _set_voltage(run: xr.Dataset, level_S: float) -> np.ndarray:
    on = run.conductance.values > level_S
    return np.where(on.any(1), run.voltage.values[on.argmax(1)], np.nan)


def _pulses(run: xr.Dataset, width_s: float, starts_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Set time, relaxation time (inf: not before the next pulse) and conductance at the pulse's end, per pulse."""
    t, G = run.time.values, run.conductance.values
    ends = np.append(starts_s[1:], t[-1] + 1e-12)
    shape = (len(G), len(starts_s))
    set_s, relax_s, top_S = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    for k, (start, end) in enumerate(zip(starts_s, ends, strict=True)):
        during = np.flatnonzero((t > start) & (t <= start + width_s))
        rest = np.flatnonzero((t > start + width_s) & (t < end))
        for i in range(len(G)):
            on = G[i, during] > VOLATILE_A
            if not on.any():
                continue
            set_s[i, k] = t[during[on.argmax()]] - start
            top_S[i, k] = G[i, during[-1]]
            off = G[i, rest] < OFF_S
            relax_s[i, k] = t[rest[off.argmax()]] - start - width_s if off.any() else np.inf
    return set_s, relax_s, top_S


def volatile(run: Callable[..., xr.Dataset]) -> list[Row]:
    """1 uA: sweep, reverse sweep, cycles, memory."""
    sweep = run(Waveform.triangle([2.0], 1.0, VOLATILE_A))
    V_set = _set_voltage(sweep, VOLATILE_A)
    up = slice(0, int(sweep.voltage.values.argmax()) + 1)
    low, high = (
        np.median(sweep.current.values[:, up], 0)[np.searchsorted(sweep.voltage.values[up], v)] for v in (0.1, 2)
    )
    rows: list[Row] = [
        (
            "set voltage, 0-2-0 V, 1 uA",
            _quartiles(V_set, "V"),
            "< 1 V",
            _verdict(bool((V_set < 1.0).all()), calibrated=True),
        ),
        (
            "I(2 V) / I(0.1 V) on the way up",
            f"{high / low:.3g}",
            "about 1e3",
            _verdict(300 < high / low < 3e3, calibrated=True),
        ),
    ]
    reverse = run(Waveform.triangle([-2.0], 1.0, VOLATILE_A))
    quiet = float(reverse.conductance.max()) < OFF_S
    rows.append(
        ("Ag negative, to -2 V", f"largest G {float(reverse.conductance.max()):.2g} S", "no switching", _verdict(quiet))
    )
    period, count = 0.12, 50
    cycles = run(Waveform.pulses(1.0, 20e-3, period, count, compliance_A=VOLATILE_A, samples_per_period=480))
    set_s, relax_s, _ = _pulses(cycles, 20e-3, period * np.arange(count))
    rows += [
        (
            f"relaxation after 1 V, 20 ms (median of {set_s.size} pulses)",
            _quartiles(relax_s[np.isfinite(relax_s)], "ms", 1e3),
            "5 to 23 ms",
            _verdict(5e-3 <= np.median(relax_s[~np.isnan(relax_s)]) <= 23e-3, calibrated=True),
        ),
        ("pulses that set", f"{np.isfinite(set_s).mean():.1%}", "-", "-"),
        (
            "set time of the 1st / 50th pulse",
            f"{_quartiles(set_s[:, 0], '', 1e3)} / {_quartiles(set_s[:, -1], 'ms', 1e3)}",
            "-",
            "-",
        ),
    ]
    t = cycles.time.values
    off = np.array(
        [cycles.conductance.values[:, np.searchsorted(t, (k + 1) * period - 1e-9) - 1] for k in range(count)]
    )
    on = np.array([cycles.current.values[:, np.searchsorted(t, k * period + 20e-3) - 1] for k in range(count)])
    ratio = on / (off * 0.1)  # the paper's: current of the pulse over the current at 0.1 V
    rows.append(
        (
            f"I of the pulse / I(0.1 V) before the next, {ratio.size} cycles",
            f"{_quartiles(ratio)}; >= 1e3 in {(ratio >= 1e3).mean():.0%}, >= 5e2 in {(ratio >= 5e2).mean():.0%}",
            ">= 1e3 in 90 %",
            _verdict((ratio >= 1e3).mean() >= 0.9),
        )
    )
    set_times = []
    for gap in (5e-3, 20e-3, 40e-3, 100e-3):
        pair = run(Waveform.pulses(1.0, 20e-3, 20e-3 + gap, 2, compliance_A=VOLATILE_A, samples_per_period=800))
        first, _, _ = _pulses(pair, 20e-3, np.array([0.0, 20e-3 + gap]))
        both = np.isfinite(first).any(0).all()
        set_times.append(np.nanmedian(first[:, 1]) / np.nanmedian(first[:, 0]) if both else np.nan)
    rows.append(
        (
            "set time of a second pulse after 5, 20, 40, 100 ms, in units of the first",
            ", ".join(f"{x:.2f}" for x in set_times),
            "graded; 1.0 +- 0.2 beyond 23 ms",
            _verdict(
                set_times[0] < 0.8 and abs(set_times[2] - 1) < 0.2 and abs(set_times[3] - 1) < 0.2, calibrated=True
            ),
        )
    )
    return rows


def retained(run: Callable[..., xr.Dataset]) -> list[Row]:
    """1 mA: set, reset, compliance law."""
    loop = run(Waveform.triangle([1.5, -7.0], 1.0, [RETAINED_A, np.inf], samples_per_V=40))
    t = loop.time.values
    V_set = _set_voltage(loop, 1e-4)
    on = _at(loop.sel(time=slice(0, 3.0)), 0.1)
    off = loop.conductance.values[:, -1]
    down = t > 3.0
    opened = (loop.conductance.values[:, down] < on[:, None] / 10).argmax(1)
    V_reset = loop.voltage.values[down][opened]
    rows: list[Row] = [
        (
            "set voltage at 1 mA (0.1 mS)",
            _quartiles(V_set, "V"),
            "< 1 V",
            _verdict(bool((V_set < 1.0).mean() >= 0.9), calibrated=True),
        ),
        ("G at 0.1 V after 1 mA", _quartiles(on, "mS", 1e3), "up to 3.5 mS", "-"),
        ("reset voltage", _quartiles(V_reset, "V"), "on the way to -7 V", _verdict(bool((V_reset > -7).all()))),
        (
            "G on/off after the loop",
            _quartiles(on / off),
            ">= 1e3",
            _verdict(bool(np.mean(on / off >= 1e3) >= 0.9), calibrated=True),
        ),
        ("hottest spot", _quartiles(np.array(json.loads(loop.attrs["peak_temperature_K"])), "K"), "below 1235 K", "-"),
    ]
    limits = np.array([1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3])
    G = np.array([_at(run(Waveform.triangle([1.5], 1.0, limit, samples_per_V=40)), 0.1) for limit in limits])
    high = limits >= 1e-5
    slope = np.polyfit(np.log(limits[high]), np.log(np.median(G[high], 1)), 1)[0]
    rows += [
        (f"G at 0.1 V after a sweep at {limit:.0e} A", _quartiles(g, "uS", 1e6), "-", "-")
        for limit, g in zip(limits, G, strict=True)
    ]
    rows.append(
        ("slope of ln G against ln Icc, 10 uA to 1 mA", f"{slope:.2f}", "1.0 +- 0.1", _verdict(abs(slope - 1) <= 0.1))
    )
    return rows


def retention(run: Callable[..., xr.Dataset]) -> list[Row]:
    """Conductance after a sweep, held at 0 V: 1 mA and what holds at lower compliance."""
    rows: list[Row] = []
    held = np.array([1e-2, 1.0, 1e2, 1e3, 1e4, 1e5])
    for limit in (1e-5, 1e-4, 1e-3):
        wave = Waveform.triangle([1.5], 1.0, limit, samples_per_V=40)
        for last, following in zip(np.append(0.0, held[:-1]), held, strict=True):
            wave = wave + Waveform.hold(0.0, following - last, compliance_A=limit, samples=2)
        kept = run(wave)
        t0 = 3.0
        before = kept.conductance.values[:, np.searchsorted(kept.time.values, t0 - 1e-9)]
        after = np.array(
            [kept.conductance.values[:, np.searchsorted(kept.time.values, t0 + h - 1e-6 * h)] for h in held]
        )
        share = (np.abs(after / before - 1) < 0.2).mean(1)
        text = ", ".join(f"{s:.0%}" for s in share)
        rows.append(
            (
                f"within 20 % after 10 ms, 1 s, 100 s, 1e3, 1e4, 1e5 s, {limit:.0e} A",
                text,
                "90 % after 1e5 s at 1 mA",
                _verdict(share[-1] >= 0.9) if limit == RETAINED_A else "-",
            )
        )
    return rows


def reconfigurable(run: Callable[..., xr.Dataset]) -> list[Row]:
    """Volatile cycles before, and after five SET and RESET loops at 1 mA, slow and fast."""
    period, count = 0.12, 4
    cycles = Waveform.pulses(1.0, 20e-3, period, count, compliance_A=VOLATILE_A, samples_per_period=240)
    rows: list[Row] = []
    for rate in (1.0, 5.0):
        loop = Waveform.triangle([1.5, -4.0], rate, [RETAINED_A, np.inf], samples_per_V=20)
        wave = cycles
        for _ in range(5):
            wave = wave + loop
        starts = (0.0, float(wave.times_s[-1]))
        trace = run(wave + cycles)
        span = float(loop.times_s[-1])
        ends = starts[1] - span * np.arange(4, -1, -1)
        opened = [trace.conductance.values[:, np.searchsorted(trace.time.values, t - 1e-9) - 1] for t in ends]
        left = [trace.metal_atoms.values[:, np.searchsorted(trace.time.values, t - 1e-9) - 1] for t in ends]
        rows.append(
            (
                f"G after each of five RESETs, {rate:g} V/s",
                f"{_quartiles(np.array(opened), 'nS', 1e9)}; {_quartiles(np.array(left))} atoms left",
                "-",
                "-",
            )
        )
        names = ("before", f"after five SET and RESET at 1 mA, {rate:g} V/s")
        for name, start in list(zip(names, starts, strict=True))[rate > 1.0 :]:
            set_s, relax_s, _ = _pulses(
                trace.sel(time=slice(start - 1e-9, start + count * period)), 20e-3, start + period * np.arange(count)
            )
            works = np.isfinite(set_s) & np.isfinite(relax_s)
            times = (
                f"set {_quartiles(set_s, '', 1e3)}, relaxation {_quartiles(relax_s[np.isfinite(relax_s)], 'ms', 1e3)}"
            )
            stuck = np.sum(~works.any(1))
            text = f"{works.mean():.0%} of {works.size} cycles, {stuck} devices in none; {times}"
            rows.append((f"volatile cycles {name}", text, "90 %", _verdict(works.mean() >= 0.9, calibrated=True)))
    return rows


def graded(run: Callable[..., xr.Dataset]) -> list[Row]:
    """1 to 10 pulses of 1 V, 20 ms with 20 ms between, and what 100 ms later is left."""
    period, count = 40e-3, 10
    train = run(Waveform.pulses(1.0, 20e-3, period, count, compliance_A=VOLATILE_A, samples_per_period=320))
    set_s, _, _ = _pulses(train, 20e-3, period * np.arange(count))
    t = train.time.values
    atoms = [np.median(train.metal_atoms.values[:, np.searchsorted(t, period * k + 20e-3) - 1]) for k in range(count)]
    medians = np.nanmedian(set_s, 0)
    return [
        (
            "set time of pulses 1 to 10, 20 ms apart (ms)",
            ", ".join(f"{x * 1e3:.2g}" for x in medians),
            "graded",
            _verdict(bool(medians[1] < 0.8 * medians[0] and medians[-1] < medians[0])),
        ),
        ("atoms at the end of pulses 1 to 10", ", ".join(f"{x:.0f}" for x in atoms), "graded", "-"),
    ]


JOBS = {
    "volatile": volatile,
    "graded": graded,
    "retained": retained,
    "retention": retention,
    "reconfigurable": reconfigurable,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="john2022-ogb")
    parser.add_argument("--electrode", help="another active electrode, such as Au")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--replicas", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default=",".join(JOBS), help="some of: " + ", ".join(JOBS))
    parser.add_argument("--json", type=Path, help="write the rows there too")
    arguments = parser.parse_args()
    device = Device.load(arguments.device)
    if arguments.electrode:
        device = device.with_electrode(arguments.electrode)
    cell = FilamentKMC(device, temperature_K=arguments.temperature)

    def run(waveform: Waveform) -> xr.Dataset:
        return ensemble.run(cell, waveform, arguments.replicas, rng=2022, processes=arguments.processes)

    table: list[Row] = []
    for name in arguments.only.split(","):
        start = time.perf_counter()
        rows = JOBS[name](run)
        table += rows
        print(f"# {name}: {arguments.replicas} devices, {time.perf_counter() - start:.0f} s")
        for row in rows:
            print("| " + " | ".join(row) + " |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
