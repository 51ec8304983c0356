"""The ends of Kafka's logs and the offsets of its groups, read in Kafka's own protocol.

Only a few of the oldest requests, because the harness sends each of them several times a second: Kafka's own tools would
start a JVM for each, which takes seconds, and take CPU from what is tested.
"""

import socket
import struct

LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR, HANDSHAKE, AUTHENTICATE = 2, 3, 9, 10, 17, 36
GROUP, TRANSACTION = 0, 1
UNCOMMITTED, COMMITTED = 0, 1
LATEST = -1
LIMIT_SECONDS = 5


class Unanswered(Exception):
    """No broker answered, or it can't answer yet."""


def connect_to(host, port):
    return socket.create_connection((host, port), LIMIT_SECONDS)


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def array(values):
    return struct.pack(">i", len(values)) + b"".join(values)


class Answer:
    """A response, read from the front."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.body, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        length = max(self.take("h"), 0)
        self.at += length
        return self.body[self.at - length : self.at].decode()

    def array(self, each):
        return [each() for _ in range(max(self.take("i"), 0))]


class Broker:
    """One connection: opened by `connect` at its first use, and dropped at the first error."""

    def __init__(self, connect, user, password):
        self.connect, self.user, self.password = connect, user, password
        self.connection = None

    def ask(self, kind, version, body):
        try:
            if not self.connection:
                self.connection = self.connect()
                self.exchange(HANDSHAKE, 1, text("PLAIN"))
                login = f"\0{self.user}\0{self.password}".encode()
                self.exchange(AUTHENTICATE, 0, struct.pack(">i", len(login)) + login)
            return self.exchange(kind, version, body)
        except (OSError, struct.error) as err:
            self.close()
            raise Unanswered(str(err)) from err

    def exchange(self, kind, version, body):
        request = struct.pack(">hhi", kind, version, 0) + text("kapture-chaos") + body
        self.connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", self.receive(4))
        # The first four bytes repeat the request's correlation id.
        return Answer(self.receive(length)[4:])

    def receive(self, length):
        parts = []
        while length > 0:
            part = self.connection.recv(length)
            if not part:
                raise OSError("the connection was closed")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Kafka:
    """All brokers: `connects` maps a node's id to a function that connects to it."""

    def __init__(self, connects, user, password):
        self.brokers = {node: Broker(connect, user, password) for node, connect in connects.items()}

    def leaders(self):
        """{leader: {topic: [partition]}} of all partitions."""
        answer = self.first(lambda broker: broker.ask(METADATA, 1, struct.pack(">i", -1)))
        answer.array(lambda: (answer.take("i"), answer.text(), answer.take("i"), answer.text()))
        answer.take("i")

        def partition():
            error, number, leader = answer.take("hii")
            answer.array(lambda: answer.take("i"))
            answer.array(lambda: answer.take("i"))
            if error or leader not in self.brokers:
                raise Unanswered(f"partition {number} has no leader: error {error}")
            return leader, number

        leaders = {}
        for _, name, _, partitions in answer.array(lambda: (answer.take("h"), answer.text(), answer.take("b"), answer.array(partition))):
            for leader, number in partitions:
                leaders.setdefault(leader, {}).setdefault(name, []).append(number)
        return leaders

    def ends(self, isolation, wanted=lambda topic: True):
        """{(topic, partition): offset} of the ends of logs: the high watermarks, or the last stable offsets."""
        ends = {}
        for leader, topics in self.leaders().items():
            asked = [
                text(topic) + array([struct.pack(">iq", number, LATEST) for number in numbers])
                for topic, numbers in topics.items() if wanted(topic)
            ]
            answer = self.brokers[leader].ask(LIST_OFFSETS, 2, struct.pack(">ib", -1, isolation) + array(asked))
            answer.take("i")
            for topic, partitions in answer.array(lambda: (answer.text(), answer.array(lambda: answer.take("ihqq")))):
                for number, error, _, offset in partitions:
                    if error:
                        raise Unanswered(f"the end of {topic}/{number}: error {error}")
                    ends[topic, number] = offset
        return ends

    def committed(self, group):
        """{(topic, partition): offset} that a group has committed, from its coordinator."""

        def ask(broker):
            answer = broker.ask(OFFSET_FETCH, 2, text(group) + struct.pack(">i", -1))
            each = lambda: (answer.take("iq"), answer.text(), answer.take("h"))
            topics = answer.array(lambda: (answer.text(), answer.array(each)))
            error = answer.take("h")
            if error:
                raise Unanswered(f"group {group}: error {error}")
            return {(topic, number): offset for topic, partitions in topics for (number, offset), _, _ in partitions}

        return self.first(ask)

    def coordinator(self, name, kind):
        """The node that coordinates a group or a transactional id."""
        answer = self.first(lambda broker: broker.ask(FIND_COORDINATOR, 1, text(name) + struct.pack(">b", kind)))
        _, error = answer.take("ih")
        answer.text()
        if error:
            raise Unanswered(f"the coordinator of {name}: error {error}")
        return answer.take("i")

    def stuck(self):
        """The partitions with an open transaction, which hides records: {(topic, partition): (last stable offset, end)}."""
        stable = self.ends(COMMITTED)
        return {where: (stable[where], end) for where, end in self.ends(UNCOMMITTED).items() if end > stable.get(where, end)}

    def first(self, ask):
        """The answer of the first broker that gives one."""
        trouble = Unanswered("there is no broker")
        for broker in self.brokers.values():
            try:
                return ask(broker)
            except Unanswered as err:
                trouble = err
        raise trouble
