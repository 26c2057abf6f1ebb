"""What the files in a folder of images are, by their names."""

EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ico", ".jp2", ".j2k", ".avif"),
)
"""Files with one of these, in any case, are images."""
HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
"""Images of phones, for which Pillow has no reader of its own."""
UNREADABLE = (
    *HEIF,
    *(".svg", ".svgz", ".eps", ".ps", ".pdf", ".ai", ".psd", ".jxl", ".jxr", ".tga", ".dds", ".exr", ".hdr"),
    *(".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".dcm", ".nii"),
    *(".mp4", ".mov", ".avi", ".mkv", ".webm"),
)
"""Files with one of these are pictures, which are not read."""
OTHER_SYSTEMS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Folders that systems leave behind: what is in them is hidden where they come from."""
TEXT = (".txt", ".csv", ".json", ".md", ".db", ".ini", ".xml")
"""Files with one of these lie beside images, and nobody takes them for one."""
