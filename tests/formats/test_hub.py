"""A set is pushed to the interface of the hub, by its own library, to a stand-in on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypedDict

import pytest
import torch
from huggingface_hub import constants

from datacondense import InputError, SyntheticSet, condense, load_set, push_to_hub
from datacondense.methods import Random


class PushOptions(TypedDict):
    token: str
    endpoint: str


class Hub(ThreadingHTTPServer):
    """Repositories in memory, behind the five addresses that a commit of small files uses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.refused = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        assert self.path.partition("?")[0] == "/api/datasets/me/set", self.path
        made = self.server.repos.get("me/set")
        if made is None:
            return self._answer({"error": "Invalid username or password."}, 401)
        return self._answer({"id": "me/set", "private": made.get("visibility") == "private", "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer hf_secret" or self.server.refused:
            return self._answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            made = json.loads(body)
            name = f"{made['organization']}/{made['name']}"
            answer = {"url": f"{self.server.address}/datasets/{name}", "id": name}
            if name in self.server.repos:
                return self._answer({"error": "You already created this dataset repo", **answer}, 409)
            self.server.repos[name] = made
            return self._answer(answer)
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if self.path == "/api/datasets/me/set/preupload/main":
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            return self._answer({"files": modes})
        assert self.path == "/api/datasets/me/set/commit/main", self.path
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = "0" * 40
        return self._answer({"commitUrl": f"{self.server.address}/datasets/me/set/commit/{oid}", "commitOid": oid})

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def made(toy) -> SyntheticSet:
    return condense(Random(), toy(), 2)


def test_a_pushed_set_is_the_export(hub: Hub, made: SyntheticSet, tmp_path: Path) -> None:
    address = push_to_hub(made, "me/set", licence="mit", private=True, token="hf_secret", endpoint=hub.address)
    assert address == f"{hub.address}/datasets/me/set/commit/{'0' * 40}"
    assert hub.repos["me/set"]["type"] == "dataset"
    assert hub.repos["me/set"]["visibility"] == "private"
    assert b'license: "mit"' in hub.files["README.md"]
    for name, content in hub.files.items():
        path = tmp_path / "pulled" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = load_set(tmp_path / "pulled")
    assert torch.equal(found.images, made.images)
    assert found.spec == made.spec


def test_a_private_set_is_not_pushed_to_a_public_repository(hub: Hub, made: SyntheticSet) -> None:
    how: PushOptions = {"token": "hf_secret", "endpoint": hub.address}
    push_to_hub(made, "me/set", **how)
    assert "visibility" not in hub.repos["me/set"], "the default of its owner decides"
    assert "private" not in hub.repos["me/set"]
    hub.files.clear()
    with pytest.raises(InputError, match=r"^me/set is public, and nothing was pushed: make it private"):
        push_to_hub(made, "me/set", private=True, **how)
    assert hub.files == {}
    hub.repos["me/set"]["visibility"] = "private"
    push_to_hub(made, "me/set", private=True, **how)
    assert "README.md" in hub.files


def test_a_refusal_is_one_line(hub: Hub, made: SyntheticSet) -> None:
    hub.refused = True
    with pytest.raises(InputError, match=r"the hub did not take me/set: .*401") as caught:
        push_to_hub(made, "me/set", token="hf_secret", endpoint=hub.address)
    assert "\n" not in str(caught.value)
    assert hub.files == {}


def test_a_name_that_no_repository_has_is_refused(made: SyntheticSet) -> None:
    with pytest.raises(InputError, match="the hub did not take a b"):
        push_to_hub(made, "a b", endpoint="http://127.0.0.1:9")
