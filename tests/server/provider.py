"""A small identity provider (OpenID Connect) on a loopback address, as a test needs it: right, or wrong in one way."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from werkzeug import Request, Response

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

CLIENT = "runs"
SECRET = "swordfish-4711"


class Provider:
    """Logs everybody in as `claims` say. `wrong` claims replace those of its ID tokens; `key` signs them."""

    def __init__(self, server: HTTPServer) -> None:
        self.issuer = server.url_for("").rstrip("/")
        self.claims: dict[str, Any] = {"sub": "17", "preferred_username": "ada", "groups": ["staff"]}
        self.wrong: dict[str, Any] = {}
        self.published = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.key: RSAKey | ECKey | OctKey = self.published
        self.algorithm = "RS256"
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        server.expect_request("/.well-known/openid-configuration").respond_with_handler(self._metadata)
        server.expect_request("/keys").respond_with_handler(self._keys)
        server.expect_request("/authorize").respond_with_handler(self._authorize)
        server.expect_request("/token", method="POST").respond_with_handler(self._token)

    def _metadata(self, request: Request) -> Response:
        return _json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    def _keys(self, request: Request) -> Response:
        return _json({"keys": [self.published.as_dict(private=False)]})

    def _authorize(self, request: Request) -> Response:
        """Log the user in, without a question, and send the browser back with a code."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        self.asked.append(asked)
        code = f"code-{len(self.asked)}"
        self._codes[code] = asked
        back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        return Response(status=302, headers={"location": back})

    def _token(self, request: Request) -> Response:
        form = request.form
        asked = self._codes.pop(form["code"], None)  # a code is good for one use
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or form["client_secret"] != SECRET
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return _json({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
            **self.wrong,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.key, algorithms=[self.algorithm])
        return _json({"access_token": "x", "token_type": "Bearer", "id_token": token})


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")
