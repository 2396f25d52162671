"""Tokens, held against the published keys by another implementation of RFC 7519."""

import base64
import json
import time
from pathlib import Path

import jwt
import requests

from service import Service
from tally import Tally

ISSUER = AUDIENCE = "heliosdb-gpu-offload"


def decoded(text: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def encoded(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def run(service: Service, tally: Tally, _root: Path) -> None:
    answer = requests.post(f"{service.base}/auth/token", json={"api_key": service.key}, timeout=30).json()
    token = answer["token"]
    keys = jwt.PyJWKClient(f"{service.origin}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(token).key

    def verified(text: str, **other) -> dict:
        expected = {"audience": AUDIENCE, "issuer": ISSUER, "algorithms": ["RS256"], **other}
        return jwt.decode(text, key, options={"require": ["exp", "nbf", "iss", "aud"]}, **expected)

    def status(text: str) -> int:
        head = {"Authorization": f"Bearer {text}"}
        return requests.get(f"{service.base}/devices", headers=head, timeout=30).status_code

    with tally.step("a token holds against the published key"):
        assert jwt.get_unverified_header(token)["alg"] == "RS256"
        claims = verified(token)
        assert claims["tenant_id"] == "dev" and claims["user_id"], claims
        assert "gpu:matrix" in claims["scopes"], claims
        assert abs(claims["exp"] - time.time() - answer["expires_in"]) < 60, claims
    with tally.step("it is for this audience and by this issuer alone"):
        for other in ({"audience": "another"}, {"issuer": "another"}):
            try:
                verified(token, **other)
            except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
                continue
            raise AssertionError(f"accepted for {other}")
    with tally.step("the service takes it"):
        assert status(token) == 200

    head, claims, signature = token.split(".")
    richer = encoded(decoded(claims) | {"tenant_id": "another"})
    public = requests.get(f"{service.origin}/.well-known/jwks.json", timeout=30).json()["keys"][0]
    # The public key as an HMAC secret: the classic confusion of algorithms.
    confused = jwt.encode(decoded(claims), public["n"], algorithm="HS256", headers={"kid": public["kid"]})
    tampered = {
        "other claims": f"{head}.{richer}.{signature}",
        "another signature": f"{head}.{claims}.{signature[:-8]}{'A' * 8}",
        "no signature": f"{head}.{claims}.",
        "the algorithm none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "HMAC with the public key": confused,
    }
    for what, text in tampered.items():
        with tally.step(f"a token with {what} is refused by both"):
            try:
                verified(text)
            except jwt.InvalidTokenError:
                pass
            else:
                raise AssertionError("the library accepted it")
            assert status(text) == 401, status(text)
