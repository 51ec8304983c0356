"""The whole pipeline as processes: the chart's programs with a supervisor, real servers, and a proxy for each store."""

import re
import subprocess
import sys
import time

import flow
import offsets
from proof import ROOT, Proof

from .programs import MIB, Program, Supervisor
from .proxy import Proxy
from .servers import Server

DIRECTORY = ROOT / "target" / "processes"
# Time for a backlog to build up behind a stopped or unresponsive program.
BEHIND_SECONDS = 2
# Low enough for two cores that also run the servers, and spread evenly over the states, so that each state always has sales.
# The logs are large enough to keep everything, even for small states, so that it can be recounted.
VALUES = (
    "loader.replicas=3,loader.rate=200,loader.skew=0,etl.fanOut.replicas=2,"
    "kafka.persistence.size=100Gi,postgres.persistence.size=100Gi"
)


class Pipeline(Proof):
    """Runs for the duration of a `with`."""

    def __enter__(self):
        if subprocess.run([ROOT / "ci/processes/up", "--set", VALUES]).returncode:
            subprocess.run([ROOT / "ci/processes/down"])
            sys.exit("the pipeline did not start; its output is above")
        self.programs = [Program(DIRECTORY, *line.split()) for line in (DIRECTORY / "processes").read_text().splitlines()]
        self.extras, self.loading = [], []
        settings = dict(line.split("=", 1) for line in (DIRECTORY / "servers/servers.env").read_text().splitlines())
        host, port = settings["KAFKA_BOOTSTRAP_SERVERS"].split(":")
        self.kafka = offsets.Kafka({0: lambda: offsets.connect_to(host, int(port))}, settings["KAFKA_USERNAME"], settings["KAFKA_PASSWORD"])
        self.servers = {name: Server(name, DIRECTORY / "servers") for name in ("kafka", "postgres", "redis")}
        self.proxies = {name: Proxy(int(settings[f"{name.upper()}_PORT"])) for name in ("postgres", "redis")}
        self.supervisor = Supervisor(self.programs)
        for program in self.programs:
            if program.component in flow.GROUPS:
                self.reroute(program)
        return self

    def __exit__(self, *_):
        self.supervisor.stop(*self.extras)
        self.supervisor.end()
        for server in self.servers.values():
            # A stopped process can't exit.
            server.resume()
        subprocess.run([ROOT / "ci/processes/down"], check=True)
        for server in self.servers.values():
            server.give_disk_back()

    # Access to its parts.

    def of(self, component):
        return [program for program in self.programs if program.component == component]

    def one(self, component):
        return self.of(component)[0]

    def components(self):
        """All components, without duplicates, in the order of the chart."""
        return list(dict.fromkeys(program.component for program in self.programs))

    def roles(self):
        return [component for component in self.components() if component in flow.GROUPS]

    def reroute(self, program):
        """Redirects a role's connection to its store through the proxy."""
        command = program.home / "command"
        before = words = command.read_text()
        for name, proxy in self.proxies.items():
            words = re.sub(rf"(?m)^(export {name.upper()}_PORT)=.*", rf"\1={proxy.port}", words)
        if words != before:
            command.write_text(words)
            self.supervisor.kill(program)

    def clone(self, program, **changes):
        """Another instance of a program, not started: without `changes`, a second one with the same identity."""
        number = len(self.extras) + 1
        home = DIRECTORY / f"{program.pod}-extra-{number}"
        home.mkdir()
        admin = f"127.0.2.{number}:8080"
        words = (program.home / "command").read_text()
        for name, value in {**changes, "SERVICE_ADMIN_ADDR": admin}.items():
            words = re.sub(rf"(?m)^(export {name})=.*", rf"\1={value}", words)
        command = home / "command"
        command.touch(mode=0o700)
        command.write_text(words)
        extra = Program(DIRECTORY, home.name, program.component, admin, program.limit)
        extra.wanted = False
        self.extras.append(extra)
        # For ci/processes/down, in case this run can't stop it.
        with open(DIRECTORY / "processes", "a") as processes:
            print(extra.pod, extra.component, extra.admin, extra.limit, file=processes)
        self.supervisor.add(extra)
        return extra

    def passed(self, fault, component, at):
        """Counts a role's fault that began at that time, and returns a function that tells whether the role has caught up."""
        mark = flow.Mark(self.kafka, component)
        fault.times += 1

        def holds():
            if not mark.passed():
                return False
            fault.seconds.append(time.monotonic() - at)
            return True

        return holds

    # What Proof requires.

    def account(self):
        return self.one("auditor").asked("/api/v1/account")

    def waits_for_ready(self):
        return [program.ready for program in self.programs if program.wanted]

    def state(self):
        unready = [program.pod for program in self.programs if program.wanted and not program.ready()]
        return f"not ready: {', '.join(unready) or 'none'}; {super().state()}"

    def stop_load(self):
        self.loading = [loader for loader in self.of("loader") if loader.wanted]
        self.supervisor.stop(*self.loading)

    def begin_load(self):
        for loader in self.loading:
            self.supervisor.start(loader)

    def helm_test(self):
        return self.auditor("test")

    def recount(self):
        return self.auditor("recount", "--json")

    def auditor(self, *arguments):
        """Runs the auditor's program once, with the environment of `helm test`'s pod."""
        (home,) = DIRECTORY.glob("*-test-every-sale-arrives")
        words = re.sub(r"(?m)^exec (\S+).*$", rf"exec \1 {' '.join(arguments)}", (home / "command").read_text())
        return subprocess.run(["sh", "-c", words], capture_output=True, text=True)

    def weigh(self, part):
        """No program may have used more memory than its limit in the chart."""
        for program in [*self.programs, *self.extras]:
            if program.peak > program.limit:
                self.outcome.problem(f"{part.name}: {program.pod} took {program.peak // MIB} of its {program.limit // MIB} MiB")
