"""Kafka, Postgres and Redis, run by ci/servers: killed, paused, with a full disk, and restarted."""

import os
import shutil
import signal
import subprocess

from proof import ROOT

from . import programs

# What a store may still write before its disk is filled.
ROOM_MIB = 256


class Server:
    """One of the three servers."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        self.home = directory / name
        self.disk = None

    @property
    def pid(self):
        return int((self.home / "pid").read_text().split()[0])

    def runs(self):
        return programs.alive(self.pid)

    def kill(self):
        """Kills all of its processes at once, so that nothing is flushed and no connection is closed."""
        programs.send(self.pid, signal.SIGKILL)

    def pause(self):
        programs.send(self.pid, signal.SIGSTOP)

    def resume(self):
        programs.send(self.pid, signal.SIGCONT)

    def start(self):
        """Starts it unless it is running, and returns when it is ready."""
        self.script("start")

    def script(self, verb):
        done = subprocess.run([ROOT / "ci/servers", verb, self.name, self.directory], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ci/servers {verb} {self.name}: {done.stderr.strip()}")

    def take_disk(self):
        """Moves its data to a small file system in memory. Needs root."""
        self.script("stop")
        data, kept = self.home / "data", self.home / "data.before"
        data.rename(kept)
        data.mkdir()
        used = int(subprocess.run(["du", "-sm", kept], capture_output=True, text=True, check=True).stdout.split()[0])
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + ROOM_MIB}m", "kapture-chaos", data], check=True)
        self.disk = data
        # Including the owner and the mode of the directory itself.
        subprocess.run(["cp", "-a", f"{kept}/.", data], check=True)
        shutil.rmtree(kept)
        self.start()

    def fill_disk(self):
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1 << 20))
            except OSError:
                # A whole megabyte no longer fits: fill the rest page by page.
                try:
                    while True:
                        filler.write(bytes(4 << 10))
                except OSError:
                    pass

    def free_disk(self):
        (self.disk / "filler").unlink()

    def free_bytes(self):
        room = os.statvfs(self.disk)
        return room.f_bavail * room.f_frsize

    def give_disk_back(self):
        if self.disk:
            subprocess.run(["umount", "--lazy", self.disk], check=True)
            self.disk = None
