"""Addresses of servers that a user names: no secret in them, and https where it is not here."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from core.errors import UserError


def checked(address: str) -> str:
    """The address; raises `ValueError` where it is no http address, holds a secret, or would carry
    one over the network as plain text."""
    parts = urlsplit(address)
    known = parts.scheme in ("http", "https") and parts.hostname and " " not in address
    if not known or parts.port == 0:  # asking for a port that is none is a ValueError of its own
        raise ValueError(f"address {address} is no http address, as http://127.0.0.1:8000")
    if parts.username or parts.password:
        raise ValueError("address holds a secret; name its environment variable under key")
    if parts.scheme == "http" and not here(address):
        raise ValueError(f"address {address} is not of this machine; give it as https")
    return address


def here(address: str) -> bool:
    """Whether it is served on this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret(variable: str | None, of: str) -> str | None:
    """What an environment variable holds; raises `UserError` that begins with `of` where it is not
    set, or holds what cannot be sent as a key."""
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise UserError(f"{of}: environment variable {variable} is not set")
    held = os.environ[variable]
    if not (held.isascii() and held.isprintable()):
        raise UserError(
            f"{of}: environment variable {variable} holds letters, or line breaks, that no key "
            "has; set it anew"
        )
    return held
