"""Read the commands of a page."""


def commands(block: str) -> list[str]:
    r"""Return the commands of a block of shell input, each on one line: a line that ends in `\` goes on in the next."""
    return block.replace("\\\n", " ").splitlines()
