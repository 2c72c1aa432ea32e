"""Random streams: seeds and generators in, reproducible independent streams out."""

from __future__ import annotations

import numpy as np

from .errors import InputError

__all__ = ["describe", "generator", "spawn"]

Rng = int | np.random.Generator | np.random.SeedSequence | None


def generator(rng: Rng) -> np.random.Generator:
    """A generator from a seed, a generator (returned as it is) or None (fresh entropy).

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
    """What a trace records of a generator so that it can be replayed: its seed, or its state once it was used."""
    bits = rng.bit_generator
    sequence = bits.seed_seq
    if not isinstance(sequence, np.random.SeedSequence):
        return repr(bits.state)
    text = f"entropy={sequence.entropy} spawn_key={tuple(sequence.spawn_key)}"
    if sequence.n_children_spawned:
        text += f" children={sequence.n_children_spawned}"
    if repr(bits.state) != repr(
        type(bits)(np.random.SeedSequence(sequence.entropy, spawn_key=sequence.spawn_key)).state
    ):
        text += f" state={bits.state}"
    return text


def spawn(rng: Rng, count: int) -> list[np.random.Generator]:
    """Independent child generators; the same seed gives the same children, whoever runs them."""
    return generator(rng).spawn(count)
