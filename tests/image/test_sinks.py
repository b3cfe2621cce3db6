"""What all kinds of output have in common: content, bytes, failures."""

import os
from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, OutputError
from rootrun.image.archive_member import member_header
from rootrun.image.compression import Compression
from rootrun.image.reference import parse_output_reference
from rootrun.image.sink import open_sink
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.header import parse_header
from tests.image.writing import NAMES, NEW_LAYER, opened, write_image
from tests.support.image_check import assert_image_valid
from tests.support.images import docker_archive, oci_layout
from tests.support.tarball import directory, file, tarball

LAYERS = [tarball(directory("etc"), file("etc/a", b"lower")), tarball(file("etc/b", b"upper"))]

outputs = pytest.mark.parametrize("output", ["docker-archive:out", "oci-archive:out", "oci:out"])
compressions = pytest.mark.parametrize(
    "compression", [Compression.NONE, Compression.GZIP, Compression.ZSTD], ids=lambda c: c.value
)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return docker_archive(tmp_path / "base.tar", LAYERS, config={"Env": ["A=1"]})


@outputs
@compressions
def test_output_holds_the_base_and_one_layer_more(
    base: Path, output: str, compression: Compression
) -> None:
    written = write_image(base, output, compression=compression, forked=True)
    image = assert_image_valid(Path("out"))
    assert image.layers == [*LAYERS, NEW_LAYER]
    assert image.config_digest == written.image_id
    assert image.names == list(NAMES)


@outputs
@compressions
def test_same_inputs_give_the_same_bytes(base: Path, output: str, compression: Compression) -> None:
    contents = []
    for umask in (0o022, 0o077):
        previous = os.umask(umask)
        try:
            write_image(base, output, compression=compression)
        finally:
            os.umask(previous)
        contents.append(_bytes_of(Path("out")))
        os.rename("out", f"out-{umask}")
    assert contents[0] == contents[1]


@outputs
@pytest.mark.parametrize("compression", ["gzip", "zstd", "bzip2", "xz"])
@pytest.mark.parametrize("dialect", ["docker", "oci"])
def test_base_blobs_pass_byte_for_byte(
    output: str, compression: str, dialect: str, tmp_path: Path
) -> None:
    write = docker_archive if dialect == "docker" else oci_layout
    base = write(tmp_path / "compressed", LAYERS, compression=compression)
    write_image(base, output)
    stored = [layer.blob.head(1 << 20) for layer in opened(base).layers]
    copied = [layer.blob.head(1 << 20) for layer in opened("out").layers]
    assert copied[:-1] == stored


@outputs
def test_layer_that_is_listed_twice_is_stored_once(output: str, tmp_path: Path) -> None:
    big = tarball(file("big", os.urandom(100_000)))
    base = docker_archive(tmp_path / "twice.tar", [big, LAYERS[0], big])
    write_image(base, output)
    assert assert_image_valid(Path("out")).layers == [big, LAYERS[0], big, NEW_LAYER]
    assert len(_bytes_of(Path("out"))) < 2 * len(big)


@outputs
def test_layer_that_the_base_has_already_is_not_stored_again(output: str, base: Path) -> None:
    write_image(base, output, layers=[LAYERS[0]])
    assert assert_image_valid(Path("out")).layers == [*LAYERS, LAYERS[0]]


@outputs
@pytest.mark.parametrize("layers", [[NEW_LAYER], []], ids=["one-layer", "no-layer"])
def test_image_without_base_is_valid(output: str, layers: list[bytes]) -> None:
    write_image(None, output, layers=layers)
    assert assert_image_valid(Path("out")).layers == layers


@outputs
@compressions
def test_layers_follow_each_other_and_equal_ones_are_stored_once(
    base: Path, output: str, compression: Compression
) -> None:
    big = tarball(file("big", os.urandom(100_000)))
    layers = [big, NEW_LAYER, big, LAYERS[0], NEW_LAYER]
    write_image(base, output, layers=layers, compression=compression)
    assert assert_image_valid(Path("out")).layers == [*LAYERS, *layers]
    assert len(_bytes_of(Path("out"))) < 2 * len(big)


@outputs
@compressions
def test_layer_that_is_added_has_the_bytes_of_one_that_is_packed(
    base: Path, output: str, compression: Compression
) -> None:
    layers = [NEW_LAYER, LAYERS[0], NEW_LAYER]
    write_image(base, output, layers=layers, compression=compression)
    os.rename("out", "packed")
    write_image(None, "oci:stored", layers=layers, compression=compression)
    write_image(base, output, layers=opened("stored").layers, compression=compression)
    assert _bytes_of(Path("out")) == _bytes_of(Path("packed"))


@outputs
def test_layers_can_be_read_before_the_image_is_complete(base: Path, output: str) -> None:
    target = parse_output_reference(output)
    with open_sink(target, base=opened(base).layers, scratch=Path()) as sink:
        for content in (NEW_LAYER, LAYERS[0], NEW_LAYER):
            with sink.new_layer() as new:
                new.write(content)
        read = [layer.blob.read(limit_bytes=1 << 20, where="layer") for layer in sink.layers]
    assert read == [*LAYERS, NEW_LAYER, LAYERS[0], NEW_LAYER]


@outputs
def test_chain_of_outputs_accumulates_layers(output: str, base: Path) -> None:
    write_image(base, output)
    os.rename("out", "first")
    write_image("first", output, layers=[tarball(file("second"))])
    image = assert_image_valid(Path("out"))
    assert image.layers == [*LAYERS, NEW_LAYER, tarball(file("second"))]


@outputs
def test_200_layers_pass(output: str, tmp_path: Path) -> None:
    layers = [tarball(file(f"f{n}")) for n in range(200)]
    write_image(docker_archive(tmp_path / "many.tar", layers), output)
    assert len(assert_image_valid(Path("out")).layers) == 201


@outputs
def test_base_that_is_not_what_its_digests_say_leaves_nothing(output: str, base: Path) -> None:
    content = base.read_bytes()
    base.write_bytes(content.replace(b"upper", b"UPPER"))
    with pytest.raises(DigestMismatchError, match="layer 2 of 2: diff_id: want sha256:"):
        write_image(base, output)
    assert os.listdir() == ["base.tar"]


@outputs
def test_base_that_is_vouched_for_is_not_read(output: str, base: Path) -> None:
    base.write_bytes(base.read_bytes().replace(b"upper", b"UPPER"))
    write_image(base, output, is_verified=lambda _: True)
    with pytest.raises(AssertionError):
        assert_image_valid(Path("out"))


@outputs
def test_failure_between_open_and_commit_leaves_nothing(output: str, base: Path) -> None:
    target = parse_output_reference(output)
    with pytest.raises(ZeroDivisionError), open_sink(target, base=(), scratch=Path()) as sink:  # noqa: PT012
        with sink.new_layer() as layer:
            layer.write(b"half of it")
        raise ZeroDivisionError
    assert os.listdir() == ["base.tar"]


@outputs
def test_missing_directory_is_told_before_anything_is_written(output: str) -> None:
    target = parse_output_reference(output.replace(":", ":missing/"))
    with (
        pytest.raises(OutputError, match="write image: missing/out: No such file or directory"),
        open_sink(target, base=(), scratch=Path()),
    ):
        pass


def test_size_beyond_octal_is_written_in_one_block() -> None:
    entry = Entry(path=EntryPath("big"), type=EntryType.FILE, mode=0o644, size_bytes=1 << 40)
    header = member_header(entry)
    assert len(header) == 512
    assert parse_header(header).size_bytes == 1 << 40


def _bytes_of(path: Path) -> bytes:
    if path.is_file():
        return path.read_bytes()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return b"".join(os.fsencode(file.relative_to(path)) + file.read_bytes() for file in files)
