"""The file by which MLflow knows a model and its signature: YAML, of which JSON is a part.

Where Tickcast is installed, `mlflow.pyfunc.load_model("models:/tickcast-price@champion")` gives the verified bundle.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from tickcast.calibration.whole import Corrected, from_json
from tickcast.clock import utc_text
from tickcast.registry.bundle import Bundle, read
from tickcast.registry.manifest import Manifest
from tickcast.training.contract import F8

MLMODEL_FILE = "MLmodel"


def mlmodel(manifest: Manifest, run_id: str) -> bytes:
    """What a row must hold, by name, and what comes out of it."""
    content = manifest.content
    inputs = [{"name": name, "type": "double", "required": True} for name in content.names]
    output = "log_return" if content.task.sort == "regression" else "probability"
    told = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "loader_module": __name__,
                "data": "bundle",
                "env": {},
                "python_version": platform.python_version(),
            },
            "tickcast": {
                "data": "bundle",
                "kind": content.kind,
                "bundle_hash": manifest.hash,
                "version": manifest.version,
                "code_version": content.code_version,
            },
        },
        "run_id": run_id,
        "model_uuid": manifest.hash[:32],
        "signature": {
            "inputs": json.dumps(inputs),
            "outputs": json.dumps([{"name": output, "type": "double", "required": True}]),
            "params": None,
        },
        "utc_time_created": utc_text(manifest.created_ms).removesuffix(" UTC"),
    }
    return (json.dumps(told, indent=1) + "\n").encode()


class Served:
    """A bundle as MLflow's Python function: rows in, calibrated probabilities or returns out."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def predict(self, rows: Any, params: Any = None) -> F8:  # noqa: ARG002 - MLflow hands it in
        """For a data frame with the bundle's inputs, in any order."""
        content = self._bundle.manifest.content
        columns = [np.asarray(rows[name], dtype=np.float64) for name in content.names]
        said = self._bundle.predict(np.column_stack(columns))
        if not self._bundle.calibration:
            return said
        calibration = from_json(self._bundle.calibration, content.names)
        return calibration.calibrator.apply(said) if isinstance(calibration, Corrected) else said


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls: the folder of the bundle, verified as ever."""
    return Served(read(Path(path)))
