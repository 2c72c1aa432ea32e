"""Which filament forms first, of the electrode's metal or of halide vacancies?

Metal ions sit on interstitial sites, vacancies on the halide sublattice. As long as neither filament conducts, both see
the same voltage and nothing of each other; so the first passages of two independent models to the compliance current
under one waveform are those of the device with both, up to the earlier of the two.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..physics.device import Device
from ..physics.errors import InputError, ValidityError
from ..physics.randomness import Rng, describe, generator
from ..physics.waveform import Waveform
from .simulation import FilamentKMC
from .vacancies import VacancyKMC

__all__ = ["MECHANISMS", "WINNERS", "race", "with_film"]

MECHANISMS = ("metal", "vacancies")
WINNERS = ("none", "metal", "vacancies", "both at once")

_PARTS = (0.4, 0.6, 0.8, 1.0)  # of a waveform, tried one after the other


def with_film(device: Device, thickness_m: float) -> Device:
    """A copy of a card with a film of another thickness; its leak changes as one over the thickness.

    Parameters
    ----------
    device : Device
    thickness_m : float, m, > 0

    Raises
    ------
    InputError
        If the thickness is out of range.

    Examples
    --------
    >>> thick = with_film(Device.load("mapbi3-ag"), 180e-9)
    >>> thick.film.thickness_m, round(thick.value("leakage_S") / 1e-7, 12)
    (1.8e-07, 0.5)
    """
    old_m = device.film.thickness_m
    if thickness_m == old_m:
        return device
    other = device.with_thickness(thickness_m)
    return other.with_parameters(leakage_S=device.value("leakage_S") * old_m / thickness_m)


def race(
    device: Device,
    waveform: Waveform,
    *,
    thicknesses_m: Sequence[float],
    electrodes: Sequence[str] = ("Ag",),
    replicas: int = 5,
    temperature_K: float = 300.0,
    metal: dict[str, Any] | None = None,
    vacancies: dict[str, Any] | None = None,
    rng: Rng = None,
) -> xr.Dataset:
    """Switching times of both mechanisms, film by film and electrode by electrode.

    Parameters
    ----------
    device : Device
        Card with the numbers of both models, such as mapbi3-ag.
    waveform : Waveform
        With a finite compliance; a switching time is the first reported instant at which the current meets it.
    thicknesses_m : sequence of float, m
    electrodes : sequence of str
        Metals of the active electrode.
    replicas : int, >= 1
    temperature_K : float, K, > 0
    metal, vacancies : mapping, optional
        Further arguments of :class:`FilamentKMC` and :class:`VacancyKMC`.
    rng : int, numpy.random.Generator or None
        Each run draws from a child stream of its own.

    Returns
    -------
    xarray.Dataset
        Over ``electrode, thickness, replica``: ``switching_time`` (mechanism first, s, NaN if it did not switch),
        ``switching_voltage`` (V, of the source) and ``winner`` (index of attribute ``winners``); over ``electrode,
        mechanism``: ``modelled``, 0 where a model refuses the electrode, whose reason is in attribute ``refused``.

    Raises
    ------
    InputError
        If an argument does not fit.
    ConvergenceError
        If a field or a network is not solved.
    ValidityError
        If a filament melts.

    Notes
    -----
    Exact up to the first switching, within the two models and the spacing of reported instants. A leak that meets the
    compliance by itself would count as switching for both; choose the compliance above it.

    Examples
    --------
    >>> card = Device.load("mapbi3-ag").with_parameters(column_width_m=2e-9)
    >>> held = Waveform.hold(0.1, 1e-4, compliance_A=1e-6, samples=3)
    >>> one = race(card, held, thicknesses_m=[10e-9], replicas=1, rng=1)
    >>> one.winners[int(one.winner[0, 0, 0])]
    'none'
    """
    if not isinstance(waveform, Waveform) or not np.isfinite(waveform.compliance_A).all():
        raise InputError("A race needs a Waveform with a compliance", got=str(waveform))
    if isinstance(replicas, bool) or int(replicas) != replicas or replicas < 1:
        raise InputError("replicas must be a positive whole number", got=replicas, allowed=">= 1")
    if not len(thicknesses_m) or not len(electrodes):
        raise InputError("A race needs a thickness and an electrode", got=(list(thicknesses_m), list(electrodes)))
    parent = generator(rng)
    seed = describe(parent)
    shape = (len(electrodes), len(thicknesses_m), int(replicas))
    streams = iter(parent.spawn(2 * int(np.prod(shape))))
    time = np.full((2, *shape), np.nan)
    modelled, refused = np.ones((len(electrodes), 2), np.int8), {}
    for e, electrode in enumerate(electrodes):
        for k, thickness in enumerate(thicknesses_m):
            card = with_film(device.with_electrode(electrode), float(thickness))
            ions = FilamentKMC(card, temperature_K=temperature_K, **(metal or {}))
            holes = VacancyKMC(card, temperature_K=temperature_K, **(vacancies or {}))
            try:
                _ = ions.kernel_parameters
            except ValidityError as error:
                modelled[e, 0], refused[f"{electrode}, metal"] = 0, str(error)
            for r in range(int(replicas)):
                one, other = next(streams), next(streams)
                if modelled[e, 0]:
                    time[0, e, k, r] = _first(ions, waveform, one)
                time[1, e, k, r] = holes.switching_time(waveform, rng=other)
    late = np.where(np.isnan(time), np.inf, time)
    winner = np.where(late[0] < late[1], 1, np.where(late[1] < late[0], 2, np.where(np.isinf(late[0]), 0, 3)))
    dims = ("electrode", "thickness", "replica")
    voltage = np.where(np.isnan(time), np.nan, waveform.voltage_at(np.nan_to_num(time, nan=waveform.time_s[0])))
    return xr.Dataset(
        {
            "switching_time": (("mechanism", *dims), time, {"units": "s", "long_name": "first at the compliance"}),
            "switching_voltage": (("mechanism", *dims), voltage, {"units": "V", "long_name": "source voltage then"}),
            "winner": (dims, winner.astype(np.int8), {"units": "1", "long_name": "index of attribute winners"}),
            "modelled": (("electrode", "mechanism"), modelled, {"units": "1", "long_name": "1 where a model applies"}),
        },
        coords={
            "mechanism": list(MECHANISMS),
            "electrode": list(electrodes),
            "thickness": ("thickness", np.asarray(thicknesses_m, dtype=float), {"units": "m"}),
            "replica": ("replica", np.arange(int(replicas)), {"units": "1"}),
        },
        attrs={
            "winners": list(WINNERS),
            "refused": json.dumps(refused),
            "seed": seed,
            "waveform": json.dumps(waveform.to_dict()),
            "device": json.dumps(device.to_dict(), sort_keys=True),
            "temperature_K": float(temperature_K),
        },
    )


def _first(model: Any, waveform: Waveform, stream: np.random.Generator) -> float:
    """First reported instant at which the compliance limits the device, s; NaN if there is none."""
    for part in _PARTS:
        # a fresh copy of the stream takes the same path again: what comes after the switching need not be computed
        run = model.simulate(_beginning(waveform, part), rng=copy.deepcopy(stream))
        limited = np.abs(run.device_voltage.values) < np.abs(run.voltage.values) * (1.0 - 1e-9)
        if limited.any():
            return float(run.time.values[limited.argmax()])
    return float("nan")


def _beginning(waveform: Waveform, part: float) -> Waveform:
    """The first part of a waveform, up to a reported instant."""
    times = waveform.times_s
    end = float(times[max(1, round(part * (len(times) - 1)))])
    before = waveform.time_s < end
    return Waveform(
        np.append(waveform.time_s[before], end),
        np.append(waveform.voltage_V[before], waveform.voltage_at(end)),
        waveform.compliance_A[: int(before.sum())],
        waveform.samples_s[waveform.samples_s <= end],
        waveform.reads_s[waveform.reads_s <= end],
    )
