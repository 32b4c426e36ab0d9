import json
import smtplib
import urllib.request
from email.message import EmailMessage

import pytest

from muster.local.mail import read
from muster.local.ports import accepts, free_port
from muster.local.probes import http_ok
from muster.local.process import Command, spawn, stop
from muster.local.programs import module

MULTIPART = (
    b"Subject: s\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("content", "subject", "text"),
    [
        (b"Subject: hello\r\n\r\nline 1\r\nline 2", "hello", "line 1\nline 2"),
        (b"Subject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa9", "café", "é"),
        (b"Subject: =?nonsense?q?caf=C3?=\r\n\r\nx", "=?nonsense?q?caf=C3?=", "x"),
        (b"Content-Transfer-Encoding: base64\r\n\r\naGk=", "", "hi"),
        (b"Content-Type: text/plain; charset=nonsense\r\n\r\nhi", "", "hi"),
        (b"Subject: latin\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\xff", "latin", "\ufffd"),
        (MULTIPART, "s", "hi"),
        (b"Content-Type: image/png\r\n\r\n\x00\x01", "", ""),
        (b"\x00\xff no header at all", "", ""),
        (b"", "", ""),
    ],
)
def test_a_message_is_read_however_odd_it_is(content, subject, text):
    mail = read("a@example.org", ["b@example.org", "c@example.org"], content)
    assert (mail.sender, mail.to, mail.subject) == ("a@example.org", "b@example.org, c@example.org", subject)
    assert mail.text.strip() == text or (subject == "" and text == "")


def test_what_is_sent_by_smtp_is_shown_as_json_until_it_is_deleted(tmp_path):
    smtp_port = free_port()
    http_port = free_port({smtp_port})
    url = f"http://127.0.0.1:{http_port}/"
    words = module("muster.local.mail", "--smtp-port", str(smtp_port), "--http-port", str(http_port))
    command = Command(words)
    process = spawn(command, tmp_path / "mail.log")
    try:
        while http_ok(http_port, "/")() is not None or not accepts(smtp_port):
            assert process.poll() is None
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = "Reply from a customer", "m@example.org", "r@example.org"
        message.set_content("Yes, please 😀")
        with smtplib.SMTP("127.0.0.1", smtp_port) as client:
            client.send_message(message)

        with urllib.request.urlopen(url) as answer:
            (mail,) = json.load(answer)
        assert mail["from"], mail["to"] == ("m@example.org", "r@example.org")
        assert (mail["subject"], mail["text"]) == ("Reply from a customer", "Yes, please 😀\n")
        assert ["To", "r@example.org"] in mail["headers"]

        with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")):
            pass
        with urllib.request.urlopen(url) as answer:
            assert json.load(answer) == []
    finally:
        stop(process, command.stop_signal, 5)
    assert process.returncode == 0
