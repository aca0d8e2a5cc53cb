"""The registered model as MLflow runs it: MLflow copies this file and executes it; all the rest is `ctrsel.serve`."""

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from ctrsel.core.errors import CtrselError
from ctrsel.serve.serving_model import ServingModel

__all__: list[str] = []


class _Pyfunc(PythonModel):
    def load_context(self, context: Any) -> None:
        self.serving = ServingModel.load(context.artifacts["model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        try:
            return self.serving.predict(model_input, details=bool((params or {}).get("details"))).to_pandas()
        except CtrselError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(_Pyfunc())
