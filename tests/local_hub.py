"""A Hugging Face Hub on this machine, for the Hub's own client: models, branches, commits, LFS, private and gated.

It speaks what `huggingface_hub` needs to push a folder and to download it, over HTTP, and can be told to break a
download off. Xet, the Hub's newer way to move large files, is not spoken; the client falls back to LFS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_repository import Blob, Repository

TOKEN = "hf_local_hub"
LFS_SUFFIXES = (".safetensors",)  # goes to LFS at any size, as on the Hub


class LocalHub:
    """The state of the Hub, with an interface for tests.

    cut_after: name of a file -> bytes after which its next download breaks off. requests: method, path, Range header.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.lfs: dict[str, bytes] = {}
        self.cut_after: dict[str, int] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.lock = threading.Lock()
        self.endpoint = self.storage = ""

    @contextmanager
    def serve(self) -> Iterator[LocalHub]:
        """Serves until the block ends."""
        hub = self

        class Handler(_Handler):
            state = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        self.storage = f"http://localhost:{server.server_address[1]}"  # another host, as large files have on the Hub
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Refused(Exception):
    """An error response: status, and the error code for the client."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # avoids delays of small files
    state: LocalHub

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing; `LocalHub.requests` records the requests for tests."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._read_chunks()
        with self.state.lock:
            self.state.requests.append((method, path, self.headers.get("Range")))
        try:
            for allowed, pattern, answer in _ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method in allowed:
                    return answer(self, body, **match.groupdict())
            raise _Refused(404, message=f"{method} {path} is not spoken here")
        except _Refused as refused:
            headers = {"X-Error-Code": refused.code} if refused.code else {}
            self._send(refused.status, {"error": refused.message}, headers=headers)

    def _read_chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status: int, value: Any, *, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # --- Permissions ----------------------------------------------------------------------------------------------

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _owner(self) -> None:
        if self._token() != TOKEN:
            raise _Refused(401, message="Invalid username or password.")

    def _repository(self, repo: str, *, write: bool = False) -> Repository:
        repository = self.state.repositories.get(repo)
        mine = self._token() == TOKEN
        if repository is None or (repository.private and not mine):
            raise _Refused(404 if mine else 401, "RepoNotFound", "Repository not found")
        if write:
            self._owner()
        return repository

    def _files(self, repository: Repository, revision: str) -> tuple[str, dict[str, Blob]]:
        commit = repository.resolve(revision)
        if commit is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    # --- Repositories ----------------------------------------------------------------------------------------------

    def create_repo(self, body: bytes) -> None:
        self._owner()
        request = json.loads(body)
        repo = f"{request['organization'] or 'user'}/{request['name']}"
        address = {"url": f"{self.state.endpoint}/{repo}", "name": repo, "id": repo}
        if repo in self.state.repositories:
            return self._send(409, {**address, "error": "You already created this model repo"})
        self.state.repositories[repo] = Repository(private=request.get("visibility") == "private")
        return self._send(200, address)

    def create_branch(self, body: bytes, repo: str, branch: str) -> None:
        repository = self._repository(repo, write=True)
        if branch in repository.branches:
            return self._send(409, {"error": "Reference already exists"})
        repository.branches[branch] = repository.branches["main"]
        return self._send(200, {})

    def model_info(self, body: bytes, repo: str, revision: str | None = None) -> None:
        repository = self._repository(repo)
        commit, files = self._files(repository, revision or "main")
        siblings = [{"rfilename": name} for name in files]
        self._send(
            200,
            {"id": repo, "sha": commit, "private": repository.private, "tags": [], "siblings": siblings},
        )

    def tree(self, body: bytes, repo: str, revision: str, folder: str | None = None) -> None:
        _, files = self._files(self._repository(repo), revision)
        entries = []
        for name, blob in files.items():
            if folder and not name.startswith(f"{folder}/"):
                continue
            lfs = {"lfs": {"oid": blob.oid, "size": len(blob.content), "pointerSize": 134}} if blob.is_lfs else {}
            oid = hashlib.sha1(blob.oid.encode()).hexdigest() if blob.is_lfs else blob.oid
            entries.append({"type": "file", "path": name, "size": len(blob.content), "oid": oid, **lfs})
        if folder and not entries:
            raise _Refused(404, "EntryNotFound", f"{folder} does not exist")
        self._send(200, entries)

    # --- Commits ---------------------------------------------------------------------------------------------------

    def validate_yaml(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        complete = content.startswith("---\n") and "\n---\n" in content
        errors = [] if complete else [{"message": "no metadata block"}]
        self._send(200 if complete else 400, {"errors": errors, "warnings": []})

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        _, present = self._files(self._repository(repo, write=True), revision)
        files = []
        for entry in json.loads(body)["files"]:
            name = entry["path"]
            mode = "lfs" if name.endswith(LFS_SUFFIXES) else "regular"
            oid = {"oid": present[name].oid} if name in present else {}
            files.append({"path": name, "uploadMode": mode, "shouldIgnore": False, **oid})
        self._send(200, {"files": files})

    def lfs_batch(self, body: bytes, repo: str) -> None:
        self._repository(repo, write=True)
        objects = []
        for entry in json.loads(body)["objects"]:
            oid = entry["oid"]
            actions = {
                "upload": {"href": f"{self.state.endpoint}/lfs/{oid}"},
                "verify": {"href": f"{self.state.endpoint}/lfs/{oid}/verify"},
            }
            objects.append({**entry, **({} if oid in self.state.lfs else {"actions": actions})})
        self._send(200, {"transfer": "basic", "objects": objects})

    def lfs_upload(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused(400, message="the content is not what its name says")
        self.state.lfs[oid] = body
        self._send(200, {})

    def lfs_verify(self, body: bytes, oid: str) -> None:
        size = len(self.state.lfs.get(oid, b""))
        self._send(200 if size == json.loads(body)["size"] else 400, {})

    def commit(self, body: bytes, repo: str, revision: str) -> None:
        repository = self._repository(repo, write=True)
        _, present = self._files(repository, revision)
        files, message = dict(present), ""
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                message = value["summary"]
            elif operation["key"] == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), is_lfs=False)
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.state.lfs:
                    raise _Refused(400, message=f"{value['path']} was not uploaded")
                files[value["path"]] = Blob(self.state.lfs[value["oid"]], is_lfs=True)
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        commit = repository.commit(files, branch=revision, message=message)
        self._send(200, {"commitUrl": f"{self.state.endpoint}/{repo}/commit/{commit}", "commitOid": commit})

    # --- Downloads -------------------------------------------------------------------------------------------------

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> None:
        repository = self._repository(repo)
        if repository.gated and self._token() != TOKEN:
            raise _Refused(403, "GatedRepo", f"Access to model {repo} is restricted")
        commit, files = self._files(repository, revision)
        if name not in files:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        blob = files[name]
        if not blob.is_lfs:
            return self._send_content(blob, name=name, commit=commit)
        self.send_response(302)
        self.send_header("Location", f"{self.state.storage}/lfs/{blob.oid}/{name}")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Etag", f'"{blob.oid}"')
        self.send_header("X-Linked-Size", str(len(blob.content)))
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def lfs_download(self, body: bytes, oid: str, name: str) -> None:
        if self._token() is not None:
            raise _Refused(400, message="a token was sent to the storage, which is another host")
        self._send_content(Blob(self.state.lfs[oid], is_lfs=True), name=name, commit=None)

    def _send_content(self, blob: Blob, *, name: str, commit: str | None) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        content = blob.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{blob.oid}"')
        self.send_header("Accept-Ranges", "bytes")
        if commit is not None:
            self.send_header("X-Repo-Commit", commit)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(blob.content) - 1}/{len(blob.content)}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.state.cut_after.pop(name, None)
        self.wfile.write(content if cut is None else content[:cut])
        self.close_connection = cut is not None


_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_ROUTES = (
    (("POST",), r"/api/repos/create", _Handler.create_repo),
    (("POST",), r"/api/validate-yaml", _Handler.validate_yaml),
    (("POST",), rf"/api/models/{_REPO}/branch/(?P<branch>.+)", _Handler.create_branch),
    (("POST",), rf"/api/models/{_REPO}/preupload/(?P<revision>.+)", _Handler.preupload),
    (("POST",), rf"/api/models/{_REPO}/commit/(?P<revision>.+)", _Handler.commit),
    (("GET",), rf"/api/models/{_REPO}", _Handler.model_info),
    (("GET",), rf"/api/models/{_REPO}/revision/(?P<revision>.+)", _Handler.model_info),
    (("GET",), rf"/api/models/{_REPO}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", _Handler.tree),
    (("POST",), rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (("PUT",), r"/lfs/(?P<oid>\w{64})", _Handler.lfs_upload),
    (("POST",), r"/lfs/(?P<oid>\w{64})/verify", _Handler.lfs_verify),
    (("GET", "HEAD"), r"/lfs/(?P<oid>\w{64})/(?P<name>.+)", _Handler.lfs_download),
    (("GET", "HEAD"), rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", _Handler.resolve),
)
