"""What members say under an article."""
