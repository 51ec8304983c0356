"""A TCP proxy between a role and its store, which can be slow, or keep connections open but forward nothing."""

import asyncio
import threading

CHUNK = 64 << 10
# Chunks in flight in one direction: the buffer of a slow line.
HELD = 64


class Proxy:
    """Listens on its own port on loopback, in its own thread."""

    def __init__(self, port):
        self.upstream, self.delay = port, 0
        self.open = set()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self.run, args=(started,), daemon=True).start()
        started.wait()

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.accepted, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    def half_open(self):
        """Stops forwarding on all existing connections without closing them, and returns how many there are."""
        return asyncio.run_coroutine_threadsafe(self.silence(), self.loop).result()

    async def silence(self):
        for passes in self.open:
            passes.clear()
        return len(self.open)

    async def accepted(self, reader, writer):
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        passes = asyncio.Event()
        passes.set()
        self.open.add(passes)
        ways = [self.way(reader, upstream_writer, passes), self.way(upstream_reader, writer, passes)]
        try:
            # When one end closes, close the other.
            await asyncio.wait([asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
            # A half-open connection stays open, as if its peer had vanished.
            await passes.wait()
        finally:
            self.open.discard(passes)
            for end in (writer, upstream_writer):
                end.close()

    async def way(self, reader, writer, passes):
        held = asyncio.Queue(HELD)
        delivery = asyncio.ensure_future(self.deliver(held, writer, passes))
        try:
            while chunk := await reader.read(CHUNK):
                await held.put((self.loop.time() + self.delay, chunk))
            await held.put((0, b""))
            await delivery
        except OSError:
            delivery.cancel()

    async def deliver(self, held, writer, passes):
        while True:
            due, chunk = await held.get()
            await asyncio.sleep(max(0, due - self.loop.time()))
            await passes.wait()
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()
