"""The weekly letter: sign up, confirm, receive, leave."""
