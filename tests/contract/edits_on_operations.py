"""Edits of schemas and parameters that stand in their operations, as in the vendor's pages."""

from __future__ import annotations

from typing import Any

from edits import (
    BREAKING,
    CALLERS,
    HARMLESS,
    NEW,
    PATCH,
    SEND,
    THREAD,
    USERS,
    Document,
    Edit,
    answered,
    parameter,
    sent,
)


def listed(document: Document) -> Any:
    """The properties of a message in a list."""
    return answered(document, SEND, "get")["properties"]["thread"]["properties"]["messages"]["items"]["properties"]


def required_in_a_request(document: Document) -> None:
    sent(document)["properties"]["unheardOf"] = {"type": "string"}
    sent(document)["required"].append("unheardOf")


def gone_from_an_answer(document: Document) -> None:
    del answered(document)["properties"]["messageId"]
    answered(document)["required"].remove("messageId")


def another_type_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["windowExpiresIn"]["type"] = "string"


def value_gone_from_a_parameter(document: Document) -> None:
    parameter(document, "status")["schema"]["enum"].remove("DISCARDED")


def value_gone_from_an_answer(document: Document) -> None:
    listed(document)["status"]["enum"].remove("DISCARDED")


def value_new_in_a_parameter(document: Document) -> None:
    parameter(document, "status")["schema"]["enum"].append("UNHEARD_OF")


def value_new_in_an_answer(document: Document) -> None:
    listed(document)["status"]["enum"].append("UNHEARD_OF")


def operation_gone(document: Document) -> None:
    del document["paths"][f"{THREAD}/close"]


def another_path(document: Document) -> None:
    document["paths"][f"{THREAD}/end"] = document["paths"].pop(f"{THREAD}/close")


def another_method(document: Document) -> None:
    document["paths"][f"{THREAD}/close"]["post"] = document["paths"][f"{THREAD}/close"].pop("patch")


def another_tag(document: Document) -> None:
    document["paths"][THREAD]["get"]["tags"] = ["Web Threads"]


def demanded_and_sent(document: Document) -> None:
    parameter(document, "limit")["required"] = True


def demanded_and_not_sent(document: Document) -> None:
    parameter(document, "cursor")["required"] = True


def error_gone(document: Document) -> None:
    del document["paths"][SEND]["post"]["responses"]["404"]


def success_gone(document: Document) -> None:
    document["paths"][SEND]["post"]["responses"]["202"] = document["paths"][SEND]["post"]["responses"].pop("200")


def null_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["messageId"]["nullable"] = True


def other_words(document: Document) -> None:
    document["paths"][SEND]["post"]["description"] = "Sends."


def optional_in_a_request(document: Document) -> None:
    sent(document)["properties"]["unheardOf"] = {"type": "string"}


def another_operation(document: Document) -> None:
    document["paths"][f"{THREAD}/guests"] = {"get": document["paths"][THREAD]["get"]}


# The overlay makes one class of the threads in all responses.


def threads(document: Document) -> list[Any]:
    """The properties of a thread in each response that has one."""
    places = [("/api/v1/threads/web", "post"), (THREAD, "get"), (THREAD, "patch"), (f"{THREAD}/close", "patch")]
    alone = [answered(document, path, method)["properties"]["thread"] for path, method in places]
    listed = answered(document, "/api/v1/threads", "get")["properties"]["threads"]["items"]
    return [thread["properties"] for thread in (*alone, listed)]


def gone_from_one_of_several(document: Document) -> None:
    del threads(document)[0]["closedReason"]


def objects_gone_from_one_of_several(document: Document) -> None:
    # The overlay names both of them.
    del threads(document)[0]["agentDetails"]
    del threads(document)[0]["metadata"]


def another_type_in_one_of_several(document: Document) -> None:
    threads(document)[0]["isActive"]["type"] = "string"


def gone_from_all_of_several(document: Document) -> None:
    for properties in threads(document):
        del properties["closedReason"]


def new_in_one_of_several(document: Document) -> None:
    threads(document)[1]["unheardOf"] = {"type": "string"}


def known_in_one_more_of_several(document: Document) -> None:
    # The page that closes a thread does not list it, and the class has it already.
    threads(document)[3]["agentId"] = {"type": "string"}


# The wrapper checks no limits of what it reads, and all numbers and texts of one Python type are alike.


def limit_and_format_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["messageId"] |= {"maxLength": 99, "format": "nanoid"}


def date_in_an_answer(document: Document) -> None:
    answered(document)["properties"]["messageId"]["format"] = "date-time"


def limit_in_a_request(document: Document) -> None:
    sent(document)["properties"]["message"]["maxLength"] = 99


def default_new(document: Document) -> None:
    parameter(document, "limit")["schema"]["default"] = "50"


def another_default(document: Document) -> None:
    parameter(document, "direction")["schema"]["default"] = "INBOUND"


def parameter_gone(document: Document) -> None:
    parameters = document["paths"]["/api/v1/threads"]["get"]["parameters"]
    parameters[:] = [one for one in parameters if one["name"] != "toPhoneNumber"]


def parameter_gone_and_sent(document: Document) -> None:
    document["paths"][SEND]["get"]["parameters"].remove(parameter(document, "cursor"))


def words_and_extensions_of_the_document(document: Document) -> None:
    document["info"]["description"] = "Agents that talk."
    document["paths"] |= {"x-one": 1, "x-two": {"get": None}}
    document["paths"][SEND]["post"]["responses"] |= {"x-one": 1, "x-two": {"content": None}}


EDITS = [
    Edit(required_in_a_request, CALLERS, 'Missing positional argument "unheard_of"', BREAKING),
    Edit(gone_from_an_answer, CALLERS, "200 > messageId: Property `messageId` of `SendM", BREAKING),
    Edit(another_type_in_an_answer, CALLERS, "Type of `windowExpiresIn` widened", BREAKING),
    Edit(value_gone_from_a_parameter, CALLERS, "Enum lost values: 'DISCARDED'", BREAKING),
    Edit(value_gone_from_an_answer, HARMLESS, 'status: enum lost ["DISCARDED"]', PATCH),
    Edit(value_new_in_a_parameter, HARMLESS, 'status: enum gained ["UNHEARD_OF"]', PATCH),
    Edit(value_new_in_an_answer, HARMLESS, "gained values: 'UNHEARD_OF'. (tolerated by the client)", PATCH),
    Edit(operation_gone, CALLERS, f"{THREAD}/close` was removed", BREAKING),
    Edit(another_path, CALLERS, f"was renamed to `{THREAD}/end`", BREAKING),
    Edit(another_method, CALLERS, f"`PATCH {THREAD}/close` was removed", BREAKING),
    Edit(another_tag, CALLERS, "wrapper/ calls featherhq_api.api.threads.get_thread, which is gone", BREAKING),
    Edit(demanded_and_sent, USERS, "`limit` query parameter became required", BREAKING),
    Edit(demanded_and_not_sent, CALLERS, 'Argument "cursor" to "_get_kwargs" has incompatible type', BREAKING),
    Edit(error_gone, HARMLESS, "Response `404` was removed. (tolerated by the client)", PATCH),
    Edit(success_gone, CALLERS, "Response `200` became `202`", BREAKING),
    Edit(null_in_an_answer, HARMLESS, "from 'string' to 'string | null'. (tolerated by the client)", PATCH),
    Edit(other_words, HARMLESS, '→ "Sends."', PATCH),
    Edit(optional_in_a_request, HARMLESS, "requestBody > unheardOf: added", NEW),
    Edit(another_operation, HARMLESS, f"{THREAD}/guests: added", NEW),
    Edit(
        gone_from_one_of_several, HARMLESS, "closedReason: Property `closedReason` of `thread` was removed. (tol", PATCH
    ),
    Edit(another_type_in_one_of_several, CALLERS, "isActive: Type of `isActive` widened", BREAKING),
    Edit(objects_gone_from_one_of_several, HARMLESS, "Property `metadata` of `thread` was removed. (tol", PATCH),
    Edit(gone_from_all_of_several, CALLERS, "closedReason and 4 more places: Property `closedReason` of", BREAKING),
    Edit(new_in_one_of_several, HARMLESS, "unheardOf: added", NEW),
    Edit(known_in_one_more_of_several, HARMLESS, "agentId: added", PATCH),
    Edit(limit_and_format_in_an_answer, HARMLESS, "messageId: maxLength: null → 99", PATCH),
    Edit(date_in_an_answer, CALLERS, "`format` of `messageId` changed from 'plain' to 'date-time'", BREAKING),
    Edit(limit_in_a_request, CALLERS, "`maxLength` of `message` was set to '99'", BREAKING),
    Edit(default_new, HARMLESS, 'limit: default: null → "50"', PATCH),
    Edit(another_default, HARMLESS, 'default: null → "INBOUND"', PATCH),
    Edit(parameter_gone, USERS, "`toPhoneNumber` query parameter was removed", BREAKING),
    Edit(words_and_extensions_of_the_document, HARMLESS, "info: description: null", PATCH),
    Edit(parameter_gone_and_sent, CALLERS, 'Unexpected keyword argument "cursor"', BREAKING),
]
