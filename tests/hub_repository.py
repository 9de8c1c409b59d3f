"""Repositories of the local Hub; a commit is a table of files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Blob:
    """A file's content; LFS files are named by their SHA-256, others as git names them."""

    content: bytes
    is_lfs: bool

    @property
    def oid(self) -> str:
        if self.is_lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass
class Repository:
    """branches: name -> commit. commits: hash -> files, and hash -> message."""

    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({}, branch="main", message="initial commit")

    def commit(self, files: dict[str, Blob], *, branch: str, message: str) -> str:
        """Commits all files of the repository; returns the hash."""
        parent = self.branches.get(branch, "")
        listing = "".join(f"{name} {blob.oid}\n" for name, blob in sorted(files.items()))
        commit = hashlib.sha1(f"{parent}\n{message}\n{listing}".encode()).hexdigest()
        self.commits[commit], self.messages[commit], self.branches[branch] = files, message, commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch or a commit's hash names."""
        revision = self.branches.get(revision, revision)
        return revision if revision in self.commits else None
