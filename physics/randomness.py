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
    """State of a generator as text: what a trace records so that it can be replayed."""
    sequence = rng.bit_generator.seed_seq
    if isinstance(sequence, np.random.SeedSequence):
        return f"entropy={sequence.entropy} spawn_key={tuple(sequence.spawn_key)}"
    return repr(rng.bit_generator.state)


def spawn(rng: Rng, count: int) -> list[np.random.Generator]:
    """Independent child generators; the same seed gives the same children, whoever runs them."""
    return generator(rng).spawn(count)
