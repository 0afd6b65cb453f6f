"""Makes up a whole magazine and writes it into the database, table by table."""

from django.db import transaction

from articles.models import Article, Author, DailyReads, Image, Section, Tag
from comments.models import Comment
from members.models import Member, SavedArticle
from newsletter.models import Subscription

from .edition import Edition
from .loading import move_sequences_past, refresh_statistics, search_index_rebuilt
from .publication import Publication
from .readership import Readership

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


def write_magazine(scale, seed, today, progress):
    """Fill every table in one transaction: the site has all of it or, after an error, nothing.

    The same scale and seed give the same magazine, seen from the same day (a date, in UTC).
    """
    edition = Edition(scale, seed, today, progress)
    publication = Publication(edition)
    readership = Readership(edition, publication)
    with transaction.atomic():
        publication.write_sections_and_tags()
        publication.write_authors()
        publication.write_images()
        readership.write_members()
        with search_index_rebuilt(progress.stage):
            publication.write_articles()
            publication.write_article_tags()
            publication.write_related()
            readership.write_comments()
            readership.write_saved_articles()
            readership.write_subscriptions()
            readership.write_reads()
        move_sequences_past([Section, Tag, Author, Image, Member, Article])
    with progress.stage("statistics"):
        refresh_statistics([*MODELS, Member])
