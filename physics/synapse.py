"""Protocols of an artificial synapse as waveforms: single, paired and repeated spikes on a read voltage.

Every protocol is spikes on a base. The base is the read voltage: it is on from the first instant to the last, as in
an experiment that watches the postsynaptic current without a break. The instants at which a response is taken are
the waveform's ``reads_s``, one after each spike. Defaults are those of Kim et al. [1]_; what the paper leaves open
(gaps, how long the film rests before and after, when after a spike the response is taken) is an argument.

References
----------
.. [1] S.-I. Kim et al., Adv. Electron. Mater. 5, 1900008 (2019), captions of Figs. 3 and 4, p. 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .waveform import Waveform

__all__ = ["amplitudes", "durations", "frequency", "numbers", "pair", "retention", "single", "spikes", "update"]

_EDGE_S = 1e-6  # rise and fall of a spike
_MOST_SPIKES = 100_000
_IN_SPIKE, _IN_GAP = 5, 8  # reported points

SPIKE_V, SPIKE_S = -1.0, 20e-3
"""Default spike of Kim et al., V and s (K-PULSE-01)."""
READ_V = -0.01
"""Read voltage of the plasticity protocols, V (K-PULSE-01); retention is read at -0.1 V (K-RET-PROT)."""
AMPLITUDES_V: tuple[float, ...] = tuple(round(-0.1 * step, 1) for step in range(1, 19))
"""K-SVDP-01, V."""
DURATIONS_S: tuple[float, ...] = tuple(round(20e-3 * step, 3) for step in range(1, 11))
"""K-SDDP-01, s."""
LEAD_S = 10e-3
"""Time at the read voltage before the first spike, s."""
GAP_S = 20e-3
"""Gap where the paper gives none, s: the shortest interval of its paired pulses."""


def spikes(
    amplitudes_V: ArrayLike,
    widths_s: ArrayLike,
    gaps_s: ArrayLike,
    *,
    read_V: float = READ_V,
    lead_s: float = LEAD_S,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
    rest_samples: int = 40,
) -> Waveform:
    """Spikes of any amplitude, width and distance on a read voltage.

    Parameters
    ----------
    amplitudes_V : float or array, shape (n,), V
        Voltage of each spike, not counted from the read voltage.
    widths_s : float or array, shape (n,), s, > 0
    gaps_s : float or array, shape (n - 1,), s, > `read_delay_s` + 1e-6 s
        From the end of a spike to the start of the next.
    read_V : float, V
        Held before, between and after the spikes.
    lead_s : float, s, >= 0
        Time at the read voltage before the first spike. The first instant of the waveform is the film at rest.
    rest_s : float, s, > `read_delay_s`
        Time at the read voltage after the last spike, reported on a logarithmic grid.
    read_delay_s : float, s, > 1e-6
        From the end of a spike's fall to the instant of its read.
    rest_samples : int, >= 2
        Reported points of the rest.

    Returns
    -------
    Waveform
        ``reads_s`` holds one instant for each spike.

    Raises
    ------
    InputError
        If the numbers do not go together or one is out of range.

    Examples
    --------
    >>> wave = spikes([-1.0, -1.0], 20e-3, 60e-3, lead_s=0.0)
    >>> [round(1e3 * float(t), 3) for t in wave.reads_s]
    [21.001, 101.001]
    """
    volts, widths, gaps = (np.atleast_1d(np.asarray(v, dtype=float)).ravel() for v in (amplitudes_V, widths_s, gaps_s))
    count = max(volts.size, widths.size, gaps.size + 1 if gaps.size > 1 else 1)
    if count > _MOST_SPIKES:
        raise InputError("Too many spikes", got=count, allowed=f"up to {_MOST_SPIKES}")
    columns: dict[str, NDArray[np.float64]] = {}
    for name, given, size in (
        ("amplitudes_V", volts, count),
        ("widths_s", widths, count),
        ("gaps_s", gaps, count - 1),
    ):
        if given.size not in (1, size):
            raise InputError(
                f"{name} does not go with {count} spikes", got=f"{given.size} values", allowed=f"1 or {size}"
            )
        columns[name] = np.broadcast_to(given, size) if given.size == 1 else given
        bad = ~np.isfinite(given) if name == "amplitudes_V" else ~(np.isfinite(given) & (given > 2 * _EDGE_S))
        if bad.any():
            unit = "V" if name == "amplitudes_V" else "s"
            raise InputError(f"{name} is out of range", got=f"{given[bad][0]} {unit}", allowed="finite, times > 2e-6 s")
    for name, value, least in (("lead_s", lead_s, 0.0), ("rest_s", rest_s, 2 * _EDGE_S)):
        if not (np.isfinite(value) and value >= least):
            raise InputError(f"{name} is out of range", got=f"{value} s", allowed=f">= {least:g} s")
    if not np.isfinite(read_V):
        raise InputError("read_V must be finite", got=f"{read_V} V")
    # a gap counts from the end of the plateau, the delay from that of the fall
    shortest = min([rest_s, *(columns["gaps_s"] - _EDGE_S)])
    if not _EDGE_S < read_delay_s < shortest:
        raise InputError(
            "The read does not fit between a spike and the next, or into the rest",
            got=f"read_delay_s {read_delay_s:g} s",
            allowed=f"1e-6 s to the shortest gap after a spike's fall, {shortest:g} s",
            action="Lengthen the gap or rest_s, or shorten read_delay_s",
        )
    if isinstance(rest_samples, bool) or int(rest_samples) != rest_samples or rest_samples < 2:
        raise InputError("rest_samples must be a whole number", got=rest_samples, allowed=">= 2")
    time, voltage, reads = [0.0], [float(read_V)], []
    samples: list[NDArray[np.float64]] = []
    now = 0.0
    if lead_s > 0:
        samples.append(np.linspace(0.0, lead_s, 4))
        now = lead_s
        time.append(now)
        voltage.append(float(read_V))
    for i, (volt, width) in enumerate(zip(columns["amplitudes_V"], columns["widths_s"], strict=True)):
        end = now + width
        time += [now + _EDGE_S, end, end + _EDGE_S]
        voltage += [float(volt), float(volt), float(read_V)]
        samples.append(np.linspace(now + _EDGE_S, end, _IN_SPIKE))
        free = end + _EDGE_S
        reads.append(free + read_delay_s)
        if i < count - 1:
            gap = float(columns["gaps_s"][i])
            samples.append(np.linspace(free, end + gap, _IN_GAP))
            now = end + gap
            time.append(now)
            voltage.append(float(read_V))
        else:
            stop = free + rest_s
            first = min(read_delay_s, 1e-3, rest_s / 10)
            samples.append(np.minimum(free + np.geomspace(first, rest_s, int(rest_samples)), stop))
            time.append(stop)
            voltage.append(float(read_V))
    return Waveform(np.array(time), np.array(voltage), samples_s=np.concatenate(samples), reads_s=np.array(reads))


def single(
    amplitude_V: float = SPIKE_V,
    width_s: float = SPIKE_S,
    *,
    read_V: float = READ_V,
    rest_s: float = 1.0,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """One spike and the decay after it: the excitatory postsynaptic current (EPSC).

    Parameters
    ----------
    amplitude_V, width_s, read_V, rest_s, read_delay_s : float, V, s, V, s, s
        As for :func:`spikes`.
    """
    return spikes(amplitude_V, width_s, GAP_S, read_V=read_V, rest_s=rest_s, read_delay_s=read_delay_s)


def pair(
    interval_s: float = GAP_S,
    *,
    amplitude_V: float = SPIKE_V,
    width_s: float = SPIKE_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Two spikes: paired-pulse facilitation (PPF). Kim et al. vary the interval from 20 to 180 ms.

    Parameters
    ----------
    interval_s : float, s, > `read_delay_s`
        From the end of the first spike to the start of the second.
    amplitude_V, width_s, read_V, rest_s, read_delay_s : float, V, s, V, s, s
        As for :func:`spikes`.
    """
    return spikes([amplitude_V] * 2, width_s, interval_s, read_V=read_V, rest_s=rest_s, read_delay_s=read_delay_s)


def frequency(
    frequency_Hz: float = 10.0,
    *,
    count: int = 5,
    amplitude_V: float = SPIKE_V,
    width_s: float = SPIKE_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Spikes at one frequency: SFDP. Kim et al. compare the fifth response with the first, 2.8 to 25 Hz.

    Parameters
    ----------
    frequency_Hz : float, Hz, > 0, below 1 / (`width_s` + `read_delay_s`)
    count : int, >= 2
    amplitude_V, width_s, read_V, rest_s, read_delay_s : float, V, s, V, s, s
        As for :func:`spikes`.
    """
    if not (np.isfinite(frequency_Hz) and frequency_Hz > 0 and 1.0 / frequency_Hz > width_s + read_delay_s):
        raise InputError(
            "The spikes and their reads do not fit into the period",
            got=f"{frequency_Hz} Hz, width_s {width_s:g} s",
            allowed=f"0 to {1.0 / (width_s + read_delay_s):g} Hz",
        )
    return spikes(
        [amplitude_V] * _count(count),
        width_s,
        1.0 / frequency_Hz - width_s,
        read_V=read_V,
        rest_s=rest_s,
        read_delay_s=read_delay_s,
    )


def amplitudes(
    amplitudes_V: Sequence[float] = AMPLITUDES_V,
    *,
    width_s: float = SPIKE_S,
    gap_s: float = GAP_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Spikes of rising amplitude, one of each: SVDP. Kim et al.: 18 spikes, -0.1 to -1.8 V.

    Parameters
    ----------
    amplitudes_V : sequence of float, V
    width_s, gap_s, read_V, rest_s, read_delay_s : float, s, s, V, s, s
        As for :func:`spikes`.
    """
    return spikes(amplitudes_V, width_s, gap_s, read_V=read_V, rest_s=rest_s, read_delay_s=read_delay_s)


def durations(
    widths_s: Sequence[float] = DURATIONS_S,
    *,
    amplitude_V: float = SPIKE_V,
    gap_s: float = GAP_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Spikes of rising duration, one of each: SDDP. Kim et al.: 10 spikes, 20 to 200 ms.

    Parameters
    ----------
    widths_s : sequence of float, s, > 0
    amplitude_V, gap_s, read_V, rest_s, read_delay_s : float, V, s, V, s, s
        As for :func:`spikes`.
    """
    return spikes(amplitude_V, widths_s, gap_s, read_V=read_V, rest_s=rest_s, read_delay_s=read_delay_s)


def numbers(
    count: int = 50,
    *,
    amplitude_V: float = SPIKE_V,
    width_s: float = SPIKE_S,
    gap_s: float = GAP_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Many equal spikes: SNDP. Kim et al. read after 1, 2, 5, 10, 20, 30, 40 and 50.

    Parameters
    ----------
    count : int, >= 2
    amplitude_V, width_s, gap_s, read_V, rest_s, read_delay_s : float, V, s, s, V, s, s
        As for :func:`spikes`.
    """
    return spikes(
        [amplitude_V] * _count(count), width_s, gap_s, read_V=read_V, rest_s=rest_s, read_delay_s=read_delay_s
    )


def retention(
    count: int = 30,
    *,
    amplitude_V: float = SPIKE_V,
    width_s: float = SPIKE_S,
    gap_s: float = GAP_S,
    read_V: float = -0.1,
    lead_s: float = LEAD_S,
    watch_s: float = 15.0,
    read_delay_s: float = 1e-3,
    samples: int = 120,
) -> Waveform:
    """Spikes ("rehearsals"), then a long watch at the read voltage.

    Parameters
    ----------
    count : int, >= 1
    amplitude_V, width_s, gap_s, read_V, lead_s, read_delay_s : float, V, s, s, V, s, s
        As for :func:`spikes`.
    watch_s : float, s
        How long the decay is watched; the paper's time axis ends at 15 s.
    samples : int, >= 2
        Reported points of the decay, from 1 ms on, equally spaced in ln t.
    """
    return spikes(
        [amplitude_V] * _count(count, 1),
        width_s,
        gap_s,
        read_V=read_V,
        lead_s=lead_s,
        rest_s=watch_s,
        read_delay_s=read_delay_s,
        rest_samples=samples,
    )


def update(
    count: int = 20,
    *,
    amplitude_V: float = SPIKE_V,
    depression_V: float | None = None,
    width_s: float = SPIKE_S,
    gap_s: float = GAP_S,
    read_V: float = READ_V,
    rest_s: float = 0.2,
    read_delay_s: float = 1e-3,
) -> Waveform:
    """Potentiation, then depression: `count` spikes of each sign. Kim et al.: 20 of -1 V, 20 of +1 V.

    Parameters
    ----------
    count : int, >= 2
        Spikes of each sign.
    amplitude_V, depression_V : float, V
        Of the potentiating and the depressing spikes; the opposite of `amplitude_V` if not given.
    width_s, gap_s, read_V, rest_s, read_delay_s : float, s, s, V, s, s
        As for :func:`spikes`.
    """
    count = _count(count)
    back = -amplitude_V if depression_V is None else depression_V
    return spikes(
        [amplitude_V] * count + [back] * count,
        width_s,
        gap_s,
        read_V=read_V,
        rest_s=rest_s,
        read_delay_s=read_delay_s,
    )


def _count(value: float, least: int = 2) -> int:
    if isinstance(value, bool) or not np.isfinite(value) or int(value) != value or not least <= value <= _MOST_SPIKES:
        raise InputError("count must be a whole number", got=value, allowed=f"{least} to {_MOST_SPIKES}")
    return int(value)
