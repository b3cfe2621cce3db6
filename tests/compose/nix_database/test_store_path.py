"""Store paths and hashes in the spellings of Nix."""

import base64
import hashlib
import subprocess

import pytest

from rootrun.compose.nix_database.store_path import base_32_of, parse_sha256, parse_store_path
from tests.support.require import require_program

_PATH = f"/nix/store/{'0' * 32}-a"


@pytest.mark.parametrize("name", ["a", "A.b-c_d+e?f=9", ".hidden", "x" * 211])
def test_a_store_path_is_a_hash_and_a_name(name: str) -> None:
    path = f"/nix/store/{'abcdfghijklmnpqrsvwxyz0123456789'}-{name}"
    assert parse_store_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "/etc", "nix/store/x", "/nix/store", "/nix/store/", "/nix/store/..", "relative"),
        *(f"/nix/store/{'e' * 32}-a", f"/nix/store/{'0' * 31}-a", f"/nix/store/{'0' * 32}"),
        *(f"{_PATH}/", f"{_PATH}/b", f"{_PATH} ", f"{_PATH}\n", f"{_PATH}é", f"/gnu{_PATH}"),
        *(f"/nix/store/../store/{'0' * 32}-a", f"/nix/store/{'0' * 32}-" + "x" * 212),
    ],
)
def test_all_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no store path"):
        parse_store_path(text)


@pytest.mark.parametrize("content", [b"", b"a", b"nix"])
def test_each_spelling_of_a_hash_is_read(content: bytes) -> None:
    digest = hashlib.sha256(content)
    base_32 = _by_nix("to-base32", digest.hexdigest())
    sri = f"sha256-{base64.b64encode(digest.digest()).decode()}"
    assert _by_nix("to-sri", digest.hexdigest()) == sri
    assert base_32_of(digest.digest()) == base_32
    for text in (digest.hexdigest(), base_32, sri):
        assert parse_sha256(text) == digest.hexdigest()
    for text in (digest.hexdigest(), base_32):
        assert parse_sha256(f"sha256:{text}") == digest.hexdigest()


def _by_nix(form: str, text: str) -> str:
    argv = [str(require_program("nix")), "--extra-experimental-features", "nix-command"]
    done = subprocess.run(
        [*argv, "hash", form, "--type", "sha256", text], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256:", "md5:" + "0" * 32, "0" * 63, "0" * 65, "0" * 51, "e" * 52),
        *("z" * 52, "sha256-" + "A" * 44, "A" * 43 + "=", "sha512:" + "0" * 64, "F" * 64),
    ],
)
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no SHA-256"):
        parse_sha256(text)
