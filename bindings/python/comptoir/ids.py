"""Ids: values of their own, so that one cannot be passed for another. Equal when their texts are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Id:
    text: str

    def __str__(self) -> str:
        return self.text


class AccountId(_Id):
    """An account, `acc_…`."""

    __slots__ = ()


class ConversationId(_Id):
    """A conversation, `chat_…`."""

    __slots__ = ()


class DeviceId(_Id):
    """A device of an account, `dev_…`."""

    __slots__ = ()


class InvoiceHash(_Id):
    """Which invoice: the SHA-256 of its signed bytes, `sha256_…`."""

    __slots__ = ()


class OrderId(_Id):
    """An order, `ord_…`."""

    __slots__ = ()


class Uid(_Id):
    """A message, `msg_…`."""

    __slots__ = ()
