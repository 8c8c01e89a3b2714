"""Receipts over HTTP: the file byte for byte, the page, the PDF, and the page that checks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from urllib.parse import urljoin

import pytest

from tests import forged
from tests.web.conftest import Api
from tests.web.test_pages import parsed
from withhold.adapters.signing import verifies
from withhold.domain import receipts as files
from withhold.domain.canonical_json import canonical
from withhold.domain.checkpoints import Trust
from withhold.formats.receipt_words import told
from withhold.web import receipt_page, verify_page


@pytest.fixture
def url(api: Api) -> str:
    api.account("ana")
    return str(api.turn("ana", allowed=False).json()["receipt_url"])


def checked(api: Api, data: bytes) -> files.Verified:
    return files.verify(data, Trust(api.ports.log.origin, api.ports.log.keys()), verifies)


def test_the_answer_is_the_file_byte_for_byte(api: Api, url: str) -> None:
    for address in (url, f"{url}.json"):
        answered = api.send("GET", address)
        assert answered.headers["content-type"] == "application/json"
        assert checked(api, answered.content).facts.subject == "ana"
        assert 'filename="receipt-3.json"' in answered.headers["content-disposition"]
        assert answered.headers["cache-control"] == "no-store"


def test_the_form_to_show_to_others_is_given_when_asked_for(api: Api, url: str) -> None:
    answered = api.send("GET", f"{url}?form=redacted")
    assert checked(api, answered.content).facts.subject is None
    assert 'filename="receipt-3-redacted.json"' in answered.headers["content-disposition"]
    page = api.send("GET", f"{url}.html?form=redacted").text
    assert "not told in this form" in page
    assert "account ana" not in page
    assert api.send("GET", f"{url}?form=short").status_code == 400


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/pdf", "application/pdf"),
        ("image/png", "application/json"),
    ],
)
def test_the_accept_header_chooses_between_file_page_and_pdf(
    api: Api, url: str, accept: str, kind: str
) -> None:
    answered = api.send("GET", url, headers={"Accept": accept})
    assert answered.headers["content-type"] == kind
    assert answered.headers["vary"] == "Accept"


def test_the_page_says_what_stands_in_the_receipt_and_lets_nothing_in(api: Api, url: str) -> None:
    answered = api.send("GET", f"{url}.html")
    for words in (
        "Training on your Vibe data: off",
        "account ana",
        "What it does not prove",
        "position 3",
    ):
        assert words in answered.text
    policy = answered.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = parsed(answered.text)
    assert not {"script", "style", "iframe", "form"} & set(page.tags)
    for link in page.links:
        assert api.send("GET", urljoin(f"{url}.html", link)).status_code == 200, link
    assert api.ports.log.keys()[-1].key.id.hex() in answered.text


def test_what_only_programs_read_stands_below_on_the_page(api: Api, url: str) -> None:
    text = api.send("GET", f"{url}.html").text
    people, _, programs = text.partition("<summary>Technical</summary>")
    for name in ("Signed with", "Proven in", "SHA-256", "dpv:"):
        assert name not in people
        assert name in programs
    assert "<dd>API</dd>" in people
    assert text.count("<dt>Recorded</dt>") == 1


@pytest.mark.parametrize(
    ("position", "title"), [(1, "Policy adopted"), (2, "Account opened"), (3, "data: off")]
)
def test_the_title_of_a_page_says_in_a_few_words_what_was_recorded(
    api: Api, url: str, position: int, title: str
) -> None:
    address = url.replace("/3", f"/{position}")
    assert f"{title}</h1>" in api.send("GET", f"{address}.html").text


def test_a_choice_that_took_a_while_says_both_times() -> None:
    earlier = int(str(forged.EVENT["recorded_at"])) - 3_000
    event = canonical({**forged.EVENT, "requested_at": earlier})
    asked = files.read(forged.receipt(event=event, requested_at=earlier))
    at_once = files.read(forged.receipt())
    assert "Requested" in dict(told(asked).plain)
    assert "Requested" not in dict(told(at_once).plain)
    assert dict(told(at_once).plain)["Control"] == "Admin Console"


def test_names_in_a_page_are_escaped(api: Api) -> None:
    api.account("<b>ana")
    url = api.turn("<b>ana", allowed=False).json()["receipt_url"]
    text = api.send("GET", f"{url}.html").text
    assert "&lt;b&gt;ana" in text
    assert "<b>" not in text


def test_the_pdf_has_the_very_file_in_it(api: Api, url: str) -> None:
    pdf = api.send("GET", f"{url}.pdf").content
    assert pdf.startswith(b"%PDF-")
    assert b"/EmbeddedFile" in pdf
    begins = pdf.index(b'{"event":')
    ends = pdf.index(b"\nendstream", begins)
    assert checked(api, pdf[begins:ends].rstrip(b"\n") + b"\n").position == 3


def test_a_pdf_of_a_name_without_western_letters_can_be_drawn(api: Api) -> None:
    api.account("Ана-安")
    url = api.turn("Ана-安", allowed=False).json()["receipt_url"]
    pdf = api.send("GET", f"{url}.pdf")
    assert pdf.status_code == 200
    assert "Ана-安".encode() in pdf.content  # in the file that is attached


def test_another_ending_and_receipts_without_a_token_are_refused(api: Api, url: str) -> None:
    assert api.send("GET", f"{url}.docx").status_code == 400
    assert api.client.get(url).status_code == 401
    assert api.send("GET", "/v1/receipts/99.pdf").status_code == 404


# --- the page that checks -------------------------------------------------------------------------


def test_the_page_that_checks_connects_to_nothing_and_needs_no_token(api: Api) -> None:
    answered = api.client.get("/verify")
    policy = answered.headers["content-security-policy"]
    assert "connect-src 'none'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|data:|http|\*", policy)
    assert str(api.ports.log.keys()[0].key) in answered.text.replace("&#43;", "+")
    page = parsed(answered.text)
    assert "style" not in page.attributes
    for link in page.links:
        found = api.client.get(link)
        assert found.status_code == 200, link
        assert found.headers["x-content-type-options"] == "nosniff"
    assert api.client.get("/verify/page.py").status_code == 404


def test_the_page_as_one_file_allows_its_own_script_and_style_by_hash_alone() -> None:
    text = verify_page.alone()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    said = policy[1].replace("&#39;", "'")
    assert "connect-src 'none'" in said
    assert "'self'" not in said
    for tag in ("style", 'script type="module"'):
        inside = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in said
    assert not parsed(text).links


def test_the_printed_page_as_one_file_links_to_nothing(api: Api, url: str) -> None:
    document = json.loads(api.send("GET", url).content)
    text = receipt_page.alone(document, [])
    assert not parsed(text).links
    assert "style-src 'sha256-" in text.replace("&#39;", "'")
