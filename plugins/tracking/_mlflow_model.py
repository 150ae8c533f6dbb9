"""A model of audiofw as MLflow loads it; MLflow saves this file with the model, and runs it."""

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Classifier(PythonModel):
    """Predicts the label of each file in the column ``path``, with the probability of each class."""

    def load_context(self, context):
        """Load the model that the run has saved."""
        import audiofw

        self.model = audiofw.load_model(context.artifacts["bundle"])

    def predict(self, context, model_input: pd.DataFrame, params=None):
        """Return a data frame with ``label`` and ``p(class)`` for each path."""
        paths = list(model_input["path"])
        frame = pd.DataFrame({"path": paths, "label": self.model.predict(paths)})
        if getattr(self.model, "predict_proba", None):
            shares = self.model.predict_proba(paths)
            frame[[f"p({label})" for label in self.model.classes_]] = shares
        return frame


set_model(Classifier())
