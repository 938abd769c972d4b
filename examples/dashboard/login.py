"""Who may see the dashboard: everybody who reaches it, whoever knows a password, or whoever a proxy let in."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from examples.dashboard.settings import Settings


def guard(settings: Settings) -> Callable[..., Awaitable[None]]:
    """Return a dependency that answers 401 to visitors who may not see the dashboard."""
    basic = HTTPBasic(realm="dashboard", auto_error=False)

    async def check(request: Request, given: Annotated[HTTPBasicCredentials | None, Depends(basic)]) -> None:
        if not (settings.login or settings.login_header):
            return
        if settings.login_header and request.headers.get(settings.login_header):
            return
        if settings.login and given is not None:
            login = f"{given.username}:{given.password}"
            if secrets.compare_digest(login.encode(), settings.login.encode()):
                return
        asks = {"WWW-Authenticate": 'Basic realm="dashboard"'} if settings.login else None
        raise HTTPException(401, "Log in to see the dashboard.", asks)

    return check
