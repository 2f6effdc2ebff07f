"""What a proof has to name while a proxy asks about somebody else's request."""

import pytest

from meroid.auth.dpop import Target
from meroid.auth.first_owner import Peer
from meroid.http.presented import forwarded_target

PROXY = Peer(address="203.0.113.7", via_proxy=True)
TOLD = {"x-forwarded-proto": "https", "x-forwarded-host": "app.example"}


@pytest.mark.parametrize("names", [("x-forwarded-method", "x-forwarded-uri"), ("x-original-method", "x-original-uri")])
def test_either_proxys_names_tell_the_request(names: tuple[str, str]) -> None:
    said = dict(zip(names, ("delete", "/things?a,b"), strict=True))
    target = forwarded_target({**TOLD, **said}, PROXY, None)
    assert target == Target(method="DELETE", url="https://app.example/things?a,b")


@pytest.mark.parametrize("lie", [{"x-forwarded-method": "GET"}, {"x-forwarded-uri": "/open"}])
def test_a_client_that_adds_the_other_name_has_its_proof_not_judged(lie: dict[str, str]) -> None:
    said = {**TOLD, "x-original-method": "DELETE", "x-original-uri": "/things"}
    assert forwarded_target({**said, **lie}, PROXY, None) is None
