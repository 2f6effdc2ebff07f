"""Bounds on everything that comes from outside: name, number, unit, reason."""

from typing import NamedTuple


class Limit(NamedTuple):
    """One bound."""

    name: str
    value: int
    unit: str
    reason: str


JSON_BODY = Limit("json_body", 2 * 1024 * 1024, "bytes", "the wire's limit for a JSON body")
OPERATION_BYTES = Limit("operation", 1024 * 1024, "bytes", "one operation fits a message of the transport")
OPERATION_PARENTS = Limit("parents", 64, "ids", "more concurrent heads than honest members make")
ALIAS_BYTES = Limit("alias", 50, "bytes", "the wire's limit for an alias")
CBOR_DEPTH = Limit("cbor_depth", 16, "levels", "the deepest value of ours has six")
UNBOUND_IDENTITIES = Limit("unbound_identities", 20, "client keys", "one per pending join is enough")
APPLICATION_BYTES = Limit("application", 64 * 1024 * 1024, "bytes", "larger modules don't compile in time")
APPLICATION_METADATA = Limit(
    "application_metadata", 64 * 1024, "bytes", "it stands in the first operation of every context of the application"
)
PAGE_OPERATIONS = Limit("page_operations", 256, "operations", "a page of history fits a message")
PAGE_BYTES = Limit("page_bytes", 4 * 1024 * 1024, "bytes", "a page of history fits a message")
CONTEXT_ENDPOINTS = Limit(
    "context_endpoints", 32, "addresses", "some of its members' nodes are found again through these"
)
LINK_OFFERS = Limit("link_offers", 16, "offers", "nobody brings in more devices at once")
CONTEXT_QUEUE = Limit("context_queue", 256, "calls", "a context that is slower than its callers says so")
JSON_DEPTH = Limit("json_depth", 128, "levels", "deeper JSON exhausts the stack of whoever walks it")
HTTP_HEAD = Limit("http_head", 64 * 1024, "bytes", "request line and headers; tokens take a few kB of it")
HTTP_HEAD_TIME = Limit(
    "http_head_time", 20, "seconds", "a client that sends its head slower holds a connection for nothing"
)
HTTP_BODY_TIME = Limit("http_body_time", 120, "seconds", "a client that sends its body slower holds memory for nothing")
HTTP_DISCARD = Limit(
    "http_discard", 16 * 1024 * 1024, "bytes", "what is read of a refused body so that the answer arrives"
)
HTTP_CONNECTIONS = Limit("http_connections", 4096, "connections", "each costs a descriptor and some kB")
HTTP_THREADS = Limit("http_threads", 64, "threads", "requests that run at the same time in one process")
HTTP_QUEUE = Limit("http_queue", 512, "requests", "more waiting requests than threads can serve in about a second")
SOCKET_FRAME = Limit("socket_frame", 64 * 1024, "bytes", "a subscription to the most contexts takes a fourth of it")
SOCKET_CONTEXTS = Limit("socket_contexts", 256, "contexts", "more than anybody watches at once, in one frame")
SOCKET_QUEUE = Limit("socket_queue", 16 * 1024 * 1024, "bytes", "two of the largest events wait for a slow reader")
SOCKET_STALL = Limit("socket_stall", 20, "seconds", "a reader that takes nothing for so long is cut off")
LOGIN_FAILURES = Limit(
    "login_failures", 50_000, "rows", "failed log-ins and failing addresses that are kept, oldest dropped; some MB"
)
KEY_LOG_ENTRY = Limit("key_log_entry", 64 * 1024, "bytes", "the largest entry names a recovery set of a few dozen keys")
CERTIFICATE_BYTES = Limit("certificate", 64 * 1024, "bytes", "every permission of a large account, and its signature")
PHRASE_BYTES = Limit("phrase", 1024, "bytes", "24 words have at most 215 letters and spaces")
ACCOUNT_KEYS = Limit("account_keys", 32, "keys", "more people than sign together for one account")
RECOVERY_MEMBERS = Limit("recovery_members", 32, "keys", "a circle whose members can still be asked one by one")
RECOVERY_LABEL = Limit("recovery_label", 64, "bytes", "a name that fits one line of a sheet")
PROOF_BYTES = Limit("proof", 16 * 1024, "bytes", "two keys, an audience and the signatures of a large account")
PROOF_AUDIENCE = Limit("proof_audience", 512, "bytes", "a name or an origin")
BACKUP_BYTES = Limit("backup", 64 * 1024 * 1024, "bytes", "the key log and the list of a very large account")
SHARE_BYTES = Limit("share", 512, "bytes", "33 words have at most 297 letters and spaces")
SHARES = Limit("shares", 16, "shares", "the most that SLIP-39 can make")
NEP413_BYTES = Limit("nep413", 16 * 1024, "bytes", "each text of a message that a person reads in a wallet")
ACCOUNTS = Limit("accounts", 10_000, "accounts", "whoever keeps more has set auth.max_accounts on purpose")
ACCOUNT_LABEL = Limit("account_label", 64, "characters", "a name that fits one cell of a table")
SIGN_UPS_PER_HOUR = Limit("sign_ups_per_hour", 5, "accounts", "a household behind one address signs up within an hour")
LOGIN_LINKS = Limit("login_links", 1000, "open links", "more than an owner sends out at once")
LOGIN_LINKS_OF_GUEST = Limit("login_links_of_guest", 10, "open links", "nobody invites more people at once")
