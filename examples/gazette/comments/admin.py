"""The editors' desk for moderation."""

from django.contrib import admin

from .models import Comment


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    list_display = ["__str__", "member", "article", "created_at", "is_removed"]
    list_filter = ["is_removed"]
    list_select_related = ["member", "article"]
    search_fields = ["body"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["article", "member"]
    readonly_fields = ["created_at"]
    actions = ["remove", "restore"]

    @admin.action(description="Remove selected comments from the site", permissions=["change"])
    def remove(self, request, comments):
        self.message_user(request, f"Removed: {comments.update(is_removed=True)}.")

    @admin.action(description="Show selected comments again", permissions=["change"])
    def restore(self, request, comments):
        self.message_user(request, f"Shown again: {comments.update(is_removed=False)}.")
