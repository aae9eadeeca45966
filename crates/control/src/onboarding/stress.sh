python - <<'IOG'
import hashlib, os, sys, tempfile, time
import ray
SECONDS = float(os.environ["IOG_TRIAL_SECONDS"])
NODES = int(os.environ["IOG_TRIAL_NODES"])
ray.init(address="auto")
alive = [node for node in ray.nodes() if node["Alive"]]
if len(alive) < NODES:
    sys.exit(f"{len(alive)} of {NODES} nodes are in the cluster")

@ray.remote(num_cpus=1)
class Part:
    def send(self, size):
        return os.urandom(size)

    def take(self, piece, size):
        return len(piece) == size

    def reckon(self, seconds):
        end, block, rounds = time.monotonic() + seconds, b"\0" * (1 << 20), 0
        while time.monotonic() < end:
            block = hashlib.sha256(block).digest() * (1 << 15)
            rounds += 1
        return rounds

    def write(self, size):
        piece = os.urandom(size)
        with tempfile.TemporaryFile() as file:
            file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            return file.read() == piece

from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
parts = [Part.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote() for node in alive]
size = 16 << 20
began = time.monotonic()
while True:
    writes = ray.get([part.write.remote(size) for part in parts])
    sends = [(at, to, part.send.remote(size)) for at, part in enumerate(parts)
             for to in range(len(parts)) if to != at]
    takes = ray.get([parts[to].take.remote(piece, size) for _, to, piece in sends])
    rounds = ray.get([part.reckon.remote(min(10.0, SECONDS / 4)) for part in parts])
    if not all(writes) or not all(takes) or not all(rounds):
        sys.exit(f"writes {writes}, takes {takes}, rounds {rounds}")
    if time.monotonic() - began >= SECONDS:
        break
print(f"{len(parts)} nodes, {time.monotonic() - began:.1f} s, {rounds} rounds")
IOG
