"""Small copies of an image: their sizes, their names, and how they are cut."""

from io import BytesIO
from pathlib import PurePosixPath

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image as Picture
from PIL import ImageOps

# Width and height in pixels. A card is shown at most 400 pixels wide, the lead 800; twice that for dense screens would double
# the bytes, half as much again is what the eye still sees.
SIZES = {"card": (640, 400), "lead": (1280, 800)}


def thumbnail_name(file_name, size):
    """Where the storage keeps the copy of a file in one of SIZES."""
    if size not in SIZES:
        raise ValueError(f"There is no thumbnail size {size!r}; the sizes are {', '.join(SIZES)}.")
    original = PurePosixPath(file_name)
    return str(PurePosixPath("thumbnails", size, *original.parts[1:-1], original.stem + ".jpg"))


def cut_thumbnails(file_name):
    """Write a copy of the file in every size, cut to its shape around the middle; one that exists is replaced."""
    with default_storage.open(file_name) as source:
        original = ImageOps.exif_transpose(Picture.open(source)).convert("RGB")
    for size, dimensions in SIZES.items():
        data = BytesIO()
        ImageOps.fit(original, dimensions, Picture.Resampling.LANCZOS).save(data, "JPEG", quality=82, progressive=True)
        name = thumbnail_name(file_name, size)
        default_storage.delete(name)
        default_storage.save(name, ContentFile(data.getvalue()))
