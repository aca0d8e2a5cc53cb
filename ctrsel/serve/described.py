"""What the service says in its description: the forms of requests and answers, for OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BATCH", "PREDICT", "Effect", "Fault", "Health", "ModelInfo", "Predicted", "Prediction", "refusals"]

_VALUE: dict[str, Any] = {
    "description": "null or absent: missing; a text, a number, a truth value; a list of them for list fields",
    "anyOf": [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "number"},
        {"type": "string"},
        {"type": "array", "items": {"type": ["null", "boolean", "number", "string"]}},
    ],
}
_ROW: dict[str, Any] = {"type": "object", "additionalProperties": _VALUE}


def _body(media: str, schema: dict[str, Any], example: Any, *also: str) -> dict[str, Any]:
    content = {media: {"schema": schema, "example": example}} | {other: {"schema": schema} for other in also}
    return {"requestBody": {"required": True, "content": content}}


PREDICT = _body(
    "application/json",
    {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {
            "rows": {"anyOf": [_ROW, {"type": "array", "items": _ROW}]},
            "reasons": {"type": "boolean", "default": False},
        },
    },
    {"rows": [{"site": "a", "hour": 7}], "reasons": True},
)
BATCH = _body(
    "text/plain",
    {"type": "string", "description": "one JSON object a line"},
    '{"site": "a", "hour": 7}\n{"site": "b"}\n',
    "application/x-ndjson",
)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fault(_Answer):
    """What is wrong, in a sentence."""

    error: str


class Health(_Answer):
    """That the process lives, or that a model answers."""

    status: str
    digest: str | None = None


class Effect(_Answer):
    """What a column adds: log-odds with its value minus those without it."""

    column: str
    effect: float


class Prediction(BaseModel):
    """A row's score; further labels have `probability_<label>`."""

    model_config = ConfigDict(extra="allow")
    probability: float = Field(ge=0, le=1)
    logit: float
    effects: list[Effect] | None = Field(None, description="only with reasons; the largest in size first")
    unknown: list[str] | None = Field(None, description="only with reasons: fields whose value has no code of its own")
    missing: list[str] | None = Field(None, description="only with reasons: fields without a value")


class Predicted(_Answer):
    """Scores in the order of the rows, and by which model."""

    digest: str
    label: str
    method: str | None = Field(None, description="how effects are found: leave_one_out")
    predictions: list[Prediction]


class ModelInfo(BaseModel):
    """Which model answers, and what it reads."""

    model_config = ConfigDict(extra="allow")
    source: str
    version: str
    digest: str
    kind: str
    labels: list[str]
    inputs: list[dict[str, Any]]
    limits: dict[str, float]
    ctrsel: str
    since: float
    reloads: int
    trouble: str | None


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refused requests."""
    told = {
        400: "the body could not be read to its end",
        408: "the body did not come in time",
        413: "larger than the limits allow",
        415: "another type of content",
        422: "the rows break a rule",
        503: "too many requests wait, or no model is there",
    }
    return {code: {"model": Fault, "description": told[code]} for code in codes}
