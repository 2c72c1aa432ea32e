"""From blocks to runs of one stimulus: limits, floors, signs, stuck devices; and from runs to traces."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import trace as traces
from ..waveform import Waveform
from .blocks import Block
from .report import Note
from .segmenting import Segment, clipped, limited_side, segments

__all__ = ["Run", "judged", "runs_of", "traces_of"]

Array = NDArray[np.float64]

_LEAST_RATIO = 3.0  # of conductances, below which nothing has switched: that of compact.fit
_LEAST_POINTS = 10  # that compact.fit takes
_SAME_STIMULUS = 5e-3  # of the span of the voltage: cycles that differ by less are repetitions
_LOST = 0.1  # share of the instants that repetitions may lose to have one axis
_STATED = {"as given": "given", "as the file says": "that the file names"}  # limits that may not be those of the data
_BELOW = 0.05  # by which share a plateau lies below the limit from which on it is another one
_OFTEN = 0.05  # share of the points above the limit from which on it is no overshoot
_WRONG = 0.8  # share of the larger currents against the voltage from which on it is the convention that is wrong


@dataclass(eq=False)
class Run:
    """One stimulus on one device.

    Attributes
    ----------
    block : Block
        Its points.
    segment : Segment
    label : str
        Cycle.
    limit_A : float, A, > 0
        ``inf`` without a limit.
    side : int
        Polarity that the limit holds for, 0 for both.
    limited : array of bool
        Where the source limited the current.
    bound : array of bool
        Where it did and the voltage of the device was not measured: the conductance is a lower bound.
    conductance_S : array, S
    good : array of bool
        Points that enter the trace.
    """

    block: Block
    segment: Segment
    label: str
    limit_A: float
    side: int
    limited: NDArray[np.bool_]
    bound: NDArray[np.bool_]
    conductance_S: Array
    good: NDArray[np.bool_]

    def note(self, kind: str, text: str, which: NDArray[np.bool_] | None = None) -> Note:
        """A note about this run, or some of its points.

        Parameters
        ----------
        kind, text : str
        which : array of bool, shape (n,), optional
            Points that it is about; the whole run if not given.
        """
        lines = () if which is None else tuple(int(n) for n in self.block.lines[which])
        return Note(kind, text, self.block.file, lines, self.block.device, self.label)


def runs_of(
    blocks: Sequence[Block], notes: list[Note], *, compliance_A: float | None, floor_V: float | None
) -> list[Run]:
    """Runs of the blocks of one table, each judged point by point.

    Parameters
    ----------
    blocks : sequence of Block
    notes : list of Note
        What was done to the data is added to it.
    compliance_A : float or None, A, > 0
        Limit of the source; None looks for it in the data.
    floor_V : float or None, V
        Size of the voltage below which a point gives no conductance; None is the larger of 1 mV and a hundredth of the
        largest voltage.

    Returns
    -------
    list of Run
    """
    pieces: list[tuple[Block, Segment, str]] = []
    for block in blocks:
        parts = segments(block.time_s, block.voltage_V)
        if len(parts) > 1:
            shapes: dict[str, int] = {}
            for part in parts:
                shapes[_shape(part)] = shapes.get(_shape(part), 0) + 1
            text = f"{len(parts)} cycles: " + ", ".join(f"{count} of {shape}" for shape, count in shapes.items())
            notes.append(Note("separated", text, block.file, (), block.device, block.cycle))
        for n, part in enumerate(parts):
            label = f"{block.cycle}.{n + 1}" if block.cycle and len(parts) > 1 else block.cycle or str(n + 1)
            cut = block.at(slice(part.start, part.stop))
            pieces.append((cut.at(slice(None), time_s=cut.time_s - cut.time_s[0]), part, label))
    runs = []
    for device in dict.fromkeys(block.device for block, _, _ in pieces):
        own = [piece for piece in pieces if piece[0].device == device]
        for piece, (limited, limit, side) in zip(own, _limits(own, notes, compliance_A), strict=True):
            if (run := _run(*piece, limited, limit, side, floor_V, notes)) is not None:
                runs.append(run)
    return runs


def _shape(part: Segment) -> str:
    """A sweep in words."""
    if part.kind != "sweep":
        return part.kind
    low, high = part.values["lowest_V"], part.values["highest_V"]
    return f"{low:.3g} to {high:.3g} V" + ("" if part.complete else ", broken off")


# -- the limit of the current ------------------------------------------------------------------------------------


def _positive(values: Array) -> Array:
    """Those that can be a limit: 0 A is none."""
    return values[np.isfinite(values) & (values > 0)]


def _limits(
    pieces: Sequence[tuple[Block, Segment, str]], notes: list[Note], compliance_A: float | None
) -> list[tuple[NDArray[np.bool_], float, int]]:
    """Where the source limited the current of each piece, at which current, and at which polarity (0: both)."""
    found: list[tuple[NDArray[np.bool_], float, str]] = []
    for block, part, _ in pieces:
        I = np.abs(block.current_A)  # noqa: E741
        if compliance_A is not None:
            found.append((*clipped(block.voltage_V, I, compliance_A), "as given"))
        elif block.compliance_A is not None and (set_A := _positive(block.compliance_A)).size:
            limit = float(np.median(set_A))
            found.append((*clipped(block.voltage_V, I, limit), "as the file says"))
        elif block.flags is not None and _positive(I[block.flags]).size > block.flags.sum() / 2:
            found.append((block.flags, float(np.median(I[block.flags])), "median of the flagged currents"))
        elif part.kind == "sweep":
            found.append((*clipped(block.voltage_V, I), "from a plateau of the current"))
        else:
            found.append((np.zeros(I.size, dtype=bool), math.inf, ""))
    # a plateau in some cycles tells the limit of all of them, if it is the same one
    seen = [limit for (_, limit, how) in found if how == "from a plateau of the current" and math.isfinite(limit)]
    common = float(np.median(seen)) if seen and np.ptp(seen) <= 0.05 * np.median(seen) else None
    answer, told = [], set()
    untold: dict[tuple[str, float], Note] = {}
    sides: dict[float, int] = {}
    for (mask, limit, how), (block, part, label) in zip(found, pieces, strict=True):
        if common is not None and (how == "from a plateau of the current" or (not how and part.kind == "pulses")):
            mask, limit = clipped(block.voltage_V, np.abs(block.current_A), common)
        if limit not in sides:  # of all cycles together: one that stays OFF passes no limit
            alike = [piece[0] for piece, (_, other, _) in zip(pieces, found, strict=True) if other in (limit, math.inf)]
            alike = alike if any(b is block for b in alike) else [*alike, block]
            volts, amps = (np.concatenate([getattr(b, name) for b in alike]) for name in ("voltage_V", "current_A"))
            sides[limit] = limited_side(volts, amps, limit)
            if sides[limit]:
                word = "positive" if sides[limit] > 0 else "negative"
                text = f"the limit of {limit:.4g} A holds at {word} voltage only: currents of the other sign pass it"
                notes.append(Note("assumed", text, block.file, (), block.device))
        if sides[limit]:
            mask = mask & (np.sign(block.voltage_V) == sides[limit])
        if block.flags is not None:
            mask = mask | _credible(block, block.flags, notes, label)
        if how in _STATED and part.kind == "sweep":
            stays, level = clipped(block.voltage_V, np.abs(block.current_A))
            if level < (1.0 - _BELOW) * limit:
                text = (
                    f"the current stays at {level:.4g} A over {_points(stays)}, below the limit "
                    f"{_STATED[how]} ({limit:.4g} A): if the source limited it there, the limit is {level:.4g} A"
                )
                lines = tuple(int(n) for n in block.lines[stays])
                notes.append(Note("warning", text, block.file, lines, block.device, label, "limit"))
        if math.isfinite(limit) and how:
            over = np.abs(block.current_A) > 1.2 * limit
            if sides[limit]:
                over &= np.sign(block.voltage_V) == sides[limit]
            if over.any():
                text = (
                    f"{int(over.sum())} currents up to {np.abs(block.current_A[over]).max():.3g} A exceed the limit of "
                )
                text += f"{limit:.3g} A: overshoot, or another limit"
                lines = tuple(int(n) for n in block.lines[over])
                about = "limit" if over.mean() > _OFTEN else ""
                notes.append(Note("warning", text, block.file, lines, block.device, label, about))
            key = (how, round(math.log(limit), 1))
            note = Note(
                "assumed" if "plateau" in how else "read",
                f"compliance of {limit:.4g} A, {how}",
                block.file,
                (),
                block.device,
            )
            if key not in told and mask.any():
                told.add(key)
                notes.append(note)
            elif how in _STATED:
                untold.setdefault(key, replace(note, text=f"{note.text}; no current reaches it"))
        answer.append((mask, limit, sides[limit]))
    notes += [note for key, note in untold.items() if key not in told]
    return answer


def _credible(block: Block, flags: NDArray[np.bool_], notes: list[Note], label: str) -> NDArray[np.bool_]:
    """Flags, unless the current at the flagged points is a small one: then they say something else."""
    if flags.any() and float(np.median(np.abs(block.current_A[flags]))) < 0.3 * float(np.abs(block.current_A).max()):
        text = f"{int(flags.sum())} flagged points do not carry the largest currents: the flags are not used"
        notes.append(Note("warning", text, block.file, (), block.device, label))
        return np.zeros(flags.size, dtype=bool)
    return flags


# -- points ------------------------------------------------------------------------------------------------------


def _collapses(voltage: Array, limited: NDArray[np.bool_]) -> bool:
    """Whether a rising voltage drops by a fifth at the first limited point: then it was measured at the device."""
    begun = np.flatnonzero(limited[2:] & ~limited[1:-1]) + 2
    size = np.abs(voltage)
    return bool(((size[begun - 1] > size[begun - 2]) & (size[begun] < 0.8 * size[begun - 1])).any())


def _points(which: NDArray[np.bool_]) -> str:
    count = int(which.sum())
    return f"{count} point{'' if count == 1 else 's'}"


def _run(
    block: Block,
    part: Segment,
    label: str,
    limited: NDArray[np.bool_],
    limit: float,
    side: int,
    floor_V: float | None,
    notes: list[Note],
) -> Run | None:
    V, I = block.voltage_V, block.current_A  # noqa: E741
    measured = block.device_V is not None and bool(np.isfinite(block.device_V).all())
    held = block.device_V if measured and block.device_V is not None else V
    if not measured and _collapses(V, limited):
        measured, limit = True, math.inf
        text = (
            "the voltage falls where the current reaches the limit, so it is that of the device, not of the source: "
            "I/V is the conductance there, and the waveform is what the device saw"
        )
        notes.append(Note("assumed", text, block.file, (), block.device, label))
    floor = max(1e-3, 0.01 * float(np.abs(V).max())) if floor_V is None else floor_V
    high = np.abs(held) >= floor
    up, down = held > floor, held < -floor
    if (np.sign(I) >= 0).all() and up.any() and down.any() and (np.sign(I[down]) > 0).mean() > _WRONG:
        I = I * np.sign(V)  # noqa: E741
        text = "the current is written without sign (none is negative): it has that of the voltage"
        notes.append(Note("assumed", text, block.file, (), block.device, label))
        block = block.at(slice(None), current_A=I)
    conductance = np.full(V.size, np.nan)
    conductance[high] = I[high] / held[high]
    run = Run(block, part, label, limit, side, limited, limited & (not measured), conductance, high.copy())
    low = ~high
    against = high & ~(conductance > 0)
    if block.reads is not None:
        run.good &= block.reads
        low, against = low & block.reads, against & block.reads
    large = high & (np.abs(I) >= 0.5 * float(np.abs(I).max())) & (I != 0)
    if large.any() and float((conductance[large] < 0).mean()) >= _WRONG:
        text = (
            f"{int(against.sum())} of {int(high.sum())} currents flow against the voltage: the sign convention is "
            "another than ours (positive current at positive voltage). Nothing was turned; to do so give "
            "flip_current=True, on the command line --flip-current"
        )
        notes.append(run.note("aside", text))
        return None
    run.good &= ~against
    if low.any():
        text = f"{_points(low)} below {floor:.3g} V, where I/V tells no conductance (the waveform keeps them)"
        notes.append(run.note("dropped", text, low))
    if against.any():
        size = float(np.abs(I[against]).max())
        text = f"{int(against.sum())} currents of up to {size:.2g} A against the voltage: below the resolution"
        notes.append(run.note("dropped", text, against))
        if against.sum() > 0.2 * high.sum():
            text = "more than a fifth of the currents have the wrong sign, so small conductances come out too large"
            notes.append(run.note("warning", text))
    if run.bound.any():
        text = (
            f"{int(run.bound.sum())} of {V.size} points at the limit of {limit:.4g} A: the voltage of the device is "
            "not known, so I/V is a lower bound of the conductance"
        )
        notes.append(run.note("flagged", text, run.bound))
    if not part.complete:
        notes.append(run.note("aside", f"sweep broken off at {V[-1]:.3g} V"))
        return None
    if run.good.sum() < _LEAST_POINTS:
        notes.append(run.note("aside", f"{int(run.good.sum())} usable points, a fit needs {_LEAST_POINTS}"))
        return None
    return run


# -- devices -----------------------------------------------------------------------------------------------------


def _swing(run: Run, sign: int) -> float:
    """ln of the conductance on the way back over that on the way out, at the voltages of one sign; nan if not swept.

    The tenth part of the voltages at which the two differ most decides, and against a bound only what is certain.
    """
    V, g = run.block.voltage_V, run.conductance_S
    side = np.flatnonzero(run.good & (sign * V > 0))
    if side.size < 6:
        return math.nan
    size, ln_g = np.abs(V[side]), np.log(g[side])
    top = int(np.argmax(size))
    out, back = slice(0, top + 1), slice(top, None)
    if top < 2 or size.size - top < 3:
        return math.nan
    low = max(size[out].min(), size[back].min())
    grid = np.linspace(low, size[top], 40)
    first, second = np.argsort(size[out], kind="stable"), np.argsort(size[back], kind="stable")
    difference = np.interp(grid, size[back][second], ln_g[back][second]) - np.interp(
        grid, size[out][first], ln_g[out][first]
    )
    high, deep = float(np.quantile(difference, 0.9)), float(np.quantile(difference, 0.1))
    return high if abs(high) >= abs(deep) else deep


def _switches(run: Run) -> bool | None:
    """Whether the conductance changes more than noise does; None if the stimulus does not tell."""
    if run.segment.kind == "retention":
        return None
    if run.segment.kind == "sweep":
        swings = np.array([_swing(run, sign) for sign in (1, -1)])
        if np.isnan(swings).all():
            return None
        return bool(np.nanmax(np.abs(swings)) >= math.log(_LEAST_RATIO))
    V, g = run.block.voltage_V[run.good], np.log(run.conductance_S[run.good])
    levels = np.round(V / max(0.02 * float(np.ptp(run.block.voltage_V)), 1e-12))
    for level in np.unique(levels):
        own = g[levels == level]
        if own.size >= 4 and np.quantile(own, 0.98) - np.quantile(own, 0.02) >= math.log(_LEAST_RATIO):
            return True
    return False


def _low_bias(run: Run) -> float:
    """Median of ln G in the lower half of the voltages."""
    size = np.abs(run.block.voltage_V[run.good])
    near = size <= 0.5 * size.max()
    return float(np.median(np.log(run.conductance_S[run.good])[near if near.sum() >= 3 else slice(None)]))


def judged(runs: Sequence[Run], notes: list[Note]) -> list[Run]:
    """Runs of devices that switch, the right way round; every other is set aside with the reason.

    Parameters
    ----------
    runs : sequence of Run
    notes : list of Note
        The reasons are added to it.

    Returns
    -------
    list of Run
    """
    verdicts = {id(run): _switches(run) for run in runs}
    lively = [run for run in runs if verdicts[id(run)]]
    levels = [
        (float(np.quantile(g, 0.02)), float(np.quantile(g, 0.98)))
        for run in lively
        for g in [np.log(run.conductance_S[run.good])]
    ]
    middle = 0.5 * float(np.median(levels, axis=0).sum()) if levels else math.nan
    kept: list[Run] = []
    for key in dict.fromkeys((run.block.file, run.block.device) for run in runs):
        own = [run for run in runs if (run.block.file, run.block.device) == key]
        told = [run for run in own if verdicts[id(run)] is not None]
        if told and not any(verdicts[id(run)] for run in told):
            level = float(np.median([_low_bias(run) for run in told]))
            limited = float(np.mean([run.limited.mean() for run in told]))
            if limited > 0.5:
                state = f"always ON: {100 * limited:.0f} % of the points at the limit of the current"
            elif math.isnan(middle):
                state = "never switches"
            else:
                state = "always ON" if level > middle else "always OFF"
            text = (
                f"stuck, {state}: {math.exp(level):.2g} S in {len(told)} run{'s' if len(told) > 1 else ''}, the "
                f"conductance of none changes by a factor of {_LEAST_RATIO:g} at one voltage"
            )
            notes.append(Note("aside", text, key[0], (), key[1]))
            continue
        if (turned := _turned(told)) is not None:
            notes.append(Note("aside", turned, key[0], (), key[1]))
            continue
        idle = 0
        for run in own:
            if verdicts[id(run)] is False and run.segment.kind == "sweep":
                if not math.isnan(middle) and _low_bias(run) > middle:
                    text = f"does not switch: stuck ON at {math.exp(_low_bias(run)):.2g} S"
                    notes.append(run.note("aside", text))
                    continue
                idle += 1
            kept.append(run)
        if idle:
            text = f"{idle} of {len(own)} cycles do not switch; they stay, since a fit counts what did not happen"
            notes.append(Note("warning", text, key[0], (), key[1]))
    return kept


def _turned(runs: Sequence[Run]) -> str | None:
    """The reason, if a device switches ON at negative or OFF at positive voltage."""
    swings = np.array([[_swing(run, sign) for sign in (1, -1)] for run in runs if run.segment.kind == "sweep"])
    if not swings.size:
        return None
    positive, negative = (
        float(np.median(column[np.isfinite(column)])) if np.isfinite(column).any() else 0.0 for column in swings.T
    )
    least = math.log(_LEAST_RATIO)
    if positive > -least and not (negative > least and positive < least):
        return None
    what = "OFF at positive voltage" if positive <= -least else "ON at negative voltage only"
    return (
        f"switches {what}: our voltage is that of the active electrode against the other, so source and ground are "
        "likely exchanged. Nothing was turned; to turn voltage and current give flip_voltage=True, on the command "
        "line --flip-voltage"
    )


# -- traces ------------------------------------------------------------------------------------------------------


def traces_of(runs: Sequence[Run], notes: list[Note], temperature_K: float) -> list[xr.Dataset]:
    """Traces: repetitions of one stimulus in one Dataset, over device and cycle.

    Parameters
    ----------
    runs : sequence of Run
    notes : list of Note
        What was left out is added to it.
    temperature_K : float, K
        Where a file does not say.

    Returns
    -------
    list of xarray.Dataset
    """
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if _repeats(group[0], run, temperature_K):
                group.append(run)
                break
        else:
            groups.append([run])
    made = []
    for group in groups:
        for part in _rectangular(_compatible(group), notes):
            made.append(_trace(part, notes, temperature_K))
    return made


def _kelvin(run: Run, otherwise: float) -> float:
    return otherwise if math.isnan(run.block.temperature_K) else round(run.block.temperature_K, 1)


def _repeats(one: Run, other: Run, kelvin: float) -> bool:
    a, b = one.block, other.block
    if a.voltage_V.size != b.voltage_V.size or one.segment.kind != other.segment.kind:
        return False
    if _kelvin(one, kelvin) != _kelvin(other, kelvin):
        return False
    if one.side != other.side:
        return False
    if one.limit_A != other.limit_A and not abs(one.limit_A - other.limit_A) <= 0.05 * one.limit_A < math.inf:
        return False
    span = max(float(np.ptp(a.voltage_V)), float(np.abs(a.voltage_V).max()), 1e-6)
    if np.abs(a.voltage_V - b.voltage_V).max() > _SAME_STIMULUS * span:
        return False
    step = np.diff(a.time_s)
    room = 0.5 * np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0]))
    # the clocks may drift apart by a percent of the run, each step by less than half of itself
    return bool((np.abs(a.time_s - b.time_s) <= room + 0.01 * a.time_s).all())


def _compatible(group: list[Run]) -> list[list[Run]]:
    """Split a group so that the runs of each part lose few instants to a common axis."""
    if len(group) == 1:
        return [group]
    share = np.mean([run.good for run in group], axis=0)
    usual = share >= 0.5
    together: list[Run] = []
    alone: list[Run] = []
    for run in group:
        lost = float((usual & ~run.good).sum()) / max(int(usual.sum()), 1)
        (together if lost <= _LOST else alone).append(run)
    while len(together) > 1:
        common = np.logical_and.reduce([run.good for run in together])
        if common.sum() >= max((1 - 2 * _LOST) * usual.sum(), _LEAST_POINTS):
            break
        worst = min(together, key=lambda run: int((run.good & usual).sum()))
        together.remove(worst)
        alone.append(worst)
    return ([together] if together else []) + [[run] for run in alone]


def _rectangular(parts: list[list[Run]], notes: list[Note]) -> list[list[list[Run]]]:
    """Runs as rows of devices with equally many cycles each."""
    answer = []
    for part in parts:
        devices: dict[tuple[str, str], list[Run]] = {}
        for run in part:
            devices.setdefault((run.block.device, ""), []).append(run)
        rows = list(devices.values())
        if len({len(row) for row in rows}) == 1:
            answer.append(rows)
        else:
            counts = ", ".join(f"{len(row)} of {row[0].block.device}" for row in rows)
            text = f"unequally many cycles ({counts}): the spread between devices is not told from that of cycles"
            notes.append(Note("warning", text))
            answer += [[row] for row in rows]
    return answer


def _trace(rows: list[list[Run]], notes: list[Note], temperature_K: float) -> xr.Dataset:
    from ... import __version__

    runs = [run for row in rows for run in row]
    first = runs[0]
    good = np.logical_and.reduce([run.good for run in runs])
    lost = sum(int((run.good & ~good).sum()) for run in runs)
    time = np.median([run.block.time_s for run in runs], axis=0)
    voltage = np.median([run.block.voltage_V for run in runs], axis=0)
    if len(runs) > 1:
        apart = max(float(np.abs(run.block.time_s - time).max()) for run in runs)
        text = (
            f"{len(runs)} repetitions of one stimulus on one axis of time (their clocks differ by up to {apart:.2g} s)"
        )
        if lost:
            text += f"; {lost} points at instants at which another repetition has none are left out"
        notes.append(Note("merged", text, first.block.file, (), "" if len(rows) > 1 else first.block.device))
    limit = float(np.median([run.limit_A for run in runs]))
    waveform = _waveform(time, voltage, limit, first.side, good if first.block.reads is not None else None)
    dims: list[str] = (["device"] if len(rows) > 1 else []) + (["cycle"] if len(rows[0]) > 1 else [])
    shape = tuple(n for n in (len(rows), len(rows[0])) if n > 1)

    def table(column) -> Array:
        return np.array([column(run)[good] for run in runs]).reshape(*shape, -1)

    over = (*dims, "time")

    def held(run: Run) -> Array:
        own = run.block.device_V
        return own if own is not None and np.isfinite(own).all() else run.block.voltage_V

    data = {
        "voltage": ("time", voltage[good], {"units": "V", "long_name": "source voltage"}),
        "device_voltage": (over, table(held), {"units": "V", "long_name": "device voltage"}),
        "current": (over, table(lambda run: run.block.current_A), {"units": "A", "long_name": "current"}),
        "conductance": (over, table(lambda run: run.conductance_S), {"units": "S", "long_name": "conductance"}),
        "lower_bound": (
            over,
            table(lambda run: run.bound).astype(float),
            {"units": "1", "long_name": "1 where the limited current makes conductance a lower bound"},
        ),
    }
    trace = xr.Dataset(data, coords={"time": ("time", time[good], {"units": "s", "long_name": "time"})})
    if "device" in dims:
        trace = trace.assign_coords(device_name=("device", [row[0].block.device for row in rows], {"units": "1"}))
    kelvin = _kelvin(first, temperature_K)
    trace.attrs.update(
        model="measurement",
        version=__version__,
        parameters=json.dumps({"temperature_K": kelvin}),
        sources="[]",
        seed="",
        waveform=json.dumps(waveform.to_dict()),
        kind=first.segment.kind,
        temperature_K=kelvin,
        files=json.dumps(sorted({run.block.file for run in runs})),
        devices=json.dumps([row[0].block.device for row in rows]),
        cycles=json.dumps([run.label for run in rows[0]]),
    )
    return traces.check(trace)


def _waveform(time: Array, voltage: Array, limit: float, side: int, reads: NDArray[np.bool_] | None) -> Waveform:
    """The stimulus: corners where the voltage bends, every instant a sample; a limit of one polarity needs corners
    where the voltage changes its sign."""
    slope = np.diff(voltage) / np.diff(time)
    scale = float(np.abs(slope).max()) or 1.0
    bend = np.abs(np.diff(slope)) > 1e-9 * scale
    corner = np.concatenate([[True], bend, [True]])
    limits = np.array(limit)
    if side:
        turn = np.flatnonzero(voltage[:-1] * voltage[1:] < 0)
        corner |= voltage == 0
        corner[turn + (np.abs(voltage[turn + 1]) < np.abs(voltage[turn]))] = True
        volts = voltage[corner]
        limits = np.where(side * (volts[:-1] + volts[1:]) > 0, limit, np.inf)
    instants = time if reads is None else time[reads]
    read = instants if reads is not None else np.array([])
    return Waveform(time[corner], voltage[corner], limits, instants, read)
