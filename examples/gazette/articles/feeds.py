"""The newest articles for feed readers."""

from django.contrib.syndication.views import Feed
from django.shortcuts import get_object_or_404
from django.urls import reverse_lazy

from .models import Article, Section

LENGTH = 30


class LatestFeed(Feed):
    title = "The Gazette"
    link = reverse_lazy("articles:front")
    description = "Reporting, essays and criticism from The Gazette."

    def items(self):
        return Article.objects.published().for_listing()[:LENGTH]

    def item_title(self, article):
        return article.title

    def item_description(self, article):
        return article.standfirst

    def item_author_name(self, article):
        return article.author.name

    def item_categories(self, article):
        return [article.section.name, *(tag.name for tag in article.tags.all())]

    def item_pubdate(self, article):
        return article.published_at

    def item_updateddate(self, article):
        return article.updated_at


class SectionFeed(LatestFeed):
    def get_object(self, request, section):
        return get_object_or_404(Section, slug=section)

    def title(self, section):
        return f"The Gazette · {section.name}"

    def link(self, section):
        return section.get_absolute_url()

    def description(self, section):
        return section.description

    def items(self, section):
        return section.articles.published().for_listing()[:LENGTH]
