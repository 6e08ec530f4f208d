"""Edits of components: see `components_contract.py`."""

from __future__ import annotations

from components_contract import properties, rename, schemas, to
from edits import BREAKING, CALLERS, HARMLESS, NEW, PATCH, SEND, USERS, Document, Edit

# What is required.


def required_in_what_is_sent(document: Document) -> None:
    properties(document, "SquadUpdate")["owner"] = {"type": "string"}
    schemas(document)["SquadUpdate"]["required"].append("owner")


def required_in_what_is_read(document: Document) -> None:
    properties(document, "Report")["owner"] = {"type": "string"}
    schemas(document)["Report"]["required"].append("owner")


def required_in_both(document: Document) -> None:
    properties(document, "Settings")["zone"] = {"type": "string"}
    schemas(document)["Settings"]["required"] = ["zone"]


def optional_in_what_is_sent(document: Document) -> None:
    properties(document, "SquadUpdate")["owner"] = {"type": "string"}


def no_longer_required_in_what_is_read(document: Document) -> None:
    del schemas(document)["Report"]["required"]


def parameter_required_and_sent(document: Document) -> None:
    document["components"]["parameters"]["Limit"]["required"] = True


def parameter_required_and_not_sent(document: Document) -> None:
    document["components"]["parameters"]["Cursor"]["required"] = True


def parameter_required_elsewhere(document: Document) -> None:
    document["components"]["parameters"]["Search"]["required"] = True


def body_required(document: Document) -> None:
    document["components"]["requestBodies"]["Squad"]["required"] = True


# What is gone.


def gone_from_what_the_wrapper_reads(document: Document) -> None:
    del properties(document, "Message")["readAt"]


def gone_from_what_the_wrapper_reads_deeper(document: Document) -> None:
    del properties(document, "AgentDetails")["agentType"]


def gone_from_what_others_read(document: Document) -> None:
    del properties(document, "Report")["title"]


def gone_from_what_is_sent(document: Document) -> None:
    del properties(document, "SquadUpdate")["note"]


def gone_from_a_member_of_all_of(document: Document) -> None:
    del properties(document, "Base")["createdAt"]


def gone_from_a_member_of_a_union(document: Document) -> None:
    del properties(document, "Left")["reason"]


def gone_from_an_error(document: Document) -> None:
    content = document["components"]["responses"]["Missing"]["content"]
    del content["application/json"]["schema"]["properties"]["reason"]


# Types.


def another_type_in_what_the_wrapper_reads(document: Document) -> None:
    properties(document, "AgentDetails")["name"]["type"] = "integer"


def another_type_in_what_others_read(document: Document) -> None:
    properties(document, "Report")["total"]["type"] = "string"


def another_type_in_an_array(document: Document) -> None:
    properties(document, "Settings")["tags"]["items"]["type"] = "integer"


def another_component(document: Document) -> None:
    properties(document, "Report")["lead"] = to("Leftover")


def another_response(document: Document) -> None:
    document["components"]["responses"]["Squad"]["content"]["application/json"]["schema"] = to("Report")


def null_in_what_is_read(document: Document) -> None:
    properties(document, "Report")["total"]["nullable"] = True


def component_or_null_in_what_is_read(document: Document) -> None:
    properties(document, "Report")["lead"] = {"nullable": True, "allOf": [to("Lead")]}


def null_in_what_is_sent(document: Document) -> None:
    properties(document, "SquadUpdate")["name"]["nullable"] = True


def no_null_in_what_is_sent(document: Document) -> None:
    del properties(document, "SquadUpdate")["note"]["nullable"]


def limit_in_what_is_read(document: Document) -> None:
    properties(document, "Report")["title"]["maxLength"] = 20


# Values.


def value_gone_from_what_is_read(document: Document) -> None:
    schemas(document)["Mood"]["enum"].remove("BUSY")


def value_new_in_what_is_read(document: Document) -> None:
    schemas(document)["Mood"]["enum"].append("ANGRY")


def value_gone_from_what_is_sent(document: Document) -> None:
    schemas(document)["Level"]["enum"].remove("LOW")


def value_new_in_what_is_sent(document: Document) -> None:
    schemas(document)["Level"]["enum"].append("MIDDLE")


def value_gone_from_both(document: Document) -> None:
    schemas(document)["Kind"]["enum"].remove("SALES")


def value_new_in_both(document: Document) -> None:
    schemas(document)["Kind"]["enum"].append("LEGAL")


def value_gone_from_both_in_the_wrapper(document: Document) -> None:
    schemas(document)["ListMessagesStatus"]["enum"].remove("DISCARDED")


# Unions.


def member_new_in_what_is_read(document: Document) -> None:
    schemas(document)["Renamed"] = {"type": "object", "required": ["type"], "properties": {"name": {"type": "string"}}}
    schemas(document)["Event"]["oneOf"].append(to("Renamed"))
    schemas(document)["Event"]["discriminator"]["mapping"]["renamed"] = "#/components/schemas/Renamed"


def member_new_in_what_is_sent(document: Document) -> None:
    schemas(document)["Rule"]["oneOf"].append(to("Leftover"))


def member_gone_from_what_is_sent(document: Document) -> None:
    schemas(document)["Rule"]["oneOf"].remove(to("WordRule"))
    del schemas(document)["Rule"]["discriminator"]["mapping"]["word"]


def union_in_place_of_a_component_that_is_read(document: Document) -> None:
    properties(document, "Report")["lead"] = {"oneOf": [to("Lead"), to("AgentDetails")]}


def another_value_of_a_discriminator(document: Document) -> None:
    mapping = schemas(document)["Event"]["discriminator"]["mapping"]
    mapping["parted"] = mapping.pop("left")


# Names.


def another_name(document: Document) -> None:
    rename(document, "Lead", "Leader")


def another_name_in_the_wrapper(document: Document) -> None:
    rename(document, "Thread", "ChatThread")


def another_name_of_no_class(document: Document) -> None:
    rename(document, "Rule", "Condition")


def a_component_in_its_place(document: Document) -> None:
    properties(document, "Report")["lead"] = schemas(document)["Lead"]


# What nobody needs, and what is new.


def unused_changed(document: Document) -> None:
    properties(document, "Leftover")["id"]["type"] = "integer"


def unused_new(document: Document) -> None:
    properties(document, "Leftover")["name"] = {"type": "string"}


def unused_gone(document: Document) -> None:
    del schemas(document)["Leftover"]


def other_words(document: Document) -> None:
    schemas(document)["Thread"]["description"] = "A talk."


def another_operation(document: Document) -> None:
    schemas(document)["Badge"] = {"type": "object", "properties": {"id": {"type": "string"}}}
    content = {"application/json": {"schema": to("Badge")}}
    operation = {"tags": ["Squads"], "responses": {"200": {"description": "A badge.", "content": content}}}
    document["paths"]["/api/v1/squads/{squadId}/badge"] = {
        "parameters": [{"$ref": "#/components/parameters/SquadId"}],
        "get": operation | {"operationId": "getBadge"},
    }


MESSAGES = f"(GET {SEND})"
SQUADS = "components > schemas > "
# This line is in docs/contract.md.
EXAMPLE = f"{SQUADS}Settings: Properties of `Settings` became required: `zone`. (POST /api/v1/squads)"

EDITS = [
    # What is required of what is read changes nothing: the client takes it without any field.
    Edit(
        required_in_what_is_sent, USERS, "SquadUpdate: Properties of `SquadUpdate` became required: `owner`", BREAKING
    ),
    Edit(required_in_what_is_read, HARMLESS, f"{SQUADS}Report > owner: added", NEW),
    Edit(required_in_both, USERS, EXAMPLE, BREAKING),
    Edit(optional_in_what_is_sent, HARMLESS, f"{SQUADS}SquadUpdate > owner: added", NEW),
    Edit(no_longer_required_in_what_is_read, HARMLESS, "no longer required: `total`. (tolerated by the client)", PATCH),
    Edit(
        parameter_required_and_sent, USERS, "components > parameters > Limit: `limit` query parameter became", BREAKING
    ),
    Edit(parameter_required_and_not_sent, CALLERS, 'Argument "cursor" to "_get_kwargs" has incompatible', BREAKING),
    Edit(parameter_required_elsewhere, USERS, "components > parameters > Search: `search` query parameter", BREAKING),
    Edit(body_required, USERS, "components > requestBodies > Squad: Request body became required.", BREAKING),
    Edit(
        gone_from_what_the_wrapper_reads, CALLERS, f"Property `readAt` of `Message` was removed. {MESSAGES}", BREAKING
    ),
    Edit(gone_from_what_the_wrapper_reads_deeper, CALLERS, f"{SQUADS}AgentDetails > agentType: Property", BREAKING),
    Edit(gone_from_what_others_read, USERS, f"{SQUADS}Report > title: Property `title` of `Report` was re", BREAKING),
    # The server may ignore it, but the class no longer takes it.
    Edit(gone_from_what_is_sent, USERS, "models.squad_update.SquadUpdate.note: Public object was removed", BREAKING),
    Edit(gone_from_a_member_of_all_of, USERS, f"{SQUADS}Base > createdAt: Property `createdAt` of `Squad`", BREAKING),
    Edit(gone_from_a_member_of_a_union, USERS, f"{SQUADS}Left > reason: Property `reason` of `Left` was re", BREAKING),
    Edit(gone_from_an_error, HARMLESS, "components > responses > Missing > reason: Property `reason` was", PATCH),
    Edit(another_type_in_what_the_wrapper_reads, CALLERS, f"{SQUADS}AgentDetails > name: Type of `name` wid", BREAKING),
    Edit(another_type_in_what_others_read, USERS, f"{SQUADS}Report > total: Type of `total` widened", BREAKING),
    Edit(another_type_in_an_array, USERS, f"{SQUADS}Settings > tags > items: Type", BREAKING),
    Edit(another_component, USERS, f"{SQUADS}Report > lead: `Lead` became `Leftover`", BREAKING),
    Edit(another_response, USERS, "components > responses > Squad: `Squad` became `Report`.", BREAKING),
    Edit(null_in_what_is_read, HARMLESS, "from 'integer' to 'integer | null'. (tolerated by the client)", PATCH),
    Edit(component_or_null_in_what_is_read, HARMLESS, f"{SQUADS}Report > lead: nullable: null → true", PATCH),
    Edit(null_in_what_is_sent, HARMLESS, f"{SQUADS}SquadUpdate > name: nullable: null → true", PATCH),
    Edit(no_null_in_what_is_sent, USERS, f"{SQUADS}SquadUpdate > note: Type of `note` narrowed", BREAKING),
    Edit(limit_in_what_is_read, HARMLESS, "`maxLength` of `title` changed from '10' to '20'. (tolerated", PATCH),
    Edit(value_gone_from_what_is_read, HARMLESS, f'{SQUADS}Mood: enum lost ["BUSY"]', PATCH),
    Edit(value_new_in_what_is_read, HARMLESS, f"{SQUADS}Mood: Enum of `mood` gained values: 'ANGRY'. (tol", PATCH),
    Edit(value_gone_from_what_is_sent, USERS, f"{SQUADS}Level: Enum of `level` lost values: 'LOW'", BREAKING),
    Edit(value_new_in_what_is_sent, HARMLESS, f'{SQUADS}Level: enum gained ["MIDDLE"]', PATCH),
    Edit(value_gone_from_both, USERS, f"{SQUADS}Kind: Enum of `kind` lost values: 'SALES'", BREAKING),
    Edit(value_new_in_both, HARMLESS, f"{SQUADS}Kind: Enum of `kind` gained values: 'LEGAL'. (tolerated", PATCH),
    Edit(
        value_gone_from_both_in_the_wrapper, CALLERS, f"{SQUADS}ListMessagesStatus: Enum lost values: 'DISC", BREAKING
    ),
    # A value of an unknown class is handed on as it came.
    Edit(member_new_in_what_is_read, HARMLESS, f"{SQUADS}Event > oneOf > 2: `oneOf` subschema of `Event` was", NEW),
    Edit(member_new_in_what_is_sent, HARMLESS, f"{SQUADS}Rule > oneOf > 2: added", NEW),
    Edit(
        member_gone_from_what_is_sent,
        USERS,
        f"{SQUADS}Rule: `TimeRule | WordRule` became `TimeRule`.",
        BREAKING,
    ),
    Edit(
        union_in_place_of_a_component_that_is_read,
        USERS,
        f"{SQUADS}Report > lead: `Lead` became `Lead | AgentDetails`.",
        BREAKING,
    ),
    # The new package takes both values, and nothing in it has another name.
    Edit(another_value_of_a_discriminator, HARMLESS, f"{SQUADS}Event > discriminator > mapping > parted", PATCH),
    Edit(another_name, USERS, "featherhq_api.models.Lead: Public object was removed", BREAKING),
    Edit(another_name_in_the_wrapper, CALLERS, 'has no attribute "Thread"', BREAKING),
    Edit(another_name_of_no_class, HARMLESS, f"{SQUADS}Condition", PATCH),
    Edit(a_component_in_its_place, USERS, "`Lead` became `ReportLead`", BREAKING),
    Edit(unused_changed, HARMLESS, f'{SQUADS}Leftover > id: type: "string" → "integer"', PATCH),
    Edit(unused_new, HARMLESS, f"{SQUADS}Leftover > name: added", PATCH),
    Edit(unused_gone, HARMLESS, f"{SQUADS}Leftover: removed", PATCH),
    Edit(other_words, HARMLESS, f'{SQUADS}Thread: description: null → "A talk."', PATCH),
    Edit(another_operation, HARMLESS, "/api/v1/squads/{squadId}/badge: added", NEW),
]
