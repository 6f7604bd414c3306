"""Worker processes seen from the server: starting them ahead of need, finding them again, ending them.

A process is named by its id *and* its start time, because ids are used again. Its end is noticed through a pidfd (Linux),
which works for processes of an earlier server too; where there is none, the manager looks from time to time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from workbench.jobs.records import Job, Orders

log = logging.getLogger("workbench.jobs")

_MODULE = "workbench.jobs.worker"
_REPOSITORY = Path(__file__).resolve().parents[2]
# Start times are counted from boot, and the boot time shifts a little when the clock is set.
_BORN_TOLERANCE_S = 2.0


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a sandbox without it: `alive` is asked instead
        return None


class Worker:
    """One worker process: our own child, or one found again after a restart."""

    def __init__(self, pid: int, born: float, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.born = born
        self.fd = _pidfd(pid)
        self._child = child

    @classmethod
    def find(cls, job: Job) -> Worker | None:
        """The living worker of a record, or None. Also None for a stranger that got the same process id since."""
        try:
            process = psutil.Process(job.pid) if job.pid > 0 else None
            if process is None or process.status() == psutil.STATUS_ZOMBIE or _MODULE not in process.cmdline():
                return None
            born = process.create_time()
        except psutil.Error:
            return None
        return cls(job.pid, born) if abs(born - job.born) <= _BORN_TOLERANCE_S else None

    def alive(self) -> bool:
        """Whether the process still runs. A finished child is left uncollected, which keeps its number from being used again."""
        if self._child is not None:
            try:
                return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            except ChildProcessError:
                return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.born) <= _BORN_TOLERANCE_S and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def order(self, orders: Orders) -> bool:
        """Hand over a job; False when the process is gone."""
        if self._child is None or self._child.stdin is None:
            return False
        try:
            with self._child.stdin as pipe:
                pipe.write(orders.line())
        except OSError:
            return False
        return True

    def end(self, number: int) -> None:
        """Send a signal to the worker and what it started (it leads a process group of its own)."""
        if self.alive():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                log.debug("Worker %d was gone before the signal.", self.pid)

    def forget(self) -> None:
        """Let go of the open handles; a worker that still waits for orders ends by this, a busy one goes on."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    def collect(self) -> None:
        """After the end of a child: end what it left running, and clear it from the process table."""
        if self._child is None or self._child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()


class Spawner:
    """Starts workers, and keeps one in waiting with `ahead` already imported so that the next start takes milliseconds."""

    def __init__(self, *, paths: Sequence[Path], ahead: Sequence[str], warm: bool, delay_s: float) -> None:
        search = [str(_REPOSITORY), *map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": os.pathsep.join(search), "OMP_NUM_THREADS": "1"}
        self._ahead = tuple(ahead)
        self._warm = warm
        self._delay_s = delay_s
        self._standby: Worker | None = None
        self._due = time.monotonic() + delay_s

    def _start(self, *ahead: str) -> Worker:
        child = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *ahead],
            stdin=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        return Worker(child.pid, psutil.Process(child.pid).create_time(), child)

    def take(self) -> Worker:
        """A worker without a job: the waiting one when it is there, else a new one that starts cold."""
        standby, self._standby = self._standby, None
        self._due = time.monotonic() + self._delay_s  # the next one is not loaded while the new job starts up
        if standby is not None:
            if standby.alive():
                return standby
            standby.forget()
            standby.collect()
        return self._start()

    def refill(self) -> float | None:
        """Start the next waiting worker when it is time; returns seconds until there is something to do again, or None."""
        if not self._warm:
            return None
        if self._standby is not None:
            if self._standby.alive():
                return None
            log.warning("A waiting worker ended by itself; the next one is started later.")
            self._standby.forget()
            self._standby.collect()
            self._standby, self._due = None, time.monotonic() + 30 + self._delay_s
        wait = self._due - time.monotonic()
        if wait > 0:
            return wait
        self._standby = self._start(*self._ahead)
        return None

    def close(self) -> None:
        """End the waiting worker; it has nothing to lose."""
        if self._standby is not None:
            self._standby.end(signal.SIGKILL)
            self._standby.forget()
            self._standby.collect()
            self._standby = None
