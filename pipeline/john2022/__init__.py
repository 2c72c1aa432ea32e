"""John et al. 2022 end to end: one CsPbBr3-nanocrystal device from its barriers to classified spike trains."""

from .job import STAGES, Settings, john2022

__all__ = ["STAGES", "Settings", "john2022"]
