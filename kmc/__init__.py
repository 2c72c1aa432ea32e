"""Kinetic Monte Carlo of filaments, atom by atom."""

from . import ensemble
from .simulation import FilamentKMC

__all__ = ["FilamentKMC", "ensemble"]
