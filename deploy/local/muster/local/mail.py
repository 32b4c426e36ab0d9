"""The mail catcher: takes every e-mail by SMTP, shows them as JSON, delivers none.

`python -m muster.local.mail --smtp-port N --http-port N`; GET / answers a list of {from, to, subject, text, headers},
oldest first; DELETE / forgets them.
"""

import argparse
import asyncio
import json
import signal
import threading
from collections import deque
from dataclasses import asdict, dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

_KEPT = 10_000
_MESSAGE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Mail:
    """One e-mail: envelope addresses (several joined by a comma), decoded subject and text, headers as they came."""

    sender: str
    to: str
    subject: str
    text: str
    headers: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """With the names that the outside reads."""
        content = asdict(self)
        return {"from": content.pop("sender"), **content}


def read(sender: str, recipients: list[str], content: bytes) -> Mail:
    """Read a message, however odd: what cannot be decoded is shown as it came."""
    message = message_from_bytes(content)
    headers = tuple((name, str(value)) for name, value in message.items())
    subject = str(message.get("Subject", ""))
    return Mail(sender, ", ".join(recipients), _decoded(subject), _text(message), headers)


def _decoded(header: str) -> str:
    try:
        return str(make_header(decode_header(header)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return header


def _text(message: Message) -> str:
    parts = [part for part in message.walk() if not part.is_multipart()]
    plain = next((part for part in parts if part.get_content_type() == "text/plain"), None)
    part = plain or next((part for part in parts if part.get_content_maintype() == "text"), None)
    payload = part.get_payload(decode=True) if part is not None else b""
    if part is None or not isinstance(payload, bytes):
        return ""
    try:
        text = payload.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        text = payload.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n")


class Catcher:
    """What aiosmtpd calls for each message."""

    def __init__(self) -> None:
        self.mails: deque[Mail] = deque(maxlen=_KEPT)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(read(envelope.mail_from or "", envelope.rcpt_tos, content))
        return "250 kept"


def _http(catcher: Catcher, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(json.dumps([mail.as_json() for mail in list(catcher.mails)]).encode())

        def do_DELETE(self) -> None:
            catcher.mails.clear()
            self._answer(b"[]")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: who read the mail is of no interest."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


async def serve(smtp_port: int, http_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    catcher, stopped, loop = Catcher(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def protocol() -> SMTP:
        return SMTP(catcher, data_size_limit=_MESSAGE_BYTES_MAX, enable_SMTPUTF8=True, hostname="localhost")

    smtp = await loop.create_server(protocol, "127.0.0.1", smtp_port)
    http = _http(catcher, http_port)
    threading.Thread(target=http.serve_forever, args=(5.0,), daemon=True).start()
    await stopped.wait()
    smtp.close()
    http.server_close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="muster.local.mail", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.smtp_port, arguments.http_port))


if __name__ == "__main__":
    main()
