"""Pages opened in a headless browser, and a toy run to look at."""

from pathlib import Path

import pytest

from harness import cli
from harness.evidence.store import Run, load_run


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Run:
    """A toy run with the trees of two prompts, its report and its page."""
    place = tmp_path_factory.mktemp("page")
    options = ["--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--set", "evaluate.trace=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main(["run", "--workers", "1", "--out", str(place), *options]) == 0
    (folder,) = (place / "runs").iterdir()
    assert cli.main(["report", str(folder), "--html"]) == 0
    return load_run(folder)


@pytest.fixture
def opened(browser):
    """Open a file in a window of its own; errors and requests for anything but files fail the test.

    `requested` of the page lists what it has loaded.
    """
    pages, wrong = [], []

    def open_page(path: Path, width: int = 1000, scheme: str = "light", hash: str = ""):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.set_default_timeout(120_000)
        page.requested = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.on("request", lambda r: page.requested.append(r.url.split("#")[0]))
        page.goto(path.as_uri() + hash)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []
