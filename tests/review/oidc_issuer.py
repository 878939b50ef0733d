"""A small OpenID Connect issuer, a process of its own: `python tests/review/oidc_issuer.py PORT`. POST /mode?name=... makes it lie."""

import base64
import hashlib
import sys
import time
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET, PERSON = "homeostat-review", "s3cret of the client", "anna@example.com"


class Issuer:
    def __init__(self, url: str) -> None:
        self.url, self.mode, self.keys_asked = url, "honest", 0
        self.codes: dict[str, dict[str, str]] = {}
        self.rotate()

    def rotate(self) -> None:
        self.kid, self.key = token_urlsafe(6), rsa.generate_private_key(public_exponent=65537, key_size=2048)

    async def metadata(self, request: Request) -> Response:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        named = self.url if self.mode != "other_name" else "https://elsewhere.example"
        return JSONResponse({"issuer": named} | {name: f"{self.url}/{path}" for name, path in paths.items()})

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        if asked["client_id"] != CLIENT or asked["code_challenge_method"] != "S256" or "openid" not in asked["scope"]:
            return JSONResponse({"error": "invalid_request"}, 400)
        code = token_urlsafe(16)
        self.codes[code] = dict(asked)
        back = (
            {"code": code, "state": asked["state"]}
            if self.mode != "denied"
            else {"error": "access_denied", "state": asked["state"]}
        )
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        form = dict(await _form(request))
        asked = self.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": self._id_token(asked["nonce"])})

    async def keys(self, request: Request) -> Response:
        self.keys_asked += 1
        public = self.key.public_key()
        return JSONResponse({"keys": [RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": self.kid, "use": "sig"}]})

    async def set_mode(self, request: Request) -> Response:
        self.mode = request.query_params["name"]
        if self.mode == "rotated":
            self.rotate()
        return JSONResponse({"keys_asked": self.keys_asked})

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "u-17",
            "email": PERSON,
            "email_verified": True,
            "nonce": nonce,
            "iat": now,
            "exp": now + 300,
        }
        claims |= {
            "other_nonce": {"nonce": "another"},
            "no_nonce": {"nonce": ""},
            "other_audience": {"aud": "another-client"},
            "two_audiences": {"aud": [CLIENT, "another-client"]},
            "other_issuer": {"iss": "https://elsewhere.example"},
            "expired": {"iat": now - 900, "exp": now - 600},
            "unverified_mail": {"email_verified": False},
            "no_mail": {"email": ""},
        }.get(self.mode, {})
        headers = {"kid": "nobody's" if self.mode == "unknown_key" else self.kid}
        if self.mode == "none":
            return jwt.encode(claims, "", algorithm="none", headers=headers)
        if self.mode == "hmac":
            public = RSAAlgorithm.to_jwk(self.key.public_key())
            return jwt.encode(claims, public, algorithm="HS256", headers=headers)
        if self.mode == "forged":
            return jwt.encode(
                claims, rsa.generate_private_key(public_exponent=65537, key_size=2048), algorithm="RS256", headers=headers
            )
        if self.mode == "other_kind":
            assert ECAlgorithm
            return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=headers)
        return jwt.encode(claims, self.key, algorithm="RS256", headers=headers)


async def _form(request: Request) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl((await request.body()).decode())


def main() -> None:
    port = int(sys.argv[1])
    issuer = Issuer(f"http://127.0.0.1:{port}")
    routes = [
        Route("/.well-known/openid-configuration", issuer.metadata),
        Route("/authorize", issuer.authorize),
        Route("/token", issuer.token, methods=["POST"]),
        Route("/keys", issuer.keys),
        Route("/mode", issuer.set_mode, methods=["POST"]),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main()
