"""SHELL: buckets, queues and topics on disk: what they are and how they are set, not what is in them.

    DIR/s3.json, DIR/sqs.json, DIR/sns.json    {"format": 1, "state": the service's}

ministack keeps these in memory. A mapping survives a restart and names a bucket, a queue or a topic for the documents
of what fails; if that were gone, so would be the documents. So whatever a request has changed is on disk before the
request is answered, as a whole file written beside and renamed (never flushed to the device: it survives the end of
this process, but perhaps not a loss of power). Objects of buckets are ministack's own files; messages are not kept.

The three services have the same two functions, `get_state` and `load_persisted_state`; SQS's gives the messages too
and its addresses have a port in them, so that its queues are looked at one by one.
"""

import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any

from infra.local.disk_trouble import DiskTrouble
from infra.local.gateway_http import headers_of, signed_service
from infra.local.services import AsgiApp, Message, Receive, Send

log = logging.getLogger("infra.services")

FORMAT = 1
SERVICES = ("s3", "sqs", "sns")
_MESSAGES = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "PurgeQueue", "Get", "List")
_OF_A_QUEUE = ("name", "is_fifo", "attributes", "tags", "fifo_seq")


class StoreError(Exception):
    """What is on disk cannot be read; the text names the file and says what to do."""


class ServiceStore:
    """`restore` once ministack is loaded and before anything is created, then serve `around` of its application."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, str] = {}
        self._trouble = DiskTrouble(
            log, f"settings of buckets, queues and topics in {folder}", "after a restart they would be as before"
        )

    def restore(self) -> None:
        """Raises StoreError."""
        for service in SERVICES:
            path = self._folder / f"{service}.json"
            try:
                text = path.read_text()
                saved = json.loads(text, object_hook=_persistence()._json_object_hook)
                if saved["format"] != FORMAT:
                    raise StoreError(f"{path} was written by another version: use another --data-dir")
                state = saved["state"]
                import_module(f"ministack.services.{service}").load_persisted_state(
                    _with_addresses(state) if service == "sqs" else state
                )
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                message = f"{path} cannot be used ({error}): delete it; what it describes is then to be made again"
                raise StoreError(message) from error
            self._written[service] = text

    def around(self, app: AsgiApp) -> AsgiApp:
        """The application, which answers what changes something after it has been written."""

        async def keeping(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            service = _changed(scope) if scope["type"] == "http" else None
            if service is None:
                await app(scope, receive, send)
                return

            async def written_first(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] < 300:
                    self.save(service)
                await send(message)

            await app(scope, receive, written_first)

        return keeping

    def save(self, service: str) -> None:
        """Writes what has changed. What cannot be written is told, and tried again with the next change."""
        state = _STATES.get(service, _state)(service)
        text = json.dumps({"format": FORMAT, "state": state}, default=_persistence()._json_default)
        if text == self._written.get(service):
            return
        path = self._folder / f"{service}.json"
        beside = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(text)
            beside.replace(path)
        except OSError as error:
            self._trouble.failed(error)
            return
        self._trouble.worked()
        self._written[service] = text


def _changed(scope: Mapping[str, Any]) -> str | None:
    """Whose settings a request may change: asking, messages and objects do not."""
    headers = headers_of(scope)
    service, target, path = signed_service(headers), headers.get("x-amz-target", ""), str(scope["path"])
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if target:
        is_settings = target.startswith("AmazonSQS.") and not target.removeprefix("AmazonSQS.").startswith(_MESSAGES)
        return "sqs" if is_settings else None
    if is_form or b"Action=" in scope.get("query_string", b""):
        return service if service in ("sqs", "sns") else "sns" if service is None else None
    is_bucket = service in ("s3", None) and "/" not in path.strip("/")
    return "s3" if is_bucket and scope["method"] not in ("GET", "HEAD") else None


def _persistence() -> Any:
    """How ministack writes its states as JSON."""
    return import_module("ministack.core.persistence")


def _state(service: str) -> Any:
    return import_module(f"ministack.services.{service}").get_state()


def _queues(service: str) -> Any:
    """As `get_state`, without messages."""
    held = import_module(f"ministack.services.{service}")._queues
    kept = type(held)()
    for (account_id, region, url), queue in held.all_items():
        kept.set_scoped(account_id, region, url, {name: queue[name] for name in _OF_A_QUEUE})
    return {"queues": kept}


_STATES: Mapping[str, Callable[[str], Any]] = {"sqs": _queues}


def _with_addresses(state: Mapping[str, Any]) -> dict[str, Any]:
    """The queues at the endpoint of this run, empty."""
    sqs = import_module("ministack.services.sqs")
    kept = type(state["queues"])()
    for (account_id, region, _), queue in state["queues"].all_items():
        url = sqs._queue_url_for_account(account_id, queue["name"])
        kept.set_scoped(account_id, region, url, {**queue, "url": url, "messages": [], "dedup_cache": {}})
    return {"queues": kept}
