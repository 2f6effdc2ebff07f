"""The root key that a command line names: a file, words, or a token; and asking the node with its proof."""

from argparse import Namespace

from meroid.account.seed import Seed
from meroid.cli.meroctl.secret_input import bytes_from, need_terminal, secret_from, typed_secret
from meroid.cli.meroctl.session import Session
from meroid.client.exchange import Response, decode_json
from meroid.client.failures import RefusedError, code_of
from meroid.client.proofs import NearKey, OfferedChallenge, Phrase, RootKey
from meroid.ids import AccountId

_RETIRED = "account_key_retired"
_MOST_GENERATIONS = 256


def named_key(args: Namespace) -> RootKey | None:
    """The key that was named beside passwords, if one was."""
    if args.near_key_file is not None:
        return NearKey.from_file(bytes_from(args.near_key_file, "NEAR key"))
    if args.phrase or args.phrase_file is not None:
        account = None if args.account is None else AccountId.parse(args.account)
        return Phrase(Seed.from_words(_words(args.phrase_file)), account_id=account)
    if args.pkcs11 is not None:
        from meroid.cli.meroctl.hardware_key import open_hardware_key  # noqa: PLC0415 - few log in with a token

        return open_hardware_key(args.pkcs11)
    return None


def challenge_for(session: Session, key: RootKey) -> OfferedChallenge:
    """A challenge of the node for that key."""
    host = session.routes.client.address.host
    return OfferedChallenge.read(session.routes.challenge(key.method), host=host)


def request_tokens(session: Session, key: RootKey, rest: dict[str, object], extra: dict[str, object]) -> Response:
    """The answer to a log-in with that key; with words, the account key of the generation that is in force.

    The node says that a key was replaced only to who holds it, and a refused proof uses no challenge up.
    """
    challenge = challenge_for(session, key)
    while True:
        proof = key.to_log_in(challenge).body()
        fields = proof["provider_data"]
        if extra and isinstance(fields, dict):
            fields |= extra
        response = session.routes.request_token({**proof, **rest})
        if not (isinstance(key, Phrase) and key.generation < _MOST_GENERATIONS and _is_retired(response)):
            return response
        key = key.next()


def bind(session: Session, key: RootKey, account_id: AccountId) -> object:
    """The answer to binding that key to the account that is logged in."""
    challenge = challenge_for(session, key)
    while True:
        try:
            return session.routes.bind_root_key(key.to_bind(challenge, account_id).body())
        except RefusedError as error:
            if not (isinstance(key, Phrase) and key.generation < _MOST_GENERATIONS and code_of(error) == _RETIRED):
                raise
            key = key.next()


def _is_retired(response: Response) -> bool:
    try:
        decode_json(response)
    except RefusedError as error:
        return code_of(error) == _RETIRED
    return False


def _words(file: str | None) -> str:
    if file is not None:
        return secret_from(file, "recovery phrase")
    need_terminal("recovery phrase", "--phrase-file")
    return typed_secret("Recovery words: ", "recovery phrase")
