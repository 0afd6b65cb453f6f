"""Makes up a whole magazine and writes it into the database, table by table."""

import math
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle

from django.contrib.auth.hashers import make_password
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from articles.models import Article, Author, DailyReads, Image, Section, Tag
from articles.thumbnails import cut_thumbnails
from comments.models import Comment
from members.models import Member, SavedArticle
from newsletter.models import Subscription

from . import chances, covers
from .loading import load_rows, move_sequences_past, refresh_statistics, search_index_rebuilt
from .writing import Writer

READERS_PASSWORD = "read-all-about-it"
DAYS_OF_READS = 8
SCHEDULED_DAYS = 3
# Everything that the generator fills, children first, as it is emptied again. Accounts of the staff are not among it.
MODELS = [
    DailyReads,
    SavedArticle,
    Comment,
    Article.tags.through,
    Article.related.through,
    Article,
    Image,
    Author,
    Tag,
    Section,
    Subscription,
]


class Magazine:
    """One made-up magazine. The seed and the day decide everything in it; `progress` is told of every stage."""

    def __init__(self, scale, seed, today, progress):
        self.scale, self.progress = scale, progress
        self.today = datetime(today.year, today.month, today.day, tzinfo=UTC)
        self.rng = random.Random(seed)
        self.writer = Writer(self.rng)

    def write(self):
        """Fill every table in one transaction: the site has all of it or, after an error, nothing."""
        with transaction.atomic():
            self._write_sections_and_tags()
            self._write_authors()
            self._write_images()
            self._write_members()
            with search_index_rebuilt(self.progress.stage):
                self._write_articles()
                self._write_article_tags()
                self._write_related()
                self._write_comments()
                self._write_saved_articles()
                self._write_subscriptions()
                self._write_reads()
            move_sequences_past([Section, Tag, Author, Image, Member, Article])
        with self.progress.stage("statistics"):
            refresh_statistics([*MODELS, Member])

    def _load(self, name, model, fields, rows, total=None):
        with self.progress.stage(name, total) as advance:
            load_rows(model, fields, rows, advance)

    def _at_hour(self, day, hours):
        """A moment of the day at which such things happen; `day` counts from today, and may have a fraction, which is dropped."""
        hour = self.rng.choices(range(24), hours)[0]
        return self.today + timedelta(days=math.floor(day), hours=hour, seconds=self.rng.randrange(3600))

    def _write_sections_and_tags(self):
        sections = self.writer.sections
        self.section_slugs = list(sections)
        self._load(
            "sections",
            Section,
            ["id", "name", "slug", "description", "position"],
            [(k, section["name"], slug, section["description"], k) for k, (slug, section) in enumerate(sections.items(), 1)],
        )
        names = [*self.writer.shared_tags, *(name for section in sections.values() for name in section["tags"])]
        self.tag_ids = {name: pk for pk, name in enumerate(dict.fromkeys(names), 1)}
        self._load("tags", Tag, ["id", "name", "slug"], [(pk, name, slugify(name)) for name, pk in self.tag_ids.items()])

    def _write_authors(self):
        """Every author belongs to a section, larger sections have more, and some write much more than others."""
        weights = [section["weight"] for section in self.writer.sections.values()]
        self.authors_of_section = {slug: [] for slug in self.section_slugs}
        rows, names = [], set()
        for pk in range(1, self.scale.authors + 1):
            name = self.writer.name_person()
            while name in names:
                name = self.writer.name_person()
            names.add(name)
            # One for every section first, so that none is without.
            slug = self.section_slugs[pk - 1] if pk <= len(weights) else self.rng.choices(self.section_slugs, weights)[0]
            self.authors_of_section[slug].append(pk)
            role = f"{self.writer.sections[slug]['name']} {self.rng.choice(['correspondent', 'editor', 'reporter', 'columnist'])}"
            rows.append((pk, name, slugify(name), role, self.writer.write_biography(name)))
        self._load("authors", Author, ["id", "name", "slug", "role", "biography"], rows)

    def _write_images(self):
        """One picture of every style for every section, in its colours, with its thumbnails."""
        wanted = [
            (slug, style) for slug in self.section_slugs for style in list(covers.STYLES)[: self.scale.pictures_per_section]
        ]
        self.images_of_section = {slug: [] for slug in self.section_slugs}
        with self.progress.stage("images", len(wanted)) as advance, ThreadPoolExecutor(2) as pool:

            def draw(job):
                slug, style = job
                name = f"images/covers/{slug}-{style}.jpg"
                data = covers.draw_cover(style, self.writer.sections[slug]["palette"], slug)
                default_storage.delete(name)
                default_storage.save(name, ContentFile(data))
                cut_thumbnails(name)
                return name

            names = []
            for name in pool.map(draw, wanted):
                names.append(name)
                advance()
        rows = []
        for pk, ((slug, style), name) in enumerate(zip(wanted, names, strict=True), 1):
            self.images_of_section[slug].append(pk)
            description = covers.describe_cover(style)
            rows.append((pk, name, covers.WIDTH, covers.HEIGHT, description, "Illustration: The Gazette", self.today))
        fields = ["id", "file", "width", "height", "description", "credit", "thumbnails_made_at"]
        load_rows(Image, fields, rows)

    def _write_members(self):
        # Hashing is slow on purpose; four hashes of the one password do for all.
        hashes = [make_password(READERS_PASSWORD, salt=f"gazette{self.rng.getrandbits(64):x}") for _ in range(4)]
        first_pk = (Member.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
        self.member_ids = range(first_pk, first_pk + self.scale.members)

        def rows():
            for k, pk in enumerate(self.member_ids, 1):
                name = self.writer.name_person()
                username = f"{slugify(name).replace('-', '.')}.{k}"
                joined = self._at_hour(-1 - self.scale.days * self.rng.random() ** 1.3, chances.COMMENTING_HOURS)
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
        self._load("members", Member, fields, rows(), self.scale.members)

    def _write_articles(self):
        rng, writer = self.rng, self.writer
        # The younger the magazine's days, the more it published; weekdays have their share.
        moments = []
        while len(moments) < self.scale.articles:
            day = 1 - self.scale.days * rng.random() ** 1.1
            weekday = (self.today + timedelta(days=math.floor(day))).weekday()
            if rng.random() * 10 < chances.PUBLISHING_WEEKDAYS[weekday]:
                moments.append(self._at_hour(day, chances.PUBLISHING_HOURS))
        # Of these, some are written already and wait for the coming days: three hours from midnight on, then one every few hours.
        scheduled = max(6, min(30, self.scale.articles // 100))
        for k in range(scheduled):
            moments[k] = self.today + timedelta(days=1, hours=SCHEDULED_DAYS * 24 * k / scheduled, minutes=5 * (k % 12))
        moments.sort()
        self.published_at = [moment.timestamp() for moment in moments]

        weights = [section["weight"] for section in writer.sections.values()]
        sections = rng.choices(self.section_slugs, weights, k=len(moments))
        author_weights = {slug: chances.cumulate_skewed(len(pks), shift=1) for slug, pks in self.authors_of_section.items()}
        self.words, self.sections = [], sections
        images_in_turn = {slug: cycle(pks) for slug, pks in self.images_of_section.items()}
        last_lead = max(k for k, moment in enumerate(moments) if moment <= self.today)

        def rows():
            for k, (moment, slug) in enumerate(zip(moments, sections, strict=True)):
                words = writer.choose_words(slug)
                self.words.append(words)
                title = writer.write_headline(slug, words)
                is_lead = k == last_lead or rng.random() < 0.015
                has_image = is_lead or rng.random() < 0.94
                yield (
                    k + 1,
                    title,
                    slugify(title)[:80].strip("-"),
                    writer.write_standfirst(slug, words),
                    writer.write_body(slug, words),
                    self.section_slugs.index(slug) + 1,
                    rng.choices(self.authors_of_section[slug], cum_weights=author_weights[slug])[0],
                    # In turn, so that neighbours in a list do not look the same.
                    next(images_in_turn[slug]) if has_image else None,
                    is_lead,
                    moment,
                    min(moment + timedelta(minutes=rng.randrange(2000)), self.today) if rng.random() < 0.2 else moment,
                )

        fields = "id title slug standfirst body section_id author_id image_id is_lead published_at updated_at"
        self._load("articles", Article, fields.split(), rows(), len(moments))

        # Who is popular, has nothing to do with when it was published.
        self.by_popularity = list(range(len(moments)))
        rng.shuffle(self.by_popularity)

    def _write_article_tags(self):
        shared = self.writer.shared_tags
        shared_weights = list(accumulate(1 / (rank + 1) for rank in range(len(shared))))
        own_weights = {
            slug: list(accumulate(1 / (rank + 1) ** 0.8 for rank in range(len(section["tags"]))))
            for slug, section in self.writer.sections.items()
        }

        def rows():
            for k, slug in enumerate(self.sections):
                names = set(
                    self.rng.choices(self.writer.sections[slug]["tags"], cum_weights=own_weights[slug], k=self.rng.randint(1, 3))
                )
                names.update(self.rng.choices(shared, cum_weights=shared_weights, k=self.rng.randint(0, 2)))
                for name in sorted(names):
                    yield k + 1, self.tag_ids[name]

        self._load("article tags", Article.tags.through, ["article_id", "tag_id"], rows())

    def _write_related(self):
        """For three articles in ten the editors chose others, mostly earlier ones of the same section."""
        earlier = {slug: [] for slug in self.section_slugs}

        def rows():
            for k, slug in enumerate(self.sections):
                candidates = earlier[slug][-400:]
                if len(candidates) > 4 and self.rng.random() < 0.3:
                    for other in self.rng.sample(candidates, self.rng.randint(1, 4)):
                        yield k + 1, other
                earlier[slug].append(k + 1)

        self._load("related", Article.related.through, ["from_article_id", "to_article_id"], rows())

    def _write_comments(self):
        """Few articles have most of the comments; most comments come on the first days; they are written in the order of time."""
        rng, now = self.rng, self.today.timestamp()
        articles, published_at = self.by_popularity, self.published_at
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
                yield article + 1, member, self.writer.write_comment(self.words[article]), moment, rng.random() < 0.01

        fields = ["article_id", "member_id", "body", "created_at", "is_removed"]
        self._load("comments", Comment, fields, rows(), len(packed))

    def _write_saved_articles(self):
        rng, now = self.rng, self.today.timestamp()
        articles = chances.draw_skewed(rng, len(self.by_popularity), self.scale.saved_articles, exponent=0.6)
        members = chances.draw_skewed(rng, len(self.member_ids), self.scale.saved_articles, exponent=0.5)
        pairs = dict.fromkeys(
            (self.member_ids[member], self.by_popularity[rank]) for member, rank in zip(members, articles, strict=True)
        )

        def rows():
            for member, article in pairs:
                if self.published_at[article] < now:
                    moment = self.published_at[article] + (now - self.published_at[article]) * rng.random() ** 3
                    yield member, article + 1, datetime.fromtimestamp(moment, UTC)

        self._load("saved articles", SavedArticle, ["member_id", "article_id", "saved_at"], rows(), len(pairs))

    def _write_subscriptions(self):
        def rows():
            for k in range(self.scale.subscriptions):
                created = self._at_hour(-1 - self.scale.days * self.rng.random(), chances.COMMENTING_HOURS)
                confirmed = created + timedelta(minutes=self.rng.randint(1, 300)) if self.rng.random() < 0.8 else None
                yield f"letter.{k}@readers.example", f"{self.rng.getrandbits(144):036x}", created, confirmed, None

        fields = ["email", "token", "created_at", "confirmed_at", "last_digest_on"]
        self._load("subscriptions", Subscription, fields, rows(), self.scale.subscriptions)

    def _write_reads(self):
        """The last days' readers: the popular articles more than others, and the new ones much more than the old."""
        popularity = [0.0] * len(self.by_popularity)
        for rank, article in enumerate(self.by_popularity):
            popularity[article] = 1 / (rank + 31) ** 0.9

        def rows():
            for days_ago in range(DAYS_OF_READS, 0, -1):
                day = self.today - timedelta(days=days_ago)
                end = (day + timedelta(days=1)).timestamp()
                weights = [
                    weight / (1 + (end - moment) / 86_400) ** 1.2 if moment < end else 0
                    for weight, moment in zip(popularity, self.published_at, strict=True)
                ]
                articles = range(len(weights))
                drawn = self.rng.choices(articles, cum_weights=list(accumulate(weights)), k=self.scale.reads_per_day)
                for article, reads in sorted(Counter(drawn).items()):
                    yield article + 1, day.date(), reads

        self._load("daily reads", DailyReads, ["article_id", "day", "reads"], rows())
