"""Pushing to and loading from a local fake Hub with huggingface_hub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_repository import Blob
from huggingface_hub import HfApi, ModelCard, constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from local_hub import TOKEN, LocalHub
from tiny_folder import write_tiny_folder

from microemo.cli.main import main
from microemo.conversion.hub.export_hub import ExportOptions, export_model
from microemo.conversion.hub.push_hub import PushOptions, push_folder

REPO = "user/microemo-tiny"
LOAD = """
import sys
sys.modules["microemo"] = None
from transformers import AutoModelForMultimodalLM, AutoProcessor
repo, revision = sys.argv[1:]
processor = AutoProcessor.from_pretrained(repo, revision=revision, trust_remote_code=True)
model = AutoModelForMultimodalLM.from_pretrained(repo, revision=revision, trust_remote_code=True)
print(type(processor).__module__, type(model).__module__, type(model).__name__)
"""


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with LocalHub().serve() as hub:
        yield hub


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.endpoint, token=TOKEN)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny_folder(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    options = ExportOptions(max_shard_size="400KB", repo_id=REPO)
    return export_model(source, tmp_path_factory.mktemp("exported") / "tiny", options=options)


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


def download(hub, tmp_path, *, repo=REPO, token=TOKEN, revision=None):
    return snapshot_download(
        repo, endpoint=hub.endpoint, token=token, revision=revision, cache_dir=tmp_path / "cache", max_workers=1
    )


def environment(hub, tmp_path, *, token):
    """Environment of a process with the local Hub and an empty cache."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    return {
        **inherited,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "no_proxy": "127.0.0.1",
        **({"HF_TOKEN": token} if token else {}),
    }


class TestPush:
    def test_all_files_are_pushed_in_one_commit(self, hub, api, exported, tmp_path):
        commit = push_folder(exported, REPO, options=PushOptions(commit_message="First weights"), api=api)
        repository = hub.repositories[REPO]
        assert repository.branches["main"] == commit.oid
        assert len(repository.commits) == 2, "the empty one and ours"
        assert repository.messages[commit.oid] == "First weights"
        assert not repository.private
        assert contents(Path(download(hub, tmp_path))) == contents(exported)

    def test_weights_are_pushed_as_lfs_files(self, hub, api, exported):
        push_folder(exported, REPO, api=api)
        files = hub.repositories[REPO].commits[hub.repositories[REPO].branches["main"]]
        assert {name for name, blob in files.items() if blob.is_lfs} == {
            path.name for path in exported.glob("*.safetensors")
        }

    def test_second_push_uploads_changes_and_removes_stale_files(self, hub, api, source, exported, tmp_path):
        push_folder(exported, REPO, api=api)
        own = hub.repositories[REPO]
        before = own.commits[own.branches["main"]]
        own.commit({**before, "notes.md": Blob(b"mine", is_lfs=False)}, branch="main", message="by hand")
        whole = export_model(source, tmp_path / "whole", options=ExportOptions(repo_id=REPO))
        push_folder(whole, REPO, api=api)
        present = set(own.commits[own.branches["main"]])
        assert present == names(whole) | {"notes.md"}

    def test_private_and_branch(self, hub, api, exported, tmp_path):
        push_folder(exported, REPO, options=PushOptions(private=True, revision="bf16"), api=api)
        repository = hub.repositories[REPO]
        assert repository.private
        assert not repository.commits[repository.branches["main"]], "nothing on main"
        assert set(repository.commits[repository.branches["bf16"]]) == names(exported)

    def test_private_push_to_a_public_repository_is_refused(self, hub, api, exported):
        api.create_repo(REPO)
        with pytest.raises(ValueError, match="is public already"):
            push_folder(exported, REPO, options=PushOptions(private=True), api=api)
        assert len(hub.repositories[REPO].commits) == 1

    def test_folder_without_export_is_refused(self, api, tmp_path):
        with pytest.raises(ValueError, match="is not an exported folder"):
            push_folder(tmp_path, REPO, api=api)

    def test_missing_permission_raises_the_hubs_error(self, hub, exported):
        with pytest.raises(OSError, match="401"):
            push_folder(exported, REPO, api=HfApi(endpoint=hub.endpoint, token="hf_wrong"))
        assert not hub.repositories


class TestDownload:
    @pytest.fixture(autouse=True)
    def pushed(self, hub, api, exported):
        return push_folder(exported, REPO, api=api)

    def test_interrupted_download_resumes(self, hub, exported, tmp_path, monkeypatch):
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what has been written when it breaks off
        shard = sorted(path.name for path in exported.glob("*.safetensors"))[0]
        hub.cut_after[shard] = 1000
        downloaded = download(hub, tmp_path)
        ranges = [asked for method, path, asked in hub.requests if method == "GET" and path.endswith(shard)]
        assert ranges == [None, "bytes=1000-"]
        assert (Path(downloaded) / shard).read_bytes() == (exported / shard).read_bytes()

    def test_second_download_transfers_no_weights(self, hub, tmp_path):
        download(hub, tmp_path)
        hub.requests.clear()
        download(hub, tmp_path)
        assert not [path for method, path, _ in hub.requests if path.endswith(".safetensors")]

    def test_private_repository_without_token(self, hub, tmp_path):
        hub.repositories[REPO].private = True
        with pytest.raises(RepositoryNotFoundError):
            download(hub, tmp_path, token=False)
        download(hub, tmp_path)

    def test_gated_repository_without_token(self, hub, tmp_path):
        hub.repositories[REPO].gated = True
        with pytest.raises(GatedRepoError):
            download(hub, tmp_path, token=False)
        download(hub, tmp_path)

    def test_pinned_commit_is_not_changed_by_later_pushes(self, hub, api, pushed, source, tmp_path):
        half = ExportOptions(dtype="bfloat16", repo_id=REPO)
        push_folder(export_model(source, tmp_path / "half", options=half), REPO, api=api)
        pinned = ModelCard.load(f"{download(hub, tmp_path, revision=pushed.oid)}/README.md")
        newest = ModelCard.load(f"{download(hub, tmp_path)}/README.md")
        assert "in float32" in pinned.text
        assert "in bfloat16" in newest.text
        with pytest.raises(RevisionNotFoundError):
            download(hub, tmp_path, revision="0" * 40)

    def test_from_pretrained_without_the_package(self, hub, pushed, tmp_path):
        finished = subprocess.run(
            [sys.executable, "-c", LOAD, REPO, pushed.oid],
            capture_output=True,
            text=True,
            env=environment(hub, tmp_path, token=None),
            check=False,
        )
        assert finished.returncode == 0, finished.stderr[-2000:]
        processor, model, name = finished.stdout.split()
        assert f".{pushed.oid}." in processor, "the code is that of the commit"
        assert f".{pushed.oid}." in model
        assert name == "MicroEmoForConditionalGeneration"


class TestCommand:
    @pytest.fixture(autouse=True)
    def the_users_hub(self, hub, monkeypatch):
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)

    def test_export_and_push(self, hub, source, tmp_path, capsys):
        out = tmp_path / "out"
        assert main(["export", str(out), "--model", str(source), "--dtype", "bfloat16", "--push", REPO]) == 0
        commit = hub.repositories[REPO].branches["main"]
        assert capsys.readouterr().out.split() == [str(out), f"{hub.endpoint}/{REPO}/commit/{commit}"]
        assert set(hub.repositories[REPO].commits[commit]) == names(out)

    def test_push_alone(self, hub, source):
        pushed = ["export", "--model", str(source), "--push", REPO, "--private", "--revision", "first"]
        assert main([*pushed, "--commit-message", "Mine"]) == 0
        repository = hub.repositories[REPO]
        assert repository.private
        assert repository.messages[repository.branches["first"]] == "Mine"
        card = repository.commits[repository.branches["first"]]["README.md"].content
        assert b"# microemo-tiny" in card

    def test_hub_error_is_a_failure(self, hub, source, monkeypatch, capsys):
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        assert main(["export", "--model", str(source), "--push", REPO]) == 1
        assert "401" in capsys.readouterr().err
        assert not hub.repositories

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "name a FOLDER to write, or a repository with --push"),
            (["out", "--private"], "--private belongs to --push"),
            (["out", "--commit-message", "x"], "--commit-message belongs to --push"),
        ],
    )
    def test_wrong_usage(self, arguments, words, capsys):
        assert main(["export", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_unreachable_hub_error_names_the_endpoint(exported):
    nowhere = "http://127.0.0.1:9"  # the port of discarded messages, where nobody listens
    with pytest.raises(ConnectionError, match=f"the Hub at {nowhere} cannot be reached: "):
        push_folder(exported, REPO, api=HfApi(endpoint=nowhere, token=TOKEN))
