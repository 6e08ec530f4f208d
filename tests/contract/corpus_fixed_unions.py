"""Pages of the corpus that were written by hand: unions."""

from __future__ import annotations

from typing import Any, Final

from corpus_page import (
    INTEGER,
    NUMBER,
    TEXT,
    Json,
    Page,
    array,
    choice,
    formatted,
    mapping,
    page,
    reading,
    ref,
    sending,
    thing,
)


def _one_of(*parts: Any, **more: Any) -> Json:
    return {"oneOf": list(parts), **more}


def _any_of(*parts: Any, **more: Any) -> Json:
    return {"anyOf": list(parts), **more}


def _tagged(name: str, mapping_: Json | None = None) -> Json:
    return {"propertyName": name, **({"mapping": mapping_} if mapping_ else {})}


def _mapped() -> Page:
    """Unions with a discriminator: with a mapping, with a part of one, and without."""
    schemas: Json = {
        "MappedCat": thing({"petType": TEXT, "lives": INTEGER, "born": formatted("date")}, "petType", "lives"),
        "MappedDog": thing({"petType": TEXT, "tricks": array(TEXT)}, "petType"),
        "MappedFish": thing({"petType": TEXT, "lives": INTEGER}, "petType"),
    }
    parts = [ref(name) for name in schemas]
    targets = {name.removeprefix("Mapped").lower(): f"#/components/schemas/{name}" for name in schemas}
    schemas["MappedPet"] = _one_of(*parts, discriminator=_tagged("petType", targets))
    schemas["MappedNamed"] = _one_of(*parts, discriminator=_tagged("petType"))
    schemas["MappedBase"] = {
        **thing({"kind": TEXT, "name": TEXT}, "kind"),
        "discriminator": _tagged("kind", {"car": "#/components/schemas/MappedCar"}),
    }
    schemas["MappedCar"] = {"allOf": [ref("MappedBase"), thing({"doors": INTEGER})]}
    schemas["MappedBoat"] = {"allOf": [ref("MappedBase"), thing({"sails": INTEGER})]}
    two = {"car": "#/components/schemas/MappedCar", "auto": "#/components/schemas/MappedCar"}
    vehicles = _any_of(
        ref("MappedCar"),
        ref("MappedBoat"),
        discriminator=_tagged("kind", {**two, "boat": "#/components/schemas/MappedBoat"}),
    )
    holder = thing(
        {
            "pet": ref("MappedPet"),
            "pets": array(ref("MappedPet")),
            "byName": mapping(ref("MappedPet")),
            "nullable": {"nullable": True, "allOf": [ref("MappedPet")]},
            "vehicle": vehicles,
        },
        "pet",
    )
    paths = {
        "/pet": reading(ref("MappedPet")),
        "/named": reading(ref("MappedNamed")),
        "/pets": reading(array(ref("MappedPet"))),
        "/vehicle": reading(vehicles),
        "/base": reading(ref("MappedBase")),
        "/holder": reading(holder),
        "/send": sending(ref("MappedPet"), holder),
        "/send-holder": sending(holder, ref("MappedNamed")),
    }
    return page("mapped", paths, schemas)


def _untagged() -> Page:
    """Unions without a discriminator: enums of one value decide, or different required fields, or nothing."""
    schemas: Json = {
        "UntaggedText": thing({"type": choice("text"), "text": TEXT}, "type", "text"),
        "UntaggedImage": thing({"type": choice("image"), "url": formatted("uri")}, "type", "url"),
        "UntaggedAudio": thing({"type": choice("audio", "voice"), "text": TEXT}, "type"),
        "UntaggedPerson": thing({"firstName": TEXT, "age": INTEGER}, "firstName"),
        "UntaggedFirm": thing({"legalName": TEXT, "since": formatted("date-time")}, "legalName"),
    }
    content = _one_of(ref("UntaggedText"), ref("UntaggedImage"), ref("UntaggedAudio"))
    party = _any_of(ref("UntaggedPerson"), ref("UntaggedFirm"))
    inline = _one_of(
        thing({"kind": choice("x"), "a": INTEGER}, "kind"), thing({"kind": choice("y"), "b": TEXT}, "kind")
    )
    schemas |= {"UntaggedContent": content, "UntaggedParty": party}
    fields: Json = {
        "content": ref("UntaggedContent"),
        "contents": array(ref("UntaggedContent")),
        "party": ref("UntaggedParty"),
        "parties": mapping(ref("UntaggedParty")),
        "inline": inline,
        "nested": _one_of(ref("UntaggedText"), _one_of(ref("UntaggedPerson"), ref("UntaggedFirm"))),
        "nullable": {"nullable": True, **_one_of(ref("UntaggedPerson"), ref("UntaggedFirm"))},
    }
    paths = {
        "/content": reading(ref("UntaggedContent")),
        "/party": reading(party),
        "/inline": reading(inline),
        "/parties": reading(array(party)),
        "/holder": reading(thing(fields)),
        "/required": reading(thing(fields, *fields)),
        "/send": sending(content, thing(fields)),
        "/send-party": sending(thing(fields, "party"), party),
    }
    return page("untagged", paths, schemas)


def _mixed() -> Page:
    """Unions of scalars, of arrays, of objects and others."""
    schemas: Json = {
        "MixedThing": thing({"id": formatted("uuid")}, "id"),
        "MixedEnum": choice("auto", "none"),
        "MixedValue": _one_of(TEXT, NUMBER, {"type": "boolean"}),
    }
    fields: Json = {
        "scalars": ref("MixedValue"),
        "numberOrText": _any_of(INTEGER, TEXT),
        "momentOrText": _any_of(formatted("date-time"), TEXT),
        "momentOrNumber": _one_of(formatted("date-time"), INTEGER),
        "days": _one_of(formatted("date"), formatted("date-time")),
        "idOrNumber": _one_of(formatted("uuid"), INTEGER),
        "enumOrText": _any_of(ref("MixedEnum"), TEXT),
        "enumOrThing": _one_of(ref("MixedEnum"), ref("MixedThing")),
        "enums": _any_of(choice("a", "b"), choice(1, 2)),
        "arrays": _one_of(array(TEXT), array(INTEGER)),
        "arraysOfThings": _one_of(array(ref("MixedThing")), array(TEXT)),
        "textOrArray": _any_of(TEXT, array(TEXT)),
        "thingOrText": _one_of(ref("MixedThing"), TEXT),
        "thingOrArray": _one_of(ref("MixedThing"), array(ref("MixedThing"))),
        "thingOrMap": _any_of(ref("MixedThing"), mapping(INTEGER)),
        "onlyOne": _one_of(ref("MixedThing")),
        "onlyScalar": _any_of(TEXT),
        "list": array(_one_of(TEXT, ref("MixedThing"))),
        "map": mapping(_one_of(INTEGER, ref("MixedThing"))),
        "same": _one_of(TEXT, formatted("email")),
    }
    some = ("momentOrText", "numberOrText", "thingOrText", "textOrArray", "enumOrText")
    paths = {
        "/optional": reading(thing(fields)),
        "/required": reading(thing(fields, *fields)),
        "/scalar": reading(ref("MixedValue")),
        "/array": reading(_one_of(array(ref("MixedThing")), array(TEXT))),
        "/thing": reading(_one_of(ref("MixedThing"), TEXT)),
        "/send": sending(thing({name: fields[name] for name in some}, "momentOrText"), ref("MixedValue")),
        "/send-union": sending(_any_of(ref("MixedThing"), array(ref("MixedThing"))), array(_one_of(TEXT, INTEGER))),
    }
    return page("mixed", paths, schemas)


PAGES: Final = (_mapped(), _untagged(), _mixed())
