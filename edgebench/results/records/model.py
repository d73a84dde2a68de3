"""What every part of a stored line that the host writes has in common."""

from __future__ import annotations

import pydantic


class RecordModel(pydantic.BaseModel):
    """What the host wrote itself: no unknown keys."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
