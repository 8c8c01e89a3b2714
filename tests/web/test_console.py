"""The console: the article's path and label, what each plan shows, who decided, without any script."""

from __future__ import annotations

import pytest

from tests.web.surfaces import MOBILE_LABEL, STUDIO_LABEL, VIBE, VIBE_LABEL, Surfaces, event_of
from withhold.domain.directory import SubjectKind
from withhold.domain.names import ProductId
from withhold.services import preferences


def allowed(surfaces: Surfaces, holder: str, product: str = VIBE, kind: str = "account") -> bool:
    return preferences.status(surfaces.ports, SubjectKind(kind), holder, ProductId(product)).allowed


@pytest.mark.parametrize("plan", ["free", "pro", "education"])
def test_a5_manage_vibe_privacy_the_toggle_turns_training_off(
    surfaces: Surfaces, plan: str
) -> None:
    person = surfaces.person(plan)
    assert person.address == "/console/vibe", "the first page, without a further click"
    page = person.page
    headings = [page.name_of(heading) for heading in page.all("heading")]
    assert headings.index("Manage") < headings.index("Vibe") < headings.index("Privacy")
    assert page.control("switch", VIBE_LABEL)["aria-checked"] == "true"
    assert page.described(page.control("switch")).startswith("On, the default of the")
    after = person.press("switch", VIBE_LABEL)
    assert after.control("switch", VIBE_LABEL)["aria-checked"] == "false"
    assert not allowed(surfaces, plan)


def test_a5_the_navigation_leads_from_privacy_to_vibe_under_manage(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    page = person.open("/console/privacy")
    assert page.links()["Vibe"] == "/console/vibe"
    assert person.open(page.links()["Vibe"]).has("switch", VIBE_LABEL)


def test_a10_privacy_anonymous_improvement_data_the_toggle_opts_in_and_out(
    surfaces: Surfaces,
) -> None:
    admin = surfaces.person("head")
    page = admin.open("/console/organizations/org-free/privacy")
    assert page.has("heading", STUDIO_LABEL)
    assert page.control("switch", STUDIO_LABEL)["aria-checked"] == "true"
    off = admin.press("switch", STUDIO_LABEL)
    assert off.control("switch", STUDIO_LABEL)["aria-checked"] == "false"
    assert not allowed(surfaces, "org-free", "studio", "organization")
    assert not allowed(surfaces, "bill", "studio")
    admin.press("switch", STUDIO_LABEL)
    on = admin.press("button", "Turn on")
    assert on.control("switch", STUDIO_LABEL)["aria-checked"] == "true"
    assert allowed(surfaces, "bill", "studio")


@pytest.mark.parametrize(
    ("start", "steps"),
    [
        ("/console", [("switch", VIBE_LABEL)]),
        ("/console/organizations/org-free", [("link", "Privacy"), ("switch", STUDIO_LABEL)]),
        ("/m", [("link", "Data & Account Controls On"), ("checkbox", MOBILE_LABEL)]),
    ],
)
def test_s10_the_opt_out_is_at_most_three_actions_from_the_start_of_every_surface(
    surfaces: Surfaces, start: str, steps: list[tuple[str, str]]
) -> None:
    person = surfaces.person("head")
    person.open(start)
    head = surfaces.ports.ledger.head()
    for role, name in steps:
        if role == "link":
            person.open(person.page.links()[name])
        else:
            person.press(role, name)
    assert len(steps) <= 3
    assert surfaces.ports.ledger.head() == head + 1
    assert person.page.control(steps[-1][0])["aria-checked"] == "false"


@pytest.mark.parametrize(("account", "plan"), [("teams", "Teams"), ("enterprise", "Enterprise")])
def test_a4_a_locked_plan_is_off_with_the_reason_beside_the_control(
    surfaces: Surfaces, account: str, plan: str
) -> None:
    person = surfaces.person(account)
    control = person.page.control("switch", VIBE_LABEL)
    assert (control["aria-checked"], control["aria-disabled"]) == ("false", "true")
    reason = person.page.described(control)
    assert f"Off for everybody: {plan} plan." in reason
    assert "nobody can turn it on" in reason
    assert control.form is None, "there is nothing to send that would turn it on"


def test_a4_under_a_lock_an_own_off_is_recorded_all_the_same(surfaces: Surfaces) -> None:
    person = surfaces.person("enterprise")
    page = person.press("button", "Also turn it off for myself")
    assert "Off. You turned it off." in page.text
    assert "Confirmed at position" in page.text
    assert page.control("switch")["aria-disabled"] == "true"
    assert not page.has("button", "Also turn it off for myself")


def test_a9_scale_is_off_by_default_and_its_admin_may_turn_it_on(surfaces: Surfaces) -> None:
    admin = surfaces.person("boss")
    page = admin.open("/console/organizations/org-scale/privacy")
    control = page.control("switch", STUDIO_LABEL)
    assert (control["aria-checked"], control["aria-disabled"]) == ("false", "")
    assert "the default of the Scale plan" in page.described(control)
    asked = admin.press("switch", STUDIO_LABEL)
    assert asked.control("switch")["aria-checked"] == "false", "the first press only asks"
    assert not allowed(surfaces, "mia", "studio")
    after = admin.press("button", "Turn on")
    assert after.control("switch")["aria-checked"] == "true"
    assert allowed(surfaces, "mia", "studio")


def test_keeping_it_off_changes_nothing(surfaces: Surfaces) -> None:
    admin = surfaces.person("boss")
    admin.open("/console/organizations/org-scale/privacy")
    head = surfaces.ports.ledger.head()
    admin.press("switch", STUDIO_LABEL)
    page = admin.press("button", "Keep off")
    assert page.control("switch")["aria-checked"] == "false"
    assert surfaces.ports.ledger.head() == head


def test_s19_a_member_sees_that_the_admin_decided_and_can_say_off_too(surfaces: Surfaces) -> None:
    admin = surfaces.person("head")
    admin.open("/console/organizations/org-free/privacy")
    admin.press("switch", STUDIO_LABEL)
    member = surfaces.person("bill")
    page = member.open("/console/privacy")
    control = page.control("switch", STUDIO_LABEL)
    assert (control["aria-checked"], control["aria-disabled"]) == ("false", "true")
    assert "An Admin of org free turned it off for everybody" in page.described(control)
    page = member.press("button", "Also turn it off for myself")
    assert "Off. You turned it off." in page.text
    admin.press("switch", STUDIO_LABEL)
    admin.press("button", "Turn on")
    assert not allowed(surfaces, "bill", "studio")
    assert allowed(surfaces, "head", "studio")
    assert "1 of them said off on their own" in admin.page.text
    page = member.open("/console/privacy")
    assert page.control("switch")["aria-checked"] == "false"


def test_s19_a_member_may_not_turn_the_organizations_and_is_led_to_their_own(
    surfaces: Surfaces,
) -> None:
    member = surfaces.person("mia")
    page = member.open("/console/organizations/org-scale/privacy")
    control = page.control("switch", STUDIO_LABEL)
    assert (control["aria-disabled"], control.form) == ("true", None)
    assert "Only an Admin of org scale can change this." in page.described(control)
    assert page.links()["Your own switch"] == "/console/privacy"


def test_s8_an_admin_records_the_organizations_off_under_a_lock(surfaces: Surfaces) -> None:
    admin = surfaces.person("teams")
    admin.open("/console/organizations/org-teams/vibe")
    page = admin.press("button", "Also turn it off for org teams")
    assert "Off. You turned it off for everybody in org teams." in page.text


def test_the_switcher_lists_the_account_and_its_organizations(surfaces: Surfaces) -> None:
    page = surfaces.person("boss").page
    assert page.links()["boss Personal"] == "/console"
    assert page.links()["org scale"] == "/console/organizations/org-scale"
    opened = surfaces.person("boss").open("/console/organizations/org-scale")
    assert "What you set here holds for everybody in org scale." in opened.text


def test_the_organization_says_whom_its_switch_covers(surfaces: Surfaces) -> None:
    page = surfaces.person("boss").open("/console/organizations/org-scale/privacy")
    assert "Covers 2 members of org scale. None of them said off themselves." in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/console/organizations/org-free/vibe",
        "/console/organizations/org-free/history",
        "/console/organizations/org-free/data",
        "/console/organizations/org-free/receipts/1",
        "/console/organizations/org-free/events",
        "/console/organizations/org-free",
    ],
)
def test_an_organization_of_others_looks_like_one_that_is_not_there(
    surfaces: Surfaces, path: str
) -> None:
    person = surfaces.person("free")
    person.open(path)
    foreign = (person.answer.status_code, person.answer.text)
    person.open(path.replace("org-free", "nowhere"))
    assert foreign == (person.answer.status_code, person.answer.text)
    assert foreign[0] == 404


def test_a_page_that_the_policy_does_not_have_is_not_there(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    for path in ("/console/le-chat", "/console/manage", "/console/organizations", "/console/a/b/c"):
        page = person.open(path)
        assert person.answer.status_code == 404
        assert "There is no such page" in page.text


def test_an_address_that_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_a_problem(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    person.send("GET", "/nope", headers={"Accept": "text/html,*/*;q=0.8"})
    assert person.answer.status_code == 404
    assert "There is no such page" in person.answer.text
    assert '<a class="button" href="/">' in person.answer.text
    for path, accept in (
        ("/nope", "*/*"),
        ("/nope", "application/json"),
        ("/v1/nope", "text/html,*/*;q=0.8"),
        ("/log/nope", "text/html,*/*;q=0.8"),
    ):
        person.send("GET", path, headers={"Accept": accept})
        assert person.answer.status_code == 404
        assert person.answer.json()["type"] == "urn:withhold:problem:not-found"


def test_a_product_that_stands_on_another_page_is_not_turned_here(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    form = person.page.control("switch").form
    assert form is not None
    person.send("POST", "/console/privacy", data=form.fields)
    assert person.answer.status_code == 404
    assert allowed(surfaces, "free")


def test_the_history_lists_changes_with_receipts_of_ones_own(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    position = _off(person)
    page = person.open("/console/history")
    assert "Turned off Vibe You · Admin Console" in page.text
    assert "notice 2026-11-23" in page.text
    receipts = [e["href"] for e in page.all("link") if page.name_of(e).startswith("Receipt")]
    assert receipts[0] == f"/console/receipts/{position}.html"
    for opened in receipts:
        address = opened.removesuffix(".html")
        given = person.send("GET", address)
        assert given.status_code == 200
        assert given.headers["content-disposition"].startswith("attachment;")
        assert event_of(given)["subject"] == "free"
        links = person.open(opened).links()
        name = address.rpartition("/")[2]
        assert links["Keep the file"] == f"{name}.json"
        assert links["PDF"] == f"{name}.pdf"
        assert links["Form to show to others"] == f"{name}.html?form=redacted"
        assert links["History"] == "/console/history"
        assert person.send("GET", f"{address}.pdf").content.startswith(b"%PDF")
        shown = person.send("GET", f"{address}.json?form=redacted")
        assert "free" not in shown.json()


@pytest.mark.parametrize("asked", ["1.exe", "1.", "0", "x.pdf", "1.pdf.html", "9" * 18])
def test_a_receipt_that_is_not_there_looks_like_any_other_page(
    surfaces: Surfaces, asked: str
) -> None:
    person = surfaces.person("free")
    person.send("GET", f"/console/receipts/{asked}")
    assert person.answer.status_code == 404


def _off(person: object) -> int:
    person.press("switch", VIBE_LABEL)  # type: ignore[attr-defined]
    address = person.page.links()["Receipt"]  # type: ignore[attr-defined]
    return int(address.rpartition("/")[2].removesuffix(".html"))  # type: ignore[attr-defined]


def test_nobody_is_given_the_receipt_of_somebody_else(surfaces: Surfaces) -> None:
    position = _off(surfaces.person("free"))
    other = surfaces.person("pro")
    answers = {
        (other.send("GET", f"/console/receipts/{p}").status_code, other.answer.text)
        for p in (position, 1, 999_999, "x", "0", "9" * 30)
    }
    assert len(answers) == 1
    assert answers.pop()[0] == 404


def test_only_an_admin_sees_where_the_rows_of_an_organization_are(surfaces: Surfaces) -> None:
    member = surfaces.person("mia")
    page = member.open("/console/organizations/org-scale/data")
    assert member.answer.status_code == 403
    assert "Only an Admin of org scale can see this." in page.text
    admin = surfaces.person("boss")
    assert "No dataset holds or held rows" in admin.open(page_of_data()).text
    assert admin.answer.status_code == 200


def page_of_data() -> str:
    return "/console/organizations/org-scale/data"


def test_what_earlier_data_becomes_is_said_before_the_click_and_after_it(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    before = person.page.by_id("effect-vibe").text
    for words in (
        "Turning it off drops your rows from datasets that are already built",
        "within one lease, 10 seconds by default",
        "listed, not recalled",
        "already trained are not untrained",
    ):
        assert words in " ".join(before.split())
    person.press("switch", VIBE_LABEL)
    after = " ".join(person.page.by_id("effect-vibe").text.split())
    assert "No dataset holds rows of yours." in after
    assert "not untrained" in after


def test_ids_and_names_are_shown_as_text_and_never_as_markup(surfaces: Surfaces) -> None:
    page = surfaces.person("free").page
    assert "<script>" not in page.source
    scripts = [e for e in page.elements if e.tag == "script"]
    assert all(e["src"].startswith("/static/") and not e.text for e in scripts)
