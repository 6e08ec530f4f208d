from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.agent_details import AgentDetails
    from ..models.agent_version_details import AgentVersionDetails
    from ..models.message import Message
    from ..models.pagination import Pagination


T = TypeVar("T", bound="ThreadMessages")


@_attrs_define
class ThreadMessages:
    """
    Attributes:
        agent_id (None | str | Unset):
        agent_details (AgentDetails | None | Unset):
        agent_version_id (None | str | Unset):
        agent_version_details (AgentVersionDetails | None | Unset):
        messages (list[Message] | None | Unset):
        pagination (None | Pagination | Unset):
    """

    agent_id: None | str | Unset = UNSET
    agent_details: AgentDetails | None | Unset = UNSET
    agent_version_id: None | str | Unset = UNSET
    agent_version_details: AgentVersionDetails | None | Unset = UNSET
    messages: list[Message] | None | Unset = UNSET
    pagination: None | Pagination | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.agent_details import AgentDetails
        from ..models.agent_version_details import AgentVersionDetails
        from ..models.message import Message
        from ..models.pagination import Pagination

        agent_id: None | str | Unset
        if isinstance(self.agent_id, Unset):
            agent_id = UNSET
        else:
            agent_id = self.agent_id

        agent_details: dict[str, Any] | None | Unset
        if isinstance(self.agent_details, Unset):
            agent_details = UNSET
        elif isinstance(self.agent_details, AgentDetails):
            agent_details = self.agent_details.to_dict()
        else:
            agent_details = self.agent_details

        agent_version_id: None | str | Unset
        if isinstance(self.agent_version_id, Unset):
            agent_version_id = UNSET
        else:
            agent_version_id = self.agent_version_id

        agent_version_details: dict[str, Any] | None | Unset
        if isinstance(self.agent_version_details, Unset):
            agent_version_details = UNSET
        elif isinstance(self.agent_version_details, AgentVersionDetails):
            agent_version_details = self.agent_version_details.to_dict()
        else:
            agent_version_details = self.agent_version_details

        messages: list[dict[str, Any]] | None | Unset
        if isinstance(self.messages, Unset):
            messages = UNSET
        elif isinstance(self.messages, list):
            messages = []
            for messages_type_0_item_data in self.messages:
                if isinstance(messages_type_0_item_data, Message):
                    messages_type_0_item = messages_type_0_item_data.to_dict()
                else:
                    messages_type_0_item = messages_type_0_item_data
                messages.append(messages_type_0_item)

        else:
            messages = self.messages

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
        if agent_id is not UNSET:
            field_dict["agentId"] = agent_id
        if agent_details is not UNSET:
            field_dict["agentDetails"] = agent_details
        if agent_version_id is not UNSET:
            field_dict["agentVersionId"] = agent_version_id
        if agent_version_details is not UNSET:
            field_dict["agentVersionDetails"] = agent_version_details
        if messages is not UNSET:
            field_dict["messages"] = messages
        if pagination is not UNSET:
            field_dict["pagination"] = pagination

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.agent_details import AgentDetails
        from ..models.agent_version_details import AgentVersionDetails
        from ..models.message import Message
        from ..models.pagination import Pagination

        d = dict(src_dict)

        def _parse_agent_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        agent_id = _parse_agent_id(d.pop("agentId", UNSET))

        def _parse_agent_details(data: object) -> AgentDetails | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                agent_details_type_1 = AgentDetails.from_dict(data)

                return agent_details_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgentDetails | None | Unset, data)

        agent_details = _parse_agent_details(d.pop("agentDetails", UNSET))

        def _parse_agent_version_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        agent_version_id = _parse_agent_version_id(d.pop("agentVersionId", UNSET))

        def _parse_agent_version_details(
            data: object,
        ) -> AgentVersionDetails | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                agent_version_details_type_1 = AgentVersionDetails.from_dict(data)

                return agent_version_details_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgentVersionDetails | None | Unset, data)

        agent_version_details = _parse_agent_version_details(
            d.pop("agentVersionDetails", UNSET)
        )

        def _parse_messages(data: object) -> list[Message] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                messages_type_0 = []
                _messages_type_0 = data
                for messages_type_0_item_data in _messages_type_0:
                    messages_type_0_item = Message.from_dict(messages_type_0_item_data)

                    messages_type_0.append(messages_type_0_item)

                return messages_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[Message] | None | Unset, data)

        messages = _parse_messages(d.pop("messages", UNSET))

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

        thread_messages = cls(
            agent_id=agent_id,
            agent_details=agent_details,
            agent_version_id=agent_version_id,
            agent_version_details=agent_version_details,
            messages=messages,
            pagination=pagination,
        )

        thread_messages.additional_properties = d
        return thread_messages

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
