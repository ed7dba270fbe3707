"""What objectives with a background share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from numpy.typing import ArrayLike

from qubo_attn.frontend.background import Background, is_carried, read_background


@dataclass(frozen=True)
class WithBackground:
    """An objective about the error of an output whose other keys have a background.

    Attributes:
        background: see `qubo_attn.frontend.background`.
    """

    background: str | ArrayLike = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "background", read_background(self.background))

    @property
    def starts(self) -> bool:
        """Whether rows need a start, whose rest a background is made of."""
        return is_carried(self.as_read)

    @property
    def as_read(self) -> Background:
        """The background as `read_background` made it of what the caller gave."""
        return cast(Background, self.background)
