"""Who may do what: the API key of a request, as the header `x-api-key` or as a bearer token, and its scope."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from likeness.errors import BodyTooLarge, KeyInvalid, KeyMissing, ScopeMissing
from likeness.server.keys import KeyStore, Scope
from likeness.server.refusals import Refusals, Why

LOCAL_ACTOR = "api:local"
"""What the audit trail calls those who ask without a key, on the same machine."""

MOST_PLAIN_BYTES = 1 << 19
"""Of JSON without photos, such as a profile card."""

_NEEDED: dict[Any, Scope] = {}
"""The scope that each dependency made by `require` asks for."""

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="An API key, made by `likeness keys create`.")
_bearer = HTTPBearer(auto_error=False, description="The same key as a bearer token.")


@dataclass(frozen=True, slots=True)
class Access:
    """The rule of a server: its keys, and whether it asks for one.

    Attributes:
        keys: the keys; None where there is no file for them.
        local: nobody needs a key until one is made: only for a server that this machine alone can reach.
        refusals: counts those who were not let in, for the audit trail.
    """

    keys: KeyStore | None = None
    local: bool = False
    refusals: Refusals | None = None

    @property
    def open(self) -> bool:
        """Whether nobody needs a key now; from the first one on, whatever became of it, everybody does."""
        return self.local and not (self.keys is not None and self.keys.list())

    def caller(self, secret: str | None, scope: Scope) -> tuple[str, Scope]:
        """Who asks with this key, as the audit trail calls them, and what all they may do; `scope` is among it.

        Raises:
            KeyMissing, KeyInvalid: there is no key, or none that is taken. ScopeMissing: it is not good for this.
        """
        key = None if secret is None or self.keys is None else self.keys.check(secret)
        if key is None and self.open:
            return LOCAL_ACTOR, "admin"  # also where a client always sends some key
        if secret is None:
            self._note("missing")
            raise KeyMissing(
                "this server wants an API key", hint="send it as the header x-api-key, or as Authorization: Bearer"
            )
        if key is None:
            why, known = ("unknown", None) if self.keys is None else self.keys.refusal(secret)
            self._note(why or "unknown", None if known is None else known.id)
            raise KeyInvalid("the API key is unknown, has expired or was revoked")
        if not key.allows(scope):
            self._note("scope", key.id)
            raise ScopeMissing(
                f"the API key has the scope {key.scope}, and this needs {scope}",
                hint="a key with that scope is made by `likeness keys create`",
            )
        return key.actor, key.scope

    def _note(self, why: Why, key_id: str | None = None) -> None:
        if self.refusals is not None:
            self.refusals.note(why, key_id)


def secret_of(request: Request) -> str | None:
    """The API key that a request brings; None where it brings none."""
    given = request.headers.get("x-api-key")
    if given:
        return given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def require(scope: Scope) -> Callable[..., Coroutine[Any, Any, str]]:
    """A dependency that lets those pass who may do what needs `scope`, and gives who asks, for the audit trail.

    ```python
    @router.post("/v1/things")
    async def make_thing(actor: Annotated[str, Depends(require("enrol"))]) -> Thing: ...
    ```
    """

    async def allowed(
        request: Request,
        _key: Annotated[str | None, Security(_header)] = None,
        _token: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    ) -> str:
        return _admit(request, scope)

    _NEEDED[allowed] = scope
    return allowed


def scope_of(route: APIRoute) -> Scope | None:
    """The scope that a route asks for; None where it asks for no key."""
    return next((_NEEDED[each.call] for each in route.dependant.dependencies if each.call in _NEEDED), None)


def _admit(request: Request, scope: Scope) -> str:
    access: Access = request.app.state.access
    actor, allows = access.caller(secret_of(request), scope)
    request.scope["likeness.actor"], request.scope["likeness.scope"] = actor, allows
    return actor


class KeyFirst(APIRoute):
    """A route that looks at the key before it reads the body: nobody without one has the server hold or parse theirs.

    FastAPI by itself reads the body first, and asks dependencies in the order of a function's parameters. What it
    parses by itself (`Body`) it parses while everybody waits, so that must be short; `uploads.read` takes long ones.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()
        needed = [_NEEDED[each.call] for each in self.dependant.dependencies if each.call in _NEEDED]

        async def first_the_key(request: Request) -> Response:
            for scope in needed:
                _admit(request, scope)
            if self.body_field is not None and len(await request.body()) > MOST_PLAIN_BYTES:
                raise BodyTooLarge(f"the request has more than {MOST_PLAIN_BYTES:,} bytes, and brings no photos")
            return await answer(request)

        return first_the_key
