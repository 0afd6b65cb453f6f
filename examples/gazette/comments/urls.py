"""Addresses of comments."""

from django.urls import path

from . import views

app_name = "comments"
urlpatterns = [path("comments/<int:pk>/", views.post_comment, name="post")]
