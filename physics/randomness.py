"""Random streams: seeds and generators in, reproducible independent streams out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .errors import InputError

__all__ = ["describe", "generator", "recall", "spawn"]

Rng = int | np.random.Generator | np.random.SeedSequence | None


def generator(rng: Rng) -> np.random.Generator:
    """A generator from a seed, a generator (returned as it is) or None (fresh entropy).

    Parameters
    ----------
    rng : int >= 0, numpy.random.Generator, SeedSequence or None

    Raises
    ------
    InputError
        For anything else, or a negative seed.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer | np.random.SeedSequence)):
        raise InputError("rng must be a seed or a generator", got=rng, allowed="int >= 0, numpy.random.Generator, None")
    if isinstance(rng, int | np.integer) and rng < 0:
        raise InputError("A seed must not be negative", got=rng, allowed=">= 0")
    return np.random.default_rng(rng)


def describe(rng: np.random.Generator) -> str:
    """What a trace records of a generator, as JSON: its seed, and its state once it was used. See :func:`recall`.

    Parameters
    ----------
    rng : numpy.random.Generator
    """
    bits = rng.bit_generator
    sequence = bits.seed_seq
    record: dict[str, Any] = {"bits": type(bits).__name__}
    if isinstance(sequence, np.random.SeedSequence):
        record.update(entropy=sequence.entropy, spawn_key=list(sequence.spawn_key))
        if sequence.n_children_spawned:
            record["children"] = sequence.n_children_spawned
    if len(record) == 1 or repr(bits.state) != repr(recall(json.dumps(record)).bit_generator.state):
        record["state"] = bits.state
    return json.dumps(record, default=lambda value: value.tolist())


def recall(text: str) -> np.random.Generator:
    """The generator that :func:`describe` wrote down, as it was then.

    Parameters
    ----------
    text : str
        Attribute ``seed`` of a trace.

    Raises
    ------
    InputError
        If the text is not such a record.

    Examples
    --------
    >>> float(recall(describe(generator(5))).random()) == float(generator(5).random())
    True
    """
    try:
        record = json.loads(text)
        sequence = np.random.SeedSequence(
            record.get("entropy"),
            spawn_key=tuple(record.get("spawn_key", ())),
            n_children_spawned=record.get("children", 0),
        )
        bits = getattr(np.random, record["bits"])(sequence)
        if "state" in record:
            bits.state = record["state"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("not a recorded random state", got=text, action="Pass attrs['seed'] of a trace") from error
    return np.random.Generator(bits)


def spawn(rng: Rng, count: int) -> list[np.random.Generator]:
    """Independent child generators; the same seed gives the same children, whoever runs them.

    Parameters
    ----------
    rng : int >= 0, numpy.random.Generator or None
    count : int, >= 0

    Returns
    -------
    list of numpy.random.Generator
    """
    return generator(rng).spawn(count)
