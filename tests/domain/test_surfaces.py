"""Pages come from the policy's paths: groups, labels, sections and addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

import withhold
from withhold.domain import policy_file
from withhold.domain.policy import Policy
from withhold.domain.surfaces import CONSOLE, MOBILE, Page, pages

TEXT = (Path(withhold.__file__).parent / "policies" / "default.toml").read_text(encoding="utf-8")
SHIPPED = policy_file.loads(TEXT)


def changed(*replacements: tuple[str, str]) -> Policy:
    text = TEXT
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return policy_file.loads(text)


def shape(found: tuple[Page, ...]) -> list[tuple[str, tuple[str, ...], str, list[str]]]:
    return [(p.slug, p.group, p.label, [str(each.product.id) for each in p.places]) for p in found]


def test_a5_and_a10_the_console_has_vibe_under_manage_and_privacy_beside_it() -> None:
    found = pages(SHIPPED, CONSOLE)
    assert shape(found) == [
        ("vibe", ("Manage",), "Vibe", ["vibe"]),
        ("privacy", (), "Privacy", ["studio"]),
    ]
    assert {page.surface for page in found} == {"Admin Console"}
    assert [p.places[0].surface.section for p in found] == ["Privacy", "Anonymous improvement data"]


def test_a8_the_mobile_application_has_data_and_account_controls() -> None:
    (page,) = pages(SHIPPED, MOBILE)
    assert (page.surface, page.label, page.group) == ("Settings", "Data & Account Controls", ())
    assert page.places[0].surface.label == "Enable data sharing"


def test_a3_another_policy_has_other_pages() -> None:
    other = changed(
        (
            '["Admin Console", "Manage", "Vibe", "Privacy"]',
            '["Panel", "Models", "Chat", "Training"]',
        ),
        ('section = "Privacy"', 'section = "Training"'),
    )
    found = pages(other, CONSOLE)
    assert shape(found)[0] == ("chat", ("Models",), "Chat", ["vibe"])
    assert found[0].surface == "Panel"


def test_a_surface_that_no_product_has_has_no_page() -> None:
    assert pages(SHIPPED, "kiosk") == ()


def test_switches_with_one_path_share_a_page() -> None:
    other = changed(
        (
            '["Admin Console", "Privacy", "Anonymous improvement data"]',
            '["Admin Console", "Manage", "Vibe", "Anonymous improvement data"]',
        )
    )
    assert shape(pages(other, CONSOLE)) == [("vibe", ("Manage",), "Vibe", ["vibe", "studio"])]


def test_pages_of_one_name_have_addresses_of_their_own() -> None:
    other = changed(
        (
            '["Admin Console", "Manage", "Vibe", "Privacy"]',
            '["Admin Console", "Manage", "Privacy", "Training"]',
        ),
        ('section = "Privacy"', 'section = "Training"'),
    )
    assert [page.slug for page in pages(other, CONSOLE)] == ["privacy", "privacy-studio"]


@pytest.mark.parametrize(
    ("label", "slug"),
    [
        ("Data", "manage-data"),
        ("الخصوصية", "manage"),
        ("../../etc", "etc"),
    ],
)
def test_an_address_is_plain_and_leads_nowhere_else(label: str, slug: str) -> None:
    path = f'["Admin Console", "Manage", "{label}", "Privacy"]'
    other = changed(('["Admin Console", "Manage", "Vibe", "Privacy"]', path))
    assert pages(other, CONSOLE, reserved=("data", "history"))[0].slug == slug


def test_whatever_is_reserved_no_two_pages_share_an_address() -> None:
    reserved = {"vibe", "manage-vibe", "manage-vibe-vibe", "privacy", "privacy-studio", "studio"}
    slugs = [page.slug for page in pages(SHIPPED, CONSOLE, reserved)]
    assert len(set(slugs)) == len(slugs) == 2
    assert not set(slugs) & reserved


def test_a_path_of_a_section_alone_is_a_page() -> None:
    other = changed(
        (
            '["Admin Console", "Privacy", "Anonymous improvement data"]',
            '["Admin Console", "Anonymous improvement data"]',
        )
    )
    assert pages(other, CONSOLE)[1].label == "Anonymous improvement data"
