"""How large a made-up magazine is."""

from dataclasses import dataclass

from .covers import STYLES


@dataclass(frozen=True)
class Scale:
    """Numbers of rows, and how far back the first article lies."""

    articles: int
    comments: int
    members: int
    authors: int
    subscriptions: int
    saved_articles: int
    reads_per_day: int
    articles_per_day: float
    pictures_per_section: int = len(STYLES)

    @property
    def days(self):
        return self.articles / self.articles_per_day


SCALES = {
    "tiny": Scale(120, 600, 40, 12, 20, 100, 300, 2, pictures_per_section=1),
    "small": Scale(2_000, 20_000, 1_000, 40, 500, 5_000, 6_000, 4),
    "medium": Scale(20_000, 200_000, 10_000, 120, 6_000, 50_000, 60_000, 12),
    "full": Scale(200_000, 2_000_000, 50_000, 400, 30_000, 300_000, 400_000, 30),
}
