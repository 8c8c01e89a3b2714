"""What must not happen while a page is open, and whether it did.

A test fails on an error in the console (a refusal by the content security policy is one), on an exception
of a script, on a request to the own server that failed, and on an answer without the strict policy. What a
test brings about on purpose it takes away with `expected`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

LOST = "ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|Failed to fetch|network error"
"""What is told, in several ways, of a server that is gone."""

OWN = re.compile(r"http://(?:127\.0\.0\.1|localhost)[:/]")
ABORTED = "net::ERR_ABORTED"  # a page was left while a request of it was under way


@dataclass  # without slots: Playwright keeps a note of each handler on its object
class Watch:
    """Everything that went wrong in one browser context so far."""

    problems: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch every page of a context, those that are opened later as well."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("requestfailed", self._on_failure)
        context.on("response", self._on_response)

    def expected(self, pattern: str) -> None:
        """Take away the problems that a test brought about, of which there must be one."""
        found = [problem for problem in self.problems if re.search(pattern, problem)]
        assert found, f"nothing like {pattern!r} happened, but {self.problems}"
        self.problems = [problem for problem in self.problems if problem not in found]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            place = message.location.get("url", "")
            self.problems.append(f"console {message.type}: {message.text} ({place})")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"exception: {error.error}")

    def _on_failure(self, request: Request) -> None:
        if OWN.match(request.url) and request.failure != ABORTED:
            self.problems.append(f"failed: {request.method} {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if OWN.match(response.url):
            self.problems += [
                f"policy: {response.status} {response.url} {what}"
                for what in weaknesses(response.headers)
            ]


def weaknesses(headers: dict[str, str]) -> Iterator[str]:
    """Yield what an answer's headers let in that no page of ours needs."""
    policy = headers.get("content-security-policy", "")
    if "default-src 'none'" not in policy:
        yield "has no content security policy that begins with nothing"
    if "unsafe" in policy or "data:" in policy or "*" in policy or "http" in policy:
        yield f"lets in what could be foreign: {policy}"
    if headers.get("x-content-type-options") != "nosniff":
        yield "may be sniffed"
    if not headers.get("content-type", "").startswith("text/html"):
        return
    if "frame-ancestors 'none'" not in policy:
        yield "can be framed"
    if "base-uri 'none'" not in policy:
        yield "lets a base address in"
