"""Tokens that somebody made up: each kind of forgery with what is left to chance in it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nacl.signing
from hypothesis import strategies as st
from nacl.bindings import crypto_sign

Draw = Callable[[st.SearchStrategy[Any]], Any]

SAFE = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=24)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAFE, inner, max_size=3))
TIMES: st.SearchStrategy[Any] = st.sampled_from(
    [-1, -(2**40), 2**53 + 1, 2**64, 1.5, 1e300, True, False, None, "1800000000", [1], {}, ""]
)
BAD_PERMISSIONS = st.sampled_from(
    [
        ["admin:x"], ["context:list["], ["context:list[]"], ["context:list[a]b"], ["Admin"], [""], ["admin", 5],
        "admin", {"admin": True}, None, [None], [["admin"]], ["context"], ["context:execute[a,b,c,d]"], ["*"], True,
    ]
)  # fmt: skip


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@dataclass(frozen=True, kw_only=True)
class Forge:
    """What a forger may have: good tokens of the node, and (for what only the claims must catch) its signing key."""

    access: str
    refresh: str
    secret: bytes
    public: bytes

    @property
    def header(self) -> dict[str, Any]:
        return decode(self.access.split(".")[0])  # type: ignore[no-any-return]

    @property
    def claims(self) -> dict[str, Any]:
        return decode(self.access.split(".")[1])  # type: ignore[no-any-return]

    def signed(self, header: object, claims: object, secret: bytes | None = None) -> str:
        """A token whose signature holds; texts are taken as they are."""
        parts = [each if isinstance(each, str) else json.dumps(each) for each in (header, claims)]
        text = ".".join(encode(each.encode()) for each in parts)
        return f"{text}.{encode(crypto_sign(text.encode(), secret or self.secret)[:64])}"

    def unsigned(self, header: object, signature: Callable[[bytes], bytes] = lambda _: b"") -> str:
        text = f"{encode(json.dumps(header).encode())}.{self.access.split('.')[1]}"
        return f"{text}.{encode(signature(text.encode()))}"

    def with_claims(self, **changed: Any) -> str:
        return self.signed(self.header, {**self.claims, **changed})

    def without(self, claim: str) -> str:
        return self.signed(self.header, {name: value for name, value in self.claims.items() if name != claim})

    def with_header(self, **changed: Any) -> str:
        return self.signed({**self.header, **changed}, self.claims)


def alg_none(forge: Forge, draw: Draw) -> str:
    name = draw(st.sampled_from(["none", "None", "NONE", "nOnE", ""]))
    text = forge.unsigned({**forge.header, "alg": name})
    return draw(st.sampled_from([text, text + forge.access.split(".")[2]]))  # type: ignore[no-any-return]


def public_key_as_hmac_secret(forge: Forge, draw: Draw) -> str:
    raw = forge.public
    spellings = [raw, raw.hex().encode(), base64.b64encode(raw), encode(raw).encode(), forge.header["kid"].encode()]
    jwk = json.dumps({"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}, separators=(",", ":")).encode()
    secret = draw(st.sampled_from([*spellings, jwk]))
    name, digest = draw(
        st.sampled_from([("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)])
    )
    alg = draw(st.sampled_from([name, "EdDSA"]))
    return forge.unsigned({**forge.header, "alg": alg}, lambda text: hmac.new(secret, text, digest).digest())


def other_algorithm(forge: Forge, draw: Draw) -> str:
    names: list[Any] = [
        "RS256",
        "ES256",
        "PS256",
        "Ed25519",
        "Ed448",
        "eddsa",
        "EDDSA",
        "dir",
        "A256KW",
        ["EdDSA"],
        None,
        1,
        {},
    ]
    return forge.with_header(alg=draw(st.sampled_from(names)))


def strange_kid(forge: Forge, draw: Draw) -> str:
    kid = forge.header["kid"]
    tricks = [
        "../../etc/passwd", "/dev/null", f"../{kid}", f"{kid}\0", f"{kid} ", kid.lower(), kid[:-1], f"{kid}=", "",
        "x' OR '1'='1", "http://evil.example/jwks", "a" * 64, "a" * 7000, [kid], {"kid": kid}, None, 0, True,
    ]  # fmt: skip
    return forge.with_header(kid=draw(st.sampled_from(tricks) | SAFE))


def no_kid(forge: Forge, _: Draw) -> str:
    return forge.signed({"alg": "EdDSA", "typ": "JWT"}, forge.claims)


def anothers_key(forge: Forge, draw: Draw) -> str:
    """The node's `kid`, the forger's key."""
    seed = draw(st.binary(min_size=32, max_size=32))
    return forge.signed(
        forge.header,
        forge.claims,
        bytes(nacl.signing.SigningKey(seed)) + bytes(nacl.signing.SigningKey(seed).verify_key),
    )


def wrong_typ(forge: Forge, draw: Draw) -> str:
    types = ["jwt", "at+jwt", "JWS", "JOSE", "dpop+jwt", "", None, 1, ["JWT"]]
    return forge.with_header(typ=draw(st.sampled_from(types)))


def extra_header(forge: Forge, draw: Draw) -> str:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(forge.public)}
    extras: list[Mapping[str, Any]] = [
        {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"jku": "http://127.0.0.1:1/"},
        {"jwk": jwk}, {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AA=="]}, {"x5t": "a"}, {"cty": "JWT"}, {"zip": "DEF"},
        {"enc": "A256GCM"}, {"iss": "meroid"},
    ]  # fmt: skip
    return forge.with_header(**draw(st.sampled_from(extras)))


def duplicate_header(forge: Forge, draw: Draw) -> str:
    name, value = draw(
        st.sampled_from([("alg", "none"), ("alg", "EdDSA"), ("kid", forge.header["kid"]), ("typ", "JWT")])
    )
    text = json.dumps(forge.header)
    pair = f"{json.dumps(name)}: {json.dumps(value)}"
    header = draw(st.sampled_from([f"{{{pair}, {text[1:]}", f"{text[:-1]}, {pair}}}"]))
    return forge.signed(header, forge.claims)


def duplicate_claim(forge: Forge, draw: Draw) -> str:
    name = draw(st.sampled_from(sorted(forge.claims)))
    value = draw(st.sampled_from([forge.claims[name], ["admin"], 2**40, "x"]))
    text = json.dumps(forge.claims)
    pair = f"{json.dumps(name)}: {json.dumps(value)}"
    return forge.signed(forge.header, draw(st.sampled_from([f"{{{pair}, {text[1:]}", f"{text[:-1]}, {pair}}}"])))


def other_issuer(forge: Forge, draw: Draw) -> str:
    issuer = forge.claims["iss"]
    others = ["", "meroid ", issuer.upper(), f"{issuer}/", "https://evil.example", [issuer], None, 1, {"iss": issuer}]
    return forge.with_claims(iss=draw(st.sampled_from(others)))


def other_audience(forge: Forge, draw: Draw) -> str:
    audience = forge.claims["aud"]
    others = ["", "other", [audience], [audience, "other"], [], None, 1, True, {"aud": audience}]
    return forge.with_claims(aud=draw(st.sampled_from(others)))


def missing_claim(forge: Forge, draw: Draw) -> str:
    return forge.without(draw(st.sampled_from(sorted(forge.claims))))


def strange_time(forge: Forge, draw: Draw) -> str:
    return forge.with_claims(**{draw(st.sampled_from(["exp", "iat"])): draw(TIMES)})


def bare_number(forge: Forge, draw: Draw) -> str:
    """Numbers that Python's reader takes and JSON doesn't have, or that overflow."""
    written = draw(st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "01", "0x10", "1_000", "+1"]))
    text = json.dumps({**forge.claims, "exp": 0}).replace('"exp": 0', f'"exp": {written}')
    return forge.signed(forge.header, text)


def bad_permissions(forge: Forge, draw: Draw) -> str:
    return forge.with_claims(permissions=draw(BAD_PERMISSIONS))


def strange_claim(forge: Forge, draw: Draw) -> str:
    name = draw(st.sampled_from(["sub", "jti", "token_type", "account_id", "iss", "aud", "permissions"]))
    value = draw(JSON.filter(lambda each: each != forge.claims[name] and each != []))
    return forge.with_claims(**{name: value})


def bound_and_unbound(forge: Forge, draw: Draw) -> str:
    some = forge.claims["account_id"]
    named = {"context_id": some, "context_identity": some, "executor_public_key": some}
    return forge.with_claims(
        **{name: named[name] for name in draw(st.sets(st.sampled_from(sorted(named)), min_size=1))}
    )


def other_type(forge: Forge, draw: Draw) -> str:
    """A refresh token where an access token belongs, by name or as it is."""
    types = ["refresh", "Access", "ACCESS", "id", "", None, 1, ["access"], "challenge"]
    return draw(st.sampled_from([forge.refresh, *(forge.with_claims(token_type=each) for each in types)]))  # type: ignore[no-any-return]


def foreign_key_id(forge: Forge, draw: Draw) -> str:
    """Well-formed and well-signed, of a key or log-in that isn't there."""
    changed = draw(st.sampled_from(["sub", "jti"]))
    return forge.with_claims(**{changed: draw(SAFE) + ("." + draw(SAFE) if changed == "jti" else "")})


def huge(forge: Forge, draw: Draw) -> str:
    size = draw(st.integers(8_200, 50_000))
    return draw(  # type: ignore[no-any-return]
        st.sampled_from([forge.with_claims(filler="x" * size), "x" * size, "." * size, f"{forge.access}{'A' * size}"])
    )


def nested(forge: Forge, draw: Draw) -> str:
    depth = draw(st.integers(1, 2_500))
    opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}")]))
    deep = opening * depth + "1" + closing * depth if draw(st.booleans()) else opening * depth
    where = draw(st.sampled_from(["header", "claims"]))
    return forge.signed(deep, forge.claims) if where == "header" else forge.signed(forge.header, deep)


def truncated(forge: Forge, draw: Draw) -> str:
    return forge.access[: draw(st.integers(1, len(forge.access) - 1))]


def changed_character(forge: Forge, draw: Draw) -> str:
    at = draw(st.integers(0, len(forge.access) - 1))
    other = draw(st.sampled_from("ABCabc019-_=+/.%~!").filter(lambda each: each != forge.access[at]))
    return forge.access[:at] + other + forge.access[at + 1 :]  # type: ignore[no-any-return]


def respelled(forge: Forge, draw: Draw) -> str:
    """The same bytes in other letters: padding, the other alphabet, loose last bits."""
    parts = forge.access.split(".")
    which = draw(st.sampled_from([0, 1, 2]))
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = parts[which][:-1] + last[(last.index(parts[which][-1]) ^ 1) % 64]
    parts[which] = draw(st.sampled_from([parts[which] + "=", parts[which] + "==", loose, parts[which] + "A"]))
    return ".".join(parts)


def more_or_fewer_parts(forge: Forge, draw: Draw) -> str:
    header, claims, signature = forge.access.split(".")
    shapes = [
        f"{forge.access}.", f".{forge.access}", f"{forge.access}.{signature}", f"{header}.{claims}", f"{header}.{claims}.",
        f"{header}..{signature}", f".{claims}.{signature}", header, "..", "...", f"{header}.{claims}.{signature}.a.b",
    ]  # fmt: skip
    return draw(st.sampled_from(shapes))  # type: ignore[no-any-return]


def not_an_object(forge: Forge, draw: Draw) -> str:
    value = draw(st.sampled_from(["[]", "null", "1", '"x"', "", "{", "{}", "\ufeff{}", "[{}]", "true"]))
    return draw(st.sampled_from([forge.signed(value, forge.claims), forge.signed(forge.header, value)]))  # type: ignore[no-any-return]


FORGERIES = [
    alg_none, public_key_as_hmac_secret, other_algorithm, strange_kid, no_kid, anothers_key, wrong_typ, extra_header,
    duplicate_header, duplicate_claim, other_issuer, other_audience, missing_claim, strange_time, bare_number,
    bad_permissions, strange_claim, bound_and_unbound, other_type, foreign_key_id, huge, nested, truncated,
    changed_character, respelled, more_or_fewer_parts, not_an_object,
]  # fmt: skip
