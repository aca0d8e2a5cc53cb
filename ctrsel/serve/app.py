"""The service over HTTP: health, readiness, the model, and scores of rows with their reasons.

Bodies are read with a limit on their bytes and their time, then parsed, encoded and scored in threads, never on the event
loop. Every refusal is `{"error": "<one sentence>"}`; what a user sends never gives a 500.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ctrsel.core.errors import DataError
from ctrsel.core.log import logger
from ctrsel.serve.bodies import TooLargeError, read_asked, read_lines
from ctrsel.serve.described import BATCH, PREDICT, Fault, Health, ModelInfo, Predicted, refusals
from ctrsel.serve.holder import Holder
from ctrsel.serve.limits import Limits
from ctrsel.serve.scoring import about, lines_of, predicted

__all__ = ["create_app"]

_JSON, _NDJSON = (
    ("application/json",),
    ("application/x-ndjson", "application/jsonl", "application/ndjson", "text/plain"),
)
_LINES: dict[int | str, dict[str, Any]] = {
    200: {"description": "one prediction a line", "content": {_NDJSON[0]: {"schema": {"type": "string"}}}}
}
_REFUSED = refusals(400, 408, 413, 415, 422, 503)


class _RefusedError(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def create_app(holder: Holder, *, limits: Limits | None = None, threads: int = 1) -> FastAPI:
    """Return the ASGI application.

    Args:
        holder: The model that answers now.
        limits: What a request may ask for.
        threads: Requests that are scored at once.
    """
    most = limits or Limits()
    app = FastAPI(
        title="ctrsel",
        version=about(holder, most)["ctrsel"],
        description="Probabilities of raw rows by one model; columns may be missing and values unknown.",
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
    )
    desk = _Desk(most, threads)
    _faults(app)

    @app.get("/health", response_model=Health, response_model_exclude_none=True)
    async def health() -> dict[str, Any]:
        """Say that the process lives."""
        return {"status": "ok"}

    @app.get("/ready", response_model=Health)
    async def ready() -> dict[str, Any]:
        """Say that a model answers."""
        return {"status": "ready", "digest": holder.now.digest}

    @app.get("/model", response_model=ModelInfo)
    async def model() -> dict[str, Any]:
        """Say which model answers, and what it reads."""
        return about(holder, most)

    @app.post("/predict", openapi_extra=PREDICT, responses={200: {"model": Predicted}, **_REFUSED})
    async def predict(request: Request) -> Response:
        """Score a row or a list of rows; with `reasons` say what each column adds to the log-odds."""
        now = holder.now
        body = await desk.read(request, _JSON)
        inputs = now.serving.inputs
        return await desk.work(
            lambda: Response(
                predicted(now, read_asked(body, inputs=inputs, limits=most)), media_type="application/json"
            )
        )

    @app.post("/predict/batch", openapi_extra=BATCH, responses={**_LINES, **_REFUSED}, response_class=Response)
    async def predict_batch(request: Request) -> Response:
        """Score rows, one JSON object a line; the answer has a line for each, or a sentence and none of them."""
        now = holder.now
        body = await desk.read(request, _NDJSON)
        inputs = now.serving.inputs
        return await desk.work(
            lambda: Response(
                lines_of(now, read_lines(body, inputs=inputs, limits=most)), media_type="application/x-ndjson"
            )
        )

    return app


class _Desk:
    """Takes bodies in and hands work to threads, both within limits."""

    def __init__(self, limits: Limits, threads: int) -> None:
        self.limits = limits
        self.pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ctrsel-score")
        self.waiting = 0

    async def read(self, request: Request, types: tuple[str, ...]) -> bytes:
        """Return the body, or refuse it as soon as it is too large, too slow or of another type."""
        kind = request.headers.get("content-type", types[0]).split(";")[0].strip().lower()
        if kind not in types:
            raise _RefusedError(415, f"content-type must be {types[0]}, got {kind[:100]!r}")
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise _RefusedError(415, f"the body must come as it is, got content-encoding {coding[:100]!r}")
        said = request.headers.get("content-length", "")
        if said.isdecimal() and len(said) < 20 and int(said) > self.limits.bytes:
            raise _RefusedError(413, self._long())
        try:
            async with asyncio.timeout(self.limits.seconds):
                parts, size = [], 0
                async for part in request.stream():
                    size += len(part)
                    if size > self.limits.bytes:
                        raise _RefusedError(413, self._long())
                    parts.append(part)
        except TimeoutError as error:
            raise _RefusedError(408, f"the body must come within {self.limits.seconds:g} seconds") from error
        except ClientDisconnect as error:
            raise _RefusedError(400, "the body ended early") from error
        return b"".join(parts)

    async def work(self, task: Callable[[], Response]) -> Response:
        """Do work in a thread; refuse it if too much waits already."""
        if self.waiting >= self.limits.waiting:
            raise _RefusedError(503, f"{self.waiting} requests wait already; come back later")
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, task)
        finally:
            self.waiting -= 1

    def _long(self) -> str:
        return f"the body may have at most {self.limits.bytes:,} bytes"


def _faults(app: FastAPI) -> None:
    """Let every refusal be one sentence in JSON."""

    def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse(Fault(error=sentence).model_dump(), status_code=status, headers=headers)

    @app.exception_handler(_RefusedError)
    async def refused(request: Request, error: _RefusedError) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        # What is left of a body that nobody reads would be taken for the next request.
        closing = {"Connection": "close"} if error.status in (408, 413, 415) else {}
        return answer(error.status, str(error), {**headers, **closing})

    @app.exception_handler(TooLargeError)
    async def too_large(request: Request, error: TooLargeError) -> JSONResponse:
        return answer(413, str(error))

    @app.exception_handler(DataError)
    async def bad_data(request: Request, error: DataError) -> JSONResponse:
        return answer(422, str(error))

    @app.exception_handler(HTTPException)
    async def bad_route(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail).lower(), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        logger().error("request failed", exc_info=error, extra={"facts": {"path": json.dumps(request.url.path)}})
        return answer(500, "a defect of ctrsel; its log has the lines to report")
