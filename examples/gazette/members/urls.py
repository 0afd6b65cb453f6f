"""Addresses of members' pages."""

from django.contrib.auth import views as auth_views
from django.urls import path, reverse_lazy

from . import views
from .forms import BackgroundPasswordResetForm

app_name = "members"
urlpatterns = [
    path("account/", views.AccountView.as_view(), name="account"),
    path("account/register/", views.RegisterView.as_view(), name="register"),
    path("account/login/", auth_views.LoginView.as_view(template_name="members/login.html"), name="login"),
    path("account/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("account/saved/", views.SavedView.as_view(), name="saved"),
    path("account/saved/<int:pk>/", views.toggle_saved, name="toggle-saved"),
    path(
        "account/password/forgotten/",
        auth_views.PasswordResetView.as_view(
            form_class=BackgroundPasswordResetForm,
            template_name="members/password_forgotten.html",
            success_url=reverse_lazy("members:password-sent"),
        ),
        name="password-forgotten",
    ),
    path(
        "account/password/sent/",
        auth_views.PasswordResetDoneView.as_view(template_name="members/password_sent.html"),
        name="password-sent",
    ),
    path(
        "account/password/new/<uidb64>/<token>/",
        auth_views.PasswordResetConfirmView.as_view(
            template_name="members/password_new.html", success_url=reverse_lazy("members:login")
        ),
        name="password-new",
    ),
    path("members/<str:username>/", views.MemberView.as_view(), name="member"),
]
