"""What readers do: join, comment, save, subscribe and read."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from django.contrib.auth.hashers import make_password
from django.db.models import Max
from django.utils.text import slugify

from articles.models import DailyReads
from comments.models import Comment
from members.models import Member, SavedArticle
from newsletter.models import Subscription

from . import chances

READERS_PASSWORD = "read-all-about-it"
DAYS_OF_READS = 8


class Readership:
    """Everything that readers leave behind, once the articles of a publication are there."""

    def __init__(self, edition, publication):
        self.edition, self.publication = edition, publication
        self.rng, self.writer, self.scale, self.today = edition.rng, edition.writer, edition.scale, edition.today

    def write_members(self):
        # Hashing is slow on purpose; four hashes of the one password do for all.
        hashes = [make_password(READERS_PASSWORD, salt=f"gazette{self.rng.getrandbits(64):x}") for _ in range(4)]
        first_pk = (Member.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
        self.member_ids = range(first_pk, first_pk + self.scale.members)

        def rows():
            for k, pk in enumerate(self.member_ids, 1):
                name = self.writer.name_person()
                username = f"{slugify(name).replace('-', '.')}.{k}"
                joined = self.edition.at_hour(-1 - self.scale.days * self.rng.random() ** 1.3, chances.COMMENTING_HOURS)
                about = self.writer.write_biography(name.split()[0]) if self.rng.random() < 0.12 else ""
                about = about.replace("The Gazette", "a paper")
                password = self.rng.choice(hashes)
                yield (
                    pk,
                    username,
                    f"{username}@readers.example",
                    name,
                    password,
                    "",
                    "",
                    about,
                    False,
                    False,
                    True,
                    joined,
                    None,
                )

        fields = ["id", "username", "email", "display_name", "password", "first_name", "last_name", "about"]
        fields += ["is_superuser", "is_staff", "is_active", "date_joined", "last_login"]
        self.edition.load("members", Member, fields, rows(), self.scale.members)

    def write_comments(self):
        """Few articles have most of the comments; most comments come on the first days; they are written in the order of time."""
        rng, now = self.rng, self.today.timestamp()
        articles, published_at = self.publication.by_popularity, self.publication.published_at
        hours, first_member = chances.COMMENTING_HOURS, self.member_ids.start
        peak = max(hours)
        members = list(self.member_ids)
        rng.shuffle(members)
        talkers = chances.draw_skewed(rng, len(members), self.scale.comments, exponent=1.0, shift=8)
        # One whole number each, time first, as millions of tuples would not sort in little memory.
        packed = []
        for rank, talker in zip(chances.draw_skewed(rng, len(articles), self.scale.comments), talkers, strict=True):
            article = articles[rank]
            while published_at[article] > now - 7200:  # scheduled, or so new that nobody has read it
                article = articles[rng.randrange(len(articles))]
            span = now - published_at[article]
            moment = published_at[article] + min(rng.expovariate(1 / 129_600), span * rng.random())  # a day and a half on average
            # A comment that falls into the night may be one of the morning.
            if rng.random() * peak > hours[int(moment // 3600) % 24] and moment + 28_800 < now:
                moment += 28_800
            packed.append(int(moment) << 52 | article << 32 | members[talker] - first_member)
        packed.sort()

        def rows():
            for number in packed:
                article, member = number >> 32 & 0xFFFFF, (number & 0xFFFFFFFF) + first_member
                moment = datetime.fromtimestamp(number >> 52, UTC)
                yield (
                    article + 1,
                    member,
                    self.writer.write_comment(self.publication.words[article]),
                    moment,
                    rng.random() < 0.01,
                )

        fields = ["article_id", "member_id", "body", "created_at", "is_removed"]
        self.edition.load("comments", Comment, fields, rows(), len(packed))

    def write_saved_articles(self):
        rng, now = self.rng, self.today.timestamp()
        articles = chances.draw_skewed(rng, len(self.publication.by_popularity), self.scale.saved_articles, exponent=0.6)
        members = chances.draw_skewed(rng, len(self.member_ids), self.scale.saved_articles, exponent=0.5)
        pairs = dict.fromkeys(
            (self.member_ids[member], self.publication.by_popularity[rank])
            for member, rank in zip(members, articles, strict=True)
        )

        def rows():
            for member, article in pairs:
                if self.publication.published_at[article] < now:
                    moment = (
                        self.publication.published_at[article]
                        + (now - self.publication.published_at[article]) * rng.random() ** 3
                    )
                    yield member, article + 1, datetime.fromtimestamp(moment, UTC)

        self.edition.load("saved articles", SavedArticle, ["member_id", "article_id", "saved_at"], rows(), len(pairs))

    def write_subscriptions(self):
        def rows():
            for k in range(self.scale.subscriptions):
                created = self.edition.at_hour(-1 - self.scale.days * self.rng.random(), chances.COMMENTING_HOURS)
                confirmed = created + timedelta(minutes=self.rng.randint(1, 300)) if self.rng.random() < 0.8 else None
                yield f"letter.{k}@readers.example", f"{self.rng.getrandbits(144):036x}", created, confirmed, None

        fields = ["email", "token", "created_at", "confirmed_at", "last_digest_on"]
        self.edition.load("subscriptions", Subscription, fields, rows(), self.scale.subscriptions)

    def write_reads(self):
        """The last days' readers: the popular articles more than others, and the new ones much more than the old."""
        popularity = [0.0] * len(self.publication.by_popularity)
        for rank, article in enumerate(self.publication.by_popularity):
            popularity[article] = 1 / (rank + 31) ** 0.9

        def rows():
            for days_ago in range(DAYS_OF_READS, 0, -1):
                day = self.today - timedelta(days=days_ago)
                end = (day + timedelta(days=1)).timestamp()
                weights = [
                    weight / (1 + (end - moment) / 86_400) ** 1.2 if moment < end else 0
                    for weight, moment in zip(popularity, self.publication.published_at, strict=True)
                ]
                articles = range(len(weights))
                drawn = self.rng.choices(articles, cum_weights=list(accumulate(weights)), k=self.scale.reads_per_day)
                for article, reads in sorted(Counter(drawn).items()):
                    yield article + 1, day.date(), reads

        self.edition.load("daily reads", DailyReads, ["article_id", "day", "reads"], rows())
