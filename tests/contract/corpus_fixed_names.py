"""Pages of the corpus that were written by hand: names and texts."""

from __future__ import annotations

from typing import Any, Final

from corpus_page import (
    BOOLEAN,
    INTEGER,
    JSON,
    TEXT,
    Json,
    Page,
    answer,
    array,
    body,
    choice,
    formatted,
    mapping,
    operation,
    page,
    parameter,
    reading,
    ref,
    sending,
    thing,
)

ODD_PROPERTIES: Final = [
    "class",
    "self",
    "from",
    "id",
    "ID",
    "foo-bar",
    "foo_bar",
    "additional_properties",
    "1st",
    "ref",
    "title",
    "type",
    "enum",
    "required",
    "properties",
    "nullable",
    "a.b",
    "ünï",
    "import",
    "None",
    "_private",
    "__dunder",
    "x-y-z",
    "$ref-like",
    "list",
    "dict",
    "str",
    "int",
    "date",
    "datetime",
    "cast",
    "d",
    "field_dict",
    "to_dict",
    "from_dict",
    "cls",
    "src_dict",
    "items",
    "keys",
    "UNSET",
    "Unset",
    "Any",
    "json",
]


def _properties() -> Page:
    """Properties whose names are odd in Python. `$ref` itself cannot be one, so that `ref` stands for it."""
    fields: Json = dict.fromkeys((*ODD_PROPERTIES, "", "with blank"), TEXT)
    typed: Json = {
        "date": formatted("date"),
        "datetime": formatted("date-time"),
        "UUID": formatted("uuid"),
        "class": array(formatted("date")),
        "list": array(INTEGER),
        "dict": mapping(formatted("uuid")),
        "type": choice("x", "y"),
        "properties": thing({"properties": thing({"type": TEXT, "enum": array(TEXT), "required": BOOLEAN})}),
        "nullable": {**BOOLEAN, "nullable": True},
    }
    schemas = {"OddProperties": thing(fields), "OddRequired": thing(fields, *fields), "OddTyped": thing(typed, *typed)}
    paths = {f"/{name.lower()}": reading(ref(name)) for name in schemas}
    return page("properties", {**paths, "/send": sending(ref("OddRequired"), ref("OddTyped"))}, schemas)


def _pydantic_schemas() -> Json:
    """The schemas of a FastAPI server."""
    item = thing(
        {
            "id": {**formatted("uuid"), "title": "Id"},
            "name": {**TEXT, "title": "Name"},
            "meta": {**thing({"a": {**TEXT, "title": "A"}}), "title": "Meta"},
            "kind": {**choice("a", "b"), "title": "Kind"},
            "path": {**TEXT, "title": "A / path, with blanks"},
        },
        "id",
        "name",
        title="PydanticItem",
    )
    other = thing({"meta": {**thing({"b": {**INTEGER, "title": "B"}}, "b"), "title": "Meta"}}, title="PydanticOther")
    error = thing(
        {"loc": array({"anyOf": [TEXT, INTEGER]}, title="Location"), "msg": TEXT, "type": TEXT},
        "loc",
        "msg",
        "type",
        title="ValidationError",
    )
    return {
        "PydanticItem": item,
        "PydanticOther": other,
        "Page_PydanticItem_": thing(
            {"items": array(ref("PydanticItem"), title="Items"), "total": {**INTEGER, "title": "Total"}},
            "items",
            "total",
            title="Page[PydanticItem]",
        ),
        "Body_upload_pydantic_post": thing(
            {"file": {**formatted("binary"), "title": "File"}, "note": {**TEXT, "title": "Note"}},
            "file",
            title="Body_upload_pydantic_post",
        ),
        "HTTPValidationError": thing(
            {"detail": array(ref("PydanticError"), title="Detail")}, title="HTTPValidationError"
        ),
        "PydanticError": error,
    }


def _pydantic() -> Page:
    """What a FastAPI server publishes: a title everywhere, brackets in names, and its errors."""
    failed = {"422": answer(ref("HTTPValidationError"))}
    inline = thing({"x": {**INTEGER, "title": "X"}}, title="Response Read Inline Pydantic Get")
    paths = {
        "": {
            "get": operation({"200": answer(ref("Page_PydanticItem_")), **failed}, operationId="list_pydantic_get"),
            "post": operation(
                {"200": answer(ref("PydanticOther")), **failed},
                requestBody=body(ref("Body_upload_pydantic_post"), "multipart/form-data"),
                operationId="upload_pydantic_post",
            ),
        },
        "/inline": {"get": operation({"200": answer(inline), **failed}, operationId="read_inline_pydantic_get")},
        "/other": {"get": operation({"200": answer({**mapping(TEXT), "title": "Response / Other"}), **failed})},
    }
    return page("pydantic", paths, _pydantic_schemas())


def _titles() -> Page:
    """Titles that are equal, that are names of ours, and that are no names at all."""

    def titled(title: str, **fields: Any) -> Json:
        return thing(fields, title=title)

    first = thing(
        {"a": titled("Details", x=TEXT), "b": titled("Details", y=INTEGER), "c": titled("Details", x=INTEGER)}
    )
    ours = {name.lower(): titled(name, own=formatted("date")) for name in OURS}
    odd = {
        name: titled(name, z=TEXT) for name in ("A title", "a/b", "1st", "class", "ünï", "日本", "Squad", "-", "x" * 90)
    }
    paths = {
        "/equal": reading(first),
        "/ours": reading(thing(ours, "thread")),
        "/odd": reading(thing(odd)),
        "/scalars": reading(thing({"a": {**TEXT, "title": "Details"}, "b": array(INTEGER, title="Details")})),
        "/enums": reading(
            thing({"a": choice("x", title="TitledEnum"), "b": choice("y", title="TitledEnum")}, title="TitledHolder")
        ),
        "/send": sending(
            titled("SendMessageBody", text=TEXT), titled("ThreadResponse", thread=titled("Thread", n=TEXT))
        ),
    }
    return page("titles", paths)


OURS: Final = ("Thread", "Message", "Pagination", "Metadata", "AgentDetails")


def _ours() -> Page:
    """Components with names of ours, whose content is another."""
    schemas: Json = {name: thing({"other": formatted("uuid"), "name": TEXT}, "other") for name in OURS}
    schemas["ThreadResponse"] = thing({"thread": ref("Thread"), "messages": array(ref("Message"))}, "thread")
    schemas["SendMessageBody"] = thing({"pagination": ref("Pagination"), "metadata": ref("Metadata")})
    paths = {
        "/thread": reading(ref("ThreadResponse")),
        "/pagination": reading(ref("SendMessageBody")),
        "/agent": sending(ref("SendMessageBody"), ref("AgentDetails")),
    }
    return page("ours", paths, schemas)


def _components() -> Page:
    """Names of components that are odd in Python, and names that become one class."""
    odd = ("odd.dotted.Name", "odd-dashed-name", "1stOdd", "Odd_Item_", "odd_item", "OddItem", "oddItem", "Odd.Item")
    words = ("class", "None", "str", "Any", "UUID", "datetime", "File", "Response", "Unset", "Client", "Enum")
    names = (*odd, *words)
    schemas: Json = {name: thing({f"of{index}": formatted("date")}) for index, name in enumerate(names)}
    schemas["odd-enum"] = choice("a", "b")
    schemas["OddEnum"] = choice("c", "d")
    every = thing({f"p{index}": ref(name) for index, name in enumerate(schemas)})
    paths = {"/every": reading(every), "/send": sending(every, ref("1stOdd")), "/list": reading(array(ref("odd_item")))}
    return page("components", paths, schemas)


def _operations() -> Page:
    """Tags and names of operations."""
    done = {"200": answer(thing({"ok": BOOLEAN}))}
    ids = ("corpusGet", "corpus-get", "corpus_get", "corpusget", "CorpusGet", "class", "corpus/get/{id}", "1st", "ünï")
    paths: dict[str, Json] = {f"/id{index}": {"get": operation(done, operationId=one)} for index, one in enumerate(ids)}
    tags: tuple[list[str] | None, ...] = (
        [],
        None,
        ["1st tag / ünï"],
        ["class"],
        ["A", "B"],
        ["a"],
        ["A-B", "x"],
        [""],
        ["threads"],
        ["types"],
    )
    paths |= {f"/tag{index}": {"get": operation(done, tags=one)} for index, one in enumerate(tags)}
    paths |= {
        "/dash-ed/path": {"get": operation(done), "delete": operation(done)},
        "/dash/ed_path": {"get": operation(done)},
        "/old": {"get": operation(done, deprecated=True)},
        "/bare": {"get": operation(done, summary=None, tags=None)},
    }
    return page("operations", paths)


def _examples() -> Page:
    """Examples and extensions hold words of schemas, but are data."""
    data: Json = {
        "$ref": "#/components/schemas/Nowhere",
        "enum": ["a"],
        "required": ["x"],
        "type": "object",
        "title": "Thread",
        "properties": {"enum": 1, "nullable": True},
        "allOf": [{"$ref": "nowhere.yaml"}],
    }
    item = thing({"data": {"type": "object", "example": data}, "n": {**INTEGER, "example": 7}}, "n", example=data)
    item["x-internal"] = data
    item["externalDocs"] = {"url": "https://example.com", "description": "More"}
    item["default"] = {"n": 1, "data": {"enum": ["a"], "required": ["x"], "type": "object", "title": "T"}}
    content = {JSON: {"schema": ref("ExampleItem"), "example": data}}
    named = {JSON: {"schema": array(ref("ExampleItem")), "examples": {"one": {"value": [data]}, "$ref": {"value": []}}}}
    callback = {"{$request.body#/url}": {"post": {"requestBody": body(ref("ExampleItem")), "responses": _DONE}}}
    extended = {
        "x-codeSamples": [{"lang": "python", "source": "print('$ref')"}],
        "x-required": {"required": ["a"], "enum": 1},
        "externalDocs": {"url": "https://example.com/docs"},
    }
    links = {"next": {"operationId": "readExample", "parameters": {"n": "$response.body#/n"}}}
    paths = {
        "/read": {
            "get": operation(
                {"200": {"description": "An example", "content": content, "links": links}},
                operationId="readExample",
                parameters=[parameter("n", INTEGER, example=3), parameter("m", TEXT, examples={"a": {"value": "b"}})],
                **extended,
            )
        },
        "/list": {"get": operation({"200": {"description": "Examples", "content": named}})},
        "/send": {"post": operation({"200": answer(ref("ExampleItem"))}, requestBody={"content": content})},
        "/call": {"post": operation(_DONE, requestBody=body(ref("ExampleItem")), callbacks={"done": callback})},
    }
    return page("examples", paths, {"ExampleItem": item})


_DONE: Final = {"204": {"description": "Done"}}

TEXTS: Final = (
    "It says \"quoted\", 'quoted' and `quoted`.",
    "A back\\slash, \\n, \\u0041, C:\\new\\table and a last one \\",
    'Three quotes: """ and \'\'\' and """',
    "Line one.\nLine two.\n\n- a list\n- of two",
    "Emoji 🎈, ünï, 日本, \u2028 and a tab\t.",
    'Ends with a quote: "',
    "{braces} {{twice}} %s %(x)s ${dollar} {% jinja %} {{ 7 * 7 }} {# comment #}",
    "Long " * 60,
    "# looks like a comment: and a key",
    "  blanks around  ",
)


def _texts() -> Page:
    """Descriptions of all kinds, everywhere."""
    fields = {f"f{index}": {**TEXT, "description": text} for index, text in enumerate(TEXTS)}
    paths = {}
    for index, text in enumerate(TEXTS):
        described = operation(
            {"200": {**answer(ref(f"Described{index}")), "description": text}},
            description=text,
            summary=" ".join(text.split()),
            parameters=[parameter("q", TEXT, description=text)],
        )
        paths[f"/{index}"] = {"get": described}
    schemas = {f"Described{index}": thing(fields, description=text) for index, text in enumerate(TEXTS)}
    schemas["DescribedEnum"] = choice("a", description=TEXTS[2])
    return page("texts", {**paths, "/enum": reading(ref("DescribedEnum"))}, schemas)


PAGES: Final = (
    _properties(),
    _pydantic(),
    _titles(),
    _ours(),
    _components(),
    _operations(),
    _examples(),
    _texts(),
)
