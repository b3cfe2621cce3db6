"""Layered images of ``rootrun/nix``, built by Nix itself in its sandbox."""

import pytest

from tests.support.nix_functions import Functions, in_store, layer_names
from tests.support.workplace import (
    busybox_layer,
    config_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = [pytest.mark.userns, pytest.mark.peers]


def test_layered_image_has_a_layer_for_each_path(functions: Functions) -> None:
    """AC10, AC18, AC25, AC28: and what the scripts make is the layer on top."""
    image = functions.build(
        """buildLayeredImage {
          name = "Some/Layered"; tag = "1"; contents = [ program ]; compressor = "none";
          extraCommands = "mkdir -p -m 1777 tmp; ls bin/program";
          fakeRootCommands = "mkdir /home; chown 1000:1000 ./home; ln -s ${unused} home/unused";
          enableFakechroot = true;
          config = { Cmd = [ "/bin/program" ]; WorkingDir = "/home"; };
        }""",
        check=True,
    )
    assert image.name.endswith("-Layered.tar")
    assert manifest_of(image)["RepoTags"] == ["some/layered:1"]
    layers = layer_names(image)
    assert [in_store(layer) for layer in layers] == [["data"], ["library"], ["program"], ["unused"]]
    top = top_layer(image)
    assert (top["home/"].uid, top["home/"].gid) == (1000, 1000)
    assert top["tmp/"].mode == 0o1777
    assert top["bin/program"].linkname == f"{functions.path_of('program')}/bin/program"
    config = config_of(image)["config"]
    assert isinstance(config, dict)
    assert config["WorkingDir"] == "/home"


def test_layered_image_is_made_as_asked_for(functions: Functions) -> None:
    """AC17, AC19, AC27: on a base, in few layers, for another owner, at another time."""
    expression = """buildLayeredImage {
      name = "x"; fromImage = base; contents = program; compressor = "none";
      maxLayers = 3; uid = 1000; gid = 100; mtime = "1970-01-01T00:01:40Z"; created = "@7";
    }"""
    image = functions.image(expression)
    layers = layers_of(image)
    assert layers[0] == busybox_layer()
    assert len(layers) == 3
    (top,) = [one for name, one in top_layer(image).items() if name == "share/text"]
    assert (top.uid, top.gid, top.mtime) == (1000, 100, 100)
    assert config_of(image)["created"] == "1970-01-01T00:00:07Z"


@pytest.mark.parametrize(
    ("arguments", "layers"),
    [
        ("includeStorePaths = false;", [[]]),
        ('layeringPipeline = [ [ "popularity_contest" ] [ "limit_layers" 1 ] ];', None),
    ],
)
def test_paths_are_put_where_they_are_wanted(
    arguments: str,
    layers: list[list[str]] | None,
    functions: Functions,
) -> None:
    """AC35: without the store its links stay."""
    image = functions.build(
        f'buildLayeredImage {{ name = "x"; compressor = "none"; contents = program; {arguments} }}'
    )
    found = [in_store(layer) for layer in layer_names(image)]
    assert found == ([["data", "library", "program"], []] if layers is None else layers)
    assert "bin/program" in [*top_layer(image)]


def test_stream_is_a_script_that_writes_the_image(functions: Functions) -> None:
    """And takes the options of rootrun."""
    arguments = '{ name = "x"; contents = [ unused ]; config.Cmd = [ "${unused}" ]; }'
    built = functions.build(f'buildLayeredImage ({arguments} // {{ compressor = "none"; }})')
    known = functions.evaluate(
        f"{{ inherit (streamLayeredImage {arguments}) imageName imageTag isExe; }}"
    )
    names_there = manifest_of(built)["RepoTags"]
    assert isinstance(names_there, list)
    tag = names_there[0].removeprefix("x:")
    assert known == {"imageName": "x", "imageTag": tag, "isExe": True}
    streamed = functions.build(
        f"""runCommand "streamed.tar" {{ stream = streamLayeredImage {arguments}; }} ''
          test -x $stream; $stream > $out; $stream -q --tag other:2 > other.tar
          tar xOf other.tar manifest.json | grep '"other:2"'
        ''"""
    )
    assert streamed.read_bytes() == built.read_bytes()


def test_shell_image_has_what_the_builder_of_a_derivation_needs(
    functions: Functions,
) -> None:
    """AC40: of the store that is what it is built of, and not what it builds."""
    arguments = 'drv = program; run = "true";'
    image = functions.image(f'buildNixShellImage {{ {arguments} compressor = "none"; }}')
    tag = functions.evaluate('(streamNixShellImage { drv = program; run = "true"; }).imageTag')
    assert manifest_of(image)["RepoTags"] == [f"program-env:{tag}"]
    found = [name for layer in layer_names(image) for name in in_store(layer)]
    assert sorted(found) == ["busybox-env", "data", "library"]
    config = config_of(image)["config"]
    assert isinstance(config, dict)
    assert config["WorkingDir"] == "/build"
    assert f"out={functions.path_of('program')}" in config["Env"]
