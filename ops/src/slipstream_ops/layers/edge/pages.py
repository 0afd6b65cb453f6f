"""The site's own error pages for the layers in front of the application; a plain page where the site has none."""

from __future__ import annotations

from dataclasses import dataclass

from slipstream_ops.placement import Stack

RETRY_AFTER_SECONDS = 30
"""A restart of the app servers takes less; a visitor's browser or a crawler comes back when they are there again."""

TEXTS = {
    400: ("Bad request", "The address or the form could not be understood."),
    403: ("Forbidden", "You may not see this page."),
    404: ("Page not found", "There is no page at this address."),
    405: ("Method not allowed", "This address does not take that kind of request."),
    408: ("Request timed out", "The request did not arrive in time. Please try again."),
    500: ("Server error", "Something went wrong on our side."),
    502: ("Temporarily unavailable", "The site cannot answer at the moment. Please try again in a minute."),
    503: ("Temporarily unavailable", "The site cannot answer at the moment. Please try again in a minute."),
    504: ("Temporarily unavailable", "The site took too long to answer. Please try again in a minute."),
}

SAME_PAGE = {502: 503, 504: 503}
"""To a visitor a lost answer and a late one are the same as no server: the site's 503 page."""


@dataclass(frozen=True)
class Page:
    """An error page: its status and its HTML."""

    status: int
    html: str

    @property
    def is_temporary(self) -> bool:
        return self.status in (502, 503, 504)


def page_for(stack: Stack, status: int, limit_bytes: int | None = None) -> Page:
    """The site's page for ``status``, or a plain one when there is none or it has more than ``limit_bytes``."""
    path = stack.state.rendered / "errors" / f"{SAME_PAGE.get(status, status)}.html"
    try:
        html = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        html = ""
    if not html.strip() or (limit_bytes is not None and len(html.encode()) > limit_bytes):
        html = plain_page(status)
    return Page(status, html)


def plain_page(status: int) -> str:
    title, text = TEXTS[status]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        f'<body style="font-family:sans-serif;margin:4rem auto;max-width:32rem;padding:0 1rem"><h1>{title}</h1><p>{text}</p>'
        "</body></html>\n"
    )
