"""The policy's values, the article's facts in the shipped file, and what an adoption changes."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from withhold.domain import policy_file
from withhold.domain.names import PlanId, ProductId
from withhold.domain.policy import (
    Control,
    DefaultChange,
    HeldBy,
    Plan,
    PlanChange,
    Policy,
    Product,
    Purpose,
    Role,
    Surface,
    changes,
)
from withhold.errors import PolicyError, UnknownPlan, UnknownProduct

SHIPPED = policy_file.loads((files("withhold") / "policies" / "default.toml").read_bytes())
VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
FREE, TEAMS, SCALE = PlanId("free"), PlanId("teams"), PlanId("scale")


def surface(product: ProductId, name: str) -> Surface:
    return next(each for each in SHIPPED.product(product).surfaces if each.id == name)


def with_product(policy: Policy, changed: Product) -> Policy:
    products = tuple(changed if each.id == changed.id else each for each in policy.products)
    return replace(policy, products=products)


def with_plan(policy: Policy, product_id: ProductId, changed: Plan) -> Policy:
    product = policy.product(product_id)
    plans = tuple(changed if each.id == changed.id else each for each in product.plans)
    return with_product(policy, replace(product, plans=plans))


def without_plan(policy: Policy, product_id: ProductId, plan_id: PlanId) -> Policy:
    product = policy.product(product_id)
    plans = tuple(each for each in product.plans if each.id != plan_id)
    return with_product(policy, replace(product, plans=plans))


# The article, sentence by sentence.


def test_a2_every_product_can_be_switched_on_the_console_and_by_programs() -> None:
    for product in SHIPPED.products:
        assert {"console", "api"} <= {each.id for each in product.surfaces}


def test_a3_how_to_opt_out_depends_on_the_product() -> None:
    assert [(product.id, product.label) for product in SHIPPED.products] == [
        ("vibe", "Vibe"),
        ("studio", "Studio & API"),
    ]
    assert surface(VIBE, "console").path != surface(STUDIO, "console").path


def test_a4_teams_and_enterprise_are_out_locked_and_say_why() -> None:
    for plan_id in (TEAMS, PlanId("enterprise")):
        plan = SHIPPED.plan(VIBE, plan_id)
        assert (plan.default_on, plan.locked, plan.held_by) == (False, True, HeldBy.ORGANIZATION)
        assert plan.label in plan.reason
        assert "nobody can turn it on" in plan.reason


def test_a5_the_other_vibe_plans_are_on_and_held_by_the_person() -> None:
    for plan_id in ("free", "pro", "education"):
        plan = SHIPPED.plan(VIBE, PlanId(plan_id))
        assert (plan.default_on, plan.locked, plan.held_by) == (True, False, HeldBy.ACCOUNT)
    assert SHIPPED.product(VIBE).personal_plan == "free"
    assert SHIPPED.product(VIBE).purpose is Purpose.MODEL_TRAINING


def test_a5_the_console_has_the_articles_path_and_label() -> None:
    assert surface(VIBE, "console") == Surface(
        id="console",
        path=("Admin Console", "Manage", "Vibe", "Privacy"),
        section="Privacy",
        control=Control.TOGGLE,
        label="Allow your interactions to be used to train our models",
    )


def test_a8_the_mobile_application_has_the_articles_path_and_label() -> None:
    assert surface(VIBE, "mobile") == Surface(
        id="mobile",
        path=("Settings", "Account", "Data & Account Controls"),
        section="Account",
        control=Control.CHECKBOX,
        label="Enable data sharing",
    )


def test_a9_scale_is_out_by_default_but_not_locked() -> None:
    plan = SHIPPED.plan(STUDIO, SCALE)
    assert (plan.default_on, plan.locked, plan.held_by) == (False, False, HeldBy.ORGANIZATION)
    assert "default of the Scale plan" in plan.reason


def test_a10_the_free_studio_plan_is_on_and_its_data_is_deidentified() -> None:
    product = SHIPPED.product(STUDIO)
    plan = product.plan(FREE)
    assert (plan.default_on, plan.locked, plan.held_by) == (True, False, HeldBy.ORGANIZATION)
    assert product.personal_plan == FREE
    assert product.deidentified
    assert product.purpose is Purpose.SERVICE_IMPROVEMENT


def test_a10_the_studio_console_has_the_articles_path_and_section() -> None:
    console = surface(STUDIO, "console")
    assert console.path == ("Admin Console", "Privacy", "Anonymous improvement data")
    assert console.section == "Anonymous improvement data"
    assert console.control is Control.TOGGLE


def test_feedback_never_overrides_an_opt_out() -> None:
    assert SHIPPED.feedback_overrides is False


def test_only_an_admin_changes_what_an_organization_holds() -> None:
    assert SHIPPED.roles_that_change == (Role.ADMIN,)


def test_earlier_names_are_labels_over_the_same_ids() -> None:
    assert SHIPPED.product(VIBE).formerly == ("Le Chat",)
    assert SHIPPED.plan(VIBE, PlanId("education")).formerly == ("Student",)
    assert SHIPPED.plan(STUDIO, FREE).formerly == ("Experiment",)


# Looking things up.


def test_an_unknown_product_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownProduct, match="expected one of vibe, studio"):
        SHIPPED.product(ProductId("chat"))


def test_a_plan_of_another_product_is_unknown() -> None:
    with pytest.raises(
        UnknownPlan, match="studio has no plan 'teams'; expected one of free, scale"
    ):
        SHIPPED.plan(STUDIO, TEAMS)
    with pytest.raises(UnknownProduct):
        SHIPPED.held_by(ProductId("chat"), FREE)
    assert SHIPPED.held_by(STUDIO, SCALE) is HeldBy.ORGANIZATION


# What an adoption changes.


def test_the_first_policy_introduces_every_plan() -> None:
    assert [(each.product, each.plan, each.what.name) for each in changes(None, SHIPPED)] == [
        ("vibe", "free", "INTRODUCED_ON"),
        ("vibe", "pro", "INTRODUCED_ON"),
        ("vibe", "education", "INTRODUCED_ON"),
        ("vibe", "teams", "INTRODUCED_LOCKED"),
        ("vibe", "enterprise", "INTRODUCED_LOCKED"),
        ("studio", "free", "INTRODUCED_ON"),
        ("studio", "scale", "INTRODUCED_OFF"),
    ]


def test_adopting_the_same_policy_again_changes_nothing() -> None:
    assert changes(SHIPPED, SHIPPED) == ()


def test_labels_reasons_and_surfaces_change_no_standing() -> None:
    product = replace(SHIPPED.product(VIBE), label="Chat", surfaces=(), covers="All.")
    renamed = with_product(replace(SHIPPED, version="2"), product)
    assert changes(SHIPPED, renamed) == ()


def test_a_changed_default_is_one_change_of_the_default_alone() -> None:
    off = with_plan(SHIPPED, VIBE, replace(SHIPPED.plan(VIBE, FREE), default_on=False))
    assert changes(SHIPPED, off) == (PlanChange(VIBE, FREE, DefaultChange.TURNED_OFF),)
    assert changes(off, SHIPPED) == (PlanChange(VIBE, FREE, DefaultChange.TURNED_ON),)
    assert DefaultChange.TURNED_OFF.default_on is False
    assert DefaultChange.TURNED_OFF.lock_on is None


def test_a_lifted_lock_leaves_the_default_out() -> None:
    unlocked = with_plan(SHIPPED, VIBE, replace(SHIPPED.plan(VIBE, TEAMS), locked=False))
    assert changes(SHIPPED, unlocked) == (PlanChange(VIBE, TEAMS, DefaultChange.UNLOCKED),)
    assert changes(unlocked, SHIPPED) == (PlanChange(VIBE, TEAMS, DefaultChange.LOCKED),)
    assert DefaultChange.UNLOCKED.default_on is None
    assert DefaultChange.UNLOCKED.lock_on is True


def test_a_lock_on_a_plan_that_was_on_takes_default_and_lock_out() -> None:
    locked = replace(SHIPPED.plan(VIBE, FREE), default_on=False, locked=True)
    assert changes(SHIPPED, with_plan(SHIPPED, VIBE, locked)) == (
        PlanChange(VIBE, FREE, DefaultChange.TURNED_OFF),
        PlanChange(VIBE, FREE, DefaultChange.LOCKED),
    )


def test_a_plan_that_disappears_takes_both_its_parties_out() -> None:
    smaller = without_plan(SHIPPED, STUDIO, SCALE)
    assert changes(SHIPPED, smaller) == (PlanChange(STUDIO, SCALE, DefaultChange.REMOVED),)
    assert DefaultChange.REMOVED.default_on is False
    assert DefaultChange.REMOVED.lock_on is False


def test_a_product_that_disappears_takes_the_parties_of_all_its_plans_out() -> None:
    smaller = replace(SHIPPED, products=SHIPPED.products[:1])
    assert changes(SHIPPED, smaller) == (
        PlanChange(STUDIO, FREE, DefaultChange.REMOVED),
        PlanChange(STUDIO, SCALE, DefaultChange.REMOVED),
    )


def test_a_plan_that_changes_its_holder_in_place_is_refused() -> None:
    held = replace(SHIPPED.plan(STUDIO, SCALE), held_by=HeldBy.ACCOUNT)
    with pytest.raises(PolicyError, match="the holder of plan scale of studio differs"):
        changes(SHIPPED, with_plan(SHIPPED, STUDIO, held))


def test_a_product_that_changes_its_personal_plan_in_place_is_refused() -> None:
    product = replace(SHIPPED.product(VIBE), personal_plan=PlanId("pro"))
    with pytest.raises(PolicyError, match="the personal plan of product vibe differs"):
        changes(SHIPPED, with_product(SHIPPED, product))


def test_a_choice_made_for_one_purpose_never_carries_to_another() -> None:
    product = replace(SHIPPED.product(STUDIO), purpose=Purpose.MODEL_TRAINING)
    with pytest.raises(PolicyError, match="the purpose of product studio differs"):
        changes(SHIPPED, with_product(SHIPPED, product))


STATES = st.lists(
    st.sampled_from([None, (True, False), (False, False), (False, True)]),  # (default_on, locked)
    min_size=4,
    max_size=4,
)


def policy_of(states: list[tuple[bool, bool] | None]) -> Policy:
    """Return a policy whose Vibe has one plan for every state that is not None."""
    model = SHIPPED.plan(VIBE, FREE)
    plans = tuple(
        replace(model, id=PlanId(f"p{number}"), default_on=state[0], locked=state[1])
        for number, state in enumerate(states)
        if state is not None
    )
    return replace(SHIPPED, products=(replace(SHIPPED.product(VIBE), plans=plans),))


@settings(deadline=None)
@given(st.lists(STATES, min_size=1, max_size=5))
def test_applying_the_changes_of_any_adoptions_leaves_what_the_last_policy_says(
    history: list[list[tuple[bool, bool] | None]],
) -> None:
    default: dict[PlanId, bool] = {}
    lock: dict[PlanId, bool] = {}
    old: Policy | None = None
    for states in history:
        new = policy_of(states)
        for change in changes(old, new):
            if change.what.default_on is not None:
                default[change.plan] = change.what.default_on
            if change.what.lock_on is not None:
                lock[change.plan] = change.what.lock_on
        old = new
        plans = {plan.id: plan for plan in new.product(VIBE).plans}
        for plan_id, is_on in default.items():
            plan = plans.get(plan_id)
            assert is_on == (plan is not None and plan.default_on)
            assert lock[plan_id] == (plan is not None and not plan.locked)
        assert plans.keys() <= default.keys() == lock.keys()
