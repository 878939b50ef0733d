"""Ed25519 keys as people and processes keep them: one JSON Web Key in a file that nobody else may read."""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, ValidationError

from contracts.base import Contract
from platforms.errors import Invalid, NotFound
from platforms.files import create_exclusive, platform_errors
from policies.vouching import key_id

PRIVATE = 0o600
_MOST_BYTES = 4096


class PrivateJwk(Contract):
    """RFC 8037, with the person's name beside it."""

    kty: str = Field(pattern="^OKP$")
    crv: str = Field(pattern="^Ed25519$")
    x: str
    d: str
    kid: str = ""
    person: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Key:
    """A private key and whose it is."""

    person: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """As the fleet file lists it: base64url of the 32 bytes."""
        return text_of(self.private.public_key())

    @property
    def id(self) -> str:
        return key_id(self.public)


def text_of(public: Ed25519PublicKey) -> str:
    return _text(public.public_bytes_raw())


def public_key(text: str) -> Ed25519PublicKey | None:
    """None where it is none."""
    try:
        return Ed25519PublicKey.from_public_bytes(_bytes(text))
    except (ValueError, NotBase64):
        return None


def make_key(path: Path, person: str) -> Key:
    """A new key at `path`, mode 0600; one that is there is never overwritten. Raises: Invalid, Exhausted, Unavailable."""
    key = Key(person, Ed25519PrivateKey.generate())
    jwk = PrivateJwk(kty="OKP", crv="Ed25519", x=key.public, d=_text(key.private.private_bytes_raw()), kid=key.id, person=person)
    if not create_exclusive(path, jwk.model_dump_json().encode() + b"\n", PRIVATE):
        raise Invalid(f"{path} is there already; a key is never overwritten. Use another file, or remove it yourself")
    return key


def read_key(path: Path) -> Key:
    """Raises: NotFound, Invalid (others may read it, or it is no key; the message never shows what it holds)."""
    content = _private_bytes(path)
    try:
        jwk = PrivateJwk.model_validate(json.loads(content))
        private = Ed25519PrivateKey.from_private_bytes(_bytes(jwk.d))
    except (ValueError, ValidationError, NotBase64, RecursionError):
        raise Invalid(f"{path} is no Ed25519 key as `python starter.py keygen` writes it. Make a new one") from None
    if text_of(private.public_key()) != jwk.x.rstrip("="):
        raise Invalid(f"{path}: its public half is not that of its private half. Make a new key")
    return Key(jwk.person, private)


def too_open(path: Path) -> str:
    """What to type where others may read the file; empty where it is well. Raises: NotFound, Invalid, Unavailable."""
    with platform_errors(path):
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise NotFound(f"{path} is not there") from error
    return f"chmod 600 {path}" if S_IMODE(status.st_mode) & 0o077 else ""


def _private_bytes(path: Path) -> bytes:
    with platform_errors(path):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise NotFound(f"{path} is not there; `python starter.py keygen` makes a key") from error
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                raise Invalid(f"{path} is no key file")
            if S_IMODE(status.st_mode) & 0o077:
                raise Invalid(f"{path} can be read by others, so it may be known to them. Type `chmod 600 {path}`")
            return file.read(_MOST_BYTES)


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    plain = text.rstrip("=")
    content = urlsafe_b64decode(plain.encode("ascii") + b"=" * (-len(plain) % 4))
    if len(content) != 32 or _text(content) != plain:  # noqa: PLR2004 - an Ed25519 key has 32 bytes, either half
        raise ValueError("no 32 bytes in base64url")
    return content
