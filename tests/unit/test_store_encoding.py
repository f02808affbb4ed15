"""How are bodies packed and unpacked?"""

import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.deploy.store.encoding import Unpacker, negotiate, pack
from spendgauge.deploy.store.protocol import StoreError

PACKED = ("lz4", "zstd", "gzip", "deflate", "br")


def unpack(data: bytes, encoding: str, limit_bytes: int = 1 << 24) -> bytes:
    """Unpack in pieces of seven bytes, so that every boundary is met."""
    unpacker = Unpacker(encoding, limit_bytes=limit_bytes)
    return b"".join([*(unpacker.feed(data[at : at + 7]) for at in range(0, len(data), 7)), unpacker.finish()])


@pytest.mark.parametrize("encoding", ["", *PACKED])
@given(chunks=st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_packed_unpacks_to_the_same(encoding: str, chunks: list[bytes]) -> None:
    """Packing in any pieces and unpacking in any pieces gives the bytes back."""
    assert unpack(b"".join(pack(chunks, encoding)), encoding) == b"".join(chunks)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)]
)
def test_several_streams_are_one_body(encoding: str, compress: object) -> None:
    """Streams one behind the other unpack to their contents one behind the other."""
    assert callable(compress)
    assert unpack(compress(b"one ") + compress(b"two"), encoding) == b"one two"


@pytest.mark.parametrize("encoding", PACKED)
def test_a_cut_body_is_an_error(encoding: str) -> None:
    """A body that ends in the middle is never taken for a whole one."""
    packed = b"".join(pack([bytes(range(256)) * 40], encoding))
    with pytest.raises(StoreError):
        unpack(packed[: len(packed) // 2], encoding)


@pytest.mark.parametrize("encoding", PACKED)
def test_a_broken_body_is_an_error(encoding: str) -> None:
    """Bytes that are not of the encoding are refused by its name."""
    with pytest.raises(StoreError, match=encoding):
        unpack(b"this is not packed at all, whatever the header says", encoding)


def test_a_body_may_not_grow_without_end() -> None:
    """A small body that unpacks to a large one is refused at the limit."""
    with pytest.raises(StoreError, match="larger than 1000 bytes"):
        unpack(gzip.compress(bytes(1 << 20)), "gzip", limit_bytes=1000)


def test_an_unknown_encoding_is_refused() -> None:
    """The refusal names the encoding and those that are known."""
    with pytest.raises(StoreError, match=r"'rot13' is not known; use one of .*lz4"):
        Unpacker("rot13", limit_bytes=1)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, gzip;q=0", "br"),
        ("lz4,zstd,br,gzip,deflate", "lz4"),
        ("GZIP", "gzip"),
    ],
)
def test_the_cheapest_accepted_encoding_is_chosen(accepted: str, chosen: str) -> None:
    """Of what the client accepts, the one that costs least time; an encoding with q=0 is not accepted."""
    assert negotiate(accepted) == chosen
