"""The README and the links of the distributions, as an index page needs them: it has no other file of the repository.

With the repository's address in ``REPOSITORY_URL``, as in the release workflow, links and images lead to the files of
the version's tag. Without it, nobody knows where they are: links become text, and images are left out.
"""

import os
import re
from pathlib import Path
from typing import Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_IMAGE: Final = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<path>(?!\w+:)[^)#]+)\)\n*")
_LINK: Final = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>(?!\w+:|#)[^)]+)\)")


def on_index_page(readme: str, repository: str, version: str) -> str:
    """Return a README whose links work elsewhere, too.

    Args:
        readme: The text, in Markdown.
        repository: Address of the repository; empty if it is not known.
        version: The version, whose tag the links lead to.
    """
    if not repository:
        return _LINK.sub(r"\g<text>", _IMAGE.sub("", readme))
    raw = f"{repository}/raw/v{version}"
    readme = _IMAGE.sub(lambda image: image[0].replace("](", f"]({raw}/"), readme)
    return _LINK.sub(rf"[\g<text>]({repository}/blob/v{version}/\g<path>)", readme)


class CustomMetadataHook(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, object]) -> None:
        """Fill them in."""
        repository, version = os.environ.get("REPOSITORY_URL", "").rstrip("/"), str(metadata["version"])
        text = on_index_page((Path(self.root) / "README.md").read_text("utf-8"), repository, version)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        at = f"{repository}/blob/v{version}"
        links = {
            "Source": repository,
            "Documentation": f"{at}/docs/index.md",
            "Changelog": f"{at}/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }
        metadata["urls"] = links if repository else {}
