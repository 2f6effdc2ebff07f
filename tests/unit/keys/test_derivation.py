"""SLIP-0010 Ed25519 against its published vectors."""

import pytest
from hypothesis import given, strategies as st

from meroid.keys.derivation import BadKeyPathError, ExtendedKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

SEED_1 = "000102030405060708090a0b0c0d0e0f"
SEED_2 = (
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
    "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542"
)
# SLIP-0010, "Test vector 1/2 for ed25519": path, chain code, private key, public key.
VECTORS = [
    (
        SEED_1,
        (),
        "90046a93de5380a72b5e45010748567d5ea02bbf6522f979e05c0d8d8ca9fffb",
        "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
        "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
    ),
    (
        SEED_1,
        (0,),
        "8b59aa11380b624e81507a27fedda59fea6d0b779a778918a2fd3590e16e9c69",
        "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
        "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
    ),
    (
        SEED_1,
        (0, 1, 2, 2, 1000000000),
        "68789923a0cac2cd5a29172a475fe9e0fb14cd6adb5ad98a3fa70333e7afa230",
        "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
        "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
    ),
    (
        SEED_2,
        (),
        "ef70a74db9c3a5af931b5fe73ed8e1a53464133654fd55e7a66f8570b8e33c3b",
        "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
        "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
    ),
    (
        SEED_2,
        (0, 2147483647, 1, 2147483646, 2),
        "5d70af781f3a37b829f0d060924d5e960bdc02e85423494afc0b1a41bbe196d4",
        "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
        "47150c75db263559a70d5778bf36abbab30fb061ad69f69ece61a72b0cfa4fc0",
    ),
]


@pytest.mark.parametrize(("seed", "path", "chain_code", "private", "public"), VECTORS)
def test_the_published_vectors_hold(
    seed: str, path: tuple[int, ...], chain_code: str, private: str, public: str
) -> None:
    node = ExtendedKey.master(Secret(bytes.fromhex(seed))).derive(path)
    assert node.chain_code.reveal().hex() == chain_code
    assert node.secret.reveal().hex() == private
    assert SoftwareSigner(node.secret).public_key.hex() == public


@given(st.lists(st.integers(0, 2**31 - 1), max_size=4), st.lists(st.integers(0, 2**31 - 1), max_size=4))
def test_a_path_may_be_walked_in_pieces(first: list[int], second: list[int]) -> None:
    master = ExtendedKey.master(Secret(bytes(range(64))))
    whole = master.derive((*first, *second))
    assert master.derive(tuple(first)).derive(tuple(second)).secret.reveal() == whole.secret.reveal()


@pytest.mark.parametrize("index", [-1, 2**31, 2**40])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(BadKeyPathError):
        ExtendedKey.master(Secret(bytes(64))).child(index)


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_seed_of_another_length_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        ExtendedKey.master(Secret(bytes(size)))


def test_a_node_hides_its_keys() -> None:
    node = ExtendedKey.master(Secret(bytes.fromhex(SEED_1)))
    assert node.secret.reveal().hex() not in repr(node)
    node.wipe()
    assert node.secret.reveal() == bytes(32)
