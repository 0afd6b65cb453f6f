"""What readers fill in to find articles."""

from django import forms


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Search the archive",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Words, or “a phrase”"}),
    )
