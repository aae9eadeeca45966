python - <<'IOG'
"""Newcomers under load: every node reckons on all its threads, writes and reads its disk, and sends to every other.

Leaves `stress.json` among the job's results: for each node, by its place in the cluster, whether it did all of it, and
what was seen of it. Cards are left alone: what they do is proved elsewhere, without anything that must be installed.
"""
import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

SECONDS = float(os.environ["IOG_TRIAL_SECONDS"])
NODES = int(os.environ["IOG_TRIAL_NODES"])
SEED = os.environ.get("IOG_RENTAL", "").encode()
PIECE = 16 << 20  # bytes that each node writes, and sends to each other, in a round
STEP = 120.0  # seconds that a step may take on a node; most of it is slack
ROUNDS = 64  # mebibytes of the reckoning whose outcome is compared


@ray.remote(num_cpus=0, max_restarts=0)
class Part:
    def place(self):
        return int(os.environ["IOG_NODE"])

    def reckon(self, threads, seconds):
        end = time.monotonic() + seconds

        def work(_):
            block, done = SEED, 0
            while done < ROUNDS or time.monotonic() < end:
                block = hashlib.sha256(block * (1 + (1 << 20) // max(1, len(block)))).digest()
                done += 1
                if done == ROUNDS:
                    first = block.hex()
            return first, done

        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(work, range(threads)))
        if len({first for first, _ in found}) != 1:
            raise ArithmeticError("its threads do not agree with each other")
        return found[0][0], sum(done for _, done in found) / seconds

    def write(self):
        piece = os.urandom(PIECE)
        began = time.monotonic()
        with tempfile.TemporaryFile() as file:
            file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            took = time.monotonic() - began
            file.seek(0)
            if file.read() != piece:
                raise OSError("its disk does not give back what was written")
        return PIECE / took / (1 << 20)

    @ray.method(num_returns=2)
    def send(self):
        piece = os.urandom(PIECE)
        return piece, hashlib.sha256(piece).hexdigest()

    def take(self, piece, digest):
        return hashlib.sha256(piece).hexdigest() == digest


def threads_of(node):
    return max(1, int(node["Resources"].get("CPU", 1)))


def why(fault):
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return lines[-1][:200]


class Trial:
    def __init__(self):
        self.parts, self.threads = {}, {}
        self.failed, self.seen = {}, {}

    def gather(self):
        """Waits until all nodes are in the cluster, and learns which place each has."""
        end = time.monotonic() + 60
        while True:
            alive = [node for node in ray.nodes() if node["Alive"]]
            if len(alive) >= NODES or time.monotonic() > end:
                break
            time.sleep(0.5)
        for node in alive:
            part = Part.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote()
            try:
                place = ray.get(part.place.remote(), timeout=STEP)
            except Exception as fault:
                print("a node does not answer:", why(fault))
                continue
            self.parts[place], self.threads[place] = part, threads_of(node)
        for place in range(NODES):
            if place not in self.parts:
                self.failed[place] = "its node is not in the cluster, or takes no work"

    def each(self, what, refs):
        """What each node answers; who does not answer has failed."""
        answers = {}
        for place, ref in refs.items():
            try:
                answers[place] = ray.get(ref, timeout=STEP)
            except Exception as fault:
                self.failed.setdefault(place, f"{what}: {why(fault)}")
        return answers

    def well(self):
        return {place: part for place, part in self.parts.items() if place not in self.failed}

    def round(self, seconds):
        parts = self.well()
        for place, rate in self.each("disk", {at: it.write.remote() for at, it in parts.items()}).items():
            self.seen.setdefault(place, {})["disk"] = rate
        self.exchange()
        parts = self.well()
        work = {at: it.reckon.remote(self.threads[at], seconds) for at, it in parts.items()}
        found = self.each("reckoning", work)
        right = [first for first, _ in found.values()]
        right = max(set(right), key=right.count, default=None)
        for place, (first, rate) in found.items():
            self.seen.setdefault(place, {})["rate"] = rate
            if first != right:
                self.failed.setdefault(place, "reckoning: it comes to another result than the others")

    def exchange(self):
        """Everybody sends to everybody. Who has most of the ways that do not work is blamed for them."""
        parts = self.well()
        pieces = {place: part.send.remote() for place, part in parts.items()}
        ways = {(a, b): parts[b].take.remote(*pieces[a]) for a in parts for b in parts if a != b}
        began, bad = time.monotonic(), []
        for way, ref in ways.items():
            try:
                if not ray.get(ref, timeout=STEP):
                    bad.append(way)
            except Exception:
                bad.append(way)
        took = time.monotonic() - began
        for place in parts:
            self.seen.setdefault(place, {})["sent"] = PIECE * max(0, len(parts) - 1) / took / (1 << 20)
        while bad:
            counts = {}
            for way in bad:
                for place in way:
                    counts[place] = counts.get(place, 0) + 1
            most = max(counts.values())
            for place in [place for place, count in counts.items() if count == most]:
                self.failed.setdefault(place, "network: what is sent between it and the others does not arrive")
            bad = [way for way in bad if not any(place in self.failed for place in way)]

    def note(self, place):
        if place in self.failed:
            return self.failed[place]
        seen = self.seen.get(place, {})
        threads = self.threads[place]
        words = [f"{threads} thread{'s' if threads > 1 else ''} under load"]
        if "disk" in seen:
            words.append(f"disk {seen['disk']:.0f} MiB/s")
        if len(self.parts) > 1 and "sent" in seen:
            words.append(f"sent {seen['sent']:.0f} MiB/s")
        return ", ".join(words)

    def report(self):
        nodes = {str(at): {"ok": at not in self.failed, "note": self.note(at)} for at in range(NODES)}
        for place, node in nodes.items():
            print("node", place, "ok:" if node["ok"] else "failed:", node["note"], flush=True)
        results = os.environ.get("IOG_RESULTS")
        if results:
            with open(os.path.join(results, "stress.json"), "w") as file:
                json.dump({"nodes": nodes}, file)


ray.init(address="auto", log_to_driver=False)
trial, began = Trial(), time.monotonic()
trial.gather()
while trial.well():
    trial.round(min(10.0, SECONDS / 4))
    if time.monotonic() - began >= SECONDS:
        break
trial.report()
if trial.failed:
    sys.exit("not every node did its part")
IOG
