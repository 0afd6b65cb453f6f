"""The group whose members run the desk, and what it may do."""

from django.contrib.auth.models import Group, Permission

GROUP_NAME = "Editors"
PERMISSIONS = {
    "articles": ["add", "change", "delete", "view"],
    "comments": ["change", "delete", "view"],
    "newsletter": ["view"],
    "members": ["view"],
}


def ensure_editors_group():
    """Create the group where it is missing, give it its permissions, and return it."""
    group, _ = Group.objects.get_or_create(name=GROUP_NAME)
    allowed = [
        permission
        for permission in Permission.objects.filter(content_type__app_label__in=PERMISSIONS).select_related("content_type")
        if permission.codename.partition("_")[0] in PERMISSIONS[permission.content_type.app_label]
    ]
    group.permissions.set(allowed)
    return group
