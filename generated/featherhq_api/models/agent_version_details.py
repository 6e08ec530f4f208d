from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="AgentVersionDetails")


@_attrs_define
class AgentVersionDetails:
    """
    Attributes:
        id (None | str | Unset):
        version (float | None | Unset):
        name (None | str | Unset):
        sms_max_tokens (float | None | Unset):
        sms_temperature (float | None | Unset):
        discard_inbound_sms (bool | None | Unset):
        mode (None | str | Unset):
    """

    id: None | str | Unset = UNSET
    version: float | None | Unset = UNSET
    name: None | str | Unset = UNSET
    sms_max_tokens: float | None | Unset = UNSET
    sms_temperature: float | None | Unset = UNSET
    discard_inbound_sms: bool | None | Unset = UNSET
    mode: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: None | str | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        version: float | None | Unset
        if isinstance(self.version, Unset):
            version = UNSET
        else:
            version = self.version

        name: None | str | Unset
        if isinstance(self.name, Unset):
            name = UNSET
        else:
            name = self.name

        sms_max_tokens: float | None | Unset
        if isinstance(self.sms_max_tokens, Unset):
            sms_max_tokens = UNSET
        else:
            sms_max_tokens = self.sms_max_tokens

        sms_temperature: float | None | Unset
        if isinstance(self.sms_temperature, Unset):
            sms_temperature = UNSET
        else:
            sms_temperature = self.sms_temperature

        discard_inbound_sms: bool | None | Unset
        if isinstance(self.discard_inbound_sms, Unset):
            discard_inbound_sms = UNSET
        else:
            discard_inbound_sms = self.discard_inbound_sms

        mode: None | str | Unset
        if isinstance(self.mode, Unset):
            mode = UNSET
        else:
            mode = self.mode

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if version is not UNSET:
            field_dict["version"] = version
        if name is not UNSET:
            field_dict["name"] = name
        if sms_max_tokens is not UNSET:
            field_dict["smsMaxTokens"] = sms_max_tokens
        if sms_temperature is not UNSET:
            field_dict["smsTemperature"] = sms_temperature
        if discard_inbound_sms is not UNSET:
            field_dict["discardInboundSms"] = discard_inbound_sms
        if mode is not UNSET:
            field_dict["mode"] = mode

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)

        def _parse_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        id = _parse_id(d.pop("id", UNSET))

        def _parse_version(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        version = _parse_version(d.pop("version", UNSET))

        def _parse_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        name = _parse_name(d.pop("name", UNSET))

        def _parse_sms_max_tokens(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        sms_max_tokens = _parse_sms_max_tokens(d.pop("smsMaxTokens", UNSET))

        def _parse_sms_temperature(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        sms_temperature = _parse_sms_temperature(d.pop("smsTemperature", UNSET))

        def _parse_discard_inbound_sms(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        discard_inbound_sms = _parse_discard_inbound_sms(
            d.pop("discardInboundSms", UNSET)
        )

        def _parse_mode(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        mode = _parse_mode(d.pop("mode", UNSET))

        agent_version_details = cls(
            id=id,
            version=version,
            name=name,
            sms_max_tokens=sms_max_tokens,
            sms_temperature=sms_temperature,
            discard_inbound_sms=discard_inbound_sms,
            mode=mode,
        )

        agent_version_details.additional_properties = d
        return agent_version_details

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
