"""Getting one published file: told in bytes while it comes, and answered at once where there is no network.

The hub client keeps what was fetched. Left to itself it repeats its attempts for half a minute when there is no network; one short request
before finds that out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_S = 5.0
Progress = Callable[[int, int], None]
"""Called with bytes had and bytes in all (0 when not known)."""


class NotFetched(OSError):
    """The file could not be had; its text completes "The weights …", such as "could not be fetched (ConnectError)"."""


def fetch(repository: str, names: Sequence[str], progress: Progress | None = None) -> Path:
    """The first of `names` that the repository has, fetched or found where it was fetched before. NotFetched when it cannot be had."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    for name in names:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=TIMEOUT_S)  # one attempt: is there a network, and this file?
            return Path(hf_hub_download(repository, name, etag_timeout=TIMEOUT_S, tqdm_class=_counter(progress)))
        except EntryNotFoundError:
            continue
        except Exception as fault:  # a missing network shows itself in many ways, and all mean this one sentence
            raise NotFetched(f"could not be fetched ({type(fault).__name__})") from fault
    raise NotFetched("were not found where they are said to be")


def _counter(progress: Progress | None) -> type:
    """A stand-in for the client's progress bar that draws nothing and tells `progress`."""
    from tqdm import tqdm

    class Counter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # the client's own bars take it, tqdm does not
            super().__init__(*args, **kwargs | {"disable": None, "file": _Silent(), "mininterval": 0.25})

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if progress is not None and not self.disable:
                progress(int(self.n), int(self.total or 0))
            return shown

    return Counter


class _Silent:
    """Where a bar's drawing goes: nowhere."""

    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None:
        """Nothing waits here."""
