from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.agent_details import AgentDetails
    from ..models.agent_version_details import AgentVersionDetails
    from ..models.thread_metadata import ThreadMetadata
    from ..models.thread_variables import ThreadVariables


T = TypeVar("T", bound="Thread")


@_attrs_define
class Thread:
    """
    Attributes:
        id (None | str | Unset):
        organization_id (None | str | Unset):
        agent_version_id (None | str | Unset):
        to_phone_number (None | str | Unset):
        from_phone_number (None | str | Unset):
        from_phone_number_id (None | str | Unset):
        lead_id (None | str | Unset):
        is_active (bool | None | Unset):
        created_at (None | str | Unset):
        updated_at (None | str | Unset):
        closed_at (None | str | Unset):
        closed_reason (None | str | Unset):
        agent_id (None | str | Unset):
        agent_details (AgentDetails | None | Unset):
        agent_version_details (AgentVersionDetails | None | Unset):
        metadata (None | ThreadMetadata | Unset):
        variables (None | ThreadVariables | Unset):
    """

    id: None | str | Unset = UNSET
    organization_id: None | str | Unset = UNSET
    agent_version_id: None | str | Unset = UNSET
    to_phone_number: None | str | Unset = UNSET
    from_phone_number: None | str | Unset = UNSET
    from_phone_number_id: None | str | Unset = UNSET
    lead_id: None | str | Unset = UNSET
    is_active: bool | None | Unset = UNSET
    created_at: None | str | Unset = UNSET
    updated_at: None | str | Unset = UNSET
    closed_at: None | str | Unset = UNSET
    closed_reason: None | str | Unset = UNSET
    agent_id: None | str | Unset = UNSET
    agent_details: AgentDetails | None | Unset = UNSET
    agent_version_details: AgentVersionDetails | None | Unset = UNSET
    metadata: None | ThreadMetadata | Unset = UNSET
    variables: None | ThreadVariables | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.agent_details import AgentDetails
        from ..models.agent_version_details import AgentVersionDetails
        from ..models.thread_metadata import ThreadMetadata
        from ..models.thread_variables import ThreadVariables

        id: None | str | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        organization_id: None | str | Unset
        if isinstance(self.organization_id, Unset):
            organization_id = UNSET
        else:
            organization_id = self.organization_id

        agent_version_id: None | str | Unset
        if isinstance(self.agent_version_id, Unset):
            agent_version_id = UNSET
        else:
            agent_version_id = self.agent_version_id

        to_phone_number: None | str | Unset
        if isinstance(self.to_phone_number, Unset):
            to_phone_number = UNSET
        else:
            to_phone_number = self.to_phone_number

        from_phone_number: None | str | Unset
        if isinstance(self.from_phone_number, Unset):
            from_phone_number = UNSET
        else:
            from_phone_number = self.from_phone_number

        from_phone_number_id: None | str | Unset
        if isinstance(self.from_phone_number_id, Unset):
            from_phone_number_id = UNSET
        else:
            from_phone_number_id = self.from_phone_number_id

        lead_id: None | str | Unset
        if isinstance(self.lead_id, Unset):
            lead_id = UNSET
        else:
            lead_id = self.lead_id

        is_active: bool | None | Unset
        if isinstance(self.is_active, Unset):
            is_active = UNSET
        else:
            is_active = self.is_active

        created_at: None | str | Unset
        if isinstance(self.created_at, Unset):
            created_at = UNSET
        else:
            created_at = self.created_at

        updated_at: None | str | Unset
        if isinstance(self.updated_at, Unset):
            updated_at = UNSET
        else:
            updated_at = self.updated_at

        closed_at: None | str | Unset
        if isinstance(self.closed_at, Unset):
            closed_at = UNSET
        else:
            closed_at = self.closed_at

        closed_reason: None | str | Unset
        if isinstance(self.closed_reason, Unset):
            closed_reason = UNSET
        else:
            closed_reason = self.closed_reason

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

        agent_version_details: dict[str, Any] | None | Unset
        if isinstance(self.agent_version_details, Unset):
            agent_version_details = UNSET
        elif isinstance(self.agent_version_details, AgentVersionDetails):
            agent_version_details = self.agent_version_details.to_dict()
        else:
            agent_version_details = self.agent_version_details

        metadata: dict[str, Any] | None | Unset
        if isinstance(self.metadata, Unset):
            metadata = UNSET
        elif isinstance(self.metadata, ThreadMetadata):
            metadata = self.metadata.to_dict()
        else:
            metadata = self.metadata

        variables: dict[str, Any] | None | Unset
        if isinstance(self.variables, Unset):
            variables = UNSET
        elif isinstance(self.variables, ThreadVariables):
            variables = self.variables.to_dict()
        else:
            variables = self.variables

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if organization_id is not UNSET:
            field_dict["organizationId"] = organization_id
        if agent_version_id is not UNSET:
            field_dict["agentVersionId"] = agent_version_id
        if to_phone_number is not UNSET:
            field_dict["toPhoneNumber"] = to_phone_number
        if from_phone_number is not UNSET:
            field_dict["fromPhoneNumber"] = from_phone_number
        if from_phone_number_id is not UNSET:
            field_dict["fromPhoneNumberId"] = from_phone_number_id
        if lead_id is not UNSET:
            field_dict["leadId"] = lead_id
        if is_active is not UNSET:
            field_dict["isActive"] = is_active
        if created_at is not UNSET:
            field_dict["createdAt"] = created_at
        if updated_at is not UNSET:
            field_dict["updatedAt"] = updated_at
        if closed_at is not UNSET:
            field_dict["closedAt"] = closed_at
        if closed_reason is not UNSET:
            field_dict["closedReason"] = closed_reason
        if agent_id is not UNSET:
            field_dict["agentId"] = agent_id
        if agent_details is not UNSET:
            field_dict["agentDetails"] = agent_details
        if agent_version_details is not UNSET:
            field_dict["agentVersionDetails"] = agent_version_details
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if variables is not UNSET:
            field_dict["variables"] = variables

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.agent_details import AgentDetails
        from ..models.agent_version_details import AgentVersionDetails
        from ..models.thread_metadata import ThreadMetadata
        from ..models.thread_variables import ThreadVariables

        d = dict(src_dict)

        def _parse_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        id = _parse_id(d.pop("id", UNSET))

        def _parse_organization_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        organization_id = _parse_organization_id(d.pop("organizationId", UNSET))

        def _parse_agent_version_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        agent_version_id = _parse_agent_version_id(d.pop("agentVersionId", UNSET))

        def _parse_to_phone_number(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        to_phone_number = _parse_to_phone_number(d.pop("toPhoneNumber", UNSET))

        def _parse_from_phone_number(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        from_phone_number = _parse_from_phone_number(d.pop("fromPhoneNumber", UNSET))

        def _parse_from_phone_number_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        from_phone_number_id = _parse_from_phone_number_id(
            d.pop("fromPhoneNumberId", UNSET)
        )

        def _parse_lead_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        lead_id = _parse_lead_id(d.pop("leadId", UNSET))

        def _parse_is_active(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        is_active = _parse_is_active(d.pop("isActive", UNSET))

        def _parse_created_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        created_at = _parse_created_at(d.pop("createdAt", UNSET))

        def _parse_updated_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        updated_at = _parse_updated_at(d.pop("updatedAt", UNSET))

        def _parse_closed_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        closed_at = _parse_closed_at(d.pop("closedAt", UNSET))

        def _parse_closed_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        closed_reason = _parse_closed_reason(d.pop("closedReason", UNSET))

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

        def _parse_metadata(data: object) -> None | ThreadMetadata | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                metadata_type_1 = ThreadMetadata.from_dict(data)

                return metadata_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ThreadMetadata | Unset, data)

        metadata = _parse_metadata(d.pop("metadata", UNSET))

        def _parse_variables(data: object) -> None | ThreadVariables | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                variables_type_1 = ThreadVariables.from_dict(data)

                return variables_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ThreadVariables | Unset, data)

        variables = _parse_variables(d.pop("variables", UNSET))

        thread = cls(
            id=id,
            organization_id=organization_id,
            agent_version_id=agent_version_id,
            to_phone_number=to_phone_number,
            from_phone_number=from_phone_number,
            from_phone_number_id=from_phone_number_id,
            lead_id=lead_id,
            is_active=is_active,
            created_at=created_at,
            updated_at=updated_at,
            closed_at=closed_at,
            closed_reason=closed_reason,
            agent_id=agent_id,
            agent_details=agent_details,
            agent_version_details=agent_version_details,
            metadata=metadata,
            variables=variables,
        )

        thread.additional_properties = d
        return thread

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
