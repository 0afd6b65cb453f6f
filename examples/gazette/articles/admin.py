"""The editors' desk for everything that is published."""

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

from .models import Article, Author, DailyReads, Image, Section, Tag


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("published", "Published"), ("scheduled", "Scheduled"), ("draft", "Draft")]

    def queryset(self, request, articles):
        match self.value():
            case "published":
                return articles.published()
            case "scheduled":
                return articles.filter(published_at__gt=timezone.now())
            case "draft":
                return articles.filter(published_at=None)
        return articles


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    list_display = ["title", "section", "author", "state", "published_at", "is_lead"]
    list_filter = [StateFilter, "section", "is_lead"]
    list_select_related = ["section", "author"]
    search_fields = ["title", "standfirst"]
    date_hierarchy = "published_at"
    prepopulated_fields = {"slug": ["title"]}
    autocomplete_fields = ["author", "image", "tags", "related"]
    readonly_fields = ["updated_at"]
    actions = ["publish_now"]
    fieldsets = [
        (None, {"fields": ["title", "slug", "standfirst", "body"]}),
        ("Where it stands", {"fields": ["section", "author", "image", "tags", "related"]}),
        ("When it appears", {"fields": ["published_at", "is_lead", "updated_at"]}),
    ]

    @admin.display(description="State", ordering="published_at")
    def state(self, article):
        if article.published_at is None:
            return "Draft"
        return "Published" if article.is_published else "Scheduled"

    @admin.action(description="Publish selected articles now", permissions=["change"])
    def publish_now(self, request, articles):
        count = 0
        for article in articles.exclude(pk__in=Article.objects.published()):
            article.published_at = timezone.now()
            article.save()
            count += 1
        self.message_user(request, f"{count} article{'' if count == 1 else 's'} published.")


@admin.register(Image)
class ImageAdmin(admin.ModelAdmin):
    list_display = ["preview", "description", "credit", "width", "height", "thumbnails_made_at"]
    list_display_links = ["preview", "description"]
    search_fields = ["description", "credit"]
    readonly_fields = ["preview", "width", "height", "thumbnails_made_at"]

    @admin.display(description="Picture")
    def preview(self, image):
        if not image.file:
            return ""
        return format_html('<img src="{}" alt="" style="height:4rem;width:auto">', image.card_url)


@admin.register(Section)
class SectionAdmin(admin.ModelAdmin):
    list_display = ["name", "position", "description"]
    list_editable = ["position"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    list_display = ["name", "role"]
    search_fields = ["name", "role"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(DailyReads)
class DailyReadsAdmin(admin.ModelAdmin):
    list_display = ["article", "day", "reads"]
    list_select_related = ["article"]
    date_hierarchy = "day"
    ordering = ["-day", "-reads"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
