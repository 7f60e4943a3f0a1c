"""MLflow's web interface on this machine."""

import os
import socket
import sys
from pathlib import Path

from mtlab.plan.errors import UserError


def serve(port: int, file: str | None) -> int:
    """Replace this process with MLflow's server; if the tracking address already names a server,
    only print that address.

    Args:
        port: the port on which the server listens.
        file: an experiment, to get the address of its last suite's page; None for the front page.

    Raises:
        UserError: MLflow is not installed, or the port is in use.
    """
    from mtlab.record.mlflow.address import absolute, tracking_uri, without_credentials

    uri = tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(f"MLFLOW_TRACKING_URI names a server: its interface is at {without_credentials(uri)}")
        return 0
    program = Path(sys.executable).with_name("mlflow")
    if not program.exists():
        raise UserError(f"there is no {program}", "run `make install`", code="not-installed")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(
                f"port {port} is in use",
                "choose another, such as --port 5001",
                where="--port",
                code="port-in-use",
            )
    os.environ["MLFLOW_BACKEND_STORE_URI"] = absolute(
        uri
    )  # not an argument: every user of this machine could read its password
    os.environ.setdefault("MLFLOW_ARTIFACTS_DESTINATION", str(Path("mlartifacts").absolute()))
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # mtlab does not use it
    print(f"http://127.0.0.1:{port}/{_suites_page(file)}", flush=True)
    os.chdir(sys.prefix)  # the server would import Python files of the folder that it is started in
    os.execv(
        program,
        ["mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
    )


def _suites_page(file: str | None) -> str:
    """The page of MLflow's interface with the last suite of an experiment, or its front page if
    there is none.
    """
    from mtlab.plan.experiment import load
    from mtlab.record.journal import Journal

    journal = Journal(load(file, with_data=False).output) if file is not None else None
    suite = journal.last_suite() if journal is not None and journal.ran_here else None
    run = suite.tracking.get("run") if suite is not None else None
    return f"#/runs/{run}" if run else "#/experiments?workflowType=machine_learning"
