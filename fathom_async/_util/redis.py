"""How the URL of a Redis server is shown."""

from urllib.parse import urlsplit


def without_secrets(url: str) -> str:
    """Return where a server is; what else stands in its URL may be a password, be it in the wrong place."""
    parts = urlsplit(url)
    if parts.hostname is None:
        return f"{parts.scheme}://{parts.path}"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}" + (parts.path if parts.path[1:].isdecimal() else "")
