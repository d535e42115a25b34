"""Where runs are made: workers of this machine, or those of a scheduler that is there already."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cloudpickle
import dask
from distributed import Client, LocalCluster

from course_lib.cli.sweep.design import Sweep

ANSWER = 15  # seconds that a scheduler has to answer, and to show a first worker
CONFIG = {
    # a run takes seconds to days, so nobody needs to look fifty times a second
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
# the functions of this file travel with their code: a worker without the course can say so
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@contextmanager
def connect(sweep: Sweep, address: str | None, jobs: int) -> Iterator[Client]:
    """Give a client with checked workers: those at ``address``, else ``jobs`` new ones here.

    Raises:
        ValueError: no answer, no worker, or a worker without what a run needs.
    """
    if address:
        with _existing(address) as client:
            yield client
        return
    if sweep.gpus:
        _has_gpus(sweep.gpus)
    dask.config.set(CONFIG)
    cluster = LocalCluster(
        n_workers=jobs,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",  # any free port: two sweeps must not disturb each other
        memory_limit=0,  # what a run takes is taken by its kernel, not by the worker
        resources={"GPU": sweep.gpus} if sweep.gpus else None,
    )
    with cluster, Client(cluster) as client:
        yield client


def _has_gpus(needed: int) -> None:
    import torch

    if needed > torch.cuda.device_count():
        raise ValueError(
            f"a run needs {needed} GPUs and this machine has {torch.cuda.device_count()}: "
            "use --scheduler with workers that have them (notebooks/sweeps/README.md)"
        )


@contextmanager
def _existing(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no scheduler answers at {address!r}: start one with `dask scheduler` ({error})"
        ) from None
    with client:
        yield client


def check(client: Client, sweep: Sweep, folder: Path) -> None:
    """See that every worker has the course as it is here, the folder, and what a run asks for.

    Raises:
        ValueError: with the worker and how to mend it.
    """
    try:
        client.wait_for_workers(1, timeout=ANSWER)
    except TimeoutError:
        raise ValueError(
            f"the scheduler has no workers after {ANSWER} s: start some with `dask worker ADDRESS "
            "--nthreads 1`"
        ) from None
    probe = folder / f".probe-{secrets.token_hex(4)}"
    probe.touch()
    try:
        answers = client.run(_look, str(sweep.notebook), str(probe))
    finally:
        probe.unlink(missing_ok=True)
    expected = _look(str(sweep.notebook), str(folder))
    for worker, answer in answers.items():
        for name, value in expected.items():
            if answer.get(name) != value:
                raise ValueError(f"worker {worker}: {_advice(name, answer, value)}")
    if sweep.gpus and not _offering(client, sweep.gpus):
        raise ValueError(
            f"no worker offers {sweep.gpus} GPU: start workers with --resources GPU={sweep.gpus}"
        )


def _look(notebook: str, probe: str) -> dict:
    """Look at what a worker has; runs there, so it imports all that it needs by itself."""
    try:
        from importlib import metadata
        from pathlib import Path

        import course_lib
        from course_lib.cli.sweep import fingerprint

        torch = metadata.version("torch")
    except ImportError as error:
        return {"course": f"cannot import it ({error})"}
    if not Path(notebook).is_file():
        return {"course": course_lib.__version__, "torch": torch, "notebook": None}
    return {
        "course": course_lib.__version__,
        "torch": torch,
        "notebook": notebook,
        "code": fingerprint.code(Path(notebook)),
        "folder": Path(probe).exists(),
    }


def _advice(name: str, answer: dict, value) -> str:
    here = answer.get(name)
    if name == "folder":
        return "it does not see the results folder: use a folder that all machines share"
    if name == "notebook":
        return f"it does not see {value}: use a checkout that all machines share"
    if name == "code":
        return "its notebook or library differs from this one: bring both to the same commit"
    if name == "course" and str(here).startswith("cannot"):
        return f"{here[:-1]}): install the course there, `pip install -e .[notebooks,sweep]`"
    return f"it has {name} {here}, here is {value}: install the same version there"


def _offering(client: Client, gpus: int) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(worker["resources"].get("GPU", 0) >= gpus for worker in workers)
