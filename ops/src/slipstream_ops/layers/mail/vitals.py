"""What is known of the mail layer at one instant, whatever the product."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MailVitals:
    """``caught`` mails lie in the sink; ``newest_seconds`` is the age of the last one, None when there is none."""

    caught: int | None
    newest_seconds: float | None
