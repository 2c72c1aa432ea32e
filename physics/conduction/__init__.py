"""Which conduction law a current-voltage measurement follows, and what it tells about the film.

>>> from halidrift.physics import conduction
>>> data = conduction.example("poole-frenkel", rng=1)
>>> found = conduction.fit(data, thickness_m=200e-9, area_m2=1e-8)
>>> found.best.name
'poole-frenkel'
"""

from __future__ import annotations

from .film import Film
from .fitting import fit
from .forms import Form
from .laws import CONFUSABLE, LAWS, Law, Parameter, law
from .measurement import Branch, Points, join, measurement, read_csv
from .noise import Noise
from .result import Conduction, LawFit, Quantity
from .synthetic import EXAMPLES, Example, example, synthetic

__all__ = [
    "CONFUSABLE",
    "EXAMPLES",
    "LAWS",
    "Branch",
    "Conduction",
    "Example",
    "Film",
    "Form",
    "Law",
    "LawFit",
    "Noise",
    "Parameter",
    "Points",
    "Quantity",
    "example",
    "fit",
    "join",
    "law",
    "measurement",
    "read_csv",
    "synthetic",
]
