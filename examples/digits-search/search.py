"""Searches for a classifier of handwritten digits, on every node of a Ray cluster at once.

The data set is scikit-learn's digits: 1797 images of 8 by 8 pixels that come with the package.
Each candidate is judged by cross-validation on three quarters of the images; the best one is then trained on them,
and its accuracy is measured on the quarter that nothing has seen.
"""

import collections
import itertools
import json
import os
import time

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

SEED = 7
FOLDS = 3


def candidates():
    """Every combination that is tried, as plain data that travels to the nodes."""
    for c, gamma in itertools.product([0.1, 1.0, 10.0], [0.0005, 0.001, 0.002, 0.01]):
        yield {"model": "svc", "C": c, "gamma": gamma}
    for trees, depth in itertools.product([50, 150], [8, None]):
        yield {"model": "forest", "n_estimators": trees, "max_depth": depth}
    for neighbors, weights in itertools.product([1, 3, 5, 9], ["uniform", "distance"]):
        yield {"model": "neighbors", "n_neighbors": neighbors, "weights": weights}


def build(candidate):
    """The classifier that a candidate describes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    arguments = dict(candidate)
    match arguments.pop("model"):
        case "svc":
            return SVC(**arguments)
        case "forest":
            return RandomForestClassifier(random_state=SEED, **arguments)
        case "neighbors":
            return KNeighborsClassifier(**arguments)


def images():
    """The images and their digits, split the same way on every node: to learn from, and to be judged by."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    return train_test_split(data.data, data.target, test_size=0.25, random_state=SEED, stratify=data.target)


def here():
    """The name of the machine this runs on."""
    return os.environ.get("IOG_WORKER", "this machine")


@ray.remote(num_cpus=1)
def get_ready():
    """Loads what a candidate needs, so that every node starts the search at the same time."""
    images()
    build({"model": "svc"})
    return here()


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def judge(candidate):
    """The mean accuracy of a candidate, and where it was computed."""
    from sklearn.model_selection import cross_val_score

    started = time.time()
    learn, _, learn_digits, _ = images()
    score = cross_val_score(build(candidate), learn, learn_digits, cv=FOLDS).mean()
    return {"candidate": candidate, "score": float(score), "node": here(), "seconds": time.time() - started}


@ray.remote(num_cpus=1)
def final(candidate):
    """The accuracy of the best candidate on images that nothing has seen."""
    learn, unseen, learn_digits, unseen_digits = images()
    return float(build(candidate).fit(learn, learn_digits).score(unseen, unseen_digits))


def words(candidate):
    return ", ".join(f"{name} {value}" for name, value in candidate.items())


def main():
    started = time.time()
    ray.init(logging_level="warning")
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]]
    ready = ray.get([get_ready.options(scheduling_strategy=place).remote() for place in places])
    left = list(candidates())
    total, best, nodes = len(left), None, collections.Counter()
    print(f"{total} candidates on {len(ready)} nodes: {', '.join(sorted(ready))}", flush=True)
    # As many at a time as there are nodes: whoever is done takes the next one.
    waiting = [judge.remote(left.pop(0)) for _ in ready]
    while waiting:
        done, waiting = ray.wait(waiting)
        for tried in ray.get(done):
            if left:
                waiting.append(judge.remote(left.pop(0)))
            nodes[tried["node"]] += 1
            better = best is None or tried["score"] > best["score"]
            best = tried if better else best
            number = sum(nodes.values())
            mark = "  best so far" if better else ""
            print(f"{number:2}/{total}  {tried['score']:.4f}  {tried['node']:<10}  "
                  f"{words(tried['candidate'])}{mark}", flush=True)
    accuracy = ray.get(final.remote(best["candidate"]))
    result = {
        "best": best["candidate"],
        "score": round(best["score"], 4),
        "accuracy": round(accuracy, 4),
        "tried": total,
        "nodes": dict(sorted(nodes.items())),
        "seconds": round(time.time() - started, 1),
    }
    results = os.environ.get("IOG_RESULTS", ".")
    with open(os.path.join(results, "result.json"), "w") as out:
        json.dump(result, out, indent=2)
        out.write("\n")
    print(f"accuracy {accuracy:.4f} on images that nothing has seen, with {words(best['candidate'])}", flush=True)


if __name__ == "__main__":
    main()
