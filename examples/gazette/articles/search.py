"""Finding articles by words: PostgreSQL's full text where there is PostgreSQL, plain containment elsewhere."""

from django.db import connections
from django.db.models import Q


def search_articles(articles, text):
    """Narrow a queryset to the articles that match, the best first where the database can tell."""
    if connections[articles.db].vendor == "postgresql":
        return _search_full_text(articles, text)
    for word in text.split():
        articles = articles.filter(Q(title__icontains=word) | Q(standfirst__icontains=word) | Q(body__icontains=word))
    return articles


def _search_full_text(articles, text):
    from django.contrib.postgres.search import SearchQuery, SearchRank  # needs psycopg, which other databases do not

    query = SearchQuery(text, config="english", search_type="websearch")
    # Matching uses the index on the whole text. Ranking has no index: by headline and standfirst it stays affordable.
    return (
        articles.alias(document=search_document(), rank=SearchRank(search_document(with_body=False), query))
        .filter(document=query)
        .order_by("-rank", "-published_at")
    )


def search_document(with_body=True):
    """What is searched, as an expression; the index `article_search` is on exactly this one."""
    from django.contrib.postgres.search import SearchVector

    document = SearchVector("title", weight="A", config="english") + SearchVector("standfirst", weight="B", config="english")
    if with_body:
        document += SearchVector("body", weight="C", config="english")
    return document
