"""What `decoded.json`, beside a video's cached arrays, must hold to be believed."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, lt=2**31)]


class DecodedRecord(BaseModel):
    """What was decoded, and what was found on the way; T frames."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str  # key of the files it was decoded from
    numbers: Annotated[list[Int64], Field(min_length=1)]  # T, strictly increasing
    size: tuple[Pixels, Pixels]  # width and height of the original frames
    noise: list[Annotated[Finite, Field(ge=0)]] | None  # T levels of test frames
    problems: list[tuple[Int64, str, str, str]]  # frame number, name, problem, treatment
    seconds: list[Finite] | None = None  # T
    fps: Finite | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> "DecodedRecord":
        if any(a >= b for a, b in zip(self.numbers, self.numbers[1:], strict=False)):
            raise ValueError("numbers do not increase")
        if any(values is not None and len(values) != len(self.numbers) for values in (self.noise, self.seconds)):
            raise ValueError("not one value for each frame")
        return self


def read_record(path: Path) -> dict[str, Any] | None:
    """What the file holds; None where it is missing or damaged: then the video counts as not decoded."""
    try:
        return DecodedRecord.model_validate_json(path.read_bytes()).model_dump()
    except (OSError, ValidationError):
        return None
