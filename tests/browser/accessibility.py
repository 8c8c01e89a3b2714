"""axe-core on a page, as it stands.

It is put in through the debugger, so that the page's own content security policy stays in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

SOURCE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
  const found = await axe.run(document, {
    runOnly: {type: "tag", values: tags},
    resultTypes: ["violations"],
  });
  return found.violations.flatMap((violation) => violation.nodes.map(
    (node) => `${violation.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}"""
SCRIPT = re.compile(r"<script\b.*?</script>|</?noscript>", re.DOTALL)

_source = SOURCE.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.0 to 2.2, levels A and AA, and its best practices."""
    if not page.evaluate("matchMedia('(scripting: enabled)').matches"):
        with _copy(page) as copy:
            return violations(copy)
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_source)
    return page.evaluate(RUN, TAGS)


@contextmanager
def _copy(page: Page) -> Iterator[Page]:
    """Open what a page without scripts shows where axe can run: it waits by timers, which need scripts."""
    text = SCRIPT.sub("", page.content())
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(
        viewport=page.viewport_size,
        color_scheme="dark" if is_dark else "light",
        reduced_motion="reduce",
    )
    context.route(page.url, lambda route: route.fulfill(body=text, content_type="text/html"))
    copy = context.new_page()
    copy.goto(page.url)
    yield copy
    context.close()
