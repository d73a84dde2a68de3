"""SSH authentication as a client (RFC 4252), one request at a time.

paramiko signs with every key that it offers. `ssh` first asks the server whether it would take the key,
and signs only then: a key that must be touched, confirmed or unlocked is used where it helps, and one
that cannot sign costs nothing but itself. paramiko's own requests are therefore not used.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    MSG_USERAUTH_SUCCESS,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_REQUEST,
)

# The number means "this key would do" after a question about a key (RFC 4252, section 7).
MSG_USERAUTH_PK_OK = MSG_USERAUTH_INFO_REQUEST


@dataclass(frozen=True)
class Answer:
    """What the server says to one request."""

    kind: Literal["service", "success", "failure", "would do", "gone"]
    methods: tuple[str, ...] = ()
    """Of a failure: what may be tried next."""
    partial: bool = False
    """Of a failure: the request was right, and more is asked for."""


class UserAuth(AuthHandler):  # type: ignore[misc]
    """The client's side of the conversation. Set as ``transport.auth_handler``."""

    def __init__(self, transport: paramiko.Transport, user: str, *, limit_s: float) -> None:
        super().__init__(transport)
        self._user, self._limit_s = user, limit_s
        self._answers: queue.Queue[Answer] = queue.Queue()

    def begin(self) -> None:
        """Ask for the service. Raises TimeoutError, EOFError where the server hangs up."""
        message = paramiko.Message()
        message.add_byte(cMSG_SERVICE_REQUEST)
        message.add_string("ssh-userauth")
        self._ask(message)

    def none(self) -> Answer:
        """The method that proves nothing: some servers want no more, the others say what they take."""
        return self._ask(self._request("none"))

    def would_take(self, algorithm: str, blob: bytes) -> Answer:
        """Ask whether a key would do."""
        message = self._request("publickey")
        message.add_boolean(False)
        message.add_string(algorithm)
        message.add_string(blob)
        return self._ask(message)

    def to_sign(self, algorithm: str, blob: bytes) -> bytes:
        """What the owner of a key signs (RFC 4252, section 7)."""
        message = paramiko.Message()
        message.add_string(self.transport.session_id)
        return bytes(message.asbytes() + self._with_key(algorithm, blob).asbytes())

    def sign_in(self, algorithm: str, blob: bytes, signature: bytes) -> Answer:
        """Prove that a key is ours, by the signature of `to_sign`."""
        message = self._with_key(algorithm, blob)
        message.add_string(signature)
        return self._ask(message)

    def _with_key(self, algorithm: str, blob: bytes) -> paramiko.Message:
        message = self._request("publickey")
        message.add_boolean(True)
        message.add_string(algorithm)
        message.add_string(blob)
        return message

    def _request(self, method: str) -> paramiko.Message:
        self.auth_method = method
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(self._user)
        message.add_string("ssh-connection")
        message.add_string(method)
        return message

    def _ask(self, message: paramiko.Message) -> Answer:
        with self.transport.lock:
            self.transport._send_message(message)
        deadline_s = time.monotonic() + self._limit_s
        while True:
            try:
                answer = self._answers.get(timeout=0.2)
            except queue.Empty:
                if not self.transport.is_active():
                    answer = Answer("gone")
                elif time.monotonic() > deadline_s:
                    raise TimeoutError from None
                else:
                    continue
            if answer.kind == "gone":
                raise self.transport.get_exception() or EOFError("the server hung up")
            return answer

    # What paramiko calls, in the transport's thread.

    @property
    def _client_handler_table(self) -> dict[int, Callable[[Any], None]]:
        return {
            MSG_SERVICE_ACCEPT: self._on_service,
            MSG_USERAUTH_SUCCESS: self._on_success,
            MSG_USERAUTH_FAILURE: self._on_failure,
            MSG_USERAUTH_PK_OK: self._on_would_do,
            MSG_USERAUTH_BANNER: self._parse_userauth_banner,
        }

    def abort(self) -> None:
        self._answers.put(Answer("gone"))

    def _on_service(self, message: paramiko.Message) -> None:
        self._answers.put(Answer("service"))

    def _on_success(self, message: paramiko.Message) -> None:
        self._parse_userauth_success(message)  # turns delayed compression on
        self._answers.put(Answer("success"))

    def _on_failure(self, message: paramiko.Message) -> None:
        methods = tuple(message.get_list())
        self._answers.put(Answer("failure", methods, bool(message.get_boolean())))

    def _on_would_do(self, message: paramiko.Message) -> None:
        self._answers.put(Answer("would do"))
