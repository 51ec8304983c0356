"""The image names that container runtimes accept: the grammar of github.com/distribution/reference."""

import re

COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = rf"(?:{COMPONENT}(?:[.]{COMPONENT})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
PATH = r"[a-z0-9]+(?:(?:[.]|_|__|[-]+)[a-z0-9]+)*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"sha256:[0-9a-f]{64}"
NAME = rf"(?:{DOMAIN}/)?{PATH}(?:/{PATH})*"
REFERENCE = re.compile(rf"(?P<name>{NAME})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")


def fault(image):
    """What is wrong with an image name, or None. One without tag and digest would mean `latest`, so it is wrong, too."""
    match = REFERENCE.fullmatch(image)
    if not match:
        return "is not a reference"
    if len(match["name"]) > 255:
        return "is longer than 255 characters"
    if not match["tag"] and not match["digest"] or match["tag"] == "latest":
        return "isn't pinned"
    return None
