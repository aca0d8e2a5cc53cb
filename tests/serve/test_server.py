"""The socket that the server listens on."""

from __future__ import annotations

import socket

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.serve.server import listen


def test_answers_are_sent_at_once():
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        taken, _ = server.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_said():
    with listen("127.0.0.1", 0) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--host 127\.0\.0\.1 --port {port}: cannot listen there"):
            listen("127.0.0.1", port)
