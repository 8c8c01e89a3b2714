"""A lake of more files than a process may open descriptors still takes withdrawals in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MANY_FILES = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from tests.simulator import Provider
provider = Provider(Path(sys.argv[1]))
provider.sign_up("ana")
for number in range(140):
    provider.chat("ana", f"r{number}")
    provider.seal()
provider.opt_out("ana")
provider.build("chat")
assert provider.load("chat@1") == []
assert len(provider.ports.files.files()) == 140
"""


def test_withdrawals_reach_more_files_than_there_are_descriptors(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_FILES, str(tmp_path / "home")],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
