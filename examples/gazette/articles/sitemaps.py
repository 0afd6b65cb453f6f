"""What search engines may know of: every published article, and the pages that list them."""

from django.contrib.sitemaps import Sitemap
from django.db.models import Max
from django.urls import reverse

from .models import Article, Author, Section


class ArticleSitemap(Sitemap):
    limit = 5000

    def items(self):
        return Article.objects.published().only("pk", "slug", "published_at", "updated_at")

    def lastmod(self, article):
        return article.updated_at

    def get_latest_lastmod(self):
        # Django would load every article to find out.
        return Article.objects.published().aggregate(latest=Max("updated_at"))["latest"]


class SectionSitemap(Sitemap):
    changefreq = "daily"

    def items(self):
        return Section.objects.all()


class AuthorSitemap(Sitemap):
    def items(self):
        return Author.objects.all()


class PageSitemap(Sitemap):
    def items(self):
        return ["articles:front", "articles:archive", "about", "newsletter:join"]

    def location(self, name):
        return reverse(name)


SITEMAPS = {"pages": PageSitemap, "sections": SectionSitemap, "authors": AuthorSitemap, "articles": ArticleSitemap}
