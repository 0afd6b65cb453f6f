"""The addresses of the site; each app keeps its own."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

admin.site.site_header = "The Gazette · desk"
admin.site.site_title = "The Gazette"
admin.site.index_title = "Editorial desk"

urlpatterns = [
    path("", include("articles.urls")),
    path("", include("comments.urls")),
    path("", include("members.urls")),
    path("newsletter/", include("newsletter.urls")),
    path("about/", TemplateView.as_view(template_name="about.html"), name="about"),
    path("robots.txt", TemplateView.as_view(template_name="robots.txt", content_type="text/plain"), name="robots"),
    path("desk/", admin.site.urls),
]

# Does nothing unless DEBUG is on; elsewhere a file server answers for uploads.
urlpatterns += static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)
