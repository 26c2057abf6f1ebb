"""Make a folder of pictures to condense: the emoji of the npm package emoji-datasource-google, by category.

    npm pack emoji-datasource-google@16.0.0
    tar xzf emoji-datasource-google-16.0.0.tgz
    python examples/emoji_folder.py package photos

It writes 1513 training pictures to photos/train/CATEGORY and 379 test pictures to photos/test/CATEGORY: 64 x 64
pixels, 9 categories with 68 to 305 training pictures each. Skin variations, parts of emoji and repeated pictures are
left out.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = "Component"
"""A category of what emoji are composed of, such as skin tones."""


def on_white(path: Path) -> Image.Image:
    """Return a picture with transparency on a white background."""
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def categories(package: Path) -> dict[str, list[tuple[str, Image.Image]]]:
    """Return name and picture of the emoji of each category, in the order of a keyboard."""
    seen: set[bytes] = set()
    found: dict[str, list[tuple[str, Image.Image]]] = {}
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    for entry in sorted(entries, key=lambda one: one["sort_order"]):
        path = package / "img" / "google" / "64" / entry["image"]
        if entry["category"] == PARTS or not path.exists():
            continue
        picture = on_white(path)
        if picture.tobytes() not in seen:
            seen.add(picture.tobytes())
            found.setdefault(entry["category"], []).append((entry["image"], picture))
    return found


def main(args: argparse.Namespace) -> None:
    """Write a fifth of each category as test pictures, the others as training pictures."""
    if not (args.package / "emoji.json").exists():
        raise SystemExit(f"{args.package} holds no emoji.json: give the folder that the package was unpacked to")
    if args.out.exists():
        raise SystemExit(f"{args.out} exists: name another folder")
    for number, (category, pictures) in enumerate(sorted(categories(args.package).items())):
        order = np.random.RandomState([0, number]).permutation(len(pictures))
        tested = round(len(pictures) / 5)
        for part, places in (("test", order[:tested]), ("train", order[tested:])):
            folder = args.out / part / category
            folder.mkdir(parents=True)
            for place in places:
                name, picture = pictures[place]
                picture.save(folder / name)
        print(f"{category}: {len(pictures) - tested} training and {tested} test pictures")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(description="Make a folder of pictures to condense from a package of emoji.")
    options.add_argument("package", type=Path, metavar="PACKAGE", help="folder of the unpacked package")
    options.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    return options


if __name__ == "__main__":
    main(parser().parse_args())
