"""Kim et al. 2019 end to end: plasticity, retention, energy and activation energy of the 2D to 3D synapses."""

from .job import STAGES, Settings, kim2019

__all__ = ["STAGES", "Settings", "kim2019"]
