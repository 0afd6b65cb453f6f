"""The mail sink catches real SMTP and keeps what it must not tell out of its log."""

from __future__ import annotations

import email
import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from contract_suite import ProductContract
from workshop import running_layers

from slipstream_ops.layers.mail.sink import folder, parse
from slipstream_ops.layers.mail.sink.program import KEPT_MAILS, Keeper
from slipstream_ops.layers.mail.vitals import MailVitals
from slipstream_ops.placement import Stack


class TestSink(ProductContract):
    layer, server = "mail", "sink"
    vitals_type = MailVitals
    recorded = "mail_listing.txt"

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.caught == 3
        assert vitals.newest_seconds > 0

    def test_a_mail_is_caught_whole_and_its_people_are_not_logged(self, stack: Stack) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "ann@example.org", "bob@example.org", "Grüße 你好"
        message.set_content("first line\n.a line that begins with a dot\nlast line\n")
        with running_layers(stack, "mail"):
            endpoint = stack.endpoint("mail")
            with smtplib.SMTP(endpoint.address, endpoint.port, timeout=10) as client:
                client.send_message(message)
            [caught] = folder(stack).glob("*.eml")
            assert caught.stat().st_mode & 0o777 == 0o600
            read = email.message_from_bytes(caught.read_bytes(), policy=email.policy.default)
        assert read["Subject"] == "Grüße 你好"
        assert read.get_content().replace("\r\n", "\n") == "first line\n.a line that begins with a dot\nlast line\n"
        log = (stack.state.root / "mail.log").read_text()
        assert "caught" in log and "example.org" not in log and "Gr" not in log

    def test_a_mail_beyond_the_bound_is_refused(self, stack: Stack) -> None:
        with running_layers(stack, "mail"):
            endpoint = stack.endpoint("mail")
            with smtplib.SMTP(endpoint.address, endpoint.port, timeout=30) as client, pytest.raises(smtplib.SMTPException):
                client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\n" + (b"x" * 998 + b"\r\n") * 37000)
            assert not list(folder(stack).glob("*.eml"))


def test_the_oldest_mails_go_first(tmp_path: Path) -> None:
    for number in range(KEPT_MAILS + 5):
        (tmp_path / f"20260101-000000-1-{number:06d}.eml").touch()
    Keeper(tmp_path)._remove_oldest()
    left = sorted(path.name for path in tmp_path.glob("*.eml"))
    assert len(left) == KEPT_MAILS and left[0].endswith("000005.eml")


def test_an_empty_sink_has_no_newest_mail() -> None:
    assert parse("") == MailVitals(0, None)
