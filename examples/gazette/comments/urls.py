"""Addresses of comments."""

from django.urls import path

from . import views

app_name = "comments"
urlpatterns = [path("story/<int:pk>/comment/", views.post_comment, name="post")]
