"""What the benchmarks share: real servers, programs as processes measured from outside, and results that can be repeated."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from measurement import Measurement
from records import ROOT

WORK = ROOT / "target" / "benchmark"
SERVERS = WORK / "servers"
PIPELINE = json.loads((ROOT / "crates" / "pipeline" / "pipeline.json").read_text())
# How a loader names the figures in its report.
LOADER = json.loads((ROOT / "crates" / "service" / "reported.json").read_text())["loader"]
TICKS = os.sysconf("SC_CLK_TCK")
# Enough for the logs of all topics, where each state gets its share by population, so that nothing is deleted during a run.
RETENTION_BYTES = 64 << 30
# Static members that vanished are removed after 10 s, deleted logs after 60 s.
STOP_SECONDS = 40


def run(*command, **environment):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    return done.stdout.strip()


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def arguments(text):
    """A parser with the arguments of all benchmarks."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrecorded", action="store_true", help="print the result instead of writing it; any tree will do")
    return parser


def ticks(pid, first, end):
    """The CPU of a process (fields 11 and 12) and of its reaped children (13 and 14); 0 when it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[first:end]))
    return 0


class Process:
    """A process of this benchmark or of ci/servers, with its CPU and memory as counted by the kernel."""

    def __init__(self, pid, popen=None):
        self.pid, self.popen = pid, popen

    def cpu(self):
        """Seconds of CPU since its start, of all its threads and children: Postgres has a child per connection."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return ticks(self.pid, 11, 15) / TICKS + sum(ticks(child, 11, 13) for child in children) / TICKS

    def peak_mib(self):
        """Its peak resident memory."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def running(self):
        return self.popen.poll() is None

    def end(self):
        """Asks it to exit, and kills it after a while."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def busy():
    """Seconds of CPU used since boot, on all cores, including what a hypervisor took away."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Bench:
    """Servers and programs of one benchmark. Stops what it started on exit."""

    def __init__(self, unrecorded):
        self.measured = Measurement(recorded=not unrecorded, otherwise=", or use --unrecorded")
        # So that everything that was started is stopped, as after an interrupt.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by a signal"))
        say("compiling for release")
        run("cargo", "build", "--release", "--locked", "--quiet", "-p", "kapture-loader", "-p", "kapture-etl",
            "-p", "kapture-auditor", "-p", "gauge")
        self.binaries = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        WORK.mkdir(parents=True, exist_ok=True)
        run("rm", "-rf", SERVERS)
        self.stack.callback(run, "ci/servers", "down", SERVERS)
        run("ci/servers", "up", SERVERS, KAPTURE_KAFKA_HEAP="-Xms1g -Xmx1g")
        lines = (SERVERS / "servers.env").read_text().splitlines()
        variables = dict(line.split("=", 1) for line in lines)
        self.servers = {name: Process(int(variables.pop(f"{name.upper()}_PID"))) for name in ("kafka", "postgres", "redis")}
        self.variables = {**variables, "KAFKA_RETENTION_BYTES": str(RETENTION_BYTES)}
        return self

    def __exit__(self, *_):
        self.stack.close()
        run("rm", "-rf", SERVERS)

    def environment(self, *servers, **more):
        """The variables that a program needs to reach these servers."""
        wanted = tuple(f"{server.upper()}_" for server in servers)
        return {**{name: value for name, value in self.variables.items() if name.startswith(wanted)}, **more}

    def gauge(self, *arguments, **more):
        """Runs a command of the gauge and returns its answer."""
        return json.loads(run(self.binaries / "gauge", *arguments, **self.environment("kafka", "postgres", "redis"), **more))

    @contextlib.contextmanager
    def watching(self, *arguments, **more):
        """Runs a command of the gauge in the background; call what is yielded for its answer."""
        environment = {**os.environ, **self.environment("kafka", "postgres", "redis"), **more}
        command = [self.binaries / "gauge", *map(str, arguments)]
        popen = subprocess.Popen(command, cwd=WORK, env=environment, text=True, stdout=subprocess.PIPE)

        def answer():
            out, _ = popen.communicate()
            if popen.returncode:
                sys.exit(f"gauge {' '.join(map(str, arguments))} failed; its output is above")
            return json.loads(out)

        try:
            # Its clients have connected.
            time.sleep(0.3)
            yield answer
        finally:
            if popen.poll() is None:
                popen.kill()
                popen.wait()

    @contextlib.contextmanager
    def program(self, name, command, environment):
        """Runs a program in the background; its output goes to target/benchmark/NAME.log."""
        with open(WORK / f"{name}.log", "w") as log:
            popen = subprocess.Popen(list(map(str, command)), cwd=WORK, env={**os.environ, **environment},
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        process = Process(popen.pid, popen)
        try:
            yield process
            if not process.running():
                sys.exit(f"{name} ended: see target/benchmark/{name}.log")
        finally:
            process.end()

    def finished(self, name, command, environment):
        """Runs a program to its end; returns its output, the seconds of CPU that it used, and its peak memory in MiB."""
        with open(WORK / f"{name}.log", "w") as log:
            popen = subprocess.Popen(list(map(str, command)), cwd=WORK, env={**os.environ, **environment}, text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        with popen.stdout as out:
            said = out.read()
        _, status, usage = os.wait4(popen.pid, 0)
        popen.returncode = os.waitstatus_to_exitcode(status)
        if popen.returncode:
            sys.exit(f"{name}: exit code {popen.returncode}: see target/benchmark/{name}.log")
        return said, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def role(self, role, address="127.0.0.1:0", **more):
        """Runs a role of etl in the background."""
        store = next(stage["store"] for stage in PIPELINE["stages"] if stage["group"] == role)
        servers = ["kafka", store] if store else ["kafka"]
        environment = self.environment(*servers, ETL_ROLE=role, SERVICE_ADMIN_ADDR=address, **more)
        return self.program(role, [self.binaries / "kapture-etl"], environment)

    def empty(self, store, **apart):
        """Deletes what the store has of one round."""
        tools, known = pathlib.Path(run("ci/fetch/debian")) / "bin", self.variables
        if store == "redis":
            run(tools / "redis-cli", "-p", known["REDIS_PORT"], "flushall", REDISCLI_AUTH=known["REDIS_PASSWORD"])
        else:
            run(tools / "psql", "--quiet", "--host=127.0.0.1", f"--port={known['POSTGRES_PORT']}", f"--username={known['POSTGRES_USER']}",
                f"--dbname={known['POSTGRES_DATABASE']}", f"--command=drop schema \"{apart['POSTGRES_SCHEMA']}\" cascade",
                PGPASSWORD=known["POSTGRES_PASSWORD"], PGOPTIONS="--client-min-messages=warning")


class Usage:
    """Seconds of CPU of some processes, and cores used by everything else, since it was created."""

    def __init__(self, **processes):
        self.processes = processes
        self.before = {name: process.cpu() for name, process in processes.items()}
        self.busy, self.begun = busy(), time.time()

    def read(self):
        used = {name: process.cpu() - self.before[name] for name, process in self.processes.items()}
        others = (busy() - self.busy - sum(used.values())) / (time.time() - self.begun)
        return {**{f"{name}_cpu_s": seconds for name, seconds in used.items()}, "others_cores": others}
