"""Published file formats, one a file: paths in, arrays out."""
