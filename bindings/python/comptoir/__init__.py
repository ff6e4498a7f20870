"""Comptoir: talk end-to-end encrypted, and pay in it. See `docs/sdk/python.md`."""

from .comptoir import *  # noqa: F401,F403  (generated from the library; it says what is public)
from .ids import AccountId, ConversationId, DeviceId, InvoiceHash, OrderId, Uid  # noqa: F401
