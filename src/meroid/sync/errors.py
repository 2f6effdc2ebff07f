"""What the transport refuses, besides a peer that can't be reached (which the port itself names)."""

from meroid.errors import InvalidInputError, UnavailableError


class BadTopicError(InvalidInputError):
    """A topic or handle is not 32 lower-case hex digits."""

    code = "bad_topic"
    next_step = "derive the topic from the context"


class BadEndpointError(InvalidInputError):
    """An address has a form that this node can't listen on or connect to."""

    code = "bad_endpoint"
    next_step = "write it as tcp/host:port, an IPv6 host in brackets"


class MessageTooLargeError(InvalidInputError):
    """A message is larger than what a peer accepts."""

    code = "message_too_large"
    next_step = "send it in smaller pieces"


class CannotListenError(UnavailableError):
    """An address to listen on can't be bound."""

    code = "cannot_listen"
    next_step = "free the port, or choose another: `swarm.listen` in config.toml, or `merod init --swarm-port`"


class TransportClosedError(UnavailableError):
    """The transport was closed; the node is going down."""

    code = "transport_closed"
    next_step = "start the node again"
