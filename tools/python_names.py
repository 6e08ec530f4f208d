"""Names in Python, as openapi-python-client makes them.

The generated code uses some names itself. A class, an attribute or a parameter that would have one of them gets an
underscore at its end. The generator does so for the names of Python itself, and here it learns the others.
"""

from __future__ import annotations

from typing import Final

from openapi_python_client import strings
from openapi_python_client.strings import ClassName, PythonIdentifier

_IN_MODELS: Final = {
    *("additional_properties", "additional_keys", "to_dict", "from_dict", "to_multipart", "d", "cls", "src_dict"),
    *("field_dict", "prop_dict", "prop_name", "prop", "cast"),
}
_IMPORTED: Final = {
    *("Any", "AuthenticatedClient", "BytesIO", "Client", "File", "FileTypes", "HTTPStatus", "Mapping", "RequestFiles"),
    *("Response", "Self", "T", "TypeVar", "UNSET", "UUID", "Unset"),
}
strings.RESERVED_WORDS.update(_IN_MODELS | _IMPORTED)


def class_name(name: str) -> str:
    """The class for a schema with this name."""
    made = str(ClassName(name, "field_"))
    # In a script without capitals, an attribute would have the same name.
    return made if made != identifier(made) else f"{made}Class"


def identifier(name: str) -> str:
    """The attribute, parameter, function or module with this name."""
    return str(PythonIdentifier(name, "field_"))
