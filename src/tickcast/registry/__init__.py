"""What was learnt: bundles on disk, the gate they pass, the trail of who let them through, MLflow beside it."""
