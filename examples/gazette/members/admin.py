"""The editors' desk for accounts."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from .models import Member, SavedArticle


@admin.register(Member)
class MemberAdmin(UserAdmin):
    list_display = ["username", "display_name", "email", "is_staff", "is_active", "date_joined"]
    search_fields = ["username", "display_name", "email"]
    date_hierarchy = "date_joined"
    fieldsets = [*UserAdmin.fieldsets, ("In public", {"fields": ["display_name", "about"]})]
    add_fieldsets = [(None, {"fields": ["username", "email", "display_name", "usable_password", "password1", "password2"]})]


@admin.register(SavedArticle)
class SavedArticleAdmin(admin.ModelAdmin):
    list_display = ["member", "article", "saved_at"]
    list_select_related = ["member", "article"]
    autocomplete_fields = ["member", "article"]
    date_hierarchy = "saved_at"
