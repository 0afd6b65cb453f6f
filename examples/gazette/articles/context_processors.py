"""What every page shows around its own content."""

from .models import Section


def navigation(request):
    """The sections for the masthead; nothing is asked of the database unless a template does."""
    return {"navigation_sections": Section.objects.all()}
