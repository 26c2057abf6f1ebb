"""Endings of image files and others, and names of system folders."""

EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ico", ".jp2", ".j2k", ".avif"),
)
"""Endings of images, in any case."""
HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
"""Endings of HEIF images of phones, which Pillow cannot read without a plugin."""
UNREADABLE = (
    *HEIF,
    *(".svg", ".svgz", ".eps", ".ps", ".pdf", ".ai", ".psd", ".jxl", ".jxr", ".tga", ".dds", ".exr", ".hdr"),
    *(".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".dcm", ".nii"),
    *(".mp4", ".mov", ".avi", ".mkv", ".webm"),
)
"""Endings of pictures and films that are not read."""
OTHER_SYSTEMS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Hidden folders of operating systems and servers."""
TEXT = (".txt", ".csv", ".json", ".md", ".db", ".ini", ".xml")
"""Endings of files that are often stored beside images; they are ignored without a note."""
