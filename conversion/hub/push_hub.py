"""Pushes an exported folder to the Hub in a single commit."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperation, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import httpx  # the HTTP client of huggingface_hub

# Files of an earlier export that are deleted if the new one does not have them.
STALE_PATTERNS = ("*.py", "model*.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class PushOptions:
    """Options of a push. private: None keeps the visibility of a repository. revision: a branch; None is main."""

    private: bool | None = None
    revision: str | None = None
    commit_message: str = "Upload a MicroEmo model"


def push_folder(
    folder: str | Path, repo_id: str, *, options: PushOptions | None = None, api: HfApi | None = None
) -> CommitInfo:
    """Uploads an exported folder to `repo_id` ("user/name"). Creates the repository if it does not exist.

    Args:
        folder: A folder of `export_model`.
        options: Options of the push.
        api: Hub client with token and endpoint; by default `HfApi()` with those of the user.

    Raises:
        ValueError: the folder has no model card or weights, or `private` is asked for a public repository.
        ConnectionError: the Hub cannot be reached. Errors of the Hub (no token, no permission) pass through.
    """
    options, api, folder = options or PushOptions(), api or HfApi(), Path(folder)
    if not (folder / "README.md").is_file() or not any(folder.glob("*.safetensors")):
        raise ValueError(f"{folder} is not an exported folder: it must have a README.md and safetensors files")
    try:
        return _push(folder, repo_id, options=options, api=api)
    except httpx.TransportError as error:
        raise ConnectionError(f"the Hub at {api.endpoint} cannot be reached: {error}") from error


def _push(folder: Path, repo_id: str, *, options: PushOptions, api: HfApi) -> CommitInfo:
    repo = api.create_repo(repo_id, private=options.private, exist_ok=True).repo_id
    if options.private and not api.model_info(repo).private:
        raise ValueError(f"{repo} is public already; make it private on the Hub first, or push without private")
    if options.revision is not None:
        api.create_branch(repo, branch=options.revision, exist_ok=True)
    present = api.list_repo_files(repo, revision=options.revision)
    return api.create_commit(
        repo,
        _operations(folder, present=present),
        commit_message=options.commit_message,
        revision=options.revision,
    )


def _operations(folder: Path, *, present: list[str]) -> list[CommitOperation]:
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    stale = [
        name
        for name in present
        if name not in files and "/" not in name and any(fnmatch(name, pattern) for pattern in STALE_PATTERNS)
    ]
    additions: list[CommitOperation] = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
    return [*additions, *(CommitOperationDelete(name) for name in stale)]
