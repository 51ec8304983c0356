"""The programs of ci/processes/up, kept running as Kubernetes would: a program that exits is restarted, at once if it was
killed, after a pause if it exited unexpectedly. /livez is not checked, so that a program that hangs is noticed.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request
from typing import NamedTuple

import flow

# Between two checks that all are running.
LOOK_SECONDS = 0.05
REST_SECONDS = 1
MIB = 1 << 20


def stat(pid):
    """The fields of /proc/PID/stat after the name, from the state on; none if there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def family(pid):
    """A process and all its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(entry.name)):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def send(pid, signal_):
    """Sends a signal to a process and its children, ignoring those that have exited in the meantime."""
    for member in family(pid):
        try:
            os.kill(member, signal_)
        except ProcessLookupError:
            pass


def last_words(log):
    """Why a program exited, in one line: its error with the causes, or its panic."""
    ends = re.findall(r"^(?:Error: |thread ).*?(?=^stack backtrace|^note: |\Z)", log, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    said = ends[-1] if ends else (log.splitlines() or ["nothing"])[-1]
    return " ".join(said.split())


class Fenced(NamedTuple):
    """How often Kafka had refused a process as superseded, and how long the log of its program was."""

    pid: int
    times: int
    log_length: int


class Program:
    """One pod's program."""

    def __init__(self, directory, pod, component, admin, limit):
        self.home, self.pod, self.component = directory / pod, pod, component
        self.admin, self.limit = admin, int(limit)
        self.wanted = True
        self.peak = 0
        # The reason of each unexpected exit.
        self.last_words = []
        self.killed = False
        # The length of its log when it was started.
        self.began = 0
        self.child = None
        self.pid = int((self.home / "pid").read_text().split()[0]) if (self.home / "pid").exists() else None

    def runs(self):
        if self.child:
            return self.child.poll() is None
        return self.pid is not None and alive(self.pid)

    def start(self):
        with open(self.home / "log", "a") as log:
            self.began = self.log_length()
            self.child = subprocess.Popen(
                [str(self.home / "command")], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid, self.killed = self.child.pid, False
        # With its start time, so that ci/processes/down can identify it.
        (self.home / "pid").write_text(f"{self.pid} {stat(self.pid)[19]}\n")

    def signal(self, signal_):
        if self.runs():
            self.killed |= signal_ in (signal.SIGKILL, signal.SIGTERM)
            os.kill(self.pid, signal_)

    def log(self, since=0):
        with open(self.home / "log", errors="replace") as log:
            log.seek(since)
            return log.read()

    def log_length(self):
        return (self.home / "log").stat().st_size

    def fencing(self):
        """What `was_fenced` needs to know from before; None while it does not answer, as when it is stopped."""
        counters = self.counters()
        return Fenced(self.pid, counters[flow.FENCED], self.log_length()) if counters else None

    def was_fenced(self, before):
        """Whether Kafka has refused it as superseded since. It counts that; the counters of a process that exited because of it are
        gone, but its error tells the reason.
        """
        if self.pid == before.pid and self.runs():
            return self.counters().get(flow.FENCED, 0) > before.times
        return "fenced" in last_words(self.log(before.log_length)).lower()

    def ask(self, path):
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=3) as answer:
            return answer.read()

    def asked(self, path):
        """Its answer as JSON, or None if there is none for any reason: it may just have been killed."""
        try:
            return json.loads(self.ask(path))
        except (OSError, ValueError):
            return None

    def counters(self):
        """What it has counted since its start; nothing if it does not answer."""
        return (self.asked("/report") or {"counters": {}})["counters"]

    def ready(self):
        try:
            return self.ask("/readyz") is not None
        except OSError:
            return False

    def weigh(self):
        """Records its peak memory, which the kernel keeps."""
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak = max(self.peak, int(line.split()[1]) << 10)


class Supervisor:
    """Keeps all programs running, in its own thread."""

    def __init__(self, programs):
        self.programs = programs
        self.lock = threading.Lock()
        self.over = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        resting = {}
        while not self.over.wait(LOOK_SECONDS):
            with self.lock:
                for program in self.programs:
                    if program.runs():
                        program.weigh()
                    elif program.wanted and resting.get(program.pod, 0) <= time.monotonic():
                        if program.pid and not program.killed and program.pod not in resting:
                            program.last_words.append(last_words(program.log(program.began)))
                            resting[program.pod] = time.monotonic() + REST_SECONDS
                        else:
                            resting.pop(program.pod, None)
                            program.start()

    def kill(self, program):
        """Kills it without warning; it is restarted at once."""
        with self.lock:
            program.signal(signal.SIGKILL)

    def stop(self, *programs, limit=30):
        """Stops it as `kubectl scale` does: SIGTERM, and SIGKILL after Kubernetes' grace period."""
        with self.lock:
            for program in programs:
                program.wanted = False
                program.signal(signal.SIGTERM)
        deadline = time.monotonic() + limit
        while any(program.runs() for program in programs) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        with self.lock:
            for program in programs:
                program.signal(signal.SIGKILL)

    def start(self, program):
        program.killed = True
        program.wanted = True

    def end(self):
        self.over.set()
        with self.lock:
            for program in self.programs:
                program.wanted = False

    def add(self, program):
        with self.lock:
            self.programs = [*self.programs, program]
