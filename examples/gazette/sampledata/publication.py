"""What the magazine publishes: sections, tags, authors, pictures and articles."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import accumulate, cycle

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils.text import slugify

from articles.models import Article, Author, Image, Section, Tag
from articles.thumbnails import cut_thumbnails

from . import chances, covers
from .loading import load_rows

SCHEDULED_DAYS = 3
ROLES = ["correspondent", "editor", "reporter", "columnist"]


class Publication:
    """Everything that editors make. Readers need to know of it when each article appeared, its words, and how popular it is."""

    def __init__(self, edition):
        self.edition = edition
        self.rng, self.writer, self.scale, self.today = edition.rng, edition.writer, edition.scale, edition.today

    def write_sections_and_tags(self):
        sections = self.writer.sections
        self.section_slugs = list(sections)
        self.edition.load(
            "sections",
            Section,
            ["id", "name", "slug", "description", "position"],
            [(k, section["name"], slug, section["description"], k) for k, (slug, section) in enumerate(sections.items(), 1)],
        )
        names = [*self.writer.shared_tags, *(name for section in sections.values() for name in section["tags"])]
        self.tag_ids = {name: pk for pk, name in enumerate(dict.fromkeys(names), 1)}
        self.edition.load("tags", Tag, ["id", "name", "slug"], [(pk, name, slugify(name)) for name, pk in self.tag_ids.items()])

    def write_authors(self):
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
            role = f"{self.writer.sections[slug]['name']} {self.rng.choice(ROLES)}"
            rows.append((pk, name, slugify(name), role, self.writer.write_biography(name)))
        self.edition.load("authors", Author, ["id", "name", "slug", "role", "biography"], rows)

    def write_images(self):
        """One picture of every style for every section, in its colours, with its thumbnails."""
        wanted = [
            (slug, style) for slug in self.section_slugs for style in list(covers.STYLES)[: self.scale.pictures_per_section]
        ]
        self.images_of_section = {slug: [] for slug in self.section_slugs}
        with self.edition.progress.stage("images", len(wanted)) as advance, ThreadPoolExecutor(2) as pool:

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

    def write_articles(self):
        rng, writer = self.rng, self.writer
        # The younger the magazine's days, the more it published; weekdays have their share.
        moments = []
        while len(moments) < self.scale.articles:
            day = 1 - self.scale.days * rng.random() ** 1.1
            weekday = (self.today + timedelta(days=math.floor(day))).weekday()
            if rng.random() * 10 < chances.PUBLISHING_WEEKDAYS[weekday]:
                moments.append(self.edition.at_hour(day, chances.PUBLISHING_HOURS))
        # Some are written already and wait for their hour in the coming days; today's own appear in the course of the day.
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
                    max(moment, min(moment + timedelta(minutes=rng.randrange(2000)), self.today))
                    if rng.random() < 0.2
                    else moment,
                )

        fields = "id title slug standfirst body section_id author_id image_id is_lead published_at updated_at"
        self.edition.load("articles", Article, fields.split(), rows(), len(moments))

        # Who is popular, has nothing to do with when it was published.
        self.by_popularity = list(range(len(moments)))
        rng.shuffle(self.by_popularity)

    def write_article_tags(self):
        shared = self.writer.shared_tags
        shared_weights = list(accumulate(1 / (rank + 1) for rank in range(len(shared))))
        own_weights = {
            slug: list(accumulate(1 / (rank + 1) ** 0.8 for rank in range(len(section["tags"]))))
            for slug, section in self.writer.sections.items()
        }

        def rows():
            for k, slug in enumerate(self.sections):
                names = set(
                    self.rng.choices(
                        self.writer.sections[slug]["tags"],
                        cum_weights=own_weights[slug],
                        k=self.rng.randint(1, 3),
                    )
                )
                names.update(self.rng.choices(shared, cum_weights=shared_weights, k=self.rng.randint(0, 2)))
                for name in sorted(names):
                    yield k + 1, self.tag_ids[name]

        self.edition.load("article tags", Article.tags.through, ["article_id", "tag_id"], rows())

    def write_related(self):
        """For three articles in ten the editors chose others, mostly earlier ones of the same section."""
        earlier = {slug: [] for slug in self.section_slugs}

        def rows():
            for k, slug in enumerate(self.sections):
                candidates = earlier[slug][-400:]
                if len(candidates) > 4 and self.rng.random() < 0.3:
                    for other in self.rng.sample(candidates, self.rng.randint(1, 4)):
                        yield k + 1, other
                earlier[slug].append(k + 1)

        self.edition.load("related", Article.related.through, ["from_article_id", "to_article_id"], rows())
