#!/usr/bin/env python3
"""Re-checks a published proof. Written from docs/reference/proofs.md alone, with Python's standard library alone.

    verify.py x.iogproof                        is everything in it as the page says?
    verify.py x.iogproof --verifier HEX         and is this the verifier's key?
    verify.py x.iogproof --proof proof.json     and is it in the log? (as GET /v1/proofs/{session} gives it)

Exit code 0: the transcript is right, whatever its verdict is. 10: it is not, and standard error says why.
It shares no code with iog. README.md says how long it takes.
"""

import argparse
import hashlib
import json
import secrets
import struct
import sys
from functools import cache
from itertools import chain, pairwise
from operator import mul

P = 2**61 - 1
PUZZLE, MATMUL, MEMORY = 1, 2, 3
CHALLENGE, READY, PING, PONG, START, SOLVED, ROOT, ASK, OPENINGS, FILLED, WALK, VERDICT, UNABLE = range(1, 14)
FROM_VERIFIER = {CHALLENGE, PING, START, ASK, WALK, VERDICT}
PASS, SLOW, FAIL, INCONCLUSIVE = 1, 2, 3, 4
OUTCOMES = {PASS: "pass", SLOW: "slow", FAIL: "fail", INCONCLUSIVE: "inconclusive"}
OPENINGS_BYTES_MAX = 64 << 20
TRANSCRIPT_BYTES_MAX = 80 << 20
OPENED_STEPS_MAX = 65536
MIXED_BLOCKS_MAX = 2**24
PING_TAKEN_OFF_US_MAX = 300_000
PING_TAKEN_OFF_PARTS = 10
WALKED_LEGS_MAX = 2**20
LEG_PARTS = 4


class Refused(Exception):
    """What is wrong with a transcript."""


def need(holds, why):
    if not holds:
        raise Refused(why)


# Lanes. ChaCha and BLAKE3 work on 32-bit words and are slow in Python, one word at a time. So one whole number holds a
# word of many blocks at once: lane i is bits 64 i to 64 i + 31, and the 32 bits above take carries and rotations.

LANES_MAX = 1024


def pack(words):
    return int.from_bytes(struct.pack(f"<{len(words)}Q", *words), "little")


def unpack(lanes, count):
    return struct.unpack(f"<{count}Q", lanes.to_bytes(8 * count, "little"))


ONES = [pack([1] * count) for count in range(LANES_MAX + 1)]


def quarter(s, a, b, c, d, rotations, mask, x=0, y=0):
    """The quarter round of ChaCha, and of BLAKE3, which adds x and y of the message. Rotations are to the left."""
    r0, r1, r2, r3 = rotations
    s[a] = (s[a] + s[b] + x) & mask
    t = s[d] ^ s[a]
    s[d] = (t << r0 | t >> 32 - r0) & mask
    s[c] = (s[c] + s[d]) & mask
    t = s[b] ^ s[c]
    s[b] = (t << r1 | t >> 32 - r1) & mask
    s[a] = (s[a] + s[b] + y) & mask
    t = s[d] ^ s[a]
    s[d] = (t << r2 | t >> 32 - r2) & mask
    s[c] = (s[c] + s[d]) & mask
    t = s[b] ^ s[c]
    s[b] = (t << r3 | t >> 32 - r3) & mask


COLUMNS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
DIAGONALS = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]

# ChaCha

CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def permuted(x, rounds, mask):
    """perm_rounds(x)"""
    s = list(x)
    for _ in range(rounds // 2):
        for places in chain(COLUMNS, DIAGONALS):
            quarter(s, *places, (16, 12, 8, 7), mask)
    return [(new + old) & mask for new, old in zip(s, x)]


def label(text):
    return int.from_bytes(text.encode(), "little")


def streams(key, nonces, length):
    """The first `length` bytes of chacha(key, a, b, c) for each of the nonces (a, b, c)."""
    each = -(-length // 64)
    if each * len(nonces) > LANES_MAX and len(nonces) > 1:
        half = len(nonces) // 2
        return streams(key, nonces[:half], length) + streams(key, nonces[half:], length)
    out = bytearray()
    for first in range(0, each, LANES_MAX):
        lanes = [(block, *nonce) for nonce in nonces for block in range(first, min(first + LANES_MAX, each))]
        ones = ONES[len(lanes)]
        fixed = [ones * word for word in CONSTANTS + struct.unpack("<8I", key)]
        words = permuted(fixed + [pack(column) for column in zip(*lanes)], 8, ones * 0xFFFFFFFF)
        pairs = [unpack(words[w] | words[w + 1] << 32, len(lanes)) for w in range(0, 16, 2)]
        out += struct.pack(f"<{8 * len(lanes)}Q", *chain.from_iterable(zip(*pairs)))
    return [bytes(out[64 * each * i : 64 * each * i + length]) for i in range(len(nonces))]


def stream(key, a, b, name, length):
    return streams(key, [(a, b, label(name))], length)[0]


# BLAKE3

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT_FLAG, CONTEXT_FLAG, MATERIAL_FLAG = 1, 2, 4, 8, 32, 64


def compress(cv, block, counter, length, flags, lanes):
    ones = ONES[lanes]
    mask = ones * 0xFFFFFFFF
    s = [*cv, *(ones * word for word in IV[:4]), counter, 0, ones * length, ones * flags]
    for _ in range(7):
        for i, places in enumerate(COLUMNS + DIAGONALS):
            quarter(s, *places, (16, 20, 24, 25), mask, block[2 * i], block[2 * i + 1])
        block = [block[i] for i in ORDER]
    return [low ^ high for low, high in zip(s[:8], s[8:])]


def whole_chunks(words, first, key, flags):
    """The chaining values of chunks of 1024 bytes, counted from `first`, side by side in lanes."""
    lanes = len(words) // 256
    cv = [ONES[lanes] * word for word in key]
    counter = pack(range(first, first + lanes))
    for i in range(16):
        block = [pack(words[16 * i + w :: 256]) for w in range(16)]
        cv = compress(cv, block, counter, 64, flags | (CHUNK_START if i == 0 else CHUNK_END if i == 15 else 0), lanes)
    return list(zip(*(unpack(word, lanes) for word in cv)))


def last_chunk(data, counter, key, flags):
    cv = list(key)
    for at in range(0, max(len(data), 1), 64):
        block = data[at : at + 64]
        place = (CHUNK_START if at == 0 else 0) | (CHUNK_END | (0 if counter else ROOT_FLAG) if at + 64 >= len(data) else 0)
        cv = compress(cv, struct.unpack("<16I", block.ljust(64, b"\0")), counter, len(block), flags | place, 1)
    return cv


def blake3(data, key=IV, flags=0):
    last = max(len(data) - 1, 0) // 1024
    cvs = []
    for first in range(0, last, LANES_MAX):
        here = data[1024 * first : 1024 * min(first + LANES_MAX, last)]
        cvs += whole_chunks(struct.unpack(f"<{len(here) // 4}I", here), first, key, flags)
    cvs.append(last_chunk(data[1024 * last :], last, key, flags))
    while len(cvs) > 1:
        mode = flags | PARENT | (ROOT_FLAG if len(cvs) == 2 else 0)
        pairs = [compress(key, [*left, *right], 0, 64, mode, 1) for left, right in zip(cvs[::2], cvs[1::2])]
        cvs = pairs + cvs[len(cvs) & ~1 :]
    return struct.pack("<8I", *cvs[0])


def derived(context, material):
    """K(context, material)"""
    key = struct.unpack("<8I", blake3(context.encode(), flags=CONTEXT_FLAG))
    return blake3(material, key, MATERIAL_FLAG)


# ed25519

Q = 2**255 - 19
ORDER_OF_BASE = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
ZERO = (0, 1, 1, 0)


def added(a, b):
    u, v = (a[1] - a[0]) * (b[1] - b[0]) % Q, (a[1] + a[0]) * (b[1] + b[0]) % Q
    t, z = 2 * a[3] * b[3] * D % Q, 2 * a[2] * b[2] % Q
    e, f, g, h = v - u, z - t, z + t, v + u
    return (e * f % Q, g * h % Q, f * g % Q, e * h % Q)


def total(*terms):
    """The sum of points, each so many times."""
    out = ZERO
    for bit in reversed(range(max(scalar.bit_length() for scalar, _ in terms))):
        out = added(out, out)
        for scalar, point in terms:
            if scalar >> bit & 1:
                out = added(out, point)
    return out


def compressed(point):
    inverse = pow(point[2], -1, Q)
    x, y = point[0] * inverse % Q, point[1] * inverse % Q
    return (y | (x & 1) << 255).to_bytes(32, "little")


@cache
def decompressed(text):
    """The point, or None if this is none, or one of small order."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & 2**255 - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if x * x % Q != square:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    if y >= Q or x * x % Q != square:
        return None
    x = Q - x if x & 1 != sign else x
    point = (x % Q, y, 1, x * y % Q)
    small = total((8, point))
    return None if small[0] == 0 and small[1] == small[2] else point


BASE = decompressed((4 * pow(5, -1, Q) % Q).to_bytes(32, "little"))


def signed(key, message, signature):
    """Whether the signature holds, strictly."""
    point, r, s = decompressed(key), decompressed(signature[:32]), int.from_bytes(signature[32:], "little")
    if point is None or r is None or s >= ORDER_OF_BASE:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER_OF_BASE
    minus = (Q - point[0], point[1], point[2], Q - point[3])
    return compressed(total((s, BASE), (k, minus))) == signature[:32]


# Bytes


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "it ends within something")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def end(self):
        need(self.at == len(self.data), "something follows where nothing may")


def le(size, *numbers):
    return b"".join(number.to_bytes(size, "little") for number in numbers)


# Messages and the challenge


class Message:
    def __init__(self, reader):
        start = reader.at
        need(reader.take(4) == b"IOGP" and reader.number(1) == 1, "a message does not begin with IOGP and version 1")
        self.kind = reader.number(1)
        need(1 <= self.kind <= 13, f"there is no kind {self.kind} of message")
        need(reader.number(2) == 0, "the u16 after a message's kind is not 0")
        self.session, self.counter, self.expires = reader.take(16), reader.number(4), reader.number(8)
        self.previous = reader.take(32)
        self.body = reader.take(reader.number(4))
        self.digest = derived("iog proof 1 message", reader.data[start : reader.at])
        self.signature = reader.take(64)
        self.hash = blake3(self.digest + self.signature)
        self.us = 0


class Task:
    """A task as the challenge says it; `size` is how long the body of its openings is."""

    FIELDS = {
        PUZZLE: [("bits", 1, 1, 48), ("count", 2, 1, 64), ("limit_ms", 4, 0, 2**32 - 1)],
        MATMUL: [("log_n", 1, 8, 16), ("rounds", 2, 1, 1024), ("checked", 1, 1, 128), ("rows", 2, 1, 1024)]
        + [(name, 4, 0, 2**32 - 1) for name in ("limit_ms", "answer_ms")],
        MEMORY: [("blocks", 8, 1, 2**28), ("mix", 2, 8, 4096), ("log_walkers", 1, 0, 16), ("legs", 2, 1, 256)]
        + [("steps", 4, 1, 65536), ("opened", 2, 1, 1024)]
        + [(name, 4, 0, 2**32 - 1) for name in ("fill_ms", "walk_ms", "answer_ms")],
    }

    def __init__(self, reader, index):
        self.index, self.kind = index, reader.number(1)
        need(self.kind in self.FIELDS, f"there is no kind {self.kind} of task")
        for name, size, least, most in self.FIELDS[self.kind]:
            setattr(self, name, reader.number(size))
            need(least <= getattr(self, name) <= most, f"{name} of task {index} is out of bounds")
        getattr(self, "bound_" + NAMES[self.kind])()

    def bound_puzzle(self):
        self.size = 1 + 8 * self.count

    def bound_matmul(self):
        self.n = 1 << self.log_n
        need(self.checked <= self.rounds and self.rows <= self.n, f"task {self.index} opens more than there is")
        self.size = 1 + self.checked * self.rows * (4 * self.n + 32 * self.log_n)
        need(self.size - 1 <= OPENINGS_BYTES_MAX, f"the openings of task {self.index} are too large")

    def bound_memory(self):
        self.walkers = 1 << self.log_walkers
        need(self.mix % 2 == 0 and self.opened <= self.walkers, f"task {self.index} cannot be")
        self.part_steps = -(-self.steps // LEG_PARTS)
        self.stations = -(-self.steps // self.part_steps) - 1
        self.size = 1 + self.opened * (128 * self.legs + 32 * self.log_walkers + 4096 * self.stations)
        need(self.size - 1 <= OPENINGS_BYTES_MAX, f"the openings of task {self.index} are too large")
        need(self.opened * self.steps <= OPENED_STEPS_MAX, f"task {self.index} opens too many steps")
        need(self.opened * self.steps * self.mix <= MIXED_BLOCKS_MAX, f"task {self.index} is too dear to check")
        need(self.walkers * self.legs <= WALKED_LEGS_MAX, f"task {self.index} walks too many legs")


NAMES = {PUZZLE: "puzzle", MATMUL: "matmul", MEMORY: "memory"}


class Challenge:
    def __init__(self, body):
        reader = Reader(body)
        self.verifier, self.prover, self.machine, self.owner = (reader.take(size) for size in (32, 32, 16, 16))
        self.card, self.rental, self.barrier = (reader.take(size) for size in (32, 16, 16))
        self.hour, self.commitment, self.pings = reader.number(8), reader.take(32), reader.number(1)
        count = reader.number(1)
        need(self.pings <= 8 and 1 <= count <= 4, "the challenge asks for too many pings or tasks, or for none")
        self.tasks = [Task(reader, index) for index in range(count)]
        reader.end()


class Verdict:
    def __init__(self, body, challenge, messages):
        reader = Reader(body)
        self.sigma, self.ping_us = reader.take(32), reader.number(8)
        need(reader.number(1) == len(challenge.tasks), "the verdict is on another number of tasks")
        self.results = [tuple(reader.number(size) for size in (1, 2, 8, 8)) for _ in challenge.tasks]
        need(reader.number(4) == messages, "the verdict has times of another number of messages")
        self.times = [reader.number(8) for _ in range(messages)]
        reader.end()


# Trees, draws, and the three checks


def climbs(leaf, index, path, root):
    """Whether the nodes lead from a leaf to the root."""
    for node in path:
        leaf = blake3(leaf + node if index & 1 == 0 else node + leaf)
        index >>= 1
    return leaf == root


def draw(count, of, key, a, name):
    """Draws `count` of `of`, sorted upward."""
    words = 2 * count
    while True:
        drawn = set()
        for word in struct.unpack(f"<{words}I", stream(key, a, 0, name, 4 * words)):
            drawn.add(word * of >> 32)
            if len(drawn) == count:
                return sorted(drawn)
        words *= 2


def puzzles_wrong(task, seed, numbers):
    """The reason, or 0."""
    for i in range(task.count):
        hashed = blake3(seed + le(4, i) + numbers[8 * i : 8 * i + 8])
        if int.from_bytes(hashed, "big") >> 256 - task.bits:
            return 6
    return 0


def secret_vector(vectors, task):
    key = derived("iog proof 1 secret", vectors + le(1, task.index))
    words = struct.unpack(f"<{task.n}Q", stream(key, 0, 0, "SECR", 8 * task.n))
    return [(word & P) % P for word in words]


def dot(left, right):
    return sum(map(mul, left, right)) % P


def rows_of(seed, name, rows, n):
    """Rows of A or B, some at a time: a whole matrix can be large."""
    for first in range(0, len(rows), 64):
        for row in streams(seed, [(i, 0, label(name)) for i in rows[first : first + 64]], n):
            yield memoryview(row).cast("b")


def rounds_wrong(task, seeds, roots, selection, openings, secrets_of_vectors):
    """The reason, or 0: rounds upward, and in each of them all paths before any product."""
    reader, n, vectors, sums = Reader(openings), task.n, None, None
    for t in draw(task.checked, task.rounds, selection, 0, "RNDS"):
        rows = draw(task.rows, n, selection, t, "ROWS")
        opened = []
        for i in rows:
            entries = reader.take(4 * n)
            path = [reader.take(32) for _ in range(task.log_n)]
            if not climbs(blake3(entries + le(4, i, t)), i, path, roots[t]):
                return 3
            opened.append(struct.unpack(f"<{n}i", entries))
        if vectors is None:
            vectors = [secret_vector(secret, task) for secret in secrets_of_vectors]
            products = [[dot(row, w) for w in vectors] for row in rows_of(seeds[0], "ROWB", range(n), n)]
            sums = list(zip(*products))
        for entries, row in zip(opened, rows_of(seeds[t], "ROWA", rows, n)):
            if any(dot(entries, w) != dot(row, s) for w, s in zip(vectors, sums)):
                return 4
    return 0


ALL = ONES[32] * 0xFFFFFFFF
LANES = range(32)


def rotated(x, left, mask):
    return (x << left | x >> 32 - left) & mask


def turned(row, by):
    """Lane l of it is lane l + by of the row."""
    return (row >> 64 * by | row << 64 * (32 - by)) & ALL


def swapped(row, d):
    """Lane l of it is lane l ^ d of the row."""
    low = pack([0xFFFFFFFF if lane & d == 0 else 0 for lane in LANES])
    return row >> 64 * d & low | (row & low) << 64 * d


def blocks_of(fill, mix, numbers):
    """The blocks of these numbers, made side by side: each as 32 rows of 32 lanes."""
    ones = ONES[len(numbers)]
    fixed = [ones * word for word in CONSTANTS + struct.unpack("<8I", fill)]
    halves = [pack([number & 0xFFFFFFFF for number in numbers]), pack([number >> 32 for number in numbers])]
    cell, words = fixed + halves + [0, ones * label("FILL")], []
    for _ in range(64):
        cell = permuted(cell, mix, ones * 0xFFFFFFFF)
        words += [unpack(word, len(numbers)) for word in cell]
    return [[pack(block[at : at + 32]) for at in range(0, 1024, 32)] for block in zip(*words)]


def step(state, block):
    _, _, r, q = unpack(state[31], 32)[:4]
    r, q, a = r >> 27, q >> 27, state[31]
    for k in LANES:
        a = rotated((a ^ state[k] ^ turned(block[(k + r) % 32], q)) * 0x9E3779B1 & ALL, 15, ALL)
        state[k] = a
    for d in (1, 2, 4, 8, 16):
        other = swapped(a, d)
        a = (a ^ rotated(other, 11, ALL) ^ rotated(other, 24, ALL)) * 0x85EBCA6B & ALL
    state[31] = a


def begun(key, walker):
    """The state at the beginning of a leg, which begins with a key and is a walker's."""
    columns = [struct.unpack("<32I", text) for text in streams(key, [(walker, l, label("WALK")) for l in LANES], 128)]
    return [pack(row) for row in zip(*columns)]


def state_of(told):
    words = struct.unpack("<1024I", told)
    return [pack(words[at : at + 32]) for at in range(0, 1024, 32)]


def advance(task, fill, states, steps):
    """Walks from all of these states side by side, each so many steps."""
    for done in range(max(steps)):
        going = [state for state, count in zip(states, steps) if count > done]
        numbers = [(state[31] & 0xFFFFFFFF | (state[31] >> 64 & 0xFFFFFFFF) << 32) % task.blocks for state in going]
        for at in range(0, len(going), LANES_MAX):
            blocks = blocks_of(fill, task.mix, numbers[at : at + LANES_MAX])
            for state, block in zip(going[at : at + LANES_MAX], blocks):
                step(state, block)


def walks_wrong(task, fill, walk, root, selection, openings):
    """The reason, or 0: all paths before any walk."""
    reader, states, steps, dues = Reader(openings), [], [], []
    for v in draw(task.opened, task.walkers, selection, 0, "WLKR"):
        ends = [reader.take(128) for _ in range(task.legs)]
        path = [reader.take(32) for _ in range(task.log_walkers)]
        stations = [reader.take(4096) for _ in range(task.stations)]
        if not climbs(blake3(b"".join(ends) + le(4, v)), v, path, root):
            return 3
        g = int.from_bytes(stream(selection, v, 0, "LEGS", 4), "little") * task.legs >> 32
        states += [begun(ends[g - 1][:32] if g else walk, v), *map(state_of, stations)]
        steps += [task.part_steps] * task.stations + [task.steps - task.part_steps * task.stations]
        dues += [*map(state_of, stations), ends[g]]
    advance(task, fill, states, steps)
    for state, due in zip(states, dues):
        if (struct.pack("<32I", *unpack(state[31], 32)) if isinstance(due, bytes) else state) != due:
            return 5
    return 0


# The session, played again


OUTCOME_OF = [PASS, SLOW, INCONCLUSIVE, FAIL, FAIL, FAIL, FAIL] + [INCONCLUSIVE] * 4
LATE, ANSWER, UNABLE_REASON, SKIPPED = 1, 2, 8, 10
WAITING_STOPS, JUDGING_STOPS = (7, 9), (9,)


class Ended(Exception):
    """The running task ended early, for this reason."""


class Session:
    def __init__(self, messages, challenge, verdict, vectors):
        self.messages, self.challenge, self.verdict, self.vectors = messages, challenge, verdict, vectors
        self.at, self.task, self.from_us, self.pings = 1, 0, 0, []
        self.elapsed = self.rate = 0

    def stop(self, reasons):
        """The verifier may stop whenever it waits, judges, or gathers a barrier, for reasons that blame nobody."""
        reason = self.verdict.results[self.task][1]
        if self.messages[self.at].kind == VERDICT and reason in reasons:
            raise Ended(reason)

    def hear(self, kind, size, task=None):
        """The prover's next message, which must be of this kind and size."""
        self.stop(WAITING_STOPS)
        message = self.messages[self.at]
        self.at += 1
        if message.kind == UNABLE:
            need(len(message.body) <= 200, "a prover says at length why it cannot")
            need(is_text(message.body), "a prover says in no UTF-8 why it cannot")
            raise Ended(UNABLE_REASON)
        need(message.kind == kind and len(message.body) == size, f"message {self.at - 1} may not come there")
        need(task is None or message.body[0] == task.index, f"message {self.at - 1} is of another task")
        return message

    def say(self, kind, body):
        """The verifier's next message, which must be exactly this."""
        message, before = self.messages[self.at], self.messages[self.at - 1]
        need(message.kind == kind and message.body == body, f"message {self.at} is not what the rules say: the verifier lies")
        own_time = before.kind == OPENINGS or (kind == WALK and any(self.challenge.barrier))
        need(message.us == before.us or own_time, f"message {self.at} has another time than what it answers")
        self.at, self.from_us = self.at + 1, message.us

    def clock(self, message, count, limit_ms):
        ping = min(min(self.pings, default=0), 1000 * limit_ms // PING_TAKEN_OFF_PARTS, PING_TAKEN_OFF_US_MAX)
        self.elapsed = max(message.us - self.from_us - ping, 0)
        self.rate = min(count * 10**6 // max(self.elapsed, 1), 2**64 - 1)

    def late(self, limit_ms):
        return LATE if self.elapsed > 1000 * limit_ms else 0

    def greet(self):
        self.binding = self.messages[0].hash + self.hear(READY, 32).body
        for number in range(self.challenge.pings):
            self.say(PING, le(1, number))
            pong = self.hear(PONG, 1)
            need(pong.body == le(1, number), "a Pong answers another Ping")
            self.pings.append(pong.us - self.from_us)

    def start(self, task, kind, purpose):
        nonce = derived("iog proof 1 " + purpose, self.verdict.sigma + le(1, task.index))
        self.say(kind, le(1, task.index) + nonce)
        return nonce

    def openings(self, task, root, late):
        """What was asked for, once it is there; and the reason if it is right."""
        selection = derived("iog proof 1 selection", self.verdict.sigma + le(1, task.index) + root)
        self.say(ASK, le(1, task.index) + selection)
        message = self.hear(OPENINGS, task.size, task)
        self.stop(JUDGING_STOPS)
        answered_late = message.us - self.from_us > 1000 * task.answer_ms
        return selection, message.body[1:], late or (ANSWER if answered_late else 0)

    def puzzle(self, task):
        seed = derived("iog proof 1 puzzle", self.start(task, START, "start") + self.binding)
        message = self.hear(SOLVED, task.size, task)
        self.clock(message, task.count << task.bits, task.limit_ms)
        return puzzles_wrong(task, seed, message.body[1:]) or self.late(task.limit_ms)

    def matmul(self, task):
        seeds, roots = [derived("iog proof 1 matmul", self.start(task, START, "start") + self.binding)], []
        for t in range(task.rounds):
            message = self.hear(ROOT, 35, task)
            need(message.body[1:3] == le(2, t), f"a root is not that of round {t}")
            roots.append(message.body[3:])
            seeds.append(derived("iog proof 1 round", seeds[-1] + roots[-1]))
        self.clock(message, 2 * task.n**3 * task.rounds, task.limit_ms)
        selection, openings, reason = self.openings(task, roots[-1], self.late(task.limit_ms))
        return rounds_wrong(task, seeds, roots, selection, openings, self.vectors) or reason

    def memory(self, task):
        fill = derived("iog proof 1 fill", self.start(task, START, "start") + self.binding)
        self.clock(self.hear(FILLED, 1, task), 4096 * task.blocks, task.fill_ms)
        if self.elapsed > 1000 * task.fill_ms:
            return ANSWER
        if any(self.challenge.barrier):
            self.stop(JUDGING_STOPS)
        walk = derived("iog proof 1 walk", self.start(task, WALK, "stride") + fill)
        message = self.hear(ROOT, 35, task)
        need(message.body[1:3] == le(2, 0), "the root of a walk has round 0")
        self.clock(message, task.walkers * task.legs * task.steps * 4096, task.walk_ms)
        selection, openings, reason = self.openings(task, message.body[3:], self.late(task.walk_ms))
        return walks_wrong(task, fill, walk, message.body[3:], selection, openings) or reason

    def run(self):
        """What follows for each task from answers and times."""
        results, reason = [], 0
        for self.task, task in enumerate(self.challenge.tasks):
            self.elapsed = self.rate = 0
            if reason:
                results.append((INCONCLUSIVE, SKIPPED, 0, 0))
                continue
            try:
                if self.task == 0:
                    self.greet()
                reason = getattr(self, NAMES[task.kind])(task)
            except Ended as ended:
                reason = ended.args[0]
            results.append((OUTCOME_OF[reason], reason, self.elapsed, self.rate))
        need(self.messages[self.at].kind == VERDICT, f"message {self.at} may not come there")
        return results


def is_text(data):
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def checked(data, own):
    """The challenge and the verdict of a transcript; refuses what is not as the page says."""
    need(len(data) <= TRANSCRIPT_BYTES_MAX, "it is longer than a transcript may be")
    reader, messages = Reader(data), []
    while reader.at < len(data):
        messages.append(Message(reader))
    kinds = [message.kind for message in messages]
    need(kinds[:1] == [CHALLENGE] and kinds[-1] == VERDICT, "it is not a challenge first and a verdict last")
    need(VERDICT not in kinds[:-1], "a verdict is in the middle")
    challenge = Challenge(messages[0].body)
    verdict = Verdict(messages[-1].body, challenge, len(messages) - 1)
    need(derived("iog proof 1 commitment", verdict.sigma) == challenge.commitment, "σ does not open the commitment")
    session = derived("iog proof 1 session", verdict.sigma)[:16]
    previous, expires = bytes(32), messages[0].expires
    for counter, message in enumerate(messages):
        need((message.session, message.expires) == (session, expires), f"message {counter} is of another session")
        need((message.counter, message.previous) == (counter, previous), f"message {counter} does not follow")
        key = challenge.verifier if message.kind in FROM_VERIFIER else challenge.prover
        need(signed(key, message.digest, message.signature), f"message {counter} is not signed by whom it should be")
        previous = message.hash
    need(verdict.times[0] == 0, "the times do not begin with 0")
    need(all(before <= after for before, after in pairwise(verdict.times)), "the times decrease")
    for message, us in zip(messages, verdict.times):
        message.us = us
    played = Session(messages, challenge, verdict, [verdict.sigma, own])
    results = played.run()
    need(verdict.results == results, f"the verdict is {verdict.results}, and what was answered gives {results}: the verifier lied")
    need(verdict.ping_us == min(played.pings, default=0), "the shortest ping is another")
    return messages, challenge, verdict


# The log


def entry_of(data, messages, challenge, verdict, sealed_ms):
    """The log's entry for a transcript."""
    roots = b"".join(message.body[3:] for message in messages if message.kind == ROOT)
    openings = b"".join(message.body[1:] for message in messages if message.kind == OPENINGS)
    head = b"IOGL" + le(1, 1) + messages[0].session + challenge.machine + challenge.card + le(8, challenge.hour, sealed_ms)
    hashes = hashlib.sha256(data).digest() + messages[0].hash + blake3(roots) + blake3(openings)
    results = b"".join(le(1, a) + le(2, b) + le(8, c, d) for a, b, c, d in verdict.results)
    return head + hashes + challenge.verifier + verdict.sigma + le(1, len(verdict.results)) + results


def root_of(entry, index, size, path):
    """The root of a tree of this size that a path of inclusion leads to: RFC 9162, section 2.1.3.2."""
    fn, sn, node = index, size - 1, hashlib.sha256(b"\0" + entry).digest()
    for other in path:
        need(sn > 0, "the path is too long")
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\1" + other + node).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\1" + node + other).digest()
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "the path is too short")
    return node


def in_log(proof, data, messages, challenge, verdict):
    """Refuses what GET /v1/proofs/{session} gave, unless it shows that this transcript is in the log."""
    try:
        entry, path = bytes.fromhex(proof["entry"]), [bytes.fromhex(text) for text in proof["path"]]
        head, index = proof["head"], proof["proof"]["index"]
        size, root, key = head["size"], bytes.fromhex(head["root"]), bytes.fromhex(head["public_key"])
        signature = bytes.fromhex(head["signature"])
        need(0 <= index < size < 2**64, "the entry is beyond the log's end")
    except (AttributeError, KeyError, TypeError, ValueError) as why:
        raise Refused(f"what the server says of the log cannot be read: {why!r}") from None
    sealed_ms = int.from_bytes(entry[77:85], "little")
    need(entry == entry_of(data, messages, challenge, verdict, sealed_ms), "the log has another entry")
    need(root_of(entry, index, size, path) == root, "the entry is not in the log")
    need(key == challenge.verifier, "the log is of another key than the verifier's")
    need(signed(key, derived("iog proof 1 log", le(8, size) + root), signature), "the log's head is not signed by its key")


def main():
    parser = argparse.ArgumentParser(description="Re-checks a published proof.")
    parser.add_argument("transcript")
    parser.add_argument("--verifier", metavar="HEX", help="the key the verifier must have")
    parser.add_argument("--proof", metavar="JSON", help="what GET /v1/proofs/{session} gave: checks the log too")
    asked = parser.parse_args()
    with open(asked.transcript, "rb") as file:
        data = file.read(TRANSCRIPT_BYTES_MAX + 1)
    try:
        messages, challenge, verdict = checked(data, secrets.token_bytes(32))
        need(asked.verifier in (None, challenge.verifier.hex()), f"the verifier is {challenge.verifier.hex()}")
        if asked.proof:
            with open(asked.proof, encoding="utf-8") as file:
                in_log(json.load(file), data, messages, challenge, verdict)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        sys.exit(10)
    print(f"session   {messages[0].session.hex()}\nverifier  {challenge.verifier.hex()}")
    for task, (outcome, reason, elapsed, rate) in zip(challenge.tasks, verdict.results):
        print(f"{NAMES[task.kind]:9} {OUTCOMES[outcome]}, reason {reason}, {elapsed} µs, {rate} a second")


if __name__ == "__main__":
    main()
