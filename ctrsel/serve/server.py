"""The server: uvicorn on one socket, until a signal ends it; requests that were taken are answered first."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError, MissingExtraError
from ctrsel.core.log import event

if TYPE_CHECKING:
    from ctrsel.serve.holder import Holder
    from ctrsel.serve.limits import Limits

__all__ = ["check_installed", "listen", "serve"]


def check_installed() -> None:
    """Refuse where fastapi or uvicorn is not installed.

    Raises:
        MissingExtraError: With the line that installs them.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
        raise MissingExtraError("ctrsel serve needs fastapi and uvicorn: pip install 'ctrsel[serve]'")


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that takes connections from now on; they wait until somebody answers.

    Raises:
        ConfigError: If the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=1024)
        # What is taken inherits it. asyncio sets it only where a socket says that it is of TCP, which this one does not; without
        # it every answer, whose head and body are two writes, waits 40 ms for the client's delayed acknowledgement.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {host} --port {port}: cannot listen there: {error}") from error
    return made


def serve(
    holder: Holder,
    at: socket.socket,
    *,
    limits: Limits,
    threads: int,
    reload_seconds: float,
    started: Callable[[], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM; then those that were taken are answered, for at most 30 seconds.

    Args:
        holder: The model that answers now.
        at: From `listen`; closed at the end.
        limits: What a request may ask for.
        threads: Requests that are scored at once.
        reload_seconds: Between two looks at the model's source; 0 never looks.
        started: Called when all is ready to answer.

    Raises:
        MissingExtraError: If fastapi or uvicorn is not installed.
    """
    check_installed()
    import uvicorn

    from ctrsel.serve.app import create_app

    app = create_app(holder, limits=limits, threads=threads)
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=30,
        lifespan="off",
        ws="none",
    )
    if reload_seconds:
        holder.watch(reload_seconds)
    try:
        started()
        # uvicorn raises the signal once more when everything is answered.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[at])
    finally:
        holder.close()
        at.close()
        event("served", model=holder.source.name, reloads=holder.now.number)
