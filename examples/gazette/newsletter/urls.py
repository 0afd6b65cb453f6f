"""Addresses of the newsletter."""

from django.urls import path
from django.views.generic import TemplateView

from . import views

app_name = "newsletter"
urlpatterns = [
    path("", views.JoinView.as_view(), name="join"),
    path("sent/", TemplateView.as_view(template_name="newsletter/sent.html"), name="sent"),
    path("welcome/", TemplateView.as_view(template_name="newsletter/welcome.html"), name="welcome"),
    path("left/", TemplateView.as_view(template_name="newsletter/left.html"), name="left"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("leave/<str:token>/", views.leave, name="leave"),
]
