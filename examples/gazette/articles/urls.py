"""Addresses of the magazine's pages."""

from django.contrib.sitemaps import views as sitemap_views
from django.urls import path

from . import views
from .feeds import LatestFeed, SectionFeed
from .sitemaps import SITEMAPS

app_name = "articles"
urlpatterns = [
    path("", views.FrontView.as_view(), name="front"),
    path("story/<int:pk>/<slug:name>/", views.ArticleView.as_view(), name="article"),
    path("story/<int:pk>/read.gif", views.count_reader, name="reader"),
    path("sections/<slug:slug>/", views.SectionView.as_view(), name="section"),
    path("sections/<slug:section>/feed/", SectionFeed(), name="section-feed"),
    path("tags/<slug:slug>/", views.TagView.as_view(), name="tag"),
    path("authors/<slug:slug>/", views.AuthorView.as_view(), name="author"),
    path("search/", views.SearchView.as_view(), name="search"),
    path("archive/", views.ArchiveView.as_view(), name="archive"),
    path("archive/<int:year>/<int:month>/", views.MonthView.as_view(), name="month"),
    path("feed/", LatestFeed(), name="feed"),
    path(
        "sitemap.xml",
        sitemap_views.index,
        {"sitemaps": SITEMAPS, "sitemap_url_name": "articles:sitemap"},
        name="sitemap-index",
    ),
    path("sitemap-<section>.xml", sitemap_views.sitemap, {"sitemaps": SITEMAPS}, name="sitemap"),
]
