"""Graphs for tests, in few words."""

from rootrun.compose.layered.graph import Graph, Node, StorePath


def path_of(name: str) -> StorePath:
    """Return the path that ``name`` stands for."""
    return StorePath(f"/nix/store/0000-{name}")


def graph_of(**edges: str) -> Graph:
    """Return a graph: ``graph_of(A="B C", B="", C="B:7")``; the number is the size, else 1."""
    nodes: dict[StorePath, Node] = {}
    for name, text in edges.items():
        references, _, size = text.partition(":")
        paths = tuple(path_of(other) for other in references.split())
        nodes[path_of(name)] = Node(paths, int(size or 1))
    return Graph(nodes)


def names(graph: object) -> str:
    """Return the names of the paths of ``graph`` in order, joined."""
    assert isinstance(graph, Graph)
    return "".join(sorted(path.rpartition("-")[2] for path in graph))


def random_graph(seed: int, count: int) -> Graph:
    """Return a graph of ``count`` paths without circles."""
    from random import Random

    random = Random(seed)
    paths = [path_of(f"p{number:04}") for number in range(count)]
    nodes = {}
    for number, path in enumerate(paths):
        few = random.sample(paths[:number], min(number, random.randint(0, 4)))
        nodes[path] = Node((path, *few), random.randint(1, 50))
    return Graph(nodes)
