"""A contract with components: the present one, with more operations and with components as vendors use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from documents import load_yaml, plain
from edits import SEND, THREAD, Document, answered, parameter

ROOT = Path(__file__).parent.parent.parent
OVERLAY = ROOT / "tests/data/components.overlay.yaml"


def with_components() -> Document:
    """The contract with more operations, and with components in place of what the thread operations repeat."""
    document: Document = plain(load_yaml(ROOT / "openapi.yaml"))
    more = plain(load_yaml(ROOT / "tests/data/components.yaml"))
    document["paths"] |= more["paths"]
    document["components"] |= more["components"]
    thread = answered(document, THREAD, "get")["properties"]["thread"]
    messages = answered(document, SEND, "get")["properties"]["thread"]["properties"]
    message = messages["messages"]["items"]["properties"]
    made = {
        "AgentDetails": messages["agentDetails"],
        "AgentVersionDetails": thread["properties"]["agentVersionDetails"],
        "Message": messages["messages"]["items"],
        "ListMessagesDirection": message["direction"],
        "ListMessagesStatus": message["status"],
        "Pagination": messages["pagination"],
        "Thread": thread,
    }
    schemas(document).update(plain(made))
    message, thread = schemas(document)["Message"]["properties"], schemas(document)["Thread"]["properties"]
    message |= {"direction": to("ListMessagesDirection"), "status": to("ListMessagesStatus")}
    thread |= {"agentDetails": to("AgentDetails"), "agentVersionDetails": to("AgentVersionDetails")}
    for path, method in (
        ("/api/v1/threads/web", "post"),
        (THREAD, "get"),
        (THREAD, "patch"),
        (f"{THREAD}/close", "patch"),
    ):
        answered(document, path, method)["properties"]["thread"] = to("Thread")
    answered(document, "/api/v1/threads", "get")["properties"] = {
        "threads": {"type": "array", "items": to("Thread")},
        "pagination": to("Pagination"),
    }
    messages |= {"agentDetails": to("AgentDetails"), "agentVersionDetails": to("AgentVersionDetails")}
    messages |= {"messages": {"type": "array", "items": to("Message")}, "pagination": to("Pagination")}
    parameter(document, "direction")["schema"] = to("ListMessagesDirection")
    parameter(document, "status")["schema"] = to("ListMessagesStatus")
    listing = document["paths"][SEND]["get"]["parameters"]
    for name, index in (("Limit", 1), ("Cursor", 2)):
        document["components"]["parameters"][name] = listing[index]
        listing[index] = {"$ref": f"#/components/parameters/{name}"}
    return document


def to(name: str) -> Document:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(document: Document) -> Any:
    """The components that are schemas."""
    return document["components"]["schemas"]


def properties(document: Document, name: str) -> Any:
    """The properties of a component."""
    return schemas(document)[name]["properties"]


def rename(document: Document, old: str, new: str) -> None:
    """Give a component another name, everywhere."""

    def renamed(node: Any) -> Any:
        if isinstance(node, list):
            return [renamed(item) for item in node]
        if isinstance(node, dict):
            return {key: renamed(value) for key, value in node.items()}
        return f"#/components/schemas/{new}" if node == f"#/components/schemas/{old}" else node

    schemas(document)[new] = schemas(document).pop(old)
    document.update(renamed(document))
