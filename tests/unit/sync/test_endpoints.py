import pytest

from meroid.sync.endpoints import Endpoint, advertised, parse_endpoint, ready_to_listen
from meroid.sync.errors import BadEndpointError, CannotListenError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp/192.0.2.1:7447", "192.0.2.1", 7447),
        ("tcp/[2001:DB8:0::1]:1", "2001:db8::1", 1),
        ("tcp/node-1.example:65535", "node-1.example", 65535),
    ],
)
def test_an_address_is_read_and_written(text: str, host: str, port: int) -> None:
    endpoint = parse_endpoint(text)

    assert endpoint == Endpoint(host=host, port=port)
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "", "tcp/", "tcp/:1", "tcp/a:", "tcp/a:0", "tcp/a:65536", "tcp/a:-1", "tcp/a:1 ", "tcp/a:1\n", "tcp/a:\u0661",
        "udp/a:1", "tls/a:1", "unixpipe/x", "serial/ttyS0:1", "tcp/a:1#iface=lo", "tcp/a:1?prio=1", "tcp/[::1:1",
        "tcp/[fe80::1%lo]:1", "tcp/[1:2]:3", "tcp/::1:5", "tcp/a/b:1", "TCP/a:1", "tcp/" + "a" * 254 + ":1",
    ],
)  # fmt: skip
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(BadEndpointError):
        parse_endpoint(text)


def test_port_zero_becomes_a_free_port() -> None:
    (ready,) = ready_to_listen([parse_endpoint("tcp/127.0.0.1:0", may_choose_port=True)])

    assert ready.port > 0


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(CannotListenError) as refused:
        ready_to_listen([Endpoint(host="203.0.113.7", port=7447)])
    assert refused.value.code == "cannot_listen"


def test_loopback_is_told_only_if_there_is_nothing_else_and_four_at_most() -> None:
    loopback = Endpoint(host="127.0.0.1", port=1)
    outside = [Endpoint(host=f"192.0.2.{number}", port=1) for number in range(6)]

    assert advertised([loopback]) == [loopback]
    assert advertised([loopback, *outside]) == outside[:4]
    assert advertised([]) == []
