"""The page's source: types, the rules' golden vectors, and the committed build."""

from pathlib import Path

from emovox.webpage.page import BUILT_PAGE

from .conftest import run_node


def read_all(folder: Path) -> dict[str, bytes]:
    """Return the content of all files in a folder, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_types_and_golden_vectors(page_source: Path) -> None:
    run_node(page_source, "tsc", "--noEmit")
    run_node(page_source, "vitest", "run")


def test_the_committed_page_is_what_its_source_builds(page_source: Path, tmp_path: Path) -> None:
    run_node(page_source, "vite", "build", "--outDir", str(tmp_path / "page"))
    built, committed = read_all(tmp_path / "page"), read_all(BUILT_PAGE)
    assert sorted(built) == sorted(committed), "run 'make page', and commit what it builds"
    differing = [name for name in built if built[name] != committed[name]]
    assert not differing, "run 'make page', and commit what it builds"
