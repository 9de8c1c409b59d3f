"""A hook of MkDocs: the pages that stand at the repository's root are pages of the site too."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"model-card.md": "MODEL_CARD.md", "contributing.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md"}
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
DOCS_LINK = re.compile(r"\]\(docs/")  # as seen from the root; the site's own root is that folder


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds them without the metadata that is meant for the Hub."""
    for page, source in PAGES.items():
        text = FRONT_MATTER.sub("", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=DOCS_LINK.sub("](", text)))
    return files
