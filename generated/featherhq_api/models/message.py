from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Message")


@_attrs_define
class Message:
    """
    Attributes:
        id (None | str | Unset):
        thread_id (None | str | Unset):
        direction (None | str | Unset):
        message_body (None | str | Unset):
        status (None | str | Unset):
        twilio_message_sid (None | str | Unset):
        twilio_account_sid (None | str | Unset):
        twilio_num_segments (float | None | Unset):
        twilio_price (None | str | Unset):
        twilio_price_currency (None | str | Unset):
        twilio_error_code (None | str | Unset):
        twilio_error_message (None | str | Unset):
        created_at (None | str | Unset):
        updated_at (None | str | Unset):
        sent_at (None | str | Unset):
        delivered_at (None | str | Unset):
        read_at (None | str | Unset):
    """

    id: None | str | Unset = UNSET
    thread_id: None | str | Unset = UNSET
    direction: None | str | Unset = UNSET
    message_body: None | str | Unset = UNSET
    status: None | str | Unset = UNSET
    twilio_message_sid: None | str | Unset = UNSET
    twilio_account_sid: None | str | Unset = UNSET
    twilio_num_segments: float | None | Unset = UNSET
    twilio_price: None | str | Unset = UNSET
    twilio_price_currency: None | str | Unset = UNSET
    twilio_error_code: None | str | Unset = UNSET
    twilio_error_message: None | str | Unset = UNSET
    created_at: None | str | Unset = UNSET
    updated_at: None | str | Unset = UNSET
    sent_at: None | str | Unset = UNSET
    delivered_at: None | str | Unset = UNSET
    read_at: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: None | str | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        thread_id: None | str | Unset
        if isinstance(self.thread_id, Unset):
            thread_id = UNSET
        else:
            thread_id = self.thread_id

        direction: None | str | Unset
        if isinstance(self.direction, Unset):
            direction = UNSET
        else:
            direction = self.direction

        message_body: None | str | Unset
        if isinstance(self.message_body, Unset):
            message_body = UNSET
        else:
            message_body = self.message_body

        status: None | str | Unset
        if isinstance(self.status, Unset):
            status = UNSET
        else:
            status = self.status

        twilio_message_sid: None | str | Unset
        if isinstance(self.twilio_message_sid, Unset):
            twilio_message_sid = UNSET
        else:
            twilio_message_sid = self.twilio_message_sid

        twilio_account_sid: None | str | Unset
        if isinstance(self.twilio_account_sid, Unset):
            twilio_account_sid = UNSET
        else:
            twilio_account_sid = self.twilio_account_sid

        twilio_num_segments: float | None | Unset
        if isinstance(self.twilio_num_segments, Unset):
            twilio_num_segments = UNSET
        else:
            twilio_num_segments = self.twilio_num_segments

        twilio_price: None | str | Unset
        if isinstance(self.twilio_price, Unset):
            twilio_price = UNSET
        else:
            twilio_price = self.twilio_price

        twilio_price_currency: None | str | Unset
        if isinstance(self.twilio_price_currency, Unset):
            twilio_price_currency = UNSET
        else:
            twilio_price_currency = self.twilio_price_currency

        twilio_error_code: None | str | Unset
        if isinstance(self.twilio_error_code, Unset):
            twilio_error_code = UNSET
        else:
            twilio_error_code = self.twilio_error_code

        twilio_error_message: None | str | Unset
        if isinstance(self.twilio_error_message, Unset):
            twilio_error_message = UNSET
        else:
            twilio_error_message = self.twilio_error_message

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

        sent_at: None | str | Unset
        if isinstance(self.sent_at, Unset):
            sent_at = UNSET
        else:
            sent_at = self.sent_at

        delivered_at: None | str | Unset
        if isinstance(self.delivered_at, Unset):
            delivered_at = UNSET
        else:
            delivered_at = self.delivered_at

        read_at: None | str | Unset
        if isinstance(self.read_at, Unset):
            read_at = UNSET
        else:
            read_at = self.read_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if thread_id is not UNSET:
            field_dict["threadId"] = thread_id
        if direction is not UNSET:
            field_dict["direction"] = direction
        if message_body is not UNSET:
            field_dict["messageBody"] = message_body
        if status is not UNSET:
            field_dict["status"] = status
        if twilio_message_sid is not UNSET:
            field_dict["twilioMessageSid"] = twilio_message_sid
        if twilio_account_sid is not UNSET:
            field_dict["twilioAccountSid"] = twilio_account_sid
        if twilio_num_segments is not UNSET:
            field_dict["twilioNumSegments"] = twilio_num_segments
        if twilio_price is not UNSET:
            field_dict["twilioPrice"] = twilio_price
        if twilio_price_currency is not UNSET:
            field_dict["twilioPriceCurrency"] = twilio_price_currency
        if twilio_error_code is not UNSET:
            field_dict["twilioErrorCode"] = twilio_error_code
        if twilio_error_message is not UNSET:
            field_dict["twilioErrorMessage"] = twilio_error_message
        if created_at is not UNSET:
            field_dict["createdAt"] = created_at
        if updated_at is not UNSET:
            field_dict["updatedAt"] = updated_at
        if sent_at is not UNSET:
            field_dict["sentAt"] = sent_at
        if delivered_at is not UNSET:
            field_dict["deliveredAt"] = delivered_at
        if read_at is not UNSET:
            field_dict["readAt"] = read_at

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

        def _parse_thread_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        thread_id = _parse_thread_id(d.pop("threadId", UNSET))

        def _parse_direction(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        direction = _parse_direction(d.pop("direction", UNSET))

        def _parse_message_body(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        message_body = _parse_message_body(d.pop("messageBody", UNSET))

        def _parse_status(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        status = _parse_status(d.pop("status", UNSET))

        def _parse_twilio_message_sid(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_message_sid = _parse_twilio_message_sid(d.pop("twilioMessageSid", UNSET))

        def _parse_twilio_account_sid(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_account_sid = _parse_twilio_account_sid(d.pop("twilioAccountSid", UNSET))

        def _parse_twilio_num_segments(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        twilio_num_segments = _parse_twilio_num_segments(
            d.pop("twilioNumSegments", UNSET)
        )

        def _parse_twilio_price(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_price = _parse_twilio_price(d.pop("twilioPrice", UNSET))

        def _parse_twilio_price_currency(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_price_currency = _parse_twilio_price_currency(
            d.pop("twilioPriceCurrency", UNSET)
        )

        def _parse_twilio_error_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_error_code = _parse_twilio_error_code(d.pop("twilioErrorCode", UNSET))

        def _parse_twilio_error_message(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        twilio_error_message = _parse_twilio_error_message(
            d.pop("twilioErrorMessage", UNSET)
        )

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

        def _parse_sent_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        sent_at = _parse_sent_at(d.pop("sentAt", UNSET))

        def _parse_delivered_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        delivered_at = _parse_delivered_at(d.pop("deliveredAt", UNSET))

        def _parse_read_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        read_at = _parse_read_at(d.pop("readAt", UNSET))

        message = cls(
            id=id,
            thread_id=thread_id,
            direction=direction,
            message_body=message_body,
            status=status,
            twilio_message_sid=twilio_message_sid,
            twilio_account_sid=twilio_account_sid,
            twilio_num_segments=twilio_num_segments,
            twilio_price=twilio_price,
            twilio_price_currency=twilio_price_currency,
            twilio_error_code=twilio_error_code,
            twilio_error_message=twilio_error_message,
            created_at=created_at,
            updated_at=updated_at,
            sent_at=sent_at,
            delivered_at=delivered_at,
            read_at=read_at,
        )

        message.additional_properties = d
        return message

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
