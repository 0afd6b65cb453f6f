"""The pages that show articles."""

import base64
import math

from django.db.models import Count, Q
from django.db.models.functions import TruncMonth
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.generic import DetailView, ListView, MonthArchiveView, TemplateView

from .forms import SearchForm
from .models import Article, Author, DailyReads, Section, Tag
from .search import search_articles

PAGE_SIZE = 18

# The smallest picture there is: one transparent pixel.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class FrontView(TemplateView):
    template_name = "articles/front.html"

    def get_context_data(self, **kwargs):
        articles = Article.objects.published().for_listing()
        lead = articles.filter(is_lead=True).first() or articles.first()
        latest = list(articles.exclude(pk=lead.pk)[:5]) if lead else []
        shown = [article.pk for article in [lead, *latest] if article]
        sections = [
            (section, section.articles.published().for_listing().exclude(pk__in=shown)[:4]) for section in Section.objects.all()
        ]
        return super().get_context_data(
            lead=lead,
            latest=latest,
            sections=sections,
            most_read=Article.objects.most_read().select_related("section")[:6],
            tags=tag_cloud(),
            **kwargs,
        )


def tag_cloud(count=32):
    """The tags with the most published articles, by name, each with its `size` from 1 to 5."""
    tags = Tag.objects.annotate(
        article_count=Count("articles", filter=Q(articles__published_at__lte=timezone.now())),
    ).filter(article_count__gt=0)
    tags = list(tags.order_by("-article_count", "name")[:count])
    if tags:
        # By the logarithm, for the first tags have many times the articles of the last ones.
        least, most = math.log(tags[-1].article_count), math.log(tags[0].article_count)
        for tag in tags:
            tag.size = 1 + round(4 * (math.log(tag.article_count) - least) / ((most - least) or 1))
    return sorted(tags, key=lambda tag: tag.name.lower())


class ArticleListView(ListView):
    """Published articles, a page at a time."""

    paginate_by = PAGE_SIZE
    context_object_name = "articles"
    queryset = Article.objects.all()

    def get_queryset(self):
        return super().get_queryset().published().for_listing()


class SubjectView(ArticleListView):
    """The articles that belong to one section, tag or author."""

    subject_model = None

    def get_queryset(self):
        self.subject = get_object_or_404(self.subject_model, slug=self.kwargs["slug"])
        return super().get_queryset().filter(**{self.lookup: self.subject})

    def get_context_data(self, **kwargs):
        return super().get_context_data(subject=self.subject, **kwargs)


class SectionView(SubjectView):
    subject_model, lookup = Section, "section"
    template_name = "articles/section.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(current_section=self.subject, **kwargs)


class TagView(SubjectView):
    subject_model, lookup = Tag, "tags"
    template_name = "articles/tag.html"


class AuthorView(SubjectView):
    subject_model, lookup = Author, "author"
    template_name = "articles/author.html"


class SearchView(ArticleListView):
    template_name = "articles/search.html"

    def get_queryset(self):
        self.form = SearchForm(self.request.GET)
        self.words = self.form.cleaned_data["q"] if self.form.is_valid() else ""
        if not self.words:
            return Article.objects.none()
        return search_articles(super().get_queryset(), self.words)

    def get_context_data(self, **kwargs):
        return super().get_context_data(form=self.form, words=self.words, **kwargs)


class ArticleView(DetailView):
    template_name = "articles/article.html"

    def get_queryset(self):
        return Article.objects.published().for_listing()

    def get(self, request, *args, **kwargs):
        self.object = self.get_object()
        if self.object.slug != kwargs["name"]:
            return redirect(self.object, permanent=True)
        return self.render_to_response(
            self.get_context_data(related=self.object.related_articles(), current_section=self.object.section)
        )


def count_reader(request, pk):
    """Answer the picture at the end of an article, and count who came so far."""
    DailyReads.objects.add_reader(get_object_or_404(Article.objects.published(), pk=pk))
    return HttpResponse(PIXEL, content_type="image/gif")


class ArchiveView(TemplateView):
    template_name = "articles/archive.html"

    def get_context_data(self, **kwargs):
        months = (
            Article.objects.published()
            .annotate(month=TruncMonth("published_at"))
            .order_by("-month")
            .values("month")
            .annotate(article_count=Count("pk"))
        )
        return super().get_context_data(months=months, **kwargs)


class MonthView(MonthArchiveView):
    template_name = "articles/month.html"
    date_field = "published_at"
    month_format = "%m"
    paginate_by = 50
    context_object_name = "articles"

    def get_queryset(self):
        return Article.objects.published().for_listing()
