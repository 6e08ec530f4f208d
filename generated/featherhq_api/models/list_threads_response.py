from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.pagination import Pagination
    from ..models.thread import Thread


T = TypeVar("T", bound="ListThreadsResponse")


@_attrs_define
class ListThreadsResponse:
    """
    Attributes:
        threads (list[Thread] | None | Unset):
        pagination (None | Pagination | Unset):
    """

    threads: list[Thread] | None | Unset = UNSET
    pagination: None | Pagination | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.pagination import Pagination
        from ..models.thread import Thread

        threads: list[dict[str, Any]] | None | Unset
        if isinstance(self.threads, Unset):
            threads = UNSET
        elif isinstance(self.threads, list):
            threads = []
            for threads_type_0_item_data in self.threads:
                if isinstance(threads_type_0_item_data, Thread):
                    threads_type_0_item = threads_type_0_item_data.to_dict()
                else:
                    threads_type_0_item = threads_type_0_item_data
                threads.append(threads_type_0_item)

        else:
            threads = self.threads

        pagination: dict[str, Any] | None | Unset
        if isinstance(self.pagination, Unset):
            pagination = UNSET
        elif isinstance(self.pagination, Pagination):
            pagination = self.pagination.to_dict()
        else:
            pagination = self.pagination

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if threads is not UNSET:
            field_dict["threads"] = threads
        if pagination is not UNSET:
            field_dict["pagination"] = pagination

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.pagination import Pagination
        from ..models.thread import Thread

        d = dict(src_dict)

        def _parse_threads(data: object) -> list[Thread] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                threads_type_0 = []
                _threads_type_0 = data
                for threads_type_0_item_data in _threads_type_0:
                    threads_type_0_item = Thread.from_dict(threads_type_0_item_data)

                    threads_type_0.append(threads_type_0_item)

                return threads_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[Thread] | None | Unset, data)

        threads = _parse_threads(d.pop("threads", UNSET))

        def _parse_pagination(data: object) -> None | Pagination | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                pagination_type_1 = Pagination.from_dict(data)

                return pagination_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Pagination | Unset, data)

        pagination = _parse_pagination(d.pop("pagination", UNSET))

        list_threads_response = cls(
            threads=threads,
            pagination=pagination,
        )

        list_threads_response.additional_properties = d
        return list_threads_response

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
