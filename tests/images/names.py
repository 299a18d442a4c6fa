"""A server of names that knows one, for a resolver that is told to ask it."""

import random
import socket
import struct
import threading

TYPE_A = 1


class Names:
    """Answers that `name` is at 127.0.0.1, and that there is no other. Counts who asked for what."""

    def __init__(self, name):
        self.name, self.asked = name, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # All of 127.0.0.0/8 is this machine: an address of its own lets tests run beside each other on the one port there is.
        self.address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"
        self.socket.bind((self.address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            question, asker = self.socket.recvfrom(512)
            if not question:
                return
            self.socket.sendto(self._answer(question), asker)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, = struct.unpack_from("!H", question, at + 1)
        name = ".".join(labels)
        self.asked.append(name)
        known = name == self.name
        answers = int(known and kind == TYPE_A)
        header = question[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0)
        address = b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 60, 4) + socket.inet_aton("127.0.0.1")
        return header + question[12:at + 5] + address * answers

    def close(self):
        # An empty datagram ends the loop.
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join(10)
        self.socket.close()
