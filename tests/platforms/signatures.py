"""People, keys and requests for the stories about who vouches."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.people import Issuer, Person
from contracts.review import Decision, VerifyDecision
from platforms.identity.keys import Key
from platforms.identity.tokens import DECISION, ISSUER
from policies.vouching import claims_of, digest

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVIDENCE = "e" * 64
COMPANY = "https://login.example.com"
AUDIENCE = "homeostat-reviews"


def a_key(person: str = "ana") -> Key:
    return Key(person, Ed25519PrivateKey.generate())


def a_decision(**changes: Any) -> Decision:
    return Decision.model_validate({"approve": True, "reviewer": "ana", "note": "worth it", "evidence": EVIDENCE, **changes})


def a_request(*keys: Key, decision: Decision | None = None, **changes: Any) -> VerifyDecision:
    """`keys` belong to the people in the policy."""
    people = {key.person: Person(keys=(key.public,)) for key in keys}
    return VerifyDecision.model_validate(
        {
            "endpoint": "bikes",
            "incident": "20260304T000000Z-1f2e3d",
            "evidence": EVIDENCE,
            "decision": decision or a_decision(),
            "people": people,
            "at": AT,
            **changes,
        }
    )


def claims_for(request: VerifyDecision, **changes: Any) -> dict[str, Any]:
    """What our own tokens say."""
    said = claims_of(endpoint=request.endpoint, incident=request.incident, evidence=request.evidence, decision=request.decision)
    issued = int(request.at.timestamp()) - 5
    return {
        "iss": ISSUER,
        "aud": DECISION,
        "sub": request.decision.reviewer,
        "iat": issued,
        "exp": issued + 600,
        "jti": "one",
        "homeostat": said.model_dump(mode="json"),
        **changes,
    }


def issued_for(request: VerifyDecision, **changes: Any) -> dict[str, Any]:
    """What a company's issuer says."""
    said = claims_of(endpoint=request.endpoint, incident=request.incident, evidence=request.evidence, decision=request.decision)
    issued = int(request.at.timestamp()) - 5
    return {
        "iss": COMPANY,
        "aud": AUDIENCE,
        "sub": "00u1",
        "email": "ana@example.com",
        "email_verified": True,
        "iat": issued,
        "exp": issued + 600,
        "nonce": digest(said),
        **changes,
    }


def signed(key: Key, claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.id, **headers})


def sealed(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A token as an attacker makes it, who asks no library: unsigned, or with an HMAC."""
    first, second = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    said = f"{first}.{second}"
    seal = hmac.digest(secret, said.encode(), "sha256") if secret else b"no signature"
    return f"{said}.{urlsafe_b64encode(seal).decode().rstrip('=')}"


def later(**span: float) -> datetime:
    return AT + timedelta(**span)


@dataclass
class Company:
    """An issuer with a key set that can be rotated, in a file or over HTTP."""

    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """By kid: algorithm and private key."""
    extra: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    status: int = 200
    pause: float = 0.0
    """Before each hundred bytes."""

    def add(self, kid: str, algorithm: str = "ES256") -> "Company":
        made = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": Ed25519PrivateKey.generate,
        }
        self.keys[kid] = (algorithm, made[algorithm]())
        return self

    def token(self, kid: str, claims: dict[str, Any]) -> str:
        algorithm, key = self.keys[kid]
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})

    def jwks(self) -> dict[str, Any]:
        made = [
            {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, (algorithm, key) in self.keys.items()
        ]
        return {"keys": [*made, *self.extra]}

    def issuer(self, jwks: str | Path) -> Issuer:
        return Issuer(issuer=COMPANY, audience=AUDIENCE, jwks=str(jwks))

    def write(self, path: Path) -> Path:
        path.write_text(json.dumps(self.jwks()))
        return path

    @contextmanager
    def serving(self) -> Iterator[str]:
        company = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                company.asked += 1
                body = json.dumps(company.jwks()).encode()
                self.send_response(company.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                step = 100 if company.pause else len(body)
                for begin in range(0, len(body), step):
                    sleep(company.pause)
                    with suppress(OSError):  # whoever asked has gone
                        self.wfile.write(body[begin : begin + step])

            def log_message(self, *args: Any) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}/keys"
            finally:
                server.shutdown()
                thread.join()
