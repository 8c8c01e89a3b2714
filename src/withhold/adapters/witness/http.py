"""A witness that speaks C2SP tlog-witness over HTTP.

A deadline holds for everything that is asked of it to show it one checkpoint (`exchange`). What it has
seen is learnt by asking: a request that names another size than the witness's own is answered with
that. Its cosignature is checked before it counts.

    200   its signature lines
    409   the size it has seen; or, when the sizes are the same, that it has seen another tree
    422   the tree does not begin with the one it has seen
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence

from withhold.adapters.signing import verifies
from withhold.adapters.witness.exchange import Answer, Place, posted
from withhold.domain.checkpoints import Checkpoint, parse_checkpoint
from withhold.domain.notes import NoteKey, Signature, parse_note
from withhold.domain.witnesses import Missing, Prove, cosignatures, forgot, parse_size, request
from withhold.errors import VerificationError, WitnessSilent

DEADLINE_SECONDS = 5.0  # for all tries together
TRIES = 3  # the size it has seen may move while we ask

_OK, _CONFLICT, _UNPROCESSABLE = 200, 409, 422
_SIZE_TYPE = "text/x.tlog.size"


class HttpWitness:
    """Implements `ports.Witness` over a witness of somebody else."""

    def __init__(self, place: Place, path: str, key: NoteKey) -> None:
        """Name the witness.

        Args:
            place: scheme, host and port.
            path: its submission prefix, without a slash at the end.
            key: its verifier key.
        """
        self._place = place
        self._path = path
        self._key = key
        self._size = 0
        self.name = key.name

    def show(self, note: bytes, prove: Prove, had: int) -> Sequence[Signature]:
        self._size = max(self._size, had)
        checkpoint = parse_checkpoint(parse_note(note).text)
        ends = time.monotonic() + DEADLINE_SECONDS
        for _ in range(TRIES):
            old = min(self._size, checkpoint.head.size)
            proof = prove(old, checkpoint.head.size)
            answer = self._asked(request(old, proof, note), ends)
            if answer.status == _OK:
                return self._cosigned(answer, checkpoint)
            self._learn(answer, checkpoint, old)
            if self._size < had:
                raise forgot(had, self._size)
        raise WitnessSilent(f"{self.name}: the size it has seen moves; it is asked again later")

    def _cosigned(self, answer: Answer, checkpoint: Checkpoint) -> Sequence[Signature]:
        try:
            text = answer.body.decode()
            lines = cosignatures(text, self._key, checkpoint, verifies)
        except (UnicodeDecodeError, VerificationError) as error:
            raise WitnessSilent(
                f"{self.name}: it answered without a signature of its own that holds"
            ) from error
        self._size = checkpoint.head.size
        return lines

    def _learn(self, answer: Answer, checkpoint: Checkpoint, old: int) -> None:
        """Take in the size that the witness has seen.

        Raises:
            Missing: it has seen a longer log.
            VerificationError: it has seen another one.
            WitnessSilent: it said something else.
        """
        size = checkpoint.head.size
        if answer.status == _UNPROCESSABLE:
            raise VerificationError(
                f"log: some entry from 1 to {old} is not the one that a witness has seen"
            )
        if answer.status != _CONFLICT:
            raise WitnessSilent(f"{self.name}: expected 200, got {answer.status}")
        if answer.media_type != _SIZE_TYPE:
            if old == size:
                raise VerificationError(
                    f"log: a witness has seen another log of {size} entries than this one"
                )
            raise WitnessSilent(f"{self.name}: it refused without the size it has seen")
        try:
            seen = parse_size(answer.body)
        except VerificationError as error:
            raise WitnessSilent(f"{self.name}: {error}") from error
        if seen > size:
            raise Missing(size, seen)
        if seen == old == size:
            raise VerificationError(
                f"log: a witness has seen another log of {size} entries than this one"
            )
        self._size = seen

    def _asked(self, body: bytes, ends: float) -> Answer:
        try:
            return posted(self._place, f"{self._path}/add-checkpoint", body, ends)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WitnessSilent(f"{self.name}: no answer ({type(error).__name__})") from error
