"""kill -9 at every effect of a scenario, in real processes; then look at what is left.

    python -m tests.faults.trials FIRST STEP

For n = FIRST, FIRST + STEP, … until the scenario survives: a child process plays the scenario and is
killed at its n-th effect (`killer`); a second child opens the same home, checks that everything that
was acknowledged holds and nothing forbidden is yielded, plays the rest, and must end where an
undisturbed run ends. Prints one JSON line a trial; exits 1 at the first trial that fails.

Children are forked from this process, which has opened nothing, so a trial costs no import.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import apsw

from tests.faults import killer
from tests.simulator import Provider
from withhold.adapters.exports import export_to
from withhold.domain.datasets import parse_ref
from withhold.domain.names import AccountId
from withhold.services import audit, erasure, exports, lookups

DOCUMENT = "d" * 64
Step = tuple[str, Callable[[Provider], object]]


def _export(provider: Provider) -> None:
    target = provider.home.parent / "export"
    if not target.exists():
        exports.export(provider.ports, parse_ref("chat@latest"), export_to(target, "jsonl"))


STEPS: tuple[Step, ...] = (
    (
        "people",
        lambda p: [
            p.found("acme", vibe="free"),
            p.sign_up("ana"),
            p.sign_up("bo", "acme"),
            p.sign_up("cy"),
            p.sign_up("dan"),
        ],
    ),
    ("chat ana a1", lambda p: p.chat("ana", "a1").accepted),
    ("chat bo b1", lambda p: p.chat("bo", "b1").accepted),
    ("chat cy c1", lambda p: p.chat("cy", "c1").accepted),
    ("chat dan d1", lambda p: p.chat("dan", "d1").accepted),
    ("upload ana a2", lambda p: p.upload("ana", "a2", DOCUMENT).accepted),
    ("attach bo b2", lambda p: p.chat("bo", "b2", attachments=(DOCUMENT,)).accepted),
    ("build", lambda p: str(p.build("chat").ref)),
    ("tag", lambda p: p.tag()),
    ("load", lambda p: p.load("chat@latest")),
    ("erase dan", lambda p: erasure.erase(p.ports, AccountId("dan")).position),
    ("out ana", lambda p: p.opt_out("ana").position),
    ("refused a3", lambda p: p.chat("ana", "a3").withheld),
    ("in ana", lambda p: p.opt_in("ana").position),
    ("chat ana a4", lambda p: p.chat("ana", "a4").accepted),
    ("out bo", lambda p: p.opt_out("bo").position),
    ("chat cy c2", lambda p: p.chat("cy", "c2").accepted),
    ("seal", lambda p: p.seal()),
    ("delete c1", lambda p: p.delete("c1")),
    ("apply", lambda p: p.apply()),
    ("build", lambda p: str(p.build("chat").ref)),
    ("everybody out", lambda p: p.opt_out("acme", organization=True).position),
    ("export", _export),
    ("load", lambda p: p.load("chat@latest")),
)

# Rows that may be in no dataset once the step of that name was acknowledged.
FORBIDDEN = {
    "out ana": {"a1", "a2", "b2", "a3"},
    "out bo": {"b1", "b2"},
    "delete c1": {"c1"},
    "erase dan": {"d1"},
    "everybody out": {"b1", "b2"},
}


def play(home: Path, done: int, acknowledge: Callable[[int, object], None]) -> None:
    """Play the scenario from step ``done`` on; acknowledge each step when it has returned."""
    provider = Provider(home)
    for index, (_, step) in enumerate(STEPS[done:], start=done):
        acknowledge(index, step(provider))
    provider.close()


def check(home: Path, acknowledged: list[list[object]]) -> None:
    """Check that a home, just after a kill, keeps every promise that was acknowledged."""
    provider = Provider(home)
    provider.ports.ledger.verify()
    names = [STEPS[int(str(index))][0] for index, _ in acknowledged]
    forbidden = set().union(*(FORBIDDEN.get(name, set()) for name in names), set())
    _acknowledged_hold(provider, acknowledged)
    provider.sign_up("zoe")
    provider.build("check")
    for dataset in provider.ports.datasets.all():
        yielded = provider.load(str(dataset.ref))
        assert not forbidden & set(yielded), (str(dataset.ref), yielded)
        assert yielded == provider.decided(str(dataset.ref))
    lookups.where(provider.ports, "zoe")
    assert provider.tag() == [str(d.ref) for d in provider.ports.datasets.all()]
    assert not provider.is_in("zoe", "check@1")
    if "erase dan" in names:
        _is_erased(provider)
    report = audit.audit(provider.ports)
    assert report.holds, report
    provider.close()


def _is_erased(provider: Provider) -> None:
    """Check that an erased account cannot be opened, found or brought back."""
    with apsw.Connection(str(provider.home / "control.db")) as control:
        no = control.execute("SELECT subject FROM erased").get
    with apsw.Connection(str(provider.home / "keys.db")) as keys:
        assert keys.execute("SELECT key FROM keys WHERE subject = ?", (no,)).get == bytes(32)
    provider.sign_up("dan", opens="on")
    assert not provider.status("dan").allowed, "somebody erased came back on"


def _acknowledged_hold(provider: Provider, acknowledged: list[list[object]]) -> None:
    out: dict[str, bool] = {}
    for index, answer in acknowledged:
        verb, *words = STEPS[int(str(index))][0].split()
        if verb in {"chat", "upload", "attach"}:
            assert answer == 1
            known = provider.ports.intake.find("vibe", words[1])
            assert known is not None, f"acknowledged row {words[1]} is gone"
        elif verb in {"out", "in"}:
            out[words[0]] = verb == "out"
        elif verb == "build":
            assert provider.load(str(answer)) is not None
    cut_off = STEPS[len(acknowledged)][0].split() if len(acknowledged) < len(STEPS) else []
    if cut_off[:1] == ["in"]:  # it may have been recorded just before the kill
        out.pop(cut_off[1], None)
    for person, is_out in out.items():
        if is_out:
            assert not provider.status(person).allowed, f"a confirmed opt-out of {person} is gone"


def trial(n: int, folder: Path) -> tuple[bool, list[list[object]]]:
    """Run one trial; return whether the scenario was killed, and what it acknowledged."""
    home = folder / "home"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(lambda: _killed_play(n, home, writer))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        acknowledged = [json.loads(line) for line in pipe]
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert killed or len(acknowledged) == len(STEPS), "the scenario failed without being killed"
    return killed, acknowledged


def _killed_play(n: int, home: Path, writer: int) -> None:
    killer.arm(n)
    play(home, 0, lambda i, answer: _write(writer, [i, answer]))


def _write(writer: int, line: object) -> None:
    os.write(writer, json.dumps(line, default=str).encode() + b"\n")


def _run_child(work: Callable[[], object]) -> None:
    """Do the work in this forked child and leave without the parent's clean-up."""
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 (the child must end here whatever happened)
        traceback.print_exc()
        code = 1
    os._exit(code)


def in_child(work: Callable[[], object]) -> bool:
    """Do the work in a fresh process; return whether it succeeded."""
    child = os.fork()
    if child == 0:
        _run_child(work)
    return os.waitpid(child, 0)[1] == 0


def finish(home: Path, acknowledged: list[list[object]], final: Path) -> None:
    """Play what is left, starting with the step that was cut off, and note where it ends."""
    play(home, len(acknowledged), lambda *_: None)
    provider = Provider(home)
    provider.build("final")
    final.write_text(json.dumps(sorted(provider.load("final@latest"))))
    provider.close()


def _attempt(n: int, folder: Path) -> tuple[bool, int, str | None]:
    """Run trial ``n``; return whether it was killed, how far it came, and where the rest ended."""
    home, final = folder / "home", folder / "final"
    killed, acknowledged = trial(n, folder)
    ok = in_child(lambda: check(home, acknowledged))
    ok = ok and in_child(lambda: finish(home, acknowledged, final))
    return killed, len(acknowledged), final.read_text() if ok else None


def main(first: int, step: int) -> int:
    """Run the undisturbed scenario, then trial after trial; return the exit code."""
    expected: str | None = None
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    n, killed = 0, True
    while killed or n == first:
        with tempfile.TemporaryDirectory(prefix="withhold-kill-", dir=base) as folder:
            killed, acknowledged, final = _attempt(n, Path(folder))
        expected = expected or final
        ok = final is not None and final == expected
        line = {"n": n, "killed": killed, "acknowledged": acknowledged, "final": final, "ok": ok}
        print(json.dumps(line), flush=True)
        if not ok:
            return 1
        n = n + step if n else first
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
