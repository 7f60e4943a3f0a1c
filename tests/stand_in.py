"""A stand-in for the hub: the few answers of its protocol that reading a data set or an encoder
asks for."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

NAME = "owner/toy"


@contextmanager
def serve(commits: dict[str, dict[str, bytes]], revisions: dict[str, str]) -> Iterator[str]:
    """Serve ``owner/toy``, files by commit, and a gated ``owner/gated``; yields the address."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Bound", (Handler,), {"commits": commits, "revisions": revisions})
    )
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers from ``commits`` (files by commit) and ``revisions`` (commits by name)."""

    commits: ClassVar[dict[str, dict[str, bytes]]] = {}
    revisions: ClassVar[dict[str, str]] = {}
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path).replace("/api/models/", "/api/datasets/")
        path = (
            path if path.startswith(("/api/", "/datasets/")) else f"/datasets{path}"
        )  # encoders live at the root
        if path.startswith(
            "/api/datasets/owner/gated"
        ):  # as on the hub, what is said about it is public
            self.json(
                {
                    "_id": "2",
                    "id": "owner/gated",
                    "sha": "c" * 40,
                    "gated": "manual",
                    "private": False,
                    "siblings": [],
                }
            )
        elif path.startswith("/datasets/owner/gated"):
            self.reply(403, **{"X-Error-Code": "GatedRepo"})
        elif path.startswith(f"/api/datasets/{NAME}"):
            self.describe(path.removeprefix(f"/api/datasets/{NAME}").strip("/").split("/"))
        elif path.startswith(f"/datasets/{NAME}/resolve/"):
            self.file(*path.removeprefix(f"/datasets/{NAME}/resolve/").split("/", 1))
        else:
            self.reply(404, **{"X-Error-Code": "RepoNotFound"})

    do_GET = do_HEAD = do_POST = answer

    def describe(self, rest: list[str]) -> None:
        revision = rest[1] if len(rest) > 1 else "main"
        commit = self.revisions.get(revision, revision)
        if commit not in self.commits:
            return self.reply(404, **{"X-Error-Code": "RevisionNotFound"})
        if rest[0] == "tree":
            folder = "/".join(rest[2:])
            entries = [*self.folders(commit), *self.files(commit)]
            return self.json(
                [entry for entry in entries if entry["path"].rpartition("/")[0] == folder]
            )
        state = {
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
        }
        names = [{"rfilename": name} for name in self.commits[commit]]
        return self.json({"_id": "1", "id": NAME, "sha": commit, **state, "siblings": names})

    def files(self, commit: str) -> Iterator[dict[str, Any]]:
        for name, content in self.commits[commit].items():
            yield {
                "type": "file",
                "path": name,
                "oid": hashlib.sha256(content).hexdigest()[:40],
                "size": len(content),
            }

    def folders(self, commit: str) -> Iterator[dict[str, Any]]:
        for folder in {name.rpartition("/")[0] for name in self.commits[commit]} - {""}:
            yield {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}

    def file(self, revision: str, name: str) -> None:
        commit = self.revisions.get(revision, revision)
        content = self.commits.get(commit, {}).get(name)
        if content is None:
            return self.reply(404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        return self.reply(
            200,
            content,
            ETag=f'"{hashlib.sha256(content).hexdigest()}"',
            **{"X-Repo-Commit": commit},
        )

    def json(self, value: object) -> None:
        self.reply(200, json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
