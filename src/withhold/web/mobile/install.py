"""What makes the mobile web app installable: its manifest, its worker, and the page without a network.

The worker keeps one page, the one that says that there is no network. It keeps no state and queues no
change: a switch that cannot reach the server is not turned, and says so.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get

from withhold.domain.surfaces import MOBILE, pages
from withhold.web import static
from withhold.web.auth import ports_of
from withhold.web.rendering import INSTALLABLE, PLAIN, draw, page
from withhold.web.routes import off_loop

BASE = "/m"


@get(BASE + "/manifest.webmanifest")
async def get_manifest(request: Request[Any, Any, Any]) -> Response[Any]:
    """Give what a browser needs to install the application."""
    title = await off_loop(_title, request)
    icons = [
        {"src": static.address("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        {"src": static.address("app-192.png"), "sizes": "192x192", "type": "image/png"},
        {"src": static.address("app-512.png"), "sizes": "512x512", "type": "image/png"},
        {
            "src": static.address("app-512.png"),
            "sizes": "512x512",
            "type": "image/png",
            "purpose": "maskable",
        },
    ]
    manifest = {
        "id": BASE,
        "name": f"Withhold {title}",
        "short_name": "Withhold",
        "description": "Whether what you make may be used, and where it went.",
        "start_url": BASE,
        "scope": BASE,
        "display": "standalone",
        "background_color": "#f2f2f5",
        "theme_color": "#f2f2f5",
        "icons": icons,
    }
    headers = {**PLAIN, "Cache-Control": "no-cache"}
    content = msgspec.json.encode(manifest)
    return Response(content, media_type="application/manifest+json", headers=headers)


@get(BASE + "/sw.js", sync_to_thread=False)
def get_worker() -> Response[Any]:
    """Give the worker, which names the files of this release."""
    files = [static.address(name) for name in ("base.css", "mobile.css", "vendor/inter.woff2")]
    text = draw("mobile/sw.js", {"digest": static.statics().digest, "files": files})
    headers = {
        **INSTALLABLE,
        "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
        "Cache-Control": "no-cache",
        "Service-Worker-Allowed": BASE,
    }
    return Response(text, media_type="text/javascript", headers=headers)


@get(BASE + "/offline", sync_to_thread=False)
def get_offline() -> Response[Any]:
    """Give the page that is shown without a network."""
    return page("mobile/offline.html", {"base": BASE}, PLAIN)


def _title(request: Request[Any, Any, Any]) -> str:
    with ports_of(request).ledger.directory() as directory:
        found = pages(directory.policy, MOBILE)
    return found[0].surface if found else ""


HANDLERS = (get_manifest, get_worker, get_offline)
