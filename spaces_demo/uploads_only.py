"""The demo takes files that a visitor uploads, and never fetches an address on their behalf.

Gradio would: a file input that holds a web address is downloaded by the server, without limits of size or time, and
`/gradio_api/file=ADDRESS` passes any public page on. Both are closed here, so that the server is no way into a
network and no proxy.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import gradio as gr

Input = TypeVar("Input", gr.Video, gr.File)
NOT_FETCHED = "The demo takes uploaded files; it does not fetch an address. Please upload the file itself."
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # two letters at least: C:/ is a drive
_FETCHING_PATH = re.compile(r"(?:^|/)(?:file|proxy)=(?P<target>.*)", re.DOTALL)


def uploads_only(component: Input) -> Input:
    """The same input, which raises Gradio's error for the visitor where a request gives it an address."""
    store = component.async_move_resource_to_block_cache

    async def store_upload(path: str | None) -> str | None:
        if path is not None and is_address(str(path)):
            raise gr.Error(NOT_FETCHED, print_exception=False)
        return await store(path)

    component.async_move_resource_to_block_cache = store_upload  # type: ignore[method-assign,assignment]
    return component


def is_address(text: str) -> bool:
    """True for what names a scheme, such as http://host/x, file:/etc/passwd, HTTPS://host; False for paths."""
    return _ADDRESS.match(text) is not None


class NoFetching:
    """ASGI middleware: paths that would make the server fetch an address get 403."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not _would_fetch(scope["path"]):
            await self.app(scope, receive, send)
            return
        body = NOT_FETCHED.encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _would_fetch(path: str) -> bool:
    match = _FETCHING_PATH.search(path)
    # A server decodes once; what is encoded twice is decoded again by the library behind it.
    if match is None:
        return False
    return any(is_address(text) for text in (match["target"], urllib.parse.unquote(match["target"])))
