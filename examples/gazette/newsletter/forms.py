"""What a reader fills in to receive the letter."""

from django import forms


class JoinForm(forms.Form):
    email = forms.EmailField(label="Email address", widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    def clean_email(self):
        # Nobody's mailbox tells capitals apart, and one person must not receive two letters.
        return self.cleaned_data["email"].lower()
